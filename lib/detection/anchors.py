"""Anchors: where a detector may look, which box each one learns, and in what code.

Nine boxes stand on every cell of every level. IoU says how well one fits an object;
`assign` gives each anchor an object or none; `encode` writes the object as four small
numbers seen from its anchor, and `decode` reads them back. Boxes are xyxy pixels.

Chapter 12. Sources: EfficientDet, arXiv 1911.09070; Faster R-CNN, arXiv 1506.01497.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.detection.bifpn import level_sizes

NEGATIVE, IGNORED = -1, -2  # labels of anchors without an object
EPS = 1e-7  # pixels added to every side in `encode`: no division by 0, no log of 0
# The reference has no limit: there an untrained network may answer with infinity.
MAX_LOG_SIZE = math.log(1000 / 16)


@dataclasses.dataclass(frozen=True)
class AnchorConfig:
    """Anchors on levels `levels[0]` to `levels[1]`; level l has stride 2**l.

    `scale` strides are the base side, `octaves` sides begin there, below twice that.
    `ratios` multiply (width, height); 1.4 by 0.7 (area 0.98) as the published weights.
    """

    scale: float | int = 4.0
    octaves: int = 3
    ratios: tuple[tuple[float | int, ...], ...] = ((1, 1), (1.4, 0.7), (0.7, 1.4))
    levels: tuple[int, int] = (3, 7)

    def __post_init__(self):
        sides = [side for ratio in self.ratios for side in ratio]
        if not (sides and min([self.scale, self.octaves, *sides]) > 0):
            raise ValueError(f"{self}: scale, octaves and ratios must be positive")
        if not 0 <= self.levels[0] <= self.levels[1]:
            raise ValueError(f"levels {self.levels} must be (first, last)")

    @property
    def per_cell(self) -> int:
        """Anchors on each cell, 9 in the paper."""
        return self.octaves * len(self.ratios)

    def shapes(self) -> list[tuple[float, float]]:
        """(width, height) in strides: octaves outside, ratios inside, as in TF."""
        bases = [self.scale * 2 ** (s / self.octaves) for s in range(self.octaves)]
        return [(base * w, base * h) for base in bases for w, h in self.ratios]


class Assignment(NamedTuple):
    """What each of A anchors learns; see `assign`."""

    labels: Tensor  # (A,) int64: class, NEGATIVE or IGNORED
    codes: Tensor  # (A, 4), 0 where there is no object
    matched: Tensor  # (A,) int64: index of the object, NEGATIVE or IGNORED


class Coverage(NamedTuple):
    """How well anchors fit N objects; see `coverage`."""

    sides: Tensor  # (N,) pixels: root of the area
    ious: Tensor  # (N,) of the best anchor; below `matched` only force helps
    positives: Tensor  # (N,) int64: anchors that learn this object


def anchors(
    image_size: tuple[int, int], config: AnchorConfig | None = None, device=None
) -> Float[Tensor, "A 4"]:
    """All anchors of a picture of (height, width), level by level, row by row.

    Not clipped to the picture. A stride is picture over level: 320 / 3 on level 7.
    """
    config = config or AnchorConfig()
    shapes = np.array(config.shapes())  # K 2, float64: rounded once, at the end
    levels = []
    for rows, columns in level_sizes(image_size, *config.levels):
        stride = np.array([image_size[1] / columns, image_size[0] / rows])
        cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
        centres = (cells.reshape(-1, 1, 2) + 0.5) * stride  # H*W 1 2, Eq. 12.1
        half = shapes * stride / 2  # K 2
        levels.append(np.concatenate([centres - half, centres + half], 2))  # H*W K 4
    boxes = np.concatenate([level.reshape(-1, 4) for level in levels])
    return torch.from_numpy(boxes.astype(np.float32)).to(device)  # A 4


def flatten(outputs: list[Tensor], size: int) -> Tensor:
    """Outputs (B, K * size, H, W) of all levels as (B, A, size), in anchor order."""
    rows = [o.permute(0, 2, 3, 1).reshape(len(o), -1, size) for o in outputs]
    return torch.cat(rows, 1)


def box_area(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """In square pixels, without the "+ 1" of the VOC toolkit."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(a: Float[Tensor, "N 4"], b: Float[Tensor, "M 4"]) -> Float[Tensor, "N M"]:
    """Intersection over union, each `a` with each `b`; 0 where neither has an area."""
    a_x1, a_y1, a_x2, a_y2 = a[:, None].unbind(2)  # N 1
    b_x1, b_y1, b_x2, b_y2 = b.unbind(1)  # M
    width = (torch.minimum(a_x2, b_x2) - torch.maximum(a_x1, b_x1)).clamp(min=0)
    height = (torch.minimum(a_y2, b_y2) - torch.maximum(a_y1, b_y1)).clamp(min=0)
    overlap = width * height  # N M
    union = box_area(a)[:, None] + box_area(b) - overlap
    return overlap / union.clamp(min=torch.finfo(union.dtype).tiny)  # Eq. 12.2


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2) each, in the order of codes: y, x and height, width."""
    low, high = boxes.unflatten(-1, (2, 2)).flip(-1).unbind(-2)
    return (low + high) / 2, high - low


def encode(
    boxes: Float[Tensor, "A 4"], anchors: Float[Tensor, "A 4"]
) -> Float[Tensor, "A 4"]:
    """Box i seen from anchor i: [ty, tx, th, tw], y first, as in published weights.

    Shifts in anchor sides, sizes as logarithms, nothing divided by a "variance".
    """
    centre, size = _centre_and_size(boxes)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    size, anchor_size = size + EPS, anchor_size + EPS
    shift = (centre - anchor_centre) / anchor_size
    return torch.cat([shift, torch.log(size / anchor_size)], -1)  # Eq. 12.3


def decode(
    codes: Float[Tensor, "*B A 4"], anchors: Float[Tensor, "A 4"]
) -> Float[Tensor, "*B A 4"]:
    """The inverse of `encode`, in float32 at least; th and tw end at MAX_LOG_SIZE."""
    codes = codes.to(torch.promote_types(codes.dtype, torch.float32))
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = anchor_centre + codes[..., :2] * anchor_size  # Eq. 12.4
    half = codes[..., 2:].clamp(max=MAX_LOG_SIZE).exp() * anchor_size / 2
    return torch.stack([centre - half, centre + half], -2).flip(-1).flatten(-2)


def assign(
    anchors: Float[Tensor, "A 4"],
    boxes: Float[Tensor, "N 4"],
    labels: Int64[Tensor, " N"],
    matched: float = 0.5,
    unmatched: float | None = None,
) -> Assignment:
    """Which object each anchor learns: its best by IoU, if that is at least `matched`.

    Below `unmatched` (default: `matched`, as the reference) an anchor is negative,
    between the two it is ignored. Then each object takes its best anchor by force; of
    two objects that want the same one the first gets it, and the other may have none.
    Raises ValueError for a box without area: its code would be log 0.
    """
    unmatched = matched if unmatched is None else unmatched
    if not 0 < unmatched <= matched:
        raise ValueError(f"{unmatched=} must be above 0, and {matched=} not below it")
    if len(boxes) == 0:  # a picture without objects: everything is background
        none = torch.full((len(anchors),), NEGATIVE, device=anchors.device)
        return Assignment(none, torch.zeros_like(anchors), none)
    sound = (boxes[:, 2:] > boxes[:, :2]).all(1)
    if not sound.all():  # NaN fails too
        i = int(sound.int().argmin())
        raise ValueError(f"box {i} is {boxes[i].tolist()}: x1 < x2 and y1 < y2 needed")
    iou = box_iou(boxes, anchors)  # N A
    best, owner = iou.max(0)  # Eq. 12.5; of equals the first
    rest = torch.where(best >= unmatched, IGNORED, NEGATIVE)
    owner = torch.where(best >= matched, owner, rest)
    # Forced. "amin": of two plain writes to one place, which is last is left open.
    numbers = torch.arange(len(boxes), device=boxes.device)
    nobody = owner.new_full(owner.shape, len(boxes))
    forced = nobody.scatter_reduce(0, iou.argmax(1), numbers, "amin")
    owner = torch.where(forced < len(boxes), forced, owner)
    positive, classes = owner >= 0, owner.clone()
    mine, codes = owner[positive], torch.zeros_like(anchors)
    codes[positive] = encode(boxes[mine], anchors[positive])
    classes[positive] = labels[mine]
    return Assignment(classes, codes, owner)


def coverage(
    anchors: Float[Tensor, "A 4"], boxes: list[Tensor], matched: float = 0.5
) -> Coverage:
    """Side, best IoU and positive anchors of every object; (N, 4) boxes a picture."""
    if not any(map(len, boxes)):
        raise ValueError(f"coverage: {len(boxes)} pictures, and no object in them")
    found = []
    for some in boxes:
        if len(some):
            numbers = torch.arange(len(some), device=some.device)
            owner = assign(anchors, some, numbers, matched).matched
            count = (owner == numbers[:, None]).sum(1)
            found.append((box_area(some).sqrt(), box_iou(some, anchors).amax(1), count))
    return Coverage(*map(torch.cat, zip(*found, strict=True)))
