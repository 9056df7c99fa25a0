"""Chapter 10: answers from the task texts."""

import math

import numpy as np

from tests.held_out import right, wrong


@wrong("efficientnet.scaled_stage", "the nearest multiple, never one more")
def scaled_stage_1(filters, repeats, width, depth, divisor=8):
    channels = int((filters * width + divisor / 2) // divisor) * divisor
    return max(channels, divisor), math.ceil(depth * repeats)


@wrong("efficientnet.scaled_stage", "the blocks are rounded to the nearest")
def scaled_stage_2(filters, repeats, width, depth, divisor=8):
    wide = filters * width
    channels = int((wide + divisor / 2) // divisor) * divisor
    if channels < 0.9 * wide:
        channels += divisor
    return channels, max(1, round(depth * repeats))


@wrong("efficientnet.scaled_stage", "90 % of the old channels, not of the wider ones")
def scaled_stage_3(filters, repeats, width, depth, divisor=8):
    channels = int((filters * width + divisor / 2) // divisor) * divisor
    if channels < 0.9 * filters:
        channels += divisor
    return channels, math.ceil(depth * repeats)


@wrong("efficientnet.scaled_stage", "adds 4 whatever the divisor is")
def scaled_stage_4(filters, repeats, width, depth, divisor=8):
    wide = filters * width
    channels = divisor * math.floor((wide + 4) / divisor)
    if channels < 0.9 * wide:
        channels += divisor
    return channels, math.ceil(depth * repeats)


@wrong("efficientnet.scaled_stage", "always rounds the channels up")
def scaled_stage_5(filters, repeats, width, depth, divisor=8):
    channels = divisor * math.ceil(filters * width / divisor)
    return channels, math.ceil(repeats * depth)


@wrong("efficientnet.scaled_stage", "cuts the wider channels to a whole number first")
def scaled_stage_6(filters, repeats, width, depth, divisor=8):
    wide = int(filters * width)
    channels = (wide + divisor // 2) // divisor * divisor
    if channels < 0.9 * wide:
        channels += divisor
    return channels, math.ceil(depth * repeats)


@right("efficientnet.scaled_stage")
def scaled_stage_7(filters, repeats, width, depth, divisor=8):
    wide = width * filters
    channels = divisor * math.floor((wide + divisor / 2) / divisor)
    if channels < 0.9 * wide:
        channels += divisor
    return channels, math.ceil(depth * repeats)


@right("efficientnet.scaled_stage")
def scaled_stage_8(filters, repeats, width, depth, divisor=8):
    wide = width * filters
    channels = 0
    while channels + divisor <= wide + divisor / 2:
        channels += divisor
    while channels < 0.9 * wide:
        channels += divisor
    blocks = 0
    while blocks < depth * repeats:
        blocks += 1
    return [channels, blocks]


@right("efficientnet.scaled_stage")
def scaled_stage_9(filters, repeats, width, depth, divisor=8):
    wide = np.float64(width) * filters
    steps = np.floor_divide(wide + 0.5 * divisor, divisor)
    steps += steps * divisor < 0.9 * wide
    return int(steps * divisor), int(-(-depth * repeats // 1))
