"""Chapter 21: answers from the task texts."""

import math

import torch

from tests.held_out import right, wrong, wrong_value

# --- quarter ---

wrong_value("integer.quarter", 11, "the zero point is added before the factor")
wrong_value("integer.quarter", 13, "the zero point is forgotten")
wrong_value("integer.quarter", 18, "the zero point is subtracted")
wrong_value("integer.quarter", 127, "multiplied by four, and clipped")

# --- fold_zero_point ---


@wrong("integer.fold_zero_point", "added in place of subtracted")
def fold_zero_point_1(weight, bias, zero_point):
    return bias + zero_point * weight.sum((1, 2, 3))


@wrong("integer.fold_zero_point", "the sum over the pixels only, the first channel")
def fold_zero_point_2(weight, bias, zero_point):
    return bias - zero_point * weight[:, 0].sum((1, 2))


@wrong("integer.fold_zero_point", "summed over filters as well")
def fold_zero_point_3(weight, bias, zero_point):
    return bias - zero_point * weight.sum()


@wrong("integer.fold_zero_point", "the zero point once, not through the weights")
def fold_zero_point_4(weight, bias, zero_point):
    return bias - zero_point


@wrong("integer.fold_zero_point", "times the number of weights, not their sum")
def fold_zero_point_5(weight, bias, zero_point):
    return bias - zero_point * weight[0].numel()


@wrong("integer.fold_zero_point", "comes back as float32, rounded above 2^24")
def fold_zero_point_6(weight, bias, zero_point):
    return bias.float() - zero_point * weight.float().sum((1, 2, 3))


@wrong("integer.fold_zero_point", "only a positive zero point is folded")
def fold_zero_point_8(weight, bias, zero_point):
    return bias - max(0, zero_point) * weight.sum((1, 2, 3))


@right("integer.fold_zero_point")
def fold_zero_point_9(weight, bias, zero_point):
    return bias - zero_point * weight.sum(dim=(1, 2, 3))


@right("integer.fold_zero_point")
def fold_zero_point_10(weight, bias, zero_point):
    new = [
        b - zero_point * sum(row)
        for b, row in zip(bias.tolist(), weight.flatten(1).tolist(), strict=True)
    ]
    return torch.tensor(new, dtype=torch.int64)


@right("integer.fold_zero_point")
def fold_zero_point_11(weight, bias, zero_point):
    zeros = torch.full(weight.shape[1:], zero_point, dtype=torch.int64)
    return bias - (weight * zeros).flatten(1).sum(1)


# --- first_above ---


def _logit(p):
    return math.log(p / (1 - p))


@wrong("integer.first_above", "rounded to the nearest")
def first_above_1(threshold, scale, zero_point):
    return round(_logit(threshold) / scale) + zero_point


@wrong("integer.first_above", "rounded down")
def first_above_2(threshold, scale, zero_point):
    return math.floor(_logit(threshold) / scale) + zero_point


@wrong("integer.first_above", "cut towards 0, plus one: wrong below 0")
def first_above_3(threshold, scale, zero_point):
    return int(_logit(threshold) / scale) + 1 + zero_point


@wrong("integer.first_above", "above the threshold, not at it")
def first_above_4(threshold, scale, zero_point):
    return math.floor(_logit(threshold) / scale) + 1 + zero_point


@wrong("integer.first_above", "the zero point is subtracted")
def first_above_5(threshold, scale, zero_point):
    return math.ceil(_logit(threshold) / scale) - zero_point


@wrong("integer.first_above", "no sigmoid: the threshold is taken for a logit")
def first_above_6(threshold, scale, zero_point):
    return math.ceil(threshold / scale) + zero_point


@wrong("integer.first_above", "clipped to a byte")
def first_above_7(threshold, scale, zero_point):
    return max(-128, min(127, math.ceil(_logit(threshold) / scale) + zero_point))


@wrong("integer.first_above", "the zero point is scaled too, before rounding")
def first_above_8(threshold, scale, zero_point):
    return math.ceil((_logit(threshold) + zero_point) / scale)


@right("integer.first_above")
def first_above_9(threshold, scale, zero_point):
    return math.ceil(math.log(threshold / (1 - threshold)) / scale) + zero_point


@right("integer.first_above")
def first_above_10(threshold, scale, zero_point):
    steps = -math.log(1 / threshold - 1) / scale
    return zero_point - math.floor(-steps)


@right("integer.first_above")
def first_above_11(threshold, scale, zero_point):
    def shown(q):
        z = scale * (q - zero_point)
        if z >= 0:
            return 1 / (1 + math.exp(-z)) >= threshold
        return math.exp(z) / (1 + math.exp(z)) >= threshold

    low, high = zero_point - 1, zero_point + 1
    while shown(low):
        low = zero_point - 2 * (zero_point - low)
    while not shown(high):
        high = zero_point + 2 * (high - zero_point)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high
