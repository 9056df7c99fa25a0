"""Chapter 07: answers from the task texts."""

import math
from fractions import Fraction

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("search.draws_needed", 18, "0.9 / 0.05: the odds are added")
wrong_value("search.draws_needed", 20, "one in twenty, so twenty")
wrong_value("search.draws_needed", 44, "rounded down")
wrong_value("search.draws_needed", 59, "95 % sure in place of 90")
wrong_value("search.draws_needed", 47, "an exponential in place of the power")
right_value("search.draws_needed", 45)
right_value("search.draws_needed", 45.0)

wrong_value("search.repeats", 116, "texts of genotypes: two orders are two cells")
wrong_value("search.repeats", 200, "queries")
wrong_value("search.repeats", 144, "tournaments of 1")
wrong_value("search.repeats", 83, "tournaments of 20")
wrong_value("search.repeats", 88, "seed 1")
right_value("search.repeats", 72)
right_value("search.repeats", 72.0)


@wrong("search.odds_without_return", "with replacement, Eq. 7.3")
def odds_1(population, size):
    n = population
    return [
        ((n - k) / n) ** size - ((n - k - 1) / n) ** size for k in range(population)
    ]


@wrong("search.odds_without_return", "the worst one first")
def odds_2(population, size):
    ways = math.comb(population, size)
    return [math.comb(k, size - 1) / ways for k in range(population)]


@wrong("search.odds_without_return", "the winner can be its own rival")
def odds_3(population, size):
    ways = math.comb(population, size)
    return [math.comb(population - k, size - 1) / ways for k in range(population)]


@wrong("search.odds_without_return", "those that never win are not in the list")
def odds_4(population, size):
    ways = math.comb(population, size)
    last = population - size + 1
    return [math.comb(population - 1 - k, size - 1) / ways for k in range(last)]


@wrong("search.odds_without_return", "counts in place of probabilities")
def odds_5(population, size):
    return [math.comb(population - 1 - k, size - 1) for k in range(population)]


@wrong("search.odds_without_return", "divided by the orders, not the sets")
def odds_6(population, size):
    ways = math.perm(population, size)
    return [math.comb(population - 1 - k, size - 1) / ways for k in range(population)]


@wrong(
    "search.odds_without_return", "all rivals from the worse ones: size, not size - 1"
)
def odds_7(population, size):
    ways = math.comb(population, size)
    return [math.comb(population - 1 - k, size) / ways for k in range(population)]


@wrong("search.odds_without_return", "the odds to be in the tournament, or better")
def odds_8(population, size):
    ways = math.comb(population, size)
    return [1 - math.comb(population - 1 - k, size) / ways for k in range(population)]


@right("search.odds_without_return")
def odds_9(population, size):
    ways = math.comb(population, size)
    return [math.comb(population - 1 - k, size - 1) / ways for k in range(population)]


@right("search.odds_without_return")
def odds_10(population, size):
    # Walk down: the best of those that are left is in with size / left.
    odds, nobody = [], 1.0
    for k in range(population):
        chance = min(1.0, size / (population - k))
        odds.append(nobody * chance)
        nobody *= 1.0 - chance
    return odds


@right("search.odds_without_return")
def odds_11(population, size):
    def all_worse(k):
        return Fraction(math.comb(population - k, size), math.comb(population, size))

    return [float(all_worse(k) - all_worse(k + 1)) for k in range(population)]


@right("search.odds_without_return")
def odds_12(population, size):
    worse = np.arange(population)[::-1]
    sets = np.ones(population)
    for i in range(size - 1):
        sets = sets * np.maximum(worse - i, 0) / (i + 1)
    return (sets / sets.sum()).tolist()


@wrong("search.hyperband", "rounded down")
def bands_1(epochs, eta):
    m = round(math.log(epochs, eta))
    return [((m + 1) * eta**s // (s + 1), eta ** (m - s)) for s in range(m, -1, -1)]


@wrong("search.hyperband", "the careful bracket first")
def bands_2(epochs, eta):
    m = round(math.log(epochs, eta))
    return [(-(-(m + 1) * eta**s // (s + 1)), eta ** (m - s)) for s in range(m + 1)]


@wrong("search.hyperband", "the fraction alone is rounded up")
def bands_3(epochs, eta):
    m = round(math.log(epochs, eta))
    out = []
    for s in range(m, -1, -1):
        out.append((math.ceil((m + 1) / (s + 1)) * eta**s, eta ** (m - s)))
    return out


@wrong("search.hyperband", "m in place of m + 1")
def bands_4(epochs, eta):
    m = round(math.log(epochs, eta))
    out = []
    for s in range(m, -1, -1):
        out.append((-(-m * eta**s // (s + 1)), eta ** (m - s)))
    return out


@wrong("search.hyperband", "the first rung of the other end: eta to the s")
def bands_5(epochs, eta):
    m = round(math.log(epochs, eta))
    out = []
    for s in range(m, -1, -1):
        out.append((-(-(m + 1) * eta**s // (s + 1)), eta**s))
    return out


@wrong("search.hyperband", "the bracket without a cut is missing")
def bands_6(epochs, eta):
    m = round(math.log(epochs, eta))
    out = []
    for s in range(m, 0, -1):
        out.append((-(-(m + 1) * eta**s // (s + 1)), eta ** (m - s)))
    return out


@wrong("search.hyperband", "the logarithm cut off: 4 for 243 and 3")
def bands_7(epochs, eta):
    m = int(math.log(epochs) / math.log(eta))
    out = []
    for s in range(m, -1, -1):
        out.append((-(-(m + 1) * eta**s // (s + 1)), eta ** (m - s)))
    return out


@wrong("search.hyperband", "one more, even where the division is exact")
def bands_8(epochs, eta):
    m = round(math.log(epochs, eta))
    out = []
    for s in range(m, -1, -1):
        out.append(((m + 1) * eta**s // (s + 1) + 1, eta ** (m - s)))
    return out


@right("search.hyperband")
def bands_9(epochs, eta):
    m = 0
    while eta**m < epochs:
        m += 1
    out = []
    for s in range(m, -1, -1):
        whole, rest = divmod((m + 1) * eta**s, s + 1)
        out.append((whole + (rest > 0), eta ** (m - s)))
    return out


@right("search.hyperband")
def bands_10(epochs, eta):
    m = round(math.log(epochs, eta))
    return [
        (math.ceil(Fraction((m + 1) * eta**s, s + 1)), eta ** (m - s))
        for s in reversed(range(m + 1))
    ]


@right("search.hyperband")
def bands_11(epochs, eta):
    rungs = [1]
    while rungs[-1] < epochs:
        rungs.append(rungs[-1] * eta)
    top = len(rungs)
    out = []
    for i, rung in enumerate(rungs):
        divisor = top - i
        out.append(((top * rungs[divisor - 1] + divisor - 1) // divisor, rung))
    return out


@right("search.hyperband")
def bands_12(epochs, eta):
    def power(x):
        return 0 if x == 1 else 1 + power(x // eta)

    m = power(epochs)

    def bracket(s):
        if s < 0:
            return []
        cells = -((-(m + 1) * eta**s) // (s + 1))
        return [(cells, epochs // eta**s)] + bracket(s - 1)

    return bracket(m)


@wrong("search.exclusive_areas", "the right edge is the reference for all")
def areas_1(cost, quality, reference):
    below = [reference[1]] + list(quality[:-1])
    return [
        (reference[0] - c) * (q - b)
        for c, q, b in zip(cost, quality, below, strict=True)
    ]


@wrong("search.exclusive_areas", "down to the reference for all")
def areas_2(cost, quality, reference):
    after = list(cost[1:]) + [reference[0]]
    return [
        (a - c) * (q - reference[1])
        for c, q, a in zip(cost, quality, after, strict=True)
    ]


@wrong("search.exclusive_areas", "the whole rectangle, shared parts too")
def areas_3(cost, quality, reference):
    return [
        (reference[0] - c) * (q - reference[1])
        for c, q in zip(cost, quality, strict=True)
    ]


@wrong("search.exclusive_areas", "the neighbours on the wrong sides")
def areas_4(cost, quality, reference):
    before = [0] + list(cost[:-1])
    above = list(quality[1:]) + [quality[-1]]
    return [
        (c - b) * (a - q)
        for c, q, b, a in zip(cost, quality, before, above, strict=True)
    ]


@wrong("search.exclusive_areas", "the reference's quality is taken for 0")
def areas_5(cost, quality, reference):
    out = []
    for i in range(len(cost)):
        end = cost[i + 1] if i + 1 < len(cost) else reference[0]
        low = quality[i - 1] if i > 0 else 0
        out.append((end - cost[i]) * (quality[i] - low))
    return out


@wrong("search.exclusive_areas", "index -1: the first looks at the last one's quality")
def areas_6(cost, quality, reference):
    out = []
    for i in range(len(cost)):
        end = cost[i + 1] if i + 1 < len(cost) else reference[0]
        out.append((end - cost[i]) * (quality[i] - quality[i - 1]))
    return out


@wrong("search.exclusive_areas", "the last point is given nothing")
def areas_7(cost, quality, reference):
    out, low = [], reference[1]
    for i in range(len(cost) - 1):
        out.append((cost[i + 1] - cost[i]) * (quality[i] - low))
        low = quality[i]
    return out + [0]


@wrong("search.exclusive_areas", "shares of all that is covered")
def areas_8(cost, quality, reference):
    ends = list(cost[1:]) + [reference[0]]
    lows = [reference[1]] + list(quality[:-1])
    rows = list(zip(cost, quality, ends, lows, strict=True))
    covered = sum((e - c) * (q - reference[1]) for c, q, e, _ in rows)
    return [(e - c) * (q - low) / covered for c, q, e, low in rows]


@right("search.exclusive_areas")
def areas_9(cost, quality, reference):
    ends = list(cost[1:]) + [reference[0]]
    lows = [reference[1]] + list(quality[:-1])
    return [
        (e - c) * (q - low)
        for c, q, e, low in zip(cost, quality, ends, lows, strict=True)
    ]


@right("search.exclusive_areas")
def areas_10(cost, quality, reference):
    wide = np.diff(np.append(np.asarray(cost, dtype=float), reference[0]))
    high = np.diff(np.insert(np.asarray(quality, dtype=float), 0, reference[1]))
    return (wide * high).tolist()


def covered_area(points, reference):
    area = 0
    for i, (c, q) in enumerate(points):
        end = points[i + 1][0] if i + 1 < len(points) else reference[0]
        area += (end - c) * (q - reference[1])
    return area


@right("search.exclusive_areas")
def areas_11(cost, quality, reference):
    points = list(zip(cost, quality, strict=True))
    everything = covered_area(points, reference)
    return [
        everything - covered_area(points[:i] + points[i + 1 :], reference)
        for i in range(len(points))
    ]


@right("search.exclusive_areas")
def areas_12(cost, quality, reference):
    out = []
    for i in range(len(cost)):
        if i == len(cost) - 1:
            dearer = reference[0]
        else:
            dearer = cost[i + 1]
        worse = reference[1] if i == 0 else quality[i - 1]
        out.append((dearer - cost[i]) * (quality[i] - worse))
    return out
