"""How long each layer of a file takes: whose time is whose, and medians of turns."""

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")

from lib.compression import clocked, deployed, export, grids, qat  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network with one layer that has most of the work, in floats and in integers."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 128, 3, 1, 1), nn.ReLU6(),
        nn.Conv2d(128, 128, 3, 1, 1), nn.Conv2d(128, 8, 1),
    )  # fmt: skip
    x = torch.randn(1, 8, 32, 32)
    graph = deployed.deployed(net.eval(), x)
    fake = grids.settle(qat.calibrate(qat.prepare(graph), [x]))
    folder = tmp_path_factory.mktemp("clocked")
    floats = export.to_onnx(graph, x, folder / "floats.onnx")
    integers = export.to_qdq_onnx(fake, x, folder / "integers.onnx")
    return {"floats": floats, "integers": integers}, x


def test_the_layer_with_most_of_the_work_takes_longest(files):
    """Third: 151 million multiply-adds; second: 9; the others less than 2."""
    paths, x = files
    times = clocked.layer_times(paths, x, turns=2, runs=5)
    assert list(times) == ["floats", "integers"]
    for file in times.values():
        assert len(file) == 4 and all(ms > 0 for ms in file)
        assert max(file) == file[2] and sorted(file)[-2] == file[1]


def test_layers_take_what_the_kinds_of_a_profile_take(files):
    """Told apart by kind, the same runtime says the same, but for its noise."""
    paths, x = files
    (times,) = clocked.layer_times({"floats": paths["floats"]}, x, 2, 10).values()
    kinds = export.profile(paths["floats"], x)
    assert times[1] + times[2] == pytest.approx(kinds["conv 3x3"], rel=0.7)


def test_medians_of_all_turns_without_those_that_warm_up(files, monkeypatch):
    """By hand: two turns of two runs; 9s warm up, 1 2 3 8 have the median 2.5."""
    paths, x = files
    turns = iter([[9, 9, 9, 1, 8], [9, 9, 9, 3, 2]])
    model = clocked.onnx.load(str(paths["floats"]))
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    ends = "", "_token_7", "", "_token_12_nchwc"

    def said(path, images, runs):
        assert runs == 5
        facts = {"op_name": "FusedConv"}
        return [
            {"name": f"{name}{end}_kernel_time", "args": facts, "dur": 1000 * ms}
            for ms in next(turns) for name, end in zip(names, ends, strict=True)
        ] + [{"name": "run", "args": {}, "dur": 1}]  # fmt: skip

    monkeypatch.setattr(clocked, "events", said)
    times = clocked.layer_times({"floats": paths["floats"]}, x, turns=2, runs=2)
    assert times == {"floats": [2.5] * 4}


def test_a_runtime_that_names_nothing_is_refused(files, monkeypatch):
    paths, x = files
    facts = {"op_name": "Conv"}
    events = [{"name": "7_kernel_time", "args": facts, "dur": 1.0}]
    monkeypatch.setattr(clocked, "events", lambda *_: events)
    with pytest.raises(ValueError, match="floats: the runtime does not say when conv"):
        clocked.layer_times({"floats": paths["floats"]}, x)
    with pytest.raises(ValueError, match="turns is 0"):
        clocked.layer_times(paths, x, turns=0)
