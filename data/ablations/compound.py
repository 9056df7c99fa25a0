"""Deeper, wider or sharper? Compound scaling on digit crops.

    python data/ablations/compound.py            # about 13 minutes, one CPU thread
    python data/ablations/compound.py --report   # what the rows say so far

EfficientNet's own question, on a tiny network of the same blocks. Two experiments:

grid     The price may double once. Depth gets a share a of that doubling, width b and
         resolution c, with a + b + c = 1: alpha = 2 ** a, beta = 2 ** (b / 2), gamma =
         2 ** (c / 2), so that alpha * beta**2 * gamma**2 = 2. Shares in thirds: ten
         points.
fourfold The price may double twice: depth only, width only, resolution only, and the
         compound of equal shares. And the base network itself.

Channels come in twos, blocks in ones, sides in pixels, so a network is stretched along
its direction until its counted multiply-adds come nearest to two or four times those
of the base; each row says what they came to. Pictures of all sides are shrunk from the
same crops. Seeds 0, 1 and 2 give first weights and order. Learning rate and difficulty
were set in a short pilot, mostly of the base network, that looked at test accuracy; not
for each network anew. A grid is to be read on the validation split, what it found is to
be judged on the test split.

A row a training is appended to compound.jsonl. Rows that are there are skipped, so it
may be stopped at any time; a line that a kill has cut is passed over. Rows of other
settings do not count.
"""

import argparse
import json
import math
import os
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.detection import efficientnet  # noqa: E402

ROWS = HERE / "compound.jsonl"
SEEDS = 3
THIRDS = [(a, b, 3 - a - b) for a in range(4) for b in range(4 - a)]
SETTINGS = {
    "stages": [[3, 1, 1, 8, 2], [3, 2, 3, 12, 3], [3, 2, 3, 20, 3]],
    "stem": 8,
    "head": 64,
    "side": 16,
    "largest": 32,  # side of the crops from which all pictures are shrunk
    "difficulty": 0.5,
    "train": 3000,
    "validation": 2000,
    "test": 2000,
    "epochs": 6,
    "batch": 64,
    "lr": 0.3,
    "momentum": 0.2,  # of the batch norms
}


def network(depth, width, settings):
    """The base network, scaled; without drop path and dropout, for so few steps."""
    return efficientnet.efficientnet(
        "b0", 10, **fields(depth, width, settings), stem_stride=1, drop_path=0.0,
        dropout=0.0, momentum=settings["momentum"],
    )  # fmt: skip


def fields(depth, width, settings):
    """What the configurations of all networks of this experiment share."""
    stages = tuple(map(tuple, settings["stages"]))
    ends = {"stem_filters": settings["stem"], "head_filters": settings["head"]}
    return {"stages": stages, "depth": depth, "width": width, "divisor": 2, **ends}


def price(depth, width, side, settings):
    """Multiply-adds of one picture."""
    with torch.device("meta"):
        model = network(depth, width, settings)
        return profiling.macs(model, torch.zeros(1, 3, side, side))


def stretched(shares, times, settings):
    """Depth, width, side and multiply-adds: `times` the price, along `shares`."""
    base = price(1, 1, settings["side"], settings)
    a, b, c = (share / sum(shares) for share in shares)
    tried = {}
    for i in range(60, 141):  # from 0.6 to 1.4 of the doublings asked for
        t = math.log2(times) * i / 100
        depth, width = round(2 ** (a * t), 4), round(2 ** (b * t / 2), 4)
        side = round(settings["side"] * 2 ** (c * t / 2))
        if side > settings["largest"]:
            break
        model = network_rows(depth, width, settings), side
        if model not in tried:
            cost = price(depth, width, side, settings)
            tried[model] = abs(math.log(cost / base / times)), depth, width, side, cost
    return min(tried.values())[1:]


def network_rows(depth, width, settings):
    """What the network is built of: two scales may give the same."""
    config = efficientnet.Config(**fields(depth, width, settings))
    return *config.ends(), *config.rows()


def plan():
    """(experiment, shares in thirds, times the price)."""
    return [
        ("base", (1, 1, 1), 1),
        *(("fourfold", s, 4) for s in ((3, 0, 0), (0, 3, 0), (0, 0, 3), (1, 1, 1))),
        *(("grid", shares, 2) for shares in THIRDS),
    ]


def pictures(split, side, settings):
    """Crops of one split, shrunk to a side, and their labels."""
    largest, n = settings["largest"], settings[split]
    images, labels = data.crops(
        split, n, size=largest, difficulty=settings["difficulty"]
    )
    if side == largest:
        return images, labels
    small = F.interpolate(images.float(), side, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8), labels


def measure(depth, width, side, seed, settings):
    """One training: accuracy on two splits, size, and CPU-seconds."""
    torch.manual_seed(seed)
    model = network(depth, width, settings)
    begin = os.times()
    training.fit(
        model, pictures("train", side, settings), training.classification_loss(),
        epochs=settings["epochs"], batch_size=settings["batch"], lr=settings["lr"],
        seed=seed, every=10**9, progress=False,
    )  # fmt: skip
    end = os.times()
    found = {
        split: training.accuracy(model, *pictures(split, side, settings))
        for split in ("validation", "test")
    }
    return found | {
        "parameters": profiling.parameters(model),
        "seconds": round(end.user + end.system - begin.user - begin.system, 1),
    }


def read(path=None):
    """The rows that are there; a line cut by a kill is left out."""
    return ledger.read(Path(path or ROWS))


def key(row):
    return json.dumps(row["settings"]), row["times"], tuple(row["shares"]), row["seed"]


def run(settings=None, path=None, seeds=SEEDS):
    """Train what is missing and append it, a line at a time; returns how many."""
    path, settings = Path(path or ROWS), settings or SETTINGS
    done, trained = {key(row) for row in read(path)}, 0
    jobs = [(*job, seed) for seed in range(seeds) for job in plan()]
    for experiment, shares, times, seed in sorted(jobs, key=lambda j: j[0] == "grid"):
        row = {"experiment": experiment, "shares": shares, "times": times}
        row |= {"seed": seed, "settings": settings}
        if key(row) in done:
            continue
        depth, width, side, macs = stretched(shares, times, settings)
        row |= {"depth": depth, "width": width, "side": side, "macs": macs}
        row |= measure(depth, width, side, seed, settings)
        ledger.append(path, row)
        trained += 1
    return trained


def report(rows):
    """A line for every network: what it is, what it costs, what it reaches."""
    found = {}
    for row in rows:
        found.setdefault((row["times"], *row["shares"]), []).append(row)
    lines = [f"{len(rows)} trainings, {sum(r['seconds'] for r in rows):.0f} CPU-s"]
    for (times, *shares), group in sorted(found.items()):
        first, tests = group[0], [row["test"] for row in group]
        lines.append(
            f"{times}x, shares {shares}: depth {first['depth']:.2f}, width"
            f" {first['width']:.2f}, side {first['side']}, {first['macs'] / 1e6:.2f} M,"
            f" {statistics.mean(tests):.4f} of {', '.join(f'{t:.4f}' for t in tests)}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        print(f"{run()} trained")
    print(report([row for row in read() if row["settings"] == SETTINGS]))


if __name__ == "__main__":
    main()
