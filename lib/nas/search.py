"""Searching a space: who is tried next, and what the trials say. Chapter 07.

A search asks a function, `evaluate(genotype) -> float`: a table, a real training, or
one of your own. Every method returns the same `History`, so that all are judged in one
way: by the mean test accuracy of the cell that comes out, which no search ever sees.

Papers: Real and others, arXiv 1802.01548 (regularized evolution); Jamieson and
Talwalkar, 1502.07943 (successive halving); Tan and others, 1807.11626 (MnasNet's
reward); Deb and others, IEEE Trans. Evolutionary Computation 6 (2002), NSGA-II.
"""

import collections
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lib.basics import training
from lib.nas import nasnet, search_space
from lib.nas.search_space import Genotype, Space


@dataclass(frozen=True)
class Trial:
    """One question, and as `value` what `evaluate` said; more is better.

    `cost` is 1 query, or, if the child was trained up to `epoch` only, in epochs.
    """

    genotype: Genotype
    value: float
    cost: float = 1.0
    epoch: int | None = None


@dataclass(frozen=True)
class History:
    """The trials of one search, first to last."""

    trials: tuple[Trial, ...]

    def __len__(self) -> int:
        return len(self.trials)

    def incumbents(self) -> list[Trial]:
        """After each trial the best so far: longest trained, highest value, first."""
        found: list[Trial] = []
        for trial in self.trials:
            best = found[-1] if found else trial
            rank, best_rank = ((t.epoch or 0, t.value) for t in (trial, best))
            found.append(trial if rank > best_rank else best)
        return found

    def best_so_far(self) -> list[float]:
        """The incumbent's value after each trial, first to last."""
        return [trial.value for trial in self.incumbents()]

    @property
    def best(self) -> Trial:
        """The trial whose cell the search returns."""
        return self.incumbents()[-1]

    def finalists(self, count: int) -> list[Genotype]:
        """The `count` best different cells, each at its luckiest, best first.

        To be trained again: NASNet's authors did so with 250 of 20,000 children.
        """
        seen: dict[Genotype, Genotype] = {}
        for trial in sorted(self.trials, key=lambda t: (-(t.epoch or 0), -t.value)):
            seen.setdefault(search_space.canonical(trial.genotype), trial.genotype)
        return list(seen.values())[:count]

    def distinct(self) -> list[int]:
        """How many different cells were tried so far, after each trial."""
        seen: set[Genotype] = set()
        forms = map(search_space.canonical, (t.genotype for t in self.trials))
        return [seen.add(form) or len(seen) for form in forms]


class _Log(list):
    """The trials so far. `ask` puts the question and writes the answer down."""

    def __init__(self, evaluate: Callable, budget: int, **sizes: int):
        for name, size in {"budget": budget, **sizes}.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; it must be at least 1")
        self.evaluate, self.budget = evaluate, budget

    def ask(self, genotype: Genotype, cost=1.0, epoch: int | None = None) -> Trial:
        asked = (genotype,) if epoch is None else (genotype, epoch)
        value = float(self.evaluate(*asked))
        if not math.isfinite(value):
            raise ValueError(
                f"evaluate gave {value} for {genotype}; a finite number is needed"
                " (for a child that failed, the worst possible value)"
            )
        self.append(Trial(genotype, value, cost, epoch))
        return self[-1]

    def open(self) -> bool:
        return len(self) < self.budget


def random_search(space: Space, evaluate, budget: int, seed: int) -> History:
    """Ask for `budget` genotypes drawn blindly, each token evenly. The baseline."""
    rng, log = random.Random(seed), _Log(evaluate, budget)
    while log.open():
        log.ask(search_space.sample(space, rng))
    return History(tuple(log))


def regularized_evolution(
    space: Space, evaluate, budget: int, seed: int, *, population=20, tournament=5,
    dies: Callable[[Sequence[Trial]], int] = lambda population: 0,
) -> History:  # fmt: skip
    """Evolution with ageing: the best of a tournament has a child, the oldest dies.

    The first `population` genotypes are drawn blindly, tournaments with replacement.
    `dies` gets the population in order of birth and says whose turn it is. The paper
    has 100 and 25, for 20,000 children; ours are for about 200. Source: algorithm 1.
    """
    log = _Log(evaluate, budget, population=population, tournament=tournament)
    rng, alive = random.Random(seed), []
    while log.open():
        if len(alive) < population:
            child = search_space.sample(space, rng)
        else:
            rivals = rng.choices(alive, k=tournament)
            parent = max(rivals, key=lambda trial: trial.value)  # Eq. 7.3
            child = search_space.mutate(space, parent.genotype, rng)
        alive.append(log.ask(child))
        if len(alive) > population:
            del alive[dies(alive)]
    return History(tuple(log))


def neighbours(space: Space, genotype: Genotype) -> list[Genotype]:
    """Every other cell that one changed token makes of this one, each once."""
    tokens, found = search_space.encode(space, genotype), {}
    for i, decision in enumerate(search_space.decisions(space)):
        for token in range(len(decision.options)):
            near = search_space.decode(space, [*tokens[:i], token, *tokens[i + 1 :]])
            found.setdefault(search_space.canonical(near), near)
    del found[search_space.canonical(genotype)]
    return list(found.values())


def local_search(space: Space, evaluate, budget: int, seed: int) -> History:
    """Climb: move to the first neighbour that is better; at a summit start anew.

    Neighbours are asked in random order. Source: White, Nolen, Savani, arXiv
    2005.02960, whose basic variant asks all neighbours before it moves.
    """
    rng, log = random.Random(seed), _Log(evaluate, budget)
    while log.open():
        here = better = log.ask(search_space.sample(space, rng))
        while better:
            here, near = better, neighbours(space, better.genotype)
            rng.shuffle(near)
            asked = (log.ask(genotype) for genotype in near if log.open())
            better = next((t for t in asked if t.value > here.value), None)
    return History(tuple(log))


def bracket_cost(cells: int, rungs: Sequence[int], eta: int) -> int:
    """Epochs of successive halving that starts with `cells`; survivors go on."""
    steps = np.diff([0, *rungs]).tolist()
    return sum(cells // eta**k * step for k, step in enumerate(steps))  # Eq. 7.5


def successive_halving(
    space: Space, evaluate, budget: int, seed: int, *, rungs: Sequence[int], eta=3
) -> History:
    """Train many cells a little, keep the best 1 / eta, train those for longer.

    `evaluate(genotype, epoch)` is asked at the epochs `rungs`, which rise; `budget`
    counts epochs. It starts with as many distinct cells as the budget pays for.
    ValueError if that is none that reaches the last rung.
    """
    log, rng = _Log(evaluate, budget, eta=eta - 1), random.Random(seed)
    cells = max(n for n in range(budget + 1) if bracket_cost(n, rungs, eta) <= budget)
    if cells < eta ** (len(rungs) - 1):
        raise ValueError(f"budget is {budget} epochs: no cell would reach {rungs[-1]}")
    drawn, done = {}, 0
    for _ in range(5 * cells):  # a small space may not hold that many
        if len(drawn) < cells:
            genotype = search_space.sample(space, rng)
            drawn.setdefault(search_space.canonical(genotype), genotype)
    alive = list(drawn.values())
    for rung in rungs:
        trials = [log.ask(genotype, float(rung - done), rung) for genotype in alive]
        trials.sort(key=lambda trial: -trial.value)
        alive = [trial.genotype for trial in trials[: len(trials) // eta]]
        done = rung
    return History(tuple(log))


def mnasnet_reward(accuracy, price, target, below=-0.07, above=-0.07) -> float:
    """Two wishes in one number; `below` and `above` the target are its exponents.

    With -0.07 twice, MnasNet's soft constraint, half the price is worth 5 % accuracy.
    """
    weight = below if price <= target else above
    return accuracy * (price / target) ** weight  # Eq. 7.6


def fronts(points) -> list[list[int]]:
    """Sort points (N, M) into fronts, less is better in each column.

    Nothing dominates the first front; nothing but the first the second; and so on.
    """
    x = np.asarray(points, dtype=float)  # N M
    beats = (x[:, None] <= x).all(-1) & (x[:, None] < x).any(-1)  # N N
    left, found = np.ones(len(x), dtype=bool), []
    while left.any():
        free = left & ~beats[left].any(0)
        found.append(np.flatnonzero(free).tolist())
        left &= ~free
    return found


def crowding(points) -> list[float]:
    """Room around each point of one front (N, M): sides of the box between neighbours.

    Each side is a share of the front's extent; the ends have infinite room.
    """
    x = np.asarray(points, dtype=float)  # N M
    room = np.zeros(len(x))
    for column in x.T:
        order = np.argsort(column, kind="stable")
        sides = column[order[2:]] - column[order[:-2]]
        extent = column[order[-1]] - column[order[0]]
        room[order[1:-1]] += sides / (extent or 1)  # Eq. 7.7
        room[order[[0, -1]]] = np.inf
    return room.tolist()


def nsga2(
    space: Space, evaluate, budget: int, seed: int, *,
    price: Callable[[Genotype], float], population=20,
) -> History:  # fmt: skip
    """NSGA-II: evolve a whole front of low `price(genotype)` and high value.

    An earlier front wins, then more room. Two parents, each the winner of a duel, give
    a child that takes every token from one of them; then it mutates. Parents and
    children compete for the places of the next generation. Source: Deb and others.
    """
    rng, log = random.Random(seed), _Log(evaluate, budget, population=population - 1)
    parents: list[Trial] = []
    while log.open():
        children = []
        while log.open() and len(children) < population:
            child = search_space.sample(space, rng)
            if parents:
                duels = [min(rng.sample(range(len(parents)), 2)) for _ in "ab"]
                both = [search_space.encode(space, parents[i].genotype) for i in duels]
                tokens = [rng.choice(pair) for pair in zip(*both, strict=True)]
                child = search_space.decode(space, tokens)
                child = search_space.mutate(space, child, rng)
            children.append(log.ask(child))
        parents = _placed(parents + children, price)[:population]
    return History(tuple(log))


def _placed(trials: list[Trial], price) -> list[Trial]:
    """The trials in NSGA-II's order: by front, the roomiest first."""
    points, order = [(price(t.genotype), -t.value) for t in trials], []
    for front in fronts(points):
        room = crowding([points[i] for i in front])
        order += [i for _, i in sorted(zip([-r for r in room], front, strict=True))]
    return [trials[i] for i in order]


def noisy(table, rng: random.Random) -> Callable[..., float]:
    """`evaluate` on a table: the validation accuracy of one seed, drawn at each query.

    With an epoch, every question about a genotype is about the same training, resumed.
    """
    runs = collections.defaultdict(lambda: rng.randrange(table.seeds))

    def evaluate(genotype: Genotype, epoch: int | None = None) -> float:
        seed = rng.randrange(table.seeds) if epoch is None else runs[genotype]
        return table.query(genotype, seed=seed, epoch=epoch)

    return evaluate


def judged(history: History, table) -> list[float]:
    """Mean test accuracy of the best so far, after each trial: what a search is worth.

    Whoever searches must not look at it before the end.
    """
    best = [trial.genotype for trial in history.incumbents()]
    told = {genotype: table.query(genotype, split="test") for genotype in set(best)}
    return [told[genotype] for genotype in best]


def paired_interval(a, b, seed=0, resamples=10_000) -> tuple[float, float, float]:
    """The mean of a - b and the ends of its 95 % interval; a[i] and b[i] share a seed.

    Draw the pairs again with replacement and look at the middle of the means.
    Source: Efron, Annals of Statistics 7 (1979); the percentile method.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"{len(a)} and {len(b)} results; two pairs or more are needed")
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    again = np.random.default_rng(seed).integers(len(d), size=(resamples, len(d)))
    low, high = np.quantile(d[again].mean(1), (0.025, 0.975))  # Eq. 7.4
    return float(d.mean()), float(low), float(high)


def train_child(
    genotype: Genotype, train, validation, *, epochs=4, batch_size=64, lr=0.15, seed=0,
    build: Callable = nasnet.network,
) -> float:  # fmt: skip
    """Really train `build(genotype)`, a network; its accuracy on `validation`.

    That and `train` are (images, labels). Left out, it is the paper's search child.
    """
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
        torch.manual_seed(seed)
        child = build(genotype)
    groups = training.parameter_groups(child, 5e-4)
    fused = torch.optim.SGD(groups, lr, 0.9, nesterov=True, fused=True)  # 10 % faster
    settings = {"batch_size": batch_size, "optimizer": fused, "seed": seed}
    settings |= {"epochs": epochs, "every": 10**9, "progress": False}
    training.fit(child, train, nasnet.loss_fn, **settings)
    return training.accuracy(child, *validation)
