"""How two values are compared, and a value shown, in words that help a learner."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

ITEMS = 240  # of a list or tensor are looked at when it is shown


def short(value: Any, limit: int = 240) -> str:
    """A value in at most `limit` characters, tensors with their shape."""
    try:
        text = _text(value)
    except Exception as error:  # an answer may be anything, a list in itself too
        text = f"a {type(value).__name__} that cannot be shown ({error})"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _text(value) -> str:
    if isinstance(value, Tensor):
        shape, dtype = tuple(value.shape), str(value.dtype).removeprefix("torch.")
        few = value.detach()
        few = few if few.numel() <= ITEMS else few.flatten()[:ITEMS]
        return f"tensor{shape} {dtype} {_text(few.tolist())}"
    if isinstance(value, list):
        return f"[{', '.join(_text(v) for v in value[:ITEMS])}]"
    if isinstance(value, tuple):
        items = ", ".join(_text(v) for v in value[:ITEMS])
        return f"({items},)" if len(value) == 1 else f"({items})"
    return f"{float(f'{value:.6g}')}" if isinstance(value, float) else repr(value)


def difference(expected, got, tolerance: float) -> str | None:
    """In words, the first thing in which `got` differs from `expected`, or None.

    Whole numbers and truth values are compared exactly. Tensors, and numbers with a
    point, are close within `tolerance`, of the largest entry or of 1.
    """
    try:
        return _difference(expected, got, tolerance)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        return f"yours, of type {type(got).__name__}, cannot be compared: {error}"


def _difference(expected, got, tolerance: float) -> str | None:
    if isinstance(expected, np.ndarray):
        if not isinstance(got, np.ndarray):
            return f"a NumPy array is asked, yours is of type {type(got).__name__}"
        expected, got = torch.from_numpy(expected), torch.from_numpy(got)
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, tolerance)
    got = plain(got)
    if isinstance(expected, bool):
        if not isinstance(got, bool | np.bool_):
            return f"True or False is asked, yours is of type {type(got).__name__}"
        return None if bool(got) == expected else "the truth value is the other one"
    if _is_number(expected):
        return _number_difference(expected, got, tolerance)
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple):
            return f"a list or tuple is asked, yours is a {type(got).__name__}"
        if len(expected) != len(got):
            return f"{len(expected)} items are asked, yours has {len(got)}"
        for i, (e, g) in enumerate(zip(expected, got, strict=True)):
            if said := _difference(e, g, tolerance):
                return f"item {i}: {said}"
        return None
    if isinstance(expected, dict):
        if not isinstance(got, dict) or expected.keys() != got.keys():
            return f"a dict with the keys {sorted(expected, key=str)} is asked"
        for key in expected:
            if said := _difference(expected[key], got[key], tolerance):
                return f"key {key!r}: {said}"
        return None
    if type(expected) is not type(got):
        return (
            f"the type {type(expected).__name__} is asked, yours is"
            f" {type(got).__name__}"
        )
    return None if expected == got else "the value differs"


def plain(value):
    """The number in a tensor or array without dimensions; all else as it is."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        return value.item()
    return value


def _is_number(value) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not (
        isinstance(value, bool)
    )


def _number_difference(expected, got, tolerance: float) -> str | None:
    if not _is_number(got):
        return f"a number is asked, yours is of type {type(got).__name__}"
    if isinstance(expected, int | np.integer):
        if not isinstance(got, int | np.integer):
            return f"a whole number (int) is asked, yours is a {type(got).__name__}"
        return None if expected == got else "the number differs"
    if math.isnan(expected) and math.isnan(got):
        return None
    if math.isnan(got):
        return "yours is not a number (NaN): look for 0/0 or the log of 0"
    close = math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    return None if close else "the number differs"


def _tensor_difference(expected: Tensor, got, tolerance: float) -> str | None:
    if not isinstance(got, Tensor):
        return f"a tensor is asked, yours is of type {type(got).__name__}"
    if expected.shape != got.shape:
        return f"shape {tuple(expected.shape)} is asked, yours is {tuple(got.shape)}"
    if expected.dtype != got.dtype:
        return f"dtype {expected.dtype} is asked, yours is {got.dtype}"
    if expected.device != got.device:
        return f"a tensor on {expected.device} is asked, yours is on {got.device}"
    if expected.numel() == 0:
        return None
    if not expected.is_floating_point():
        return None if torch.equal(expected, got) else "the numbers differ"
    if (got.isnan() & ~expected.isnan()).any():
        return "yours holds NaN (not a number): look for 0/0 or the log of 0"
    size = expected[expected.isfinite()].abs().max() if expected.isfinite().any() else 1
    close = torch.allclose(
        expected, got, rtol=tolerance, atol=tolerance * max(1.0, float(size)),
        equal_nan=True,
    )  # fmt: skip
    return None if close else "the numbers differ"
