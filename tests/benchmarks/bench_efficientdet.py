"""D0 at 512 x 512 beside effdet's: a forward pass, a training step, their memory.

    python tests/benchmarks/bench_efficientdet.py

Both have the same random weights. Times in turns, with one thread and with two: the
forward pass of one picture, and forward and backward of two pictures with one simple
loss. Memory is the peak of a process of its own, less its peak before the first pass.
Aims: at most 0.9 of effdet's time, no more memory.
"""

import json
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.book import notebook  # noqa: E402
from lib.detection import efficientdet  # noqa: E402

ROWS = ROOT / "build" / "bench" / "efficientdet.jsonl"
SIDE = 512


def build(name: str) -> nn.Module:
    """D0 of effdet, or ours with its weights."""
    with warnings.catch_warnings():  # effdet scripts functions at import; torch warns
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))
        import effdet
    torch.manual_seed(0)
    config = effdet.get_efficientdet_config("tf_efficientdet_d0")
    theirs = effdet.EfficientDet(config, pretrained_backbone=False)
    if name == "effdet":
        return theirs
    return efficientdet.load_official(
        efficientdet.efficientdet("d0"), theirs.state_dict()
    )


def forward(model: nn.Module):
    """A function that runs one picture through the network."""
    images = torch.randn(1, 3, SIDE, SIDE)
    model.eval()

    def step():
        with torch.inference_mode():
            return model(images)

    return step


def training(model: nn.Module):
    """A function that runs two pictures forward and backward."""
    images = torch.randn(2, 3, SIDE, SIDE)
    model.train()

    def step():
        model.zero_grad()
        classes, codes = model(images)
        sum(output.square().mean() for output in (*classes, *codes)).backward()

    return step


TASKS = {"forward, 1 picture": forward, "training step, 2 pictures": training}


def memory(name: str, task: str) -> float:
    """The peak of a task, in a process of its own."""
    command = [sys.executable, __file__, "memory", name, task]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out)


def main() -> int:
    """Measure, print the table, append one row."""
    if sys.argv[1:2] == ["memory"]:
        step = TASKS[sys.argv[3]](build(sys.argv[2]))
        torch.set_num_threads(1)
        before = notebook.peak_bytes()
        for _ in range(3):
            step()
        print((notebook.peak_bytes() - before) / 1e6)
        return 0
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    print("| what | threads | effdet ms | ours ms | ours / effdet |")
    print("|---|---|---|---|---|")
    for task, make in TASKS.items():
        steps = {name: make(build(name)) for name in ("effdet", "ours")}
        for threads in (1, 2):
            found = profiling.interleave(steps, threads=threads, repeats=7)
            pairs = zip(found["ours"].times, found["effdet"].times, strict=True)
            ratio = torch.tensor([a / b for a, b in pairs]).median().item()
            ms = {name: round(f.median, 1) for name, f in found.items()}
            row = (task, threads, *ms.values(), f"{ratio:.2f}")
            print("|", " | ".join(map(str, row)), "|", flush=True)
            record[f"{task}, {threads} threads"] = ms | {"ratio": round(ratio, 3)}
    print("\n| what | effdet MB | ours MB |\n|---|---|---|")
    for task in TASKS:
        peak = {name: round(memory(name, task)) for name in ("effdet", "ours")}
        print(f"| {task} | {peak['effdet']} | {peak['ours']} |")
        record[f"{task}, MB"] = peak
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record | {"torch": torch.__version__}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
