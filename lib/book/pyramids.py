"""Feature pyramids as drawings, on a grid of levels.

The idea: a pyramid is a table of nodes, so its drawing can be computed from the table
like any other figure, and says in words what it shows. A row for each level, the
coarsest on top; a column for each pass over the levels. Upright and slanting arrows
resample, level ones do not. What one table has and its neighbour on the left has not
is coloured and drawn heavier; a node that only the neighbour has is a dashed ring.

Call it as `plots.levels`. FPN, PANet and BiFPN drawn by it mean what figure 2 of Tan,
Pang, Le (arXiv 1911.09070) means. Chapter 11.
"""

from lib.book.figure import Figure, finish, in_style, whole
from lib.book.sheet import BLUE, GREY, VERMILLION, Sheet, tint

DISC = 0.19  # inches, the radius of a node
ROW = 0.66  # inches from level to level
MOST = 4  # pyramids side by side
NOUN = ("top-down", "bottom-up")


@in_style
def levels(topologies, *, first=3, title="", says=None) -> Figure:
    """Feature pyramids side by side, each compared with the one on its left.

    `topologies` maps a name to a table of nodes, or is one such table. A node is a pair
    (level, ids that it reads); level 0 is the finest and is called P`first`; ids 0 to
    L - 1 are the inputs of the L levels, L + n is node n. Nodes that the table on the
    left has and this one has not are dashed, edges that are new are coloured. A level's
    last node is its output. Raises ValueError for a table that reads an unknown id.
    """
    first = whole("first", first, least=0)
    many = topologies if hasattr(topologies, "items") else {"": topologies}
    if not 1 <= len(many) <= MOST:
        raise ValueError(f"topologies: {len(many)} given, 1 to {MOST} fit side by side")
    pyramids = [_Pyramid(str(k), table, first) for k, table in many.items()]
    for left, right in zip(pyramids, pyramids[1:], strict=False):
        right.compare(left)
    columns = sum(len(p.columns) for p in pyramids)
    step = min(0.74, (6.9 - 0.62 * len(pyramids)) / columns)
    most = max(p.levels for p in pyramids)
    wide = max(3.6, columns * step + 0.62 * len(pyramids))
    compared = any(p.new or p.gone for p in pyramids)
    foot = 0.3 * compared
    sheet = Sheet(wide, ROW * (most - 1) + 1.22 + foot, title)
    left = 0.1
    for pyramid in pyramids:
        pyramid.draw(sheet, left, step, foot)
        left += len(pyramid.columns) * step + 0.62
    if compared:
        _legend(sheet, pyramids)
    alt = "Feature pyramids, the coarsest level on top. "
    alt += " ".join(p.in_words() for p in pyramids)
    claim = "; ".join(p.in_short() for p in pyramids) + "."
    return finish(sheet.canvas, title, alt, says, claim)


class _Pyramid:
    """One table of nodes with its place on the grid; `compare` fills `new`, `gone`."""

    def __init__(self, name: str, table, first: int):
        self.name, self.first, self.before = name, first, None
        nodes = _nodes(name, table)
        self.levels = 1 + max(level for level, _ in nodes)
        passes = _passes([level for level, _ in nodes])
        self.columns = ["inputs", *dict.fromkeys(passes)]
        # A place on the grid is (level, column): the same in every table.
        places = [(level, "inputs") for level in range(self.levels)]
        places += [(n[0], column) for n, column in zip(nodes, passes, strict=True)]
        self.nodes = places[self.levels :]
        self.reads = {
            place: [places[i] for i in inputs]
            for place, (_, inputs) in zip(self.nodes, nodes, strict=True)
        }
        self.edges = {(a, b) for b, inputs in self.reads.items() for a in inputs}
        self.outputs = {place[0]: place for place in places}  # the last of its level
        self.new, self.gone = set(), []

    def compare(self, before: "_Pyramid") -> None:
        """What `before` has not (edges), and what only it has (nodes)."""
        self.before = before.name
        self.gone = [place for place in before.nodes if place not in self.nodes]
        # A node that read one map and was taken out: its readers read that map now.
        # Such an edge is a bridge over a gap, nothing new.
        old = {(before.source(a, self.nodes), b) for a, b in before.edges}
        self.new = self.edges - old
        known = [c for c in before.columns if c not in self.columns]
        if self.gone:
            self.columns += [c for c in known if any(c == p[1] for p in self.gone)]

    def source(self, place, kept):
        """The first map on the way back from `place` that is an input or in `kept`."""
        while place in self.reads and place not in kept and len(self.reads[place]) == 1:
            (place,) = self.reads[place]
        return place

    def call(self, place) -> str:
        """A node in words: P5 in, P5 top-down."""
        level, column = place
        return f"P{self.first + level} {'in' if column == 'inputs' else column}"

    def spot(self, place, left, step, foot):
        """(x, y) of a place on the sheet, in inches."""
        level, column = place
        x = left + (0.5 + self.columns.index(column)) * step
        return x, foot + 0.28 + level * ROW

    def draw(self, sheet: Sheet, left: float, step: float, foot: float) -> None:
        """Names on top, then edges, then the discs that they join."""
        at = {p: self.spot(p, left, step, foot) for p in [*self.reads, *self.gone]}
        for level in range(self.levels):
            at[level, "inputs"] = self.spot((level, "inputs"), left, step, foot)
        top = foot + 0.28 + (self.levels - 1) * ROW
        middle = left + len(self.columns) * step / 2
        sheet.text(middle, top + 0.8, self.name, 11, weight="bold")
        for i, column in enumerate(self.columns):
            x = left + (0.5 + i) * step
            lines = column.replace("-", "-\n", 1).split("\n")
            for k, line in enumerate(reversed(lines)):  # the same lines in each column
                sheet.text(x, top + 0.35 + 0.16 * k, line, 8.5, va="baseline")
        for a, b in sorted(self.edges):
            self._edge(sheet, at, a, b)
        for place in self.outputs.values():
            x, y = at[place]
            end = left + len(self.columns) * step + 0.18
            sheet.arrow((x + DISC, y), (end, y), zorder=1)
            sheet.label(end + 0.02, y, "out", 8, ha="left")
        for place, (x, y) in at.items():
            self._disc(sheet, place, x, y)

    def _edge(self, sheet, at, a, b) -> None:
        """Straight, or in an arc where a node stands in between."""
        look = {"color": VERMILLION, "lw": 2.2} if (a, b) in self.new else {}
        (x0, y0), (x1, y1) = at[a], at[b]
        between = {
            p for p in self.reads if p not in (a, b)
            if min(x0, x1) <= at[p][0] <= max(x0, x1)
            and min(y0, y1) <= at[p][1] <= max(y0, y1)
            and (x0 == x1 or y0 == y1)
        }  # fmt: skip
        bend = -0.56 if between else 0.0  # over the arrowheads, too
        sheet.arrow((x0, y0), (x1, y1), bend, (DISC * 72, DISC * 72), **look)

    def _disc(self, sheet, place, x, y) -> None:
        """An input grey, a fused node blue, a node that is gone only a dashed ring."""
        look = {"fc": tint(BLUE), "ec": BLUE, "lw": 1.4}
        if place[1] == "inputs":
            look = {"fc": "#EEEEEE", "ec": GREY, "lw": 1.2}
        if place in self.gone:
            look = {"fill": False, "ec": GREY, "lw": 1.2, "ls": (0, (2.5, 2))}
        sheet.disc(x, y, DISC, **look)
        if place not in self.gone:
            sheet.text(x, y, f"P{self.first + place[0]}", 9, zorder=4)

    def in_words(self) -> str:
        """Every node with what it reads, then the difference to the left neighbour."""
        told = [
            f"{self.call(node)} reads {' and '.join(self.call(a) for a in inputs)}"
            for node, inputs in self.reads.items()
        ]
        text = f"{self.name}: " if self.name else ""
        text += f"{self.levels} levels. {'; '.join(told)}."
        if self.gone:
            text += f" Left out of {self.before}: "
            text += f"{', '.join(self.call(place) for place in self.gone)}."
        if self.new:
            new = sorted(self.new, key=lambda edge: (-edge[1][0], edge))
            text += " New: "
            text += f"{', '.join(f'{self.call(a)} to {self.call(b)}' for a, b in new)}."
        return text

    def in_short(self) -> str:
        """Counts: nodes, maps read, and what changed."""
        text = f"{self.name or 'The pyramid'}: {len(self.nodes)} nodes that read "
        text += f"{len(self.edges)} maps"
        text += f", {len(self.new)} of them new" if self.new else ""
        text += f", {len(self.gone)} left out" if self.gone else ""
        return text


def _nodes(name, table) -> list[tuple[int, tuple[int, ...]]]:
    """The table as plain pairs; ValueError where a node reads what is not there."""
    tag = f"topologies {name!r}" if name else "topologies"
    try:
        nodes = [(int(lev), tuple(int(i) for i in inputs)) for lev, inputs in table]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{tag}: give pairs (level, ids) ({error})") from error
    if not nodes:
        raise ValueError(f"{tag}: empty; give at least one node")
    known = 1 + max(level for level, _ in nodes)
    for n, (level, inputs) in enumerate(nodes):
        if level < 0 or not inputs or not set(inputs) <= set(range(known + n)):
            raise ValueError(
                f"{tag}: node {n} is {level, inputs}; it has a level of 0 or more and "
                f"reads ids below {known + n}"
            )
    return nodes


def _passes(order: list[int]) -> list[str]:
    """The pass of each node: a run of nodes whose levels only fall, or only rise.

    Runs are called top-down and bottom-up; a second one of a kind gets a number.
    """
    runs, way = [[order[0]]], 0
    for last, level in zip(order, order[1:], strict=False):
        step = (level > last) - (level < last)
        if step == 0 or way not in (0, step):
            runs.append([])
            way = 0
        else:
            way = step
        runs[-1].append(level)
    names, last = [], None
    for run in runs:
        up = run[-1] > run[0] if len(run) > 1 else last is not None and run[0] > last
        kind, last = NOUN[up], run[-1]
        again = len({name for name in names if name.startswith(kind)})
        names += [f"{kind} {again + 1}" if again else kind] * len(run)
    return names


def _legend(sheet: Sheet, pyramids) -> None:
    """What dashes and colour mean, at the foot of the sheet."""
    x, y = 0.15, 0.14
    sheet.arrow((x, y), (x + 0.35, y))
    sheet.text(x + 0.42, y, "reads", 8, ha="left")
    x += 1.0
    if any(p.new for p in pyramids):
        sheet.arrow((x, y), (x + 0.35, y), color=VERMILLION, lw=2.2)
        sheet.text(x + 0.42, y, "new: not in the one on its left", 8, ha="left")
        x += 2.55
    if any(p.gone for p in pyramids):
        sheet.disc(x + 0.1, y, 0.09, fill=False, ec=GREY, lw=1.2, ls=(0, (2.5, 2)))
        sheet.text(x + 0.27, y, "node left out", 8, ha="left")
