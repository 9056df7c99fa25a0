"""Eight bits for a number: scale, zero point, and who chooses them.

An affine quantizer lays an even grid over a range: real = (integer - zero_point) *
scale. Zero is always on the grid, so that padding and ReLU stay exact. One grid for a
tensor, one for each channel, or one for each group of inputs: finer grids cost a few
numbers and save many decibels. Observers watch activations and propose a range, the
whole one (`MinMax`) or one that gives up outliers (`Percentile`, `MSE`, `Entropy`).

Sources: arXiv 1712.05877 (the scheme), 1806.08342 and 2106.08295 (granularity, ranges),
2004.09602 (entropy and percentile). Chapter 19.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Real
from torch import Tensor

from lib.basics import arguments
from lib.compression import histograms
from lib.compression.histograms import BINS

MAX_BITS = 16  # float32 holds every integer of this size, and sums of many
LARGEST = torch.finfo(torch.float32).max / 4  # that observers take: a range doubles it
NARROWEST = torch.finfo(torch.float32).tiny * 2**MAX_BITS  # a range with a normal step


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


# ------------------------------------------------------------------------------- grids


def integer_range(bits: int, symmetric: bool, signed: bool) -> tuple[int, int]:
    """The smallest and the largest integer: -128, 127 or 0, 255 for eight bits.

    A symmetric signed range leaves out -128, so that it has as many steps on each side.

    >>> integer_range(8, symmetric=False, signed=False)
    (0, 255)
    >>> integer_range(8, symmetric=True, signed=True)
    (-127, 127)
    """
    bits = arguments.whole_number("bits", bits, 2, MAX_BITS)
    symmetric = arguments.flag("symmetric", symmetric)
    if not arguments.flag("signed", signed):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + symmetric, 2 ** (bits - 1) - 1


@arguments.named
def scale_and_zero_point(
    least: Float[Tensor, "..."], most: Float[Tensor, "..."],
    low: arguments.Signed, high: arguments.Signed,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The step of an affine grid over a range widened to hold 0, and where 0 stands.

    `least` and `most` are the ends in real numbers, [] or one for each grid, `low` and
    `high` the first and the last integer. The zero point is a whole number from `low`
    to `high`, in float32. Where a range has no width, the step is 0.

    From -1 to 2 in 4 bits: 15 steps of 3 / 15 = 0.2, and zero is 1 / 0.2 = 5 steps up.

    >>> scale, zero = scale_and_zero_point(torch.tensor(-1.0), torch.tensor(2.0), 0, 15)
    >>> round(scale.item(), 4), zero.item()
    (0.2, 5.0)
    """
    least = least.clamp(max=0)
    most = most.clamp(min=0)
    scale = (most - least) / (high - low)  # Eq. 19.3
    zero_point = low - torch.round(least / scale)  # Eq. 19.4
    return scale, zero_point


def from_range(
    least, most, bits: int = 8, symmetric: bool = False, signed: bool = True,
    axis: int | None = None, group: int | None = None,
) -> QParams:  # fmt: skip
    """The grid over the real numbers from `least` to `most`, widened to hold 0.

    Both are numbers or tensors, one value for each grid. ValueError for a range that is
    not finite, upside down or of no width.

    From -1 to 2 in 4 bits: 15 steps of 3 / 15 = 0.2, and zero is 1 / 0.2 = 5 steps up.

    >>> grid = from_range(-1.0, 2.0, bits=4, signed=False)
    >>> round(grid.scale.item(), 4), grid.zero_point.item(), grid.low, grid.high
    (0.2, 5, 0, 15)
    """
    low, high = integer_range(bits, symmetric, signed)
    axis = _whole_or_none("axis", axis)
    group = _whole_or_none("group", group)
    least, most = _range(least, most)
    if symmetric:
        largest = torch.maximum(-least, most)
        steps = high if signed else (high - low) // 2  # on one side of 0
        scale = _without_empty(largest / steps)  # Eq. 19.5
        middle = 0 if signed else (low + high + 1) // 2
        zero_point = torch.full_like(scale, middle)
    else:
        step, zero_point = scale_and_zero_point(least, most, low, high)
        scale = _without_empty(step)
        # What has no width lies at 0, on any grid.
        zero_point = torch.where(step == scale, zero_point, low)
    if not (scale * (high - low)).isfinite().all():
        raise ValueError("the range ends where float32 does: its steps add to infinity")
    zero_point = zero_point.to(torch.int32)
    return QParams(scale, zero_point, low, high, axis, group)


def _range(least, most) -> tuple[Tensor, Tensor]:
    """Both ends in float32, of one shape or one of them a single number."""
    least = arguments.real_numbers("least", least)
    most = arguments.real_numbers("most", most)
    if least.shape != most.shape and least.dim() and most.dim():
        shapes = f"{tuple(least.shape)} and {tuple(most.shape)}"
        raise ValueError(f"least and most have shapes {shapes}; one value a grid each")
    if least.numel() == 0 or most.numel() == 0:
        raise ValueError("least or most is empty: there is no range")
    if not (most - least).isfinite().all():
        raise ValueError("least to most holds NaN or infinity: look at the data first")
    if (least > most).any():
        raise ValueError("the range is upside down: least is above most")
    return least, most


def _whole_or_none(name: str, value) -> int | None:
    return None if value is None else arguments.whole_number(name, value)


def _without_empty(scale: Tensor) -> Tensor:
    """Grids of no width get the largest step; ValueError if there are no others.

    A filter of zeros beside others was pruned, or is dead: any step holds its zeros.
    """
    empty = scale < torch.finfo(torch.float32).tiny
    if empty.all():
        raise ValueError("the range has no width, all values are 0: there is no step")
    return torch.where(empty, scale.max(), scale)


def choose_qparams(
    x: Tensor, bits: int = 8, symmetric: bool = False, signed: bool = True,
    axis: int | None = None, group: int | None = None,
) -> QParams:  # fmt: skip
    """The grid that holds all of `x`: its least and its largest value, and 0.

    `axis` gives every channel along it a grid of its own, `group` every so many
    neighbours inside a channel. ValueError as of `from_range`, or for an empty x.

    The largest is 6.35, and a symmetric grid has 127 steps up to it: 6.35 / 127 = 0.05.

    >>> grid = choose_qparams(torch.tensor([-1.0, 0.5, 6.35]), symmetric=True)
    >>> round(grid.scale.item(), 4), grid.zero_point.item()
    (0.05, 0)
    """
    x = arguments.real_tensor("x", x).detach()
    if x.numel() == 0:
        raise ValueError(f"x is empty, of shape {tuple(x.shape)}: it has no range")
    rows = _one_row_a_grid(x, axis, group)
    least, most = rows.aminmax(dim=-1)
    if axis is not None:
        axis = axis % x.dim()  # -1 is the last
    return from_range(least, most, bits, symmetric, signed, axis, group)


def _one_row_a_grid(x: Tensor, axis: int | None, group: int | None) -> Tensor:
    """A view or copy of x: (values), (C, values of a channel) or (C, groups, group)."""
    axis, group = _whole_or_none("axis", axis), _whole_or_none("group", group)
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


def _beside(x: Tensor, qparams: QParams) -> tuple[Tensor, Tensor]:
    """Scale and zero point in a shape that broadcasts to x."""
    arguments.instance("qparams", qparams, QParams, "choose_qparams makes one")
    scale, zero_point, *_, axis, group = qparams
    for name, value in (("scale", scale), ("zero_point", zero_point)):
        arguments.tensor(f"qparams.{name}", value, "...")
    if not (scale > 0).all():
        raise ValueError("qparams.scale has a step that is not above 0")
    if axis is None:
        return scale, zero_point
    rows = _one_row_a_grid(x, axis, group)
    if scale.shape != rows.shape[:-1]:
        raise ValueError(
            f"there are {tuple(scale.shape)} grids; x of shape {tuple(x.shape)} needs"
            f" {tuple(rows.shape[:-1])}"
        )
    if group is None:
        shape = [1] * x.dim()
        shape[axis] = -1
        return scale.reshape(shape), zero_point.reshape(shape)
    moved = x.movedim(axis, 0).shape
    full = [v[..., None].expand(rows.shape) for v in (scale, zero_point)]
    return tuple(v.reshape(moved).movedim(0, axis) for v in full)


def quantize(x: Tensor, qparams: QParams) -> Tensor:
    """The nearest point of the grid for each real number, int32; ties to even.

    What lies outside becomes `low` or `high`.

    In steps of 0.5, with zero at 3: -0.4 is -0.8 steps, 1.25 is 2.5 and a tie, 9 is 18.

    >>> grid = QParams(torch.tensor(0.5), torch.tensor(3), 0, 15)
    >>> quantize(torch.tensor([-0.4, 0.0, 1.25, 9.0]), grid).tolist()
    [2, 3, 5, 15]
    """
    x = arguments.real_tensor("x", x)
    scale, zero_point = _beside(x, qparams)
    # Times 1 / scale, as torch's kernels do: a division can round a tie the other way.
    steps = x * (1 / scale)
    q = torch.round(steps) + zero_point  # Eq. 19.1
    if q.isnan().any():
        raise ValueError("x holds NaN, which no integer stands for")
    return q.clamp(qparams.low, qparams.high).to(torch.int32)


def dequantize(q: Tensor, qparams: QParams) -> Tensor:
    """The real numbers that integers stand for, float32.

    >>> grid = QParams(torch.tensor(0.5), torch.tensor(3), 0, 15)
    >>> dequantize(torch.tensor([2, 3, 5, 15]), grid).tolist()
    [-0.5, 0.0, 1.0, 6.0]
    """
    q = arguments.real_tensor("q", q)
    scale, zero_point = _beside(q, qparams)
    return (q - zero_point) * scale  # Eq. 19.2


@arguments.named
def onto_grid(
    x: Float[Tensor, "..."], scale: Float[Tensor, "..."],
    zero_point: Real[Tensor, "..."], low: arguments.Signed, high: arguments.Signed,
) -> Float[Tensor, "..."]:  # fmt: skip
    """Each real number as the nearest point of a grid, in real numbers, shaped as x.

    `scale` (the step) and `zero_point` (the integer that means 0) broadcast to x; `low`
    and `high` are the first and the last integer. Ties go to the even integer.

    In steps of 0.5, with zero at 3: -0.4 is -0.8 steps, 9 is 18, and 15 is the last.

    >>> scale, zero_point = torch.tensor(0.5), torch.tensor(3)
    >>> onto_grid(torch.tensor([-0.4, 0.0, 9.0]), scale, zero_point, 0, 15).tolist()
    [-0.5, 0.0, 6.0]
    """
    # Times 1 / scale, as torch's kernels do: a division can round a tie the other way.
    steps = x * (1 / scale)
    q = torch.round(steps) + zero_point
    q = q.clamp(low, high)  # Eq. 19.1
    return (q - zero_point) * scale  # Eq. 19.2


def rounded(x: Tensor, qparams: QParams) -> Tensor:
    """What comes back of x from a grid: quantized and dequantized, float32.

    >>> rounded(torch.tensor([-0.4, 9.0]), QParams(*map(torch.tensor, (0.5, 3)), 0, 15))
    tensor([-0.5000,  6.0000])
    """
    x = arguments.real_tensor("x", x).float()
    scale, zero_point = _beside(x, qparams)
    if x.isnan().any():
        raise ValueError("x holds NaN, which stands on no grid")
    return onto_grid(x, scale, zero_point, qparams.low, qparams.high)


# ---------------------------------------------------------------------------- decibels


def sqnr(x: Tensor, y: Tensor) -> float:
    """Signal to quantization noise in decibels, of x and its approximation y.

    10 dB is a tenth of the power; infinite where nothing is lost.

    Powers 9 + 16 = 25 and 0.5 ** 2 = 0.25, a hundredth:

    >>> sqnr(torch.tensor([3.0, 4.0]), torch.tensor([3.5, 4.0]))
    20.0
    """
    x = arguments.real_tensor("x", x)
    y = arguments.real_tensor("y", y)
    if x.shape != y.shape or x.numel() == 0:
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x and y have shapes {shapes}; the same, and not empty")
    x = x.detach().double()
    y = y.detach().double()
    error = x - y
    signal = x.square().sum()
    noise = error.square().sum()
    if noise == 0:
        return math.inf
    ratio = signal / noise
    return float(10 * torch.log10(ratio))  # Eq. 19.6


def expected_sqnr(x: Tensor, qparams: QParams) -> float:
    """What `sqnr` should come to if rounding errors fill a step evenly, nothing cut.

    Their square is then scale ** 2 / 12 in the mean: 6.02 dB for each further bit.
    """
    x = arguments.real_tensor("x", x).detach()
    scale, _ = _beside(x, qparams)
    steps = scale.double().expand(x.shape)
    signal = x.double().square().sum()
    noise = steps.square().sum() / 12
    return float(10 * torch.log10(signal / noise))  # Eq. 19.7


# --------------------------------------------------------------------------- observers


class MinMax:
    """Remembers the least and the largest value of all that it was shown.

    `observe(x)` as often as there is data, then `qparams(bits, symmetric, signed)`.
    `axis` gives every channel a range. ValueError names NaN where it comes in, says
    when nothing was observed, and refuses a tensor that was one constant throughout:
    a mistake, if those are data. Set `refuses_constants` to False where they can be
    right, as the weights of a pruned layer or the map of a dead one.
    """

    refuses_constants = True

    def __init__(self, axis: int | None = None):
        self.axis = _whole_or_none("axis", axis)
        self.least = self.most = None

    def observe(self, x: Tensor) -> None:
        """Look at some more values; ValueError for what can be part of no range."""
        x = arguments.real_tensor("x", x).detach().float()
        if x.numel() == 0:
            raise ValueError(f"x is empty, of shape {tuple(x.shape)}")
        rows = _one_row_a_grid(x, self.axis, None)
        if self.axis is None:
            rows = rows[None]
        if not rows.isfinite().all():
            bad = int((~rows.isfinite()).sum())
            raise ValueError(f"x holds NaN or infinity {bad} times, of {x.numel()}")
        if (rows.abs() > LARGEST).any():
            raise ValueError(f"x holds values beyond {LARGEST:.2g}: no float32 range")
        least, most = rows.aminmax(dim=1)
        if self.least is None:
            self.least, self.most = least, most
        elif len(self.least) != len(least):
            raise ValueError(f"x has {len(least)} channels, before {len(self.least)}")
        else:
            self.least = torch.minimum(self.least, least)
            self.most = torch.maximum(self.most, most)
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
        integer_range(bits, symmetric, signed)  # says what is wrong with them
        if self.least is None:
            raise ValueError(f"{type(self).__name__} saw no data: call observe first")
        constant = self.axis is None and self.least == self.most
        if constant and self.refuses_constants:
            raise ValueError(
                f"all values were {float(self.least):g}: a constant has no range;"
                " is the layer before it dead?"
            )
        least, most = self.limits(bits, symmetric, signed)
        if not self.refuses_constants:
            least, most = self._with_width(least, most)
        if self.axis is None:
            least, most = least[0], most[0]
        return from_range(least, most, bits, symmetric, signed, self.axis)

    def _with_width(self, least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
        """A range that has a step: else all that was seen, else 0 to 1 for zeros."""
        for low, high in ((least, most), (self.least, self.most)):
            width = high.clamp(min=0) - low.clamp(max=0)
            if (width > NARROWEST).any():
                return low, high
        return torch.zeros_like(least), torch.ones_like(most)


class HistogramObserver(MinMax):
    """Counts values in bins as well; the base of the observers that give up some."""

    def __init__(self, axis: int | None = None):
        super().__init__(axis)
        self.histogram = None

    def _count(self, rows: Tensor) -> None:
        if self.histogram is None:
            self.histogram = histograms.Histogram(len(rows), rows.device)
        self.histogram.add(rows)

    def _clamped(self, least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
        """Inside of what was seen: bins are coarse, the extremes are known exactly."""
        least = torch.maximum(least, self.least.clamp(max=0))
        return least, torch.minimum(most, self.most.clamp(min=0))


class Percentile(HistogramObserver):
    """Leaves out a share of the values at each end: outliers, however far they lie."""

    def __init__(self, axis: int | None = None, keep: float = 0.9999):
        super().__init__(axis)
        self.keep = arguments.real_number("keep", keep, above=0.5, most=1)

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        zeros = self.histogram.zeros[:, None]
        below, above = self.histogram.counts.split(BINS, 1)
        counts = torch.cat([below, zeros, above], 1)
        share = counts.cumsum(1) / counts.sum(1, keepdim=True)
        first = (share <= 1 - self.keep).sum(1)  # bins that are left out below
        last = (share < self.keep).sum(1)  # the bin that reaches the share
        # Edges in bins from 0: bin 1 goes from 0 to 1, bin -1 from -1 to 0, and the
        # zeros between them have no width.
        place = torch.arange(-BINS, BINS + 1, device=counts.device)
        starts = place - place.gt(0).long()
        ends = place + place.lt(0).long()
        least = starts[first] * self.histogram.reach / BINS
        most = ends[last] * self.histogram.reach / BINS
        return self._clamped(least, most)


class MSE(HistogramObserver):
    """The range with the least squared error, of what is cut off and of rounding."""

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        how = bits, symmetric, signed
        centres = self.histogram.centres()  # grids, bins
        ranges = [self._best_range(row, each, *how) for row, each in enumerate(centres)]
        least, most = zip(*ranges, strict=True)
        return torch.stack(least), torch.stack(most)

    def _best_range(
        self, row: int, centres: Tensor, bits, symmetric, signed
    ) -> tuple[Tensor, Tensor]:
        """The least and the largest number of one grid; `centres` of its bins."""
        counts = self.histogram.counts[row]
        filled = counts > 0
        values = centres[filled]
        counts = counts[filled].float()
        best = self.least[row].clamp(max=0), self.most[row].clamp(min=0)
        lowest_error = torch.inf
        for least, most in histograms.ranges(*best, symmetric) if len(values) else ():
            grids = from_range(least, most, bits, symmetric, signed, axis=0)
            errors = _squared_errors(values, counts, grids)
            place = errors.argmin()  # Eq. 19.10
            if errors[place] < lowest_error:
                lowest_error = errors[place]
                best = least[place], most[place]
        return best


def _squared_errors(values: Tensor, counts: Tensor, grids: QParams) -> Tensor:
    """The error of each of many grids on values that came so often: (grids)."""
    rows = values.expand(len(grids.scale), -1)  # grids, values
    return (rounded(rows, grids) - rows).square() @ counts


class Entropy(HistogramObserver):
    """The range whose rounded histogram tells least apart from the true one (KL).

    As TensorRT calibrates: magnitudes only, what is cut off counts at the edge.
    """

    def limits(self, bits: int, symmetric: bool, signed: bool) -> tuple[Tensor, Tensor]:
        levels = self._levels(bits, symmetric and signed)
        counts = self.histogram.magnitudes()
        ends = torch.full_like(levels, BINS)
        for number in levels.unique().tolist():
            rows = levels == number
            ends[rows] = histograms.least_divergent_end(counts[rows], number)
        most = self.histogram.reach * ends / BINS
        return self._clamped(-most, most)

    def _levels(self, bits: int, two_sided: bool) -> Tensor:
        """How many points of each grid stand on the longer side of 0."""
        longer = torch.maximum(-self.least, self.most)
        width = self.most.clamp(min=0) - self.least.clamp(max=0)
        share = (longer / width).double()
        half = (width == 0) | two_sided
        share = share.where(~half, 0.5)
        levels = (2**bits * share).round().long()
        return levels.clamp(2, BINS)
