"""Chapter 05: answers from the task texts."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("nasnet.last_channels", 1056, "six states, as in NASNet-A's normal cell")
wrong_value("nasnet.last_channels", 880, "all five blocks are concatenated")
wrong_value("nasnet.last_channels", 176, "4 F: the filters of a last cell's one state")
wrong_value("nasnet.last_channels", 352, "doubled once in place of twice")
wrong_value("nasnet.last_channels", 1408, "doubled three times")
right_value("nasnet.last_channels", 704)
right_value("nasnet.last_channels", 4 * 4 * 44.0)

wrong_value("nasnet.unseen", 25, "those it does look at")
wrong_value("nasnet.unseen", 33, "one path only: 49 - 16")
wrong_value("nasnet.unseen", 24.5, "half of 49")
wrong_value("nasnet.unseen", 32, "the count for a side of 8")
wrong_value("nasnet.unseen", 17, "both paths with sixteen places: 49 - 32")
right_value("nasnet.unseen", 24)
right_value("nasnet.unseen", 49 - 4 * 4 - 3 * 3)


def needed(side, kernel, stride):
    """Pixels that are missing for ceil(side / stride) places."""
    return max((-(-side // stride) - 1) * stride + kernel - side, 0)


@wrong("nasnet.same_average", "no padding, but ceil_mode")
def average_1(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride, ceil_mode=True)


@wrong("nasnet.same_average", "the zeros of the padding count")
def average_2(x, kernel, stride):
    total = needed(x.shape[-1], kernel, stride)
    a, b = total // 2, total - total // 2
    return F.avg_pool2d(F.pad(x, (a, b, a, b)), kernel, stride)


@wrong("nasnet.same_average", "the odd pixel of padding in front, not behind")
def average_3(x, kernel, stride):
    total = needed(x.shape[-1], kernel, stride)
    b, a = total // 2, total - total // 2
    pads = (a, b, a, b)
    mean = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    inside = F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)
    return mean / inside


@wrong("nasnet.same_average", "PyTorch's padding, the same on both sides")
def average_4(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride, kernel // 2, count_include_pad=False)


@wrong("nasnet.same_average", "kernel - stride pixels of padding, whatever the side")
def average_5(x, kernel, stride):
    total = max(kernel - stride, 0)
    a, b = total // 2, total - total // 2
    pads = (a, b, a, b)
    mean = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    inside = F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)
    return mean / inside


@wrong("nasnet.same_average", "the edge is repeated, so it counts twice")
def average_6(x, kernel, stride):
    total = needed(x.shape[-1], kernel, stride)
    a, b = total // 2, total - total // 2
    return F.avg_pool2d(F.pad(x, (a, b, a, b), mode="replicate"), kernel, stride)


@wrong("nasnet.same_average", "all of the padding behind, none in front")
def average_7(x, kernel, stride):
    total = needed(x.shape[-1], kernel, stride)
    pads = (0, total, 0, total)
    mean = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    inside = F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)
    return mean / inside


@right("nasnet.same_average")
def average_9(x, kernel, stride):
    total = needed(x.shape[-1], kernel, stride)
    a, b = total // 2, total - total // 2
    pads = (a, b, a, b)
    mean = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    inside = F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)
    return mean / inside


@right("nasnet.same_average")
def average_10(x, kernel, stride):
    side = x.shape[-1]
    before = needed(side, kernel, stride) // 2
    starts = [i * stride - before for i in range(-(-side // stride))]
    rows = []
    for top in starts:
        row = []
        for left in starts:
            window = x[
                :,
                :,
                max(top, 0) : min(top + kernel, side),
                max(left, 0) : min(left + kernel, side),
            ]
            row.append(window.mean(dim=(2, 3)))
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)


@right("nasnet.same_average")
def average_11(x, kernel, stride):
    # A matrix that averages along one side, used for both.
    side = x.shape[-1]
    out = -(-side // stride)
    before = max((out - 1) * stride + kernel - side, 0) // 2
    matrix = torch.zeros(out, side, dtype=x.dtype)
    for i in range(out):
        low = i * stride - before
        matrix[i, max(low, 0) : low + kernel] = 1
    matrix = matrix / matrix.sum(1, keepdim=True)
    return matrix @ x @ matrix.T


@right("nasnet.same_average")
def average_12(x, kernel, stride):
    batch, channels, side, _ = x.shape
    total = needed(side, kernel, stride)
    a, b = total // 2, total - total // 2
    padded = F.pad(x, (a, b, a, b), value=float("nan"))
    windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride)
    return windows.flatten(4).nanmean(-1)


@wrong("nasnet.alive", "the last one is left out")
def alive_1(reads, cells):
    found, todo = set(), [cells - 1]
    while todo:
        i = todo.pop()
        for r in reads:
            below = i - 1 - r
            if below >= 0 and below not in found:
                found.add(below)
                todo.append(below)
    return sorted(found)


@wrong("nasnet.alive", "the states are mixed up: 0 is two below")
def alive_2(reads, cells):
    found, todo = {cells - 1}, [cells - 1]
    while todo:
        i = todo.pop()
        for r in reads:
            below = i - 2 + r
            if below >= 0 and below not in found:
                found.add(below)
                todo.append(below)
    return sorted(found)


@wrong("nasnet.alive", "the stem counts as cells -1 and -2")
def alive_3(reads, cells):
    found = {cells - 1}
    for i in range(cells - 1, -1, -1):
        if i in found:
            found |= {i - 1 - r for r in reads}
    return sorted(found)


@wrong("nasnet.alive", "from the last one down")
def alive_4(reads, cells):
    found = {cells - 1}
    for i in range(cells - 1, -1, -1):
        if i in found:
            found |= {i - 1 - r for r in reads if i - 1 - r >= 0}
    return sorted(found, reverse=True)


@wrong("nasnet.alive", "only what the last one reads itself")
def alive_5(reads, cells):
    last = cells - 1
    direct = {last - 1 - r for r in reads if last - 1 - r >= 0}
    return sorted(direct | {last})


@wrong("nasnet.alive", "from cell 0 up: what depends on the first one")
def alive_6(reads, cells):
    found = {0}
    for i in range(1, cells):
        if any(i - 1 - r in found for r in reads):
            found.add(i)
    return sorted(found)


@wrong("nasnet.alive", "the cells that get no gradient")
def alive_7(reads, cells):
    found = {cells - 1}
    for i in range(cells - 1, -1, -1):
        if i in found:
            found |= {i - 1 - r for r in reads}
    return [i for i in range(cells) if i not in found]


@wrong("nasnet.alive", "follows the highest state only")
def alive_8(reads, cells):
    if not reads:
        return [cells - 1]
    return sorted(range(cells - 1, -1, -(max(reads) + 1)))


@right("nasnet.alive")
def alive_9(reads, cells):
    found, todo = {cells - 1}, [cells - 1]
    while todo:
        i = todo.pop()
        for r in reads:
            below = i - 1 - r
            if below >= 0 and below not in found:
                found.add(below)
                todo.append(below)
    return sorted(found)


@right("nasnet.alive")
def alive_10(reads, cells):
    needs = [False] * cells
    needs[-1] = True
    for i in reversed(range(cells)):
        if needs[i]:
            for r in reads:
                if i - 1 - r >= 0:
                    needs[i - 1 - r] = True
    return [i for i in range(cells) if needs[i]]


@right("nasnet.alive")
def alive_11(reads, cells):
    if 0 in reads:
        return list(range(cells))
    if 1 in reads:
        return list(range((cells - 1) % 2, cells, 2))
    return [cells - 1]


@right("nasnet.alive")
def alive_12(reads, cells):
    below = np.zeros((cells, cells), dtype=int)
    for r in set(reads):
        below += np.eye(cells, k=-1 - r, dtype=int)
    now = np.zeros(cells, dtype=int)
    now[-1] = 1
    for _ in range(cells):
        now = np.minimum(now + now @ below, 1)
    return np.flatnonzero(now).tolist()
