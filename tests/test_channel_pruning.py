"""Channel pruning: by hand, against masks, counts and Torch-Pruning, on many models."""

import math
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.utils._pytree import tree_leaves

from lib.basics import profiling, training
from lib.compression import channel_pruning
from lib.detection import detectors, efficientdet, efficientnet
from lib.nas import nasnet, search_space

with warnings.catch_warnings():  # effdet 0.4.1 uses decorators torch 2.15 deprecates
    warnings.simplefilter("ignore", FutureWarning)
    import effdet
    import timm


def lively(model: nn.Module) -> nn.Module:
    """Eval mode, with statistics, scales and shifts that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.running_mean, -0.3, 0.3)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def picture(side: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1))


def theirs(name: str):
    return lambda: getattr(torchvision.models, name)()


NETWORKS = {  # made when asked for; with the side of the picture
    "small_cnn": (training.small_cnn, 32),
    "plain": (lambda: detectors.detector("plain"), 64),
    "course": (lambda: detectors.detector("course"), 64),
    "lite": (lambda: detectors.detector("lite"), 64),
    "efficientdet d0": (lambda: efficientdet.efficientdet("d0", 5), 128),
    "efficientdet lite0": (lambda: efficientdet.efficientdet("lite0", 5), 128),
    "efficientnet b0": (lambda: efficientnet.efficientnet("b0", 10), 64),
    "efficientnet lite0": (lambda: efficientnet.efficientnet("lite0", 10), 64),
    "nasnet cifar": (lambda: nasnet.nasnet_a("cifar"), 32),
    "nasnet mobile": (lambda: nasnet.nasnet_a("mobile"), 64),
    "resnet18": (theirs("resnet18"), 64),
    "mobilenet_v2": (theirs("mobilenet_v2"), 64),
    "mobilenet_v3_small": (theirs("mobilenet_v3_small"), 64),
    "efficientnet_b0": (theirs("efficientnet_b0"), 64),
    "densenet121": (theirs("densenet121"), 64),
    "regnet_y_400mf": (theirs("regnet_y_400mf"), 64),  # grouped convolutions
    "effdet d0": (
        lambda: effdet.create_model(
            "tf_efficientdet_d0", pretrained=False, pretrained_backbone=False,
            image_size=(128, 128),
        ),
        128,
    ),
    "timm nasnetalarge": (lambda: timm.create_model("nasnetalarge"), 65),
}  # fmt: skip


@pytest.mark.equation("18.1")
@pytest.mark.equation("18.6")
@pytest.mark.parametrize("name", NETWORKS)
def test_pruned_is_masked_and_costs_what_was_predicted(name):
    make, side = NETWORKS[name]
    model, x = lively(make()), picture(side)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plan = channel_pruning.plan(model, x, 0.4)
    pruned = channel_pruning.remove_channels(model, x, plan)
    masked = channel_pruning.masked(model, plan)
    with torch.no_grad():
        outputs = [tree_leaves(m(x)) for m in (pruned, masked, model)]
    for mine, wanted, full in zip(*outputs, strict=True):
        assert mine.shape == wanted.shape == full.shape  # classes, codes are whole
        scale = wanted.abs().max()
        assert (mine - wanted).abs().max() <= 1e-5 * scale
        assert (wanted - full).abs().max() > 1e-3 * scale  # something was removed
    assert profiling.parameters(pruned) == plan.parameters
    assert profiling.macs(pruned, x) == plan.macs < 0.65 * profiling.macs(model, x)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    # The removed channels' weights cannot matter: the masked network is blind to them.
    assert not pruned.training


# ------------------------------------------------------------------ by hand, on toys


class Residual(nn.Module):
    """conv a, then b(a) added to a; c reads the sum."""

    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = torch.relu(self.norm(self.a(x)))
        return self.c(x + self.b(x))


def members(group, *roles):
    return {m.tensor for m in group.members if m.role in roles}


def test_a_sum_couples_its_two_makers():
    found = channel_pruning.groups(Residual(), picture(8))
    free = [group for group in found if not group.refused]
    (group,) = free
    assert len(group) == 4 and group.name == "a"
    assert members(group, "out") == {"a.weight", "b.weight"}
    assert members(group, "in") == {"b.weight", "c.weight"}
    assert group.layers("norm") == ["norm"]
    why = {group.name: group.refused for group in found if group.refused}
    assert why == {
        "input of a": "a (Conv2d) reads what no layer has made",
        "c": "an output of the network",
    }
    text = str(group)
    assert text.startswith("a: 4 channels") and "out       a, b" in text


@pytest.mark.equation("18.1")
def test_cost_of_the_toy_by_hand():
    plan = channel_pruning.plan(Residual(), picture(8), 0.5)
    # 64 pixels: a 3x2x9, b 2x2x9, c 2x2; biases and the norm's scale and shift count
    assert plan.macs == 64 * (54 + 36 + 4)
    assert plan.parameters == (54 + 2) + 2 * 2 + (36 + 2) + (4 + 2)


class Cat(nn.Module):
    """Concatenation of a (2 channels) and b (3), normed, plus d (5), read by c."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 1)
        self.norm, self.d = nn.BatchNorm2d(5), nn.Conv2d(3, 5, 1)
        self.c = nn.Conv2d(5, 1, 1)

    def forward(self, x):
        both = self.norm(torch.cat([self.a(x), self.b(x)], 1))
        return self.c(both + self.d(x))


def test_channels_are_coupled_one_by_one_through_a_concatenation():
    found = channel_pruning.groups(Cat(), picture(4))
    free = {group.name: group for group in found if not group.refused}
    assert {name: len(group) for name, group in free.items()} == {"a": 2, "b": 3}
    places = {m.tensor: m.places for m in free["b"].members if m.role == "out"}
    assert places["d.weight"] == ((2,), (3,), (4,))  # a's stand before
    small = channel_pruning.prune(Cat(), picture(4), removed={"b": (0, 2)})
    assert (small.b.out_channels, small.d.out_channels, small.norm.num_features) == (
        1, 3, 3
    )  # fmt: skip


def test_flatten_gives_a_channel_many_columns():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    found = channel_pruning.groups(model, picture(4))
    (group,) = [each for each in found if not each.refused]
    (reader,) = [m for m in group.members if m.role == "in"]
    assert reader.places[1] == (4, 5, 6, 7)  # 2 x 2 pixels of channel 1
    small = channel_pruning.prune(model, picture(4), removed={group.name: (1,)})
    assert (small[0].out_channels, small[3].in_features) == (3, 12)


def test_groups_of_a_convolution_stay_equally_large():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 1, groups=4), nn.Conv2d(12, 2, 1)
    )
    found = channel_pruning.groups(model, picture(4))
    free = [each for each in found if not each.refused]
    assert [len(group) for group in free] == [2, 3]  # of each of the 4 groups
    small = channel_pruning.prune(model, picture(4), 0.5)
    assert small[1].weight.shape == (8, 1, 1, 1) and small[1].groups == 4


def test_a_depthwise_filter_goes_with_its_channel():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, groups=6), nn.Conv2d(12, 2, 1)
    )
    found = channel_pruning.groups(model, picture(4))
    (group,) = [each for each in found if not each.refused]
    assert len(group) == 6 and group.layers("depthwise") == ["1"]
    small = channel_pruning.prune(model, picture(4), removed={"0": (0, 5)})
    assert (small[1].groups, small[1].in_channels, small[1].out_channels) == (4, 4, 8)
    assert torch.equal(small[1].weight, model[1].weight[2:10])


# ------------------------------------------------------------------------ importance


@pytest.mark.equation("18.3")
@pytest.mark.equation("18.4")
def test_importance_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1)
    )
    with torch.no_grad():
        model[0].weight.copy_(
            torch.tensor([[1.0, -2.0, 2.0], [0, 3, 4]])[..., None, None]
        )
        model[1].weight.copy_(torch.tensor([-3.0, 0.5]))
        model[2].weight.copy_(torch.tensor([[4.0, 12.0]])[..., None, None])
    found = channel_pruning.groups(model, picture(2))
    (group,) = [each for each in found if not each.refused]
    score = {
        kind: channel_pruning.importance(model, group, kind).tolist()
        for kind in ("l1", "l2", "bn")
    }
    assert score["l1"] == [9, 19]
    assert score["l2"] == [5, 13]  # 1 + 4 + 4 + 16 and 9 + 16 + 144
    assert score["bn"] == [3, 0.5]
    plan = channel_pruning.plan(model, picture(2), 0.5, importance="bn")
    assert plan.removed == {group.name: (1,)}


@pytest.mark.equation("18.5")
def test_taylor_is_the_slope_of_masking():
    """Scale the channel that is read by 1 - t: the loss begins to change by it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 2, 3)
    ).double()
    model, x = lively(model), picture(8).double()
    loss = model(x).square().mean()
    loss.backward()
    (group,) = [g for g in channel_pruning.groups(model, x) if not g.refused]
    score = channel_pruning.importance(model, group, "taylor")
    step = 1e-6
    for channel in range(4):
        scale = torch.ones(4, 1, 1).double()
        scale[channel] -= step
        other = model[3](model[:3](x) * scale).square().mean()
        slope = (other - loss).item() / step
        assert score[channel].item() == pytest.approx(abs(slope), rel=1e-4)


def test_importance_says_what_is_missing():
    model, x = Residual(), picture(8)
    group = channel_pruning.groups(model, x)[1]
    with pytest.raises(ValueError, match="'l3'; there is l1, l2, bn, taylor"):
        channel_pruning.importance(model, group, "l3")
    with pytest.raises(ValueError, match="weight has no gradient"):
        channel_pruning.importance(model, group, "taylor")
    with torch.no_grad():
        model.b.weight[0, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="'l2' of a is NaN"):
        channel_pruning.prune(model, x, 0.5)


# ------------------------------------------------------------------------- how many


@pytest.mark.equation("18.2")
def test_how_many_stay_by_hand():
    stay = channel_pruning.kept_channels
    assert stay(100, 0.29) == 71  # 0.29 * 100 is a hair below 29
    assert [stay(10, r) for r in (0, 0.09, 0.1, 0.5, 0.99)] == [10, 10, 9, 5, 1]
    assert [stay(64, 0.4, m) for m in (1, 8, 16, 32)] == [39, 40, 48, 64]
    assert stay(12, 0.5, 8) == 8 and stay(6, 0.5, 8) == 6  # never more than there are


def test_shares_by_loss_by_hand():
    """One price for all: what each group can give for it, alone."""
    of = channel_pruning.shares_by_loss
    losses = {"narrow": {0.25: 0.25, 0.5: 0.64}, "wide": {0.5: 0.01, 0.25: 0.02}}
    # A quarter of 0.25; of "wide" 0.01 after 0.02 counts as 0.02, so all can go.
    assert of(losses, 0.0625) == pytest.approx({"narrow": 0.0625, "wide": 0.5})
    # A third of the way from 0.25 to 0.64: 0.38.
    third = pytest.approx({"narrow": 0.25 + 0.25 / 3, "wide": 0.5})
    assert of(losses, 0.38) == third
    assert of(losses, 0.01) == pytest.approx({"narrow": 0.01, "wide": 0.125})
    assert of(losses, 0) == {"narrow": 0, "wide": 0}
    assert of({"gains": {0.5: -0.01, 0.75: 0.01}}, 0) == {"gains": 0.5}
    with pytest.raises(ValueError, match=r"losses\['narrow'\]: a share.*below 1"):
        of({"narrow": {1.5: 0.2}}, 0.1)
    with pytest.raises(ValueError, match="price"):
        of(losses, -0.1)


def test_target_is_met_with_the_smallest_share():
    model, x = lively(detectors.detector("lite")), picture(64)
    full = profiling.macs(model, x)
    plan = channel_pruning.plan(model, x, target_macs=full / 2)
    assert 0.45 * full < plan.macs <= full / 2
    assert (
        profiling.macs(channel_pruning.remove_channels(model, x, plan), x) == plan.macs
    )
    whole = channel_pruning.plan(model, x, target_macs=full)
    assert whole.macs == full and not any(whole.removed.values())
    with pytest.raises(
        ValueError, match=r"target_macs is 10; the least possible is \d"
    ):
        channel_pruning.prune(model, x, target_macs=10)


def test_multiples():
    model, x = detectors.detector("plain"), picture(64)
    small = channel_pruning.prune(model, x, 0.3, multiple=8)
    widths = [m.out_channels for m in small.backbone.modules() if hasattr(m, "groups")]
    assert widths == [16, *[24] * 3, *[48] * 3, *[96] * 3]


# ---------------------------------------------------------------------- what comes out


def test_a_pruned_detector_trains_and_its_weights_come_back():
    model, x = lively(detectors.detector("course")), picture(64)
    model.train()
    small = channel_pruning.prune(model, x, 0.3)
    assert small.training and model.training and small.config is not None
    assert small.backbone.channels == small.fpn.in_channels
    assert small.fpn.in_channels != model.fpn.in_channels
    outputs = small(picture(64, batch=2))
    sum(t.square().mean() for t in tree_leaves(outputs)).backward()
    assert all(p.grad is not None for p in small.parameters())
    weight = small.backbone.stem[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    state = {k: v.contiguous() for k, v in small.state_dict().items()}
    again = channel_pruning.load_pruned_state(detectors.detector("course"), state, x)
    with torch.no_grad():
        for a, b in zip(
            tree_leaves(again.eval()(x)), tree_leaves(small.eval()(x)), strict=True
        ):
            torch.testing.assert_close(a, b)
    with pytest.raises(ValueError, match=r"backbone.stem.0.weight is in one of"):
        state.pop("backbone.stem.0.weight")
        channel_pruning.load_pruned_state(model, state, x)


def test_an_auxiliary_head_that_only_training_runs():
    genotype = search_space.NASNET_A
    model = nasnet.network(genotype, cells=1, filters=4, auxiliary=True)
    small = channel_pruning.prune(model.train(), picture(32), 0.5)
    logits, extra = small(picture(32, batch=2))
    assert logits.shape == extra.shape == (2, 10)
    assert small.aux.squeeze.conv.in_channels < model.aux.squeeze.conv.in_channels


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    model.append(nn.Conv2d(4, 1, 1))
    model[2].weight = model[1].weight
    small = channel_pruning.prune(model, picture(4), 0.5)
    assert small[2].weight is small[1].weight and small[1].weight.shape[:2] == (2, 2)


def test_counts_without_weights():
    with torch.device("meta"):
        model, x = detectors.detector("plain"), torch.zeros(1, 3, 64, 64)
        plan = channel_pruning.plan(model, x, 0.5)
        small = channel_pruning.remove_channels(model, x, plan)
        assert profiling.macs(small, x) == plan.macs
        assert profiling.parameters(small) == plan.parameters


def test_shares_by_the_names_of_groups():
    model, x = detectors.detector("plain"), picture(64)
    shares = {"backbone.stages.2.1.first.0": 0.5, "class_head.convs.0": 0.4}
    plan = channel_pruning.plan(model, x, shares, multiple=16)
    gone = {name: len(channels) for name, channels in plan.removed.items() if channels}
    assert gone == {"backbone.stages.2.1.first.0": 64}  # 32 * 0.6 rounds up to 32
    with pytest.raises(ValueError, match="ratio: box_head.predict is no group that"):
        channel_pruning.plan(model, x, {"box_head.predict": 0.5})


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (dict(ratio=1.0), "ratio is 1.0: the share that goes, 0 <= it < 1"),
        (dict(ratio=-0.1), "ratio is -0.1"),
        (dict(ratio=math.nan), "ratio is nan"),
        (dict(ratio={"a": 1.5}), "a is 1.5"),
        (dict(), "give one of ratio, target_macs and removed"),
        (dict(ratio=0.5, target_macs=10), "give one of"),
        (dict(ratio=0.5, multiple=0), "multiple is 0"),
        (dict(ratio=0.5, importance="size"), "importance is 'size'"),
        (dict(ratio=0.5, keep=("d",)), "keep: the model has no layer 'd'"),
        (dict(removed={"a": (0, 1, 2, 3)}), "nothing would be left of a"),
        (dict(removed={"a": (4,)}), "a has channels 0 to 3"),
        (dict(removed={"d": (0,)}), "no group 'd'"),
        (dict(removed={"c": (0,)}), "c has to stay: an output of the network"),
        (dict(removed={"input of a": (0,)}), r"a \(Conv2d\) reads what no layer"),
        (dict(ratio=0.5, keep=("a",)), "no channel can be pruned.*a: kept, as asked"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_changed(how, says):
    model = Residual()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=says):
        channel_pruning.prune(model, picture(8), **how)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training and len(list(model.modules())) == 5


class Fixed(nn.Module):
    """Its forward pass has a number of channels written into it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Linear(8, 2)

    def forward(self, x):
        return self.b(self.a(x).mean((2, 3)).view(-1, 8))


def test_a_number_written_into_the_forward_pass():
    with pytest.raises(ValueError, match="the smaller network does not run: "):
        channel_pruning.prune(Fixed(), picture(8, batch=3), 0.5)
