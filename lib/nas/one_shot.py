"""One-shot search: one set of weights for all cells, or no training at all.

A supernet holds the layers of every choice of a space; a cell is a path through it,
scored with weights that it shares. DARTS makes the choice a number that a gradient can
move. Zero-cost proxies judge an untrained network. Kendall's tau judges them all.

Papers: Guo and others, arXiv 1904.00420; Liu and others, DARTS, 1806.09055; Tanaka and
others, 2006.05467; Mellor and others, 2006.04647. Chapter 09.
"""

import copy
import functools
import itertools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from scipy import stats
from torch import Tensor, nn

from lib.basics import training
from lib.nas import nasnet, search_space
from lib.nas.cells import ConvNorm, FactorizedReduction, operation

# For each block and side: the weight of every pair (input, operation) that takes part.
Choice = list[list[dict[tuple[int, str], int | float | Tensor]]]
# What a cell hands on: a tensor for each block, and the share of each that is output.
State = tuple[list[Tensor], list[int | float | Tensor]]


def path(cell: search_space.Cell) -> Choice:
    """A cell as a choice: one pair on each side of each block, with weight 1."""
    return [[{pair: 1} for pair in block[:2]] for block in cell.blocks]


def output_shares(choice: Choice) -> list[int | float | Tensor]:
    """For each block, the probability that no side of a later block reads it."""
    shares = []
    for state in range(2, len(choice) + 2):
        later = [side for block in choice[state - 1 :] for side in block]
        read = [sum(w for (i, _), w in side.items() if i == state) for side in later]
        shares.append(math.prod(1 - r for r in read))  # Eq. 9.4
    return shares


def _joined(state: State) -> Tensor:
    """All tensors in one; what is not output is zero, and keeps its channels."""
    return torch.cat([share * x for x, share in zip(*state, strict=True)], 1)


class SuperCell(nn.Module):
    """All cells of a space: layers for each block, input and operation.

    `current`, `previous`: (tensors, channels of each). The rules are `cells.Cell`'s.
    """

    def __init__(self, space, filters, current, previous, stride, halve):
        super().__init__()
        self.current = ConvNorm(math.prod(current), filters)
        self.previous, self.fitting = None, 0
        if previous is not None:
            make = FactorizedReduction if halve else ConvNorm
            self.previous = make(math.prod(previous), filters)
            # With so many tensors h_{i-1} is taken as it is; one too many: never.
            fits = not halve and filters % previous[1] == 0
            self.fitting = filters // previous[1] if fits else previous[0] + 1
        widths = [filters, math.prod(current) if previous is None else filters]
        self.operations = nn.ModuleDict()
        for k in range(space.blocks):
            for i, name in itertools.product(range(k + 2), space.operations):
                layers = operation(name, widths[i], filters, stride if i < 2 else 1)
                self.operations[f"{k}_{i}_{name}"] = layers
            widths.append(filters)

    def forward(self, current: State, previous: State | None, choice: Choice) -> State:
        states = [self.current(F.relu(_joined(current)))]
        states += [self._before(current, previous)]
        for k, block in enumerate(choice):
            left, right = block
            states.append(0)
            for i, name in left | right:  # what both sides choose is computed once
                weight = left.get((i, name), 0) + right.get((i, name), 0)
                layers = self.operations[f"{k}_{i}_{name}"]
                raw = name[:3] in ("avg", "max") or type(layers) is nn.Identity
                x = states[i] if raw else F.relu(states[i])
                states[-1] = states[-1] + weight * layers(x)  # Eq. 9.2
        return states[2:], output_shares(choice)

    def _before(self, current: State, previous: State | None) -> Tensor:
        """State 1: h_{i-1} as it is where it has F channels, else calibrated.

        How many it has depends on the outputs chosen: both ways, by probability.
        """
        if previous is None:
            return _joined(current)
        (tensors, shares), whole, raw = previous, 0, 0
        for chosen in itertools.combinations(range(len(tensors)), self.fitting):
            share = math.prod(u if k in chosen else 1 - u for k, u in enumerate(shares))
            whole = whole + share
            raw = raw + share * torch.cat([tensors[k] for k in chosen], 1)
        if type(whole) is int and whole == 1:  # a path, and it fits
            return raw
        return raw + (1 - whole) * self.previous(F.relu(_joined(previous)))


class Supernet(nn.Module):
    """Every network of a space in one: `forward(images B 3 H W, cell) -> logits B K`.

    `cell` is a genotype or a choice. Cells that make the same choice share its layers.
    `fields`: of `nasnet.Config`. ValueError unless one cell is searched and blocks add.
    """

    def __init__(self, space, *, num_classes: int = 10, seed: int = 0, **fields):
        super().__init__()
        if (space.combinations, space.cells) != (("add",), ("normal",)):
            needs = "a supernet needs combinations ('add',) and cells ('normal',)"
            raise ValueError(f"{space}: {needs}")
        self.space, self.config = space, nasnet.Config(**fields)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
            torch.manual_seed(seed)
            cell = search_space.sample(space, random.Random(seed))
            outline = nasnet.Network(cell, self.config, num_classes)
            self.stem, self.slots = outline.stem, outline.slots
            sizes, self.cells = [(1, self.stem[0].out_channels)], nn.ModuleList()
            for i, slot in enumerate(self.slots):
                before = None if slot.previous is None else sizes[slot.previous]
                between = self.slots[slot.previous or 0 : i]
                halve = any(s.kind == "reduction" for s in between)
                stride = 2 if slot.kind == "reduction" else 1
                cell = SuperCell(space, slot.filters, sizes[i], before, stride, halve)
                self.cells.append(cell)
                sizes.append((space.blocks, slot.filters))
            self.classifier = nn.Linear(math.prod(sizes[-1]), num_classes)
            nasnet.Network.prepare(self)  # norms and pools; first weights: torch's own
            self.apply(lambda m: isinstance(m, nn.Conv2d) and m.reset_parameters())

    def forward(self, images: Tensor, cell: search_space.Genotype | Choice) -> Tensor:
        if isinstance(cell, search_space.Genotype):
            search_space.validate(self.space, cell)
            cell = path(cell.normal)
        states: list[State] = [([self.stem(images)], [1])]
        for i, (slot, layers) in enumerate(zip(self.slots, self.cells, strict=True)):
            before = None if slot.previous is None else states[slot.previous]
            states.append(layers(states[i], before, cell))
        return self.classifier(F.relu(_joined(states[-1])).mean((2, 3)))

    def inherit(self, genotype: search_space.Genotype) -> nasnet.Network:
        """The stand-alone network of a cell, with copies of the weights of its path."""
        search_space.validate(self.space, genotype)
        net = nasnet.Network(genotype, self.config, self.classifier.out_features)
        blocks = torch.tensor(genotype.normal.output)[:, None] - 2
        outputs = [blocks * s.filters + torch.arange(s.filters) for s in self.slots]
        outputs = [torch.arange(0), *map(torch.flatten, outputs)]  # the stem's: all
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
    rng, plain = random.Random(seed), training.classification_loss()

    def loss_fn(model, batch):
        cell = search_space.sample(space, rng)
        return plain(functools.partial(model, cell=cell), batch)

    return loss_fn


@torch.no_grad()
def accuracy(model, images: UInt8[Tensor, "N 3 H W"], labels, *cell) -> float:
    """Share of right answers, batch norms by these images; `cell` is for a supernet."""
    # In training mode: the running averages of a supernet mix all paths and fit none.
    logits = copy.deepcopy(model).train()(training.normalise(images), *cell)
    return (logits.argmax(1) == labels).float().mean().item()


class Relaxation(nn.Module):
    """DARTS: a number alpha for each pair of each block; softmax makes shares of them.

    Both sides of a block draw from the same shares. (In the paper a block has no sides:
    it adds up all earlier states, with a softmax over the operations on each.)
    """

    def __init__(self, space: search_space.Space):
        super().__init__()
        inputs, options = [*range(space.blocks + 1)], space.operations
        self.pairs = [[(i, name) for i in inputs[: k + 2] for name in options]
                      for k in range(space.blocks)]  # fmt: skip
        self.alpha = nn.ParameterList([torch.zeros(len(p)) for p in self.pairs])

    def shares(self, temperature: float = 1.0) -> list[Tensor]:
        """For each block softmax(alpha / temperature), in the order of its `pairs`."""
        return [torch.softmax(a / temperature, 0) for a in self.alpha]  # Eq. 9.3

    def choice(self, temperature: float = 1.0) -> Choice:
        """What a supernet takes: on both sides every pair, weighted by its share."""
        blocks = zip(self.pairs, self.shares(temperature), strict=True)
        return [[dict(zip(p, row, strict=True))] * 2 for p, row in blocks]

    def genotype(self) -> search_space.Genotype:
        """The discrete cell: each block keeps its two strongest pairs, as in the paper.

        So a block with the same pair on both sides never comes out.
        """
        blocks = zip(self.pairs, self.alpha, strict=True)
        cell = search_space.Cell([[p[i] for i in a.topk(2).indices] for p, a in blocks])
        return search_space.Genotype(cell, cell)


def darts_loss(relaxation: Relaxation, held_out, lr: float, seed: int = 0):
    """A `loss_fn` for `training.fit` that moves alpha too: DARTS, first order.

    Before each step of the weights, alpha takes one down the loss on a batch of
    `held_out` (images, labels). As published: Adam, betas (0.5, 0.999), weight decay
    1e-3; there `lr` is 3e-4, for some 20,000 steps.
    """
    alpha, rng = list(relaxation.parameters()), random.Random(seed)
    adam = torch.optim.Adam(alpha, lr, betas=(0.5, 0.999), weight_decay=1e-3)
    plain = training.classification_loss()

    def loss_fn(model, batch):
        chosen = rng.sample(range(len(held_out[1])), len(batch[1]))
        mixed = functools.partial(model, cell=relaxation.choice())
        loss, _ = plain(mixed, tuple(t[chosen] for t in held_out))
        for a, slope in zip(alpha, torch.autograd.grad(loss, alpha), strict=True):
            a.grad = slope
        adam.step()  # Eq. 9.5
        with torch.no_grad():
            mixed.keywords["cell"] = relaxation.choice()
        return plain(mixed, batch)

    return loss_fn


def synflow(model: nn.Module, shape: tuple[int, ...] = (3, 16, 16)) -> float:
    """Synaptic flow: the sum of |theta| dR/d|theta|, without any data.

    R: the sum of the outputs for an input of ones, weights made positive, batch norms
    the identity. All on a copy, in doubles, so signs and statistics stay as they are.
    """
    model = copy.deepcopy(model).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # mean 0, variance 1, scale 1, shift 0
            module.requires_grad_(False).eps = 0.0
    weights = [p for p in model.parameters() if p.requires_grad]
    for p in weights:
        p.data.abs_()
    flow = model(torch.ones(1, *shape, dtype=torch.float64)).sum()  # R
    slopes = torch.autograd.grad(flow, weights, allow_unused=True)  # some reach nothing
    pairs = zip(weights, slopes, strict=True)
    return sum((p * g).sum().item() for p, g in pairs if g is not None)  # Eq. 9.6


def jacobian_covariance(model, images: UInt8[Tensor, "N 3 H W"], k=1e-5) -> float:
    """How differently an untrained network reacts to different images.

    Row n: the gradient of the sum of all outputs by image n. v: the eigenvalues of the
    rows' correlations. As in arXiv 2006.04647v1; batch norms use the batch.
    """
    x = training.normalise(images).double().requires_grad_()
    logits = copy.deepcopy(model).double().train()(x)
    (rows,) = torch.autograd.grad(logits.sum(), x)
    v = torch.linalg.eigvalsh(torch.corrcoef(rows.flatten(1))).clamp(min=0) + k
    return -(v.log() + 1 / v).sum().item()  # Eq. 9.7


def agreement(scores, truth, resamples: int = 1000, seed: int = 0):
    """Kendall's tau-b of two lists over the same cells, and its 95 % interval.

    Returns (tau, low, high); the percentile bootstrap draws cells. ValueError for lists
    that do not fit, or a number that is not finite.
    """
    a, b = np.asarray(scores, float), np.asarray(truth, float)
    if a.shape != b.shape or len(a) < 3 or not np.isfinite([a, b]).all():
        raise ValueError(f"{len(a)} and {len(b)} scores: as many, finite, 3 or more")
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(a), len(a)) for _ in range(resamples))
    taus = [stats.kendalltau(a[i], b[i]).statistic for i in draws]
    low, high = np.nanpercentile(taus, (2.5, 97.5)).tolist()
    return float(stats.kendalltau(a, b).statistic), low, high  # Eq. 9.1
