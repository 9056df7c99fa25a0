"""A cell as a value: blocks, output, and the two cells of an architecture.

A cell is a small graph. State 0 is h_i, what the cell below gives; state 1 is h_{i-1},
what the one before that gave. Block k reads two earlier states, applies an operation
to each, combines the two and writes state k + 2. Whatever no block reads is the output,
concatenated. A value that is not a cell is refused where it is made. At the
end stand the cells that were published.

Source: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012, section 3. Chapter 04. Support
for `search_space`, which says which cells there are.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib.basics import arguments

# The paper's thirteen, in its order. A number is a kernel size: "conv1x3" is a 1x3 and
# then a 3x1 convolution, "dil" a dilated one, "sep" a depthwise-separable one, applied
# twice; "avg" and "max" are pools.
NASNET_OPERATIONS = (
    *("identity", "conv1x3", "conv1x7", "dil3", "avg3", "max3", "max5", "max7"),
    *("conv1", "conv3", "sep3", "sep5", "sep7"),
)
# DARTS adds two: depthwise, dilated by 2, then pointwise; once.
OPERATIONS = (*NASNET_OPERATIONS, "dilsep3", "dilsep5")
SIGNS = {"add": "+", "concat": "&"}  # a block's combination, and its sign in the text


class GenotypeError(ValueError):
    """A malformed genotype: the message says where, and what would be right."""


class Pair(NamedTuple):
    """One side of a block: the state it reads and the operation on it."""

    input: int
    operation: str


class Block(NamedTuple):
    """Two pairs and how they are combined."""

    left: Pair
    right: Pair
    combination: str = "add"


@dataclass(frozen=True)
class Cell:
    """Blocks in an order in which each reads earlier states only, and the output.

    `output` holds the states that are concatenated, kept sorted: the order does not
    matter. Left out, it is what the paper says: the blocks that no block reads.
    Raises GenotypeError for anything that is not a cell. Both are tuples afterwards.
    """

    blocks: Sequence  # of Block, or of ((input, operation), (input, operation), "add")
    output: Sequence = ()

    def __post_init__(self):
        given = _items("blocks", self.blocks)
        blocks = tuple(_block(k, block) for k, block in enumerate(given))
        if not blocks:
            raise GenotypeError("a cell needs at least one block")

        dangling = unused(blocks)
        last = len(blocks) + 1
        output = _items("output", self.output) or list(dangling)
        for place, state in enumerate(output):
            number = _state(state)
            if number is None or number > last:
                raise GenotypeError(f"output: {state!r} is not a state, 0 to {last}")
            output[place] = number
        output = tuple(sorted(output))
        if len(set(output)) < len(output):
            raise GenotypeError(f"output: {output} names a state twice")
        for state in dangling:
            if state not in output:
                raise GenotypeError(
                    f"output: nothing reads state {state}, so it must be in the output"
                )

        # Frozen for everybody else: two equal cells stay equal, and hash alike.
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "output", output)

    def __str__(self) -> str:
        blocks = (
            f"{b.left.operation}({b.left.input}){SIGNS[b.combination]}"
            f"{b.right.operation}({b.right.input})"
            for b in self.blocks
        )
        return " | ".join(blocks) + " -> " + " ".join(map(str, self.output))


@dataclass(frozen=True)
class Genotype:
    """An architecture: the normal cell, and the reduction cell (inputs at stride 2)."""

    normal: Cell
    reduction: Cell

    def __post_init__(self):
        for field in ("normal", "reduction"):
            cell = getattr(self, field)
            if not isinstance(cell, Cell):
                raise GenotypeError(
                    f"{field} is {arguments.shown(cell)}; it must be a Cell"
                    " (cell_from_text reads one)"
                )

    def __str__(self) -> str:
        if self.normal == self.reduction:
            return str(self.normal)
        return f"normal: {self.normal}\nreduction: {self.reduction}"


def _items(name: str, values: Any) -> list:
    """The blocks, or the states of the output, as a list; GenotypeError for a text."""
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise GenotypeError(f"{name} is {arguments.shown(values)}; it must be a list")
    return list(values)


def _state(value: Any) -> int | None:
    """The number of a state as an int, NumPy's too; None for anything else."""
    if type(value) is int:  # the usual case, and a search makes many cells
        return value if value >= 0 else None
    try:
        return arguments.whole_number("state", value, least=0)
    except ValueError:
        return None


def _block(k: int, block: Any) -> Block:
    """Block k, checked: two pairs (input, operation) and a combination."""
    try:
        left, right, *rest = block
        (combination,) = rest or ("add",)
        sides = {"left": tuple(left), "right": tuple(right)}
        well_formed = all(len(pair) == 2 for pair in sides.values())
    except (TypeError, ValueError):
        well_formed = False
    if not well_formed:
        raise GenotypeError(
            f"block {k}: {block!r} is not ((input, operation), (input, operation),"
            " combination)"
        )
    pairs = []
    for side, (state, operation) in sides.items():
        number = _state(state)
        if number is None or number >= k + 2:
            raise GenotypeError(
                f"block {k}, {side} input: there is no state {state!r} yet;"
                f" block {k} reads states 0 to {k + 1}"
            )
        if not isinstance(operation, str) or operation not in OPERATIONS:
            raise GenotypeError(
                f"block {k}, {side} operation: {operation!r} is unknown;"
                f" known are {', '.join(OPERATIONS)}"
            )
        pairs.append(Pair(number, operation))
    if not isinstance(combination, str) or combination not in SIGNS:
        raise GenotypeError(
            f"block {k}, combination: {combination!r} is neither 'add' nor 'concat'"
        )
    return Block(*pairs, combination)


def unused(blocks: Iterable[Block]) -> tuple[int, ...]:
    """The states written by blocks that no block reads: the paper's output."""
    blocks = tuple(blocks)
    read = {pair.input for block in blocks for pair in block[:2]}
    written = range(2, len(blocks) + 2)
    return tuple(state for state in written if state not in read)


_PAIR = r"\s*(\w+)\s*\(\s*(\d{1,9})\s*\)\s*"  # an operation and, in brackets, a state


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise GenotypeError(
            f"text is {arguments.shown(text)}; it must be a text such as"
            " sep5(0)+sep3(1)"
        )
    return text


def cell_from_text(text: str) -> Cell:
    """The cell that `str(cell)` wrote: "sep5(0)+sep3(1) | avg3(2)&max3(0) -> 3".

    Without "->" the output is the unused blocks.

    >>> cell_from_text("identity(0)+sep3(1) | max3(2)+max3(0)").output
    (3,)
    """
    body, arrow, output = _text(text).partition("->")
    blocks = []
    for k, part in enumerate(body.split("|")):
        match = re.fullmatch(f"{_PAIR}([+&]){_PAIR}", part)
        if not match:
            raise GenotypeError(
                f"block {k}: {part.strip()!r} is not of the form sep5(0)+sep3(1)"
            )
        left_name, left_state, sign, right_name, right_state = match.groups()
        left = (int(left_state), left_name)
        right = (int(right_state), right_name)
        blocks.append((left, right, "add" if sign == "+" else "concat"))
    if arrow and not re.fullmatch(r"\s*\d{1,9}(\s+\d{1,9})*\s*", output):
        raise GenotypeError(f"output: {output.strip()!r} is not states such as 2 4 5")
    return Cell(tuple(blocks), tuple(map(int, output.split())))


def from_text(text: str) -> Genotype:
    """The genotype that `str(genotype)` wrote: "normal: ... reduction: ...".

    A text without these names is one cell, which serves as both. Line breaks are free.
    """
    text = " ".join(_text(text).split())
    match = re.fullmatch(r"normal:(.*) reduction:(.*)", text)
    if not match and ":" in text:
        raise GenotypeError(
            f"{text!r} is neither 'normal: ... reduction: ...' nor one cell for both"
        )
    if not match:
        cell = cell_from_text(text)
        return Genotype(cell, cell)
    cells = []
    for name, body in zip(("normal", "reduction"), match.groups(), strict=True):
        try:
            cells.append(cell_from_text(body))
        except GenotypeError as error:
            raise GenotypeError(f"{name} cell, {error}") from None
    return Genotype(*cells)


def graph(cell: Cell) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """The cell as plain data, as `plots.graph` takes it: nodes and edges.

    Nodes map a name to its label: the two inputs, the state of each block with its
    combination's sign, and the output. Edges are (from, to, operation).
    """
    arguments.instance("cell", cell, Cell, "cell_from_text reads one")
    nodes = {"0": "0: h_i", "1": "1: h_(i-1)"}
    edges: list[tuple[str, ...]] = []
    for state, (left, right, combination) in enumerate(cell.blocks, start=2):
        nodes[str(state)] = f"{SIGNS[combination]} {state}"
        for source, operation in (left, right):
            edges.append((str(source), str(state), operation))
    nodes["output"] = "concat"
    edges += [(str(state), "output") for state in cell.output]
    return nodes, edges


# Published cells. Some authors number h_{i-1} first; here state 0 is h_i throughout.
# The output is what the authors' code concatenates: not always the unused blocks alone.

# Paper, figure 4, as released in tensorflow/models, research/slim/nets/nasnet. The
# output has state 1 (normal) and state 3 (reduction) too, though blocks read them.
NASNET_A = from_text("""
    normal: sep5(0)+sep3(1) | sep5(1)+sep3(1) | avg3(0)+identity(1) | avg3(1)+avg3(1)
        | sep3(0)+identity(0) -> 1 2 3 4 5 6
    reduction: sep5(0)+sep7(1) | max3(0)+sep7(1) | avg3(0)+sep5(1) | identity(3)+avg3(2)
        | sep3(2)+max3(0) -> 3 4 5 6
""")
# arXiv 1802.01548v7, as released in tensorflow/tpu, models/official/amoeba_net. Earlier
# versions of the paper draw another wiring, by mistake (tensorflow/tpu#312).
# States 1 (normal), 2 and 4 (reduction) are in the output though blocks read them.
AMOEBANET_A = from_text("""
    normal: avg3(0)+max3(0) | sep3(1)+identity(1) | identity(0)+avg3(1)
        | sep3(0)+sep5(2) | avg3(5)+sep3(0) -> 1 3 4 6
    reduction: sep3(1)+avg3(0) | max3(0)+sep7(2) | max3(1)+max3(0)
        | sep3(4)+conv1x7(0) | avg3(1)+sep7(0) -> 2 3 4 5 6
""")
# arXiv 1712.00559, figure 1; tensorflow/models, research/slim/nets/nasnet/pnasnet.py.
# One cell, run with stride 2 as the reduction. Every block is output, though 4 is read.
PNASNET_5 = from_text("""
    sep5(1)+max3(1) | sep7(0)+max3(0) | sep5(0)+sep3(0) | sep3(4)+max3(0)
        | sep3(1)+identity(0) -> 2 3 4 5 6
""")
# arXiv 1802.03268, micro search space: `fixed_arc` of melodyguan/enas,
# scripts/cifar10_micro_final.sh, whose state 0 is h_{i-1}. Output: the unused blocks.
ENAS = from_text("""
    normal: avg3(1)+sep3(1) | identity(1)+sep5(1) | identity(1)+sep5(0)
        | sep3(0)+sep5(1) | avg3(1)+sep5(0) -> 2 3 4 5 6
    reduction: sep3(0)+sep3(0) | max3(1)+avg3(1) | sep5(0)+sep5(3)
        | sep3(0)+identity(1) | max3(1)+sep5(0) -> 2 4 5 6
""")
# arXiv 1806.09055, first and second order: quark0/darts, cnn/genotypes.py, whose state
# 0 is h_{i-1}. Four blocks, all of them output.
DARTS_V1 = from_text("""
    normal: sep3(0)+sep3(1) | identity(1)+sep3(0) | identity(1)+sep3(0)
        | sep3(1)+identity(2) -> 2 3 4 5
    reduction: max3(1)+max3(0) | identity(2)+max3(1) | max3(1)+identity(2)
        | identity(2)+avg3(1) -> 2 3 4 5
""")
DARTS_V2 = from_text("""
    normal: sep3(1)+sep3(0) | sep3(1)+sep3(0) | sep3(0)+identity(1)
        | identity(1)+dilsep3(2) -> 2 3 4 5
    reduction: max3(1)+max3(0) | identity(2)+max3(0) | max3(1)+identity(2)
        | identity(2)+max3(0) -> 2 3 4 5
""")
