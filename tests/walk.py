"""Call every public function with a wrong kind for one argument at a time.

    python -m tests.walk [part of a name]

prints a line of JSON for each (function, argument) that answers in somebody else's
words: neither a result, nor a ValueError or TypeError raised by a `raise` of lib that
names the argument. It runs by itself, because pytest checks the types of lib's
functions, and a learner's notebook does not.
"""

import ast
import functools
import importlib
import inspect
import io
import json
import math
import os
import random
import re
import signal
import sys
import tempfile
import warnings
from concurrent.futures import Executor, Future
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, I001  (before torch)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

SECONDS = 3  # of CPU: what takes longer hangs
ARITIES = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Thing:
    """Something that no function has ever heard of."""


WRONG = {
    "None": lambda: None,
    "a text": lambda: "text",
    "an empty list": lambda: [],
    "a list": lambda: [1, "a"],
    "a dictionary": lambda: {"a": 1},
    "an object": Thing,
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "-1": lambda: -1,
    "True": lambda: True,
    "10**30": lambda: 10**30,
}


class Hang(BaseException):
    """A call took longer than it may."""


class Here(Executor):
    """An executor that works at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@functools.cache
def module(name: str):
    return importlib.import_module(f"lib.{name}")


# --------------------------------------------------- what valid calls are made of


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def pixels(*shape: int) -> torch.Tensor:
    luck = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=luck)


def boxes(n: int = 3) -> torch.Tensor:
    corners = torch.tensor([[4.0, 4, 20, 24], [10, 8, 30, 28], [2, 2, 12, 12]])
    return corners[:n].clone()


def cnn() -> nn.Module:
    return module("basics.training").small_cnn((4, 8), 2)


def crops() -> tuple[torch.Tensor, torch.Tensor]:
    return pixels(8, 3, 8, 8), torch.arange(8) % 2


def carried() -> dict:
    weights = [maps(2).abs().requires_grad_(), maps(2, 3).abs().requires_grad_()]
    return {"weights": weights, "flow": (weights[0] @ weights[1]).sum()}


def half(genotype, epoch=None) -> float:
    return 0.5


@functools.cache
def space():
    return module("nas.search_space").SMALL


@functools.cache
def found():
    return module("nas.search_space").FOUND


@functools.cache
def table():
    return module("nas.tabular").load()


def task():
    space = module("nas.search_space").Space(1, ("identity",), cells=("normal",))
    return module("nas.tabular").Task(
        space=space, size=8, train=8, validation=4, test=4, filters=2, stem_filters=2,
        epochs=1, batch=4, seeds=1,
    )  # fmt: skip


def cells() -> list:
    return module("nas.search_space").enumerate_cells(task().space)[:1]


def policy():
    return module("nas.controller").Controller(space(), hidden=4)


def tokens(count: int = 3) -> torch.Tensor:
    return torch.zeros(count, 10, dtype=torch.long)


@functools.cache
def direction() -> torch.Tensor:
    return torch.ones(sum(p.numel() for p in policy().parameters()))


def history():
    return module("nas.search").random_search(space(), half, 3, 0)


def trials() -> list:
    return list(history().trials)


@functools.cache
def scenes():
    return module("basics.data").scenes("test", 2, size=64, pixels=(14, 40))


@functools.cache
def detector() -> nn.Module:
    return module("detection.detectors").detector("plain")


@functools.cache
def outputs() -> tuple[list, list]:
    with torch.no_grad():
        return detector().eval()(torch.zeros(1, 3, 128, 128))


@functools.cache
def anchor_boxes() -> torch.Tensor:
    return module("detection.anchors").anchors((128, 128), detector().config.anchors)


@functools.cache
def graph():
    return module("compression.deployed").deployed(cnn().eval(), maps(1, 3, 8, 8))


@functools.cache
def quantized():
    qat = module("compression.qat")
    return qat.calibrate(qat.prepare(graph()), [maps(2, 3, 8, 8)])


def weights() -> str:
    module("basics.checkpoints").save_weights(cnn(), "weights.safetensors")
    return "weights.safetensors"


def coco() -> dict:
    return scenes().coco()


def detections() -> list[dict]:
    one = coco()["annotations"][0]
    return [{k: one[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.5}]


def loss():
    return module("basics.training").classification_loss()


def pruning() -> dict:
    return {"model": cnn().eval(), "example_input": maps(1, 3, 8, 8), "ratio": 0.25}


# A valid call of each: its arguments by name, "*inputs" for those without one.
CALLS = {
    # ------------------------------------------------------------------- basics
    "basics.checkpoints.write_checkpoint": lambda: dict(
        path="state.pt", state={"a": 1}
    ),
    "basics.checkpoints.read_checkpoint": lambda: dict(path="no such file.pt"),
    "basics.checkpoints.save_weights": lambda: dict(
        model=cnn(), path="saved.safetensors"
    ),
    "basics.checkpoints.read_weights": lambda: dict(path=weights()),
    "basics.checkpoints.load_weights": lambda: dict(model=cnn(), path=weights()),
    "basics.coco.write_coco": lambda: dict(dataset=scenes(), folder="coco"),
    "basics.data.crops": lambda: dict(
        split="test", n=2, size=8, difficulty=0.5, seed=0
    ),
    "basics.data.scenes": lambda: dict(
        split="test", n=1, size=64, seed=0, difficulty=0.5, digits=(1, 2),
        pixels=(14, 30),
    ),
    "basics.data.letterbox": lambda: dict(
        image=pixels(3, 30, 40), boxes=boxes(), size=32, fill=(0, 0, 0)
    ),
    "basics.data.letterbox_geometry": lambda: dict(
        boxes=boxes(), height=30, width=40, size=64
    ),
    "basics.data.unletterbox": lambda: dict(boxes=boxes(), scale=0.5),
    "basics.data.hflip": lambda: dict(image=pixels(3, 30, 40), boxes=boxes()),
    "basics.data.scale_jitter": lambda: dict(
        sample=scenes()[0], size=32, generator=torch.Generator(), scales=(0.5, 2.0),
        keep=0.5, fill=(0, 0, 0),
    ),
    "basics.data.collate": lambda: dict(samples=[scenes()[0], scenes()[1]]),
    "basics.official.read": lambda: dict(path=weights()),
    "basics.official.load": lambda: dict(
        model=cnn(), source=cnn().state_dict(), names={k: k for k in cnn().state_dict()}
    ),
    "basics.profiling.sizes": lambda: dict(model=cnn()),
    "basics.profiling.parameters": lambda: dict(model=cnn()),
    "basics.profiling.grouped_conv_macs": lambda: dict(
        c_in=4, c_out=8, kernel=3, stride=2, padding=1, groups=2, side=10
    ),
    "basics.profiling.macs": lambda: {"model": cnn(), "*inputs": maps(1, 3, 8, 8)},
    "basics.profiling.macs_by_module": lambda: {
        "model": cnn(), "*inputs": maps(1, 3, 8, 8), "depth": 1,
    },
    "basics.profiling.interleave": lambda: dict(
        functions={"a": lambda: None}, threads=1, repeats=2, block=1
    ),
    "basics.profiling.compare": lambda: {
        "models": {"a": cnn()}, "*inputs": maps(1, 3, 8, 8), "repeats": 2, "block": 1,
    },
    "basics.profiling.latency": lambda: {
        "model": cnn(), "*inputs": maps(1, 3, 8, 8), "repeats": 2, "block": 1,
    },
    "basics.profiling.kept_for_backward": lambda: {
        "model": cnn(), "*inputs": maps(1, 3, 8, 8),
    },
    "basics.profiling.pareto_front": lambda: dict(cost=[1, 2, 3], quality=[1, 3, 2]),
    "basics.profiling.hypervolume": lambda: dict(
        cost=[1, 2, 3], quality=[1, 3, 2], reference=(4, 0)
    ),
    "basics.training.normalise": lambda: dict(images=pixels(2, 3, 8, 8)),
    "basics.training.convolve": lambda: dict(image=maps(5, 5), kernel=maps(3, 3)),
    "basics.training.cross_entropy": lambda: dict(
        logits=maps(3, 2), labels=torch.tensor([0, 1, 0]), smoothing=0.1
    ),
    "basics.training.sgd_step": lambda: dict(
        theta=maps(3), gradient=maps(3), velocity=maps(3), lr=0.1, momentum=0.9
    ),
    "basics.training.warmup_cosine": lambda: dict(step=3, total=10, warmup=2),
    "basics.training.small_cnn": lambda: dict(widths=(4, 8), num_classes=2, seed=0),
    "basics.training.classification_loss": lambda: dict(smoothing=0.1),
    "basics.training.accuracy": lambda: dict(
        model=cnn(), images=crops()[0], labels=crops()[1], batch_size=4
    ),
    "basics.training.parameter_groups": lambda: dict(model=cnn(), weight_decay=0.1),
    "basics.training.sgd": lambda: dict(model=cnn(), lr=0.1, weight_decay=0.1),
    "basics.training.fit": lambda: dict(
        model=cnn(), dataset=crops(), loss_fn=loss(), steps=1, batch_size=4, lr=0.1,
        warmup=0.1, clip=1.0, every=1, seed=0, progress=False,
    ),
    # ---------------------------------------------------------------------- nas
    "nas.genotypes.Cell": lambda: dict(blocks=found().normal.blocks, output=(2, 3)),
    "nas.genotypes.Genotype": lambda: dict(
        normal=found().normal, reduction=found().normal
    ),
    "nas.genotypes.cell_from_text": lambda: dict(text="sep3(0)+max3(1)"),
    "nas.genotypes.from_text": lambda: dict(text=str(found())),
    "nas.genotypes.graph": lambda: dict(cell=found().normal),
    "nas.search_space.Space": lambda: dict(
        blocks=2, operations=("sep3",), combinations=("add",), cells=("normal",)
    ),
    "nas.search_space.decisions": lambda: dict(space=space()),
    "nas.search_space.encode": lambda: dict(space=space(), genotype=found()),
    "nas.search_space.decode": lambda: dict(space=space(), tokens=[0] * 10),
    "nas.search_space.validate": lambda: dict(space=space(), genotype=found()),
    "nas.search_space.sample": lambda: dict(space=space(), rng=random.Random(0)),
    "nas.search_space.one_change": lambda: dict(
        space=space(), genotype=found(), rng=random.Random(0)
    ),
    "nas.search_space.mutate": lambda: dict(
        space=space(), genotype=found(), rng=random.Random(0), identity=0.05
    ),
    "nas.search_space.canonical": lambda: dict(cell=found()),
    "nas.search_space.same": lambda: dict(a=found(), b=found()),
    "nas.search_space.raw_count": lambda: dict(space=space()),
    "nas.search_space.enumerate_cells": lambda: dict(space=task().space),
    "nas.search_space.symmetries": lambda: dict(wiring=found().normal),
    "nas.search_space.labellings": lambda: dict(
        wiring=found().normal, operations=2, combinations=1
    ),
    "nas.search_space.count": lambda: dict(space=task().space),
    "nas.search_space.count_genotypes": lambda: dict(space=task().space),
    "nas.cells.same_padding": lambda: dict(size=4, kernel=3, stride=2),
    "nas.cells.depthwise": lambda: dict(channels=2, kernel=3, stride=1, dilation=1),
    "nas.cells.pointwise": lambda: dict(channels=2, filters=2),
    "nas.cells.drop_path": lambda: dict(
        x=maps(2, 1, 1, 1), keep=0.5, generator=torch.Generator()
    ),
    "nas.cells.operation": lambda: dict(name="sep3", channels=2, filters=2, stride=1),
    "nas.nasnet.Config": lambda: dict(
        stem="cifar", cells=1, filters=4, stem_filters=4, image_size=32,
        skip_reduction_layer_input=False, drop_path_keep=0.9, dropout=0.1, eps=1e-5,
        momentum=0.1, average_counts_padding=False,
    ),
    "nas.nasnet.plan": lambda: dict(config=module("nas.nasnet").Config()),
    "nas.nasnet.path_keep": lambda: dict(cell=1, cells=4, keep=0.6, progress=0.5),
    "nas.nasnet.network": lambda: dict(
        genotype=found(), num_classes=2, auxiliary=False, filters=2, cells=1
    ),
    "nas.nasnet.nasnet_a": lambda: dict(name="cifar", num_classes=2, auxiliary=False),
    "nas.nasnet.loss_fn": lambda: dict(model=cnn(), batch=crops()),
    "nas.nasnet.official_names": lambda: dict(
        model=module("nas.nasnet").network(found(), filters=2, cells=1)
    ),
    "nas.nasnet.prepare": lambda: dict(
        module=cnn(), config=module("nas.nasnet").Config()
    ),
    "nas.tabular.Task": lambda: dict(
        space=space(), size=8, difficulty=0.0, train=8, validation=4, test=4, filters=2,
        stem_filters=2, norm_momentum=0.3, epochs=1, batch=4, lr=0.1, seeds=1,
        own_seeds=False,
    ),
    "nas.tabular.drawn_seed": lambda: dict(task=task(), text=str(cells()[0]), seed=0),
    "nas.tabular.measure_side_by_side": lambda: dict(
        task=task(), text=str(cells()[0])
    ),
    "nas.tabular.newest": lambda: dict(folder="no such folder"),
    "nas.tabular.network": lambda: dict(task=task(), genotype=found(), seed=0),
    "nas.tabular.measure": lambda: dict(task=task(), text=str(cells()[0]), seed=0),
    "nas.tabular.crops": lambda: dict(task=task(), split="test"),
    "nas.tabular.header": lambda: dict(task=task()),
    "nas.tabular.units": lambda: dict(task=task(), cells=cells()),
    "nas.tabular.read_shards": lambda: dict(task=task(), folder="no such folder"),
    "nas.tabular.build": lambda: dict(
        task=task(), executor=Here(), folder="shards", cells=cells()
    ),
    "nas.tabular.load": lambda: dict(path=module("nas.tabular").SHIPPED),
    "nas.tabular.Table.query": lambda: dict(
        self=table(), genotype=found(), seed=0, epoch=1, split="test"
    ),
    "nas.tabular.spread": lambda: dict(accuracy=np.eye(3)),
    "nas.cells.cell_forward": lambda: dict(
        cell=found().normal,
        current=torch.ones(1, 1, 2, 2), previous=torch.ones(1, 1, 2, 2),
        operations=[nn.Identity()] * 4,
    ),
    "nas.tabular.kendall": lambda: dict(a=[1.0, 2.0, 2.0], b=[1.0, 2.0, 3.0]),
    "nas.tabular.tau": lambda: dict(a=np.arange(3.0), b=np.arange(3.0)),
    "nas.tabular.foresight": lambda: dict(told=np.eye(3), final=np.eye(3)),
    "nas.search.random_search": lambda: dict(
        space=space(), evaluate=half, budget=3, seed=0
    ),
    "nas.search.regularized_evolution": lambda: dict(
        space=space(), evaluate=half, budget=6, seed=0, population=3, tournament=2,
        dies=lambda population: 0,
    ),
    "nas.search.tournament_winner": lambda: dict(
        alive=trials(), tournament=2, rng=random.Random(0)
    ),
    "nas.search.evolution_cycle": lambda: dict(
        alive=trials(), tournament=2, rng=random.Random(0),
        child_of=lambda parent: parent,
    ),
    "nas.search.neighbours": lambda: dict(space=space(), genotype=found()),
    "nas.search.local_search": lambda: dict(
        space=space(), evaluate=half, budget=3, seed=0
    ),
    "nas.search.bracket_cost": lambda: dict(cells=9, rungs=(1, 3), eta=3),
    "nas.search.survivors": lambda: dict(trials=trials(), eta=3),
    "nas.search.successive_halving": lambda: dict(
        space=space(), evaluate=half, budget=20, seed=0, rungs=(1, 2), eta=2
    ),
    "nas.search.mnasnet_reward": lambda: dict(
        accuracy=0.5, price=1.0, target=2.0, below=-0.07, above=-0.07
    ),
    "nas.search.fronts": lambda: dict(points=[[1, 2], [2, 1]]),
    "nas.search.crowding": lambda: dict(points=[[1, 2], [2, 1]]),
    "nas.search.nsga2": lambda: dict(
        space=space(), evaluate=half, budget=6, seed=0, price=half, population=3
    ),
    "nas.search.noisy": lambda: dict(table=table(), rng=random.Random(0)),
    "nas.search.incumbent_test_accuracy": lambda: dict(
        history=history(), table=table()
    ),
    "nas.search.paired_interval": lambda: dict(
        a=[1, 2], b=[2, 1], seed=0, resamples=10
    ),
    "nas.search.train_child": lambda: dict(
        genotype=found(), train=crops(), validation=crops(), epochs=1, batch_size=8,
        lr=0.1, seed=0, build=lambda genotype: cnn(),
    ),
    "nas.controller.Controller": lambda: dict(space=space(), hidden=4, seed=0),
    "nas.controller.Settings": lambda: dict(
        lr=0.1, batch=2, passes=1, clip=0.2, entropy=0.1, decay=0.9
    ),
    "nas.controller.Learner": lambda: dict(
        space=task().space, seed=0, settings=module("nas.controller").FEW
    ),
    "nas.controller.all_tokens": lambda: dict(space=task().space),
    "nas.controller.expected_reward": lambda: dict(
        policy=policy(), tokens=tokens(), rewards=maps(3)
    ),
    "nas.controller.exact_gradient": lambda: dict(
        policy=policy(), tokens=tokens(), rewards=maps(3)
    ),
    "nas.controller.sampled_gradient": lambda: dict(
        policy=policy(), tokens=tokens(), rewards=maps(3), baseline=0.5
    ),
    "nas.controller.reinforce_objective": lambda: dict(
        log_p=maps(3), rewards=maps(3), baseline=0.5
    ),
    "nas.controller.scores": lambda: dict(
        policy=policy(), tokens=tokens(), direction=direction()
    ),
    "nas.controller.moments": lambda: dict(
        probability=maps(3), score=maps(3), rewards=maps(3), baseline=0.5
    ),
    "nas.controller.ppo_loss": lambda: dict(
        log_p=maps(3), old=maps(3), advantage=maps(3), clip=0.2
    ),
    "nas.controller.search": lambda: dict(
        space=task().space, evaluate=half, budget=2, seed=0,
        settings=module("nas.controller").FEW,
    ),
    "nas.regrets.regret_at": lambda: dict(
        scores=[3, 1, 2], truth=[0.25, 1.0, 0.5], k=2
    ),
    "nas.regrets.regret": lambda: dict(
        scores=[3, 1, 2], truth=[0.25, 1.0, 0.5], k=2, resamples=10, seed=0
    ),
    "nas.one_shot.Supernet": lambda: dict(
        space=task().space, num_classes=2, seed=0, cells=1, filters=2
    ),
    "nas.one_shot.Relaxation": lambda: dict(space=space()),
    "nas.one_shot.Relaxation.shares": lambda: dict(
        self=module("nas.one_shot").Relaxation(space()), temperature=1.0
    ),
    "nas.one_shot.path": lambda: dict(cell=found().normal),
    "nas.one_shot.mixed_operation": lambda: dict(
        shares=[0.5, 0.5], outputs=[maps(3), maps(3)]
    ),
    "nas.one_shot.output_shares": lambda: dict(
        choice=module("nas.one_shot").path(found().normal)
    ),
    "nas.one_shot.sample_path": lambda: dict(
        decisions=module("nas.search_space").decisions(space()), rng=random.Random(0)
    ),
    "nas.one_shot.path_loss": lambda: dict(space=space(), seed=0),
    "nas.one_shot.accuracy": lambda: dict(
        model=cnn(), images=crops()[0], labels=crops()[1]
    ),
    "nas.one_shot.darts_loss": lambda: dict(
        relaxation=module("nas.one_shot").Relaxation(space()), held_out=crops(), lr=0.1,
        seed=0,
    ),
    "nas.one_shot.carried_flow": lambda: carried(),
    "nas.one_shot.synflow": lambda: dict(model=cnn(), shape=(3, 8, 8)),
    "nas.one_shot.jacobian_covariance": lambda: dict(
        model=cnn(), images=crops()[0], k=1e-5
    ),
    "nas.rankings.agreement": lambda: dict(
        scores=[1, 2, 3], truth=[1, 3, 2], resamples=10, seed=0
    ),
    # ---------------------------------------------------------------- detection
    "detection.anchors.anchors": lambda: dict(image_size=(64, 64), config=None),
    "detection.anchors.box_area": lambda: dict(boxes=boxes()),
    "detection.anchors.box_iou": lambda: dict(a=boxes(), b=boxes()),
    "detection.anchors.encode": lambda: dict(boxes=boxes(), anchors=boxes()),
    "detection.anchors.decode": lambda: dict(codes=maps(3, 4), anchors=boxes()),
    "detection.anchors.assign": lambda: dict(
        anchors=boxes(), boxes=boxes(), labels=torch.tensor([0, 1, 0]), matched=0.5,
        unmatched=0.4,
    ),
    "detection.anchors.coverage": lambda: dict(
        anchors=boxes(), boxes=[boxes()], matched=0.5
    ),
    "detection.anchors.flatten": lambda: dict(outputs=outputs()[1], size=4),
    "detection.bifpn.fpn": lambda: dict(levels=3),
    "detection.bifpn.panet": lambda: dict(levels=3),
    "detection.bifpn.bifpn": lambda: dict(levels=3),
    "detection.bifpn.table_of": lambda: dict(topology="bifpn", levels=3),
    "detection.bifpn.level_sizes": lambda: dict(image_size=(64, 64), first=3, last=5),
    "detection.bifpn.resample": lambda: dict(x=maps(1, 2, 4, 4), size=(8, 8)),
    "detection.bifpn.fast_fusion": lambda: dict(
        x=[maps(1, 2, 4, 4)] * 2, weights=torch.ones(2), eps=1e-4
    ),
    "detection.bifpn.softmax_fusion": lambda: dict(
        x=[maps(1, 2, 4, 4)] * 2, weights=torch.ones(2)
    ),
    "detection.efficientnet.compound": lambda: dict(
        phi=1, alpha=1.2, beta=1.1, gamma=1.15
    ),
    "detection.efficientnet.relative_cost": lambda: dict(
        depth=1.0, width=1.0, resolution=1.0
    ),
    "detection.efficientnet.scaled_filters": lambda: dict(
        filters=32, width=1.1, divisor=8
    ),
    "detection.efficientnet.scaled_stage": lambda: dict(
        filters=32, repeats=2, width=1.1, depth=1.1, divisor=8
    ),
    "detection.efficientnet.variant": lambda: dict(name="b0"),
    "detection.efficientnet.efficientnet": lambda: dict(name="b0", num_classes=2),
    "detection.efficientnet.features": lambda: dict(name="b0", levels=3),
    "detection.efficientdet.from_phi": lambda: dict(phi=1),
    "detection.efficientdet.efficientdet": lambda: dict(name="d0", num_classes=2),
    "detection.detectors.scenes": lambda: dict(split="test", n=1, seed=0),
    "detection.detectors.crops": lambda: dict(split="test", n=1, size=16, seed=0),
    "detection.detectors.backbone": lambda: dict(name="plain"),
    "detection.detectors.detector": lambda: dict(name="plain", num_classes=2),
    "detection.detectors.shipped": lambda: dict(name="plain", weights="detector"),
    "detection.detection_loss.prior_bias": lambda: dict(probability=0.01),
    "detection.detection_loss.focal_loss": lambda: dict(
        logits=maps(4), targets=torch.zeros(4, dtype=torch.bool), alpha=0.25, gamma=1.5
    ),
    "detection.detection_loss.huber_loss": lambda: dict(error=maps(4), delta=0.1),
    "detection.detection_loss.detection_loss": lambda: dict(
        class_outputs=outputs()[0], box_outputs=outputs()[1],
        targets=module("basics.data").collate([scenes()[0]]), anchors=anchor_boxes(),
        matched=0.5,
    ),
    "detection.decoding.largest": lambda: dict(values=maps(9), count=3),
    "detection.decoding.best_pairs": lambda: dict(
        class_outputs=[levels[0] for levels in outputs()[0]], classes=10, count=20
    ),
    "detection.decoding.clip": lambda: dict(boxes=boxes(), height=20, width=20),
    "detection.decoding.greedy": lambda: dict(
        iou=[[1.0, 0.8], [0.8, 1.0]], scores=[0.9, 0.8], threshold=0.5
    ),
    "detection.decoding.hard_nms": lambda: dict(
        boxes=boxes(), scores=torch.ones(3), labels=torch.zeros(3, dtype=torch.long),
        keep=2,
    ),
    "detection.decoding.soft_nms": lambda: dict(
        boxes=boxes(), scores=torch.ones(3), labels=torch.zeros(3, dtype=torch.long),
        keep=2,
    ),
    "detection.decoding.postprocess": lambda: dict(
        class_outputs=outputs()[0], box_outputs=outputs()[1],
        anchor_boxes=anchor_boxes(), sizes=[(128, 128)], threshold=0.1, candidates=20,
    ),
    "detection.decoding.detect": lambda: dict(
        model=detector(), image=pixels(3, 40, 50), threshold=0.3
    ),
    "detection.decoding.read": lambda: dict(image=pixels(3, 40, 50)),
    "detection.coco_eval.evaluate": lambda: dict(
        ground_truth=coco(), detections=detections()
    ),
    "detection.coco_eval.precision_recall": lambda: dict(
        ground_truth=coco(), detections=detections()
    ),
    "detection.coco_eval.compare": lambda: dict(
        ground_truth=coco(), a=detections(), b=detections(), draws=5, seed=0
    ),
    "detection.coco_eval.choose": lambda: dict(
        overlap=np.array([[0.9, 0.5], [0.6, 0.2]]), threshold=0.5
    ),
    "detection.coco_eval.match_one_image": lambda: dict(
        overlap=np.ones((2, 2)), threshold=0.5, ignored=(), crowds=()
    ),
    "detection.decoding.detect_all": lambda: dict(
        model=detector(), pictures=[pixels(3, 40, 50)], threshold=0.3
    ),
    "detection.coco_eval.overlaps": lambda: dict(
        detections=np.ones((2, 4)), objects=np.ones((2, 4)), crowd=np.zeros(2, bool)
    ),
    "detection.coco_eval.interpolated_precision": lambda: dict(
        right=np.ones(2, bool), false=np.zeros(2, bool), objects=3
    ),
    "detection.recipes.trained": lambda: dict(run="no such folder"),
    # -------------------------------------------------------------- compression
    "compression.sparsity.prunable": lambda: dict(model=cnn()),
    "compression.sparsity.share_of_zeros": lambda: dict(model=cnn()),
    "compression.sparsity.magnitude_mask": lambda: dict(
        weight=maps(4, 4), sparsity=0.5
    ),
    "compression.sparsity.layer_masks": lambda: dict(model=cnn(), sparsity=0.5),
    "compression.sparsity.global_masks": lambda: dict(model=cnn(), sparsity=0.5),
    "compression.sparsity.lamp": lambda: dict(weight=maps(4, 4)),
    "compression.sparsity.lamp_masks": lambda: dict(model=cnn(), sparsity=0.5),
    "compression.sparsity.apply": lambda: dict(
        model=cnn(), masks=module("compression.sparsity").layer_masks(cnn(), 0.5)
    ),
    "compression.sparsity.cubic": lambda: dict(
        step=3, begin=0, end=10, final=0.5, initial=0.0
    ),
    "compression.sparsity.nm_mask": lambda: dict(weight=maps(4, 4), n=2, m=4),
    "compression.sparsity.pattern_masks": lambda: dict(model=cnn(), n=2, m=4),
    "compression.sparsity.file_sizes": lambda: dict(weight=maps(4, 4)),
    "compression.sparsity.sensitivity": lambda: dict(
        model=cnn(), sparsities=[0.5], score=lambda model: 0.5
    ),
    "compression.sparsity.rewind": lambda: dict(
        model=cnn(), state=cnn().state_dict(),
        masks=module("compression.sparsity").layer_masks(cnn(), 0.5),
    ),
    "compression.sparsity.pack": lambda: dict(
        weight=maps(4, 4) * module("compression.sparsity").nm_mask(maps(4, 4)), n=2
    ),
    "compression.channel_pruning.groups": lambda: dict(
        model=cnn().eval(), example_input=maps(1, 3, 8, 8), keep=()
    ),
    "compression.channel_pruning.kept_channels": lambda: dict(
        channels=8, ratio=0.5, multiple=1
    ),
    "compression.channel_pruning.shares_by_loss": lambda: dict(
        losses={"a": {0.25: 0.1, 0.5: 0.3}}, price=0.2
    ),
    "compression.channel_pruning.plan": lambda: {
        **pruning(), "importance": "l2", "multiple": 1, "keep": (),
    },
    "compression.channel_pruning.prune": pruning,
    "compression.deployed.deployed": lambda: dict(
        model=cnn().eval(), example_input=maps(1, 3, 8, 8)
    ),
    "compression.quantize.integer_range": lambda: dict(
        bits=8, symmetric=True, signed=True
    ),
    "compression.quantize.scale_and_zero_point": lambda: dict(
        least=torch.tensor(-1.0), most=torch.tensor(1.0), low=0, high=255
    ),
    "compression.quantize.from_range": lambda: dict(
        least=torch.tensor(-1.0), most=torch.tensor(1.0), bits=8, symmetric=False,
        signed=True,
    ),
    "compression.quantize.choose_qparams": lambda: dict(
        x=maps(4, 4), bits=8, symmetric=False, signed=True, axis=0, group=None
    ),
    "compression.quantize.quantize": lambda: dict(
        x=maps(4, 4), qparams=module("compression.quantize").choose_qparams(maps(4, 4))
    ),
    "compression.quantize.dequantize": lambda: dict(
        q=torch.ones(4, 4, dtype=torch.int32),
        qparams=module("compression.quantize").choose_qparams(maps(4, 4)),
    ),
    "compression.quantize.onto_grid": lambda: dict(
        x=maps(4, 4), scale=torch.tensor(0.1), zero_point=torch.tensor(3), low=0,
        high=15,
    ),
    "compression.quantize.rounded": lambda: dict(
        x=maps(4, 4), qparams=module("compression.quantize").choose_qparams(maps(4, 4))
    ),
    "compression.quantize.sqnr": lambda: dict(x=maps(4, 4), y=maps(4, 4) + 0.1),
    "compression.quantize.expected_sqnr": lambda: dict(
        x=maps(4, 4), qparams=module("compression.quantize").choose_qparams(maps(4, 4))
    ),
    "compression.qat.layers": lambda: dict(model=quantized()),
    "compression.qat.maps": lambda: dict(model=quantized()),
    "compression.qat.sensitivity": lambda: dict(
        model=quantized(), judge=lambda model: 0.5, bits=[4], of="maps"
    ),
    "compression.qat.Scheme": lambda: dict(
        bits=8, symmetric=True, signed=True, axis=0, learned=False
    ),
    "compression.qat.prepare": lambda: dict(
        graph=graph(), bits=None, outputs=True, keep_float=[]
    ),
    "compression.qat.calibrate": lambda: dict(
        model=module("compression.qat").prepare(graph()), batches=[maps(1, 3, 8, 8)]
    ),
    "compression.qat.with_bits": lambda: dict(model=quantized(), bits={}),
    "compression.qat.size": lambda: dict(model=quantized()),
    "compression.qat.parameter_groups": lambda: dict(
        model=quantized(), lr=0.1, decay=0.1
    ),
    "compression.qat.allocate": lambda: dict(
        damage={"a": {4: 0.1, 8: 0.0}}, sizes={"a": 10}, budget=50
    ),
    "compression.integer.convert": lambda: dict(fake_quantized=quantized()),
    "compression.export.to_onnx": lambda: dict(
        model=cnn().eval(), example_input=maps(1, 3, 8, 8), path="model.onnx"
    ),
    "compression.export.to_qdq_onnx": lambda: dict(
        fake_quantized=quantized(), example_input=maps(1, 3, 8, 8), path="qdq.onnx"
    ),
    # --------------------------------------------------------------------- book
    "book.plots.lines": lambda: dict(
        x=[1, 2], series={"a": [1, 2]}, x_label="x", y_label="y"
    ),
    "book.plots.points": lambda: dict(groups={"a": [1, 2]}, y_label="y"),
    "book.plots.scatter": lambda: dict(x=[1, 2], y=[1, 2], x_label="x", y_label="y"),
    "book.plots.bars": lambda: dict(values={"a": 1.0}, y_label="y"),
    "book.plots.histogram": lambda: dict(values=[1, 2, 2], bins=[0, 1, 2], x_label="x"),
    "book.plots.grid": lambda: dict(matrix=[[1, 2], [3, 4]]),
    "book.pictures.images": lambda: dict(images=[pixels(3, 8, 8)]),
    "book.pictures.boxes": lambda: dict(image=pixels(3, 40, 40), boxes=boxes()),
}  # fmt: skip


# Public, but not for a caller of the course: why no wrong argument is passed to them.
NOT_WALKED = {
    "basics.data.cifar10": "asks the network",
    "basics.data.digits": "scikit-learn's, takes no argument",
    "basics.data.split_names": "crops and scenes call it, with what they have checked",
    "basics.data.sources": "crops and scenes call it, with what they have checked",
    "basics.training.training_step": "a step of fit",
    "basics.training.keep_if_finite": "a step of fit",
    "basics.training.update_weights": "a step of fit",
    "basics.training.set_rate": "a step of fit",
    "basics.training.generator_of": "a step of fit",
    "basics.profiling.undominated": "a step of pareto_front, which is walked",
    "basics.profiling.peak_memory": "starts a process for each call; sizes is walked",
    "nas.search_space.blocks_from_tokens": "a step of decode, which is walked",
    "nas.nasnet.load_official": "official.load is walked",
    "nas.controller.sequence_log_prob": "a step of Controller, which is walked",
    "detection.efficientnet.conv_norm": "a part of networks that are walked",
    "detection.efficientnet.spatial_mean": "a line of a forward",
    "detection.efficientnet.squeeze_excite": "a forward, named as fast_fusion is",
    "detection.efficientnet.official_names": "for load_official",
    "detection.efficientnet.load_official": "official.load is walked",
    "detection.bifpn.without_single_inputs": "a step of bifpn, which is walked",
    "detection.bifpn.with_shortcuts": "a step of bifpn, which is walked",
    "detection.bifpn.halved": "a step of level_sizes, which is walked",
    "detection.bifpn.weighted_sum": "a step of fast_fusion, which is walked",
    "detection.bifpn.official_names": "for load_official",
    "detection.anchors.owners": "a step of assign, which is walked",
    "detection.anchors.insist_objects": "the check itself",
    "detection.anchors.insist_outputs": "the check itself",
    "detection.efficientdet.official_names": "for load_official",
    "detection.efficientdet.load_official": "official.load is walked",
    "detection.detection_loss.loss_of_assigned": "a step of detection_loss",
    "detection.coco_eval.detections": "detect_all is walked",
    "detection.coco_eval.match": "a step of evaluate, which is walked",
    "compression.sparsity.unpack": "takes what pack gives",
    "compression.sparsity.semi_structured": "needs a GPU",
    "compression.channel_pruning.norm_of_weights": "a kind of importance",
    "compression.channel_pruning.mean_scale": "a kind of importance",
    "compression.channel_pruning.taylor": "a kind of importance",
    "compression.channel_pruning.importance": "takes what groups gives",
    "compression.channel_pruning.ranked": "a step of plan, which is walked",
    "compression.channel_pruning.plan_by_ratio": "a step of plan, which is walked",
    "compression.channel_pruning.plan_by_macs": "a step of plan, which is walked",
    "compression.channel_pruning.plan_by_hand": "a step of plan, which is walked",
    "compression.channel_pruning.priced": "a step of plan, which is walked",
    "compression.channel_pruning.keep_places": "a step of prune, which is walked",
    "compression.channel_pruning.remove_channels": "a step of prune, which is walked",
    "compression.channel_pruning.load_pruned_state": "takes what prune saved",
    "compression.channel_pruning.load": "takes what prune saved",
    "compression.channel_pruning.masked": "takes what plan gives",
    "compression.integer.differences": "takes what convert gives",
    "compression.export.session": "starts onnxruntime for each call",
    "compression.export.operator_counts": "starts onnxruntime for each call",
    "compression.export.profile": "starts onnxruntime for each call",
    "compression.export.saturates": "takes no argument",
}


# ------------------------------------------------------------------------- the walk


def callee(name: str):
    """The function or class of a name such as "nas.tabular.Table.query"."""
    wing, stem, *rest = name.split(".")
    thing = module(f"{wing}.{stem}")
    for part in rest:
        thing = getattr(thing, part)
    return thing


def call(function, arguments: dict):
    """Call with arguments by name; those before "*inputs" by position."""
    arguments, positional = dict(arguments), []
    star = next((name for name in arguments if name.startswith("*")), None)
    if star:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional.append(arguments.pop(star))
                break
            positional.append(arguments.pop(parameter.name))
    return function(*positional, **arguments)


@functools.cache
def raising_lines(file: str) -> frozenset[int]:
    """The lines of a file that stand in a `raise` with something to raise."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            lines |= set(range(node.lineno, node.end_lineno + 1))
    return frozenset(lines)


def is_ours(error: BaseException, argument: str, wrong) -> bool:
    """True for a ValueError or TypeError that lib raised and that names the argument.

    Where a text is wrong, naming the text will do: a file, a split. So will a key of a
    dictionary.
    """
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    file = Path(last.tb_frame.f_code.co_filename)
    ours = file.is_relative_to(lib.ROOT / "lib")
    raised = ours and last.tb_lineno in raising_lines(str(file))
    names = {argument.lstrip("*"), argument.lstrip("*").removesuffix("s")}
    names |= {wrong} if isinstance(wrong, str) else set()
    names |= set(wrong) if isinstance(wrong, dict) else set()
    named = any(re.search(rf"\b{name}\b", str(error)) for name in names)
    return isinstance(error, ValueError | TypeError) and raised and named


def too_long(*_):
    raise Hang


def valid(name: str) -> str:
    """What is wrong with the valid call; empty if nothing is."""
    try:
        call(callee(name), CALLS[name]())
    except Exception as error:
        said = " ".join(str(error).split())[:90]
        return "" if "no such f" in said else f"{type(error).__name__}: {said}"
    return ""


def tried(name: str, argument: str, wrong) -> str:
    """What is wrong with the answer to a wrong argument; empty if nothing is."""
    arguments = CALLS[name]()
    arguments[argument] = wrong
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        call(callee(name), arguments)
    except Hang:
        return f"over {SECONDS} seconds"
    except Exception as error:
        if not is_ours(error, argument, wrong):
            said = " ".join(str(error).split())[:90]
            return f"{type(error).__name__}: {said}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    signal.signal(signal.SIGPROF, too_long)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    out = os.fdopen(os.dup(1), "w")  # open(True) reads file 1, and closes it
    sys.stdout = io.StringIO()  # a progress bar may not mix in
    os.chdir(tempfile.mkdtemp())
    for name in CALLS:
        if wanted not in name:
            continue
        if said := valid(name):
            print(json.dumps([name, "", "nothing", said]), file=out)
            continue
        for argument in CALLS[name]():
            if argument == "self":
                continue
            for kind, make in WRONG.items():
                if said := tried(name, argument, make()):
                    print(json.dumps([name, argument, kind, said]), file=out)
        out.flush()
    print(json.dumps(["the end", "", "", ""]), file=out)


if __name__ == "__main__":
    main()
