"""Operators of a quantized network, in integers only.

A quantized map holds integers q that mean (q - z) * s. Sums of products of integers are
integers, exactly. Only the way from the steps of such a sum to those of the next map is
a real factor, and that becomes a fixed-point number, an integer and a shift, before the
network runs. From then on there is no real number, so every device gives the same bits.

Sources: arXiv 1712.05877, sections 2.2 to 2.4; gemmlowp, doc/quantization.md, which
rounds twice, halves away from zero. Here one rounding goes to the nearest integer and
halves go to the even one, since that is how the network was trained. Chapter 21.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int, Shaped
from torch import Tensor, nn

LARGEST = 2**31 - 1  # that an int32 accumulator holds


# ------------------------------------------------------ real factors become integers
def fixed_point(factor) -> tuple[Tensor, Tensor]:
    """Integers `multiplier` in [2^30, 2^31) and `shift`: factor = multiplier / 2^shift.

    `factor` is a number or a tensor of them, above 0 and below 2^30, else ValueError.
    Both results are int64; the relative error is at most 2^-31.
    """
    factor = torch.as_tensor(factor, dtype=torch.float64)
    wrong = ~((factor > 0) & (factor < 2**30))
    if wrong.any():
        bad = factor[wrong].flatten()[0].item()
        raise ValueError(f"factor is {bad:g}; it lies above 0 and below 2^30")
    mantissa, exponent = torch.frexp(factor)  # 0.5 <= mantissa < 1
    multiplier, exponent = (mantissa * 2**31).round().long(), exponent.long()
    carried = multiplier == 2**31
    multiplier, exponent = torch.where(carried, 2**30, multiplier), exponent + carried
    shift = 31 - exponent  # Eq. 21.3
    # 64 bits end there, and a factor below 2^-32 takes any accumulator to 0 anyway.
    return multiplier >> (shift - 62).clamp(0, 31), shift.clamp(max=62)


def common_step(steps: Iterable[float], reaches: Iterable[int]) -> tuple[Tensor, float]:
    """Integer weights that take maps to one finer step, and that step (Eq. 21.8).

    `steps` are those of the maps, times their coefficients; a reach is the largest
    |q - z| of a map. As many bits as int32 leaves, 20 or more for a handful of maps.
    The longest step is the new one times a power of 2: equal maps meet without error.
    """
    steps, reaches = list(steps), list(reaches)
    longest = max(abs(step) for step in steps)
    top = sum(abs(s) / longest * r for s, r in zip(steps, reaches, strict=True))
    bits = min(30, math.floor(math.log2((LARGEST - sum(reaches)) / top)))
    weights = [round(step / longest * 2**bits) for step in steps]
    return torch.tensor(weights, dtype=torch.int32), longest / 2**bits


def accumulator_bound(weight: Tensor, bias: Tensor | None, reach: int) -> Tensor:
    """What |accumulator| cannot exceed, for each filter; `reach` is max |q - z|.

    Eq. 21.7. Partial sums obey it too, in any order.
    """
    total = weight.long().abs().flatten(1).sum(1) * reach
    return total if bias is None else total + bias.long().abs()


# ----------------------------------------------------------------------- requantization
def rounded_shift(product: Int[Tensor, "*n"], shift) -> Int[Tensor, "*n"]:
    """product / 2^shift to the nearest integer, a half to the even one; shift >= 1.

    A shift alone rounds down, and with half added first it rounds halves up. Add one
    less than half, and one more where the result would be odd: a half ends on the even
    side (Eq. 21.4).
    """
    odd = (product >> shift) & 1
    below_half = (1 << (shift - 1)) - 1
    return (product + below_half + odd) >> shift


class Requantization(NamedTuple):
    """What takes accumulators to the grid of the next map (Eq. 21.5), int64.

    The first three hold one value, or one for each channel.
    """

    multiplier: Tensor
    shift: Tensor
    offset: Tensor  # what a bias in whole steps of the accumulator leaves over
    zero_point: Tensor
    low: Tensor
    high: Tensor


def requantize(
    accumulators: Int[Tensor, "..."], how: Requantization, axis: int = 1
) -> Int[Tensor, "..."]:
    """Integers of the next map, int32; channels of `how` stand along `axis`."""
    behind = [1] * (accumulators.dim() - 1 - axis % accumulators.dim())
    multiplier, shift, offset = (
        v.reshape(-1, *behind) if v.dim() else v for v in how[:3]
    )
    product = accumulators.long() * multiplier + offset  # 31 bits times 31 bits
    return (rounded_shift(product, shift) + how.zero_point).clamp(*how[4:]).int()


# ---------------------------------------------------------------- grids become integers
def reach(grid) -> int:
    """The largest |q - z| that a map on a grid (`quantize.QParams`) can hold."""
    z = int(grid.zero_point)
    return max(grid.high - z, z - grid.low)


def bounds(grid, lower: float, upper: float) -> Int[Tensor, "2"]:
    """The integers of two real bounds, inside the grid (Eq. 21.6)."""
    ends = torch.tensor([lower, upper]) * (1 / grid.scale)
    return (ends.round() + grid.zero_point).clamp(grid.low, grid.high).long()


def requantization(
    factor, out, lower=-math.inf, upper=math.inf, rest=0.0
) -> Requantization:
    """How accumulators with steps `factor` times those of `out` come onto its grid.

    `lower` and `upper` are the bounds of an activation as real numbers: ReLU6 is 0, 6,
    and costs nothing, since the result is clipped in any case. `rest` is added to the
    accumulators: the part of a step that they cannot hold.
    """
    multiplier, shift = fixed_point(factor)
    offset = (torch.as_tensor(rest, dtype=torch.float64) * multiplier).round().long()
    ends = bounds(out, lower, upper)
    return Requantization(multiplier, shift, offset, out.zero_point.long(), *ends)


class Layer(NamedTuple):
    """Weight and bias of a convolution or linear layer, as a device stores them."""

    weight: Tensor  # int8 where that is wide enough; no zero point
    bias: Tensor  # int32, in steps of an accumulator
    step: Tensor  # of an accumulator, for each filter (float64)
    rest: Tensor  # what rounding took from the bias, in the same steps


def layer(weight: Tensor, bias: Tensor | None, w, x) -> Layer:
    """A layer from its weight on the grid `w`, its real bias, and its input's grid.

    ValueError if the accumulator could leave int32.
    """
    if w.group is not None or w.axis not in (None, 0):
        raise ValueError("weights have steps by group; an accumulator has one step")
    shape = [-1] + [1] * (weight.dim() - 1)
    weight = weight - w.zero_point.reshape(shape)
    step = (w.scale.double() * x.scale.double()).expand(len(weight))
    bias = torch.zeros_like(step) if bias is None else bias.double() / step  # Eq. 21.2
    room = LARGEST - accumulator_bound(weight, None, reach(x))
    if (room <= 0).any():
        raise ValueError(f"sums reach {LARGEST - int(room.min())}; int32 ends at 2^31")
    # Weights that training drove to 0 have a tiny step, and in such steps a bias needs
    # more than 32 bits. The filter gets larger steps: its weights hardly count.
    twice = (bias.abs() / room).log2().ceil().clamp(min=0)
    weight = (weight / 2 ** twice.reshape(shape)).round().int()
    step, bias = step * 2**twice, bias / 2**twice
    narrow = weight.abs().max() < 128
    weight = weight.to(torch.int8 if narrow else torch.int32)
    return Layer(weight, bias.round().int(), step, bias - bias.round())


# --------------------------------------------------------------------------- the layers
def accumulate(
    x: Int[Tensor, "B C H W"], weight, bias, zero_point,
    stride=1, padding=0, dilation=1, groups=1,
) -> Int[Tensor, "B F h w"]:  # fmt: skip
    """The sums of a convolution, in int32 from end to end (Eq. 21.1).

    The zero point is taken away first: then 0 means 0, and zeros are right as padding.
    torch's convolution of int32 tensors adds in int32, and wraps around as that does.
    """
    weight = _spread(weight.int(), dilation)
    return F.conv2d(x.int() - zero_point, weight, bias, stride, padding, 1, groups)


def _spread(weight: Tensor, dilation) -> Tensor:
    """The same filter with zeros between its taps: torch has no dilated integer one."""
    rows, columns = (dilation,) * 2 if isinstance(dilation, int) else dilation
    if rows == columns == 1:
        return weight
    *filters, h, w = weight.shape
    wide = weight.new_zeros(*filters, (h - 1) * rows + 1, (w - 1) * columns + 1)
    wide[..., ::rows, ::columns] = weight
    return wide


def accumulate_linear(
    x: Int[Tensor, "*B C"], weight, bias, zero_point
) -> Int[Tensor, "*B F"]:
    """The sums of a linear layer, in int32."""
    return F.linear(x.int() - zero_point, weight.int(), bias)


def conv2d(x, weight, bias, zero_point, how: Requantization, **geometry) -> Tensor:
    """A convolution; `zero_point` is that of `x`, the one of weights is 0."""
    return requantize(accumulate(x, weight, bias, zero_point, **geometry), how)


def linear(x, weight, bias, zero_point, how: Requantization) -> Tensor:
    """A linear layer; channels come last."""
    return requantize(accumulate_linear(x, weight, bias, zero_point), how, axis=-1)


def slow_convolution(x, weight, bias, zero_point) -> list:
    """`accumulate` of one picture, one product after the other: made to be read.

    Nested lists (C, H, W), (F, C, k, k), (F) of Python's integers; no padding, step 1.
    OverflowError if a sum leaves int32 on its way.
    """
    k, sums = len(weight[0][0]), []
    taps = [(c, i, j) for c in range(len(x)) for i in range(k) for j in range(k)]
    for kernel, start in zip(weight, bias, strict=True):
        sums.append([])
        for row in range(len(x[0]) - k + 1):
            sums[-1].append([])
            for column in range(len(x[0][0]) - k + 1):
                total = start
                for c, i, j in taps:
                    total += kernel[c][i][j] * (x[c][row + i][column + j] - zero_point)
                    if not -(2**31) <= total < 2**31:
                        raise OverflowError(f"{total} needs more than 32 bits")
                sums[-1][-1].append(total)
    return sums


# --------------------------------------------------------------------------------- maps
def weighted_sum(*maps, zero_points, weights, how: Requantization) -> Tensor:
    """The sum of maps with steps of their own: first to a common, finer one (Eq. 21.8).

    `weights` (int32) take each map there, and `how` takes the sum to the result. Adding
    two maps, fusing three, and changing the grid of one are all this.
    """
    terms = zip(maps, zero_points, weights, strict=True)
    return requantize(sum((x.int() - z) * weight for x, z, weight in terms), how)


def multiply(x, y, zero_points, how: Requantization) -> Tensor:
    """The product of two maps, for example of a map and its squeeze-excite gate."""
    return requantize((x.int() - zero_points[0]) * (y.int() - zero_points[1]), how)


def concat(*maps, zero_points, how: Requantization, axis: int = 1) -> Tensor:
    """Maps side by side on one grid; `how` has a multiplier for each of them."""
    parts = [
        requantize(x.int() - zero_points[i], Requantization(*factor, *how[3:]))
        for i, (x, *factor) in enumerate(zip(maps, *how[:3], strict=True))
    ]
    return torch.cat(parts, axis)


def average_pool(
    x: Int[Tensor, "B C H W"], zero_point, how, kernel, stride=None, padding=0
) -> Int[Tensor, "B C h w"]:
    """Sums of windows; dividing by their size is a part of the factor (Eq. 21.9)."""
    centred = x.long() - zero_point  # torch pools int64, not int32
    total = F.avg_pool2d(centred, kernel, stride, padding, divisor_override=1)
    return requantize(total, how)


def mean(x: Int[Tensor, "*n"], zero_point, how, dim, keepdim=False) -> Tensor:
    """The mean over whole axes, as `average_pool`."""
    return requantize((x.int() - zero_point).sum(dim, keepdim), how)


def max_pool(x: Int[Tensor, "B C H W"], window) -> Int[Tensor, "B C h w"]:
    """The largest of each window; `window` is what follows x in `F.max_pool2d`."""
    return F.max_pool2d(x, *window)


def nearest(x: Shaped[Tensor, "B C h w"], size) -> Shaped[Tensor, "B C H W"]:
    """Repeat pixels: pixel i of H is pixel floor(i h / H) of h."""
    rows, columns = (
        torch.arange(n, device=x.device) * old // n
        for n, old in zip(size, x.shape[2:], strict=True)
    )
    return x[:, :, rows[:, None], columns]


def pad(x: Int[Tensor, "*n"], sides, value) -> Tensor:
    """A frame around a map; the integer that means 0 is its zero point."""
    return F.pad(x, sides, value=int(value))


def clip(x: Int[Tensor, "*n"], low, high) -> Int[Tensor, "*n"]:
    """ReLU or ReLU6 of a map that is rounded already."""
    return x.clamp(low, high)


def lookup(x: Int[Tensor, "*n"], table: Int[Tensor, " t"], low) -> Int[Tensor, "*n"]:
    """Any function of one value, from its table, which begins at the integer `low`."""
    return table[(x - low).long()]


class Step(nn.Module):
    """An operator of this file, and the integers it needs beside maps, as buffers."""

    def __init__(self, run: Callable, how: Requantization | None, tensors, **settings):
        super().__init__()
        self.run, self.settings, self.rounds = run, settings, how is not None
        for name, value in tensors.items():
            self.register_buffer(name, value.clone())
        for name, value in how._asdict().items() if how else ():
            self.register_buffer(f"to_{name}", _narrow(value))

    def forward(self, *maps: Tensor) -> Tensor:
        tensors = dict(self.named_buffers())
        if self.rounds:  # products need all 64 bits
            keys = Requantization._fields
            how = Requantization(*(tensors.pop(f"to_{key}").long() for key in keys))
            tensors["how"] = how
        return self.run(*maps, **tensors, **self.settings)


def _narrow(value: Tensor) -> Tensor:
    """A copy in int8 or int32 where that holds it."""
    for kind in (torch.int8, torch.int32):
        if torch.equal(value.to(kind).long(), value.long()):
            return value.to(kind, copy=True)
    return value.clone()
