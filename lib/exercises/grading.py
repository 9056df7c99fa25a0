"""How an answer is graded, and refused in words that help.

An answer meets the cases worked by hand, 24 seeded random cases from small to large,
then the properties. If it behaves like a named wrong answer on the cases by hand and on
most others, that answer's message is shown; otherwise what it is of the asked value, or
the kind of failure, and the smallest input that shows it.
"""

import contextlib
import copy
import dataclasses
import functools
import math
import sys
import time
import traceback
import types
from pathlib import Path

import torch

import lib
from lib.exercises import Exercise, Wrong
from lib.exercises.comparing import as_asked, difference, short
from lib.exercises.deadline import OutOfTime, within
from lib.exercises.diagnosing import call_text, diagnose, exactly, gradient_differs
from lib.exercises.running import (
    FirstPrints,
    Outcome,
    code_of,
    given_back,
    not_attempted,
    own_line,
    run,
    seen,
    undisturbed,
    words_of,
)
from lib.exercises.scaling import of_a_value

SECONDS = 10.0  # for all cases of one answer together
LONGEST = 4000  # characters of a message
MOST = 0.75  # of the random cases that show a named wrong answer


@dataclasses.dataclass(frozen=True)
class Result:
    """What grading found. `status` is 'not attempted', 'refused' or 'passed'."""

    status: str
    message: str
    wrong: str | None = None  # the named wrong answer that it behaves like


def grade(exercise: Exercise, mine, seconds: float = SECONDS) -> Result:
    """Compare an answer with the reference; the words say what to try next.

    For oneself: an answer that means to deceive can. It ends, and leaves the kernel's
    settings as they were, but it runs in this process and may do what this process may.
    """
    if not_attempted(mine):
        return Result("not attempted", "not attempted yet" + _note(exercise, mine))
    met: list[tuple] = []  # the arguments of the call that runs now, last
    until = time.monotonic() + seconds / 2  # later nothing is tried for the words
    try:
        with given_back(), contextlib.redirect_stdout(FirstPrints(sys.stdout)):
            result = within(seconds, lambda: _met(exercise, mine, met, until))
    except OutOfTime as late:
        result = Result("refused", _late(seconds, met, late.left_behind))
    message = _cut(result.message) + _note(exercise, mine)
    return dataclasses.replace(result, message=message)


def _met(exercise: Exercise, mine, met: list[tuple], until: float) -> Result:
    """The result, also of a value that raises where it is only looked at."""
    try:
        return _graded(exercise, mine, met, until)
    except OutOfTime:
        raise
    except BaseException as error:  # of its __eq__, __repr__, __getattr__
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        if Path(innermost).is_relative_to(lib.ROOT / "lib"):
            raise  # a fault of ours
        kind = type(error).__name__
        return Result(
            "refused",
            f"what your function returns raises {kind} when it is looked at, to compare"
            " or to show it; return plain numbers, lists or tensors",
        )


def _graded(exercise: Exercise, mine, met: list[tuple], until: float) -> Result:
    if exercise.cases is None:
        return _grade_value(exercise, mine)
    if not callable(mine):
        return Result("refused", f"a function is asked, yours is {short(mine)}")
    cases = exercise.draw()
    expected = _run_all(exercise, exercise.reference, cases)
    got, probed = [], seen(exercise, mine)
    for args in cases:
        met.append(args)
        got.append(run(probed, args, exercise.gradient))

    def same(a: Outcome, b: Outcome) -> bool:
        return _same(exercise, a, b)

    if all(map(same, expected, got)):
        if broken := _broken_property(exercise, mine, cases, expected):
            return Result("refused", broken)
        return Result("passed", f"right on all {len(cases)} cases")
    if wrong := _named(exercise, cases, expected, got):
        return Result("refused", wrong.message, _name(wrong.answer))
    said = diagnose(exercise, mine, cases, expected, got, same, until)
    return Result("refused", said)


def _run_all(exercise: Exercise, function, cases) -> list[Outcome]:
    probed = seen(exercise, function)
    return [run(probed, args, exercise.gradient) for args in cases]


def _same(exercise: Exercise, a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes agree: kind of error, or value and gradient."""
    if a.error or b.error:
        return type(a.error) is type(b.error)
    if a.changed != b.changed:
        return False
    if difference(a.value, b.value, exercise.tolerance, exactly(exercise)):
        return False
    if a.gradients is None or b.gradients is None:
        return True
    positions = range(len(exercise.gradient))
    return not any(gradient_differs(exercise, a, b, i) for i in positions)


# -------------------------------------------------------------- named wrong answers


def _named(exercise: Exercise, cases, expected, got) -> Wrong | None:
    """The named wrong answer that an answer behaves like: the closest, the first."""
    best, agreed = None, 0
    for wrong in exercise.wrong:
        agreeing = _agreeing(exercise, wrong, cases, expected, got)
        if agreeing > agreed:
            best, agreed = wrong, agreeing
    return best


def _agreeing(exercise: Exercise, wrong: Wrong, cases, expected, got) -> int:
    """In how many cases an answer behaves like a named one; 0 if it does not.

    It has to in all cases by hand, and in most random ones in which neither raises.
    Among those in which one of both is wrong it has to in more than half: two slips
    that are seldom seen agree mostly because both are right.
    """
    by_hand, probed = len(exercise.by_hand), seen(exercise, wrong.answer)
    agreeing = told = slips = shared = 0
    for i, args in enumerate(cases):
        outcome = run(probed, args, exercise.gradient)
        alike = _as_wrong(exercise, outcome, got[i], expected[i])
        if i < by_hand and not alike:
            return 0
        agreeing += alike
        if i >= by_hand and (alike or not (outcome.error or got[i].error)):
            told += 1
            right = [_same(exercise, expected[i], o) for o in (outcome, got[i])]
            slips += not all(right)
            shared += alike and not any(right)
    random_ones = len(cases) - by_hand
    if 2 * told < random_ones or agreeing - by_hand < MOST * told:
        return 0
    return agreeing if 2 * shared > slips or not slips else 0


def _as_wrong(
    exercise: Exercise, wrong: Outcome, mine: Outcome, right: Outcome
) -> bool:
    """Whether an answer behaves like a wrong one; a gradient that is lost counts as 0.

    Where the value alone is wrong already, one that is lost is not looked at.
    """
    if wrong.error or mine.error:
        kinds = type(wrong.error) is type(mine.error)
        return kinds and words_of(wrong.error) == words_of(mine.error)
    if wrong.gradients is None or mine.gradients is None:
        return _same(exercise, wrong, mine)
    without = dataclasses.replace(mine, gradients=None)
    if not _same(exercise, wrong, without):
        return False
    if all(g is None for g in mine.gradients) and not _same(exercise, right, without):
        return True
    full = [dataclasses.replace(o, gradients=_no_none(o, right)) for o in (wrong, mine)]
    return _same(exercise, *full)


def _no_none(outcome: Outcome, right: Outcome) -> tuple:
    """The gradients, with zeros for those that are lost."""
    pairs = zip(outcome.gradients, right.gradients, strict=True)
    return tuple(
        torch.zeros_like(r) if g is None and r is not None else g for g, r in pairs
    )


def _name(answer) -> str:
    return getattr(answer, "__name__", type(answer).__name__)


# ------------------------------------------------------------------------------ words


def _late(seconds: float, met: list[tuple], left_behind: bool) -> str:
    """What is said of an answer that did not end by itself, and what was done."""
    where = f" Input: {call_text(met[-1])}." if met else ""
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


def _note(exercise: Exercise, mine) -> str:
    """Which function was graded, where that may not be the one that is meant.

    A cell that defines `depths` and grades `depth` grades what an earlier cell left in
    the kernel. So it is said where a function was made in another cell than the one
    that asks, which makes one itself; and where it has not the name of the exercise.
    """
    name = getattr(mine, "__name__", None) if code_of(mine) else None
    if name is None or getattr(mine, "__module__", None) != "__main__":
        return ""
    here = _made_in_the_cell()
    if here and name not in here and name != "<lambda>":
        made = ", ".join(f"`{n}`" for n in here)
        return (
            f"\n(This is the `{name}` of an earlier cell. This cell makes {made}: is"
            " that the one you mean?)"
        )
    if name not in (exercise.name, "<lambda>"):
        line = code_of(mine).co_firstlineno
        return f"\n(Graded: your `{name}`, line {line} of its cell)"
    return ""


def _made_in_the_cell() -> list[str]:
    """Names of the functions that the cell defines that asks for a verdict."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "<module>":
        return []
    codes = (c for c in frame.f_code.co_consts if isinstance(c, types.CodeType))
    return [c.co_name for c in codes if c.co_name.isidentifier()]


def _broken_property(exercise: Exercise, mine, cases, expected) -> str | None:
    """The first property that an answer lacks, in words."""
    free = not exactly(exercise) and exercise.probe is None
    for rule in exercise.properties:
        said = f"one thing does not hold: {rule.says}"
        try:
            with undisturbed():
                for args, outcome in zip(cases, expected, strict=True):
                    judged = _in_kind(mine, outcome.value) if free else mine
                    if not rule.holds(judged, *copy.deepcopy(args)):
                        return said
        except OutOfTime:
            raise
        except BaseException as error:
            return f"{said}. There {own_line(mine, error, exercise.probe)}"
    return None


def _in_kind(mine, value):
    """An answer that gives what it gives in the kind of a value: a list as a tensor."""
    return lambda *args, **named: as_asked(value, mine(*args, **named))


def _as_number(expected, mine):
    """A number written as text; a float that is whole but for its rounding."""
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return mine
    if isinstance(mine, str):
        try:
            mine = float(mine)
        except ValueError:
            return mine
    if isinstance(expected, int) and isinstance(mine, float) and math.isfinite(mine):
        if math.isclose(mine, round(mine), rel_tol=1e-12):
            return round(mine)
    return mine


@functools.cache
def _computed(function):
    """The number that an exercise asks for; some take a second, and it stays."""
    return function()


def _grade_value(exercise: Exercise, mine) -> Result:
    expected, exact = _computed(exercise.reference), exercise.exact_type
    mine = _as_number(expected, mine)
    said = difference(expected, mine, exercise.tolerance, exact)
    if said is None:
        return Result("passed", "right")
    for i, wrong in enumerate(exercise.wrong):
        value = _computed(wrong.answer) if callable(wrong.answer) else wrong.answer
        if difference(value, mine, exercise.tolerance, exact) is None:
            name = getattr(wrong.answer, "__name__", "<lambda>")
            name = f"wrong value {i + 1}" if name == "<lambda>" else name
            return Result("refused", wrong.message, name)
    said = of_a_value(expected, mine) or said
    return Result("refused", f"{short(mine)} is not it: {said}")
