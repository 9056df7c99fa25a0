"""Stacks and detectors drawn: what is read, places by hand, parts by name."""

import numpy as np
import pytest

from lib.book import architectures, plots

# The smallest stack by hand: N = 1, F = 8. State 0 is the stem's.
STACK = [("normal", 8, None), ("reduction", 16, 0), ("normal", 16, 1)]
LEVELS = {"P3": 16, "P4": 8, "P5": 4, "P6": 2, "P7": 1}


def test_a_stack_tells_both_inputs_of_each_cell():
    figure = plots.stack(STACK, sides=[32, 32, 16, 16])
    assert figure.says == (
        "3 cells, 2 normal and 1 reduction; 2 of them read two different states."
    )
    assert "cell 1: normal, 8 filters, 32 pixels a side, reads stem;" in figure.alt
    assert "16 pixels a side, reads cell 1 and stem;" in figure.alt
    assert figure.alt.endswith("reads cell 2 and cell 1.")


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ([], {}, "cells: empty"),
        (5, {}, "cells: 5; give a list of triples"),
        ([("normal", 8, "0")], {}, "cell 0, previous: '0'"),
        (STACK, {"sides": 32}, "sides: 32; give a list"),
        (STACK, {"sides": [32, 32, 16, 0.5]}, "sides: 0.5"),
        ([("normal", 8)], {}, "cell 0 is"),
        ([("normal", 8, 1)], {}, "reads state 1; those below it are 0 to 0"),
        (STACK, {"sides": [32]}, "sides: has 1, should have 4"),
        (STACK, {"highlight": ["odd"]}, "highlight: 'odd' is no part"),
    ],
)
def test_bad_stacks_are_named(cells, options, message):
    with pytest.raises(ValueError, match=message):
        plots.stack(cells, **options)


def test_a_detector_counts_its_places():
    figure = plots.detector(128, LEVELS)
    # 16^2 + 8^2 + 4^2 + 2^2 + 1^2
    assert "5 maps with 341 places" in figure.says
    assert "Made from the backbone's last map: P6, P7." in figure.alt
    whole = plots.detector(128, LEVELS, backbone=5)
    assert "Made from" not in whole.alt


def test_parts_of_a_detector_have_words_chapters_and_a_highlight():
    figure = plots.detector(
        128, LEVELS, words={"backbone": "B0"}, chapters={"pyramid": "11"},
        highlight=["pyramid", "class head"],
    )  # fmt: skip
    assert "the backbone (B0)" in figure.alt
    assert "Chapters: pyramid 11. Highlighted: pyramid, class head." in figure.alt
    drawn = [t.get_text() for t in figure._canvas.axes[0].texts]
    assert "B0" in drawn and "ch. 11" in drawn
    plain = plots.detector(128, LEVELS, words={"backbone": "B0"})
    heavy = [p.get_linewidth() > 2 for p in figure._canvas.axes[0].patches]
    assert sum(heavy) == 2  # not by colour alone
    assert all(p.get_linewidth() <= 2 for p in plain._canvas.axes[0].patches)


@pytest.mark.parametrize("field", ["words", "chapters", "highlight"])
def test_a_part_that_there_is_not_is_named(field):
    with pytest.raises(ValueError, match=f"{field}: 'neck' is no part.*'pyramid'"):
        plots.detector(128, LEVELS, **{field: {"neck": "11"}})


@pytest.mark.parametrize(
    ("side", "levels", "options", "message"),
    [
        (0, LEVELS, {}, "side: 0; give a whole number"),
        (128, 5, {}, "levels: 5; give a dictionary"),
        (128, {}, {}, "levels: {}; give a dictionary"),
        (128, {"P3": None}, {}, "levels 'P3': None"),
        (128, LEVELS, {"backbone": True}, "backbone: True"),
        (128, LEVELS, {"boxes": [1, 2]}, "boxes: give 2 axes"),
        (128, LEVELS, {"boxes": [[1, 2]]}, r"boxes: shape .*\(N, 4\)"),
        (128, LEVELS, {"words": ["pyramid"]}, "words: .*give a dictionary"),
        (128, LEVELS, {"chapters": 11}, "chapters: 11; give a dictionary"),
    ],
)
def test_bad_detectors_are_named(side, levels, options, message):
    with pytest.raises(ValueError, match=message):
        plots.detector(side, levels, **options)


def test_a_picture_and_its_boxes_stand_at_both_ends():
    image = np.zeros((3, 32, 32), np.uint8)
    axes = plots.detector(32, {"P3": 4}, backbone=1, image=image)._canvas.axes[0]
    assert len(axes.images) == 2
    assert axes.get_xlim() == (0, 7)  # imshow did not move the paper
    with pytest.raises(ValueError, match="image: dtype float64"):
        plots.detector(32, {"P3": 4}, backbone=1, image=np.zeros((3, 32, 32)))
    with pytest.raises(ValueError, match="backbone: 3, of 1 levels"):
        plots.detector(32, {"P3": 4})


def test_every_part_has_its_place_for_a_chapter():
    spots = architectures._tags(3.0, 3, [(1.0, 1.0), (1.0, 2.0)])
    assert set(spots) == set(architectures.PARTS)
