"""Exercises and quiz of chapter 22: Q and DQ, biases, pads, sizes, and two bytes."""

import hashlib
import math
import random
import tempfile
from pathlib import Path

import torch
from torch import nn

from lib.compression import deployed, grids, pairs, qat
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- the machine that calls the core function


def small_file() -> list:
    """An int8 file of three layers: its SHA-256, and what onnxruntime makes of a ramp.

    Only who writes files needs onnx, so it is imported here.
    """
    from lib.compression import export

    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)
    ramp = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    with torch.no_grad():
        graph = deployed.deployed(nn.Sequential(*layers).eval(), ramp)
    fake = grids.settle(qat.calibrate(qat.prepare(graph), [ramp]))
    with tempfile.TemporaryDirectory() as folder:
        path = export.to_qdq_onnx(fake, ramp[:1], Path(folder) / "small.onnx")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [digest, export.Network(path)(ramp)]


# --- 22.1 build: the pair behind a value


def pair_2(x, scale, zero, name):
    """Operator by operator: what one gives, the next one reads."""
    nodes = []
    for operator, letter in (("QuantizeLinear", "q"), ("DequantizeLinear", "dq")):
        gives = name + "." + letter
        nodes.append((operator, [x, scale, zero], gives))
        x = gives
    return nodes


def _pair(change):
    def slip(x, scale, zero, name):
        return change(x, scale, zero, f"{name}.q", f"{name}.dq")

    return slip


def _named_pair(name, change):
    slip = _pair(change)
    slip.__name__ = name
    return slip


Q, DQ = "QuantizeLinear", "DequantizeLinear"
pair_beside = _named_pair(
    "pair_beside",
    lambda x, s, z, q, dq: [(Q, [x, s, z], q), (DQ, [x, s, z], dq)],
)
pair_turned_round = _named_pair(
    "pair_turned_round",
    lambda x, s, z, q, dq: [(DQ, [x, s, z], dq), (Q, [dq, s, z], q)],
)
pair_kinds_swapped = _named_pair(
    "pair_kinds_swapped",
    lambda x, s, z, q, dq: [(DQ, [x, s, z], q), (Q, [q, s, z], dq)],
)
pair_q_alone = _named_pair("pair_q_alone", lambda x, s, z, q, dq: [(Q, [x, s, z], q)])
pair_dq_alone = _named_pair(
    "pair_dq_alone", lambda x, s, z, q, dq: [(DQ, [x, s, z], dq)]
)
pair_without_zero = _named_pair(
    "pair_without_zero", lambda x, s, z, q, dq: [(Q, [x, s], q), (DQ, [q, s], dq)]
)
pair_back_without_zero = _named_pair(
    "pair_back_without_zero",
    lambda x, s, z, q, dq: [(Q, [x, s, z], q), (DQ, [q, s], dq)],
)
pair_zero_first = _named_pair(
    "pair_zero_first",
    lambda x, s, z, q, dq: [(Q, [x, z, s], q), (DQ, [q, z, s], dq)],
)
pair_grid_only = _named_pair(
    "pair_grid_only", lambda x, s, z, q, dq: [(Q, [x, s, z], q), (DQ, [q], dq)]
)
pair_same_name = _named_pair(
    "pair_same_name", lambda x, s, z, q, dq: [(Q, [x, s, z], x), (DQ, [x, s, z], dq)]
)
pair_numbers_first = _named_pair(
    "pair_numbers_first",
    lambda x, s, z, q, dq: [(Q, [s, z, x], q), (DQ, [s, z, q], dq)],
)
pair_reads_itself = _named_pair(
    "pair_reads_itself",
    lambda x, s, z, q, dq: [(Q, [x, s, z], q), (DQ, [dq, s, z], q)],
)
pair_behind_first = _named_pair(
    "pair_behind_first",
    lambda x, s, z, q, dq: [(DQ, [q, s, z], dq), (Q, [x, s, z], q)],
)


def pair_bare_names(x, scale, zero, name):
    """The names of the operators for those of the values."""
    return [(Q, [x, scale, zero], "q"), (DQ, ["q", scale, zero], "dq")]


def pair_two_operators(x, scale, zero, name):
    """Without what they read."""
    return [Q, DQ]


def names_case(rng: random.Random, size: int) -> tuple:
    """Names as a graph may have them."""
    x = rng.choice(("image", "conv_3", "relu.out", f"{size}.dq"))
    k = rng.randint(0, 99)
    return x, f"{k}.scale", f"{k}.zero", str(k)


# --- 22.2 predict


def kilobytes() -> float:
    """One layer of plain in int8, in kB of 1,000 bytes: 64 filters over 32 x 3 x 3."""
    return (64 * 32 * 9 + 64 * (4 + 4 + 4)) / 1000


def kilobytes_of_floats() -> float:
    return (64 * 32 * 9 * 4 + 64 * 4) / 1000


def kilobytes_without_steps() -> float:
    return 64 * 32 * 9 / 1000


def kilobytes_of_1024() -> float:
    return 64 * (32 * 9 + 12) / 1024


def kilobytes_with_eight() -> float:
    return 64 * (32 * 9 + 8) / 1000


def kilobytes_one_tap() -> float:
    return 64 * (32 + 12) / 1000


# --- 22.3 measure


def first_bits() -> int:
    """The most bits whose weights cannot overflow 16 bits with four products."""
    return max(bits for bits in range(2, 9) if 4 * 255 * (2 ** (bits - 1) - 1) < 2**15)


# --- 22.4 build


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


def requantize_mean_scale(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale.mean() / y_scale
    return (torch.round(total * ratio) + y_zero).clamp(0, 255)


def requantize_along_pixels(total, x_scale, w_scale, y_scale, y_zero):
    """Scales along the columns; fails unless there are as many, or one."""
    ratio = x_scale * w_scale / y_scale
    return (torch.round(total * ratio) + y_zero).clamp(0, 255)


def requantize_half_up(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.floor(total * ratio[:, None] + 0.5) + y_zero).clamp(0, 255)


def requantize_zero_before_rounding(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return torch.round(total * ratio[:, None] + y_zero).clamp(0, 255)


def requantize_half_away(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale / y_scale)[:, None]
    return (real.sign() * (real.abs() + 0.5).floor() + y_zero).clamp(0, 255)


def requantize_cut_off(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.trunc(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_up(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.ceil(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_not_rounded(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (total * ratio[:, None] + y_zero).clamp(0, 255)


def requantize_not_clamped(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return torch.round(total * ratio[:, None]) + y_zero


def requantize_zero_subtracted(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.round(total * ratio[:, None]) - y_zero).clamp(0, 255)


def requantize_without_y_scale(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_without_x_scale(total, x_scale, w_scale, y_scale, y_zero):
    ratio = w_scale / y_scale
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 255)


def requantize_divided_by_weights(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale / (w_scale * y_scale)
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 255)


def _requantized_with(name, rule):
    """Whole answers that differ in one line: rule(total, ratio, zero) -> steps."""

    def requantized(total, x_scale, w_scale, y_scale, y_zero):
        ratio = (x_scale * w_scale / y_scale)[:, None]
        return rule(total, ratio, y_zero)

    requantized.__name__ = name
    return requantized


requantize_one_too_low = _requantized_with(
    "requantize_one_too_low", lambda t, r, z: (torch.round(t * r) + z).clamp(0, 254)
)
requantize_seven_bits = _requantized_with(
    "requantize_seven_bits", lambda t, r, z: (torch.round(t * r) + z).clamp(0, 127)
)
requantize_only_above = _requantized_with(
    "requantize_only_above", lambda t, r, z: (torch.round(t * r) + z).clamp(max=255)
)
requantize_only_below = _requantized_with(
    "requantize_only_below", lambda t, r, z: (torch.round(t * r) + z).clamp(min=0)
)
requantize_negative_lost = _requantized_with(
    "requantize_negative_lost",
    lambda t, r, z: (torch.round(t * r).clamp(min=0) + z).clamp(0, 255),
)
requantize_divided = _requantized_with(
    "requantize_divided", lambda t, r, z: (torch.round(t / r) + z).clamp(0, 255)
)
requantize_zero_off_the_sum = _requantized_with(
    "requantize_zero_off_the_sum",
    lambda t, r, z: torch.round((t - z) * r).clamp(0, 255),
)
requantize_ratio_rounded = _requantized_with(
    "requantize_ratio_rounded",
    lambda t, r, z: (torch.round(t * torch.round(r)) + z).clamp(0, 255),
)
requantize_magnitude = _requantized_with(
    "requantize_magnitude", lambda t, r, z: (torch.round(t * r).abs() + z).clamp(0, 255)
)


def requantize_zero_off_the_reals(total, x_scale, w_scale, y_scale, y_zero):
    """As if the zero point were a real number."""
    real = total * (x_scale * w_scale)[:, None]
    return torch.round((real - y_zero) / y_scale).clamp(0, 255)


def requantize_zero_added_to_reals(total, x_scale, w_scale, y_scale, y_zero):
    real = total * (x_scale * w_scale)[:, None]
    return torch.round((real + y_zero) / y_scale).clamp(0, 255)


def requantize_back_to_reals(total, x_scale, w_scale, y_scale, y_zero):
    """One step too far: bytes into real numbers again."""
    ratio = x_scale * w_scale / y_scale
    steps = (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 255)
    return (steps - y_zero) * y_scale


def requantize_clamped_to_256(total, x_scale, w_scale, y_scale, y_zero):
    ratio = x_scale * w_scale / y_scale
    return (torch.round(total * ratio[:, None]) + y_zero).clamp(0, 256)


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
    """Sums whose bytes reach from below 0 to above 255.

    In every sixth case a quarter and an eighth are the factors, with many ties; in the
    others no sum is near one. Some have one row or column, or as many of each.
    """
    filters, pixels = rng.choice(((2 + size % 3, 4 + size), (3, 3), (1, 5), (4, 1)))
    zero = rng.choice((0, 3, 7, 60, 127, 128))
    if size == 6:
        w_scale = torch.tensor([0.5, 0.25] * filters)[:filters]
        total = [[rng.randint(-600, 2400) for _ in range(12)] for _ in range(filters)]
        return torch.tensor(total, dtype=torch.int32), 0.25, w_scale, 0.5, zero
    w_scale = tensor(rng, filters, low=0.01, high=0.05)
    # The longest sums of a network, of about 25 bits, have the finest scales.
    fine = rng.choice((1.0, 1.0, 1e-4))
    x_scale, y_scale = fine * rng.uniform(0.01, 0.04), rng.uniform(0.03, 0.1)
    wanted = tensor(rng, filters, pixels, low=-150.0, high=320.0)
    wanted = wanted.floor() + 0.02 + 0.46 * (wanted - wanted.floor())
    wanted = wanted + 0.5 * (torch.arange(pixels) % 2)
    total = torch.round(wanted * y_scale / (x_scale * w_scale[:, None]))
    return total.to(torch.int32), x_scale, w_scale, y_scale, zero


# --- 22.5 build


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


def pads_behind_counts_windows(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return out


def pads_behind_twice_before(size, kernel, stride, before):
    """What is behind `before` pads there already."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - 2 * before, 0)


def pads_behind_one_window_more(size, kernel, stride, before):
    """The last window begins at out * stride."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max(out * stride + kernel - size - before, 0)


def pads_behind_drops_at_size(size, kernel, stride, before):
    """Asks whether the last window begins at `size`, counted from the first pad."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_drops_later(size, kernel, stride, before):
    """Leaves the window that begins at size + before exactly."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride > size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_drops_out(size, kernel, stride, before):
    """out * stride where (out - 1) * stride is meant."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if out * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_one_pad(size, kernel, stride, before):
    """Counts windows with the pads of one side."""
    out = math.ceil((size + before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_twice_and_all(size, kernel, stride, before):
    """Subtracts `before` twice, and leaves no window out."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    return max((out - 1) * stride + kernel - size - 2 * before, 0)


def pads_behind_drops_out_later(size, kernel, stride, before):
    """out * stride, and above instead of at least."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if out * stride > size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_one_pad_and_all(size, kernel, stride, before):
    """Counts windows with the pads of one side, and leaves none out."""
    out = math.ceil((size + before - kernel) / stride) + 1
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_no_stride(size, kernel, stride, before):
    return max(kernel - 1 - before, 0)


def pads_behind_kernel_less_one(size, kernel, stride, before):
    return kernel - 1


def pads_behind_to_the_picture(size, kernel, stride, before):
    """Forgets the pads before in the last window's end."""
    out = math.ceil((size - kernel) / stride) + 1
    return max((out - 1) * stride + kernel - size, 0)


def pads_behind_same_size(size, kernel, stride, before):
    """As "same" padding: ceil(size / stride) windows."""
    out = math.ceil(size / stride)
    return max((out - 1) * stride + kernel - size - before, 0)


def pads_behind_one_too_many(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before + 1, 0)


def pads_behind_one_too_few(size, kernel, stride, before):
    """The last window ends at its last place, not behind it."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - 1 - size - before, 0)


def pads_behind_at_least_before(size, kernel, stride, before):
    """Never fewer than before."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, before)


def pads_behind_less_before(size, kernel, stride, before):
    """Only what is more than the layer's own pads."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return max((out - 1) * stride + kernel - size - before, 0) - before


def pads_behind_length(size, kernel, stride, before):
    """How long all of it is."""
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return (out - 1) * stride + kernel


def pads_behind_rest(size, kernel, stride, before):
    """What is missing to a multiple of the stride."""
    return -(size + before) % stride


def pads_behind_negative(size, kernel, stride, before):
    out = math.ceil((size + 2 * before - kernel) / stride) + 1
    if (out - 1) * stride >= size + before:
        out = out - 1
    return (out - 1) * stride + kernel - size - before


def windows(rng, size) -> tuple:
    """A side, a kernel, a stride below or above it, pads; some sides of a picture."""
    kernel = rng.choice((1, 2, 3, 4, 5))
    before = rng.randint(0, kernel // 2)
    stride = rng.randint(1, 5)
    side = rng.choice((56, 112, 128, 513)) if size == 6 else kernel + 4 + size
    return rng.randint(kernel, side), kernel, stride, before


EXERCISES = (
    Exercise(
        name="pair", number="22.1", kind="build", minutes=10, difficulty=1, points=2,
        task="The two nodes that round a value in a file, Eq. 22.1.",
        place="compression.pairs.pair", required=True, importance=2,
        machine="the writer of int8 files", machine_case=small_file, milestone_calls=39,
        reference=pairs.pair, alternative=pair_2,
        wrong=(
            Wrong(pair_beside, "DQ reads the map itself: it has to read the integers"
                  " that Q gives, name.q"),
            Wrong(pair_turned_round, "turned round: first integers (Q), then real"
                  " numbers again (DQ)"),
            Wrong(pair_kinds_swapped, "QuantizeLinear makes integers of reals,"
                  " DequantizeLinear reals of integers: you have one for the other"),
            Wrong(pair_behind_first, "a graph lists a node behind those that it reads:"
                  " Q comes first"),
            Wrong(pair_q_alone, "Q alone gives integers, and what follows reads reals:"
                  " DQ has to stand behind it"),
            Wrong(pair_dq_alone, "nothing has made integers yet: Q comes first"),
            Wrong(pair_without_zero, "without a zero point it is taken as 0: the third"
                  " name that both read"),
            Wrong(pair_back_without_zero, "the way back needs the zero point, too: DQ"
                  " would take it as 0"),
            Wrong(pair_zero_first, "first the step, then the zero point: ONNX goes by"
                  " position"),
            Wrong(pair_grid_only, "DQ does not know the grid of Q: it reads step and"
                  " zero point, too"),
            Wrong(pair_same_name, "a name is given once in a graph: the integers are"
                  " called name.q"),
            Wrong(pair_numbers_first, "what is rounded comes first, then step and zero"
                  " point: ONNX goes by position"),
            Wrong(pair_reads_itself, "Q gives name.q, which DQ reads; DQ gives"
                  " name.dq"),
            Wrong(pair_bare_names, "every value of a graph has a name of its own: put"
                  " `name` and a point before q and dq"),
            Wrong(pair_two_operators, "a node is a triple: operator, what it reads, and"
                  " the name of what it gives"),
        ),
        hints=(
            "Two triples in a list: (operator, [names it reads], name it gives).",
            "QuantizeLinear reads x, step and zero point, and gives name.q.",
            "DequantizeLinear reads name.q on the same grid, and gives name.dq.",
        ),
        cases=names_case,
        by_hand=(
            (("map", "step", "zero", "7"),
             [("QuantizeLinear", ["map", "step", "zero"], "7.q"),
              ("DequantizeLinear", ["7.q", "step", "zero"], "7.dq")]),
        ),
    ),
    Exercise(
        name="kilobytes", number="22.2", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="How many kB has a layer of 64 filters over 32 x 3 x 3 in int8?",
        reference=kilobytes,
        wrong=(
            Wrong(kilobytes_of_floats, "those are floats: a weight has one byte now"),
            Wrong(kilobytes_without_steps, "each filter also has a step and a bias"),
            Wrong(lambda: kilobytes() * 1000, "give kB: 1,000 bytes"),
            Wrong(kilobytes_of_1024, "a kB has 1,000 bytes here, not 1,024"),
            Wrong(kilobytes_with_eight, "a bias has a step of its own: 12 bytes a"
                  " filter"),
            Wrong(kilobytes_one_tap, "a filter has 3 x 3 weights for each channel"),
        ),
        hints=(
            "One byte a weight. How many weights are 64 filters of 32 x 3 x 3?",
            "A filter adds 12 bytes: its step, its bias, and the step of its bias.",
        ),
        tolerance=0.005,
    ),
    Exercise(
        name="first_bits", number="22.3", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="The most bits of weights whose four products never overflow.",
        reference=first_bits,
        wrong=(
            Wrong(8, "4 * 255 * 127 is 129,540: more than 32,767"),
            Wrong(7, "7 bits are safe for two products; four reach 64,260"),
            Wrong(5, "5 bits are safe, but one more is safe, too"),
            Wrong(31, "31 is the largest weight; how many bits hold -31..31?"),
            Wrong(4, "4 bits are safe, but more are safe, too"),
            Wrong(4 * 255 * 31, "that is the largest sum; give the bits"),
            Wrong(32, "4 * 255 * 32 is 32,640, which would still fit; but the question"
                  " is how many bits the weights have"),
        ),
        hints=(
            "Change `bits` and look at the largest sum.",
            "16 bits with a sign hold at most 32,767.",
        ),
    ),
    Exercise(
        name="requantize", number="22.4", kind="build", minutes=15, difficulty=2,
        points=3,
        task="requantize(total, x_scale, w_scale, y_scale, y_zero): integer sums (C,"
             " N), w_scale (C,), the other scales numbers, y_zero an integer. Return"
             " the bytes of Eq. 22.2, whole numbers in a float32 tensor: rounded as"
             " torch.round does, halves to the even side, then the zero point.",
        reference=requantize, alternative=requantize_2, exact_type=True,
        wrong=(
            Wrong(requantize_one_scale, "every filter has a scale of its own; you use"
                  " that of filter 0 for all"),
            Wrong(requantize_mean_scale, "one mean scale for all filters; each"
                  " row has its own"),
            Wrong(requantize_along_pixels, "w_scale lies along the columns; it belongs"
                  " to the rows: w_scale[:, None]"),
            Wrong(requantize_half_up, "halves go to the even side, as torch.round does:"
                  " 2.5 becomes 2; floor(x + 0.5) makes 3 of it"),
            Wrong(requantize_zero_before_rounding, "round first, then add the zero"
                  " point: 2.5 + 1 would round to 4, but 2.5 rounds to 2, plus 1 is 3"),
            Wrong(requantize_half_away, "halves go to the even side, as torch.round"
                  " does: 2.5 becomes 2, not 3"),
            Wrong(requantize_cut_off, "round to the nearest step; cutting the decimals"
                  " off goes down above 0 and up below it"),
            Wrong(requantize_up, "round to the nearest step, not up"),
            Wrong(requantize_not_rounded, "bytes are whole numbers: round"),
            Wrong(requantize_not_clamped, "a byte holds 0 to 255: clamp"),
            Wrong(requantize_zero_subtracted, "the zero point is added: a sum of 0 is"
                  " y_zero"),
            Wrong(requantize_without_y_scale, "these are real numbers; how many steps"
                  " of y are they?"),
            Wrong(requantize_without_x_scale, "a sum counts steps of x_scale times"
                  " w_scale; x_scale is missing"),
            Wrong(requantize_divided_by_weights, "a sum counts steps of x_scale times"
                  " w_scale: multiply by both, divide by y_scale"),
            Wrong(requantize_one_too_low, "a byte holds 255, too: clamp to 0..255"),
            Wrong(requantize_seven_bits, "127 is the end of int8; a byte runs from 0 to"
                  " 255"),
            Wrong(requantize_only_above, "a byte holds nothing below 0: clamp both"
                  " ways"),
            Wrong(requantize_only_below, "a byte holds nothing above 255: clamp both"
                  " ways"),
            Wrong(requantize_negative_lost, "a negative sum may still be a byte, once"
                  " the zero point is added: clamp last"),
            Wrong(requantize_divided, "turned over: one step of the sum is x_scale *"
                  " w_scale / y_scale steps of y, so multiply"),
            Wrong(requantize_zero_off_the_sum, "the zero point belongs to y: add it"
                  " after the rounding, do not take it off the sum"),
            Wrong(requantize_ratio_rounded, "the factor is no whole number; round its"
                  " product with the sum only"),
            Wrong(requantize_magnitude, "negative sums stay negative until the zero"
                  " point is added: no abs()"),
            Wrong(requantize_zero_off_the_reals, "the zero point counts steps of y, and"
                  " is added: divide by y_scale and round first"),
            Wrong(requantize_zero_added_to_reals, "the zero point counts steps of y:"
                  " divide by y_scale and round first, then add it"),
            Wrong(requantize_back_to_reals, "those are real numbers again; return the"
                  " bytes"),
            Wrong(requantize_clamped_to_256, "256 is no byte any more: clamp to 255"),
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
            # A quarter of 10, 14 and -10 is 2.5, 3.5 and -2.5; an eighth of 46 is 5.75.
            ((torch.tensor([[10, 14, -10], [46, 12, -37]], dtype=torch.int32), 0.5,
              torch.tensor([0.5, 0.25]), 1.0, 5),
             torch.tensor([[7.0, 9, 3], [11, 7, 0]])),
            # 3/4 of 7 and 61 are 5.25 and 45.75; 3/8 are 2.625 and 22.875.
            ((torch.tensor([[7, 61], [7, 61]], dtype=torch.int32), 0.5,
              torch.tensor([0.75, 0.375]), 0.5, 100),
             torch.tensor([[105.0, 146], [103, 123]])),
        ),
        properties=(
            Property(
                "a sum of 0 gives the zero point",
                lambda mine, total, x_scale, w_scale, y_scale, y_zero: not difference(
                    torch.full(total.shape, float(y_zero)),
                    mine(total * 0, x_scale, w_scale, y_scale, y_zero), 0.0,
                ),
            ),
        ),
        tolerance=0.0,
    ),
    Exercise(
        name="pads_behind", number="22.5", kind="build", minutes=15, difficulty=2,
        points=3,
        task="pads_behind(size, kernel, stride, before): how many pads a side of `size`"
             " needs behind it, 0 or more, so that the windows of PyTorch's ceil_mode"
             " fit: ceil((size + 2 before - kernel) / stride) + 1 of them, less the"
             " last one if it would begin at size + before or later.",
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
            Wrong(pads_behind_counts_windows, "that is the number of windows; asked are"
                  " the pads behind that they need"),
            Wrong(pads_behind_twice_before, "you subtract `before` twice: the length so"
                  " far is size + before"),
            Wrong(pads_behind_one_window_more, "the first window begins at 0, so the"
                  " last one at (out - 1) * stride"),
            Wrong(pads_behind_drops_at_size, "counted from the first pad, the picture"
                  " ends at size + before, not at size"),
            Wrong(pads_behind_drops_later, "a window that begins at size + before"
                  " exactly is left out, too: at least, not above"),
            Wrong(pads_behind_drops_out, "one window too few: the + 1 of the formula"
                  " counts the first one, and the last begins at (out - 1) * stride"),
            Wrong(pads_behind_one_pad, "ceil mode counts the pads of both sides: size +"
                  " 2 before - kernel"),
            Wrong(pads_behind_twice_and_all, "those are the pads beyond `before` on"
                  " either side; all pads behind are asked, and a last window that"
                  " would begin in them is left out"),
            Wrong(pads_behind_drops_out_later, "the last window begins at (out - 1) *"
                  " stride, not at out * stride, and at size + before exactly it is"
                  " left out, too"),
            Wrong(pads_behind_one_pad_and_all, "ceil mode counts the pads of both"
                  " sides, and leaves the last window out if it would begin behind the"
                  " picture"),
            Wrong(pads_behind_no_stride, "that holds for a stride of 1; where does the"
                  " last window begin otherwise?"),
            Wrong(pads_behind_kernel_less_one, "so many are never too few, but the last"
                  " window seldom needs them: work out where it ends"),
            Wrong(pads_behind_to_the_picture, "the pads before belong to the length:"
                  " windows begin in them"),
            Wrong(pads_behind_same_size, "that is \"same\" padding, ceil(size / stride)"
                  " windows; ceil mode counts otherwise"),
            Wrong(pads_behind_one_too_many, "one too many: a window that begins at b"
                  " ends before b + kernel"),
            Wrong(pads_behind_one_too_few, "one too few: a window that begins at b"
                  " needs the places b to b + kernel - 1, so b + kernel of them"),
            Wrong(pads_behind_at_least_before, "there may be fewer behind than before,"
                  " even none"),
            Wrong(pads_behind_less_before, "all pads behind are asked, not those beyond"
                  " the layer's own"),
            Wrong(pads_behind_length, "that is the whole length; subtract the picture"
                  " and the pads before"),
            Wrong(pads_behind_rest, "the windows need not fill a multiple of the"
                  " stride; the last one needs its whole kernel"),
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
            ((4, 3, 3, 1), 1),  # windows at -1, 2: up to 5
            ((8, 5, 3, 2), 4),  # windows at -2, 1, 4, 7: up to 12
            ((4, 2, 2, 1), 1),  # windows at -1, 1, 3: up to 5
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
