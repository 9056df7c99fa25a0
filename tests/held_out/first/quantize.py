"""Chapter 19: answers from the task texts."""

import math

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 19.1

wrong_value("quantize.bits_for_sixty", 9, "rounded down: 54 dB")
wrong_value("quantize.bits_for_sixty", 11, "one bit more for the sign")
wrong_value("quantize.bits_for_sixty", 20, "3 dB for a bit")
wrong_value("quantize.bits_for_sixty", 9.97, "not a whole number of bits")
wrong_value("quantize.bits_for_sixty", 60, "a bit for a decibel")
right_value("quantize.bits_for_sixty", 10)
right_value("quantize.bits_for_sixty", 10.0)

# 19.2

wrong_value("quantize.spoiler", 8, "three bits are a factor of 8: still 35 dB")
wrong_value("quantize.spoiler", 32, "one power too many")
wrong_value("quantize.spoiler", 4, "the last outlier above 40 dB")
wrong_value("quantize.spoiler", 15, "the range of 16 less the 1: no power of two")
wrong_value("quantize.spoiler", 3, "the bits that are lost")
right_value("quantize.spoiler", 16)
right_value("quantize.spoiler", 16.0)

# 19.3


@wrong("quantize.power_of_two_scale", "rounds to the nearest power, so some is cut off")
def power_of_two_scale_1(x, bits):
    scale = x.abs().max().item() / (2 ** (bits - 1) - 1)
    return 2.0 ** round(math.log2(scale))


@wrong("quantize.power_of_two_scale", "rounds the power down")
def power_of_two_scale_2(x, bits):
    scale = x.abs().max().item() / (2 ** (bits - 1) - 1)
    return 2.0 ** math.floor(math.log2(scale))


@wrong("quantize.power_of_two_scale", "the grid ends at 8 in place of 7")
def power_of_two_scale_3(x, bits):
    return 2.0 ** math.ceil(math.log2(x.abs().max().item() / 2 ** (bits - 1)))


@wrong("quantize.power_of_two_scale", "a grid without a sign, up to 15 with 4 bits")
def power_of_two_scale_4(x, bits):
    return 2.0 ** math.ceil(math.log2(x.abs().max().item() / (2**bits - 1)))


@wrong("quantize.power_of_two_scale", "gives the exponent, not the scale")
def power_of_two_scale_5(x, bits):
    return float(math.ceil(math.log2(x.abs().max().item() / (2 ** (bits - 1) - 1))))


@wrong("quantize.power_of_two_scale", "forgets that the negative ones may be larger")
def power_of_two_scale_6(x, bits):
    top = max(x.max().item(), 1e-9)
    return 2.0 ** math.ceil(math.log2(top / (2 ** (bits - 1) - 1)))


@wrong("quantize.power_of_two_scale", "never finer than 1")
def power_of_two_scale_7(x, bits):
    scale = 1.0
    while x.abs().max().item() > scale * (2 ** (bits - 1) - 1):
        scale *= 2
    return scale


@wrong("quantize.power_of_two_scale", "one power too coarse where it fits exactly")
def power_of_two_scale_8(x, bits):
    scale = x.abs().max().item() / (2 ** (bits - 1) - 1)
    return 2.0 ** (math.floor(math.log2(scale)) + 1)


@right("quantize.power_of_two_scale")
def power_of_two_scale_9(x, bits):
    scale = x.abs().max().item() / (2 ** (bits - 1) - 1)
    return 2.0 ** math.ceil(math.log2(scale))


@right("quantize.power_of_two_scale")
def power_of_two_scale_10(x, bits):
    top, end = float(x.abs().max()), 2 ** (bits - 1) - 1
    scale = 1.0
    while scale * end < top:
        scale *= 2
    while scale / 2 * end >= top:
        scale /= 2
    return scale


@right("quantize.power_of_two_scale")
def power_of_two_scale_11(x, bits):
    part, power = math.frexp(
        max(map(abs, x.flatten().tolist())) / (2 ** (bits - 1) - 1)
    )
    return math.ldexp(1.0, power - 1 if part == 0.5 else power)


@right("quantize.power_of_two_scale")
def power_of_two_scale_12(x, bits):
    powers = 2.0 ** np.arange(-140, 130)
    holds = powers * (2 ** (bits - 1) - 1) >= np.abs(x.double().numpy()).max()
    return float(powers[np.argmax(holds)])


# 19.4


@wrong("quantize.fold_before", "divides by the variance, without the root")
def fold_before_1(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance
    return weight * a, bias + weight @ (beta - mean * a)


@wrong("quantize.fold_before", "the shift does not pass through the weights")
def fold_before_2(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    t = beta - mean * a
    return weight * a, bias + t.sum()


@wrong("quantize.fold_before", "the shift passes through the new weights: a twice")
def fold_before_3(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    weight = weight * a
    return weight, bias + weight @ (beta - mean * a)


@wrong("quantize.fold_before", "the mean is not multiplied by a")
def fold_before_4(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, bias + weight @ (beta - mean)


@wrong("quantize.fold_before", "the wrong sign of the mean")
def fold_before_5(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, bias + weight @ (beta + mean * a)


@wrong("quantize.fold_before", "folds as if the norm stood behind the layer")
def fold_before_6(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a[:, None], (bias - mean) * a + beta


@wrong("quantize.fold_before", "cut off from the gradient")
def fold_before_7(weight, bias, gamma, beta, mean, variance):
    a = gamma.detach() / variance.detach().sqrt()
    t = beta.detach() - mean.detach() * a
    return weight.detach() * a, bias.detach() + weight.detach() @ t


@wrong("quantize.fold_before", "forgets the layer's own bias")
def fold_before_8(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    return weight * a, weight @ (beta - mean * a)


@right("quantize.fold_before")
def fold_before_9(weight, bias, gamma, beta, mean, variance):
    a = gamma / variance.sqrt()
    t = beta - mean * a
    return weight * a, bias + weight @ t


@right("quantize.fold_before")
def fold_before_10(weight, bias, gamma, beta, mean, variance):
    a = gamma * variance**-0.5
    new = torch.einsum("fi,i->fi", weight, a)
    return new, bias + (weight * beta).sum(dim=1) - new.mv(mean)


@right("quantize.fold_before")
def fold_before_11(weight, bias, gamma, beta, mean, variance):
    """The bias is what norm and layer answer together for zeros."""
    a = gamma / torch.sqrt(variance)
    norm_of_zero = a * (torch.zeros_like(mean) - mean) + beta
    new_bias = torch.nn.functional.linear(norm_of_zero, weight, bias)
    return weight @ torch.diag(a), new_bias


@right("quantize.fold_before")
def fold_before_12(weight, bias, gamma, beta, mean, variance):
    columns, new_bias = [], bias
    for i in range(weight.shape[1]):
        a = gamma[i] / variance[i].sqrt()
        columns.append(weight[:, i] * a)
        new_bias = new_bias + weight[:, i] * (beta[i] - mean[i] * a)
    return torch.stack(columns, dim=1), new_bias
