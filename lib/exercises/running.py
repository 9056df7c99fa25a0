"""One call of an answer: on copies of its input, its traces taken away, all met.

What it returns, raises, changes, and the gradient of it. Global settings, chance and
what a cell turned off are afterwards as they were. Support for `grading`.
"""

import contextlib
import copy
import dataclasses
import dis
import gc
import io
import linecache
import operator
import os
import random
import sys
import types
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.exercises import Exercise
from lib.exercises.comparing import difference
from lib.exercises.deadline import OutOfTime

PRINTED = 400  # characters that an answer may print: the verdict stays in view


class FirstPrints(io.TextIOBase):
    """Passes on the first prints of an answer: 50 calls would bury the verdict."""

    def __init__(self, out):
        self.out, self.left = out, PRINTED

    def write(self, text: str) -> int:
        if self.left > 0:
            self.out.write(text[: self.left])
            self.left -= len(text)
            if self.left <= 0:
                self.out.write("\n(what it prints after this is not shown)\n")
        return len(text)


@contextlib.contextmanager
def given_back():
    """Global settings that an answer may turn are afterwards as they were."""
    settings = [
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
        (os.getcwd, os.chdir),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (_import_path, lambda path: operator.setitem(sys.path, slice(None), path)),
        (os.environ.copy, _put_environment_back),
        (lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)),
        (lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook)),
        (gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    ]
    before = [read() for read, _ in settings]
    with (
        undisturbed(),
        warnings.catch_warnings(),
        np.errstate(),
        np.printoptions(),
    ):
        try:
            yield
        finally:
            for value, (read, put_back) in zip(before, settings, strict=True):
                if not _reads(read, value):  # some take seconds: torch imports more
                    put_back(value)


def _import_path() -> list[str]:
    return list(sys.path)


def _put_environment_back(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _reads(read, value) -> bool:
    """True if a setting still is `value`; one that cannot be read is not."""
    try:
        return read() == value
    except OSError:  # the current folder is gone
        return False


@contextlib.contextmanager
def undisturbed():
    """Gradients on inside; afterwards chance, dtype and device are as they were.

    So an answer that seeds or draws does not move the chapter's own chance, and a
    cell that turned gradients off does not hide a lost one.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    states = random.getstate(), np.random.get_state()
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),
    ):
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            if torch.get_default_device() != device:
                torch.set_default_device(device)
            random.setstate(states[0])
            np.random.set_state(states[1])


@dataclasses.dataclass
class Outcome:
    """What one call came to. Where there is an error, or a change, the rest is None."""

    value: Any = None
    error: BaseException | None = None
    changed: int | None = None  # position of an argument that the answer changed
    gradients: tuple | None = None


def seen(exercise: Exercise, function):
    """What is compared: a function's return value, or what the exercise probes."""
    if exercise.probe is None:
        return function
    return lambda *args: exercise.probe(function, *args)


def run(function, args: tuple, gradient: tuple[int, ...]) -> Outcome:
    """Call a function on a copy of `args`; with its gradients if some are asked."""
    given = copy.deepcopy(args)
    try:
        with undisturbed():
            value = function(*given)
    except OutOfTime:
        raise
    except BaseException as error:  # its own kinds, SystemExit, GeneratorExit
        return Outcome(error=error)
    outcome = Outcome(value=value)
    for i, (before, after) in enumerate(zip(args, given, strict=True)):
        # A random generator among the arguments is meant to move on: not looked at.
        checked = isinstance(before, Tensor | np.ndarray | list | tuple | dict | set)
        if checked and difference(before, after, 0.0, exact=True):
            outcome.changed = i
            return outcome
    if gradient:
        try:
            with undisturbed():
                outcome.gradients = _gradients(function, args, gradient)
        except OutOfTime:
            raise
        except BaseException as error:
            outcome.error = error
    return outcome


def _gradients(function, args: tuple, positions: tuple[int, ...]) -> tuple | None:
    """Gradients of a fixed weighted sum of the output; None where one is lost."""
    given = list(copy.deepcopy(args))
    for i in positions:
        given[i] = given[i].requires_grad_(True)
    out = function(*given)
    outs = out if isinstance(out, tuple | list) else (out,)
    total = 0.0
    for o in outs:
        if isinstance(o, Tensor) and o.requires_grad:
            total = (
                total + (o * torch.arange(1.0, o.numel() + 1).reshape(o.shape)).sum()
            )
    if not isinstance(total, Tensor):
        return (None,) * len(positions)
    leaves = [given[i] for i in positions]
    return torch.autograd.grad(total, leaves, allow_unused=True)


def code_of(mine):
    """The code of a Python function, else None; an answer may be anything."""
    try:
        code = mine.__code__
    except Exception:
        return None
    return code if isinstance(code, types.CodeType) else None


def not_attempted(mine) -> bool:
    """True for `...`, None, and a function whose body is only `...` or `pass`."""
    if mine is None or mine is Ellipsis:
        return True
    code = code_of(mine)
    if code is None:
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP")]
    constants = [i.argval for i in steps if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    empty = len(constants) == sum(
        i.opname not in ("RETURN_VALUE", "POP_TOP") for i in steps
    )
    return empty and all(c is None or c is Ellipsis for c in constants)


def own_line(mine, error: BaseException, probe=None) -> str:
    """Where in the learner's function, or one beside it, the exception arose."""
    code, trace, line = code_of(mine), error.__traceback__, None
    owner = code
    while trace is not None:
        frame = trace.tb_frame.f_code
        here = code is not None and frame.co_filename == code.co_filename
        if here and frame is not code_of(probe):
            line = trace.tb_lineno
            if frame.co_name[0] != "<":  # a comprehension belongs to its function
                owner = frame
        trace = trace.tb_next
    said = f"{type(error).__name__}: {words_of(error)}"
    if line is None or code is None:
        probed = ", or what it gave not be used" if probe else ""
        return f"your function could not be called{probed}: {said}"
    text = linecache.getline(code.co_filename, line).strip()
    whose = "your function" if owner is code else f"your `{owner.co_name}`"
    return f"line {line - owner.co_firstlineno + 1} of {whose}, `{text}`: {said}"


def words_of(error: BaseException) -> str:
    """What an exception says of itself; its own `__str__` may raise."""
    try:
        return str(error)
    except Exception:
        return "(an exception that cannot be shown)"
