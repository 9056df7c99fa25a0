"""The road from shipped artefacts and live, and gone on with after a real kill."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import lib
from lib.basics import checkpoints
from lib.compression import export
from lib.detection import detectors
from lib.nas import search_space, tabular
from lib.road import capstone


def test_from_shipped_artefacts_the_road_holds_what_is_shipped(tmp_path):
    road = capstone.walk(folder=tmp_path)
    assert (tmp_path / "cell.txt").read_text("utf-8") == str(search_space.FOUND)
    shipped = checkpoints.WEIGHTS / "detector_pruned_int8.onnx"
    assert road.file("pruned_int8.onnx").read_bytes() == shipped.read_bytes()
    found = checkpoints.read_weights(road.file("detector.safetensors"))
    for name, value in detectors.shipped("course").state_dict().items():
        if name in found:
            assert torch.equal(value, found[name]), name
    assert {row[1] for row in capstone.spent(road)} == {"shipped"}
    # The datasheet of data/weights says 844 and 350 CPU-seconds, 138 for the backbone.
    table = {row[0]: row[3] for row in capstone.spent(road)}
    assert abs(float(table["detect"]) - 844) < 60 and table["search"] == ""
    assert float(table["prune"]) == 350
    rows = capstone.arrived(road, scenes=20)
    assert [row.name for row in rows] == ["plain", "searched", "pruned", "pruned, int8"]
    assert rows[1].macs < rows[2].macs < rows[0].macs
    assert rows[3].kilobytes < rows[1].kilobytes < rows[2].kilobytes


@pytest.mark.equation("23.1")
def test_gains_of_stages_multiply():
    """By hand: 2,400 kB to 800 is 3, 800 to 200 is 4; together 12, and not 7."""
    from lib.exercises import capstone as exercise

    assert (2400 / 800) * (800 / 200) == 2400 / 200 == 12
    assert exercise.times_smaller() == pytest.approx(10.43, abs=0.005)


def test_a_live_search_finds_a_cell_of_the_best_tenth(tmp_path):
    from lib.road import stages

    road = stages.Road(tmp_path, capstone.STAGES, ["search"])
    capstone.search_stage(road)
    cell = search_space.from_text(road.file("cell.txt").read_text("utf-8"))
    table = tabular.load()
    mine = table.query(cell)
    better = sum(table.query(other) > mine for other in table.genotypes)
    assert better < 0.1 * len(table)
    assert capstone.cell_of(road) == search_space.FOUND  # shipped weights fit no other


@pytest.mark.parametrize("at", ["detect"])
def test_a_live_road_killed_in_the_middle_goes_on(tmp_path, at):
    """Killed (SIGKILL where there is one) when `detect` begins; then it arrives."""
    code = (
        "import sys; from lib.road import capstone;"
        f"capstone.walk(capstone.STAGES, {str(tmp_path)!r}, steps=2,"
        " say=lambda text: print(text, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(lib.ROOT)}
    call = [sys.executable, "-c", code]
    first = subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True)
    for line in first.stdout:
        if f" {at}: " in line:
            time.sleep(0.5)
            first.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            break
    first.wait()
    assert not (tmp_path / f"{at}.json").exists()
    second = subprocess.run(
        call, env=environment, capture_output=True, text=True, check=True
    )
    said = second.stdout.splitlines()
    assert said[:3] == [
        f"{i}/7 {name}: done before (live)"
        for i, name in enumerate(("search", "derive", "scale"), 1)
    ]
    assert said[3] == "4/7 detect: live" and said[-1] == "7/7 export: live"
    network = export.Network(tmp_path / "pruned_int8.onnx")
    classes, _ = network(torch.zeros(1, 3, 128, 128))
    assert [tuple(x.shape) for x in classes] == [
        (1, 20, 32, 32), (1, 20, 16, 16), (1, 20, 8, 8)
    ]  # fmt: skip
    # Another detector into the same folder: it begins anew, and is not refused.
    told = []
    capstone.walk(["detect"], tmp_path, steps=2, say=told.append)
    assert told[3] == "4/7 detect: live" and told[-1] == "7/7 export: shipped"
