"""Wrong answers of chapters 00 to 10 that cases by chance once let through.

Each is right for small numbers and wrong at the size, or the edge, that its task names.
"""

import itertools
import math

import pytest
import torch

from lib.exercises import efficientnet, find, grading, one_shot, tabular


def listed_in_memory(values, n):
    draws = list(itertools.combinations(values, n))
    return sum(max(drawn) for drawn in draws) / len(draws)


def listed_by_recursion(values, n):
    total = draws = 0

    def draw(start, left, best):
        nonlocal total, draws
        if left == 0:
            total, draws = total + best, draws + 1
            return
        for i in range(start, len(values) - left + 1):
            draw(i + 1, left - 1, max(best, values[i]))

    draw(0, n, 0.0)
    return total / draws


def by_factorials(values, n):
    """Right for small tables; 735 factorial is no float."""
    chosen = math.factorial(n) * 1.0
    total, below = 0.0, len(values) - n
    for i, value in enumerate(sorted(values)):
        if i >= n - 1:
            ways = float(math.factorial(i)) / math.factorial(i - n + 1)
            total += value * ways * n / chosen
    every = float(math.factorial(len(values))) / math.factorial(below) / chosen
    return total / every


def logarithm_in_int(epochs, eta):
    m = int(math.log(epochs) / math.log(eta))
    brackets = []
    for s in range(m, -1, -1):
        brackets.append((math.ceil((m + 1) * eta**s / (s + 1)), eta ** (m - s)))
    return brackets


def no_least_side(side, depth, width, limit):
    return int(side * (limit / depth / width**2) ** 0.5) // 8 * 8


def log_after_det(codes):
    agree = codes @ codes.T + (1 - codes) @ (1 - codes).T
    return agree.double().det().log()


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("tabular.expected_best", tabular.listed_draws, "You go through all draws"),
        ("tabular.expected_best", listed_in_memory, "You go through all draws"),
        ("tabular.expected_best", listed_by_recursion, "You go through all draws"),
        ("tabular.expected_best", by_factorials, "735 values"),
        ("search.hyperband", logarithm_in_int, "math.log(243, 3) is a little below"),
        ("efficientnet.side_for", no_least_side, "8 is asked, not 0"),
        ("efficientnet.side_for", efficientnet.side_without_eight, "8 is asked"),
        ("one_shot.naswot", one_shot.log_of_det, "torch.logdet takes the logarithm"),
        ("one_shot.naswot", log_after_det, "torch.logdet takes the logarithm"),
    ],
)
def test_right_for_small_numbers_is_not_right(name, answer, words):
    result = grading.grade(find(name), answer)
    assert result.status == "refused"
    assert words in result.message


def best_by_recurrence(values, n):
    """Of the lowest N values: the highest is drawn with n / N, else N - 1 are left."""
    ranked = sorted(values)
    mean = ranked[n - 1]
    for size in range(n + 1, len(ranked) + 1):
        share = n / size
        mean = share * ranked[size - 1] + (1 - share) * mean
    return mean


def multiplied_up(epochs, eta):
    m, reached = 0, 1
    while reached < epochs:
        m, reached = m + 1, reached * eta
    steps = range(m, -1, -1)
    return [(-(-(m + 1) * eta**s // (s + 1)), eta ** (m - s)) for s in steps]


def side_by_halving(side, depth, width, limit):
    low, high = 1, 10**4  # in units of 8
    while high - low > 1:
        middle = (low + high) // 2
        dear = depth * width * width * (8 * middle / side) ** 2 > limit
        low, high = (low, middle) if dear else (middle, high)
    return 8 * low


def by_cholesky(codes):
    agree = (codes[:, None] == codes[None]).sum(2).double()
    return 2 * torch.linalg.cholesky(agree).diagonal().log().sum()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("tabular.expected_best", best_by_recurrence),
        ("search.hyperband", multiplied_up),
        ("efficientnet.side_for", side_by_halving),
        ("one_shot.naswot", by_cholesky),
    ],
)
def test_another_way_to_the_right_number_passes(name, answer):
    result = grading.grade(find(name), answer)
    assert result.status == "passed", result.message
