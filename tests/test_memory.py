"""Layouts in memory: strides by hand, and the same numbers in either order."""

import torch
from torch import nn

from lib.basics import memory


def test_strides_are_those_of_a_hand():
    conv = memory.channels_last(nn.Conv2d(3, 2, 5))
    # From a filter's channel to the next one number, from a column to the next three.
    assert conv.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)
    assert memory.channels_first(conv) is conv
    assert conv.weight.stride() == (3 * 5 * 5, 5 * 5, 5, 1)


def test_a_tensor_is_copied_only_if_need_be():
    planes = torch.arange(24.0).reshape(1, 2, 3, 4)
    pixels = planes.to(memory_format=torch.channels_last)
    assert memory.channels_first(planes) is planes
    back = memory.channels_first(pixels)
    assert back.is_contiguous() and torch.equal(back, planes)
    assert not pixels.is_contiguous()  # the one given in is as it was


def test_the_order_changes_no_result():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 5, 1)]
    model, x = nn.Sequential(*layers).eval(), torch.randn(2, 3, 7, 9)
    with torch.no_grad():
        expected = model(x)
        found = memory.channels_last(model)(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected)
