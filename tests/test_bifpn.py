"""Pyramids against hands, the published sizes, and effdet."""

import copy
import math
import random
import warnings
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.basics import official, profiling
from lib.book import plots
from lib.detection import bifpn
from tests import parity

with warnings.catch_warnings():  # effdet 0.4.1 calls torch.jit.script, deprecated
    warnings.simplefilter("ignore", FutureWarning)
    import effdet
    from effdet import anchors as their_anchors
    from effdet import efficientdet as theirs
    from effdet.config import fpn_config

CHANNELS = (40, 112, 320)  # B0's


class Spread(nn.Module):
    """A pyramid that takes its maps one by one, as the counter hands them over."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *features):
        return self.model(features)


def maps(channels, size, first=3, dtype=torch.float32, batch=1):
    """Random features of a backbone for a picture of `size`."""
    sizes = bifpn.level_sizes(size, first, first + len(channels) - 1)
    return [
        torch.randn(batch, c, *hw, dtype=dtype)
        for c, hw in zip(channels, sizes, strict=True)
    ]


def worst(mine, other):
    """The largest relative difference over all levels."""
    return max(parity.relative(a, b) for a, b in zip(mine, other, strict=True))


# ------------------------------------------------------------------- tables of nodes


@pytest.mark.equation("11.4")
def test_fpn_by_hand():
    table = bifpn.fpn(3)  # ids 0, 1, 2 are P3, P4, P5; then top-down: 3, 4, 5
    assert table.nodes == ((2, (2,)), (1, (1, 3)), (0, (0, 4)))
    assert table.outputs == (5, 4, 3)


@pytest.mark.equation("11.5")
def test_panet_by_hand():
    table = bifpn.panet(3)
    up = ((0, (5,)), (1, (4, 6)), (2, (3, 7)))
    assert table.nodes == bifpn.fpn(3).nodes + up
    assert table.outputs == (6, 7, 8)


@pytest.mark.equation("11.6")
def test_bifpn_by_hand():
    """The released table, P3 to P7: four nodes down, four up, inputs in this order."""
    table = bifpn.bifpn(5)
    down = ((3, (3, 4)), (2, (2, 5)), (1, (1, 6)), (0, (0, 7)))
    up = ((1, (1, 7, 8)), (2, (2, 6, 9)), (3, (3, 5, 10)), (4, (4, 11)))
    assert table.nodes == down + up
    assert table.outputs == (8, 9, 10, 11, 12)


@pytest.mark.parametrize("levels", range(2, 9))
def test_tables_equal_effdets_and_have_the_counted_sizes(levels):
    def read(config):
        return tuple((n.feat_level - 1, tuple(n.inputs_offsets)) for n in config.nodes)

    assert bifpn.bifpn(levels).nodes == read(fpn_config.bifpn_config(1, levels))
    assert bifpn.panet(levels).nodes == read(fpn_config.panfpn_config(1, levels))
    count = {
        make: (len(make(levels).nodes), sum(len(n.inputs) for n in make(levels).nodes))
        for make in (bifpn.fpn, bifpn.panet, bifpn.bifpn)
    }
    # One input at the top, two elsewhere; twice that; and for BiFPN two for each node
    # down, three for each node up but the last.
    assert count[bifpn.fpn] == (levels, 2 * levels - 1)
    assert count[bifpn.panet] == (2 * levels, 4 * levels - 2)
    assert count[bifpn.bifpn] == (2 * levels - 2, 5 * levels - 6)


def test_single_inputs_vanish_one_after_the_other():
    # Node 2 repeats level 0, node 3 repeats node 2; node 4 reads both: the same map.
    table = bifpn.Topology(2, ((0, (0,)), (0, (2,)), (1, (1, 3)), (0, (0, 4))))
    assert bifpn.without_single_inputs(table).nodes == ((1, (1, 0)), (0, (0, 2)))


def test_shortcuts_are_added_once_and_come_first():
    table = bifpn.Topology(2, ((0, (0, 1)), (1, (2,)), (0, (3, 2))))
    assert bifpn.with_shortcuts(table).nodes == (
        (0, (0, 1)),
        (1, (1, 2)),
        (0, (0, 3, 2)),
    )


@pytest.mark.parametrize(
    "levels, nodes, message",
    [
        (2, ((0, (0, 1)),), "level 1 has no node"),
        (2, ((0, (0, 2)), (1, (1, 2))), r"node 0 is \(0, \(0, 2\)\).* ids below 2"),
        (2, ((0, (0, 1)), (2, (1,))), "node 1 .* level is below 2"),
        (2, ((0, ()), (1, (1,))), "node 0"),
        (2, ((0, (0, -1)), (1, (1,))), "node 0"),
        (2, ((0, (0, 0)), (1, (1,))), "each once"),
    ],
)
def test_a_wrong_table_is_refused(levels, nodes, message):
    with pytest.raises(ValueError, match=message):
        bifpn.Topology(levels, nodes)


def test_tables_can_be_drawn():
    labels, edges = bifpn.bifpn(3).graph(first=3)
    by_hand = ["P3 in", "P4 in", "P5 in", "P4 td", "P3 out", "P4 out", "P5 out"]
    assert labels == {str(i): name for i, name in enumerate(by_hand)}
    assert edges == [
        ("1", "3"), ("2", "3"), ("0", "4"), ("3", "4"),
        ("1", "5"), ("3", "5"), ("4", "5"), ("2", "6"), ("5", "6"),
    ]  # fmt: skip
    figure = plots.graph(labels, edges)
    assert "7 nodes, 9 edges" in figure.says and figure.png()[:4] == b"\x89PNG"


# ----------------------------------------------------------------- sizes, resampling


@pytest.mark.equation("11.1")
def test_level_sizes_by_hand_and_as_effdet_has_them():
    assert [h for h, _ in bifpn.level_sizes((320, 320), 3, 7)] == [40, 20, 10, 5, 3]
    assert bifpn.level_sizes((128, 256), 3, 7)[-1] == (1, 2)
    assert bifpn.level_sizes((5, 1), 0, 3) == [(5, 1), (3, 1), (2, 1), (1, 1)]
    rng = random.Random(0)
    for _ in range(20):
        size = rng.randint(1, 900), rng.randint(1, 900)
        other = their_anchors.get_feat_sizes(size, 8)
        assert bifpn.level_sizes(size, 0, 8) == other


@pytest.mark.equation("11.2")
def test_pooling_by_hand():
    four = torch.arange(16.0).reshape(1, 1, 4, 4)
    # Windows of 3 from rows and columns 0 and 2; the last ones hang over by one.
    assert bifpn.resample(four, (2, 2))[0, 0].tolist() == [[10, 11], [14, 15]]
    five = torch.arange(25.0).reshape(1, 1, 5, 5)
    # An odd side is padded on both: windows from -1, 1, 3.
    assert bifpn.resample(five, (3, 3))[0, 0, :, 0].tolist() == [6, 16, 21]
    # To a third: stride 3, windows of 4, from 0 and 3.
    six = -torch.arange(6.0).reshape(1, 1, 1, 6)
    assert bifpn.resample(six, (1, 2)).flatten().tolist() == [0, -3]
    # Padding is lower than anything: a map of negative numbers stays negative.
    assert bifpn.resample(four - 100, (2, 2)).max() < 0


@pytest.mark.equation("11.3")
def test_nearest_by_hand():
    three = torch.tensor([[[[1.0, 2, 3]]]])
    assert bifpn.resample(three, (1, 5)).flatten().tolist() == [1, 1, 2, 2, 3]
    assert bifpn.resample(three, (2, 6))[0, 0].tolist() == [[1, 1, 2, 2, 3, 3]] * 2
    assert bifpn.resample(three, (1, 3)) is three


def slow_resample(x, size):
    """Pixel by pixel, from the rules in words."""
    h, w = x.shape[-2:]
    out = torch.empty(*x.shape[:2], *size)

    def reads(i, old, new):
        if old <= new:
            return [math.floor(i * old / new)]
        stride = math.ceil(old / new)
        before = max((new - 1) * stride + stride + 1 - old, 0) // 2
        first = i * stride - before
        return [j for j in range(first, first + stride + 1) if 0 <= j < old]

    for i in range(size[0]):
        for j in range(size[1]):
            rows, columns = reads(i, h, size[0]), reads(j, w, size[1])
            out[:, :, i, j] = x[:, :, rows][:, :, :, columns].amax((2, 3))
    return out


@pytest.mark.parametrize("seed", range(30))
def test_resampling_equals_a_loop_over_pixels(seed):
    rng = random.Random(seed)
    small = rng.randint(1, 7), rng.randint(1, 7)
    large = tuple(max(1, s * 2 - rng.randint(0, 1)) for s in small)
    torch.manual_seed(seed)
    for x, size in ((small, large), (large, small)):
        picture = torch.randn(2, 3, *x)
        assert torch.equal(bifpn.resample(picture, size), slow_resample(picture, size))


@pytest.mark.parametrize(
    "old, new", [((9, 12), (3, 4)), ((3, 5), (5, 9)), ((6, 7),) * 2]
)
def test_resampling_equals_effdets(old, new):
    other = theirs.ResampleFeatureMap(4, 4, old, new, pad_type="same")
    picture = torch.randn(1, 4, *old)
    assert torch.equal(bifpn.resample(picture, new), other(picture))


def test_one_side_may_shrink_while_the_other_stays_or_grows():
    picture = torch.randn(1, 2, 4, 1)
    assert torch.equal(bifpn.resample(picture, (2, 1)), slow_resample(picture, (2, 1)))
    assert bifpn.resample(torch.randn(1, 1, 7, 2), (5, 4)).shape == (1, 1, 5, 4)


# ---------------------------------------------------------------------------- fusion


@pytest.mark.equation("11.7")
def test_fast_fusion_by_hand():
    x = [torch.tensor(2.0), torch.tensor(6.0)]
    fused = bifpn.fast_fusion(x, torch.tensor([1.0, 3.0]))
    assert fused.item() == pytest.approx(20 / 4.0001, rel=1e-6)
    # A negative weight counts nothing: 6 alone, but for epsilon.
    fused = bifpn.fast_fusion(x, torch.tensor([-5.0, 2.0]))
    assert fused.item() == pytest.approx(12 / 2.0001, rel=1e-6)


def test_a_node_whose_weights_are_all_negative_is_dead():
    x = [torch.tensor(2.0), torch.tensor(6.0)]
    weights = torch.tensor([-1.0, -1.0], requires_grad=True)
    fused = bifpn.fast_fusion(x, weights)
    fused.backward()
    assert fused.item() == 0 and weights.grad.tolist() == [0, 0]


@pytest.mark.equation("11.8")
def test_softmax_fusion_by_hand():
    x = [torch.tensor(2.0), torch.tensor(6.0)]
    weights = torch.tensor([0.0, math.log(3)])  # shares 1/4 and 3/4
    assert bifpn.softmax_fusion(x, weights).item() == pytest.approx(5.0)


@pytest.mark.parametrize(
    "mine, name",
    [("FastFusion", "fastattn"), ("SoftmaxFusion", "attn"), ("SumFusion", "sum")],
)
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_fusions_equal_effdets(mine, name, inputs):
    x = [torch.randn(2, 4, 3, 5) for _ in range(inputs)]
    info = [dict(num_chs=4, size=(3, 5))] * inputs
    other = theirs.FpnCombine(
        info, 4, tuple(range(inputs)), (3, 5), "same", weight_method=name
    )
    fusion = getattr(bifpn, mine)(inputs)
    if mine != "SumFusion":
        assert fusion.weights.tolist() == [1.0] * inputs == other.edge_weights.tolist()
        nn.init.uniform_(fusion.weights, 0, 2)
        other.edge_weights.data.copy_(fusion.weights.data)
    before = [a.clone() for a in x]
    torch.testing.assert_close(fusion(x), other(x))
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


@pytest.mark.equation("11.9")
def test_learned_shares_go_to_the_inverse_of_the_noise():
    """Least noise in the mean: shares as 1 / variance. 1 and 3 give 3/4 and 1/4."""
    clean = torch.randn(1, 1, 200, 200)
    generator = torch.Generator().manual_seed(1)
    x = [
        clean + sigma * torch.randn(1, 1, 200, 200, generator=generator)
        for sigma in (1.0, math.sqrt(3))
    ]
    weights = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        (bifpn.fast_fusion(x, weights) - clean).square().mean().backward()
        optimizer.step()
    shares = weights.detach() / weights.detach().sum()
    assert shares.tolist() == pytest.approx([0.75, 0.25], abs=0.01)


# ---------------------------------------------------------------------------- layers


@pytest.mark.equation("11.10")
@pytest.mark.parametrize("width", [8, 64])
def test_the_price_of_a_node_by_hand(width):
    for conv, weights in (
        (bifpn.SeparableConv, 9 * width + width * width + width),
        (bifpn.Dense, 9 * width * width + width),
    ):
        parts = dict(activation=nn.SiLU, conv=conv, norm=bifpn.BatchNorm)
        node = bifpn.Fuse({0: width, 1: width}, width, bifpn.FastFusion, **parts)
        assert profiling.parameters(node) == 2 + weights + 2 * width


PUBLISHED = {  # channels of C3, C4, C5; width, cells, levels; parameters
    "d0": ((40, 112, 320), 64, 3, 5, 196_281),
    "d1": ((40, 112, 320), 88, 4, 5, 390_972),
    "d2": ((48, 120, 352), 112, 5, 5, 708_159),
    "d3": ((48, 136, 384), 160, 6, 5, 1_559_474),
    "d4": ((56, 160, 448), 224, 7, 5, 3_349_829),
    "d5": ((64, 176, 512), 288, 7, 5, 5_405_893),
    "d6": ((72, 200, 576), 384, 8, 5, 10_583_808),
    "d7x": ((80, 224, 640), 384, 8, 6, 13_112_064),
}


def published(name):
    channels, width, cells, levels, _ = PUBLISHED[name]
    fusion = bifpn.SumFusion if name >= "d6" else bifpn.FastFusion
    return bifpn.BiFPN(channels, width, cells, levels, fusion)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_number_of_parameters(name):
    with torch.device("meta"):
        assert profiling.parameters(published(name)) == PUBLISHED[name][-1]


def test_d0_has_57_fusion_weights_and_its_multiply_adds():
    with torch.device("meta"):
        model = published("d0").eval()
        features = maps(CHANNELS, (512, 512))
        macs = profiling.macs(Spread(model), *features)
    edges = [p for k, p in model.named_parameters() if k.endswith("fusion.weights")]
    assert sum(p.numel() for p in edges) == 57
    assert round(macs / 1e9, 3) == 0.136


def effdets(name, size):
    """effdet's pyramid with random weights, statistics and fusion weights."""
    config = effdet.get_efficientdet_config(f"tf_efficientdet_{name}")
    config.image_size = size
    info = [dict(num_chs=c) for c in PUBLISHED[name][0]]
    model = theirs.BiFpn(config, info).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
        elif getattr(part, "edge_weights", None) is not None:
            nn.init.uniform_(part.edge_weights, -0.2, 1)
    return model


@torch.no_grad()
@pytest.mark.parametrize(
    "name, size",
    [
        ("d0", (512, 512)),
        ("d0", (320, 320)),
        ("d0", (128, 256)),
        ("d3", (128, 192)),
        # A smaller side would leave P7 one pixel high; effdet does not halve it then.
        ("d7x", (256, 512)),
    ],
)
def test_equal_to_effdet_with_its_weights(name, size):
    torch.manual_seed(0)
    other = effdets(name, size)
    mine = published(name).eval()
    names = bifpn.official_names(mine)
    assert set(names.values()) == set(other.state_dict())
    official.load(mine, other.state_dict(), names)
    features = maps(PUBLISHED[name][0], size)
    found = mine(features)
    assert [x.shape[2:] for x in found] == [
        torch.Size(s) for s in bifpn.level_sizes(size, 3, 2 + PUBLISHED[name][3])
    ]
    assert worst(found, other(list(features))) < 1e-5
    last = [x.contiguous(memory_format=torch.channels_last) for x in features]
    assert worst(mine.to(memory_format=torch.channels_last)(last), found) < 1e-5


def test_a_damaged_state_is_refused_by_its_key():
    mine = published("d0")
    names = bifpn.official_names(mine)
    state = {names[k]: v for k, v in mine.state_dict().items()}
    official.load(mine, state, names)
    key = "cell.0.fnode.4.combine.resample.1.conv.conv.bias"
    del state[key]
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        official.load(mine, state, names)


def test_the_first_cell_reads_p4_and_p5_through_two_filters_each():
    mine = published("d0")
    first = [
        (n, i)
        for n, node in enumerate(mine.cells[0].nodes)
        for i, project in node.project.items()
        if len(project)
    ]
    assert first == [(1, "2"), (2, "1"), (3, "0"), (4, "1"), (5, "2")]
    assert not any(len(p) for n in mine.cells[1].nodes for p in n.project.values())


def test_initial_weights():
    """Glorot's bounds by hand, from one group's fans; effdet takes the same."""
    torch.manual_seed(0)
    mine = published("d0")
    node = mine.cells[0].nodes[0]
    bounds = {
        node.conv.depthwise: math.sqrt(6 / (9 + 9)),
        node.conv.pointwise: math.sqrt(6 / 128),
        mine.extra.conv: math.sqrt(6 / (320 + 64)),
    }
    for conv, bound in bounds.items():
        largest = conv.weight.abs().max().item()
        assert 0.98 * bound < largest <= bound
        assert conv.bias is None or not conv.bias.any()
    other = effdets("d0", (128, 128))
    for name, module in other.named_modules():
        theirs._init_weight(module, name)
    names = bifpn.official_names(mine)
    for key, value in mine.state_dict().items():
        if value.dim() == 4:
            there = other.state_dict()[names[key]]
            assert value.std().item() == pytest.approx(there.std().item(), rel=0.1)
    assert node.norm.eps == 1e-3 and node.norm.momentum == 0.01


# -------------------------------------------------------- any backbone, any pyramid


@pytest.mark.parametrize("topology", [bifpn.fpn, bifpn.panet, bifpn.bifpn])
@pytest.mark.parametrize("conv", [bifpn.SeparableConv, bifpn.Dense])
@pytest.mark.parametrize("inputs, levels", [(1, 2), (1, 4), (3, 3), (4, 5)])
def test_any_number_of_levels_in_and_out(topology, conv, inputs, levels):
    model = bifpn.BiFPN(
        [8, 12, 8, 6][:inputs], 8, 2, levels, bifpn.SoftmaxFusion, nn.ReLU6, topology,
        conv, nn.BatchNorm2d,
    )  # fmt: skip
    out = model(maps([8, 12, 8, 6][:inputs], (37, 50), first=2, batch=2))
    sizes = bifpn.level_sizes((37, 50), 2, 1 + levels)
    assert [tuple(x.shape) for x in out] == [(2, 8, *size) for size in sizes]
    sum(x.square().sum() for x in out).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", ["fpn", "panet", "bifpn"])
def test_a_pyramid_goes_by_its_name_or_is_a_function(name):
    function = getattr(bifpn, name)
    assert bifpn.table_of(name, 4) == bifpn.table_of(function, 4) == function(4)
    named, given = (
        bifpn.BiFPN((4, 4), 4, 2, 3, topology=topology) for topology in (name, function)
    )
    assert list(named.state_dict()) == list(given.state_dict())
    with pytest.raises(ValueError, match="topology is 'nas'"):
        bifpn.BiFPN((4, 4), 4, 1, 3, topology="nas")


FIRST = ((0, (0, 2)), (1, (1, 3)), (2, (2, 4)))  # P3 reads P5 at once; then upwards
BY_HAND = {
    "fpn": FIRST,
    "panet": (*FIRST, (0, (3,)), (1, (4, 6)), (2, (5, 7))),
    # Node 6 reads one map and goes: its reader takes node 3, and 7 is 6 from now on.
    "bifpn": (*FIRST, (1, (1, 4, 3)), (2, (2, 5, 6))),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_name_means_what_stands_in_the_module_by_then(name, monkeypatch):
    """A table of one's own in place of FPN's reaches every pyramid that rests on it."""
    monkeypatch.setattr(bifpn, "fpn", lambda levels: bifpn.Topology(levels, FIRST))
    model = bifpn.BiFPN((4, 4), 4, 1, 3, topology=name)
    assert model.cells[0].table.nodes == BY_HAND[name]


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (8, 9)])
def test_any_size(size):
    model = bifpn.BiFPN((4, 4), 4, 1, 5).eval()
    out = model(maps((4, 4), size))
    assert [x.shape[2:] for x in out] == [
        torch.Size(s) for s in bifpn.level_sizes(size, 3, 7)
    ]


def test_inputs_are_left_as_they_are():
    model = bifpn.BiFPN((4, 4), 4, 1, 3, bifpn.SumFusion, topology=bifpn.panet)
    features = maps((4, 4), (64, 64))
    before = [x.clone() for x in features]
    model(features)
    assert len(features) == 2
    assert all(torch.equal(a, b) for a, b in zip(features, before, strict=True))


def test_half_precision_stays_half():
    model = bifpn.BiFPN((4, 4), 4, 1, 3).eval()
    with torch.autocast("cpu", torch.bfloat16):
        fused = model.cells[0].nodes[0].fusion([torch.ones(1, 4, 2, 2).bfloat16()] * 2)
    assert fused.dtype == torch.bfloat16


def test_it_can_be_exported():
    model = bifpn.BiFPN((4, 6, 8), 8, 2, 5).eval()
    features = maps((4, 6, 8), (80, 100))
    features = [x.repeat(2, 1, 1, 1) for x in features]
    batch = [{0: torch.export.Dim("batch", min=1, max=64)}] * 3
    exported = torch.export.export(model, (features,), dynamic_shapes=(batch,))
    one = [x[:1] for x in features]
    assert worst(exported.module()(one), model(one)) < 1e-6


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(in_channels=()), r"in_channels \(\)"),
        (dict(in_channels=(4,) * 6), "a level for each input"),
        (dict(width=0), "width 0"),
        (dict(cells=0), "cells 0"),
        (dict(in_channels=(4,), levels=1), "levels 1"),
    ],
)
def test_bad_values_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        bifpn.BiFPN(**dict(in_channels=(4, 8), width=4, cells=1) | fields)


def test_features_of_another_backbone_are_refused():
    model = bifpn.BiFPN((4, 8), 4, 1)
    with pytest.raises(ValueError, match=r"features have \(4, 6\) .* \(4, 8\)"):
        model(maps((4, 6), (64, 64)))
    with pytest.raises(ValueError, match=r"features have \(4,\)"):
        model(maps((4,), (64, 64)))


# ------------------------------------------------- what a mistake costs, in the whole


@pytest.fixture(scope="module")
def whole():
    """effdet's D0 for 128 x 128 with our pyramid inside, filled by the hash, float64.

    Gives (model, images, class outputs).
    """
    config = effdet.get_efficientdet_config("tf_efficientdet_d0")
    config.image_size = (128, 128)
    model = effdet.EfficientDet(config, pretrained_backbone=False).double().eval()
    model.fpn = published("d0").double().eval()
    parity.fill(model, gain=2)
    for part in model.fpn.modules():
        if isinstance(part, bifpn.FastFusion):
            given = torch.tensor([1.0, 0.7, 0.4])[: len(part.weights)]
            part.weights.data.copy_(given)
    images = parity.image(128, 128)
    with torch.no_grad():
        return model, images, model(images)[0]


def test_golden_values_of_the_whole_detector(whole):
    outputs = whole[2]
    found = [outputs[0].sum(), outputs[0].abs().mean(), outputs[0][0, 0, 0, 0]]
    assert [v.item() for v in found] == pytest.approx(
        [-30058.26, 3.1326996, 0.59938999], rel=1e-6
    )
    found = [outputs[4].sum(), outputs[4].flatten()[-1]]
    assert [v.item() for v in found] == pytest.approx(
        [-2.2482469, -0.066210131], rel=1e-6
    )


def pooled(x, size, kernel, pad):
    if x.shape[2] > size[0]:
        return F.max_pool2d(x, kernel, 2, pad)
    return F.interpolate(x, tuple(size))


def bilinear(x, size):
    if x.shape[2] < size[0]:
        return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
    return RESAMPLE(x, size)


RESAMPLE, FAST = bifpn.resample, bifpn.fast_fusion
WRONG = {
    "no epsilon": ("fast_fusion", partial(FAST, eps=0.0), 3.7e-4),
    "padding on both sides": ("resample", partial(pooled, kernel=3, pad=1), 3.4e-2),
    "bilinear upsampling": ("resample", bilinear, 3.4e-2),
    "2x2 pooling": ("resample", partial(pooled, kernel=2, pad=0), 5.2e-2),
    "softmax": ("fast_fusion", bifpn.softmax_fusion, 7.6e-2),
    "weights in reverse": ("fast_fusion", lambda x, w: FAST(x, w.flip(0)), 3.5e-1),
    "plain sum": ("fast_fusion", lambda x, w: sum(x), 6.5e3),
}


# Each cost was measured on effdet's own pyramid.
@torch.no_grad()
@pytest.mark.parametrize("mistake", WRONG)
def test_what_a_wrong_function_costs(whole, mistake, monkeypatch):
    """The largest class output over all levels moves as far as it was measured to."""
    model, images, right = whole
    name, function, cost = WRONG[mistake]
    monkeypatch.setattr(bifpn, name, function)
    assert moved(model(images)[0], right) == pytest.approx(cost, rel=0.03)


def moved(found, right):
    """The largest difference over all levels, as a share of the largest value."""
    most = max(x.abs().max() for x in right)
    gaps = [(a - b).abs().max() for a, b in zip(found, right, strict=True)]
    return (max(gaps) / most).item()


class Late(bifpn.Fuse):
    """Convolution without bias, norm, activation: as the paper's words suggest."""

    def forward(self, maps, size):
        x = [
            bifpn.resample(project(maps[int(i)]), size)
            for i, project in self.project.items()
        ]
        nn.init.zeros_(self.conv.pointwise.bias)
        return self.activation(self.norm(self.conv(self.fusion(x))))


def activation_last(part):
    if isinstance(part, bifpn.Fuse):
        part.__class__ = Late


def no_norm_after_the_1x1(part):
    if type(part) is nn.Sequential and hasattr(part, "norm"):
        part.norm = nn.Identity()


@torch.no_grad()
@pytest.mark.parametrize(
    "change, cost", [(no_norm_after_the_1x1, 2.2e-1), (activation_last, 4.0e-1)]
)
def test_what_a_wrong_layer_costs(whole, change, cost):
    model, images, right = whole
    model = copy.deepcopy(model)
    for part in list(model.fpn.modules()):
        change(part)
    assert moved(model(images)[0], right) == pytest.approx(cost, rel=0.03)
