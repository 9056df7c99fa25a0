"""Chapter 23: answers from the task texts."""

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("capstone.times_smaller", 0.10, "the share that is left, not its inverse")
wrong_value("capstone.times_smaller", 1.61, "one over the sum of the two shares")
wrong_value("capstone.times_smaller", 6.50, "adds the two factors")
wrong_value("capstone.times_smaller", 3.60, "rounding alone")
wrong_value("capstone.times_smaller", 2.11, "takes the shares as what is taken away")
right_value("capstone.times_smaller", 10.43)
right_value("capstone.times_smaller", 1 / (0.345 * 0.278))

wrong_value("capstone.sizes_within", 1, "the budget of 25 million is left")
wrong_value("capstone.sizes_within", 4, "counts all that are printed")
wrong_value("capstone.sizes_within", 2, "the place of the last that fits, from 0")
wrong_value("capstone.sizes_within", 0, "45 in place of 45e6 as the budget")
wrong_value("capstone.sizes_within", 40.3, "the price of the last one that fits")
right_value("capstone.sizes_within", 3)
right_value("capstone.sizes_within", 3.0)


@wrong("capstone.broken", "the AP is treated as the others: at most its limit")
def broken_1(values, limits):
    return [i for i in range(4) if values[i] > limits[i]]


@wrong("capstone.broken", "a value equal to its limit counts as broken")
def broken_2(values, limits):
    out = [i for i in range(3) if values[i] >= limits[i]]
    if values[3] <= limits[3]:
        out.append(3)
    return out


@wrong("capstone.broken", "places are counted from 1")
def broken_3(values, limits):
    out = []
    for i, (value, limit) in enumerate(zip(values, limits, strict=True), start=1):
        if (value < limit) if i == 4 else (value > limit):
            out.append(i)
    return out


@wrong("capstone.broken", "the AP is never looked at")
def broken_4(values, limits):
    return [i for i in range(3) if values[i] > limits[i]]


@wrong("capstone.broken", "stops at the first broken one")
def broken_5(values, limits):
    for i in range(3):
        if values[i] > limits[i]:
            return [i]
    if values[3] < limits[3]:
        return [3]
    return []


@wrong("capstone.broken", "gives the places of the budgets that are kept")
def broken_6(values, limits):
    kept = [i for i in range(3) if values[i] <= limits[i]]
    if values[3] >= limits[3]:
        kept.append(3)
    return kept


@right("capstone.broken")
def broken_7(values, limits):
    out = []
    for i in range(3):
        if values[i] > limits[i]:
            out.append(i)
    if values[3] < limits[3]:
        out.append(3)
    return out


@right("capstone.broken")
def broken_8(values, limits):
    signs = np.array([1, 1, 1, -1])
    over = np.array(values) * signs > np.array(limits) * signs
    return np.flatnonzero(over).tolist()


@right("capstone.broken")
def broken_9(values, limits):
    def go(place):
        if place == len(values):
            return []
        v, limit = values[place], limits[place]
        bad = v < limit if place == 3 else v > limit
        return ([place] if bad else []) + go(place + 1)

    return go(0)


@wrong("capstone.cheapest", "an AP of exactly the floor does not count")
def cheapest_1(aps, prices, floor):
    good = [i for i in range(len(aps)) if aps[i] > floor]
    if not good:
        return None
    return min(good, key=lambda i: (prices[i], -aps[i]))


@wrong("capstone.cheapest", "of equal prices the first one, whatever its AP")
def cheapest_2(aps, prices, floor):
    best = None
    for i, (ap, price) in enumerate(zip(aps, prices, strict=True)):
        if ap >= floor and (best is None or price < prices[best]):
            best = i
    return best


@wrong("capstone.cheapest", "the place among those that reach the floor")
def cheapest_3(aps, prices, floor):
    good = [(p, -a) for a, p in zip(aps, prices, strict=True) if a >= floor]
    if not good:
        return None
    return good.index(min(good))


@wrong("capstone.cheapest", "the best AP first, the price only among equals")
def cheapest_4(aps, prices, floor):
    good = [i for i, ap in enumerate(aps) if ap >= floor]
    if not good:
        return None
    return max(good, key=lambda i: (aps[i], -prices[i]))


@wrong("capstone.cheapest", "the cheapest of all, and None if that misses the floor")
def cheapest_5(aps, prices, floor):
    order = sorted(range(len(aps)), key=lambda i: (prices[i], -aps[i]))
    if not order or aps[order[0]] < floor:
        return None
    return order[0]


@wrong("capstone.cheapest", "-1 in place of None if no file reaches the floor")
def cheapest_6(aps, prices, floor):
    best = -1
    for i in range(len(aps)):
        if aps[i] < floor:
            continue
        if best == -1 or (prices[i], -aps[i]) < (prices[best], -aps[best]):
            best = i
    return best


@right("capstone.cheapest")
def cheapest_7(aps, prices, floor):
    good = (i for i, ap in enumerate(aps) if ap >= floor)
    return min(good, key=lambda i: (prices[i], -aps[i]), default=None)


@right("capstone.cheapest")
def cheapest_8(aps, prices, floor):
    best = None
    for i in range(len(aps)):
        if aps[i] >= floor:
            if best is None or prices[i] < prices[best]:
                best = i
            elif prices[i] == prices[best] and aps[i] > aps[best]:
                best = i
    return best


@right("capstone.cheapest")
def cheapest_9(aps, prices, floor):
    for i in np.lexsort((-np.array(aps, dtype=float), np.array(prices, dtype=float))):
        if aps[i] >= floor:
            return int(i)
    return None
