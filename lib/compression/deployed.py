"""A network as it is deployed: one flat graph, batch norms folded away.

`torch.export` runs the model once and writes down every operation. Of those, training
needs more than a device does: a batch norm in evaluation mode is a scale and a shift of
each channel, which the convolution before it can do itself; asserts, copies and views
of everything do nothing. What stays is short enough to quantize, to run in integers and
to write as ONNX. A convolution that is used three times becomes three of them, because
the norms after it may differ, and because each sees other values.

Folding: arXiv 1712.05877, section 3.2. Chapter 19; used by all that follow.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from lib.compression import copying

aten = torch.ops.aten
leaves = torch.utils._pytree.tree_leaves
# They give the tensor that they are given: who writes into one writes into the other.
SAME = {"contiguous", "alias", "detach", "identity"}
# In evaluation mode they give its values, in a tensor of their own.
COPIES = {"clone", "dropout", "feature_dropout", "lift_fresh_copy"}
LAYERS = (nn.Conv2d, nn.Linear)


def fold(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor):
    """Weight and bias of one layer that does its own work, then `scale` and `shift`.

    `weight` is (filters, ...) of a convolution or a linear layer, the others (filters).
    By hand: (2 x + 1) * 3 + 5 is 6 x + 8.

    >>> one = torch.ones(1)
    >>> fold(2 * one[:, None], one, 3 * one, 5 * one)
    (tensor([[6.]]), tensor([8.]))
    """
    other_sides = [1] * (weight.dim() - 1)
    for_each_filter = scale.reshape(-1, *other_sides)
    scaled = weight * for_each_filter  # Eq. 19.9
    if bias is None:
        return scaled, shift
    shifted = bias * scale + shift
    return scaled, shifted


def affine(gamma, beta, mean: Tensor, variance: Tensor, eps: float):
    """A batch norm in evaluation mode as (scale, shift) of each channel, in double."""
    scale = (variance.double() + eps).rsqrt()
    scale = scale if gamma is None else scale * gamma.double()
    shift = -mean.double() * scale  # Eq. 19.8
    return scale, shift if beta is None else shift + beta.double()


def deployed(model: nn.Module, example_input: Tensor) -> fx.GraphModule:
    """`model` in evaluation mode as a flat graph without batch norms; it is left as is.

    `example_input` fixes every size but the batch. The nodes of `.graph` are layers
    (`call_module`: Conv2d and Linear, one for each use, with parameters of its own),
    out-of-place `torch.ops.aten` operations (`call_function`) and constants
    (`get_attr`); `node.meta["shape"]` is what comes out, None for the batch. Outputs
    have the model's structure; a detector's `.config` stays. ValueError says what a
    graph cannot hold.
    """
    if not isinstance(example_input, Tensor) or example_input.numel() == 0:
        raise ValueError(
            "example_input is a tensor of inputs, at least one; e.g. zeros"
        )
    if len(example_input) == 1:  # else export takes the batch for a constant
        example_input = torch.cat([example_input] * 2)
    frozen = copying.copied(model).eval()
    batch = {0: torch.export.Dim("batch", min=1, max=2**31)}  # torch 2.6 wants an end
    try:
        with torch.no_grad():
            program = torch.export.export(
                frozen, (example_input,), dynamic_shapes=(batch,), strict=False
            )
    except Exception as error:  # whatever a forward can raise, or export cannot follow
        kind = type(model).__name__
        raise ValueError(f"{kind} cannot be written as a graph: {error}") from error
    with torch.no_grad():
        result = _Rewriter(program.module()).run()
    if hasattr(model, "config"):
        # A deep copy of a GraphModule keeps only attributes that stand here.
        result.meta["_user_preserved_attributes"] = {"config": model.config}
        result.config = model.config
    _insist(frozen, result, example_input)
    return result.eval()


class _Rewriter:
    """From the exported graph to the deployed one, node by node."""

    def __init__(self, source: fx.GraphModule):
        self.source, self.graph = source, fx.Graph()
        self.graph.set_codegen(source.graph._codegen)  # the structure of the outputs
        self.new: dict[fx.Node, fx.Node] = {}  # old node: what stands for it now
        self.memory: dict[fx.Node, fx.Node] = {}  # old node: who made its tensor
        self.constants: dict[fx.Node, Tensor] = {}  # known before any input is
        self.parts: dict[str, nn.Module | Tensor] = {}

    def run(self) -> fx.GraphModule:
        for node in self.source.graph.nodes:
            if node.op == "get_attr":
                self.constants[node] = _attribute(self.source, node.target)
            elif node.op == "placeholder":
                self.new[node] = self.graph.node_copy(node)
                self._describe(self.new[node], node)
            elif node.op == "output":
                self.graph.output(fx.map_arg(node.args[0], self.read))
            elif node.op == "call_function":
                self._function(node)
        for node in reversed(self.graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                self.graph.erase_node(node)
        return self._module()

    def _function(self, node: fx.Node) -> None:
        """One operation: computed now, left out, replaced or copied."""
        name, inputs = _name(node), node.all_input_nodes
        if "assert" in name:
            return
        if all(i in self.constants for i in inputs) and not node.is_impure():
            target, args, kwargs = _out_of_place(node), node.args, node.kwargs
            args, kwargs = fx.map_arg((args, kwargs), self.constants.__getitem__)
            self.constants[node] = target(*args, **kwargs)
            return
        if _does_nothing(node):
            self.new[node] = self.read(inputs[0])
            if name not in COPIES | {"pad"}:
                self.memory[node] = self._memory(inputs[0])
            return
        make = getattr(self, f"_{name.rstrip('_')}", self._copy)
        made = make(node)
        self._describe(made, node)
        if name.endswith("_"):  # in place: whoever reads the old value reads the new
            written = self.memory[node] = self._memory(inputs[0])
            for old in self.new:
                if self._memory(old) is written:
                    self.new[old] = made
        self.new[node] = made

    def _memory(self, node: fx.Node) -> fx.Node:
        return self.memory.get(node, node)

    def read(self, node: fx.Node) -> fx.Node:
        """What stands for an old node; a constant becomes a buffer."""
        if node not in self.new:
            key = f"constant_{len(self.parts)}"
            self.parts[key] = self.constants[node].detach().clone()
            self.new[node] = self.graph.get_attr(key)
            self.new[node].meta["shape"] = tuple(self.parts[key].shape)
        return self.new[node]

    def _copy(self, node: fx.Node) -> fx.Node:
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), self.read)
        return self.graph.call_function(_out_of_place(node), args, kwargs)

    def _view(self, node: fx.Node) -> fx.Node:
        """Any order in memory will do: copies that made a view possible are gone.

        The size of the batch, which some write as `x.size(0)`, becomes -1: "the rest".
        """
        if node.target is aten.view.dtype:
            raise ValueError(f"{node.name} reads numbers as another type")
        sizes = _shape(node)
        if sizes.count(None) > 1:
            raise ValueError(f"{node.name}: more than one size depends on the batch")
        x = self.read(node.args[0])
        sizes = [-1 if size is None else size for size in sizes]
        return self.graph.call_function(aten.reshape.default, (x, sizes))

    _reshape = _unsafe_view = _view

    def _conv2d(self, node: fx.Node) -> fx.Node:
        x, weight, bias, stride, padding, dilation, groups = _arguments(
            node, [None, None, None, [1, 1], [0, 0], [1, 1], 1]
        )
        if weight not in self.constants:
            raise ValueError(f"{node.name}: its weight depends on the input")
        weight_ = self.constants[weight]
        filters, channels, *kernel = weight_.shape
        if isinstance(padding, str):  # "same" of a stride of 1, or "valid"
            same = [d * (k - 1) for d, k in zip(_pair(dilation), kernel, strict=True)]
            if padding == "same" and any(s % 2 for s in same):
                raise ValueError(f"{node.name}: padding 'same' of an even kernel")
            padding = [s // 2 if padding == "same" else 0 for s in same]
        layer = nn.Conv2d(
            channels * groups, filters, tuple(kernel), _pair(stride), _pair(padding),
            _pair(dilation), groups, bias is not None, device="meta",
        )  # fmt: skip
        return self._layer(layer, self.read(x), weight, bias)

    def _linear(self, node: fx.Node) -> fx.Node:
        x, weight, bias = _arguments(node, [None, None, None])
        if weight not in self.constants:
            raise ValueError(f"{node.name}: its weight depends on the input")
        filters, channels = self.constants[weight].shape
        layer = nn.Linear(channels, filters, bias is not None, device="meta")
        return self._layer(layer, self.read(x), weight, bias)

    def _layer(self, layer: nn.Module, x: fx.Node, weight, bias) -> fx.Node:
        """A new use of a layer, with its own copy of the old graph's constants."""
        values = [b if b is None else self.constants[b] for b in (weight, bias)]
        stem = str(weight.target).removesuffix(".weight").replace(".", "_")
        return self._use(layer, x, *values, stem)

    def _use(self, layer, x: fx.Node, weight: Tensor, bias, stem: str) -> fx.Node:
        layer.weight = nn.Parameter(weight.detach().clone())
        layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        kind = "conv" if isinstance(layer, nn.Conv2d) else "linear"
        key = f"{kind}_{len(self.parts)}_{stem}"
        self.parts[key] = layer
        node = self.graph.create_node("call_module", key, (x,))
        node.meta["stem"] = stem
        return node

    def _batch_norm(self, node: fx.Node) -> fx.Node:
        x, *tensors, batch, _, eps, _ = node.args
        if batch:
            raise ValueError(
                f"{node.name} uses the statistics of its batch: no folding"
            )
        values = [None if t is None else self.constants[t] for t in tensors]
        scale, shift = affine(*values, eps)
        source, stem = self.read(x), str(tensors[2].target).rpartition(".")[0]
        made = self._scaled(source, scale, shift)
        if made is None:  # nothing to fold into: a filter of one pixel on each channel
            shape = _shape(node)
            if len(shape) != 4:
                raise ValueError(f"{node.name} follows no layer and has shape {shape}")
            layer = nn.Conv2d(shape[1], shape[1], 1, groups=shape[1], device="meta")
            like = values[2]  # computed in double, kept as the model is
            weight, bias = scale.to(like.dtype), shift.to(like.dtype)
            weight = weight[:, None, None, None]
            made = self._use(layer, source, weight, bias, stem.replace(".", "_"))
        return made

    def _scaled(self, node: fx.Node, scale: Tensor, shift: Tensor) -> fx.Node | None:
        """`node` with its channels scaled and shifted, if layers can do that."""
        if node.op == "call_module":
            old = self.parts[node.target]
            if isinstance(old, nn.Linear) and len(node.meta["shape"]) != 2:
                return None  # its filters are not what a norm calls channels
            weight, bias = old.weight, old.bias
            bias = None if bias is None else bias.double()
            folded = fold(weight.double(), bias, scale, shift)
            layer = copy.deepcopy(old).to("meta")
            folded = [value.to(weight.dtype) for value in folded]
            made = self._use(layer, node.args[0], *folded, node.meta["stem"])
            made.meta["shape"] = node.meta["shape"]
            return made
        if node.target is not aten.cat.default or node.args[1:] != (1,):
            return None
        widths = [part.meta["shape"][1] for part in node.args[0]]
        pieces = zip(
            node.args[0], scale.split(widths), shift.split(widths), strict=True
        )
        if any(part.op != "call_module" for part in node.args[0]):
            return None
        parts = [self._scaled(*piece) for piece in pieces]
        return self.graph.call_function(aten.cat.default, (parts, 1))

    def _relu6(self, node: fx.Node) -> fx.Node:
        args = (self.read(node.args[0]), 0.0, 6.0)
        return self.graph.call_function(aten.hardtanh.default, args)

    def _adaptive_avg_pool2d(self, node: fx.Node) -> fx.Node:
        if any(side != 1 for side in node.args[1]):
            return self._copy(node)
        args = (self.read(node.args[0]), [2, 3], True)
        return self.graph.call_function(aten.mean.dim, args)

    def _div(self, node: fx.Node) -> fx.Node:
        """A sum over pixels, divided by their number, is a mean."""
        total, count = self.new.get(node.args[0]), node.args[1]
        plain = node.target in (aten.div.Tensor, aten.div_.Tensor)  # rounds to nothing
        sums = total is not None and total.target is aten.sum.dim_IntList
        if plain and sums and total.kwargs.get("dtype") in (None, torch.float32):
            x, axes, *keep = total.args
            sizes = x.meta.get("shape")
            if sizes and math.prod(sizes[axis] or 0 for axis in axes) == count:
                return self.graph.call_function(aten.mean.dim, (x, axes, *keep))
        return self._copy(node)

    def _describe(self, node: fx.Node, old: fx.Node) -> None:
        if isinstance(old.meta.get("val"), Tensor):
            node.meta["shape"] = _shape(old)

    def _module(self) -> fx.GraphModule:
        """The graph with its parts, numbered in the order in which they run."""
        parts = {}
        for node in self.graph.nodes:
            if node.op in ("call_module", "get_attr"):
                kind = node.target.partition("_")[0]
                number = sum(name.startswith(kind) for name in parts)
                name = "_".join(
                    [kind, str(number), *filter(None, [node.meta.pop("stem", "")])]
                )
                parts[name] = self.parts[node.target]
                node.target = name
        self.graph.lint()
        return fx.GraphModule(parts, self.graph, "Deployed")


def _name(node: fx.Node) -> str:
    """conv2d for aten.conv2d.default; others by their own name."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return packet.__name__


def _out_of_place(node: fx.Node) -> Callable:
    """relu.default for relu_.default, and so on."""
    name = _name(node)
    if not name.endswith("_") or not hasattr(aten, name[:-1]):
        return node.target
    return getattr(getattr(aten, name[:-1]), node.target._overloadname)


def _does_nothing(node: fx.Node) -> bool:
    name, args = _name(node).rstrip("_"), node.args
    if name.endswith("dropout") and args[2]:
        raise ValueError(f"{node.name} drops values in evaluation mode as well")
    if name in SAME | COPIES:
        return True
    if name == "to":
        return args[0].meta["val"].dtype == node.meta["val"].dtype
    if name == "pad":
        return not any(args[1])
    if name == "slice":
        start, end, step = [*args[2:], *[None, 2**63 - 1, 1][len(args) - 2 :]]
        return not start and (end is None or end >= 2**62) and step == 1
    return False


def _arguments(node: fx.Node, default: list) -> list:
    """All arguments of an operation; export leaves out those at their default."""
    return [*node.args, *default[len(node.args) :]]


def _pair(value) -> tuple[int, int]:
    return tuple(value) if len(value) == 2 else tuple(value) * 2


def _shape(node: fx.Node) -> tuple:
    sizes = node.meta["val"].shape
    return tuple(n if isinstance(n, int) else None for n in sizes)


def _attribute(module: nn.Module, path: str) -> Tensor:
    for name in path.split("."):
        module = getattr(module, name)
    return module


@torch.no_grad()
def _insist(model: nn.Module, result: nn.Module, example_input: Tensor) -> None:
    """ValueError if the graph does not compute what the model does.

    Values that are written in place under another name (a view) could get lost, and
    what only holds for the example: so it is asked for another batch and other values.
    """
    for images in (example_input, another(example_input)):
        wanted, found = leaves(model(images)), leaves(result(images))
        for i, pair in enumerate(zip(wanted, found, strict=True)):
            far = farthest(*pair)
            if images is example_input and not pair[0].isfinite().all():
                far = math.nan  # on noise a model may have none, on its example not
            if not far <= 1e-4:
                raise ValueError(
                    f"output {i} of the graph differs from the model's by {far:.3g} of"
                    f" its largest value, for {len(images)} inputs: does it write into"
                    " a view, give NaN, or take the batch for a constant?"
                )


def another(example_input: Tensor) -> Tensor:
    """Inputs as an example's, but three of them, and noise: nothing fits by chance."""
    number = 3 if len(example_input) != 3 else 4
    if not example_input.is_floating_point():
        return torch.cat([example_input[:1]] * number)
    values = example_input.double()
    spread = float(values.std()) if values.numel() > 1 else 0.0
    shape = (number, *example_input.shape[1:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (noise * (spread or 1.0) + float(values.mean())).to(example_input)


def farthest(wanted: Tensor, found: Tensor) -> float:
    """The largest difference, over the largest value; infinite for other shapes.

    Places where both are NaN, or the same infinity, do not count.
    """
    if wanted.shape != found.shape:
        return math.inf
    wanted, found = wanted.double(), found.double()
    same = (wanted == found) | (wanted.isnan() & found.isnan())
    if same.all():
        return 0.0
    size = wanted[wanted.isfinite()].abs().amax() if wanted.isfinite().any() else 0.0
    return float((wanted - found)[~same].abs().max() / (size + 1e-3))
