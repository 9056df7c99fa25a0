"""A folder in COCO's form as a detector's training needs it: learned from, judged by.

    annotations/instances_train2017.json, train2017/, and val2017 likewise
    train/annotations.json, train/images/, and val/ likewise
    annotations.json, images/

The third is what `data.write_coco` writes. It has one set, so every tenth picture is
kept for the judgement. For `recipes`.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from torch.utils.data import Dataset

from lib.basics import data
from lib.detection import categories

LAYOUTS = (  # json and pictures; {} is "train" or "val"
    ("annotations/instances_{}2017.json", "{}2017"),
    ("{}/annotations.json", "{}/images"),
)
HELD_OUT = 10  # one picture of so many, where there is no val set


class Subset(Dataset):
    """Some pictures of a `CocoFolder`, and the annotations of these alone."""

    def __init__(self, folder: data.CocoFolder, rows: Iterable[int]):
        self.folder, self.rows = folder, list(rows)
        self.names, self.category_ids = folder.names, folder.category_ids

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> data.Sample:
        return self.folder[self.rows[i]]

    def coco(self) -> dict:
        """Their COCO dictionary."""
        images = [self.folder.images[row] for row in self.rows]
        ids = {image["id"] for image in images}
        document = self.folder.coco()
        annotations = [a for a in document["annotations"] if a["image_id"] in ids]
        return document | {"images": images, "annotations": annotations}


def open_folder(
    folder, *, skip: Collection[int] = (), drop_bad_boxes: bool = False
) -> tuple[Subset, Subset]:
    """Pictures to learn from and pictures to be judged by; see the top of the file.

    `skip` are ids of annotations to leave out; `drop_bad_boxes` leaves out all that
    have no area or lie outside of their picture. ValueError names what was looked for,
    the annotation that is bad, or the categories that differ.
    """
    folder = Path(folder)
    how = {"skip": frozenset(skip), "drop_bad_boxes": drop_bad_boxes}
    sought = []
    for json_name, pictures in LAYOUTS:
        train_json, val_json = (folder / json_name.format(s) for s in ("train", "val"))
        if train_json.is_file() and val_json.is_file():
            learn = data.CocoFolder(
                train_json, folder / pictures.format("train"), **how
            )
            judge = data.CocoFolder(val_json, folder / pictures.format("val"), **how)
            categories.insist_same(learn, judge, (str(train_json), str(val_json)))
            _insist_known(skip, learn, judge)
            return Subset(learn, range(len(learn))), Subset(judge, range(len(judge)))
        sought += [train_json, val_json]

    one_json = folder / "annotations.json"
    if not one_json.is_file():
        raise ValueError(f"found none of {', '.join(map(str, [one_json, *sought]))}")
    whole = data.CocoFolder(one_json, folder / "images", **how)
    _insist_known(skip, whole)
    judged = range(HELD_OUT - 1, len(whole), HELD_OUT)
    if not judged:
        raise ValueError(f"{one_json} has {len(whole)} pictures; it needs {HELD_OUT}")
    learned = [row for row in range(len(whole)) if row not in judged]
    return Subset(whole, learned), Subset(whole, judged)


def _insist_known(skip: Collection[int], *folders: data.CocoFolder) -> None:
    """ValueError for an id to skip that no annotation has: a slip would go unseen."""
    unknown = set(skip)
    for folder in folders:
        unknown -= {annotation["id"] for annotation in folder.coco()["annotations"]}
    if unknown:
        paths = " and ".join(str(folder.path) for folder in folders)
        raise ValueError(f"skip: no annotation in {paths} has the id {min(unknown)}")


def dropped(*subsets: Subset) -> dict[str, dict[int, str]]:
    """By json file: the ids of the annotations that were left out as bad, and why."""
    folders = {str(each.folder.path): each.folder.dropped for each in subsets}
    return {path: dict(reasons) for path, reasons in folders.items() if reasons}


def fingerprint(learn: Subset, judge: Subset) -> dict[str, str]:
    """What tells a run on these pictures from a run on others, in words and digests.

    Both json files, byte by byte: boxes, names, sizes, splits. The pixels are not read.
    """
    return {
        "categories": categories.listed(categories.of_data(learn, 0)),
        "pictures": f"{len(learn)} to learn from, {len(judge)} to be judged by",
        "annotations to learn from": _sha256(learn.folder.path),
        "annotations to be judged by": _sha256(judge.folder.path),
    }


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return "SHA-256 " + hashlib.file_digest(file, "sha256").hexdigest()
