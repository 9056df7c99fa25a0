"""Weights that others trained: read without running anything, copied all or nothing.

A published file names its tensors in its own way. A model's module says what each of
our tensors is called there; this one checks every name and shape before it copies.
Chapters 05 and 13. Support.
"""

import hashlib
import os
import re
import zipfile
from os import PathLike

import safetensors.torch
import torch
from torch import Tensor, nn

from lib.basics import arguments, checkpoints

# Published names end in the first digits of the file's SHA-256: "..._34-f153e0cf.pth".
# A date has eight digits too, so one of them has to be a letter.
HASH_IN_NAME = re.compile(r"-(?=\d*[a-f])([0-9a-f]{8,64})\.[a-z]+$")


def read(path: str | PathLike, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file, on the CPU.

    `sha256`, or the digits at the end of a published name, is compared with the file's.
    Raises OSError if it cannot be opened, ValueError naming it if it is damaged, has
    another hash or holds anything but a dictionary.
    """
    path = arguments.path("path", path)
    if not os.path.isfile(path) and os.path.exists(path):
        raise ValueError(f"{path}: no file but a folder, a pipe or a device")
    _check_hash(path, sha256)
    try:
        if str(path).endswith(".safetensors"):
            return safetensors.torch.load_file(path)
        if zipfile.is_zipfile(path):  # since torch 1.6; older files have no checksums
            checkpoints.check_archive(path)
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


def _check_hash(path: str | PathLike, sha256: str | None) -> None:
    """ValueError unless the file has the SHA-256 that the caller or its name tells."""
    in_name = HASH_IN_NAME.search(str(path))
    told = sha256 if sha256 is not None else in_name and in_name[1]
    if not told:
        return
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(told.lower()):
        source = "was asked for" if sha256 is not None else "stands in its name"
        raise ValueError(
            f"{path}: its SHA-256 is {digest[:16]}..., but {told} {source}; the file is"
            " damaged or another one"
        )


def load(
    model: nn.Module,
    source: str | PathLike | dict,
    names: dict[str, str],
    sha256: str | None = None,
) -> nn.Module:
    """Copy published weights into a model; `names` maps our keys to theirs.

    ValueError names the first key that is missing, unknown, or of another shape, and
    then nothing has been copied. Old files lack the step counters of batch norms; that
    is allowed, they stay as they are. Returns the model.
    """
    arguments.instance("model", model, nn.Module)
    arguments.instance("names", names, dict)
    for mine, key in names.items():
        arguments.instance(f"names[{mine!r}]", key, str)
    if isinstance(source, dict):
        state, where = source, "state dict"
    else:
        source = arguments.path("source", source)
        state, where = read(source, sha256), source
    ours, known = model.state_dict(), set(names.values())
    missing = [key for key in names.values() if key not in state]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in known]
    # Both in one message: together they tell of a renaming.
    faults = [f"{key!r} is missing" for key in missing[:1]]
    faults += [f"{key!r} is unknown" for key in unknown[:1]]
    if faults:
        raise ValueError(f"{where}: {', '.join(faults)}; nothing was loaded")
    pairs = [(ours[mine], key) for mine, key in names.items() if key in state]
    for target, key in pairs:
        if fault := _misfit(state[key], target):
            raise ValueError(f"{where}: {key!r} {fault}; nothing was loaded")
    with torch.no_grad():
        for target, key in pairs:
            target.copy_(state[key])
    return model


def _misfit(value, target: Tensor) -> str:
    """Why a value of a file cannot be copied into a tensor of the model; "" if it can.

    >>> _misfit(torch.zeros(2, 3), torch.zeros(3, 2))
    'has shape (2, 3), the model has (3, 2)'
    """
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, the model has a tensor"
    shape, wanted = tuple(value.shape), tuple(target.shape)
    if shape != wanted:
        return f"has shape {shape}, the model has {wanted}"
    if value.layout != torch.strided or value.is_meta:
        return "holds no plain numbers (sparse, or on the meta device)"
    if target.is_meta:
        return "would go nowhere: the model is on the meta device"
    if value.is_floating_point() != target.is_floating_point():
        return f"is {value.dtype}, the model has {target.dtype}"
    return ""
