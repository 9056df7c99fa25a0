"""ONNX: the network as a file that runs without Python, in floats or in integers.

The flat graph of `deployed` is written down, operator by operator. Where the
graph of `qat.prepare` rounds, the file has a pair of nodes, QuantizeLinear and
DequantizeLinear (Q, DQ), with *our* scales; weights are stored as int8. On paper such a
file still computes in floats: a runtime that finds DQ, convolution, Q puts one integer
convolution in their place. Boxes and NMS stay outside: how many boxes survive depends
on the data, and a graph has shapes.

Chapter 22. onnx.ai/onnx/operators; onnxruntime.ai/docs/performance/model-optimizations.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import math
import os
import statistics
import tempfile
import warnings
from os import PathLike
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from lib.basics import checkpoints
from lib.compression import deployed, grids, operators, qat, quantize
from lib.detection.anchors import AnchorConfig

SAFE = -64, 63  # 2 * 255 * 64 still fits into 16 bits: Eq. 22.5
OPSET, IR = 18, 9  # both of 2023: what other runtimes have learned by now
FACTS = ("image_size", "num_classes", "mean", "std", "anchors")  # what detecting needs


# ----------------------------------------------------------------------------- writing
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
        if grids.operation(node) in grids.KEEPS and source in self.grids:
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
        q = self.add("QuantizeLinear", [x, *pair], node, "q")
        return self.add("DequantizeLinear", [q, *pair], node, "dq")

    def clips(self, node: fx.Node, low, high) -> bool:
        users = [self.fetch_attr(u.target) for u in node.users if u.op == "call_module"]
        if len(node.users) != 1 or not isinstance((users or [0])[0], qat.FakeQuantize):
            return False
        grid = Grid(node.name, users[0].qparams())
        above = high == math.inf or round(high / float(grid.scale)) >= grid.top
        return low == 0 == grid.zero and above

    def weights(self, node: fx.Node, module: nn.Module, x: fx.Node) -> list[str]:
        quantizer, bias = getattr(module, "weight_quantizer", None), module.bias
        if quantizer is None:
            return super().weights(node, module, x)
        grid, weight = quantizer.qparams(), module.weight.detach()
        if not -128 <= grid.low < grid.high <= 127 or grid.axis not in (None, 0):
            raise ValueError(
                f"{node.name}: weights on {grid.low}..{grid.high}, axis {grid.axis};"
                " the file needs int8, one scale a tensor or a filter (axis 0)"
            )
        values = quantize.quantize(weight, grid)
        if values.min() < SAFE[0] or values.max() > SAFE[1]:
            self.wide.append(node.name)
        scale = grid.scale.double().reshape(-1).expand(len(weight))
        zero = grid.zero_point.reshape(-1).expand(len(weight))
        if bias is None or x not in self.grids:
            names = [] if bias is None else [self.constant(node, "bias", bias)]
            return [self.integers(node, "weight", values, np.int8, scale, zero), *names]
        # A filter of almost nothing has so small a step that its bias would not fit
        # into 32 bits: weight and bias then take a larger one.
        bias, step = bias.detach().double(), float(self.grids[x].scale)
        least = bias.abs() / (step * 2**30)
        if (small := scale < least).any():
            coarse = weight[small].double().flatten(1) / least[small, None]
            values, scale = values.clone(), torch.maximum(scale, least)
            values[small] = coarse.round().view_as(values[small]).to(values.dtype)
        both = scale.float().double() * step  # Eq. 22.3
        return [
            self.integers(node, "weight", values, np.int8, scale, zero),
            self.integers(node, "bias", (bias / both).round(), np.int32, both),
        ]

    def integers(self, node, part: str, values, dtype, scale, zero=None) -> str:
        """Integers in the file, one scale a filter, and a DQ behind them."""
        parts = {"int": (values, dtype), "scale": (scale, np.float32)}
        if zero is not None and zero.any():  # else it may be left out
            parts["zero"] = zero, dtype
        inputs = [self.constant(node, f"{part}.{k}", *v) for k, v in parts.items()]
        return self.add("DequantizeLinear", inputs, node, part, axis=0)


def to_onnx(model: nn.Module, example_input: Tensor, path: str | PathLike) -> Path:
    """Write a model as one ONNX file, for any batch of pictures of the example's size.

    Batch norms are folded. ValueError names an operator without an ONNX form; then, and
    if the disk is full, nothing stands at `path` that was not there before.
    """
    if not isinstance(model, fx.GraphModule):
        model = deployed.deployed(model, example_input)
    return _write(Writer(model), example_input, path)


def to_qdq_onnx(
    fake_quantized: nn.Module, example_input: Tensor, path: str | PathLike
) -> Path:
    """Write a graph of `qat.prepare` with its own scales, weights as int8.

    Activations become bytes whatever their zero point, as onnxruntime's kernels like
    them (U8S8). ValueError if nothing is quantized, or something to more than 8 bits;
    UserWarning if weights are so large that x86 without VNNI loses part of the sums.
    """
    kinds = {type(module) for module in fake_quantized.modules()}
    if not isinstance(fake_quantized, fx.GraphModule) or qat.FakeQuantize not in kinds:
        raise ValueError("nothing is quantized: give what `qat.prepare` returns")
    writer = Writer(fake_quantized)
    path = _write(writer, example_input, path)
    if writer.wide:
        warnings.warn(
            f"{path.name}: integers of weights outside {SAFE[0]}..{SAFE[1]} in"
            f" {len(writer.wide)} layers, first in {writer.wide[0]}. Where onnxruntime"
            " runs on x86 without VNNI, sums of two products saturate at 16 bits:"
            " results are wrong there, in silence. Weights of 7 bits are right"
            " everywhere: qat.prepare(graph, weights=qat.Scheme(bits=7))",
            stacklevel=2,
        )
    return path


def _write(writer: Writer, example: Tensor, path: str | PathLike) -> Path:
    path, graph = Path(path), writer.module.graph
    with torch.no_grad():  # two pictures: nobody may take the batch for a constant
        results = tree_leaves(writer.run(example[:1].expand(2, *example.shape[1:])))
    first, last = next(iter(graph.nodes)), next(iter(reversed(graph.nodes)))
    config = getattr(writer.module, "config", None)
    config = config if all(hasattr(config, key) for key in FACTS) else None
    ends = {"inputs": [(first.name, example)], "outputs": []}
    for i, (node, x) in enumerate(zip(tree_leaves(last.args[0]), results, strict=True)):
        half, level = divmod(i, (len(results) + 1) // 2)
        called = f"{('classes', 'boxes')[half]}_{level}" if config else f"output_{i}"
        source = writer.names[node]
        writer.nodes.append(helper.make_node("Identity", [source], [called]))
        ends["outputs"].append((called, x))
    nodes = writer.alive([name for name, _ in ends["outputs"]])
    constants = {name: writer.constants.get(name) for n in nodes for name in n.input}
    ends = {
        key: [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *x.shape[1:]])
            for n, x in values
        ]
        for key, values in ends.items()
    }
    stored = [
        numpy_helper.from_array(value, name)
        for name, value in constants.items()
        if value is not None
    ]
    graph = helper.make_graph(nodes, "network", **ends, initializer=stored)
    opset = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=IR)
    if config is not None:
        facts = {key: getattr(config, key) for key in FACTS}
        facts["anchors"] = dataclasses.asdict(config.anchors)
        helper.set_model_props(proto, {"config": json.dumps(facts)})
    onnx.checker.check_model(proto, full_check=True)
    fresh = path.with_name(path.name + ".tmp")
    try:
        fresh.write_bytes(proto.SerializeToString())
        os.replace(fresh, path)  # in one move: nobody meets half a file
    finally:
        fresh.unlink(missing_ok=True)
    return path


# ----------------------------------------------------------------------------- running
def session(path: str | PathLike, threads: int = 1, **options):
    """An `onnxruntime.InferenceSession` on the CPU; a bare name means `data/weights`.

    `options` are fields of its `SessionOptions`. A SHA-256 beside the file is compared.
    ValueError for a file that is missing, cut short or no ONNX.
    """
    path = _place(path)
    content, sums = path.read_bytes(), path.with_suffix(".sha256")
    if sums.exists():
        asked, found = sums.read_text("utf-8")[:64], hashlib.sha256(content).hexdigest()
        if found != asked:
            raise ValueError(
                f"{path} is cut short or changed: its {len(content)} bytes have the"
                f" SHA-256 {found[:12]}..., {sums.name} says {asked[:12]}..."
            )
    how = _options(threads)
    for key, value in options.items():
        setattr(how, key, value)
    try:
        return onnxruntime.InferenceSession(content, how, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no other base
        raise ValueError(
            f"{path} is cut short, or no ONNX file that onnxruntime can run: {error}"
        ) from error


def _options(threads: int = 1) -> onnxruntime.SessionOptions:
    """So many threads, and no word but of errors."""
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads, how.inter_op_num_threads = threads, 1
    how.log_severity_level = 3
    return how


def _place(path: str | PathLike) -> Path:
    shipped = checkpoints.WEIGHTS / f"{path}.onnx"
    path = shipped if shipped.exists() else Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    return path


class Network(nn.Module):
    """An ONNX file in place of its model: `decoding.detect` runs on it.

    `forward(images B 3 H W)` gives what the model gave: a detector's two lists, else a
    tensor, or a list of them. `config` is what the file knows of a detector's.
    """

    def __init__(self, path: str | PathLike, threads: int = 1):
        super().__init__()
        self.session = session(path, threads)
        self.input = self.session.get_inputs()[0]
        facts = self.session.get_modelmeta().custom_metadata_map.get("config")
        if facts:
            self.config = SimpleNamespace(**_tuples(json.loads(facts)))
            self.config.anchors = AnchorConfig(**self.config.anchors)
        # Who asks a network where its weights are, and of what type, finds an answer.
        self.register_parameter("none", nn.Parameter(torch.empty(0)))

    def forward(self, images: Tensor):
        if list(images.shape[1:]) != self.input.shape[1:]:
            raise ValueError(
                f"images are {tuple(images.shape)}; the file is for"
                f" (any batch, {', '.join(map(str, self.input.shape[1:]))})"
            )
        feed = {self.input.name: np.ascontiguousarray(images.detach().cpu().numpy())}
        found = [torch.from_numpy(x) for x in self.session.run(None, feed)]
        if hasattr(self, "config"):
            return found[: len(found) // 2], found[len(found) // 2 :]
        return found[0] if len(found) == 1 else found


def _tuples(x):
    """Tuples again, of which JSON makes lists."""
    if isinstance(x, dict):
        return {key: _tuples(value) for key, value in x.items()}
    return tuple(map(_tuples, x)) if isinstance(x, list) else x


# ------------------------------------------------------------------------- looking into
def operator_counts(path: str | PathLike, optimized: bool = False) -> dict[str, int]:
    """How many nodes of each kind a file has, or onnxruntime makes of it here."""
    with tempfile.TemporaryDirectory() as folder:
        if optimized:
            file = Path(folder) / "optimized.onnx"
            session(path, optimized_model_filepath=str(file))
            path = file
        nodes = onnx.load(_place(path)).graph.node
    kinds = collections.Counter(node.op_type for node in nodes)
    return dict(kinds.most_common())


def profile(path: str | PathLike, images: Tensor, runs: int = 20) -> dict[str, float]:
    """Milliseconds of each kind of operator, one thread; the longest first.

    The median run of each node, summed. Convolutions are told apart by their filters:
    "conv depthwise", "conv 1x1", "conv 3x3".
    """
    filters = {}
    for node in onnx.load(_place(path)).graph.node:
        how = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Conv":
            kind = "x".join(map(str, how["kernel_shape"]))
            filters[node.name] = f"conv {'depthwise' if how['group'] > 1 else kind}"
    with tempfile.TemporaryDirectory() as folder:
        where = str(Path(folder) / "profile")
        run = session(path, enable_profiling=True, profile_file_prefix=where)
        feed = {run.get_inputs()[0].name: images.numpy()}
        for _ in range(runs + 3):
            run.run(None, feed)
        events = json.loads(Path(run.end_profiling()).read_text("utf-8"))
    times, kinds = collections.defaultdict(list), {}
    for event in events:
        name, mark, _ = event["name"].partition("_kernel_time")
        if mark:
            times[name].append(event["dur"] / 1000)
            name_in_file = name.partition("_token_")[0]  # the fused one adds this
            kinds[name] = filters.get(name_in_file) or _kind(event["args"])
    total = collections.Counter()
    for name, each in times.items():
        total[kinds[name]] += statistics.median(each[3:])  # the first ones warm up
    return dict(total.most_common())


def _kind(facts: dict) -> str:
    """What a node of a profile does; a convolution of floats by its filters' shape."""
    shapes = [s for each in facts.get("input_type_shape", []) for s in each.values()]
    kernel = next((s for s in shapes[1:] if len(s) == 4), None)
    if "Conv" not in facts["op_name"] or kernel is None:
        return facts["op_name"]
    return f"conv {'depthwise' if kernel[1] == 1 else 'x'.join(map(str, kernel[2:]))}"


@functools.cache
def saturates() -> bool:
    """True where weights of 8 bits overflow in onnxruntime: on x86 without VNNI.

    Two products of a byte and an int8 are added in 16 bits there (Eq. 22.5); weights of
    7 bits (-63..63) never overflow. The kernels themselves are asked, once a process:
    what a processor says of itself is not known everywhere, nor true when emulated.
    """
    kernels = "QLinearConv", "QLinearMatMul"
    return any((_mean_of_products(kernel) != 127).any() for kernel in kernels)


def _mean_of_products(kernel: str) -> np.ndarray:
    """Bytes that a kernel makes of 64 products 255 * 127, in steps of 64 * 255.

    Exact sums give 64 * 255 * 127 / (64 * 255) = 127 everywhere. Where pairs end at
    32,767 there are 32 of them: 32 * 32,767 / (64 * 255) = 64.2, so 64.
    """
    x = np.full((16, 64), 255, np.uint8)
    weight = np.full((64, 16), 127, np.int8)
    if kernel == "QLinearConv":  # the same numbers as channels of single pixels
        x, weight = x[:, :, None, None], weight.T[:, :, None, None]
    constants = {
        "weight": weight,
        "one": np.float32(1),  # the steps of x and of the weight
        "step": np.float32(64 * 255),
        "zero": np.uint8(0),
        "zero of weight": np.int8(0),
    }
    grid_x, grid_weight = ("one", "zero"), ("one", "zero of weight")
    inputs = ["x", *grid_x, "weight", *grid_weight, "step", "zero"]
    node = helper.make_node(kernel, inputs, ["y"])
    graph = helper.make_graph(
        [node],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR)
    run = onnxruntime.InferenceSession(model.SerializeToString(), _options())
    return run.run(None, {"x": x})[0]
