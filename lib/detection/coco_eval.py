"""How good is a detector? Matching, precision and recall, and COCO's twelve numbers.

Detections of one class and image are taken best score first. Each takes the free object
that it overlaps most; it is right if there is one, else false. Walking down the
scores gives precision over recall. COCO averages that over 101 recalls, 10 overlaps
and all classes. Every number equals that of pycocotools to 1e-12.

Chapter 16. Lin et al. 2014, arxiv.org/abs/1405.0312; cocodataset.org/#detection-eval.
"""

from collections import namedtuple
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lib.basics import arguments, plain
from lib.detection import categories, decoding, pairing, redrawing
from lib.detection.coco_tables import Boxes, read

IOUS = np.linspace(0.5, 0.95, 10)  # T; not arange, whose steps drift upwards
RECALLS = np.linspace(0, 1, 101)  # R
# A: all, small, medium, large, in pixels; both ends belong: 1024 is small and medium.
AREAS = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])
CUTS = (1, 10, 100)  # M: detections that an image may have of one class
Matched = Bool[np.ndarray, "A T D"]
Verdicts = Bool[np.ndarray, " D"]
TINY = np.spacing(1)  # so that 0 / 0 is 0, as in pycocotools
NOTHING = -1  # what a detection took that overlaps no free object enough
_NAMES = "ap ap50 ap75 ap_small ap_medium ap_large ar1 ar10 ar100 ar_small ar_medium"


class Numbers(namedtuple("Numbers", f"{_NAMES} ar_large")):
    """The twelve, in the order of pycocotools; -1 where there is no such object."""


class PrecisionRecall(NamedTuple):
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
        precision, recall = self.precision, self.recall
        every, small, medium, large = range(len(AREAS))
        half, three_quarters = 0, 5  # IOUS[0] is 0.5, IOUS[5] is 0.75
        return Numbers(
            ap=_mean(precision[..., every]),
            ap50=_mean(precision[half, ..., every]),
            ap75=_mean(precision[three_quarters, ..., every]),
            ap_small=_mean(precision[..., small]),
            ap_medium=_mean(precision[..., medium]),
            ap_large=_mean(precision[..., large]),
            ar1=_mean(recall[..., every, 0]),
            ar10=_mean(recall[..., every, 1]),
            ar100=_mean(recall[..., every, 2]),
            ar_small=_mean(recall[..., small, 2]),
            ar_medium=_mean(recall[..., medium, 2]),
            ar_large=_mean(recall[..., large, 2]),
        )

    def ap(self) -> dict:
        """AP of each category id, over all ten overlaps; -1 without objects."""
        each = {}
        for k, identity in enumerate(self.category_ids):
            each[identity] = _mean(self.precision[:, :, k, 0])
        return each


def evaluate(ground_truth, detections) -> Numbers:
    """The twelve COCO numbers of detections, by their order in pycocotools.

    `ground_truth` is a COCO dictionary (images, annotations, categories), `detections`
    a list of {"image_id", "category_id", "bbox": [x, y, w, h] pixels, "score"}. Raises
    ValueError that names the entry: unknown id, box that is none, score NaN.
    """
    return precision_recall(ground_truth, detections).numbers()


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
    batch_size = arguments.whole_number("batch_size", batch_size, least=1)
    if not hasattr(model, "config"):
        raise arguments.refuse("model", model, "a detector, which has a config")
    try:
        pictures = len(dataset)
    except TypeError as error:
        raise arguments.refuse("dataset", dataset, "a dataset with a len()") from error
    ids = categories.ids_of_outputs(model.config, dataset)
    how |= {"threshold": threshold, "candidates": candidates}
    results = []
    for first in range(0, pictures, batch_size):
        last = min(first + batch_size, pictures)
        samples = [dataset[i] for i in range(first, last)]
        if not hasattr(samples[0], "image"):
            raise arguments.refuse("dataset", dataset, "a dataset of `Sample`s")
        images = [sample.image for sample in samples]
        answers = decoding.detect_all(model, images, **how)
        for sample, answer in zip(samples, answers, strict=True):
            results += _dictionaries(sample.image_id, answer, ids)
    return results


def _dictionaries(image_id, answer: decoding.Detections, ids: list) -> list[dict]:
    """Detections of one picture as COCO writes them: ids, and boxes xywh."""
    boxes = answer.boxes.clone()
    boxes[:, 2:] -= boxes[:, :2]  # xyxy to xywh
    columns = boxes.tolist(), answer.scores.tolist(), answer.labels.tolist()
    entries = []
    for bbox, score, label in zip(*columns, strict=True):
        if label >= len(ids):
            raise ValueError(
                f"the detector answers label {label}, and its config has {len(ids)}"
                " classes"
            )
        if ids[label] is not None:
            entry = {"image_id": image_id, "category_id": ids[label], "bbox": bbox}
            entries.append(entry | {"score": score})
    return entries


def compare(
    ground_truth, a: list[dict], b: list[dict], draws: int = 1000, seed: int = 0
) -> redrawing.Comparison:
    """AP of two lists of detections of the same pictures, and whether they differ.

    `compare(truth, a, b)` gives `.a`, `.b` and `.difference` (AP of b less AP of a),
    each with `.value`, `.low` and `.high`: its value as `evaluate` says it, and the
    95 % interval over `draws` test sets, drawn from the pictures with repeats, the same
    for both. f"{it.difference:+.3f}" is a text such as "+0.008 [+0.005, +0.012]".
    Takes about a second for 200 scenes. ValueError where there is no object.
    """
    draws = arguments.whole_number("draws", draws, 2, 10**6)
    seed = arguments.seed(seed, least=0)
    both = [_rows(ground_truth, a, "a"), _rows(ground_truth, b, "b")]
    if not any(len(rows.objects) for rows in both[0]):
        raise ValueError("ground_truth has no object that counts: there is no AP")
    times = redrawing.draw(len(ground_truth["images"]), draws, seed)
    of_a, of_b = (redrawing.average_precisions(one, times, RECALLS) for one in both)
    return redrawing.Comparison(*map(redrawing.estimate, (of_a, of_b, of_b - of_a)))


def _rows(ground_truth, detections, name: str = "a") -> list[redrawing.Rows]:
    """Verdicts of each class on objects of all sizes, to be drawn again."""
    with arguments.about(name):
        pairs, _ = _by_class(ground_truth, detections)
    classes = []
    for objects, found in pairs:
        judged = _judge(objects, found)
        rows = judged.detections.image, judged.right[0], judged.false[0]
        classes.append(redrawing.Rows(*rows, objects.image[~judged.left_out[:, 0]]))
    return classes


# ------------------------------------------------------------------ precision, recall


def precision_recall(ground_truth, detections) -> PrecisionRecall:
    """Precision and recall of every class, overlap and size: `evaluate` in detail.

    Two things are kinder than pycocotools: an annotation without `area` has that of
    its box, and one with the id 0 counts (pycocotools takes a match with it for none).
    """
    classes, ids = _by_class(ground_truth, detections)
    shape = len(IOUS), len(RECALLS), len(classes), len(AREAS)
    precision = np.full(shape, -1.0)
    scores = np.full_like(precision, -1.0)
    recall = np.full((len(IOUS), len(classes), len(AREAS), len(CUTS)), -1.0)
    for k, boxes in enumerate(classes):
        one_class = _precision_recall(*boxes)
        precision[:, :, k], scores[:, :, k], recall[:, k] = one_class
    return PrecisionRecall(precision, scores, recall, ids)


def _by_class(ground_truth, detections) -> tuple[list[tuple[Boxes, Boxes]], list]:
    """Objects and detections of each class, and the category ids.

    Both are sorted by image, detections by score within it.
    """
    objects, detections, ids = read(ground_truth, detections)
    order = np.lexsort((objects.image, objects.category))
    objects = objects.take(order)
    order = np.lexsort((-detections.score, detections.image, detections.category))
    detections = detections.take(order)
    classes = range(len(ids))
    return [(_of_class(objects, k), _of_class(detections, k)) for k in classes], ids


def _of_class(boxes: Boxes, k: int) -> Boxes:
    """Those of class k; they stand sorted by class."""
    first, last = np.searchsorted(boxes.category, [k, k + 1])
    return boxes.take(slice(first, last))


class _Judged(NamedTuple):
    """The detections of one class over all images, best score first."""

    right: Matched
    false: Matched
    detections: Boxes
    rank: Int[np.ndarray, " D"]  # in its image
    left_out: Bool[np.ndarray, "G A"]  # objects that do not count


def _judge(objects: Boxes, detections: Boxes) -> _Judged:
    """Which detections of a class are right, and which false: neither is ignored."""
    image = detections.image
    rank = np.arange(len(image)) - np.searchsorted(image, image)  # in its image
    kept = rank < CUTS[-1]
    detections, rank = detections.take(kept), rank[kept]
    left_out = objects.crowd[:, None] | _outside(objects.area)  # G A
    matched, ignored = match(objects, detections, left_out)  # A T D
    order = np.argsort(-detections.score, kind="stable")  # ties: in order of images
    right = (matched & ~ignored)[..., order]
    false = (~matched & ~ignored)[..., order]
    return _Judged(right, false, detections.take(order), rank[order], left_out)


def _precision_recall(objects: Boxes, detections: Boxes):
    """Precision (T, R, A), scores (T, R, A) and recall (T, A, M) of one class."""
    right, false, detections, rank, left_out = _judge(objects, detections)
    score = detections.score
    score = np.append(score, 0)  # of a recall that is never reached
    precision = np.full((len(IOUS), len(RECALLS), len(AREAS)), -1.0)
    scores = np.full_like(precision, -1.0)
    recall = np.full((len(IOUS), len(AREAS), len(CUTS)), -1.0)
    for a, counted in enumerate((~left_out).sum(0).tolist()):
        if counted == 0:
            continue
        for t in range(len(IOUS)):
            verdicts = right[a, t], false[a, t]
            precision[t, :, a] = interpolated_precision(*verdicts, counted)
            at = np.searchsorted(np.cumsum(right[a, t]) / counted, RECALLS)
            scores[t, :, a] = score[at]
        for m, cut in enumerate(CUTS):
            hits = right[a][:, rank < cut].sum(1)  # T
            recall[:, a, m] = hits / counted
    return precision, scores, recall


@arguments.named
def interpolated_precision(
    right: Bool[np.ndarray, " D"],
    false: Bool[np.ndarray, " D"],
    objects: int,
) -> Float[np.ndarray, " R"]:
    """Precision at 101 recalls: the best there or further on; 0 if never reached.

    Detections stand best score first; one that is neither right nor false is ignored.
    The mean is the average precision.

    >>> right = np.array([True, False, True])
    >>> precision = interpolated_precision(right, ~right, objects=2)
    >>> round(precision.mean().item(), 3)  # (51 * 1 + 50 * 2 / 3) / 101
    0.835
    """
    hits = np.cumsum(right)
    misses = np.cumsum(false)
    recall = hits / objects  # Eq. 16.2
    precision = hits / (hits + misses + TINY)
    from_right = precision[::-1]
    best = np.maximum.accumulate(from_right)
    envelope = best[::-1]  # Eq. 16.3
    at = np.searchsorted(recall, RECALLS)
    envelope = np.append(envelope, 0)  # of a recall that is never reached
    return envelope[at]


# --------------------------------------------------------------------------- matching


@arguments.named
def overlaps(
    detections: Float[np.ndarray, "N 4"],
    objects: Float[np.ndarray, "N 4"],
    crowd: Bool[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """IoU row by row, boxes xywh in pixels; in a crowd, the share of the detection."""
    corner = detections[:, :2]
    size = detections[:, 2:]
    other_corner = objects[:, :2]
    other_size = objects[:, 2:]
    low = np.maximum(corner, other_corner)
    high = np.minimum(corner + size, other_corner + other_size)
    sides = (high - low).clip(0)  # N 2; 0 where they do not touch
    inside = sides.prod(1)
    area = size.prod(1)
    union = area + other_size.prod(1) - inside
    whole = np.where(crowd, area, union)  # Eq. 16.6
    overlap = np.zeros_like(inside)
    np.divide(inside, whole, out=overlap, where=inside > 0)
    return overlap


@plain.ours
@arguments.named
def choose(overlap: Float[np.ndarray, "D G"], threshold: float) -> list[int]:
    """Which object each detection takes, NOTHING if none (Eq. 16.1).

    One image, one class, best score first; `overlap` of each detection with each
    object. Each object is taken once; of equals the last.

    >>> overlap = np.array([[0.90, 0.89], [1.00, 0.80], [0.00, 0.00]])
    >>> choose(overlap, threshold=0.5)
    [0, 1, -1]
    """
    detections, objects = overlap.shape
    free = list(range(objects))
    taken = []
    for d in range(detections):
        best = NOTHING
        for g in free:
            enough = overlap[d, g] >= threshold
            if enough and (best == NOTHING or overlap[d, g] >= overlap[d, best]):
                best = g
        taken.append(best)
        if best != NOTHING:
            free.remove(best)
    return taken


@arguments.named
def match_one_image(
    overlap: Float[np.ndarray, "D G"],
    threshold: float,
    ignored: Collection[int] = (),
    crowds: Collection[int] = (),
) -> list[int]:
    """`choose`, where some objects do not count and some are crowds.

    Objects that do not count are `ignored`, and only taken if none that counts is
    left. `crowds` are never used up; they are ignored, too.

    >>> overlap = np.array([[0.6, 0.9], [0.6, 0.9], [0.6, 0.9]])
    >>> match_one_image(overlap, 0.5, ignored=[1])  # the second takes what is left
    [0, 1, -1]
    """
    detections, objects = overlap.shape
    taken = [NOTHING] * detections
    # What counts comes first, so it is shared out as if there were nothing else.
    for counts in (True, False):
        rows = [d for d in range(detections) if taken[d] == NOTHING]
        columns = []
        for g in range(objects):
            if (g not in ignored) == counts:
                # Never used up: there is one of it for each detection.
                columns += [g] * (len(rows) if g in crowds else 1)
        if rows and columns:
            chosen = choose(overlap[np.ix_(rows, columns)], threshold)
            for d, column in zip(rows, chosen, strict=True):
                taken[d] = NOTHING if column == NOTHING else columns[column]
    return taken


def match(
    objects: Boxes,
    detections: Boxes,
    left_out: Bool[np.ndarray, "G A"],
) -> tuple[Matched, Matched]:
    """`match_one_image` of all images of a class at once, at every overlap and size.

    Both are sorted by image, `detections` by score within it; `left_out` objects do not
    count. Returns which detections took an object, and which are to be ignored: those
    that took one that does not count, or took nothing and have their area outside.
    """
    if not plain.is_ours(choose):
        return _match_one_by_one(objects, detections, left_out)
    pairs = _pairs(objects, detections)
    matched = _no_verdicts(detections)  # D T A
    ignored = _no_verdicts(detections)  # D T A
    taken = _no_verdicts(objects)  # G T A
    # All first detections of their images choose at once, then all second ones ...
    for detection, object_, overlap in pairing.turns(pairs, detections.image):
        n = len(object_)
        enough = overlap[:, None, None] >= IOUS[:, None]  # P T 1
        free = enough & ~taken[object_]  # P T A
        counts = ~left_out[object_]  # P A
        chooser, best = pairing.best(detection, free, counts)  # d, d T A
        hit = best >= 0
        counts_not = best < n
        matched[chooser] = hit
        ignored[chooser] = hit & counts_not
        pair = best[hit] % n
        winner = object_[pair]
        _, t, a = hit.nonzero()
        used_up = ~objects.crowd[winner]
        taken[winner, t, a] = used_up
    outside = _outside(detections.area)[:, None]  # D 1 A
    ignored |= ~matched & outside
    return matched.T, ignored.T


def _match_one_by_one(objects: Boxes, detections: Boxes, left_out):
    """What `match` returns, by `match_one_image`: for a `choose` that is not ours."""
    matched = _no_verdicts(detections).T  # A T D
    ignored = np.zeros_like(matched)
    outside = _outside(detections.area)  # D A
    for image in np.unique(detections.image):
        d = np.flatnonzero(detections.image == image)
        g = np.flatnonzero(objects.image == image)
        rows, columns = np.repeat(d, len(g)), np.tile(g, len(d))
        boxes = detections.xywh[rows], objects.xywh[columns]
        overlap = overlaps(*boxes, objects.crowd[columns])
        overlap = overlap.reshape(len(d), len(g))
        crowds = np.flatnonzero(objects.crowd[g]).tolist()
        for a in range(len(AREAS)):
            uncounted = left_out[g, a]
            some = np.flatnonzero(uncounted).tolist()
            for t, threshold in enumerate(IOUS.tolist()):
                taken = np.array(match_one_image(overlap, threshold, some, crowds))
                hit = taken != NOTHING
                matched[a, t, d] = hit
                ignored[a, t, d] = outside[d, a]
                ignored[a, t, d[hit]] = uncounted[taken[hit]]
    return matched, ignored


def _no_verdicts(boxes: Boxes) -> Bool[np.ndarray, "N T A"]:
    """False of each box, at every overlap and size."""
    return np.zeros((len(boxes.image), len(IOUS), len(AREAS)), bool)


def _pairs(objects: Boxes, detections: Boxes) -> pairing.Pairs:
    """The pairs that overlap by half or more, in order of detections."""
    detection, object_ = pairing.of_one_image(objects.image, detections.image)
    boxes = detections.xywh[detection], objects.xywh[object_]
    overlap = overlaps(*boxes, objects.crowd[object_])
    near = overlap >= IOUS[0]
    return pairing.Pairs(detection[near], object_[near], overlap[near])


def _outside(area: Float[np.ndarray, " N"]) -> Bool[np.ndarray, "N A"]:
    """Whether an area does not belong to each of AREAS."""
    area = area[:, None]
    return (area < AREAS[:, 0]) | (area > AREAS[:, 1])


def _mean(values: np.ndarray) -> float:
    """Mean of what has a value, -1 if nothing has."""
    values = values[values > -1]
    return float(values.mean()) if len(values) else -1.0
