"""Exercises and quiz of chapter 19: grids, decibels, ranges, and folding."""

import copy
import functools
import math

import torch
from torch import nn

from lib.compression import deployed, qat, quantize
from lib.detection import detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- the machines that call the core functions


@functools.cache
def lite_deployed():
    """The shipped *lite* detector as chapter 19 deploys it; nobody changes it."""
    with torch.no_grad():
        return deployed.deployed(detectors.shipped("lite"), torch.zeros(2, 3, 64, 64))


def small_pictures() -> torch.Tensor:
    """2 3 64 64, the same at every call: a picture of waves and its negative."""
    ramp = torch.linspace(0, 1, 64)
    waves = [(9 * ramp).sin(), (14 * ramp).cos(), ramp]
    picture = torch.stack([2 * w * ramp[:, None] - 0.5 for w in waves])
    return torch.stack([picture, -picture])


def rounded_detector() -> list:
    """*Lite* with all weights and maps of 8 bits: its outputs, and grids of filters.

    Maps get unsigned integers. A layer's filters are put on signed ones as well, each
    with a range of its own, and one that MSE has cut.
    """
    model = qat.prepare(lite_deployed(), qat.Scheme())
    qat.calibrate(model, small_pictures().split(1))
    with torch.no_grad():
        classes, boxes = model(small_pictures())  # B A*K H W and B A*4 H W a level
    filters = next(iter(qat.layers(model).values())).weight.detach()
    grids = []
    for kind in (quantize.MinMax, quantize.MSE):
        observer = kind(axis=0)
        observer.observe(filters)
        grid = observer.qparams(4)
        grids += [grid.scale, grid.zero_point]
    return [*classes, *boxes, *grids]


def rounded_weights() -> list:
    """*Lite* with its weights on grids of 4 bits, a filter each; ranges that MSE tried.

    Its outputs are compared, and a map like one behind a SiLU, in 8 bits and in 3.
    """
    twin = copy.deepcopy(lite_deployed())
    for layer in twin.children():
        if isinstance(layer, nn.Conv2d):
            values = layer.weight.data
            grid = quantize.choose_qparams(values, 4, symmetric=True, axis=0)
            values.copy_(quantize.rounded(values, grid))
    with torch.no_grad():
        classes, boxes = twin(small_pictures())
    some = nn.functional.silu(torch.linspace(-6, 6, 2000) ** 3 / 30)
    found = []
    for bits in (8, 3):
        observer = quantize.MSE()
        observer.observe(some)
        grid = observer.qparams(bits, signed=False)
        found += [grid.scale, grid.zero_point, quantize.rounded(some, grid)]
    return [*classes, *boxes, *found]


def folded_networks() -> list:
    """The first blocks of *lite*, and layers of other kinds, as graphs without norms.

    Their weights, biases and what they answer.
    """
    lite = detectors.shipped("lite").backbone
    some = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4),
    )  # fmt: skip
    for norm in some:
        if hasattr(norm, "running_var"):
            norm.running_mean.copy_(torch.linspace(-1, 1, 4))
            norm.running_var.copy_(torch.linspace(0.5, 4, 4))
            norm.weight.data.copy_(torch.linspace(-2, 1, 4))
            norm.bias.data.copy_(torch.linspace(1, -3, 4))
    found = []
    for model in (nn.Sequential(lite.stem, lite.stages[0]), some):
        graph = deployed.deployed(model.eval(), small_pictures()[..., :16, :16])
        with torch.no_grad():
            found.append(graph(small_pictures()[..., :16, :16]))
        found += [p.detach() for p in graph.parameters()]
    return found


# --- 19.1 build: onto a grid and back


def onto_2(x, scale, zero_point, low, high):
    """Cut off in steps from zero, then rounded: the ends are whole numbers."""
    steps = torch.maximum(torch.minimum(x / scale, high - zero_point), low - zero_point)
    return steps.round() * scale


def _onto_with(name, rule):
    """Rounded otherwise: rule(x, scale, zero_point, low, high)."""

    def onto(x, scale, zero_point, low, high):
        return rule(x, scale, zero_point, low, high)

    onto.__name__ = name
    return onto


def _back(q, s, z):
    return (q - z) * s


onto_not_clamped = _onto_with(
    "onto_not_clamped", lambda x, s, z, low, high: torch.round(x / s) * s
)
onto_wrapped = _onto_with(
    "onto_wrapped",
    lambda x, s, z, low, high: _back(
        (torch.round(x / s) + z - low) % (high - low + 1) + low, s, z
    ),
)
onto_clamped_too_early = _onto_with(
    "onto_clamped_too_early",
    lambda x, s, z, low, high: torch.round(x / s).clamp(low, high) * s,
)
onto_reals_clamped = _onto_with(
    "onto_reals_clamped",
    lambda x, s, z, low, high: torch.round(x.clamp(low, high) / s) * s,
)
onto_open_below = _onto_with(
    "onto_open_below",
    lambda x, s, z, low, high: _back((torch.round(x / s) + z).clamp(max=high), s, z),
)
onto_open_above = _onto_with(
    "onto_open_above",
    lambda x, s, z, low, high: _back((torch.round(x / s) + z).clamp(min=low), s, z),
)
onto_symmetric = _onto_with(
    "onto_symmetric",
    lambda x, s, z, low, high: _back((torch.round(x / s) + z).clamp(-high, high), s, z),
)
onto_high_left_out = _onto_with(
    "onto_high_left_out",
    lambda x, s, z, low, high: _back(
        (torch.round(x / s) + z).clamp(low, high - 1), s, z
    ),
)
onto_zero_kept = _onto_with(
    "onto_zero_kept",
    lambda x, s, z, low, high: (torch.round(x / s) + z).clamp(low, high) * s,
)
onto_zero_after_the_step = _onto_with(
    "onto_zero_after_the_step",
    lambda x, s, z, low, high: (torch.round(x / s) + z).clamp(low, high) * s - z,
)
onto_zero_the_other_way = _onto_with(
    "onto_zero_the_other_way",
    lambda x, s, z, low, high: ((torch.round(x / s) - z).clamp(low, high) + z) * s,
)
onto_zero_too_early = _onto_with(
    "onto_zero_too_early",
    lambda x, s, z, low, high: _back(torch.round(x / s + z).clamp(low, high), s, z),
)
onto_never_zero = _onto_with(
    "onto_never_zero",
    lambda x, s, z, low, high: (
        torch.round((x - low) / s).clamp(0, high - low) * s + low
    ),
)
onto_floor = _onto_with(
    "onto_floor",
    lambda x, s, z, low, high: _back((torch.floor(x / s) + z).clamp(low, high), s, z),
)
onto_ceil = _onto_with(
    "onto_ceil",
    lambda x, s, z, low, high: _back((torch.ceil(x / s) + z).clamp(low, high), s, z),
)
onto_cut = _onto_with(
    "onto_cut",
    lambda x, s, z, low, high: _back((torch.trunc(x / s) + z).clamp(low, high), s, z),
)
onto_half_up = _onto_with(
    "onto_half_up",
    lambda x, s, z, low, high: _back(
        (torch.floor(x / s + 0.5) + z).clamp(low, high), s, z
    ),
)
onto_not_rounded = _onto_with(
    "onto_not_rounded",
    lambda x, s, z, low, high: _back((x / s + z).clamp(low, high), s, z),
)
onto_rounded_first = _onto_with(
    "onto_rounded_first",
    lambda x, s, z, low, high: _back((torch.round(x) / s + z).clamp(low, high), s, z),
)
onto_times_the_step = _onto_with(
    "onto_times_the_step",
    lambda x, s, z, low, high: _back((torch.round(x * s) + z).clamp(low, high), s, z),
)
onto_divided_back = _onto_with(
    "onto_divided_back",
    lambda x, s, z, low, high: ((torch.round(x / s) + z).clamp(low, high) - z) / s,
)
onto_integers = _onto_with(
    "onto_integers",
    lambda x, s, z, low, high: (torch.round(x / s) + z).clamp(low, high),
)
onto_steps = _onto_with(
    "onto_steps",
    lambda x, s, z, low, high: (torch.round(x / s) + z).clamp(low, high) - z,
)


def onto_in_place(x, scale, zero_point, low, high):
    x.div_(scale).round_().add_(zero_point).clamp_(low, high)
    return x.sub_(zero_point).mul_(scale)


def onto_case(rng, size):
    """Numbers on, between and beyond the points of a grid, or of one for each row.

    In a third of the cases all are half way between two points, or on one.
    """
    bits = rng.choice((2, 3, 4, 4, 8))
    low, high = rng.choice((
        (0, 2**bits - 1), (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1),
    ))  # fmt: skip
    shape = rng.choice(((3 * size,), (size + 1, size), (size + 1, 2, size)))
    rows = (shape[0], *[1] * (len(shape) - 1)) if len(shape) > 1 else ()
    rows = rng.choice(((), rows))
    zero_point = torch.empty(rows)
    zero_point = zero_point.apply_(lambda _: rng.randint(low, high)).int()
    steps = tensor(rng, *shape, low=low - 3, high=high + 3) - zero_point
    ties = rng.random() < 0.34
    if ties:
        steps = (2 * steps).round() / 2
        scale = torch.empty(rows).apply_(lambda _: 2.0 ** rng.randint(-4, 6))
    else:
        scale = tensor(rng, *rows, low=0.05, high=1.0) * rng.choice((1, 1, 100))
    return steps * scale, scale, zero_point, low, high


def onto_by_hand(x, scale, zero_point, low, high, out):
    numbers = torch.tensor(x), torch.tensor(scale), torch.tensor(zero_point)
    return (*numbers, low, high), torch.tensor(out)


def stays_on_the_grid(mine, x, *grid):
    once = mine(x, *grid)
    return torch.allclose(mine(once, *grid), once, atol=1e-4)


# --- 19.2 build: scale and zero point


def grid_2(least, most, low, high):
    """Number by number, in double precision, counted from where zero is."""
    shape = torch.broadcast_shapes(least.shape, most.shape)
    ends = zip(
        least.expand(shape).reshape(-1), most.expand(shape).reshape(-1), strict=True
    )
    scales, zeros = [], []
    for first, last in ends:
        first, last = min(float(first), 0.0), max(float(last), 0.0)
        scale = (last - first) / (high - low)
        scales.append(scale)
        zeros.append(low + round(-first / scale))
    return torch.tensor(scales).reshape(shape), torch.tensor(zeros).reshape(shape)


def widened_grid(least, most, low, high):
    """As it should be; what is wrong below begins here, without the place itself."""
    return grid_not_widened(least.clamp(max=0), most.clamp(min=0), low, high)


def grid_not_widened(least, most, low, high):
    scale = (most - least) / (high - low)
    return scale, low - torch.round(least / scale)


def grid_widened_below_only(least, most, low, high):
    return grid_not_widened(least.clamp(max=0), most, low, high)


def grid_widened_above_only(least, most, low, high):
    return grid_not_widened(least, most.clamp(min=0), low, high)


def grid_widened_too_late(least, most, low, high):
    """The step of the range as it came, zero where the widened one has it."""
    scale = (most - least) / (high - low)
    return scale, low - torch.round(least.clamp(max=0) / scale)


def grid_of_as_many_steps_as_points(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / (high - low + 1)
    return scale, low - torch.round(least / scale)


def grid_divided_by_the_last_integer(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / high
    return scale, low - torch.round(least / scale)


def grid_of_eight_bits(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / 255
    return scale, low - torch.round(least / scale)


def grid_turned_over(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (high - low) / (most - least)
    return scale, low - torch.round(least * scale)


def grid_symmetric(least, most, low, high):
    scale = torch.maximum(-least, most) / high
    return scale, torch.zeros_like(scale)


def grid_of_the_widest(least, most, low, high):
    """One step for all grids."""
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least).max().expand(most.shape) / (high - low)
    return scale, low - torch.round(least / scale)


def zero_from_zero(least, most, low, high):
    scale, zero_point = widened_grid(least, most, low, high)
    return scale, zero_point - low


def zero_with_the_other_sign(least, most, low, high):
    scale, zero_point = widened_grid(least, most, low, high)
    return scale, 2 * low - zero_point


def zero_not_rounded(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / (high - low)
    return scale, low - least / scale


def zero_rounded_down(least, most, low, high):
    scale, zero_point = zero_not_rounded(least, most, low, high)
    return scale, zero_point.floor()


def zero_rounded_up(least, most, low, high):
    scale, zero_point = zero_not_rounded(least, most, low, high)
    return scale, zero_point.ceil()


def zero_half_up(least, most, low, high):
    scale, zero_point = zero_not_rounded(least, most, low, high)
    return scale, (zero_point + 0.5).floor()


def zero_not_divided(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, low - torch.round(least.clamp(max=0))


def zero_times_the_step(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, low - torch.round(least.clamp(max=0) * scale)


def zero_of_the_upper_end(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, low - torch.round(most.clamp(min=0) / scale)


def zero_from_the_upper_integer(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, high + torch.round(least.clamp(max=0) / scale)


def zero_counted_from_above(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, high - torch.round(most.clamp(min=0) / scale)


def zero_in_the_middle(least, most, low, high):
    scale, _ = widened_grid(least, most, low, high)
    return scale, torch.full_like(scale, (low + high + 1) // 2)


def grid_the_other_way_round(least, most, low, high):
    return widened_grid(least, most, low, high)[::-1]


def grid_without_zero_point(least, most, low, high):
    return widened_grid(least, most, low, high)[0]


def range_case(rng, size):
    """One range or many, around 0 or on one side of it, tiny to huge; 2 to 12 bits."""
    shape = ((), (size,), (3 * size,), (2, size + 1))[rng.randrange(4)]
    bits = rng.choice((2, 3, 4, 8, 8, 12))
    low = rng.choice((0, -(2 ** (bits - 1))))
    most = tensor(rng, *shape, low=0.2, high=2.0)
    least = -tensor(rng, *shape, low=0.2, high=2.0)
    side = rng.choice(("both", "both", "above", "below"))
    if side == "above":
        least, most = most / 2, most + 1
    if side == "below":
        least, most = least - 1, least / 2
    scale = 10.0 ** rng.choice((-3, 0, 0, 2, 5))
    return scale * least, scale * most, low, low + 2**bits - 1


def grid_by_hand(least, most, low, high, scale, zero_point):
    given = torch.tensor(least), torch.tensor(most), low, high
    return given, (torch.tensor(scale), torch.tensor(zero_point))


def zero_is_on_the_grid(mine, least, most, low, high):
    """The zero point is a whole number of the grid."""
    _, zero_point = mine(least, most, low, high)
    zero_point = torch.as_tensor(zero_point).double()
    whole = zero_point == zero_point.round()
    return bool((whole & (zero_point >= low) & (zero_point <= high)).all())


# --- 19.3 build: a batch norm into the layer before it


def fold_2(weight, bias, scale, shift):
    """Filter by filter."""
    filters = [w * a for w, a in zip(weight, scale, strict=True)]
    old = torch.zeros_like(shift) if bias is None else bias
    return torch.stack(filters), torch.addcmul(shift, old, scale)


def _fold_with(name, rule):
    """A fold that is wrong as `rule` says: (weight, bias or 0, a as sides, a, t)."""

    def fold(weight, bias, scale, shift):
        sides = scale.reshape(-1, *[1] * (weight.dim() - 1))
        old = torch.zeros_like(shift) if bias is None else bias
        return rule(weight, old, sides, scale, shift)

    fold.__name__ = name
    return fold


fold_no_shift = _fold_with("fold_no_shift", lambda w, b, s, a, t: (w * s, b * a))
fold_old_bias_kept = _fold_with(
    "fold_old_bias_kept", lambda w, b, s, a, t: (w * s, b + t)
)
fold_old_bias_lost = _fold_with(
    "fold_old_bias_lost", lambda w, b, s, a, t: (w * s, t.clone())
)
fold_weight_kept = _fold_with("fold_weight_kept", lambda w, b, s, a, t: (w, b * a + t))
fold_shift_first = _fold_with(
    "fold_shift_first", lambda w, b, s, a, t: (w * s, (b + t) * a)
)
fold_shift_taken_off = _fold_with(
    "fold_shift_taken_off", lambda w, b, s, a, t: (w * s, b * a - t)
)
fold_divided = _fold_with("fold_divided", lambda w, b, s, a, t: (w / s, b / a + t))
fold_shift_everywhere = _fold_with(
    "fold_shift_everywhere",
    lambda w, b, s, a, t: (w * s + t.reshape(s.shape), b * a + t),
)
fold_one_scale = _fold_with(
    "fold_one_scale", lambda w, b, s, a, t: (w * a.mean(), b * a.mean() + t)
)
fold_first_scale = _fold_with(
    "fold_first_scale", lambda w, b, s, a, t: (w * a[0], b * a[0] + t)
)
fold_one_shift = _fold_with(
    "fold_one_shift", lambda w, b, s, a, t: (w * s, b * a + t.mean())
)
fold_magnitude = _fold_with(
    "fold_magnitude", lambda w, b, s, a, t: (w * s.abs(), b * a.abs() + t)
)
fold_twice = _fold_with("fold_twice", lambda w, b, s, a, t: (w * s * s, b * a * a + t))
fold_the_other_way_round = _fold_with(
    "fold_the_other_way_round", lambda w, b, s, a, t: (b * a + t, w * s)
)
fold_weight_alone = _fold_with("fold_weight_alone", lambda w, b, s, a, t: w * s)
fold_bias_alone = _fold_with("fold_bias_alone", lambda w, b, s, a, t: b * a + t)
fold_into_the_bias = _fold_with("fold_into_the_bias", lambda w, b, s, a, t: (w, b + t))


def fold_last_side(weight, bias, scale, shift):
    old = torch.zeros_like(shift) if bias is None else bias
    return weight * scale, old * scale + shift


def fold_inputs(weight, bias, scale, shift):
    """The scale along the second side; fails unless there are as many inputs."""
    old = torch.zeros_like(shift) if bias is None else bias
    sides = scale.reshape(1, -1, *[1] * (weight.dim() - 2))
    return weight * sides, old * scale + shift


def fold_four_sides(weight, bias, scale, shift):
    old = torch.zeros_like(shift) if bias is None else bias
    return weight * scale[:, None, None, None], old * scale + shift


def fold_without_none(weight, bias, scale, shift):
    """Fails where there is no bias."""
    sides = scale.reshape(-1, *[1] * (weight.dim() - 1))
    return weight * sides, bias * scale + shift


def fold_none_stays(weight, bias, scale, shift):
    sides = scale.reshape(-1, *[1] * (weight.dim() - 1))
    return weight * sides, None if bias is None else bias * scale + shift


def fold_none_is_zero(weight, bias, scale, shift):
    sides = scale.reshape(-1, *[1] * (weight.dim() - 1))
    if bias is None:
        return weight * sides, torch.zeros_like(shift)
    return weight * sides, bias * scale + shift


def fold_in_place(weight, bias, scale, shift):
    """Right numbers, but the old layer is spoiled."""
    weight *= scale.reshape(-1, *[1] * (weight.dim() - 1))
    return weight, shift if bias is None else bias * scale + shift


def fold_case(rng, size):
    """A layer of any kind, as often square as not; in half of the cases no bias.

    Scales have both signs, and go from tiny to huge.
    """
    filters = size + 1
    inputs = rng.choice((1, filters, filters, rng.randint(1, size + 2)))
    kernel = rng.choice(((), (), (3,), (1, 1), (3, 3), (2, 3)))
    weight, shift = tensor(rng, filters, inputs, *kernel), tensor(rng, filters)
    scale = tensor(rng, filters, low=0.3, high=2.0) * rng.choice((0.05, 1, 1, 50))
    scale *= torch.empty(filters).apply_(lambda _: rng.choice((-1, 1, 1)))
    bias = rng.choice((None, tensor(rng, filters, low=0.5, high=2.0)))
    return weight, bias, scale, 3 * shift


def fold_by_hand(weight, bias, scale, shift, new_weight, new_bias):
    bias = None if bias is None else torch.tensor(bias)
    given = torch.tensor(weight), bias, torch.tensor(scale), torch.tensor(shift)
    return given, (torch.tensor(new_weight), torch.tensor(new_bias))


def folded_is_layer_then_norm(mine, weight, bias, scale, shift):
    """Asked of a window that the weight just covers."""
    x = torch.linspace(-1, 1, weight[0].numel())
    old = torch.zeros_like(shift) if bias is None else bias
    wanted = (weight.flatten(1) @ x + old) * scale + shift
    new_weight, new_bias = mine(weight, bias, scale, shift)
    found = new_weight.flatten(1) @ x + new_bias
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-3)


# --- 19.4 predict


def bits_for_sixty() -> int:
    """The fewest bits whose grid gives evenly spread numbers 60 dB."""
    return next(b for b in range(2, 17) if 20 * math.log10(2**b - 1) >= 60)


# --- 19.5 measure


def spoiler() -> int:
    """The smallest power of two that, as an outlier, costs three of eight bits."""
    x = torch.linspace(-1, 1, 20_001)

    def decibels(bits, outlier):
        grid = quantize.choose_qparams(torch.cat([x, torch.tensor([outlier])]), bits)
        return quantize.sqnr(x, quantize.dequantize(quantize.quantize(x, grid), grid))

    aim = decibels(5, 1.0)
    return next(2**k for k in range(1, 10) if decibels(8, float(2**k)) <= aim)


# --- 19.6 build


def power_of_two_scale(x, bits):
    """The finest scale 2 ** n at which a symmetric grid still holds all of x."""
    most = 2 ** (bits - 1) - 1
    needed = float(x.abs().max()) / most
    return 2.0 ** math.ceil(math.log2(needed))


def power_of_two_scale_2(x, bits):
    """By trying: double it until it fits, halve it while it still does."""
    reach, scale = max(abs(v) for v in x.flatten().tolist()), 1.0
    most = 2 ** (bits - 1) - 1
    while scale * most < reach:
        scale *= 2
    while scale / 2 * most >= reach:
        scale /= 2
    return scale


def power_of_two_scale_down(x, bits):
    return 2.0 ** math.floor(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_near(x, bits):
    return 2.0 ** round(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_one_sided(x, bits):
    """Fails where all numbers are negative."""
    return 2.0 ** math.ceil(math.log2(float(x.max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_abs_too_late(x, bits):
    reach = abs(float(x.max()))
    return 2.0 ** math.ceil(math.log2(reach / (2 ** (bits - 1) - 1)))


def power_of_two_scale_asymmetric(x, bits):
    """An end more, as two's complement has it below zero."""
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / 2 ** (bits - 1)))


def power_of_two_scale_of_range(x, bits):
    """The affine grid from the smallest to the largest."""
    width = float(x.max() - x.min())
    return 2.0 ** math.ceil(math.log2(width / (2**bits - 1)))


def power_of_two_scale_of_largest(x, bits):
    """The power of two above the largest number itself."""
    return 2.0 ** math.ceil(math.log2(float(x.abs().max())))


def power_of_two_scale_one_more(x, bits):
    """Goes up even where the exact scale is a power of two already."""
    needed = float(x.abs().max()) / (2 ** (bits - 1) - 1)
    return 2.0 ** (math.floor(math.log2(needed)) + 1)


def power_of_two_scale_cut_off(x, bits):
    """int() of the exponent: down above 0, up below it."""
    return 2.0 ** int(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_cut_off_and_one(x, bits):
    return 2.0 ** (int(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1))) + 1)


def power_of_two_scale_exponent(x, bits):
    return math.ceil(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_eight_bits(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / 127))


def power_of_two_scale_natural(x, bits):
    """The natural logarithm, then a power of two."""
    return 2.0 ** math.ceil(math.log(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_rounded_division(x, bits):
    """Largest number rounded up to a power of two, then divided."""
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()))) / (2 ** (bits - 1) - 1)


def power_of_two_scale_times(x, bits):
    """Multiplied by the largest integer."""
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) * (2 ** (bits - 1) - 1)))


def power_of_two_scale_of_mean(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().mean()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_bits_alone(x, bits):
    return 2.0 ** -(bits - 1)


def power_of_two_scale_turned_over(x, bits):
    """Steps for each unit instead of units for each step."""
    return 2.0 ** math.floor(math.log2((2 ** (bits - 1) - 1) / float(x.abs().max())))


def power_of_two_scale_of_smallest(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().min()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_by_bits(x, bits):
    """Divided by the number of bits."""
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / bits))


def power_of_two_scale_twice(x, bits):
    """One step coarser, to be safe."""
    return 2.0 ** math.ceil(1 + math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1)))


def power_of_two_scale_one_end_less(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 2)))


def power_of_two_scale_ceil_first(x, bits):
    """Rounds the number up, and not the exponent."""
    return float(
        2 ** math.log2(math.ceil(float(x.abs().max()) / (2 ** (bits - 1) - 1)))
    )


def power_of_two_scale_never_below_one(x, bits):
    """Doubles from 1, and never halves."""
    scale, most = 1.0, 2 ** (bits - 1) - 1
    while scale * most < float(x.abs().max()):
        scale *= 2
    return scale


def power_of_two_scale_unsigned(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / (2**bits - 1)))


def power_of_two_scale_exact(x, bits):
    return float(x.abs().max()) / (2 ** (bits - 1) - 1)


def numbers(rng, size) -> tuple:
    """Numbers of some magnitude, as often with the largest one below zero.

    Of one to four dimensions; in every fourth case the end of the grid is met exactly.
    """
    shape = rng.choice(((size + 1,), (size + 1,), (2, size), (size, 2, 1, 2)))
    bits = rng.choice((2, 3, 4, 6, 8))
    x = tensor(rng, *shape) * 10 ** rng.uniform(-3, 3)
    if rng.random() < 0.25:
        most = (2 ** (bits - 1) - 1) * 2.0 ** rng.randint(-12, 12)
        x = x / x.abs().max() * most * 0.9
        x.view(-1)[0] = most
    return x * rng.choice((-1, 1)), bits


# --- 19.7 build


def fold_before(weight, bias, gamma, beta, mean, variance):
    """A linear layer that does the batch norm before it, as columns of its weights."""
    scale = gamma / variance**0.5
    shift = beta - scale * mean
    return weight * scale, bias + weight @ shift


def fold_before_2(weight, bias, gamma, beta, mean, variance):
    """Row by row, as sums."""
    rows, biases = [], []
    for row, b in zip(weight, bias, strict=True):
        row = row / variance.sqrt()
        rows.append(row * gamma)
        biases.append(b + (row * (beta * variance.sqrt() - gamma * mean)).sum())
    return torch.stack(rows), torch.stack(biases)


def fold_before_no_shift(weight, bias, gamma, beta, mean, variance):
    return weight * gamma / variance**0.5, bias


def fold_before_as_after(weight, bias, gamma, beta, mean, variance):
    """Chapter 19's fold; fails unless there are as many filters as inputs."""
    factor = gamma / variance**0.5
    return weight * factor[:, None], (bias - mean) * factor + beta


def fold_before_rows(weight, bias, gamma, beta, mean, variance):
    """The scale along the filters; fails unless there are as many as inputs."""
    scale = gamma / variance**0.5
    return weight * scale[:, None], bias + weight @ (beta - scale * mean)


def fold_before_transposed(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + (beta - scale * mean) @ weight


def fold_before_bare_shift(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + (beta - scale * mean)


def fold_before_bare_beta(weight, bias, gamma, beta, mean, variance):
    """Beta behind the layer, as in the fold of a norm that stands there."""
    folded = weight * gamma / variance**0.5
    return folded, bias - folded @ mean + beta


def fold_before_one_shift(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + (beta - scale * mean).sum()


def fold_before_subtracted(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias - weight @ (beta - scale * mean)


def fold_before_old_bias_lost(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, weight @ (beta - scale * mean)


def fold_before_no_mean(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + weight @ beta


def fold_before_no_beta(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias - weight @ (scale * mean)


def fold_before_mean_added(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + weight @ (beta + scale * mean)


def fold_before_no_gamma(weight, bias, gamma, beta, mean, variance):
    scale = 1 / variance**0.5
    return weight * scale, bias + weight @ (beta - scale * mean)


def _fold_before_with(name, rule):
    """A fold whose scale and shift are computed otherwise: rule(g, b, m, v)."""

    def fold(weight, bias, gamma, beta, mean, variance):
        scale, shift = rule(gamma, beta, mean, variance)
        return weight * scale, bias + weight @ shift

    fold.__name__ = name
    return fold


fold_before_times_root = _fold_before_with(
    "fold_before_times_root", lambda g, b, m, v: (g * v.sqrt(), b - g * v.sqrt() * m)
)
fold_before_beta_scaled = _fold_before_with(
    "fold_before_beta_scaled",
    lambda g, b, m, v: (g / v.sqrt(), (b - m) * g / v.sqrt()),
)
fold_before_shift_no_gamma = _fold_before_with(
    "fold_before_shift_no_gamma", lambda g, b, m, v: (g / v.sqrt(), b - m / v.sqrt())
)
fold_before_shift_no_root = _fold_before_with(
    "fold_before_shift_no_root", lambda g, b, m, v: (g / v.sqrt(), b - g * m)
)
fold_before_swapped = _fold_before_with(
    "fold_before_swapped", lambda g, b, m, v: (b / v.sqrt(), g - b / v.sqrt() * m)
)
fold_before_one_plus = _fold_before_with(
    "fold_before_one_plus",
    lambda g, b, m, v: (g / (1 + v).sqrt(), b - g / (1 + v).sqrt() * m),
)
fold_before_mean_only = _fold_before_with(
    "fold_before_mean_only", lambda g, b, m, v: (torch.ones_like(g), b - m)
)


def fold_before_bias_scaled(weight, bias, gamma, beta, mean, variance):
    """All of it times the mean of the scales: the old bias as well."""
    scale = gamma / variance**0.5
    return weight * scale, (bias + weight @ (beta - scale * mean)) * scale.mean()


def fold_before_averaged(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + (weight * (beta - scale * mean)).mean(1)


def fold_before_old_weight(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight, bias + weight @ (beta - scale * mean)


def fold_before_new_weight(weight, bias, gamma, beta, mean, variance):
    scale = gamma / variance**0.5
    return weight * scale, bias + (weight * scale) @ (beta - scale * mean)


def fold_before_no_root(weight, bias, gamma, beta, mean, variance):
    return fold_before(weight, bias, gamma, beta, mean, variance**2)


def fold_before_bare_mean(weight, bias, gamma, beta, mean, variance):
    return weight * gamma / variance**0.5, bias + weight @ (beta - mean)


def layer(rng, size) -> tuple:
    """A linear layer, square or not, and the batch norm of its inputs."""
    inputs = size + 1
    filters = inputs if rng.random() < 0.5 else rng.randint(1, size + 3)
    weight, bias = tensor(rng, filters, inputs), tensor(rng, filters)
    gamma, beta = tensor(rng, inputs, low=0.5, high=2.0), tensor(rng, inputs)
    variance = tensor(rng, inputs, low=0.2, high=4.0)
    return weight, bias, gamma, beta, tensor(rng, inputs), variance


def stands_for_both(mine, weight, bias, gamma, beta, mean, variance) -> bool:
    x = torch.linspace(-1, 1, len(gamma))
    new_weight, new_bias = mine(weight, bias, gamma, beta, mean, variance)
    norm = (x - mean) / variance.sqrt() * gamma + beta
    wanted = weight @ norm + bias
    return torch.allclose(new_weight @ x + new_bias, wanted, atol=1e-4)


EXERCISES = (
    Exercise(
        name="onto_grid", number="19.1", kind="build", minutes=10, difficulty=2,
        points=3,
        task="Each number of `x` as the nearest point of a grid: Eq. 19.1, and Eq. 19.2"
             " back.",
        place="compression.quantize.onto_grid", importance=3,
        machine="the lite detector with 4-bit weights, and the ranges that MSE tries",
        machine_case=rounded_weights, milestone_calls=1283,
        reference=quantize.onto_grid, alternative=onto_2,
        wrong=(
            Wrong(onto_not_clamped, "what lies beyond the grid has to become its end:"
                  " the clamp from low to high is missing"),
            Wrong(onto_wrapped, "beyond the last integer you begin again at the first;"
                  " clamp instead"),
            Wrong(onto_clamped_too_early, "low and high are the ends of q, which has"
                  " the zero point in it: add it before you clamp"),
            Wrong(onto_reals_clamped, "low and high are integers of the grid; you clamp"
                  " the real numbers with them"),
            Wrong(onto_open_below, "the lower end is open: clamp from low to high"),
            Wrong(onto_open_above, "the upper end is open: clamp from low to high"),
            Wrong(onto_symmetric, "the first integer is low, not -high"),
            Wrong(onto_high_left_out, "high itself is an integer of the grid: clamp up"
                  " to high"),
            Wrong(onto_zero_kept, "on the way back the zero point goes off first: (q -"
                  " zero_point) * scale"),
            Wrong(onto_zero_after_the_step, "the zero point counts in steps: take it"
                  " off before you multiply by the scale"),
            Wrong(onto_zero_the_other_way, "the zero point is added on the way to"
                  " integers and taken off on the way back; yours is the other way"
                  " round"),
            Wrong(onto_zero_too_early, "round first, then add the zero point: a half"
                  " goes to the even number of steps, and an odd zero point would turn"
                  " that round"),
            Wrong(onto_never_zero, "low is an integer, not the real number where the"
                  " grid begins: count from zero_point"),
            Wrong(onto_floor, "you round down; take the nearest, torch.round"),
            Wrong(onto_ceil, "you round up; take the nearest, torch.round"),
            Wrong(onto_cut, "you cut off what is behind the point; take the nearest,"
                  " torch.round"),
            Wrong(onto_half_up, "at a half you always go up; torch.round goes to the"
                  " even neighbour"),
            Wrong(onto_not_rounded, "nothing is rounded: between two points there is"
                  " no integer"),
            Wrong(onto_rounded_first, "count in steps first, x / scale; then round"),
            Wrong(onto_times_the_step, "how many steps are in x? Divide by the scale;"
                  " you multiply"),
            Wrong(onto_divided_back, "on the way back each step is worth the scale:"
                  " multiply by it"),
            Wrong(onto_integers, "these are the integers; asked is what they mean, (q -"
                  " zero_point) * scale"),
            Wrong(onto_steps, "these are whole steps from zero; times the scale they"
                  " are real numbers"),
            Wrong(onto_in_place, "right numbers, but x itself is overwritten: others"
                  " still need it; use x / scale, not div_"),
        ),
        hints=(
            "x / scale counts in steps. torch.round takes the nearest whole number.",
            "Add zero_point, then .clamp(low, high): that is q, Eq. 19.1.",
            "Eq. 19.2 leads back: (q - zero_point) * scale.",
        ),
        cases=onto_case,
        by_hand=(
            onto_by_hand([-1.0, -0.33, 0.0, 0.65, 2.0], 0.2, 5, 0, 15,
                         [-1.0, -0.4, 0.0, 0.6, 2.0]),
            # 2.5 and 3.5 steps, and -2.5: to the even ones; the zero point is odd.
            onto_by_hand([1.25, 1.75, -1.25], 0.5, 3, 0, 15, [1.0, 2.0, -1.0]),
            onto_by_hand([9.0, -9.0], 0.5, 3, 0, 15, [6.0, -1.5]),  # 12 up, 3 down
            onto_by_hand([100.0, -100.0, 0.3], 0.5, 0, -127, 127, [63.5, -63.5, 0.5]),
            onto_by_hand([-9.0, 7.4], 1.0, 0, -8, 7, [-8.0, 7.0]),  # -8 has no twin
            # A grid for each row: steps of 1 from -1 to 2, of 4 from -8 to 4.
            onto_by_hand([[0.6, -5.0], [5.0, -5.0]], [[1.0], [4.0]], [[1], [2]], 0, 3,
                         [[1.0, -1.0], [4.0, -4.0]]),
        ),
        properties=(
            Property("what stands on the grid stays there", stays_on_the_grid),
        ),
        unchanged={
            "onto_zero_too_early": "none of its numbers lies half way",
            "onto_half_up": "none of its numbers lies half way",
        },
    ),
    Exercise(
        name="scale_and_zero_point", number="19.2", kind="build", minutes=15,
        difficulty=2, points=3,
        task="The step of a grid over a range, and the integer that means zero, by Eq."
             " 19.3 and 19.4.",
        place="compression.quantize.scale_and_zero_point", required=True, importance=3,
        machine="the shipped lite detector, rounded to eight bits",
        machine_case=rounded_detector, milestone_calls=192,
        reference=quantize.scale_and_zero_point, alternative=grid_2,
        wrong=(
            Wrong(grid_not_widened, "you take the range as it is: widen it until zero"
                  " is in it, least.clamp(max=0) and most.clamp(min=0)"),
            Wrong(grid_widened_below_only, "a range below zero is left as it is: its"
                  " upper end has to become 0, most.clamp(min=0)"),
            Wrong(grid_widened_above_only, "a range above zero is left as it is: its"
                  " lower end has to become 0, least.clamp(max=0)"),
            Wrong(grid_widened_too_late, "the step is that of the range before it was"
                  " widened: widen first, then divide"),
            Wrong(grid_of_as_many_steps_as_points, "sixteen points have fifteen steps"
                  " between them: divide by high - low, not by one more"),
            Wrong(grid_divided_by_the_last_integer, "the integers go from low to high,"
                  " and low need not be 0: divide by high - low"),
            Wrong(grid_of_eight_bits, "255 steps are those of eight bits; take high -"
                  " low"),
            Wrong(grid_turned_over, "turned over: the step is the range divided by the"
                  " number of steps"),
            Wrong(grid_symmetric, "that is the symmetric grid of Eq. 19.5; this one"
                  " begins at least and ends at most"),
            Wrong(grid_of_the_widest, "each range has a step of its own; you took the"
                  " widest for all"),
            Wrong(zero_from_zero, "the first integer is low, not always 0: the zero"
                  " point counts from there"),
            Wrong(zero_with_the_other_sign, "the sign: least is below zero, so zero"
                  " stands above low; low minus round(least / scale)"),
            Wrong(zero_not_rounded, "the zero point is an integer: round it, else zero"
                  " is not on the grid"),
            Wrong(zero_rounded_down, "you round the zero point down; take the nearest,"
                  " as torch.round does"),
            Wrong(zero_rounded_up, "you round the zero point up; take the nearest, as"
                  " torch.round does"),
            Wrong(zero_half_up, "at a half you always go up; torch.round goes to the"
                  " even neighbour"),
            Wrong(zero_not_divided, "least is a real number: count it in steps, divide"
                  " it by the scale"),
            Wrong(zero_times_the_step, "how many steps are in least? Divide by the"
                  " scale; you multiply"),
            Wrong(zero_of_the_upper_end, "zero stands as many steps above low as least"
                  " is long; you counted those of most"),
            Wrong(zero_from_the_upper_integer, "you begin at high; least belongs to"
                  " low, so begin there"),
            Wrong(zero_counted_from_above, "you count from the upper end; Eq. 19.4"
                  " counts from the lower, and at a half the two differ"),
            Wrong(zero_in_the_middle, "zero is in the middle only of a symmetric range;"
                  " where is it between least and most?"),
            Wrong(grid_the_other_way_round, "right numbers in the wrong order: first"
                  " the scale, then the zero point"),
            Wrong(grid_without_zero_point, "that is the scale alone; return the pair of"
                  " scale and zero point"),
        ),
        hints=(
            "Two clamps first: least may not be above 0, most not below it.",
            "From low to high there are high - low steps. How long is each?",
            "least / scale is the number of steps from zero to the lower end, below 0."
            " Round it, and subtract it from low.",
        ),
        cases=range_case,
        by_hand=(
            grid_by_hand(-1.0, 2.0, 0, 15, 0.2, 5),
            grid_by_hand(1.0, 4.0, 0, 3, 4 / 3, 0),  # widened to 0 to 4
            grid_by_hand(-4.0, -1.0, -8, 7, 4 / 15, 7),  # widened to -4 to 0
            # Halves: 2.5 and 3.5 steps below zero, to the even neighbour.
            grid_by_hand([-2.5, -3.5], [12.5, 11.5], 0, 15, [1.0, 1.0], [2, 4]),
            grid_by_hand([-2.5, -3.5], [12.5, 11.5], -8, 7, [1.0, 1.0], [-6, -4]),
            # Two channels of a map, a hundred times apart: 51 of 255 steps below 0.
            grid_by_hand([-1.02, -102.0], [4.08, 408.0], -128, 127,
                         [0.02, 2.0], [-77, -77]),
        ),
        properties=(
            Property("zero is a point of the grid", zero_is_on_the_grid),
        ),
        unchanged={
            "grid_widened_above_only": "no map or filter of it lies above zero alone",
            "zero_half_up": "none of its ranges has zero at a half",
        },
    ),
    Exercise(
        name="fold", number="19.3", kind="build", minutes=10, difficulty=2, points=3,
        task="Weight and bias of one layer that does its own work, then a norm's: times"
             " `scale`, plus `shift`, for each filter (Eq. 19.9).",
        place="compression.deployed.fold", importance=2,
        machine="networks as they are deployed, graphs without norms",
        machine_case=folded_networks, milestone_calls=21,
        reference=deployed.fold, alternative=fold_2,
        wrong=(
            Wrong(fold_no_shift, "the shift is lost: the new bias is scale * bias +"
                  " shift"),
            Wrong(fold_old_bias_kept, "the layer's own bias goes through the norm too:"
                  " multiply it by the scale"),
            Wrong(fold_old_bias_lost, "the layer's own bias is lost: it goes through"
                  " the norm too, scale * bias + shift"),
            Wrong(fold_weight_kept, "the bias is right; the weight has to be scaled"
                  " too, each filter by its own number"),
            Wrong(fold_into_the_bias, "the scale is missing: a norm multiplies, weight"
                  " and bias, before it adds"),
            Wrong(fold_shift_first, "the shift is added last: no scale multiplies it"),
            Wrong(fold_shift_taken_off, "the sign: Eq. 19.9 adds the shift"),
            Wrong(fold_divided, "the scale multiplies; you divide by it"),
            Wrong(fold_shift_everywhere, "the shift belongs to the bias alone: added to"
                  " weights, it would be multiplied by the input"),
            Wrong(fold_one_scale, "each filter has a scale of its own; you took their"
                  " mean"),
            Wrong(fold_first_scale, "each filter has a scale of its own; you took the"
                  " first for all"),
            Wrong(fold_one_shift, "each filter has a shift of its own; you took their"
                  " mean"),
            Wrong(fold_magnitude, "a scale may be negative; leave its sign"),
            Wrong(fold_twice, "you multiply by the scale twice"),
            Wrong(fold_the_other_way_round, "right numbers in the wrong order: first"
                  " the weight, then the bias"),
            Wrong(fold_weight_alone, "that is the weight alone; return the pair of"
                  " weight and bias"),
            Wrong(fold_bias_alone, "that is the bias alone; return the pair of weight"
                  " and bias"),
            Wrong(fold_last_side, "weight * scale multiplies along the last side;"
                  " filters are the first: scale.reshape(-1, 1, ...)"),
            Wrong(fold_inputs, "the scale belongs to the filters, the first side of the"
                  " weight; you scale the inputs, its second"),
            Wrong(fold_four_sides, "a linear layer's weight has two sides, a"
                  " convolution's four: give the scale as many as weight.dim()"),
            Wrong(fold_without_none, "a layer before a norm has often no bias: then"
                  " bias is None, and the new one is the shift"),
            Wrong(fold_none_stays, "without a bias of its own the layer still gets the"
                  " shift: return shift, not None"),
            Wrong(fold_none_is_zero, "without a bias of its own the layer still gets"
                  " the shift; you return zeros"),
            Wrong(fold_in_place, "right numbers, but the old weight is overwritten:"
                  " other levels fold it again; use weight * ..., not *="),
        ),
        hints=(
            "A norm does a * y + t to what the layer gives, and y is w x + b. Multiply"
            " out: what stands before x, and what is left?",
            "scale.reshape(-1, *[1] * (weight.dim() - 1)) has a side for each side of"
            " the weight.",
            "A layer without a bias has b = 0: the new bias is the shift.",
        ),
        cases=fold_case,
        by_hand=(
            # (2 x + 1) * 3 + 5 = 6 x + 8
            fold_by_hand([[2.0]], [1.0], [3.0], [5.0], [[6.0]], [8.0]),
            # Two filters of two inputs: times 10 and 0.5, then -1 and 4.
            fold_by_hand([[1.0, 2], [3, 4]], [1.0, 6], [10.0, 0.5], [-1.0, 4],
                         [[10.0, 20], [1.5, 2]], [9.0, 7]),
            # Depthwise, 1 x 2 pixels, no bias; the second filter is turned over.
            fold_by_hand([[[[1.0, 2]]], [[[3.0, 4]]]], None, [2.0, -1], [7.0, 8],
                         [[[[2.0, 4]]], [[[-3.0, -4]]]], [7.0, 8]),
            # Three filters of one input, in one dimension.
            fold_by_hand([[[1.0]], [[2.0]], [[3.0]]], [1.0, 1, 2], [1.0, 10, 100],
                         [0.0, 1, 2], [[[1.0]], [[20.0]], [[300.0]]], [1.0, 11, 202]),
        ),
        properties=(
            Property("one layer answers as layer and norm did",
                     folded_is_layer_then_norm),
        ),
        unchanged={"fold_in_place": "the machine hands over copies"},
    ),
    Exercise(
        name="bits_for_sixty", number="19.4", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="The fewest bits that give evenly spread numbers 60 dB.",
        reference=bits_for_sixty,
        wrong=(
            Wrong(9, "nine bits come to 54 dB"),
            Wrong(11, "ten are enough; no bit is set apart for the sign, negative"
                  " numbers are points of the grid like others"),
            Wrong(6, "60 dB is a factor of 1000 in amplitude; 6 bits make 64 steps"),
            Wrong(lambda: 60 / 6.02, "bits are whole: round up"),
            Wrong(20, "a bit is worth 6 dB, not 3: it halves the error, and power is"
                  " its square"),
            Wrong(60, "a bit is worth about 6 dB"),
        ),
        hints=(
            "What is a bit worth? Eq. 19.7 says it, for numbers that fill their range"
            " evenly.",
            "60 divided by 6.02, rounded up.",
        ),
    ),
    Exercise(
        name="spoiler", number="19.5", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="The smallest power of two that, as an outlier, costs 3 of 8 bits.",
        reference=spoiler,
        wrong=(
            Wrong(3, "three is the number of bits; asked for is the outlier's value"),
            Wrong(64, "decibels count power, but a bit halves the step: 2 for each bit,"
                  " not 4"),
            Wrong(8, "8 on one side alone makes the range from -1 to 8, nine wide"
                  " instead of two: a little over two bits"),
            Wrong(15, "at 15 the range is eight times as wide; but a power of two is"
                  " asked"),
            Wrong(32, "half of that is enough"),
            Wrong(4, "4 makes the range five wide instead of two: a little over one"
                  " bit"),
        ),
        hints=(
            "How wide is the range from -1 to the outlier, and how wide was it before?",
            "Each bit lost doubles the step. Three bits: the range is eight times as"
            " wide as from -1 to 1.",
        ),
    ),
    Exercise(
        name="power_of_two_scale", number="19.6", kind="build", minutes=15,
        difficulty=2, points=3,
        task="power_of_two_scale(x, bits): the finest scale 2 ** n, a float, at which a"
             " symmetric grid of so many bits still holds all of `x`, a tensor of any"
             " shape that is not all zeros.",
        reference=power_of_two_scale, alternative=power_of_two_scale_2,
        wrong=(
            Wrong(power_of_two_scale_down, "your scale is too fine: the largest number"
                  " is cut off; round the exponent up, not down"),
            Wrong(power_of_two_scale_near, "the nearest power of two may lie below"
                  " what is needed, and then the largest number is cut off"),
            Wrong(power_of_two_scale_one_sided, "the largest magnitude may be that of"
                  " a negative number"),
            Wrong(power_of_two_scale_unsigned, "a symmetric grid of b bits ends at"
                  " 2 ** (b - 1) - 1 on each side, not at 2 ** b - 1"),
            Wrong(power_of_two_scale_exact, "that is the finest scale of all; asked for"
                  " is a power of two, so that a shift can replace the product"),
            Wrong(power_of_two_scale_abs_too_late, "you take the magnitude of the"
                  " largest number; the largest magnitude may be that of another one:"
                  " x.abs().max()"),
            Wrong(power_of_two_scale_asymmetric, "a symmetric grid leaves out the"
                  " lowest integer: it ends at 2 ** (b - 1) - 1 on both sides"),
            Wrong(power_of_two_scale_of_range, "that is the step of a grid from the"
                  " smallest to the largest number; a symmetric one reaches equally"
                  " far on both sides of 0"),
            Wrong(power_of_two_scale_of_largest, "you did not divide by the largest"
                  " integer of the grid: the scale is one step, not the whole reach"),
            Wrong(power_of_two_scale_one_more, "where the exact scale is a power of two"
                  " already, it is enough; yours is twice as coarse"),
            Wrong(power_of_two_scale_cut_off, "int() cuts towards 0: down for a"
                  " positive exponent, and then the largest number is cut off;"
                  " math.ceil goes up always"),
            Wrong(power_of_two_scale_cut_off_and_one, "int() + 1 is one too many for a"
                  " negative exponent, and where the scale is a power of two already:"
                  " math.ceil"),
            Wrong(power_of_two_scale_exponent, "that is n; return 2.0 ** n"),
            Wrong(power_of_two_scale_eight_bits, "127 is the end of eight bits; take"
                  " `bits`"),
            Wrong(power_of_two_scale_natural, "that is the natural logarithm; for a"
                  " power of two take math.log2"),
            Wrong(power_of_two_scale_rounded_division, "round the scale to a power of"
                  " two, not the largest number before it is divided"),
            Wrong(power_of_two_scale_times, "divide by the largest integer; you"
                  " multiply by it"),
            Wrong(power_of_two_scale_of_mean, "the largest magnitude has to fit, not"
                  " the mean one"),
            Wrong(power_of_two_scale_bits_alone, "the scale has to follow the numbers:"
                  " you look at the bits only"),
            Wrong(power_of_two_scale_turned_over, "turned over: a scale is the size of"
                  " one step, largest number over largest integer"),
            Wrong(power_of_two_scale_of_smallest, "the largest magnitude has to fit,"
                  " not the smallest"),
            Wrong(power_of_two_scale_by_bits, "divide by the largest integer of the"
                  " grid, 2 ** (b - 1) - 1, not by the number of bits"),
            Wrong(power_of_two_scale_twice, "half of your scale still holds all of x:"
                  " the finest is asked"),
            Wrong(power_of_two_scale_one_end_less, "the grid ends at 2 ** (b - 1) - 1;"
                  " you subtract 2"),
            Wrong(power_of_two_scale_ceil_first, "round the exponent up, not the number"
                  " before its logarithm"),
            Wrong(power_of_two_scale_never_below_one, "small numbers need a scale below"
                  " 1: n may be negative"),
        ),
        hints=(
            "First the exact scale: the largest magnitude, divided by the largest"
            " integer of the grid.",
            "Which n makes 2 ** n just not smaller than that?",
            "math.log2 gives the exponent; math.ceil the next whole number above it.",
        ),
        cases=numbers,
        by_hand=(
            ((torch.tensor([1.0, -7.0]), 4), 1.0),
            ((torch.tensor([1.0, -7.5]), 4), 2.0),
            ((torch.tensor([0.5, 0.25]), 3), 0.25),
            # 0.8 / 3 = 0.27; 13 / 7 = 1.86; 40 / 127 = 0.31; 20 / 7 = 2.86.
            ((torch.tensor([[0.8], [-0.2]]), 3), 0.5),
            ((torch.tensor([13.0, -9.0]), 4), 2.0),
            ((torch.tensor([40.0, -3.0]), 8), 0.5),
            ((torch.tensor([-3.0, 20.0]), 4), 4.0),
            # The end of the grid, exactly: 7 * 2 ** 20.
            ((torch.tensor([-7340032.0, 1.0]), 4), 1048576.0),
        ),
        properties=(
            Property(
                "twice the numbers need twice the scale",
                lambda mine, x, bits: mine(2 * x, bits) == 2 * mine(x, bits),
            ),
        ),
        tolerance=1e-9,
    ),
    Exercise(
        name="fold_before", number="19.7", kind="build", minutes=15, difficulty=2,
        points=3,
        task="fold_before(weight, bias, gamma, beta, mean, variance): a batch norm (eps"
             " is 0) stands before a linear layer. `weight` is (filters, inputs),"
             " `bias` (filters,), the others (inputs,). Return the pair of weight and"
             " bias of one layer that answers as both did; gradients pass.",
        reference=fold_before, alternative=fold_before_2,
        wrong=(
            Wrong(fold_before_no_shift, "the shift is lost; every filter sees it, times"
                  " its weights, as a constant"),
            Wrong(fold_before_as_after, "that scales what comes out, as in Eq. 19.9;"
                  " here the norm stands before the layer and scales what goes in"),
            Wrong(fold_before_new_weight, "the shift is added after the scale, so the"
                  " old weights meet it, not the new ones"),
            Wrong(fold_before_no_root, "you divide by the variance; a norm divides by"
                  " its square root"),
            Wrong(fold_before_bare_mean, "the mean is taken off before the scale, so"
                  " the scale multiplies it too, as in Eq. 19.8"),
            Wrong(fold_before_rows, "the scale belongs to the inputs, so to the columns"
                  " of the weight; you multiply its rows"),
            Wrong(fold_before_transposed, "shift @ weight adds up over the filters;"
                  " each filter adds up over its inputs: weight @ shift"),
            Wrong(fold_before_bare_shift, "the shift goes through the weights before it"
                  " arrives in the bias: weight @ shift"),
            Wrong(fold_before_bare_beta, "beta stands before the layer, one for each"
                  " input: it goes through the weights, weight @ beta"),
            Wrong(fold_before_one_shift, "each filter weighs the shifts of the inputs"
                  " by its own weights: weight @ shift"),
            Wrong(fold_before_subtracted, "the sign: the norm adds its shift, so the"
                  " bias gains weight @ shift"),
            Wrong(fold_before_old_bias_lost, "the layer's own bias is lost"),
            Wrong(fold_before_no_mean, "the norm also takes its mean off: the shift is"
                  " beta - scale * mean"),
            Wrong(fold_before_no_beta, "the norm also adds beta: the shift is beta -"
                  " scale * mean"),
            Wrong(fold_before_mean_added, "the norm takes its mean off: the shift is"
                  " beta - scale * mean"),
            Wrong(fold_before_no_gamma, "the norm also multiplies by gamma"),
            Wrong(fold_before_times_root, "a norm divides by the root of the variance;"
                  " you multiply by it"),
            Wrong(fold_before_beta_scaled, "beta is added after the scale: no factor"
                  " multiplies it"),
            Wrong(fold_before_shift_no_gamma, "gamma multiplies the mean as well: the"
                  " whole scale does"),
            Wrong(fold_before_shift_no_root, "the root divides the mean as well: the"
                  " whole scale multiplies it"),
            Wrong(fold_before_swapped, "gamma multiplies and beta is added; you swapped"
                  " them"),
            Wrong(fold_before_one_plus, "epsilon is 0 here, not 1"),
            Wrong(fold_before_mean_only, "the norm scales, too: gamma over the root of"
                  " the variance"),
            Wrong(fold_before_bias_scaled, "the old bias is added last: no scale"
                  " multiplies it"),
            Wrong(fold_before_averaged, "a linear layer adds up over its inputs, it"
                  " takes no mean"),
            Wrong(fold_before_old_weight, "the bias is right; the columns of the weight"
                  " have to be scaled, too"),
        ),
        hints=(
            "Scale s and shift t of the norm first, Eq. 19.8. Then write it out:"
            " W (s x + t) + b. What multiplies x, and what is left?",
            "Each column of W belongs to one input: it takes that input's scale.",
            "The rest is W t + b, one number for each filter.",
        ),
        cases=layer,
        by_hand=(
            ((torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]),
              torch.tensor([20.0, 200.0]), torch.tensor([5.0, 99.0]),
              torch.tensor([0.0, 1.0]), torch.tensor([4.0, 4.0])),
             (torch.tensor([[10.0, 200.0]]), torch.tensor([6.0]))),
            # Two filters: scales 2 and 1/2, shifts 1 - 2 * 3 and 4 - 1/2 * 2.
            ((torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([10.0, 20.0]),
              torch.tensor([4.0, 1.0]), torch.tensor([1.0, 4.0]),
              torch.tensor([3.0, 2.0]), torch.tensor([4.0, 4.0])),
             (torch.tensor([[2.0, 1.0], [6.0, 2.0]]), torch.tensor([11.0, 17.0]))),
        ),
        properties=(
            Property("the layer alone answers as norm and layer did", stands_for_both),
        ),
        gradient=(0, 1, 2, 3),
        tolerance=1e-4,
    ),
)  # fmt: skip


def back_from_four_bits() -> float:
    """What 0.97 comes back as from four bits over [-0.5, 1]."""
    grid = quantize.from_range(-0.5, 1.0, bits=4, signed=False)
    x = torch.tensor([0.97])
    return quantize.dequantize(quantize.quantize(x, grid), grid).item()


def smaller_with_scales() -> float:
    """How many times smaller 4-bit weights are, with one float32 for 32 of them."""
    return 32 / (4 + 32 / 32)


QUIZ = (
    Question(
        "Four bits cover the range from -0.5 to 1. What does 0.97 come back as?",
        (
            Option("0.9", "0.97 is 9.7 steps of 0.1 above zero; the nearest step is the"
                   " tenth."),
            Option("0.94", "That would be a step of 1.5 / 16; sixteen points have"
                   " fifteen steps between them."),
            Option("0.97", "Only sixteen numbers can come back, and it is not one of"
                   " them."),
            Option("1.0", "The step is 1.5 / 15 = 0.1, and 9.7 rounds to 10.", True),
        ),
        value=back_from_four_bits, form="{:.1f}",
    ),
    Question(
        "Why must zero be a point of the grid?",
        (
            Option("Padding and ReLU write exact zeros; if zero came back as 0.03,"
                   " every border would be wrong in the same direction.",
                   "An error of rounding is sometimes up and sometimes down. This one"
                   " is not, and it adds up.", True),
            Option("Half of all weights are zero.", "Weights are hardly ever exactly"
                   " zero, unless they were pruned."),
            Option("Integers cannot stand for a scale without it.", "They could; the"
                   " grid would only lie elsewhere."),
        ),
    ),
    Question(
        "4-bit weights, and one float32 scale for each group of 32. How many times"
        " smaller than float32 is that?",
        (
            Option("8.0", "That forgets the scales: one bit more for each weight."),
            Option("6.4", "4 bits and 32 / 32 of a scale make 5 bits: 32 / 5.", True),
            Option("4.0", "That is what 8 bits give."),
        ),
        value=smaller_with_scales, form="{:.1f}",
    ),
    Question(
        "A depthwise convolution and a dense one have equally large weights. Which one"
        " needs a grid for each filter more, and why?",
        (
            Option("The dense one: it has more weights.", "More weights in a filter"
                   " make the filters' ranges more alike, not less."),
            Option("Neither: weights are known, so the range is exact.", "The range is"
                   " exact, and still too wide for most of the filters."),
            Option("The depthwise one: nine weights make a filter, and a folded norm"
                   " may make one filter a hundred times as large as the next.",
                   "With one grid for all, small filters get one or two steps.", True),
        ),
    ),
    Question(
        "Entropy calibration cut the tail of a map behind a SiLU, and the map came back"
        " worse than with the plain extremes. What had it not looked at?",
        (
            Option("How far away the values were that it cut: the divergence asks how"
                   " many there are, not what it costs to move them.",
                   "Compare with the squared error, which asks just that.", True),
            Option("Negative values.", "Their magnitudes are in the histogram like all"
                   " others."),
            Option("The number of bits.", "It decides how many values the rounded"
                   " histogram may have."),
        ),
    ),
)  # fmt: skip
