"""Challenges with a board: one command verifies an entry on fresh seeds.

    python -m lib.road.challenge trainings my_search.py
    python -m lib.road.challenge smallest my_detector.onnx
    python -m lib.road.challenge seconds my_training.py

`trainings`: how many cells are asked until one of the best per cent is among them. The
file has `search(ask, space, seed)`; each `ask(cell)` is one noisy training from the
table. `smallest`: the kilobytes of an ONNX file with AP 0.75 at least. `seconds`:
CPU-seconds from nothing to AP 0.60. The file has `train(seed)` and gives a detector.
Its pictures are drawn anew, and processes that it starts and waits for count as well.

Seeds are drawn when an entry is verified and stand in its row, so that anybody can
verify it again. Budgets are enforced: what goes beyond is no entry. The board trusts
that a search knows nothing of the table but what it asks, and that a training reads no
weights and uses no GPU.
"""

import argparse
import json
import os
import random
import runpy
import secrets
import statistics
from os import PathLike
from pathlib import Path

import lib
from lib.basics import arguments, data, files
from lib.compression import export
from lib.detection import coco_eval, detectors
from lib.nas import search, search_space, tabular
from lib.road import judging

ENTRIES = lib.ROOT / "data" / "ablations" / "challenges.jsonl"
BOARD = lib.ROOT / "data" / "ablations" / "BOARD.md"
TRIES = lib.ROOT / "data" / "ablations" / "from_nothing.jsonl"
SEARCHES, MOST_ASKED = 9, 500  # searches of an entry, and what each may ask
SCENES = 300
ENOUGH = {"smallest": 0.75, "seconds": 0.60}  # AP
MOST_SECONDS = 900  # of CPU
TITLES = {
    "trainings": "Fewest trainings to a cell of the best per cent",
    "smallest": "Smallest file with AP 0.75",
    "seconds": "CPU-seconds from nothing to AP 0.60",
}
UNITS = {"trainings": "trainings, median", "smallest": "kB", "seconds": "CPU-seconds"}


class Refused(ValueError):
    """An entry that goes beyond a budget or does not reach what is asked."""


class Enough(Exception):
    """Told to a search that may ask no more: a good cell has been asked."""


def trainings(find, seed: int) -> tuple[float, str]:
    """Median of the cells asked until one of the best per cent; Refused beyond 500."""
    table = tabular.load()
    ranked = sorted(table.genotypes, key=table.query, reverse=True)
    best = {search_space.canonical(g) for g in ranked[: len(ranked) // 100]}
    counts = []
    for turn in range(SEARCHES):
        noisy = search.noisy(table, random.Random(seed + turn))
        asked = []

        def ask(cell, noisy=noisy, asked=asked):
            value = noisy(cell)
            asked.append(cell)
            if search_space.canonical(cell) in best:
                raise Enough
            if len(asked) >= MOST_ASKED:
                raise Refused(f"{MOST_ASKED} trainings, and none of the best per cent")
            return value

        try:
            find(ask, table.space, seed + turn)
        except Enough:
            counts.append(len(asked))
        else:
            raise Refused(f"search {turn} ended with no cell of the best per cent")
    return float(statistics.median(counts)), f"{min(counts)} to {max(counts)}"


def smallest(path: str | PathLike, seed: int) -> tuple[float, str]:
    """Kilobytes of a file; Refused below AP 0.75 on fresh scenes."""
    told = _reached(export.Network(path), seed, ENOUGH["smallest"])
    return round(judging.where(path).stat().st_size / 1000, 1), told


def seconds(train, seed: int) -> tuple[float, str]:
    """CPU-seconds of `train(seed)`; Refused beyond 900 or below AP 0.60."""
    kept, data.CACHE = data.CACHE, None
    try:
        begun = spent_so_far()
        model = train(seed)
        spent = spent_so_far() - begun
    finally:
        data.CACHE = kept
    if spent > MOST_SECONDS:
        raise Refused(f"it took {spent:.0f} CPU-seconds; {MOST_SECONDS} are allowed")
    return float(round(spent)), _reached(model, seed, ENOUGH["seconds"])


def spent_so_far() -> float:
    """CPU-seconds of this process, and of those that it started and waited for."""
    return sum(os.times()[:4])


def _reached(model, seed: int, enough: float) -> str:
    """AP on fresh scenes as a text; Refused if it is not enough."""
    scenes = detectors.scenes("test", SCENES, seed=seed)
    ap = coco_eval.evaluate(scenes.coco(), coco_eval.detections(model, scenes)).ap
    if ap < enough:
        raise Refused(f"AP {ap:.3f} on {SCENES} fresh scenes; {enough} is asked")
    return f"AP {ap:.3f}"


def verify(challenge: str, entry: str, seed: int | None = None, name: str = "") -> dict:
    """The row of an entry: its score on a fresh seed. Refused, or ValueError."""
    arguments.one_of("challenge", challenge, tuple(TITLES))
    seed = secrets.randbelow(10**6) if seed is None else arguments.seed(seed)
    if challenge == "smallest":
        score, told = smallest(entry, seed)
    else:
        function = {"trainings": "search", "seconds": "train"}[challenge]
        if not Path(entry).is_file():
            raise ValueError(f"entry {entry} is no file: give one with `{function}`")
        names = runpy.run_path(entry)
        if function not in names:
            raise ValueError(f"entry {entry} defines no function `{function}`")
        judge = trainings if challenge == "trainings" else seconds
        score, told = judge(names[function], seed)
    name = name or Path(entry).stem
    row = {"challenge": challenge, "entry": name, "score": score}
    return row | {"told": told, "seed": seed}


def board(rows: list[dict]) -> str:
    """All rows as Markdown, a table for each challenge, the best first."""
    parts = ["# Board of the challenges", PREFACE]
    for challenge, title in TITLES.items():
        mine = [row for row in rows if row["challenge"] == challenge]
        mine.sort(key=lambda row: row["score"])
        parts.append(f"## {title}")
        columns = ("entry", UNITS[challenge], "verified", "seed")
        lines = [(r["entry"], f"{r['score']:g}", r["told"], r["seed"]) for r in mine]
        parts.append(judging.markdown(columns, lines) if lines else "No entry yet.")
    if tried := read(TRIES):
        columns = ("tried", "AP, validation", "CPU-seconds")
        tried.sort(key=lambda row: -row["ap"])
        lines = [(r["try"], f"{r['ap']:.3f}", r["cpu_seconds"]) for r in tried]
        parts += [BEFORE, judging.markdown(columns, lines)]
    return "\n\n".join(parts) + "\n"


PREFACE = (
    "Written by `python -m lib.road.challenge`; do not edit. The first entries are the"
    " course's own.\n\nTried for the smallest file, and no help: the searched detector"
    " (`detector_course`).\nIts file is smaller than any other in floats, but its AP is"
    " 0.747 on 1,000 test scenes before\nanything is rounded (`data/weights/`)."
    " The rows of all other comparisons, those that\nhelped and those that did not,"
    " stand in the `.jsonl` files of this folder."
)


BEFORE = (
    "Tried before our own entry (`from_nothing.py`; one seed each, on one core of\n"
    "an AMD EPYC that others used too):"
)


def enter(row: dict, entries: Path = ENTRIES, page: Path = BOARD) -> None:
    """Add a row to the entries, and write the board anew."""
    rows = read(entries) + [row]
    text = "".join(json.dumps(each) + "\n" for each in rows)
    files.write_file(entries, text.encode("utf-8"))
    files.write_file(page, board(rows).encode("utf-8"))


def read(entries: Path = ENTRIES) -> list[dict]:
    """All rows so far; [] where there are none."""
    if not entries.exists():
        return []
    lines = entries.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main(words: list[str] | None = None) -> None:
    """The command line: verify an entry, write its row."""
    parser = argparse.ArgumentParser(prog="python -m lib.road.challenge")
    parser.add_argument("challenge", choices=TITLES)
    parser.add_argument("entry", help="a file; for `smallest` also a shipped name")
    parser.add_argument("--seed", type=int, help="to verify a row again")
    parser.add_argument("--name", default="", help="what stands in the board")
    how = parser.parse_args(words)
    try:
        row = verify(how.challenge, how.entry, how.seed, how.name)
    except ValueError as error:
        raise SystemExit(f"no entry: {error}") from error
    enter(row)
    print(f"{row['entry']}: {row['score']:g} {UNITS[how.challenge]} ({row['told']})")


if __name__ == "__main__":
    main()
