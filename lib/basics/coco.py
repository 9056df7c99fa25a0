"""Photographs with boxes from any folder in COCO form, checked before they are used.

A COCO file is one JSON object with three lists, `images`, `annotations` and
`categories`, tied together by ids. Boxes are [x, y, width, height] in pixels from the
top left. Whatever is wrong in it is said at once, with the file and the id, because a
wrong box trains a wrong detector without a word.

Chapter 01. Support for `data`. Format: Lin et al. 2014, arxiv.org/abs/1405.0312.
"""

import json
import math
import os
import struct
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import ExifTags, Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F

KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}

MOST_PIXELS = 50_000_000  # 150 MB as RGB, and as much again on the way there
TURNS = {  # EXIF's orientation: what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadAnnotation(ValueError):
    """A picture or an annotation that cannot be used; names the file and the id."""


class Sample(NamedTuple):
    """One picture: image (3, H, W) uint8, boxes (N, 4) float32 xyxy in pixels,
    labels (N,) int64 from 0, and the id of the picture in its annotations."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    image_id: int


def read_image(source) -> UInt8[Tensor, "3 H W"]:
    """A picture as uint8 RGB, upright, whatever its file holds: the one reader.

    `source` is a path or a PIL picture. `CocoFolder` reads here, and so does
    `detection.decoding.read` for `detect`: a picture is the same pixels in training
    and in use. It is turned as EXIF says; 16-bit greys are scaled to 8 bits (PIL's own
    conversion clips them to white); what is transparent is laid on white.
    BadAnnotation, with the file's name, for whatever cannot be read so: missing,
    truncated, no file at all, over MOST_PIXELS, pixels without a known white.
    """
    if isinstance(source, Image.Image):
        name = getattr(source, "filename", "") or "image"
        return _named(name, lambda: _upright_rgb(source))
    if not isinstance(source, str | PathLike):
        kind = type(source).__name__
        raise BadAnnotation(f"image is of type {kind}; give a path or a PIL picture")

    def from_file():
        with Image.open(source) as picture:
            return _upright_rgb(picture)

    insist_on_file(source, "picture")
    return _named(source, from_file)


def insist_on_file(path, kind: str) -> None:
    """BadAnnotation unless path is a file; reading a pipe would wait for ever."""
    if os.path.isfile(path):
        return
    if os.path.exists(path):
        raise BadAnnotation(
            f"{path}: the {kind} cannot be read, for this is a folder, a pipe or a"
            " device; give a file"
        )
    raise BadAnnotation(f"{path}: there is no such {kind}")


def _named(name, read):
    """What `read()` gives; any error it meets is told with the picture's name."""
    try:
        return read()
    except BadAnnotation as error:
        raise BadAnnotation(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:  # PIL's own limit, before ours
        raise BadAnnotation(f"{name}: {error}; make it smaller first") from error
    except Exception as error:  # damaged files meet PIL in two dozen ways
        told = str(error) or type(error).__name__
        raise BadAnnotation(
            f"{name}: the picture cannot be read ({told}); restore the file"
        ) from error


def _upright_rgb(picture: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """Decode a PIL picture that may not be loaded yet; BadAnnotation without a name."""
    width, height = picture.size
    if width * height > MOST_PIXELS:  # said by its header: nothing is decoded yet
        raise BadAnnotation(
            f"{width} x {height} pixels are more than the {MOST_PIXELS:,} that are"
            " read at once; make it smaller first"
        )
    if picture.format == "EPS":
        raise BadAnnotation("an EPS drawing; store its pixels, as PNG for instance")
    _load(picture)
    turn = TURNS.get(_orientation(picture))
    if turn is not None:
        picture = picture.transpose(turn)
    return F.pil_to_tensor(_as_rgb(picture))


def _load(picture: Image.Image) -> None:
    """Decode the pixels, if nobody has done so yet."""
    if not hasattr(picture, "filename"):  # it never was a file
        picture.load()
        return
    name = picture.filename
    # A file with a name is mapped into memory, and then PIL 13 takes the height of a
    # turned grey TIFF for its width. A file without a name is read.
    picture.filename = ""
    try:
        picture.load()
    finally:
        picture.filename = name


def _orientation(picture: Image.Image) -> int | None:
    """EXIF's orientation, 1 to 8, if it is told. A decoded TIFF is upright already.

    Only this tag is looked at: PIL's `exif_transpose` writes all the others anew, and
    breaks off at those that cameras and editors wrote in odd types.
    """
    told = picture.getexif().get(ExifTags.Base.Orientation)
    if told is not None or picture.format == "TIFF":
        return told if isinstance(told, int) else None
    # PIL stops at the first tag whose value lies outside of the block, and never sees
    # what follows. Entries have 12 bytes: tag, type (3: two bytes), count, value.
    block = picture.info.get("exif", b"").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
        for i in range(entries):
            entry = struct.unpack_from(order + "HHIH", block, start + 2 + 12 * i)
            if entry[:2] == (ExifTags.Base.Orientation, 3):
                return entry[3]
    except struct.error:  # cut short: whatever it told is lost
        pass
    return None


def _as_rgb(picture: Image.Image) -> Image.Image:
    """A PIL picture of any mode in RGB: 16 bits scaled, transparent laid on white."""
    if picture.mode == "F":
        raise BadAnnotation("float pixels (mode F): which one is white? store 8 bits")
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)  # H W
        if grey.min() < 0 or grey.max() > 65535:
            raise BadAnnotation(
                f"grey from {grey.min()} to {grey.max()}: which one is white? store"
                " 8 or 16 bits, 0 is black"
            )
        return Image.fromarray((grey // 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        sheet = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(sheet, picture)
    return picture.convert("RGB")


def read_annotations(path) -> dict:
    """The COCO dictionary in a json file, its three lists and their keys checked."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadAnnotation(f"{path}: there is no such file") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise BadAnnotation(
            f"{path}: not JSON ({error}); a COCO annotation file was expected"
        ) from error
    for kind, keys in KEYS.items():
        entries = document.get(kind) if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise BadAnnotation(f"{path}: no list {kind!r}; COCO needs {list(KEYS)}")
        seen = set()
        for place, entry in enumerate(entries):
            where = f"{path}: {kind}[{place}]"
            if not isinstance(entry, dict):
                raise BadAnnotation(f"{where} is {entry!r}; it must be an object")
            missing = [key for key in keys if key not in entry]
            if missing:
                named = f" (id {entry['id']})" if "id" in entry else ""
                raise BadAnnotation(f"{where}{named} lacks {missing}; it needs {keys}")
            if type(entry["id"]) is not int:
                raise BadAnnotation(f"{where} has id {entry['id']!r}; use an integer")
            if entry["id"] in seen:
                raise BadAnnotation(
                    f"{where} repeats id {entry['id']}; each id may stand once"
                )
            seen.add(entry["id"])
    return document


def check_box(where: str, bbox, image: dict) -> None:
    """BadAnnotation unless bbox is [x, y, w, h], has area and lies in the picture.

    One pixel beyond the edge is allowed: annotation tools round.
    """
    numbers = isinstance(bbox, list) and all(isinstance(v, int | float) for v in bbox)
    if not numbers or len(bbox) != 4 or not all(map(math.isfinite, bbox)):
        raise BadAnnotation(f"{where} has bbox {bbox}; it must be 4 numbers, x y w h")
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        raise BadAnnotation(
            f"{where} has bbox {bbox} of no area; width and height must be above 0"
            " (is it perhaps x1 y1 x2 y2?)"
        )
    width, height = image["width"], image["height"]
    if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:
        raise BadAnnotation(
            f"{where} has bbox {bbox} outside its picture {image['id']}"
            f" ({image['file_name']}, {width} x {height} pixels);"
            f" x + w may reach {width} and y + h {height}"
        )


class CocoFolder(Dataset):
    """Any COCO json and its folder of pictures; item i is a `Sample`.

    Everything but the pixels is checked when it is opened, the pixels when they are
    read. An annotation that is known to be bad is left out by its id, in the open:
    `skip={918}`. Crowd regions are not boxes of one object and give no box; `.coco()`
    still has them. Labels count from 0 in the order of the category ids (COCO's ids
    have gaps); `.names` and `.category_ids` lead back. Raises BadAnnotation.
    """

    def __init__(self, annotations_json, images_folder, *, skip=frozenset()):
        self.path, self.folder = Path(annotations_json), Path(images_folder)
        self.document = read_annotations(self.path)
        categories = sorted(self.document["categories"], key=lambda c: c["id"])
        self.names = tuple(category["name"] for category in categories)
        self.category_ids = tuple(category["id"] for category in categories)
        self.images = self.document["images"]
        by_id = {image["id"]: image for image in self.images}
        self.annotations = {image_id: [] for image_id in by_id}
        for image in self.images:
            if not (self.folder / image["file_name"]).is_file():
                raise BadAnnotation(
                    f"{self.path}: image {image['id']} names {image['file_name']},"
                    f" which is not in {self.folder}"
                )
        for annotation in self.document["annotations"]:
            if annotation["id"] in skip:
                continue
            self._check(annotation, by_id)
            if not annotation.get("iscrowd", 0):
                self.annotations[annotation["image_id"]].append(annotation)

    def _check(self, annotation: dict, by_id: dict) -> None:
        where = f"{self.path}: annotation {annotation['id']}"
        if annotation["image_id"] not in by_id:
            raise BadAnnotation(
                f"{where} belongs to image {annotation['image_id']!r}, which is not"
                " among the images"
            )
        if annotation["category_id"] not in self.category_ids:
            raise BadAnnotation(
                f"{where} has the unknown category {annotation['category_id']!r};"
                f" known are {self.category_ids}"
            )
        check_box(where, annotation["bbox"], by_id[annotation["image_id"]])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"picture {i} of {len(self)}")  # also ends a for loop
        entry = self.images[i]
        try:
            image = read_image(self.folder / entry["file_name"])
        except BadAnnotation as error:
            raise BadAnnotation(f"image {entry['id']}: {error}") from error
        height, width = image.shape[1:]
        if (width, height) != (entry["width"], entry["height"]):
            raise BadAnnotation(
                f"{self.path}: image {entry['id']} ({entry['file_name']}) is said to be"
                f" {entry['width']} x {entry['height']} pixels, but upright it is"
                f" {width} x {height}; its boxes would be wrong"
            )
        annotations = self.annotations[entry["id"]]
        xywh = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float32)
        xywh = xywh.reshape(-1, 4)  # a picture without objects has boxes of (0, 4)
        boxes = torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1)
        labels = [self.category_ids.index(a["category_id"]) for a in annotations]
        labels = torch.tensor(labels, dtype=torch.int64)
        return Sample(image, boxes, labels, entry["id"])

    def coco(self) -> dict:
        """The annotations as they stand in the file, crowds included."""
        return self.document


def document(names, height: int, width: int, targets) -> dict:
    """A COCO dictionary for pictures of one size, numbered from 1.

    `targets` gives (boxes, labels) for each picture: xyxy pixels, labels from 0.
    Category ids are label + 1 and boxes become xywh. COCO's area is that of an
    outline; there is none here, so it is the area of the box.
    """
    images, annotations = [], []
    for image_id, (boxes, labels) in enumerate(targets, start=1):
        name = f"{image_id:06}.png"
        images.append(
            {"id": image_id, "file_name": name, "width": width, "height": height}
        )
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            annotations.append(annotation)
    return {
        "info": {"description": "drawn by lib.data"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(names)],
    }


def write_coco(dataset, folder) -> Path:
    """Write a dataset that has `.coco()` as annotations.json and images/*.png.

    PNG keeps every pixel. Returns the path of the json; `CocoFolder(path,
    path.parent / "images")` reads it back.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    document = dataset.coco()
    for i, entry in enumerate(document["images"]):
        picture = F.to_pil_image(dataset[i].image)
        picture.save((folder / "images" / entry["file_name"]).with_suffix(".png"))
    path = folder / "annotations.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
