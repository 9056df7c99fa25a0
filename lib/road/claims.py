"""Every published number that the course checks, beside the number it computes.

`python -m lib.road.claims` writes chapters/CLAIMS.md; nothing on that page is typed but
the claim, its source and the reason of a gap. Networks are built on the meta device:
shapes alone, so that the largest take no memory.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

import lib
from lib.basics import checkpoints, profiling
from lib.detection import anchors, efficientdet, efficientnet
from lib.nas import nasnet

PAGE = lib.ROOT / "chapters" / "CLAIMS.md"
ENOUGH = 1.5  # percent: a number printed with two digits may be off by so much
NET = "https://arxiv.org/abs/1905.11946"  # EfficientNet, table 2
DET = "https://arxiv.org/abs/1911.09070"  # EfficientDet, tables 1 and 2
NAS = "https://arxiv.org/abs/1707.07012"  # NASNet, tables 1 to 3
README_OF_D5 = "https://github.com/google/automl/issues/702"
COUNTED = (
    "convolutions alone are counted here; the paper's counter counts a little more"
)
STATISTICS = "the paper's number has the batch norms' running statistics in it"


class Claim(NamedTuple):
    """A published number, how to compute it, and why the two part, if they do."""

    what: str
    published: float | int
    compute: Callable[[], float | int]
    unit: str
    chapter: str
    source: str
    reason: str = ""  # needed where the gap is over ENOUGH percent

    def gap(self) -> float:
        """Computed less published, in percent of the published number."""
        return 100 * (self.compute() / self.published - 1)


@functools.cache
def detector(name: str) -> efficientdet.Detector:
    """An EfficientDet of 90 classes, shapes only."""
    with torch.device("meta"):
        return efficientdet.efficientdet(name).eval()


@functools.cache
def classifier(name: str) -> efficientnet.EfficientNet:
    """An EfficientNet of 1,000 classes, shapes only."""
    with torch.device("meta"):
        return efficientnet.efficientnet(name).eval()


@functools.cache
def stack(name: str) -> nasnet.NASNet:
    """A NASNet-A without its auxiliary head, shapes only."""
    with torch.device("meta"):
        return nasnet.nasnet_a(name).eval()


@functools.cache
def macs(build: Callable[[str], torch.nn.Module], name: str, side: int) -> int:
    """Multiply-adds for one picture of a side."""
    return profiling.macs(build(name), torch.zeros(1, 3, side, side, device="meta"))


def values_stored(model: torch.nn.Module) -> int:
    """Parameters, and the running mean and variance of every batch norm."""
    statistics = [b.numel() for b in model.buffers() if b.dim() == 1]
    return profiling.parameters(model) + sum(statistics)


# ---------------------------------------------------------------------------- the rows
PARAMETERS = {  # millions, as printed
    "d0": 3.9, "d1": 6.6, "d2": 8.1, "d3": 12, "d4": 21, "d5": 34, "d6": 52, "d7": 52,
    "d7x": 77,
}  # fmt: skip
BILLIONS = {
    "d0": 2.5, "d1": 6.1, "d2": 11, "d3": 25, "d4": 55, "d5": 135, "d6": 226, "d7": 325,
    "d7x": 410,
}  # fmt: skip
CLASSIFIERS = {  # millions of parameters, billions of multiply-adds, as printed
    "b0": (5.3, 0.39), "b1": (7.8, 0.70), "b2": (9.2, 1.0), "b3": (12, 1.8),
    "b4": (19, 4.2), "b5": (30, 9.9), "b6": (43, 19), "b7": (66, 37),
}  # fmt: skip
WIDTHS = (64, 88, 112, 160, 224, 288, 384, 384)  # table 1, D0 to D7
LAYERS = (3, 4, 5, 6, 7, 7, 8, 8)
SIDES = (512, 640, 768, 896, 1024, 1280, 1280, 1536)


def _printed(name: str) -> str:
    """ "D7x" of "d7x"."""
    return "D" + name.removeprefix("d")


def detectors_rows() -> Iterator[Claim]:
    """Sizes and costs of D0 to D7x, and the readme's slip."""
    for name, millions in PARAMETERS.items():
        count = functools.partial(_millions, detector, name)
        yield Claim(f"{_printed(name)}, parameters", millions, count, "M", "13", DET,
                    "printed with two digits")  # fmt: skip
    for name, billions in BILLIONS.items():
        count = functools.partial(_billions_of_detector, name)
        yield Claim(f"{_printed(name)}, multiply-adds", billions, count, "G", "13", DET,
                    COUNTED)  # fmt: skip
    yield Claim(
        "D5, multiply-adds, in the readme", 130, lambda: _billions_of_detector("d5"),
        "G", "13", README_OF_D5, "a slip of the readme; the paper has 135",
    )  # fmt: skip
    yield Claim(
        "D0, places where an object is looked for (anchors)", 49_104,
        lambda: len(anchors.anchors((512, 512), efficientdet.CONFIGS["d0"].anchors)),
        "", "12", "https://github.com/rwightman/efficientdet-pytorch",
    )  # fmt: skip


def formula_rows() -> Iterator[Claim]:
    """The paper's table against the paper's formulas, phi from 0 to 7."""
    table = "the published table does not follow the formula; the table is what was run"
    for phi, (width, layers, side) in enumerate(
        zip(WIDTHS, LAYERS, SIDES, strict=True)
    ):
        rows = (
            ("channels of BiFPN", width, 64 * 1.35**phi),
            ("layers of BiFPN", layers, 3 + phi),
            ("side of the picture", side, 512 + 128 * phi),
        )
        for what, published, by_formula in rows:
            compute = functools.partial(float, by_formula)
            yield Claim(f"D{phi}, {what}, by the formula", published, compute, "", "13",
                        DET, table)  # fmt: skip


def classifier_rows() -> Iterator[Claim]:
    """Sizes and costs of B0 to B7."""
    digits = "printed with two digits"
    for name, (millions, billions) in CLASSIFIERS.items():
        count = functools.partial(_millions, classifier, name)
        yield Claim(f"{name.upper()}, parameters", millions, count, "M", "10", NET,
                    digits)  # fmt: skip
        side = efficientnet.CONFIGS[name].image_size
        cost = functools.partial(_billions, classifier, name, side)
        yield Claim(f"{name.upper()}, multiply-adds", billions, cost, "G", "10", NET,
                    "printed with two digits by another counter")  # fmt: skip


def search_rows() -> Iterator[Claim]:
    """NASNet's sizes, and what its search cost."""
    sizes = {"large": (88.9, 23.8, 331), "mobile": (5.3, 0.564, 224)}
    for name, (millions, billions, side) in sizes.items():
        count = functools.partial(_stored, name)
        yield Claim(f"NASNet-A {name}, parameters", millions, count, "M", "05", NAS,
                    STATISTICS)  # fmt: skip
        cost = functools.partial(_billions, stack, name, side)
        yield Claim(f"NASNet-A {name}, multiply-adds", billions, cost, "G", "05", NAS)
    cifar = functools.partial(_millions, stack, "cifar")
    yield Claim("NASNet-A 6 @ 768, parameters", 3.3, cifar, "M", "05", NAS)
    yield Claim(
        "NASNet's search, GPU-hours", 2000, lambda: 500 * 4 * 24, "h", "08", NAS,
        "500 GPUs for four days are 2,000 GPU-days",
    )  # fmt: skip


def _millions(build, name: str) -> float:
    return profiling.parameters(build(name)) / 1e6


def _stored(name: str) -> float:
    return values_stored(stack(name)) / 1e6


def _billions(build, name: str, side: int) -> float:
    return macs(build, name, side) / 1e9


def _billions_of_detector(name: str) -> float:
    side = efficientdet.CONFIGS[name].image_size[0]
    return _billions(detector, name, side)


def every() -> list[Claim]:
    """All claims, in the order of the page."""
    groups = search_rows, classifier_rows, formula_rows, detectors_rows
    return [claim for group in groups for claim in group()]


# Results that chapters quote. Nobody can compute them without the data of their papers.
QUOTED = (
    ("NASNet-A large, ImageNet top-1 (%)", "82.7", "05", NAS),
    ("NASNet-A mobile, ImageNet top-1 (%)", "74.0", "05", NAS),
    ("NASNet-A 6 @ 768 with cutout, CIFAR-10 error (%)", "2.65", "05, 24", NAS),
    ("D0 to D7x, COCO test-dev AP (%)", "34.6 40.5 43.9 47.2 49.7 51.5 52.6 53.7 55.1",
     "13, 24", DET),
    ("Once-for-All, GPU-hours for all devices", "1,240", "24",
     "https://arxiv.org/abs/1908.09791"),
    ("ENAS, GPU-days of the search", "0.5", "09, 24", "https://arxiv.org/abs/1802.03268"),
    ("DARTS second order, GPU-days; error (%)", "4; 2.76", "09, 24",
     "https://arxiv.org/abs/1806.09055"),
    ("DETR-R50, COCO AP (%)", "42.0", "24", "https://arxiv.org/abs/2005.12872"),
    ("RT-DETR-R50, COCO AP (%)", "53.1", "24", "https://arxiv.org/abs/2304.08069"),
)  # fmt: skip


# ---------------------------------------------------------------------------- the page
HEAD = """# What is published, and what comes out

This page is made by `make claims`; only the claims, their sources and the reasons are
typed. A gap is the computed number less the published one. FLOPs in these papers are
multiply-adds (chapter 03).

| claim | published | computed | gap | why | chapter |
|---|---|---|---|---|---|
"""


def _number(value: float | int) -> str:
    """Four digits at least, whole numbers whole."""
    if value >= 1e6:
        return f"{value:.4g}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def row(claim: Claim) -> str:
    """One line of the table."""
    gap = claim.gap()
    why = claim.reason if abs(gap) > ENOUGH else ""
    cells = (
        f"[{claim.what}]({claim.source})", f"{_number(claim.published)} {claim.unit}",
        f"{_number(claim.compute())} {claim.unit}", f"{gap:+.1f} %", why, claim.chapter,
    )  # fmt: skip
    return "| " + " | ".join(cell.strip() for cell in cells) + " |\n"


TAIL = """
## Quoted, not computed

These results need data and machines that the course does not have. They stand in the
chapters as their papers report them.

| result | reported | chapter |
|---|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    quoted = "".join(
        f"| [{what}]({source}) | {value} | {chapter} |\n"
        for what, value, chapter, source in QUOTED
    )
    return HEAD + "".join(map(row, every())) + TAIL + quoted


if __name__ == "__main__":
    checkpoints.write_file(PAGE, page().encode())
    sys.stdout.write(f"{len(every())} claims in {PAGE.name}\n")
