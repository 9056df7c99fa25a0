"""Digits drawn in integers: the same seed gives the same bytes on every machine.

A scanned 8x8 digit becomes a smooth height field (`fields`). Ink is where the field
rises above a level (`ink`), so a digit can be drawn at any size, turned and slanted
(`affine`, `resample`), and its edge stays about one pixel wide. Grounds are smooth
noise, clutter is pieces of strokes, lines and blobs. No float decides a pixel: numbers
with a fraction are integers in units of 1/65536 (`ONE`), and chance is `Dice`.

Chapter 01. Support for `data`, which says what is drawn and how it is split.
"""

import hashlib
import math
import random

import numpy as np

ONE = 1 << 16  # fixed point: the integer that stands for 1
CELL = 4  # field samples per scanned cell, after two doublings
TOP = 16 << 8  # the highest field value: 16 counts, times 16 at each doubling
CHUNK = 250  # crops drawn together; fixed, so that more crops begin with the same ones


class Dice:
    """Integers from `random.Random`, whose bits are the same on every platform.

    NumPy promises no stable stream between versions, so it only reshapes these words.
    The key (any values with a stable `str`) is hashed: each key has its own stream.
    """

    def __init__(self, *key):
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big"))

    def between(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Integers from low to high, both included, int64, of the given shape."""
        count = math.prod(shape)
        raw = self._random.getrandbits(32 * count).to_bytes(4 * count, "little")
        words = np.frombuffer(raw, "<u4").astype(np.uint64)
        steps = words * np.uint64(high - low + 1) >> np.uint64(32)
        return steps.astype(np.int64).reshape(shape) + low

    def one(self, low: int, high: int) -> int:
        """One integer from low to high, both included."""
        return int(self.between(low, high, 1)[0])


def mix(easy: int, hard: int, mille: int) -> int:
    """The integer mille/1000 of the way from `easy` to `hard`."""
    return easy + (hard - easy) * mille // 1000


def double(images: np.ndarray) -> np.ndarray:
    """Twice the size, values times 16, exactly: weights 9, 3, 3, 1 of the neighbours.

    (..., h, w) integers -> (..., 2h, 2w). Repeated, it converges to a quadratic
    B-spline (Chaikin 1974), which is why a doubled digit has round strokes.

    >>> double(np.array([[0, 16], [0, 0]]))[0].tolist()  # 16 * (0, 3 + 1, 9 + 3, 16)
    [0, 64, 192, 256]
    """
    for _ in range(2):  # along the rows, then along the columns
        first = images[..., :1]  # the edge repeats itself
        last = images[..., -1:]
        all_but_last = images[..., :-1]
        all_but_first = images[..., 1:]
        before = np.concatenate([first, all_but_last], -1)
        after = np.concatenate([all_but_first, last], -1)
        left_half = 3 * images + before
        right_half = 3 * images + after
        halves = np.stack([left_half, right_half], -1)  # ... h w 2
        *outer, width = images.shape
        longer = halves.reshape(*outer, 2 * width)  # ... h 2w
        images = longer.swapaxes(-1, -2)  # ... 2w h
    return images


def fields(digits: np.ndarray) -> np.ndarray:
    """Scanned digits (N, 8, 8), 0..16 -> height fields (N, 40, 40) int32, 0..TOP.

    One empty cell is added on every side, so that no stroke ends at a straight cut.
    """
    padded = np.pad(digits.astype(np.int32), ((0, 0), (1, 1), (1, 1)))
    return double(double(padded))


def resample(images: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Look up `size` x `size` output pixels in images, bilinearly, in fixed point.

    images (N, h, w) integers; matrix (N, 2, 3) int64 in 1/ONE maps an output point
    (x, y) to an input point, in pixels whose centres lie at 0.5, 1.5, ...
    Points outside take the nearest edge value. Returns (N, size, size) int64.
    """
    count, height, width = images.shape
    odd = 2 * np.arange(size) + 1  # twice the pixel centres
    a, b, c = (matrix[:, :, k, None, None] for k in range(3))  # each (N, 2, 1, 1)
    at = ((a * odd[None, :] + b * odd[:, None]) >> 1) + c - ONE // 2  # N 2 size size
    last = np.array([width - 1, height - 1]).reshape(1, 2, 1, 1)
    at = np.clip(at, 0, last * ONE)
    first = at >> 16
    second = np.minimum(first + 1, last)
    right, down = ((at - first * ONE) >> 8).transpose(1, 0, 2, 3)  # weights of 1/256
    flat = images.reshape(-1)
    start = (np.arange(count) * (height * width)).reshape(-1, 1, 1)
    upper, lower = start + first[:, 1] * width, start + second[:, 1] * width
    left_x, right_x = first[:, 0], second[:, 0]
    above = flat[upper + left_x] * (256 - right) + flat[upper + right_x] * right
    below = flat[lower + left_x] * (256 - right) + flat[lower + right_x] * right
    return (above * (256 - down) + below * down) >> 16


def cos_and_sin(turn):
    """Cosine and sine, in 1/ONE, of the angle whose half has the tangent turn / 256.

    Quotients of integers, (1 - t^2) / (1 + t^2) and 2t / (1 + t^2): no machine has to
    round a cosine.

    >>> cos, sin = cos_and_sin(128)  # t = 1/2 makes the triangle of 3, 4 and 5
    >>> round(cos / ONE, 4), round(sin / ONE, 4)
    (0.6, 0.8)
    """
    whole = 256 * 256 + turn * turn
    cos = ONE * (256 * 256 - turn * turn) // whole
    sin = ONE * 512 * turn // whole
    return cos, sin


def affine(pixels, turn, slant, centre) -> np.ndarray:
    """The matrix that draws an eight-cell digit `pixels` high round a centre.

    All arguments are int64 arrays (N,), centre (N, 2) in 1/ONE pixels. `turn` is the
    tangent of half the angle in 1/256, as in `cos_and_sin`, `slant` a shear in 1/ONE.
    """
    cos, sin = cos_and_sin(turn)
    step = 8 * CELL * ONE // pixels  # field samples per output pixel
    rows = np.stack(
        [
            np.stack([cos, sin + (cos * slant >> 16)], 1),
            np.stack([-sin, cos - (sin * slant >> 16)], 1),
        ],
        1,
    )
    linear = rows * step.reshape(-1, 1, 1) >> 16  # N 2 2
    middle = (CELL * 10 * ONE // 2) - (linear * centre[:, None, :] >> 16).sum(2)
    return np.concatenate([linear, middle[:, :, None]], 2)  # N 2 3


def ink(heights: np.ndarray, level, pixels) -> np.ndarray:
    """How much ink covers each pixel, 0..256: the part of the field above a level.

    A low level draws bold strokes. The slope grows with the size of the digit, so
    the edge is about a pixel and a half wide at every size.
    """
    above = heights - level
    steep = above * (2 * pixels) >> 8
    return np.clip(steep + 128, 0, 256)  # half covered where the field is at the level


def pose(dice: Dice, count: int, mille: int):
    """Turn, slant and level for `count` digits at a difficulty of 0..1000."""
    turn = mix(10, 44, mille)  # 44/256: half of 19.5 degrees, so up to 19.5 either way
    slant = mix(4000, 20000, mille)
    bold = mix(120, 350, mille)
    return (
        dice.between(-turn, turn, count),
        dice.between(-slant, slant, count),
        dice.between(1900 - bold, 1900 + bold, count),
    )


def glyphs(height_fields, pixels, turn, slant, level, centre, size) -> np.ndarray:
    """Ink (N, size, size), 0..256, of N digits, each in its own window."""
    heights = resample(height_fields, affine(pixels, turn, slant, centre), size)
    return ink(heights, level.reshape(-1, 1, 1), pixels.reshape(-1, 1, 1))


def fragments(dice: Dice, height_fields, count: int) -> np.ndarray:
    """Pieces of strokes: random fields, empty but for a square of four cells."""
    chosen = height_fields[dice.between(0, len(height_fields) - 1, count)]
    corner = dice.between(2 * CELL, 4 * CELL, count, 2)
    place = np.arange(10 * CELL)
    inside = (place >= corner[..., None]) & (place < corner[..., None] + 4 * CELL)
    return chosen * (inside[:, 0, :, None] & inside[:, 1, None, :])


def lines(dice: Dice, count: int, size: int) -> np.ndarray:
    """Ink (N, size, size) of straight lines at any angle, one to a few pixels wide."""
    turn = dice.between(-256, 256, count, 1, 1)
    cos, sin = cos_and_sin(turn)
    columns = np.arange(size)
    rows = np.arange(size)[:, None]
    x = dice.between(0, size - 1, count, 1, 1) - columns  # N 1 size
    y = dice.between(0, size - 1, count, 1, 1) - rows  # N size 1
    distance = np.abs(x * cos + y * sin)  # of each pixel from the line, N size size
    half_width = dice.between(ONE // 2, ONE + size * ONE // 64, count, 1, 1)
    return np.clip((half_width - distance) >> 8, 0, 256)


def blobs(dice: Dice, count: int, size: int) -> np.ndarray:
    """Ink (N, size, size) of soft discs, a sixteenth to a sixth of the size wide."""
    radius = dice.between(size // 16 + 1, size // 6 + 1, count, 1, 1)
    columns = np.arange(size)
    rows = np.arange(size)[:, None]
    x = dice.between(0, size - 1, count, 1, 1) - columns  # N 1 size
    y = dice.between(0, size - 1, count, 1, 1) - rows  # N size 1
    inside = radius * radius - x * x - y * y  # above 0 in the disc, N size size
    return np.clip(inside * 256 // (2 * radius), 0, 256)


def blend(canvas: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Colour (N, 3) laid over canvas (N, 3, h, w) where cover (N, h, w) says 0..256."""
    colour = colour[:, :, None, None]  # N 3 1 1
    cover = cover[:, None]  # N 1 h w
    change = (colour - canvas) * cover >> 8
    return canvas + change


def tints(dice: Dice, count: int, strength: int) -> np.ndarray:
    """Colour shifts (N, 3) that add up to about zero: hue without brightness."""
    shift = dice.between(-strength, strength, count, 3)
    return shift - shift.sum(1, keepdims=True) // 3


def ground(dice: Dice, count: int, size: int, mille: int):
    """Textured grounds (N, 3, size, size) int64 and their grey levels (N,).

    Two octaves of smooth noise, each along its own colour. Nothing is clipped yet.
    """
    grey = dice.between(56, 199, count)
    colour = grey[:, None] + tints(dice, count, 44)  # N 3
    canvas = np.broadcast_to(colour[:, :, None, None], (count, 3, size, size))
    for doublings, amplitude in ((max(2, (size // 4).bit_length()), 2), (2, 1)):
        knots = -(-size >> doublings) + 2
        noise = dice.between(-128, 127, count, knots, knots)
        for _ in range(doublings):
            noise = double(noise) >> 4
        skip = (noise.shape[1] - size) // 2
        noise = noise[:, None, skip : skip + size, skip : skip + size]
        strength = mix(10, 34, mille) * amplitude
        along = (tints(dice, count, 16) + strength)[:, :, None, None]
        canvas = canvas + (noise * along >> 8)
    return canvas, grey


def inks(dice: Dice, grey: np.ndarray, mille: int) -> np.ndarray:
    """Ink colours (N, 3): lighter than a dark ground, darker than a light one."""
    least, most = mix(90, 26, mille), mix(120, 70, mille)
    contrast = dice.between(least, most, len(grey))
    lighter = np.where(grey < 128, 1, -1)
    brightness = grey + lighter * contrast
    return brightness[:, None] + tints(dice, len(grey), 44)


def develop(dice: Dice, canvas: np.ndarray, mille: int) -> np.ndarray:
    """The finished picture: pixel noise added, clipped to 0..255, uint8."""
    grain = mix(4, 30, mille)
    noise = dice.between(-grain, grain, *canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def clutter(dice: Dice, canvas, grey, height_fields, mille: int) -> np.ndarray:
    """Pieces of strokes, lines and blobs on every canvas; more as it gets harder."""
    count, size = len(canvas), canvas.shape[-1]
    for _ in range(3):
        pixels = dice.between(size * 5 // 8, size * 5 // 4, count)
        centre = dice.between(0, size * ONE, count, 2)
        piece = fragments(dice, height_fields, count)
        cover = glyphs(piece, pixels, *pose(dice, count, mille), centre, size)
        canvas = add_clutter(dice, canvas, cover, grey, mille)
    canvas = add_clutter(dice, canvas, lines(dice, count, size), grey, mille)
    return add_clutter(dice, canvas, blobs(dice, count, size), grey, mille)


def add_clutter(dice: Dice, canvas, cover, grey, mille: int) -> np.ndarray:
    """One piece of clutter on some of the canvases: on more of them as it gets harder.

    It is never the last thing drawn, so it lies behind the digits.
    """
    here = dice.between(0, 999, len(canvas)) < mix(50, 750, mille)
    strength = mix(96, 208, mille)
    cover = cover * here[:, None, None] * strength >> 8
    return blend(canvas, cover, inks(dice, grey, mille))


def crops(key, height_fields, count: int, size: int, mille: int):
    """`count` crops: images (count, 3, size, size) uint8, source index (count,).

    `key` starts the dice; `height_fields` (M, 40, 40) are the digits to choose from.
    """
    images, sources = [], []
    for chunk in range(-(-count // CHUNK)):
        dice = Dice("crops", *key, chunk)
        source = dice.between(0, len(height_fields) - 1, CHUNK)
        canvas, grey = ground(dice, CHUNK, size, mille)
        canvas = clutter(dice, canvas, grey, height_fields, mille)
        small = mix(90, 62, mille)
        pixels = dice.between(size * small // 100, size, CHUNK)
        drift = mix(ONE, 3 * ONE, mille) * size // 32
        centre = dice.between(-drift, drift, CHUNK, 2) + size * ONE // 2
        turn, slant, level = pose(dice, CHUNK, mille)
        cover = glyphs(height_fields[source], pixels, turn, slant, level, centre, size)
        canvas = blend(canvas, cover, inks(dice, grey, mille))
        images.append(develop(dice, canvas, mille))
        sources.append(source)
    return np.concatenate(images)[:count], np.concatenate(sources)[:count]


def stamp(dice: Dice, height_field, pixels: int, mille: int) -> np.ndarray:
    """Ink (h, w) of one digit `pixels` high, cut to the pixels that have any ink."""
    side = pixels * 3 // 2  # room for the turn and the slant
    size, centre = np.array([pixels]), dice.between(0, ONE, 1, 2) + side * ONE // 2
    posed = pose(dice, 1, mille)
    cover = glyphs(height_field[None], size, *posed, centre, side)[0]
    rows, columns = np.nonzero(cover)
    if not len(rows):
        return cover[:0, :0]
    return cover[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def place(dice: Dice, cover: np.ndarray, size: int) -> np.ndarray:
    """The same ink on an empty sheet (size, size), at a random place inside it."""
    height, width = cover.shape
    top, left = dice.one(0, size - height), dice.one(0, size - width)
    sheet = np.zeros((size, size), np.int64)
    sheet[top : top + height, left : left + width] = cover
    return sheet


def backdrop(dice: Dice, height_fields, size: int, mille: int, pixels):
    """The ground of a scene and its clutter, (1, 3, size, size), and its grey (1,)."""
    canvas, grey = ground(dice, 1, size, mille)
    for _ in range(mix(2, 10, mille)):
        piece = fragments(dice, height_fields, 1)[0]
        cover = place(dice, stamp(dice, piece, dice.one(*pixels), mille), size)
        canvas = add_clutter(dice, canvas, cover[None], grey, mille)
    for _ in range(3):
        canvas = add_clutter(dice, canvas, lines(dice, 1, size), grey, mille)
        canvas = add_clutter(dice, canvas, blobs(dice, 1, size), grey, mille)
    return canvas, grey


def scene(key, height_fields, size: int, mille: int, digits, pixels):
    """One picture of several digits: image (3, size, size) uint8, boxes, sources.

    `digits` and `pixels` are (least, most): how many, and how high. Boxes are int64
    (N, 4), x1 y1 x2 y2 of the ink that can be seen; sources (N,) index the fields.
    No digit loses more than an eighth of its ink to later ones: one that finds no
    such place is drawn smaller, and at last left out. The first always finds one.
    """
    dice = Dice("scene", *key)
    canvas, grey = backdrop(dice, height_fields, size, mille, pixels)
    owner = np.zeros((size, size), np.int64)  # 0 is ground, k the k-th digit
    drawn, sources = np.zeros(1, np.int64), []
    for _ in range(dice.one(*digits)):
        source = dice.one(0, len(height_fields) - 1)
        # The smaller of two draws: small digits are common, as in photographs.
        high = int(dice.between(*pixels, 2).min())
        for _ in range(12):
            cover = place(dice, stamp(dice, height_fields[source], high, mille), size)
            seen = cover >= 128
            left = np.bincount(owner[~seen], minlength=len(drawn))
            if (8 * left[1:] >= 7 * drawn[1:]).all():
                canvas = blend(canvas, cover[None], inks(dice, grey, mille))
                sources.append(source)
                owner[seen] = len(sources)
                drawn = np.append(drawn, seen.sum())
                break
            high = max(pixels[0], high * 7 // 8)
    boxes = np.array([bounds(owner == k + 1) for k in range(len(sources))])
    return develop(dice, canvas, mille)[0], boxes, np.array(sources)


def bounds(mask: np.ndarray) -> list[int]:
    """x1, y1, x2, y2 of the true pixels; x2 and y2 are one past the last.

    >>> bounds(np.array([[0, 0, 0], [0, 1, 1]]))  # row 1, columns 1 and 2
    [1, 1, 3, 2]
    """
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        raise ValueError("no pixel of the mask is true, so there is nothing to box")
    x1 = columns.min()
    y1 = rows.min()
    x2 = columns.max() + 1
    y2 = rows.max() + 1
    corners = x1, y1, x2, y2
    return list(map(int, corners))
