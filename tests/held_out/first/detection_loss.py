"""Chapter 14: answers from the task texts."""

import torch
import torch.nn.functional as F

from tests.held_out import right, right_value, wrong, wrong_value

# 14.1

wrong_value("detection_loss.shrunk", 0.001, "the factor, not how many times smaller")
wrong_value("detection_loss.shrunk", 100, "gamma is 1")
wrong_value("detection_loss.shrunk", 10_000, "gamma is 2")
wrong_value("detection_loss.shrunk", 1.015, "0.99 to the power, not 0.01")
wrong_value("detection_loss.shrunk", 4000, "alpha of a quarter counted too")
right_value("detection_loss.shrunk", 1000)
right_value("detection_loss.shrunk", 1000.0)

# 14.2

wrong_value("detection_loss.positives_share", 0.0, "their share of the answers")
wrong_value("detection_loss.positives_share", 0.01, "the share of the others")
wrong_value("detection_loss.positives_share", 0.07, "with gamma = 0")
wrong_value("detection_loss.positives_share", 0.25, "alpha alone")
wrong_value("detection_loss.positives_share", 0.5, "both sides alike")
right_value("detection_loss.positives_share", 0.99)
right_value("detection_loss.positives_share", "0.99")

# 14.3


@wrong("detection_loss.hard_examples", "without positives keeps nothing")
def hard_examples_1(losses, positive, ratio):
    negatives = losses[~positive]
    k = min(int(ratio * positive.sum()), len(negatives))
    return losses[positive].sum() + negatives.topk(k).values.sum()


@wrong("detection_loss.hard_examples", "asks for more negatives than there are")
def hard_examples_2(losses, positive, ratio):
    k = int(ratio * max(1, int(positive.sum())))
    return losses[positive].sum() + losses[~positive].topk(k).values.sum()


@wrong("detection_loss.hard_examples", "the mean of the kept losses, not their sum")
def hard_examples_3(losses, positive, ratio):
    negatives = losses[~positive].sort(descending=True).values
    k = int(ratio * max(1, int(positive.sum())))
    return torch.cat([losses[positive], negatives[:k]]).mean()


@wrong("detection_loss.hard_examples", "the worst of all anchors, positives among them")
def hard_examples_4(losses, positive, ratio):
    k = int(ratio * max(1, int(positive.sum())))
    worst = losses.sort(descending=True).values[:k]
    return losses[positive].sum() + worst.sum()


@wrong(
    "detection_loss.hard_examples", "`ratio` negatives in all, not for each positive"
)
def hard_examples_5(losses, positive, ratio):
    negatives = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + negatives[: int(ratio)].sum()


@wrong("detection_loss.hard_examples", "keeps the easiest negatives")
def hard_examples_6(losses, positive, ratio):
    negatives = losses[~positive].sort().values
    k = int(ratio * max(1, int(positive.sum())))
    return losses[positive].sum() + negatives[:k].sum()


@wrong("detection_loss.hard_examples", "gives a number without a gradient")
def hard_examples_7(losses, positive, ratio):
    values = losses.tolist()
    flags = positive.tolist()
    kept = [v for v, p in zip(values, flags, strict=True) if p]
    rest = sorted((v for v, p in zip(values, flags, strict=True) if not p))[::-1]
    return torch.tensor(sum(kept) + sum(rest[: int(ratio * max(1, len(kept)))]))


@wrong("detection_loss.hard_examples", "forgets the positives' own losses")
def hard_examples_8(losses, positive, ratio):
    negatives = losses[~positive].sort(descending=True).values
    k = int(ratio * max(1, int(positive.sum())))
    return negatives[:k].sum()


@right("detection_loss.hard_examples")
def hard_examples_9(losses, positive, ratio):
    negatives = losses[~positive]
    k = min(int(ratio * max(1, int(positive.sum()))), len(negatives))
    return losses[positive].sum() + negatives.topk(k).values.sum()


@right("detection_loss.hard_examples")
def hard_examples_10(losses, positive, ratio):
    count = int(positive.sum()) or 1
    worst = torch.sort(losses[positive == 0], descending=True).values
    return torch.cat([losses[positive == 1], worst[: int(ratio * count)]]).sum()


@right("detection_loss.hard_examples")
def hard_examples_11(losses, positive, ratio):
    flags = positive.tolist()
    numbers = losses.detach().tolist()
    yes = [i for i, flag in enumerate(flags) if flag]
    no = [i for i, flag in enumerate(flags) if not flag]
    no.sort(key=lambda i: -numbers[i])
    kept = yes + no[: int(ratio * max(len(yes), 1))]
    total = losses.new_zeros(())
    for i in kept:
        total = total + losses[i]
    return total


@right("detection_loss.hard_examples")
def hard_examples_12(losses, positive, ratio):
    positive = positive.bool()
    key = losses.detach().masked_fill(positive, float("-inf"))
    rank = key.argsort(descending=True).argsort()
    quota = ratio * positive.sum().clamp(min=1)
    keep = positive | (rank < quota)
    return (losses * keep).sum()


# 14.4


@wrong("detection_loss.quality_focal", "the logarithm of a sigmoid: not finite far out")
def quality_focal_1(logits, quality, beta):
    p = torch.sigmoid(logits)
    cross = -quality * torch.log(p) - (1 - quality) * torch.log(1 - p)
    return (quality - p).abs() ** beta * cross


@wrong(
    "detection_loss.quality_focal", "the probability is clamped before the logarithm"
)
def quality_focal_2(logits, quality, beta):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    cross = -quality * torch.log(p) - (1 - quality) * torch.log(1 - p)
    return (quality - p).abs() ** beta * cross


@wrong(
    "detection_loss.quality_focal", "the target of the cross entropy is 1 for any q > 0"
)
def quality_focal_3(logits, quality, beta):
    cross = F.binary_cross_entropy_with_logits(
        logits, (quality > 0).to(logits.dtype), reduction="none"
    )
    return (quality - logits.sigmoid()).abs() ** beta * cross


@wrong("detection_loss.quality_focal", "the sum of the losses")
def quality_focal_4(logits, quality, beta):
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="sum")
    return ((quality - logits.sigmoid()).abs() ** beta * cross).sum()


@wrong("detection_loss.quality_focal", "the factor is cut off from the gradient")
def quality_focal_5(logits, quality, beta):
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    with torch.no_grad():
        factor = (quality - logits.sigmoid()).abs() ** beta
    return factor * cross


@wrong("detection_loss.quality_focal", "only the half of the cross entropy with q")
def quality_focal_6(logits, quality, beta):
    factor = (quality - logits.sigmoid()).abs() ** beta
    return -factor * quality * F.logsigmoid(logits)


@wrong(
    "detection_loss.quality_focal", "the factor of focal loss, (1 - p_t) to the power"
)
def quality_focal_7(logits, quality, beta):
    p = logits.sigmoid()
    likely = quality * p + (1 - quality) * (1 - p)
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (1 - likely) ** beta * cross


@wrong(
    "detection_loss.quality_focal", "alpha of a quarter, as in focal loss, comes on top"
)
def quality_focal_8(logits, quality, beta):
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    alpha = torch.where(quality > 0, 0.25, 0.75)
    return alpha * (quality - logits.sigmoid()).abs() ** beta * cross


@right("detection_loss.quality_focal")
def quality_focal_9(logits, quality, beta):
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (quality - torch.sigmoid(logits)).abs() ** beta * cross


@right("detection_loss.quality_focal")
def quality_focal_10(logits, quality, beta):
    cross = F.softplus(logits) - quality * logits
    return (quality - logits.sigmoid()).abs().pow(beta) * cross


@right("detection_loss.quality_focal")
def quality_focal_11(logits, quality, beta):
    yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
    factor = torch.abs(quality - yes.exp()) ** beta
    return -factor * (quality * yes + (1 - quality) * no)


@right("detection_loss.quality_focal")
def quality_focal_12(logits, quality, beta):
    cross = torch.logaddexp(torch.zeros_like(logits), logits) - quality * logits
    p = (torch.tanh(logits / 2) + 1) / 2
    return cross * torch.pow(torch.abs(p - quality), beta)
