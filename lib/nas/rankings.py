"""Two lists over the same cells: are they rankings, and how far do they agree?

Kendall's tau itself is the learner's: `tabular.kendall`. Here stand what it asks of its
lists before, and tau with an interval, as every comparison of judges needs it.
Support for `tabular` and `one_shot`.
"""

import numpy as np
from scipy import stats

from lib.basics import arguments


def insist_on_pair(a: list, b: list) -> None:
    """ValueError unless both are as many numbers, and neither is one value only."""
    for name, values in (("a", a), ("b", b)):
        if len(set(arguments.real_array(name, values, 1))) < 2:
            raise ValueError(f"{name} is one value throughout: it ranks nothing")
    if len(a) != len(b):
        raise ValueError(f"a and b are {len(a)} and {len(b)} numbers, not as many")


def agreement(scores, truth, resamples: int = 1000, seed: int = 0):
    """Kendall's tau-b of two lists over the same cells, and its 95 % interval.

    Returns (tau, low, high); the percentile bootstrap draws cells. ValueError for lists
    that do not fit, or a number that is not finite.

    Of six pairs one stands in the other order: (5 - 1) / 6.

    >>> tau, low, high = agreement([1, 3, 2, 4], [1, 2, 3, 4])
    >>> round(tau, 3)
    0.667
    """
    a = arguments.real_array("scores", scores, 1)
    b = arguments.real_array("truth", truth, 1)
    _insist_on_as_many(a, b)
    resamples = arguments.whole_number("resamples", resamples, 1, 10**6)
    seed = arguments.seed(seed, least=0)
    rng = np.random.default_rng(seed)
    cells = len(a)
    taus = []
    for _ in range(resamples):
        drawn = rng.integers(0, cells, cells)  # with replacement
        tau = _kendall(a[drawn], b[drawn])
        taus.append(tau)
    ends = (2.5, 97.5)  # per cent
    low, high = np.nanpercentile(taus, ends)  # NaN: one cell, drawn throughout
    tau = _kendall(a, b)  # Eq. 6.4
    return tau, float(low), float(high)


def _insist_on_as_many(a: np.ndarray, b: np.ndarray) -> None:
    """ValueError unless both are as long, with three numbers or more."""
    if a.shape != b.shape or len(a) < 3:
        raise ValueError(
            f"scores and truth are {len(a)} and {len(b)} numbers; as many are needed,"
            " 3 or more"
        )


def _kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two lists; NaN where one of them is a single value."""
    return float(stats.kendalltau(a, b).statistic)
