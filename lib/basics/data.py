"""Pictures with labels: digit crops, digit scenes, any COCO folder.

Real handwriting (scikit-learn's digits) is split by source image before anything is
drawn, so no stroke is shared between training and test. `crops` feed classifiers,
`scenes` feed detectors, and both are drawn by `drawing`, byte for byte the same
everywhere. A folder of photographs in COCO form gives the same `Sample`s.

Chapter 01. Digits: Alpaydin & Kaynak 1998 (UCI); COCO: arxiv.org/abs/1405.0312.
"""

import functools
import inspect
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F

import lib
from lib.basics import arguments, cache, coco, drawing
from lib.basics.coco import BadAnnotation, CocoFolder, read_image, write_coco  # noqa: F401
from lib.basics.coco import Sample as Sample

SPLITS = ("train", "validation", "test")
DIFFICULTY = 0.5  # measured: data/ablations/difficulty.jsonl
MOST_PIXELS = 2**16  # a side of a square picture
MEAN_COLOUR = (124, 116, 104)  # ImageNet's mean, 255 * (0.485, 0.456, 0.406)
FOLDER = lib.ROOT / "data"
KEPT = {
    "crops": {"images", "labels"},
    "scenes": {"images", "boxes", "labels", "starts"},
}
CACHE: Path | None = FOLDER / ".cache"  # None: everything is drawn anew


class Digits(NamedTuple):
    """Scanned digits: images (1797, 8, 8) uint8 0..16, labels, split names."""

    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray


class Batch(NamedTuple):
    """Pictures of one size, stacked; boxes and labels stay lists, N differs."""

    images: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    image_ids: list[int]


def split_names(labels: np.ndarray) -> np.ndarray:
    """The split of each scan: a fixed rule, with no chance and no float in it.

    Within a class, in file order, of every five images the fourth is for validation
    and the fifth for test.
    """
    count = len(labels)
    split = np.full(count, "train", "<U10")
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        split[members[3::5]] = "validation"
        split[members[4::5]] = "test"
    return split


@functools.cache
def digits() -> Digits:
    """All scanned digits and the split each belongs to; the arrays are read-only."""
    from sklearn.datasets import load_digits  # here: it takes a second to import

    raw = load_digits()
    labels = raw.target.astype(np.int64)
    result = Digits(raw.images.astype(np.uint8), labels, split_names(labels))
    for array in result:
        array.setflags(write=False)
    return result


def sources(split: str) -> np.ndarray:
    """Indices into `digits()` of the images that a split may draw."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown: choose one of {SPLITS}")
    return np.flatnonzero(digits().split == split)


def _pool(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Height fields and labels of the scans that a split may draw."""
    chosen = sources(split)
    height_fields = drawing.fields(digits().images[chosen])
    return height_fields, digits().labels[chosen]


def _draw_crops(
    split: str, n: int, size: int, mille: int, seed: int
) -> dict[str, np.ndarray]:
    """What `crops` keeps: images (n, 3, size, size) uint8 and labels (n,)."""
    height_fields, labels = _pool(split)
    images, source = drawing.crops((split, seed), height_fields, n, size, mille)
    return {"images": images, "labels": labels[source]}


def _draw_scenes(
    split: str, n: int, size: int, seed: int, mille: int, digits: tuple, pixels: tuple
) -> dict[str, np.ndarray]:
    """What `scenes` keeps: images, and the boxes and labels of all, end to end."""
    height_fields, labels = _pool(split)
    images, boxes, drawn = [], [], []
    for i in range(n):
        key = split, seed, i
        scene = drawing.scene(key, height_fields, size, mille, digits, pixels)
        images.append(scene[0])
        boxes.append(scene[1])
        drawn.append(scene[2])
    return {
        "images": np.stack(images),
        "boxes": np.concatenate(boxes),
        "labels": labels[np.concatenate(drawn)],
        "starts": np.cumsum([0] + [len(b) for b in boxes]),
    }


def _count(n) -> int:
    """How many pictures: not more than a machine could hold."""
    return arguments.whole_number("n", n, most=10**7)


def _mille(difficulty) -> int:
    """Difficulty 0..1 as an integer 0..1000, the last float before a pixel."""
    difficulty = arguments.real_number("difficulty", difficulty)
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty {difficulty} is outside 0 (easy) to 1 (hard)")
    return round(difficulty * 1000)


# ---- what was drawn is kept ----------------------------------------------------------


@functools.cache
def _generator() -> str:
    """The text of all that decides a pixel or a box, and of nothing else."""
    parts = [Path(drawing.__file__).read_text("utf-8")]
    for function in (split_names, sources, _pool, _draw_crops, _draw_scenes):
        parts.append(inspect.getsource(inspect.unwrap(function)))
    return "\n".join(parts)


def _kept(kind: str, draw, *how) -> dict[str, np.ndarray]:
    """What `draw(*how)` gives, from the cache if it stands there."""
    if CACHE is None:
        return draw(*how)
    return cache.kept(CACHE, kind, KEPT[kind], _generator(), lambda: draw(*how), how)


# ---- crops and scenes ----------------------------------------------------------------


def crops(
    split: str,
    n: int,
    *,
    size: int = 16,
    difficulty: float | int = DIFFICULTY,
    seed: int = 0,
) -> tuple[UInt8[Tensor, "n 3 size size"], Tensor]:
    """`n` pictures of one digit each: images uint8, labels int64 (n,).

    Difficulty runs from 0 to 1: fainter ink, stronger texture, noise, slant, clutter.
    More crops of the same seed begin with the same crops. ValueError for bad input.
    """
    n, size = _count(n), arguments.whole_number("size", size)
    seed = arguments.seed(seed)
    if n < 1 or not 8 <= size <= 256:
        raise ValueError(f"n {n} must be at least 1, size {size} within 8..256")
    mille = _mille(difficulty)
    drawn = _kept("crops", _draw_crops, split, n, size, mille, seed)
    return torch.from_numpy(drawn["images"]), torch.from_numpy(drawn["labels"])


class Scenes(Dataset):
    """Drawn scenes; item i is a `Sample`, `.coco()` the same as a COCO dictionary."""

    names = tuple("0123456789")

    def __init__(self, images, boxes, labels, starts):
        self.images = images  # (n, 3, H, W) uint8
        self.boxes = boxes  # of all scenes, (M, 4)
        self.labels = labels  # (M,)
        self.starts = starts  # scene i owns rows starts[i] up to starts[i + 1]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"scene {i} of {len(self)}")  # also ends a for loop
        rows = slice(self.starts[i], self.starts[i + 1])
        image = torch.from_numpy(self.images[i])
        boxes = torch.from_numpy(self.boxes[rows]).float()
        return Sample(image, boxes, torch.from_numpy(self.labels[rows]), i + 1)

    def coco(self) -> dict:
        """The annotations as COCO writes them: category ids 1..10, boxes xywh."""
        pairs = zip(self.starts, self.starts[1:], strict=False)
        targets = [
            (self.boxes[i:j].tolist(), self.labels[i:j].tolist()) for i, j in pairs
        ]
        return coco.document(self.names, *self.images.shape[2:], targets)


def scenes(
    split: str,
    n: int,
    *,
    size: int = 128,
    seed: int = 0,
    difficulty: float | int = DIFFICULTY,
    digits: tuple[int, int] = (1, 5),
    pixels: tuple[int, int] = (14, 72),
) -> Scenes:
    """`n` pictures of several digits, each with a box round the ink one can see.

    `digits` and `pixels` give least and most: how many digits, and how high. Scene i
    depends on the seed and on i alone. ValueError for bad input.
    """
    n, size = _count(n), arguments.whole_number("size", size)
    seed = arguments.seed(seed)
    digits = arguments.whole_numbers("digits", digits)
    pixels = arguments.whole_numbers("pixels", pixels)
    if n < 1 or not 32 <= size <= 1024:
        raise ValueError(f"n {n} must be at least 1, size {size} within 32..1024")
    if len(digits) != 2 or not 1 <= digits[0] <= digits[1]:
        raise ValueError(f"digits {digits} must be (least, most) with 1 <= least")
    if len(pixels) != 2 or not 8 <= pixels[0] <= pixels[1] <= size * 2 // 3:
        raise ValueError(
            f"pixels {pixels} must be (least, most), within 8..{size * 2 // 3}"
            " (two thirds of the size, so that a slanted digit still fits)"
        )
    how = split, n, size, seed, _mille(difficulty), digits, pixels
    return Scenes(**_kept("scenes", _draw_scenes, *how))


def cifar10(
    root, split: str, *, download: bool = False
) -> tuple[UInt8[Tensor, "n 3 32 32"], Tensor]:
    """CIFAR-10 in the form of `crops`: 45,000, 5,000 and 10,000 photographs.

    Fetches 170 MB only if `download` is true. ValueError says how to get it if absent.
    """
    from torchvision.datasets import CIFAR10

    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown: choose one of {SPLITS}")
    try:
        raw = CIFAR10(root, train=split != "test", download=download)
    except RuntimeError as error:
        raise ValueError(
            f"CIFAR-10 is not in {root}: call cifar10({str(root)!r}, {split!r},"
            " download=True) once while online, or unpack cifar-10-python.tar.gz there"
        ) from error
    part = {"train": slice(45_000), "validation": slice(45_000, None)}
    rows = part.get(split, slice(None))
    images = torch.from_numpy(raw.data[rows]).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(raw.targets[rows])


# ---- pictures and boxes move together ------------------------------------------------


def _check(image, boxes, size=1, fill=MEAN_COLOUR) -> None:
    """ValueError unless these are a picture, its boxes, a size and a colour."""
    arguments.tensor("image", image, "3 H W", torch.uint8)
    arguments.tensor("boxes", boxes, "N 4")
    if not image.numel():
        raise ValueError(f"image of shape {tuple(image.shape)} holds no pixel")
    if not boxes.is_floating_point():
        raise ValueError(f"boxes are {boxes.dtype}; give floats, x1 y1 x2 y2 in pixels")
    arguments.whole_number("size", size, 1, MOST_PIXELS)
    if len(arguments.sequence("fill", fill, "three whole numbers, 0 to 255")) != 3:
        raise arguments.refuse("fill", fill, "three whole numbers, 0 to 255")
    for colour in fill:
        arguments.whole_number("fill", colour, 0, 255)


def _resize(image: Tensor, rows: int, columns: int) -> Tensor:
    """A picture of `rows` by `columns`, antialiased; untouched if it has them."""
    if (rows, columns) == image.shape[1:]:
        return image
    return F.resize(image, [rows, columns], antialias=True)  # 3 rows columns


def _pad(image: Tensor, size: int, fill: tuple[int, int, int]) -> Tensor:
    """A picture in the top left of a square, the rest in one colour."""
    colour = torch.tensor(fill, dtype=torch.uint8).reshape(3, 1, 1)
    canvas = colour.repeat(1, size, size)  # 3 size size
    height, width = image.shape[1:]
    canvas[:, :height, :width] = image
    return canvas


@arguments.named
def letterbox_geometry(
    boxes: Float[Tensor, "N 4"], height: int, width: int, size: int
) -> tuple[Float[Tensor, "N 4"], float, tuple[int, int]]:
    """Boxes of a picture in its letterbox, the scale, and its (rows, columns) there.

    A picture `height` by `width` goes to the top left of a square of `size` pixels, as
    large as it fits. Boxes are xyxy pixels. Rows and columns are whole, and at least 1.

    >>> boxes = torch.tensor([[2.0, 1.0, 5.0, 3.0]])
    >>> letterbox_geometry(boxes, 4, 6, 12)  # three times 6 is more than 12: only twice
    (tensor([[ 4.,  2., 10.,  6.]]), 2.0, (8, 12))
    """
    scale = min(size / height, size / width)  # Eq. 1.1
    moved = boxes * scale  # N 4, Eq. 1.2
    rows = max(1, round(height * scale))
    columns = max(1, round(width * scale))
    return moved, scale, (rows, columns)


def letterbox(
    image: UInt8[Tensor, "3 H W"],
    boxes: Float[Tensor, "N 4"],
    size: int,
    fill: tuple[int, int, int] = MEAN_COLOUR,
) -> tuple[UInt8[Tensor, "3 size size"], Float[Tensor, "N 4"], float]:
    """Fit a picture into a square: aspect kept, at the top left, the rest filled.

    Boxes are xyxy pixels and move along. Returns image, boxes and the scale, which
    `unletterbox` needs. Source: the EfficientDet reference code pads this way.

    >>> picture = torch.zeros(3, 4, 6, dtype=torch.uint8)
    >>> box = torch.tensor([[2.0, 1.0, 5.0, 3.0]])
    >>> square, moved, scale = letterbox(picture, box, 12)
    >>> scale, moved.tolist()  # 12 / 4 is 3 and 12 / 6 is 2: only twice fits
    (2.0, [[4.0, 2.0, 10.0, 6.0]])
    >>> square[0, 7:10, 0].tolist()  # eight rows of picture, then the fill
    [0, 124, 124]
    """
    _check(image, boxes, size, fill)
    height, width = image.shape[1:]
    moved, scale, sides = letterbox_geometry(boxes, height, width, size)
    rows, columns = map(int, sides)
    resized = _resize(image, rows, columns)  # 3 rows columns
    square = _pad(resized, size, fill)  # 3 size size
    return square, moved, scale


@arguments.named
def unletterbox(
    boxes: Float[Tensor, "N 4"], scale: float | int
) -> Float[Tensor, "N 4"]:
    """Boxes in a letterbox back to pixels of the picture: top left needs no offset."""
    return boxes / scale  # Eq. 1.3


def _check_jitter(sample, generator, scales, keep) -> None:
    """ValueError unless these can be drawn from: two factors, a share of the area."""
    if not hasattr(sample, "image") or not hasattr(sample, "boxes"):
        raise arguments.refuse("sample", sample, "a Sample, with .image and .boxes")
    if generator is not None:  # None: torch's own random numbers
        arguments.instance("generator", generator, torch.Generator)
    if len(arguments.sequence("scales", scales, "two factors")) != 2:
        raise arguments.refuse("scales", scales, "two factors, least and most")
    for scale in scales:
        arguments.real_number("scales", scale, above=0)
    arguments.real_number("keep", keep, least=0, most=1)


def hflip(
    image: UInt8[Tensor, "3 H W"],
    boxes: Float[Tensor, "N 4"],
) -> tuple[UInt8[Tensor, "3 H W"], Float[Tensor, "N 4"]]:
    """Mirror a picture left to right; boxes are xyxy pixels.

    The right edge becomes the left one, so x1 and x2 change places.

    >>> strip = torch.arange(10, dtype=torch.uint8).repeat(3, 2, 1)  # value = column
    >>> mirrored, moved = hflip(strip, torch.tensor([[1.0, 0.0, 4.0, 2.0]]))
    >>> moved.tolist(), mirrored[0, 0, 6:9].tolist()  # 10 - 4 and 10 - 1
    ([[6.0, 0.0, 9.0, 2.0]], [3, 2, 1])
    """
    _check(image, boxes)
    width = image.shape[2]
    x1, y1, x2, y2 = boxes.unbind(1)  # each N
    left = width - x2  # Eq. 1.4
    right = width - x1
    moved = torch.stack([left, y1, right, y2], dim=1)  # N 4
    return image.flip(2), moved


def scale_jitter(
    sample: Sample,
    size: int,
    *,
    generator: torch.Generator,
    scales: tuple = (0.1, 2.0),
    keep: float | int = 0.5,
    fill: tuple[int, int, int] = MEAN_COLOUR,
) -> Sample:
    """Resize by a random factor, then cut or fill to a square of `size` pixels.

    Factor 1 is the letterbox; below it the picture is small and padded, above it a
    random part is cut out. Boxes are cut too; one that keeps less than `keep` of its
    area goes, with its label. Source: EfficientDet, section 5.1, scales 0.1 to 2.0.
    """
    _check_jitter(sample, generator, scales, keep)
    _check(sample.image, sample.boxes, size, fill)
    chance = torch.rand(3, generator=generator, dtype=torch.float64)
    of_scale, *of_place = chance.tolist()
    height, width = sample.image.shape[1:]
    least, most = scales
    factor = least + (most - least) * of_scale
    fits = min(size / height, size / width)  # Eq. 1.1
    scale = factor * fits
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    resized = _resize(sample.image, rows, columns)  # 3 rows columns
    part, corner = _random_part(resized, size, of_place)
    square = _pad(part, size, fill)  # 3 size size

    moved = sample.boxes * scale - corner  # N 4
    cut = moved.clamp(0, size)  # N 4
    kept = _area(cut) >= keep * _area(moved)  # N, Eq. 1.5
    boxes = cut[kept]
    labels = sample.labels[kept]
    return Sample(square, boxes, labels, sample.image_id)


def _random_part(image: Tensor, size: int, chance: list) -> tuple[Tensor, Tensor]:
    """At most `size` pixels of each side, and their corner twice: x, y, x, y."""
    height, width = image.shape[1:]
    left = _start_of_cut(width, size, chance[0])
    top = _start_of_cut(height, size, chance[1])
    part = image[:, top : top + size, left : left + size]
    return part, torch.tensor([left, top, left, top])


def _start_of_cut(side: int, size: int, chance: float) -> int:
    """Where a cut of `size` begins on a side: every place that fits is as likely."""
    places = max(0, side - size) + 1
    return int(chance * places)


def _area(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    x1, y1, x2, y2 = boxes.unbind(1)
    return (x2 - x1) * (y2 - y1)


def collate(samples: list[Sample]) -> Batch:
    """Stack pictures of one size: `DataLoader(..., collate_fn=collate)`.

    ValueError names the first picture of another size.
    """
    for sample in arguments.sequence("samples", samples, "a list of samples"):
        arguments.instance("a sample", sample, Sample)
        shape, first = tuple(sample.image.shape), tuple(samples[0].image.shape)
        if shape != first:
            raise ValueError(
                f"picture {sample.image_id} is {shape}, the first is {first}: letterbox"
                " them to one size before collate"
            )
    images, boxes, labels, ids = zip(*samples, strict=True)
    return Batch(torch.stack(images), list(boxes), list(labels), list(ids))
