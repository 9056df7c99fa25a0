"""Networks side by side: each learns what it learns alone, and only that."""

import dataclasses

import pytest
import torch

from lib.basics import training
from lib.basics.checkpoints import NonFiniteLoss
from lib.nas import genotypes, nasnet, replicas, search_space, tabular

SEEDS = [3, 1, 2]
TASK = tabular.Task(
    size=9, train=16, validation=20, test=10, filters=4, stem_filters=4, epochs=2,
    batch=8,
)  # fmt: skip
SMALL = [
    "identity(0)+max3(1) | sep3(0)+sep3(1) -> 2 3",
    "max3(0)+identity(1) | sep3(2)+identity(0) -> 3",
]


def in_doubles(images):
    """`training.normalise` in doubles: float noise cannot grow in a few steps."""
    return images.double() / 127.5 - 1


def loss_fn(model, batch):
    images, labels = batch
    return training.cross_entropy(model(in_doubles(images)), labels), {}


def insist_on_equal_states(texts_or_genotype, monkeypatch, size=9):
    """Three networks alone and side by side: equal weights and statistics."""
    genotype = texts_or_genotype
    if isinstance(genotype, str):
        genotype = search_space.from_text(genotype)
    task = dataclasses.replace(TASK, size=size)
    alone = [tabular.network(task, genotype, seed).double() for seed in SEEDS]
    model = replicas.side_by_side(alone)
    crops = tabular.crops(task, "train")
    how = {"epochs": 2, "batch_size": 8, "lr": 0.1}
    monkeypatch.setattr(training, "normalise", in_doubles)
    replicas.train(model, crops, SEEDS, **how)
    parts = replicas.parted(model, len(SEEDS))
    for one, seed, part in zip(alone, SEEDS, parts, strict=True):
        training.fit(one, crops, loss_fn, seed=seed, every=10**9, progress=False, **how)
        torch.testing.assert_close(part, dict(one.state_dict()), rtol=1e-6, atol=1e-8)
    return model, alone


@pytest.mark.parametrize("text", SMALL)
def test_each_learns_what_it_learns_alone(text, monkeypatch):
    insist_on_equal_states(text, monkeypatch, size=8)
    model, alone = insist_on_equal_states(text, monkeypatch)
    images, labels = tabular.crops(TASK, "validation")
    counts = [round(20 * training.accuracy(one, images, labels)) for one in alone]
    assert replicas.right(model, images, labels, 3) == counts


@pytest.mark.parametrize("name", genotypes.OPERATIONS)
def test_so_does_every_operation(name, monkeypatch):
    """In normal and reduction cells, on sides that are odd."""
    cell = f"{name}(0)+{name}(1) | identity(2)+{name}(0) -> 3"
    insist_on_equal_states(cell, monkeypatch)


def test_what_is_joined_comes_replica_after_replica():
    """By hand: two maps of two channels, replicas a and b."""
    joined = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8]).view(1, 8, 1, 1)
    by_hand = [1, 2, 5, 6, 3, 4, 7, 8]  # a: first, second map; then b
    assert replicas.regrouped(joined, 2, 2).flatten().tolist() == by_hand


def test_every_other_pixel_is_that_of_a_slice():
    x = torch.arange(35.0).view(1, 1, 5, 7)
    assert torch.equal(replicas.every_other(x), x[..., ::2, ::2])
    assert torch.equal(replicas.every_other(x, 1), x[..., 1::2, 1::2])


def test_the_networks_stay_as_they_are():
    genotype = search_space.from_text(SMALL[0])
    alone = [tabular.network(TASK, genotype, seed) for seed in SEEDS]
    before = [{k: v.clone() for k, v in one.state_dict().items()} for one in alone]
    model = replicas.side_by_side(alone)
    replicas.train(
        model, tabular.crops(TASK, "train"), SEEDS, epochs=1, batch_size=8, lr=0.1
    )
    for one, state in zip(alone, before, strict=True):
        torch.testing.assert_close(dict(one.state_dict()), state, rtol=0, atol=0)
    again = replicas.side_by_side(alone)
    parts = replicas.parted(again, 3)
    torch.testing.assert_close(parts, before, rtol=0, atol=0)


def test_what_has_no_twin_is_refused():
    genotype = search_space.from_text(SMALL[0])
    one = nasnet.network(genotype, cells=1, filters=4, image_size=32)
    wide = nasnet.network(genotype, cells=1, filters=8, image_size=32)
    aux = nasnet.network(genotype, cells=1, filters=4, image_size=32, auxiliary=True)
    dropping = nasnet.network(
        genotype, cells=1, filters=4, image_size=32, drop_path_keep=0.9
    )
    joining = search_space.from_text("identity(0)&identity(1) -> 2")
    joining = nasnet.network(joining, cells=1, filters=4, image_size=32)
    for models, message in (
        ([one, wide], "one genotype"), ([aux, aux], "auxiliary"), ([], "models"),
        ([dropping], "drop path"), ([joining], "adds"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            replicas.side_by_side(models)


def test_a_loss_that_is_not_finite_is_told():
    genotype = search_space.from_text(SMALL[0])
    model = replicas.side_by_side([tabular.network(TASK, genotype, 0)])
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    crops = tabular.crops(TASK, "train")
    with pytest.raises(NonFiniteLoss):
        replicas.train(model, crops, [0], epochs=1, batch_size=8, lr=0.1)
