"""Exercises and quiz of chapter 04: which cells there are."""

import math
import random

from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.nas import controller, search, search_space
from lib.nas.search_space import FULL, SMALL, Space

# --- 04.1 build, core


def genotypes_told():
    """Genotypes of both spaces, drawn and changed; and a controller's search."""
    chance = random.Random(0)
    told = []
    for space in (SMALL, FULL):
        for _ in range(20):
            drawn = search_space.sample(space, chance)
            told += [drawn, search_space.one_change(space, drawn, chance)]
    history = controller.search(
        SMALL, lambda genotype: str(genotype).count("sep3") / 4, 40, 0
    )
    told += [trial.genotype for trial in history.trials]
    return [str(genotype) for genotype in told]


def blocks_from_tokens_2(tokens, operations, combinations):
    """Another right way: one decision after the other, as a controller says them."""
    blocks, said = [], iter(tokens)
    while len(blocks) < len(tokens) // 5:
        inputs = [next(said), next(said)]
        names = [operations[next(said)] for _ in inputs]
        sign = combinations[next(said)]
        blocks.append((*zip(inputs, names, strict=True), sign))
    return blocks


def _read(tokens, operations, combinations, block):
    """What `block(a, b, f, g, c)` makes of every five tokens, f to c in words."""
    fives = [tokens[i : i + 5] for i in range(0, len(tokens), 5)]
    return [
        block(a, b, operations[f], operations[g], combinations[c])
        for a, b, f, g, c in fives
    ]


def token_pairs_together(tokens, operations, combinations):
    blocks = []
    for i in range(0, len(tokens), 5):
        a, f, b, g, c = tokens[i : i + 5]
        left, right = (a, operations[f]), (b, operations[g])
        blocks.append((left, right, combinations[c]))
    return blocks


def token_operations_first(tokens, operations, combinations):
    blocks = []
    for i in range(0, len(tokens), 5):
        f, g, a, b, c = tokens[i : i + 5]
        left, right = (a, operations[f]), (b, operations[g])
        blocks.append((left, right, combinations[c]))
    return blocks


def token_combination_first(tokens, operations, combinations):
    blocks = []
    for i in range(0, len(tokens), 5):
        c, a, b, f, g = tokens[i : i + 5]
        left, right = (a, operations[f]), (b, operations[g])
        blocks.append((left, right, combinations[c]))
    return blocks


def token_four_a_block(tokens, operations, combinations):
    blocks = []
    for i in range(0, len(tokens) - 3, 4):
        a, b, f, g = tokens[i : i + 4]
        blocks.append(((a, operations[f]), (b, operations[g]), combinations[0]))
    return blocks


def token_column_by_column(tokens, operations, combinations):
    n = len(tokens) // 5
    turned = [tokens[k + n * i] for k in range(n) for i in range(5)]
    return blocks_from_tokens_2(turned, operations, combinations)


def token_operations_exchanged(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, g), (b, f), c))


def token_sides_exchanged(*said):
    return _read(*said, lambda a, b, f, g, c: ((b, g), (a, f), c))


def token_one_operation(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, f), (b, f), c))


def token_one_input(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, f), (a, g), c))


def token_name_first(*said):
    return _read(*said, lambda a, b, f, g, c: ((f, a), (g, b), c))


def token_without_combination(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, f), (b, g)))


def token_combination_between(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, f), c, (b, g)))


def token_five_in_a_row(*said):
    return _read(*said, lambda a, b, f, g, c: (a, b, f, g, c))


def token_by_kind(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, b), (f, g), c))


def token_inputs_from_one(*said):
    return _read(*said, lambda a, b, f, g, c: ((a + 1, f), (b + 1, g), c))


def token_inputs_are_blocks(*said):
    return _read(*said, lambda a, b, f, g, c: ((a + 2, f), (b + 2, g), c))


def token_added_always(*said):
    return _read(*said, lambda a, b, f, g, c: ((a, f), (b, g), "add"))


def token_first_combination(tokens, operations, combinations):
    blocks = blocks_from_tokens_2(tokens, operations, combinations)
    return [(left, right, combinations[0]) for left, right, _ in blocks]


def token_combination_as_it_is(tokens, operations, combinations):
    return _read(
        tokens, operations, range(9), lambda a, b, f, g, c: ((a, f), (b, g), c)
    )


def token_operation_as_it_is(tokens, operations, combinations):
    return _read(
        tokens, range(99), combinations, lambda a, b, f, g, c: ((a, f), (b, g), c)
    )


def token_all_as_they_are(tokens, operations, combinations):
    return _read(tokens, range(99), range(9), lambda a, b, f, g, c: ((a, f), (b, g), c))


def token_operations_sorted(tokens, operations, combinations):
    return blocks_from_tokens_2(tokens, sorted(operations), combinations)


def token_operations_from_one(tokens, operations, combinations):
    return blocks_from_tokens_2(
        tokens, [operations[i - 1] for i in range(len(operations))], combinations
    )


def token_of_the_course(tokens, operations, combinations):
    """Names from a list of one's own, not from the one that is given."""
    names = [*FULL.operations, *FULL.operations]
    return blocks_from_tokens_2(tokens, names, combinations)


def token_first_block(*said):
    return blocks_from_tokens_2(*said)[:1]


def token_one_block(*said):
    return blocks_from_tokens_2(*said)[0]


def token_last_block_lost(*said):
    return blocks_from_tokens_2(*said)[:-1]


def token_blocks_turned_round(*said):
    return blocks_from_tokens_2(*said)[::-1]


def token_in_one_row(*said):
    return [part for block in blocks_from_tokens_2(*said) for part in block]


def token_text(*said):
    return " | ".join(
        f"{f}({a}){search_space.SIGNS[c]}{g}({b})"
        for (a, f), (b, g), c in blocks_from_tokens_2(*said)
    )


def token_cases(rng, size):
    """Names in any order, from one operation on; up to seven blocks."""
    names = rng.sample(FULL.operations, rng.choice((1, 2, 3, 8, 13)))
    signs = rng.sample(("add", "concat"), rng.choice((1, 2)))
    space = Space(rng.randint(1, 1 + size), tuple(names), tuple(signs), ("normal",))
    tokens = [
        rng.randrange(len(decision.options))
        for decision in search_space.decisions(space)
    ]
    return tokens, names, signs


def there_and_back(mine, tokens, operations, combinations):
    """The cell of these blocks has the tokens from which they were made."""
    names, signs = tuple(operations), tuple(combinations)
    space = Space(len(tokens) // 5, names, signs, ("normal",))
    cell = search_space.Cell(mine(tokens, operations, combinations))
    return search_space.encode(space, search_space.Genotype(cell, cell)) == tokens


# --- 04.3 predict


def one_block() -> int:
    """Distinct cells of one block with the paper's operations and combinations."""
    return search_space.count(Space(1, FULL.operations, FULL.combinations))


def one_block_raw() -> int:
    return search_space.raw_count(Space(1, FULL.operations, FULL.combinations))


def one_block_halved() -> int:
    return one_block_raw() // 2


def one_block_added() -> int:
    return search_space.count(Space(1, FULL.operations))


# --- 04.2 build, core

RUNS = 150  # an answer is not followed along more ways than that
RARE = 1e-4  # nor along ways that are less probable
DRAWS = 200  # what is asked of an answer that has more ways


class Told(random.Random):
    """Chance that is told what to draw, and notes among how many it was."""

    def __init__(self, told: tuple[int, ...]):
        super().__init__(0)
        self.told, self.among = told, []

    def _randbelow(self, n):
        place = len(self.among)
        self.among.append(n)
        # Never the same for long: who draws until it is another one must come out.
        return self.told[place] if place < len(self.told) else place % n

    def random(self):
        return (self._randbelow(24) + 0.5) / 24

    def choices(self, population, weights=None, *, cum_weights=None, k=1):
        if weights or cum_weights:
            return super().choices(population, weights, cum_weights=cum_weights, k=k)
        return [self.choice(population) for _ in range(k)]


def children(mine, space, tokens):
    """Every child that an answer can make of a genotype, and its probability.

    The answer runs once for each way in which its draws can come out: as often as `rng`
    is asked, among as many as it is asked for. Probabilities are exact then. Where that
    would take too long it runs a few hundred times instead, by chance.
    """
    parent = search_space.decode(space, tokens)
    found, ways = {}, [()]
    for _ in range(RUNS):
        if not ways:
            break
        told = ways.pop()
        rng = Told(told)
        child = mine(space, parent, rng)
        if not isinstance(child, search_space.Genotype):
            return {"the child is of type": type(child).__name__}
        chance = 1 / math.prod(rng.among)
        key = tuple(search_space.encode(space, child))
        changed = sum(x != y for x, y in zip(key, tokens, strict=True))
        if changed > 1:
            return {"tokens changed": changed}
        if changed and not rng.among:
            return {"numbers asked of rng": 0}
        found[key] = found.get(key, 0) + chance
        drawn = [*told, *(n for n in range(len(told), len(rng.among)))]
        for place in range(len(told), len(rng.among)):
            n = rng.among[place]
            drawn[place] %= n
            if 1 / math.prod(rng.among[: place + 1]) >= RARE:
                others = [draw for draw in range(n) if draw != drawn[place]]
                ways += [(*drawn[:place], draw) for draw in others]
    if ways:
        found = _seen_by_chance(mine, space, parent)
    keys = sorted(found)
    return {"children": [list(key) for key in keys],
            "chances": [found[key] for key in keys]}  # fmt: skip


def _seen_by_chance(mine, space, parent):
    """The children among some draws: as frequent as they are to be, if they may be."""
    chance, tokens = random.Random(0), search_space.encode(space, parent)
    keys = [tuple(search_space.encode(space, mine(space, parent, chance)))
            for _ in range(DRAWS)]  # fmt: skip
    counts = {key: keys.count(key) for key in set(keys)}
    places, right = _where(space), {}
    kinds = [place[0] for place in places]
    for kind, i, decision in places:
        n = len(decision.options)
        for token in {*range(n)} - {tokens[i]}:
            child = (*tokens[:i], token, *tokens[i + 1 :])
            right[child] = 1 / len(set(kinds)) / kinds.count(kind) / (n - 1)
    wanted = {key: DRAWS * p for key, p in right.items()}
    far = sum((counts.get(key, 0) - n) ** 2 / n for key, n in wanted.items())
    free = len(wanted) - 1  # of chi squared: its mean, and half of its variance
    if counts.keys() <= wanted.keys() and far < free + 8 * math.sqrt(2 * free):
        return right
    return {key: n / DRAWS for key, n in counts.items()}


def _where(space, kinds=("input", "operation", "combination")):
    """Decisions of these kinds with something else to choose: kind, place, options."""
    every = enumerate(search_space.decisions(space))
    every = [(d.kind, i, d) for i, d in every if len(d.options) > 1]
    return [place for place in every if place[0] in kinds]


def _changed(space, genotype, rng, places):
    """A kind, one of its places, another option."""
    tokens = search_space.encode(space, genotype)
    kind = rng.choice(sorted({place[0] for place in places}))
    _, i, d = rng.choice([place for place in places if place[0] == kind])
    tokens[i] = rng.choice([t for t in range(len(d.options)) if t != tokens[i]])
    return search_space.decode(space, tokens)


def one_change_2(space, genotype, rng):
    """Another right way: step over the old option instead of removing it."""
    tokens = search_space.encode(space, genotype)
    kinds = {}
    for kind, i, decision in _where(space):
        kinds.setdefault(kind, []).append((i, len(decision.options)))
    names = list(kinds)
    places = kinds[names[rng.randrange(len(names))]]
    i, options = places[rng.randrange(len(places))]
    tokens[i] = (tokens[i] + 1 + rng.randrange(options - 1)) % options
    return search_space.decode(space, tokens)


def change_may_be_none(space, genotype, rng):
    tokens = search_space.encode(space, genotype)
    places = _where(space)
    kind = rng.choice(sorted({place[0] for place in places}))
    _, i, d = rng.choice([place for place in places if place[0] == kind])
    tokens[i] = rng.randrange(len(d.options))
    return search_space.decode(space, tokens)


def change_without_kinds(space, genotype, rng):
    tokens = search_space.encode(space, genotype)
    _, i, d = rng.choice(_where(space))
    tokens[i] = rng.choice([t for t in range(len(d.options)) if t != tokens[i]])
    return search_space.decode(space, tokens)


def change_of_all_children(space, genotype, rng):
    tokens = search_space.encode(space, genotype)
    ways = [
        (i, t) for _, i, d in _where(space)
        for t in range(len(d.options)) if t != tokens[i]
    ]  # fmt: skip
    i, t = rng.choice(ways)
    tokens[i] = t
    return search_space.decode(space, tokens)


def change_twice(space, genotype, rng):
    child = _changed(space, genotype, rng, _where(space))
    return _changed(space, child, rng, _where(space))


def change_of_operations(space, genotype, rng):
    return _changed(space, genotype, rng, _where(space, ("operation",)))


def change_of_inputs(space, genotype, rng):
    return _changed(space, genotype, rng, _where(space, ("input",)))


def change_without_combination(space, genotype, rng):
    return _changed(space, genotype, rng, _where(space, ("input", "operation")))


def change_of_one_cell(space, genotype, rng):
    places = [place for place in _where(space) if place[2].cell == "normal"]
    return _changed(space, genotype, rng, places)


def change_of_the_left(space, genotype, rng):
    places = [place for place in _where(space) if "right" not in place[2].what]
    return _changed(space, genotype, rng, places)


def change_of_the_last_block(space, genotype, rng):
    places = [p for p in _where(space) if p[2].block == space.blocks - 1]
    return _changed(space, genotype, rng, places)


def change_of_the_first_block(space, genotype, rng):
    places = [place for place in _where(space) if place[2].block == 0]
    return _changed(space, genotype, rng, places)


def change_to_the_next(space, genotype, rng):
    tokens = search_space.encode(space, genotype)
    places = _where(space)
    kind = rng.choice(sorted({place[0] for place in places}))
    _, i, d = rng.choice([place for place in places if place[0] == kind])
    tokens[i] = (tokens[i] + 1) % len(d.options)
    return search_space.decode(space, tokens)


def change_where_nothing_else_is(space, genotype, rng):
    tokens = search_space.encode(space, genotype)
    kind = rng.choice(("input", "operation", "combination"))
    every = enumerate(search_space.decisions(space))
    i, d = rng.choice([(i, d) for i, d in every if d.kind == kind])
    others = [t for t in range(len(d.options)) if t != tokens[i]]
    tokens[i] = rng.choice(others or [tokens[i]])
    return search_space.decode(space, tokens)


def change_of_nothing(space, genotype, rng):
    return genotype


def change_now_and_then(space, genotype, rng):
    if rng.random() < 0.05:
        return genotype
    return _changed(space, genotype, rng, _where(space))


def change_by_other_chance(space, genotype, rng):
    return _changed(space, genotype, random.Random(0), _where(space))


def change_in_tokens(space, genotype, rng):
    child = _changed(space, genotype, rng, _where(space))
    return search_space.encode(space, child)


def change_cases(rng, size):
    """One or two blocks, sometimes three; two to four operations; both cells or one."""
    blocks = rng.choice((1, 2, 2 + (size > 4)))
    names = ("identity", "max3", "sep3", "sep5")[: rng.choice((2, 3, 4))]
    how = rng.choice((("add",), ("add", "concat")))
    both = ("normal", "reduction")
    found = ("normal",) if blocks == 3 else rng.choice((("normal",), both))
    space = Space(blocks, names, how, found)
    parent = search_space.sample(space, rng)
    return space, search_space.encode(space, parent)


def a_small_walk():
    """All children of two genotypes in 600 mutations; and an evolution runs on them."""
    search.regularized_evolution(
        SMALL, lambda genotype: str(genotype).count("sep3"), 30, 0,
        population=8, tournament=3,
    )  # fmt: skip
    chance = random.Random(0)
    two = Space(1, ("identity", "sep3"), ("add", "concat"))  # both cells, both signs
    parents = {SMALL: search_space.FOUND, two: search_space.sample(two, chance)}
    drawn = set()
    for space, parent in parents.items():
        drawn |= {str(search_space.mutate(space, parent, chance)) for _ in range(600)}
    return sorted(drawn)


# --- 04.4 measure


def drawn() -> list:
    rng = random.Random(0)
    return [search_space.sample(SMALL, rng).normal for _ in range(735)]


def missed() -> int:
    """Distinct cells of SMALL that 735 draws leave out."""
    return 735 - len({search_space.canonical(cell) for cell in drawn()})


def seen() -> int:
    return 735 - missed()


def missed_uncanonical() -> int:
    return 735 - len(set(drawn()))


def missed_by_five() -> int:
    return 735 - len({search_space.canonical(cell) for cell in drawn()[:5]})


def missed_by_the_rule() -> int:
    """What evenly likely cells would leave out; these are not evenly likely."""
    return round(735 * (1 - 1 / 735) ** 735)


# --- 04.5 build


def depth(blocks):
    """The most operations on a way from an input of the cell to a block's output."""
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    return max(longest)


def depth_2(blocks):
    """Follow every block back to the inputs."""

    def back(state):
        if state < 2:
            return 0
        return 1 + max(back(pair[0]) for pair in blocks[state - 2])

    return max(back(state) for state in range(2, len(blocks) + 2))


def depth_of_last(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    return longest[-1]


def depth_shortest(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + min(longest[a], longest[b]))
    return max(longest)


def depth_least_of_the_outputs(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    read = {state for block in blocks for state, _ in block}
    return min(longest[i] for i in range(2, len(longest)) if i not in read)


def depth_number_of_blocks(blocks):
    return len(blocks)


def depth_operations_counted(blocks):
    return 2 * len(blocks)


def depth_readers_of_blocks(blocks):
    return 1 + sum(any(state >= 2 for state, _ in block) for block in blocks)


def depth_largest_state(blocks):
    return max(max(a, b) for (a, _), (b, _) in blocks) + 1


def depth_states(blocks):
    longest = [1, 1]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    return max(longest)


def depth_of_blocks_between(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        below = [longest[i] + 1 for i in (a, b) if i >= 2]
        longest.append(max(below, default=0))
    return max(longest)


def depth_identity_free(blocks):
    longest = [0, 0]
    for block in blocks:
        longest.append(max(longest[i] + (op != "identity") for i, op in block))
    return max(longest)


def depth_both_sides(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + longest[a] + longest[b])
    return max(longest)


def depth_two_a_block(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(2 + max(longest[a], longest[b]))
    return max(longest)


def depth_no_step(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(max(longest[a], longest[b]))
    return max(longest)


def depth_second_input_deeper(blocks):
    longest = [0, 1]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    return max(longest)


def depth_all_below(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(2 + longest[a] + longest[b])
    return max(longest)


def depth_of_outputs_added(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    read = {state for block in blocks for state, _ in block}
    return sum(longest[i] for i in range(2, len(longest)) if i not in read)


def depth_on_average(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + (longest[a] + longest[b]) / 2)
    return max(longest)


def depth_of_each_state(blocks):
    longest = [0, 0]
    for (a, _), (b, _) in blocks:
        longest.append(1 + max(longest[a], longest[b]))
    return longest


def depth_first_input(blocks):
    longest = [0, 0]
    for (a, _), _ in blocks:
        longest.append(1 + longest[a])
    return max(longest)


def depth_second_input(blocks):
    longest = [0, 0]
    for _, (b, _) in blocks:
        longest.append(1 + longest[b])
    return max(longest)


def depth_inputs_as_blocks(blocks):
    longest = []
    for (a, _), (b, _) in blocks:
        below = [longest[i] for i in (a, b) if i < len(longest)]
        longest.append(1 + max(below, default=0))
    return max(longest)


def blocks_drawn(rng, size, operations=("identity", "max3", "sep3", "sep5", "sep7")):
    return tuple(
        tuple((rng.randrange(k + 2), rng.choice(operations)) for _ in range(2))
        for k in range(rng.randint(1, min(size, 6)))
    )


# --- 04.6 build


def cell_weights(blocks, filters):
    """Numbers that training has to find in the separable convolutions of a cell."""
    total = 0
    for block in blocks:
        for _, operation in block:
            if operation.startswith("sep"):
                k = int(operation[3:])
                total += 2 * filters * (k * k + filters + 2)
    return total


def cell_weights_2(blocks, filters):
    """A price list, looked up for each pair."""
    price = {f"sep{k}": 2 * (k**2 + filters + 2) * filters for k in (3, 5, 7)}
    return sum(price.get(op, 0) for block in blocks for _, op in block)


def _kernels(blocks):
    return [int(op[3:]) for block in blocks for _, op in block if op[:3] == "sep"]


def weights_once(blocks, filters):
    return sum(filters * (k * k + filters + 2) for k in _kernels(blocks))


def weights_dense(blocks, filters):
    return sum(2 * filters * (k * k * filters + 2) for k in _kernels(blocks))


def weights_dense_and_mixed(blocks, filters):
    return sum(2 * filters * (k * k * filters + filters + 2) for k in _kernels(blocks))


def weights_depthwise_only(blocks, filters):
    return sum(2 * filters * (k * k + 2) for k in _kernels(blocks))


def weights_without_norm(blocks, filters):
    return sum(2 * filters * (k * k + filters) for k in _kernels(blocks))


def weights_shared(blocks, filters):
    return sum(2 * filters * (k * k + filters + 2) for k in set(_kernels(blocks)))


def weights_one_norm(blocks, filters):
    return sum(2 * filters * (k * k + filters + 1) for k in _kernels(blocks))


def weights_with_statistics(blocks, filters):
    """So counts whoever adds biases, a second norm, or its mean and variance."""
    return sum(2 * filters * (k * k + filters + 4) for k in _kernels(blocks))


def weights_two_a_norm(blocks, filters):
    return sum(2 * (filters * (k * k + filters) + 2) for k in _kernels(blocks))


def weights_one_side_of_the_filter(blocks, filters):
    return sum(2 * filters * (k + filters + 2) for k in _kernels(blocks))


def weights_depthwise_of_one(blocks, filters):
    return sum(2 * (k * k + filters * filters + 2 * filters) for k in _kernels(blocks))


def weights_mixed_by_channel(blocks, filters):
    return sum(2 * filters * (k * k + 1 + 2) for k in _kernels(blocks))


def weights_all_of_three(blocks, filters):
    return sum(2 * filters * (9 + filters + 2) for _ in _kernels(blocks))


def weights_of_pools_too(blocks, filters):
    sizes = [int(op[-1]) for block in blocks for _, op in block if op[-1].isdigit()]
    return sum(2 * filters * (k * k + filters + 2) for k in sizes)


def weights_of_every_pair(blocks, filters):
    total = 0
    for block in blocks:
        for _, operation in block:
            k = int(operation[-1]) if operation[-1].isdigit() else 1
            total += 2 * filters * (k * k + filters + 2)
    return total


def weights_of_the_left(blocks, filters):
    kernels = _kernels([block[:1] for block in blocks])
    return sum(2 * filters * (k * k + filters + 2) for k in kernels)


def weights_of_the_right(blocks, filters):
    kernels = _kernels([block[1:] for block in blocks])
    return sum(2 * filters * (k * k + filters + 2) for k in kernels)


def weights_dense_without_norm(blocks, filters):
    return sum(2 * filters * k * k * filters for k in _kernels(blocks))


def weights_mixed_once(blocks, filters):
    return sum(filters * (2 * k * k + filters + 2) for k in _kernels(blocks))


EXERCISES = (
    Exercise(
        name="blocks_from_tokens", number="04.1", kind="build", minutes=10,
        difficulty=1, points=3,
        task="Write `blocks_from_tokens(tokens, operations, combinations)`: the list"
             " of the blocks that the tokens stand for, each ((a, f), (b, g),"
             " combination). A block takes five tokens: inputs a and b, which are"
             " numbers of states; operations f and g, places in `operations`; the"
             " combination, a place in `combinations`. f belongs to a, and g to b.",
        place="nas.search_space.blocks_from_tokens", importance=2,
        machine="`decode`, by which a draw, a mutation and the controller of chapter 08"
                " become genotypes",
        machine_case=genotypes_told, milestone_calls=3125,
        reference=search_space.blocks_from_tokens, alternative=blocks_from_tokens_2,
        wrong=(
            Wrong(token_pairs_together, "You read input, operation, input, operation."
                  " The controller says both inputs first: a, b, f, g, combination."),
            Wrong(token_operations_first, "You read the operations first. The inputs"
                  " come first: a, b, f, g, combination."),
            Wrong(token_combination_first, "You read the combination first. It is the"
                  " last of the five."),
            Wrong(token_four_a_block, "You take four tokens a block. The combination is"
                  " the fifth, also where there is only one to choose."),
            Wrong(token_column_by_column, "You read the tokens as if all first inputs"
                  " stood together. The five of one block stand together."),
            Wrong(token_operations_exchanged, "The operations have changed places: f"
                  " belongs to the first input, g to the second."),
            Wrong(token_sides_exchanged, "The two sides have changed places: the first"
                  " input stands on the left."),
            Wrong(token_one_operation, "Both sides have the first operation. The second"
                  " one has its own token, g."),
            Wrong(token_one_input, "Both sides read the first input. The second one has"
                  " its own token, b."),
            Wrong(token_name_first, "A pair is (state, operation), the state first."),
            Wrong(token_without_combination, "A block has three parts: two pairs and"
                  " the combination."),
            Wrong(token_combination_between, "The combination is the third part of a"
                  " block, behind the two pairs."),
            Wrong(token_five_in_a_row, "Put each input and its operation into one pair:"
                  " ((a, f), (b, g), combination)."),
            Wrong(token_by_kind, "You put the two inputs together, and the two"
                  " operations. A pair is one input and its operation."),
            Wrong(token_inputs_from_one, "The token of an input is the number of the"
                  " state as it is: 0 is state 0."),
            Wrong(token_inputs_are_blocks, "The token of an input is the number of a"
                  " state, not of a block: 0 and 1 are the inputs of the cell."),
            *(Wrong(f, "You always take the same combination. The fifth token is its"
                    " place in `combinations`.")
              for f in (token_added_always, token_first_combination)),
            Wrong(token_combination_as_it_is, "The combination is still a number. Look"
                  " up its name: combinations[...]."),
            Wrong(token_operation_as_it_is, "The operations are still numbers. Look up"
                  " their names: operations[...]."),
            Wrong(token_all_as_they_are, "Operations and combinations are still"
                  " numbers. Look up their names in the two lists."),
            *(Wrong(f, "You take the operations in another order than they are given"
                    " in. Token 0 is operations[0].")
              for f in (token_operations_sorted, token_operations_from_one,
                        token_of_the_course)),
            *(Wrong(f, "That is the first block. All are asked, in a list.")
              for f in (token_first_block, token_one_block)),
            Wrong(token_last_block_lost, "The last block is missing: the last five"
                  " tokens are one too."),
            Wrong(token_blocks_turned_round, "The blocks are the right ones, from the"
                  " last to the first. The first five tokens are the first block."),
            Wrong(token_in_one_row, "All parts stand in one row. Each block is a tuple"
                  " of its own: `append` it, do not `extend` by it."),
            Wrong(token_text, "That is the text of the cell. Blocks of pairs are asked,"
                  " of which `Cell` makes a cell."),
        ),
        hints=(
            "for i in range(0, len(tokens), 5) goes from block to block;"
            " tokens[i : i + 5] are its five.",
            "a, b, f, g, combination = tokens[i : i + 5] gives each a name.",
            "(a, operations[f]) is the left pair.",
        ),
        cases=token_cases,
        by_hand=(
            (([0, 1, 0, 2, 0], ["identity", "max3", "sep3"], ["add", "concat"]),
             [((0, "identity"), (1, "sep3"), "add")]),
            (([0, 1, 0, 2, 0, 2, 0, 1, 1, 0], ["identity", "max3", "sep3"], ["add"]),
             [((0, "identity"), (1, "sep3"), "add"),
              ((2, "max3"), (0, "max3"), "add")]),
            # The lists say what a number means.
            (([1, 0, 1, 0, 1], ["sep7", "avg3"], ["add", "concat"]),
             [((1, "avg3"), (0, "sep7"), "concat")]),
            (([1, 1, 0, 0, 1, 2, 2, 0, 0, 0, 3, 1, 0, 0, 1], ["max3"],
              ["concat", "add"]),
             [((1, "max3"), (1, "max3"), "add"), ((2, "max3"), (2, "max3"), "concat"),
              ((3, "max3"), (1, "max3"), "add")]),
        ),
        properties=(
            Property("`encode` gives the tokens back", there_and_back),
        ),
    ),
    Exercise(
        name="one_change", number="04.2", kind="build", minutes=15, difficulty=2,
        points=4,
        task="A child of a valid genotype that differs in one token, and is valid: draw"
             " a kind, a decision of this kind, another option, each uniformly.",
        reference=search_space.one_change, alternative=one_change_2, probe=children,
        tolerance=0.003,
        place="nas.search_space.one_change", required=True, importance=2,
        machine="evolution, each child of which is one mutation",
        machine_case=a_small_walk, milestone_calls=169,
        survivors={
            "line 17: `arguments.instance('rng', rng, random.Random)` omitted": "every"
            " case gives a random.Random",
        },
        unchanged={
            name: "the machine is asked which children there are, not how often"
                  " each comes"
            for name in ("change_may_be_none", "change_without_kinds",
                         "change_of_all_children", "change_where_nothing_else_is",
                         "change_now_and_then")
        },
        wrong=(
            Wrong(change_may_be_none, "Sometimes your child is its parent: the new"
                  " option may be the old one. Draw among the others."),
            Wrong(change_without_kinds, "You draw one of all decisions. The kind comes"
                  " first, input or operation (or combination), each equally likely;"
                  " then one decision of that kind."),
            Wrong(change_of_all_children, "You draw one of all children, each equally"
                  " likely. The kind comes first, then one decision of that kind, then"
                  " another option: three draws."),
            Wrong(change_twice, "You change two tokens. One step changes one."),
            Wrong(change_of_operations, "Only operations change. Inputs are a kind too,"
                  " and so are combinations where there is a choice."),
            Wrong(change_of_inputs, "Only inputs change. Operations are a kind too."),
            Wrong(change_without_combination, "Where the space has two combinations"
                  " they are a third kind."),
            Wrong(change_of_one_cell, "Only the normal cell changes. Decisions of the"
                  " reduction cell are drawn as well."),
            Wrong(change_of_the_left, "Only left sides change. The right ones are drawn"
                  " as well."),
            Wrong(change_of_the_last_block, "Only the last block changes. Each block is"
                  " drawn as well."),
            Wrong(change_of_the_first_block, "Only the first block changes. Each block"
                  " is drawn as well."),
            Wrong(change_to_the_next, "You take the next option. Any other option may"
                  " come, each equally likely."),
            Wrong(change_where_nothing_else_is, "You also draw where there is only one"
                  " option; then nothing changes. Leave such decisions out."),
            Wrong(change_of_nothing, "That is the parent. Change one token."),
            Wrong(change_now_and_then, "One time in twenty you change nothing. `mutate`"
                  " does that already; your function changes always."),
            Wrong(change_by_other_chance, "You do not draw from `rng`. A search that is"
                  " run again with the same seed must make the same children."),
            Wrong(change_in_tokens, "These are the tokens. A genotype is asked:"
                  " search_space.decode(space, tokens)."),
        ),
        hints=(
            "Work on tokens: search_space.encode(space, genotype), change one, and"
            " search_space.decode(space, tokens).",
            "every = search_space.decisions(space) has a decision for each token: its"
            " `kind`, its `options`. Leave out those with one option.",
            "rng.choice(sorted(kinds)), then rng.choice of the places of this kind,"
            " then rng.choice of all tokens but the old one.",
        ),
        cases=change_cases,
        by_hand=(
            # Two kinds, two places each, one other option: a quarter each.
            ((Space(1, ("identity", "sep3"), cells=("normal",)), [0, 0, 0, 0, 0]),
             {"children": [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0],
                           [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]],
              "chances": [0.25] * 4}),
            # The combination is a third kind, with one place: a third.
            ((Space(1, ("identity", "sep3"), ("add", "concat"), ("normal",)),
              [0, 1, 1, 0, 0]),
             {"children": [[0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 1],
                           [0, 1, 1, 1, 0], [1, 1, 1, 0, 0]],
              "chances": [1 / 6, 1 / 6, 1 / 3, 1 / 6, 1 / 6]}),
            # Three operations: an operation has two others, 1/2 * 1/2 * 1/2 each.
            ((Space(1, ("identity", "max3", "sep3"), cells=("normal",)),
              [0, 1, 2, 0, 0]),
             {"children": [[0, 0, 2, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0],
                           [0, 1, 2, 1, 0], [0, 1, 2, 2, 0], [1, 1, 2, 0, 0]],
              "chances": [1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 4]}),
        ),
    ),
    Exercise(
        name="one_block", number="04.3", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="Count the distinct cells of one block: 13 operations, add or concat.",
        reference=one_block,
        wrong=(
            Wrong(one_block_raw, "these are the ways to write one block, 2*2*13*13*2;"
                  " swapping its pairs writes most cells a second time"),
            Wrong(one_block_halved, "that is 1,352 halved, or 26 * 26. Half of all ways"
                  " is too few: a block whose pairs are equal has only one way to be"
                  " written. And 26 * 26 knows no add or concatenate"),
            Wrong(one_block_added, "right for the pairs; the block is also free to add"
                  " or to concatenate"),
            Wrong(650, "the two pairs of a block may be equal; you left those out, or"
                  " took the order for a difference"),
            Wrong(325, "the two pairs may be equal, and the block is also free to add"
                  " or to concatenate"),
            Wrong(182, "two operations out of 13, twice; each side also chooses which"
                  " of the two inputs it reads"),
            Wrong(91, "two operations out of 13; each side also chooses its input, and"
                  " the block how it combines"),
            Wrong(52, "26 pairs and two combinations: but a block has two pairs"),
            Wrong(338, "that is 13 * 13 * 2: each side also chooses its input, and"
                  " swapping the sides gives the same cell"),
        ),
        hints=(
            "How many different pairs (input, operation) can one side be?",
            "26 pairs. Choose two of them, the same one twice allowed, order ignored.",
        ),
    ),
    Exercise(
        name="missed", number="04.4", kind="measure", minutes=10, difficulty=2,
        points=2,
        task="Draw 735 genotypes of SMALL; count the cells that never came up.",
        reference=missed,
        wrong=(
            Wrong(seen, "these are the cells that did come up; how many did not?"),
            Wrong(missed_uncanonical, "one cell has several genotypes: write each in"
                  " its canonical form before you compare"),
            Wrong(missed_by_five, "that is after 5 draws; 735 are asked"),
            Wrong(missed_by_the_rule, "that is what evenly likely cells would leave"
                  " out, 735 / e; these are not. Draw them and count"),
            Wrong(0, "735 draws do not meet 735 different cells: many come up twice"),
        ),
        hints=(
            "A set keeps one of each. What has to go into it?",
            "set(search_space.canonical(cell) for each drawn cell); then 735 minus its"
            " length.",
        ),
    ),
    Exercise(
        name="depth", number="04.5", kind="build", minutes=15, difficulty=2, points=3,
        task="Write `depth(blocks)`: the most operations on a way from one of the two"
             " inputs, states 0 and 1, to the output of the cell. Block k makes state"
             " k + 2. `blocks` is a tuple of blocks ((state, operation), (state,"
             " operation)). Every operation counts 1, an identity too. Return a whole"
             " number.",
        reference=depth, alternative=depth_2,
        wrong=(
            Wrong(depth_of_last, "you return what the last block reaches; an earlier"
                  " block may end the longest way"),
            Wrong(depth_shortest, "you follow the nearer input of each block; the"
                  " longest way goes through the farther one"),
            Wrong(depth_least_of_the_outputs, "several blocks may be unread, and all"
                  " are output; the longest way to any of them counts"),
            *(Wrong(f, "you count all blocks; blocks that stand side by side do not"
                    " lengthen a way")
              for f in (depth_number_of_blocks, depth_readers_of_blocks)),
            Wrong(depth_operations_counted, "you count all operations of the cell; a"
                  " way passes one of the two in each block that it goes through"),
            Wrong(depth_largest_state, "the number of a state says when it is made, not"
                  " how deep it stands: state 5 may read the inputs alone"),
            Wrong(depth_states, "you count the states on the way; between n + 1"
                  " states there are n operations"),
            Wrong(depth_of_blocks_between, "a block that reads only the inputs has one"
                  " operation between them and its result, so its depth is 1"),
            Wrong(depth_identity_free, "an identity counts as an operation here"),
            *(Wrong(f, "you add the two sides up; a way goes through one of them, so"
                    " take the larger")
              for f in (depth_both_sides, depth_all_below, depth_on_average)),
            Wrong(depth_no_step, "each block adds one operation to the longer of its"
                  " two ways; yours adds none"),
            Wrong(depth_second_input_deeper, "both inputs of the cell, states 0 and 1,"
                  " have depth 0"),
            Wrong(depth_of_outputs_added, "several blocks may be output; the longest"
                  " way to any of them counts, not their sum"),
            Wrong(depth_of_each_state, "that is the list for all states; its largest"
                  " number is asked"),
            Wrong(depth_two_a_block, "a way passes one operation in each block, not"
                  " both"),
            Wrong(depth_first_input, "you look at the left input only; the right one"
                  " may come from deeper inside the cell"),
            Wrong(depth_second_input, "you look at the right input only; the left one"
                  " may come from deeper inside the cell"),
            Wrong(depth_inputs_as_blocks, "states 0 and 1 are the inputs of the cell;"
                  " the first block makes state 2"),
        ),
        hints=(
            "What is the depth of states 0 and 1? And of a block that reads both?",
            "Keep a list with one number a state, and append as the blocks come.",
            "A block's number is one more than the larger number of its two inputs.",
        ),
        cases=lambda rng, size: (blocks_drawn(rng, size),),
        by_hand=(
            (((((0, "sep3"), (1, "identity")),),), 1),
            (((((0, "sep3"), (1, "max3")), ((2, "max3"), (0, "max3")),
               ((0, "sep3"), (0, "sep3"))),), 2),
            (((((0, "sep3"), (1, "max3")), ((2, "max3"), (0, "max3")),
               ((0, "sep3"), (3, "sep3"))),), 3),
            # an identity counts, the left side is deeper, and the last block is not
            (((((1, "identity"), (0, "sep3")), ((2, "identity"), (1, "max3")),
               ((3, "identity"), (0, "sep5")), ((1, "sep3"), (0, "max3"))),), 3),
            # four in a chain, each read twice by the next
            (((((0, "max3"), (0, "max3")), ((2, "max3"), (2, "max3")),
               ((3, "max3"), (3, "max3")), ((4, "max3"), (4, "max3"))),), 4),
            # two blocks that both read the first do not wait for each other
            (((((0, "sep3"), (1, "max3")), ((2, "max3"), (0, "max3")),
               ((2, "sep3"), (1, "sep3"))),), 2),
            # the first block is output too
            (((((0, "sep3"), (1, "max3")), ((0, "max3"), (1, "max3")),
               ((3, "sep3"), (1, "sep3"))),), 2),
            # five blocks side by side, as in NASNet-A's normal cell
            (((((0, "sep3"), (1, "sep5")),) * 5,), 1),
        ),
        properties=(
            Property(
                "a block that reads the inputs only changes nothing",
                lambda mine, blocks: mine((*blocks, ((0, "sep3"), (1, "sep3"))))
                == mine(blocks),
            ),
        ),
    ),
    Exercise(
        name="cell_weights", number="04.6", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Write `cell_weights(blocks, filters)`: the numbers that training finds"
             " inside a normal cell. `blocks` are as in 04.5; every state has `filters`"
             " channels. A `sep3`, `sep5` or `sep7` is depthwise, 1x1, batch norm, and"
             " that twice, without biases; identity and pools have none. Return a whole"
             " number.",
        reference=cell_weights, alternative=cell_weights_2,
        wrong=(
            Wrong(weights_once, "a separable convolution of this space is applied"
                  " twice, with weights of its own each time"),
            Wrong(weights_mixed_once, "you doubled the depthwise filter alone; the 1x1"
                  " and the batch norm come twice too"),
            *(Wrong(f, "you count a dense k x k convolution; here each channel is"
                    " filtered alone, and a 1x1 mixes them")
              for f in (weights_dense, weights_dense_and_mixed,
                        weights_dense_without_norm)),
            Wrong(weights_depthwise_only, "the 1x1 convolution is missing: it reads"
                  " every channel for every channel"),
            Wrong(weights_without_norm, "each of the two batch norms has a scale and a"
                  " shift for every channel"),
            Wrong(weights_shared, "you count each kind once; every place in the cell"
                  " has weights of its own"),
            Wrong(weights_one_norm, "there are two batch norms, and each has two"
                  " numbers a channel: a scale and a shift"),
            Wrong(weights_with_statistics, "two numbers a channel too many, twice:"
                  " there are no biases, the one batch norm stands behind the 1x1, and"
                  " its running mean and variance are measured, not learned"),
            Wrong(weights_two_a_norm, "a batch norm has two numbers for each channel,"
                  " not two in all"),
            Wrong(weights_depthwise_of_one, "each channel has a k x k filter of its"
                  " own: k * k times the channels"),
            Wrong(weights_mixed_by_channel, "a 1x1 convolution reads every channel for"
                  " every channel: filters times filters numbers"),
            Wrong(weights_all_of_three, "a sep5 has filters of 5 x 5, a sep7 of 7 x 7"),
            Wrong(weights_one_side_of_the_filter, "a k x k filter has k * k numbers"),
            *(Wrong(f, "an identity or a pool learns nothing; only sep3, sep5 and sep7"
                    " have weights")
              for f in (weights_of_pools_too, weights_of_every_pair)),
            *(Wrong(f, "a block has two operations; you count one")
              for f in (weights_of_the_left, weights_of_the_right)),
        ),
        hints=(
            "One application: depthwise k x k, then 1x1, then batch norm. Count each.",
            "F channels: k * k * F, then F * F, then 2 * F.",
            "int('sep5'[3:]) is 5.",
        ),
        cases=lambda rng, size: (
            blocks_drawn(rng, size), rng.choice((1, 4, 11, 32, 168)),
        ),
        by_hand=(
            (((((0, "sep3"), (1, "identity")),), 10), 2 * (90 + 100 + 20)),
            (((((0, "sep5"), (1, "sep3")),), 32), 3776 + 2752),
            (((((0, "avg3"), (1, "avg3")),), 32), 0),
            # the same kind twice, and once more on the right: 3 * 2 * (36 + 16 + 8)
            (((((0, "sep3"), (1, "sep3")), ((2, "max3"), (0, "sep3"))), 4), 360),
            # NASNet-A large's first cells: 2 * 168 * (49 + 168 + 2)
            (((((0, "identity"), (0, "sep7")),), 168), 73_584),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "How many tokens name one genotype of the paper's space?",
        (
            Option("25", "That is one cell: five decisions for each of five blocks."),
            Option("40", "Two inputs and two operations a block; the combination is"
                   " decided too."),
            Option("50", "Five decisions a block, five blocks, two cells.", True),
            Option("70", "There are seven states in a cell, but only the five blocks"
                   " are decided; h_i and h_(i-1) are given."),
        ),
        value=lambda: len(search_space.decisions(FULL)),
    ),
    Question(
        "Block 0 asks for state 2. What is wrong with that?",
        (
            Option("Nothing: a block may read any state.", "A block can only read what"
                   " exists when it runs."),
            Option("State 2 is what block 0 itself writes.", "It would have to read its"
                   " own result, so the graph would have a cycle.", True),
            Option("There is no state 2.", "There is: block 0 writes it, and later"
                   " blocks may read it."),
            Option("State 2 belongs to the reduction cell.", "States are numbered anew"
                   " in each cell."),
        ),
    ),
    Question(
        "Which change gives another cell, and not another way to write the same one?",
        (
            Option("Swap the two pairs of a block.", "A sum does not know which summand"
                   " came first."),
            Option("Exchange two different operations of a block whose inputs differ.",
                   "sep3(0)+max3(1) becomes max3(0)+sep3(1): other states go through"
                   " other operations.", True),
            Option("List two blocks that do not read each other in the other order.",
                   "Only their numbers change, together with those who read them."),
            Option("List the output states in another order.", "The output is a set."),
        ),
    ),
    Question(
        "How many states does NASNet-A's normal cell, as released, concatenate?",
        (
            Option("5", "Five is what the paper's rule gives: every block of this cell"
                   " is unread. The release adds state 1."),
            Option("6", "The five blocks, and state 1, which blocks read as well."
                   " Hence 1056 = 6 * 4 * 44.", True),
            Option("7", "State 0 is not in the output."),
        ),
        value=lambda: len(search_space.NASNET_A.normal.output),
    ),
    Question(
        "SMALL has 2,916 token sequences a cell. How many distinct cells?",
        (
            Option("364", "That would be 2,916 / 8, but only 105 of the cells have"
                   " eight ways to be written."),
            Option("735", "By hand: 231 whose second block does not read the first,"
                   " and 504 whose second block does.", True),
            Option("945", "That is what remains if only swaps are removed: 21 * 45."
                   " Blocks that do not read each other can change places too."),
            Option("1458", "Half of them: but a cell can have one, two, four or eight"
                   " ways to be written."),
        ),
        value=lambda: search_space.count(SMALL),
    ),
)  # fmt: skip
