"""The NASNet search space: which cells there are, how many, and how to move among them.

A space says how many blocks a cell has and which operations it may use. Its genotypes
are drawn, mutated, written as the controller's tokens and read back. Many genotypes are
one cell, written in another order: `canonical` writes each in one way, `count` says how
many remain.

Source: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012. Chapter 04. There is no tensor in
it and no weight.
"""

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib.basics import arguments
from lib.nas.genotypes import (  # noqa: F401  (what a cell is; the rest uses it from here)
    AMOEBANET_A,
    DARTS_V1,
    DARTS_V2,
    ENAS,
    NASNET_A,
    NASNET_OPERATIONS,
    OPERATIONS,
    PNASNET_5,
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

LARGEST = 10**7  # raw cells; a space with more is not listed
MOST_BLOCKS = 100  # of a cell; published ones have 4 or 5
READ_ONE = "search_space.from_text reads one"


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
        blocks = arguments.whole_number("blocks", self.blocks, 1, MOST_BLOCKS)
        object.__setattr__(self, "blocks", blocks)
        for field, known in (("operations", OPERATIONS), ("combinations", SIGNS)):
            wanted = f"different names of {list(known)}"
            names = arguments.sequence(field, getattr(self, field), wanted)
            right = {name for name in names if isinstance(name, str) and name in known}
            if len(right) < len(names):
                raise arguments.refuse(field, getattr(self, field), wanted)
            object.__setattr__(self, field, tuple(names))
        known_cells = (("normal", "reduction"), ("normal",))
        arguments.one_of("cells", self.cells, known_cells)


class Decision(NamedTuple):
    """One choice of the controller: where it falls and what there is to choose from."""

    cell: str
    block: int
    what: str  # "left input", "right operation", "combination", ...
    options: tuple

    @property
    def kind(self) -> str:
        """What is chosen, without its side: "input", "operation" or "combination"."""
        return self.what.split()[-1]


FULL = Space(5, NASNET_OPERATIONS, ("add", "concat"))  # the paper's
# Small enough to train every cell in it: 735 distinct cells. The three operations
# differ in kind (nothing, a pool, a convolution), so that accuracies differ too.
SMALL = Space(2, ("identity", "max3", "sep3"), cells=("normal",))
# Found in SMALL by the first table (chapter 07): evolution asked 200 times, its ten
# best trained thrice. The shipped table has it as number 11 of 735.
FOUND = from_text("max3(0)+sep3(1) | identity(1)+sep3(1) -> 2 3")


def decisions(space: Space) -> list[Decision]:
    """What the controller decides, in its order: inputs, operations, combination.

    That is 5 decisions a block; `options[token]` is what a token stands for.
    """
    arguments.instance("space", space, Space)
    result = []
    for cell in space.cells:
        for k in range(space.blocks):
            states = tuple(range(k + 2))  # the two inputs, and what blocks wrote so far
            result += [
                Decision(cell, k, "left input", states),
                Decision(cell, k, "right input", states),
                Decision(cell, k, "left operation", space.operations),
                Decision(cell, k, "right operation", space.operations),
                Decision(cell, k, "combination", space.combinations),
            ]
    return result


def encode(space: Space, genotype: Genotype) -> list[int]:
    """The controller's tokens for a genotype; GenotypeError if the space lacks it.

    >>> cell = cell_from_text("identity(0)+sep3(1) | max3(2)+max3(0)")
    >>> encode(SMALL, Genotype(cell, cell))
    [0, 1, 0, 2, 0, 2, 0, 1, 1, 0]
    """
    arguments.instance("space", space, Space)
    _insist_on_genotype("genotype", genotype)
    values = []
    for name, cell in (("normal", genotype.normal), ("reduction", genotype.reduction)):
        _insist_on_shape(space, name, cell)
        if name in space.cells:
            for left, right, combination in cell.blocks:
                values += [left.input, right.input]
                values += [left.operation, right.operation, combination]
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


def _insist_on_genotype(name: str, value: Any) -> None:
    """GenotypeError unless it is a genotype; its text, for example, is none."""
    if not isinstance(value, Genotype):
        raise GenotypeError(
            f"{name} is {arguments.shown(value)}; it must be a Genotype ({READ_ONE})"
        )


def _insist_on_shape(space: Space, name: str, cell: Cell) -> None:
    """GenotypeError unless a cell has as many blocks as the space, and its output."""
    if len(cell.blocks) != space.blocks:
        raise GenotypeError(
            f"{name} cell: {len(cell.blocks)} blocks; this space has {space.blocks}"
        )
    if cell.output != unused(cell.blocks):
        raise GenotypeError(
            f"{name} cell, output: {cell.output}; in this space it is the unused"
            f" blocks, {unused(cell.blocks)}"
        )


def decode(space: Space, tokens: Iterable[int]) -> Genotype:
    """The genotype that the tokens stand for; undoes `encode`.

    >>> print(decode(SMALL, [0, 1, 0, 2, 0, 2, 0, 1, 1, 0]))
    identity(0)+sep3(1) | max3(2)+max3(0) -> 3
    """
    wanted = decisions(space)
    if isinstance(tokens, str | bytes | dict) or not isinstance(tokens, Iterable):
        raise arguments.refuse("tokens", tokens, f"a list of {len(wanted)} numbers")
    tokens = list(tokens)
    if len(tokens) != len(wanted):
        raise GenotypeError(
            f"{len(tokens)} tokens; this space takes {len(wanted)}, 5 for each of"
            f" {space.blocks} blocks in {' and '.join(space.cells)}"
        )
    checked = []
    for i, (cell, k, what, options) in enumerate(wanted):
        try:
            token = arguments.whole_number("token", tokens[i], 0, len(options) - 1)
        except ValueError:
            raise GenotypeError(
                f"token {i} ({cell} cell, block {k}, {what}) is {tokens[i]};"
                f" it is 0 to {len(options) - 1}"
            ) from None
        checked.append(token)
    blocks = blocks_from_tokens(checked, space.operations, space.combinations)
    # With one cell searched, the first blocks are also the last.
    normal = Cell(blocks[: space.blocks])
    reduction = Cell(blocks[-space.blocks :])
    return Genotype(normal, reduction)


def blocks_from_tokens(
    tokens: Sequence[int], operations: Sequence[str], combinations: Sequence[str]
) -> list[tuple]:
    """The blocks ((a, f), (b, g), combination) that valid tokens stand for, five each.

    In the controller's order: the inputs a and b, which are numbers of states as they
    are; the operations f and g, and the combination, which are places in the lists of
    names. Eq. 4.1; Zoph et al., arXiv 1707.07012, section 3.

    >>> names = ("identity", "max3", "sep3")
    >>> blocks_from_tokens([0, 1, 0, 2, 0], names, ("add", "concat"))
    [((0, 'identity'), (1, 'sep3'), 'add')]
    """
    blocks = []
    for first in range(0, len(tokens), 5):
        a, b, f, g, combination = tokens[first : first + 5]
        left = (a, operations[f])
        right = (b, operations[g])
        blocks.append((left, right, combinations[combination]))
    return blocks


def validate(space: Space, genotype: Genotype) -> None:
    """Raises GenotypeError, saying where, unless the genotype lies in the space."""
    encode(space, genotype)


def sample(space: Space, rng: random.Random) -> Genotype:
    """A genotype with every token drawn uniformly: the paper's random search.

    Uniform over tokens is not uniform over distinct cells: symmetric ones are rarer.
    """
    arguments.instance("rng", rng, random.Random)
    tokens = []
    for decision in decisions(space):
        token = rng.randrange(len(decision.options))
        tokens.append(token)
    return decode(space, tokens)


def mutate(
    space: Space, genotype: Genotype, rng: random.Random, identity: float = 0.05
) -> Genotype:
    """`one_change`, as in regularized evolution (Real et al., arXiv 1802.01548).

    With probability `identity` nothing changes. Where the space has a choice of
    combinations, that is a third kind of change; their space had none.

    >>> child = mutate(SMALL, FOUND, random.Random(0), identity=0.0)
    >>> both = zip(encode(SMALL, FOUND), encode(SMALL, child))
    >>> sum(before != after for before, after in both)
    1
    """
    arguments.instance("rng", rng, random.Random)
    arguments.real_number("identity", identity, least=0, most=1)
    validate(space, genotype)
    if rng.random() < identity:
        return genotype
    return one_change(space, genotype, rng)


def one_change(space: Space, genotype: Genotype, rng: random.Random) -> Genotype:
    """A child that differs from a valid genotype in one token, and is valid.

    Drawn in three steps, each uniformly: the kind (input, operation or combination,
    where there is something else to choose), one decision of this kind, and one of its
    other options. Source: Real et al., arXiv 1802.01548, section 3.2; the combination
    is ours.

    One block of two operations: a child has another input or another operation.

    >>> space = Space(1, ("identity", "sep3"), cells=("normal",))
    >>> parent = decode(space, [0, 0, 0, 0, 0])  # identity(0)+identity(0)
    >>> children = {one_change(space, parent, random.Random(i)) for i in range(99)}
    >>> sorted(encode(space, child) for child in children)
    [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    """
    arguments.instance("rng", rng, random.Random)
    tokens = encode(space, genotype)
    every = decisions(space)
    free = [i for i, decision in enumerate(every) if len(decision.options) > 1]
    kinds = {every[i].kind for i in free}
    kind = rng.choice(sorted(kinds))
    i = rng.choice([i for i in free if every[i].kind == kind])
    others = [token for token in range(len(every[i].options)) if token != tokens[i]]
    tokens[i] = rng.choice(others)
    return decode(space, tokens)


def _smallest(blocks: tuple, output: tuple, number: dict[int, int]) -> tuple:
    """The least (blocks, output) over all valid ways to number the remaining blocks.

    Blocks are compared in order, so the least block that is ready comes first. Where
    several are equal each is tried, because what reads them may differ; of those that
    may change places unnoticed, one is enough.
    """
    ready = []
    for state, block in enumerate(blocks, start=2):
        if state in number:
            continue
        left, right, _ = block
        if left.input in number and right.input in number:
            renumbered = _renumbered(block, number)
            ready.append((renumbered, state))
    if not ready:
        numbered = sorted(number[state] for state in output)
        return (), tuple(numbered)

    least, _ = min(ready)
    tried: list[int] = []
    candidates = []
    for block, state in ready:
        if block == least and not _twins(blocks, output, state, tried):
            tried.append(state)
            further = {**number, state: len(number)}
            rest, numbered = _smallest(blocks, output, further)
            candidate = (least, *rest)
            candidates.append((candidate, numbered))
    return min(candidates)


def _renumbered(block: Block, number: dict[int, int]) -> Block:
    """A block that reads states by their new numbers, its lesser pair first."""
    left, right, combination = block
    pairs = sorted(Pair(number[state], name) for state, name in (left, right))
    return Block(*pairs, combination)


def _twins(blocks: tuple, output: tuple, state: int, others: list[int]) -> bool:
    """True if a state may change places with one of the others: no reader notices."""
    for other in others:
        swap = {state: other, other: state}
        unnoticed = (state in output) == (other in output)
        for left, right, _ in blocks:
            swapped = [Pair(swap.get(i, i), name) for i, name in (left, right)]
            unnoticed = unnoticed and sorted(swapped) == sorted((left, right))
        if unnoticed:
            return True
    return False


def canonical(cell: Cell | Genotype) -> Cell | Genotype:
    """The one way to write a cell: the same for all that differ in order only.

    Two cells are the same if swapping the pairs of a block, or renumbering the blocks
    in another valid order, maps one to the other. Equal blocks stay two blocks; the
    output is a set. GenotypeError for anything else, such as a text.

    >>> print(canonical(cell_from_text("sep3(1)+max3(0)")))
    max3(0)+sep3(1) -> 2
    """
    if isinstance(cell, Genotype):
        normal = canonical(cell.normal)
        return Genotype(normal, canonical(cell.reduction))
    if not isinstance(cell, Cell):
        _insist_on_genotype("cell", cell)
    inputs = {0: 0, 1: 1}  # h_i and h_{i-1} keep their numbers
    blocks, output = _smallest(cell.blocks, cell.output, inputs)
    return Cell(blocks, output)


def same(a: Cell | Genotype, b: Cell | Genotype) -> bool:
    """True if both are the same cell, or genotype, in the sense of `canonical`."""
    for name, cell in (("a", a), ("b", b)):
        if not isinstance(cell, Cell):
            _insist_on_genotype(name, cell)
    return canonical(a) == canonical(b)


def raw_count(space: Space) -> int:
    """Token sequences for one cell, ((B + 1)!)^2 O^(2B) C^B: a cell in many ways.

    >>> raw_count(Space(1, ("identity", "sep3")))
    16
    """
    arguments.instance("space", space, Space)
    inputs = math.factorial(space.blocks + 1) ** 2
    operations = len(space.operations) ** 2  # of the two sides of a block
    labels = operations * len(space.combinations)
    return inputs * labels**space.blocks


def enumerate_cells(space: Space) -> list[Cell]:
    """Every distinct cell of a small space once, in canonical form, sorted."""
    if raw_count(space) > LARGEST:
        raise ValueError(
            f"{space.blocks} blocks, {len(space.operations)} operations:"
            f" {raw_count(space):,} raw cells; at most {LARGEST:,} are listed"
        )
    cells = {()}  # each as its blocks
    for k in range(space.blocks):
        pairs = [Pair(i, name) for i in range(k + 2) for name in space.operations]
        sides = itertools.combinations_with_replacement(pairs, 2)
        new = [Block(*two, c) for two in sides for c in space.combinations]
        # Any cell of k + 1 blocks is one of k blocks and a block that nothing reads.
        cells = {
            _smallest((*blocks, block), (), {0: 0, 1: 1})[0]
            for blocks in cells
            for block in new
        }
    return [Cell(blocks) for blocks in sorted(cells)]


def symmetries(wiring: Cell) -> list[tuple[int, ...]]:
    """Every renumbering of the blocks that maps the wiring to itself: state s to to[s].

    Operations do not matter here. The renumbering that moves nothing is always one.
    """
    arguments.instance("wiring", wiring, Cell)
    inputs = [(left.input, right.input) for left, right, _ in wiring.blocks]
    renumberings = [(0, 1)]
    for a, b in inputs:  # earlier states, so it is known where they go
        renumberings = [
            (*to, s)
            for to in renumberings
            for s, target in enumerate(inputs, start=2)
            if s not in to and sorted(target) == sorted((to[a], to[b]))
        ]
    return renumberings


def labellings(wiring: Cell, operations: int, combinations: int) -> int:
    """Ways to label a wiring that no symmetry of it makes equal (Burnside's lemma).

    Averages, over the symmetries, the labellings that each leaves as they are. The
    blocks of a cycle share one of C combinations. Their operations: O (O + 1) / 2 ways
    if both inputs are one state, as the pairs may swap; O ways if going round the cycle
    once swaps the inputs; else O^2.
    """
    group = symmetries(wiring)
    arguments.whole_number("operations", operations, least=1)
    arguments.whole_number("combinations", combinations, least=1)
    inputs = [(left.input, right.input) for left, right, _ in wiring.blocks]
    fixed = 0  # labellings that a symmetry leaves as they are, over all symmetries
    for to in group:
        product, seen = 1, set()
        for state in range(2, len(to)):
            if state in seen:
                continue
            first, second = inputs[state - 2]
            a = first
            while state not in seen:  # once round the cycle of a state, a goes along
                seen.add(state)
                a, state = to[a], to[state]
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
    arguments.instance("space", space, Space)
    wirings = enumerate_cells(Space(space.blocks, ("identity",)))
    sizes = len(space.operations), len(space.combinations)
    return sum(labellings(wiring, *sizes) for wiring in wirings)


def count_genotypes(space: Space) -> int:
    """The exact number of distinct genotypes: the square of `count` for two cells."""
    return count(space) ** len(space.cells)
