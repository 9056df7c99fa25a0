"""The page of `make demo`: what it is built from. tests/browser looks at it."""

import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
import torch

import lib
from lib.basics import training
from lib.compression import export
from lib.detection import anchors, decoding, detectors
from lib.road import demo


def text(name: str) -> str:
    return (demo.PAGE / name).read_text(encoding="utf-8")


def package(**files: bytes) -> bytes:
    """An archive as npm packs them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


RUNTIME = package(
    **{demo.SCRIPT: b"const ort = {};", demo.LOADER: b"load", demo.MACHINE: b"run"}
)


def test_a_package_is_taken_only_with_the_hash_that_is_pinned(tmp_path, monkeypatch):
    digest = base64.b64encode(hashlib.sha512(RUNTIME).digest()).decode()
    assert demo.fits(RUNTIME, f"sha512-{digest}")
    assert not demo.fits(RUNTIME + b" ", f"sha512-{digest}")
    assert re.fullmatch(r"sha512-[\w+/]{86}==", demo.INTEGRITY)
    monkeypatch.setattr(demo, "_fetch", lambda: RUNTIME)
    with pytest.raises(demo.NoRuntime, match="not the file that is pinned"):
        demo.archive(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(demo, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setattr(demo, "fits", lambda content: content == RUNTIME)
    assert demo.archive(tmp_path) == RUNTIME
    monkeypatch.setattr(demo, "_fetch", lambda: pytest.fail("it is kept"))
    assert demo.archive(tmp_path) == RUNTIME
    with pytest.raises(demo.NoRuntime, match="has no package/other"):
        demo.member(RUNTIME, "package/other")


@pytest.mark.parametrize("npm", ["absent", "without a registry"])
def test_without_a_registry_one_line_says_so(tmp_path, npm):
    if npm != "absent":  # as npm ends where its registry does not answer
        (tmp_path / "npm").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tmp_path / "npm").chmod(0o755)
    code = (
        "from pathlib import Path; from lib.road import demo;"
        f"demo.KEPT = Path({str(tmp_path)!r}) / 'none';"
        "demo.archive.__defaults__ = (demo.KEPT,); demo.main()"
    )
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(lib.ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 1 and not run.stdout
    (line,) = run.stderr.splitlines()
    assert (
        line.startswith("make demo: the page needs onnxruntime-web") and "npm" in line
    )


def test_what_is_packed_can_be_unpacked():
    script = demo.runtime(RUNTIME)
    parts = dict(re.findall(r'^PACKED\["(.+?)"\] = "(.+?)";$', script, re.MULTILINE))
    unpacked = {k: gzip.decompress(base64.b64decode(v)) for k, v in parts.items()}
    assert script.startswith("const ort = {};")
    assert unpacked == {"runtime.mjs": b"load", "runtime.wasm": b"run"}
    assert demo.packed(b"ink") == demo.packed(b"ink")


def test_the_built_folder_holds_shipped_files_and_drawn_pictures(tmp_path):
    page = demo.build(tmp_path, RUNTIME)
    names = {path.name for path in tmp_path.iterdir()}
    asked = re.findall(r'(?:src|href)="([^":]+)"', page.read_text(encoding="utf-8"))
    assert names == {"index.html", *asked}
    networks = (tmp_path / "networks.js").read_text(encoding="utf-8")
    files = dict(re.findall(r'^PACKED\["(.+?)"\] = "(.+?)";$', networks, re.MULTILINE))
    for name in ("detector_plain_int8", "detector_pruned_int8"):
        content = gzip.decompress(base64.b64decode(files[name]))
        assert content == (demo.WEIGHTS / f"{name}.onnx").read_bytes()
    told = json.loads(re.search(r"^const NETWORKS = (.*);$", networks, re.M)[1])
    assert [each["kilobytes"] for each in told[1:]] == [628, 178]  # the datasheet's
    pictures = (tmp_path / "pictures.js").read_text(encoding="utf-8")
    scenes = json.loads(re.search(r"^const SCENES = (.*);$", pictures, re.M)[1])
    truth = detectors.scenes("test", demo.SCENES)
    assert [s["labels"] for s in scenes] == [
        [str(k) for k in sample.labels.tolist()] for sample in truth
    ]


def test_the_page_may_fetch_nothing_and_has_what_its_script_asks():
    page, script = text("index.html"), text("page.js")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy
    for file in demo.PAGE.iterdir():
        assert not re.search(r"https?://|fetch\(|XMLHttpRequest", text(file.name))
    asked = set(re.findall(r'by\("(\w+)"\)', script))
    assert asked and asked <= set(re.findall(r'id="(\w+)"', page))
    assert 'aria-live="polite"' in page and '<html lang="en">' in page


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_javascript_decodes_recorded_outputs_as_decoding_does(tmp_path):
    """Where there is a Node.js; `make browser-test` asks the same of Chromium."""
    images = torch.from_numpy(detectors.scenes("test", 12).images)
    both = export.Network("detector_pruned_int8")(training.normalise(images))
    generator = torch.Generator().manual_seed(0)  # of equal scores no order is promised
    both = (
        [x + torch.rand(x.shape, generator=generator) / 100 for x in both[0]],
        both[1],
    )
    config = detectors.CONFIGS["plain"]
    boxes = anchors.anchors((128, 128), config.anchors)
    wanted = decoding.postprocess(*both, boxes, [(128, 128)] * 12, threshold=0.05)
    job = {
        "facts": {"image_size": config.image_size, "anchors": vars(config.anchors)},
        "outputs": [
            [
                [
                    {"data": x[i].flatten().tolist(), "dims": [1, *x.shape[1:]]}
                    for x in k
                ]
                for k in both
            ]
            for i in range(12)
        ],
    }
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    code = (
        f"const page = require({str(demo.PAGE / 'decoding.js')!r});"
        "const {facts, outputs} = JSON.parse(require('fs').readFileSync('job.json'));"
        "const all = outputs.map("
        "  ([c, b]) => page.detections(c, b, facts, {threshold: 0.05}));"
        "console.log(JSON.stringify([page.anchorBoxes(facts), all]));"
    )
    run = subprocess.run(
        ["node", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found_anchors, answers = json.loads(run.stdout)
    assert (torch.tensor(found_anchors) - boxes).abs().max() < 1e-4
    for answer, found in zip(wanted, answers, strict=True):
        assert [each["label"] for each in found] == answer.labels.tolist()
        there = torch.tensor([each["box"] for each in found]).reshape(-1, 4)
        assert len(there) == 0 or (there - answer.boxes).abs().max() < 0.01


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_ink_lies_as_in_the_training_pictures():
    """By hand: a line of width 4 between two points, ink 100 on a ground of 50."""
    code = (
        f"const {{Sheet, digits}} = require({str(demo.PAGE / 'drawing.js')!r});"
        "const ground = new Int16Array(3 * 32 * 32).fill(50);"
        "const how = {ground, size: 32, ink: [100, 0, 300], grain: 0};"
        "const sheet = new Sheet(how);"
        "sheet.begin(8, 6, 0.2); sheet.extend(8, 26);"  # 20 high: 0.2 * 20 = 4 wide
        "const at = (x, y, c) => sheet.pixels()[c * 1024 + y * 32 + x];"
        "const line = [5, 6, 7, 8, 9, 10, 20].map((x) => at(x, 16, 0));"
        "sheet.begin(20, 6, 0.2); const groups = digits(sheet.strokes).length;"
        "sheet.undo();"
        "console.log(JSON.stringify({line, groups, width: sheet.strokes[0].width,"
        " colours: [0, 1, 2].map((c) => at(8, 16, c))}));"
    )
    run = subprocess.run(
        ["node", "-e", code], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)
    assert found["width"] == 4 and found["groups"] == 2
    # Centres lie 2.5, 1.5, 0.5 pixels from the line; cover 256 * (0.5 + (2 - d) / 1.5).
    # d = 2.5: 256 / 6 = 42.7, and 50 * 42.7 / 256 = 8.3 of the way from 50 to 100.
    # d = 1.5: 213.3, 41.7. d = 0.5: all of it.
    assert found["line"] == [58, 91, 100, 100, 91, 58, 50]
    assert found["colours"] == [100, 0, 255]
