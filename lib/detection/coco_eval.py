"""How good is a detector? Matching, precision and recall, and COCO's twelve numbers.

Detections of one class and image are taken best score first. Each claims the free
object that it overlaps most; it is right if there is one, else false. Walking down the
scores gives precision over recall. COCO averages that over 101 recalls, 10 overlaps
and all classes. Every number equals that of pycocotools to 1e-12.

Chapter 16. Lin et al. 2014, arxiv.org/abs/1405.0312; cocodataset.org/#detection-eval.
"""

from collections import namedtuple
from numbers import Real
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lib.detection import categories, decoding

IOUS = np.linspace(0.5, 0.95, 10)  # T; not arange, whose steps drift upwards
RECALLS = np.linspace(0, 1, 101)  # R
# A: all, small, medium, large, in pixels; both ends belong: 1024 is small and medium.
AREAS = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])
CUTS = (1, 10, 100)  # M: detections that an image may have of one class
_NAMES = "ap ap50 ap75 ap_small ap_medium ap_large ar1 ar10 ar100 ar_small ar_medium"


class Numbers(namedtuple("Numbers", f"{_NAMES} ar_large")):
    """The twelve, in the order of pycocotools; -1 where there is no such object."""


class Curves(NamedTuple):
    """All that the twelve numbers are means of; -1 for a class without objects.

    T overlaps `IOUS`, R recalls `RECALLS`, K classes, A `AREAS`, M `CUTS`. `scores`
    are those at which a recall is reached; both curves are cut at 100 detections.
    """

    precision: Float[np.ndarray, "T R K A"]
    scores: Float[np.ndarray, "T R K A"]
    recall: Float[np.ndarray, "T K A M"]
    category_ids: list

    def numbers(self) -> Numbers:
        """The twelve numbers: means over whatever has a value (Eq. 16.5)."""
        p, r = self.precision, self.recall
        half, three_quarters = 0, 5  # IOUS[0] is 0.5, IOUS[5] is 0.75
        means = [p[..., 0], p[half, ..., 0], p[three_quarters, ..., 0]]
        means += [p[..., a] for a in (1, 2, 3)]
        means += [r[..., 0, m] for m in range(3)] + [r[..., a, 2] for a in (1, 2, 3)]
        return Numbers(*map(_mean, means))

    def ap(self) -> dict:
        """AP of each category id, over all ten overlaps; -1 without objects."""
        ids = enumerate(self.category_ids)
        return {identity: _mean(self.precision[:, :, k, 0]) for k, identity in ids}


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


def evaluate(ground_truth, detections) -> Numbers:
    """The twelve COCO numbers of detections, by their order in pycocotools.

    `ground_truth` is a COCO dictionary (images, annotations, categories), `detections`
    a list of {"image_id", "category_id", "bbox": [x, y, w, h] pixels, "score"}. Raises
    ValueError that names the entry: unknown id, box that is none, score NaN.
    """
    return curves(ground_truth, detections).numbers()


def detections(
    model, dataset, *, batch_size: int = 32, threshold=0.001, candidates=1000, **how
) -> list[dict]:
    """What a detector finds in all pictures of a dataset, in the form of `evaluate`.

    `dataset` gives `Sample`s: scenes, or a `CocoFolder`. A label becomes the id that
    the dataset has for the detector's category (`categories.ids_of_outputs`); what it
    has no category for is left out. `how` goes to `decoding.postprocess`:
    `suppress=decoding.soft_nms` gives a little more AP. Raises ValueError with both
    lists if detector and dataset do not agree.
    """
    ids = categories.ids_of_outputs(model.config, dataset)
    how |= {"threshold": threshold, "candidates": candidates}
    results = []
    for first in range(0, len(dataset), batch_size):
        numbers = range(first, min(first + batch_size, len(dataset)))
        samples = [dataset[i] for i in numbers]
        found = decoding.detect_all(model, [s.image for s in samples], **how)
        for sample, (boxes, scores, labels) in zip(samples, found, strict=True):
            boxes[:, 2:] -= boxes[:, :2]  # xyxy to xywh
            rows = zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
            results += [
                {"image_id": sample.image_id, "category_id": ids[label], "bbox": box,
                 "score": score}
                for box, score, label in rows
                if ids[label] is not None
            ]  # fmt: skip
    return results


def curves(ground_truth, detections) -> Curves:
    """Precision and recall of every class, overlap and size: `evaluate` in detail.

    Two things are kinder than pycocotools: an annotation without `area` has that of
    its box, and one with the id 0 counts (pycocotools takes a match with it for none).
    """
    truth, found, ids = _read(ground_truth, detections)
    shape = len(IOUS), len(RECALLS), len(ids), len(AREAS)
    precision, scores = -np.ones(shape), -np.ones(shape)
    recall = -np.ones((len(IOUS), len(ids), len(AREAS), len(CUTS)))
    truth = truth.take(np.lexsort((truth.image, truth.category)))
    found = found.take(np.lexsort((-found.score, found.image, found.category)))
    for k in range(len(ids)):
        objects, mine = (
            b.take(slice(*np.searchsorted(b.category, [k, k + 1])))
            for b in (truth, found)
        )
        rank = np.arange(len(mine.image)) - np.searchsorted(mine.image, mine.image)
        mine, rank = mine.take(rank < CUTS[-1]), rank[rank < CUTS[-1]]
        left_out = objects.crowd[:, None] | _outside(objects.area)  # G A
        matched, ignored = match(objects, mine, left_out)
        order = np.argsort(-mine.score, kind="stable")  # ties: in order of images
        right = (matched & ~ignored)[..., order]  # A T D
        false = ~(matched | ignored)[..., order]
        sure, rank = np.append(mine.score[order], 0), rank[order]
        for a in np.flatnonzero((~left_out).any(0)):
            size = int((~left_out[:, a]).sum())
            for t in range(len(IOUS)):
                precision[t, :, k, a], at = curve(right[a, t], false[a, t], size)
                scores[t, :, k, a] = sure[at]
            for m, cut in enumerate(CUTS):
                recall[:, k, a, m] = right[a][:, rank < cut].sum(1) / size
    return Curves(precision, scores, recall, ids)


def curve(
    right: Bool[np.ndarray, " D"], false: Bool[np.ndarray, " D"], objects: int
) -> tuple[Float[np.ndarray, " R"], Int[np.ndarray, " R"]]:
    """Precision at 101 recalls, and the detection at which each is reached.

    Detections stand best score first; one that is neither right nor false is ignored.
    A recall that is never reached has precision 0, and the place D.
    """
    right, false = np.cumsum(right), np.cumsum(false)
    recall = right / objects  # Eq. 16.2
    precision = right / (right + false + np.spacing(1))  # 0 / 0 is 0
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # Eq. 16.3
    at = np.searchsorted(recall, RECALLS)
    return np.append(precision, 0)[at], at


def overlaps(
    found: Float[np.ndarray, "N 4"],
    objects: Float[np.ndarray, "N 4"],
    crowd: Bool[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """IoU row by row, boxes xywh in pixels; in a crowd, the share of the detection."""
    low = np.maximum(found[:, :2], objects[:, :2])
    high = np.minimum(found[:, :2] + found[:, 2:], objects[:, :2] + objects[:, 2:])
    inside = (high - low).clip(0).prod(1)
    area = found[:, 2:].prod(1)
    union = np.where(crowd, area, area + objects[:, 2:].prod(1) - inside)  # Eq. 16.6
    return np.divide(inside, union, out=np.zeros_like(inside), where=inside > 0)


def match(
    objects: Boxes, found: Boxes, left_out: Bool[np.ndarray, "G A"]
) -> tuple[Bool[np.ndarray, "A T D"], Bool[np.ndarray, "A T D"]]:
    """Which detections took an object (Eq. 16.1), and which are to be ignored.

    Both are of one class and sorted by image, `found` by score within it. A detection
    takes the free object of highest overlap, one that counts before one that does
    not; of equals the last. Crowds stay free. It is ignored if what it took does not
    count, or if it took nothing and its area is outside.
    """
    n, g, iou, turn = _pairs(objects, found)
    shape = len(found.image), len(IOUS), len(AREAS)
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    taken = np.zeros((len(objects.image), *shape[1:]), bool)
    # Images do not disturb each other. So all first detections choose at once, then
    # all second ones, at every overlap and size: as many steps as one image needs.
    ends = np.flatnonzero(np.diff(turn, append=-1)) + 1
    for begin, end in zip([0, *ends], ends, strict=False):
        d, o = n[begin:end], g[begin:end]
        free = (iou[begin:end, None] >= IOUS)[..., None] & ~taken[o]  # P T A
        # Pairs stand in order of preference, so the last free one is the best.
        place = np.arange(len(o))[:, None] + len(o) * ~left_out[o]  # P A
        starts = np.flatnonzero(np.diff(d, prepend=-1))  # one row a detection
        best = np.maximum.reduceat(np.where(free, place[:, None], -1), starts)
        hit = best >= 0
        matched[d[starts]], ignored[d[starts]] = hit, hit & (best < len(o))
        winner, (_, t, a) = o[best[hit] % len(o)], hit.nonzero()
        taken[winner, t, a] = ~objects.crowd[winner]
    ignored |= ~matched & _outside(found.area)[:, None]
    return matched.transpose(2, 1, 0), ignored.transpose(2, 1, 0)


def _pairs(objects: Boxes, found: Boxes):
    """Pairs that overlap by half or more, and the turn in which each is decided.

    A detection's turn counts those before it in its image that have pairs as well.
    Sorted by turn, detection and overlap; equal overlaps in the order of objects.
    """
    first = np.searchsorted(objects.image, found.image)
    count = np.searchsorted(objects.image, found.image, side="right") - first
    n = np.repeat(np.arange(len(found.image)), count)
    g = np.arange(len(n)) + np.repeat(first - np.cumsum(count) + count, count)
    iou = overlaps(found.xywh[n], objects.xywh[g], objects.crowd[g])
    near = iou >= IOUS[0]
    n, g, iou = n[near], g[near], iou[near]
    who, row = np.unique(n, return_inverse=True)
    image = found.image[who]
    turn = (np.arange(len(who)) - np.searchsorted(image, image))[row]
    order = np.lexsort((g, iou, n, turn))
    return n[order], g[order], iou[order], turn[order]


def _outside(area: Float[np.ndarray, " N"]) -> Bool[np.ndarray, "N A"]:
    return (area[:, None] < AREAS[:, 0]) | (area[:, None] > AREAS[:, 1])


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if len(values) else -1.0


# ------------------------------------------------------------------------- reading


def _read(truth, detections) -> tuple[Boxes, Boxes, list]:
    """Objects and detections as arrays, all of it checked, and the category ids."""
    lists = {"detections": detections}
    for kind in ("images", "categories", "annotations"):
        lists[kind] = truth.get(kind) if isinstance(truth, dict) else None
    for kind, entries in lists.items():
        if not isinstance(entries, list | tuple):
            raise ValueError(
                f"{kind}: a list of dictionaries was expected, not {entries!r:.60}"
                " (the ground truth is a COCO dictionary, detections are a list)"
            )
    places = {}
    for kind, key in (("images", "image_id"), ("categories", "category_id")):
        ids = [entry.get("id") for entry in lists[kind]]
        places[key] = {identity: i for i, identity in enumerate(sorted(set(ids)))}
        if len(places[key]) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise ValueError(f"{kind}: the id {twice!r} stands there twice")
    annotations = lists["annotations"]
    objects = _boxes("annotations", annotations, places)
    # `ignore` is not looked at: pycocotools overwrites it with iscrowd.
    crowd = np.array([bool(a.get("iscrowd")) for a in annotations], bool)
    found = _boxes("detections", detections, places, "score")
    return objects._replace(crowd=crowd), found, list(places["category_id"])


def _boxes(kind: str, entries, places: dict, *more: str) -> Boxes:
    """Entries as arrays; if anything is wrong, each is looked at to find it."""
    try:
        where = [
            np.array([place[entry[key]] for entry in entries], np.int64)
            for key, place in places.items()
        ]
        xywh = np.array([entry["bbox"] for entry in entries], float)
        xywh = xywh.reshape(len(entries), 4)
        area = xywh[:, 2] * xywh[:, 3]
        if not more:  # the area of an object's outline, if the file knows it
            area = [e.get("area", a) for e, a in zip(entries, area, strict=True)]
            area = np.array(area, float)
        score = np.array([e["score"] if more else 0 for e in entries], float)
        sound = all(np.isfinite(column).all() for column in (xywh, area, score))
        sound = sound and (xywh[:, 2:] >= 0).all()
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        for i, entry in enumerate(entries):
            _check(f"{kind}[{i}]", entry, places, more)
        raise ValueError(f"{kind}: some number does not fit into float64")
    return Boxes(*where, xywh, area, score, np.zeros(len(entries), bool))


def _check(where: str, entry, places: dict, more: tuple[str, ...]) -> None:
    """ValueError that says what is wrong with an entry, if anything is."""
    for key in (*places, "bbox", *more):
        if not isinstance(entry, dict) or key not in entry:
            raise ValueError(f"{where} has no {key!r}: {entry!r:.80}")
    for key, place in places.items():
        if entry[key] not in list(place):
            known = f"{list(place)!r:.60}"
            raise ValueError(f"{where} has {key} {entry[key]!r}; known are {known}")
    for key, size in (("bbox", 4), ("area", 1), ("score", 1)):
        value = entry.get(key, 0) if size == 1 else entry[key]
        value = np.array(value, object).reshape(-1).tolist()
        numbers = all(isinstance(v, Real) and np.isfinite(v) for v in value)
        if len(value) != size or not numbers or (size == 4 and min(value[2:]) < 0):
            wanted = "x y w h, finite, w and h not below 0" if size == 4 else "a number"
            raise ValueError(f"{where} has {key} {entry[key]!r:.80}; give {wanted}")
