"""A curve that jumps: precision over recall, one mark for each detection.

The idea: a detection that is right moves the curve to the right, a false one moves it
down. Over the saw that this gives lies a staircase, the best precision at each recall
or more; the area under it is the average precision.

Call it as `plots.staircase`. Chapter 16.
"""

import numpy as np

from lib.book.figure import (
    INK,
    PALETTE,
    Figure,
    array,
    blank,
    finish,
    in_style,
    number,
    settle,
)


@in_style
def staircase(recall, precision, right, at, heights, *, title="", says=None) -> Figure:
    """A mark for each detection, and the staircase over them, its area in colour.

    `recall`, `precision` and `right` (yes or no) have a number for each detection, best
    score first. `heights` are the stairs at the recalls `at`, which rise.
    """
    x, y = array("recall", recall), array("precision", precision, size=len(recall))
    hit = array("right", right, size=len(x)) > 0
    at = array("at", at)
    heights = array("heights", heights, size=len(at))
    if (np.diff(at) <= 0).any():
        raise ValueError("at: the recalls have to rise")
    canvas, axes = blank(title, "recall", "precision")
    shade = {"color": PALETTE[0], "alpha": 0.15, "lw": 0}
    axes.fill_between(at, heights, step="post", **shade)
    line = {"color": PALETTE[0], "lw": 2.2, "label": "best from here on"}
    axes.step(at, heights, where="post", **line)
    axes.plot(x, y, color=INK, lw=0.9, ls=":", label="as it comes")
    for kind, mark, colour in ((True, "o", PALETTE[0]), (False, "X", PALETTE[1])):
        label = "right" if kind else "false"
        axes.plot(x[hit == kind], y[hit == kind], mark, color=colour, ms=7, label=label)
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.08))
    axes.legend(frameon=False, loc="lower left")
    settle(axes)
    told = "; ".join(
        f"{'right' if ok else 'false'} ({number(a)}, {number(b)})"
        for a, b, ok in zip(x, y, hit, strict=True)
    )
    area = number(heights.mean())
    alt = f"Precision over recall of {len(x)} detections, best score first: {told}."
    alt += f" Over them a staircase; its mean height is {area}."
    claim = f"{int(hit.sum())} of {len(x)} are right; the mean height is {area}."
    return finish(canvas, title, alt, says, claim)
