"""Checkpoints: a run's state that survives a kill, weights that cannot be mistaken.

A file is written beside its place, through to the disk, and then takes the name in one
move, so that a reader never meets half a file. Checkpoints (optimizer, random numbers)
are `torch.save` and read with `weights_only=True`; weights are safetensors with their
SHA-256 beside them.
"""

import copy
import hashlib
import os
import pickle
import zipfile
import zlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

import lib

WEIGHTS = lib.ROOT / "data" / "weights"


class ResumableRun:
    """The parts of a training run that a step changes, saved and put back together.

    `parts` maps names to objects with `state_dict` and `load_state_dict`; the state of
    torch's random numbers goes with them. `good` is the last state that was kept.
    `settings` tell one run from another: a checkpoint with other settings is refused.
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
        """Take up the checkpoint if there is one; returns the step to go on with."""
        state = read_checkpoint(self.path) if self.path else None
        if state is None:
            return 0
        then, now = state.pop("settings", {}), self.settings
        other = [
            f"{key}: {then.get(key)} there, {now.get(key)} here"
            for key in now | then
            if then.get(key) != now.get(key)
        ]
        if other:
            raise ValueError(
                f"{self.path} belongs to a run with other settings"
                f" ({'; '.join(other)}). Use the same to go on, or another path to"
                " begin anew"
            )
        self.good = state
        self.load(state)
        return state["step"]


def describe(model, dataset, loss_fn, optimizer, ema) -> dict:
    """What tells one training run from another, as far as it can be said cheaply."""
    shapes = [(name, tuple(t.shape)) for name, t in model.state_dict().items()]
    about = {"model": hashlib.sha256(repr(shapes).encode()).hexdigest()[:12]}
    about |= {"loss_fn": getattr(loss_fn, "__qualname__", type(loss_fn).__name__)}
    about |= {f"loss_fn {k}": v for k, v in getattr(loss_fn, "settings", {}).items()}
    about |= {"ema": ema.decay if ema else None, "samples": len(dataset)}
    if isinstance(dataset, tuple):  # changed data must not silently give the old model
        raw = [t.cpu().contiguous().flatten().view(torch.uint8) for t in dataset]
        about |= {"samples": len(dataset[0])}
        about |= {"checksums of the data": [zlib.crc32(t.numpy()) for t in raw]}
    about |= {"optimizer": type(optimizer).__name__}
    for i, group in enumerate(optimizer.param_groups):
        told = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
        told["lr"] = group.get("initial_lr", group["lr"])  # a schedule changes "lr"
        about |= {f"{k} of parameter group {i}": v for k, v in told.items()}
    return about


def _replace(path: Path, write) -> None:
    """Let `write(file)` fill a temporary file, then give it the name in one move."""
    fresh = path.with_name(path.name + ".tmp")
    with open(fresh, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the name on no data
    os.replace(fresh, path)


def write_file(path: str | Path, content: bytes) -> None:
    """Write a whole file in one move: a kill leaves the old one or the new one."""
    _replace(Path(path), lambda file: file.write(content))


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def write_checkpoint(path: str | Path, state: dict) -> None:
    """Save a state; a kill at any moment leaves a whole file under one of two names.

    The file before it stays as `<name>.previous`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The new file is complete before the old one is moved; from then on, until the
    # second move, read_checkpoint finds the old one under its second name.
    waiting = path.with_name(path.name + ".next")
    _replace(waiting, lambda file: torch.save(state, file))
    if path.exists():
        os.replace(path, _previous(path))
    os.replace(waiting, path)


def read_checkpoint(path: str | Path) -> dict | None:
    """The state in a file, else in its `.previous`; None if there is neither.

    Raises `ValueError` naming a file that is truncated or otherwise damaged.
    """
    path = Path(path)
    previous = _previous(path)
    if not path.exists():
        if not previous.exists():
            return None
        path = previous
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load compares no checksums
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise ValueError("it holds no training state")
        return state
    except (OSError, RuntimeError, ValueError, EOFError, NotImplementedError,
            pickle.UnpicklingError, zipfile.BadZipFile) as error:  # fmt: skip
        back = f", to go on from {previous.name}," if path != previous else ""
        back = back if previous.exists() else ""
        raise ValueError(
            f"{path} is damaged or is no checkpoint: {error}. Delete it{back} and run"
            " again"
        ) from error


def save_weights(model: nn.Module, path: str | Path) -> str:
    """Write weights as safetensors, and their SHA-256 beside them; returns the hash."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = torch.contiguous_format
    state = {k: v.clone(memory_format=plain) for k, v in model.state_dict().items()}
    content = safetensors.torch.save(state)
    digest = hashlib.sha256(content).hexdigest()
    line = f"{digest}  {path.name}\n".encode()  # the format of sha256sum
    _replace(path, lambda file: file.write(content))
    _replace(path.with_suffix(".sha256"), lambda file: file.write(line))
    return digest


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights; a bare name means `data/weights`.

    Raises `ValueError` for a file that is missing or is not the one whose SHA-256
    stands beside it.
    """
    shipped = WEIGHTS / f"{path}.safetensors"
    path = shipped if shipped.exists() else Path(path)
    sums = path.with_suffix(".sha256")
    for file in (path, sums):
        if not file.is_file():
            raise ValueError(f"{file} does not exist")
    content, asked = path.read_bytes(), sums.read_text()[:64]
    if (found := hashlib.sha256(content).hexdigest()) != asked:
        raise ValueError(
            f"{path} is truncated or changed: its {len(content)} bytes have the SHA-256"
            f" {found[:12]}..., {sums.name} says {asked[:12]}..."
        )
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Put saved weights into a model, in place; a bare name means `data/weights`.

    Raises `ValueError` as `read_weights`, and for the first key that is missing,
    unknown or of another shape; the model is then as it was.
    """
    state, own = read_weights(path), model.state_dict()
    for key in own | state:
        has = f"shape {tuple(state[key].shape)}" if key in state else "no such key"
        needs = f"shape {tuple(own[key].shape)}" if key in own else "no such key"
        if has != needs:
            raise ValueError(f"{path}, {key}: {has} in the file, {needs} in the model")
    model.load_state_dict(state)
    return model
