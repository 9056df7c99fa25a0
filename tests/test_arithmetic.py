"""Operators in integers against torch's fake quantization and onnxruntime's kernels."""

import math
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import helper

from lib.compression import arithmetic, quantize
from lib.compression.arithmetic import (
    INT32_MAX,
    choose_output_stage,
    fixed_point,
    rounded_shift,
)
from lib.compression.quantize import QParams, choose_qparams, dequantize

UINT8 = {"bits": 8, "symmetric": False, "signed": False}
WEIGHTS = {"bits": 8, "symmetric": True, "signed": True, "axis": 0}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def a_map(shape, seed=0, low=-2.0, high=3.0, **how):
    """Integers of a random map and their grid; the grid holds 0 and is not centred."""
    spread = torch.tensor([low, high])
    grid = choose_qparams(spread, **{**UINT8, **how})
    q = torch.randint(grid.low, grid.high + 1, shape, generator=generator(seed))
    return q.int(), grid


def fake_rounded(real, grid: QParams):
    """The integers of torch's fake quantization, the values that `qat` trains with."""
    scale, zero = grid.scale.item(), int(grid.zero_point)
    on_grid = torch.fake_quantize_per_tensor_affine(
        real, scale, zero, grid.low, grid.high
    )
    return (on_grid / scale).round().int() + zero


def assert_agree(mine, theirs, exact=0.999):
    """At most one step everywhere, and none on 99.9 % of the values."""
    assert mine.shape == theirs.shape
    assert mine.dtype == torch.int32
    off = (mine - theirs).abs()
    assert off.max() <= 1
    assert (off == 0).double().mean() >= exact


def fitted(real, **how):
    """A grid over what an operator gave, as an observer would choose it."""
    return choose_qparams(real, **{**UINT8, **how})


# ------------------------------------------------------------------ fixed-point numbers


@pytest.mark.parametrize(
    ("factor", "multiplier", "shift"),
    [
        (1.0, 2**30, 30),
        (0.5, 2**30, 31),
        (0.75, 3 * 2**29, 31),
        (3.0, 3 * 2**29, 29),
        # 0.0003 * 2^11 = 0.6144, and 0.6144 * 2^31 = 1319413953.33
        (0.0003, 1319413953, 42),
        (1 - 2**-40, 2**30, 30),  # rounds up to 2^31, which is 2^30 with one bit less
    ],
)
def test_fixed_point_by_hand(factor, multiplier, shift):
    assert [v.item() for v in fixed_point(factor)] == [multiplier, shift]


def test_fixed_point_is_near_for_all_sizes():
    factors = 2 ** (torch.rand(5000, generator=generator(0)).double() * 59 - 31)
    multiplier, shift = fixed_point(factors)
    assert ((multiplier >= 2**30) & (multiplier < 2**31)).all()
    back = multiplier.double() * 2.0 ** -shift.double()
    assert ((back / factors - 1).abs() <= 2**-31).all()


def test_a_tiny_factor_takes_every_accumulator_to_zero():
    stage = choose_output_stage(
        2.0**-45, QParams(torch.tensor(1.0), torch.tensor(3), 0, 255)
    )
    assert stage.shift == 62
    ends = torch.tensor([INT32_MAX, -INT32_MAX, 0])
    assert arithmetic.requantize(ends, stage).tolist() == [3, 3, 3]


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf, 2.0**30])
def test_what_is_no_factor_is_refused(factor):
    with pytest.raises(ValueError, match=r"factor is .*above 0 and below 2\^30"):
        fixed_point(torch.tensor([1.0, factor]))


def test_rounded_shift_equals_python():
    rng = np.random.default_rng(0)
    for shift in (1, 2, 3, 8, 31, 62):
        values = rng.integers(-(2**62), 2**62, 300) >> int(rng.integers(0, 40))
        halves = (2 * np.arange(-50, 50) + 1) * 2 ** (shift - 1) if shift < 40 else []
        values = [int(v) for v in [*values, *halves, 0, 1, -1, 2**62, -(2**62)]]
        mine = rounded_shift(torch.tensor(values), shift).tolist()
        assert mine == [round(Fraction(v, 2**shift)) for v in values]


def test_requantize_equals_exact_fractions():
    """With numbers of any length in the place of 64 bits, channel by channel."""
    rng = np.random.default_rng(1)
    acc = torch.tensor(rng.integers(-(2**31), 2**31, (2, 5, 40)))
    factors = torch.tensor([1e-8, 1e-4, 0.003, 0.5, 1.5], dtype=torch.float64)
    rest = torch.tensor([0.5, -0.5, 0.25, 0.0, -0.125], dtype=torch.float64)
    grid = QParams(torch.tensor(0.1), torch.tensor(-3).int(), -128, 127)
    stage = choose_output_stage(factors, grid, rest=rest)
    mine = arithmetic.requantize(acc, stage)
    for c, values in enumerate(acc.unbind(1)):
        m, n = int(stage.multiplier[c]), int(stage.shift[c])
        shift_in = int(stage.offset[c])
        wanted = [
            min(max(round(Fraction(v * m + shift_in, 2**n)) - 3, -128), 127)
            for v in values.flatten().tolist()
        ]
        assert mine[:, c].flatten().tolist() == wanted


# ------------------------------------------------------------------------------- layers

SHAPES = {  # channels, filters, kernel, geometry
    "3x3": (16, 24, 3, {"padding": 1}),
    "stride": (8, 16, 3, {"stride": 2}),
    "depthwise": (32, 32, 3, {"padding": 1, "groups": 32}),
    "pointwise": (96, 16, 1, {}),
    "dilated": (8, 8, 3, {"padding": 2, "dilation": 2}),
    "grouped": (16, 32, 5, {"padding": 2, "groups": 4, "stride": 2}),
}


def a_convolution(kind, seed=0, weight_bits=8, **how):
    channels, filters, k, geometry = SHAPES[kind]
    g = generator(seed)
    shape = filters, channels // geometry.get("groups", 1), k, k
    weight = torch.randn(shape, generator=g)
    # Filters of very different sizes, as folding batch norms leaves them.
    weight *= torch.exp(torch.randn((filters, 1, 1, 1), generator=g))
    bias = torch.randn(filters, generator=g)
    w = choose_qparams(weight, **{**WEIGHTS, "bits": weight_bits})
    q, x = a_map((4, channels, 32, 32), seed, **how)
    return q, x, weight, bias, w, geometry


def in_integers(q, x, weight, bias, w, out, geometry=None, ends=()):
    integers = quantize.quantize(weight, w)
    layer = arithmetic.integer_layer(integers, bias, w, x)
    stage = choose_output_stage(
        layer.step / out.scale.double(), out, *ends, rest=layer.rest
    )
    run = arithmetic.conv2d if weight.dim() == 4 else arithmetic.linear
    return run(q, layer.weight, layer.bias, x.zero_point, stage, **(geometry or {}))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("ends", [(), (0.0, math.inf), (0.0, 6.0)], ids=str)
def test_convolution_agrees_with_fake_quantization(kind, ends):
    for seed in range(3):
        q, x, weight, bias, w, geometry = a_convolution(kind, seed)
        real_weight = dequantize(quantize.quantize(weight, w), w)
        real = F.conv2d(dequantize(q, x), real_weight, bias, **geometry)
        real = real.clamp(*ends) if ends else real
        out = fitted(real)
        mine = in_integers(q, x, weight, bias, w, out, geometry, ends)
        assert_agree(mine, fake_rounded(real, out))


@pytest.mark.parametrize("weight_bits", [2, 4, 8])
@pytest.mark.parametrize("how", [UINT8, {"bits": 8, "signed": True}, {"bits": 4}])
def test_convolution_of_other_grids_agrees(weight_bits, how):
    q, x, weight, bias, w, geometry = a_convolution(
        "3x3", weight_bits=weight_bits, **how
    )
    real_weight = dequantize(quantize.quantize(weight, w), w)
    real = F.conv2d(dequantize(q, x), real_weight, bias, **geometry)
    out = fitted(real, **how)
    mine = in_integers(q, x, weight, bias, w, out, geometry)
    assert_agree(mine, fake_rounded(real, out))


def test_weights_of_one_grid_with_a_zero_point_agree():
    q, x, weight, bias, _, geometry = a_convolution("3x3")
    w = choose_qparams(weight + 0.7, bits=8, signed=False)
    real_weight = dequantize(quantize.quantize(weight, w), w)
    real = F.conv2d(dequantize(q, x), real_weight, bias, **geometry)
    out = fitted(real)
    mine = in_integers(q, x, weight, bias, w, out, geometry)
    assert_agree(mine, fake_rounded(real, out))


@pytest.mark.parametrize("shape", [(300, 64), (20, 30, 64)])
def test_linear_agrees(shape):
    g = generator(5)
    weight, bias = torch.randn(40, 64, generator=g), torch.randn(40, generator=g)
    w = choose_qparams(weight, **WEIGHTS)
    q, x = a_map(shape)
    real = F.linear(dequantize(q, x), dequantize(quantize.quantize(weight, w), w), bias)
    out = fitted(real)
    assert_agree(in_integers(q, x, weight, bias, w, out), fake_rounded(real, out))


def test_a_layer_without_bias_agrees():
    q, x, weight, _, w, geometry = a_convolution("stride")
    real_weight = dequantize(quantize.quantize(weight, w), w)
    real = F.conv2d(dequantize(q, x), real_weight, None, **geometry)
    out = fitted(real)
    mine = in_integers(q, x, weight, None, w, out, geometry)
    assert_agree(mine, fake_rounded(real, out))


def test_fast_sums_equal_the_slow_ones_bit_for_bit():
    for seed in range(4):
        g = generator(seed)
        x = torch.randint(0, 256, (1, 3, 7, 6), generator=g)
        weight = torch.randint(-128, 128, (4, 3, 3, 3), generator=g)
        bias = torch.randint(-(2**20), 2**20, (4,), generator=g).int()
        fast = arithmetic.accumulate(x, weight.to(torch.int8), bias, 77)
        slow = arithmetic.slow_convolution(
            x[0].tolist(), weight.tolist(), bias.tolist(), 77
        )
        assert fast.dtype == torch.int32
        assert fast[0].tolist() == slow


def test_sums_equal_those_in_double_precision():
    """Which holds any integer below 2^53; the bound of these sums is far below."""
    q, x, weight, bias, w, geometry = a_convolution("grouped")
    layer = arithmetic.integer_layer(quantize.quantize(weight, w), bias, w, x)
    bound = arithmetic.accumulator_bound(
        layer.weight, layer.bias, arithmetic.largest_magnitude(x)
    ).max()
    assert bound < 2**31
    args = q, layer.weight, layer.bias, x.zero_point
    mine = arithmetic.accumulate(*args, **geometry)
    centred = (q - x.zero_point).double()
    real = F.conv2d(centred, layer.weight.double(), layer.bias.double(), **geometry)
    assert torch.equal(mine.double(), real)
    assert mine.abs().max() <= bound


def test_slow_sums_say_when_int32_ends():
    with pytest.raises(OverflowError, match="2147483648 needs more than 32 bits"):
        arithmetic.slow_convolution([[[1]]], [[[[1]]]], [INT32_MAX], 0)


def test_a_bias_beyond_32_bits_makes_steps_larger():
    """A filter whose weights training drove to 0 keeps its bias, and so its output."""
    g = generator(3)
    weight, bias = torch.randn(3, 8, 1, 1, generator=g), torch.tensor([0.5, 0.9, -0.7])
    weight[1:] *= torch.tensor([1e-9, 1e-7])[:, None, None, None]
    w = choose_qparams(weight, **WEIGHTS)
    q, x = a_map((4, 8, 40, 40))
    in_old_steps = bias[1].double() / (w.scale[1].double() * x.scale.double())
    assert in_old_steps > 2**31
    layer = arithmetic.integer_layer(quantize.quantize(weight, w), bias, w, x)
    bound = arithmetic.accumulator_bound(
        layer.weight, layer.bias, arithmetic.largest_magnitude(x)
    )
    assert (bound <= INT32_MAX).all()
    real = F.conv2d(dequantize(q, x), dequantize(quantize.quantize(weight, w), w), bias)
    out = fitted(real)
    assert_agree(in_integers(q, x, weight, bias, w, out), fake_rounded(real, out))


def test_sums_that_leave_int32_are_refused():
    x = choose_qparams(torch.tensor([0.0, 1.0]), bits=16, signed=False)
    w = choose_qparams(torch.tensor([-1.0, 1.0]), bits=16, symmetric=True)
    weight = torch.full((1, 2, 1, 1), 32767, dtype=torch.int32)
    with pytest.raises(ValueError, match=r"sums reach 4294770690; int32 ends at 2\^31"):
        arithmetic.integer_layer(weight, None, w, x)


def test_weights_of_groups_are_refused():
    weight = torch.randn(4, 8)
    w = choose_qparams(weight, bits=4, symmetric=True, axis=0, group=4)
    _, x = a_map((1,))
    with pytest.raises(ValueError, match="by group"):
        arithmetic.integer_layer(quantize.quantize(weight, w), None, w, x)


# --------------------------------------------------------------------------------- maps


def a_sum(maps, grids, factors, out, ends=()):
    steps = [f * g.scale.item() for f, g in zip(factors, grids, strict=True)]
    largest = [arithmetic.largest_magnitude(g) for g in grids]
    weights, step = arithmetic.common_step(steps, largest)
    stage = choose_output_stage(step / out.scale.item(), out, *ends)
    zeros = [g.zero_point for g in grids]
    return arithmetic.weighted_sum(
        *maps, zero_points=zeros, weights=weights, stage=stage
    )


@pytest.mark.parametrize("ends", [(), (0.0, 6.0)], ids=str)
@pytest.mark.parametrize(
    "factors", [(1.0, 1.0), (1.0, -1.0), (0.3, 0.2, 0.5), (1.0, 1.0, 1.0, 1.0)]
)
def test_sums_agree(factors, ends):
    # No simple ratios: where a sum is a half exactly, floats decide by chance.
    ranges = [(-2.123, 3.077), (-0.311, 7.013), (-1.019, 1.271), (0.0, 5.929)]
    pairs = [
        a_map((4, 8, 32, 32), i, *r)
        for i, r in zip(range(len(factors)), ranges, strict=False)
    ]
    maps, grids = zip(*pairs, strict=True)
    real = sum(
        f * dequantize(q, g) for f, q, g in zip(factors, maps, grids, strict=True)
    )
    real = real.clamp(*ends) if ends else real
    out = fitted(real)
    mine = a_sum(maps, grids, factors, out, ends)
    assert_agree(mine, fake_rounded(real, out))


def test_a_sum_keeps_twenty_bits():
    weights, step = arithmetic.common_step([0.01, 0.03, 0.02], [255, 255, 255])
    assert step == 0.03 / 2 ** weights[1].item().bit_length() * 2
    assert weights[1] >= 2**20
    assert (weights.long() * 255).sum() <= INT32_MAX


def test_equal_maps_meet_without_error_and_halves_go_to_even():
    grid = QParams(torch.tensor(0.25), torch.tensor(10).int(), 0, 255)
    out = QParams(torch.tensor(0.5), torch.tensor(0).int(), 0, 255)
    q = torch.arange(10, 20).int()
    zero = torch.full_like(q, 10)
    mine = a_sum((q, zero), (grid, grid), (1, 1), out)
    assert mine.tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4, 4]  # 0, 0.5, 1, 1.5, ...


def test_another_grid_for_one_map_agrees():
    q, grid = a_map((4, 8, 32, 32))
    out = choose_qparams(torch.tensor([-1.0, 3.3]), bits=8, signed=True)
    mine = a_sum((q,), (grid,), (1,), out)
    assert_agree(mine, fake_rounded(dequantize(q, grid), out))


def test_products_agree():
    (q, x), (gate, y) = (
        a_map((4, 8, 32, 32), 0),
        a_map((4, 8, 1, 1), 1, low=0, high=1.0),
    )
    real = dequantize(q, x) * dequantize(gate, y)
    out = fitted(real)
    stage = choose_output_stage(x.scale.item() * y.scale.item() / out.scale.item(), out)
    mine = arithmetic.multiply(q, gate, [x.zero_point, y.zero_point], stage)
    assert_agree(mine, fake_rounded(real, out))


@pytest.mark.parametrize("axis", [1, -1])
def test_concat_agrees_and_leaves_equal_grids_alone(axis):
    pairs = [a_map((4, 8, 32, 32), i, -1.0 - i, 2.0) for i in range(3)]
    maps, grids = zip(*pairs, strict=True)
    real = torch.cat([dequantize(q, g) for q, g in pairs], axis)
    out = grids[2]
    factors = torch.stack([g.scale for g in grids]).double() / out.scale.double()
    stage = choose_output_stage(factors, out, rest=torch.zeros(3))
    zeros = [g.zero_point for g in grids]
    mine = arithmetic.concat(*maps, zero_points=zeros, stage=stage, axis=axis)
    assert_agree(mine, fake_rounded(real, out))
    assert torch.equal(mine.tensor_split(3, axis)[2], maps[2])


@pytest.mark.parametrize(
    "window", [(2, 2, 0), (3, 2, 1), ((2, 3), 1, 0), (7, 7, 0)], ids=str
)
def test_average_pooling_agrees(window):
    q, x = a_map((8, 8, 35, 35), 2)
    real = F.avg_pool2d(dequantize(q, x), *window)
    out = fitted(real)
    kernel, stride, padding = window
    count = math.prod(kernel) if isinstance(kernel, tuple) else kernel**2
    stage = choose_output_stage(x.scale.item() / count / out.scale.item(), out)
    mine = arithmetic.average_pool(q, x.zero_point, stage, kernel, stride, padding)
    assert_agree(mine, fake_rounded(real, out))


def test_average_of_four_on_one_grid_is_exact_with_its_halves():
    grid = QParams(torch.tensor(1.0), torch.tensor(0).int(), 0, 255)
    q = torch.tensor([[0, 0, 0, 1], [1, 0, 0, 1]])[None, None]
    q = torch.cat([q, torch.tensor([[1, 2, 2, 3], [2, 1, 3, 2]])[None, None]], 1)
    stage = choose_output_stage(0.25, grid)
    mine = arithmetic.average_pool(q, grid.zero_point, stage, 2)
    assert mine.flatten().tolist() == [0, 0, 2, 2]  # 0.25, 0.5, 1.5, 2.5


@pytest.mark.parametrize("keepdim", [True, False])
def test_means_agree(keepdim):
    q, x = a_map((64, 200, 9, 7), 4)
    real = dequantize(q, x).mean((2, 3), keepdim)
    out = fitted(real)
    stage = choose_output_stage(x.scale.item() / 63 / out.scale.item(), out)
    mine = arithmetic.mean(q, x.zero_point, stage, (2, 3), keepdim)
    assert_agree(mine, fake_rounded(real, out))


@pytest.mark.parametrize(
    "window", [(3, 2, 0, 1, True), (2,), ([3, 3], [2, 2], [1, 1])], ids=str
)
def test_maxima_are_exact(window):
    q, x = a_map((2, 8, 33, 33))
    real = F.max_pool2d(dequantize(q, x), *window)
    assert torch.equal(arithmetic.max_pool(q, window), fake_rounded(real, x))


@pytest.mark.parametrize("size", [(16, 16), (8, 16), (13, 11), (40, 40), (5, 3)])
def test_resizing_is_exact(size):
    q, x = a_map((2, 4, 8, 8))
    real = F.interpolate(dequantize(q, x), size)
    assert torch.equal(arithmetic.nearest(q, size), fake_rounded(real, x))


def test_zeros_around_a_map_are_zero_points():
    q, x = a_map((2, 4, 8, 8))
    real = F.pad(dequantize(q, x), (0, 1, 2, 1))
    mine = arithmetic.pad(q, (0, 1, 2, 1), x.zero_point)
    assert torch.equal(mine, fake_rounded(real, x))


@pytest.mark.parametrize("ends", [(0.0, math.inf), (0.0, 6.0), (-1.0, 0.4)])
def test_clipping_is_exact(ends):
    q, x = a_map((2, 4, 40, 40), low=-4.0, high=9.0)
    real = dequantize(q, x).clamp(*ends)
    mine = arithmetic.clip(q, *arithmetic.bounds(x, *ends).tolist())
    assert torch.equal(mine, fake_rounded(real, x))


def test_a_table_is_exact():
    q, x = a_map((2, 4, 40, 40), low=-6.0, high=4.0)
    real = F.silu(dequantize(q, x))
    out = fitted(real)
    table = fake_rounded(F.silu(dequantize(torch.arange(256), x)), out)
    assert torch.equal(arithmetic.lookup(q, table, 0), fake_rounded(real, out))


# -------------------------------------------------------------------------- onnxruntime


def run_onnx(kind, inputs: dict, outputs=1, domain="", **attributes):
    """One operator of onnxruntime on numpy arrays."""
    node = helper.make_node(kind, list(inputs), ["y"], domain=domain, **attributes)
    describe = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in inputs.items()
    ]
    result = onnx.ValueInfoProto()
    result.name = "y"
    graph = helper.make_graph([node], "one", describe, [result])
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, ["CPUExecutionProvider"]
    )
    return torch.from_numpy(session.run(None, inputs)[0])


def on_onnx(q, grid):
    """Integers, scale and zero point as onnxruntime takes them."""
    kind = np.uint8 if grid.low == 0 else np.int8
    scale = np.array(grid.scale.item(), np.float32)
    zero = np.array(grid.zero_point.item(), kind)
    return (q.numpy().astype(kind) if q is not None else None), scale, zero


@pytest.mark.parametrize("kind", SHAPES)
def test_sums_equal_onnxruntime(kind):
    q, x, weight, _, w, geometry = a_convolution(kind)
    integers = quantize.quantize(weight, w) // 2  # 7 bits: no kernel saturates then
    inputs = {"x": q.numpy().astype(np.uint8), "w": integers.numpy().astype(np.int8)}
    inputs["zero"] = np.array(x.zero_point.item(), np.uint8)
    theirs = run_onnx("ConvInteger", inputs, **as_onnx(geometry))
    mine = arithmetic.accumulate(q, integers, None, x.zero_point, **geometry)
    assert torch.equal(mine, theirs)


def as_onnx(geometry):
    names = {"stride": "strides", "padding": "pads", "dilation": "dilations"}
    sizes = {"stride": 2, "padding": 4, "dilation": 2}
    return {
        names.get(k, "group"): [v] * sizes[k] if k in sizes else v
        for k, v in geometry.items()
    }


@pytest.mark.parametrize("kind", SHAPES)
def test_convolution_agrees_with_onnxruntime(kind):
    q, x, weight, bias, w, geometry = a_convolution(kind)
    w = w._replace(scale=w.scale * 2)  # 7 bits again
    layer = arithmetic.integer_layer(quantize.quantize(weight, w), bias, w, x)
    out = fitted(
        F.conv2d(
            dequantize(q, x),
            dequantize(quantize.quantize(weight, w), w),
            bias,
            **geometry,
        )
    )
    stage = choose_output_stage(
        layer.step / out.scale.double(), out
    )  # as theirs: no rest
    mine = arithmetic.conv2d(
        q, layer.weight, layer.bias, x.zero_point, stage, **geometry
    )
    keys = "x", "x_scale", "x_zero"
    inputs = dict(zip(keys, on_onnx(q, x), strict=True))
    inputs["w"] = layer.weight.numpy()
    inputs["w_scale"] = w.scale.numpy()
    inputs["w_zero"] = np.zeros(len(weight), np.int8)
    inputs["y_scale"], inputs["y_zero"] = on_onnx(None, out)[1:]
    inputs["b"] = layer.bias.numpy()
    theirs = run_onnx("QLinearConv", inputs, **as_onnx(geometry))
    assert_agree(mine, theirs.int())


def test_sums_of_maps_agree_with_onnxruntime():
    (q, x), (r, y) = a_map((4, 8, 32, 32), 0), a_map((4, 8, 32, 32), 1, -0.3, 7.0)
    out = fitted(dequantize(q, x) + dequantize(r, y))
    inputs = dict(
        zip(
            ("a", "a_s", "a_z", "b", "b_s", "b_z", "y_s", "y_z"),
            (*on_onnx(q, x), *on_onnx(r, y), *on_onnx(None, out)[1:]),
            strict=True,
        )
    )
    theirs = run_onnx("QLinearAdd", inputs, domain="com.microsoft")
    assert_agree(a_sum((q, r), (x, y), (1, 1), out), theirs.int())
    stage = choose_output_stage(x.scale.item() * y.scale.item() / out.scale.item(), out)
    mine = arithmetic.multiply(q, r, [x.zero_point, y.zero_point], stage)
    theirs = run_onnx("QLinearMul", inputs, domain="com.microsoft")
    assert_agree(mine, theirs.int())


def test_concat_agrees_with_onnxruntime():
    (q, x), (r, y) = a_map((4, 8, 32, 32), 0), a_map((4, 8, 32, 32), 1, -0.3, 7.0)
    factors = torch.stack([x.scale, y.scale]).double() / y.scale.double()
    stage = choose_output_stage(factors, y, rest=torch.zeros(2))
    zeros = [x.zero_point, y.zero_point]
    mine = arithmetic.concat(q, r, zero_points=zeros, stage=stage)
    keys = "y_s", "y_z", "a", "a_s", "a_z", "b", "b_s", "b_z"
    values = (*on_onnx(None, y)[1:], *on_onnx(q, x), *on_onnx(r, y))
    inputs = dict(zip(keys, values, strict=True))
    theirs = run_onnx("QLinearConcat", inputs, domain="com.microsoft", axis=1)
    assert_agree(mine, theirs.int())


@pytest.mark.parametrize("whole", [False, True])
def test_average_pooling_agrees_with_onnxruntime(whole):
    q, x = a_map((64, 160, 12, 12), 2)
    real = dequantize(q, x)
    real = real.mean((2, 3), True) if whole else F.avg_pool2d(real, 3)
    out = fitted(real)
    keys = "x", "x_s", "x_z", "y_s", "y_z"
    inputs = dict(zip(keys, (*on_onnx(q, x), *on_onnx(None, out)[1:]), strict=True))
    count = 144 if whole else 9
    stage = choose_output_stage(x.scale.item() / count / out.scale.item(), out)
    if whole:
        mine = arithmetic.mean(q, x.zero_point, stage, (2, 3), True)
        kind, window = "QLinearGlobalAveragePool", {}
    else:
        mine = arithmetic.average_pool(q, x.zero_point, stage, 3)
        kind, window = "QLinearAveragePool", {"kernel_shape": [3, 3], "strides": [3, 3]}
    theirs = run_onnx(kind, inputs, domain="com.microsoft", **window)
    assert_agree(mine, theirs.int())
