"""Anchors: where a detector may look, which box each one learns, and in what code.

Nine boxes stand at every place of every level. IoU says how well one fits an object;
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

from lib.basics import arguments
from lib.detection.bifpn import level_sizes

NEGATIVE, IGNORED = -1, -2  # labels of anchors without an object
EPS = 1e-7  # pixels added to every side in `encode`: no division by 0, no log of 0
# The reference has no limit: there an untrained network may answer with infinity.
MAX_LOG_SIZE = math.log(1000 / 16)
Ratios = tuple[tuple[float | int, ...], ...]


@dataclasses.dataclass(frozen=True)
class AnchorConfig:
    """Anchors on levels `levels[0]` to `levels[1]`; level l has stride 2**l.

    `scale` strides are the base side, `octaves` sides begin there, below twice that.
    `ratios` multiply (width, height); 1.4 by 0.7 (area 0.98) as the published weights.
    """

    scale: float | int = 4.0
    octaves: int = 3
    ratios: Ratios = ((1, 1), (1.4, 0.7), (0.7, 1.4))
    levels: tuple[int, int] = (3, 7)

    def __post_init__(self):
        _insist_sound(self)

    @property
    def per_cell(self) -> int:
        """Anchors at each place, 9 in the paper."""
        return self.octaves * len(self.ratios)

    def shapes(self) -> list[tuple[float, float]]:
        """(width, height) in strides: octaves outside, ratios inside, as in TF."""
        shapes = []
        for octave in range(self.octaves):
            base = self.scale * 2 ** (octave / self.octaves)
            for width, height in self.ratios:
                shapes.append((base * width, base * height))
        return shapes


def _insist_sound(config: AnchorConfig) -> None:
    """ValueError unless there are anchors of some size on some level."""
    try:
        arguments.whole_number("octaves", config.octaves)
        sizes = arguments.real_array("sizes", [config.scale, config.octaves], 1)
        ratios = arguments.real_array("ratios", config.ratios, 2)  # n 2
        positive = ratios.shape[1] == 2 and min(sizes.min(), ratios.min()) > 0
    except ValueError:
        positive = False
    if not positive:
        raise ValueError(
            f"{config}: scale, octaves and ratios must be positive, octaves a whole"
            " number, ratios pairs (width, height)"
        )
    levels = arguments.whole_numbers("levels", config.levels, least=0)
    if len(levels) != 2 or levels[0] > levels[1]:
        raise ValueError(f"levels {config.levels} must be (first, last)")


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
    image_size: tuple[int, int],
    config: AnchorConfig | None = None,
    device=None,
) -> Float[Tensor, "A 4"]:
    """All anchors of a picture of (height, width), level by level, row by row.

    Not clipped to the picture. A stride is picture over level: 320 / 3 on level 7.

    >>> anchors((512, 512))[0].tolist()  # 4 strides of 8, about (4, 4)
    [-12.0, -12.0, 20.0, 20.0]
    """
    config = _config(config)
    image_size = _size(image_size)
    height, width = image_size
    shapes = np.array(config.shapes())  # K 2, float64: rounded once, at the end
    levels = []
    for rows, columns in level_sizes(image_size, *config.levels):
        stride = np.array([width / columns, height / rows])
        across, down = np.meshgrid(range(columns), range(rows))  # H W
        places = np.stack([across, down], -1)  # H W 2
        places = places.reshape(-1, 1, 2)  # H*W 1 2
        centres = (places + 0.5) * stride  # H*W 1 2, Eq. 12.1
        half = shapes * stride / 2  # K 2
        top_left = centres - half  # H*W K 2
        bottom_right = centres + half
        boxes = np.concatenate([top_left, bottom_right], 2)  # H*W K 4
        levels.append(boxes.reshape(-1, 4))
    boxes = np.concatenate(levels)  # A 4
    boxes = boxes.astype(np.float32)
    return torch.from_numpy(boxes).to(device)


def _config(config) -> AnchorConfig:
    if config is None:
        return AnchorConfig()
    return arguments.instance("config", config, AnchorConfig)


def _size(image_size) -> tuple[int, int]:
    size = arguments.whole_numbers("image_size", image_size, least=1)
    if len(size) != 2:
        raise arguments.refuse("image_size", image_size, "(height, width)")
    return size


@arguments.named
def flatten(outputs: list[Tensor], size: int) -> Tensor:
    """Outputs (B, K * size, H, W) of all levels as (B, A, size), in anchor order.

    One level of 1 x 2 places, two anchors a place, two numbers an anchor: the channels
    of a place become the rows of its anchors.

    >>> output = torch.tensor([[1, 5], [2, 6], [3, 7], [4, 8]])  # K*size W
    >>> flatten([output.reshape(1, 4, 1, 2)], size=2).tolist()
    [[[1, 2], [3, 4], [5, 6], [7, 8]]]
    """
    levels = []
    for output in outputs:
        by_place = output.permute(0, 2, 3, 1)  # B H W K*size
        rows = by_place.reshape(len(output), -1, size)  # B H*W*K size
        levels.append(rows)
    return torch.cat(levels, 1)  # B A size


@arguments.named
def box_area(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """In square pixels, without the "+ 1" of the VOC toolkit."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return (x2 - x1) * (y2 - y1)


@arguments.named
def box_iou(
    a: Float[Tensor, "N 4"],
    b: Float[Tensor, "M 4"],
) -> Float[Tensor, "N M"]:
    """Intersection over union, each `a` with each `b`; 0 where neither has an area.

    >>> square = torch.tensor([[0.0, 0, 10, 10]])
    >>> box_iou(square, square + torch.tensor([5.0, 0, 5, 0]))  # 50 / 150
    tensor([[0.3333]])
    """
    a_x1, a_y1, a_x2, a_y2 = a[:, None].unbind(2)  # N 1
    b_x1, b_y1, b_x2, b_y2 = b.unbind(1)  # M
    left = torch.maximum(a_x1, b_x1)  # N M, of what both cover
    right = torch.minimum(a_x2, b_x2)
    top = torch.maximum(a_y1, b_y1)
    bottom = torch.minimum(a_y2, b_y2)
    width = right - left
    height = bottom - top
    width = width.clamp(min=0)  # below 0: they do not touch
    height = height.clamp(min=0)
    intersection = width * height  # N M
    area_a = box_area(a)[:, None]  # N 1
    both_areas = area_a + box_area(b)  # N M
    union = both_areas - intersection
    tiny = torch.finfo(union.dtype).tiny  # not 0 / 0, whose gradient is NaN
    union = union.clamp(min=tiny)
    return intersection / union  # Eq. 12.2


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2) each, in the order of codes: y, x and height, width."""
    corners = boxes.unflatten(-1, (2, 2)).flip(-1)  # ... 2 2, y first
    low, high = corners.unbind(-2)
    return (low + high) / 2, high - low


@arguments.named
def encode(
    boxes: Float[Tensor, "A 4"], anchors: Float[Tensor, "A 4"]
) -> Float[Tensor, "A 4"]:
    """Box i seen from anchor i: [ty, tx, th, tw], y first, as in published weights.

    Shifts in anchor sides, sizes as logarithms, nothing divided by a "variance".

    >>> anchor = torch.tensor([[0.0, 20, 40, 60]])  # 40 by 40 about (20, 40)
    >>> box = torch.tensor([[20.0, 20, 60, 60]])  # the same, half a side to the right
    >>> encode(box, anchor).tolist()
    [[0.0, 0.5, 0.0, 0.0]]
    """
    centre, size = _centre_and_size(boxes)  # A 2, y first
    anchor_centre, anchor_size = _centre_and_size(anchors)
    size = size + EPS
    anchor_size = anchor_size + EPS
    shift = (centre - anchor_centre) / anchor_size  # ty tx
    stretch = torch.log(size / anchor_size)  # th tw
    return torch.cat([shift, stretch], -1)  # A 4, Eq. 12.3


@arguments.named
def decode(
    codes: Float[Tensor, "*B A 4"],
    anchors: Float[Tensor, "A 4"],
) -> Float[Tensor, "*B A 4"]:
    """The inverse of `encode`, in float32 at least; th and tw end at MAX_LOG_SIZE.

    >>> anchor = torch.tensor([[0.0, 20, 40, 60]])
    >>> decode(torch.tensor([[0.0, 0.5, 0, 0]]), anchor).tolist()
    [[20.0, 20.0, 60.0, 60.0]]
    """
    at_least = torch.promote_types(codes.dtype, torch.float32)
    codes = codes.to(at_least)
    shift, stretch = codes.split(2, -1)  # *B A 2: ty tx, th tw
    stretch = stretch.clamp(max=MAX_LOG_SIZE)
    anchor_centre, anchor_size = _centre_and_size(anchors)  # A 2, y first
    centre = anchor_centre + shift * anchor_size  # Eq. 12.4
    half = stretch.exp() * anchor_size / 2
    top_left = centre - half  # *B A 2
    bottom_right = centre + half
    corners = torch.stack([top_left, bottom_right], -2)  # *B A 2 2, y first
    corners = corners.flip(-1)  # x first
    return corners.flatten(-2)  # *B A 4


@arguments.named
def owners(
    iou: Float[Tensor, "N A"], matched: float, unmatched: float
) -> Int64[Tensor, " A"]:
    """The object, 0 to N - 1, that each anchor learns; NEGATIVE or IGNORED for none.

    `iou` of each object with each anchor, one object or more. Rules as in `assign`.

    >>> iou = torch.tensor([[1.0, 0.67, 0.33], [0.2, 0.3, 0.45]])
    >>> owners(iou, matched=0.5, unmatched=0.5).tolist()  # the last one by force
    [0, 0, 1]
    """
    # Rule 1: each anchor, its best object. Of equals the first.
    best_iou, owner = iou.max(0)  # A, Eq. 12.5
    owner = torch.where(best_iou >= matched, owner, IGNORED)
    owner = torch.where(best_iou >= unmatched, owner, NEGATIVE)
    # Rule 2: each object, its best anchor, by force. Two may want the same one: "amin"
    # gives it to the first. Of two plain writes to one place no order is promised.
    numbers = torch.arange(len(iou), device=iou.device)  # N
    nobody = torch.full_like(owner, len(iou))
    favourite = iou.argmax(1)  # N
    forced = nobody.scatter_reduce(0, favourite, numbers, "amin")  # A
    return torch.where(forced < len(iou), forced, owner)


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

    >>> three = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]])
    >>> box, label = three[:1], torch.tensor([7])
    >>> assign(three, box, label).labels.tolist()  # IoU 1, 8/12, 5/15
    [7, 7, -1]
    """
    arguments.tensor("anchors", anchors, "A 4")
    matched = arguments.real_number("matched", matched)
    if unmatched is None:
        unmatched = matched
    unmatched = arguments.real_number("unmatched", unmatched)
    if not 0 < unmatched <= matched:
        raise ValueError(f"{unmatched=} must be above 0, and {matched=} not below it")
    insist_objects(boxes, labels)
    if len(boxes) == 0:
        return _background(anchors)
    iou = box_iou(boxes, anchors)  # N A
    owner = owners(iou, matched, unmatched)  # A
    # What the owner asks of its anchors.
    positive = owner >= 0
    mine = owner[positive]
    classes = owner.clone()
    classes[positive] = labels[mine]
    codes = torch.zeros_like(anchors)  # A 4
    codes[positive] = encode(boxes[mine], anchors[positive])
    return Assignment(classes, codes, owner)


def _background(anchors: Float[Tensor, "A 4"]) -> Assignment:
    """What anchors learn from a picture without objects."""
    none = torch.full((len(anchors),), NEGATIVE, device=anchors.device)
    return Assignment(none, torch.zeros_like(anchors), none)


def insist_outputs(class_outputs: list[Tensor], box_outputs: list[Tensor]) -> None:
    """ValueError unless these are a detector's: maps of classes and codes, by level."""
    both = {"class_outputs": class_outputs, "box_outputs": box_outputs}
    for name, outputs in both.items():
        both[name] = arguments.sequence(name, outputs, "a list of (B, C, H, W) maps")
        for level, output in enumerate(both[name]):
            arguments.tensor(f"{name}[{level}]", output, "B C H W")
    places = [[(len(o), *o.shape[2:]) for o in outputs] for outputs in both.values()]
    per_place = box_outputs[0].shape[1] // 4
    whole = box_outputs[0].shape[1] % 4 == 0 and per_place > 0
    if places[0] != places[1] or not whole or class_outputs[0].shape[1] % per_place:
        shapes = [[tuple(o.shape) for o in outputs] for outputs in both.values()]
        raise ValueError(
            f"class_outputs {shapes[0]} and box_outputs {shapes[1]} do not belong"
            " together: (B, A * K, H, W) and (B, A * 4, H, W) of every level"
        )


def insist_objects(boxes: Tensor, labels: Tensor, where: str = "") -> None:
    """ValueError unless these are objects: boxes (N, 4) with area, labels (N,) from 0.

    `where` begins the message. A label below 0 would be one of NEGATIVE and IGNORED.
    """
    arguments.instance(f"{where}boxes", boxes, Tensor)
    arguments.instance(f"{where}labels", labels, Tensor)
    if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(
            f"{where}boxes are {boxes.dtype} {tuple(boxes.shape)}; give floats (N, 4)"
        )
    if labels.dtype != torch.int64 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            f"{where}labels are {labels.dtype} {tuple(labels.shape)} for {len(boxes)}"
            " boxes; give int64, one for each box"
        )
    if len(labels) and labels.min() < 0:
        raise ValueError(
            f"{where}label {int(labels.min())} is below 0; labels count from 0"
            " (is it perhaps a category id, less one too many?)"
        )
    sound = (boxes[:, 2:] > boxes[:, :2]).all(1)
    if not sound.all():  # NaN fails too
        i = int(sound.int().argmin())
        raise ValueError(
            f"{where}box {i} is {boxes[i].tolist()}: x1 < x2 and y1 < y2 needed"
        )


def coverage(
    anchors: Float[Tensor, "A 4"],
    boxes: list[Tensor],
    matched: float = 0.5,
) -> Coverage:
    """Side, best IoU and positive anchors of every object; (N, 4) boxes a picture."""
    boxes = arguments.sequence("boxes", boxes, "a list of (N, 4) tensors")
    for i, objects in enumerate(boxes):
        arguments.tensor(f"boxes[{i}]", objects, "N 4")
    if not any(map(len, boxes)):
        raise ValueError(f"coverage: {len(boxes)} pictures, and no object in them")
    sides, ious, positives = [], [], []
    for objects in boxes:
        if len(objects) == 0:
            continue
        numbers = torch.arange(len(objects), device=objects.device)
        owner = assign(anchors, objects, numbers, matched).matched  # A
        learns = owner == numbers[:, None]  # N A
        iou = box_iou(objects, anchors)  # N A
        sides.append(box_area(objects).sqrt())
        ious.append(iou.amax(1))
        positives.append(learns.sum(1))
    sides = torch.cat(sides)
    ious = torch.cat(ious)
    positives = torch.cat(positives)
    return Coverage(sides, ious, positives)
