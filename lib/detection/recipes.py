"""The long runs: a detector on any COCO folder, on as many GPUs as there are.

    python -m lib.detection.recipes train-detector --data FOLDER --model d0 --out RUN
    torchrun --nproc-per-node 8 -m lib.detection.recipes train-detector ...

FOLDER is laid out as COCO is (annotations/instances_train2017.json, train2017/, and
val2017 likewise), or as `data.write_coco` writes it: annotations.json and images/, in
train/ and val/ or in FOLDER itself. Without a val set every tenth picture is kept for
evaluation. RUN gets config.json, log.jsonl, checkpoint.pt and weights.safetensors, and
`trained(RUN)` is the detector for `decoding.detect`. After a kill the same command goes
on, with any number of processes, and ends with the same files; other pictures, boxes or
settings are refused.

Recipe: EfficientDet, arXiv 1911.09070, section 5.1, and its code, which clips gradients
at 10 and divides a process's loss by the positives of that process.
"""

import dataclasses
import json
import math
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from lib.basics import arguments, checkpoints, data, memory, training
from lib.detection import (
    anchors,
    bifpn,
    categories,
    coco_eval,
    coco_folders,
    detectors,
    efficientdet,
    runs,
)
from lib.detection.coco_folders import Subset, open_folder
from lib.detection.detection_loss import detection_loss
from lib.detection.settings import FREE, Settings, checked, command_line, from_dict

__all__ = ["Settings", "open_folder"]  # names of ours that live elsewhere

# ---------------------------------------------------------------------- the pictures


class Augmented(Dataset):
    """Item (epoch, i) is picture i, flipped, resized and cut by a chance of its own.

    Seed, epoch and i decide, not the process, the worker or an interruption.
    """

    def __init__(
        self, pictures: Subset, config: efficientdet.Config, settings: Settings
    ):
        self.pictures, self.settings = pictures, settings
        self.side = max(config.image_size)
        self.fill = tuple(round(255 * m) for m in config.mean)  # a normalised 0

    def __getitem__(self, key: tuple[int, int]) -> data.Sample:
        generator = chance(self.settings.seed, *key)
        _, i = key
        sample = self.pictures[i]
        if self.settings.flip and torch.rand((), generator=generator) < 0.5:
            image, boxes = data.hflip(sample.image, sample.boxes)
            sample = sample._replace(image=image, boxes=boxes)
        how = {"scales": self.settings.jitter, "fill": self.fill}
        return data.scale_jitter(sample, self.side, generator=generator, **how)


def chance(*key: int) -> torch.Generator:
    """Random numbers that are a function of these integers."""
    bits = random.Random("/".join(map(str, key))).getrandbits(63)
    return torch.Generator().manual_seed(bits)


def batches(n: int, settings: Settings, steps: range, rank: int = 0, world: int = 1):
    """For each step the keys (epoch, i) of this process's share of the batch.

    A function of the step: a run that goes on sees what it would have seen.
    """
    size = settings.batch
    for step in steps:
        epoch, i = divmod(step, n // size)
        if i == 0 or step == steps.start:
            order = torch.randperm(n, generator=chance(settings.seed, epoch)).tolist()
        batch = order[i * size : (i + 1) * size]
        yield [(epoch, k) for k in batch[rank::world]]


# ------------------------------------------------------------------------- the model


def _checked(settings: Settings) -> Settings:
    return checked(settings, efficientdet.CONFIGS, detectors.CONFIGS)


def build(settings: Settings, num_classes: int) -> nn.Module:
    """The detector that the settings name; the seed alone gives its first weights."""
    small = settings.model in detectors.CONFIGS
    maker = detectors.detector if small else efficientdet.efficientdet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = maker(settings.model, num_classes)
        if settings.start:
            _take_up(model, settings)
    if settings.image_size:
        size = (settings.image_size,) * 2
        model.config = dataclasses.replace(model.config, image_size=size)
    for module in model.modules():
        if settings.norm_momentum and isinstance(module, nn.BatchNorm2d):
            module.momentum = settings.norm_momentum
    return model


def _take_up(model: nn.Module, settings: Settings) -> None:
    """Official weights wherever they fit: all but those that tell classes apart."""
    source = efficientdet.efficientdet(settings.model)  # of 90 classes
    theirs = efficientdet.load_official(source, settings.start).state_dict()
    mine = model.state_dict()
    fits = {k: v for k, v in theirs.items() if v.shape == mine[k].shape}
    model.load_state_dict(mine | fits)


def _named(model: nn.Module, names, ids) -> nn.Module:
    """The model, now saying in `config.categories` what its outputs mean."""
    pairs = zip(ids, names, strict=True)
    meaning = tuple(categories.Category(*pair) for pair in pairs)
    model.config = dataclasses.replace(model.config, categories=meaning)
    return model


def trained(run) -> nn.Module:
    """The averaged detector in a run's folder, in eval mode; `.names` are its classes.

    ValueError names a file that is missing or is not what was written.
    """
    folder = Path(arguments.path("run", run))
    about = runs.read_config(folder)
    try:
        settings = _checked(from_dict(about["settings"] | {"start": ""}))
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}") from error
    names = about["names"]
    model = _named(build(settings, len(names)), names, about["category_ids"])
    checkpoints.load_weights(model, folder / "weights.safetensors")
    model.names = tuple(names)
    return model.eval()


def evaluate(model, pictures: Subset, batch: int, rank: int = 0, world: int = 1):
    """The twelve COCO numbers, in every process; each looks at its share of them."""
    share = Subset(pictures.folder, pictures.rows[rank::world])
    detections = coco_eval.detections(model, share, batch_size=batch)
    if world > 1:
        shares = [None] * world
        dist.all_gather_object(shares, detections)
        detections = sum(shares, [])
    return coco_eval.evaluate(pictures.coco(), detections)


# ----------------------------------------------------------------------- the training


class Process(NamedTuple):
    """One of the `world` processes that train together."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """It alone writes and speaks."""
        return self.rank == 0


@contextmanager
def processes() -> Iterator[Process]:
    """This process among its like; torchrun tells it by the environment."""
    told = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    rank, world, local = (int(os.environ.get(*each)) for each in told)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("gloo" if device.type == "cpu" else "nccl")
    try:
        yield Process(rank, world, device)
    finally:
        if world > 1:
            dist.destroy_process_group()


def train(
    folder, out, settings: Settings, say: Callable[[dict], None] = lambda row: None
) -> coco_eval.Numbers:
    """Train on a folder into `out`, or go on there; returns the last COCO numbers.

    `say(row)` hears in the first process what joins log.jsonl after each epoch, and
    before that how many annotations were left out as bad. Raises ValueError, and
    ArithmeticError at a loss or a weight that is not finite; what `out` holds then is
    the last good state.
    """
    settings, out = _checked(settings), Path(out)
    how = {"skip": settings.skip, "drop_bad_boxes": settings.drop_bad_boxes}
    learn, judge = open_folder(folder, **how)
    with processes() as process:
        lock = runs.alone(out) if process.first else nullcontext()
        cuda = [process.device] if process.device.type == "cuda" else []
        with lock, torch.random.fork_rng(cuda):  # the caller's random numbers stay put
            return _Training(learn, judge, out, settings, process, say).finish()


class _Training:
    """A run between two steps: `finish` takes it to its end from wherever it is."""

    def __init__(self, learn, judge, out: Path, settings: Settings, process, say):
        self.learn, self.judge, self.out = learn, judge, out
        self.settings, self.process, self.say = settings, process, say
        self.per_epoch = self._steps_of_an_epoch()
        self.total = settings.epochs * self.per_epoch
        self.run, self.wrapped = self._resumed()
        self.model, self.ema = self.run.parts["model"], self.run.parts["ema"].model
        self.log: runs.Log = self.run.parts["log"]
        self.numbers: coco_eval.Numbers | None = None  # of the state as it is now

    def _steps_of_an_epoch(self) -> int:
        batch, world = self.settings.batch, self.process.world
        per_epoch = len(self.learn) // batch
        if batch % world or per_epoch < 1:
            raise ValueError(
                f"batch is {batch}: give a multiple of the {world} processes,"
                f" at most the {len(self.learn)} pictures there are to learn from"
            )
        return per_epoch

    def _resumed(self):
        """The run at the step it had reached, and its model as all processes train it.

        Nothing is written before the checkpoint has been found to be of this run.
        """
        settings, (_, world, device) = self.settings, self.process
        names, ids = self.learn.names, self.learn.category_ids
        model = _named(build(settings, len(names)), names, ids).to(device)
        _insist_on_two_values(model.config, settings.batch // world)
        ema = training.EMA(model, settings.ema)
        cuda = device.type == "cuda"
        if world > 1 and cuda:  # statistics of the whole batch; the CPU has none of it
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        groups = training.parameter_groups(model, settings.weight_decay)
        lr = settings.lr or 0.08 * settings.batch / 64
        parts = {
            "model": model,
            "optimizer": torch.optim.SGD(groups, lr=lr, momentum=0.9),
            "scaler": torch.amp.GradScaler(device.type, enabled=cuda),
            "ema": ema,
            "log": runs.Log(),
        }

        told = dataclasses.asdict(settings)
        same = {name: value for name, value in told.items() if name not in FREE}
        same |= coco_folders.fingerprint(self.learn, self.judge)
        run = checkpoints.ResumableRun(parts, self.out / "checkpoint.pt", same)
        run.resume(self.total)
        wrapped = model
        if world > 1:  # it waits until all have read
            wrapped = DistributedDataParallel(model, [device] if cuda else None)
        if not self.process.first:
            run.path = None
            return run, wrapped.train()

        about = {"format": runs.FORMAT, "names": names, "category_ids": ids}
        runs.write_json(self.out / "config.json", about | {"settings": told})
        if dropped := coco_folders.dropped(self.learn, self.judge):
            runs.write_json(self.out / "dropped.json", dropped)
            whys = [why for reasons in dropped.values() for why in reasons.values()]
            self.say({"dropped": len(whys), "all in": "dropped.json", "first": whys[0]})
        return run, wrapped.train()

    def finish(self) -> coco_eval.Numbers:
        """Train what is left, close each epoch, and give the last numbers."""
        # A kill may have come between an epoch's last step and its row.
        start = self.run.good["step"]
        epochs = start // self.per_epoch
        if start % self.per_epoch == 0 and len(self.log.rows) < epochs:
            self._close_epoch(epochs)

        steps = range(start, self.total)
        for step, batch in zip(steps, self._loader(steps), strict=True):
            self._step(step, batch)
            epoch, rest = divmod(step + 1, self.per_epoch)
            save_every = self.settings.save_every
            if rest == 0:
                self._close_epoch(epoch)
            elif save_every and (step + 1) % save_every == 0:
                self._keep(step + 1)

        if self.numbers is None:
            self.numbers = self._judged()
        if self.process.first:  # again: whoever deleted the files has them back
            runs.write_results(self.out, self.ema, self.log)
        return self.numbers

    def _loader(self, steps: range) -> DataLoader:
        settings, (rank, world, device) = self.settings, self.process
        return DataLoader(
            Augmented(self.learn, self.model.config, settings),
            batch_sampler=batches(len(self.learn), settings, steps, rank, world),
            collate_fn=data.collate,
            num_workers=settings.workers,
            pin_memory=device.type == "cuda",
        )

    def _step(self, step: int, batch: data.Batch) -> None:
        """One update of the weights and of their average; the loss goes to the log."""
        settings, process = self.settings, self.process
        # What a layer draws (drop path) is a function of the step, too.
        torch.manual_seed(chance(settings.seed, step, process.rank).initial_seed())
        warmup = min(round(settings.warmup * self.per_epoch), self.total - 1)
        rate = training.warmup_cosine(step, self.total, warmup)
        loss = _update(self.wrapped, self.run.parts, batch, rate, settings.clip)
        self.numbers = None
        self.log.losses.append(loss)
        if not math.isfinite(loss):
            self._stop(f"the loss is {loss} at step {step}")

    def _close_epoch(self, epoch: int) -> None:
        """Judge, write weights and log, and only then the state that says so.

        A kill at any place in between repeats from here: no step is lost, and nothing
        is called done that is not on the disk.
        """
        step, every = epoch * self.per_epoch, self.settings.evaluate_every
        more = {}
        if every and epoch % every == 0:
            if self.run.good["step"] < step:  # to judge may take as long as to train
                self._keep(step)
            self.numbers = self._judged()
            more = {"ap": self.numbers.ap, "ap50": self.numbers.ap50}
        row = self.log.close_epoch(epoch, **more)
        self._insist_finite(step)
        if self.process.first:
            runs.write_results(self.out, self.ema, self.log)
        self._keep(step)
        if self.process.first:
            self.say(row)

    def _judged(self) -> coco_eval.Numbers:
        rank, world, _ = self.process
        return evaluate(self.ema, self.judge, self.settings.batch, rank, world)

    def _keep(self, step: int) -> None:
        self._insist_finite(step)
        self.run.keep(self.run.state(step))

    def _insist_finite(self, step: int) -> None:
        """No NaN and no infinity is ever written as weights to go on with or to use."""
        for model in (self.model, self.ema):
            for name, value in model.state_dict().items():
                if not value.isfinite().all():
                    self._stop(f"{name} is not finite after step {step - 1}")

    def _stop(self, what: str) -> None:
        raise ArithmeticError(
            f"{what}, the checkpoint of step {self.run.good['step']}: try a smaller lr,"
            " in another folder"
        )


def _insist_on_two_values(config: efficientdet.Config, pictures: int) -> None:
    """ValueError if a norm would see one number a channel, whose variance is none."""
    _, last = config.anchors.levels
    ((height, width),) = bifpn.level_sizes(config.image_size, last, last)
    if pictures * height * width < 2:
        raise ValueError(
            f"batch and image_size: with one picture a process and {height} x {width}"
            " places on the coarsest level a batch norm has nothing to compare; raise"
            " one of them"
        )


def _update(wrapped, parts: dict, batch: data.Batch, factor, clip) -> float:
    """One step down the gradient, and of the average; returns the loss."""
    model, optimizer = parts["model"], parts["optimizer"]
    training.set_rate(optimizer, factor)
    device, config = next(model.parameters()).device, model.config
    mean, std = torch.tensor([config.mean, config.std], device=device)[..., None, None]
    batch = memory.to_device(batch, device)
    places = anchors.anchors(batch.images.shape[2:], config.anchors, device)
    with torch.autocast(device.type, torch.float16, device.type == "cuda"):
        outputs = wrapped((batch.images / 255 - mean) / std)
    loss = detection_loss(*outputs, batch, places).total  # in float32
    # Its backward pass gives each process the mean gradient of all.
    ema, scaler = parts["ema"], parts["scaler"]
    training.update_weights(model, loss, optimizer, scaler, clip, ema)
    return loss.item()


# ------------------------------------------------------------------- the command line


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the top of the file. What is wrong is said in one line."""
    parser = command_line(__doc__)
    chosen = vars(parser.parse_args(arguments))
    folder, out = chosen.pop("data"), chosen.pop("out")
    try:
        numbers = train(folder, out, from_dict(chosen), _say)
    except (ValueError, ArithmeticError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    if os.environ.get("RANK", "0") == "0":
        _say(numbers._asdict())


def _say(row: dict) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
