"""The same test set drawn again and again: how far chance moves an AP.

A test set is a sample of pictures. Draw as many from it, with repeats, and judge again:
the spread of the results is the spread that another sample would have (the bootstrap).
Two detectors are judged on the same draws, so what makes a draw hard for both leaves
their difference alone. Matching is done once: a picture that is drawn twice counts
each of its detections and objects twice.

For `coco_eval`, chapter 16. Efron 1979; pairs: Efron and Tibshirani 1993, chapter 8.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

LIMITS = (2.5, 97.5)  # per cent of the draws: a 95 % interval
AT_ONCE = 2**18  # draws times detections, that memory may hold


class Rows(NamedTuple):
    """One class, its verdicts at T overlaps, best score first over all pictures."""

    image: Int[np.ndarray, " D"]  # of each detection
    right: Bool[np.ndarray, "T D"]
    false: Bool[np.ndarray, "T D"]  # neither: it is ignored
    objects: Int[np.ndarray, " G"]  # the picture of each object that counts


class Estimate(NamedTuple):
    """A number on the test set as it is, and the 95 % interval over the draws.

    >>> print(f"{Estimate(0.008, 0.005, 0.012):+.3f}")
    +0.008 [+0.005, +0.012]
    """

    value: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        """All three numbers in the same form."""
        value, low, high = (format(number, form) for number in self)
        return f"{value} [{low}, {high}]"


class Comparison(NamedTuple):
    """AP of two detectors on the same pictures, and the difference, b less a.

    Where the interval of the difference does not contain 0, the pictures tell the two
    apart, even if the intervals of `a` and `b` overlap.
    """

    a: Estimate
    b: Estimate
    difference: Estimate


def draw(pictures: int, draws: int, seed: int) -> Int[np.ndarray, "B pictures"]:
    """How often each picture stands in each draw; row 0 is the test set as it is.

    >>> times = draw(pictures=4, draws=2, seed=0)
    >>> times[0].tolist(), times.sum(1).tolist()
    ([1, 1, 1, 1], [4, 4, 4])
    """
    chance = np.random.default_rng(seed)
    alike = np.full(pictures, 1 / pictures)
    drawn = chance.multinomial(pictures, alike, size=draws)
    itself = np.ones((1, pictures), drawn.dtype)
    return np.concatenate([itself, drawn])


def average_precisions(
    classes: list[Rows],
    times: Int[np.ndarray, "B pictures"],
    recalls: Float[np.ndarray, " R"],
) -> Float[np.ndarray, " B"]:
    """AP over all overlaps and classes in each of B draws; NaN where no object is.

    A class without objects in a draw does not count there (Eq. 16.5).
    """
    total = np.zeros(len(times))
    counted = np.zeros(len(times))
    for rows in classes:
        objects = times[:, rows.objects].sum(1)  # B
        some = np.flatnonzero(objects)
        counted[some] += 1
        parts = 1 + len(some) * len(rows.image) // AT_ONCE
        for part in np.array_split(some, parts):
            total[part] += _of_one_class(rows, times[part], objects[part], recalls)
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


def _of_one_class(rows: Rows, times, objects, recalls) -> Float[np.ndarray, " B"]:
    """Average precision in each draw, the mean over T overlaps (Eq. 16.2 to 16.4).

    Precision is largest just after a hit, so only hits have to be looked at.
    """
    each = times[:, rows.image]  # B D
    said = np.cumsum(each, 1)  # B D
    total = np.zeros(len(times))
    for right, false in zip(rows.right, rows.false, strict=True):
        hits = np.cumsum(each[:, right], 1)  # B H
        shown = said[:, right]
        ignored = ~(right | false)
        if ignored.any():
            shown = shown - np.cumsum(each * ignored, 1)[:, right]
        precision = hits / np.maximum(shown, 1)  # 0 / 0 is 0
        from_right = precision[:, ::-1]
        envelope = np.maximum.accumulate(from_right, 1)[:, ::-1]
        recall = hits / objects[:, None]
        reached = np.searchsorted(recalls, recall, side="right")
        new = np.diff(reached, axis=1, prepend=0)  # recalls first reached by this hit
        total += (envelope * new).sum(1) / len(recalls)
    return total / len(rows.right)


def estimate(values: Float[np.ndarray, " B"]) -> Estimate:
    """The first value, and the 95 % interval of the others; NaN is left out."""
    low, high = np.nanpercentile(values[1:], LIMITS)
    return Estimate(float(values[0]), float(low), float(high))
