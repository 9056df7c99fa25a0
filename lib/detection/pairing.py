"""All images at once: pairs of a detection and an object, decided in turns.

Images do not disturb each other. So all first detections choose at once, then all
second ones, and so on: as many steps as one image needs, and not one for each image.

For `coco_eval`, chapter 16.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Pairs(NamedTuple):
    """P pairs of a detection and an object of its image, and the overlap of the two."""

    detection: Int[np.ndarray, " P"]
    object: Int[np.ndarray, " P"]
    overlap: Float[np.ndarray, " P"]


def of_one_image(
    objects: Int[np.ndarray, " G"], detections: Int[np.ndarray, " D"]
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Each detection with each object of its image: rows of both, by detection.

    Both say the image of each box, and are sorted.

    >>> detection, object_ = of_one_image(np.array([0, 2, 2]), np.array([0, 1, 2]))
    >>> detection.tolist(), object_.tolist()
    ([0, 2, 2], [0, 1, 2])
    """
    # Of each detection's image: its first object, and how many there are.
    first = np.searchsorted(objects, detections)  # D
    last = np.searchsorted(objects, detections, side="right")
    count = last - first
    detection = np.repeat(np.arange(len(detections)), count)  # P
    before = np.cumsum(count) - count  # pairs of the detections before
    object_ = np.arange(len(detection)) + np.repeat(first - before, count)
    return detection, object_


def turns(pairs: Pairs, image: Int[np.ndarray, " D"]) -> Iterator[Pairs]:
    """Pairs that are decided together: of each image's first detection, its second...

    Only detections that have pairs take a turn. Within a turn pairs stand by detection
    and overlap, equals in the order of objects.
    """
    who, row = np.unique(pairs.detection, return_inverse=True)
    of_image = image[who]
    turn = np.arange(len(who)) - np.searchsorted(of_image, of_image)
    turn = turn[row]  # P
    order = np.lexsort((pairs.object, pairs.overlap, pairs.detection, turn))
    ends = np.flatnonzero(np.diff(turn[order], append=-1)) + 1
    begins = [0, *ends[:-1]]
    for begin, end in zip(begins, ends, strict=False):
        rows = order[begin:end]
        yield Pairs(*(column[rows] for column in pairs))


def best(
    detection: Int[np.ndarray, " P"],
    free: Bool[np.ndarray, "P T A"],
    counts: Bool[np.ndarray, "P A"],
) -> tuple[Int[np.ndarray, " d"], Int[np.ndarray, "d T A"]]:
    """The d detections of P pairs, and the best pair of each: its row.

    The row stands P higher where the object counts, and is -1 where none is free. Pairs
    stand in order of preference: the last free one is the best, and any object that
    counts comes before all that do not.
    """
    n = len(detection)
    place = np.arange(n)[:, None] + n * counts  # P A
    offered = np.where(free, place[:, None], -1)  # P T A
    starts = np.flatnonzero(np.diff(detection, prepend=-1))  # one a detection
    return detection[starts], np.maximum.reduceat(offered, starts)
