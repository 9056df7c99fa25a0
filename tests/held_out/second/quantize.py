"""Chapter 19: answers from the task texts."""

import math

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- bits_for_sixty ---

wrong_value("quantize.bits_for_sixty", 9, "the number of bits is rounded down")
wrong_value("quantize.bits_for_sixty", 11, "one bit more for the sign")
wrong_value("quantize.bits_for_sixty", 20, "3 dB a bit: power in place of amplitude")
right_value("quantize.bits_for_sixty", 10)
right_value("quantize.bits_for_sixty", 10.0)

# --- spoiler ---

wrong_value("quantize.spoiler", 8, "eight, since three bits are lost")
wrong_value("quantize.spoiler", 32, "two to the five")
wrong_value("quantize.spoiler", 4, "two bits are lost")
right_value("quantize.spoiler", 16)
right_value("quantize.spoiler", 16.0)

# --- power_of_two_scale ---


@wrong("quantize.power_of_two_scale", "the nearest power, which may cut off")
def power_of_two_scale_1(x, bits):
    scale = float(x.abs().max()) / (2 ** (bits - 1) - 1)
    return 2.0 ** round(math.log2(scale))


@wrong("quantize.power_of_two_scale", "the grid ends at 2 to the (bits - 1)")
def power_of_two_scale_2(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / 2 ** (bits - 1)))


@wrong("quantize.power_of_two_scale", "the largest number, not the largest size")
def power_of_two_scale_3(x, bits):
    top = max(float(x.max()), 1e-12)
    return 2.0 ** math.ceil(math.log2(top / (2 ** (bits - 1) - 1)))


@wrong("quantize.power_of_two_scale", "never below 1")
def power_of_two_scale_4(x, bits):
    scale = 1.0
    while scale * (2 ** (bits - 1) - 1) < float(x.abs().max()):
        scale *= 2
    return scale


@wrong("quantize.power_of_two_scale", "an exact fit goes one power further")
def power_of_two_scale_5(x, bits):
    scale = float(x.abs().max()) / (2 ** (bits - 1) - 1)
    return 2.0 ** (math.floor(math.log2(scale)) + 1)


@wrong("quantize.power_of_two_scale", "the exponent, not the scale")
def power_of_two_scale_6(x, bits):
    return float(math.ceil(math.log2(float(x.abs().max()) / (2 ** (bits - 1) - 1))))


@wrong("quantize.power_of_two_scale", "the grid has all 2^bits - 1 steps on one side")
def power_of_two_scale_7(x, bits):
    return 2.0 ** math.ceil(math.log2(float(x.abs().max()) / (2**bits - 1)))


@right("quantize.power_of_two_scale")
def power_of_two_scale_8(x, bits):
    top, largest = 2 ** (bits - 1) - 1, float(x.abs().max())
    scale = 1.0
    while scale * top < largest:
        scale *= 2
    while scale / 2 * top >= largest:
        scale /= 2
    return scale


@right("quantize.power_of_two_scale")
def power_of_two_scale_9(x, bits):
    top = 2 ** (bits - 1) - 1
    fraction, exponent = math.frexp(float(x.abs().max()) / top)
    return 2.0 ** (exponent - 1 if fraction == 0.5 else exponent)


@right("quantize.power_of_two_scale")
def power_of_two_scale_10(x, bits):
    top = 2 ** (bits - 1) - 1
    largest = x.abs().max().item()
    return next(2.0**n for n in range(-140, 140) if 2.0**n * top >= largest)


# --- fold_before ---


@wrong("quantize.fold_before", "scales the filters, as for a norm behind")
def fold_before_1(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    t = beta - a * mean
    rows = a.repeat(weight.shape[0])[: weight.shape[0]]
    shift = t.repeat(weight.shape[0])[: weight.shape[0]]
    return weight * rows[:, None], bias * rows + shift


@wrong("quantize.fold_before", "the shift goes through the folded weights")
def fold_before_2(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    t = beta - a * mean
    folded = weight * a
    return folded, bias + folded @ t


@wrong("quantize.fold_before", "the mean is forgotten")
def fold_before_3(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, bias + weight @ beta


@wrong("quantize.fold_before", "no root of the variance")
def fold_before_4(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance
    return weight * a, bias + weight @ (beta - a * mean)


@wrong("quantize.fold_before", "the mean is not scaled by a")
def fold_before_5(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a[None], bias + weight @ (beta - mean)


@wrong("quantize.fold_before", "detached: no gradient passes")
def fold_before_6(weight, bias, gamma, beta, mean, variance):
    with torch.no_grad():
        a = gamma / variance.sqrt()
        return weight * a, bias + weight @ (beta - a * mean)


@wrong("quantize.fold_before", "the old bias is left out")
def fold_before_7(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, weight @ (beta - a * mean)


@right("quantize.fold_before")
def fold_before_8(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, bias + weight @ (beta - a * mean)


@right("quantize.fold_before")
def fold_before_9(weight, bias, gamma, beta, mean, variance):
    a = torch.diag(gamma * variance.rsqrt())
    folded = weight @ a
    return folded, torch.nn.functional.linear(beta, weight, bias) - folded @ mean


@right("quantize.fold_before")
def fold_before_10(weight, bias, gamma, beta, mean, variance):
    rows, biases = [], []
    for row, b in zip(weight, bias, strict=True):
        scale = gamma / torch.sqrt(variance)
        rows.append(row * scale)
        biases.append(b + (row * (beta - scale * mean)).sum())
    return torch.stack(rows), torch.stack(biases)
