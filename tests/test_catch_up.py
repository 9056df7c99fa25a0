"""The next day: set-up and catch-up cells alone, and a reader can go on.

Cells run here as they stand in the chapter, one after another in one name space, with
nothing shown. That the whole chapter runs is nbval's part.
"""

import functools

import pytest

from lib.book import course, notebook, pages, widgets

# Where a slider looks at what its own section trains.
TRAINS = {"09_one_shot": "the mixture that the section trains for some seconds"}


@functools.cache
def code(name):
    cells = course.read_chapter(name).cells
    return [
        c for c in cells if c.cell_type == "code" and "colab" not in c.metadata.tags
    ]


def is_needed(cell) -> bool:
    return bool({"setup", "catch-up"} & set(cell.metadata.tags))


def run(cell, names) -> None:
    exec(compile(cell.source, cell.id, "exec"), names)


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    """Nothing is shown; sliders are collected; a learner's own files are not read."""
    made, init = [], widgets.Sliders.__init__

    def collect(self, *parts, **named):
        init(self, *parts, **named)
        made.append(self)

    monkeypatch.setattr(widgets.Sliders, "__init__", collect)
    for module in (notebook, pages):
        monkeypatch.setattr(module, "display", lambda *_, **__: None)
    monkeypatch.setenv("COURSE_STATIC", "1")
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    return made


@pytest.mark.parametrize("name", course.names())
def test_exercises_and_sliders_run_after_the_catch_up_cells(name, quiet):
    names: dict = {"__name__": "__main__"}
    for cell in filter(is_needed, code(name)):
        run(cell, names)
    exercises = [c for c in code(name) if "\n# hint(" in c.source]
    moved = [c for c in code(name) if "widgets.slider" in c.source]
    assert len(exercises) >= 2
    for cell in exercises:
        run(cell, dict(names))
    if name in TRAINS:
        return
    quiet.clear()
    for cell in moved:
        run(cell, dict(names))
    assert len(quiet) == len(moved)
    for sliders in quiet:
        assert sliders.figure().says
        for values in sliders.values.values():
            if not isinstance(values[0], str):  # a position further on is never a jump
                assert list(values) in (sorted(values), sorted(values)[::-1])


@pytest.mark.parametrize("name", course.names())
def test_a_catch_up_cell_says_that_it_is_one(name):
    """Nobody sees a tag."""
    for cell in code(name):
        marked = cell.source.startswith("# Catch-up: ")
        assert marked == ("catch-up" in cell.metadata.tags), cell.source[:80]
