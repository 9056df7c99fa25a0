"""Networks that nobody here wrote: what pruning has to understand, or to refuse."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, weight_norm
from torch.nn.utils import prune as masks
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from lib.basics import profiling
from lib.compression import channel_pruning
from tests.benchmarks import survey_pruning
from tests.test_channel_pruning import lively, picture


def free(model, x, **how) -> dict[str, int]:
    groups = channel_pruning.groups(model, x, **how)
    return {group.name: len(group) for group in groups if not group.refused}


def reasons(model, x) -> str:
    return "; ".join(g.refused for g in channel_pruning.groups(model, x))


def insist_on_the_masked_twin(model, x, ratio=0.5, **how) -> nn.Module:
    """Eq. 18.6, and the costs that were predicted; gives the pruned network."""
    model.eval()
    plan = channel_pruning.plan(model, x, ratio, **how)
    small = channel_pruning.remove_channels(model, x, plan)
    with torch.no_grad():
        mine, wanted = small(x), channel_pruning.masked(model, plan)(x)
        assert (mine - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        assert (model(x) - wanted).abs().max() > 1e-3 * wanted.abs().max()
    assert profiling.macs(small, x) == plan.macs < profiling.macs(model, x)
    assert profiling.parameters(small) == plan.parameters
    return small


# ------------------------------------------- what a rule does not say in so many words


class Standardized(nn.Conv2d):
    """Its filters have mean 0 and spread 1 (arXiv 1903.10520): over their columns."""

    def forward(self, x):
        rows = self.weight.reshape(1, len(self.weight), -1)
        rows = F.batch_norm(rows, None, None, training=True)
        return F.conv2d(x, rows.reshape_as(self.weight), self.bias)


def test_a_norm_over_the_columns_of_a_weight_keeps_them():
    """A column less, and every other weight of the filter would be another one."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.ReLU(), Standardized(8, 6, 1), nn.Conv2d(6, 2, 1)
    )
    assert free(model, picture(4)) == {"2": 6}  # its filters can go
    insist_on_the_masked_twin(model, picture(4))


class Slides(nn.Module):
    """A filter that slides along the channels, as in ECA (arXiv 1910.03151)."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 4, 1)
        self.slide = nn.Conv1d(1, 1, 3)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        neighbours = self.slide(self.a(x).mean((2, 3)).unsqueeze(1))
        return self.last(self.b(x).mean((2, 3))) + neighbours.mean((1, 2))[:, None]


def test_a_filter_that_slides_along_the_channels_keeps_them():
    assert free(Slides(), picture(4)) == {"b": 4}
    assert "slide (Conv1d) works along its channels" in reasons(Slides(), picture(4))
    insist_on_the_masked_twin(Slides(), picture(4))


class Blur(nn.Module):
    """A fixed filter for each channel; how many there are stands in it as a number."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.register_buffer("taps", torch.ones(channels, 1, 2, 2) / 4)

    def forward(self, x):
        return F.conv2d(x, self.taps, groups=self.channels)


def test_a_fixed_filter_goes_with_its_channel():
    small = insist_on_the_masked_twin(chain(Blur(8)), picture(6))
    assert small[1].channels == 4 and small[1].taps.shape == (4, 1, 2, 2)


# ------------------------------------------- attributes that look like a convolution's


class Levels(nn.Module):
    """A backbone that says how wide its maps are; in a list, or by name."""

    def __init__(self, by_name=False):
        super().__init__()
        self.channels, self.by_name = (4, 6), by_name
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x):
        a = torch.relu(self.a(x))
        b = torch.relu(self.b(a))
        return {"a": a, "b": b} if self.by_name else [a, b]


class Neck(nn.Module):
    """Reads the levels, and insists on what it was built for, as BiFPN does."""

    def __init__(self):
        super().__init__()
        self.in_channels = (4, 6)
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(6, 2, 1)

    def forward(self, maps):
        if isinstance(maps, dict):
            return self.a(maps["a"]) + self.b(maps["b"])
        if tuple(x.shape[1] for x in maps) != self.in_channels:
            raise ValueError("built for other maps")
        return self.a(maps[0]) + self.b(maps[1])


class Unet(nn.Module):
    """As MONAI's: `channels` is what it was built from; it gives one map."""

    def __init__(self):
        super().__init__()
        self.channels, self.in_channels = (8, 16), (3, 8)
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 16, 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


class Derived(Levels):
    """Its width is worked out, and cannot be set."""

    def __init__(self):
        super().__init__()
        del self.channels

    @property
    def channels(self):
        return self.a.out_channels, self.b.out_channels

    @channels.deleter
    def channels(self):
        vars(self).pop("channels")

    @channels.setter
    def channels(self, widths):
        vars(self)["channels"] = widths


def test_widths_that_are_true_stay_true():
    small = insist_on_the_masked_twin(nn.Sequential(Levels(), Neck()), picture(8))
    assert small[0].channels == small[1].in_channels == (2, 3)  # half of 4 and 6


@pytest.mark.parametrize("batch", [1, 2])
def test_attributes_that_mean_something_else_are_left_alone(batch):
    x = picture(8, batch)
    small = insist_on_the_masked_twin(nn.Sequential(Unet(), nn.Conv2d(16, 2, 1)), x)
    assert (small[0].channels, small[0].in_channels) == ((8, 16), (3, 8))
    assert (small[0].a.out_channels, small[0].b.out_channels) == (4, 8)
    small = insist_on_the_masked_twin(nn.Sequential(Levels(by_name=True), Neck()), x)
    assert small[0].b.out_channels == 3
    small = insist_on_the_masked_twin(nn.Sequential(Derived(), Levelled()), x)
    assert small[0].channels == (2, 3)


class Levelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(6, 2, 1)

    def forward(self, maps):
        return self.a(maps[0]) + self.b(maps[1])


# ------------------------------------------------------ features, hooks, tied weights


class Keeps(nn.Module):
    """Its last features stay in it, as for a loss or a drawing."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        self.feature = torch.relu(self.a(x))
        return self.b(self.feature)


def test_a_network_that_keeps_a_feature():
    model, x = Keeps(), picture(4)
    model(x)
    before = model.feature
    small = insist_on_the_masked_twin(model, x)
    assert small.a.out_channels == 4 and small.feature.shape[1] == 4
    assert before.grad_fn is not None and before.shape[1] == 8


class Recorder:
    """A hook that is a method, with features of its own."""

    def __init__(self):
        self.features = []

    def __call__(self, module, args, outputs):
        self.features.append(outputs)


def test_a_network_with_hooks_that_keep_features():
    model, x, seen = Keeps(), picture(4), {}
    recorder = Recorder()
    model.a.register_forward_hook(recorder)
    model.a.register_forward_hook(lambda m, i, o: seen.update(a=o))
    model(x)
    before = [*recorder.features]
    insist_on_the_masked_twin(model, x)
    assert recorder.features[: len(before)] == before


@pytest.mark.parametrize(
    "compute",
    [
        lambda layer: masks.l1_unstructured(layer, "weight", 0.3),
        lambda layer: masks.ln_structured(layer, "weight", 0.5, n=2, dim=0),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        pytest.param(
            weight_norm, marks=pytest.mark.filterwarnings("ignore::FutureWarning")
        ),
    ],
)
def test_a_weight_that_is_computed_anew_is_named(compute):
    layers = nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)
    model = nn.Sequential(*layers)
    compute(model[0])
    with pytest.raises(ValueError, match=r"^0\.weight is computed .*prune\.remove"):
        channel_pruning.prune(model, picture(4), 0.5)
    assert free(model, picture(4), keep=["0"]) == {"2": 8}


def test_a_mask_made_permanent_is_pruned():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    masks.ln_structured(model[0], "weight", 0.5, n=2, dim=0)
    masks.remove(model[0], "weight")
    empty = (model[0].weight == 0).flatten(1).all(1).nonzero().flatten().tolist()
    plan = channel_pruning.plan(model, picture(4), {"0": 0.125}, importance="l1")
    assert len(empty) == 4 and len(plan.removed["0"]) == 1


def chain(*layers) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 1), *layers, nn.Conv2d(8, 2, 1))


def test_tied_weights_are_masked_in_every_layer_that_has_them():
    model = chain(nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))
    model[4].weight = model[2].weight
    small = insist_on_the_masked_twin(model, picture(4))
    assert small[4].weight is small[2].weight
    state = {k: v.clone() for k, v in small.state_dict().items()}
    again = channel_pruning.load_pruned_state(model, state, picture(4))
    assert again[4].weight is again[2].weight
    state["4.weight"] += 1  # of a network that was not tied
    with pytest.raises(
        ValueError, match=r"2\.weight and 4\.weight are tied in the mod"
    ):
        channel_pruning.load_pruned_state(model, state, picture(4))


class Autoencoder(nn.Module):
    """One matrix goes in and, turned round, comes out again."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 8)

    def forward(self, x):
        return F.linear(self.hidden(x), self.encode.weight.t())

    def hidden(self, x):
        return torch.relu(self.encode(x))


def test_a_weight_tied_to_its_own_transpose():
    model, x = Autoencoder(), torch.randn(5, 6)
    plan = channel_pruning.plan(model, x, 0.5)
    (gone,) = [channels for channels in plan.removed.values() if channels]
    small = channel_pruning.remove_channels(model, x, plan)
    assert small.encode.weight.shape == (4, 6)
    hidden = model.hidden(x)
    hidden[:, list(gone)] = 0  # by hand: these numbers are not there
    wanted = F.linear(hidden, model.encode.weight.t())
    torch.testing.assert_close(small(x), wanted)


# ---------------------------------------------------------------- what `keep` is told


def test_keep_is_a_list_of_layers_and_no_text():
    layers = [nn.Conv2d(3, 4, 1), *(nn.Conv2d(4, 4, 1) for _ in range(11))]
    model, x = nn.Sequential(*layers), picture(4)
    with pytest.raises(ValueError, match=r"keep is '10'; it must be .*\['10'\]"):
        channel_pruning.prune.__wrapped__(model, x, 0.5, keep="10")
    every = {str(i): 4 for i in range(11)}  # 11 is the output
    assert free(model, x) == every
    # What layer 10 makes stays, and what it reads: the channels of layer 9.
    assert free(model, x, keep=["10"]).keys() == every.keys() - {"9", "10"}
    once = (name for name in ("10", "3"))  # can be read a single time
    assert free(model, x, keep=once).keys() == every.keys() - {"2", "3", "9", "10"}


# -------------------------------------------------- operators: by number, norms, heads


class Halves(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.a, self.b, self.cut = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 2, 1), cut

    def forward(self, x):
        first, second = self.cut(self.a(x))
        return self.b(first) + self.b(second)


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (lambda x: x.chunk(2, 1), "split or chunk"),
        (lambda x: x.split(4, 1), "split or chunk"),
        (lambda x: torch.split(x, [4, 4], 1), "split"),
        (lambda x: x.unflatten(1, (2, 4)).unbind(1), "deals its channels out"),
        (lambda x: (x[:, :4], x[:, 4:]), "slice"),
        (lambda x: (x[:, [0, 1, 2, 3]], x[:, [4, 5, 6, 7]]), "by number"),
    ],
)
def test_operators_that_take_channels_by_number_are_named(cut, name):
    assert not free(Halves(cut), picture(4))
    with pytest.raises(ValueError, match=rf"a: .*Halves\) .*{name}"):
        channel_pruning.prune(Halves(cut), picture(4), 0.5)


def test_a_layer_norm_keeps_its_channels_together():
    # By hand: the mean of 1, 2, 3 is 2; without the 3 it is 1.5, and the 2 is above.
    norm = nn.LayerNorm(3, elementwise_affine=False)
    three, two = (
        norm(torch.tensor([1.0, 2, 3])),
        F.layer_norm(torch.tensor([1.0, 2]), (2,)),
    )
    assert three[1] == 0 and two[1] > 0.9
    model = nn.Sequential(
        nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 4),
        nn.GELU(), nn.Linear(4, 2),
    )  # fmt: skip
    x = torch.randn(3, 5)
    assert free(model, x) == {"0": 8, "4": 4}
    assert "3 (LayerNorm) takes mean and variance over its channels" in reasons(
        model, x
    )
    insist_on_the_masked_twin(model, x)


def test_a_small_convnext():
    blocks = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)]
    model = survey_pruning.lively(ConvNeXt(blocks, num_classes=5))
    x = picture(32).double()
    # Of each block the wide layer between its two products, and nothing else.
    hidden = {"features.1.0.block.3": 32, "features.3.0.block.3": 64}
    assert free(model, x) == hidden | {"features.3.1.block.3": 64}
    insist_on_the_masked_twin(model, x)


def swin():
    return SwinTransformer([4, 4], 8, [2, 1], [2, 2], [2, 2], num_classes=5)


def vit():
    return VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)


class Heads(nn.Module):
    """Attention written out, with two heads."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.wide, self.last = nn.Linear(8, 16), nn.Linear(16, 2)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        shares = (q @ k.transpose(-1, -2)).softmax(-1)
        x = self.out((shares @ v).transpose(1, 2).reshape(b, n, c))
        return self.last(torch.relu(self.wide(x)))


@pytest.mark.parametrize(
    ("make", "shape", "layer"),
    [
        (swin, (1, 3, 32, 32), r"features\.1\.0\.attn \(ShiftedWindowAttention\)"),
        (vit, (1, 3, 32, 32), r"\S+self_attention \(MultiheadAttention\)"),
        (Heads, (1, 5, 8), r"the model \(Heads\)"),
        (
            lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            (1, 5, 8),
            r"self_attn \(MultiheadAttention\)",
        ),
    ],
)
def test_attention_is_refused_by_its_name(make, shape, layer):
    model = make()
    with pytest.raises(ValueError, match=f"^{layer} is attention.* in `keep`"):
        channel_pruning.prune(model, torch.randn(shape), 0.5)


@pytest.mark.parametrize("make", [swin, vit])
def test_beside_attention_that_is_kept_the_rest_is_pruned(make):
    model, x = survey_pruning.lively(make()), picture(32).double()
    keep = survey_pruning.attention_layers(model)
    small = insist_on_the_masked_twin(model, x, keep=keep)
    assert len(keep) >= 2 and profiling.parameters(small) < profiling.parameters(model)


class Token(nn.Module):
    """A parameter is handed to a layer as it is, as the class token of CaiT."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.add, self.wide, self.last = Add(), nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.last(
            torch.relu(self.wide(self.add(self.token.expand(1, -1, -1), x)))
        )


class Add(nn.Module):
    def forward(self, a, b):
        return a + b


def test_a_parameter_that_is_handed_to_a_layer():
    # torch 2.14's own counter stops at such a network, so the costs are by hand.
    model, x = Token().eval(), torch.randn(1, 5, 8)
    plan = channel_pruning.plan(model, x, 0.5)
    assert plan.macs == 5 * (8 * 3 + 3 * 2)  # 5 places, 3 of 6 channels
    small = channel_pruning.remove_channels(model, x, plan)
    torch.testing.assert_close(small(x), channel_pruning.masked(model, plan)(x))


class NonLocal(nn.Module):
    """Attention with one head: its values keep their channels (arXiv 1711.07971)."""

    def __init__(self):
        super().__init__()
        self.a, self.v, self.out = (
            nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 2, 1)
        )  # fmt: skip
        self.q, self.k = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = self.a(x)
        q, k, v = (layer(x).flatten(2) for layer in (self.q, self.k, self.v))
        shares = (q.transpose(1, 2) @ k).softmax(-1)
        return self.out((v @ shares.transpose(1, 2)).unflatten(2, x.shape[2:]))


def test_a_product_of_two_maps_keeps_what_it_adds_up_over():
    model, x = NonLocal(), picture(4)
    assert free(model, x) == {"a": 8, "v": 6}
    assert "the model (NonLocal) multiplies two maps along it" in reasons(model, x)
    insist_on_the_masked_twin(model, x)


def test_products_without_channels_are_counted():
    layers = (
        nn.Conv2d(3, 1, 1),
        nn.Conv2d(1, 1, 3),
        nn.Conv2d(1, 8, 1),
        nn.Conv2d(8, 2, 1),
    )
    plan = channel_pruning.plan(nn.Sequential(*layers), picture(6), 0.5)
    # By hand: 36 pixels of 3 products, then 16 pixels of 9, of 4 and of 4 x 2.
    assert plan.macs == 36 * 3 + 16 * (9 + 4 + 8)


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5"])
def test_some_of_torchvisions_networks(name):
    model = lively(survey_pruning.made(name)).double()
    insist_on_the_masked_twin(model, picture(64).double(), 0.4)


# ------------------------------------------------------------- arguments at their edges


def test_arguments_of_wrong_kinds_are_refused_by_name():
    """In a process of its own: here the types that pytest checks would come first."""
    code = """
    import math, torch
    from torch import nn
    from lib.compression import channel_pruning as p, sparsity as s

    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    x, plan = torch.zeros(1, 3, 4, 4), p.plan(model, torch.zeros(1, 3, 4, 4), 0.5)
    wide = nn.Sequential(nn.Conv2d(3, 9, 1), nn.ReLU(), nn.Conv2d(9, 2, 1))
    group = next(g for g in p.groups(wide, x) if not g.refused)
    state = model.state_dict()
    share = lambda step: 0.5
    wrong = [None, "0.5", True, [0.5], object(), math.nan, -1, 1.5, 1j, b"x"]
    calls = {
        "ratio": lambda w: p.prune(model, x, {"0": w}),
        "target_macs": lambda w: p.prune(model, x, target_macs="" if w is None else w),
        "removed": lambda w: p.prune(model, x, removed={"0": w}),
        "multiple": lambda w: p.prune(model, x, 0.5, multiple=w),
        "keep": lambda w: p.prune(model, x, 0.5, keep=w),
        "keep ": lambda w: p.prune(model, x, 0.5, keep=[w]),
        "importance": lambda w: p.prune(model, x, 0.5, importance=w),
        "model": lambda w: p.prune(w, x, 0.5),
        "example_input": lambda w: p.prune(model, w, 0.5),
        "plan": lambda w: p.remove_channels(model, x, w),
        "plan ": lambda w: p.masked(model, w),
        "state": lambda w: p.load_pruned_state(model, w, x),
        "state ": lambda w: p.load_pruned_state(model, dict.fromkeys(state, w), x),
        "group": lambda w: p.importance(model, w),
        "channels": lambda w: p.kept_channels(w, 0.5),
        "multiple ": lambda w: p.kept_channels(40, 0.5, w),
        "sparsity": lambda w: s.global_masks(model, w),
        "masks": lambda w: s.apply(model, {"0.weight": w}),
        "begin": lambda w: s.cubic(1, w, 10, 0.5),
        "final": lambda w: s.cubic(1, 0, 10, w),
        "every": lambda w: s.Gradual(model, share, every=w),
        "schedule": lambda w: s.Gradual(model, w),
        "choose": lambda w: s.Gradual(model, share, w),
        "sparsit": lambda w: s.sensitivity(model, [w] if w != [0.5] else 1, len),
        "score": lambda w: s.sensitivity(model, [0.5], w),
        "state  ": lambda w: s.rewind(model, w, {}),
        "m": lambda w: s.nm_mask(torch.ones(4, 4), 1, w),
        "weight": lambda w: s.pack(w),
        "packed": lambda w: s.unpack(w),
    }
    odd = {  # a whole example, plan or group, but not of this model
        "example_input": lambda w: p.prune(model, torch.zeros(1, 5, 4, 4), 0.5),
        "plan": lambda w: p.remove_channels(wide, x, plan),
        "plan ": lambda w: p.masked(wide, plan),
        "group": lambda w: p.importance(model, group),
        "every": lambda w: s.Gradual(model, share, every=0),
        "target_macs": lambda w: p.prune(model, x, target_macs=math.nan),
        "0.weight": lambda w: p.prune(nn.Sequential(nn.LazyConv2d(4, 1)), x, 0.5),
    }
    tried = [(n, f, w) for n, f in calls.items() for w in wrong]
    tried += [(n, f, "of another model") for n, f in odd.items()]
    for name, call, value in tried:
        try:
            said = f"took {call(value)!r:.60}"
        except ValueError as error:
            said = str(error)
            if name.strip() in said:
                continue
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        if (name, value) != ("begin", 1.5):  # a schedule may begin there
            print(f"{name} = {value!r}: {said}")
    print(len(tried), "tried")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert run.stdout == "297 tried\n", run.stdout + run.stderr
