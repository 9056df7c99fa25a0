"""Exercises and quiz of chapter 07: who is asked next, and what came out."""

import itertools
import math
import random

import numpy as np

from lib.basics import profiling
from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.nas import search, search_space
from lib.nas.history import Trial
from lib.nas.search_space import SMALL

# --- 07.1 build, core


def cycles_run(mine, values, newborn, tournament, seed):
    """The population after each cycle, by name, and who had a child in it.

    "cell 0", the oldest, measures values[0]; "child 1" of cycle 1 measures newborn[0].
    """
    blind, names, genotypes = random.Random(0), {}, []

    def trial(name, value):
        genotypes.append(search_space.sample(SMALL, blind))
        names[id(genotypes[-1])] = name
        return Trial(genotypes[-1], value)

    alive = [trial(f"cell {i}", value) for i, value in enumerate(values)]
    rng, found, parents = random.Random(seed), {}, []

    def child_of(parent):
        parents.append(names[id(parent.genotype)])
        return trial(f"child {cycle}", newborn[cycle - 1])

    for cycle in range(1, len(newborn) + 1):
        parents.clear()
        after = mine(alive, tournament, rng, child_of)
        found[f"parents in cycle {cycle}"] = list(parents)
        if not isinstance(after, list | tuple):
            return found | {f"cycle {cycle} gives back": type(after).__name__}
        alive = list(after)
        found[f"alive after cycle {cycle}, by birth"] = [
            names[id(t.genotype)] for t in alive
        ]
    return found


def lucky_one_dies(mine, values, newborn, tournament, seed):
    """After as many cycles as the population is large nobody of it is left."""
    values = [1000.0] + [0.0] * (len(values) - 1)
    found = cycles_run(mine, values, len(values) * [0.0], tournament, seed)
    *_, last = found.values()
    return "cell 0" not in last


def cycle_in_place(alive, tournament, rng, child_of):
    """Another right way: draw, look for the best rival, change the list itself."""
    rivals = rng.choices(alive, k=tournament)
    parent = rivals[0]
    for rival in rivals[1:]:
        if rival.value > parent.value:
            parent = rival
    alive.append(child_of(parent))
    alive.pop(0)
    return alive


def worst_dies(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    after = [*alive, child_of(parent)]
    after.remove(min(after, key=lambda trial: trial.value))
    return after


def worst_of_the_old_dies(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    after = list(alive)
    after.remove(min(after, key=lambda trial: trial.value))
    return [*after, child_of(parent)]


def best_survive(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    after = [*alive, child_of(parent)]
    return sorted(after, key=lambda trial: -trial.value)[: len(alive)]


def parent_dies(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    after = [trial for trial in alive if trial is not parent]
    return [*after, child_of(parent)]


def youngest_dies(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return [*alive[:-1], child_of(parent)]


def child_first(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return [child_of(parent), *alive[1:]]


def only_a_better_child(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    child = child_of(parent)
    if child.value > parent.value:
        return [*alive[1:], child]
    return alive


def nobody_dies(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return [*alive, child_of(parent)]


def dies_before_the_tournament(alive, tournament, rng, child_of):
    left = alive[1:] or alive
    parent = search.tournament_winner(left, tournament, rng)
    return [*alive[1:], child_of(parent)]


def best_of_all(alive, tournament, rng, child_of):
    parent = max(alive, key=lambda trial: trial.value)
    return [*alive[1:], child_of(parent)]


def parent_drawn_blindly(alive, tournament, rng, child_of):
    return [*alive[1:], child_of(rng.choice(alive))]


def first_rival(alive, tournament, rng, child_of):
    rivals = rng.choices(alive, k=tournament)
    return [*alive[1:], child_of(rivals[0])]


def worst_rival(alive, tournament, rng, child_of):
    rivals = rng.choices(alive, k=tournament)
    parent = min(rivals, key=lambda trial: trial.value)
    return [*alive[1:], child_of(parent)]


def last_of_equals(alive, tournament, rng, child_of):
    rivals = rng.choices(alive, k=tournament)
    parent = sorted(rivals, key=lambda trial: trial.value)[-1]
    return [*alive[1:], child_of(parent)]


def nobody_twice(alive, tournament, rng, child_of):
    rivals = rng.sample(alive, min(tournament, len(alive)))
    parent = max(rivals, key=lambda trial: trial.value)
    return [*alive[1:], child_of(parent)]


def every_rival_a_parent(alive, tournament, rng, child_of):
    rivals = rng.choices(alive, k=tournament)
    children = [child_of(rival) for rival in rivals]
    return [*alive[1:], max(children, key=lambda trial: trial.value)]


def parent_again(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    child_of(parent)
    return [*alive[1:], parent]


def genotype_handed_over(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return [*alive[1:], child_of(parent.genotype)]


def child_alone(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return child_of(parent)


def population_not_given_back(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    alive.append(child_of(parent))
    del alive[0]


def cycle_cases(rng, size):
    """One to seven alive, or the task's twenty; ties, large values, all alike."""
    population = rng.choice((size, size + 1, 20))
    tournament = rng.choice((1, 2, 2 + size // 2, 5))
    steps = rng.choice((1, 4))
    scale = rng.choice((1, 1, 10_000))
    values = [scale * rng.randint(0, 8) / 8 for _ in range(population)]
    if rng.random() < 0.15:
        values = [0.5] * population
    newborn = [scale * rng.randint(0, 8) / 8 for _ in range(steps)]
    return values, newborn, tournament, rng.randrange(1000)


def a_small_evolution():
    """Sixty queries of a world without noise: who was asked, and what came out."""
    history = search.regularized_evolution(
        SMALL, separable, 60, 0, population=8, tournament=3
    )
    return [[str(t.genotype) for t in history.trials], history.best_so_far()]


# --- 07.2 build, core


def rung_after(mine, values, eta):
    """Which trials go on, by name in the order of asking, best first."""
    blind, names, trials = random.Random(0), {}, []
    for i, value in enumerate(values):
        genotype = search_space.sample(SMALL, blind)
        names[id(genotype)] = f"cell {i}"
        trials.append(Trial(genotype, float(value), 1.0, 1))
    after = mine(list(trials), eta)
    if not isinstance(after, list | tuple):
        return f"a {type(after).__name__}"
    kinds = [getattr(t, "genotype", None) for t in after]
    return [
        names.get(id(g), type(t).__name__) for g, t in zip(kinds, after, strict=True)
    ]


def rung_by_places(trials, eta):
    """Another right way: take the best away, place after place."""
    waiting, chosen = list(trials), []
    for _ in range(len(trials) // eta):
        best = max(waiting, key=lambda trial: trial.value)
        waiting.remove(best)
        chosen.append(best)
    return chosen


def best_ones(trials):
    return sorted(trials, key=lambda trial: -trial.value)


def rung_rounded_up(trials, eta):
    return best_ones(trials)[: -(-len(trials) // eta)]


def rung_rounded(trials, eta):
    return best_ones(trials)[: round(len(trials) / eta)]


def rung_of_one_at_least(trials, eta):
    return best_ones(trials)[: max(1, len(trials) // eta)]


def rung_of_eta(trials, eta):
    return best_ones(trials)[:eta]


def rung_without_an_eta_th(trials, eta):
    return best_ones(trials)[: len(trials) - len(trials) // eta]


def rung_of_the_worst(trials, eta):
    worst_first = sorted(trials, key=lambda trial: trial.value)
    return worst_first[: len(trials) // eta]


def rung_worst_first(trials, eta):
    best = best_ones(trials)[: len(trials) // eta]
    return best[::-1]


def rung_in_order_of_asking(trials, eta):
    best = best_ones(trials)[: len(trials) // eta]
    return [trial for trial in trials if trial in best]


def rung_of_the_first(trials, eta):
    return trials[: len(trials) // eta]


def rung_of_every_eta_th(trials, eta):
    return best_ones(trials)[::eta][: len(trials) // eta]


def rung_last_of_equals(trials, eta):
    ordered = sorted(trials, key=lambda trial: trial.value)
    return ordered[::-1][: len(trials) // eta]


def rung_above_a_bar(trials, eta):
    places = len(trials) // eta
    bar = best_ones(trials)[places - 1].value if places else math.inf
    return [trial for trial in best_ones(trials) if trial.value >= bar]


def rung_one_more(trials, eta):
    return best_ones(trials)[: len(trials) // eta + 1]


def rung_of_values(trials, eta):
    return [trial.value for trial in best_ones(trials)[: len(trials) // eta]]


def rung_best_alone(trials, eta):
    return best_ones(trials)[0]


def rung_cases(rng, size):
    """One to forty trials, few levels (ties) or many, small and large values."""
    count = rng.randint(1, 4 + 6 * size)
    levels, scale = rng.choice((3, 1000)), rng.choice((1, 1, 10**6))
    values = [scale * rng.randint(-levels, levels) / levels for _ in range(count)]
    return values, rng.choice((2, 2, 3, 4, 8))


def a_small_halving():
    """A bracket of 20, 6 and 2 cells in a world where sep3 is slow and good."""

    def evaluate(genotype, epoch):
        return separable(genotype) * epoch + len(str(genotype.normal)) / 100

    history = search.successive_halving(SMALL, evaluate, 30, 0, rungs=(1, 2, 4), eta=3)
    return [[str(t.genotype), t.value, t.epoch] for t in history.trials]


# --- 07.3 predict


def draws_needed() -> int:
    """The least n with 1 - 0.95^n of at least 0.9."""
    return next(n for n in itertools.count(1) if 1 - 0.95**n >= 0.9)


# --- 07.4 measure


def separable(genotype) -> int:
    return str(genotype.normal).count("sep3")


def evolution_history(**settings):
    return search.regularized_evolution(SMALL, separable, 200, 0, **settings)


def repeats() -> int:
    """Distinct cells in 200 queries of regularized evolution."""
    return evolution_history().distinct()[-1]


def repeats_of_spellings() -> int:
    return len({trial.genotype for trial in evolution_history().trials})


def repeats_of_random() -> int:
    return search.random_search(SMALL, separable, 200, 0).distinct()[-1]


def repeats_of_a_tournament_of_one() -> int:
    return evolution_history(tournament=1).distinct()[-1]


def repeats_of_a_tournament_of_twenty() -> int:
    return evolution_history(tournament=20).distinct()[-1]


def repeats_that_came_again() -> int:
    return 200 - repeats()


def repeats_short() -> int:
    return search.regularized_evolution(SMALL, separable, 20, 0).distinct()[-1]


# --- 07.5 build


def odds_without_return(population, size):
    """Probability that the i-th best wins a tournament of different cells."""
    every = math.comb(population, size)
    worse = range(population - 1, -1, -1)
    return [math.comb(below, size - 1) / every for below in worse]


def odds_without_return_2(population, size):
    """List all tournaments and count who is the best in each."""
    tournaments = list(itertools.combinations(range(population), size))
    wins = [sum(t[0] == i for t in tournaments) for i in range(population)]
    return [n / len(tournaments) for n in wins]


def odds_with_return(population, size):
    left = [(population - i) ** size for i in range(population + 1)]
    return [(a - b) / left[0] for a, b in itertools.pairwise(left)]


def odds_of_taking_part(population, size):
    return [size / population] * population


def odds_upside_down(population, size):
    every = math.comb(population, size)
    return [math.comb(below, size - 1) / every for below in range(population)]


def odds_one_too_many(population, size):
    every = math.comb(population, size)
    return [math.comb(b, size) / every for b in range(population - 1, -1, -1)]


def odds_with_itself_below(population, size):
    every = math.comb(population, size)
    return [math.comb(population - i, size - 1) / every for i in range(population)]


def odds_ranks_from_one(population, size):
    every = math.comb(population, size)
    ranks = range(1, population + 1)
    return [math.comb(max(population - i - 1, 0), size - 1) / every for i in ranks]


def odds_without_zeros(population, size):
    every = math.comb(population, size)
    below = range(population - 1, size - 2, -1)
    return [math.comb(b, size - 1) / every for b in below]


def odds_as_counts(population, size):
    return [math.comb(below, size - 1) for below in range(population - 1, -1, -1)]


def odds_by_ordered_draws(population, size):
    every = population**size
    below = range(population - 1, -1, -1)
    return [math.comb(b, size - 1) / every for b in below]


def odds_by_permutations(population, size):
    every = math.perm(population, size)
    below = range(population - 1, -1, -1)
    return [math.comb(b, size - 1) / every for b in below]


def odds_that_nobody_better_does(population, size):
    every = math.comb(population, size)
    return [math.comb(population - i, size) / every for i in range(population)]


def odds_shared_among_ranks(population, size):
    ways = [(population - i) ** size for i in range(population)]
    return [w / sum(ways) for w in ways]


def odds_if_taking_part(population, size):
    every = math.comb(population - 1, size - 1)
    return [math.comb(b, size - 1) / every for b in range(population - 1, -1, -1)]


def odds_up_to_this_rank(population, size):
    every = math.comb(population, size)
    return [
        1 - math.comb(population - i, size) / every for i in range(1, population + 1)
    ]


def odds_as_if_independent(population, size):
    p = size / population
    return [p * (1 - p) ** i for i in range(population)]


def odds_falling_evenly(population, size):
    whole = population * (population + 1) / 2
    return [(population - i) / whole for i in range(population)]


def odds_all_alike(population, size):
    return [1 / population] * population


def odds_of_the_best(population, size):
    return size / population


def odds_in_percent(population, size):
    every = math.comb(population, size)
    below = range(population - 1, -1, -1)
    return [100 * math.comb(b, size - 1) / every for b in below]


def odds_cases(rng, size):
    population = rng.randint(1, 3 + 2 * size)
    return population, rng.randint(1, population)


# --- 07.6 build


def hyperband(epochs, eta):
    """Pairs (cells, epochs before the first cut), from bold to careful."""
    most = 0
    while eta**most < epochs:
        most += 1
    brackets = []
    for s in range(most, -1, -1):
        cells = -(-(most + 1) * eta**s // (s + 1))
        brackets.append((cells, eta ** (most - s)))
    return brackets


def hyperband_2(epochs, eta):
    """Walk through the first rungs 1, eta, eta^2, ..."""
    rungs = [1]
    while rungs[-1] < epochs:
        rungs.append(rungs[-1] * eta)
    found = []
    for rung in rungs:
        start = epochs // rung
        cuts = len(rungs) - rungs.index(rung)
        cells = (len(rungs) * start + cuts - 1) // cuts
        found.append((cells, rung))
    return found


def _cuts(epochs, eta):
    return round(math.log(epochs, eta))


def hyperband_float_log(epochs, eta):
    m = int(math.log(epochs, eta))
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_float_log_and_division(epochs, eta):
    m = int(math.log(epochs, eta))
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), epochs // eta**s)
        for s in range(m, -1, -1)
    ]


def hyperband_one_more(epochs, eta):
    m = _cuts(epochs, eta) + 1
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_log_rounded_up(epochs, eta):
    m = math.ceil(math.log(epochs, eta))
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_floored(epochs, eta):
    m = _cuts(epochs, eta)
    return [((m + 1) * eta**s // (s + 1), eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_rounded(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (round((m + 1) / (s + 1) * eta**s), eta ** (m - s)) for s in range(m, -1, -1)
    ]


def hyperband_not_rounded(epochs, eta):
    m = _cuts(epochs, eta)
    return [((m + 1) / (s + 1) * eta**s, eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_floored_first(epochs, eta):
    m = _cuts(epochs, eta)
    return [((m + 1) // (s + 1) * eta**s, eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_ceiling_first(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1)) * eta**s, eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_m_for_one_more(epochs, eta):
    m = _cuts(epochs, eta)
    return [(math.ceil(m / (s + 1) * eta**s), eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_divided_by_s(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / max(s, 1) * eta**s), eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_not_shared_out(epochs, eta):
    m = _cuts(epochs, eta)
    return [((m + 1) * eta**s, eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_rung_of_s(epochs, eta):
    m = _cuts(epochs, eta)
    return [(math.ceil((m + 1) / (s + 1) * eta**s), eta**s) for s in range(m, -1, -1)]


def hyperband_rungs_as_powers(epochs, eta):
    m = _cuts(epochs, eta)
    return [(math.ceil((m + 1) / (s + 1) * eta**s), m - s) for s in range(m, -1, -1)]


def hyperband_times_eta(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1) * eta * s), eta ** (m - s))
        for s in range(m, -1, -1)
    ]


def hyperband_careful_first(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s)) for s in range(m + 1)
    ]


def hyperband_careful_first_without_the_boldest(epochs, eta):
    m = _cuts(epochs, eta)
    return [(math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s)) for s in range(m)]


def hyperband_plain_powers(epochs, eta):
    m = _cuts(epochs, eta)
    return [(eta**s, eta ** (m - s)) for s in range(m, -1, -1)]


def hyperband_without_full(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s)) for s in range(m, 0, -1)
    ]


def hyperband_without_the_boldest(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), eta ** (m - s))
        for s in range(m - 1, -1, -1)
    ]


def hyperband_swapped(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (eta ** (m - s), math.ceil((m + 1) / (s + 1) * eta**s))
        for s in range(m, -1, -1)
    ]


def hyperband_cells_alone(epochs, eta):
    m = _cuts(epochs, eta)
    return [math.ceil((m + 1) / (s + 1) * eta**s) for s in range(m, -1, -1)]


def hyperband_all_rungs(epochs, eta):
    m = _cuts(epochs, eta)
    return [
        (math.ceil((m + 1) / (s + 1) * eta**s), [eta**i for i in range(m - s, m + 1)])
        for s in range(m, -1, -1)
    ]


def hyperband_cases(rng, size):
    eta = rng.choice((2, 3, 4, 5, 10))
    return eta ** rng.randint(0, min(size + 1, 7)), eta


# --- 07.7 build


def exclusive_areas(cost, quality, reference):
    """The hypervolume that each point of a front covers alone."""
    most, least = reference
    right = [*cost[1:], most]
    below = [least, *quality[:-1]]
    areas = []
    for i in range(len(cost)):
        areas.append((right[i] - cost[i]) * (quality[i] - below[i]))
    return areas


def exclusive_areas_2(cost, quality, reference):
    """The whole area, less the area without the point."""
    whole = profiling.hypervolume(cost, quality, reference)
    areas = []
    for i in range(len(cost)):
        c, q = (side[:i] + side[i + 1 :] for side in (cost, quality))
        areas.append(whole - profiling.hypervolume(c, q, reference))
    return areas


def areas_shared(cost, quality, reference):
    most, least = reference
    return [(most - c) * (q - least) for c, q in zip(cost, quality, strict=True)]


def areas_in_strips(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    return [
        (r - c) * (q - reference[1])
        for c, q, r in zip(cost, quality, right, strict=True)
    ]


def areas_in_layers(cost, quality, reference):
    below = [reference[1], *quality[:-1]]
    return [
        (reference[0] - c) * (q - b)
        for c, q, b in zip(cost, quality, below, strict=True)
    ]


def areas_of_neighbours(cost, quality, reference):
    c = [0, *cost, reference[0]]
    q = [reference[1], *quality, quality[-1]]
    return [(c[i + 2] - c[i]) * (q[i + 2] - q[i]) for i in range(len(cost))]


def areas_of_neighbours_halved(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [reference[1], *quality[:-1]]
    return [
        (r - c) * (q - b) / 2
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_on_the_other_side(cost, quality, reference):
    left = [0, *cost[:-1]]
    above = [*quality[1:], quality[-1]]
    return [
        (c - b) * (a - q) for c, b, q, a in zip(cost, left, quality, above, strict=True)
    ]


def areas_to_the_left(cost, quality, reference):
    left = [0, *cost[:-1]]
    below = [reference[1], *quality[:-1]]
    return [
        (c - a) * (q - b) for c, a, q, b in zip(cost, left, quality, below, strict=True)
    ]


def areas_up_to_the_next(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    above = [*quality[1:], quality[-1]]
    return [
        (r - c) * (a - q)
        for c, r, q, a in zip(cost, right, quality, above, strict=True)
    ]


def areas_reference_forgotten(cost, quality, reference):
    right = [*cost[1:], cost[-1]]
    below = [quality[0], *quality[:-1]]
    return [
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_last_forgotten(cost, quality, reference):
    right = [*cost[1:], cost[-1]]
    below = [reference[1], *quality[:-1]]
    return [
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_first_forgotten(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [quality[0], *quality[:-1]]
    return [
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_wrapped_round(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    areas = []
    for i in range(len(cost)):
        areas.append((right[i] - cost[i]) * (quality[i] - quality[i - 1]))
    return areas


def areas_sides_added(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [reference[1], *quality[:-1]]
    return [
        (r - c) + (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_whole_each(cost, quality, reference):
    return [profiling.hypervolume(cost, quality, reference)] * len(cost)


def areas_from_zero(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [0, *quality[:-1]]
    return [
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_inner_only(cost, quality, reference):
    inner = range(1, len(cost) - 1)
    return [(cost[i + 1] - cost[i]) * (quality[i] - quality[i - 1]) for i in inner]


def areas_that_remain(cost, quality, reference):
    areas = []
    for i in range(len(cost)):
        c, q = (side[:i] + side[i + 1 :] for side in (cost, quality))
        areas.append(profiling.hypervolume(c, q, reference))
    return areas


def areas_so_far(cost, quality, reference):
    ends = range(1, len(cost) + 1)
    return [profiling.hypervolume(cost[:n], quality[:n], reference) for n in ends]


def areas_as_shares(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [reference[1], *quality[:-1]]
    whole = profiling.hypervolume(cost, quality, reference)
    return [
        (r - c) * (q - b) / whole
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def areas_in_all(cost, quality, reference):
    right = [*cost[1:], reference[0]]
    below = [reference[1], *quality[:-1]]
    return sum(
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    )


def areas_reference_swapped(cost, quality, reference):
    right = [*cost[1:], reference[1]]
    below = [reference[0], *quality[:-1]]
    return [
        (r - c) * (q - b)
        for c, r, q, b in zip(cost, right, quality, below, strict=True)
    ]


def area_cases(rng, size):
    n, unit = rng.randint(1, size + 1), rng.choice((1.0, 0.25, 1000.0))

    def rising():
        steps = (unit * rng.randint(1, 5) for _ in range(n + 1))
        return list(itertools.accumulate(steps))

    cost, quality = rising(), rising()
    down = unit * rng.choice((0, 7))  # qualities below 0 too
    quality = [q - down for q in quality]
    return cost[:-1], quality[1:], (cost[-1], quality[0])


EXERCISES = (
    Exercise(
        name="evolution_cycle", number="07.1", kind="build",
        minutes=12, difficulty=2, points=4,
        task="One cycle of regularized evolution: the population after it.",
        reference=search.evolution_cycle,
        alternative=cycle_in_place,
        probe=cycles_run,
        place="nas.search.evolution_cycle", required=True, importance=3,
        machine="the search by regularized evolution",
        machine_case=a_small_evolution, milestone_calls=180,
        wrong=(
            *(Wrong(f, "You let the worst die. Then a cell that was lucky once lives"
                       " for ever. Here age decides: the oldest dies, alive[0], however"
                       " good it is.")
              for f in (worst_dies, worst_of_the_old_dies)),
            Wrong(best_survive, "You keep the best and drop the last. Nobody ages then,"
                                " and the order of birth is lost: the oldest dies,"
                                " alive[0]."),
            Wrong(parent_dies, "You remove the parent. It lives on; the oldest dies,"
                               " alive[0]."),
            Wrong(youngest_dies, "You drop the last one, which is the youngest. `alive`"
                                 " is in order of birth: the oldest stands first."),
            Wrong(child_first, "You put the child first. The order is by birth, so it"
                               " comes last; else it is the next to die."),
            Wrong(only_a_better_child, "Every child joins, also a worse one: the cycle"
                                       " does not ask whether it is better than its"
                                       " parent."),
            Wrong(nobody_dies, "Nobody dies: the population grows by one each cycle."
                               " Leave out the oldest, alive[0]."),
            Wrong(dies_before_the_tournament, "The oldest is gone before the tournament"
                                              " is drawn. It takes part once more, and"
                                              " dies after the birth."),
            Wrong(best_of_all, "You take the best of the whole population. Only the"
                               " `tournament` rivals that were drawn compete."),
            Wrong(parent_drawn_blindly, "You draw one parent blindly: no selection."
                                        " Draw `tournament` rivals, and take the best"
                                        " of them."),
            Wrong(first_rival, "You take the first of the rivals. The best of them is"
                               " the parent."),
            Wrong(worst_rival, "You take the worst of the rivals: more is better, so"
                               " the largest value wins."),
            Wrong(last_of_equals, "Of rivals that are equally good you take the last."
                                  " The first that was drawn wins, as max() has it, so"
                                  " that a search can be repeated."),
            Wrong(nobody_twice, "You draw without replacement (rng.sample). Here a"
                                " cell may be drawn twice: rng.choices."),
            Wrong(every_rival_a_parent, "You let every rival have a child. Each child"
                                        " costs a training: the winner alone has one."),
            Wrong(parent_again, "The parent joins again, and its child is lost. What"
                                " child_of gives back joins."),
            Wrong(genotype_handed_over, "child_of takes the parent itself, a trial, and"
                                        " not its genotype."),
            Wrong(child_alone, "That is the child alone. The whole population is asked,"
                               " a list."),
            Wrong(population_not_given_back, "Your function gives nothing back. Return"
                                             " the population."),
        ),
        hints=(
            "Three steps: a parent, a child, a population. Each is one line.",
            "parent = search.tournament_winner(alive, tournament, rng), and"
            " child_of(parent) gives the child, measured already.",
            "alive[1:] is everybody but the oldest.",
        ),
        cases=cycle_cases,
        by_hand=(
            # The lucky cell 0 has the first child and is gone, good as it is. The
            # tournament of 50 out of 3 misses nobody: (2/3)^50 is 2 in a billion.
            (([0.9, 0.2, 0.5], [0.4, 0.1], 50, 0),
             {"parents in cycle 1": ["cell 0"],
              "alive after cycle 1, by birth": ["cell 1", "cell 2", "child 1"],
              "parents in cycle 2": ["cell 2"],
              "alive after cycle 2, by birth": ["cell 2", "child 1", "child 2"]}),
            # One alone: it is its own rival, and its child takes its place.
            (([3.0], [1.0, 2.0], 2, 5),
             {"parents in cycle 1": ["cell 0"],
              "alive after cycle 1, by birth": ["child 1"],
              "parents in cycle 2": ["child 1"],
              "alive after cycle 2, by birth": ["child 2"]}),
            # A child that is worse than all joins like any other.
            (([10.0, 40.0], [-70.0], 50, 1),
             {"parents in cycle 1": ["cell 1"],
              "alive after cycle 1, by birth": ["cell 1", "child 1"]}),
        ),
        properties=(
            Property("the lucky one dies, after as many cycles as there are places",
                     lucky_one_dies),
        ),
    ),
    Exercise(
        name="survivors", number="07.2", kind="build",
        minutes=8, difficulty=1, points=2,
        task="The next rung of successive halving: the best 1 / eta of the trials,"
             " rounded down, best first; of equal ones the one that was asked first.",
        reference=search.survivors, alternative=rung_by_places, probe=rung_after,
        place="nas.search.survivors", importance=1,
        machine="the search by successive halving",
        machine_case=a_small_halving, milestone_calls=3,
        unchanged={
            "rung_of_one_at_least": "a bracket begins with so many cells that one"
            " reaches the last rung",
        },
        wrong=(
            Wrong(rung_rounded_up, "You round up. Seven trials and eta 3 leave two, not"
                                   " three: len(trials) // eta."),
            Wrong(rung_rounded, "You round to the nearest. Rounded down is asked:"
                                " len(trials) // eta."),
            Wrong(rung_of_one_at_least, "You always keep one. Where there are fewer"
                                        " trials than eta, nobody goes on."),
            Wrong(rung_of_eta, "You keep eta trials. One in eta goes on:"
                               " len(trials) // eta."),
            Wrong(rung_without_an_eta_th, "You drop one in eta. One in eta is kept."),
            Wrong(rung_of_the_worst, "You keep the lowest values. More is better."),
            Wrong(rung_worst_first, "The right trials, in the wrong order: the best"
                                    " comes first."),
            Wrong(rung_in_order_of_asking, "The right trials, in the order in which"
                                           " they were asked. The best comes first."),
            Wrong(rung_of_the_first, "You keep those that were asked first. Sort by"
                                     " value before you cut."),
            Wrong(rung_of_every_eta_th, "You take every eta-th of the sorted list. The"
                                        " best ones stand together, at its begin."),
            Wrong(rung_last_of_equals, "Of equal trials you put the one that was asked"
                                       " last first. sorted(...) keeps the order of"
                                       " equals, if you do not turn the list round."),
            Wrong(rung_above_a_bar, "You keep all that are as good as the last one that"
                                    " has a place. Equals beyond the places are cut."),
            Wrong(rung_one_more, "One place too many: a slice [:n] has n."),
            Wrong(rung_of_values, "Those are the values. The trials themselves go on."),
            Wrong(rung_best_alone, "That is the best trial alone. A list is asked."),
        ),
        hints=(
            "Three steps: sort, count the places, cut.",
            "sorted(trials, key=lambda trial: -trial.value) puts the best first.",
            "len(trials) // eta rounds down.",
        ),
        cases=rung_cases,
        by_hand=(
            (([0.1, 0.7, 0.4, 0.6, 0.5, 0.2, 0.3], 3), ["cell 1", "cell 3"]),
            # Four equal ones for two places: those that were asked first.
            (([0.5, 0.9, 0.5, 0.5, 0.5, 0.1], 2), ["cell 1", "cell 0", "cell 2"]),
            (([0.3], 2), []),
            (([-4.0, -2.0, -3.0, -1.0], 2), ["cell 3", "cell 1"]),
        ),
    ),
    Exercise(
        name="draws_needed", number="07.3", kind="predict",
        minutes=4, difficulty=1, points=1,
        task="Blind draws until you have a good one with 90 %, if one in twenty is.",
        reference=draws_needed,
        wrong=(
            Wrong(20, "One in twenty does not mean one in every twenty: twenty draws"
                      " all miss with probability 0.95^20, which is 0.36."),
            Wrong(18, "0.9 divided by 0.05: that adds up probabilities, and after a"
                      " few more draws the sum would be above 1. Multiply the chances"
                      " of missing."),
            Wrong(44, "Close: 44 draws give 89.5 %. At least 90 % is asked."),
            Wrong(90, "That is for 99 %. Let the chance that all draws miss fall to"
                      " 0.1, not to 0.01."),
            Wrong(59, "That is for 95 %. 90 % is asked: all draws may miss with 0.1."),
            Wrong(14, "That is for 50 %. 90 % is asked: all draws may miss with 0.1."),
            Wrong(22, "That is if one draw in ten is good. One in twenty is: a draw"
                      " misses with 0.95."),
            Wrong(19, "0.95 times 20 says nothing. Multiply 0.95 by itself until 0.1"
                      " is left."),
            Wrong(44.9, "Nearly: a whole number of draws, with at least 90 %."),
        ),
        hints=(
            "What is the probability that n draws all miss?",
            "0.95 to the power n shall be 0.1 or less. Take logarithms, round up.",
        ),
    ),
    Exercise(
        name="repeats", number="07.4", kind="measure",
        minutes=8, difficulty=2, points=2,
        task="Distinct cells that regularized evolution tries in 200 queries.",
        reference=repeats,
        wrong=(
            Wrong(200, "That is the number of queries. `history.distinct()` counts"
                       " different cells."),
            Wrong(repeats_of_spellings, "You counted different genotypes. Two of them"
                                        " may write one cell: use"
                                        " `history.distinct()`."),
            Wrong(repeats_of_random, "That is random search. Evolution is asked."),
            Wrong(repeats_short, "That is after 20 queries, all of them blind. Raise"
                                 " the budget to 200."),
            Wrong(repeats_that_came_again, "These are the queries that met a cell a"
                                           " second time. How many cells are there?"),
            Wrong(repeats_of_a_tournament_of_one, "That is a tournament of 1. The"
                                                  " default is asked."),
            Wrong(repeats_of_a_tournament_of_twenty, "That is a tournament of 20. The"
                                                     " default is asked."),
            Wrong(735, "That is how many cells there are. How many does the search"
                       " try?"),
        ),
        hints=(
            "Change 20 to 200 and look at `history.distinct()`.",
            "`distinct()` is a list, one number a trial; the last one is asked.",
        ),
    ),
    Exercise(
        name="odds_without_return", number="07.5", kind="build",
        minutes=12, difficulty=2, points=3,
        task="Write `odds_without_return(population, size)`: the list of"
             " probabilities that the best, the second best, ... of `population` cells"
             " wins a tournament of `size` different ones, each set of `size` equally"
             " likely. One number a cell, zeros too.",
        reference=odds_without_return,
        alternative=odds_without_return_2,
        wrong=(
            Wrong(odds_with_return, "That is Eq. 7.3, where a cell may be drawn twice."
                                    " Here even the last but one needs someone worse"
                                    " in its tournament, and the last never wins."),
            Wrong(odds_of_taking_part, "That is the chance of being in the tournament."
                                       " To win it, all the others in it must be"
                                       " worse."),
            Wrong(odds_upside_down, "The order is turned round: the best comes first"
                                    " and has the best odds."),
            Wrong(odds_one_too_many, "The winner itself takes one of the places: only"
                                     " size - 1 others are left to choose."),
            *(Wrong(f, "Your ranks are shifted by one: the best has population - 1"
                       " cells below it, the last has none.")
              for f in (odds_with_itself_below, odds_ranks_from_one)),
            Wrong(odds_without_zeros, "The last ones never win, and their zeros are"
                                      " asked too: one number for each cell."),
            Wrong(odds_as_counts, "These are numbers of tournaments. Divide by how many"
                                  " there are."),
            *(Wrong(f, "You divide by more tournaments than there are: sets of"
                       " different cells have no order and no repetition, so"
                       " math.comb(population, size).")
              for f in (odds_by_ordered_draws, odds_by_permutations)),
            Wrong(odds_that_nobody_better_does, "That is the chance that no better one"
                                                " takes part. The cell itself has to"
                                                " take part and win."),
            Wrong(odds_shared_among_ranks, "Odds are not powers of the rank here. Count"
                                           " tournaments with math.comb."),
            Wrong(odds_if_taking_part, "That is the chance to win for whoever takes"
                                       " part. Taking part is a chance as well: divide"
                                       " by all tournaments."),
            Wrong(odds_up_to_this_rank, "You give the chance that this cell or a better"
                                        " one wins. For each cell alone take the"
                                        " differences."),
            Wrong(odds_as_if_independent, "You treat every cell's place as drawn by"
                                          " itself. A tournament has exactly `size`"
                                          " places: one that is taken leaves fewer."),
            Wrong(odds_falling_evenly, "The odds do not fall by the same amount from"
                                       " rank to rank. Count tournaments."),
            Wrong(odds_all_alike, "That is a tournament of one. With more, the better"
                                  " ones win more often."),
            Wrong(odds_of_the_best, "That is the best one's. A list is asked, one"
                                    " number for each cell."),
            Wrong(odds_in_percent, "These are percent. Probabilities sum to 1."),
        ),
        hints=(
            "How many different tournaments are there? In how many is the best one?",
            "The i-th best wins if the size - 1 others all come from those below it.",
            "math.comb(n, k) counts ways to choose k of n, and is 0 where k > n.",
        ),
        cases=odds_cases,
        by_hand=(
            ((4, 2), [3 / 6, 2 / 6, 1 / 6, 0.0]),  # the six pairs, written out
            ((3, 3), [1.0, 0.0, 0.0]),  # everyone takes part, the best wins
            ((3, 1), [1 / 3, 1 / 3, 1 / 3]),  # no selection
            # ten triples of five: six with the best, three of the rest with the second
            ((5, 3), [0.6, 0.3, 0.1, 0.0, 0.0]),
            # the chapter's own population and tournament, by Pascal's triangle
            ((20, 5), [ways / 15_504 for ways in (
                3876, 3060, 2380, 1820, 1365, 1001, 715, 495, 330, 210, 126, 70, 35,
                15, 5, 1, 0, 0, 0, 0)]),
        ),
        properties=(
            Property("somebody wins: the odds sum to 1",
                     lambda mine, population, size:
                     math.isclose(sum(mine(population, size)), 1)),
        ),
    ),
    Exercise(
        name="hyperband", number="07.6", kind="build",
        minutes=15, difficulty=3, points=3,
        task="Write `hyperband(epochs, eta)`: the brackets of Hyperband as a list of"
             " pairs (cells, first rung), the boldest first. `epochs` is eta to the m."
             " Bracket s = m, m - 1, ..., 0 starts with (m + 1) / (s + 1) * eta^s"
             " cells, rounded up, trained for eta^(m - s) epochs before the first cut."
             " Whole numbers only.",
        reference=hyperband,
        alternative=hyperband_2,
        wrong=(
            *(Wrong(f, "Your m comes from a logarithm, which is not exact:"
                       " math.log(243, 3) is a little below 5, and int() cuts that to 4"
                       " (others are a little above). Count multiplications by eta"
                       " instead, or round().")
              for f in (hyperband_float_log, hyperband_float_log_and_division,
                        hyperband_log_rounded_up)),
            *(Wrong(f, "The formula rounds up: 5 cells in the middle bracket of 9 and"
                       " 3, not 4 or 4.5.")
              for f in (hyperband_floored, hyperband_rounded, hyperband_not_rounded)),
            *(Wrong(f, "You round (m + 1) / (s + 1) alone. First times eta^s, then"
                       " round up.")
              for f in (hyperband_floored_first, hyperband_ceiling_first)),
            Wrong(hyperband_m_for_one_more, "You multiply by m. There are m + 1"
                                            " brackets, since s = 0 is one too: the"
                                            " factor is (m + 1) / (s + 1)."),
            Wrong(hyperband_one_more, "Your m is one too large: eta^m is `epochs`, and"
                                      " there are m + 1 brackets."),
            Wrong(hyperband_divided_by_s, "You divide by s. A bracket of s cuts has"
                                          " s + 1 rungs, so divide by s + 1."),
            Wrong(hyperband_not_shared_out, "You multiply by m + 1 and do not divide:"
                                            " a bracket of s cuts pays s + 1 rungs, so"
                                            " divide by s + 1."),
            Wrong(hyperband_rung_of_s, "The first rung is eta^(m - s): many cells begin"
                                       " with few epochs."),
            Wrong(hyperband_rungs_as_powers, "The second number is the exponent m - s."
                                             " Epochs are asked: eta^(m - s)."),
            Wrong(hyperband_times_eta, "eta^s is a power, eta times itself, not eta"
                                       " times s."),
            Wrong(hyperband_careful_first, "The boldest bracket comes first: most"
                                           " cells, shortest first rung."),
            Wrong(hyperband_plain_powers, "Right for the boldest bracket. The others"
                                          " make fewer cuts, so each of their cells"
                                          " costs more of the budget: the factor"
                                          " (m + 1) / (s + 1) is missing."),
            Wrong(hyperband_without_full, "The last bracket is missing: s = 0 makes no"
                                          " cut at all and trains every cell to the"
                                          " end."),
            Wrong(hyperband_without_the_boldest, "The boldest bracket is missing: s"
                                                 " begins at m, where the first rung is"
                                                 " one epoch."),
            Wrong(hyperband_careful_first_without_the_boldest, "range(m) ends at m - 1"
                  " and goes upwards. The boldest bracket, s = m, comes first."),
            Wrong(hyperband_swapped, "A pair is (cells, first rung), in that order."),
            Wrong(hyperband_cells_alone, "The cells are right. Pairs are asked, with"
                                         " the first rung of each bracket."),
            Wrong(hyperband_all_rungs, "You list all rungs. The first one is asked, a"
                                       " number."),
        ),
        hints=(
            "First find m: how often can you multiply 1 by eta until it is `epochs`?",
            "Then one line for each s from m down to 0, with the formula.",
            "Rounding up a / b with whole numbers: -(-a // b). math.log is not exact:"
            " math.log(243, 3) is a little below 5.",
        ),
        cases=hyperband_cases,
        by_hand=(
            ((9, 3), [(9, 1), (5, 3), (3, 9)]),  # 27/3, 9/2 = 4.5, 3/1
            # 405/5, 135/4 = 33.75, 45/3, 15/2 = 7.5, 5/1
            ((81, 3), [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]),
            ((1, 2), [(1, 1)]),
            # 6*243/6, 6*81/5 = 97.2, 6*27/4 = 40.5, 6*9/3, 6*3/2, 6/1
            ((243, 3), [(243, 1), (98, 3), (41, 9), (18, 27), (9, 81), (6, 243)]),
            # 4000/4, 400/3 = 133.3, 40/2, 4/1
            ((1000, 10), [(1000, 1), (134, 10), (20, 100), (4, 1000)]),
            # math.log(125, 5) is a little above 3: 500/4, 100/3 = 33.3, 20/2, 4/1
            ((125, 5), [(125, 1), (34, 5), (10, 25), (4, 125)]),
        ),
        properties=(
            Property("the last bracket trains to the end from the start",
                     lambda mine, epochs, eta: mine(epochs, eta)[-1][1] == epochs),
        ),
    ),
    Exercise(
        name="exclusive_areas", number="07.7", kind="build",
        minutes=15, difficulty=3, points=3,
        task="Write `exclusive_areas(cost, quality, reference)`: how much of the"
             " hypervolume is lost without each point, a list. The front stands in"
             " order, cost and quality rise strictly, and every point costs less and is"
             " better than `reference = (cost, quality)`. Draw it: a point covers all"
             " that is dearer and worse than itself, to its right and below, up to the"
             " reference. What does it cover alone?",
        reference=exclusive_areas,
        alternative=exclusive_areas_2,
        wrong=(
            Wrong(areas_shared, "That is all that a point dominates. Most of it is"
                                " covered by its neighbours as well."),
            Wrong(areas_in_strips, "You cut the area into columns, each as high as the"
                                   " point. Without the point its left neighbour still"
                                   " covers the lower part of the column."),
            Wrong(areas_in_layers, "You cut the area into rows, each as long as the"
                                   " point. Without the point its right neighbour still"
                                   " covers the end of the row."),
            Wrong(areas_of_neighbours, "That is the box between the two neighbours, as"
                                       " in Eq. 7.7. The area lost is its corner only,"
                                       " from the point to the next one's cost."),
            Wrong(areas_of_neighbours_halved, "You take half of it, as for a triangle."
                                              " What is lost is a rectangle."),
            *(Wrong(f, "Your rectangle is on the wrong side of the point. A point"
                       " covers what is dearer and worse: to the right up to the next"
                       " cost, down to the previous quality.")
              for f in (areas_on_the_other_side, areas_to_the_left,
                        areas_up_to_the_next)),
            *(Wrong(f, "The first and the last point have a neighbour too: the"
                       " reference.")
              for f in (areas_reference_forgotten, areas_last_forgotten,
                        areas_first_forgotten, areas_inner_only)),
            Wrong(areas_wrapped_round, "quality[i - 1] is the last one where i is 0."
                                       " Below the first point the area ends at the"
                                       " reference's quality."),
            Wrong(areas_sides_added, "You add the two sides. A rectangle is their"
                                     " product."),
            Wrong(areas_whole_each, "That is the whole hypervolume. Take away what is"
                                    " left without the point."),
            Wrong(areas_from_zero, "Below the first point the area ends at the"
                                   " reference's quality, which need not be 0."),
            Wrong(areas_that_remain, "That is what is left without each point. What is"
                                     " lost is asked."),
            Wrong(areas_so_far, "That is the hypervolume of the points up to each."
                                " What each adds alone, with all others there, is"
                                " asked."),
            Wrong(areas_as_shares, "These are shares of the whole. Areas are asked."),
            Wrong(areas_in_all, "That is one number. A list is asked, one area for each"
                                " point."),
            Wrong(areas_reference_swapped, "`reference` is (cost, quality), in that"
                                           " order."),
        ),
        hints=(
            "Draw the three points of the example and shade what each covers alone.",
            "It is a rectangle: to the right it ends at the next cost, below at the"
            " previous quality.",
            "The last point's next cost, and the first one's previous quality, come"
            " from the reference.",
        ),
        cases=area_cases,
        by_hand=(
            (([1.0, 2.0, 4.0], [5.0, 7.0, 8.0], (6.0, 0.0)), [5.0, 4.0, 2.0]),
            (([3.0], [4.0], (5.0, 1.0)), [6.0]),  # 2*3: one point covers everything
            # qualities below 0: 2*2, 3*1; and accuracies at large prices
            (([2.0, 4.0], [-3.0, -2.0], (7.0, -5.0)), [4.0, 3.0]),
            (([1e6, 3e6, 4e6], [0.25, 0.5, 0.625], (8e6, 0.125)), [250000.0, 250000.0,
                                                                  500000.0]),
        ),
        properties=(
            Property("a single point loses the whole hypervolume",
                     lambda mine, cost, quality, reference:
                     math.isclose(
                         mine(cost[:1], quality[:1], reference)[0],
                         profiling.hypervolume(cost[:1], quality[:1], reference))),
        ),
    ),
)  # fmt: skip


# --- quiz


def _met() -> float:
    return 100 * (1 - 0.9**10)


def _epochs() -> int:
    return search.bracket_cost(27, (1, 3, 9, 27), 3)


def _gpu_hours() -> int:
    return 500 * 4 * 24


def _low() -> float:
    a, b = np.array([3.0, 1.0, 2.0, 2.0]), np.array([2.0, 2.0, 2.0, 2.0])
    return search.paired_interval(a, b)[0]


QUIZ = (
    Question(
        "One draw in ten is good. With which probability do ten blind draws meet at"
        " least one good cell?",
        options=(
            Option("100 %: ten times 10 %", "Chances of a hit do not add up. Multiply"
                                            " the chances of a miss."),
            Option("65 %", "All ten miss with probability 0.9^10 = 0.35.",
                   correct=True),
            Option("10 %: each draw is as good as the other", "Each single one, yes;"
                                                              " but you have ten."),
            Option("It depends on the size of the space",
                   "Only the share of good draws counts."),
        ),
        value=_met, form="{:.0f}",
    ),
    Question(
        "A search of 200 queries ends, and its best cell measured 0.84 on the"
        " validation set, once. What do you expect of a fresh training of that cell?",
        options=(
            Option("Less than 0.84", "The winner of many noisy looks was lucky. A fresh"
                                     " training has fresh luck.", correct=True),
            Option("0.84: the validation set was never trained on",
                   "It was selected on. The best of 200 measurements is best partly by"
                   " luck."),
            Option("More than 0.84: it is the best of 200",
                   "It is the best measurement. Its luck does not come again."),
        ),
    ),
    Question(
        "Why does regularized evolution let the oldest die, even if it is the best?",
        options=(
            Option("To keep the population at its size: something has to go, and the"
                   " oldest is the quickest to find",
                   "The size would be kept by any death, for instance of the worst."),
            Option("Old cells need more training, which nobody pays for",
                   "Nothing is trained a second time."),
            Option("A cell that was lucky once cannot stay for ever; only a line that"
                   " does well at each new measurement lasts",
                   "Every child is measured afresh, so luck must be renewed and merit"
                   " is inherited.", correct=True),
            Option("Because random search does so too", "Random search has no"
                                                        " population."),
        ),
    ),
    Question(
        "Successive halving starts with 27 cells, cuts to a third at epochs 1, 3 and 9"
        " and ends at 27. How many epochs does it pay?",
        options=(
            Option("40: 27 + 9 + 3 + 1", "Those are trainings. Later rungs are longer:"
                                         " 2, 6 and 18 epochs more."),
            Option("108: 27 for each of four rungs", "A survivor goes on where it"
                                                     " stopped: only the first rung"
                                                     " costs its full length."),
            Option("729: 27 cells of 27 epochs", "That is without cutting."),
            Option("81", "27 times 1, 9 times 2, 3 times 6, 1 times 18.",
                   correct=True),
        ),
        value=_epochs,
    ),
    Question(
        "Four seeds: search A ends at 3, 1, 2, 2 and search B at 2, 2, 2, 2. The"
        " interval of the paired difference is from -0.5 to 0.5. What do you report?",
        options=(
            Option("A is better: it has the best single run",
                   "It also has the worst."),
            Option("A tie: the mean difference is 0.0, and the interval contains 0",
                   "These four seeds do not tell the two apart.", correct=True),
            Option("B is better: it is more reliable", "That may matter to you, but it"
                                                       " is another question than the"
                                                       " mean."),
            Option("Nothing: four seeds are too few for any statement",
                   "With an interval you may report what they show, and how little."),
        ),
        value=_low, form="{:.1f}",
    ),
    Question(
        "500 GPUs searched for 4 days. The paper calls that 2,000 GPU-hours. How many"
        " GPU-hours was it?",
        options=(
            Option("2000", "500 times 4 are GPU-days."),
            Option("12000", "Half a working day each? They ran day and night."),
            Option("48000", "500 GPUs, 4 days of 24 hours. The paper's unit is a slip.",
                   correct=True),
        ),
        value=_gpu_hours,
    ),
)  # fmt: skip
