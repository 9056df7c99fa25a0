"""The page of symbols: what it lists is what the numbered equations use."""

import re

import pytest

from lib.book import course
from lib.road import symbols

PAGE = symbols.PAGE.read_text(encoding="utf-8")
TOY = r"""
## Marks

| mark | what it says | shape or unit | equations |
|---|---|---|---|
| $\sum$ | add up |  |  |

## 00 · Toy

| symbol | what it is | shape or unit | equations |
|---|---|---|---|
| $x$ | a picture | pixels |  |
| $w$ | weights | any | 0.1 |
| $w$ | a winner | index | 0.2 |
"""


@pytest.mark.parametrize(
    "latex, wanted",
    [
        (r"\hat w = s_i\,(q_{\min} - z'^2)", [r"\hat w", "s", "i", "q_{min}", "z'"]),
        (r"\sigma_\text{cells} \mathrm{IoU}(A)", [r"\sigma_{cells}", "IoU", "A"]),
        (r"e^{z_t} + e\,C", ["z", "t", "e", "C"]),  # Euler's number, then a letter
        (r"P_l^{out} + P_l^{td}", ["P^{out}", "l", "P^{td}"]),
        (r"f'_{\max} f_{\max}'", ["f'_{max}"]),
        (r"\sum_{i \in A_t} s_i", [r"\sum", "i", r"\in", "A", "t", "s"]),
        (r"\bar\theta + \theta^{*}", [r"\bar \theta", r"\theta^{*}"]),
        (r"x_{\lfloor i h / H \rfloor} \text{ else}", ["x", "i", "h", "H"]),
        (r"L_{\text{other half}}", ["L_{otherhalf}"]),
    ],
)  # fmt: skip
def test_symbols_of_an_equation_as_a_reader_finds_them(latex, wanted):
    assert symbols.symbols(latex) == wanted


def test_a_command_that_nobody_has_looked_at_is_named():
    with pytest.raises(ValueError, match=r"\\wp is no command"):
        symbols.symbols(r"\wp(x)")


def test_the_page_lists_what_the_equations_use_and_nothing_else():
    """Run `make symbols` if this fails, and type what it names."""
    assert symbols.faults(PAGE, symbols.used()) == []
    assert symbols.unsaid(PAGE) == []
    assert symbols.filled(PAGE) == PAGE


def test_each_row_has_a_meaning_and_each_chapter_a_section():
    sections = symbols.read(PAGE)
    assert list(sections) == ["", *(name[:2] for name in course.names())]
    assert all(row.cells[1] for rows in sections.values() for row in rows)
    numbered = sum(len(symbols.equations(name)) for name in course.names())
    listed = re.findall(r"\b\d+\.\d+\b(?=[\d. ]* \|$)", PAGE, re.MULTILINE)
    assert len(set(listed)) == numbered > 150


@pytest.mark.parametrize(
    "use, fault",
    [
        ({"x": ["0.1"], "w": ["0.1", "0.2"], "y": ["0.2"]}, "00: y of 0.2 has no row"),
        ({"w": ["0.1", "0.2"]}, "00: x stands in no equation"),
        ({"x": ["0.1"], "w": ["0.1", "0.2", "0.3"]}, "00: w has two rows"),
        ({"x": ["0.1"], "w": ["0.1"]}, "00: w has two rows"),
    ],
)
def test_what_is_missing_or_too_much_is_named(use, fault):
    (found,) = symbols.faults(TOY, {"": {r"\sum": ["0.1"]}, "00": use})
    assert found.startswith(fault)


def test_a_second_meaning_is_named_beside_its_equation(monkeypatch):
    text = """# %% [markdown]
# ## One
#
# With $w$ the weights and $x$:
# $$ w x \\tag{0.1} $$

# %% [markdown]
# ## Two
#
# The winner is
# $$ w \\tag{0.2} $$
"""
    jupytext = pytest.importorskip("jupytext")
    toy = jupytext.reads(text, fmt="py:percent")
    monkeypatch.setattr(symbols.course, "names", lambda: ["00_toy"])
    monkeypatch.setattr(symbols.course, "read_chapter", lambda name: toy)
    assert symbols.unsaid(TOY) == ["00: w of 0.2 is not named beside it"]
    toy.cells[1].source += "\nHere $w$ is the winner."
    assert symbols.unsaid(TOY) == []
    assert symbols.used()["00"] == {"w": ["0.1", "0.2"], "x": ["0.1"]}
    assert "| $x$ | a picture | pixels | 0.1 |" in symbols.filled(TOY)
