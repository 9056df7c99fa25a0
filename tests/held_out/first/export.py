"""Chapter 22: answers from the task texts."""

import math
from fractions import Fraction

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 22.1: no right value, since Eq. 22.6 does not stand in the text

wrong_value("export.kilobytes", 73.984, "four bytes for everything, as in float32")
wrong_value("export.kilobytes", 18_688, "bytes, not kB")
wrong_value("export.kilobytes", 18.25, "kB of 1,024 bytes")
wrong_value("export.kilobytes", 2.304, "one pixel in place of 3 x 3")
wrong_value("export.kilobytes", 0.832, "one channel in place of 32")

# 22.2

wrong_value("export.first_bits", 7, "sums as if there were no sign: up to 65,535")
wrong_value("export.first_bits", 8, "what bytes have")
wrong_value("export.first_bits", 5, "one bit too few")
wrong_value("export.first_bits", 32, "the largest weight, not its bits")
wrong_value("export.first_bits", 16, "the bits of the sum")
right_value("export.first_bits", 6)
right_value("export.first_bits", 6.0)

# 22.3


@wrong("export.requantize", "adds the zero point before it rounds")
def requantize_1(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return torch.round(real + y_zero).clamp(0, 255).float()


@wrong("export.requantize", "a half goes up")
def requantize_2(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return (torch.floor(real + 0.5) + y_zero).clamp(0, 255).float()


@wrong("export.requantize", "clamps before it adds the zero point")
def requantize_3(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return (torch.round(real).clamp(0, 255) + y_zero).float()


@wrong("export.requantize", "clamps to bytes with a sign")
def requantize_4(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return (torch.round(real) + y_zero).clamp(-128, 127).float()


@wrong("export.requantize", "a tensor of bytes, not of float32")
def requantize_5(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return (torch.round(real) + y_zero).clamp(0, 255).to(torch.uint8)


@wrong("export.requantize", "a filter's scale goes along the columns")
def requantize_6(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale / y_scale)
    return (torch.round(real) + y_zero).clamp(0, 255).float()


@wrong("export.requantize", "multiplies by the output's scale")
def requantize_7(total, x_scale, w_scale, y_scale, y_zero):
    real = total * x_scale * w_scale[:, None] * y_scale
    return (torch.round(real) + y_zero).clamp(0, 255).float()


@wrong("export.requantize", "cuts the fraction off")
def requantize_8(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale[:, None] / y_scale)
    return (torch.trunc(real) + y_zero).clamp(0, 255).float()


@right("export.requantize")
def requantize_9(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    whole = torch.round(total * factor[:, None]) + y_zero
    return whole.clamp(0, 255).float()


@right("export.requantize")
def requantize_10(total, x_scale, w_scale, y_scale, y_zero):
    rows = []
    for row, scale in zip(total.tolist(), w_scale.tolist(), strict=True):
        factor = x_scale * scale / y_scale
        rows.append([min(255, max(0, round(t * factor) + y_zero)) for t in row])
    return torch.tensor(rows, dtype=torch.float32)


@right("export.requantize")
def requantize_11(total, x_scale, w_scale, y_scale, y_zero):
    real = np.diag(w_scale.double().numpy()) @ total.double().numpy()
    whole = np.rint(real * x_scale / y_scale) + y_zero
    return torch.from_numpy(np.clip(whole, 0, 255).astype(np.float32))


@right("export.requantize")
def requantize_12(total, x_scale, w_scale, y_scale, y_zero):
    real = torch.einsum("cn,c->cn", total.to(torch.float64), w_scale.double())
    whole = (real * (x_scale / y_scale)).round().add(y_zero)
    low, high = torch.zeros_like(whole), torch.full_like(whole, 255)
    return whole.minimum(high).maximum(low).to(torch.float32)


# 22.4


@wrong("export.pads_behind", "rounds the number of windows down, as without ceil_mode")
def pads_behind_1(size, kernel, stride, before):
    windows = (size + 2 * before - kernel) // stride + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "keeps the last window wherever it begins")
def pads_behind_2(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "drops the last window only beyond n + b, not at it")
def pads_behind_3(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride > size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "gives a negative number where rows are left over")
def pads_behind_4(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return (windows - 1) * stride + kernel - size - before


@wrong("export.pads_behind", "forgets the pads in front")
def pads_behind_5(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size)


@wrong("export.pads_behind", "the last window may not begin at n or later")
def pads_behind_6(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "the same as in front")
def pads_behind_7(size, kernel, stride, before):
    return before


@wrong("export.pads_behind", "forgets the 1 of the number of windows")
def pads_behind_8(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride)
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@right("export.pads_behind")
def pads_behind_9(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@right("export.pads_behind")
def pads_behind_10(size, kernel, stride, before):
    last = -(-(size + 2 * before - kernel) // stride) * stride
    if last >= size + before:
        last -= stride
    behind = last + kernel - (before + size)
    return behind if behind > 0 else 0


@right("export.pads_behind")
def pads_behind_11(size, kernel, stride, before):
    """Walk window by window."""
    begin = 0
    while begin + kernel < size + 2 * before:
        begin += stride
    if begin >= size + before:
        begin -= stride
    return max(begin + kernel - size - before, 0)


@right("export.pads_behind")
def pads_behind_12(size, kernel, stride, before):
    count = 1 + math.ceil(Fraction(size + 2 * before - kernel, stride))
    begins = [i * stride for i in range(count)]
    if begins[-1] >= size + before:
        begins.pop()
    pads = 0
    while before + size + pads < begins[-1] + kernel:
        pads += 1
    return pads
