"""Exercises and quiz of chapter 20: straight-through, learned ranges, bits by layer."""

import functools

import torch

from lib.compression import deployed, qat, quantize, rounding
from lib.compression.quantize import QParams
from lib.detection import detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- the machines that call the core functions


@functools.cache
def lite_rounded(learned: bool):
    """The shipped *lite*, its weights on calibrated grids of 4 bits; nobody trains it.

    Each grid leaves out some weights, and zero stands anywhere on it. Maps stay real: a
    map that one ulp moves over an edge would move all behind it.
    """
    example = torch.zeros(2, 3, 64, 64)
    with torch.no_grad():
        graph = deployed.deployed(detectors.shipped("lite"), example)
    observer = functools.partial(quantize.Percentile, keep=0.9)
    scheme = qat.Scheme(4, symmetric=False, observer=observer, learned=learned)
    model = qat.prepare(graph, scheme, activations=None)
    return qat.calibrate(model, [example])


def backward_pass(learned: bool) -> list:
    """Outputs of *lite* for two pictures, and gradients of its first and last layer."""
    ramp = torch.linspace(0, 1, 64)
    picture = torch.stack([(k * ramp).sin() + ramp[:, None] - 0.5 for k in (9, 14, 3)])
    model = lite_rounded(learned)
    classes, boxes = model(torch.stack([picture, -picture]))
    rounding_layers = list(qat.layers(model).values())
    wanted = [layer.weight for layer in rounding_layers]
    if learned:
        wanted = [layer.weight_quantizer.scale for layer in rounding_layers]
    loss = sum(level.square().mean() for level in (*classes, *boxes))
    gradients = torch.autograd.grad(loss, [*wanted[:2], wanted[-1]])
    return [level.detach() for level in (*classes, *boxes)] + list(gradients)


# --- 20.1 build: onto the grid and back, straight through


class RoundedOnTheWay(torch.autograd.Function):
    """The other way to write it: forward and backward by hand."""

    @staticmethod
    def forward(ctx, x, scale, zero, low, high):
        q = torch.round(x / scale + 0.0) + zero
        ctx.save_for_backward((low <= q) & (q <= high))
        return scale * (q.clamp(low, high) - zero)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None, None, None, None


def through_2(x, scale, zero, low, high):
    """A function with a backward pass of its own."""
    return RoundedOnTheWay.apply(x, scale, zero, low, high)


def integers_of(x, scale, zero):
    return torch.round(x / scale) + zero


def passed(x, rounded, inside):
    """The value of one, the gradient of the other, where it is inside."""
    passing = torch.where(inside, x, 0.0)
    return rounded.detach() + (passing - passing.detach())


def through_no_gradient(x, scale, zero, low, high):
    return (integers_of(x, scale, zero).clamp(low, high) - zero) * scale


def through_everywhere(x, scale, zero, low, high):
    rounded = (integers_of(x, scale, zero).clamp(low, high) - zero) * scale
    return x + (rounded - x).detach()


def through_inside_of_the_reals(x, scale, zero, low, high):
    """Asks the real number, not the one it is rounded to."""
    steps = x / scale + zero
    rounded = (steps.round().clamp(low, high) - zero) * scale
    return passed(x, rounded, (steps >= low) & (steps <= high))


def through_open_ends(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    rounded = (q.clamp(low, high) - zero) * scale
    return passed(x, rounded, (q > low) & (q < high))


def through_upper_end_only(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, (q.clamp(low, high) - zero) * scale, q <= high)


def through_only_outside(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, (q.clamp(low, high) - zero) * scale, (q < low) | (q > high))


def through_where_it_moved(x, scale, zero, low, high):
    """The gradient of what was already on the grid only."""
    rounded = (integers_of(x, scale, zero).clamp(low, high) - zero) * scale
    return passed(x, rounded, rounded == x)


def through_not_clamped(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, (q - zero) * scale, (q >= low) & (q <= high))


def through_zero_not_taken_off(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, q.clamp(low, high) * scale, (q >= low) & (q <= high))


def through_without_zero(x, scale, zero, low, high):
    q = torch.round(x / scale)
    return passed(x, q.clamp(low, high) * scale, (q >= low) & (q <= high))


def through_integers(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, q.clamp(low, high), (q >= low) & (q <= high))


def through_steps(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, q.clamp(low, high) - zero, (q >= low) & (q <= high))


def through_multiplied(x, scale, zero, low, high):
    q = torch.round(x * scale) + zero
    return passed(x, (q.clamp(low, high) - zero) / scale, (q >= low) & (q <= high))


def through_down(x, scale, zero, low, high):
    q = torch.floor(x / scale) + zero
    return passed(x, (q.clamp(low, high) - zero) * scale, (q >= low) & (q <= high))


def through_half_up(x, scale, zero, low, high):
    q = torch.floor(x / scale + 0.5) + zero
    return passed(x, (q.clamp(low, high) - zero) * scale, (q >= low) & (q <= high))


def through_detached_the_wrong_one(x, scale, zero, low, high):
    """rounded + (x - rounded).detach(): not rounded at all."""
    rounded = (integers_of(x, scale, zero).clamp(low, high) - zero) * scale
    return rounded + (x - rounded).detach()


def through_gradient_in_steps(x, scale, zero, low, high):
    """The step multiplies the values, but its inverse is lost on the way back."""
    q = integers_of(x, scale, zero)
    inside = (q >= low) & (q <= high)
    return passed(x, q.clamp(low, high) - zero, inside) * scale


def through_dropped(x, scale, zero, low, high):
    """What is outside becomes 0."""
    q = integers_of(x, scale, zero)
    inside = (q >= low) & (q <= high)
    return passed(x, torch.where(inside, (q - zero) * scale, 0.0), inside)


def through_bytes(x, scale, zero, low, high):
    q = integers_of(x, scale, zero)
    return passed(x, (q.clamp(0, 255) - zero) * scale, (q >= 0) & (q <= 255))


def grid_case(rng, size) -> tuple:
    """Values of one to four dimensions, away from edges; a third beyond the ends.

    One step for all, or one for each filter or channel. 2 to 8 bits, tiny to huge.
    """
    shape = ((2 * size + 3,), (size + 1, 3), (2, 3, size, 2), (size + 1, 2, 3, 3))
    shape = shape[rng.randrange(4)]
    bits = rng.choice((2, 3, 4, 4, 8))
    low = rng.choice((0, -(2 ** (bits - 1)), 1 - 2 ** (bits - 1)))
    high = low + 2**bits - 1 - (low == 1 - 2 ** (bits - 1))
    sides = [1] * len(shape)
    if rng.random() < 0.6:
        axis = rng.randrange(min(2, len(shape)))
        sides[axis] = shape[axis]
    sides = sides if max(sides) > 1 else []
    scale = tensor(rng, *sides, low=0.5, high=2.0) * 10.0 ** rng.choice((-3, 0, 0, 3))
    zero = torch.full(sides, float(rng.randint(low, high)))
    width = 1.6 * (high - low)
    whole = tensor(rng, *shape, low=low - 0.3 * width, high=low + 0.9 * width).round()
    between = tensor(rng, *shape, low=-0.4, high=0.4)
    return (whole - zero + between) * scale, scale, zero, low, high


def by_hand_through(x, scale, zero, low, high, back):
    given = torch.tensor(x), torch.tensor(scale), torch.tensor(zero), low, high
    return given, torch.tensor(back)


def stays_on_the_grid(mine, x, scale, zero, low, high) -> bool:
    """What was rounded once is not moved by rounding again."""
    once = mine(x, scale, zero, low, high).detach()
    return torch.allclose(mine(once, scale, zero, low, high), once, rtol=1e-4)


# --- 20.2 build: how fast a value grows with the step


def step_slope_2(x, scale, steps, inside):
    """Both rows of the equation, and a choice."""
    return torch.where(inside, steps - x / scale, steps)


def step_slope_not_moved(x, scale, steps, inside):
    return steps


def step_slope_everywhere(x, scale, steps, inside):
    return steps - x / scale


def step_slope_turned_round(x, scale, steps, inside):
    return torch.where(inside, x / scale - steps, steps)


def step_slope_added(x, scale, steps, inside):
    return torch.where(inside, steps + x / scale, steps)


def step_slope_other_rows(x, scale, steps, inside):
    """The two rows of the equation for each other."""
    return torch.where(inside, steps, steps - x / scale)


def step_slope_real_outside(x, scale, steps, inside):
    """Outside, the value in steps instead of the last step."""
    return torch.where(inside, steps - x / scale, x / scale)


def step_slope_none_outside(x, scale, steps, inside):
    return (steps - x / scale) * inside


def step_slope_none_inside(x, scale, steps, inside):
    return steps * ~inside


def step_slope_not_divided(x, scale, steps, inside):
    return torch.where(inside, steps - x, steps)


def step_slope_times(x, scale, steps, inside):
    return torch.where(inside, steps - x * scale, steps)


def step_slope_in_reals(x, scale, steps, inside):
    """Moved by rounding, in real numbers."""
    return torch.where(inside, steps * scale - x, steps * scale)


def step_slope_magnitude(x, scale, steps, inside):
    return torch.where(inside, (steps - x / scale).abs(), steps.abs())


def step_slope_summed(x, scale, steps, inside):
    return torch.where(inside, steps - x / scale, steps).sum()


def slope_case(rng, size) -> tuple:
    """A weight or map, its steps on a grid up to 7, and what was not cut off."""
    shape = ((2 * size + 3,), (size + 1, 3), (2, 3, size, 2))[rng.randrange(3)]
    sides = rng.choice(([], [shape[0]] + [1] * (len(shape) - 1)))
    scale = tensor(rng, *sides, low=0.5, high=2.0) * 10.0 ** rng.choice((-3, 0, 2))
    unrounded = tensor(rng, *shape, low=-11, high=11)
    steps = unrounded.round().clamp(-7, 7)
    return unrounded * scale, scale, steps, unrounded.round().abs() <= 7


# --- 20.3 predict

WEIGHTS = (0.1, -0.59, 0.65, 0.69, 0.71, -0.75, 1.4, 0.0)


def reached() -> int:
    """How many of eight weights a straight-through gradient reaches."""
    grid = qat.FakeQuantize(qat.Scheme(3, axis=None))
    grid.set(QParams(torch.tensor(0.2), torch.tensor(0), -3, 3))
    weights = torch.tensor(WEIGHTS, requires_grad=True)
    grid(weights).sum().backward()
    return int(weights.grad.count_nonzero())


# --- 20.4 measure

DAMAGE = {
    "stem": {8: 0.0, 4: 6.0, 2: 30.0},
    "middle": {8: 0.0, 4: 1.0, 2: 8.0},
    "head": {8: 0.0, 4: 2.0, 2: 5.0},
}
SIZES = {"stem": 100, "middle": 400, "head": 500}


def fewest_bits() -> float:
    """The smallest mean of bits, in tenths, whose damage is at most 6."""
    for tenths in range(20, 81):
        bits = qat.allocate(DAMAGE, SIZES, 100 * tenths)
        if sum(DAMAGE[name][number] for name, number in bits.items()) <= 6:
            return tenths / 10
    return 8.0


# --- 20.5 build


def pact(x, alpha, bits):
    """Clip to [0, alpha], round to even steps; alpha learns from what it clips."""
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2**bits - 1)
    rounded = (clipped / step).round() * step
    return clipped + (rounded - clipped).detach()


def pact_2(x, alpha, bits):
    """The paper's formula for the clipping; a `where` would do as well."""
    clipped = 0.5 * (x.abs() - (x - alpha).abs() + alpha)
    levels = 2**bits - 1
    rounded = torch.round(clipped.detach() / alpha.detach() * levels) / levels
    return clipped - clipped.detach() + rounded * alpha.detach()


def pact_no_gradient(x, alpha, bits):
    step = alpha / (2**bits - 1)
    return (x.clamp(min=0).minimum(alpha) / step).round() * step


def pact_alpha_learns_inside(x, alpha, bits):
    step = alpha / (2**bits - 1)
    steps = x.clamp(min=0).minimum(alpha) / step
    return (steps + (steps.round() - steps).detach()) * step.detach()


def pact_as_lsq(x, alpha, bits):
    """The step multiplies the rounded steps, and learns from the rounding."""
    step = alpha / (2**bits - 1)
    steps = (x / step).clamp(0, 2**bits - 1)
    return (steps + (steps.round() - steps).detach()) * step


def pact_as_lsq_clamped_last(x, alpha, bits):
    step = alpha / (2**bits - 1)
    steps = x / step
    steps = steps + (steps.round() - steps).detach()
    return steps.clamp(0, 2**bits - 1) * step


def pact_alpha_is_a_number(x, alpha, bits):
    clipped = x.clamp(0, alpha.item())
    step = alpha.item() / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_passes_everywhere(x, alpha, bits):
    step = alpha / (2**bits - 1)
    rounded = (x.clamp(min=0).minimum(alpha) / step).round() * step
    return x + (rounded - x).detach()


def pact_passes_above(x, alpha, bits):
    positive = x.relu()
    step = alpha / (2**bits - 1)
    rounded = (positive.minimum(alpha) / step).round() * step
    return positive + (rounded - positive).detach()


def pact_down(x, alpha, bits):
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).floor() * step - clipped).detach()


def pact_not_rounded(x, alpha, bits):
    return x.clamp(min=0).minimum(alpha)


def pact_steps_themselves(x, alpha, bits):
    steps = x.clamp(min=0).minimum(alpha) / (alpha / (2**bits - 1))
    return steps + (steps.round() - steps).detach()


def pact_half_of_the_steps(x, alpha, bits):
    """The steps of a signed grid."""
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2 ** (bits - 1) - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_no_clip_below(x, alpha, bits):
    clipped = x.minimum(alpha)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_no_clip_above(x, alpha, bits):
    clipped = x.clamp(min=0)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_up(x, alpha, bits):
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).ceil() * step - clipped).detach()


def pact_steps_of_one(x, alpha, bits):
    """Rounded to whole numbers, without a step."""
    clipped = x.clamp(min=0).minimum(alpha)
    return clipped + (clipped.round() - clipped).detach()


def pact_range_of_x(x, alpha, bits):
    """The step of the largest number instead of alpha's."""
    clipped = x.clamp(min=0).minimum(alpha)
    step = x.max() / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_bits_are_steps(x, alpha, bits):
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / bits
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_all_detached(x, alpha, bits):
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2**bits - 1)
    return ((clipped / step).round() * step).detach()


def pact_detached_the_wrong_one(x, alpha, bits):
    """rounded + (clipped - rounded).detach(): the values of the one not rounded."""
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / (2**bits - 1)
    rounded = (clipped / step).round() * step
    return rounded + (clipped - rounded).detach()


def pact_clip_of_one(x, alpha, bits):
    """Clipped to [0, 1], and alpha only scales."""
    clipped = x.clamp(0, 1)
    levels = 2**bits - 1
    return alpha * (clipped + ((clipped * levels).round() / levels - clipped).detach())


def pact_magnitudes(x, alpha, bits):
    clipped = x.abs().minimum(alpha)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_zero_above(x, alpha, bits):
    """What is above alpha is dropped instead of cut off."""
    clipped = torch.where((x > 0) & (x < alpha), x, torch.zeros_like(x))
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_one_step_more(x, alpha, bits):
    clipped = x.clamp(min=0).minimum(alpha)
    step = alpha / 2**bits
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_signed(x, alpha, bits):
    clipped = x.minimum(alpha).maximum(-alpha)
    step = alpha / (2**bits - 1)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def pact_case(rng, size) -> tuple:
    """Maps of one to four dimensions, some with large numbers, and up to 8 bits."""
    shape = (2, 3, 2, 2) if rng.random() < 0.3 else (2 * size + 3,)
    scale, bits = (50.0, 8) if size == 6 else (1.0, rng.choice((2, 3, 4)))
    x = scale * tensor(rng, *shape, low=-1.5, high=3.0)
    return x, scale * tensor(rng, low=0.6, high=2.0), bits


# --- 20.6 build


def oscillations(history):
    """How often each weight turned back: a change against its last change."""
    turns = last = torch.zeros_like(history[0])
    for step in history.diff(dim=0).sign():
        turns = turns + (step * last < 0)
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_2(history):
    """Weight by weight: leave out the rests, then count changes of sign."""
    counts = []
    for row in history.T.tolist():
        steps = [b - a for a, b in zip(row, row[1:], strict=False) if a != b]
        pairs = zip(steps, steps[1:], strict=False)
        counts.append(sum((a > 0) != (b > 0) for a, b in pairs))
    return torch.tensor(counts)


def oscillations_all_changes(history):
    return (history[1:] != history[:-1]).sum(0)


def oscillations_without_rest(history):
    step = (history[1:] - history[:-1]).sign()
    return (step[1:] * step[:-1] < 0).sum(0)


def oscillations_of_all(history):
    return oscillations(history).sum()


def oscillations_where_it_ends(history):
    """A rest ends where it began, too."""
    return (history[2:] == history[:-2]).sum(0)


def oscillations_back_where_it_was(history):
    back, changed = history[2:] == history[:-2], history[1:-1] != history[:-2]
    return (back & changed).sum(0)


def oscillations_of_steps(history):
    """Along the weights: one count for each step."""
    turns = torch.zeros_like(history[:, 0])
    last = torch.zeros_like(history[:, 0])
    for before, now in zip(history.T[:-1], history.T[1:], strict=True):
        step = (now - before).sign()
        turns += step * last < 0
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_with_first(history):
    """The first change of a weight counts as a turn."""
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += (step != 0) & (step != last)
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_of_slope(history):
    """Every change of the step's sign, to and from a rest as well."""
    step = (history[1:] - history[:-1]).sign()
    return (step[1:] != step[:-1]).sum(0)


def oscillations_going_on(history):
    """A change after a rest counts, whichever way it goes."""
    step = (history[1:] - history[:-1]).sign()
    return ((step[1:] != step[:-1]) & (step[1:] != 0)).sum(0)


def oscillations_of_signs(history):
    """Where the integers change their sign."""
    return (history[1:] * history[:-1] < 0).sum(0)


def oscillations_at_all(history):
    """1 for a weight that ever turned."""
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += step * last < 0
        last = torch.where(step == 0, last, step)
    return (turns > 0).long()


def oscillations_share(history):
    turns = torch.zeros(history.shape[1])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += step * last < 0
        last = torch.where(step == 0, last, step)
    return turns / (len(history) - 1)


def oscillations_against_first(history):
    """Compares with the first direction instead of the last one."""
    turns = torch.zeros_like(history[0])
    first = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += step * first < 0
        first = torch.where(first == 0, step, first)
    return turns


def oscillations_down_to_up(history):
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += (step > 0) & (last < 0)
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_last_never_kept(history):
    """The direction is remembered only where the weight turned."""
    turns = torch.zeros_like(history[0])
    last = (history[1:2] - history[:1]).sign().sum(0)
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turned = step * last < 0
        turns += turned
        last = torch.where(turned, step, last)
    return turns


def oscillations_and_rests(history):
    """A rest counts as a turn: <= 0 instead of < 0."""
    step = (history[1:] - history[:-1]).sign()
    return (step[1:] * step[:-1] <= 0).sum(0)


def oscillations_rests(history):
    return (history[1:] == history[:-1]).sum(0)


def oscillations_by_size(history):
    """Adds up how far the weights turned back."""
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = now - before
        turns += torch.where(step * last < 0, step.abs(), 0)
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_halved(history):
    """There and back counts once."""
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += step * last < 0
        last = torch.where(step == 0, last, step)
    return turns // 2


def oscillations_from_up(history):
    """As if each weight had gone up before."""
    turns = torch.zeros_like(history[0])
    last = torch.ones_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += step * last < 0
        last = torch.where(step == 0, last, step)
    return turns


def oscillations_around_mean(history):
    """Crossings of the weight's own mean."""
    side = (history - history.float().mean(0)).sign()
    return (side[1:] * side[:-1] < 0).sum(0)


def oscillations_per_step(history):
    """For each step and weight, whether it turned."""
    turned, last = [], torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turned.append((step * last < 0).long())
        last = torch.where(step == 0, last, step)
    return torch.stack(turned) if turned else history[:0]


def oscillations_net(history):
    """Steps up less steps down."""
    return (history[1:] - history[:-1]).sign().sum(0)


def oscillations_one_way(history):
    turns = torch.zeros_like(history[0])
    last = torch.zeros_like(history[0])
    for before, now in zip(history[:-1], history[1:], strict=True):
        step = (now - before).sign()
        turns += (step < 0) & (last > 0)
        last = torch.where(step == 0, last, step)
    return turns


def history_case(rng, size) -> tuple:
    """Integers of `size` weights over some steps: rest, go on, turn back."""
    rows = [[rng.randint(-2, 2) for _ in range(size)]]
    for _ in range(60 if size == 6 else size + 7):
        rows.append([q + rng.choice((-1, -1, 0, 0, 1, 1, 2)) for q in rows[-1]])
    return (torch.tensor(rows),)


def smaller() -> float:
    """float32 over 4 bits: 64 filters of 64 x 3 x 3, steps and biases of 32 bits."""
    weights, filters = 64 * 64 * 9, 64
    return 32 * (weights + filters) / (4 * weights + 2 * 32 * filters)


EXERCISES = (
    Exercise(
        name="straight_through",
        number="20.1",
        kind="build",
        minutes=15,
        difficulty=2,
        points=3,
        task="Onto a grid and back, Eq. 20.1, with the gradient of Eq. 20.2 for `x`.",
        place="compression.rounding.straight_through",
        required=True,
        importance=3,
        machine="the shipped lite detector, its weights rounded to four bits",
        machine_case=functools.partial(backward_pass, False),
        milestone_calls=180,
        reference=rounding.straight_through,
        alternative=through_2,
        wrong=(
            Wrong(
                through_no_gradient,
                "The values are right, but x gets no gradient: the slope of rounding is"
                " 0. Give it a way round: + (x - x.detach()) adds nothing to a value.",
            ),
            Wrong(
                through_everywhere,
                "x gets its gradient everywhere. Where it was cut off it changes"
                " nothing: there it has to be 0.",
            ),
            Wrong(
                through_inside_of_the_reals,
                "You ask whether the real number lies between the ends, or clip it"
                " there before you round. Eq. 20.2 asks the integer: 3.45 steps round"
                " to 3, and if 3 is the last one they are inside. Round first.",
            ),
            Wrong(
                through_open_ends,
                "The first and the last integer are on the grid: <= and >=.",
            ),
            Wrong(through_upper_end_only, "The lower end cuts off, too."),
            Wrong(
                through_only_outside,
                "Turned round: the gradient passes inside and stops outside.",
            ),
            Wrong(
                through_where_it_moved,
                "The gradient passes for all that is not cut off, moved or not.",
            ),
            Wrong(
                through_not_clamped,
                "The integers end at low and high: clamp them before you go back.",
            ),
            Wrong(
                through_zero_not_taken_off,
                "On the way back the zero point comes off again: (q - zero) * scale.",
            ),
            Wrong(
                through_without_zero,
                "The zero point is added before the ends are applied: they count from"
                " low, not from zero.",
            ),
            Wrong(
                through_integers,
                "These are the integers. Go back: (q - zero) * scale.",
            ),
            Wrong(
                through_steps,
                "These are steps. Multiply by the scale, to be back in real numbers.",
            ),
            Wrong(
                through_multiplied,
                "How many steps are in x? Divide by the scale; you multiply.",
            ),
            Wrong(through_down, "You round down; take the nearest, torch.round."),
            Wrong(
                through_half_up,
                "At a half you go up; torch.round goes to the even neighbour.",
            ),
            Wrong(
                through_detached_the_wrong_one,
                "Turned round: that has the value of x and the gradient of rounding."
                " The rounded one gives the value.",
            ),
            Wrong(
                through_gradient_in_steps,
                "x arrives divided by the step and leaves multiplied by it, so the two"
                " cancel: the gradient is 1, not the step.",
            ),
            Wrong(
                through_dropped,
                "What lies outside becomes the first or the last point, not 0.",
            ),
            Wrong(through_bytes, "The ends are low and high, not those of a byte."),
        ),
        hints=(
            "First the integers, without a thought of gradients: x.detach() / scale,"
            " rounded, plus zero.",
            "Which of them lie between low and high, both included? Keep that before"
            " you clamp.",
            "passing = torch.where(inside, x, 0.0). Then rounded + (passing -"
            " passing.detach()): the value of the one, the gradient of the other.",
        ),
        cases=grid_case,
        by_hand=(
            by_hand_through(
                [0.29, 0.31, 0.69, 0.71, -9.0],
                0.2,
                0.0,
                -3,
                3,
                [0.2, 0.4, 0.6, 0.6, -0.6],
            ),
            # Zero is 3: 0 becomes 3 and comes back; -2 is 4 steps below, one too many.
            by_hand_through(
                [-0.4, 0.0, 9.0, -2.0], 0.5, 3.0, 0, 15, [-0.5, 0.0, 6.0, -1.5]
            ),
            # Halves, to the even neighbour; 3.5 steps would be 4.
            by_hand_through(
                [0.5, 1.5, 2.5, 3.5, -0.5], 1.0, 0.0, -3, 3, [0.0, 2.0, 2.0, 3.0, 0.0]
            ),
            # A step for each of two filters.
            by_hand_through(
                [[0.9, -0.4], [0.09, 0.5]],
                [[1.0], [0.1]],
                [[0.0], [0.0]],
                -2,
                1,
                [[1.0, 0.0], [0.1, 0.1]],
            ),
        ),
        properties=(
            Property("what is on the grid already stays there", stays_on_the_grid),
        ),
        gradient=(0,),
        tolerance=1e-4,
        unchanged={"through_half_up": "no weight of it lies at a half"},
        survivors={
            "line 21: `0.0` -> `0.5`": "adds a number and takes the same one off",
        },
    ),  # fmt: skip
    Exercise(
        name="step_gradient",
        number="20.2",
        kind="build",
        minutes=10,
        difficulty=2,
        points=2,
        task="How fast each rounded value grows when the step does, Eq. 20.3.",
        place="compression.rounding.step_gradient",
        importance=2,
        machine="the shipped lite detector, its weights on learned steps of four bits",
        machine_case=functools.partial(backward_pass, True),
        milestone_calls=1740,
        reference=rounding.step_gradient,
        alternative=step_slope_2,
        wrong=(
            Wrong(
                step_slope_not_moved,
                "That is the slope of q s alone. Inside, x / s stands in the rounding,"
                " and the straight-through rule lets it pass: subtract x / scale.",
            ),
            Wrong(
                step_slope_everywhere,
                "Outside, what comes out is the last step times s, whatever x is: there"
                " nothing is subtracted.",
            ),
            Wrong(step_slope_turned_round, "The sign: steps minus x / scale."),
            Wrong(
                step_slope_added,
                "x / scale is subtracted: a longer step holds x fewer times.",
            ),
            Wrong(
                step_slope_other_rows,
                "The two rows of Eq. 20.3 for each other:"
                " x / scale is subtracted inside.",
            ),
            Wrong(
                step_slope_real_outside,
                "Outside it is the last step, `steps`, not how many steps x would be.",
            ),
            Wrong(
                step_slope_none_outside,
                "What is cut off has a slope, too: the last"
                " step moves as the scale does, so many times as fast.",
            ),
            Wrong(
                step_slope_none_inside,
                "Inside it is not 0, but how far rounding moved x, in steps.",
            ),
            Wrong(
                step_slope_not_divided,
                "x is a real number: count it in steps, x / scale.",
            ),
            Wrong(step_slope_times, "How many steps are in x? Divide by the scale."),
            Wrong(
                step_slope_in_reals,
                "That is in real numbers. The slope counts"
                " steps: do not multiply by the scale.",
            ),
            Wrong(
                step_slope_magnitude,
                "The sign tells which way the step should move: keep it.",
            ),
            Wrong(
                step_slope_summed,
                "One slope for each value, shaped as x; the machine adds them up.",
            ),
        ),
        hints=(
            "steps * s is what comes out. If the integer stayed, how fast would it grow"
            " with s?",
            "Inside, x / s is in the rounding, whose slope counts as 1: that gives"
            " -x / s.",
            "`inside` multiplies as 1 and 0: steps - inside * x / scale.",
        ),
        cases=slope_case,
        by_hand=(
            (
                (
                    torch.tensor([0.29, 0.31, 9.0, -9.0]),
                    torch.tensor(0.2),
                    torch.tensor([1.0, 2.0, 3.0, -3.0]),
                    torch.tensor([True, True, False, False]),
                ),
                torch.tensor([-0.45, 0.45, 3.0, -3.0]),
            ),
            # On a point of the grid: 0. Far outside: the last step.
            (
                (
                    torch.tensor([[0.5, 400.0]]),
                    torch.tensor([[0.5]]),
                    torch.tensor([[1.0, 7.0]]),
                    torch.tensor([[True, False]]),
                ),
                torch.tensor([[0.0, 7.0]]),
            ),
        ),
        tolerance=1e-4,
    ),  # fmt: skip
    Exercise(
        name="reached",
        number="20.3",
        kind="predict",
        minutes=5,
        difficulty=1,
        points=1,
        task="Say how many of eight weights get a gradient.",
        reference=reached,
        wrong=(
            Wrong(0, "That is the true slope of rounding. Which rule is used instead?"),
            Wrong(8, "The last step is 3. A weight that rounds to 4 steps is cut off."),
            Wrong(3, "You stopped at the last step, 0.6. What rounds to 3 is inside."),
            Wrong(4, "A weight of 0 is inside as well: its gradient is 1."),
            Wrong(6, "One too many: 3.55 steps round to 4, and -3.75 to -4."),
            Wrong(7, "You cut the decimals off. Rounded, 3.55 is 4 and -3.75 is -4."),
        ),
        hints=(
            "Divide each weight by 0.2 and round.",
            "Whoever arrives between -3 and 3 gets the gradient, whole.",
        ),
    ),
    Exercise(
        name="fewest_bits",
        number="20.4",
        kind="measure",
        minutes=10,
        difficulty=2,
        points=2,
        task="Find the smallest mean of bits whose damage is at most 6.",
        reference=fewest_bits,
        wrong=(
            Wrong(4.4, "There is one more cut, with a damage of exactly 6. Try less."),
            Wrong(2.6, "One cut too far: look at the damage that is printed."),
            Wrong(3.3, "A tenth too far: there the damage is 13."),
            Wrong(
                4.0, "The damage is 6, but the same bits come out with a little less."
            ),
            Wrong(6.0, "That is the damage. Give the mean of bits."),
            Wrong(3400, "That is all bits together. Divide by the 1000 weights."),
        ),
        hints=(
            "Change `mean` in steps of 0.1 and read the damage.",
            "Damage jumps where a cut is made; you want the last value before it.",
        ),
    ),
    Exercise(
        name="pact",
        number="20.5",
        kind="build",
        minutes=20,
        difficulty=3,
        points=4,
        task="pact(x, alpha, bits): clip the tensor `x` to [0, alpha] and round it to"
        " 2**bits - 1 equal steps. Gradients: x gets its own where 0 < x < alpha,"
        " `alpha`, a tensor with one number, that of all values above it; rounding is"
        " ignored for both.",
        reference=pact,
        alternative=pact_2,
        wrong=(
            Wrong(
                pact_no_gradient,
                "The values are right, but x gets no gradient: rounding has stopped it."
                " Take the rounding out of the gradient's way.",
            ),
            Wrong(
                pact_alpha_learns_inside,
                "Alpha has to get the gradient of every value above it, whole. Which of"
                " your operations knows that the value was replaced by alpha?",
            ),
            Wrong(
                pact_as_lsq,
                "Alpha learns from the rounding inside, as the step of LSQ does. Here"
                " only the values above alpha give it a gradient.",
            ),
            Wrong(
                pact_as_lsq_clamped_last,
                "Alpha learns from the rounding inside, as the step of LSQ does. Here"
                " only the values above alpha give it a gradient.",
            ),
            Wrong(
                pact_alpha_is_a_number,
                "Alpha gets no gradient: `.item()` and `clamp` with a number cut it"
                " off. `minimum` takes a tensor.",
            ),
            Wrong(
                pact_passes_everywhere,
                "x gets a gradient where it was cut off. There it changes nothing.",
            ),
            Wrong(
                pact_one_step_more,
                "So many bits give 2**bits values. How many steps lie between them?",
            ),
            Wrong(pact_signed, "Below 0 nothing is kept: it stands behind a ReLU."),
            Wrong(
                pact_passes_above,
                "x gets a gradient above alpha, where it was cut off, and alpha gets"
                " none. There it is alpha's.",
            ),
            Wrong(pact_up, "Round to the nearest step, not up."),
            Wrong(
                pact_steps_of_one,
                "You round to whole numbers. The step is alpha / (2**bits - 1).",
            ),
            Wrong(
                pact_range_of_x,
                "Your step follows the largest number of x. It is alpha's:"
                " alpha / (2**bits - 1).",
            ),
            Wrong(
                pact_bits_are_steps,
                "So many bits give 2**bits values, and 2**bits - 1 steps between them.",
            ),
            Wrong(
                pact_all_detached,
                "The values are right, but nothing gets a gradient: only the difference"
                " (rounded - clipped) is to be detached.",
            ),
            Wrong(
                pact_detached_the_wrong_one,
                "Turned round: that has the values of the clipped map and the gradient"
                " of the rounded one. clipped + (rounded - clipped).detach()",
            ),
            Wrong(
                pact_clip_of_one,
                "You clip at 1. Clip at alpha, wherever it is.",
            ),
            Wrong(pact_magnitudes, "A value below 0 becomes 0, not its magnitude."),
            Wrong(pact_down, "Round to the nearest step, not down."),
            Wrong(pact_not_rounded, "Clipped, but not rounded to steps."),
            Wrong(
                pact_steps_themselves,
                "These are the integers. Multiply them by the step again.",
            ),
            Wrong(
                pact_half_of_the_steps,
                "That is the grid of signed numbers. Nothing lies below 0 here, so all"
                " 2**bits - 1 steps lie above.",
            ),
            Wrong(pact_no_clip_below, "Values below 0 have to become 0."),
            Wrong(pact_no_clip_above, "Values above alpha have to become alpha."),
            Wrong(
                pact_zero_above,
                "Values above alpha become alpha, not 0.",
            ),
        ),
        hints=(
            "First clip, with operations that have the right gradient by themselves.",
            "`x.minimum(alpha)` sends the gradient to whichever is smaller.",
            "Then add (rounded - clipped).detach(): the value of one, the gradient of"
            " the other.",
        ),
        cases=pact_case,
        by_hand=(
            (
                (torch.tensor([-1.0, 0.4, 0.6, 5.0]), torch.tensor(1.5), 2),
                torch.tensor([0.0, 0.5, 0.5, 1.5]),
            ),
        ),
        properties=(
            Property(
                "no value lies outside of 0 and alpha",
                lambda mine, x, alpha, bits: bool(
                    (mine(x, alpha, bits) >= 0).all()
                    and (mine(x, alpha, bits) <= alpha * 1.00001).all()
                ),
            ),
        ),
        gradient=(0, 1),
    ),
    Exercise(
        name="oscillations",
        number="20.6",
        kind="build",
        minutes=15,
        difficulty=2,
        points=3,
        task="oscillations(history): `history` is an integer tensor (steps, weights)."
        " Return a tensor of integers, one for each weight: how often it changed"
        " against the direction of its last change, however long it rested in"
        " between.",
        reference=oscillations,
        alternative=oscillations_2,
        wrong=(
            Wrong(
                oscillations_all_changes,
                "You count every change. A weight that goes on in its direction is"
                " learning, not oscillating.",
            ),
            Wrong(
                oscillations_without_rest,
                "A weight may rest between two turns. Compare with its last change, not"
                " with the last step.",
            ),
            Wrong(
                oscillations_of_all, "One count for each weight is asked, not a sum."
            ),
            Wrong(
                oscillations_where_it_ends,
                "You count where a weight is what it was two steps before. So is one"
                " that rests. Compare directions.",
            ),
            Wrong(
                oscillations_back_where_it_was,
                "You look two steps back. After a rest, or with a jump by 2, that says"
                " something else.",
            ),
            Wrong(
                oscillations_of_steps,
                "You went along the weights. Time runs down the first dimension.",
            ),
            Wrong(
                oscillations_with_first,
                "The first change of a weight is no turn: it has no direction before.",
            ),
            Wrong(
                oscillations_of_slope,
                "Going to rest, or on from it, is no turn. Only the opposite direction"
                " is.",
            ),
            Wrong(
                oscillations_going_on,
                "A change after a rest is a turn only if the change before the rest"
                " went the other way. Remember the last change, not the last step.",
            ),
            Wrong(
                oscillations_of_signs,
                "You count where the integers change their sign. A turn is a change of"
                " direction.",
            ),
            Wrong(
                oscillations_at_all,
                "How often, not whether: a weight may turn many times.",
            ),
            Wrong(
                oscillations_down_to_up,
                "Turning from up to down is a turn as well as from down to up.",
            ),
            Wrong(
                oscillations_last_never_kept,
                "Remember the direction of every change, not only of those that turned,"
                " and not only of the first step.",
            ),
            Wrong(
                oscillations_and_rests,
                "A rest is no turn: the product of the two directions has to be below"
                " 0, and the last change has to be remembered over a rest.",
            ),
            Wrong(oscillations_rests, "These are the rests. Count the turns."),
            Wrong(
                oscillations_by_size,
                "How often it turned, not how far: count 1 for each turn.",
            ),
            Wrong(oscillations_halved, "There and back are two turns, not one."),
            Wrong(
                oscillations_from_up,
                "A weight whose first change goes down has not turned: before its first"
                " change it has no direction, neither up nor down.",
            ),
            Wrong(
                oscillations_around_mean,
                "A turn is a change of direction, wherever the mean lies.",
            ),
            Wrong(
                oscillations_per_step,
                "That says when. Add up over the steps: one count for each weight.",
            ),
            Wrong(
                oscillations_net,
                "You add the directions up. Count how often they change.",
            ),
            Wrong(oscillations_share, "The count is asked, not the share of steps."),
            Wrong(
                oscillations_against_first,
                "Compare with the last change, not with the first one: the direction"
                " has to be remembered anew after each change.",
            ),
            Wrong(
                oscillations_one_way,
                "Turning from down to up is a turn as well as from up to down.",
            ),
        ),
        hints=(
            "The sign of now - before is a direction; 0 is a rest.",
            "Remember for each weight the direction of its last change.",
            "Two directions are opposite if their product is negative.",
        ),
        cases=history_case,
        by_hand=(
            # up, rest, down: one turn; up, up, up: none; down, up, down: two
            (
                (torch.tensor([[0, 0, 0], [1, 1, -1], [1, 2, 0], [0, 3, -1]]),),
                torch.tensor([1, 0, 2]),
            ),
            # up, down, up, with rests: two; down, down, up: one; up, down: one
            (
                (
                    torch.tensor(
                        [
                            [0, 3, -1],
                            [2, 3, 0],
                            [2, 2, 1],
                            [0, 2, 0],
                            [1, 2, -1],
                            [1, 1, -2],
                            [1, 2, -2],
                        ]
                    ),
                ),
                torch.tensor([2, 1, 1]),
            ),
        ),
        properties=(
            Property(
                "after one step, or two, nothing has turned back",
                lambda mine, history: (
                    not any(int(turns) for n in (1, 2) for turns in mine(history[:n]))
                ),
            ),
            Property(
                "the other way round in time there are as many turns",
                lambda mine, history: (
                    not difference(
                        torch.as_tensor(mine(history)), mine(history.flip(0)), 0.0
                    )
                ),
            ),
        ),
    ),
)


QUIZ = (
    Question(
        "Why does quantization-aware training keep a real number behind each weight?",
        (
            Option(
                "so that the device can start from it",
                "The device gets integers. The real number is thrown away after"
                " training.",
            ),
            Option(
                "so that many small updates can add up to a step",
                "A rounded weight would forget each update that is smaller than half a"
                " step, and nearly all are.",
                correct=True,
            ),
            Option(
                "because integers cannot be multiplied",
                "They can, and that is why it is done (chapter 21).",
            ),
        ),
    ),
    Question(
        "64 filters of 64 x 3 x 3 weights, from 32 bits to 4. Each filter keeps a bias"
        " and a step of 32 bits. How many times smaller is the layer?",
        (
            Option("4.0", "That is what 8 bits would give."),
            Option("7.8", "Steps and biases take 3 % of what is left.", correct=True),
            Option("8.0", "32 / 4, but a filter also stores its step and its bias."),
        ),
        smaller,
        "{:.1f}",
    ),
    Question(
        "A grid cuts off many large values. Which way does the squared error push its"
        " step?",
        (
            Option("to a shorter one", "That would cut off even more."),
            Option(
                "nowhere: rounding has no slope",
                "Not for x, but the step multiplies whatever integer comes out.",
            ),
            Option(
                "to a longer one",
                "What is cut off is too small; its slope is the last integer, so a"
                " longer step brings it closer.",
                correct=True,
            ),
        ),
    ),
    Question(
        "What goes wrong if the batch norms are still there in training, with the"
        " statistics of each batch, and the weights are rounded after folding?",
        (
            Option(
                "nothing: a batch norm is linear, so folding changes no result",
                "In evaluation it is. In training its factors depend on the batch.",
            ),
            Option(
                "no gradient passes through a batch norm, so nothing is learned",
                "They do pass: every network in this course was trained that way.",
            ),
            Option(
                "the weights that are rounded change with every batch",
                "Their factors do, so that integers jump; and they are not those that"
                " will be deployed.",
                correct=True,
            ),
        ),
    ),
    Question(
        "LSQ multiplies the gradient of a step by a factor, Eq. 20.4. What does it do"
        " under Adam?",
        (
            Option(
                "nearly nothing",
                "Adam divides a gradient by its own usual size. So the rate of a step"
                " has to be chosen in another way.",
                correct=True,
            ),
            Option(
                "it makes the step learn slower",
                "With plain gradient descent it would. Adam removes constant factors.",
            ),
            Option("it keeps the step positive", "A factor does not change a sign."),
        ),
    ),
)
