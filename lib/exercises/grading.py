"""How an answer is graded, and refused in words that help.

An answer meets the cases worked by hand, 24 seeded random cases from small to large,
then the properties. If it behaves like a named wrong answer on every case, that
answer's message is shown; otherwise the kind of failure and the smallest input that
shows it.
"""

import contextlib
import copy
import ctypes
import dataclasses
import dis
import io
import linecache
import random
import sys
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.exercises import Exercise
from lib.exercises.comparing import difference, plain, short

SECONDS = 10.0  # for all cases of one answer together
PRINTED = 2000  # characters that an answer may print before the rest is dropped


@dataclasses.dataclass(frozen=True)
class Result:
    """What grading found. `status` is 'not attempted', 'refused' or 'passed'."""

    status: str
    message: str
    wrong: str | None = None  # the named wrong answer that it behaves like


# ------------------------------------------------------------------ running answers


class OutOfTime(BaseException):
    """Raised inside an answer that ran too long; not an Exception, so that a
    learner's own `except Exception` does not swallow it."""


class _Deadline:
    """Raise `OutOfTime` in this thread after some seconds, on any platform.

    Again every half second: a bare `except:` in a loop swallows the first ones.
    """

    def __init__(self, seconds: float):
        self.thread, self.lock = threading.get_ident(), threading.Lock()
        self.seconds, self.over = seconds, threading.Event()

    def _raise(self, what):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), what)

    def _watch(self):
        wait = self.seconds
        while not self.over.wait(wait):
            with self.lock:
                if not self.over.is_set():
                    self._raise(ctypes.py_object(OutOfTime))
            wait = 0.5

    def __enter__(self):
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, *_):
        with self.lock:
            self.over.set()
            self._raise(None)  # a late exception must not hit whoever runs next


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
def _undisturbed():
    """Gradients on inside; afterwards the global settings are as they were.

    So an answer that seeds or draws does not move the chapter's own chance, and a
    cell that turned gradients off does not hide a lost one.
    """
    dtype = torch.get_default_dtype()
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
            random.setstate(states[0])
            np.random.set_state(states[1])


@dataclasses.dataclass
class _Outcome:
    value: Any = None
    error: BaseException | None = None
    changed: int | None = None  # position of an argument that the answer changed
    gradients: tuple | None = None


def _run(function, args: tuple, gradient: tuple[int, ...]) -> _Outcome:
    given = copy.deepcopy(args)
    try:
        with _undisturbed():
            value = function(*given)
    except (Exception, SystemExit) as error:
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
        except (Exception, SystemExit) as error:
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


def not_attempted(mine) -> bool:
    """True for `...`, None, and a function whose body is only `...` or `pass`."""
    if mine is None or mine is Ellipsis:
        return True
    code = getattr(mine, "__code__", None)
    if code is None:
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP")]
    constants = [i.argval for i in steps if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    empty = len(constants) == sum(
        i.opname not in ("RETURN_VALUE", "POP_TOP") for i in steps
    )
    return empty and all(c is None or c is Ellipsis for c in constants)


def grade(exercise: Exercise, mine, seconds: float = SECONDS) -> Result:
    """Compare an answer with the reference; the words say what to try next."""
    if not_attempted(mine):
        return Result("not attempted", "not attempted yet")
    if exercise.cases is None:
        return _grade_value(exercise, mine)
    if not callable(mine):
        return Result("refused", f"a function is asked, yours is {short(mine)}")
    cases = exercise.draw()
    expected = _run_all(exercise, exercise.reference, cases)
    got, broken = [], None
    try:
        printed = contextlib.redirect_stdout(_FirstPrints(sys.stdout))
        with _Deadline(seconds), printed:
            for args in cases:
                got.append(_run(mine, args, exercise.gradient))
            if _agree(exercise, expected, got):
                broken = _broken_property(exercise, mine, cases)
    except OutOfTime:
        call = _call(cases[min(len(got), len(cases) - 1)])
        message = f"no answer after {seconds:g} s: does a loop never end? Input: {call}"
        return Result("refused", message)
    if broken:
        return Result("refused", broken)
    if _agree(exercise, expected, got):
        return Result("passed", f"right on all {len(cases)} cases")
    for wrong in exercise.wrong:
        if _agree(exercise, _run_all(exercise, wrong.answer, cases), got):
            return Result("refused", wrong.message, wrong.answer.__name__)
    return Result("refused", _diagnose(exercise, mine, cases, expected, got))


def _run_all(exercise: Exercise, function, cases) -> list[_Outcome]:
    return [_run(function, args, exercise.gradient) for args in cases]


def _agree(exercise: Exercise, a: list[_Outcome], b: list[_Outcome]) -> bool:
    return all(_same(x, y, exercise.tolerance) for x, y in zip(a, b, strict=True))


def _broken_property(exercise: Exercise, mine, cases) -> str | None:
    for rule in exercise.properties:
        said = f"one thing does not hold: {rule.says}"
        try:
            with _undisturbed():
                if not all(rule.holds(mine, *copy.deepcopy(args)) for args in cases):
                    return said
        except (Exception, SystemExit) as error:
            return f"{said}. There {_own_line(mine, error)}"
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


def _own_line(mine, error: BaseException) -> str:
    """Where in the learner's function, or one beside it, the exception arose."""
    code, trace, line = getattr(mine, "__code__", None), error.__traceback__, None
    owner = code
    while trace is not None:
        frame = trace.tb_frame.f_code
        if code is not None and frame.co_filename == code.co_filename:
            line = trace.tb_lineno
            if frame.co_name[0] != "<":  # a comprehension belongs to its function
                owner = frame
        trace = trace.tb_next
    said = f"{type(error).__name__}: {error}"
    if line is None or code is None:
        return f"your function could not be called: {said}"
    text = linecache.getline(code.co_filename, line).strip()
    whose = "your function" if owner is code else f"your `{owner.co_name}`"
    return f"line {line - owner.co_firstlineno + 1} of {whose}, `{text}`: {said}"


def _diagnose(exercise: Exercise, mine, cases, expected, got) -> str:
    failing = [
        i
        for i in range(len(cases))
        if not _same(expected[i], got[i], exercise.tolerance)
    ]
    i = min(failing, key=lambda i: _size(cases[i]))
    want, have, call = expected[i], got[i], _call(cases[i])
    if have.error is not None:
        return f"{_own_line(mine, have.error)}. It was called with {call}"
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
