"""What runs through a supernet: a choice of pairs, and the states that cells hand on.

A choice says for each side of each block which pairs (input, operation) take part, and
with what share. On a path it is one pair with share 1; DARTS takes them all. Which
blocks are output follows from that. Support for `one_shot`.
"""

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.basics import arguments
from lib.nas import genotypes

Share = int | float | Tensor
# For each block and side: the share of every pair (input, operation) that takes part.
Choice = list[list[dict[tuple[int, str], Share]]]


class State(NamedTuple):
    """What a cell hands on: a tensor for each block, and how much of each is output."""

    tensors: list[Tensor]  # each B F H W
    shares: list[Share]  # 0 or 1 on a path

    def joined(self) -> Tensor:
        """All tensors in one; what is not output is zero, and keeps its channels."""
        blocks = zip(self.tensors, self.shares, strict=True)
        return torch.cat([share * x for x, share in blocks], dim=1)  # B blocks*F H W

    def rectified(self) -> Tensor:
        """The ReLU of `joined`, as a calibration reads it."""
        return F.relu(self.joined())  # B blocks*F H W

    def output(self) -> list[Tensor]:
        """The tensors of which a share is output."""
        blocks = zip(self.tensors, self.shares, strict=True)
        return [x for x, share in blocks if share]


def pairs_of(k: int, operations: tuple[str, ...]) -> list[tuple[int, str]]:
    """Every pair (input, operation) that a side of block k may take, in order.

    >>> pairs_of(0, ("identity", "max3"))
    [(0, 'identity'), (0, 'max3'), (1, 'identity'), (1, 'max3')]
    """
    states = range(k + 2)  # the two inputs, and what blocks wrote so far
    return list(itertools.product(states, operations))


def name_of(k: int, pair: tuple[int, str]) -> str:
    """The name of the layers of a pair of block k, as state dicts have it.

    >>> name_of(1, (2, "sep3"))
    '1_2_sep3'
    """
    state, operation = pair
    return f"{k}_{state}_{operation}"


def path(cell: genotypes.Cell) -> Choice:
    """A cell as a choice: one pair on each side of each block, with share 1.

    >>> path(genotypes.cell_from_text("identity(0)+max3(1)"))
    [[{(0, 'identity'): 1}, {(1, 'max3'): 1}]]
    """
    arguments.instance("cell", cell, genotypes.Cell)
    return [[{tuple(pair): 1} for pair in block[:2]] for block in cell.blocks]


@arguments.named
def output_shares(choice: Choice) -> list[Share]:
    """For each block, the probability that no side of a later block reads it."""
    shares = []
    for state in range(2, len(choice) + 2):
        unread = []  # for each later side, the probability that it does not read it
        for block in choice[state - 1 :]:
            for side in block:
                read = sum(share for (i, _), share in side.items() if i == state)
                unread.append(1 - read)
        shares.append(math.prod(unread))  # Eq. 9.4
    return shares


def chance(chosen: tuple[int, ...], shares: list[Share]) -> Share:
    """The probability that just `chosen` are output, given the share of each block.

    The first is, with 0.75; the second is not, with 1 - 0.5.

    >>> chance((0,), [0.75, 0.5])
    0.375
    """
    factors = []
    for block, share in enumerate(shares):
        factors.append(share if block in chosen else 1 - share)
    return math.prod(factors)
