"""Whose functions the road runs on: none at first, one part after an adoption."""

from types import SimpleNamespace

from lib import exercises
from lib.book import architectures
from lib.exercises import places
from lib.road import parts


def test_parts_are_those_of_the_drawing():
    assert set(parts.OF_THE_DETECTOR.values()) <= set(architectures.PARTS)


def test_who_has_built_what(monkeypatch):
    assert parts.yours() == (0, len(exercises.core())) and parts.highlight() == ()
    standing = dict.fromkeys(("bifpn.fast_fusion", "search.x"), SimpleNamespace())
    monkeypatch.setattr(places, "_adopted", standing)
    assert parts.yours()[0] == 2 and parts.highlight() == ("pyramid",)
