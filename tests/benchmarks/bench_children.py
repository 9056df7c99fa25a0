"""Children trained an hour: ours, the plain way, and timm's NASNet cells.

    python tests/benchmarks/bench_children.py

One thread, in turns, pictures in memory, CPU time of the process. "plain" trains the
same cells in contiguous layout with PyTorch's default SGD; both take batches of 64 and
see the same pictures, so their accuracy is equal but for rounding. A third way trades:
batches of 128 are faster still and learn less from as many pictures. Aim: at least 2.0
times as many children an hour as the plain way, at equal accuracy.
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

from lib import cells, data, nasnet, profiling, search, search_space  # noqa: E402
from lib import training  # noqa: E402

ROWS = ROOT / "build" / "bench" / "children.jsonl"
CHILDREN, EPOCHS, WIDTH = 6, 6, 8


def plain_child(genotype, train, validation) -> float:
    """What one writes first: no thought of layout, batch or optimizer."""
    torch.manual_seed(0)
    child = nasnet.network(genotype, cells=1, filters=WIDTH)
    child.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(
        training.parameter_groups(child, 5e-4), 0.15, 0.9, nesterov=True
    )
    settings = {"batch_size": 64, "optimizer": optimizer, "every": 10**9}
    training.fit(
        child, train, nasnet.loss_fn, epochs=EPOCHS, progress=False, **settings
    )
    return training.accuracy(child, *validation)


def our_child(genotype, train, validation, batch_size=64) -> float:
    settings = {"epochs": EPOCHS, "filters": WIDTH, "lr": 0.15}
    return search.train_child(
        genotype, train, validation, batch_size=batch_size, **settings
    )


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
    small = {"size": 12, "difficulty": 0.2}
    train = data.crops("train", 2048, **small)
    validation = data.crops("validation", 1000, **small)
    rng = random.Random(0)
    genotypes = [search_space.sample(search_space.SMALL, rng) for _ in range(CHILDREN)]
    ways = {"plain": plain_child, "ours": our_child}
    ways["ours, batches of 128"] = partial(our_child, batch_size=128)
    seconds, reached = ({name: [] for name in ways} for _ in range(2))
    for turn, genotype in enumerate(genotypes):
        first = turn % len(ways)
        for name in [*ways][first:] + [*ways][:first]:
            began = time.process_time()
            reached[name].append(ways[name](genotype, train, validation))
            seconds[name].append(time.process_time() - began)
    print(f"{CHILDREN} cells of SMALL, {EPOCHS} epochs of {len(train[0])} crops")
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
    pairs = zip(seconds["plain"], seconds["ours"], strict=True)
    ratios = [a / b for a, b in pairs]
    record["ratio"] = round(statistics.median(ratios), 3)
    print(f"ours / plain, median of the pairs: {record['ratio']:.2f} (aim 2.0)")
    normal, channels = search_space.NASNET_A.normal, 6 * WIDTH
    ours = cells.Cell(normal, WIDTH, channels, channels)
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
