"""A model that was only looked at is as it was, part by part."""

import pytest
import torch
from torch import nn

from lib.basics import modes, profiling, training


def frozen() -> nn.Module:
    """In training mode, but for its batch norms: a backbone for fine-tuning."""
    model = training.small_cnn((4, 8), 2).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def flags(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_inside_all_is_evaluation_and_outside_as_before():
    model = frozen()
    before = flags(model)
    assert True in before and False in before
    with modes.evaluation(model):
        assert not any(flags(model))
    assert flags(model) == before


def test_after_an_error_too():
    model = frozen()
    before = flags(model)
    with pytest.raises(KeyError), modes.evaluation(model):
        raise KeyError
    assert flags(model) == before


def test_accuracy_and_profiling_leave_frozen_norms_frozen():
    model, images = frozen(), torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    before = flags(model)
    training.accuracy(model, images, torch.tensor([0, 1]))
    profiling.macs(model, images.float())
    assert flags(model) == before
