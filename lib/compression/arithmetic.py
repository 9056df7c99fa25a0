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
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int, Integer, Shaped
from torch import Tensor

from lib.basics import arguments
from lib.compression import checked
from lib.compression.quantize import QParams

INT32_MAX = 2**31 - 1  # that an int32 accumulator holds


def _from_zero(x, zero_point, name: str = "x") -> Tensor:
    """Integers less the one that means 0, in int32."""
    return checked.integer_tensor(name, x).int() - checked.integer(
        "zero_point", zero_point
    )


def _grid(name: str, value) -> QParams:
    return checked.grid_of_map(name, value, QParams)


# ------------------------------------------------------ real factors become integers
def fixed_point(factor) -> tuple[Tensor, Tensor]:
    """Integers `multiplier` in [2^30, 2^31) and `shift`: factor = multiplier / 2^shift.

    `factor` is a number or a tensor of them, above 0 and below 2^30, else ValueError.
    Both results are int64; the relative error is at most 2^-31.

    0.0003 doubled 11 times is 0.6144, and 0.6144 * 2^31 = 1319413953.3:

    >>> multiplier, shift = fixed_point(0.0003)
    >>> multiplier.item(), shift.item()
    (1319413953, 42)
    """
    factor = checked.reals("factor", factor)
    fits = (factor > 0) & (factor < 2**30)
    if not fits.all():
        bad = factor[~fits][0].item()
        raise ValueError(f"factor is {bad:g}; it lies above 0 and below 2^30")
    mantissa, exponent = torch.frexp(factor)  # 0.5 <= mantissa < 1
    multiplier = (mantissa * 2**31).round().long()
    carried = multiplier == 2**31  # a mantissa just below 1
    multiplier = torch.where(carried, 2**30, multiplier)
    exponent = exponent.long() + carried
    shift = 31 - exponent  # Eq. 21.3
    # 64 bits end at 62, and a factor below 2^-32 takes any accumulator to 0 anyway.
    excess = (shift - 62).clamp(0, 31)
    return multiplier >> excess, shift.clamp(max=62)


def common_step(steps: Iterable[float], largest: Iterable[int]):
    """Integer weights that take maps to one finer step, and that step (Eq. 21.8).

    `steps` are those of the maps, times their coefficients; `largest` has the largest
    |q - z| of each. The weights are int32. As many bits as int32 leaves, 20 or more for
    a handful of maps. The longest step is the new one times a power of 2: equal maps
    meet without error.

    The sum of 0.5 and 0.125 reaches 1 * 255 + 0.25 * 255 = 318.75 long steps, and
    2^31 / 318.75 lies between 2^22 and 2^23:

    >>> weights, step = common_step([0.5, 0.125], largest=[255, 255])
    >>> weights.tolist(), step == 0.5 / 2**22
    ([4194304, 1048576], True)
    """
    steps = arguments.sequence("steps", steps)
    steps = [arguments.real_number("steps", step) for step in steps]
    largest = arguments.whole_numbers("largest", largest, least=1)
    if len(steps) != len(largest):
        raise ValueError(f"steps is {steps}, largest {largest}; one for each map")
    lengths = [abs(step) for step in steps]
    longest = max(lengths)
    if longest == 0:
        raise ValueError(f"steps is {steps}; one at least is not 0")
    pairs = zip(lengths, largest, strict=True)
    largest_sum = sum(length / longest * magnitude for length, magnitude in pairs)
    # Rounding a weight adds 1/2 at most, so a sum gains no more than half of this.
    room = INT32_MAX - sum(largest)
    if room < largest_sum:
        raise ValueError(f"sums reach {largest_sum:.3g}; int32 ends at 2^31")
    bits = math.floor(math.log2(room / largest_sum))
    bits = min(30, bits)
    unit = longest / 2**bits
    weights = [round(step / longest * 2**bits) for step in steps]
    return torch.tensor(weights, dtype=torch.int32), unit


def accumulator_bound(weight: Tensor, bias: Tensor | None, largest: int) -> Tensor:
    """What |accumulator| cannot exceed, for each filter; `largest` is max |q - z|.

    Eq. 21.7. Partial sums obey it too, in any order.

    >>> weight, bias = torch.tensor([[100, -120, 90]]), torch.tensor([1000])
    >>> accumulator_bound(weight, bias, largest=128).item()  # 1000 + 128 * 310
    40680
    """
    weight = checked.integer_tensor("weight", weight)
    largest = arguments.whole_number("largest", largest, 0, 2**31)
    magnitudes = weight.long().abs()
    per_filter = magnitudes.flatten(1).sum(1)
    bound = per_filter * largest  # filters
    if bias is None:
        return bound
    bias = checked.integer_tensor("bias", bias)
    return bound + bias.long().abs()


# ----------------------------------------------------------------------- requantization
def rounded_shift(product: Int[Tensor, "*n"], shift) -> Int[Tensor, "*n"]:
    """product / 2^shift to the nearest integer, a half to the even one; shift >= 1.

    A shift alone rounds down, and with half added first it rounds halves up. Add one
    less than half, and one more where the result would be odd: a half ends on the even
    side (Eq. 21.4).

    2.5, 3.5 and -1.5, in quarters:

    >>> rounded_shift(torch.tensor([10, 14, -6]), 2).tolist()
    [2, 4, -2]
    """
    product = checked.integer_tensor("product", product)
    shift = checked.integer("shift", shift)
    if not isinstance(shift, Tensor):
        arguments.whole_number("shift", shift, 1, 62)
    rounded_down = product >> shift
    odd = rounded_down & 1
    half = 1 << (shift - 1)
    return (product + half - 1 + odd) >> shift


@arguments.named
def to_next_map(
    sums: Int[Tensor, "..."], multiplier: Int[Tensor, "..."], shift: Int[Tensor, "..."],
    offset: Int[Tensor, "..."], zero_point: Int[Tensor, "..."],
    low: Int[Tensor, "..."], high: Int[Tensor, "..."],
) -> Int[Tensor, "..."]:  # fmt: skip
    """Sums times multiplier / 2^shift, on the grid of the next map (Eq. 21.5), int32.

    `sums` are whole numbers below 2^31; all others are int64 and broadcast to them.
    `offset` counts in steps of the product, `zero_point` in those of the next map.

    19661 / 2^26 is 0.000293: 32640 of it are 9.56, so 10, and zero stands at 3.

    >>> stage = [torch.tensor(value) for value in (19661, 26, 0, 3, 0, 255)]
    >>> to_next_map(torch.tensor([32640, 10**7]), *stage).tolist()
    [13, 255]
    """
    product = sums.long() * multiplier  # 31 bits times 31 bits
    steps = rounded_shift(product + offset, shift)
    integers = steps + zero_point
    return integers.clamp(low, high).int()  # Eq. 21.5


class OutputStage(NamedTuple):
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
    accumulators: Int[Tensor, "..."], stage: OutputStage, axis: int = 1
) -> Int[Tensor, "..."]:
    """Integers of the next map, int32; channels of `stage` stand along `axis`.

    32640 * 0.0003 = 9.79 becomes 10, and the zero point is 3:

    >>> next_map = QParams(torch.tensor(0.2), torch.tensor(3), 0, 255)
    >>> stage = choose_output_stage(0.0003, next_map)
    >>> requantize(torch.tensor([32640]), stage).item()
    13
    """
    accumulators = checked.integer_tensor("accumulators", accumulators)
    arguments.instance("stage", stage, OutputStage, "choose_output_stage makes one")
    of_channels = _along(axis, accumulators, stage[:3])
    return to_next_map(accumulators, *of_channels, *stage[3:])


def _along(axis: int, x: Tensor, values: tuple[Tensor, ...]) -> list[Tensor]:
    """Values of channels in a shape that broadcasts to x; single values as they are."""
    axis = arguments.whole_number("axis", axis)
    behind = x.dim() - 1 - axis % max(1, x.dim())  # axes
    shape = [-1] + [1] * behind
    return [value.reshape(shape) if value.dim() else value for value in values]


# ---------------------------------------------------------------- grids become integers
def largest_magnitude(grid: QParams) -> int:
    """The largest |q - z| that a map on a grid can hold.

    >>> largest_magnitude(QParams(torch.tensor(0.1), torch.tensor(200), 0, 255))
    200
    """
    zero_point = int(_grid("grid", grid).zero_point)
    return max(grid.high - zero_point, zero_point - grid.low)


def bounds(grid: QParams, lower: float, upper: float) -> Int[Tensor, "2"]:
    """The integers of two real bounds, inside the grid (Eq. 21.6).

    ReLU6 in steps of 0.2 with zero at 3 ends at 3 + 6 / 0.2 = 33:

    >>> bounds(QParams(torch.tensor(0.2), torch.tensor(3), 0, 255), 0.0, 6.0).tolist()
    [3, 33]
    """
    lower = arguments.real_number("lower", lower, infinite=True)
    upper = arguments.real_number("upper", upper, infinite=True)
    steps = torch.tensor([lower, upper]) * (1 / _grid("grid", grid).scale)
    integers = steps.round() + grid.zero_point
    return integers.clamp(grid.low, grid.high).long()


def choose_output_stage(
    factor, out: QParams, lower=-math.inf, upper=math.inf, rest=0.0
) -> OutputStage:
    """How accumulators with steps `factor` times those of `out` come onto its grid.

    `lower` and `upper` are the bounds of an activation as real numbers: ReLU6 is 0, 6,
    and costs nothing, since the result is clipped in any case. `rest` is added to the
    accumulators: the part of a step that they cannot hold.
    """
    out = _grid("out", out)
    multiplier, shift = fixed_point(factor)
    rest = checked.reals("rest", rest)
    offset = (rest * multiplier).round().long()
    low, high = bounds(out, lower, upper)
    return OutputStage(multiplier, shift, offset, out.zero_point.long(), low, high)


class IntegerLayer(NamedTuple):
    """Weight and bias of a convolution or linear layer, as a device stores them."""

    weight: Tensor  # int8 where that is wide enough; no zero point
    bias: Tensor  # int32, in steps of an accumulator
    step: Tensor  # of an accumulator, for each filter (float64)
    rest: Tensor  # what rounding took from the bias, in the same steps


def integer_layer(
    weight: Tensor, bias: Tensor | None, weight_grid: QParams, input_grid: QParams
) -> IntegerLayer:
    """A layer from the integers of its weight and its real bias.

    ValueError if the accumulator could leave int32.

    A step of the sum is 0.02 * 0.003 = 0.00006, so a bias of 0.06 is 1000 of them:

    >>> weight_grid = QParams(torch.tensor(0.003), torch.tensor(0), -127, 127)
    >>> input_grid = QParams(torch.tensor(0.02), torch.tensor(128), 0, 255)
    >>> taps, bias = torch.tensor([[100, -120, 90]]), torch.tensor([0.06])
    >>> integer_layer(taps, bias, weight_grid, input_grid).bias.tolist()
    [1000]
    """
    weight = checked.integer_tensor("weight", weight)
    arguments.instance("weight_grid", weight_grid, QParams)
    input_grid = _grid("input_grid", input_grid)
    if weight_grid.group is not None or weight_grid.axis not in (None, 0):
        raise ValueError("weights have steps by group; an accumulator has one step")
    filters = [-1] + [1] * (weight.dim() - 1)
    weight = weight - weight_grid.zero_point.reshape(filters)
    step = weight_grid.scale.double() * input_grid.scale.double()
    step = step.expand(len(weight))
    if bias is None:
        bias = torch.zeros_like(step)
    else:
        bias = arguments.real_tensor("bias", bias).double() / step  # Eq. 21.2

    largest_sum = accumulator_bound(weight, None, largest_magnitude(input_grid))
    room = INT32_MAX - largest_sum  # for the bias
    if (room <= 0).any():
        reached = int(largest_sum.max())
        raise ValueError(f"sums reach {reached}; int32 ends at 2^31")

    # Weights that training drove to 0 have a tiny step, and in such steps a bias needs
    # more than 32 bits. The filter gets larger steps: its weights hardly count.
    doublings = (bias.abs() / room).log2().ceil().clamp(min=0)
    longer = 2**doublings
    step, bias = step * longer, bias / longer
    weight = (weight / longer.reshape(filters)).round().int()

    narrow = weight.abs().max() < 128
    weight = weight.to(torch.int8 if narrow else torch.int32)
    whole = bias.round()
    return IntegerLayer(weight, whole.int(), step, bias - whole)


# --------------------------------------------------------------------------- the layers
def accumulate(
    x: Integer[Tensor, "B C H W"], weight, bias, zero_point,
    stride=1, padding=0, dilation=1, groups=1,
) -> Int[Tensor, "B F h w"]:  # fmt: skip
    """The sums of a convolution, in int32 from end to end (Eq. 21.1).

    The zero point is taken away first: then 0 means 0, and zeros are right as padding.
    torch's convolution of int32 tensors adds in int32, and wraps around as that does.

    Pixels 122, -108 and 72 from zero: 100 * 122 + 120 * 108 + 90 * 72 + 1000:

    >>> x = torch.tensor([250, 20, 200]).reshape(1, 1, 1, 3)
    >>> weight = torch.tensor([100, -120, 90]).reshape(1, 1, 1, 3)
    >>> accumulate(x, weight, torch.tensor([1000]).int(), zero_point=128).item()
    32640
    """
    centred = _from_zero(x, zero_point)  # B C H W
    weight = _dilated(weight, dilation)  # F C k k
    return F.conv2d(centred, weight, _bias(bias), stride, padding, 1, groups)  # B F h w


def _bias(bias) -> Tensor | None:
    return None if bias is None else arguments.tensor("bias", bias, "F", torch.int32)


def _dilated(weight: Tensor, dilation) -> Tensor:
    """A filter in int32, zeros between its taps: torch has no dilated integer one."""
    weight = checked.integer_tensor("weight", weight).int()
    rows, columns = (dilation,) * 2 if isinstance(dilation, int) else dilation
    if rows == columns == 1:
        return weight
    *filters, h, w = weight.shape
    wide = weight.new_zeros(*filters, (h - 1) * rows + 1, (w - 1) * columns + 1)
    wide[..., ::rows, ::columns] = weight
    return wide


def accumulate_linear(
    x: Integer[Tensor, "*B C"], weight, bias, zero_point
) -> Int[Tensor, "*B F"]:
    """The sums of a linear layer, in int32."""
    centred = _from_zero(x, zero_point)
    weight = checked.integer_tensor("weight", weight).int()
    return F.linear(centred, weight, _bias(bias))


def conv2d(x, weight, bias, zero_point, stage: OutputStage, **geometry) -> Tensor:
    """A convolution; `zero_point` is that of `x`, the one of weights is 0."""
    accumulators = accumulate(x, weight, bias, zero_point, **geometry)
    return requantize(accumulators, stage)


def linear(x, weight, bias, zero_point, stage: OutputStage) -> Tensor:
    """A linear layer; channels come last."""
    accumulators = accumulate_linear(x, weight, bias, zero_point)
    return requantize(accumulators, stage, axis=-1)


def sum_of_products(window: list, kernel: list, start: int, zero_point: int) -> int:
    """`start`, and then weight times pixel, one after the other (Eq. 21.1).

    `window` and `kernel` are nested lists (C, k, k) of Python's integers. OverflowError
    if the sum leaves int32 on its way.

    >>> sum_of_products([[[250, 20, 200]]], [[[100, -120, 90]]], 1000, zero_point=128)
    32640
    """
    checked.nested("window", window, 3)
    checked.nested("kernel", kernel, 3)
    zero_point = arguments.whole_number("zero_point", zero_point)
    total = arguments.whole_number("start", start)
    for channel, weights in zip(window, kernel, strict=True):
        for pixel_row, weight_row in zip(channel, weights, strict=True):
            for pixel, weight in zip(pixel_row, weight_row, strict=True):
                centred = pixel - zero_point
                total += weight * centred
                if not -INT32_MAX - 1 <= total <= INT32_MAX:
                    raise OverflowError(f"{total} needs more than 32 bits")
    return total


def slow_convolution(x: list, weight: list, bias: list, zero_point: int) -> list:
    """`accumulate` of one picture, one product after the other: made to be read.

    Nested lists (C, H, W), (F, C, k, k), (F) of Python's integers; no padding, step 1.
    OverflowError if a sum leaves int32 on its way.

    >>> slow_convolution([[[250, 20], [200, 1]]], [[[[100]]]], [1000], zero_point=128)
    [[[13200, -9800], [8200, -11700]]]
    """
    checked.nested("x", x, 3)
    checked.nested("weight", weight, 4)
    bias = arguments.whole_numbers("bias", bias)
    if len(bias) != len(weight):
        raise ValueError(f"bias has {len(bias)} values, weight {len(weight)} filters")
    k = len(weight[0][0])
    rows = len(x[0]) - k + 1
    columns = len(x[0][0]) - k + 1
    sums = []
    for kernel, start in zip(weight, bias, strict=True):
        of_filter = []
        for row in range(rows):
            lines = [channel[row : row + k] for channel in x]
            of_row = []
            for column in range(columns):
                taps = slice(column, column + k)
                window = [[line[taps] for line in channel] for channel in lines]
                total = sum_of_products(window, kernel, start, zero_point)
                of_row.append(total)
            of_filter.append(of_row)
        sums.append(of_filter)
    return sums


# --------------------------------------------------------------------------------- maps
def weighted_sum(*maps, zero_points, weights, stage: OutputStage) -> Tensor:
    """The sum of maps with steps of their own: first to a common, finer one (Eq. 21.8).

    `weights` (int32) take each map there, and `stage` takes the sum to the result.
    Adding two maps, fusing three, and changing the grid of one are all this.
    """
    zero_points = checked.each("zero_points", zero_points, len(maps))
    weights = checked.each("weights", weights, len(maps))
    total = 0
    for x, zero_point, weight in zip(maps, zero_points, weights, strict=True):
        weight = checked.integer("weights", weight)
        total = total + _from_zero(x, zero_point) * weight
    return requantize(total, stage)


def multiply(x, y, zero_points, stage: OutputStage) -> Tensor:
    """The product of two maps, for example of a map and its squeeze-excite gate."""
    zero_of_x, zero_of_y = checked.each("zero_points", zero_points, 2)
    centred_x = _from_zero(x, zero_of_x)
    centred_y = _from_zero(y, zero_of_y, "y")
    product = centred_x * centred_y
    return requantize(product, stage)


def concat(*maps, zero_points, stage: OutputStage, axis: int = 1) -> Tensor:
    """Maps side by side on one grid; `stage` has a multiplier for each of them."""
    zero_points = checked.each("zero_points", zero_points, len(maps))
    arguments.instance("stage", stage, OutputStage, "choose_output_stage makes one")
    axis = arguments.whole_number("axis", axis, -8, 8)
    parts = []
    for i, x in enumerate(maps):
        own = [value[i] for value in stage[:3]]
        centred = _from_zero(x, zero_points[i])
        parts.append(requantize(centred, OutputStage(*own, *stage[3:])))
    return torch.cat(parts, axis)


def average_pool(
    x: Int[Tensor, "B C H W"], zero_point, stage: OutputStage,
    kernel, stride=None, padding=0,
) -> Int[Tensor, "B C h w"]:  # fmt: skip
    """Sums of windows; dividing by their size is a part of the factor (Eq. 21.9)."""
    centred = _from_zero(x, zero_point).long()  # torch pools int64, not int32
    with checked.refusing("kernel", kernel, "one side of a window or both"):
        total = F.avg_pool2d(centred, kernel, stride, padding, divisor_override=1)
    return requantize(total, stage)  # B C h w


def mean(
    x: Int[Tensor, "*n"], zero_point, stage: OutputStage, dim, keepdim=False
) -> Tensor:
    """The mean over whole axes, as `average_pool`."""
    centred = _from_zero(x, zero_point)
    with checked.refusing("dim", dim, "axes of x"):
        total = centred.sum(dim, keepdim)
    return requantize(total, stage)


def max_pool(x: Int[Tensor, "B C H W"], window) -> Int[Tensor, "B C h w"]:
    """The largest of each window; `window` is what follows x in `F.max_pool2d`."""
    x = checked.integer_tensor("x", x)
    with checked.refusing(
        "window", window, "kernel, stride, padding as in F.max_pool2d"
    ):
        return F.max_pool2d(x, *window)


def nearest(x: Shaped[Tensor, "B C h w"], size) -> Shaped[Tensor, "B C H W"]:
    """Repeat pixels: pixel i of H is pixel floor(i h / H) of h."""
    arguments.tensor("x", x, "B C h w")
    size = arguments.whole_numbers("size", size, least=1)
    if len(size) != 2:
        raise arguments.refuse("size", size, "rows and columns")
    rows, columns = (
        torch.arange(n, device=x.device) * old // n
        for n, old in zip(size, x.shape[2:], strict=True)
    )
    return x[:, :, rows[:, None], columns]


def pad(x: Int[Tensor, "*n"], sides, value) -> Tensor:
    """A frame around a map; the integer that means 0 is its zero point."""
    x = checked.integer_tensor("x", x)
    value = arguments.whole_number("value", value, -(2**31), 2**31)
    with checked.refusing(
        "sides", sides, "pixels before and behind, from the last axis on"
    ):
        return F.pad(x, sides, value=value)


def clip(x: Int[Tensor, "*n"], low, high) -> Int[Tensor, "*n"]:
    """ReLU or ReLU6 of a map that is rounded already."""
    return checked.integer_tensor("x", x).clamp(
        checked.integer("low", low), checked.integer("high", high)
    )


def lookup(x: Int[Tensor, "*n"], table: Int[Tensor, " t"], low) -> Int[Tensor, "*n"]:
    """Any function of one value, from its table, which begins at the integer `low`."""
    return checked.integer_tensor("table", table)[
        checked.integer_tensor("x", x).long() - checked.integer("low", low)
    ]
