"""Cheap scores of all cells of the table's space: no table is read here.

    python data/ablations/proxies.py            # about 12 minutes, one CPU thread
    python data/ablations/proxies.py --report   # Kendall's tau against the table

Chapter 09 scores a few cells while you wait; this scores every cell, with seeds 0, 1
and 2: synaptic flow and Jacobian covariance of the networks that the table starts from
(`tabular.network`), and the paths of a supernet. DARTS gives one cell a seed, with the
accuracy of its mixture and of that cell with the shared weights.

The settings were chosen before there was a table, by the loss of the supernet on the
training crops and the accuracy of eight of its paths on the validation crops: 300 steps
left it near chance at any learning rate from 0.01 to 0.3, 1,500 steps at 0.05 did not.
Nothing was changed after a look at a tau.

All of them learn on the crops of the first table's task, which are clean; the truth of
`--report` is the shipped table. On the shipped table's own crops, at difficulty 0.5,
1,500 steps leave the best path of a supernet at 0.25, and its tau with that truth is
0.39, where clean crops give 0.57.

A row a score and seed is appended to proxies.jsonl, the cells in the order of
`search_space.enumerate_cells`. Rows that are there are skipped, so it may be stopped at
any time; a line that a kill has cut is passed over.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import torch  # noqa: E402

from lib.basics import training  # noqa: E402
from lib.nas import one_shot, search_space, tabular  # noqa: E402

ROWS = HERE / "proxies.jsonl"
SEEDS = 3
STEPS, LR = 1500, 0.05  # of the supernet
DARTS_STEPS, ALPHA_LR = 100, 0.1  # published: some 20,000 steps, 3e-4
BATCH = 64  # crops for the Jacobian


def cells_of(task):
    cells = search_space.enumerate_cells(task.space)
    return [search_space.Genotype(cell, cell) for cell in cells]


def supernet(task, seed):
    """A supernet of the size of the table's networks."""
    width = {"filters": task.filters, "stem_filters": task.stem_filters}
    return one_shot.Supernet(task.space, cells=1, seed=seed, **width)


def synflow(task, seed):
    shape = (3, task.size, task.size)
    networks = (tabular.network(task, cell, seed) for cell in cells_of(task))
    return {"scores": [one_shot.synflow(network, shape) for network in networks]}


def jacobian(task, seed):
    images = tabular.crops(task, "train")[0][:BATCH]
    networks = (tabular.network(task, cell, seed) for cell in cells_of(task))
    return {"scores": [one_shot.jacobian_covariance(n, images) for n in networks]}


def paths(task, seed):
    """One supernet, trained path by path, then every cell scored with its weights."""
    net, loss_fn = supernet(task, seed), one_shot.path_loss(task.space, seed)
    training.fit(
        net, tabular.crops(task, "train"), loss_fn, steps=STEPS, batch_size=task.batch,
        lr=LR, seed=seed, every=10**9, progress=False,
    )  # fmt: skip
    held_out = tabular.crops(task, "validation")
    scores = [one_shot.accuracy(net.inherit(c), *held_out) for c in cells_of(task)]
    return {"scores": [round(score, 4) for score in scores], "steps": STEPS}


def darts(task, seed):
    """Half of the training crops move the weights, the rest alpha, as published."""
    images, labels = tabular.crops(task, "train")
    half = len(labels) // 2
    relaxation, net = one_shot.Relaxation(task.space), supernet(task, seed)
    rest = images[half:], labels[half:]
    loss_fn = one_shot.darts_loss(relaxation, rest, ALPHA_LR, seed)
    training.fit(
        net, (images[:half], labels[:half]), loss_fn, steps=DARTS_STEPS,
        batch_size=task.batch, lr=LR, seed=seed, every=10**9, progress=False,
    )  # fmt: skip
    genotype, held_out = relaxation.genotype(), tabular.crops(task, "validation")
    return {
        "cell": str(search_space.canonical(genotype.normal)),
        "mixture": one_shot.accuracy(net, *held_out, relaxation.choice()),
        "alone": one_shot.accuracy(net.inherit(genotype), *held_out),
        "steps": DARTS_STEPS,
    }


KINDS = {"synflow": synflow, "jacobian": jacobian, "supernet": paths, "darts": darts}


def read(path=None):
    """The rows that are there; a line cut by a kill is left out."""
    return ledger.read(Path(path or ROWS))


def run(task, path=None, kinds=KINDS, seeds=SEEDS):
    """Make what is missing and append it, a line at a time; returns how many."""
    path, made = Path(path or ROWS), 0
    about = {"task": task.settings()}
    done = {(r["kind"], r["seed"]) for r in read(path) if r["task"] == about["task"]}
    for seed in range(seeds):
        for kind, score in kinds.items():
            if (kind, seed) in done:
                continue
            row = {"kind": kind, "seed": seed, **score(task, seed), **about}
            ledger.append(path, row)
            made += 1
    return made


def report(table, rows):
    """A line for each row: tau against the mean test accuracy, or what DARTS found."""
    truth = [table.query(cell, split="test") for cell in cells_of(table.task)]
    lines = []
    for row in rows:
        if row["kind"] == "darts":
            found = table.query(search_space.from_text(row["cell"]), split="test")
            said = f"mixture {row['mixture']:.3f}, alone {row['alone']:.3f}, trained"
            lines.append(f"darts {row['seed']}: {said} {found:.3f}  {row['cell']}")
            continue
        tau, low, high = one_shot.agreement(row["scores"], truth)
        name = f"{row['kind']} {row['seed']}"
        lines.append(f"{name}: tau {tau:.2f} ({low:.2f} to {high:.2f})")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if parser.parse_args().report:
        print(report(tabular.load(), read()))
        return
    torch.set_num_threads(1)
    print(f"{run(tabular.Task())} rows made")


if __name__ == "__main__":
    main()
