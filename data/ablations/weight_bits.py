"""How few bits the weights of a detector need, before anything is trained again.

    python data/ablations/weight_bits.py            # about 8 minutes, one CPU thread
    python data/ablations/weight_bits.py --report   # what the rows say so far

Weights only: norms are folded, every convolution's weights are rounded to a symmetric
grid, maps stay float32. `axis` is "tensor" (one grid for a layer) or "channel" (one for
each filter); `range` says who chose it: "min-max" or "mse". 32 bits are not rounded.
Nothing here is random but the scenes: seeds are three sets of 100 test scenes, the same
ones for all.

A row each is appended to weight_bits.jsonl, with the SHA-256 of the weights it began
with; rows that are there are skipped, so it may be stopped at any time.
"""

import argparse
import copy
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

from lib.basics import data  # noqa: E402
from lib.compression import deployed, quantize  # noqa: E402
from lib.detection import coco_eval, detectors  # noqa: E402

ROWS = HERE / "weight_bits.jsonl"
MODELS = "lite", "plain", "course"
SEEDS = 0, 1, 2
SCENES = 100
BITS = 8, 6, 5, 4, 3, 2
RANGES = {"min-max": quantize.MinMax, "mse": quantize.MSE}
FIELDS = "model", "bits", "axis", "range", "seed", "scenes", "weights"


def plan(models=MODELS, seeds=SEEDS, scenes=SCENES) -> list[dict]:
    """Every row's question, model by model."""
    jobs = []
    for model in models:
        for seed in seeds:
            some = {"model": model, "seed": seed, "scenes": scenes}
            jobs.append(some | {"bits": 32, "axis": "none", "range": "none"})
            for axis in ("tensor", "channel"):
                jobs += [some | {"bits": b, "axis": axis, "range": "min-max"}
                         for b in BITS]  # fmt: skip
            # A better range matters where steps are large.
            jobs += [some | {"bits": b, "axis": "channel", "range": "mse"}
                     for b in BITS[3:]]  # fmt: skip
    return jobs


def digest(model: str) -> str:
    """The SHA-256 of the shipped weights."""
    path = data.FOLDER / "weights" / f"detector_{model}.sha256"
    return path.read_text("ascii").split()[0]


def rounded(graph, bits: int, axis: str, who: str):
    """A copy of a deployed network with the weights of its layers on grids."""
    twin = copy.deepcopy(graph)
    for layer in twin.children():
        if isinstance(layer, deployed.LAYERS):
            watching = RANGES[who](0 if axis == "channel" else None)
            watching.observe(layer.weight)
            grid = watching.qparams(bits, symmetric=True)
            values = quantize.quantize(layer.weight.detach(), grid)
            layer.weight.data.copy_(quantize.dequantize(values, grid))
    return twin


def run(jobs=None, path=None) -> int:
    """Measure what is missing and append it, a line at a time; returns how many."""
    path = Path(path or ROWS)
    done = {tuple(row.get(f) for f in FIELDS) for row in ledger.read(path)}
    graphs, sets, measured = {}, {}, 0
    for job in jobs or plan():
        job = job | {"weights": digest(job["model"])}
        if tuple(job[f] for f in FIELDS) in done:
            continue
        name, where = job["model"], (job["seed"], job["scenes"])
        if name not in graphs:
            example = torch.zeros(2, 3, 128, 128)
            graphs[name] = deployed.deployed(detectors.shipped(name), example)
        if where not in sets:
            sets[where] = detectors.scenes("test", where[1], seed=where[0])
        model, scenes = graphs[name], sets[where]
        if job["bits"] < 32:
            model = rounded(model, job["bits"], job["axis"], job["range"])
        detections = coco_eval.detections(model, scenes)
        score = coco_eval.evaluate(scenes.coco(), detections)
        ledger.append(path, job | {"ap": score.ap, "ap50": score.ap50})
        measured += 1
    return measured


def report(rows: list[dict]) -> str:
    """A line for every model, bits and grid: mean AP and all of them."""
    groups = {}
    for row in rows:
        if row["weights"] == digest(row["model"]):
            kind = row["model"], row["axis"], row["range"], -row["bits"]
            groups.setdefault(kind, []).append(row["ap"])
    lines = []
    for (model, axis, who, bits), aps in sorted(groups.items()):
        several = ", ".join(f"{ap:.3f}" for ap in aps)
        mean = statistics.mean(aps)
        lines.append(f"{model} {-bits} bits, {axis}, {who}: {mean:.3f} of {several}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        print(f"{run()} measured")
    print(report(ledger.read(ROWS)))


if __name__ == "__main__":
    main()
