"""Grids against torch's kernels and observers, ranges against onnxruntime's; folding."""

import copy
import math
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.utils._pytree import tree_leaves

from lib import coco_eval, decoding, deployed, detectors, efficientdet, quantize

TIES = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5]
KINDS = [(False, False), (False, True), (True, True), (True, False)]


def normal(*shape, seed=0, spread=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


# ------------------------------------------------------------------------------- grids


@pytest.mark.equation("19.1")
def test_five_numbers_by_hand():
    """-1 to 2 in 4 bits: step 3/15 = 0.2, zero is integer 5; as in chapter 19."""
    x = torch.tensor([-1.0, -0.33, 0.0, 0.65, 2.0])
    grid = quantize.choose_qparams(x, bits=4, signed=False)
    assert grid.scale.item() == pytest.approx(0.2) and grid.zero_point == 5
    q = quantize.quantize(x, grid)
    assert q.dtype == torch.int32 and q.tolist() == [0, 3, 5, 8, 15]


@pytest.mark.equation("19.2")
def test_the_way_back_by_hand():
    grid = quantize.QParams(torch.tensor(0.2), torch.tensor(5).int(), 0, 15)
    back = quantize.dequantize(torch.tensor([0, 3, 5, 8, 15]).int(), grid)
    assert back.tolist() == pytest.approx([-1, -0.4, 0, 0.6, 2])


@pytest.mark.equation("19.1")
@pytest.mark.parametrize(("symmetric", "signed"), KINDS)
@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_equal_to_torch_bit_by_bit(bits, symmetric, signed):
    x = normal(3, 5, 40, spread=3)
    grid = quantize.choose_qparams(x, bits, symmetric, signed)
    ties = (torch.arange(grid.low, min(grid.high, grid.low + 999)) + 0.5) * grid.scale
    x = torch.cat([x.flatten(), 2 * x.flatten(), ties])  # some are cut off
    theirs = torch.fake_quantize_per_tensor_affine(
        x, grid.scale, grid.zero_point, grid.low, grid.high
    )
    assert torch.equal(quantize.dequantize(quantize.quantize(x, grid), grid), theirs)


@pytest.mark.equation("19.1")
@pytest.mark.parametrize(("symmetric", "signed"), KINDS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_equal_to_torch_for_each_channel(axis, symmetric, signed):
    x = normal(4, 3, 5) * 10 ** normal(4, 3, 5, seed=1)
    grid = quantize.choose_qparams(x, 5, symmetric, signed, axis=axis)
    theirs = torch.fake_quantize_per_channel_affine(
        x, grid.scale, grid.zero_point, axis, grid.low, grid.high
    )
    assert torch.equal(quantize.dequantize(quantize.quantize(x, grid), grid), theirs)


def test_ties_go_to_the_even_neighbour():
    grid = quantize.QParams(torch.tensor(1.0), torch.tensor(0).int(), -8, 7)
    q = quantize.quantize(torch.tensor(TIES), grid)
    assert q.tolist() == [0, 2, 2, 0, -2, -2]


@pytest.mark.equation("19.3")
@pytest.mark.equation("19.4")
def test_scale_and_zero_point_are_those_of_torchs_observer():
    with warnings.catch_warnings():  # torch.ao is deprecated in favour of torchao
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.ao.quantization import observer as ao

        theirs = ao.MinMaxObserver(dtype=torch.qint8, quant_min=-128, quant_max=127)
    mine = quantize.MinMax()
    for seed in range(3):
        x = normal(500, seed=seed) + 0.7 * seed
        theirs(x)
        mine.observe(x)
    scale, zero_point = theirs.calculate_qparams()
    grid = mine.qparams(8)
    assert torch.equal(grid.scale, scale[0]) and grid.zero_point == zero_point[0]


@pytest.mark.equation("19.5")
def test_symmetric_grids_are_those_of_torchs_observer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.ao.quantization import observer as ao

        theirs = ao.PerChannelMinMaxObserver(
            0, torch.qint8, torch.per_channel_symmetric, quant_min=-127, quant_max=127
        )
    x = normal(6, 4, 3, 3)
    theirs(x)
    scale, zero_point = theirs.calculate_qparams()
    grid = quantize.choose_qparams(x, symmetric=True, axis=0)
    assert torch.allclose(grid.scale, scale, rtol=1e-6, atol=0)
    assert torch.equal(grid.zero_point.long(), zero_point.long())
    assert (grid.low, grid.high) == (-127, 127)


def test_zero_is_exact_on_every_grid():
    for seed in range(50):
        x = normal(20, seed=seed) + 5 * math.sin(seed)
        for symmetric, signed in KINDS:
            grid = quantize.choose_qparams(x, 3, symmetric, signed)
            q = quantize.quantize(torch.zeros(1), grid)
            assert q == grid.zero_point
            assert quantize.dequantize(q, grid) == 0


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_group_is_a_tensor_of_its_own(axis):
    x = normal(4, 6, 8)
    grid = quantize.choose_qparams(x, 4, axis=axis, group=4)
    mine = quantize.dequantize(quantize.quantize(x, grid), grid).movedim(axis, 0)
    rows = x.movedim(axis, 0).reshape(x.shape[axis], -1, 4)
    assert grid.scale.shape == rows.shape[:2]
    for i, channel in enumerate(rows):
        for j, values in enumerate(channel):
            one = quantize.choose_qparams(values, 4)
            back = quantize.dequantize(quantize.quantize(values, one), one)
            assert torch.equal(mine.reshape(rows.shape)[i, j], back)
