r"""Every symbol of the numbered equations, and the page that tells what each means.

    python -m lib.road.symbols

chapters/SYMBOLS.md is typed, but for its last column: this command fills in which
equations use a symbol. A symbol is a letter with its accent, its dash and its word:
`\hat w`, `b'`, `C_{in}`. Other subscripts and exponents are symbols of their own.
A chapter whose symbol has two meanings has two rows for it, and there the equations
are typed as well.
"""

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

import lib
from lib.basics import files
from lib.book import course

PAGE = lib.ROOT / "chapters" / "SYMBOLS.md"
EQUATION = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
TAG = re.compile(r"\\tag\{([\d.]+)\}")
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\d+(?:\.\d+)?|\S", re.DOTALL)
HEADING = re.compile(r"^## (?:(\d\d) · )?(.+)$")

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "eta", "theta",
    "kappa", "lambda", "mu", "pi", "rho", "sigma", "tau", "phi", "varphi",
}  # fmt: skip
ACCENTS = {"hat", "bar"}
NAMES = {"mathrm", "operatorname"}  # a word that is one symbol
# Subscripts and exponents that are words, and so belong to their symbol.
WORDS = {
    "in", "out", "td", "kept", "low", "high", "pruned", "mask", "bn", "max", "min",
    "dense", "separable", "CSR", "*",
}  # fmt: skip
MARKS = {
    r"\sum", r"\prod", r"\leftarrow", r"\mapsto", r"\in", r"\iff", r"\approx",
    r"\sim", r"\pm", r"\ln", r"\log", r"\cos", r"\arg", r"\partial", r"\nabla",
    r"\cap", r"\oplus", r"\Vert", r"\odot", r"\bmod", r"\top",
}  # fmt: skip
# What says how a formula is set, or what every reader knows.
LAYOUT = {
    "left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "quad", "qquad",
    "frac", "tfrac", "begin", "end", "text", "underset", "underbrace", "cdot", "dots",
    "ldots", "le", "ge", "ne", "lfloor", "rfloor", "lceil", "rceil", "mid", "cdots",
    "tag", "sqrt", "overline", "mathbb", "mathbf", "times", "max", "min", "infty",
}  # fmt: skip


class Row(NamedTuple):
    """A row of the page: symbols of one meaning."""

    symbols: tuple[str, ...]
    cells: tuple[str, str, str, str]  # symbol, meaning, shape or unit, equations

    @property
    def equations(self) -> list[str]:
        """Ids in the last column."""
        return re.findall(r"\d+\.\d+", self.cells[3])


# ----------------------------------------------------------------- reading an equation
def _group(tokens: list[str], start: int) -> tuple[list[str], int]:
    """The tokens of an argument, without its braces, and where it ends."""
    if tokens[start] != "{":
        return [tokens[start]], start + 1
    depth, end = 1, start + 1
    while depth:
        depth += {"{": 1, "}": -1}.get(tokens[end], 0)
        end += 1
    return tokens[start + 1 : end - 1], end


def _word(tokens: list[str]) -> str:
    """The word that a subscript or an exponent is, or ""."""
    if tokens[:1] == [r"\text"]:
        return "".join(_group(tokens, 1)[0])
    text = "".join(tokens).removeprefix("\\")
    return text if text in WORDS else ""


def _base(tokens: list[str], i: int) -> tuple[str, int]:
    """The symbol that begins at a token, or "", and where the next token is."""
    token = tokens[i]
    name = token.removeprefix("\\")
    if token.isalpha():
        euler = token == "e" and tokens[i + 1 : i + 2] == ["^"]
        return ("" if euler else token), i + 1
    if token[0] != "\\" or name in LAYOUT or not name.isalpha():
        return "", i + 1
    if name in GREEK:
        return token, i + 1
    if name in ACCENTS:
        inner, end = _group(tokens, i + 1)
        return f"{token} {''.join(inner)}", end
    if name in NAMES:
        inner, end = _group(tokens, i + 1)
        return "".join(inner), end
    if token in MARKS:
        return token, i + 1
    raise ValueError(f"{token} is no command that this page knows: see MARKS, LAYOUT")


def _read(tokens: list[str]) -> Iterator[str]:
    """All symbols of some tokens, in order."""
    i = 0
    while i < len(tokens):
        if tokens[i] in (r"\text", r"\tag", r"\begin", r"\end"):
            _, i = _group(tokens, i + 1)
            continue
        name, i = _base(tokens, i)
        dashes, words = "", ""
        rest: list[list[str]] = []
        while name and i < len(tokens) and tokens[i] in "_^'":
            if tokens[i] == "'":
                dashes, i = dashes + "'", i + 1
                continue
            inner, i_next = _group(tokens, i + 1)
            if tokens[i + 1] == r"\text":
                inner, i_next = _group(tokens, i + 2)
                inner = [r"\text", "{", *inner, "}"]
            word = "" if name in MARKS else _word(inner)
            if word:
                words += f"{tokens[i]}{{{word}}}"
            else:
                rest.append(inner)
            i = i_next
        if name:
            yield name + dashes + words
        for inner in rest:
            yield from _read(inner)


def symbols(latex: str) -> list[str]:
    r"""Symbols and marks of an equation, each once, in order.

    >>> symbols(r"\hat x = s\,(q_{\min} - z_i^2)")
    ['\\hat x', 's', 'q_{min}', 'z', 'i']
    """
    return list(dict.fromkeys(_read(TOKEN.findall(latex))))


def equations(name: str) -> dict[str, str]:
    """The numbered equations of a chapter: id and LaTeX."""
    found = {}
    for cell in course.read_chapter(name).cells:
        if cell.cell_type == "markdown":
            for latex in EQUATION.findall(cell.source):
                if tag := TAG.search(latex):
                    found[tag[1]] = TAG.sub("", latex)
    return found


# ---------------------------------------------------------------------------- the page
MARKED = "Marks"  # the section of what means the same in all chapters


def main_symbol(snippet: str) -> str:
    r"""The symbol that a snippet of a table is about: its first one."""
    return symbols(snippet)[0]


def row(line: str) -> Row | None:
    """A line of the page as a row; None for any other line."""
    cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
    if not line.startswith("| $") or len(cells) != 4:
        return None
    return Row(tuple(map(main_symbol, re.findall(r"\$(.+?)\$", cells[0]))), cells)


def read(text: str) -> dict[str, list[Row]]:
    """The rows of the page: chapter's number, or "" for the marks, and its rows."""
    sections: dict[str, list[Row]] = {}
    section = ""
    for line in text.splitlines():
        if heading := HEADING.match(line):
            section = heading[1] or ""
            sections[section] = []
        elif mine := row(line):
            sections[section].append(mine)
    return sections


def used() -> dict[str, dict[str, list[str]]]:
    """Chapter's number, symbol, ids of the equations that use it; marks under ""."""
    found: dict[str, dict[str, list[str]]] = {"": {}}
    for name in course.names():
        mine = found.setdefault(name[:2], {})
        for number, latex in equations(name).items():
            for symbol in symbols(latex):
                where = found[""] if symbol in MARKS else mine
                where.setdefault(symbol, []).append(number)
    return found


def filled(text: str) -> str:
    """The page with its last column written anew, but where a symbol has two rows.

    Marks stand in many equations: there it names the chapters.
    """
    use, sections = used(), read(text)
    lines, section = [], ""
    for line in text.splitlines():
        if heading := HEADING.match(line):
            section = heading[1] or ""
        mine = row(line)
        listed = [
            symbol for each in sections.get(section, ()) for symbol in each.symbols
        ]
        if mine and all(listed.count(symbol) == 1 for symbol in mine.symbols):
            ids = {n for symbol in mine.symbols for n in use[section].get(symbol, ())}
            told = sorted(ids, key=_order)
            if not section:
                told = list(dict.fromkeys(f"{_order(n)[0]:02}" for n in told))
            line = "| " + " | ".join([*mine.cells[:3], " ".join(told)]) + " |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _order(number: str) -> tuple[int, int]:
    chapter, _, rest = number.partition(".")
    return int(chapter), int(rest)


def faults(text: str, use: dict[str, dict[str, list[str]]]) -> list[str]:
    """What page and equations do not agree on, a line each; [] if all is well."""
    found = []
    sections = read(text)
    for section, mine in use.items():
        rows = sections.get(section, [])
        listed = [symbol for each in rows for symbol in each.symbols]
        for symbol, ids in mine.items():
            told = [
                n for each in rows if symbol in each.symbols for n in each.equations
            ]
            where = f"{section or MARKED}: {symbol}"
            if symbol not in listed:
                found.append(f"{where} of {', '.join(ids)} has no row")
            elif listed.count(symbol) > 1 and sorted(told) != sorted(ids):
                found.append(
                    f"{where} has two rows, which are to name {', '.join(ids)}"
                )
        for symbol in dict.fromkeys(listed):
            if symbol not in mine:
                found.append(f"{section or MARKED}: {symbol} stands in no equation")
    return found


def unsaid(text: str) -> list[str]:
    """Second meanings of a symbol that its chapter does not introduce; [] if none.

    Each equation of a symbol with two rows needs the symbol's name in a sentence of
    its section: between two headings, outside the numbered equations.
    """
    found = []
    sections = read(text)
    for name in course.names():
        rows = sections.get(name[:2], [])
        listed = [symbol for each in rows for symbol in each.symbols]
        named = _named(name)
        for each in rows:
            for symbol in each.symbols:
                first = each.equations[:1] if listed.count(symbol) > 1 else []
                found += [
                    f"{name[:2]}: {symbol} of {n} is not named beside it"
                    for n in first
                    if symbol not in named[n]
                ]
    return found


def _named(name: str) -> dict[str, set[str]]:
    """For each numbered equation the symbols that sentences of its section name."""
    found, numbers, words = {}, [], set()
    for cell in [*course.read_chapter(name).cells, None]:
        if cell is None or cell.source.startswith("## "):
            found |= {number: words for number in numbers}
            numbers, words = [], set()
        if cell is not None and cell.cell_type == "markdown":
            numbers += TAG.findall(cell.source)
            sentences = EQUATION.sub("", cell.source)
            for snippet in re.findall(r"\$([^$]+)\$", sentences):
                words |= set(_known(snippet))
    return found


def _known(snippet: str) -> list[str]:
    """The symbols of a sentence's formula; [] where it has other commands."""
    try:
        return symbols(snippet)
    except ValueError:
        return []


if __name__ == "__main__":
    page = filled(PAGE.read_text(encoding="utf-8"))
    files.write_file(PAGE, page.encode("utf-8"))
    wrong = faults(page, used()) + unsaid(page)
    sys.stdout.write(
        "\n".join(wrong or [f"{PAGE.name} agrees with the equations"]) + "\n"
    )
