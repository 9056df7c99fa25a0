"""Arrays that were computed once, kept in files: read back as they were, or not at all.

A file's name is a hash of the code that computed it and of what was asked, so changed
code never finds old arrays. A file that is damaged in any way counts as missing; what
can be computed again need not be mended.

For `data`, whose pictures take seconds to draw.
"""

import contextlib
import functools
import hashlib
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np


def kept(
    folder: Path, kind: str, names: set[str], code: str, compute: Callable, how: tuple
) -> dict[str, np.ndarray]:
    """The arrays that `compute()` gives, from `folder` if they stand there.

    `kind` begins the file's name, `names` are those of the arrays, `how` is all that
    the result depends on beside `code`. Where nothing can be written, a warning says
    so, once for each folder.
    """
    key = hashlib.sha256(f"{code}{how}".encode()).hexdigest()
    path = folder / f"{kind}-{key[:24]}.npz"
    arrays = read(path)
    if arrays is None or set(arrays) != names:
        arrays = compute()
        try:
            write(path, arrays)
        except OSError as error:
            _say_once(str(folder), str(error))
    return arrays


def _seal(file, path: Path) -> bytes:
    """SHA-256 of an archive that begins at byte 32 of an open file, and of its name.

    The archive's own checksums do not cover its headers, where one changed bit shifts
    every pixel; and a file that was given another's name is not that file.
    """
    file.seek(32)
    archive = hashlib.file_digest(file, "sha256").digest()
    return hashlib.sha256(archive + path.name.encode()).digest()


def read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file of the cache; None if it is missing or damaged."""
    try:
        with open(path, "rb") as file:
            told = file.read(32)
            if _seal(file, path) != told:
                return None
            file.seek(32)
            with np.load(file, allow_pickle=False) as stored:
                return dict(stored)
    except Exception:  # whatever it is: the pictures can be drawn again
        return None


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a file of the cache in one move; OSError where that is not possible."""
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("*.tmp"):  # of processes that were killed at this
        if time.time() - old.stat().st_mtime > 3600:
            old.unlink(missing_ok=True)
    half = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(half, "w+b") as file:
            file.write(bytes(32))  # room for the seal
            np.savez(file, **arrays)
            seal = _seal(file, path)
            file.seek(0)
            file.write(seal)
        os.replace(half, path)  # a rename: nobody ever reads half a file
    finally:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)


@functools.cache  # once for each folder
def _say_once(folder: str, why: str) -> None:
    warnings.warn(
        f"what was drawn cannot be kept in {folder} ({why}), so every call draws it"
        " again; make that folder writable",
        stacklevel=5,  # whoever called the function that asked
    )
