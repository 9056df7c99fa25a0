"""What quantization is given: right values come back, wrong ones are named."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.compression import checked, deployed


def test_layers_are_known_by_name():
    bits = {"stem": 4}
    assert checked.layer_bits(bits, ["stem", "head"]) is bits
    with pytest.raises(ValueError, match="bits has 'stm'; .* Is it 'stem'"):
        checked.layer_bits({"stm": 4}, ["stem", "head"])
    with pytest.raises(ValueError, match="bits has 'stem'; there is no layer"):
        checked.layer_bits(bits, [])
    assert checked.layer_bits({}, []) == {}


def test_batches_come_one_by_one_as_they_are():
    x = torch.zeros(2, 3, 8, 8)
    graph = deployed.deployed(nn.Conv2d(3, 4, 3), x)
    assert list(checked.batches(graph, x))[0] is x
    assert len(list(checked.batches(graph, (x[i : i + 1] for i in range(2))))) == 2
    many = checked.batches(graph, iter([x, (x, "labels")]))
    assert next(many) is x
    with pytest.raises(
        ValueError, match=r"batches\[1\] .*images for images, labels in"
    ):
        next(many)
    for given, words in (
        (3, "batches is 3; it must be a tensor of inputs, or several"),
        ("abc", "batches is 'abc'"),
        ([x.numpy()], r"batches\[0\] is a ndarray"),
        (
            [x.int()],
            r"batches\[0\] is of torch.int32; the model computes in torch.float",
        ),
        (
            [x[0]],
            r"batches\[0\] has shape \(3, 8, 8\); the model takes \(None, 3, 8, 8",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            list(checked.batches(graph, given))


def test_damages_and_sizes_belong_to_the_same_layers():
    damage, sizes = checked.damages({"a": {8: 0, np.int64(4): 1}}, {"a": 10, "b": 3})
    assert damage == {"a": {8: 0.0, 4: 1.0}} and sizes == {"a": 10}
    for given, sizes, words in (
        ({"a": {8: 0.0}}, {}, "sizes does not say how many weights 'a' has"),
        ({"a": {}}, {"a": 1}, r"damage\['a'\] is empty"),
        ({"a": {8: float("nan")}}, {"a": 1}, r"damage\['a'\]\[8\] is nan"),
        ({"a": {8: 0.0}}, {"a": 0}, r"sizes\['a'\] is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            checked.damages(given, sizes)


def test_integers_of_any_kind_and_nothing_else():
    for kind in checked.INTEGERS:
        checked.integer_tensor("x", torch.ones(2, dtype=kind))
    assert checked.integer("zero_point", np.int64(3)) == 3
    assert checked.reals("factor", [0.5, 1]).tolist() == [0.5, 1.0]
    assert checked.nested("x", [[1, 2]], 2) == [[1, 2]]
    assert checked.each("weights", torch.tensor([1, 2]), 2) == [1, 2]
    for call, words in (
        (lambda: checked.integer_tensor("x", torch.ones(2)), "x is .*torch.float32"),
        (lambda: checked.nested("x", [[1, 2.5]], 2), "x is .*lists of integers"),
        (lambda: checked.nested("x", [1, 2], 2), "x is .*array of 2 sides"),
        (lambda: checked.each("weights", [1], 2), "weights has 1 values; .* 2 maps"),
        (lambda: checked.ends(3, 3), "high is 3; .* 4 to"),
        (lambda: checked.observer(nn.ReLU(), "after_x"), "ReLU without observe"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with (
        pytest.raises(ValueError, match="window is 0; it must be a side"),
        checked.refusing("window", 0, "a side"),
    ):
        torch.nn.functional.max_pool2d(torch.ones(1, 1, 4, 4), 0)
