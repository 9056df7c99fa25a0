"""Searching a space: who is tried next, and what the trials say. Chapter 07.

A search asks a function, `evaluate(genotype) -> float`: a table, a real training, or
one of your own. Every method returns the same `History`, so that all are judged in one
way: by the mean test accuracy of the cell that comes out, which no search ever sees.

Papers: Real and others, arXiv 1802.01548 (regularized evolution); Jamieson and
Talwalkar, 1502.07943 (successive halving); Tan and others, 1807.11626 (MnasNet's
reward); Deb and others, IEEE Trans. Evolutionary Computation 6 (2002), NSGA-II.
"""

import bisect
import collections
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from lib.basics import arguments, training
from lib.nas import nasnet, search_space
from lib.nas.history import History, Log, Trial, finite
from lib.nas.search_space import Genotype, Space

MOST_RIVALS = 10_000  # of a tournament


def random_search(space: Space, evaluate, budget: int, seed: int) -> History:
    """Ask for `budget` genotypes drawn blindly, each token evenly. The baseline."""
    log = Log(evaluate, budget)
    rng = random.Random(arguments.seed(seed))
    while log.open():
        genotype = search_space.sample(space, rng)
        log.ask(genotype)
    return log.history()


def regularized_evolution(
    space: Space, evaluate, budget: int, seed: int, *, population=20, tournament=5,
    dies: Callable[[Sequence[Trial]], int] | None = None,
) -> History:  # fmt: skip
    """Evolution with ageing: the best of a tournament has a child, the oldest dies.

    The first `population` genotypes are drawn blindly, tournaments with replacement.
    `dies` replaces ageing: it gets the population in order of birth, the child last,
    and says whose turn it is. The paper has 100 and 25, for 20,000 children; ours are
    for about 200. Source: algorithm 1.
    """
    log = Log(evaluate, budget)
    population = arguments.whole_number("population", population, least=1)
    tournament = arguments.whole_number("tournament", tournament, 1, MOST_RIVALS)
    if dies is not None:
        arguments.function("dies", dies, "dies(population) -> int")
    rng = random.Random(arguments.seed(seed))

    def child_of(parent: Trial) -> Trial:
        child = search_space.mutate(space, parent.genotype, rng)
        return log.ask(child)

    alive: list[Trial] = []  # in order of birth
    while log.open():
        if len(alive) < population:
            newcomer = search_space.sample(space, rng)
            alive.append(log.ask(newcomer))
        elif dies is None:
            alive = evolution_cycle(alive, tournament, rng, child_of)
        else:
            parent = tournament_winner(alive, tournament, rng)
            alive.append(child_of(parent))
            with log.kept():
                dead = arguments.whole_number(
                    "dies(population)", dies(alive), 0, len(alive) - 1
                )
            del alive[dead]
    return log.history()


@arguments.named
def evolution_cycle(
    alive: list[Trial], tournament: int, rng: random.Random,
    child_of: Callable[[Trial], Trial],
) -> list[Trial]:  # fmt: skip
    """The population after one cycle: a winner's child joins, the oldest dies.

    `alive` is in order of birth, and so is what comes back, as long as before.
    `child_of(parent)` mutates the parent's genotype, measures that, gives the trial.

    >>> alive = [Trial(None, value) for value in (0.9, 0.2, 0.5)]
    >>> after = evolution_cycle(alive, 9, random.Random(0), lambda p: Trial(None, 0.4))
    >>> [trial.value for trial in after]
    [0.2, 0.5, 0.4]
    """
    parent = tournament_winner(alive, tournament, rng)
    child = child_of(parent)
    by_birth = alive + [child]
    return by_birth[1:]  # the oldest stands first, and is gone


def tournament_winner(
    alive: Sequence[Trial], tournament: int, rng: random.Random
) -> Trial:
    """The best of `tournament` trials drawn from the population, with replacement.

    >>> alive = [Trial(None, value) for value in (0.2, 0.9, 0.5)]
    >>> tournament_winner(alive, 100, random.Random(0)).value
    0.9
    """
    alive = _trials("alive", alive)
    tournament = arguments.whole_number("tournament", tournament, 1, MOST_RIVALS)
    arguments.instance("rng", rng, random.Random)
    rivals = rng.choices(alive, k=tournament)
    return max(rivals, key=lambda trial: trial.value)  # Eq. 7.3


def _trials(name: str, values) -> list[Trial]:
    """One or more trials as a list; ValueError for anything else."""
    trials = arguments.sequence(name, values, "a list of trials")
    for trial in trials:
        arguments.instance(f"one of {name}", trial, Trial)
    return trials


def neighbours(space: Space, genotype: Genotype) -> list[Genotype]:
    """Every other cell that one changed token makes of this one, each once."""
    tokens = search_space.encode(space, genotype)
    near: dict[Genotype, Genotype] = {}  # by canonical form
    for i, decision in enumerate(search_space.decisions(space)):
        for token in range(len(decision.options)):
            changed = [*tokens[:i], token, *tokens[i + 1 :]]
            neighbour = search_space.decode(space, changed)
            near.setdefault(search_space.canonical(neighbour), neighbour)
    del near[search_space.canonical(genotype)]
    return list(near.values())


def local_search(space: Space, evaluate, budget: int, seed: int) -> History:
    """Climb: move to the first neighbour that is better; at a summit start anew.

    Neighbours are asked in random order. Source: White, Nolen, Savani, arXiv
    2005.02960, whose basic variant asks all neighbours before it moves.
    """
    log = Log(evaluate, budget)
    rng = random.Random(arguments.seed(seed))
    while log.open():
        start = search_space.sample(space, rng)
        here = log.ask(start)
        while here is not None:
            here = _first_better(space, here, log, rng)
    return log.history()


def _first_better(
    space: Space, here: Trial, log: Log, rng: random.Random
) -> Trial | None:
    """A step uphill; None at a summit, or when the budget is spent."""
    near = neighbours(space, here.genotype)
    rng.shuffle(near)
    for genotype in near:
        if not log.open():
            return None
        trial = log.ask(genotype)
        if trial.value > here.value:
            return trial
    return None


def bracket_cost(cells: int, rungs: Sequence[int], eta: int) -> int:
    """Epochs of successive halving that starts with `cells`; survivors go on.

    Nine for 1 epoch, three of them for 2 more, one for 6 more: 9 + 6 + 6.

    >>> bracket_cost(9, rungs=[1, 3, 9], eta=3)
    21
    """
    cells = arguments.whole_number("cells", cells, least=0)
    eta = arguments.whole_number("eta", eta, least=2)
    total, done = 0, 0
    for rung in _rising(rungs):
        total += cells * (rung - done)  # Eq. 7.5
        cells //= eta
        done = rung
    return total


def _rising(rungs) -> tuple[int, ...]:
    """Epochs of the rungs; ValueError unless each is above the one before."""
    rungs = arguments.whole_numbers("rungs", rungs, least=1)
    if list(rungs) != sorted(set(rungs)):
        raise ValueError(f"rungs is {rungs}; each must be above the one before")
    return rungs


@arguments.named
def survivors(trials: Sequence[Trial], eta: int) -> list[Trial]:
    """The best 1 / eta of a rung's trials, rounded down, best first: the next rung.

    Of equal trials the one that was asked first stands first.

    >>> rung = [Trial(None, value) for value in (0.1, 0.7, 0.4, 0.6, 0.5, 0.2, 0.3)]
    >>> [trial.value for trial in survivors(rung, eta=3)]
    [0.7, 0.6]
    """
    best_first = sorted(trials, key=lambda trial: -trial.value)
    places = len(trials) // eta
    return best_first[:places]


def successive_halving(
    space: Space, evaluate, budget: int, seed: int, *, rungs: Sequence[int], eta=3
) -> History:
    """Train many cells a little, keep the best 1 / eta, train those for longer.

    `evaluate(genotype, epoch)` is asked at the epochs `rungs`, which rise; `budget`
    counts epochs. It starts with as many distinct cells as the budget pays for.
    ValueError if that is none that reaches the last rung.
    """
    log = Log(evaluate, budget)
    eta = arguments.whole_number("eta", eta, least=2)
    rungs = _rising(rungs)
    cells = _affordable(log.budget, rungs, eta)
    if cells < eta ** (len(rungs) - 1):
        raise ValueError(
            f"budget is {budget} epochs: no cell would reach {rungs[-1]} with eta {eta}"
        )
    rng = random.Random(arguments.seed(seed))
    alive = _distinct_cells(space, cells, rng)
    done = 0
    for rung in rungs:
        price = float(rung - done)  # in epochs: the training goes on where it was
        trials = [log.ask(genotype, price, rung) for genotype in alive]
        alive = [trial.genotype for trial in survivors(trials, eta)]
        done = rung
    return log.history()


def _affordable(budget: int, rungs: Sequence[int], eta: int) -> int:
    """The most cells that successive halving can start with for so many epochs."""

    def cost(cells: int) -> int:
        return bracket_cost(cells, rungs, eta)

    # The price grows with the number of cells: halve the interval, do not count up.
    return bisect.bisect_right(range(budget + 1), budget, key=cost) - 1


def _distinct_cells(space: Space, cells: int, rng: random.Random) -> list[Genotype]:
    """So many different cells, drawn blindly; fewer where the space holds no more."""
    # 5 draws a cell. Of a small space 50 draws a sequence have found everything.
    sequences = search_space.raw_count(space) ** len(space.cells)
    draws = min(5 * cells, 50 * sequences)
    drawn: dict[Genotype, Genotype] = {}  # by canonical form
    while len(drawn) < cells and draws > 0:
        genotype = search_space.sample(space, rng)
        drawn.setdefault(search_space.canonical(genotype), genotype)
        draws -= 1
    return list(drawn.values())


def mnasnet_reward(accuracy, price, target, below=-0.07, above=-0.07) -> float:
    """Two wishes in one number; `below` and `above` the target are its exponents.

    With -0.07 twice, MnasNet's soft constraint, half the price is worth 5 % accuracy.

    >>> round(mnasnet_reward(0.7, price=1, target=2) / 0.7, 3)
    1.05
    """
    accuracy = arguments.real_number("accuracy", accuracy)
    price = arguments.real_number("price", price, above=0)
    target = arguments.real_number("target", target, above=0)
    below = arguments.real_number("below", below)
    above = arguments.real_number("above", above)
    weight = below if price <= target else above
    return accuracy * (price / target) ** weight  # Eq. 7.6


def fronts(points) -> list[list[int]]:
    """Sort points (N, M) into fronts, less is better in each column.

    Nothing dominates the first front; nothing but the first the second; and so on.

    >>> fronts([[1, 4], [2, 2], [3, 3]])
    [[0, 1], [2]]
    """
    x = arguments.real_array("points", points, 2)  # N M
    nowhere_worse = (x[:, None] <= x).all(-1)  # N N
    somewhere_better = (x[:, None] < x).any(-1)  # N N
    dominates = nowhere_worse & somewhere_better  # N N
    waiting = np.ones(len(x), dtype=bool)
    sorted_out = []
    while waiting.any():
        free = waiting & ~dominates[waiting].any(0)
        sorted_out.append(np.flatnonzero(free).tolist())
        waiting &= ~free
    return sorted_out


def crowding(points) -> list[float]:
    """Room around each point of one front (N, M): sides of the box between neighbours.

    Each side is a share of the front's extent; the ends have infinite room.
    """
    x = arguments.real_array("points", points, 2)  # N M
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
    log = Log(evaluate, budget)
    population = arguments.whole_number("population", population, least=2)
    arguments.function("price", price, "price(genotype) -> float")
    rng = random.Random(arguments.seed(seed))
    parents: list[Trial] = []
    while log.open():
        children: list[Trial] = []
        while log.open() and len(children) < population:
            child = search_space.sample(space, rng)
            if parents:
                child = _crossed(space, parents, rng)
                child = search_space.mutate(space, child, rng)
            children.append(log.ask(child))
        with log.kept():
            ranked = _by_front_and_room(parents + children, price)
        parents = ranked[:population]
    return log.history()


def _crossed(space: Space, parents: list[Trial], rng: random.Random) -> Genotype:
    """A child of two winners of duels: every token from one of them, by a coin."""
    both = []
    for _ in range(2):
        duel = rng.sample(range(len(parents)), 2)
        winner = parents[min(duel)]  # they stand in order, the best first
        both.append(search_space.encode(space, winner.genotype))
    tokens = [rng.choice(pair) for pair in zip(*both, strict=True)]
    return search_space.decode(space, tokens)


def _by_front_and_room(trials: list[Trial], price) -> list[Trial]:
    """The trials in NSGA-II's order: by front, the roomiest first."""
    points = []
    for trial in trials:
        cost = finite("price", price(trial.genotype), trial.genotype)
        points.append((cost, -trial.value))
    ranked: list[Trial] = []
    for front in fronts(points):
        room = crowding([points[i] for i in front])
        order = sorted(zip([-r for r in room], front, strict=True))
        ranked += [trials[i] for _, i in order]
    return ranked


def _insist_on_table(table) -> None:
    """ValueError unless it answers as a `tabular.Table` does."""
    if not callable(getattr(table, "query", None)):
        raise arguments.refuse("table", table, "a table (tabular.load gives one)")


def noisy(table, rng: random.Random) -> Callable[..., float]:
    """`evaluate` on a table: the validation accuracy of one seed, drawn at each query.

    With an epoch, every question about a genotype is about the same training, resumed.
    """
    _insist_on_table(table)
    arguments.instance("rng", rng, random.Random)

    def drawn_seed() -> int:
        return rng.randrange(table.seeds)

    resumed = collections.defaultdict(drawn_seed)  # the seed of each genotype

    def evaluate(genotype: Genotype, epoch: int | None = None) -> float:
        seed = drawn_seed() if epoch is None else resumed[genotype]
        return table.query(genotype, seed=seed, epoch=epoch)

    return evaluate


def incumbent_test_accuracy(history: History, table) -> list[float]:
    """Mean test accuracy of the best so far, after each trial: what a search is worth.

    Whoever searches must not look at it before the end.
    """
    arguments.instance("history", history, History)
    _insist_on_table(table)
    accuracy: dict[Genotype, float] = {}
    curve = []
    for trial in history.incumbents():
        genotype = trial.genotype
        if genotype not in accuracy:
            accuracy[genotype] = table.query(genotype, split="test")
        curve.append(accuracy[genotype])
    return curve


def paired_interval(a, b, seed=0, resamples=10_000) -> tuple[float, float, float]:
    """The mean of a - b and the ends of its 95 % interval; a[i] and b[i] share a seed.

    Draw the pairs again with replacement and look at the middle of the means.
    Source: Efron, Annals of Statistics 7 (1979); the percentile method.
    """
    a = arguments.real_array("a", a, 1)
    b = arguments.real_array("b", b, 1)
    _insist_on_pairs(a, b)
    resamples = arguments.whole_number("resamples", resamples, 1, 10**6)
    seed = arguments.seed(seed, least=0)
    rng = np.random.default_rng(seed)
    differences = a - b
    mean = differences.mean()
    pairs = len(differences)
    size = (resamples, pairs)
    drawn = rng.integers(pairs, size=size)
    again = differences[drawn]  # resamples, pairs
    means = again.mean(1)  # Eq. 7.4
    ends = (0.025, 0.975)
    low, high = np.quantile(means, ends)
    return float(mean), float(low), float(high)


def _insist_on_pairs(a: np.ndarray, b: np.ndarray) -> None:
    """ValueError unless there are two pairs or more."""
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            f"a and b: {len(a)} and {len(b)} results; two pairs or more are needed"
        )


def train_child(
    genotype: Genotype, train, validation, *, epochs=4, batch_size=64, lr=0.15, seed=0,
    build: Callable = nasnet.network,
) -> float:  # fmt: skip
    """Really train `build(genotype)`, a network; its accuracy on `validation`.

    That and `train` are (images, labels). Left out, it is the paper's search child.
    """
    arguments.labelled("train", train)
    images, labels = arguments.labelled("validation", validation)
    epochs = arguments.whole_number("epochs", epochs, 1, 10**6)
    batch_size = arguments.whole_number("batch_size", batch_size, least=1)
    lr = arguments.real_number("lr", lr, above=0)
    seed = arguments.seed(seed)
    arguments.function("build", build, "build(genotype) -> a network")
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
        torch.manual_seed(seed)
        child = build(genotype)
    groups = training.parameter_groups(child, 5e-4)
    # Fused: all weights in one call, which saves 10 % of the time.
    sgd = torch.optim.SGD(groups, lr, 0.9, nesterov=True, fused=True)
    training.fit(
        child, train, nasnet.loss_fn, optimizer=sgd,
        epochs=epochs, batch_size=batch_size,
        seed=seed, every=10**9, progress=False,
    )  # fmt: skip
    return training.accuracy(child, images, labels)
