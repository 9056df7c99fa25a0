"""Chapter 12: answers from the task texts."""

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 12.2

wrong_value("anchors.anchors_at_320", 19161, "level 7 rounded down to 2 x 2")
wrong_value("anchors.anchors_at_320", 2134, "one anchor a place")
wrong_value("anchors.anchors_at_320", 19125, "levels 3 to 6")
wrong_value("anchors.anchors_at_320", 49104, "the number for 512 x 512")
wrong_value("anchors.anchors_at_320", 702, "sides of the levels, not their places")
right_value("anchors.anchors_at_320", 19206)
right_value("anchors.anchors_at_320", 19206.0)

# 12.3

wrong_value("anchors.forced_only", 143, "those with 0.5 or more")
wrong_value("anchors.forced_only", 290, "all objects")
wrong_value("anchors.forced_only", 119, "those below 0.4")
wrong_value("anchors.forced_only", 89, "scale 3 in place of the paper's 4")
wrong_value("anchors.forced_only", 1, "the anchors of our scenes, stride 4 and scale 3")
right_value("anchors.forced_only", 147)
right_value("anchors.forced_only", torch.tensor(147))

# 12.4


def _area(box):
    return (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])


def _shared(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    return (high - low).clamp(min=0).prod(dim=1)


def _frame(a, b):
    low = torch.minimum(a[:, :2], b[:, :2])
    high = torch.maximum(a[:, 2:], b[:, 2:])
    return (high - low).prod(dim=1)


@wrong("anchors.giou", "subtracts the empty area itself, not its share of the frame")
def giou_1(a, b):
    inter = _shared(a, b)
    union = _area(a) + _area(b) - inter
    return inter / union - (_frame(a, b) - union)


@wrong("anchors.giou", "divides the empty area by the union, not by the frame")
def giou_2(a, b):
    inter = _shared(a, b)
    union = _area(a) + _area(b) - inter
    return inter / union - (_frame(a, b) - union) / union


@wrong("anchors.giou", "the shared area of distant boxes is not set to 0")
def giou_3(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    inter = (high - low).prod(dim=1)
    union = _area(a) + _area(b) - inter
    frame = _frame(a, b)
    return inter / union - (frame - union) / frame


@wrong("anchors.giou", "every row with every row")
def giou_4(a, b):
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(dim=2)
    union = _area(a)[:, None] + _area(b)[None] - inter
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    frame = (high - low).prod(dim=2)
    return inter / union - (frame - union) / frame


@wrong("anchors.giou", "gives the loss, one minus it")
def giou_5(a, b):
    inter = _shared(a, b)
    union = _area(a) + _area(b) - inter
    frame = _frame(a, b)
    return 1 - (inter / union - (frame - union) / frame)


@wrong("anchors.giou", "the covered area counts the shared part twice")
def giou_6(a, b):
    inter = _shared(a, b)
    union = _area(a) + _area(b)
    frame = _frame(a, b)
    return inter / union - (frame - union) / frame


@wrong("anchors.giou", "computes with Python numbers, so no gradient passes")
def giou_7(a, b):
    out = []
    for (x0, y0, x1, y1), (u0, v0, u1, v1) in zip(a.tolist(), b.tolist(), strict=True):
        wide = max(0, min(x1, u1) - max(x0, u0))
        high = max(0, min(y1, v1) - max(y0, v0))
        inter = wide * high
        union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - inter
        frame = (max(x1, u1) - min(x0, u0)) * (max(y1, v1) - min(y0, v0))
        out.append(inter / union - (frame - union) / frame)
    return torch.tensor(out)


@wrong("anchors.giou", "reads the boxes as corner and size")
def giou_8(a, b):
    a = torch.cat([a[:, :2], a[:, :2] + a[:, 2:]], dim=1)
    b = torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], dim=1)
    inter = _shared(a, b)
    union = _area(a) + _area(b) - inter
    frame = _frame(a, b)
    return inter / union - (frame - union) / frame


@right("anchors.giou")
def giou_9(a, b):
    inter = _shared(a, b)
    union = _area(a) + _area(b) - inter
    frame = _frame(a, b)
    return inter / union - (frame - union) / frame


@right("anchors.giou")
def giou_10(a, b):
    ax0, ay0, ax1, ay1 = a.unbind(dim=1)
    bx0, by0, bx1, by1 = b.unbind(dim=1)
    wide = (torch.min(ax1, bx1) - torch.max(ax0, bx0)).relu()
    high = (torch.min(ay1, by1) - torch.max(ay0, by0)).relu()
    inter = wide * high
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inter
    frame = (torch.max(ax1, bx1) - torch.min(ax0, bx0)) * (
        torch.max(ay1, by1) - torch.min(ay0, by0)
    )
    return inter / union + union / frame - 1


@right("anchors.giou")
def giou_11(a, b):
    out = []
    for p, q in zip(a, b, strict=True):
        wide = torch.clamp(min(p[2], q[2]) - max(p[0], q[0]), min=0)
        high = torch.clamp(min(p[3], q[3]) - max(p[1], q[1]), min=0)
        both = wide * high
        covered = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - both
        frame = (max(p[2], q[2]) - min(p[0], q[0])) * (
            max(p[3], q[3]) - min(p[1], q[1])
        )
        out.append(both / covered - (frame - covered) / frame)
    return torch.stack(out) if out else a.new_zeros(0)


@right("anchors.giou")
def giou_12(a, b):
    two = torch.stack([a, b])
    corner, end = two[..., :2], two[..., 2:]
    frame = (end.amax(0) - corner.amin(0)).prod(-1)
    inter = (end.amin(0) - corner.amax(0)).clamp(min=0).prod(-1)
    union = (end - corner).prod(-1).sum(0) - inter
    empty = 1 - union / frame
    return inter / union - empty


# 12.5


def _nearness(sides, shapes):
    inter = torch.minimum(sides[:, None], shapes[None]).prod(-1)
    return inter / (sides.prod(-1)[:, None] + shapes.prod(-1)[None] - inter)


def _means(sides, shapes, joined):
    new = shapes.clone()
    for k in range(len(shapes)):
        if (joined == k).any():
            new[k] = sides[joined == k].mean(dim=0)
    return new


@wrong("anchors.regroup", "the nearest shape by distance, not by IoU")
def regroup_1(sides, shapes):
    return _means(sides, shapes, torch.cdist(sides, shapes).argmin(dim=1))


@wrong("anchors.regroup", "a shape that nobody joined becomes NaN")
def regroup_2(sides, shapes):
    joined = _nearness(sides, shapes).argmax(dim=1)
    return torch.stack([sides[joined == k].mean(dim=0) for k in range(len(shapes))])


@wrong("anchors.regroup", "a shape that nobody joined becomes 0")
def regroup_3(sides, shapes):
    joined = _nearness(sides, shapes).argmax(dim=1)
    new = torch.zeros_like(shapes)
    for k in range(len(shapes)):
        if (joined == k).any():
            new[k] = sides[joined == k].mean(dim=0)
    return new


@wrong("anchors.regroup", "changes `shapes` itself")
def regroup_4(sides, shapes):
    joined = _nearness(sides, shapes).argmax(dim=1)
    for k in range(len(shapes)):
        mine = sides[joined == k]
        if len(mine):
            shapes[k] = mine.mean(dim=0)
    return shapes


@wrong("anchors.regroup", "the old shape takes part in the mean")
def regroup_5(sides, shapes):
    joined = _nearness(sides, shapes).argmax(dim=1)
    rows = []
    for k in range(len(shapes)):
        rows.append(torch.cat([shapes[k : k + 1], sides[joined == k]]).mean(dim=0))
    return torch.stack(rows)


@wrong("anchors.regroup", "each shape takes its best object (the other side)")
def regroup_6(sides, shapes):
    best = _nearness(sides, shapes).argmax(dim=0)
    return sides[best].clone()


@wrong("anchors.regroup", "joins by the areas alone")
def regroup_7(sides, shapes):
    a, b = sides.prod(-1)[:, None], shapes.prod(-1)[None]
    joined = (torch.minimum(a, b) / torch.maximum(a, b)).argmax(dim=1)
    return _means(sides, shapes, joined)


@wrong(
    "anchors.regroup",
    "joins by the most shared area, without dividing by the covered one",
)
def regroup_8(sides, shapes):
    inter = torch.minimum(sides[:, None], shapes[None]).prod(-1)
    joined = inter.argmax(dim=1)
    return _means(sides, shapes, joined)


@right("anchors.regroup")
def regroup_9(sides, shapes):
    return _means(sides, shapes, _nearness(sides, shapes).argmax(dim=1))


@right("anchors.regroup")
def regroup_10(sides, shapes):
    groups = [[] for _ in shapes]
    for w, h in sides.tolist():
        best, where = -1.0, 0
        for k, (u, v) in enumerate(shapes.tolist()):
            both = min(w, u) * min(h, v)
            iou = both / (w * h + u * v - both)
            if iou > best:
                best, where = iou, k
        groups[where].append((w, h))
    new = []
    for old, group in zip(shapes.tolist(), groups, strict=True):
        if group:
            old = [sum(side) / len(group) for side in zip(*group, strict=True)]
        new.append(old)
    return torch.tensor(new, dtype=shapes.dtype)


@right("anchors.regroup")
def regroup_11(sides, shapes):
    w, h = sides[:, :1], sides[:, 1:]
    u, v = shapes[:, 0], shapes[:, 1]
    both = torch.min(w, u) * torch.min(h, v)
    joined = (both / (w * h + u * v - both)).max(dim=1).indices
    member = torch.nn.functional.one_hot(joined, len(shapes)).to(shapes.dtype)
    count = member.sum(dim=0)[:, None]
    mean = member.T @ sides / count.clamp(min=1)
    return torch.where(count > 0, mean, shapes)


@right("anchors.regroup")
def regroup_12(sides, shapes):
    a = torch.cat([-sides / 2, sides / 2], dim=1)[:, None]
    b = torch.cat([-shapes / 2, shapes / 2], dim=1)[None]
    low, high = torch.max(a[..., :2], b[..., :2]), torch.min(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    joined = (both / (sides.prod(1)[:, None] + shapes.prod(1) - both)).argmax(1)
    total = torch.zeros_like(shapes).index_add_(0, joined, sides)
    count = torch.bincount(joined, minlength=len(shapes))
    return torch.where(count[:, None] > 0, total / count[:, None].clamp(min=1), shapes)
