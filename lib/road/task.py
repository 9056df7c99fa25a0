"""The last task: one file under four budgets, on scenes from another day.

The scenes are test scenes that something has happened to: darker, noisier, turned, or
under another texture, a quarter of them each. What was measured on scenes like those of
the training does not hold here, and by how much is part of the task.

Chapter 23 sets it. Integers decide every pixel, as in `drawing`.
"""

from dataclasses import dataclass

import numpy as np

from lib.basics import arguments, data, drawing
from lib.detection import detectors
from lib.road import judging

SHIFTS = ("darker", "noisier", "turned", "another texture")
TURN = 9  # 9/256 is the tangent of half of 4 degrees
GRAIN = 26  # pixel noise, either way
STRIPE = 12  # brightness of a stripe, either way


@dataclass(frozen=True)
class Budgets:
    """What a file may cost at most, and what AP it must reach.

    `ratio` is its milliseconds over those of the shipped plain detector in floats, both
    timed in one run: a limit in milliseconds would judge the machine. No shipped file
    keeps all four.
    """

    kilobytes: float | int = 200
    ratio: float | int = 1.0
    macs: float | int = 50e6
    ap: float | int = 0.6


def darker(images: np.ndarray) -> np.ndarray:
    """Five eighths of the light.

    >>> darker(np.array([80, 255], np.uint8)).tolist()
    [50, 159]
    """
    return (images.astype(np.int64) * 5 // 8).astype(np.uint8)


def noisier(images: np.ndarray, dice: drawing.Dice) -> np.ndarray:
    """Grain over every pixel, as from a small sensor at night."""
    noise = dice.between(-GRAIN, GRAIN, *images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def striped(images: np.ndarray) -> np.ndarray:
    """Slanting stripes, eight pixels wide: a texture that no training scene has."""
    size = images.shape[-1]
    across, down = np.arange(size), np.arange(size)[:, None]
    light = np.where((2 * across + down) // 16 % 2 == 0, STRIPE, -STRIPE)
    return np.clip(images + light, 0, 255).astype(np.uint8)


def turned(images: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 3, S, S) turned by 4 degrees; boxes (M, 4) about their new centres.

    A box keeps its sides: 4 degrees change a tight one by a few per cent.
    """
    size, one = images.shape[-1], drawing.ONE
    cos, sin = drawing.cos_and_sin(TURN)
    linear = np.array([[cos, sin], [-sin, cos]])  # from a new place to an old one
    middle = size * one // 2
    offset = middle - (linear.sum(1) * size // 2)
    matrix = np.concatenate([linear, offset[:, None]], 1)[None]
    flat = images.reshape(-1, size, size).astype(np.int64)
    rotated = drawing.resample(flat, np.repeat(matrix, len(flat), 0), size)
    centres = boxes.reshape(-1, 2, 2).mean(1) - size / 2  # M 2
    moved = centres @ linear / one + size / 2  # the other way round
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    new = np.concatenate([moved - half, moved + half], 1).clip(0, size)
    return rotated.reshape(images.shape).astype(np.uint8), new


def hidden(n: int = 200, seed: int = 1000) -> data.Scenes:
    """`n` shifted scenes of the test split; a lecturer keeps the seed."""
    arguments.whole_number("n", n, least=len(SHIFTS))
    drawn = detectors.scenes("test", n, seed=arguments.seed(seed))
    images, boxes = drawn.images.copy(), drawn.boxes.astype(np.float64)
    dice = drawing.Dice("hidden", seed)
    images[0::4] = darker(images[0::4])
    images[1::4] = noisier(images[1::4], dice)
    for i in range(2, n, 4):
        rows = slice(drawn.starts[i], drawn.starts[i + 1])
        images[i : i + 1], boxes[rows] = turned(images[i : i + 1], boxes[rows])
    images[3::4] = striped(images[3::4])
    return data.Scenes(images, boxes, drawn.labels, drawn.starts)


def weigh(row: judging.Row, budgets: Budgets | None = None) -> list[tuple]:
    """Each budget with what a file has of it: (budget, value, limit, kept).

    ValueError for a file whose multiply-adds nobody has counted.
    """
    budgets = budgets or Budgets()
    if row.macs is None:
        raise ValueError(f"row {row.name!r} has no multiply-adds: give `macs` to judge")
    return [
        ("kB", row.kilobytes, budgets.kilobytes, row.kilobytes <= budgets.kilobytes),
        ("time, of plain's", row.ratio, budgets.ratio, row.ratio <= budgets.ratio),
        ("multiply-adds", row.macs, budgets.macs, row.macs <= budgets.macs),
        ("AP, at least", row.ap.value, budgets.ap, row.ap.value >= budgets.ap),
    ]
