"""Does a cell that is good in a small network stay good in a larger one?

    python data/ablations/transfer.py            # about 100 minutes, one CPU thread
    python data/ablations/transfer.py --report   # what the rows say so far

This is NASNet's own claim, tested on the shipped table. Twelve cells are taken at equal
steps of the table's ranking (mean validation accuracy), from the worst to the best, and
three more at random among those with the multiply-adds of the best, 5 % up or down.
Each is trained again in a network twice as wide and with twice the normal cells, for
twice the epochs; everything else is the table's task, but for one thing.

A rate that suits the small network need not suit a deeper one: at the rate of the first
table half of the grown networks never left chance. So each grown network has its own
rate. It is trained once with each of `RATES`, from a seed that serves for nothing else,
and the best on validation crops is taken: rows of kind "rate". With that rate it is
trained with seeds 0, 1 and 2: rows of kind "final", which alone are reported. Rows
without a kind are older, all at the table's rate.

A row a training is appended to transfer.jsonl. Rows that are there are skipped, so it
may be stopped at any time; a line that a kill has cut is passed over. Rows of another
table, or of other settings, do not count.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import torch  # noqa: E402

from lib.basics import profiling, training  # noqa: E402
from lib.nas import nasnet, one_shot, tabular  # noqa: E402

ROWS = HERE / "transfer.jsonl"
CELLS, PEERS, SEEDS = 12, 3, 3
RATES = (0.015, 0.05, 0.15)  # each about a third of the next
TRIAL_SEED = 1000  # of the trainings that choose the rate
NEAR = 0.05  # how far the multiply-adds of a peer may be from those of the best


def grown(task):
    """The larger network and its training, as a row records them."""
    width = {"filters": 2 * task.filters, "stem_filters": 2 * task.stem_filters}
    return {"cells": 2, **width, "epochs": 2 * task.epochs}


def name_of(table):
    """A short hash of what the table says: rows of another one do not count."""
    parts = ("validation", "test")
    told = [[table.query(g, split=part) for g in table.genotypes] for part in parts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def chosen(table, cells=CELLS, peers=PEERS):
    """Pairs (group, row of the table): "quantile" from worst to best, then "random"."""
    score = [table.query(genotype) for genotype in table.genotypes]
    order = sorted(range(len(table)), key=score.__getitem__)
    steps = [order[round(i * (len(order) - 1) / (cells - 1))] for i in range(cells)]
    best = table.macs[order[-1]]
    near = [i for i in range(len(table)) if abs(table.macs[i] / best - 1) <= NEAR]
    near = [i for i in near if i not in steps]
    drawn = random.Random(0).sample(near, min(peers, len(near)))
    return [("quantile", i) for i in steps] + [("random", i) for i in drawn]


def measure(task, genotype, seed, rate):
    """One training of the larger network: accuracies, size and price."""
    larger = grown(task)
    epochs = larger.pop("epochs")
    model = nasnet.network(genotype, momentum=task.norm_momentum, **larger)
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():  # first weights as `tabular.network` has them
        if p.ndim > 1:
            torch.nn.init.kaiming_uniform_(p, a=5**0.5, generator=generator)
    torch.nn.init.zeros_(model.classifier.bias)
    training.fit(
        model, tabular.crops(task, "train"), training.classification_loss(),
        epochs=epochs, batch_size=task.batch, lr=rate, seed=seed, every=10**9,
        progress=False,
    )  # fmt: skip
    image = torch.zeros(1, 3, task.size, task.size)
    found = {
        s: training.accuracy(model, *tabular.crops(task, s)) for s in tabular.SPLITS
    }
    price = {"parameters": profiling.parameters(model)}
    return found | price | {"macs": profiling.macs(model, image)}


def read(path=None):
    """The rows that are there; a line cut by a kill is left out."""
    return ledger.read(Path(path or ROWS))


def key(row):
    """What makes a row the answer to a question; older rows answer another."""
    question = row.get("kind"), row.get("lr"), row["seed"]
    return row["table"], json.dumps(row["settings"]), row["cell"], *question


def best_rate(rows):
    """The rate of the row that is best on validation crops; of equals the first."""
    return max(rows, key=lambda row: row["validation"])["lr"]


def run(table, path=None, cells=CELLS, peers=PEERS, seeds=SEEDS, rates=RATES):
    """Train what is missing and append it, a line at a time; returns how many."""
    path, task = Path(path or ROWS), table.task
    settings = grown(task) | {"task": task.settings()}
    about = {"table": name_of(table), "settings": settings}
    done = {key(row): row for row in read(path)}
    trained = 0

    def trained_row(group, i, kind, rate, seed):
        nonlocal trained
        genotype = table.genotypes[i]
        row = {"group": group, "cell": str(genotype.normal), "seed": seed, **about}
        row |= {"kind": kind, "lr": rate}
        if key(row) not in done:
            row |= measure(task, genotype, seed, rate)
            row |= {"table_validation": table.query(genotype)}
            row |= {"table_test": table.query(genotype, split="test")}
            ledger.append(path, row)
            done[key(row)] = row
            trained += 1
        return done[key(row)]

    for group, i in chosen(table, cells, peers):
        trials = [trained_row(group, i, "rate", rate, TRIAL_SEED) for rate in rates]
        for seed in range(seeds):
            trained_row(group, i, "final", best_rate(trials), seed)
    return trained


def report(rows):
    """Kendall's tau over the twelve, and the best beside its peers; one line each."""
    cells = {}
    rows = [row for row in rows if row.get("kind") == "final"]
    for row in rows:
        cells.setdefault((row["group"], row["cell"]), []).append(row)
    twelve = [found for (group, _), found in cells.items() if group == "quantile"]
    if len(twelve) < 3:
        return f"{len(rows)} trainings so far: too few cells for a ranking"
    before = [found[0]["table_validation"] for found in twelve]
    after = [statistics.mean(row["test"] for row in found) for found in twelve]
    tau, low, high = one_shot.agreement(before, after)
    lines = [
        f"{len(rows)} trainings, {len(twelve)} cells across the quantiles",
        f"tau of table and larger network: {tau:.2f} ({low:.2f} to {high:.2f})",
        f"the best of the table: {max(zip(before, after, strict=True))[1]:.3f}",
    ]
    for (group, cell), found in cells.items():
        if group == "random":
            mean = statistics.mean(row["test"] for row in found)
            lines.append(f"random, equal multiply-adds: {mean:.3f}  {cell}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    table = tabular.load()
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        print(f"{run(table)} trained")
    print(report([row for row in read() if row["table"] == name_of(table)]))


if __name__ == "__main__":
    main()
