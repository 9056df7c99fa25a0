"""What each public function of all wings leaves as it was: `python -m tests.state`.

A table of functions. Before and after each call everything is noted that a caller
shares with us: random numbers, threads, modes and settings of Python, NumPy and torch;
of the arguments each part's mode, weights, gradients and hooks. A row names what the
function is there to change; all else has to be equal, also after an error. Prints what
was not.

In a process of its own: what checks types under pytest draws from Python's random
numbers.
"""

import copy
import gc
import json
import locale
import os
import random
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from types import SimpleNamespace

import lib  # noqa: F401  isort: skip  (threads)
import matplotlib
import numpy as np
import torch
from torch import nn

from lib import exercises
from lib.basics import checkpoints, data, profiling, training
from lib.book import graphs, pictures, plots
from lib.compression import (
    channel_pruning,
    deployed,
    export,
    integer,
    qat,
    sparsity,
    tracing,
)
from lib.detection import coco_eval, decoding, detectors, recipes
from lib.exercises import grading
from lib.nas import controller, one_shot, search, search_space, tabular

SPACE = search_space.SMALL


def world() -> dict:
    """What belongs to the process, and so to every caller."""
    return {
        "torch's random numbers": torch.get_rng_state().tolist(),
        "NumPy's random numbers": repr(np.random.get_state()),
        "Python's random numbers": random.getstate(),
        "threads": torch.get_num_threads(),
        "threads between operators": torch.get_num_interop_threads(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "anomaly mode": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "oneDNN": torch.backends.mkldnn.enabled,
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "warnings": list(warnings.filters),
        "NumPy's errors": np.geterr(),
        "NumPy's printing": np.get_printoptions(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "recursion limit": sys.getrecursionlimit(),
        "tracing": sys.gettrace(),
        "interrupt": signal.getsignal(signal.SIGINT),
        "exception hook": sys.excepthook,
        "garbage": gc.isenabled(),
        "locale": locale.setlocale(locale.LC_ALL),
        "matplotlib": dict(matplotlib.rcParams),
        "streams": (sys.stdout, sys.stderr),
        "running threads": threading.active_count(),
    }


def model_state(model: nn.Module) -> dict:
    """What belongs to a model, part by part."""
    parts, weights = dict(model.named_modules()), dict(model.named_parameters())
    tensors = model.state_dict(keep_vars=True)
    return {
        "modes": {name: part.training for name, part in parts.items()},
        "parts": {name: id(part) for name, part in parts.items()},
        "frozen": {name: w.requires_grad for name, w in weights.items()},
        "gradients": {
            name: None if w.grad is None else w.grad.sum().item()
            for name, w in weights.items()
        },
        "weights": {
            name: (id(value), value.detach().double().sum().item())
            for name, value in tensors.items()
        },
        "hooks": {
            name: (len(part._forward_hooks), len(part._forward_pre_hooks))
            for name, part in parts.items()
        },
    }


def half_frozen(model: nn.Module) -> nn.Module:
    """As for fine-tuning: training mode, but for the norms; some weights frozen."""
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    first, *_, last = model.parameters()
    first.requires_grad_(False)
    last.grad = torch.ones_like(last)
    return model


def arguments(folder: Path, shared: SimpleNamespace) -> SimpleNamespace:
    """What the functions of the table are called with, new for each."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (6, 3, 8, 8), generator=generator)
    return SimpleNamespace(
        net=half_frozen(training.small_cnn((4, 8), 3)),
        detector=half_frozen(detectors.detector("plain")),
        x=torch.randn(2, 3, 8, 8, generator=generator),
        pixels=pixels.to(torch.uint8),
        labels=torch.tensor([0, 1, 2, 0, 1, 2]),
        folder=folder,
        shared=shared,
    )


def odd_world() -> None:
    """No setting has the value that a careless function would put back."""
    torch.set_num_threads(3)
    sys.setrecursionlimit(sys.getrecursionlimit() + 321)
    np.set_printoptions(precision=3)
    np.random.seed(4)


def worth(genotype) -> float:
    return (
        len(search_space.encode(SPACE, genotype)) / 100
        + random.Random(str(genotype)).random()
    )


def quantized(given):
    flat = deployed.deployed(given.net, given.x)
    return qat.calibrate(qat.prepare(flat), [given.x])


def graded(given):
    exercise = exercises.find("bifpn.window")
    grading.grade(exercise, exercise.reference)


def graded_wrong(given):
    exercise = exercises.find("bifpn.window")

    def mine(i, old, new):
        torch.manual_seed(7), random.seed(7), np.random.seed(7)
        torch.set_default_dtype(torch.float64)
        raise OSError("an answer's own")

    grading.grade(exercise, mine)


def trained(given):
    folder = given.folder / "pictures"
    data.write_coco(data.scenes("train", 10, size=64, pixels=(14, 40)), folder)
    settings = recipes.Settings(
        model="plain", image_size=64, epochs=1, batch=4, lr=0.01, workers=0
    )
    recipes.train(folder, given.folder / "run", settings)


# name: (call, what it is there to change)
TABLE = {
    # basics
    "data.scenes": (lambda g: data.scenes("train", 2, size=64, pixels=(14, 40)), ""),
    "data.crops": (lambda g: data.crops("train", 3), ""),
    "data.digits": (lambda g: data.digits(), ""),
    "training.small_cnn": (lambda g: training.small_cnn((4,), 2, seed=3), ""),
    "training.accuracy": (lambda g: training.accuracy(g.net, g.pixels, g.labels), ""),
    "training.EMA": (lambda g: training.EMA(g.net).update(g.net), ""),
    "training.fit": (
        lambda g: training.fit(
            g.net,
            (g.pixels, g.labels),
            training.classification_loss(),
            steps=2,
            batch_size=3,
            checkpoint=g.folder / "run.pt",
            progress=False,
        ),
        "modes weights gradients",
    ),  # fmt: skip
    "profiling.sizes": (lambda g: profiling.sizes(g.net), ""),
    "profiling.macs": (lambda g: profiling.macs(g.net, g.x), ""),
    "profiling.macs_by_module": (lambda g: profiling.macs_by_module(g.net, g.x), ""),
    "profiling.kept_for_backward": (
        lambda g: profiling.kept_for_backward(g.net, g.x),
        "",
    ),
    "checkpoints.save_weights": (
        lambda g: checkpoints.save_weights(g.net, g.folder / "w.safetensors"),
        "",
    ),
    # nas
    "search.random_search": (lambda g: search.random_search(SPACE, worth, 6, 0), ""),
    "search.regularized_evolution": (
        lambda g: search.regularized_evolution(
            SPACE, worth, 8, 0, population=4, tournament=2
        ),
        "",
    ),
    "search.local_search": (lambda g: search.local_search(SPACE, worth, 6, 0), ""),
    "search.nsga2": (
        lambda g: search.nsga2(SPACE, worth, 8, 0, price=worth, population=4),
        "",
    ),
    "search.paired_interval": (
        lambda g: search.paired_interval([0.1, 0.3, 0.2], [0.2, 0.1, 0.1]),
        "",
    ),
    "controller.search": (lambda g: controller.search(SPACE, worth, 20, 0), ""),
    "tabular.load": (lambda g: tabular.load(), ""),
    "table.query": (lambda g: g.shared.table.query(g.shared.table.genotypes[0]), ""),
    "one_shot.synflow": (lambda g: one_shot.synflow(g.net, (3, 8, 8)), ""),
    "one_shot.jacobian_covariance": (
        lambda g: one_shot.jacobian_covariance(g.net, g.pixels),
        "",
    ),
    "one_shot.agreement": (
        lambda g: one_shot.agreement([0.1, 0.2, 0.3], [1, 3, 2], resamples=10),
        "",
    ),
    # detection
    "decoding.detect": (
        lambda g: decoding.detect(g.detector, g.shared.scenes[0].image),
        "",
    ),
    "coco_eval.detections": (
        lambda g: coco_eval.detections(g.detector, g.shared.scenes),
        "",
    ),
    "coco_eval.evaluate": (lambda g: coco_eval.evaluate(g.shared.truth, []), ""),
    "recipes.build": (lambda g: recipes.build(recipes.Settings(model="lite"), 3), ""),
    "recipes.train": (trained, ""),
    # compression
    "sparsity.global_masks": (lambda g: sparsity.global_masks(g.net, 0.5), ""),
    "sparsity.apply": (
        lambda g: sparsity.apply(g.net, sparsity.global_masks(g.net, 0.5)),
        "weights gradients",
    ),
    "sparsity.sensitivity": (
        lambda g: sparsity.sensitivity(g.net, [0.5], lambda m: 1.0),
        "",
    ),
    "tracing.trace": (lambda g: tracing.trace(g.net, g.x), ""),
    "channel_pruning.prune": (lambda g: channel_pruning.prune(g.net, g.x, 0.5), ""),
    "deployed.deployed": (lambda g: deployed.deployed(g.net, g.x), ""),
    "qat.calibrate": (quantized, ""),
    "integer.convert": (lambda g: integer.convert(quantized(g).eval()), ""),
    "export.to_onnx": (
        lambda g: export.to_onnx(g.net, g.x, g.folder / "net.onnx"),
        "",
    ),
    # exercises, book
    "grading.grade": (graded, ""),
    "grading.grade, wrong": (graded_wrong, ""),
    "plots.bars": (lambda g: plots.bars({"a": 1, "b": 2}, y_label="y").html, ""),
    "plots.lines": (
        lambda g: plots.lines([0, 1], {"a": [1, 2]}, x_label="x", y_label="y").html,
        "",
    ),
    "graphs.graph": (
        lambda g: graphs.graph({"a": "A", "b": "B"}, [("a", "b")]).html,
        "",
    ),
    "pictures.boxes": (
        lambda g: pictures.boxes(
            g.shared.scenes[0].image, torch.tensor([[2.0, 2, 30, 30]])
        ),
        "",
    ),
}


class Fails(nn.Module):
    """A part that raises once it is asked for an answer."""

    def forward(self, x):
        raise OSError("a part's own")


def fails_at_3():
    calls = []

    def evaluate(genotype):
        calls.append(genotype)
        if len(calls) == 3:
            raise OSError("an evaluation's own")
        return worth(genotype)

    return evaluate


FAILING = {
    "training.accuracy": lambda g: training.accuracy(g.net, g.pixels, g.labels),
    "decoding.detect": lambda g: decoding.detect(g.detector, g.shared.scenes[0].image),
    "coco_eval.detections": lambda g: coco_eval.detections(g.detector, g.shared.scenes),
    "profiling.macs": lambda g: profiling.macs(g.net, g.x),
    "deployed.deployed": lambda g: deployed.deployed(g.net, g.x),
    "channel_pruning.prune": lambda g: channel_pruning.prune(g.net, g.x, 0.5),
    "export.to_onnx": lambda g: export.to_onnx(g.net, g.x, g.folder / "net.onnx"),
    "search.random_search": lambda g: search.random_search(SPACE, fails_at_3(), 6, 0),
    "controller.search": lambda g: controller.search(SPACE, fails_at_3(), 6, 0),
}


def differences(before: dict, after: dict, may: str, whose: str) -> list[str]:
    keys = [key for key in before if key not in may.split()]
    return [f"{whose}: {key}" for key in keys if before[key] != after[key]]


def changed(given, call, may: str, fails: bool) -> list[str]:
    """What a call changed and was not there to change."""

    def everything():
        return world(), model_state(given.net), model_state(given.detector)

    kept = given.shared.truth, given.pixels, given.labels
    copies = copy.deepcopy(kept)
    torch.manual_seed(123), random.seed(5)
    before, said = everything(), []
    try:
        call(given)
        if fails:
            said.append("it did not fail")
    except Exception:
        if not fails:
            said.append(traceback.format_exc(limit=-2))
    after = everything()
    for whose, old, new in zip(
        ("world", "net", "detector"), before, after, strict=True
    ):
        said += differences(old, new, may, whose)
    truth, pixels, labels = copies
    same = torch.equal(given.pixels, pixels) and torch.equal(given.labels, labels)
    if not same or given.shared.truth != truth:
        said.append("an argument")
    return said


def main() -> dict[str, list[str]]:
    odd_world()
    scenes = detectors.scenes("test", 2)
    shared = SimpleNamespace(scenes=scenes, truth=scenes.coco(), table=tabular.load())
    result, first = {}, world()
    for name, (call, may) in TABLE.items():
        with tempfile.TemporaryDirectory() as folder:
            given = arguments(Path(folder), shared)
            # Once before: what is imported or looked up the first time is no state.
            call(copy.deepcopy(given))
        with tempfile.TemporaryDirectory() as folder:
            given.folder = Path(folder)
            result[name] = changed(given, call, may, fails=False)
    for name, call in FAILING.items():
        with tempfile.TemporaryDirectory() as folder:
            given = arguments(Path(folder), shared)
            given.net.append(Fails())
            given.detector.box_head.predict = Fails()
            result[f"{name}, which fails"] = changed(given, call, "", fails=True)
    # The first call of a function may do what later ones do not. Left out: what has
    # been drawn on the way, two variables of OpenMP that come with an import of
    # scikit-learn, and threads that libraries keep (tqdm's monitor).
    loose = ("random numbers", "environment", "running threads")
    settings = {key: first[key] for key in first if not key.endswith(loose)}
    result["all together"] = differences(settings, world(), "", "world")
    return result


if __name__ == "__main__":
    print(json.dumps(main()))
