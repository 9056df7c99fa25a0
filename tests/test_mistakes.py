"""Six kinds of mistake: toys by hand, and AP50 as COCO's."""

import numpy as np
import pytest

from lib.detection import coco_eval, mistakes
from tests.test_coco_eval import CROWD, A, B, C, detection, drawn, ground_truth

D = [0, 200, 40, 40]


def near(box, shift):
    """The same box, so many of its 40 pixels further right."""
    return [box[0] + shift, *box[1:]]


# Shifted by s, two boxes of width 40 overlap by (40 - s) / (40 + s).
@pytest.mark.parametrize(
    ("bbox", "category", "kind"),
    [
        (A, 1, "right"),
        (near(A, 13), 1, "right"),  # 27/53 = 0.51
        (near(A, 14), 1, "place"),  # 26/54 = 0.48
        (near(A, 32), 1, "place"),  # 8/72 = 0.11
        (near(A, 33), 1, "background"),  # 7/73 = 0.096
        (A, 2, "class"),
        (near(A, 14), 2, "both"),
        (near(A, 33), 2, "background"),
        (D, 1, "background"),
    ],
)
def test_one_detection_of_one_object(bbox, category, kind):
    truth = ground_truth([(1, 1, A)], categories=2)
    found = mistakes.find(truth, [detection(bbox, 0.9, 1, category)])
    assert found.kind.tolist() == [kind]
    seen = kind in ("right", "class", "place")
    assert found.missed.tolist() == [not seen]
    assert found.count()["missed"] == (not seen)


def test_what_is_said_twice_is_a_duplicate_and_a_picture_without_objects_background():
    truth = ground_truth([(1, 1, A)], images=2)
    said = [detection(A, 0.8), detection(A, 0.9), detection(A, 0.7, 2)]
    found = mistakes.find(truth, said)
    assert found.kind.tolist() == ["right", "duplicate", "background"]
    assert found.count(least=0.75) == {
        "class": 0, "place": 0, "both": 0, "duplicate": 1, "background": 0, "missed": 0
    }  # fmt: skip
    assert found.count(least=0.95)["missed"] == 1


def test_costs_by_hand():
    """Class 1 has the objects A and C, class 2 has B.

    A is found (0.9), B is called class 1 (0.8), a box lies near C (0.7). Class 1 has
    51/101, half of its objects with precision 1; class 2 has 0.
    """
    truth = ground_truth([(1, 1, A), (1, 2, B), (1, 1, C)], categories=2)
    said = [detection(A, 0.9), detection(B, 0.8), detection(near(C, 20), 0.7)]
    found = mistakes.find(truth, said)
    assert found.kind.tolist() == ["right", "class", "place"]
    assert found.ap50() == pytest.approx(51 / 101 / 2)
    costs = found.costs()
    assert costs["class"] == pytest.approx(1 / 2)  # class 2 has 1, class 1 as before
    # right, false, right: 50 recalls more, with precision 2/3
    assert costs["place"] == pytest.approx(50 * 2 / 3 / 101 / 2)
    others = ("both", "duplicate", "background", "missed")
    assert [costs[kind] for kind in others] == [0, 0, 0, 0]


def test_missed_false_and_said_twice_cost_by_hand():
    """Two of three objects are found, behind two false boxes."""
    truth = ground_truth([(1, 1, A), (1, 1, B), (1, 1, C)])
    said = [(D, 0.9), (A, 0.8), (A, 0.7), (B, 0.6)]
    found = mistakes.find(truth, [detection(*one) for one in said])
    assert found.kind.tolist() == ["background", "right", "duplicate", "right"]
    # precision 1/2 at both hits; recalls 0 to 0.66: 67 of them
    assert found.ap50() == pytest.approx(67 * (1 / 2) / 101)
    costs = found.costs()
    assert costs["missed"] == pytest.approx(1 / 2 - 67 / 2 / 101)
    # without the first: 1 up to 1/3 (34 recalls), then 2/3
    assert costs["background"] == pytest.approx((34 + 33 * 2 / 3 - 67 / 2) / 101)
    # without the second A: 1/2, 2/3, so 2/3 from the right
    assert costs["duplicate"] == pytest.approx(67 * (2 / 3 - 1 / 2) / 101)


def test_only_the_surest_of_several_is_mended_and_none_of_what_is_found():
    truth = ground_truth([(1, 1, A), (1, 2, B)], categories=2)
    said = [detection(B, 0.9), detection(B, 0.8), detection(A, 0.7, 1, 2)]
    said.append(detection(A, 0.95))
    found = mistakes.find(truth, said)
    assert found.kind.tolist() == ["right", "class", "class", "class"]
    assert found._mended("class").tolist() == [False, True, False, False]
    assert found.ap50("class") == pytest.approx(1)


def test_a_crowd_explains_what_lies_in_it():
    truth = ground_truth([(1, 1, *CROWD), (1, 1, B)])
    found = mistakes.find(truth, [detection([10, 10, 20, 20], 0.9), detection(B, 0.8)])
    assert found.kind.tolist() == ["ignored", "right"]
    assert len(found.missed) == 1 and found.ap50() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(12))
def test_ap50_is_that_of_coco(seed):
    """Without ties, and with at most 100 detections a picture."""
    truth, found = drawn(seed)
    found = found[:100]
    for n, entry in enumerate(found):
        entry["score"] += n / 1e6
    it = mistakes.find(truth, found)
    assert it.ap50() == pytest.approx(coco_eval.evaluate(truth, found).ap50)
    assert sum(it.count().values()) == len(found) + it.missed.sum() - np.isin(
        it.kind, ("right", "ignored")
    ).sum()  # fmt: skip


def test_nothing_said_and_nothing_there():
    truth = ground_truth([(1, 1, A)])
    found = mistakes.find(truth, [])
    assert found.count()["missed"] == 1 and found.ap50() == 0
    assert found.costs()["missed"] == 1
    nothing = mistakes.find(ground_truth([]), [detection(A, 0.9)])
    assert nothing.ap50() == -1 and nothing.costs() == {}
    assert nothing.count()["background"] == 1
    with pytest.raises(ValueError, match="without is 'size'; it must be one of class"):
        found.ap50("size")
