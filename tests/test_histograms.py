"""Counts against torch.histc, growing bins, and rounded histograms by hand."""

import math

import pytest
import torch

from lib.compression import histograms
from lib.compression.histograms import BINS, Histogram


def values(n=4000, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_counts_are_those_of_torch():
    x = values()
    mine = Histogram(1)
    mine.add(x[None])
    largest = float(x.abs().max())
    wanted = torch.histc(x.double(), 2 * BINS, -largest, largest)
    # In float32 and in float64 a value near an edge may fall on either side of it.
    assert mine.reach.item() == largest and mine.counts.sum() == len(x)
    assert (mine.counts[0] - wanted).abs().sum() <= 8


def test_zeros_are_counted_apart_and_rows_by_themselves():
    rows = torch.tensor([[0.0, 0.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    mine = Histogram(2)
    mine.add(rows)
    mine.add(rows)
    assert mine.zeros.tolist() == [4, 8]
    assert mine.counts.sum(1).tolist() == [4, 0]
    assert mine.counts[0, [0, -1]].tolist() == [2, 2]  # the outermost bins
    assert mine.magnitudes()[0, -1] == 4


def test_bins_that_grow_are_those_of_the_wide_ones():
    """1, then 3.5: the reach doubles twice, and nothing that was counted is lost."""
    small, large = values().clamp(-1, 1), torch.tensor([3.5])
    grown = Histogram(1)
    grown.add(torch.cat([small, torch.tensor([1.0])])[None])
    grown.add(large[None])
    assert grown.reach.item() == 4
    whole = torch.histc(torch.cat([small, torch.tensor([1.0]), large]), 2 * BINS, -4, 4)
    # Values on an edge of a bin, as -1 and 1 are, belong to its neighbour afterwards.
    off = (grown.counts[0] - whole).abs()
    assert off.sum() <= 2 * (small.abs() == 1).sum() + 4
    assert grown.counts.sum() == len(small) + 2


def test_centres_stand_in_the_middle():
    mine = Histogram(1)
    mine.add(torch.tensor([[4.0]]))
    assert mine.centres()[0, [0, -1]].tolist() == [-4 + 2 / BINS, 4 - 2 / BINS]


def test_levels_share_their_counts_among_filled_bins():
    seen = torch.tensor([6.0, 0.0, 2.0, 1.0, 0.0, 5.0])
    rounded = histograms._rounded_to_levels(seen, seen > 0, levels=2)
    assert rounded.tolist() == [4, 0, 4, 3, 0, 3]


def test_rows_are_compared_one_by_one():
    counts = torch.tensor([[4.0, 2.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0]]).double()
    both = histograms.divergence(counts, end=4, levels=2)
    assert both[0].item() == pytest.approx(
        math.log(4 / 3) / 2 + math.log(2 / 3) / 4, abs=1e-12
    )
    assert both[1].item() == pytest.approx(0, abs=1e-12)  # rounding changes nothing


@pytest.mark.parametrize("levels", [2, 100, 128, 201, 2048])
def test_many_ends_at_once_are_the_ends_one_by_one(levels):
    """The fast sums against the definition, which scipy's entropy stands behind."""
    generator = torch.Generator().manual_seed(levels)
    counts = torch.randint(0, 40, (5, BINS), generator=generator).double()
    counts[1, 100:] = 0  # everything is near 0
    counts[2, :1500] = 0  # nothing is
    counts[3] = 0  # nothing at all
    counts[4] *= torch.rand(BINS, generator=generator) < 0.01
    ends = [end for end in (levels, 300, 777, 1999, BINS) if end >= levels]
    many = histograms._divergences(counts, ends, levels)
    for i, end in enumerate(ends):
        one = histograms.divergence(counts, end, levels)
        torch.testing.assert_close(many[:, i], one, rtol=1e-9, atol=1e-9)


def test_an_end_keeps_the_shape_of_what_it_cuts():
    """A single spike is left if 1 to 5 are cut behind 1: it diverges from nothing."""
    counts = torch.zeros(2, BINS).double()
    counts[0, [409, 819, 1228, 1638, 2047]] = 100
    counts[1, :1000] = 5
    assert histograms.divergence(counts[0], 410, 256).item() == pytest.approx(0)
    ends = histograms.least_divergent_end(counts, 256)
    assert ends[0] == BINS and ends[1] >= 1000


@pytest.mark.parametrize("at_once", [1, 7])
def test_values_that_are_counted_in_parts_are_those_of_one_go(at_once, monkeypatch):
    rows = torch.stack([values(50), 10 * values(50, seed=1)])
    rows[:, :5] = 0
    whole, parts = Histogram(2), Histogram(2)
    whole.add(rows)
    monkeypatch.setattr(histograms, "AT_ONCE", at_once)
    parts.add(rows)
    assert torch.equal(parts.counts, whole.counts)
    assert parts.counts.sum(1).tolist() == [45, 45]
    assert parts.zeros.tolist() == whole.zeros.tolist() == [5, 5]
