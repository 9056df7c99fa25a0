"""Exercises and quiz of chapter 10: EfficientNet and compound scaling."""

import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

from lib.basics import profiling
from lib.compression import deployed
from lib.detection import efficientdet, efficientnet
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 10.1 build: a gate for each channel


class Pixelwise(nn.Conv2d):
    """A 1x1 convolution that says its numbers where a case is shown."""

    def __init__(self, weight, bias):
        super().__init__(weight.shape[1], weight.shape[0], 1)
        self.weight = nn.Parameter(weight[:, :, None, None], requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def __repr__(self):
        rows = [[round(v, 4) for v in row] for row in self.weight[:, :, 0, 0].tolist()]
        bias = [round(v, 4) for v in self.bias.tolist()]
        return f"1x1 convolution with weight {rows} and bias {bias}"


def gated_networks() -> list:
    """A small network as chapter 10 trains it: its logits, slopes, and its graph.

    B0 itself is only planned, on meta.
    """
    ramp = torch.linspace(0, 1, 16)
    pictures = [(n * ramp).sin() * ramp[:, None] for n in range(3, 15)]
    pictures = torch.stack(pictures).view(4, 3, 16, 16)
    rows = (3, 1, 1, 8, 1), (3, 2, 4, 12, 2)
    small = efficientnet.efficientnet(
        "b0", 10, stages=rows, stem_stride=1, divisor=2, drop_path=0.0, dropout=0.0
    )
    logits = small(pictures)
    F.cross_entropy(logits, torch.arange(4)).backward()
    slopes = [p.grad for name, p in small.named_parameters() if "squeeze" in name]
    with torch.no_grad():
        tested = small.eval()(pictures)
        graph = deployed.deployed(small, pictures[:2])(pictures)
    with torch.device("meta"):
        planned = efficientnet.features("b0")(torch.zeros(1, 3, 64, 64))
    sizes = [list(level.shape) for level in planned]
    return [logits.detach(), *slopes, tested, graph, sizes]


def excite_2(x, reduce, activation, expand):
    """Over flat pictures; the sigmoid written out."""
    mean = F.adaptive_avg_pool2d(x, 1)
    logit = expand(activation(reduce(mean)))
    gate = 1 / (1 + torch.exp(-logit))
    return torch.einsum("bchw,bc->bchw", x, gate.flatten(1))


def _excite_with(name, rule):
    """A gate computed otherwise: rule(x, mean, reduce, activation, expand)."""

    def excite(x, reduce, activation, expand):
        return rule(x, x.mean((2, 3), keepdim=True), reduce, activation, expand)

    excite.__name__ = name
    return excite


excite_sum = _excite_with(
    "excite_sum",
    lambda x, m, r, a, e: x * e(a(r(x.sum((2, 3), keepdim=True)))).sigmoid(),
)
excite_maximum = _excite_with(
    "excite_maximum",
    lambda x, m, r, a, e: x * e(a(r(x.amax((2, 3), keepdim=True)))).sigmoid(),
)
excite_linear = _excite_with(
    "excite_linear", lambda x, m, r, a, e: x * e(r(m)).sigmoid()
)
excite_always_silu = _excite_with(
    "excite_always_silu", lambda x, m, r, a, e: x * e(F.silu(r(m))).sigmoid()
)
excite_always_relu = _excite_with(
    "excite_always_relu", lambda x, m, r, a, e: x * e(F.relu(r(m))).sigmoid()
)
excite_no_sigmoid = _excite_with(
    "excite_no_sigmoid", lambda x, m, r, a, e: x * e(a(r(m)))
)
excite_softmax = _excite_with(
    "excite_softmax", lambda x, m, r, a, e: x * e(a(r(m))).softmax(1)
)
excite_activation_last = _excite_with(
    "excite_activation_last", lambda x, m, r, a, e: x * a(e(a(r(m))))
)
excite_activation_late = _excite_with(
    "excite_activation_late", lambda x, m, r, a, e: x * a(e(r(m))).sigmoid()
)
excite_activation_first = _excite_with(
    "excite_activation_first", lambda x, m, r, a, e: x * e(r(a(m))).sigmoid()
)
excite_sigmoid_inside = _excite_with(
    "excite_sigmoid_inside", lambda x, m, r, a, e: x * e(r(m).sigmoid())
)
excite_gate_alone = _excite_with(
    "excite_gate_alone", lambda x, m, r, a, e: e(a(r(m))).sigmoid()
)
excite_added = _excite_with(
    "excite_added", lambda x, m, r, a, e: x + e(a(r(m))).sigmoid()
)
excite_and_shortcut = _excite_with(
    "excite_and_shortcut", lambda x, m, r, a, e: x + x * e(a(r(m))).sigmoid()
)
excite_closed = _excite_with(
    "excite_closed", lambda x, m, r, a, e: x * (1 - e(a(r(m))).sigmoid())
)
excite_every_pixel = _excite_with(
    "excite_every_pixel", lambda x, m, r, a, e: x * e(a(r(x))).sigmoid()
)
excite_batch = _excite_with(
    "excite_batch",
    lambda x, m, r, a, e: x * e(a(r(m.mean(0, keepdim=True)))).sigmoid(),
)
excite_rows = _excite_with(
    "excite_rows",
    lambda x, m, r, a, e: x * e(a(r(x.mean(2, keepdim=True)))).sigmoid(),
)
excite_mean_weighed = _excite_with(
    "excite_mean_weighed", lambda x, m, r, a, e: m * e(a(r(m))).sigmoid()
)
excite_detached = _excite_with(
    "excite_detached", lambda x, m, r, a, e: x * e(a(r(m.detach()))).sigmoid()
)
excite_expand_first = _excite_with(
    "excite_expand_first", lambda x, m, r, a, e: x * r(a(e(m))).sigmoid()
)
excite_flat_mean = _excite_with(
    "excite_flat_mean", lambda x, m, r, a, e: x * e(a(r(m.flatten(1)))).sigmoid()
)


def gate_layers(reduce, expand):
    """The two 1x1 convolutions of numbers: (weight, bias) each."""
    return [Pixelwise(*map(torch.tensor, pair)) for pair in (reduce, expand)]


def gate_by_hand(x, reduce, activation, expand, out):
    first, last = gate_layers(reduce, expand)
    return (torch.tensor(x), first, activation, last), torch.tensor(out)


def excite_case(rng, size):
    """Maps of one pixel or many, of any magnitude; the gates are neither 0 nor 1."""
    channels, hidden = rng.randint(2, 3 + 2 * size), rng.randint(1, 1 + size)
    sides = rng.choice(((1, 2), (size + 1, size), (size, 3 * size)))
    high = rng.choice((1.0, 1.0, 10.0, 1000.0))
    x = tensor(rng, rng.randint(1, 3), channels, *sides, low=-high / 2, high=high)
    shares = tensor(rng, hidden, channels, low=-2, high=2) / high
    reduce = Pixelwise(shares, tensor(rng, hidden))
    expand = Pixelwise(tensor(rng, channels, hidden, low=-2, high=2),
                       tensor(rng, channels))  # fmt: skip
    kinds = nn.SiLU, nn.SiLU, nn.ReLU, nn.ReLU6, nn.Tanh
    return x, reduce, rng.choice(kinds)(), expand


def no_channel_grows(mine, x, *layers):
    return bool((mine(x, *layers).abs() <= x.abs()).all())


# --- 10.2 build: channels and blocks of a scaled stage


def published_networks() -> list:
    """Rows and ends of all published networks, one built, the rule's detectors."""
    sizes = []
    for config in efficientnet.CONFIGS.values():
        sizes += [*config.ends(), *(list(row) for row in config.rows())]
    fine = efficientnet.Config(width=0.31, depth=1.26, divisor=2)  # of a tiny network
    sizes += [*fine.ends(), *(list(row) for row in fine.rows())]
    sizes += [efficientdet.from_phi(phi).width for phi in range(8)]
    sizes += [efficientnet.scaled_filters(n, 1.1) for n in (18, 3)]
    sizes += [efficientnet.scaled_filters(52, 1.0)]  # half way
    with torch.device("meta"):
        b1 = efficientnet.efficientnet("b1")
    return [*sizes, profiling.parameters(b1)]


def stage_2(filters, repeats, width, depth, divisor=8):
    """The nearest of all multiples that keep 90 %; of two as near, the larger."""
    wanted = filters * width
    multiples = range(divisor, int(wanted) + 2 * divisor, divisor)
    allowed = [c for c in multiples if c >= 0.9 * wanted]
    channels = min(allowed, key=lambda c: (abs(c - wanted), -c))
    blocks = int(repeats * depth)
    return channels, blocks + (blocks < repeats * depth)


def _blocks(repeats, depth):
    return math.ceil(repeats * depth)


def stage_nearest(filters, repeats, width, depth, divisor=8):
    channels = int(filters * width + divisor / 2) // divisor * divisor
    return max(divisor, channels), _blocks(repeats, depth)


def stage_nearest_or_none(filters, repeats, width, depth, divisor=8):
    channels = int(filters * width + divisor / 2) // divisor * divisor
    return channels, _blocks(repeats, depth)


def stage_upwards(filters, repeats, width, depth, divisor=8):
    channels = math.ceil(filters * width / divisor) * divisor
    return channels, _blocks(repeats, depth)


def stage_downwards(filters, repeats, width, depth, divisor=8):
    channels = max(divisor, int(filters * width) // divisor * divisor)
    return channels, _blocks(repeats, depth)


def stage_ties_to_even(filters, repeats, width, depth, divisor=8):
    wanted = filters * width
    channels = round(wanted / divisor) * divisor
    if channels < 0.9 * wanted:
        channels += divisor
    return channels, _blocks(repeats, depth)


def stage_not_rounded(filters, repeats, width, depth, divisor=8):
    return round(filters * width), _blocks(repeats, depth)


def stage_of_the_old_channels(filters, repeats, width, depth, divisor=8):
    channels = int(filters * width + divisor / 2) // divisor * divisor
    if channels < 0.9 * filters:
        channels += divisor
    return channels, _blocks(repeats, depth)


def stage_loses_a_tenth(filters, repeats, width, depth, divisor=8):
    wanted = filters * width
    channels = int(wanted + divisor / 2) // divisor * divisor
    if channels <= 0.9 * wanted:
        channels += divisor
    return channels, _blocks(repeats, depth)


def stage_always_eight(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, width, depth)


def stage_eight_more(filters, repeats, width, depth, divisor=8):
    wanted = filters * width
    channels = int(wanted + divisor / 2) // divisor * divisor
    if channels < 0.9 * wanted:
        channels += 8
    return channels, _blocks(repeats, depth)


def stage_nearest_blocks(filters, repeats, width, depth, divisor=8):
    channels, _ = efficientnet.scaled_stage(filters, repeats, width, depth, divisor)
    return channels, max(1, int(repeats * depth + 0.5))


def stage_fewer_blocks(filters, repeats, width, depth, divisor=8):
    channels, _ = efficientnet.scaled_stage(filters, repeats, width, depth, divisor)
    return channels, int(repeats * depth)


def stage_a_block_more(filters, repeats, width, depth, divisor=8):
    channels, _ = efficientnet.scaled_stage(filters, repeats, width, depth, divisor)
    return channels, int(repeats * depth) + 1


def stage_same_blocks(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, width, 1, divisor)


def stage_scales_swapped(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, depth, width, divisor)


def stage_width_squared(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, width**2, depth, divisor)


def stage_blocks_first(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, width, depth, divisor)[::-1]


def stage_channels_alone(filters, repeats, width, depth, divisor=8):
    return efficientnet.scaled_stage(filters, repeats, width, depth, divisor)[0]


def stages_to_scale(rng, size):
    """A stage of any network: published ones, tiny ones, very wide or deep ones."""
    kind = rng.randrange(4)
    filters = rng.choice((16, 24, 40, 80, 112, 192, 320, 18, 20, 52))
    repeats = rng.randint(1, 2 + size)
    if kind == 0:  # a row of the table
        width, depth = rng.choice(((1.0, 1.1), (1.2, 1.4), (1.4, 1.8), (2.0, 3.1)))
        return filters, repeats, width, depth
    if kind == 1:  # narrow: few channels, a finer grain
        divisor = rng.choice((2, 3, 4, 18))
        return rng.randint(1, 20), repeats, rng.uniform(0.3, 1.5), 1.0, divisor
    if kind == 2:  # very wide and very deep
        return 1280 + size, repeats, rng.uniform(2, 40), rng.uniform(2, 40)
    return filters, repeats, rng.uniform(0.2, 1.2), rng.uniform(0.2, 1.2)


# --- 10.3 predict


def stem_channels() -> int:
    """Channels after the stem of B5."""
    return efficientnet.CONFIGS["b5"].ends()[0]


def stem_to_the_nearest() -> int:
    return round(32 * 1.6)


def stem_upwards() -> int:
    return math.ceil(32 * 1.6 / 8) * 8


def stem_of_b0() -> int:
    return efficientnet.CONFIGS["b0"].ends()[0]


# --- 10.4 measure


@functools.cache
def cost(name: str, size: int) -> int:
    """Multiply-adds of one square picture."""
    with torch.device("meta"):
        model = efficientnet.efficientnet(name)
        return profiling.macs(model, torch.zeros(1, 3, size, size))


def price_of_b7() -> float:
    """How many pictures B0 judges at the price of one of B7, each at its own size."""
    return cost("b7", 600) / cost("b0", 224)


def price_by_formula() -> float:
    return 2.0**7


def price_at_one_size() -> float:
    return cost("b7", 224) / cost("b0", 224)


def price_in_parameters() -> float:
    return 66347960 / 5288548


def price_by_the_rule() -> float:
    return efficientnet.relative_cost(1.2**7, 1.1**7, 1.15**7)


def price_of_b0() -> float:
    return cost("b0", 224) / cost("b7", 600)


def price_in_billions() -> float:
    return cost("b7", 600) / 1e9


def price_of_pixels() -> float:
    return (600 / 224) ** 2


# --- 10.5 build


def side_for(side, depth, width, limit):
    """The largest affordable multiple of 8, found upwards."""
    found = 8
    while depth * width**2 * ((found + 8) / side) ** 2 <= limit:
        found += 8
    return found


def side_for_2(side, depth, width, limit):
    """Solved for the side, then cut to a multiple of 8."""
    wanted = side * math.sqrt(limit / depth) / width
    return max(8, math.floor(wanted / 8) * 8)


def side_without_eight(side, depth, width, limit):
    return math.floor(side * math.sqrt(limit / depth) / width / 8) * 8


def side_never_smaller(side, depth, width, limit):
    return max(side, math.floor(side * math.sqrt(limit / depth) / width / 8) * 8)


def side_of_any_size(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit / depth) / width))


def side_not_rounded(side, depth, width, limit):
    return max(8.0, side * math.sqrt(limit / depth) / width)


def side_of_any_size_below_eight(side, depth, width, limit):
    return int(side * math.sqrt(limit / depth) / width)


def side_never_larger(side, depth, width, limit):
    new = side // 8 * 8
    while new > 8 and depth * width**2 * (new / side) ** 2 > limit:
        new -= 8
    return max(8, new)


def side_upwards(side, depth, width, limit):
    return max(8, math.ceil(side * math.sqrt(limit / depth) / width / 8) * 8)


def side_one_step_too_far(side, depth, width, limit):
    new = 8
    while depth * width**2 * (new / side) ** 2 <= limit:
        new += 8
    return new


def side_in_steps_of_32(side, depth, width, limit):
    return max(32, math.floor(side * math.sqrt(limit / depth) / width / 32) * 32)


def side_linear_width(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit / depth / width) / 8) * 8)


def side_square_depth(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit) / depth / width / 8) * 8)


def side_without_root(side, depth, width, limit):
    return max(8, math.floor(side * limit / depth / width**2 / 8) * 8)


def side_rounded(side, depth, width, limit):
    return max(8, round(side * math.sqrt(limit / depth) / width / 8) * 8)


def side_without_depth(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit) / width / 8) * 8)


def side_without_width(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit / depth) / 8) * 8)


def side_of_the_limit_alone(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit) / 8) * 8)


def side_larger_for_deeper(side, depth, width, limit):
    return max(8, math.floor(side * math.sqrt(limit * depth) * width / 8) * 8)


def side_from_zero(side, depth, width, limit):
    return max(8, math.floor(math.sqrt(limit / depth) / width / 8) * 8)


# --- 10.6 build


def two_means(x, reduce, expand):
    """Gates from the mean and from the maximum, through the same two matrices."""
    total = 0
    for seen in (x.mean((2, 3)), x.amax((2, 3))):
        total = total + torch.relu(seen @ reduce.T) @ expand.T
    return x * torch.sigmoid(total)[:, :, None, None]


def two_means_2(x, reduce, expand):
    """The same over flat pictures, the two stacked."""
    flat = x.flatten(2)
    seen = torch.stack((flat.mean(2), flat.max(2).values))
    logits = torch.einsum("ch,sbh->bc", expand, (seen @ reduce.mT).clamp(min=0))
    return torch.einsum("bcp,bc->bcp", flat, logits.sigmoid()).reshape(x.shape)


def gate_squash_each(x, reduce, expand):
    gates = [torch.relu(s @ reduce.T) @ expand.T for s in _both(x)]
    gate = torch.sigmoid(gates[0]) + torch.sigmoid(gates[1])
    return x * gate[:, :, None, None]


def gate_mean_of_two(x, reduce, expand):
    gates = [torch.sigmoid(torch.relu(s @ reduce.T) @ expand.T) for s in _both(x)]
    return x * ((gates[0] + gates[1]) / 2)[:, :, None, None]


def gate_twice(x, reduce, expand):
    gates = [torch.sigmoid(torch.relu(s @ reduce.T) @ expand.T) for s in _both(x)]
    return x * (gates[0] * gates[1])[:, :, None, None]


def gate_mean_of_logits(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x)) / 2
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_one_relu(x, reduce, expand):
    mean, most = _both(x)
    gate = torch.sigmoid(torch.relu((mean + most) @ reduce.T) @ expand.T)
    return x * gate[:, :, None, None]


def gate_mean_only(x, reduce, expand):
    gate = torch.sigmoid(torch.relu(_both(x)[0] @ reduce.T) @ expand.T)
    return x * gate[:, :, None, None]


def gate_maximum_only(x, reduce, expand):
    gate = torch.sigmoid(torch.relu(_both(x)[1] @ reduce.T) @ expand.T)
    return x * gate[:, :, None, None]


def gate_sum_for_mean(x, reduce, expand):
    seen = x.sum((2, 3)), x.amax((2, 3))
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in seen)
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_smallest(x, reduce, expand):
    seen = x.mean((2, 3)), x.amin((2, 3))
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in seen)
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_of_the_batch(x, reduce, expand):
    seen = x.mean((0, 2, 3)), x.amax((0, 2, 3))
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in seen)
    return x * torch.sigmoid(logits)[None, :, None, None]


def gate_of_the_pixels(x, reduce, expand):
    return x * torch.sigmoid(x.mean(1, keepdim=True) + x.amax(1, keepdim=True))


def gate_without_matrices(x, reduce, expand):
    mean, most = _both(x)
    return x * torch.sigmoid(mean + most)[:, :, None, None]


def gate_by_silu(x, reduce, expand):
    silu = torch.nn.functional.silu
    logits = sum(silu(s @ reduce.T) @ expand.T for s in _both(x))
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_relu_first(x, reduce, expand):
    logits = sum(torch.relu(s) @ reduce.T @ expand.T for s in _both(x))
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_largest_size(x, reduce, expand):
    seen = x.mean((2, 3)), x.abs().amax((2, 3))
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in seen)
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_without_squashing(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return x * logits[:, :, None, None]


def gate_softmax(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return x * torch.softmax(logits, 1)[:, :, None, None]


def gate_relu_at_the_end(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T @ expand.T) for s in _both(x))
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_relu_of_the_sum(x, reduce, expand):
    logits = torch.relu(sum(s @ reduce.T @ expand.T for s in _both(x)))
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_two_relus(x, reduce, expand):
    hidden = [torch.relu(s @ reduce.T) @ expand.T for s in _both(x)]
    logits = torch.relu(hidden[0]) + torch.relu(hidden[1])
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_sigmoid_inside(x, reduce, expand):
    logits = sum(torch.sigmoid(s @ reduce.T) @ expand.T for s in _both(x))
    return x * torch.sigmoid(logits)[:, :, None, None]


def gate_alone(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return torch.sigmoid(logits)[:, :, None, None].expand_as(x)


def gate_small_alone(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return torch.sigmoid(logits)


def gate_with_axes(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return torch.sigmoid(logits)[:, :, None, None]


def gate_and_shortcut(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return x + x * torch.sigmoid(logits)[:, :, None, None]


def gate_added(x, reduce, expand):
    logits = sum(torch.relu(s @ reduce.T) @ expand.T for s in _both(x))
    return x + torch.sigmoid(logits)[:, :, None, None]


def gate_linear(x, reduce, expand):
    logits = sum(s @ reduce.T @ expand.T for s in _both(x))
    return x * torch.sigmoid(logits)[:, :, None, None]


def _both(x):
    return x.mean((2, 3)), x.amax((2, 3))


def _gate_cases(rng, size):
    channels, hidden = rng.randint(2, 3 + size), rng.randint(1, 3)
    return (
        tensor(
            rng,
            rng.randint(1, 3),
            channels,
            rng.randint(1, 2 + size),
            rng.randint(2, 2 + size),
            high=rng.choice((1, 9)),
        ),
        tensor(rng, hidden, channels, low=-2, high=2),
        tensor(rng, channels, hidden, low=-2, high=2),
    )


def _affordable(mine, side, depth, width, limit):
    now = mine(side, depth, width, limit)
    price = [efficientnet.relative_cost(depth, width, n / side) for n in (now, now + 8)]
    return price[0] <= limit < price[1]


EXERCISES = (
    Exercise(
        name="squeeze_excite", number="10.1", kind="build", minutes=12, difficulty=2,
        points=3,
        task="`x` (B, C, H, W) times a gate for each channel: the mean over the pixels"
             " goes through `reduce`, `activation` and `expand`, then through a sigmoid"
             " (Eq. 10.3).",
        place="detection.efficientnet.squeeze_excite", importance=2,
        machine="the gates of B0, and of a small network that is trained",
        machine_case=gated_networks, milestone_calls=4817,
        unchanged={"excite_always_silu": "its networks have SiLU in all gates"},
        reference=efficientnet.squeeze_excite, alternative=excite_2,
        wrong=(
            Wrong(excite_sum, "you add the pixels up; the mean is asked, or a larger"
                  " picture would have other gates"),
            Wrong(excite_maximum, "you took the largest pixel; the mean over all pixels"
                  " is asked"),
            Wrong(excite_linear, "the activation between the two layers is missing:"
                  " without it two layers are one"),
            Wrong(excite_always_silu, "SiLU is not always the activation: call the one"
                  " that is given"),
            Wrong(excite_always_relu, "ReLU is not always the activation: call the one"
                  " that is given"),
            Wrong(excite_no_sigmoid, "the sigmoid is missing: a gate lies between 0 and"
                  " 1"),
            Wrong(excite_softmax, "a softmax makes the channels share one whole; each"
                  " gate is a sigmoid of its own"),
            Wrong(excite_activation_last, "behind `expand` comes a sigmoid; the"
                  " activation stands between the two layers only"),
            Wrong(excite_activation_late, "the activation stands between the two"
                  " layers, not behind both"),
            Wrong(excite_activation_first, "the activation stands between the two"
                  " layers, not in front of them"),
            Wrong(excite_sigmoid_inside, "the sigmoid comes last, behind `expand`;"
                  " between the two layers stands the activation"),
            Wrong(excite_gate_alone, "you return the gates; they are there to multiply"
                  " x"),
            Wrong(excite_added, "you add the gate to x; it multiplies x"),
            Wrong(excite_and_shortcut, "you add x once more; the block has a shortcut,"
                  " but the gate has none"),
            Wrong(excite_closed, "your gates are turned round: 1 lets a channel pass, 0"
                  " closes it"),
            Wrong(excite_every_pixel, "every pixel has a gate of its own here: take the"
                  " mean over all pixels first"),
            Wrong(excite_batch, "you take the mean over the batch too; each picture has"
                  " gates of its own"),
            Wrong(excite_rows, "you take the mean over one side only; both sides, axes"
                  " 2 and 3, are asked"),
            Wrong(excite_mean_weighed, "the gate weighs x, all its pixels, not its"
                  " mean"),
            Wrong(excite_detached, "right numbers, but the mean is cut off from its"
                  " gradient: leave out detach() and no_grad()"),
            Wrong(excite_expand_first, "`reduce` comes first, from C channels to few;"
                  " `expand` leads back"),
            Wrong(excite_flat_mean, "a 1x1 convolution wants four sides, (B, C, 1, 1):"
                  " keep them, x.mean((2, 3), keepdim=True)"),
        ),
        hints=(
            "x.mean((2, 3), keepdim=True) is (B, C, 1, 1): a picture of one pixel, and"
            " a 1x1 convolution takes it.",
            "Call the layers one after the other: reduce, activation, expand.",
            "torch.sigmoid of that is the gate; x * gate has the shape of x.",
        ),
        cases=excite_case,
        by_hand=(
            # mean 4, hidden 4 - 3, logit ln 3: the gate is 3 / 4
            gate_by_hand([[[[0.0, 4], [4, 8]]]], ([[1.0]], [-3.0]), nn.ReLU(),
                         ([[math.log(3)]], [0.0]), [[[[0.0, 3], [3, 6]]]]),
            # all is negative: the ReLU gives 0, the bias ln 4 a gate of 4 / 5
            gate_by_hand([[[[-5.0, -10]]]], ([[1.0]], [0.0]), nn.ReLU(),
                         ([[9.0]], [math.log(4)]), [[[[-4.0, -8]]]]),
            # Two pictures of two channels: hidden 1 + 2 and 3 - 3; logits 3 w and 0.
            gate_by_hand([[[[0.0, 2]], [[2.0, 2]]], [[[3.0, 3]], [[-6.0, 0]]]],
                         ([[1.0, 1]], [0.0]), nn.ReLU(),
                         ([[math.log(2) / 3], [-math.log(2) / 3]], [0.0, 0]),
                         [[[[0.0, 4 / 3]], [[2 / 3, 2 / 3]]],
                          [[[1.5, 1.5]], [[-3.0, 0]]]]),
            # ReLU6 ends at 6, half of the hidden 12: 6 times ln 3 / 6
            gate_by_hand([[[[8.0], [16]]]], ([[1.0]], [0.0]), nn.ReLU6(),
                         ([[math.log(3) / 6]], [0.0]), [[[[6.0], [12]]]]),
        ),
        properties=(Property("no channel grows", no_channel_grows),),
        gradient=(0,),
        tolerance=1e-4,
    ),
    Exercise(
        name="scaled_stage", number="10.2", kind="build", minutes=12, difficulty=2,
        points=3,
        task="Channels and blocks of a stage made `width` times as wide and `depth`"
             " times as deep: the nearest multiple of `divisor`, one more where that"
             " is below 90 % of filters * width; repeats * depth, rounded up. A pair of"
             " whole numbers.",
        place="detection.efficientnet.scaled_stage", required=True, importance=2,
        machine="the rows of B0 to B7, and the widths of the detectors",
        machine_case=published_networks, milestone_calls=11,
        unchanged={"stage_loses_a_tenth": "no published row keeps exactly 90 %"},
        reference=efficientnet.scaled_stage, alternative=stage_2,
        wrong=(
            *(Wrong(f, "the nearest multiple may be too small: where it is below 90 %"
                    " of filters * width, take the next one")
              for f in (stage_nearest, stage_nearest_or_none)),
            Wrong(stage_upwards, "you always round up; the nearest multiple is asked,"
                  " the next one only if less than 90 % would be left"),
            Wrong(stage_downwards, "you always round down; the nearest multiple is"
                  " asked"),
            Wrong(stage_ties_to_even, "half way between two multiples goes up; Python's"
                  " round takes the even one: add half a divisor and use //"),
            Wrong(stage_not_rounded, "channels come in multiples of `divisor`"),
            Wrong(stage_of_the_old_channels, "the 90 % are of filters * width, what was"
                  " wanted, not of the old channels"),
            Wrong(stage_loses_a_tenth, "exactly 90 % is enough; the next multiple comes"
                  " *below* 90 % only"),
            Wrong(stage_always_eight, "multiples of `divisor` are asked; it is 8 only"
                  " where nothing is said"),
            Wrong(stage_eight_more, "the next multiple is `divisor` further, not always"
                  " 8"),
            Wrong(stage_nearest_blocks, "blocks are rounded up, not to the nearest"),
            Wrong(stage_fewer_blocks, "blocks are rounded up, so that a stage never"
                  " loses one; you cut the fraction off"),
            Wrong(stage_a_block_more, "a whole number of blocks stays as it is; you"
                  " add one always"),
            Wrong(stage_same_blocks, "the blocks are scaled too: repeats * depth,"
                  " rounded up"),
            Wrong(stage_scales_swapped, "width scales the channels and depth the"
                  " blocks; yours are the other way round"),
            Wrong(stage_width_squared, "channels grow with the width itself; it is the"
                  " price that grows with its square"),
            Wrong(stage_blocks_first, "channels come first, then blocks"),
            Wrong(stage_channels_alone, "these are the channels; a pair is asked,"
                  " channels and blocks"),
        ),
        hints=(
            "wanted = filters * width. How many whole divisors are in wanted +"
            " divisor / 2?",
            "That many times `divisor` is the nearest multiple. If it is below 0.9 *"
            " wanted, add `divisor`.",
            "math.ceil(repeats * depth) blocks; return channels, blocks.",
        ),
        cases=stages_to_scale,
        by_hand=(
            ((32, 2, 1.2, 1.1), (40, 3)),  # 38.4, and 2.2
            ((18, 1, 1.1, 1.0), (24, 1)),  # 19.8: 16 is 81 % of it
            ((16, 3, 1.1, 2.0), (16, 6)),  # 17.6: 16 is 91 % of it; 6 stays 6
            ((52, 4, 1.0, 0.5), (56, 2)),  # half way between 48 and 56
            ((20, 1, 1, 1, 18), (18, 1)),  # exactly 90 %
            ((3, 1, 1.0, 1.0), (8, 1)),  # 0 would be nearest
            ((12, 1, 1.25, 1.4, 2), (16, 2)),  # 15 lies half way; 1.4
            ((40, 2, 0.6, 1.0), (24, 2)),  # narrower: exactly 24
            ((1280, 4, 2.0, 3.1), (2560, 13)),  # head and a stage of B7: 12.4
            ((100, 1, 1.0, 1.0, 32), (96, 1)),
            ((48, 1, 1.0, 1.0, 32), (64, 1)),  # half way: up
        ),
        properties=(
            Property(
                "nothing changes where width and depth are 1 and the channels fit",
                lambda mine, *args: list(mine(8 * args[0], args[1], 1, 1))
                == [8 * args[0], args[1]],
            ),
        ),
    ),
    Exercise(
        name="stem_channels", number="10.3", kind="predict", minutes=4, difficulty=1,
        points=1,
        task="Channels after the stem of B5.",
        reference=stem_channels,
        wrong=(
            Wrong(stem_to_the_nearest, "32 * 1.6, but channels come in multiples of 8"),
            Wrong(stem_upwards, "you always round up; Eq. 10.6 takes the nearest, and"
                  " goes up only if less than 90 % would be left"),
            Wrong(stem_of_b0, "that is B0's; B5 is 1.6 times as wide, its stem too"),
            Wrong(51.2, "32 * 1.6, but channels come in multiples of 8"),
            Wrong(52, "32 * 1.6 rounded up, but channels come in multiples of 8"),
            Wrong(40, "a step too low: 51.2 lies between 48 and 56"),
            Wrong(64, "51.2 lies between 48 and 56; 64 would be twice as wide as B0"),
            Wrong(50, "channels come in multiples of 8, not of 10"),
        ),
        hints=(
            "B0's stem has 32 channels, and B5's width is 1.6.",
            "51.2 lies between 48 and 56. Which is nearer, and is it at least 90 %?",
        ),
    ),
    Exercise(
        name="price_of_b7", number="10.4", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="Multiply-adds of B7 over those of B0, each at its own picture size.",
        reference=price_of_b7,
        wrong=(
            Wrong(price_by_formula, "that is 2 to the 7, which the rule promises; count"
                  " the networks of the table"),
            Wrong(price_at_one_size, "both at one size: but B0 looks at pictures of 224"
                  " pixels, B7 at pictures of 600"),
            Wrong(price_in_parameters, "these are parameters; a filter is used at every"
                  " pixel, so pixels count too"),
            Wrong(price_by_the_rule, "that is what the rule says for phi = 7, 1.92 to"
                  " the 7; the networks of the table were rounded, so count them"),
            Wrong(price_of_b0, "the other way round: B7 is the dearer one"),
            Wrong(price_in_billions, "these are the billions of B7; divide by those of"
                  " B0"),
            Wrong(price_of_pixels, "these are the pixels alone; B7 is also deeper and"
                  " wider"),
            Wrong(94.9, "that is 37 by 0.39, the rounded numbers of the paper's table;"
                  " count the networks"),
        ),
        hints=(
            "efficientnet.CONFIGS[name].image_size is the size; build on `meta`.",
            "profiling.macs(model, torch.zeros(1, 3, size, size)) for both, divided.",
        ),
        tolerance=0.01,
    ),
    Exercise(
        name="side_for", number="10.5", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Write `side_for(side, depth, width, limit)`. A network for pictures of"
             " `side` pixels is made `depth` times as deep and `width` times as wide,"
             " and may cost at most `limit` times as much. Return the new side, a whole"
             " number: the largest multiple of 8 that the limit allows, and at least 8,"
             " even where that is dearer.",
        reference=side_for, alternative=side_for_2,
        wrong=(
            Wrong(side_without_eight, "where the limit allows not even 8 pixels, 8 is"
                  " asked, not 0"),
            Wrong(side_never_smaller, "the side may have to shrink: a deeper and wider"
                  " network can be dearer than the limit at the old side"),
            *(Wrong(f, "a multiple of 8 is asked: go down to the next one")
              for f in (side_of_any_size, side_not_rounded,
                        side_of_any_size_below_eight)),
            Wrong(side_never_larger, "the limit may allow a larger side than the old"
                  " one: begin higher"),
            *(Wrong(f, "you go up to a multiple of 8, and break the limit; go down")
              for f in (side_upwards, side_one_step_too_far)),
            Wrong(side_in_steps_of_32, "multiples of 8 are allowed, not of 32 alone"),
            Wrong(side_linear_width, "a width of 2 makes a convolution four times as"
                  " dear: there are twice as many channels in and out"),
            Wrong(side_without_root, "twice the side is four times the pixels: the"
                  " price grows with the square of the side"),
            Wrong(side_rounded, "you take the nearest multiple of 8; where that is the"
                  " one above, the limit is broken"),
            Wrong(side_without_depth, "the network is deeper, too, and that has"
                  " already used some of the limit"),
            Wrong(side_square_depth, "the price grows with the depth itself; only width"
                  " and side count with their squares"),
            Wrong(side_without_width, "the network is wider, too, and that has already"
                  " used some of the limit"),
            Wrong(side_of_the_limit_alone, "depth and width have already used some of"
                  " the limit"),
            Wrong(side_larger_for_deeper, "a deeper or wider network leaves less for"
                  " the side: divide where you multiply"),
            Wrong(side_from_zero, "that is the factor; times the old side it is the new"
                  " one"),
        ),
        hints=(
            "Eq. 10.4, with the resolution new side / old side.",
            "Which side would cost exactly `limit`? Then go down to a multiple of 8.",
            "Or try 8, 16, 24, ... until the next one is too dear.",
        ),
        cases=lambda rng, size: (
            rng.choice((64, 128, 224, 512)), rng.uniform(1, 2), rng.uniform(1, 1.5),
            rng.choice((rng.uniform(1, 2 + size), rng.uniform(0.01, 1), 100.0)),
        ),
        by_hand=(
            ((100, 1, 1, 4), 200),  # a side that is no multiple of 8
            ((224, 1.0, 1.0, 4.0), 448),
            ((224, 4.0, 1.0, 4.0), 224),
            ((224, 1.0, 2.0, 4.0), 224),
            ((64, 1.0, 1.0, 2.0), 88),  # 64 * 1.414 = 90.5
            ((64, 4.0, 1.0, 1.0), 32),
            ((64, 2.0, 1.5, 0.01), 8),  # 64 * 0.0707 / 1.5 = 3.02: not even 8
            ((224, 1.5, 1.25, 3.0), 248),  # 224 * 1.414 / 1.25 = 253.4
            # B7 from B0: 224 * sqrt(98 / 3.1) / 2 = 629.7; the table has 600
            ((224, 3.1, 2.0, 98.0), 624),
        ),
        properties=(
            Property(
                "it is affordable, and eight pixels more are not",
                lambda mine, *args: args[3] < 1 or _affordable(mine, *args),
            ),
        ),
    ),
    Exercise(
        name="two_means", number="10.6", kind="build", minutes=20, difficulty=3,
        points=3,
        task="Write `two_means(x, reduce, expand)`: gates from the mean and from the"
             " maximum over all pixels of each channel of `x` (B, C, H, W). Both go"
             " through the same matrices, `reduce` (h, C), ReLU, `expand` (C, h); the"
             " two results are added, then comes the sigmoid. Return x times its gates,"
             " (B, C, H, W).",
        reference=two_means, alternative=two_means_2,
        wrong=(
            Wrong(gate_squash_each, "you squash before you add: your gates reach 2;"
                  " add first, then take the sigmoid"),
            Wrong(gate_mean_of_two, "you squash before you add; add the two results"
                  " first, then take one sigmoid"),
            Wrong(gate_twice, "you gate x twice, once with each; add the two results"
                  " first, then take one sigmoid"),
            Wrong(gate_mean_of_logits, "the two results are added, not averaged"),
            Wrong(gate_one_relu, "mean and maximum each go through both matrices; you"
                  " add them before the ReLU, and that is not the same"),
            Wrong(gate_mean_only, "this is squeeze-excite as it was; the maximum is"
                  " missing"),
            Wrong(gate_maximum_only, "that is the maximum alone; the mean is missing"),
            Wrong(gate_sum_for_mean, "you took the sum over the pixels; the mean is"
                  " asked"),
            Wrong(gate_largest_size, "you took the largest without its sign; the"
                  " maximum of negative pixels is negative"),
            *(Wrong(f, "you return the gates; they are there to weigh x")
              for f in (gate_alone, gate_small_alone, gate_with_axes)),
            *(Wrong(f, "you add x; a gate multiplies it, and nothing is added")
              for f in (gate_and_shortcut, gate_added)),
            Wrong(gate_linear, "without a ReLU between them, two matrices are one"),
            Wrong(gate_smallest, "you took the smallest pixel; the maximum is asked"),
            Wrong(gate_of_the_batch, "you took mean and maximum over the batch too;"
                  " each picture has gates of its own"),
            Wrong(gate_of_the_pixels, "you took mean and maximum over the channels;"
                  " they are asked over the pixels, axes 2 and 3, for each channel"),
            Wrong(gate_without_matrices, "mean and maximum have to go through the two"
                  " matrices"),
            Wrong(gate_by_silu, "between the two matrices stands a ReLU here, not the"
                  " SiLU of the chapter's own gate"),
            Wrong(gate_relu_first, "the ReLU stands between the two matrices, not in"
                  " front of them"),
            *(Wrong(f, "the ReLU stands between the two matrices, not behind them")
              for f in (gate_relu_at_the_end, gate_relu_of_the_sum)),
            Wrong(gate_two_relus, "one ReLU, between the two matrices; behind them the"
                  " results may be negative"),
            Wrong(gate_sigmoid_inside, "a ReLU stands between the two matrices; the"
                  " sigmoid comes at the end only"),
            Wrong(gate_without_squashing, "the sigmoid is missing: a gate lies between"
                  " 0 and 1"),
            Wrong(gate_softmax, "a softmax makes the channels compete; each gate is a"
                  " sigmoid of its own"),
        ),
        hints=(
            "x.mean((2, 3)) and x.amax((2, 3)) have shape (B, C); `reduce` is"
            " (hidden, C) and `expand` is (C, hidden).",
            "For both: multiply by reduce.T, ReLU, multiply by expand.T.",
            "Add the two, take the sigmoid, give it two axes: gate[:, :, None, None].",
        ),
        cases=_gate_cases,
        by_hand=(
            # mean 1, maximum 2: relu(1) + relu(2) = 3, times ln 3 / 3: gate 3 / 4
            ((torch.tensor([[[[0.0, 1], [1, 2]]]]), torch.ones(1, 1),
              torch.full((1, 1), math.log(3) / 3)),
             torch.tensor([[[[0.0, 0.75], [0.75, 1.5]]]])),
            # all is negative: the ReLU gives 0 twice, the gate is 1 / 2
            ((torch.full((1, 1, 2, 2), -4.0), torch.ones(1, 1), torch.ones(1, 1)),
             torch.full((1, 1, 2, 2), -2.0)),
            # two channels, one row: means 0 and 2, maxima 1 and 3. The hidden unit adds
            # the channels: 2 and 4, so 6, times ln 2 / 6 and minus that: 2 / 3, 1 / 3
            ((torch.tensor([[[[-1.0, 1, 0]], [[1.0, 2, 3]]]]), torch.ones(1, 2),
              torch.tensor([[math.log(2) / 6], [-math.log(2) / 6]])),
             torch.tensor([[[[-2 / 3, 2 / 3, 0]], [[1 / 3, 2 / 3, 1]]]])),
        ),
        properties=(
            Property(
                "no channel grows",
                lambda mine, x, *rest: bool((mine(x, *rest).abs() <= x.abs()).all()),
            ),
        ),
        gradient=(0, 1, 2),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "A block has 24 channels in and out, expansion 6, a 3x3 filter, no gate. How"
        " many weights do its three convolutions have?",
        (
            Option("194688", "That has a dense 3x3 between 144 and 144 channels; a"
                   " depthwise filter has 9 weights a channel."),
            Option("8208", "24 * 144 to widen, 9 * 144 to filter, 144 * 24 to narrow.",
                   True),
            Option("5184", "That is one dense 3x3 at 24 channels: fewer weights, but it"
                   " works with 24 channels where this one works with 144."),
            Option("1296", "That is the depthwise filter alone."),
        ),
        value=lambda: 24 * 144 + 9 * 144 + 144 * 24,
    ),
    Question(
        "You double the width of a network. What happens to its multiply-adds?",
        (
            Option("They double.", "So it would be with depth."),
            Option("They grow about fourfold.", "A 1x1 convolution has channels in"
                   " times channels out, and both doubled.", True),
            Option("They grow eightfold.", "Width and resolution each count with their"
                   " square; only one of them changed."),
        ),
    ),
    Question(
        "With depth 1.2, width 1.1 and resolution 1.15, how much dearer is a network?"
        " Two decimals.",
        (
            Option("1.52", "That is 1.2 * 1.1 * 1.15; width and resolution count with"
                   " their squares."),
            Option("1.92", "1.2 * 1.21 * 1.3225: the paper's 'about 2'.", True),
            Option("2.00", "That is what the paper aims at, and writes as 'about'."),
        ),
        value=lambda: efficientnet.relative_cost(1.2, 1.1, 1.15),
        form="{:.2f}",
    ),
    Question(
        "Why has the projection at the end of a block no activation?",
        (
            Option("To save time.", "An activation is cheap beside a convolution."),
            Option("Because it is narrow: what is cut there is lost.", "The wide part"
                   " has room to keep what a ReLU cuts; the narrow one has not.", True),
            Option("Because batch norm is one.", "Batch norm is linear once trained."),
            Option("It has: the shortcut.", "An addition is linear as well."),
        ),
    ),
    Question(
        "A detector drops the classifier of B0. How many of its 5,288,548 parameters"
        " does it keep?",
        (
            Option("5288548", "Head and classifier are gone."),
            Option("4007548", "The classifier has 1,281,000, but the 1x1 head before it"
                   " goes as well."),
            Option("3595388", "Without head (412,160) and classifier (1,281,000).",
                   True),
        ),
        value=lambda: _kept(),
    ),
)  # fmt: skip


def _kept() -> int:
    with torch.device("meta"):
        return profiling.parameters(efficientnet.features("b0"))
