"""What stands round a training step: checks, a careful optimizer, chance, a bar.

None of it is the idea of training. It is what a long run on real machines needs: half
precision that does not overflow, gradients that are cut to a length, random numbers
that follow from the seed. For `training.fit`.
"""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from tqdm import auto, std

from lib.basics import arguments


def check_settings(model, dataset, loss_fn, batch_size, warmup, clip, every) -> None:
    """ValueError that names what `fit` cannot work with."""
    arguments.gradients_on("fit")
    arguments.instance("model", model, nn.Module)
    wanted = "a tuple of tensors, or samples with a len() and [i]"
    sized = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not sized or isinstance(dataset, str | dict):
        raise arguments.refuse("dataset", dataset, wanted)
    if not len(dataset):
        raise ValueError("dataset has 0 samples; fit needs one at least")
    if isinstance(dataset, list) and any(isinstance(s, str | None) for s in dataset):
        raise arguments.refuse("dataset", dataset, wanted)
    parts = dataset if isinstance(dataset, tuple) else ()
    for i, part in enumerate(parts):
        arguments.tensor(f"dataset[{i}]", part, "...")
    lengths = [len(part) for part in parts]
    if len(set(lengths)) > 1:  # some samples would have no partner
        raise ValueError(f"dataset has parts of {lengths} samples; each needs as many")
    arguments.function("loss_fn", loss_fn, "loss_fn(model, batch) -> (loss, logs)")
    arguments.whole_number("batch_size", batch_size)
    arguments.real_number("warmup", warmup, least=0)
    if clip is not None:
        arguments.real_number("clip", clip, least=0, infinite=True)
    arguments.whole_number("every", every)


def steps_in_all(batches, batch_size, steps, epochs) -> int:
    """How many steps a run has, told as steps or as epochs; ValueError if none."""
    for name, value in {"steps": steps, "epochs": epochs}.items():
        if value is not None:
            arguments.whole_number(name, value, most=10**12)
    total = steps if epochs is None else epochs * batches.per_epoch
    told_once = None in (steps, epochs)
    if batches.per_epoch < 1 or (total or 0) < 1 or not told_once:
        raise ValueError(
            "fit needs samples, and steps or epochs (one of them, at least 1); got"
            f" {batches.samples} samples, {batch_size=}, {steps=}, {epochs=}"
        )
    return int(total)


class Careful:
    """An optimizer that clips before a step, and leaves out one that overflowed.

    `scaler` is torch's for half precision; switched off, it passes everything through.
    `clip` limits the norm of the gradient; None or 0: no limit.
    """

    def __init__(self, model: nn.Module, optimizer, scaler, clip: float | None):
        self.model, self.optimizer = model, optimizer
        self.scaler, self.clip = scaler, clip

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        if self.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()


@contextmanager
def own_chance(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, torch's random numbers follow from the seed; then the caller's are back.

    They are part of a checkpoint: a dropout goes on as if nobody had interrupted it.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def bar(total: int, progress: bool):
    """A progress bar of `total` steps; plain text where nobody watches."""
    if os.environ.get("COURSE_STATIC") != "1":
        return auto.tqdm(total=total, disable=not progress, unit="step", leave=False)
    look = {"bar_format": "{n_fmt} of {total_fmt} steps", "mininterval": math.inf}
    return std.tqdm(total=total, disable=not progress, file=sys.stdout, **look)
