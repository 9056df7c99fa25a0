"""What an answer is of the asked value: its negative, its logarithm, rounded.

A relation is said only if it holds in most of the failing cases, in three of them at
least, and explains them: the answer is as good as equal to what the relation makes of
the asked value, and far from the asked value itself. So it is a fact, whatever the
cause. Its words complete "yours is ...". Support for `diagnosing`.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lib.exercises.comparing import as_tensor, difference

ENOUGH = 3  # cases in which a relation has to hold
MOST = 0.75  # of the failing cases that can tell


@dataclasses.dataclass(frozen=True)
class Case:
    """A failing case: the arguments, what is asked, and what the answer gave."""

    args: tuple
    want: Any
    have: Any


@dataclasses.dataclass(frozen=True)
class Found:
    """A relation in words, "the negative of what is asked", and where it holds."""

    says: str
    where: tuple[int, ...]
    against: int = 0  # failing cases in which it does not hold


def most(says: str, verdicts: Sequence[bool | None]) -> Found | None:
    """A relation, if it holds in most of the cases that can tell.

    None stands for a case that cannot tell, such as a list of one item.
    """
    where = tuple(i for i, verdict in enumerate(verdicts) if verdict)
    against = sum(verdict is not None and not verdict for verdict in verdicts)
    few = len(where) < ENOUGH or 3 * len(where) < len(verdicts)
    if few or len(where) < MOST * (len(where) + against):
        return None
    return Found(says, where, against)


def real(value) -> Tensor | None:
    """An array-like as float64, truths as 0 and 1; None for what is no array."""
    array = as_tensor(value)
    return None if array is None or array.is_complex() else array.detach().double()


def truths(value) -> bool:
    """Whether a value holds truth values."""
    array = as_tensor(value)
    return array is not None and array.dtype == torch.bool


def flat(value) -> Tensor | None:
    """All numbers of a value, however they are nested, as one row; else None."""
    if isinstance(value, dict):
        value = list(value.values())
    array = real(value)
    if array is not None:
        return array.flatten()
    if not isinstance(value, list | tuple) or not value:
        return None
    rows = [flat(item) for item in value]
    return None if any(row is None for row in rows) else torch.cat(rows)


def pair(case: Case) -> tuple[Tensor, Tensor] | None:
    """What is asked and what is given as rows of equal length; None if they are not."""
    want, have = flat(case.want), flat(case.have)
    if want is None or have is None or want.shape != have.shape or not len(want):
        return None
    return want, have


def gap(a: Tensor, b: Tensor) -> float:
    """The largest distance of two tensors; infinite where only one is finite."""
    same = (a == b) | (a.isnan() & b.isnan())
    apart = torch.where(same, torch.zeros_like(a), (a - b).abs())
    return float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())


def explains(guess: Tensor, want: Tensor, have: Tensor) -> bool:
    """`have` is `guess` but for rounding, and ten times nearer to it than to `want`."""
    if guess.shape != have.shape or have.numel() == 0:
        return False
    finite = have[have.isfinite()]
    size = float(finite.abs().max()) if len(finite) else 1.0
    off = gap(guess, have)
    if off > 1e-4 * max(1.0, size):
        return False
    if want.shape != have.shape:
        return True
    wrong = gap(want, have)
    return wrong > 0 and off <= 0.1 * wrong


def several(cases: list[Case], found: Found | None, given=True) -> Found | None:
    """What is found, if what is asked differs from case to case, and what is `given`.

    One number proves nothing: 4 is the double, the square and the next but one of 2.
    """
    if found is None:
        return None
    first, *rest = (cases[i] for i in found.where)
    asked = any(difference(first.want, case.want, 1e-9) for case in rest)
    varied = not given or any(difference(first.have, c.have, 1e-9) for c in rest)
    return found if asked and varied else None


# ------------------------------------------------------------- what is done to numbers

SIGNLESS = (
    ("what is asked without its sign", torch.abs),
    ("0 where a negative number is asked", lambda x: x.clamp(min=0)),
)
UNARY: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("the negative of what is asked", torch.neg),
    ("1 minus what is asked", lambda x: 1 - x),
    ("1 divided by what is asked", torch.reciprocal),
    ("the square of what is asked", torch.square),
    ("the square root of what is asked", torch.sqrt),
    ("the natural logarithm of what is asked", torch.log),
    ("e to the power of what is asked", torch.exp),
)


def _digits(d: int) -> Callable[[Tensor], Tensor]:
    return lambda x: (x * 10**d).round() / 10**d


ROUNDED = (
    *((f"rounded to {d} digits after the point", _digits(d)) for d in (5, 4, 3, 2)),
    ("rounded to one digit after the point", _digits(1)),
    ("rounded to whole numbers", torch.round),
    ("rounded down", torch.floor),
    ("rounded up", torch.ceil),
    ("cut after the point", torch.trunc),
)


def _holding(cases: list[Case], says: str, change, back=False) -> Found | None:
    """The answer is `change` of what is asked; `back`: the other way round."""
    verdicts = []
    for case in cases:
        found = pair(case)
        if found is None:
            verdicts.append(False)
            continue
        want, have = found
        guess = explains(change(have), have, want) if back else None
        verdicts.append(guess if back else explains(change(want), want, have))
    return most(says, verdicts)


def changed(cases: list[Case], passing: int) -> Found | None:
    """One function of a number, such as its negative, makes the answer."""
    if any(truths(case.want) for case in cases):
        return None
    if passing:  # else all that is asked is negative, and the negative says it
        for says, change in SIGNLESS:
            found = _holding(cases, says, change)
            if several(cases, found, given=change is torch.abs):
                return found
    switch = _two_valued(cases) and not _all_over(cases, passing)
    for says, change in UNARY:
        found = several(cases, _holding(cases, says, change))
        if found and not (switch and says.startswith("1 minus")):
            return found
    return None


def _two_valued(cases: list[Case]) -> bool:
    """Whether all numbers are 0 or 1: each that is wrong is 1 minus the right one."""
    rows = [flat(value) for case in cases for value in (case.want, case.have)]
    return all(
        row is not None and bool(((row == 0) | (row == 1)).all()) for row in rows
    )


def _all_over(cases: list[Case], passing: int) -> bool:
    """Whether (almost) all cases fail: half of them do by chance, of two values."""
    return 5 * passing <= len(cases)


def opposite(cases: list[Case], passing: int) -> Found | None:
    """True where False is asked, and False where True is, in (almost) every case."""
    if not all(truths(case.want) and truths(case.have) for case in cases):
        return None
    if not _all_over(cases, passing):
        return None
    says = "True where False is asked, and False where True is"
    return several(cases, _holding(cases, says, lambda x: 1 - x))


def rounded(cases: list[Case]) -> Found | None:
    """The answer is rounded and should not be, or the other way round."""
    if any(truths(case.want) for case in cases):
        return None
    for how, change in ROUNDED:
        found = _holding(cases, f"what is asked, {how}", change)
        if several(cases, found):
            return found
        says = f"right once it is {how}, which is asked"
        found = _holding(cases, says, change, back=True)
        if several(cases, found):
            return found
    return None


def near(cases: list[Case]) -> Found | None:
    """The first digits are right in every case."""
    worst = 0.0
    for case in cases:
        found = pair(case)
        if found is None or torch.equal(found[0], found[0].round()):
            return None
        size = float(found[0].abs().max())
        worst = max(worst, gap(*found) / size if size > 0 else math.inf)
    if len(cases) < ENOUGH or not 0 < worst <= 0.005:
        return None
    return Found(
        f"near, off by up to {100 * worst:.2g} %: look for a constant with too few"
        " digits, a small number that is added (epsilon), or half precision",
        tuple(range(len(cases))),
    )


def returned(cases: list[Case], names: list[str]) -> Found | None:
    """The answer is one of the arguments."""
    for i, name in enumerate(names):
        given = [case.args[i] if i < len(case.args) else None for case in cases]
        verdicts = [
            difference(value, case.have, 1e-9) is None
            for value, case in zip(given, cases, strict=True)
        ]
        found = most(f"{name} itself, the input as it came", verdicts)
        if several(cases, found):
            return found
    return None
