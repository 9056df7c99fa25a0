"""What a cheap judge is worth to somebody who can pay for a few trainings.

A judge scores cells that nobody has trained. Whoever trusts it trains those with the
highest scores and keeps the best of them. The regret is what this one lacks to the best
of all: 0 if nothing was lost. Only the top of a ranking counts here.

Chapter 09. For `one_shot`, with exercise `regret_at`.
"""

from collections.abc import Sequence

import numpy as np

from lib.basics import arguments


@arguments.named
def regret_at(
    scores: Sequence[int | float], truth: Sequence[int | float], k: int
) -> int | float:
    """What the best of the k cells with the highest scores lacks to the best of all.

    `scores` and `truth` are lists over the same cells. Of equal scores the first counts
    as higher.

    The scores choose the first and the last cell; the better of them has 0.5.

    >>> regret_at([3, 1, 2], [0.25, 1.0, 0.5], 2)
    0.5
    """
    cells = range(len(scores))
    best_first = sorted(cells, key=scores.__getitem__, reverse=True)
    trained = [truth[cell] for cell in best_first[:k]]
    return max(truth) - max(trained)  # Eq. 9.1


def regret(scores, truth, k: int, resamples: int = 1000, seed: int = 0):
    """The regret of a judge after k trainings, and its 95 % interval.

    Returns (regret, low, high); the percentile bootstrap draws cells, as for Kendall's
    tau. A largest value leans to one side when it is drawn again, so the interval is
    widened to the regret itself where that lies outside. ValueError for lists that do
    not fit, for more trainings than cells, or a number that is not finite.
    """
    a = arguments.real_array("scores", scores, 1)
    b = arguments.real_array("truth", truth, 1)
    if a.shape != b.shape or not len(a):
        raise ValueError(
            f"scores and truth are {len(a)} and {len(b)} numbers; as many are needed"
        )
    k = arguments.whole_number("k", k, least=1, most=len(a))
    resamples = arguments.whole_number("resamples", resamples, 1, 10**6)
    seed = arguments.seed(seed, least=0)
    rng = np.random.default_rng(seed)
    here = regret_at(a.tolist(), b.tolist(), k)
    again = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(a), len(a))  # with replacement
        lost = regret_at(a[drawn].tolist(), b[drawn].tolist(), k)
        again.append(lost)
    ends = (2.5, 97.5)  # per cent
    low, high = np.percentile(again, ends)
    return here, min(float(low), here), max(float(high), here)
