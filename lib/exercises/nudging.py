"""A failing answer tried again, with its numbers moved a hair.

If it is right then, only exact meetings are wrong: ties, a bound, a half. It is an
experiment and no guess: the course's own function gets the same numbers. Support for
`diagnosing`.
"""

import copy
import dataclasses
import random
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lib.exercises import Exercise
from lib.exercises.comparing import is_number, leaves
from lib.exercises.deadline import OutOfTime, within
from lib.exercises.relating import flat, real, truths
from lib.exercises.running import Outcome, run, seen

TRIED = 6  # failing cases that are tried again
HAIR = 1e-4  # how far numbers are moved, of their size or of 1
LONG = 2.0  # seconds for all that is tried


def only_where_they_meet(exercise, mine, values, names, same, until) -> str | None:
    """In words, the exact meetings in which alone an answer is wrong; else None.

    It is tried, on failing cases from small to large: equal numbers of one argument
    are moved apart, then all numbers a little. It is said if the answer is right then.
    Nothing is tried after the time `until` (monotonic seconds), or for long.
    """
    seconds = min(LONG, until - time.monotonic())
    if seconds <= 0:
        return None
    tries = Tries(exercise, mine, values, same)
    try:
        return within(seconds, lambda: tries.words(names))
    except OutOfTime:  # with such numbers even the course's own may not end
        return None


@dataclasses.dataclass
class Tries:
    """An answer, its failing cases, and whether two outcomes agree."""

    exercise: Exercise
    mine: Callable
    values: list[tuple]  # arguments, the outcome that is asked, that of the answer
    same: Callable[[Outcome, Outcome], bool]

    def words(self, names: list[str]) -> str | None:
        """The meetings in words, with the names of the arguments."""
        for i, name in enumerate(names):
            moves = [lambda args, d=d, i=i: _untie(args, i, d) for d in (HAIR, -HAIR)]
            tied = all(moves[0](args) is not None for args, _, _ in self.values)
            if tied and self.right_after(moves):
                return f"for ties: it is wrong only where numbers in {name} are equal"
        moves = [lambda args, s=s: _nudge(args, random.Random(s)) for s in range(3)]
        if not self.right_after(moves):
            return None
        if all(_one_apart(want.value, have.value) for _, want, have in self.values):
            return (
                "exactly on the border between two whole numbers: do you round halves"
                " the other way?"
            )
        return (
            "where numbers meet exactly: with each number a little larger or smaller it"
            " is right. Look at < and <=, at ties and at 0"
        )

    def right_after(self, moves) -> bool:
        """Whether the answer is right on each case once its numbers are moved."""
        reference = seen(self.exercise, self.exercise.reference)
        answer, gradient = seen(self.exercise, self.mine), self.exercise.gradient
        step = -(-len(self.values) // TRIED)
        for args, _, _ in self.values[::step]:
            for move in moves:
                moved = move(copy.deepcopy(args))
                if moved is None:
                    return False
                want = run(reference, moved, gradient)
                row = flat(want.value) if want.error is None else None
                if row is None or row.isnan().any():
                    return False
                if not self.same(want, run(answer, moved, gradient)):
                    return False
        return len(self.values) >= 2


def _untie(args: tuple, i: int, step: float) -> tuple | None:
    """The arguments with the equal numbers of one moved apart; None if none are."""
    array = real(args[i]) if i < len(args) and not is_number(args[i]) else None
    if array is None or array.numel() < 2 or truths(args[i]):
        return None
    met: dict[float, int] = {}
    numbers = []
    for number in array.flatten().tolist():
        again = met.get(number, 0)
        met[number] = again + 1
        numbers.append(number + again * step * max(1.0, abs(number)))
    if len(met) == len(numbers):
        return None
    moved = _like(
        args[i], torch.tensor(numbers, dtype=torch.float64).reshape(array.shape)
    )
    return None if moved is None else (*args[:i], moved, *args[i + 1 :])


def _nudge(args: tuple, rng: random.Random) -> tuple | None:
    """The arguments with all numbers with a point moved a little; None without any."""
    moved, any_moved = [], False
    for arg in args:
        array = real(arg)
        if array is None or array.numel() == 0 or not _has_point(arg):
            moved.append(arg)
            continue
        step = [rng.choice((-1, 1)) * rng.uniform(0.5, 1) for _ in range(array.numel())]
        step = torch.tensor(step, dtype=torch.float64).reshape(array.shape)
        new = _like(arg, array + HAIR * step * array.abs().clamp(min=1))
        moved.append(new)
        any_moved = True
    return tuple(moved) if any_moved else None


def _has_point(value) -> bool:
    """Whether numbers with a point are meant, in a list by one of them at least."""
    if isinstance(value, Tensor):
        return value.is_floating_point()
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f"
    return any(isinstance(item, float) for item in leaves(value))


def _like(value, numbers: Tensor):
    """Numbers as an argument of the same kind; None for a kind without a point."""
    if isinstance(value, Tensor):
        return numbers.to(value.dtype) if value.is_floating_point() else None
    if isinstance(value, np.ndarray):
        return numbers.numpy().astype(value.dtype) if value.dtype.kind == "f" else None
    if is_number(value):
        return numbers.item()
    return type(value)(numbers.tolist()) if isinstance(value, list | tuple) else None


def _one_apart(want, have) -> bool:
    want, have = flat(want), flat(have)
    whole = want is not None and have is not None and want.shape == have.shape
    if not whole or not torch.equal(want, want.round()):
        return False
    return bool(((want - have).abs().max() == 1).item())
