"""Stubs of the chapters: what a learner types below one must be part of it."""

import ast

import pytest

import lib
from lib.book import course
from lib.exercises import grading


def chapter(name: str) -> str:
    return (lib.ROOT / "chapters" / "py" / f"{name}.py").read_text(encoding="utf-8")


def stubs(text: str) -> list[ast.FunctionDef]:
    """The functions of a text that end in dots: they are left to the learner."""
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    return [f for f in functions if ast.unparse(f.body[-1]) == "..."]


def beside_its_head(text: str) -> list[str]:
    """Stubs whose dots do not begin their line.

    `def f(x): ...` ends in an IndentationError as soon as a line is typed below.
    """
    lines = text.splitlines()
    dots = {f.name: f.body[-1] for f in stubs(text)}
    return [n for n, d in dots.items() if lines[d.lineno - 1][: d.col_offset].strip()]


@pytest.mark.parametrize("name", course.names(drafts=True))
def test_the_body_of_a_stub_stands_on_a_line_of_its_own(name):
    assert beside_its_head(chapter(name)) == []


def test_a_stub_on_one_line_is_seen():
    assert beside_its_head("def depth(blocks): ...  # your code\n") == ["depth"]
    assert beside_its_head("def wide(\n    blocks,\n): ...\n") == ["wide"]
    assert beside_its_head("def below(x):\n    # your code\n    ...\n") == []
    assert beside_its_head('def said(x):\n    """Half."""\n    ...  # yours\n') == []


@pytest.mark.parametrize("name", course.names(drafts=True))
def test_a_stub_as_it_stands_is_not_attempted(name):
    for stub in stubs(chapter(name)):
        space = {}
        exec(compile(ast.Module([stub], []), name, "exec"), space)
        assert grading.not_attempted(space[stub.name]), stub.name
