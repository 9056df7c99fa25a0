"""Cells and networks against hands, published sizes, timm and pretrainedmodels."""

import copy
import os
import random
import subprocess
import sys

import pretrainedmodels
import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from lib.basics import profiling, training
from lib.nas import cells, nasnet, search_space
from tests import parity

RELATIVES = ("NASNET_A", "AMOEBANET_A", "PNASNET_5", "ENAS", "DARTS_V1", "DARTS_V2")


def one(text: str) -> search_space.Genotype:
    """Both cells from one text."""
    return search_space.from_text(text)


def reads(cell: search_space.Cell) -> set[int]:
    """The states that some block reads."""
    return {state for *pair, _ in cell.blocks for state, _ in pair}


def plain(module: nn.Module) -> nn.Module:
    """Evaluation mode, with batch norms that change nothing."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 0.0
    return module.eval()


def set_weights(module: nn.Module, value: float) -> nn.Module:
    """All convolutions filled with one number."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.constant_(part.weight, value)
    return plain(module)


def square(side: int) -> torch.Tensor:
    """One channel: 0, 1, 2, ... row by row."""
    return torch.arange(float(side * side)).reshape(1, 1, side, side)


# ------------------------------------------------------------------- pieces of a cell


@pytest.mark.equation("5.3")
@pytest.mark.parametrize(
    "size, kernel, stride, by_hand",
    [
        (5, 3, 2, (1, 1)),  # 3 out: (3 - 1) * 2 + 3 - 5 = 2
        (6, 3, 2, (0, 1)),  # 3 out: (3 - 1) * 2 + 3 - 6 = 1: behind
        (6, 5, 2, (1, 2)),
        (224, 7, 2, (2, 3)),
        (7, 7, 1, (3, 3)),
        (4, 1, 2, (0, 0)),  # (2 - 1) * 2 + 1 - 4 = -1: none
    ],
)
def test_same_padding(size, kernel, stride, by_hand):
    assert cells.same_padding(size, kernel, stride) == by_hand


def test_same_convolution_by_hand_and_odd_sides():
    conv = set_weights(cells.SameConv(1, 1, 3, 2), 1.0)
    # Each output counts the pixels under it; the padding is behind: 3 and 2 of 4.
    assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
    # A side of 5 is padded on both: 2, 3 and 2 of 5.
    assert conv(torch.ones(1, 1, 5, 5))[0, 0].tolist() == [
        [4, 6, 4],
        [6, 9, 6],
        [4, 6, 4],
    ]
    assert conv(torch.ones(1, 1, 4, 5))[0, 0].tolist() == [[6, 9, 6], [4, 6, 4]]


@pytest.mark.parametrize("kernel, stride, dilation", [(3, 2, 1), (5, 2, 1), (3, 2, 2)])
@pytest.mark.parametrize("side", [7, 8, 9, 12])
def test_same_convolution_is_timms(kernel, stride, dilation, side):
    theirs = timm.layers.Conv2dSame(2, 3, kernel, stride, dilation=dilation, bias=False)
    mine = cells.SameConv(2, 3, kernel, stride, dilation)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 2, side, side, generator=torch.Generator().manual_seed(side))
    torch.testing.assert_close(mine(x), theirs(x))


def test_pools_by_hand():
    x = square(4)
    # Windows of 3x3 start at 0 and 2; the last ones hang over and hold two rows only.
    assert cells.Pool("avg", 3, 2)(x)[0, 0].tolist() == [[5, 6.5], [11, 12.5]]
    assert cells.Pool("max", 3, 2)(x)[0, 0].tolist() == [[10, 11], [14, 15]]
    assert cells.Pool("max", 3, 2)(x - 100)[0, 0].tolist() == [[-90, -89], [-86, -85]]
    # Stride 1, corner: 0, 1, 4, 5.
    assert cells.Pool("avg", 3)(x)[0, 0, 0, 0] == 2.5
    counting = cells.Pool("avg", 3, 2)
    counting.divisor = 9
    sums = torch.tensor([[45.0, 39.0], [66.0, 50.0]])
    torch.testing.assert_close(counting(x)[0, 0], sums / 9)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_max_pool_is_timms(side, kernel):
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    theirs = timm.layers.create_pool2d("max", kernel, 2, padding="same")
    assert torch.equal(cells.Pool("max", kernel, 2)(x), theirs(x))


@pytest.mark.equation("5.2")
@pytest.mark.parametrize(
    "name, channels, filters, by_hand",
    [
        ("sep3", 4, 4, 9 * 4 + 4 * 4 + 9 * 4 + 4 * 4),  # 104
        ("sep5", 3, 8, 25 * 3 + 3 * 8 + 25 * 8 + 8 * 8),  # 363
        ("sep7", 44, 44, 2 * (49 * 44 + 44 * 44)),
        ("conv3", 3, 8, 9 * 3 * 8),
        ("conv1x7", 3, 8, 7 * 3 * 8 + 7 * 8 * 8),
        ("dil3", 3, 8, 9 * 3 * 8),
        ("dilsep5", 3, 8, 25 * 3 + 3 * 8),
        ("max3", 8, 8, 0),
        ("avg3", 3, 8, 3 * 8),
        ("identity", 8, 8, 0),
        ("identity", 3, 8, 3 * 8),
    ],
)
def test_weights_of_an_operation(name, channels, filters, by_hand):
    layers = cells.operation(name, channels, filters)
    convs = [m for m in layers.modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.weight.numel() for m in convs) == by_hand
    assert all(m.bias is None for m in convs)


@pytest.mark.parametrize("name", search_space.OPERATIONS)
@pytest.mark.parametrize("stride, side", [(1, 7), (2, 7), (2, 8)])
def test_each_operation_keeps_the_promise_of_its_shape(name, stride, side):
    y = cells.operation(name, 3, 4, stride)(torch.randn(2, 3, side, side))
    small = -(-side // stride)
    assert y.shape == (2, 4, small, small)


def test_unknown_operation_is_named():
    with pytest.raises(ValueError, match="name is 'sep9x'; .* one of 'identity', "):
        cells.operation("sep9x", 4, 4)


def test_one_by_three_is_a_row_then_a_column():
    layers = set_weights(cells.operation("conv1x3", 1, 1), 1.0)
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    spread = torch.zeros(5, 5)
    spread[1:4, 1:4] = 1
    assert torch.equal(layers(x)[0, 0], spread)


def test_dilated_reaches_two_pixels():
    layers = set_weights(cells.operation("dil3", 1, 1), 1.0)
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    assert layers(x)[0, 0].nonzero().tolist() == [
        [i, j] for i in (0, 2, 4) for j in (0, 2, 4)
    ]


def test_separable_by_hand():
    layers = set_weights(cells.operation("sep3", 1, 1), 1.0)
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    # Two 3x3 sums in a row: 1 2 3 2 1 along each axis.
    row = torch.tensor([1.0, 2, 3, 2, 1])
    assert torch.equal(layers(x)[0, 0], row[:, None] * row)
    # The ReLU between the halves: all -1, so the first half is negative everywhere.
    assert layers(-x).abs().sum() == 0


# ------------------------------------------------------ factorized reduction, drop path


@pytest.mark.equation("5.4")
@pytest.mark.parametrize(
    "side, even, odd",
    [
        (4, [[0, 2], [8, 10]], [[5, 7], [13, 15]]),
        (3, [[0, 2], [6, 8]], [[4, 0], [0, 0]]),  # the pixel past the edge is 0
        (1, [[0]], [[0]]),
    ],
)
def test_factorized_reduction_by_hand(side, even, odd):
    reduction = plain(cells.FactorizedReduction(1, 2))
    nn.init.constant_(reduction.even.weight, 1.0)
    nn.init.constant_(reduction.odd.weight, 10.0)
    y = reduction(square(side))
    assert y[0, 0].tolist() == even
    assert (y[0, 1] / 10).tolist() == odd


def test_the_shift_doubles_the_pixels_that_are_seen():
    x = torch.ones(1, 1, 8, 8, requires_grad=True)
    set_weights(cells.FactorizedReduction(1, 2), 1.0)(x).sum().backward()
    assert (x.grad != 0).float().mean() == 0.5
    x = torch.ones(1, 1, 8, 8, requires_grad=True)
    set_weights(cells.ConvNorm(1, 2, 1, 2), 1.0)(x).sum().backward()
    assert (x.grad != 0).float().mean() == 0.25


def test_an_odd_number_of_filters_is_shared_out():
    assert cells.FactorizedReduction(4, 5)(torch.randn(2, 4, 6, 6)).shape == (
        2,
        5,
        3,
        3,
    )


@pytest.mark.equation("5.6")
def test_drop_path_masks_whole_samples():
    u = torch.rand(1000, generator=torch.Generator().manual_seed(3))
    x = torch.ones(1000, 2, 3, 3)
    y = cells.drop_path(x, 0.75, torch.Generator().manual_seed(3))
    kept = u >= 0.25  # floor(u + 0.75) is 1 from there on
    assert torch.equal(y[~kept], torch.zeros_like(y[~kept]))
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 4 / 3))
    assert torch.equal(cells.drop_path(x, 1.0), x)


def test_drop_path_keeps_the_mean():
    n, keep = 40000, 0.6
    y = cells.drop_path(torch.ones(n, 1, 1, 1), keep, torch.Generator().manual_seed(0))
    error = ((1 - keep) / keep / n) ** 0.5  # standard error of a mean of 0 and 1 / keep
    assert abs(y.mean().item() - 1) < 4 * error


@pytest.mark.equation("5.7")
@pytest.mark.equation("5.8")
@pytest.mark.parametrize(
    "cell, total, keep, progress, by_hand",
    [
        (21, 22, 0.7, 1.0, 0.7),  # large: 18 + 2 + 2 cells; the last one, at the end
        (10, 22, 0.7, 1.0, 0.85),  # halfway up: half of the 0.3
        (21, 22, 0.7, 0.5, 0.85),  # the last one, halfway through
        (9, 20, 0.6, 0.5, 0.9),  # half of the depth, half of the time: a quarter of 0.4
        (5, 20, 0.6, 0.0, 1.0),
    ],
)
def test_path_keep(cell, total, keep, progress, by_hand):
    assert nasnet.path_keep(cell, total, keep, progress) == pytest.approx(by_hand)


def test_identity_is_never_dropped_and_everything_else_is():
    x = torch.rand(64, 4, 6, 6) + 0.1
    calm = cells.NASNetCell(one("identity(0)+identity(1)").normal, 4, 4, 4)
    torch.testing.assert_close(calm(x, x, 0.01), calm(x, x))
    wild = cells.NASNetCell(one("avg3(1)+avg3(1)").normal, 4, 4, 4)
    torch.manual_seed(0)
    y = wild(x, x, 0.5) / wild(x, x)
    factors = {round(v, 3) for v in y.flatten().tolist()}
    assert factors == {0.0, 1.0, 2.0}  # both sides dropped, one, none: each by itself


# --------------------------------------------------------------------- cell and network


@pytest.mark.equation("5.1")
def test_a_block_by_hand():
    """State 2 is max3 of the current input plus the previous one as it is."""
    cell = set_weights(
        cells.NASNetCell(one("max3(0)+identity(1)").normal, 1, 1, 1), 1.0
    )
    current, previous = square(2), 10 * square(2)
    # Every 3x3 window of a 2x2 picture sees the whole of it: maximum 3.
    assert cell(current, previous)[0, 0].tolist() == [[3, 13], [23, 33]]
    joined = set_weights(
        cells.NASNetCell(one("max3(0)&identity(1)").normal, 1, 1, 1), 1.0
    )
    # Concatenated and brought back to one channel by a 1x1 convolution of ones.
    assert joined(current, previous)[0, 0].tolist() == [[3, 13], [23, 33]]


@pytest.mark.equation("5.1")
def test_calibration_starts_with_relu_and_previous_may_pass_as_it_is():
    cell = set_weights(
        cells.NASNetCell(one("identity(0)+identity(1)").normal, 1, 2, 1), 1.0
    )
    current = torch.cat([square(2) - 1, square(2)], 1)  # -1 0 1 2 and 0 1 2 3
    assert cell(current, -square(2))[0, 0].tolist() == [[0, 0], [1, 2]]


def test_the_first_cell_takes_the_raw_current_input_as_previous():
    cell = set_weights(
        cells.NASNetCell(one("identity(0)+avg3(1)").normal, 1, 1, None), 1.0
    )
    # ReLU(-1) through the calibration is 0, the average of the raw input is -1.
    assert (cell(torch.full((1, 1, 3, 3), -1.0), None) == -1).all()


def test_plan_by_hand():
    n, r, slot = "normal", "reduction", nasnet.Slot
    assert nasnet.plan(nasnet.Config(cells=2, filters=8)) == (
        slot(n, 8, None), slot(n, 8, 0), slot(r, 16, 1), slot(n, 16, 2), slot(n, 16, 3),
        slot(r, 32, 4), slot(n, 32, 5), slot(n, 32, 6),
    )  # fmt: skip
    skipping = nasnet.Config("imagenet", 1, 8, skip_reduction_layer_input=True)
    assert nasnet.plan(skipping) == (
        slot(r, 2, None), slot(r, 4, 0), slot(n, 8, 1),
        slot(r, 16, 2), slot(n, 16, 2), slot(r, 32, 4), slot(n, 32, 4),
    )  # fmt: skip


PUBLISHED = {  # parameters, millions of multiply-adds, auxiliary head, side
    "mobile": (5_289_978, 563.6, 2_411_240, 224),
    "large": (88_753_150, 23_783.4, 4_567_784, 331),
    "cifar": (3_346_538, 544.3, 1_631_498, 32),
}
SIZES = {  # (sides, channels) of some states, from the released network's own test
    "mobile": {2: (28, 88), 3: (28, 264), 7: (14, 352), 8: (14, 528), 12: (7, 704),
               16: (7, 1056)},
    "large": {2: (42, 336), 8: (42, 1008), 9: (21, 1344), 15: (21, 2016),
              16: (11, 2688), 22: (11, 4032)},
    "cifar": {0: (32, 96), 6: (32, 192), 7: (16, 256), 13: (16, 384), 14: (8, 512),
              20: (8, 768)},
}  # fmt: skip


@pytest.mark.equation("5.5")
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    parameters, macs, auxiliary, side = PUBLISHED[name]
    with torch.device("meta"):
        model = nasnet.nasnet_a(name, auxiliary=True).eval()
        images = torch.zeros(1, 3, side, side)
    found = {}
    for i, part in enumerate([model.stem, *model.cells]):
        part.register_forward_hook(
            lambda _, __, y, i=i: found.update({i: (y.shape[-1], y.shape[1])})
        )
    assert abs(profiling.macs(model, images) / 1e6 / macs - 1) < 1e-4
    assert profiling.parameters(model.aux) == auxiliary
    assert profiling.parameters(model) - auxiliary == parameters
    assert {i: found[i] for i in SIZES[name]} == SIZES[name]
    assert model.classifier.in_features == 24 * nasnet.CONFIGS[name].filters


def test_search_child():
    with torch.device("meta"):
        child = nasnet.network(search_space.NASNET_A, cells=2, filters=32)
        images = torch.zeros(1, 3, 32, 32)
    assert profiling.parameters(child) == 1_294_698
    assert profiling.macs(child, images) / 1e6 == pytest.approx(232.2, abs=0.1)


@pytest.mark.parametrize("seed", range(50))
def test_any_genotype_becomes_a_network_that_can_learn(seed):
    rng = random.Random(seed)
    genotype = search_space.sample(search_space.FULL, rng)
    stem = "imagenet" if seed % 5 == 0 else "cifar"
    filters = 8 if stem == "imagenet" else rng.choice([2, 3, 4])
    model = nasnet.network(
        genotype, stem=stem, cells=1, filters=filters, num_classes=5,
        drop_path_keep=0.8, skip_reduction_layer_input=bool(seed % 2),
    )  # fmt: skip
    torch.manual_seed(seed)
    logits = model(torch.randn(3, 3, rng.choice([16, 19]), 16))
    assert logits.shape == (3, 5)
    logits.logsumexp(1).sum().backward()
    # A cell that reads only one of its inputs leaves some cells without a reader.
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)
    if all(reads(cell) >= {0, 1} for cell in (genotype.normal, genotype.reduction)):
        assert len(gradients) == len(list(model.parameters()))


def test_gradients_of_strided_1x1_filters_survive_two_threads():
    """In a process of its own: the fault this guards against is a crash."""
    code = """
import lib, torch
from lib.nas import cells
layer = cells.SameConv(12, 12, 1, stride=2).to(memory_format=torch.channels_last)
for _ in range(300):
    x = torch.randn(3, 12, 10, 8).contiguous(memory_format=torch.channels_last)
    y = layer(x.requires_grad_(True))
    y.sum().backward()
plain = torch.nn.functional.conv2d(x, layer.weight, stride=2)
assert torch.allclose(y, plain, atol=1e-5), (y - plain).abs().max()
"""
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


@pytest.mark.parametrize("name", RELATIVES)
def test_the_relatives_become_networks(name):
    model = nasnet.network(getattr(search_space, name), cells=2, filters=4).eval()
    assert model(torch.randn(2, 3, 32, 32)).isfinite().all()


def test_an_input_that_nothing_reads_costs_nothing():
    cell = cells.NASNetCell(one("sep3(1)+sep3(1)").normal, 4, 8, 8)
    assert cell.current is None and cell.previous is not None
    x, y = torch.randn(2, 8, 5, 5), torch.randn(2, 8, 5, 5)
    cell.eval()
    assert torch.equal(cell(x, y), cell(2 * x, y))


def test_an_output_of_large_states_is_brought_to_size():
    genotype = one("sep3(0)+max3(1) -> 0 1 2")
    model = nasnet.network(genotype, cells=1, filters=4).eval()
    assert model.cells[1].outputs[0].even.weight.shape == (4, 8, 1, 1)
    assert model(torch.randn(2, 3, 9, 9)).shape == (2, 10)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"stem": "mnist"}, "stem is 'mnist'; it must be one of 'cifar', 'imagenet'"),
        ({"cells": 0}, "cells is 0; cifar needs 1 or more"),
        ({"filters": 4, "stem": "imagenet"}, "filters is 4; imagenet needs 8 or more"),
        (
            {"drop_path_keep": 0.0},
            "drop_path_keep is 0.0; .* number, above 0 and 1 or less",
        ),
        ({"image_size": 8, "auxiliary": True}, "needs 5 x 5 pixels and gets 4 x 4"),
    ],
)
def test_bad_values_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        nasnet.network(search_space.NASNET_A, **fields)


def test_not_a_genotype_and_not_a_network():
    with pytest.raises(ValueError, match="it must be a Genotype .*from_text"):
        nasnet.network("sep3(0)+sep3(1)")
    with pytest.raises(ValueError, match="'huge'; there is cifar, mobile, large"):
        nasnet.nasnet_a("huge")


# ---------------------------------------------------------------------------- training


def test_auxiliary_head_is_for_training_only():
    torch.manual_seed(0)
    model = nasnet.network(
        search_space.NASNET_A, cells=1, filters=4, image_size=16, auxiliary=True
    )
    images = torch.randn(2, 3, 16, 16)
    logits, extra = model(images)
    assert logits.shape == extra.shape == (2, 10)
    assert model.eval()(images).shape == (2, 10)
    names = [k for k, _ in model.named_parameters() if k.startswith("aux.")]
    assert len(names) == 8  # three convolutions, two norms less their counters, ...
    with pytest.raises(ValueError, match="built for 8 x 8 pixels, got 16 x 16"):
        model.train()(torch.randn(2, 3, 32, 32))
    assert model.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_loss_adds_four_tenths_of_the_auxiliary_loss():
    class Fixed(nn.Module):
        def forward(self, images):
            return torch.zeros(2, 4), torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 1000]])

    batch = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 3])
    loss, logs = nasnet.loss_fn(Fixed(), batch)
    log4 = 1.3862944  # ln 4: four equal logits; the second auxiliary row is certain
    assert loss.item() == pytest.approx(log4 + 0.4 * log4 / 2)
    assert logs["accuracy"] == 0.5


def test_progress_is_part_of_the_state_and_schedules_drop_path():
    genotype = one("sep3(0)+sep3(1)")
    model = nasnet.network(genotype, cells=1, filters=4, drop_path_keep=0.1)
    images = torch.randn(4, 3, 8, 8)
    model.set_progress(0.0)  # nothing is dropped yet: two passes agree
    assert torch.equal(model(images), model(images))
    model.set_progress(1.0)
    assert not torch.equal(model(images), model(images))
    model.set_progress(0.25)
    copied = copy.deepcopy(model)
    copied.set_progress(7.0)
    assert copied.progress == 1.0
    copied.load_state_dict(model.state_dict())
    assert copied.progress == 0.25


def test_a_child_learns():
    images = torch.randint(0, 256, (64, 3, 12, 12), dtype=torch.uint8)
    labels = torch.arange(64) % 4
    images[:, 0] = (labels * 60).to(torch.uint8)[:, None, None]  # red tells the class
    model = nasnet.network(search_space.NASNET_A, cells=1, filters=4, num_classes=4)
    training.fit(
        model, (images, labels), nasnet.loss_fn, steps=40, batch_size=32, progress=False
    )
    assert training.accuracy(model, images, labels) > 0.9


# ------------------------------------------------------------------------------ parity


@pytest.fixture(scope="module")
def large():
    """timm's network, filled by the hash, in float64."""
    return parity.fill(timm.create_model("nasnetalarge").double().eval())


@pytest.fixture(scope="module")
def mobile():
    """pretrainedmodels' network with random weights and statistics."""
    torch.manual_seed(0)
    model = pretrainedmodels.nasnetamobile(num_classes=1000, pretrained=None).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.2)
            nn.init.normal_(part.running_mean, 0, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return model


def test_the_hash_itself():
    by_hand = [0.633986562, 0.487474264, 0.691854816, 0.411219609, 0.441057716]
    assert parity.hashed(5).tolist() == pytest.approx(by_hand, abs=1e-9)


@torch.no_grad()
def test_large_equals_timm_and_the_golden_values(large):
    images = parity.image(96, 96)
    with torch.device("meta"):
        mine = nasnet.nasnet_a("large")
    mine = parity.fill(mine.double().to_empty(device="cpu").eval())
    logits = mine(images)
    assert logits.shape == (1, 1000)
    found = [logits.sum(), logits.abs().mean(), logits[0, 0], logits[0, -1]]
    golden = [3.6517875, 0.27830096, -0.30989311, 0.35061008]
    assert [v.item() for v in found] == pytest.approx(golden, rel=1e-6)
    assert parity.relative(logits, large(images)) < 1e-12


@torch.no_grad()
def test_large_with_timms_weights_in_float32(tmp_path):
    torch.manual_seed(1)
    theirs = timm.create_model("nasnetalarge").eval()
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "large.pth")
    with torch.device("meta"):
        mine = nasnet.nasnet_a("large")
    mine = mine.to_empty(device="cpu").eval()
    assert nasnet.load_official(mine, tmp_path / "large.pth") is mine
    images = parity.image(96, 112, torch.float32)
    assert parity.relative(mine(images), theirs(images)) < 1e-5


@torch.no_grad()
def test_mobile_equals_pretrainedmodels(mobile, tmp_path):
    torch.save(mobile.state_dict(), tmp_path / "mobile.pth")
    mine = nasnet.load_official(
        nasnet.nasnet_a("mobile").eval(), tmp_path / "mobile.pth"
    )
    images = parity.image(224, 224, torch.float32)
    assert parity.relative(mine(images), mobile(images)) < 1e-5


@torch.no_grad()
def test_large_without_padding_in_averages_equals_the_other_port():
    """pretrainedmodels' large follows TensorFlow there, timm's does not."""
    theirs = pretrainedmodels.nasnetalarge(num_classes=10, pretrained=None).eval()
    parity.fill(theirs)
    images = parity.image(331, 331, torch.float32)
    found = theirs(images)
    mine = nasnet.nasnet_a("large", num_classes=10).eval()
    nasnet.load_official(mine, theirs.state_dict())
    assert parity.relative(mine(images), found) > 1e-4
    for part in mine.modules():
        if isinstance(part, cells.Pool):
            part.divisor = None
    assert parity.relative(mine(images), found) < 1e-5


# ---------------------------------------------------------------- official checkpoints


@pytest.fixture(scope="module")
def target():
    """A mobile network to load into; every test leaves it as it was."""
    return nasnet.nasnet_a("mobile").eval()


def refused(target, source, message):
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        nasnet.load_official(target, source)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


def test_names_are_exactly_theirs(large, mobile):
    for name, theirs in (("large", large), ("mobile", mobile)):
        with torch.device("meta"):
            mine = nasnet.nasnet_a(name, auxiliary=True)
        names = nasnet.official_names(mine)
        assert set(names.values()) == set(theirs.state_dict())
        assert len(set(names.values())) == len(names)


KEY = "cell_7.comb_iter_1_left.separable_2.pointwise_conv2d.weight"


@pytest.mark.parametrize("what", ["missing", "renamed", "shape", "integer", "text"])
def test_a_wrong_state_dict_is_refused_with_its_key(mobile, target, what):
    state = dict(mobile.state_dict())
    value = state.pop(KEY)
    if what == "missing":
        return refused(target, state, f"'{KEY}' is missing; nothing was loaded")
    if what == "renamed":
        state["cell_7.strange"] = value
        message = f"'{KEY}' is missing, 'cell_7.strange' is unknown"
        return refused(target, state, message)
    wrong = {"shape": value[:5], "integer": value.int(), "text": "a"}
    told = {"shape": "has shape", "integer": "is torch.int32", "text": "is a str"}
    state[KEY] = wrong[what]
    refused(target, state, f"'{KEY}' {told[what]}")


def test_another_number_of_classes_is_refused(mobile, target):
    state = dict(mobile.state_dict())
    state["last_linear.weight"] = torch.zeros(1001, 1056)
    state["last_linear.bias"] = torch.zeros(1001)
    refused(target, state, r"'last_linear.weight' has shape \(1001, 1056\)")


def test_a_damaged_file_is_refused_and_named(mobile, target, tmp_path):
    whole = tmp_path / "mobile.pth"
    torch.save(mobile.state_dict(), whole)
    content = whole.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 30):
        cut = tmp_path / f"cut{size}.pth"
        cut.write_bytes(content[:size])
        refused(target, cut, f"cut{size}.pth: damaged, cut short")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(target, tmp_path / "list.pth", "list.pth: holds a list")
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        nasnet.load_official(target, tmp_path / "nowhere.pth")


class Evil:
    """Pickles to a call."""

    def __reduce__(self):
        return (print, ("this must not run",))


def test_code_in_a_file_does_not_run(target, tmp_path, capsys):
    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    refused(target, tmp_path / "evil.pth", "evil.pth: damaged, cut short, or no")
    assert "must not run" not in capsys.readouterr().out


def test_old_files_and_safetensors(mobile, tmp_path):
    state = {
        k: v
        for k, v in mobile.state_dict().items()
        if not k.endswith("batches_tracked")
    }
    safetensors.torch.save_file(state, tmp_path / "old.safetensors")
    mine = nasnet.load_official(nasnet.nasnet_a("mobile"), tmp_path / "old.safetensors")
    images = parity.image(64, 64, torch.float32)
    other = nasnet.load_official(nasnet.nasnet_a("mobile"), mobile.state_dict())
    assert torch.equal(mine.eval()(images), other.eval()(images))


def test_only_the_two_published_networks_have_official_weights():
    with pytest.raises(ValueError, match="exist for nasnet_a"):
        nasnet.load_official(nasnet.network(search_space.NASNET_A, cells=1), {})
