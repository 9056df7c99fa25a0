"""Chapter 07: answers from the task texts."""

import math
from collections import deque

import numpy as np

from lib.nas import search
from tests.held_out import right, wrong


@wrong("search.evolution_cycle", "the worst dies, not the oldest")
def evolution_cycle_1(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    everyone = [*alive, child_of(parent)]
    worst = min(range(len(everyone)), key=lambda i: everyone[i].value)
    return everyone[:worst] + everyone[worst + 1 :]


@wrong("search.evolution_cycle", "the oldest dies before the tournament")
def evolution_cycle_2(alive, tournament, rng, child_of):
    younger = list(alive[1:])
    parent = search.tournament_winner(younger, tournament, rng)
    younger.append(child_of(parent))
    return younger


@wrong("search.evolution_cycle", "the parent is the best of all, without a tournament")
def evolution_cycle_3(alive, tournament, rng, child_of):
    parent = max(alive, key=lambda trial: trial.value)
    return list(alive[1:]) + [child_of(parent)]


@wrong("search.evolution_cycle", "the child takes the place of its parent")
def evolution_cycle_4(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    child = child_of(parent)
    return [trial for trial in alive if trial is not parent] + [child]


@wrong("search.evolution_cycle", "a child that is worse than its parent does not join")
def evolution_cycle_5(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    child = child_of(parent)
    if child.value <= parent.value:
        return list(alive)
    return list(alive[1:]) + [child]


@wrong("search.evolution_cycle", "the child comes first and the youngest dies")
def evolution_cycle_6(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return [child_of(parent)] + list(alive[:-1])


@right("search.evolution_cycle")
def evolution_cycle_7(alive, tournament, rng, child_of):
    parent = search.tournament_winner(alive, tournament, rng)
    return list(alive[1:]) + [child_of(parent)]


@right("search.evolution_cycle")
def evolution_cycle_8(alive, tournament, rng, child_of):
    population = deque(alive, maxlen=len(alive))
    population.append(child_of(search.tournament_winner(alive, tournament, rng)))
    return list(population)


@right("search.evolution_cycle")
def evolution_cycle_9(alive, tournament, rng, child_of):
    child = child_of(search.tournament_winner(alive, tournament, rng))
    after = []
    for i in range(1, len(alive) + 1):
        after.append(alive[i] if i < len(alive) else child)
    return after


@wrong("search.survivors", "of equal trials the last one stands first")
def survivors_1(trials, eta):
    ranked = sorted(trials, key=lambda trial: trial.value)[::-1]
    return ranked[: len(trials) // eta]


@wrong("search.survivors", "rounds up")
def survivors_2(trials, eta):
    ranked = sorted(trials, key=lambda trial: -trial.value)
    return ranked[: math.ceil(len(trials) / eta)]


@wrong("search.survivors", "the survivors stay in the order of the list")
def survivors_3(trials, eta):
    keep = len(trials) // eta
    order = sorted(range(len(trials)), key=lambda i: -trials[i].value)
    return [trials[i] for i in sorted(order[:keep])]


@wrong("search.survivors", "always keeps half")
def survivors_4(trials, eta):
    ranked = sorted(trials, key=lambda trial: trial.value, reverse=True)
    return ranked[: len(ranked) // 2]


@wrong("search.survivors", "throws 1 / eta away in place of keeping it")
def survivors_5(trials, eta):
    ranked = sorted(trials, key=lambda trial: trial.value, reverse=True)
    return ranked[: len(ranked) - len(ranked) // eta]


@wrong("search.survivors", "all that are as good as the last survivor stay too")
def survivors_6(trials, eta):
    keep = len(trials) // eta
    if keep == 0:
        return []
    ranked = sorted(trials, key=lambda trial: trial.value, reverse=True)
    bar = ranked[keep - 1].value
    return [trial for trial in ranked if trial.value >= bar]


@right("search.survivors")
def survivors_7(trials, eta):
    ranked = sorted(trials, key=lambda trial: trial.value, reverse=True)
    return ranked[: int(len(trials) / eta)]


@right("search.survivors")
def survivors_8(trials, eta):
    left, best = list(trials), []
    while len(best) < len(trials) // eta:
        top = 0
        for i in range(1, len(left)):
            if left[i].value > left[top].value:
                top = i
        best.append(left.pop(top))
    return best


@right("search.survivors")
def survivors_9(trials, eta):
    values = np.array([trial.value for trial in trials], dtype=float)
    order = np.argsort(-values, kind="stable")
    return [trials[i] for i in order[: len(trials) // eta].tolist()]
