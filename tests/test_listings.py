"""The article's two programs: their faults are those that Python and Keras meet."""

import pytest
import torch

from lib.basics import profiling
from lib.book import listings


def test_the_faults_by_name():
    """UnboundLocalError and NameError are Python's; the second is ours, as Keras'."""
    assert listings.said(listings.name_taken).startswith("UnboundLocalError: ")
    assert "'fixed'" in listings.said(listings.name_taken)
    missing = "NameError: name 'pictures' is not defined"
    assert listings.said(listings.no_data) == missing
    told = listings.said(listings.not_connected)
    assert told.startswith("ValueError: outputs are 5 layers (Sequential, MaxPool2d,")
    assert listings.said(listings.joined) == "runs"


def test_layers_that_are_called_are_joined():
    x = listings.picture()
    for layer in listings.fixed()[:3]:
        x = listings.called(layer, x)
    names = "Sequential", "MaxPool2d", "Flatten"
    assert listings.model(listings.picture(), x) == names
    with pytest.raises(ValueError, match="outputs are 2 layers .Flatten, Linear"):
        listings.model(listings.picture(), [torch.nn.Flatten(), torch.nn.Linear(1, 1)])


def test_the_joined_network_by_hand():
    """896 + (111 * 111 * 32 + 1) * 128 + 129 * 10; 222 = 224 - 2, halved is 111."""
    by_hand = (27 + 1) * 32 + (111 * 111 * 32 + 1) * 128 + (128 + 1) * 10
    assert by_hand == 50_469_130
    assert profiling.parameters(listings.joined()) == by_hand
    picture = torch.zeros(1, 3, listings.SIDE, listings.SIDE, device="meta")
    assert listings.joined()(picture).shape == (1, 10)
