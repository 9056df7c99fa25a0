"""A learner's copy is never overwritten, and an old one lives on."""

import ast
import importlib
import json
import os
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import pytest

import lib
from lib.book import copies, course, notebook, pages
from tests.test_course import edit, toy, write_chapter  # noqa: F401

ROOT = lib.ROOT
# Cells of every chapter as they were in the commit before `lib` had wings: the one for
# Colab, the set-up, and all that check an answer.
OLD = json.loads(
    (Path(__file__).parent / "golden" / "copies_before_the_wings.json").read_text(
        encoding="utf-8"
    )
)

STUB = """
# %% tags=["core"]
def half(x):
    ...  # your code


{verb}("toy.half", half)

# %% tags=["core"]
answer = ...  # your number

{verb}("toy.count", answer)
"""


def stubbed(folder, number, verb="check", line="print('old')"):
    """A chapter with two exercises, which `verb` grades."""
    write_chapter(folder / "chapters", number, line + STUB.format(verb=verb))


def cells(path) -> list[str]:
    return ["".join(c["source"]) for c in json.loads(path.read_text())["cells"]]


def test_copies_are_made_once_and_never_overwritten(toy):  # noqa: F811
    assert copies.copy_missing() == ["01_toy", "02_toy"]
    copy = toy / "work" / "01_toy.ipynb"
    edit(copy, "print(6 * 7)", "print(6 * 9)")
    (toy / "work" / "02_toy.ipynb").unlink()
    write_chapter(toy / "chapters", "01", "print('new upstream')")
    assert copies.copy_missing() == ["02_toy"]
    assert "6 * 9" in copy.read_text()


def test_pages_lie_beside_the_copies_and_follow_until_they_are_edited(toy):  # noqa: F811
    page, copy = toy / "chapters" / "GLOSSARY.md", toy / "work" / "GLOSSARY.md"
    page.write_text("one", encoding="utf-8")
    copies.copy_missing()
    assert copy.read_text() == "one"
    page.write_text("two", encoding="utf-8")
    assert [line[:6] for line in copies.update()] == ["01_toy", "02_toy"]
    assert copy.read_text() == "two"
    copy.write_text("two, and a note of mine", encoding="utf-8")
    page.write_text("three", encoding="utf-8")
    copies.update()
    assert copy.read_text() == "two, and a note of mine"


def test_update_leaves_alone_what_is_up_to_date(toy):  # noqa: F811
    assert all("new; `make lab` copies it" in line for line in copies.update())
    copies.copy_missing()
    edit(toy / "work" / "01_toy.ipynb", "print(6 * 7)", "print(6 * 9)")
    before = {p: p.read_bytes() for p in (toy / "work").iterdir()}
    assert copies.update() == [
        "01_toy: up to date, with your edits",
        "02_toy: up to date, without edits",
    ]
    assert before == {p: p.read_bytes() for p in (toy / "work").iterdir()}


def test_a_new_chapter_stands_beside_the_copy_with_the_answers_in_it(toy):  # noqa: F811
    stubbed(toy, "01")
    copies.copy_missing()
    copy = toy / "work" / "01_toy.ipynb"
    edit(copy, "    ...  # your code", "    return x / 2  # mine")
    before = copy.read_bytes()
    stubbed(toy, "01", verb="build", line="print('new upstream')")
    said = copies.update()[0]
    assert "3 cells changed upstream; your copy, with your edits, is kept" in said
    assert "work/01_toy.new.ipynb with your answers to toy.half" in said
    assert copy.read_bytes() == before
    new = cells(toy / "work" / "01_toy.new.ipynb")
    assert "print('new upstream')" in new
    (answer,) = (cell for cell in new if "# mine" in cell)
    assert answer.endswith('build("toy.half", half)')  # asked as the new chapter asks
    (stub,) = (cell for cell in new if "toy.count" in cell)
    assert "answer = ...  # your number" in stub  # left alone, so nothing to carry
    assert copies.update()[0] == "01_toy: up to date, with your edits"


def test_the_newest_copy_is_what_counts(toy):  # noqa: F811
    stubbed(toy, "01")
    copies.copy_missing()
    stubbed(toy, "01", line="print('second')")
    copies.update()
    edit(toy / "work" / "01_toy.new.ipynb", "answer = ...", "answer = 42")
    kept = (toy / "work" / "01_toy.new.ipynb").read_bytes()
    stubbed(toy, "01", line="print('third')")
    assert (
        "work/01_toy.new-2.ipynb with your answers to toy.count" in (copies.update()[0])
    )
    assert (toy / "work" / "01_toy.new.ipynb").read_bytes() == kept
    third = cells(toy / "work" / "01_toy.new-2.ipynb")
    assert any("answer = 42" in cell for cell in third)


def test_an_answer_that_has_no_place_any_more_is_kept_at_the_end(toy):  # noqa: F811
    stubbed(toy, "01")
    copies.copy_missing()
    edit(toy / "work" / "01_toy.ipynb", "answer = ...", "answer = 42")
    write_chapter(toy / "chapters", "01", "print('no exercises')")
    said = copies.update()[0]
    assert "at its end, answers that it has no place for: ['toy.count']" in said
    *_, title, last = cells(toy / "work" / "01_toy.new.ipynb")
    assert "Your answers" in title and "answer = 42" in last


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"cells": 1}', '[{"cells": []}]'])
def test_a_damaged_copy_is_named_and_kept(toy, damage):  # noqa: F811
    copies.copy_missing()
    copy = toy / "work" / "01_toy.ipynb"
    copy.write_text(damage)
    assert copies.copy_missing() == []
    first, second = copies.update()
    assert "01_toy: your copy is no readable notebook" in first
    assert "rename work/01_toy.ipynb" in first
    assert second == "02_toy: up to date, without edits"
    assert copy.read_text() == damage


@pytest.mark.parametrize("damage", ["", "{", "[]", None])
def test_a_damaged_record_of_origins_stops_nobody(toy, damage):  # noqa: F811
    stubbed(toy, "01")
    copies.copy_missing()
    edit(toy / "work" / "01_toy.ipynb", "answer = ...", "answer = 42")
    (toy / "work" / "02_toy.ipynb").unlink()
    origin = toy / "work" / ".origin.json"
    origin.unlink() if damage is None else origin.write_text(damage)
    assert copies.copy_missing() == ["02_toy"]
    first, second = copies.update()
    assert first.startswith("01_toy: differs from the chapter; your copy")
    assert "with your answers to toy.count" in first
    assert second == "02_toy: up to date, without edits"


def test_a_new_measurement_or_address_is_no_change_upstream(toy):  # noqa: F811
    copies.copy_missing()
    for path in (toy / "chapters").glob("*.ipynb"):
        edit(path, "not measured yet", "0.1 min")
        edit(path, 'REPO = \\"\\"', 'REPO = \\"some/one\\"')
    assert all("up to date, without edits" in line for line in copies.update())


def test_afresh_begins_again_and_keeps_every_old_copy(toy):  # noqa: F811
    stubbed(toy, "01")
    copies.copy_missing()
    edit(toy / "work" / "01_toy.ipynb", "answer = ...", "answer = 42")
    stubbed(toy, "01", line="print('second')")
    copies.update()
    was = [(toy / "work" / f"01_toy{n}.ipynb").read_bytes() for n in ("", ".new")]
    other = (toy / "work" / "02_toy.ipynb").read_bytes()
    (said,) = copies.afresh(["01_toy"])
    assert said == (
        "01_toy: begun again; kept: work/01_toy.old.ipynb, work/01_toy.old-2.ipynb"
    )
    kept = [(toy / "work" / f"01_toy.old{n}.ipynb").read_bytes() for n in ("", "-2")]
    assert kept == was and (toy / "work" / "02_toy.ipynb").read_bytes() == other
    fresh = cells(toy / "work" / "01_toy.ipynb")
    assert fresh == cells(toy / "chapters" / "01_toy.ipynb")
    assert copies.update()[0] == "01_toy: up to date, without edits"
    (said,) = copies.afresh(["01_toy"])
    assert said.endswith("kept: work/01_toy.old-3.ipynb")


def test_afresh_moves_nothing_where_the_chapter_is_damaged(toy):  # noqa: F811
    copies.copy_missing()
    (toy / "chapters" / "02_toy.ipynb").write_text("{")
    before = {p: p.read_bytes() for p in (toy / "work").iterdir()}
    with pytest.raises(ValueError, match="chapters/02_toy.ipynb is no readable"):
        copies.afresh(["01_toy", "02_toy"])
    assert before == {p: p.read_bytes() for p in (toy / "work").iterdir()}


def test_a_damaged_chapter_is_named_and_the_others_are_copied(toy):  # noqa: F811
    (toy / "chapters" / "01_toy.ipynb").write_text("{")
    with pytest.raises(ValueError, match="chapters/01_toy.ipynb is no .* 02_toy"):
        copies.copy_missing()
    assert [p.name for p in (toy / "work").glob("*.ipynb")] == ["02_toy.ipynb"]


# ------------------------------------------- copies from before `lib` had its wings


def answer_and_check(cell):
    """The stub and the line that grades it, without what the chapter made before."""
    kept = [
        node
        for node in ast.parse(cell).body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.value) == "...")
        or ast.unparse(node)[:6] == "check("
    ]
    return ast.unparse(ast.Module(kept, []))


def cells_like(name, word):
    return [cell for cell in OLD[name] if word in cell and "google.colab" not in cell]


@pytest.mark.parametrize("name", OLD)
def test_an_old_copy_runs_its_setup_and_its_checks(name, monkeypatch):
    """With the `lib` of today, and one warning that says what to do."""
    shown = []
    monkeypatch.setattr(pages, "display", lambda b, **_: shown.append(b))
    monkeypatch.setattr(lib, "_told", False)
    for module in [m for m in sys.modules if m[:4] == "lib." and m.count(".") == 1]:
        if module.removeprefix("lib.") not in ("exercises", "book"):
            monkeypatch.delitem(sys.modules, module)
    (setup,) = cells_like(name, "setup(")
    cell: dict = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        exec(compile(setup, "setup", "exec"), cell)
        for check in cells_like(name, "check("):
            if check != setup:
                exec(compile(answer_and_check(check), "check", "exec"), cell)
    said = [str(w.message) for w in told if w.category is FutureWarning]
    assert len(said) == 1 and "`make update`" in said[0], said
    results = [b[notebook.RESULT_MIME] for b in shown if notebook.RESULT_MIME in b]
    assert len(results) == len(cells_like(name, 'check("'))
    given = {r["status"] for r in results if r["id"] != "start_here.widths_at_130"}
    assert given == {"not attempted"}  # chapter 00 shows one refusal on purpose


def test_yesterdays_first_cell_on_colab_finds_todays_course(tmp_path, monkeypatch):
    """It fetches the course as it is now, and calls `python -m lib.course colab`."""
    (cell,) = {c for cells in OLD.values() for c in cells if "google.colab" in c}
    calls = []

    def run(command, cwd=".", check=False):
        calls.append(command)
        if command[0] == "git":
            os.symlink(ROOT, tmp_path / command[-1])
            return None
        assert command[-1] == "colab"
        # All but what pip would fetch: the module of that name answers.
        asked = [*command[:-1], "--help"]
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess_run(
            asked, cwd=cwd, check=True, capture_output=True, text=True, env=clean
        )

    subprocess_run = subprocess.run
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("colab"))
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", [*sys.path])
    exec(cell.replace('REPO = ""', 'REPO = "some/one"'), {})
    assert [c[0] for c in calls] == ["git", sys.executable]
    assert calls[1][1:3] == ["-m", "lib.course"]


def test_a_name_that_never_was_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lib.nothing
    with pytest.raises(ModuleNotFoundError, match=r"lib\.nothing"):
        importlib.import_module("lib.nothing")


def test_a_wheel_that_is_not_editable_imports(tmp_path):
    """All wings are in it: what `packages` forgets is found by nobody in a clone."""
    code = "import setuptools.build_meta as b; print(b.build_wheel('out'))"
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "lib"):
        os.symlink(ROOT / name, source / name)
    build = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True
    )
    assert build.returncode == 0, build.stderr
    wheel = next((source / "out").glob("*.whl"))
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {p.relative_to(ROOT).as_posix() for p in (ROOT / "lib").rglob("*.py")}
    assert packed >= ours and not [n for n in packed if n[:5] == "tests"]
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lib, lib.nas;"
    code += "print(lib.__file__)"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code, str(wheel)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )  # fmt: skip
    assert str(wheel) in run.stdout


def test_the_command_line_copies_and_updates(toy, monkeypatch, capsys):  # noqa: F811
    for command, said in (
        (["copy"], "copied into work/: 01_toy"), (["update"], "01_toy:"),
        (["afresh", "--only", "1"], "01_toy: begun again; kept: work/01_toy.old.ipynb"),
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["course", *command])
        assert course.main() == 0
        assert said in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["course", "afresh"])  # all of them? no
    assert course.main() == 2 and "which chapters?" in capsys.readouterr().err
