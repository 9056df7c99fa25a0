"""A figure with a text twin, and the parts that every plot is made of.

The idea: a figure makes a claim, and who cannot see it should still read it. A
`Figure` carries its PNG, an alternative text and one sentence. The rest of this file
refuses numbers that cannot be drawn and places labels so that they do not collide.
The palette is Okabe and Ito's "Color Universal Design" (2008). Used by `plots`.
"""

import base64
import functools
import html
import io
import itertools
import math
import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter
from PIL import Image

# Blue, vermillion, green, purple, orange, sky, black; yellow last: faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
PALETTE += ("#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD^vPX*"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
DPI, SHOWN = 144, 96  # dots drawn and CSS pixels shown for each inch
# A PNG of few colours, as lines and bars are, or a large one is stored with 256.
FEW_COLOURS, BYTES = 2048, 60_000
INK, FAINT = "#222222", "#DDDDDD"
HALO = withStroke(linewidth=3, foreground="white")
# Where a point's label may stand, the best place first: right, left, above, below.
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.formatter.useoffset": False,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


TEXTS = ("title", "x_label", "y_label")
FLAGS = ("log", "log_x", "log_y", "annotate")


def in_style(draw):
    """A decorator: drawn in house style, whatever the caller has set in matplotlib.

    What all figures take is checked here: ValueError names a title or a label that is
    no text, and a switch that is neither True nor False.
    """

    @functools.wraps(draw)
    def drawn(*data, **options):
        for name in TEXTS:
            if not isinstance(options.get(name, ""), str):
                raise ValueError(f"{name}: {options[name]!r}; give a text")
        for name in FLAGS:
            if not isinstance(options.get(name, False), bool | np.bool_):
                raise ValueError(f"{name}: {options[name]!r}; give True or False")
        with matplotlib.rc_context(STYLE):
            return draw(*data, **options)

    return drawn


class Figure:
    """A drawn figure with `alt` (its text twin) and `says` (its claim)."""

    def __init__(self, canvas: Canvas, alt: str, says: str):
        self.alt, self.says = " ".join(alt.split()), " ".join(says.split())
        self._canvas, self._png = canvas, None

    def png(self) -> bytes:
        """The PNG's bytes, the same each time: no date and no version inside."""
        if self._png is None:
            file = io.BytesIO()
            with matplotlib.rc_context(STYLE):
                self._canvas.savefig(file, dpi=DPI, metadata={"Software": None})
            self._png = _small(file.getvalue())
        return self._png

    def save(self, path) -> None:
        """Write the PNG to `path`."""
        with open(path, "wb") as file:
            file.write(self.png())

    def html(self) -> str:
        """A `<figure>`: the picture with its alt text, the statement under it."""
        data = base64.b64encode(self.png()).decode("ascii")
        width = round(self._canvas.get_figwidth() * SHOWN)
        return (
            f'<figure style="margin:0"><img alt="{html.escape(self.alt)}" '
            f'width="{width}" style="max-width:100%" '
            f'src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(self.says)}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return self.says

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/html": self.html(), "text/plain": self.says}


def number(value) -> str:
    """A number as the texts write it: 1,024 and 0.1235 and 1.2e-5."""
    value = float(value)
    if value == 0:
        return "0"
    if (value.is_integer() or abs(value) >= 1000) and abs(value) < 1e15:
        return f"{value:,.0f}"
    text = f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2g}"
    return text.replace("e-0", "e-")


def _small(png: bytes) -> bytes:
    """The same PNG, or, by the rule above, one with the 256 colours nearest to its own.

    A drawing has hardly more than 256: what is off by a shade is where lines cross.
    """
    with Image.open(io.BytesIO(png)) as picture:
        opaque = picture.convert("RGB")
    drawn = opaque.getcolors(FEW_COLOURS) is not None  # None where there are more
    if not drawn and len(png) <= BYTES:
        return png
    few = opaque.quantize(256, Image.Quantize.MEDIANCUT, dither=0)
    file = io.BytesIO()
    few.save(file, "png", optimize=True)
    return min(png, file.getvalue(), key=len)


def span(low, high) -> str:
    """Both ends of a range in words."""
    return f"from {number(low)} to {number(high)}"


def finish(canvas: Canvas, title: str, alt: str, says, claim: str) -> Figure:
    """The figure with its title in the alt text; `says` of the caller beats `claim`."""
    alt = f"{title}. {alt}" if title else alt
    return Figure(canvas, alt, claim if says is None else str(says))


def _plain(values):
    if hasattr(values, "detach"):  # a tensor, wherever it lives, of any float type
        return values.detach().cpu().double().numpy()
    if hasattr(values, "__array__") or isinstance(values, (str, bytes)):
        return values
    return [_plain(v) for v in values] if hasattr(values, "__iter__") else values


def array(name: str, values, *, ndim=1, size=None, positive=False) -> np.ndarray:
    """A float64 copy of plain numbers.

    Raises ValueError, naming `name`, if they are none, ragged, not finite, not `size`
    many, or not positive where a logarithmic axis needs it.
    """
    try:
        numbers = np.array(_plain(values), dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: give {ndim}-D plain numbers ({error})") from error
    if numbers.ndim != ndim:
        raise ValueError(f"{name}: give {ndim} axes, got shape {numbers.shape}")
    if numbers.size == 0:
        raise ValueError(f"{name}: empty; give at least one number")
    if size is not None and len(numbers) != size:
        raise ValueError(f"{name}: has {len(numbers)} values, should have {size}")
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}: {int(wrong.sum())} of {numbers.size} values are not finite, the "
            f"first at {where if ndim > 1 else where[0]} ({numbers[where]}); drop or "
            "replace them before plotting"
        )
    if positive and numbers.min() <= 0:
        raise ValueError(
            f"{name}: {number(numbers.min())} has no logarithm; all values on a "
            "logarithmic axis are above 0"
        )
    return numbers


def whole(name: str, value, least=1, most=math.inf) -> int:
    """`value` as an int; ValueError, naming `name`, if it is no whole number."""
    try:
        number = int(value)
        right = number == value and least <= number <= most
        right = right and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):  # none at all, NaN, infinity
        right = False
    if not right:
        end = "more" if most == math.inf else f"up to {most}"
        raise ValueError(f"{name}: {value!r}; give a whole number of {least} or {end}")
    return number


def listed(name: str, values, what: str) -> list:
    """`values` as a list; ValueError, naming `name`, where they are no several."""
    single = isinstance(values, str | bytes) or getattr(values, "ndim", 1) == 0
    if single or not hasattr(values, "__iter__"):
        raise ValueError(f"{name}: {values!r}; give a list of {what}")
    return list(values)


def named(name: str, groups, most: int, **checks) -> dict[str, np.ndarray]:
    """Arrays by name, 1 to `most` of them, each checked by `array`."""
    if not hasattr(groups, "items"):
        raise ValueError(f"{name}: give a dictionary from a name to its numbers")
    if not 1 <= len(groups) <= most:
        raise ValueError(f"{name}: {len(groups)} given, 1 to {most} can be told apart")
    return {str(k): array(f"{name} {k!r}", v, **checks) for k, v in groups.items()}


def texts(name: str, values, size: int) -> list[str] | None:
    """One string for each of `size` things, or None."""
    if values is None:
        return None
    values = listed(name, list(values) if isinstance(values, str) else values, "texts")
    values = [number(v) if isinstance(v, float) else str(v) for v in _plain(values)]
    if len(values) != size:
        raise ValueError(f"{name}: has {len(values)} texts, should have {size}")
    return values


def blank(title, x_label, y_label, log_x=False, log_y=False, height=3.6):
    """An empty canvas of 7 inches and its axes, named."""
    canvas = Canvas(figsize=(7, height))
    axes = canvas.add_subplot(title=textwrap.fill(title, 72))
    axes.set_xlabel(textwrap.fill(x_label, 80))
    axes.set_ylabel(textwrap.fill(y_label, int(11 * height)))
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    return canvas, axes


def powers_of_ten(axis, low, high) -> None:
    """Ticks of a logarithmic axis: 1, 10, 100, or 10⁴, 10⁸ where they grow long.

    A range that holds only one power gets 2 and 5 times a power as well: one tick
    alone says nothing about distances.
    """
    low, high = sorted((low, high))
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    many = last > first
    axis.set_major_locator(LogLocator(subs=(1,) if many else (1, 2, 5)))
    axis.set_minor_locator(LogLocator(subs=range(2, 10) if many else ()))
    axis.set_minor_formatter(NullFormatter())
    short = not many or (first >= -3 and last <= 4)
    label = number if short else power_of_ten
    axis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))


def power_of_ten(value) -> str:
    """A power of ten as one: 10⁸."""
    exponent = str(round(math.log10(value)))
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def settle(axes, right=0.15) -> None:
    """Plain numbers at the ticks, and margins that fit them; `right` is in inches.

    It counts letters instead of measuring text, which takes a tenth of the time.
    """
    lines, letters = 1, 0
    for axis, (low, high) in (
        (axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())
    ):  # fmt: skip
        logarithmic = axis.get_scale() == "log"
        if logarithmic:
            powers_of_ten(axis, low, high)
        free = not isinstance(axis.get_major_locator(), FixedLocator)
        plain = 1e-3 <= max(abs(low), abs(high)) < 1e4
        if free and not plain and not logarithmic:
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
            if axis is axes.xaxis:
                axis.get_major_locator().set_params(nbins=5)
        if axis is axes.xaxis and not free:
            lines += max(t.get_text().count("\n") for t in axis.get_ticklabels())
        elif axis is axes.yaxis:
            spots = axis.get_majorticklocs()
            told = axis.get_major_formatter().format_ticks(spots)
            letters = max((len(t) for t in told), default=1)
    wide, high = axes.figure.get_size_inches()
    left = 0.2 + 0.2 * axes.get_ylabel().count("\n") + 0.082 * letters
    left += 0.2 if axes.get_ylabel() else 0.0
    low = 0.18 + 0.17 * lines + (0.22 if axes.get_xlabel() else 0.0)
    top = 0.1 + 0.22 * bool(axes.get_title(loc="left"))
    top += 0.17 * axes.get_title(loc="left").count("\n")
    axes.figure.subplots_adjust(
        left / wide, low / high, 1 - right / wide, 1 - top / high
    )


def ticks(axis, names: list[str], room: int) -> None:
    """Names as ticks, wrapped to `room` letters a line."""
    axis.set_ticks(range(len(names)), [textwrap.fill(n, room) for n in names])
    axis.set_tick_params(length=0)


def need_a_row_each(names: list[str], most=12) -> bool:
    """True if the names are too many, or too long, to stand side by side."""
    room = 72 // len(names) - 1  # letters under each
    longest = max(len(word) for name in names for word in name.split())
    return len(names) > most or longest > room


def end_labels(axes, x, series) -> None:
    """Each line's name and marker at its right end, moved apart where they collide."""
    names = [textwrap.fill(name, 24) for name in series]
    longest = max(len(line) for name in names for line in name.split("\n"))
    breaks = max(name.count("\n") for name in names)
    axes.margins(x=0.02)
    settle(axes, right=0.35 + 0.082 * longest)  # inches: the marker, and the letters
    ends = [_fractions(axes, x[-1], y[-1])[1] for y in series.values()]
    heights = moved_apart(ends, least=0.08 + 0.06 * breaks)
    free = {"transform": axes.transAxes, "clip_on": False}
    for i, name in enumerate(names):
        end, height = ends[i], heights[i]
        if abs(height - end) > 0.02:  # a thread from the line to its name
            axes.plot((0.99, 1.022), (end, height), color="#999999", lw=0.8, **free)
        axes.plot(1.025, height, MARKERS[i], color=PALETTE[i], **free)
        axes.text(1.043, height, name, va="center", transform=axes.transAxes)


def moved_apart(heights, least) -> list:
    """The same heights in the same order, `least` apart at least, the top one below 1.

    >>> moved_apart([0.5, 0.5, 0.25], least=0.125)
    [0.5, 0.625, 0.25]
    """
    placed = list(heights)
    upwards = sorted(range(len(placed)), key=placed.__getitem__)
    for lower, upper in itertools.pairwise(upwards):
        placed[upper] = max(placed[upper], placed[lower] + least)
    top = upwards[-1]
    placed[top] = min(placed[top], 1.0)
    for upper, lower in itertools.pairwise(upwards[::-1]):  # and down from the top
        placed[lower] = min(placed[lower], placed[upper] - least)
    return placed


def _fractions(axes, x, y) -> np.ndarray:
    """Where (x, y) lies, as fractions of the axes' width and height."""
    axes.get_xlim(), axes.get_ylim()  # settles the limits, which transData does not
    spot = axes.transData.transform(np.column_stack((x, y)))
    return axes.transAxes.inverted().transform(spot).squeeze()


def point_labels(axes, x, y, names, steps=((), ())) -> None:
    """Each point's name beside it, on the side where it collides least.

    `steps` are the (x, y) of the corners of a line to stay clear of, too.
    """
    size = axes.figure.get_size_inches() * 72 * (0.85, 0.75)  # the axes, in points
    spots = _fractions(axes, x, y).reshape(-1, 2) * size
    taken = [(a - 4, b - 4, a + 4, b + 4) for a, b in spots]
    corners = _fractions(axes, *steps).reshape(-1, 2) * size
    for one, two in zip(corners, corners[1:], strict=False):
        taken.append((*(np.minimum(one, two) - 2), *(np.maximum(one, two) + 2)))

    def box(spot, wide, side):
        left, low = (spot + 7 * np.array(side)) - (1 - np.array(side)) * (wide / 2, 5)
        return left, low, left + wide, low + 10

    def cost(box):
        outside = max(0.0, -box[0], box[2] - size[0], -box[1], box[3] - size[1])
        for other in taken:
            wide = min(box[2], other[2]) - max(box[0], other[0])
            high = min(box[3], other[3]) - max(box[1], other[1])
            outside += max(0.0, wide) * max(0.0, high)
        return outside

    for i, name in enumerate(names):
        wide = 5.4 * len(name)  # at 9 points
        side = min(SIDES, key=lambda s: cost(box(spots[i], wide, s)))  # noqa: B023
        taken.append(box(spots[i], wide, side))
        axes.annotate(
            name, (x[i], y[i]), (7 * side[0], 7 * side[1]), size=9,
            textcoords="offset points", ha=("center", "left", "right")[side[0]],
            va=("center", "bottom", "top")[side[1]], path_effects=[HALO],
        )  # fmt: skip
