"""What makes seed 0 of the first table better than seed 1: which of its random numbers?

    python data/ablations/seed_effect.py            # about 3 minutes, one CPU thread
    python data/ablations/seed_effect.py --report   # what the rows say so far

A seed draws three things: the first weights of the stem, those of the cells and the
classifier, and the order of the crops. In the first table seed 0 has a mean test
accuracy of 0.556 over all cells, seeds 1 and 2 of 0.490 and 0.487. Here each of the
three comes from seed 0 or from seed 1, in all eight combinations, for 24 cells at equal
steps of the table's ranking: a crossed experiment. The task is that of the table; the
eight trainings of a cell run side by side, so sums have another order than there.

A row a training is appended to seed_effect.jsonl. Cells whose eight rows are there are
skipped, so it may be stopped at any time.
"""

import argparse
import itertools
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from lib.nas import replicas, search_space, tabular  # noqa: E402

ROWS = HERE / "seed_effect.jsonl"
CELLS = 24
PARTS = ("stem", "cells", "order")
COMBINATIONS = [
    dict(zip(PARTS, seeds, strict=True))
    for seeds in itertools.product((0, 1), repeat=3)
]


def chosen(table, cells=CELLS):
    """Cells at equal steps of the table's ranking, worst first, as texts."""
    score = [table.query(genotype) for genotype in table.genotypes]
    order = sorted(range(len(table)), key=score.__getitem__)
    steps = [order[round(i * (len(order) - 1) / (cells - 1))] for i in range(cells)]
    return [str(table.genotypes[i].normal) for i in steps]


def first_network(task, genotype, stem, cells):
    """The table's network of seed `cells`, with the stem of the one of seed `stem`."""
    model = tabular.network(task, genotype, cells)
    donor = tabular.network(task, genotype, stem)
    model.stem.load_state_dict(donor.stem.state_dict())
    return model


def measure(task, text):
    """The eight trainings of a cell: right answers in 1,000 crops after the last."""
    genotype = search_space.from_text(text)
    alone = [
        first_network(task, genotype, one["stem"], one["cells"]) for one in COMBINATIONS
    ]
    model = replicas.side_by_side(alone)
    replicas.train(
        model, tabular.crops(task, "train"), [one["order"] for one in COMBINATIONS],
        epochs=task.epochs, batch_size=task.batch, lr=task.lr,
    )  # fmt: skip
    rows = [{"cell": text, **one} for one in COMBINATIONS]
    for split in tabular.SPLITS:
        counts = replicas.right(model, *tabular.crops(task, split), len(alone))
        for row, count in zip(rows, counts, strict=True):
            row[split] = count
    return rows


def run(table, path=ROWS, cells=CELLS):
    """Train what is missing, append its rows; returns the number of cells."""
    task = tabular.Task()
    counts = {}
    for row in ledger.read(path):
        counts[row["cell"]] = counts.get(row["cell"], 0) + 1
    trained = 0
    for text in chosen(table, cells):
        if counts.get(text, 0) >= len(COMBINATIONS):
            continue
        began = time.process_time()
        rows = measure(task, text)
        seconds = round((time.process_time() - began) / len(rows), 3)
        for row in rows:
            ledger.append(path, row | {"task": task.settings(), "seconds": seconds})
        trained += 1
    return trained


def effects(accuracy):
    """Effect of each part, in points, with the standard error over cells.

    `accuracy` is (cells, stem, cells' weights, order). A part's effect in a cell is the
    mean of the four trainings with seed 0 less that of the four with seed 1. What two
    parts do together, and all three, are the products of their signs.
    """
    found = {}
    for size in (1, 2, 3):
        for parts in itertools.combinations(range(3), size):
            sign = np.ones((2, 2, 2))
            for part in parts:
                shape = [1, 1, 1]
                shape[part] = 2
                sign = sign * np.array([1.0, -1.0]).reshape(shape)
            each = (accuracy * sign).sum((1, 2, 3)) / 4  # cells
            error = each.std(ddof=1) / len(each) ** 0.5
            name = " x ".join(PARTS[part] for part in parts)
            found[name] = (100 * each.mean(), 100 * error)
    return found


def together(rows, split="test"):
    """Accuracies (cells, stem, cells' weights, order) of the cells with all eight."""
    cells = {}
    for row in rows:
        place = tuple(row[part] for part in PARTS)
        cells.setdefault(row["cell"], {})[place] = row[split] / row["task"][split]
    whole = [found for found in cells.values() if len(found) == len(COMBINATIONS)]
    places = list(itertools.product((0, 1), repeat=3))
    return np.array([[found[p] for p in places] for found in whole]).reshape(
        -1, 2, 2, 2
    )


def report(rows):
    """Effects in words, a line each."""
    accuracy = together(rows)
    if len(accuracy) < 2:
        return f"{len(rows)} trainings so far: too few cells"
    both = accuracy[:, 0, 0, 0].mean(), accuracy[:, 1, 1, 1].mean()
    lines = [
        f"{len(accuracy)} cells, eight trainings each; test accuracy",
        f"all from seed 0: {both[0]:.3f}; all from seed 1: {both[1]:.3f}",
    ]
    for name, (effect, error) in effects(accuracy).items():
        lines.append(f"{name}: {effect:+.1f} points, standard error {error:.1f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        print(f"{run(tabular.load(tabular.FIRST_TABLE))} cells trained")
    print(report(ledger.read(ROWS)))


if __name__ == "__main__":
    main()
