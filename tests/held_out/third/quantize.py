"""Chapter 19: answers from the task texts."""

import torch

from tests.held_out import right, wrong


@wrong("quantize.scale_and_zero_point", "the range is not widened to hold 0")
def scale_and_zero_point_1(least, most, low, high):
    scale = (most - least) / (high - low)
    zero = low - torch.round(least / scale)
    return scale, zero


@wrong("quantize.scale_and_zero_point", "only the lower end is widened")
def scale_and_zero_point_2(least, most, low, high):
    least = least.clamp(max=0)
    scale = (most - least) / (high - low)
    return scale, low - torch.round(least / scale)


@wrong("quantize.scale_and_zero_point", "as many steps as integers, one too many")
def scale_and_zero_point_3(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / (high - low + 1)
    return scale, low - torch.round(least / scale)


@wrong("quantize.scale_and_zero_point", "the integers are thought to begin at 0")
def scale_and_zero_point_4(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / (high - low)
    zero = -torch.round(least / scale)
    return scale, zero


@wrong("quantize.scale_and_zero_point", "the zero point is cut off, not rounded")
def scale_and_zero_point_5(least, most, low, high):
    least, most = least.clamp(max=0), most.clamp(min=0)
    scale = (most - least) / (high - low)
    zero = low - (least / scale).int()
    return scale, zero


@wrong("quantize.scale_and_zero_point", "one grid for all, over the widest range")
def scale_and_zero_point_6(least, most, low, high):
    lower = least.min().clamp(max=0)
    upper = most.max().clamp(min=0)
    scale = (upper - lower) / (high - low)
    zero = low - torch.round(lower / scale)
    return scale.expand(least.shape), zero.expand(least.shape)


@right("quantize.scale_and_zero_point")
def scale_and_zero_point_7(least, most, low, high):
    lower = least.clamp(max=0)
    upper = most.clamp(min=0)
    scale = (upper - lower) / (high - low)
    return scale, low - torch.round(lower / scale)


@right("quantize.scale_and_zero_point")
def scale_and_zero_point_8(least, most, low, high):
    nothing = torch.zeros_like(least)
    lower = torch.minimum(least, nothing)
    upper = torch.maximum(most, nothing)
    step = torch.div(upper - lower, high - low)
    zero = torch.round(lower / step).neg().add(low).to(torch.int32)
    return step, zero


@right("quantize.scale_and_zero_point")
def scale_and_zero_point_9(least, most, low, high):
    steps, zeros = [], []
    for lower, upper in zip(least.flatten(), most.flatten(), strict=True):
        if lower > 0:
            lower = torch.zeros(())
        if upper < 0:
            upper = torch.zeros(())
        step = (upper - lower) / (high - low)
        steps.append(step)
        zeros.append(low - (lower / step).round())
    shape = least.shape
    return torch.stack(steps).reshape(shape), torch.stack(zeros).reshape(shape)
