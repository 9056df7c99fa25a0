"""The shipped weights: files, hashes, datasheet, and that they detect what they say."""

import itertools
import json
import re
import statistics
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.basics import checkpoints, profiling, training
from lib.compression import channel_pruning
from lib.detection import anchors, coco_eval, detectors, efficientdet

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data" / "weights"
FILES = sorted(path.stem for path in FOLDER.glob("*.safetensors"))
INTEGERS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
NAMES = [name for name in detectors.CONFIGS if f"detector_{name}" in FILES]
sys.path.insert(0, str(FOLDER))

import prepare  # noqa: E402

# ------------------------------------------------------------------- lib.detectors


def test_parameters_of_plain_by_hand():
    def conv(c, f, k=3, bias=False):  # with its batch norm where there is no bias
        return c * f * k * k + (f if bias else 2 * f)

    def stage(c, f):
        return conv(c, f) + 2 * conv(f, f)

    backbone = conv(3, 16) + stage(16, 32) + stage(32, 64) + stage(64, 128)
    assert profiling.parameters(detectors.backbone("plain")) == backbone
    norm, dense = 2 * 32, 32 * 32 * 9 + 32
    # P2 already has 32 channels; P3 and P4 are brought to them by 1x1 with bias.
    levels = 3 * (dense + norm) + (64 + 128) * 32 + 2 * (32 + norm)
    heads = (
        2 * (dense + 3 * norm) + conv(32, 2 * 10, bias=True) + conv(32, 8, bias=True)
    )
    assert (
        profiling.parameters(detectors.detector("plain")) == backbone + levels + heads
    )


@pytest.mark.parametrize("name", detectors.CONFIGS)
def test_levels_of_stride_4_8_16_and_two_anchors_a_cell(name):
    model = detectors.detector(name, num_classes=7).eval()
    classes, boxes = model(torch.zeros(1, 3, 128, 128))
    assert [tuple(x.shape) for x in classes] == [
        (1, 14, 32, 32), (1, 14, 16, 16), (1, 14, 8, 8)
    ]  # fmt: skip
    assert [x.shape[1] for x in boxes] == [8, 8, 8]
    places = anchors.anchors(model.config.image_size, model.config.anchors)
    assert len(places) == 2 * (32 * 32 + 16 * 16 + 8 * 8)
    with torch.device("meta"):
        assert detectors.detector(name).backbone.channels == model.backbone.channels


def test_anchors_fit_the_digits():
    """Nearly every digit has an anchor with an IoU of 0.5: force is the exception."""
    scenes = detectors.scenes("validation", 60)
    places = anchors.anchors((128, 128), detectors.SCENES.anchors)
    found = anchors.coverage(places, [sample.boxes for sample in scenes])
    assert (found.ious >= 0.5).float().mean() > 0.97
    assert (found.positives > 0).all()


def test_a_detector_begins_with_its_anchors_and_one_percent():
    model = detectors.detector("plain").train()
    images = training.normalise(torch.from_numpy(detectors.scenes("train", 4).images))
    classes, boxes = model(images)
    assert all(0.005 < x.sigmoid().mean() < 0.02 for x in classes)
    assert all(x.abs().mean() < 0.2 for x in boxes)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {
        0.1
    }


def test_a_residual_block_begins_as_its_shortcut():
    block, x = detectors.Residual(8), torch.rand(2, 8, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_lite_has_what_small_devices_compute_well():
    kinds = {type(m).__name__ for m in detectors.detector("lite").modules()}
    assert "ReLU6" in kinds and "SumFusion" in kinds
    assert not kinds & {"SiLU", "SqueezeExcite", "FastFusion", "Sigmoid"}


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="there is plain, course, lite"):
        detectors.detector("d0")
    with pytest.raises(ValueError, match="'detector' or 'backbone'"):
        detectors.shipped("plain", "heads")


# ------------------------------------------------------------------------ the files


def test_every_file_has_its_hash_and_its_line_in_the_datasheet():
    sheet = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+)\.safetensors`", sheet)) == set(FILES)
    assert set(re.findall(r"`(\w+)\.onnx`", sheet)) == set(INTEGERS)
    assert {path.stem for path in FOLDER.glob("*.sha256")} == {*FILES, *INTEGERS}
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) < 9e6
    assert all((FOLDER / f"{name}.onnx").stat().st_size < 1e6 for name in INTEGERS)


def recorded(part: str, name: str) -> dict[int, dict]:
    """The rows of today's settings by seed, the last of each."""
    settings = prepare.settings(part, name)
    rows = [row for row in prepare.rows() if row["settings"] == settings]
    mine = [row for row in rows if (row["part"], row["model"]) == (part, name)]
    return {row["seed"]: row for row in mine}


def test_the_datasheet_tells_every_seed():
    sheet = (FOLDER / "README.md").read_text(encoding="utf-8")
    for part, name in itertools.product(("backbone", "detector"), NAMES):
        rows = recorded(part, name)
        assert 0 in rows and set(rows) <= set(prepare.SEEDS)
        (line,) = re.findall(rf"^\| `{part}_{name}\.safetensors` .*$", sheet, re.M)
        values = [rows[seed]["test"] for seed in sorted(rows)]
        values = values if part == "backbone" else [value[0] for value in values]
        told = " ".join(f"{value:.3f}" for value in values)
        assert f"| {told} | {statistics.mean(values):.3f} |" in line


def test_a_shipped_detector_detects_as_well_as_its_row_says():
    """On 200 of the 1,000 test scenes."""
    scenes = detectors.scenes("test", 200)
    for name in NAMES:
        found = coco_eval.detections(detectors.shipped(name), scenes)
        rows = recorded("detector", name).values()
        best = max(rows, key=lambda row: row["validation"][0])
        ap = coco_eval.evaluate(scenes.coco(), found).ap
        assert ap == pytest.approx(best["test"][0], abs=0.04), name


def test_the_pruned_detector_is_smaller_and_detects_as_its_row_says():
    example = torch.zeros(1, 3, 128, 128)
    whole = detectors.detector("plain")
    model = channel_pruning.load(whole, "detector_pruned", example)
    rows = prepare.ledger.read(FOLDER / "pruned.jsonl")
    best = max(rows, key=lambda row: row["validation"][0])
    assert {row["seed"] for row in rows} == set(prepare.SEEDS)
    assert {row["start"] for row in rows} == {sha256("detector_plain")}
    assert profiling.parameters(model) == best["parameters"]
    assert profiling.macs(model, example) == best["macs"]
    assert 0.45 < best["macs"] / profiling.macs(whole, example) < 0.5
    scenes = detectors.scenes("test", 200)
    found = coco_eval.detections(model, scenes)
    ap = coco_eval.evaluate(scenes.coco(), found).ap
    assert ap == pytest.approx(best["test"][0], abs=0.04)


def sha256(name: str) -> str:
    return (FOLDER / f"{name}.sha256").read_text("utf-8")[:64]


def test_a_shipped_backbone_goes_into_a_fresh_detector():
    for name in NAMES:
        model = detectors.shipped(name, "backbone")
        alone = checkpoints.load_weights(detectors.backbone(name), f"backbone_{name}")
        for key, value in model.backbone.state_dict().items():
            assert torch.equal(value, alone.state_dict()[key]), key
        images = torch.from_numpy(detectors.scenes("train", 1).images)
        classes, _ = model(training.normalise(images))
        assert all(x.sigmoid().max() < 0.1 for x in classes)  # heads that know nothing


# ------------------------------------------------------------------------ the making


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A few steps on a few pictures, in a folder of its own."""
    monkeypatch.setattr(prepare, "BUILD", tmp_path / "build")
    monkeypatch.setattr(prepare, "HERE", tmp_path)
    monkeypatch.setattr(prepare, "SCORES", tmp_path / "detectors.jsonl")
    monkeypatch.setattr(prepare, "SEEDS", (0, 1))
    (tmp_path / "README.md").write_text("a <!-- scores -->b<!-- scores --> c", "utf-8")
    few = {"crops": 32, "steps": 2, "batch": 16}
    monkeypatch.setattr(prepare, "CROPS", prepare.CROPS | few)
    monkeypatch.setattr(prepare, "STEPS", dict.fromkeys(prepare.STEPS, 2))
    few = {"scenes": 8, "batch": 4, "judged": 10}
    monkeypatch.setattr(prepare, "SCENES", prepare.SCENES | few)
    return tmp_path


def test_prepare_ships_the_best_on_validation_and_goes_on(small, monkeypatch):
    prepare.main(["lite"])
    lines = (small / "detectors.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = [(row["part"], row["seed"]) for row in rows]
    parts = ("backbone", "detector", "soft")
    assert found == [(part, s) for s in (0, 1) for part in parts]
    assert all(len(row["test"]) == 12 for row in rows if row["part"] != "backbone")
    best = max(rows[1::3], key=lambda row: row["validation"][0])["seed"]
    for part in ("backbone", "detector"):
        a = (small / f"{part}_lite.safetensors").read_bytes()
        b = (small / f"build/{part}_lite_{best}.safetensors").read_bytes()
        assert a == b
    sheet = (small / "README.md").read_text("utf-8")
    assert (
        sheet.startswith("a <!--") and sheet.endswith("--> c") and "b" not in sheet[:20]
    )
    told = " ".join(f"{row['test'][0]:.3f}" for row in rows[1::3])
    assert f"| 178,172 | {told} |" in sheet and f"| seed {best}: AP50" in sheet
    assert f"soft-NMS {rows[2 + 3 * best]['test'][0]:.3f} |" in sheet
    with open(small / "detectors.jsonl", "a", encoding="utf-8") as file:
        file.write('{"part": "det')  # a kill in the middle of a line
    monkeypatch.setattr(training, "fit", None)  # nothing is trained twice
    assert prepare.detector("lite", 1).endswith(f"seed {best} is shipped")
    with pytest.raises(SystemExit, match="no artefact 'd0'"):
        prepare.main(["d0"])


def test_the_ablation_asks_for_equal_parameters():
    sys.path.insert(0, str(ROOT / "data" / "ablations"))
    import detectors as ablation

    with torch.device("meta"):
        sizes = {
            name: profiling.parameters(
                efficientdet.Detector(ablation.backbone(kind), config)
            )
            for name, (_, kind, config) in ablation.VARIANTS.items()
        }
    assert max(sizes.values()) / min(sizes.values()) < 1.03, sizes
    rows = [
        {"question": "neck", "variant": "fpn", "seed": s, "ap": ap, "parameters": 8e4,
         "macs": 3e7, "scenes": {"steps": 200}}
        for s, ap in enumerate((0.1, 0.2, 0.6))
    ]  # fmt: skip
    rows += [
        {"question": "transfer", "variant": str(i), "table_validation": i / 3, "ap": ap}
        for i, ap in enumerate((0.1, 0.3, 0.2))
    ]  # two pairs of three agree: tau = (2 - 1) / 3
    said = ablation.report(rows)
    assert "0.300 (0.100, 0.200, 0.600)" in said and "tau 0.33" in said
