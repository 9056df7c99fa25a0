"""How far a learner is: chapters, points, what is built, and both machines drawn.

`make progress` reads what lies below `work/`: saved copies of chapters,
hand-ins, kept functions. It runs nothing of a learner's. The drawing shows the search
and the detector with the parts that run on the learner's code heavier. For
`course`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import lib
from lib.book import answers, architectures, handin, publish
from lib.book.figure import Figure, in_style
from lib.book.records import folder
from lib.book.sheet import BLUE, GREEN, PURPLE, SKY, Sheet
from lib.exercises import Exercise, every, kept

# Which part of the detector's drawing the core functions of a chapter make.
DETECTOR = {
    "data": "picture", "efficientnet": "backbone", "bifpn": "pyramid",
    "anchors": "anchors", "efficientdet": "box head", "detection_loss": "class head",
    "decoding": "decoding", "coco_eval": "boxes",
}  # fmt: skip
CHAPTERS = {
    "picture": "01", "backbone": "10", "pyramid": "11", "anchors": "12",
    "box head": "13", "class head": "14", "decoding": "15", "boxes": "16",
}  # fmt: skip
# The road of a search: chapter, words, colour, and the chapters that it hands on to.
SEARCH = {
    "search_space": ("04 space\na cell is a value", BLUE),
    "nasnet": ("05 cell\nvalue to network", BLUE),
    "training": ("02 training\none step", GREEN),
    "profiling": ("03 cost\nmultiply-adds", GREEN),
    "tabular": ("06 table\nrank correlation", GREEN),
    "search": ("07 evolution\none cycle", PURPLE),
    "controller": ("08 controller\nREINFORCE", PURPLE),
    "one_shot": ("09 one-shot\nmixed operation", PURPLE),
}
SHIP = {
    "sparsity": "17 zeros", "channel_pruning": "18 channels", "quantize": "19 numbers",
    "qat": "20 training", "integer": "21 integers", "export": "22 ONNX",
}  # fmt: skip


@dataclass
class Chapter:
    """One row: what a learner has reached in a chapter."""

    name: str  # as the module: "bifpn"
    number: str  # "11"
    exercises: dict[str, Exercise] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)

    @property
    def possible(self) -> int:
        return sum(e.points for e in self.exercises.values())

    @property
    def parts(self) -> list[str]:
        return [i for i, e in self.exercises.items() if e.place is not None]


def read() -> list[Chapter]:
    """All chapters in order, from copies, hand-ins and kept functions below `work/`.

    Files that cannot be read count for nothing.
    """
    chapters: dict[str, Chapter] = {}
    for identifier, exercise in every().items():
        name = identifier.partition(".")[0]
        number = exercise.number.partition(".")[0].zfill(2)
        chapter = chapters.setdefault(name, Chapter(name, number))
        chapter.exercises[identifier] = exercise
    reached = {**_points_of_copies()}
    for identifier, points in _points_of_hand_ins().items():
        reached[identifier] = max(points, reached.get(identifier, 0))
    files = set(kept.identifiers())
    for chapter in chapters.values():
        known = chapter.exercises
        chapter.points = {i: reached[i] for i in known if reached.get(i)}
        chapter.built = [i for i in chapter.parts if i in files]
    return list(chapters.values())


def _points_of_hand_ins() -> dict[str, int]:
    points = {}
    for file in sorted(folder().glob("*.json")):
        try:
            hand_in = handin.read(file)
        except ValueError:
            continue
        points |= {i: a.points for i, a in hand_in.answers.items()}
    return points


def _points_of_copies() -> dict[str, int]:
    """Points of the verdicts that stand in saved copies of chapters."""
    points = {}
    for file in sorted(lib.work().glob("[0-9][0-9]_*.ipynb")):
        try:
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            outputs = [o for cell in cells for o in cell.get("outputs", ())]
            records = [o.get("data", {}).get(answers.RESULT_MIME) for o in outputs]
            points |= {r["id"]: int(r["points"]) for r in records if r}
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            continue
    return points


def table(chapters: list[Chapter]) -> str:
    """One line a chapter: points, and which core functions are kept."""
    lines = ["chapter              points  core functions (+ is yours)"]
    for c in chapters:
        points = f"{sum(c.points.values())}/{c.possible}"
        parts = ", ".join(
            f"{'+' if i in c.built else '-'}{i.partition('.')[2]}" for i in c.parts
        )
        lines.append(f"{c.number} {c.name:18}{points:>6}  {parts}".rstrip())
    points = sum(sum(c.points.values()) for c in chapters)
    built = sum(len(c.built) for c in chapters)
    parts = sum(len(c.parts) for c in chapters)
    lines.append(
        f"{points} of {sum(c.possible for c in chapters)} points;"
        f" {built} of {parts} core functions are yours"
    )
    return "\n".join(lines)


def built_parts(chapters: list[Chapter]) -> tuple[list[str], list[str]]:
    """The parts of the search and of the detector that a learner has built."""
    names = [c.name for c in chapters if c.built]
    search = [n for n in names if n in SEARCH]
    return search, [DETECTOR[n] for n in names if n in DETECTOR]


def detector(chapters: list[Chapter]) -> Figure:
    """The detector with the learner's parts drawn heavier."""
    _, parts = built_parts(chapters)
    levels = {"P3": 16, "P4": 8, "P5": 4, "P6": 2, "P7": 1}
    count = f"{len(parts)} of {len(CHAPTERS)} parts of the detector run on your code."
    return architectures.detector(
        128, levels, chapters=CHAPTERS, highlight=parts,
        title="The detector: your parts are heavier", says=count,
    )  # fmt: skip


@in_style
def search(chapters: list[Chapter]) -> Figure:
    """The search, and how its result is shipped, with the learner's parts heavier."""
    yours = [c.name for c in chapters if c.built]
    drawn = [*SEARCH, *SHIP]
    sheet = Sheet(7.0, 2.6, "The search, and what is shipped: your parts are heavier",
                  [n for n in yours if n in drawn])  # fmt: skip
    middles = {}
    for i, (name, (words, colour)) in enumerate(SEARCH.items()):
        row, column = (0, i) if i < 4 else (1, i - 4)
        middles[name] = (0.95 + 1.7 * column, 2.15 - 0.75 * row)
        sheet.box(*middles[name], 1.4, 0.5, words, colour, name, 8)
    for start, stop in zip(SEARCH, list(SEARCH)[1:], strict=False):
        if middles[start][1] == middles[stop][1]:
            (x, y), (to, _) = middles[start], middles[stop]
            sheet.arrow((x + 0.7, y), (to - 0.7, y))
    sheet.route((6.05, 1.9), (6.05, 1.78), (0.95, 1.78), (0.95, 1.65))
    for i, (name, words) in enumerate(SHIP.items()):
        x = 0.75 + 1.1 * i
        sheet.box(x, 0.5, 0.95, 0.4, words, SKY, name, 8)
        if i:
            sheet.arrow((x - 0.62, 0.5), (x - 0.48, 0.5))
    count = sum(n in drawn for n in yours)
    says = f"{count} of {len(drawn)} parts of search and shipping run on your code."
    alt = "Boxes from space to one-shot search, and from zeros to ONNX. Yours: "
    return Figure(sheet.canvas, alt + (", ".join(yours) or "none"), says)


def write(chapters: list[Chapter], file: Path) -> None:
    """Both drawings as one page."""
    page = "".join(drawing.html() for drawing in (search(chapters), detector(chapters)))
    publish.write(
        file, f"<!doctype html><meta charset=utf-8><title>Yours</title>{page}"
    )


def report() -> str:
    """The table; the drawing is written beside the learner's work."""
    chapters = read()
    page = lib.work() / "progress.html"
    write(chapters, page)
    return f"{table(chapters)}\ndrawn in {page.parent.name}/{page.name}"
