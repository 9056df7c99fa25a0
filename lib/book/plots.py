"""Figures from plain arrays, each with its alt text and its statement.

The idea: every function takes lists, NumPy arrays or tensors and gives a `Figure`
with a PNG, an alternative text and one sentence, both computed from what was plotted.
Colour is never the only carrier: markers, dashes and labels say it too.
Bad numbers raise ValueError with the name of the series. Chapter: every one.
"""

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas

from lib.book.architectures import detector, stack
from lib.book.figure import (
    DASHES,
    HALO,
    INK,
    MARKERS,
    PALETTE,
    STYLE,
    Figure,
    array,
    blank,
    end_labels,
    finish,
    in_style,
    listed,
    named,
    need_a_row_each,
    number,
    point_labels,
    settle,
    span,
    texts,
    ticks,
    whole,
)
from lib.book.graphs import graph
from lib.book.landscapes import contours
from lib.book.mechanisms import mbconv, unrolled
from lib.book.pictures import boxes, images
from lib.book.pyramids import levels
from lib.book.staircases import staircase

# A chapter says plots.boxes and plots.PALETTE, whatever file they live in.
__all__ = ["PALETTE", "Figure", "boxes", "graph", "images", "staircase"]
__all__ += ["contours", "detector", "levels", "mbconv", "stack", "unrolled"]


def style() -> None:
    """Make the house style matplotlib's own, for figures drawn by hand."""
    matplotlib.rcParams.update(STYLE)


@in_style
def lines(
    x, series, *, x_label, y_label, title="", says=None, log_x=False, log_y=False,
    band=None,
) -> Figure:  # fmt: skip
    """One line for each named series over a shared x.

    `band` maps a series' name to its (low, high), drawn as a shade around the line.
    """
    x = array("x", x, positive=log_x)
    series = named("series", series, most=len(PALETTE), size=len(x), positive=log_y)
    canvas, axes = blank(title, x_label, y_label, log_x, log_y)
    told = []
    for i, (name, y) in enumerate(series.items()):
        look = {"color": PALETTE[i], "marker": MARKERS[i]}
        every = max(1, len(x) // 8) if len(x) > 24 else 1
        axes.plot(x, y, ls=DASHES[i % 4], markevery=(i % every, every), **look)
        low, high = int(y.argmin()), int(y.argmax())
        told.append(
            f"{name}: starts at {number(y[0])}, ends at {number(y[-1])}, minimum "
            f"{number(y[low])} at {number(x[low])}, maximum {number(y[high])} at "
            f"{number(x[high])}."
        )
    bare = band is None or (isinstance(band, dict) and not band)
    band = {} if bare else named("band", band, len(PALETTE), ndim=2, size=2)
    for name, (low, high) in band.items():
        if name not in series:
            raise ValueError(f"band: {name!r} is not among the series {list(series)}")
        low = array(f"band {name!r}", low, size=len(x), positive=log_y)
        high = array(f"band {name!r}", high, size=len(x), positive=log_y)
        if (low > high).any():
            i = int((low > high).argmax())
            raise ValueError(f"band {name!r}: low {low[i]} is above high {high[i]}")
        shade = PALETTE[list(series).index(name)]
        axes.fill_between(x, low, high, color=shade, alpha=0.15, lw=0)
        told.append(f"Band of {name} at the end: {span(low[-1], high[-1])}.")
    if not log_x and (x == x.round()).all():
        axes.xaxis.get_major_locator().set_params(integer=True)
    end_labels(axes, x, series)
    ends = "; ".join(f"{name} {number(y[-1])}" for name, y in series.items())
    name, y = next(iter(series.items()))
    one = f"{name} goes from {number(y[0])} to {number(y[-1])} as {x_label} goes from "
    one += f"{number(x[0])} to {number(x[-1])}."
    many = f"{y_label} at {x_label} = {number(x[-1])}: {ends}."
    alt = f"Line plot. x: {x_label}, {span(x[0], x[-1])}. y: {y_label}."
    alt = " ".join([alt, *told])
    return finish(canvas, title, alt, says, one if len(series) == 1 else many)


@in_style
def points(groups, *, y_label, x_label="", title="", says=None, log_y=False) -> Figure:
    """Every value of every group as a point, its median as a bar."""
    groups = named("groups", groups, most=24, positive=log_y)
    flat = need_a_row_each(list(groups), most=6)
    canvas, axes = _grouped(title, x_label, y_label, list(groups), log_y, flat)
    told, medians = [], []
    for i, (name, y) in enumerate(groups.items()):
        # Moved aside by position, not by chance: the same values, the same picture.
        aside = i + 0.4 * ((np.arange(len(y)) + 0.5) / len(y) - 0.5)
        middle = float(np.median(y))
        ends = np.array((i - 0.3, i + 0.3)), np.array((middle, middle))
        axes.plot(*(ends[::-1] if flat else ends), color=PALETTE[1], lw=2.5)
        spot = (y, aside) if flat else (aside, y)
        axes.plot(*spot, "o", color=PALETTE[0], alpha=0.75, mew=0, ms=6)
        axes.annotate(
            number(middle), (1, i) if flat else (i + 0.3, middle), (3, 0), size=9,
            xycoords=axes.get_yaxis_transform() if flat else "data", va="center",
            textcoords="offset points", path_effects=[HALO],
        )  # fmt: skip
        told.append(
            f"{name}: median {number(middle)} of {len(y)}, {span(y.min(), y.max())}."
        )
        medians.append(f"{name} {number(middle)}")
    if not flat:
        axes.set_xlim(-0.6, len(groups) - 0.3)
    settle(axes, right=0.7 if flat else 0.4)
    alt = " ".join([f"Points by group, bar at the median. y: {y_label}.", *told])
    claim = f"Median of {y_label}: {'; '.join(medians)}."
    return finish(canvas, title, alt, says, claim)


@in_style
def intervals(groups, *, y_label, x_label="", title="", says=None) -> Figure:
    """An estimate with its interval for each name: a point with whiskers.

    `groups` maps a name to (estimate, low, high). Raises ValueError where the estimate
    lies outside its interval.
    """
    groups = named("groups", groups, most=24, size=3)
    for name, (middle, low, high) in groups.items():
        if not low <= middle <= high:
            raise ValueError(
                f"groups {name!r}: {number(middle)} lies outside its interval, "
                f"{span(low, high)}; give (estimate, low, high)"
            )
    canvas, axes = _grouped(title, x_label, y_label, list(groups), False, True)
    middle, low, high = np.array(list(groups.values())).T
    rows, reach = range(len(groups)), (middle - low, high - middle)
    axes.errorbar(
        middle, rows, xerr=reach, fmt="o", color=PALETTE[0], ms=6, capsize=5, lw=1.8
    )
    for row in rows:
        axes.annotate(
            number(round(middle[row], 3)), (1, row), (3, 0), size=9, va="center",
            xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        )  # fmt: skip
    settle(axes, right=0.7)
    told = [f"{name} {number(m)} ({span(a, b)})" for name, (m, a, b) in groups.items()]
    alt = f"Estimates of {y_label} with intervals as whiskers: {'; '.join(told)}."
    return finish(canvas, title, alt, says, f"{y_label}: {'; '.join(told)}.")


def _grouped(title, x_label, y_label, names, log, flat):
    """Axes with names below, or, lying flat, at the left from top to bottom."""
    if not flat:
        canvas, axes = blank(title, x_label, y_label, log_y=log)
        ticks(axes.xaxis, names, room=72 // len(names) - 1)
        axes.grid(axis="x", visible=False)
        return canvas, axes
    height = 0.9 + 0.3 * max(len(names), 5)
    canvas, axes = blank(title, y_label, x_label, log_x=log, height=height)
    ticks(axes.yaxis, names, room=40)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    return canvas, axes


@in_style
def scatter(
    x, y, *, x_label, y_label, names=None, front=None, title="", says=None,
    log_x=False, log_y=False,
) -> Figure:  # fmt: skip
    """Points (x, y); those of `front` (indices of a Pareto front) joined by steps."""
    x = array("x", x, positive=log_x)
    y = array("y", y, size=len(x), positive=log_y)
    names = texts("names", names, len(x))
    front = [] if front is None else listed("front", front, "indices of points")
    front = sorted({whole("front", i, least=0) for i in front})
    if front and not 0 <= front[0] <= front[-1] < len(x):
        raise ValueError(f"front: indices lie in 0 to {len(x) - 1}, got {front}")
    front.sort(key=x.take)
    canvas, axes = blank(title, x_label, y_label, log_x, log_y)
    rest = [i for i in range(len(x)) if i not in front]
    axes.plot(x[rest], y[rest], "o", color=PALETTE[0], mfc="white", mew=1.5)
    axes.step(x[front], y[front], where="post", color=PALETTE[1], lw=1.2)
    axes.plot(x[front], y[front], "s", color=PALETTE[1])
    axes.margins(0.12)
    settle(axes)
    if names:
        steps = np.repeat(x[front], 2)[1:], np.repeat(y[front], 2)[:-1]
        point_labels(axes, x, y, names, steps)
    spot = [f"({number(a)}, {number(b)})" for a, b in zip(x, y, strict=True)]
    named = [f"{n} {s}" for n, s in zip(names, spot, strict=True)] if names else spot
    alt = f"Scatter plot of {len(x)} points. x: {x_label}, {span(x.min(), x.max())}."
    alt += f" y: {y_label}, {span(y.min(), y.max())}."
    if len(x) <= 24:
        alt += f" Points (x, y): {'; '.join(named)}."
    best = f"On the front, {len(front)} of {len(x)}: "
    best += "; ".join(named[i] for i in front) + "."
    spread = f"{y_label} is {span(y.min(), y.max())} over {len(x)} points."
    claim = best if front else spread
    return finish(canvas, title, alt + (f" {best}" if front else ""), says, claim)


@in_style
def bars(values, *, y_label, x_label="", title="", says=None, log=False) -> Figure:
    """One bar for each named value, the value written at its end."""
    if not hasattr(values, "items"):
        raise ValueError("values: give a dictionary from a name to its number")
    names = [str(name) for name in values]
    y = array("values", list(values.values()), positive=log)
    flat = need_a_row_each(names)
    canvas, axes = _grouped(title, x_label, y_label, names, log, flat)
    draw = axes.barh if flat else axes.bar
    shown = draw(range(len(y)), y, 0.65, color=PALETTE[0])
    axes.bar_label(shown, [number(v) for v in y], padding=3, size=9)
    axes.margins(**{"x" if flat else "y": 0.1})
    settle(axes, right=0.5 if flat else 0.15)
    told = ", ".join(f"{n} {number(v)}" for n, v in zip(names, y, strict=True))
    least, most = (f"{number(y[i])} ({names[i]})" for i in (y.argmin(), y.argmax()))
    claim = f"{y_label}: from {least} to {most}."
    return finish(canvas, title, f"Bar chart of {y_label}: {told}.", says, claim)


@in_style
def histogram(values, *, bins, x_label, y_label="count", title="", says=None) -> Figure:
    """How often values fall in each bin; `values` is an array or a dict of arrays."""
    groups = named("values", values if isinstance(values, dict) else {"": values}, 4)
    bins = array("bins", bins) if np.ndim(bins) else whole("bins", bins, most=10**4)
    if np.ndim(bins) and (len(bins) < 2 or (np.diff(bins) <= 0).any()):
        raise ValueError("bins: give a count, or two edges or more that rise")
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins)
    canvas, axes = blank(title, x_label, y_label)
    told = []
    for i, (name, v) in enumerate(groups.items()):
        count, _ = np.histogram(v, edges)
        axes.stairs(count, edges, color=PALETTE[i], alpha=0.25, fill=True)
        axes.stairs(count, edges, color=PALETTE[i], ls=DASHES[i], lw=1.8, label=name)
        first, middle, third = (number(q) for q in np.percentile(v, (25, 50, 75)))
        lost = len(v) - int(count.sum())
        told.append(
            f"{name + ': ' if name else ''}median {middle} of {len(v):,} values, half "
            f"of them from {first} to {third}, all {span(v.min(), v.max())}"
            + (f", {lost} outside the bins and not drawn" if lost else "")
        )
    if len(groups) > 1:
        axes.legend(frameon=False)
    settle(axes)
    alt = f"Histogram of {x_label} in {len(edges) - 1} bins. {'. '.join(told)}."
    claim = "; ".join(text.split(" values,")[0] for text in told)
    return finish(canvas, title, alt, says, f"{x_label}: {claim} values.")


@in_style
def grid(
    matrix, *, annotate=True, title="", x_label="column", y_label="row", columns=None,
    rows=None, says=None,
) -> Figure:  # fmt: skip
    """A heat map with its numbers; a dictionary of matrices stands side by side.

    `columns` and `rows` name the ticks. All matrices share one colour scale: light to
    dark blue, or, where some numbers are negative, orange through white to purple.
    """
    many = matrix if isinstance(matrix, dict) else {"": matrix}
    if not 1 <= len(many) <= 6:
        raise ValueError(f"matrix: {len(many)} given, 1 to 6 fit side by side")
    many = {k: array(f"matrix {k!r}" if k else "matrix", m, ndim=2)
            for k, m in many.items()}  # fmt: skip
    low, top = (f([f(m) for m in many.values()]) for f in (np.min, np.max))
    most = max(abs(low), abs(top))
    scale = ("PuOr", -most, most) if low < 0 else ("Blues", low, top)
    columns, rows = (
        None if names is None else listed(key, names, "names")
        for key, names in (("columns", columns), ("rows", rows))
    )
    canvas, panels, cell = _panels(title, many, columns, rows)
    letters = max(len(number(v)) for m in many.values() for v in m.flat)
    size = min(10, cell * 72 * 1.4 / max(letters, 2))
    written = annotate and size >= 5
    for axes, (name, m) in zip(panels, many.items(), strict=True):
        shown = axes.imshow(m, scale[0], vmin=scale[1], vmax=scale[2], aspect="auto")
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_title(name, size=10)
        for axis, names, count in (
            (axes.xaxis, columns, m.shape[1]), (axes.yaxis, rows, m.shape[0])
        ):  # fmt: skip
            if names is not None:
                axis.set_ticks(range(count), texts("columns or rows", names, count))
            elif count <= 16:
                axis.set_ticks(range(count))
        if written:
            _numbers(axes, m, shown, size)
    if not written:
        place = panels[-1].get_position()
        thin = 0.12 / canvas.get_figwidth()
        bar = canvas.add_axes((place.x1 + thin, place.y0, thin, place.height))
        canvas.colorbar(shown, cax=bar).outline.set_visible(False)
    told = [_matrix_in_words(name, m) for name, m in many.items()]
    alt = f"Heat map. x: {x_label}, y: {y_label}. {' '.join(told)}"
    name, m = next(iter(many.items()))
    where = [np.unravel_index(f(m), m.shape) for f in (np.argmin, np.argmax)]
    ends = [f"{number(m[r, c])} ({y_label} {r}, {x_label} {c})" for r, c in where]
    claim = f"Numbers from {ends[0]} to {ends[1]}."
    if len(many) > 1:
        claim = f"{len(many)} matrices, all numbers {span(low, top)}."
    return finish(canvas, title, alt, says, claim)


def _panels(title, many, columns, rows):
    """A canvas with axes for each matrix; all cells are squares of the same size."""
    left = 0.45 + 0.078 * max((len(str(r)) for r in rows), default=2) if rows else 0.6
    below, above = 0.5, 0.1 + 0.25 * bool(title) + 0.25 * any(many)
    count, wide = len(many), sum(m.shape[1] for m in many.values())
    high = max(m.shape[0] for m in many.values())
    cell = min(0.55, (6.5 - left * count) / wide, 4.5 / high)
    size = max(3.5, left * count + cell * wide + 0.6), cell * high + below + above
    canvas, x, panels = Canvas(figsize=size), 0.0, []
    canvas.text(0.08 / size[0], 1 - 0.08 / size[1], title, va="top", size=11)
    for m in many.values():
        x += left
        rect = x, size[1] - above - cell * m.shape[0], cell * m.shape[1], cell * len(m)
        panels.append(canvas.add_axes(np.array(rect) / (*size, *size)))
        panels[-1].spines[:].set_visible(False)
        panels[-1].grid(visible=False)
        x += rect[2]
    return canvas, panels, cell


def _numbers(axes, m, shown, size) -> None:
    """Each cell's number, in white where the cell is dark."""
    for (r, c), value in np.ndenumerate(m):
        light = np.dot(shown.to_rgba(value)[:3], (0.299, 0.587, 0.114)) > 0.5
        axes.text(
            c, r, number(value), ha="center", va="center", size=size,
            color=INK if light else "white",
        )  # fmt: skip


def _matrix_in_words(name, m) -> str:
    head = f"{name or 'Matrix'} of {m.shape[0]} rows by {m.shape[1]} columns"
    if m.size <= 100:
        told = "; ".join(" ".join(number(v) for v in row) for row in m)
        return f"{head}, row by row: {told}."
    return f"{head}: {span(m.min(), m.max())}, mean {number(m.mean())}."
