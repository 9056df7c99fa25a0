"""What a detector is punished for: wrong classes everywhere, wrong boxes on objects.

Thousands of anchors see background and a few dozen an object. Focal loss quietens the
easy ones; Huber loss does not let one bad box shout; one count of positives for the
whole batch sets the scale of both. All of it is computed in float32.

Chapter 14. Sources: focal loss, arXiv 1708.02002; EfficientDet, arXiv 1911.09070, with
the constants and the normaliser of its code.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lib.basics import arguments
from lib.detection import anchors as grid
from lib.detection.anchors import IGNORED, insist_objects, insist_outputs

Number = float | int


class Loss(NamedTuple):
    """`total` to call backward on; the parts, and the positive anchors, to look at."""

    total: Tensor
    classes: Tensor
    boxes: Tensor
    positives: Tensor


def prior_bias(probability: float = 0.01) -> float:
    """The logit of a probability: where the class head's bias has to begin."""
    arguments.real_number("probability", probability, above=0, below=1)
    no_object = 1 - probability
    odds_against = no_object / probability
    return -math.log(odds_against)  # Eq. 14.3


@arguments.named
def focal_loss(
    logits: Float[Tensor, "*N"],
    targets: Bool[Tensor, "*N"],
    alpha: float = 0.25,
    gamma: Number = 1.5,
) -> Float[Tensor, "*N"]:
    """Focal loss of each logit on its own: one yes-or-no question for each class.

    `alpha` weighs yes, 1 - `alpha` no; `gamma` = 0 is plain cross entropy. Finite for
    any logit, and so is its gradient. Source: arXiv 1708.02002, Eq. 5.

    >>> focal_loss(torch.zeros(1), torch.tensor([True]))  # 1/4 * (1/2)**1.5 * log 2
    tensor([0.0613])
    """
    wrong = torch.where(targets, -logits, logits)  # logit of the wrong answer
    cross_entropy = F.softplus(wrong)  # -log p_t, Eq. 14.1
    # (1 - p_t)**gamma from logarithms: a power of 0 has an infinite slope if gamma < 1.
    ease = torch.exp(gamma * (wrong - cross_entropy))
    weight = torch.where(targets, alpha, 1 - alpha)
    return weight * ease * cross_entropy  # Eq. 14.2


@arguments.named
def huber_loss(error: Float[Tensor, "*N"], delta: Number = 0.1) -> Float[Tensor, "*N"]:
    """Half the square up to `delta`, a straight line of slope `delta` beyond.

    >>> huber_loss(torch.tensor([0.1, 0.5]))  # 0.1**2 / 2, and 0.1 * 0.4 more
    tensor([0.0050, 0.0450])
    """
    size = error.abs()
    square = size.clamp(max=delta)
    return 0.5 * square**2 + delta * (size - square)  # Eq. 14.4


def loss_of_assigned(
    logits: Float[Tensor, "B A K"],
    codes: Float[Tensor, "B A 4"],
    labels: Int64[Tensor, "B A"],
    code_targets: Float[Tensor, "B A 4"],
    *,
    alpha: float = 0.25,
    gamma: Number = 1.5,
    delta: Number = 0.1,
    box_weight: Number = 50.0,
) -> Loss:
    """The loss where it is known what each anchor should answer (`anchors.assign`).

    Both parts are sums, divided by the positives of the whole batch plus 1: a picture
    without objects counts, and a batch without any does not divide by 0. ValueError for
    a label that has no logit.
    """
    _insist_assigned(logits, codes, labels, code_targets)
    _insist_constants(alpha=alpha, gamma=gamma, delta=delta, box_weight=box_weight)
    classes = logits.shape[-1]
    logits, codes = logits.float(), codes.float()
    positives = (labels >= 0).sum()
    normaliser = positives + 1  # Eq. 14.5
    numbers = torch.arange(classes, device=labels.device)  # K
    # One picture at a time stays in a CPU's cache: twice as fast as all at once.
    class_sum = 0.0
    for logit, label in zip(logits, labels, strict=True):
        right = label[:, None] == numbers  # A K
        each = focal_loss(logit, right, alpha, gamma).sum(1)  # A
        heard = label != IGNORED
        class_sum = class_sum + (each * heard).sum()
    # As the reference: a target of exactly 0 does not count, also on a positive anchor.
    # It hits an anchor whose centre or side is already right, to the last bit.
    known = code_targets != 0
    error = codes[known] - code_targets[known]
    box_sum = huber_loss(error, delta).sum()
    class_part = class_sum / normaliser
    box_part = box_sum / (4 * normaliser)
    total = class_part + box_weight * box_part  # Eq. 14.6
    return Loss(total, class_part, box_part, positives)


def detection_loss(
    class_outputs: list[Tensor],
    box_outputs: list[Tensor],
    targets,
    anchors: Float[Tensor, "A 4"],
    *,
    matched: float = 0.5,
    unmatched: float | None = None,
    **constants: Number,
) -> Loss:
    """The loss of a batch: outputs of the detector, `.boxes` and `.labels` of pictures.

    `targets` is a `data.Batch`, or anything with those two lists; `anchors` are those
    of the pictures' size. `constants` go to `loss_of_assigned`. Raises ValueError where
    outputs and anchors do not fit, a label has no class or no box, a box no area.
    """
    insist_outputs(class_outputs, box_outputs)
    arguments.tensor("anchors", anchors, "A 4")
    codes = grid.flatten(box_outputs, 4)  # B A 4
    if codes.shape[1] != len(anchors):
        raise ValueError(
            f"{codes.shape[1]} boxes come out and {len(anchors)} anchors are given:"
            " other AnchorConfig, or other picture size?"
        )
    per_cell = box_outputs[0].shape[1] // 4
    classes = class_outputs[0].shape[1] // per_cell
    logits = grid.flatten(class_outputs, classes)  # B A K
    _insist_targets(targets, len(logits), classes)
    labels, code_targets = [], []
    for objects in zip(targets.boxes, targets.labels, strict=True):
        assignment = grid.assign(anchors, *objects, matched, unmatched)
        labels.append(assignment.labels)
        code_targets.append(assignment.codes)
    return loss_of_assigned(
        logits, codes, torch.stack(labels), torch.stack(code_targets), **constants
    )


def _insist_targets(targets, pictures: int, classes: int) -> None:
    """ValueError that names the picture whose boxes or labels cannot be learned."""
    if not hasattr(targets, "boxes") or not hasattr(targets, "labels"):
        raise arguments.refuse("targets", targets, "a batch with .boxes and .labels")
    given = len(targets.boxes), len(targets.labels)
    if given != (pictures, pictures):
        raise ValueError(
            f"outputs are of {pictures} pictures, targets of {given[0]} (boxes) and"
            f" {given[1]} (labels)"
        )
    for i, objects in enumerate(zip(targets.boxes, targets.labels, strict=True)):
        where = f"picture {i} of the batch: "
        insist_objects(*objects, where)
        _insist_classes(objects[1], classes, where)


def _insist_assigned(logits, codes, labels, code_targets) -> None:
    """ValueError unless outputs and what they should be are of the same anchors."""
    arguments.tensor("logits", logits, "B A K")
    pictures, anchors, classes = logits.shape
    arguments.tensor("codes", codes, f"{pictures} {anchors} 4")
    arguments.tensor("labels", labels, f"{pictures} {anchors}", torch.int64)
    arguments.tensor("code_targets", code_targets, f"{pictures} {anchors} 4")
    _insist_classes(labels, classes)


def _insist_constants(**constants) -> None:
    for name, value in constants.items():
        most = 1 if name == "alpha" else None  # the weight of no is 1 - alpha
        arguments.real_number(name, value, least=0, most=most)


def _insist_classes(labels: Tensor, classes: int, where: str = "") -> None:
    """ValueError for a label that has no logit: it would be a no to all classes."""
    if labels.numel() and labels.max() >= classes:
        highest = int(labels.max())
        raise ValueError(f"{where}label {highest} needs more than {classes} classes")
