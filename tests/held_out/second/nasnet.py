"""Chapter 05: answers from the task texts."""

import torch
from torch.nn.functional import avg_pool2d, pad

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("nasnet.last_channels", 1056, "six output states, as in NASNet-A")
wrong_value("nasnet.last_channels", 880, "five, one for each block")
wrong_value("nasnet.last_channels", 176, "4F, without the number of output states")
right_value("nasnet.last_channels", 704)

wrong_value("nasnet.unseen", 25, "the pixels that are looked at")
wrong_value("nasnet.unseen", 33, "only the path without a shift")
wrong_value("nasnet.unseen", 40, "only the path with a shift")
right_value("nasnet.unseen", 24)


def around(side, kernel, stride):
    """Filling before and after, and the size of the output."""
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2, out


@wrong("nasnet.same_average", "zeros of the padding count in the average")
def average_zeros(x, kernel, stride):
    before, after, _ = around(x.shape[-1], kernel, stride)
    return avg_pool2d(pad(x, (before, after, before, after)), kernel, stride)


@wrong("nasnet.same_average", "the same padding on both sides")
def average_symmetric(x, kernel, stride):
    p = kernel // 2
    return avg_pool2d(x, kernel, stride, padding=p, count_include_pad=False)


@wrong("nasnet.same_average", "the odd row of padding in front")
def average_front(x, kernel, stride):
    after, before, _ = around(x.shape[-1], kernel, stride)
    sides = (before, after, before, after)
    ones = torch.ones_like(x)
    top = avg_pool2d(pad(x, sides), kernel, stride)
    return top / avg_pool2d(pad(ones, sides), kernel, stride)


@wrong("nasnet.same_average", "repeats the pixels of the edge")
def average_replicate(x, kernel, stride):
    before, after, _ = around(x.shape[-1], kernel, stride)
    wide = pad(x, (before, after, before, after), mode="replicate")
    return avg_pool2d(wide, kernel, stride)


@wrong("nasnet.same_average", "all of the padding behind")
def average_behind(x, kernel, stride):
    before, after, _ = around(x.shape[-1], kernel, stride)
    sides = (0, before + after, 0, before + after)
    top = avg_pool2d(pad(x, sides), kernel, stride)
    return top / avg_pool2d(pad(torch.ones_like(x), sides), kernel, stride)


@right("nasnet.same_average")
def average_ratio(x, kernel, stride):
    before, after, _ = around(x.shape[-1], kernel, stride)
    sides = (before, after, before, after)
    top = avg_pool2d(pad(x, sides), kernel, stride)
    return top / avg_pool2d(pad(torch.ones_like(x), sides), kernel, stride)


@right("nasnet.same_average")
def average_windows(x, kernel, stride):
    side = x.shape[-1]
    before, _, out = around(side, kernel, stride)
    y = x.new_zeros(*x.shape[:2], out, out)
    for i in range(out):
        for j in range(out):
            top, left = i * stride - before, j * stride - before
            rows = slice(max(top, 0), min(top + kernel, side))
            columns = slice(max(left, 0), min(left + kernel, side))
            y[:, :, i, j] = x[:, :, rows, columns].mean(dim=(2, 3))
    return y


@right("nasnet.same_average")
def average_matrix(x, kernel, stride):
    # the same averages along rows, then along columns: two products with a matrix
    side = x.shape[-1]
    before, _, out = around(side, kernel, stride)
    m = x.new_zeros(out, side)
    for i in range(out):
        low = max(i * stride - before, 0)
        m[i, low : min(i * stride - before + kernel, side)] = 1
    m = m / m.sum(dim=1, keepdim=True)
    return m @ x @ m.T


@wrong("nasnet.alive", "goes up from cell 0")
def alive_upwards(reads, cells):
    found = {0}
    for i in range(cells):
        if any(i - 1 - r in found for r in reads):
            found.add(i)
    return sorted(found | {cells - 1})


@wrong("nasnet.alive", "follows only the first state that is read")
def alive_first_read(reads, cells):
    out, i = [], cells - 1
    while i >= 0:
        out.append(i)
        i -= reads[0] + 1
    return sorted(out)


@wrong("nasnet.alive", "the stem is listed as a cell")
def alive_stem(reads, cells):
    found, todo = set(), [cells - 1]
    while todo:
        i = todo.pop()
        if i in found or i < -1:
            continue
        found.add(i)
        if i >= 0:
            todo += [i - 1 - r for r in reads]
    return sorted(found)


@wrong("nasnet.alive", "from the last to the first")
def alive_descending(reads, cells):
    need = {cells - 1}
    for i in range(cells - 1, -1, -1):
        if i in need:
            need.update(i - 1 - r for r in reads if i - 1 - r >= 0)
    return sorted(need, reverse=True)


@wrong("nasnet.alive", "only what the last cell reads itself")
def alive_direct(reads, cells):
    last = cells - 1
    return sorted({last} | {last - 1 - r for r in reads if last - 1 - r >= 0})


@right("nasnet.alive")
def alive_stack(reads, cells):
    found, todo = set(), [cells - 1]
    while todo:
        i = todo.pop()
        if i >= 0 and i not in found:
            found.add(i)
            todo += [i - 1 - r for r in reads]
    return sorted(found)


@right("nasnet.alive")
def alive_flags(reads, cells):
    need = [False] * cells
    need[-1] = True
    for i in range(cells - 1, 0, -1):
        if need[i]:
            if 0 in reads:
                need[i - 1] = True
            if 1 in reads and i >= 2:
                need[i - 2] = True
    return [i for i, n in enumerate(need) if n]


@right("nasnet.alive")
def alive_distance(reads, cells):
    # a cell counts if its distance from the last is a sum of the steps
    steps = {r + 1 for r in reads}
    reach = {0}
    for distance in range(1, cells):
        if any(distance - s in reach for s in steps):
            reach.add(distance)
    return [i for i in range(cells) if cells - 1 - i in reach]
