"""Chapter 12: answers from the task texts."""

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- anchors_at_320 ---

wrong_value("anchors.anchors_at_320", 2134, "places, not anchors")
wrong_value("anchors.anchors_at_320", 19161, "the last level is 2, rounded down")
wrong_value("anchors.anchors_at_320", 19181.25, "the last level is 2.5, not rounded")
wrong_value("anchors.anchors_at_320", 76725, "the number for 640")
right_value("anchors.anchors_at_320", 19206)
right_value("anchors.anchors_at_320", 19206.0)

# --- forced_only ---

wrong_value("anchors.forced_only", 143, "those that reach 0.5")
wrong_value("anchors.forced_only", 119, "below 0.4, as RetinaNet has it")
wrong_value("anchors.forced_only", 1, "stride 4 and scale 3 in place of the paper's")
wrong_value("anchors.forced_only", 0.507, "a share in place of a number")
right_value("anchors.forced_only", 147)

# --- giou ---


def _areas(a, b):
    wh = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    wh = wh.clamp(min=0)
    shared = wh[:, 0] * wh[:, 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    return shared, area_a + area_b - shared


def _frame(a, b):
    wh = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    return wh[:, 0] * wh[:, 1]


@wrong("anchors.giou", "the shared sides are not clamped at 0")
def giou_1(a, b):
    wh = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    shared = wh.prod(1)
    area_a = (a[:, 2:] - a[:, :2]).prod(1)
    area_b = (b[:, 2:] - b[:, :2]).prod(1)
    union = area_a + area_b - shared
    frame = _frame(a, b)
    return shared / union - (frame - union) / frame


@wrong("anchors.giou", "the empty part is divided by the union")
def giou_2(a, b):
    shared, union = _areas(a, b)
    return shared / union - (_frame(a, b) - union) / union


@wrong("anchors.giou", "the shared part is counted twice in the covered area")
def giou_3(a, b):
    shared, union = _areas(a, b)
    frame = _frame(a, b)
    return shared / union - (frame - union - shared) / frame


@wrong("anchors.giou", "the share that is covered is subtracted")
def giou_4(a, b):
    shared, union = _areas(a, b)
    return shared / union - union / _frame(a, b)


@wrong("anchors.giou", "the loss, one minus it, is returned")
def giou_5(a, b):
    shared, union = _areas(a, b)
    frame = _frame(a, b)
    return 1 - (shared / union - (frame - union) / frame)


@wrong("anchors.giou", "clamped at 0: no slope for far boxes")
def giou_6(a, b):
    shared, union = _areas(a, b)
    frame = _frame(a, b)
    return (shared / union - (frame - union) / frame).clamp(min=0)


@wrong("anchors.giou", "every row with every row")
def giou_7(a, b):
    n = len(b)
    rows = []
    for box in a:
        shared, union = _areas(box.expand(n, 4), b)
        frame = _frame(box.expand(n, 4), b)
        rows.append(shared / union - (frame - union) / frame)
    return torch.stack(rows)


@right("anchors.giou")
def giou_8(a, b):
    shared, union = _areas(a, b)
    frame = _frame(a, b)
    return shared / union - (frame - union) / frame


@right("anchors.giou")
def giou_9(a, b):
    out = []
    for (ax, ay, ar, ad), (bx, by, br, bd) in zip(a, b, strict=True):
        w = torch.relu(torch.min(ar, br) - torch.max(ax, bx))
        h = torch.relu(torch.min(ad, bd) - torch.max(ay, by))
        shared = w * h
        union = (ar - ax) * (ad - ay) + (br - bx) * (bd - by) - shared
        frame = (torch.max(ar, br) - torch.min(ax, bx)) * (
            torch.max(ad, bd) - torch.min(ay, by)
        )
        out.append(shared / union - 1 + union / frame)
    return torch.stack(out)


@right("anchors.giou")
def giou_10(a, b):
    ax1, ay1, ax2, ay2 = a.T
    bx1, by1, bx2, by2 = b.T
    w = torch.where(ax2 < bx2, ax2, bx2) - torch.where(ax1 > bx1, ax1, bx1)
    h = torch.where(ay2 < by2, ay2, by2) - torch.where(ay1 > by1, ay1, by1)
    zero = torch.zeros_like(w)
    shared = torch.where((w > 0) & (h > 0), w * h, zero)
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    frame = (high[:, 2] - low[:, 0]) * (high[:, 3] - low[:, 1])
    return shared / union + union / frame - 1


# --- regroup ---


def _near(sides, shapes):
    shared = torch.minimum(sides[:, None], shapes[None]).prod(-1)
    union = sides.prod(-1)[:, None] + shapes.prod(-1)[None] - shared
    return shared / union


@wrong("anchors.regroup", "shapes that nobody joined become nan")
def regroup_1(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    return torch.stack([sides[which == k].mean(0) for k in range(len(shapes))])


@wrong("anchors.regroup", "shapes that nobody joined become 0")
def regroup_2(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    new = torch.zeros_like(shapes)
    for k in range(len(shapes)):
        new[k] = sides[which == k].sum(0) / max(1, int((which == k).sum()))
    return new


@wrong("anchors.regroup", "nearness by Euclid's distance")
def regroup_3(sides, shapes):
    which = torch.cdist(sides, shapes).argmin(1)
    new = shapes.clone()
    for k in range(len(shapes)):
        if (which == k).any():
            new[k] = sides[which == k].mean(0)
    return new


@wrong("anchors.regroup", "the shared area alone in place of IoU")
def regroup_4(sides, shapes):
    which = torch.minimum(sides[:, None], shapes[None]).prod(-1).argmax(1)
    new = shapes.clone()
    for k in range(len(shapes)):
        if (which == k).any():
            new[k] = sides[which == k].mean(0)
    return new


@wrong("anchors.regroup", "writes into shapes")
def regroup_5(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    for k in range(len(shapes)):
        if (which == k).any():
            shapes[k] = sides[which == k].mean(0)
    return shapes


@wrong("anchors.regroup", "the median in place of the mean")
def regroup_6(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    new = shapes.clone()
    for k in range(len(shapes)):
        if (which == k).any():
            new[k] = sides[which == k].median(0).values
    return new


@wrong("anchors.regroup", "each shape takes its best object")
def regroup_7(sides, shapes):
    return sides[_near(sides, shapes).argmax(0)]


@right("anchors.regroup")
def regroup_8(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    new = shapes.clone()
    for k in range(len(shapes)):
        mine = sides[which == k]
        if len(mine):
            new[k] = mine.mean(0)
    return new


@right("anchors.regroup")
def regroup_9(sides, shapes):
    which = _near(sides, shapes).argmax(1)
    one_hot = torch.nn.functional.one_hot(which, len(shapes)).to(sides.dtype)
    count = one_hot.sum(0)[:, None]
    means = one_hot.T @ sides / count.clamp(min=1)
    return torch.where(count > 0, means, shapes)


@right("anchors.regroup")
def regroup_10(sides, shapes):
    groups = [[] for _ in shapes]
    table = shapes.tolist()
    for w, h in sides.tolist():
        scores = []
        for v, g in table:
            shared = min(w, v) * min(h, g)
            scores.append(shared / (w * h + v * g - shared))
        groups[scores.index(max(scores))].append((w, h))
    rows = []
    for shape, group in zip(table, groups, strict=True):
        if group:
            n = len(group)
            rows.append([sum(p[0] for p in group) / n, sum(p[1] for p in group) / n])
        else:
            rows.append(shape)
    return torch.tensor(rows, dtype=shapes.dtype)
