"""One-shot search against hands, stand-alone networks, NumPy and SciPy."""

import collections
import copy
import importlib.util
import itertools
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lib.basics import training
from lib.nas import genotypes, nasnet, one_shot, regrets, search_space, tabular
from lib.nas.search_space import SMALL, Space

TINY = {"cells": 1, "filters": 4, "stem_filters": 4}


def one(text: str) -> search_space.Genotype:
    """Both cells from one text."""
    return search_space.from_text(text)


def some_cells(n: int, seed: int = 0) -> list[search_space.Genotype]:
    rng = random.Random(seed)
    return [search_space.sample(SMALL, rng) for _ in range(n)]


def stirred(net: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms with random scales, shifts and statistics, as if trained."""
    g = torch.Generator().manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low in (
                (part.weight, 0.5), (part.bias, -1), (part.running_mean, -1),
                (part.running_var, 0.5),
            ):  # fmt: skip
                tensor.data.copy_(low + 1.5 * torch.rand(tensor.shape, generator=g))
    return net


def settled(genotype) -> one_shot.Relaxation:
    """Alphas so far apart that softmax gives exactly 0 and 1, on the left pairs."""
    relaxation = one_shot.Relaxation(SMALL)
    for alpha, pairs, block in zip(
        relaxation.alpha, relaxation.pairs, genotype.normal.blocks, strict=True
    ):
        alpha.data[pairs.index(block.left)] = 1e4
    return relaxation


def script(name: str):
    """A module from data/ablations."""
    path = Path(__file__).resolve().parents[1] / "data" / "ablations" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"ablation_{name}", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def made_up_table(more: int = 0) -> tabular.Table:
    """Six cells; the k-th is right in k + 1 of 10, and half of them cost the same."""
    space = Space(1, ("identity", "max3"), cells=("normal",))
    task = tabular.Task(
        space=space, size=8, train=16, validation=10, test=10, filters=2,
        stem_filters=2, epochs=1, batch=8, seeds=2,
    )  # fmt: skip
    rows = [
        {
            "cell": str(cell), "parameters": 10 + k, "macs": 100 if k > 2 else 50,
            "validation": [[k + 1], [k + 1]], "test": [[k + more], [k + more]],
        }
        for k, cell in enumerate(search_space.enumerate_cells(space)[:6])
    ]  # fmt: skip
    return tabular.Table(task, rows)


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.equation("9.1")
def test_regret_by_hand():
    """Two trainings: the cells with 0.25 and 0.5 are tried, the best has 1.0."""
    assert regrets.regret_at([3, 1, 2], [0.25, 1.0, 0.5], 2) == 0.5


# ------------------------------------------------------------------------ the supernet


@pytest.mark.equation("9.2")
def test_a_mixture_by_hand():
    space = Space(1, ("identity", "max3"), cells=("normal",))
    cell = one_shot.SuperCell(space, 1, (1, 1), (1, 1), 1, False).eval()
    cell.current.conv.weight.data.fill_(1.0)
    cell.current.norm.eps = 0.0
    rows = [torch.tensor([r]).reshape(1, 1, 1, 3) for r in ([0.0, 1, 0], [1.0, 5, 2])]
    choice = [[{(0, "identity"): 0.25, (0, "max3"): 0.75}, {(1, "identity"): 1}]]
    current, previous = (one_shot.State([row], [1]) for row in rows)
    (out,), (share,) = one_shot.MixedCell(cell)(current, previous, choice)
    # 1/4 (0 1 0) + 3/4 (1 1 1) + (1 5 2)
    assert out.flatten().tolist() == [1.75, 6.0, 2.75]
    assert share == 1


@pytest.mark.parametrize(
    "fields",
    [
        TINY,
        {"cells": 2, "filters": 4},
        {"cells": 1, "filters": 4, "stem_filters": 8, "eps": 1e-3},
        {"cells": 1, "filters": 8, "stem": "imagenet"},
        {"cells": 1, "filters": 4, "skip_reduction_layer_input": True},
    ],
)
@pytest.mark.equation("9.2")
def test_a_path_is_the_stand_alone_network(fields):
    supernet = stirred(one_shot.Supernet(SMALL, **fields))
    images = torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    for genotype in some_cells(6):
        alone = supernet.inherit(genotype)
        assert type(alone) is nasnet.NASNet
        for mode in (True, False):
            want = copy.deepcopy(alone).train(mode)(images)
            got = copy.deepcopy(supernet).train(mode)(images, genotype)
            assert far(got, want) < 1e-5, (str(genotype), mode)


@pytest.mark.equation("9.2")
def test_a_path_is_the_mixture_in_which_its_pairs_have_the_share_1():
    for fields in (TINY, {"cells": 2, "filters": 4}):
        supernet = stirred(one_shot.Supernet(SMALL, **fields)).eval()
        images = torch.randn(2, 3, 16, 16)
        for genotype in some_cells(8, seed=4):
            with torch.no_grad():
                mixed = supernet(images, one_shot.path(genotype.normal))
                assert torch.equal(supernet(images, genotype), mixed)


def test_a_cell_that_is_neither_genotype_nor_choice_is_refused():
    supernet = one_shot.Supernet(SMALL, **TINY)
    first = one_shot.path(search_space.FOUND.normal)[:1]
    for wrong in ([], first):
        with pytest.raises(ValueError, match="cell is .*; it must be a Genotype, or"):
            supernet(torch.zeros(1, 3, 12, 12), wrong)


def test_weights_are_copied_from_the_chosen_layers_by_hand():
    supernet = stirred(one_shot.Supernet(SMALL, **TINY))
    alone = supernet.inherit(one("identity(0)+sep3(1) | max3(2)+sep3(0) -> 3"))
    mine, its = supernet.cells[1].operations, alone.cells[1].operations
    for j, key in enumerate(("0_0_identity", "0_1_sep3", "1_2_max3", "1_0_sep3")):
        for name, tensor in its[j].state_dict().items():
            assert torch.equal(tensor, mine[key].state_dict()[name])
    # Only block 1 is output: the second of two groups of 4, 8 and 16 channels.
    theirs = supernet.cells[1].current.conv.weight
    assert torch.equal(alone.cells[1].current.conv.weight, theirs[:, 4:])
    assert torch.equal(alone.classifier.weight, supernet.classifier.weight[:, 16:])
    # They are copies: training the one leaves the other alone.
    before = alone.classifier.bias.clone()
    supernet.classifier.bias.data += 1
    assert torch.equal(alone.classifier.bias, before)


def test_swapped_sides_are_one_path_and_equal_sides_count_twice():
    supernet = one_shot.Supernet(SMALL, **TINY)
    images = torch.randn(2, 3, 12, 12)
    a, b = "sep3(0)+identity(1)", "identity(1)+sep3(0)"
    a, b = (one(f"{text} | max3(2)+max3(0)") for text in (a, b))
    with torch.no_grad():
        assert torch.equal(supernet(images, a), supernet(images, b))
    twice = one("sep3(0)+sep3(0) | sep3(2)+sep3(2)")
    alone = supernet.inherit(twice)
    both = alone.cells[0].operations[:2]
    assert torch.equal(both[0].depthwise_1.weight, both[1].depthwise_1.weight)
    with torch.no_grad():
        assert far(supernet(images, twice), alone(images)) < 1e-5


def test_a_space_whose_widths_vary_is_refused():
    for space in (search_space.FULL, Space(1, ("sep3",))):
        with pytest.raises(ValueError, match="a supernet needs combinations"):
            one_shot.Supernet(space)
    with pytest.raises(search_space.GenotypeError, match="this space has"):
        supernet = one_shot.Supernet(SMALL, **TINY)
        supernet(torch.zeros(1, 3, 12, 12), one("sep5(0)+sep3(1) | max3(0)+max3(0)"))


def test_a_path_takes_every_option_equally_often():
    """By hand: 2 * 2 * 3 * 3 paths of one block with three operations, 1/36 each."""
    decisions = search_space.decisions(Space(1, SMALL.operations, cells=("normal",)))
    rng = random.Random(1)
    drawn = [tuple(one_shot.sample_path(decisions, rng)) for _ in range(3600)]
    counts = collections.Counter(drawn)
    assert set(counts) == set(
        itertools.product((0, 1), (0, 1), (0, 1, 2), (0, 1, 2), (0,))
    )
    # Each comes 100 times on average; 50 is five standard deviations away.
    assert 50 < min(counts.values()) <= max(counts.values()) < 150


def test_a_path_is_what_random_search_draws():
    """Of the same chance: so a supernet trained before meets the same cells again."""
    decisions = search_space.decisions(SMALL)
    ours, theirs = random.Random(3), random.Random(3)
    for _ in range(20):
        tokens = one_shot.sample_path(decisions, ours)
        assert search_space.decode(SMALL, tokens) == search_space.sample(SMALL, theirs)


def test_only_the_path_is_trained():
    supernet = one_shot.Supernet(SMALL, **TINY)
    before = copy.deepcopy(supernet.state_dict())
    images = torch.randint(0, 256, (16, 3, 12, 12), dtype=torch.uint8)
    crops = images, torch.arange(16) % 10
    training.fit(
        supernet, crops, one_shot.path_loss(SMALL, seed=5), steps=1, progress=False
    )
    drawn = search_space.sample(SMALL, random.Random(5)).normal
    on_path = {
        f"{k}_{i}_{name}"
        for k, block in enumerate(drawn.blocks)
        for i, name in block[:2]
    }
    moved = set()
    for name, value in supernet.state_dict().items():
        if ".operations." in name and not torch.equal(value, before[name]):
            moved.add(name.split(".")[3])
    assert moved
    assert moved <= on_path
    assert {k for k in on_path if k.endswith("sep3")} <= moved


def test_a_supernet_learns():
    space = Space(1, ("sep3",), cells=("normal",))  # three cells, two layers to share
    task = tabular.Task(train=1024, validation=400, difficulty=0.0)
    train, held_out = tabular.crops(task, "train"), tabular.crops(task, "validation")
    supernet = one_shot.Supernet(space, cells=1, filters=8)
    cells = [one(str(cell)) for cell in search_space.enumerate_cells(space)]

    def mean():
        found = [one_shot.accuracy(supernet, *held_out, cell) for cell in cells]
        return sum(found) / len(found)

    loss_fn, before = one_shot.path_loss(space), mean()
    training.fit(supernet, train, loss_fn, steps=120, batch_size=64, progress=False)
    assert before < 0.25  # ten classes
    assert mean() > before + 0.15


def test_accuracy_uses_the_batch_and_changes_nothing():
    supernet = stirred(one_shot.Supernet(SMALL, **TINY))
    state = copy.deepcopy(supernet.state_dict())
    images = torch.randint(0, 256, (50, 3, 12, 12), dtype=torch.uint8)
    (cell,) = some_cells(1)
    net = supernet.inherit(cell).train()
    with torch.no_grad():
        labels = net(training.normalise(images)).argmax(1)
    assert one_shot.accuracy(supernet, images, labels, cell) == 1.0
    assert one_shot.accuracy(supernet.inherit(cell).eval(), images, labels) == 1.0
    assert training.accuracy(supernet.inherit(cell), images, labels) < 1.0
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, state[name]), name


# ------------------------------------------------------------------------------- DARTS


@pytest.mark.equation("9.3")
def test_shares_by_hand():
    relaxation = one_shot.Relaxation(Space(1, ("identity",), cells=("normal",)))
    relaxation.alpha[0].data.copy_(torch.tensor([0, math.log(3)]))
    (shares,) = relaxation.shares()
    assert torch.allclose(shares, torch.tensor([0.25, 0.75]))
    (colder,) = relaxation.shares(0.5)  # 1 to 3 becomes 1 to 9
    assert torch.allclose(colder, torch.tensor([0.1, 0.9]))
    ((left, right),) = relaxation.choice()
    assert left[0, "identity"].item() == pytest.approx(0.25)
    assert right[1, "identity"].item() == pytest.approx(0.75)


def test_the_discrete_cell_by_hand():
    relaxation = one_shot.Relaxation(SMALL)
    assert [len(pairs) for pairs in relaxation.pairs] == [2 * 3, 3 * 3]
    for block, pair, value in (
        (0, (1, "max3"), 2.0), (0, (0, "sep3"), 1.0), (0, (1, "sep3"), 0.5),
        (1, (2, "identity"), 0.1), (1, (0, "sep3"), 0.2), (1, (2, "sep3"), -3.0),
    ):  # fmt: skip
        relaxation.alpha[block].data[relaxation.pairs[block].index(pair)] = value
    want = one("max3(1)+sep3(0) | sep3(0)+identity(2)")
    assert relaxation.genotype() == want


@pytest.mark.equation("9.4")
def test_output_shares_by_hand():
    third = {(0, "sep3"): 1 / 3, (1, "sep3"): 1 / 3, (2, "sep3"): 1 / 3}
    first = [{(0, "sep3"): 1}, {(1, "sep3"): 1}]
    assert one_shot.output_shares([first, [third, third]]) == pytest.approx([4 / 9, 1])
    for cell in search_space.enumerate_cells(SMALL):
        shares = one_shot.output_shares(one_shot.path(cell))
        kept = tuple(s for s, share in enumerate(shares, start=2) if share)
        assert kept == genotypes.unused(cell.blocks)
        assert set(shares) <= {0, 1}


@pytest.mark.parametrize("fields", [TINY, {"cells": 2, "filters": 4}])
def test_a_settled_mixture_is_its_path(fields):
    supernet = stirred(one_shot.Supernet(SMALL, **fields)).eval()
    images = torch.randn(2, 3, 16, 16)
    first = [(i, name) for i in (0, 1) for name in SMALL.operations]
    second = [*first, *((2, name) for name in SMALL.operations)]
    for a, b in random.Random(0).sample([*itertools.product(first, second)], 12):
        genotype = search_space.Genotype(*[search_space.Cell([(a, a), (b, b)])] * 2)
        with torch.no_grad():
            mixed = supernet(images, settled(genotype).choice())
            assert far(mixed, supernet(images, genotype)) < 1e-5


class Scale(nn.Module):
    """A supernet by hand: class 0 gets w times the left share of (0, identity)."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(2.0))

    def forward(self, images, cell):
        first = self.w * cell[0][0][0, "identity"]
        return torch.stack([first, torch.zeros(())]).expand(len(images), 2)


@pytest.mark.equation("9.5")
def test_one_step_of_alpha_by_hand():
    space = Space(1, ("identity",), cells=("normal",))
    relaxation, model = one_shot.Relaxation(space), Scale()
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    held_out = images, torch.zeros(4, dtype=torch.int64)  # class 0 is right there
    batch = images, torch.ones(4, dtype=torch.int64)  # and wrong in the training batch
    loss, _ = one_shot.darts_loss(relaxation, held_out, lr=0.1)(model, batch)
    # Adam's first step is lr times the sign.
    want = torch.tensor([0.1, -0.1])
    assert torch.allclose(relaxation.alpha[0], want, atol=1e-5)
    # The loss of the weights is that of the training batch, with the new share.
    share = 1 / (1 + math.exp(-0.2))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(2 * share)), rel=1e-5)
    loss.backward()
    slope = share / (1 + math.exp(-2 * share))
    assert model.w.grad.item() == pytest.approx(slope, rel=1e-5)
    assert model.w.item() == 2.0


@pytest.mark.equation("9.5")
def test_the_slope_of_alpha_against_differences():
    supernet = one_shot.Supernet(SMALL, **TINY).double().train()
    relaxation = one_shot.Relaxation(SMALL).double()
    x = torch.randn(8, 3, 8, 8, dtype=torch.float64)
    y = torch.arange(8)

    def loss():
        return nn.functional.cross_entropy(supernet(x, relaxation.choice()), y)

    numbers = list(relaxation.parameters())
    slopes = torch.autograd.grad(loss(), numbers)
    step = 1e-6
    for block, place in ((0, 2), (1, 8), (1, 0)):
        ends = []
        for way in (step, -step):
            numbers[block].data[place] += way
            ends.append(loss().item())
            numbers[block].data[place] -= way
        want = (ends[0] - ends[1]) / (2 * step)
        assert slopes[block][place].item() == pytest.approx(want, rel=1e-3, abs=1e-8)


def test_darts_settles_on_the_better_pair():
    space = Space(1, ("identity",), cells=("normal",))
    relaxation, model = one_shot.Relaxation(space), Scale()
    images = torch.zeros(32, 3, 2, 2, dtype=torch.uint8)
    crops = images, torch.zeros(32, dtype=torch.int64)
    loss_fn = one_shot.darts_loss(relaxation, crops, lr=0.1)
    training.fit(model, crops, loss_fn, steps=60, progress=False)
    assert relaxation.shares()[0][0] > 0.9


def test_darts_runs_on_the_supernet():
    task = tabular.Task(train=128, validation=128)
    relaxation = one_shot.Relaxation(SMALL)
    start = copy.deepcopy(relaxation.state_dict())
    loss_fn = one_shot.darts_loss(relaxation, tabular.crops(task, "validation"), lr=0.1)
    supernet = one_shot.Supernet(SMALL, **TINY)
    training.fit(
        supernet, tabular.crops(task, "train"), loss_fn, steps=2, batch_size=32,
        progress=False,
    )  # fmt: skip
    for name, alpha in relaxation.state_dict().items():
        assert (alpha != start[name]).all(), name
    search_space.validate(SMALL, relaxation.genotype())


# --------------------------------------------------------------------------- proxies


@pytest.mark.equation("9.6")
def test_carried_flow_by_hand():
    """R = 2 * 4 + 3 * 5 = 23, and each of two layers carries all of it; 7 is idle."""
    first = torch.tensor([[2.0, 3.0]], requires_grad=True)
    second = torch.tensor([[4.0], [5.0]], requires_grad=True)
    idle = torch.tensor(7.0, requires_grad=True)
    flow = (first @ second).sum()
    assert one_shot.carried_flow([first, idle, second], flow) == 46
    assert first.grad is None


@pytest.mark.equation("9.6")
def test_synflow_by_hand():
    chain = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(),
        nn.Conv2d(2, 1, 1, bias=False),
    )  # fmt: skip
    chain[0].weight.data = torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1)
    chain[3].weight.data = torch.tensor([-3.0, 4.0]).reshape(1, 2, 1, 1)
    stirred(chain)
    state = copy.deepcopy(chain.state_dict())
    # R = 1 * 3 + 2 * 4 = 11; each of the two layers carries all of it.
    assert one_shot.synflow(chain, (1, 1, 1)) == pytest.approx(22)
    assert all(torch.equal(v, state[k]) for k, v in chain.state_dict().items())
    assert chain.training and all(p.requires_grad for p in chain.parameters())


@pytest.mark.equation("9.6")
def test_synflow_is_the_slope_of_the_flow_when_all_weights_grow():
    # Euler: sum of w dR/dw is the derivative of R(s w) by s, at s = 1.
    net = nasnet.network(one("sep3(0)+max3(1) | identity(2)+sep3(0)"), **TINY)

    def flow(scale):
        twin = copy.deepcopy(net).double()
        for part in twin.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.forward = lambda x: x
        for p in twin.parameters():
            p.data = p.data.abs() * scale
        with torch.no_grad():
            return twin(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().item()

    want = (flow(1 + 1e-6) - flow(1 - 1e-6)) / 2e-6
    assert one_shot.synflow(net, (3, 8, 8)) == pytest.approx(want, rel=1e-6)


@pytest.mark.equation("9.6")
def test_layers_that_reach_no_output_carry_no_flow():
    # Every cell reads h_{i-1} alone, so half of the cells lead nowhere.
    net = nasnet.network(one("sep3(1)+identity(1) | max3(1)+max3(1)"), **TINY)
    whole = one_shot.synflow(net, (3, 8, 8))
    assert whole > 0
    for p in net.cells[3].parameters():  # the last cell reads what cell 2 wrote
        p.data.mul_(2)
    assert one_shot.synflow(net, (3, 8, 8)) == whole


class Two(nn.Module):
    """Its gradient is (1, -1, 0) where the first pixel is bright, else (1, 1, -2)."""

    def forward(self, x):
        a, b, c = x.flatten(1).T
        return torch.where(a > 0, a - b, a + b - 2 * c)[:, None]


@pytest.mark.equation("9.7")
def test_jacobian_covariance_by_hand():
    bright = torch.tensor([[[[255]], [[0]], [[0]]]], dtype=torch.uint8)
    dark = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    k = 1e-5
    # Equal gradients: eigenvalues 2 and 0. Uncorrelated ones: 1 and 1.
    same = -(math.log(2 + k) + 1 / (2 + k) + math.log(k) + 1 / k)
    got = one_shot.jacobian_covariance(Two(), torch.cat([dark, dark]))
    assert got == pytest.approx(same, rel=1e-6)
    got = one_shot.jacobian_covariance(Two(), torch.cat([bright, dark]))
    assert got == pytest.approx(-2 * (math.log(1 + k) + 1 / (1 + k)), rel=1e-9)


@pytest.mark.equation("9.7")
def test_jacobian_covariance_against_numpy():
    net = nasnet.network(one("sep3(0)+max3(1) | identity(2)+sep3(0)"), **TINY)
    state = copy.deepcopy(net.state_dict())
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    x = (images.double() / 127.5 - 1).requires_grad_()
    outputs = copy.deepcopy(net).double().train()(x)
    outputs.backward(torch.ones_like(outputs))
    values, _ = np.linalg.eig(np.corrcoef(x.grad.reshape(6, -1).numpy()))
    want = -np.sum(np.log(values + 1e-5) + 1.0 / (values + 1e-5))
    got = one_shot.jacobian_covariance(net, images)
    assert got == pytest.approx(want.real, rel=1e-5)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


# ---------------------------------------------------------------------- the long runs


def test_transfer_takes_cells_across_the_quantiles_and_peers_of_the_best():
    transfer, table = script("transfer"), made_up_table()
    # Worst, best and the one nearest the middle; peers cost as much as the best.
    picked = transfer.chosen(table, cells=3, peers=2)
    assert [i for group, i in picked if group == "quantile"] == [0, 2, 5]
    assert {i for group, i in picked if group == "random"} == {3, 4}


def test_transfer_goes_on_after_a_kill_and_only_appends(tmp_path):
    transfer, table, path = script("transfer"), made_up_table(), tmp_path / "rows.jsonl"
    plan = {"cells": 2, "peers": 1, "seeds": 1, "rates": (0.02, 0.1)}
    # By hand: three cells, each with two rates to choose from and one seed.
    assert transfer.run(table, path, **plan) == 9
    whole = path.read_bytes()
    assert transfer.run(table, path, **plan) == 0
    assert path.read_bytes() == whole
    torn = whole[:-40]  # as a kill leaves it: the last line is cut
    path.write_bytes(torn)
    assert transfer.run(table, path, **plan) == 1
    assert path.read_bytes().startswith(torn)
    rows = transfer.read(path)
    assert rows == [json.loads(line) for line in whole.splitlines()]
    for row in rows:
        assert row["settings"] | {"task": 0} == {
            "cells": 2, "filters": 4, "stem_filters": 4, "epochs": 2, "task": 0,
        }  # fmt: skip
        assert {"device", "torch", "commit", "test", "validation"} <= set(row)
    # Rows of another table do not count.
    table = made_up_table(more=1)
    assert transfer.run(table, path, **plan) == 9
    assert transfer.run(table, path, **plan) == 0


def test_transfer_takes_the_rate_that_is_best_on_validation(tmp_path, monkeypatch):
    transfer, table, path = script("transfer"), made_up_table(), tmp_path / "rows.jsonl"
    asked = []

    def measure(task, genotype, seed, rate):
        asked.append((seed, rate))
        # The test says the opposite: it must not be asked.
        return {"validation": {0.1: 0.5, 0.2: 0.7, 0.3: 0.7}[rate], "test": 1 - rate}

    monkeypatch.setattr(transfer, "measure", measure)
    plan = {"cells": 1, "peers": 0, "seeds": 2, "rates": (0.1, 0.2, 0.3)}
    monkeypatch.setattr(transfer, "chosen", lambda *_: [("quantile", 0)])
    assert transfer.run(table, path, **plan) == 5
    trial = transfer.TRIAL_SEED
    assert trial not in range(transfer.SEEDS)
    assert asked == [(trial, 0.1), (trial, 0.2), (trial, 0.3), (0, 0.2), (1, 0.2)]


def test_proxies_score_every_cell_once_and_go_on(tmp_path, monkeypatch):
    proxies, table, path = script("proxies"), made_up_table(), tmp_path / "rows.jsonl"
    monkeypatch.setattr(proxies, "STEPS", 2)
    monkeypatch.setattr(proxies, "DARTS_STEPS", 1)
    assert proxies.run(table.task, path, seeds=1) == 4
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert proxies.run(table.task, path, seeds=1) == 1
    assert proxies.run(table.task, path, seeds=1) == 0
    rows = {row["kind"]: row for row in proxies.read(path)}
    assert [row["kind"] for row in proxies.read(path)] == list(proxies.KINDS)
    cells = search_space.enumerate_cells(table.space)
    assert {len(r["scores"]) for r in rows.values() if "scores" in r} == {len(cells)}
    # The order is that of the cells: here for the last one, on its own.
    last = search_space.Genotype(cells[-1], cells[-1])
    alone = one_shot.synflow(tabular.network(table.task, last, 0), (3, 8, 8))
    assert rows["synflow"]["scores"][-1] == pytest.approx(alone)
    search_space.cell_from_text(rows["darts"]["cell"])


def test_transfer_reports_by_hand():
    def row(group, cell, before, after):
        row = {"group": group, "cell": cell, "table_validation": before, "test": after}
        return row | {"kind": "final"}

    transfer = script("transfer")
    rows = [row("quantile", c, b, a) for c, b, a in (
        ("a", 0.1, 0.2), ("b", 0.2, 0.4), ("c", 0.3, 0.3), ("d", 0.4, 0.8),
        ("d", 0.4, 0.6),
    )] + [row("random", "e", 0.2, 0.5)]  # fmt: skip
    said = transfer.report(rows)
    assert "tau of table and larger network: 0.67" in said  # 5 pairs agree, 1 does not
    assert "the best of the table: 0.700" in said
    assert "random, equal multiply-adds: 0.500  e" in said
    # What chose a rate, and rows of before, are no results.
    others = [
        row("quantile", "a", 0.1, 1.0) | {"kind": kind} for kind in ("rate", None)
    ]
    assert transfer.report(rows + others) == said
    assert "too few cells" in transfer.report(rows[:2])
