"""The equations of chapter 24, by hand, by enumeration and against other libraries."""

import itertools
import math
import random

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from lib.basics import profiling
from lib.exercises import frontiers


@pytest.mark.equation("24.1")
@pytest.mark.parametrize("side, channels, outputs", [(111, 32, 128), (7, 5, 3)])
def test_weights_of_a_dense_layer(side, channels, outputs):
    with torch.device("meta"):
        layer = nn.Sequential(nn.Flatten(), nn.Linear(side * side * channels, outputs))
        x = torch.zeros(1, channels, side, side)
    assert layer(x).shape == (1, outputs)
    assert profiling.parameters(layer) == (side * side * channels + 1) * outputs


def test_the_padded_network_by_torch():
    with torch.device("meta"):
        layers = [nn.Conv2d(3, 32, 3, padding=1), nn.MaxPool2d(2), nn.Flatten()]
        flat = nn.Sequential(*layers)(torch.zeros(1, 3, 224, 224)).shape[1]
        network = nn.Sequential(*layers, nn.Linear(flat, 128), nn.Linear(128, 10))
    millions = profiling.parameters(network) / 1e6
    assert round(millions, 2) == 51.38
    assert frontiers.padded_parameters() == pytest.approx(millions, abs=1e-9)


@pytest.mark.equation("24.2")
def test_from_how_many_devices_a_network_for_all_pays():
    """The smallest N, by trying, for the paper's numbers and for a few others."""
    for once, each, small in [(1240, 500, 0), (1000, 500, 0), (40, 13, 9), (1, 9, 8)]:
        n = next(n for n in itertools.count(1) if once + n * small < n * each)
        assert n > once / (each - small) >= n - 1
        assert frontiers.pays_from(once, each, small) == n


@pytest.mark.equation("24.3")
def test_centerness_by_hand():
    """In the middle 1; at a quarter of both sides the root of 1/3 * 1/3."""
    assert frontiers.centerness((5, 5), (0, 0, 10, 10)) == 1
    at_a_quarter = frontiers.centerness((5, 10), (0, 0, 20, 40))
    assert at_a_quarter == pytest.approx(1 / 3, abs=1e-12)
    assert frontiers.centerness((0, 5), (0, 0, 10, 10)) == 0


@pytest.mark.equation("24.4")
def test_the_matching_is_scipys():
    rng = random.Random(0)
    for _ in range(100):
        objects = rng.randint(1, 4)
        columns = objects + rng.randint(0, 2)
        cost = [[rng.random() for _ in range(columns)] for _ in range(objects)]
        _, chosen = linear_sum_assignment(cost)
        assert frontiers.match(cost) == chosen.tolist()
        assert frontiers.match_by_search(cost) == chosen.tolist()


@pytest.mark.equation("24.5")
def test_moving_the_size_changes_no_product():
    """In whole halves, so that nothing is rounded: x 8 and w 2 share the root, 4."""
    x, w = torch.tensor([[8.0, -1.0]]), torch.tensor([[0.5], [1.0]])
    s = (x.abs().amax(0) / w.abs().amax(1)).sqrt()
    assert s.tolist() == [4.0, 1.0]
    assert torch.equal((x / s) @ (w * s[:, None]), x @ w)
    assert (x / s).abs().amax(0).tolist() == (w * s[:, None]).abs().amax(1).tolist()


@pytest.mark.equation("24.6")
@pytest.mark.parametrize("bits, group", [(4, 32), (4, 128), (3, 16)])
def test_bits_of_a_weight_in_a_group(bits, group):
    """Counted for a layer of 4,096 weights: their bits, and a half float a group."""
    weights = 4096
    total = weights * bits + (weights // group) * torch.finfo(torch.float16).bits
    assert total / weights == bits + 16 / group


def test_values_beside_an_outlier_by_hand():
    """Half a step is 30 / 254 = 0.118; of -1, -1 + 2/63, ... those below it."""
    below = sum(abs(-1 + 2 * i / 63) < 30 / 254 for i in range(64))
    assert frontiers.zeros_beside_30() == below
    assert math.isclose(30 / 254, 0.11811, abs_tol=1e-5)
