"""One picture through four forms of a network: which of them parts, and where."""

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")

from lib.compression import deployed, export, following, grids, qat  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small network, rounded, and its file."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1)
    )
    x = torch.randn(2, 3, 12, 12)
    fake = qat.prepare(deployed.deployed(net.eval(), x))
    grids.settle(qat.calibrate(fake, [x]))
    path = tmp_path_factory.mktemp("followed") / "net.onnx"
    return fake, x, export.to_qdq_onnx(fake, x[:1], path)


def test_four_forms_of_a_sound_network_stay_together(made):
    fake, x, path = made
    rows = following.follow(fake, x, path)
    assert [row.name for row in rows] == list(qat.maps(fake))
    assert all(row.integer <= 1 and row.file <= 1 for row in rows)
    assert all(15 < row.decibels < 70 for row in rows)  # 6 dB a bit, of 8 at most
    assert following.first_apart(rows) is following.first_apart(rows, "integer") is None


def test_the_first_tensor_that_parts_is_named(made):
    """A file with the bias of its second layer moved by hand: its map is the first."""
    fake, x, path = made
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(path))
    second = list(qat.layers(fake))[1]
    node = next(n for n in model.graph.node if n.name == second)
    of_bias = next(n for n in model.graph.node if n.output[0] == node.input[2])
    for tensor in model.graph.initializer:
        if tensor.name == of_bias.input[0]:
            values = onnx.numpy_helper.to_array(tensor) + 40_000
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    spoiled = path.with_name("spoiled.onnx")
    onnx.save(model, spoiled)
    rows = following.follow(fake, x, spoiled)
    assert following.first_apart(rows) == f"after_{second}"
    assert following.first_apart(rows, "integer") is None


def test_nothing_is_changed_and_another_file_is_refused(made, tmp_path):
    fake, x, path = made
    before = [m.state for m in fake.modules() if isinstance(m, qat.FakeQuantize)]
    following.follow(fake, x, path, operators=False)
    assert before == [
        m.state for m in fake.modules() if isinstance(m, qat.FakeQuantize)
    ]
    floats = export.to_onnx(deployed.deployed(nn.Conv2d(3, 2, 1), x), x, tmp_path / "f")
    with pytest.raises(ValueError, match="another network's file"):
        following.follow(fake, x, floats)
