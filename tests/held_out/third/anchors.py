"""Chapter 12: answers from the task texts."""

import math

import numpy as np
import torch

from lib.detection.anchors import EPS, MAX_LOG_SIZE
from tests.held_out import right, wrong


def areas(boxes):
    """The area of each box."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def shared(a, b):
    """What each pair shares, (N, M)."""
    begin = torch.maximum(a[:, None, :2], b[None, :, :2])
    end = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (end - begin).clamp(min=0).prod(dim=2)


@wrong("anchors.box_iou", "cuts the product at 0, not the sides")
def box_iou_1(a, b):
    begin = torch.maximum(a[:, None, :2], b[None, :, :2])
    end = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (end - begin).prod(dim=2).clamp(min=0)
    union = areas(a)[:, None] + areas(b)[None, :] - both
    return torch.where(union > 0, both / union, torch.zeros_like(union))


@wrong("anchors.box_iou", "counts pixels: sides are one longer")
def box_iou_2(a, b):
    begin = torch.maximum(a[:, None, :2], b[None, :, :2])
    end = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (end - begin + 1).clamp(min=0).prod(dim=2)
    one = (a[:, 2] - a[:, 0] + 1) * (a[:, 3] - a[:, 1] + 1)
    two = (b[:, 2] - b[:, 0] + 1) * (b[:, 3] - b[:, 1] + 1)
    return both / (one[:, None] + two - both)


@wrong("anchors.box_iou", "two boxes without area give 0 / 0")
def box_iou_3(a, b):
    both = shared(a, b)
    return both / (areas(a)[:, None] + areas(b) - both)


@wrong("anchors.box_iou", "rows and columns are exchanged")
def box_iou_4(a, b):
    both = shared(b, a)
    union = areas(b)[:, None] + areas(a) - both
    return torch.where(union > 0, both / union, torch.zeros_like(union))


@wrong("anchors.box_iou", "divides by the box around both")
def box_iou_5(a, b):
    both = shared(a, b)
    begin = torch.minimum(a[:, None, :2], b[None, :, :2])
    end = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    around = (end - begin).prod(dim=2)
    return torch.where(around > 0, both / around, torch.zeros_like(around))


@wrong("anchors.box_iou", "what they share is counted twice below the line")
def box_iou_6(a, b):
    both = shared(a, b)
    union = areas(a)[:, None] + areas(b)[None, :]
    return torch.where(union > 0, both / union, torch.zeros_like(union))


@right("anchors.box_iou")
def box_iou_7(a, b):
    left = torch.maximum(a[:, None, 0], b[:, 0])
    top = torch.maximum(a[:, None, 1], b[:, 1])
    right_ = torch.minimum(a[:, None, 2], b[:, 2])
    bottom = torch.minimum(a[:, None, 3], b[:, 3])
    both = (right_ - left).clamp(min=0) * (bottom - top).clamp(min=0)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + area_b - both
    return torch.where(union > 0, both / union, torch.zeros_like(both))


@right("anchors.box_iou")
def box_iou_8(a, b):
    n, m = len(a), len(b)
    one = a.repeat_interleave(m, dim=0)  # all pairs, one below the other
    two = b.repeat(n, 1)
    x1, y1 = torch.max(one[:, :2], two[:, :2]).unbind(1)
    x2, y2 = torch.min(one[:, 2:], two[:, 2:]).unbind(1)
    touch = (x2 >= x1) & (y2 >= y1)
    both = (x2 - x1) * (y2 - y1) * touch
    union = areas(one) + areas(two) - both
    return torch.nan_to_num(both / union, nan=0.0).reshape(n, m)


@right("anchors.box_iou")
def box_iou_9(a, b):
    p, q = a.numpy(), b.numpy()
    sides = np.minimum(p[:, None, 2:], q[:, 2:]) - np.maximum(p[:, None, :2], q[:, :2])
    both = np.prod(np.where(sides < 0, 0, sides), axis=-1)
    area_p = np.prod(p[:, 2:] - p[:, :2], axis=-1)
    area_q = np.prod(q[:, 2:] - q[:, :2], axis=-1)
    union = np.add.outer(area_p, area_q) - both
    return torch.from_numpy(both / np.where(union == 0, 1, union))


def middles(boxes):
    """x, y, w, h of boxes xyxy."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


@wrong("anchors.encode", "x comes before y")
def encode_1(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    w, h, wa, ha = w + EPS, h + EPS, wa + EPS, ha + EPS
    tx, ty = (x - xa) / wa, (y - ya) / ha
    return torch.stack([tx, ty, (w / wa).log(), (h / ha).log()], dim=1)


@wrong("anchors.encode", "measures from corner to corner, not from the middles")
def encode_2(boxes, anchors):
    w, h = boxes[:, 2] - boxes[:, 0] + EPS, boxes[:, 3] - boxes[:, 1] + EPS
    wa, ha = anchors[:, 2] - anchors[:, 0] + EPS, anchors[:, 3] - anchors[:, 1] + EPS
    ty = (boxes[:, 1] - anchors[:, 1]) / ha
    tx = (boxes[:, 0] - anchors[:, 0]) / wa
    return torch.stack([ty, tx, torch.log(h / ha), torch.log(w / wa)], dim=1)


@wrong("anchors.encode", "adds EPS to the quotient, not to the sides")
def encode_3(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    ty, tx = (y - ya) / ha, (x - xa) / wa
    th, tw = torch.log(h / ha + EPS), torch.log(w / wa + EPS)
    return torch.stack([ty, tx, th, tw], dim=1)


@wrong("anchors.encode", "measures in sides of the box, not of the anchor")
def encode_4(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    w, h, wa, ha = w + EPS, h + EPS, wa + EPS, ha + EPS
    codes = [(y - ya) / h, (x - xa) / w, torch.log(h / ha), torch.log(w / wa)]
    return torch.stack(codes, dim=1)


@wrong("anchors.encode", "divides by the variances 0.1 and 0.2 of other detectors")
def encode_5(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    w, h, wa, ha = w + EPS, h + EPS, wa + EPS, ha + EPS
    codes = [(y - ya) / ha, (x - xa) / wa, torch.log(h / ha), torch.log(w / wa)]
    return torch.stack(codes, dim=1) / torch.tensor([0.1, 0.1, 0.2, 0.2])


@wrong("anchors.encode", "the step down is divided by the width, that right by height")
def encode_6(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    w, h, wa, ha = w + EPS, h + EPS, wa + EPS, ha + EPS
    codes = [(y - ya) / wa, (x - xa) / ha, torch.log(h / ha), torch.log(w / wa)]
    return torch.stack(codes, dim=1)


@right("anchors.encode")
def encode_7(boxes, anchors):
    x, y, w, h = middles(boxes)
    xa, ya, wa, ha = middles(anchors)
    w, h, wa, ha = w + EPS, h + EPS, wa + EPS, ha + EPS
    codes = [(y - ya) / ha, (x - xa) / wa, torch.log(h / ha), torch.log(w / wa)]
    return torch.stack(codes, dim=1)


@right("anchors.encode")
def encode_8(boxes, anchors):
    rows = []
    for box, anchor in zip(boxes.tolist(), anchors.tolist(), strict=True):
        h, w = box[3] - box[1] + EPS, box[2] - box[0] + EPS
        ha, wa = anchor[3] - anchor[1] + EPS, anchor[2] - anchor[0] + EPS
        ty = ((box[1] + box[3]) / 2 - (anchor[1] + anchor[3]) / 2) / ha
        tx = ((box[0] + box[2]) / 2 - (anchor[0] + anchor[2]) / 2) / wa
        rows.append([ty, tx, math.log(h / ha), math.log(w / wa)])
    return torch.tensor(rows, dtype=boxes.dtype).reshape(-1, 4)


@right("anchors.encode")
def encode_9(boxes, anchors):
    b, a = boxes.double().numpy(), anchors.double().numpy()
    side_b = b[:, 2:] - b[:, :2] + EPS
    side_a = a[:, 2:] - a[:, :2] + EPS
    step = (b[:, :2] + b[:, 2:] - a[:, :2] - a[:, 2:]) / 2 / side_a
    grow = np.log(side_b) - np.log(side_a)
    codes = np.concatenate([step[:, ::-1], grow[:, ::-1]], axis=1)
    return torch.from_numpy(codes).to(boxes.dtype)


def corners(x, y, w, h):
    """Boxes xyxy from middles and sides."""
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1)


@wrong("anchors.decode", "the sizes have no limit")
def decode_1(codes, anchors):
    ty, tx, th, tw = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    return corners(xa + tx * wa, ya + ty * ha, wa * tw.exp(), ha * th.exp())


@wrong("anchors.decode", "small sizes are cut as well, at -MAX_LOG_SIZE")
def decode_2(codes, anchors):
    ty, tx, th, tw = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    th = th.clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE)
    tw = tw.clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE)
    return corners(xa + tx * wa, ya + ty * ha, wa * tw.exp(), ha * th.exp())


@wrong("anchors.decode", "all four codes are cut")
def decode_3(codes, anchors):
    ty, tx, th, tw = codes.clamp(max=MAX_LOG_SIZE).unbind(1)
    xa, ya, wa, ha = middles(anchors)
    return corners(xa + tx * wa, ya + ty * ha, wa * tw.exp(), ha * th.exp())


@wrong("anchors.decode", "the exponential is cut, not the code")
def decode_4(codes, anchors):
    ty, tx, th, tw = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    h = ha * th.exp().clamp(max=MAX_LOG_SIZE)
    w = wa * tw.exp().clamp(max=MAX_LOG_SIZE)
    return corners(xa + tx * wa, ya + ty * ha, w, h)


@wrong("anchors.decode", "reads the codes as tx, ty, tw, th")
def decode_5(codes, anchors):
    tx, ty, tw, th = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    w = wa * tw.clamp(max=MAX_LOG_SIZE).exp()
    h = ha * th.clamp(max=MAX_LOG_SIZE).exp()
    return corners(xa + tx * wa, ya + ty * ha, w, h)


@wrong("anchors.decode", "the middle is taken for the top left corner")
def decode_6(codes, anchors):
    ty, tx, th, tw = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    w = wa * tw.clamp(max=MAX_LOG_SIZE).exp()
    h = ha * th.clamp(max=MAX_LOG_SIZE).exp()
    x, y = xa + tx * wa, ya + ty * ha
    return torch.stack([x, y, x + w, y + h], dim=1)


@right("anchors.decode")
def decode_7(codes, anchors):
    ty, tx, th, tw = codes.unbind(1)
    xa, ya, wa, ha = middles(anchors)
    w = wa * tw.clamp(max=MAX_LOG_SIZE).exp()
    h = ha * th.clamp(max=MAX_LOG_SIZE).exp()
    return corners(xa + tx * wa, ya + ty * ha, w, h)


@right("anchors.decode")
def decode_8(codes, anchors):
    boxes = torch.empty_like(anchors)
    for i in range(len(anchors)):
        for axis in (0, 1):  # x, y
            low, high = anchors[i, axis], anchors[i, axis + 2]
            side = high - low
            middle = low + side / 2 + codes[i, 1 - axis] * side
            half = side * math.exp(min(float(codes[i, 3 - axis]), MAX_LOG_SIZE)) / 2
            boxes[i, axis], boxes[i, axis + 2] = middle - half, middle + half
    return boxes


@right("anchors.decode")
def decode_9(codes, anchors):
    side = anchors[:, 2:] - anchors[:, :2]
    middle = (anchors[:, 2:] + anchors[:, :2]) / 2
    step, grow = codes.flip(1)[:, 2:], codes.flip(1)[:, :2]  # x before y
    middle = middle + step * side
    largest = side * math.exp(MAX_LOG_SIZE)
    half = torch.minimum(side * grow.double().exp(), largest).to(side.dtype) / 2
    return torch.cat([middle - half, middle + half], dim=1)


@wrong("anchors.owners", "of two objects that force one anchor the last wins")
def owners_1(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    owner[best < matched] = -2
    owner[best < unmatched] = -1
    for n in range(len(iou)):
        owner[iou[n].argmax()] = n
    return owner


@wrong("anchors.owners", "force takes only anchors that have no object yet")
def owners_2(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    owner[best < matched] = -2
    owner[best < unmatched] = -1
    for n in range(len(iou)):
        a = int(iou[n].argmax())
        if owner[a] < 0:
            owner[a] = n
    return owner


@wrong("anchors.owners", "an overlap of exactly unmatched is nothing, not ignored")
def owners_3(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    nothing = torch.full_like(owner, -1)
    ignored = torch.full_like(owner, -2)
    rest = torch.where(best > unmatched, ignored, nothing)
    owner = torch.where(best >= matched, owner, rest)
    for n in reversed(range(len(iou))):
        owner[iou[n].argmax()] = n
    return owner


@wrong("anchors.owners", "of two objects that fit equally well the last wins")
def owners_4(iou, matched, unmatched):
    owner = []
    for a in range(iou.shape[1]):
        best, who = iou[0, a], 0
        for n in range(1, iou.shape[0]):
            if iou[n, a] >= best:
                best, who = iou[n, a], n
        if best < unmatched:
            who = -1
        elif best < matched:
            who = -2
        owner.append(who)
    for n in reversed(range(len(iou))):
        owner[int(iou[n].argmax())] = n
    return torch.tensor(owner)


@wrong("anchors.owners", "who finds the best anchor taken forces the next best")
def owners_5(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    owner[best < matched] = -2
    owner[best < unmatched] = -1
    taken = set()
    for n in range(len(iou)):
        for a in iou[n].argsort(descending=True).tolist():
            if a not in taken:
                taken.add(a)
                owner[a] = n
                break
    return owner


@wrong("anchors.owners", "nothing is ever ignored: -1 for all below matched")
def owners_6(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    owner = torch.where(best >= matched, owner, -1)
    for n in reversed(range(len(iou))):
        owner[iou[n].argmax()] = n
    return owner


@right("anchors.owners")
def owners_7(iou, matched, unmatched):
    best, owner = iou.max(dim=0)
    owner[best < matched] = -2
    owner[best < unmatched] = -1
    for n in reversed(range(len(iou))):
        owner[iou[n].argmax()] = n
    return owner


@right("anchors.owners")
def owners_8(iou, matched, unmatched):
    objects, count = iou.shape
    favourite = []
    for n in range(objects):
        favourite.append(max(range(count), key=lambda a, row=iou[n]: float(row[a])))
    result = torch.empty(count, dtype=torch.int64)
    for a in range(count):
        if a in favourite:
            result[a] = favourite.index(a)
            continue
        n = max(range(objects), key=lambda n, a=a: float(iou[n, a]))
        if iou[n, a] >= matched:
            result[a] = n
        elif iou[n, a] >= unmatched:
            result[a] = -2
        else:
            result[a] = -1
    return result


@right("anchors.owners")
def owners_9(iou, matched, unmatched):
    table = iou.numpy()
    best = table.max(axis=0)
    free = np.where(
        best >= matched, table.argmax(axis=0), np.where(best >= unmatched, -2, -1)
    )
    forced = np.arange(table.shape[1]) == table.argmax(axis=1)[:, None]
    owner = np.where(forced.any(axis=0), forced.argmax(axis=0), free)
    return torch.from_numpy(owner.astype(np.int64))
