"""Q and DQ: what stands in a file, by hand."""

import numpy as np
import pytest
import torch
from torch import fx, nn

from lib.compression import deployed, export, qat, qdq, quantize


def qparams(scale, zero, low, high):
    return quantize.QParams(torch.tensor(scale), torch.tensor(zero).int(), low, high)


def test_a_grid_is_moved_so_that_it_begins_at_0():
    """-8..7 with 0 at -3: sixteen steps, and the byte 5 means 0."""
    grid = qdq.Grid("x", qparams(0.5, -3, -8, 7))
    assert (grid.top, grid.zero, grid.scale) == (15, 5, 0.5)
    with pytest.raises(ValueError, match="x: activations on 0..511"):
        qdq.Grid("x", qparams(0.5, 0, 0, 511))


def rounding(model, x, weights, *maps):
    """A fake-quantized model with grids that are given, in the order they stand in."""
    fake = qat.prepare(deployed.deployed(model, x), qat.Scheme(bits=7, symmetric=False))
    for module, grid in zip(qat.maps(fake).values(), maps, strict=True):
        module.set(grid)
    for layer in qat.layers(fake).values():
        layer.weight_quantizer.set(weights)
    return fake


def stored(fake, x):
    writer = qdq.Writer(fake)
    with torch.no_grad():
        writer.write(x)
    return writer


def test_a_relu_is_left_out_where_the_grid_begins_at_0():
    """Byte 0 means 0.0 behind a ReLU; a ReLU6 stays if the grid ends above 6."""
    x = torch.rand(2, 1, 4, 4)
    for layer, top, kept in ((nn.ReLU, 4.0, []), (nn.ReLU6, 7.0, ["Clip"])):
        grids = [qparams(1 / 255, 0, 0, 255), qparams(top / 255, 0, 0, 255)]
        model = nn.Sequential(nn.Conv2d(1, 1, 1), layer())
        fake = rounding(model, x, qparams([0.1], [0], -64, 63)._replace(axis=0), *grids)
        kinds = [node.op_type for node in stored(fake, x).nodes]
        assert [k for k in kinds if k in ("Relu", "Clip")] == kept


def test_a_tiny_filter_keeps_the_zero_of_its_weights():
    """Weights of 1e-12 and a zero at 20, and a bias of 3, which has 2^30 steps at most.

    So the weight's step becomes 3 / 2^30 / 0.5 = 5.6e-9: each weight becomes the zero
    point, which DQ takes away again.
    """
    conv = nn.Conv2d(1, 1, 2)
    conv.weight.data = torch.tensor([0.0, 1e-12, 2e-12, -1e-12]).reshape(1, 1, 2, 2)
    conv.bias.data.fill_(3.0)
    x = torch.rand(2, 1, 4, 4)
    weights = qparams([1e-13], [20], -64, 63)._replace(axis=0)
    maps = qparams(0.5, 0, 0, 255), qparams(0.5, 0, 0, 255)
    fake = rounding(conv, x, weights, *maps)
    constants = stored(fake, x).constants
    (weight,) = (v for v in constants.values() if v.dtype == np.int8 and v.ndim == 4)
    (zero,) = (v for v in constants.values() if v.dtype == np.int8 and v.ndim == 1)
    assert zero[0] == 20 and (weight == 20).all()
    (bias,) = (v for v in constants.values() if v.dtype == np.int32)
    assert bias[0] == 2**30


def test_values_that_only_move_stay_on_their_grid():
    """Each of them gets a pair with the step it was given."""

    class Moves(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)[:, 1:]

    x = torch.rand(2, 2, 4, 4)
    graph = fx.GraphModule({}, deployed.deployed(Moves(), x).graph)
    fake = qat.prepare(graph)
    (module,) = qat.maps(fake).values()
    module.set(qparams(0.25, 0, 0, 255))
    writer = stored(fake, x)
    assert [grid.scale for grid in writer.grids.values()] == [0.25] * 4
    kinds = [node.op_type for node in writer.nodes]
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 4


def test_a_pad_beyond_the_ends_of_a_grid_is_not_cut_to_them():
    """Bytes in steps of 0.25 end at 63.75: a pad of 100 stands on its own grid only."""

    class Pads(nn.Module):
        def forward(self, x):
            return nn.functional.pad(x, (1, 1), value=100.0)

    x = torch.rand(2, 2, 4, 4)
    fake = qat.prepare(deployed.deployed(Pads(), x))
    for name, scale in (("after_x", 0.25), ("after_pad_default", 0.5)):
        qat.maps(fake)[name].set(qparams(scale, 0, 0, 255))
    writer = stored(fake, x)
    assert [grid.scale for grid in writer.grids.values()] == [0.25, 0.5]
    kinds = [node.op_type for node in writer.nodes]
    pair = ["QuantizeLinear", "DequantizeLinear"]
    assert kinds == [*pair, "Pad", *pair]


def test_another_scale_or_zero_point_changes_the_bytes_of_the_file(
    tmp_path, monkeypatch
):
    """The int8 file is written through chapter 19's core function, called each time."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 4, 3)).eval()
    x = torch.randn(4, 3, 12, 12)
    graph = deployed.deployed(net, x)
    ours, calls = quantize.scale_and_zero_point, []

    def counted(least, most, low, high):
        calls.append(1)
        return ours(least, most, low, high)

    def one_step_too_many(least, most, low, high):
        """As many steps as there are integers."""
        return ours(least, most, low, high + 1)

    def zero_one_off(least, most, low, high):
        scale, zero = ours(least, most, low, high)
        return scale, (zero + 1).clamp(low, high)

    written = {}
    for answer in (ours, counted, one_step_too_many, zero_one_off):
        monkeypatch.setattr(quantize, "scale_and_zero_point", answer)
        fake = qat.calibrate(qat.prepare(graph), [x])
        path = tmp_path / f"{answer.__name__}.onnx"
        written[answer] = export.to_qdq_onnx(fake, x[:1], path).read_bytes()
    assert len(calls) == len(qat.maps(fake)) == 4  # one affine grid a map
    assert written[counted] == written[ours]
    assert len(set(written.values())) == 3  # both wrong answers show
