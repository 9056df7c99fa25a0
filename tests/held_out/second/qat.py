"""Chapter 20: answers from the task texts."""

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- reached ---

wrong_value("qat.reached", 8, "the rounding is ignored, and the ends too")
wrong_value("qat.reached", 4, "the weight 0 gets none")
wrong_value("qat.reached", 6, "0.71 is still taken to be inside")
wrong_value("qat.reached", 0, "rounding has no slope")
right_value("qat.reached", 5)

# --- fewest_bits ---

wrong_value("qat.fewest_bits", 4.4, "head with four bits too")
wrong_value("qat.fewest_bits", 3.3, "the last mean with too much damage")
wrong_value("qat.fewest_bits", 3.0, "four bits for middle, two for the others")
wrong_value("qat.fewest_bits", 4.7, "the mean over layers, not over weights")
right_value("qat.fewest_bits", 3.4)

# --- pact ---


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits):
        ctx.save_for_backward(x, alpha)
        steps = 2**bits - 1
        clipped = torch.minimum(x.clamp(min=0), alpha)
        return torch.round(clipped * steps / alpha) * alpha / steps

    @staticmethod
    def backward(ctx, arriving):
        x, alpha = ctx.saved_tensors
        inside = (x > 0) & (x < alpha)
        above = (arriving * (x > alpha)).sum().reshape(alpha.shape)
        return arriving * inside, above, None


class _AboveMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, bits):
        ctx.save_for_backward(x, alpha)
        steps = 2**bits - 1
        clipped = torch.minimum(x.clamp(min=0), alpha)
        return torch.round(clipped * steps / alpha) * alpha / steps

    @staticmethod
    def backward(ctx, arriving):
        x, alpha = ctx.saved_tensors
        inside = (x > 0) & (x < alpha)
        above = (arriving * (x > alpha)).mean().reshape(alpha.shape)
        return arriving * inside, above, None


@wrong("qat.pact", "2 to the bits steps")
def pact_1(x, alpha, bits):
    clipped = torch.minimum(x.clamp(min=0), alpha)
    step = alpha / 2**bits
    rounded = torch.round(clipped / step) * step
    return clipped + (rounded - clipped).detach()


@wrong("qat.pact", "no gradient through the rounding")
def pact_2(x, alpha, bits):
    step = alpha / (2**bits - 1)
    return torch.round(torch.minimum(torch.relu(x), alpha) / step) * step


@wrong("qat.pact", "the step is not held back from alpha's gradient")
def pact_3(x, alpha, bits):
    step = alpha / (2**bits - 1)
    scaled = torch.minimum(torch.relu(x), alpha) / step
    return (scaled + (torch.round(scaled) - scaled).detach()) * step


@wrong("qat.pact", "alpha is a number: it never learns")
def pact_4(x, alpha, bits):
    top = float(alpha)
    clipped = x.clamp(0, top)
    step = top / (2**bits - 1)
    return clipped + (torch.round(clipped / step) * step - clipped).detach()


@wrong("qat.pact", "rounded down")
def pact_5(x, alpha, bits):
    clipped = torch.minimum(torch.relu(x), alpha)
    step = alpha / (2**bits - 1)
    return clipped + (torch.floor(clipped / step) * step - clipped).detach()


@wrong("qat.pact", "x gets a gradient outside as well")
def pact_6(x, alpha, bits):
    step = (alpha / (2**bits - 1)).detach()
    clipped = torch.minimum(torch.relu(x), alpha)
    rounded = torch.round(clipped / step) * step
    return x + (rounded - x).detach() + (clipped - clipped.detach()) * (x > alpha)


@wrong("qat.pact", "alpha gets the mean of what arrives, not the sum")
def pact_7(x, alpha, bits):
    return _AboveMean.apply(x, alpha, bits)


@wrong("qat.pact", "cut off at -alpha, symmetric")
def pact_8(x, alpha, bits):
    clipped = torch.maximum(torch.minimum(x, alpha), -alpha)
    step = alpha / (2**bits - 1)
    return clipped + (torch.round(clipped / step) * step - clipped).detach()


@right("qat.pact")
def pact_9(x, alpha, bits):
    return _Pact.apply(x, alpha, bits)


@right("qat.pact")
def pact_10(x, alpha, bits):
    clipped = torch.where(x > alpha, alpha, torch.relu(x))
    clipped = torch.where(x == alpha, clipped.detach(), clipped)
    step = alpha.detach() / (2**bits - 1)
    rounded = torch.round(clipped.detach() / step) * step
    return clipped + (rounded - clipped).detach()


@right("qat.pact")
def pact_11(x, alpha, bits):
    inside = ((x > 0) & (x < alpha)).to(x.dtype)
    above = (x > alpha).to(x.dtype)
    path = x * inside + alpha * above
    with torch.no_grad():
        steps = 2**bits - 1
        share = (x / alpha).clamp(0, 1)
        value = torch.round(share * steps) / steps * alpha
    return path + (value - path).detach()


# --- oscillations ---


@wrong("qat.oscillations", "a rest forgets the direction")
def oscillations_1(history):
    change = torch.sign(history[1:] - history[:-1])
    return (change[1:] * change[:-1] < 0).sum(0)


@wrong("qat.oscillations", "counts every change")
def oscillations_2(history):
    return (history[1:] != history[:-1]).sum(0)


@wrong("qat.oscillations", "the first change counts as a turn")
def oscillations_3(history):
    steps, weights = history.shape
    counts = torch.zeros(weights, dtype=torch.int64)
    last = torch.zeros(weights, dtype=torch.int64)
    for t in range(1, steps):
        change = torch.sign(history[t] - history[t - 1]).long()
        counts += (change != 0) & (change != last)
        last = torch.where(change != 0, change, last)
    return counts


@wrong("qat.oscillations", "along the weights, not along the steps")
def oscillations_4(history):
    counts = []
    for row in history.tolist():
        last, turns = 0, 0
        for a, b in zip(row, row[1:], strict=False):
            if a != b:
                direction = 1 if b > a else -1
                turns += last == -direction
                last = direction
        counts.append(turns)
    return torch.tensor(counts)


@wrong("qat.oscillations", "only a change of the same size turns back")
def oscillations_5(history):
    steps, weights = history.shape
    counts = torch.zeros(weights, dtype=torch.int64)
    last = torch.zeros(weights, dtype=torch.int64)
    for t in range(1, steps):
        change = history[t].long() - history[t - 1].long()
        counts += (change != 0) & (change == -last)
        last = torch.where(change != 0, change, last)
    return counts


@wrong("qat.oscillations", "one number for all weights")
def oscillations_6(history):
    total = 0
    for column in history.T.tolist():
        moves = [b - a for a, b in zip(column, column[1:], strict=False) if a != b]
        total += sum(m * n < 0 for m, n in zip(moves, moves[1:], strict=False))
    return torch.tensor(total)


@wrong("qat.oscillations", "whether it turned, not how often")
def oscillations_7(history):
    out = []
    for column in history.T.tolist():
        moves = [b - a for a, b in zip(column, column[1:], strict=False) if a != b]
        out.append(int(any(m * n < 0 for m, n in zip(moves, moves[1:], strict=False))))
    return torch.tensor(out)


@right("qat.oscillations")
def oscillations_8(history):
    steps, weights = history.shape
    counts = torch.zeros(weights, dtype=torch.int64)
    last = torch.zeros(weights, dtype=torch.int64)
    for t in range(1, steps):
        change = torch.sign(history[t].long() - history[t - 1].long())
        counts += (change * last) < 0
        last = torch.where(change != 0, change, last)
    return counts


@right("qat.oscillations")
def oscillations_9(history):
    out = []
    for column in history.T.tolist():
        moves = [b - a for a, b in zip(column, column[1:], strict=False) if a != b]
        out.append(sum(m * n < 0 for m, n in zip(moves, moves[1:], strict=False)))
    return torch.tensor(out, dtype=torch.int64)


@right("qat.oscillations")
def oscillations_10(history):
    counts = []
    for w in range(history.shape[1]):
        signs = torch.diff(history[:, w].long()).sign()
        signs = signs[signs != 0]
        counts.append(int((signs[1:] != signs[:-1]).sum()))
    return torch.tensor(counts)
