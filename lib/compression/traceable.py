"""What a trace is asked for, checked before it runs: example, kept layers, weights.

Support for `tracing` and `resizing`; chapter 18.
"""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._pytree import tree_leaves

from lib.basics import arguments


def arguments_of(example_input) -> tuple:
    """What the model is called with; ValueError where no tensor is among it."""
    inputs = example_input if isinstance(example_input, tuple) else (example_input,)
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(inputs)):
        raise arguments.refuse(
            "example_input", example_input, "a tensor, or a tuple of all arguments"
        )
    return inputs


def layer_names(model: nn.Module, keep: Iterable[str]) -> tuple[str, ...]:
    """`keep` as a tuple; a single text would be taken letter by letter."""
    if isinstance(keep, str) or not isinstance(keep, Iterable):
        raise arguments.refuse("keep", keep, f"a list of layers, as [{keep!r}]")
    names = tuple(keep)
    layers = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in layers:
            raise ValueError(f"keep: the model has no layer {name!r}")
    return names


def insist_on_plain_weights(model: nn.Module, keep: tuple[str, ...]) -> None:
    """A weight that is computed before each pass has no places that could be cut."""
    for name, layer in model.named_modules():
        if not isinstance(layer, _ConvNd | nn.Linear) or is_inside(name, keep):
            continue
        weight = layer._parameters.get("weight", layer._buffers.get("weight"))
        if weight is None:
            raise ValueError(
                f"{name or 'the model'}.weight is computed before each pass (a mask, a"
                " weight norm): make it plain first, with torch.nn.utils.prune.remove,"
                " remove_weight_norm or parametrize.remove_parametrizations"
            )
        if isinstance(weight, nn.parameter.UninitializedTensorMixin):
            raise ValueError(f"{name}.weight has no size yet: run the model once first")


def is_inside(name: str, layers: Iterable[str]) -> bool:
    """Is this layer or tensor one of these layers, or part of one?"""
    return any(f"{name}.".startswith(f"{layer}.") for layer in layers)
