"""Exercises and quiz of chapter 16: matching, precision and recall, AP."""

import numpy as np

from lib.detection import coco_eval, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong


def toy(objects, found) -> coco_eval.Numbers:
    """The twelve numbers of one picture: boxes xywh, detections (box, score)."""
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": b} for b in objects],
    }
    results = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": score}
        for box, score in found
    ]
    return coco_eval.evaluate(truth, results)


# --- 16.1 build: match the detections of one image


def scenes_judged() -> list:
    """The twelve numbers of the shipped course detector on two scenes, and of a toy.

    In the toy's first picture a detection fits two objects equally well. In the others
    the second detection fits one object only, or fits a taken one better.
    """
    scenes = detectors.scenes("test", 2)
    found = coco_eval.detections(detectors.shipped("course"), scenes, threshold=0.05)
    numbers = coco_eval.evaluate(scenes.coco(), found)
    here = {"image_id": 1, "category_id": 1}
    objects = [[0, 0, 10, 10], [2, 0, 10, 10], [40, 0, 10, 10], [60, 0, 20, 10]]
    boxes = [here | {"id": i, "bbox": box} for i, box in enumerate(objects, 1)]
    boxes[3]["iscrowd"] = 1
    said = [[1, 0, 10, 10], [-1, 0, 10, 10], [60, 0, 9, 9], [40, 0, 10, 5],
            [40, 0, 10, 8], [70, 0, 9, 9]]  # fmt: skip
    toy = [here | {"bbox": b, "score": 1 - n / 10} for n, b in enumerate(said)]
    for image, x in (2, 4), (3, 0.5):
        there = {"image_id": image, "category_id": 1}
        pair = [there | {"id": 10 * image + n, "bbox": objects[n]} for n in (0, 1)]
        boxes += pair
        toy.append(there | {"bbox": objects[0], "score": 0.95})
        toy.append(there | {"bbox": [x, 0, 10, 10], "score": 0.85})
    truth = {
        "images": [{"id": 1}, {"id": 2}, {"id": 3}],
        "categories": [{"id": 1}],
        "annotations": boxes,
    }
    return [*numbers, *coco_eval.evaluate(truth, toy)]


def choose_2(overlap, threshold):
    """Strike out the column of each object that is taken."""
    left = np.array(overlap, float)
    taken = []
    for row in left:
        if row.size == 0 or row.max() < threshold:
            taken.append(-1)
            continue
        best = len(row) - 1 - int(row[::-1].argmax())  # the last of equals
        taken.append(best)
        left[:, best] = -1
    return taken


def _chosen(overlap, threshold, order=None, best=None):
    """`choose` with another order of detections, or another best of the free ones."""
    best = best or (lambda d, free: max(free, key=lambda g: (overlap[d, g], g)))
    free, taken = set(range(overlap.shape[1])), [-1] * len(overlap)
    for d in order or range(len(overlap)):
        enough = sorted(g for g in free if overlap[d, g] >= threshold)
        if enough:
            taken[d] = best(d, enough)
            free.discard(taken[d])
    return taken


def choose_taken_ones_too(overlap, threshold):
    taken = []
    for row in overlap:
        best = max(range(len(row)), key=lambda g: (row[g], g))
        taken.append(best if row[best] >= threshold else -1)
    return taken


def choose_its_best_or_nothing(overlap, threshold):
    taken = []
    for best in choose_taken_ones_too(overlap, threshold):
        taken.append(-1 if best in taken else best)
    return taken


def choose_first_that_fits(overlap, threshold):
    return _chosen(overlap, threshold, best=lambda d, free: free[0])


def choose_last_that_fits(overlap, threshold):
    return _chosen(overlap, threshold, best=lambda d, free: free[-1])


def choose_worst_that_fits(overlap, threshold):
    return _chosen(
        overlap, threshold, best=lambda d, free: min(free, key=lambda g: overlap[d, g])
    )


def choose_first_of_equals(overlap, threshold):
    return _chosen(
        overlap, threshold, best=lambda d, free: max(free, key=lambda g: overlap[d, g])
    )


def choose_above_threshold(overlap, threshold):
    return choose_2(overlap, np.nextafter(threshold, 2))


def choose_without_threshold(overlap, threshold):
    return choose_2(overlap, 0)


def choose_least_sure_first(overlap, threshold):
    return _chosen(overlap, threshold, order=list(range(len(overlap)))[::-1])


def choose_largest_overlap_first(overlap, threshold):
    pairs = [(overlap[d, g], -d, g) for d, g in np.ndindex(*overlap.shape)]
    taken = [-1] * len(overlap)
    for value, minus_d, g in sorted(pairs, reverse=True):
        if value >= threshold and taken[-minus_d] == -1 and g not in taken:
            taken[-minus_d] = g
    return taken


def choose_by_objects(overlap, threshold):
    """Each object looks for its best detection."""
    taken = [-1] * len(overlap)
    for g, column in enumerate(overlap.T):
        d = int(column.argmax())
        if column[d] >= threshold:
            taken[d] = g
    return taken


def choose_uses_up_what_does_not_fit(overlap, threshold):
    return [
        g if g >= 0 and overlap[d, g] >= threshold else -1
        for d, g in enumerate(choose_2(overlap, -0.5))
    ]


def choose_verdicts(overlap, threshold):
    return [g >= 0 for g in choose_2(overlap, threshold)]


def choose_overlaps(overlap, threshold):
    taken = choose_2(overlap, threshold)
    return [float(overlap[d, g]) if g >= 0 else 0.0 for d, g in enumerate(taken)]


def choose_none_for_nothing(overlap, threshold):
    return [None if g < 0 else g for g in choose_2(overlap, threshold)]


def choose_zero_for_nothing(overlap, threshold):
    return [max(g, 0) for g in choose_2(overlap, threshold)]


def choose_counted_from_one(overlap, threshold):
    return [g + 1 if g >= 0 else -1 for g in choose_2(overlap, threshold)]


def choose_hits_only(overlap, threshold):
    return [g for g in choose_2(overlap, threshold) if g >= 0]


def choose_for_each_object(overlap, threshold):
    """The detection of each object, the right ones turned round."""
    taken = choose_2(overlap, threshold)
    return [taken.index(g) if g in taken else -1 for g in range(overlap.shape[1])]


def choose_one_only(overlap, threshold):
    taken = choose_2(overlap, threshold)
    first = next((d for d, g in enumerate(taken) if g >= 0), 0)
    return [g if d == first else -1 for d, g in enumerate(taken)]


def overlap_of_image(rng, size) -> tuple:
    """Detections by objects: ties, exact thresholds, none that fit, a full image."""
    d, g = rng.randint(2, 2 + size), rng.randint(1, 1 + size)
    if size == 6:
        d, g = rng.choice(((100, 20), (12, 1), (3, 30)))
    steps = (0.0, 0.0, 0.3, 0.5, 0.55, 0.6, 0.75, 0.9, 0.95, 1.0)
    rows = [
        [rng.choice(steps) if rng.random() < 0.6 else rng.random() for _ in range(g)]
        for _ in range(d)
    ]
    return np.array(rows), rng.choice((0.5, 0.5, 0.55, 0.75, 0.9))


# --- 16.2 build: precision at 101 recalls


def interpolated_precision_2(right, false, objects):
    """Recall by recall, by a loop over all detections."""
    points, hits, misses = [], 0, 0
    for ok, wrong in zip(right.tolist(), false.tolist(), strict=True):
        hits, misses = hits + ok, misses + wrong
        points.append((hits / objects, hits / max(hits + misses, 1)))
    heights = []
    for least in coco_eval.RECALLS:
        heights.append(max((p for r, p in points if r >= least), default=0.0))
    return np.array(heights)


def _walked(right, false, objects):
    """Recall and precision after each detection."""
    hits, misses = np.cumsum(right), np.cumsum(false)
    return hits / objects, hits / np.maximum(hits + misses, 1)


def _read(recall, heights, side="left", beyond=0.0):
    """Heights at 101 recalls, each where it is reached first."""
    return np.append(heights, beyond)[np.searchsorted(recall, coco_eval.RECALLS, side)]


def _from_right(precision):
    return np.maximum.accumulate(precision[::-1])[::-1]


def precision_as_it_comes(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, precision)


def precision_best_before(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, np.maximum.accumulate(precision))


def precision_beyond_recall(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, _from_right(precision), side="right")


def precision_of_found(right, false, objects):
    return interpolated_precision_2(right, false, max(int(right.sum()), 1))


def precision_counts_ignored(right, false, objects):
    return interpolated_precision_2(right, ~right, objects)


def precision_drawn_on(right, false, objects):
    """The last height goes on to recall 1."""
    recall, precision = _walked(right, false, objects)
    last = precision[-1] if len(precision) else 0.0
    return _read(recall, _from_right(precision), beyond=last)


def precision_between_points(right, false, objects):
    recall, precision = _walked(right, false, objects)
    if len(recall) == 0:
        return np.zeros(101)
    return np.interp(coco_eval.RECALLS, recall, _from_right(precision), right=0)


def precision_at_11(right, false, objects):
    return interpolated_precision_2(right, false, objects)[::10]


def precision_averaged(right, false, objects):
    return interpolated_precision_2(right, false, objects).mean()


def precision_worst_from_here(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, np.minimum.accumulate(precision[::-1])[::-1])


def precision_one_height(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, np.full(len(precision), precision.max(initial=0)))


def precision_least_sure_first(right, false, objects):
    return interpolated_precision_2(right[::-1], false[::-1], objects)


def precision_of_nothing_is_one(right, false, objects):
    recall, precision = _walked(right, false, objects)
    return _read(recall, _from_right(precision), beyond=1.0)


def precision_is_recall(right, false, objects):
    recall, _ = _walked(right, false, objects)
    return _read(recall, _from_right(recall))


def precision_false_over_all(right, false, objects):
    hits, misses = np.cumsum(right), np.cumsum(false)
    share = misses / np.maximum(hits + misses, 1)
    return _read(hits / objects, _from_right(share))


def verdicts_of_class(rng, size) -> tuple:
    """Right, false and ignored ones; few objects or many; recalls that are met."""
    n = rng.choice((0, 400)) if size == 6 else rng.randint(1, 4 * size)
    kinds = [rng.choice("RRFFI") if i else rng.choice("RFI") for i in range(n)]
    right = np.array([kind == "R" for kind in kinds], bool)
    false = np.array([kind == "F" for kind in kinds], bool)
    found = int(right.sum())
    objects = rng.choice((found, found + rng.randint(0, 3), 2 * found, 100, 20, 4))
    return right, false, max(objects, found, 1)


# --- 16.3 predict


def ap_on_paper() -> float:
    """AP50 of four objects and three detections: right, false, right."""
    objects = [[100 * i, 0, 40, 40] for i in range(4)]
    found = [(objects[0], 0.9), ([0, 500, 40, 40], 0.8), (objects[1], 0.7)]
    return toy(objects, found).ap50


def area_on_paper() -> float:
    return envelope_area([True, False, True], 4)


def without_recall_zero() -> float:
    return (25 + 25 * 2 / 3) / 101


def divided_by_100() -> float:
    return (26 + 25 * 2 / 3) / 100


def eleven_points() -> float:
    return (3 + 3 * 2 / 3) / 11


def all_at_one() -> float:
    return 51 / 101


def recall_of_three_found() -> float:
    """As if there were two objects: those that were found."""
    return (51 + 50 * 2 / 3) / 101


# --- 16.4 measure


def largest_shift() -> int:
    """The largest whole shift of a box of 40 x 40 pixels with an AP above 0."""
    box = [0, 0, 40, 40]
    shifts = [s for s in range(41) if toy([box], [([s, 0, 40, 40], 1.0)]).ap > 0]
    return max(shifts)


# --- 16.5 build


def envelope_area(right, objects):
    """The area under the envelope: VOC's average precision since 2010."""
    hits, precision, area = 0, [], 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    for i, ok in enumerate(right):
        if ok:
            area += max(precision[i:]) / objects
    return area


def envelope_area_2(right, objects):
    """From the last detection to the first, with the best precision seen so far."""
    area, best = 0.0, 0.0
    for n in range(len(right), 0, -1):
        best = max(best, sum(right[:n]) / n)
        if right[n - 1]:
            area += best / objects
    return area


def area_without_envelope(right, objects):
    hits, area = 0, 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        if ok:
            area += hits / n / objects
    return area


def area_of_found(right, objects):
    return envelope_area(right, sum(right)) if any(right) else 0.0


def area_from_the_left(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    best = (max(precision[: i + 1]) for i, ok in enumerate(right) if ok)
    return sum(best, 0.0) / objects


def mean_of_101(right, objects):
    points, hits, precision, recall = [r / 100 for r in range(101)], 0, [], []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
        recall.append(hits / objects)
    best = [
        max((p for p, q in zip(precision, recall, strict=True) if q >= r), default=0)
        for r in points
    ]
    return sum(best) / len(points)


def mean_of_11(right, objects):
    hits, precision, recall = 0, [], []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
        recall.append(hits / objects)
    total = 0.0
    for r in range(11):
        at = [p for p, q in zip(precision, recall, strict=True) if q >= r / 10]
        total += max(at, default=0.0)
    return total / 11


def area_at_every_detection(right, objects):
    """A step for the false ones, too."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    return sum((max(precision[i:]) for i in range(len(right))), 0.0) / objects


def area_over_detections(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    return sum((max(precision[i:]) for i, ok in enumerate(right) if ok), 0.0) / len(
        right
    )


def area_not_divided(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    return sum((max(precision[i:]) for i, ok in enumerate(right) if ok), 0.0)


def area_of_trapezoids(right, objects):
    """np.trapezoid over the points as they come, without the envelope."""
    hits, area = 0, 0.0
    before = 0.0, 1.0  # recall, precision
    for n, ok in enumerate(right, start=1):
        hits += ok
        now = hits / objects, hits / n
        area += (now[0] - before[0]) * (now[1] + before[1]) / 2
        before = now
    return area


def area_of_trapezoids_from_first(right, objects):
    """np.trapezoid over the points alone: nothing before the first."""
    hits, recall, precision = 0, [], []
    for n, ok in enumerate(right, start=1):
        hits += ok
        recall.append(hits / objects)
        precision.append(hits / n)
    pairs = zip(recall, recall[1:], precision, precision[1:], strict=False)
    return sum(((s - r) * (p + q) / 2 for r, s, p, q in pairs), 0.0)


def area_from_second_detection(right, objects):
    """np.diff of the recalls: the first detection has no step."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    steps = (max(precision[i:]) for i, ok in enumerate(right) if ok and i > 0)
    return sum(steps, 0.0) / objects


def mean_precision_of_hits(right, objects):
    """Average precision as in ranking, without envelope and missed objects."""
    hits, total = 0, 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        if ok:
            total += hits / n
    return total / max(hits, 1)


def mean_envelope(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    envelope = [max(precision[i:]) for i in range(len(right))]
    return sum(envelope) / max(len(envelope), 1)


def area_of_one_rectangle(right, objects):
    hits, best = 0, 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        best = max(best, hits / n)
    return best * hits / objects


def area_of_hits_over_objects(right, objects):
    """Takes the recall for the precision."""
    hits, area = 0, 0.0
    for ok in right:
        hits += ok
        if ok:
            area += hits / objects / objects
    return area


def area_behind_the_hit(right, objects):
    """The best precision to the right, without the hit itself."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    best = (max(precision[i + 1 :], default=0.0) for i, ok in enumerate(right) if ok)
    return sum(best, 0.0) / objects


def area_reversed(right, objects):
    """Walks from the worst score to the best."""
    hits, precision, right = 0, [], list(right)[::-1]
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    return sum((max(precision[i:]) for i, ok in enumerate(right) if ok), 0.0) / objects


def area_counted_from_zero(right, objects):
    """hits / (n + 1): the place counts from 1 already."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / (n + 1))
    return sum((max(precision[i:]) for i, ok in enumerate(right) if ok), 0.0) / objects


def area_of_misses(right, objects):
    """Steps at the false ones."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    steps = (max(precision[i:]) for i, ok in enumerate(right) if not ok)
    return sum(steps, 0.0) / objects


def area_of_recalls(right, objects):
    """Recall times precision at each hit, added up."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    found, area = 0, 0.0
    for i, ok in enumerate(right):
        found += ok
        if ok:
            area += found / objects * max(precision[i:])
    return area


def mean_precision(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    return sum(precision) / max(len(precision), 1)


def f1_at_the_end(right, objects):
    return 2 * sum(right) / (len(right) + objects)


def area_without_first(right, objects):
    """Trapezoids or steps between hits only: the first one has no width."""
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    steps = [max(precision[i:]) for i, ok in enumerate(right) if ok]
    return sum(steps[1:], 0.0) / objects


def last_precision(right, objects):
    return sum(right) / len(right) * sum(right) / objects


def verdicts(rng, size) -> tuple:
    """Verdicts, best score first, and at least as many objects as were found."""
    right = [rng.random() < 0.6 for _ in range(60 if size == 6 else size + 2)]
    return right, max(1, sum(right) + rng.randint(0, 3))


# --- 16.6 build


def best_cut(scores, right, objects):
    """The threshold of the best F1; of equal ones the highest."""

    def f1(cut):
        shown = [right[i] for i in range(len(scores)) if scores[i] >= cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def best_cut_2(scores, right, objects):
    """One walk down the scores."""
    order = sorted(zip(scores, right, strict=True), reverse=True)
    hits, best, cut = 0, -1.0, None
    for n, (score, ok) in enumerate(order, start=1):
        hits += ok
        precision, recall = hits / n, hits / objects
        both = precision + recall
        value = 2 * precision * recall / both if both else 0.0
        if value > best + 1e-12:
            best, cut = value, score
    return cut


def cut_by_precision(scores, right, objects):
    def precision(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / len(shown)

    return max(sorted(scores, reverse=True), key=precision)


def cut_by_precision_in_given_order(scores, right, objects):
    def precision(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / len(shown)

    return max(scores, key=precision)


def cut_by_recall(scores, right, objects):
    def recall(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / objects

    return max(sorted(scores, reverse=True), key=recall)


def cut_above(scores, right, objects):
    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score > cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def cut_lowest(scores, right, objects):
    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores), key=f1)


def cut_by_accuracy(scores, right, objects):
    def accuracy(cut):
        pairs = zip(scores, right, strict=True)
        return sum(ok == (score >= cut) for score, ok in pairs)

    return max(sorted(scores, reverse=True), key=accuracy)


def cut_value(scores, right, objects):
    """The best F1 instead of its threshold."""
    best = 0.0
    for cut in scores:
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        best = max(best, 2 * sum(shown) / (len(shown) + objects))
    return best


def cut_in_given_order(scores, right, objects):
    """Walks down the list as if it were sorted."""
    hits, best, cut = 0, -1.0, None
    for n, (score, ok) in enumerate(zip(scores, right, strict=True), start=1):
        hits += ok
        if 2 * hits / (n + objects) > best:
            best, cut = 2 * hits / (n + objects), score
    return cut


def cut_of_found_objects(scores, right, objects):
    """N is the number of right detections."""

    def f1(cut):
        shown = [right[i] for i in range(len(scores)) if scores[i] >= cut]
        return 2 * sum(shown) / (len(shown) + sum(right))

    return max(sorted(scores, reverse=True), key=f1)


def cut_by_all_right(scores, right, objects):
    """TP counts all right detections, shown or not."""

    def f1(cut):
        shown = [score for score in scores if score >= cut]
        return 2 * sum(right) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def cut_index(scores, right, objects):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    hits, best, at = 0, -1.0, None
    for n, i in enumerate(order, start=1):
        hits += right[i]
        if 2 * hits / (n + objects) > best:
            best, at = 2 * hits / (n + objects), i
    return at


def cut_by_plain_mean(scores, right, objects):
    """The arithmetic mean of precision and recall."""

    def mean(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / len(shown) + sum(shown) / objects

    return max(sorted(scores, reverse=True), key=mean)


def cut_sorted_apart(scores, right, objects):
    """The scores are sorted, their verdicts are not."""
    hits, best, cut = 0, -1.0, None
    pairs = zip(sorted(scores, reverse=True), right, strict=True)
    for n, (score, ok) in enumerate(pairs, start=1):
        hits += ok
        if 2 * hits / (n + objects) > best:
            best, cut = 2 * hits / (n + objects), score
    return cut


def cut_of_hundredths(scores, right, objects):
    """Tries 0.00 to 1.00 instead of the scores."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max((k / 100 for k in range(100, -1, -1)), key=f1)


def cut_below(scores, right, objects):
    """Shows what scores at most the threshold."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score <= cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def cut_worst(scores, right, objects):
    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return min(sorted(scores, reverse=True), key=f1)


def cut_count_of_detections(scores, right, objects):
    """N is the length of the list."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return 2 * sum(shown) / (len(shown) + len(scores))

    return max(sorted(scores, reverse=True), key=f1)


def cut_false_ones(scores, right, objects):
    """TP counts what is shown and false."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return 2 * (len(shown) - sum(shown)) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def cut_first_listed(scores, right, objects):
    """Of equally good ones that which stands first."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / (len(shown) + objects)

    return max(scores, key=f1)


def _by_quotients(scores, right, objects):
    """F1 as 2 P R / (P + R), which rounds otherwise than 2 TP / (shown + N)."""

    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        precision, recall = sum(shown) / len(shown), sum(shown) / objects
        both = precision + recall
        return 2 * precision * recall / both if both else 0.0

    return max(sorted(scores, reverse=True), key=f1)


def walk(rng, size) -> tuple:
    """Scores without ties in any order, verdicts, and the number of objects.

    Equally good thresholds only where every way to compute F1 finds them equal.
    """
    while True:
        n = 30 if size == 6 else size + 2
        scores = [k / 10_000 for k in rng.sample(range(1, 10_000), n)]
        right = [rng.random() < 0.1 + 0.7 * score for score in scores]
        args = scores, right, max(1, sum(right) + rng.randint(0, 2 * n))
        if best_cut(*args) == _by_quotients(*args):
            return args


NO_HITS = "0 hits over any tiny number are 0"

EXERCISES = (
    Exercise(
        name="choose", number="16.1", kind="build", minutes=20, difficulty=2, points=3,
        task="Which object each detection of one image takes, by Eq. 16.1: a list of"
             " numbers, -1 for nothing.",
        place="detection.coco_eval.choose", required=True, importance=3,
        machine="the twelve numbers of COCO", machine_case=scenes_judged,
        milestone_calls=9640,
        reference=coco_eval.choose, alternative=choose_2,
        wrong=(
            Wrong(choose_taken_ones_too, "an object is taken twice: each can be found"
                  " once, so it is no longer free"),
            Wrong(choose_its_best_or_nothing, "where its best object is taken, a"
                  " detection takes the best of those that are still free"),
            Wrong(choose_first_that_fits, "you take the first free object that fits"
                  " well enough; take the one that fits best"),
            Wrong(choose_last_that_fits, "you take the last free object that fits well"
                  " enough; take the one that fits best"),
            Wrong(choose_worst_that_fits, "you take the free object that fits worst;"
                  " take the one that fits best"),
            Wrong(choose_first_of_equals, "of equal overlaps you take the first object;"
                  " COCO's program takes the last: >= where you have >"),
            Wrong(choose_above_threshold, "an overlap of exactly the threshold is"
                  " enough"),
            Wrong(choose_without_threshold, "an overlap below the threshold is not"
                  " enough: then the answer is -1"),
            Wrong(choose_least_sure_first, "you begin with the last detection, the"
                  " least sure; the first row chooses first"),
            Wrong(choose_largest_overlap_first, "you take the largest overlap of all"
                  " first; detections choose in their order, the surest first"),
            Wrong(choose_by_objects, "your objects look for detections; here"
                  " detections choose, one after the other"),
            Wrong(choose_uses_up_what_does_not_fit, "a detection that does not fit"
                  " well enough takes nothing: the object stays free"),
            Wrong(choose_verdicts, "you say right or false; asked is the number of the"
                  " object, or -1"),
            Wrong(choose_overlaps, "those are overlaps; asked is the number of the"
                  " object, or -1"),
            Wrong(choose_none_for_nothing, "nothing is -1 here, not None"),
            Wrong(choose_zero_for_nothing, "nothing is -1; 0 is the first object"),
            Wrong(choose_counted_from_one, "you count objects from 1; the first is"
                  " object 0"),
            Wrong(choose_hits_only, "each detection has an answer: -1 for one that"
                  " takes nothing"),
            Wrong(choose_for_each_object, "that is the detection of each object; asked"
                  " is the object of each detection"),
            Wrong(choose_one_only, "you stop after the first match; every detection"
                  " chooses"),
        ),
        hints=(
            "Keep a list of the objects that are free, and go through the detections in"
            " their order.",
            "For one detection: of the free objects with overlap[d, g] >= threshold,"
            " remember the best so far. Begin with -1.",
            "`>=` in the comparison with the best so far takes the last of equals."
            " After that, remove the object from the free ones.",
        ),
        cases=overlap_of_image,
        by_hand=(
            ((np.array([[0.9, 8 / 9], [1.0, 0.8], [0.0, 0.0]]), 0.5), [0, 1, -1]),
            ((np.array([[0.9, 8 / 9], [1.0, 0.8], [0.0, 0.0]]), 0.95), [-1, 0, -1]),
            # Equal overlaps: the last. An overlap of just the threshold is enough.
            ((np.array([[0.7, 0.7], [0.5, 0.9]]), 0.5), [1, 0]),
            # The first does not fit, and leaves the object free.
            ((np.array([[0.4], [0.6], [0.8]]), 0.5), [-1, 0, -1]),
            # The second's best is taken by the first; it is content with another.
            ((np.array([[0.6, 0.0, 0.55], [0.9, 0.7, 0.8]]), 0.5), [0, 2]),
            ((np.zeros((2, 0)), 0.5), [-1, -1]),
        ),
    ),
    Exercise(
        name="interpolated_precision", number="16.2", kind="build", minutes=20,
        difficulty=3, points=3,
        task="The best precision at each of 101 recalls or more, by Eq. 16.2 and 16.3;"
             " 0 where a recall is never reached.",
        place="detection.coco_eval.interpolated_precision", importance=3,
        machine="the twelve numbers of COCO", machine_case=scenes_judged,
        milestone_calls=620,
        reference=coco_eval.interpolated_precision,
        alternative=interpolated_precision_2,
        wrong=(
            Wrong(precision_as_it_comes, "that is the precision where a recall is"
                  " reached first; take the best from there on"),
            Wrong(precision_best_before, "you take the best so far; Eq. 16.3 takes the"
                  " best at that recall or *more*: walk from the end"),
            Wrong(precision_beyond_recall, "a recall that is reached exactly counts:"
                  " recall >= r"),
            Wrong(precision_of_found, "recall is a share of all objects, not of those"
                  " that were found"),
            Wrong(precision_counts_ignored, "a detection that is neither right nor"
                  " false is ignored: count what is false, not what is not right"),
            Wrong(precision_drawn_on, "a recall that is never reached has precision 0;"
                  " yours goes on with the last one"),
            Wrong(precision_between_points, "no straight lines between the points: at"
                  " a recall the best precision from there on"),
            Wrong(precision_at_11, "101 recalls are asked, 0.00, 0.01, ... 1.00; those"
                  " are 11"),
            Wrong(precision_averaged, "that is their mean, the average precision; the"
                  " 101 numbers are asked"),
            Wrong(precision_worst_from_here, "you take the worst from there on; take"
                  " the best"),
            Wrong(precision_one_height, "you take the best of all for every recall;"
                  " only what comes from there on counts"),
            Wrong(precision_least_sure_first, "the list begins with the best score;"
                  " only the maximum is taken from the end"),
            Wrong(precision_of_nothing_is_one, "a recall that is never reached has"
                  " precision 0, not 1"),
            Wrong(precision_is_recall, "those are recalls; precision divides the hits"
                  " by what was said so far, right or false"),
            Wrong(precision_false_over_all, "that is the share of the false ones;"
                  " precision is that of the right ones"),
        ),
        hints=(
            "np.cumsum(right) and np.cumsum(false) count hits and misses so far; recall"
            " is hits / objects, precision hits / (hits + misses), 0 where both are 0.",
            "np.maximum.accumulate(precision[::-1])[::-1] is the best from each"
            " detection on.",
            "np.searchsorted(recall, RECALLS) is the detection at which each recall is"
            " reached first, D where it never is: append a 0 to the heights, then read"
            " them there.",
        ),
        cases=verdicts_of_class,
        unchanged={
            "precision_averaged": "each of the twelve numbers is a mean of all recalls",
        },
        survivors={
            "line 19: `hits + misses + TINY` -> `hits + misses - TINY`": NO_HITS,
        },
        by_hand=(
            ((np.array([True, False, True]), np.array([False, True, False]), 4),
             np.array([1.0] * 26 + [2 / 3] * 25 + [0.0] * 50)),
            # The first is ignored: it changes nothing.
            ((np.array([False, True, False, True]),
              np.array([False, False, True, False]), 4),
             np.array([1.0] * 26 + [2 / 3] * 25 + [0.0] * 50)),
            # 1/2, then 2/3: the better one from the start.
            ((np.array([False, True, True]), np.array([True, False, False]), 2),
             np.array([2 / 3] * 101)),
            ((np.zeros(0, bool), np.zeros(0, bool), 3), np.zeros(101)),
        ),
    ),
    Exercise(
        name="ap_on_paper", number="16.3", kind="predict", minutes=8, difficulty=2,
        points=2,
        task="AP50 of four objects and three detections: right, false, right.",
        reference=ap_on_paper,
        wrong=(
            Wrong(area_on_paper, "that is the area under the curve, 1/4 + 2/3 of 1/4;"
                  " COCO takes the mean of 101 points, recall 0 among them"),
            Wrong(2 / 3, "that is the precision at the end of the list"),
            Wrong(0.5, "that is the recall at the end of the list"),
            Wrong(lambda: 100 * ap_on_paper(), "AP lies between 0 and 1 here: divide by"
                  " 100"),
            Wrong(42.2, "AP lies between 0 and 1 here: divide by 100"),
            Wrong(without_recall_zero, "recall 0 is one of the points: 0.00 to 0.25 are"
                  " 26"),
            Wrong(divided_by_100, "from 0.00 to 1.00 there are 101 points"),
            Wrong(eleven_points, "that is the mean of 11 points, as VOC had it before"
                  " 2010"),
            Wrong(all_at_one, "the second hit comes after a false one: there the"
                  " precision is 2/3"),
            Wrong(recall_of_three_found, "two of the four objects are never found: from"
                  " recall 0.51 on the precision is 0"),
        ),
        hints=(
            "Recall is 1/4, 1/4, 2/4 down the list. Which of the points 0.00, 0.01, ..."
            " does each reach?",
            "26 points at precision 1, 25 points at 2/3, the rest at 0.",
        ),
        tolerance=1e-3,
    ),
    Exercise(
        name="largest_shift", number="16.4", kind="measure", minutes=8, difficulty=1,
        points=2,
        task="The largest whole shift of a box of 40 pixels that still has an AP.",
        reference=largest_shift,
        wrong=(
            Wrong(lambda: largest_shift() + 1, "one pixel less: there the overlap is"
                  " below a half already"),
            Wrong(20, "half of the side is shared then, but the union is larger than a"
                  " box: IoU 20 / 60"),
            Wrong(40 / 3, "a whole number of pixels is asked"),
            Wrong(lambda: largest_shift() - 1, "one pixel more still gives an AP above"
                  " 0"),
            Wrong(1, "one pixel still reaches all ten thresholds; go on as long as one"
                  " is reached"),
            Wrong(39, "boxes that overlap at all; the lowest threshold is 0.5"),
        ),
        hints=(
            "AP is above 0 as long as the overlap reaches the lowest of the ten"
            " thresholds.",
            "Shifted by s, the boxes share 40 - s columns of 40 + s.",
        ),
    ),
    Exercise(
        name="envelope_area", number="16.5", kind="build", minutes=15, difficulty=2,
        points=3,
        task="envelope_area(right, objects): `right` is a list of True and False, best"
             " score first. Return the area under the envelope: a step of 1 / objects"
             " for each hit, as high as the best precision at that recall or more.",
        reference=envelope_area, alternative=envelope_area_2,
        wrong=(
            Wrong(area_without_envelope, "the precision at each hit, without Eq. 16.3:"
                  " a later detection may have a better one"),
            Wrong(area_from_the_left, "the best precision so far; the envelope looks at"
                  " that recall *or more*, to the right"),
            Wrong(area_of_found, "you divide by the objects that were found; those that"
                  " were missed count as well"),
            Wrong(mean_of_101, "that is COCO's mean of 101 points; here the area itself"
                  " is asked, a step of 1 / objects for each hit"),
            Wrong(mean_of_11, "that is the mean of 11 points, VOC's rule until 2009;"
                  " here the area itself is asked, a step of 1 / objects for each hit"),
            Wrong(area_at_every_detection, "a false detection moves no recall: it adds"
                  " no step"),
            Wrong(area_over_detections, "you divide by the length of the list; a hit"
                  " moves the recall by 1 / objects"),
            Wrong(area_not_divided, "a step is 1 / objects wide: divide by the"
                  " objects"),
            Wrong(area_of_trapezoids, "you join the points by lines, without the"
                  " envelope of Eq. 16.3; its steps are flat"),
            Wrong(area_of_trapezoids_from_first, "you join the points by lines, without"
                  " the envelope, and nothing stands before the first of them"),
            Wrong(area_from_second_detection, "a first detection that is right has a"
                  " step too: np.diff starts at the second one, so put a recall of 0 in"
                  " front"),
            Wrong(mean_precision_of_hits, "two things: the envelope of Eq. 16.3 is"
                  " missing, and you divide by the objects that were found instead of"
                  " all"),
            Wrong(mean_envelope, "that is the mean height of the envelope over the"
                  " list; only a hit has a step, and it is 1 / objects wide"),
            Wrong(area_of_one_rectangle, "you give every hit the best precision of all;"
                  " it is the best at that recall or more"),
            Wrong(area_of_hits_over_objects, "precision is hits over detections so far;"
                  " hits over objects is the recall"),
            Wrong(area_behind_the_hit, "the hit itself belongs to the precisions from"
                  " there on"),
            Wrong(area_reversed, "the list begins with the best score; you walk it from"
                  " its end"),
            Wrong(area_counted_from_zero, "you divide by one detection too many:"
                  " precision at place n is hits / n"),
            Wrong(area_of_misses, "turned round: it is the hits that move the recall"),
            Wrong(area_of_recalls, "a step is 1 / objects wide, not as wide as the"
                  " recall so far"),
            Wrong(mean_precision, "that is the mean precision over the list; the area"
                  " has a step for each hit"),
            Wrong(f1_at_the_end, "that is F1 at the end of the list"),
            Wrong(area_without_first, "the first hit has a step, too: recall moves from"
                  " 0 to 1 / objects"),
            Wrong(last_precision, "precision times recall at the end of the list is one"
                  " rectangle, not the area under the curve"),
        ),
        hints=(
            "Recall only moves at a hit, by 1 / objects. So the area is a sum over"
            " hits.",
            "The height of the step at hit i is the largest precision from i to the"
            " end.",
            "Collect precision = hits / n down the list first; then use"
            " max(precision[i:]).",
        ),
        cases=verdicts,
        by_hand=(
            (([True, False, True], 4), 1 / 4 + 2 / 3 / 4),
            (([False, True, True], 2), 2 / 3),
            (([True], 1), 1.0),
            (([True, True, False, True, False], 5), 2.75 / 5),
        ),
        properties=(
            Property("without a right one among them the area is 0",
                     lambda mine, right, objects: mine([False, False], 3) == 0),
            Property("without detections the area is 0",
                     lambda mine, right, objects: mine([], objects) == 0),
            Property(
                "a false detection at the end of the list costs nothing",
                lambda mine, right, objects: abs(
                    mine([*right, False], objects) - mine(list(right), objects)
                ) < 1e-9,
            ),
        ),
    ),
    Exercise(
        name="best_cut", number="16.6", kind="build", minutes=15, difficulty=2,
        points=3,
        task="best_cut(scores, right, objects): two lists, numbers without ties in any"
             " order and True or False for each. Return the score that is the best"
             " threshold by F1 = 2 TP / (shown + objects); a score that equals the"
             " threshold is shown; of equally good ones the highest.",
        reference=best_cut, alternative=best_cut_2,
        wrong=(
            Wrong(cut_by_precision, "precision alone is happy with one right box; what"
                  " about the objects that are missed?"),
            Wrong(cut_by_precision_in_given_order, "precision alone is happy with one"
                  " right box; what about the objects that are missed?"),
            Wrong(cut_by_recall, "recall alone: a false box more costs you nothing"),
            Wrong(cut_above, "a detection that scores exactly the threshold is shown"),
            Wrong(cut_lowest, "of equally good thresholds the highest is asked"),
            Wrong(cut_by_accuracy, "accuracy over detections does not know of the"
                  " objects that nobody found"),
            Wrong(cut_value, "that is the best F1 itself; return its threshold"),
            Wrong(cut_in_given_order, "you take the list as if it were sorted; the"
                  " scores come in any order"),
            Wrong(cut_of_found_objects, "N is `objects`, those that nobody found among"
                  " them; you count the right detections"),
            Wrong(cut_by_all_right, "yours is always the highest score; TP are the"
                  " right ones among those that are shown, and a lower threshold shows"
                        " more"),
            Wrong(cut_index, "that is its index; return the score"),
            Wrong(cut_by_plain_mean, "F1 is no plain mean of precision and recall, it"
                  " is their harmonic mean: 2 TP / (shown + N)"),
            Wrong(cut_sorted_apart, "you sorted the scores without their verdicts; sort"
                  " pairs"),
            Wrong(cut_of_hundredths, "the threshold is to be one of the scores; try"
                  " each of them"),
            Wrong(cut_below, "turned round: a detection is shown if its score is at"
                  " least the threshold"),
            Wrong(cut_worst, "that is the threshold of the worst F1"),
            Wrong(cut_count_of_detections, "N is `objects`; you take the number of"
                  " detections"),
            Wrong(cut_false_ones, "TP are the right ones that are shown; you count the"
                  " false ones"),
            Wrong(cut_first_listed, "of equally good thresholds the highest is asked;"
                  " yours is the one that stands first in the list"),
        ),
        hints=(
            "Try every score as the threshold. Which detections are shown then?",
            "F1 = 2 * right / (shown + objects).",
            "max(..., key=...) gives the first of equally good ones: in which order"
            " should the thresholds stand?",
        ),
        cases=walk,
        by_hand=(
            (([0.9, 0.8, 0.7], [True, False, True], 2), 0.7),
            (([0.9, 0.8, 0.7], [True, False, False], 2), 0.9),
            (([0.2, 0.6, 0.4], [False, True, True], 2), 0.4),
            (([0.9, 0.8, 0.7, 0.6], [True, False, False, True], 2), 0.9),
            (([0.9, 0.6], [False, True], 1), 0.6),
            (([0.9, 0.8, 0.7, 0.6, 0.5], [True, False, False, False, True], 2), 0.9),
            # 2 * 3 / (4 + 4) is more than 2 * 2 / (2 + 4); 2 * 2 / 7 than 2 / 4.
            (([0.9, 0.8, 0.7, 0.6], [True, True, False, True], 4), 0.6),
            (([0.9, 0.8, 0.7, 0.6], [True, False, False, True], 3), 0.6),
            # 2 / (1 + 3) and 2 * 2 / (5 + 3) are equal, and the scores in no order.
            (([0.3, 0.5, 0.9, 0.4, 0.35], [True, False, True, False, False], 3), 0.9),
        ),
    ),
)  # fmt: skip


def ap_of_six_tenths() -> float:
    return toy([[0, 0, 10, 10]], [([0, 0, 10, 6], 0.9)]).ap


def ap_one_of_three() -> float:
    boxes = [[100 * i, 0, 40, 40] for i in range(3)]
    return toy(boxes, [(boxes[0], 0.9)]).ap


QUIZ = (
    Question(
        "One object, one detection, IoU exactly 0.6. What is COCO's AP?",
        (
            Option("0.3", "It counts at thresholds 0.50, 0.55 and 0.60: three of ten.",
                   True),
            Option("0.6", "AP does not take the overlap as a score; it asks ten times"
                   " whether it is enough."),
            Option("1.0", "That is AP50: at 0.5 the overlap is enough."),
            Option("0.2", "An overlap that equals the threshold is enough."),
        ),
        value=ap_of_six_tenths, form="{:.1f}",
    ),
    Question(
        "Three objects; one is found, and nothing else is said. AP is",
        (
            Option("0.333", "The recall is 1/3, but AP is a mean of 101 points, with"
                   " both ends."),
            Option("0.337", "Recalls 0.00 to 0.33 are reached: 34 of 101.", True),
            Option("1.000", "That is the precision."),
        ),
        value=ap_one_of_three, form="{:.3f}",
    ),
    Question(
        "A detector adds one large false box of 150 x 150 pixels, with score 0.99, to"
        " every picture. What happens to AP of small objects (ap_small)?",
        (
            Option("It falls: each is a sure false box", "That is AP over all sizes;"
                   " for ap_small a box that takes nothing has to be small itself."),
            Option("Nothing", "It takes no object, and its own area lies outside of the"
                   " range: it is ignored.", True),
            Option("It rises", "There is no hit by it."),
        ),
    ),
    Question(
        "A class has no object in the test pictures, and your detector claims 200 of"
        " it. What happens to AP?",
        (
            Option("It falls: 200 false detections.", "They are false, but no curve is"
                   " drawn for a class without objects."),
            Option("Nothing.", "Its value is -1, which means: leave it out of the"
                   " mean.", True),
            Option("It is divided by one class more.", "That is what happens to a class"
                   " with objects that is never found."),
        ),
    ),
    Question(
        "Detector A has AP50 0.95 and AP 0.55, detector B has 0.85 and 0.60. Which one"
        " places its boxes better?",
        (
            Option("A", "It finds more objects, if one is not strict about the place."),
            Option("B", "It finds fewer, but keeps more of its score when the overlap"
                   " has to be high.", True),
            Option("This cannot be said at all.", "The ten thresholds are there to say"
                   " it."),
        ),
    ),
    Question(
        "On the same 200 pictures A has AP 0.80, interval 0.78 to 0.82, and B 0.81,"
        " interval 0.79 to 0.83. B less A is 0.010, interval 0.006 to 0.014. What can"
        " you say?",
        (
            Option("Nothing: the intervals of A and B overlap", "Both move together"
                   " with the pictures; the difference is what counts."),
            Option("B is better on pictures like these", "The interval of the paired"
                   " difference does not contain 0.", True),
            Option("B is better, and so is any other training of it", "Only the"
                   " pictures were drawn again, not the seed of the training."),
        ),
    ),
)  # fmt: skip
