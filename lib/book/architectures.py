"""Whole networks as drawings: a stack of cells, a detector from picture to boxes.

The idea: an architecture is a value, a short table, so its drawing can be computed from
the table like any other figure, and says in words what it shows. A part may be drawn
heavier by its name.

Call them as `plots.stack` and `plots.detector`. The stack means what figure 2 of Zoph
and others (arXiv 1707.07012) means, the detector what figure 3 of Tan, Pang, Le
(1911.09070) means. Chapters 00, 05 and 13.
"""

from lib.book import pictures
from lib.book.figure import Figure, finish, in_style, listed, whole
from lib.book.sheet import BLUE, GREEN, GREY, ORANGE, PURPLE, Sheet, known_parts

PARTS = (
    "picture", "backbone", "pyramid", "class head", "box head", "anchors", "decoding",
    "boxes",
)  # fmt: skip
RISE, MIDDLE = 0.37, 1.95  # inches: from cell to cell of a stack; where it stands
LEVEL = 0.5  # inches between the levels of a detector
LOW = 1.35  # where its finest level stands
COLUMNS = {"backbone": 0.8, "pyramid": 2.6, "heads": 4.25, "decoding": 5.5}


@in_style
def stack(cells, *, first="stem", sides=None, highlight=(), title="", says=None):
    """A stack of cells, the picture's end below, each with the two states it reads.

    `cells` holds a triple (kind, filters, previous) for each, from below: cell k reads
    state k as its current input and state `previous` as its other one (None: there is
    none), and writes state k + 1; state 0 is `first`. Cells whose kind begins with
    "reduction" are drawn narrowing. `sides` gives each state's side in pixels, that of
    state 0 first; `highlight` names kinds. Raises ValueError for a state from above.
    """
    cells = _cells(cells)
    if sides is not None:
        sides = listed("sides", sides, "a side for each state")
        sides = [whole("sides", side) for side in sides]
        if len(sides) != len(cells) + 1:
            raise ValueError(f"sides: has {len(sides)}, should have {len(cells) + 1}")
    kinds = list(dict.fromkeys(kind for kind, *_ in cells))
    highlight = known_parts("highlight", highlight, kinds)
    sheet = Sheet(4.4, RISE * len(cells) + 0.4, title, highlight)
    at = [0.2 + RISE * state for state in range(len(cells) + 1)]
    half = _cell_boxes(sheet, cells, str(first), at)
    for cell, (_, _, previous) in enumerate(cells):
        sheet.arrow((MIDDLE, at[cell] + 0.135), (MIDDLE, at[cell + 1] - 0.135))
        if previous is None or previous == cell:
            continue
        # Left and right in turn, so that two arcs never run beside each other.
        side = 1 if cell % 2 else -1
        start = MIDDLE + side * half[previous], at[previous] + 0.05
        stop = MIDDLE + side * half[cell + 1], at[cell + 1] - 0.05
        far = MIDDLE + side * (1.2 + 0.17 * (cell + 1 - previous))
        sheet.curve(start, (far, start[1]), (far, stop[1]), stop)
    if sides is not None:
        for y, side in zip(at, sides, strict=True):
            sheet.text(4.3, y, f"{side} px", 8, ha="right", color=GREY)
    return finish(sheet.canvas, title, *_stack_in_words(cells, first, sides, says))


def _cells(cells) -> list[tuple]:
    """Triples (kind, filters, previous), checked."""
    checked = []
    for k, cell in enumerate(listed("cells", cells, "triples")):
        try:
            kind, filters, previous = cell
        except (TypeError, ValueError):
            raise ValueError(
                f"cells: cell {k} is {cell!r}; give (kind, filters, previous)"
            ) from None
        if previous is not None:
            previous = whole(f"cells: cell {k}, previous", previous, least=0)
            if previous > k:
                raise ValueError(
                    f"cells: cell {k} reads state {previous}; those below it are 0 to "
                    f"{k}"
                )
        checked.append((str(kind), filters, previous))
    if not checked:
        raise ValueError("cells: empty; give at least one cell")
    return checked


def _cell_boxes(sheet: Sheet, cells, first: str, at) -> list[float]:
    """A box for each state; gives half of each one's width at its middle."""
    wide = 2.25
    sheet.box(MIDDLE, at[0], wide, 0.27, first, GREY)
    half = [wide / 2]
    for (kind, filters, _), y in zip(cells, at[1:], strict=True):
        words = f"{kind}, {filters} filters"
        below = wide
        if kind.startswith("reduction"):
            wide = max(wide - 0.2, 1.55)
            sheet.narrowing(MIDDLE, y, below, wide, 0.27, words, ORANGE, kind)
        else:
            sheet.box(MIDDLE, y, wide, 0.27, words, BLUE, kind)
        half.append((below + wide) / 4)
    return half


def _stack_in_words(cells, first, sides, says):
    """Alt text, the caller's statement, and the claim: counts by kind, what is read."""
    told = []
    for k, (kind, filters, previous) in enumerate(cells):
        below = [first, *(f"cell {i + 1}" for i in range(k))]
        reads = below[k]
        if previous not in (None, k):
            reads += f" and {below[previous]}"
        size = f", {sides[k + 1]} pixels a side" if sides else ""
        told.append(f"cell {k + 1}: {kind}, {filters} filters{size}, reads {reads}")
    count = {kind: 0 for kind, *_ in cells}
    for kind, *_ in cells:
        count[kind] += 1
    kinds = " and ".join(f"{n} {kind}" for kind, n in count.items())
    two = sum(previous not in (None, k) for k, (*_, previous) in enumerate(cells))
    claim = f"{len(cells)} cells, {kinds}; {two} of them read two different states."
    alt = f"A stack of {len(cells)} cells on {first}, from below. {'; '.join(told)}."
    return alt, says, claim


@in_style
def detector(
    side, levels, *, backbone=3, words=None, chapters=None, highlight=(), image=None,
    boxes=(), title="", says=None,
) -> Figure:  # fmt: skip
    """A detector from picture to boxes: backbone, pyramid of levels, heads, decoding.

    `side` is the picture's in pixels; `levels` maps each level's name to the side of
    its map, the finest first. The first `backbone` of them come from the backbone, the
    rest are made from its last map. By the names of `PARTS`: `words` replaces what
    stands in a part, `chapters` gives the number of its chapter, `highlight` lists
    those drawn heavier. `image` (uint8, square) and its `boxes` (xyxy in pixels) are
    shown at both ends. Raises ValueError for a name that is no part, and for `backbone`
    outside the levels.
    """
    if not hasattr(levels, "items") or not levels:
        raise ValueError(f"levels: {levels!r}; give a dictionary from a name to a side")
    sides = {str(k): whole(f"levels {k!r}", v) for k, v in levels.items()}
    side, backbone = whole("side", side), whole("backbone", backbone)
    if backbone > len(sides):
        raise ValueError(f"backbone: {backbone}, of {len(sides)} levels")
    own = {part: part for part in PARTS}
    own |= {"decoding": "decode,\nkeep the best", "class head": "class head\nwhat?"}
    own |= {"box head": "box head\nwhere?", "picture": f"picture\n{side} × {side}"}
    own |= _by_part("words", words)
    chapters = _by_part("chapters", chapters)
    highlight = known_parts("highlight", highlight, PARTS)
    boxes = pictures.box_array("boxes", boxes)
    image = image if image is None else pictures.pixels("image", image)
    top = LOW + LEVEL * (len(sides) - 1)
    sheet = Sheet(7.0, top + (0.9 if chapters else 0.65), title, highlight)
    _backbone(sheet, list(sides.items())[:backbone], own, image, side)
    exits = _pyramid(sheet, sides, backbone, own)
    _heads(sheet, exits, own, image, boxes, side)
    for part, spot in _tags(top, backbone, exits).items():
        if part in chapters:
            sheet.tag(*spot, f"ch. {chapters[part]}")
    told = _detector_in_words(side, sides, backbone, own, chapters, highlight)
    claim = f"A picture of {side} by {side} pixels becomes {len(sides)} maps with "
    claim += f"{sum(s * s for s in sides.values()):,} places; two heads answer at each."
    return finish(sheet.canvas, title, told, says, claim)


def _detector_in_words(side, sides, backbone, own, chapters, highlight) -> str:
    """The alt text: from the picture to the boxes, part by part."""
    maps = ", ".join(f"{name} {s} by {s}" for name, s in sides.items())
    made = list(sides)[backbone:]
    told = [
        f"A detector. A picture of {side} by {side} pixels goes through the backbone "
        f"({own['backbone']}), whose maps enter the pyramid ({own['pyramid']}) of "
        f"{len(sides)} levels: {maps} places."
    ]
    if made:
        told.append(f"Made from the backbone's last map: {', '.join(made)}.")
    told.append("Class head and box head run over every level.")
    told.append("Decoding joins what they say with the anchors and gives boxes.")
    if chapters:
        known = (f"{part} {chapters[part]}" for part in PARTS if part in chapters)
        told.append(f"Chapters: {', '.join(known)}.")
    if highlight:
        told.append(f"Highlighted: {', '.join(highlight)}.")
    return " ".join(told)


def _by_part(name: str, texts) -> dict[str, str]:
    """Texts by the names of parts, checked."""
    if texts is not None and not hasattr(texts, "items"):
        raise ValueError(f"{name}: {texts!r}; give a dictionary from a part to a text")
    return {part: str(texts[part]) for part in known_parts(name, texts, PARTS)}


def _wide(place: int) -> float:
    """A level's box: narrower the coarser."""
    return 1.16 - 0.07 * place


def _backbone(sheet, maps, own, image, side) -> None:
    """From the picture at the foot up to the last map."""
    x, top = COLUMNS["backbone"], LOW + LEVEL * (len(maps) - 1)
    sheet.frame(x - 0.68, LOW - 0.25, x + 0.68, top + 0.25, part="backbone")
    sheet.text(x, top + 0.47, own["backbone"], 10, weight="bold")
    sheet.picture(x - 0.3, 0.4, 0.6, image, side, (), "picture")
    sheet.text(x, 0.2, own["picture"].replace("\n", ", "), 9)
    sheet.arrow((x, 1.0), (x, LOW - 0.15))
    for place, (name, places) in enumerate(maps):
        y = LOW + LEVEL * place
        name = name.replace("P", "C", 1)
        words = f"{name}  {places} × {places}"
        sheet.box(x, y, _wide(place), 0.3, words, GREY, size=9)
        if place:
            sheet.arrow((x, y - LEVEL + 0.15), (x, y - 0.15))


def _pyramid(sheet, sides, backbone, own) -> list[tuple[float, float]]:
    """The levels that talk to each other; gives where each leaves to the right."""
    x, exits = COLUMNS["pyramid"], []
    top = LOW + LEVEL * (len(sides) - 1)
    sheet.frame(x - 0.75, LOW - 0.25, x + 0.75, top + 0.25, part="pyramid")
    sheet.text(x, top + 0.47, own["pyramid"], 10, weight="bold")
    for place, (name, places) in enumerate(sides.items()):
        y, half = LOW + LEVEL * place, _wide(place) / 2
        words = f"{name}  {places} × {places}"
        sheet.box(x, y, 2 * half, 0.3, words, BLUE, size=9)
        start = COLUMNS["backbone"] + _wide(place) / 2, y
        if place < backbone:
            sheet.arrow(start, (x - half, y))
        elif place == backbone:  # the first level that the backbone has not
            edge = COLUMNS["backbone"] + _wide(place - 1) / 2
            sheet.arrow((edge, y - LEVEL + 0.1), (x - half, y))
        if place:  # both ways, down and up
            sheet.arrow((x - 0.12, y - 0.15), (x - 0.12, y - LEVEL + 0.15))
            sheet.arrow((x + 0.12, y - LEVEL + 0.15), (x + 0.12, y - 0.15))
        exits.append((x + half, y))
    return exits


def _heads(sheet, exits, own, image, boxes, side) -> None:
    """Every level to both heads, then decoding with the anchors, then boxes."""
    x, far, rail = COLUMNS["heads"], COLUMNS["decoding"], COLUMNS["pyramid"] + 0.95
    middle = (exits[0][1] + exits[-1][1]) / 2
    for start in exits:
        sheet.route(start, (rail, start[1]), head=False)
    sheet.route((rail, exits[0][1]), (rail, exits[-1][1]), head=False)
    for part, y, colour in (
        ("class head", middle + 0.45, GREEN), ("box head", middle - 0.45, PURPLE)
    ):  # fmt: skip
        sheet.arrow((rail, y), (x - 0.5, y))
        sheet.box(x, y, 1.0, 0.56, own[part], colour, part, 10)
        sheet.arrow((x + 0.5, y), (far - 0.55, middle + (y - middle) * 0.4))
    sheet.box(far, middle, 1.1, 0.56, own["decoding"], ORANGE, "decoding", 10)
    low = _anchors_height(middle)
    sheet.box(far, low, 0.8, 0.32, own["anchors"], GREY, "anchors", 10)
    sheet.arrow((far, low + 0.16), (far, middle - 0.28))
    sheet.arrow((far + 0.55, middle), (6.33, middle))
    sheet.picture(6.33, middle - 0.3, 0.6, image, side, boxes, "boxes")
    sheet.text(6.63, middle - 0.45, own["boxes"], 9)


def _anchors_height(middle: float) -> float:
    """Below the decoding, whatever the number of levels."""
    return min(LOW - 0.25, middle - 0.8)


def _tags(top, backbone, exits) -> dict[str, tuple[float, float]]:
    """Where the number of each part's chapter stands."""
    middle = (exits[0][1] + exits[-1][1]) / 2
    high = LOW + LEVEL * (backbone - 1)
    x = COLUMNS["heads"]
    return {
        "picture": (1.4, 0.7),
        "backbone": (COLUMNS["backbone"], high + 0.72),
        "pyramid": (COLUMNS["pyramid"], top + 0.72),
        "class head": (x, middle + 0.85),
        "box head": (x, middle - 0.85),
        "anchors": (COLUMNS["decoding"], _anchors_height(middle) - 0.3),
        "decoding": (COLUMNS["decoding"], middle + 0.42),
        "boxes": (6.63, middle + 0.42),
    }
