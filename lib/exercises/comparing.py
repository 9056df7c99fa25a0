"""How two values are compared, and a value shown, in words that help a learner."""

import math
import numbers
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor

ITEMS = 240  # of a list or tensor are looked at when it is shown
NAN = (
    "yours {} not a number (NaN): look for 0/0, the log of 0, or the root or a broken"
    " power of a negative number"
)


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


def difference(expected, got, tolerance: float, exact: bool = False) -> str | None:
    """In words, the first thing in which `got` differs from `expected`, or None.

    Whole numbers and truth values are compared exactly. Tensors, and numbers with a
    point, are close within `tolerance`, of the largest entry or of 1.

    The kind of a number is free: 3.0 or a NumPy integer is right where 3 is asked, a
    list or array where a tensor is asked or the other way round, int32 for int64. A
    truth value is no number, and a number no truth value. With `exact`, the kinds of
    whole number, list, array and tensor have to be the asked ones too.
    """
    try:
        return _difference(expected, got, tolerance, exact)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        return f"yours, of type {type(got).__name__}, cannot be compared: {error}"


LAZY = {  # what a call gives whose work has not begun
    types.GeneratorType: " that has not run yet: `return` it, or list(...) of it",
    types.CoroutineType: " that has not run yet: write `def` without `async`",
}


def kind(got) -> str:
    """The type of a value in words, and how a function came to give such a one."""
    if isinstance(got, types.CoroutineType):
        got.close()  # else Python warns later that nobody waited for it
    return f"of type {type(got).__name__}{LAZY.get(type(got), '')}"


def _difference(expected, got, tolerance: float, exact: bool) -> str | None:
    if isinstance(expected, np.ndarray):
        if exact and not isinstance(got, np.ndarray):
            return f"a NumPy array is asked, yours is {kind(got)}"
        expected = torch.from_numpy(expected)
        got = torch.from_numpy(got) if exact else got
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, tolerance, exact)
    got = plain(got)
    if isinstance(expected, bool | np.bool_):
        if not isinstance(got, bool | np.bool_):
            return f"True or False is asked, yours is {kind(got)}"
        return None if got == expected else "the truth value is the other one"
    if is_number(expected):
        return _number_difference(expected, got, tolerance, exact)
    if isinstance(expected, list | tuple):
        return _list_difference(expected, got, tolerance, exact)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or expected.keys() != got.keys():
            return f"a dict with the keys {sorted(expected, key=str)} is asked"
        for key in expected:
            if said := _difference(expected[key], got[key], tolerance, exact):
                return f"key {key!r}: {said}"
        return None
    if type(expected) is not type(got):
        return f"the type {type(expected).__name__} is asked, yours is {kind(got)}"
    return None if expected == got else "the value differs"


def plain(value):
    """The number in a tensor or array without dimensions; all else as it is."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        return value.item()
    return value


def is_number(value) -> bool:
    """True for a real number of any kind, a fraction too; a truth value is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_whole(value) -> bool:
    return isinstance(value, int | np.integer)


def _number_difference(expected, got, tolerance, exact) -> str | None:
    if not is_number(got):
        return f"a number is asked, yours is {kind(got)}"
    if _is_whole(expected):
        if not _is_whole(got) and (exact or got % 1 != 0):
            return f"a whole number (int) is asked, yours is a {type(got).__name__}"
        return None if expected == got else "the number differs"
    if math.isnan(expected) and math.isnan(got):
        return None
    if math.isnan(got):
        return NAN.format("is")
    close = math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    return None if close else "the number differs"


def _list_difference(expected, got, tolerance, exact) -> str | None:
    if not isinstance(got, list | tuple) and (exact or not _is_row(got)):
        return f"a list or tuple is asked, yours is {kind(got)}"
    got = list(got)
    if len(expected) != len(got):
        return f"{len(expected)} items are asked, yours has {len(got)}"
    for i, (e, g) in enumerate(zip(expected, got, strict=True)):
        if said := _difference(e, g, tolerance, exact):
            return f"item {i}: {said}"
    return None


def as_tensor(value) -> Tensor | None:
    """The numbers, or the truth values, of an array-like as a tensor.

    None for what is no array: text, lists of different lengths, numbers among truth
    values. Numbers with a point are float64 unless they are in a tensor already.
    """
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, tuple) and type(value) is not tuple:
            return None  # a tuple with names, as `max` gives, is no row of numbers
        if isinstance(value, list | tuple) and any(_has_tensor(v) for v in value):
            return torch.stack([as_tensor(v) for v in value])
        array = np.asarray(value)
        kinds = {isinstance(v, bool | np.bool_) for v in leaves(value)}
        if array.dtype.kind not in "biuf" or len(kinds) > 1:
            return None
        return torch.from_numpy(np.ascontiguousarray(array)).reshape(array.shape)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _has_tensor(value) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_tensor(v) for v in value)
    return isinstance(value, Tensor)


def leaves(value):
    """The items of nested lists and tuples, one by one."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif not isinstance(value, np.ndarray):
        yield value


def _alike(expected: Tensor, got) -> Tensor | str:
    """`got` as a tensor of the expected kind, or in words why it is none."""
    given = as_tensor(got)
    if given is None:
        return f"a tensor is asked, yours is {kind(got)}"
    if given.numel() == 0 or given.dtype == expected.dtype:
        return given.to(expected.dtype)  # an empty list has no kind
    booleans = expected.dtype == torch.bool, given.dtype == torch.bool
    if any(booleans) or given.is_complex():
        return f"dtype {expected.dtype} is asked, yours is {given.dtype}"
    if not expected.is_floating_point() and given.is_floating_point():
        if not torch.equal(given, given.floor()):
            return f"whole numbers are asked (dtype {expected.dtype}), not all are"
    return given.to(expected.dtype if expected.is_floating_point() else torch.int64)


def as_asked(expected, got):
    """A value in the kind of an expected one, where it can be; else as it is.

    Lengths and shapes may differ: the kind of an item is that of the first one.
    """
    if isinstance(expected, Tensor):
        given = _alike(expected, got)
        return got if isinstance(given, str) else given.to(expected.dtype)
    got = plain(got)
    if isinstance(expected, list | tuple) and _is_row(got):
        kinds = expected if len(expected) == len(got) else [*expected[:1]] * len(got)
        items = [as_asked(e, g) for e, g in zip(kinds, got, strict=False)]
        items = items if expected else list(got)
        return tuple(items) if isinstance(expected, tuple) else items
    if is_number(expected) and is_number(got):
        if not _is_whole(expected):
            return float(got)
        return int(got) if got % 1 == 0 else got
    return got


def _is_row(value) -> bool:
    return isinstance(value, list | tuple | range | Tensor | np.ndarray)


def _tensor_difference(expected: Tensor, got, tolerance, exact) -> str | None:
    if exact and not isinstance(got, Tensor):
        return f"a tensor is asked, yours is {kind(got)}"
    kinds = ""
    if not exact:
        given, got = got, _alike(expected, got)
        if isinstance(got, str):
            return got
        if isinstance(given, Tensor) and given.dtype != expected.dtype:
            kinds = f"; dtype {expected.dtype} is asked, yours is {given.dtype}"
    if expected.shape != got.shape:
        return f"shape {tuple(expected.shape)} is asked, yours is {tuple(got.shape)}"
    if exact and expected.dtype != got.dtype:
        return f"dtype {expected.dtype} is asked, yours is {got.dtype}"
    if expected.device != got.device:
        return f"a tensor on {expected.device} is asked, yours is on {got.device}"
    if expected.numel() == 0:
        return None
    if not expected.is_floating_point():
        same = torch.equal(expected.to(got.dtype), got)
        return None if same else f"the numbers differ{kinds}"
    if (got.isnan() & ~expected.isnan()).any():
        return NAN.format("holds what is")
    size = expected[expected.isfinite()].abs().max() if expected.isfinite().any() else 1
    close = torch.allclose(
        expected, got, rtol=tolerance, atol=tolerance * max(1.0, float(size)),
        equal_nan=True,
    )  # fmt: skip
    return None if close else f"the numbers differ{kinds}"
