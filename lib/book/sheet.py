"""A sheet of paper on which architectures are drawn: boxes, words and arrows.

The idea: one unit is one inch, y runs upwards, so a box has the size that it is given
and a letter always the same. Parts are light boxes with dark text; a part that is
highlighted has a thick frame as well as a colour. For `architectures` and `mechanisms`.
"""

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import (
    Circle,
    FancyArrowPatch,
    FancyBboxPatch,
    PathPatch,
    Polygon,
    Rectangle,
)
from matplotlib.path import Path as Curve

from lib.book.figure import INK, PALETTE, listed

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = PALETTE[:6]
GREY = "#666666"
MARGIN, TITLE = 0.08, 0.3  # inches: around the sheet, and for a title's line


def tint(colour: str, share=0.16) -> tuple[float, ...]:
    """`colour` mixed with white: `share` of the colour, the rest white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))


def known_parts(name: str, chosen, parts) -> list[str]:
    """The names in `chosen`; ValueError, naming `name`, for one that is no part."""
    chosen = () if chosen is None else chosen
    chosen = [chosen] if isinstance(chosen, str) else listed(name, chosen, "parts")
    for part in chosen:
        if not isinstance(part, str) or part not in parts:
            raise ValueError(f"{name}: {part!r} is no part; there are {list(parts)}")
    return chosen


class Sheet:
    """A canvas of `wide` by `high` inches with axes in inches, the title on top."""

    def __init__(self, wide, high, title: str = "", highlight=()):
        whole = high + TITLE * bool(title)
        self.canvas = Canvas(figsize=(wide, whole))
        self.axes = self.canvas.add_axes(
            (0, 0, 1, high / whole), xlim=(0, wide), ylim=(0, high)
        )
        self.axes.axis("off")
        self.limits = (0, wide), (0, high)
        self.canvas.text(MARGIN / wide, 1 - MARGIN / whole, title, va="top", size=11)
        self.highlight = tuple(highlight)

    def text(self, x, y, words, size=9, **look) -> None:
        """Words with their middle at (x, y)."""
        look = {"ha": "center", "va": "center", "linespacing": 1.15} | look
        self.axes.text(x, y, words, size=size, **look)

    def label(self, x, y, words, size=9, **look) -> None:
        """Words on a white ground, to stand upon a line."""
        ground = {"fc": "white", "ec": "none", "pad": 1.5}
        self.text(x, y, words, size, bbox=ground, **look)

    def _ink(self, part: str, colour: str) -> dict:
        """The look of a part's shape: heavier and orange where it is highlighted."""
        if part in self.highlight:
            return {"fc": tint(ORANGE, 0.45), "ec": VERMILLION, "lw": 2.8}
        return {"fc": tint(colour), "ec": colour, "lw": 1.3}

    def box(self, x, y, wide, high, words="", colour=BLUE, part="", size=9) -> None:
        """A box with its middle at (x, y) and words in it."""
        corner = x - wide / 2, y - high / 2
        style = "round,pad=0,rounding_size=0.05"
        look = self._ink(part, colour)
        self.axes.add_patch(
            FancyBboxPatch(corner, wide, high, boxstyle=style, zorder=3, **look)
        )
        self.text(x, y, words, size, zorder=4)

    def narrowing(self, x, y, below, above, high, words, colour, part="") -> None:
        """A trapezoid, `below` inches wide at its foot and `above` at its top."""
        corners = [(x - below / 2, y - high / 2), (x + below / 2, y - high / 2)]
        corners += [(x + above / 2, y + high / 2), (x - above / 2, y + high / 2)]
        look = self._ink(part, colour)
        self.axes.add_patch(Polygon(corners, zorder=3, **look))
        self.text(x, y, words, zorder=4)

    def frame(self, left, low, right, high, colour=GREY, part="") -> None:
        """An outline around several boxes that together are one part."""
        style = "round,pad=0,rounding_size=0.08"
        look = {"fc": "white", "ec": colour, "lw": 1.0, "ls": (0, (4, 2))}
        if part in self.highlight:
            look = {"fc": tint(ORANGE, 0.25), "ec": VERMILLION, "lw": 2.8}
        size = right - left, high - low
        self.axes.add_patch(
            FancyBboxPatch((left, low), *size, boxstyle=style, zorder=0.5, **look)
        )

    def arrow(self, start, stop, bend=0.0, shrink=(0, 0), **look) -> None:
        """An arrow; `bend` is its arc's height, `shrink` is cut off in points."""
        look = {"color": GREY, "lw": 1.3, "zorder": 2} | look
        self.axes.add_patch(
            FancyArrowPatch(
                start,
                stop,
                arrowstyle="-|>",
                mutation_scale=9,
                shrinkA=shrink[0],
                shrinkB=shrink[1],
                connectionstyle=f"arc3,rad={bend}",
                **look,
            )  # fmt: skip
        )

    def route(self, *corners, round_=0.08, head=True, **look) -> None:
        """A line along `corners`, rounded where it turns, with a head at its end."""
        look = {"ec": GREY, "lw": 1.3, "zorder": 2} | look
        verts, codes = [corners[0]], [Curve.MOVETO]
        for (a, b), (x, y), (c, d) in zip(
            corners, corners[1:], corners[2:], strict=False
        ):
            for end in ((a, b), (c, d)):
                away = max(abs(end[0] - x), abs(end[1] - y))
                share = min(round_ / away, 0.5) if away else 0.0
                verts.append((x + share * (end[0] - x), y + share * (end[1] - y)))
            verts.insert(-1, (x, y))
            codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
        if head:
            self.arrow(verts[-1], corners[-1], color=look["ec"], lw=look["lw"])
        else:
            verts.append(corners[-1])
            codes.append(Curve.LINETO)
        if len(verts) > 1:
            path = Curve(verts, codes)
            self.axes.add_patch(PathPatch(path, fill=False, **look))

    def rectangle(self, left, low, right, high, **look) -> None:
        """A bare rectangle between two corners."""
        look = {"fill": False} | look
        self.axes.add_patch(Rectangle((left, low), right - left, high - low, **look))

    def disc(self, x, y, radius, **look) -> None:
        """A filled circle."""
        self.axes.add_patch(Circle((x, y), radius, **{"zorder": 3} | look))

    def curve(self, start, pull, push, stop, **look) -> None:
        """An arrow along a Bezier curve with its two control points."""
        look = {"color": GREY, "lw": 1.3, "zorder": 2} | look
        path = Curve([start, pull, push, stop], [Curve.MOVETO, *[Curve.CURVE4] * 3])
        self.axes.add_patch(
            FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=9, **look)
        )

    def tag(self, x, y, words) -> None:
        """A small dark tag: the number of a chapter."""
        look = {"boxstyle": "round,pad=0.25", "fc": INK, "ec": "none"}
        self.text(x, y, words, 8, color="white", zorder=5, bbox=look)

    def picture(self, left, low, size, image, side, boxes, part="") -> None:
        """A square picture (H, W, 3), or a grey square for one, with boxes in it."""
        ends = (left, left + size, low, low + size)
        if image is not None:
            self.axes.imshow(image, extent=ends, aspect="auto", zorder=3)
            self.axes.set(xlim=self.limits[0], ylim=self.limits[1])
        scale = size / (side if image is None else image.shape[1])
        look = self._ink(part, GREY) | ({"fc": "none"} if image is not None else {})
        corner = left + size, low + size
        self.rectangle(left, low, *corner, zorder=3, fill=True, **look)
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            spot = left + x1 * scale, corner[1] - y2 * scale
            end = left + x2 * scale, corner[1] - y1 * scale
            self.rectangle(*spot, *end, ec=PALETTE[i % 6], lw=1.4, zorder=4)

    def bar(self, x, y, channels, scale, below=False) -> None:
        """A map's channels as an upright bar around (x, y), their number at its end."""
        half = max(channels * scale / 2, 0.04)
        look = {"fill": True, "fc": INK, "ec": INK, "zorder": 3}
        self.rectangle(x - 0.07, y - half, x + 0.07, y + half, **look)
        end = y + (half + 0.12) * (-1 if below else 1)
        self.text(x, end, f"{channels}", weight="bold", zorder=4)

    def sign(self, x, y, words) -> None:
        """A small circle with the sign of what happens to the arrows that meet."""
        self.disc(x, y, 0.13, fc="white", ec=INK, lw=1.3)
        self.text(x, y - 0.01, words, 12, zorder=4)
