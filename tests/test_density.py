"""What a chapter shows can be read aloud: one step a line.

The guide of the design: over the functions and classes that chapters `show`, at most 10
tokens a code line in the mean and 20 in the 90th percentile, without docstrings and
comments. nanochat has 9.2 and 18, micrograd 8.6 and 18, einops 8.2 and 14.
"""

import ast
import functools
import importlib
import inspect
import io
import re
import statistics
import textwrap
import tokenize

from lib.book import course
from tests.test_layout import WING

LAYOUT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
}  # fmt: skip


@functools.cache
def shown() -> dict[str, str]:
    """The source of all that chapters show, by the name that they show it under."""
    pattern = re.compile(r"^show\((\w+)((?:\.\w+)+)", re.MULTILINE)
    sources = {}
    for text in (course.CHAPTERS / "py").glob("*.py"):
        for module, path in pattern.findall(text.read_text(encoding="utf-8")):
            wing = f"lib.{WING[module]}." if module in WING else ""  # `lib` itself
            thing = importlib.import_module(wing + module)
            for name in path.split(".")[1:]:
                thing = getattr(thing, name)
            source = inspect.getsource(inspect.unwrap(thing))
            sources[module + path] = textwrap.dedent(source)
    return dict(sorted(sources.items()))


def tokens_a_line(source: str) -> list[int]:
    """Tokens on each code line of a function or a class."""
    silent = set()
    for part in ast.walk(ast.parse(source)):
        kinds = ast.FunctionDef | ast.ClassDef
        if isinstance(part, kinds) and ast.get_docstring(part):
            text = part.body[0]
            silent |= set(range(text.lineno, text.end_lineno + 1))
    count: dict[int, int] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if line not in silent and token.type not in LAYOUT and token.string:
            count[line] = count.get(line, 0) + 1
    return list(count.values())


def test_tokens_by_hand():
    source = 'def f(x):\n    """Doc."""\n    y = x + 1  # why\n\n    return y\n'
    # def f ( x ) :  -> 6;  y = x + 1 -> 5;  return y -> 2
    assert tokens_a_line(source) == [6, 5, 2]


def test_what_chapters_show_can_be_read_aloud(capsys):
    rows = {name: tokens_a_line(source) for name, source in shown().items()}
    every = sorted(n for row in rows.values() for n in row)
    mean, ninth = statistics.mean(every), every[int(0.9 * len(every))]
    with capsys.disabled():
        print(f"\n{len(rows)} shown: {mean:.1f} tokens a line, 90th percentile {ninth}")
        for name in sorted(rows, key=lambda name: -statistics.mean(rows[name]))[:10]:
            print(f"  {name} {statistics.mean(rows[name]):.1f}")
    assert len(rows) > 100
    assert mean <= 10 and ninth <= 20
