"""The same network by the tools of others: what an engineer types in a project.

PyTorch writes ONNX itself, onnxruntime makes integers of a float file, torchao rounds a
graph of PyTorch (PT2E), OpenVINO runs a file. The first two come with what the course
installs; the others are tried where they are there (`missing` says). Each does in few
lines what chapters 19 to 22 did by hand, with choices of its own.

pytorch.org/docs/stable/onnx.html; onnxruntime.ai/docs/performance/model-optimizations/
quantization.html; docs.pytorch.org/ao; docs.openvino.ai. For 22_export.
"""

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import onnx
import torch
from torch import Tensor, fx, nn

from lib.basics import arguments, modes
from lib.compression import checked


def missing(*packages: str) -> list[str]:
    """Those of some packages that are not installed here.

    >>> missing("torch", "no_such_package")
    ['no_such_package']
    """
    for name in packages:
        arguments.instance("packages", name, str)
    return [name for name in packages if importlib.util.find_spec(name) is None]


def torch_onnx(model: nn.Module, example_input: Tensor, path: str | PathLike) -> Path:
    """The file that `torch.onnx.export` writes, for any batch.

    Its older way, by tracing: the newer one (`dynamo=True`) needs onnxscript.
    The model is written in evaluation mode; afterwards each of its layers has the
    mode that it had before.
    """
    arguments.instance("model", model, nn.Module)
    arguments.path("path", path)
    example_input = arguments.tensor("example_input", example_input, "...")
    names = {"input_names": ["images"], "dynamic_axes": {"images": {0: "batch"}}}
    with warnings.catch_warnings(), torch.no_grad(), modes.evaluation(model):
        # It warns of each Python number that it takes for a constant.
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (example_input,), str(path), dynamo=False, **names)
    return Path(path)


def static(
    float_file: str | PathLike, batches: Iterable[Tensor], path: str | PathLike, **how
) -> Path:
    """The int8 file that onnxruntime's `quantize_static` makes of a float one.

    `batches` of inputs choose the ranges; `how` goes to `quantize_static`. Before that
    its `quant_pre_process` writes down shapes and fuses what it can.
    """
    arguments.path("float_file", float_file)
    arguments.path("path", path)
    from onnxruntime import quantization  # half a second, and only here
    from onnxruntime.quantization import shape_inference

    name = onnx.load(str(float_file)).graph.input[0].name
    feeds = ({name: batch.numpy()} for batch in batches)

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(feeds, None)

    prepared = Path(path).with_suffix(".prepared.onnx")
    quiet = logging.getLogger()
    level = quiet.level
    try:
        quiet.setLevel(logging.ERROR)  # it logs advice to the root
        shape_inference.quant_pre_process(str(float_file), str(prepared))
        quantization.quantize_static(str(prepared), str(path), Reader(), **how)
    finally:
        quiet.setLevel(level)
        prepared.unlink(missing_ok=True)
    return Path(path)


def bytes_for_maps() -> dict:
    """Options of `quantize_static` for x86: bytes for maps, weights of 7 bits."""
    from onnxruntime import quantization

    unsigned = quantization.QuantType.QUInt8
    return {"activation_type": unsigned, "per_channel": True, "reduce_range": True}


def pt2e(graph: fx.GraphModule, batches: Iterable[Tensor]) -> nn.Module:
    """A graph of `deployed`, rounded by torchao (PT2E) for x86 processors.

    Still real numbers: `torch.compile` would make integers of it. A head that runs on
    three levels is refused by the quantizer of torchao 0.18, so it gets the flat graph.
    """
    checked.flat_graph("graph", graph, "deployed.deployed makes one")
    ours = "torchao.quantization.pt2e"
    steps = importlib.import_module(f"{ours}.quantize_pt2e")
    x86 = importlib.import_module(f"{ours}.quantizer.x86_inductor_quantizer")
    batches = list(batches)
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(graph, (batches[0],), dynamic_shapes=batch)
    prepared = steps.prepare_pt2e(program.module(), quantizer)
    with torch.no_grad():
        for each in batches:
            prepared(each)
    return steps.convert_pt2e(prepared)


class Outside(nn.Module):
    """Any function of pictures in place of a detector: `decoding.detect` runs on it.

    `run(images B 3 H W)` gives tensors, classes of all levels first; `config` is that
    of the detector.
    """

    def __init__(self, run, config):
        super().__init__()
        arguments.function("run", run, "run(images) -> tensors")
        # Not a submodule: what is exported may refuse `eval`.
        object.__setattr__(self, "run", run)
        self.config = config
        self.register_parameter("none", nn.Parameter(torch.empty(0)))

    def forward(self, images: Tensor):
        levels = torch.utils._pytree.tree_leaves(self.run(images))
        return levels[: len(levels) // 2], levels[len(levels) // 2 :]


def openvino(path: str | PathLike):
    """A function of pictures that runs an ONNX file in OpenVINO, on one thread.

    What is not an integer stays float32; by itself it would take bfloat16 on some CPUs.
    """
    arguments.path("path", path)
    core = importlib.import_module("openvino").Core()
    how = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", how)
    return lambda images: [
        torch.from_numpy(x.copy()) for x in compiled(images.numpy()).values()
    ]
