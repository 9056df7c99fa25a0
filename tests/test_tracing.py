"""Which channels are one: what mixes them, and the groups that Torch-Pruning finds."""

import logging
import warnings

import pytest
import torch
import torchvision
from torch import nn

from lib.compression import channel_pruning
from lib.compression.coupling import UnionFind
from lib.detection import detectors, efficientnet

with warnings.catch_warnings():  # it uses decorators that torch 2.15 deprecates
    warnings.simplefilter("ignore", FutureWarning)
    import torch_pruning

logging.getLogger("torch_pruning").setLevel(logging.ERROR)


def picture(side: int) -> torch.Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_the_root_of_a_label():
    same = UnionFind()
    assert same.new(2) + same.new(3) == [0, 1, 2, 3, 4]
    same.union(3, 1)
    same.union(4, 3)
    assert [same.find(i) for i in range(5)] == [0, 1, 2, 1, 1]


class Shuffle(nn.Module):
    """Deals the channels out anew between two convolutions."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1)
        self.c, self.mix = nn.Conv2d(6, 2, 1), Deal()

    def forward(self, x):
        return self.c(self.b(self.mix(self.a(x))))


class Deal(nn.Module):
    def forward(self, x):
        b, c, h, w = x.shape
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


class Halves(nn.Module):
    """Two convolutions read a half each, by number."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.a(x)
        return self.b(x[:, :4]) + self.b(x[:, 4:])


def chain(*middle):
    return nn.Sequential(nn.Conv2d(3, 8, 1), *middle, nn.Conv2d(8, 2, 1))


@pytest.mark.parametrize(
    ("model", "name", "why"),
    [
        (Shuffle(), "a", r"mix \(Deal\) deals its channels out over other sides"),
        (Halves(), "a", r"the model \(Halves\) takes some of its channels by number"),
        (
            chain(nn.Sigmoid()),
            "0",
            r"2 \(Conv2d\) reads it after an f with f\(0\) != 0",
        ),
        (chain(nn.Softmax(1)), "0", r"1 \(Softmax\) takes the softmax over its"),
        (
            chain(nn.LocalResponseNorm(3)),
            "0",
            r"1 \(Local\w+\) works along its channels",
        ),
    ],
)
def test_what_mixes_channels_keeps_its_group(model, name, why):
    group = next(g for g in channel_pruning.groups(model, picture(8)) if g.name == name)
    with pytest.raises(ValueError, match=f"{name} has to stay: {why}"):
        channel_pruning.prune(model, picture(8), removed={group.name: (0,)})
    if name == "a" and isinstance(model, Shuffle):  # the others are free
        small = channel_pruning.prune(model, picture(8), 0.5)
        assert (small.a.out_channels, small.b.out_channels) == (8, 3)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (nn.GroupNorm(2, 8), r"1 \(GroupNorm\): no rule says .*native_group_norm"),
        (nn.ConvTranspose2d(8, 8, 2), r"1 \(ConvTranspose2d\): no rule says"),
    ],
)
def test_a_layer_that_is_not_understood_is_named(layer, says):
    with pytest.raises(ValueError, match=says):
        channel_pruning.groups(chain(layer), picture(8))
    wider = nn.Sequential(nn.Conv2d(3, 6, 1), *chain(layer)[1:])
    wider[0], mine = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1)
    model = nn.Sequential(*wider[:2], mine, nn.Conv2d(6, 2, 1))
    small = channel_pruning.prune(model, picture(8), 0.5, keep=("1",))
    assert [m.out_channels for m in (small[0], small[2])] == [8, 3]


def test_activations_that_are_zero_at_zero_are_no_obstacle():
    for f in (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU, nn.LeakyReLU, nn.ELU):
        (group,) = [
            g for g in channel_pruning.groups(chain(f()), picture(8)) if not g.refused
        ]
        assert len(group) == 8
    gate = [g for g in channel_pruning.groups(Gate(), picture(8)) if not g.refused]
    assert [len(g) for g in gate] == [8]  # a gate times 0 is 0, sigmoid or not


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.gate, self.c = (
            nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)
        )  # fmt: skip

    def forward(self, x):
        x = self.a(x)
        return self.c(x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True))))


# ------------------------------------------------------------- as Torch-Pruning groups


def as_they_say(graph, layer: nn.Module, index: int) -> set:
    """{(layer, "out" or "in", indices)} that must go with one output channel."""
    names = {module: name for name, module in graph.model.named_modules()}
    found, cut = set(), graph.get_pruner_of_module(layer).prune_out_channels
    group = graph.get_pruning_group(layer, cut, idxs=[index])
    for dependency, indices in group:
        module = dependency.target.module
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
        side = "out" if graph.is_out_channel_pruning_fn(dependency.handler) else "in"
        found.add((names[module], "out" if depthwise else side, tuple(sorted(indices))))
    return found


def as_we_say(found, layer: str, index: int) -> set:
    for group in found:
        for m in group.members:
            if m.tensor == f"{layer}.weight" and m.dim == 0:
                for channel, places in enumerate(m.places):
                    if index in places:
                        return {
                            (
                                o.layer,
                                "in" if o.role == "in" else "out",
                                o.places[channel],
                            )
                            for o in group.members
                            if o.role in ("in", "out", "depthwise")
                        }
    raise AssertionError(layer)


NETWORKS = {
    "plain": lambda: detectors.detector("plain"),
    "lite": lambda: detectors.detector("lite"),
    "efficientnet lite0": lambda: efficientnet.efficientnet("lite0", 10),
    **{name: getattr(torchvision.models, name) for name in (
        "resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0",
        "densenet121",
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_groups_are_those_of_torch_pruning(name):
    model, x = NETWORKS[name]().eval(), picture(64)
    found = channel_pruning.groups(model, x)
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=x)
    compared = 0
    for group in found:
        if group.refused or group.name.startswith("input"):
            continue
        layer = model.get_submodule(group.name)
        first = next(m for m in group.members if m.tensor == f"{group.name}.weight")
        index = first.places[-1][0]
        assert as_we_say(found, group.name, index) == as_they_say(graph, layer, index)
        compared += 1
    assert compared >= 8
