"""Children trained an hour: ours, the plain way, and timm's NASNet cells.

    python tests/benchmarks/bench_children.py

One thread, in turns, pictures in memory, CPU time of the process. The recipe is that of
the table of chapter 06. "plain" trains the same cells in contiguous layout with
PyTorch's default SGD; both take batches of 64 and see the same pictures in the same
order, so their accuracy is equal but for rounding. "side by side" trains four seeds of
a cell as one network, as the second table is made; its seconds are those of one child.
A fourth way trades: batches of 128 take less time for as many pictures, and learn less.
Then single training steps of wider children, on crops of 16 pixels: least CPU time of
several, sum over the cells. Aim: side by side at least 2.5 times as many children an
hour as the plain way, at equal accuracy.
"""

import json
import random
import statistics
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402
from timm.models import nasnet as theirs  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.nas import (  # noqa: E402
    cells, nasnet, replicas, search, search_space, tabular,
)  # fmt: skip

ROWS = ROOT / "build" / "bench" / "children.jsonl"
CHILDREN = 10
REPLICAS = 4  # of them side by side
TASK = tabular.Task()
WIDTH = TASK.filters
BUILD = partial(tabular.network, TASK)


def plain_child(genotype, train, validation) -> float:
    """What one writes first: no thought of layout or optimizer."""
    child = BUILD(genotype).to(memory_format=torch.contiguous_format)
    groups = training.parameter_groups(child, 5e-4)
    optimizer = torch.optim.SGD(groups, TASK.lr, 0.9, nesterov=True)
    settings = {"batch_size": 64, "optimizer": optimizer, "every": 10**9}
    settings |= {"epochs": TASK.epochs, "progress": False}
    training.fit(child, train, nasnet.loss_fn, **settings)
    return training.accuracy(child, *validation)


def our_child(genotype, train, validation, batch_size=64) -> float:
    """As the chapter trains it."""
    settings = {"epochs": TASK.epochs, "lr": TASK.lr, "batch_size": batch_size}
    return search.train_child(genotype, train, validation, build=BUILD, **settings)


def children_side_by_side(genotype, train, validation) -> float:
    """Four seeds of a cell as one network; the accuracy of seed 0, as elsewhere."""
    seeds = range(REPLICAS)
    model = replicas.side_by_side([BUILD(genotype, seed) for seed in seeds])
    settings = {"epochs": TASK.epochs, "batch_size": 64, "lr": TASK.lr}
    replicas.train(model, train, seeds, **settings)
    right = replicas.right(model, *validation, REPLICAS)
    return right[0] / len(validation[0])


def step_seconds(genotype, width: int, layout, fused: bool, rounds: int = 6) -> float:
    """Least CPU time of one training step on 64 crops of 16 pixels."""
    model = nasnet.network(genotype, cells=1, filters=width).train()
    model.to(memory_format=layout)
    groups = training.parameter_groups(model, 5e-4)
    optimizer = torch.optim.SGD(groups, 0.1, 0.9, nesterov=True, fused=fused)
    batch, times = data.crops("train", 64), []
    for _ in range(rounds):
        began = time.process_time()
        optimizer.zero_grad()
        nasnet.loss_fn(model, batch)[0].backward()
        optimizer.step()
        times.append(time.process_time() - began)
    return min(times)


def cell_step(module, batch: int):
    """A function: forward and backward of one cell on noise."""
    shape = (batch, 6 * WIDTH, 16, 16)
    inputs = [torch.randn(shape), torch.randn(shape)]
    if next(module.parameters()).is_contiguous(memory_format=torch.channels_last):
        inputs = [x.to(memory_format=torch.channels_last) for x in inputs]

    def step():
        module.zero_grad()
        module(*inputs).square().mean().backward()

    return step


def main() -> int:
    """Measure, print the tables, append one row."""
    torch.set_num_threads(1)
    train, validation = (tabular.crops(TASK, s) for s in ("train", "validation"))
    rng = random.Random(0)
    genotypes = [search_space.sample(search_space.SMALL, rng) for _ in range(CHILDREN)]
    ways = {"plain": plain_child, "ours": our_child}
    ways["side by side"] = children_side_by_side
    at_once = {"side by side": REPLICAS}
    ways["ours, batches of 128"] = partial(our_child, batch_size=128)
    seconds, reached = ({name: [] for name in ways} for _ in range(2))
    for turn, genotype in enumerate(genotypes):
        first = turn % len(ways)
        for name in [*ways][first:] + [*ways][:first]:
            began = time.process_time()
            reached[name].append(ways[name](genotype, train, validation))
            each = (time.process_time() - began) / at_once.get(name, 1)
            seconds[name].append(each)
    print(f"{CHILDREN} cells of SMALL, {TASK.epochs} epochs of {len(train[0])} crops")
    print("| way | seconds a child | children an hour and core | mean accuracy |")
    print("|---|---|---|---|")
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    for name in ways:
        each, accuracy = (
            statistics.mean(seconds[name]),
            statistics.mean(reached[name]),
        )
        print(f"| {name} | {each:.2f} | {3600 / each:.0f} | {accuracy:.3f} |")
        record[name] = {"seconds": round(each, 3), "accuracy": round(accuracy, 4)}
    for name, key in (("ours", "ratio"), ("side by side", "ratio side by side")):
        pairs = zip(seconds["plain"], seconds[name], strict=True)
        record[key] = round(statistics.median(a / b for a, b in pairs), 3)
        print(f"{name} / plain, median of the pairs: {record[key]:.2f}")
    for width in (8, 12, 16, 24):
        plain, ours = (
            sum(step_seconds(g, width, layout, fused) for g in genotypes[:4])
            for layout, fused in (
                (torch.contiguous_format, False), (torch.channels_last, True)
            )
        )  # fmt: skip
        record[f"step at width {width}"] = round(plain / ours, 3)
        print(f"training steps at F = {width}, ours / plain: {plain / ours:.2f}")
    normal, channels = search_space.NASNET_A.normal, 6 * WIDTH
    ours = cells.NASNetCell(normal, WIDTH, channels, channels)
    timm = theirs.NormalCell(channels, WIDTH, channels, WIDTH, pad_type="same")
    steps = {
        "timm, as it comes, 64": cell_step(timm, 64),
        "ours, 128": cell_step(ours.to(memory_format=torch.channels_last), 128),
    }
    found = list(profiling.interleave(steps, repeats=9).values())
    record["timm cell"] = round(2 * found[0].median / found[1].median, 3)
    print(f"NASNet-A's normal cell, pictures an hour: {record['timm cell']:.2f} timm's")
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(record | {"torch": torch.__version__}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
