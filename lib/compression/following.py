"""One picture through the same network four times: where do two of them part?

In real numbers, rounded in real numbers, in integers, and as a file that a runtime
runs: the four should agree, tensor by tensor, or say where they stop. A table names
each rounding in the order they run, and the first that is off by more than a step is
where to look. For `export`'s files; chapter 22.
"""

from os import PathLike
from typing import NamedTuple

import onnx
import onnxruntime
import torch
from torch import Tensor, fx

from lib.basics import arguments
from lib.compression import integer, qat, qdq, quantize


class Row(NamedTuple):
    """One rounding: its noise, and how far the others are from it, in its own steps."""

    name: str
    decibels: float  # of the rounded network against the real one, Eq. 19.6
    integer: float  # the largest difference of the integer network
    file: float  # the largest difference of the file
    off: float  # the share of the file's values that differ


@torch.no_grad()
def follow(
    fake_quantized: fx.GraphModule, images: Tensor, path: str | PathLike,
    operators: bool = True,
) -> list[Row]:  # fmt: skip
    """Every rounding of a network on `images` (B C H W): real, rounded, integer, file.

    `path` is the file that `export.to_qdq_onnx` made of the network. With `operators`
    each operator of the integer network reads what the rounded one made, so that its
    own differences are seen; else they travel. (A runtime's travel always.) ValueError
    as of `integer.convert`, or for a file of another network.
    """
    arguments.instance("fake_quantized", fake_quantized, fx.GraphModule)
    arguments.path("path", path)
    arguments.flag("operators", operators)
    rounded = _seen(fake_quantized, images, "quantize")
    real = _seen(fake_quantized, images, "off")
    network = integer.convert(fake_quantized)
    apart = integer.differences(fake_quantized, network, images, travel=not operators)
    from_file = _of_file(fake_quantized, images, path)
    rows = []
    for name, module in qat.maps(fake_quantized).items():
        grid = module.qparams()
        wanted = quantize.quantize(rounded[name], grid)
        found = quantize.quantize(from_file[name], grid)
        steps = (found - wanted).abs()
        noise = quantize.sqnr(real[name], rounded[name])
        own = float(apart[name].abs().max()) if name in apart else 0.0
        share = float((steps > 0).double().mean())
        rows.append(Row(name, noise, own, float(steps.max()), share))
    return rows


def first_apart(rows: list[Row], of: str = "file", steps: float = 1.0) -> str | None:
    """The first rounding where "integer" or "file" is off by more, or None.

    >>> first_apart([Row("a", 40.0, 0.0, 1.0, 0.1), Row("b", 30.0, 0.0, 7.0, 0.5)])
    'b'
    """
    arguments.one_of("of", of, ("integer", "file"))
    steps = arguments.real_number("steps", steps, least=0)
    far = (row.name for row in rows if getattr(row, of) > steps)
    return next(far, None)


def _seen(model: fx.GraphModule, images: Tensor, state: str) -> dict[str, Tensor]:
    """What each rounding gives while all of them are in a state; put back after it."""
    seen, handles = {}, []
    rounding = [m for m in model.modules() if isinstance(m, qat.FakeQuantize)]
    states = [module.state for module in rounding]
    for name, module in qat.maps(model).items():
        handles.append(
            module.register_forward_hook(
                lambda _, __, out, name=name: seen.update({name: out})
            )
        )
    try:
        for module in rounding:
            module.state = state
        model(images)
    finally:
        for module, before in zip(rounding, states, strict=True):
            module.state = before
        for handle in handles:
            handle.remove()
    return seen


def _of_file(
    model: fx.GraphModule, images: Tensor, path: str | PathLike
) -> dict[str, Tensor]:
    """What a runtime has behind each pair Q, DQ of a file, by the rounding's name."""
    writer = qdq.Writer(model)
    writer.write(images)
    values = {n.target: writer.names[n] for n in writer.grids if n.op == "call_module"}
    proto = onnx.load(str(path))
    given = {output for node in proto.graph.node for output in node.output}
    if missing := [name for name, value in values.items() if value not in given]:
        raise ValueError(f"{path} has no {missing[0]}: it is another network's file")
    for value in values.values():
        kind = onnx.TensorProto.FLOAT
        proto.graph.output.append(onnx.helper.make_tensor_value_info(value, kind, None))
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads, how.log_severity_level = 1, 3
    where = ["CPUExecutionProvider"]
    run = onnxruntime.InferenceSession(proto.SerializeToString(), how, where)
    found = run.run(list(values.values()), {run.get_inputs()[0].name: images.numpy()})
    return dict(zip(values, map(torch.from_numpy, found), strict=True))
