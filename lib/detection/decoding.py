"""From raw outputs to objects: the best pairs, boxes, one box for each object.

A detector says something about every class at every anchor: 441,936 times 90 numbers
in D7. The best (anchor, class) pairs are decoded into boxes and cut at the picture's
edge. Many of them sit on the same object; non-maximum suppression (NMS) keeps the best
and removes those that overlap it, soft-NMS lowers their scores instead.
`detect(model, image)` is all of that for a picture file.

Chapter 15. Sources: EfficientDet's code; soft-NMS: arXiv 1704.04503.
"""

from os import PathLike
from typing import NamedTuple

import torch
import torchvision
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from lib.basics import coco, data
from lib.detection import anchors

CANDIDATES = 5000  # pairs of a picture that are decoded at all
KEEP = 100  # detections of a picture at most
IOU = 0.5  # two boxes of one class that overlap by more show one object
SIGMA = 0.5  # of soft-NMS: how fast scores fall with overlap
FAINT = 0.001  # soft-NMS stops here
BLOCK = 64  # see `largest`


class Detections(NamedTuple):
    """Objects of one picture, best first: `plots.boxes(picture, **found._asdict())`."""

    boxes: Float[Tensor, "N 4"]  # xyxy pixels
    scores: Float[Tensor, " N"]  # 0 to 1
    labels: Int64[Tensor, " N"]  # from 0


def largest(values: Float[Tensor, " N"], count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values, falling, and their places: `topk`, for millions.

    topk is slow where N is large. The maxima of blocks are few, and the count-th of
    them is a bound: at least `count` values reach it. Only those have to be sorted.
    """
    blocks = values[: len(values) // BLOCK * BLOCK].reshape(-1, BLOCK).amax(1)
    if len(blocks) <= count:
        return values.topk(min(count, len(values)))
    places = (values >= blocks.topk(count).values[-1]).nonzero()[:, 0]
    best = values[places].topk(min(count, len(places)))  # fewer only where NaN is
    return best.values, places[best.indices]


def best_pairs(
    class_outputs: list[Tensor], classes: int, count: int = CANDIDATES
) -> tuple[Tensor, Tensor, Tensor]:
    """The best (anchor, class) pairs of one picture: logits, anchors, classes (n,).

    Outputs are (A * K, H, W), finest level first. One anchor can give several pairs.
    """
    found, first = [], 0
    for level in class_outputs:
        # channels_last outputs are in this order already: a view, nothing is copied.
        flat = level.permute(1, 2, 0).reshape(-1)  # H*W*A*K
        logits, place = largest(flat, count)
        found.append((logits, place + first))
        first += len(flat)
    logits, place = map(torch.cat, zip(*found, strict=True))
    logits, best = logits.topk(min(count, len(logits)))
    place = place[best]
    return logits, place // classes, place % classes


def clip(boxes: Float[Tensor, "N 4"], height, width) -> Float[Tensor, "N 4"]:
    """Boxes xyxy cut at the edges of a picture of height and width pixels."""
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x, y], 2).flatten(1)  # Eq. 15.2


def hard_nms(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int64[Tensor, " N"],
    keep: int = KEEP,
) -> tuple[Int64[Tensor, " M"], Float[Tensor, " M"]]:
    """NMS in each class: the rows that stay, best first, and their scores."""
    kept = torchvision.ops.batched_nms(boxes, scores, labels, IOU)[:keep]  # Eq. 15.3
    return kept, scores[kept]


def soft_nms(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int64[Tensor, " N"],
    keep: int = KEEP,
) -> tuple[Int64[Tensor, " M"], Float[Tensor, " M"]]:
    """Soft-NMS in each class: rows in the order they were chosen, and their scores.

    Each choice lowers the scores of its class by overlap. Chosen scores only fall, so
    the first `keep` choices are the best `keep`: nothing after them has to be known.
    """
    left, kept, final = scores.clone(), [], []
    for _ in range(min(keep, len(scores))):
        best = int(left.argmax())
        score = left[best].clone()
        if score <= FAINT:
            break
        kept.append(best)
        final.append(score)
        same = (labels == labels[best]).nonzero()[:, 0]
        iou = anchors.box_iou(boxes[best, None], boxes[same])[0]
        left[same] *= torch.exp(-(iou**2) / SIGMA)  # Eq. 15.4
        left[best] = 0
    rows = torch.tensor(kept, dtype=torch.int64, device=scores.device)
    return rows, torch.stack(final) if final else scores[:0]


def postprocess(
    class_outputs: list[Tensor],
    box_outputs: list[Tensor],
    anchor_boxes: Float[Tensor, "A 4"],
    sizes,
    *,
    threshold: float = 0.0,
    candidates: int = CANDIDATES,
    suppress=hard_nms,
    keep: int = KEEP,
) -> list[Detections]:
    """What a detector found in each picture of a batch, in pixels of its input.

    `sizes` holds (height, width) of the part of each input that is picture: boxes are
    cut there before they are compared. `suppress` is `hard_nms` or `soft_nms`. Pairs
    below `threshold` are left out first, which changes nothing above it.
    """
    per_cell = box_outputs[0].shape[1] // 4
    classes = class_outputs[0].shape[1] // per_cell
    codes = anchors.flatten(box_outputs, 4).float()  # B A 4
    found = []
    for i, (height, width) in enumerate(sizes):
        levels = [level[i] for level in class_outputs]
        logits, place, label = best_pairs(levels, classes, candidates)
        scores = logits.float().sigmoid()  # Eq. 15.1
        sure = scores >= threshold  # false for NaN
        scores, place, label = scores[sure], place[sure], label[sure]
        boxes = anchors.decode(codes[i, place], anchor_boxes[place])
        boxes = clip(boxes, height, width)
        kept, scores = suppress(boxes, scores, label, keep)
        good = scores >= threshold  # soft-NMS may have lowered them
        kept = kept[good]
        found.append(Detections(boxes[kept], scores[good], label[kept]))
    return found


@torch.no_grad()
def detect_all(model, pictures: list[Tensor], threshold=0.3, **how) -> list[Detections]:
    """What `model` finds in uint8 pictures (3, H, W) of any sizes, run as one batch.

    `model.config` tells what it was trained with: image_size (height, width), anchors,
    mean and std. Boxes are in pixels of each picture, and all have area. `how` goes to
    `postprocess`. Runs in evaluation mode and leaves the model as it was.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; scores lie between 0 and 1")
    config, weight = model.config, next(model.parameters())
    side = max(config.image_size)
    fill = tuple(round(255 * m) for m in config.mean)
    none = torch.zeros(0, 4)
    fitted = [data.letterbox(p, none, side, fill) for p in pictures]
    scales = [scale for *_, scale in fitted]
    inputs = torch.stack([image for image, *_ in fitted]).to(weight.device)
    mean, std = (
        inputs.new_tensor(v, dtype=weight.dtype) for v in (config.mean, config.std)
    )
    inputs = (inputs.to(weight.dtype) / 255 - mean[:, None, None]) / std[:, None, None]
    training = model.training
    model.eval()
    try:
        outputs = model(inputs)
    finally:
        model.train(training)
    boxes = anchors.anchors((side, side), config.anchors, weight.device)
    shapes = [p.shape[1:] for p in pictures]
    sizes = [(h * s, w * s) for (h, w), s in zip(shapes, scales, strict=True)]
    found = postprocess(*outputs, boxes, sizes, threshold=threshold, **how)
    return [_back(*each) for each in zip(found, scales, shapes, strict=True)]


def _back(found: Detections, scale: float, shape) -> Detections:
    """From pixels of the letterbox to those of the picture; boxes without area go."""
    boxes = clip(data.unletterbox(found.boxes, scale), *shape)
    full = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Detections(boxes[full], found.scores[full], found.labels[full])


def detect(model, image, threshold=0.3, **how) -> Detections:
    """The objects in one picture: boxes xyxy in its pixels, scores, labels from 0.

    `image` is a path, a PIL picture or a uint8 tensor (3, H, W); files may be grey,
    transparent, 16-bit or rotated by EXIF. Raises ValueError that says what else was
    given, or which file is no picture.
    """
    return detect_all(model, [read(image)], threshold, **how)[0]


def read(image) -> UInt8[Tensor, "3 H W"]:
    """A path, a PIL picture or a uint8 tensor as an upright RGB tensor."""
    if isinstance(image, str | PathLike | Image.Image):
        return coco.read_image(image)
    if not isinstance(image, Tensor):
        raise ValueError(
            f"image is of type {type(image).__name__}; give the path of a picture, a"
            " PIL picture or a uint8 tensor (3, H, W)"
        )
    if image.dtype != torch.uint8 or image.dim() not in (2, 3) or not image.numel():
        raise ValueError(
            f"image is a tensor {image.dtype} of shape {tuple(image.shape)};"
            " give uint8, 0 to 255, of shape (3, H, W) or (H, W)"
        )
    image = image.reshape(-1, *image.shape[-2:])
    if len(image) not in (1, 3):
        raise ValueError(f"image has {len(image)} channels; give 3 (RGB) or 1 (grey)")
    return image.expand(3, -1, -1)
