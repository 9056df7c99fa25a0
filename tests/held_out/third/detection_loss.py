"""Chapter 14: answers from the task texts."""

import torch
import torch.nn.functional as F

from tests.held_out import right, wrong


@wrong("detection_loss.focal_loss", "alpha for no and 1 - alpha for yes")
def focal_loss_1(logits, targets, alpha=0.25, gamma=1.5):
    z = torch.where(targets, logits, -logits)
    share = torch.where(targets, 1 - alpha, alpha)
    return -share * torch.exp(gamma * F.logsigmoid(-z)) * F.logsigmoid(z)


@wrong("detection_loss.focal_loss", "weighs by p_t, and so drowns the hard answers")
def focal_loss_2(logits, targets, alpha=0.25, gamma=1.5):
    z = torch.where(targets, logits, -logits)
    share = torch.where(targets, alpha, 1 - alpha)
    return -share * torch.exp(gamma * F.logsigmoid(z)) * F.logsigmoid(z)


@wrong("detection_loss.focal_loss", "the mean of all, one number")
def focal_loss_3(logits, targets, alpha=0.25, gamma=1.5):
    z = torch.where(targets, logits, -logits)
    share = torch.where(targets, alpha, 1 - alpha)
    loss = -share * torch.exp(gamma * F.logsigmoid(-z)) * F.logsigmoid(z)
    return loss.mean()


@wrong("detection_loss.focal_loss", "the power of 1 - p has no gradient at 0")
def focal_loss_4(logits, targets, alpha=0.25, gamma=1.5):
    cost = F.binary_cross_entropy_with_logits(
        logits, targets.to(logits.dtype), reduction="none"
    )
    p = torch.sigmoid(logits)
    p_t = torch.where(targets, p, 1 - p)
    share = torch.where(targets, alpha, 1 - alpha)
    return share * (1 - p_t) ** gamma * cost


@wrong(
    "detection_loss.focal_loss", "probabilities are cut at 1e-7 before the logarithm"
)
def focal_loss_5(logits, targets, alpha=0.25, gamma=1.5):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    yes = -alpha * (1 - p) ** gamma * torch.log(p)
    no = -(1 - alpha) * p**gamma * torch.log(1 - p)
    return torch.where(targets, yes, no)


@wrong(
    "detection_loss.focal_loss", "the factor is detached: its part of the slope lacks"
)
def focal_loss_6(logits, targets, alpha=0.25, gamma=1.5):
    z = torch.where(targets, logits, -logits)
    share = torch.where(targets, alpha, 1 - alpha)
    factor = torch.exp(gamma * F.logsigmoid(-z)).detach()
    return -share * factor * F.logsigmoid(z)


@right("detection_loss.focal_loss")
def focal_loss_7(logits, targets, alpha=0.25, gamma=1.5):
    z = torch.where(targets, logits, -logits)
    loss = -torch.exp(gamma * F.logsigmoid(-z)) * F.logsigmoid(z)
    return torch.where(targets, alpha * loss, (1 - alpha) * loss)


@right("detection_loss.focal_loss")
def focal_loss_8(logits, targets, alpha=0.25, gamma=1.5):
    yes = targets.to(logits.dtype)
    cost = F.binary_cross_entropy_with_logits(logits, yes, reduction="none")
    lack = -F.binary_cross_entropy_with_logits(logits, 1 - yes, reduction="none")
    return (alpha * yes + (1 - alpha) * (1 - yes)) * (gamma * lack).exp() * cost


@right("detection_loss.focal_loss")
def focal_loss_9(logits, targets, alpha=0.25, gamma=1.5):
    zero = torch.zeros_like(logits)
    minus_log_yes = torch.logaddexp(zero, -logits)
    minus_log_no = torch.logaddexp(zero, logits)
    if_yes = alpha * torch.exp(-gamma * minus_log_no) * minus_log_yes
    if_no = (1 - alpha) * torch.exp(-gamma * minus_log_yes) * minus_log_no
    return torch.where(targets, if_yes, if_no)


@wrong("detection_loss.huber_loss", "smooth L1: divided by delta")
def huber_loss_1(error, delta=0.1):
    return F.smooth_l1_loss(
        error, torch.zeros_like(error), beta=delta, reduction="none"
    )


@wrong("detection_loss.huber_loss", "q without the absolute value")
def huber_loss_2(error, delta=0.1):
    q = error.clamp(max=delta)
    return 0.5 * q**2 + delta * (error.abs() - q)


@wrong("detection_loss.huber_loss", "the line does not meet the parabola")
def huber_loss_3(error, delta=0.1):
    size = error.abs()
    return torch.where(size <= delta, 0.5 * size**2, delta * size)


@wrong("detection_loss.huber_loss", "the mean, one number")
def huber_loss_4(error, delta=0.1):
    return F.huber_loss(error, torch.zeros_like(error), delta=delta)


@wrong("detection_loss.huber_loss", "the line has the slope 1, not delta")
def huber_loss_5(error, delta=0.1):
    q = torch.clamp(error.abs(), max=delta)
    return 0.5 * q**2 + (error.abs() - q)


@wrong("detection_loss.huber_loss", "constant beyond delta: the line is missing")
def huber_loss_6(error, delta=0.1):
    return 0.5 * error.clamp(-delta, delta) ** 2


@right("detection_loss.huber_loss")
def huber_loss_7(error, delta=0.1):
    size = error.abs()
    q = size.clamp(max=delta)
    return 0.5 * q**2 + delta * (size - q)


@right("detection_loss.huber_loss")
def huber_loss_8(error, delta=0.1):
    return torch.where(
        error.abs() < delta, error * error / 2, delta * (error.abs() - delta / 2)
    )


@right("detection_loss.huber_loss")
def huber_loss_9(error, delta=0.1):
    zero = torch.zeros_like(error)
    return F.huber_loss(error, zero, reduction="none", delta=delta)
