"""Counting values in bins, without knowing ahead how large they will be.

Observers that give up outliers look at a histogram of all that they were shown. Its
bins are equal, on both sides of 0, and become twice as wide when a value lies outside:
nothing is lost and nothing has to be guessed. `divergence` says how well a rounded
histogram can be told from the true one.

Sources: arXiv 2004.09602, and TensorRT's calibration, for the divergence. Chapter 19.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lib.basics import arguments

BINS = 2048  # on each side of 0
AT_ONCE = 2**18  # values that are put into bins in one go: four copies of them stand
KEPT = 0.9  # of the values, at least; the recipe cuts some in a hundred at most


class Histogram:
    """Counts of several grids at once; `counts` is (grids, 2 * BINS), float64.

    The bins of a grid go from -`reach` to `reach`. Exact zeros are counted in `zeros`:
    they are on every grid, so no range is wrong for them.
    """

    def __init__(self, grids: int, device: torch.device | None = None):
        shape = arguments.whole_number("grids", grids, 1, 2**20), 2 * BINS
        self.counts = torch.zeros(shape, dtype=torch.float64, device=device)
        self.reach = torch.zeros(grids, device=device)
        self.zeros = torch.zeros(grids, dtype=torch.float64, device=device)

    def add(self, rows: Tensor) -> None:
        """Count the values of each grid: (grids, values)."""
        rows = arguments.real_tensor("rows", rows)
        arguments.tensor("rows", rows, f"{len(self.counts)} values")
        largest = rows.abs().amax(1)
        empty = self.counts.sum(1) == 0
        self.reach = torch.where(empty, largest, self.reach)
        while (too_short := largest > self.reach).any():
            self._widen(too_short)
        # A row of zeros reaches nowhere; its values are not counted in bins anyway.
        reach = self.reach.clamp(min=torch.finfo(torch.float32).tiny)
        for some in rows.split(max(1, AT_ONCE // len(rows)), 1):
            bins = (some / reach[:, None] + 1) * BINS
            bins = bins.long().clamp(0, 2 * BINS - 1)  # `reach` itself: the last edge
            self.counts.scatter_add_(1, bins, (some != 0).double())
        self.zeros += (rows == 0).sum(1)

    def _widen(self, grids: Tensor) -> None:
        """Bins twice as wide: neighbours are merged and move towards the middle."""
        pairs = self.counts[grids].unflatten(1, (-1, 2))
        merged = pairs.sum(2)
        outside = BINS // 2  # new bins on each side, empty as yet
        self.counts[grids] = torch.nn.functional.pad(merged, (outside, outside))
        self.reach[grids] *= 2

    def centres(self) -> Tensor:
        """The middle of each bin: (grids, bins)."""
        steps = torch.arange(2 * BINS, device=self.reach.device) + 0.5
        return (steps / BINS - 1) * self.reach[:, None]

    def magnitudes(self) -> Tensor:
        """Counts of |x|, from 0 up: (grids, BINS)."""
        below, above = self.counts.split(BINS, 1)
        return above + below.flip(1)


def least_divergent_end(counts: Tensor, levels: int) -> Tensor:
    """How many bins of magnitudes each grid keeps, to diverge least: (grids).

    `counts` are (grids, BINS). About 128 ends are tried, the last one among them. One
    that keeps a single filled bin, or fewer than `KEPT` of the values, is no candidate:
    cut there, true and rounded histogram are both one spike, and do not diverge at all.
    (That is what happens to numbers that keep away from 0, apache/mxnet#11833.)
    """
    counts = arguments.real_tensor("counts", counts)
    arguments.tensor("counts", counts, f"grids {BINS}")
    levels = arguments.whole_number("levels", levels, 2, BINS)
    stride = max(1, (BINS - levels) // 128)
    ends = torch.tensor([*range(levels, BINS, stride), BINS], device=counts.device)
    kept = _shares(counts).cumsum(1)[:, ends - 1]  # grids, ends
    filled = (counts > 0).cumsum(1)
    has_shape = (kept >= KEPT) & (filled[:, ends - 1] > 1)
    is_whole = filled[:, ends - 1] == filled[:, -1:]  # nothing is cut off
    distances = _divergences(counts, ends.tolist(), levels)
    distances = distances.where(has_shape | is_whole, torch.inf)
    return ends[distances.argmin(1)]


def _divergences(counts: Tensor, ends: list[int], levels: int) -> Tensor:
    """`divergence` for many ends at once: (grids, ends).

    Fast, for a thousand grids: what stands in a level is a difference of two running
    sums, so that no bin is read again for each end.
    """
    total = counts.sum(1)
    filled = (counts > 0).to(counts.dtype)
    logs = torch.xlogy(counts, counts)
    counts_to, filled_to, logs_to = map(_running_sum, (counts, filled, logs))
    level = torch.arange(levels + 1, device=counts.device)
    least = torch.finfo(counts.dtype).tiny
    distances = []
    for end in ends:
        edges = -(-level * end // levels)  # the first bin of each level
        seen, last = counts_to[:, end], counts[:, end - 1]
        cut_off = total - seen
        in_level = counts_to[:, edges].diff(dim=1)  # grids, levels
        bins = filled_to[:, edges].diff(dim=1)
        bins[:, -1] += (last == 0) & (cut_off > 0)  # what is cut off fills the edge
        q = in_level / bins.clamp(min=1) / seen[:, None].clamp(min=least)
        true = in_level.clone()
        true[:, -1] += cut_off
        cross = (true * q.clamp(min=1e-9).log()).sum(1)  # of p log q
        own = logs_to[:, end - 1] + torch.xlogy(last + cut_off, last + cut_off)
        distances.append((own - cross) / total.clamp(min=1) - total.clamp(min=1).log())
    return torch.stack(distances, 1)


def _running_sum(values: Tensor) -> Tensor:
    """Of the first 0, 1, 2, ... bins: (grids, BINS + 1)."""
    return torch.nn.functional.pad(values.cumsum(1), (1, 0))


def divergence(counts: Tensor, end: int, levels: int) -> Tensor:
    """KL of a histogram cut at `end` from itself rounded to `levels` values.

    `counts` are (..., bins), of magnitudes; the result is (...).

    Two levels for 4, 2, 1, 1 are 3, 3, 1, 1: log(4 / 3) / 2 + log(2 / 3) / 4.

    >>> counts = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    >>> round(divergence(counts, end=4, levels=2).item(), 4)
    0.0425
    """
    counts = arguments.real_tensor("counts", counts)
    bins = counts.shape[-1] if counts.dim() else 0
    end = arguments.whole_number("end", end, 1, bins)
    levels = arguments.whole_number("levels", levels, 1, end)
    seen = counts[..., :end]
    cut_off = counts[..., end:]
    true = seen.clone()
    true[..., -1] += cut_off.sum(-1)  # as if it stood at the edge
    holds_some = true > 0
    rounded = _rounded_to_levels(seen, holds_some, levels)
    p = _shares(true)
    q = _shares(rounded)
    above_zero = q.clamp(min=1e-9)
    ratio = p / above_zero
    terms = p * ratio.log()
    terms = terms.where(p > 0, 0.0)
    return terms.sum(-1)  # Eq. 19.11


def _rounded_to_levels(seen: Tensor, filled: Tensor, levels: int) -> Tensor:
    """The histogram when the filled bins of a level share its counts: (..., bins)."""
    bins = seen.shape[-1]
    level = torch.arange(bins, device=seen.device) * levels // bins
    level = level.expand(seen.shape)
    nothing = seen.new_zeros(*seen.shape[:-1], levels)
    filled = filled.to(seen.dtype)
    counts_in_level = nothing.scatter_add(-1, level, seen)
    bins_in_level = nothing.scatter_add(-1, level, filled)
    height = counts_in_level / bins_in_level.clamp(min=1)
    return filled * height.gather(-1, level)


def _shares(counts: Tensor) -> Tensor:
    """Counts over their sum; nothing where nothing was counted."""
    total = counts.sum(-1, keepdim=True)
    return counts / total.clamp(min=torch.finfo(counts.dtype).tiny)


def ranges(
    least: Tensor, most: Tensor, symmetric: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ranges to try, 100 at a time: (100), (100).

    First both ends shrink together, in hundredths. If the grid need not be symmetric,
    then also each by itself: the end that is nearer to 0 in eighths.
    """
    shares = torch.arange(1, 101, device=least.device) / 100
    lows, highs = least * shares, most * shares
    yield lows, highs
    nearer = most if most <= -least else least
    if symmetric or nearer == 0:
        return
    for eighths in range(9):
        fixed = (nearer * (eighths / 8)).expand(100)
        yield (lows, fixed) if most <= -least else (fixed, highs)
