"""From raw outputs to objects: the best pairs, boxes, one box for each object.

A detector says something about every class at every anchor: 441,936 times 90 numbers
in D7. The best (anchor, class) pairs are decoded into boxes and cut at the picture's
edge. Many of them sit on the same object; non-maximum suppression (NMS) keeps the best
and removes those that overlap it, soft-NMS lowers their scores instead.
`detect(model, image)` is all of that for a picture file.

Chapter 15. Sources: EfficientDet's code; soft-NMS: arXiv 1704.04503.
"""

from numbers import Real
from os import PathLike
from typing import NamedTuple

import torch
import torchvision
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from lib.basics import arguments, coco, data, modes, plain
from lib.detection import anchors

CANDIDATES = 5000  # pairs of a picture that are decoded at all
KEEP = 100  # detections of a picture at most
IOU = 0.5  # two boxes of one class that overlap by more show one object
SIGMA = 0.5  # of soft-NMS: how fast scores fall with overlap
FAINT = 0.001  # soft-NMS stops here
BLOCK = 64  # see `largest`
Kept = tuple[Int64[Tensor, " M"], Float[Tensor, " M"]]  # rows that stay, their scores


class Detections(NamedTuple):
    """Objects of one picture, best first: `plots.boxes(picture, **found._asdict())`."""

    boxes: Float[Tensor, "N 4"]  # xyxy pixels
    scores: Float[Tensor, " N"]  # 0 to 1
    labels: Int64[Tensor, " N"]  # from 0


@arguments.named
def largest(values: Float[Tensor, " N"], count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values, falling, and their places: `topk`, for millions.

    topk is slow where N is large. The maxima of blocks are few, and the count-th of
    them is a bound: at least `count` values reach it. Only those have to be sorted.
    """
    whole = len(values) // BLOCK * BLOCK
    maxima = values[:whole].reshape(-1, BLOCK).amax(1)
    if len(maxima) <= count:
        return values.topk(min(count, len(values)))
    bound = maxima.topk(count).values[-1]
    places = (values >= bound).nonzero()[:, 0]
    best = values[places].topk(min(count, len(places)))  # fewer only where NaN is
    return best.values, places[best.indices]


@arguments.named
def best_pairs(
    class_outputs: list[Tensor], classes: int, count: int = CANDIDATES
) -> tuple[Tensor, Tensor, Tensor]:
    """The best (anchor, class) pairs of one picture: logits, anchors, classes (n,).

    Outputs are (A * K, H, W), finest level first. One anchor can give several pairs.
    """
    logits, pairs = [], []
    first = 0  # the number of this level's first pair
    for level in class_outputs:
        by_place = level.permute(1, 2, 0)  # H W A*K
        # channels_last outputs are in this order already: a view, nothing is copied.
        flat = by_place.reshape(-1)  # H*W*A*K
        best, pair = largest(flat, count)
        logits.append(best)
        pairs.append(pair + first)
        first += len(flat)
    logits = torch.cat(logits)
    count = min(count, len(logits))
    logits, best = logits.topk(count)
    pairs = torch.cat(pairs)[best]
    return logits, pairs // classes, pairs % classes


@arguments.named
def clip(
    boxes: Float[Tensor, "N 4"],
    height: float | int,
    width: float | int,
) -> Float[Tensor, "N 4"]:
    """Boxes xyxy cut at the edges of a picture of height and width pixels."""
    x1, y1, x2, y2 = boxes.unbind(1)
    x1 = x1.clamp(0, width)  # Eq. 15.2
    x2 = x2.clamp(0, width)
    y1 = y1.clamp(0, height)
    y2 = y2.clamp(0, height)
    edges = [x1, y1, x2, y2]
    return torch.stack(edges, 1)


@plain.ours
@arguments.named
def greedy(iou: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    """NMS of boxes of one class: the indices of those that stay, best score first.

    `iou[i][j]` is the overlap of boxes i and j; `threshold` itself removes nothing.

    >>> iou = [[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> greedy(iou, [0.9, 0.8, 0.5], threshold=0.5)  # the first covers the second
    [0, 2]
    """
    best_first = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    for i in best_first:
        covering = [j for j in kept if iou[i][j] > threshold]
        if not covering:
            kept.append(i)  # Eq. 15.3
    return kept


@arguments.named
def hard_nms(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int64[Tensor, " N"],
    keep: int = KEEP,
) -> Kept:
    """NMS in each class: the rows that stay, best first, and their scores.

    What `greedy` says of each class. While that is the course's own, torchvision, which
    gives the same, does it faster.

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    >>> labels = torch.tensor([0, 0, 0])  # the second overlaps the first by 80 / 100
    >>> hard_nms(boxes, torch.tensor([0.9, 0.8, 0.5]), labels)[0].tolist()
    [0, 2]
    """
    if plain.is_ours(greedy):
        kept = torchvision.ops.batched_nms(boxes, scores, labels, IOU)  # Eq. 15.3
    else:
        kept = _greedy_by_class(boxes, scores, labels)
    kept = kept[:keep]
    return kept, scores[kept]


def _greedy_by_class(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """The rows that `greedy` keeps in any class, best first; of equals the first."""
    stays = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        iou = anchors.box_iou(boxes[rows], boxes[rows])  # n n
        kept = greedy(iou.tolist(), scores[rows].tolist(), IOU)
        kept = torch.as_tensor(kept, dtype=torch.int64, device=rows.device)
        stays[rows[kept]] = True
    rows = stays.nonzero()[:, 0]
    order = scores[rows].argsort(descending=True, stable=True)
    return rows[order]


@arguments.named
def soft_nms(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int64[Tensor, " N"],
    keep: int = KEEP,
) -> tuple[Int64[Tensor, " M"], Float[Tensor, " M"]]:
    """Soft-NMS in each class: rows in the order they were chosen, and their scores.

    Each choice lowers the scores of its class by overlap. Chosen scores only fall, so
    the first `keep` choices are the best `keep`: nothing after them has to be known.

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    >>> labels = torch.tensor([0, 0, 0])  # 0.8 * exp(-0.8**2 / 0.5) = 0.2224
    >>> soft_nms(boxes, torch.tensor([0.9, 0.8, 0.5]), labels)
    (tensor([0, 2, 1]), tensor([0.9000, 0.5000, 0.2224]))
    """
    now = scores.clone()  # falls with every choice
    chosen, final = [], []
    for _ in range(min(keep, len(scores))):
        best = int(now.argmax())
        score = now[best].clone()
        if score <= FAINT:
            break
        chosen.append(best)
        final.append(score)
        same_class = labels == labels[best]
        rivals = same_class.nonzero()[:, 0]
        iou = anchors.box_iou(boxes[best, None], boxes[rivals])[0]
        factor = torch.exp(-(iou**2) / SIGMA)  # Eq. 15.4
        now[rivals] *= factor
        now[best] = 0
    rows = torch.tensor(chosen, dtype=torch.int64, device=scores.device)
    if not final:
        return rows, scores[:0]
    return rows, torch.stack(final)


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
    below `threshold` are left out first, which changes nothing above it. What is NaN
    is no detection.
    """
    anchors.insist_outputs(class_outputs, box_outputs)
    _insist_fitting(box_outputs, anchor_boxes, sizes)
    _insist_score(threshold)
    arguments.function("suppress", suppress, "hard_nms or soft_nms")
    candidates = arguments.whole_number("candidates", candidates, least=1)
    keep = arguments.whole_number("keep", keep, least=0)
    per_cell = box_outputs[0].shape[1] // 4
    classes = class_outputs[0].shape[1] // per_cell
    codes = anchors.flatten(box_outputs, 4).float()  # B A 4
    results = []
    for i, (height, width) in enumerate(sizes):
        levels = [level[i] for level in class_outputs]
        logits, place, label = best_pairs(levels, classes, candidates)
        scores = logits.float().sigmoid()  # Eq. 15.1
        sure = scores >= threshold  # false for NaN
        scores, place, label = scores[sure], place[sure], label[sure]
        boxes = anchors.decode(codes[i, place], anchor_boxes[place])
        boxes = clip(boxes, height, width)
        somewhere = ~boxes.isnan().any(1)
        boxes, scores, label = boxes[somewhere], scores[somewhere], label[somewhere]
        kept, scores = suppress(boxes, scores, label, keep)
        good = scores >= threshold  # soft-NMS may have lowered them
        kept = kept[good]
        results.append(Detections(boxes[kept], scores[good], label[kept]))
    return results


@torch.no_grad()
def detect_all(model, pictures: list, threshold=0.3, **how) -> list[Detections]:
    """What `model` finds in pictures of any sizes, run as one batch; [] for none.

    Each picture is whatever `detect` takes. `model.config` tells what the model was
    trained with: image_size (height, width), anchors, mean and std. Boxes are in pixels
    of each picture, and all have area. `how` goes to `postprocess`. Runs in evaluation
    mode and leaves each part of the model as it was. ValueError if it answers NaN.
    """
    _insist_score(threshold)
    if not hasattr(model, "config"):
        raise arguments.refuse("model", model, "a detector, which has a config")
    pictures = [read(picture) for picture in _list(pictures)]
    if not pictures:
        return []
    config = model.config
    side = max(config.image_size)
    inputs, scales = _letterboxes(pictures, model, side)
    with modes.evaluation(model):
        outputs = model(inputs)
    _insist_numbers(outputs)
    boxes = anchors.anchors((side, side), config.anchors, inputs.device)
    sizes = []  # of the part of each letterbox that is picture
    for picture, scale in zip(pictures, scales, strict=True):
        height, width = picture.shape[1:]
        sizes.append((height * scale, width * scale))
    in_letterboxes = postprocess(*outputs, boxes, sizes, threshold=threshold, **how)
    results = []
    for i, detections in enumerate(in_letterboxes):
        results.append(_back(detections, scales[i], pictures[i]))
    return results


def _list(pictures) -> list:
    """Several pictures, or none; a single path or a number is no list of them."""
    if isinstance(pictures, list | tuple) and not pictures:
        return []
    return arguments.sequence("pictures", pictures, "a list of pictures")


def _insist_fitting(box_outputs: list[Tensor], anchor_boxes, sizes) -> None:
    """ValueError unless there is an anchor for each code, a size for each picture."""
    codes = sum(output[0].numel() // 4 for output in box_outputs)
    arguments.tensor("anchor_boxes", anchor_boxes, f"{codes} 4")
    pictures = len(box_outputs[0])
    if arguments.real_array("sizes", sizes, 2).shape != (pictures, 2):
        raise arguments.refuse("sizes", sizes, f"{pictures} pairs (height, width)")


def _insist_score(threshold) -> None:
    if not (isinstance(threshold, Real) and 0 <= threshold <= 1):
        told = arguments.shown(threshold)
        raise ValueError(f"threshold is {told}; scores lie between 0 and 1")


def _letterboxes(pictures: list[Tensor], model, side: int) -> tuple[Tensor, list]:
    """Pictures as a batch for the model, B 3 side side, and the scale of each."""
    config, weight = model.config, next(model.parameters())
    fill = tuple(round(255 * mean) for mean in config.mean)
    no_boxes = torch.zeros(0, 4)
    images, scales = [], []
    for picture in pictures:
        image, _, scale = data.letterbox(picture, no_boxes, side, fill)
        images.append(image)
        scales.append(scale)
    inputs = torch.stack(images).to(weight.device).to(weight.dtype)
    mean = torch.tensor(config.mean, dtype=weight.dtype, device=weight.device)
    std = torch.tensor(config.std, dtype=weight.dtype, device=weight.device)
    pixels = inputs / 255  # 0 to 1
    return (pixels - mean[:, None, None]) / std[:, None, None], scales


def _insist_numbers(outputs: tuple[list[Tensor], list[Tensor]]) -> None:
    """ValueError if a detector answered NaN: nothing found would be a lie."""
    for kind, levels in zip(("class", "box"), outputs, strict=True):
        for level, output in enumerate(levels):
            if output.isnan().any():
                raise ValueError(
                    f"the {kind} outputs of the model are NaN (level {level} of"
                    f" {len(levels)}): are its weights finite, and is {output.dtype}"
                    " wide enough for it?"
                )


def _back(detections: Detections, scale: float, picture: Tensor) -> Detections:
    """From pixels of the letterbox to those of the picture; boxes without area go."""
    boxes, scores, labels = detections
    boxes = clip(data.unletterbox(boxes, scale), *picture.shape[1:])
    full = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Detections(boxes[full], scores[full], labels[full])


def detect(model, image, threshold=0.3, **how) -> Detections:
    """The objects in one picture: boxes xyxy in its pixels, scores, labels from 0.

    `image` is a path, a PIL picture or a uint8 tensor (3, H, W); files may be grey,
    transparent, 16-bit or rotated by EXIF. Raises ValueError that says what else was
    given, or which file is no picture.
    """
    return detect_all(model, [image], threshold, **how)[0]


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
