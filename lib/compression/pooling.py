"""Pools in ONNX: which windows there are is written down as pads.

`g` is the `operators.Writer` that notes nodes, `node` the pool in its graph. Support
for `operators`. Chapter 22.
"""


def pool(g, node, kind, x, kernel, stride, padding, dilation, **how):
    """Pads are written down: ONNX's ceil_mode counts windows that torch leaves out."""
    kernel = pair(kernel)
    stride = pair(stride or kernel)
    padding = pair(padding)
    dilation = pair(dilation)
    pads_behind = []
    for i in (0, 1):
        size = g.picture(x)[i]
        windows = g.picture(node)[i]
        window = (kernel[i] - 1) * dilation[i] + 1
        reach = (windows - 1) * stride[i] + window
        behind = reach - size - padding[i]
        pads_behind.append(max(0, behind))  # Eq. 22.4
    hangs_over = any(e > p for e, p in zip(pads_behind, padding, strict=True))
    if how.get("count_include_pad") and hangs_over:
        said = "windows that hang over count pads; no ONNX form"
        raise ValueError(f"{node.name}: {said}")
    how["kernel_shape"] = kernel
    how["strides"] = stride
    how["pads"] = [*padding, *pads_behind]
    if kind == "MaxPool":
        how["dilations"] = dilation
    return g.add(kind, [g.names[x]], node, **how)


def pair(value) -> list[int]:
    """The two sizes of a window, of which torch may write one."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * (2 // len(values))


def max_pool(g, node, x, kernel, stride, padding, dilation, ceil):
    """The node of a max pool, its windows told by `pool`."""
    return pool(g, node, "MaxPool", x, kernel, stride, padding, dilation)


def average_pool(g, node, x, kernel, stride, padding, ceil, count, divisor):
    """The node of an average pool; ValueError for a divisor of its own."""
    if divisor is not None:
        raise ValueError(f"{node.name}: a divisor of its own has no ONNX form")
    how = {"count_include_pad": int(count)}
    return pool(g, node, "AveragePool", x, kernel, stride, padding, 1, **how)
