"""State is given back: whoever calls a function of ours finds the rest as it was."""

import json
import subprocess
import sys

import pytest
import torch

import lib
from lib.basics import training
from tests import state


@pytest.fixture(scope="module")
def changes():
    """By function: what it changed and was not there to change."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.state"],
        cwd=lib.ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", state.TABLE)
def test_a_function_changes_nothing_that_it_is_not_there_to_change(changes, name):
    assert changes[name] == []


@pytest.mark.parametrize("name", state.FAILING)
def test_after_an_error_all_is_back_too(changes, name):
    assert changes[f"{name}, which fails"] == []


def test_the_settings_are_those_of_the_beginning(changes):
    assert changes["all together"] == []


def test_the_table_would_see_a_change():
    """Each of the usual slips, made on purpose, is seen."""
    net = state.half_frozen(training.small_cnn((4,), 2))
    slips = [
        lambda: net.train(),
        lambda: net[0].weight.requires_grad_(True),
        lambda: next(net.parameters()).data.add_(1),
        lambda: net.register_forward_hook(lambda *a: None),
        lambda: net.zero_grad(),
    ]
    for slip in slips:
        before = state.model_state(net)
        slip()
        assert state.model_state(net) != before
    numbers = torch.get_rng_state()
    torch.rand(1)
    assert not torch.equal(torch.get_rng_state(), numbers)
    changed = state.differences(
        {"random": 1, "threads": 2}, {"random": 3, "threads": 2}, "", "world"
    )
    assert changed == ["world: random"]
    torch.set_rng_state(numbers)
