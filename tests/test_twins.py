"""Copies of networks: what is copied, and that the network itself stays as it was."""

import torch
from torch import nn

from lib.nas import nasnet, one_shot, twins
from lib.nas.search_space import FOUND, SMALL


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())


def test_a_twin_without_norms_is_its_other_layers_alone():
    model = net()
    nn.init.constant_(model[1].weight, 5.0)
    model[1].running_mean += 2
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    twin = twins.without_norms(model)
    alone = nn.functional.conv2d(
        images, model[0].weight.double(), model[0].bias.double()
    )
    assert torch.equal(twin(images), alone.flatten(1))
    assert model[1].weight.tolist() == [5.0] * 4 and model[1].training
    assert [p.requires_grad for p in twin.parameters()] == [True, True, False, False]


def test_accuracy_leaves_the_statistics():
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8)
    assert 0 <= twins.accuracy(model, images, torch.zeros(4, dtype=torch.int64)) <= 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_inherited_network_shares_no_memory():
    supernet = one_shot.Supernet(SMALL, cells=1, filters=4)
    child = twins.inherited(supernet, FOUND)
    assert isinstance(child, nasnet.NASNet)
    assert torch.equal(child.stem[0].weight, supernet.stem[0].weight)
    nn.init.zeros_(child.stem[0].weight)
    assert supernet.stem[0].weight.abs().sum() > 0
