"""What happens inside one part, as drawings: an unrolled controller, an MBConv block.

The idea: a recurrent network is one box used many times; unrolled, each step stands
beside the last and what is handed on is an arrow. A block of convolutions is a row of
bars whose height tells the channels, so a narrow-wide-narrow block looks like one.

Call them as `plots.unrolled` and `plots.mbconv`. The controller is that of appendix A
of Zoph and others, arXiv 1707.07012; MBConv comes from Sandler and others, 1801.04381,
its gate from Hu and others, 1709.01507. Chapters 08 and 10.
"""

import math
import textwrap

from lib.book.figure import Figure, array, finish, in_style, listed, number, whole
from lib.book.sheet import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    Sheet,
    known_parts,
    tint,
)

MOST = 5  # steps side by side: one block
WIDE, LEFT = 1.19, 0.72  # inches: a step, and what stands left of the first
HEIGHTS = {"input": 0.25, "state": 0.96, "softmax": 1.73, "token": 2.45}  # inches
STEPS = ("embedding", "LSTM", "softmax", "token")


@in_style
def unrolled(
    steps, *, total=None, cell="LSTM", highlight=(), title="", says=None
) -> Figure:
    """A controller unrolled in time: each step's state, softmax and chosen token.

    `steps` holds (decision, options, probabilities, chosen) for each, where `chosen`
    is an index of `options`; what was chosen is the next step's input. `total` is how
    many steps there are, if that is more than are drawn. `highlight` takes names of
    `STEPS`. Raises ValueError for probabilities that do not sum to 1.
    """
    steps = listed("steps", steps, "decisions")
    steps = [_step(i, step) for i, step in enumerate(steps)]
    if not 1 <= len(steps) <= MOST:
        raise ValueError(f"steps: {len(steps)} given, 1 to {MOST} fit side by side")
    total = len(steps) if total is None else whole("total", total, least=len(steps))
    more = total > len(steps)
    highlight = known_parts("highlight", highlight, STEPS)
    sheet = Sheet(LEFT + WIDE * len(steps) + 0.35 * more, 3.3, title, highlight)
    for words, y in HEIGHTS.items():
        sheet.text(0.08, y, words, 8.5, ha="left", color=GREY)
    read = "start"
    for i, step in enumerate(steps):
        x, last = LEFT + WIDE * (i + 0.5), i + 1 == len(steps)
        read = _draw_step(sheet, x, step, read, str(cell))
        if not last or more:  # the state goes on to the next step
            far = x + WIDE - (0.5 if last else 0.4)
            sheet.arrow((x + 0.4, HEIGHTS["state"]), (far, HEIGHTS["state"]))
        if not last:  # and so does what was chosen
            gap, stop = x + WIDE / 2, x + WIDE - 0.45
            up, down = HEIGHTS["token"], HEIGHTS["input"]
            way = (x + 0.45, up), (gap, up), (gap, down), (stop, down)
            sheet.route(*way, ec=VERMILLION, ls=(0, (3, 2)))
    if more:
        sheet.text(LEFT + WIDE * len(steps) + 0.22, 0.98, "…", 14)
    return finish(sheet.canvas, title, *_steps_in_words(steps, total, cell, says))


def _step(i, step) -> tuple:
    """One decision, checked."""
    try:
        decision, options, shares, chosen = step
        options = [str(option) for option in options]
    except (TypeError, ValueError):
        raise ValueError(
            f"steps[{i}]: {step!r}; give (decision, options, probabilities, chosen)"
        ) from None
    shares = array(f"steps[{i}] probabilities", shares, size=len(options))
    if shares.min() < 0 or abs(shares.sum() - 1) > 1e-3:
        raise ValueError(
            f"steps[{i}]: probabilities sum to {number(shares.sum())}; they sum to 1, "
            "and none is below 0"
        )
    chosen = whole(f"steps[{i}] chosen", chosen, least=0)
    if chosen >= len(options):
        raise ValueError(f"steps[{i}]: chosen is {chosen}, of {len(options)} options")
    return str(decision), options, shares, chosen


def _draw_step(sheet: Sheet, x: float, step, read: str, cell: str) -> str:
    """One column, from what is read up to what is chosen, which it gives."""
    decision, options, shares, chosen = step
    token, state = options[chosen], HEIGHTS["state"]
    sheet.box(x, HEIGHTS["input"], 0.9, 0.3, read, GREY, "embedding")
    sheet.arrow((x, HEIGHTS["input"] + 0.15), (x, state - 0.2))
    sheet.box(x, state, 0.8, 0.4, cell, BLUE, "LSTM")
    sheet.arrow((x, state + 0.2), (x, 1.4))
    _softmax(sheet, x, shares, chosen)
    sheet.arrow((x, 2.06), (x, HEIGHTS["token"] - 0.15))
    sheet.box(x, HEIGHTS["token"], 0.9, 0.3, token, ORANGE, "token")
    sheet.text(x, 2.76, f"p = {number(round(shares[chosen], 3))}", 8.5)
    sheet.text(x, 2.9, textwrap.fill(decision, 14), weight="bold", va="bottom")
    return token


def _softmax(sheet: Sheet, x: float, shares, chosen: int) -> None:
    """A frame with a bar for each option; that of the chosen one is dark and heavy."""
    left, low, wide, high = x - 0.45, 1.4, 0.9, 0.66
    look = {"fill": True, "fc": "white", "ec": GREEN, "lw": 1.3, "zorder": 3}
    if "softmax" in sheet.highlight:
        look |= {"fc": tint(ORANGE, 0.45), "ec": VERMILLION, "lw": 2.8}
    sheet.rectangle(left, low, left + wide, low + high, **look)
    slot = (wide - 0.1) / len(shares)
    for k, share in enumerate(shares):
        start = left + 0.05 + slot * k
        top = low + 0.04 + (high - 0.1) * share
        colour = VERMILLION if k == chosen else tint(GREEN, 0.5)
        sheet.rectangle(
            start + 0.1 * slot, low + 0.04, start + 0.9 * slot, max(top, low + 0.05),
            fill=True, fc=colour, ec="none", zorder=4,
        )  # fmt: skip


def _steps_in_words(steps, total, cell, says):
    """Alt text, the caller's statement, and the claim: the probabilities multiplied."""
    told = [
        f"{decision}: {options[chosen]}, one of {len(options)} options, with "
        f"probability {number(round(p[chosen], 3))}"
        for decision, options, p, chosen in steps
    ]
    alt = f"A controller unrolled over {len(steps)} steps. At each, the {cell} reads "
    alt += (
        "what was chosen before and its own state, and a softmax gives a probability "
    )
    alt += f"to each option. {'; '.join(told)}."
    alt += f" {total} steps in all." if total > len(steps) else ""
    chance = math.prod(shares[chosen] for _, _, shares, chosen in steps)
    claim = f"{len(steps)} choices{f' of {total}' if total > len(steps) else ''}; "
    claim += f"their probabilities multiply to {number(chance)}."
    return alt, says, claim


@in_style
def mbconv(
    channels, expanded, filters, *, kernel=3, stride=1, squeezed=None, highlight=(),
    title="", says=None,
) -> Figure:  # fmt: skip
    """An MBConv block: bars as high as the maps have channels, operations in between.

    `channels` come in, the block works with `expanded` (no expansion where the two are
    equal) and gives `filters`. `squeezed` is the narrow middle of the gate (None: no
    gate). The input is added at the end where stride and channels allow it. Weights
    are counted without norms. `highlight` takes "expand", "depthwise",
    "squeeze-excite", "project", "residual". Raises ValueError for counts below 1.
    """
    counts = {"channels": channels, "expanded": expanded, "filters": filters}
    counts |= {"kernel": kernel, "stride": stride}
    counts |= {"squeezed": squeezed} if squeezed is not None else {}
    counts = {name: whole(name, count) for name, count in counts.items()}
    parts = _weights(channels, expanded, filters, kernel, squeezed)
    added = stride == 1 and channels == filters
    known = [*parts, *["residual"] * added]
    highlight = known_parts("highlight", highlight, known)
    gate = parts.pop("squeeze-excite", None)
    middle = 1.95 if gate else 1.0
    sheet = Sheet(7.0, middle + (1.2 if added else 1.0), title, highlight)
    scale = 1.3 / max(channels, expanded, filters)  # inches a channel
    _row(sheet, parts, middle, scale, counts, gate, added)
    total = sum(parts.values())
    steps = [f"{part} {number(count)} weights" for part, count in parts.items()]
    alt = f"An MBConv block. {channels} channels in, {expanded} inside, {filters} out; "
    alt += f"kernel {kernel}, stride {stride}. Operations: {', '.join(steps)}."
    if gate:
        alt += f" Squeeze-excite after the depthwise convolution, through {squeezed} "
        alt += f"channels: {number(gate)} weights; it multiplies each channel."
    alt += " The input is added at the end." if added else " Nothing is added."
    claim = f"{channels} channels become {expanded} and then {filters}: "
    claim += f"{number(total)} weights in the convolutions"
    claim += f" and {number(gate)} in the gate." if gate else "."
    return finish(sheet.canvas, title, alt, says, claim)


def _weights(channels, expanded, filters, kernel, squeezed) -> dict[str, int]:
    """Weights of each operation, as Eq. 10.1 counts them; norms are left out."""
    parts = {"expand": channels * expanded} if expanded != channels else {}
    parts["depthwise"] = kernel**2 * expanded
    if squeezed is not None:
        parts["squeeze-excite"] = 2 * expanded * squeezed + expanded + squeezed
    return parts | {"project": expanded * filters}


WORDS = {"expand": "expand\n1 × 1", "project": "project\n1 × 1"}
HUES = {"expand": BLUE, "depthwise": GREEN, "project": PURPLE}


def _row(sheet, parts, middle, scale, counts, gate, added) -> None:
    """Bars and operations from left to right, the gate below, the shortcut above."""
    last = 6.25 - 0.55 * added  # where the bar of the block's output stands
    wide = {"expand": 1.0, "depthwise": 1.0, "project": 1.0}
    gap = (last - 0.45 - sum(wide[p] for p in parts) - 0.55 * bool(gate)) / len(parts)
    x = 0.45
    sheet.arrow((0.05, middle), (x - 0.07, middle))
    sheet.bar(x, middle, counts["channels"], scale, below=added)
    for part, weights in parts.items():
        after = counts["filters"] if part == "project" else counts["expanded"]
        centre = x + (gap + wide[part]) / 2
        size = f"{counts['kernel']} × {counts['kernel']}"
        size += f", stride {counts['stride']}" if counts["stride"] > 1 else ""
        words = WORDS.get(part, f"depthwise\n{size}")
        sheet.arrow((x + 0.1, middle), (centre - wide[part] / 2, middle))
        sheet.box(centre, middle, wide[part], 0.5, words, HUES[part], part)
        sheet.text(centre, middle - 0.37, f"{number(weights)} weights", 8, color=GREY)
        x += gap + wide[part]
        sheet.arrow((centre + wide[part] / 2, middle), (x - 0.1, middle))
        sheet.bar(x, middle, after, scale)
        if part == "depthwise" and gate:
            x = _gate(sheet, x, middle, scale, counts, gate)
    if added:
        line = middle + 0.98
        part = {"ec": VERMILLION, "lw": 2.8} if "residual" in sheet.highlight else {}
        start = 0.45, middle + counts["channels"] * scale / 2
        plus = x + 0.55
        sheet.route(start, (0.45, line), (plus, line), (plus, middle + 0.13), **part)
        sheet.label((0.45 + plus) / 2, line, "residual: the input is added", 8.5)
        sheet.arrow((x + 0.1, middle), (plus - 0.13, middle))
        sheet.sign(plus, middle, "+")
        x = plus
    sheet.arrow((x + 0.13, middle), (6.9, middle))


def _gate(sheet, x, middle, scale, counts, gate) -> float:
    """The way down through the means and up to the product; gives the product's x."""
    times, low = x + 0.55, 0.55
    inside, narrow = counts["expanded"], counts["squeezed"]
    words = f"squeeze-excite\n{inside} → {narrow} → {inside}"
    sheet.arrow((x, middle - inside * scale / 2), (x, low + 0.25))
    sheet.box(x - 0.3, low, 1.3, 0.5, words, ORANGE, "squeeze-excite", 8.5)
    sheet.text(x - 0.3, low - 0.37, f"{number(gate)} weights", 8, color=GREY)
    sheet.route((x + 0.35, low), (times, low), (times, middle - 0.13))
    sheet.arrow((x + 0.1, middle), (times - 0.13, middle))
    sheet.sign(times, middle, "×")
    return times
