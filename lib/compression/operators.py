"""What ONNX calls each operator of a flat graph: one table, and who writes it down.

A `Writer` runs a graph of torch.fx, to learn its shapes, and notes an ONNX node for
each node that it meets. The graph is flat, as `deployed` makes it: modules are
convolutions and linear layers, all else are functions of `torch.ops.aten`. Sizes of
pictures become numbers in the file, the size of a batch does not. Two batches of
different size tell which is which. An argument that a rule does not carry over is
refused by name.

Support for `export`, which adds integers. Operators: onnx.ai/onnx/operators.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx, nn

from lib.compression import pooling

try:
    import onnx
except ImportError as error:
    raise ImportError(f"{error}: pip install -e '.[export]' brings it") from error

aten = torch.ops.aten


class Shapes(fx.Interpreter):
    """Runs a graph and remembers the shape of each value that is a tensor."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.extra_traceback = False
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node):
        value = super().run_node(node)
        if isinstance(value, Tensor):
            self.shapes[node] = tuple(value.shape)
        return value


class Writer(fx.Interpreter):
    """Runs a flat graph, and notes ONNX nodes and constants.

    `names` are the ONNX values of fx nodes, `sizes` their shapes with -1 for what the
    batch decides. ValueError names a node that has no form.
    """

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.extra_traceback = False  # our errors say which node it is
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.names: dict[fx.Node, str] = {}
        self.tags: dict[fx.Node, str] = {}
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self.sizes: dict[fx.Node, list[int]] = {}
        self.of_three: dict[fx.Node, tuple[int, ...]] = {}  # shapes, of a batch of 3

    def write(self, example: Tensor):
        """Note everything; returns what the graph gives for a batch of two.

        `example` is a batch of inputs (B ...); its first one counts.
        """
        one = example[:1]
        three = Shapes(self.module)
        three.run(torch.cat([one] * 3))
        self.of_three = three.shapes
        return self.run(torch.cat([one] * 2))

    def run_node(self, node: fx.Node):
        value = super().run_node(node)
        if isinstance(value, Tensor):
            self.shapes[node] = shape = tuple(value.shape)
            both = zip(shape, self.of_three[node], strict=True)
            self.sizes[node] = [n if n == m else -1 for n, m in both]
        if node.op == "placeholder":
            self.names[node] = node.name
        elif node.op == "get_attr" and isinstance(value, Tensor):
            self.names[node] = self.constant(node, "value", value)
        elif node.op == "call_module":
            self.names[node] = self.layer(node, self.fetch_attr(node.target))
        elif node.op == "call_function" and isinstance(value, Tensor):
            for source in node.all_input_nodes:
                if source not in self.names:  # a size of the batch, or several tensors
                    raise ValueError(
                        f"{node.name} reads {source.name}, of {source.target}:"
                        " that is no tensor, and has no ONNX form here"
                    )
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
        x = node.args[0]
        if isinstance(module, nn.Conv2d):
            return self.convolution(node, module, x)
        if not isinstance(module, nn.Linear) or len(self.shapes[x]) != 2:
            raise ValueError(f"{node.name}: no ONNX form here of {module}")
        weights = self.weights(node, module, x)
        return self.add("Gemm", [self.names[x], *weights], node, transB=1)

    def convolution(self, node: fx.Node, module: nn.Conv2d, x: fx.Node) -> str:
        """A Conv; zeros that were added before it become its pads."""
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise ValueError(f"{node.name}: padding has to be numbers and zeros")
        x, pads = self.padded(x, module.padding)
        how = {
            "kernel_shape": module.kernel_size,
            "strides": module.stride,
            "dilations": module.dilation,
            "group": module.groups,
            "pads": pads,
        }
        weights = self.weights(node, module, x)
        return self.add("Conv", [self.names[x], *weights], node, **how)

    def padded(self, x: fx.Node, padding) -> tuple[fx.Node, list[int]]:
        """Takes in zeros added before a window: the value before them, and all pads."""
        (top, left), (bottom, right) = padding, padding
        while x.target in PADS:
            before, sides, *mode, value = arguments(x)
            constant = mode in ([], ["constant"])
            if not constant or value or len(sides) != 4 or min(sides) < 0:
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

    def picture(self, node: fx.Node) -> tuple[int, int]:
        """Height and width of a value (B C H W); the batch must not decide them."""
        height, width = self.sizes[node][2:]
        if -1 in (height, width):
            raise ValueError(f"{node.name}: its height or width depends on the batch")
        return height, width

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


def _mean(g: Writer, node, x, axes, keep=False, dtype=None):
    if not axes or dtype not in (None, torch.float32):
        raise ValueError(f"{node.name}: a mean names its axes, and is of float32")
    rank = len(g.shapes[x])
    axes = sorted(a % rank for a in axes)
    if (rank, axes) != (4, [2, 3]):
        inputs = [g.names[x], g.constant(node, "axes", axes, np.int64)]
        return g.add("ReduceMean", inputs, node, keepdims=int(keep))
    name = g.add("GlobalAveragePool", [g.names[x]], node, "" if keep else "kept")
    return name if keep else g.add("Flatten", [name], node)


def _resize(g: Writer, node, x, size, factors):
    """The nearest pixel, as torch chooses it: by sizes or by factors (Eq. 11.3)."""
    name, old, new = g.names[x], g.picture(x), g.picture(node)
    rows, columns = torch.meshgrid(*map(torch.arange, old), indexing="ij")
    places = torch.stack([rows, columns]).float()[None]  # 1 2 H W
    places = node.target(places, size, factors)[0].long()  # 2 h w
    places = places[0, :, 0], places[1, 0]
    times = [n // o for n, o in zip(new, old, strict=True)]
    whole = [torch.arange(n) // max(t, 1) for n, t in zip(new, times, strict=True)]
    repeats = all(torch.equal(*pair) for pair in zip(places, whole, strict=True))
    if repeats and min(times) > 0:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        inputs = [name, "", g.constant(node, "scales", [1, 1, *times])]
        return g.add("Resize", inputs, node, mode="nearest", **how)
    for axis, pixels in enumerate(places, 2):
        pixels = g.constant(node, axis, pixels, np.int64)
        name = g.add("Gather", [name, pixels], node, "rows" * (axis == 2), axis=axis)
    return name


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _pad(g: Writer, node, x, sides, mode, value):
    if mode == "circular":
        return _wrap(g, node, x, sides)
    if mode not in MODES:
        raise ValueError(f"{node.name}: pads by {mode!r} have no ONNX form here")
    rank = len(g.shapes[x])
    pads = np.zeros((2, rank))
    for i in range(len(sides) // 2):  # torch begins with the last axis
        pads[:, rank - 1 - i] = sides[2 * i : 2 * i + 2]
    inputs = [g.names[x], g.constant(node, "pads", pads.reshape(-1), np.int64)]
    if mode == "constant":
        inputs.append(g.value(node, value or 0.0))
    return g.add("Pad", inputs, node, mode=MODES[mode])


def _constant_pad(g: Writer, node, x, sides, value):
    return _pad(g, node, x, sides, "constant", value)


def _wrap(g: Writer, node, x, sides):
    """Circular pads: the end of an axis before its beginning, the beginning behind."""
    name, rank = g.names[x], len(g.shapes[x])
    if min(sides) < 0:
        raise ValueError(f"{node.name}: circular pads below 0 have no ONNX form here")
    last = np.iinfo(np.int64).max
    for i in range(len(sides) // 2):
        before, behind, axis = sides[2 * i], sides[2 * i + 1], rank - 1 - i
        parts = [name]
        for side, start, end in ((0, -before, last), (1, 0, behind)):
            if sides[2 * i + side]:
                ends = {"start": start, "end": end, "axis": axis}
                key = f"{axis}.{side}"
                inputs = [
                    g.constant(node, f"{key}.{k}", [v], np.int64)
                    for k, v in ends.items()
                ]
                part = g.add("Slice", [name, *inputs], node, key)
                parts = [*parts, part] if side else [part, *parts]
        name = g.add("Concat", parts, node, f"axis{axis}", axis=axis)
    return name


def _slice(g: Writer, node, x, axis, start, end, step):
    end = np.iinfo(np.int64).max if end is None else end
    parts = {"start": start or 0, "end": end, "axis": axis, "step": step}
    inputs = [g.constant(node, key, [part], np.int64) for key, part in parts.items()]
    return g.add("Slice", [g.names[x], *inputs], node)


def _reshape(g: Writer, node, x, *_):
    sizes = g.sizes[node]
    if sizes.count(-1) > 1:
        raise ValueError(f"{node.name}: more than one size depends on the batch")
    shape = g.constant(node, "shape", sizes, np.int64)
    return g.add("Reshape", [g.names[x], shape], node)


def _concat(g: Writer, node, x, axis):
    return g.add("Concat", [g.names[each] for each in x], node, axis=axis)


def _permute(g: Writer, node, x, order):
    order = [axis % len(order) for axis in order]
    return g.add("Transpose", [g.names[x]], node, perm=order)


def _transpose(g: Writer, node, x, one, other):
    order = list(range(len(g.shapes[x])))
    order[one], order[other] = order[other], order[one]
    return _permute(g, node, x, order)


def _softmax(g: Writer, node, x, axis, dtype=None):
    if dtype not in (None, torch.float32):
        raise ValueError(f"{node.name}: a softmax of {dtype} has no ONNX form here")
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
    aten.max_pool2d.default: pooling.max_pool,
    aten.avg_pool2d.default: pooling.average_pool,
    aten.mean.dim: _mean,
    aten.upsample_nearest2d.vec: _resize,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _constant_pad,
    aten.slice.Tensor: _slice,
    aten.cat.default: _concat,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.softmax.int: _softmax,
    aten.view.default: _reshape,
    aten.reshape.default: _reshape,
    aten.flatten.using_ints: _reshape,
    aten.squeeze.dim: _reshape,
    aten.squeeze.dims: _reshape,
    aten.unsqueeze.default: _reshape,
}
PADS = aten.pad.default, aten.constant_pad_nd.default
