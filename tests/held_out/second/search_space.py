"""Chapter 04: answers from the task texts."""

from functools import cache

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("search_space.one_block", 1352, "left and right told apart")
wrong_value("search_space.one_block", 650, "never twice the same pair")
wrong_value("search_space.one_block", 338, "the inputs fixed: 0 left, 1 right")
right_value("search_space.one_block", 702)

wrong_value("search_space.missed", 432, "the cells that did come up")
wrong_value("search_space.missed", 81, "cells told apart by their text")
wrong_value("search_space.missed", 270, "735 / e, as if all were equally likely")
right_value("search_space.missed", 303)


@wrong("search_space.depth", "the depth of the last block")
def depth_last(blocks):
    d = [0, 0]
    for (a, _), (b, _) in blocks:
        d.append(1 + max(d[a], d[b]))
    return d[-1]


@wrong("search_space.depth", "follows the first pair of a block only")
def depth_first_pair(blocks):
    d = [0, 0]
    for (a, _), _ in blocks:
        d.append(1 + d[a])
    return max(d)


@wrong("search_space.depth", "an identity costs no step")
def depth_identity(blocks):
    d = [0, 0]
    for pairs in blocks:
        d.append(max(d[s] + (op != "identity") for s, op in pairs))
    return max(d)


@wrong("search_space.depth", "both sides of a block added up")
def depth_added(blocks):
    d = [0, 0]
    for (a, _), (b, _) in blocks:
        d.append(1 + d[a] + d[b])
    return max(d)


@wrong("search_space.depth", "one more for each block that reads the one just before")
def depth_chain(blocks):
    longest = run = 0
    for i, ((a, _), (b, _)) in enumerate(blocks):
        run = run + 1 if i > 0 and i + 1 in (a, b) else 1
        longest = max(longest, run)
    return longest


@right("search_space.depth")
def depth_list(blocks):
    d = [0, 0]
    for (a, _), (b, _) in blocks:
        d.append(1 + max(d[a], d[b]))
    return max(d)


@right("search_space.depth")
def depth_recursive(blocks):
    @cache
    def far(state):
        if state < 2:
            return 0
        return 1 + max(far(s) for s, _ in blocks[state - 2])

    read = {s for block in blocks for s, _ in block}
    ends = [s for s in range(2, len(blocks) + 2) if s not in read]
    return max(far(s) for s in ends)


@right("search_space.depth")
def depth_relaxed(blocks):
    # lengthen ways until nothing changes
    d = dict.fromkeys(range(len(blocks) + 2), 0)
    changed = True
    while changed:
        changed = False
        for i, block in enumerate(blocks):
            for state, _ in block:
                if d[i + 2] < d[state] + 1:
                    d[i + 2] = d[state] + 1
                    changed = True
    return max(d.values())


KERNELS = {"sep3": 3, "sep5": 5, "sep7": 7}


@wrong("search_space.cell_weights", "the same pair in two blocks counts once")
def weights_shared(blocks, filters):
    total = 0
    for _, op in {pair for block in blocks for pair in block}:
        if op in KERNELS:
            total += 2 * (KERNELS[op] ** 2 * filters + filters**2 + 2 * filters)
    return total


@wrong("search_space.cell_weights", "only one batch norm, at the end")
def weights_one_norm(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNELS:
                once = KERNELS[op] ** 2 * filters + filters * filters
                total += 2 * once + 2 * filters
    return total


@wrong("search_space.cell_weights", "the 1x1 has biases")
def weights_biases(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNELS:
                once = KERNELS[op] ** 2 * filters + filters * (filters + 1)
                total += 2 * (once + 2 * filters)
    return total


@wrong("search_space.cell_weights", "pools get a batch norm too")
def weights_pools(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            if op in KERNELS:
                once = KERNELS[op] ** 2 * filters + filters**2
                total += 2 * (once + 2 * filters)
            elif op != "identity":
                total += 2 * filters
    return total


@wrong("search_space.cell_weights", "the depthwise filter once, the rest twice")
def weights_depthwise_once(blocks, filters):
    total = 0
    for block in blocks:
        for _, op in block:
            k = KERNELS.get(op)
            if k:
                total += k * k * filters + 2 * (filters**2 + 2 * filters)
    return total


@right("search_space.cell_weights")
def weights_loop(blocks, filters):
    total = 0
    for left, right_pair in blocks:
        for _, op in (left, right_pair):
            if op.startswith("sep"):
                k = int(op[3:])
                total += 2 * (k * k * filters + filters * filters + 2 * filters)
    return total


@right("search_space.cell_weights")
def weights_comprehension(blocks, filters):
    kernels = [KERNELS[op] for block in blocks for _, op in block if op in KERNELS]
    return sum(2 * filters * (k**2 + filters + 2) for k in kernels)


@right("search_space.cell_weights")
def weights_recursive(blocks, filters):
    if not blocks:
        return 0
    here = 0
    for _, op in blocks[0]:
        k2 = {"sep3": 9, "sep5": 25, "sep7": 49}.get(op, 0)
        if k2:
            for _ in range(2):
                here += k2 * filters  # depthwise
                here += filters**2  # 1x1
                here += 2 * filters  # batch norm
    return here + weights_recursive(blocks[1:], filters)
