"""Chapter 03: answers from the task texts."""

import heapq

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("profiling.growth", 4.5, "doubles only one side of the filter")
wrong_value("profiling.growth", 6, "takes 1.5 for the area of the picture")
wrong_value("profiling.growth", 3, "twice times 1.5")
right_value("profiling.growth", 9)

wrong_value("profiling.outgrown", 26, "the last side at which the weights are more")
wrong_value("profiling.outgrown", 14, "the number of weights, not their bytes")
wrong_value("profiling.outgrown", 56, "the number of activations, not their bytes")
right_value("profiling.outgrown", 28)


@wrong("profiling.grouped_conv_macs", "the padding stands on one side only")
def grouped_one_side(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


@wrong("profiling.grouped_conv_macs", "a last place that hangs over counts")
def grouped_ceil(c_in, c_out, kernel, stride, padding, groups, side):
    out = -(-(side + 2 * padding - kernel) // stride) + 1
    return out**2 * c_out * (c_in // groups) * kernel**2


@wrong("profiling.grouped_conv_macs", "counts one of the groups")
def grouped_one_group(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out**2 * (c_out // groups) * (c_in // groups) * kernel**2


@wrong("profiling.grouped_conv_macs", "leaves out the products with padding")
def grouped_inside(c_in, c_out, kernel, stride, padding, groups, side):
    taps = 0
    for start in range(-padding, side + padding - kernel + 1, stride):
        taps += sum(0 <= start + k < side for k in range(kernel))
    return taps * taps * c_out * (c_in // groups)


@wrong("profiling.grouped_conv_macs", "takes the output to be side / stride")
def grouped_same(c_in, c_out, kernel, stride, padding, groups, side):
    out = side // stride
    return out**2 * c_out * (c_in // groups) * kernel**2


@right("profiling.grouped_conv_macs")
def grouped_formula(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out**2 * c_out * (c_in // groups) * kernel**2


@right("profiling.grouped_conv_macs")
def grouped_range(c_in, c_out, kernel, stride, padding, groups, side):
    places = len(range(0, side + 2 * padding - kernel + 1, stride))
    one_group = (c_in // groups) * (c_out // groups) * kernel * kernel
    return places * places * one_group * groups


@right("profiling.grouped_conv_macs")
def grouped_walk(c_in, c_out, kernel, stride, padding, groups, side):
    wide = side + padding + padding
    at, places = 0, 0
    while at + kernel <= wide:
        places += 1
        at += stride
    return places * places * kernel * kernel * c_in * c_out // groups


@wrong("profiling.best_within", "takes index 0 for none yet")
def within_zero(cost, quality, budget):
    best = None
    for i in range(len(cost)):
        if cost[i] > budget:
            continue
        if not best or (quality[i], -cost[i]) > (quality[best], -cost[best]):
            best = i
    return best


@wrong("profiling.best_within", "a network that takes all of the budget is out")
def within_strict(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] < budget]
    if not fits:
        return None
    return max(fits, key=lambda i: (quality[i], -cost[i]))


@wrong("profiling.best_within", "the place among those that fit")
def within_filtered(cost, quality, budget):
    fits = [(q, -c) for c, q in zip(cost, quality, strict=True) if c <= budget]
    if not fits:
        return None
    return fits.index(max(fits))


@wrong("profiling.best_within", "of equally good ones the dearest")
def within_dearest(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(fits, key=lambda i: (quality[i], cost[i]), default=None)


@wrong("profiling.best_within", "of the same quality and cost the last")
def within_last(cost, quality, budget):
    order = sorted(range(len(cost)), key=lambda i: (quality[i], -cost[i]))
    fits = [i for i in order if cost[i] <= budget]
    return fits[-1] if fits else None


@right("profiling.best_within")
def within_max(cost, quality, budget):
    fits = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(fits, key=lambda i: (quality[i], -cost[i]), default=None)


@right("profiling.best_within")
def within_sorted(cost, quality, budget):
    rows = sorted(
        (-q, c, i) for i, (c, q) in enumerate(zip(cost, quality, strict=True))
    )
    for _, c, i in rows:
        if c <= budget:
            return i
    return None


@right("profiling.best_within")
def within_loop(cost, quality, budget):
    best = None
    for i, c in enumerate(cost):
        if c > budget:
            continue
        if best is None or quality[i] > quality[best]:
            best = i
        elif quality[i] == quality[best] and c < cost[best]:
            best = i
    return best


@wrong("profiling.peak_live", "gives back only one tensor after a step")
def live_first_only(sizes, last_use):
    live, peak, uses = 0, 0, list(last_use)
    for i, size in enumerate(sizes):
        live += size
        peak = max(peak, live)
        if i in uses:
            live -= sizes[uses.index(i)]
    return peak


@wrong("profiling.peak_live", "only a tensor and the one before it")
def live_neighbours(sizes, last_use):
    peak = max(sizes, default=0)
    for a, b in zip(sizes, sizes[1:], strict=False):
        peak = max(peak, a + b)
    return peak


@wrong("profiling.peak_live", "gives back before the step has made its tensor")
def live_early(sizes, last_use):
    live, peak = 0, 0
    for i, size in enumerate(sizes):
        for j in range(i):
            if last_use[j] == i:
                live -= sizes[j]
        live += size
        peak = max(peak, live)
        if last_use[i] == i:
            live -= size
    return peak


@wrong("profiling.peak_live", "tensors exist before they are made")
def live_from_start(sizes, last_use):
    peak = 0
    for i in range(len(sizes)):
        pairs = zip(sizes, last_use, strict=True)
        peak = max(peak, sum(size for size, last in pairs if last >= i))
    return peak


@wrong("profiling.peak_live", "gives back one step late")
def live_late(sizes, last_use):
    peak = 0
    for i in range(len(sizes)):
        live = sum(sizes[j] for j in range(i + 1) if last_use[j] + 1 >= i)
        peak = max(peak, live)
    return peak


@right("profiling.peak_live")
def live_sum(sizes, last_use):
    steps = range(len(sizes))
    return max(sum(sizes[j] for j in range(i + 1) if last_use[j] >= i) for i in steps)


@right("profiling.peak_live")
def live_difference(sizes, last_use):
    change = [0] * (len(sizes) + 1)
    for i, (size, last) in enumerate(zip(sizes, last_use, strict=True)):
        change[i] += size
        change[last + 1] -= size
    live, peak = 0, 0
    for c in change:
        live += c
        peak = max(peak, live)
    return peak


@right("profiling.peak_live")
def live_heap(sizes, last_use):
    heap, live, peak = [], 0, 0
    for i, size in enumerate(sizes):
        while heap and heap[0][0] < i:
            live -= heapq.heappop(heap)[1]
        heapq.heappush(heap, (last_use[i], size))
        live += size
        peak = max(peak, live)
    return peak
