"""One-shot search: one set of weights for all cells, or no training at all.

A supernet holds the layers of every choice of a space; a cell is a path through it,
scored with weights that it shares. DARTS makes the choice a number that a gradient can
move. Zero-cost proxies judge an untrained network. Kendall's tau judges them all.

Papers: Guo and others, arXiv 1904.00420; Liu and others, DARTS, 1806.09055; Tanaka and
others, 2006.05467; Mellor and others, 2006.04647. Chapter 09.
"""

import collections
import copy
import functools
import itertools
import math
import random
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from scipy import stats
from torch import Tensor, nn

from lib.basics import arguments, training
from lib.nas import nasnet, search_space
from lib.nas.cells import ConvNorm, FactorizedReduction, operation, reads_raw

Share = int | float | Tensor
# For each block and side: the share of every pair (input, operation) that takes part.
Choice = list[list[dict[tuple[int, str], Share]]]


class State(NamedTuple):
    """What a cell hands on: a tensor for each block, and how much of each is output."""

    tensors: list[Tensor]  # each B F H W
    shares: list[Share]  # 0 or 1 on a path

    def joined(self) -> Tensor:
        """All tensors in one; what is not output is zero, and keeps its channels."""
        blocks = zip(self.tensors, self.shares, strict=True)
        return torch.cat([share * x for x, share in blocks], dim=1)  # B blocks*F H W


class SuperCell(nn.Module):
    """All cells of a space in one: layers for each block, input and operation.

    A cell is a path through them: it takes two of the sets of layers of each block.
    `current` and `previous` say how many tensors the two inputs have, and the channels
    of each. What is calibrated, and when, is as in `cells.NASNetCell`.
    """

    def __init__(self, space, filters, current, previous, stride, halve):
        super().__init__()
        self.current = ConvNorm(math.prod(current), filters)
        self.previous = None
        self.fitting = None  # with so many output tensors h_{i-1} has F channels
        if previous is not None:
            tensors, channels = previous
            calibrate = FactorizedReduction if halve else ConvNorm
            self.previous = calibrate(tensors * channels, filters)
            if not halve and filters % channels == 0:
                self.fitting = filters // channels
        widths = [filters, filters if previous else math.prod(current)]
        self.operations = nn.ModuleDict()
        for k in range(space.blocks):
            for state, name in itertools.product(range(k + 2), space.operations):
                step = stride if state < 2 else 1
                layers = operation(name, widths[state], filters, step)
                self.operations[f"{k}_{state}_{name}"] = layers
            widths.append(filters)

    def forward(
        self, current: State, previous: State | None, cell: search_space.Cell
    ) -> State:
        states = [self.current(F.relu(current.joined()))]  # B F H W
        states.append(self.before(current, previous))  # B F H W
        for k, (left, right, _) in enumerate(cell.blocks):
            state = 0
            # A pair on both sides is computed once, and counts twice.
            for pair, times in collections.Counter([left, right]).items():
                state = state + times * self.branch(k, pair, states)  # B F H' W'
            states.append(state)  # Eq. 9.2
        written = range(2, len(states))
        output = [int(state in cell.output) for state in written]
        return State(states[2:], output)

    def branch(self, k: int, pair: tuple[int, str], states: list[Tensor]) -> Tensor:
        """One pair of block k: its own layers, on the state that it reads."""
        state, name = pair
        layers = self.operations[f"{k}_{state}_{name}"]
        x = states[state]
        if not reads_raw(name, layers):
            x = F.relu(x)
        return layers(x)  # B F H' W'

    def before(self, current: State, previous: State | None) -> Tensor:
        """State 1: h_{i-1} as it is where it has F channels, else calibrated."""
        if previous is None:
            return current.joined()
        output = [x for x, share in zip(*previous, strict=True) if share]
        if len(output) == self.fitting:
            return torch.cat(output, dim=1)  # B F H W
        return self.previous(F.relu(previous.joined()))  # B F H W


def path(cell: search_space.Cell) -> Choice:
    """A cell as a choice: one pair on each side of each block, with share 1.

    >>> path(search_space.cell_from_text("identity(0)+max3(1)"))
    [[{(0, 'identity'): 1}, {(1, 'max3'): 1}]]
    """
    arguments.instance("cell", cell, search_space.Cell)
    return [[{tuple(pair): 1} for pair in block[:2]] for block in cell.blocks]


def mixed_operation(shares: Iterable[Share], outputs: Iterable[Tensor]) -> Tensor:
    """The relaxed operation: what every pair gives, weighted by its share. Eq. 9.2

    A quarter of "leave it alone", three quarters of the maximum over neighbours:

    >>> leave, pool = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 1, 1])
    >>> mixed_operation([0.25, 0.75], [leave, pool])
    tensor([0.7500, 1.0000, 0.7500])
    """
    total = 0
    for share, output in zip(shares, outputs, strict=True):
        total = total + share * output
    return total


def output_shares(choice: Choice) -> list[Share]:
    """For each block, the probability that no side of a later block reads it."""
    shares = []
    for state in range(2, len(choice) + 2):
        unread = []  # for each later side, the probability that it does not read it
        for block in choice[state - 1 :]:
            for side in block:
                read = sum(share for (i, _), share in side.items() if i == state)
                unread.append(1 - read)
        shares.append(math.prod(unread))  # Eq. 9.4
    return shares


class MixedCell:
    """A `SuperCell` in which a side takes a share of every pair: DARTS. No weights.

    What is output, and whether h_{i-1} has F channels, depends on the pairs chosen. So
    both are mixed too, each way by its probability.
    """

    def __init__(self, layers: SuperCell):
        self.layers = layers

    def __call__(self, current: State, previous: State | None, choice: Choice) -> State:
        states = [self.layers.current(F.relu(current.joined()))]  # B F H W
        states.append(self.before(current, previous))  # B F H W
        for k, (left, right) in enumerate(choice):
            pairs = left | right  # what both sides choose is computed once
            shares = [left.get(pair, 0) + right.get(pair, 0) for pair in pairs]
            outputs = (self.layers.branch(k, pair, states) for pair in pairs)
            states.append(mixed_operation(shares, outputs))  # B F H' W'
        return State(states[2:], output_shares(choice))

    def before(self, current: State, previous: State | None) -> Tensor:
        """State 1, both ways: as it is with the probability that it fits."""
        if previous is None:
            return current.joined()
        tensors, shares = previous
        fits, raw = 0, 0
        size = self.layers.fitting or len(tensors) + 1  # one too many: never
        for chosen in itertools.combinations(range(len(tensors)), size):
            chances = [u if k in chosen else 1 - u for k, u in enumerate(shares)]
            chance = math.prod(chances)  # that just these are output
            fits = fits + chance
            raw = raw + chance * torch.cat([tensors[k] for k in chosen], dim=1)
        calibrated = self.layers.previous(F.relu(previous.joined()))  # B F H W
        return raw + (1 - fits) * calibrated


class Supernet(nn.Module):
    """Every network of a space in one: `forward(images B 3 H W, cell) -> logits B K`.

    `cell` is a genotype or a choice. Cells that make the same choice share its layers.
    `fields`: of `nasnet.Config`. ValueError unless one cell is searched and blocks add.
    """

    def __init__(self, space, *, num_classes: int = 10, seed: int = 0, **fields):
        super().__init__()
        arguments.instance("space", space, search_space.Space)
        seed = arguments.seed(seed)
        if (space.combinations, space.cells) != (("add",), ("normal",)):
            needs = "a supernet needs combinations ('add',) and cells ('normal',)"
            raise ValueError(f"space is {space}: {needs}")
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
            torch.manual_seed(seed)
            genotype = search_space.sample(space, random.Random(seed))
            outline = nasnet.network(genotype, num_classes=num_classes, **fields)
            self.space, self.config = space, outline.config
            self.stem, self.slots = outline.stem, outline.slots
            self.cells = nn.ModuleList()
            sizes = [(1, self.stem[0].out_channels)]  # of each state: tensors, channels
            for i, slot in enumerate(self.slots):
                before = None if slot.previous is None else sizes[slot.previous]
                between = self.slots[slot.previous or 0 : i]
                halve = any(s.kind == "reduction" for s in between)
                stride = 2 if slot.kind == "reduction" else 1
                cell = SuperCell(space, slot.filters, sizes[i], before, stride, halve)
                self.cells.append(cell)
                sizes.append((space.blocks, slot.filters))
            self.classifier = nn.Linear(math.prod(sizes[-1]), num_classes)
            nasnet.prepare(self, self.config)
            for module in self.modules():  # but first weights as torch has them
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()

    def forward(self, images: Tensor, cell: search_space.Genotype | Choice) -> Tensor:
        one_path = isinstance(cell, search_space.Genotype)
        if one_path:
            search_space.validate(self.space, cell)
            cell = cell.normal
        elif not isinstance(cell, list) or len(cell) != self.space.blocks:
            wanted = f"a Genotype, or a choice for {self.space.blocks} blocks"
            raise arguments.refuse("cell", cell, wanted)
        states = [State([self.stem(images)], [1])]  # B C H W
        for i, (slot, layers) in enumerate(zip(self.slots, self.cells, strict=True)):
            previous = None if slot.previous is None else states[slot.previous]
            run = layers if one_path else MixedCell(layers)
            states.append(run(states[i], previous, cell))  # half the sides at times
        features = F.relu(states[-1].joined()).mean((2, 3))  # B blocks*F
        return self.classifier(features)  # B K

    def inherit(self, genotype: search_space.Genotype) -> nasnet.NASNet:
        """The stand-alone network of a cell, with copies of the weights of its path."""
        search_space.validate(self.space, genotype)
        net = nasnet.NASNet(genotype, self.config, self.classifier.out_features)
        # Channels of each state that the stand-alone cell has too; the stem's: all.
        blocks = torch.tensor(genotype.normal.output)[:, None] - 2
        outputs = [blocks * s.filters + torch.arange(s.filters) for s in self.slots]
        outputs = [torch.arange(0), *map(torch.flatten, outputs)]
        _copy(net.stem, self.stem)
        _copy(net.classifier, self.classifier, outputs[-1])
        for i, (mine, its) in enumerate(zip(self.cells, net.cells, strict=True)):
            if its.current is not None:
                _copy(its.current, mine.current, outputs[i])
            if its.previous is not None:
                _copy(its.previous, mine.previous, outputs[self.slots[i].previous])
            for j, layers in enumerate(its.operations):
                state, name = its.cell.blocks[j // 2][j % 2]
                _copy(layers, mine.operations[f"{j // 2}_{state}_{name}"])
        return net


def _copy(to: nn.Module, source: nn.Module, channels: Tensor | None = None) -> None:
    """Weights and statistics; where `to` reads fewer channels, those of `channels`."""
    mine = to.state_dict()
    for name, value in source.state_dict().items():
        fits = value.shape == mine[name].shape
        mine[name].copy_(value if fits else value[:, channels.to(value.device)])


def path_loss(space: search_space.Space, seed: int = 0):
    """A `loss_fn` for `training.fit`: each step trains one path, its tokens uniform."""
    arguments.instance("space", space, search_space.Space)
    rng = random.Random(arguments.seed(seed))
    plain_loss = training.classification_loss()

    def loss_fn(model, batch):
        cell = search_space.sample(space, rng)
        one_path = functools.partial(model, cell=cell)
        return plain_loss(one_path, batch)

    return loss_fn


@torch.no_grad()
def accuracy(model, images: UInt8[Tensor, "N 3 H W"], labels, *cell) -> float:
    """Share of right answers, batch norms by these images; `cell` is for a supernet."""
    arguments.instance("model", model, nn.Module)
    arguments.tensor("images", images, "N C H W")
    arguments.tensor("labels", labels, "N")
    # In training mode: the running averages of a supernet mix all paths and fit none.
    twin = copy.deepcopy(model).train()
    logits = twin(training.normalise(images), *cell)  # N K
    return (logits.argmax(1) == labels).float().mean().item()


class Relaxation(nn.Module):
    """DARTS: a number alpha for each pair of each block; softmax makes shares of them.

    Both sides of a block draw from the same shares. (In the paper a block has no sides:
    it adds up all earlier states, with a softmax over the operations on each.)
    """

    def __init__(self, space: search_space.Space):
        super().__init__()
        arguments.instance("space", space, search_space.Space)
        self.pairs = []
        for k in range(space.blocks):
            pairs = itertools.product(range(k + 2), space.operations)
            self.pairs.append(list(pairs))
        # At first all alpha are 0: every pair of a block has the same share.
        alpha = [torch.zeros(len(pairs)) for pairs in self.pairs]
        self.alpha = nn.ParameterList(alpha)

    def shares(self, temperature: float = 1.0) -> list[Tensor]:
        """For each block softmax(alpha / temperature), in the order of its `pairs`."""
        temperature = arguments.real_number("temperature", temperature, above=0)
        rows = []
        for alpha in self.alpha:
            rows.append(torch.softmax(alpha / temperature, dim=0))  # Eq. 9.3
        return rows

    def choice(self, temperature: float = 1.0) -> Choice:
        """What a supernet takes: on both sides every pair, weighted by its share."""
        blocks = []
        for pairs, row in zip(self.pairs, self.shares(temperature), strict=True):
            side = dict(zip(pairs, row, strict=True))
            blocks.append([side, side])
        return blocks

    def genotype(self) -> search_space.Genotype:
        """The discrete cell: each block keeps its two strongest pairs, as in the paper.

        So a block with the same pair on both sides never comes out.
        """
        blocks = []
        for pairs, alpha in zip(self.pairs, self.alpha, strict=True):
            first, second = alpha.topk(2).indices
            blocks.append((pairs[first], pairs[second]))
        cell = search_space.Cell(blocks)
        return search_space.Genotype(cell, cell)


def darts_loss(relaxation: Relaxation, held_out, lr: float, seed: int = 0):
    """A `loss_fn` for `training.fit` that moves alpha too: DARTS, first order.

    Before each step of the weights, alpha takes one down the loss on a batch of
    `held_out` (images, labels). As published: Adam, betas (0.5, 0.999), weight decay
    1e-3; there `lr` is 3e-4, for some 20,000 steps.
    """
    arguments.instance("relaxation", relaxation, Relaxation)
    images, labels = arguments.labelled("held_out", held_out)
    lr = arguments.real_number("lr", lr, above=0)
    rng = random.Random(arguments.seed(seed))
    alpha = list(relaxation.parameters())
    adam = torch.optim.Adam(alpha, lr, betas=(0.5, 0.999), weight_decay=1e-3)
    plain_loss = training.classification_loss()

    def loss_fn(model, batch):
        rows = rng.sample(range(len(labels)), len(batch[1]))
        mixture = functools.partial(model, cell=relaxation.choice())
        loss, _ = plain_loss(mixture, (images[rows], labels[rows]))
        slopes = torch.autograd.grad(loss, alpha)  # of alpha alone, not of the weights
        for row, slope in zip(alpha, slopes, strict=True):
            row.grad = slope
        adam.step()  # Eq. 9.5, first half

        with torch.no_grad():  # now it is the weights' turn, and alpha stands still
            moved = relaxation.choice()
        mixture = functools.partial(model, cell=moved)
        return plain_loss(mixture, batch)

    return loss_fn


def synflow(model: nn.Module, shape: tuple[int, ...] = (3, 16, 16)) -> float:
    """Synaptic flow: the sum of |theta| dR/d|theta|, without any data.

    R: the sum of the outputs for an input of ones, weights made positive, batch norms
    the identity. All on a copy, in doubles, so signs and statistics stay as they are.

    Two weights in a row, -3 and 2: R = 3 * 2, and each carries all of it.

    >>> chain = nn.Sequential(*[nn.Conv2d(1, 1, 1, bias=False) for _ in range(2)])
    >>> for layer, weight in zip(chain, (-3.0, 2.0)):
    ...     _ = nn.init.constant_(layer.weight, weight)
    >>> synflow(chain, (1, 1, 1))
    12.0
    """
    arguments.instance("model", model, nn.Module)
    shape = arguments.whole_numbers("shape", shape, least=1)
    model = copy.deepcopy(model).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # mean 0, variance 1, scale 1, shift 0
            module.requires_grad_(False).eps = 0.0
    weights = [p for p in model.parameters() if p.requires_grad]
    for weight in weights:
        weight.data.abs_()
    ones = torch.ones(1, *shape, dtype=torch.float64)
    flow = model(ones).sum()  # R
    slopes = torch.autograd.grad(flow, weights, allow_unused=True)
    total = 0
    for weight, slope in zip(weights, slopes, strict=True):
        if slope is not None:  # some weights reach no output
            total += (weight * slope).sum().item()  # Eq. 9.6
    return total


def jacobian_covariance(
    model, images: UInt8[Tensor, "N 3 H W"], k: float = 1e-5
) -> float:
    """How differently an untrained network reacts to different images.

    Row n: the gradient of the sum of all outputs by image n. The eigenvalues are those
    of the rows' correlations; k keeps 1 / 0 away. As in arXiv 2006.04647v1; batch norms
    use the batch.
    """
    arguments.instance("model", model, nn.Module)
    arguments.tensor("images", images, "N C H W")
    k = arguments.real_number("k", k, above=0)
    x = training.normalise(images).double()  # N 3 H W
    x.requires_grad_()
    twin = copy.deepcopy(model).double().train()
    logits = twin(x)  # N K
    (rows,) = torch.autograd.grad(logits.sum(), x)  # N 3 H W
    correlations = torch.corrcoef(rows.flatten(1))  # N N
    eigenvalues = torch.linalg.eigvalsh(correlations)  # N
    eigenvalues = eigenvalues.clamp(min=0) + k  # rounding may push a 0 below
    score = -(eigenvalues.log() + 1 / eigenvalues).sum()  # Eq. 9.7
    return score.item()


def agreement(scores, truth, resamples: int = 1000, seed: int = 0):
    """Kendall's tau-b of two lists over the same cells, and its 95 % interval.

    Returns (tau, low, high); the percentile bootstrap draws cells. ValueError for lists
    that do not fit, or a number that is not finite.

    Of six pairs one stands in the other order: (5 - 1) / 6.

    >>> tau, low, high = agreement([1, 3, 2, 4], [1, 2, 3, 4])
    >>> round(tau, 3)
    0.667
    """
    a = arguments.real_array("scores", scores, 1)
    b = arguments.real_array("truth", truth, 1)
    if a.shape != b.shape or len(a) < 3:
        raise ValueError(
            f"scores and truth are {len(a)} and {len(b)} numbers; as many are needed,"
            " 3 or more"
        )
    arguments.whole_number("resamples", resamples, 1, 10**6)
    rng = np.random.default_rng(arguments.seed(seed, least=0))
    taus = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(a), len(a))  # cells, with replacement
        taus.append(stats.kendalltau(a[drawn], b[drawn]).statistic)
    low, high = np.nanpercentile(taus, (2.5, 97.5))  # NaN: one cell, drawn throughout
    tau = stats.kendalltau(a, b).statistic  # Eq. 9.1
    return float(tau), float(low), float(high)
