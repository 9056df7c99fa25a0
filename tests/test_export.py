"""ONNX files: parity in fp32, our scales in integers, what a runtime makes of them.

Weights of 7 bits are asked for what they promise on every machine. Weights of 8 bits
are asked for the same where onnxruntime's kernels add exactly, and elsewhere for the
bound that pairs of products in 16 bits leave: `promised`. `make test-haswell` runs
this file on a processor of the second kind.
"""

import hashlib
import importlib.util
import math
import platform
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.basics import checkpoints, training
from lib.compression import deployed, export, grids, operators, qat, quantize
from lib.detection import anchors, bifpn, coco_eval, decoding, detectors, efficientdet
from lib.nas import nasnet, search_space


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def randomised(model):
    """Norms as after training, so that folding them means something."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


def leaves(outputs):
    return torch.utils._pytree.tree_leaves(outputs)


def largest(ours, wanted):
    pairs = zip(leaves(ours), leaves(wanted), strict=True)
    return max((x - y).abs().max().item() for x, y in pairs)


def steps(ours, wanted, scale):
    """Differences in whole steps of a grid."""
    return ((ours - wanted) / scale).round().abs()


class Then(nn.Module):
    """A function as a module: torch.export wants one."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def quantized(model, *batches, bits=7, **schemes):
    """The model, deployed, fake-quantized and calibrated; weights of `bits`."""
    schemes = {"weights": qat.Scheme(bits=bits)} | schemes
    fake = qat.prepare(deployed.deployed(model, batches[0]), **schemes)
    fake = qat.calibrate(fake, batches).eval()
    return fake


def written(fake, images, path, bits=7):
    """The file of a fake-quantized graph; it warns of 8 bits, and of 7 it does not."""
    if bits > 7:
        with pytest.warns(UserWarning, match="saturate"):
            return export.to_qdq_onnx(fake, images, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return export.to_qdq_onnx(fake, images, path)


def lost(layer, x, grid):
    """What pairs in 16 bits may lose of each sum at most, as a real number.

    Products p and q together are beyond 32,767 by (p - 16,383.5) + (q - 16,383.5), so
    each adds no more than its own part of that, whatever its partner is. Likewise
    below -32,768. Products are of bytes, before the zero point is taken off.
    """
    bytes_ = quantize.quantize(x, grid).double() - grid.low
    rounding = layer.weight_quantizer.qparams()
    weights = quantize.quantize(layer.weight, rounding).double().flatten(1)
    if isinstance(layer, nn.Conv2d):
        (down, across), zero = layer.padding, float(grid.zero_point - grid.low)
        sides = (across, across, down, down)
        bytes_ = F.pad(bytes_, sides, value=zero)
        how = {"dilation": layer.dilation, "stride": layer.stride}
        bytes_ = F.unfold(bytes_, layer.kernel_size, **how)
        bytes_ = bytes_.unflatten(1, (layer.groups, -1))  # B groups C*k*k places
    else:
        bytes_ = bytes_[:, None, :, None]  # B 1 C 1
    most = []
    for i, weight in enumerate(weights):
        group = i * bytes_.shape[1] // len(weights)
        products = bytes_[:, group] * weight[:, None]
        above = (products - 16383.5).clamp(min=0).sum(1)
        below = (-16384 - products).clamp(min=0).sum(1)
        most.append(torch.maximum(above, below))
    step = grid.scale.double() * rounding.scale.double().reshape(-1, 1)
    return torch.stack(most, 1) * step


def promised(fake, images, bits):
    """How far a file may be from the graph, beside one step at ties; a real number.

    Nothing, but for 8 bits where kernels saturate: there what the layers may lose.
    What follows them makes it larger by 1.1 at most: SiLU's steepest slope, or the
    quarter of an input below 4.4 that a sigmoid multiplies.
    """
    if bits == 7 or not export.saturates():
        return 0.0
    seen, rounding, total = {}, qat.maps(fake), 0.0

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node):
            seen[node] = super().run_node(node)
            return seen[node]

    Recorder(fake).run(images)
    for node in fake.graph.nodes:
        if node.op == "call_module" and node.target not in rounding:
            above = node.args[0]
            while above.target not in rounding:
                above = above.args[0]
            grid, layer = (
                rounding[above.target].qparams(),
                fake.get_submodule(node.target),
            )
            total += lost(layer, seen[node.args[0]], grid).max().item()
    return 1.1 * total


# ------------------------------------------------------------------------ fp32: parity


@torch.no_grad()
@pytest.mark.parametrize("name", ["plain", "course", "lite"])
def test_a_shipped_detector_gives_the_same_in_onnxruntime(name, tmp_path):
    model = detectors.shipped(name)
    images = torch.randn(5, 3, 128, 128)
    path = export.to_onnx(model, images[:1], tmp_path / "model.onnx")
    network = export.Network(path)
    for batch in (1, 2, 5):
        ours, wanted = network(images[:batch]), model(images[:batch])
        assert [x.shape for x in leaves(ours)] == [x.shape for x in leaves(wanted)]
        assert largest(ours, wanted) < 1e-4
    # One file, about as large as the weights.
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    weights = sum(p.numel() for p in model.parameters()) * 4
    assert 0.95 * weights < path.stat().st_size < 1.15 * weights + 5e4


@torch.no_grad()
def test_d0_in_onnxruntime(tmp_path):
    """An odd size: of levels 13 and 9 pixels wide, none is half of another."""
    model = randomised(efficientdet.efficientdet("d0", num_classes=3))
    images = torch.randn(2, 3, 100, 68)
    network = export.Network(export.to_onnx(model, images, tmp_path / "model.onnx"))
    for batch in (1, 2):
        wanted = model(images[:batch])
        scale = max(x.abs().max().item() for x in leaves(wanted))
        assert largest(network(images[:batch]), wanted) < 1e-4 * max(scale, 1)


@torch.no_grad()
def test_classifiers_and_cells_in_onnxruntime(tmp_path):
    cells = nasnet.network(search_space.FOUND, filters=4, cells=1, num_classes=5)
    small = training.small_cnn()
    for i, (model, size) in enumerate([(cells, 32), (small, 32)]):
        model, images = randomised(model), torch.randn(3, 3, size, size)
        network = export.Network(export.to_onnx(model, images, tmp_path / f"{i}.onnx"))
        wanted = model(images)
        assert largest(network(images), wanted) < 1e-4 * wanted.abs().max().clamp(min=1)


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 16), (13, 9)])
def test_pyramids_of_any_size(size, tmp_path):
    """ "SAME" pools that hang over, and nearest pixels by Eq. 11.3."""
    levels = bifpn.level_sizes(size, 0, 2)

    def both(x):
        small = bifpn.resample(bifpn.resample(x, levels[1]), levels[2])
        return bifpn.resample(bifpn.resample(small, levels[1]), levels[0])

    images = torch.randn(2, 3, *size)
    network = export.Network(export.to_onnx(Then(both), images, tmp_path / "m.onnx"))
    assert torch.equal(network(images), both(images))


@torch.no_grad()
@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda x: F.max_pool2d(x, 2, 2, 0, 1, True),
        lambda x: F.avg_pool2d(x, 3, 2, 1, True, False),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        lambda x: x.mean((2, 3), keepdim=True) * x,
        lambda x: x.mean(1),
        lambda x: F.pad(x, (1, 2, 0, 3)),
        lambda x: F.max_pool2d(F.pad(x, (1, 2, 0, 3), value=-math.inf), 3),
        lambda x: F.hardtanh(x, -1, 1) + x.clamp(max=0.5),
        lambda x: torch.cat([x[:, :, ::2, 1:], x[:, 1:, 0:7:2, :-1]], 1),
        lambda x: torch.addcmul(x, x, x, value=0.5) - 2 * x / 3,
        lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, 2).softmax(-1),
        lambda x: F.silu(x) + F.sigmoid(x) * torch.tanh(x) + F.hardswish(x),
        lambda x: F.interpolate(x, scale_factor=2.0) + F.interpolate(x, (14, 12)),
        lambda x: F.interpolate(x, scale_factor=(1.3, 2.4)),
        lambda x: F.pad(x, (1, 2, 0, 3), "reflect"),
        lambda x: F.pad(x, (1, 2, 0, 3), "replicate"),
        lambda x: F.pad(x, (1, 2, 0, 3), "circular"),
        lambda x: x.permute(0, -2, -1, 1).transpose(-1, 2),
        lambda x: x.permute(0, 2, 3, 1).contiguous().view(x.size(0), -1, 4),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.permute(1, 0, 2, 3) + 1,
        lambda x: x.permute(1, 0, 2, 3).flatten(2).unsqueeze(1).unsqueeze(0).squeeze(2),
        lambda x: x.reshape(-1, 6),
        lambda x: shuffled(x, 2),
    ],
)  # fmt: skip
def test_every_operator_against_torch(function, tmp_path):
    """Onnxruntime and ONNX's own interpreter, on a height of 7 and a width of 6.

    On a batch of the example's size and on others.
    """
    example = torch.randn(2, 4, 7, 6)
    path = export.to_onnx(Then(function), example, tmp_path / "model.onnx")
    reference = onnx.reference.ReferenceEvaluator(onnx.load(path))
    for batch in (2, 1, 5):
        x = torch.randn(batch, 4, 7, 6)
        torch.testing.assert_close(export.Network(path)(x), function(x))
        (found,) = reference.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), function(x))


def shuffled(x, groups):
    """The channel shuffle of ShuffleNet, as its authors write it."""
    x = x.view(x.shape[0], groups, -1, *x.shape[2:])
    return x.transpose(1, 2).contiguous().view(x.shape[0], -1, *x.shape[3:])


@torch.no_grad()
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_paddings_of_a_convolution(mode, tmp_path):
    """In floats and in integers, against torch."""
    images = torch.randn(4, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode), nn.ReLU())
    path = export.to_onnx(model, images[:1], tmp_path / "m.onnx")
    torch.testing.assert_close(export.Network(path)(images), model(images))
    fake = grids.settle(quantized(model, images))
    path = written(fake, images[:1], tmp_path / "q.onnx")
    scale = list(qat.maps(fake).values())[-1].scale
    assert steps(export.Network(path)(images), fake(images), scale).max() <= 1


@torch.no_grad()
def test_a_pad_between_two_steps_is_rounded_in_file_and_graph(tmp_path):
    """0.3 is no step of a grid of 2 / 255: the padded map gets a grid of its own."""
    images = torch.rand(2, 1, 4, 4) * 2 - 1
    pad = Then(lambda x: F.pad(x, (1, 1, 1, 1), value=0.3))
    fake = quantized(Then(lambda x, c: c(pad(x)), nn.Conv2d(1, 2, 1)), images)
    assert len(qat.maps(fake)) == 3  # before the pad, behind it, behind the layer
    path = written(grids.settle(fake), images, tmp_path / "q.onnx")
    scale = list(qat.maps(fake).values())[-1].scale
    assert steps(export.Network(path)(images), fake(images), scale).max() <= 1


def test_what_only_holds_for_an_example_is_refused(tmp_path):
    """The sizes of the batch, the type of numbers, a chance that is always on."""
    images, path = torch.randn(2, 3, 8, 8), tmp_path / "m.onnx"
    for function, said in (
        (lambda x: x / x.size(0), r"div.* reads sym_size"),
        (lambda x: x.view(4, -1, 8, 8), "cannot be written as a graph"),
        (lambda x: F.dropout(x, 0.5, True), "dropout drops values in evaluation"),
        (lambda x: x.mean((2, 3), dtype=torch.float64), "mean.*float32"),
        (lambda x: x.softmax(1, dtype=torch.float64), "softmax of torch.float64"),
        (lambda x: torch.div(x.sum((2, 3)), 64, rounding_mode="floor"), "no ONNX form"),
        (lambda x: torch.stack(x.split(1, 1)), "getitem reads split.*, of aten.split"),
        (lambda x: F.max_pool2d(x.permute(1, 2, 3, 0), 1), "depends on the batch"),
    ):
        with pytest.raises(ValueError, match=said):
            export.to_onnx(Then(function), images, path)
    with pytest.raises(ValueError, match="torch.float64; the file computes in float32"):
        export.to_onnx(nn.Conv2d(3, 4, 1).double(), images.double(), path)
    assert not list(tmp_path.iterdir())


@torch.no_grad()
def test_pads_below_zero_cut_off(tmp_path):
    x = torch.randn(2, 4, 7, 6)
    model = Then(lambda x: F.pad(x, (-1, 2, 0, -3), value=0.3))
    path = export.to_onnx(model, x, tmp_path / "m.onnx")
    torch.testing.assert_close(export.Network(path)(x), model(x))


def test_a_copy_that_is_written_into_leaves_its_source(tmp_path):
    """By hand: x + (x + 1) is 2 x + 1; where the copy were lost, 2 x + 2."""

    def function(x):
        y = x.clone()
        y.add_(1)
        return x + y

    x = torch.randn(2, 3)
    path = export.to_onnx(Then(function), x, tmp_path / "m.onnx")
    torch.testing.assert_close(export.Network(path)(x), 2 * x + 1)


def test_a_file_that_gives_something_else_is_not_written(tmp_path, monkeypatch):
    """Whatever rule is wrong: the file is run on other values before it is there."""
    images, path = torch.zeros(1, 3, 8, 8), tmp_path / "m.onnx"
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid())
    wrong = {torch.ops.aten.sigmoid.default: lambda g, node, x: g.names[x]}
    monkeypatch.setattr(operators, "OPERATORS", operators.OPERATORS | wrong)
    with pytest.raises(ValueError, match="differs from the graph's"):
        export.to_onnx(model, images, path)
    with pytest.raises(ValueError, match="differs from the graph's"):
        export.to_qdq_onnx(quantized(model, torch.randn(2, 3, 8, 8)), images, path)
    assert not list(tmp_path.iterdir())


@pytest.mark.equation("22.4")
def test_pads_of_a_window_that_hangs_over_by_hand(tmp_path):
    """7 pixels, windows of 3, every second one, 1 pad before: the 4th begins at 5.

    (4 - 1) * 2 + 3 - 7 - 1 = 1 pad behind; for 6 pixels, 2. Under ceil_mode torch
    leaves out windows that begin in the pads behind, ONNX before opset 22 does not.
    """
    for size, behind in ((7, 1), (6, 2)):
        pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        path = export.to_onnx(pool, torch.randn(1, 1, size, size), tmp_path / "m.onnx")
        node = next(n for n in onnx.load(path).graph.node if n.op_type == "MaxPool")
        how = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert how["pads"] == [1, 1, behind, behind] and not how.get("ceil_mode")


def test_an_uneven_pad_becomes_part_of_its_convolution(tmp_path):
    conv = nn.Conv2d(3, 4, 3, 2)
    model = Then(lambda x, conv: conv(F.pad(x, (0, 1, 0, 1))), conv)
    path = export.to_onnx(model, torch.randn(1, 3, 8, 8), tmp_path / "m.onnx")
    assert export.operator_counts(path) == {"Conv": 1, "Identity": 1}
    node = onnx.load(path).graph.node[0]
    how = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert how["pads"] == [0, 0, 1, 1]


def test_what_has_no_onnx_form_is_named_and_nothing_is_written(tmp_path):
    path = tmp_path / "model.onnx"
    for function, said in (
        (lambda x: x.cumsum(1), "cumsum"),
        (lambda x: F.adaptive_avg_pool2d(x, 2), "adaptive_avg_pool2d"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=3), "divisor"),
        (lambda x: torch.add(x, x, alpha=2), "alpha"),
    ):
        with pytest.raises(ValueError, match=said):
            export.to_onnx(Then(function), torch.randn(1, 3, 8, 8), path)
    path.write_bytes(b"what was there")
    with pytest.raises(ValueError, match="cumsum"):
        export.to_onnx(Then(lambda x: x.cumsum(1)), torch.randn(1, 3, 8, 8), path)
    assert path.read_bytes() == b"what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


# ------------------------------------------------------------- integers: by operator


@pytest.mark.equation("22.1")
def test_q_and_dq_by_hand(tmp_path):
    """Step 0.5, zero at 2: 0.6 is 1.2 steps, 1 + 2 = 3 in the file, 0.5 behind it."""
    one = nn.Conv2d(1, 1, 1, bias=False)  # times 1
    one.weight.data.fill_(1)
    fake = quantized(one, torch.tensor([[[[0.0, 1]]]]))
    grid = quantize.QParams(torch.tensor(0.5), torch.tensor(2).int(), 0, 255)
    for module in qat.maps(fake).values():
        module.set(grid)
    x = torch.tensor([[[[0.6, 0.75, -3, 500]]]])  # 1.5 steps go to the even 2
    path = export.to_qdq_onnx(fake, x, tmp_path / "m.onnx")
    assert export.Network(path)(x).flatten().tolist() == [0.5, 1, -1, 126.5]
    content = onnx.load(path)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in content.graph.initializer}
    q = next(n for n in content.graph.node if n.op_type == "QuantizeLinear")
    assert values[q.input[1]] == 0.5 and values[q.input[2]] == 2
    assert values[q.input[2]].dtype == np.uint8


BITS = 7, 8  # of weights


def of_all_kinds():
    """(name, model, how many steps its results may be away)."""
    torch.manual_seed(0)  # the same weights whatever was collected before
    conv = nn.Conv2d
    yield "conv 3x3", conv(8, 16, 3, padding=1)
    yield "conv of stride 2", nn.Sequential(conv(8, 16, 3, 2, 1), nn.ReLU())
    yield "conv 1x1, relu6", nn.Sequential(conv(8, 16, 1), nn.ReLU6())
    yield "depthwise", nn.Sequential(conv(8, 8, 3, padding=1, groups=8), nn.ReLU())
    yield "depthwise of 5, stride 2", conv(8, 8, 5, 2, 2, groups=8, bias=False)
    yield "groups", conv(8, 16, 3, padding=1, groups=2)
    yield "dilation", conv(8, 4, 3, padding=2, dilation=2)
    uneven = Then(lambda x, c: c(F.pad(x, (0, 1, 0, 1))), conv(8, 8, 3, 2))
    yield "uneven pads", uneven
    yield "linear", Then(lambda x, f: f(x.mean((2, 3))), nn.Linear(8, 5))
    both = (conv(8, 8, 1), conv(8, 8, 1))
    yield "add", Then(lambda x, a, b: a(x) + b(x), *both)
    yield "add, relu", Then(lambda x, a, b: F.relu(a(x) + b(x)), *both)
    yield "concat", Then(lambda x, a, b: torch.cat([a(x), b(x)], 1), *both)
    for name, function in (
        ("max pool", lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)),
        ("average pool", lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
        ("average of all", lambda x: x.mean((2, 3), keepdim=True)),
        ("nearest", lambda x: F.interpolate(x, scale_factor=2.0)),
        ("nearest, uneven", lambda x: F.interpolate(x, (19, 25))),
        ("pad", lambda x: F.pad(x, (1, 2, 3, 0))),
        ("slice", lambda x: x[:, :, ::2, 1:]),
        ("silu", F.silu),
    ):
        yield name, Then(lambda x, c, f=function: f(c(x)), conv(8, 8, 1))
    yield (
        "gate",
        Then(lambda x, c: x * F.sigmoid(c(x.mean((2, 3), True))), conv(8, 8, 1)),
    )


@torch.no_grad()
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name, model", list(of_all_kinds()), ids=lambda v: str(v)[:24])
def test_an_operator_on_identical_integers(name, model, bits, tmp_path):
    """At most one step away everywhere, and exact on 99.9 % of the values."""
    torch.manual_seed(0)  # the same pictures whatever ran before
    images = torch.randn(8, 8, 16, 12).clamp(-4.4, 4.4)
    fake = quantized(model, images, bits=bits)
    grids.settle(fake)
    layers = [m.weight_quantizer for m in qat.layers(fake).values()]
    path = written(fake, images, tmp_path / "m.onnx", bits if layers else 7)
    ours, wanted = export.Network(path)(images), fake(images)
    scale = list(qat.maps(fake).values())[-1].scale
    away, bound = steps(ours, wanted, scale), promised(fake, images, bits)
    assert away.max() <= 1 + math.ceil(bound / scale), name
    assert bound or (away == 0).float().mean() >= 0.999, name
    integers = wanted / scale
    assert (integers - integers.round()).abs().max() < 1e-3  # it does stand on a grid


@torch.no_grad()
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", ["lite"])
def test_every_convolution_of_a_detector_on_identical_integers(name, bits, tmp_path):
    """The real weights and the real maps; biases in whole steps, as both store them."""
    fake, images = calibrated(name, bits=bits)
    grids.settle(fake)
    seen = {}

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node):
            seen[node] = super().run_node(node)
            return seen[node]

    Recorder(fake).run(images[:2])
    rounding = {
        n: m for n, m in fake.named_modules() if isinstance(m, qat.FakeQuantize)
    }
    same, total = 0, 0
    for node in fake.graph.nodes:
        if node.target not in rounding or node.args[0].op == "placeholder":
            continue
        part, inputs = between(fake, node, rounding)
        if len(inputs) > 1:
            continue  # sums have a test of their own
        wanted, x = seen[node], seen[inputs[0]]
        of_file = bits if qat.layers(part) else 7
        path = written(part, x, tmp_path / "part.onnx", of_file)
        ours, scale = export.Network(path)(x), rounding[node.target].scale
        away, bound = steps(ours, wanted, scale), promised(part, x, bits)
        assert away.max() <= 1 + math.ceil(bound / scale), node.name
        if not bound:
            same, total = same + (away == 0).sum().item(), total + away.numel()
            assert (away == 0).float().mean() >= 0.999, node.name
    assert same >= 0.9999 * total


def between(fake, node, rounding):
    """The graph from the roundings above a rounding to it, and those above."""
    graph, new, parts, inputs = torch.fx.Graph(), {}, {}, []

    def copy(old):
        if old in new:
            return
        if old is not node and old.target in rounding:
            x = graph.placeholder(f"x{len(inputs)}")
            inputs.append(old)
            parts[f"grid{len(inputs)}"] = rounding[old.target]
            new[old] = graph.call_module(f"grid{len(inputs)}", (x,))
            return
        for each in old.all_input_nodes:
            copy(each)
        if old.op == "call_module":
            parts[old.target] = fake.get_submodule(old.target)
        new[old] = graph.node_copy(old, new.__getitem__)

    copy(node)
    graph.output(new[node])
    return torch.fx.GraphModule(parts, graph), inputs


def calibrated(name, n=24, **schemes):
    images = torch.from_numpy(detectors.scenes("validation", n).images)
    images = training.normalise(images)
    return quantized(detectors.shipped(name), images, **schemes), images


@pytest.mark.equation("22.2")
@torch.no_grad()
def test_an_integer_convolution_by_hand(tmp_path):
    """One pixel: (10 - 4) * 3 + 5 = 23 small steps of 0.5 * 0.25; out, steps of 0.5.

    23 * 0.125 / 0.5 = 5.75, so 6 steps above the zero at 1: byte 7, and 3.0 behind DQ.
    """
    conv = nn.Conv2d(1, 1, 1)
    conv.weight.data.fill_(0.75)
    conv.bias.data.fill_(0.625)  # 5 steps of 0.125
    fake = quantized(conv, torch.tensor([[[[0.0, 1]]]]))
    first, second = qat.maps(fake).values()
    zero = lambda z: torch.tensor(z).int()  # noqa: E731
    first.set(quantize.QParams(torch.tensor(0.5), zero(4), 0, 255))
    second.set(quantize.QParams(torch.tensor(0.5), zero(1), 0, 255))
    (layer,) = qat.layers(fake).values()
    layer.weight_quantizer.set(
        quantize.QParams(torch.tensor([0.25]), zero([0]), -127, 127, 0)
    )
    x = torch.full((1, 1, 1, 1), (10 - 4) * 0.5)
    path = export.to_qdq_onnx(fake, x, tmp_path / "m.onnx")
    assert export.Network(path)(x).item() == (7 - 1) * 0.5 == fake(x).item()
    assert "QLinearConv" in export.operator_counts(path, optimized=True)


@pytest.mark.equation("22.3")
def test_a_bias_is_stored_in_steps_of_the_products(tmp_path):
    """Scales 0.5 and 0.25: steps of 0.125. And a bias that would need 36 bits."""
    conv = nn.Conv2d(1, 2, 1)
    conv.weight.data = torch.tensor([0.25 * 127, 1e-10]).reshape(2, 1, 1, 1)
    conv.bias.data = torch.tensor([0.6, 3.0])
    fake = quantized(conv, torch.tensor([[[[0.0, 127.5]]]]), bits=8)
    assert list(qat.maps(fake).values())[0].scale == 0.5
    x = torch.tensor([[[[0.0, 100.0]]]])
    path = written(fake, x, tmp_path / "m.onnx", bits=8)  # one product: nothing is lost
    values = {
        i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer
    }
    (bias,) = (v for v in values.values() if v.dtype == np.int32)
    assert bias[0] == 5 and bias[1] == 2**30  # 0.6 / 0.125 = 4.8
    assert (export.Network(path)(x) - fake(x)).abs().max() < 13  # a step: 3187 / 255
    torch.testing.assert_close(export.Network(path)(x)[0, 1], fake(x)[0, 1])


def test_settled_biases_are_whole_steps():
    """Steps 0.5 of x and 0.25 of w: 0.6 is 4.8 steps of 0.125, so 5 of them."""
    conv, other = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
    for layer, value in ((conv, 0.6), (other, 0.3)):
        layer.weight.data.fill_(0.25 * 127)
        layer.bias.data.fill_(value)
    x = torch.tensor([[[[0.0, 127.5]]]])
    fake = quantized(nn.Sequential(conv, nn.ReLU(), other), x, bits=8)
    first, second = qat.layers(fake).values()
    assert grids.settle(fake) is fake
    assert first.bias.item() == 0.625
    step = list(qat.maps(fake).values())[1].scale.item() * 0.25  # behind the ReLU
    assert second.bias.item() == pytest.approx(round(0.3 / step) * step)
    once = second.bias.clone()
    grids.settle(fake)
    assert torch.equal(second.bias, once)


def test_a_bias_of_what_nothing_rounds_stays():
    conv = nn.Conv2d(1, 1, 1)
    conv.bias.data.fill_(0.6)
    images = torch.rand(1, 1, 4, 4)
    half = quantized(conv, images, activations=None)
    for graph in (half, deployed.deployed(conv, images)):  # or not prepared at all
        grids.settle(graph)
        (layer,) = (m for m in graph.modules() if isinstance(m, nn.Conv2d))
        assert torch.equal(layer.bias, conv.bias)


def test_activations_become_bytes_whatever_their_zero_point(tmp_path):
    images = torch.randn(4, 3, 8, 8)
    signed = qat.Scheme(symmetric=False, axis=None)
    few = qat.Scheme(bits=4, symmetric=False, signed=False, axis=None)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    for scheme in (signed, few):
        fake = quantized(model, images, activations=scheme)
        grids.settle(fake)
        path = export.to_qdq_onnx(fake, images, tmp_path / "m.onnx")
        ours, wanted = export.Network(path)(images), fake(images)
        assert len(wanted.unique()) <= 2**scheme.bits
        assert steps(ours, wanted, list(qat.maps(fake).values())[-1].scale).max() <= 1
        assert (ours == wanted).float().mean() > 0.99


def test_what_no_byte_holds_is_refused(tmp_path):
    images, model = torch.randn(2, 3, 8, 8), nn.Conv2d(3, 4, 3)
    path = tmp_path / "m.onnx"
    with pytest.raises(ValueError, match=r"conv_0_weight: weights on -511\.\.511"):
        weights = qat.Scheme(bits=10)
        export.to_qdq_onnx(quantized(model, images, weights=weights), images, path)
    with pytest.raises(ValueError, match="256 steps"):
        maps = qat.Scheme(bits=9, symmetric=False, signed=False, axis=None)
        export.to_qdq_onnx(quantized(model, images, activations=maps), images, path)
    with pytest.raises(ValueError, match="nothing is quantized"):
        export.to_qdq_onnx(deployed.deployed(model, images), images, path)
    with pytest.raises(ValueError, match="nothing is quantized"):
        export.to_qdq_onnx(model, images, path)
    with pytest.raises(ValueError, match="no grid yet"):
        fake = qat.prepare(deployed.deployed(model, images))
        export.to_qdq_onnx(fake, images, path)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------- the whole detector


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(fp32 file, int8 file, fake-quantized plain detector)."""
    torch.manual_seed(0)
    fake, images = calibrated("plain", 64)
    grids.settle(fake)  # biases in whole steps, as the file has them
    folder = tmp_path_factory.mktemp("plain")
    floats = export.to_onnx(detectors.shipped("plain"), images, folder / "fp32.onnx")
    return floats, written(fake, images, folder / "int8.onnx"), fake


def test_ap_and_detections_of_the_int8_detector(plain, tmp_path):
    """On 150 scenes, against our fake-quantized model: AP, and boxes one by one.

    With 7 bits everywhere, and with 8 where kernels add exactly.
    """
    networks = [(plain[2], plain[1])]
    if not export.saturates():
        fake, images = calibrated("plain", 64, bits=8)
        grids.settle(fake)
        networks += [(fake, written(fake, images, tmp_path / "m.onnx", 8))]
    scenes = detectors.scenes("test", 150)
    for fake, file in networks:
        found = [coco_eval.detections(m, scenes) for m in (fake, export.Network(file))]
        ap = [coco_eval.evaluate(scenes.coco(), each).ap for each in found]
        assert ap[0] > 0.7 and abs(ap[0] - ap[1]) <= 0.005
        assert matched(*found) >= 0.99 and matched(*found[::-1]) >= 0.99


def matched(some, others, score=0.3, overlap=0.9):
    """The share of sure detections that have one of the same class in their place."""
    sure = [d for d in some if d["score"] > score]
    hits = 0
    for d in sure:
        near = [
            o["bbox"] for o in others
            if (o["image_id"], o["category_id"]) == (d["image_id"], d["category_id"])
            and o["score"] > score - 0.05  # a score on the edge may be on either side
        ]  # fmt: skip
        boxes = torch.tensor([d["bbox"], *near])
        boxes[:, 2:] += boxes[:, :2]
        iou = anchors.box_iou(boxes[:1], boxes[1:]) if near else torch.zeros(1)
        hits += bool((iou >= overlap).any())
    return hits / len(sure)


def test_one_picture_through_a_file(plain):
    """`detect` cannot tell a file from its model; the file knows what it needs."""
    model = detectors.shipped("plain")
    network = export.Network(plain[0])
    for key in ("image_size", "num_classes", "mean", "std", "anchors", "categories"):
        assert getattr(network.config, key) == getattr(model.config, key)
    assert network.config.categories[9] == (10, "9")  # the digit nine, COCO's id 10
    picture = detectors.scenes("test", 1)[0].image
    for ours, wanted in zip(
        decoding.detect(network, picture), decoding.detect(model, picture), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match=r"\(any batch, 3, 128, 128\)"):
        network(torch.zeros(1, 3, 64, 64))


def test_a_runtime_puts_integers_in_the_place_of_pairs(plain):
    """Every convolution and sum of plain; one Q at the door, a DQ for each output."""
    floats, file, fake = plain
    before = export.operator_counts(file)
    after = export.operator_counts(file, optimized=True)
    convs = len(qat.layers(fake))
    assert before["Conv"] == after["QLinearConv"] == convs
    assert before["Add"] == after["QLinearAdd"]
    # Each convolution has a DQ for weight and bias; each rounding has a pair.
    assert before["QuantizeLinear"] == len(qat.maps(fake)) + before["Resize"]
    assert before["DequantizeLinear"] == 2 * convs + before["QuantizeLinear"]
    assert after["QuantizeLinear"] == 1 and after["DequantizeLinear"] == 6
    assert "Conv" not in after and "Relu" not in before
    assert export.operator_counts(floats)["Relu"] > 0


@pytest.mark.equation("22.6")
def test_sizes_by_hand(plain):
    """A float has 4 bytes. An int8 filter: its weights, 4 bytes a step, 8 a bias."""
    floats, file, fake = plain
    weights = sum(layer.weight.numel() for layer in qat.layers(fake).values())
    filters = sum(len(layer.weight) for layer in qat.layers(fake).values())
    overhead = 200 * sum(export.operator_counts(file).values())
    assert 0 < floats.stat().st_size - 4 * (weights + filters) < overhead
    assert 0 < file.stat().st_size - (weights + 12 * filters) < overhead
    assert floats.stat().st_size / file.stat().st_size >= 3.5


def test_a_profile_names_kinds_of_convolutions(plain):
    images = torch.zeros(1, 3, 128, 128)
    for file in plain[:2]:
        times = export.profile(file, images, runs=3)
        assert {"conv 3x3", "conv 1x1"} <= set(times)
        assert "QLinearConv" not in times and "Conv" not in times
        assert all(t > 0 for t in times.values())
        assert list(times.values()) == sorted(times.values(), reverse=True)


# ------------------------------------------------------------------------- bad files


def test_a_file_cut_short_is_refused(plain, tmp_path):
    content = plain[1].read_bytes()
    path = tmp_path / "cut.onnx"
    for share in (0, 0.001, 0.3, 0.9, 0.999):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ValueError, match=r"cut\.onnx is cut short"):
            export.session(path)
    path.write_bytes(b"no ONNX at all")
    with pytest.raises(ValueError, match="no ONNX file"):
        export.Network(path)
    with pytest.raises(ValueError, match=r"nowhere\.onnx does not exist"):
        export.session(tmp_path / "nowhere.onnx")


def test_looking_into_a_damaged_file_names_it(plain, tmp_path):
    content, images = plain[1].read_bytes(), torch.zeros(1, 3, 128, 128)
    path = tmp_path / "bad.onnx"
    looks = (
        export.operator_counts,
        lambda file: export.operator_counts(file, optimized=True),
        lambda file: export.profile(file, images),
    )
    for cut in (content[: len(content) // 3], b"no ONNX at all", content[:-7]):
        path.write_bytes(cut)
        for look in looks:
            with pytest.raises(ValueError, match=r"bad\.onnx is cut short"):
                look(path)
    path.write_bytes(content)
    path.with_suffix(".sha256").write_text("0" * 64, "utf-8")
    for look in looks:
        with pytest.raises(ValueError, match="cut short or changed"):
            look(path)


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "'config' is damaged"),
        ("[1, 2]", "'config' is damaged"),
        ("{}", "'config' is damaged: 'anchors'"),
        ('{"anchors": {"levels": 3}}', "'config' is damaged"),
        ('{"anchors": {}}', "'config' has no image_size, num_classes, mean, std"),
    ],
)
def test_a_damaged_config_names_its_file(text, said, plain, tmp_path):
    proto, path = onnx.load(plain[0]), tmp_path / "m.onnx"
    onnx.helper.set_model_props(proto, {"config": text})
    onnx.save(proto, path)
    with pytest.raises(ValueError, match=r"m\.onnx: its .*" + said):
        export.Network(path)


def test_the_sum_beside_a_file_is_compared(plain, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(plain[1].read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  model.onnx\n", "utf-8")
    export.session(path)
    path.write_bytes(plain[0].read_bytes())  # whole, but another one
    with pytest.raises(ValueError, match="cut short or changed"):
        export.session(path)


def test_a_file_of_another_kind_has_a_hash_of_its_own(plain, tmp_path):
    """net.safetensors and net.onnx share net.sha256, each has its line there."""
    checkpoints.save_weights(nn.Conv2d(3, 4, 3), tmp_path / "net.safetensors")
    path = tmp_path / "net.onnx"
    path.write_bytes(plain[1].read_bytes())
    export.session(path)  # no line of its own: nothing to compare
    checkpoints.write_with_hash(path, plain[1].read_bytes())
    export.session(path)
    path.write_bytes(plain[0].read_bytes())
    with pytest.raises(ValueError, match=r"net\.onnx is cut short or changed"):
        export.session(path)
    assert checkpoints.read_weights(tmp_path / "net.safetensors").keys()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    model, images = nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    export.to_onnx(model, images, path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        export.to_onnx(nn.Conv2d(3, 8, 3), images, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


# ------------------------------------------------------------------------ saturation


def accumulate(x, w):
    """What x86 without VNNI does: pairs of products meet in 16 bits."""
    pairs = x[0::2] * w[0::2] + x[1::2] * w[1::2]
    return int(np.clip(pairs, -(2**15), 2**15 - 1).sum())


@pytest.mark.equation("22.5")
def test_two_products_overflow_16_bits_by_hand():
    """255 * 127 * 2 = 64770 > 32767; with 63 it is 32130, which fits."""
    x = np.array([255, 255, 10, 10])
    assert accumulate(x, np.array([127, 127, 1, 1])) == 32767 + 20
    assert accumulate(x, np.array([63, 63, 1, 1])) == 32130 + 20
    assert qat.FakeQuantize(qat.Scheme(bits=7)).high == 63


@pytest.mark.parametrize("bits", BITS)
def test_weights_of_eight_bits_are_exact_here_or_seven_are_needed(
    bits, tmp_path, capsys
):
    """The largest bytes and weights there are, through a convolution of 64 channels."""
    case = "saturates: 7 bits" if export.saturates() else "does not: 8 bits"
    with capsys.disabled():
        print(f"\nU8S8 on this CPU ({platform.machine()}) {case}")
    conv = nn.Conv2d(64, 8, 1, bias=False)
    conv.weight.data = torch.where(torch.rand(8, 64, 1, 1) < 0.6, 1.0, -1.0)
    images = torch.ones(2, 64, 4, 4)
    images[1] = 0
    fake = quantized(conv, images, bits=bits)
    path = written(fake, images, tmp_path / "m.onnx", bits)
    step = list(qat.maps(fake).values())[-1].scale.item()  # one at ties, anywhere
    bound = 1.001 * step + promised(fake, images, bits)
    assert largest(export.Network(path)(images), fake(images)) <= bound


@pytest.mark.parametrize("bits", BITS)
def test_64_ones_by_hand(bits, tmp_path):
    """The sum is 64; where 32 pairs end at 32,767, 32 * 32,767 / (255 * 127) = 32.4."""
    conv = nn.Conv2d(64, 1, 1, bias=False)
    conv.weight.data.fill_(1)
    ones = torch.ones(1, 64, 2, 2)
    fake = quantized(conv, ones, torch.zeros_like(ones), bits=bits)
    path = written(fake, ones, tmp_path / "m.onnx", bits)
    (step,) = {round(m.scale.item(), 4) for m in list(qat.maps(fake).values())[1:]}
    expected = 32.4 if bits == 8 and export.saturates() else 64
    assert step == round(64 / 255, 4)
    assert (export.Network(path)(ones) - expected).abs().max() <= step


def test_no_more_is_lost_than_is_allowed_for():
    """Against sums that pair at random and clip at 16 bits, of 64 bytes and weights."""
    rng = np.random.default_rng(0)
    (layer,) = qat.layers(
        quantized(nn.Conv2d(64, 1, 1, bias=False), torch.randn(2, 64, 1, 1), bits=8)
    ).values()
    zero = torch.zeros(1).int()
    layer.weight_quantizer.set(quantize.QParams(torch.ones(1), zero, -127, 127, 0))
    grid = quantize.QParams(torch.tensor(1.0), zero[0], 0, 255)
    met = 0.0
    for _ in range(100):
        x = rng.integers(0, 256, 64)
        w = rng.integers(-127, 128, 64)
        layer.weight.data = torch.tensor(w).float().reshape(1, 64, 1, 1)
        bound = lost(layer, torch.tensor(x).float().reshape(1, 64, 1, 1), grid).item()
        for _ in range(10):
            order = rng.permutation(64)
            error = abs(accumulate(x[order], w[order]) - int(x @ w))
            assert error <= bound
            met = max(met, error / max(bound, 1))
    assert met > 0.5  # the bound is not idle


@pytest.fixture
def asked_anew():
    """`saturates` remembers nothing, before a test and after it."""
    export.saturates.cache_clear()
    yield
    export.saturates.cache_clear()


def test_kernels_say_who_saturates(monkeypatch, asked_anew):
    for conv, product, expected in (
        (127, 127, False), (64, 64, True), (64, 127, True), (127, 64, True),
    ):  # fmt: skip
        answers = {"QLinearConv": conv, "QLinearMatMul": product}
        asked = []

        def kernel(name, answers=answers, asked=asked):
            asked.append(name)
            return np.full((16, 16), answers[name], np.uint8)

        monkeypatch.setattr(export, "_mean_of_products", kernel)
        export.saturates.cache_clear()
        assert export.saturates() is export.saturates() is expected
        assert len(asked) == len(set(asked))  # once a process


def test_kernels_add_exactly_or_lose_half_by_hand(asked_anew):
    """64 * 255 * 127 / (64 * 255) = 127, or 32 * 32,767 / (64 * 255) = 64.2."""
    given = {k: set(export._mean_of_products(k).flat) for k in KERNELS}
    assert all(bytes_ in ({127}, {64}) for bytes_ in given.values()), given
    assert export.saturates() == ({64} in given.values())


KERNELS = "QLinearConv", "QLinearMatMul"


def test_weights_that_may_saturate_are_said_once_a_call(tmp_path):
    images, path = torch.randn(2, 3, 8, 8), tmp_path / "m.onnx"
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    fake = quantized(model, images, bits=8)
    for _ in range(2):
        with pytest.warns(UserWarning) as told:
            export.to_qdq_onnx(fake, images, path)
        (warning,) = told
        assert "m.onnx: " in str(warning.message)
        assert "in 2 layers, first in conv_0" in str(warning.message)
        assert "qat.Scheme(bits=7)" in str(warning.message)
    first = next(iter(qat.layers(fake)))
    mixed = qat.prepare(deployed.deployed(model, images), bits={first: 8})
    with pytest.warns(UserWarning, match="in 1 layers"):
        export.to_qdq_onnx(qat.calibrate(mixed, images), images, path)
    uneven = qat.Scheme(bits=7, symmetric=False)  # -64..63
    written(quantized(model, images, weights=uneven), images, path)


# ------------------------------------------------------------------------- scripts


def script(folder, name):
    """A script of data/, which is no package, under a name of its own."""
    path = Path(__file__).parents[1] / "data" / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.equation("22.7")
def test_multiply_adds_and_bytes_by_hand():
    """32 channels on 32 x 32 pixels: 31.6 multiply-adds a byte, depthwise 1.1."""
    deployment = script("ablations", "deployment")
    dense = nn.Conv2d(32, 32, 3, padding=1, bias=False)
    thin = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
    model = nn.Sequential(dense, thin)
    rows = deployment.work(deployed.deployed(model, torch.zeros(1, 32, 32, 32)))
    assert rows["conv 3x3"]["macs"] == 32 * 32 * 9 * 1024 == 9_437_184
    assert rows["conv 3x3"]["bytes"] == 4 * (2 * 32 * 1024 + 9216) == 299_008
    assert rows["conv depthwise"]["macs"] == 32 * 9 * 1024 == 294_912
    assert rows["conv depthwise"]["bytes"] == 4 * (2 * 32 * 1024 + 288) == 263_296


def test_deployment_measures_what_is_missing(tmp_path, monkeypatch):
    deployment = script("ablations", "deployment")
    few = {"seeds": 1, "judged": 6, "repeats": 1, "runs": 1}
    few |= {"calibration": {"scenes": 8, "batch": 8}, "sizes": {"plain": [64]}}
    monkeypatch.setattr(deployment, "SETTINGS", deployment.SETTINGS | few)
    forms = {"fp32": None, "int8": {"observer": quantize.MinMax}}
    monkeypatch.setattr(deployment, "SHIPPED", "int8")
    monkeypatch.setattr(deployment, "FORMS", forms)
    monkeypatch.setattr(deployment, "DETECTORS", ("plain",))
    deployment.about.cache_clear()
    path = tmp_path / "rows.jsonl"
    assert deployment.run(path=path) == 5  # two forms, latency, profile, peak
    assert deployment.run(path=path) == 0
    rows = {row["kind"]: row for row in deployment.rows(path)}  # int8 is the last
    assert rows["accuracy"]["weights"] == deployment.weights("plain")
    assert 0 <= rows["accuracy"]["matched"] <= 1
    assert rows["latency"]["eager"]["ms"] > 0
    assert rows["profile"]["int8"]["conv 3x3"] > 0
    assert "plain int8" in deployment.report(list(rows.values()))


def test_the_shipped_files_are_made_as_the_datasheet_says(tmp_path, monkeypatch):
    shipping = script("weights", "export")
    how = shipping.SETTINGS | {"scenes": 8, "batch": 8, "judged": 5}
    line = shipping.make("plain", tmp_path, how)
    files = {p.name for p in tmp_path.iterdir()}
    assert files == {"detector_plain_int8.onnx", "detector_plain_int8.sha256"}
    network = export.Network(tmp_path / "detector_plain_int8.onnx")
    assert network.config.num_classes == 10
    content = onnx.load(tmp_path / "detector_plain_int8.onnx")
    values = [onnx.numpy_helper.to_array(i) for i in content.graph.initializer]
    weights = [v for v in values if v.dtype == np.int8]
    assert weights and all(np.abs(v.astype(int)).max() <= 63 for v in weights)
    sheet = tmp_path / "README.md"
    sheet.write_text("a <!-- int8 -->\n<!-- int8 --> b", "utf-8")
    for _ in range(2):  # a line once, however often it is made
        shipping.datasheet([line], sheet)
    text = sheet.read_text("utf-8")
    assert text.count("`detector_plain_int8.onnx`") == 1 and text.endswith("--> b")
    assert text.splitlines()[1] == shipping.HEADER
    with pytest.raises(SystemExit, match="no artefact 'd0'"):
        shipping.main(["d0"])


SHIPPED = sorted((Path(__file__).parents[1] / "data" / "weights").glob("*_int8.onnx"))


def test_a_shipped_file_detects_as_its_line_says():
    """On 150 of the 1,000 test scenes."""
    sheet = (SHIPPED[0].parent / "README.md").read_text("utf-8") if SHIPPED else ""
    scenes = detectors.scenes("test", 150)
    for file in SHIPPED:
        (line,) = (s for s in sheet.splitlines() if f"`{file.name}`" in s)
        told, floats = (float(cell) for cell in line.split("|")[4:6])
        assert floats - told <= 0.01
        found = coco_eval.detections(export.Network(file.stem), scenes)
        ap = coco_eval.evaluate(scenes.coco(), found).ap
        assert ap == pytest.approx(told, abs=0.04)
