"""Values written down as Python: numbers, lists, small tensors. For `sources`."""

import functools
import math

import numpy as np
import torch
from torch import Tensor

NUMBERS = 1000  # of a tensor or array: more are data, and no part of an answer
DEPTH = 20  # of lists in lists


class CannotCollect(ValueError):
    """Something that an answer uses cannot be written into a file; says what."""


def literal(name: str, value, imports: set[str], depth: int = 0) -> str:
    """An expression that gives `value` back, to the last bit.

    Lines that it needs are added to `imports`. `CannotCollect`, with the name that
    the value goes by, for what cannot be written: a network, an open file, data.
    """
    if depth > DEPTH:
        raise CannotCollect(f"{name} is nested too deep to be written down")
    if isinstance(value, bool | int | str | bytes | type(None) | type(...)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if type(value) in (list, tuple, set, frozenset):
        return _items(name, value, imports, depth)
    if type(value) is dict:
        inside = functools.partial(literal, name, imports=imports, depth=depth + 1)
        pairs = [f"{inside(k)}: {inside(v)}" for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, torch.dtype | torch.device | torch.Size):
        imports.add("import torch")
        return str(value) if isinstance(value, torch.dtype) else f"torch.{value!r}"
    if isinstance(value, Tensor):
        return _tensor(name, value, imports)
    if isinstance(value, np.ndarray | np.generic):
        return _array(name, value, imports)
    raise CannotCollect(
        f"{name} is of type {type(value).__name__} and cannot be written into a"
        " file: make it inside the function, or hand it over"
    )


def _items(name: str, value, imports: set[str], depth: int) -> str:
    items = [literal(name, item, imports, depth + 1) for item in value]
    inside = ", ".join(items)
    if isinstance(value, list):
        return f"[{inside}]"
    if isinstance(value, tuple):
        return f"({inside},)" if items else "()"
    return f"{type(value).__name__}([{inside}])"


def _tensor(name: str, value: Tensor, imports: set[str]) -> str:
    _insist_small(name, value.numel())
    imports.add("import torch")
    numbers = literal(name, value.detach().cpu().flatten().tolist(), imports)
    text = f"torch.tensor({numbers}, dtype={value.dtype})"
    text = f"{text}.reshape({tuple(value.shape)})"
    if isinstance(value, torch.nn.Parameter):
        return f"torch.nn.Parameter({text})"
    return f"{text}.requires_grad_()" if value.requires_grad else text


def _array(name: str, value, imports: set[str]) -> str:
    _insist_small(name, value.size)
    if value.dtype.kind not in "biuf":
        raise CannotCollect(f"{name} is an array of {value.dtype}")
    imports.add("import numpy")
    numbers = literal(name, value.flatten().tolist(), imports)
    text = f'numpy.array({numbers}, dtype="{value.dtype.str}")'
    text = f"{text}.reshape({value.shape})"
    return text if isinstance(value, np.ndarray) else f"{text}[()]"


def _insist_small(name: str, count: int) -> None:
    if count > NUMBERS:
        raise CannotCollect(
            f"{name} holds {count:,} numbers; at most {NUMBERS:,} are written down"
        )
