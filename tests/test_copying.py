"""A copy of any network: what it keeps, what it must not share, what it refuses."""

import threading
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from lib.compression import copying


class Keeps(nn.Module):
    """Leaves its features behind in four ways, as foreign networks do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)
        self.feature, self.history, self.by_name = None, [], {}

    def forward(self, x):
        self.feature = self.a(x)
        self.history.append((self.feature, "deep", {"inside": self.feature * 2}))
        self.by_name["a"] = Box(self.feature + 1)
        return self.b(self.feature)


@dataclass
class Box:
    value: torch.Tensor


def test_features_with_a_graph_are_copied_as_plain_values():
    model, x = Keeps(), torch.randn(5, 3)
    wanted = model(x)
    twin = copying.copied(model)
    feature = model.a(x)  # by hand: what the first layer gives
    assert torch.equal(twin.feature, feature) and twin.feature.is_leaf
    assert twin.history[0][0] is twin.feature  # one tensor stays one
    assert torch.equal(twin.history[0][2]["inside"], feature * 2)
    assert torch.equal(twin.by_name["a"].value, feature + 1)
    assert not model.feature.is_leaf  # the first one has lost nothing
    assert torch.equal(twin(x), wanted)
    with torch.no_grad():
        twin.a.weight.zero_()
    assert torch.equal(model(x), wanted)


def test_hooks_are_copied_and_work():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    prune.l1_unstructured(model[0], "weight", 0.5)
    kept = {}
    model[1].register_forward_hook(lambda m, x, y: kept.update(y=y))
    x = torch.randn(2, 3)
    wanted = model(x)
    assert torch.equal(copying.copied(model)(x), wanted)
    assert torch.equal(kept["y"], wanted)


def test_ties_and_modes_are_kept():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Dropout())
    model[1].weight = model[0].weight
    model[2].eval()
    twin = copying.copied(model)
    assert twin[1].weight is twin[0].weight is not model[0].weight
    assert [m.training for m in twin.modules()] == [True, True, True, False]


def test_what_cannot_be_copied_is_named():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].guard = threading.Lock()
    with pytest.raises(ValueError, match=r"cannot be copied: 1\.guard: .*lock"):
        copying.copied(model)
    for wrong in (None, "plain", {"a": 1}, nn.Linear):
        with pytest.raises(ValueError, match="model is .*it must be a Module"):
            copying.copied.__wrapped__(wrong)
