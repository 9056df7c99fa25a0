"""COCO dictionaries as arrays, every entry checked and named if it cannot be used.

Files and detectors write ids as integers, texts, NumPy scalars or tensors. An id that
no image or category has, a box that is none or a score that is NaN would move a metric
without a word; each is refused here with the place where it stands.

For `coco_eval`, chapter 16. Format: cocodataset.org/#format-results.
"""

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

# What NumPy, torch and Python raise where an entry is not what it should be.
WRONG = (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError)


class Boxes(NamedTuple):
    """Objects or detections as arrays; image and category are places, not ids."""

    image: Int[np.ndarray, " N"]
    category: Int[np.ndarray, " N"]
    xywh: Float[np.ndarray, "N 4"]
    area: Float[np.ndarray, " N"]
    score: Float[np.ndarray, " N"]
    crowd: Bool[np.ndarray, " N"]

    def take(self, rows) -> "Boxes":
        """Some of them, in the order of `rows`, a slice, or where a mask is true."""
        return Boxes(*(column[rows] for column in self))


class Places(NamedTuple):
    """Where each id stands among the sorted ones."""

    image_id: dict[Any, int]
    category_id: dict[Any, int]


def read(truth, detections) -> tuple[Boxes, Boxes, list]:
    """Objects and detections as arrays, all of it checked, and the category ids."""
    images = _list("images", truth)
    categories = _list("categories", truth)
    annotations = _list("annotations", truth)
    detections = _list("detections", {"detections": detections})
    places = Places(_places("images", images), _places("categories", categories))
    objects = _boxes("annotations", annotations, places)
    found = _boxes("detections", detections, places, "score")
    return objects, found, list(places.category_id)


def _list(kind: str, document) -> list | tuple:
    entries = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(entries, list | tuple):
        raise ValueError(
            f"{kind}: a list of dictionaries was expected, not {entries!r:.60}"
            " (ground_truth is a COCO dictionary, detections are a list)"
        )
    return entries


def _places(kind: str, entries) -> dict[Any, int]:
    """Place of each id in sorted order, texts last. ValueError names a bad entry."""
    ids = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or "id" not in entry:
            raise ValueError(f"{kind}[{i}] has no 'id': {entry!r:.80}")
        ids.append(_id(f"{kind}[{i}]", "id", entry["id"]))
    ordered = sorted(
        set(ids), key=lambda identity: (isinstance(identity, str), identity)
    )
    if len(ordered) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ValueError(f"{kind}: the id {twice!r} stands there twice")
    return {identity: place for place, identity in enumerate(ordered)}


def _boxes(kind: str, entries, places: Places, *more: str) -> Boxes:
    """Entries as arrays; if anything is wrong, each is looked at to find it."""
    try:
        return _columns(entries, places, more)
    except WRONG:
        plain = [
            _plain(f"{kind}[{i}]", entry, places, more)
            for i, entry in enumerate(entries)
        ]
        return _columns(plain, places, more)


def _columns(entries, places: Places, more: tuple[str, ...]) -> Boxes:
    """Entries as arrays, all at once; raises one of WRONG if one is not in order."""
    n = len(entries)
    where = []
    for key, place in places._asdict().items():
        column = [place[entry[key]] for entry in entries]
        where.append(np.array(column, np.int64))
    xywh = _reals([entry["bbox"] for entry in entries]).reshape(n, 4)
    area = xywh[:, 2] * xywh[:, 3]
    if not more:  # the area of an object's outline, if the file knows it
        pairs = zip(entries, area, strict=True)
        area = _reals([entry.get("area", of_box) for entry, of_box in pairs])
    score = _reals([entry["score"] if more else 0 for entry in entries])
    # `ignore` is not looked at: pycocotools overwrites it with iscrowd.
    crowd = _reals([0 if more else entry.get("iscrowd") or 0 for entry in entries])
    alike = area.shape == score.shape == crowd.shape == (n,)
    if not alike or not np.isin(crowd, (0, 1)).all():
        raise ValueError("area, score and iscrowd are single numbers")
    numbers = np.concatenate([xywh.ravel(), area, score])
    if not np.isfinite(numbers).all() or (xywh[:, 2:] < 0).any():
        raise ValueError("boxes and scores are finite, and no box is smaller than 0")
    return Boxes(*where, xywh, area, score, crowd.astype(bool))


def _reals(values: list) -> Float[np.ndarray, "..."]:
    """Numbers as float64; TypeError for texts, nulls and what no float can hold."""
    array = np.array(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is no number")
    return array.astype(float)


def _plain(where: str, entry, places: Places, more: tuple[str, ...]) -> dict:
    """An entry in Python's own numbers; ValueError says what is wrong with it."""
    for key in (*Places._fields, "bbox", *more):
        if not isinstance(entry, dict) or key not in entry:
            raise ValueError(f"{where} has no {key!r}: {entry!r:.80}")
    plain = {}
    for key, place in places._asdict().items():
        plain[key] = _id(where, key, entry[key])
        if plain[key] not in place:
            known = f"{list(place)!r:.60}"
            raise ValueError(f"{where} has {key} {entry[key]!r}; known are {known}")
    wanted = "x y w h, finite, w and h not below 0"
    plain["bbox"] = _numbers(where, "bbox", entry["bbox"], 4, wanted)
    if min(plain["bbox"][2:]) < 0:
        raise ValueError(f"{where} has bbox {entry['bbox']!r:.80}; give {wanted}")
    for key in ("score",) if more else ("area",):
        if key in entry:
            (plain[key],) = _numbers(where, key, entry[key], 1, "a number")
    if not more and entry.get("iscrowd") is not None:
        (crowd,) = _numbers(where, "iscrowd", entry["iscrowd"], 1, "0 or 1")
        if crowd not in (0, 1):
            raise ValueError(f"{where} has iscrowd {entry['iscrowd']!r}; give 0 or 1")
        plain["iscrowd"] = crowd
    return plain


def _id(where: str, key: str, value):
    """An id as a number or a text; a tensor or an array of one number is a number."""
    plain = value
    if isinstance(value, Tensor | np.ndarray):
        numbers = value.reshape(-1).tolist()
        plain = numbers[0] if len(numbers) == 1 else numbers
    if isinstance(plain, str | Real):
        return plain
    raise ValueError(f"{where} has {key} {value!r:.80}; give a whole number")


def _numbers(where: str, key: str, value, size: int, wanted: str) -> list[float]:
    """Finite numbers, `size` of them; one number stands alone, not in a list."""
    plain = value.tolist() if isinstance(value, Tensor | np.ndarray) else value
    plain = [plain] if size == 1 else plain
    try:
        numbers = [float(v) for v in plain if isinstance(v, Real | Tensor)]
    except WRONG:  # no list, or a number beyond 1.8e308
        numbers = []
    if (
        len(numbers) != size
        or len(plain) != size
        or not all(map(math.isfinite, numbers))
    ):
        raise ValueError(f"{where} has {key} {value!r:.80}; give {wanted}")
    return numbers
