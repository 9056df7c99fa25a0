"""Sliders that also work where nothing moves, and questions to click.

The idea: a slider calls `draw(value)` and shows the figure that it gives. On GitHub,
on paper, and in a run without a browser there is no slider, so each one has a static
twin: the first figure with its full alt text, and a table of what the figure says at
each value. A saved notebook then holds plain HTML and no widget state.
Set COURSE_STATIC=1 to get the twin alone. Chapter: every one that has a slider.
"""

import html
import os

from lib.book.figure import Figure, listed, number, whole

ROWS = 9  # values in the twin's table, evenly spaced if there are more


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
    values, start = _checked(name, values), whole("start", start, least=0)
    if start >= len(values):
        raise ValueError(f"start: {start} is no index of {len(values)} values")
    return Sliders(
        lambda **state: draw(state[name]), {name: values}, {name: start}, label
    )


def sliders(draw, **values) -> "Sliders":
    """One slider for each keyword; all of them call `draw(**current_values)`."""
    if not callable(draw):
        raise TypeError(f"draw: {draw!r}; give a function that draws a figure")
    if not values:
        raise ValueError("sliders: give at least one name with its values")
    values = {name: _checked(name, v) for name, v in values.items()}
    return Sliders(draw, values, dict.fromkeys(values, 0))


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
        parts = [told(self, {}, whole=True)]
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

        for name, values in self.values.items():
            at = self.start[name]
            self.controls[name] = ipywidgets.SelectionSlider(
                options=[(_text(v), i) for i, v in enumerate(values)], value=at,
                description=self.label or name, style={"description_width": "initial"},
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
            return
        # Two outputs: the second stays in the notebook when no kernel runs.
        display(self.live())
        folded = "<details><summary>All values in words</summary>{}</details>"
        twin = {"text/html": folded.format(self.html(safe=True)), "text/plain": ""}
        display(twin, raw=True)

    def __repr__(self) -> str:
        start = {name: v[self.start[name]] for name, v in self.values.items()}
        return f"{_in_words(start)}: {self.figure().says}"


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


def question(prompt: str, options: list[tuple[str, bool, str]]):
    """A question to click: options (text, right, reason), the reason shown on choice.

    Returns an ipywidgets box; its children are prompt, buttons and reply. Text is shown
    as it is, without TeX: a quiz must not fetch a typesetter.
    """
    import ipywidgets

    wide = ipywidgets.Layout(width="auto")
    named = [(text, i) for i, (text, _, _) in enumerate(options)]
    buttons = ipywidgets.RadioButtons(options=named, value=None, layout=wide)
    reply = ipywidgets.HTML()

    def answer(change) -> None:
        _, right, reason = options[change["new"]]
        mark = "✓ Right." if right else "✗ No."
        reply.value = f'<div role="status"><b>{mark}</b> {html.escape(reason)}</div>'

    buttons.observe(answer, names="value")
    title = ipywidgets.HTML(f"<b>{html.escape(prompt)}</b>")
    return ipywidgets.VBox([title, buttons, reply])
