"""The pair Q, DQ: what stands in it, and what a runtime makes of it."""

import pytest

from lib.compression import pairs


@pytest.mark.equation("22.1")
def test_both_read_one_grid_and_the_second_reads_the_first():
    """By hand: onnx.ai/onnx/operators names the inputs x, y_scale, y_zero_point."""
    (kind, reads, q), (back, of_q, dq) = pairs.pair("x", "s", "z", "12")
    assert (kind, reads) == ("QuantizeLinear", ["x", "s", "z"])
    assert (back, of_q) == ("DequantizeLinear", [q, "s", "z"])
    assert (q, dq) == ("12.q", "12.dq")


@pytest.mark.equation("22.1")
def test_onnxruntime_rounds_by_hand():
    """Steps of 0.5, zero at 2: 0.6 is 1.2 steps, so 0.5; 500 ends at 253 steps."""
    np, onnx = pytest.importorskip("numpy"), pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    helper = onnx.helper
    nodes = [helper.make_node(k, r, [g]) for k, r, g in pairs.pair("x", "s", "z", "1")]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None])
        for name in ("x", "1.dq")
    ]
    grid = {"s": np.float32(0.5), "z": np.uint8(2)}
    stored = [onnx.numpy_helper.from_array(np.array(v), k) for k, v in grid.items()]
    graph = helper.make_graph(nodes, "pair", ends[:1], ends[1:], stored)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    run = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.array([0.6, 500.0, -3.0], np.float32)
    assert run.run(None, {"x": x})[0].tolist() == [0.5, 126.5, -1.0]
