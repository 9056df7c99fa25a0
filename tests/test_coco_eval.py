"""COCO's twelve numbers: against pycocotools, against hands, against bad input."""

import contextlib
import copy
import io
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lib.basics import data
from lib.detection import anchors, categories, coco_eval, coco_tables
from lib.exercises import places


def ground_truth(objects, images=1, categories=1) -> dict:
    """A COCO dictionary; an object is (image, category, bbox) and more by keyword."""
    annotations = []
    for image, category, bbox, *more in objects:
        annotations.append(
            {"id": len(annotations) + 1, "image_id": image, "category_id": category,
             "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0}
            | (more[0] if more else {})
        )  # fmt: skip
    return {
        "images": [{"id": i + 1} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": str(k)} for k in range(categories)],
    }


def detection(bbox, score, image=1, category=1) -> dict:
    return {
        "image_id": image, "category_id": category, "bbox": bbox, "score": score
    }  # fmt: skip


def pycoco(truth, found):
    """pycocotools' evaluation of copies: it writes into what it is given."""
    from pycocotools import coco, cocoeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground, result = coco.COCO(), coco.COCO()
        ground.dataset = copy.deepcopy(truth)
        ground.createIndex()
        result.dataset = copy.deepcopy(truth) | {"annotations": []}
        result.createIndex()
        if found:
            result = ground.loadRes(copy.deepcopy(found))
        run = cocoeval.COCOeval(ground, result, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def assert_equal_to_pycoco(truth, found):
    before = copy.deepcopy((truth, found))
    mine, theirs = coco_eval.precision_recall(truth, found), pycoco(truth, found)
    assert (truth, found) == before, "the input was changed"
    assert np.abs(np.array(mine.numbers()) - theirs.stats).max() <= 1e-12
    for ours, other in (
        (mine.precision, theirs.eval["precision"][..., 2]),
        (mine.scores, theirs.eval["scores"][..., 2]),
        (mine.recall, theirs.eval["recall"]),
    ):
        assert np.abs(ours - other).max() <= 1e-12
    assert coco_eval.evaluate(truth, found) == mine.numbers()


def drawn(seed: int):
    """A case full of corners: round sizes, ties, crowds, gaps, empty images."""
    chance = random.Random(seed)
    images, kinds = chance.randint(1, 9), chance.randint(1, 4)
    step = chance.choice((4, 16, 32))

    def box():
        side = chance.choice((8, 32, 64, 96, 128))
        width, height = (chance.choice((side, chance.randint(1, 160))) for _ in "wh")
        return [chance.randint(0, 6) * step, chance.randint(0, 6) * step, width, height]

    truth = ground_truth((), images, 0)
    truth["categories"] = [{"id": 2 * k} for k in range(1, kinds + 2)]  # one unused
    for i, image in enumerate(truth["images"]):
        image["id"] = 7 * i + 3
    chance.shuffle(truth["images"])
    found = []
    for image in [entry["id"] for entry in truth["images"]]:
        here = []
        for _ in range(chance.choice((0, 1, 3, 8))):
            xywh = box()
            area = chance.choice((xywh[2] * xywh[3], 0.6 * xywh[2] * xywh[3], 32**2))
            here.append(
                {"id": len(truth["annotations"]) + 1, "image_id": image, "area": area,
                 "category_id": 2 * chance.randint(1, kinds), "bbox": xywh,
                 "iscrowd": int(chance.random() < 0.2),
                 "ignore": chance.randint(0, 1)}
            )  # fmt: skip
            truth["annotations"].append(here[-1])
        for _ in range(chance.choice((0, 2, 10, 120))):
            like = chance.choice(here) if here and chance.random() < 0.7 else None
            kind = like["category_id"] if like else 2 * chance.randint(1, kinds)
            xywh = [
                v + chance.choice((0, 0.25)) for v in (like or {"bbox": box()})["bbox"]
            ]
            score = chance.choice((chance.random(), round(chance.random(), 1)))
            found.append(detection(xywh, score, image, kind))
    return truth, found


@pytest.mark.parametrize("seed", range(40))
def test_random_cases_equal_pycocotools(seed):
    assert_equal_to_pycoco(*drawn(seed))


# Far from each other, 40 x 40 pixels: "medium".
A, B, C = [0, 0, 40, 40], [100, 0, 40, 40], [200, 0, 40, 40]
CROWD = [0, 0, 100, 100], {"iscrowd": 1}


# Values from a run of pycocotools 2.0.11, confirmed by hand where the comment says how.
@pytest.mark.parametrize(
    ("objects", "found", "ap"),
    [
        ([(1, 1, [0, 0, 10, 10])], [([0, 0, 10, 6], 0.9)], 0.3),  # IoU .6: 3 of 10
        ([(1, 1, [0, 0, 10, 10])], [([0, 0, 10, 5], 0.9)], 0.1),  # IoU .5 counts
        ([(1, 1, A)], [(C, 0.9), (A, 0.8)], 0.5),  # one false above: half
        ([(1, 1, A), (1, 1, B)], [(A, 0.9)], 51 / 101),  # recalls 0 to .5
        ([(1, 1, A), (1, 1, B), (1, 1, C)], [(A, 0.9)], 34 / 101),  # 0 to .33
        ([(1, 1, A)], [(A, 0.9), (A, 0.8)], 1.0),  # a duplicate below costs nothing
        ([(1, 1, A), (1, 2, B)], [(A, 0.9)], 0.5),  # class 2 was never found
        ([(1, 1, A)], [(A, 0.9), (B, 0.8, 1, 2)], 1.0),  # class 2 has no objects
        ([(1, 1, A)], [(C, 1 - i / 1e3) for i in range(101)] + [(A, 0.1)], 0.0),
        ([(1, 1, A)], [], 0.0),
        ([], [(A, 0.9)], -1.0),
        ([], [], -1.0),
        (  # three detections inside a crowd are not false
            [(1, 1, C), (1, 1, *CROWD)],
            [(C, 0.1), *(([10, 10, 20, 20 + i], 0.9) for i in range(3))],
            1.0,
        ),
    ],
)
def test_toys(objects, found, ap):
    truth = ground_truth(objects, categories=2)
    found = [detection(*entry) for entry in found]
    assert coco_eval.evaluate(truth, found).ap == pytest.approx(ap, abs=1e-12)
    assert_equal_to_pycoco(truth, found)


BOX = [10, 20, 30, 30]


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        # area exactly 1024 is small and medium, exactly 9216 medium and large
        ([(1, 1, [0, 0, 32, 32])], [([0, 0, 32, 32], 0.9)]),
        ([(1, 1, [0, 0, 96, 96])], [([0, 0, 96, 96], 0.9), ([0, 0, 96, 95], 0.9)]),
        # the object's area is that of its outline, the detection's that of its box
        ([(1, 1, [0, 0, 40, 40], {"area": 900})], [([0, 0, 40, 40], 0.9)]),
        # two objects overlapped equally: the last one is taken
        ([(1, 1, BOX), (1, 1, BOX), (1, 1, BOX)], [(BOX, 0.5), (BOX, 0.5)]),
        # the best one is taken already, the next is free
        ([(1, 1, A), (1, 1, [0, 0, 40, 50])], [(A, 0.9), (A, 0.8)]),
        # a crowd that overlaps more than the object that counts
        ([(1, 1, *CROWD), (1, 1, A)], [([0, 0, 40, 60], 0.9)]),
        # only crowds
        ([(1, 1, *CROWD), (1, 2, *CROWD)], [([0, 0, 50, 50], 0.9), (A, 0.9, 1, 2)]),
        # boxes without area, on either side
        ([(1, 1, [5, 5, 0, 9]), (1, 1, A)], [([5, 5, 0, 9], 0.9), ([0] * 4, 0.9)]),
        # scores that are equal everywhere, negative, or above one
        ([(1, 1, A), (1, 1, B)], [(C, 0.5), (B, 0.5), (A, 0.5), (C, 0.5)]),
        ([(1, 1, A), (1, 1, B)], [(C, -3), (B, 12), (A, 0)]),
        # 10 and 100 are cut in each class and image
        ([(1, 1, A)], [(C, 0.9)] * 9 + [(A, 0.8)]),
        ([(1, 1, A)], [(C, 0.9)] * 10 + [(A, 0.8)]),
        ([(1, 1, A)], [(C, 0.9)] * 99 + [(A, 0.8)]),
        ([(1, 1, A)], [(C, 0.9)] * 100 + [(A, 0.8)]),
    ],
)  # fmt: skip
def test_corners_equal_pycocotools(objects, found):
    truth = ground_truth(objects, images=3, categories=3)
    assert_equal_to_pycoco(truth, [detection(*entry) for entry in found])


def test_nothing_at_all_equals_pycocotools():
    assert_equal_to_pycoco(ground_truth([], images=2, categories=2), [])
    assert coco_eval.evaluate(ground_truth([], 0, 0), []) == (-1.0,) * 12


def test_ignore_is_overwritten_by_iscrowd():
    objects = [(1, 1, A, {"ignore": 1}), (1, 1, B)]
    found = [detection(A, 0.9)]
    assert coco_eval.evaluate(ground_truth(objects), found).ap == pytest.approx(
        51 / 101
    )


def test_an_annotation_without_area_has_that_of_its_box():
    truth = ground_truth([(1, 1, [0, 0, 30, 30])])
    del truth["annotations"][0]["area"], truth["annotations"][0]["iscrowd"]
    numbers = coco_eval.evaluate(truth, [detection([0, 0, 30, 30], 0.9)])
    assert numbers.ap_small == pytest.approx(1) and numbers.ap_medium == -1.0


def test_an_annotation_with_the_id_0_counts():
    """pycocotools writes the id where it marks a match, and reads 0 as none."""
    truth, found = ground_truth([(1, 1, A)]), [detection(A, 0.9)]
    assert pycoco(truth, found).stats[0] == pytest.approx(1)
    truth["annotations"][0]["id"] = 0
    assert pycoco(truth, found).stats[0] == pytest.approx(0)
    assert coco_eval.evaluate(truth, found).ap == pytest.approx(1)


def test_the_numbers_have_names_and_the_order_of_pycocotools():
    truth, found = drawn(3)
    numbers = coco_eval.evaluate(truth, found)
    assert len(numbers) == 12 and numbers.ap == numbers[0]
    assert (numbers.ap75, numbers.ar1, numbers.ar_large) == (
        numbers[2], numbers[6], numbers[11]
    )  # fmt: skip
    each = coco_eval.precision_recall(truth, found).ap()
    assert list(each) == sorted(c["id"] for c in truth["categories"])
    mean = np.mean([ap for ap in each.values() if ap > -1])
    assert numbers.ap == pytest.approx(mean)  # all classes have equally many values


# -------------------------------------------------------------------------- equations


def columns(*boxes) -> coco_eval.Boxes:
    """Boxes of one class in one image, scores falling."""
    n = len(boxes)
    zero, xywh = np.zeros(n, int), np.array(boxes, float).reshape(-1, 4)
    score = 1 - np.arange(n) / 10
    return coco_eval.Boxes(zero, zero, xywh, xywh[:, 2:].prod(1), score, zero > 0)


@pytest.mark.equation("16.1")
def test_a_detection_takes_the_free_object_that_it_overlaps_most():
    objects = columns([0, 0, 10, 10], [0, 0, 10, 8])
    found = columns([0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 10, 4])
    matched, ignored = coco_eval.match(objects, found, np.zeros((2, 4), bool))
    # By hand: the first overlaps both, by 9/10 and 8/9, and takes the first object, if
    # .9 is enough. Then the second is left with the other, 8/10; at .95 the first is
    # free for it. The third has 4/10 and 4/8, and the other object is taken.
    overlap = np.array([[9 / 10, 8 / 9], [1, 8 / 10], [4 / 10, 4 / 8]])
    for threshold, by_hand in (
        (0.5, [0, 1, -1]),
        (0.85, [0, -1, -1]),
        (0.95, [-1, 0, -1]),
    ):
        assert coco_eval.match_one_image(overlap, threshold) == by_hand
    everywhere = matched[0]  # T D
    assert everywhere[:, 0].tolist() == [True] * 9 + [False]  # .5 to .9
    assert everywhere[:, 1].tolist() == [True] * 7 + [False] * 2 + [True]
    assert everywhere[:, 2].tolist() == [False] * 10
    assert not ignored[0].any()


def one_image_at_a_time(objects, found, left_out):
    """`match` by `match_one_image`, for every image, overlap and size."""
    shape = len(coco_eval.AREAS), len(coco_eval.IOUS), len(found.image)
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    for image in sorted({*found.image.tolist()}):
        d, g = (np.flatnonzero(boxes.image == image) for boxes in (found, objects))
        rows, columns = np.repeat(d, len(g)), np.tile(g, len(d))
        overlap = coco_eval.overlaps(
            found.xywh[rows], objects.xywh[columns], objects.crowd[columns]
        ).reshape(len(d), len(g))
        crowds = np.flatnonzero(objects.crowd[g]).tolist()
        for a, (low, high) in enumerate(coco_eval.AREAS):
            uncounted = np.flatnonzero(left_out[g, a]).tolist()
            outside = (found.area[d] < low) | (found.area[d] > high)
            for t, threshold in enumerate(coco_eval.IOUS.tolist()):
                taken = coco_eval.match_one_image(overlap, threshold, uncounted, crowds)
                matched[a, t, d] = [g >= 0 for g in taken]
                for k, out, i in zip(taken, outside, d, strict=True):
                    ignored[a, t, i] = k in uncounted if k >= 0 else out
    return matched, ignored


@pytest.mark.parametrize("seed", range(30))
def test_all_images_at_once_are_matched_as_one_by_one(seed):
    """Round sizes, equal overlaps, crowds, empty images; class by class."""
    objects, found, ids = coco_tables.read(*drawn(seed))
    objects = objects.take(np.argsort(objects.image, kind="stable"))
    found = found.take(np.lexsort((-found.score, found.image)))
    for k in range(len(ids)):
        mine, theirs = (boxes.take(boxes.category == k) for boxes in (objects, found))
        low, high = coco_eval.AREAS.T
        area = mine.area[:, None]
        left_out = mine.crowd[:, None] | (area < low) | (area > high)
        fast = coco_eval.match(mine, theirs, left_out)
        slow = one_image_at_a_time(mine, theirs, left_out)
        assert all(map(np.array_equal, fast, slow))
        with places.standing("detection.coco_eval.choose", coco_eval.choose):
            plain = coco_eval.match(mine, theirs, left_out)
        assert all(map(np.array_equal, fast, plain))


def test_what_does_not_count_is_taken_last_and_a_crowd_is_never_used_up():
    overlap = np.array([[0.6, 0.9], [0.6, 0.9], [0.6, 0.9]])
    assert coco_eval.match_one_image(overlap, 0.5) == [1, 0, -1]
    assert coco_eval.match_one_image(overlap, 0.5, ignored=[1]) == [0, 1, -1]
    both = {"ignored": [1], "crowds": [1]}
    assert coco_eval.match_one_image(overlap, 0.5, **both) == [0, 1, 1]
    equal = np.array([[0.7, 0.7]])  # as pycocotools: the last of equals
    assert coco_eval.match_one_image(equal, 0.7) == [1]
    assert coco_eval.match_one_image(np.zeros((2, 0)), 0.5) == [-1, -1]


@pytest.mark.equation("16.2")
def test_precision_and_recall_by_hand():
    right = np.array([True, False, True])
    precision = coco_eval.interpolated_precision(right, ~right, 4)
    # recall 1/4, 1/4, 2/4; precision 1, 1/2, 2/3
    assert precision[[0, 25, 26, 50, 51]].tolist() == pytest.approx(
        [1, 1, 2 / 3, 2 / 3, 0]
    )


@pytest.mark.equation("16.3")
def test_precision_is_the_best_at_that_recall_or_more():
    right = np.array([False, True, True])
    precision = coco_eval.interpolated_precision(right, ~right, 2)
    assert precision.tolist() == pytest.approx([2 / 3] * 101)  # raw: 0, 1/2, 2/3


@pytest.mark.equation("16.4")
def test_ap_is_a_mean_over_101_recalls():
    truth = ground_truth([(1, 1, A), (1, 1, B), (1, 1, C)])
    found = [detection(A, 0.9), detection([50, 90, 9, 9], 0.8), detection(B, 0.7)]
    # recalls 0 to .33 at precision 1, .34 to .66 at 2/3, none beyond
    ap = (34 * 1 + 33 * 2 / 3) / 101
    assert coco_eval.evaluate(truth, found).ap50 == pytest.approx(ap)


@pytest.mark.equation("16.5")
def test_the_twelve_are_means_over_overlaps_and_classes():
    truth = ground_truth([(1, 1, [0, 0, 10, 10]), (1, 2, B)], categories=3)
    found = [detection([0, 0, 10, 6], 0.9), detection(B, 0.9, category=2)]
    numbers = coco_eval.evaluate(truth, found)
    assert numbers.ap == pytest.approx((0.3 + 1.0) / 2)  # class 3 has no objects
    assert (numbers.ap50, numbers.ap75) == pytest.approx((1, 0.5))


@pytest.mark.equation("16.6")
def test_overlap_with_a_crowd_is_the_share_of_the_detection():
    found = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    objects = np.array([[5.0, 0, 100, 100], [5, 0, 10, 10]])
    by_hand = [50 / 100, 50 / 150]
    crowd = np.array([True, False])
    assert coco_eval.overlaps(found, objects, crowd).tolist() == pytest.approx(by_hand)


# ------------------------------------------------------------------ from a detector


class Oracle(nn.Module):
    """A stand-in for a detector: it knows the scenes and gives codes of their boxes."""

    def __init__(self, scenes):
        super().__init__()
        config = anchors.AnchorConfig(scale=2.0, levels=(2, 5))
        self.config = SimpleNamespace(
            image_size=(64, 64), num_classes=10, anchors=config, mean=(0.5,) * 3,
            std=(0.5,) * 3,
        )  # fmt: skip
        self.weight, self.scenes, self.next = nn.Parameter(torch.ones(1)), scenes, 0

    def forward(self, images):
        places = anchors.anchors((64, 64), self.config.anchors)
        logits = torch.full((len(images), len(places), 10), -9.0)
        codes = torch.zeros(len(images), len(places), 4)
        for logit, code in zip(logits, codes, strict=True):
            sample = self.scenes[self.next]
            self.next += 1
            found = anchors.assign(places, sample.boxes, sample.labels)
            mine = (found.labels >= 0).nonzero()[:, 0]
            logit[mine, found.labels[mine]], code[mine] = 2.0, found.codes[mine]
        sides = [h for h, _ in anchors.level_sizes((64, 64), 2, 5)]
        outputs = [], []
        for flat, maps in zip((logits, codes), outputs, strict=True):
            for level, side in zip(
                flat.split([9 * n * n for n in sides], 1), sides, strict=True
            ):
                by_place = level.reshape(len(images), side, side, -1)
                maps.append(by_place.permute(0, 3, 1, 2))
        return outputs


def test_a_detector_that_knows_everything_scores_one():
    scenes = data.scenes("validation", 5, size=64, pixels=(14, 40), digits=(1, 3))
    found = coco_eval.detections(Oracle(scenes), scenes, batch_size=2)
    assert {d["image_id"] for d in found} == {1, 2, 3, 4, 5}
    numbers = coco_eval.evaluate(scenes.coco(), found)
    assert numbers.ap == pytest.approx(1, abs=1e-6)
    shifted = [d | {"category_id": d["category_id"] % 10 + 1} for d in found]
    assert coco_eval.evaluate(scenes.coco(), shifted).ap < 0.2


def test_labels_become_the_category_ids_of_the_dataset():
    scenes = data.scenes("validation", 1, size=64, pixels=(14, 40))
    label = int(scenes[0].labels[0])

    class Gaps(data.Scenes):
        category_ids = tuple(range(100, 200, 10))

    dataset = Gaps(scenes.images, scenes.boxes, scenes.labels, scenes.starts)
    found = coco_eval.detections(Oracle(scenes), dataset, threshold=0.5)
    assert 100 + 10 * label in {d["category_id"] for d in found}


# COCO numbers 80 categories from 1 to 90, and published detectors have 90 outputs.
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [i for i in range(1, 91) if i not in GAPS]


class Sure(nn.Module):
    """90 outputs, sure of one of them at one place; `known`: as official weights."""

    def __init__(self, label: int, known=categories.COCO):
        super().__init__()
        config = anchors.AnchorConfig(levels=(3, 3))
        self.config = SimpleNamespace(
            image_size=(64, 64), num_classes=90, anchors=config, mean=(0.5,) * 3,
            std=(0.5,) * 3, categories=known,
        )  # fmt: skip
        self.weight, self.label = nn.Parameter(torch.ones(1)), label

    def forward(self, images):
        logits = torch.full((len(images), 9 * 90, 8, 8), -20.0)
        logits[:, self.label, 4, 4] = 5.0
        return [logits], [torch.zeros(len(images), 36, 8, 8)]


class OnePicture(list):
    """A dataset of one picture without objects, with these categories."""

    def __init__(self, ids, names):
        self.category_ids, self.names = ids, names
        none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
        super().__init__([data.Sample(torch.zeros(3, 64, 64).byte(), *none, 7)])


def found_by(model, ids, names) -> list[int]:
    found = coco_eval.detections(model, OnePicture(ids, names), threshold=0.5)
    return [entry["category_id"] for entry in found]


def test_90_outputs_find_the_80_ids_of_coco():
    """Output k of published weights means COCO's id k + 1, if there is one."""
    names = [categories.COCO[i - 1].name for i in COCO_IDS]
    for label in range(90):
        expected = [] if label + 1 in GAPS else [label + 1]
        assert found_by(Sure(label), COCO_IDS, names) == expected


def test_names_lead_to_the_ids_of_a_smaller_dataset():
    assert found_by(Sure(17), (1, 2), ("cat", "dog")) == [2]  # a dog, COCO's 18
    assert found_by(Sure(16), (1, 2), ("cat", "dog")) == [1]
    assert found_by(Sure(0), (1, 2), ("cat", "dog")) == []  # no persons here
    pairs = tuple(each and tuple(each) for each in categories.COCO)  # as from a file
    assert found_by(Sure(17, pairs), (1, 2), ("cat", "dog")) == [2]


def test_a_detector_and_a_dataset_that_disagree_are_refused():
    names = [categories.COCO[i - 1].name for i in COCO_IDS]
    with pytest.raises(
        ValueError, match="has 90 outputs .* the data has 80 categories"
    ):
        found_by(Sure(0, ()), COCO_IDS, names)
    with pytest.raises(ValueError, match=r"1 person, .*\(1 cat, 2 hat\).*\['hat'\]"):
        found_by(Sure(0), (1, 2), ("cat", "hat"))


def test_a_label_beyond_the_configuration_is_refused():
    model = Sure(5, ())
    model.config.num_classes = 2
    with pytest.raises(ValueError, match="answers label 5, and its config has 2"):
        found_by(model, (1, 2), ("cat", "dog"))


def test_nothing_to_look_at_gives_no_detections():
    empty = OnePicture((1, 2), ("cat", "dog"))
    empty.clear()
    assert coco_eval.detections(Sure(17), empty) == []
    with pytest.raises(ValueError, match="batch_size is 0"):
        coco_eval.detections(Sure(17), empty, batch_size=0)


def test_frozen_norms_stay_frozen_and_chance_is_untouched():
    model = Sure(17).train()
    model.norm = nn.BatchNorm2d(3).eval()
    before = torch.get_rng_state()
    coco_eval.detections(model, OnePicture((1, 2), ("cat", "dog")))
    assert model.training and not model.norm.training
    assert torch.equal(torch.get_rng_state(), before)


# -------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 99}, r"detections\[1\] has image_id 99; known are \[1\]"),
        ({"image_id": [1]}, r"detections\[1\] has image_id \[1\]"),
        ({"category_id": 0}, r"detections\[1\] has category_id 0; known are \[1\]"),
        ({"score": float("nan")}, r"detections\[1\] has score nan; give a number"),
        ({"score": float("inf")}, r"detections\[1\] has score inf"),
        ({"score": None}, r"detections\[1\] has score None"),
        ({"score": "high"}, r"detections\[1\] has score 'high'"),
        ({"bbox": [1, 2, 3]}, r"detections\[1\] has bbox \[1, 2, 3\]; give x y w h"),
        ({"bbox": [1, 2, 3, 4, 5]}, r"detections\[1\] has bbox \[1, 2, 3, 4, 5\]"),
        ({"bbox": [1, 2, -3, 4]}, r"detections\[1\].*w and h not below 0"),
        ({"bbox": [1, 2, float("nan"), 4]}, r"detections\[1\] has bbox"),
        ({"bbox": None}, r"detections\[1\] has bbox None"),
        ({"bbox": 7}, r"detections\[1\] has bbox 7"),
    ],
)
def test_a_bad_detection_is_named(change, words):
    truth = ground_truth([(1, 1, A)])
    found = [detection(A, 0.9), detection(A, 0.8) | change, detection(A, 0.7)]
    with pytest.raises(ValueError, match=words):
        coco_eval.evaluate(truth, found)


def test_all_boxes_too_short_are_named_too():
    with pytest.raises(ValueError, match=r"detections\[0\] has bbox \[1, 2, 3\]"):
        found = [detection([1, 2, 3], 0.5)] * 4  # 12 numbers, three boxes' worth
        coco_eval.evaluate(ground_truth([(1, 1, A)]), found)


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox", "score"])
def test_a_missing_key_is_named(key):
    found = [detection(A, 0.9), detection(A, 0.8)]
    del found[1][key]
    with pytest.raises(ValueError, match=rf"detections\[1\] has no '{key}'"):
        coco_eval.evaluate(ground_truth([(1, 1, A)]), found)
    with pytest.raises(ValueError, match=r"detections\[0\] has no 'image_id': 'x'"):
        coco_eval.evaluate(ground_truth([(1, 1, A)]), ["x"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 5}, r"annotations\[0\] has image_id 5"),
        ({"category_id": 5}, r"annotations\[0\] has category_id 5"),
        ({"bbox": [1, 2]}, r"annotations\[0\] has bbox"),
        ({"area": None}, r"annotations\[0\] has area None"),
        ({"area": float("nan")}, r"annotations\[0\] has area nan"),
    ],
)
def test_a_bad_annotation_is_named(change, words):
    truth = ground_truth([(1, 1, A)])
    truth["annotations"][0] |= change
    with pytest.raises(ValueError, match=words):
        coco_eval.evaluate(truth, [detection(A, 0.9)])


def test_what_is_no_coco_at_all_is_refused():
    truth = ground_truth([(1, 1, A)])
    with pytest.raises(ValueError, match="images: a list of dictionaries"):
        coco_eval.evaluate([], [])
    with pytest.raises(ValueError, match="annotations: a list of dictionaries"):
        coco_eval.evaluate({k: truth[k] for k in ("images", "categories")}, [])
    with pytest.raises(ValueError, match="detections: a list of dictionaries"):
        coco_eval.evaluate(truth, {"boxes": []})
    truth["images"].append({"id": 1})
    with pytest.raises(ValueError, match="images: the id 1 stands there twice"):
        coco_eval.evaluate(truth, [])
