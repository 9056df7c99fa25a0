"""Chapter 21: answers from the task texts."""

import math

import numpy as np
import torch

from tests.held_out import right, wrong, wrong_value

# 21.1: no right value, since the text does not say where a half goes

wrong_value("integer.quarter", 12, "the zero point forgotten")
wrong_value("integer.quarter", 18, "the zero point subtracted")
wrong_value("integer.quarter", 11, "the zero point added before the quarter")
wrong_value("integer.quarter", 7.5, "not rounded")
wrong_value("integer.quarter", 127, "multiplied by four, and cut off")

# 21.2 has no text

# 21.3


@wrong("integer.fold_zero_point", "adds, where it should subtract")
def fold_zero_point_1(weight, bias, zero_point):
    return bias + zero_point * weight.sum(dim=(1, 2, 3))


@wrong("integer.fold_zero_point", "subtracts the zero point once, without the weights")
def fold_zero_point_2(weight, bias, zero_point):
    return bias - zero_point


@wrong("integer.fold_zero_point", "times the number of weights, not times their sum")
def fold_zero_point_3(weight, bias, zero_point):
    return bias - zero_point * weight[0].numel()


@wrong("integer.fold_zero_point", "the sum over all filters together")
def fold_zero_point_4(weight, bias, zero_point):
    return bias - zero_point * weight.sum()


@wrong("integer.fold_zero_point", "computes in float32, and is off for large sums")
def fold_zero_point_5(weight, bias, zero_point):
    total = bias.float() - zero_point * weight.float().sum(dim=(1, 2, 3))
    return total.long()


@wrong("integer.fold_zero_point", "only the filters' first channel")
def fold_zero_point_6(weight, bias, zero_point):
    return bias - zero_point * weight[:, 0].sum(dim=(1, 2))


@wrong("integer.fold_zero_point", "changes the given bias")
def fold_zero_point_7(weight, bias, zero_point):
    for f in range(len(bias)):
        bias[f] -= zero_point * weight[f].sum()
    return bias


@wrong("integer.fold_zero_point", "the result is a float")
def fold_zero_point_8(weight, bias, zero_point):
    ones = torch.full((1, *weight.shape[1:]), -float(zero_point))
    return torch.nn.functional.conv2d(ones, weight.float(), bias.float()).flatten()


@right("integer.fold_zero_point")
def fold_zero_point_9(weight, bias, zero_point):
    return bias - zero_point * weight.sum(dim=(1, 2, 3))


@right("integer.fold_zero_point")
def fold_zero_point_10(weight, bias, zero_point):
    out = []
    for filter_weights, b in zip(weight.tolist(), bias.tolist(), strict=True):
        total = sum(w for plane in filter_weights for row in plane for w in row)
        out.append(b - zero_point * total)
    return torch.tensor(out, dtype=torch.int64)


@right("integer.fold_zero_point")
def fold_zero_point_11(weight, bias, zero_point):
    sums = weight.numpy().reshape(len(bias), -1).sum(axis=1)
    return torch.from_numpy(bias.numpy() - np.int64(zero_point) * sums)


@right("integer.fold_zero_point")
def fold_zero_point_12(weight, bias, zero_point):
    new = bias.clone()
    for f, kernel in enumerate(weight):
        new[f] = new[f] + (kernel * -zero_point).sum()
    return new


# 21.4


@wrong("integer.first_above", "rounds down: still below the threshold")
def first_above_1(threshold, scale, zero_point):
    return math.floor(math.log(threshold / (1 - threshold)) / scale) + zero_point


@wrong("integer.first_above", "rounds to the nearest")
def first_above_2(threshold, scale, zero_point):
    return round(math.log(threshold / (1 - threshold)) / scale) + zero_point


@wrong("integer.first_above", "takes the threshold for the logit")
def first_above_3(threshold, scale, zero_point):
    return math.ceil(threshold / scale) + zero_point


@wrong("integer.first_above", "subtracts the zero point")
def first_above_4(threshold, scale, zero_point):
    return math.ceil(math.log(threshold / (1 - threshold)) / scale) - zero_point


@wrong("integer.first_above", "above the threshold, where at the threshold is enough")
def first_above_5(threshold, scale, zero_point):
    return math.floor(math.log(threshold / (1 - threshold)) / scale) + 1 + zero_point


@wrong("integer.first_above", "clips to the bytes")
def first_above_6(threshold, scale, zero_point):
    first = math.ceil(math.log(threshold / (1 - threshold)) / scale) + zero_point
    return max(-128, min(127, first))


@wrong(
    "integer.first_above", "cuts towards zero and adds one, also for negative logits"
)
def first_above_7(threshold, scale, zero_point):
    return int(math.log(threshold / (1 - threshold)) / scale) + 1 + zero_point


@wrong("integer.first_above", "the logarithm of the threshold, not its logit")
def first_above_8(threshold, scale, zero_point):
    return math.ceil(math.log(threshold) / scale) + zero_point


@right("integer.first_above")
def first_above_9(threshold, scale, zero_point):
    return math.ceil(math.log(threshold / (1 - threshold)) / scale) + zero_point


@right("integer.first_above")
def first_above_10(threshold, scale, zero_point):
    def score(q):
        return 1 / (1 + math.exp(-(q - zero_point) * scale))

    q = zero_point
    while score(q) >= threshold:
        q -= 1
    while score(q) < threshold:
        q += 1
    return q


@right("integer.first_above")
def first_above_11(threshold, scale, zero_point):
    logit = torch.logit(torch.tensor(threshold, dtype=torch.float64))
    return zero_point + int(torch.ceil(logit / scale))


@right("integer.first_above")
def first_above_12(threshold, scale, zero_point):
    """Bisection: the score rises with the integer."""
    below, above = -(10**6), 10**6
    while above - below > 1:
        middle = (below + above) // 2
        logit = min(max(middle * scale, -700.0), 700.0)
        if 1 / (1 + math.exp(-logit)) >= threshold:
            above = middle
        else:
            below = middle
    return above + zero_point
