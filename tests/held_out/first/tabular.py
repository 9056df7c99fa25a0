"""Chapter 06: answers from the task texts.

Those to `kendall` are from when it asked for tau-a; it asks for tau-b now, so what was
right divides by too many pairs, and SciPy's default is right. Numbers of `macs_tau` are
those of the shipped table, by SciPy: when they were written it was the first one.
"""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy import stats

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("tabular.left_over", 4, "half rows count as done")
wrong_value("tabular.left_over", 15, "everything again")
wrong_value("tabular.left_over", 5, "two halves make a whole row")
wrong_value("tabular.left_over", 9, "those that are done")
wrong_value("tabular.left_over", 12, "the first shard is lost")
right_value("tabular.left_over", 6)
right_value("tabular.left_over", 5 * 3 - 6.0 - 3)

wrong_value("tabular.macs_tau", 0.345, "after the first epoch")
wrong_value("tabular.macs_tau", 0.684, "Spearman's rho")
wrong_value("tabular.macs_tau", 0.630, "Pearson's correlation")
wrong_value("tabular.macs_tau", 0.482, "one seed in place of the mean")
wrong_value("tabular.macs_tau", 0.474, "the mean over all epochs, too")
right_value("tabular.macs_tau", 0.515691536242202)
right_value("tabular.macs_tau", 0.516)


def sign(x):
    return (x > 0) - (x < 0)


@wrong("tabular.kendall", "equal pairs are left out of the number of pairs")
def tau_1(a, b):
    total = pairs = 0
    for i, j in combinations(range(len(a)), 2):
        s = sign(a[i] - a[j]) * sign(b[i] - b[j])
        total += s
        pairs += s != 0
    return total / pairs if pairs else 0.0


@wrong("tabular.kendall", "a pair that is equal counts as the same order")
def tau_2(a, b):
    total = 0
    for i, j in combinations(range(len(a)), 2):
        total += 1 if (a[i] - a[j]) * (b[i] - b[j]) >= 0 else -1
    return total / math.comb(len(a), 2)


@wrong("tabular.kendall", "a pair that is equal counts as the opposite order")
def tau_3(a, b):
    total = 0
    for i, j in combinations(range(len(a)), 2):
        total += 1 if (a[i] - a[j]) * (b[i] - b[j]) > 0 else -1
    return total / math.comb(len(a), 2)


@right("tabular.kendall")
def tau_4(a, b):
    return float(stats.kendalltau(a, b).statistic)


@wrong("tabular.kendall", "only neighbours in the list")
def tau_5(a, b):
    n = len(a)
    total = sum(sign(a[i + 1] - a[i]) * sign(b[i + 1] - b[i]) for i in range(n - 1))
    return total / (n - 1)


@wrong("tabular.kendall", "each pair once, divided by the ordered pairs")
def tau_6(a, b):
    n = len(a)
    total = 0
    for i in range(n):
        for j in range(i):
            total += sign(a[i] - a[j]) * sign(b[i] - b[j])
    return total / (n * (n - 1))


@wrong("tabular.kendall", "the share of pairs in the same order, from 0 to 1")
def tau_7(a, b):
    pairs = list(combinations(range(len(a)), 2))
    return sum((a[i] - a[j]) * (b[i] - b[j]) > 0 for i, j in pairs) / len(pairs)


@wrong("tabular.kendall", "equal in both lists counts as the same order")
def tau_8(a, b):
    total = 0
    pairs = list(combinations(range(len(a)), 2))
    for i, j in pairs:
        x, y = sign(a[i] - a[j]), sign(b[i] - b[j])
        if x == y:
            total += 1
        elif x == -y:
            total -= 1
    return total / len(pairs)


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def tau_9(a, b):
    pairs = list(combinations(range(len(a)), 2))
    return sum(sign(a[i] - a[j]) * sign(b[i] - b[j]) for i, j in pairs) / len(pairs)


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def tau_10(a, b):
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    x = np.sign(a[:, None] - a[None, :])
    y = np.sign(b[:, None] - b[None, :])
    return (x * y).sum() / (len(a) * (len(a) - 1))


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def tau_11(a, b):
    total = 0
    n = len(a)
    for i in range(n):
        for j in range(i + 1, n):
            if a[i] == a[j] or b[i] == b[j]:
                continue
            if (a[i] < a[j]) == (b[i] < b[j]):
                total += 1
            else:
                total -= 1
    return 2 * total / (n * (n - 1))


@wrong("tabular.kendall", "tau-a: divides by all pairs, equal ones too")
def tau_12(a, b):
    rows = sorted(zip(a, b, strict=True))
    score = 0
    for j, (x, y) in enumerate(rows):
        lower = [v for u, v in rows[:j] if u < x]
        score += sum(v < y for v in lower) - sum(v > y for v in lower)
    return score / math.comb(len(rows), 2)


@wrong("tabular.expected_best", "a cell may be drawn twice")
def best_1(values, n):
    v = sorted(values)
    m = len(v)
    return sum(x * (((i + 1) / m) ** n - (i / m) ** n) for i, x in enumerate(v))


@wrong("tabular.expected_best", "forgets to sort")
def best_2(values, n):
    ways = math.comb(len(values), n)
    return sum(x * (math.comb(i, n - 1) / ways) for i, x in enumerate(values))


@wrong("tabular.expected_best", "the mean of the worst")
def best_3(values, n):
    v = sorted(values, reverse=True)
    ways = math.comb(len(v), n)
    return sum(x * (math.comb(i, n - 1) / ways) for i, x in enumerate(v))


@wrong("tabular.expected_best", "ways to choose n, not n - 1, of the worse ones")
def best_4(values, n):
    v = sorted(values)
    ways = math.comb(len(v), n)
    return sum(x * (math.comb(i, n) / ways) for i, x in enumerate(v))


@wrong("tabular.expected_best", "the mean of all cells")
def best_5(values, n):
    return sum(values) / len(values)


@wrong("tabular.expected_best", "the mean of the n best")
def best_6(values, n):
    return sum(sorted(values)[-n:]) / n


@wrong("tabular.expected_best", "the cell itself counts among the worse ones")
def best_7(values, n):
    v = sorted(values)
    ways = math.comb(len(v), n)
    return sum(x * (math.comb(i + 1, n - 1) / ways) for i, x in enumerate(v))


@wrong("tabular.expected_best", "the value at the rank to be expected")
def best_8(values, n):
    v = sorted(values)
    return v[round(n / (n + 1) * (len(v) - 1))]


@right("tabular.expected_best")
def best_9(values, n):
    v = sorted(values)
    ways = math.comb(len(v), n)
    return sum(x * (math.comb(i, n - 1) / ways) for i, x in enumerate(v))


@right("tabular.expected_best")
def best_10(values, n):
    # The best of all is drawn with probability n / m; if not, the second best ...
    v = sorted(values, reverse=True)
    left, total = 1.0, 0.0
    for i, x in enumerate(v):
        chance = min(1.0, n / (len(v) - i))
        total += left * chance * x
        left *= 1 - chance
    return total


@right("tabular.expected_best")
def best_11(values, n):
    v = sorted(values)
    m = len(v)
    exact = Fraction(0)
    for i in range(n - 1, m):
        at_most = Fraction(math.comb(i + 1, n), math.comb(m, n))
        below = Fraction(math.comb(i, n), math.comb(m, n))
        exact += (at_most - below) * Fraction(v[i])
    return float(exact)


@right("tabular.expected_best")
def best_12(values, n):
    v = np.sort(np.asarray(values, dtype=float))
    m = len(v)
    odds = np.zeros(m)
    odds[-1] = n / m
    for i in range(m - 2, n - 2, -1):
        odds[i] = odds[i + 1] * (i + 2 - n) / (i + 1)
    return float(odds @ v)
