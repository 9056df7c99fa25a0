"""EfficientNet against hands, published sizes and timm, with copied weights."""

import importlib.util
import json
import warnings
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from lib.basics import profiling
from lib.detection import efficientnet
from lib.detection.efficientnet import Stage
from tests import parity

# Published and measured: parameters in full, without head and classifier; channels of
# C3, C4, C5; stem and head; blocks of each stage.
SIZES = {
    "b0": (5288548, 3595388, (40, 112, 320), (32, 1280), (1, 2, 2, 3, 3, 4, 1)),
    "b1": (7794184, 6101024, (40, 112, 320), (32, 1280), (2, 3, 3, 4, 4, 5, 2)),
    "b2": (9109994, 7202562, (48, 120, 352), (32, 1408), (2, 3, 3, 4, 4, 5, 2)),
    "b3": (12233232, 10103336, (48, 136, 384), (40, 1536), (2, 3, 3, 5, 5, 6, 2)),
    "b4": (19341616, 16742216, (56, 160, 448), (48, 1792), (2, 4, 4, 6, 6, 8, 2)),
    "b5": (30389784, 27288112, (64, 176, 512), (48, 2048), (3, 5, 5, 7, 7, 9, 3)),
    "b6": (43040704, 39403992, (72, 200, 576), (56, 2304), (3, 6, 6, 8, 8, 11, 3)),
    "b7": (66347960, 62143440, (80, 224, 640), (64, 2560), (4, 7, 7, 10, 10, 13, 4)),
}
SMALL = ((3, 1, 1, 8, 1), (3, 2, 3, 16, 2), (3, 2, 3, 24, 1))


def plain(module: nn.Module) -> nn.Module:
    """Evaluation mode, with batch norms that change nothing."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 0.0
    return module.eval()


# ------------------------------------------------------------------------- the block


@pytest.mark.equation("10.1")
@pytest.mark.parametrize(
    "channels, kernel, expansion, filters, squeeze, by_hand",
    [
        # 24 * 144 + 9 * 144 + 144 * 24 and no gate
        (24, 3, 6, 24, 0.0, 3456 + 1296 + 3456),
        # the gate: 144 * 6 + 6 and 6 * 144 + 144
        (24, 3, 6, 24, 0.25, 3456 + 1296 + 3456 + 870 + 1008),
        # nothing is expanded: 9 * 32 + 32 * 16, gate 32 * 8 + 8 and 8 * 32 + 32
        (32, 3, 1, 16, 0.25, 288 + 512 + 264 + 288),
        (8, 5, 2, 16, 0.25, 128 + 400 + 256 + 34 + 48),
    ],
)
def test_what_a_block_costs(channels, kernel, expansion, filters, squeeze, by_hand):
    row = Stage(kernel, 1, expansion, filters, 1)
    block = efficientnet.MBConv(channels, row, squeeze)
    norms = [p for p in block.modules() if isinstance(p, nn.BatchNorm2d)]
    count = profiling.parameters(block) - 2 * sum(n.num_features for n in norms)
    assert count == by_hand


def absolute():
    """One channel, expanded to (x, -x), cut at zero, added: the block is x + |x|."""
    block = efficientnet.MBConv(1, Stage(3, 1, 2, 1, 1), 0.0, nn.ReLU6)
    with torch.no_grad():
        block.expand[0].weight.copy_(torch.tensor([1.0, -1]).reshape(2, 1, 1, 1))
        block.depthwise[0].weight.zero_()[:, :, 1, 1] = 1
        block.project[0].weight.fill_(1)
    return plain(block)


@pytest.mark.equation("10.2")
def test_a_block_by_hand():
    x = torch.tensor([[[[1.0, -2], [3, 0]]]])
    with torch.no_grad():
        assert absolute()(x)[0, 0].tolist() == [[2, 0], [6, 0]]  # x + |x|
        assert x[0, 0].tolist() == [[1, -2], [3, 0]]  # the input is left alone
    for row in (Stage(3, 2, 2, 1, 1), Stage(3, 1, 2, 8, 1)):  # stride, other channels
        assert not efficientnet.MBConv(1, row).shortcut


@pytest.mark.equation("10.3")
def test_the_gate_by_hand():
    gate = efficientnet.SqueezeExcite(2, 1, nn.ReLU)
    with torch.no_grad():
        gate.reduce.weight.copy_(torch.tensor([1.0, 1]).reshape(1, 2, 1, 1))
        gate.reduce.bias.fill_(-4)
        gate.expand.weight.copy_(torch.tensor([1.0, -1]).reshape(2, 1, 1, 1))
        gate.expand.bias.copy_(torch.tensor([0.0, 1]))
    # Means 2 and 3: 2 + 3 - 4 = 1; gates sigmoid(1) and sigmoid(-1 + 1) = 1 / 2.
    x = torch.tensor([[[[0.0, 4]], [[3.0, 3]]]])
    out = gate(x)[0, :, 0]
    high = 1 / (1 + torch.e**-1)
    assert torch.allclose(out, torch.tensor([[0, 4 * high], [1.5, 1.5]]))


def test_the_gate_holds_in_half_precision():
    gate = efficientnet.SqueezeExcite(8, 2).half()
    x = torch.full((1, 8, 300, 300), 2.0, dtype=torch.half)  # sums to 180,000
    assert torch.isfinite(gate(x)).all()


def test_silu_is_in_place_only_outside_training():
    x = torch.tensor([0.0, 1.0])
    act = efficientnet.SiLU()
    assert act(x) is not x
    assert torch.allclose(act(x), torch.tensor([0, 1 / (1 + torch.e**-1)]))
    assert act.eval()(x) is x


def test_drop_path_grows_with_depth():
    model = efficientnet.features("b0")
    keeps = [block.keep for stage in model.stages for block in stage]
    assert keeps[0] == 1 and len(keeps) == 16
    assert keeps[8] == pytest.approx(0.9)  # 1 - 0.2 * 8 / 16
    assert keeps[15] == pytest.approx(0.8125)  # 1 - 0.2 * 15 / 16
    block = efficientnet.MBConv(1, Stage(3, 1, 2, 1, 1)).train()
    block.keep = 1e-9  # dropped almost surely: the shortcut is left
    x = torch.ones(4, 1, 3, 3)
    assert torch.equal(block(x), x)


# ----------------------------------------------------------------------- the scaling


@pytest.mark.equation("10.5")
def test_compound_by_hand():
    assert efficientnet.compound(0) == (1, 1, 1)
    assert efficientnet.compound(1) == (1.2, 1.1, 1.15)
    assert efficientnet.compound(2) == pytest.approx((1.44, 1.21, 1.3225))
    assert efficientnet.compound(3, 2, 1, 3) == (8, 1, 27)


@pytest.mark.equation("10.4")
def test_relative_cost_by_hand():
    assert efficientnet.relative_cost(2, 1, 1) == 2
    assert efficientnet.relative_cost(1, 3, 1) == 9
    assert efficientnet.relative_cost(1, 1, 3) == 9
    # 1.2 * 1.21 * 1.3225: "about 2" of the paper
    assert efficientnet.relative_cost(1.2, 1.1, 1.15) == pytest.approx(1.92027)


@pytest.mark.equation("10.6")
@pytest.mark.parametrize(
    "filters, width, by_hand",
    [
        (32, 1.0, 32),
        (16, 1.1, 16),  # 17.6 -> 16, and 16 is 91 % of it
        (24, 1.1, 24),  # 26.4 -> 24, 91 %
        (32, 1.2, 40),  # 38.4
        (40, 1.1, 48),  # exactly 44: up
        (112, 1.2, 136),  # 134.4
        (1280, 1.1, 1408),
        (18, 1.1, 24),  # 19.8 -> 16 is below 90 % of it: one step up
        (3, 1.0, 8),  # never fewer than 8
        (64, 1.35**7, 520),  # 522.98
    ],
)
def test_channels_by_hand(filters, width, by_hand):
    assert efficientnet.scaled_filters(filters, width) == by_hand


@pytest.mark.parametrize(
    "stage, scale, by_hand",
    [
        ((16, 1), (1.6, 2.2), (24, 3)),  # B5's first stage: 25.6 and 2.2
        ((320, 1), (2.0, 3.1), (640, 4)),  # B7's last one: 640 and 3.1
        ((192, 4), (2.0, 3.1), (384, 13)),  # 12.4
        ((20, 2), (1.0, 0.5, 18), (18, 1)),  # exactly 90 % is enough
    ],
)
def test_channels_and_blocks_of_a_stage_by_hand(stage, scale, by_hand):
    assert efficientnet.scaled_stage(*stage, *scale) == by_hand


def test_a_stage_of_broken_numbers_is_refused():
    with pytest.raises(ValueError, match=r"stages\[0\]: filters is 16.5"):
        efficientnet.Config(((3, 1, 1, 16.5, 1),))


def test_a_finer_grain_of_channels():
    assert efficientnet.scaled_filters(12, 1.26, divisor=2) == 16  # 15.12 + 1 -> 16
    assert efficientnet.scaled_filters(12, 1.26, divisor=4) == 16  # 15.12 + 2 -> 16
    assert efficientnet.scaled_filters(5, 1.0, divisor=1) == 5
    config = efficientnet.Config(SMALL, 1.25, stem_filters=12, divisor=2)
    assert config.ends() == (16, 1600)  # 15 and 1 more: 16
    assert [row.filters for row in config.rows()] == [10, 20, 30]


@pytest.mark.equation("10.7")
def test_repeats_are_rounded_up():
    stages = tuple(Stage(3, 1, 1, 8, n) for n in (1, 2, 3, 4))
    rows = efficientnet.Config(stages, depth=1.1).rows()
    assert [row.repeats for row in rows] == [2, 3, 4, 5]  # 1.1, 2.2, 3.3, 4.4
    rows = efficientnet.Config(stages, depth=2.0).rows()
    assert [row.repeats for row in rows] == [2, 4, 6, 8]
    rows = efficientnet.Config(stages, depth=2.0, scale_ends=False).rows()
    assert [row.repeats for row in rows] == [1, 4, 6, 4]


def test_where_formula_and_table_part():
    """The equations give other sizes than the published rows, from B1 on."""
    assert efficientnet.Config.from_phi(0) == efficientnet.Config()
    one = efficientnet.Config.from_phi(1)
    assert (one.depth, one.width, one.image_size) == (1.2, 1.1, 258)  # 257.6
    table = efficientnet.CONFIGS["b1"]
    assert (table.depth, table.width, table.image_size) == (1.1, 1.0, 240)
    seven = efficientnet.Config.from_phi(7)
    assert seven.depth == pytest.approx(3.583, abs=1e-3)  # the table: 3.1
    assert seven.width == pytest.approx(1.949, abs=1e-3)  # 2.0
    assert seven.image_size == 596  # 600


# -------------------------------------------------------------------- published sizes


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_published_ones(name):
    whole, kept, channels, ends, repeats = SIZES[name]
    with torch.device("meta"):
        model = efficientnet.efficientnet(name)
        backbone = efficientnet.features(name)
    assert profiling.parameters(model) == whole
    assert profiling.parameters(backbone) == kept
    assert backbone.channels == channels
    assert model.config.ends() == ends
    assert tuple(row.repeats for row in model.config.rows()) == repeats


@pytest.mark.parametrize("name", [f"lite{i}" for i in range(5)])
def test_lite_networks_have_timms_tensors(name):
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = timm.create_model(f"tf_efficientnet_{name}")
        mine = efficientnet.efficientnet(name)
    shapes = {k: v.shape for k, v in theirs.state_dict().items()}
    names = efficientnet.official_names(mine)
    assert {names[k]: v.shape for k, v in mine.state_dict().items()} == shapes
    kinds = {type(part) for part in mine.modules()}
    assert nn.ReLU6 in kinds and efficientnet.SqueezeExcite not in kinds


@pytest.mark.parametrize("i", range(8))
def test_multiply_adds_are_torchvisions(i):
    """Its networks pad in another way, but count the same."""
    weights = getattr(torchvision.models, f"EfficientNet_B{i}_Weights").IMAGENET1K_V1
    size = weights.transforms().crop_size[0]
    assert size == efficientnet.CONFIGS[f"b{i}"].image_size or i == 2  # 288 there
    with torch.device("meta"):
        model, image = efficientnet.efficientnet(f"b{i}"), torch.zeros(1, 3, size, size)
    billions = profiling.macs(model, image) / 1e9
    assert round(billions, 3) == weights.meta["_ops"]


# ------------------------------------------------------------- timm, weight for weight


def twins(name, **fields):
    """timm's network with drawn weights and statistics, and ours with the same."""
    torch.manual_seed(0)
    theirs = timm.create_model(f"tf_efficientnet_{name}", num_classes=10)
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.8, 1.2)
            nn.init.uniform_(part.bias, -0.2, 0.2)
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
        elif isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.uniform_(part.bias, -0.5, 0.5)
    mine = efficientnet.efficientnet(name, 10, **fields)
    efficientnet.load_official(mine, theirs.state_dict())
    return theirs.double(), mine.double()


@pytest.mark.parametrize("name", ["b0", "b3", "lite0"])
def test_outputs_are_timms(name):
    theirs, mine = (model.eval() for model in twins(name))
    with torch.no_grad():
        for height, width in ((64, 64), (33, 70), (97, 65)):
            images = parity.image(height, width)
            assert parity.relative(mine(images), theirs(images)) < 1e-12
            _, levels = theirs.forward_intermediates(images, indices=(2, 3, 4))
            backbone = efficientnet.Features(mine.config).double().eval()
            backbone.load_state_dict(mine.features.state_dict())
            found = backbone(images)
            assert [x.shape[1] for x in found] == list(backbone.channels)
            for x, level in zip(found, levels, strict=True):
                assert parity.relative(x, level) < 1e-12


def test_gradients_are_timms():
    theirs, mine = twins("b0", drop_path=0.0, dropout=0.0)
    images = parity.image(40, 56).expand(2, -1, -1, -1) * torch.tensor(
        [1.0, -0.5]
    ).reshape(2, 1, 1, 1)
    for model in (theirs, mine):
        model.train()
        model(images).square().sum().backward()
    names = dict(theirs.named_parameters())
    ours = efficientnet.official_names(mine)
    for name, weight in mine.named_parameters():
        expected = names[ours[name]].grad
        scale = expected.abs().max().clamp(min=1e-6)
        assert ((weight.grad - expected).abs().max() / scale) < 1e-6, name


def test_effdets_names_differ_by_a_prefix():
    """timm's feature extractor is what effdet calls `backbone`."""
    theirs = timm.create_model("tf_efficientnet_b0", features_only=True)
    mine = efficientnet.features("b0")
    names = efficientnet.official_names(mine, "backbone.")
    assert set(names.values()) == {f"backbone.{k}" for k in theirs.state_dict()}
    assert len(set(names.values())) == len(names)


def test_a_wrong_checkpoint_is_refused_and_nothing_is_loaded():
    model = efficientnet.features("lite0")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    names = efficientnet.official_names(model)
    state = {names[k]: v + 1 for k, v in before.items()}
    key = "blocks.3.1.conv_dw.weight"
    for value, message in ((None, "is missing"), (torch.zeros(1), "has shape")):
        wrong = {k: v for k, v in state.items() if k != key}
        if value is not None:
            wrong[key] = value
        with pytest.raises(ValueError, match=f"'{key}' {message}"):
            efficientnet.load_official(model, wrong)
    with pytest.raises(ValueError, match="'conv_head.weight' is unknown"):
        efficientnet.load_official(model, {**state, "conv_head.weight": state[key]})
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


# --------------------------------------------------------------------- other networks


def test_a_small_variant_as_a_value():
    fields = dict(stages=SMALL, stem_stride=1, stem_filters=8, head_filters=64)
    model = efficientnet.efficientnet("b0", 10, **fields)
    assert model(torch.zeros(2, 3, 17, 20)).shape == (2, 10)
    backbone = efficientnet.features("b0", 3, **fields)
    sizes = [tuple(x.shape[1:]) for x in backbone(torch.zeros(2, 3, 17, 20))]
    assert sizes == [(8, 17, 20), (16, 9, 10), (24, 5, 5)]  # halved, rounded up
    assert backbone.channels == (8, 16, 24)
    # Pretrained as a classifier, the backbone takes its weights over.
    backbone.load_state_dict(model.features.state_dict())
    four = efficientnet.features("b0", levels=4)
    assert four.channels == (24, 40, 112, 320)


def test_layout_norms_and_first_weights():
    model = efficientnet.features("b0", momentum=0.1)
    out = model(torch.randn(2, 3, 64, 64))[0]
    assert out.is_contiguous(memory_format=torch.channels_last)
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(n.eps, n.momentum) for n in norms} == {(1e-3, 0.1)}
    last = model.stages[6][0]
    # std sqrt(2 / fan-out): 320 for the projection, 9 for a depthwise 3x3 filter
    for part, fan_out in ((last.project, 320), (last.depthwise, 9)):
        spread = part[0].weight.std().item()
        assert spread == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert last.squeeze.reduce.bias.abs().max() == 0


def test_exports():
    model = efficientnet.efficientnet("lite0", 10).eval()
    image = torch.randn(1, 3, 64, 64)
    program = torch.export.export(model, (image,))
    assert torch.allclose(program.module()(image), model(image), atol=1e-5)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"stages": ()}, "stages is empty"),
        ({"stages": ((4, 1, 1, 8, 1),)}, r"stages\[0\] is \(4, 1, 1, 8, 1\)"),
        ({"stages": SMALL + ((3, 3, 1, 8, 1),)}, r"stages\[3\] is \(3, 3"),
        ({"stages": ((3, 1, 1, 8, 0),)}, r"repeats\) are positive"),
        ({"width": 0}, "width is 0; must be above 0"),
        ({"depth": -1.0}, "depth is -1.0"),
        ({"levels": 6}, "levels is 6; these stages give 1 to 5"),
        ({"levels": 0}, "levels is 0"),
    ],
)
def test_bad_values_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        efficientnet.features("b0", **fields)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="name is 'b8'; there is b0, b1"):
        efficientnet.efficientnet("b8")


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes is 0"):
        efficientnet.efficientnet("b0", num_classes=0, width=0.1)


# ------------------------------------------------------------- the recorded comparison


@pytest.fixture(scope="module")
def compound():
    """The script that recorded the comparison of chapter 10."""
    path = Path(__file__).resolve().parents[1] / "data" / "ablations" / "compound.py"
    spec = importlib.util.spec_from_file_location("ablation_compound", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_a_stretched_network_costs_what_is_asked(compound):
    settings = compound.SETTINGS
    depth, width, side, macs = compound.stretched((0, 0, 3), 4, settings)
    assert (depth, width, side) == (1, 1, 32)  # twice the side: four times the pixels
    base = compound.price(1, 1, 16, settings)
    assert macs == compound.price(1, 1, 32, settings)
    assert macs / base == pytest.approx(4, rel=0.01)  # gates do not grow with pixels
    assert len(compound.plan()) == 15  # a base, four directions, ten shares


def test_recorded_rows_are_complete_and_cost_what_they_say(compound):
    rows = [r for r in compound.read() if r["settings"] == compound.SETTINGS]
    assert len(rows) == 45 == len({compound.key(row) for row in rows})
    base = next(row["macs"] for row in rows if row["times"] == 1)
    for row in rows:
        assert row["macs"] / base == pytest.approx(row["times"], rel=0.1)
        if row["seed"] == 0:
            size = row["depth"], row["width"], row["side"], row["settings"]
            assert compound.price(*size) == row["macs"]


def test_the_comparison_goes_on_after_a_kill(compound, tmp_path, monkeypatch):
    jobs = [("base", (1, 1, 1), 1), ("grid", (0, 0, 3), 2)]
    monkeypatch.setattr(compound, "plan", lambda: jobs)
    tiny = {"epochs": 1, "train": 64, "validation": 20, "test": 20}
    settings, path = compound.SETTINGS | tiny, tmp_path / "rows.jsonl"
    assert compound.run(settings, path, seeds=1) == 2
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # as a kill leaves it
    assert compound.run(settings, path, seeds=1) == 1
    assert compound.run(settings, path, seeds=1) == 0
    found = compound.read(path)
    assert [row["shares"] for row in found] == [[1, 1, 1], [0, 0, 3]]
    first, again = (json.loads(line) for line in whole.splitlines())
    assert found[1]["test"] == again["test"] and found[0] == first  # seeds decide all
    assert "2 trainings" in compound.report(found)
