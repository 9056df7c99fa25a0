"""Chapter 21: answers from the task texts."""

from fractions import Fraction

import torch
from torch.nn import functional as F

from lib.compression import arithmetic
from tests.held_out import right, wrong


@wrong("integer.accumulate", "subtracts the zero point in bytes, which wrap around")
def accumulate_1(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    shifted = (x - zero_point).to(torch.int32)
    if bias is not None:
        bias = bias.to(torch.int32)
    return F.conv2d(
        shifted, weight.to(torch.int32), bias, stride, padding, dilation, groups
    )


@wrong("integer.accumulate", "pads with the integer 0, not with what means 0")
def accumulate_2(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    sides = (padding, padding) if isinstance(padding, int) else tuple(padding)
    high, wide = sides
    x = F.pad(x.to(torch.int32), (wide, wide, high, high))
    x = x - zero_point
    out = F.conv2d(
        x.to(torch.int32), weight.to(torch.int32), None, stride, 0, dilation, groups
    )
    if bias is not None:
        out = out + bias.view(1, -1, 1, 1)
    return out.to(torch.int32)


@wrong("integer.accumulate", "the zero point is not subtracted")
def accumulate_3(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    return F.conv2d(x.int(), weight.int(), bias, stride, padding, dilation, groups)


@wrong("integer.accumulate", "the bias is left out")
def accumulate_4(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    x = (x.int() - zero_point).int()
    return F.conv2d(x, weight.int(), None, stride, padding, dilation, groups)


@wrong("integer.accumulate", "computes in float32, which loses the last bits")
def accumulate_5(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    bias = None if bias is None else bias.float()
    out = F.conv2d(
        x.float() - zero_point,
        weight.float(),
        bias,
        stride,
        padding,
        dilation,
        groups,
    )
    return out.round().to(torch.int32)


@wrong("integer.accumulate", "subtracts the zero point once a sum, not once a pixel")
def accumulate_6(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    out = F.conv2d(x.int(), weight.int(), bias, stride, padding, dilation, groups)
    return (out - zero_point).int()


@right("integer.accumulate")
def accumulate_7(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    x = (x.to(torch.int32) - zero_point).to(torch.int32)
    weight = weight.to(torch.int32)
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


@right("integer.accumulate")
def accumulate_8(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    x = x.to(torch.int64) - zero_point
    weight = weight.to(torch.int64)
    high, wide = (padding, padding) if isinstance(padding, int) else padding
    down, along = (stride, stride) if isinstance(stride, int) else stride
    x = F.pad(x, (wide, wide, high, high))
    filters, _, k, l_ = weight.shape
    parts = []
    for maps, kernels in zip(x.chunk(groups, 1), weight.chunk(groups, 0), strict=True):
        windows = maps.unfold(2, k, down).unfold(3, l_, along)
        windows = windows.permute(0, 2, 3, 1, 4, 5).flatten(3)
        sums = (windows.unsqueeze(3) * kernels.flatten(1)).sum(-1)
        parts.append(sums.permute(0, 3, 1, 2))
    out = torch.cat(parts, 1)
    if bias is not None:
        out = out + bias.reshape(1, filters, 1, 1)
    return out.to(torch.int32)


@right("integer.accumulate")
def accumulate_9(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    high, wide = (padding, padding) if isinstance(padding, int) else padding
    z = int(zero_point)
    x = F.pad(x.to(torch.int64), (wide, wide, high, high), value=z)
    weight = weight.to(torch.int64)
    out = F.conv2d(x, weight, None, stride, 0, dilation, groups)
    out -= z * weight.sum((1, 2, 3)).view(1, -1, 1, 1)
    if bias is not None:
        out += bias.to(torch.int64).view(1, -1, 1, 1)
    return out.int()


@wrong("integer.to_next_map", "halves go up, not to the even side")
def to_next_map_1(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.to(torch.int64) * multiplier + offset
    half = torch.ones_like(shift) << (shift - 1)
    y = ((product + half) >> shift) + zero_point
    return torch.minimum(torch.maximum(y, low), high).to(torch.int32)


@wrong("integer.to_next_map", "shifts without rounding")
def to_next_map_2(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.long() * multiplier + offset
    y = (product >> shift) + zero_point
    return torch.clamp(y, low, high).to(torch.int32)


@wrong("integer.to_next_map", "rounds after the zero point was added")
def to_next_map_3(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.long() * multiplier + offset + (zero_point << shift)
    y = arithmetic.rounded_shift(product, shift)
    return y.clamp(low, high).to(torch.int32)


@wrong("integer.to_next_map", "clips before the zero point is added")
def to_next_map_4(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.long() * multiplier + offset
    y = arithmetic.rounded_shift(product, shift).clamp(low, high)
    return (y + zero_point).to(torch.int32)


@wrong("integer.to_next_map", "adds the offset after the shift")
def to_next_map_5(sums, multiplier, shift, offset, zero_point, low, high):
    y = arithmetic.rounded_shift(sums.long() * multiplier, shift)
    return (y + offset + zero_point).clamp(low, high).int()


@wrong("integer.to_next_map", "multiplies in 32 bits, which run over")
def to_next_map_6(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.int() * multiplier.int() + offset.int()
    y = arithmetic.rounded_shift(product.long(), shift) + zero_point
    return y.clamp(low, high).int()


@right("integer.to_next_map")
def to_next_map_7(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.to(torch.int64) * multiplier + offset
    y = arithmetic.rounded_shift(product, shift) + zero_point
    return torch.minimum(torch.maximum(y, low), high).to(torch.int32)


@right("integer.to_next_map")
def to_next_map_8(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.long() * multiplier + offset
    down = product >> shift
    rest = product - (down << shift)
    half = torch.ones_like(shift) << (shift - 1)
    odd = (down & 1) == 1
    up = (rest > half) | ((rest == half) & odd)
    y = down + up.long() + zero_point
    y = torch.where(y < low, low, y)
    return torch.where(y > high, high, y).int()


@right("integer.to_next_map")
def to_next_map_9(sums, multiplier, shift, offset, zero_point, low, high):
    every = torch.broadcast_tensors(
        sums.long(), multiplier, shift, offset, zero_point, low, high
    )
    out = []
    for a, m, n, r, z, least, most in zip(
        *(t.flatten().tolist() for t in every), strict=True
    ):
        y = z + round(Fraction(a * m + r, 2**n))  # Python: a half to the even one
        out.append(max(least, min(most, y)))
    return torch.tensor(out, dtype=torch.int32).reshape(every[0].shape)
