"""Chapter 14: answers from the task texts."""

import torch
from torch.nn import functional

from tests.held_out import right, right_value, wrong, wrong_value

# --- shrunk ---

wrong_value("detection_loss.shrunk", 100, "gamma is 1")
wrong_value("detection_loss.shrunk", 10000, "gamma is 2")
wrong_value("detection_loss.shrunk", 1.0152, "p in place of 1 - p")
wrong_value("detection_loss.shrunk", 4000, "times alpha")
right_value("detection_loss.shrunk", 1000)
right_value("detection_loss.shrunk", 1000.0)

# --- positives_share ---

wrong_value("detection_loss.positives_share", 0.07, "gamma is 0")
wrong_value("detection_loss.positives_share", 0.01, "the share of the negatives")
wrong_value("detection_loss.positives_share", 0.50, "half and half")
wrong_value("detection_loss.positives_share", 0.00, "p in place of 1 - p")
right_value("detection_loss.positives_share", 0.99)

# --- hard_examples ---


@wrong("detection_loss.hard_examples", "the worst of all, positives among them")
def hard_examples_1(losses, positive, ratio):
    n = int(positive.sum())
    k = min(len(losses), ratio * max(1, n))
    return losses[positive].sum() + losses.topk(k).values.sum()


@wrong("detection_loss.hard_examples", "without positives nothing is kept")
def hard_examples_2(losses, positive, ratio):
    negatives = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + negatives[: ratio * int(positive.sum())].sum()


@wrong("detection_loss.hard_examples", "the easiest negatives are kept")
def hard_examples_3(losses, positive, ratio):
    n = max(1, int(positive.sum()))
    negatives = losses[~positive].sort().values
    return losses[positive].sum() + negatives[: ratio * n].sum()


@wrong("detection_loss.hard_examples", "ratio negatives, not times the positives")
def hard_examples_4(losses, positive, ratio):
    negatives = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + negatives[:ratio].sum()


@wrong("detection_loss.hard_examples", "the mean of what is kept")
def hard_examples_5(losses, positive, ratio):
    n = max(1, int(positive.sum()))
    negatives = losses[~positive].sort(descending=True).values[: ratio * n]
    return torch.cat([losses[positive], negatives]).mean()


@wrong("detection_loss.hard_examples", "ratio times (positives + 1)")
def hard_examples_6(losses, positive, ratio):
    n = int(positive.sum()) + 1
    negatives = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + negatives[: ratio * n].sum()


@wrong("detection_loss.hard_examples", "a number: no gradient passes")
def hard_examples_7(losses, positive, ratio):
    yes = [v for v, p in zip(losses.tolist(), positive.tolist(), strict=True) if p]
    no = [v for v, p in zip(losses.tolist(), positive.tolist(), strict=True) if not p]
    kept = sorted(no, reverse=True)[: ratio * (len(yes) or 1)]
    return torch.tensor(sum(yes) + sum(kept))


@right("detection_loss.hard_examples")
def hard_examples_8(losses, positive, ratio):
    yes = positive.bool()
    negatives = losses[~yes].sort(descending=True).values
    n = int(yes.sum())
    return losses[yes].sum() + negatives[: ratio * (n if n else 1)].sum()


@right("detection_loss.hard_examples")
def hard_examples_9(losses, positive, ratio):
    yes = positive.bool()
    n = max(1, int(yes.sum()))
    k = min(ratio * n, int((~yes).sum()))
    worst = losses[~yes].topk(k).values
    return torch.where(yes, losses, 0).sum() + worst.sum()


@right("detection_loss.hard_examples")
def hard_examples_10(losses, positive, ratio):
    flags = positive.tolist()
    yes = [i for i, flag in enumerate(flags) if flag]
    no = [i for i, flag in enumerate(flags) if not flag]
    no.sort(key=lambda i: -float(losses[i]))
    kept = yes + no[: ratio * max(1, len(yes))]
    return sum((losses[i] for i in kept), losses.new_zeros(()))


# --- quality_focal ---


@wrong("detection_loss.quality_focal", "log of the sigmoid: infinite at 200")
def quality_focal_1(logits, quality, beta):
    p = torch.sigmoid(logits)
    ce = -(quality * p.log() + (1 - quality) * (1 - p).log())
    return (quality - p).abs() ** beta * ce


@wrong("detection_loss.quality_focal", "clamped probabilities: wrong at 200")
def quality_focal_2(logits, quality, beta):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    ce = -(quality * p.log() + (1 - quality) * (1 - p).log())
    return (quality - p).abs() ** beta * ce


@wrong("detection_loss.quality_focal", "only the part of the right class")
def quality_focal_3(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (quality - p).abs() ** beta * quality * functional.softplus(-logits)


@wrong("detection_loss.quality_focal", "the factor carries no gradient")
def quality_focal_4(logits, quality, beta):
    ce = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (quality - logits.sigmoid()).abs().detach() ** beta * ce


@wrong("detection_loss.quality_focal", "the sum, not one number for each logit")
def quality_focal_5(logits, quality, beta):
    ce = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return ((quality - logits.sigmoid()).abs() ** beta * ce).sum()


@wrong("detection_loss.quality_focal", "the factor is that of focal loss, (1 - p)")
def quality_focal_6(logits, quality, beta):
    ce = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (1 - logits.sigmoid()) ** beta * ce


@wrong("detection_loss.quality_focal", "the power is always 2")
def quality_focal_7(logits, quality, beta=2.0):
    ce = functional.softplus(logits) - quality * logits
    return (quality - logits.sigmoid()).square() * ce


@right("detection_loss.quality_focal")
def quality_focal_8(logits, quality, beta):
    ce = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (quality - torch.sigmoid(logits)).abs() ** beta * ce


@right("detection_loss.quality_focal")
def quality_focal_9(logits, quality, beta):
    ce = functional.softplus(logits) - quality * logits
    return torch.pow(torch.abs(quality - logits.sigmoid()), beta) * ce


@right("detection_loss.quality_focal")
def quality_focal_10(logits, quality, beta):
    yes = -functional.logsigmoid(logits)
    no = -functional.logsigmoid(-logits)
    ce = quality * yes + (1 - quality) * no
    return (torch.sigmoid(logits) - quality).abs().pow(beta) * ce
