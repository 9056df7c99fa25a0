"""Chapter 00: answers from the task texts."""

import math
from fractions import Fraction

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("start_here.int8_megabytes", 15.52, "still four bytes for each parameter")
wrong_value(
    "start_here.int8_megabytes", 3.70, "divided by 1024 twice, not by a million"
)
wrong_value("start_here.int8_megabytes", 0.97, "took 3.88 MB for the size before")
right_value("start_here.int8_megabytes", 3.88)

wrong_value("start_here.widths_at_130", 7, "the count for 1.35, set nothing anew")
wrong_value("start_here.widths_at_130", 3, "counts only widths met from below")
wrong_value("start_here.widths_at_130", 5, "rounds to multiples of 8 before comparing")
right_value("start_here.widths_at_130", 4)


@wrong("start_here.weight_bytes", "always one byte more than the whole ones")
def bytes_one_more(weights, bits, channels):
    return weights * bits // 8 + 1 + 4 * channels


@wrong("start_here.weight_bytes", "every channel's weights begin at a new byte")
def bytes_rows(weights, bits, channels):
    each = weights // channels
    row = math.ceil(each * bits / 8)
    return channels * (row + 4)


@wrong("start_here.weight_bytes", "one scale for the whole layer")
def bytes_one_scale(weights, bits, channels):
    return math.ceil(weights * bits / 8) + 4


@wrong("start_here.weight_bytes", "no weight may cross the edge of a byte")
def bytes_no_crossing(weights, bits, channels):
    in_one_byte = max(1, 8 // bits)
    return -(-weights // in_one_byte) + 4 * channels


@wrong("start_here.weight_bytes", "takes weights as those of one channel")
def bytes_per_channel(weights, bits, channels):
    return math.ceil(weights * channels * bits / 8) + 4 * channels


@right("start_here.weight_bytes")
def bytes_seven(weights, bits, channels):
    return (weights * bits + 7) // 8 + 4 * channels


@right("start_here.weight_bytes")
def bytes_fraction(weights, bits, channels):
    return math.ceil(Fraction(weights * bits, 8) + 4 * channels)


@right("start_here.weight_bytes")
def bytes_divmod(weights, bits, channels):
    whole, rest = divmod(weights * bits, 8)
    if rest:
        whole += 1
    for _ in range(channels):
        whole += 4
    return whole
