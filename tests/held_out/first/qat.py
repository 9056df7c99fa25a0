"""Chapter 20: answers from the task texts."""

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 20.1

wrong_value("qat.reached", 3, "0.65 and 0.69 taken as cut off, beyond 0.6")
wrong_value("qat.reached", 8, "all of them")
wrong_value("qat.reached", 6, "0.71 taken as inside")
wrong_value("qat.reached", 4, "the weight 0 taken to get none")
wrong_value("qat.reached", 0, "the rounding stops every gradient")
right_value("qat.reached", 5)
right_value("qat.reached", 5.0)

# 20.2

wrong_value("qat.fewest_bits", 3.3, "one step too few: the damage is 13")
wrong_value("qat.fewest_bits", 4.4, "a damage below 6, not of 6 or less")
wrong_value("qat.fewest_bits", 3400, "all bits, not their mean")
wrong_value("qat.fewest_bits", 4.7, "the mean over layers, not over weights")
wrong_value("qat.fewest_bits", 2.2, "a damage of 19 taken")
right_value("qat.fewest_bits", 3.4)
right_value("qat.fewest_bits", "3.4")

# 20.3


def _rounded(x, alpha, steps):
    clipped = torch.minimum(x.clamp(min=0), alpha)
    return torch.round(clipped * steps / alpha) * alpha / steps


@wrong("qat.pact", "2 to the b steps in place of one less")
def pact_1(x, alpha, bits):
    with torch.no_grad():
        value = _rounded(x, alpha, 2**bits)
    path = torch.where(x > alpha, alpha, torch.where(x > 0, x, 0.0 * x.detach()))
    return path + (value - path).detach()


@wrong("qat.pact", "the rounding stops the gradient of x")
def pact_2(x, alpha, bits):
    steps = 2**bits - 1
    clipped = torch.where(x > alpha, alpha, x.clamp(min=0))
    return torch.round(clipped / alpha * steps) / steps * alpha


@wrong("qat.pact", "x gets a gradient everywhere")
def pact_3(x, alpha, bits):
    with torch.no_grad():
        value = _rounded(x, alpha, 2**bits - 1)
    path = x + torch.where(x > alpha, alpha, 0.0 * alpha)
    return path + (value - path).detach()


@wrong("qat.pact", "alpha hears of the rounding too, inside its range")
def pact_4(x, alpha, bits):
    steps = 2**bits - 1
    clipped = torch.where(x > alpha, alpha, x.clamp(min=0))
    scaled = clipped / alpha * steps
    whole = scaled + (scaled.round() - scaled).detach()
    return whole * (alpha / steps)


@wrong("qat.pact", "does not round, only cuts off")
def pact_5(x, alpha, bits):
    zero = torch.zeros_like(x)
    return torch.where(x > alpha, alpha, torch.where(x > 0, x, zero))


@wrong("qat.pact", "cuts off at -alpha, not at 0")
def pact_6(x, alpha, bits):
    steps = 2**bits - 1
    with torch.no_grad():
        clipped = torch.maximum(torch.minimum(x, alpha), -alpha)
        value = torch.round(clipped * steps / alpha) * alpha / steps
    inside = x.abs() < alpha
    path = torch.where(inside, x, torch.where(x > 0, alpha, -alpha))
    return path + (value - path).detach()


@wrong("qat.pact", "rounds down")
def pact_7(x, alpha, bits):
    steps = 2**bits - 1
    with torch.no_grad():
        clipped = torch.minimum(x.clamp(min=0), alpha)
        value = torch.floor(clipped * steps / alpha) * alpha / steps
    path = torch.where(x > alpha, alpha, torch.where(x > 0, x, torch.zeros_like(x)))
    return path + (value - path).detach()


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits):
        ctx.save_for_backward(x, alpha)
        return _rounded(x, alpha, 2**bits - 1)

    @staticmethod
    def backward(ctx, grad):
        x, alpha = ctx.saved_tensors
        above = (grad * (x > alpha)).mean().reshape(alpha.shape)
        return grad * ((x > 0) & (x < alpha)), above, None


@wrong("qat.pact", "alpha gets the mean of what arrives, not the sum")
def pact_8(x, alpha, bits):
    return _Mean.apply(x, alpha, bits)


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits):
        ctx.save_for_backward(x, alpha)
        return _rounded(x, alpha, 2**bits - 1)

    @staticmethod
    def backward(ctx, grad):
        x, alpha = ctx.saved_tensors
        inside = ((x > 0) & (x < alpha)).to(grad.dtype)
        above = (x > alpha).to(grad.dtype)
        return grad * inside, (grad * above).sum().reshape(alpha.shape), None


@right("qat.pact")
def pact_9(x, alpha, bits):
    return _Pact.apply(x, alpha, bits)


@right("qat.pact")
def pact_10(x, alpha, bits):
    with torch.no_grad():
        value = _rounded(x, alpha, 2**bits - 1)
        inside, above = (x > 0) & (x < alpha), x > alpha
    path = torch.where(inside, x, 0.0) + torch.where(above, alpha, 0.0)
    return path + (value - path).detach()


@right("qat.pact")
def pact_11(x, alpha, bits):
    step = alpha.detach() / (2**bits - 1)
    value = torch.round(x.detach().relu().minimum(alpha.detach()) / step) * step
    inside = ((x > 0) & (x < alpha)).to(x.dtype)
    above = (x > alpha).to(x.dtype)
    return value + inside * (x - x.detach()) + above * (alpha - alpha.detach())


@right("qat.pact")
def pact_12(x, alpha, bits):
    steps, top = 2**bits - 1, alpha.item()
    flat = []
    for number in x.flatten():
        value = number.item()
        whole = torch.round(torch.tensor(min(max(value, 0.0), top) / top * steps))
        out = (whole * top / steps).to(x.dtype)
        if 0 < value < top:
            out = out + number - number.detach()
        elif value > top:
            out = out + (alpha - alpha.detach()).reshape(())
        flat.append(out)
    return torch.stack(flat).reshape(x.shape)


# 20.4


@wrong("qat.oscillations", "a rest makes a weight forget its direction")
def oscillations_1(history):
    change = history[1:] - history[:-1]
    return (change[1:] * change[:-1] < 0).sum(dim=0)


@wrong("qat.oscillations", "counts every change")
def oscillations_2(history):
    return (history[1:] != history[:-1]).sum(dim=0)


@wrong("qat.oscillations", "the first change counts as turning back")
def oscillations_3(history):
    out = []
    for column in history.T.tolist():
        last, count = 0, 0
        for a, b in zip(column, column[1:], strict=False):
            way = (b > a) - (b < a)
            if way and way != last:
                count += 1
                last = way
        out.append(count)
    return torch.tensor(out)


@wrong("qat.oscillations", "coming to rest counts as turning back")
def oscillations_4(history):
    way = torch.sign(history[1:] - history[:-1])
    return ((way[1:] != way[:-1]) & (way[:-1] != 0)).sum(dim=0)


@wrong("qat.oscillations", "only where it comes back to where it was")
def oscillations_5(history):
    back = (history[2:] == history[:-2]) & (history[2:] != history[1:-1])
    return back.sum(dim=0)


@wrong("qat.oscillations", "counts along the weights, not along the steps")
def oscillations_6(history):
    out = []
    for row in history.tolist():
        last, count = 0, 0
        for a, b in zip(row, row[1:], strict=False):
            way = (b > a) - (b < a)
            if way:
                count += last == -way
                last = way
        out.append(count)
    return torch.tensor(out)


@wrong("qat.oscillations", "one number for all weights together")
def oscillations_7(history):
    return oscillations_9(history).sum()


@wrong("qat.oscillations", "counts changes of sign of the value, not of its direction")
def oscillations_8(history):
    return (history[1:] * history[:-1] < 0).sum(dim=0)


@right("qat.oscillations")
def oscillations_9(history):
    last = torch.zeros_like(history[0])
    count = torch.zeros_like(history[0])
    for before, after in zip(history[:-1], history[1:], strict=True):
        way = torch.sign(after - before)
        count += (way * last) < 0
        last = torch.where(way != 0, way, last)
    return count


@right("qat.oscillations")
def oscillations_10(history):
    out = []
    for column in history.T.tolist():
        ways = [b - a for a, b in zip(column, column[1:], strict=False) if a != b]
        out.append(sum(a * b < 0 for a, b in zip(ways, ways[1:], strict=False)))
    return torch.tensor(out, dtype=torch.int64)


@right("qat.oscillations")
def oscillations_11(history):
    counts = torch.zeros(history.shape[1], dtype=torch.int64)
    for w in range(history.shape[1]):
        signs = history[:, w].diff().sign()
        signs = signs[signs != 0]
        counts[w] = (signs.diff() != 0).sum()
    return counts


@right("qat.oscillations")
def oscillations_12(history):
    """A turn is a top or a bottom once repeated values are taken out."""
    out = []
    for w in range(history.shape[1]):
        runs = torch.unique_consecutive(history[:, w]).tolist()
        turns = 0
        for a, b, c in zip(runs, runs[1:], runs[2:], strict=False):
            if (b > a and b > c) or (b < a and b < c):
                turns += 1
        out.append(turns)
    return torch.tensor(out)
