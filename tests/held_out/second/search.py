"""Chapter 07: answers from the task texts."""

import math
from fractions import Fraction
from math import comb

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("search.draws_needed", 18, "nine tenths of twenty")
wrong_value("search.draws_needed", 44, "44.9 cut, so not yet sure enough")
wrong_value("search.draws_needed", 59, "for 95 %")
right_value("search.draws_needed", 45)

wrong_value("search.repeats", 116, "the same cell in another order counts as another")
wrong_value("search.repeats", 128, "the queries that were repeats")
wrong_value("search.repeats", 20, "the 20 queries of the cell, not 200")
right_value("search.repeats", 72)


@wrong("search.odds_without_return", "one may be in the tournament twice")
def odds_returned(population, size):
    p = population
    return [((p - r) / p) ** size - ((p - r - 1) / p) ** size for r in range(p)]


@wrong("search.odds_without_return", "the worst first")
def odds_worst_first(population, size):
    ways = comb(population, size)
    return [comb(r, size - 1) / ways for r in range(population)]


@wrong("search.odds_without_return", "leaves out those that cannot win")
def odds_short(population, size):
    ways = comb(population, size)
    last = population - size + 1
    return [comb(population - 1 - r, size - 1) / ways for r in range(last)]


@wrong("search.odds_without_return", "every cell is in with the same odds, on its own")
def odds_geometric(population, size):
    share = size / population
    return [share * (1 - share) ** r for r in range(population)]


@wrong("search.odds_without_return", "odds along a straight line")
def odds_line(population, size):
    weights = [population - 1 - r for r in range(population)]
    total = sum(weights)
    return [w / total for w in weights]


@right("search.odds_without_return")
def odds_comb(population, size):
    ways = comb(population, size)
    return [comb(population - 1 - r, size - 1) / ways for r in range(population)]


@right("search.odds_without_return")
def odds_running(population, size):
    out, missed = [], 1.0  # missed: nobody of the better ones was drawn
    for r in range(population):
        drawn = min(1.0, size / (population - r))
        out.append(missed * drawn)
        missed *= 1 - drawn
    return out


@right("search.odds_without_return")
def odds_tails(population, size):
    def none_of(better):
        return Fraction(comb(population - better, size), comb(population, size))

    return [float(none_of(r) - none_of(r + 1)) for r in range(population)]


@wrong("search.hyperband", "cuts a logarithm that is just below a whole number")
def hyperband_log(epochs, eta):
    m = int(math.log(epochs) / math.log(eta))
    out = []
    for s in range(m, -1, -1):
        out.append((-(-(m + 1) * eta**s // (s + 1)), eta ** (m - s)))
    return out


@wrong("search.hyperband", "rounds up before multiplying")
def hyperband_early(epochs, eta):
    m = round(math.log(epochs, eta))
    return [
        (math.ceil((m + 1) / (s + 1)) * eta**s, eta ** (m - s))
        for s in range(m, -1, -1)
    ]


@wrong("search.hyperband", "without the bracket that never cuts")
def hyperband_no_last(epochs, eta):
    m = round(math.log(epochs, eta))
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s)) for s in range(m, 0, -1)
    ]


@wrong("search.hyperband", "the careful one first")
def hyperband_careful(epochs, eta):
    m = round(math.log(epochs, eta))
    return [(-(-((m + 1) * eta**s) // (s + 1)), eta ** (m - s)) for s in range(m + 1)]


@wrong("search.hyperband", "rounds to the nearest")
def hyperband_nearest(epochs, eta):
    m = round(math.log(epochs, eta))
    return [
        (round((m + 1) * eta**s / (s + 1)), eta ** (m - s)) for s in range(m, -1, -1)
    ]


@right("search.hyperband")
def hyperband_whole(epochs, eta):
    m = 0
    while eta**m < epochs:
        m += 1
    out = []
    for s in reversed(range(m + 1)):
        out.append(((eta**s * (m + 1) + s) // (s + 1), eta ** (m - s)))
    return out


@right("search.hyperband")
def hyperband_fraction(epochs, eta):
    rungs = [1]
    while rungs[-1] < epochs:
        rungs.append(rungs[-1] * eta)
    m = len(rungs) - 1
    return [
        (math.ceil(Fraction((m + 1) * rungs[m - i], m - i + 1)), rung)
        for i, rung in enumerate(rungs)
    ]


@right("search.hyperband")
def hyperband_downwards(epochs, eta):
    m = round(math.log(epochs, eta))
    out, cells, rung = [], epochs, 1
    for s in range(m, -1, -1):
        count, rest = divmod((m + 1) * cells, s + 1)
        out.append((count + (rest > 0), rung))
        cells //= eta
        rung *= eta
    return out


@wrong("search.exclusive_areas", "what each adds to those before it")
def areas_added(cost, quality, reference):
    out, below = [], reference[1]
    for c, q in zip(cost, quality, strict=True):
        out.append((reference[0] - c) * (q - below))
        below = q
    return out


@wrong("search.exclusive_areas", "the first reaches down to 0, not to the reference")
def areas_zero(cost, quality, reference):
    out = []
    for i in range(len(cost)):
        right_edge = cost[i + 1] if i + 1 < len(cost) else reference[0]
        below = quality[i - 1] if i else 0
        out.append((right_edge - cost[i]) * (quality[i] - below))
    return out


@wrong("search.exclusive_areas", "the strip up to the next cost, down to the reference")
def areas_strips(cost, quality, reference):
    edges = [*cost[1:], reference[0]]
    return [
        (e - c) * (q - reference[1])
        for c, e, q in zip(cost, edges, quality, strict=True)
    ]


@wrong("search.exclusive_areas", "the last point ends at its own cost")
def areas_no_reference(cost, quality, reference):
    out = []
    for i in range(len(cost)):
        right_edge = cost[i + 1] if i + 1 < len(cost) else cost[-1]
        below = quality[i - 1] if i > 0 else reference[1]
        out.append((right_edge - cost[i]) * (quality[i] - below))
    return out


@wrong("search.exclusive_areas", "takes the neighbours on the wrong side")
def areas_mirrored(cost, quality, reference):
    c = [0, *cost]
    q = [*quality, quality[-1]]
    return [(c[i + 1] - c[i]) * (q[i + 1] - q[i]) for i in range(len(cost))]


@right("search.exclusive_areas")
def areas_zip(cost, quality, reference):
    edges = [*cost[1:], reference[0]]
    floors = [reference[1], *quality[:-1]]
    return [
        (e - c) * (q - f)
        for c, e, q, f in zip(cost, edges, quality, floors, strict=True)
    ]


@right("search.exclusive_areas")
def areas_lost(cost, quality, reference):
    def volume(points):
        total, below = 0, reference[1]
        for c, q in points:
            total += (reference[0] - c) * (q - below)
            below = q
        return total

    points = list(zip(cost, quality, strict=True))
    whole = volume(points)
    return [whole - volume(points[:i] + points[i + 1 :]) for i in range(len(points))]


@right("search.exclusive_areas")
def areas_numpy(cost, quality, reference):
    wide = np.diff(np.append(cost, reference[0]))
    high = np.diff(np.insert(np.asarray(quality, dtype=float), 0, reference[1]))
    return (wide * high).tolist()
