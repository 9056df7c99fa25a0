"""What is drawn on a sheet can be read: text inside the paper, apart, large enough."""

import itertools

import numpy as np
import pytest

from lib.book import plots, sheet
from tests.test_architectures import LEVELS, STACK
from tests.test_mechanisms import STEPS
from tests.test_pyramids import ROAD

FIVE = [  # BiFPN of five levels: ids 0 to 4 are inputs, as in the released code
    (3, (3, 4)), (2, (2, 5)), (1, (1, 6)), (0, (0, 7)),
    (1, (1, 7, 8)), (2, (2, 6, 9)), (3, (3, 5, 10)), (4, (4, 11)),
]  # fmt: skip
CHAPTERS = dict.fromkeys(
    ("picture", "backbone", "pyramid", "class head", "box head", "anchors", "decoding",
     "boxes"), "13",
)  # fmt: skip
BLOCK = [("combination", ["add", "concat"], [0.5, 0.5], 1)] * 5
DRAWINGS = {
    "road": lambda: plots.levels(ROAD),
    "five levels": lambda: plots.levels({"a": FIVE, "b": FIVE, "c": FIVE}, title="T"),
    "stack": lambda: plots.stack(STACK, sides=[32, 32, 16, 16], title="NASNet"),
    "deep stack": lambda: plots.stack([("reduction", 1056, None)] * 12),
    "detector": lambda: plots.detector(1536, LEVELS, chapters=CHAPTERS, title="D7"),
    "small detector": lambda: plots.detector(128, {"P3": 16}, backbone=1),
    "controller": lambda: plots.unrolled(STEPS, total=10, title="Toy"),
    "a whole block": lambda: plots.unrolled(BLOCK, total=50),
    "mbconv": lambda: plots.mbconv(24, 144, 24, squeezed=6),
    "wide mbconv": lambda: plots.mbconv(
        320, 1920, 640, squeezed=80, kernel=5, stride=2
    ),
    "bare mbconv": lambda: plots.mbconv(16, 16, 16),
}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_text_lies_inside_the_paper_and_no_two_texts_meet(kind):
    figure = DRAWINGS[kind]()
    figure.png()
    canvas = figure._canvas
    texts = [t for t in [*canvas.texts, *canvas.axes[0].texts] if t.get_text().strip()]
    edges = {t: t.get_window_extent() for t in texts}
    wide, high = canvas.get_size_inches() * canvas.dpi
    for text, edge in edges.items():
        assert edge.x0 >= 0 and edge.y0 >= 0, text
        assert edge.x1 <= wide and edge.y1 <= high, text
        assert text.get_fontsize() >= 8
    for (one, a), (two, b) in itertools.combinations(edges.items(), 2):
        assert not a.overlaps(b), (one, two)


@pytest.mark.parametrize("kind", DRAWINGS)
def test_words_fit_into_their_boxes(kind):
    figure = DRAWINGS[kind]()
    figure.png()
    axes = figure._canvas.axes[0]
    boxes = [
        p.get_window_extent() for p in axes.patches
        if type(p).__name__ == "FancyBboxPatch" and p.get_zorder() == 3
    ]  # fmt: skip
    for text in axes.texts:
        edge = text.get_window_extent()
        middle = (edge.x0 + edge.x1) / 2, (edge.y0 + edge.y1) / 2
        for box in boxes:
            if box.contains(*middle):
                assert box.x0 <= edge.x0 and edge.x1 <= box.x1, text
                assert box.y0 <= edge.y0 and edge.y1 <= box.y1, text


def test_a_tint_is_between_the_colour_and_white():
    assert sheet.tint("#000000", 0.25) == (0.75, 0.75, 0.75)
    assert np.allclose(sheet.tint("#0072B2", 1), (0, 114 / 255, 178 / 255))
