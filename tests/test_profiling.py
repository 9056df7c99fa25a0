"""Costs against numbers worked by hand, published counts and brute force."""

import copy
import functools
import math
import random
import statistics

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lib.basics import profiling


class Net(nn.Module):
    """Two convolutions, a pool, a linear layer; small enough to count on paper."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),  # 4*1*9 = 36
            nn.BatchNorm2d(4),  # 4 + 4 = 8, buffers 4 + 4 + 1
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, stride=2, padding=1),  # 6*4*9 + 6 = 222
            nn.ReLU(),
        )
        self.head = nn.Linear(6, 10)  # 60 + 10 = 70

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


# --- parameters ----------------------------------------------------------------------


@pytest.mark.equation("3.1")
@pytest.mark.parametrize(
    "c_in, c_out, kernel, groups, bias, by_hand",
    [
        (3, 8, (3, 3), 1, True, 224),  # 8 filters of 27 numbers, 8 biases
        (3, 8, (3, 3), 1, False, 216),
        (8, 8, (3, 3), 8, False, 72),  # depthwise: 8 filters of 9
        (8, 16, (1, 1), 1, False, 128),
        (6, 4, (3, 5), 2, True, 184),  # 4 filters of 3*15, 4 biases
    ],
)
def test_parameters_of_a_convolution(c_in, c_out, kernel, groups, bias, by_hand):
    layer = nn.Conv2d(c_in, c_out, kernel, groups=groups, bias=bias)
    formula = c_out * (c_in // groups) * kernel[0] * kernel[1] + bias * c_out
    assert profiling.parameters(layer) == by_hand == formula


def test_sizes_of_a_small_net():
    found = profiling.sizes(Net())
    assert (found.trainable, found.frozen, found.buffers) == (336, 0, 9)
    # Eight bytes for the one int64 (batches seen), four for every other value.
    assert found.bytes == 4 * (336 + 8) + 8


def test_frozen_and_tied_parameters():
    net = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    net[1].weight = net[0].weight
    net[0].bias.requires_grad_(False)
    found = profiling.sizes(net)
    assert (found.trainable, found.frozen) == (25 + 5, 5)
    assert profiling.parameters(net) == 30


def test_a_lazy_parameter_is_refused():
    with pytest.raises(ValueError, match="Sequential holds a lazy parameter"):
        profiling.parameters(nn.Sequential(nn.LazyLinear(3)))


# --- multiply-adds -------------------------------------------------------------------


@pytest.mark.equation("3.2")
@pytest.mark.parametrize(
    "layer, shape, by_hand",
    [
        # 16*16 outputs, 8 channels, 27 products each
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 16, 16), 55_296),
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (1, 3, 16, 16), 55_296),
        # stride 2 leaves 8*8 outputs: a quarter
        (nn.Conv2d(3, 8, 3, padding=1, stride=2), (1, 3, 16, 16), 13_824),
        # no padding: 14*14 outputs
        (nn.Conv2d(3, 8, 3), (1, 3, 16, 16), 42_336),
        # depthwise: 16*16 outputs, 8 channels, 9 products
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 16, 16), 18_432),
        # two groups: each output channel reads 3 of the 6 input channels, 3*15 products
        (nn.Conv2d(6, 4, (3, 5), padding=(1, 2), groups=2), (1, 6, 4, 10), 7_200),
        # dilation reaches further and costs the same: 12*12 outputs
        (nn.Conv2d(3, 8, 3, dilation=2), (1, 3, 16, 16), 31_104),
        # a batch of five costs five times one
        (nn.Conv2d(3, 8, 3, padding=1), (5, 3, 16, 16), 276_480),
        (nn.Linear(6, 10), (7, 6), 420),
        (nn.Conv2d(4, 5, 1), (1, 4, 3, 3), 180),
    ],
)
def test_macs_of_one_layer(layer, shape, by_hand):
    x = torch.zeros(shape)
    assert profiling.macs(layer, x) == by_hand
    meta = copy.deepcopy(layer).to("meta")
    assert profiling.macs(meta, x.to("meta")) == by_hand
    if isinstance(layer, nn.Conv2d):
        out = layer(x)
        per_output = (layer.in_channels // layer.groups) * math.prod(layer.kernel_size)
        assert out.numel() * per_output == by_hand  # Eq. 3.2


@pytest.mark.equation("3.3")
@pytest.mark.parametrize("c_in, c_out, kernel", [(8, 8, 3), (32, 64, 3), (16, 24, 5)])
def test_the_share_of_a_separable_convolution(c_in, c_out, kernel):
    dense = nn.Conv2d(c_in, c_out, kernel, padding="same", bias=False)
    separable = nn.Sequential(
        nn.Conv2d(c_in, c_in, kernel, padding="same", groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
    )
    x = torch.zeros(1, c_in, 12, 12)
    share = 1 / c_out + 1 / kernel**2
    assert profiling.macs(separable, x) / profiling.macs(dense, x) == pytest.approx(
        share, rel=1e-12
    )
    assert profiling.parameters(separable) / profiling.parameters(
        dense
    ) == pytest.approx(share, rel=1e-12)


def test_a_separable_convolution_by_hand():
    # 32 -> 64 channels, 3x3, 8x8 outputs: 64*32*9*64 dense; 32*9*64 + 64*32*64.
    x = torch.zeros(1, 32, 8, 8)
    dense = nn.Conv2d(32, 64, 3, padding=1)
    depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
    pointwise = nn.Conv2d(32, 64, 1)
    assert profiling.macs(dense, x) == 1_179_648
    assert profiling.macs(depthwise, x) == 18_432
    assert profiling.macs(pointwise, x) == 131_072


def test_macs_of_a_small_net_by_part():
    net, x = Net(), torch.zeros(1, 1, 8, 8)
    first, second, head = 64 * 4 * 9, 16 * 6 * 36, 60
    assert profiling.macs(net, x) == first + second + head == 5_820
    assert profiling.macs_by_module(net, x) == {"features": 5_760, "head": 60}
    assert profiling.macs_by_module(net, x, depth=2) == {
        "features.0": 2_304,
        "features.3": 3_456,
        "head": 60,
    }


class Odd(nn.Module):
    """A list that never runs itself, a product outside any part, a part used twice."""

    def __init__(self):
        super().__init__()
        self.block = nn.Module()
        self.block.parts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.block.forward = self.through
        self.twice = nn.Linear(4, 4, bias=False)

    def through(self, x):
        for part in self.block.parts:
            x = part(x)
        return x

    def forward(self, x):
        return self.twice(self.twice(self.block(x))) @ torch.ones(4, 2, device=x.device)


def test_macs_by_module_misses_and_repeats_nothing():
    net, x = Odd(), torch.zeros(1, 4)
    assert profiling.macs(net, x) == 4 * 16 + 8
    for depth in (1, 2, 3, 4):
        rows = profiling.macs_by_module(net, x, depth=depth)
        assert sum(rows.values()) == 72
        assert rows["twice"] == 32
        assert rows["(rest)"] == 8
    assert rows["block.parts.1"] == 16
    with pytest.raises(ValueError, match="depth is 0"):
        profiling.macs_by_module(net, x, depth=0)


# The papers' own numbers: (multiply-adds, parameters), as they print them.
PAPERS = {
    "resnet18": (1.8e9, None),  # He et al. 2015, Table 1
    "resnet34": (3.6e9, None),
    "vgg16": (None, 138e6),  # Simonyan and Zisserman 2014, Table 2
    "mobilenet_v2": (300e6, 3.4e6),  # Sandler et al. 2018, Table 4
    "mobilenet_v3_small": (56e6, 2.5e6),  # Howard et al. 2019, Table 3
    "mobilenet_v3_large": (219e6, 5.4e6),
    "efficientnet_b0": (0.39e9, 5.3e6),  # Tan and Le 2019, Table 2
    "densenet121": (None, 8.0e6),
}


@pytest.mark.parametrize("name", PAPERS)
def test_published_counts(name):
    weights = next(iter(torchvision.models.get_model_weights(name)))
    side = weights.transforms.keywords["crop_size"]
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
        x = torch.zeros(1, 3, side, side)
    macs, parameters = profiling.macs(model, x), profiling.parameters(model)
    # torchvision publishes 10^9 multiply-adds with three decimals, called "_ops".
    assert macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)
    assert parameters == weights.meta["num_params"]
    paper_macs, paper_parameters = PAPERS[name]
    if paper_macs:
        assert macs == pytest.approx(paper_macs, rel=0.02)
    if paper_parameters:
        assert parameters == pytest.approx(paper_parameters, rel=0.035)


def test_attention_is_not_left_out():
    # One head over 5 tokens of 8: projections in 3*8*8 and out 8*8 for each token,
    # scores and mixture 5*5*8 each. Fused kernels would hide part or all of it.
    layer = nn.MultiheadAttention(8, 1, batch_first=True)

    class Self(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    by_hand = 5 * (3 * 64 + 64) + 2 * 5 * 5 * 8
    assert profiling.macs(Self(), torch.zeros(1, 5, 8)) == by_hand
    assert torch.backends.mha.get_fastpath_enabled()


def test_counting_leaves_the_model_as_it_was():
    net = Net().train()
    net.features[1].eval()  # a frozen batch norm inside a training model
    net(torch.randn(4, 1, 8, 8)).sum().backward()
    calls = []
    net.head.register_forward_hook(lambda *_: calls.append(1))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    grads = [p.grad.clone() for p in net.parameters()]
    modes = [m.training for m in net.modules()]
    hooks = [len(m._forward_hooks) for m in net.modules()]
    x = torch.randn(2, 1, 8, 8)

    profiling.macs(net, x)
    profiling.macs_by_module(net, x)
    profiling.peak_memory(net, x)
    profiling.kept_for_backward(net, x)
    profiling.latency(net, x, repeats=1, block=0.1)

    assert modes == [m.training for m in net.modules()]
    assert hooks == [len(m._forward_hooks) for m in net.modules()]
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    for parameter, grad in zip(net.parameters(), grads, strict=True):
        assert torch.equal(parameter.grad, grad)
    net(x).sum().backward()  # nothing of inference mode is left behind


def test_modes_come_back_after_an_error():
    net = Net().train()
    with pytest.raises(RuntimeError):
        profiling.macs(net, torch.zeros(1, 2, 8, 8))  # two channels instead of one
    assert all(module.training for module in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()


# --- arithmetic intensity ------------------------------------------------------------


@pytest.mark.equation("3.4")
def test_arithmetic_intensity_by_hand():
    # 3x3, 16 -> 16 channels, 8x8, float32. Dense: 147,456 multiply-adds;
    # (1,024 in + 2,304 weights + 1,024 out) * 4 bytes = 17,408. Depthwise: 9,216 over
    # (1,024 + 144 + 1,024) * 4 = 8,768.
    x = torch.zeros(1, 16, 8, 8)
    for groups, by_hand in ((1, 147_456 / 17_408), (16, 9_216 / 8_768)):
        layer = nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False)
        moved = x.nbytes + profiling.sizes(layer).bytes + layer(x).nbytes
        assert profiling.macs(layer, x) / moved == pytest.approx(by_hand, rel=1e-12)


# --- milliseconds --------------------------------------------------------------------


def test_latency_is_a_sane_record():
    threads = torch.get_num_threads()
    found = profiling.latency(Net(), torch.zeros(1, 1, 8, 8), repeats=5, block=0.1)
    assert found.repeats == len(found.times) == 5
    assert found.threads == 1
    assert all(time > 0 for time in found.times)
    assert found.median == statistics.median(found.times)
    low, _, high = statistics.quantiles(found.times, n=4, method="inclusive")
    assert found.iqr == pytest.approx(high - low)
    assert torch.get_num_threads() == threads
    with pytest.raises(AttributeError):
        found.median = 0.0


def test_compare_takes_ratios_round_by_round():
    nets = {"one": nn.Conv2d(1, 2, 3), "two": nn.Conv2d(1, 4, 3)}
    found = profiling.compare(nets, torch.zeros(1, 1, 8, 8), repeats=3, block=0.1)
    assert list(found) == ["one", "two"]
    assert (found["one"].ratio, found["one"].ratio_iqr) == (1.0, 0.0)
    one, two = found["one"].latency.times, found["two"].latency.times
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    assert found["two"].ratio == statistics.median(ratios)


def test_interleave_takes_turns():
    order = []
    functions = {name: lambda name=name: order.append(name) for name in "abc"}
    # A block shorter than any call: one timed call each, after two that do not count.
    profiling.interleave(functions, repeats=3, block=1e-9)
    rounds = [order[i : i + 3] for i in range(0, len(order), 3)]
    turns = [name for name, *rest in rounds[-9:] if rest == [name] * 2]
    assert turns == list("abc" + "bca" + "cab")


@pytest.mark.parametrize(
    "settings, message",
    [({"threads": 0}, "threads is 0"), ({"repeats": 0}, "repeats is 0")],
)
def test_latency_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        profiling.latency(Net(), torch.zeros(1, 1, 8, 8), **settings)


def test_latency_refuses_meta_and_nothing():
    with pytest.raises(ValueError, match="meta device"):
        profiling.latency(Net().to("meta"), torch.zeros(1, 1, 8, 8, device="meta"))
    with pytest.raises(ValueError, match="empty"):
        profiling.compare({}, torch.zeros(1))


# --- megabytes -----------------------------------------------------------------------


@pytest.mark.equation("3.5")
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_peak_memory_of_a_chain(device):
    # 16x16 floats a channel = 1,024 bytes. A layer needs its input and its output:
    # 8 then 8 + 8 channels at the in-between ReLU, then 8 + 4. The input x is not ours.
    with torch.device(device):
        chain = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        x = torch.zeros(1, 3, 16, 16)
    assert profiling.peak_memory(chain, x) == 16 * 1024
    chain[1].inplace = True
    assert profiling.peak_memory(chain, x) == 12 * 1024
    assert profiling.peak_memory(chain, torch.cat([x, x])) == 24 * 1024


def test_peak_memory_holds_a_skip():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.wide = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 32, 1)
            self.narrow = nn.Conv2d(32, 8, 1)

        def forward(self, x):
            x = self.stem(x)
            return x + self.narrow(self.wide(x))

    # At `narrow`: the skip 8, the wide 32 and the result 8 are alive together.
    found = profiling.peak_memory(Skip(), torch.zeros(1, 3, 16, 16))
    assert found == (8 + 32 + 8) * 1024


def test_views_are_free():
    class Views(nn.Module):
        def forward(self, x):
            y = x + 1
            return y.flatten(1).unsqueeze(0).transpose(0, 1)

    x = torch.zeros(2, 3, 4, 4)
    assert profiling.peak_memory(Views(), x) == x.nbytes
    assert profiling.peak_memory(nn.Flatten(), x) == 0


def test_training_keeps_what_derivatives_need():
    # The second layer's weight gradient needs the ReLU's output, which the ReLU's own
    # derivative shares; the first layer's needs the input, which is not counted.
    chain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    assert profiling.kept_for_backward(chain, torch.zeros(7, 6)) == 7 * 5 * 4


# --- choosing ------------------------------------------------------------------------


@pytest.mark.equation("3.6")
def test_pareto_front_against_brute_force():
    rng = random.Random(0)
    for _ in range(300):
        size = rng.randint(0, 12)
        cost = [rng.randint(0, 5) for _ in range(size)]  # many ties and duplicates
        quality = [rng.randint(0, 5) for _ in range(size)]

        def dominates(a, b, cost=cost, quality=quality):
            better = cost[a] < cost[b] or quality[a] > quality[b]
            return cost[a] <= cost[b] and quality[a] >= quality[b] and better

        expected = {
            b for b in range(size) if not any(dominates(a, b) for a in range(size))
        }
        found = profiling.pareto_front(cost, quality)
        assert set(found) == expected
        assert len(found) == len(expected)
        assert [cost[i] for i in found] == sorted(cost[i] for i in found)


def test_pareto_front_by_hand():
    #        a  b  c  d: c costs more than b and is no better; d is the best
    assert profiling.pareto_front([3, 1, 2, 4], [8, 5, 5, 9]) == [1, 0, 3]
    assert profiling.pareto_front([1, 1, 1], [2, 3, 3]) == [1, 2]
    assert profiling.pareto_front([], []) == []
    assert profiling.pareto_front([2.0], [-math.inf]) == [0]
    assert profiling.pareto_front(torch.tensor([2.0, 1.0]), torch.ones(2)) == [1]


def test_pareto_front_refuses():
    with pytest.raises(ValueError, match="point 1 is .*NaN"):
        profiling.pareto_front([1, math.nan], [1, 1])
    with pytest.raises(ValueError, match="2 costs but 1 qualities"):
        profiling.pareto_front([1, 2], [1])


def test_hypervolume_by_hand_and_on_a_raster():
    # Two steps: from cost 1 to 4 up to quality 2, from cost 3 to 4 two higher.
    assert profiling.hypervolume([1, 3], [2, 4], (4, 0)) == 3 * 2 + 1 * 2
    assert profiling.hypervolume([1, 3, 2], [2, 4, 1], (4, 0)) == 8
    assert profiling.hypervolume([5, 1], [9, -1], (4, 0)) == 0
    rng = random.Random(1)
    for _ in range(50):
        cost = [rng.randint(0, 8) for _ in range(5)]
        quality = [rng.randint(0, 8) for _ in range(5)]
        cells = sum(
            any(c <= x and q > y for c, q in zip(cost, quality, strict=True))
            for x in range(7)
            for y in range(2, 8)
        )
        assert profiling.hypervolume(cost, quality, (7, 2)) == cells


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_other_numbers_than_its_inputs_is_told_so(kind):
    layer, x = nn.Conv2d(3, 8, 3, padding=1), torch.zeros(1, 3, 16, 16)
    by_hand = 8 * 3 * 9 * 16 * 16
    ways = [
        profiling.macs,
        profiling.macs_by_module,
        profiling.peak_memory,
        profiling.kept_for_backward,
        functools.partial(profiling.latency, repeats=1, block=0),
    ]
    assert profiling.macs(layer.to(kind), x.to(kind)) == by_hand
    told = f"inputs are torch.float32 and the model's weights {kind}: give both"
    for way in ways:
        with pytest.raises(ValueError, match=told):
            way(layer, x)
    with pytest.raises(RuntimeError, match="channels"):  # another fault, its own words
        profiling.macs(layer, x[:, :2].to(kind))


CONVOLUTIONS = {
    "groups and stride": (nn.Conv2d(4, 8, 3, 2, 1, groups=2), (3, 4, 10, 10)),
    "a picture that is no square": (nn.Conv2d(4, 6, 3, stride=2), (2, 4, 9, 12)),
    "a filter that is no square": (nn.Conv2d(4, 6, (1, 7)), (2, 4, 9, 9)),
    "a filter with holes": (nn.Conv2d(4, 6, 3, dilation=2), (2, 4, 9, 9)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 9, 9)),
    "padding same": (nn.Conv2d(4, 8, 3, padding="same"), (1, 4, 11, 11)),
    "no batch": (nn.Conv2d(4, 8, 3), (4, 11, 11)),
    "along a line": (nn.Conv1d(4, 6, 3), (2, 4, 9)),
    "in space": (nn.Conv3d(4, 6, 3), (1, 4, 9, 9, 9)),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_every_convolution_counts_as_pytorch_counts_it(kind):
    """Square ones by `grouped_conv_macs`, the others by PyTorch's formula."""
    layer, shape = CONVOLUTIONS[kind]
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(shape))
    assert 2 * profiling.macs(layer, torch.zeros(shape)) == counter.get_total_flops()
