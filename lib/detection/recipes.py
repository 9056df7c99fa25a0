"""The long runs: a detector on any COCO folder, on as many GPUs as there are.

    python -m lib.detection.recipes train-detector --data FOLDER --model d0 --out RUN
    torchrun --nproc-per-node 8 -m lib.detection.recipes train-detector ...

FOLDER is laid out as COCO is (annotations/instances_train2017.json, train2017/, and
val2017 likewise), or as `data.write_coco` writes it: annotations.json and images/, in
train/ and val/ or in FOLDER itself. Without a val set every tenth picture is kept for
evaluation. RUN gets config.json, log.jsonl, checkpoint.pt and weights.safetensors, and
`trained(RUN)` is the detector for `decoding.detect`. After a kill the same command goes
on, with any number of processes.

Recipe: EfficientDet, arXiv 1911.09070, section 5.1, and its code, which clips gradients
at 10 and divides a process's loss by the positives of that process.
"""

import argparse
import dataclasses
import json
import math
import os
import random
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from lib.basics import checkpoints, data, training
from lib.detection import anchors, categories, coco_eval, detectors, efficientdet
from lib.detection.detection_loss import detection_loss

LAYOUTS = (  # json and pictures; {} is "train" or "val"
    ("annotations/instances_{}2017.json", "{}2017"),
    ("{}/annotations.json", "{}/images"),
)
FREE = ("evaluate_every", "save_every", "workers", "start")  # may change on the way
PARTS = ("model", "optimizer", "scaler", "ema")  # of a checkpoint
HELD_OUT = 10  # one picture of so many, where there is no val set


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a detector is trained; the defaults are the paper's, but for the epochs."""

    model: str = "d0"
    image_size: int = 0  # pixels; 0: the model's own
    epochs: int = 50
    batch: int = 16  # pictures, over all processes
    lr: float = 0.0  # 0: 0.08 for each 64 pictures of a batch
    warmup: float = 1.0  # epochs
    weight_decay: float = 4e-5
    clip: float = 10.0
    ema: float = 0.9998
    norm_momentum: float = 0.0  # of batch norms, 0: the model's own; 0.1 for short runs
    jitter: tuple[float, float] = (0.1, 2.0)
    flip: bool = True  # wrong for digits and letters
    start: str = ""  # official weights; what has another number of classes stays random
    evaluate_every: int = 5  # epochs
    save_every: int = 1000  # steps, besides the end of each epoch
    workers: int = 2  # that read pictures, for each process
    seed: int = 0


# ---------------------------------------------------------------------- the pictures


class Some(Dataset):
    """Some pictures of a `CocoFolder`, and the annotations of these alone."""

    def __init__(self, folder: data.CocoFolder, rows):
        self.folder, self.rows = folder, list(rows)
        self.names, self.category_ids = folder.names, folder.category_ids

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> data.Sample:
        return self.folder[self.rows[i]]

    def coco(self) -> dict:
        """Their COCO dictionary."""
        images = [self.folder.images[i] for i in self.rows]
        ids, whole = {image["id"] for image in images}, self.folder.coco()
        mine = [a for a in whole["annotations"] if a["image_id"] in ids]
        return whole | {"images": images, "annotations": mine}


def open_folder(folder) -> tuple[Some, Some]:
    """Pictures to learn from and pictures to be judged by; see the top of the file.

    ValueError names what was looked for, or the categories that differ.
    """
    folder, sought = Path(folder), [Path(folder) / "annotations.json"]
    for layout in LAYOUTS:
        train, val = ([folder / p.format(s) for p in layout] for s in ("train", "val"))
        if train[0].is_file() and val[0].is_file():
            learn, judge = data.CocoFolder(*train), data.CocoFolder(*val)
            categories.insist_same(learn, judge, (str(train[0]), str(val[0])))
            return Some(learn, range(len(learn))), Some(judge, range(len(judge)))
        sought += [train[0], val[0]]
    if not sought[0].is_file():
        raise ValueError(f"found none of {', '.join(map(str, sought))}")
    whole = data.CocoFolder(sought[0], folder / "images")
    judged = range(HELD_OUT - 1, len(whole), HELD_OUT)
    if not judged:
        raise ValueError(f"{sought[0]} has {len(whole)} pictures; it needs {HELD_OUT}")
    return Some(whole, sorted({*range(len(whole))} - {*judged})), Some(whole, judged)


class Augmented(Dataset):
    """Item (epoch, i) is picture i, flipped, resized and cut by a chance of its own.

    Seed, epoch and i decide, not the process, the worker or an interruption.
    """

    def __init__(self, pictures: Some, config: efficientdet.Config, settings: Settings):
        self.pictures, self.settings = pictures, settings
        self.side = max(config.image_size)
        self.fill = tuple(round(255 * m) for m in config.mean)  # a normalised 0

    def __getitem__(self, key: tuple[int, int]) -> data.Sample:
        generator, sample = chance(self.settings.seed, *key), self.pictures[key[1]]
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
        yield [(epoch, k) for k in order[i * size : (i + 1) * size][rank::world]]


# ------------------------------------------------------------------------- the model


def build(settings: Settings, num_classes: int) -> nn.Module:
    """The detector that the settings name; the seed alone gives its first weights."""
    small = settings.model in detectors.CONFIGS
    maker = detectors.detector if small else efficientdet.efficientdet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = maker(settings.model, num_classes)
        if settings.start:
            source = efficientdet.efficientdet(settings.model)  # of 90 classes
            theirs = efficientdet.load_official(source, settings.start).state_dict()
            mine = model.state_dict()
            fits = {k: v for k, v in theirs.items() if v.shape == mine[k].shape}
            model.load_state_dict(mine | fits)
    if settings.image_size:
        size = (settings.image_size,) * 2
        model.config = dataclasses.replace(model.config, image_size=size)
    for module in model.modules():
        if settings.norm_momentum and isinstance(module, nn.BatchNorm2d):
            module.momentum = settings.norm_momentum
    return model


def trained(run) -> nn.Module:
    """The averaged detector in a run's folder, in eval mode; `.names` are its classes.

    ValueError if the weights are missing or are not those that were written.
    """
    about = json.loads((Path(run) / "config.json").read_text(encoding="utf-8"))
    told = about["settings"] | {"start": ""}
    settings = Settings(**told | {"jitter": tuple(told["jitter"])})
    model = build(settings, len(about["names"]))
    checkpoints.load_weights(model, Path(run) / "weights.safetensors")
    model.names = tuple(about["names"])
    return model.eval()


def evaluate(model, pictures: Some, batch: int, rank: int = 0, world: int = 1):
    """The twelve COCO numbers, in every process; each looks at its share of them."""
    mine = Some(pictures.folder, pictures.rows[rank::world])
    found = coco_eval.detections(model, mine, batch_size=batch)
    if world > 1:
        shares = [None] * world
        dist.all_gather_object(shares, found)
        found = sum(shares, [])
    return coco_eval.evaluate(pictures.coco(), found)


# ----------------------------------------------------------------------- the training


@contextmanager
def processes():
    """(rank, world, device) of this process; torchrun tells it by the environment."""
    told = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    rank, world, local = (int(os.environ.get(*each)) for each in told)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("gloo" if device.type == "cpu" else "nccl")
    try:
        yield rank, world, device
    finally:
        if world > 1:
            dist.destroy_process_group()


def train(folder, out, settings: Settings, say=lambda row: None) -> coco_eval.Numbers:
    """Train on a folder into `out`, or go on there; returns the last COCO numbers.

    `say(row)` hears in the first process what joins log.jsonl after each epoch. Raises
    ValueError, and ArithmeticError at a loss that is not finite.
    """
    out, (learn, judge) = Path(out), open_folder(folder)
    with processes() as (rank, world, device):
        per_epoch = len(learn) // settings.batch
        if settings.batch % world or per_epoch < 1:
            raise ValueError(
                f"batch is {settings.batch}: give a multiple of the {world} processes,"
                f" at most the {len(learn)} pictures there are to learn from"
            )
        run, wrapped = _run(settings, out, learn.names, rank, world, device)
        steps = range(run.good["step"], settings.epochs * per_epoch)
        config, ema = run.parts["model"].config, run.parts["ema"].model
        loader = DataLoader(
            Augmented(learn, config, settings),
            batch_sampler=batches(len(learn), settings, steps, rank, world),
            collate_fn=data.collate, num_workers=settings.workers,
            pin_memory=device.type == "cuda",
        )  # fmt: skip
        losses, warmup = [], round(settings.warmup * per_epoch)
        for step, batch in zip(steps, loader, strict=True):
            torch.manual_seed(chance(settings.seed, step, rank).initial_seed())
            rate = training.warmup_cosine(step, steps.stop, min(warmup, steps.stop - 1))
            losses.append(_step(wrapped, run.parts, batch, rate, settings.clip))
            if not math.isfinite(losses[-1]):
                raise ArithmeticError(
                    f"the loss is {losses[-1]} at step {step}, the checkpoint of step"
                    f" {run.good['step']}: try a smaller lr, in another folder"
                )
            epoch, rest = divmod(step + 1, per_epoch)
            if not rest or (step + 1) % settings.save_every == 0:
                run.keep(run.state(step + 1))
            if not rest:
                row = {"epoch": epoch, "loss": math.fsum(losses) / len(losses)}
                if epoch % settings.evaluate_every == 0:
                    numbers = evaluate(ema, judge, settings.batch, rank, world)
                    row |= {"ap": numbers.ap, "ap50": numbers.ap50}
                if rank == 0:
                    checkpoints.save_weights(ema, out / "weights.safetensors")
                    with open(out / "log.jsonl", "a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    say(row)
                losses = []
        return evaluate(ema, judge, settings.batch, rank, world)


def _run(settings: Settings, out: Path, names, rank: int, world: int, device):
    """A run at the step it had reached, and its model as several processes train it."""
    model, cuda = build(settings, len(names)).to(device), device.type == "cuda"
    ema = training.EMA(model, settings.ema)
    if world > 1 and cuda:  # statistics of the whole batch; the CPU has none of that
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    groups = training.parameter_groups(model, settings.weight_decay)
    lr = settings.lr or 0.08 * settings.batch / 64
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9)
    scaler = torch.amp.GradScaler(device.type, enabled=cuda)
    parts = dict(zip(PARTS, (model, optimizer, scaler, ema), strict=True))
    about = {"names": names, "settings": dataclasses.asdict(settings)}
    told = {k: v for k, v in about["settings"].items() if k not in FREE}
    run, wrapped = checkpoints.ResumableRun(parts, out / "checkpoint.pt", told), model
    run.resume()
    if world > 1:
        wrapped = DistributedDataParallel(model, [device] if cuda else None)
    if rank == 0:  # it alone writes; DistributedDataParallel has waited for all to read
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(about), encoding="utf-8")
    else:
        run.path = None
    return run, wrapped.train()


def _step(wrapped, parts: dict, batch: data.Batch, factor, clip) -> float:
    """One update of the weights and their average; returns the loss."""
    model, optimizer, scaler, ema = map(parts.get, PARTS)
    training.set_rate(optimizer, factor)
    device, config = next(model.parameters()).device, model.config
    mean, std = torch.tensor([config.mean, config.std], device=device)[..., None, None]
    batch = training.to_device(batch, device)
    places = anchors.anchors(batch.images.shape[2:], config.anchors, device)
    with torch.autocast(device.type, torch.float16, device.type == "cuda"):
        outputs = wrapped((batch.images / 255 - mean) / std)
    loss = detection_loss(*outputs, batch, places).total  # in float32
    # Its backward pass gives each process the mean gradient of all.
    training.update_weights(model, loss, optimizer, scaler, clip, ema)
    return loss.item()


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the top of the file."""
    parser = argparse.ArgumentParser(prog="lib.detection.recipes", description=__doc__)
    command = parser.add_subparsers(required=True).add_parser("train-detector")
    for name in ("data", "out"):
        command.add_argument(f"--{name}", required=True)
    for field in dataclasses.fields(Settings):
        kind = {"type": type(field.default)}
        if field.type is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        elif isinstance(field.default, tuple):
            kind = {"type": float, "nargs": len(field.default)}
        option = "--" + field.name.replace("_", "-")
        command.add_argument(option, default=field.default, **kind)
    chosen = vars(parser.parse_args(arguments))
    folder, out = chosen.pop("data"), chosen.pop("out")
    settings = Settings(**chosen | {"jitter": tuple(chosen["jitter"])})
    numbers = train(folder, out, settings, _say)
    if os.environ.get("RANK", "0") == "0":
        _say(numbers._asdict())


def _say(row: dict) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
