"""What a long run can be told, from Python or on the command line.

Every setting is checked before anything is read or written, and a wrong one is refused
by its name. For `recipes`.
"""

import argparse
import dataclasses
from collections.abc import Collection

from lib.basics import arguments

FREE = ("evaluate_every", "save_every", "workers", "start")  # may change on the way


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
    clip: float = 10.0  # longest gradient; 0: never
    ema: float = 0.9998  # decay of the average of the weights
    norm_momentum: float = 0.0  # of batch norms, 0: the model's own; 0.1 for short runs
    jitter: tuple[float, float] = (0.1, 2.0)  # least and largest factor
    flip: bool = True  # wrong for digits and letters
    start: str = ""  # official weights; what has another number of classes stays random
    evaluate_every: int = 5  # epochs; 0: only at the end
    save_every: int = 1000  # steps, besides the end of each epoch; 0: only there
    workers: int = 2  # that read pictures, for each process
    seed: int = 0
    skip: tuple[int, ...] = ()  # ids of annotations to leave out
    drop_bad_boxes: bool = False  # leave out boxes without area or outside the picture


def checked(
    settings: Settings, official: Collection[str], others: Collection[str]
) -> Settings:
    """The settings as plain numbers; ValueError names one that cannot be.

    NumPy's numbers are taken, 0 where "never" or "the model's own" makes sense. The
    model is one of `official`, for which weights were published, or of `others`.
    """
    whole, real = arguments.whole_number, arguments.real_number
    told = {field.name: getattr(settings, field.name) for field in _FIELDS}
    told["model"] = arguments.one_of("model", settings.model, [*official, *others])
    told["start"] = arguments.path("start", settings.start)
    told["seed"] = arguments.seed(settings.seed)
    told["skip"] = tuple(whole("skip", each) for each in settings.skip)
    told["jitter"] = _jitter(settings.jitter)
    told["ema"] = real("ema", settings.ema, least=0, below=1)
    told["norm_momentum"] = real("norm_momentum", settings.norm_momentum, 0, 1)
    for name in ("epochs", "batch"):
        told[name] = whole(name, told[name], least=1)
    for name in ("image_size", "evaluate_every", "save_every", "workers"):
        told[name] = whole(name, told[name], least=0)
    for name in ("lr", "warmup", "weight_decay", "clip"):
        told[name] = real(name, told[name], least=0)
    for name in ("flip", "drop_bad_boxes"):
        told[name] = arguments.flag(name, told[name])
    if settings.start and settings.model not in official:
        raise ValueError(
            f"start is {settings.start!r}, but for the model {settings.model!r} there"
            f" are no official weights, only for {', '.join(official)}"
        )
    return Settings(**told)


def _jitter(given) -> tuple[float, float]:
    wanted = "two factors, the least and the largest"
    factors = arguments.sequence("jitter", given, wanted)
    if len(factors) != 2:
        raise arguments.refuse("jitter", given, wanted)
    least = arguments.real_number("jitter[0]", factors[0], above=0)
    return least, arguments.real_number("jitter[1]", factors[1], least)


def from_dict(told: dict) -> Settings:
    """Settings from their dictionary, not checked; ValueError names what is unknown."""
    known = {field.name for field in _FIELDS}
    if unknown := sorted(told.keys() - known):
        raise ValueError(f"the setting {unknown[0]!r} is unknown")
    pairs = told.items()  # JSON and argparse have lists where we have tuples
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in pairs}
    return Settings(**plain)


_FIELDS = dataclasses.fields(Settings)


def command_line(description: str) -> argparse.ArgumentParser:
    """A parser of `train-detector`: --data, --out, and an option for each setting."""
    parser = argparse.ArgumentParser(
        prog="lib.detection.recipes",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command = parser.add_subparsers(required=True).add_parser("train-detector")
    for name in ("data", "out"):
        command.add_argument(f"--{name}", required=True)
    for field in _FIELDS:
        option = "--" + field.name.replace("_", "-")
        command.add_argument(option, default=field.default, **_kind(field))
    return parser


def _kind(field: dataclasses.Field) -> dict:
    """How the command line reads one setting."""
    if field.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    if field.name == "skip":
        return {"type": int, "nargs": "*", "metavar": "ID"}
    if isinstance(field.default, tuple):
        return {"type": float, "nargs": len(field.default)}
    return {"type": type(field.default)}
