"""The shards of a table: files to which rows are only added, and how one is read.

A shard has a header and a row for each training, a line of JSON each. Every row carries
a checksum. Support for `tabular`, which says what a row is and who writes it.
"""

import json
import zlib
from pathlib import Path

import numpy as np

from lib.basics import arguments
from lib.nas import search_space

SPLITS = ("validation", "test")
# Of the shards: 1 had rows without a checksum, and they are still read.
FORMAT = 2


def checksum(row: dict) -> int:
    """CRC-32 of a row without its own: one flipped digit, and it is another."""
    arguments.instance("row", row, dict)
    rest = sorted(item for item in row.items() if item[0] != "crc")
    return zlib.crc32(json.dumps(rest).encode())


def whole_lines(path: Path) -> list[bytes]:
    """The lines that have an end; one empty line if there is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:  # a folder of that name, no right to read it
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return lines[:-1] or [b""]


def _parsed(line: bytes) -> dict | None:
    """A line as a dictionary; None where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, or brackets without end
        return None
    return value if isinstance(value, dict) else None


def insist_on_header(path: Path, line: bytes, about: dict) -> int:
    """The format of a shard, once its header says that it is of this task."""
    head = _parsed(line)
    if head is None:
        raise ValueError(f"{path}, line 1: {_cut(line)} is no header")
    version = head.pop("format", 1)
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ValueError(
            f"{path}: its format is {version!r}; this version of the course reads 1 to"
            f" {FORMAT}"
        )
    for name in {**about, **head}:
        if head.get(name) != about.get(name):
            raise ValueError(
                f"{path}: its {name} is {head.get(name)!r}, not {about.get(name)!r}:"
                " take another folder for another task"
            )
    return version


def row_of(task, line: bytes, version: int) -> dict | str:
    """A row of a shard, checked; or, as a text, what is wrong with it."""
    row = _parsed(line)
    if row is None or not {"cell", "seed", *SPLITS} <= set(row):
        return f"{_cut(line)} is no row"
    if version > 1 and row.get("crc") != checksum(row):
        return f"{_cut(line)} is damaged: its checksum is another"
    try:
        search_space.from_text(row["cell"])
        arguments.whole_number("seed", row["seed"], 0, task.seeds - 1)
        for split in SPLITS:
            counts = arguments.whole_numbers(split, row[split], least=0)
            if len(counts) != task.epochs or max(counts) > getattr(task, split):
                return (
                    f"{split} is {row[split]}; it must be {task.epochs} counts, of"
                    f" {getattr(task, split)} crops at most"
                )
    except ValueError as error:
        return str(error)
    return row


def _cut(line: bytes) -> str:
    """A line as a message shows it."""
    return repr(line) if len(line) <= 200 else f"{line[:200]!r} ..."


def column(rows: list[dict], name: str) -> np.ndarray:
    """What all rows say under one name, in their order."""
    return np.array([row[name] for row in rows])


def answers(accuracy: np.ndarray) -> dict[int | None, list]:
    """Accuracies (cells, seeds, epochs) by seed; None: the mean over seeds.

    In plain lists, since a query of one number is faster in them.
    """
    answers: dict[int | None, list] = {None: accuracy.mean(1).tolist()}
    for seed in range(accuracy.shape[1]):
        answers[seed] = accuracy[:, seed].tolist()
    return answers


def insist_on_there(table, split, seed, epoch) -> None:
    """ValueError unless a table has the split, the seed and the epoch."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it is one of {SPLITS}")
    seeds, epochs = table.seeds, table.epochs
    if not _is_one_of(seed, range(seeds)):
        raise ValueError(f"seed is {seed!r}; it is 0 to {seeds - 1}, or None")
    if not _is_one_of(epoch, range(1, epochs + 1)):
        raise ValueError(f"epoch is {epoch!r}; it is 1 to {epochs}, or None")


def _is_one_of(number, allowed: range) -> bool:
    """True for None and for a whole number of the range; True itself is none."""
    if number is None or type(number) is int:
        return number is None or number in allowed
    try:
        return arguments.whole_number("", number) in allowed
    except ValueError:
        return False


def new_row(text: str, seed: int, right: dict[str, list[int]], seconds: float) -> dict:
    """A line of a shard: right answers of each split, seconds, a checksum."""
    row = {"cell": text, "seed": seed, **right, "seconds": round(seconds, 3)}
    return row | {"crc": checksum(row)}
