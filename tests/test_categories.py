"""What outputs mean: against COCO's list, by hand, and where two sides disagree."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from lib.detection import categories, detectors, efficientdet
from lib.detection.categories import Category

# Ids that COCO's 80 categories leave out, from the label map of its authors.
GAPS = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
PETS = categories.numbered(["cat", "dog"])


def data(ids, names=None):
    return SimpleNamespace(category_ids=ids, names=names)


def test_coco_has_80_names_at_90_outputs():
    assert len(categories.COCO) == 90
    assert [i for i, each in enumerate(categories.COCO, 1) if each is None] == GAPS
    by_hand = {1: "person", 13: "stop sign", 18: "dog", 90: "toothbrush"}
    for identity, name in by_hand.items():
        assert categories.COCO[identity - 1] == (identity, name)


def test_an_official_detector_finds_the_ids_of_coco():
    config = efficientdet.Config(categories=categories.COCO)
    ids = [i for i in range(1, 91) if i not in GAPS]
    names = [categories.COCO[i - 1].name for i in ids]
    found = categories.ids_of_outputs(config, data(ids, names))
    assert found == [None if i in GAPS else i for i in range(1, 91)]


def test_names_decide_and_not_the_order():
    """Three outputs; the data has two of them, the other way round, under ids 7, 9."""
    three = categories.numbered(["cat", "dog", "cow"])
    config = SimpleNamespace(num_classes=3, categories=three)
    assert categories.ids_of_outputs(config, data((7, 9), ("cow", "Cat"))) == [
        9, None, 7
    ]  # fmt: skip


def test_names_that_repeat_are_told_apart_by_id():
    twins = Category(1, "cell"), Category(2, "cell")
    config = SimpleNamespace(num_classes=2, categories=twins)
    assert categories.ids_of_outputs(config, data((1, 2), ("cell", "cell"))) == [1, 2]
    with pytest.raises(ValueError, match="1 cell, 3 cell"):
        categories.ids_of_outputs(config, data((1, 3), ("cell", "cell")))


def test_without_names_the_ids_are_compared():
    config = SimpleNamespace(num_classes=2, categories=PETS)
    assert categories.ids_of_outputs(config, data((2, 1))) == [1, 2]
    assert categories.ids_of_outputs(config, SimpleNamespace()) == [1, 2]


def test_outputs_without_a_meaning_go_by_order_if_there_are_as_many():
    config = SimpleNamespace(num_classes=2)
    assert categories.ids_of_outputs(config, data((4, 8), ("a", "b"))) == [4, 8]
    with pytest.raises(ValueError, match=r"has 2 outputs.*3 categories \(4 a, 8 b, 9"):
        categories.ids_of_outputs(config, data((4, 8, 9), ("a", "b", "c")))


def test_what_a_detector_does_not_know_is_refused_with_both_lists():
    config = SimpleNamespace(num_classes=2, categories=PETS)
    with pytest.raises(ValueError, match=r"1 cat, 2 dog.*1 cat, 2 cow.*know \['cow'\]"):
        categories.ids_of_outputs(config, data((1, 2), ("cat", "cow")))


def test_two_datasets_must_have_the_same_ids_and_names():
    pets = data((1, 2), ("cat", "dog"))
    categories.insist_same(pets, data([1, 2], ["cat", "dog"]), ("a", "b"))
    for other in (data((1, 2), ("dog", "cat")), data((1, 3), ("cat", "dog"))):
        with pytest.raises(ValueError, match=r"train.json has .*1 cat.* and val.json"):
            categories.insist_same(pets, other, ("train.json", "val.json"))


def test_a_long_list_is_cut():
    assert len(categories.listed(categories.COCO)) < 340
    assert categories.listed(categories.COCO).startswith("80 categories (1 person")


def test_a_configuration_has_one_category_for_each_output():
    with pytest.raises(ValueError, match=r"1 cat, 2 dog\) for 90 outputs"):
        efficientdet.Config(categories=PETS)
    config = efficientdet.Config(num_classes=2, categories=PETS)
    with pytest.raises(ValueError, match="for 3 outputs"):
        dataclasses.replace(config, num_classes=3)


def test_detectors_carry_their_categories():
    digits = detectors.shipped("plain").config.categories
    assert digits[0] == (1, "0") and digits[9] == (10, "9")
    assert detectors.shipped("plain", weights="backbone").config.categories == ()
    with torch.device("meta"):
        network = efficientdet.efficientdet("lite0")
    assert network.config.categories == ()
    names = efficientdet.official_names(network).values()
    tensors = network.state_dict().values()
    state = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in zip(names, tensors, strict=True)
    }
    network = efficientdet.efficientdet("lite0")
    assert efficientdet.load_official(network, state) is network
    assert network.config.categories == categories.COCO
