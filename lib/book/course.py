"""The course as a whole: headless runs, measured headers, the command line.

`python -m lib.book.course COMMAND` is what the Makefile calls. `run` executes chapters
into `build/`; only `execute` writes outputs into `chapters/`, and with them the
measured cost that stands in each header and in the README.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

import lib
from lib.book import copies, publish
from lib.book.publish import CHAPTERS, ROOT

BUILD = ROOT / "build"
WALL_LIMIT = 1200  # seconds a cell may take: catches hangs, judges nothing

# What an import costs more in peak memory with the CUDA wheels of Linux than with CPU
# wheels, although no GPU is used. Measured with torch 2.13.0 and torchvision 0.28.0 in
# both builds, three runs each, all within 1 MB: 526.1 against 228.4 MB for torch, then
# 185.0 against 97.8 MB for torchvision.
CUDA_IMPORT_BYTES = {"torch": 298_000_000, "torchvision": 87_000_000}


@dataclass(frozen=True)
class Cost:
    """What one chapter took: CPU-seconds of its kernel, wall seconds, peak bytes."""

    chapter: str
    result: str  # "passed" or what failed
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int

    @property
    def peak_mb(self) -> int:
        return round(self.peak_bytes / 1e6)


@dataclass(frozen=True)
class Usage:
    """What a kernel says of itself: CPU-seconds, peak bytes, cells run after setup."""

    cpu_seconds: float
    peak_bytes: int
    cells: int


def read_usage(file: Path) -> Usage:
    """The usage that `notebook.setup` left, less what a CUDA build costs at import."""
    used = json.loads(file.read_text(encoding="utf-8"))
    linux = sys.platform == "linux"
    extra = sum(CUDA_IMPORT_BYTES[m] for m in used["cuda_builds"]) if linux else 0
    return Usage(used["cpu_seconds"], used["peak_bytes"] - extra, used["cells"])


def names(only: str = "", drafts: bool = False) -> list[str]:
    """Chapter names such as "01_data", in order; `only` picks numbers: "01,03".

    A text becomes a chapter when `execute` writes its notebook; `drafts` also gives
    the texts that have none yet. Raises `ValueError` that lists the chapters there are.
    """
    texts = sorted(p.stem for p in (CHAPTERS / "py").glob("[0-9][0-9]_*.py"))
    every = [n for n in texts if drafts or (CHAPTERS / f"{n}.ipynb").exists()]
    wanted = [part.strip().zfill(2) for part in only.split(",") if part.strip()]
    if not wanted:
        return every
    chosen = [name for name in every if name[:2] in wanted]
    if len(chosen) != len(set(wanted)):
        raise ValueError(f"no chapter for {only!r}; there are: {', '.join(every)}")
    return chosen


# --------------------------------------------------------------------- headless runs


def read_chapter(name: str):
    """The notebook of a chapter from its text, its cell ids the cells' numbers.

    ValueError that names the file, for a text with a damaged header.
    """
    import jupytext

    where = f"chapters/py/{name}.py"
    try:
        notebook = jupytext.read(CHAPTERS / "py" / f"{name}.py")
    except Exception as error:  # of YAML or of nbformat
        said = str(error).splitlines()[0]
        raise ValueError(f"{where}: its header cannot be read ({said})") from error
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if "kernelspec" not in notebook.metadata or not code:
        raise ValueError(
            f"{where}: no header with a kernelspec between two lines `# ---`,"
            " or no cells; begin as the other chapters do"
        )
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"  # jupytext draws random ones, new at each reading
    kernel = notebook.metadata.get("kernelspec", {})
    notebook.metadata = {"kernelspec": kernel}
    return notebook


def run_one(
    name: str, folder: Path, on_cell=None, work: Path | None = None, change=None
):
    """Execute a chapter in a clean kernel with one thread.

    `work` is a folder for what the chapter keeps; by default one that is thrown away.
    `change(notebook)` may fill in stubs before the run.

    Returns the executed notebook and its `Cost`. A failing cell ends the run; its
    outputs up to there are in the notebook, and `Cost.result` names cell and error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )

    notebook = read_chapter(name)
    notebook = notebook if change is None else change(notebook)
    usage = folder / ".usage"
    usage.mkdir(parents=True, exist_ok=True)
    (usage / f"{name}.json").unlink(missing_ok=True)
    one = {"OMP_NUM_THREADS": "1", "COURSE_STATIC": "1", "COURSE_USAGE": str(usage)}
    nothing = tempfile.TemporaryDirectory()  # a run is the same whatever a learner kept
    one["COURSE_WORK"] = nothing.name if work is None else str(work)
    client = NotebookClient(
        notebook,
        timeout=WALL_LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=on_cell,
        # Errors only: newer kernels warn at each start that loopback is not encrypted.
        extra_arguments=["--log-level=40"],
    )
    begin, result = time.perf_counter(), "passed"
    try:
        with nothing:
            client.execute(env={**os.environ, **one})
    except CellExecutionError as error:
        where = f"cell {_failed_cell(notebook)}"
        result = f"failed: {where}: {error.ename}: {error.evalue}".splitlines()[0]
    except (CellTimeoutError, DeadKernelError) as error:
        result = f"failed: {type(error).__name__}"
    wall = time.perf_counter() - begin
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps would change at each run
    notebook.metadata.pop("widgets", None)
    try:
        used = read_usage(usage / f"{name}.json")
    except FileNotFoundError:  # it failed before setup()
        used = Usage(0.0, 0, 0)
    return notebook, Cost(name, result, used.cpu_seconds, wall, used.peak_bytes)


def _failed_cell(notebook) -> int:
    return next(
        i
        for i, cell in enumerate(notebook.cells)
        if any(o.output_type == "error" for o in cell.get("outputs", ()))
    )


def run(chosen: list[str], workers: int = 2) -> list[Cost]:
    """Execute chapters into `build/`, a few at once, with a progress bar over cells."""
    import nbformat
    from tqdm.auto import tqdm

    total = sum(c.cell_type == "code" for n in chosen for c in read_chapter(n).cells)
    with tqdm(total=total, unit="cell", desc="course") as bar:

        def one(name: str) -> Cost:
            notebook, cost = run_one(name, BUILD, on_cell=lambda **_: bar.update())
            publish.write(BUILD / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
            return cost

        with ThreadPoolExecutor(max(1, min(workers, lib.cpus()))) as pool:
            try:
                return list(pool.map(one, chosen))
            except KeyboardInterrupt:  # kernels do not hear it: end them, not the wait
                for kernel in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        kernel.kill()
                raise


def execute(chosen: list[str]) -> list[Cost]:
    """Execute chapters one after another, write them with outputs and measured cost.

    A chapter that fails leaves its files as they were. Raises `ValueError`, before
    anything runs, if the README has no row for one.
    """
    import nbformat

    publish.require_rows(chosen)
    costs = []
    for name in chosen:
        notebook, cost = run_one(name, BUILD)
        costs.append(cost)
        if cost.result != "passed":
            continue
        text = CHAPTERS / "py" / f"{name}.py"
        publish.write(
            text,
            publish.measured(
                text.read_text(encoding="utf-8"), cost.cpu_seconds, cost.peak_mb
            ),
        )
        notebook.cells[0] = read_chapter(name).cells[0]
        publish.write(CHAPTERS / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
    publish.write_contents(
        {c.chapter: (c.cpu_seconds, c.peak_mb) for c in costs if c.result == "passed"}
    )
    return costs


def table(costs: list[Cost], elapsed: float) -> str:
    """The table that ends a run that took `elapsed` seconds, with totals."""
    rows = [("chapter", "result", "CPU s", "wall s", "peak MB")]
    rows += [
        (c.chapter, _short(c.result), f"{c.cpu_seconds:.0f}", f"{c.wall_seconds:.0f}",
         str(c.peak_mb))
        for c in costs
    ]  # fmt: skip
    cpu = sum(c.cpu_seconds for c in costs)
    peak = max((c.peak_mb for c in costs), default=0)
    good = sum(c.result == "passed" for c in costs)
    rows.append(
        ("all", f"{good} of {len(costs)}", f"{cpu:.0f}", f"{elapsed:.0f}", str(peak))
    )
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join(
            text.ljust(w) if i < 2 else text.rjust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _short(result: str) -> str:
    """What fits into a row; the whole error stands in the chapter's notebook."""
    return result if len(result) <= 80 else f"{result[:79]}…"


def main() -> int:
    """The command line; see the Makefile for what each command is for."""
    parser = argparse.ArgumentParser(prog="python -m lib.book.course")
    parser.add_argument(
        "command",
        choices=[
            "copy",
            "update",
            "afresh",
            "progress",
            "run",
            "execute",
            "badges",
            "colab",
        ],  # fmt: skip
    )
    parser.add_argument("--only", default="", help='chapter numbers, such as "01,03"')
    parser.add_argument("--repo", default="", help="owner/name of the repository")
    args = parser.parse_args()
    # A Windows code page may lack a sign that an error message holds.
    sys.stdout.reconfigure(errors="replace")
    try:
        if not CHAPTERS.is_dir():
            raise ValueError(
                f"no folder {CHAPTERS}: the course runs from a clone of its repository,"
                " installed with `pip install -e .`"
            )
        status = _carry_out(args.command, args.only, args.repo)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough: Python must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _carry_out(command: str, only: str, repo: str) -> int:
    """One command; 1 if a chapter failed, else 0."""
    if command in ("run", "execute"):
        chosen = names(only, drafts=bool(only))
        begin = time.perf_counter()
        costs = run(chosen) if command == "run" else execute(chosen)
        print(table(costs, time.perf_counter() - begin))
        failed = [c.chapter for c in costs if c.result != "passed"]
        if failed and command == "run":
            print("see", ", ".join(f"build/{name}.ipynb" for name in failed))
        return 1 if failed else 0
    if command == "copy":
        copied = copies.copy_missing()
        print(f"copied into work/: {', '.join(copied) or 'nothing was missing'}")
    elif command == "update":
        print("\n".join(copies.update()))
    elif command == "afresh":
        if not only:
            raise ValueError("afresh: which chapters? for example --only 11")
        print("\n".join(copies.afresh(names(only))))
    elif command == "progress":
        from lib.book import progress  # it reads exercises: a second of imports

        print(progress.report())
    elif command == "badges":
        publish.write_badges(repo)
    else:
        publish.install_on_colab()
    return 0


if __name__ == "__main__":
    sys.exit(main())
