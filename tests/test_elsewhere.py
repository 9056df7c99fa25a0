"""The tools of others on a small network: what they give, beside PyTorch."""

import collections
import types

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")

from lib.compression import deployed, elsewhere, export  # noqa: E402


@pytest.fixture
def small():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.Conv2d(8, 4, 1)).eval()


def test_the_files_of_torch_and_of_onnxruntime_compute_the_network(small, tmp_path):
    """quantize_static keeps the results, and integers run where maps are bytes."""
    x = torch.randn(8, 3, 12, 12)
    theirs = elsewhere.torch_onnx(small, x[:2], tmp_path / "theirs.onnx")
    with torch.no_grad():
        wanted = small(x)
    torch.testing.assert_close(export.Network(theirs)(x), wanted, rtol=0, atol=1e-4)
    how = elsewhere.bytes_for_maps()
    int8 = elsewhere.static(theirs, x.split(4), tmp_path / "int8.onnx", **how)
    far = (export.Network(int8)(x) - wanted).abs().max()
    assert far < 0.05 * wanted.abs().max()
    counts = export.operator_counts(int8, optimized=True)
    assert counts["QLinearConv"] == 3 and "Conv" not in counts
    assert not list(tmp_path.glob("*prepared*"))  # nothing else is left behind


def test_a_network_that_trains_is_written_as_it_judges_and_trains_on(small, tmp_path):
    net = nn.Sequential(small, nn.Dropout(0.5)).train()
    small[0].eval()  # one layer that stands still, as a frozen norm
    before = [module.training for module in net.modules()]
    x = torch.randn(2, 3, 12, 12)
    file = elsewhere.torch_onnx(net, x, tmp_path / "theirs.onnx")
    assert [module.training for module in net.modules()] == before
    with torch.no_grad():  # without dropout
        torch.testing.assert_close(export.Network(file)(x), small(x), rtol=0, atol=1e-4)


def test_a_function_of_pictures_stands_in_for_a_detector():
    config = types.SimpleNamespace(image_size=(8, 8))
    model = elsewhere.Outside(lambda x: ([x, 2 * x], [3 * x, 4 * x]), config)
    classes, boxes = model.eval()(torch.ones(1))
    assert [float(each) for each in (*classes, *boxes)] == [1, 2, 3, 4]
    assert model.config is config and next(model.parameters()).device.type == "cpu"


def test_torchao_rounds_the_flat_graph(small):
    pytest.importorskip("torchao.quantization.pt2e.quantize_pt2e")
    x = torch.randn(4, 3, 12, 12)
    rounded = elsewhere.pt2e(deployed.deployed(small, x), x.split(2))
    names = (str(n.target) for n in rounded.graph.nodes if n.op == "call_function")
    kinds = collections.Counter(name.split(".")[1] for name in names)
    assert kinds["dequantize_per_channel"] == 3


def test_openvino_runs_our_file(small, tmp_path):
    pytest.importorskip("openvino")
    x = torch.randn(2, 3, 12, 12)
    run = elsewhere.openvino(export.to_onnx(small, x, tmp_path / "floats.onnx"))
    with torch.no_grad():
        torch.testing.assert_close(run(x)[0], small(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: elsewhere.missing(3), "packages"),
        (lambda: elsewhere.torch_onnx(3, torch.ones(1), "x"), "model"),
        (lambda: elsewhere.static(3, [], "x"), "float_file"),
        (lambda: elsewhere.pt2e(3, []), "graph"),
        (lambda: elsewhere.Outside(3, None), "run"),
        (lambda: elsewhere.openvino(3), "path"),
    ],
)
def test_wrong_kinds_are_named(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()
