"""Annotations as the world writes them: read right, or refused by name."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from lib.basics import coco


def noise(height, width):
    random_ = np.random.default_rng(0)
    return random_.integers(0, 256, (height, width, 3), dtype=np.uint8)


# ---- what COCO files hold ------------------------------------------------------------


def write(tmp_path, change=lambda document: None, names=("a.png", "b.png")):
    """Pictures of 64 x 48 in tmp_path/images, one box each; then one change."""
    images, annotations = [], []
    for i, name in enumerate(names, start=1):
        place = tmp_path / "images" / str(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(48, 64)).save(place)
        images.append({"id": i, "file_name": name, "width": 64, "height": 48})
        box = {"id": i, "image_id": i, "category_id": 2, "bbox": [4, 4, 20, 20]}
        annotations.append(box | {"area": 400, "iscrowd": 0})
    categories = [{"id": 2, "name": "cat", "supercategory": "animal"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    document["info"] = {"year": 2017}
    change(document)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path, tmp_path / "images"


def first(kind, **changes):
    return lambda document: document[kind][0].update(changes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_files_of_windows_tools_are_read(tmp_path, encoding):
    path, images = write(tmp_path, first("categories", name="\u732b"))
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    assert coco.CocoFolder(path, images).names == ("\u732b",)


@pytest.mark.parametrize(
    "change, said",
    [
        (first("images", file_name=999), "image 1 has file_name 999; write it as text"),
        (first("images", file_name=None), "image 1 has file_name None"),
        (first("images", width="64"), r"image 1 \(a.png\) has width '64'; give whole"),
        (first("images", width=None), "image 1 .*has width None"),
        (first("images", height=[48]), r"image 1 .*has height \[48\]"),
        (first("images", height=0), "image 1 .*has height 0"),
        (first("images", width=63.5), "image 1 .*has width 63.5"),
        (first("images", width=True), "image 1 .*has width True"),
        (first("annotations", image_id=[1]), r"annotation 1 belongs to image \[1\]"),
        (first("annotations", image_id={"id": 1}), "annotation 1 belongs to image {"),
        (first("annotations", image_id=True), "annotation 1 belongs to image True"),
        (first("annotations", category_id="2"), "annotation 1 .*unknown category '2'"),
        (first("annotations", category_id=[2]), r"annotation 1 .*category \[2\]"),
        (first("annotations", bbox=[10**400, 4, 20, 20]), "annotation 1 .*x y w h"),
        (first("annotations", bbox=["4", "4", "20", "20"]), "annotation 1 .*4 numbers"),
        (first("annotations", bbox=[True, 4, 20, 20]), "annotation 1 .*4 numbers"),
        (first("annotations", bbox=None), "annotation 1 has bbox None"),
        (first("annotations", bbox=[-0.9, 4, 0.5, 9]), "annotation 1 .*outside"),
        (first("annotations", bbox=[64.2, 4, 0.5, 9]), "annotation 1 .*outside"),
        (first("annotations", iscrowd="0"), "annotation 1 has iscrowd '0'; use 0 or 1"),
        (first("annotations", iscrowd="no"), "annotation 1 has iscrowd 'no'"),
        (first("annotations", iscrowd=2**31), "annotation 1 has iscrowd 2147483648"),
        (first("annotations", iscrowd=None), "annotation 1 has iscrowd None"),
        (first("categories", name=None), "category 2 has the name None; write it as"),
        (first("categories", name=7), "category 2 has the name 7"),
        (first("categories", name=["cat"]), r"category 2 has the name \['cat'\]"),
        (first("categories", id=True), r"categories\[0\] has id True"),
    ],
)  # fmt: skip
def test_entries_that_exporters_write_are_refused_by_id(tmp_path, change, said):
    path, images = write(tmp_path, change)
    with pytest.raises(coco.BadAnnotation, match=rf"annotations\.json: {said}") as told:
        coco.CocoFolder(path, images)
    assert len(str(told.value)) < 400


def test_numbers_that_pandas_writes_are_the_same_numbers(tmp_path):
    """Columns with a gap become floats: 1.0 is 1."""
    path, images = write(tmp_path, first("annotations", image_id=1.0, iscrowd=0.0))
    folder = coco.CocoFolder(path, images)
    assert folder[0].boxes.tolist() == [[4, 4, 24, 24]] and len(folder[1].boxes) == 1


def test_ids_may_be_large(tmp_path):
    big = 2**62

    def change(document):
        document["images"][0]["id"] = big
        document["annotations"][0] |= {"image_id": big, "id": big + 1}

    assert coco.CocoFolder(*write(tmp_path, change))[0].image_id == big


def test_files_that_are_no_coco_files_are_named(tmp_path):
    path, images = write(tmp_path)
    path.write_text("[" * 100_000)
    with pytest.raises(coco.BadAnnotation, match=r"annotations\.json: not JSON"):
        coco.CocoFolder(path, images)
    with pytest.raises(coco.BadAnnotation, match="images: the file cannot be read"):
        coco.CocoFolder(images, images)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(coco.BadAnnotation, match=r"pipe\.json: the file cannot be"):
        coco.CocoFolder(tmp_path / "pipe.json", images)


# Two boxes of train2017 have no height (issue 56 of modern-yolonas counts them).
FLAT = {"id": 918, "image_id": 1, "category_id": 2, "bbox": [29.6, 38.8, 1.03, 0.0]}


def test_boxes_of_no_height_are_dropped_in_the_open(tmp_path):
    def change(document):
        document["annotations"] += [FLAT, FLAT | {"id": 920, "bbox": [60, 1, 9, 2]}]

    path, images = write(tmp_path, change)
    with pytest.raises(coco.BadAnnotation, match=r"918.*skip=.918..*drop_bad_boxes"):
        coco.CocoFolder(path, images)
    folder = coco.CocoFolder(path, images, drop_bad_boxes=True)
    assert list(folder.dropped) == [918, 920] and "no area" in folder.dropped[918]
    assert len(folder[0].boxes) == 1
    assert len(folder.coco()["annotations"]) == 4  # the file says what it says
    assert coco.CocoFolder(path, images, skip={918, 920}).dropped == {}


def test_dropping_boxes_is_no_leave_for_other_faults(tmp_path):
    path, images = write(tmp_path, first("annotations", category_id=3))
    with pytest.raises(coco.BadAnnotation, match="unknown category 3"):
        coco.CocoFolder(path, images, drop_bad_boxes=True)


@pytest.mark.parametrize("thin", [1e-30, 1e-7, 2.0**-22])
@pytest.mark.parametrize("side", [2, 3])
def test_boxes_that_vanish_in_float32_are_refused_when_opened(tmp_path, thin, side):
    bbox = [33.0, 17.0, 5.0, 5.0]
    bbox[side] = thin
    # float32 has 24 bits: at 33 its numbers are 2**-18 apart, at 17 2**-19.
    assert np.float32(bbox[side - 2]) + np.float32(thin) == np.float32(bbox[side - 2])
    path, images = write(tmp_path, first("annotations", bbox=bbox))
    with pytest.raises(coco.BadAnnotation, match="annotation 1 .*float32"):
        coco.CocoFolder(path, images)


def test_the_thinnest_boxes_keep_their_area_when_they_are_scaled(tmp_path):
    thin = (33 + 5) * 2.0**-21 * 1.01
    path, images = write(tmp_path, first("annotations", bbox=[33, 17, thin, 5.0]))
    sample = coco.CocoFolder(path, images)[0]
    generator = torch.Generator().manual_seed(0)
    for scale in torch.rand(2000, generator=generator) * 4 + 1e-3:
        x1, _, x2, _ = (sample.boxes[0] * scale.item()).tolist()
        assert x2 > x1


# ---- names stay inside the folder ----------------------------------------------------


def away(tmp_path, kind):
    """A file name that leads out of tmp_path/in/images to tmp_path/out.png."""
    (tmp_path / "in" / "images").mkdir(parents=True)
    Image.fromarray(noise(48, 64)).save(tmp_path / "out.png")
    link = tmp_path / "in" / "images" / "link.png"
    if kind == "link":
        link.symlink_to(tmp_path / "out.png")
    if kind == "linked folder":
        (link.parent / "sub").symlink_to(tmp_path)
    return {
        "absolute": str(tmp_path / "out.png"),
        "dots": "../../out.png",
        "dots within": "sub/../../../out.png",
        "link": "link.png",
        "linked folder": "sub/out.png",
        "itself": ".",
        "nothing": "",
        "no name": "a\0.png",
    }[kind]


KINDS = "absolute,dots,dots within,link,linked folder,itself,nothing,no name".split(",")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_outside_of_the_folder_is_read(tmp_path, kind):
    name = away(tmp_path, kind)
    path, images = write(tmp_path / "in")
    document = json.loads(path.read_text())
    document["images"][0]["file_name"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(coco.BadAnnotation, match="image 1 names .*relative to that"):
        coco.CocoFolder(path, images)


class Drawn:
    """A dataset of grey pictures under given names, as somebody else may write it."""

    def __init__(self, names):
        self.names = names

    def __getitem__(self, i):
        image = torch.full((3, 4, 6), 10 * i, dtype=torch.uint8)
        return coco.Sample(image, torch.zeros(0, 4), torch.zeros(0), i)

    def coco(self):
        images = [
            {"id": i, "file_name": name, "width": 6, "height": 4}
            for i, name in enumerate(self.names)
        ]
        return {"images": images, "annotations": [], "categories": []}


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("itself", "nothing")])
def test_nothing_outside_of_the_folder_is_written(tmp_path, kind):
    name = away(tmp_path, kind)
    before = (tmp_path / "out.png").read_bytes()
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(coco.BadAnnotation, match="image 1 of the dataset names"):
        coco.write_coco(Drawn(["fine.png", name]), tmp_path / "in")
    assert (tmp_path / "out.png").read_bytes() == before
    assert sorted(tmp_path.rglob("*")) == files  # not even the fine one


# ---- written and read back -----------------------------------------------------------


def test_a_folder_that_is_written_is_the_same_folder(tmp_path):
    """JPEG, sub-folders with equal names, a turned picture, a crowd: byte for byte."""
    names = ("a.jpg", "x/a.jpg", "y/a.jpg", "b.png", "b.jpg", "turned.jpg")
    crowd = FLAT | {"id": 77, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    path, images = write(
        tmp_path / "one", lambda d: d["annotations"].append(crowd), names
    )
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(noise(64, 48)).save(images / "turned.jpg", exif=exif)
    read = coco.CocoFolder(path, images)
    again = coco.write_coco(read, tmp_path / "two")
    back = coco.CocoFolder(again, again.parent / "images")
    assert back.coco() == json.loads(path.read_text())
    for name in names:
        copied = again.parent / "images" / name
        assert copied.read_bytes() == (images / name).read_bytes()
    for ours, theirs in zip(read, back, strict=True):
        assert all(map(torch.equal, ours[:3], theirs[:3]))
        assert ours.image_id == theirs.image_id


def test_drawn_pictures_of_any_name_come_back(tmp_path):
    names = ["a.png", "a.jpg", "x/a.jpg", "A.PNG", "no suffix"]
    path = coco.write_coco(Drawn(names), tmp_path)
    back = coco.CocoFolder(path, tmp_path / "images")
    assert [sample.image[0, 0, 0].item() for sample in back] == [0, 10, 20, 30, 40]
    written = [entry["file_name"] for entry in back.images]
    assert written == ["a.png", "a.jpg.png", "x/a.jpg.png", "A.PNG", "no suffix.png"]


@pytest.mark.parametrize("names", [("a.png", "./a.png"), ("a.jpg", "a.jpg.png")])
def test_no_picture_is_written_over_another(tmp_path, names):
    with pytest.raises(coco.BadAnnotation, match=r"name a(\.jpg)?\.png; one would be"):
        coco.write_coco(Drawn(names), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_is_not_written_onto_itself(tmp_path):
    path, images = write(tmp_path / "one")
    before = {file: file.read_bytes() for file in (path, *images.iterdir())}
    (tmp_path / "alias").symlink_to(tmp_path / "one")
    for place in (tmp_path / "one", tmp_path / "alias"):
        with pytest.raises(coco.BadAnnotation, match="holds the dataset itself"):
            coco.write_coco(coco.CocoFolder(path, images), place)
    assert {file: file.read_bytes() for file in before} == before


def test_what_is_no_dataset_of_boxes_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"a list has no \.coco\(\)"):
        coco.write_coco([1, 2], tmp_path)
