"""Pairs of detections and objects, and the turns in which they are decided."""

import numpy as np
import pytest

from lib.detection import pairing


def test_each_detection_meets_each_object_of_its_image():
    objects, detections = np.array([0, 0, 3, 3, 3]), np.array([0, 1, 3, 3])
    detection, object_ = pairing.of_one_image(objects, detections)
    assert detection.tolist() == [0, 0, 2, 2, 2, 3, 3, 3]
    assert object_.tolist() == [0, 1, 2, 3, 4, 2, 3, 4]


def test_nothing_pairs_with_nothing():
    none, some = np.zeros(0, int), np.array([0, 1])
    for pair in (none, some), (some, none), (none, none):
        assert all(len(rows) == 0 for rows in pairing.of_one_image(*pair))


def test_the_first_detections_of_all_images_take_the_first_turn():
    # Two images: detections 0, 1, 2 in the first (1 fits nothing), 3 in the second.
    pairs = pairing.Pairs(
        detection=np.array([0, 0, 2, 3]),
        object=np.array([0, 1, 0, 2]),
        overlap=np.array([0.9, 0.6, 0.7, 0.8]),
    )
    first, second = pairing.turns(pairs, image=np.array([0, 0, 0, 1]))
    assert first.detection.tolist() == [0, 0, 3]
    assert first.object.tolist() == [1, 0, 2]  # the better one last
    assert second.detection.tolist() == [2]


@pytest.mark.parametrize(
    ("free", "counts", "row"),
    [
        ([True, True, True], [True, True, True], 2),  # the last is the best
        ([True, True, False], [True, True, True], 1),  # taken: the next
        ([True, True, True], [True, False, False], 0),  # what counts comes first
        ([False, False, False], [True, True, True], -1),
    ],
)
def test_the_best_free_object_that_counts_is_taken(free, counts, row):
    detection = np.zeros(3, int)
    free, counts = np.array(free)[:, None, None], np.array(counts)[:, None]
    chooser, best = pairing.best(detection, free, counts)
    assert chooser.tolist() == [0]
    assert (best[0, 0, 0] if row < 0 else best[0, 0, 0] % 3) == row
