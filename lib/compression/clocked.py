"""How long each layer of a file takes, layer by layer, in turns.

A whole network has one time. Who wants to know which layer is worth rounding needs the
time of each, in real numbers and in integers, from one run: a clock is noisy, and a
busy machine slows whatever runs meanwhile. For 22_export, whose picker spends
milliseconds (Eq. 20.5).
"""

import json
import statistics
import tempfile
from os import PathLike
from pathlib import Path

import onnx
import onnxruntime
from torch import Tensor

from lib.basics import arguments

WARM_UP = 3  # runs that are not counted
PASSES = ("Clip", "Identity", "Relu")  # a runtime does these while it writes


def layer_times(
    paths: dict[str, str | PathLike], images: Tensor, turns: int = 5, runs: int = 20
) -> dict[str, list[float]]:
    """Milliseconds of each convolution, by file, in the file's order; one thread.

    The files run in turns, so that a machine that is busy for a while slows all of
    them; the median of all runs. What stands between convolutions is not counted.
    ValueError if a runtime does not say which of its kernels is which layer.
    """
    arguments.instance("paths", paths, dict, "name: path of a file")
    turns = arguments.whole_number("turns", turns, 1, 1000)
    runs = arguments.whole_number("runs", runs, 1, 1000)
    known = {file: _layers(onnx.load(str(path))) for file, path in paths.items()}
    times = {f: {layer: [] for layer in each.values()} for f, each in known.items()}
    for _ in range(turns):
        for file, path in paths.items():
            for layer, taken in _taken(path, images, runs, known[file]).items():
                times[file][layer] += taken
    medians = {}
    for file, rows in times.items():
        if missing := [layer for layer, each in rows.items() if not each]:
            raise ValueError(f"{file}: the runtime does not say when {missing[0]} ran")
        medians[file] = [statistics.median(each) for each in rows.values()]
    return medians


def _layers(model: onnx.ModelProto) -> dict[str, str]:
    """A convolution's name by its own name and by all values it may be known by.

    A fused kernel goes by the value that it writes, which a ReLU may have made.
    """
    known: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            known |= {node.name: node.name, node.output[0]: node.name}
        elif node.op_type in PASSES and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
    return known


def _taken(
    path: str | PathLike, images: Tensor, runs: int, known: dict[str, str]
) -> dict[str, list[float]]:
    """Milliseconds of each layer, run by run, without those that warm up."""
    times: dict[str, list[float]] = {}
    for event in events(path, images, runs + WARM_UP):
        name, is_kernel, _ = event["name"].partition("_kernel_time")
        if is_kernel and "Conv" in event["args"]["op_name"]:
            # Without what fusion and its layouts add to a name.
            name = name.removeprefix("fused ").partition("_token_")[0]
            layer = known.get(name.removesuffix("_nchwc"))
            times.setdefault(layer, []).append(event["dur"] / 1000)
    times.pop(None, None)
    return {layer: each[WARM_UP:] for layer, each in times.items()}


def events(path: str | PathLike, images: Tensor, runs: int) -> list[dict]:
    """What onnxruntime's own profiler writes down of some runs, one thread."""
    with tempfile.TemporaryDirectory() as folder:
        how = onnxruntime.SessionOptions()
        how.intra_op_num_threads, how.log_severity_level = 1, 3
        how.enable_profiling = True
        how.profile_file_prefix = str(Path(folder) / "profile")
        where = ["CPUExecutionProvider"]
        run = onnxruntime.InferenceSession(str(path), how, where)
        feed = {run.get_inputs()[0].name: images.numpy()}
        for _ in range(runs):
            run.run(None, feed)
        return json.loads(Path(run.end_profiling()).read_text("utf-8"))
