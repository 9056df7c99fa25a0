"""Figures: their text twins hold the plotted numbers, their PNGs decode, bad input."""

import io
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from PIL import Image

from lib.book import pictures, plots

AXES = {"x_label": "epoch", "y_label": "loss (nats)"}


class Seen(HTMLParser):
    """Tags with their attributes, and the text, of a piece of HTML."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def picture(figure) -> np.ndarray:
    with Image.open(io.BytesIO(figure.png())) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def scene(side=32) -> np.ndarray:
    """A grey square with its left half black."""
    image = np.full((3, side, side), 128, np.uint8)
    image[:, :, : side // 2] = 0
    return image


EVERY_KIND = {
    "lines": lambda: plots.lines([1, 2, 3], {"train": [4, 2.5, 1]}, **AXES),
    "points": lambda: plots.points({"a": [1, 2, 9], "b": [4]}, y_label="score"),
    "intervals": lambda: plots.intervals(
        {"a": (0.5, 0.25, 1), "b": (0, -1, 1)}, y_label="tau"
    ),
    "scatter": lambda: plots.scatter(
        [1, 2, 4], [5, 7, 6], names="pqr", front=[0, 1], x_label="cost", y_label="gain"
    ),
    "bars": lambda: plots.bars({"stem": 7, "head": -2.5}, y_label="share (%)"),
    "histogram": lambda: plots.histogram([1, 2, 2, 9], bins=4, x_label="side (px)"),
    "grid": lambda: plots.grid({"in": [[1, 0], [0, -3]], "out": [[2]]}, title="Conv"),
    "images": lambda: plots.images(np.stack([scene()] * 3), titles=["7", "3", "1"]),
    "boxes": lambda: plots.boxes(scene(), [[2, 3, 20, 30]], [7], [0.91]),
    "graph": lambda: plots.graph("ab", [("a", "b", "sep 3x3")]),
    "levels": lambda: plots.levels({"FPN": [(1, (1,)), (0, (0, 2))]}),
    "stack": lambda: plots.stack([("normal", 8, None), ("reduction", 16, 0)]),
    "detector": lambda: plots.detector(32, {"P3": 4, "P4": 2}, backbone=2),
    "unrolled": lambda: plots.unrolled([("input", ["0", "1"], [0.5, 0.5], 1)]),
    "mbconv": lambda: plots.mbconv(4, 24, 4, squeezed=1),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_shows_a_png_with_alt_text_and_a_statement(kind):
    figure = EVERY_KIND[kind]()
    bundle = figure._repr_mimebundle_()
    assert sorted(bundle) == ["text/html", "text/plain"]
    seen = Seen(bundle["text/html"])
    assert [tag for tag, _ in seen.tags] == ["figure", "img", "figcaption"]
    image = seen.tags[1][1]
    assert image["alt"] == figure.alt and len(figure.alt) > 20
    assert image["src"].startswith("data:image/png;base64,iVBOR")
    assert seen.text == figure.says == bundle["text/plain"] and figure.says[-1] == "."
    # Shown at two thirds of its dots: 96 CSS pixels for each inch of 144 dots.
    assert abs(int(image["width"]) - picture(figure).shape[1] * 96 / 144) <= 1


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_is_small_the_same_each_time_and_leaves_no_trace(kind):
    before = dict(matplotlib.rcParams)
    state = np.random.get_state()[1].tolist()
    first, second = EVERY_KIND[kind](), EVERY_KIND[kind]()
    assert first.png() == second.png()
    assert len(first.png()) < 60_000
    assert b"matplotlib" not in first.png()
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_background_is_white(kind):
    if kind not in ("images", "boxes"):  # pictures go to the edge
        assert picture(EVERY_KIND[kind]())[-1, -1].tolist() == [255, 255, 255]


def test_lines_tell_start_end_minimum_and_maximum():
    figure = plots.lines([1, 2, 3], {"train": [4, 0.5, 1]}, title="Loss", **AXES)
    assert figure.alt == (
        "Loss. Line plot. x: epoch, from 1 to 3. y: loss (nats). train: starts at 4, "
        "ends at 1, minimum 0.5 at 2, maximum 4 at 1."
    )
    assert figure.says == "train goes from 4 to 1 as epoch goes from 1 to 3."
    two = plots.lines([1, 2], {"a": [1, 2], "b": [3, 0.25]}, **AXES)
    assert two.says == "loss (nats) at epoch = 2: a 2; b 0.25."
    assert plots.lines([1], {"a": [2]}, says="By hand.", **AXES).says == "By hand."


def test_a_band_is_told_and_belongs_to_a_series():
    band = {"a": ([0, 1], [2, 3])}
    figure = plots.lines([1, 2], {"a": [1, 2]}, band=band, **AXES)
    assert "Band of a at the end: from 1 to 3." in figure.alt
    with pytest.raises(ValueError, match="'b' is not among the series"):
        plots.lines([1, 2], {"a": [1, 2]}, band={"b": ([0, 1], [2, 3])}, **AXES)
    with pytest.raises(ValueError, match=r"band 'a'.*above|band 'a': low"):
        plots.lines([1, 2], {"a": [1, 2]}, band={"a": ([2, 3], [0, 1])}, **AXES)


def test_points_tell_median_and_range_of_each_group():
    figure = plots.points({"small": [3, 1, 2, 10], "wide": [5]}, y_label="accuracy")
    assert "small: median 2.5 of 4, from 1 to 10." in figure.alt
    assert figure.says == "Median of accuracy: small 2.5; wide 5."


def test_intervals_are_whiskers_from_low_to_high():
    figure = plots.intervals({"a": (0.5, 0.25, 1), "b": (0, -1, 1)}, y_label="tau")
    assert figure.says == "tau: a 0.5 (from 0.25 to 1); b 0 (from -1 to 1)."
    axes = figure._canvas.axes[0]
    (whiskers,) = axes.collections
    ends = [path.vertices[:, 0].tolist() for path in whiskers.get_paths()]
    assert ends == [[0.25, 1.0], [-1.0, 1.0]]
    points = axes.lines[0].get_xdata().tolist()
    assert points == [0.5, 0.0]  # one point each, not three
    with pytest.raises(ValueError, match="'a': 2 lies outside its interval, from 0 to"):
        plots.intervals({"a": (2, 0, 1)}, y_label="tau")


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1e3, 1e18], ["10⁴", "10⁸", "10¹²", "10¹⁶"]),
        ([1e-7, 1], ["10⁻⁷", "10⁻⁴", "10⁻¹"]),
        ([1, 1000], ["1", "10", "100", "1,000"]),
        ([3, 40], ["5", "10", "20"]),
    ],
)
def test_logarithmic_axes_have_powers_of_ten(values, ticks):
    figure = plots.lines([0, 1], {"a": values}, log_y=True, **AXES)
    figure.png()
    axes = figure._canvas.axes[0]
    shown = [t.get_text() for t in axes.get_yticklabels()]
    assert set(ticks) <= set(shown), shown
    if ticks[0] != "5":
        exponents = np.log10(axes.get_yticks())
        assert np.allclose(exponents, exponents.round())


def test_scatter_names_the_front_by_cost():
    figure = plots.scatter(
        [4, 1, 2], [7, 5, 6], names=["c", "a", "b"], front=torch.tensor([0, 1]),
        x_label="cost", y_label="gain",
    )  # fmt: skip
    assert figure.says == "On the front, 2 of 3: a (1, 5); c (4, 7)."
    assert "Points (x, y): c (4, 7); a (1, 5); b (2, 6)." in figure.alt
    with pytest.raises(ValueError, match="front: indices lie in 0 to 2"):
        plots.scatter([1, 2, 3], [1, 2, 3], front=[3], x_label="x", y_label="y")


def test_bars_tell_every_value_also_when_they_lie_flat():
    short = plots.bars({"stem": 1234.0, "head": 0.5}, y_label="parameters")
    assert short.alt == "Bar chart of parameters: stem 1,234, head 0.5."
    assert short.says == "parameters: from 0.5 (head) to 1,234 (stem)."
    long = plots.bars({f"features.{i}.conv": i + 1 for i in range(20)}, y_label="n")
    assert picture(long).shape[0] > picture(short).shape[0]
    assert "features.19.conv 20." in long.alt


def test_histogram_tells_quartiles_and_what_the_bins_leave_out():
    figure = plots.histogram([1, 2, 3, 4, 100], bins=[0, 2, 4, 6], x_label="side (px)")
    assert "in 3 bins" in figure.alt and "half of them from 2 to 4" in figure.alt
    assert "1 outside the bins and not drawn" in figure.alt
    assert figure.says == "side (px): median 3 of 5 values."


def test_grid_tells_a_small_matrix_row_by_row_and_a_large_one_in_short():
    figure = plots.grid([[1, 2], [3, -4]])
    assert "Matrix of 2 rows by 2 columns, row by row: 1 2; 3 -4." in figure.alt
    assert figure.says == "Numbers from -4 (row 1, column 1) to 3 (row 1, column 0)."
    big = np.zeros((20, 30))
    big[0, 0] = 6
    assert "20 rows by 30 columns: from 0 to 6, mean 0.01." in plots.grid(big).alt
    pair = plots.grid({"a": [[1, 2]], "b": [[5]]}, columns=None)
    assert pair.says == "2 matrices, all numbers from 1 to 5."


def test_a_picture_is_enlarged_by_whole_pixels():
    image = np.zeros((4, 4), np.uint8)
    image[1, 2] = 255
    shown = picture(plots.images(image[None]))
    side = shown.shape[0] // 4
    assert shown.shape == (side * 4, side * 4, 3)
    assert (shown[side : 2 * side, 2 * side : 3 * side] == 255).all()
    assert shown.sum() == 255 * 3 * side * side


def test_images_tell_count_size_and_titles_and_take_pil():
    figure = plots.images([Image.new("L", (8, 6), 10), scene(8)], titles=[1, "two"])
    assert figure.says == "2 pictures of 8 by 6 and 8 by 8 pixels."
    assert "in 1 row. Titles: 1, two. Mean brightness, 0 to 255: 10, 64." in figure.alt


def test_a_picture_is_drawn_as_it_is_seen(tmp_path):
    """A phone's picture lies on its side, a scanner's has 16 bits, a logo holes."""
    sideways = Image.Exif()
    sideways[0x0112] = 6  # to be turned by a quarter
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, :20] = 255  # its left half is white: upright, the upper one
    Image.fromarray(half).save(tmp_path / "phone.png", exif=sideways)
    for phone in (tmp_path / "phone.png", Image.open(tmp_path / "phone.png")):
        drawn = pictures.pixels("image", phone)
        assert drawn.shape == (40, 20, 3)
        assert (drawn[:20] == 255).all() and (drawn[20:] == 0).all()
    grey = Image.fromarray(np.full((8, 8), 20_000, np.uint16))
    assert (pictures.pixels("image", grey) == 77).all()  # 20000 / 257
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (pictures.pixels("image", clear) == 255).all()
    with pytest.raises(ValueError, match="image: .*nobody.png: there is no such"):
        plots.boxes(tmp_path / "nobody.png", [])


def test_a_drawing_is_stored_with_256_colours_and_looks_the_same():
    x = np.linspace(0, 6, 50)
    figure = plots.lines(x, {"sine": np.sin(x), "cosine": np.cos(x)}, **AXES)
    file = io.BytesIO()
    with matplotlib.rc_context(plots.STYLE):  # as matplotlib itself writes it
        figure._canvas.savefig(file, dpi=144)
    with Image.open(file) as image:
        whole = np.asarray(image.convert("RGB"), dtype=int)
    with Image.open(io.BytesIO(figure.png())) as image:
        assert image.mode == "P"
        off = np.abs(np.asarray(image.convert("RGB"), dtype=int) - whole)
    assert off.mean() < 0.05 and (off > 16).mean() < 0.001
    assert len(figure.png()) < len(file.getvalue()) / 2


def test_a_small_photograph_keeps_its_colours():
    noise = np.random.default_rng(0).integers(0, 256, (1, 3, 48, 48), dtype=np.uint8)
    figure = plots.images(noise)
    with Image.open(io.BytesIO(figure.png())) as image:
        assert len(figure.png()) <= 60_000 and image.mode == "RGBA"
        assert len(image.getcolors(1 << 20)) > 2048


def test_a_large_noisy_picture_is_stored_with_256_colours():
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64), dtype=np.uint8)
    with Image.open(io.BytesIO(plots.images(noise).png())) as image:
        assert image.mode == "P"


def test_boxes_tell_class_score_and_corners():
    figure = plots.boxes(
        torch.from_numpy(scene()), torch.tensor([[2, 3, 20, 30], [1.26, 1, 9, 9]]),
        torch.tensor([1, 0]), torch.tensor([0.914, 0.5]), names=["cat", "dog"],
    )  # fmt: skip
    assert figure.alt == (
        "picture of 32 by 32 pixels with 2 boxes: dog 0.91 from (2, 3) to (20, 30); "
        "cat 0.50 from (1.3, 1) to (9, 9)."
    )
    assert figure.says == "2 boxes: 1 of cat, 1 of dog."
    assert plots.boxes(scene(), torch.zeros(0, 4)).says == "no boxes."


def test_a_box_is_drawn_where_it_lies():
    plain = picture(plots.boxes(scene(), np.zeros((0, 4))))
    drawn = picture(plots.boxes(scene(), [[8, 16, 24, 28]]))
    scale = plain.shape[0] / 32
    rows, columns = np.nonzero((plain != drawn).any(-1))
    found = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) / scale
    assert np.abs(found - [8, 16, 24, 28]).max() < 0.4  # half a line's width


def crowd(count: int):
    """`count` boxes, each a little to the right of the last, the scores rising."""
    spots = [[2 + i, 2, 12 + i, 28] for i in range(count)]
    return spots, [0.1 + 0.05 * i for i in range(count)]


def lines_of(figure) -> list:
    """(x of the left edge, width, alpha) of the coloured lines, the lowest first."""
    white = (1.0, 1.0, 1.0)
    return [
        (patch.get_x(), patch.get_linewidth(), patch.get_alpha())
        for patch in figure._canvas.axes[0].patches
        if patch.get_edgecolor()[:3] != white
    ]


def test_the_best_box_lies_on_top():
    spots, scores = crowd(5)
    drawn = lines_of(plots.boxes(scene(), spots, [0] * 5, scores))
    assert [x for x, *_ in drawn] == sorted(x for x, *_ in drawn)
    drawn = lines_of(plots.boxes(scene(), spots, [0] * 5, scores[::-1]))
    assert [x for x, *_ in drawn] == sorted((x for x, *_ in drawn), reverse=True)


def test_more_than_eight_boxes_are_thin_and_faint_but_for_the_best():
    few, many = (plots.boxes(scene(), *crowd(n)[:1]) for n in (8, 9))
    assert {(lw, alpha) for _, lw, alpha in lines_of(few)} == {(1.8, 1.0)}
    assert all(lw < 1 and alpha <= 0.5 for _, lw, alpha in lines_of(many))
    spots, scores = crowd(12)
    scored = plots.boxes(scene(), spots, [0] * 12, scores)
    alphas = [alpha for *_, alpha in lines_of(scored)]
    assert alphas[:4] == [0.5] * 4 and alphas[4:] == [1.0] * 8
    assert len(scored._canvas.axes[0].texts) <= 8
    assert "12 boxes" in scored.alt and "0 0.10 from" in scored.alt


@pytest.mark.parametrize("count", [2, 3, 12])
def test_labels_of_boxes_do_not_cover_each_other(count):
    spots = [[8, 8 + i / 10, 20, 24] for i in range(count)]
    scores = np.linspace(0.9, 0.1, count)
    figure = plots.boxes(scene(), spots, [3] * count, scores, names=["digit"] * 9)
    figure.png()
    labels = [t.get_window_extent() for t in figure._canvas.axes[0].texts]
    assert len(labels) >= 2
    for i, one in enumerate(labels):
        assert not any(one.overlaps(other) for other in labels[:i])


def test_a_class_looks_the_same_whatever_else_is_in_the_figure():
    spot, other = [2, 2, 14, 14], [18, 18, 30, 30]
    alone = picture(plots.boxes(scene(), [spot], [4]))
    both = picture(plots.boxes(scene(), [spot, other], [4, 1]))
    half = len(alone) // 2
    assert (alone[:half, :half] == both[:half, :half]).all()


def test_boxes_side_by_side_need_the_same_keys():
    figure = plots.boxes(
        {"before": scene(), "after": scene()},
        {"before": [[1, 2, 3, 4]], "after": [[5, 6, 7, 8]]},
    )
    assert "before: picture of 32 by 32 pixels with 1 box: box from" in figure.alt
    assert figure.says == "2 boxes."
    with pytest.raises(ValueError, match="boxes: keys"):
        plots.boxes({"before": scene()}, {"after": [[1, 2, 3, 4]]})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-3.0, "-3"), (1024, "1,024"), (0.123456, "0.1235"), (1.24e-5, "1.2e-5"),
     (1234.5678, "1,235"), (2.5e17, "2.5e+17")],
)  # fmt: skip
def test_numbers_are_short_and_plain(value, text):
    assert plots.number(value) == text


def test_text_is_escaped():
    figure = plots.lines([1, 2], {'<b>"x"&': [1, 2]}, title="<script>", **AXES)
    page = figure.html()
    assert "<script>" not in page and "<b>" not in page
    seen = Seen(page)
    assert '<b>"x"&: starts at 1' in seen.tags[1][1]["alt"]
    assert seen.text.startswith('<b>"x"&')


def test_tensors_lists_and_arrays_draw_the_same():
    forms = (
        [0.5, 0.25], np.array([0.5, 0.25], np.float32), torch.tensor([0.5, 0.25]),
        torch.tensor([0.5, 0.25], requires_grad=True), (0.5, 0.25),
        [torch.tensor(0.5), torch.tensor(0.25, requires_grad=True)],
        torch.tensor([0.5, 0.25], dtype=torch.bfloat16),
    )  # fmt: skip
    first, *rest = (plots.lines(range(2), {"a": y}, **AXES).alt for y in forms)
    assert "starts at 0.5, ends at 0.25" in first
    assert set(rest) == {first}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.lines([], {"a": []}, **AXES), "x: empty"),
        (lambda: plots.lines([1, 2], {}, **AXES), "series: 0 given, 1 to 8"),
        (lambda: plots.lines([1, 2], [1, 2], **AXES), "series: give a dictionary"),
        (lambda: plots.lines([1, 2], {"a": [1]}, **AXES), "'a': has 1 values.* have 2"),
        (lambda: plots.lines([1, 2], {"a": [1, np.nan]}, **AXES), "'a'.*at 1 .nan"),
        (lambda: plots.lines([1, np.inf], {"a": [1, 2]}, **AXES), "x: 1 of 2 .*inf"),
        (lambda: plots.lines([1, 2], {"a": ["p", 2]}, **AXES), "'a': give 1-D plain"),
        (lambda: plots.lines([1, 2], {"a": [[1, 2]]}, **AXES), "'a': give 1 axes"),
        (
            lambda: plots.lines([1, 2], {"a": [0, 2]}, log_y=True, **AXES),
            "'a': 0 has no logarithm",
        ),
        (lambda: plots.points({"a": []}, y_label="y"), "groups 'a': empty"),
        (lambda: plots.bars({}, y_label="y"), "values: empty"),
        (lambda: plots.bars({"a": np.nan}, y_label="y"), "values: 1 of 1.*nan"),
        (lambda: plots.histogram([np.nan], bins=3, x_label="x"), "not finite"),
        (lambda: plots.grid([[1, 2], [3]]), "matrix: give 2-D plain numbers"),
        (lambda: plots.grid({"k": [[np.inf]]}), "'k'.*inf"),
        (lambda: plots.grid([[1, 2]], columns=["a"]), "has 1 texts, should have 2"),
        (lambda: plots.images([]), "images: empty"),
        (lambda: plots.images(np.zeros((2, 3, 4, 4))), r"images\[0\]: dtype float64"),
        (lambda: plots.images(np.zeros((2, 5, 4, 4), np.uint8)), r"shape \(5, 4, 4\)"),
        (lambda: plots.images([scene()], titles=["a", "b"]), "titles: has 2"),
        (lambda: plots.boxes(scene(), [[5, 5, 5, 9]]), r"box 0 .*x1 < x2"),
        (lambda: plots.boxes(scene(), [[1, 2, 3]]), r"should be \(N, 4\)"),
        (lambda: plots.boxes(scene(), [[1, 2, 3, np.nan]]), "boxes: 1 of 4"),
        (lambda: plots.boxes(scene(), [[1, 2, 3, 4]], [1, 2]), "labels: has 2"),
        (lambda: plots.boxes(scene(), [[1, 2, 3, 4]], [5], names=["a"]), "no name"),
        (lambda: plots.boxes(scene(), [[1, 2, 3, 4]], [5], [0.1, 0.2]), "scores: has"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


# Each argument of each function, by a call that is right.
RIGHT = {
    "lines": {"x": [1, 2], "series": {"a": [1, 2]}, "band": None, "log_x": False},
    "points": {"groups": {"a": [1, 2]}, "x_label": "", "log_y": False},
    "intervals": {"groups": {"a": [1, 0, 2]}, "x_label": ""},
    "scatter": {"x": [1, 2], "y": [1, 2], "names": ["a", "b"], "front": [0]},
    "bars": {"values": {"a": 1}, "log": False},
    "histogram": {"values": [1, 2, 3], "bins": 3},
    "grid": {"matrix": [[1, 2]], "columns": None, "rows": None, "annotate": True},
    "images": {"images": [scene()], "titles": ["a"], "columns": 8},
    "boxes": {
        "image": scene(), "boxes": [[1, 2, 3, 4]], "labels": [1], "scores": [0.5],
        "names": ["a", "b"], "columns": 4,
    },
    "graph": {"nodes": ["a", "b"], "edges": [("a", "b")]},
    "levels": {"topologies": [(0, (0,))], "first": 3},
    "stack": {"cells": [("normal", 8, None)], "sides": [3, 3], "highlight": ()},
    "detector": {
        "side": 32, "levels": {"P3": 4}, "backbone": 1, "words": {}, "chapters": {},
        "highlight": (), "image": scene(), "boxes": [],
    },
    "unrolled": {"steps": [("a", "xy", [0.5, 0.5], 0)], "total": 3, "highlight": ()},
    "mbconv": {
        "channels": 4, "expanded": 8, "filters": 4, "kernel": 3, "stride": 1,
        "squeezed": 1, "highlight": (),
    },
}  # fmt: skip
LABELS = {"lines": 2, "points": 1, "intervals": 1, "scatter": 2, "bars": 1}
WRONG = [
    None, 3, -1, 2.5, float("nan"), "text", b"x", [], {}, [None], [[]], object(),
    {"a": None}, np.array([]), np.zeros((2, 2, 2)), [float("nan")], lambda: 0,
]  # fmt: skip


@pytest.mark.parametrize("kind", RIGHT)
def test_wrong_kinds_are_refused_in_our_words(kind):
    """ValueError that begins with the argument's name, or a figure; nothing else."""
    labels = dict([("y_label", "y"), ("x_label", "x")][: LABELS.get(kind, 0)])
    labels |= {"x_label": "x"} if kind == "histogram" else {}
    right = RIGHT[kind] | labels | {"title": ""}
    draw = getattr(plots, kind)
    draw(**right)
    for argument in right:
        for wrong in WRONG:
            try:
                draw(**right | {argument: wrong})
            except ValueError as error:
                told = str(error).split(":")[0]
                assert any(name in told for name in right), (argument, wrong, error)


def test_labels_at_the_ends_of_lines_do_not_overlap():
    y = {f"line {i}": [1, 1 + i / 1000] for i in range(8)}
    figure = plots.lines([0, 1], y, **AXES)
    figure.png()
    told = [t for t in figure._canvas.axes[0].texts if t.get_text()]
    edges = sorted(t.get_window_extent().intervaly.tolist() for t in told)
    assert len(edges) == 8
    assert all(low[1] <= high[0] for low, high in zip(edges, edges[1:], strict=False))


@pytest.mark.parametrize("kind", ["lines", "points", "scatter", "bars", "histogram"])
def test_all_text_lies_inside_the_picture(kind):
    figure = EVERY_KIND[kind]()
    figure.png()
    canvas = figure._canvas
    box = canvas.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0
    assert box.x1 <= canvas.get_figwidth() and box.y1 <= canvas.get_figheight()


def test_the_palette_is_that_of_okabe_and_ito():
    published = {  # jfly.uni-koeln.de/color, table of RGB values
        (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
        (0, 114, 178), (213, 94, 0), (204, 121, 167),
    }  # fmt: skip
    ours = {tuple(bytes.fromhex(c[1:])) for c in plots.PALETTE}
    assert ours == published


def test_style_is_set_for_figures_drawn_by_hand():
    with matplotlib.rc_context():
        plots.style()
        assert matplotlib.rcParams["axes.grid"] is True


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_name_is_refused(label):
    """-1 is a category id less one too many, and no synonym of the last class."""
    picture, box = (
        torch.zeros(3, 9, 9, dtype=torch.uint8),
        torch.tensor([[1.0, 1, 5, 5]]),
    )
    with pytest.raises(ValueError, match="a label has no name in `names`"):
        plots.boxes(picture, box, torch.tensor([label]), names=["cat", "dog"])
    named = plots.boxes(picture, box, torch.tensor([label]), names={label: "fox"})
    assert "fox" in named.alt
