"""The NASNet search space: which cells there are, how many, and how to move among them.

A space says how many blocks a cell has and which operations it may use. Its genotypes
are drawn, mutated, written as the controller's tokens and read back. Many genotypes are
one cell, written in another order: `canonical` writes each in one way, `count` says how
many remain.

Source: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012. Chapter 04. Pure Python.
"""

import itertools
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lib.nas.genotypes import (  # noqa: F401  (what a cell is; the rest uses it from here)
    NASNET_OPERATIONS,
    OPERATIONS,
    SIGNS,
    Block,
    Cell,
    Genotype,
    GenotypeError,
    Pair,
    cell_from_text,
    from_text,
    graph,
    unused,
)

SIDES = ("left", "right")
LARGEST = 10**7  # raw cells; a space with more is not listed


@dataclass(frozen=True)
class Space:
    """A set of genotypes: B blocks a cell, the operations and the combinations allowed.

    `cells` names what is searched: both cells, or ("normal",) alone, which then serves
    as the reduction cell too, as in PNASNet. The output is always the unused blocks.
    """

    blocks: int
    operations: tuple[str, ...]
    combinations: tuple[str, ...] = ("add",)
    cells: tuple[str, ...] = ("normal", "reduction")

    def __post_init__(self):
        if self.blocks < 1:
            raise ValueError(f"blocks is {self.blocks}; a cell needs at least one")
        for field, known in (("operations", OPERATIONS), ("combinations", SIGNS)):
            names = getattr(self, field)
            if not names or sorted(names) != sorted(set(names) & set(known)):
                raise ValueError(f"{field} is {names}; it takes names of {list(known)}")
        if self.cells not in (("normal", "reduction"), ("normal",)):
            raise ValueError(
                f"cells is {self.cells}; it is ('normal', 'reduction') or ('normal',)"
            )


class Decision(NamedTuple):
    """One choice of the controller: where it falls and what there is to choose from."""

    cell: str
    block: int
    what: str
    options: tuple


FULL = Space(5, NASNET_OPERATIONS, ("add", "concat"))  # the paper's
# Small enough to train every cell in it: 735 distinct cells. The three operations
# differ in kind (nothing, a pool, a convolution), so that accuracies differ too.
SMALL = Space(2, ("identity", "max3", "sep3"), cells=("normal",))
# Found in SMALL (chapter 07): evolution asked 200 times, its ten best trained thrice.
FOUND = from_text("max3(0)+sep3(1) | identity(1)+sep3(1) -> 2 3")

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


def decisions(space: Space) -> list[Decision]:
    """What the controller decides, in its order: inputs, operations, combination.

    That is 5 decisions a block; `options[token]` is what a token stands for.
    """
    result = []
    for cell, k in itertools.product(space.cells, range(space.blocks)):
        states = tuple(range(k + 2))
        result += [Decision(cell, k, f"{s} input", states) for s in SIDES]
        result += [Decision(cell, k, f"{s} operation", space.operations) for s in SIDES]
        result += [Decision(cell, k, "combination", space.combinations)]
    return result


def encode(space: Space, genotype: Genotype) -> list[int]:
    """The controller's tokens for a genotype; GenotypeError if the space lacks it."""
    values = []
    for name, cell in (("normal", genotype.normal), ("reduction", genotype.reduction)):
        if len(cell.blocks) != space.blocks:
            found = f"{len(cell.blocks)} blocks"
            raise GenotypeError(f"{name} cell: {found}; this space has {space.blocks}")
        if cell.output != unused(cell.blocks):
            raise GenotypeError(
                f"{name} cell, output: {cell.output}; in this space it is the unused"
                f" blocks, {unused(cell.blocks)}"
            )
        for (a, f), (b, g), combination in cell.blocks if name in space.cells else ():
            values += [a, b, f, g, combination]
    if space.cells == ("normal",) and genotype.normal != genotype.reduction:
        raise GenotypeError("reduction cell: in this space it is the normal cell")
    tokens = []
    for (cell, k, what, options), value in zip(decisions(space), values, strict=True):
        if value not in options:
            raise GenotypeError(
                f"{cell} cell, block {k}, {what}: {value!r}; this space has {options}"
            )
        tokens.append(options.index(value))
    return tokens


def decode(space: Space, tokens: Iterable[int]) -> Genotype:
    """The genotype that the tokens stand for; undoes `encode`."""
    tokens, wanted = list(tokens), decisions(space)
    if len(tokens) != len(wanted):
        raise GenotypeError(
            f"{len(tokens)} tokens; this space takes {len(wanted)}, 5 for each of"
            f" {space.blocks} blocks in {' and '.join(space.cells)}"
        )
    values = []
    for i, (cell, k, what, options) in enumerate(wanted):
        token = tokens[i]
        if token not in range(len(options)):
            raise GenotypeError(
                f"token {i} ({cell} cell, block {k}, {what}) is {token};"
                f" it is 0 to {len(options) - 1}"
            )
        values.append(options[int(token)])
    fives = [values[i : i + 5] for i in range(0, len(values), 5)]
    blocks = tuple(Block(Pair(a, f), Pair(b, g), c) for a, b, f, g, c in fives)
    return Genotype(Cell(blocks[: space.blocks]), Cell(blocks[-space.blocks :]))


def validate(space: Space, genotype: Genotype) -> None:
    """Raises GenotypeError, saying where, unless the genotype lies in the space."""
    encode(space, genotype)


def sample(space: Space, rng: random.Random) -> Genotype:
    """A genotype with every token drawn uniformly: the paper's random search.

    Uniform over tokens is not uniform over distinct cells: symmetric ones are rarer.
    """
    return decode(space, [rng.randrange(len(d.options)) for d in decisions(space)])


def mutate(
    space: Space, genotype: Genotype, rng: random.Random, identity: float = 0.05
) -> Genotype:
    """One token changed, as in regularized evolution (Real et al., arXiv 1802.01548).

    With probability `identity` nothing changes. Else the kind is drawn first: a hidden
    state (one input, to another earlier state) or an operation (to another one); then
    the cell, the block and the side, all uniformly. Where the space has a choice of
    combinations, that is a third kind; their space had none.
    """
    tokens = encode(space, genotype)
    if rng.random() < identity:
        return genotype
    open_ = [(i, d) for i, d in enumerate(decisions(space)) if len(d.options) > 1]
    kind = rng.choice(sorted({d.what.split()[-1] for _, d in open_}))
    i, decision = rng.choice([(i, d) for i, d in open_ if d.what.endswith(kind)])
    others = [t for t in range(len(decision.options)) if t != tokens[i]]
    tokens[i] = rng.choice(others)
    return decode(space, tokens)


def _smallest(blocks: tuple, output: tuple, number: dict[int, int]) -> tuple:
    """The least (blocks, output) over all valid ways to number the remaining blocks.

    Blocks are compared in order, so the least block that is ready comes first. Where
    several are equal every one is tried, because what reads them may differ.
    """
    ready = []
    for s, (left, right, combination) in enumerate(blocks, start=2):
        if s not in number and left.input in number and right.input in number:
            pairs = sorted(Pair(number[i], op) for i, op in (left, right))
            ready.append((Block(*pairs, combination), s))
    if not ready:
        return (), tuple(sorted(number[s] for s in output))
    least = min(ready)[0]
    rest = min(
        _smallest(blocks, output, {**number, s: len(number)})
        for block, s in ready
        if block == least
    )
    return (least, *rest[0]), rest[1]


def canonical(cell: Cell | Genotype) -> Cell | Genotype:
    """The one way to write a cell: the same for all that differ in order only.

    Two cells are the same if swapping the pairs of a block, or renumbering the blocks
    in another valid order, maps one to the other. Equal blocks stay two blocks; the
    output is a set.
    """
    if isinstance(cell, Genotype):
        return Genotype(canonical(cell.normal), canonical(cell.reduction))
    return Cell(*_smallest(cell.blocks, cell.output, {0: 0, 1: 1}))


def same(a: Cell | Genotype, b: Cell | Genotype) -> bool:
    """True if both are the same cell, or genotype, in the sense of `canonical`."""
    return canonical(a) == canonical(b)


def raw_count(space: Space) -> int:
    """Token sequences for one cell, ((B + 1)!)^2 O^(2B) C^B: a cell in many ways."""
    inputs = math.factorial(space.blocks + 1) ** 2
    labels = len(space.operations) ** 2 * len(space.combinations)
    return inputs * labels**space.blocks


def enumerate_cells(space: Space) -> list[Cell]:
    """Every distinct cell of a small space once, in canonical form, sorted."""
    if raw_count(space) > LARGEST:
        raise ValueError(
            f"{space.blocks} blocks, {len(space.operations)} operations:"
            f" {raw_count(space):,} raw cells; at most {LARGEST:,} are listed"
        )
    found = {()}
    for k in range(space.blocks):
        pairs = [Pair(i, name) for i in range(k + 2) for name in space.operations]
        sides = itertools.combinations_with_replacement(pairs, 2)
        new = [Block(*two, c) for two in sides for c in space.combinations]
        # Any cell of k + 1 blocks is one of k blocks and a block that nothing reads.
        found = {
            _smallest((*blocks, block), (), {0: 0, 1: 1})[0]
            for blocks in found
            for block in new
        }
    return [Cell(blocks) for blocks in sorted(found)]


def symmetries(wiring: Cell) -> list[tuple[int, ...]]:
    """Every renumbering of the blocks that maps the wiring to itself: state s to to[s].

    Operations do not matter here. The renumbering that moves nothing is always one.
    """
    inputs = [(left.input, right.input) for left, right, _ in wiring.blocks]
    found = [(0, 1)]
    for a, b in inputs:  # earlier states, so it is known where they go
        found = [
            (*to, s)
            for to in found
            for s, target in enumerate(inputs, start=2)
            if s not in to and sorted(target) == sorted((to[a], to[b]))
        ]
    return found


def labellings(wiring: Cell, operations: int, combinations: int) -> int:
    """Ways to label a wiring that no symmetry of it makes equal (Burnside's lemma).

    Averages, over the symmetries, the labellings that each leaves as they are. The
    blocks of a cycle share one of C combinations. Their operations: O (O + 1) / 2 ways
    if both inputs are one state, as the pairs may swap; O ways if going round the cycle
    once swaps the inputs; else O^2.
    """
    inputs = [(left.input, right.input) for left, right, _ in wiring.blocks]
    fixed, group = 0, symmetries(wiring)
    for to in group:
        product, seen = 1, set()
        for s in range(2, len(to)):
            if s in seen:
                continue
            first, second = inputs[s - 2]
            a = first
            while s not in seen:  # once round the cycle of s, and a goes along
                seen.add(s)
                a, s = to[a], to[s]
            if first == second:
                ways = operations * (operations + 1) // 2
            else:
                ways = operations**2 if a == first else operations
            product *= ways * combinations
        fixed += product
    return fixed // len(group)


def count(space: Space) -> int:
    """The exact number of distinct cells of a space (of one cell, not of the pair).

    Wirings up to renumbering are listed, then the labellings of each are counted.
    """
    wirings = enumerate_cells(Space(space.blocks, ("identity",)))
    sizes = len(space.operations), len(space.combinations)
    return sum(labellings(wiring, *sizes) for wiring in wirings)


def count_genotypes(space: Space) -> int:
    """The exact number of distinct genotypes: the square of `count` for two cells."""
    return count(space) ** len(space.cells)
