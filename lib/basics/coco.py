"""Photographs with boxes from any folder in COCO form, checked before they are used.

A COCO file is one JSON object with three lists, `images`, `annotations` and
`categories`, tied together by ids. Boxes are [x, y, width, height] in pixels from the
top left. Whatever is wrong in it is said at once, with the file and the id, because a
wrong box trains a wrong detector without a word.

Chapter 01. Support for `data`. Format: Lin et al. 2014, arxiv.org/abs/1405.0312.
"""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F

from lib.basics import arguments, files
from lib.basics.photographs import BadAnnotation, insist_on_file, read_image

KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


class Sample(NamedTuple):
    """One picture: image (3, H, W) uint8, boxes (N, 4) float32 xyxy in pixels,
    labels (N,) int64 from 0, and the id of the picture in its annotations."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    image_id: int


def read_annotations(path) -> dict:
    """The COCO dictionary in a json file, its three lists and their keys checked."""
    insist_on_file(path, "file")
    try:
        # Bytes, so that `json` finds the encoding: Windows tools write UTF-8 with a
        # byte order mark, or UTF-16.
        document = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:  # no text, no JSON, or too deep
        raise BadAnnotation(
            f"{path}: not JSON ({error}); a COCO annotation file was expected"
        ) from error
    for kind, keys in KEYS.items():
        entries = document.get(kind) if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise BadAnnotation(f"{path}: no list {kind!r}; COCO needs {list(KEYS)}")
        _check_entries(f"{path}: {kind}", entries, keys)
    for image in document["images"]:
        _check_image(f"{path}: image {image['id']}", image)
    for category in document["categories"]:
        name = category["name"]
        if not isinstance(name, str):
            raise BadAnnotation(
                f"{path}: category {category['id']} has the name {name!r}; write it as"
                ' text, in "quotes"'
            )
    return document


def _check_entries(where: str, entries: list, keys: tuple[str, ...]) -> None:
    """BadAnnotation unless each entry is an object with these keys and its own id."""
    seen = set()
    for place, entry in enumerate(entries):
        here = f"{where}[{place}]"
        if not isinstance(entry, dict):
            raise BadAnnotation(f"{here} is {entry!r}; it must be an object")
        missing = [key for key in keys if key not in entry]
        if missing:
            named = f" (id {entry['id']})" if "id" in entry else ""
            raise BadAnnotation(f"{here}{named} lacks {missing}; it needs {keys}")
        if type(entry["id"]) is not int:
            raise BadAnnotation(f"{here} has id {entry['id']!r}; use an integer")
        if entry["id"] in seen:
            raise BadAnnotation(
                f"{here} repeats id {entry['id']}; each id may stand once"
            )
        seen.add(entry["id"])


def _check_image(where: str, image: dict) -> None:
    """BadAnnotation unless the entry of an image names a file and whole sides."""
    name = image["file_name"]
    if not isinstance(name, str):
        raise BadAnnotation(f"{where} has file_name {name!r}; write it as text")
    for side in ("width", "height"):
        pixels = image[side]
        if not is_number(pixels) or pixels < 1 or pixels != int(pixels):
            raise BadAnnotation(
                f"{where} ({name}) has {side} {shorten(pixels)}; give whole pixels"
            )


def _is_plain(value) -> bool:
    """True for an int or a float; JSON's true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_number(value) -> bool:
    """True for a number of a size that pixels can have: no NaN, no 10**400."""
    return _is_plain(value) and -1e9 < value < 1e9


def shorten(value) -> str:
    """A value of a file as it is told in a message: not over 60 signs of it."""
    told = repr(value)
    return told if len(told) <= 60 else told[:57] + "..."


def check_box(where: str, bbox, image: dict) -> None:
    """BadAnnotation unless bbox is [x, y, w, h], has area and lies in the picture.

    One pixel beyond the edge is allowed: annotation tools round.
    """
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_number, bbox)):
        raise BadAnnotation(
            f"{where} has bbox {shorten(bbox)}; it must be 4 numbers, x y w h"
        )
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        raise BadAnnotation(
            f"{where} has bbox {bbox} of no area; width and height must be above 0"
            " (is it perhaps x1 y1 x2 y2?)"
        )
    width, height = image["width"], image["height"]
    beyond = x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1
    beside = x >= width or y >= height or x + w <= 0 or y + h <= 0
    if beyond or beside:
        raise BadAnnotation(
            f"{where} has bbox {bbox} outside its picture {image['id']}"
            f" ({image['file_name']}, {width} x {height} pixels);"
            f" x + w may reach {width} and y + h {height}"
        )
    # float32 tells numbers apart to 24 bits. Corners have to stay two corners when
    # a picture is scaled and cut, so three bits are kept for that.
    if w <= (abs(x) + w) * 2**-21 or h <= (abs(y) + h) * 2**-21:
        raise BadAnnotation(
            f"{where} has bbox {bbox} of no area in float32: too thin where it stands"
        )


def inside(root: str, name: str, where: str) -> str:
    """The path of a file in a folder (`os.path.realpath`), by the name a document says.

    BadAnnotation for a name that leads out of the folder: absolute, by "..", or by a
    symbolic link. Documents come from others; they shall not choose what is read, or
    written over.
    """
    path = os.path.join(root, name)
    try:
        real = os.path.realpath(path)
        out = os.path.isabs(name) or os.path.commonpath([real, root]) != root
    except ValueError:  # a name that no file can have, or another drive
        out = True
    if out or real == root:
        raise BadAnnotation(
            f"{where} names {shorten(name)}, which is not a file inside {root}; give a"
            " name relative to that folder"
        )
    return path


class CocoFolder(Dataset):
    """Any COCO json and its folder of pictures; item i is a `Sample`.

    Everything but the pixels is checked when it is opened, the pixels when they are
    read. An annotation that is known to be bad is left out by its id, in the open:
    `skip={918}`. With `drop_bad_boxes` every box that `check_box` refuses is left out;
    `.dropped` maps the ids of these annotations to what was wrong. Crowd regions are
    not boxes of one object and give no box. `.coco()` still has all of them. Labels
    count from 0 in the order of the category ids (COCO's ids have gaps); `.names` and
    `.category_ids` lead back. Raises BadAnnotation.
    """

    def __init__(
        self, annotations_json, images_folder, *, skip=frozenset(), drop_bad_boxes=False
    ):
        self.path, self.folder = Path(annotations_json), Path(images_folder)
        self.document = read_annotations(self.path)
        categories = sorted(self.document["categories"], key=lambda c: c["id"])
        self.names = tuple(category["name"] for category in categories)
        self.category_ids = tuple(category["id"] for category in categories)
        self.images = self.document["images"]
        self.root = os.path.realpath(self.folder)
        by_id = {image["id"]: image for image in self.images}
        for image in self.images:
            self.picture_path(image)
        self.annotations = {image_id: [] for image_id in by_id}
        self.dropped: dict[int, str] = {}
        for annotation in self.document["annotations"]:
            if annotation["id"] in skip:
                continue
            self._check(annotation, by_id)
            image = by_id[annotation["image_id"]]
            try:
                check_box(self._where(annotation), annotation["bbox"], image)
            except BadAnnotation as error:
                if not drop_bad_boxes:
                    raise BadAnnotation(
                        f"{error}. Mend it, or leave it out:"
                        f" skip={{{annotation['id']}}}, or drop_bad_boxes=True for all"
                        " such boxes"
                    ) from error
                self.dropped[annotation["id"]] = str(error)
                continue
            if not annotation.get("iscrowd", 0):
                self.annotations[annotation["image_id"]].append(annotation)

    def picture_path(self, image: dict) -> str:
        """The file of an entry of `images`; BadAnnotation if the folder lacks it."""
        where, name = f"{self.path}: image {image['id']}", image["file_name"]
        path = inside(self.root, name, where)
        if not os.path.isfile(path):
            raise BadAnnotation(f"{where} names {name}, which is not in {self.folder}")
        return path

    def _where(self, annotation: dict) -> str:
        return f"{self.path}: annotation {annotation['id']}"

    def _check(self, annotation: dict, by_id: dict) -> None:
        where = self._where(annotation)
        image_id, category_id = annotation["image_id"], annotation["category_id"]
        if not _is_plain(image_id) or image_id not in by_id:
            raise BadAnnotation(
                f"{where} belongs to image {shorten(image_id)}, which is not among the"
                " images"
            )
        if not _is_plain(category_id) or category_id not in self.category_ids:
            raise BadAnnotation(
                f"{where} has the unknown category {shorten(category_id)};"
                f" known are {self.category_ids}"
            )
        crowd = annotation.get("iscrowd", 0)
        if not isinstance(crowd, int | float) or crowd not in (0, 1):
            # A text would count as true, "0" too, and the box would be gone.
            raise BadAnnotation(f"{where} has iscrowd {shorten(crowd)}; use 0 or 1")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < len(self):
            raise IndexError(f"picture {i} of {len(self)}")  # also ends a for loop
        entry = self.images[i]
        try:
            image = read_image(self.picture_path(entry))
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
    """Write a dataset that has `.coco()` as annotations.json and a folder images.

    Returns the path of the json; `CocoFolder(path, path.parent / "images")` reads the
    same annotations and pixels back. The files of a CocoFolder are copied as they are;
    other pictures become PNG, which keeps every pixel, so a name that does not end in
    .png gets it added, there and in the json. BadAnnotation, before anything is
    written, for names that leave the folder or of which two are one, and for a folder
    that is the dataset's own.
    """
    if not hasattr(dataset, "coco"):
        kind = type(dataset).__name__
        raise TypeError(f"dataset: a {kind} has no .coco(); nothing to write")
    if os.path.isfile(arguments.path("folder", folder)):
        raise arguments.refuse("folder", folder, "a folder; there is a file")
    path, images = Path(folder) / "annotations.json", Path(folder) / "images"
    if isinstance(dataset, CocoFolder):
        document = dataset.coco()
        targets = _targets(document, images)
        sources = [dataset.picture_path(entry) for entry in dataset.images]
        old = {os.path.realpath(file) for file in [*sources, dataset.path]}
        if not old.isdisjoint({os.path.realpath(file) for file in [*targets, path]}):
            raise BadAnnotation(f"{folder} holds the dataset itself; give another one")
        for source, target in zip(sources, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    else:
        document = _with_png_names(dataset.coco())
        targets = _targets(document, images)
        twice = [file for file, times in Counter(targets).items() if times > 1]
        if twice:
            raise BadAnnotation(
                f"two images of the dataset name {twice[0].name}; one would be lost"
            )
        for i, target in enumerate(targets):
            target.parent.mkdir(parents=True, exist_ok=True)
            F.to_pil_image(dataset[i].image).save(target, "PNG")
    images.mkdir(parents=True, exist_ok=True)  # also where there is no picture
    files.write_file(path, json.dumps(document).encode())  # last: all it names is there
    return path


def _targets(document: dict, images: Path) -> list[Path]:
    """The file of each image of a document, all inside one folder."""
    root, targets = os.path.realpath(images), []
    for entry in document["images"]:
        where = f"image {entry['id']} of the dataset"
        _check_image(where, entry)
        target = inside(root, entry["file_name"], where)
        targets.append(Path(os.path.normpath(target)))
    return targets


def _with_png_names(document: dict) -> dict:
    """The same document with a name that ends in .png for each picture."""
    images = []
    for entry in document["images"]:
        name = str(entry["file_name"])
        png = name if name.lower().endswith(".png") else f"{name}.png"
        images.append(entry | {"file_name": png})
    return document | {"images": images}
