"""Q and DQ, as nodes that any graph format can hold: what, of what, to what.

A file says where a value is rounded by two operators in a row. The first makes
integers, the second real numbers again, by the same step and zero point. On paper the
operators between pairs compute in floats; a runtime that finds DQ, operator, Q may put
one operator on integers in their place (Eq. 22.2).

Support for `qdq`, which writes ONNX; chapter 22. onnx.ai/onnx/operators.
"""

from lib.basics import arguments


@arguments.named
def pair(x: str, scale: str, zero: str, name: str) -> list[tuple[str, list[str], str]]:
    """The two nodes behind a value: (operator, names that it reads, name it gives).

    `x`, `scale` and `zero` are names of tensors in the graph: the value, the step and
    the zero point. The integers are called `name`.q, the real numbers `name`.dq.

    >>> q, dq = pair("map", "step", "zero", "7")
    >>> q
    ('QuantizeLinear', ['map', 'step', 'zero'], '7.q')
    >>> dq
    ('DequantizeLinear', ['7.q', 'step', 'zero'], '7.dq')
    """
    grid = [scale, zero]
    integers = name + ".q"
    reals = name + ".dq"
    q = ("QuantizeLinear", [x] + grid, integers)  # noqa: RUF005
    dq = ("DequantizeLinear", [integers] + grid, reals)  # noqa: RUF005
    return [q, dq]  # Eq. 22.1
