"""NASNet-A beside timm's: the large network's forward pass, a small cell's training.

    python tests/benchmarks/bench_nasnet.py

One thread, in turns. "plain" is our own network in contiguous layout with batches of
64; "ours" is as `nasnet.network` makes it, with batches of 128. Times of training are
for one picture, forward and backward. Aims: the large network at most 1.0 of timm's
time; pictures at least 2.0 times as fast as the plain way.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
import timm  # noqa: E402
import torch  # noqa: E402
from timm.models import nasnet as theirs  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.nas import cells, nasnet, search_space  # noqa: E402

ROWS = ROOT / "build" / "bench" / "nasnet.jsonl"
SIDE, FILTERS = 16, 16


def training_step(model: nn.Module, batch: int, *shapes: int | None):
    """A function that runs `model` forward and backward on pictures of noise."""
    inputs = [torch.randn(batch, channels, SIDE, SIDE) for channels in shapes]

    def step():
        model.zero_grad()
        model(*inputs).square().mean().backward()

    return step


def child(layout: torch.memory_format) -> nn.Module:
    """A search child of three normal and two reduction cells."""
    model = nasnet.network(search_space.NASNET_A, cells=1, filters=FILTERS)
    return model.to(memory_format=layout)


def main() -> int:
    """Measure, print the table, append one row."""
    torch.manual_seed(0)
    rows = {}
    images = torch.randn(1, 3, 331, 331)
    large = {
        "timm": timm.create_model("nasnetalarge"),
        "ours": nasnet.nasnet_a("large"),
    }
    for model in large.values():
        model.eval()
    with torch.no_grad():
        forward = {k: lambda m=m: m(images) for k, m in large.items()}
        rows["large, forward at 331"] = profiling.interleave(forward, repeats=7)
    width = 6 * FILTERS
    ours = cells.NASNetCell(search_space.NASNET_A.normal, FILTERS, width, width)
    ours.to(memory_format=torch.channels_last)
    pair = {
        "timm": theirs.NormalCell(width, FILTERS, width, FILTERS, pad_type="same"),
        "ours": ours,
    }
    steps = {k: training_step(m, 128, width, width) for k, m in pair.items()}
    rows["one cell, training"] = profiling.interleave(steps, repeats=9)
    steps = {
        "plain": training_step(child(torch.contiguous_format), 64, 3),
        "ours": training_step(child(torch.channels_last), 128, 3),
    }
    rows["child, training, / 64 pictures"] = profiling.interleave(steps, repeats=9)
    print("| what | peer | peer ms | ours ms | ours / peer |")
    print("|---|---|---|---|---|")
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    for name, found in rows.items():
        peer = next(iter(found))
        scale = 2 if peer == "plain" else 1  # twice as many pictures
        mine, other = found["ours"].median / scale, found[peer].median
        print(f"| {name} | {peer} | {other:.1f} | {mine:.1f} | {mine / other:.2f} |")
        record[name] = {"peer ms": round(other, 2), "ours ms": round(mine, 2)}
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(record | {"torch": torch.__version__}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
