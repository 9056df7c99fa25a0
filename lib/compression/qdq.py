"""Q and DQ in an ONNX file: where a graph of `qat.prepare` rounds, in integers.

Activations become bytes on a grid that begins at 0. Weights become int8 and biases
int32, each with a DequantizeLinear behind it: a runtime that finds DQ, convolution, Q
puts one integer convolution in their place.

Support for `export`. onnx.ai/onnx/operators, QuantizeLinear. Chapter 22.
"""

import math

import numpy as np
import onnx
import torch
from torch import fx, nn

from lib.compression import grids, operators, pairs, qat, quantize

SAFE = -64, 63  # 2 * 255 * 64 still fits into 16 bits: Eq. 22.5


class Grid:
    """The grid of a quantized activation, moved so that it begins at 0: bytes."""

    def __init__(self, name: str, qparams: quantize.QParams):
        self.top = qparams.high - qparams.low
        if qparams.scale.numel() != 1 or not 0 < self.top <= 255:
            raise ValueError(
                f"{name}: activations on {qparams.low}..{qparams.high} with"
                f" {qparams.scale.numel()} scales; a byte holds 256 steps of one scale"
            )
        self.scale = np.float32(qparams.scale.item())
        self.zero = int(qparams.zero_point.item()) - qparams.low


class Writer(operators.Writer):
    """Writes Q and DQ where the graph rounds, and integers for rounded weights.

    `grids` are those of the fx nodes whose values stand on one, `wide` names layers
    with weights outside of `SAFE`.
    """

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.grids: dict[fx.Node, Grid] = {}
        self.wide: list[str] = []  # layers that saturate on some machines

    def run_node(self, node: fx.Node):
        result = super().run_node(node)
        source = node.args[0] if node.args else None
        stays = node in self.names and grids.keeps(node)
        if stays and source in self.grids:
            # A runtime takes integers through only if the pair stands behind it, too.
            self.names[node] = self.round(node, self.grids[source])
        return result

    def layer(self, node: fx.Node, module: nn.Module) -> str:
        if not isinstance(module, qat.FakeQuantize):
            return super().layer(node, module)
        self.names[node] = self.names[node.args[0]]
        return self.round(node, Grid(node.name, module.qparams()))

    def round(self, node: fx.Node, grid: Grid) -> str:
        """Q and DQ behind a value: Eq. 22.1."""
        x, self.grids[node] = self.names[node], grid
        if grid.top < 255:  # fewer than 8 bits: Q alone would clip at 255
            ends = (np.array([0, grid.top]) - grid.zero) * grid.scale
            ends = [self.constant(node, i, end) for i, end in enumerate(ends)]
            x = self.add("Clip", [x, *ends], node, "clip")
        pair = [self.constant(node, "scale", grid.scale)]
        pair.append(self.constant(node, "zero", grid.zero, np.uint8))
        for kind, reads, gives in pairs.pair(x, *pair, self.tag(node)):
            self.nodes.append(onnx.helper.make_node(kind, reads, [gives]))
        return gives

    def clips(self, node: fx.Node, low, high) -> bool:
        modules = [
            self.fetch_attr(user.target)
            for user in node.users
            if user.op == "call_module"
        ]
        roundings = [m for m in modules if isinstance(m, qat.FakeQuantize)]
        if len(node.users) != 1 or not roundings:
            return False
        grid = Grid(node.name, roundings[0].qparams())
        begins_at_0 = low == 0 == grid.zero
        ends_below = high == math.inf or round(high / float(grid.scale)) >= grid.top
        return begins_at_0 and ends_below

    def weights(self, node: fx.Node, module: nn.Module, x: fx.Node) -> list[str]:
        quantizer = getattr(module, "weight_quantizer", None)
        if quantizer is None:
            return super().weights(node, module, x)
        grid = quantizer.qparams()
        if not -128 <= grid.low < grid.high <= 127 or grid.axis not in (None, 0):
            raise ValueError(
                f"{node.name}: weights on {grid.low}..{grid.high}, axis {grid.axis};"
                " the file needs int8, one scale a tensor or a filter (axis 0)"
            )
        weight, bias = module.weight.detach(), module.bias
        scale = grid.scale.double().reshape(-1).expand(len(weight))
        zero = grid.zero_point.reshape(-1).expand(len(weight))
        whole_bias = bias is not None and x in self.grids
        if whole_bias:
            # A filter of almost nothing has so small a step that its bias would not
            # fit into 32 bits: weight and bias then take a larger one.
            bias, step = bias.detach().double(), float(self.grids[x].scale)
            scale = torch.maximum(scale, bias.abs() / (step * 2**30))
        grid = grid._replace(scale=scale.float(), zero_point=zero, axis=0)
        values = quantize.quantize(weight, grid)
        if values.min() < SAFE[0] or values.max() > SAFE[1]:
            self.wide.append(node.name)
        names = [self.integers(node, "weight", values, np.int8, scale, zero)]
        if whole_bias:
            of_products = scale.float().double() * step  # Eq. 22.3
            whole = (bias / of_products).round()
            names.append(self.integers(node, "bias", whole, np.int32, of_products))
        elif bias is not None:
            names.append(self.constant(node, "bias", bias))
        return names

    def integers(self, node, part: str, values, dtype, scale, zero=None) -> str:
        """Integers in the file, one scale a filter, and a DQ behind them."""
        parts = {"int": (values, dtype), "scale": (scale, np.float32)}
        if zero is not None and zero.any():  # else it may be left out
            parts["zero"] = zero, dtype
        inputs = [self.constant(node, f"{part}.{k}", *v) for k, v in parts.items()]
        return self.add("DequantizeLinear", inputs, node, part, axis=0)
