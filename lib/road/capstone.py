"""The whole road, to be read aloud: from a table of cells to a file in integers.

    search -> derive -> scale -> detect -> prune -> quantize -> ONNX

Each stage calls what a chapter has built. It is *live*, its work done here, or takes
its artefact from the course. The road has a fork, and says so. The searched detector
has a quarter of the multiply-adds of the plain one; yet onnxruntime does dense
convolutions so much faster that the plain one is pruned and rounded (chapter 22).

    python -m lib.road.capstone --live search quantize      # or all; chapter 23
"""

import argparse
import json
import random
import shutil
import statistics
from dataclasses import replace

import torch
from torch import nn

import lib
from lib.basics import checkpoints, data, training
from lib.compression import channel_pruning, deployed, export, grids, qat, quantize
from lib.detection import anchors, detection_loss, detectors, efficientdet
from lib.nas import nasnet, search, search_space, tabular
from lib.road import judging, stages

FOLDER = lib.ROOT / "build" / "capstone"
PICTURE = torch.zeros(1, 3, 128, 128)
TRIALS = 200  # cells that a live search may ask for
FILTERS = 12  # of the backbone at stride 2
BUDGET = 32e6  # multiply-adds that a live scaling may spend
SIZES = ((24, 1, 1), (32, 2, 2), (40, 3, 2), (48, 3, 3))  # width, cells, repeats
SHIPPED = SIZES[1]
RECIPE = ("settings", "start", "prune", "tune")  # of a row in data/weights/*.jsonl
GONE = {  # the share of its channels that each group loses, by its price (chapter 18)
    "backbone.stages.0.1.first.0": 0.5, "backbone.stages.1.0.0": 0.25,
    "backbone.stages.1.1.first.0": 0.5, "backbone.stages.2.0.0": 0.75,
    "backbone.stages.2.1.first.0": 0.75, "fpn.cells.0.nodes.0.project.2.conv": 0.5,
    "class_head.convs.0": 0.5, "box_head.convs.0": 0.5,
}  # fmt: skip


# ---- 07: which cell?
def search_stage(road: stages.Road) -> None:
    """Evolution asks the table for one noisy training a cell, and keeps the best."""
    cell = search_space.FOUND
    if "search" in road.live:
        table = tabular.load()
        evaluate = search.noisy(table, random.Random(road.seed))
        history = search.regularized_evolution(
            table.space, evaluate, TRIALS, seed=road.seed
        )
        cell = history.best.genotype
    road.file("cell.txt").write_text(str(cell), encoding="utf-8")


def cell_of(road: stages.Road) -> search_space.Genotype:
    """The cell that is built on: what the search has left, or that of shipped weights.

    Weights fit one cell only: with a shipped backbone or detector it is FOUND.
    """
    if not {"derive", "detect"} <= road.live:
        return search_space.FOUND
    return search_space.from_text(road.file("cell.txt").read_text(encoding="utf-8"))


# ---- 05: the cell becomes a network that reads digits.
class Reader(nn.Module):
    """A backbone, the mean of its coarsest level, ten logits."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.classify = nn.Linear(backbone.channels[-1], 10)

    def forward(self, images):
        coarsest = self.backbone(images)[-1]  # B C h w
        return self.classify(coarsest.mean((2, 3)))  # B 10


def derive_stage(road: stages.Road) -> None:
    """Levels made of the cell, which learn to read crops."""
    backbone = nasnet.NasnetLevels(cell_of(road), FILTERS, levels=3)
    if "derive" in road.live:
        reader = Reader(detectors.for_short_runs(backbone))
        training.fit(
            reader, detectors.crops("train", 4000), training.classification_loss(0.1),
            steps=road.steps, batch_size=64, lr=0.05, seed=road.seed,
            checkpoint=road.checkpoint("derive"),
        )  # fmt: skip
    else:
        checkpoints.load_weights(backbone, "backbone_course")
    checkpoints.save_weights(backbone, road.file("backbone.safetensors"))


# ---- 10, 13: how large a detector?
def scale_stage(road: stages.Road) -> None:
    """Width, cells and repeats: the largest that the multiply-adds allow."""
    size = SHIPPED
    if "scale" in road.live:
        fitting = [s for s in SIZES if judging.macs_of(network(road, s)) <= BUDGET]
        size = max(fitting, default=SIZES[0])
    road.file("size.json").write_text(json.dumps(size), encoding="utf-8")


def network(road: stages.Road, size=None) -> efficientdet.Detector:
    """A detector of the searched cell, with BiFPN, of a size; random weights."""
    if size is None:
        text = road.file("size.json").read_text(encoding="utf-8")
        size = json.loads(text) if "detect" in road.live else SHIPPED
    config = replace(
        detectors.CONFIGS["course"],
        **dict(zip(("width", "cells", "repeats"), size, strict=True)),
    )
    backbone = nasnet.NasnetLevels(cell_of(road), FILTERS, levels=3)
    return detectors.for_short_runs(efficientdet.Detector(backbone, config))


# ---- 14, 16: it learns to detect.
def learn(model: nn.Module, road: stages.Road, name: str) -> nn.Module:
    """Train a detector on scenes, in place; go on from a checkpoint if one stands."""
    places = anchors.anchors(model.config.image_size, model.config.anchors)

    def loss_of(net, batch):
        outputs = net(training.normalise(batch.images))
        loss = detection_loss.detection_loss(
            *outputs, batch, places, delta=0.02, box_weight=250
        )
        return loss.total, {}

    groups = training.parameter_groups(model, 1e-2)
    training.fit(
        model, detectors.scenes("train", 3000), loss_of, steps=road.steps,
        batch_size=16, optimizer=torch.optim.AdamW(groups, lr=3e-3), clip=10.0,
        warmup=0.05, collate=data.collate, checkpoint=road.checkpoint(name),
    )  # fmt: skip
    return model


def detect_stage(road: stages.Road) -> None:
    """The detector of the searched cell, trained."""
    model = network(road)
    if "detect" in road.live:
        checkpoints.load_weights(model.backbone, road.file("backbone.safetensors"))
        learn(model, road, "detect")
    else:
        model = detectors.shipped("course")
    checkpoints.save_weights(model, road.file("detector.safetensors"))


# ---- 18: the plain one loses channels, and is mended.
def prune_stage(road: stages.Road) -> None:
    """The channels that are missed least go, for half of the multiply-adds."""
    if "prune" in road.live:
        model = detectors.shipped("plain")
        small = channel_pruning.prune(model, PICTURE, GONE, multiple=16)
        learn(small.train(), road, "prune")
    else:
        small = pruned("detector_pruned")
    checkpoints.save_weights(small.eval(), road.file("pruned.safetensors"))


def pruned(weights) -> nn.Module:
    """The plain detector in the shape of its pruned weights."""
    model = channel_pruning.load(detectors.detector("plain"), weights, PICTURE)
    return model.eval()


# ---- 19, 20, 21: bytes in place of floats.
def quantize_stage(road: stages.Road) -> None:
    """Grids by least squared error on validation scenes; weights of seven bits."""
    target = road.file("pruned_int8.onnx")
    if "quantize" not in road.live:
        shutil.copy(judging.where("detector_pruned_int8"), target)
        return
    scenes = detectors.scenes("validation", 64, seed=1)
    batches = training.normalise(torch.from_numpy(scenes.images)).split(32)
    graph = deployed.deployed(pruned(road.file("pruned.safetensors")), PICTURE)
    least = {"observer": quantize.MSE}
    weights = qat.Scheme(bits=7, **least)
    maps = qat.Scheme(symmetric=False, signed=False, axis=None, **least)
    graph = qat.prepare(graph, weights=weights, activations=maps)
    integers = grids.settle(qat.calibrate(graph, batches))
    export.to_qdq_onnx(integers, batches[0][:1], target)


# ---- 22: files that run without Python.
def models(road: stages.Road) -> dict[str, nn.Module]:
    """The three detectors in floats."""
    own = checkpoints.load_weights(network(road), road.file("detector.safetensors"))
    small = pruned(road.file("pruned.safetensors"))
    return {
        "plain": detectors.shipped("plain"),
        "searched": own.eval(),
        "pruned": small,
    }


def export_stage(road: stages.Road) -> None:
    """Three ONNX files in floats, each run beside its model before it is written."""
    for name, model in models(road).items():
        export.to_onnx(model, PICTURE, road.file(f"{name}.onnx"))


STAGES = {
    "search": search_stage, "derive": derive_stage, "scale": scale_stage,
    "detect": detect_stage, "prune": prune_stage, "quantize": quantize_stage,
    "export": export_stage,
}  # fmt: skip


def walk(live=(), folder=FOLDER, steps=60, seed=0, say=lambda text: None):
    """Go the road; gives it. What is done already is not done again."""
    road = stages.Road(folder, STAGES, live, steps, seed)
    road.run(STAGES, say)
    return road


def arrived(road: stages.Road, scenes=200, say=lambda text: None) -> list[judging.Row]:
    """The files at the end of the road, judged side by side."""
    own = models(road)
    macs = {name: judging.macs_of(model) for name, model in own.items()}
    files = {name: road.file(f"{name}.onnx") for name in own}
    files["pruned, int8"] = road.file("pruned_int8.onnx")
    macs["pruned, int8"] = macs["pruned"]
    return judging.judge(files, macs, scenes, say)


def spent(road: stages.Road) -> list[tuple[str, str, str, str]]:
    """CPU-seconds of each stage: measured here if live, else as its datasheet says."""
    table = []
    for name in STAGES:
        seconds = f"{road.seconds(name):.1f}"
        then = "" if name in road.live else recorded(name)
        table.append((name, "live" if name in road.live else "shipped", seconds, then))
    return table


def recorded(stage: str) -> str:
    """Median CPU-seconds of the trainings behind a shipped artefact, "" if none."""
    rows = {"derive": ("detectors", {"part": "backbone", "model": "course"}),
            "detect": ("detectors", {"part": "detector", "model": "course"}),
            "prune": ("pruned", {"model": "plain"})}  # fmt: skip
    if stage not in rows:
        return ""
    file, about = rows[stage]
    text = (checkpoints.WEIGHTS / f"{file}.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    lines = [line for line in lines if about.items() <= line.items()]
    recipe = [lines[-1].get(key) for key in RECIPE]  # the last: earlier ones stay told
    lines = [line for line in lines if [line.get(key) for key in RECIPE] == recipe]
    return f"{statistics.median(line['cpu_seconds'] for line in lines):.0f}"


def main(words: list[str] | None = None) -> None:
    """The command line: progress, two tables, one plot."""
    parser = argparse.ArgumentParser(prog="make capstone")
    parser.add_argument("--live", nargs="*", default=["search"], help="or: all")
    parser.add_argument("--steps", type=int, default=60, help="of a live training")
    parser.add_argument("--scenes", type=int, default=200, help="that judge")
    how = parser.parse_args(words)
    live = list(STAGES) if how.live == ["all"] else how.live
    road = walk(live, steps=how.steps, say=print)
    rows = arrived(road, how.scenes, say=print)
    spending = ("stage", "how", "CPU-seconds here", "CPU-seconds of the artefact")
    print("\n" + judging.markdown(judging.COLUMNS, map(judging.cells, rows)))
    print("\n" + judging.markdown(spending, spent(road)))
    judging.picture(rows).save(road.file("road.png"))
    print(f"\nAP over milliseconds, area = kB: {road.file('road.png')}")


if __name__ == "__main__":
    main()
