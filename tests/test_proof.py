"""The page of proof says what is true now; a wrong function changes its machine."""

import json
import time

import pytest

from lib.book import course
from lib.exercises import building, core, every, places
from tests import filled, proof


@pytest.mark.parametrize("identifier", core())
def test_a_wrong_core_function_changes_its_machine_or_says_why_not(identifier):
    found = proof.forced(identifier)
    silent = [name for name, why in found.same.items() if not why]
    assert not silent, f"the machine does not notice {silent}, and no reason is given"
    assert found.changed


@pytest.mark.parametrize("identifier", core())
def test_the_machine_calls_its_core_function(identifier):
    exercise = core()[identifier]
    ours = places.ours(exercise.place)
    run = building.run_machine(exercise, ours, lambda: 0.0)
    assert run.calls > 0
    again = building.run_machine(exercise, ours, lambda: 0.0)
    # It depends on nothing that an earlier run left behind.
    assert building.difference(run.value, again.value, 0.0) is None
    assert exercise.machine and exercise.milestone_calls > 0


def test_every_core_function_has_what_learners_need():
    for identifier, exercise in core().items():
        assert 1 <= exercise.importance <= 3, identifier
        assert exercise.kind == "build" and len(exercise.wrong) >= 3, identifier
        assert set(exercise.unchanged) <= {w.answer.__name__ for w in exercise.wrong}
    chapters = [i.partition(".")[0] for i, e in core().items() if e.required]
    assert len(chapters) == len(set(chapters)), "one required core function a chapter"


def test_the_page_covers_the_course_as_it_is():
    """Its slow numbers are made by `make proof`; what can be counted is counted."""
    text = proof.PAGE.read_text(encoding="utf-8")
    for identifier, exercise in core().items():
        assert f"| {exercise.number} | `{identifier}` |" in text
    for name in course.names():
        assert f"| {name} |" in text
    possible = sum(exercise.points for exercise in every().values())
    wrong = sum(len(exercise.wrong) for exercise in every().values())
    assert f"| {possible} | 0 | {possible} |" in text
    assert f"| **all** | {wrong} |" in text


def test_shipped_notebooks_hold_no_answer():
    assert set(proof.empty_points().values()) == {0}


def test_a_page_is_not_made_without_a_filled_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(proof, "FILLED", tmp_path / "filled.json")
    assert proof.main() == 2
    assert "run python -m tests.filled first" in capsys.readouterr().out


def test_rows_are_markdown():
    assert proof.rows(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    assert json.dumps(proof.rows(["a"], [])) == json.dumps("| a |\n| --- |\n")


def test_the_last_road_has_to_begin_with_all_that_was_built():
    done = [filled.Filled(name, "passed", 1.0) for name in course.names()]
    last = next(one for one in done if one.chapter == "23_capstone")
    last.calls = dict.fromkeys(core(), 0)
    assert filled.not_taken_up(done) == []
    del last.calls["decoding.greedy"]
    said = "23_capstone: decoding.greedy was built before, not taken up"
    assert filled.not_taken_up(done) == [said]
    assert filled.not_taken_up([last]) == [], "alone it has nothing to take up"


def test_the_last_road_waits_for_all_that_it_takes_up():
    ended = []

    def run_one(name):
        begun_after = set(ended)
        time.sleep(0.2 if name == "22_export" else 0)  # the slowest ends last
        ended.append(name)
        return begun_after

    before, last = course.names()[:23], course.names()[23]
    assert last == filled.LAST_ROAD
    assert filled.in_turns(course.names(), run_one)[23] >= set(before)
    assert filled.in_turns([last], run_one) == [set(ended[:-1])]
