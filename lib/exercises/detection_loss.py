"""Exercises and quiz of chapter 14: focal loss, Huber loss, normaliser."""

import functools
import math

import torch
import torch.nn.functional as F

from lib.basics import data
from lib.detection import anchors, detection_loss, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- 14.1 build: focal loss, safe at any logit


def loss_and_slopes() -> list:
    """The loss of the shipped course detector on two scenes, and what it teaches.

    Once as it is, and once by a network that is very sure: logits 40 times as large.
    """
    model = detectors.shipped("course")
    batch = data.collate([*detectors.scenes("test", 2)])
    grid = anchors.anchors((128, 128), model.config.anchors)
    with torch.no_grad():
        classes, codes = model(batch.images.float() / 255)
    told = []
    for factor, constants in ((1, {}), (40, {"alpha": 0.4, "gamma": 0.5})):
        logits = [(factor * level).requires_grad_() for level in classes]
        loss = detection_loss.detection_loss(logits, codes, batch, grid, **constants)
        loss.total.backward()
        told += [loss.total.detach(), loss.classes.detach()]
        told += [level.grad for level in logits]
    return told


def focal_2(logits, targets, alpha=0.25, gamma=1.5):
    """Both questions for every logit, from log-sigmoids; then the right one is kept."""
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    of_yes = -alpha * torch.exp(gamma * log_not_p) * log_p
    of_no = -(1 - alpha) * torch.exp(gamma * log_p) * log_not_p
    return torch.where(targets, of_yes, of_no)


def _focal(cross_entropy, p_t, targets, alpha, gamma):
    """The formula from its parts, where these are safe."""
    weight = torch.where(targets, alpha, 1 - alpha)
    return weight * (1 - p_t) ** gamma * cross_entropy


def _parts(logits, targets):
    """Cross entropy and p_t of each logit."""
    signed = torch.where(targets, logits, -logits)
    return F.softplus(-signed), torch.sigmoid(signed)


def focal_log_of_sigmoid(logits, targets, alpha=0.25, gamma=1.5):
    p = torch.sigmoid(logits)
    p_t = torch.where(targets, p, 1 - p)
    return _focal(-torch.log(p_t), p_t, targets, alpha, gamma)


def focal_clamped(logits, targets, alpha=0.25, gamma=1.5):
    p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    p_t = torch.where(targets, p, 1 - p)
    return _focal(-torch.log(p_t), p_t, targets, alpha, gamma)


def focal_eps_in_the_log(logits, targets, alpha=0.25, gamma=1.5):
    p = torch.sigmoid(logits)
    p_t = torch.where(targets, p, 1 - p)
    return _focal(-torch.log(p_t + 1e-7), p_t, targets, alpha, gamma)


def focal_exp_overflows(logits, targets, alpha=0.25, gamma=1.5):
    """log(1 + exp(z)) written out."""
    wrong = torch.where(targets, -logits, logits)
    _, p_t = _parts(logits, targets)
    return _focal(torch.log(1 + torch.exp(wrong)), p_t, targets, alpha, gamma)


def focal_alpha_of_no(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, targets, 1 - alpha, gamma)


def focal_alpha_for_both(logits, targets, alpha=0.25, gamma=1.5):
    cross_entropy, p_t = _parts(logits, targets)
    return alpha * (1 - p_t) ** gamma * cross_entropy


def focal_no_is_whole(logits, targets, alpha=0.25, gamma=1.5):
    cross_entropy, p_t = _parts(logits, targets)
    weight = torch.where(targets, alpha, 1.0)
    return weight * (1 - p_t) ** gamma * cross_entropy


def focal_without_alpha(logits, targets, alpha=0.25, gamma=1.5):
    return 2 * detection_loss.focal_loss(logits, targets, 0.5, gamma)


def focal_factor_of_right(logits, targets, alpha=0.25, gamma=1.5):
    cross_entropy, p_t = _parts(logits, targets)
    weight = torch.where(targets, alpha, 1 - alpha)
    return weight * p_t**gamma * cross_entropy


def focal_factor_of_yes(logits, targets, alpha=0.25, gamma=1.5):
    """1 - p also where no is right."""
    cross_entropy, _ = _parts(logits, targets)
    return _focal(cross_entropy, torch.sigmoid(logits), targets, alpha, gamma)


def focal_targets_turned(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, ~targets, alpha, gamma)


def focal_logits_turned(logits, targets, alpha=0.25, gamma=1.5):
    """softplus of the right answer's logit."""
    return detection_loss.focal_loss(-logits, targets, alpha, gamma)


def focal_gamma_as_factor(logits, targets, alpha=0.25, gamma=1.5):
    cross_entropy, p_t = _parts(logits, targets)
    weight = torch.where(targets, alpha, 1 - alpha)
    return weight * gamma * (1 - p_t) * cross_entropy


def focal_unfocused(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, targets, alpha, 0)


def focal_constants_of_the_paper(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, targets, 0.25, 1.5)


def focal_of_yes_alone(logits, targets, alpha=0.25, gamma=1.5):
    return targets * detection_loss.focal_loss(logits, targets, alpha, gamma)


def focal_summed(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, targets, alpha, gamma).sum()


def focal_mean(logits, targets, alpha=0.25, gamma=1.5):
    return detection_loss.focal_loss(logits, targets, alpha, gamma).mean()


def focal_negative(logits, targets, alpha=0.25, gamma=1.5):
    return -detection_loss.focal_loss(logits, targets, alpha, gamma)


def focal_sigmoid_twice(logits, targets, alpha=0.25, gamma=1.5):
    sure = torch.sigmoid(logits)
    cross_entropy, p_t = _parts(sure, targets)
    return _focal(cross_entropy, p_t, targets, alpha, gamma)


def focal_factor_detached(logits, targets, alpha=0.25, gamma=1.5):
    cross_entropy, p_t = _parts(logits, targets)
    return _focal(cross_entropy, p_t.detach(), targets, alpha, gamma)


def focal_power_of_zero(logits, targets, alpha=0.25, gamma=1.5):
    """(1 - p_t) ** gamma as it stands: at 1 - p_t = 0 its slope may be NaN."""
    cross_entropy, p_t = _parts(logits, targets)
    return _focal(cross_entropy, p_t, targets, alpha, gamma)


def questions_and_answers(rng, size):
    """A table of logits: undecided, sure, or so large that a sigmoid is 0 or 1."""
    shape = rng.choice(((3 + size,), (2 + size, 3), (1, 4, 1 + size)))
    reach = rng.choice((1.0, 4.0, 4.0, 30.0))
    logits = tensor(rng, *shape, low=-reach, high=reach)
    targets = tensor(rng, *shape, low=0, high=1) < 0.4
    targets.reshape(-1)[0], targets.reshape(-1)[1] = True, False
    alpha, gamma = rng.choice(((0.25, 2.0), (0.4, 1.5), (0.1, 3.0), (0.7, 1.0)))
    if rng.random() < 0.3:  # as sure as can be, right and wrong
        logits = 200 * logits.sign()
        gamma = 0.5
    return logits, targets, alpha, gamma


BOTH = torch.tensor([True, False])


def large_logits_by_hand(mine, logits, targets, alpha=0.25, gamma=1.5) -> bool:
    """A wrong answer at a logit of z costs alpha_t times z; a right one nothing."""
    z = torch.tensor([200.0, 200.0, -200.0, -200.0, 90.0, -90.0])
    yes = torch.tensor([True, False, True, False, False, True])
    cost = torch.as_tensor(mine(z, yes, alpha, gamma))
    of_yes, of_no = 200 * alpha, 200 * (1 - alpha)
    expected = [0.0, of_no, of_yes, 0.0, 90 * (1 - alpha), 90 * alpha]
    return not difference(torch.tensor(expected), cost, 1e-4)


def large_slopes_by_hand(mine, logits, targets, alpha=0.25, gamma=1.5) -> bool:
    """Its slope there is alpha_t for a wrong answer, and 0 for a right one."""
    z = torch.tensor([200.0, 200.0, -200.0, -200.0], requires_grad=True)
    yes = torch.tensor([True, False, True, False])
    mine(z, yes, alpha, 0.5).sum().backward()
    expected = torch.tensor([0.0, 1 - alpha, -alpha, 0.0])
    return not difference(expected, z.grad, 1e-4)


# --- 14.2 build: Huber loss of codes


def box_loss_and_slopes() -> list:
    """The box part of the loss of the shipped course detector, and what it teaches."""
    model = detectors.shipped("course")
    batch = data.collate([*detectors.scenes("test", 2)])
    grid = anchors.anchors((128, 128), model.config.anchors)
    with torch.no_grad():
        classes, codes = model(batch.images.float() / 255)
    told = []
    for constants in ({}, {"delta": 0.02}):
        moved = [level.clone().requires_grad_() for level in codes]
        loss = detection_loss.detection_loss(classes, moved, batch, grid, **constants)
        loss.total.backward()
        told += [loss.boxes.detach(), *(level.grad for level in moved)]
    return told


def huber_2(error, delta=0.1):
    """The two cases as they are told, one beside the other."""
    size = error.abs()
    return torch.where(size <= delta, error**2 / 2, delta * (size - delta / 2))


def huber_square(error, delta=0.1):
    return 0.5 * error**2


def huber_straight(error, delta=0.1):
    return delta * error.abs()


def huber_whole_square(error, delta=0.1):
    size = error.abs()
    square = size.clamp(max=delta)
    return square**2 + delta * (size - square)


def huber_twice(error, delta=0.1):
    return 2 * huber_2(error, delta)


def huber_that_jumps(error, delta=0.1):
    size = error.abs()
    return torch.where(size <= delta, error**2 / 2, delta * size)


def huber_jumps_down(error, delta=0.1):
    size = error.abs()
    return torch.where(size <= delta, error**2 / 2, delta * (size - delta))


def huber_slope_of_one(error, delta=0.1):
    size = error.abs()
    return torch.where(size <= delta, error**2 / 2, size - delta / 2)


def huber_smooth(error, delta=0.1):
    """Smooth L1 with beta = delta."""
    return huber_2(error, delta) / delta


def huber_of_one(error, delta=0.1):
    return huber_2(error, 0.1)


def huber_cut_off(error, delta=0.1):
    return 0.5 * error.abs().clamp(max=delta) ** 2


def huber_signed(error, delta=0.1):
    square = error.clamp(max=delta)
    return 0.5 * square**2 + delta * (error - square)


def huber_of_positive(error, delta=0.1):
    return huber_2(error.clamp(min=0), delta)


def huber_mean(error, delta=0.1):
    return huber_2(error, delta).mean()


def huber_sum(error, delta=0.1):
    return huber_2(error, delta).sum()


def errors_of_codes(rng, size):
    """Errors around delta, far beyond it, and exactly at it and at 0."""
    delta = rng.choice((0.1, 0.5, 1.0, 2.0))
    shape = rng.choice(((3 + size,), (2 + size, 4)))
    reach = rng.choice((2.0, 2.0, 50.0))
    errors = tensor(rng, *shape, low=-reach * delta, high=reach * delta)
    flat = errors.reshape(-1)
    flat[0], flat[1], flat[2] = delta / 4, -3 * delta, rng.choice((delta, 0.0))
    return errors, delta


# --- 14.3 predict


def shrunk() -> int:
    """How many times smaller gamma = 1.5 makes the loss of an answer of 0.99."""
    logit = torch.tensor([math.log(0.99 / 0.01)], dtype=torch.float64)
    yes = torch.tensor([True])
    plain = detection_loss.focal_loss(logit, yes, gamma=0)
    return round((plain / detection_loss.focal_loss(logit, yes)).item())


# --- 14.4 measure


@functools.cache
def counted() -> tuple[int, int, int]:
    """Positive anchors, anchors and objects of the eight scenes."""
    scenes = data.scenes("validation", 8)
    grid = anchors.anchors((128, 128), anchors.AnchorConfig(scale=3, levels=(2, 5)))
    learned = [anchors.assign(grid, s.boxes, s.labels).labels for s in scenes]
    positives = sum(int((labels >= 0).sum()) for labels in learned)
    return positives, len(learned) * len(grid), sum(len(s.boxes) for s in scenes)


def positives_share(gamma=1.5, bias=None) -> float:
    """Share of the class loss at the start that the objects' own questions bring."""
    bias = detection_loss.prior_bias() if bias is None else bias
    positives, judged, _ = counted()
    questions = judged * 10
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


def one_question_an_anchor() -> float:
    positives, judged, _ = counted()
    logits = torch.full((2,), detection_loss.prior_bias())
    losses = detection_loss.focal_loss(logits, torch.tensor([True, False])).tolist()
    own, other = positives * losses[0], (judged - positives) * losses[1]
    return own / (own + other)


def one_anchor_an_object() -> float:
    _, judged, objects = counted()
    logits = torch.full((2,), detection_loss.prior_bias())
    losses = detection_loss.focal_loss(logits, torch.tensor([True, False])).tolist()
    own, other = objects * losses[0], (judged * 10 - objects) * losses[1]
    return own / (own + other)


# --- 14.5 build


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


def hard_ratio_in_all(losses, positive, ratio):
    """`ratio` negatives, however many positives there are."""
    worst = losses[~positive].sort(descending=True).values[:ratio]
    return losses[positive].sum() + worst.sum()


def hard_negatives_only(losses, positive, ratio):
    kept = ratio * max(int(positive.sum()), 1)
    return losses[~positive].sort(descending=True).values[:kept].sum()


def hard_as_many(losses, positive, ratio):
    """As many negatives as positives."""
    kept = max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_in_their_order(losses, positive, ratio):
    kept = ratio * max(int(positive.sum()), 1)
    return losses[positive].sum() + losses[~positive][:kept].sum()


def hard_ratio_of_all_kept(losses, positive, ratio):
    """`ratio` counts the positives as well."""
    count = int(positive.sum())
    kept = ratio * max(count, 1) - count
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_one_more(losses, positive, ratio):
    """1 is added to the count always, not only where it is 0."""
    kept = ratio * (int(positive.sum()) + 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_among_all(losses, positive, ratio):
    """The worst of all anchors join the positives, which then count twice."""
    kept = ratio * max(int(positive.sum()), 1)
    return losses[positive].sum() + losses.sort(descending=True).values[:kept].sum()


def hard_kept_losses(losses, positive, ratio):
    kept = ratio * max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return torch.cat([losses[positive], worst])


def hard_normalised(losses, positive, ratio):
    count = max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[: ratio * count]
    return (losses[positive].sum() + worst.sum()) / count


def hard_worst_of_all(losses, positive, ratio):
    """The `ratio` worst of all anchors."""
    return losses.sort(descending=True).values[:ratio].sum()


def hard_above_mean(losses, positive, ratio):
    """Negatives that cost more than the mean, however many."""
    negative = losses[~positive]
    worst = negative[negative > negative.mean()] if len(negative) else negative
    return losses[positive].sum() + worst.sum()


def hard_positives_weighted(losses, positive, ratio):
    """The positives are multiplied by `ratio`."""
    kept = max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return ratio * losses[positive].sum() + worst.sum()


def hard_fewer_than_positives(losses, positive, ratio):
    """Divides by the ratio."""
    kept = max(int(positive.sum()), 1) // ratio
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def hard_means(losses, positive, ratio):
    """The mean of both parts, added."""
    kept = ratio * max(int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    parts = [part.mean() for part in (losses[positive], worst) if len(part)]
    return torch.stack(parts).sum()


def hard_share_of_negatives(losses, positive, ratio):
    """One of `ratio` negatives."""
    negative = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + negative[: len(negative) // ratio].sum()


def hard_all_without_objects(losses, positive, ratio):
    """A picture without objects keeps every negative."""
    if not positive.any():
        return losses.sum()
    worst = losses[~positive].sort(descending=True).values
    return losses[positive].sum() + worst[: ratio * int(positive.sum())].sum()


def hard_one_without_objects(losses, positive, ratio):
    """A picture without objects keeps one negative, whatever the ratio."""
    kept = max(ratio * int(positive.sum()), 1)
    worst = losses[~positive].sort(descending=True).values[:kept]
    return losses[positive].sum() + worst.sum()


def losses_of_anchors(rng, size):
    """Losses of 12 anchors and more, a few of them positive, sometimes none or all."""
    count = 200 if size == 6 else 12 + 2 * size
    losses = tensor(rng, count, low=0.05, high=2.0)
    positive = torch.tensor([rng.random() < 0.15 for _ in range(count)])
    chance = rng.random()
    if chance < 0.25:
        positive[:] = False
    elif chance > 0.95:
        positive[:] = True
    return losses, positive, rng.choice((1, 2, 3))


# --- 14.6 build


def quality_focal(logits, quality, beta):
    """Cross entropy with a soft target, times the distance from it to the `beta`."""
    p = torch.sigmoid(logits)
    entropy = -quality * F.logsigmoid(logits) - (1 - quality) * F.logsigmoid(-logits)
    return (quality - p).abs() ** beta * entropy


def quality_focal_2(logits, quality, beta):
    """With PyTorch's own cross entropy, which takes soft targets."""
    entropy = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    p = logits.sigmoid()
    return torch.where(p > quality, p - quality, quality - p) ** beta * entropy


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


def quality_without_abs(logits, quality, beta):
    """A negative number to the power of 1.5 is NaN; to that of 1 or 3, negative."""
    p = torch.sigmoid(logits)
    return (quality - p) ** beta * _soft_entropy(logits, quality)


def quality_without_abs_turned(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (p - quality) ** beta * _soft_entropy(logits, quality)


def quality_yes_only(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (quality - p).abs() ** beta * -quality * F.logsigmoid(logits)


def quality_log_p_only(logits, quality, beta):
    p = torch.sigmoid(logits)
    return -((quality - p).abs() ** beta) * F.logsigmoid(logits)


def quality_terms_swapped(logits, quality, beta):
    p = torch.sigmoid(logits)
    entropy = -quality * F.logsigmoid(-logits) - (1 - quality) * F.logsigmoid(logits)
    return (quality - p).abs() ** beta * entropy


def quality_times_beta(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (quality - p).abs() * beta * _soft_entropy(logits, quality)


def quality_factor_on_yes(logits, quality, beta):
    factor = (quality - torch.sigmoid(logits)).abs() ** beta
    yes, no = -quality * F.logsigmoid(logits), -(1 - quality) * F.logsigmoid(-logits)
    return factor * yes + no


def quality_mean_entropy(logits, quality, beta):
    """The cross entropy without reduction="none": its mean, for every logit."""
    p = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, quality)
    return (quality - p).abs() ** beta * entropy


def quality_factor_of_nearness(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (1 - (quality - p).abs()) ** beta * _soft_entropy(logits, quality)


def quality_squared_and_beta(logits, quality, beta):
    p = torch.sigmoid(logits)
    return ((quality - p) ** 2) ** beta * _soft_entropy(logits, quality)


def quality_target_of_half(logits, quality, beta):
    p = torch.sigmoid(logits)
    hard = (quality >= 0.5).to(logits.dtype)
    return (quality - p).abs() ** beta * _soft_entropy(logits, hard)


def quality_hard_twice(logits, quality, beta):
    """Plain focal loss: a target of 1 in factor and cross entropy."""
    p, hard = torch.sigmoid(logits), (quality > 0).to(logits.dtype)
    return (hard - p).abs() ** beta * _soft_entropy(logits, hard)


def quality_averaged(logits, quality, beta):
    p = torch.sigmoid(logits)
    return ((quality - p).abs() ** beta * _soft_entropy(logits, quality)).mean()


def quality_negative(logits, quality, beta):
    p = torch.sigmoid(logits)
    log_p, log_rest = F.logsigmoid(logits), F.logsigmoid(-logits)
    return (quality - p).abs() ** beta * (quality * log_p + (1 - quality) * log_rest)


def quality_factor_of_p(logits, quality, beta):
    """The factor of a no: p instead of the distance."""
    return torch.sigmoid(logits) ** beta * _soft_entropy(logits, quality)


def quality_focal_factor(logits, quality, beta):
    """Focal loss' own 1 - p_t, with the quality for the target."""
    p = torch.sigmoid(logits)
    right = p * quality + (1 - p) * (1 - quality)
    return (1 - right) ** beta * _soft_entropy(logits, quality)


def quality_with_alpha(logits, quality, beta):
    p = torch.sigmoid(logits)
    alpha = torch.where(quality > 0, 0.25, 0.75)
    return alpha * (quality - p).abs() ** beta * _soft_entropy(logits, quality)


def quality_times_quality(logits, quality, beta):
    """Varifocal loss weighs a yes by its quality."""
    p = torch.sigmoid(logits)
    weight = torch.where(quality > 0, quality, p**beta)
    return weight * _soft_entropy(logits, quality)


def quality_no_factor_of_background(logits, quality, beta):
    p = torch.sigmoid(logits)
    factor = torch.where(quality > 0, (quality - p).abs() ** beta, torch.ones_like(p))
    return factor * _soft_entropy(logits, quality)


def quality_squared_error(logits, quality, beta):
    """The distance to the power of beta, without a cross entropy."""
    return (quality - torch.sigmoid(logits)).abs() ** beta


def quality_takes_probabilities(logits, quality, beta):
    """As if the logits were probabilities already."""
    p = logits.clamp(1e-6, 1 - 1e-6)
    entropy = -quality * torch.log(p) - (1 - quality) * torch.log(1 - p)
    return (quality - p).abs() ** beta * entropy


def quality_sigmoid_twice(logits, quality, beta):
    p = torch.sigmoid(logits)
    return (quality - p).abs() ** beta * _soft_entropy(p, quality)


def quality_power_of_product(logits, quality, beta):
    p = torch.sigmoid(logits)
    return ((quality - p).abs() * _soft_entropy(logits, quality)) ** beta


def quality_summed(logits, quality, beta):
    p = torch.sigmoid(logits)
    return ((quality - p).abs() ** beta * _soft_entropy(logits, quality)).sum()


def quality_factor_detached(logits, quality, beta):
    """As some detectors do; here all of the loss is asked for its gradient."""
    factor = (quality - torch.sigmoid(logits)).abs() ** beta
    return factor.detach() * _soft_entropy(logits, quality)


def logits_and_quality(rng, size):
    """Logits in -3 to 3; half of the qualities are 0, as those of background.

    No logit is 0, where gradients of abs() and clamp() may be either side's. Some
    logits have a dimension more.
    """
    count = 4 + size
    quality = tensor(rng, count, low=0.05, high=0.95)
    background = torch.tensor([rng.random() < 0.5 for _ in range(count)])
    quality[background] = 0.0
    logits, beta = tensor(rng, count, low=-3, high=3), rng.choice((1.0, 1.5, 2.0, 3.0))
    if size % 2 == 0:
        logits, quality = logits.reshape(2, -1), quality.reshape(2, -1)
    return logits, quality, beta


LN3 = math.log(3)
SOFT = 0.25 * math.log(4 / 3) + 0.75 * math.log(4)  # cross entropy of 1/4 with 3/4


def by_hand_at_zero(mine, logits, quality, beta) -> bool:
    found = mine(torch.tensor([0.0]), torch.tensor([1.0]), 2.0)
    return torch.allclose(found, torch.tensor([0.25 * math.log(2)]))


LARGE = torch.tensor([200.0, -200.0, -200.0, 30.0, -30.0])
GOOD = torch.tensor([0.75, 0.75, 0.0, 0.0, 0.5])


def at_large_logits(mine, logits, quality, beta) -> bool:
    """p is 1 or 0 in float32, and every logarithm is the logit itself.

    A quarter off, times (1 - 0.75) * 200; then 0.75 times 0.75 * 200; nothing; 1 times
    30; and 0.5 times 0.5 * 30.
    """
    found = mine(LARGE.clone(), GOOD.clone(), 1.0)
    return torch.allclose(found, torch.tensor([12.5, 112.5, 0.0, 30.0, 7.5]))


def gradient_at_large_logits(mine, logits, quality, beta) -> bool:
    """p does not move there; the cross entropy has the slope p - q."""
    z = LARGE.clone().requires_grad_(True)
    mine(z, GOOD.clone(), 1.0).sum().backward()
    slopes = torch.tensor([0.25 * 0.25, 0.75 * -0.75, 0.0, 1.0, 0.5 * -0.5])
    return z.grad is not None and torch.allclose(z.grad, slopes, atol=1e-5)


EXERCISES = (
    Exercise(
        name="focal_loss", number="14.1", kind="build", minutes=20, difficulty=3,
        points=4,
        task="The focal loss of each logit by Eq. 14.2, a tensor of their shape:"
             " `alpha` weighs yes, 1 - `alpha` no. Finite and right at logits of 200"
             " and -200 too, and so is its gradient.",
        place="detection.detection_loss.focal_loss", required=True, importance=3,
        machine="the class part of the loss, in every training of a detector",
        machine_case=loss_and_slopes, milestone_calls=16,
        reference=detection_loss.focal_loss, alternative=focal_2,
        wrong=(
            Wrong(focal_log_of_sigmoid, "at a logit of 200 the sigmoid is exactly 1,"
                  " and the log of 0 infinite; -log p_t is softplus of the wrong"
                  " answer's logit"),
            Wrong(focal_clamped, "a clamped probability is finite, and wrong: at a"
                  " logit of 200 a wrong answer costs 200, and still has a slope; use"
                  " softplus or logsigmoid of the logit itself"),
            Wrong(focal_eps_in_the_log, "a small number in the log is finite, and"
                  " wrong: at a logit of 200 a wrong answer costs 200; use softplus or"
                  " logsigmoid of the logit itself"),
            Wrong(focal_exp_overflows, "exp(200) is infinite in float32: F.softplus(z)"
                  " is log(1 + exp(z)) by a safe road"),
            Wrong(focal_power_of_zero, "the loss is right, its slope is not: a power of"
                  " 1 - p_t = 0 has an infinite slope if gamma is below 1. Take"
                  " exp(gamma * log(1 - p_t)), with F.logsigmoid for the log"),
            Wrong(focal_alpha_of_no, "alpha weighs yes and 1 - alpha no; yours are"
                  " exchanged"),
            Wrong(focal_alpha_for_both, "no has the weight 1 - alpha; you weigh both by"
                  " alpha"),
            Wrong(focal_no_is_whole, "no has the weight 1 - alpha, not 1"),
            Wrong(focal_without_alpha, "alpha is missing: alpha for yes, 1 - alpha for"
                  " no"),
            Wrong(focal_factor_of_right, "turned round: the factor is how much the"
                  " answer lacks, 1 - p_t, so that sure answers count little"),
            Wrong(focal_factor_of_yes, "where no is right, p_t is 1 - p: the factor of"
                  " a no is p to the power of gamma"),
            Wrong(focal_targets_turned, "yes and no are exchanged in all of it"),
            Wrong(focal_logits_turned, "the sign of the logit: for yes the wrong"
                  " answer's logit is -z, for no it is z"),
            Wrong(focal_gamma_as_factor, "gamma is the power of 1 - p_t, not a factor"),
            Wrong(focal_unfocused, "that is cross entropy, weighed; the factor (1 -"
                  " p_t) ** gamma is missing"),
            Wrong(focal_constants_of_the_paper, "alpha and gamma are arguments; yours"
                  " are always 0.25 and 1.5"),
            Wrong(focal_of_yes_alone, "background costs something too: a no that is"
                  " wrong is a false alarm"),
            Wrong(focal_summed, "one number for each logit is asked, not their sum"),
            Wrong(focal_mean, "one number for each logit is asked, not their mean"),
            Wrong(focal_negative, "the sign: -log p_t is never negative"),
            Wrong(focal_sigmoid_twice, "softplus and logsigmoid take the logit itself;"
                  " you gave them its sigmoid"),
            Wrong(focal_factor_detached, "the gradient has to pass through the factor"
                  " too: no detach"),
        ),
        hints=(
            "torch.where(targets, -logits, logits) is the wrong answer's logit, w."
            " -log p_t is F.softplus(w).",
            "log(1 - p_t) is F.logsigmoid(w), and also w - softplus(w).",
            "(1 - p_t) ** gamma is torch.exp(gamma * log(1 - p_t)). Then"
            " torch.where(targets, alpha, 1 - alpha).",
        ),
        cases=questions_and_answers,
        by_hand=(
            # 1/4 * (1/2)**1.5 * log 2, and three times that
            ((torch.zeros(2), BOTH),
             torch.tensor([0.25, 0.75]) * 0.5**1.5 * math.log(2)),
            # p = 3/4: a yes lacks 1/4 and costs log 4/3, a no lacks 3/4, costs log 4
            ((torch.full((2,), LN3), BOTH, 0.4, 2.0),
             torch.tensor([0.4 * math.log(4 / 3) / 16, 0.6 * math.log(4) * 9 / 16])),
            # gamma 0 and alpha 1/2: half the cross entropy
            ((torch.tensor([[LN3], [-LN3]]), torch.ones(2, 1, dtype=torch.bool), 0.5,
              0.0), torch.tensor([[math.log(4 / 3) / 2], [math.log(4) / 2]])),
        ),
        properties=(
            Property("a wrong answer at a logit of 200 costs 200 times alpha_t, a right"
                     " one nothing", large_logits_by_hand),
            Property("with gamma 0.5 the slope at logits of 200 and -200 is alpha_t for"
                     " a wrong answer and 0 for a right one", large_slopes_by_hand),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="huber_loss", number="14.2", kind="build", minutes=8, difficulty=1,
        points=2,
        task="The Huber loss of each error by Eq. 14.4, a tensor of their shape: half"
             " the square up to `delta`, from there a straight line of slope `delta`.",
        place="detection.detection_loss.huber_loss", importance=1,
        machine="the box part of the loss, in every training of a detector",
        machine_case=box_loss_and_slopes, milestone_calls=1,
        unchanged={"huber_sum": "the loss adds them all up itself"},
        reference=detection_loss.huber_loss, alternative=huber_2,
        wrong=(
            Wrong(huber_square, "that is half the square everywhere; beyond delta the"
                  " line is straight"),
            Wrong(huber_straight, "that is straight everywhere; up to delta it is half"
                  " the square"),
            Wrong(huber_whole_square, "*half* the square: the slope at delta is then"
                  " delta, as that of the line"),
            Wrong(huber_twice, "yours is twice that: *half* the square, and a slope of"
                  " delta"),
            Wrong(huber_that_jumps, "yours jumps at delta: the line goes on where half"
                  " the square ends, at delta ** 2 / 2"),
            Wrong(huber_jumps_down, "yours falls to 0 at delta: the line goes on where"
                  " half the square ends, at delta ** 2 / 2"),
            Wrong(huber_slope_of_one, "beyond delta the slope is delta, not 1"),
            Wrong(huber_smooth, "that is smooth L1, Huber divided by delta; its slope"
                  " far away is 1, here it is delta"),
            Wrong(huber_of_one, "delta is an argument; yours is always 0.1"),
            Wrong(huber_cut_off, "beyond delta the loss goes on rising, in a straight"
                  " line"),
            Wrong(huber_signed, "an error below 0 costs as much as one above: take its"
                  " size, abs()"),
            Wrong(huber_of_positive, "an error below 0 costs as much as one above; with"
                  " you it is free"),
            Wrong(huber_mean, "one number for each error is asked, not their mean"),
            Wrong(huber_sum, "one number for each error is asked, not their sum"),
        ),
        hints=(
            "size = error.abs(), and the part of it up to delta is size.clamp(max="
            "delta).",
            "Half the square of that part, plus delta for all that is beyond.",
        ),
        cases=errors_of_codes,
        by_hand=(
            ((torch.tensor([0.05, 0.1, 0.5, -0.5, 0.0]),),
             torch.tensor([0.00125, 0.005, 0.045, 0.045, 0.0])),
            ((torch.tensor([[1.0, -3.0]]), 2.0), torch.tensor([[0.5, 4.0]])),
            ((torch.tensor([2.0, -1.0, 1000.0]), 1.0),
             torch.tensor([1.5, 0.5, 999.5])),
        ),
        properties=(
            Property("an error and its negative cost the same",
                     lambda mine, error, delta=0.1: not difference(
                         torch.as_tensor(mine(error, delta)), mine(-error, delta), 1e-6
                     )),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="shrunk", number="14.3", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="An anchor is right with p = 0.99. How many times smaller does gamma = 1.5"
             " make its loss?",
        reference=shrunk,
        wrong=(
            Wrong(100, "that is gamma = 1"),
            Wrong(10_000, "that is gamma = 2"),
            Wrong(lambda: 0.99**-1.5, "the power is taken of 1 - p, what is missing to"
                  " a sure answer"),
            Wrong(lambda: 0.01**1.5, "that is the factor; so many times smaller is 1"
                  " over it"),
            Wrong(4000, "alpha is the same with and without gamma"),
            Wrong(10, "that is gamma = 0.5"),
            Wrong(lambda: 1.5 / 0.01, "gamma is a power, not a factor"),
        ),
        hints=("The factor is (1 - p) to the gamma.", "0.01 to the 1.5 is 0.1 cubed."),
    ),
    Exercise(
        name="positives_share", number="14.4", kind="measure", minutes=15, difficulty=2,
        points=2,
        task="Share of the class loss at the start that comes from the anchors with an"
             " object, asked for its class: eight scenes, and the anchors of"
             " AnchorConfig(scale=3, levels=(2, 5)) at 128 x 128.",
        reference=positives_share, tolerance=0.005,
        wrong=(
            Wrong(positives_share_without_focus, "that is with gamma = 0"),
            Wrong(positives_share_without_prior, "that is with logits of 0; begin at"
                  " detection_loss.prior_bias()"),
            Wrong(background_share, "that is the other part"),
            Wrong(lambda: 100 * positives_share(), "a share lies between 0 and 1:"
                  " divide by 100"),
            Wrong(one_question_an_anchor, "a little too much: does every anchor answer"
                  " for each of 10 classes, with gamma = 1.5 and alpha = 0.25?"),
            Wrong(one_anchor_an_object, "these are the objects; each has several"
                  " positive anchors"),
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
        name="hard_examples", number="14.5", kind="build", minutes=15, difficulty=2,
        points=3,
        task="hard_examples(losses, positive, ratio): of losses (A,) those of all"
             " positive anchors, (A,) true or false, and of the worst negatives,"
             " `ratio` times as many; `ratio` of them without any positive. Return"
             " their sum, a tensor with one number, through which gradients pass.",
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
            Wrong(hard_ratio_in_all, "you keep `ratio` negatives in all; asked are"
                  " `ratio` for each positive"),
            Wrong(hard_negatives_only, "the positives are missing: all of them are"
                  " kept"),
            Wrong(hard_as_many, "you keep as many negatives as positives; `ratio` times"
                  " as many are asked"),
            Wrong(hard_in_their_order, "you keep the first negatives; sort them, the"
                  " largest losses are the worst"),
            Wrong(hard_ratio_of_all_kept, "`ratio` counts negatives for each positive;"
                  " you subtract the positives from them"),
            Wrong(hard_one_more, "you add 1 to the count of positives always; only a"
                  " count of 0 becomes 1"),
            Wrong(hard_among_all, "you take the worst of all anchors; positives among"
                  " them then count twice"),
            Wrong(hard_worst_of_all, "all positives stay, and `ratio` negatives for"
                  " each; you keep the `ratio` worst of all anchors"),
            Wrong(hard_above_mean, "how many negatives stay is counted, `ratio` for"
                  " each positive; no threshold decides"),
            Wrong(hard_positives_weighted, "`ratio` says how many negatives stay; it"
                  " multiplies no loss"),
            Wrong(hard_fewer_than_positives, "`ratio` times as many negatives as"
                  " positives stay; you divide by it"),
            Wrong(hard_means, "you add two means; the sum of all kept losses is asked"),
            Wrong(hard_share_of_negatives, "`ratio` counts negatives for each positive;"
                  " you keep one of `ratio` negatives"),
            Wrong(hard_all_without_objects, "a picture without objects keeps `ratio`"
                  " negatives, not all"),
            Wrong(hard_one_without_objects, "a picture without objects keeps `ratio`"
                  " negatives, not one"),
            Wrong(hard_kept_losses, "those are the losses that are kept; return their"
                  " sum"),
            Wrong(hard_normalised, "you divide by the positives; only the sum is"
                  " asked"),
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
            ((torch.tensor([0.1, 0.9, 0.5, 0.2]),
              torch.tensor([False, False, False, False]), 2), torch.tensor(1.4)),
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
        name="quality_focal", number="14.6", kind="build", minutes=20, difficulty=3,
        points=4,
        task="quality_focal(logits, quality, beta): abs(quality - p) ** beta times the"
             " cross entropy with the soft target `quality`, p the sigmoid of a logit."
             " One number for each logit, of any shape; right at logits of 200 too, and"
             " gradients pass.",
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
            Wrong(quality_without_abs, "quality - p is negative where the answer is too"
                  " high: a distance needs abs(), and a negative number to the power"
                  " of 1.5 is NaN"),
            Wrong(quality_without_abs_turned, "p - quality is negative where the answer"
                  " is too low: a distance needs abs(), and a negative number to the"
                  " power of 1.5 is NaN"),
            Wrong(quality_yes_only, "that is the yes part of the cross entropy; (1 - q)"
                  " log(1 - p) is missing, and background costs nothing"),
            Wrong(quality_log_p_only, "-log p is the cross entropy of a target of 1;"
                  " the target is the quality: -q log p - (1 - q) log(1 - p)"),
            Wrong(quality_terms_swapped, "q belongs to log p, and 1 - q to log(1 - p)"),
            Wrong(quality_times_beta, "beta is the power of the distance, not a"
                  " factor"),
            Wrong(quality_factor_on_yes, "the factor multiplies both parts of the cross"
                  " entropy"),
            Wrong(quality_mean_entropy, "your cross entropy is the mean over all"
                  " logits; with reduction='none' each has its own"),
            Wrong(quality_factor_of_nearness, "turned round: the factor is the distance"
                  " itself, so that good answers count little"),
            Wrong(quality_squared_and_beta, "the distance is taken to the power of"
                  " beta; yours is squared before"),
            Wrong(quality_target_of_half, "your cross entropy makes 0 or 1 of every"
                  " quality; it has to use the quality"),
            Wrong(quality_hard_twice, "that is plain focal loss, with a target of 1;"
                  " here the target is the quality"),
            Wrong(quality_averaged, "one number for each logit is asked, not their"
                  " mean"),
            Wrong(quality_negative, "the sign: a cross entropy is -q log p - (1 - q)"
                  " log(1 - p), and never negative"),
            Wrong(quality_factor_of_p, "the factor is the distance from the quality;"
                  " yours is p, the distance from 0"),
            Wrong(quality_focal_factor, "that is focal loss' factor, 1 - p_t; here it"
                  " is abs(q - p)"),
            Wrong(quality_with_alpha, "there is no alpha here"),
            Wrong(quality_times_quality, "that is varifocal loss, which weighs by the"
                  " quality; here abs(q - p) ** beta weighs all of them"),
            Wrong(quality_no_factor_of_background, "background has its factor too:"
                  " abs(0 - p) ** beta"),
            Wrong(quality_squared_error, "that is the factor alone; it multiplies the"
                  " cross entropy"),
            Wrong(quality_takes_probabilities, "a logit is no probability yet: take the"
                  " sigmoid"),
            Wrong(quality_sigmoid_twice, "cross entropy with_logits takes the logit"
                  " itself; you gave it the sigmoid"),
            Wrong(quality_power_of_product, "beta is the power of the distance alone,"
                  " not of the product"),
            Wrong(quality_summed, "one number for each logit is asked, not their sum"),
            Wrong(quality_factor_detached, "the gradient has to pass through the factor"
                  " too: no detach"),
        ),
        hints=(
            "Cross entropy with a soft target q: -q log p - (1 - q) log(1 - p).",
            "F.logsigmoid(logits) is log p, and of -logits it is log(1 - p).",
            "Multiply by abs(q - p) ** beta.",
        ),
        cases=logits_and_quality,
        by_hand=(
            # p is 3/4 and 1/4: -log p is ln 4/3 and ln 4.
            ((torch.tensor([LN3]), torch.tensor([1.0]), 2.0),
             torch.tensor([math.log(4 / 3) / 16])),
            ((torch.tensor([LN3, -LN3, -LN3]), torch.tensor([0.25, 0.75, 0.0]), 1.0),
             torch.tensor([SOFT / 2, SOFT / 2, math.log(4 / 3) / 4])),
        ),
        properties=(
            Property("z = 0, q = 1 and beta = 2 cost 0.25 log 2", by_hand_at_zero),
            Property("it is right at logits of 200, 30 and -200, where a sigmoid is 1"
                     " or 0 and its log may be infinite or cut off; F.logsigmoid works"
                     " on the logit itself", at_large_logits),
            Property("its gradient is right at logits of 200, 30 and -200;"
                     " F.logsigmoid has one there, the log of a sigmoid has not",
                     gradient_at_large_logits),
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
