"""How an answer is graded, and refused in words that help.

An answer meets the cases worked by hand, 24 seeded random cases from small to large,
then the properties. If it behaves like a named wrong answer on every case, that
answer's message is shown; otherwise the kind of failure and the smallest input that
shows it.
"""

import copy
import ctypes
import dataclasses
import dis
import linecache
import math
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.exercises import Exercise

SECONDS = 10.0  # for all cases of one answer together


@dataclasses.dataclass(frozen=True)
class Result:
    """What grading found. `status` is 'not attempted', 'refused' or 'passed'."""

    status: str
    message: str
    wrong: str | None = None  # the named wrong answer that it behaves like


# ---------------------------------------------------------------- comparing values


def short(value: Any, limit: int = 240) -> str:
    """A value in at most `limit` characters, tensors with their shape."""
    if isinstance(value, Tensor):
        shape, dtype = tuple(value.shape), str(value.dtype).removeprefix("torch.")
        numbers = value.detach().tolist()
        text = f"tensor{shape} {dtype} {_rounded(numbers)}"
    else:
        text = str(_rounded(value)) if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list | tuple):
        return type(value)(_rounded(v) for v in value)
    return value


def _is_number(value) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not (
        isinstance(value, bool)
    )


def difference(expected, got, tolerance: float) -> str | None:
    """In words, the first thing in which `got` differs from `expected`, or None."""
    if isinstance(expected, np.ndarray):
        if not isinstance(got, np.ndarray):
            return f"a NumPy array is asked, yours is of type {type(got).__name__}"
        expected, got = torch.from_numpy(expected), torch.from_numpy(got)
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, tolerance)
    if isinstance(got, Tensor) and got.ndim == 0:
        got = got.item()
    if isinstance(expected, bool):
        if not isinstance(got, bool | np.bool_):
            return f"True or False is asked, yours is of type {type(got).__name__}"
        return None if bool(got) == expected else "the truth value is the other one"
    if _is_number(expected):
        if not _is_number(got):
            return f"a number is asked, yours is of type {type(got).__name__}"
        if isinstance(expected, int) and not isinstance(got, int | np.integer):
            return f"a whole number (int) is asked, yours is a {type(got).__name__}"
        if math.isnan(got) and not math.isnan(expected):
            return "yours is not a number (NaN): look for 0/0 or the log of 0"
        close = math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
        return None if close or expected == got else "the number differs"
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple):
            return f"a list or tuple is asked, yours is a {type(got).__name__}"
        if len(expected) != len(got):
            return f"{len(expected)} items are asked, yours has {len(got)}"
        for i, (e, g) in enumerate(zip(expected, got, strict=True)):
            if said := difference(e, g, tolerance):
                return f"item {i}: {said}"
        return None
    if isinstance(expected, dict):
        if not isinstance(got, dict) or expected.keys() != got.keys():
            return f"a dict with the keys {sorted(expected, key=str)} is asked"
        for key in expected:
            if said := difference(expected[key], got[key], tolerance):
                return f"key {key!r}: {said}"
        return None
    if type(expected) is not type(got):
        return (
            f"the type {type(expected).__name__} is asked, yours is"
            f" {type(got).__name__}"
        )
    return None if expected == got else "the value differs"


def _tensor_difference(expected: Tensor, got, tolerance: float) -> str | None:
    if not isinstance(got, Tensor):
        return f"a tensor is asked, yours is of type {type(got).__name__}"
    if expected.shape != got.shape:
        return f"shape {tuple(expected.shape)} is asked, yours is {tuple(got.shape)}"
    if expected.dtype != got.dtype:
        return f"dtype {expected.dtype} is asked, yours is {got.dtype}"
    if expected.numel() == 0:
        return None
    if not expected.is_floating_point():
        return None if torch.equal(expected, got) else "the numbers differ"
    if (got.isnan() & ~expected.isnan()).any():
        return "yours holds NaN (not a number): look for 0/0 or the log of 0"
    size = expected[expected.isfinite()].abs().max() if expected.isfinite().any() else 1
    close = torch.allclose(
        expected, got, rtol=tolerance, atol=tolerance * max(1.0, float(size)),
        equal_nan=True,
    )  # fmt: skip
    return None if close else "the numbers differ"


# ------------------------------------------------------------------ running answers


class OutOfTime(BaseException):
    """Raised inside an answer that ran too long; not an Exception, so that a
    learner's own `except Exception` does not swallow it."""


class _Deadline:
    """Raise `OutOfTime` in this thread after some seconds, on any platform."""

    def __init__(self, seconds: float):
        self.thread, self.lock, self.open = threading.get_ident(), threading.Lock(), 1
        self.timer = threading.Timer(seconds, self._fire)
        self.timer.daemon = True

    def _raise(self, what):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), what)

    def _fire(self):
        with self.lock:
            if self.open:
                self._raise(ctypes.py_object(OutOfTime))

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *_):
        with self.lock:  # a late exception must not hit whoever runs next
            self.open = 0
        self.timer.cancel()


@dataclasses.dataclass
class _Outcome:
    value: Any = None
    error: Exception | None = None
    changed: int | None = None  # position of an argument that the answer changed
    gradients: tuple | None = None


def _run(function, args: tuple, gradient: tuple[int, ...]) -> _Outcome:
    given = copy.deepcopy(args)
    try:
        value = function(*given)
    except Exception as error:
        return _Outcome(error=error)
    outcome = _Outcome(value=value)
    for i, (before, after) in enumerate(zip(args, given, strict=True)):
        # A random generator among the arguments is meant to move on: not looked at.
        checked = isinstance(before, Tensor | np.ndarray | list | dict)
        if checked and difference(before, after, 0.0):
            outcome.changed = i
            return outcome
    if gradient:
        try:
            outcome.gradients = _gradients(function, args, gradient)
        except Exception as error:
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
    names = {i.opname for i in steps}
    empty = names <= {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP"}
    return empty and all(i.argval in (None, Ellipsis) for i in steps if i.argval)


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
        with _Deadline(seconds):
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
        if not all(rule.holds(mine, *copy.deepcopy(args)) for args in cases):
            return f"one thing does not hold: {rule.says}"
    return None


def _grade_value(exercise: Exercise, mine) -> Result:
    expected = exercise.reference()
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


def _own_line(mine, error: Exception) -> str:
    """Where in the learner's own function the exception came from."""
    code, trace, line = getattr(mine, "__code__", None), error.__traceback__, None
    while trace is not None:
        if code is not None and trace.tb_frame.f_code.co_filename == code.co_filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    said = f"{type(error).__name__}: {error}"
    if line is None or code is None:
        return f"your function could not be called: {said}"
    text = linecache.getline(code.co_filename, line).strip()
    return f"line {line - code.co_firstlineno + 1} of your function, `{text}`: {said}"


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
