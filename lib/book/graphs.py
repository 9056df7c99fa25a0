"""Graphs without cycles as drawings, such as the cells of a search space.

The idea: a graph runs from left to right; a node stands one step right of the last one
that it needs, so its layers follow the longest path. A labelled edge passes through its
label, a long one through an empty place in each layer, and so bends around what stands
there. Call it as `plots.graph(*search_space.graph(cell))`.
Chapters 00, 04, 05 and 06.
"""

from collections import Counter

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve

from lib.book.figure import PALETTE, Figure, finish, in_style, listed


@in_style
def graph(nodes, edges, *, title="", says=None) -> Figure:
    """A small directed graph without cycles, drawn from left to right.

    `nodes` is a list of names or a dictionary from a name to its label; `edges` holds
    `(from, to)` or `(from, to, label)`. A node stands one step right of the last node
    that it needs. Raises ValueError for an unknown node or a cycle.
    """
    if not isinstance(nodes, dict):
        nodes = list(nodes) if isinstance(nodes, str) else nodes  # one letter each
        names = map(str, listed("nodes", nodes, "names"))
        nodes = {name: name for name in names}
    nodes = {str(n): str(label) for n, label in nodes.items()}
    edges = listed("edges", edges, "pairs of nodes")
    edges = [tuple(map(str, listed("edges", edge, "two nodes"))) for edge in edges]
    for edge in edges:
        if len(edge) not in (2, 3) or not set(edge[:2]) <= set(nodes):
            raise ValueError(f"edges: {edge} does not join two of {list(nodes)}")
    if not nodes:
        raise ValueError("nodes: empty; give at least one node")
    depth = _depths(nodes, [edge[:2] for edge in edges])
    # A labelled edge passes through a node that is only text; a long edge passes
    # through an empty one in each layer, so that it bends around what stands there.
    layer = {n: 2 * d for n, d in depth.items()}
    words, chains = dict(nodes), []
    for k, (a, b, *label) in enumerate(edges):
        between = [(k, step) for step in range(layer[a] + 1, layer[b])]
        layer.update({spot: spot[1] for spot in between})
        if label:
            words[between[-1]] = label[0]
        chains.append([a, *between, b])
    spot = _spots(layer, chains, words)
    canvas = _draw_graph(nodes, words, chains, spot, title)
    same = Counter(nodes.values())
    tell = {n: f"{t} [{n}]" if same[t] > 1 else t for n, t in nodes.items()}
    told = "; ".join(
        f"{tell[a]} to {tell[b]}{f' ({label[0]})' if label else ''}"
        for a, b, *label in edges
    )
    size = f"{len(nodes)} nodes, {len(edges)} edges"
    alt = f"Graph from left to right: {size}. Nodes: {', '.join(tell.values())}."
    alt += f" Edges: {told}." if told else ""
    claim = f"{size}; the longest path takes {max(depth.values())} steps."
    return finish(canvas, title, alt, says, claim)


def _depths(nodes, edges) -> dict[str, int]:
    """Steps on the longest path from a start to each node."""
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = [(a, b) for a, b in edges if depth[b] <= depth[a]]
        for a, b in moved:
            depth[b] = max(depth[b], depth[a] + 1)
        if not moved:
            return depth
    raise ValueError(f"edges: a cycle runs through {moved[0][0]} and {moved[0][1]}")


def _spots(layer, chains, words):
    """(x, y, half width) of every node: x by layer, y near its neighbours'."""
    rows: dict[int, list] = {}
    for node, at in layer.items():
        rows.setdefault(at, []).append(node)
    near: dict = {node: [] for node in layer}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            near[a].append(b)
            near[b].append(a)
    y = {n: i - (len(r) - 1) / 2 for r in rows.values() for i, n in enumerate(r)}
    for sweep in range(8):
        for at in sorted(rows, reverse=sweep % 2 == 1):
            side = [
                (np.mean([y[m] for m in near[n]]) if near[n] else y[n], i, n)
                for i, n in enumerate(rows[at])
            ]
            rows[at] = [n for *_, n in sorted(side, key=lambda s: s[:2])]
            y.update({n: i - (len(side) - 1) / 2 for i, n in enumerate(rows[at])})
    for sweep in range(40):  # straighten: each towards the mean of its neighbours
        for at in sorted(rows, reverse=sweep % 2 == 1):
            wish = [np.mean([y[m] for m in near[n]] or [y[n]]) for n in rows[at]]
            tall = np.array([1.0 if n in words else 0.5 for n in rows[at]])
            least = np.cumsum(tall) - tall / 2
            down = np.maximum.accumulate(wish - least) + least
            up = np.minimum.accumulate((wish - least)[::-1])[::-1] + least
            y.update(zip(rows[at], (down + up) / 2, strict=True))
    x, right = {}, 0.0
    for at in sorted(rows):
        # A node is as wide as its text; a line that passes by, as its whole layer.
        inches = {n: 0.14 + 0.073 * len(words[n]) for n in rows[at] if n in words}
        wide = max(inches.values(), default=0.0)
        x.update({n: (right + wide / 2, inches.get(n, wide) / 2) for n in rows[at]})
        right += wide + 0.24
    return {n: (x[n][0], y[n], x[n][1]) for n in layer}


def _draw_graph(nodes, words, chains, spot, title):
    """Boxes for nodes, bare text for labels of edges, smooth curves between them."""
    xs, ys, _ = np.array(list(spot.values())).T
    shape = np.ptp(xs) + 1.4, 0.42 * (np.ptp(ys) + 1) + 0.1
    shrink, above = min(1.0, 8.5 / shape[0]), 0.35 * bool(title)
    canvas = Canvas(figsize=(shape[0] * shrink, shape[1] * shrink + above))
    axes = canvas.add_axes((0, 0, 1, 1 - above / canvas.get_figheight()))
    axes.set(
        xlim=(xs.min() - 0.7, xs.max() + 0.7), ylim=(ys.max() + 0.62, ys.min() - 0.62)
    )
    axes.axis("off")
    canvas.text(0.01, 0.99, title, va="top", size=11)
    for chain in chains:
        ends = [spot[n] for n in chain if n in words or spot[n][2] > 0]
        verts, codes = [(ends[0][0] + ends[0][2], ends[0][1])], [Curve.MOVETO]
        for (x0, y0, w0), (x1, y1, w1) in zip(ends, ends[1:], strict=False):
            if len(verts) > 1:  # straight on, under a label or past one
                verts.append((x0 + w0, y0))
                codes.append(Curve.LINETO)
            start, stop = x0 + w0, x1 - w1
            bend = (start + stop) / 2
            verts += [(bend, y0), (bend, y1), (stop, y1)]
            codes += [Curve.CURVE4] * 3
        axes.add_patch(PathPatch(Curve(verts, codes), fill=False, ec="#777777", lw=1.2))
        axes.plot(verts[-1][0] - 0.03, verts[-1][1], ">", color="#777777", ms=5)
    for node, (x, y, _) in spot.items():
        if node in words:
            box = {"boxstyle": "round", "fc": "white", "ec": PALETTE[0], "pad": 0.3}
            axes.text(
                x, y, words[node], ha="center", va="center", size=10 * shrink,
                bbox=box if node in nodes else {"fc": "white", "ec": "none", "pad": 1},
            )  # fmt: skip
    return canvas
