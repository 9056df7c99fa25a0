"""Precision over recall as stairs: what is told is what was given."""

import numpy as np
import pytest

from lib.book import plots

RECALL, PRECISION, RIGHT = [0.5, 0.5, 1.0], [1, 1 / 2, 2 / 3], [True, False, True]


def test_each_detection_and_the_mean_height_are_told():
    """By hand: 2 of 4 places at 1, 2 at 2/3: mean 5/6."""
    stairs = np.array([0.25, 0.5, 0.75, 1.0]), np.array([1, 1, 2 / 3, 2 / 3])
    figure = plots.staircase(RECALL, PRECISION, RIGHT, *stairs)
    assert "right (0.5, 1); false (0.5, 0.5); right (1, 0.6667)" in figure.alt
    assert "2 of 3 are right" in figure.says and "0.833" in figure.says
    assert figure.png()[:4] == b"\x89PNG"
    said = plots.staircase(RECALL, PRECISION, RIGHT, *stairs, says="Three detections.")
    assert said.says == "Three detections."


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"precision": [1, 0.5]}, "precision"),
        ({"right": [True]}, "right"),
        ({"heights": [1]}, "heights"),
        ({"at": [0.5, 0.5], "heights": [1, 1]}, "at: the recalls have to rise"),
        ({"recall": [np.nan, 0.5, 1]}, "recall"),
    ],
)
def test_bad_numbers_are_named(changed, says):
    given = {"recall": RECALL, "precision": PRECISION, "right": RIGHT}
    given |= {"at": [0.0, 1.0], "heights": [1.0, 0.5]} | changed
    with pytest.raises(ValueError, match=says):
        plots.staircase(**given)
