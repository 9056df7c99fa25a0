"""What a network costs, drawn: a roof with layers under it, and scores over times.

A roofline has two limits, the arithmetic and the traffic with memory; whichever is
lower is the roof. A deployment has three numbers: how good, how fast, how large. They
stand in one figure, the third one as the area of a disc.

For 22_export.
"""

import numpy as np

from lib.book.figure import (
    PALETTE,
    Figure,
    array,
    blank,
    finish,
    in_style,
    named,
    number,
    point_labels,
    settle,
    span,
    texts,
)

LARGEST = 1100  # points squared: the area of the largest disc


@in_style
def roofline(layers, roofs, *, x_label, y_label, title="", says=None) -> Figure:
    """Layers as points under their roofs, both axes logarithmic.

    `layers` maps a name to (work a byte, work a second, the name of its roof), `roofs`
    a name to (peak rate, bandwidth): a roof is min(peak, bandwidth * work a byte).
    """
    limits = named("roofs", roofs, most=3, positive=True, size=2)
    for name, layer in layers.items():
        if len(layer) != 3 or layer[2] not in limits:
            wanted = f"(work a byte, work a second, one of {', '.join(limits)})"
            raise ValueError(f"layers {name!r}: got {layer}; give {wanted}")
    x = array("layers", [layer[0] for layer in layers.values()], positive=True)
    y = array("layers", [layer[1] for layer in layers.values()], positive=True)
    canvas, axes = blank(title, x_label, y_label, log_x=True, log_y=True)
    reach = np.geomspace(x.min() / 2, x.max() * 2, 60)
    told, shares = [], []
    for i, (name, (peak, bandwidth)) in enumerate(limits.items()):
        roof = np.minimum(peak, bandwidth * reach)
        axes.plot(reach, roof, color=PALETTE[i], label=f"roof, {name}")
        under = [k for k, layer in enumerate(layers.values()) if layer[2] == name]
        axes.plot(x[under], y[under], "os^"[i], color=PALETTE[i], ms=6)
        told.append(f"{name}: at most {number(peak)}, rising with {number(bandwidth)}")
        for k in under:
            share = y[k] / min(peak, bandwidth * x[k])
            shares.append(f"{list(layers)[k]} {share:.0%}")
    axes.legend(frameon=False, loc="lower right")
    axes.margins(0.1)
    settle(axes)
    point_labels(axes, x, y, texts("layers", list(layers), len(x)))
    spots = [
        f"{n} ({number(a)}, {number(b)})" for n, a, b in zip(layers, x, y, strict=True)
    ]
    alt = f"Rooflines. x: {x_label}. y: {y_label}. {'; '.join(told)}."
    alt += f" Layers (x, y): {'; '.join(spots)}."
    claim = f"How much of its roof a layer reaches: {', '.join(shares)}."
    return finish(canvas, title, alt, says, claim)


@in_style
def discs(points, *, x_label, y_label, area_label, title="", says=None) -> Figure:
    """A disc for each name: where it lies, and how large it is.

    `points` maps a name to (x, y, area), the area in the unit that `area_label` says.
    """
    points = named("points", points, most=24, size=3)
    x, y, area = np.array(list(points.values())).T
    area = array("points", area, positive=True)
    canvas, axes = blank(title, x_label, y_label)
    sizes = LARGEST * area / area.max()
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(points))]
    axes.scatter(x, y, s=sizes, c=colours, alpha=0.45, lw=0)
    axes.plot(x, y, ".", color="#222222", ms=3)
    axes.margins(0.18)
    settle(axes)
    point_labels(axes, x, y, texts("points", list(points), len(x)))
    told = [
        f"{n} ({number(a)}, {number(b)}, {number(c)})"
        for n, (a, b, c) in points.items()
    ]
    alt = f"Discs. x: {x_label}, {span(x.min(), x.max())}. y: {y_label},"
    alt += f" {span(y.min(), y.max())}. Area: {area_label}. (x, y, area):"
    alt += f" {'; '.join(told)}."
    first, last = list(points)[x.argmin()], list(points)[x.argmax()]
    claim = f"Leftmost {first}, rightmost {last}; areas from"
    claim += f" {number(area.min())} to {number(area.max())} ({area_label})."
    return finish(canvas, title, alt, says, claim)
