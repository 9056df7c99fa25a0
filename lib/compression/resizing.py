"""A network with tensors of other sizes: every layer says and uses the new ones.

A layer holds its sizes twice, in its tensors and in numbers beside them, and some keep
the widths of their neighbours too. All of it follows the new tensors; tied tensors stay
tied, and memory keeps its order. Support for `channel_pruning`; chapter 18.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from lib.basics import modes
from lib.compression import copying
from lib.compression.traceable import arguments_of

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
    hooks = [_keep_told(*layer_attribute_side) for layer_attribute_side in told]
    _run(smaller, inputs, "the smaller network does not run")
    for hook in hooks:
        hook.remove()
    return smaller


def _run(model: nn.Module, inputs: tuple, failure: str) -> None:
    try:
        with modes.evaluation(model):
            model(*inputs)
    except Exception as error:  # whatever a strange forward pass may raise
        why = str(error) or type(error).__name__  # an assertion can be without words
        raise ValueError(f"{failure}: {why}") from error


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
def _told_widths(model: nn.Module, inputs: tuple) -> list[tuple[nn.Module, str, int]]:
    """Layers with a number, or a tuple, that is the width of what they get or give.

    Each with the name of the attribute, and 0 for what it gets, 1 for what it gives.
    """
    candidates = [module for module in model.modules() if _tells(module)]
    if not candidates:
        return []
    seen: dict[nn.Module, list] = {module: [] for module in candidates}

    def look(module, args, outputs):
        seen[module].append((_width_of(_first(args)), _width_of(outputs)))

    hooks = [module.register_forward_hook(look) for module in candidates]
    _run(model, inputs, "the model does not run on example_input")
    for hook in hooks:
        hook.remove()
    return [
        (module, attribute, side)
        for module, widths in seen.items()
        for attribute in _tells(module)
        if (side := _true_side(vars(module)[attribute], widths)) is not None
    ]


def _tells(module: nn.Module) -> list[str]:
    """The attributes in question; a convolution's are set with its weights."""
    if isinstance(module, _ConvNd):
        return []
    # In the layer itself: what a property works out needs no help.
    return [name for name in TOLD if type(vars(module).get(name)) in (int, tuple)]


def _true_side(value, widths: list[tuple]) -> int | None:
    """0 if in each pass the value is the first of the two widths, 1 for the second."""
    for side in (0, 1):
        if widths and all(value == width[side] for width in widths):
            return side
    return None


def _first(args: tuple):
    return args[0] if args else None


def _width_of(maps) -> int | tuple[int, ...] | None:
    """Channels of a map, or of each map of a list; None for anything else."""
    if isinstance(maps, Tensor):
        return maps.shape[1] if maps.dim() > 1 else None
    if not isinstance(maps, list | tuple):
        return None
    if not all(isinstance(x, Tensor) and x.dim() > 1 for x in maps):
        return None
    return tuple(x.shape[1] for x in maps)


def _keep_told(module: nn.Module, attribute: str, side: int):
    """A hook that sets the attribute in the next pass: before it, or after it."""

    def before(module, args):
        setattr(module, attribute, _width_of(_first(args)))

    def after(module, args, outputs):
        setattr(module, attribute, _width_of(outputs))

    if side == 0:
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)
