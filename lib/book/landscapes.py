"""A landscape seen from above: lines of equal height, and paths that go down.

The idea: with two parameters a loss is a landscape. Lines join the places of equal
height, as on a hiking map; a path of training steps is drawn over them, a mark for each
step. A step against the gradient crosses these lines at right angles.

Call it as `plots.contours`. Chapter 02.
"""

import numpy as np

from lib.book.figure import (
    DASHES,
    INK,
    MARKERS,
    PALETTE,
    Figure,
    array,
    blank,
    finish,
    in_style,
    number,
    settle,
    whole,
)

SIDE = 120  # places along a side at which the height is asked
MOST = 4  # paths that can be told apart


@in_style
def contours(
    height, paths, *, x_label, y_label, lines=12, title="", says=None
) -> Figure:
    """Lines of equal height, and over them paths from their first place to the last.

    `height(x, y)` gives the heights at two arrays of places. `paths` maps a name to its
    places, an (n, 2) array. `lines` is the number of heights drawn; they are closer
    together near the bottom. Raises ValueError for heights that are not finite.
    """
    if not callable(height):
        raise ValueError(f"height: {height!r}; give a function of x and y")
    if not hasattr(paths, "items") or not 1 <= len(paths) <= MOST:
        raise ValueError(f"paths: give a dictionary of 1 to {MOST} paths by name")
    paths = {str(k): array(f"path {str(k)!r}", p, ndim=2) for k, p in paths.items()}
    for name, path in paths.items():
        if path.shape[1] != 2:
            raise ValueError(f"path {name!r}: has {path.shape[1]} columns, not x and y")
    lines = whole("lines", lines, least=2)
    x, y = _frame(np.concatenate(list(paths.values())))
    ground = array("height", height(*np.meshgrid(x, y)), ndim=2)
    canvas, axes = blank(title, x_label, y_label)
    axes.grid(visible=False)
    low, high = ground.min(), ground.max()
    shares = np.linspace(0, 1, lines + 1)[1:] ** 2
    axes.contour(x, y, ground, low + (high - low) * shares, colors=INK, linewidths=0.5)
    told = []
    for i, (name, path) in enumerate(paths.items()):
        look = {"color": PALETTE[i], "marker": MARKERS[i], "ls": DASHES[i % 4]}
        axes.plot(*path.T, ms=3.5, lw=1.4, label=name, **look)
        ends = [height(*path[k]) for k in (0, -1)]
        told.append(
            f"{name}: from {_place(path[0])}, height {number(ends[0])}, to"
            f" {_place(path[-1])}, height {number(ends[1])}, in {len(path) - 1} steps"
        )
    axes.legend(frameon=True, loc="best")
    settle(axes)
    alt = f"Lines of equal height over {x_label} and {y_label}, with {len(paths)} paths"
    alt += f" that go down. {'. '.join(told)}."
    return finish(canvas, title, alt, says, f"{'. '.join(told)}.")


def _frame(places) -> tuple[np.ndarray, np.ndarray]:
    """The sides of a map that holds all places, with a margin round them."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-6)
    corners = zip(low - margin, high + margin, strict=True)
    x, y = (np.linspace(a, b, SIDE) for a, b in corners)
    return x, y


def _place(point) -> str:
    return f"({number(point[0])}, {number(point[1])})"
