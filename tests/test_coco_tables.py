"""Entries of every kind: the same arrays from equal numbers, a name for a bad one."""

import numpy as np
import pytest
import torch

from lib.detection import coco_eval, coco_tables
from tests.test_coco_eval import A, B, detection, ground_truth

TRUTH = ground_truth([(1, 1, A), (2, 2, B)], images=2, categories=2)
FOUND = [detection(A, 0.9), detection(B, 0.8, image=2, category=2)]


def changed(**fields) -> list[dict]:
    """`FOUND` with the second detection changed."""
    return [FOUND[0], FOUND[1] | fields]


@pytest.mark.parametrize(
    "fields",
    [
        {"image_id": torch.tensor(2), "category_id": torch.tensor([2])},
        {"image_id": np.int64(2), "category_id": np.array(2, np.uint8)},
        {"image_id": 2.0},
        {"bbox": torch.tensor(B), "score": torch.tensor(0.8, dtype=torch.float64)},
        {"bbox": np.array(B), "score": np.float64(0.8)},
        {"bbox": [torch.tensor(float(v)) for v in B], "image_id": torch.tensor(2)},
        {"bbox": tuple(B), "iscrowd": "of no meaning in a detection"},
    ],
)
def test_equal_numbers_of_other_kinds_give_the_same(fields):
    expected = coco_eval.precision_recall(TRUTH, FOUND)
    got = coco_eval.precision_recall(TRUTH, changed(**fields))
    for ours, theirs in zip(got, expected, strict=True):
        assert np.array_equal(ours, theirs)
    assert expected.numbers().ap == pytest.approx(1)


def test_ids_of_the_ground_truth_may_be_tensors():
    """As a `DataLoader` over pictures gives them."""
    truth = ground_truth([(1, 1, A), (2, 2, B)], images=2, categories=2)
    for kind in truth.values():
        for entry in kind:
            for key in ("id", "image_id", "category_id", "iscrowd", "area"):
                if key in entry:
                    entry[key] = torch.tensor(entry[key])
    numbers = coco_eval.precision_recall(truth, FOUND)
    assert numbers.numbers().ap == pytest.approx(1)
    assert numbers.category_ids == [1, 2]


def test_texts_are_ids_too():
    truth = {
        "images": [{"id": "b.png"}, {"id": 3}],
        "categories": [{"id": 1}],
        "annotations": [{"image_id": "b.png", "category_id": 1, "bbox": A}],
    }
    found = [detection(A, 0.9, image="b.png"), detection(A, 0.5, image=3)]
    assert coco_eval.evaluate(truth, found).ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_id": [1]}, r"image_id \[1\]; give a whole number"),
        ({"image_id": {"id": 1}}, "give a whole number"),
        ({"image_id": None}, "image_id None; give a whole number"),
        (
            {"category_id": torch.tensor([1, 2])},
            r"category_id tensor\(\[1, 2\]\); give",
        ),
        (
            {"category_id": torch.tensor(7)},
            r"category_id tensor\(7\); known are \[1, 2",
        ),
        ({"bbox": [10**400, 0, 4, 4]}, "bbox .*; give x y w h, finite"),
        ({"bbox": [0, 0, 4, -4]}, "w and h not below 0"),
        ({"bbox": [0, 0, 4]}, "give x y w h"),
        ({"bbox": [[0, 0, 4, 4]]}, "give x y w h"),
        ({"bbox": "0 0 4 4"}, "give x y w h"),
        ({"bbox": ["0", "0", "4", "4"]}, "give x y w h"),
        ({"bbox": None}, "give x y w h"),
        ({"bbox": torch.tensor([0.0, 0, np.nan, 4])}, "give x y w h, finite"),
        ({"score": [0.5]}, r"score \[0.5\]; give a number"),
        ({"score": "0.5"}, "score '0.5'; give a number"),
        ({"score": 10**400}, "score .*; give a number"),
        ({"score": None}, "score None; give a number"),
    ],
)
def test_a_bad_detection_is_named(fields, words):
    with pytest.raises(ValueError, match=rf"detections\[1\] has .*{words}"):
        coco_eval.evaluate(TRUTH, changed(**fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"area": [1]}, r"area \[1\]; give a number"),
        ({"area": None}, "area None; give a number"),
        ({"area": 10**400}, "give a number"),
        ({"iscrowd": "0"}, "iscrowd '0'; give 0 or 1"),
        ({"iscrowd": "no"}, "iscrowd 'no'; give 0 or 1"),
        ({"iscrowd": 2**31}, "iscrowd 2147483648; give 0 or 1"),
        ({"image_id": [1]}, "give a whole number"),
    ],
)
def test_a_bad_annotation_is_named(fields, words):
    truth = ground_truth([(1, 1, A), (1, 1, B, fields)])
    with pytest.raises(ValueError, match=rf"annotations\[1\] has .*{words}"):
        coco_eval.evaluate(truth, [])


@pytest.mark.parametrize("entry", [None, 3, "text", [], [("image_id", 1)]])
def test_an_entry_that_is_no_dictionary_is_named(entry):
    with pytest.raises(ValueError, match=r"detections\[1\] has no 'image_id'"):
        coco_eval.evaluate(TRUTH, [FOUND[0], entry])
    for kind in ("images", "categories"):
        broken = TRUTH | {kind: [TRUTH[kind][0], entry]}
        with pytest.raises(ValueError, match=rf"{kind}\[1\] has no 'id'"):
            coco_eval.evaluate(broken, FOUND)
    with pytest.raises(ValueError, match=r"annotations\[0\] has no 'image_id'"):
        coco_eval.evaluate(TRUTH | {"annotations": [entry]}, FOUND)


def test_ids_that_are_none_or_stand_twice_are_refused():
    for wrong in ([1], None, {}):
        images = [{"id": 1}, {"id": wrong}]
        with pytest.raises(ValueError, match=r"images\[1\] has id .*; give a whole"):
            coco_eval.evaluate(TRUTH | {"images": images}, [])
    twice = [{"id": 1}, {"id": torch.tensor(1)}]
    with pytest.raises(ValueError, match="categories: the id 1 stands there twice"):
        coco_eval.evaluate(TRUTH | {"categories": twice}, [])


def test_places_count_the_sorted_ids():
    truth = ground_truth([(9, 1, A)], images=0)
    truth["images"] = [{"id": 9}, {"id": 4}]
    objects, found, ids = coco_tables.read(truth, [])
    assert objects.image.tolist() == [1] and objects.area.tolist() == [1600]
    assert found.xywh.shape == (0, 4) and ids == [1]
