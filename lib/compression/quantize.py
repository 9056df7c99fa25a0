"""Eight bits for a number: scale, zero point, and who chooses them.

An affine quantizer lays an even grid over a range: real = (integer - zero_point) *
scale. Zero is always on the grid, so that padding and ReLU stay exact. One grid for a
tensor, one for each channel, or one for each group of inputs: finer grids cost a few
numbers and save many decibels. Observers watch activations and propose a range, the
whole one (`MinMax`) or one that gives up outliers (`Percentile`, `MSE`, `Entropy`).

Sources: arXiv 1712.05877 (the scheme), 1806.08342 and 2106.08295 (granularity, ranges),
2004.09602 (entropy and percentile). Chapter 19.
"""

from typing import NamedTuple

import torch
from torch import Tensor

MAX_BITS = 16  # float32 holds every integer of this size, and sums of many
BINS = 2048  # of a histogram, on each side of 0


class QParams(NamedTuple):
    """A grid: `real = (q - zero_point) * scale`, for integers `low` to `high`.

    `scale` and `zero_point` are [] for a tensor, (C,) for the channels along `axis`, or
    (C, groups) where each `group` neighbours of the flattened rest share a grid.
    """

    scale: Tensor  # float32, above 0
    zero_point: Tensor  # int32, between low and high
    low: int
    high: int
    axis: int | None = None
    group: int | None = None


def integer_range(bits: int, symmetric: bool, signed: bool) -> tuple[int, int]:
    """The smallest and the largest integer: -128, 127 or 0, 255 for eight bits.

    A symmetric signed range leaves out -128, so that it has as many steps on each side.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= MAX_BITS:
        raise ValueError(f"bits is {bits!r}; a whole number from 2 to {MAX_BITS}")
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + symmetric, 2 ** (bits - 1) - 1


def from_range(
    least, most, bits: int = 8, symmetric: bool = False, signed: bool = True,
    axis: int | None = None, group: int | None = None,
) -> QParams:  # fmt: skip
    """The grid over the real numbers from `least` to `most`, widened to hold 0.

    Both are numbers or tensors, one value for each grid. ValueError for a range that is
    not finite, upside down or of no width.
    """
    low, high = integer_range(bits, symmetric, signed)
    least, most = (torch.as_tensor(v, dtype=torch.float32) for v in (least, most))
    if not (most - least).isfinite().all():
        raise ValueError("the range holds NaN or infinity: look at the data first")
    if (least > most).any():
        raise ValueError("the range is upside down: its least value is above its most")
    least, most = least.clamp(max=0), most.clamp(min=0)
    if symmetric:
        reach = torch.maximum(-least, most)
        scale = reach / high if signed else reach / ((high - low) // 2)  # Eq. 19.5
    else:
        scale = (most - least) / (high - low)  # Eq. 19.3
    empty = scale < torch.finfo(torch.float32).tiny
    if empty.all():
        raise ValueError("the range has no width, all values are 0: there is no step")
    # A filter of zeros beside others (pruned, or dead): any step holds its zeros.
    scale = torch.where(empty, scale.max(), scale)
    if symmetric:
        zero_point = torch.full_like(scale, 0 if signed else (low + high + 1) // 2)
    else:
        zero_point = (low - torch.round(least / scale)).clamp(low, high)  # Eq. 19.4
    return QParams(scale, zero_point.to(torch.int32), low, high, axis, group)


def _grids(x: Tensor, axis: int | None, group: int | None) -> Tensor:
    """A view or copy of x with one row for each grid: (..., values of the grid)."""
    if axis is None:
        if group is not None:
            raise ValueError(f"group is {group}, axis None; groups divide channels")
        return x.reshape(-1)
    if not -x.dim() <= axis < x.dim():
        raise ValueError(f"axis is {axis}; x has {x.dim()} of them")
    rows = x.movedim(axis, 0).flatten(1) if x.dim() > 1 else x[:, None]
    if group is None:
        return rows
    if group < 1 or rows.shape[1] % group:
        held = f"a channel has {rows.shape[1]} values, which it does not divide"
        raise ValueError(f"group is {group}; {held}")
    return rows.unflatten(1, (-1, group))


def choose_qparams(
    x: Tensor, bits: int = 8, symmetric: bool = False, signed: bool = True,
    axis: int | None = None, group: int | None = None,
) -> QParams:  # fmt: skip
    """The grid that holds all of `x`: its least and its largest value, and 0.

    `axis` gives every channel along it a grid of its own, `group` every so many
    neighbours inside a channel. ValueError as of `from_range`, or for an empty x.
    """
    if x.numel() == 0:
        raise ValueError(f"x is empty, of shape {tuple(x.shape)}: it has no range")
    least, most = _grids(x.detach(), axis, group).aminmax(dim=-1)
    axis = None if axis is None else axis % x.dim()
    return from_range(least, most, bits, symmetric, signed, axis, group)


def _spread(qparams: QParams, x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and zero point in a shape that broadcasts to x."""
    scale, zero_point, *_, axis, group = qparams
    if axis is None:
        return scale, zero_point
    grids = _grids(x, axis, group)
    if scale.shape != grids.shape[:-1]:
        raise ValueError(
            f"there are {tuple(scale.shape)} grids; x of shape {tuple(x.shape)} needs"
            f" {tuple(grids.shape[:-1])}"
        )
    if group is None:
        shape = [1] * x.dim()
        shape[axis] = -1
        return scale.reshape(shape), zero_point.reshape(shape)
    moved = x.movedim(axis, 0).shape
    full = [v[..., None].expand(grids.shape) for v in (scale, zero_point)]
    return tuple(v.reshape(moved).movedim(0, axis) for v in full)


def quantize(x: Tensor, qparams: QParams) -> Tensor:
    """The nearest point of the grid for each real number, int32; ties to even.

    What lies outside becomes `low` or `high`.
    """
    scale, zero_point = _spread(qparams, x)
    # Times 1 / scale, as torch's kernels do: a division can round a tie the other way.
    q = torch.round(x * (1 / scale)) + zero_point  # Eq. 19.1
    if q.isnan().any():
        raise ValueError("x holds NaN, which no integer stands for")
    return q.clamp(qparams.low, qparams.high).to(torch.int32)


def dequantize(q: Tensor, qparams: QParams) -> Tensor:
    """The real numbers that integers stand for, float32."""
    scale, zero_point = _spread(qparams, q)
    return (q - zero_point) * scale  # Eq. 19.2


def sqnr(x: Tensor, y: Tensor) -> float:
    """Signal to quantization noise in decibels, of x and its approximation y.

    10 dB is a tenth of the power; infinite where nothing is lost.
    """
    noise = (x.double() - y.double()).square().sum()
    return float(10 * torch.log10(x.double().square().sum() / noise))  # Eq. 19.6


def expected_sqnr(x: Tensor, qparams: QParams) -> float:
    """What `sqnr` should come to if rounding errors fill a step evenly, nothing cut.

    Their square is then scale ** 2 / 12 in the mean: 6.02 dB for each further bit.
    """
    scale = _spread(qparams, x)[0].double().expand(x.shape)
    noise = scale.square().sum() / 12
    return float(10 * torch.log10(x.double().square().sum() / noise))  # Eq. 19.7


# --------------------------------------------------------------------------- observers


class MinMax:
    """Remembers the least and the largest value of all that it was shown.

    `observe(x)` as often as there is data, then `qparams(bits, symmetric, signed)`.
    `axis` gives every channel a range. ValueError names NaN where it comes in, says
    when nothing was observed, and refuses a tensor that was one constant throughout.
    """

    def __init__(self, axis: int | None = None):
        self.axis = axis
        self.least = self.most = None

    def observe(self, x: Tensor) -> None:
        if x.numel() == 0:
            raise ValueError(f"x is empty, of shape {tuple(x.shape)}")
        rows = _grids(x.detach().float(), self.axis, None)
        rows = rows[None] if self.axis is None else rows
        if not rows.isfinite().all():
            bad = int((~rows.isfinite()).sum())
            raise ValueError(f"x holds NaN or infinity {bad} times, of {x.numel()}")
        least, most = rows.aminmax(dim=1)
        if self.least is not None and len(self.least) != len(least):
            raise ValueError(f"x has {len(least)} channels, before {len(self.least)}")
        first = self.least is None
        self.least = least if first else torch.minimum(self.least, least)
        self.most = most if first else torch.maximum(self.most, most)
        self._count(rows)

    def _count(self, rows: Tensor) -> None:
        """Whatever else an observer wants to know of (grids, values)."""

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        """The least and the largest real number of each grid."""
        return self.least, self.most

    def qparams(
        self, bits: int = 8, symmetric: bool = False, signed: bool = True
    ) -> QParams:
        """The grid over the range that this observer proposes."""
        if self.least is None:
            raise ValueError(f"{type(self).__name__} saw no data: call observe first")
        if self.axis is None and self.least == self.most:
            raise ValueError(
                f"all values were {float(self.least):g}: a constant has no range;"
                " is the layer before it dead?"
            )
        least, most = self.limits(bits, symmetric, signed)
        if self.axis is None:
            least, most = least[0], most[0]
        return from_range(least, most, bits, symmetric, signed, self.axis)


class Histogram(MinMax):
    """Counts values in equal bins on both sides of 0; the base of what follows.

    When a value lies outside, neighbours are merged and the bins are twice as wide:
    nothing is lost, nothing has to be known ahead. Exact zeros are counted apart, they
    are on every grid.
    """

    def _count(self, rows: Tensor) -> None:
        if not hasattr(self, "counts"):
            shape = len(rows), 2 * BINS
            self.counts = torch.zeros(shape, dtype=torch.float64, device=rows.device)
            self.reach = rows.new_zeros(len(rows))  # the bins go from -reach to reach
            self.zeros = self.reach.double()
        needed = rows.abs().amax(1)
        fresh = self.counts.sum(1) == 0
        self.reach = torch.where(fresh, needed, self.reach)
        while (short := needed > self.reach).any():
            merged = self.counts[short].unflatten(1, (-1, 2)).sum(2)
            self.counts[short] = torch.nn.functional.pad(merged, (BINS // 2, BINS // 2))
            self.reach[short] *= 2
        reach = self.reach.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
        place = ((rows / reach + 1) * BINS).long().clamp(0, 2 * BINS - 1)
        self.counts.scatter_add_(1, place, (rows != 0).double())
        self.zeros += (rows == 0).sum(1)

    def centres(self) -> Tensor:
        """The middle of each bin: (grids, bins)."""
        steps = torch.arange(2 * BINS, device=self.reach.device) + 0.5
        return (steps / BINS - 1) * self.reach[:, None]

    def _clamped(self, least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
        """Inside of what was seen: bins are coarse, the extremes are known exactly."""
        least = torch.maximum(least, self.least.clamp(max=0))
        return least, torch.minimum(most, self.most.clamp(min=0))


class Percentile(Histogram):
    """Leaves out a share of the values at each end: outliers, however far they lie."""

    def __init__(self, axis: int | None = None, keep: float = 0.9999):
        super().__init__(axis)
        if not 0.5 < keep <= 1:
            raise ValueError(f"keep is {keep}; a share above 0.5, at most 1")
        self.keep = keep

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        below, above = self.counts.split(BINS, 1)
        counts = torch.cat([below, self.zeros[:, None], above], 1)
        share = counts.cumsum(1) / counts.sum(1, keepdim=True)
        first = (share <= 1 - self.keep).sum(1)  # bins that are left out below
        last = (share < self.keep).sum(1)  # the bin that reaches the share
        place = torch.arange(-BINS, BINS + 1, device=counts.device)
        starts, ends = place - place.gt(0).long(), place + place.lt(0)  # zeros: 0 wide
        least, most = (v * self.reach / BINS for v in (starts[first], ends[last]))
        return self._clamped(least, most)


class MSE(Histogram):
    """The range with the least squared error, of what is cut off and of rounding."""

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        found = []
        shares = torch.arange(1, 101, device=self.reach.device) / 100
        for row, values in enumerate(self.centres()):
            used = self.counts[row] > 0
            wide = values[used].expand(100, -1)
            counts = self.counts[row, used].float()
            full = self.least[row].clamp(max=0), self.most[row].clamp(min=0)
            ends, lowest = full, torch.inf
            short = int(full[1] <= -full[0])  # this end moves in eighths, the other
            parts = [None]  # in hundredths; None: both together
            if not symmetric and full[short] != 0:
                parts += [i / 8 for i in range(9)]
            for part in parts if used.any() else ():
                tried = [end * shares for end in full]
                if part is not None:
                    tried[short] = (full[short] * part).expand(100)
                grid = from_range(*tried, bits, symmetric, signed, axis=0)
                rounded = dequantize(quantize(wide, grid), grid)
                error = (rounded - wide).square() @ counts
                best = error.argmin()  # Eq. 19.10
                if error[best] < lowest:
                    ends, lowest = [end[best] for end in tried], error[best]
            found.append(ends)
        return tuple(torch.stack(end) for end in zip(*found, strict=True))


class Entropy(Histogram):
    """The range whose rounded histogram tells least apart from the true one (KL).

    As TensorRT calibrates: magnitudes only, what is cut off counts at the edge.
    """

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        most = []
        for row, both in enumerate(self.counts):
            counts = both[BINS:] + both[:BINS].flip(0)
            reach = torch.maximum(-self.least[row], self.most[row])
            width = self.most[row].clamp(min=0) - self.least[row].clamp(max=0)
            # The points of the grid on the longer side of 0.
            share = 0.5 if symmetric and signed or width == 0 else float(reach / width)
            levels = min(max(2, round(2**bits * share)), BINS)
            ends = range(levels, BINS + 1, max(1, (BINS - levels) // 128))
            distance = torch.stack([divergence(counts, end, levels) for end in ends])
            most.append(self.reach[row] * ends[int(distance.argmin())] / BINS)
        most = torch.stack(most)
        return self._clamped(-most, most)


def divergence(counts: Tensor, end: int, levels: int) -> Tensor:
    """KL of a histogram cut at `end` from itself rounded to `levels` values."""
    seen = counts[:end].clone()
    true = seen.clone()
    true[-1] += counts[end:].sum()
    level = torch.arange(end, device=counts.device) * levels // end
    full = (true > 0).to(seen.dtype)
    total = seen.new_zeros(levels).scatter_add_(0, level, seen)
    bins = seen.new_zeros(levels).scatter_add_(0, level, full)
    rounded = full * (total / bins.clamp(min=1))[level]
    p, q = true / true.sum(), rounded / rounded.sum().clamp(min=1)
    inside = p > 0
    return (p * (p / q.clamp(min=1e-9)).log())[inside].sum()  # Eq. 19.11
