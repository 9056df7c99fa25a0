"""Whose functions the road runs on: how many are a learner's, and where they stand.

Support for chapter 23, which draws the detector with the learner's parts heavier.
"""

from lib.exercises import core, places

# The part of a detector that a chapter's core functions work in; the others belong to
# the search, the training or the compression, which no drawing of a detector shows.
OF_THE_DETECTOR = {
    "nasnet": "backbone", "efficientnet": "backbone", "search_space": "backbone",
    "bifpn": "pyramid", "anchors": "anchors", "efficientdet": "class head",
    "detection_loss": "box head", "decoding": "decoding", "data": "picture",
    "coco_eval": "boxes",
}  # fmt: skip


def yours() -> tuple[int, int]:
    """(N, M): so many of the M core functions are adopted in this process."""
    return len(places.adopted()), len(core())


def highlight() -> tuple[str, ...]:
    """The parts of `architectures.detector` in which an adopted function works."""
    chapters = {identifier.partition(".")[0] for identifier in places.adopted()}
    parts = [OF_THE_DETECTOR[c] for c in sorted(chapters) if c in OF_THE_DETECTOR]
    return tuple(dict.fromkeys(parts))
