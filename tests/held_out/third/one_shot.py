"""Chapter 09: answers from the task texts."""

from functools import reduce
from operator import add, mul

import torch

from tests.held_out import right, wrong


@wrong("one_shot.mixed_operation", "divides by the sum of the shares")
def mixed_operation_1(shares, outputs):
    total, weight = 0, 0
    for share, output in zip(shares, outputs, strict=True):
        total = total + share * output
        weight = weight + share
    return total / weight


@wrong("one_shot.mixed_operation", "the mean in place of the sum")
def mixed_operation_2(shares, outputs):
    weighted = [share * output for share, output in zip(shares, outputs, strict=True)]
    return sum(weighted) / len(weighted)


@wrong("one_shot.mixed_operation", "the shares are copied, and lose their gradient")
def mixed_operation_3(shares, outputs):
    total = 0
    for share, output in zip(shares, outputs, strict=True):
        total = total + float(share) * output
    return total


@wrong("one_shot.mixed_operation", "a softmax of the shares")
def mixed_operation_4(shares, outputs):
    weights = torch.stack([torch.as_tensor(share) for share in shares]).softmax(0)
    return sum(w * output for w, output in zip(weights, outputs, strict=True))


@wrong("one_shot.mixed_operation", "the first output comes without its share")
def mixed_operation_5(shares, outputs):
    outputs = iter(outputs)
    total = next(outputs)
    for share, output in zip(shares[1:], outputs, strict=True):
        total = total + share * output
    return total


@wrong("one_shot.mixed_operation", "the outputs are detached, and no weight learns")
def mixed_operation_6(shares, outputs):
    total = None
    for share, output in zip(shares, outputs, strict=True):
        part = share * output.detach()
        total = part if total is None else total + part
    return total


@right("one_shot.mixed_operation")
def mixed_operation_7(shares, outputs):
    total = 0
    for share, output in zip(shares, outputs, strict=True):
        total = total + share * output
    return total


@right("one_shot.mixed_operation")
def mixed_operation_8(shares, outputs):
    return reduce(add, map(mul, shares, outputs))


@right("one_shot.mixed_operation")
def mixed_operation_9(shares, outputs):
    pairs = zip(outputs, shares, strict=False)
    output, share = next(pairs)
    total = torch.mul(output, share)
    for output, share in pairs:
        total += output * share
    return total
