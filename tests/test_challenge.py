"""The board: what is verified, what is refused, and what is written."""

import subprocess
import sys

import pytest

from lib.basics import data
from lib.nas import search_space, tabular
from lib.road import challenge


def in_order_of(table):
    """A search that knows the table: it asks the best cell first."""
    ranked = sorted(table.genotypes, key=table.query, reverse=True)

    def find(ask, space, seed):
        for cell in ranked[3:]:  # the fourth best is among the best per cent, too
            ask(cell)

    return find


def test_trainings_are_counted_until_a_good_cell_is_asked():
    table = tabular.load()
    score, told = challenge.trainings(in_order_of(table), seed=1)
    assert score == 1 and told == "1 to 1"
    ranked = sorted(table.genotypes, key=table.query)

    def slowly(ask, space, seed):
        for cell in [*ranked[:6], search_space.decode(space, best(table, space))]:
            ask(cell)

    assert challenge.trainings(slowly, seed=1) == (7, "7 to 7")


def best(table, space):
    return search_space.encode(space, max(table.genotypes, key=table.query))


@pytest.mark.parametrize(
    "asks, words", [(3, "ended with no cell"), (10**9, "500 trainings, and none")]
)
def test_what_goes_beyond_is_no_entry(asks, words):
    worst = min(tabular.load().genotypes, key=tabular.load().query)

    def find(ask, space, seed):
        for _ in range(asks):
            ask(worst)

    with pytest.raises(challenge.Refused, match=words):
        challenge.trainings(find, seed=0)


def test_a_file_that_is_shipped_is_verified_and_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(challenge, "SCENES", 60)
    monkeypatch.setattr(challenge, "ENOUGH", {"smallest": 0.6})
    row = challenge.verify("smallest", "detector_pruned_int8", seed=3, name="pruned")
    assert row["score"] == pytest.approx(178, abs=0.5) and row["told"][:5] == "AP 0."
    entries, page = tmp_path / "entries.jsonl", tmp_path / "BOARD.md"
    challenge.enter(row | {"score": 628.0, "entry": "plain"}, entries, page)
    challenge.enter(row, entries, page)
    text = page.read_text(encoding="utf-8")
    assert text.index("| pruned | 177.6") < text.index("| plain | 628")
    assert text.count("No entry yet.") == 2
    monkeypatch.setattr(challenge, "ENOUGH", {"smallest": 0.99})
    with pytest.raises(challenge.Refused, match="0.99 is asked"):
        challenge.verify("smallest", "detector_pruned_int8", seed=3)


BUSY = "import time\nwhile time.process_time() < 0.4: pass"


def test_seconds_count_children_and_every_picture_is_drawn(monkeypatch):
    seen = []

    def train(seed):
        seen.append((seed, data.CACHE))
        subprocess.run([sys.executable, "-c", BUSY], check=True)

    monkeypatch.setattr(challenge, "_reached", lambda *how: "AP 0.700")
    before = data.CACHE
    begun = challenge.spent_so_far()
    assert challenge.seconds(train, 5)[1] == "AP 0.700"
    assert challenge.spent_so_far() - begun > 0.3  # it counts in hundredths
    assert seen == [(5, None)] and data.CACHE == before
    monkeypatch.setattr(challenge, "MOST_SECONDS", 0.2)
    with pytest.raises(challenge.Refused, match="CPU-seconds; 0.2 are allowed"):
        challenge.seconds(train, 5)

    def fails(seed):
        raise ArithmeticError("no finite loss")

    with pytest.raises(ArithmeticError):
        challenge.seconds(fails, 5)
    assert data.CACHE == before


def test_a_wrong_entry_is_named(tmp_path):
    with pytest.raises(ValueError, match="is no file: give one with `search`"):
        challenge.verify("trainings", str(tmp_path / "none.py"))
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="defines no function `train`"):
        challenge.verify("seconds", str(tmp_path / "empty.py"))
    with pytest.raises(ValueError, match="challenge"):
        challenge.verify("fastest", "x")


def test_the_board_here_is_that_of_its_entries():
    rows = challenge.read()
    assert challenge.BOARD.read_text(encoding="utf-8") == challenge.board(rows)
    assert {row["challenge"] for row in rows} == set(challenge.TITLES)
