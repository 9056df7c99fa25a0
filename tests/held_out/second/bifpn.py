"""Chapter 11: answers from the task texts."""

import math
from functools import lru_cache

import torch

from lib.detection import bifpn
from tests.held_out import right, right_value, wrong, wrong_value

# --- fpn ---


@wrong("bifpn.fpn", "the finest level comes first")
def fpn_1(levels):
    nodes = [(0, (0,))]
    for level in range(1, levels):
        nodes.append((level, (level, levels + level - 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "the first node, of the coarsest level, is left out")
def fpn_2(levels):
    nodes = []
    last = levels - 1
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, last)))
        last = levels + len(nodes) - 1
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "reads the coarser level's input, not the node before")
def fpn_3(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in reversed(range(levels - 1)):
        nodes.append((level, (level, level + 1)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "the node before is read first, its own input second")
def fpn_4(levels):
    nodes = []
    for i, level in enumerate(range(levels - 1, -1, -1)):
        if i == 0:
            nodes.append((level, (level,)))
        else:
            nodes.append((level, (levels + i - 1, level)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "every later node reads the first node")
def fpn_5(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        nodes.append((level, (level, levels)))
    return bifpn.Topology(levels, nodes)


@wrong("bifpn.fpn", "the ids of the example, three inputs, are written in")
def fpn_6(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for i in range(1, levels):
        nodes.append((levels - 1 - i, (levels - 1 - i, i + 2)))
    return bifpn.Topology(levels, nodes)


@right("bifpn.fpn")
def fpn_7(levels):
    nodes = [(levels - 1, (levels - 1,))]
    for level in range(levels - 2, -1, -1):
        before = levels + len(nodes) - 1
        nodes.append((level, (level, before)))
    return bifpn.Topology(levels, nodes)


@right("bifpn.fpn")
def fpn_8(levels):
    top = levels - 1
    return bifpn.Topology(
        levels,
        [(top - i, (top - i, top + i) if i else (top,)) for i in range(levels)],
    )


@right("bifpn.fpn")
def fpn_9(levels):
    def rest(level, before):
        if level < 0:
            return []
        return [[level, [level, before]], *rest(level - 1, before + 1)]

    first = [[levels - 1, [levels - 1]]]
    return bifpn.Topology(levels, first + rest(levels - 2, levels))


# --- fast_fusion ---


@wrong("bifpn.fast_fusion", "weights are not clipped")
def fast_fusion_1(x, weights, eps=1e-4):
    total = sum(w * m for w, m in zip(weights, x, strict=True))
    return total / (weights.sum() + eps)


@wrong("bifpn.fast_fusion", "clips at eps, and adds no eps below")
def fast_fusion_2(x, weights, eps=1e-4):
    w = weights.clamp(min=eps)
    return sum(w[i] * x[i] for i in range(len(x))) / w.sum()


@wrong("bifpn.fast_fusion", "absolute values in place of clipping")
def fast_fusion_3(x, weights, eps=1e-4):
    w = weights.abs()
    w = w / (w.sum() + eps)
    return sum(a * b for a, b in zip(w, x, strict=True))


@wrong("bifpn.fast_fusion", "eps is added to each weight, n times in the sum")
def fast_fusion_4(x, weights, eps=1e-4):
    w = torch.relu(weights)
    below = (w + eps).sum()
    return sum(a * b for a, b in zip(w, x, strict=True)) / below


@wrong("bifpn.fast_fusion", "the sum below is taken of the raw weights")
def fast_fusion_5(x, weights, eps=1e-4):
    w = torch.relu(weights)
    return sum(a * b for a, b in zip(w, x, strict=True)) / (eps + weights.sum())


@wrong("bifpn.fast_fusion", "softmax")
def fast_fusion_6(x, weights, eps=1e-4):
    w = torch.softmax(torch.relu(weights), dim=0)
    return sum(a * b for a, b in zip(w, x, strict=True))


@wrong("bifpn.fast_fusion", "weights are detached: they never learn")
def fast_fusion_7(x, weights, eps=1e-4):
    w = [max(0.0, v) for v in weights.tolist()]
    return sum(a * b for a, b in zip(w, x, strict=True)) / (sum(w) + eps)


@right("bifpn.fast_fusion")
def fast_fusion_8(x, weights, eps=1e-4):
    w = torch.relu(weights)
    w = w / (eps + w.sum())
    return torch.tensordot(w, torch.stack(list(x)), dims=1)


@right("bifpn.fast_fusion")
def fast_fusion_9(x, weights, eps=1e-4):
    w = torch.where(weights > 0, weights, torch.zeros_like(weights))
    out = torch.zeros_like(x[0])
    for share, m in zip(w / (w.sum() + eps), x, strict=True):
        out = out + share * m
    return out


@right("bifpn.fast_fusion")
def fast_fusion_10(x, weights, eps=1e-4):
    w = weights.clamp(min=0)
    stacked = torch.stack(tuple(x), dim=-1)
    return (stacked * w).sum(-1) / (eps + w.sum())


# --- fusion_weights ---

wrong_value("bifpn.fusion_weights", 152, "five levels in place of six")
wrong_value("bifpn.fusion_weights", 24, "one layer only")
wrong_value("bifpn.fusion_weights", 80, "one weight for each node")
wrong_value("bifpn.fusion_weights", 200, "the coarsest output has three inputs too")
right_value("bifpn.fusion_weights", 192)
right_value("bifpn.fusion_weights", 192.0)

# --- best_share ---

wrong_value("bifpn.best_share", 0.33, "nothing learned: equal shares")
wrong_value("bifpn.best_share", 0.45, "inverse standard deviations")
wrong_value("bifpn.best_share", 0.76, "inverse squares of the variances")
wrong_value("bifpn.best_share", 0.14, "the share of the last input")
right_value("bifpn.best_share", 0.57)

# --- window ---


@wrong("bifpn.window", "the window is as wide as the stride")
def window_1(i, old, new):
    stride = (old - 1) // new + 1
    return [r for r in range(i * stride, i * stride + stride) if r < old]


@wrong("bifpn.window", "the odd pad stands in front")
def window_2(i, old, new):
    stride = (old - 1) // new + 1
    kernel = stride + 1
    pads = max(0, (new - 1) * stride + kernel - old)
    front = (pads + 1) // 2
    start = i * stride - front
    return [r for r in range(start, start + kernel) if 0 <= r < old]


@wrong("bifpn.window", "no pads in front at all")
def window_3(i, old, new):
    stride = (old - 1) // new + 1
    return list(range(i * stride, min(old, i * stride + stride + 1)))


@wrong("bifpn.window", "always padded by one in front, as with padding=1")
def window_4(i, old, new):
    stride = (old - 1) // new + 1
    start = i * stride - 1
    return [r for r in range(start, start + stride + 1) if 0 <= r < old]


@wrong("bifpn.window", "the stride is rounded down")
def window_5(i, old, new):
    stride = old // new
    kernel = stride + 1
    pads = max(0, (new - 1) * stride + kernel - old)
    start = i * stride - pads // 2
    return [r for r in range(start, start + kernel) if 0 <= r < old]


@wrong("bifpn.window", "rows in the pads are listed as the nearest row")
def window_6(i, old, new):
    stride = (old - 1) // new + 1
    kernel = stride + 1
    pads = max(0, (new - 1) * stride + kernel - old)
    start = i * stride - pads // 2
    return [min(old - 1, max(0, r)) for r in range(start, start + kernel)]


@right("bifpn.window")
def window_7(i, old, new):
    stride = -(-old // new)
    kernel = stride + 1
    pads = max(0, (new - 1) * stride + kernel - old)
    start = i * stride - pads // 2
    return [r for r in range(start, start + kernel) if 0 <= r < old]


@right("bifpn.window")
def window_8(i, old, new):
    stride = (old - 1) // new + 1
    need = (new - 1) * stride + (stride + 1) - old
    front = max(need, 0) // 2
    first = max(0, i * stride - front)
    end = min(old, i * stride - front + stride + 1)
    return list(range(first, end))


@right("bifpn.window")
def window_9(i, old, new):
    stride = math.ceil(old / new)
    pads = max(0, new * stride + 1 - old)
    rows = [None] * (pads // 2) + list(range(old)) + [None] * (pads - pads // 2)
    seen = rows[i * stride : i * stride + stride + 1]
    return [row for row in seen if row is not None]


# --- ways ---


@wrong("bifpn.ways", "the output is the first node of its level")
def ways_1(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    first = {}
    for level, inputs in nodes:
        rows.append([sum(rows[k][j] for k in inputs) for j in range(levels)])
        first.setdefault(level, len(rows) - 1)
    return [rows[first[level]] for level in range(levels)]


@wrong("bifpn.ways", "reached or not, in place of how often")
def ways_2(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    out = {}
    for level, inputs in nodes:
        rows.append([max(rows[k][j] for k in inputs) for j in range(levels)])
        out[level] = rows[-1]
    return [out[level] for level in range(levels)]


@wrong("bifpn.ways", "the last nodes of the table, whatever their level")
def ways_3(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    for _, inputs in nodes:
        rows.append([sum(rows[k][j] for k in inputs) for j in range(levels)])
    return rows[-levels:]


@wrong("bifpn.ways", "a row for each input, a column for each output")
def ways_4(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    out = {}
    for level, inputs in nodes:
        rows.append([sum(rows[k][j] for k in inputs) for j in range(levels)])
        out[level] = rows[-1]
    table = [out[level] for level in range(levels)]
    return [list(column) for column in zip(*table, strict=True)]


@wrong("bifpn.ways", "outputs in the order in which they are made")
def ways_5(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    out = {}
    for level, inputs in nodes:
        rows.append([sum(rows[k][j] for k in inputs) for j in range(levels)])
        out.pop(level, None)
        out[level] = rows[-1]
    return list(out.values())


@wrong("bifpn.ways", "each node counts its own level's input once more")
def ways_6(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    out = {}
    for level, inputs in nodes:
        row = [sum(rows[k][j] for k in inputs) for j in range(levels)]
        row[level] = max(row[level], 1)
        rows.append(row)
        out[level] = row
    return [out[level] for level in range(levels)]


@right("bifpn.ways")
def ways_7(levels, nodes):
    rows = [[int(i == j) for j in range(levels)] for i in range(levels)]
    out = {}
    for level, inputs in nodes:
        rows.append([sum(rows[k][j] for k in inputs) for j in range(levels)])
        out[level] = rows[-1]
    return [out[level] for level in range(levels)]


@right("bifpn.ways")
def ways_8(levels, nodes):
    @lru_cache(None)
    def count(here, there):
        if here < levels:
            return 1 if here == there else 0
        return sum(count(k, there) for k in nodes[here - levels][1])

    table = []
    for level in range(levels):
        last = max(i for i, node in enumerate(nodes) if node[0] == level)
        table.append([count(levels + last, j) for j in range(levels)])
    return table


@right("bifpn.ways")
def ways_9(levels, nodes):
    rows = torch.zeros(levels + len(nodes), levels, dtype=torch.int64)
    rows[:levels] = torch.eye(levels, dtype=torch.int64)
    last = list(range(levels))
    for n, (level, inputs) in enumerate(nodes, start=levels):
        for k in inputs:
            rows[n] += rows[k]
        last[level] = n
    return rows[last].tolist()


# --- softmax_gradient ---


@wrong("bifpn.softmax_gradient", "the fused number is not subtracted")
def softmax_gradient_1(x, weights):
    return torch.softmax(weights, 0) * x


@wrong("bifpn.softmax_gradient", "only the diagonal: s (1 - s) x")
def softmax_gradient_2(x, weights):
    s = torch.softmax(weights, 0)
    return s * (1 - s) * x


@wrong("bifpn.softmax_gradient", "the plain mean in place of the fused number")
def softmax_gradient_3(x, weights):
    s = torch.softmax(weights, 0)
    return s * (x - x.mean())


@wrong("bifpn.softmax_gradient", "the sign is turned")
def softmax_gradient_4(x, weights):
    s = torch.softmax(weights, 0)
    return s * ((s * x).sum() - x)


@wrong("bifpn.softmax_gradient", "the factor s is forgotten")
def softmax_gradient_5(x, weights):
    s = weights.exp() / weights.exp().sum()
    return x - (s * x).sum()


@wrong("bifpn.softmax_gradient", "weights are taken as shares already")
def softmax_gradient_6(x, weights):
    s = weights / weights.sum()
    return s * (x - (s * x).sum())


@right("bifpn.softmax_gradient")
def softmax_gradient_7(x, weights):
    s = torch.softmax(weights, 0)
    return s * (x - (s * x).sum())


@right("bifpn.softmax_gradient")
def softmax_gradient_8(x, weights):
    s = torch.softmax(weights, dim=0)
    jacobian = torch.diag(s) - torch.outer(s, s)
    return jacobian @ x


@right("bifpn.softmax_gradient")
def softmax_gradient_9(x, weights):
    e = (weights - weights.max()).exp()
    s = e / e.sum()
    n = len(s)
    return torch.stack(
        [sum(s[i] * (float(i == j) - s[j]) * x[i] for i in range(n)) for j in range(n)]
    )
