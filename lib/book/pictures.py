"""Figures without axes: pictures, and boxes on pictures.

The idea: small pictures are enlarged by a whole number of dots a pixel, so that what
you see are the pixels and not a resampling of them. Boxes carry their class and score
as text; a crowd of boxes is drawn thin, and only the best have labels.
Call them as `plots.images` and `plots.boxes`. Chapter: every one.
"""

import itertools
import math
import textwrap
from collections import Counter
from os import PathLike

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from PIL import Image

from lib.basics import photographs
from lib.book.figure import (
    DASHES,
    DPI,
    PALETTE,
    Figure,
    array,
    finish,
    in_style,
    listed,
    number,
    texts,
    whole,
)

# In dots: the canvas, a tile, the gap between two, a letter's width, a line's height.
WIDE, LARGEST, GAP, LETTER, LINE = 1008, 640, 10, 11, 24
FEW = 8  # boxes; more are drawn thin, and the best one lies on top


@in_style
def images(images, *, titles=None, columns=8, title="", says=None) -> Figure:
    """Pictures in rows: uint8 `(N, 3, H, W)`, `(N, H, W)`, or a list of what follows.

    Each is a uint8 `(3, H, W)` or `(H, W)`, a PIL picture or the path of a file.

    A picture larger than its tile is shrunk; one that is smaller is enlarged by a whole
    number. Figures of more than 60 kB are stored with 256 colours.
    """
    columns = whole("columns", columns)
    images = listed("images", images, "pictures")
    pictures = [pixels(f"images[{i}]", image) for i, image in enumerate(images)]
    if not pictures:
        raise ValueError("images: empty; give at least one picture")
    titles = texts("titles", titles, len(pictures))
    canvas, _, places = _mosaic(pictures, titles, columns)
    sizes = Counter(f"{p.shape[1]} by {p.shape[0]}" for p in pictures)
    size = f"{' and '.join(sizes)} pixels"
    size = size if len(sizes) <= 3 else f"{len(sizes)} different sizes"
    claim = f"{len(pictures)} picture{'s' * (len(pictures) > 1)} of {size}."
    rows = len({top for _, top, _ in places})
    light = ", ".join(number(round(float(p.mean()))) for p in pictures[:32])
    alt = f"{claim[:-1]}, in {rows} row{'s' * (rows > 1)}."
    alt += f" Titles: {', '.join(titles)}." if titles else ""
    alt += f" Mean brightness, 0 to 255: {light}{', ...' * (len(pictures) > 32)}."
    return finish(canvas, title, alt, says, claim)


@in_style
def boxes(
    image, boxes, labels=None, scores=None, *, names=None, columns=4, title="",
    says=None,
) -> Figure:  # fmt: skip
    """Boxes `(N, 4)`, xyxy in pixels, on a uint8 `(3, H, W)`, PIL picture or file.

    `labels` are class numbers, which `names` (a list or dictionary) puts in words;
    `scores` lie in 0 to 1. Dictionaries with the same keys draw several pictures side
    by side, the keys as titles.
    """
    if not isinstance(image, dict):
        labels, scores = (None if v is None else {"": v} for v in (labels, scores))
        image, boxes = {"": image}, {"": boxes}
    columns = whole("columns", columns)
    for name, group in (("boxes", boxes), ("labels", labels), ("scores", scores)):
        if group is not None and not isinstance(group, dict):
            raise ValueError(f"{name}: give a dictionary, as `image` is one")
        if group is not None and set(group) != set(image):
            raise ValueError(f"{name}: keys {list(group)}, should be {list(image)}")
    tags = {key: f" {key!r}" if key else "" for key in image}
    pictures = [pixels(f"image{tags[key]}", value) for key, value in image.items()]
    titles = list(image) if any(image) else None
    canvas, axes, places = _mosaic(pictures, titles, columns)
    boxes = {key: box_array(f"boxes{tags[key]}", boxes[key]) for key in image}
    classes = {
        key: _classes(f"labels{tag}", labels and labels[key], names, len(boxes[key]))
        for key, tag in tags.items()
    }
    count = Counter(c for group in classes.values() for c in group)
    looks, told = _looks(sorted(count), names), []
    for key, picture, place in zip(image, pictures, places, strict=True):
        corners, words = boxes[key], classes[key]
        size = len(corners)
        if scores:
            sure = array(f"scores{tags[key]}", scores[key], size=size) if size else []
            words = [f"{c} {s:.2f}".strip() for c, s in zip(words, sure, strict=True)]
        kinds = [looks[c] for c in classes[key]]
        best = np.argsort(-sure, kind="stable") if scores and size else None
        _draw_boxes(axes, picture.shape, place, corners, words, kinds, best)
        spots = "; ".join(
            f"{w or 'box'} from ({number(a)}, {number(b)}) to "
            f"({number(c)}, {number(d)})"
            for w, (a, b, c, d) in zip(words[:24], corners[:24].round(1), strict=True)
        )
        told.append(
            f"{f'{key}: ' if key else ''}picture of {picture.shape[1]} by "
            f"{picture.shape[0]} pixels with {_boxes_in_words(size)}"
            f"{': ' * bool(spots)}{spots}{'; and more' * (size > 24)}."
        )
    each = ", ".join(f"{n} of {c}" for c, n in sorted(count.items()) if c)
    claim = f"{_boxes_in_words(count.total())}{': ' * bool(each)}{each}."
    return finish(canvas, title, " ".join(told), says, claim)


def pixels(name: str, image) -> np.ndarray:
    """uint8 `(H, W, 3)` of a file, a PIL picture or a uint8 `(3, H, W)`, `(H, W)`.

    A file is drawn as a detector sees it: turned upright, 16 bits scaled to 8, what is
    transparent laid on white. Raises ValueError, naming `name`, for any other type or
    shape, and for a picture that cannot be read.
    """
    if isinstance(image, str | PathLike | Image.Image):
        try:
            return photographs.read_image(image).permute(1, 2, 0).numpy()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    image = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if image.dtype != np.uint8:
        raise ValueError(f"{name}: dtype {image.dtype}; give uint8, 0 to 255")
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"{name}: shape {image.shape}; give (3, H, W) or (H, W)")
    return np.repeat(image, 3 // image.shape[0], axis=0).transpose(1, 2, 0)


def _mosaic(pictures, titles, columns):
    """Canvas, axes in dots (y down), and (left, top, dots a pixel) of each picture."""
    titles = [str(title) for title in titles or ()]
    longest = max((len(word) for t in titles for word in t.split()), default=0)
    columns, scale = _columns_and_scale(pictures, longest * LETTER, columns)
    wide = max(round(p.shape[1] * scale) for p in pictures)
    wide = max(wide, longest * LETTER)
    high = max(round(p.shape[0] * scale) for p in pictures)
    titles = [textwrap.fill(title, max(1, wide // LETTER)) for title in titles]
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    above = LINE * lines
    right, down = wide + GAP, high + above + GAP  # dots from tile to tile
    rows = math.ceil(len(pictures) / columns)
    size = right * columns - GAP, down * rows - GAP
    canvas = Canvas(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    axes = canvas.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
    axes.axis("off")
    paper, places = np.full((size[1], size[0], 3), 255, np.uint8), []
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left, top = right * column, down * row + above
        drawn = _scaled(picture, scale)
        tall, broad, _ = drawn.shape
        paper[top : top + tall, left : left + broad] = drawn
        places.append((left, top, scale))
        if titles:
            axes.text(left, top - 5, titles[i], va="bottom", size=9, linespacing=1.1)
    canvas.figimage(paper, zorder=-1)
    return canvas, axes, places


def _columns_and_scale(pictures, longest: int, columns: int) -> tuple:
    """How many pictures stand in a row, and dots a pixel.

    Fewer and larger, until a word of `longest` dots fits over its tile and a small
    picture has two dots a pixel; then as many in each row as the rows need.
    """
    high = max(p.shape[0] for p in pictures)
    wide = max(p.shape[1] for p in pictures)
    enlarged = 2 * wide if wide <= 160 else 0
    least = max(longest, enlarged)
    fitting = (WIDE + GAP) // (least + GAP)
    columns = max(1, min(columns, len(pictures), fitting))
    rows = math.ceil(len(pictures) / columns)
    columns = math.ceil(len(pictures) / rows)
    room = (WIDE - GAP * (columns - 1)) // columns
    scale = min(room, LARGEST) / max(wide, high)
    if scale >= 1:
        scale = min(int(scale), 24)  # whole dots, so that pixels stay squares
    return columns, scale


def _scaled(picture, scale):
    if scale >= 1:
        return picture.repeat(scale, axis=0).repeat(scale, axis=1)
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def box_array(name: str, boxes) -> np.ndarray:
    """float64 `(N, 4)`, xyxy; ValueError, naming `name`, for another shape or order."""
    if not hasattr(boxes, "__len__"):
        raise ValueError(f"{name}: {boxes!r}; give boxes (N, 4): x1 y1 x2 y2")
    if len(boxes) == 0:
        return np.zeros((0, 4))
    boxes = array(name, boxes, ndim=2)
    if boxes.shape[1] != 4:
        raise ValueError(f"{name}: shape {boxes.shape}, should be (N, 4): x1 y1 x2 y2")
    flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if flat.any():
        i = int(flat.argmax())
        raise ValueError(
            f"{name}: box {i} is {boxes[i].tolist()}; x1 < x2 and y1 < y2 are needed"
        )
    return boxes


def _classes(name, labels, names, size) -> list[str]:
    """The class of each box in words; empty strings where there are no labels."""
    if labels is None:
        return [""] * size
    labels = labels.tolist() if hasattr(labels, "tolist") else labels
    labels = listed(name, labels, "class numbers")
    try:
        return texts(name, [_class(k, names) for k in labels], size)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{name}: a label has no name in `names` ({error})") from error


def _class(label, names):
    """The word for a label; a list would count -1 from its end, without a word."""
    if names is None:
        return label
    if not hasattr(names, "keys") and label < 0:
        raise IndexError(f"{label} is below 0")
    return names[label]


def _looks(classes: list[str], names) -> dict[str, int]:
    """A number for each class, the same in every figure with the same `names`."""
    names = () if names is None else names
    known = list(map(str, names.values() if hasattr(names, "values") else names))
    return {
        c: known.index(c) if c in known else int(c) if c.isdecimal() else i
        for i, c in enumerate(classes)
    }


def _boxes_in_words(count: int) -> str:
    return f"{count or 'no'} box{'es' * (count != 1)}"


def _draw_boxes(axes, shape, place, boxes, words, kinds, best) -> None:
    """Boxes on a picture; `best` are their indices, the best score first, or None.

    More than `FEW` are drawn thin and half transparent, or they would hide the picture;
    of those with scores only the best are drawn in full and have labels. The best box
    lies on top and chooses the place of its label first.
    """
    left, top, scale = place
    right, bottom = left + shape[1] * scale, top + shape[0] * scale
    frame = Rectangle((left, top), right - left, bottom - top, transform=axes.transData)
    crowded = len(boxes) > FEW
    halo = {"ec": "white", "lw": 1.6 if crowded else 3.4}
    line = {"lw": 0.9 if crowded else 1.8}
    spots = boxes * scale + (left, top, left, top)
    order = range(len(boxes)) if best is None else [int(i) for i in best]
    chosen = order[: 0 if best is None else FEW] if crowded else order
    for i in reversed(order):
        x1, y1, x2, y2 = spots[i]
        alpha = 1.0 if i in chosen else 0.5
        colour, dash = PALETTE[kinds[i] % 7], DASHES[kinds[i] % 4]
        for look in (halo, {"ec": colour, "ls": dash} | line):
            box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, alpha=alpha, **look)
            axes.add_patch(box).set_clip_path(frame)
    taken: list[tuple] = []
    for i in chosen or order:
        wide = LETTER * len(words[i])
        corner = _free_corner(spots[i], wide, (left, top, right, bottom), taken)
        if not words[i] or (corner is None and crowded):
            continue  # the alt text has it
        x, y = corner or (spots[i][0], spots[i][1])
        taken.append((x, y, x + wide, y + LINE))
        axes.text(
            x, y + LINE - 4, words[i], size=8, va="bottom",
            bbox={"fc": "white", "ec": PALETTE[kinds[i] % 7], "lw": 0.8, "pad": 1},
        )  # fmt: skip


def _free_corner(spot, wide, picture, taken) -> tuple | None:
    """Left and top of a label that covers no other one and stays in the picture.

    Above the box, else inside its top, below it, inside its foot; from its left edge,
    else up to its right one.
    """
    x1, y1, x2, y2 = spot
    left, top, right, bottom = picture
    heights = (y1 - LINE, max(y1, top), y2, y2 - LINE)
    for y, x in itertools.product(heights, (x1, x2 - wide)):
        x = min(max(x, left), right - wide)
        inside = top <= y and y + LINE <= bottom
        meets = any(
            x < c and a < x + wide and y < d and b < y + LINE for a, b, c, d in taken
        )
        if inside and not meets:
            return x, y
    return None
