"""Steps, rate and crops of the second table: a pilot of 30 cells.

    python data/ablations/pilot.py "rate 0.05"      # trains one setting; see SETTINGS
    python data/ablations/pilot.py --report         # what the rows say so far

Fifteen cells at equal steps of the first table's ranking, from the worst to the best,
and fifteen at equal steps of its best tenth; three trainings each, with random numbers
of their own. Two numbers choose. Over the first fifteen: the standard deviation of the
cells' means, against the mean one of a cell's trainings. Over the other fifteen: how
well one training tells the order of the best (`tabular.foresight`).

A row a training is appended to pilot.jsonl; cells that are there are skipped.
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
import numpy as np  # noqa: E402
import torch  # noqa: E402

from lib.nas import tabular  # noqa: E402

ROWS = HERE / "pilot.jsonl"
HALF = 15  # cells over all ranks, and as many over the best tenth
# The epochs are quarters of a training: 1,024 crops in batches of 64 are 16 steps.
# fmt: off
SETTINGS = {
    "192 steps, rate 0.05, difficulty 0.3": {
        "train": 3072, "lr": 0.05, "difficulty": 0.3,
    },
    "384 steps, rate 0.1, difficulty 0.3": {
        "train": 6144, "lr": 0.1, "difficulty": 0.3,
    },
    "384 steps, rate 0.1, difficulty 0.5, 4,000 test crops": {
        "train": 6144, "lr": 0.1, "difficulty": 0.5, "test": 4000,
    },
    "384 steps, rate 0.2, difficulty 0.5, 4,000 test crops": {
        "train": 6144, "lr": 0.2, "difficulty": 0.5, "test": 4000,
    },
    "768 steps of 32 crops, rate 0.1, difficulty 0.5, 4,000 test crops": {
        "train": 6144, "batch": 32, "lr": 0.1, "difficulty": 0.5, "test": 4000,
    },
}
# fmt: on


def task_of(name):
    """The task of a setting: the first table's, but for what the setting says."""
    own = {"seeds": 3, "own_seeds": True, "norm_momentum": 0.1}
    return tabular.Task(**(own | SETTINGS[name]))


def chosen(table, half=HALF):
    """Pairs (group, cell's text); those that come first are spread over all ranks."""
    score = [table.query(genotype, split="test") for genotype in table.genotypes]
    order = sorted(range(len(table)), key=score.__getitem__)
    tenth = order[-(len(order) // 10) :]
    pairs = []
    for i in (7 * j % half for j in range(half)):  # 7 and 15: every place once
        for group, ranks in (("all", order), ("best", tenth)):
            row = ranks[round(i * (len(ranks) - 1) / (half - 1))]
            pairs.append((group, str(table.genotypes[row].normal)))
    return pairs


def run(table, name, path=ROWS, groups=("all", "best"), most=None):
    """Train what is missing of a setting and append it; returns the number of cells.

    `most`: how many cells at most.
    """
    task = task_of(name)
    done = {(row["setting"], row["cell"]) for row in ledger.read(path)}
    trained = 0
    for group, text in chosen(table):
        if group not in groups or (name, text) in done:
            continue
        if trained == most:
            break
        for row in tabular.measure_side_by_side(task, text):
            del row["crc"]
            ledger.append(path, {"setting": name, **row})
        done.add((name, text))
        trained += 1
    return trained


def accuracies(rows, name, texts, split="test"):
    """Accuracies after the last epoch (cells, seeds), of the cells that have all."""
    task = task_of(name)
    found = {}
    for row in rows:
        if row["setting"] == name:
            share = row[split][-1] / getattr(task, split)
            found.setdefault(row["cell"], []).append(share)
    return np.array([found[t] for t in texts if len(found.get(t, ())) == task.seeds])


def line(label, over_all, best, seconds):
    """What a setting, or the first table, says about these cells."""
    said = f"{label}: {seconds:.1f} s a training"
    if len(over_all) > 2:
        between, within = tabular.spread(over_all)
        tau = tabular.foresight(over_all, over_all)
        said += f"; {len(over_all)} cells: mean {over_all.mean():.3f}"
        said += f", between {between:.3f}, within {within:.4f}"
        said += f", ratio {between / within:.1f}, tau {tau:.2f}"
    if len(best) > 2:
        between, within = tabular.spread(best)
        tau = tabular.foresight(best, best)
        said += f"; {len(best)} of the best tenth: mean {best.mean():.3f}"
        said += f", between {between:.4f}, within {within:.4f}, tau {tau:.2f}"
    return said


def report(table, rows):
    """The two numbers of the first table and of each setting, a line each."""
    groups = {"all": [], "best": []}
    for group, text in chosen(table):
        groups[group].append(text)
    row_of = {str(g.normal): i for i, g in enumerate(table.genotypes)}
    final = table.accuracy["test"][:, :, -1]
    first = [final[[row_of[t] for t in texts]] for texts in groups.values()]
    lines = [line("the first table", *first, 1.6)]
    for name in dict.fromkeys(row["setting"] for row in rows):
        if name not in SETTINGS:
            continue
        told = [accuracies(rows, name, texts) for texts in groups.values()]
        seconds = [row["seconds"] for row in rows if row["setting"] == name]
        lines.append(line(name, *told, np.mean(seconds)))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setting", nargs="*", choices=[*SETTINGS, []])
    parser.add_argument("--groups", nargs="+", default=["all", "best"])
    parser.add_argument("--cells", type=int, help="so many cells at most")
    parser.add_argument("--report", action="store_true", help="train nothing")
    asked = parser.parse_args()
    table = tabular.load(tabular.FIRST_TABLE)
    torch.set_num_threads(1)
    for name in asked.setting:
        trained = run(table, name, groups=asked.groups, most=asked.cells)
        print(f"{name}: {trained} cells trained")
    print(report(table, ledger.read(ROWS)))


if __name__ == "__main__":
    main()
