"""Exercises and quiz of chapter 17: masks, schedules, and what a zero is worth."""

import functools
import math

import torch

from lib.compression import sparsity
from lib.detection import detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- the machine that calls the core functions


@functools.cache
def plain_detector():
    """The shipped *plain* detector; nobody changes it."""
    return detectors.shipped("plain")


def waves() -> torch.Tensor:
    """1 3 64 64, the same at every call: a picture of waves."""
    ramp = torch.linspace(0, 1, 64)
    colours = [(9 * ramp).sin(), (14 * ramp).cos(), ramp]
    return torch.stack([2 * c * ramp[:, None] - 0.5 for c in colours])[None]


def answers_with(masks) -> list:
    """Outputs of the detector without the weights that the masks leave out."""
    model = sparsity.rewind(plain_detector(), plain_detector().state_dict(), masks)
    with torch.no_grad():
        classes, boxes = model(waves())  # B A*K H W and B A*4 H W a level
    return [*classes, *boxes]


def half_pruned_detector() -> list:
    """Half of each layer of *plain* goes; then once more, among zeros that are equal.

    And masks of nearly everything, by layer and under one threshold.
    """
    half = sparsity.layer_masks(plain_detector(), 0.5)
    thin = sparsity.rewind(plain_detector(), plain_detector().state_dict(), half)
    choices = [half, sparsity.layer_masks(thin, 0.3)]
    choices += [sparsity.layer_masks(thin, 0.9999), sparsity.global_masks(thin, 0.8)]
    kept = [mask.long().sum((0, 2, 3)) for masks in choices for mask in masks.values()]
    return answers_with(half) + kept


def lamp_pruned_detector() -> list:
    """*Plain* with seven zeros of ten behind its backbone, under one threshold.

    The backbone stays whole: an answer that asks each weight of all others would take
    minutes for its 147,456 in one layer.
    """
    model = plain_detector()
    parts = {name: getattr(model, name) for name in ("fpn", "class_head", "box_head")}
    masks = sparsity.lamp_masks(torch.nn.ModuleDict(parts), 0.7)
    return answers_with(masks) + [mask.long().sum() for mask in masks.values()]


def patterned_detector() -> list:
    """*Plain* with two of every four weights, then with one of eight and three of four.

    At last two of four among weights that are zeros for the most part.
    """
    model = plain_detector()
    half = sparsity.pattern_masks(model)
    thin = sparsity.rewind(model, model.state_dict(), sparsity.pattern_masks(model, 1))
    choices = [half, sparsity.pattern_masks(model, 1, 8)]
    choices += [sparsity.pattern_masks(model, 3, 4), sparsity.pattern_masks(thin)]
    kept = [mask.long().sum((2, 3)) for masks in choices for mask in masks.values()]
    return answers_with(half) + kept


# --- 17.1 build: the mask of the smallest magnitudes


def mask_2(weight, sparsity):
    """Number by number, by Python's own sorting."""
    sizes = [abs(value) for value in weight.flatten().tolist()]
    goes = min(round(sparsity * len(sizes)), len(sizes) - 1)
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    gone = set(order[:goes])
    stays = [i not in gone for i in range(len(sizes))]
    return torch.tensor(stays).view(weight.shape)


def mask_of(scores, pruned):
    """As it should be, of scores and a number: what is wrong below begins here."""
    flat = scores.detach().flatten()
    mask = torch.ones_like(flat, dtype=torch.bool)
    mask[flat.argsort(stable=True)[:pruned]] = False
    return mask.view(scores.shape)


def how_many(weight, sparsity):
    return min(round(sparsity * weight.numel()), weight.numel() - 1)


def mask_turned_over(weight, sparsity):
    return ~mask_of(weight.abs(), how_many(weight, sparsity))


def mask_largest_go(weight, sparsity):
    return mask_of(-weight.abs(), how_many(weight, sparsity))


def mask_with_signs(weight, sparsity):
    return mask_of(weight, how_many(weight, sparsity))


def mask_rounded_down(weight, sparsity):
    pruned = int(sparsity * weight.numel())
    return mask_of(weight.abs(), min(pruned, weight.numel() - 1))


def mask_rounded_up(weight, sparsity):
    pruned = math.ceil(sparsity * weight.numel())
    return mask_of(weight.abs(), min(pruned, weight.numel() - 1))


def mask_all_may_go(weight, sparsity):
    return mask_of(weight.abs(), round(sparsity * weight.numel()))


def mask_flat(weight, sparsity):
    return mask_of(weight.abs(), how_many(weight, sparsity)).flatten()


def mask_row_by_row(weight, sparsity):
    """Each filter loses the same share; a vector is one row."""
    rows = weight.reshape(len(weight), -1) if weight.dim() > 1 else weight[None]
    masks = [mask_of(row.abs(), how_many(row, sparsity)) for row in rows]
    return torch.stack(masks).view(weight.shape)


def mask_above_threshold(weight, sparsity):
    """All that equal the threshold go with it."""
    size = weight.detach().abs()
    pruned = how_many(weight, sparsity)
    if pruned == 0:
        return torch.ones_like(size, dtype=torch.bool)
    return size > size.flatten().sort().values[pruned - 1]


def mask_from_threshold(weight, sparsity):
    """All that equal the smallest that stays, stay with it."""
    size = weight.detach().abs()
    return size >= size.flatten().sort().values[how_many(weight, sparsity)]


def mask_above_quantile(weight, sparsity):
    """At a sparsity of 0 the smallest goes all the same; and ties go together."""
    size = weight.detach().abs().flatten().sort().values
    place = sparsity * (len(size) - 1)
    low = int(place)
    high = min(low + 1, len(size) - 1)
    quantile = size[low] + (place - low) * (size[high] - size[low])
    return weight.detach().abs() > quantile


def mask_of_what_stays(weight, sparsity):
    """`sparsity` taken for the share that stays."""
    return mask_of(weight.abs(), how_many(weight, 1 - sparsity))


def mask_times_weight(weight, sparsity):
    mask = mask_of(weight.abs(), how_many(weight, sparsity))
    return weight.detach() * mask


def mask_of_the_largest(weight, sparsity):
    """A threshold at this share of the largest magnitude."""
    size = weight.detach().abs()
    return size >= sparsity * size.max()


def mask_at_the_number(weight, sparsity):
    """`sparsity` itself is the threshold."""
    return weight.detach().abs() >= sparsity


def mask_unsorted(weight, sparsity):
    """The first ones go, whatever their size."""
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[: how_many(weight, sparsity)] = False
    return mask.view(weight.shape)


def mask_order_for_rank(weight, sparsity):
    """`order` says who is at each place, not at which place each one is."""
    order = weight.detach().abs().flatten().argsort(stable=True)
    return (order >= how_many(weight, sparsity)).view(weight.shape)


def mask_last_equal_first(weight, sparsity):
    size = weight.detach().abs().flatten().flip(0)
    return mask_of(size, how_many(weight, sparsity)).flip(0).view(weight.shape)


def mask_places(weight, sparsity):
    """Where those stand that stay."""
    return mask_of(weight.abs(), how_many(weight, sparsity)).flatten().nonzero()[:, 0]


def mask_case(rng, size):
    """One to four dimensions, equal magnitudes and both signs, tiny to huge weights."""
    shapes = (size + 1,), (size, 3), (2, size, 2), (size, 3, 3, 3)
    weight = tensor(rng, *shapes[rng.randrange(4)], low=-2.0, high=2.0)
    if rng.random() < 0.4:
        weight = weight.round()  # many are equal, some are 0
    share = rng.choice((0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.9999))
    return weight * 10.0 ** rng.choice((-4, 0, 0, 4)), share


# --- 17.3 build: n of every m neighbours stay


def nm_mask_2(weight, n=2, m=4):
    """Group by group, by Python's own sorting."""
    last = weight.detach().abs().movedim(1, -1)
    stays = []
    for group in last.reshape(-1, m).tolist():
        order = sorted(range(m), key=lambda i: -group[i])
        stays += [i in order[:n] for i in range(m)]
    return torch.tensor(stays).view(last.shape).movedim(-1, 1).contiguous()


def largest_of(groups, n):
    """True at the n largest of each last dimension; of equals the first."""
    order = groups.argsort(dim=-1, descending=True, stable=True)
    mask = torch.zeros(groups.shape, dtype=torch.bool)
    return mask.scatter_(-1, order[..., :n], True)


def nm_by(scores, n, m):
    """As it should be, of scores: what is wrong below begins here."""
    last = scores.detach().movedim(1, -1)
    mask = largest_of(last.unflatten(-1, (-1, m)), n)
    return mask.flatten(-2).movedim(-1, 1).contiguous()


def nm_smallest_stay(weight, n=2, m=4):
    return nm_by(-weight.abs(), n, m)


def nm_turned_over(weight, n=2, m=4):
    """False where a weight stays."""
    return ~nm_by(weight.abs(), n, m)


def nm_with_signs(weight, n=2, m=4):
    return nm_by(weight, n, m)


def nm_so_many_go(weight, n=2, m=4):
    """n of the m go."""
    return nm_by(weight.abs(), m - n, m)


def nm_always_two_of_four(weight, n=2, m=4):
    """Asked for others it still takes 2 of 4, or fails where 4 does not divide."""
    return nm_by(weight.abs(), 2, 4)


def nm_in_memory_order(weight, n=2, m=4):
    """Neighbours in memory: in a convolution those are taps, not channels."""
    groups = weight.detach().abs().contiguous().view(-1, m)
    return largest_of(groups, n).view(weight.shape)


def nm_along_filters(weight, n=2, m=4):
    """Groups of filters, not of input channels; fails where m does not divide them."""
    groups = weight.detach().abs().movedim(0, -1).unflatten(-1, (-1, m))
    return largest_of(groups, n).flatten(-2).movedim(-1, 0).contiguous()


def nm_far_apart(weight, n=2, m=4):
    """Every (I / m)-th channel, where neighbours are meant."""
    last = weight.detach().abs().movedim(1, -1)
    groups = last.unflatten(-1, (m, -1)).transpose(-1, -2)
    mask = largest_of(groups, n).transpose(-1, -2)
    return mask.flatten(-2).movedim(-1, 1).contiguous()


def nm_share_of_all(weight, n=2, m=4):
    """n / m of all weights, wherever they stand."""
    return mask_of(weight.abs(), weight.numel() * (m - n) // m)


def nm_share_of_rows(weight, n=2, m=4):
    """n / m of each filter, wherever they stand in it."""
    rows = weight.detach().abs().reshape(len(weight), -1)
    return largest_of(rows, rows.shape[1] * n // m).view(weight.shape)


def nm_all_filters_alike(weight, n=2, m=4):
    """One pattern, from the sizes of all filters together."""
    together = weight.detach().abs().sum(0, keepdim=True)
    return nm_by(together, n, m).expand(weight.shape).contiguous()


def nm_from_threshold(weight, n=2, m=4):
    """All that equal the n-th stay with it."""
    groups = weight.detach().abs().movedim(1, -1).unflatten(-1, (-1, m))
    nth = groups.sort(-1, descending=True).values[..., n - 1 : n]
    return (groups >= nth).flatten(-2).movedim(-1, 1).contiguous()


def nm_last_equal_stays(weight, n=2, m=4):
    return nm_by(weight.abs().flip(1), n, m).flip(1)


def nm_times_weight(weight, n=2, m=4):
    return weight.detach() * nm_by(weight.abs(), n, m)


def nm_channels_last(weight, n=2, m=4):
    """Right, but for the place of the channels: they are not moved back."""
    return nm_by(weight.abs(), n, m).movedim(1, -1).contiguous()


def nm_order_for_rank(weight, n=2, m=4):
    """`order` says who is at each place, not at which place each one is."""
    groups = weight.detach().abs().movedim(1, -1).unflatten(-1, (-1, m))
    order = groups.argsort(dim=-1, descending=True, stable=True)
    return (order < n).flatten(-2).movedim(-1, 1).contiguous()


def nm_case(rng, size):
    """Two to four dimensions, groups of 2, 4 and 8; equal magnitudes and both signs."""
    m = rng.choice((2, 4, 4, 4, 8))
    n = rng.randint(1, m - 1)
    inputs = m * rng.randint(1, 3)
    # Filters and taps come in groups as well: who takes those gets an answer.
    shapes = (m * rng.randint(1, 2), inputs), (m, inputs, size), (m, inputs, 2, 4)
    shapes += ((size + 1, inputs), (size, inputs, 3, 3))
    weight = tensor(rng, *shapes[rng.randrange(5)], low=-2.0, high=2.0)
    if rng.random() < 0.4:
        weight = weight.round()  # many are equal, some are 0
    return weight * 10.0 ** rng.choice((-4, 0, 0, 4)), n, m


# --- 17.4 predict


def halfway() -> float:
    """The cubic schedule from 0 to 0.9, after half of its steps."""
    return sparsity.cubic(50, 0, 100, 0.9)


# --- 17.5 measure


def cheaper_from() -> float:
    """The smallest sparsity, in hundredths, where CSR of 128 x 128 int8 is smaller."""
    for hundredths in range(100):
        weight = torch.ones(128, 128, dtype=torch.int8)
        weight.flatten()[: round(128 * 128 * hundredths / 100)] = 0
        sizes = sparsity.file_sizes(weight)
        if sizes.csr < sizes.dense:
            return hundredths / 100
    return 1.0


# --- 17.6 build


def csr_product(values, columns, starts, x):
    """A CSR matrix times a vector: nothing but what is left is looked at."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_2(values, columns, starts, x):
    """The other way round: each value finds its row, and adds itself there."""
    out = [0.0] * (len(starts) - 1)
    row = 0
    for k, value in enumerate(values):
        while k >= starts[row + 1]:
            row += 1
        out[row] += value * x[columns[k]]
    return out


def csr_product_by_place(values, columns, starts, x):
    """Fails as soon as there are more values than entries of x."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[k]
        out.append(total)
    return out


def csr_product_by_place_in_row(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for j, k in enumerate(range(starts[i], starts[i + 1])):
            total += values[k] * x[j]
        out.append(total)
    return out


def csr_product_by_row(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[i]
        out.append(total)
    return out


def csr_product_running_total(values, columns, starts, x):
    out, total = [], 0.0
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_row_sums(values, columns, starts, x):
    return [
        float(sum(values[a:b])) for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]


def csr_product_last_lost(values, columns, starts, x):
    """The last value of each row is left out."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1] - 1):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_last_row_lost(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 2):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_counted_from_one(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k] - 1]
        out.append(total)
    return out


def csr_product_starts_are_counts(values, columns, starts, x):
    """Takes `starts` for the number of values of each row."""
    out, k = [], 0
    for count in starts[1:]:
        pairs = zip(values[k : k + count], columns[k : k + count], strict=True)
        out.append(float(sum(v * x[c] for v, c in pairs)))
        k += count
    return out


def csr_product_of_columns(values, columns, starts, x):
    """Multiplies columns with x, and leaves the values out."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += columns[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_x_sums(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += x[columns[k]]
        out.append(total)
    return out


def csr_product_one_value(values, columns, starts, x):
    """The first value of each row only; an empty row takes the next row's."""
    return [values[k] * x[columns[k]] if k < len(values) else 0.0 for k in starts[:-1]]


def csr_product_dense(values, columns, starts, x):
    """The matrix itself."""
    dense = [[0.0] * len(x) for _ in starts[1:]]
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            dense[i][columns[k]] = values[k]
    return dense


def csr_product_of_all(values, columns, starts, x):
    """One number: the rows are forgotten."""
    return float(sum(v * x[c] for v, c in zip(values, columns, strict=True)))


def csr_product_products(values, columns, starts, x):
    """The products, not added up."""
    return [v * x[c] for v, c in zip(values, columns, strict=True)]


def csr_product_averaged(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total, count = 0.0, starts[i + 1] - starts[i]
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total / max(count, 1))
    return out


def csr_product_to_the_end(values, columns, starts, x):
    """Each row goes on to the end of all values."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], len(values)):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_begins_late(values, columns, starts, x):
    """The first value of each row is left out."""
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i] + 1, starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


def csr_product_last_kept(values, columns, starts, x):
    """= where += is meant."""
    out = [0.0] * (len(starts) - 1)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            out[i] = values[k] * x[columns[k]]
    return out


def csr_product_no_empty_rows(values, columns, starts, x):
    out = csr_product(values, columns, starts, x)
    return [v for i, v in enumerate(out) if starts[i] < starts[i + 1]]


def csr_product_first_row_lost(values, columns, starts, x):
    return csr_product(values, columns, starts[1:], x)


def csr_product_one_too_many(values, columns, starts, x):
    out = []
    for begin, end in zip(starts[:-1], starts[1:], strict=True):
        last = min(end + 1, len(values))
        out.append(float(sum(values[k] * x[columns[k]] for k in range(begin, last))))
    return out


def csr_product_transposed(values, columns, starts, x):
    """Fails if there are more rows than columns."""
    out = [0.0] * len(x)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            out[columns[k]] += values[k] * x[i]
    return out


def csr_case(rng, size) -> tuple:
    """A matrix with an empty row now and then, as CSR, and a vector.

    Wider than high, square or higher than wide; the largest are sparse and large.
    """
    rows, width = rng.randint(1, size + 2), rng.randint(1, size + 3)
    if size == 6:
        rows, width = 20, rng.choice((20, 40))
    values, columns, starts = [], [], [0]
    for _ in range(rows):
        for column in range(width):
            if rng.random() < (0.1 if size == 6 else 0.4):
                values.append(rng.randint(1, 9) * rng.choice((-0.5, 0.5)))
                columns.append(column)
        starts.append(len(values))
    return values, columns, starts, [rng.randint(1, 9) / 4 for _ in range(width)]


# --- 17.2 build: LAMP's scores


def lamp_2(weight):
    """Weight by weight, from the definition."""
    squares = (weight * weight).flatten()
    scores = [s / squares[squares >= s].sum() for s in squares]
    return torch.stack(scores).view(weight.shape)


def lamp_not_squared(weight):
    sizes = weight.abs().flatten()
    order = sizes.argsort(descending=True)
    scores = torch.empty_like(sizes)
    scores[order] = sizes[order] / sizes[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_over_all(weight):
    return weight**2 / (weight**2).sum()


def lamp_over_smaller(weight):
    squares = weight.flatten() ** 2
    order = squares.argsort()
    scores = torch.empty_like(squares)
    scores[order] = squares[order] / squares[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_sorted(weight):
    squares = (weight.flatten() ** 2).sort(descending=True).values
    return (squares / squares.cumsum(0)).view(weight.shape)


def lamp_without_itself(weight):
    """Infinite for the largest."""
    squares = weight.flatten() ** 2
    scores = [s / squares[squares > s].sum() for s in squares]
    return torch.stack(scores).view(weight.shape)


def lamp_row_by_row(weight):
    """The sums run along the last dimension, that of a row."""
    squares = weight**2
    order = squares.argsort(-1, descending=True)
    sums = squares.gather(-1, order).cumsum(-1)
    return squares / torch.empty_like(sums).scatter(-1, order, sums)


def lamp_filter_by_filter(weight):
    squares = weight.reshape(len(weight), -1) ** 2
    order = squares.argsort(1, descending=True)
    sums = squares.gather(1, order).cumsum(1)
    scores = squares / torch.empty_like(sums).scatter(1, order, sums)
    return scores.view(weight.shape)


def lamp_two_dimensions_only(weight):
    """Fails in one dimension; in four it compares a filter's taps, tap by tap."""
    squares, scores = weight**2, torch.empty_like(weight)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            larger = squares[squares >= squares[i, j]]
            scores[i, j] = squares[i, j] / larger.sum()
    return scores


def lamp_looked_up(weight):
    """scores[order], where scores[order] = ... is meant."""
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = squares[order] / squares[order].cumsum(0)
    return scores[order].view(weight.shape)


def lamp_flat(weight):
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order] / squares[order].cumsum(0)
    return scores


def lamp_by_signed_order(weight):
    """The largest weight, not the largest magnitude, comes first."""
    flat = weight.flatten()
    order = flat.argsort(descending=True)
    scores = torch.empty_like(flat)
    scores[order] = flat[order] ** 2 / (flat[order] ** 2).cumsum(0)
    return scores.view(weight.shape)


def lamp_sum_squared(weight):
    """The square of the sum, where the sum of the squares is meant."""
    sizes = weight.abs().flatten()
    order = sizes.argsort(descending=True)
    scores = torch.empty_like(sizes)
    scores[order] = sizes[order] ** 2 / sizes[order].cumsum(0) ** 2
    return scores.view(weight.shape)


def lamp_signed(weight):
    flat = weight.flatten()
    order = flat.abs().argsort(descending=True)
    scores = torch.empty_like(flat)
    scores[order] = flat[order] / flat[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_root(weight):
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = (squares[order] / squares[order].cumsum(0)).sqrt()
    return scores.view(weight.shape)


def lamp_cubed(weight):
    """The square of the square."""
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order] ** 2 / (squares[order] ** 2).cumsum(0)
    return scores.view(weight.shape)


def lamp_size_over_squares(weight):
    """The magnitude over the sum of the squares."""
    sizes = weight.abs().flatten()
    order = sizes.argsort(descending=True)
    scores = torch.empty_like(sizes)
    scores[order] = sizes[order] / (sizes[order] ** 2).cumsum(0)
    return scores.view(weight.shape)


def lamp_square_over_sizes(weight):
    """The square over the sum of the magnitudes."""
    sizes = weight.abs().flatten()
    order = sizes.argsort(descending=True)
    scores = torch.empty_like(sizes)
    scores[order] = sizes[order] ** 2 / sizes[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_sums_themselves(weight):
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_turned_over(weight):
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order].cumsum(0) / squares[order]
    return scores.view(weight.shape)


def lamp_share_below(weight):
    """1 minus it: what the larger ones have."""
    squares = weight.flatten() ** 2
    order = squares.argsort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = 1 - squares[order] / squares[order].cumsum(0)
    return scores.view(weight.shape)


def lamp_in_given_order(weight):
    """cumsum without sorting: what stands before, not what is larger."""
    squares = weight.flatten() ** 2
    return (squares / squares.cumsum(0)).view(weight.shape)


def lamp_behind_in_given_order(weight):
    """The sum of what stands behind, without sorting."""
    squares = weight.flatten() ** 2
    return (squares / squares.flip(0).cumsum(0).flip(0)).view(weight.shape)


def lamp_larger_and_mean(weight):
    """Over the mean of those that are at least as large."""
    squares = weight.flatten() ** 2
    scores = [s / squares[squares >= s].mean() for s in squares]
    return torch.stack(scores).view(weight.shape)


def lamp_without_itself_cut(weight):
    """The largest divides by a small number instead of 0."""
    squares = weight.flatten() ** 2
    scores = [s / squares[squares > s].sum().clamp(min=1e-12) for s in squares]
    return torch.stack(scores).view(weight.shape)


def lamp_of_ranks(weight):
    """The rank among the magnitudes, as a share."""
    sizes = weight.abs().flatten()
    ranks = sizes.argsort().argsort() + 1
    return (ranks / len(sizes)).view(weight.shape)


def lamp_over_largest(weight):
    return weight**2 / (weight**2).max()


def distinct(rng, size) -> tuple:
    """Weights of one to four dimensions whose magnitudes all differ, some large."""
    shape = (
        (size + 1, size + 2),
        (rng.randint(1, 8),),
        (rng.randint(1, 3), rng.randint(2, 4), 3, 3),
        (size + 2, rng.randint(1, size)),
    )[rng.randrange(4)]
    ranks = list(range(1, math.prod(shape) + 1))
    rng.shuffle(ranks)
    scale = rng.choice((0.1, 0.1, 0.1, 1000.0))
    numbers = [rng.choice((-scale, scale)) * rank for rank in ranks]
    return (torch.tensor(numbers).view(shape),)


EXERCISES = (
    Exercise(
        name="magnitude_mask", number="17.1", kind="build", minutes=10, difficulty=1,
        points=3,
        task="magnitude_mask(weight, sparsity): False at the smallest magnitudes of a"
             " tensor of any shape, `sparsity` of all, by Eq. 17.1; one always stays.",
        place="compression.sparsity.magnitude_mask", required=True, importance=3,
        machine="the shipped plain detector, pruned layer by layer and at once",
        machine_case=half_pruned_detector, milestone_calls=578,
        reference=sparsity.magnitude_mask, alternative=mask_2,
        wrong=(
            Wrong(mask_turned_over, "turned over: True says that a weight stays"),
            Wrong(mask_largest_go, "the largest go; asked are the smallest magnitudes:"
                  " sort them from the smallest"),
            Wrong(mask_with_signs, "-0.8 is a large weight: take the magnitude, abs(),"
                  " before you sort"),
            Wrong(mask_rounded_down, "how many go is rounded to the nearest:"
                  " round(sparsity * n), not int()"),
            Wrong(mask_rounded_up, "how many go is rounded to the nearest:"
                  " round(sparsity * n), not up"),
            Wrong(mask_all_may_go, "nothing is left of a small layer: one weight always"
                  " stays, so at most n - 1 go"),
            Wrong(mask_flat, "right, and flat: give the mask the shape of the weights,"
                  " .view(weight.shape)"),
            Wrong(mask_row_by_row, "you go row by row; all weights of the tensor are"
                  " compared with each other: flatten first"),
            Wrong(mask_above_threshold, "where magnitudes are equal, your threshold"
                  " takes all of them, and too many go: count them by their order"),
            Wrong(mask_from_threshold, "where magnitudes are equal, your threshold"
                  " leaves all of them, and too few go: count them by their order"),
            Wrong(mask_above_quantile, "a quantile lies between two weights or on one:"
                  " at 0 the smallest goes all the same. Count instead: the first"
                  " round(sparsity * n) of the order"),
            Wrong(mask_of_what_stays, "`sparsity` is the share of zeros; you took it"
                  " for the share that stays"),
            Wrong(mask_times_weight, "these are the weights that stay; return the mask:"
                  " True or False for each"),
            Wrong(mask_of_the_largest, "`sparsity` is a share of the number of weights,"
                  " not of the largest magnitude"),
            Wrong(mask_at_the_number, "`sparsity` is no threshold: it says how many go,"
                  " not how small they are"),
            Wrong(mask_unsorted, "the first ones go, whatever their size: sort the"
                  " magnitudes"),
            Wrong(mask_order_for_rank, "argsort says which weight is at each place of"
                  " the order, not at which place each weight is: mask[order[:pruned]]"
                  " = False"),
            Wrong(mask_last_equal_first, "among equal magnitudes the first goes first:"
                  " argsort(stable=True)"),
            Wrong(mask_places, "these are the places of those that stay; return True or"
                  " False for each weight"),
        ),
        hints=(
            "weight.abs().flatten() are the magnitudes, one after the other. How many"
            " of them go?",
            "argsort(stable=True) lists their places, the smallest magnitude first.",
            "Begin with a mask of True, and set mask[order[:pruned]] = False; pruned is"
            " at most n - 1. At last, view(weight.shape).",
        ),
        cases=mask_case,
        by_hand=(
            ((torch.tensor([[0.5, -0.1, 0.05], [-0.4, 0.2, -0.8]]), 0.5),
             torch.tensor([[True, False, False], [True, False, True]])),
            # 2.5 of five is 2, to the even one; 1.5 of three is 2 as well.
            ((torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), 0.5),
             torch.tensor([True, True, True, False, False])),
            ((torch.tensor([3.0, -2.0, 1.0]), 0.5),
             torch.tensor([True, False, False])),
            ((torch.tensor([1.0, -1.0, 1.0, 1.0]), 0.5),
             torch.tensor([False, False, True, True])),
            ((torch.tensor([0.3, 0.1, 0.2]), 0.0), torch.tensor([True, True, True])),
            ((torch.tensor([0.3, 0.1]), 0.999), torch.tensor([True, False])),
        ),
        properties=(
            Property(
                "weights a thousand times as large have the same mask",
                lambda mine, w, s: not difference(
                    torch.as_tensor(mine(w, s)), torch.as_tensor(mine(1000 * w, s)), 0.0
                ),
            ),
        ),
        survivors={
            "line 10: `_insist_on_both(weight, sparsity)` omitted": "it refuses what no"
            " case holds: NaN, or a share outside 0 to 1",
        },
    ),
    Exercise(
        name="lamp", number="17.2", kind="build", minutes=20, difficulty=3, points=4,
        task="lamp(weight): for a tensor of any shape, without ties, each weight's"
             " square over the sum of the squares of all weights that are at least as"
             " large, itself included; a tensor of the same shape.",
        place="compression.sparsity.lamp", importance=2,
        machine="the shipped plain detector, its pyramid and heads pruned under one"
                " threshold over scores",
        machine_case=lamp_pruned_detector, milestone_calls=191,
        unchanged={
            "lamp_root": "a root keeps the order of all scores",
            "lamp_without_itself": "s / (1 - s) keeps the order of all scores s",
            "lamp_without_itself_cut": "the same order, the largest weight last",
        },
        reference=sparsity.lamp, alternative=lamp_2,
        wrong=(
            Wrong(lamp_not_squared, "magnitudes, not squares"),
            Wrong(lamp_over_all, "you divide by the sum over all; the sum runs over"
                  " those that are at least as large"),
            Wrong(lamp_over_smaller, "the sum runs over the smaller ones; it has to run"
                  " over the larger ones, so that the largest weight scores 1"),
            Wrong(lamp_sorted, "the right numbers in falling order; put each back where"
                  " its weight stands"),
            Wrong(lamp_without_itself, "a weight belongs to its own sum: without it the"
                  " largest divides by 0"),
            Wrong(lamp_row_by_row, "you go row by row, along the last dimension; the"
                  " sum runs over all weights of the layer"),
            Wrong(lamp_filter_by_filter, "you go filter by filter; the sum runs over"
                  " all weights of the layer"),
            Wrong(lamp_two_dimensions_only, "right for a matrix; a convolution's"
                  " weights have four dimensions, a bias has one: flatten first"),
            Wrong(lamp_looked_up, "scores[order] looks the scores up; scores[order] ="
                  " ... puts each back where its weight stands"),
            Wrong(lamp_flat, "the right scores; give them the shape of the weights"),
            Wrong(lamp_by_signed_order, "you sort by the signed weights; it is the"
                  " magnitude, or the square, that counts"),
            Wrong(lamp_sum_squared, "you divide by the square of a sum; asked is the"
                  " sum of the squares"),
            Wrong(lamp_signed, "weights with their signs, not their squares"),
            Wrong(lamp_root, "without a root: square over sum of squares"),
            Wrong(lamp_cubed, "you squared twice: weight ** 2 over the sum of weight **"
                  " 2"),
            Wrong(lamp_size_over_squares, "the magnitude over a sum of squares; square"
                  " both"),
            Wrong(lamp_square_over_sizes, "a square over a sum of magnitudes; square"
                  " both"),
            Wrong(lamp_sums_themselves, "these are the sums; the score is the square"
                  " over its sum"),
            Wrong(lamp_turned_over, "turned over: the square is divided by the sum"),
            Wrong(lamp_share_below, "that is 1 minus it, the share of the larger ones"),
            Wrong(lamp_in_given_order, "cumsum adds what stands before; sort first, so"
                  " that this is what is larger"),
            Wrong(lamp_behind_in_given_order, "you add what stands behind; sort first,"
                  " so that this is what is larger"),
            Wrong(lamp_larger_and_mean, "over the sum of those that are at least as"
                  " large, not their mean"),
            Wrong(lamp_without_itself_cut, "a weight belongs to its own sum: at least"
                  " as large, so >=; then the largest scores 1"),
            Wrong(lamp_of_ranks, "ranks say which is larger, not by how much; take"
                  " squares"),
            Wrong(lamp_over_largest, "you divide by the largest square; the sum runs"
                  " over all that are at least as large"),
        ),
        hints=(
            "Flatten, square, then argsort(descending=True): the largest first.",
            "In that order, the sum over all that are at least as large is a cumsum.",
            "scores[order] = ... puts the numbers back where they came from.",
        ),
        cases=distinct,
        by_hand=(
            # Squares 1, 4, 9, 16: 16/16, 9/25, 4/29, 1/30.
            ((torch.tensor([[1.0, -2.0], [3.0, -4.0]]),),
             torch.tensor([[1 / 30, 4 / 29], [9 / 25, 1.0]])),
            ((torch.tensor([[3.0, -4.0], [-2.0, 1.0]]),),
             torch.tensor([[9 / 25, 1.0], [4 / 29, 1 / 30]])),
        ),
        properties=(
            Property(
                "the largest weight scores 1",
                lambda mine, w: abs(torch.as_tensor(mine(w)).max().item() - 1) < 1e-6,
            ),
            Property(
                "a layer a hundred times larger has the same scores",
                lambda mine, w: not difference(
                    torch.as_tensor(mine(w)), mine(100 * w), 1e-4
                ),
            ),
        ),
    ),
    Exercise(
        name="nm_mask", number="17.3", kind="build", minutes=12, difficulty=2,
        points=3,
        task="nm_mask(weight, n=2, m=4): of every m neighbours along the input"
             " channels, dimension 1, True at the n largest magnitudes, by Eq. 17.6; of"
             " equals the first.",
        place="compression.sparsity.nm_mask", importance=1,
        machine="the shipped plain detector in patterns of 2:4, 1:8 and 3:4",
        machine_case=patterned_detector, milestone_calls=22,
        reference=sparsity.nm_mask, alternative=nm_mask_2,
        wrong=(
            Wrong(nm_smallest_stay, "the smallest stay; asked are the n largest"
                  " magnitudes of each group"),
            Wrong(nm_turned_over, "turned over: True says that a weight stays"),
            Wrong(nm_with_signs, "-0.9 is a large weight: take the magnitude, abs(),"
                  " before you compare"),
            Wrong(nm_so_many_go, "n of every m stay; with you n go. 2:4 does not show"
                  " it, 1:4 does"),
            Wrong(nm_always_two_of_four, "you take 2 of 4 whatever is asked: use n and"
                  " m"),
            Wrong(nm_in_memory_order, "neighbours in memory are the taps of a kernel;"
                  " the groups run along the input channels, dimension 1: movedim"),
            Wrong(nm_along_filters, "you group filters, dimension 0; a kernel adds up"
                  " over input channels, dimension 1"),
            Wrong(nm_far_apart, "channels 0, 1, 2, ... are neighbours, not every"
                  " (I / m)-th: unflatten(-1, (-1, m))"),
            Wrong(nm_share_of_all, "as many stay as should, but anywhere: n of *each*"
                  " group of m"),
            Wrong(nm_share_of_rows, "as many of each filter stay as should, but"
                  " anywhere in it: n of *each* group of m"),
            Wrong(nm_all_filters_alike, "one pattern for all filters; each filter and"
                  " each tap has groups of its own"),
            Wrong(nm_from_threshold, "where magnitudes are equal, your threshold leaves"
                  " more than n: count them by their order"),
            Wrong(nm_last_equal_stays, "of equal magnitudes the first stays:"
                  " argsort(descending=True, stable=True)"),
            Wrong(nm_times_weight, "these are the weights that stay; return the mask:"
                  " True or False for each"),
            Wrong(nm_channels_last, "the channels were moved to the end; move them back"
                  " to dimension 1"),
            Wrong(nm_order_for_rank, "argsort says which weight is at each place of the"
                  " order, not at which place each weight is: scatter_(-1,"
                  " order[..., :n], True)"),
        ),
        hints=(
            "movedim(1, -1) puts the input channels last; unflatten(-1, (-1, m)) cuts"
            " them into groups.",
            "argsort(dim=-1, descending=True, stable=True)[..., :n] are the places of"
            " the largest in each group.",
            "Begin with False everywhere, scatter_(-1, places, True), then back:"
            " flatten(-2).movedim(-1, 1).",
        ),
        cases=nm_case,
        by_hand=(
            ((torch.tensor([[0.1, -0.9, 0.5, 0.2]]),),
             torch.tensor([[False, True, True, False]])),
            ((torch.tensor([[3.0, 2.0, -1.0, -4.0]]), 1, 4),
             torch.tensor([[False, False, False, True]])),
            ((torch.tensor([[1.0, -1.0, 1.0, 1.0]]), 2, 4),
             torch.tensor([[True, True, False, False]])),
            # Four channels of two taps: each tap has a group of its own.
            ((torch.tensor([[[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]]]), 1, 2),
             torch.tensor([[[False, True], [True, False], [False, True],
                            [True, False]]])),
        ),
        properties=(
            Property(
                "n of every m stay",
                lambda mine, w, n=2, m=4: torch.as_tensor(mine(w, n, m)).sum().item()
                == w.numel() * n // m,
            ),
        ),
        survivors={
            "line 13: `n, m = _insist_on_pattern(weight, n, m)` omitted": "it refuses"
            " what no case holds: NaN, and numbers that do not fit",
            "line 16: `True` -> `False`": "torch keeps the order of so few numbers"
            " anyway",
        },
    ),
    Exercise(
        name="halfway", number="17.4", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="The sparsity of the cubic schedule to 0.9, after half of its steps.",
        reference=halfway,
        wrong=(
            Wrong(0.45, "half of the goal would be a straight line; this one is fast"
                  " at first"),
            Wrong(0.1125, "that is what is left to do: an eighth of 0.9"),
            Wrong(0.675, "that is a square; the schedule has a cube"),
            Wrong(0.875, "that is the share of the way; the way goes to 0.9"),
            Wrong(lambda: 0.9 * (1 - 0.5**4), "that is the fourth power; the schedule"
                  " has a cube"),
            Wrong(lambda: 100 * halfway(), "a share lies between 0 and 1: divide by"
                  " 100"),
        ),
        hints=(
            "How much of the time is left? That share, to the third power, of 0.9 is"
            " what is still to be removed.",
            "0.9 minus 0.9 times (1/2) to the third.",
        ),
    ),
    Exercise(
        name="cheaper_from", number="17.5", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="The smallest sparsity, in hundredths, at which the CSR form of 128 x 128"
             " weights of one byte is smaller than the dense one.",
        reference=cheaper_from,
        wrong=(
            Wrong(0.51, "that is for values of 4 bytes, as large as their column; these"
                  " have one byte"),
            Wrong(0.8, "almost: at 0.80 the pairs take as much as the dense bytes, and"
                  " the row starts come on top"),
            Wrong(lambda: 100 * cheaper_from(), "a share lies between 0 and 1: divide"
                  " by 100"),
            Wrong(lambda: cheaper_from() + 0.01, "one hundredth less is smaller than"
                  " dense already"),
            Wrong(0.19, "that is the share that is left; give the share of zeros"),
            Wrong(0.5, "a pair has one byte and a column of four: five bytes for one"),
        ),
        hints=(
            "A pair is now 1 + 4 bytes, and there are 129 row starts of 4 bytes.",
            "Dense is 16,384 bytes. How many pairs fit into what the row starts leave?",
        ),
    ),
    Exercise(
        name="csr_product", number="17.6", kind="build", minutes=15, difficulty=2,
        points=3,
        task="csr_product(values, columns, starts, x): a CSR matrix times the vector x."
             " All four are lists; row i owns the values from starts[i] up to, and not"
             " including, starts[i + 1]. Return a list of floats, one for each row.",
        reference=csr_product, alternative=csr_product_2,
        wrong=(
            Wrong(csr_product_by_place, "you take x in the order of the values; the"
                  " entry of x that a value meets stands in `columns`"),
            Wrong(csr_product_no_empty_rows, "a row without values still has a product:"
                  " 0.0"),
            Wrong(csr_product_first_row_lost, "the first row is missing: row i goes"
                  " from starts[i] to starts[i + 1]"),
            Wrong(csr_product_one_too_many, "a row ends before starts[i + 1]; you take"
                  " one value of the next row as well"),
            Wrong(csr_product_transposed, "you multiply by the transposed matrix: sums"
                  " run over the columns of a row"),
            Wrong(csr_product_by_place_in_row, "you number the values of a row 0, 1, 2;"
                  " where each stands in its row is in `columns`"),
            Wrong(csr_product_by_row, "you take the entry of x of the row; a value"
                  " meets the entry of its column"),
            Wrong(csr_product_running_total, "the total goes on from row to row; each"
                  " row begins again at 0.0"),
            Wrong(csr_product_row_sums, "those are the sums of the rows; each value is"
                  " to be multiplied by its entry of x"),
            Wrong(csr_product_last_lost, "the last value of each row is missing: range"
                  " leaves its end out by itself"),
            Wrong(csr_product_last_row_lost, "the last row is missing: `starts` has one"
                  " entry more than there are rows"),
            Wrong(csr_product_counted_from_one, "columns count from 0 already"),
            Wrong(csr_product_starts_are_counts, "`starts` says where rows begin, not"
                  " how many values they have"),
            Wrong(csr_product_of_columns, "you multiply the columns' numbers; the"
                  " product is values[k] * x[columns[k]]"),
            Wrong(csr_product_x_sums, "the values are missing: values[k] * x[columns"
                  "[k]]"),
            Wrong(csr_product_one_value, "a row may have several values, or none: go"
                  " from starts[i] up to starts[i + 1]"),
            Wrong(csr_product_dense, "that is the matrix; multiply it by x"),
            Wrong(csr_product_of_all, "one number for each row is asked, not the sum of"
                  " all"),
            Wrong(csr_product_products, "these are the single products; add up those of"
                  " each row"),
            Wrong(csr_product_averaged, "a product adds up, it takes no mean"),
            Wrong(csr_product_to_the_end, "a row ends before starts[i + 1]; yours goes"
                  " on to the end of all values"),
            Wrong(csr_product_begins_late, "the first value of each row is missing:"
                  " starts[i] belongs to it"),
            Wrong(csr_product_last_kept, "a row keeps only its last product: add them"
                  " up, +="),
        ),
        hints=(
            "Row i owns the values from starts[i] up to, not including, starts[i + 1].",
            "For each k of them the product is values[k] * x[columns[k]].",
            "Begin each row with total = 0.0, so that an empty row gives 0.0.",
        ),
        cases=csr_case,
        by_hand=(
            (([2.0, 3.0, 5.0], [0, 2, 1], [0, 2, 2, 3], [1.0, 10.0, 100.0]),
             [302.0, 0.0, 50.0]),
            (([4.0], [1], [0, 0, 1], [7.0, 0.5]), [0.0, 2.0]),
            # Two columns, three rows, two values each in the first two: 8, 7 and 9.
            (([2.0, 3.0, 5.0, 1.0, 3.0], [0, 1, 0, 1, 1], [0, 2, 4, 5], [1.0, 2.0]),
             [8.0, 7.0, 6.0]),
        ),
        properties=(
            Property(
                "a matrix of nothing but zeros gives zeros",
                lambda mine, *args: not difference(
                    [0.0, 0.0], mine([], [], [0, 0, 0], [1.0, 2.0]), 1e-9
                ),
            ),
        ),
    ),
)  # fmt: skip


def bits_of_two_in_four() -> float:
    """Bits a place, of 2:4 in half precision: two values and two places of 2 bits."""
    packed = sparsity.pack(torch.tensor([[1.0, 0.0, 0.0, 2.0]]).half())
    places = 2 * 2  # of one group; the byte that holds them has room for two groups
    return (packed.values.nbytes * 8 + places) / 4


def one_left_of_ten() -> int:
    """Weights that stay of a row of 576, at a sparsity of 0.9."""
    weight = torch.arange(1.0, 577).view(1, 576)
    return int(sparsity.magnitude_mask(weight, 0.9).sum())


QUIZ = (
    Question(
        "A convolution has 90 % zeros and runs as before, in the usual kernel. How long"
        " does it take?",
        (
            Option("About as long as before.", "The kernel multiplies by every weight,"
                   " zero or not; it never asks.", True),
            Option("A tenth.", "Only if something skips the zeros, at no cost. A dense"
                   " kernel does not."),
            Option("Longer: zeros are slow.", "A product with zero takes as long as any"
                   " other. (Denormal numbers would be slow.)"),
        ),
    ),
    Question(
        "Each output of a layer adds up 576 products. 90 % of the weights of its row"
        " are zero. How many products are left?",
        (
            Option("518", "So many are gone."),
            Option("58", "576 minus 518. Each needs its column looked up, which is why"
                   " they take longer than 58 dense ones.", True),
            Option("6", "That would be 99 %."),
        ),
        value=one_left_of_ten, form="{}",
    ),
    Question(
        "2:4 in half precision keeps two values of 16 bits in every group of four, and"
        " two bits to say where each stood. How many bits is that for each of the four"
        " places?",
        (
            Option("8", "That is the values alone; without the places nobody can put"
                   " them back."),
            Option("9", "Two values of 16 and two places of 2 bits, over four.", True),
            Option("10", "That would be 4 bits for each place."),
            Option("16", "That is dense."),
        ),
        value=bits_of_two_in_four, form="{:.0f}",
    ),
    Question(
        "A layer is followed by a batch norm. Somebody divides its weights by 100. What"
        " happens to the network, and what to its share in global pruning?",
        (
            Option("It computes the same, and the layer loses almost everything.",
                   "The batch norm divides the scale out again; the comparison of"
                   " magnitudes does not know that.", True),
            Option("It computes something else, and the layer keeps its share.",
                   "The batch norm takes the scale out; the share does change."),
            Option("Nothing changes in either.", "True where each layer is pruned by"
                   " itself: it is compared with itself only."),
        ),
    ),
    Question(
        "A winning ticket is trained from its first weights and reaches the accuracy of"
        " the whole network. Which control shows that the first weights matter?",
        (
            Option("The whole network, trained longer.", "That says something about the"
                   " training time, not about the first weights."),
            Option("The same mask on other first weights.", "Same shape, same number of"
                   " weights, same training: only the draw differs.", True),
            Option("Another mask on the same first weights.", "That shows that the mask"
                   " matters."),
        ),
    ),
    Question(
        "You prune to 90 % and train on for 300 steps. Then the file says: no zeros."
        " What was forgotten?",
        (
            Option("The learning rate was too high.", "With any rate, the gradient"
                   " moves a weight that is zero."),
            Option("The mask has to be applied after each step.", "The gradient of a"
                   " zero weight is not zero, so the optimizer moves it; momentum and"
                   " Adam's memory move it too.", True),
            Option("The file has to be saved as a sparse one.", "The form of a file"
                   " does not change its numbers."),
        ),
    ),
)  # fmt: skip
