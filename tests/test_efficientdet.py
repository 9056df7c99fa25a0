"""Detectors against hands, published sizes, and effdet with copied weights."""

import copy
import functools
import warnings

import pytest
import safetensors.torch
import torch
from torch import nn

from lib.basics import profiling
from lib.detection import anchors, bifpn, efficientdet, efficientnet
from lib.nas import cells, nasnet, search_space
from tests import parity

with warnings.catch_warnings():  # effdet 0.4.1 scripts functions at import, torch warns
    warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))
    import effdet

# Parameters (90 classes), G of multiply-adds and anchors at the trained size: counted
# in effdet; the papers and README round them.
PUBLISHED = {
    "d0": (3_880_067, 2.492, 49_104),
    "d1": (6_625_898, 6.003, 76_725),
    "d2": (8_097_039, 10.832, 110_484),
    "d3": (12_032_296, 24.569, 150_381),
    "d4": (20_723_675, 54.584, 196_416),
    "d5": (33_653_315, 134.134, 306_900),
    "d6": (51_871_782, 224.121, 306_900),
    "d7": (51_871_782, 322.732, 441_936),
    "d7x": (77_147_166, 407.628, 442_260),
}
LITE = {
    "lite0": 3_243_470,
    "lite1": 4_248_318,
    "lite2": 5_252_334,
    "lite3": 8_350_862,
    "lite3x": 9_280_862,
    "lite4": 15_130_894,
}
PARTS = {  # backbone, BiFPN with P6, class head, box head
    "d0": (3_595_388, 196_281, 69_354, 19_044),
    "d3": (10_103_336, 1_559_474, 247_050, 122_436),
    "d7x": (62_143_440, 13_112_064, 1_094_826, 796_836),
}


@functools.cache
def on_meta(name: str) -> efficientdet.Detector:
    """Shapes only, made once; to be looked at, not changed."""
    with torch.device("meta"):
        return efficientdet.efficientdet(name).eval()


@torch.no_grad()
def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every tensor gets values of its own, small enough for activations to stay small.

    With the usual first weights, random statistics would let 55 blocks grow to 1e8.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            fan_in = part.weight[0].numel()
            part.weight.normal_(0, (1 / fan_in) ** 0.5, generator=generator)
            if part.bias is not None:
                part.bias.normal_(0, 0.1, generator=generator)
        elif isinstance(part, nn.BatchNorm2d):
            part.weight.uniform_(0.5, 1.2, generator=generator)
            part.bias.normal_(0, 0.2, generator=generator)
            part.running_mean.normal_(0, 0.2, generator=generator)
            part.running_var.uniform_(0.5, 1.5, generator=generator)
            part.num_batches_tracked.fill_(7)
    for name, value in model.named_parameters():
        if name.endswith("edge_weights"):
            value.uniform_(0.2, 1.5, generator=generator)
            value[0] -= 1.0  # some below zero: the ReLU of fast fusion
    return model


def oracle(name: str, size: tuple[int, int]) -> nn.Module:
    """effdet's detector, random weights and statistics, for pictures of `size`."""
    config = effdet.get_efficientdet_config(f"tf_efficientdet_{name}")
    config.image_size = size
    with torch.device("meta"):
        model = effdet.EfficientDet(config, pretrained_backbone=False)
    return randomised(model.to_empty(device="cpu")).eval()


def empty(name: str) -> efficientdet.Detector:
    """Our detector with memory but without values."""
    return copy.deepcopy(on_meta(name)).to_empty(device="cpu")


# ------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    parameters, giga, count = PUBLISHED[name]
    model, outputs = on_meta(name), []
    assert profiling.parameters(model) == parameters
    size = model.config.image_size
    hook = model.register_forward_hook(lambda m, i, found: outputs.append(found))
    macs = profiling.macs(model, torch.zeros(1, 3, *size, device="meta"))
    hook.remove()
    assert macs / 1e9 == pytest.approx(giga, rel=0.005)
    [(classes, codes)] = outputs
    assert sum(c[0, 0].numel() * 9 for c in classes) == count
    assert [c.shape[2:] for c in classes] == [b.shape[2:] for b in codes]
    assert {c.shape[1] for c in classes} == {810}
    assert {b.shape[1] for b in codes} == {36}
    assert len(anchors.anchors(size, model.config.anchors)) == count


@pytest.mark.parametrize("name", LITE)
def test_lite_sizes(name):
    model = on_meta(name)
    assert profiling.parameters(model) == LITE[name]
    kinds = {type(part) for part in model.modules()}
    assert nn.ReLU6 in kinds and nn.SiLU not in kinds
    assert efficientnet.SqueezeExcite not in kinds
    assert model.config.mean == model.config.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_have_the_published_sizes(name):
    model = on_meta(name)
    parts = (model.backbone, model.fpn, model.class_head, model.box_head)
    assert tuple(profiling.parameters(p) for p in parts) == PARTS[name]


def test_multiply_adds_of_the_parts_of_d0():
    images = torch.zeros(1, 3, 512, 512, device="meta")
    found = profiling.macs_by_module(on_meta("d0"), images)
    giga = {k: round(v / 1e9, 3) for k, v in found.items()}
    assert giga == {
        "backbone": 1.901, "fpn": 0.136, "class_head": 0.362, "box_head": 0.092,
    }  # fmt: skip


def test_the_table_is_effdets():
    for name, config in efficientdet.CONFIGS.items():
        theirs = effdet.get_efficientdet_config(f"tf_efficientdet_{name}")
        assert config.image_size == tuple(theirs.image_size)
        assert f"tf_efficientnet_{config.backbone}" == theirs.backbone_name
        assert config.width == theirs.fpn_channels
        assert config.cells == theirs.fpn_cell_repeats
        assert config.repeats == theirs.box_class_repeats
        assert config.anchors.levels == (theirs.min_level, theirs.max_level)
        assert config.anchors.scale == theirs.anchor_scale
        assert config.anchors.ratios == tuple(map(tuple, theirs.aspect_ratios))
        plain = config.fusion is bifpn.SumFusion
        assert plain == (theirs.fpn_name == "bifpn_sum")
        assert (config.activation is nn.ReLU6) == (theirs.act_type == "relu6")


# ------------------------------------------------------------------ the scaling rule


@pytest.mark.equation("13.4")
@pytest.mark.equation("13.5")
@pytest.mark.equation("13.6")
@pytest.mark.equation("13.7")
def test_the_rule_by_hand():
    one = efficientdet.from_phi(1)  # 64 * 1.35 = 86.4, to a multiple of 8: 88
    assert (one.width, one.cells, one.repeats, one.image_size) == (88, 4, 3, (640, 640))
    seven = efficientdet.from_phi(7)  # 64 * 1.35**7 = 523.0
    assert (seven.width, seven.cells, seven.repeats) == (520, 10, 5)
    assert seven.image_size == (1408, 1408) and seven.backbone == "b7"
    assert efficientdet.from_phi(0) == efficientdet.CONFIGS["d0"]
    assert efficientdet.from_phi(3, num_classes=7).num_classes == 7
    with pytest.raises(ValueError, match="phi is 8; backbones B0 to B7"):
        efficientdet.from_phi(8)


def test_where_the_rule_and_the_table_part():
    """From the paper: (rule, table) for every field in which they differ."""
    fields = ("image_size", "backbone", "width", "cells", "repeats")
    found = {}
    for phi in range(8):
        rule, row = efficientdet.from_phi(phi), efficientdet.CONFIGS[f"d{phi}"]
        for field in fields:
            pair = getattr(rule, field), getattr(row, field)
            if pair[0] != pair[1]:
                found[phi, field] = pair
    assert found == {
        (2, "width"): (120, 112),  # 116.6
        (4, "width"): (216, 224),  # 212.6
        (5, "image_size"): ((1152, 1152), (1280, 1280)),
        (5, "cells"): (8, 7),
        (6, "cells"): (9, 8),
        (7, "image_size"): ((1408, 1408), (1536, 1536)),
        (7, "backbone"): ("b7", "b6"),
        (7, "width"): (520, 384),
        (7, "cells"): (10, 8),
    }


# ------------------------------------------------------------------------------ heads


def small(**fields) -> efficientdet.Config:
    fields = {"width": 8, "cells": 1, "repeats": 2, "num_classes": 3} | fields
    return efficientdet.Config(**fields)


@pytest.mark.equation("13.1")
def test_channel_of_an_anchor_and_a_class():
    """Channel a * K + k of the maps is (row a, class k) of the flattened rows."""
    maps = torch.arange(2 * 3 * 2.0).reshape(1, 6, 1, 2)  # A = 2, K = 3, two cells
    rows = anchors.flatten([maps], 3)[0]  # 2 cells * 2 anchors, 3 classes
    # Channel c of cell x holds 2 c + x. Cell 1, anchor 1: channels 3, 4, 5.
    assert rows.tolist() == [[0, 2, 4], [6, 8, 10], [1, 3, 5], [7, 9, 11]]


@pytest.mark.equation("13.2")
def test_a_head_by_hand():
    """Two levels of one pixel and one channel; norms tell the levels apart."""
    config = small(
        width=1, repeats=1, activation=nn.ReLU6,
        anchors=anchors.AnchorConfig(levels=(3, 4)),
    )  # fmt: skip
    head = efficientdet.Head(config, outputs=1).eval()
    for part in head.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for level, norm in enumerate(head.norms[0]):
        norm.eps = 0.0
        norm.running_mean.fill_(1.0 + level)  # means 1 and 2, variances 1 and 4
        norm.running_var.fill_((1.0 + level) ** 2)
    five = torch.full((1, 1, 1, 1), 5.0)
    found = head([five, five])
    assert [f.item() for f in found] == [4.0, 1.5]  # (5 - 1) / 1 and (5 - 2) / 2


def test_filters_are_shared_and_norms_are_not():
    head = efficientdet.Head(small(), outputs=27)
    # By hand, W = 8, r = 2, L = 5: convolutions r (9W + W^2 + W), norms 2 L r W, and
    # the one that predicts 27 outputs.
    assert profiling.parameters(head) == 2 * (72 + 64 + 8) + 160 + (72 + 8 * 27 + 27)
    assert [len(norms) for norms in head.norms] == [5, 5]
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 10 and {(n.eps, n.momentum) for n in norms} == {(1e-3, 0.01)}


@pytest.mark.equation("13.3")
def test_the_first_word_is_the_prior():
    model = efficientdet.efficientdet("d0")
    last = model.class_head.predict.state_dict()
    bias = next(v for k, v in last.items() if k.endswith("bias"))
    assert torch.all(torch.isclose(torch.sigmoid(bias), torch.tensor(0.01)))
    assert bias[0].item() == pytest.approx(-4.59512, abs=1e-5)  # -ln 99
    for name, value in model.named_parameters():
        outside = not name.startswith(("backbone.", "class_head.predict."))
        if outside and name.endswith("bias"):
            assert not value.any(), name


def test_first_weights_are_effdets():
    """Same spread of every kind of layer: fan-in in the heads, Glorot in BiFPN."""
    torch.manual_seed(0)
    mine = efficientdet.efficientdet("d0")
    theirs = effdet.EfficientDet(
        effdet.get_efficientdet_config("tf_efficientdet_d0"), pretrained_backbone=False
    ).state_dict()
    compared = 0
    for ours, key in efficientdet.official_names(mine).items():
        value = mine.state_dict()[ours]
        if key.startswith("backbone.") or not value.is_floating_point():
            continue
        if value.dim() < 2 or value.numel() < 500:
            if "conv" not in key or value.dim() < 2:
                assert torch.equal(value, theirs[key]), key  # constants
            continue
        compared += 1
        error = 6 * theirs[key].std() / (2 * value.numel()) ** 0.5
        assert abs(value.std() - theirs[key].std()) < 2 * error, key
        assert abs(value.mean()) < 2 * error, key
    assert compared > 50


def test_dense_convolutions_make_the_same_head():
    config = small(conv=bifpn.Dense)
    head = efficientdet.Head(config, outputs=36)
    assert profiling.parameters(head) == 2 * (9 * 64 + 8) + 160 + 36 * (72 + 1)
    assert not any(m.groups > 1 for m in head.modules() if isinstance(m, nn.Conv2d))


# ---------------------------------------------------------------------- any backbone


class Plain(nn.Module):
    """Four strided convolutions: the least that a backbone has to be."""

    def __init__(self, first: int = 2, channels: tuple[int, ...] = (8, 12, 16)):
        super().__init__()
        self.channels = channels
        self.stem = cells.SameConv(3, 8, 3, 2**first)
        pairs = zip((8, *channels[:-1]), channels, strict=True)
        self.convs = nn.ModuleList(
            cells.SameConv(i, o, 3, 2 if n else 1) for n, (i, o) in enumerate(pairs)
        )

    def forward(self, images):
        x, found = self.stem(images), []
        for conv in self.convs:
            x = conv(x)
            found.append(x)
        return found


@pytest.mark.parametrize("size", [(128, 128), (64, 96), (100, 60)])
@pytest.mark.parametrize("levels", [(2, 5), (2, 4), (2, 6)])
def test_any_backbone_and_any_levels(size, levels):
    config = small(anchors=anchors.AnchorConfig(levels=levels), image_size=size)
    model = efficientdet.Detector(Plain(), config).eval()
    classes, codes = model(torch.randn(2, 3, *size))
    sizes = bifpn.level_sizes(size, *levels)
    assert [tuple(c.shape) for c in classes] == [(2, 27, *s) for s in sizes]
    assert [tuple(c.shape) for c in codes] == [(2, 36, *s) for s in sizes]
    boxes = anchors.anchors(size, config.anchors)
    assert anchors.flatten(classes, 3).shape == (2, len(boxes), 3)


@pytest.mark.parametrize("text", ["FOUND", "NASNET_A"])
@pytest.mark.parametrize("repeats", [0, 1, 2])
@pytest.mark.parametrize("size", [(128, 128), (65, 90)])
def test_cells_become_a_backbone(text, repeats, size):
    genotype = getattr(search_space, text)
    backbone = nasnet.NasnetLevels(genotype, 4, repeats).eval()
    sizes = bifpn.level_sizes(size, 2, 5)
    found = backbone(torch.randn(1, 3, *size))
    assert [tuple(f.shape[2:]) for f in found] == sizes
    cell = genotype.normal if repeats else genotype.reduction
    wide = len(cell.output) * 4  # F doubles with every level
    assert backbone.channels == (wide, 2 * wide, 4 * wide, 8 * wide)
    assert tuple(f.shape[1] for f in found) == backbone.channels


@pytest.mark.parametrize("topology", [bifpn.fpn, bifpn.panet, bifpn.bifpn])
@pytest.mark.parametrize("fusion", [bifpn.FastFusion, bifpn.SumFusion])
def test_a_detector_of_cells_learns_with_every_filter(topology, fusion):
    config = small(
        anchors=anchors.AnchorConfig(levels=(2, 5)), topology=topology, fusion=fusion
    )
    torch.manual_seed(0)
    backbone = nasnet.NasnetLevels(search_space.FOUND, 4)
    model = efficientdet.Detector(backbone, config)
    classes, codes = model(torch.randn(2, 3, 64, 64))
    sum(o.square().mean() for o in classes + codes).backward()
    for name, value in model.named_parameters():
        if value.dim() == 4:
            assert value.grad.abs().sum() > 0, name


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'d8'; there is d0, d1"):
        efficientdet.efficientdet("d8")
    with pytest.raises(ValueError, match="width is 0; 1 or more"):
        small(width=0)
    with pytest.raises(ValueError, match="num_classes is 0"):
        efficientdet.efficientdet("d0", num_classes=0)
    with pytest.raises(ValueError, match=r"image_size is \(0, 4\)"):
        small(image_size=(0, 4))
    narrow = small(anchors=anchors.AnchorConfig(levels=(2, 3)))
    with pytest.raises(ValueError, match="gives 3 levels; .* room for 2"):
        efficientdet.Detector(Plain(), narrow)


# ----------------------------------------------------------------------------- parity


@torch.no_grad()
@pytest.mark.parametrize("size", [(128, 128), (128, 256)])
def test_golden_values_of_d0(size):
    """Filled by shapes alone, in float64; the values were computed with effdet."""
    model = parity.fill(empty("d0").double(), gain=2.0)
    for part in model.modules():
        if isinstance(part, bifpn.FastFusion):
            part.weights.copy_(torch.tensor([1.0, 0.7, 0.4])[: len(part.weights)])
    classes, codes = model(parity.image(*size))
    golden = {
        (128, 128): {
            0: (classes, (16, 16), -30058.26, 3.1326996, 0.59938999, -2.5255673),
            1: (classes, (1, 1), -2.2482469, 0.030459857, 0.028162205, -0.066210131),
            2: (codes, (16, 16), 6577.9821, 2.9536841, 0.30371505, -1.1455534),
        },
        (128, 256): {
            0: (classes, (16, 32), -82734.459, 4.366234, 0.65685307, -2.5295055),
        },
    }[size]
    for outputs, shape, *values in golden.values():
        x = outputs[0] if shape != (1, 1) else outputs[-1]
        assert x.shape[2:] == shape
        flat = x.flatten()
        found = [flat.sum(), flat.abs().mean(), flat[0], flat[-1]]
        assert [v.item() for v in found] == pytest.approx(values, rel=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(
    "name, size",
    [
        ("d0", (128, 128)),
        ("d0", (128, 256)),
        ("d0", (200, 136)),  # no multiple of anything: 25, 13, 7, 4, 2 rows
        ("d3", (128, 128)),
        ("d3", (256, 128)),
        ("d7x", (128, 128)),
        ("d7x", (200, 136)),
        ("lite0", (320, 320)),
        ("lite0", (320, 192)),
    ],
)
def test_outputs_equal_effdets_with_copied_weights(name, size, tmp_path):
    theirs = oracle(name, size)
    path = tmp_path / f"{name}.pth"
    torch.save(theirs.state_dict(), path)
    mine = empty(name)
    assert efficientdet.load_official(mine, path) is mine
    images = parity.image(*size, torch.float32)
    for ours, wanted in zip(mine(images), theirs(images), strict=True):
        assert len(ours) == len(wanted)
        for x, y in zip(ours, wanted, strict=True):
            assert x.shape == y.shape
            assert parity.relative(x, y) < 1e-5


# --------------------------------------------------------------- official checkpoints


@pytest.fixture(scope="module")
def published():
    """The state dict of effdet's D0, with random values."""
    return oracle("d0", (128, 128)).state_dict()


@pytest.fixture(scope="module")
def target():
    """A detector to load into; every refusal leaves it as it was."""
    torch.manual_seed(1)
    return efficientdet.efficientdet("d0")


def refused(target, source, message):
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        efficientdet.load_official(target, source)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


@pytest.mark.parametrize("name", efficientdet.CONFIGS)
def test_names_are_exactly_theirs(name):
    config = effdet.get_efficientdet_config(f"tf_efficientdet_{name}")
    with torch.device("meta"):
        theirs = effdet.EfficientDet(config, pretrained_backbone=False)
    names = efficientdet.official_names(on_meta(name))
    assert set(names.values()) == set(theirs.state_dict())
    assert len(set(names.values())) == len(names)


def test_784_tensors(published, target):
    assert len(published) == len(efficientdet.official_names(target)) == 784
    assert sum(v.numel() for v in published.values()) == 3_927_311


KEY = "class_net.bn_rep.2.4.bn.running_mean"


@pytest.mark.parametrize("what", ["missing", "renamed", "shape", "integer", "text"])
def test_a_wrong_state_dict_is_refused_with_its_key(published, target, what):
    state = dict(published)
    value = state.pop(KEY)
    if what == "missing":
        return refused(target, state, f"'{KEY}' is missing; nothing was loaded")
    if what == "renamed":  # as a head with the level first calls it
        state["class_net.bn_rep.4.2.running_mean"] = value
        message = f"'{KEY}' is missing, 'class_net.bn_rep.4.2.running_mean' is unknown"
        return refused(target, state, message)
    state[KEY] = {"shape": value[:5], "integer": value.int(), "text": "a"}[what]
    refused(target, state, f"'{KEY}' (has shape|is torch.int32|is a str, the)")


def test_other_networks_weights_are_refused(published, target):
    refused(
        efficientdet.efficientdet("d0", num_classes=20), published,
        r"'class_net.predict.conv_pw.weight' has shape \(810, 64, 1, 1\)",
    )  # fmt: skip
    refused(efficientdet.efficientdet("d1"), published, "is missing")
    own = efficientdet.Detector(nasnet.NasnetLevels(search_space.FOUND, 4), small())
    refused(own, published, "backbone is NasnetLevels; official weights are for")


def test_a_damaged_file_is_refused_and_named(published, target, tmp_path):
    whole = tmp_path / "d0.pth"
    torch.save(published, whole)
    content = whole.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 30):
        cut = tmp_path / f"cut{size}.pth"
        cut.write_bytes(content[:size])
        refused(target, cut, f"cut{size}.pth: damaged, cut short")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(target, tmp_path / "list.pth", "list.pth: holds a list")
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        efficientdet.load_official(target, tmp_path / "nowhere.pth")


@torch.no_grad()
def test_old_files_and_safetensors(published, tmp_path):
    state = {k: v for k, v in published.items() if not k.endswith("batches_tracked")}
    safetensors.torch.save_file(state, tmp_path / "old.safetensors")
    mine = efficientdet.efficientdet("d0").eval()
    efficientdet.load_official(mine, tmp_path / "old.safetensors")
    other = efficientdet.load_official(
        efficientdet.efficientdet("d0").eval(), published
    )
    images = parity.image(128, 128, torch.float32)
    assert torch.equal(mine(images)[0][0], other(images)[0][0])


# ------------------------------------------------------------------- export and layout


@torch.no_grad()
@pytest.mark.parametrize("name", ["d0", "cells"])
def test_the_network_can_be_exported_for_any_batch(name):
    torch.manual_seed(0)
    if name == "d0":
        model = efficientdet.efficientdet("d0", num_classes=3).eval()
    else:
        config = small(anchors=anchors.AnchorConfig(levels=(2, 5)))
        backbone = nasnet.NasnetLevels(search_space.FOUND, 4)
        model = efficientdet.Detector(backbone, config).eval()
    images = torch.randn(3, 3, 128, 128)
    batch = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(model, (images[:2],), dynamic_shapes=batch).module()
    for ours, wanted in zip(exported(images), model(images), strict=True):
        for x, y in zip(ours, wanted, strict=True):
            torch.testing.assert_close(x, y)


@torch.no_grad()
def test_layout_of_the_pictures_does_not_matter():
    torch.manual_seed(0)
    model = randomised(efficientdet.efficientdet("d0", num_classes=3)).eval()
    images = torch.randn(2, 3, 64, 96)
    one = model(images)
    other = model(images.to(memory_format=torch.channels_last))
    alone = model(images[1:])
    for x, y, z in zip(one[0], other[0], alone[0], strict=True):
        torch.testing.assert_close(x, y)
        torch.testing.assert_close(x[1:], z, rtol=1e-4, atol=1e-4)
