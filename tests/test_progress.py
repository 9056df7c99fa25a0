"""Progress is read from files, whatever state they are in, and drawn."""

import json

import pytest

from lib.book import answers, progress
from lib.book.handin import of_chapter
from lib.book.records import Records
from lib.exercises import core, every, find, grading


@pytest.fixture(autouse=True)
def work(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    return tmp_path


def row(name):
    return next(c for c in progress.read() if c.name == name)


def test_an_empty_folder_is_no_point(work):
    chapters = progress.read()
    assert sum(sum(c.points.values()) for c in chapters) == 0
    possible = sum(e.points for e in every().values())
    assert f"0 of {possible} points; 0 of {len(core())} core" in progress.table(
        chapters
    )
    numbers = [c.number for c in chapters]
    assert numbers == sorted(numbers) and chapters[0].name == "start_here"


def test_points_come_from_copies_and_hand_ins_once(work):
    first, second = list(row("data").exercises)[:2]
    record = {"id": first, "points": find(first).points}
    cells = [{"outputs": [{"data": {answers.RESULT_MIME: record}}]}, {}]
    (work / "01_data.ipynb").write_text(json.dumps({"cells": cells}), "utf-8")
    records = Records(chapter="data")
    for identifier in (first, second):
        passed = grading.Result("passed", "right")
        records.attempt(identifier, find(identifier), passed, 3)
    (work / "hand-in").mkdir()
    (work / "hand-in" / "data.json").write_text(
        of_chapter(records, "data", "Ada").text(), "utf-8"
    )
    want = {i: find(i).points for i in (first, second)}
    assert row("data").points == want


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}', '{"cells": [3]}'])
def test_broken_files_count_for_nothing(work, text):
    (work / "01_data.ipynb").write_text(text, "utf-8")
    (work / "hand-in").mkdir()
    (work / "hand-in" / "x.json").write_text(text, "utf-8")
    assert row("data").points == {}


def test_what_is_kept_is_drawn(work):
    identifier = next(i for i in core() if i.startswith("bifpn."))
    (work / "yours").mkdir()
    (work / "yours" / f"{identifier}.py").write_text("raise SystemExit", "utf-8")
    chapters = progress.read()
    assert progress.built_parts(chapters) == ([], ["pyramid"])
    assert "1 of 8 parts" in progress.detector(chapters).says
    assert progress.search(chapters).says.startswith("0 of 14 parts")
    assert f"+{identifier.partition('.')[2]}" in progress.report()
    assert (work / "progress.html").read_text("utf-8").count("<img") == 2
