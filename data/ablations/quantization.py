"""How few bits a detector needs: rounded after training, and trained to be rounded.

    python data/ablations/quantization.py            # about 20 minutes, one CPU thread
    python data/ablations/quantization.py --report   # what the rows say so far

All start from the shipped detectors, as deployed. A fourth one is trained here, in
about 2 minutes, and kept in build/ablations: `mbconv` of detectors.py, EfficientNet's
own blocks, with SiLU and squeeze-excite.

float: no rounding. observer: 8 bits for weights and maps; four observers choose the
ranges of the maps, weights have their own largest value, in one step for each filter or
for the whole layer; seeds are three sets of 64 scenes to calibrate with. bits: fewer
bits for the weights (maps keep 8), or for the maps (weights keep 8). training: 150
steps with rounded weights and maps of 8 bits, LSQ (steps of weights are learned) or STE
(they stay); "float" is the control that shows what the steps alone do. Seeds give the
scenes, the order and the calibration.

AP is COCO's, on the same 200 test scenes for all rows. A row each is appended to
quantization.jsonl; rows that are there are skipped, so it may be stopped at any time.
Rows of other settings or other weights do not count. The learning rate was set in a
short pilot.
"""

import argparse
import hashlib
import os
import statistics
import sys
import time
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import detectors as variants  # noqa: E402  (the script beside this one)
import ledger  # noqa: E402
import prepare  # noqa: E402
import torch  # noqa: E402

from lib.basics import data, training  # noqa: E402
from lib.compression import deployed, qat, quantize  # noqa: E402
from lib.detection import coco_eval, detectors  # noqa: E402

ROWS = HERE / "quantization.jsonl"
OBSERVERS = {
    "min-max": quantize.MinMax,
    "percentile": quantize.Percentile,
    "mse": quantize.MSE,
    "entropy": quantize.Entropy,
}
SETTINGS = {
    "judged": 200,  # test scenes
    "calibration": 64,  # training scenes, in batches of 16
    "train": {"steps": 150, "batch": 8, "lr": 3e-4, "warmup": 0.05, "clip": 10.0,
              "delta": 0.02, "box_weight": 250},
}  # fmt: skip
MBCONV = {"crops": prepare.CROPS | {"steps": 400}}
MBCONV |= {"scenes": prepare.SCENES | {"steps": 300, "ema": 0.98, "judged": 100}}
MODELS = "plain", "course", "lite", "mbconv"
SEEDS = 0, 1, 2
LOW_MAPS, LOW_WEIGHTS = (6, 5, 4), (6, 5, 4, 3, 2)


def plan() -> list[dict]:
    """What is measured: every row's question, in the order in which it is asked."""
    full = {"weights": 8, "maps": 8, "axis": "channel", "observer": "min-max"}
    jobs = [{"experiment": "float", "model": m, "seed": 0} for m in MODELS]
    for seed in SEEDS:
        for model in MODELS:
            some = {"experiment": "observer", "model": model, "seed": seed} | full
            jobs += [some | {"observer": name} for name in OBSERVERS]
            jobs += [
                some | {"axis": "tensor", "observer": n} for n in ("min-max", "mse")
            ]
    for model in MODELS:
        some = {"experiment": "bits", "model": model, "seed": 0} | full
        for name in ("min-max", "mse"):
            jobs += [some | {"maps": b, "observer": name} for b in LOW_MAPS]
        for axis in ("channel", "tensor"):
            jobs += [some | {"weights": b, "axis": axis} for b in LOW_WEIGHTS]
    for seed in SEEDS:
        for model in ("plain", "lite"):
            some = {"experiment": "training", "model": model, "seed": seed} | full
            for bits, how in ((4, "LSQ"), (4, "STE"), (3, "LSQ"), (3, "STE")):
                if (model, bits, how) != ("lite", 3, "STE"):
                    jobs.append(some | {"weights": bits, "how": how})
            jobs.append(some | {"weights": 32, "maps": 32, "how": "float"})
    return jobs


# ----------------------------------------------------------------------------- parts


def mbconv_file(folder=None) -> Path:
    """The weights of `mbconv`, trained with seed 0 unless they are there."""
    folder = Path(folder or prepare.BUILD.parent / "ablations")
    digest = hashlib.sha256(repr((MBCONV, torch.__version__)).encode()).hexdigest()
    file = folder / f"mbconv_{digest[:16]}.safetensors"
    if not file.exists():
        model = mbconv()
        reader, _ = prepare.learn_to_read(
            variants.backbone("mbconv"), MBCONV["crops"], 0
        )
        model.backbone.load_state_dict(reader.state_dict())
        model, _ = prepare.learn_to_detect(model, MBCONV["scenes"], 0)
        training.save_weights(model, file)
    return file


def mbconv():
    return variants.detector("mbconv", variants.COURSE, 0)


@cache
def start(name: str):
    """A detector as deployed, and the SHA-256 of its weights."""
    if name == "mbconv":
        file = mbconv_file()
        model = training.load_weights(mbconv(), file).eval()
    else:
        file = HERE.parent / "weights" / f"detector_{name}.safetensors"
        model = detectors.shipped(name)
    digest = file.with_suffix(".sha256").read_text("utf-8")[:64]
    side = torch.zeros(2, 3, *model.config.image_size)
    return deployed.deployed(model, side), digest


@cache
def calibration(seed: int, count: int) -> list[torch.Tensor]:
    """Batches of normalised training scenes."""
    scenes = detectors.scenes("train", count, seed=100 + seed)
    images = [scenes[i].image for i in range(len(scenes))]
    return [
        training.normalise(torch.stack(images[i : i + 16]))
        for i in range(0, len(images), 16)
    ]


def rounded(job: dict, settings: dict, learned: bool = False):
    """The network of a job, calibrated, not trained."""
    axis = 0 if job["axis"] == "channel" else None
    weights = qat.Scheme(job["weights"], axis=axis, learned=learned)
    maps = qat.Scheme(job["maps"], False, False, None, OBSERVERS[job["observer"]])
    model = qat.prepare(start(job["model"])[0], weights, maps)
    return qat.calibrate(model, calibration(job["seed"], settings["calibration"]))


def trained(model, how: dict, seed: int) -> list[float]:
    """A rounding network after its steps, in place; the losses."""
    scenes = detectors.scenes("train", how["steps"] * how["batch"], seed=200 + seed)
    optimizer = torch.optim.AdamW(qat.parameter_groups(model, how["lr"]))
    history = training.fit(
        model, scenes, prepare.loss_of(model.config, how), steps=how["steps"],
        batch_size=how["batch"], optimizer=optimizer, warmup=how["warmup"],
        clip=how["clip"], collate=data.collate, every=10**9, progress=False, seed=seed,
    )  # fmt: skip
    return history.loss


def judged(model, count: int) -> dict[str, float]:
    scenes = detectors.scenes("test", count)
    detections = coco_eval.detections(model, scenes)
    scores = coco_eval.evaluate(scenes.coco(), detections)
    return {"ap": scores[0], "ap50": scores[1]}


# ------------------------------------------------------------------------------ rows


def measure(job: dict, settings: dict) -> dict:
    """What one job comes to."""
    begun, more = time.process_time(), {}
    if job["experiment"] == "float" or job.get("how") == "float":
        model = start(job["model"])[0]
        if job["experiment"] == "training":  # in a copy that rounds nothing
            model = rounded(job | {"weights": 8, "maps": 8}, settings)
            for module in model.modules():
                if isinstance(module, qat.FakeQuantize):
                    module.state = "off"
    else:
        model = rounded(job, settings, learned=job.get("how") == "LSQ")
        more = {"bytes": qat.size(model)}
    if job["experiment"] == "training":
        before = judged(model, settings["judged"])
        more |= {"before": before["ap"]}
        losses = trained(model, settings["train"], job["seed"])
        more |= {"losses": [round(loss, 4) for loss in losses[::10]]}
    more |= judged(model, settings["judged"])
    return more | {"cpu_seconds": round(time.process_time() - begun, 1)}


def read(path=None) -> list[dict]:
    """The rows that are there; a line that a kill has cut is left out."""
    return ledger.read(Path(path or ROWS))


def current(rows: list[dict], settings=None) -> list[dict]:
    """The rows of today's settings and of the weights that are shipped today."""
    shipped = {}
    for name in ("plain", "course", "lite"):
        file = HERE.parent / "weights" / f"detector_{name}.sha256"
        shipped[name] = file.read_text("utf-8")[:64]
    return [
        row
        for row in rows
        if row["settings"] == (settings or SETTINGS)
        and row["weights_sha256"] == shipped.get(row["model"], row["weights_sha256"])
    ]


def run(settings=None, path=None, jobs=None) -> int:
    """Measure what is missing and append it, a line at a time; returns how many."""
    path, settings, done = Path(path or ROWS), settings or SETTINGS, 0
    rows = read(path)
    for job in jobs or plan():
        about = job | {"settings": settings, "weights_sha256": start(job["model"])[1]}
        if any(about.items() <= row.items() for row in rows):
            continue
        ledger.append(path, about | measure(job, settings))
        done += 1
    return done


def report(rows: list[dict]) -> str:
    """A line for every question: the loss of AP against float, seed by seed."""
    real = {row["model"]: row["ap"] for row in rows if row["experiment"] == "float"}
    lines = [f"{len(rows)} rows, {sum(row['cpu_seconds'] for row in rows):.0f} CPU-s"]
    lines += [f"float {name:7} AP {ap:.4f}" for name, ap in real.items()]
    groups = {}
    for row in rows:
        if row["experiment"] != "float" and row["model"] in real:
            keys = "experiment", "model", "weights", "maps", "axis", "observer", "how"
            groups.setdefault(tuple(row.get(key, "") for key in keys), []).append(row)
    for (experiment, model, *rest), group in groups.items():
        drops = [real[model] - row["ap"] for row in group]
        told = ", ".join(f"{drop:.4f}" for drop in drops)
        name = f"{experiment:9} {model:7} " + " ".join(map(str, rest))
        lines.append(f"{name:55} loses {statistics.mean(drops):.4f} ({told})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        print(f"{run()} measured", flush=True)
    print(report(current(read())))


if __name__ == "__main__":
    main()
