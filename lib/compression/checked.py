"""What quantization is given, checked: layers, batches, damages, integers.

Each function gives back what it was given, of the kinds that the rest expects, or
raises a ValueError that names the argument and says what would be right.

For qat, arithmetic and integer. Chapters 20 and 21.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, fx

from lib.basics import arguments

INTEGERS = torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64


def flat_graph(name: str, value, hint: str) -> fx.GraphModule:
    """A graph whose nodes can be looked at; `hint` says what makes one."""
    return arguments.instance(name, value, fx.GraphModule, hint)


def tensors(**given: Tensor) -> None:
    """Dense tensors of real numbers, each named as the argument it is."""
    for name, value in given.items():
        arguments.real_tensor(name, value)


def ends(low, high) -> None:
    """The ends of a grid: whole numbers, the low one first."""
    arguments.whole_number("low", low, -(2**31), 2**31)
    arguments.whole_number("high", high, int(low) + 1, 2**31)


def layer_bits(bits, names: Iterable[str]) -> dict[str, int]:
    """Bits by the name of a layer; an unknown name is told with the nearest one."""
    arguments.instance("bits", bits, dict, "layer: bits")
    names = list(names)
    for name in bits:
        if not names:
            raise ValueError(f"bits has {name!r}; there is no layer that rounds")
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1, 0.0)
            raise ValueError(f"bits has {name!r}; no such layer. Is it {near[0]!r}?")
    return bits


def layer_names(argument: str, given, names: Iterable[str]) -> set[str]:
    """Names of layers, in any order; an unknown one is told with the nearest."""
    names = list(names)
    none = isinstance(given, list | tuple | set) and not given
    given = [] if none else arguments.sequence(argument, given, "names of layers")
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1, 0.0)
            meant = f" Is it {near[0]!r}?" if near else ""
            raise ValueError(f"{argument} has {name!r}; no such layer.{meant}")
    return set(given)


def batches(model: fx.GraphModule, given) -> Iterator[Tensor]:
    """Batches of inputs for a network, one by one; a single tensor is one."""
    wanted = "a tensor of inputs"
    if isinstance(given, Tensor):
        given = [given]
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | dict):
        raise arguments.refuse("batches", given, f"{wanted}, or several of them")
    (image,) = [n for n in model.graph.nodes if n.op == "placeholder"]
    shape = image.meta.get("shape")
    kind, i = next(model.parameters()).dtype, -1
    for i, batch in enumerate(given):
        name = f"batches[{i}]"
        if isinstance(batch, list | tuple):
            pairs = "(images for images, labels in loader)"
            raise arguments.refuse(name, batch, f"{wanted}; of pairs take {pairs}")
        arguments.real_tensor(name, batch)
        if batch.dtype != kind:
            raise ValueError(
                f"{name} is of {batch.dtype}; the model computes in {kind}"
            )
        if shape and (batch.dim(), *batch.shape[1:2]) != (len(shape), *shape[1:2]):
            text = f"{name} has shape {tuple(batch.shape)}; the model takes {shape}"
            raise ValueError(f"{text}, where None is the batch")
        yield batch
    if i < 0:
        raise arguments.refuse("batches", given, f"{wanted}, or several; it was empty")


def damages(damage, sizes) -> tuple[dict[str, dict[int, float]], dict[str, int]]:
    """Damage by layer and bits, and how many weights each of these layers has."""
    damage = _choices("damage", damage)
    arguments.instance("sizes", sizes, dict, "layer: number of weights")
    counts = {}
    for layer in damage:
        if layer not in sizes:
            raise ValueError(f"sizes does not say how many weights {layer!r} has")
        counts[layer] = arguments.whole_number(f"sizes[{layer!r}]", sizes[layer], 1)
    return damage, counts


def costs(damage, cost) -> tuple[dict[str, dict[int, float]], ...]:
    """Damage by layer and bits, and what each of these choices costs."""
    damage, given = _choices("damage", damage), _choices("cost", cost)
    kept = {}
    for layer, choices in damage.items():
        kept[layer] = {}
        for bits in choices:
            if bits not in given.get(layer, {}):
                raise ValueError(f"cost does not say what {layer!r} costs at {bits}")
            kept[layer][bits] = given[layer][bits]
    return damage, kept


def _choices(name: str, given) -> dict[str, dict[int, float]]:
    """A number by layer and bits."""
    arguments.instance(name, given, dict, f"layer: {{bits: {name}}}")
    numbers = {}
    for layer, choices in given.items():
        each = f"{name}[{layer!r}]"
        arguments.instance(each, choices, dict, f"bits: {name}")
        if not choices:
            raise ValueError(
                f"{each} is empty; it says the {name} of 8 bits, of 4, ..."
            )
        numbers[layer] = {}
        for bits, value in choices.items():
            bits = arguments.whole_number(f"bits in {each}", bits, 1)
            numbers[layer][bits] = arguments.real_number(f"{each}[{bits}]", value)
    return numbers


def schemes(weights, activations, kind: type) -> None:
    """How weights and maps are rounded; a device has one step a map, one a filter."""
    arguments.instance("weights", weights, kind)
    if weights.axis not in (None, 0):
        raise ValueError(f"weights has axis {weights.axis}; filters are along axis 0")
    if activations is None:
        return
    arguments.instance("activations", activations, kind, "or None: maps stay real")
    if activations.axis is not None:
        text = f"activations has axis {activations.axis}; a map has one step, axis None"
        raise ValueError(f"{text}, as in qat.ACTIVATIONS")


def observer(made, name: str) -> None:
    """What chooses a range: it has `observe(x)` and `qparams(bits, ...)`."""
    for method in ("observe", "qparams"):
        if not callable(getattr(made, method, None)):
            kind = type(made).__name__
            raise ValueError(
                f"{name}: its scheme's observer is a {kind} without {method}"
            )


def integer_tensor(name: str, value) -> Tensor:
    """A tensor of integers: a real one would lose its fractions without a word."""
    return arguments.tensor(name, value, "...", *INTEGERS)


def integer(name: str, value) -> int | Tensor:
    """A whole number, or a tensor of such."""
    if isinstance(value, Tensor):
        return integer_tensor(name, value)
    return arguments.whole_number(name, value, -(2**31), 2**31)


def nested(name: str, value, sides: int):
    """Lists in lists of Python's integers, so many deep."""
    array = arguments.real_array(name, value, sides)
    if array.size == 0 or (array % 1).any():
        raise arguments.refuse(name, value, "lists of integers that are not empty")
    return value


@contextmanager
def refusing(name: str, value, wanted: str) -> Iterator[None]:
    """Torch's own complaint about one argument becomes ours, which names it."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, OverflowError, LookupError) as error:
        raise arguments.refuse(name, value, wanted) from error


def reals(name: str, value) -> Tensor:
    """A number, a list of them or a tensor, in float64."""
    if not isinstance(value, Tensor):
        try:
            value = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise arguments.refuse(name, value, "a number or several") from error
    return arguments.real_tensor(name, value).double()


def each(name: str, values, count: int) -> list:
    """One value for each of so many maps, in a list."""
    items = arguments.sequence(name, values, f"{count} values, one for each map")
    if len(items) != count:
        raise ValueError(f"{name} has {len(items)} values; it is for {count} maps")
    return items


def grid_of_map(name: str, value, kind: type):
    """A grid of one step, for a map."""
    arguments.instance(name, value, kind, "quantize.choose_qparams makes one")
    for part in ("scale", "zero_point"):
        arguments.tensor(f"{name}.{part}", getattr(value, part), "...")
    if value.scale.numel() != 1:
        raise ValueError(f"{name} has {value.scale.numel()} steps; a map has one")
    return value
