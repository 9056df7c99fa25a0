"""What `notebook` shows, as plain text and as HTML: a source, a verdict, questions.

The idea: a page is read in a light theme, in a dark one, on a phone and on paper, and
nobody knows which. So what has colours brings its own paper and its own ink, and every
colour stands out from that paper by 4.5 to 1 at least (WCAG 2.2, success criterion
1.4.3). Long lines scroll; they do not break inside words. For `notebook`, `widgets`.
"""

import html
import inspect
from pathlib import Path

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.style import Style
from pygments.token import Comment, Keyword, Name, Number, Operator, String

import lib

PAPER, INK = "#f7f7f7", "#1a1a1a"
ON_PAPER = f"background:{PAPER};color:{INK};padding:4px 10px"
# Written out, since a converter's own style would break lines anywhere.
CODE = f"background:{PAPER};color:{INK};margin:0;font-family:monospace"
CODE += ";white-space:pre;word-break:normal;overflow-x:auto"
MARKS = {
    "passed": ("✓ passed", "#006b4f"),
    "refused": ("✗ not yet", "#a33c00"),
    "not attempted": ("○", "#555555"),
}


class Colours(Style):
    """Few colours, all of them dark enough on PAPER."""

    styles = {
        Comment: "italic #5c5c5c",
        Keyword: "bold #6a1b9a",
        Operator.Word: "bold #6a1b9a",
        Name.Function: "bold #0b4f9e",
        Name.Class: "bold #0b4f9e",
        Name.Decorator: "#6a1b9a",
        Number: "#8f3a00",
        String: "#8f3a00",
        String.Doc: "#2e6b4a",
    }


def source(thing, folded: bool = False) -> tuple[str, str]:
    """The live source of a function, class or module, with its file and line.

    Returns plain text and HTML. If `folded` the HTML is closed until it is clicked, and
    the text only says where the source is. ValueError for what has no source: a value,
    or a function that is compiled into Python.
    """
    thing = inspect.unwrap(thing)
    name = getattr(thing, "__name__", type(thing).__name__)
    try:
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing)).resolve()
    except (TypeError, OSError) as error:
        raise ValueError(
            f"{name} has no source to show: give a function, class or module that is"
            " written in Python"
        ) from error
    code = "".join(lines).rstrip()
    inside = file.is_relative_to(lib.ROOT)
    where = file.relative_to(lib.ROOT).as_posix() if inside else file.name
    title = f"{where}, line {max(1, first)}"
    formatter = HtmlFormatter(
        style=Colours, noclasses=True, nobackground=True, cssstyles=ON_PAPER,
        prestyles=CODE,
    )  # fmt: skip
    coloured = highlight(code, PythonLexer(), formatter)
    caption = f"<code>{html.escape(title)}</code>"
    if folded:
        said = f"# {title}: {name}, folded. Write yours first, then unfold this."
        summary = f"<summary>{caption}: {html.escape(name)}, folded</summary>"
        return said, f"<details>{summary}{coloured}</details>"
    caption = f"<figcaption>{caption}</figcaption>"
    page = f'<figure style="margin:0">{caption}{coloured}</figure>'
    return f"# {title}\n{code}", page


def verdict(status: str, about: str, message: str) -> tuple[str, str]:
    """What a grader says of an answer: "passed", "refused" or "not attempted".

    `about` names the exercise. Returns plain text and HTML.
    """
    mark, colour = MARKS[status]
    style = f"border-left:4px solid {colour};{ON_PAPER}"
    words = f"background:none;color:{INK};white-space:pre-wrap;margin:4px 0 0 0"
    words += ";word-break:normal;overflow-wrap:break-word"  # converters break anywhere
    page = (
        f'<div role="status" style="{style}">'
        f'<b style="color:{colour}">{mark}</b> · {html.escape(about)}'
        f'<pre style="{words}">{html.escape(message)}</pre></div>'
    )
    return f"{mark} · {about}: {message}", page


def questions(asked) -> tuple[str, str]:
    """A quiz without a kernel: every option unfolds to whether it is right, and why.

    `asked` are `lib.exercises.Question`. Returns plain text, without the answers, and
    HTML.
    """
    parts, lines = [], []
    for number, q in enumerate(asked, 1):
        lines.append(f"{number}. {q.prompt}")
        lines += [f"   {'abcdef'[i]}) {o.text}" for i, o in enumerate(q.options)]
        parts.append(f"<p><b>{number}. {marked_up(q.prompt)}</b></p><ul>")
        for o in q.options:
            said = "Right" if o.correct else "No"
            parts.append(
                f"<li><details><summary>{marked_up(o.text)}</summary>"
                f"<b>{said}.</b> {marked_up(o.why)}</details></li>"
            )
        parts.append("</ul>")
    return "\n".join(lines), "".join(parts)


def marked_up(text: str) -> str:
    """A sentence as HTML, with what stands between backticks as code.

    >>> marked_up("is `a < b`?")
    'is <code>a &lt; b</code>?'
    """
    pieces = html.escape(text).split("`")
    if len(pieces) % 2 == 0:  # one backtick alone is a backtick
        return html.escape(text)
    return "".join(
        f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces)
    )


def put(text: str, page: str, **more) -> None:
    """Display plain text and HTML as one output; `more` are further MIME types."""
    display({"text/plain": text, "text/html": page, **more}, raw=True)


def table(header: tuple[str, ...], rows) -> None:
    """Show rows of values under a header, as a page and as plain text."""
    rows = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    style = 'style="text-align:left"'
    head = "".join(f'<th scope="col" {style}>{html.escape(h)}</th>' for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td {style}>{html.escape(c)}</td>" for c in row) + "</tr>"
        for row in rows
    )
    page = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    page = f'<div style="overflow-x:auto">{page}</div>'  # a phone is narrow
    put("\n".join(lines), page)
