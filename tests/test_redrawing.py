"""A test set drawn again: against hands, and pictures that are really copied."""

import numpy as np
import pytest

from lib.detection import coco_eval, redrawing
from tests.test_coco_eval import A, B, detection, drawn, ground_truth, pycoco


def copied(truth, found, times):
    """COCO dictionaries in which picture i really stands times[i] times."""
    images = sorted(image["id"] for image in truth["images"])
    again = truth | {"images": [], "annotations": []}
    result = []
    for identity, count in zip(images, times, strict=True):
        for copy in range(count):
            new = {"image_id": 1000 * identity + copy}
            again["images"].append({"id": new["image_id"]})
            for entry in truth["annotations"]:
                if entry["image_id"] == identity:
                    number = {"id": len(again["annotations"]) + 1}
                    again["annotations"].append(entry | new | number)
            result += [d | new for d in found if d["image_id"] == identity]
    return again, result


@pytest.mark.parametrize("seed", [3, 5, 8, 13, 21, 27])
def test_a_picture_drawn_twice_counts_as_pycocotools_counts_two_copies(seed):
    """Crowds, empty pictures, classes that a draw has no object of.

    No two scores are equal: two copies of a picture take turns there, ours do not.
    """
    truth, found = drawn(seed)
    for n, entry in enumerate(found):
        entry["score"] += n / 1e6
    rows = coco_eval._rows(truth, found)
    times = redrawing.draw(len(truth["images"]), 6, seed)
    ours = redrawing.average_precisions(rows, times, coco_eval.RECALLS)
    for ap, count in zip(ours, times, strict=True):
        theirs = pycoco(*copied(truth, found, count)).stats[0]
        assert (-1.0 if np.isnan(ap) else ap) == pytest.approx(theirs, abs=1e-12)


def test_draws_are_done_in_parts_where_memory_is_short(monkeypatch):
    truth, found = drawn(8)
    rows, times = coco_eval._rows(truth, found), redrawing.draw(9, 20, 0)
    times = times[:, : len(truth["images"])]
    whole = redrawing.average_precisions(rows, times, coco_eval.RECALLS)
    monkeypatch.setattr(redrawing, "AT_ONCE", 50)
    parts = redrawing.average_precisions(rows, times, coco_eval.RECALLS)
    assert np.array_equal(whole, parts, equal_nan=True)


def test_a_draw_has_as_many_pictures_as_the_set_and_each_is_equally_likely():
    times = redrawing.draw(pictures=8, draws=4000, seed=1)
    assert times.shape == (4001, 8) and (times.sum(1) == 8).all()
    assert (times[0] == 1).all()
    assert times[1:].mean(0) == pytest.approx(np.ones(8), abs=0.1)
    # The variance of a binomial count: 8 * 1/8 * 7/8.
    assert times[1:].var(0) == pytest.approx(np.full(8, 7 / 8), abs=0.1)


def test_an_estimate_is_the_first_value_and_the_middle_of_the_others():
    values = np.append(7.0, np.arange(0, 1001) / 1000)
    assert redrawing.estimate(values) == pytest.approx((7.0, 0.025, 0.975))
    values[5] = np.nan
    assert redrawing.estimate(values).low == pytest.approx(0.025, abs=2e-3)
    assert f"{redrawing.Estimate(0.5, 0.25, 1):.2f}" == "0.50 [0.25, 1.00]"


# ---------------------------------------------------------------------- two detectors


def ten_pictures(found_in, score=0.9):
    """Ten pictures with one object each; it is found in those that are named."""
    objects = [(i, 1, A) for i in range(1, 11)]
    found = [detection(A, score, i) for i in found_in]
    return ground_truth(objects, images=10), found


def test_a_difference_is_surer_than_the_two_numbers_that_it_is_of():
    """Both are spoiled by the same pictures; b finds one object more.

    By hand: 5 of 10 found is recall .5, which 51 of 101 recalls reach; 6 are 61.
    """
    truth, a = ten_pictures(range(1, 6))
    b = ten_pictures(range(1, 7))[1]
    it = coco_eval.compare(truth, a, b)
    assert it.a.value == pytest.approx(51 / 101)
    assert it.b.value == pytest.approx(61 / 101)
    assert it.difference.value == pytest.approx(10 / 101)
    assert it.a.high > it.b.low  # they overlap, and yet no draw is worse for b
    # The sixth picture is drawn 0 to 3 times in 98 of 100 draws: binomial, n 10, p .1.
    assert it.difference.low == pytest.approx(0, abs=1e-12)
    assert it.difference.high == pytest.approx(0.3, abs=0.02)
    width = it.difference.high - it.difference.low
    assert width < (it.a.high - it.a.low) / 1.5


def test_twice_the_same_list_differs_by_nothing():
    truth, found = drawn(3)
    it = coco_eval.compare(truth, found, found, draws=50)
    assert it.difference == (0, 0, 0) and it.a == it.b
    assert it.a.value == pytest.approx(coco_eval.evaluate(truth, found).ap, abs=1e-12)
    assert it == coco_eval.compare(truth, found, found, draws=50)
    assert it != coco_eval.compare(truth, found, found, draws=50, seed=1)


def test_the_interval_of_a_share_is_the_binomial_one():
    """One class, one perfect box or none: AP50 is the share found, nearly.

    Of 200 pictures 140 are found: the share has a standard error of
    sqrt(.7 * .3 / 200) = .0324, the 95 % interval 1.96 times that on both sides.
    """
    objects = [(i, 1, A) for i in range(1, 201)]
    truth = ground_truth(objects, images=200)
    found = [detection(A, 0.9, i) for i in range(1, 141)]
    share = coco_eval.compare(truth, found, []).a
    assert share.value == pytest.approx(0.7, abs=0.01)
    assert share.low == pytest.approx(0.7 - 0.0635, abs=0.01)
    assert share.high == pytest.approx(0.7 + 0.0635, abs=0.01)


def test_where_there_is_nothing_to_find_it_is_said():
    crowd = {"iscrowd": 1}
    for objects in ([], [(1, 1, B, crowd)]):
        truth = ground_truth(objects)
        with pytest.raises(ValueError, match="no object that counts"):
            coco_eval.compare(truth, [], [])
    truth, found = ten_pictures([1])
    with pytest.raises(ValueError, match="draws is 1; it must be a whole number"):
        coco_eval.compare(truth, found, found, draws=1)
    with pytest.raises(ValueError, match=r"detections\[0\] has image_id 99"):
        coco_eval.compare(truth, found, [detection(A, 0.5, 99)])
