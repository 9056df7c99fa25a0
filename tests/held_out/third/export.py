"""Chapter 22: answers from the task texts."""

from collections import namedtuple

from tests.held_out import right, wrong

Node = namedtuple("Node", ["operator", "reads", "gives"])


@wrong("export.pair", "the second node reads the value itself, not its integers")
def pair_1(x, scale, zero, name):
    return [
        ("QuantizeLinear", [x, scale, zero], name + ".q"),
        ("DequantizeLinear", [x, scale, zero], name + ".dq"),
    ]


@wrong("export.pair", "the zero point stands before the step")
def pair_2(x, scale, zero, name):
    q = f"{name}.q"
    return [
        ("QuantizeLinear", [x, zero, scale], q),
        ("DequantizeLinear", [q, zero, scale], f"{name}.dq"),
    ]


@wrong("export.pair", "the second node has neither step nor zero point")
def pair_3(x, scale, zero, name):
    return [
        ("QuantizeLinear", [x, scale, zero], f"{name}.q"),
        ("DequantizeLinear", [f"{name}.q"], f"{name}.dq"),
    ]


@wrong("export.pair", "the results are named after the value, not by `name`")
def pair_4(x, scale, zero, name):
    nodes = []
    reads = x
    for operator, ending in (("QuantizeLinear", ".q"), ("DequantizeLinear", ".dq")):
        nodes.append((operator, [reads, scale, zero], x + ending))
        reads = x + ending
    return nodes


@wrong("export.pair", "the real numbers have both endings behind each other")
def pair_5(x, scale, zero, name):
    q = name + ".q"
    dq = q + ".dq"
    first = ("QuantizeLinear", [x, scale, zero], q)
    second = ("DequantizeLinear", [q, scale, zero], dq)
    return [first, second]


@wrong("export.pair", "what a node gives stands before what it reads")
def pair_6(x, scale, zero, name):
    return [
        ("QuantizeLinear", name + ".q", [x, scale, zero]),
        ("DequantizeLinear", name + ".dq", [name + ".q", scale, zero]),
    ]


@right("export.pair")
def pair_7(x, scale, zero, name):
    return [
        ("QuantizeLinear", [x, scale, zero], name + ".q"),
        ("DequantizeLinear", [name + ".q", scale, zero], name + ".dq"),
    ]


@right("export.pair")
def pair_8(x, scale, zero, name):
    nodes = []
    source = x
    for kind, ending in (("Quantize", "q"), ("Dequantize", "dq")):
        target = f"{name}.{ending}"
        nodes.append((f"{kind}Linear", [source, scale, zero], target))
        source = target
    return nodes


@right("export.pair")
def pair_9(x, scale, zero, name):
    integers = ".".join([name, "q"])
    q = Node("QuantizeLinear", [x, scale, zero], integers)
    dq = Node("DequantizeLinear", [q.gives, *q.reads[1:]], ".".join([name, "dq"]))
    return [q, dq]
