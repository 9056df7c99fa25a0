"""Chapter 15: answers from the task texts."""

import math

import numpy as np
import torch

from lib.detection import anchors
from tests.held_out import right, wrong

SIGMA = 0.5
LOWEST = 0.001


@wrong("decoding.soft_nms", "the overlap is not squared")
def soft_nms_1(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows, values = [], []
    while len(rows) < keep and len(left) and left.max() > LOWEST:
        j = int(left.argmax())
        rows.append(j)
        values.append(float(left[j]))
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        same = labels == labels[j]
        left[same] = left[same] * torch.exp(-overlap[same] / SIGMA)
        left[j] = 0
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(values).to(scores)


@wrong("decoding.soft_nms", "boxes of other classes lose score too")
def soft_nms_2(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows, values = [], []
    while len(rows) < keep and len(left) and left.max() > LOWEST:
        j = int(left.argmax())
        rows.append(j)
        values.append(float(left[j]))
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        left = left * torch.exp(-(overlap**2) / SIGMA)
        left[j] = 0
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(values).to(scores)


@wrong("decoding.soft_nms", "goes in the order of the scores as they were at first")
def soft_nms_3(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows = []
    for j in scores.argsort(descending=True).tolist():
        if len(rows) == keep or left[j] <= LOWEST:
            break
        rows.append(j)
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        factor = torch.exp(-(overlap**2) / SIGMA)
        factor[labels != labels[j]] = 1
        factor[rows] = 1
        left = left * factor
    order = torch.tensor(rows, dtype=torch.int64)
    return order, left[order]


@wrong("decoding.soft_nms", "returns the scores as they were at first")
def soft_nms_4(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows = []
    while len(rows) < keep and len(left) and left.max() > LOWEST:
        j = int(left.argmax())
        rows.append(j)
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        factor = torch.exp(-(overlap**2) / SIGMA)
        left = torch.where(labels == labels[j], left * factor, left)
        left[j] = -1
    order = torch.tensor(rows, dtype=torch.int64)
    return order, scores[order]


@wrong("decoding.soft_nms", "only the best `keep` of the first scores take part")
def soft_nms_5(boxes, scores, labels, keep=100):
    left = scores.clone()
    left[scores.argsort(descending=True)[keep:]] = 0
    rows, values = [], []
    while len(left) and left.max() > LOWEST:
        j = int(left.argmax())
        rows.append(j)
        values.append(float(left[j]))
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        factor = torch.exp(-(overlap**2) / SIGMA)
        left = torch.where(labels == labels[j], left * factor, left)
        left[j] = 0
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(values).to(scores)


@wrong("decoding.soft_nms", "goes on below 0.001 until every box is chosen")
def soft_nms_6(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows, values = [], []
    for _ in range(min(keep, len(scores))):
        j = int(left.argmax())
        rows.append(j)
        values.append(float(left[j]))
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        factor = torch.exp(-(overlap**2) / SIGMA)
        left = torch.where(labels == labels[j], left * factor, left)
        left[rows] = -1
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(values).to(scores)


@right("decoding.soft_nms")
def soft_nms_7(boxes, scores, labels, keep=100):
    left = scores.clone()
    rows, values = [], []
    while len(rows) < keep and len(left) and left.max() > LOWEST:
        j = int(left.argmax())
        rows.append(j)
        values.append(float(left[j]))
        overlap = anchors.box_iou(boxes[j, None], boxes)[0]
        factor = torch.exp(-(overlap**2) / SIGMA)
        left = torch.where(labels == labels[j], left * factor, left)
        left[j] = 0
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(values).to(scores)


@right("decoding.soft_nms")
def soft_nms_8(boxes, scores, labels, keep=100):
    overlap = anchors.box_iou(boxes, boxes).tolist()
    kind = labels.tolist()
    left = dict(enumerate(scores.tolist()))
    chosen = []
    while left and len(chosen) < keep:
        j = max(left, key=left.get)
        score = left.pop(j)
        if score <= LOWEST:
            break
        chosen.append((j, score))
        for i in left:
            if kind[i] == kind[j]:
                left[i] *= math.exp(-(overlap[j][i] ** 2) / SIGMA)
    rows = torch.tensor([j for j, _ in chosen], dtype=torch.int64)
    return rows, torch.tensor([score for _, score in chosen], dtype=scores.dtype)


@right("decoding.soft_nms")
def soft_nms_9(boxes, scores, labels, keep=100):
    b, kind = boxes.numpy(), labels.numpy()
    now = scores.numpy().copy()
    area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    rest = np.arange(len(b))
    rows, values = [], []
    while rest.size and len(rows) < keep:
        j = rest[np.argmax(now[rest])]
        if now[j] <= LOWEST:
            break
        rows.append(int(j))
        values.append(now[j])
        rest = rest[rest != j]
        w = np.minimum(b[rest, 2], b[j, 2]) - np.maximum(b[rest, 0], b[j, 0])
        h = np.minimum(b[rest, 3], b[j, 3]) - np.maximum(b[rest, 1], b[j, 1])
        both = np.maximum(w, 0) * np.maximum(h, 0)
        union = area[rest] + area[j] - both
        iou = both / np.where(union > 0, union, 1)
        now[rest] *= np.where(kind[rest] == kind[j], np.exp(-(iou**2) / SIGMA), 1)
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(
        np.array(values, dtype=now.dtype)
    )
