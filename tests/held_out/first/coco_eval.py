"""Chapter 16: answers from the task texts."""

from fractions import Fraction
from itertools import accumulate

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

# 16.2

wrong_value("coco_eval.ap_on_paper", 0.417, "the area, as VOC takes it")
wrong_value("coco_eval.ap_on_paper", 0.455, "11 points in place of 101")
wrong_value("coco_eval.ap_on_paper", 0.427, "divided by 100")
wrong_value(
    "coco_eval.ap_on_paper", 0.413, "25 points at precision 1: the first forgotten"
)
wrong_value("coco_eval.ap_on_paper", 0.833, "the mean of the precision at both hits")
right_value("coco_eval.ap_on_paper", 0.422)
right_value("coco_eval.ap_on_paper", (26 + 25 * 2 / 3) / 101)

# 16.3

wrong_value("coco_eval.largest_shift", 20, "half of the side: an IoU of a third")
wrong_value("coco_eval.largest_shift", 14, "the first shift with an AP of 0")
wrong_value("coco_eval.largest_shift", 12, "one step too early")
wrong_value("coco_eval.largest_shift", 39, "as long as the two touch")
wrong_value("coco_eval.largest_shift", 1, "an AP of 1 asked for")
right_value("coco_eval.largest_shift", 13)
right_value("coco_eval.largest_shift", 13.0)

# 16.4


@wrong("coco_eval.envelope_area", "the precision at the hit itself, no envelope")
def envelope_area_1(right, objects):
    hits, area = 0, 0.0
    for place, good in enumerate(right, 1):
        if good:
            hits += 1
            area += hits / place / objects
    return area


@wrong("coco_eval.envelope_area", "recall moves at every detection")
def envelope_area_2(right, objects):
    precision = [c / k for k, c in enumerate(accumulate(map(int, right)), 1)]
    area = 0.0
    for k in range(len(right)):
        area += max(precision[k:]) / objects
    return area


@wrong("coco_eval.envelope_area", "the mean of 101 points, as COCO takes it")
def envelope_area_3(right, objects):
    hits = np.cumsum(right)
    recall = hits / objects
    precision = hits / np.arange(1, len(right) + 1)
    heights = [
        precision[recall >= point - 1e-9].max(initial=0.0)
        for point in np.linspace(0, 1, 101)
    ]
    return float(np.mean(heights))


@wrong("coco_eval.envelope_area", "divides by the hits, not by the objects")
def envelope_area_4(right, objects):
    precision = [c / k for k, c in enumerate(accumulate(map(int, right)), 1)]
    heights = [max(precision[k:]) for k, good in enumerate(right) if good]
    return sum(heights) / len(heights) if heights else 0


@wrong("coco_eval.envelope_area", "the best precision so far, not from here on")
def envelope_area_5(right, objects):
    precision = [c / k for k, c in enumerate(accumulate(map(int, right)), 1)]
    return sum(max(precision[: k + 1]) for k, r in enumerate(right) if r) / objects


@wrong("coco_eval.envelope_area", "trapezoids between the points")
def envelope_area_6(right, objects):
    precision = [c / k for k, c in enumerate(accumulate(map(int, right)), 1)]
    heights = [max(precision[k:]) for k, good in enumerate(right) if good]
    if not heights:
        return 0.0
    heights = [heights[0]] + heights
    return sum((a + b) / 2 for a, b in zip(heights, heights[1:], strict=False)) / (
        objects
    )


@wrong("coco_eval.envelope_area", "fails without detections")
def envelope_area_7(right, objects):
    hits = np.cumsum(np.array(right, dtype=int))
    precision = hits / np.arange(1, len(right) + 1)
    best = precision.max()
    area = 0.0
    for k in range(len(right) - 1, -1, -1):
        best = precision[k] if k == len(right) - 1 else max(best, precision[k])
        area += best / objects if right[k] else 0.0
    return float(area)


@wrong("coco_eval.envelope_area", "the best precision of the whole list everywhere")
def envelope_area_8(right, objects):
    precision = [c / k for k, c in enumerate(accumulate(map(int, right)), 1)]
    return max(precision, default=0) * sum(right) / objects


@right("coco_eval.envelope_area")
def envelope_area_9(right, objects):
    hits, precision = 0, []
    for place, good in enumerate(right, 1):
        hits += good
        precision.append(hits / place)
    area = 0.0
    for k, good in enumerate(right):
        if good:
            area += max(precision[k:]) / objects
    return area


@right("coco_eval.envelope_area")
def envelope_area_10(right, objects):
    if len(right) == 0:
        return 0.0
    right = np.asarray(right, dtype=float)
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * right).sum() / objects)


@right("coco_eval.envelope_area")
def envelope_area_11(right, objects):
    best, area, hits = Fraction(0), Fraction(0), sum(right)
    for place in range(len(right), 0, -1):
        best = max(best, Fraction(hits, place))
        if right[place - 1]:
            area += best
            hits -= 1
    return float(area / objects)


@right("coco_eval.envelope_area")
def envelope_area_12(right, objects):
    """Hit by hit: the height there is the best of this hit's and later ones'."""
    ranks = [k + 1 for k, good in enumerate(right) if good]

    def area(n):
        if n == len(ranks):
            return 0.0
        height = max((m + 1) / ranks[m] for m in range(n, len(ranks)))
        return height / objects + area(n + 1)

    return area(0)


# 16.5


def _f1(scores, right, objects, cut):
    shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
    return 2 * sum(shown) / (len(shown) + objects)


@wrong("coco_eval.best_cut", "shown only above the threshold, not at it")
def best_cut_1(scores, right, objects):
    def f1(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s > cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


@wrong("coco_eval.best_cut", "of equally good ones the lowest")
def best_cut_2(scores, right, objects):
    return max(sorted(scores), key=lambda cut: _f1(scores, right, objects, cut))


@wrong("coco_eval.best_cut", "takes the list as sorted, best first")
def best_cut_3(scores, right, objects):
    best, answer, hits = -1.0, None, 0
    for shown, (score, good) in enumerate(zip(scores, right, strict=True), 1):
        hits += good
        f1 = 2 * hits / (shown + objects)
        if f1 > best:
            best, answer = f1, score
    return answer


@wrong("coco_eval.best_cut", "gives the best F1, not its threshold")
def best_cut_4(scores, right, objects):
    return max(_f1(scores, right, objects, cut) for cut in scores)


@wrong("coco_eval.best_cut", "the best precision in place of F1")
def best_cut_5(scores, right, objects):
    def precision(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
        return sum(shown) / len(shown)

    return max(sorted(scores, reverse=True), key=precision)


@wrong("coco_eval.best_cut", "gives the place of the score, not the score")
def best_cut_6(scores, right, objects):
    f1 = [_f1(scores, right, objects, cut) for cut in scores]
    return f1.index(max(f1))


@wrong("coco_eval.best_cut", "the lowest score that is right: all that recall can get")
def best_cut_7(scores, right, objects):
    good = [s for s, r in zip(scores, right, strict=True) if r]
    return min(good) if good else max(scores)


@wrong("coco_eval.best_cut", "sorts the scores without what belongs to them")
def best_cut_8(scores, right, objects):
    best, answer, hits = -1.0, None, 0
    for shown, score in enumerate(sorted(scores, reverse=True), 1):
        hits += right[shown - 1]
        if 2 * hits / (shown + objects) > best:
            best, answer = 2 * hits / (shown + objects), score
    return answer


@right("coco_eval.best_cut")
def best_cut_9(scores, right, objects):
    return max(scores, key=lambda cut: (_f1(scores, right, objects, cut), cut))


@right("coco_eval.best_cut")
def best_cut_10(scores, right, objects):
    pairs = sorted(zip(scores, right, strict=True), reverse=True)
    best, answer, hits = Fraction(-1), None, 0
    for shown, (score, good) in enumerate(pairs, 1):
        hits += bool(good)
        f1 = Fraction(2 * hits, shown + objects)
        if f1 > best:
            best, answer = f1, score
    return answer


@right("coco_eval.best_cut")
def best_cut_11(scores, right, objects):
    order = np.argsort(-np.array(scores))
    hits = np.cumsum(np.array(right, dtype=int)[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + objects)
    return scores[int(order[int(np.argmax(f1))])]


@right("coco_eval.best_cut")
def best_cut_12(scores, right, objects):
    answer, best = None, -1
    for cut in scores:
        shown = hits = 0
        for score, good in zip(scores, right, strict=True):
            if score >= cut:
                shown += 1
                if good:
                    hits += 1
        f1 = 2 * hits / (shown + objects)
        if f1 > best or (f1 == best and cut > answer):
            answer, best = cut, f1
    return answer
