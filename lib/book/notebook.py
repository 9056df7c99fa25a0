"""What every chapter calls: setup, show, check, quiz and their kin.

`setup` prepares one kernel and says so in a line. `show` prints the live source of
the library, so that a chapter cannot drift from it. `check` grades an answer in words
and leaves a JSON result that a lecturer's collector can read from the notebook.
Chapters import these names directly; everything else is called by its module.
"""

import html
import itertools
import json
import math
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from IPython import get_ipython
from IPython.display import display

import lib
from lib.book import pages, plots, widgets
from lib.book.environment import environment  # noqa: F401  (chapters ask for it here)
from lib.exercises import find, grading, of_chapter

RESULT_MIME = "application/vnd.nasnet-to-efficientdet.check+json"
USAGE = "COURSE_USAGE"  # a folder: each cell leaves the kernel's cost there

_attempts: dict[str, int] = {}
_hints_given: dict[str, int] = {}
_guesses: dict[str, float | None] = {}
_measured: dict[str, tuple[float, str]] = {}


def setup(chapter: str, seed: int = 0) -> torch.device:
    """Seed all generators, set threads and figure style, print one line.

    `chapter` is the notebook's name, for example "01_data". Returns the device:
    the first GPU if there is one, else the CPU.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    plots.style()
    late = ""
    if lib.TORCH_CAME_FIRST:
        torch.set_num_threads(min(torch.get_num_threads(), lib.cpus()))
        late = (
            " · torch came before lib: restart the kernel and begin at the first cell"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    quota = lib.cpu_quota()
    limit = "no quota" if quota is None else f"quota {quota:g}"
    threads = torch.get_num_threads()
    print(
        f"{chapter} · {device} · {threads} thread{'s' * (threads > 1)}"
        f" ({lib.cpus()} CPUs to use, {limit}) · seed {seed}"
        f" · torch {torch.__version__} · Python {sys.version.split()[0]}{late}"
    )
    if os.environ.get(USAGE) and (shell := get_ipython()) is not None:
        count = itertools.count(1)
        shell.events.register(
            "post_run_cell", lambda _: _write_usage(chapter, next(count))
        )
    return device


def peak_bytes() -> int:
    """The largest resident memory this process has had.

    Source: VmHWM in /proc on Linux (`ru_maxrss` there remembers the parent), the
    peak working set on Windows, `ru_maxrss` in bytes on macOS.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text("utf-8").splitlines() if "VmHWM" in s)
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _write_usage(chapter: str, cells: int) -> None:
    record = {
        "cpu_seconds": time.process_time(),
        "peak_bytes": peak_bytes(),
        "cells": cells,
        "cuda_builds": [m for m in ("torch", "torchvision") if m in sys.modules]
        if torch.version.cuda
        else [],
    }
    path = Path(os.environ[USAGE]) / f"{chapter}.json"
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(record), encoding="utf-8")
    partial.replace(path)


def show(thing, folded: bool = False) -> None:
    """Show the live source of a function, class or module, with its file and line.

    `folded` closes it until it is clicked: for what a stub above has just asked for.
    ValueError for what has none: a value, or a function that is compiled into Python.
    """
    _display(*pages.source(thing, folded))


def _display(text: str, page: str, **more) -> None:
    display({"text/plain": text, "text/html": page, **more}, raw=True)


def table(header: tuple[str, ...], rows) -> None:
    """Show rows of values under a header, as a page and as plain text."""
    rows = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    style = 'style="text-align:left"'
    head = "".join(f'<th scope="col" {style}>{html.escape(h)}</th>' for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td {style}>{html.escape(c)}</td>" for c in row) + "</tr>"
        for row in rows
    )
    page = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    _display("\n".join(lines), page)


def check(identifier: str, mine) -> None:
    """Grade an answer to the exercise `identifier` and say in words what it lacks.

    Also emits one JSON result under `RESULT_MIME`: schema, id, status, passed, the
    named wrong answer it matched (or null), attempts in this kernel, points.
    """
    exercise = find(identifier)
    result = grading.grade(exercise, mine)
    if result.status != "not attempted":
        _attempts[identifier] = _attempts.get(identifier, 0) + 1
    passed = result.status == "passed"
    record = {
        "schema": 1,
        "id": identifier,
        "status": result.status,
        "passed": passed,
        "wrong": result.wrong,
        "attempts": _attempts.get(identifier, 0),
        "points": exercise.points if passed else 0,
        "max_points": exercise.points,
    }
    about = f"{exercise.number} {exercise.name}"
    text, page = pages.verdict(result.status, about, result.message)
    _display(text, page, **{RESULT_MIME: record})


def hint(identifier: str) -> None:
    """Show the next hint of an exercise; each call goes one step further."""
    hints = find(identifier).hints
    step = min(_hints_given.get(identifier, 0), len(hints) - 1)
    _hints_given[identifier] = step + 1
    last = (
        " That was the last: then comes solution(...)."
        if step + 1 == len(hints)
        else ""
    )
    text = f"Hint {step + 1} of {len(hints)}: {hints[step]}{last}"
    _display(text, f"<p>{html.escape(text)}</p>")


def solution(identifier: str) -> None:
    """Show the reference answer of an exercise, and how else it could be done."""
    exercise = find(identifier)
    show(exercise.reference)
    if exercise.alternative is not None:
        _display("Another right way:", "<p>Another right way:</p>")
        show(exercise.alternative)


def guess(name: str, value) -> None:
    """Note what the reader expects of `name`, before it is measured; None is no guess.

    ValueError for what is no number, and once the answer is known: too late to guess.
    """
    if value is not None and (isinstance(value, bool) or not _is_number(value)):
        raise ValueError(f"the guess of {name!r} is {value!r}; give a number, or None")
    if value is not None and name in _measured and _guesses.get(name) != value:
        raise ValueError(f"{name!r} is measured already; restart to guess again")
    _guesses[name] = value
    told = "no guess yet" if value is None else f"your guess is {value:g}"
    _display(f"{name}: {told}", f"<p>{html.escape(name)}: {told}</p>")


def measured(name: str, value: float | int, unit: str = "") -> None:
    """Say what came out for `name`, beside the guess. ValueError: nobody was asked."""
    if name not in _guesses:
        raise ValueError(f"no guess of {name!r}; asked for: {', '.join(_guesses)}")
    _measured[name] = float(value), unit
    text = f"{name}: measured {_with_unit(value, unit)}; {_verdict(name)}"
    _display(text, f"<p>{html.escape(text)}</p>")


def guesses() -> None:
    """Show all guesses of this kernel beside what was measured."""
    rows = []
    for name, mine in _guesses.items():
        value, unit = _measured.get(name, (math.nan, ""))
        known = name in _measured
        told = "" if mine is None else _with_unit(mine, unit)
        answer = _with_unit(value, unit) if known else "not measured"
        rows.append((name, told, answer, _verdict(name) if known else ""))
    table(("what", "guess", "measured", "verdict"), rows)


def _is_number(value) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _with_unit(value: float | int, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()


def _verdict(name: str) -> str:
    """How far off a guess was: a factor, or a difference where one of them is 0."""
    mine, (value, _) = _guesses[name], _measured[name]
    if mine is None:
        return "no guess"
    if mine * value <= 0:
        return "right" if mine == value else f"off by {abs(mine - value):.2g}"
    ratio = mine / value
    if max(ratio, 1 / ratio) < 1.1:
        return "close: within a tenth"
    side = "too high" if abs(ratio) > 1 else "too low"
    return f"{side} by a factor of {max(ratio, 1 / ratio):.2g}"


def quiz(chapter: str) -> None:
    """Show a chapter's questions: to click where a kernel runs, else to unfold.

    `chapter` is the name without its number, for example "data". It ends the chapter,
    so a measured run draws every slider again here: RuntimeError names one that a later
    cell has broken.
    """
    if os.environ.get(USAGE) and (broken := widgets.broken()):
        raise RuntimeError("; ".join(broken))
    questions = of_chapter(chapter).QUIZ
    text, page = pages.questions(questions)
    if widgets.static():
        _display(text, page)
        return
    asked = [
        (f"{number}. {q.prompt}", [(o.text, o.correct, o.why) for o in q.options])
        for number, q in enumerate(questions, 1)
    ]
    try:
        box = widgets.questions(asked)
    except ImportError:  # no ipywidgets here: the folded questions need none
        _display(text, page)
        return
    page = f"<p>Each answer unfolds to its reason.</p>{page}"
    for bundle in widgets.live_or_still(box, still=page, text=text):
        display(bundle, raw=True)
