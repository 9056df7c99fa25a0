"""Chapter 16: answers from the task texts."""

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

# --- ap_on_paper ---

wrong_value("coco_eval.ap_on_paper", 0.417, "the area under the curve")
wrong_value("coco_eval.ap_on_paper", 0.455, "eleven points")
wrong_value("coco_eval.ap_on_paper", 0.833, "the mean over the hits, not over recall")
wrong_value("coco_eval.ap_on_paper", 0.427, "divided by 100 in place of 101")
right_value("coco_eval.ap_on_paper", 0.422)
right_value("coco_eval.ap_on_paper", (26 + 25 * 2 / 3) / 101)

# --- largest_shift ---

wrong_value("coco_eval.largest_shift", 20, "half of the box")
wrong_value("coco_eval.largest_shift", 14, "one too far")
wrong_value("coco_eval.largest_shift", 10, "IoU of 0.6")
wrong_value("coco_eval.largest_shift", 1, "IoU of 0.95")
right_value("coco_eval.largest_shift", 13)
right_value("coco_eval.largest_shift", 13.0)

# --- envelope_area ---


@wrong("coco_eval.envelope_area", "raw precision, not the best at that recall or more")
def envelope_area_1(right, objects):
    area, hits = 0.0, 0
    for n, hit in enumerate(right, 1):
        if hit:
            hits += 1
            area += hits / n / objects
    return area


@wrong("coco_eval.envelope_area", "the best precision at that recall or less")
def envelope_area_2(right, objects):
    area, hits, best = 0.0, 0, 0.0
    for n, hit in enumerate(right, 1):
        hits += hit
        best = max(best, hits / n)
        if hit:
            area += best / objects
    return area


@wrong("coco_eval.envelope_area", "divided by the hits, not by the objects")
def envelope_area_3(right, objects):
    precisions, hits = [], 0
    for n, hit in enumerate(right, 1):
        hits += hit
        precisions.append(hits / n)
    total = sum(max(precisions[i:]) for i, hit in enumerate(right) if hit)
    return total / hits if hits else 0.0


@wrong("coco_eval.envelope_area", "recall moves at false ones too")
def envelope_area_4(right, objects):
    precisions, hits = [], 0
    for n, hit in enumerate(right, 1):
        hits += hit
        precisions.append(hits / n)
    return sum(max(precisions[i:]) for i in range(len(right))) / objects


@wrong("coco_eval.envelope_area", "101 points")
def envelope_area_5(right, objects):
    hits, points = 0, []
    for n, hit in enumerate(right, 1):
        hits += hit
        points.append((hits / objects, hits / n))
    total = 0.0
    for k in range(101):
        total += max((p for r, p in points if r >= k / 100), default=0.0)
    return total / 101


@wrong("coco_eval.envelope_area", "trapezoids between the raw points")
def envelope_area_6(right, objects):
    hits, r, p = 0, [0.0], [1.0]
    for n, hit in enumerate(right, 1):
        hits += hit
        r.append(hits / objects)
        p.append(hits / n)
    return sum((r[i + 1] - r[i]) * (p[i] + p[i + 1]) / 2 for i in range(len(r) - 1))


@wrong("coco_eval.envelope_area", "fails without detections")
def envelope_area_7(right, objects):
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    height = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / objects
    return float(recall[0] * height[0] + (np.diff(recall) * height[1:]).sum())


@right("coco_eval.envelope_area")
def envelope_area_8(right, objects):
    precisions, hits = [], 0
    for n, hit in enumerate(right, 1):
        hits += hit
        precisions.append(hits / n)
    area = 0.0
    for i, hit in enumerate(right):
        if hit:
            area += max(precisions[i:]) / objects
    return area


@right("coco_eval.envelope_area")
def envelope_area_9(right, objects):
    if not right:
        return 0
    flags = np.array(right, dtype=bool)
    precision = np.cumsum(flags) / np.arange(1, len(flags) + 1)
    height = np.maximum.accumulate(precision[::-1])[::-1]
    return float(height[flags].sum() / objects)


@right("coco_eval.envelope_area")
def envelope_area_10(right, objects):
    area, best = 0.0, 0.0
    hits = sum(map(bool, right))
    for n in range(len(right), 0, -1):
        best = max(best, hits / n)
        if right[n - 1]:
            area += best / objects
            hits -= 1
    return area


# --- best_cut ---


@wrong("coco_eval.best_cut", "the lists are taken as sorted")
def best_cut_1(scores, right, objects):
    best, cut, tp = -1.0, None, 0
    for shown, (score, hit) in enumerate(zip(scores, right, strict=True), 1):
        tp += hit
        f1 = 2 * tp / (shown + objects)
        if f1 > best:
            best, cut = f1, score
    return cut


@wrong("coco_eval.best_cut", "of equally good ones the lowest")
def best_cut_2(scores, right, objects):
    best, cut, tp = -1.0, None, 0
    pairs = sorted(zip(scores, right, strict=True), reverse=True)
    for shown, (score, hit) in enumerate(pairs, 1):
        tp += hit
        f1 = 2 * tp / (shown + objects)
        if f1 >= best:
            best, cut = f1, score
    return cut


@wrong("coco_eval.best_cut", "shown only above the threshold, not at it")
def best_cut_3(scores, right, objects):
    def f1(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s > cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


@wrong("coco_eval.best_cut", "precision alone")
def best_cut_4(scores, right, objects):
    def precision(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
        return sum(shown) / len(shown)

    return max(sorted(scores, reverse=True), key=precision)


@wrong("coco_eval.best_cut", "N is the number of right ones, not of objects")
def best_cut_5(scores, right, objects):
    def f1(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
        return 2 * sum(shown) / (len(shown) + sum(right))

    return max(sorted(scores, reverse=True), key=f1)


@wrong("coco_eval.best_cut", "the best F1 itself")
def best_cut_6(scores, right, objects):
    def f1(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max(f1(cut) for cut in scores)


@wrong("coco_eval.best_cut", "scores are sorted, right is not")
def best_cut_7(scores, right, objects):
    best, cut, tp = -1.0, None, 0
    for n, score in enumerate(sorted(scores, reverse=True)):
        tp += right[n]
        f1 = 2 * tp / (n + 1 + objects)
        if f1 > best:
            best, cut = f1, score
    return cut


@right("coco_eval.best_cut")
def best_cut_8(scores, right, objects):
    def f1(cut):
        shown = [r for s, r in zip(scores, right, strict=True) if s >= cut]
        return 2 * sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


@right("coco_eval.best_cut")
def best_cut_9(scores, right, objects):
    best, cut, tp = -1.0, None, 0
    pairs = sorted(zip(scores, right, strict=True), reverse=True)
    for shown, (score, hit) in enumerate(pairs, 1):
        tp += int(hit)
        f1 = 2 * tp / (shown + objects)
        if f1 > best:
            best, cut = f1, score
    return cut


@right("coco_eval.best_cut")
def best_cut_10(scores, right, objects):
    order = np.argsort(-np.asarray(scores))
    hits = np.cumsum(np.asarray(right, dtype=int)[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + objects)
    return scores[int(order[int(f1.argmax())])]
