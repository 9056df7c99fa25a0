"""Chapter 15: answers from the task texts."""

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- survivors ---

wrong_value("decoding.survivors", 1, "B, removed by A, still removes C")
wrong_value("decoding.survivors", 3, "the overlap is the shared part of both areas")
wrong_value("decoding.survivors", 0, "each is removed by its neighbour")
right_value("decoding.survivors", 2)
right_value("decoding.survivors", 2.0)

# --- hiding_overlap ---

wrong_value("decoding.hiding_overlap", 0.74, "the last overlap that still shows")
wrong_value("decoding.hiding_overlap", 0.67, "linear soft-NMS")
wrong_value("decoding.hiding_overlap", 0.55, "the overlap is not squared")
wrong_value("decoding.hiding_overlap", 0.78, "the score of 0.9 is forgotten")
right_value("decoding.hiding_overlap", 0.75)

# --- greedy ---


@wrong("decoding.greedy", "boxes that were removed still remove others")
def greedy_1(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [
        j for n, j in enumerate(order) if all(iou[i][j] <= threshold for i in order[:n])
    ]


@wrong("decoding.greedy", "an overlap of exactly the threshold removes")
def greedy_2(iou, scores, threshold):
    left = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [j for j in left if iou[best][j] < threshold]
    return kept


@wrong("decoding.greedy", "the indices are sorted, not best score first")
def greedy_3(iou, scores, threshold):
    kept = []
    for j in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for i in kept):
            kept.append(j)
    return sorted(kept)


@wrong("decoding.greedy", "boxes are taken in the order of the list")
def greedy_4(iou, scores, threshold):
    kept = []
    for j in range(len(scores)):
        if all(iou[i][j] <= threshold for i in kept):
            kept.append(j)
    return kept


@wrong("decoding.greedy", "compared with the last kept box only")
def greedy_5(iou, scores, threshold):
    kept = []
    for j in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not kept or iou[kept[-1]][j] <= threshold:
            kept.append(j)
    return kept


@wrong("decoding.greedy", "places in the sorted order, not indices")
def greedy_6(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    for place, j in enumerate(order):
        if all(iou[order[k]][j] <= threshold for k in kept):
            kept.append(place)
    return kept


@right("decoding.greedy")
def greedy_7(iou, scores, threshold):
    kept = []
    for j in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for i in kept):
            kept.append(j)
    return kept


@right("decoding.greedy")
def greedy_8(iou, scores, threshold):
    left = set(range(len(scores)))
    kept = []
    while left:
        best = max(left, key=scores.__getitem__)
        kept.append(best)
        left = {j for j in left if j != best and not iou[best][j] > threshold}
    return kept


@right("decoding.greedy")
def greedy_9(iou, scores, threshold):
    order = np.argsort(scores)[::-1]
    alive = np.ones(len(scores), dtype=bool)
    kept = []
    for i in order:
        if alive[i]:
            kept.append(int(i))
            alive &= np.asarray(iou[i]) <= threshold
            alive[i] = False
    return kept


# --- vote ---


@wrong("decoding.vote", "every box votes")
def vote_1(boxes, scores, iou):
    return (boxes * scores[:, None]).sum(0) / scores.sum()


@wrong("decoding.vote", "an overlap of exactly 0.5 does not vote")
def vote_2(boxes, scores, iou):
    voters = iou[scores.argmax()] > 0.5
    w = scores[voters]
    return (boxes[voters] * w[:, None]).sum(0) / w.sum()


@wrong("decoding.vote", "not weighted")
def vote_3(boxes, scores, iou):
    return boxes[iou[scores.argmax()] >= 0.5].mean(0)


@wrong("decoding.vote", "weighted by score times overlap")
def vote_4(boxes, scores, iou):
    row = iou[scores.argmax()]
    w = scores * row * (row >= 0.5)
    return w @ boxes / w.sum()


@wrong("decoding.vote", "divided by the sum of all scores")
def vote_5(boxes, scores, iou):
    voters = (iou[scores.argmax()] >= 0.5).to(scores.dtype)
    return (voters * scores) @ boxes / scores.sum()


@wrong("decoding.vote", "the first box is taken for the best")
def vote_6(boxes, scores, iou):
    w = scores * (iou[0] >= 0.5)
    return w @ boxes / w.sum()


@wrong("decoding.vote", "weights by softmax")
def vote_7(boxes, scores, iou):
    voters = iou[scores.argmax()] >= 0.5
    return torch.softmax(scores[voters], 0) @ boxes[voters]


@right("decoding.vote")
def vote_8(boxes, scores, iou):
    voters = iou[scores.argmax()] >= 0.5
    w = scores[voters]
    return (boxes[voters] * w[:, None]).sum(0) / w.sum()


@right("decoding.vote")
def vote_9(boxes, scores, iou):
    best = max(range(len(scores)), key=lambda i: float(scores[i]))
    total, weight = torch.zeros(4, dtype=boxes.dtype), 0.0
    for box, score, overlap in zip(boxes, scores, iou[best], strict=True):
        if overlap >= 0.5:
            total = total + score * box
            weight = weight + score
    return total / weight


@right("decoding.vote")
def vote_10(boxes, scores, iou):
    w = torch.where(iou[:, int(scores.argmax())] < 0.5, 0.0, scores)
    return torch.einsum("n,nk->k", w / w.sum(), boxes)
