"""Checkpoints: a run's state that survives a kill, weights that cannot be mistaken.

A file is written beside its place, through to the disk, and then takes the name in one
move, so that a reader never meets half a file. Checkpoints (optimizer, random numbers)
are `torch.save` and read with `weights_only=True`; weights are safetensors with their
SHA-256 beside them.
"""

import copy
import hashlib
import os
import zipfile
import zlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

import lib
from lib.basics import arguments, shipped
from lib.basics.files import replace, write_file

__all__ = ["write_file"]  # of `files`, for whoever keeps more beside a checkpoint
WEIGHTS = lib.ROOT / "data" / "weights"


class NonFiniteLoss(ArithmeticError):
    """The loss or a weight became NaN or infinite; the model is back at step `kept`."""

    def __init__(self, what: str, step: int, lr: float, loss: float, kept: int):
        super().__init__(
            f"{what} is not finite at step {step} (loss {loss}, learning rate {lr:.3g})"
            f". Model and checkpoint hold the last good state, of step {kept}. Try a"
            " smaller lr, a longer warmup, clip=1.0, or look at this step's batch"
        )
        self.step, self.lr, self.loss, self.kept = step, lr, loss, kept


class ResumableRun:
    """The parts of a training run that a step changes, saved and put back together.

    `parts` maps names to objects with `state_dict` and `load_state_dict`; the state of
    torch's random numbers goes with them. A part may have `check_state(state, step)`,
    which raises ValueError for a state that is none of its own. `good` is the last
    state that was kept. `settings` tell one run from another: a checkpoint with other
    settings is refused.
    """

    def __init__(self, parts: dict, path: str | Path | None, settings: dict):
        self.parts, self.path, self.settings = parts, path, settings
        self.good = self.state(0)

    def state(self, step: int) -> dict:
        """A copy of everything, as it is before `step`."""
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"step": step, "random": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            state["random cuda"] = torch.cuda.get_rng_state()
        return copy.deepcopy(state)

    def load(self, state: dict) -> None:
        """Put every part back to a state."""
        state = copy.deepcopy(state)  # an optimizer goes on to change what it is given
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_initialized() and "random cuda" in state:
            torch.cuda.set_rng_state(state["random cuda"])

    def keep(self, state: dict) -> None:
        """Make this the last good state, here and in the file."""
        self.good = state
        if self.path:
            write_checkpoint(self.path, state | {"settings": self.settings})

    def resume(self, last: int | None = None) -> int:
        """Take up the checkpoint if there is one; returns the step to go on with.

        `last` is the number of steps that the whole run has. ValueError names the file
        of another run, or one whose contents do not fit; nothing is changed then.
        """
        state = read_checkpoint(self.path) if self.path else None
        if state is None:
            return 0
        self._check_settings(state.pop("settings", {}))
        try:
            self._check(state, last)
            self.load(state)
        except Exception as error:  # what a stranger's part raises may be anything
            self.load(self.good)
            told = str(error) or type(error).__name__
            raise ValueError(
                f"{self.path} does not fit this run: {told}. Nothing was changed; use"
                " another path to begin anew"
            ) from error
        self.good = state
        return state["step"]

    def _check_settings(self, then) -> None:
        """ValueError if a checkpoint was written by a run with other settings."""
        now = self.settings
        if not isinstance(then, dict):
            raise ValueError(f"{self.path}: its settings are {then!r}, no dictionary")
        differ = [
            f"{key}: {then.get(key)} there, {now.get(key)} here"
            for key in now | then
            if then.get(key) != now.get(key)
        ]
        if differ:
            raise ValueError(
                f"{self.path} belongs to a run with other settings"
                f" ({'; '.join(differ)}). Use the same to go on, or another path to"
                " begin anew"
            )

    def _check(self, state: dict, last: int | None) -> None:
        """ValueError for a state that the parts cannot take; it changes none of them.

        `load` overwrites one part after the other, and a model tensor after tensor: an
        error in the middle would leave half of each.
        """
        step = arguments.whole_number("step", state["step"], least=0, most=last)
        for name, own in self.good.items():
            if name in ("step", "random cuda"):
                continue
            if name not in state:
                raise ValueError(f"it has no {name!r}")
            check_form(name, state[name], own)
            part = self.parts.get(name)
            if hasattr(part, "param_groups"):
                _check_momentum(name, state[name], part)
            if hasattr(part, "check_state"):
                part.check_state(state[name], step)


def check_form(name: str, state, own) -> None:
    """ValueError unless a state has the form of a part's own: keys, shapes, kinds.

    Where the part's own is an empty dictionary or list, what is in it comes with the
    first step, and is not compared.
    """
    if isinstance(own, torch.Tensor):
        form = tuple(own.shape), own.dtype
        if not isinstance(state, torch.Tensor) or (*state.shape,) != form[0]:
            raise ValueError(f"{name} is {arguments.shown(state)}, here {form[0]}")
        if state.dtype != form[1]:
            raise ValueError(f"{name} has {state.dtype}, here {form[1]}")
    elif isinstance(own, dict):
        if not isinstance(state, dict):
            raise ValueError(f"{name} is {arguments.shown(state)}, no dictionary")
        holds_tensors = all(isinstance(value, torch.Tensor) for value in own.values())
        unknown = [k for k in state if k not in own] if own and holds_tensors else []
        for key in [k for k in own if k not in state] + unknown:
            raise ValueError(f"{name}: {key!r} is only in one of the two")
        for key, value in own.items():
            check_form(f"{name}, {key}", state[key], value)
    elif isinstance(own, list | tuple):
        if not isinstance(state, list | tuple) or (own and len(state) != len(own)):
            raise ValueError(f"{name} is {arguments.shown(state)}, here {own}")
        for place, value in enumerate(own):
            check_form(f"{name}[{place}]", state[place], value)
    elif own is not None and state is not None:
        numbers = isinstance(own, int | float) and isinstance(state, int | float)
        if not numbers and type(state) is not type(own):
            raise ValueError(f"{name} is {arguments.shown(state)}, here {own!r}")


def _check_momentum(name: str, state: dict, optimizer) -> None:
    """ValueError unless what an optimizer remembers has its parameter's shape."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, memory in state["state"].items():
        if index not in range(len(parameters)) or not isinstance(memory, dict):
            raise ValueError(f"{name} remembers something of a parameter {index!r}")
        for key in {"momentum_buffer", "exp_avg", "exp_avg_sq", "square_avg"} & {
            *memory
        }:
            value, shape = memory[key], tuple(parameters[index].shape)
            if value is None:  # SGD without momentum
                continue
            if not isinstance(value, torch.Tensor) or tuple(value.shape) != shape:
                raise ValueError(
                    f"{name}, {key} of parameter {index} is"
                    f" {arguments.shown(value)}, here {shape}"
                )


def describe(model, dataset, loss_fn, optimizer, ema) -> dict:
    """What tells one training run from another, as far as it can be said cheaply."""
    state = model.state_dict()
    shapes = [(name, tuple(tensor.shape)) for name, tensor in state.items()]
    about = {"model": hashlib.sha256(repr(shapes).encode()).hexdigest()[:12]}
    about["loss_fn"] = getattr(loss_fn, "__qualname__", type(loss_fn).__name__)
    for name, value in getattr(loss_fn, "settings", {}).items():
        about[f"loss_fn {name}"] = value
    about["ema"] = ema.decay if ema else None
    about["samples"] = len(dataset)
    if isinstance(dataset, tuple):  # changed data must not silently give the old model
        about["samples"] = len(dataset[0])
        about["checksums of the data"] = [_checksum(tensor) for tensor in dataset]
    about["optimizer"] = type(optimizer).__name__
    for i, group in enumerate(optimizer.param_groups):
        for name, value in group.items():
            if name not in ("params", "lr", "initial_lr"):
                about[f"{name} of parameter group {i}"] = value
        initial = group.get("initial_lr", group["lr"])  # a schedule changes "lr"
        about[f"lr of parameter group {i}"] = initial
    return about


def _checksum(tensor: torch.Tensor) -> int:
    """CRC-32 of a tensor's bytes."""
    flat = tensor.cpu().contiguous().flatten()
    return zlib.crc32(flat.view(torch.uint8).numpy())


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def write_checkpoint(path: str | Path, state: dict) -> None:
    """Save a state; a kill at any moment leaves a whole file under one of two names.

    The file before it stays as `<name>.previous`.
    """
    path = Path(arguments.path("path", path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # The new file is complete before the old one is moved; from then on, until the
    # second move, read_checkpoint finds the old one under its second name.
    waiting = path.with_name(path.name + ".next")
    replace(waiting, lambda file: torch.save(state, file))
    if path.exists():
        os.replace(path, _previous(path))
    os.replace(waiting, path)


def read_checkpoint(path: str | Path) -> dict | None:
    """The state in a file, else in its `.previous`; None if there is neither.

    Raises `ValueError` naming a file that is truncated or otherwise damaged.
    """
    path = Path(arguments.path("path", path))
    previous = _previous(path)
    if not path.exists():
        if not previous.exists():
            return None
        path = previous
    try:
        check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise ValueError("it holds no training state")
        return state
    except Exception as error:  # a damaged file has two dozen ways to fail
        told = str(error) or type(error).__name__
        back = f", to go on from {previous.name}," if path != previous else ""
        back = back if previous.exists() else ""
        raise ValueError(
            f"{path} is damaged or is no checkpoint: {told}. Delete it{back} and run"
            " again"
        ) from error


def check_archive(path: str | Path) -> None:
    """ValueError unless a file is a sound archive as `torch.save` writes it.

    `torch.load` compares no checksums: one changed bit gives another weight. And
    `torch.save` never compresses, so an archive that grows when it is read was made to
    fill the memory; it is refused by its table of contents.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        raise ValueError("it is no file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            stored = all(m.compress_type == zipfile.ZIP_STORED for m in members)
            if not stored or unpacked > os.path.getsize(path):
                raise ValueError(f"it would unpack to {unpacked:,} bytes")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"no sound archive ({error})") from error
    if damaged:
        raise ValueError(f"wrong checksum of {damaged}")


def save_weights(model: nn.Module, path: str | Path) -> str:
    """Write weights as safetensors, and their SHA-256 beside them; returns the hash.

    A kill at any moment leaves weights that `read_weights` takes: the old or the new.
    """
    arguments.instance("model", model, nn.Module)
    state = {}
    for name, tensor in model.state_dict().items():
        state[name] = tensor.clone(memory_format=torch.contiguous_format)
    return write_with_hash(path, safetensors.torch.save(state))


def sums_of(path: str | Path) -> Path:
    """The file that holds the SHA-256 of another: net.safetensors has net.sha256.

    Only a suffix of ours is taken off; "run_0.1" and "run_0.2" are two names. Where
    two files have one name all the same (net.safetensors, net.onnx), each has its line.
    """
    path = Path(path)
    known = path.suffix in (".safetensors", ".onnx")
    return path.with_suffix(".sha256") if known else Path(f"{path}.sha256")


def write_with_hash(path: str | Path, content: bytes) -> str:
    """Write a file and its SHA-256 beside it, so that no kill can part the two.

    Until the second move is done, the file of hashes tells both, the new and the old
    one: whichever content stands there, its hash is beside it.
    """
    path = Path(arguments.path("path", path))
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    old = _lines(path)
    own = [f"{digest}  {path.name}"]  # the format of sha256sum
    others = [line for line in old if line.partition("  ")[2] not in ("", path.name)]
    before = [f"{told}  {path.name}" for told in read_hashes(path)]
    _write_lines(path, own + before + others)
    replace(path, lambda file: file.write(content))
    _write_lines(path, own + others)
    return digest


def _lines(path: Path) -> list[str]:
    sums = sums_of(path)
    if not sums.is_file():
        return []
    return sums.read_text("ascii", errors="replace").splitlines()


def _write_lines(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    replace(sums_of(path), lambda file: file.write(text.encode()))


def read_hashes(path: str | Path) -> list[str]:
    """The SHA-256 that stand beside a file: one, or two where a kill came between.

    Empty if there are none of this file.
    """
    path = Path(path)
    hashes = _hashes(_lines(path), path.name)
    once = path.with_suffix(".sha256")  # how it was called before, for every suffix
    if not hashes and once.is_file():
        lines = once.read_text("ascii", errors="replace").splitlines()
        hashes = _hashes(lines, path.name)
    return hashes


def _hashes(lines: list[str], name: str) -> list[str]:
    parts = [line.partition("  ") for line in lines]
    return [digest for digest, _, told in parts if told in ("", name)]


def read_with_hash(path: str | Path) -> bytes:
    """The bytes of a file whose SHA-256 stands beside it; ValueError if they differ."""
    path = Path(path)
    asked = read_hashes(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    if not asked:
        raise ValueError(f"{sums_of(path)} does not exist, or tells no hash of {path}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest not in asked:
        raise ValueError(
            f"{path} is cut short or changed: its {len(content)} bytes have the SHA-256"
            f" {digest[:12]}..., {sums_of(path).name} says {asked[0][:12]}..."
        )
    return content


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights; a bare name means `data/weights`.

    Raises `ValueError` for a file that is missing or is not the one whose SHA-256
    stands beside it.
    """
    path = arguments.path("path", path)
    bare = os.path.basename(path) == path
    in_the_course = WEIGHTS / f"{path}.safetensors"
    path = in_the_course if bare and in_the_course.exists() else Path(path)
    content = read_with_hash(path)
    shipped.check(path, hashlib.sha256(content).hexdigest())
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # a header may promise what is not there
        raise ValueError(f"{path} is no safetensors file: {error}") from error


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Put saved weights into a model, in place; a bare name means `data/weights`.

    Raises `ValueError` as `read_weights`, and for the first key that is missing,
    unknown or of another shape; the model is then as it was.
    """
    own = arguments.instance("model", model, nn.Module).state_dict()
    state = read_weights(path)
    for key in own | state:
        there, here = _shape(state, key), _shape(own, key)
        if there != here:
            raise ValueError(f"{path}, {key}: {there} in the file, {here} in the model")
    model.load_state_dict(state)
    return model


def _shape(state: dict[str, torch.Tensor], key: str) -> str:
    return f"shape {tuple(state[key].shape)}" if key in state else "no such key"
