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

from lib.basics import arguments, checkpoints, shipped
from lib.compression import deployed, qat, qdq
from lib.detection.anchors import AnchorConfig

OPSET, IR = 18, 9  # both of 2023: what other runtimes have learned by now
WARM_UP = 3  # runs of a profile that are not counted
FACTS = ("image_size", "num_classes", "mean", "std", "anchors")  # what detecting needs


# ----------------------------------------------------------------------------- writing
def to_onnx(model: nn.Module, example_input: Tensor, path: str | PathLike) -> Path:
    """Write a model as one ONNX file, for any batch of pictures of the example's size.

    Batch norms are folded. The file is run beside the model before it is written: on
    another batch, and other values. ValueError names an operator without an ONNX form;
    then, and if the disk is full, nothing stands at `path` that was not there before.
    """
    arguments.path("path", path)
    if not isinstance(model, fx.GraphModule):
        model = deployed.deployed(model, example_input)
    return _write(qdq.Writer(model), example_input, path)


def to_qdq_onnx(
    fake_quantized: nn.Module, example_input: Tensor, path: str | PathLike
) -> Path:
    """Write a graph of `qat.prepare` with its own scales, weights as int8.

    Activations become bytes whatever their zero point, as onnxruntime's kernels like
    them (U8S8). ValueError if nothing is quantized, or something to more than 8 bits;
    UserWarning if weights are so large that x86 without VNNI loses part of the sums.
    """
    arguments.path("path", path)
    arguments.instance("fake_quantized", fake_quantized, nn.Module)
    kinds = {type(module) for module in fake_quantized.modules()}
    if not isinstance(fake_quantized, fx.GraphModule) or qat.FakeQuantize not in kinds:
        raise ValueError("nothing is quantized: give what `qat.prepare` returns")
    writer = qdq.Writer(fake_quantized)
    path = _write(writer, example_input, path)
    if writer.wide:
        warnings.warn(_saturation(path.name, writer.wide), stacklevel=2)
    return path


def _saturation(file: str, layers: list[str]) -> str:
    """What is said of weights that are too large for some machines."""
    return (
        f"{file}: integers of weights outside {qdq.SAFE[0]}..{qdq.SAFE[1]}"
        f" in {len(layers)} layers, first in {layers[0]}."
        " Where onnxruntime runs on x86 without VNNI,"
        " sums of two products saturate at 16 bits: results are wrong there, in"
        " silence. Weights of 7 bits are right everywhere:"
        " qat.prepare(graph, weights=qat.Scheme(bits=7))"
    )


def _write(writer: qdq.Writer, example: Tensor, path: str | PathLike) -> Path:
    """Note the graph's operators, put them into a file, prove it, and move it there."""
    if not isinstance(example, Tensor) or example.dtype != torch.float32:
        kind = getattr(example, "dtype", type(example).__name__)
        raise ValueError(
            f"example_input is {kind}; the file computes in float32: give a tensor of"
            " that, and a model.float()"
        )
    with torch.no_grad():
        writer.write(example)
    config = getattr(writer.module, "config", None)
    config = config if all(hasattr(config, key) for key in FACTS) else None
    ends = _outputs(writer, is_detector=config is not None)
    nodes = writer.alive(ends)
    # Of the constants, those that a node still reads: a fused one left its own behind.
    read = dict.fromkeys(name for node in nodes for name in node.input)
    stored = [
        numpy_helper.from_array(writer.constants[name], name)
        for name in read
        if name in writer.constants
    ]
    first = next(iter(writer.module.graph.nodes))
    graph = helper.make_graph(
        nodes,
        "network",
        inputs=[_value_info(first.name, ["batch", *example.shape[1:]])],
        outputs=[_value_info(name, sizes) for name, sizes in ends.items()],
        initializer=stored,
    )
    opset = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=IR)
    if config is not None:
        facts = {key: getattr(config, key) for key in FACTS}
        facts["anchors"] = dataclasses.asdict(config.anchors)
        if getattr(config, "categories", ()):  # ids and names, where they are known
            facts["categories"] = config.categories
        helper.set_model_props(proto, {"config": json.dumps(facts)})
    onnx.checker.check_model(proto, full_check=True)
    _prove(proto.SerializeToString(), writer, example)
    checkpoints.write_file(path, proto.SerializeToString())
    return Path(path)


def _outputs(writer: qdq.Writer, is_detector: bool) -> dict[str, list[int | str]]:
    """Name what the graph gives: the sizes of each output, a word for what may vary.

    Of a detector the first half are classes by level, the others boxes.
    """
    last = next(iter(reversed(writer.module.graph.nodes)))
    results = tree_leaves(last.args[0])
    ends = {}
    for i, node in enumerate(results):
        if node not in writer.names:
            raise ValueError(f"output {i} is {node}; a file gives tensors")
        half, level = divmod(i, (len(results) + 1) // 2)
        name = f"{('classes', 'boxes')[half]}_{level}" if is_detector else f"output_{i}"
        made = helper.make_node("Identity", [writer.names[node]], [name])
        writer.nodes.append(made)
        sizes, of_two = writer.sizes[node], writer.shapes[node]
        ends[name] = list(sizes)
        for axis in (axis for axis, size in enumerate(sizes) if size == -1):
            word = "batch" if of_two[axis] == 2 else f"{name}_{axis}"
            ends[name][axis] = word
    return ends


def _value_info(name: str, sizes: list[int | str]):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)


@torch.no_grad()
def _prove(content: bytes, writer: qdq.Writer, example: Tensor) -> None:
    """Run a file beside its graph, on another batch and other values; ValueError.

    With nothing fused onnxruntime computes in floats what Q and DQ say. A value in the
    middle between two steps may still go either way, and take others with it: so the
    results of a rounding graph have to agree in the mean of squares only.
    """
    how = _options()
    how.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    run = _session(content, how, "what was made is")
    images = deployed.another(example)
    feed = {run.get_inputs()[0].name: images.detach().cpu().numpy()}
    pairs = zip(tree_leaves(writer.module(images)), run.run(None, feed), strict=True)
    for i, (wanted, given) in enumerate(pairs):
        given = torch.from_numpy(given).to(wanted)
        far, allowed = deployed.farthest(wanted, given), 1e-3
        if writer.grids and math.isfinite(far):
            far, allowed = _relative(wanted, given), 0.1
        if not far <= allowed:
            raise ValueError(
                f"output {i} of the file differs from the graph's by {far:.3g} of its"
                f" size, for {len(images)} inputs: nothing is written"
            )


def _relative(wanted: Tensor, found: Tensor) -> float:
    """The root of the mean square of what differs, over that of what varies."""
    difference = (wanted - found).double().square().mean().sqrt()
    return float(difference / (wanted.double().square().mean().sqrt() + 1e-6))


# ----------------------------------------------------------------------------- running
def session(path: str | PathLike, threads: int = 1, **options):
    """An `onnxruntime.InferenceSession` on the CPU; a bare name means `data/weights`.

    `options` are fields of its `SessionOptions`. A SHA-256 beside the file is compared.
    ValueError for a file that is missing, cut short or no ONNX.
    """
    path, content = _read(path)
    how = _options(threads)
    for key, value in options.items():
        setattr(how, key, value)
    return _session(content, how, f"{path} is cut short, or")


def _session(content: bytes, how: onnxruntime.SessionOptions, what: str):
    try:
        return onnxruntime.InferenceSession(content, how, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no other base
        raise ValueError(
            f"{what} no ONNX file that onnxruntime can run: {error}"
        ) from error


def _options(threads: int = 1) -> onnxruntime.SessionOptions:
    """So many threads, and no word but of errors."""
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads, how.inter_op_num_threads = threads, 1
    how.log_severity_level = 3
    return how


def _read(path: str | PathLike) -> tuple[Path, bytes]:
    """Where a file is, and its bytes, which are those that the sum beside it names."""
    in_the_course = checkpoints.WEIGHTS / f"{path}.onnx"
    path = in_the_course if in_the_course.exists() else Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    known = checkpoints.read_hashes(path)  # none of a file that a learner has made
    content = checkpoints.read_with_hash(path) if known else path.read_bytes()
    shipped.check(path, hashlib.sha256(content).hexdigest())
    return path, content


def _graph(path: str | PathLike) -> onnx.GraphProto:
    """The graph that a file holds; ValueError for one that is cut short or no ONNX."""
    path, content = _read(path)
    try:
        return onnx.load_from_string(content).graph
    except Exception as error:  # protobuf's, of which no class is public everywhere
        raise ValueError(f"{path} is cut short, or no ONNX file: {error}") from error


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
            self.config = _config(facts, path)
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


def _config(text: str, path: str | PathLike) -> SimpleNamespace:
    """What a file tells of its detector; ValueError if that is damaged."""
    try:
        facts = _tuples(json.loads(text))
        facts["anchors"] = AnchorConfig(**facts["anchors"])
        missing = [key for key in FACTS if key not in facts]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: its metadata 'config' is damaged: {error}"
        ) from error
    if missing:
        raise ValueError(f"{path}: its 'config' has no {', '.join(missing)}")
    return SimpleNamespace(**facts)


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
        nodes = _graph(path).node
    kinds = collections.Counter(node.op_type for node in nodes)
    return dict(kinds.most_common())


def profile(path: str | PathLike, images: Tensor, runs: int = 20) -> dict[str, float]:
    """Milliseconds of each kind of operator, one thread; the longest first.

    The median run of each node, summed. Convolutions are told apart by their filters:
    "conv depthwise", "conv 1x1", "conv 3x3".
    """
    kinds_in_file = _convolutions(_graph(path))
    times: dict[str, list[float]] = collections.defaultdict(list)  # of each node
    kinds: dict[str, str] = {}
    for event in _events(path, images, runs + WARM_UP):
        name, is_kernel, _ = event["name"].partition("_kernel_time")
        if not is_kernel:
            continue
        name_in_file = name.partition("_token_")[0]  # a fused node adds this
        kind = kinds_in_file.get(name_in_file)
        kinds[name] = kind or _kind(event["args"])
        milliseconds = event["dur"] / 1000
        times[name].append(milliseconds)
    total = collections.Counter()
    for name, each in times.items():
        measured = each[WARM_UP:]
        total[kinds[name]] += statistics.median(measured)
    return dict(total.most_common())


def _convolutions(graph: onnx.GraphProto) -> dict[str, str]:
    """What each convolution of a file does, by its name: "conv 3x3"."""
    kinds = {}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        how = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        shape = "x".join(map(str, how["kernel_shape"]))
        kinds[node.name] = f"conv {'depthwise' if how['group'] > 1 else shape}"
    return kinds


def _events(path: str | PathLike, images: Tensor, runs: int) -> list[dict]:
    """What onnxruntime's own profiler writes down of some runs."""
    with tempfile.TemporaryDirectory() as folder:
        where = str(Path(folder) / "profile")
        run = session(path, enable_profiling=True, profile_file_prefix=where)
        feed = {run.get_inputs()[0].name: images.numpy()}
        for _ in range(runs):
            run.run(None, feed)
        return json.loads(Path(run.end_profiling()).read_text("utf-8"))


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
