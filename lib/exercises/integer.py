"""Exercises and quiz of chapter 21: sums, multipliers, zero points, thresholds."""

import functools
import math
from fractions import Fraction

import torch
import torch.nn.functional as F

from lib.compression import arithmetic, deployed, integer, qat
from lib.detection import detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- the machine that calls the core functions


@functools.cache
def lite_in_integers():
    """The shipped *lite* detector in integers, and two pictures on its first grid."""
    ramp = torch.linspace(0, 1, 64)
    picture = torch.stack([(k * ramp).sin() * ramp[:, None] for k in (9, 14, 3)])
    pictures = torch.stack([picture, -picture])
    with torch.no_grad():
        graph = deployed.deployed(detectors.shipped("lite"), pictures)
    pretending = qat.calibrate(qat.prepare(graph), [pictures])
    network = integer.convert(pretending)
    return network, network.integers(pictures)


def integer_outputs() -> list:
    """Six maps of integers: two of each level, to the bit."""
    network, integers = lite_in_integers()
    classes, boxes = network.body(integers)
    return [*classes, *boxes]


# --- 21.1 build: the sums of a convolution


def sums_2(x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1):
    """In double precision, which holds every integer of 53 bits."""
    how = stride, padding, dilation, groups
    bias = None if bias is None else bias.double()
    return F.conv2d(x.double() - zero_point, weight.double(), bias, *how).int()


def sums_in_bytes(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    """The zero point is taken off in the kind that x has."""
    return arithmetic.accumulate(
        x - zero_point, weight, bias, 0, stride, padding, dilation, groups
    )


def _sums(change):
    """A slip: `change(x, weight, bias, zero)` gives what is convolved."""

    def sums(x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1):
        x, weight, bias = change(x.int(), weight.int(), bias, zero_point)
        return F.conv2d(x, weight, bias, stride, padding, 1, groups)

    return sums


def _slip(name, change):
    slip = _sums(change)
    slip.__name__ = name
    return slip


sums_zero_forgotten = _slip("sums_zero_forgotten", lambda x, w, b, z: (x, w, b))
sums_zero_added = _slip("sums_zero_added", lambda x, w, b, z: (x + z, w, b))
sums_turned_round = _slip("sums_turned_round", lambda x, w, b, z: (z - x, w, b))
sums_of_weights = _slip("sums_of_weights", lambda x, w, b, z: (x, w - z, b))
sums_of_both = _slip("sums_of_both", lambda x, w, b, z: (x - z, w - z, b))
sums_no_bias = _slip("sums_no_bias", lambda x, w, b, z: (x - z, w, None))
sums_flipped = _slip("sums_flipped", lambda x, w, b, z: (x - z, w.flip((2, 3)), b))
sums_magnitudes = _slip("sums_magnitudes", lambda x, w, b, z: ((x - z).abs(), w, b))
sums_always_128 = _slip("sums_always_128", lambda x, w, b, z: (x - 128, w, b))


def sums_padded_first(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    """The integer 0 stands in the frame when the zero point is taken off."""
    sides = padding if isinstance(padding, tuple) else (padding, padding)
    framed = F.pad(x.int(), (sides[1], sides[1], sides[0], sides[0])) - zero_point
    return F.conv2d(framed, weight.int(), bias, stride, 0, 1, groups)


def sums_never_padded(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    return F.conv2d(x.int() - zero_point, weight.int(), bias, stride, 0, 1, groups)


def sums_stride_forgotten(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    return F.conv2d(x.int() - zero_point, weight.int(), bias, 1, padding, 1, groups)


def sums_off_behind(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    """The zero point is taken off each sum."""
    how = stride, padding, 1, groups
    return F.conv2d(x.int(), weight.int(), bias, *how) - zero_point


def sums_in_float(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    """float32 holds every integer of 24 bits, and these sums are longer."""
    how = stride, padding, 1, groups
    bias = None if bias is None else bias.float()
    return F.conv2d((x - zero_point).float(), weight.float(), bias, *how).int()


def sums_in_sixteen(
    x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1
):
    """Turns over at 32,767."""
    how = stride, padding, 1, groups
    found = F.conv2d(x.int() - zero_point, weight.int(), bias, *how)
    return found.to(torch.int16).int()


def convolution_case(rng, size) -> tuple:
    """Bytes (B, C, H, W), also as uint8, int8 weights (F, C / g, k, k), biases or none.

    Any zero point; strides, pads and groups; the largest sums have 31 bits.
    """
    groups = rng.choice((1, 1, 2))
    inputs, filters = groups * (1 + size // 2), groups * rng.randint(1, 2)
    k, stride, padding = (
        rng.choice((1, 3, 3)),
        rng.choice((1, 1, 2)),
        rng.choice((0, 1)),
    )
    high = 4 + size // 2
    x = tensor(rng, rng.choice((1, 2)), inputs, high, 5, high=256.0).abs().int()
    shape = filters, inputs // groups, k, k
    weight = tensor(rng, *shape, low=-127.0, high=128.0).to(torch.int8)
    most = 2.0**30 if size == 6 else 3000.0
    bias = tensor(rng, filters, low=-most, high=most).int()
    if rng.random() < 0.2:
        bias = None
    if size == 6:
        weight = weight.abs()
    zero_point = rng.choice((rng.randint(0, 255), rng.randint(-128, -1), 127))
    if zero_point >= 0 and rng.random() < 0.5:
        x = x.to(torch.uint8)
    return x, weight, bias, zero_point, stride, padding, 1, groups


def by_hand_sums(x, weight, bias, zero_point, sums, padding=0):
    one_row = torch.tensor([[x]]), torch.tensor([[weight]])  # 1 1 H W
    given = *one_row, torch.tensor(bias).int(), zero_point
    given = (*given, 1, padding) if padding else given
    return given, torch.tensor([[sums]]).int()


# --- 21.2 build: from the sums to the next map


def next_map_2(sums, multiplier, shift, offset, zero_point, low, high):
    """Quotient and rest: more than half goes up, and a half if that makes it even."""
    product = sums.long() * multiplier + offset
    whole = torch.div(product, 2**shift, rounding_mode="floor")
    rest = 2 * (product - whole * 2**shift)
    odd = whole % 2 == 1
    up = (rest > 2**shift) | ((rest == 2**shift) & odd)
    steps = whole + up.long()
    return torch.minimum(torch.maximum(steps + zero_point, low), high).int()


def half_even(product, shift):
    """Eq. 21.4, as the chapter has it."""
    odd = (product >> shift) & 1
    return (product + (1 << (shift - 1)) - 1 + odd) >> shift


def ended(steps, low, high):
    return steps.clamp(low, high).int()


def next_shift_alone(sums, multiplier, shift, offset, zero_point, low, high):
    return ended(((sums.long() * multiplier + offset) >> shift) + zero_point, low, high)


def next_half_up(sums, multiplier, shift, offset, zero_point, low, high):
    product = sums.long() * multiplier + offset
    return ended(((product + (1 << (shift - 1))) >> shift) + zero_point, low, high)


def next_zero_before(sums, multiplier, shift, offset, zero_point, low, high):
    """The zero point is added before the rounding."""
    product = sums.long() * multiplier + offset + (zero_point << shift)
    return ended(half_even(product, shift), low, high)


def next_no_offset(sums, multiplier, shift, offset, zero_point, low, high):
    return ended(half_even(sums.long() * multiplier, shift) + zero_point, low, high)


def next_offset_behind(sums, multiplier, shift, offset, zero_point, low, high):
    """r is added to the result, where it counts whole steps."""
    steps = half_even(sums.long() * multiplier, shift) + offset
    return ended(steps + zero_point, low, high)


def next_offset_scaled(sums, multiplier, shift, offset, zero_point, low, high):
    """r is multiplied, too."""
    product = (sums.long() + offset) * multiplier
    return ended(half_even(product, shift) + zero_point, low, high)


def next_no_zero(sums, multiplier, shift, offset, zero_point, low, high):
    return ended(half_even(sums.long() * multiplier + offset, shift), low, high)


def next_zero_taken_off(sums, multiplier, shift, offset, zero_point, low, high):
    steps = half_even(sums.long() * multiplier + offset, shift)
    return ended(steps - zero_point, low, high)


def next_not_clipped(sums, multiplier, shift, offset, zero_point, low, high):
    return (half_even(sums.long() * multiplier + offset, shift) + zero_point).int()


def next_clipped_before_zero(sums, multiplier, shift, offset, zero_point, low, high):
    steps = half_even(sums.long() * multiplier + offset, shift)
    return (steps.clamp(low, high) + zero_point).int()


def next_wraps(sums, multiplier, shift, offset, zero_point, low, high):
    """The product in 32 bits."""
    product = (sums.int() * multiplier.int()).long() + offset
    return ended(half_even(product, shift) + zero_point, low, high)


def next_in_float(sums, multiplier, shift, offset, zero_point, low, high):
    """A real factor in float32."""
    steps = (sums.float() * multiplier + offset) / 2.0**shift
    return ended(steps.round().long() + zero_point, low, high)


def next_bytes(sums, multiplier, shift, offset, zero_point, low, high):
    steps = half_even(sums.long() * multiplier + offset, shift)
    return (steps + zero_point).clamp(0, 255).int()


def next_rounded_twice(sums, multiplier, shift, offset, zero_point, low, high):
    """First by 31 bits, then by the others."""
    first = (shift - 1).clamp(max=31)
    upper = half_even(sums.long() * multiplier + offset, first)
    return ended(half_even(upper, shift - first) + zero_point, low, high)


def next_no_multiplier(sums, multiplier, shift, offset, zero_point, low, high):
    return ended(half_even(sums.long() + offset, shift) + zero_point, low, high)


def next_cut_off(sums, multiplier, shift, offset, zero_point, low, high):
    """Towards 0, as int() and C's division."""
    product = sums.long() * multiplier + offset
    steps = torch.div(product, 2**shift, rounding_mode="trunc")
    return ended(steps + zero_point, low, high)


def sums_case(rng, size) -> tuple:
    """Sums of a map, one factor or one for each channel; every third has halves.

    Short multipliers, and those of 31 bits with the longest sums of 31.
    """
    channels = 2 * size
    shape = rng.choice(((channels,), (2, channels, 2, 1), (1, channels, 3, size)))
    sides = [1] * len(shape)
    if rng.random() < 0.6:
        axis = 0 if len(shape) == 1 else 1
        sides[axis] = shape[axis]
    sides = sides if max(sides) > 1 else []
    halves = rng.random() < 0.34
    if halves:
        multiplier, shift = torch.ones(sides).long(), torch.full(sides, 2)
        offset, most = torch.zeros(sides).long(), 600.0
    else:
        multiplier = tensor(rng, *sides, low=2.0**30, high=2.0**31 - 300).long()
        shift = torch.full(sides, rng.choice((38, 40, 45, 55)))
        offset = tensor(rng, *sides, low=-(2.0**30), high=2.0**30).long()
        # Far enough to leave the grid now and then, below 2^31.
        most = min(2.0**31 - 300, 400.0 * 2.0 ** (int(shift.flatten()[0]) - 30))
    low, high = rng.choice(((0, 255), (-128, 127), (3, 33)))
    sums = tensor(rng, *shape, low=-most, high=most).int()
    few = torch.tensor(rng.randint(low, high)), torch.tensor(low), torch.tensor(high)
    return sums, multiplier, shift, offset, *few


def by_hand_next(sums, stage, integers):
    given = torch.tensor(sums), *(torch.tensor(value) for value in stage)
    return given, torch.tensor(integers).int()


# --- 21.3 predict


def quarter() -> int:
    """The integer that a sum of 50 becomes: a quarter of it, zero point -5."""
    return round(Fraction(50, 4)) - 5


# --- 21.4 measure


@functools.cache
def fewest_bits() -> int:
    """The shortest multiplier for 0.00029 that rounds no sum up to 40,000 wrongly."""
    sums = torch.arange(-40_000, 40_001)
    right = (sums.double() * 0.00029).round().long()
    return 1 + max(
        bits for bits in range(1, 32) if (with_bits(sums, bits) != right).any()
    )


def with_bits(sums, bits):
    """`sums` times 0.00029, by a multiplier of so many bits: 0.594 = 0.00029 * 2^11."""
    multiplier = round(0.00029 * 2 ** (bits + 11))
    return arithmetic.rounded_shift(sums * multiplier, bits + 11)


# --- 21.5 build


def fold_zero_point(weight, bias, zero_point):
    """The bias with which a convolution needs no zero point any more."""
    return bias - zero_point * weight.sum((1, 2, 3))


def fold_zero_point_2(weight, bias, zero_point):
    """Ask the convolution: what does a picture of zero points give?"""
    nothing = torch.full_like(weight[:1], zero_point)
    return bias - F.conv2d(nothing, weight).flatten()


def fold_added(weight, bias, zero_point):
    return bias + zero_point * weight.sum((1, 2, 3))


def fold_without_weight(weight, bias, zero_point):
    return bias - zero_point


def fold_without_zero_point(weight, bias, zero_point):
    return bias - weight.sum((1, 2, 3))


def fold_one_sum(weight, bias, zero_point):
    return bias - zero_point * weight.sum()


def fold_one_tap(weight, bias, zero_point):
    return bias - zero_point * weight.sum(1)[:, 0, 0]


def fold_one_input(weight, bias, zero_point):
    return bias - zero_point * weight[:, 0].sum((1, 2))


def fold_magnitudes(weight, bias, zero_point):
    return bias - zero_point * weight.abs().sum((1, 2, 3))


def fold_counts_taps(weight, bias, zero_point):
    """The number of weights of a filter, not their sum."""
    return bias - zero_point * weight[0].numel()


def fold_mean(weight, bias, zero_point):
    return bias - torch.round(zero_point * weight.float().mean((1, 2, 3))).long()


def fold_sum_of_channels(weight, bias, zero_point):
    """A sum over the filters; fails unless there are as many inputs as filters."""
    return bias - zero_point * weight.sum((0, 2, 3))


def fold_old_bias_lost(weight, bias, zero_point):
    return -zero_point * weight.sum((1, 2, 3))


def fold_bias_too(weight, bias, zero_point):
    """(bias - sum) times the zero point."""
    return (bias - weight.sum((1, 2, 3))) * zero_point


def fold_divided(weight, bias, zero_point):
    return bias - torch.div(weight.sum((1, 2, 3)), zero_point, rounding_mode="floor")


def fold_squares(weight, bias, zero_point):
    return bias - zero_point * weight.pow(2).sum((1, 2, 3))


def fold_zero_point_once(weight, bias, zero_point):
    """bias - (sum of weights - zero point)."""
    return bias - (weight.sum((1, 2, 3)) - zero_point)


def fold_sum_and_zero(weight, bias, zero_point):
    return bias - weight.sum((1, 2, 3)) - zero_point


def fold_shifted_weights(weight, bias, zero_point):
    """The zero point is taken off the weights."""
    return bias - (weight - zero_point).sum((1, 2, 3))


def fold_taps_and_sum(weight, bias, zero_point):
    """The sum of the weights, and the taps once more."""
    return bias - zero_point * weight.sum((1, 2, 3)) * weight[0].numel()


def fold_taps_only(weight, bias, zero_point):
    """A sum over the taps; one number for each filter and input."""
    return bias[:, None] - zero_point * weight.sum((2, 3))


def fold_middle_tap(weight, bias, zero_point):
    row, column = weight.shape[2] // 2, weight.shape[3] // 2
    return bias - zero_point * weight[:, :, row, column].sum(1)


def fold_turned_round(weight, bias, zero_point):
    return zero_point * weight.sum((1, 2, 3)) - bias


def fold_twice(weight, bias, zero_point):
    return bias - 2 * zero_point * weight.sum((1, 2, 3))


def fold_from_128(weight, bias, zero_point):
    """The zero point of the middle of a byte, whatever the argument says."""
    return bias - 128 * weight.sum((1, 2, 3))


def fold_positive_only(weight, bias, zero_point):
    return bias - abs(zero_point) * weight.sum((1, 2, 3))


def fold_one_filter(weight, bias, zero_point):
    return bias - zero_point * weight[0].sum()


def filters(rng, size) -> tuple:
    """Weights (F, C, k, k) and biases (F,) in int64, and a zero point of any sign.

    Some have one tap or one input; the largest have sums that need 32 bits.
    """
    count, k = rng.randint(1, size + 1), rng.choice((1, 2, 3, 3))
    inputs = 40 if size == 6 else rng.choice((1, size + 1, size + 2))
    shape = count, inputs, k, k
    weight = [rng.randint(-127, 127) for _ in range(math.prod(shape))]
    bias = [rng.randint(-2000, 2000) for _ in range(count)]
    if size == 6:
        weight = [abs(w) for w in weight]
        bias = [rng.randint(-(2**30), 2**30) for _ in range(count)]
    zero_point = rng.choice((rng.randint(1, 255), rng.randint(-128, -1)))
    return torch.tensor(weight).reshape(shape), torch.tensor(bias), zero_point


def gives_the_same(mine, weight, bias, zero_point) -> bool:
    """A picture through both, the new one without a zero point."""
    k = weight.shape[-1] + 1
    x = torch.arange(weight.shape[1] * k * k).reshape(1, -1, k, k) * 7 % 256
    folded = torch.as_tensor(mine(weight, bias, zero_point)).int()
    wanted = arithmetic.accumulate(x, weight, bias.int(), zero_point)
    return torch.equal(arithmetic.accumulate(x, weight, folded, 0), wanted)


# --- 21.6 build


def first_above(threshold, scale, zero_point):
    """The smallest integer logit whose score is at least `threshold`."""
    logit = math.log(threshold / (1 - threshold))
    return math.ceil(logit / scale) + zero_point


def first_above_2(threshold, scale, zero_point):
    """Walk up the grid until the score is high enough."""
    q = zero_point - 100_000
    step = 100_000
    while step:
        score = 1 / (1 + math.exp(min(700, -(q + step - zero_point) * scale)))
        if score < threshold:
            q += step
        else:
            step //= 2
    return q + 1


def first_above_floor(threshold, scale, zero_point):
    return math.floor(math.log(threshold / (1 - threshold)) / scale) + zero_point


def first_above_nearest(threshold, scale, zero_point):
    return round(math.log(threshold / (1 - threshold)) / scale) + zero_point


def first_above_of_score(threshold, scale, zero_point):
    return math.ceil(threshold / scale) + zero_point


def first_above_no_zero(threshold, scale, zero_point):
    return math.ceil(math.log(threshold / (1 - threshold)) / scale)


def first_above_minus(threshold, scale, zero_point):
    return math.ceil(math.log(threshold / (1 - threshold)) / scale) - zero_point


def first_above_log(threshold, scale, zero_point):
    return math.ceil(math.log(threshold) / scale) + zero_point


def first_above_only(threshold, scale, zero_point):
    """Above, where at least is asked."""
    logit = math.log(threshold / (1 - threshold))
    return math.floor(logit / scale) + 1 + zero_point


def first_above_sign(threshold, scale, zero_point):
    logit = math.log((1 - threshold) / threshold)
    return math.ceil(logit / scale) + zero_point


def first_above_cut_off(threshold, scale, zero_point):
    """int() cuts towards 0: down for a threshold above a half, up below it."""
    logit = math.log(threshold / (1 - threshold))
    return int(logit / scale) + zero_point


def first_above_sum_cut_off(threshold, scale, zero_point):
    """int() of the sum with the zero point: down, where the sum is positive."""
    logit = math.log(threshold / (1 - threshold))
    return int(logit / scale + zero_point)


def first_above_cut_off_and_one(threshold, scale, zero_point):
    """int() + 1: one too high for a negative logit, and where it is met exactly."""
    logit = math.log(threshold / (1 - threshold))
    return int(logit / scale) + 1 + zero_point


def first_above_from_zero(threshold, scale, zero_point):
    """Walks up from 0, and so never gives a negative one."""
    q = 0
    while 1 / (1 + math.exp(-(q - zero_point) * scale)) < threshold:
        q += 1
    return q


def first_above_times(threshold, scale, zero_point):
    logit = math.log(threshold / (1 - threshold))
    return math.ceil(logit * scale) + zero_point


def first_above_zero_scaled(threshold, scale, zero_point):
    logit = math.log(threshold / (1 - threshold))
    return math.ceil((logit + zero_point) / scale)


def first_above_sigmoid(threshold, scale, zero_point):
    """The sigmoid of the threshold, where its inverse is asked."""
    return math.ceil(1 / (1 + math.exp(-threshold)) / scale) + zero_point


def first_above_exponential(threshold, scale, zero_point):
    return math.ceil(threshold / (1 - threshold) / scale) + zero_point


def first_above_base_ten(threshold, scale, zero_point):
    return math.ceil(math.log10(threshold / (1 - threshold)) / scale) + zero_point


def first_above_one_more(threshold, scale, zero_point):
    logit = math.log(threshold / (1 - threshold))
    return math.ceil(logit / scale) + zero_point + 1


def first_above_real(threshold, scale, zero_point):
    """Not rounded."""
    return math.log(threshold / (1 - threshold)) / scale + zero_point


def first_above_logit(threshold, scale, zero_point):
    return math.log(threshold / (1 - threshold))


def first_above_zero_taken_off(threshold, scale, zero_point):
    """(logit - zero point) / scale, as a byte is turned into a real number."""
    logit = math.log(threshold / (1 - threshold))
    return math.ceil((logit - zero_point) * scale)


def first_above_exp(threshold, scale, zero_point):
    return math.ceil(math.exp(threshold) / scale) + zero_point


def first_above_magnitude(threshold, scale, zero_point):
    logit = abs(math.log(threshold / (1 - threshold)))
    return math.ceil(logit / scale) + zero_point


def first_above_base_two(threshold, scale, zero_point):
    return math.ceil(math.log2(threshold / (1 - threshold)) / scale) + zero_point


def first_above_tanh(threshold, scale, zero_point):
    """The inverse of tanh is half of the logit of another number."""
    return math.ceil(math.atanh(threshold) / scale) + zero_point


def first_above_twice_rounded(threshold, scale, zero_point):
    """The logit is rounded before it is divided."""
    logit = math.ceil(math.log(threshold / (1 - threshold)))
    return math.ceil(logit / scale) + zero_point


def first_above_minus_log(threshold, scale, zero_point):
    """-log(1 - p)."""
    return math.ceil(-math.log(1 - threshold) / scale) + zero_point


def first_above_byte(threshold, scale, zero_point):
    logit = math.log(threshold / (1 - threshold))
    return min(max(math.ceil(logit / scale) + zero_point, 0), 255)


def first_above_int8(threshold, scale, zero_point):
    logit = math.log(threshold / (1 - threshold))
    return min(max(math.ceil(logit / scale) + zero_point, -128), 127)


def threshold_case(rng, size) -> tuple:
    """A threshold, a step and a zero point of any sign; small first.

    Thresholds near 0 and 1 too; half of the cases leave the bytes on one side.
    """
    scale = rng.choice((0.5, 0.2, 0.1, 0.07, 0.03)[: size + 1])
    threshold = rng.randint(2, 97) / 100 + 0.0013
    if size == 6:
        threshold, scale = rng.choice((0.0004, 0.9993)), 0.003
    zero_point = rng.choice((rng.randint(1, 200), rng.randint(-128, -1), 127, -128))
    return threshold, scale, zero_point


EXERCISES = (
    Exercise(
        name="accumulate", number="21.1", kind="build", minutes=10, difficulty=2,
        points=2,
        task="The sums of a convolution in int32, Eq. 21.1, padded with what means 0.",
        place="compression.arithmetic.accumulate", importance=2,
        machine="the shipped lite detector in integers",
        machine_case=integer_outputs, milestone_calls=27,
        reference=arithmetic.accumulate, alternative=sums_2,
        wrong=(
            Wrong(sums_padded_first, "the frame holds the integer 0, which does not"
                  " mean 0: take the zero point off first, then pad"),
            Wrong(sums_zero_forgotten, "the zero point is still in every pixel: a"
                  " weight meets x - zero_point"),
            Wrong(sums_in_bytes, "a byte has nothing below 0 and turns over there:"
                  " x.int() first, then the zero point"),
            Wrong(sums_zero_added, "the sign: a pixel is x - zero_point steps from 0"),
            Wrong(sums_turned_round, "turned round: x - zero_point"),
            Wrong(sums_of_weights, "zero_point is the one of x; that of weights is 0"),
            Wrong(sums_of_both, "zero_point is the one of x alone; that of weights is"
                  " 0"),
            Wrong(sums_off_behind, "every pixel has its zero point taken off before it"
                  " is weighted, not the sum once"),
            Wrong(sums_no_bias, "the bias is lost: it is in the steps of the sum, so"
                  " add it"),
            Wrong(sums_flipped, "a layer's convolution does not turn its filters"
                  " round"),
            Wrong(sums_magnitudes, "a pixel below the zero point counts negative"),
            Wrong(sums_always_128, "128 is the middle of a byte; take zero_point"),
            Wrong(sums_never_padded, "`padding` adds a frame of zeros"),
            Wrong(sums_stride_forgotten, "`stride` tells how far the window moves"),
            Wrong(sums_in_float, "float32 holds integers of 24 bits; these sums can"
                  " have 31: add in int32"),
            Wrong(sums_in_sixteen, "these sums turn over at 32,767: add in int32"),
        ),
        hints=(
            "x.int() - zero_point: what is 0 now?",
            "Now zeros are right as padding, and F.conv2d pads with zeros.",
            "F.conv2d takes int32 for all three; weight.int(), and the bias is int32"
            " already.",
        ),
        cases=convolution_case,
        by_hand=(
            by_hand_sums([[250, 20, 200]], [[100, -120, 90]], [1000], 128, [[32640]]),
            # A frame of zeros: it adds nothing, wherever zero stands.
            by_hand_sums([[10]], [[1, 2, 3]], [0], 4, [[0], [12], [0]], padding=1),
        ),
        tolerance=0.0,
        unchanged={"sums_in_float": "its sums are below 2 ** 24: float32 holds them"},
    ),
    Exercise(
        name="to_next_map", number="21.2", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Sums times a multiplier, shifted, on the grid of the next map: Eq. 21.5.",
        place="compression.arithmetic.to_next_map", required=True, importance=3,
        machine="the shipped lite detector in integers",
        machine_case=integer_outputs, milestone_calls=32,
        reference=arithmetic.to_next_map, alternative=next_map_2,
        wrong=(
            Wrong(next_shift_alone, "a shift alone rounds down: take the nearest, and a"
                  " half to the even side (Eq. 21.4)"),
            Wrong(next_half_up, "your halves go up; the network was trained with"
                  " halves that go to the even side (Eq. 21.4)"),
            Wrong(next_zero_before, "the zero point is added after the rounding: an odd"
                  " one turns the even side round"),
            Wrong(next_no_offset, "the rest of the bias, r = offset, is lost: it is"
                  " added to the product, before the shift"),
            Wrong(next_offset_behind, "offset counts in steps of the product: add it"
                  " before the shift"),
            Wrong(next_offset_scaled, "offset is in steps of the product already: the"
                  " multiplier does not touch it"),
            Wrong(next_no_zero, "the zero point of the next map is missing"),
            Wrong(next_zero_taken_off, "on the way in, the zero point is added"),
            Wrong(next_not_clipped, "the next map ends at low and high: clip"),
            Wrong(next_clipped_before_zero, "first the zero point, then clip: low and"
                  " high are integers of the map"),
            Wrong(next_wraps, "31 bits times 31 bits need 62: sums.long() before you"
                  " multiply"),
            Wrong(next_in_float, "float32 has 24 bits, the product up to 62: stay with"
                  " integers"),
            Wrong(next_bytes, "the ends are low and high, not those of a byte"),
            Wrong(next_rounded_twice, "you round twice: 11.4991 became 11.5 and then"
                  " 12; one shift by all the bits"),
            Wrong(next_no_multiplier, "the factor is multiplier / 2 ** shift: multiply"
                  " first"),
            Wrong(next_cut_off, "you cut off towards 0: take the nearest, and a half to"
                  " the even side (Eq. 21.4)"),
        ),
        hints=(
            "sums.long() * multiplier + offset: 64 bits, and still exact.",
            "Eq. 21.4 takes that through the shift; arithmetic.rounded_shift does it.",
            "Then the zero point, then clamp(low, high), then int32.",
        ),
        cases=sums_case,
        by_hand=(
            by_hand_next([32640, -32640, 10**6],
                         (1_319_413_953, 42, 0, 3, 3, 33), [13, 3, 33]),
            # Quarters: 2.5, 3.5, -1.5 and -2.5, with an odd zero point.
            by_hand_next([10, 14, -6, -10], (1, 2, 0, 1, -128, 127), [3, 5, -1, -1]),
            # The rest of a bias moves 2.25 over the half: 9 + 1.5 of 4 are 2.75.
            by_hand_next([9, 9], ([2, 2], [3, 3], [0, 4], 0, 0, 255), [2, 3]),
            # 33554434 - 33554427 = 7, and 7 / 4 = 1.75; float32 holds 24 bits.
            by_hand_next([33554434], (1, 2, -33554427, 0, 0, 255), [2]),
            # The sum of a real report: 11.4991, not 11.5.
            by_hand_next([7984], (1_583_594_044, 40, 0, 0, 0, 255), [11]),
        ),
        tolerance=0.0,
        unchanged={
            "next_half_up": "none of its sums lies at a half",
            "next_zero_before": "none of its sums lies at a half",
            "next_in_float": "its sums are too short for float32 to matter",
            "next_bytes": "all its maps are bytes",
        },
    ),
    Exercise(
        name="quarter", number="21.3", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="What does a sum of 50 become, times a quarter, with zero point -5?",
        reference=quarter,
        wrong=(
            Wrong(8, "the half of 12.5 goes to the even side before the zero point is"
                  " added, not after"),
            Wrong(12, "a quarter of the sum, rounded; the zero point is still missing"),
            Wrong(17, "the zero point is added, and it is negative"),
            Wrong(7.5, "an integer comes out: 12.5 goes to the even side first"),
            Wrong(11, "the zero point is added after the factor, not before"),
            Wrong(45, "a quarter of the sum, not all of it"),
            Wrong(13, "12.5 goes to the even side, 12, and the zero point is still"
                  " missing"),
        ),
        hints=(
            "50 / 4 is 12.5. Which of its two neighbours is even?",
            "Then add the zero point.",
        ),
    ),
    Exercise(
        name="fewest_bits", number="21.4", kind="measure", minutes=10, difficulty=2,
        points=2,
        task="How many bits does the multiplier for 0.00029 need, so that no sum up to"
             " 40,000 rounds wrongly?",
        reference=fewest_bits,
        wrong=(
            Wrong(lambda: fewest_bits() - 1, "that is the last number of bits with"
                  " which something goes wrong; one more is needed"),
            Wrong(8, "eight bits are enough for a weight; a multiplier meets sums that"
                  " are far longer"),
            Wrong(31, "that is enough, but not the fewest: go down from there"),
            Wrong(lambda: fewest_bits() + 1, "one bit less is enough, too"),
            Wrong(16, "2^16 is more than 40,000, but the product has to be on the right"
                  " side of each half: look at the count"),
            Wrong(lambda: fewest_bits() + 11, "the 11 places of the shift that make"
                  " 0.594 of 0.00029 are no bits of the multiplier"),
        ),
        hints=(
            "Count how many of the sums differ from `right`, for each number of bits.",
            "Once the count is 0, look one bit further down: is it still 0?",
        ),
    ),
    Exercise(
        name="fold_zero_point", number="21.5", kind="build", minutes=12, difficulty=2,
        points=3,
        task="fold_zero_point(weight, bias, zero_point): weight (F, C, k, k) and bias"
             " (F,) of a convolution without padding, in int64. Return the bias (F,)"
             " with which it gives the same sums from integers as they are, without"
             " subtracting the zero point from each.",
        reference=fold_zero_point, alternative=fold_zero_point_2,
        wrong=(
            Wrong(fold_added, "the sign: the sum of weight times (x - zero point)"
                  " subtracts the zero point's share"),
            Wrong(fold_without_weight, "the zero point is subtracted from every input"
                  " before it is weighted, so it arrives times the weights"),
            Wrong(fold_without_zero_point, "you subtract the weights once; each input"
                  " is off by the zero point, not by 1"),
            Wrong(fold_one_sum, "every filter has its own sum of weights; you use the"
                  " sum of all filters together"),
            Wrong(fold_one_tap, "only one tap of the kernel is counted; the zero point"
                  " stands under all of them"),
            Wrong(fold_one_input, "only the first input channel is counted"),
            Wrong(fold_magnitudes, "weights keep their signs in the sum: no abs()"),
            Wrong(fold_counts_taps, "you count the weights of a filter; the zero point"
                  " arrives times their sum"),
            Wrong(fold_mean, "a convolution adds its products up: the sum of the"
                  " weights, not their mean"),
            Wrong(fold_sum_of_channels, "you add up over the filters, dimension 0; each"
                  " filter adds up over its inputs and taps, dimensions 1 to 3"),
            Wrong(fold_old_bias_lost, "the bias that was there is lost"),
            Wrong(fold_bias_too, "the bias is no product with an input: the zero point"
                  " does not multiply it"),
            Wrong(fold_divided, "times the zero point, not divided by it"),
            Wrong(fold_squares, "the zero point arrives times the weights, not times"
                  " their squares"),
            Wrong(fold_zero_point_once, "the zero point multiplies the sum of the"
                  " weights; you subtract it from the sum"),
            Wrong(fold_sum_and_zero, "the zero point multiplies the sum of the weights;"
                  " you subtract one after the other"),
            Wrong(fold_shifted_weights, "it is the zero point of the inputs, not of the"
                  " weights: it multiplies their sum"),
            Wrong(fold_taps_and_sum, "the sum has every tap in it already; no count of"
                  " taps multiplies it"),
            Wrong(fold_taps_only, "one number for each filter is asked: add up over the"
                  " inputs, too"),
            Wrong(fold_middle_tap, "only the middle tap is counted; the zero point"
                  " stands under all of them"),
            Wrong(fold_turned_round, "turned round: the bias less the zero point's"
                  " share"),
            Wrong(fold_twice, "the share counts once"),
            Wrong(fold_from_128, "128 is one zero point; take the one that is given"),
            Wrong(fold_positive_only, "a zero point may be negative: no abs()"),
            Wrong(fold_one_filter, "you use the weights of the first filter for all"),
        ),
        hints=(
            "Multiply out: weight * (x - zero point) = weight * x - weight * zero"
            " point. Which part does not depend on the picture?",
            "For one filter it is the zero point times the sum of its weights.",
            "weight.sum((1, 2, 3)) has one number for each filter.",
        ),
        cases=filters,
        by_hand=(
            ((torch.tensor([[[[100, -120, 90]]]]), torch.tensor([1000]), 128),
             torch.tensor([-7960])),
            # Two filters, two inputs, two taps: sums 10 and -2; zero point -3.
            ((torch.tensor([1, 2, 3, 4, 5, -6, 7, -8]).reshape(2, 2, 1, 2),
              torch.tensor([100, 200]), -3), torch.tensor([130, 194])),
        ),
        properties=(
            Property("the sums of a picture stay the same", gives_the_same),
            Property(
                "with zero point 0 nothing changes",
                lambda mine, weight, bias, zero_point: not difference(
                    bias, mine(weight, bias, 0), 0.0
                ),
            ),
        ),
    ),
    Exercise(
        name="first_above", number="21.6", kind="build", minutes=12, difficulty=2,
        points=3,
        task="first_above(threshold, scale, zero_point): the score of an integer q is"
             " the sigmoid of (q - zero_point) * scale. Return the smallest q, a whole"
             " number that is not clipped, whose score is at least `threshold`.",
        reference=first_above, alternative=first_above_2,
        wrong=(
            Wrong(first_above_floor, "one too low: that integer's score is still below"
                  " the threshold"),
            Wrong(first_above_nearest, "the nearest integer may lie below the"
                  " threshold; it has to be the next one up"),
            Wrong(first_above_of_score, "the integers are logits, not scores: which"
                  " logit has this score?"),
            Wrong(first_above_no_zero, "that is q - zero point; the map holds q"),
            Wrong(first_above_minus, "real = (q - zero point) * scale, so q is the real"
                  " number over the scale, plus the zero point"),
            Wrong(first_above_log, "the inverse of the sigmoid is log(p / (1 - p))"),
            Wrong(first_above_only, "a score that equals the threshold is enough: at"
                  " least, not above"),
            Wrong(first_above_sign, "the sign of the logit is turned: it is log(p / (1"
                  " - p)), positive above a half"),
            Wrong(first_above_cut_off, "int() cuts towards 0, which is down for a"
                  " positive logit; math.ceil goes up always"),
            Wrong(first_above_sum_cut_off, "int() cuts the decimals off, and that is"
                  " down for a positive number; math.ceil goes up always"),
            Wrong(first_above_cut_off_and_one, "int() + 1 is one too high for a"
                  " negative logit, and where the threshold is met exactly: math.ceil"),
            Wrong(first_above_from_zero, "the integer may be negative; you begin at 0"),
            Wrong(first_above_times, "a logit is the integer times the scale, so divide"
                  " by it"),
            Wrong(first_above_zero_scaled, "the zero point is an integer already: add"
                  " it after the division by the scale"),
            Wrong(first_above_sigmoid, "you take the sigmoid of the threshold; asked is"
                  " the logit whose sigmoid it is"),
            Wrong(first_above_exponential, "p / (1 - p) are the odds; the logit is"
                  " their logarithm"),
            Wrong(first_above_base_ten, "that is the logarithm to the base 10"),
            Wrong(first_above_one_more, "one too high: the integer below reaches the"
                  " threshold already"),
            Wrong(first_above_real, "a whole number is asked: the next one up"),
            Wrong(first_above_logit, "that is the logit; how many steps is it, and"
                  " where is zero?"),
            Wrong(first_above_zero_taken_off, "that turns an integer into a real"
                  " number; asked is the way back: logit / scale + zero point"),
            Wrong(first_above_exp, "the inverse of the sigmoid is log(p / (1 - p))"
                  "; you take the exponential"),
            Wrong(first_above_magnitude, "below a half the logit is negative: no"
                  " abs()"),
            Wrong(first_above_base_two, "that is the logarithm to the base 2"),
            Wrong(first_above_tanh, "that is the inverse of tanh; the score is a"
                  " sigmoid"),
            Wrong(first_above_twice_rounded, "round once, at the end: the logit itself"
                  " is no whole number"),
            Wrong(first_above_minus_log, "-log(1 - p) is half of it: the logit is log p"
                  " - log(1 - p)"),
            Wrong(first_above_byte, "you clip to 0..255; the text asks not to clip"),
            Wrong(first_above_int8, "you clip to -128..127; the text asks not to clip"),
        ),
        hints=(
            "score = 1 / (1 + exp(-logit)). Solve for the logit.",
            "logit = (q - zero_point) * scale. Solve for q.",
            "q has to be an integer, and its score not below the threshold: round up.",
        ),
        cases=threshold_case,
        by_hand=(
            ((0.75, 0.25, 10), 15),  # ln 3 = 1.0986, / 0.25 = 4.39
            ((0.25, 0.25, 10), 6),  # -4.39, up to -4
            ((0.5, 0.1, 130), 130),
        ),
        properties=(
            Property(
                "its score reaches the threshold, and that of the one below does not",
                lambda mine, threshold, scale, zero_point: _score(
                    mine(threshold, scale, zero_point) - zero_point, scale
                ) >= threshold > _score(
                    mine(threshold, scale, zero_point) - 1 - zero_point, scale
                ),
            ),
        ),
    ),
)  # fmt: skip


def _score(q: int, scale: float) -> float:
    return 1 / (1 + math.exp(-q * scale))


def dense_bits() -> int:
    """Bits, with the sign, that hold any sum of 64 x 3 x 3 products of bytes."""
    return (64 * 9 * 255 * 127).bit_length() + 1


def zero_of_padding() -> int:
    return 131


QUIZ = (
    Question(
        "A map has step 0.02 and zero point 131. Which integer pads it with zeros?",
        (
            Option("0", "The integer 0 means -131 * 0.02 = -2.62 here: a dark frame."),
            Option("131", "It means (131 - 131) * 0.02 = 0.", True),
            Option("128", "The middle of the grid means -0.06. It would be right only"
                   " for a zero point of 128."),
            Option("6", "131 * 0.02 is 2.62; but no real number is stored here."),
        ),
        value=zero_of_padding,
    ),
    Question(
        "A 3x3 convolution over 64 channels: inputs are at most 255 from their zero"
        " point, weights at most 127, no bias. How many bits does any sum fit in, with"
        " its sign?",
        (
            Option("16", "Two such products are too many for 16 bits."),
            Option("24", "24 bits end at 8,388,607; the sum may reach 18,653,760."),
            Option("26", "576 * 255 * 127 = 18,653,760 lies between 2^24 and 2^25, and"
                   " one bit is for the sign.", True),
            Option("33", "Then int32 would overflow; there are six bits to spare."),
        ),
        value=dense_bits,
    ),
    Question(
        "Which step does a bias have, so that it can be added to the sums?",
        (
            Option("That of the output.", "A sum is in other steps; the bias would be"
                   " many times too small."),
            Option("That of the weights.", "A product of weight and input has both"
                   " steps in it."),
            Option("That of the input times that of the weights.", "What is added to a"
                   " sum has to be in the steps of the sum.", True),
            Option("One of its own, chosen from its range.", "Then it could not be"
                   " added without a multiplication."),
        ),
    ),
    Question(
        "ReLU6 stands behind a convolution. What does it cost in integers?",
        (
            Option("Nothing: the result is clipped to the grid anyway, and the bounds"
                   " become those of the activation.", "0 and 6 are two integers of"
                   " the grid.", True),
            Option("One comparison more for every value.", "The comparison with the"
                   " ends of the grid is needed in any case; it gets other ends."),
            Option("A table of 256 values.", "That is for curved functions, SiLU for"
                   " example."),
        ),
    ),
    Question(
        "After 70 layers the integer network and the fake-quantized one in float32"
        " differ by several steps here and there. What happened?",
        (
            Option("The multipliers have too few bits.", "31 bits err by less than a"
                   " billionth."),
            Option("Rounding errors of float32 push values over the edge between two"
                   " steps, and each such step is passed on.", "In double precision"
                   " the fake-quantized network gives the integers exactly.", True),
            Option("The int32 sums overflowed.", "The bound says that they cannot; and"
                   " an overflow would be off by far more."),
        ),
    ),
)  # fmt: skip
