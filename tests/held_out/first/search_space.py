"""Chapter 04: answers from the task texts."""

import numpy as np
from torch import nn

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("search_space.one_block", 1352, "the two sides in order: 26 * 26 * 2")
wrong_value("search_space.one_block", 351, "the combination is forgotten")
wrong_value("search_space.one_block", 676, "in order, and without the combination")
wrong_value(
    "search_space.one_block", 650, "two equal pairs are left out: 26 * 25 / 2 * 2"
)
wrong_value("search_space.one_block", 338, "a single input: 13 * 13 * 2")
right_value("search_space.one_block", 702)
right_value("search_space.one_block", 26 * 27 / 2 * 2)

wrong_value("search_space.missed", 432, "those that came up")
wrong_value("search_space.missed", 81, "counted as drawn, without a canonical form")
wrong_value("search_space.missed", 270, "735 / e, as if every cell were equally likely")
wrong_value("search_space.missed", 730, "only five were drawn")
wrong_value("search_space.missed", 313, "drawn with seed 1")
right_value("search_space.missed", 303)
right_value("search_space.missed", 303.0)


@wrong("search_space.depth", "the depth of the last block only")
def depth_1(blocks):
    depths = [0, 0]
    for (a, _), (b, _) in blocks:
        depths.append(1 + max(depths[a], depths[b]))
    return depths[-1]


@wrong("search_space.depth", "the shortest way")
def depth_2(blocks):
    depths = [0, 0]
    for (a, _), (b, _) in blocks:
        depths.append(1 + min(depths[a], depths[b]))
    return max(depths)


@wrong("search_space.depth", "the number of blocks")
def depth_3(blocks):
    return len(blocks)


@wrong("search_space.depth", "an identity counts nothing")
def depth_4(blocks):
    depths = [0, 0]
    for pairs in blocks:
        depths.append(max(depths[s] + (op != "identity") for s, op in pairs))
    return max(depths)


@wrong("search_space.depth", "only the first side of a block is followed")
def depth_5(blocks):
    depths = [0, 0]
    for (state, _), _ in blocks:
        depths.append(depths[state] + 1)
    return max(depths)


@wrong("search_space.depth", "the inputs count as one")
def depth_6(blocks):
    depths = [1, 1]
    for (a, _), (b, _) in blocks:
        depths.append(1 + max(depths[a], depths[b]))
    return max(depths)


@wrong("search_space.depth", "takes state 2 for an input as well")
def depth_7(blocks):
    depths = [0, 0, 0]
    for (a, _), (b, _) in blocks:
        depths.append(1 + max(depths[a], depths[b]))
    return max(depths)


@wrong("search_space.depth", "both sides are added")
def depth_8(blocks):
    depths = [0, 0]
    for (a, _), (b, _) in blocks:
        depths.append(1 + depths[a] + depths[b])
    return max(depths)


@right("search_space.depth")
def depth_9(blocks):
    depths = [0, 0]
    for (a, _), (b, _) in blocks:
        depths.append(1 + max(depths[a], depths[b]))
    return max(depths)


@right("search_space.depth")
def depth_10(blocks):
    def below(state):
        if state < 2:
            return 0
        return 1 + max(below(s) for s, _ in blocks[state - 2])

    read = {s for block in blocks for s, _ in block}
    ends = [s for s in range(2 + len(blocks)) if s not in read]
    return max(below(s) for s in ends)


@right("search_space.depth")
def depth_11(blocks):
    n = len(blocks) + 2
    edges = np.zeros((n, n), dtype=bool)
    for i, block in enumerate(blocks):
        for state, _ in block:
            edges[state, i + 2] = True
    reached = np.zeros(n, dtype=bool)
    reached[:2] = True
    steps = 0
    while True:
        reached = (edges & reached[:, None]).any(0)
        if not reached.any():
            return steps
        steps += 1


@right("search_space.depth")
def depth_12(blocks):
    depth = {0: 0, 1: 0}
    state = 2
    for left, right_side in blocks:
        deeper = depth[left[0]]
        if depth[right_side[0]] > deeper:
            deeper = depth[right_side[0]]
        depth[state] = deeper + 1
        state += 1
    return max(depth.values())


KERNEL = {"sep3": 3, "sep5": 5, "sep7": 7}


@wrong("search_space.cell_weights", "a separable convolution only once")
def weights_1(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNEL:
                total += KERNEL[op] ** 2 * filters + filters**2 + 2 * filters
    return total


@wrong("search_space.cell_weights", "batch norms are forgotten")
def weights_2(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNEL:
                total += 2 * (KERNEL[op] ** 2 * filters + filters**2)
    return total


@wrong("search_space.cell_weights", "one number a channel for a batch norm")
def weights_3(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNEL:
                total += 2 * (KERNEL[op] ** 2 * filters + filters**2 + filters)
    return total


@wrong("search_space.cell_weights", "the filter is as in a full convolution")
def weights_4(blocks, filters):
    f = filters
    return sum(
        2 * (KERNEL[op] ** 2 * f * f + f * f + 2 * f)
        for block in blocks
        for _, op in block
        if op in KERNEL
    )


@wrong("search_space.cell_weights", "running mean and variance counted as learned")
def weights_5(blocks, filters):
    f = filters
    return sum(
        2 * (KERNEL[op] ** 2 * f + f * f + 4 * f)
        for block in blocks
        for _, op in block
        if op in KERNEL
    )


@wrong("search_space.cell_weights", "the batch norm comes once, at the end")
def weights_6(blocks, filters):
    f = filters
    return sum(
        2 * (KERNEL[op] ** 2 * f + f * f) + 2 * f
        for block in blocks
        for _, op in block
        if op in KERNEL
    )


@wrong("search_space.cell_weights", "the side of the filter is not squared")
def weights_7(blocks, filters):
    f = filters
    return sum(
        2 * (KERNEL[op] * f + f * f + 2 * f)
        for block in blocks
        for _, op in block
        if op in KERNEL
    )


@wrong("search_space.cell_weights", "the number behind max and avg is a filter, too")
def weights_8(blocks, filters):
    f = filters
    total = 0
    for block in blocks:
        for _, op in block:
            if op != "identity":
                total += 2 * (int(op[-1]) ** 2 * f + f * f + 2 * f)
    return total


@right("search_space.cell_weights")
def weights_9(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNEL:
                total += 2 * (KERNEL[op] ** 2 * filters + filters**2 + 2 * filters)
    return total


@right("search_space.cell_weights")
def weights_10(blocks, filters):
    return sum(
        2 * filters * (int(op[3:]) ** 2 + filters + 2)
        for block in blocks
        for _, op in block
        if op.startswith("sep")
    )


@right("search_space.cell_weights")
def weights_11(blocks, filters):
    layers = nn.ModuleList()
    for block in blocks:
        for _, op in block:
            if not op.startswith("sep"):
                continue
            kernel = int(op.removeprefix("sep"))
            for _ in range(2):
                layers.append(
                    nn.Conv2d(filters, filters, kernel, groups=filters, bias=False)
                )
                layers.append(nn.Conv2d(filters, filters, 1, bias=False))
                layers.append(nn.BatchNorm2d(filters))
    return sum(p.numel() for p in layers.parameters())


@right("search_space.cell_weights")
def weights_12(blocks, filters):
    names = [op for block in blocks for _, op in block]
    counts = np.array([names.count("sep3"), names.count("sep5"), names.count("sep7")])
    each = 2 * (np.array([9, 25, 49]) * filters + filters * filters + 2 * filters)
    return int(counts @ each)
