"""The int8 detectors here: detector_plain_int8.onnx, detector_pruned_int8.onnx.

    python data/weights/export.py            # about 2 minutes, one CPU thread
    python data/weights/export.py plain      # one of them

Each starts from shipped weights (detector_plain, detector_pruned), as deployed: batch
norms folded. Grids are chosen by minimal squared error on 128 validation scenes (seed
1), no weight is trained. Weights have 7 bits, stored as int8: on x86 without VNNI two
products of 8 bits could overflow, and one file has to serve every machine. Expected on
1,000 test scenes: AP at most 0.01 below the floats that it was made from, all in
onnxruntime.

The file, its SHA-256 and its line of the table in README.md are written. A file that
is to ship has its SHA-256 in lib/basics/shipped.py, too: that is written by hand.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import safetensors.torch  # noqa: E402
import torch  # noqa: E402

from lib.basics import training  # noqa: E402
from lib.compression import channel_pruning, deployed, export, grids, qat, quantize  # noqa: E402
from lib.detection import coco_eval, detectors  # noqa: E402

NAMES = "plain", "pruned"
SETTINGS = {"scenes": 128, "seed": 1, "batch": 32, "bits": 7, "judged": 1000}
README = HERE / "README.md"
HEADER = "| file | kB | of the floats | AP, int8 | AP, floats | scenes |"


def model_of(name: str) -> torch.nn.Module:
    """A shipped detector with real weights, in eval mode."""
    if name != "pruned":
        return detectors.shipped(name)
    state = safetensors.torch.load_file(HERE / "detector_pruned.safetensors")
    example = torch.zeros(1, 3, *detectors.CONFIGS["plain"].image_size)
    return channel_pruning.load_pruned_state(
        detectors.detector("plain"), state, example
    ).eval()


def calibration(how: dict) -> list[torch.Tensor]:
    """Batches of validation scenes, normalised."""
    scenes = detectors.scenes("validation", how["scenes"], seed=how["seed"])
    images = training.normalise(torch.from_numpy(scenes.images))
    return list(images.split(how["batch"]))


def rounded(graph, batches, bits: int = 8, observer=quantize.MSE):
    """A deployed graph with grids for weights of `bits`, maps of 8, biases of 32."""
    fake = qat.prepare(
        graph,
        weights=qat.Scheme(bits=bits, observer=observer),
        activations=qat.Scheme(
            symmetric=False, signed=False, axis=None, observer=observer
        ),
    )
    return grids.settle(qat.calibrate(fake, batches))


def ap(path: Path, how: dict) -> float:
    """AP of an ONNX file on test scenes."""
    scenes = detectors.scenes("test", how["judged"])
    found = coco_eval.detections(export.Network(path), scenes)
    return coco_eval.evaluate(scenes.coco(), found).ap


def make(name: str, folder: Path = HERE, how: dict = SETTINGS) -> str:
    """Write one file and its hash, once it is judged; its line of the datasheet."""
    batches = calibration(how)
    graph = deployed.deployed(model_of(name), batches[0][:1])
    floats = export.to_onnx(graph, batches[0][:1], folder / f"{name}.tmp.onnx")
    integers = floats.with_stem(f"{name}_int8.tmp")
    export.to_qdq_onnx(rounded(graph, batches, how["bits"]), batches[0][:1], integers)
    sizes = integers.stat().st_size, floats.stat().st_size
    scores = ap(integers, how), ap(floats, how)
    floats.unlink()
    digest = hashlib.sha256(integers.read_bytes()).hexdigest()
    path = folder / f"detector_{name}_int8.onnx"
    sums = path.with_suffix(".sha256")
    sums.unlink(missing_ok=True)  # it is of the file before
    integers.replace(path)
    sums.write_text(f"{digest}  {path.name}\n", encoding="utf-8", newline="\n")
    return (
        f"| `{path.name}` | {sizes[0] / 1000:.0f} | 1 / {sizes[1] / sizes[0]:.2f} |"
        f" {scores[0]:.3f} | {scores[1]:.3f} | {how['judged']} |"
    )


def datasheet(lines: list[str], readme: Path = README) -> None:
    """Put lines into the table between the marks; those of other files stay."""
    text = readme.read_text(encoding="utf-8")
    before, old, after = text.split("<!-- int8 -->")
    rows = {m[0]: m.string for m in map(re.compile("`.*?`").search, lines)}
    kept = [s for s in old.strip().splitlines()[2:] if s.split()[1] not in rows]
    table = [HEADER, "|---|---|---|---|---|---|", *sorted([*kept, *rows.values()])]
    text = "\n".join([before + "<!-- int8 -->", *table, "<!-- int8 -->" + after])
    readme.write_text(text, encoding="utf-8", newline="\n")


def main(names: list[str]) -> None:
    for name in names:
        if name not in NAMES:
            raise SystemExit(f"no artefact {name!r}; there is {', '.join(NAMES)}")
    torch.set_num_threads(1)
    for name in names:
        line = make(name)
        datasheet([line])
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:] or list(NAMES))
