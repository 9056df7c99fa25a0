"""Weights that others trained: read without running anything, copied all or nothing.

A published file names its tensors in its own way. A model's module says what each of
our tensors is called there; this one checks every name and shape before it copies.
Chapters 05 and 13. Support.
"""

from os import PathLike

import safetensors.torch
import torch
from torch import Tensor, nn


def read(path: str | PathLike) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file, on the CPU.

    Raises OSError if it cannot be opened, ValueError naming it if it is damaged or
    holds anything but a dictionary.
    """
    try:
        if str(path).endswith(".safetensors"):
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file has a dozen ways to fail
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: damaged, cut short, or no checkpoint of tensors ({text})"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds a {type(state).__name__}, not a dictionary")
    return state


def load(
    model: nn.Module, source: str | PathLike | dict, names: dict[str, str]
) -> nn.Module:
    """Copy published weights into a model; `names` maps our keys to theirs.

    ValueError names the first key that is missing, unknown, or of another shape, and
    then nothing has been copied. Old files lack the step counters of batch norms; that
    is allowed, they stay as they are. Returns the model.
    """
    in_memory = isinstance(source, dict)
    state, where = (source, "state dict") if in_memory else (read(source), source)
    ours, known = model.state_dict(), set(names.values())
    missing = [
        key
        for key in names.values()
        if key not in state and not key.endswith("num_batches_tracked")
    ]
    faults = [f"{key!r} is missing" for key in missing[:1]]
    faults += [f"{key!r} is unknown" for key in state if key not in known][:1]
    for mine, key in names.items():
        if faults or key not in state:
            continue
        value, wanted = state[key], tuple(ours[mine].shape)
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value)
        if found != wanted:
            faults.append(f"{key!r} has shape {found}, the model has {wanted}")
        elif value.is_floating_point() != ours[mine].is_floating_point():
            faults.append(f"{key!r} is {value.dtype}, the model has {ours[mine].dtype}")
    if faults:
        raise ValueError(f"{where}: {', '.join(faults)}; nothing was loaded")
    with torch.no_grad():
        for mine, key in names.items():
            if key in state:
                ours[mine].copy_(state[key])
    return model
