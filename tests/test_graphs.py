"""Graphs drawn: edges and the longest path by hand, cycles, unknown nodes."""

import pytest

from lib.book import plots


def test_graph_lists_edges_and_finds_the_longest_path():
    edges = [("h", "a", "sep 3x3"), ("h", "a", "identity"), ("a", "out"), ("h", "out")]
    figure = plots.graph({"h": "h", "a": "add", "out": "concat"}, edges)
    assert figure.says == "3 nodes, 4 edges; the longest path takes 2 steps."
    told = "Edges: h to add (sep 3x3); h to add (identity); add to concat; h to concat."
    assert told in figure.alt
    twins = plots.graph({"x": "add", "y": "add"}, [("x", "y")])
    assert "Edges: add [x] to add [y]." in twins.alt
    with pytest.raises(ValueError, match="cycle"):
        plots.graph("abc", [("a", "b"), ("b", "c"), ("c", "b")])
    with pytest.raises(ValueError, match="'z'"):
        plots.graph("ab", [("a", "z")])
    with pytest.raises(ValueError, match="nodes: empty"):
        plots.graph([], [])
