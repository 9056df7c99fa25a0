"""Chapter 16: answers from the task texts."""

import numpy as np

from lib.detection import coco_eval
from tests.held_out import right, wrong

RECALLS = coco_eval.RECALLS


@wrong("coco_eval.choose", "an object can be taken by many detections")
def choose_1(overlap, threshold):
    taken = []
    for row in np.asarray(overlap):
        best = -1
        for g, value in enumerate(row):
            if value >= threshold and (best < 0 or value >= row[best]):
                best = g
        taken.append(best)
    return taken


@wrong("coco_eval.choose", "of equal overlaps the first object is taken")
def choose_2(overlap, threshold):
    free = np.array(overlap, dtype=float)
    out = []
    for i in range(len(free)):
        if free.shape[1] == 0:
            out.append(-1)
            continue
        g = int(free[i].argmax())
        if free[i, g] >= threshold:
            out.append(g)
            free[:, g] = -1
        else:
            out.append(-1)
    return out


@wrong("coco_eval.choose", "an overlap of exactly the threshold is not enough")
def choose_3(overlap, threshold):
    taken = set()
    out = []
    for row in overlap:
        best, found = threshold, -1
        for g in range(len(row)):
            if g in taken:
                continue
            if row[g] > threshold and row[g] >= best:
                best, found = row[g], g
        if found >= 0:
            taken.add(found)
        out.append(found)
    return out


@wrong("coco_eval.choose", "if the best object is gone, no other one is looked for")
def choose_4(overlap, threshold):
    out = []
    for row in overlap:
        if len(row) == 0:
            out.append(-1)
            continue
        best = max(range(len(row)), key=lambda g: (row[g], g))
        if row[best] >= threshold and best not in out:
            out.append(best)
        else:
            out.append(-1)
    return out


@wrong("coco_eval.choose", "the largest overlap of all chooses first, not the score")
def choose_5(overlap, threshold):
    pairs = []
    for d, row in enumerate(overlap):
        for g, value in enumerate(row):
            if value >= threshold:
                pairs.append((value, -d, g))
    out = [-1] * len(overlap)
    taken = set()
    for _value, minus_d, g in sorted(pairs, reverse=True):
        if out[-minus_d] == -1 and g not in taken:
            out[-minus_d] = g
            taken.add(g)
    return out


@wrong("coco_eval.choose", "a picture without objects gives an empty list")
def choose_6(overlap, threshold):
    overlap = np.array(overlap, dtype=float)
    if overlap.size == 0:
        return []
    last = overlap.shape[1] - 1
    out = []
    for row in overlap:
        g = last - int(np.argmax(row[::-1]))
        if row[g] >= threshold:
            overlap[:, g] = -1
            out.append(g)
        else:
            out.append(-1)
    return out


@right("coco_eval.choose")
def choose_7(overlap, threshold):
    free = list(range(np.shape(overlap)[1])) if len(overlap) else []
    out = []
    for row in overlap:
        best = -1
        for g in free:
            if row[g] >= threshold and (best == -1 or row[g] >= row[best]):
                best = g
        if best != -1:
            free.remove(best)
        out.append(best)
    return out


@right("coco_eval.choose")
def choose_8(overlap, threshold):
    left = np.array(overlap, dtype=float)
    out = []
    for d in range(len(left)):
        enough = np.flatnonzero(left[d] >= threshold)
        if enough.size == 0:
            out.append(-1)
            continue
        most = left[d, enough].max()
        g = int(enough[left[d, enough] == most][-1])
        left[:, g] = -np.inf
        out.append(g)
    return out


@right("coco_eval.choose")
def choose_9(overlap, threshold):
    def go(d, taken):
        if d == len(overlap):
            return []
        fits = [
            (float(value), g)
            for g, value in enumerate(overlap[d])
            if g not in taken and value >= threshold
        ]
        mine = max(fits)[1] if fits else -1
        return [mine, *go(d + 1, taken | {mine})]

    return go(0, frozenset())


@wrong("coco_eval.interpolated_precision", "the precision at the recall, not the best")
def interpolated_precision_1(right, false, objects):
    tp = np.cumsum(right)
    fp = np.cumsum(false)
    precision = tp / np.maximum(tp + fp, 1)
    recall = tp / objects
    out = np.zeros(len(RECALLS))
    for i, r in enumerate(RECALLS):
        reached = np.flatnonzero(recall >= r)
        if len(reached):
            out[i] = precision[reached[0]]
    return out


@wrong("coco_eval.interpolated_precision", "an ignored detection counts as a false one")
def interpolated_precision_2(right, false, objects):
    tp = np.cumsum(right)
    precision = tp / np.arange(1, len(tp) + 1)
    recall = tp / objects
    return np.array([max(precision[recall >= r], default=0.0) for r in RECALLS])


@wrong("coco_eval.interpolated_precision", "only recalls above, not the recall itself")
def interpolated_precision_3(right, false, objects):
    tp, fp = np.cumsum(right), np.cumsum(false)
    precision = tp / np.maximum(tp + fp, 1)
    recall = tp / objects
    return np.array([max(precision[recall > r], default=0.0) for r in RECALLS])


@wrong("coco_eval.interpolated_precision", "recall divides by the right ones, not by N")
def interpolated_precision_4(right, false, objects):
    tp, fp = np.cumsum(right), np.cumsum(false)
    precision = tp / np.maximum(tp + fp, 1)
    found = max(int(np.sum(right)), 1)
    recall = tp / found
    return np.array([max(precision[recall >= r], default=0.0) for r in RECALLS])


@wrong(
    "coco_eval.interpolated_precision", "the best precision so far, not from here on"
)
def interpolated_precision_5(right, false, objects):
    tp, fp = np.cumsum(right), np.cumsum(false)
    precision = np.maximum.accumulate(tp / np.maximum(tp + fp, 1))
    places = np.searchsorted(tp / objects, RECALLS, side="left")
    out = np.zeros(len(RECALLS))
    for i, place in enumerate(places):
        if place < len(precision):
            out[i] = precision[place]
    return out


@wrong("coco_eval.interpolated_precision", "after the last recall the precision stays")
def interpolated_precision_6(right, false, objects):
    if len(right) == 0:
        return np.zeros(len(RECALLS))
    tp, fp = np.cumsum(right), np.cumsum(false)
    precision = tp / np.maximum(tp + fp, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(tp / objects, RECALLS, side="left")
    return precision[np.minimum(places, len(precision) - 1)]


@right("coco_eval.interpolated_precision")
def interpolated_precision_7(right, false, objects):
    points = []
    tp = fp = 0
    for good, bad in zip(right, false, strict=True):
        tp += bool(good)
        fp += bool(bad)
        if tp + fp:
            points.append((tp / objects, tp / (tp + fp)))
    out = []
    for r in RECALLS:
        out.append(max([p for recall, p in points if recall >= r], default=0.0))
    return np.array(out)


@right("coco_eval.interpolated_precision")
def interpolated_precision_8(right, false, objects):
    tp = np.cumsum(np.asarray(right, dtype=bool))
    fp = np.cumsum(np.asarray(false, dtype=bool))
    precision = np.zeros(len(tp) + 1)
    precision[:-1] = tp / np.maximum(tp + fp, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return precision[np.searchsorted(tp / objects, RECALLS)]


@right("coco_eval.interpolated_precision")
def interpolated_precision_9(right, false, objects):
    right = np.asarray(right, dtype=bool)
    counted = right | np.asarray(false, dtype=bool)
    hits = right[counted].cumsum()
    out = np.zeros(101)
    best = 0.0
    k = 100
    for i in range(len(hits) - 1, -1, -1):
        while k >= 0 and RECALLS[k] > hits[i] / objects:
            out[k] = best
            k -= 1
        best = max(best, hits[i] / (i + 1))
    out[: k + 1] = best
    return out
