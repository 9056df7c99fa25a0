"""Build: grade a core function, try it in its machine, and let `lib` call it.

The idea: a learner writes the heart of a machine, and the machine runs on it. So an
answer that is right is not enough: it must fit where it will stand. It is called with
the names that the machine uses, at the machine's size, under `no_grad` or on the meta
device, before it is adopted.
"""

import contextlib
import copy
import functools
import inspect
import io
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lib.exercises import Exercise, find, grading, kept, places
from lib.exercises.comparing import difference, short
from lib.exercises.deadline import OutOfTime, within
from lib.exercises.grading import Result

SLOWER = 10  # times the course's own, and
NOTICED = 0.02  # seconds a call: from both on, a learner is told before
MACHINE = 120.0  # seconds for a run of the machine
LOOSER = 10  # rounding adds up on the way through a machine
OWN = (
    "this calls the course's own {}: then the machine would run on ours, not on yours."
    " Write it out"
)


NONE = inspect.Parameter.empty
POSITIONS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(frozen=True)
class Built:
    """What became of an answer: the verdict, whether it stands in, and where it is."""

    result: Result
    adopted: bool = False
    version: int | None = None  # of the file in which it is kept
    only_here: str = ""  # why there is no file
    slower: float | None = None  # how many times slower than the course's own


def core(identifier: str) -> Exercise:
    """The core function with an id; ValueError if the exercise is no core function."""
    exercise = find(identifier)
    if exercise.place is None:
        raise ValueError(
            f'{identifier} is no part of a machine: ask check("{identifier}", ...)'
        )
    return exercise


def judge(exercise: Exercise, mine) -> Result:
    """Grade as `check` does; one that calls the course's own is refused."""
    with places.own():
        if grading.not_attempted(mine):
            return Result("not attempted", "not attempted yet")
        if _calls_the_course(exercise, mine):
            name = exercise.place.rpartition(".")[2]
            return Result("refused", OWN.format(name))
        return grading.grade(exercise, mine)


def _calls_the_course(exercise: Exercise, mine) -> bool:
    ours = places.ours(exercise.place)
    if mine is ours or inspect.unwrap(mine) is inspect.unwrap(ours):
        return True
    if not callable(mine) or exercise.cases is None:
        return False

    def all_cases() -> bool:
        for args in exercise.draw():
            given = copy.deepcopy(args)
            if places.reaches(exercise.place, functools.partial(probed, *given)):
                return True
        return False

    probed = grading.seen(exercise, mine)
    try:
        with _quiet():
            return within(grading.SECONDS, all_cases)
    except OutOfTime:
        return False  # grading will say that it does not end


@contextlib.contextmanager
def _quiet():
    """What an answer prints is dropped, what it turns is put back."""
    with grading.given_back(), contextlib.redirect_stdout(io.StringIO()):
        yield


def _misfit(exercise: Exercise, mine) -> str | None:
    """In words, how the parameters of an answer differ from what the machine uses."""
    ours = inspect.signature(places.ours(exercise.place)).parameters
    try:
        yours = inspect.signature(mine).parameters
    except (TypeError, ValueError):
        return "right, but its parameters cannot be read: write it with `def`"
    names = list(ours)
    if list(yours)[: len(names)] != names:
        return (
            f"right, but the machine calls it with ({', '.join(names)}), yours has"
            f" ({', '.join(yours)}): keep the names of the stub"
        )
    for name in names:
        want, have = ours[name].default, yours[name].default
        given = (want is NONE) == (have is NONE)
        if not given or difference(want, have, 0.0, True):
            stub, own = (short(x) if x is not NONE else "none" for x in (want, have))
            return f"right, but {name} has the default {stub} in the stub, yours {own}"
    for name in list(yours)[len(names) :]:
        asked = yours[name].default is NONE and yours[name].kind in POSITIONS
        if asked:
            return f"right, but the machine knows nothing of {name}: give it a default"
    return None


# ---------------------------------------------------------------------- in the machine


@dataclass(frozen=True)
class Run:
    """One run of a machine: what came out, the calls of the place, seconds a call."""

    value: Any
    calls: int
    seconds: float


_of_ours: dict[str, Run] = {}  # by place: the machine does not change in a kernel


def run_machine(exercise: Exercise, function: Callable, clock) -> Run:
    """Run the machine with a function in its place, all other places the course's.

    It begins with the same chance each time. Raises `OutOfTime` if it does not end.
    """
    with _quiet(), places.standing(exercise.place, function, clock) as trial:
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        value = within(MACHINE, exercise.machine_case)
    return Run(value, trial.calls, trial.seconds / max(trial.calls, 1))


def _own_run(exercise: Exercise, clock) -> Run:
    if exercise.place not in _of_ours:
        ours = places.ours(exercise.place)
        _of_ours[exercise.place] = run_machine(exercise, ours, clock)
    return _of_ours[exercise.place]


def try_machine(exercise: Exercise, mine, clock) -> tuple[str | None, float | None]:
    """What keeps a right answer out of its machine, or None; and how much slower it is.

    Its parameters are those of the stub, it runs there, and the same comes out.
    Times are minima of three runs in turns with the course's own, where the first run
    says that it may matter.
    """
    if said := _misfit(exercise, mine):
        return said, None
    if exercise.machine_case is None:
        return None, None
    where = exercise.machine or "its machine"
    try:
        own = _own_run(exercise, clock)
        run = run_machine(exercise, mine, clock)
    except OutOfTime:
        return f"right, but {where} did not come to its end with it", None
    except Exception as error:
        said = grading.own_line(mine, error)
        return f"right, but it cannot run in {where}: {said}", None
    if own.value is not None:
        said = difference(own.value, run.value, LOOSER * exercise.tolerance, True)
        if said:
            return f"right on the cases, but {where} gives something else: {said}", None
    if run.seconds <= NOTICED:
        return None, None
    mine_best, own_best = run.seconds, own.seconds
    for _ in range(2):
        ours = places.ours(exercise.place)
        own_best = min(own_best, run_machine(exercise, ours, clock).seconds)
        mine_best = min(mine_best, run_machine(exercise, mine, clock).seconds)
    ratio = mine_best / max(own_best, 1e-9)
    slow = ratio > SLOWER and mine_best > NOTICED
    return None, ratio if slow else None


# -------------------------------------------------------------------------- adoption


def build(identifier: str, mine, slow: bool = False, clock=time.perf_counter) -> Built:
    """Grade an answer; a right one that fits its machine stands in from now on.

    One that is refused, or not attempted, is taken back: the course's own stands there.
    One that is far slower than ours is adopted only with `slow=True`.
    """
    exercise = core(identifier)
    places.restore(identifier)
    mine = places.of_the_course(mine)
    result = judge(exercise, mine)
    if result.status != "passed":
        return Built(result)
    obstacle, slower = try_machine(exercise, mine, clock)
    if obstacle:
        return Built(replace(result, message=obstacle))
    if slower and not slow:
        return Built(replace(result, message=_slow(exercise, identifier, slower)))
    name = identifier.partition(".")[2]
    saved = kept.keep(identifier, mine, name)
    standing = places.adopt(identifier, exercise.place, mine)
    standing.kept = saved.why
    return Built(result, True, saved.version, saved.why, slower)


def _slow(exercise: Exercise, identifier: str, slower: float) -> str:
    name = identifier.partition(".")[2]
    own = _of_ours[exercise.place].seconds
    whole = exercise.milestone_calls * own * slower
    takes = f" The milestone would take {whole:.0f} s more." if whole >= 1 else ""
    return (
        f"right, but {slower:.0f} times slower than the course's own.{takes} To run on"
        f' it all the same: build("{identifier}", {name}, slow=True)'
    )


def load(identifier: str, file, clock=time.perf_counter) -> Built:
    """Adopt a kept file's function if it is still right; it is graded again first."""
    exercise = core(identifier)
    try:
        mine = kept.load(identifier, file)
    except ValueError as error:
        return Built(Result("refused", str(error)))
    result = judge(exercise, mine)
    if result.status != "passed":
        return Built(result)
    obstacle, slower = try_machine(exercise, mine, clock)
    if obstacle:
        return Built(replace(result, message=obstacle))
    places.adopt(identifier, exercise.place, mine)
    return Built(result, True, slower=slower)
