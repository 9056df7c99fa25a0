"""Feature pyramids drawn: counts by hand, what is new, what is gone, bad tables."""

import pytest
from matplotlib.patches import Circle

from lib.book import plots, pyramids

# Three levels, written out by hand as in section 3 of arXiv 1911.09070: ids 0, 1, 2 are
# the inputs P3, P4, P5, later ids the nodes in their order.
FPN = [(2, (2,)), (1, (1, 3)), (0, (0, 4))]
PANET = [*FPN, (0, (5,)), (1, (4, 6)), (2, (3, 7))]
BIFPN = [(1, (1, 2)), (0, (0, 3)), (1, (1, 3, 4)), (2, (2, 5))]
ROAD = {"FPN": FPN, "PANet": PANET, "BiFPN": BIFPN}


def test_the_road_is_told_with_what_changes():
    figure = plots.levels(ROAD)
    assert figure.says == (
        "FPN: 3 nodes that read 5 maps; PANet: 6 nodes that read 10 maps, 5 of them "
        "new; BiFPN: 4 nodes that read 9 maps, 1 of them new, 2 left out."
    )
    assert "P4 bottom-up reads P4 in and P4 top-down and P3 top-down." in (
        figure.alt.replace(";", ".")
    )
    # The two nodes of PANet with a single input, and the one short cut.
    assert "Left out of PANet: P5 top-down, P3 bottom-up." in figure.alt
    assert figure.alt.endswith("New: P4 in to P4 bottom-up.")


def test_a_bridge_over_a_node_that_is_gone_is_not_new():
    """P5 is read where P5 top-down was: the same knowledge, no new edge."""
    bare = [(1, (1, 2)), (0, (0, 3)), (1, (3, 4)), (2, (2, 5))]
    figure = plots.levels({"PANet": PANET, "without": bare})
    assert figure.says.endswith("without: 4 nodes that read 8 maps, 2 left out.")
    assert "New:" not in figure.alt


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ([2, 1, 0], ["top-down"] * 3),
        ([1, 0, 1, 2], ["top-down"] * 2 + ["bottom-up"] * 2),
        ([0, 1], ["bottom-up"] * 2),
        ([1, 0, 0, 1, 0], ["top-down"] * 2 + ["bottom-up"] * 2 + ["top-down 2"]),
        ([3], ["top-down"]),
    ],
)
def test_a_pass_is_a_run_of_levels_that_only_fall_or_only_rise(order, names):
    assert pyramids._passes(order) == names


def test_rows_are_levels_and_the_coarsest_is_on_top():
    axes = plots.levels(FPN)._canvas.axes[0]
    spots = {t.get_text(): t.get_position()[1] for t in axes.texts}
    assert spots["P5"] > spots["P4"] > spots["P3"]


def test_dashed_rings_are_drawn_for_the_nodes_left_out_only():
    def dashed(figure):
        discs = [p for p in figure._canvas.axes[0].patches if isinstance(p, Circle)]
        return sum(not p.get_fill() for p in discs)

    assert dashed(plots.levels(FPN)) == 0
    assert dashed(plots.levels(ROAD)) == 2 + 1  # one more in the legend


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "topologies: empty"),
        ({"a": [(0, (0, 9))]}, r"topologies 'a': node 0 is \(0, \(0, 9\)\).*below 1"),
        ([(0, ())], "node 0"),
        ([(-1, (0,)), (0, (0,))], "node 0"),
        ([1, 2], "give pairs"),
        ({str(i): FPN for i in range(5)}, "5 given, 1 to 4"),
    ],
)
def test_bad_tables_are_named(table, message):
    with pytest.raises(ValueError, match=message):
        plots.levels(table)
