"""Scenes from another day, worked by hand, and the four budgets."""

import numpy as np
import pytest

from lib.detection import detectors
from lib.detection.redrawing import Estimate
from lib.road import judging, task


def test_a_turn_moves_pixels_and_boxes_together():
    """A bright square off the centre: where its box goes, its pixels go."""
    images = np.full((1, 3, 128, 128), 20, np.uint8)
    images[:, :, 20:36, 90:106] = 220
    turned, boxes = task.turned(images, np.array([[90.0, 20, 106, 36]]))
    rows, columns = np.nonzero(turned[0, 0] > 120)
    seen = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert np.abs(boxes.reshape(2, 2).mean(0) - seen).max() < 0.5
    # 4.03 degrees about (64, 64), by hand: (34, -36) goes to (36.4, -33.5) or back.
    assert np.abs(np.abs(seen - 64) - [34, 36]).max() > 1.5
    assert np.hypot(*(seen - 64)) == pytest.approx(np.hypot(34, 36), abs=0.5)


def test_light_grain_and_stripes_by_hand():
    grey = np.full((4, 3, 64, 64), 100, np.uint8)
    assert set(task.darker(grey).flat) == {62}  # 100 * 5 / 8 = 62.5
    assert set(task.striped(grey).flat) == {88, 112}
    row = task.striped(grey)[0, 0, 0]  # 2 x / 16 changes every 8 pixels
    assert row[:8].tolist() == [112] * 8 and row[8:16].tolist() == [88] * 8
    noisy = task.noisier(grey, task.drawing.Dice("t")).astype(int) - 100
    assert noisy.min() == -26 and noisy.max() == 26 and abs(noisy.mean()) < 0.5


def test_hidden_scenes_hold_the_same_objects_as_those_they_are_made_of():
    scenes, plain = task.hidden(8, seed=5), detectors.scenes("test", 8, seed=5)
    assert (scenes.labels == plain.labels).all()
    assert all((scenes.images[i] != plain.images[i]).any() for i in range(8))
    still = [i for i in range(8) if i % 4 != 2]
    for i in still:
        assert (scenes[i].boxes == plain[i].boxes).all()
    again = task.hidden(8, seed=5)
    assert (again.images == scenes.images).all()


def test_four_budgets():
    one = Estimate(0.6, 0.55, 0.65)
    row = judging.Row("mine", one, one, 2.0, 0.8, 300.0, 80_000_000)
    kept = [line[3] for line in task.weigh(row)]
    assert kept == [False, True, False, True]  # 300 kB and 80 million are more
    assert [x[3] for x in task.weigh(row, task.Budgets(299, 0.7, 8e7, 0.6))] == [
        False, False, True, True,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="'mine' has no multiply-adds"):
        task.weigh(judging.Row("mine", one, one, 2.0, 0.8, 300.0, None))
