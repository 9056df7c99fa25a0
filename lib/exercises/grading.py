"""How an answer is graded, and refused in words that help.

An answer meets the cases worked by hand, 24 seeded random cases from small to large,
then the properties. If it behaves like a named wrong answer on every case, that
answer's message is shown; otherwise the kind of failure and the smallest input that
shows it.
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
from lib.exercises.comparing import difference, plain, short
from lib.exercises.deadline import OutOfTime, within

SECONDS = 10.0  # for all cases of one answer together
PRINTED = 2000  # characters that an answer may print before the rest is dropped
LONGEST = 4000  # characters of a message


@dataclasses.dataclass(frozen=True)
class Result:
    """What grading found. `status` is 'not attempted', 'refused' or 'passed'."""

    status: str
    message: str
    wrong: str | None = None  # the named wrong answer that it behaves like


# ------------------------------------------------------------------ running answers


class _FirstPrints(io.TextIOBase):
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
        (torch.get_num_threads(), torch.set_num_threads),
        (torch.is_anomaly_enabled(), torch.autograd.set_detect_anomaly),
        (
            torch.are_deterministic_algorithms_enabled(),
            torch.use_deterministic_algorithms,
        ),
        (os.getcwd(), os.chdir),
        (sys.getrecursionlimit(), sys.setrecursionlimit),
        (list(sys.path), lambda path: operator.setitem(sys.path, slice(None), path)),
        (gc.isenabled(), lambda on: gc.enable() if on else gc.disable()),
    ]
    with _undisturbed(), warnings.catch_warnings(), np.errstate():
        try:
            yield
        finally:
            for value, put_back in settings:
                put_back(value)


@contextlib.contextmanager
def _undisturbed():
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
class _Outcome:
    value: Any = None
    error: BaseException | None = None
    changed: int | None = None  # position of an argument that the answer changed
    gradients: tuple | None = None


def seen(exercise: Exercise, function):
    """What is compared: a function's return value, or what the exercise probes."""
    if exercise.probe is None:
        return function
    return lambda *args: exercise.probe(function, *args)


def _run(function, args: tuple, gradient: tuple[int, ...]) -> _Outcome:
    given = copy.deepcopy(args)
    try:
        with _undisturbed():
            value = function(*given)
    except OutOfTime:
        raise
    except BaseException as error:  # its own kinds, SystemExit, GeneratorExit
        return _Outcome(error=error)
    outcome = _Outcome(value=value)
    for i, (before, after) in enumerate(zip(args, given, strict=True)):
        # A random generator among the arguments is meant to move on: not looked at.
        checked = isinstance(before, Tensor | np.ndarray | list | tuple | dict | set)
        if checked and difference(before, after, 0.0):
            outcome.changed = i
            return outcome
    if gradient:
        try:
            with _undisturbed():
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


def _same(a: _Outcome, b: _Outcome, tolerance: float) -> bool:
    if a.error or b.error:
        return type(a.error) is type(b.error)
    if a.changed != b.changed or difference(a.value, b.value, tolerance):
        return False
    return _gradient_difference(a, b, tolerance) is None


def _gradient_difference(expected: _Outcome, got: _Outcome, tolerance) -> str | None:
    if expected.gradients is None or got.gradients is None:
        return None
    for e, g in zip(expected.gradients, got.gradients, strict=True):
        if e is not None and g is None:
            return (
                "the gradient is lost on the way: look for .item(), .detach(),"
                " torch.tensor(...) or a loop over Python numbers"
            )
        if e is not None and (said := difference(e, g, 10 * tolerance)):
            return f"the value is right but its gradient is not: {said}"
    return None


# ------------------------------------------------------------------------- grading


def _code(mine):
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
    code = _code(mine)
    if code is None:
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP")]
    constants = [i.argval for i in steps if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    empty = len(constants) == sum(
        i.opname not in ("RETURN_VALUE", "POP_TOP") for i in steps
    )
    return empty and all(c is None or c is Ellipsis for c in constants)


def grade(exercise: Exercise, mine, seconds: float = SECONDS) -> Result:
    """Compare an answer with the reference; the words say what to try next.

    For oneself: an answer that means to deceive can. It ends, and leaves the kernel's
    settings as they were, but it runs in this process and may do what this process may.
    """
    if not_attempted(mine):
        return Result("not attempted", "not attempted yet")
    met: list[tuple] = []  # the arguments of the call that runs now, last
    try:
        with given_back(), contextlib.redirect_stdout(_FirstPrints(sys.stdout)):
            result = within(seconds, lambda: _graded(exercise, mine, met))
    except OutOfTime as late:
        result = Result("refused", _late(seconds, met, late.left_behind))
    return dataclasses.replace(result, message=_cut(result.message))


def _graded(exercise: Exercise, mine, met: list[tuple]) -> Result:
    if exercise.cases is None:
        return _grade_value(exercise, mine)
    if not callable(mine):
        return Result("refused", f"a function is asked, yours is {short(mine)}")
    cases = exercise.draw()
    expected = _run_all(exercise, exercise.reference, cases)
    got, probed = [], seen(exercise, mine)
    for args in cases:
        met.append(args)
        got.append(_run(probed, args, exercise.gradient))
    if _agree(exercise, expected, got):
        if broken := _broken_property(exercise, mine, cases):
            return Result("refused", broken)
        return Result("passed", f"right on all {len(cases)} cases")
    for wrong in exercise.wrong:
        if _agree(exercise, _run_all(exercise, wrong.answer, cases), got):
            return Result("refused", wrong.message, wrong.answer.__name__)
    return Result("refused", _diagnose(exercise, mine, cases, expected, got))


def _late(seconds: float, met: list[tuple], left_behind: bool) -> str:
    """What is said of an answer that did not end by itself, and what was done."""
    where = f" Input: {_call(met[-1])}." if met else ""
    done = "It was stopped."
    if left_behind:
        done = "It could not be stopped and still runs: restart the kernel to end it."
    said = f"no answer after {seconds:g} s: does a loop never end?"
    return f"{said}{where} {done}"


def _cut(message: str) -> str:
    """A message that a page can hold, without signs that steer a terminal."""
    kept = message[:LONGEST]
    kept = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for c in kept
    )
    return kept if len(message) <= LONGEST else f"{kept}... (cut: {len(message)} signs)"


def _run_all(exercise: Exercise, function, cases) -> list[_Outcome]:
    probed = seen(exercise, function)
    return [_run(probed, args, exercise.gradient) for args in cases]


def _agree(exercise: Exercise, a: list[_Outcome], b: list[_Outcome]) -> bool:
    return all(_same(x, y, exercise.tolerance) for x, y in zip(a, b, strict=True))


def _broken_property(exercise: Exercise, mine, cases) -> str | None:
    for rule in exercise.properties:
        said = f"one thing does not hold: {rule.says}"
        try:
            with _undisturbed():
                if not all(rule.holds(mine, *copy.deepcopy(args)) for args in cases):
                    return said
        except OutOfTime:
            raise
        except BaseException as error:
            return f"{said}. There {own_line(mine, error, exercise.probe)}"
    return None


def _grade_value(exercise: Exercise, mine) -> Result:
    expected, mine = exercise.reference(), plain(mine)
    if isinstance(mine, float) and isinstance(expected, int) and mine.is_integer():
        mine = int(mine)  # 128.0 is as right as 128 where a number is asked
    said = difference(expected, mine, exercise.tolerance)
    if said is None:
        return Result("passed", "right")
    for i, wrong in enumerate(exercise.wrong):
        value = wrong.answer() if callable(wrong.answer) else wrong.answer
        if difference(value, mine, exercise.tolerance) is None:
            name = getattr(wrong.answer, "__name__", "<lambda>")
            name = f"wrong value {i + 1}" if name == "<lambda>" else name
            return Result("refused", wrong.message, name)
    return Result("refused", f"{short(mine)} is not it: {said}")


def _call(args: tuple) -> str:
    return "(" + ", ".join(short(a, 120) for a in args) + ")"


def _size(args: tuple) -> int:
    return sum(a.numel() if isinstance(a, Tensor) else len(str(a)) for a in args)


def own_line(mine, error: BaseException, probe=None) -> str:
    """Where in the learner's function, or one beside it, the exception arose."""
    code, trace, line = _code(mine), error.__traceback__, None
    owner = code
    while trace is not None:
        frame = trace.tb_frame.f_code
        here = code is not None and frame.co_filename == code.co_filename
        if here and frame is not _code(probe):
            line = trace.tb_lineno
            if frame.co_name[0] != "<":  # a comprehension belongs to its function
                owner = frame
        trace = trace.tb_next
    said = f"{type(error).__name__}: {_words(error)}"
    if line is None or code is None:
        return f"your function could not be called: {said}"
    text = linecache.getline(code.co_filename, line).strip()
    whose = "your function" if owner is code else f"your `{owner.co_name}`"
    return f"line {line - owner.co_firstlineno + 1} of {whose}, `{text}`: {said}"


def _words(error: BaseException) -> str:
    """What an exception says of itself; its own `__str__` may raise."""
    try:
        return str(error)
    except Exception:
        return "(an exception that cannot be shown)"


def _diagnose(exercise: Exercise, mine, cases, expected, got) -> str:
    failing = [
        i
        for i in range(len(cases))
        if not _same(expected[i], got[i], exercise.tolerance)
    ]
    i = min(failing, key=lambda i: _size(cases[i]))
    want, have, call = expected[i], got[i], _call(cases[i])
    if have.error is not None:
        return (
            f"{own_line(mine, have.error, exercise.probe)}. It was called with {call}"
        )
    if have.changed is not None:
        return (
            f"your function changes its input {have.changed}; work on a copy, since"
            " the caller still needs the original"
        )
    if have.value is None:
        return f"your function returned None for {call}: is a `return` missing?"
    if have.value is Ellipsis:
        return f"your function returned `...` for {call}: a part is left to fill in"
    varied = any(difference(expected[0].value, e.value, 1e-9) for e in expected[1:])
    same = all(difference(got[0].value, g.value, 0.0) is None for g in got[1:])
    if varied and same:
        return (
            f"your function returns the same for every input: {short(have.value)};"
            " does it use its arguments?"
        )
    said = difference(want.value, have.value, exercise.tolerance)
    if said is None:
        return f"{_gradient_difference(want, have, exercise.tolerance)}. Input: {call}"
    return (
        f"{said}. The smallest failing input: {call}\n"
        f"  expected {short(want.value)}\n  yours    {short(have.value)}"
    )
