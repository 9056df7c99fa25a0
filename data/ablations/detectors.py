"""Which backbone, which neck, which fusion: small detectors on equal terms.

    python data/ablations/detectors.py            # about 80 minutes, one CPU thread
    python data/ablations/detectors.py --part transfer   # or variants: to share it
    python data/ablations/detectors.py --report   # what the rows say so far

Everything starts from `lib.detectors`' `course` (the cell that the course found, BiFPN,
fast fusion) and changes one thing. Parameters agree within 3 %; each training gets the
same CPU time, 30 seconds for the backbone on digit crops and 120 for the detector on
scenes. A first pass measures in turns what a step of each costs; from it comes the
number of steps, so that trainings themselves do not depend on a clock.

Then the question of transfer: the twelve cells of transfer.py, from the worst to the
best of the shipped table, become backbones. Same filters, same number of steps.

Seeds 0, 1 and 2 (transfer: seed 0). AP is COCO's, on 200 test scenes. A row a training
is appended to detectors.jsonl; rows that are there are skipped, so it may be stopped at
any time. Rows of other settings do not count.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import prepare  # noqa: E402
import torch  # noqa: E402
import transfer  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.detection import bifpn, detectors, efficientnet  # noqa: E402
from lib.detection.efficientdet import Detector  # noqa: E402
from lib.nas import nasnet, one_shot, search_space, tabular  # noqa: E402

ROWS = HERE / "detectors.jsonl"
SEEDS = (0, 1, 2)
PARTS = ("variants", "transfer")
SECONDS = {"crops": 30, "scenes": 120}
CROPS = prepare.CROPS
SCENES = prepare.SCENES | {"ema": 0.99, "judged": 200}
COURSE = detectors.CONFIGS["course"]
STAGES = (  # EfficientNet's kind, with as many parameters as the cell's backbone
    efficientnet.Stage(3, 1, 1, 16, 1),
    efficientnet.Stage(3, 2, 4, 24, 1),
    efficientnet.Stage(3, 2, 4, 48, 1),
    efficientnet.Stage(3, 2, 4, 92, 1),
)


def cell_levels(text: str) -> nasnet.NasnetLevels:
    return nasnet.NasnetLevels(search_space.from_text(text), filters=12, levels=3)


def mbconv_levels() -> efficientnet.Features:
    return efficientnet.features("b0", stages=STAGES, stem_filters=16, drop_path=0.0)


# name: (question, backbone, configuration); "course" answers three of the questions
FOUND = str(search_space.FOUND.normal)
VARIANTS = {
    "course": ("", FOUND, COURSE),
    "mbconv": ("backbone", "mbconv", COURSE),
    "fpn": ("neck", FOUND, replace(COURSE, topology="fpn", width=40)),
    "panet": ("neck", FOUND, replace(COURSE, topology="panet")),
    "softmax": ("fusion", FOUND, replace(COURSE, fusion=bifpn.SoftmaxFusion)),
    "sum": ("fusion", FOUND, replace(COURSE, fusion=bifpn.SumFusion)),
}


def backbone(kind: str):
    return mbconv_levels() if kind == "mbconv" else cell_levels(kind)


def detector(kind: str, config, seed: int) -> Detector:
    torch.manual_seed(seed)
    return detectors.for_short_runs(Detector(backbone(kind), config))


def read(path=None) -> list[dict]:
    """The rows that are there; a line that a kill has cut is left out."""
    return ledger.read(Path(path or ROWS))


def find(rows: list[dict], about: dict) -> dict | None:
    return next((row for row in rows if about.items() <= row.items()), None)


def append(row: dict, path=None) -> dict:
    """Write a row, with device, torch and commit; returns it."""
    return ledger.append(Path(path or ROWS), row)


def clock(path=None, repeats: int = 7) -> dict[str, dict[str, float]]:
    """CPU milliseconds of one step, median, by variant: on crops and on scenes."""
    about = {"question": "clock", "batch": SCENES["batch"], "crops": CROPS["batch"]}
    if row := find(read(path), about):
        return row["milliseconds"]
    crops = detectors.crops("train", CROPS["batch"], 36)
    scenes = detectors.scenes("train", SCENES["batch"])
    batch = data.collate([scenes[i] for i in range(len(scenes))])
    steps, found = {}, {}
    for name, (_, kind, config) in VARIANTS.items():
        reader, model = prepare.Reader(backbone(kind)), detector(kind, config, 0)
        found[name] = {"crops": [], "scenes": []}
        loss_fn = training.classification_loss(CROPS["smoothing"])
        steps[name, "crops"] = one_step(reader, crops, loss_fn, CROPS)
        loss_fn = prepare.loss_of(config, SCENES)
        steps[name, "scenes"] = one_step(model, batch, loss_fn, SCENES)
    for repeat in range(repeats + 1):
        for (name, part), step in steps.items():  # in turns: the machine has moods
            begun = time.process_time()
            step()
            if repeat:  # the first one also warms up
                found[name][part].append(1000 * (time.process_time() - begun))
    milliseconds = {
        name: {part: round(statistics.median(ms), 1) for part, ms in parts.items()}
        for name, parts in found.items()
    }
    return append(about | {"milliseconds": milliseconds}, path)["milliseconds"]


def one_step(model, batch, loss_fn, how):
    """A function that does what `training.fit` does in a step."""
    optimizer, ema = prepare.optimizer(model, how), training.EMA(model, how["ema"])

    def step():
        loss, _ = loss_fn(model.train(), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        ema.update(model)

    return step


def trained(kind: str, crops: dict, seed: int):
    """A backbone after its crops, kept in build/ablations for the variants to share."""
    folder = prepare.BUILD.parent / "ablations"
    about = json.dumps([kind, crops, seed, torch.__version__]).encode()
    file = folder / f"{hashlib.sha256(about).hexdigest()[:16]}.safetensors"
    model = backbone(kind)
    if file.exists():
        return training.load_weights(model, file)
    torch.manual_seed(seed)
    model, _ = prepare.learn_to_read(backbone(kind), crops, seed)
    training.save_weights(model, file)
    return model


def measure(about: dict, kind: str, config, crops: dict, scenes: dict, path=None):
    """One training, unless its row is there; returns True if it was trained."""
    about |= {"crops": crops, "scenes": scenes}
    if find(read(path), about):
        return False
    model = detector(kind, config, about["seed"])
    model.backbone.load_state_dict(trained(kind, crops, about["seed"]).state_dict())
    begun, size = time.process_time(), profiling.parameters(model)
    model, scores = prepare.learn_to_detect(model, scenes, about["seed"])
    row = about | {"ap": scores["test"][0], "ap50": scores["test"][1]}
    row |= {"validation_ap": scores["validation"][0]}
    row |= {"parameters": size}
    row |= {"macs": profiling.macs(model, torch.zeros(1, 3, *config.image_size))}
    append(row | {"cpu_seconds": round(time.process_time() - begun, 1)}, path)
    return True


def run(table, path=None, seeds=SEEDS, seconds=SECONDS, parts=PARTS) -> int:
    """Train what is missing; returns how many trainings that was."""
    ms, done = clock(path), 0
    steps = {
        name: {part: round(1000 * seconds[part] / ms[name][part]) for part in seconds}
        for name in VARIANTS
    }
    for seed in seeds if "variants" in parts else ():
        for name, (question, kind, config) in VARIANTS.items():
            # Variants of neck and fusion share the course's backbone, to the bit.
            reader = name if question == "backbone" else "course"
            crops = CROPS | {"steps": steps[reader]["crops"]}
            scenes = SCENES | {"steps": steps[name]["scenes"]}
            about = {"question": question or "course", "variant": name, "seed": seed}
            done += measure(about, kind, config, crops, scenes, path)
    crops = CROPS | {"steps": steps["course"]["crops"]}
    scenes = SCENES | {"steps": steps["course"]["scenes"]}
    cells = transfer.chosen(table, peers=0) if "transfer" in parts else ()
    for _, i in cells:
        genotype = table.genotypes[i]
        about = {"question": "transfer", "variant": str(genotype.normal), "seed": 0}
        about |= {"table": transfer.name_of(table)}
        about |= {"table_validation": table.query(genotype)}
        done += measure(about, str(genotype.normal), COURSE, crops, scenes, path)
    return done


def report(rows: list[dict]) -> str:
    """AP of each seed, variant by variant, and Kendall's tau of the twelve cells."""
    lines, groups = [f"{len(rows)} rows"], {}
    for row in rows:
        if row["question"] not in ("clock", "transfer"):
            groups.setdefault((row["question"], row["variant"]), []).append(row)
    for (question, variant), found in groups.items():
        aps = ", ".join(f"{row['ap']:.3f}" for row in found)
        mean = statistics.mean(row["ap"] for row in found)
        one, steps = found[0], found[0]["scenes"]["steps"]
        size = f"{one['parameters']:,} parameters, {one['macs'] / 1e6:.0f} M, {steps}"
        lines.append(f"{question:9} {variant:8} {mean:.3f} ({aps})  {size} steps")
    cells = [row for row in rows if row["question"] == "transfer"]
    if len(cells) > 2:
        pairs = [(row["table_validation"], row["ap"]) for row in cells]
        tau, low, high = one_shot.agreement(*map(list, zip(*pairs, strict=True)))
        lines.append(f"{len(cells)} cells: tau {tau:.2f} ({low:.2f} to {high:.2f})")
        lines += [f"  {before:.3f} in the table, AP {ap:.3f}" for before, ap in pairs]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--part", choices=PARTS)
    asked = parser.parse_args()
    if not asked.report:
        torch.set_num_threads(1)
        parts = (asked.part,) if asked.part else PARTS
        print(f"{run(tabular.load(), parts=parts)} trained", flush=True)
    print(report(read()))


if __name__ == "__main__":
    main()
