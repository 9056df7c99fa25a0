"""Zeros in the shipped `plain` detector: what they cost, what they save, who mends.

    python data/ablations/sparsity.py            # about 30 minutes, one CPU thread
    python data/ablations/sparsity.py --report   # what the rows say so far

one-shot: weights set to zero, nothing trained; seeds are three sets of test scenes.
Masks: "layer" the same share in each, "global" one threshold, "lamp" LAMP's scores.
Once with the statistics of the batch norms as they were, once measured anew. tuned: the
same shares of zeros, reached by the cubic schedule in 300 steps of training; sparsity 0
is the control that shows what the steps alone do. lottery: `training.small_cnn` on
digit crops; trained, pruned, then trained again from its first weights, from other
ones, or from where it was. latency: the detector with zeros, as it is and with each
convolution as a product of a matrix with patches, dense and CSR. product: one such
product of each of four shapes. gpu: 2:4 in half precision, where a GPU can.

A row each is appended to sparsity.jsonl; rows that are there are skipped, so it may be
stopped at any time. Rows of other settings or other weights do not count. Learning
rates were set in a short pilot on validation scenes. The times (`--only latency
product`) are best taken last and alone: they are what neighbours change.
"""

import argparse
import copy
import json
import os
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import prepare  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.compression import sparsity  # noqa: E402
from lib.detection import coco_eval, detectors  # noqa: E402
from lib.nas import cells  # noqa: E402

ROWS = HERE / "sparsity.jsonl"
SETTINGS = {
    "seeds": 3,
    "judged": 200,  # test scenes a row
    "looked at": 128,  # training scenes that statistics are measured on
    "one-shot": [0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95],
    "tuned": [["layer", 0.0], ["layer", 0.7], ["layer", 0.8], ["layer", 0.9],
              ["layer", 0.95], ["global", 0.9], ["lamp", 0.7], ["lamp", 0.8],
              ["lamp", 0.9], ["lamp", 0.95], ["2:4", 0.5]],
    "tune": {"scenes": 4000, "steps": 300, "until": 200, "every": 10, "batch": 8,
             "lr": 3e-3, "weight_decay": 0.01, "ema": 0.98, "warmup": 0.05,
             "clip": 10.0, "delta": 0.02, "box_weight": 250},
    "lottery": {"crops": 4000, "steps": 300, "batch": 64, "lr": 0.2, "smoothing": 0.0,
                "judged": 2000, "sparsities": [0.8, 0.95], "seeds": 5},
    "shapes": [[32, 288, 1024], [64, 576, 256], [128, 1152, 64], [512, 4608, 256]],
    "latency": [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99],
}  # fmt: skip


def pattern(model, scope, share):
    """Masks: "layer", "global", "lamp", or "2:4" where the channels allow it."""
    if scope == "2:4":
        return sparsity.pattern_masks(model)
    choose = {"layer": sparsity.layer_masks, "global": sparsity.global_masks,
              "lamp": sparsity.lamp_masks}  # fmt: skip
    return choose[scope](model, share)


@torch.no_grad()
def measured_anew(model, images):
    """Statistics of the batch norms as these pictures give them, in place."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    model.train()
    for batch in images.split(32):
        model(training.normalise(batch))
    return model.eval()


def ap(model, n, seed=0):
    scenes = detectors.scenes("test", n, seed=seed)
    return coco_eval.evaluate(scenes.coco(), coco_eval.detections(model, scenes)).ap


def one_shot(job, settings):
    model = detectors.shipped("plain")
    sparsity.apply(model, pattern(model, job["scope"], job["sparsity"]))
    if job["statistics"] == "anew":
        n = settings["looked at"]
        scenes = detectors.scenes("train", n)
        measured_anew(model, torch.stack([scenes[i].image for i in range(n)]))
    result = {"zeros": sparsity.share_of_zeros(model)}
    return result | {"ap": ap(model, settings["judged"], seed=job["seed"])}


def tuned(job, settings):
    how, model = settings["tune"], detectors.shipped("plain")
    average = training.EMA(model, how["ema"])

    def choose(model, share):
        return pattern(model, job["scope"], share)

    def goal(step):
        return sparsity.cubic(step, 0, how["until"], job["sparsity"])

    gradual = sparsity.Gradual(model, goal, choose, how["every"])
    training.fit(
        model, detectors.scenes("train", how["scenes"]),
        prepare.loss_of(model.config, how), steps=how["steps"],
        batch_size=how["batch"], optimizer=prepare.optimizer(model, how),
        warmup=how["warmup"], clip=how["clip"], ema=average, collate=data.collate,
        on_step=gradual, seed=job["seed"], every=10**9, progress=False,
    )  # fmt: skip
    sparsity.apply(average.model, gradual.masks)
    result = {"zeros": sparsity.share_of_zeros(average.model)}
    shares = {
        name: round(1 - mask.float().mean().item(), 4)
        for name, mask in gradual.masks.items()
    }
    return result | {"ap": ap(average.model, settings["judged"]), "shares": shares}


def lottery(job, settings):
    """Accuracy of the whole network, and of three ways to train what is left."""
    how, seed = settings["lottery"], job["seed"]
    crops, test = data.crops("train", how["crops"]), data.crops("test", how["judged"])

    def fit(model, masks=None):
        keep = (lambda step, logs: sparsity.apply(model, masks)) if masks else None
        training.fit(
            model, crops, training.classification_loss(how["smoothing"]),
            steps=how["steps"], batch_size=how["batch"], lr=how["lr"], seed=seed,
            on_step=keep, every=10**9, progress=False,
        )  # fmt: skip
        return training.accuracy(model, *test)

    whole = training.small_cnn(seed=seed)
    first = copy.deepcopy(whole.state_dict())
    other = training.small_cnn(seed=1000 + seed).state_dict()
    result = {"whole": fit(whole)}
    for share in how["sparsities"]:
        masks = sparsity.global_masks(whole, share)
        last = copy.deepcopy(whole.state_dict())
        starts = {"ticket": first, "redrawn": other, "tuned": last}
        row = {"at once": training.accuracy(sparsity.rewind(whole, last, masks), *test)}
        for name, state in starts.items():
            row[name] = fit(sparsity.rewind(whole, state, masks), masks)
        result[str(share)] = row
    return {"accuracy": result}


class Unrolled(nn.Module):
    """A convolution as a product of its matrix with the patches of one picture."""

    def __init__(self, conv: nn.Conv2d, sparse: bool):
        super().__init__()
        self.conv, self.matrix = conv, conv.weight.detach().flatten(1).contiguous()
        self.matrix = csr(self.matrix) if sparse else self.matrix

    def forward(self, x):
        c, sides, patches = self.conv, x.shape[-2:], x
        taps = list(zip(sides, c.kernel_size, c.stride, strict=True))
        if c.kernel_size != (1, 1) or c.stride != (1, 1):  # all pad as "SAME"
            (top, bottom), (left, right) = (cells.same_padding(*tap) for tap in taps)
            x = F.pad(x, (left, right, top, bottom))
            patches = F.unfold(x, c.kernel_size, stride=c.stride)
        out = self.matrix @ patches.flatten(2)[0]
        out = out if c.bias is None else out + c.bias[:, None]
        return out.view(1, len(out), *(-(-side // step) for side, _, step in taps))


def csr(matrix):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return matrix.to_sparse_csr()


def unrolled(model, sparse):
    """A copy whose convolutions are products; one that is shared stays shared."""
    model, made = copy.deepcopy(model), {}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                made.setdefault(child, Unrolled(child, sparse))
                setattr(parent, name, made[child])
    return model


def latency(job, settings):
    """Milliseconds of the detector at a sparsity, one picture, in turns."""
    picture = training.normalise(detectors.scenes("test", 1)[0].image[None])
    whole, model = detectors.shipped("plain"), detectors.shipped("plain")
    sparsity.apply(model, sparsity.layer_masks(model, job["sparsity"]))
    networks = {"whole": whole, "zeros": model}
    networks |= {"unrolled": unrolled(model, False), "csr": unrolled(model, True)}
    result = profiling.compare(networks, picture, repeats=15)
    return {
        name: {"ms": one.latency.median, "ratio": one.ratio, "iqr": one.ratio_iqr}
        for name, one in result.items()
    }


def product(job, settings):
    """Milliseconds of one matrix product: dense, dense with zeros, CSR."""
    rows, inner, columns = job["shape"]
    torch.manual_seed(job["seed"])
    weight, x = torch.randn(rows, inner), torch.randn(inner, columns)
    mask = sparsity.magnitude_mask(weight, job["sparsity"])
    zeros, packed = weight * mask, csr(weight * mask)
    calls = {"whole": lambda: weight @ x, "zeros": lambda: zeros @ x}
    result = profiling.interleave(calls | {"csr": lambda: packed @ x}, repeats=15)
    return {name: one.median for name, one in result.items()}


def gpu(job, settings):
    """Milliseconds of a product in half precision: dense, 2:4 zeros, 2:4 packed."""
    device = torch.device("cuda")
    torch.manual_seed(job["seed"])
    weight = torch.randn(job["side"], job["side"], device=device).half()
    x = torch.randn(job["side"], job["side"], device=device).half()
    zeros = weight * sparsity.nm_mask(weight)
    packed = sparsity.semi_structured(zeros)
    error = (packed @ x - zeros @ x).abs().max() / (zeros @ x).abs().max()
    calls = {"whole": lambda: weight @ x, "zeros": lambda: zeros @ x}
    result = profiling.interleave(calls | {"packed": lambda: packed @ x}, repeats=15)
    about = {"gpu": torch.cuda.get_device_name(device), "error": error.item()}
    return about | {name: one.median for name, one in result.items()}


WORK = {"one-shot": one_shot, "tuned": tuned, "lottery": lottery, "latency": latency,
        "product": product, "gpu": gpu}  # fmt: skip


def plan(settings):
    """All jobs, those first that a reader needs first."""
    for seed in range(settings["seeds"]):
        kinds = [("layer", s) for s in settings["one-shot"]]
        for scope in ("global", "lamp"):
            kinds += [(scope, s) for s in settings["one-shot"] if s]
        kinds += [("2:4", 0.5)]
        for scope, share in kinds:
            for statistics_ in ("as trained", "anew"):
                yield {"question": "one-shot", "scope": scope, "sparsity": share,
                       "statistics": statistics_, "seed": seed}  # fmt: skip
        for scope, share in settings["tuned"]:
            yield {"question": "tuned", "scope": scope, "sparsity": share, "seed": seed}
    for seed in range(settings["lottery"]["seeds"]):
        yield {"question": "lottery", "seed": seed}
    for seed in range(settings["seeds"]):
        for share in settings["latency"]:
            yield {"question": "latency", "sparsity": share, "seed": seed}
            for shape in settings["shapes"]:
                yield {"question": "product", "shape": shape, "sparsity": share,
                       "seed": seed}  # fmt: skip
        for side in (1024, 4096):
            if torch.cuda.is_available():
                yield {"question": "gpu", "side": side, "seed": seed}


def used(question, settings):
    """The settings that a row depends on, and the weights it started from."""
    parts = {"one-shot": ("judged", "looked at"), "tuned": ("judged", "tune"),
             "lottery": ("lottery",)}  # fmt: skip
    about = {key: settings[key] for key in parts.get(question, ())}
    if question in ("one-shot", "tuned", "latency"):
        file = prepare.HERE / "detector_plain.sha256"
        about["weights"] = file.read_text("utf-8")[:64]
    return about


def read(path=None):
    """The rows that are there; a line cut by a kill is left out."""
    return ledger.read(Path(path or ROWS))


def current(rows, settings=None):
    """Those rows that were made with these settings, from the weights of today."""
    settings = settings or SETTINGS
    known = {question: used(question, settings) for question in WORK}
    return [row for row in rows if row["used"] == known[row["question"]]]


def run(settings=None, path=None, only=()):
    """Do what is missing and append it, a line at a time; returns how many."""
    settings, done = settings or SETTINGS, 0
    rows = current(read(path), settings)
    for job in plan(settings):
        if only and job["question"] not in only:
            continue
        if any(job.items() <= row.items() for row in rows):
            continue
        begun = time.process_time()
        result = WORK[job["question"]](job, settings)
        row = job | {"used": used(job["question"], settings)} | result
        row["seconds"] = round(time.process_time() - begun, 1)
        ledger.append(Path(path or ROWS), row)
        done += 1
    return done


def told(row):
    """What a row found, in words."""
    if "ap" in row:
        return f"{row['ap']:.3f}"
    if "accuracy" in row:
        return json.dumps(row["accuracy"])
    kinds = [k for k in ("whole", "zeros", "unrolled", "csr", "packed") if k in row]
    ms = {k: row[k]["ms"] if isinstance(row[k], dict) else row[k] for k in kinds}
    return " ".join(f"{ms[k] / ms['whole']:.2f}x {k}" for k in kinds)


def report(rows):
    """A line for every network: its values, seed by seed."""
    groups = {}
    keys = ("question", "scope", "statistics", "shape", "side", "sparsity")
    for row in rows:
        name = " ".join(str(row[k]) for k in keys if k in row)
        groups.setdefault(name, []).append(told(row))
    lines = [f"{name}: {' | '.join(values)}" for name, values in groups.items()]
    return "\n".join([*lines, f"{sum(row['seconds'] for row in rows):.0f} CPU-s"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--only", nargs="*", default=(), choices=sorted(WORK))
    asked = parser.parse_args()
    if not asked.report:
        torch.set_num_threads(1)
        print(f"{run(only=asked.only)} rows added")
    print(report(current(read())))


if __name__ == "__main__":
    main()
