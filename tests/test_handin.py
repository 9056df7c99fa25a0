"""Hand-ins: what a file holds, how it comes back elsewhere, and what bad ones hear."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

import lib
from lib.book import answers, handin, pages
from lib.book.records import RECORDS, Records
from lib.exercises import find, grading, kept
from tests.cells import Notebook

ID = "data.hflip_xywh"


@pytest.fixture(autouse=True)
def work(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    RECORDS.clear()
    RECORDS.chapter = "data"
    yield tmp_path
    RECORDS.clear()


@pytest.fixture
def said(monkeypatch):
    bundles = []
    monkeypatch.setattr(pages, "display", lambda b, raw: bundles.append(b))
    return bundles


def right():
    return find(ID).reference


def named_wrong():
    return find(ID).wrong[0].answer


def written(work) -> dict:
    return json.loads((work / "hand-in" / "data.json").read_text("utf-8"))


def test_a_hand_in_holds_what_was_done_and_no_path(work, said):
    answers.check(ID, named_wrong())
    answers.hint(ID)
    answers.check(ID, right())
    answers.solution(ID)
    RECORDS.guesses["data"] = {"boxes": 7.0}
    RECORDS.measured["data"] = {"boxes": (9.0, "")}
    RECORDS.choices["data"] = {"1": 2}
    answers.submit("Ada")
    value = written(work)
    answer = value["answers"][ID]
    assert (value["schema"], value["chapter"], value["name"]) == (1, "data", "Ada")
    assert answer["attempts"] == 2 and answer["points"] == find(ID).points
    assert answer["hints"] == 1 and answer["solution"] is True
    slip = grading.grade(find(ID), named_wrong()).wrong
    assert answer["slips"] == [slip]
    assert value["guesses"]["boxes"] == {"guess": 7.0, "measured": 9.0, "unit": ""}
    assert value["quiz"] == {"1": 2}
    text = json.dumps(value)
    assert str(lib.ROOT) not in text and str(work) not in text
    assert os.path.expanduser("~") not in text
    page = said[-1]["text/html"]
    assert 'download="data.json"' in page and "base64," in page


def test_the_source_in_a_hand_in_can_be_graded_alone(work):
    notebook = Notebook()
    notebook.run("K = 1")
    cell = "def receptive(k):\n    return k * K"
    RECORDS.attempt(
        ID, find(ID), grading.Result("passed", "right"), notebook.run(cell)["receptive"]
    )
    source = RECORDS.answers[ID].source
    names = {}
    exec(source, names)
    assert names["hflip_xywh"](3) == 3


def test_the_name_is_asked_for_once(work, monkeypatch, said):
    answers.check(ID, right())
    asked = []
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or " Bo ")
    answers.submit()
    answers.submit()
    assert len(asked) == 1 and written(work)["name"] == "Bo"


def test_without_a_reader_or_with_a_bad_name_nothing_is_written(work, monkeypatch):
    def nobody(_):
        raise EOFError

    answers.check(ID, right())
    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(ValueError, match="nobody is here to ask"):
        answers.submit()
    for name in ("", "  ", "a\nb", "x" * 81):
        with pytest.raises(ValueError, match="name"):
            answers.submit(name)
    assert not (work / "hand-in" / "data.json").exists()


def test_another_day_adds_to_the_same_file(work):
    answers.check(ID, right())
    answers.submit("Ada")
    RECORDS.clear()
    answers.check(ID, named_wrong())  # a worse answer does not take the points
    answers.check("data.uncentre", find("data.uncentre").reference)
    answers.submit("Ada")
    value = written(work)["answers"]
    assert value[ID]["points"] == find(ID).points and value[ID]["status"] == "passed"
    assert value["data.uncentre"]["points"] == find("data.uncentre").points


def test_somebody_elses_file_is_set_aside(work):
    answers.check(ID, right())
    answers.submit("Ada")
    RECORDS.clear()
    answers.check(ID, named_wrong())
    answers.submit("Bo")
    assert written(work)["name"] == "Bo" and written(work)["answers"][ID]["points"] == 0
    aside = json.loads((work / "hand-in" / "data.1.json").read_text("utf-8"))
    assert aside["name"] == "Ada" and aside["answers"][ID]["points"] > 0


def test_a_damaged_file_is_kept_beside(work):
    (work / "hand-in").mkdir()
    (work / "hand-in" / "data.json").write_text("{", encoding="utf-8")
    answers.check(ID, right())
    answers.submit("Ada")
    assert (work / "hand-in" / "data.damaged.json").read_text("utf-8") == "{"
    assert written(work)["answers"][ID]["points"] > 0


def good() -> dict:
    records = Records(chapter="data")
    records.attempt(ID, find(ID), grading.Result("passed", "right"), right())
    return json.loads(handin.of_chapter(records, "data", "Ada").text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("course"), "not a file that submit"),
        (lambda v: v.update(schema=9), "its schema is 9; 1 is read"),
        (lambda v: v.update(chapter="../x"), "chapter is '../x'"),
        (lambda v: v.update(name=3), "name is 3; a str is asked"),
        (lambda v: v.update(answers=[]), r"answers is \[\]; a dict is asked"),
        (lambda v: v["answers"].update({"../x.y": {}}), "is no answer"),
        (lambda v: v["answers"][ID].update(points="4"), "points is '4'"),
        (lambda v: v["answers"][ID].update(points=True), "points is True"),
        (lambda v: v["answers"][ID].update(slips=4), "slips is 4"),
    ],
)
def test_a_bad_hand_in_is_refused_by_its_name(work, change, words):
    value = good()
    change(value)
    file = work / "ada.json"
    file.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ValueError, match=f"ada.json is no hand-in: .*{words}"):
        handin.read(file)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", "[" * 100_000, "3"])
def test_no_text_crashes_the_reader(work, text):
    file = work / "x.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="x.json is no hand-in"):
        handin.read(file)
    with pytest.raises(ValueError, match="nothing.json: there is no such file"):
        handin.files_in(work / "nothing.json")


def test_what_is_written_is_read_back(work):
    value = good()
    file = work / "ada.json"
    file.write_text(json.dumps(value), encoding="utf-8")
    assert json.loads(handin.read(file).text()) == value


IN_A_KERNEL = """
from lib.book.notebook import *
from lib.book.notebook import setup, yours, submit
from lib.book.records import RECORDS
setup("data")
RECORDS.chapter = "data"
yours(load={file!r})
print(RECORDS.answers["data.hflip_xywh"].points, RECORDS.guesses["data"])
submit("Ada")
"""


def test_it_comes_back_on_a_machine_that_has_nothing_twice_in_a_row(work, tmp_path):
    """Two fresh processes, each with an empty folder, as Colab and Binder give."""
    RECORDS.guesses["data"] = {"boxes": 7.0}
    answers.check(ID, right())
    answers.submit("Ada")
    file = work / "hand-in" / "data.json"
    for number in (1, 2):
        folder = tmp_path / f"machine {number}"
        run = subprocess.run(
            [sys.executable, "-c", IN_A_KERNEL.format(file=str(file))],
            cwd=lib.ROOT, env={**os.environ, "COURSE_WORK": str(folder)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert f"{find(ID).points} {{'boxes': 7.0}}" in run.stdout
        file = folder / "hand-in" / "data.json"
        assert handin.read(file).answers[ID].points == find(ID).points


def test_points_and_answers_that_a_kernel_has_are_not_lost_to_a_file(work):
    records = Records(chapter="data")
    records.attempt(ID, find(ID), grading.Result("passed", "right"), right())
    worse = dataclasses.replace(records.answers[ID], points=0, status="refused")
    file = work / "worse.json"
    value = handin.HandIn("data", "Ada", answers={ID: worse})
    file.write_text(value.text(), encoding="utf-8")
    handin.restore_from(records, file)
    assert records.answers[ID].points == find(ID).points


def test_a_core_function_in_a_hand_in_becomes_a_file(work, monkeypatch):
    taken = []
    monkeypatch.setattr(handin, "_is_core", lambda identifier: True)
    monkeypatch.setattr(handin.building, "core", lambda identifier: None)
    monkeypatch.setattr(
        kept, "keep_text",
        lambda identifier, text: taken.append((identifier, text)) or kept.Kept(1),
    )  # fmt: skip
    file = work / "ada.json"
    file.write_text(json.dumps(good()), encoding="utf-8")
    lines = handin.restore_from(RECORDS, [file])
    assert taken == [(ID, good()["answers"][ID]["source"])]
    assert lines == ["ada.json: 1 answers, Ada", f"{ID}: kept as version 1"]
