"""Chapter 20: answers from the task texts."""

import torch

from tests.held_out import right, wrong


@wrong("qat.straight_through", "the gradient passes also where it was cut off")
def straight_through_1(x, scale, zero, low, high):
    q = (torch.round(x / scale) + zero).clamp(low, high)
    y = (q - zero) * scale
    return x + (y - x).detach()


@wrong("qat.straight_through", "the real number is asked, before rounding")
def straight_through_2(x, scale, zero, low, high):
    with torch.no_grad():
        y = ((x / scale).round() + zero).clamp(low, high)
        y = (y - zero) * scale
        inside = (x >= (low - zero) * scale) & (x <= (high - zero) * scale)
    open_ = torch.where(inside, x, 0.0)
    return y + open_ - open_.detach()


@wrong("qat.straight_through", "nothing passes at the two ends themselves")
def straight_through_3(x, scale, zero, low, high):
    q = torch.round(x / scale).detach() + zero
    inside = (q > low) & (q < high)
    y = (q.clamp(low, high) - zero) * scale
    open_ = torch.where(inside, x, 0.0)
    return y.detach() + (open_ - open_.detach())


@wrong("qat.straight_through", "cut off before the zero point is added")
def straight_through_4(x, scale, zero, low, high):
    steps = torch.round(x / scale).detach()
    inside = (steps >= low) & (steps <= high)
    y = (steps.clamp(low, high) * scale).detach()
    open_ = torch.where(inside, x, 0.0)
    return y + open_ - open_.detach()


@wrong("qat.straight_through", "the step gets a gradient too")
def straight_through_5(x, scale, zero, low, high):
    t = x / scale
    t = t + (torch.round(t) - t).detach()
    q = (t + zero).clamp(low, high)
    return (q - zero) * scale


@wrong("qat.straight_through", "no straight-through: the gradient of rounding is 0")
def straight_through_6(x, scale, zero, low, high):
    q = torch.clamp(torch.round(x / scale) + zero, low, high)
    return (q - zero) * scale


@right("qat.straight_through")
def straight_through_7(x, scale, zero, low, high):
    with torch.no_grad():
        q = torch.round(x / scale) + zero
        inside = (q >= low) & (q <= high)
        y = (q.clamp(low, high) - zero) * scale
    open_ = torch.where(inside, x, 0.0)
    return y + (open_ - open_.detach())


class _Grid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero, low, high):
        q = torch.round(x / scale) + zero
        ctx.save_for_backward((q >= low) & (q <= high))
        return scale * (torch.clamp(q, low, high) - zero)

    @staticmethod
    def backward(ctx, slope):
        (inside,) = ctx.saved_tensors
        return slope * inside, None, None, None, None


@right("qat.straight_through")
def straight_through_8(x, scale, zero, low, high):
    return _Grid.apply(x, scale, zero, low, high)


@right("qat.straight_through")
def straight_through_9(x, scale, zero, low, high):
    scale, zero = scale.detach(), zero.detach()
    q = (x.detach() / scale).round() + zero
    inside = torch.logical_and(q >= low, q <= high).to(x.dtype)
    q = torch.maximum(torch.minimum(q, torch.tensor(float(high))), torch.tensor(low))
    return (q - zero) * scale + inside * (x - x.detach())


@wrong("qat.step_gradient", "the sign is the other one inside")
def step_gradient_1(x, scale, steps, inside):
    return torch.where(inside, x / scale - steps, steps)


@wrong("qat.step_gradient", "one formula, also where it was cut off")
def step_gradient_2(x, scale, steps, inside):
    return steps - x / scale


@wrong("qat.step_gradient", "no slope where it was cut off")
def step_gradient_3(x, scale, steps, inside):
    return torch.where(inside, steps - x / scale, 0.0)


@wrong("qat.step_gradient", "the weight is not divided by the step")
def step_gradient_4(x, scale, steps, inside):
    return torch.where(inside, steps - x, steps)


@wrong("qat.step_gradient", "only the rounded value's own slope, q - z everywhere")
def step_gradient_5(x, scale, steps, inside):
    return steps.expand(x.shape).clone()


@wrong("qat.step_gradient", "the two cases are exchanged")
def step_gradient_6(x, scale, steps, inside):
    out = steps - x / scale
    out[inside] = steps[inside].to(out.dtype)
    return out


@right("qat.step_gradient")
def step_gradient_7(x, scale, steps, inside):
    return torch.where(inside, steps - x / scale, steps)


@right("qat.step_gradient")
def step_gradient_8(x, scale, steps, inside):
    through = x / scale
    return steps - through * inside.to(through.dtype)


@right("qat.step_gradient")
def step_gradient_9(x, scale, steps, inside):
    out = torch.empty(x.shape, dtype=x.dtype)
    scale = scale.expand(x.shape) if torch.is_tensor(scale) else torch.tensor(scale)
    scale = scale.expand(x.shape).flatten()
    flat = out.view(-1)
    values, grid, cut = x.flatten(), steps.flatten(), inside.flatten()
    for i in range(len(flat)):
        flat[i] = grid[i]
        if cut[i]:
            flat[i] -= values[i] / scale[i]
    return out
