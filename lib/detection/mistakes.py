"""What does a detector do wrong? Six kinds of mistake, and what each costs.

A false detection is put down to one cause, at an overlap of 0.5: it fits an object of
another class, it lies near one of its class but not on it, both, it says again what a
surer one has said, or there is nothing. An object that nobody found and that no such
mistake is about is missed. A kind costs what AP50 would gain without it.

Chapter 16. Bolya et al. 2020 (TIDE), arxiv.org/abs/2008.08115.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lib.basics import arguments
from lib.detection import coco_eval
from lib.detection.coco_tables import Boxes, read

FITS = 0.5  # from here on a box is on an object
NEAR = 0.1  # up to here there is nothing
FALSE = ("class", "place", "both", "duplicate", "background")
KINDS = (*FALSE, "missed")
RIGHT = "right"
IGNORED = "ignored"  # a detection of a crowd


@arguments.named
def kinds(
    overlap: Float[np.ndarray, "D G"],
    same_class: Bool[np.ndarray, "D G"],
    taken: list[int],
) -> tuple[list[str], list[int]]:
    """What each detection of a picture is, and the object that it is about, or -1.

    `taken` is what `coco_eval.match_one_image` gives within classes. The first kind
    that fits is the detection's.

    >>> overlap = np.array([[0.9, 0], [0.8, 0], [0.3, 0], [0, 0.7], [0, 0.2], [0, 0]])
    >>> same = np.array([[True, False]] * 6)  # all say the class of the first object
    >>> kinds(overlap, same, taken=[0, -1, -1, -1, -1, -1])[0]
    ['right', 'duplicate', 'place', 'class', 'both', 'background']
    """
    own = np.where(same_class, overlap, 0)
    other = np.where(same_class, 0, overlap)
    names, about = [], []
    for d, object_ in enumerate(taken):
        best_own = own[d].max(initial=0)
        best_other = other[d].max(initial=0)
        if object_ != coco_eval.NOTHING:
            kind = RIGHT
        elif NEAR <= best_own < FITS:
            kind, object_ = "place", int(own[d].argmax())
        elif best_other >= FITS:
            kind, object_ = "class", int(other[d].argmax())
        elif best_own >= FITS:
            kind = "duplicate"
        elif best_other > NEAR:
            kind = "both"
        else:
            kind = "background"
        names.append(kind)
        about.append(object_)
    return names, about


class Mistakes(NamedTuple):
    """All detections with their kinds, and all objects, crowds left out.

    `about` is the row of the object that a detection took, or that its mistake is
    about, -1 if there is none.
    """

    kind: np.ndarray  # D, one of FALSE, RIGHT or IGNORED
    score: Float[np.ndarray, " D"]
    category: np.ndarray  # D
    about: np.ndarray  # D
    object_category: np.ndarray  # G
    missed: Bool[np.ndarray, " G"]

    def count(self, least: float = 0.0) -> dict[str, int]:
        """How often each kind is met among the detections with that score or more.

        What is found or confused only with a lower score is missed, here.
        """
        shown = self.score >= least
        counted = {kind: int((self.kind[shown] == kind).sum()) for kind in FALSE}
        explained = np.isin(self.kind, (RIGHT, "class", "place")) & shown
        seen = np.unique(self.about[explained])
        return counted | {"missed": len(self.missed) - len(seen)}

    def ap50(self, without: str = "") -> float:
        """AP at an overlap of 0.5; if a kind is named, as if it had not happened.

        A wrong class or place is put right if its object is still to be found; other
        false detections go, and objects that were missed are not asked for.
        """
        if without not in ("", *KINDS):
            raise arguments.refuse("without", without, f"one of {', '.join(KINDS)}")
        category, right = self.category.copy(), self.kind == RIGHT
        gone = (self.kind == without) | (self.kind == IGNORED)
        if without in ("class", "place"):
            mended = self._mended(without)
            category[mended] = self.object_category[self.about[mended]]
            right = right | mended
            gone &= ~mended
        objects = self.object_category
        if without == "missed":
            objects = objects[~self.missed]
        order = np.argsort(-self.score, kind="stable")
        order = order[~gone[order]]
        each = []
        for k in np.unique(objects):
            verdicts = right[order][category[order] == k]
            count = int((objects == k).sum())
            heights = coco_eval.interpolated_precision(verdicts, ~verdicts, count)
            each.append(heights.mean())
        return float(np.mean(each)) if each else -1.0

    def _mended(self, kind: str) -> Bool[np.ndarray, " D"]:
        """The surest mistake of a kind about each object that nobody has found."""
        free = np.ones(len(self.object_category), bool)
        free[self.about[self.kind == RIGHT]] = False
        mended = np.zeros(len(self.kind), bool)
        for d in np.argsort(-self.score, kind="stable"):
            if self.kind[d] == kind and free[self.about[d]]:
                mended[d] = True
                free[self.about[d]] = False
        return mended

    def costs(self) -> dict[str, float]:
        """By how much AP50 would be higher without each kind, the others left.

        Where every object was missed, that is all of it. {} if there is no object.
        """
        now = self.ap50()
        if now < 0:
            return {}
        after = {kind: self.ap50(kind) for kind in KINDS}
        return {kind: (ap if ap >= 0 else 1) - now for kind, ap in after.items()}


def find(ground_truth, detections) -> Mistakes:
    """The mistakes of a detector, in the arguments of `coco_eval.evaluate`.

    `find(truth, found).count(least=0.3)` says how often each kind is met among what is
    shown, `.costs()` what each costs. Detections of crowds are no mistakes.
    """
    objects, found, _ = read(ground_truth, detections)
    found = found.take(np.lexsort((-found.score, found.image)))
    counted = np.cumsum(~objects.crowd) - 1  # the row of an object, crowds left out
    kind, about = [], []
    for image in np.unique(found.image):
        here = found.take(found.image == image)
        rows = np.flatnonzero(objects.image == image)
        names, places = _of_picture(objects.take(rows), here)
        kind += names
        about += [-1 if g == coco_eval.NOTHING else counted[rows[g]] for g in places]
    kind, about = np.array(kind, object), np.array(about, int)
    missed = np.ones(int((~objects.crowd).sum()), bool)
    missed[about[np.isin(kind, (RIGHT, "class", "place"))]] = False
    columns = kind, found.score, found.category, about
    return Mistakes(*columns, objects.category[~objects.crowd], missed)


def _of_picture(objects: Boxes, found: Boxes) -> tuple[list[str], list[int]]:
    """`kinds` of one picture, best score first; crowds explain what lies in them."""
    d, g = np.indices((len(found.image), len(objects.image))).reshape(2, -1)
    boxes = found.xywh[d], objects.xywh[g]
    overlap = coco_eval.overlaps(*boxes, objects.crowd[g])
    overlap = overlap.reshape(len(found.image), len(objects.image))
    same = found.category[:, None] == objects.category
    crowds = np.flatnonzero(objects.crowd).tolist()
    both = {"ignored": crowds, "crowds": crowds}
    taken = coco_eval.match_one_image(overlap * same, FITS, **both)
    overlap[:, objects.crowd] = 0  # a crowd is nobody's mistake
    names, about = kinds(overlap, same, taken)
    for d, object_ in enumerate(taken):
        if object_ in crowds:
            names[d], about[d] = IGNORED, coco_eval.NOTHING
    return names, about
