"""Stages that were done are not done again; one that was killed begins again."""

import json

import pytest

from lib.road import stages


def road(tmp_path, live=(), steps=60):
    return stages.Road(tmp_path / "road", ("first", "second"), live, steps)


def writers(told, dies=False):
    """Two stages that say so in `told`; the second may die after writing."""

    def first(road):
        told.append("first")
        road.file("first.txt").write_text("1", encoding="utf-8")

    def second(road):
        told.append("second")
        road.file("second.txt").write_text("half", encoding="utf-8")
        if dies:
            raise KeyboardInterrupt
        road.file("second.txt").write_text("whole", encoding="utf-8")

    return {"first": first, "second": second}


def test_a_killed_stage_begins_again_and_those_before_it_do_not(tmp_path):
    told, said = [], []
    with pytest.raises(KeyboardInterrupt):
        road(tmp_path).run(writers(told, dies=True))
    again = road(tmp_path)
    assert again.seconds("first") is not None and again.seconds("second") is None
    again.run(writers(told), said.append)
    assert told == ["first", "second", "second"]
    assert said == ["1/2 first: done before (shipped)", "2/2 second: shipped"]
    assert again.file("second.txt").read_text(encoding="utf-8") == "whole"
    again.run(writers(told))
    assert told == ["first", "second", "second"]


@pytest.mark.parametrize("changed", [{"live": ["second"]}, {"steps": 61}])
def test_other_settings_are_another_road(tmp_path, changed):
    told = []
    road(tmp_path).run(writers(told))
    road(tmp_path, **changed).run(writers(told))
    assert told == ["first", "second", "first", "second"]


@pytest.mark.parametrize("changed", [{"live": ["second"]}, {"steps": 61}])
def test_other_settings_keep_a_checkpoint_of_their_own(tmp_path, changed):
    mine = road(tmp_path).checkpoint("first")
    assert mine == road(tmp_path).checkpoint("first") and mine.suffix == ".pt"
    assert mine.parent == tmp_path / "road"
    assert mine != road(tmp_path).checkpoint("second")
    assert mine != road(tmp_path, **changed).checkpoint("first")


def test_a_note_that_was_cut_short_is_none(tmp_path):
    one = road(tmp_path)
    one.run(writers([]))
    text = one.file("first.json").read_text(encoding="utf-8")
    assert json.loads(text)["settings"] == one.settings()
    one.file("first.json").write_text(text[:-3], encoding="utf-8")
    assert one.seconds("first") is None


def test_an_unknown_stage_is_named(tmp_path):
    with pytest.raises(ValueError, match="live has third; stages are first, second"):
        road(tmp_path, live=["third"])
