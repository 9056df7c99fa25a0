"""Exercises and quiz of chapter 00: sizes by hand, and how the course is used."""

import math

from lib.exercises import Exercise, Option, Question, Wrong

D0_PARAMETERS = 3_880_067  # EfficientDet-D0, 90 classes: arxiv.org/abs/1911.09070
TABLE_WIDTHS = (64, 88, 112, 160, 224, 288, 384, 384)  # its Table 1, D0 to D7


def int8_megabytes():
    """Megabytes of D0 with one byte a parameter."""
    return D0_PARAMETERS / 1_000_000


def widths_met(growth: float) -> int:
    """How many of the eight table widths 64 * growth**phi meets within 10 %."""
    gaps = [abs(64 * growth**phi / w - 1) for phi, w in enumerate(TABLE_WIDTHS)]
    return sum(gap <= 0.10 for gap in gaps)


def widths_at_130():
    """The count asked for: growth 1.30."""
    return widths_met(1.30)


def weight_bytes(weights, bits, channels):
    """Bytes of a quantized layer: packed weights, and a 4-byte scale a channel."""
    packed = -(-weights * bits // 8)
    scales = 4 * channels
    return packed + scales


def weight_bytes_by_ceil(weights, bits, channels):
    """The same with `math.ceil`."""
    return math.ceil(weights * bits / 8) + channels * 4


def bits_as_bytes(weights, bits, channels):
    """Takes bits for bytes."""
    return weights * bits + 4 * channels


def rounded_down(weights, bits, channels):
    """Loses the last, partly filled byte."""
    return weights * bits // 8 + 4 * channels


def not_rounded(weights, bits, channels):
    """Leaves a part of a byte."""
    return weights * bits / 8 + 4 * channels


def rounded_to_the_nearest(weights, bits, channels):
    """A last byte that is less than half full is lost."""
    return round(weights * bits / 8) + 4 * channels


def always_one_more(weights, bits, channels):
    """Adds a byte even where the last one is full."""
    return weights * bits // 8 + 1 + 4 * channels


def whole_bytes_each(weights, bits, channels):
    """Every weight begins a new byte."""
    return weights * math.ceil(bits / 8) + 4 * channels


def whole_weights_a_byte(weights, bits, channels):
    """No weight lies across two bytes."""
    a_byte = max(1, 8 // bits)
    return math.ceil(weights / a_byte) + 4 * channels


def weights_of_each_channel(weights, bits, channels):
    """Takes the weights for those of one channel."""
    return math.ceil(weights * channels * bits / 8) + 4 * channels


def bytes_of_each_channel(weights, bits, channels):
    """Every channel begins a new byte."""
    return channels * math.ceil(weights / channels * bits / 8) + 4 * channels


def whole_layer_each_channel(weights, bits, channels):
    """Takes the weights for those of one channel, and rounds each."""
    return math.ceil(weights * bits / 8) * channels + 4 * channels


def whole_bytes_of_bits(weights, bits, channels):
    """Loses the bits below a byte of every weight."""
    return weights * (bits // 8) + 4 * channels


def bytes_divided_too(weights, bits, channels):
    """Counts the scales' bytes as bits."""
    return math.ceil((weights * bits + 4 * channels) / 8)


def a_scale_each_weight(weights, bits, channels):
    """One scale for each weight."""
    return math.ceil(weights * bits / 8) + 4 * weights


def zero_points_too(weights, bits, channels):
    """Eight bytes a channel."""
    return math.ceil(weights * bits / 8) + 8 * channels


def half_scales(weights, bits, channels):
    """Scales of two bytes, as float16."""
    return math.ceil(weights * bits / 8) + 2 * channels


def without_scales(weights, bits, channels):
    """Forgets the scales."""
    return -(-weights * bits // 8)


def one_scale(weights, bits, channels):
    """One scale for the whole layer."""
    return -(-weights * bits // 8) + 4


def scales_multiplied(weights, bits, channels):
    """Multiplies where the scales come on top."""
    return math.ceil(weights * bits / 8) * 4 * channels


def scales_in_bits(weights, bits, channels):
    """A float32 has 32 bits, and they are added to bytes."""
    return math.ceil(weights * bits / 8) + 32 * channels


def scales_as_weights(weights, bits, channels):
    """Stores the scales like weights."""
    return math.ceil((weights + channels) * bits / 8)


def scales_of_a_byte(weights, bits, channels):
    """One byte a scale."""
    return math.ceil(weights * bits / 8) + channels


EXERCISES = (
    Exercise(
        name="int8_megabytes",
        number="00.1",
        kind="predict",
        minutes=2,
        difficulty=1,
        points=1,
        task="The size of D0 in megabytes with one byte a parameter.",
        reference=int8_megabytes,
        tolerance=0.01,
        wrong=(
            Wrong(15.5, "15.5 MB is the size at four bytes a parameter; int8 has one"),
            Wrong(31.0, "31 is megabits: a byte holds eight bits, divide by 8"),
            Wrong(3.7, "3.7 counts 1,048,576 bytes a megabyte; files are sold by 10^6"),
            Wrong(
                0.97, "you divided by four; one byte a parameter is the count itself"
            ),
            Wrong(0.485, "you gave each parameter one bit; it takes a byte"),
            Wrong(7.76, "that is two bytes a parameter, float16; int8 has one"),
            Wrong(1.94, "that is half a byte a parameter; int8 has a whole one"),
            Wrong(14.8, "that is float32, in units of 1,048,576 bytes; int8 is asked"),
            Wrong(11.64, "that is what is saved; how much is left?"),
            Wrong(4, "nearly; one digit after the comma is asked, not a round number"),
            Wrong(D0_PARAMETERS, "these are bytes; a megabyte has 1,000,000 of them"),
            Wrong(3880, "these are kilobytes; a megabyte has 1,000 of them"),
        ),
        hints=(
            "How many bytes does one parameter take now?",
            "Millions of bytes are megabytes: move the comma six places.",
        ),
    ),
    Exercise(
        name="widths_at_130",
        number="00.2",
        kind="measure",
        minutes=5,
        difficulty=1,
        points=1,
        task="How many table widths does a growth of 1.30 meet?",
        reference=widths_at_130,
        wrong=(
            Wrong(
                lambda: widths_met(1.35),
                "that is the count for 1.35: set GROWTH = 1.30 and run both cells",
            ),
            Wrong(
                lambda: widths_met(1.30) - 1,
                "one is missing: phi = 0 counts too, there formula and table agree",
            ),
            Wrong(
                5, "nearly: 12.1 % below the table is too much; within 10 % are fewer"
            ),
            Wrong(1, "only phi = 0 is met exactly; a gap of up to 10 % counts as met"),
            Wrong(2, "a width below the table's counts too, if the gap is within 10 %"),
            Wrong(8, "these are all widths; how many have a gap of at most 10 %?"),
        ),
        hints=(
            "Change GROWTH in the cell above, run it, and read the gaps.",
            "Count the gaps of at most 10 percent, phi = 0 among them.",
        ),
    ),
    Exercise(
        name="weight_bytes",
        number="00.3",
        kind="build",
        minutes=8,
        difficulty=1,
        points=2,
        task="Write `weight_bytes(weights, bits, channels)`: the bytes that a quantized"
        " layer takes in a file. Its `weights` weights, `bits` bits each, stand in one"
        " row without gaps, rounded up to whole bytes; each of its `channels` channels"
        " has a float32 scale. Return a whole number.",
        reference=weight_bytes,
        alternative=weight_bytes_by_ceil,
        wrong=(
            Wrong(bits_as_bytes, "you counted each bit as a byte: eight bits make one"),
            Wrong(rounded_down, "you rounded down: 9 bits do not fit into one byte"),
            Wrong(not_rounded, "a file has no part of a byte: round up to whole ones"),
            Wrong(
                rounded_to_the_nearest,
                "you rounded to the nearest; a byte that is begun is a byte: round up",
            ),
            Wrong(
                always_one_more,
                "you always add a byte; where the bits fill whole bytes, none is added",
            ),
            Wrong(
                whole_bytes_each,
                "you gave each weight whole bytes; in the file their bits stand in one"
                " row without gaps",
            ),
            Wrong(
                whole_weights_a_byte,
                "you put only whole weights into a byte; without gaps a weight may lie"
                " across two bytes. Count all bits first",
            ),
            *(
                Wrong(
                    multiplied,
                    "you multiplied the weights by the channels; `weights` is how many"
                    " the layer has in all",
                )
                for multiplied in (weights_of_each_channel, whole_layer_each_channel)
            ),
            Wrong(
                whole_bytes_of_bits,
                "you divided the bits of one weight by 8 and lost a part of them; first"
                " the bits of all weights, then bytes",
            ),
            Wrong(
                bytes_divided_too,
                "you divided the scales by 8 as well; four bytes are bytes already",
            ),
            Wrong(
                a_scale_each_weight,
                "you stored a scale for each weight; each channel has one",
            ),
            *(
                Wrong(wide, "a float32 takes four bytes, and a channel stores no more")
                for wide in (zero_points_too, half_scales)
            ),
            Wrong(
                bytes_of_each_channel,
                "you rounded up in each channel; all weights stand in one row, so only"
                " its end is rounded",
            ),
            Wrong(
                without_scales,
                "the weights are right; the scales are missing, without"
                " which no integer can be turned back into a weight",
            ),
            Wrong(one_scale, "you stored one scale; each channel has its own"),
            Wrong(scales_multiplied, "the scales come on top of the weights: add them"),
            Wrong(scales_in_bits, "a float32 has 32 bits, and that is four bytes"),
            Wrong(
                scales_as_weights,
                "you stored the scales with the bits of a weight; a scale is a float32",
            ),
            Wrong(scales_of_a_byte, "you gave a scale one byte; a float32 takes four"),
        ),
        hints=(
            "First the bits of all weights together, then whole bytes.",
            "A scale is a float32: four bytes, one for each channel.",
            "Round up without floats: -(-a // b).",
        ),
        cases=lambda rng, size: (
            rng.randrange(1, 10**size),
            rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 16)),
            rng.randrange(1, 9 * size),
        ),
        by_hand=(
            ((3, 3, 1), 6),
            ((1000, 8, 10), 1040),
            ((1000, 4, 10), 540),
            ((5, 3, 2), 10),  # 15 bits, 2 bytes: no room for a gap; two scales
            ((1, 1, 1), 5),  # one bit begins a byte
            ((3, 16, 1), 10),
            ((66_347_960, 4, 1000), 33_177_980),  # as many weights as B7 has
        ),
    ),
)

QUIZ = (
    Question(
        "Which work did what?",
        (
            Option(
                "NASNet searched for cells, EfficientNet grew a network in three"
                " directions by one number, EfficientDet fused the levels of a pyramid",
                "Yes: searched, scaled, connected. EfficientDet also scales, by its"
                " own number.",
                True,
            ),
            Option(
                "NASNet fused the levels of a pyramid, EfficientNet searched for cells,"
                " EfficientDet grew a network in three directions by one number",
                "The search for cells came first, with NASNet; the pyramid came last.",
            ),
            Option(
                "NASNet removed connections, EfficientNet rounded weights to integers,"
                " EfficientDet put both together into one small and fast detector",
                "None of the three prunes or quantizes; part IV does.",
            ),
        ),
    ),
    Question(
        "Which of these does the EfficientDet paper contain?",
        (
            Option(
                "pruning and quantization of a detector that was searched",
                "A popular article says so. The paper has"
                " neither; the course adds both in part IV.",
            ),
            Option(
                "BiFPN, weighted fusion and compound scaling",
                "Yes: these, on EfficientNet backbones, are the method.",
                True,
            ),
            Option(
                "a controller that searches for cells",
                "That is NASNet, two years earlier; EfficientDet's backbone was"
                " searched too, by the authors of EfficientNet.",
            ),
        ),
    ),
    Question(
        "A block has 2 inputs to choose from, 13 operations and 2 ways to combine. How"
        " many different choices are written down for it?",
        (
            Option(
                "1,352",
                "Two inputs and two operations are chosen: 2 x 2 x 13 x 13,"
                " then 2 combinations.",
                True,
            ),
            Option(
                "52",
                "That chooses one input and one operation; a block has two of each.",
            ),
            Option("676", "The combination is missing: add or concatenate."),
        ),
        value=lambda: 2 * 2 * 13 * 13 * 2,
        form="{:,}",
    ),
    Question(
        "The paper says that D0 needs 2.5B FLOPs. What was counted?",
        (
            Option(
                "single operations: every multiplication and every addition",
                "Counted like that it would be about 5 billion.",
            ),
            Option(
                "multiply-adds: a multiplication with its addition",
                "Yes. Many tools count both and print twice the number.",
                True,
            ),
            Option(
                "floating point operations a second",
                "That would be a speed; the small s is a plural here.",
            ),
        ),
    ),
    Question(
        "You fill in a stub. Where do you do that?",
        (
            Option(
                "in chapters/, beside the text",
                "Those are the originals; `make author` edits them and"
                " a newer text file would overwrite your cell.",
            ),
            Option(
                "in your copy in work/",
                "Yes. `make lab` makes the copy, and nothing overwrites it.",
                True,
            ),
            Option(
                "in lib/",
                "The library is complete; your answer is compared with a"
                " reference, not put into it.",
            ),
        ),
    ),
    Question(
        "A check refuses your answer. What does it tell you?",
        (
            Option(
                "the right answer, so that you can go on",
                "Only `solution(...)` shows that, when you ask.",
            ),
            Option(
                "only that it failed, so that you search for yourself",
                "It says more: a check that does not help is a bug of the course.",
            ),
            Option(
                "the slip it recognises, or the smallest input that fails",
                "Yes, and `hint(...)` goes on from there, a step at a time.",
                True,
            ),
        ),
    ),
)
