"""Answers that are kept: a file for each core function, below `work/yours/`.

A file counts only after it was imported in a fresh process and graded there: what a
kernel still remembers, and a file does not hold, is found at once. Earlier versions
stay. Nothing here runs by itself: importing `lib` never loads a learner's code.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lib
from lib.exercises.sources import CannotCollect, collect

PATIENCE = 300  # seconds for a fresh process: importing torch can take many of them
IDENTIFIER = re.compile(r"[a-z_0-9]+\.[A-Za-z_0-9]+")


def folder() -> Path:
    """Where core functions are kept."""
    return lib.work() / "yours"


def path(identifier: str) -> Path:
    """The file of a core function, as "work/yours/bifpn.fast_fusion.py"."""
    if not IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is no id; one is 'bifpn.fast_fusion'")
    return folder() / f"{identifier}.py"


def identifiers() -> list[str]:
    """The ids of all core functions that have a file, sorted."""
    files = folder().glob("*.py")
    return sorted(f.stem for f in files if IDENTIFIER.fullmatch(f.stem))


def versions(identifier: str) -> list[Path]:
    """All versions of a core function, the oldest first."""
    name = re.compile(re.escape(identifier) + r"\.(\d+)\.py")
    found = {
        int(match[1]): file
        for file in (folder() / "versions").glob("*.py")
        if (match := name.fullmatch(file.name))
    }
    return [found[k] for k in sorted(found)]


@dataclass(frozen=True)
class Kept:
    """What became of a file: its version, or why there is none."""

    version: int | None
    why: str = ""


def keep(identifier: str, mine: Callable, name: str) -> Kept:
    """Write an answer into its file, once a fresh process finds it right.

    `name` is what the file defines. On any failure the file stays as it was.
    """
    try:
        text = collect(mine, name)
    except CannotCollect as error:
        return Kept(None, str(error))
    return keep_text(identifier, text)


def keep_text(identifier: str, text: str) -> Kept:
    """`keep` for a text that is there already, as a hand-in has it."""
    target = path(identifier)
    trial = target.with_name(f".{identifier}.{os.getpid()}.tmp")
    try:
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.write_text(text, encoding="utf-8")
        why = graded_afresh(identifier, trial)
        if why:
            trial.unlink()
            return Kept(None, why)
        version = _add_version(identifier, text)
        os.replace(trial, target)
    except OSError as error:
        return Kept(None, f"{error.filename or target}: {error.strerror}")
    return Kept(version)


def _add_version(identifier: str, text: str) -> int:
    """The number of a version; the same text again is no new one."""
    known = versions(identifier)
    if known and known[-1].read_text(encoding="utf-8") == text:
        return number(known[-1])
    new = number(known[-1]) + 1 if known else 1
    place = folder() / "versions"
    place.mkdir(exist_ok=True)
    partial = place / f".{identifier}.{os.getpid()}.tmp"
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, place / f"{identifier}.{new}.py")
    return new


def number(version: Path) -> int:
    """The number of a version's file."""
    return int(version.stem.rpartition(".")[2])


def graded_afresh(identifier: str, file: Path) -> str:
    """Grade a file in a process of its own: "" if it passes, else what it lacks."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())}
    # -P: nothing is imported from the folder in which it stands; -B: nor written there.
    call = [sys.executable, "-BP", "-m", "lib.exercises.kept", identifier, str(file)]
    try:
        run = subprocess.run(
            call, cwd=file.parent, env=environment, timeout=PATIENCE,
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
        )  # fmt: skip
        verdict = json.loads(run.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no fresh process could try it: {error}"
    except (IndexError, ValueError):
        return f"a fresh process failed with it: {run.stderr.strip()[-200:]}"
    return "" if verdict["passed"] else f"a fresh process says: {verdict['message']}"


def _import_path() -> list[str]:
    """This kernel's places to import from, less its current folder."""
    return [str(lib.ROOT), *[p for p in sys.path if p]]


def load(identifier: str, file: Path) -> Callable:
    """The function that a kept file defines; ValueError names file and fault."""
    _, _, name = identifier.partition(".")
    title = f"yours_{identifier.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(title, file)
    if spec is None:  # a file that waits for its name does not end in .py
        loader = importlib.machinery.SourceFileLoader(title, str(file))
        spec = importlib.util.spec_from_loader(title, loader)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        kind = type(error).__name__
        raise ValueError(f"{file.name} cannot be run: {kind}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{file.name} defines no function {name}")
    return function


def main(identifier: str, file: str) -> None:
    """Tell the kernel that started this process what grading says of a file: JSON."""
    from lib.exercises import building, find  # `building` keeps what it adopts, here

    try:
        mine = load(identifier, Path(file))
        judged = building.judge(find(identifier), mine)
        verdict = {"passed": judged.status == "passed", "message": judged.message}
    except ValueError as error:
        verdict = {"passed": False, "message": str(error)}
    sys.stdout.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
