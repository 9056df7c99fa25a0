"""What runs through a supernet: pairs, names, and which blocks are output."""

import itertools
import math

import pytest
import torch

from lib.nas import choices, genotypes


def test_a_side_of_block_k_may_read_the_k_plus_two_earlier_states():
    pairs = choices.pairs_of(1, ("sep3", "max3"))
    assert pairs[:3] == [(0, "sep3"), (0, "max3"), (1, "sep3")]
    assert len(pairs) == 3 * 2 and {state for state, _ in pairs} == {0, 1, 2}


def test_names_of_pairs_differ():
    names = [
        choices.name_of(k, pair)
        for k in range(3)
        for pair in choices.pairs_of(k, genotypes.OPERATIONS)
    ]
    assert len(names) == len(set(names)) == (2 + 3 + 4) * len(genotypes.OPERATIONS)
    assert not any("." in name for name in names)  # torch takes none in a ModuleDict


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_chances_of_all_outcomes_add_up_to_one(share):
    shares = [0.25, share, 0.5]
    outcomes = [
        chosen for size in range(4) for chosen in itertools.combinations(range(3), size)
    ]
    chances = [choices.chance(chosen, shares) for chosen in outcomes]
    assert math.isclose(sum(chances), 1)
    # the first and the last, but not the second: 0.25 * (1 - share) * 0.5
    assert choices.chance((0, 2), shares) == pytest.approx(0.125 * (1 - share))


def test_a_state_by_hand():
    one, two = torch.full((1, 1, 1, 2), -1.0), torch.tensor([[[[3.0, -2.0]]]])
    state = choices.State([one, two], [0, 0.5])
    assert state.joined().flatten().tolist() == [0, 0, 1.5, -1]
    assert state.rectified().flatten().tolist() == [0, 0, 1.5, 0]
    assert len(state.output()) == 1 and state.output()[0] is two
