"""Channels taken out of the shipped `plain` detector: which, and what it saves.

    python data/ablations/channel_pruning.py            # about 40 CPU-minutes
    python data/ablations/channel_pruning.py --report   # what the rows say so far

one-shot: one share of every group, chosen by each importance, nothing trained; seeds
are three sets of test scenes (and three draws for "random"). Once with the statistics
of the batch norms as they were, once measured anew on training scenes. tuned: the
widths of BY_HAND after 300 steps; "scratch" has its sizes, not its weights; "taylor,
validation" asks validation scenes for its gradients. shares: as many
multiply-adds are left with one share for all groups, or with each group's own by
`shares_by_loss`, from a scan on validation scenes, with multiples of 16 in "blocks";
nothing trained, and after 300 steps. slimmed: Network Slimming judged fairly. 300 steps
with an L1 penalty on the scales of all norms (a number says how much) or none; channels
below one threshold for the whole network go, or of every group the same share, by L2 or
by the scales; 300 steps more. All end with the same multiply-adds after the same
training. latency: one picture, one thread, in turns: shares of every group, and the
shipped pruned one, in PyTorch and in onnxruntime.

A row each is appended to channel_pruning.jsonl; rows that are there are skipped, so it
may be stopped at any time. Rows of other settings or other weights do not count. The
times (`--only latency`) are best taken last and alone.
"""

import argparse
import functools
import os
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import prepare  # noqa: E402
import prune  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import data, profiling, training  # noqa: E402
from lib.compression import channel_pruning, export  # noqa: E402
from lib.detection import coco_eval, detectors  # noqa: E402

ROWS = HERE / "channel_pruning.jsonl"
KINDS = (*channel_pruning.KINDS, "random")
SETTINGS = {
    "seeds": 3,
    "judged": 200,  # test scenes a row
    "looked at": 128,  # training scenes: for statistics, and for the Taylor importance
    "ratios": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    "tuned": ["l2", "taylor", "taylor, validation", "random", "scratch"],
    "tune": {"scenes": 4000, "steps": 300, "batch": 16, "lr": 4e-3,
             "weight_decay": 0.01, "ema": 0.98, "warmup": 0.05, "clip": 10.0,
             "delta": 0.02, "box_weight": 250},
    "shares": ["even", "scan", "blocks"],
    "scan": {"judged": 100, "shares": [0.25, 0.5, 0.75]},  # validation scenes
    "slimmed": ["even", "threshold", 1e-2, "even, scales", "even, 0.01"],
    "penalties": [1e-4, 1e-3],  # with one seed: validation scenes preferred 1e-2
    "latency": [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75],
}  # fmt: skip
HALF = (
    "backbone.stages.0.1.first.0", "backbone.stages.1.0.0",
    "backbone.stages.1.1.first.0", "backbone.stages.2.0.0",
    "backbone.stages.2.1.first.0", "class_head.convs.0", "box_head.convs.0",
)  # fmt: skip
BY_HAND = {"ratio": dict.fromkeys(HALF, 0.5), "multiple": 16, "importance": "l2"}
PICTURE = torch.zeros(1, 3, 128, 128)


def looked_at(n: int, part: str = "train") -> data.Batch:
    scenes = detectors.scenes(part, n)
    return data.collate([scenes[i] for i in range(n)])


def choice(model: nn.Module, ratio, kind: str, seed: int, settings: dict, **how):
    """A plan; "random" and "taylor" need more than the weights."""
    if kind == "random":
        sized = channel_pruning.plan(model, PICTURE, ratio, **how)
        draw = torch.Generator().manual_seed(seed)
        sizes = {group.name: len(group) for group in sized.groups}
        removed = {
            name: tuple(
                torch.randperm(sizes[name], generator=draw)[: len(gone)].tolist()
            )
            for name, gone in sized.removed.items()
        }
        return channel_pruning.plan(model, PICTURE, removed=removed)
    kind, _, part = kind.partition(", ")
    if kind == "taylor":
        how_loss = settings["tune"]
        batch = looked_at(settings["looked at"], part or "train")
        model.zero_grad()
        prepare.loss_of(model.config, how_loss)(model, batch)[0].backward()
    return channel_pruning.plan(model, PICTURE, ratio, importance=kind, **how)


@torch.no_grad()
def measured_anew(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Statistics of the batch norms as these pictures give them, in place."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    model.train()
    for batch in images.split(32):
        model(training.normalise(batch))
    return model.eval()


def ap(model: nn.Module, n: int, seed: int = 0, part: str = "test") -> float:
    scenes = detectors.scenes(part, n, seed=seed)
    return coco_eval.evaluate(scenes.coco(), coco_eval.detections(model, scenes)).ap


def one_shot(job: dict, settings: dict) -> dict:
    model = detectors.shipped("plain")
    plan = choice(model, job["ratio"], job["kind"], job["seed"], settings)
    small = channel_pruning.remove_channels(model, PICTURE, plan)
    if job["statistics"] == "anew":
        measured_anew(small, looked_at(settings["looked at"]).images)
    score = ap(small, settings["judged"], job["seed"])
    return {"ap": score, "parameters": plan.parameters, "macs": plan.macs}


def tuned(job: dict, settings: dict) -> dict:
    model, kind = detectors.shipped("plain"), job["kind"]
    cut = {"ratio": BY_HAND["ratio"], "multiple": BY_HAND["multiple"]}
    first = "l2" if kind == "scratch" else kind
    plan = choice(model, kind=first, seed=job["seed"], settings=settings, **cut)
    small = channel_pruning.remove_channels(model, PICTURE, plan)
    if kind == "scratch":
        torch.manual_seed(job["seed"])
        fresh = channel_pruning.plan(detectors.detector("plain"), PICTURE, **cut)
        small = channel_pruning.remove_channels(
            detectors.detector("plain"), PICTURE, fresh
        )
    score = ap(trained(small, settings, job["seed"]), settings["judged"])
    return {"ap": score, "macs": plan.macs}


def trained(small: nn.Module, settings: dict, seed: int, l1: float = 0) -> nn.Module:
    """The average of a network's weights over some steps of training.

    `l1` times the sum of all |scale| of its batch norms is added to the loss.
    """
    how = settings["tune"]
    loss_fn = prepare.loss_of(small.config, how)
    scales = [m.weight for m in small.modules() if isinstance(m, nn.BatchNorm2d)]

    def penalized(model, batch):
        loss, parts = loss_fn(model, batch)
        return loss + l1 * sum(scale.abs().sum() for scale in scales), parts

    average = training.EMA(small.train(), how["ema"])
    training.fit(
        small, detectors.scenes("train", how["scenes"]),
        penalized if l1 else loss_fn, steps=how["steps"],
        batch_size=how["batch"], optimizer=prepare.optimizer(small, how),
        warmup=how["warmup"], clip=how["clip"], ema=average, collate=data.collate,
        seed=seed, every=10**9, progress=False,
    )  # fmt: skip
    return average.model


@functools.cache
def scanned(judged: int, shares: tuple, looked: int) -> dict[str, dict[float, float]]:
    """AP on validation scenes that is lost where one group alone loses a share."""
    model, images = detectors.shipped("plain"), looked_at(looked).images
    whole, losses = ap(model, judged, part="validation"), {}
    for group in channel_pruning.groups(model, PICTURE):
        losses |= {} if group.refused else {group.name: {}}
        for share in () if group.refused else shares:
            small = channel_pruning.prune(model, PICTURE, {group.name: share})
            left = ap(measured_anew(small, images), judged, part="validation")
            losses[group.name][share] = whole - left
    return losses


def shares(job: dict, settings: dict) -> dict:
    """AP at the multiply-adds of BY_HAND, before and after training."""
    model = detectors.shipped("plain")
    target = channel_pruning.plan(model, PICTURE, **BY_HAND).macs
    plan = channel_pruning.plan(model, PICTURE, target_macs=target)
    if job["kind"] != "even":
        multiple = {"scan": 1, "blocks": 16}[job["kind"]]
        how = settings["scan"]
        looked = settings["looked at"]
        losses = scanned(how["judged"], tuple(how["shares"]), looked)
        for price in (k / 1000 for k in range(1, 1000)):
            own = channel_pruning.shares_by_loss(losses, price)
            plan = channel_pruning.plan(model, PICTURE, own, multiple=multiple)
            if plan.macs <= target:
                break
    small = channel_pruning.remove_channels(model, PICTURE, plan)
    measured_anew(small, looked_at(settings["looked at"]).images)
    at_once = ap(small, settings["judged"], job["seed"])
    score = ap(trained(small, settings, job["seed"]), settings["judged"])
    costs = {"macs": plan.macs, "parameters": plan.parameters}
    return {"at once": at_once, "ap": score} | costs | {"gone": gone(plan)}


def slimmed(job: dict, settings: dict) -> dict:
    """Train, prune to the multiply-adds of BY_HAND, train again; AP on two parts."""
    kind, seed = job["kind"], job["seed"]
    model = detectors.shipped("plain")
    target = channel_pruning.plan(model, PICTURE, **BY_HAND).macs
    told = str(kind).rpartition(", ")[2]
    l1 = float(told) if told[0].isdigit() else 0
    model = trained(model, settings, seed, l1).eval().requires_grad_(True)
    if str(kind).startswith("even"):
        by = "l2" if kind == "even" else "bn"
        plan = channel_pruning.plan(model, PICTURE, target_macs=target, importance=by)
    else:
        plan = below_a_threshold(model, target)
    small = channel_pruning.remove_channels(model, PICTURE, plan)
    small = trained(small, settings, seed + settings["seeds"])  # other batches
    judged = settings["judged"]
    scores = {"validation": ap(small, judged, part="validation")}
    return scores | {"ap": ap(small, judged), "macs": plan.macs, "gone": gone(plan)}


def below_a_threshold(model: nn.Module, target: float) -> channel_pruning.Plan:
    """Channels go by the scales of their norms, compared over the whole network.

    The lowest threshold that leaves at most `target` multiply-adds; of a group its
    best channel stays.
    """
    scores = {
        group.name: channel_pruning.importance(model, group, "bn")
        for group in channel_pruning.groups(model, PICTURE) if not group.refused
    }  # fmt: skip

    def plan(threshold: float) -> channel_pruning.Plan:
        removed = {
            name: tuple((score < min(threshold, score.max())).nonzero()[:, 0].tolist())
            for name, score in scores.items()
        }
        return channel_pruning.plan(model, PICTURE, removed=removed)

    thresholds = sorted(set(torch.cat([*scores.values()]).tolist()))
    first = bisect_left(thresholds, True, key=lambda t: plan(t).macs <= target)
    return plan(thresholds[first])


def gone(plan: channel_pruning.Plan) -> dict[str, float]:
    """The share of each group's channels that goes."""
    return {group.name: len(plan.removed[group.name]) / len(group)
            for group in plan.groups if not group.refused}  # fmt: skip


def latency(job: dict, settings: dict) -> dict:
    """Milliseconds of whole and pruned networks, in turns; the first is whole."""
    whole = detectors.shipped("plain")
    networks, macs = {"whole": whole}, {}
    for ratio in settings["latency"]:
        networks[str(ratio)] = channel_pruning.prune(whole, PICTURE, ratio)
    networks["half"] = channel_pruning.load(whole, "detector_pruned", PICTURE)
    for name, model in networks.items():
        macs[name] = profiling.macs(model, PICTURE)
    eager = profiling.compare(networks, PICTURE, repeats=15)
    with tempfile.TemporaryDirectory() as folder:
        calls = {}
        for name, model in networks.items():
            file = export.to_onnx(model.eval(), PICTURE, Path(folder) / f"{name}.onnx")
            session = export.session(file)
            feed = {session.get_inputs()[0].name: PICTURE.numpy()}
            calls[name] = lambda run=session.run, feed=feed: run(None, feed)
        onnx = profiling.interleave(calls, repeats=15)
    return {
        name: {"macs": macs[name], "eager": one.latency.median,
               "onnxruntime": onnx[name].median}
        for name, one in eager.items()
    }  # fmt: skip


WORK = {"one-shot": one_shot, "tuned": tuned, "shares": shares, "slimmed": slimmed,
        "latency": latency}  # fmt: skip


def plan(settings: dict):
    """All jobs."""
    for seed in range(settings["seeds"]):
        for ratio in settings["ratios"]:
            for kind in KINDS if ratio else ("l2",):
                yield {"question": "one-shot", "kind": kind, "ratio": ratio,
                       "statistics": "anew", "seed": seed}  # fmt: skip
            yield {"question": "one-shot", "kind": "l2", "ratio": ratio,
                   "statistics": "as trained", "seed": seed}  # fmt: skip
        for kind in settings["tuned"]:
            yield {"question": "tuned", "kind": kind, "seed": seed}
        for kind in settings["shares"]:
            yield {"question": "shares", "kind": kind, "seed": seed}
        for kind in settings["slimmed"] + (0 if seed else 1) * settings["penalties"]:
            yield {"question": "slimmed", "kind": kind, "seed": seed}
    for seed in range(settings["seeds"]):
        yield {"question": "latency", "seed": seed}


def used(question: str, settings: dict) -> dict:
    """The settings that a row depends on, and the weights it started from."""
    parts = {"one-shot": ("judged", "looked at"), "latency": ("latency",),
             "tuned": ("judged", "looked at", "tune"),
             "shares": ("judged", "looked at", "tune", "scan"),
             "slimmed": ("judged", "tune")}  # fmt: skip
    about = {key: settings[key] for key in parts[question]}
    if question == "latency":
        sums = prune.HERE / "detector_pruned.sha256"
        about["pruned"] = sums.read_text("utf-8")[:64]
    elif question != "one-shot":
        about["prune"] = BY_HAND
    return about | {"weights": prune.start()}


def read(path=None) -> list[dict]:
    """The rows that are there; a line cut by a kill is left out."""
    return ledger.read(Path(path or ROWS))


def current(rows: list[dict], settings=None) -> list[dict]:
    """Those rows that were made with these settings, from the weights of today."""
    settings = settings or SETTINGS
    return [row for row in rows if row["used"] == used(row["question"], settings)]


def run(settings=None, path=None, only=()) -> int:
    """Do what is missing and append it, a line at a time; returns how many."""
    settings, done = settings or SETTINGS, 0
    rows = current(read(path), settings)
    for job in plan(settings):
        skipped = only and job["question"] not in only
        if skipped or any(job.items() <= row.items() for row in rows):
            continue
        begun = time.process_time()
        result = WORK[job["question"]](job, settings)
        row = job | {"used": used(job["question"], settings)} | result
        row["seconds"] = round(time.process_time() - begun, 1)
        ledger.append(Path(path or ROWS), row)
        done += 1
    return done


def report(rows: list[dict]) -> str:
    """A line for every network: its values, seed by seed."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row["question"] == "latency":
            for name, one in row.items():
                if isinstance(one, dict) and "eager" in one:
                    work = row["whole"]["macs"] / one["macs"]
                    gain = {
                        k: row["whole"][k] / one[k] for k in ("eager", "onnxruntime")
                    }
                    said = ", ".join(f"{k} {v:.2f}x" for k, v in gain.items())
                    name = f"latency {name}: {work:.2f}x fewer multiply-adds"
                    groups.setdefault(name, []).append(said)
        else:
            keys = ("question", "kind", "statistics", "ratio")
            name = " ".join(str(row[k]) for k in keys if k in row)
            at_once = f"{row['at once']:.3f} to " if "at once" in row else ""
            groups.setdefault(name, []).append(f"{at_once}{row['ap']:.3f}")
    lines = [f"{name}: {' | '.join(values)}" for name, values in groups.items()]
    return "\n".join([*lines, f"{sum(row['seconds'] for row in rows):.0f} CPU-s"])


def main() -> None:
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
