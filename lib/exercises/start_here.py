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


def without_scales(weights, bits, channels):
    """Forgets the scales."""
    return -(-weights * bits // 8)


def one_scale(weights, bits, channels):
    """One scale for the whole layer."""
    return -(-weights * bits // 8) + 4


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
        task="The bytes that a quantized layer takes in a file.",
        reference=weight_bytes,
        alternative=weight_bytes_by_ceil,
        wrong=(
            Wrong(bits_as_bytes, "you counted each bit as a byte: eight bits make one"),
            Wrong(rounded_down, "you rounded down: 9 bits do not fit into one byte"),
            Wrong(
                without_scales,
                "the weights are right; the scales are missing, without"
                " which no integer can be turned back into a weight",
            ),
            Wrong(one_scale, "you stored one scale; each channel has its own"),
        ),
        hints=(
            "First the bits of all weights together, then whole bytes.",
            "A scale is a float32: four bytes, one for each channel.",
            "Round up without floats: -(-a // b).",
        ),
        cases=lambda rng, size: (
            rng.randrange(1, 10**size),
            rng.choice((2, 3, 4, 8)),
            rng.randrange(1, 9 * size),
        ),
        by_hand=(((3, 3, 1), 6), ((1000, 8, 10), 1040), ((1000, 4, 10), 540)),
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
