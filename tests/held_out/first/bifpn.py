"""Chapter 11: answers from the task texts."""

from collections import Counter
from functools import lru_cache

import numpy as np
import torch

from lib.detection import bifpn
from tests.held_out import right, right_value, wrong, wrong_value

# 11.1


@wrong("bifpn.fpn", "counts the nodes from 0, as if there were no inputs before them")
def fpn_1(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for k in range(1, levels):
        level = levels - 1 - k
        nodes.append((level, (level, k - 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "begins with the finest level")
def fpn_2(levels):
    nodes = [(0, (0,))]
    for level in range(1, levels):
        nodes.append((level, (level, levels + level - 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "reads the node before first, then its own level's input")
def fpn_3(levels):
    nodes = []
    for k, level in enumerate(reversed(range(levels))):
        nodes.append((level, (level,) if k == 0 else (levels + k - 1, level)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "reads the coarser level's input in place of its node")
def fpn_4(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, level + 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "the number of the node before is one too high: it reads itself")
def fpn_5(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, levels + len(nodes))))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "writes the numbers of three levels for any number of them")
def fpn_6(levels):
    nodes = []
    before = None
    for k, level in enumerate(range(levels - 1, -1, -1)):
        nodes.append((level, (level,) if before is None else (level, before)))
        before = 3 + k
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "leaves out the coarsest node, since nothing is fused there")
def fpn_7(levels):
    nodes = [(levels - 2, (levels - 2, levels - 1))]
    for level in range(levels - 3, -1, -1):
        nodes.append((level, (level, levels + len(nodes) - 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "every later node reads the first node, not the one before it")
def fpn_8(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, levels)))
    return bifpn.Topology(levels, nodes)


@right("bifpn.fpn")
def fpn_9(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, levels + len(nodes) - 1)))
    return bifpn.Topology(levels, nodes)


@right("bifpn.fpn")
def fpn_10(levels):
    top = levels - 1
    later = [(top - k, (top - k, top + k)) for k in range(1, levels)]
    return bifpn.Topology(levels, [(top, (top,)), *later])


@right("bifpn.fpn")
def fpn_11(levels):
    def down(level):
        if level == levels - 1:
            return [bifpn.Node(level=level, inputs=(level,))]
        above = down(level + 1)
        before = levels + len(above) - 1
        return above + [bifpn.Node(level=level, inputs=(level, before))]

    return bifpn.Topology(levels, down(0))


@right("bifpn.fpn")
def fpn_12(levels):
    nodes = []
    before = []
    number = levels
    for level in reversed(range(levels)):
        nodes.append([level, [level] + before])
        before = [number]
        number += 1
    return bifpn.Topology(levels=levels, nodes=nodes)


# 11.2


@wrong("bifpn.fast_fusion", "does not clip the weights")
def fast_fusion_1(x, weights, eps=1e-4):
    total = sum(w * m for w, m in zip(weights, x, strict=True))
    return total / (eps + weights.sum())


@wrong("bifpn.fast_fusion", "leaves out eps")
def fast_fusion_2(x, weights, eps=1e-4):
    w = weights.clamp(min=0)
    w = w / w.sum()
    return sum(share * m for share, m in zip(w, x, strict=True))


@wrong("bifpn.fast_fusion", "takes the softmax of the weights")
def fast_fusion_3(x, weights, eps=1e-4):
    shares = torch.softmax(weights, dim=0)
    return sum(share * m for share, m in zip(shares, x, strict=True))


@wrong("bifpn.fast_fusion", "takes the weights' sizes, where it should clip them")
def fast_fusion_4(x, weights, eps=1e-4):
    w = weights.abs()
    w = w / (w.sum() + eps)
    return sum(share * m for share, m in zip(w, x, strict=True))


@wrong("bifpn.fast_fusion", "adds eps to every weight of the sum, not once")
def fast_fusion_5(x, weights, eps=1e-4):
    w = weights.relu()
    total = sum(one + eps for one in w)
    return sum(one / total * m for one, m in zip(w, x, strict=True))


@wrong("bifpn.fast_fusion", "turns the weights into Python numbers: no gradient")
def fast_fusion_6(x, weights, eps=1e-4):
    w = [max(0.0, one.item()) for one in weights]
    return sum(one * m for one, m in zip(w, x, strict=True)) / (eps + sum(w))


@wrong("bifpn.fast_fusion", "clips only above the line; divides by the raw sum")
def fast_fusion_7(x, weights, eps=1e-4):
    total = eps + weights.sum()
    out = torch.zeros_like(x[0])
    for w, m in zip(weights, x, strict=True):
        out = out + torch.relu(w) / total * m
    return out


@wrong("bifpn.fast_fusion", "the weights multiply the last side of the maps")
def fast_fusion_8(x, weights, eps=1e-4):
    w = weights.relu()
    return (torch.stack(x) * w).sum(0) / (eps + w.sum())


@right("bifpn.fast_fusion")
def fast_fusion_9(x, weights, eps=1e-4):
    w = weights.clamp(min=0)
    out = torch.zeros_like(x[0])
    for i in range(len(x)):
        out = out + w[i] * x[i]
    return out / (eps + w.sum())


@right("bifpn.fast_fusion")
def fast_fusion_10(x, weights, eps=1e-4):
    w = torch.relu(weights)
    return torch.stack(list(x), dim=-1) @ (w / (w.sum() + eps))


@right("bifpn.fast_fusion")
def fast_fusion_11(x, weights, eps=1e-4):
    w = torch.nn.functional.relu(weights)
    shares = w / (eps + w.sum())
    return torch.einsum("n,n...->...", shares, torch.stack(list(x)))


@right("bifpn.fast_fusion")
def fast_fusion_12(x, weights, eps=1e-4):
    w = torch.maximum(weights, torch.zeros_like(weights))
    maps = torch.stack(list(x))
    shares = (w / (eps + w.sum())).view(-1, *[1] * (maps.dim() - 1))
    return (shares * maps).sum(dim=0)


# 11.3

wrong_value("bifpn.fusion_weights", 152, "five levels in place of six")
wrong_value("bifpn.fusion_weights", 24, "one layer in place of eight")
wrong_value("bifpn.fusion_weights", 160, "two weights for each node")
wrong_value("bifpn.fusion_weights", 80, "one weight for each node")
wrong_value("bifpn.fusion_weights", 200, "three inputs at the coarsest output")
right_value("bifpn.fusion_weights", 192)
right_value("bifpn.fusion_weights", 192.0)

# 11.4

wrong_value("bifpn.best_share", 0.33, "equal shares, as before learning")
wrong_value("bifpn.best_share", 0.14, "shares as the variances: the noisiest first")
wrong_value("bifpn.best_share", 0.45, "shares by 1 / standard deviation")
wrong_value("bifpn.best_share", 0.76, "shares by 1 / variance squared")
wrong_value("bifpn.best_share", 1.0, "only the best one is trusted")
right_value("bifpn.best_share", 0.57)
right_value("bifpn.best_share", 4 / 7)

# 11.5


def _stride(old, new):
    return (old - 1) // new + 1


@wrong("bifpn.window", "the window is as wide as the stride")
def window_1(i, old, new):
    stride = _stride(old, new)
    pads = max((new - 1) * stride + stride - old, 0)
    begin = i * stride - pads // 2
    return [r for r in range(begin, begin + stride) if 0 <= r < old]


@wrong("bifpn.window", "the odd pixel of padding is in front")
def window_2(i, old, new):
    stride = _stride(old, new)
    pads = max((new - 1) * stride + stride + 1 - old, 0)
    begin = i * stride - (pads + 1) // 2
    return [r for r in range(begin, begin + stride + 1) if 0 <= r < old]


@wrong("bifpn.window", "lists rows that do not exist")
def window_3(i, old, new):
    stride = _stride(old, new)
    pads = max((new - 1) * stride + stride + 1 - old, 0)
    begin = i * stride - pads // 2
    return list(range(begin, begin + stride + 1))


@wrong("bifpn.window", "the stride is rounded down")
def window_4(i, old, new):
    stride = old // new
    pads = max((new - 1) * stride + stride + 1 - old, 0)
    begin = i * stride - pads // 2
    return [r for r in range(begin, begin + stride + 1) if 0 <= r < old]


@wrong("bifpn.window", "all padding is behind")
def window_5(i, old, new):
    stride = _stride(old, new)
    return list(range(i * stride, min(i * stride + stride + 1, old)))


@wrong("bifpn.window", "rows outside are moved to the border and listed")
def window_6(i, old, new):
    stride = _stride(old, new)
    pads = max((new - 1) * stride + stride + 1 - old, 0)
    begin = i * stride - pads // 2
    return [min(max(r, 0), old - 1) for r in range(begin, begin + stride + 1)]


@wrong("bifpn.window", "always one pixel of padding in front")
def window_7(i, old, new):
    stride = _stride(old, new)
    begin = i * stride - 1
    return [r for r in range(begin, begin + stride + 1) if 0 <= r < old]


@wrong("bifpn.window", "a window that begins in the padding is moved, not cut")
def window_8(i, old, new):
    stride = _stride(old, new)
    pads = max((new - 1) * stride + stride + 1 - old, 0)
    begin = max(0, i * stride - pads // 2)
    return list(range(begin, min(begin + stride + 1, old)))


@right("bifpn.window")
def window_9(i, old, new):
    stride = -(-old // new)
    kernel = stride + 1
    pads = max((new - 1) * stride + kernel - old, 0)
    begin = i * stride - pads // 2
    return [r for r in range(begin, begin + kernel) if 0 <= r < old]


@right("bifpn.window")
def window_10(i, old, new):
    stride = (old - 1) // new + 1
    pads = new * stride + 1 - old
    first = i * stride - pads // 2
    return list(range(max(first, 0), min(first + stride + 1, old)))


@right("bifpn.window")
def window_11(i, old, new):
    stride = (old - 1) // new + 1
    needed = (new - 1) * stride + stride + 1
    front = (needed - old) // 2
    rows = [None] * front + list(range(old)) + [None] * (needed - old - front)
    return [r for r in rows[i * stride : i * stride + stride + 1] if r is not None]


@right("bifpn.window")
def window_12(i, old, new):
    stride = int(np.ceil(old / new))
    front = (new * stride + 1 - old) // 2
    rows = np.arange(stride + 1) + i * stride - front
    return rows[(rows >= 0) & (rows < old)].tolist()


# 11.6


def _counts(levels, nodes):
    counts = [[int(i == j) for j in range(levels)] for i in range(levels)]
    for _, inputs in nodes:
        counts.append([sum(counts[k][j] for k in inputs) for j in range(levels)])
    return counts


@wrong("bifpn.ways", "an output is the first node of its level")
def ways_1(levels, nodes):
    counts = _counts(levels, nodes)
    first = {}
    for k, (level, _) in enumerate(nodes):
        first.setdefault(level, levels + k)
    return [counts[first[level]] for level in range(levels)]


@wrong("bifpn.ways", "says whether there is a way, not how many")
def ways_2(levels, nodes):
    reach = [{i} for i in range(levels)]
    last = {}
    for level, inputs in nodes:
        last[level] = len(reach)
        reach.append(set().union(*(reach[k] for k in inputs)))
    return [[int(j in reach[last[i]]) for j in range(levels)] for i in range(levels)]


@wrong("bifpn.ways", "a row for each input, in place of each output")
def ways_3(levels, nodes):
    counts = _counts(levels, nodes)
    last = {level: levels + k for k, (level, _) in enumerate(nodes)}
    return [[counts[last[o]][i] for o in range(levels)] for i in range(levels)]


@wrong("bifpn.ways", "the coarsest output comes first")
def ways_4(levels, nodes):
    counts = _counts(levels, nodes)
    last = {level: levels + k for k, (level, _) in enumerate(nodes)}
    return [counts[last[level]] for level in reversed(range(levels))]


@wrong("bifpn.ways", "gives a row for every node, not for the outputs alone")
def ways_5(levels, nodes):
    return _counts(levels, nodes)[levels:]


@wrong("bifpn.ways", "takes the last nodes of the table as the outputs")
def ways_6(levels, nodes):
    return _counts(levels, nodes)[-levels:]


@wrong("bifpn.ways", "keeps one map a level: an id reads what the level has by now")
def ways_7(levels, nodes):
    now = [[int(i == j) for j in range(levels)] for i in range(levels)]
    where = list(range(levels))
    for level, inputs in nodes:
        now[level] = [sum(now[where[k]][j] for k in inputs) for j in range(levels)]
        where.append(level)
    return now


@wrong("bifpn.ways", "multiplies the ways of what a node reads")
def ways_8(levels, nodes):
    counts = [[int(i == j) for j in range(levels)] for i in range(levels)]
    last = {}
    for level, inputs in nodes:
        row = [1] * levels
        for j in range(levels):
            some = [counts[k][j] for k in inputs if counts[k][j]]
            row[j] = int(np.prod(some)) if some else 0
        last[level] = len(counts)
        counts.append(row)
    return [counts[last[level]] for level in range(levels)]


@right("bifpn.ways")
def ways_9(levels, nodes):
    counts = []
    for i in range(levels):
        row = [0] * levels
        row[i] = 1
        counts.append(row)
    last = [None] * levels
    for level, inputs in nodes:
        row = [0] * levels
        for k in inputs:
            for j in range(levels):
                row[j] += counts[k][j]
        counts.append(row)
        last[level] = row
    return [list(row) for row in last]


@right("bifpn.ways")
def ways_10(levels, nodes):
    table = np.eye(levels, dtype=int)
    for _, inputs in nodes:
        table = np.vstack([table, table[list(inputs)].sum(axis=0)])
    last = {level: levels + k for k, (level, _) in enumerate(nodes)}
    return table[[last[level] for level in range(levels)]].tolist()


@right("bifpn.ways")
def ways_11(levels, nodes):
    @lru_cache(None)
    def paths(here, source):
        if here < levels:
            return int(here == source)
        return sum(paths(k, source) for k in nodes[here - levels][1])

    outputs = []
    for level in range(levels):
        of_level = [k for k, node in enumerate(nodes) if node[0] == level]
        outputs.append(levels + max(of_level))
    return [[paths(o, s) for s in range(levels)] for o in outputs]


@right("bifpn.ways")
def ways_12(levels, nodes):
    """Walk back from each output, from the last node to the first."""
    out = []
    for level in range(levels):
        last = max(k for k, node in enumerate(nodes) if node[0] == level)
        need = Counter({levels + last: 1})
        for k in range(last, -1, -1):
            times = need.pop(levels + k, 0)
            for source in nodes[k][1]:
                need[source] += times
        out.append([need[i] for i in range(levels)])
    return out


# 11.7


@wrong("bifpn.softmax_gradient", "only the diagonal: each weight moves its own share")
def softmax_gradient_1(x, weights):
    s = torch.softmax(weights, 0)
    return s * (1 - s) * x


@wrong("bifpn.softmax_gradient", "the wrong sign")
def softmax_gradient_2(x, weights):
    s = torch.softmax(weights, 0)
    return s * ((s * x).sum() - x)


@wrong("bifpn.softmax_gradient", "the derivative by the inputs, not by the weights")
def softmax_gradient_3(x, weights):
    return torch.softmax(weights, 0)


@wrong("bifpn.softmax_gradient", "forgets the share in front")
def softmax_gradient_4(x, weights):
    s = torch.softmax(weights, 0)
    return x - (s * x).sum()


@wrong("bifpn.softmax_gradient", "the derivative of fast fusion")
def softmax_gradient_5(x, weights):
    s = weights / weights.sum()
    return (x - (s * x).sum()) / weights.sum()


@wrong("bifpn.softmax_gradient", "compares with the plain mean of the inputs")
def softmax_gradient_6(x, weights):
    s = torch.softmax(weights, 0)
    return s * (x - x.mean())


@wrong("bifpn.softmax_gradient", "multiplies only the input by the share")
def softmax_gradient_7(x, weights):
    s = torch.softmax(weights, 0)
    return s * x - (s * x).sum()


@wrong("bifpn.softmax_gradient", "clips the weights before the softmax")
def softmax_gradient_8(x, weights):
    s = torch.softmax(weights.relu(), 0)
    return s * (x - (s * x).sum())


@right("bifpn.softmax_gradient")
def softmax_gradient_9(x, weights):
    s = torch.softmax(weights, dim=0)
    return s * (x - s @ x)


@right("bifpn.softmax_gradient")
def softmax_gradient_10(x, weights):
    s = weights.softmax(0)
    return (torch.diag(s) - torch.outer(s, s)) @ x


@right("bifpn.softmax_gradient")
def softmax_gradient_11(x, weights):
    e = torch.exp(weights - weights.max())
    s = e / e.sum()
    out = torch.zeros_like(s)
    for i in range(len(s)):
        for j in range(len(s)):
            out[i] += s[i] * s[j] * (x[i] - x[j])
    return out


@right("bifpn.softmax_gradient")
def softmax_gradient_12(x, weights):
    """The quotient rule on sum(e x) / sum(e)."""
    e = (weights - weights.max()).exp()
    top, below = (e * x).sum(), e.sum()
    return (e * x * below - top * e) / below**2
