"""From a fake-quantized network to one that runs in integers.

`qat` trains a network that rounds as integers would, in real numbers. Here each of its
operators becomes one of `arithmetic`, with integers in the place of steps. Images are
rounded once, at the start, and logits are multiplied by a step once, at the end.

Sources: arXiv 1712.05877; 1806.08342, section 3. Chapter 21.
"""

import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from lib.basics import arguments
from lib.compression import arithmetic, checked, grids, qat, quantize
from lib.compression.arithmetic import OutputStage
from lib.compression.quantize import QParams

# Operators that only move values: integers go through them as they are.
MOVES = {
    "expand", "flatten", "permute", "reshape", "select", "slice", "squeeze", "sym_size",
    "transpose", "unsqueeze", "view",
}  # fmt: skip
# Functions of one value: 256 values have 256 answers, so a table is exact.
TABLES = {
    "gelu", "hardsigmoid", "hardswish", "leaky_relu", "sigmoid", "silu", "tanh",
}  # fmt: skip

OF_MANY = arithmetic.weighted_sum, arithmetic.multiply, arithmetic.concat


class IntegerNetwork(nn.Module):
    """`forward(images)` gives what the fake-quantized network gives, to a step or so.

    `body` is a graph from the integers of images to those of outputs; a node that
    rounds has the name of the FakeQuantize that it stands for. `grid` is the input's.
    """

    def __init__(self, body: fx.GraphModule, grid: QParams, outputs: list[QParams]):
        super().__init__()
        self.body = body
        self.grid = grid
        self.outputs = outputs
        # The one real parameter; who asks a model for its device finds it here.
        scale = grid.scale.detach().clone()
        self.input_scale = nn.Parameter(scale, requires_grad=False)

    def integers(self, images: Tensor) -> Tensor:
        """Images on the grid of the input."""
        images = arguments.real_tensor("images", images)
        return quantize.quantize(images, self.grid)

    @torch.no_grad()
    def forward(self, images: Tensor):
        integers = self.integers(images)  # B 3 H W
        outputs = self.body(integers)
        maps, structure = pytree.tree_flatten(outputs)
        reals = []
        for q, grid in zip(maps, self.outputs, strict=True):
            reals.append(quantize.dequantize(q, grid))  # as q
        return pytree.tree_unflatten(reals, structure)

    def size(self) -> int:
        """Bytes of all integers that the network holds."""
        return sum(buffer.nbytes for buffer in self.body.buffers())


class IntegerOperator(nn.Module):
    """An operator of `arithmetic`; the integers it needs beside maps are buffers."""

    def __init__(self, run: Callable, stage: OutputStage | None, tensors, **settings):
        super().__init__()
        self.run, self.settings, self.rounds = run, settings, stage is not None
        for name, value in tensors.items():
            self.register_buffer(name, value.clone())
        for name, value in stage._asdict().items() if stage else ():
            self.register_buffer(f"to_{name}", _narrow(value))

    def forward(self, *maps: Tensor) -> Tensor:
        tensors = dict(self.named_buffers())
        if self.rounds:  # products need all 64 bits
            keys = [f"to_{key}" for key in OutputStage._fields]
            tensors["stage"] = OutputStage(*(tensors.pop(k).long() for k in keys))
        return self.run(*maps, **tensors, **self.settings)


def _narrow(value: Tensor) -> Tensor:
    """A copy in int8 or int32 where that holds it."""
    for kind in (torch.int8, torch.int32):
        if torch.equal(value.to(kind).long(), value.long()):
            return value.to(kind, copy=True)
    return value.clone()


def convert(fake_quantized: fx.GraphModule) -> IntegerNetwork:
    """The graph of `qat.prepare` in integers; the one handed in is left as it is.

    ValueError names the node that has no integer form, or reads what nothing rounded.
    """
    checked.flat_graph("fake_quantized", fake_quantized, "qat.prepare makes one")
    with torch.no_grad():
        return _Converter(fake_quantized).run()


@torch.no_grad()
def differences(
    fake_quantized: fx.GraphModule, network: IntegerNetwork, images, travel=False
) -> dict[str, Tensor]:
    """By the name of each rounding: integers of the network less the fake-quantized.

    Every operator reads the integers of the fake-quantized network, so that its own
    differences are seen; with `travel` it reads what the integer network made.
    """
    checked.flat_graph("fake_quantized", fake_quantized, "qat.prepare makes one")
    arguments.instance("network", network, IntegerNetwork, "convert makes one")
    arguments.real_tensor("images", images)
    travel = arguments.flag("travel", travel)
    wanted = _Watched(fake_quantized)
    wanted.run(images)
    mine = _Watched(network.body, None if travel else wanted.seen)
    mine.run(network.integers(images))
    both = [name for name in wanted.seen if name in mine.seen]  # not the image's
    return {name: mine.seen[name] - wanted.seen[name] for name in both}


class _Watched(fx.Interpreter):
    """Runs a graph and notes the integers of each rounding; `instead` replaces them."""

    def __init__(self, graph: fx.GraphModule, instead: dict | None = None):
        super().__init__(graph)
        self.seen, self.instead = {}, instead or {}

    def call_module(self, target, args, kwargs):
        value = super().call_module(target, args, kwargs)
        module = self.fetch_attr(target)
        if isinstance(module, qat.FakeQuantize):
            self.seen[target] = quantize.quantize(value, module.qparams())
        elif isinstance(module, IntegerOperator):
            self.seen[target] = value
        return self.instead.get(target, value)


class _Whole(NamedTuple):
    """A map of integers: its node in the new graph, and what they mean."""

    node: fx.Node
    grid: QParams


class _Real(NamedTuple):
    """A value that the next FakeQuantize will round, and how to compute it there.

    `run` makes accumulators of `maps`, in steps of `factor`, and requantizes them;
    the image has none. A function of one value is its `table` instead.
    """

    run: Callable | None = None
    maps: tuple[_Whole, ...] = ()
    factor: Tensor | float = 1.0
    tensors: dict = {}  # noqa: RUF012 (never changed)
    settings: dict = {}  # noqa: RUF012
    rest: Tensor | float = 0.0
    table: Tensor | None = None
    lower: float = -math.inf
    upper: float = math.inf


class _Converter:
    """From the fake-quantized graph to the integer one, node by node."""

    def __init__(self, source: fx.GraphModule):
        self.source, self.graph = source, fx.Graph()
        self.graph.set_codegen(source.graph._codegen)  # the structure of the outputs
        self.values: dict[fx.Node, _Whole | _Real | Tensor | fx.Node] = {}
        self.parts: dict[str, nn.Module] = {}
        self.grid, self.outputs = None, []

    def run(self) -> IntegerNetwork:
        for node in self.source.graph.nodes:
            try:
                self.values[node] = self._node(node)
            except ValueError as error:
                raise ValueError(f"{node.name}: {error}") from error
        body = fx.GraphModule(self.parts, self.graph, "Integers")
        network = IntegerNetwork(body, self.grid, self.outputs)
        if hasattr(self.source, "config"):
            network.config = self.source.config
        return network.eval()

    def _node(self, node: fx.Node):
        if node.op == "placeholder":
            self.graph.node_copy(node)
            return _Real()
        if node.op == "output":
            return self.graph.output(fx.map_arg(node.args[0], self._result))
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.source)
        if node.op == "call_module":
            module = self.source.get_submodule(node.target)
            if isinstance(module, qat.FakeQuantize):
                return self._rounded(node, module.qparams())
            if hasattr(module, "weight_quantizer"):
                return self._layer(self._whole(node.args[0]), module)
            raise ValueError(f"a {type(module).__name__} that was not prepared")
        name = grids.operation(node)
        make = getattr(self, f"_{name}", None)
        make = self._move if name in MOVES else self._table if name in TABLES else make
        if make is None:
            raise ValueError(f"{name} has no integer form here")
        return make(node, *node.args, **node.kwargs)

    def _whole(self, node) -> _Whole:
        value = self.values.get(node) if isinstance(node, fx.Node) else None
        if not isinstance(value, _Whole):
            raise ValueError(f"it reads {node}, which no FakeQuantize has rounded")
        return value

    def _result(self, node: fx.Node) -> fx.Node:
        whole = self._whole(node)
        self.outputs.append(whole.grid)
        return whole.node

    def _operator(
        self, name, run, maps, stage=None, tensors=None, **settings
    ) -> fx.Node:
        self.parts[name] = IntegerOperator(run, stage, tensors or {}, **settings)
        return self.graph.call_module(name, tuple(whole.node for whole in maps))

    def _rounded(self, node: fx.Node, out: QParams) -> _Whole:
        """What a FakeQuantize reads, on its grid: a step of the new graph."""
        value = self.values[node.args[0]]
        if out.scale.dim():
            raise ValueError("a map has one step, not one for each channel")
        if isinstance(value, _Whole):  # to another grid: a sum of one
            value = self._sum([(value, 1.0)])
        if value.run is None:
            if self.grid is not None or value != _Real():
                raise ValueError("images are rounded once, as they are")
            self.grid = out
            return _Whole(next(iter(self.graph.nodes)), out)
        run, maps, factor, tensors, settings, rest, table, *ends = value
        if table is not None:
            tensors = {"table": quantize.quantize(table.clamp(*ends), out), **tensors}
            return _Whole(self._operator(node.target, run, maps, None, tensors), out)
        factor = torch.as_tensor(factor, dtype=torch.float64) / out.scale.double()
        stage = arithmetic.choose_output_stage(factor, out, *ends, rest)
        zeros = [whole.grid.zero_point for whole in maps]
        if run in OF_MANY:
            tensors = {"zero_points": torch.stack(zeros), **tensors}
        else:
            tensors = {"zero_point": zeros[0], **tensors}
        return _Whole(
            self._operator(node.target, run, maps, stage, tensors, **settings), out
        )

    # ---- operators that compute; the FakeQuantize behind them says on which grid

    def _layer(self, x: _Whole, module: nn.Module) -> _Real:
        w = module.weight_quantizer.qparams()
        integers = quantize.quantize(module.weight, w)
        layer = arithmetic.integer_layer(integers, module.bias, w, x.grid)
        run, settings = arithmetic.linear, {}
        if isinstance(module, nn.Conv2d):
            keys = "stride", "padding", "dilation", "groups"
            settings = {key: getattr(module, key) for key in keys}
            run = arithmetic.conv2d
        tensors = {"weight": layer.weight, "bias": layer.bias}
        return _Real(run, (x,), layer.step, tensors, settings, layer.rest)

    def _sum(self, terms: list[tuple[_Whole, float]]) -> _Real:
        steps = [factor * x.grid.scale.item() for x, factor in terms]
        largest = [arithmetic.largest_magnitude(x.grid) for x, _ in terms]
        weights, step = arithmetic.common_step(steps, largest)
        maps = tuple(x for x, _ in terms)
        return _Real(arithmetic.weighted_sum, maps, step, {"weights": weights})

    def _add(self, node, a, b, alpha=1) -> _Real:
        return self._sum([(self._whole(a), 1.0), (self._whole(b), float(alpha))])

    def _sub(self, node, a, b, alpha=1) -> _Real:
        return self._add(node, a, b, -alpha)

    def _mul(self, node, a, b) -> _Real:
        for x, constant in ((a, b), (b, a)):
            if (factor := self._number(constant)) is not None:
                return self._sum([(self._whole(x), factor)])
        maps = self._whole(a), self._whole(b)
        factor = math.prod(x.grid.scale.item() for x in maps)
        return _Real(arithmetic.multiply, maps, factor)

    def _addcmul(self, node, a, b, c, value=1) -> _Real:
        factor = self._number(c)
        if factor is None:
            raise ValueError("its last operand is no single number")
        return self._sum([(self._whole(a), 1.0), (self._whole(b), factor * value)])

    def _number(self, value) -> float | None:
        """A constant of the graph as a number, None if it is anything else."""
        value = self.values[value] if isinstance(value, fx.Node) else value
        single = isinstance(value, Tensor) and value.numel() == 1
        return float(value) if single or isinstance(value, int | float) else None

    def _cat(self, node, parts, dim=0) -> _Real:
        maps = tuple(self._whole(part) for part in parts)
        scales, none = torch.stack([x.grid.scale for x in maps]), torch.zeros(len(maps))
        return _Real(arithmetic.concat, maps, scales, {}, {"axis": dim}, none)

    def _avg_pool2d(
        self, node, x, kernel, stride=None, padding=0, ceil=False, pad_counts=True,
        divisor=None,
    ) -> _Real:  # fmt: skip
        if ceil or (torch.tensor(padding).any() and not pad_counts):
            raise ValueError("its windows have several sizes; one factor cannot do")
        sides = torch.broadcast_to(torch.tensor(kernel), (2,))
        settings = {"kernel": kernel, "stride": stride or kernel, "padding": padding}
        factor = self._whole(x).grid.scale.item() / float(divisor or sides.prod())
        run = arithmetic.average_pool
        return _Real(run, (self._whole(x),), factor, settings=settings)

    def _mean(self, node, x, dim, keepdim=False) -> _Real:
        sizes = [x.meta["shape"][axis] for axis in dim]
        if None in sizes:
            raise ValueError("a mean over the batch has no factor of its own")
        factor = self._whole(x).grid.scale.item() / math.prod(sizes)
        settings = {"dim": dim, "keepdim": keepdim}
        return _Real(arithmetic.mean, (self._whole(x),), factor, settings=settings)

    def _table(self, node, x, *args, **kwargs) -> _Real:
        grid = self._whole(x).grid
        reals = quantize.dequantize(torch.arange(grid.low, grid.high + 1), grid)
        table = node.target(reals, *args, **kwargs)
        tensors = {"low": torch.tensor(grid.low)}
        return _Real(arithmetic.lookup, (self._whole(x),), 1.0, tensors, table=table)

    # ---- operators that keep the grid of what they read

    def _kept(self, node: fx.Node, run, x: fx.Node, **settings) -> _Whole:
        x = self._whole(x)
        return _Whole(self._operator(node.name, run, [x], **settings), x.grid)

    def _clip(self, node, x, lower=None, upper=None) -> _Whole | _Real:
        value = self.values[x]
        lower = -math.inf if lower is None else lower
        upper = math.inf if upper is None else upper
        if isinstance(value, _Real):  # the next rounding clips in any case
            lower, upper = max(lower, value.lower), min(upper, value.upper)
            return value._replace(lower=lower, upper=upper)
        low, high = arithmetic.bounds(value.grid, lower, upper).tolist()
        return self._kept(node, arithmetic.clip, x, low=low, high=high)

    _clamp = _clamp_min = _clip

    def _relu(self, node, x):
        return self._clip(node, x, 0.0)

    def _hardtanh(self, node, x, lower=-1.0, upper=1.0):
        return self._clip(node, x, lower, upper)

    def _max_pool2d(self, node, x, *window) -> _Whole:
        return self._kept(node, arithmetic.max_pool, x, window=window)

    def _upsample_nearest2d(self, node, x, size, factors=None) -> _Whole:
        if size is None and any(f != int(f) for f in factors):
            raise ValueError(f"resizes by {factors}; whole factors, or give a size")
        size = size or node.meta["shape"][2:]
        return self._kept(node, arithmetic.nearest, x, size=size)

    def _pad(self, node, x, sides, mode="constant", value=None) -> _Whole:
        if mode != "constant":
            raise ValueError(f"pads by {mode!r}; only by a constant")
        grid = self._whole(x).grid
        real = torch.tensor(float(value or 0))
        value = quantize.quantize(real, grid)
        off = real - quantize.dequantize(value, grid)
        if real.isfinite() and off.abs() > 1e-6 * real.abs():
            raise ValueError(f"pads by {real:.4g}, which is no step of its grid")
        value = int(value)
        return self._kept(node, arithmetic.pad, x, sides=sides, value=value)

    def _constant_pad_nd(self, node, x, sides, value=0) -> _Whole:
        return self._pad(node, x, sides, value=value)

    def _move(self, node, x, *args, **kwargs) -> _Whole | fx.Node:
        whole = self._whole(x)
        args = fx.map_arg(args, self.values.__getitem__)
        made = self.graph.call_function(node.target, (whole.node, *args), kwargs)
        return made if grids.operation(node) == "sym_size" else _Whole(made, whole.grid)
