"""The page of published numbers: as it is made now, with a reason for each gap."""

import pytest
import torch
from torch import nn

from lib.road import claims

ROWS = claims.every()


def test_the_page_is_what_is_computed_now():
    """Run `make claims` if this fails, and look at what has changed."""
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page()


def test_a_gap_has_a_reason():
    assert all(row.reason for row in ROWS if abs(row.gap()) > claims.ENOUGH)
    assert len({row.what for row in ROWS}) == len(ROWS) > 60


def test_gaps_by_hand():
    """48,000 hours for 2,000; 64 times 1.35 is 86.4, and the table has 88."""
    gaps = {row.what: row.gap() for row in ROWS}
    assert gaps["NASNet's search, GPU-hours"] == pytest.approx(2300)
    assert gaps["D1, channels of BiFPN, by the formula"] == pytest.approx(-20 / 11)
    assert gaps["D0, places where an object is looked for (anchors)"] == 0


@pytest.mark.parametrize("what, most", [("parameters", 2.0), ("multiply-adds", 5.0)])
def test_networks_have_the_published_sizes_but_for_their_digits(what, most):
    rows = [row for row in ROWS if row.what.endswith(f", {what}")]
    assert len(rows) >= 19
    assert all(abs(row.gap()) < most for row in rows)


def test_statistics_are_counted_with_the_weights():
    """A norm of 4 channels: two weights and two statistics each."""
    assert claims.values_stored(nn.BatchNorm2d(4)) == 16
    assert claims.values_stored(nn.Linear(3, 2)) == 8


def test_a_row_of_the_page():
    claim = claims.Claim("x", 2000, lambda: 2100.0, "M", "07", "https://a", "why")
    wanted = "| [x](https://a) | 2,000 M | 2,100 M | +5.0 % | why | 07 |\n"
    assert claims.row(claim) == wanted
    near = claim._replace(compute=lambda: 2000 + torch.tensor(0.5).item())
    assert "why" not in claims.row(near)
