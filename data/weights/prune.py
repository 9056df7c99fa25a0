"""The pruned detector here: `plain` at half its multiply-adds.

    python data/weights/prune.py

How much each group loses (`capstone.GONE`) was asked group by group on validation
scenes, with widths in multiples of 16 (`ablations/channel_pruning.py`, "blocks"): the
block in which a CPU's fast kernels work, where 22 channels take as long as 32. Which
channels go says Taylor's importance on training scenes. What is left is trained again
on the scenes that the detector knows: 8,000 steps of 8 of them, which mend more than
4,200 steps of 16 (rows of both stand in pruned.jsonl). Seeds 0, 1 and 2: about 6
minutes of one CPU thread each. Expected: AP at most 0.01 below the unpruned one, on
1,000 test scenes.

The best seed on validation scenes is shipped; pruned.jsonl has the scores of all of
them. It may be stopped at any time: finished trainings and checkpoints stand in
build/weights, and the next call goes on.
"""

import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "ablations")]

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import prepare  # noqa: E402
import torch  # noqa: E402

from lib.basics import checkpoints, data, profiling, training  # noqa: E402
from lib.compression import channel_pruning  # noqa: E402
from lib.detection import detectors  # noqa: E402
from lib.road import capstone  # noqa: E402

SCORES = HERE / "pruned.jsonl"
MARK = "<!-- pruned -->"  # of the table in README.md
PRUNE = {"ratio": capstone.GONE, "multiple": 16, "importance": "taylor"}
LOOKED_AT = 128  # training scenes that Taylor's importance asks
TUNE = prepare.settings("detector", "plain")
TUNE |= {"batch": 8, "steps": 8000, "lr": 4e-3}
SEEDS = (0, 1, 2)


def start() -> str:
    """SHA-256 of the detector that is pruned."""
    return (HERE / "detector_plain.sha256").read_text("utf-8")[:64]


def pruned() -> tuple[torch.nn.Module, channel_pruning.Plan]:
    """The smaller network, before anything has mended it."""
    model = detectors.shipped("plain")
    x = torch.zeros(1, 3, *model.config.image_size)
    scenes = detectors.scenes("train", LOOKED_AT)
    batch = data.collate([scenes[i] for i in range(LOOKED_AT)])
    prepare.loss_of(model.config, TUNE)(model, batch)[0].backward()
    plan = channel_pruning.plan(model, x, **PRUNE)
    return channel_pruning.remove_channels(model, x, plan).train(), plan


def finished() -> dict[int, dict]:
    """The rows of today's settings and weights, by seed."""
    mine = about()
    rows = [row for row in ledger.read(SCORES) if mine.items() <= row.items()]
    return {row["seed"]: row for row in rows if file(row["seed"]).exists()}


def about() -> dict:
    return {"model": "plain", "start": start(), "prune": PRUNE, "tune": TUNE}


def file(seed: int):
    return prepare.BUILD / f"pruned_plain_{seed}.safetensors"


def train(seed: int) -> dict:
    """One row: prune, train, judge."""
    model, plan = pruned()
    torch.manual_seed(seed)
    begun = time.process_time()
    checkpoint = prepare.BUILD / f"pruned_plain_{seed}.pt"
    best, scores = prepare.learn_to_detect(model, TUNE, seed, checkpoint)
    training.save_weights(best, file(seed))
    seconds = round(time.process_time() - begun)
    costs = {"parameters": plan.parameters, "macs": plan.macs, "cpu_seconds": seconds}
    return ledger.append(SCORES, about() | {"seed": seed} | scores | costs)


def ship() -> int:
    """Copy the best seed on validation scenes here, and write the datasheet."""
    rows = finished()
    seed = max(rows, key=lambda seed: rows[seed]["validation"][0])
    model = detectors.detector("plain")
    x = torch.zeros(1, 3, *model.config.image_size)
    whole = profiling.macs(model, x)
    model = channel_pruning.load(model, file(seed), x)
    target = HERE / "detector_pruned.safetensors"
    checkpoints.save_weights(model, target)
    tests = [rows[seed]["test"][0] for seed in sorted(rows)]
    told = " ".join(f"{ap:.3f}" for ap in tests)
    seconds = statistics.median(row["cpu_seconds"] for row in rows.values())
    best = rows[seed]
    line = f"| `{target.name}` | {target.stat().st_size / 1000:.0f} |"
    line += f" {best['parameters']:,} | {best['macs'] / whole:.2f} | {told} |"
    line += f" {statistics.mean(tests):.3f} | seed {seed}, AP50 {best['test'][1]:.3f} |"
    head = "| file | kB | parameters | multiply-adds left | test, seed by seed | mean |"
    head += " shipped | CPU-s |\n|---|---|---|---|---|---|---|---|"
    sheet = HERE / "README.md"
    before, _, rest = sheet.read_text("utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    text = MARK.join([before, f"\n{head}\n{line} {seconds:.0f} |\n", after])
    sheet.write_text(text, encoding="utf-8")
    return seed


def main() -> None:
    torch.set_num_threads(1)
    for seed in SEEDS:
        row = finished().get(seed) or train(seed)
        said = f"AP {row['test'][0]:.3f} on test scenes, {row['validation'][0]:.3f}"
        print(f"seed {seed}: {said} on validation scenes; seed {ship()} is shipped")


if __name__ == "__main__":
    main()
