"""Post-processing beside effdet's, at the sizes of D0, 90 classes.

    python tests/benchmarks/bench_decoding.py

One thread, in turns, batch 1. Outputs are random; "trained" has most logits far below
zero and a few thousand that overlap on some objects, as a detector gives. In
`channels_last` the outputs lie in memory as our detector makes them. Aim: at most 1.0
of effdet's time.
"""

import json
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # effdet scripts functions when it is imported
    from effdet import bench as theirs  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.detection import anchors, decoding  # noqa: E402

ROWS = ROOT / "build" / "bench" / "decoding.jsonl"
SIDE, CLASSES = 512, 90


def outputs(kind: str, layout):
    """Class and box outputs of five levels."""
    generator = torch.Generator().manual_seed(0)
    classes, codes = [], []
    for side in (64, 32, 16, 8, 4):
        logits = torch.randn(1, 9 * CLASSES, side, side, generator=generator)
        if kind == "trained":
            logits = logits - 9
            centre = slice(side // 4, side // 4 + 3)
            logits[:, :: CLASSES // 3, centre, centre] += 8
        classes.append(logits.to(memory_format=layout))
        code = torch.randn(1, 36, side, side, generator=generator) / 5
        codes.append(code.to(memory_format=layout))
    return classes, codes


def effdet_way(boxes, soft):
    """A function of (classes, codes) as effdet's bench calls its own parts."""
    size, scale = torch.tensor([[SIDE, SIDE]]).float(), torch.ones(1)

    def run(classes, codes):
        picked = theirs._post_process(classes, codes, len(classes), CLASSES)
        logits, chosen, places, labels = picked
        return theirs._batch_detection(
            1, logits, chosen, boxes, places, labels, scale, size, soft_nms=soft
        )

    return run


@torch.no_grad()
def main() -> int:
    """Measure, print the table, append one row."""
    torch.set_num_threads(1)
    ours_boxes = anchors.anchors((SIDE, SIDE))
    theirs_boxes = ours_boxes[:, [1, 0, 3, 2]].contiguous()  # y before x
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    print("| outputs | layout | NMS | effdet ms | ours ms | ours / theirs |")
    print("|---|---|---|---|---|---|")
    for kind in ("random", "trained"):
        for name in ("contiguous_format", "channels_last"):
            classes, codes = outputs(kind, getattr(torch, name))
            for nms in ("hard_nms", "soft_nms"):
                other = effdet_way(theirs_boxes, nms == "soft_nms")
                suppress = getattr(decoding, nms)
                pair = {
                    "effdet": lambda c=classes, b=codes, f=other: f(c, b),
                    "ours": lambda c=classes, b=codes, s=suppress: decoding.postprocess(
                        c, b, ours_boxes, [(SIDE, SIDE)], suppress=s
                    ),
                }
                repeats = 9 if nms == "hard_nms" else 3
                found = profiling.interleave(pair, repeats=repeats)
                row = {k: round(found[k].median, 2) for k in pair}
                ratio = row["ours"] / row["effdet"]
                print(f"| {kind} | {name} | {nms} | {row['effdet']} | ", end="")
                print(f"{row['ours']} | {ratio:.2f} |", flush=True)
                record[f"{kind} {name} {nms}"] = row
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(record | {"torch": torch.__version__}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
