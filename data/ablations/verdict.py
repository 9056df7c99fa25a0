"""Is a clever search ahead of random search? Three answers, from the same table.

    python data/ablations/verdict.py                # about a minute, one CPU thread
    python data/ablations/verdict.py --seeds 100

Thirty searches of 200 questions with each of three methods, on the table that
`tabular.load` gives, judged after 20, 50, 100 and 200 questions. Three columns:

- one noisy look: a question is answered by one training drawn at random, and the cell
  that measured best is the answer (chapter 07 as it stands);
- noisy with a final: the ten cells that measured best are asked again, all trainings of
  each, and the best mean is the answer;
- no noise: a question is answered by the mean of all trainings.

Validation accuracy chooses, test accuracy judges. "All" judges by the mean over all
trainings, those that chose among them. "Fresh" keeps one training of every cell for the
judge, each in turn with the search's seed, and lets search and final see the others
only: luck that chose cannot judge. A gap is the mean over pairs of equal seed, with its
95 % interval (`search.paired_interval`).
"""

import argparse
import os
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import numpy as np  # noqa: E402

from lib.nas import history, search, search_space, tabular  # noqa: E402

BUDGETS = (20, 50, 100, 200)
PLACES = 10  # in the final
COLUMNS = ("one noisy look", "noisy with a final", "no noise")
METHODS = {
    "random": search.random_search,
    "evolution": search.regularized_evolution,
    "local": search.local_search,
}


class Trainings:
    """What search and judge may know: the trainings of each cell, by number."""

    def __init__(self, table, seeds, judges):
        self.table, self.seeds, self.judges = table, seeds, judges

    def mean(self, genotype, seeds, split):
        told = self.table.accuracy[split][self.table.index(genotype), :, -1]
        return float(told[list(seeds)].mean())

    def worth(self, genotype):
        """What the judge says of a cell."""
        return self.mean(genotype, self.judges, "test")

    def known(self, genotype):
        """The mean over all trainings that may be seen."""
        return self.mean(genotype, self.seeds, "validation")

    def noisy(self, rng):
        """`evaluate`: one of the trainings that may be seen, drawn at each question."""
        return lambda g: self.mean(g, [rng.choice(self.seeds)], "validation")


def trainings(table, seed, rule):
    """The trainings of one search: "all", or one kept for the judge ("fresh")."""
    every = tuple(range(table.seeds))
    if rule == "all":
        return Trainings(table, every, every)
    judge = seed % table.seeds
    return Trainings(table, tuple(s for s in every if s != judge), (judge,))


def answers(told, one, column):
    """The worth of a search's answer after each of `BUDGETS` questions."""
    found = []
    for budget in BUDGETS:
        part = history.History(one.trials[:budget])
        if column == "noisy with a final":
            best = max(part.finalists(PLACES), key=told.known)
        else:
            best = part.best.genotype
        found.append(told.worth(best))
    return found


def worths(table, method, rule, seeds):
    """By column, the worth of the answers: seeds, budgets."""
    found = {column: [] for column in COLUMNS}
    for seed in range(seeds):
        told = trainings(table, seed, rule)
        asked = told.noisy(random.Random(1000 + seed))
        noisy = METHODS[method](table.space, asked, BUDGETS[-1], seed)
        clean = METHODS[method](table.space, told.known, BUDGETS[-1], seed)
        for column in COLUMNS:
            one = clean if column == "no noise" else noisy
            found[column].append(answers(told, one, column))
    return {column: np.array(rows) for column, rows in found.items()}


def verdict(a, b):
    """The mean gap of a to b in points, its interval, and what may be said."""
    mean, low, high = (100 * v for v in search.paired_interval(a, b))
    word = "ahead" if low > 0 else "behind" if high < 0 else "a tie"
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] {word}"


def report(table, seeds):
    """A line for each rule, method and budget: the three columns."""
    lines = []
    for rule in ("all", "fresh"):
        blind = worths(table, "random", rule, seeds)
        for method in ("evolution", "local"):
            found = worths(table, method, rule, seeds)
            for place, budget in enumerate(BUDGETS):
                said = [
                    verdict(found[c][:, place], blind[c][:, place]) for c in COLUMNS
                ]
                lines.append(f"{rule}, {method}, {budget}: " + " | ".join(said))
        for column in COLUMNS:
            means = " ".join(f"{v:.3f}" for v in blind[column].mean(0))
            lines.append(f"{rule}, random search itself, {column}: {means}")
    return lines


def rank_of_found(table):
    """The rank of `search_space.FOUND` by mean test accuracy, from 1."""
    worth = [table.query(g, split="test") for g in table.genotypes]
    own = table.query(search_space.FOUND, split="test")
    return 1 + sum(value > own for value in worth)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    asked = parser.parse_args()
    table = tabular.load()
    print(f"{len(table)} cells; columns: {' | '.join(COLUMNS)}")
    for line in report(table, asked.seeds):
        print(line, flush=True)
    print(f"FOUND is number {rank_of_found(table)} of {len(table)} by test accuracy")


if __name__ == "__main__":
    main()
