"""Sliders that also work where nothing moves, and questions to click.

The idea: a slider calls `draw(value)` and shows the figure that it gives. On GitHub,
on paper, in a run without a browser, and in a saved copy that is opened the next day
there is no slider, so each one has a static twin: the first figure with its full alt
text, and a table of what the figure says at each value. Where the slider is alive the
twin's figure is hidden, by a style that asks whether a widget stands beside it.
Set COURSE_STATIC=1 to get the twin alone. Chapter: every one that has a slider.
"""

import functools
import html
import os

from lib.book.figure import Figure, listed, number, whole
from lib.book.pages import marked_up

ROWS = 9  # values in the twin's table, evenly spaced if there are more
VIEW_MIME = "application/vnd.jupyter.widget-view+json"
# Where one cell's outputs stand: JupyterLab and nbconvert, VS Code, Colab, Notebook 6.
AREA = ":is(.jp-OutputArea, .cell_container, #output-area, .output_wrapper)"
# JupyterLab leaves a line of error, and no element, where a widget's kernel is gone.
# (No rule may ask `:has` inside `:has`: browsers drop it whole.)
LOST = ".jp-OutputArea-output:is(.jupyter-widgets, .lm-Panel):not(:has(*))"
STYLE = f"""<style>
{AREA}:has(.widget-vbox) .course-still {{ display: none }}
.jp-OutputArea:has(.course-still) {LOST} {{ display: none }}
</style>"""

_shown: list[tuple["Sliders", str]] = []  # each slider of a static run, and its words


def slider(draw, *, name: str, values, start: int = 0, label: str = "") -> "Sliders":
    """A slider over `values` that shows `draw(value)`, a `plots.Figure`.

    `start` is the index of the first value shown; `label` says more than `name` does.
    Raises ValueError for no values or a `start` outside them, TypeError where `draw`
    gives something else than a Figure.
    """
    if not callable(draw):
        raise TypeError(f"draw: {draw!r}; give a function that draws a figure")
    for argument, text in (("name", name), ("label", label)):
        if not isinstance(text, str):
            raise ValueError(f"{argument}: {text!r}; give a text")
    values = _checked(name, values)
    start = _index("start", start, values)
    return Sliders(
        lambda **state: draw(state[name]), {name: values}, {name: start}, label
    )


def sliders(draw, *, start=None, **values) -> "Sliders":
    """One slider for each keyword; all of them call `draw(**current_values)`.

    `start` maps names to the index of the first value shown; the others start at 0.
    ValueError, naming the slider, for no values or a `start` outside them.
    """
    if not callable(draw):
        raise TypeError(f"draw: {draw!r}; give a function that draws a figure")
    if not values:
        raise ValueError("sliders: give at least one name with its values")
    start = {} if start is None else start
    if not isinstance(start, dict) or not start.keys() <= values.keys():
        raise ValueError(
            f"start: {start!r}; give a dictionary from names of sliders"
            f" ({', '.join(values)}) to an index each"
        )
    values = {name: _checked(name, v) for name, v in values.items()}
    first = {name: _index(f"start of {name}", start.get(name, 0), values[name])
             for name in values}  # fmt: skip
    return Sliders(draw, values, first)


class Sliders:
    """What `slider` gives: shown by the notebook, or by hand with `html()`."""

    def __init__(self, draw, values: dict, start: dict, label: str = ""):
        self.draw, self.values, self.start, self.label = draw, values, start, label
        self.controls, self.area = {}, None  # made when it is shown live

    def figure(self, **changed) -> Figure:
        """The figure at the start values, but for those that are `changed`."""
        state = {name: v[self.start[name]] for name, v in self.values.items()}
        figure = self.draw(**state | changed)
        if not isinstance(figure, Figure):
            raise TypeError(
                f"draw({_in_words(state | changed)}) gave {type(figure).__name__}; "
                "return the figure of a plots function"
            )
        return figure

    def html(self, safe: bool = False) -> str:
        """The static twin. An error in `draw` is raised, or, if `safe`, told in words.

        One table for each slider, the others standing at their start.
        """
        told = _told if safe else _drawn
        return told(self, {}, whole=True) + self.tables(safe)

    def tables(self, safe: bool = False) -> str:
        """What the figure says at each value, as HTML."""
        told, parts = (_told if safe else _drawn), []
        for name, values in self.values.items():
            head = html.escape(self.label or name)
            # Jupyter sets the text of tables to the right.
            rows = "".join(
                f"<tr><td>{html.escape(_text(v))}</td>"
                f'<td style="text-align:left">'
                f"{told(self, {name: v}, whole=False)}</td></tr>"
                for v in _some(values)
            )
            parts.append(
                f'<table><thead><tr><th scope="col">{head}</th>'
                f'<th scope="col" style="text-align:left">what the figure says</th>'
                f"</tr></thead>"
                f"<tbody>{rows}</tbody></table>"
            )
        return "".join(parts)

    def live(self):
        """The ipywidgets box: the sliders in `controls`, the figure in `area`."""
        import ipywidgets

        labels = [self.label or name for name in self.values]
        # All descriptions as wide as the longest, so that the sliders stand in line.
        wide = f"{max(map(len, labels)) + 1}ch" if len(labels) > 1 else "initial"
        for name, values in self.values.items():
            at = self.start[name]
            self.controls[name] = ipywidgets.SelectionSlider(
                options=[(_text(v), i) for i, v in enumerate(values)], value=at,
                description=self.label or name, style={"description_width": wide},
                layout={"width": "min(100%, 640px)"},
            )  # fmt: skip
            self.controls[name].observe(self._moved, names="value")
        self.area = ipywidgets.HTML()
        self._moved()
        return ipywidgets.VBox([*self.controls.values(), self.area])

    def _moved(self, _change=None) -> None:
        state = {n: self.values[n][c.value] for n, c in self.controls.items()}
        self.area.value = _told(self, state, whole=True)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/html": self.html(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not _front_end():
            display(self._repr_mimebundle_(), raw=True)
            if static():
                _shown.append((self, repr(self)))
            return
        tables = "<details><summary>All values in words</summary>{}</details>"
        bundles = live_or_still(
            self.live(), still=_told(self, {}, whole=True), text=self._start_in_words(),
            beside=tables.format(self.tables(safe=True)),
        )  # fmt: skip
        for bundle in bundles:
            display(bundle, raw=True)

    def _start_in_words(self) -> str:
        return _in_words({name: v[self.start[name]] for name, v in self.values.items()})

    def __repr__(self) -> str:
        return f"{self._start_in_words()}: {self.figure().says}"


def live_or_still(box, *, still: str, text: str, beside: str = "") -> list[dict]:
    """Two outputs for one widget: itself, and what stands there without a kernel.

    `box` is an ipywidgets box, `still` HTML that is hidden while the box is alive,
    `beside` HTML that always stands, `text` plain text for where there is no page.
    Returns two MIME bundles: a front end keeps only one form of each.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    page = f'{STYLE}<div class="course-still">{still}</div>{beside}'
    return [
        {VIEW_MIME: view, "text/plain": text},
        {"text/html": page, "text/plain": ""},
    ]


def broken() -> list[str]:
    """Which sliders of this static run do not draw now what they drew then, in words.

    Each is drawn at its start, with all values the first, and with all the last. A
    slider that reads a name which a later cell binds anew is found like this.
    """
    faults = []
    for sliders, said in _shown:
        first, last = (
            {name: v[end] for name, v in sliders.values.items()} for end in (0, -1)
        )
        try:
            sliders.figure(**first), sliders.figure(**last)
            now = repr(sliders)
        except Exception as error:  # of the chapter's function: told by its slider
            now = f"{type(error).__name__}: {error}"
        if now != said:
            names = ", ".join(sliders.values)
            faults.append(f"slider {names} no longer draws what it drew: {now}")
    return faults


def static() -> bool:
    """True where a page is made that no kernel will stand behind: COURSE_STATIC=1."""
    return os.environ.get("COURSE_STATIC", "") not in ("", "0")


def _front_end() -> bool:
    """True where a slider can move: a kernel, ipywidgets, and no COURSE_STATIC=1."""
    if static():
        return False
    try:
        import ipywidgets  # noqa: F401
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def _drawn(sliders: Sliders, state: dict, whole: bool) -> str:
    figure = sliders.figure(**state)
    return figure.html() if whole else html.escape(figure.says)


def _told(sliders: Sliders, state: dict, whole: bool) -> str:
    try:
        return _drawn(sliders, state, whole)
    except Exception as error:  # whatever the learner's function raises is shown
        where = f" at {_in_words(state)}" if state else ""
        words = f"No figure{where}. {type(error).__name__}: {error}"
        return f'<p role="alert"><strong>{html.escape(words)}</strong></p>'


def _checked(name: str, values) -> list:
    values = listed(name, list(values) if isinstance(values, str) else values, "values")
    if not values:
        raise ValueError(f"{name}: no values; give at least one")
    return values


def _index(name: str, value, values: list) -> int:
    value = whole(name, value, least=0)
    if value >= len(values):
        raise ValueError(f"{name}: {value} is no index of {len(values)} values")
    return value


def _some(values: list) -> list:
    """All values, or ROWS of them from the first to the last."""
    if len(values) <= ROWS:
        return values
    return [values[round(i * (len(values) - 1) / (ROWS - 1))] for i in range(ROWS)]


def _text(value) -> str:
    if getattr(value, "ndim", 1) == 0:  # a scalar of NumPy or torch
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return number(value)


def _in_words(state: dict) -> str:
    return ", ".join(f"{name} = {_text(value)}" for name, value in state.items())


def questions(asked, chosen=lambda number, choice: None):
    """Questions to click, in one box: pairs of a prompt and its options.

    An option is (text, right, reason); the reason is shown on choice. Returns an
    ipywidgets box of boxes, whose children are prompt, buttons and reply. What stands
    between backticks is code; no TeX: a quiz must not fetch a typesetter.
    `chosen(number, choice)` hears of each choice: question from 1, option from 0.
    """
    import ipywidgets

    boxes = [
        _question(prompt, options, functools.partial(chosen, number))
        for number, (prompt, options) in enumerate(asked, 1)
    ]
    return ipywidgets.VBox(boxes)


def _question(prompt: str, options: list[tuple[str, bool, str]], chosen):
    import ipywidgets

    wide = ipywidgets.Layout(width="auto")
    # Buttons show plain text.
    named = [(text.replace("`", ""), i) for i, (text, _, _) in enumerate(options)]
    buttons = ipywidgets.RadioButtons(options=named, value=None, layout=wide)
    reply = ipywidgets.HTML()

    def answer(change) -> None:
        chosen(change["new"])
        _, right, reason = options[change["new"]]
        mark = "✓ Right." if right else "✗ No."
        reply.value = f'<div role="status"><b>{mark}</b> {marked_up(reason)}</div>'

    buttons.observe(answer, names="value")
    title = ipywidgets.HTML(f"<b>{marked_up(prompt)}</b>")
    return ipywidgets.VBox([title, buttons, reply])
