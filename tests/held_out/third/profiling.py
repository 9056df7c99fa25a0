"""Chapter 03: answers from the task texts."""

import numpy as np

from tests.held_out import right, wrong


@wrong("profiling.undominated", "to dominate, both have to be strictly better")
def undominated_1(points):
    kept = []
    for j, (cost, quality) in enumerate(points):
        if not any(c < cost and q > quality for c, q in points):
            kept.append(j)
    return kept


@wrong("profiling.undominated", "equal points dominate each other")
def undominated_2(points):
    kept = []
    for j, (cj, qj) in enumerate(points):
        beaten = False
        for i, (ci, qi) in enumerate(points):
            if i != j and ci <= cj and qi >= qj:
                beaten = True
        if not beaten:
            kept.append(j)
    return kept


@wrong("profiling.undominated", "the best quality so far begins at 0")
def undominated_3(points):
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    best, owner, kept = 0, None, []
    for i in order:
        if points[i][1] > best:
            best, owner = points[i][1], points[i]
            kept.append(i)
        elif owner is not None and tuple(points[i]) == tuple(owner):
            kept.append(i)
    return sorted(kept)


@wrong("profiling.undominated", "the indices come in the order of cost")
def undominated_4(points):
    def beats(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and (a[0] < b[0] or a[1] > b[1])

    kept = [i for i, p in enumerate(points) if not any(beats(o, p) for o in points)]
    return sorted(kept, key=lambda i: points[i][0])


@wrong("profiling.undominated", "of two with the same cost the worse may stay")
def undominated_5(points):
    order = sorted(range(len(points)), key=lambda i: points[i][0])
    best, kept = float("-inf"), []
    for i in order:
        if points[i][1] >= best:
            best = points[i][1]
            kept.append(i)
    return sorted(kept)


@wrong("profiling.undominated", "of two equal points the first index comes twice")
def undominated_6(points):
    kept = []
    for point in points:
        for other in points:
            cheaper = other[0] < point[0] and other[1] >= point[1]
            better = other[0] <= point[0] and other[1] > point[1]
            if cheaper or better:
                break
        else:
            kept.append(points.index(point))
    return kept


@right("profiling.undominated")
def undominated_7(points):
    return [
        j
        for j, (cj, qj) in enumerate(points)
        if not any(ci <= cj and qi >= qj and (ci < cj or qi > qj) for ci, qi in points)
    ]


@right("profiling.undominated")
def undominated_8(points):
    table = np.asarray(points, dtype=float).reshape(-1, 2)
    cost, quality = table[:, 0], table[:, 1]
    no_worse = (cost[:, None] <= cost) & (quality[:, None] >= quality)
    strict = (cost[:, None] < cost) | (quality[:, None] > quality)
    return np.flatnonzero(~(no_worse & strict).any(axis=0)).tolist()


@right("profiling.undominated")
def undominated_9(points):
    best = float("-inf")  # of all that cost less
    kept = set()
    for cost in sorted({c for c, _ in points}):
        group = [i for i, (c, _) in enumerate(points) if c == cost]
        top = max(points[i][1] for i in group)
        if top > best:
            kept |= {i for i in group if points[i][1] == top}
            best = top
    return tuple(i for i in range(len(points)) if i in kept)
