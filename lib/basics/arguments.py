"""What a caller passed is checked where it comes in, and refused by its name.

Each function takes the argument's name and its value. It gives the value back, of the
kind that the rest of the code expects, or raises a ValueError that says three things:
which argument, what it is, what it has to be. Otherwise a wrong kind is met far from
the call, as an error of Python, NumPy or torch that names neither:

    budget = arguments.whole_number("budget", budget, least=1)
    lr = arguments.real_number("lr", lr, above=0)
    arguments.instance("space", space, Space)

For all wings: whatever is public checks what it was given before it works, and before
it changes anything. Inside, between our own functions, nothing is checked twice. A step
of a forward pass is `@arguments.named` instead: it is checked only once it has failed.
"""

import functools
import inspect
import math
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

LONGEST = 80  # characters of a value in a message
MANY = (list, Sequence, Collection, Iterable)  # annotations of several things
Bound = float | int | None
Signed = typing.Annotated[int, "may be below 0"]  # for `named`


def gradients_on(who: str) -> None:
    """RuntimeError where gradients are off, which torch would say in the middle."""
    if not torch.is_grad_enabled():  # False inside of inference_mode, too
        raise RuntimeError(
            f"{who} needs gradients, and here they are off: call it outside of"
            " torch.no_grad() and torch.inference_mode()"
        )


def refuse(name: str, value: Any, wanted: str) -> ValueError:
    """The error to raise: "budget is -3; it must be a whole number, 1 or more"."""
    return ValueError(f"{name} is {shown(value)}; it must be {wanted}")


def shown(value: Any) -> str:
    """A value in a few words: large things by kind and shape, long ones cut."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        kind = type(value).__name__
        if getattr(value, "layout", torch.strided) is not torch.strided:
            kind = f"sparse {kind}"
        return f"a {kind} of shape {tuple(value.shape)}, {value.dtype}"
    if isinstance(value, torch.nn.Module):  # prints itself over many lines
        return f"a {type(value).__name__}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def whole_number(
    name: str, value: Any, least: int | None = None, most: int | None = None
) -> int:
    """`value` as an int, `least` to `most`, both allowed.

    NumPy's integers and tensors of one whole number are such; True and 2.0 are not.

    >>> whole_number("seed", np.int64(3))
    3
    """
    # The usual case first: searches check some million tokens.
    number = value if type(value) is int else _alone(value)
    whole = type(number) is int
    if not whole:  # NumPy's have other types; True is an int that nobody means
        whole = isinstance(number, numbers.Integral) and not isinstance(number, bool)
    too_low = whole and least is not None and number < least
    too_high = whole and most is not None and number > most
    if not whole or too_low or too_high:
        raise refuse(name, value, "a whole number" + _range(least, most))
    return int(number)


def real_number(
    name: str, value: Any, least: Bound = None, most: Bound = None, *,
    above: Bound = None, below: Bound = None, infinite: bool = False,
) -> float:  # fmt: skip
    """`value` as a float; `least` and `most` are allowed, `above` and `below` not.

    NaN never is, infinity only if `infinite`. NumPy's numbers and tensors of one
    number are such; True and "0.5" are not.

    >>> real_number("keep", 1, above=0, most=1)
    1.0
    """
    number = _alone(value)
    good = isinstance(number, numbers.Real) and not isinstance(number, bool)
    if good:
        try:
            number = float(number)
        except OverflowError:  # a whole number beyond 1.8e308
            number = math.inf
        good = not math.isnan(number) and (infinite or math.isfinite(number))
    if good:
        good = (
            (least is None or number >= least)
            and (most is None or number <= most)
            and (above is None or number > above)
            and (below is None or number < below)
        )
    if not good:
        kind = "a number" if infinite else "a finite number"
        raise refuse(name, value, kind + _range(least, most, above, below))
    return number


def seed(value: Any, name: str = "seed", least: int = -(2**63)) -> int:
    """A seed of `random` and of torch, as an int; NumPy's has to be 0 or more."""
    return whole_number(name, value, least, 2**63 - 1)


def whole_numbers(name: str, values: Any, least: int | None = None) -> tuple[int, ...]:
    """Several whole numbers, one or more, as a tuple: a list, an array, a range."""
    wanted = "a list of whole numbers" + _range(least, None)
    items = sequence(name, values, wanted)
    return tuple(whole_number(f"{name}[{i}]", v, least) for i, v in enumerate(items))


def real_array(name: str, values: Any, sides: int) -> np.ndarray:
    """Finite numbers as an array of float64 with so many sides (1 a list, 2 a table).

    >>> real_array("points", [[1, 2], [3, 4]], sides=2).shape
    (2, 2)
    """
    wanted = f"finite numbers in an array of {sides} side{'s' * (sides > 1)}"
    try:
        given = values.detach().cpu() if isinstance(values, Tensor) else values
        array = np.asarray(given)
        fits = array.dtype.kind in "iuf" and array.ndim == sides
        array = array.astype(np.float64) if fits else array
    except (TypeError, ValueError, OverflowError, RuntimeError):
        fits = False
    if not fits or not np.isfinite(array).all():
        raise refuse(name, values, wanted)
    return array


def sequence(name: str, values: Any, wanted: str = "a list") -> list:
    """One or more items in order, as a list; a text is none, nor is a dictionary."""
    plain = isinstance(values, Iterable) and not isinstance(values, str | bytes | dict)
    if not plain or (isinstance(values, Tensor | np.ndarray) and not values.ndim):
        raise refuse(name, values, wanted)
    items = list(values)
    if not items:
        raise refuse(name, values, f"{wanted}, and not empty")
    return items


def instance(name: str, value: Any, kind: type | tuple[type, ...], hint: str = ""):
    """`value`, which has to be of the class `kind`; `hint` says how to get one."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(f"a {k.__name__}" for k in kinds)
        raise refuse(name, value, wanted + (f" ({hint})" if hint else ""))
    return value


def function(name: str, value: Any, call: str) -> Callable:
    """`value`, which has to be callable as in `call`: "evaluate(genotype) -> float"."""
    if not callable(value):
        raise refuse(name, value, f"a function, {call}")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, NumPy's too; neither 1 nor "no", whose truth surprises."""
    if not isinstance(value, bool | np.bool_):
        raise refuse(name, value, "True or False")
    return bool(value)


def one_of(name: str, value: Any, known: Sequence) -> Any:
    """`value`, which has to be one of a few.

    >>> one_of("split", "test", ["train", "test"])
    'test'
    """
    # Compared by kind too: 1 is not True, and an array equals nothing here.
    if not any(type(value) is type(k) and value == k for k in known):
        raise refuse(name, value, "one of " + ", ".join(map(repr, known)))
    return value


def path(name: str, value: Any) -> str:
    """A path as text: a str or a pathlib.Path."""
    if not isinstance(value, str | os.PathLike) or "\0" in os.fspath(value):
        raise refuse(name, value, "a path: a text or a pathlib.Path")
    return os.fspath(value)


def tensor(name: str, value: Any, shape: str, *kinds: torch.dtype) -> Tensor:
    """`value`, a tensor of this shape and, if any are named, of one of these dtypes.

    `shape` names each side, "N 4" or "B C H W"; a number there has to be met. "..."
    alone is any shape.

    >>> tensor("boxes", torch.zeros(7, 4), "N 4").shape
    torch.Size([7, 4])
    """
    sides = shape.split()
    fits = isinstance(value, Tensor)
    if fits and sides != ["..."]:
        pairs = zip(sides, value.shape, strict=False)
        met = (not s.isdigit() or int(s) == size for s, size in pairs)
        fits = value.ndim == len(sides) and all(met)
    if not fits or (kinds and value.dtype not in kinds):
        dtypes = " or ".join(str(kind) for kind in kinds)
        of = "any shape" if sides == ["..."] else f"shape ({', '.join(sides)})"
        raise refuse(name, value, f"a tensor of {of}" + (f", {dtypes}" * bool(kinds)))
    return value


def labelled(name: str, value: Any) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and their labels (N,), from a pair of them."""
    pair = sequence(name, value, "a pair (images, labels)")
    if len(pair) != 2:
        raise refuse(name, value, "a pair (images, labels)")
    images = tensor(f"{name}[0]", pair[0], "N C H W")
    return images, tensor(f"{name}[1]", pair[1], f"{len(images)}")


def real_tensor(name: str, value: Any) -> Tensor:
    """`value`, a dense tensor of real numbers; half precision becomes float32.

    For arithmetic that rounds: in float16 and bfloat16 each product is rounded once
    more, before it is rounded to what was asked for. A tensor that is complex, sparse,
    quantized or on the meta device is refused: it holds no real numbers to work with.

    >>> real_tensor("x", torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    wanted = "a dense tensor of real numbers"
    if not isinstance(value, Tensor):
        raise refuse(name, value, wanted)
    kinds = {
        "complex": value.is_complex(),
        "quantized": value.is_quantized,
        "sparse": value.layout is not torch.strided,
        "on the meta device": value.is_meta,
    }
    for kind, holds in kinds.items():
        if holds:
            raise ValueError(f"{name} is a tensor that is {kind}; it must be {wanted}")
    small = value.is_floating_point() and value.dtype.itemsize < 4
    return value.float() if small else value


def real_numbers(name: str, value: Any) -> Tensor:
    """A number, a list or a tensor of real numbers as a tensor in float32.

    >>> real_numbers("least", [0, 1])
    tensor([0., 1.])
    """
    if not isinstance(value, Tensor):
        try:
            value = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise refuse(name, value, "a number or a tensor of numbers") from error
    return real_tensor(name, value).to(torch.float32)


@contextmanager
def about(name: str) -> Iterator[None]:
    """A ValueError of what is done inside begins with the argument's name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def labels(labels: Tensor, classes: int) -> None:
    """ValueError for a label without a logit: it would count as a wrong answer."""
    least, most = labels.aminmax()
    if least < 0 or most >= classes:
        value = int(least if least < 0 else most)
        told = f"labels hold {value}: the model has {classes} classes"
        raise ValueError(f"{told}, from 0 to {classes - 1}")


# What torch says of a tensor of places that points beyond another one.
PAST = r"index (-?\d+) is out of bounds for dimension \d+ with size (\d+)"
# And of two tensors whose sides differ where neither is 1, on the meta device too.
APART = r"must match the size of tensor|broadcast"


def named(function: Callable) -> Callable:
    """A function whose failures name the argument that does not fit its annotation.

    For short functions of tensors that a forward pass calls: a call that works costs
    nothing more, and what a reader sees of the function stays the idea. Where one
    fails, the ValueError names the first argument that its signature does not allow;
    sides of one name have to agree. Whole numbers are sizes and counts, 0 or more;
    those annotated `Signed` may be below 0.
    """

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception as error:
            _blame(function, args, kwargs, error)
            raise

    return call


def _blame(function, args: tuple, kwargs: dict, error: Exception) -> None:
    """ValueError for the first argument that does not fit; nothing if all do."""
    kinds = typing.get_type_hints(function, include_extras=True)
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:  # too many, or one is missing: Python says it well
        return
    sides: dict[str, int] = {}  # compared from one tensor to the next
    for name, value in given.items():
        told = isinstance(error, ValueError) and re.search(rf"\b{name}\b", f"{error}")
        if name in kinds and not told and not _fits(value, kinds[name], sides):
            raise refuse(name, value, _told(kinds[name])) from error
    if re.search(APART, f"{error}"):
        _blame_shapes(given, kinds, error)
    if past := re.search(PAST, f"{error}"):
        index, size = map(int, past.groups())
        for name, value in given.items():
            if isinstance(value, Tensor) and index in value.detach().cpu():
                told = f"{name}: {index} is none of the {size} that there are, 0 to"
                raise ValueError(f"{told} {size - 1}") from error


def _blame_shapes(given: dict, kinds: dict, error: Exception) -> None:
    """ValueError for the first tensor of any shape that does not broadcast."""
    before: dict[str, tuple[int, ...]] = {}
    for name, value in given.items():
        if getattr(kinds.get(name), "dim_str", "") != "...":
            continue
        for other, shape in before.items():
            sides = zip(reversed(value.shape), reversed(shape), strict=False)
            if any(a != b and 1 not in (a, b) for a, b in sides):
                wanted = f"a tensor that broadcasts with {other}, of shape {shape}"
                raise refuse(name, value, wanted) from error
        before[name] = tuple(value.shape)


def _fits(value: Any, kind: Any, sides: dict[str, int]) -> bool:
    """True if a value is what an annotation says; `sides` are those met so far."""
    parts = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if kind is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part, sides) for part in parts)
    if kind is int or kind == Signed:  # a traced size is a SymInt
        least = 0 if kind is int else -(2**63)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return isinstance(value, torch.SymInt) or (whole and least <= value < 2**63)
    if kind is float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return real and math.isfinite(value) and abs(value) < 2**63
    if origin is tuple and parts[-1:] != (...,):
        fits = isinstance(value, tuple | list) and len(value) == len(parts)
        return fits and all(
            _fits(*pair, sides) for pair in zip(value, parts, strict=True)
        )
    if origin in MANY:
        fits = isinstance(value, Iterable) and not isinstance(value, str | dict)
        some = list(value) if isinstance(value, Collection) else ()  # none is used up
        none = isinstance(value, Collection) and not some
        fits = fits and (not none or origin is Collection)
        return fits and all(_fits(item, parts[0], sides) for item in some)
    if not isinstance(value, origin or kind):
        return False
    if getattr(value, "layout", torch.strided) is not torch.strided:
        return False  # sparse: no function here takes such a tensor
    named = reversed(getattr(kind, "dim_str", "").split())
    given = reversed(getattr(value, "shape", ()))
    for side, size in zip(named, given, strict=False):
        if not side.isidentifier() and not side.isdigit():
            break  # "*B", any number of sides
        if sides.setdefault(side, size) != size:
            return False
    return True


def _told(kind: Any) -> str:
    """An annotation in words: "a tensor of shape (N, 4), float"."""
    parts = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_told, parts)))
    if origin is tuple and parts[-1:] != (...,):
        return f"{len(parts)} values: " + "; ".join(map(_told, parts))
    if origin in MANY:
        one = "several" if origin is Collection else "one or more"
        return f"{one}, each {_told(parts[0])}"
    words = {int: "a whole number, 0 or more", float: "a finite number"}
    words |= {Signed: "a whole number"}
    words |= {Tensor: "a tensor", np.ndarray: "an array", Any: "anything"}
    if hasattr(kind, "dim_str"):
        sides = ", ".join(kind.dim_str.split())
        kinds = kind.__name__.partition("[")[0].lower()  # float, int64, bool
        return f"{words[kind.array_type]} of shape ({sides}), {kinds}"
    return words.get(kind) or f"a {getattr(kind, '__name__', kind)}"


def _alone(value: Any) -> Any:
    """A tensor or array of one number without sides as that number."""
    if isinstance(value, Tensor | np.ndarray) and not value.ndim:
        return value.item() if not getattr(value, "is_meta", False) else value
    return value.item() if isinstance(value, np.bool_) else value


def _range(least, most, above=None, below=None) -> str:
    """ ", 1 or more", ", 0 to 9", ", above 0": what `refuse` says after the kind."""
    if above is None and below is None and None not in (least, most):
        return f", {least} to {most}"
    words = [f"{least} or more"] * (least is not None)
    words += [f"above {above}"] * (above is not None)
    words += [f"{most} or less"] * (most is not None)
    words += [f"below {below}"] * (below is not None)
    return "".join([", ", " and ".join(words)]) if words else ""
