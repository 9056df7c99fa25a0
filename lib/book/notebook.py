"""What every chapter calls: setup, show, check, quiz and their kin.

`setup` prepares one kernel and says so in a line. `show` prints the live source of
the library, so that a chapter cannot drift from it. `check` grades an answer in words
and leaves a JSON result that a lecturer's collector can read from the notebook.
Chapters import these names directly; everything else is called by its module.
"""

import functools
import itertools
import json
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

# Chapters ask for these here.
from lib.book.answers import (  # noqa: F401
    RESULT_MIME,
    build,
    check,
    hint,
    restore,
    solution,
    submit,
    yours,
)
from lib.book.environment import environment  # noqa: F401
from lib.book.guesses import guess, guesses, measured  # noqa: F401
from lib.book.milestones import milestone  # noqa: F401
from lib.book.pages import table  # noqa: F401
from lib.book.records import RECORDS
from lib.exercises import kept, of_chapter, places

USAGE = "COURSE_USAGE"  # a folder: each cell leaves the kernel's cost there


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
    RECORDS.chapter = chapter.partition("_")[2]
    if waiting := kept.identifiers():
        print(f"kept from before: {len(waiting)} functions; yours(load=True) adopts")
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
    pages.put(*pages.source(thing, folded))


def quiz(chapter: str) -> None:
    """Show a chapter's questions: to click where a kernel runs, else to unfold.

    `chapter` is the name without its number, for example "data". It ends the chapter,
    so a measured run draws every slider again here: RuntimeError names one that a later
    cell has broken.
    """
    if os.environ.get(USAGE) and (broken := widgets.broken()):
        raise RuntimeError("; ".join(broken))
    with places.own():  # an answer that is a number is computed
        questions = of_chapter(chapter).QUIZ
    text, page = pages.questions(questions)
    if widgets.static():
        pages.put(text, page)
        return
    asked = [
        (f"{number}. {q.prompt}", [(o.text, o.correct, o.why) for o in q.options])
        for number, q in enumerate(questions, 1)
    ]
    try:
        heard = functools.partial(_chosen, chapter)
        box = widgets.questions(asked, heard)
    except ImportError:  # no ipywidgets here: the folded questions need none
        pages.put(text, page)
        return
    page = f"<p>Each answer unfolds to its reason.</p>{page}"
    for bundle in widgets.live_or_still(box, still=page, text=text):
        display(bundle, raw=True)


def _chosen(chapter: str, number: int, choice: int) -> None:
    RECORDS.choices.setdefault(chapter, {})[str(number)] = choice
