"""Files side by side: what each finds, how long it takes, how large it is.

All files see the same test scenes, so that a difference of AP has an interval
(`coco_eval.compare`); all are timed in turns, so that they met the same neighbours.

Support for `capstone`.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from lib.basics import arguments, checkpoints, profiling, training
from lib.book import figure
from lib.compression import export
from lib.detection import coco_eval, detectors
from lib.detection.redrawing import Estimate

REPEATS = 15
LARGEST = 2400  # square points that the largest file's disc covers
COLUMNS = ("file", "AP", "AP, less the first's", "ms", "kB", "million multiply-adds")


@dataclass(frozen=True)
class Row:
    """One file: AP with its 95 % interval, the difference from the first, its price."""

    name: str
    ap: Estimate
    difference: Estimate
    milliseconds: float
    ratio: float  # of its milliseconds to the first's, the median of all rounds
    kilobytes: float
    macs: int | None  # multiply-adds; None where nobody has counted them


def judge(
    files: dict[str, str | PathLike],
    macs: dict[str, int] | None = None,
    scenes=200,
    say=lambda text: None,
) -> list[Row]:
    """What ONNX files find on test scenes, and their price; the first is the yardstick.

    `scenes`: how many test scenes, or a `data.Scenes`. A bare name means data/weights.
    """
    arguments.instance("files", files, dict)
    if not files:
        raise ValueError("files is empty: there is nothing to judge")
    if isinstance(scenes, int):
        scenes = detectors.scenes("test", scenes)
    networks = {name: export.Network(path) for name, path in files.items()}
    found = {}
    for name, network in networks.items():
        say(f"looking at {len(scenes)} scenes: {name}")
        found[name] = coco_eval.detections(network, scenes)
    say("timing all of them in turns")
    picture = training.normalise(scenes[0].image[None])
    times = profiling.compare(networks, picture, repeats=REPEATS)
    truth, first = scenes.coco(), next(iter(files))
    rows = []
    for name, path in files.items():
        compared = coco_eval.compare(truth, found[first], found[name])
        timed = times[name]
        size = where(path).stat().st_size / 1000
        count = (macs or {}).get(name)
        price = timed.latency.median, timed.ratio, size, count
        rows.append(Row(name, compared.b, compared.difference, *price))
    return rows


def where(path: str | PathLike) -> Path:
    """The file that `export.Network` reads: a bare name means data/weights."""
    in_the_course = checkpoints.WEIGHTS / f"{path}.onnx"
    return in_the_course if in_the_course.exists() else Path(path)


def macs_of(model: torch.nn.Module) -> int:
    """Multiply-adds of a detector for one picture of its size."""
    return profiling.macs(model, torch.zeros(1, 3, *model.config.image_size))


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts, in the order of COLUMNS."""
    count = "" if row.macs is None else f"{row.macs / 1e6:.0f}"
    return (
        row.name, f"{row.ap:.3f}", f"{row.difference:+.3f}",
        f"{row.milliseconds:.1f}", f"{row.kilobytes:.0f}", count,
    )  # fmt: skip


def markdown(columns, rows) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


@figure.in_style
def picture(rows: list[Row]) -> figure.Figure:
    """AP over milliseconds, whiskers its interval; a disc's area is the file's size."""
    times = np.array([row.milliseconds for row in rows])
    ap = np.array([row.ap.value for row in rows])
    # Where nearly nothing is found, the draws may all lie on one side of the number.
    low = np.maximum(ap - [row.ap.low for row in rows], 0)
    high = np.maximum([row.ap.high for row in rows] - ap, 0)
    sizes = np.array([row.kilobytes for row in rows])
    x_label = "milliseconds a picture, one thread"
    canvas, axes = figure.blank("", x_label, "AP", False, False)
    axes.errorbar(times, ap, [low, high], fmt="none", ecolor=figure.PALETTE[0], lw=1)
    look = {"color": figure.PALETTE[0], "alpha": 0.45, "lw": 0}
    axes.scatter(times, ap, s=sizes * LARGEST / sizes.max(), **look)
    axes.margins(0.25)
    axes.set_xlim(left=0)
    names = [f"{row.name}, {row.kilobytes:.0f} kB" for row in rows]
    figure.settle(axes)
    figure.point_labels(axes, times, ap, names, ([], []))
    each = [f"{row.name}: {', '.join(cells(row)[1:5])}" for row in rows]
    alt = f"AP over {x_label}; a disc's area is the size of its file."
    alt += f" Name: AP, difference, milliseconds, kB. {'; '.join(each)}."
    best = min(rows, key=lambda row: row.kilobytes)
    says = (
        f"The smallest file is {best.name}: {best.kilobytes:.0f} kB, AP {best.ap:.3f}."
    )
    return figure.finish(canvas, "", alt, None, says)
