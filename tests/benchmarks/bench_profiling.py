"""What counting costs: `macs` and `peak_memory` beside one forward pass.

    python tests/benchmarks/bench_profiling.py

Both walk through a forward pass in Python, operator by operator, so they are slower
than the pass itself; on the meta device they compute nothing. Ratios in one run, to the
plain pass of ResNet-18 on a 224x224 picture.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402
from torchvision.models import resnet18  # noqa: E402

from lib.basics import profiling  # noqa: E402

ROWS = ROOT / "build" / "bench" / "profiling.jsonl"


def main() -> int:
    """Measure, print the table, append one row."""
    model, x = resnet18().eval(), torch.zeros(1, 3, 224, 224)
    meta, nothing = resnet18().to("meta"), x.to("meta")
    with torch.no_grad():
        found = profiling.interleave(
            {
                "forward pass": lambda: model(x),
                "macs": lambda: profiling.macs(model, x),
                "macs on meta": lambda: profiling.macs(meta, nothing),
                "peak_memory": lambda: profiling.peak_memory(model, x),
                "peak_memory on meta": lambda: profiling.peak_memory(meta, nothing),
            },
            repeats=9,
        )
    base = found["forward pass"].median
    print("| what | median ms | IQR ms | / forward pass |")
    print("|---|---|---|---|")
    for name, one in found.items():
        print(
            f"| {name} | {one.median:.1f} | {one.iqr:.1f} | {one.median / base:.2f} |"
        )
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    row = {name: round(one.median, 3) for name, one in found.items()}
    row |= {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    row |= {"torch": torch.__version__, "threads": 1}
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
