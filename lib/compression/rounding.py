"""Rounding to a grid in real numbers, and the slope that training is told of.

Rounding has no slope; the straight-through gradient acts as if it were not there. The
rule stands here twice: `straight_through` to be read, for a grid that stays, and
`StraightThrough`, which keeps less for the way back and lets the step learn (LSQ).

Sources: arXiv 1308.3432 (straight-through), 1902.08153 (LSQ), 2004.09576 (LSQ+, a
learned zero point). For `qat`, chapter 20.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.basics import arguments, plain
from lib.compression import checked


@plain.ours
@arguments.named
def straight_through(
    x: Float[Tensor, "..."], scale: Float[Tensor, "..."], zero: Float[Tensor, "..."],
    low: arguments.Signed, high: arguments.Signed,
) -> Float[Tensor, "..."]:  # fmt: skip
    """`x` on a grid and back; inside the grid its gradient passes as if not rounded.

    `scale` (the step) and `zero` (the integer that means 0, as a float) broadcast to x
    and get no gradient. `low` and `high` are the first and the last integer. As x.

    Steps of 0.2, at most 3: 0.69 is 3.45 of them, 0.71 is 3.55 and is cut off.

    >>> x, scale = torch.tensor([0.69, 0.71], requires_grad=True), torch.tensor(0.2)
    >>> back = straight_through(x, scale, torch.tensor(0.0), -3, 3)
    >>> back.sum().backward()
    >>> [round(value, 4) for value in back.tolist()], x.grad.tolist()
    ([0.6, 0.6], [1.0, 0.0])
    """
    integers = torch.round(x.detach() * (1 / scale)) + zero
    inside = (integers >= low) & (integers <= high)
    rounded = (integers.clamp(low, high) - zero) * scale  # Eq. 20.1
    passing = torch.where(inside, x, 0.0)
    # The value of the one, and the gradient of the other: Eq. 20.2.
    return rounded + (passing - passing.detach())


def rounded_steps(
    x: Tensor,
    scale: Tensor,
    zero: Tensor,
    low: int,
    high: int,
) -> tuple[Tensor, Tensor]:
    """Whole steps from 0 for each value, and True where nothing was cut off.

    Steps of 0.2, at most 3: 0.29 is 1.45 of them, 0.31 is 1.55, 0.9 is 4.5.

    >>> x, scale = torch.tensor([0.29, 0.31, 0.9]), torch.tensor(0.2)
    >>> steps, inside = rounded_steps(x, scale, torch.tensor(0), -3, 3)
    >>> steps.tolist(), inside.tolist()
    ([1.0, 2.0, 3.0], [True, True, False])
    """
    checked.tensors(x=x, scale=scale, zero=zero)
    checked.ends(low, high)
    zero = zero.round().clamp(low, high)
    q = x * (1 / scale)
    q = q.round_().add_(zero)  # in place: maps are large
    inside = (q >= low) & (q <= high)
    steps = q.clamp_(low, high).sub_(zero)
    return steps, inside


@arguments.named
def step_gradient(
    x: Float[Tensor, "..."], scale: Float[Tensor, "..."],
    steps: Float[Tensor, "..."], inside: Bool[Tensor, "..."],
) -> Float[Tensor, "..."]:  # fmt: skip
    """How fast each rounded value grows when the step does (LSQ), shaped as x.

    `steps` and `inside` are what `rounded_steps` gave for x. Inside the grid it is how
    far rounding moved x, in steps; outside, the last step itself.

    0.29 is 1.45 steps of 0.2 and became 1; 9 became the last one, 3:

    >>> x, steps = torch.tensor([0.29, 9.0]), torch.tensor([1.0, 3.0])
    >>> step_gradient(x, torch.tensor(0.2), steps, torch.tensor([True, False]))
    tensor([-0.4500,  3.0000])
    """
    unrounded = x * (1 / scale)
    unrounded_inside = unrounded.mul_(inside)
    return steps - unrounded_inside  # Eq. 20.3


class StraightThrough(torch.autograd.Function):
    """Onto the grid and back; rounding passes the gradient straight through."""

    @staticmethod
    def forward(ctx, x, scale, zero, low, high, gain):
        steps, inside = rounded_steps(x, scale, zero, low, high)
        learns = any(ctx.needs_input_grad[1:3])
        kept = (x, steps) if learns else ()
        ctx.save_for_backward(inside, scale, *kept)
        ctx.gain = gain
        return steps * scale  # Eq. 20.1

    @staticmethod
    def backward(ctx, grad):
        inside, scale, *kept = ctx.saved_tensors
        of_x = grad * inside  # Eq. 20.2
        of_scale = of_zero = None
        if ctx.needs_input_grad[1]:
            slope = step_gradient(kept[0], scale, kept[1], inside)
            total = (grad * slope).sum_to_size(scale.shape)
            of_scale = total * ctx.gain
        if ctx.needs_input_grad[2]:  # another zero moves what was cut off, only that
            total = (grad * ~inside).sum_to_size(scale.shape)
            of_zero = total * -scale * ctx.gain
        return of_x, of_scale, of_zero, None, None, None


def fake_quantize(
    x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int, gain: float = 1.0
) -> Tensor:
    """`x` on the grid and back, in real numbers; gradients as Eq. 20.2 and 20.3 say.

    `scale` and `zero` broadcast to x. `gain` multiplies their gradients (Eq. 20.4).
    Where neither is learned, another `straight_through` than ours is called.

    >>> x, scale = torch.tensor([0.29, 0.31, -9.0]), torch.tensor(0.2)
    >>> fake_quantize(x, scale, torch.tensor(0), -3, 3)
    tensor([ 0.2000,  0.4000, -0.6000])
    """
    gain = arguments.real_number("gain", gain)
    real = arguments.real_tensor("x", x)  # half precision would round once more
    scale = arguments.real_tensor("scale", scale)
    zero = arguments.real_tensor("zero", zero)
    learned = scale.requires_grad or zero.requires_grad
    if learned or plain.is_ours(straight_through):
        rounded = StraightThrough.apply(real, scale, zero, low, high, gain)
    else:
        zero = zero.round().clamp(low, high)
        rounded = straight_through(real, scale, zero, low, high)
    return rounded if real is x else rounded.to(x.dtype)
