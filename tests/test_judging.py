"""Files side by side: the numbers of each are those that stand in its datasheet."""

import pytest

from lib.basics import data
from lib.detection import detectors
from lib.detection.redrawing import Estimate
from lib.road import judging

BOTH = {"plain": "detector_plain_int8", "pruned": "detector_pruned_int8"}


def test_two_shipped_files_beside_each_other():
    rows = judging.judge(BOTH, {"plain": 121_000_000}, scenes=60)
    plain, pruned = rows
    assert tuple(plain.difference) == (0, 0, 0) and plain.ratio == 1
    gap = pruned.ap.value - plain.ap.value
    assert pruned.difference.value == pytest.approx(gap)
    # Of 1,000 scenes the datasheet says 0.792 and 0.784; 60 of them may differ.
    assert plain.ap.low < 0.792 < plain.ap.high
    assert pruned.ap.low < 0.784 < pruned.ap.high
    assert [round(row.kilobytes) for row in rows] == [628, 178]
    assert judging.cells(plain)[-1] == "121" and judging.cells(pruned)[-1] == ""
    figure = judging.picture(rows)
    assert "pruned" in figure.alt and "178 kB" in figure.says
    table = judging.markdown(judging.COLUMNS, map(judging.cells, rows)).splitlines()
    assert len(table) == 4 and all(line.count("|") == 7 for line in table)


def test_nothing_to_judge_is_refused():
    with pytest.raises(ValueError, match="files is empty"):
        judging.judge({})


def test_multiply_adds_by_hand():
    """`plain` has 120.8 million: the datasheet's 59 for the pruned are 0.49 of them."""
    macs = judging.macs_of(detectors.detector("plain"))
    assert macs / 1e6 == pytest.approx(58.9 / 0.486, rel=0.01)
    assert data.Scenes.names[3] == "3"


def test_a_beginner_is_drawn_whose_draws_all_lie_above_its_ap():
    """A detector of sixty batches: AP 0.014, drawn again 0.015 to 0.020."""
    none = Estimate(0.0, 0.0, 0.0)
    rows = [
        judging.Row("plain", Estimate(0.80, 0.79, 0.82), none, 2.4, 1.0, 2402.0, None),
        judging.Row("mine", Estimate(0.014, 0.015, 0.020), none, 1.7, 0.7, 399.0, None),
    ]
    assert "mine: 0.014 [0.015, 0.020]" in judging.picture(rows).alt
