"""Networks in integers against the fake-quantized ones; equations; what is refused."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from lib.basics import training
from lib.compression import arithmetic, deployed, integer, qat, quantize
from lib.compression.quantize import QParams
from lib.detection import coco_eval, detectors


def grid(scale, zero, low=0, high=255):
    return QParams(torch.tensor(scale), torch.tensor(zero).int(), low, high)


def prepared(model, example, seed=0, **how):
    """A network that rounds, calibrated with noise."""
    how = {"weights": qat.Scheme(bits=8)} | how
    graph = qat.prepare(deployed.deployed(model.eval(), example), **how)
    generator = torch.Generator().manual_seed(seed)
    batches = [torch.randn(4, *example.shape[1:], generator=generator) for _ in "ab"]
    return qat.calibrate(graph, batches).eval(), batches[0]


@pytest.fixture(scope="module")
def lite():
    """The shipped detector that rounds, the same in integers, and some pictures."""
    graph = qat.prepare(
        deployed.deployed(detectors.shipped("lite"), torch.zeros(1, 3, 128, 128)),
        qat.Scheme(bits=8),
    )
    seen = detectors.scenes("train", 16)
    pictures = torch.stack([seen[i].image for i in range(16)])
    qat.calibrate(graph, training.normalise(pictures).split(8))
    scenes = detectors.scenes("validation", 4)
    pictures = torch.stack([scenes[i].image for i in range(4)])
    return graph.eval(), integer.convert(graph), training.normalise(pictures)


class NoReals(TorchDispatchMode):
    """Refuses every operation that reads or makes a tensor of real numbers."""

    calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for value in pytree.tree_leaves((args, kwargs, made)):
            if isinstance(value, torch.Tensor):
                assert not value.is_floating_point(), function
        NoReals.calls += 1
        return made


# ---------------------------------------------------------------------------- equations


@pytest.mark.equation("21.1")
def test_sums_of_three_taps_by_hand():
    """x is 250, 20, 200 with zero point 128; weights 100, -120, 90; bias 1000."""
    x = torch.tensor([250, 20, 200]).view(1, 1, 1, 3)
    weight = torch.tensor([100, -120, 90], dtype=torch.int8).view(1, 1, 1, 3)
    bias = torch.tensor([1000]).int()
    # 100 * 122 + 120 * 108 + 90 * 72 + 1000 = 12200 + 12960 + 6480 + 1000
    assert arithmetic.accumulate(x, weight, bias, 128).item() == 32640
    # In real numbers: 0.3 * 2.44 + 0.36 * 2.16 + 0.27 * 1.44 + 0.06
    assert abs(32640 * 0.02 * 0.003 - 1.9584) < 1e-9


@pytest.mark.equation("21.2")
def test_bias_in_steps_of_the_accumulator():
    w = QParams(torch.tensor([0.01, 0.5]), torch.zeros(2).int(), -127, 127, 0)
    weight = torch.tensor([[1, -2], [3, 4]]).int()
    layer = arithmetic.integer_layer(
        weight, torch.tensor([0.4, -1.0]), w, grid(0.02, 9)
    )
    assert layer.bias.tolist() == [2000, -100]  # 0.4 / 0.0002, -1 / 0.01
    assert layer.bias.dtype == torch.int32
    assert layer.weight.dtype == torch.int8
    torch.testing.assert_close(layer.step, torch.tensor([2e-4, 0.01]).double())
    layer = arithmetic.integer_layer(
        weight, torch.tensor([0.40003, 0.0]), w, grid(0.02, 9)
    )
    assert layer.bias.tolist() == [2000, 0]
    assert abs(layer.rest[0] - 0.15) < 1e-3  # 2000.15


@pytest.mark.equation("21.3")
def test_three_ten_thousandths():
    """0.0003 * 2^11 = 0.6144 lies in [0.5, 1); times 2^31 that is 1319413953.33."""
    multiplier, shift = arithmetic.fixed_point(0.0003)
    assert (multiplier, shift) == (1319413953, 42)


@pytest.mark.equation("21.4")
def test_halves_go_to_the_even_side():
    values = torch.tensor([-7, -6, -5, -3, -2, -1, 1, 2, 3, 5, 6, 7, 10, 14])
    mine = arithmetic.rounded_shift(values, 2)
    # -1.75 -1.5 -1.25 -0.75 -0.5 -0.25 0.25 0.5 0.75 1.25 1.5 1.75 2.5 3.5
    assert mine.tolist() == [-2, -2, -1, -1, 0, 0, 0, 0, 1, 1, 2, 2, 2, 4]


@pytest.mark.equation("21.5")
def test_requantization_by_hand():
    """32640 * 0.0003 is 9.792, so 10, and the zero point is 3."""
    stage = arithmetic.choose_output_stage(0.0003, grid(0.2, 3))
    sums = torch.tensor([32640, -32640, 10**6, 1666])
    # 9.792, -9.792 (below 0), 300 (above 255), 0.4998
    assert arithmetic.requantize(sums, stage).tolist() == [13, 0, 255, 3]
    # What the bias left over: 0.4998 + 0.5 * 0.0003 is still below a half, and
    # 0.4998 + 0.7 * 0.0003 is above.
    for rest, wanted in ((0.5, 3), (0.7, 4)):
        stage = arithmetic.choose_output_stage(0.0003, grid(0.2, 3), rest=rest)
        assert arithmetic.requantize(torch.tensor([1666]), stage).item() == wanted


@pytest.mark.equation("21.6")
def test_activations_are_bounds():
    assert arithmetic.bounds(grid(0.2, 3), 0.0, 6.0).tolist() == [3, 33]
    assert arithmetic.bounds(grid(0.05, 100), 0.0, 6.0).tolist() == [100, 220]
    assert arithmetic.bounds(grid(0.05, 100), 0.0, math.inf).tolist() == [100, 255]
    assert arithmetic.bounds(grid(0.02, 0), 0.0, 6.0).tolist() == [0, 255]  # 300


@pytest.mark.equation("21.7")
def test_what_an_accumulator_can_reach():
    taps, thousand = torch.tensor([[[[100, -120, 90]]]]), torch.tensor([1000])
    assert arithmetic.accumulator_bound(taps, thousand, 128).item() == 40680
    weight = torch.tensor([[127, -127, 1], [0, 0, 2]], dtype=torch.int8)
    bias = torch.tensor([-5, 7]).int()
    assert arithmetic.largest_magnitude(grid(0.1, 200)) == 200
    bound = arithmetic.accumulator_bound(weight, bias, 200)
    assert bound.tolist() == [255 * 200 + 5, 2 * 200 + 7]
    # Reached: signs of the inputs as those of the weights.
    x = torch.tensor([[0, 400, 0]])
    mine = arithmetic.accumulate_linear(x, weight, bias, 200)
    assert mine[0, 0] == -255 * 200 - 5


@pytest.mark.equation("21.8")
def test_a_sum_of_two_grids_by_hand():
    """3 * 0.5 + 10 * 0.125 = 2.75; in steps of 0.25 that is 11, with zero point 4."""
    weights, step = arithmetic.common_step([0.5, 0.125], [255, 255])
    assert weights[0] == 4 * weights[1]
    assert weights[0].item() * step == 0.5
    stage = arithmetic.choose_output_stage(step / 0.25, grid(0.25, 4))
    x, y = torch.tensor([10 + 3]), torch.tensor([20 + 10])
    mine = arithmetic.weighted_sum(
        x, y, zero_points=(10, 20), weights=weights, stage=stage
    )
    assert mine.tolist() == [15]


@pytest.mark.equation("21.9")
def test_an_average_by_hand():
    """(1 + 2 + 3 + 5) / 4 = 2.75, times 0.1 / 0.05 is 5.5, to even 6, and 7 more."""
    x = torch.tensor([[11, 12], [13, 15]])[None, None]
    stage = arithmetic.choose_output_stage(2 / 4, grid(0.05, 7))
    mine = arithmetic.average_pool(x, torch.tensor(10), stage, 2)
    assert mine.item() == 13


# ------------------------------------------------------------------------- the detector


def test_every_operator_of_lite_agrees_on_equal_integers(lite):
    graph, network, pictures = lite
    off = integer.differences(graph, network, pictures)
    assert len(off) == len(qat.maps(graph)) - 1  # all but the image
    for name, steps in off.items():
        assert steps.abs().max() <= 1, name
        assert (steps == 0).double().mean() >= 0.999, name


def test_no_real_number_stands_between_pictures_and_results(lite):
    _, network, pictures = lite
    integers = network.integers(pictures)
    assert integers.dtype == torch.int32
    with NoReals():
        network.body(integers)
    assert NoReals.calls > 500
    with pytest.raises(AssertionError), NoReals():
        integers * 0.5  # the guard works


def test_the_whole_network_is_that_of_double_precision(lite):
    """Integers are exact; what differs from float32 is float32's own rounding."""
    graph, network, pictures = lite
    pictures = quantize.dequantize(network.integers(pictures), network.grid)
    exact = copy.deepcopy(graph).double()
    with torch.no_grad():
        theirs = pytree.tree_leaves(exact(pictures.double()))
    for mine, real, out in zip(
        pytree.tree_leaves(network(pictures)), theirs, network.outputs, strict=True
    ):
        off = ((mine - real) / out.scale).round()
        assert off.abs().max() <= 1
        assert (off == 0).double().mean() >= 0.999


def test_outputs_are_those_of_a_detector(lite):
    graph, network, pictures = lite
    with torch.no_grad():
        theirs, mine = graph(pictures), network(pictures)
    assert pytree.tree_structure(mine) == pytree.tree_structure(theirs)
    for a, b in zip(*map(pytree.tree_leaves, (mine, theirs)), strict=True):
        assert a.shape == b.shape and a.dtype == torch.float32
    assert network.config == graph.config
    assert not any(p.requires_grad for p in network.parameters())
    scenes = detectors.scenes("validation", 2)
    found = coco_eval.detections(network, scenes, threshold=0.3)
    assert found and {"image_id", "category_id", "bbox", "score"} <= set(found[0])


def test_average_precision_is_that_of_the_fake_quantized(lite):
    graph, network, _ = lite
    scenes = detectors.scenes("test", 100)  # chapter 21 takes 200
    ap = [
        coco_eval.evaluate(
            scenes.coco(), coco_eval.detections(model, scenes, batch_size=8)
        ).ap
        for model in (graph, network)
    ]
    assert abs(ap[0] - ap[1]) <= 0.005
    assert ap[0] > 0.5


def test_a_picture_gives_the_same_integers_in_any_company(lite):
    _, network, pictures = lite
    integers = network.integers(pictures)
    alone = pytree.tree_leaves(network.body(integers[1:2]))
    together = pytree.tree_leaves(network.body(integers))
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a[0], b[1])


def test_what_it_stores_is_small(lite):
    graph, network, _ = lite
    weights = sum(m.weight.numel() for m in qat.layers(graph).values())
    assert weights < network.size() < 2.5 * weights
    for step in network.body.modules():
        if hasattr(step, "weight"):
            assert step.weight.dtype == torch.int8
            assert step.bias.dtype == torch.int32
    assert len(qat.layers(graph)) == sum(
        hasattr(step, "weight") for step in network.body.modules()
    )


def test_the_network_handed_in_stays_as_it_is(lite):
    graph, _, pictures = lite
    before, nodes = copy.deepcopy(graph.state_dict()), len(graph.graph.nodes)
    integer.convert(graph)
    assert len(graph.graph.nodes) == nodes
    for key, value in graph.state_dict().items():
        assert torch.equal(value, before[key]), key


# ----------------------------------------------------------------------- other networks


class Everything(nn.Module):
    """One of each operator, on two paths that meet again and again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 2, 2, groups=8, bias=False)
        self.gate = nn.Linear(8, 8)
        self.last = nn.Linear(16, 5)
        self.share = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        x = F.silu(self.norm(self.first(x)))
        y = self.depthwise(F.pad(x, (0, 1, 0, 1))[:, :, :-1, :-1])
        gate = self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None]
        z = F.relu6(y * gate + x)
        small = F.avg_pool2d(z, 2)
        big = F.interpolate(F.max_pool2d(z, 3, 2, 1, ceil_mode=True), z.shape[2:])
        fused = torch.addcmul(x * self.share, big, 1 - self.share)
        both = torch.cat([F.relu(fused - z), z], 1)
        return {"scores": self.last(both.mean((2, 3))), "map": small.flatten(1)}


@pytest.fixture(scope="module")
def everything():
    torch.manual_seed(0)
    model = Everything()
    model.norm.running_mean.normal_(), model.norm.running_var.uniform_(0.5, 2)
    graph, images = prepared(model, torch.zeros(1, 3, 64, 64))
    return graph, integer.convert(graph), images


def test_each_operator_agrees(everything):
    graph, network, images = everything
    images = torch.cat([images, images.flip(2), images.flip(3), -images])
    off = integer.differences(graph, network, images)
    assert len(off) == len(qat.maps(graph)) - 1
    for name, steps in off.items():
        assert steps.abs().max() <= 1, name
        assert (steps == 0).double().mean() >= 0.999, name
    integers = network.integers(images)
    with NoReals():
        network.body(integers)


def test_structure_of_the_results_stays(everything):
    graph, network, images = everything
    with torch.no_grad():
        theirs = graph(images)
    mine = network(images)
    assert list(mine) == ["scores", "map"]
    for key, value in mine.items():
        width = theirs[key].max() - theirs[key].min()
        assert (value - theirs[key]).abs().max() < 0.03 * width


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_fewer_bits_agree_too(bits):
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, padding=1)
    )
    how = {
        "weights": qat.Scheme(bits=bits),
        "activations": qat.Scheme(bits, False, False, None),
    }
    graph, images = prepared(model, torch.zeros(1, 3, 32, 32), **how)
    for steps in integer.differences(graph, integer.convert(graph), images).values():
        assert steps.abs().max() <= 1
        assert (steps == 0).double().mean() >= 0.999


def test_the_detector_with_gates_and_tables_agrees():
    """SiLU, weighted sums and cells: the form that is not made for eight bits."""
    graph = qat.prepare(
        deployed.deployed(detectors.detector("course"), torch.zeros(1, 3, 128, 128)),
        qat.Scheme(bits=8),
    )
    scenes = detectors.scenes("validation", 2)
    images = training.normalise(torch.stack([scenes[i].image for i in range(2)]))
    qat.calibrate(graph, images)
    off = integer.differences(graph.eval(), integer.convert(graph), images)
    for name, steps in off.items():
        assert steps.abs().max() <= 1, name
        assert (steps == 0).double().mean() >= 0.999, name


# ---------------------------------------------------------------------- what is refused


def refused(model, words, change=None, **how):
    graph, _ = prepared(model, torch.zeros(1, 3, 16, 16), **how)
    if change:
        change(graph)
    with pytest.raises(ValueError, match=words):
        integer.convert(graph)


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
            r"^upsample_bilinear2d.*: upsample_bilinear2d has no integer form",
        ),
        (
            lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            "^avg_pool2d.*several sizes",
        ),
        (
            lambda x: F.pad(x, (1, 1, 1, 1), "reflect"),
            "^pad.*'reflect'; only by a constant",
        ),
        (lambda x: torch.addcmul(x, x, x), "^addcmul.*no single number"),
        (lambda x: x + 1.0, "^add.*it reads 1.0, which no FakeQuantize has rounded"),
    ],
)
def test_an_operator_without_integer_form_is_named(function, words):
    refused(Calls(function), words)


def test_what_was_not_prepared_is_named():
    graph = deployed.deployed(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="^conv_0.*a Conv2d that was not prepared"):
        integer.convert(graph)


def test_results_that_nothing_rounds_are_refused():
    refused(nn.Conv2d(3, 4, 1), "^output: it reads conv_0.*has rounded", outputs=False)
    refused(nn.Conv2d(3, 4, 1), "^conv_0.*it reads .*has rounded", activations=None)


def test_a_network_without_grids_is_refused():
    graph = qat.prepare(deployed.deployed(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 8, 8)))
    with pytest.raises(ValueError, match="calibrate"):
        integer.convert(graph)


def test_sums_beyond_int32_name_the_layer():
    wide = {
        "weights": qat.Scheme(bits=16),
        "activations": qat.Scheme(16, False, False, None),
    }
    refused(nn.Conv2d(3, 4, 3), r"^conv_0.*sums reach \d+; int32 ends", **wide)
