"""Exercises and quiz of chapter 03: what a network costs."""

import random

import torch
from torch import nn

from lib.basics import profiling, training
from lib.exercises import Exercise, Option, Property, Question, Wrong

# --- 03.1 build


def counted_networks() -> list[int]:
    """What `macs` says of MobileNetV2, of AlexNet and of a layer in three groups."""
    from torchvision.models import get_model

    found = []
    with torch.device("meta"):
        for name, side in (("mobilenet_v2", 224), ("alexnet", 231)):
            network = get_model(name, weights=None)
            found.append(profiling.macs(network, torch.zeros(2, 3, side, side)))
        layer = nn.Conv2d(6, 9, 2, stride=2, padding=1, groups=3)
        found.append(profiling.macs(layer, torch.zeros(1, 6, 11, 11)))
    return found


def grouped_conv_macs_2(c_in, c_out, kernel, stride, padding, groups, side):
    """Group by group: each is a dense convolution between its share of channels."""
    positions = len(range(0, side + 2 * padding - kernel + 1, stride)) ** 2
    weights = (c_in // groups) * (c_out // groups) * kernel**2
    return sum(positions * weights for _ in range(groups))


def groups_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * c_in * kernel * kernel


def groups_twice(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * (c_out // groups) * (c_in // groups) * kernel * kernel


def groups_multiplied(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * c_in * kernel * kernel * groups


def input_side(c_in, c_out, kernel, stride, padding, groups, side):
    return side * side * c_out * (c_in // groups) * kernel * kernel


def two_for_one(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return 2 * out * out * c_out * (c_in // groups) * kernel * kernel


def padding_once(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def padding_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def one_place_missing(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride
    return out * out * c_out * (c_in // groups) * kernel * kernel


def one_before_the_division(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel + 1) // stride
    return out * out * c_out * (c_in // groups) * kernel * kernel


def one_place_too_many(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel + 1) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def padding_doubled_twice(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 4 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def last_place_lost(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel - 1) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def places_rounded_up(c_in, c_out, kernel, stride, padding, groups, side):
    out = -(-(side + 2 * padding - kernel) // stride) + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def places_rounded(c_in, c_out, kernel, stride, padding, groups, side):
    out = round((side + 2 * padding - kernel) / stride) + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def places_not_rounded(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) / stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def filter_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding) // stride
    return out * out * c_out * (c_in // groups) * kernel * kernel


def filter_forgotten_up(c_in, c_out, kernel, stride, padding, groups, side):
    out = -(-(side + 2 * padding) // stride)
    return out * out * c_out * (c_in // groups) * kernel * kernel


def padding_taken_away(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side - 2 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def padded_side(c_in, c_out, kernel, stride, padding, groups, side):
    out = side + 2 * padding
    return out * out * c_out * (c_in // groups) * kernel * kernel


def channels_added(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * (c_in + c_out) // groups * kernel * kernel


def inputs_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * kernel * kernel


def side_by_stride(c_in, c_out, kernel, stride, padding, groups, side):
    out = side // stride
    return out * out * c_out * (c_in // groups) * kernel * kernel


def side_by_stride_up(c_in, c_out, kernel, stride, padding, groups, side):
    out = -(-side // stride)
    return out * out * c_out * (c_in // groups) * kernel * kernel


def stride_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    out = side + 2 * padding - kernel + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def one_side_of_the_filter(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel


def one_row_of_places(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * c_out * (c_in // groups) * kernel * kernel


def weights_of_the_filter(c_in, c_out, kernel, stride, padding, groups, side):
    return c_out * (c_in // groups) * kernel * kernel


def with_a_bias(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups * kernel * kernel + 1)


def grouped_cases(rng, size):
    groups = rng.randint(1, 1 + size)
    kernel = rng.choice((1, 2, 3, 4, 5, 7))
    return (
        groups * rng.randint(1, size),
        groups * rng.randint(1, size),
        kernel,
        rng.randint(1, 3),
        rng.choice((rng.randint(0, kernel // 2), kernel)),
        groups,
        rng.randint(kernel, 6 + 4 * size),
    )


# --- 03.2 build, core


def fronts_found() -> list:
    """Fronts and hypervolumes of many points: with ties, with twins, of one alone."""
    rng = random.Random(3)
    found = []
    for n, steps in ((1, 9), (60, 8), (200, 50), (300, 10_000)):
        cost = [rng.randint(1, steps) for _ in range(n)]
        quality = [rng.randint(-steps, steps) / steps for _ in range(n)]
        found.append(profiling.pareto_front(cost, torch.tensor(quality)))
        found.append(profiling.hypervolume(cost, quality, (steps + 1, -1)))
    return found


def undominated_2(points):
    """Another right way: Eq. 3.6 as it stands, each point against every other."""

    def dominates(one, other):
        no_worse = one[0] <= other[0] and one[1] >= other[1]
        return no_worse and one != other

    kept = []
    for index, point in enumerate(points):
        if not any(dominates(other, point) for other in points):
            kept.append(index)
    return kept


def _kept(points, beats):
    """Indices of the points that none beats."""
    n = len(points)
    return [
        j for j in range(n) if not any(beats(points[i], points[j]) for i in range(n))
    ]


def better_in_both(points):
    return _kept(points, lambda a, b: a[0] < b[0] and a[1] > b[1])


def better_in_quality(points):
    return _kept(points, lambda a, b: a[0] <= b[0] and a[1] > b[1])


def better_in_cost(points):
    return _kept(points, lambda a, b: a[0] < b[0] and a[1] >= b[1])


def better_in_one(points):
    return _kept(points, lambda a, b: a[0] < b[0] or a[1] > b[1])


def beaten_by_itself(points):
    return _kept(points, lambda a, b: a[0] <= b[0] and a[1] >= b[1])


def beaten_by_its_twin(points):
    n = range(len(points))
    return [
        j for j in n
        if not any(
            i != j and points[i][0] <= points[j][0] and points[i][1] >= points[j][1]
            for i in n
        )
    ]  # fmt: skip


def first_of_twins(points):
    seen, kept = set(), []
    for index in undominated_2(points):
        if points[index] not in seen:
            kept.append(index)
        seen.add(points[index])
    return kept


def last_of_twins(points):
    last = {points[index]: index for index in undominated_2(points)}
    return sorted(last.values())


def looked_up_twins(points):
    return [points.index(points[index]) for index in undominated_2(points)]


def more_cost_is_better(points):
    return undominated_2([(-cost, quality) for cost, quality in points])


def less_quality_is_better(points):
    return undominated_2([(cost, -quality) for cost, quality in points])


def both_the_other_way(points):
    return undominated_2([(-cost, -quality) for cost, quality in points])


def dominated_ones(points):
    front = set(undominated_2(points))
    return [index for index in range(len(points)) if index not in front]


def front_by_cost(points):
    return sorted(undominated_2(points), key=lambda index: points[index])


def front_by_quality(points):
    return sorted(undominated_2(points), key=lambda index: -points[index][1])


def front_as_points(points):
    return [points[index] for index in undominated_2(points)]


def front_as_marks(points):
    front = set(undominated_2(points))
    return [index in front for index in range(len(points))]


def front_counted(points):
    return len(undominated_2(points))


def front_from_one(points):
    return [index + 1 for index in undominated_2(points)]


def front_in_the_sorted_list(points):
    by_cost = sorted(points, key=lambda point: (point[0], -point[1]))
    return undominated_2(by_cost)


def the_two_ends(points):
    if not points:
        return []
    n = range(len(points))
    cheapest = min(n, key=lambda i: (points[i][0], -points[i][1]))
    best = max(n, key=lambda i: (points[i][1], -points[i][0]))
    return sorted({cheapest, best})


def highest_alone(points):
    most = max((quality for _, quality in points), default=0)
    return [index for index, (_, quality) in enumerate(points) if quality == most]


def earlier_ones_only(points):
    ends = range(1, len(points) + 1)
    return [end - 1 for end in ends if end - 1 in undominated_2(points[:end])]


def compared_with_kept_only(points):
    """Each against those that are kept so far; what is kept is never dropped."""
    kept = []
    for index, (cost, quality) in enumerate(points):
        if all(cost < points[k][0] or quality > points[k][1] for k in kept):
            kept.append(index)
    return kept


def _swept(points, key, stays):
    kept = []
    for index in sorted(range(len(points)), key=key):
        if not kept or stays(points[index], points[kept[-1]]):
            kept.append(index)
    return sorted(kept)


def swept_by_cost_alone(points):
    return _swept(points, lambda i: points[i][0], lambda a, b: a[1] > b[1] or a == b)


def against_the_next_cheaper(points):
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    kept = []
    for place, index in enumerate(order):
        before = points[order[place - 1]]
        if not place or points[index][1] > before[1] or points[index] == before:
            kept.append(index)
    return sorted(kept)


def swept_from_zero(points):
    kept, best = [], 0
    for index in sorted(
        range(len(points)), key=lambda i: (points[i][0], -points[i][1])
    ):
        quality = points[index][1]
        if quality > best or (kept and points[index] == points[kept[-1]]):
            kept.append(index)
            best = quality
    return sorted(kept)


def point_cases(rng, size):
    """Few different numbers, so that costs, qualities and whole points are equal."""
    n, unit = rng.choice((1, 2 + size, 3 * size)), rng.choice((1, 1, 0.25, 10**6))
    steps = rng.choice((2, 3, 1 + size, 6 * size))
    points = [
        (rng.randint(1, steps) * unit, rng.randint(-1, steps) * unit) for _ in range(n)
    ]
    return (points,)


def still_the_front_turned_round(mine, points):
    """The same points are found if they are listed from the end."""
    last = len(points) - 1
    return sorted(last - index for index in mine(points[::-1])) == mine(points)


# --- 03.3 predict


def growth() -> float:
    """Factor on one convolution's multiply-adds: channels times 2, side times 1.5."""
    small, large = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
    before = profiling.macs(small, torch.zeros(1, 16, 16, 16))
    return profiling.macs(large, torch.zeros(1, 32, 24, 24)) / before


# --- 03.4 measure


def outgrown() -> int:
    """Smallest even side at which activations take more bytes than the weights."""
    model = training.small_cnn((16, 32, 64))
    side = 8
    while _peak(model, side) <= profiling.sizes(model).bytes:
        side += 2
    return side


def _peak(model: nn.Module, side: int) -> int:
    return profiling.peak_memory(model, torch.zeros(1, 3, side, side))


def outgrown_numbers() -> int:
    model, side = training.small_cnn((16, 32, 64)), 8
    while _peak(model, side) <= profiling.parameters(model):
        side += 2
    return side


def outgrown_just_before() -> int:
    return outgrown() - 2


def outgrown_just_after() -> int:
    return outgrown() + 2


def outgrown_odd() -> int:
    return outgrown() - 1


def outgrown_bytes_of_numbers() -> int:
    model, side = training.small_cnn((16, 32, 64)), 8
    while _peak(model, side) / 4 <= profiling.sizes(model).bytes:
        side += 2
    return side


# --- 03.5 build


def best_within(cost, quality, budget):
    """Index of the best point that the budget allows; None if it allows none."""
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return None
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def best_within_2(cost, quality, budget):
    """One pass, the best so far in hand."""
    best = None
    for i, (c, q) in enumerate(zip(cost, quality, strict=True)):
        if c > budget:
            continue
        if best is None or q > quality[best] or (q == quality[best] and c < cost[best]):
            best = i
    return best


def strictly_below(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] < budget]
    if not inside:
        return None
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def place_among_survivors(cost, quality, budget):
    inside = [(q, -c) for c, q in zip(cost, quality, strict=True) if c <= budget]
    return inside.index(max(inside)) if inside else None


def cheapest(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return min(inside, key=lambda i: (cost[i], -quality[i])) if inside else None


def dearest(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (cost[i], quality[i])) if inside else None


def first_of_a_tie(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: quality[i]) if inside else None


def dearer_of_a_tie(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (quality[i], cost[i])) if inside else None


def dearest_and_last_of_a_tie(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (quality[i], cost[i], i)) if inside else None


def latest_of_a_tie(cost, quality, budget):
    best = None
    for i in range(len(cost)):
        if cost[i] <= budget and (best is None or quality[i] >= quality[best]):
            best = i
    return best


def last_of_equals(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (quality[i], -cost[i], i)) if inside else None


def looked_up_by_quality(cost, quality, budget):
    inside = [q for c, q in zip(cost, quality, strict=True) if c <= budget]
    return quality.index(max(inside)) if inside else None


def begins_at_zero(cost, quality, budget):
    best, highest = None, 0
    for i in range(len(cost)):
        if cost[i] > budget:
            continue
        better = quality[i] > highest
        tie = best is not None and quality[i] == highest and cost[i] < cost[best]
        if better or tie:
            best, highest = i, quality[i]
    return best


def begins_at_minus_one(cost, quality, budget):
    best, highest, price = None, -1, float("inf")
    for i in range(len(cost)):
        better = quality[i] > highest or (quality[i] == highest and cost[i] < price)
        if cost[i] <= budget and better:
            best, highest, price = i, quality[i], cost[i]
    return best


def quality_returned(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return None
    return quality[max(inside, key=lambda i: (quality[i], -cost[i]))]


def cost_returned(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return None
    return cost[max(inside, key=lambda i: (quality[i], -cost[i]))]


def minus_one_for_nothing(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return -1
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def first_for_nothing(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return 0
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def begins_with_the_first(cost, quality, budget):
    best = 0
    for i in range(len(cost)):
        better = (quality[i], -cost[i]) > (quality[best], -cost[best])
        if cost[i] <= budget and better:
            best = i
    return best


def quality_less_cost(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: quality[i] - cost[i]) if inside else None


def last_by_cost(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (cost[i], i)) if inside else None


def fails_for_nothing(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def first_that_fits(cost, quality, budget):
    return next((i for i in range(len(cost)) if cost[i] <= budget), None)


def budget_ignored(cost, quality, budget):
    return max(range(len(cost)), key=lambda i: (quality[i], -cost[i]))


def best_if_it_fits(cost, quality, budget):
    best = max(range(len(cost)), key=lambda i: (quality[i], -cost[i]))
    return best if cost[best] <= budget else None


def best_value(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: quality[i] / cost[i]) if inside else None


def budget_cases(rng, size):
    n, unit = 1 + 2 * size, rng.choice((1, 1, 0.25, 1000))
    cost = [rng.randint(1, 3 * size) * unit for _ in range(n)]
    quality = [rng.randint(-1, 1 + size) * unit for _ in range(n)]
    return cost, quality, rng.choice(cost) - rng.choice((0, 0, 0, unit))


# --- 03.6 build


def peak_live(sizes, last_use):
    """Most bytes alive at one step: tensor i lives from step i to step last_use[i]."""
    return max(
        sum(sizes[i] for i in range(step + 1) if last_use[i] >= step)
        for step in range(len(sizes))
    )


def peak_live_2(sizes, last_use):
    """Keep a balance: allocate, look, release."""
    alive = peak = 0
    for step, size in enumerate(sizes):
        alive += size
        peak = max(peak, alive)
        alive -= sum(s for s, last in zip(sizes, last_use, strict=True) if last == step)
    return peak


def released_too_early(sizes, last_use):
    return max(
        sum(sizes[i] for i in range(step + 1) if i == step or last_use[i] > step)
        for step in range(len(sizes))
    )


def looked_after_release(sizes, last_use):
    """So is the peak of whoever releases before the step, or counts inputs alone."""
    alive = peak = 0
    for step, size in enumerate(sizes):
        alive += size
        alive -= sum(s for s, last in zip(sizes, last_use, strict=True) if last == step)
        peak = max(peak, alive)
    return peak


def one_step_too_long(sizes, last_use):
    return max(
        sum(sizes[i] for i in range(step + 1) if last_use[i] + 1 >= step)
        for step in range(len(sizes))
    )


def read_by_this_step(sizes, last_use):
    return max(
        sizes[step] + sum(sizes[i] for i in range(step) if last_use[i] == step)
        for step in range(len(sizes))
    )


def with_the_last_reader(sizes, last_use):
    return max(size + sizes[last] for size, last in zip(sizes, last_use, strict=True))


def previous_released(sizes, last_use):
    alive = peak = 0
    for step, size in enumerate(sizes):
        alive += size
        peak = max(peak, alive)
        if step > 0 and last_use[step - 1] == step:
            alive -= sizes[step - 1]
    return peak


def released_at_the_step(sizes, last_use):
    steps = range(len(sizes))
    return max(
        sum(s for s, last in zip(sizes, last_use, strict=True) if last == step)
        for step in steps
    )


def list_of_steps(sizes, last_use):
    return [
        sum(sizes[i] for i in range(step + 1) if last_use[i] >= step)
        for step in range(len(sizes))
    ]


def never_released(sizes, last_use):
    return sum(sizes)


def left_at_the_end(sizes, last_use):
    end = len(sizes) - 1
    return sum(size for size, last in zip(sizes, last_use, strict=True) if last == end)


def largest_tensor(sizes, last_use):
    return max(sizes)


def two_largest(sizes, last_use):
    return sum(sorted(sizes)[-2:])


def neighbours_only(sizes, last_use):
    return max(sum(sizes[max(0, i - 1) : i + 1]) for i in range(len(sizes)))


def tensors_counted(sizes, last_use):
    return max(
        sum(last_use[i] >= step for i in range(step + 1)) for step in range(len(sizes))
    )


def step_of_the_peak(sizes, last_use):
    alive = [
        sum(sizes[i] for i in range(step + 1) if last_use[i] >= step)
        for step in range(len(sizes))
    ]
    return alive.index(max(alive))


def live_cases(rng, size):
    n, unit = 1 + 2 * size, rng.choice((1, 4096))
    sizes = [rng.randint(1, 9) * unit for _ in range(n)]
    ends = (0, 1, 1, 2, 3, n)  # steps that a tensor lives; 0: nobody reads it
    last_use = [min(n - 1, i + rng.choice(ends)) for i in range(n)]
    return sizes, last_use


EXERCISES = (
    Exercise(
        name="grouped_conv_macs", number="03.1", kind="build",
        minutes=10, difficulty=2, points=3,
        task="Write `grouped_conv_macs(c_in, c_out, kernel, stride, padding, groups,"
             " side)`: the multiply-adds of one convolution, filter `kernel` by"
             " `kernel`, picture `side` by `side`, `padding` zeros on each of the four"
             " sides, `groups` equal groups of channels. The padded picture is at least"
             " as large as the filter. Return a whole number.",
        place="basics.profiling.grouped_conv_macs", required=True, importance=3,
        machine="`macs`, which counts every network of this course",
        machine_case=counted_networks, milestone_calls=217,
        unchanged={},
        reference=profiling.grouped_conv_macs,
        alternative=grouped_conv_macs_2,
        wrong=(
            Wrong(groups_forgotten, "Right for one group. With more, an output channel"
                                    " no longer reads every input channel: which ones"
                                    " does it read?"),
            Wrong(groups_twice, "You divide by the groups twice. In one group both"
                                " channel counts are smaller, but then there are"
                                " `groups` of them."),
            Wrong(input_side, "The filter is multiplied once for each position of the"
                              " output. Stride and padding change how many there are."),
            Wrong(two_for_one, "Twice too much: a multiplication and the addition that"
                               " follows it are one multiply-add here."),
            Wrong(groups_multiplied, "More groups mean fewer products: an output"
                                     " channel reads only the inputs of its own"
                                     " group. Divide."),
            Wrong(padding_once, "Padding goes on both ends of a row: it widens the"
                                " picture by twice its value."),
            Wrong(padding_forgotten, "The zeros count too: the padding widens the"
                                     " picture on both sides."),
            *(Wrong(f, "One place is missing in a row: the first place needs no stride."
                       " Count the strides that fit, then add 1.")
              for f in (one_place_missing, one_before_the_division,
                        last_place_lost)),
            Wrong(one_place_too_many, "You count a place too many where a filter would"
                                      " end one pixel behind the picture: the 1 is"
                                      " added once, after the division."),
            Wrong(padding_doubled_twice, "Padding goes on two ends of a row, so it"
                                         " widens it by twice its value, not four"
                                         " times."),
            *(Wrong(f, "A place counts only if the whole filter fits: a part of a"
                       " stride at the end makes no place. Round down.")
              for f in (places_rounded_up, places_rounded, places_not_rounded)),
            *(Wrong(f, "Side by stride is right only where the padding fits the"
                       " filter. Count the places: how many strides fit between the"
                       " first place and the end of the padded picture?")
              for f in (side_by_stride, side_by_stride_up)),
            *(Wrong(f, "The filter has a width of its own, so fewer places fit: the"
                       " last place ends at the end of the padded picture.")
              for f in (filter_forgotten, filter_forgotten_up, padded_side)),
            Wrong(padding_taken_away, "Padding makes the picture larger: add it on both"
                                      " sides."),
            Wrong(channels_added, "Every output channel reads every input channel of"
                                  " its group: multiply the two, do not add them."),
            Wrong(inputs_forgotten, "An output value reads all input channels of its"
                                    " group, c_in // groups of them."),
            Wrong(stride_forgotten, "The filter moves `stride` pixels at a time, so"
                                    " there are fewer places."),
            Wrong(one_side_of_the_filter, "A filter has kernel times kernel numbers."),
            Wrong(one_row_of_places, "That is one row of places. The filter also moves"
                                     " down."),
            Wrong(weights_of_the_filter, "These are the weights. Each is used once at"
                                         " every place of the filter."),
            Wrong(with_a_bias, "You counted one more for each output, as for a bias."
                               " Only products count."),
        ),
        hints=(
            "Two questions: how many output values are there, and how many products"
            " does one of them need?",
            "Positions along one side: the first fits if the padded picture is at least"
            " as long as the kernel; then one more for every full stride.",
            "One output value reads c_in // groups channels of kernel times kernel"
            " numbers.",
        ),
        cases=grouped_cases,
        by_hand=(
            ((3, 8, 3, 1, 1, 1, 16), 55_296),  # 256 positions, 8 channels, 27 products
            ((8, 8, 3, 1, 1, 8, 16), 18_432),  # depthwise: 256 positions, 8 times 9
            ((6, 4, 3, 2, 0, 2, 9), 1_728),  # 4*4 positions, 4 channels, 27 products
            # 20 pixels for a filter of 4: 5 full strides of 3, and one left over
            ((2, 6, 4, 3, 1, 2, 18), 3_456),  # 6*6 positions, 6 channels, 16 products
            ((4, 2, 5, 3, 0, 1, 5), 200),  # it fits once: 2 channels, 100 products
            # EfficientNet-B0's first layer: 112*112 positions, 32 channels, 27 products
            ((3, 32, 3, 2, 1, 1, 224), 10_838_016),
        ),
        properties=(
            Property("padding 0, kernel 1, stride 1: one product for each pair of"
                     " channels in a group and each pixel",
                     lambda mine, c_in, c_out, kernel, stride, padding, groups, side:
                     mine(c_in, c_out, 1, 1, 0, groups, side)
                     == side * side * c_out * c_in // groups),
        ),
    ),
    Exercise(
        name="undominated", number="03.2", kind="build",
        minutes=12, difficulty=2, points=3,
        task="Write `undominated(points)`: the indices of the points (cost, quality)"
             " that no other dominates, in the order of the list. Less cost and more"
             " quality are better; one dominates another if it is no worse in both and"
             " strictly better in one. Equal points do not dominate each other.",
        place="basics.profiling.undominated", importance=2,
        machine="`pareto_front` and `hypervolume`, by which chapter 07 compares"
                " searches",
        machine_case=fronts_found, milestone_calls=8,
        unchanged={
            name: "`pareto_front` puts them in order by their cost"
            for name in ("front_by_cost", "front_by_quality")
        },
        reference=profiling.undominated, alternative=undominated_2,
        wrong=(
            Wrong(better_in_both, "You ask for strictly better in both. Better in one"
                                  " is enough, if the other is equal: the same quality"
                                  " for less, or more quality for the same."),
            Wrong(better_in_quality, "Of two points with the same quality the dearer"
                                     " one is dominated too. (If you sort by cost: a"
                                     " dearer one stays only if it is better.)"),
            Wrong(better_in_cost, "Of two points with the same cost the worse one is"
                                  " dominated too. (If you sort by cost: of equal"
                                  " costs the best has to come first.)"),
            Wrong(better_in_one, "Better in one number is not enough: the other must"
                                 " be no worse. A dearer and better point is a"
                                 " compromise, not a loser."),
            Wrong(beaten_by_itself, "Every point is as good as itself, so yours all"
                                    " fall. At least one of the two must be strict."),
            Wrong(beaten_by_its_twin, "Two equal points throw each other out. At least"
                                      " one of the two comparisons must be strict."),
            *(Wrong(f, "Of equal points you keep one. None of them dominates the"
                       " other: all stay.")
              for f in (first_of_twins, last_of_twins)),
            Wrong(looked_up_twins, "points.index(...) finds the first of equal points"
                                   " each time. Go through the indices themselves:"
                                   " enumerate(points)."),
            Wrong(more_cost_is_better, "You take more cost for better. Less cost is"
                                       " better, more quality is better."),
            Wrong(less_quality_is_better, "You take less quality for better. Less cost"
                                          " is better, more quality is better."),
            Wrong(both_the_other_way, "Both directions are the wrong way round: less"
                                      " cost, and more quality, are better. A point is"
                                      " (cost, quality)."),
            Wrong(dominated_ones, "Those are the dominated ones. The others are"
                                  " asked."),
            *(Wrong(f, "The right points, in another order. Their indices are asked in"
                       " the order of the list: from small to large.")
              for f in (front_by_cost, front_by_quality)),
            Wrong(front_as_points, "Those are the points. Their indices are asked."),
            Wrong(front_as_marks, "That is true or false for each point. The indices"
                                  " of the true ones are asked."),
            Wrong(front_counted, "That is how many there are. The list of their"
                                 " indices is asked."),
            Wrong(front_from_one, "You count from 1. The first point has the index 0."),
            Wrong(front_in_the_sorted_list, "Those are places in the sorted list. Sort"
                                            " the indices, not the points, and you"
                                            " still know which is which."),
            Wrong(the_two_ends, "That is the cheapest and the best. The compromises"
                                " between them are undominated too."),
            Wrong(highest_alone, "That is the one with the most quality. A cheaper one"
                                 " is not dominated only because a dearer one is"
                                 " better."),
            *(Wrong(f, "You compare each point with earlier ones of the list only. A"
                       " later one may dominate it as well.")
              for f in (earlier_ones_only, compared_with_kept_only)),
            Wrong(swept_by_cost_alone, "You sort by cost, and of equal costs the worse"
                                       " one may come first, and stays. Of equal costs"
                                       " the best has to come first."),
            Wrong(against_the_next_cheaper, "You compare each point with the next"
                                            " cheaper one. Compare it with the best of"
                                            " all cheaper ones."),
            Wrong(swept_from_zero, "Your best quality begins with 0, so a quality of 0"
                                   " or less never counts. Begin with the cheapest"
                                   " point."),
        ),
        hints=(
            "Take one point. Which of the others would throw it out?",
            "no_worse = c_i <= c_j and q_i >= q_j; strictly better in one: (c_i, q_i)"
            " and (c_j, q_j) differ.",
            "Keep index j if not any(...) of the points dominates points[j].",
        ),
        cases=point_cases,
        by_hand=(
            (([(1, 60), (2, 70), (3, 65), (4, 71)],), [0, 1, 3]),
            (([(3, 65), (1, 60), (2, 70)],), [1, 2]),  # not sorted
            (([(2, 70), (1, 70), (1, 70)],), [1, 2]),  # twins stay, the dearer goes
            (([(2, 70), (2, 71), (2, 71), (2, 69)],), [1, 2]),  # the same cost
            (([(5, -3.0)],), [0]),
            (([],), []),
            # 65 is more than 50, its next cheaper one, and less than 70
            (([(1, 70), (2, 50), (3, 65)],), [0]),
            (([(4, 0), (1, -2), (3, -1), (2, -2)],), [0, 1, 2]),
        ),
        properties=(
            Property("listed from the end, the same points are found",
                     still_the_front_turned_round),
            Property("a point that is dearer and worse than all changes nothing",
                     lambda mine, points: not points or mine(
                         [*points, (max(c for c, _ in points) + 1,
                                    min(q for _, q in points) - 1)]
                     ) == mine(points)),
        ),
    ),
    Exercise(
        name="growth", number="03.3", kind="predict",
        minutes=4, difficulty=1, points=1,
        task="Twice the channels and 1.5 times the side: how many times the cost?",
        reference=growth,
        wrong=(
            Wrong(3.0, "2 times 1.5: that treats the picture as a line, and the"
                       " channels as if only the outputs had doubled. Both counts of"
                       " channels double, and the picture grows both ways."),
            Wrong(4.5, "The side is right: 1.5 times 1.5. Now the channels: every new"
                       " output channel also reads twice as many input channels."),
            Wrong(6.0, "The channels are right: 2 times 2. Now the side: the picture"
                       " grows in height and in width."),
            Wrong(18.0, "The channels enter twice, once as inputs and once as outputs,"
                        " not three times."),
            Wrong(2.25, "That is the side alone. The channels grow too."),
            Wrong(4.0, "That is the channels alone. The picture grows too."),
            Wrong(13.5, "One 1.5 too many: the filter stays 3x3, only the picture"
                        " grows, in height and in width."),
            Wrong(20.25, "The filter stays 3x3. Only the picture grows: 1.5 in height"
                         " and 1.5 in width."),
            Wrong(8.0, "2 times 2 is right, and then 1.5 times 1.5. 1.5 is not 2."
                       " (Or do you mean eight times more? Nine times as many is"
                       " written 9.)"),
            Wrong(36.0, "Each of the four, c_in, c_out, h and w, counts once. Doubled"
                        " channels make 2 times 2, not 4 times 4."),
        ),
        hints=(
            "Write Eq. 3.2 for both layers, one under the other, and divide.",
            "c_in and c_out both double; h and w both grow by 1.5; k stays.",
        ),
    ),
    Exercise(
        name="outgrown", number="03.4", kind="measure",
        minutes=8, difficulty=2, points=2,
        task="The smallest even side at which the peak of activations passes the"
             " bytes of the weights.",
        reference=outgrown,
        wrong=(
            Wrong(outgrown_numbers, "You compared bytes with a number of parameters."
                                    " A float32 takes four bytes: use"
                                    " sizes(model).bytes."),
            Wrong(outgrown_just_before, "Close: at this side the weights still take"
                                        " more. The first side above is asked."),
            Wrong(outgrown_just_after, "Close: two less is still enough. The smallest"
                                       " even side is asked."),
            Wrong(outgrown_odd, "An even side is asked."),
            Wrong(outgrown_bytes_of_numbers, "You counted the activations in numbers"
                                             " and the weights in bytes. Both in bytes:"
                                             " a float32 takes four."),
            Wrong(8, "That is the side that stands in the cell. Change it until the"
                     " activations take more than the weights."),
        ),
        hints=(
            "Change `side` in the cell, run it, compare the two numbers, repeat.",
            "The peak grows with the square of the side: two trials tell you about"
            " where to look.",
        ),
    ),
    Exercise(
        name="best_within", number="03.5", kind="build",
        minutes=10, difficulty=2, points=3,
        task="Write `best_within(cost, quality, budget)`: of the networks i with"
             " cost[i] <= budget, the index of the one with the highest quality[i]. Of"
             " equally good ones take the cheapest; if they cost the same too, the"
             " first. If the budget allows none, return None.",
        reference=best_within,
        alternative=best_within_2,
        wrong=(
            Wrong(strictly_below, "A network that costs exactly the budget is"
                                  " allowed."),
            Wrong(place_among_survivors, "You return the place in the shortened list."
                                         " The caller wants the place in the original"
                                         " one."),
            Wrong(cheapest, "That is the cheapest one allowed. The budget may be spent:"
                            " the best one allowed is asked."),
            *(Wrong(f, "Two networks are equally good, and you did not take the"
                       " cheaper one.")
              for f in (first_of_a_tie, dearer_of_a_tie, latest_of_a_tie,
                        dearest_and_last_of_a_tie)),
            Wrong(last_of_equals, "Two networks are equal in quality and in cost, and"
                                  " you took the last. The first is asked."),
            Wrong(looked_up_by_quality, "You find the best quality and then look for"
                                        " it in the whole list. The first with that"
                                        " quality may be too dear, or dearer than"
                                        " another. Keep the indices."),
            *(Wrong(f, "Your best quality begins with a number, 0 or -1, so one that"
                       " is not above it never counts. Begin with the first network"
                       " that fits.")
              for f in (begins_at_zero, begins_at_minus_one)),
            Wrong(quality_returned, "You return the quality. Its index is asked."),
            Wrong(cost_returned, "You return the cost. The index is asked."),
            *(Wrong(f, "Where the budget allows none, return None.")
              for f in (minus_one_for_nothing, fails_for_nothing,
                        first_for_nothing)),
            Wrong(begins_with_the_first, "You begin with the first network, whether the"
                                         " budget allows it or not. It may be better"
                                         " than all that fit."),
            Wrong(first_that_fits, "That is the first one that fits. The best of those"
                                   " that fit is asked."),
            *(Wrong(f, "That is the dearest one allowed. It need not be the best:"
                       " compare the qualities.")
              for f in (dearest, last_by_cost)),
            Wrong(budget_ignored, "That is the best of all; it does not fit the"
                                  " budget."),
            Wrong(best_if_it_fits, "You look at the best of all, and give up if it is"
                                   " too dear. First the ones that fit, then the best"
                                   " of these."),
            *(Wrong(f, "Quality divided by cost, or less the cost, is another"
                       " question: it prefers tiny networks. Within the budget only"
                       " quality counts.")
              for f in (best_value, quality_less_cost)),
        ),
        hints=(
            "First the indices that the budget allows, then the best of these.",
            "max() with a key that is a pair: compared by the first, then by the"
            " second.",
            "Of two equal qualities the smaller cost wins: minus cost is larger.",
        ),
        cases=budget_cases,
        by_hand=(
            (([3, 5, 9], [60, 70, 80], 6), 1),
            (([3, 5, 9], [60, 70, 80], 5), 1),  # exactly the budget
            (([5, 3, 9], [70, 70, 80], 6), 1),  # a tie: the cheaper
            (([3, 5, 9], [60, 70, 80], 2), None),
            (([9, 5, 3, 5], [70, 70, 60, 70], 5), 1),  # the same cost too: the first
            (([2, 6, 4], [-3.0, -1.0, -2.0], 5), 2),  # as a logarithm of a likelihood
            (([4, 5], [0, -1], 5), 0),
            (([0.25, 0.5, 0.75, 1.5], [0.7, 0.9, 0.9, 0.95], 1.25), 1),
        ),
        properties=(
            Property("a budget below every cost allows nothing: None",
                     lambda mine, cost, quality, budget:
                     mine(cost, quality, min(cost) - 1) is None),
            Property("where there are no networks, None is the answer too",
                     lambda mine, cost, quality, budget: mine([], [], budget) is None),
        ),
    ),
    Exercise(
        name="peak_live", number="03.6", kind="build",
        minutes=12, difficulty=3, points=3,
        task="Write `peak_live(sizes, last_use)`. Step i makes tensor i of sizes[i]"
             " bytes; last_use[i] is the last step that reads it, or i itself if nobody"
             " does. It may be given back once that step has finished. Return the most"
             " bytes that exist at one time.",
        reference=peak_live,
        alternative=peak_live_2,
        wrong=(
            Wrong(released_too_early, "You release a tensor before the step that uses"
                                      " it last. Its bytes are needed while that step"
                                      " writes its own result."),
            Wrong(looked_after_release, "You look between two steps. While a step runs,"
                                        " what it reads for the last time and what it"
                                        " writes exist together: make the result, look,"
                                        " then release."),
            Wrong(one_step_too_long, "You keep a tensor one step too long: it may be"
                                     " given back once the step last_use[i] has"
                                     " finished."),
            Wrong(read_by_this_step, "You count what this step reads last. A tensor"
                                     " that a later step still needs is alive too."),
            Wrong(with_the_last_reader, "You look at a tensor and its last reader, or"
                                        " at itself twice. At that step others may be"
                                        " alive: sum over all that are, each once."),
            Wrong(previous_released, "You give back the previous tensor only. At each"
                                     " step give back all whose last_use it is, the"
                                     " new one too if nobody reads it."),
            Wrong(released_at_the_step, "You count what a step releases. What lives on"
                                        " takes bytes too: i <= step <= last_use[i]."),
            Wrong(list_of_steps, "That is the list of all steps. Its largest number is"
                                 " asked."),
            Wrong(left_at_the_end, "That is what exists at the last step. The most at"
                                   " any step is asked."),
            Wrong(two_largest, "The two largest may never exist together. Look at each"
                               " step for what is alive."),
            Wrong(tensors_counted, "You count tensors. Their bytes are asked: sizes[i]"
                                   " each."),
            Wrong(step_of_the_peak, "You return the step. The bytes at that step are"
                                    " asked."),
            Wrong(never_released, "That is the sum of everything, as training needs it."
                                  " In inference tensor i exists from step i on, and"
                                  " goes after its last use."),
            Wrong(largest_tensor, "While a layer runs, at least its input and its"
                                  " output exist together."),
            Wrong(neighbours_only, "Right for a plain chain. A skip connection keeps a"
                                   " tensor alive for longer: look at last_use."),
        ),
        hints=(
            "Take one step. Which tensors exist while it runs?",
            "Tensor i is alive at a step if i <= step <= last_use[i].",
        ),
        cases=live_cases,
        by_hand=(
            (([8, 8, 4], [1, 2, 2]), 16),  # a chain: 8, then 8+8, then 8+4
            (([8, 32, 8], [2, 2, 2]), 48),  # a skip holds the first
            (([5], [0]), 5),
            (([4, 9, 2], [0, 2, 2]), 11),  # nobody reads the first
            (([6, 1, 5, 2], [1, 3, 2, 3]), 7),  # 6, 7, 6, 3: at step 1, no skip
            (([9, 1, 1, 8, 1], [1, 2, 4, 4, 4]), 10),  # 9, 10, 2, 9, 10
        ),
        properties=(
            Property("if everything lives to the end, the peak is the sum",
                     lambda mine, sizes, last_use:
                     mine(sizes, [len(sizes) - 1] * len(sizes)) == sum(sizes)),
        ),
    ),
)  # fmt: skip


# --- quiz


def _b0_flops() -> float:
    from torchvision.models import efficientnet_b0

    with torch.device("meta"):
        return 2 * profiling.macs(efficientnet_b0(), torch.zeros(1, 3, 224, 224)) / 1e9


def _conv_parameters() -> int:
    return profiling.parameters(nn.Conv2d(32, 64, 3, bias=False))


def _four() -> float:
    layer = nn.Conv2d(3, 8, 3, padding=1)
    before = profiling.macs(layer, torch.zeros(1, 3, 16, 16))
    return profiling.macs(layer, torch.zeros(1, 3, 32, 32)) / before


def _front_size() -> int:
    return len(profiling.pareto_front([4, 5, 6, 6], [70, 70, 72, 71]))


QUIZ = (
    Question(
        "A paper gives EfficientNet-B0 0.39 billion FLOPs. What does PyTorch's"
        " FlopCounterMode report for the same network and input?",
        options=(
            Option("0.39 billion: FLOPs are FLOPs, whoever counts them",
                   "The paper's FLOPs are multiply-adds, the counter's are single"
                   " operations. A factor of two lies between them."),
            Option("1.54 billion: each of the two passes, forward and backward, twice",
                   "The backward pass is counted only if it runs inside the counter."),
            Option("0.77 billion: a multiplication and an addition count one each",
                   "The paper means multiply-adds. Halve the counter before you"
                   " compare.", correct=True),
        ),
        value=_b0_flops, form="{:.2f}",
    ),
    Question(
        "How many parameters has a 3x3 convolution from 32 to 64 channels without"
        " bias?",
        options=(
            Option("576", "That is 64 filters of 9 numbers: each filter reads all 32"
                          " input channels."),
            Option("18432", "64 filters, each 32 channels of 9 numbers.", correct=True),
            Option("18496", "That includes 64 biases; this layer has none."),
            Option("It depends on the size of the picture",
                   "Multiply-adds do. The filters are the same on every picture."),
        ),
        value=_conv_parameters,
    ),
    Question(
        "The input of a convolutional network becomes twice as high and twice as wide."
        " What happens to its parameters and multiply-adds?",
        options=(
            Option("Both double", "The filters do not change with the picture, and the"
                                  " picture grows in two directions."),
            Option("Parameters stay, multiply-adds become 2 times as many",
                   "The picture grows in two directions: count the positions."),
            Option("Parameters stay, multiply-adds become 4 times as many",
                   "The same filters visit four times as many positions.",
                   correct=True),
            Option("Parameters become 4 times as many, multiply-adds stay",
                   "The other way round: filters are independent of the picture."),
        ),
        value=_four, form="{:.0f}",
    ),
    Question(
        "Ten calls took 31, 2.1, 2.0, 2.2, 2.1, 2.0, 9.4, 2.1, 2.0 and 2.2"
        " milliseconds. What do you report?",
        options=(
            Option("The mean over all ten calls, which is 5.7 ms",
                   "One first call and one interruption more than double it. No call"
                   " took 5.7 ms."),
            Option("The minimum, 2.0 ms: nothing disturbed it",
                   "It hides how much calls differ. Users do not live in the best"
                   " case."),
            Option("The median after warm-up, with the IQR",
                   "The first call is left out, the interruption moves the median"
                   " hardly at all, and the range shows the spread.", correct=True),
        ),
    ),
    Question(
        "A depthwise 3x3 convolution on 64 channels has 64 times fewer multiply-adds"
        " than a dense one, but is far from 64 times faster. Why?",
        options=(
            Option("It reads and writes nearly as much, for far less arithmetic",
                   "Its arithmetic intensity is low: the time goes into moving numbers"
                   " and into the fixed cost of a call.", correct=True),
            Option("The counter is wrong about groups, and the work is the same",
                   "Count by hand: the numbers agree."),
            Option("Its weights take more memory, and have to be fetched each time",
                   "It has 64 times fewer weights."),
        ),
    ),
    Question(
        "Four networks take 4, 5, 6 and 6 ms and score 70, 70, 72 and 71. How many are"
        " on the Pareto front?",
        options=(
            Option("1: the best one", "A cheaper network is not dominated only because"
                                      " a dearer one scores more."),
            Option("2: the first and the third",
                   "The second costs more than the first for the same score; the fourth"
                   " costs as much as the third and scores less.", correct=True),
            Option("3: all but the last", "The second costs more than the first and"
                                          " scores the same: dominated."),
            Option("4: each is a compromise", "Two of them are beaten in one number and"
                                              " better in none."),
        ),
        value=_front_size,
    ),
)  # fmt: skip
