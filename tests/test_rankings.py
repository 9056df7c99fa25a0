"""Agreement of two rankings against hands and SciPy's own bootstrap."""

import numpy as np
import pytest
import scipy.stats

from lib.nas import one_shot, rankings


def test_tau_by_hand():
    # Six pairs, one of them (2nd, 3rd) in the other order: (5 - 1) / 6.
    tau, *_ = rankings.agreement([1, 3, 2, 4], [0.1, 0.2, 0.3, 0.4])
    assert tau == pytest.approx(4 / 6)
    assert rankings.agreement([1, 2, 3], [3, 2, 1])[0] == pytest.approx(-1)
    # A tie in one list: two concordant of three pairs, over the root of 2 times 3.
    assert rankings.agreement([1, 1, 2], [1, 2, 3])[0] == pytest.approx(2 / 6**0.5)


def test_interval_agrees_with_scipys_bootstrap():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=40)
    scores = truth + rng.normal(size=40)
    _, low, high = rankings.agreement(scores, truth, resamples=800)
    other = scipy.stats.bootstrap(
        (scores, truth), lambda a, b: scipy.stats.kendalltau(a, b).statistic,
        paired=True, vectorized=False, n_resamples=800, method="percentile", rng=rng,
    ).confidence_interval  # fmt: skip
    assert low == pytest.approx(other.low, abs=0.05)
    assert high == pytest.approx(other.high, abs=0.05)


def test_interval_of_equal_rankings_has_no_width():
    assert rankings.agreement(range(20), range(20)) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("scores", "truth"),
    [([1, 2, 3], [1, 2]), ([1, 2], [1, 2]), ([1, float("nan"), 3], [1, 2, 3])],
)
def test_rankings_that_do_not_fit_are_refused(scores, truth):
    with pytest.raises(
        ValueError, match="as many are needed, 3 or more|scores is .* finite numbers"
    ):
        rankings.agreement(scores, truth)


def test_chapters_call_it_by_its_chapter():
    assert one_shot.agreement is rankings.agreement


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([1, 1], [1, 2], "a is one value throughout: it ranks nothing"),
        ([1, 2], [3, 3], "b is one value throughout"),
        ([1, 2], [1, 2, 3], "a and b are 2 and 3 numbers, not as many"),
    ],
)
def test_a_pair_that_cannot_be_ranked_is_refused(a, b, said):
    rankings.insist_on_pair([1, 2], [2, 1])
    with pytest.raises(ValueError, match=said):
        rankings.insist_on_pair(a, b)
