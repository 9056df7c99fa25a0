"""Chapter 00: answers from the task texts."""

import math
from fractions import Fraction

import numpy as np

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("start_here.int8_megabytes", 15.52, "still four bytes each")
wrong_value("start_here.int8_megabytes", 0.97, "divided by four, from one byte each")
wrong_value("start_here.int8_megabytes", 11.64, "what is saved, not what is left")
wrong_value("start_here.int8_megabytes", 3880067, "bytes, not megabytes")
wrong_value("start_here.int8_megabytes", 31.04, "megabits: eight for each parameter")
right_value("start_here.int8_megabytes", 3.88)
right_value("start_here.int8_megabytes", 3880067 / 1e6)

wrong_value("start_here.widths_at_130", 7, "the count for a growth of 1.35")
wrong_value("start_here.widths_at_130", 8, "all of them taken for met")
wrong_value("start_here.widths_at_130", 3, "the first width, the start, left out")
wrong_value("start_here.widths_at_130", 1, "only the width that is met exactly")
wrong_value("start_here.widths_at_130", 0.5, "a share in place of a count")
right_value("start_here.widths_at_130", 4)
right_value("start_here.widths_at_130", 4.0)


@wrong("start_here.weight_bytes", "rounds down to whole bytes")
def bytes_1(weights, bits, channels):
    return weights * bits // 8 + 4 * channels


@wrong("start_here.weight_bytes", "gives every weight whole bytes of its own")
def bytes_2(weights, bits, channels):
    return weights * math.ceil(bits / 8) + 4 * channels


@wrong("start_here.weight_bytes", "one scale for the whole layer")
def bytes_3(weights, bits, channels):
    return math.ceil(weights * bits / 8) + 4


@wrong("start_here.weight_bytes", "the scales are counted as one byte each")
def bytes_4(weights, bits, channels):
    return math.ceil(weights * bits / 8) + channels


@wrong("start_here.weight_bytes", "forgets the scales")
def bytes_5(weights, bits, channels):
    total = weights * bits
    return (total + 7) // 8


@wrong("start_here.weight_bytes", "always adds a byte, even if the bits fit exactly")
def bytes_6(weights, bits, channels):
    return weights * bits // 8 + 1 + channels * 4


@wrong("start_here.weight_bytes", "takes the weights for those of one channel")
def bytes_7(weights, bits, channels):
    return math.ceil(weights * channels * bits / 8) + 4 * channels


@wrong("start_here.weight_bytes", "the scales are added in bits of 4, not bytes")
def bytes_8(weights, bits, channels):
    return math.ceil((weights * bits + 4 * channels) / 8)


@right("start_here.weight_bytes")
def bytes_9(weights, bits, channels):
    return math.ceil(weights * bits / 8) + 4 * channels


@right("start_here.weight_bytes")
def bytes_10(weights, bits, channels):
    whole, rest = divmod(weights * bits, 8)
    if rest > 0:
        whole += 1
    for _ in range(channels):
        whole += 4
    return whole


@right("start_here.weight_bytes")
def bytes_11(weights, bits, channels):
    all_bits = weights * bits + 32 * channels
    return -(-all_bits // 8)


@right("start_here.weight_bytes")
def bytes_12(weights, bits, channels):
    filled = math.ceil(Fraction(weights * bits, 8))
    return np.int64(filled) + np.int64(4) * channels
