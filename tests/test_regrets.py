"""What a judge costs the one who trusts it: regrets worked by hand."""

import itertools

import pytest

from lib.nas import regrets


def test_regret_by_hand():
    scores, truth = [3, 1, 2], [0.25, 1.0, 0.5]
    lost = [regrets.regret_at(scores, truth, k) for k in (1, 2, 3)]
    assert lost == [0.75, 0.5, 0.0]
    assert regrets.regret(scores, truth, 2, resamples=10)[0] == 0.5


def test_the_interval_of_two_cells_by_hand():
    """Of the four draws of (a, b) two hold both: regret 1 with odds 1/2, else 0."""
    lost, low, high = regrets.regret([1, 0], [0.0, 1.0], 1, resamples=400)
    assert (lost, low, high) == (1.0, 0.0, 1.0)


def test_an_interval_holds_its_regret():
    for scores in itertools.permutations(range(4)):
        lost, low, high = regrets.regret(scores, [0.0, 0.1, 0.1, 0.9], 2, resamples=3)
        assert low <= lost <= high


def test_a_perfect_judge_loses_nothing():
    truth = [0.1, 0.8, 0.3, 0.7]
    assert regrets.regret(truth, truth, 1, resamples=50) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "truth", "k", "words"),
    [
        ([1, 2], [1], 1, "scores and truth are 2 and 1 numbers"),
        ([], [], 1, "scores and truth are 0 and 0 numbers"),
        ([1, 2], [1, 2], 3, "k is 3; it must be a whole number, 1 to 2"),
        ([1, float("nan")], [1, 2], 1, "scores is .* finite"),
    ],
)
def test_lists_that_do_not_fit_are_refused(scores, truth, k, words):
    with pytest.raises(ValueError, match=words):
        regrets.regret(scores, truth, k)
