"""Chapter 06: answers from the task texts.

Those to `kendall` are from when it asked for tau-a; it asks for tau-b now, so what was
right divides by too many pairs, and SciPy's default is right.
"""

from itertools import combinations, pairwise
from math import comb

import numpy as np
from scipy import stats

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("tabular.left_over", 4, "the half rows count as done")
wrong_value("tabular.left_over", 9, "only the first shard is read")
wrong_value("tabular.left_over", 12, "only the second shard is read")
right_value("tabular.left_over", 6)

wrong_value("tabular.macs_tau", 0.628, "Spearman's rho")
wrong_value("tabular.macs_tau", 0.401, "the accuracy of the first seed only")
wrong_value("tabular.macs_tau", 0.158, "the first epoch, not the last")
right_value("tabular.macs_tau", 0.4509)


@right("tabular.kendall")
def kendall_b(a, b):
    return float(stats.kendalltau(a, b).statistic)


@wrong("tabular.kendall", "compares neighbours in the list only")
def kendall_neighbours(a, b):
    signs = []
    for (a0, b0), (a1, b1) in pairwise(zip(a, b, strict=True)):
        signs.append(np.sign(a1 - a0) * np.sign(b1 - b0))
    return float(sum(signs)) / len(signs)


@wrong("tabular.kendall", "equal values count as one of the orders")
def kendall_less(a, b):
    total = 0
    pairs = list(combinations(range(len(a)), 2))
    for i, j in pairs:
        total += 1 if (a[i] < a[j]) == (b[i] < b[j]) else -1
    return total / len(pairs)


@wrong("tabular.kendall", "weighs the pairs by how far they are apart")
def kendall_weighed(a, b):
    products = [
        (a[i] - a[j]) * (b[i] - b[j]) for i, j in combinations(range(len(a)), 2)
    ]
    size = sum(abs(p) for p in products)
    return sum(products) / size if size else 0.0


@wrong("tabular.kendall", "pairs of a cell with itself are in the divisor")
def kendall_square(a, b):
    x, y = np.array(a), np.array(b)
    s = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    return float(s.mean())


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def kendall_loops(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            if product > 0:
                total += 1
            elif product < 0:
                total -= 1
    return total / (n * (n - 1) / 2)


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def kendall_numpy(a, b):
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    s = np.sign(x[:, None] - x[None]) * np.sign(y[:, None] - y[None])
    return s.sum() / (len(x) * (len(x) - 1))


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def kendall_sorted(a, b):
    rows = sorted(zip(a, b, strict=True))
    same = opposite = 0
    for (a0, b0), (a1, b1) in combinations(rows, 2):
        if a0 < a1:
            same += b0 < b1
            opposite += b0 > b1
    return (same - opposite) / comb(len(rows), 2)


@wrong("tabular.expected_best", "the same cell may be drawn again")
def expected_return(values, n):
    v = sorted(values)
    total = len(v)
    return sum(x * (((i + 1) / total) ** n - (i / total) ** n) for i, x in enumerate(v))


@wrong("tabular.expected_best", "the values in the order given")
def expected_unsorted(values, n):
    return sum(x * comb(i, n - 1) for i, x in enumerate(values)) / comb(len(values), n)


@wrong("tabular.expected_best", "cells with an equal accuracy are one cell")
def expected_merged(values, n):
    v = sorted(set(values))
    return sum(x * comb(i, n - 1) for i, x in enumerate(v)) / comb(len(v), n)


@wrong("tabular.expected_best", "the value at the expected rank")
def expected_rank(values, n):
    v = np.sort(np.array(values))
    rank = n * (len(v) + 1) / (n + 1)  # mean rank of the best, from 1
    return float(np.interp(rank, np.arange(1, len(v) + 1), v))


@wrong("tabular.expected_best", "the mean of the worst")
def expected_worst(values, n):
    v = sorted(values, reverse=True)
    return sum(x * comb(i, n - 1) for i, x in enumerate(v)) / comb(len(v), n)


@right("tabular.expected_best")
def expected_comb(values, n):
    v = sorted(values)
    return sum(x * (comb(i, n - 1) / comb(len(v), n)) for i, x in enumerate(v))


@right("tabular.expected_best")
def expected_running(values, n):
    # the best cell of all is the result with n / N, the next if that one is missing
    v = sorted(values, reverse=True)
    chance, mean = n / len(v), 0.0
    for rank, x in enumerate(v[: len(v) - n + 1]):
        mean += chance * x
        left = len(v) - 1 - rank
        if left:
            chance *= (len(v) - n - rank) / left
    return mean


@right("tabular.expected_best")
def expected_steps(values, n):
    v = np.sort(np.array(values, dtype=float))
    ways = comb(len(v), n)
    # the best is at least v[i] unless all are drawn from the i below
    at_least = np.array([1 - comb(i, n) / ways for i in range(len(v))])
    return float(v[0] + (np.diff(v) * at_least[1:]).sum())
