"""The equations of chapter 00, against enumeration and against the paper's numbers."""

import itertools
import math

import pytest

from lib.exercises import start_here


def choices(blocks: int, operations: int, combinations: int) -> int:
    """Equation 0.1 as the chapter states it."""
    return math.prod((k + 2) ** 2 * operations**2 * combinations for k in range(blocks))


@pytest.mark.equation("0.1")
@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize(("operations", "combinations"), [(1, 1), (2, 1), (3, 2)])
def test_choices_of_a_cell_by_writing_all_of_them_down(
    blocks, operations, combinations
):
    def block(k):
        inputs, kinds = range(k + 2), range(operations)
        ways = range(combinations)
        return list(itertools.product(inputs, inputs, kinds, kinds, ways))

    cells = set(itertools.product(*(block(k) for k in range(blocks))))
    assert len(cells) == choices(blocks, operations, combinations)


def test_choices_of_a_nasnet_cell_by_hand():
    assert choices(1, 13, 2) == 1352
    # (2 * 3 * 4 * 5 * 6)^2 * 13^10 * 2^5
    assert choices(5, 13, 2) == 518_400 * 137_858_491_849 * 32


@pytest.mark.equation("0.2")
def test_the_width_formula_does_not_give_the_table():
    formula = [round(64 * 1.35**phi, 1) for phi in range(8)]
    # From the paper's Eq. 1 (arxiv.org/abs/1911.09070), which its Table 1 departs
    # from: D7 would have 523 channels, and has 384.
    assert formula == [64.0, 86.4, 116.6, 157.5, 212.6, 287.0, 387.4, 523.0]
    assert start_here.TABLE_WIDTHS[-2:] == (384, 384)
    assert start_here.widths_met(1.35) == 7
