"""Grids against torch's kernels and observers, ranges against others'; folding."""

import copy
import importlib.util
import math
import sys
import time
import warnings

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils._pytree import tree_leaves

from lib.book import course
from lib.compression import deployed, histograms, quantize
from lib.detection import coco_eval, detectors, efficientdet

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
    assert torch.equal(quantize.rounded(x, grid), theirs)


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
    assert torch.equal(quantize.rounded(x, grid), theirs)


def test_what_is_no_number_is_not_rounded():
    grid = quantize.choose_qparams(torch.tensor([-1.0, 2.0]))
    with pytest.raises(ValueError, match="x holds NaN"):
        quantize.rounded(torch.tensor([1.0, math.nan]), grid)
    whole = torch.tensor([-1, 0, 2])  # integers are numbers too
    assert quantize.rounded(whole, grid).dtype == torch.float32


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


def test_a_filter_of_zeros_beside_others_stays_zero():
    x = normal(3, 4)
    x[1] = 0
    for grid in (
        quantize.choose_qparams(x, symmetric=True, axis=0),
        quantize.choose_qparams(x, axis=0, group=2),
    ):
        back = quantize.dequantize(quantize.quantize(x, grid), grid)
        assert (back[1] == 0).all() and (back[0] != 0).any()


def test_a_wide_range_and_a_narrow_one():
    for spread in (1e-35, 1e30):
        x = normal(100, spread=spread)
        grid = quantize.choose_qparams(x)
        back = quantize.dequantize(quantize.quantize(x, grid), grid)
        # Half a step, and half of another one where the zero point was rounded.
        assert ((x - back).abs() <= grid.scale * 1.001).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: quantize.choose_qparams(torch.ones(3), bits=1), "bits is 1"),
        (lambda: quantize.choose_qparams(torch.ones(3), bits=17), "bits is 17"),
        (lambda: quantize.choose_qparams(torch.ones(3), bits=True), "bits is True"),
        (lambda: quantize.choose_qparams(torch.zeros(3)), "no width"),
        (lambda: quantize.choose_qparams(torch.zeros(3, 2), axis=0), "no width"),
        (lambda: quantize.choose_qparams(torch.ones(0, 3)), r"empty.*\(0, 3\)"),
        (lambda: quantize.choose_qparams(torch.tensor([1, math.nan])), "NaN"),
        (lambda: quantize.choose_qparams(torch.tensor([1, math.inf])), "infinity"),
        (lambda: quantize.choose_qparams(torch.ones(2, 6), axis=0, group=4), "has 6"),
        (lambda: quantize.choose_qparams(torch.ones(2, 6), axis=0, group=0), "is 0"),
        (lambda: quantize.choose_qparams(torch.ones(2, 6), group=2), "axis None"),
        (lambda: quantize.choose_qparams(torch.ones(2, 6), axis=2), "axis is 2"),
        (lambda: quantize.from_range(1.0, -1.0), "upside down"),
        (lambda: quantize.from_range(0.0, 0.0), "no width"),
        (lambda: quantize.from_range(-3e38, 3e38), "infinity"),
    ],
)
def test_bad_ranges_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_bad_tensors_are_refused():
    grid = quantize.choose_qparams(normal(3, 4), axis=0)
    with pytest.raises(ValueError, match=r"\(3,\) grids.*needs \(2,\)"):
        quantize.quantize(torch.ones(2, 4), grid)
    with pytest.raises(ValueError, match="NaN"):
        quantize.quantize(torch.full((3, 4), math.nan), grid)


# --------------------------------------------------------------------------------- dB


@pytest.mark.equation("19.6")
def test_decibels_by_hand():
    """Power 25, noise 0.25: a hundredth, 20 dB."""
    x, y = torch.tensor([3.0, 4.0]), torch.tensor([3.5, 4.0])
    assert quantize.sqnr(x, y) == pytest.approx(20)
    assert quantize.sqnr(x, x) == math.inf


@pytest.mark.equation("19.7")
def test_a_bit_is_worth_six_decibels():
    """Evenly spread numbers that fill their range: 20 log10(levels), by hand."""
    x = torch.linspace(-1, 1, 200_001)
    for bits in (3, 5, 8):
        grid = quantize.choose_qparams(x, bits)
        measured = quantize.sqnr(
            x, quantize.dequantize(quantize.quantize(x, grid), grid)
        )
        by_hand = 20 * math.log10(2**bits - 1)
        assert quantize.expected_sqnr(x, grid) == pytest.approx(by_hand, abs=0.01)
        assert measured == pytest.approx(by_hand, abs=0.4)  # at the ends half a step
    rows = torch.stack([x, 10 * x])
    grid = quantize.choose_qparams(rows, 8, axis=0)
    assert quantize.expected_sqnr(rows, grid) == pytest.approx(48.13, abs=0.01)


# --------------------------------------------------------------------------- observers


def activations(kind, n=20_000, seed=0):
    x, y = normal(n, seed=seed), normal(n, seed=seed + 100)
    return {
        "normal": x,
        "relu": x.relu(),
        "silu": nn.functional.silu(2 * x),
        "heavy": x * y.exp(),
        "negative": -x.abs(),
        "shifted": x + 20,
    }[kind]


OBSERVERS = [
    quantize.MinMax, quantize.Percentile, quantize.MSE, quantize.Entropy,
]  # fmt: skip
DATA = ["normal", "relu", "silu", "heavy", "negative", "shifted"]


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("observer", OBSERVERS)
def test_batches_are_as_good_as_all_at_once(observer, kind):
    """Also when later values lie far outside of the first ones.

    Entropy has a flat optimum, which moves when bins are wider: it sees a large value
    early.
    """
    x = activations(kind)
    x = x[x.abs().argsort(descending=observer is quantize.Entropy)]
    whole, parts = observer(), observer()
    whole.observe(x)
    for batch in x.split(3000):
        parts.observe(batch.reshape(-1, 2, 5))
    for symmetric, signed in KINDS[:3]:
        wanted = whole.qparams(6, symmetric, signed)
        found = parts.qparams(6, symmetric, signed)
        assert found.scale / wanted.scale == pytest.approx(1, abs=0.03)
        assert abs(found.zero_point - wanted.zero_point) <= 1


@pytest.mark.parametrize("observer", OBSERVERS)
def test_channels_are_observed_one_by_one(observer):
    x = normal(8, 3, 50) * torch.tensor([1.0, 10.0, 0.0])[:, None]
    each = observer(axis=1)
    each.observe(x[:4])
    each.observe(x[4:])
    grid = each.qparams(4)
    assert grid.axis == 1 and grid.scale.shape == (3,)
    for channel in (0, 1):
        one = observer()
        one.observe(x[:4, channel])
        one.observe(x[4:, channel])
        assert torch.allclose(grid.scale[channel], one.qparams(4).scale)


def test_percentile_is_onnxruntimes():
    from onnxruntime.quantization import calibrate

    x = activations("heavy")
    theirs = calibrate.HistogramCollector("percentile", False, 8192, 128, 98.0, "same")
    theirs.collect({"x": [x.numpy()]})
    least, most = theirs.compute_percentile()["x"][:2]
    mine = quantize.Percentile(keep=0.99)
    mine.observe(x)
    width = float(mine.histogram.reach) / quantize.BINS
    found = [float(v) for v in mine.limits(8, False, True)]
    assert found == pytest.approx([float(least), float(most)], abs=2 * width)


def test_percentile_counts_zeros_and_stays_inside():
    x = activations("relu")
    mine = quantize.Percentile(keep=0.99)
    mine.observe(x)
    least, most = (float(v) for v in mine.limits(8, False, False))
    assert least == 0 and most == pytest.approx(float(x.quantile(0.99)), abs=0.01)


@pytest.mark.equation("19.10")
@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("kind", DATA)
def test_mse_finds_what_trying_all_ranges_finds(kind, bits):
    x = activations(kind, 4000)
    mine = quantize.MSE()
    mine.observe(x)

    def error(grid):
        return (
            (quantize.dequantize(quantize.quantize(x, grid), grid) - x).square().mean()
        )

    shares = torch.linspace(0.04, 1, 25)
    ends = x.min().clamp(max=0), x.max().clamp(min=0)
    least = min(
        error(quantize.from_range(ends[0] * a, ends[1] * b, bits, signed=False))
        for a in (shares if ends[0] < 0 else [1])
        for b in (shares if ends[1] > 0 else [1])
    )
    assert error(mine.qparams(bits, signed=False)) <= 1.02 * least


@pytest.mark.equation("19.10")
def test_mse_is_not_worse_than_torchs_histogram_observer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.ao.quantization import observer as ao

        theirs = ao.HistogramObserver(dtype=torch.quint8)
    x = activations("heavy")
    mine = quantize.MSE()
    theirs(x), mine.observe(x)
    scale, zero_point = theirs.calculate_qparams()
    other = torch.fake_quantize_per_tensor_affine(x, scale, zero_point.int(), 0, 255)
    grid = mine.qparams(8, signed=False)
    back = quantize.dequantize(quantize.quantize(x, grid), grid)
    assert quantize.sqnr(x, back) >= quantize.sqnr(x, other[: len(x)]) - 0.1


@pytest.mark.equation("19.11")
def test_divergence_by_hand():
    """Counts 4 2 | 1 1 in two levels, nothing cut: 3 3 1 1.

    KL = 1/2 log(4/3) + 1/4 log(2/3). Cut at two, two levels: 4 4 against 4 2.
    """
    counts = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    whole = math.log(4 / 3) / 2 + math.log(2 / 3) / 4
    assert float(histograms.divergence(counts, 4, 2)) == pytest.approx(whole)
    cut = math.log((1 / 2) / (2 / 3)) / 2 + math.log((1 / 2) / (1 / 3)) / 2
    assert float(histograms.divergence(counts, 2, 2)) == pytest.approx(cut)
    empty = torch.tensor([3.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert float(histograms.divergence(empty, 4, 2)) == pytest.approx(0, abs=1e-12)


@pytest.mark.equation("19.11")
@pytest.mark.parametrize("kind", ["normal", "relu", "silu", "heavy"])
def test_entropy_is_what_tensorrts_recipe_gives(kind):
    """The recipe in plain loops, on the same bins: every end, 128 levels."""
    from scipy.stats import entropy

    x = activations(kind)
    mine = quantize.Entropy()
    mine.observe(x)
    bins = torch.histc(x.abs()[x != 0], 2048, 0, float(x.abs().max())).numpy()

    def distance(end, levels):
        reference = bins[:end].copy()
        reference[-1] += bins[end:].sum()
        rounded = [0.0] * end
        for level in range(levels):
            inside = [i for i in range(end) if i * levels // end == level]
            filled = [i for i in inside if reference[i]]
            for i in filled:
                rounded[i] = bins[inside].sum() / len(filled)
        return entropy(reference, [r if r else 1e-9 for r in rounded])

    found = float(mine.qparams(8, symmetric=True).scale * 127)
    end = round(found / float(x.abs().max()) * 2048)
    chosen = distance(end, 128)
    assert all(chosen <= 1.05 * distance(e, 128) for e in range(128, 2049, 240))


@pytest.mark.parametrize("observer", OBSERVERS)
def test_bad_observations_are_refused(observer):
    with pytest.raises(ValueError, match=f"{observer.__name__} saw no data"):
        observer().qparams()
    watching = observer()
    with pytest.raises(ValueError, match="NaN or infinity 2 times, of 3"):
        watching.observe(torch.tensor([1.0, math.nan, math.inf]))
    with pytest.raises(ValueError, match="empty"):
        watching.observe(torch.ones(0))
    with pytest.raises(ValueError, match="no data"):  # nothing came in
        watching.qparams()
    for value in (0.0, 3.0):
        constant = observer()
        constant.observe(torch.full((2, 5), value))
        with pytest.raises(ValueError, match=f"were {value:g}: a constant"):
            constant.qparams()
    each = observer(axis=0)
    each.observe(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="no width"):
        each.qparams()
    with pytest.raises(ValueError, match="3 channels, before 2"):
        each.observe(torch.zeros(3, 3))


def test_a_percentile_keeps_most():
    for keep in (0.5, 1.1, math.nan):
        with pytest.raises(ValueError, match="keep is"):
            quantize.Percentile(keep=keep)
    sparse = quantize.Percentile(keep=0.9)
    sparse.observe(torch.tensor([0.0] * 98 + [1.0, 2.0]))
    with pytest.raises(ValueError, match="no width"):  # only zeros are left
        sparse.qparams()


# --------------------------------------------------------------- observers at the edges


def back_in_decibels(observer, x, bits=8):
    observer.observe(x)
    grid = observer.qparams(bits, signed=False)
    return quantize.sqnr(x, quantize.dequantize(quantize.quantize(x, grid), grid))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", [4, 8])
def test_entropy_of_whole_numbers_far_from_zero_cuts_nothing(bits, sign):
    """1 to 5 on a grid of 15 or 255 steps from 0 to 5: each number is a point of it."""
    x = sign * torch.arange(1, 6).repeat(1000).float()
    observer = quantize.Entropy()
    assert back_in_decibels(observer, x, bits) > 120  # exact, but for float32
    scale = observer.qparams(bits, signed=False).scale.item()
    assert scale == pytest.approx(5 / (2**bits - 1))


@pytest.mark.parametrize("mean", [3.0, 10.0, -3.0, 100.0])
@pytest.mark.parametrize("spread", [0.03, 0.3, 1.0])
def test_entropy_far_from_zero_comes_to_what_a_grid_can_give(mean, spread):
    """By Eq. 19.7, with the step over the whole range; a dB for what may be cut."""
    x = normal(5000, seed=3) * spread + mean
    least, most = min(x.min().item(), 0), max(x.max().item(), 0)
    step = (most - least) / 255
    expected = 10 * math.log10(12 * x.double().square().mean() / step**2)
    found = back_in_decibels(quantize.Entropy(), x)
    # Values in a few steps meet the grid by chance; what is wrong was 2 to 10 dB.
    assert found > min(expected - 1, 45)


def test_entropy_of_two_spikes_and_of_one():
    spikes = torch.tensor([2.0] * 500 + [4.0] * 500)
    assert back_in_decibels(quantize.Entropy(), spikes) > 45
    almost_one = torch.tensor([2.0] * 990 + [4.0] * 10)
    observer = quantize.Entropy()
    observer.observe(almost_one)
    assert observer.limits(8, False, False)[1].item() == 4  # it keeps both


def test_entropy_of_a_thousand_channels_is_fast():
    x = normal(1000, 9, 16) * torch.exp(normal(1000, 1, 1, seed=1))
    observer = quantize.Entropy(axis=0)
    observer.observe(x)
    begun = time.process_time()
    grid = observer.qparams(8, symmetric=True)
    assert time.process_time() - begun < 6  # it took over 20 s
    for channel in (0, 500, 999):
        one = quantize.Entropy()
        one.observe(x[channel])
        assert torch.allclose(one.qparams(8, symmetric=True).scale, grid.scale[channel])


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_where_constants_may_be_zeros_have_a_grid(observer, symmetric):
    """Zeros stand on the grid from 0 to 1; a constant on the one from 0 to itself."""
    for values, largest in ((torch.zeros(20), 1.0), (torch.full((20,), 3.0), 3.0)):
        watching = observer()
        watching.refuses_constants = False
        watching.observe(values)
        grid = watching.qparams(8, symmetric, signed=symmetric)
        steps = 127 if symmetric else 255
        assert grid.scale.item() == pytest.approx(largest / steps, rel=0.02)
        back = quantize.dequantize(quantize.quantize(values, grid), grid)
        assert torch.allclose(back, values, rtol=0.02, atol=0)
    each = observer(axis=0)
    each.refuses_constants = False
    each.observe(torch.zeros(3, 5))
    assert each.qparams(4, True).scale.tolist() == [pytest.approx(1 / 7)] * 3


def test_a_percentile_of_nearly_all_zeros_takes_the_whole_range():
    sparse = quantize.Percentile(keep=0.9)
    sparse.refuses_constants = False
    sparse.observe(torch.tensor([0.0] * 98 + [1.0, 2.0]))
    assert sparse.qparams(8, signed=False).scale.item() == pytest.approx(2 / 255)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("bits", [8, 16])
def test_half_precision_is_rounded_once(kind, bits):
    """NumPy in float32 on the same values: times 1 / step, to the nearest, to even."""
    x = normal(4000, spread=3).to(kind)
    grid = quantize.choose_qparams(x, bits, signed=False)
    steps = x.float().numpy() * (np.float32(1) / grid.scale.numpy())
    wanted = np.clip(np.round(steps) + grid.zero_point.item(), grid.low, grid.high)
    found = quantize.quantize(x, grid).numpy()
    assert (found == wanted).all()
    back = quantize.dequantize(torch.tensor(found), grid)
    assert back.dtype == torch.float32
    for observer in OBSERVERS:
        watching = observer()
        watching.observe(x)
        assert watching.qparams(bits).scale.dtype == torch.float32


def test_the_ends_of_float32():
    largest = torch.finfo(torch.float32).max
    with pytest.raises(ValueError, match="infinity"):
        quantize.choose_qparams(torch.tensor([-largest, largest]))
    grid_or_refusal = torch.tensor([0.0, largest])
    try:
        grid = quantize.choose_qparams(grid_or_refusal)
    except ValueError as error:
        assert "steps add to infinity" in str(error)
    else:
        back = quantize.dequantize(quantize.quantize(grid_or_refusal, grid), grid)
        assert back.isfinite().all()
    for observer in OBSERVERS:
        with pytest.raises(ValueError, match="beyond 8.5e[+]37"):
            observer().observe(torch.tensor([1.0, largest]))
    for value in (3e37, 8e37):
        watching = quantize.MSE()
        watching.observe(torch.tensor([1e30, value]))
        watching.observe(torch.tensor([-value, 2 * 4e37]))
        assert watching.qparams().scale.isfinite()


@pytest.mark.parametrize("kind", ["complex", "sparse", "on the meta device"])
def test_what_holds_no_real_numbers_is_named(kind):
    """Lists, arrays and the like: tests/test_wrong_kinds.py."""
    ones = torch.ones(2, 2)
    value = {"complex": ones.to(torch.complex64), "sparse": ones.to_sparse()}.get(kind)
    value = ones.to("meta") if value is None else value
    grid = quantize.from_range(-1.0, 1.0)
    for name, call in (
        ("x", lambda: quantize.choose_qparams(value)),
        ("x", lambda: quantize.quantize(value, grid)),
        ("q", lambda: quantize.dequantize(value, grid)),
        ("x", lambda: quantize.sqnr(value, ones)),
        ("y", lambda: quantize.sqnr(ones, value)),
        ("x", lambda: quantize.expected_sqnr(value, grid)),
        ("x", lambda: quantize.MinMax().observe(value)),
    ):
        with pytest.raises(ValueError, match=f"^{name} is a tensor that is {kind}; it"):
            call()


def test_grids_and_pairs_that_do_not_fit_are_named():
    zeros, ones = torch.zeros(2), torch.ones(3)
    with pytest.raises(ValueError, match="least and most have shapes"):
        quantize.from_range(zeros, ones)
    with pytest.raises(ValueError, match=r"^x and y have shapes \(3,\) and \(2,\)"):
        quantize.sqnr(ones, zeros)
    with pytest.raises(ValueError, match="not empty"):
        quantize.sqnr(ones[:0], ones[:0])
    no_step = quantize.QParams(torch.tensor(math.nan), torch.tensor(0), 0, 9)
    with pytest.raises(ValueError, match="qparams.scale has a step that is not above"):
        quantize.quantize(ones, no_step)
    assert quantize.sqnr(zeros, zeros) == math.inf  # nothing is lost


# ---------------------------------------------------------------------------- deployed


@pytest.mark.equation("19.8")
@pytest.mark.equation("19.9")
def test_folding_by_hand():
    """w = 2, b = 1; mean 3, variance 4, gamma 6, beta 5: 3 (2x + 1 - 3) + 5."""
    numbers = [torch.tensor([v]) for v in (6.0, 5.0, 3.0, 4.0)]
    scale, shift = deployed.affine(*numbers, 0.0)
    assert scale.item() == 3 and shift.item() == -4
    weight, bias = torch.tensor([[2.0]]), torch.tensor([1.0])
    weight, bias = deployed.fold(weight, bias, scale, shift)
    assert weight.item() == 6 and bias.item() == -1
    assert deployed.fold(weight, None, scale, shift)[1] is shift
    scale, shift = deployed.affine(None, None, *numbers[2:], 0.0)
    assert scale.item() == 0.5 and shift.item() == -1.5


def shaken(model, seed=0):
    """Batch norms as if they had been trained: no mean 0, no variance 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for values in (module.running_mean, module.bias):
                if values is not None:
                    values.data.normal_(0, 0.2, generator=generator)
            for values in (module.running_var, module.weight):
                if values is not None:
                    values.data.uniform_(0.5, 1.5, generator=generator)
    return model


def kinds(graph):
    return [n.op if n.op != "call_function" else deployed._name(n) for n in graph.nodes]


def agree(model, graph, x):
    """Outputs of one structure, equal to 1e-5 of the largest value."""
    with torch.no_grad():
        wanted, found = model(x), graph(x)
    assert type(wanted) is type(found)
    for a, b in zip(tree_leaves(wanted), tree_leaves(found), strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


def check(model, x):
    """Deploy a shaken model: equal for another batch, untouched, trainable, flat."""
    model = shaken(model).train()
    before = copy.deepcopy(model.state_dict())
    graph = deployed.deployed(model, x)
    assert all(module.training for module in model.modules())
    after = model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not {"batch_norm", "contiguous"} & set(kinds(graph.graph))
    assert not any(kind.endswith("_") for kind in kinds(graph.graph))
    for node in graph.graph.nodes:
        if node.op == "call_module":
            assert type(graph.get_submodule(node.target)) in (nn.Conv2d, nn.Linear)
            assert sum(n.target == node.target for n in graph.graph.nodes) == 1
    agree(model.eval(), graph, torch.cat([x, x.flip(-1) * 0.7, x])[:3])
    return graph


@pytest.mark.parametrize("name", ["plain", "course", "lite"])
def test_shipped_detectors_as_deployed(name):
    model = detectors.detector(name)
    x = normal(2, 3, 64, 64)
    graph = check(model, x)
    # Heads: as many convolutions as there are levels, each with its own norm.
    heads = [n for n, _ in graph.named_children() if "class_head_convs_0" in n]
    each = 2 if name != "plain" else 1
    assert len(heads) == 3 * each
    weights = [graph.get_submodule(n).weight for n in heads[each - 1 :: each]]
    assert not torch.allclose(weights[0], weights[1])
    # A copy is a whole detector, and all of it learns.
    twin = copy.deepcopy(graph)
    assert twin.config.anchors == model.config.anchors
    sum(o.square().sum() for o in tree_leaves(twin(x))).backward()
    assert all(p.grad is not None for p in twin.parameters())
    assert all(p.grad is None for p in graph.parameters())


def tiny_efficientdet(name):
    config = efficientdet.replace(
        efficientdet.CONFIGS[name], width=16, cells=1, repeats=1, num_classes=3
    )
    backbone = efficientdet.efficientnet.features(
        "b0" if name == "d0" else "lite0", width=0.5, depth=0.5
    )
    return efficientdet.Detector(backbone, config)


@pytest.mark.parametrize(
    "build",
    [
        lambda: tiny_efficientdet("d0"),
        lambda: torchvision.models.resnet18(),
        lambda: torchvision.models.mobilenet_v3_small(),
    ],
    ids=["d0", "resnet18", "mobilenet_v3_small"],
)
def test_other_networks_as_deployed(build):
    check(build(), normal(2, 3, 64, 64))


class Odd(nn.Module):
    """What a rewriter meets: norms everywhere, shared layers, values in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same", padding_mode="zeros")
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))
        self.first = nn.BatchNorm2d(3)
        self.plain = nn.BatchNorm2d(4, affine=False)
        self.joint = nn.BatchNorm2d(8)
        self.linear, self.last = nn.Linear(8, 5), nn.BatchNorm1d(5)
        self.scale = nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, x):
        x = self.first(x)  # nothing before it
        y = self.conv(x)
        a, b = self.norms[0](y), self.norms[1](y)  # one convolution, two norms
        c = torch.relu_(a) + a  # the second `a` is the ReLU too
        d = self.plain(torch.sigmoid(b)) * (self.scale / self.scale.sum())[0]
        z = torch.cat([self.conv(x), self.norms[2](self.conv(x))], 1)
        z = self.joint(z)  # folds into both parts
        z = nn.functional.relu6(z) + torch.cat([c, d], 1) + y.sum()
        z = nn.functional.dropout(z, 0.5, self.training)
        pooled = nn.functional.adaptive_avg_pool2d(z, 1).flatten(1)
        return {"out": self.last(self.linear(pooled)), "map": (z, y)}


def test_every_odd_place_of_a_norm():
    graph = check(Odd(), normal(2, 3, 9, 7))
    found = kinds(graph.graph)
    # first and plain fold into nothing; y alone, 3 folded, and 1 for each part of z.
    layers = [graph.get_submodule(n.target) for n in graph.graph.nodes
              if n.op == "call_module"]  # fmt: skip
    assert sum(m.groups > 1 for m in layers if isinstance(m, nn.Conv2d)) == 2
    assert len(layers) == 2 + 1 + 2 + 2 + 1
    assert "mean" in found and "dropout" not in found and "div" not in found
    assert found.count("hardtanh") == 1


def test_weights_of_every_precision_keep_theirs():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).double()
    graph = deployed.deployed(shaken(model), normal(1, 3, 8, 8).double())
    assert {p.dtype for p in graph.parameters()} == {torch.float64}
    agree(model.eval(), graph, normal(5, 3, 8, 8).double())


class Branches(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class Views(nn.Module):
    def forward(self, x):
        y = x * 1
        y[:, :1].mul_(3)
        return y + 1


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (Branches(), torch.ones(2, 3), "Branches cannot be written as a graph"),
        (Views(), torch.ones(2, 3), "output 0 of the graph differs"),
        (nn.Conv2d(3, 4, 3), torch.ones(2, 5, 8, 8), "Conv2d cannot be written"),
        (nn.Conv2d(3, 4, 3), torch.ones(0, 3, 8, 8), "example_input"),
        (
            nn.BatchNorm2d(3, track_running_stats=False),
            torch.ones(2, 3, 4, 4),
            "its batch: no folding",
        ),
        (nn.BatchNorm1d(3), torch.ones(2, 3), r"follows no layer"),
    ],
)
def test_what_no_graph_holds_is_refused(model, x, words):
    with pytest.raises(ValueError, match=words):
        deployed.deployed(model, x)


def test_a_deployed_detector_scores_as_before():
    model = detectors.shipped("plain")
    scenes = detectors.scenes("test", 24)
    graph = deployed.deployed(model, torch.zeros(1, 3, 128, 128))
    ap = [
        coco_eval.evaluate(scenes.coco(), coco_eval.detections(m, scenes)).ap
        for m in (model, graph)
    ]
    assert ap[0] > 0.5 and ap[1] == pytest.approx(ap[0], abs=0.002)


# ---------------------------------------------------------------------------- recorded


def test_weight_bits_are_recorded_once(tmp_path, monkeypatch):
    folder = course.ROOT / "data" / "ablations"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location("bits", folder / "weight_bits.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    jobs = script.plan(("plain",), (0,), 4)
    assert len(jobs) == 16 and len(script.plan()) == 9 * 16
    jobs = [job for job in jobs if job["bits"] in (32, 2) and job["axis"] != "tensor"]
    path = tmp_path / "rows.jsonl"
    assert script.run(jobs[:2], path) == 2 and script.run(jobs, path) == 1
    assert script.run(jobs, path) == 0
    rows = script.ledger.read(path)
    assert rows[0]["ap"] > 0.4 > rows[1]["ap"]  # two bits are too few
    assert rows[1]["range"] == "min-max" and rows[2]["range"] == "mse"
    assert len(script.report(rows).splitlines()) == 3


def test_ranges_without_width_take_the_widest_step_and_zero_at_the_first_integer():
    """By hand: -1 to 2 in 4 bits is a step of 0.2; beside it a filter of zeros."""
    least, most = torch.tensor([-1.0, 0.0]), torch.tensor([2.0, 0.0])
    grid = quantize.from_range(least, most, bits=4, axis=0)
    assert torch.allclose(grid.scale, torch.tensor([0.2, 0.2]))
    assert grid.zero_point.tolist() == [-8 + 5, -8]
    zeros = quantize.quantize(torch.zeros(2, 3), grid)
    assert not quantize.dequantize(zeros, grid).any()


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_affine_grids_are_those_of_torch_observers(bits, signed):
    """torch.ao's MinMaxObserver, another implementation, on ranges of many sizes."""
    low, high = quantize.integer_range(bits, False, signed)
    draw = torch.Generator().manual_seed(bits)
    for size in (1e-3, 1.0, 1e4):
        ends = size * torch.randn(20, 2, generator=draw)
        least, most = ends.aminmax(dim=1)
        grid = quantize.from_range(least, most, bits, signed=signed, axis=0)
        how = {"quant_min": low, "quant_max": high, "dtype": torch.qint32}
        theirs = torch.ao.quantization.PerChannelMinMaxObserver(0, **how, eps=1e-30)
        theirs(ends)
        scale, zero_point = theirs.calculate_qparams()
        assert torch.allclose(grid.scale, scale.float(), rtol=1e-6)
        assert grid.zero_point.tolist() == zero_point.tolist()
