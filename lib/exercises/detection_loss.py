"""Exercises and quiz of chapter 14: focal loss, Huber loss, normaliser."""

import math

import torch
import torch.nn.functional as F

from lib.basics import data
from lib.detection import anchors, detection_loss
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 14.1 predict


def shrunk() -> int:
    """How many times smaller gamma = 1.5 makes the loss of an answer of 0.99."""
    logit = torch.tensor([math.log(0.99 / 0.01)], dtype=torch.float64)
    yes = torch.tensor([True])
    plain = detection_loss.focal_loss(logit, yes, gamma=0)
    return round((plain / detection_loss.focal_loss(logit, yes)).item())


# --- 14.2 measure


def positives_share(gamma=1.5, bias=None) -> float:
    """Share of the class loss at the start that the objects' own questions bring."""
    bias = detection_loss.prior_bias() if bias is None else bias
    scenes = data.scenes("validation", 8)
    grid = anchors.anchors((128, 128), anchors.AnchorConfig(scale=3, levels=(2, 5)))
    learned = [anchors.assign(grid, s.boxes, s.labels).labels for s in scenes]
    positives = sum(int((labels >= 0).sum()) for labels in learned)
    questions = len(learned) * len(grid) * 10
    logits, yes = torch.full((2,), bias), torch.tensor([True, False])
    own, other = detection_loss.focal_loss(logits, yes, gamma=gamma).tolist()
    own, other = positives * own, (questions - positives) * other
    return own / (own + other)


def positives_share_without_focus() -> float:
    return positives_share(gamma=0)


def positives_share_without_prior() -> float:
    return positives_share(bias=0.0)


def background_share() -> float:
    return 1 - positives_share()


# --- 14.3 build


def hard_examples(losses, positive, ratio):
    """The losses of all positives and of the `ratio` times as many worst negatives."""
    kept = ratio * max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_examples_2(losses, positive, ratio):
    """A mask: sort once, positives first of all."""
    count = int(positive.sum())
    order = torch.where(positive, torch.inf, losses.detach()).argsort(descending=True)
    return losses[order[: count + ratio * (count or 1)]].sum()


def hard_all(losses, positive, ratio):
    return losses.sum()


def hard_easiest(losses, positive, ratio):
    kept = ratio * max(int(positive.sum()), 1)
    return losses[positive].sum() + losses[~positive].sort().values[:kept].sum()


def hard_together(losses, positive, ratio):
    kept = (ratio + 1) * max(int(positive.sum()), 1)
    return losses.sort(descending=True).values[:kept].sum()


def hard_nothing_without_objects(losses, positive, ratio):
    kept = ratio * int(positive.sum())
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_mean(losses, positive, ratio):
    kept = ratio * max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return torch.cat([losses[positive], worst]).mean()


def losses_of_anchors(rng, size):
    """Losses of 12 anchors and more, a few of them positive, sometimes none."""
    count = 12 + 2 * size
    losses = tensor(rng, count, low=0.05, high=2.0)
    positive = torch.tensor([rng.random() < 0.15 for _ in range(count)])
    if rng.random() < 0.25:
        positive[:] = False
    return losses, positive, rng.choice((1, 2, 3))


# --- 14.4 build


def quality_focal(logits, quality, beta):
    """Cross entropy with a soft target, times the distance from it to the `beta`."""
    p = torch.sigmoid(logits)
    entropy = -quality * F.logsigmoid(logits) - (1 - quality) * F.logsigmoid(-logits)
    return (quality - p).abs() ** beta * entropy


def quality_focal_2(logits, quality, beta):
    """With PyTorch's own cross entropy, which takes soft targets."""
    entropy = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return torch.exp(beta * torch.log((logits.sigmoid() - quality).abs())) * entropy


def _soft_entropy(logits, quality):
    return F.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def quality_unfocused(logits, quality, beta):
    return _soft_entropy(logits, quality)


def quality_hard_target(logits, quality, beta):
    hard = (quality > 0).to(logits.dtype)
    p = torch.sigmoid(logits)
    return (quality - p).abs() ** beta * _soft_entropy(logits, hard)


def quality_of_no(logits, quality, beta):
    """Modulates as if the target were 1."""
    return (1 - torch.sigmoid(logits)) ** beta * _soft_entropy(logits, quality)


def quality_logits(logits, quality, beta):
    """Takes the distance from the logit."""
    return (quality - logits).abs() ** beta * _soft_entropy(logits, quality)


def quality_squared(logits, quality, beta):
    """Weighs with the square, whatever `beta`."""
    return (quality - torch.sigmoid(logits)) ** 2 * _soft_entropy(logits, quality)


def logits_and_quality(rng, size):
    """Logits in -3 to 3; half of the qualities are 0, as those of background."""
    count = 4 + size
    quality = tensor(rng, count, low=0.05, high=0.95)
    background = torch.tensor([rng.random() < 0.5 for _ in range(count)])
    quality[background] = 0.0
    return tensor(rng, count, low=-3, high=3), quality, rng.choice((1.0, 1.5, 2.0, 3.0))


EXERCISES = (
    Exercise(
        name="shrunk", number="14.1", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="An anchor is right with p = 0.99. How many times smaller does gamma = 1.5"
             " make its loss?",
        reference=shrunk,
        wrong=(
            Wrong(100, "that is gamma = 1"),
            Wrong(10_000, "that is gamma = 2"),
            Wrong(lambda: 0.99**-1.5, "the power is taken of 1 - p, what is missing to"
                  " a sure answer"),
        ),
        hints=("The factor is (1 - p) to the gamma.", "0.01 to the 1.5 is 0.1 cubed."),
    ),
    Exercise(
        name="positives_share", number="14.2", kind="measure", minutes=15, difficulty=2,
        points=2,
        task="Share of the class loss at the start that comes from the anchors with an"
             " object, asked for its class.",
        reference=positives_share, tolerance=0.005,
        wrong=(
            Wrong(positives_share_without_focus, "that is with gamma = 0"),
            Wrong(positives_share_without_prior, "that is with logits of 0; begin at"
                  " detection_loss.prior_bias()"),
            Wrong(background_share, "that is the other part"),
        ),
        hints=(
            "At the start all logits are equal, so two numbers are enough: the loss of"
            " one yes and that of one no.",
            "There are as many yes questions as positive anchors. All others of anchors"
            " times 10 classes are no.",
            "anchors.assign(grid, scene.boxes, scene.labels).labels >= 0, over the"
            " eight scenes.",
        ),
    ),
    Exercise(
        name="hard_examples", number="14.3", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Online hard example mining: positives, and the worst negatives only.",
        reference=hard_examples, alternative=hard_examples_2,
        wrong=(
            Wrong(hard_all, "you keep every negative; most of them are easy, and they"
                  " are what drowned the objects"),
            Wrong(hard_easiest, "you keep the negatives with the smallest losses"),
            Wrong(hard_together, "you sort positives and negatives together; an easy"
                  " positive is then left out, and its place goes to a negative"),
            Wrong(hard_nothing_without_objects, "a picture without objects gives 0: its"
                  " false alarms are never punished"),
            Wrong(hard_mean, "a sum is asked; the normaliser comes later"),
        ),
        hints=(
            "losses[positive] and losses[~positive] are two tensors.",
            "How many negatives stay? ratio times the positives, but of 0 positives"
            " make 1.",
            "sort(descending=True).values and a slice copes with too few negatives.",
        ),
        cases=losses_of_anchors,
        by_hand=(
            ((torch.tensor([0.1, 0.9, 0.5, 0.2]),
              torch.tensor([True, False, False, False]), 2), torch.tensor(1.5)),
            ((torch.tensor([0.1, 0.9, 0.5, 0.2]),
              torch.tensor([False, False, False, False]), 1), torch.tensor(0.9)),
        ),
        properties=(
            Property(
                "a ratio that takes every negative gives the whole sum",
                lambda mine, losses, positive, ratio: torch.allclose(
                    mine(losses, positive, len(losses)), losses.sum()
                ),
            ),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="quality_focal", number="14.4", kind="build", minutes=20, difficulty=3,
        points=4,
        task="Quality focal loss: the target of a class is the IoU of the box.",
        reference=quality_focal, alternative=quality_focal_2,
        wrong=(
            Wrong(quality_unfocused, "that is the cross entropy with a soft target; the"
                  " factor that quietens good answers is missing"),
            Wrong(quality_hard_target, "your cross entropy takes every quality above 0"
                  " as 1; it has to use the quality"),
            Wrong(quality_of_no, "the factor measures how far p is from its target, and"
                  " that is the quality, not 1"),
            Wrong(quality_logits, "the distance is between two probabilities; a logit"
                  " is none yet"),
            Wrong(quality_squared, "you square, whatever beta is"),
        ),
        hints=(
            "Cross entropy with a soft target q: -q log p - (1 - q) log(1 - p).",
            "F.logsigmoid(logits) is log p, and of -logits it is log(1 - p).",
            "Multiply by abs(q - p) ** beta.",
        ),
        cases=logits_and_quality,
        by_hand=(
            ((torch.tensor([0.0]), torch.tensor([1.0]), 2.0),
             torch.tensor([0.25 * math.log(2)])),
            ((torch.tensor([0.0]), torch.tensor([0.75]), 1.0),
             torch.tensor([0.25 * math.log(2)])),
        ),
        properties=(
            Property(
                "an answer that equals the quality costs nothing",
                lambda mine, logits, quality, beta: torch.allclose(
                    mine(logits, logits.sigmoid(), beta), torch.tensor(0.0), atol=1e-5
                ),
            ),
        ),
        gradient=(0,),
    ),
)  # fmt: skip

HALF = 0.75 * 0.5**1.5 * math.log(2)  # of a no-question at logit 0

QUIZ = (
    Question(
        "At which logit does a class head have to begin, if every class should look 1 %"
        " likely?",
        (
            Option("-4.60", "log(0.01 / 0.99).", True),
            Option("0.01", "A probability is no logit."),
            Option("-2.00", "That is the logarithm to the base 10."),
            Option("0.00", "That says 50 % to everything: thousands of false alarms in"
                   " the first step."),
        ),
        value=detection_loss.prior_bias,
        form="{:.2f}",
    ),
    Question(
        "Two pictures: in the first 63 anchors have an object, in the second none. By"
        " what are both losses divided?",
        (
            Option("By 63 and by 0", "The second would be infinite."),
            Option("By 63 and by 1", "The count is made over the batch."),
            Option("By 64", "63 + 0 positives in the batch, plus 1.", True),
            Option("By 32.5", "It is a sum over the batch, not a mean."),
        ),
        value=lambda: 63 + 0 + 1,
    ),
    Question(
        "A code is wrong by 0.5. What is its Huber loss with delta 0.1?",
        (
            Option("0.125", "That is half the square, which holds up to 0.1."),
            Option("0.045", "0.005 for the first 0.1, then 0.4 at a slope of 0.1.",
                   True),
            Option("0.050", "That is a straight line from 0; the curve near 0 takes"
                   " 0.005 off."),
            Option("0.500", "That is the error itself."),
        ),
        value=lambda: detection_loss.huber_loss(torch.tensor([0.5])).item(),
        form="{:.3f}",
    ),
    Question(
        "Why K sigmoids and not one softmax over K + 1 classes?",
        (
            Option("Softmax has no gradient.", "It has one, and classifiers use it."),
            Option("Background is then no class: an anchor without an object answers no"
                   " K times.", "So nothing has to be learned for background, and"
                   " classes do not compete with it.", True),
            Option("Sigmoids add up to 1.", "That is what softmax does; sigmoids need"
                   " not."),
        ),
    ),
    Question(
        "D0 has 49,104 anchors and 90 classes. All logits are 0 and the picture is"
        " empty. How large is the class loss, to the nearest thousand?",
        (
            Option("812,000", "49,104 * 90 terms of 0.184. Half precision ends at"
                   " 65,504: that is why the loss is computed in float32.", True),
            Option("1,000", "That would be few anchors; there are four million terms."),
            Option("27", "That is about the loss of a small picture with objects, whose"
                   " positives divide."),
            Option("0", "Every logit of 0 says 50 %, and all of them are wrong."),
        ),
        value=lambda: round(49104 * 90 * HALF, -3),
        form="{:,.0f}",
    ),
    Question(
        "Why does the box loss count 50 times?",
        (
            Option("Boxes are more important than classes.", "Both are needed; a class"
                   " without a place is as useless as a place without a class."),
            Option("Codes are small, so their Huber loss is: a code off by 0.1 costs"
                   " 0.005, a class missed costs about 1.", "The factor brings both to"
                   " one size, so that the network learns both.", True),
            Option("There are 50 anchors to an object.", "There are about 17, with nine"
                   " a place."),
            Option("It makes up for the division by 4.", "The division by 4 is a mean"
                   " over ty, tx, th and tw."),
        ),
    ),
)  # fmt: skip
