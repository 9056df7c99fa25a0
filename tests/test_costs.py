"""Rooflines and discs: what is told is what was given, and bad numbers are named."""

import pytest

from lib.book import costs

LABELS = {"x_label": "work a byte", "y_label": "work a second"}
ROOFS = {"fp32": (8.0, 2.0), "int8": (32.0, 2.0)}


def test_a_roof_is_the_lower_of_two_limits():
    """By hand: at 1 a byte both roofs are 2, so 1 a second is a half; at 10 it is 8."""
    layers = {"thin": (1.0, 1.0, "int8"), "thick": (10.0, 6.0, "fp32")}
    figure = costs.roofline(layers, ROOFS, **LABELS)
    assert figure.says == "How much of its roof a layer reaches: thick 75%, thin 50%."
    assert "thin (1, 1); thick (10, 6)" in figure.alt
    assert figure.png()[:4] == b"\x89PNG"
    assert costs.roofline(layers, ROOFS, **LABELS, says="Two.").says == "Two."


def test_discs_tell_place_and_area():
    points = {"small": (0.5, 0.8, 230.0), "large": (2.0, 0.81, 2400.0)}
    figure = costs.discs(points, x_label="ms", y_label="AP", area_label="kB")
    assert "small (0.5, 0.8, 230); large (2, 0.81, 2,400)" in figure.alt
    assert "Leftmost small, rightmost large" in figure.says
    assert figure.png()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("layers", "roofs", "says"),
    [
        ({"a": (1.0, 1.0, "fp16")}, ROOFS, "layers 'a'.*one of fp32, int8"),
        ({"a": (1.0, 1.0)}, ROOFS, "layers 'a'"),
        ({"a": (0.0, 1.0, "fp32")}, ROOFS, "layers"),
        ({"a": (1.0, 1.0, "fp32")}, {"fp32": (1.0,)}, "roofs 'fp32'"),
    ],
)
def test_bad_roofs_are_named(layers, roofs, says):
    with pytest.raises(ValueError, match=says):
        costs.roofline(layers, roofs, **LABELS)


@pytest.mark.parametrize("points", [{"a": (1, 2)}, {"a": (1, 2, 0)}, {}])
def test_bad_discs_are_named(points):
    with pytest.raises(ValueError, match="points"):
        costs.discs(points, x_label="ms", y_label="AP", area_label="kB")
