"""Chapter 22: answers from the task texts."""

import math

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- kilobytes ---

wrong_value("export.kilobytes", 73.984, "four bytes for each weight")
wrong_value("export.kilobytes", 2.112, "one pixel a filter in place of nine")
wrong_value("export.kilobytes", 18.0, "1,024 bytes a kB, and no biases")
wrong_value("export.kilobytes", 147.968, "bits, not bytes")

# --- first_bits ---

wrong_value("export.first_bits", 7, "the bits of two products")
wrong_value("export.first_bits", 5, "the sum may reach half of the range only")
wrong_value("export.first_bits", 8, "nothing changed")
right_value("export.first_bits", 6)
right_value("export.first_bits", 6.0)

# --- requantize ---


@wrong("export.requantize", "a half goes up")
def requantize_1(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    return (torch.floor(total * factor[:, None] + 0.5) + y_zero).clamp(0, 255)


@wrong("export.requantize", "the zero point is added before rounding")
def requantize_2(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    return torch.round(total * factor[:, None] + y_zero).clamp(0, 255)


@wrong("export.requantize", "clamped before the zero point is added")
def requantize_3(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    return torch.round(total * factor[:, None]).clamp(0, 255) + y_zero


@wrong("export.requantize", "the scale of the output multiplies")
def requantize_4(total, x_scale, w_scale, y_scale, y_zero):
    factor = (x_scale * w_scale * y_scale)[:, None]
    return (torch.round(total * factor) + y_zero).clamp(0, 255)


@wrong("export.requantize", "clamped to -128 to 127")
def requantize_5(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    return (torch.round(total * factor[:, None]) + y_zero).clamp(-128, 127)


@wrong("export.requantize", "uint8 in place of float32")
def requantize_6(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    whole = torch.round(total * factor[:, None]) + y_zero
    return whole.clamp(0, 255).to(torch.uint8)


@wrong("export.requantize", "the first filter's scale for all")
def requantize_7(total, x_scale, w_scale, y_scale, y_zero):
    factor = float(x_scale * w_scale[0] / y_scale)
    return (torch.round(total * factor) + y_zero).clamp(0, 255).float()


@wrong("export.requantize", "bytes wrap round, they are not clamped")
def requantize_8(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    whole = torch.round(total * factor[:, None]) + y_zero
    return torch.remainder(whole, 256).float()


@right("export.requantize")
def requantize_9(total, x_scale, w_scale, y_scale, y_zero):
    factor = x_scale * w_scale / y_scale
    return (torch.round(total * factor[:, None]) + y_zero).clamp(0, 255).float()


@right("export.requantize")
def requantize_10(total, x_scale, w_scale, y_scale, y_zero):
    rows = []
    for row, w in zip(total.tolist(), w_scale.tolist(), strict=True):
        whole = [round(v * w * x_scale / y_scale) + y_zero for v in row]
        rows.append([min(255, max(0, v)) for v in whole])
    return torch.tensor(rows, dtype=torch.float32)


@right("export.requantize")
def requantize_11(total, x_scale, w_scale, y_scale, y_zero):
    real = torch.einsum("cn,c->cn", total.double(), w_scale.double()) * x_scale
    out = torch.clamp(torch.round(real / y_scale) + y_zero, min=0, max=255)
    return out.to(torch.float32)


# --- pads_behind ---


@wrong("export.pads_behind", "the last window may begin in the pads")
def pads_behind_1(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "the pads in front are not counted off")
def pads_behind_2(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size)


@wrong("export.pads_behind", "may be negative")
def pads_behind_3(size, kernel, stride, before):
    windows = -(-(size + 2 * before - kernel) // stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return (windows - 1) * stride + kernel - size - before


@wrong("export.pads_behind", "windows are counted with floor")
def pads_behind_4(size, kernel, stride, before):
    windows = (size + 2 * before - kernel) // stride + 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "a window that begins at n + b itself is kept")
def pads_behind_5(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride > size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "counts the start of the last window from the map")
def pads_behind_6(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@wrong("export.pads_behind", "the pads in front are counted off twice")
def pads_behind_7(size, kernel, stride, before):
    windows = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - 2 * before)


@right("export.pads_behind")
def pads_behind_8(size, kernel, stride, before):
    windows = -(-(size + 2 * before - kernel) // stride) + 1
    if (windows - 1) * stride >= size + before:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before)


@right("export.pads_behind")
def pads_behind_9(size, kernel, stride, before):
    count = math.ceil((size + 2 * before - kernel) / stride) + 1
    starts = [i * stride for i in range(count)]
    if starts[-1] >= size + before:
        starts.pop()
    return max(starts[-1] + kernel - (before + size), 0)


@right("export.pads_behind")
def pads_behind_10(size, kernel, stride, before):
    last = 0
    while last + kernel < size + 2 * before:
        last += stride
    if last >= size + before:
        last -= stride
    return max(0, last + kernel - size - before)
