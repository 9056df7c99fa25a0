"""A copy of any network, also of one that keeps what it has computed.

`copy.deepcopy` stops at a tensor that hangs on a graph of gradients: a feature that a
forward pass left in `self`, a weight that a hook computes anew before each pass. In the
copy such a tensor is a plain one. Support for `sparsity`, `channel_pruning` and
`deployed`.
"""

import copy
import gc
from types import BuiltinFunctionType, FunctionType, ModuleType

from torch import Tensor, nn

from lib.basics import arguments

# What deepcopy hands on instead of copying it; nothing behind them is looked at.
ATOMS = type, FunctionType, BuiltinFunctionType, ModuleType


def copied(model: nn.Module) -> nn.Module:
    """A copy that shares nothing with the model; ties, modes and hooks are kept.

    ValueError for what is no network, and for one that holds what cannot be copied (an
    open file, a lock): the attribute is named.
    """
    arguments.instance("model", model, nn.Module)
    plain = {id(tensor): tensor.detach().clone() for tensor in _computed(model)}
    try:
        return copy.deepcopy(model, dict(plain))
    except Exception as error:  # anything can stand in an attribute
        where = _attribute_without_copy(model, plain)
        raise ValueError(f"model cannot be copied: {where}: {error}") from error


def _computed(model: nn.Module) -> list[Tensor]:
    """All tensors with a graph that the model reaches, however deep they lie."""
    tensors, seen = [], set()
    waiting = [model]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, ATOMS):
            continue
        seen.add(id(thing))
        if not isinstance(thing, Tensor):
            waiting += gc.get_referents(thing)
        elif not thing.is_leaf:
            tensors.append(thing)
    return tensors


def _attribute_without_copy(model: nn.Module, plain: dict[int, Tensor]) -> str:
    """The first attribute of a layer at which deepcopy stops."""
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if name == "_modules":  # each of them has its own turn
                continue
            try:
                copy.deepcopy(value, dict(plain))
            except Exception:
                return f"{prefix}.{name}".lstrip(".")
    return type(model).__name__
