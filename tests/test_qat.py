"""Fake quantization against torch's own, graphs by hand, and what cannot be rounded."""

import copy
import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from lib.basics import training
from lib.compression import deployed, grids, qat, quantize
from lib.compression.qat import FakeQuantize, Scheme
from lib.compression.quantize import QParams
from lib.detection import detectors

TENSOR = Scheme(axis=None)
EIGHT = Scheme(bits=8)


def rounder(scale, zero=0, low=-128, high=127, axis=None, **scheme) -> FakeQuantize:
    """A `FakeQuantize` with a grid that is given."""
    scale, zero = torch.tensor(scale), torch.tensor(zero, dtype=torch.int32)
    made = FakeQuantize(Scheme(axis=axis, **scheme), scale.numel())
    made.set(QParams(scale, zero.expand(scale.shape), low, high, axis))
    return made


# --------------------------------------------------------------------- the same values

GRIDS = [  # scale, zero point, low, high
    (0.1, 0, -128, 127), (0.037, 113, 0, 255), (1e-3, -128, -128, 127),
    (3.0, 0, -7, 7), (0.25, 8, 0, 15), (0.7, 1, -2, 1), (1 / 3, 0, 0, 65535),
]  # fmt: skip


def values(scale: float) -> torch.Tensor:
    """Ordinary numbers, ties between two steps, edges, huge ones, both zeros."""
    torch.manual_seed(0)
    ties = (torch.arange(-300, 300) + 0.5) * scale
    odd = torch.tensor([0.0, -0.0, 1e6, -1e6, 1e-30, scale])
    return torch.cat([torch.randn(5000), 100 * torch.randn(1000) * scale, ties, odd])


@pytest.mark.equation("20.1")
@pytest.mark.parametrize("grid", GRIDS)
def test_values_are_those_of_torch_to_the_bit(grid):
    scale, zero, low, high = grid
    x = values(scale).requires_grad_()
    wanted = torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)
    found = rounder(*grid)(x)
    assert torch.equal(found, wanted)
    weight = torch.randn(x.shape)
    (theirs,) = torch.autograd.grad(wanted, x, weight)
    (mine,) = torch.autograd.grad(found, x, weight)
    assert torch.equal(mine, theirs)
    q = quantize.quantize(x.detach(), rounder(*grid).qparams())
    assert torch.equal(quantize.dequantize(q, rounder(*grid).qparams()), wanted)


@pytest.mark.parametrize("axis", [0, 1])
def test_values_of_channels_are_those_of_torch_to_the_bit(axis):
    torch.manual_seed(0)
    scale, zero = torch.rand(6) * 0.1 + 1e-4, torch.randint(-8, 8, (6,)).int()
    x = torch.randn(6, 6, 3, 3, requires_grad=True)
    mine = FakeQuantize(Scheme(4, False, axis=axis), 6)
    mine.set(QParams(scale, zero, -8, 7, axis))
    wanted = torch.fake_quantize_per_channel_affine(x, scale, zero, axis, -8, 7)
    assert torch.equal(mine(x), wanted)
    weight = torch.randn(x.shape)
    pair = [torch.autograd.grad(y, x, weight)[0] for y in (mine(x), wanted)]
    assert torch.equal(*pair)


def test_one_value_by_hand():
    """0.3 and 0.35 between steps of 0.2; the last step of 3 bits is 3."""
    x = torch.tensor([0.29, 0.31, 0.5, 9.0, -9.0])
    found = rounder(0.2, 0, -3, 3, bits=3)(x)
    torch.testing.assert_close(found, torch.tensor([0.2, 0.4, 0.4, 0.6, -0.6]))


# ----------------------------------------------------------------------- the gradients


@pytest.mark.equation("20.2")
def test_the_gradient_passes_straight_through_inside_and_stops_outside():
    x = torch.tensor([0.29, 0.31, 0.6, 0.69, 0.71, -9.0], requires_grad=True)
    rounder(0.2, 0, -3, 3, bits=3)(x).sum().backward()
    # 0.69 rounds to 3 steps, which exist; 0.71 to 4, which do not.
    assert x.grad.tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.equation("20.3")
def test_the_gradient_of_a_step_by_hand():
    """Steps of 0.2: 0.29 is 1.45 of them and becomes 1; 9 becomes the last one, 3."""
    grid = rounder(0.2, 0, -3, 3, bits=3, learned=True)
    for x, slope in ((0.29, 1 - 1.45), (0.31, 2 - 1.55), (9.0, 3), (-9.0, -3)):
        grid.scale.grad = None
        grid(torch.tensor(x)).backward()
        gain = 1 / math.sqrt(1 * 3)
        assert grid.scale.grad.item() == pytest.approx(slope * gain, rel=1e-5)


# Torch's backward pass takes a zero point of -128 for -127 (it adds 0.5 and truncates),
# its forward pass does not: only zero points from 0 on can be compared.
@pytest.mark.equation("20.3")
@pytest.mark.parametrize("grid", [grid for grid in GRIDS if grid[1] >= 0])
def test_the_gradients_of_step_and_zero_are_those_of_torch(grid):
    scale, zero, low, high = grid
    x = values(scale)[:6000].requires_grad_()
    mine = rounder(*grid, symmetric=False, learned=True)
    theirs = [torch.tensor([float(v)], requires_grad=True) for v in (scale, zero)]
    wanted = torch._fake_quantize_learnable_per_tensor_affine(
        x, *theirs, low, high, mine.gain(x)
    )
    weight = torch.randn(x.shape)
    assert torch.equal(mine(x), wanted)
    wanted = torch.autograd.grad(wanted, [x, *theirs], weight)
    found = torch.autograd.grad(mine(x), [x, mine.scale, mine.zero], weight)
    assert torch.equal(found[0], wanted[0])
    for a, b in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(a.reshape(1), b, rtol=2e-3, atol=1e-4)


def test_the_gradients_of_channels_are_those_of_torch():
    torch.manual_seed(0)
    x = torch.randn(5, 4, 3, 3, requires_grad=True)
    mine = FakeQuantize(Scheme(4, learned=True), 5)
    mine.set(QParams(torch.rand(5) * 0.3 + 0.05, torch.zeros(5).int(), -7, 7, 0))
    scale, zero = mine.scale.detach().clone().requires_grad_(), torch.zeros(5)
    wanted = torch._fake_quantize_learnable_per_channel_affine(
        x, scale, zero, 0, -7, 7, mine.gain(x)
    )
    weight = torch.randn(x.shape)
    wanted = torch.autograd.grad(wanted, [x, scale], weight)
    found = torch.autograd.grad(mine(x), [x, mine.scale], weight)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    assert not isinstance(mine.zero, nn.Parameter)  # symmetric: zero stays where it is


@pytest.mark.equation("20.4")
def test_the_gain_of_the_paper():
    """1 / sqrt(N Q_p): 72 weights in 2 filters, 4 bits; a map of 8 x 3 x 5 x 5."""
    weights = rounder([0.1, 0.2], 0, -7, 7, axis=0, bits=4)
    assert weights.gain(torch.zeros(2, 4, 3, 3)) == pytest.approx(1 / math.sqrt(36 * 7))
    features = rounder(0.1, 0, 0, 255, symmetric=False, signed=False)
    assert features.gain(torch.zeros(8, 3, 5, 5)) == pytest.approx(
        1 / math.sqrt(600 * 255)
    )


def bell(n=200_000):
    """A normal distribution, evenly."""
    return torch.special.ndtri((torch.arange(n).double() + 0.5) / n)


def test_the_gradient_of_a_step_is_the_slope_of_the_error():
    """Nearly: over many values the jumps average out, but not at the ends."""
    x = bell()

    def error(scale):
        q = (x / scale).round().clamp(-7, 7) * scale
        return (q - x).square().mean().item()

    for scale in (0.2, 0.3, 0.5, 0.6):
        grid = rounder(scale, 0, -7, 7, bits=4, learned=True).double()
        (grid(x) - x).square().mean().backward()
        numeric = (error(scale + 0.01) - error(scale - 0.01)) / 0.02
        slope = grid.scale.grad.item() / grid.gain(x)
        assert slope == pytest.approx(numeric, rel=0.1)


def test_a_learned_step_finds_the_least_error():
    x = bell(4000).float()
    grid = rounder(0.25, 0, -7, 7, bits=4, learned=True)
    optimizer = torch.optim.SGD([grid.scale], lr=3.0)
    for _ in range(300):
        optimizer.zero_grad()
        (grid(x) - x).square().mean().backward()
        optimizer.step()
    tried = [i / 500 for i in range(50, 300)]
    best = min(tried, key=lambda s: (rounder(s, 0, -7, 7)(x) - x).square().mean())
    assert grid.scale.item() == pytest.approx(best, rel=0.03)


def test_a_step_that_training_throws_below_zero_comes_back():
    grid = rounder(0.1, 0, -7, 7, bits=4, learned=True)
    grid.scale.data.fill_(-0.3)
    found = grid(torch.randn(100))
    assert found.isfinite().all() and (grid.scale > 0).all()


# ------------------------------------------------------------------------- the network


class Small(nn.Module):
    """A residual sum, a maximum, a resize, a concatenation, a mean, two outputs."""

    def __init__(self, activation=nn.ReLU):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1, bias=False)
        self.norm, self.activation = nn.BatchNorm2d(4), activation()
        self.inner = nn.Conv2d(4, 4, 3, 1, 1)
        self.coarse = nn.Conv2d(4, 4, 1)
        self.linear = nn.Linear(8, 5)

    def forward(self, x):
        x = self.activation(self.norm(self.stem(x)))
        x = torch.relu(x + self.inner(x))
        low = self.coarse(torch.max_pool2d(x, 2))
        up = nn.functional.interpolate(low, scale_factor=2.0)
        both = torch.cat([x, up], 1)
        return self.linear(both.mean((2, 3))), low


def network(activation=nn.ReLU, seed=0):
    torch.manual_seed(seed)
    model = Small(activation)
    model.norm.running_mean.normal_(0, 0.1)
    model.norm.running_var.uniform_(0.5, 1.0)
    x = torch.randn(6, 3, 8, 8)
    return deployed.deployed(model.eval(), x), x


def fake(x, qparams: QParams):
    """Torch's own rounding to a grid."""
    scale, zero, low, high, axis, _ = qparams
    if axis is None:
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)
    return torch.fake_quantize_per_channel_affine(x, scale, zero, axis, low, high)


def of_range(least, most, high=255) -> QParams:
    """An unsigned grid from the least to the most, as one writes it down."""
    least, most = min(least, 0.0), max(most, 0.0)
    scale = torch.tensor((most - least) / high)
    return QParams(scale, (-torch.tensor(least) / scale).round().int(), 0, high)


def weight_grid(weight, top=127) -> QParams:
    scale = weight.flatten(1).abs().amax(1) / top
    return QParams(scale, torch.zeros(len(weight)).int(), -top, top, 0)


@torch.no_grad()
def test_a_network_rounds_as_one_writes_it_down():
    """Every rounding by torch's functions, ranges from the real network."""
    graph, x = network()
    stem, inner, coarse, linear = (
        m for m in graph.children() if isinstance(m, nn.Conv2d | nn.Linear)
    )

    def run(x, map_, weight):
        x = map_("in", x)
        f = nn.functional
        x = map_("1", f.conv2d(x, weight(stem), stem.bias, 2, 1).relu())
        y = map_("2", f.conv2d(x, weight(inner), inner.bias, 1, 1))
        x = map_("3", (x + y).relu())
        low = map_("4", f.conv2d(f.max_pool2d(x, 2), weight(coarse), coarse.bias))
        both = map_("5", torch.cat([x, f.interpolate(low, scale_factor=2.0)], 1))
        mean = map_("6", both.mean((2, 3)))
        return map_("7", f.linear(mean, weight(linear), linear.bias)), low

    seen = {}

    def watch(name, value):
        seen[name] = of_range(value.min().item(), value.max().item())
        return value

    real = run(x, watch, lambda layer: layer.weight)
    wanted = run(
        x, lambda name, value: fake(value, seen[name]),
        lambda layer: fake(layer.weight, weight_grid(layer.weight)),
    )  # fmt: skip
    model = qat.calibrate(qat.prepare(graph, EIGHT), [x])
    assert len(qat.maps(model)) == 8 and len(qat.layers(model)) == 4
    for found, value, exact in zip(model(x), wanted, real, strict=True):
        # A sum in another order may move a value across a tie: one step at most.
        step = (exact.max() - exact.min()) / 255
        assert (found - value).abs().max() <= 1.01 * step
        assert ((found - value).abs() > 0.5 * step).float().mean() < 0.02
        assert not torch.equal(found, exact)


def test_the_graph_that_others_read():
    """An activation belongs to the layer before it; what keeps a grid has no node."""
    model = qat.prepare(network(nn.ReLU6)[0], EIGHT)
    order = [grids.operation(node) for node in model.graph.nodes]
    assert order == [
        "placeholder", "call_module",  # the input and its rounding
        "call_module", "hardtanh", "call_module",  # the stem with its ReLU6
        "call_module", "call_module", "add", "relu", "call_module",
        "max_pool2d", "call_module", "call_module",  # coarse
        "upsample_nearest2d", "cat", "call_module", "mean", "call_module",
        "call_module", "call_module", "output",
    ]  # fmt: skip
    nodes = [*model.graph.nodes]
    (pool,) = [n for n in nodes if grids.operation(n) == "max_pool2d"]
    above = grids.above(pool, FakeQuantize)
    assert above.target.startswith("after_add")
    assert isinstance(model.get_submodule(above.target), FakeQuantize)
    (resize,) = [n for n in nodes if "upsample" in grids.operation(n)]
    assert "coarse" in grids.above(resize, FakeQuantize).target
    assert grids.above(above.args[0], FakeQuantize) is None  # the sum is real
    assert [*qat.maps(model)][0] == "after_x" and model.after_x.low == 0


def test_a_relu_that_is_not_alone_keeps_the_grid():
    class Twice(nn.Module):
        def __init__(self, clip):
            super().__init__()
            self.conv, self.clip = nn.Conv2d(3, 3, 1), clip

        def forward(self, x):
            y = self.conv(x)
            return self.clip(y) + y

    x = torch.randn(2, 3, 4, 4)
    for clip, count in ((nn.ReLU(), 3), (nn.ReLU6(), 4)):  # 6 is on no grid by itself
        graph = deployed.deployed(Twice(clip), x)
        assert len(qat.maps(qat.prepare(graph, EIGHT))) == count


def test_outputs_and_maps_may_stay_real():
    graph, x = network()
    model = qat.calibrate(qat.prepare(graph, EIGHT, outputs=False), [x])
    names = [*qat.maps(model)]
    assert len(names) == 6 and not any("linear" in n or "coarse" in n for n in names)
    weights_only = qat.calibrate(qat.prepare(graph, EIGHT, activations=None), [x])
    assert not qat.maps(weights_only)
    for a, b in zip(weights_only(x), graph(x), strict=True):
        assert 0 < (a - b).abs().max() < 0.05 * b.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_many_bits_are_nearly_the_real_network(bits):
    graph, x = network()
    schemes = Scheme(bits), Scheme(bits, False, False, None)
    model = qat.calibrate(qat.prepare(graph, *schemes), x)
    for found, wanted in zip(model(x), graph(x), strict=True):
        assert quantize.sqnr(wanted, found) > 6 * bits - 24  # 6 dB a bit


def test_what_is_handed_in_is_left_alone():
    graph, x = network()
    before = copy.deepcopy(graph.state_dict())
    code = graph.code
    model = qat.calibrate(qat.prepare(graph, EIGHT), x)
    model(x)[0].sum().backward()
    assert graph.code == code and not any("quantizer" in n for n in graph.state_dict())
    assert all(torch.equal(v, before[k]) for k, v in graph.state_dict().items())
    assert all(p.grad is None for p in graph.parameters())
    assert all(p.grad is not None for p in model.parameters())


def test_a_detector_stays_one_and_loses_little():
    scenes = detectors.scenes("validation", 24)
    x = training.normalise(torch.stack([scenes[i].image for i in range(24)]))
    model = detectors.shipped("plain")
    graph = deployed.deployed(model, x[:2])
    rounded = qat.calibrate(qat.prepare(graph, EIGHT), [x[:12]])
    for each in (rounded, copy.deepcopy(rounded), qat.with_bits(rounded, {})):
        assert each.config.anchors == model.config.anchors
    with torch.no_grad():
        for kind in zip(rounded(x[12:]), model(x[12:]), strict=True):
            for found, wanted in zip(*kind, strict=True):
                assert quantize.sqnr(wanted, found) > 20


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_networks_that_no_one_here_wrote(name):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)().eval()
    x = torch.randn(3, 3, 48, 48)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:  # the statistics of x, so that something arrives at the end
        norm.train().momentum = 1.0
    with torch.no_grad():
        model(x)
    model.eval()
    graph = deployed.deployed(model, x)
    schemes = Scheme(12), Scheme(12, False, False, None)
    rounded = qat.calibrate(qat.prepare(graph, *schemes), [x])
    with torch.no_grad():
        assert quantize.sqnr(graph(x), rounded(x)) > 25


# --------------------------------------------------------------------- mixed precision


@torch.no_grad()
def test_weights_have_seven_bits_unless_eight_are_asked_for():
    """By hand: 2 * 255 * 63 = 32,130 fits into 16 bits, 2 * 255 * 127 does not."""
    graph, x = network()
    model = qat.calibrate(qat.prepare(graph), x)
    for layer in qat.layers(model).values():
        q = quantize.quantize(layer.weight, layer.weight_quantizer.qparams())
        assert q.abs().max() == 63
    assert Scheme().bits == 8


@torch.no_grad()
def test_bits_of_single_layers():
    graph, x = network()
    names = [n.target for n in graph.graph.nodes if n.op == "call_module"]
    model = qat.calibrate(qat.prepare(graph, EIGHT, bits={names[1]: 3}), x)
    found = qat.layers(model)
    assert [*found] == names
    tops = [layer.weight_quantizer.high for layer in found.values()]
    assert tops == [127, 3, 127, 127]
    other = qat.with_bits(model, {names[1]: 8, names[0]: 4})
    full = qat.calibrate(qat.prepare(graph, EIGHT, bits={names[0]: 4}), x)
    for a, b in zip(other(x), full(x), strict=True):
        assert torch.equal(a, b)
    assert [m.weight_quantizer.high for m in qat.layers(model).values()] == tops


def test_size_by_hand():
    graph, x = network()
    model = qat.prepare(graph, EIGHT)
    # stem 108 weights, inner 144, coarse 16, linear 40; 17 filters with step and bias.
    assert qat.size(model) == 308 + 8 * 17
    names = [*qat.layers(model)]
    mixed = qat.prepare(graph, EIGHT, bits={names[0]: 4, names[2]: 3})
    assert qat.size(mixed) == 54 + 144 + 6 + 40 + 8 * 17


def test_sensitivity_asks_one_layer_at_a_time():
    graph, x = network()
    model = qat.calibrate(qat.prepare(graph, EIGHT), x)
    seen = []

    def judge(candidate):
        bits = [m.weight_quantizer.scheme.bits for m in qat.layers(candidate).values()]
        seen.append(bits)
        return float(sum(bits))

    table = qat.sensitivity(model, judge, [2, 4])
    assert [*table] == [*qat.layers(model)]
    assert all(row == {2: 26.0, 4: 28.0} for row in table.values())
    assert sorted(seen)[0] == [2, 8, 8, 8] and [8, 4, 8, 8] in seen and len(seen) == 8


def test_sensitivity_measures_what_a_layer_loses():
    graph, x = network()
    with torch.no_grad():
        model, wanted = qat.calibrate(qat.prepare(graph, EIGHT), x), graph(x)[0]
        table = qat.sensitivity(
            model, lambda m: quantize.sqnr(wanted, m(x)[0]), [2, 4, 8]
        )
        now = quantize.sqnr(wanted, model(x)[0])
    for row in table.values():
        assert row[2] < row[4] < now + 3
        assert row[8] == now


@pytest.mark.equation("20.5")
def test_allocation_by_hand():
    """The cut with the least damage for a bit: a at 1 / 40, then b at 3 / 80."""
    damage = {"a": {8: 0.0, 4: 1.0, 2: 9.0}, "b": {8: 0.0, 4: 3.0, 2: 4.0}}
    sizes = {"a": 10, "b": 20}
    assert qat.allocate(damage, sizes, 240) == {"a": 8, "b": 8}
    assert qat.allocate(damage, sizes, 239) == {"a": 4, "b": 8}
    # b to 2 bits at once costs 4 for 120 bits, less for each than 3 for 80.
    assert qat.allocate(damage, sizes, 199) == {"a": 4, "b": 2}
    assert qat.allocate(damage, sizes, 79) == {"a": 2, "b": 2}
    with pytest.raises(ValueError, match="59 bits; the fewest possible are 60"):
        qat.allocate(damage, sizes, 59)


@pytest.mark.parametrize("seed", range(6))
def test_allocation_is_the_best_where_cuts_get_dearer(seed):
    """Equal sizes, convex damage: greedy is optimal for every budget it fills."""
    torch.manual_seed(seed)
    names, choices = "abcd", (2, 3, 4, 5)
    damage = {}
    for name in names:  # each cut costs more than the one before
        costs = torch.rand(3).sort().values.cumsum(0).tolist()
        damage[name] = dict(zip(reversed(choices), [0.0, *costs], strict=True))
    sizes = dict.fromkeys(names, 1)
    for budget in range(8, 21):
        found = qat.allocate(damage, sizes, budget)
        assert sum(found.values()) <= budget
        best = min(
            sum(damage[n][b] for n, b in zip(names, bits, strict=True))
            for bits in itertools.product(choices, repeat=4)
            if sum(bits) <= budget
        )
        assert sum(damage[n][b] for n, b in found.items()) == pytest.approx(best)


def brute_force(damage, cost, budget):
    """The least damage of all choices that a budget allows."""
    return min(
        sum(damage[n][b] for n, b in zip(damage, each, strict=True))
        for each in itertools.product(*damage.values())
        if sum(cost[n][b] for n, b in zip(damage, each, strict=True)) <= budget
    )


@pytest.mark.parametrize("seed", range(6))
def test_milliseconds_are_spent_as_well_as_they_can_be(seed):
    """Real or rounded, any times: of budgets that it fills, greedy makes the best."""
    torch.manual_seed(seed)
    names = "abcdefg"
    damage = {
        n: {32: 0.0, 8: x} for n, x in zip(names, torch.rand(7).tolist(), strict=True)
    }
    times = torch.rand(7, 2).tolist()
    cost = {n: {32: a, 8: b} for n, (a, b) in zip(names, times, strict=True)}
    steps = [sum(a for a, _ in times)]  # what each change leaves, by its price
    faster = [n for n in names if cost[n][8] < cost[n][32]]
    saved = {n: cost[n][32] - cost[n][8] for n in faster}
    for n in sorted(faster, key=lambda n: damage[n][8] / saved[n]):
        steps.append(steps[-1] - saved[n])
    assert len(steps) > 2
    for budget in steps:
        found = qat.allocate(damage, None, budget + 1e-9, cost)
        assert all(bits == 32 for n, bits in found.items() if n not in faster)
        lost = sum(damage[n][b] for n, b in found.items())
        assert lost == pytest.approx(brute_force(damage, cost, budget + 1e-9))
    for budget in torch.linspace(steps[-1] + 1e-6, steps[0], 20).tolist():
        found = qat.allocate(damage, None, budget, cost)
        assert sum(cost[n][b] for n, b in found.items()) <= budget
        lost = sum(damage[n][b] for n, b in found.items())
        best = brute_force(damage, cost, budget)
        # The last change may save more than was asked: never more than one too many.
        assert best <= lost + 1e-9 <= best + max(d[8] for d in damage.values()) + 2e-9


def test_a_cost_of_weights_times_bits_is_that_of_sizes():
    damage = {"a": {8: 0.0, 4: 1.0, 2: 9.0}, "b": {8: 0.0, 4: 3.0, 2: 4.0}}
    sizes = {"a": 10, "b": 20}
    cost = {n: {bits: count * bits for bits in (2, 4, 8)} for n, count in sizes.items()}
    for budget in range(60, 250, 7):
        by_cost = qat.allocate(damage, None, budget, cost)
        assert by_cost == qat.allocate(damage, sizes, budget)


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ({"a": {8: 1.0}}, "cost does not say what 'a' costs at 4"),
        ({"b": {8: 1.0, 4: 0.5}}, "cost does not say what 'a' costs at 8"),
        ({"a": {}}, r"cost\['a'\] is empty"),
        ({"a": {8: 1.0, 4: 0.5}}, "budget is 0.4; the fewest possible are 0.5"),
    ],
)
def test_a_cost_that_says_too_little(cost, words):
    with pytest.raises(ValueError, match=words):
        qat.allocate({"a": {8: 0.0, 4: 1.0}}, None, 0.4, cost)


# ---------------------------------------------------------------------------- training


def test_every_parameter_is_in_one_group_and_steps_move_by_their_size():
    graph, x = network()
    learned = Scheme(4, learned=True), Scheme(8, False, False, None, learned=True)
    model = qat.calibrate(qat.prepare(graph, *learned), x)
    groups = qat.parameter_groups(model, lr=0.01, decay=0.1)
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len({*map(id, listed)}) == len([*model.parameters()])
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(groups)
    model(x)[0].square().mean().backward()
    optimizer.step()
    for name, p in model.named_parameters():  # Adam's first step is the rate itself
        moved = (p - before[name]).abs().max().item()
        if name.endswith("quantizer.scale"):
            assert moved <= 0.01 * before[name].mean() * 1.01
        elif name.endswith(".zero"):
            assert moved <= 0.01 * 255 * 1.01
    decays = {g["weight_decay"] for g in groups if g["params"][0].ndim <= 1}
    assert decays == {0.0} and groups[0]["weight_decay"] == 0.1


@pytest.mark.parametrize("learned", [False, True])
def test_training_repairs_what_rounding_broke(learned):
    """A network with weights of 3 bits learns to do again what it did with 32."""
    graph, _ = network()
    torch.manual_seed(1)
    x = torch.randn(64, 3, 8, 8)
    with torch.no_grad():
        wanted = graph(x)[0]
    model = qat.calibrate(qat.prepare(graph, Scheme(3, learned=learned)), x)

    def loss():
        return (model(x)[0] - wanted).square().mean()

    start = loss().item()
    optimizer = torch.optim.AdamW(qat.parameter_groups(model, 5e-3))
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.7 * start
    for layer in qat.layers(model).values():  # still on the grid of 3 bits
        rounded = layer.weight_quantizer(layer.weight)
        assert all(len(row.unique()) <= 7 for row in rounded.flatten(1))


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("bits", [0, 1, 17, -4, True])
def test_bits_that_cannot_be(bits):
    with pytest.raises(ValueError, match="bits is .* 2 to 16"):
        Scheme(bits)
    graph, x = network()
    name = next(n.target for n in graph.graph.nodes if n.op == "call_module")
    with pytest.raises(ValueError, match="bits is"):
        qat.prepare(graph, EIGHT, bits={name: bits})
    model = qat.calibrate(qat.prepare(graph, EIGHT), x)
    with pytest.raises(ValueError, match="bits is"):
        qat.with_bits(model, {name: bits})
    assert qat.layers(model)[name].weight_quantizer.scheme.bits == 8


def test_a_layer_that_is_not_there_is_named():
    graph, x = network()
    for bits in ({"conv_1_iner": 4}, {"conv_0_stem": 8, "conv_1_iner": 4}):
        with pytest.raises(ValueError, match=r"'conv_1_iner'.*'conv_1_inner'\?"):
            qat.prepare(graph, EIGHT, bits=bits)
    with pytest.raises(ValueError, match="'conv_1_iner'"):
        qat.with_bits(qat.calibrate(qat.prepare(graph, EIGHT), x), {"conv_1_iner": 4})


@pytest.mark.parametrize("learned", [False, True])
def test_without_calibration_it_says_so(learned):
    graph, x = network()
    scheme = Scheme(8, False, False, None, learned=learned)
    model = qat.prepare(graph, EIGHT, activations=scheme)
    with pytest.raises(ValueError, match="after_x has no grid yet: call qat.calibrate"):
        model(x)
    with pytest.raises(ValueError, match="weight of conv_0_stem has no grid"):
        qat.layers(model)["conv_0_stem"].weight_quantizer.qparams()
    with pytest.raises(ValueError, match="no layer that rounds"):
        qat.calibrate(graph, x)


def test_data_that_say_nothing_are_refused_and_nothing_has_changed():
    graph, x = network()
    model = qat.prepare(graph, EIGHT)
    broken = x.clone()
    broken[1, 2, 3, 4] = math.nan
    for batches, words in (
        ([], r"batches is \[\]; .*it was empty"),
        ([x, broken], "after_x: .*NaN"),
        ([torch.ones_like(x)], "after_x: all values were 1"),
    ):
        with pytest.raises(ValueError, match=words):
            qat.calibrate(model, batches)
        with pytest.raises(ValueError, match="no grid yet"):
            model(x)
    qat.calibrate(model, x)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="NaN"):
        qat.calibrate(model, [2 * x, broken])
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert {m.state for m in model.modules() if isinstance(m, FakeQuantize)} == {
        "quantize"
    }
    dead = copy.deepcopy(model)
    layer = qat.layers(dead)["conv_1_inner"]
    layer.weight.data[0] = 0.0  # one filter of zeros is no harm
    assert qat.calibrate(dead, x)(x)[0].isfinite().all()
    layer.weight.data.fill_(math.nan)
    with pytest.raises(ValueError, match="the weight of conv_1_inner: .*NaN"):
        qat.calibrate(dead, x)


def test_what_cannot_be_rounded_is_named():
    class Odd(nn.Module):
        def __init__(self, layer=None):
            super().__init__()
            self.conv = layer or nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return torch.cumsum(self.conv(x), 1)

    x = torch.randn(2, 3, 4, 4)
    with pytest.raises(ValueError, match="no rule for what 'cumsum' gives"):
        qat.prepare(deployed.deployed(Odd(), x), EIGHT)
    graph = deployed.deployed(Odd(), x)
    graph.conv_0_conv = nn.ConvTranspose2d(3, 3, 1)
    with pytest.raises(ValueError, match="conv_0_conv is a ConvTranspose2d"):
        qat.prepare(graph, EIGHT)


# ------------------------------------------------------- layers and maps that are dead


def small_network(change=lambda model: None):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)
    model = nn.Sequential(*layers).eval()
    change(model)
    return model, torch.randn(4, 3, 8, 8)


def no_weights(model):
    nn.init.zeros_(model[2].weight)


def no_map(model):
    nn.init.constant_(model[0].bias, -100.0)


def constant_map(model):
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[0].bias, 0.7)


@pytest.mark.parametrize("observer", [
    quantize.MinMax, quantize.Percentile, quantize.MSE, quantize.Entropy,
])  # fmt: skip
@pytest.mark.parametrize("change", [no_weights, no_map, constant_map])
def test_a_dead_layer_or_map_calibrates(change, observer):
    """Zeros and constants are what pruning leaves; the network stays what it was."""
    model, x = small_network(change)
    schemes = Scheme(observer=observer), Scheme(8, False, False, None, observer)
    rounded = qat.prepare(deployed.deployed(model, x), *schemes)
    qat.calibrate(rounded, x)
    with torch.no_grad():
        assert quantize.sqnr(model(x), rounded(x)) > 25
        again = qat.with_bits(rounded, dict.fromkeys(qat.layers(rounded), 4))
        assert again(x).isfinite().all()
        grids.settle(rounded)
        assert quantize.sqnr(model(x), rounded(x)) > 25
    assert not any(m.observer for m in qat.maps(rounded).values())


def test_a_layer_of_zeros_has_the_grid_of_one():
    model, x = small_network(no_weights)
    rounded = qat.calibrate(qat.prepare(deployed.deployed(model, x)), x)
    grid = qat.layers(rounded)["conv_1_2"].weight_quantizer.qparams()
    assert grid.scale.tolist() == [pytest.approx(1 / 63)] * 2  # 7 bits: 63 steps to 1


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_pictures_that_are_constant_are_still_refused(value):
    model, x = small_network()
    rounded = qat.prepare(deployed.deployed(model, x))
    with pytest.raises(ValueError, match=f"^after_input_1: all values were {value:g}:"):
        qat.calibrate(rounded, torch.full_like(x, value))


# ----------------------------------------------------------------------- half precision


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_as_float32_does(kind, learned):
    """Torch's own rounding of the same values in float32, then once to half."""
    x = torch.randn(500, generator=torch.Generator().manual_seed(0)).to(kind)
    x.requires_grad_()
    grid = rounder(0.037, 113, 0, 255, symmetric=False, learned=learned)
    wanted = torch.fake_quantize_per_tensor_affine(x.float(), 0.037, 113, 0, 255)
    assert torch.equal(grid(x), wanted.to(kind)) and grid(x).dtype == kind
    grid(x).float().sum().backward()
    assert x.grad.dtype == kind and set(x.grad.tolist()) <= {0, 1}
    if learned:
        assert grid.scale.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_quantized(kind):
    model, x = small_network()
    wanted = model(x).detach()
    half = deployed.deployed(model.to(kind), x.to(kind))
    rounded = qat.calibrate(qat.prepare(half), [x.to(kind)])
    found = rounded(x.to(kind)).detach()
    assert found.dtype == kind and quantize.sqnr(wanted, found) > 25


# ---------------------------------------------------------------------- usual slips


def test_slips_are_answered_with_what_would_be_right():
    model, x = small_network()
    graph = deployed.deployed(model, x)
    rounded, learned = qat.prepare(graph), qat.prepare(graph, Scheme(learned=True))
    loader = (pair for pair in [(x, torch.zeros(4))])
    for call, words in (
        (
            lambda: qat.calibrate(rounded, loader),
            r"batches\[0\] is .*images, labels in",
        ),
        (
            lambda: qat.calibrate(rounded, [x, x[:, :1]]),
            r"batches\[1\] has shape \(4, 1",
        ),
        (lambda: qat.calibrate(rounded, x.double()), "is of torch.float64; the model"),
        (lambda: qat.calibrate(rounded, (x * 255).byte()), "is of torch.uint8"),
        (lambda: qat.prepare(graph, Scheme(axis=1)), "weights has axis 1; filters"),
        (lambda: qat.prepare(graph, activations=Scheme()), "activations has axis 0; a"),
        (lambda: qat.parameter_groups(learned, 0.1), "no grid yet: call qat.calibrate"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


# ------------------------------------------------------------------- the recorded runs


@pytest.fixture(scope="module")
def script():
    """The module data/ablations/quantization.py."""
    path = (
        Path(__file__).resolve().parents[1] / "data" / "ablations" / "quantization.py"
    )
    spec = importlib.util.spec_from_file_location("quantization_ablation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_of_the_recorded_runs_goes_on_where_it_was(script, tmp_path):
    few = {"steps": 2, "batch": 2}
    settings = script.SETTINGS | {"judged": 4, "calibration": 4}
    settings |= {"train": settings["train"] | few}
    plan = [job for job in script.plan() if job["model"] == "plain" and not job["seed"]]
    kinds = {(job["experiment"], job.get("how")): job for job in plan}
    path = tmp_path / "rows.jsonl"
    jobs = [*kinds.values()]
    assert script.run(settings, path, jobs[:2]) == 2
    assert script.run(settings, path, jobs) == len(jobs) - 2 == 4
    assert script.run(settings, path, jobs) == 0
    rows = script.current(script.read(path), settings)
    assert len(rows) == 6 and all(0 <= row["ap"] <= 1 for row in rows)
    assert not script.current(script.read(path))  # of other settings
    assert "training  plain   3 8 channel min-max LSQ" in script.report(rows)


def test_the_plan_asks_each_question_once(script):
    plan = script.plan()
    assert len({str(sorted(job.items())) for job in plan}) == len(plan)
    assert {job["model"] for job in plan} == {"plain", "course", "lite", "mbconv"}
    seeds = {j["seed"] for j in plan if j["experiment"] in ("observer", "training")}
    assert seeds == {0, 1, 2}


# ------------------------------------------------------- maps as well; layers in floats


def three_layers():
    """A prepared and calibrated network, and what it was calibrated with."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)
    )
    x = torch.randn(4, 3, 10, 10)
    graph = deployed.deployed(net.eval(), x)
    return graph, qat.calibrate(qat.prepare(graph, EIGHT), [x]), x


def test_a_map_gets_fewer_steps_over_its_range_and_no_other_does():
    _, model, _ = three_layers()
    name = list(qat.maps(model))[1]
    before, after = qat.maps(model), qat.maps(qat.with_bits(model, {name: 4}))
    for other in before:
        a, b = before[other].qparams(), after[other].qparams()
        steps = 15 if other == name else 255
        assert (b.low, b.high) == (0, steps)
        width = b.scale * steps
        torch.testing.assert_close(width, a.scale * 255, rtol=0.07, atol=0)


def test_the_sensitivity_of_maps_asks_each_map_alone():
    _, model, _ = three_layers()
    asked = []

    def judge(changed):
        bits = {name: m.scheme.bits for name, m in qat.maps(changed).items()}
        asked.append([name for name, b in bits.items() if b != 8])
        return float(sum(bits.values()))

    table = qat.sensitivity(model, judge, [4, 2], of="maps")
    names = list(qat.maps(model))
    assert asked == [[name] for name in names for _ in range(2)]
    full = 8.0 * len(names)
    assert table == {name: {4: full - 4, 2: full - 6} for name in names}


def test_a_layer_that_is_kept_computes_in_floats():
    graph, _, x = three_layers()
    first, middle, last = (n.target for n in graph.graph.nodes if n.op == "call_module")
    model = qat.calibrate(qat.prepare(graph, EIGHT, keep_float=[middle]), [x])
    assert list(qat.layers(model)) == [first, last]
    assert type(model.get_submodule(middle)) is nn.Conv2d
    assert not any(middle in name for name in qat.maps(model))
    # By hand: layer by layer, rounded where the others round.
    maps, at = qat.maps(model), qat.layers(model)
    y = maps[f"after_{first}"](at[first](next(iter(maps.values()))(x)).relu())
    y = model.get_submodule(middle)(y).relu()
    torch.testing.assert_close(maps[f"after_{last}"](at[last](y)), model(x))
    every = qat.prepare(graph, keep_float=[first, middle, last])
    assert qat.layers(every) == {}


def test_a_layer_to_keep_that_does_not_exist_is_named_with_the_nearest():
    graph, *_ = three_layers()
    first = next(n.target for n in graph.graph.nodes if n.op == "call_module")
    with pytest.raises(ValueError, match=f"keep_float has .*Is it '{first}'"):
        qat.prepare(graph, keep_float=[f"{first}x"])
