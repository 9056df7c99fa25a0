"""Exercises and quiz of chapter 22: Q and DQ, biases, pads, sizes, and two bytes."""

import math

import torch

from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 22.1 predict


def kilobytes() -> float:
    """One layer of plain in int8, in kB of 1,000 bytes: 64 filters over 32 x 3 x 3."""
    return (64 * 32 * 9 + 64 * (4 + 4 + 4)) / 1000


def kilobytes_of_floats() -> float:
    return (64 * 32 * 9 * 4 + 64 * 4) / 1000


def kilobytes_without_steps() -> float:
    return 64 * 32 * 9 / 1000


# --- 22.2 measure


def first_bits() -> int:
    """The most bits whose weights cannot overflow 16 bits with four products."""
    return max(bits for bits in range(2, 9) if 4 * 255 * (2 ** (bits - 1) - 1) < 2**15)


# --- 22.3 build


def requantize(total, x_scale, w_scale, y_scale, y_zero):
    """From sums of products to bytes: int32 (C, N) and a scale for each filter."""
    ratio = x_scale * w_scale / y_scale
    steps = torch.round(total * ratio[:, None]) + y_zero
    return steps.clamp(0, 255)


def requantize_2(total, x_scale, w_scale, y_scale, y_zero):
    """Filter by filter, through the real numbers."""
    rows = []
    for c in range(len(total)):
        real = total[c].float() * (x_scale * w_scale[c])
        rows.append((torch.round(real / y_scale) + y_zero).clamp(min=0, max=255))
    return torch.stack(rows)


def requantize_one_scale(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale[0] / y_scale
    return (torch.round(total * ratio) + y_zero).clamp(0, 255)


def requantize_scales_along_pixels(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale.mean() / y_scale
    return (torch.round(total * ratio) + y_zero).clamp(0, 255)


def requantize_zero_before(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return torch.round((total + y_zero) * ratio[:, None]).clamp(0, 255)


def requantize_wraps(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.round(total * ratio[:, None]) + y_zero) % 256


def requantize_floor(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.floor(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_times(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale * y_scale
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_clamps_too_early(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return torch.round(total * ratio[:, None]).clamp(0, 255) + y_zero


def requantize_without_zero(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return torch.round(total * ratio[:, None]).clamp(0, 255)


def requantize_signed(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(-128, 127)


def sums(rng, size) -> tuple:
    """Sums whose bytes reach from below 0 to above 255, and no ties."""
    filters, pixels = 2 + size % 3, 4 + size
    w_scale = tensor(rng, filters, low=0.01, high=0.05)
    x_scale, y_scale = rng.uniform(0.01, 0.04), rng.uniform(0.03, 0.1)
    zero = rng.choice((3, 7, 60, 128))
    wanted = tensor(rng, filters, pixels, low=-150.0, high=320.0)
    total = torch.round(wanted * y_scale / (x_scale * w_scale[:, None]))
    return total.to(torch.int32), x_scale, w_scale, y_scale, zero


# --- 22.4 build


def pads_behind(size, kernel, stride, before):
    """Pads behind a side so that ceil mode needs no word in the file."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_2(size, kernel, stride, before):
    """Lay windows down while one begins on the picture and the last leaves a rest."""
    begin = last = -before
    while begin < size and (begin <= -before or last + kernel < size + before):
        last = begin
        begin += stride
    return max(last + kernel - size, 0)


def pads_behind_floor(size, kernel, stride, before):
    out = (size + 2 * before - kernel) // stride + 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_all_windows(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_same(size, kernel, stride, before):
    return before


def pads_behind_without_before(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size, 0)


def pads_behind_negative(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return (out - 1) * stride + kernel - size - before


def windows(rng, size) -> tuple:
    kernel = rng.choice((2, 3, 4, 5))
    before = rng.randint(0, kernel // 2)
    stride = rng.randint(1, 4)
    return rng.randint(kernel, kernel + 4 + size), kernel, stride, before


EXERCISES = (
    Exercise(
        name="kilobytes", number="22.1", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="How many kB has a layer of 64 filters over 32 x 3 x 3 in int8?",
        reference=kilobytes,
        wrong=(
            Wrong(kilobytes_of_floats, "those are floats: a weight has one byte now"),
            Wrong(kilobytes_without_steps, "each filter also has a step and a bias"),
            Wrong(lambda: kilobytes() * 1000, "give kB: 1,000 bytes"),
        ),
        hints=(
            "One byte a weight. How many weights are 64 filters of 32 x 3 x 3?",
            "A filter adds 12 bytes: its step, its bias, and the step of its bias.",
        ),
        tolerance=0.005,
    ),
    Exercise(
        name="first_bits", number="22.2", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="The most bits of weights whose four products never overflow.",
        reference=first_bits,
        wrong=(
            Wrong(8, "4 * 255 * 127 is 129,540: more than 32,767"),
            Wrong(7, "7 bits are safe for two products; four reach 64,260"),
            Wrong(5, "5 bits are safe, but one more is safe, too"),
            Wrong(31, "31 is the largest weight; how many bits hold -31..31?"),
        ),
        hints=(
            "Change `bits` and look at the largest sum.",
            "16 bits with a sign hold at most 32,767.",
        ),
    ),
    Exercise(
        name="requantize", number="22.3", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Sums of products become bytes, with a scale for each filter.",
        reference=requantize, alternative=requantize_2,
        wrong=(
            Wrong(requantize_one_scale, "every filter has a scale of its own; you use"
                  " that of filter 0 for all"),
            Wrong(requantize_scales_along_pixels, "one mean scale for all filters; each"
                  " row has its own"),
            Wrong(requantize_zero_before, "the zero point counts steps of y: add it"
                  " after the multiplication"),
            Wrong(requantize_wraps, "a byte that is too large stays at 255; yours"
                  " begins again at 0"),
            Wrong(requantize_floor, "round to the nearest step, not down"),
            Wrong(requantize_clamps_too_early, "some bytes are above 255: add the zero"
                  " point first, clamp last"),
            Wrong(requantize_without_zero, "the zero point is missing: a sum of 0 is"
                  " y_zero"),
            Wrong(requantize_signed, "a byte runs from 0 to 255; -128..127 is int8"),
            Wrong(requantize_times, "divide by the step of y: a larger step gives"
                  " smaller integers"),
        ),
        hints=(
            "A sum counts steps of x_scale * w_scale. How many steps of y is one?",
            "w_scale[:, None] lies along the rows.",
            "Round, then add the zero point, then clamp to 0..255.",
        ),
        cases=sums,
        by_hand=(
            ((torch.tensor([[23, -40, 4000]], dtype=torch.int32), 0.5,
              torch.tensor([0.25]), 0.5, 1), torch.tensor([[7.0, 0, 255]])),
        ),
        properties=(
            Property(
                "a sum of 0 gives the zero point",
                lambda mine, total, x_scale, w_scale, y_scale, y_zero: bool(
                    (mine(total * 0, x_scale, w_scale, y_scale, y_zero) == y_zero).all()
                ),
            ),
        ),
        tolerance=0.0,
        survivors={},
    ),
    Exercise(
        name="pads_behind", number="22.4", kind="build", minutes=15, difficulty=2,
        points=3,
        task="The pads behind a side that say what ceil mode does.",
        reference=pads_behind, alternative=pads_behind_2,
        wrong=(
            Wrong(pads_behind_floor, "that is floor mode: the window that hangs over is"
                  " lost"),
            Wrong(pads_behind_all_windows, "a window that begins behind the picture, in"
                  " the pads, is left out by torch"),
            Wrong(pads_behind_same, "as many as before is what the layer says, not what"
                  " its windows need"),
            Wrong(pads_behind_without_before, "the first window begins in the pads"
                  " before: they are part of the length"),
            Wrong(pads_behind_negative, "fewer than no pads cannot be written: 0 then"),
        ),
        hints=(
            "How many windows? ceil((size + 2 before - kernel) / stride) + 1,",
            "... less one, if the last would begin at size + before or later.",
            "The last window ends at (out - 1) * stride + kernel - before.",
        ),
        cases=windows,
        by_hand=(
            ((9, 2, 2, 0), 1),
            ((5, 2, 2, 1), 0),
            ((7, 3, 2, 1), 1),
            ((6, 3, 2, 1), 2),
            ((8, 2, 2, 0), 0),
            ((5, 1, 3, 0), 0),
        ),
        properties=(),
    ),
)  # fmt: skip


def bytes_a_weight() -> float:
    """Bytes a weight, stored as int8 with its filter's 12 bytes, 9 weights a filter."""
    return (9 + 12) / 9


QUIZ = (
    Question(
        "A runtime that knows nothing about int8 opens a QDQ file. What happens?",
        (
            Option("It refuses the file, because it has no kernel for integer"
                   " convolutions.", "Every operator in it is standard ONNX, and the"
                   " convolutions in it are of floats."),
            Option("It computes with floats, rounded where the file says so, and gives"
                   " nearly the same.", "Q and DQ are ordinary operators. Integers are"
                   " a liberty that a runtime may take.", True),
            Option("It computes with full floats, as if nothing in the file were"
                   " rounded.", "The pairs do round, and the weights are stored"
                   " rounded."),
        ),
    ),
    Question(
        "Why are anchors and NMS not in our file?",
        (
            Option("ONNX has no operator for NMS, so each runtime brings one of its"
                   " own.", "It has: NonMaxSuppression. Yet runtimes treat it"
                   " differently."),
            Option("They would be rounded to int8, and boxes would move by whole"
                   " pixels.", "Nothing is rounded where no Q stands."),
            Option("How many boxes survive depends on the picture; the network before"
                   " has fixed shapes.", "What is fixed can be fused and planned. The"
                   " rest is fast without a graph.", True),
        ),
    ),
    Question(
        "A depthwise 3x3 filter has 9 weights. How many bytes does the int8 file spend"
        " for each, with step, bias and the step of the bias?",
        (
            Option("1.00", "That is the weight alone."),
            Option("2.33", "(9 + 12) / 9. Small filters are why lite's file shrinks"
                   " less than four times.", True),
            Option("4.00", "That is a float."),
        ),
        value=bytes_a_weight, form="{:.2f}",
    ),
    Question(
        "Where did the ReLUs go in the int8 file?",
        (
            Option("Byte 0 means 0.0, so the rounding behind them already cuts off"
                   " what is below.", "The zero point of such a map is 0. The clamp of"
                   " Q is the ReLU.", True),
            Option("Batch norm folding took them into the weights of the convolution"
                   " before.", "Folding takes in what is linear. A ReLU is not."),
            Option("onnxruntime computes them inside DQ, where the bytes become"
                   " numbers again.", "DQ only subtracts and multiplies."),
        ),
    ),
    Question(
        "int8 runs 2.5 times faster than eager PyTorch on your machine. What do you"
        " write into the report?",
        (
            Option("int8 makes the model 2.5 times faster.", "Part of that is the"
                   " runtime: its floats are faster than eager PyTorch, too."),
            Option("Nothing: latencies are noise.", "Medians of interleaved runs on an"
                   " idle machine repeat well."),
            Option("int8 against fp32 in the same runtime, and eager beside it.",
                   "Change one thing at a time.", True),
        ),
    ),
)  # fmt: skip
