"""Where a deployed network is rounded: which value stands on which grid.

A grid is a scale and a zero point. Some operations give values between its steps, and
these are rounded to a grid of their own; others only choose, move or repeat values, so
what comes out stands on the grid of what went in. An activation that cuts off is done
by the device while it writes the result before it: one rounding for both.

Support for `qat`, `integer` and `export`, which read the same graph. Chapter 20.
"""

import math

import torch
from torch import fx, nn

from lib.basics import arguments

# They choose, move or repeat values, and zero is on every grid.
KEEPS = {
    "constant_pad_nd", "expand", "flatten", "max_pool2d", "pad", "permute", "relu",
    "reshape", "select", "slice", "squeeze", "sym_size", "transpose", "unsqueeze",
    "upsample_nearest2d", "view",
}  # fmt: skip
# A device does these while it writes the result of the operation before.
CLIPS = {"clamp", "clamp_min", "hardtanh", "relu", "relu6"}
# They give values between the steps.
MAKES = {
    "adaptive_avg_pool2d", "add", "addcmul", "avg_pool2d", "cat", "div", "gelu",
    "hardsigmoid", "hardswish", "leaky_relu", "mean", "mul", "sigmoid", "silu", "sub",
    "sum", "tanh", "upsample_bilinear2d",
}  # fmt: skip


def operation(node: fx.Node) -> str:
    """The name of an aten function, such as "relu"; of other nodes, what they are."""
    arguments.instance("node", node, fx.Node)
    if node.op != "call_function":
        return node.op
    return getattr(node.target, "overloadpacket", node.target).__name__


def places(graph: fx.Graph) -> list[fx.Node]:
    """The nodes behind which a map is rounded, in order.

    A ReLU or ReLU6 stands for what it alone reads: steps for what it cuts off would be
    wasted. Where others read that too, a ReLU keeps the grid. ValueError names an
    operation for which there is no rule.
    """
    arguments.instance("graph", graph, fx.Graph, "model.graph")
    rounded, fused = [], set()
    for node in graph.nodes:
        kind = operation(node)
        if kind in ("get_attr", "output") or keeps(node):
            continue
        if node in fused:
            continue
        if kind not in KEEPS | MAKES | CLIPS | {"placeholder", "call_module"}:
            raise ValueError(f"{node.name}: no rule for what {kind!r} gives")
        clip = _only_reader_that_clips(node)
        if kind not in CLIPS and clip is not None:
            fused.add(clip)
            node = clip
        rounded.append(node)
    return rounded


def _only_reader_that_clips(node: fx.Node) -> fx.Node | None:
    """The ReLU or ReLU6 that reads a node, if nothing else does."""
    if len(node.users) != 1:
        return None
    (reader,) = node.users
    return reader if operation(reader) in CLIPS else None


def keeps(node: fx.Node) -> bool:
    """True if what a node gives stands on the grid of what it reads.

    A pad by a number does not: it need not be on the grid, and may lie beyond its ends.
    0 is on every grid; infinity, which a maximum passes over, is not to be rounded.
    """
    kind = operation(node)
    if kind not in ("constant_pad_nd", "pad"):
        return kind in KEEPS
    value = node.args[-1] if len(node.args) > 2 else node.kwargs.get("value", 0)
    number = isinstance(value, float | int) and math.isfinite(value)
    return not number or value == 0


def name_after(node: fx.Node) -> str:
    """A name for what stands behind a node; a fused ReLU goes by what it reads."""
    arguments.instance("node", node, fx.Node)
    maker = node.args[0] if operation(node) in CLIPS else node
    return f"after_{maker.target if maker.op == 'call_module' else maker.name}"


def insert(model: fx.GraphModule, node: fx.Node, name: str, module: nn.Module) -> None:
    """Put a module between a node and all that read it; then `model.recompile()`."""
    arguments.instance("model", model, fx.GraphModule)
    arguments.instance("node", node, fx.Node)
    arguments.instance("name", name, str)
    arguments.instance("module", module, nn.Module)
    model.add_submodule(name, module)
    with model.graph.inserting_after(node):
        new = model.graph.call_module(name, (node,))
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    new.meta["shape"] = node.meta.get("shape")


@torch.no_grad()
def settle(model: fx.GraphModule) -> fx.GraphModule:
    """Move every bias to whole steps of the sum that it is added to, s_x times s_w.

    There a device stores it. Real biases are off by up to half a step, and that flips
    a rounding here and there. The last thing before `integer` or `export`; in place,
    returns the model. A layer whose input or weight nothing rounds keeps its bias.
    """
    arguments.instance("model", model, fx.GraphModule, "qat.prepare makes one")
    for node in model.graph.nodes:
        layer = model.get_submodule(node.target) if node.op == "call_module" else None
        if getattr(layer, "bias", None) is None:
            continue
        quantizer = getattr(layer, "weight_quantizer", None)
        source = quantizer and above(node.args[0], type(quantizer))
        if source:
            step = model.get_submodule(source.target).scale.double() * quantizer.scale
            layer.bias.copy_((layer.bias / step).round() * step)
    return model


def above(node: fx.Node, kind: type[nn.Module]) -> fx.Node | None:
    """The nearest node of a module of `kind` whose grid a value stands on, or None."""
    arguments.instance("kind", kind, type)
    while keeps(node):
        node = node.args[0]
    if node.op != "call_module":
        return None
    module = node.graph.owning_module.get_submodule(node.target)
    return node if isinstance(module, kind) else None
