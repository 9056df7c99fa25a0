"""A network with tensors of other sizes: every layer says and uses the new ones.

A layer holds its sizes twice, in its tensors and in numbers beside them, and some keep
the widths of their neighbours too. All of it follows the new tensors; tied tensors stay
tied, and memory keeps its order. Support for `channel_pruning`; chapter 18.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from lib.basics import profiling
from lib.compression import copying
from lib.compression.tracing import arguments_of

# BiFPN, for one, compares the maps that come with what it was built for. Other networks
# keep an attribute of that name for something else: so only what is true of the whole
# network's maps is kept true of the smaller one's.
TOLD = "in_channels", "channels"


@torch.no_grad()
def with_tensors(
    model: nn.Module, tensors: dict[str, Tensor], example_input
) -> nn.Module:
    """A copy with other tensors in it, whatever their sizes; it runs once.

    `tensors` are parameters and buffers by name; what is not named stays as it is. The
    layers say and work with the new sizes afterwards. ValueError if the copy does not
    run on the example.
    """
    inputs = arguments_of(example_input)
    smaller = copying.copied(model)
    told = _told_widths(smaller, inputs)
    _replace_tensors(smaller, tensors)
    for module in smaller.modules():
        _set_sizes(module)
    hooks = [_keep_told(module, attribute) for module, attribute in told]
    _run(smaller, inputs, "the smaller network does not run")
    for hook in hooks:
        hook.remove()
    return smaller


def _run(model: nn.Module, inputs: tuple, failure: str) -> None:
    try:
        profiling.macs(model, *inputs)  # runs it in evaluation mode, and counts
    except Exception as error:  # whatever a strange forward pass may raise
        raise ValueError(f"{failure}: {error}") from error


def _replace_tensors(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    fresh: dict[int, tuple[Tensor, Tensor]] = {}  # by identity: tied ones stay tied
    for prefix, module in model.named_modules():
        for held in (module._parameters, module._buffers):
            for leaf, old in held.items():
                name = f"{prefix}.{leaf}" if prefix else leaf
                if name in tensors and id(old) not in fresh:
                    fresh[id(old)] = old, _like(old, tensors[name])
                held[leaf] = fresh.get(id(old), (old, old))[1]


def _like(old: Tensor, values: Tensor) -> Tensor:
    """New values as a parameter or a buffer, in the memory order of the old ones."""
    values = values.detach().clone()
    if old.dim() == 4 and old.stride()[1::2] == (1, old.shape[1]):
        values = values.to(memory_format=torch.channels_last)
    if isinstance(old, nn.Parameter):
        return nn.Parameter(values, old.requires_grad)
    return values


def _set_sizes(module: nn.Module) -> None:
    """What a layer says of its size, and works with, follows from its weights."""
    if isinstance(module, _ConvNd):
        filters, columns = module.weight.shape[:2]
        if module.groups == module.in_channels > 1:  # depthwise
            module.groups = filters * module.groups // module.out_channels
        module.in_channels = columns * module.groups
        module.out_channels = filters
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _BatchNorm) and module.affine:
        module.num_features = len(module.weight)


# --- what layers say of their widths -------------------------------------------------
def _told_widths(model: nn.Module, inputs: tuple) -> list[tuple[nn.Module, str]]:
    """Layers with a tuple that names the widths of the maps they get, or give."""
    candidates = {}
    for module in model.modules():
        for attribute in TOLD:
            # In the layer itself: what a property works out needs no help.
            if isinstance(vars(module).get(attribute), tuple):
                candidates[module, attribute] = []
    hooks = []
    for (module, attribute), seen in candidates.items():
        look = partial(_look_at_widths, attribute=attribute, seen=seen)
        hooks.append(module.register_forward_hook(look))
    if hooks:
        _run(model, inputs, "the model does not run on example_input")
    for hook in hooks:
        hook.remove()
    return [
        (module, attribute)
        for (module, attribute), seen in candidates.items()
        if set(seen) == {getattr(module, attribute)}
    ]


def _look_at_widths(module, args, outputs, *, attribute, seen) -> None:
    seen.append(_widths(args[:1], outputs)[attribute])


def _widths(args, outputs=None) -> dict[str, tuple[int, ...] | None]:
    """Channels of the maps of the first argument, and of the outputs."""
    maps = dict(zip(TOLD, (args[0] if args else None, outputs), strict=True))
    return {name: _channels_of(each) for name, each in maps.items()}


def _channels_of(maps) -> tuple[int, ...] | None:
    if not isinstance(maps, list | tuple):
        return None
    if not all(isinstance(x, Tensor) and x.dim() > 1 for x in maps):
        return None
    return tuple(x.shape[1] for x in maps)


def _keep_told(module: nn.Module, attribute: str):
    """A hook that sets the attribute in the next pass: before it, or after it."""

    def before(module, args):
        module.in_channels = _widths(args)["in_channels"]

    def after(module, args, outputs):
        module.channels = _widths((), outputs)["channels"]

    if attribute == "in_channels":
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)
