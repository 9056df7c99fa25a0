"""Chapter 03: answers from the task texts."""

import math

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("profiling.growth", 3, "channels and side once each: 2 * 1.5")
wrong_value("profiling.growth", 4.5, "the channels only once: 2 * 1.5 * 1.5")
wrong_value("profiling.growth", 6, "the side only once: 2 * 2 * 1.5")
wrong_value("profiling.growth", 4, "the picture is forgotten")
wrong_value("profiling.growth", 2.25, "the channels are forgotten")
right_value("profiling.growth", 9)
right_value("profiling.growth", 2 * 2 * 1.5**2)

wrong_value("profiling.outgrown", 26, "the last side at which the weights take more")
wrong_value(
    "profiling.outgrown", 14, "more than the number of weights, not their bytes"
)
wrong_value(
    "profiling.outgrown", 56, "activations counted, the weights' bytes compared"
)
wrong_value("profiling.outgrown", 30, "one even side too far")
wrong_value("profiling.outgrown", 100352, "the bytes at that side")
right_value("profiling.outgrown", 28)
right_value("profiling.outgrown", 28.0)


@wrong("profiling.grouped_conv_macs", "groups are ignored")
def macs_1(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_in * c_out * kernel * kernel


@wrong("profiling.grouped_conv_macs", "inputs and outputs both divided by the groups")
def macs_2(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out**2 * (c_in // groups) * (c_out // groups) * kernel**2


@wrong("profiling.grouped_conv_macs", "padding on one side only")
def macs_3(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + padding - kernel) // stride + 1
    return out**2 * c_in // groups * c_out * kernel**2


@wrong("profiling.grouped_conv_macs", "places at which the filter hangs over count")
def macs_4(c_in, c_out, kernel, stride, padding, groups, side):
    out = math.ceil((side + 2 * padding - kernel) / stride) + 1
    return out**2 * c_in // groups * c_out * kernel**2


@wrong("profiling.grouped_conv_macs", "the last place is forgotten: no + 1")
def macs_5(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride
    return out**2 * c_in // groups * c_out * kernel**2


@wrong("profiling.grouped_conv_macs", "side / stride, whatever filter and padding are")
def macs_6(c_in, c_out, kernel, stride, padding, groups, side):
    out = side // stride
    return out**2 * c_in // groups * c_out * kernel**2


@wrong("profiling.grouped_conv_macs", "the filter counts one side only")
def macs_7(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out**2 * (c_in // groups) * c_out * kernel


@wrong("profiling.grouped_conv_macs", "a row of places, not a square")
def macs_8(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * (c_in // groups) * c_out * kernel**2


@right("profiling.grouped_conv_macs")
def macs_9(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


@right("profiling.grouped_conv_macs")
def macs_10(c_in, c_out, kernel, stride, padding, groups, side):
    places, at = 0, 0
    while at + kernel <= side + 2 * padding:
        places += 1
        at += stride
    total = 0
    for _ in range(groups):
        total += places**2 * (c_in // groups) * (c_out // groups) * kernel**2
    return total


@right("profiling.grouped_conv_macs")
def macs_11(c_in, c_out, kernel, stride, padding, groups, side):
    starts = range(-padding, side + padding - kernel + 1, stride)
    return len(starts) ** 2 * c_in * c_out * kernel**2 // groups


@right("profiling.grouped_conv_macs")
def macs_12(c_in, c_out, kernel, stride, padding, groups, side):
    out = math.floor((side + 2 * padding - kernel) / stride + 1)
    weights = np.prod([c_out, c_in // groups, kernel, kernel], dtype=np.int64)
    return int(weights * out**2)


@wrong("profiling.best_within", "what costs exactly the budget is left out")
def best_1(cost, quality, budget):
    best = None
    for i in range(len(cost)):
        if cost[i] < budget:
            if best is None or (quality[i], -cost[i]) > (quality[best], -cost[best]):
                best = i
    return best


@wrong("profiling.best_within", "the quality in place of the index")
def best_2(cost, quality, budget):
    fits = [q for c, q in zip(cost, quality, strict=True) if c <= budget]
    return max(fits) if fits else None


@wrong("profiling.best_within", "of equally good ones the first, not the cheapest")
def best_3(cost, quality, budget):
    best = None
    for i, c in enumerate(cost):
        if c <= budget and (best is None or quality[i] > quality[best]):
            best = i
    return best


@wrong("profiling.best_within", "-1 where nothing fits")
def best_4(cost, quality, budget):
    best = -1
    for i, c in enumerate(cost):
        if c > budget:
            continue
        if best < 0 or (quality[i], -c) > (quality[best], -cost[best]):
            best = i
    return best


@wrong("profiling.best_within", "the index among those that fit")
def best_5(cost, quality, budget):
    fits = [(q, -c) for c, q in zip(cost, quality, strict=True) if c <= budget]
    if not fits:
        return None
    return fits.index(max(fits))


@wrong("profiling.best_within", "of full ties the last")
def best_6(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] <= budget]
    if not fits:
        return None
    return sorted(fits, key=lambda i: (quality[i], -cost[i]))[-1]


@wrong("profiling.best_within", "the dearest that fits")
def best_7(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(fits, key=lambda i: cost[i], default=None)


@wrong(
    "profiling.best_within", "takes the best of all and asks for its cost afterwards"
)
def best_8(cost, quality, budget):
    best = min(range(len(cost)), key=lambda i: (-quality[i], cost[i]), default=None)
    if best is None or cost[best] > budget:
        return None
    return best


@right("profiling.best_within")
def best_9(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] <= budget]
    return min(fits, key=lambda i: (-quality[i], cost[i], i), default=None)


@right("profiling.best_within")
def best_10(cost, quality, budget):
    best = None
    for i, (c, q) in enumerate(zip(cost, quality, strict=True)):
        if c > budget:
            continue
        if best is None or q > quality[best]:
            best = i
        elif q == quality[best] and c < cost[best]:
            best = i
    return best


@right("profiling.best_within")
def best_11(cost, quality, budget):
    rows = [(-q, c, i) for i, (c, q) in enumerate(zip(cost, quality, strict=True))]
    for _, c, i in sorted(rows):
        if c <= budget:
            return i
    return None


@right("profiling.best_within")
def best_12(cost, quality, budget):
    cost, quality = np.asarray(cost, dtype=float), np.asarray(quality, dtype=float)
    left = np.flatnonzero(cost <= budget)
    if len(left) == 0:
        return None
    left = left[quality[left] == quality[left].max()]
    return int(left[np.argmin(cost[left])])


@wrong("profiling.peak_live", "given back before the step that reads it")
def peak_1(sizes, last_use):
    best = 0
    for i in range(len(sizes)):
        kept = sum(sizes[j] for j in range(i) if last_use[j] > i)
        best = max(best, kept + sizes[i])
    return best


@wrong("profiling.peak_live", "nothing is ever given back")
def peak_2(sizes, last_use):
    return sum(sizes)


@wrong("profiling.peak_live", "the largest single tensor")
def peak_3(sizes, last_use):
    return max(sizes, default=0)


@wrong("profiling.peak_live", "only the last step")
def peak_4(sizes, last_use):
    end = len(sizes) - 1
    return sum(s for s, last in zip(sizes, last_use, strict=True) if last >= end)


@wrong("profiling.peak_live", "tensors count before they are made")
def peak_5(sizes, last_use):
    steps = range(len(sizes))
    return max(sum(sizes[j] for j in steps if last_use[j] >= i) for i in steps)


@wrong("profiling.peak_live", "a chain: two neighbours, skips ignored")
def peak_6(sizes, last_use):
    if len(sizes) == 1:
        return sizes[0]
    return max(sizes[i] + sizes[i + 1] for i in range(len(sizes) - 1))


@wrong("profiling.peak_live", "given back one step too late")
def peak_7(sizes, last_use):
    peak = 0
    for i in range(len(sizes)):
        alive = [sizes[j] for j in range(i + 1) if last_use[j] >= i - 1]
        peak = max(peak, sum(alive))
    return peak


@wrong("profiling.peak_live", "the tensor being made is not counted")
def peak_8(sizes, last_use):
    peak = 0
    for i in range(len(sizes)):
        peak = max(peak, sum(sizes[j] for j in range(i) if last_use[j] >= i))
    return peak


@right("profiling.peak_live")
def peak_9(sizes, last_use):
    return max(
        sum(sizes[j] for j in range(i + 1) if last_use[j] >= i)
        for i in range(len(sizes))
    )


@right("profiling.peak_live")
def peak_10(sizes, last_use):
    now = peak = 0
    for i, size in enumerate(sizes):
        now += size
        peak = max(peak, now)
        for j in range(i + 1):
            if last_use[j] == i:
                now -= sizes[j]
    return peak


@right("profiling.peak_live")
def peak_11(sizes, last_use):
    change = np.zeros(len(sizes) + 1, dtype=np.int64)
    for i, (size, last) in enumerate(zip(sizes, last_use, strict=True)):
        change[i] += size
        change[last + 1] -= size
    return int(change.cumsum().max())


@right("profiling.peak_live")
def peak_12(sizes, last_use):
    alive, peak = {}, 0
    for i, size in enumerate(sizes):
        alive[i] = size
        peak = max(peak, sum(alive.values()))
        alive = {j: s for j, s in alive.items() if last_use[j] > i}
    return peak
