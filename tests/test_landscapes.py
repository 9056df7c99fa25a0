"""Maps of a landscape: what is said of a path is what the path does."""

import numpy as np
import pytest

from lib.book import plots


def bowl(x, y):
    return x**2 + y**2


LABELS = {"x_label": "w", "y_label": "b"}


def test_a_path_is_told_with_its_heights():
    """From (3, 4), of height 25, to (0, 1), of height 1, in two steps."""
    figure = plots.contours(bowl, {"mine": [[3, 4], [1, 2], [0, 1]]}, **LABELS)
    told = "mine: from (3, 4), height 25, to (0, 1), height 1, in 2 steps"
    assert told in figure.alt and told in figure.says
    assert figure.png()[:4] == b"\x89PNG"


def test_it_takes_what_a_caller_says():
    paths = {"a": np.zeros((2, 2)), "b": np.ones((3, 2))}
    figure = plots.contours(bowl, paths, says="Two paths.", lines=3, **LABELS)
    assert figure.says == "Two paths." and "2 paths" in figure.alt


@pytest.mark.parametrize(
    ("height", "paths", "says"),
    [
        (3, {"a": [[0, 0]]}, "height: 3; give a function"),
        (bowl, {}, "1 to 4 paths"),
        (bowl, [[0, 0]], "1 to 4 paths"),
        (bowl, {"a": [[0, 0, 0]]}, "'a': has 3 columns"),
        (bowl, {"a": [0, 1]}, "path 'a'"),
        (lambda x, y: x * np.nan, {"a": [[0, 0], [1, 1]]}, "height"),
    ],
)
def test_what_is_no_map_is_refused(height, paths, says):
    with pytest.raises(ValueError, match=says):
        plots.contours(height, paths, **LABELS)
