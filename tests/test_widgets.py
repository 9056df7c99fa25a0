"""Sliders: what moving one shows, what an error says, and the static twin."""

import re

import IPython.display
import ipywidgets
import pytest

from lib.book import plots, widgets


def line(w):
    if w == 3:
        raise RuntimeError("<w> is three")
    return plots.lines([0, 1], {"y": [0, 5 * w]}, x_label="x", y_label="y (m)")


@pytest.fixture
def shown(monkeypatch):
    """What is sent to the front end."""
    sent = []
    monkeypatch.setattr(IPython.display, "display", lambda x, **_: sent.append(x))
    return sent


@pytest.fixture
def kernel(monkeypatch):
    """A kernel with a front end, as JupyterLab has."""
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: type("Shell", (), {"kernel": 1}))


def alt(page: str) -> str:
    return re.search(r'<img alt="([^"]*)"', page)[1]


def test_moving_the_slider_changes_picture_alt_and_statement():
    made = widgets.slider(line, name="w", values=[1, 2, 4], start=1)
    box = made.live()
    slider = made.controls["w"]
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert box.children == (slider, made.area)
    assert slider.label == "2" and "ends at 10" in alt(made.area.value)
    before = made.area.value
    slider.value = 2
    assert "ends at 20" in alt(made.area.value)
    assert "y goes from 0 to 20" in made.area.value
    assert re.search('base64,(.*?)"', before)[1] not in made.area.value


def test_an_error_in_draw_is_shown_in_words_and_the_slider_lives_on():
    made = widgets.slider(line, name="w", values=[1, 3])
    made.live()
    made.controls["w"].value = 1
    assert "No figure at w = 3. RuntimeError: &lt;w&gt; is three" in made.area.value
    assert "<img" not in made.area.value
    made.controls["w"].value = 0
    assert "ends at 5" in alt(made.area.value)


def test_something_else_than_a_figure_is_said():
    made = widgets.slider(lambda w: w, name="w", values=[1])
    with pytest.raises(TypeError, match=r"draw\(w = 1\) gave int"):
        made.html()


def test_static_twin_holds_the_full_alt_and_a_row_for_each_value():
    page = widgets.slider(line, name="w", values=[1, 2], label="slope (m)").html()
    assert alt(page) == line(1).alt
    assert page.count("<img") == 1
    assert page.count("<tr>") == 3
    assert '<th scope="col">slope (m)</th>' in page
    page = page.replace(' style="text-align:left"', "")
    row = "<tr><td>2</td><td>y goes from 0 to 10 as x goes from 0 to 1.</td></tr>"
    assert row in page


def test_the_table_has_at_most_nine_values_both_ends_among_them():
    page = widgets.slider(line, name="w", values=range(4, 104)).html()
    told = re.findall(r"<tr><td>(\d+)</td>", page)
    assert len(told) == 9 and told[0] == "4" and told[-1] == "103"


def test_an_error_in_the_static_twin_is_raised_unless_it_is_live():
    made = widgets.slider(line, name="w", values=[1, 3])
    with pytest.raises(RuntimeError, match="is three"):
        made.html()
    assert "RuntimeError: &lt;w&gt; is three" in made.html(safe=True)


def test_static_mode_sends_html_and_no_widget(monkeypatch, shown, kernel):
    monkeypatch.setenv("COURSE_STATIC", "1")
    made = widgets.slider(line, name="w", values=[1, 2])
    made._ipython_display_()
    assert [sorted(bundle) for bundle in shown] == [["text/html", "text/plain"]]
    assert shown[0]["text/plain"] == "w = 1: y goes from 0 to 5 as x goes from 0 to 1."
    assert made.controls == {}


def test_without_a_kernel_the_twin_is_sent(monkeypatch, shown):
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    widgets.slider(line, name="w", values=[1, 2])._ipython_display_()
    assert len(shown) == 1 and "text/html" in shown[0]


def test_a_front_end_gets_the_slider_and_what_stands_there_without_a_kernel(
    shown, kernel
):
    widgets.slider(line, name="w", values=[1, 3])._ipython_display_()
    live, still = shown
    view = live[widgets.VIEW_MIME]
    assert view["version_major"] == 2 and view["model_id"]
    assert live["text/plain"] == "w = 1" and "text/html" not in live
    page = still["text/html"]
    assert alt(page) == line(1).alt and page.count("<img") == 1
    # The figure is folded away by nobody; only a rule hides it beside a live widget.
    figure = page.split('<div class="course-still">')[1].split("</div>")[0]
    assert "<img" in figure and "<details" not in figure
    assert ":has(.widget-vbox) .course-still { display: none }" in page
    assert "RuntimeError: &lt;w&gt; is three" in page.split("<details>")[1]


def test_no_rule_of_the_style_is_one_that_browsers_drop():
    """`:has` inside `:has` is invalid, and with it the whole rule."""
    rules = re.findall(r"^(.*) \{", widgets.STYLE, re.MULTILINE)
    assert len(rules) == 2
    for rule in rules:
        for inside in re.findall(r":has\(([^()]*(?:\([^()]*\))?[^()]*)\)", rule):
            assert ":has" not in inside


def test_a_live_box_is_what_the_rule_looks_for():
    """ipywidgets gives a VBox the class `widget-vbox`, in version 7 and in 8."""
    box = widgets.slider(line, name="w", values=[1]).live()
    assert type(box) is ipywidgets.VBox and box._view_name == "VBoxView"


def test_several_sliders_start_where_they_are_told():
    def draw(a, b):
        return plots.lines([0, 1], {"y": [b, a + b]}, x_label="x", y_label="y")

    made = widgets.sliders(draw, start={"b": 2}, a=[1, 2], b=[0, 10, 20])
    assert "starts at 20, ends at 21" in made.figure().alt
    made.live()
    assert made.controls["b"].label == "20" and made.controls["a"].value == 0
    for start, message in (
        ({"c": 0}, "names of sliders"), ({"a": 2}, "start of a: 2 is no index of 2"),
        (1, "give a dictionary"), ({"a": -1}, "start of a"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            widgets.sliders(draw, start=start, a=[1, 2], b=[0])


def test_sliders_stand_in_line():
    made = widgets.sliders(lambda **_: line(1), long_name=[1], b=[2])
    made.live()
    widths = {c.style.description_width for c in made.controls.values()}
    assert widths == {"10ch"}


def test_a_slider_that_a_later_cell_breaks_is_found(monkeypatch, shown):
    """As in a chapter: the function reads a global name, and a later cell binds it."""
    monkeypatch.setenv("COURSE_STATIC", "1")
    monkeypatch.setattr(widgets, "_shown", [])
    scope = {"plots": plots, "slope": [1, 2]}
    draw = "def draw(w): return plots.lines([0, 1], {'y': [0, slope[w]]}, **labels)"
    exec(draw, scope | {"labels": {"x_label": "x", "y_label": "y"}}, scope)
    scope["draw"].__globals__.update(slope=[1, 2])
    widgets.slider(scope["draw"], name="w", values=[0, 1])._ipython_display_()
    widgets.slider(line, name="v", values=[1, 2])._ipython_display_()
    assert widgets.broken() == []
    scope["draw"].__globals__["slope"] = [1]
    (fault,) = widgets.broken()
    assert "slider w no longer draws" in fault and "IndexError" in fault
    scope["draw"].__globals__["slope"] = [5, 2]  # it draws, but something else
    (fault,) = widgets.broken()
    assert "slider w no longer draws" in fault and "from 0 to 5" in fault


def test_several_sliders_move_one_figure():
    def draw(a, b):
        return plots.lines([0, 1], {"y": [b, a + b]}, x_label="x", y_label="y")

    made = widgets.sliders(draw, a=[1, 2], b=[0, 10, 20])
    made.live()
    made.controls["a"].value = 1
    made.controls["b"].value = 2
    assert "starts at 20, ends at 22" in alt(made.area.value)
    assert made.html().count("<table>") == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: widgets.slider(line, name="w", values=[]), "w: no values"),
        (lambda: widgets.slider(line, name="w", values=[1], start=1), "start: 1"),
        (lambda: widgets.sliders(line), "at least one name"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
