"""What ONNX calls each operator of a flat graph: one table, and who writes it down.

A `Writer` runs a graph of torch.fx once, to learn its shapes, and notes an ONNX node
for each node that it meets. The graph is flat, as `deployed` makes it: modules
are convolutions and linear layers, all else are functions of `torch.ops.aten`. Sizes of
pictures become numbers in the file, the size of a batch does not.

Support for `export`, which adds integers. Operators: onnx.ai/onnx/operators.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx, nn

try:
    import onnx
except ImportError as error:
    raise ImportError(f"{error}: pip install -e '.[export]' brings it") from error

aten = torch.ops.aten


class Writer(fx.Interpreter):
    """Runs a flat graph, and notes ONNX nodes and constants.

    `names` are the ONNX values of fx nodes. ValueError names a node that has no form.
    """

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.extra_traceback = False  # our errors say which node it is
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.names: dict[fx.Node, str] = {}
        self.tags: dict[fx.Node, str] = {}
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node):
        value = super().run_node(node)
        if isinstance(value, Tensor):
            self.shapes[node] = tuple(value.shape)
        if node.op == "placeholder":
            self.names[node] = node.name
        elif node.op == "get_attr" and isinstance(value, Tensor):
            self.names[node] = self.constant(node, "value", value)
        elif node.op == "call_module":
            self.names[node] = self.layer(node, self.fetch_attr(node.target))
        elif node.op == "call_function" and isinstance(value, Tensor):
            if node.target not in OPERATORS:
                raise ValueError(f"{node.name}: no ONNX form here of {node.target}")
            self.names[node] = OPERATORS[node.target](self, node, *arguments(node))
        return value

    def tag(self, node: fx.Node, part: str | int = "") -> str:
        """A short name for what belongs to a node: long ones would fill the file."""
        short = self.tags.setdefault(node, str(len(self.tags)))
        return f"{short}.{part}" if part != "" else short

    def add(self, kind: str, inputs, node: fx.Node, part="", **attributes) -> str:
        """One more ONNX node; returns the name of its output."""
        name, label = self.tag(node, part), "" if part else node.name
        made = onnx.helper.make_node(kind, inputs, [name], label, **attributes)
        self.nodes.append(made)
        return name

    def constant(self, node: fx.Node, part: str | int, value, dtype=np.float32) -> str:
        """A tensor that stands in the file."""
        value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.constants[name := self.tag(node, part)] = np.array(value, dtype)
        return name

    def value(self, node: fx.Node, x, part="value") -> str:
        """The ONNX value of an argument: what an fx node gives, or a number."""
        return self.names[x] if isinstance(x, fx.Node) else self.constant(node, part, x)

    def layer(self, node: fx.Node, module: nn.Module) -> str:
        """A node that calls a convolution or a linear layer."""
        x, how = node.args[0], {}
        if isinstance(module, nn.Conv2d):
            if module.padding_mode != "zeros" or isinstance(module.padding, str):
                raise ValueError(f"{node.name}: padding has to be numbers and zeros")
            x, pads = self.padded(x, module.padding)
            how = {"kernel_shape": module.kernel_size, "strides": module.stride}
            how |= {"dilations": module.dilation, "group": module.groups, "pads": pads}
        elif isinstance(module, nn.Linear) and len(self.shapes[x]) == 2:
            how = {"transB": 1}
        else:
            raise ValueError(f"{node.name}: no ONNX form here of {module}")
        kind = "Conv" if isinstance(module, nn.Conv2d) else "Gemm"
        weights = self.weights(node, module, x)
        return self.add(kind, [self.names[x], *weights], node, **how)

    def padded(self, x: fx.Node, padding) -> tuple[fx.Node, list[int]]:
        """Takes in zeros added before a window: the value before them, and all pads."""
        (top, left), (bottom, right) = padding, padding
        while x.target in PADS:
            before, sides, *_, value = arguments(x)
            if value or len(sides) != 4 or min(sides) < 0:
                break
            left, right = left + sides[0], right + sides[1]
            top, bottom = top + sides[2], bottom + sides[3]
            x = before
        return x, [top, left, bottom, right]

    def weights(self, node: fx.Node, module: nn.Module, x: fx.Node) -> list[str]:
        """Weight and bias of a layer that reads `x`."""
        both = {"weight": module.weight, "bias": module.bias}
        return [self.constant(node, k, v) for k, v in both.items() if v is not None]

    def clips(self, node: fx.Node, low, high) -> bool:
        """Whether what comes behind a node clips to [low, high] anyway."""
        return False

    def alive(self, outputs) -> list[onnx.NodeProto]:
        """The nodes that outputs need, in order."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            if node.output[0] in needed:
                needed |= set(node.input)
                kept.append(node)
        return kept[::-1]


def arguments(node: fx.Node) -> list:
    """All arguments of an operator by position, with those that were left out."""
    schema = node.target._schema.arguments
    given = dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs
    return [given.get(a.name, a.default_value) for a in schema]


# ------------------------------------------------------------------- one rule for each
def _plain(kind: str, arity: int) -> Callable:
    """An operator that ONNX has under another name: `arity` tensors, nothing else."""

    def emit(g: Writer, node, *x):
        if x[arity:] not in ((), (1,)):  # "alpha" of a sum
            raise ValueError(f"{node.name}: alpha {x[arity]} has no ONNX form here")
        inputs = [g.value(node, each, i) for i, each in enumerate(x[:arity])]
        return g.add(kind, inputs, node)

    return emit


def _clip(g: Writer, node, x, low=0.0, high=None):
    """ReLU, ReLU6 and their kin; left out where the rounding behind them clips."""
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if g.clips(node, low, high):
        return g.names[x]
    if (low, high) == (0, math.inf):
        return g.add("Relu", [g.names[x]], node)
    ends = [g.value(node, e, i) for i, e in enumerate((low, high))]
    return g.add("Clip", [g.names[x], *ends], node)


def _silu(g: Writer, node, x):
    gate = g.add("Sigmoid", [g.names[x]], node, "gate")
    return g.add("Mul", [g.names[x], gate], node)


def _addcmul(g: Writer, node, x, a, b, value):
    a, b = g.value(node, a, "a"), g.value(node, b, "b")
    product = g.add("Mul", [a, b], node, "product")
    if value != 1:
        product = g.add("Mul", [product, g.value(node, value)], node, "times")
    return g.add("Add", [g.names[x], product], node)


def pool(g: Writer, node, kind, x, kernel, stride, padding, dilation, **how):
    """Pads are written down: ONNX's ceil_mode counts windows that torch leaves out."""
    k, s, p, d = (
        list(v) * (2 // len(v)) if isinstance(v, list | tuple) else [v, v]
        for v in (kernel, stride or kernel, padding, dilation)
    )
    ends = []
    for i in (0, 1):
        size, out = g.shapes[x][2 + i], g.shapes[node][2 + i]
        ends.append(max(0, (out - 1) * s[i] + (k[i] - 1) * d[i] + 1 - size - p[i]))
    if how.get("count_include_pad") and any(
        e > b for e, b in zip(ends, p, strict=True)
    ):
        raise ValueError(
            f"{node.name}: windows that hang over count pads; no ONNX form"
        )
    how |= {"kernel_shape": k, "strides": s, "pads": [*p, *ends]}
    if kind == "MaxPool":
        how["dilations"] = d
    return g.add(kind, [g.names[x]], node, **how)


def _max_pool(g: Writer, node, x, kernel, stride, padding, dilation, ceil):
    return pool(g, node, "MaxPool", x, kernel, stride, padding, dilation)


def _average_pool(g: Writer, node, x, kernel, stride, padding, ceil, count, divisor):
    if divisor is not None:
        raise ValueError(f"{node.name}: a divisor of its own has no ONNX form")
    how = {"count_include_pad": int(count)}
    return pool(g, node, "AveragePool", x, kernel, stride, padding, 1, **how)


def _mean(g: Writer, node, x, axes, keep=False, dtype=None):
    rank = len(g.shapes[x])
    axes = sorted(a % rank for a in axes)
    if (rank, axes) != (4, [2, 3]):
        inputs = [g.names[x], g.constant(node, "axes", axes, np.int64)]
        return g.add("ReduceMean", inputs, node, keepdims=int(keep))
    name = g.add("GlobalAveragePool", [g.names[x]], node, "" if keep else "kept")
    return name if keep else g.add("Flatten", [name], node)


def _resize(g: Writer, node, x, size, factors):
    name, old, new = g.names[x], g.shapes[x][2:], g.shapes[node][2:]
    if all(n % o == 0 for n, o in zip(new, old, strict=True)):
        scales = [1, 1, *(n // o for n, o in zip(new, old, strict=True))]
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        inputs = [name, "", g.constant(node, "scales", scales)]
        return g.add("Resize", inputs, node, mode="nearest", **how)
    for axis, (n, o) in enumerate(zip(new, old, strict=True), 2):
        places = [i * o // n for i in range(n)]  # Eq. 11.3
        pixels = g.constant(node, axis, places, np.int64)
        name = g.add("Gather", [name, pixels], node, "rows" * (axis == 2), axis=axis)
    return name


def _pad(g: Writer, node, x, sides, *rest):
    value, rank = rest[-1] or 0.0, len(g.shapes[x])
    pads = np.zeros((2, rank))
    for i in range(len(sides) // 2):  # torch begins with the last axis
        pads[:, rank - 1 - i] = sides[2 * i : 2 * i + 2]
    pads = g.constant(node, "pads", pads.reshape(-1), np.int64)
    return g.add("Pad", [g.names[x], pads, g.value(node, value)], node)


def _slice(g: Writer, node, x, axis, start, end, step):
    end = np.iinfo(np.int64).max if end is None else end
    parts = {"start": start or 0, "end": end, "axis": axis, "step": step}
    inputs = [g.constant(node, key, [part], np.int64) for key, part in parts.items()]
    return g.add("Slice", [g.names[x], *inputs], node)


def _reshape(g: Writer, node, x, *_):
    shape = g.constant(node, "shape", [-1, *g.shapes[node][1:]], np.int64)  # any batch
    return g.add("Reshape", [g.names[x], shape], node)


def _concat(g: Writer, node, x, axis):
    return g.add("Concat", [g.names[each] for each in x], node, axis=axis)


def _permute(g: Writer, node, x, order):
    return g.add("Transpose", [g.names[x]], node, perm=order)


def _softmax(g: Writer, node, x, axis, dtype=None):
    return g.add("Softmax", [g.names[x]], node, axis=axis)


OPERATORS = {
    aten.add.Tensor: _plain("Add", 2),
    aten.sub.Tensor: _plain("Sub", 2),
    aten.mul.Tensor: _plain("Mul", 2),
    aten.div.Tensor: _plain("Div", 2),
    aten.sigmoid.default: _plain("Sigmoid", 1),
    aten.tanh.default: _plain("Tanh", 1),
    aten.hardswish.default: _plain("HardSwish", 1),
    aten.addcmul.default: _addcmul,
    aten.silu.default: _silu,
    aten.relu.default: _clip,
    aten.hardtanh.default: _clip,
    aten.clamp.default: _clip,
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool2d.default: _average_pool,
    aten.mean.dim: _mean,
    aten.upsample_nearest2d.vec: _resize,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _pad,
    aten.slice.Tensor: _slice,
    aten.cat.default: _concat,
    aten.permute.default: _permute,
    aten.softmax.int: _softmax,
    aten.view.default: _reshape,
    aten.reshape.default: _reshape,
    aten.flatten.using_ints: _reshape,
    aten.squeeze.dims: _reshape,
    aten.unsqueeze.default: _reshape,
}
PADS = aten.pad.default, aten.constant_pad_nd.default
