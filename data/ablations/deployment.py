"""What a file is worth: bytes, milliseconds and AP of ONNX files, floats and int8.

    python data/ablations/deployment.py                  # about 12 minutes, one thread
    python data/ablations/deployment.py --only latency   # one kind of rows
    python data/ablations/deployment.py --report         # what the rows say so far

Models: the shipped plain, lite and course; pruned (plain at half its multiply-adds);
with random weights, for times alone, EfficientNet-B0 and its Lite form at 224x224.
Forms, all in onnxruntime: fp32, int8 (grids by minimal squared error on 128 validation
scenes), int8 with weights of 7 bits, int8 with the ranges min to max.

accuracy: AP on 200 test scenes and, for the form that ships (7 bits), beside that of
our fake-quantized model: its AP, and the share of its detections above 0.3 that have
one of the same class in their place (IoU 0.9). A seed draws the scenes to calibrate
with and those to judge by.
latency: one thread, all forms of a model in turns with the model in eager PyTorch; a
seed is another run of its own. profile: time of each kind of operator, and its
multiply-adds and bytes. peak: how many multiply-adds a second this machine does in
large products of matrices, in floats and in int8, and how many bytes it copies.

A row each is appended to deployment.jsonl; rows that are there are skipped, so it may
be stopped at any time. Rows of other settings or other weights do not count. Times are
best taken last and alone (`--only latency profile peak`): neighbours change them.
deployment_older_cpu.jsonl keeps this script's times and peaks from a CPU whose floats
were half as fast; "pruned" is there the file that was shipped before.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import export as shipping  # noqa: E402  (data/weights/export.py)
import ledger  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.compression import deployed, export, quantize  # noqa: E402
from lib.detection import anchors, coco_eval, detectors, efficientnet  # noqa: E402

ROWS = HERE / "deployment.jsonl"
SETTINGS = {
    "seeds": 3,
    "judged": 200,  # test scenes of a row
    "calibration": {"scenes": 128, "batch": 32},
    "repeats": 15,  # rounds of a latency run
    "runs": 30,  # of a profile
    "sizes": {"plain": [128, 512], "lite": [128, 512], "course": [128, 512],
              "pruned": [128, 512], "b0": [224], "b0 lite": [224]},
}  # fmt: skip
DETECTORS = "plain", "lite", "course", "pruned"
SHIPPED = "int8, weights of 7 bits"
FORMS = {
    "fp32": None,
    "int8": {},
    SHIPPED: {"bits": 7},
    "int8, min to max": {"observer": quantize.MinMax},
}


def weights(name: str) -> str:
    """The SHA-256 of the weights that a model starts from."""
    file = HERE.parent / "weights" / f"detector_{name}.sha256"
    return file.read_text("utf-8")[:64] if file.exists() else "random"


def model_of(name: str) -> nn.Module:
    if name in DETECTORS:
        return shipping.model_of(name)
    torch.manual_seed(0)
    return efficientnet.efficientnet({"b0": "b0", "b0 lite": "lite0"}[name]).eval()


@cache
def graph_of(name: str, size: int):
    """A model as deployed, for one size of pictures."""
    return deployed.deployed(model_of(name), torch.zeros(1, 3, size, size))


def build(name, form, seed, size, folder):
    """Write a model in one form; returns the path and the graph that it came from.

    Without a seed the ranges are those of noise: times do not depend on them.
    """
    graph, example = graph_of(name, size), torch.zeros(1, 3, size, size)
    path = Path(folder) / f"{name}_{form}_{size}.onnx"
    if FORMS[form] is None:
        return export.to_onnx(graph, example, path), graph
    if seed is None:
        noise = [torch.randn(2, 3, size, size)]
        fake = shipping.rounded(graph, noise, observer=quantize.MinMax)
    else:
        batches = shipping.calibration(SETTINGS["calibration"] | {"seed": seed + 1})
        fake = shipping.rounded(graph, batches, **FORMS[form])
    with warnings.catch_warnings():  # what 8 bits are worth is the question here
        warnings.filterwarnings("ignore", ".* saturate at 16 bits", UserWarning)
        return export.to_qdq_onnx(fake, example, path), fake


def matched(some, others, score=0.3, overlap=0.9) -> float:
    """The share of sure detections that others have as well, in place and class.

    Of the others, those a little below the score count as well: at its edge a
    detection may fall on either side.
    """
    near = {}
    for d in others:
        if d["score"] > score - 0.05:
            near.setdefault((d["image_id"], d["category_id"]), []).append(d["bbox"])
    sure, hits = [d for d in some if d["score"] > score], 0
    for d in sure:
        boxes = [d["bbox"], *near.get((d["image_id"], d["category_id"]), [])]
        boxes = torch.tensor(boxes)
        boxes[:, 2:] += boxes[:, :2]
        iou = anchors.box_iou(boxes[:1], boxes[1:])
        hits += bool((iou >= overlap).any())
    return hits / max(len(sure), 1)


def accuracy(name, form, seed) -> dict:
    """AP of a file, its bytes; of the form that ships, also against our own model."""
    scenes = detectors.scenes("test", SETTINGS["judged"], seed=seed)
    truth = scenes.coco()
    with tempfile.TemporaryDirectory() as folder:
        path, model = build(name, form, seed, 128, folder)
        found = coco_eval.detections(export.Network(path), scenes)
        row = {"ap": coco_eval.evaluate(truth, found).ap, "bytes": path.stat().st_size}
    if form == SHIPPED:
        ours = coco_eval.detections(model, scenes)
        row["ap fake"] = coco_eval.evaluate(truth, ours).ap
        row["matched"] = matched(ours, found)
    return row


def latency(name, size, seed) -> dict:
    """Milliseconds of both forms of a model, and of the model in eager PyTorch.

    The pruned one races with plain in floats as well: that is what it came from.
    """
    files = [("fp32", name, "fp32"), ("int8", name, "int8")]
    files += [("plain, fp32", "plain", "fp32")] * (name == "pruned")
    with tempfile.TemporaryDirectory() as folder:
        networks = {
            title: export.Network(build(which, form, None, size, folder)[0])
            for title, which, form in files
        }
    networks["eager"] = model_of(name)
    images = torch.randn(1, 3, size, size)
    found = profiling.compare(networks, images, repeats=SETTINGS["repeats"])
    times = {title: result.latency.times for title, result in found.items()}
    row = {
        title: {"ms": statistics.median(mine), "iqr": found[title].latency.iqr}
        | {"times faster": _faster(times["fp32"], mine)}
        for title, mine in times.items()
    }
    if name == "pruned":
        row["int8"]["times faster than plain"] = _faster(
            times["plain, fp32"], times["int8"]
        )
    return row


def _faster(slow, fast) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def work(graph) -> dict[str, dict[str, float]]:
    """Multiply-adds and bytes in floats (maps in, maps out, weights) by kind."""
    total: dict[str, Counter] = {}
    for node in graph.graph.nodes:
        layer = graph.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(layer, nn.Conv2d):
            continue
        size = "x".join(map(str, layer.kernel_size))
        kind = f"conv {'depthwise' if layer.groups > 1 else size}"
        out = int(np.prod(node.meta["shape"][1:]))
        into = int(np.prod(node.args[0].meta["shape"][1:]))
        row = total.setdefault(kind, Counter())
        row["macs"] += out * layer.weight[0].numel()
        row["bytes"] += 4 * (out + into + layer.weight.numel())
        row["layers"] += 1
    return {kind: dict(row) for kind, row in total.items()}


def profile(name, size, seed) -> dict:
    """Milliseconds by kind of operator, of two forms."""
    with tempfile.TemporaryDirectory() as folder:
        made = {f: build(name, f, None, size, folder) for f in ("fp32", "int8")}
        images, runs = torch.randn(1, 3, size, size), SETTINGS["runs"]
        row = {f: export.profile(path, images, runs) for f, (path, _) in made.items()}
        return row | {"work": work(made["fp32"][1])}


def peak(seed) -> dict:
    """Multiply-adds a second in a large product, and bytes a second copied."""
    n, rng = 512, np.random.default_rng(seed)
    x = rng.standard_normal((n, n)).astype(np.float32)
    rates = {}
    for form in ("fp32", "int8"):
        run = onnxruntime.InferenceSession(product(n, form), _quiet())
        times = []
        for _ in range(30):
            begin = time.perf_counter()
            run.run(None, {"x": x})
            times.append(time.perf_counter() - begin)
        rates[f"macs a second, {form}"] = n**3 / statistics.median(times)
    source = np.zeros(2**24, np.uint8)
    times = []
    for _ in range(30):
        begin = time.perf_counter()
        source.copy()
        times.append(time.perf_counter() - begin)
    return rates | {"bytes a second": 2 * len(source) / statistics.median(times)}


def _quiet():
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads, how.log_severity_level = 1, 3
    return how


def product(n: int, form: str) -> bytes:
    """An ONNX file with one product of matrices, in floats or between Q and DQ."""
    value = helper.make_tensor_value_info
    ends = (
        [value("x", TensorProto.FLOAT, [n, n])],
        [value("y", TensorProto.FLOAT, [n, n])],
    )
    rng = np.random.default_rng(0)
    stored = {"w": rng.standard_normal((n, n)).astype(np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    if form == "int8":
        stored = {"w": rng.integers(-63, 64, (n, n)).astype(np.int8)}
        stored |= {"s": np.float32(0.02), "z": np.uint8(128), "t": np.float32(5)}
        pair = lambda a, s, b: [  # noqa: E731
            helper.make_node("QuantizeLinear", [a, s, "z"], [f"{a}q"]),
            helper.make_node("DequantizeLinear", [f"{a}q", s, "z"], [b]),
        ]
        nodes = [
            *pair("x", "s", "xd"),
            helper.make_node("DequantizeLinear", ["w", "s"], ["wd"]),
            helper.make_node("MatMul", ["xd", "wd"], ["p"]),
            *pair("p", "t", "y"),
        ]
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()]
    graph = helper.make_graph(nodes, "product", *ends, constants)
    opset = [helper.make_opsetid("", export.OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=export.IR)
    return model.SerializeToString()


def plan() -> list[tuple]:
    """(kind, work, arguments of the row), in the order of their worth."""
    jobs = []
    for seed in range(SETTINGS["seeds"]):
        for name in DETECTORS:
            for form in FORMS:
                jobs.append(("accuracy", accuracy, (name, form, seed)))
        for name, sizes in SETTINGS["sizes"].items():
            for size in sizes:
                jobs.append(("latency", latency, (name, size, seed)))
                jobs.append(("profile", profile, (name, size, seed)))
        jobs.append(("peak", peak, (seed,)))
    return jobs


def cpu() -> str:
    """The processor's name where it can be asked, and whether its kernels saturate."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
        name = next(s for s in text.splitlines() if "model name" in s).split(": ")[1]
    except (OSError, StopIteration, IndexError):
        name = "unknown"
    return name + (", saturates" if export.saturates() else ", does not saturate")


@cache
def about() -> dict:
    text = json.dumps(SETTINGS, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return {"settings": digest, "onnxruntime": onnxruntime.__version__, "cpu": cpu()}


KEYS = {
    "accuracy": ("model", "form", "seed"), "latency": ("model", "size", "seed"),
    "profile": ("model", "size", "seed"), "peak": ("seed",),
}  # fmt: skip


def head(kind, arguments) -> dict:
    row = {"kind": kind} | dict(zip(KEYS[kind], arguments, strict=True))
    if "model" in row:
        row["weights"] = weights(row["model"])
    return row | {"settings": about()["settings"]}


def rows(path=None) -> list[dict]:
    """Those of today's settings and weights."""
    found = []
    for row in ledger.read(Path(path or ROWS)):
        today = weights(row["model"]) if "model" in row else None
        if row["settings"] == about()["settings"] and row.get("weights") == today:
            found.append(row)
    return found


def run(only=KEYS, path=None, models=None) -> int:
    """Measure what is missing and append it; returns how many rows that was."""
    path, made = Path(path or ROWS), 0
    there = ledger.read(path)
    for kind, function, arguments in plan():
        begin = head(kind, arguments)
        name = begin.get("model")
        missing = name == "pruned" and weights("pruned") == "random"
        if kind not in only or missing or (models and name not in models):
            continue
        if any(begin.items() <= row.items() for row in there):
            continue
        ledger.append(path, begin | about() | function(*arguments))
        made += 1
    return made


def report(found: list[dict]) -> str:
    """Means of three, and the points."""
    lines = [f"{len(found)} rows"]
    groups: dict[tuple, list] = {}
    for row in found:
        key = row["kind"], row.get("model"), row.get("form", row.get("size"))
        groups.setdefault(key, []).append(row)
    for (kind, name, what), each in sorted(groups.items(), key=str):
        if kind == "accuracy":
            values = [row["ap"] for row in each]
            more = f", {each[0]['bytes'] / 1000:.0f} kB"
            if "matched" in each[0]:
                more += f", matched {min(row['matched'] for row in each):.4f}"
                far = max(abs(row["ap"] - row["ap fake"]) for row in each)
                more += f", {far:.4f} from the fake-quantized at most"
        elif kind == "latency":
            values = [row["int8"]["times faster"] for row in each]
            times = {f: statistics.median(r[f]["ms"] for r in each)
                     for f in ("fp32", "int8", "eager")}  # fmt: skip
            more = ", " + ", ".join(f"{f} {t:.2f} ms" for f, t in times.items())
            if name == "pruned":
                far = [row["int8"]["times faster than plain"] for row in each]
                more += f"; {statistics.mean(far):.2f} times plain in floats"
        elif kind == "profile":
            values = [sum(row["int8"].values()) for row in each]
            more = " ms in all"
        else:
            values = [row["macs a second, int8"] / 1e9 for row in each]
            fp32 = [row["macs a second, fp32"] / 1e9 for row in each]
            more = f" Gmac/s int8, {statistics.median(fp32):.1f} fp32"
        told = ", ".join(f"{value:.3f}" for value in values)
        lines.append(
            f"{kind} {name} {what}: {statistics.mean(values):.3f} ({told}){more}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=KEYS, default=list(KEYS))
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report:
        torch.set_num_threads(1)
        print(f"{run(options.only)} rows")
    print(report(rows()))


if __name__ == "__main__":
    main()
