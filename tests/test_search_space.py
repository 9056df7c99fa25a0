"""Expected values come from hands, papers, authors' specifications and timm."""

import itertools
import math
import random
from collections import Counter

import pytest
import torch

from lib.nas import search_space
from lib.nas.search_space import (
    FULL,
    SMALL,
    Block,
    Cell,
    Genotype,
    GenotypeError,
    Space,
)

KINDS = ("identity", "max3", "sep3", "avg3", "sep5", "conv1", "conv3", "dil3")


def space(blocks, operations=1, combinations=1, cells=("normal", "reduction")):
    names = ("add", "concat")[:combinations]
    return Space(blocks, KINDS[:operations], names, cells)


def raw_cells(space):
    """Every cell of a space in every way to write it."""
    choices = [
        [
            Block((a, f), (b, g), c)
            for a, b in itertools.product(range(k + 2), repeat=2)
            for f, g in itertools.product(space.operations, repeat=2)
            for c in space.combinations
        ]
        for k in range(space.blocks)
    ]
    return [Cell(blocks) for blocks in itertools.product(*choices)]


def relabelled(cell, order):
    """The cell with block k renamed order[k]; blocks may then stand in any order."""
    to = (0, 1, *(k + 2 for k in order))
    blocks = [None] * len(order)
    for k, (left, right, combination) in enumerate(cell.blocks):
        pairs = sorted((to[state], operation) for state, operation in (left, right))
        blocks[order[k]] = (*pairs, combination)
    return tuple(blocks), tuple(sorted(to[state] for state in cell.output))


def key(cell):
    """Equal for two cells exactly if some renaming of all B! maps one to the other."""
    orders = itertools.permutations(range(len(cell.blocks)))
    return min(relabelled(cell, order) for order in orders)


def shuffled(cell, rng):
    """The same cell, written in another valid order, its pairs swapped at random."""
    number, blocks = {0: 0, 1: 1}, []
    while len(blocks) < len(cell.blocks):
        s = rng.randrange(2, len(cell.blocks) + 2)
        left, right, combination = cell.blocks[s - 2]
        if s in number or not {left.input, right.input} <= set(number):
            continue
        pairs = [(number[i], operation) for i, operation in (left, right)]
        rng.shuffle(pairs)
        blocks.append((*pairs, combination))
        number[s] = len(number)
    return Cell(tuple(blocks), tuple(number[s] for s in cell.output))


# ------------------------------------------------------------------- cells as values


@pytest.mark.equation("4.1")
def test_a_block_by_hand():
    # h_0 = (0, 1, 0) and h_1 = (1, 5, 2) in a row: identity keeps the first, the pool
    # makes the second (5, 5, 5), the sum is (5, 6, 5). Block 1 pools that: (6, 6, 6).
    cell = search_space.cell_from_text("identity(0)+max3(1) | max3(2)+identity(2)")
    do = {"identity": lambda h: h, "max3": lambda h: torch.max_pool1d(h, 3, 1, 1)}
    h = [torch.tensor([[0.0, 1, 0]]), torch.tensor([[1.0, 5, 2]])]
    for left, right, _ in cell.blocks:
        h.append(
            do[left.operation](h[left.input]) + do[right.operation](h[right.input])
        )
    assert h[2].tolist() == [[5, 6, 5]]
    assert h[3].tolist() == [[11, 12, 11]]
    assert cell.output == (3,)


def test_output_is_what_no_block_reads():
    cell = search_space.cell_from_text(
        "sep3(0)+sep3(0) | sep3(0)+sep3(2) | max3(0)+max3(0)"
    )
    assert cell.output == (3, 4)  # state 1 is not read either, but no block wrote it


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda: Cell(()), "at least one block"),
        (lambda: Cell((((0, "sep3"),),)), "block 0: .* is not"),
        (
            lambda: Cell((((0, "sep3"), (2, "sep3"), "add"),)),
            "block 0, right input.*0 to 1",
        ),
        (lambda: Cell((((0, "sep3"), (-1, "sep3"), "add"),)), "block 0, right input"),
        (lambda: Cell((((0, "sep3"), (True, "sep3"), "add"),)), "block 0, right input"),
        (
            lambda: Cell((((0, "sep4"), (1, "sep3"), "add"),)),
            "block 0, left.*'sep4'.*sep3",
        ),
        (
            lambda: Cell((((0, "sep3"), (1, "sep3"), "mul"),)),
            "block 0, comb.*'mul'.*'add'",
        ),
        (
            lambda: Cell((((0, "sep3"), (1, "sep3"), "add"),), (3,)),
            "output: 3 .* 0 to 2",
        ),
        (
            lambda: Cell((((0, "sep3"), (1, "sep3"), "add"),), (1,)),
            "nothing reads state 2",
        ),
        (lambda: Cell((((0, "sep3"), (1, "sep3"), "add"),), (2, 2)), "twice"),
        (lambda: search_space.from_text("sep3(0)+sep3"), "block 0: 'sep3.*of the form"),
        (lambda: search_space.from_text("sep3(0)+sep3(1) -> x"), "output: 'x'"),
        (lambda: search_space.from_text("normal: sep3(0)+sep3(1)"), "reduction: "),
        (
            lambda: search_space.from_text(
                "normal: sep3(0)+sep3(1) reduction: sep3(0)+sep3(1) | sep3(4)+sep3(1)"
            ),
            "reduction cell, block 1, left input.*state 4.*0 to 2",
        ),
    ],
)
def test_malformed_is_refused_with_its_position(cell, message):
    with pytest.raises(GenotypeError, match=message):
        cell()


def test_text_by_hand_and_back():
    text = "sep5(0)+sep3(1) | avg3(2)&max3(0) -> 1 3"
    genotype = search_space.from_text(text)
    assert genotype.normal == genotype.reduction
    assert genotype.normal.blocks[1] == ((2, "avg3"), (0, "max3"), "concat")
    assert genotype.normal.output == (1, 3)
    assert str(genotype) == text
    rng = random.Random(0)
    for _ in range(200):
        drawn = search_space.sample(FULL, rng)
        assert search_space.from_text(str(drawn)) == drawn


def test_a_genotype_is_a_key():
    again = search_space.from_text(str(search_space.NASNET_A))
    assert {search_space.NASNET_A: 1}[again] == 1
    with pytest.raises(AttributeError):
        again.normal = again.reduction


def test_graph_by_hand():
    cell = search_space.cell_from_text("sep3(0)+max3(0) | avg3(2)&avg3(2) -> 0 3")
    nodes, edges = search_space.graph(cell)
    assert list(nodes) == ["0", "1", "2", "3", "output"]
    assert (nodes["2"], nodes["3"]) == ("+ 2", "& 3")
    assert edges == [
        *(("0", "2", "sep3"), ("0", "2", "max3")),
        *(("2", "3", "avg3"), ("2", "3", "avg3")),
        *(("0", "output"), ("3", "output")),
    ]


# ----------------------------------------------------------------------------- tokens


def test_tokens_by_hand():
    genotype = search_space.from_text("identity(0)+sep3(1) | max3(2)+max3(0)")
    # inputs, operations (identity, max3, sep3 = 0, 1, 2), combination; block by block
    tokens = [0, 1, 0, 2, 0, 2, 0, 1, 1, 0]
    assert search_space.encode(SMALL, genotype) == tokens
    assert search_space.decode(SMALL, tokens) == genotype


@pytest.mark.equation("4.2")
def test_a_full_genotype_takes_50_tokens():
    # The paper: 2 x 5B decisions, B = 5.
    decisions = search_space.decisions(FULL)
    assert len(decisions) == 50
    sizes = [len(d.options) for d in decisions]
    assert sizes[:10] == [2, 2, 13, 13, 2, 3, 3, 13, 13, 2]
    assert sizes[25:] == sizes[:25]


@pytest.mark.parametrize("of", [FULL, SMALL, space(3, 2, 2)])
def test_decode_undoes_encode(of):
    rng = random.Random(1)
    for _ in range(1000):
        genotype = search_space.sample(of, rng)
        tokens = search_space.encode(of, genotype)
        assert search_space.decode(of, tokens) == genotype


def test_sample_reaches_every_cell_of_a_small_space():
    rng, of = random.Random(2), space(1, 3, cells=("normal",))
    drawn = {search_space.sample(of, rng).normal for _ in range(1000)}
    assert drawn == set(raw_cells(of))  # 2^2 * 3^2 = 36


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([0] * 9, "9 tokens; this space takes 10"),
        (
            [2] + [0] * 9,
            r"token 0 \(normal cell, block 0, left input\) is 2; it is 0 to 1",
        ),
        (
            [0] * 5 + [0, 3, 0, 0, 0],
            r"token 6 .*block 1, right input\) is 3; it is 0 to 2",
        ),
        (
            [0] * 7 + [3, 0, 0],
            r"token 7 .*block 1, left operation\) is 3; it is 0 to 2",
        ),
        ([0] * 9 + [1], r"token 9 .*combination\) is 1; it is 0 to 0"),
        ([-1] + [0] * 9, "token 0 .* is -1"),
    ],
)
def test_wrong_tokens_are_refused(tokens, message):
    with pytest.raises(GenotypeError, match=message):
        search_space.decode(SMALL, tokens)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sep3(0)+sep3(1)", "normal cell: 1 blocks; this space has 2"),
        (
            "sep3(0)+sep3(1) | sep5(0)+sep3(1)",
            "block 1, left operation: 'sep5'.*identity",
        ),
        ("sep3(0)+sep3(1) | sep3(0)&sep3(1)", "block 1, combination: 'concat'"),
        ("sep3(0)+sep3(1) | sep3(2)+sep3(1) -> 2 3", r"output: \(2, 3\).*\(3,\)"),
        (
            "normal: sep3(0)+sep3(1) | sep3(2)+sep3(1)"
            " reduction: sep3(0)+sep3(1) | sep3(2)+sep3(0)",
            "reduction cell",
        ),
    ],
)
def test_validate_says_what_the_space_lacks(text, message):
    with pytest.raises(GenotypeError, match=message):
        search_space.validate(SMALL, search_space.from_text(text))


def test_a_space_of_unknown_names_is_refused():
    with pytest.raises(ValueError, match="operations"):
        Space(2, ("sep3", "sep4"))
    with pytest.raises(ValueError, match="combinations"):
        Space(2, ("sep3",), ("add", "add"))
    with pytest.raises(ValueError, match="blocks"):
        Space(0, ("sep3",))
    with pytest.raises(ValueError, match="cells"):
        Space(1, ("sep3",), cells=("reduction",))


# --------------------------------------------------------------------------- mutation


@pytest.mark.parametrize("of", [FULL, SMALL, space(1, 1), space(2, 3, 2)])
def test_a_mutation_changes_one_token(of):
    rng = random.Random(3)
    genotype = search_space.sample(of, rng)
    for _ in range(300):
        mutant = search_space.mutate(of, genotype, rng, identity=0.0)
        pairs = zip(
            search_space.encode(of, genotype),
            search_space.encode(of, mutant),
            strict=True,
        )
        assert sum(a != b for a, b in pairs) == 1
        genotype = mutant


def test_mutations_have_the_published_rates():
    # 5 % identity; hidden states and operations equally likely otherwise. 4,000 draws:
    # the standard errors are 0.0034 and 0.0079, the margins are over 4 of them.
    of = Space(5, search_space.NASNET_OPERATIONS)
    rng = random.Random(4)
    parent = search_space.sample(of, rng)
    before, what = search_space.encode(of, parent), Counter()
    for _ in range(4000):
        after = search_space.encode(of, search_space.mutate(of, parent, rng))
        changed = [i for i in range(50) if before[i] != after[i]]
        what[
            "none" if not changed else "input" if changed[0] % 5 < 2 else "operation"
        ] += 1
    assert abs(what["none"] / 4000 - 0.05) < 0.015
    assert abs(what["input"] / 4000 - 0.475) < 0.035
    assert abs(what["operation"] / 4000 - 0.475) < 0.035


# -------------------------------------------------------------------------- same cell


def test_same_cell_by_hand():
    cell = search_space.cell_from_text
    assert search_space.same(cell("sep3(0)+max3(1)"), cell("max3(1)+sep3(0)"))
    assert not search_space.same(cell("sep3(0)+max3(1)"), cell("sep3(1)+max3(0)"))
    assert not search_space.same(cell("sep3(0)+max3(1)"), cell("sep3(0)&max3(1)"))
    # two blocks that do not read each other, in either order
    a = cell("sep3(0)+sep3(0) | max3(1)+max3(1) | avg3(2)+conv1(3)")
    b = cell("max3(1)+max3(1) | sep3(0)+sep3(0) | conv1(2)+avg3(3)")
    assert search_space.same(a, b)
    # the roles of the two blocks exchanged: another cell
    c = cell("max3(1)+max3(1) | sep3(0)+sep3(0) | avg3(2)+conv1(3)")
    assert not search_space.same(a, c)
    # equal blocks stay two blocks: reading one twice is not reading both once
    d = cell("sep3(0)+sep3(1) | sep3(0)+sep3(1) | avg3(2)+avg3(2)")
    e = cell("sep3(0)+sep3(1) | sep3(0)+sep3(1) | avg3(2)+avg3(3)")
    assert not search_space.same(d, e)
    # an explicit output belongs to the cell
    f, g = "sep3(0)+sep3(1) -> 2", "sep3(0)+sep3(1) -> 1 2"
    assert not search_space.same(cell(f), cell(g))


def test_canonical_does_not_see_the_order():
    rng = random.Random(5)
    few = Space(5, ("identity", "sep3"))  # few labels, so that ties are common
    for of in (FULL, few):
        for _ in range(300):
            cell = search_space.sample(of, rng).normal
            form = search_space.canonical(cell)
            assert search_space.canonical(form) == form
            assert search_space.canonical(shuffled(cell, rng)) == form
            assert key(form) == key(cell)


def test_canonical_of_cells_with_twins_and_explicit_output():
    rng = random.Random(6)
    twins = "sep3(0)+sep3(1) | sep3(0)+sep3(1)"
    text = f"{twins} | max3(2)+sep3(3) | avg3(3)+avg3(3) -> 0 3 4 5"
    cell = search_space.cell_from_text(text)
    forms = {search_space.canonical(shuffled(cell, rng)) for _ in range(100)}
    assert len(forms) == 1
    released = search_space.NASNET_A
    assert search_space.canonical(released).normal.output == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    "of", [space(1, 4, 2), space(2, 2, 2), space(3, 1, 2), space(4)]
)
def test_canonical_separates_exactly_what_every_renaming_separates(of):
    cells = raw_cells(of)
    forms = {search_space.canonical(cell) for cell in cells}
    assert len(forms) == len({key(form) for form in forms})
    some = random.Random(7).sample(cells, min(len(cells), 3000))
    assert all(key(search_space.canonical(cell)) == key(cell) for cell in some)
    listed = search_space.enumerate_cells(of)
    assert listed == sorted(forms, key=lambda cell: cell.blocks)
    assert search_space.count(of) == len(forms)


# ----------------------------------------------------------------------------- counts


@pytest.mark.equation("4.3")
def test_raw_count_by_hand_and_as_published():
    assert search_space.raw_count(space(1, 2)) == 16  # 2 * 2 inputs, 2 * 2 operations
    assert search_space.raw_count(space(2, 3, 2)) == len(raw_cells(space(2, 3, 2)))
    # PNAS, section 3.1: 2^2 8^2 * 3^2 8^2 * ... * 6^2 8^2 = 5.6e14
    assert f"{search_space.raw_count(space(5, 8)):.1e}" == "5.6e+14"
    # FULL by its decisions, one cell of two
    sizes = [len(d.options) for d in search_space.decisions(FULL)]
    assert search_space.raw_count(FULL) == math.prod(sizes[:25])


@pytest.mark.equation("4.4")
def test_count_of_one_block_by_hand():
    # 2 O pairs, two of them unordered: 2 O (2 O + 1) / 2 = O (2 O + 1), times C
    for operations, combinations in itertools.product((1, 2, 3, 8), (1, 2)):
        by_hand = combinations * operations * (2 * operations + 1)
        assert search_space.count(space(1, operations, combinations)) == by_hand
    assert search_space.count(space(1, 8)) == 136  # PNAS, section 3.1: 136 unique cells


def test_count_of_two_blocks_by_hand():
    # n = C O (2 O + 1) first blocks. If the second does not read it: two unordered,
    # n (n + 1) / 2. If it does: its pairs come from 3 O, less those from 2 O.
    for operations, combinations in itertools.product((1, 2, 3, 4), (1, 2)):
        first = operations * (2 * operations + 1)
        reading = 3 * operations * (3 * operations + 1) // 2 - first
        n = combinations * first
        by_hand = n * (n + 1) // 2 + n * combinations * reading
        assert search_space.count(space(2, operations, combinations)) == by_hand


@pytest.mark.equation("4.6")
def test_a_cell_is_drawn_as_often_as_it_can_be_written():
    # 16 sequences of one block: no swap changes identity(0)+identity(0), one does
    # identity(0)+max3(0). Two blocks: two swaps and two orders make eight at most.
    def ways(of):
        options = [range(len(d.options)) for d in search_space.decisions(of)]
        every = (search_space.decode(of, t) for t in itertools.product(*options))
        return Counter(search_space.canonical(genotype.normal) for genotype in every)

    cell = search_space.cell_from_text
    one = ways(space(1, 2, cells=("normal",)))
    assert one[cell("identity(0)+identity(0)")] == 1
    assert one[cell("identity(0)+max3(0)")] == 2
    assert sum(one.values()) == 16
    small = ways(SMALL)
    assert sum(small.values()) == 2916
    assert small[cell("identity(0)+identity(0) | sep3(2)+sep3(2)")] == 1
    assert small[cell("identity(0)+sep3(0) | identity(0)+sep3(1)")] == max(
        small.values()
    )
    assert max(small.values()) == 8
    # 15 blocks on the inputs have two different pairs; two different ones of them
    assert Counter(small.values())[8] == math.comb(15, 2)
    # Counted in draws: 2,000 of 16 sequences, 3 standard errors of the share are 0.016
    rng, of = random.Random(8), space(1, 2, cells=("normal",))
    drawn = [search_space.sample(of, rng).normal for _ in range(2000)]
    share = Counter(map(search_space.canonical, drawn))
    assert abs(share[cell("identity(0)+identity(0)")] / 2000 - 1 / 16) < 0.025
    assert abs(share[cell("identity(0)+max3(0)")] / 2000 - 2 / 16) < 0.025


def test_small_has_735_cells():
    # O = 3, C = 1: 21 first blocks, 21 * 22 / 2 = 231; 45 - 21 = 24, 21 * 24 = 504
    assert search_space.count(SMALL) == 231 + 504
    assert len(search_space.enumerate_cells(SMALL)) == 735
    assert search_space.count_genotypes(SMALL) == 735


def test_count_agrees_with_listing():
    for of in (space(2, 4, 2), space(3, 2)):
        assert search_space.count(of) == len(search_space.enumerate_cells(of))


def labelled_wirings(blocks):
    """Acyclic wirings of named blocks, by inclusion and exclusion over unread blocks.

    If k of n blocks are read by none, each of the k reads two of n - k + 2 states.
    """
    total = [1]
    for n in range(1, blocks + 1):
        total.append(
            sum(
                (-1) ** (k + 1)
                * math.comb(n, k)
                * (n - k + 2) ** (2 * k)
                * total[n - k]
                for k in range(1, n + 1)
            )
        )
    return total[blocks]


@pytest.fixture(scope="module")
def wirings():
    return {n: search_space.enumerate_cells(space(n)) for n in (2, 3, 4, 5)}


def test_the_wirings_of_five_blocks_are_complete(wirings):
    # By hand: one block 2 * 2; two 4 * 4, or one reads the other: 2 * 4 * (9 - 4).
    assert [labelled_wirings(n) for n in (1, 2)] == [4, 56]
    for blocks in wirings:
        total = 0
        for wiring in wirings[blocks]:
            inputs = [{b.left.input, b.right.input} for b in wiring.blocks]
            symmetries = 0
            for order in itertools.permutations(range(2, blocks + 2)):
                to = (0, 1, *order)
                symmetries += all(
                    {to[s] for s in read} == inputs[to[k] - 2]
                    for k, read in enumerate(inputs, start=2)
                )
            swaps = 2 ** sum(len(read) == 2 for read in inputs)
            total += swaps * math.factorial(blocks) // symmetries
        assert total == labelled_wirings(blocks)


@pytest.mark.equation("4.5")
def test_symmetric_wirings_by_hand():
    def labellings(text, operations, combinations=1):
        wiring = search_space.cell_from_text(text)
        return search_space.labellings(wiring, operations, combinations)

    def multisets(kinds, size):
        return math.comb(kinds + size - 1, size)

    five = " | ".join(["sep3(0)+sep3(1)"] * 5)
    assert (
        labellings(five, 2) == multisets(4, 5) == 56
    )  # four labels a block, unordered
    assert labellings(five, 2, 2) == multisets(8, 5)
    five = " | ".join(["sep3(0)+sep3(0)"] * 5)
    assert labellings(five, 2) == multisets(3, 5) == 21  # its pairs are unordered too
    # Twins and a block that reads both: exchanging the twins swaps its operations.
    # All 4 * 4 * 4 labellings; fixed are equal twins, 4, and equal operations, 2.
    twins = "sep3(0)+sep3(1) | sep3(0)+sep3(1) | sep3(2)+sep3(3)"
    assert labellings(twins, 2) == (64 + 8) // 2
    # A chain has no symmetry but the swap of a pair on one state.
    assert labellings("sep3(0)+sep3(1) | sep3(2)+sep3(2)", 3) == 9 * 6


def test_the_full_space(wirings):
    # PNAS, section 3.1: 8 operations, add only, about 1e12 distinct cells.
    pnas = sum(search_space.labellings(wiring, 8, 1) for wiring in wirings[5])
    assert round(math.log10(pnas)) == 12
    total = search_space.count(FULL)
    # Swaps and renumberings make at most 2^5 5! raw cells of one, and 2^5 of most.
    raw = search_space.raw_count(FULL)
    assert raw / (32 * 120) < total < raw / 16
    assert search_space.count_genotypes(space(2, 3, 2)) == 2919**2  # by hand, above


def test_a_space_too_large_to_list_says_so():
    with pytest.raises(ValueError, match="5 blocks, 13 operations.*at most 10,000,000"):
        search_space.enumerate_cells(FULL)


# -------------------------------------------------------------------- published cells


def test_nasnet_a_by_the_released_table():
    # (operation, state) left and right, block by block, as in the authors' release.
    normal = [
        *(("sep5", 0, "sep3", 1), ("sep5", 1, "sep3", 1), ("avg3", 0, "identity", 1)),
        *(("avg3", 1, "avg3", 1), ("sep3", 0, "identity", 0)),
    ]
    reduction = [
        *(("sep5", 0, "sep7", 1), ("max3", 0, "sep7", 1), ("avg3", 0, "sep5", 1)),
        *(("identity", 3, "avg3", 2), ("sep3", 2, "max3", 0)),
    ]
    cells = search_space.NASNET_A.normal, search_space.NASNET_A.reduction
    for cell, rows in zip(cells, (normal, reduction), strict=True):
        assert cell.blocks == tuple(((a, f), (b, g), "add") for f, a, g, b in rows)
    assert cells[0].output == (1, 2, 3, 4, 5, 6)
    assert cells[1].output == (3, 4, 5, 6)
    with pytest.raises(GenotypeError, match=r"normal cell, output.*\(2, 3, 4, 5, 6\)"):
        search_space.validate(FULL, search_space.NASNET_A)


class Traced:
    """Stands for a tensor while a cell of timm runs: a state and its operation."""

    def __init__(self, blocks, state, operation="identity"):
        self.blocks, self.pair = blocks, (state, operation)

    def __add__(self, other):
        self.blocks.append((self.pair, other.pair, "add"))
        return Traced(self.blocks, len(self.blocks) + 1)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        assert function is torch.cat
        states = tuple(value.pair[0] for value in args[0])
        return Cell(tuple(args[0][0].blocks), states)


class Recorder(torch.nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, value):
        return Traced(value.blocks, value.pair[0], self.operation)


def operation_of(module):
    kind = type(module).__name__
    if kind == "BranchSeparables":
        return f"sep{module.separable_1.depthwise_conv2d.kernel_size[0]}"
    if "Pool" in kind:
        size = module.kernel_size
        size = size if isinstance(size, int) else size[0]
        return f"{'max' if 'Max' in kind else 'avg'}{size}"
    assert (
        kind == "ActConvBn"
    )  # a 1x1 convolution: calibration, or identity at stride 2
    return "identity"


def traced(cell, current_first):
    for name, module in list(cell.named_children()):
        setattr(cell, name, Recorder(operation_of(module)))
    blocks = []
    states = [Traced(blocks, 0), Traced(blocks, 1)]
    return cell(*states) if current_first else cell(*reversed(states))


def test_nasnet_a_and_pnasnet_5_as_in_timm():
    from timm.models import nasnet, pnasnet

    normal = traced(nasnet.NormalCell(6, 6, 6, 6), True)
    reduction = traced(nasnet.ReductionCell0(6, 6, 6, 6), True)
    assert search_space.same(Genotype(normal, reduction), search_space.NASNET_A)
    normal = traced(pnasnet.Cell(6, 6, 6, 6), False)
    reduction = traced(pnasnet.Cell(6, 6, 6, 6, is_reduction=True), False)
    assert search_space.same(Genotype(normal, reduction), search_space.PNASNET_5)


def test_the_weights_that_exercise_cell_weights_asks_for_as_in_timm():
    from timm.models import nasnet

    from lib.exercises.search_space import cell_weights

    for filters in (6, 44):
        cell = nasnet.NormalCell(*[filters] * 4)
        inside = [
            m for name, m in cell.named_children() if name.startswith("comb_iter")
        ]
        weights = sum(p.numel() for m in inside for p in m.parameters())
        blocks = search_space.NASNET_A.normal.blocks
        plain = tuple((left, right) for left, right, _ in blocks)
        assert cell_weights(plain, filters) == weights


def test_enas_by_its_published_string():
    arc = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 "  # the normal cell
    arc += "1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
    names = ("sep3", "sep5", "avg3", "max3", "identity")
    numbers = list(map(int, arc.split()))
    pairs = [
        ((1, 0, 2, 3, 4, 5)[numbers[i]], names[numbers[i + 1]]) for i in range(0, 40, 2)
    ]
    blocks = [Block(*pairs[i : i + 2]) for i in range(0, 20, 2)]
    enas = Genotype(Cell(tuple(blocks[:5])), Cell(tuple(blocks[5:])))
    assert enas == search_space.ENAS


def test_amoebanet_a_by_its_released_lists():
    def cell(operations, states, used):
        pairs = list(zip(states, operations.split(), strict=True))
        blocks = tuple(Block(*pairs[i : i + 2]) for i in range(0, 10, 2))
        return Cell(blocks, tuple(s for s, flag in enumerate(used) if not flag))

    normal = cell(
        "avg3 max3 sep3 identity identity avg3 sep3 sep5 avg3 sep3",
        [0, 0, 1, 1, 0, 1, 0, 2, 5, 0],
        [1, 0, 1, 0, 0, 1, 0],
    )
    reduction = cell(
        "sep3 avg3 max3 sep7 max3 max3 sep3 conv1x7 avg3 sep7",
        [1, 0, 0, 2, 1, 0, 4, 0, 1, 0],
        [1, 1, 0, 0, 0, 0, 0],
    )
    assert Genotype(normal, reduction) == search_space.AMOEBANET_A


def test_darts_by_its_published_lists():
    def cell(operations, states):
        pairs = [
            ((1, 0, 2)[s], o) for o, s in zip(operations.split(), states, strict=True)
        ]
        blocks = tuple(Block(*pairs[i : i + 2]) for i in range(0, 8, 2))
        return Cell(blocks, (2, 3, 4, 5))

    assert search_space.DARTS_V1 == Genotype(
        cell(
            "sep3 sep3 identity sep3 identity sep3 sep3 identity",
            [1, 0, 0, 1, 0, 1, 0, 2],
        ),
        cell(
            "max3 max3 identity max3 max3 identity identity avg3",
            [0, 1, 2, 0, 0, 2, 2, 0],
        ),
    )
    assert search_space.DARTS_V2 == Genotype(
        cell(
            "sep3 sep3 sep3 sep3 sep3 identity identity dilsep3",
            [0, 1, 0, 1, 1, 0, 0, 2],
        ),
        cell(
            "max3 max3 identity max3 max3 identity identity max3",
            [0, 1, 2, 1, 0, 2, 2, 1],
        ),
    )
