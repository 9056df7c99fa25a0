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
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor, nn

from lib.basics import arguments, training
from lib.nas import choices, nasnet, search_space, twins
from lib.nas.cells import ConvNorm, FactorizedReduction, operation, reads_raw
from lib.nas.choices import Choice, Share, State, output_shares, path  # noqa: F401
from lib.nas.rankings import agreement  # noqa: F401
from lib.nas.twins import accuracy  # noqa: F401


class SuperCell(nn.Module):
    """All cells of a space in one: layers for each block, input and operation.

    A cell is a path through them: it takes two of the sets of layers of each block.
    `current` and `previous` say how many tensors the two inputs have, and the channels
    of each. What is calibrated, and when, is as in `cells.NASNetCell`.
    """

    def __init__(self, space, filters, current, previous, stride, halve):
        super().__init__()
        width = math.prod(current)  # channels of h_i, its tensors in one
        self.current = ConvNorm(width, filters)
        self.previous = None
        self.fitting = None  # with so many output tensors h_{i-1} has F channels
        if previous is not None:
            tensors, channels = previous
            calibrate = FactorizedReduction if halve else ConvNorm
            width = tensors * channels
            self.previous = calibrate(width, filters)
            width = filters
            if not halve and filters % channels == 0:
                self.fitting = filters // channels
        widths = [filters, width]  # of each state
        self.operations = nn.ModuleDict()
        for k in range(space.blocks):
            for pair in choices.pairs_of(k, space.operations):
                state, name = pair
                step = stride if state < 2 else 1
                layers = operation(name, widths[state], filters, step)
                self.operations[choices.name_of(k, pair)] = layers
            widths.append(filters)

    def forward(
        self, current: State, previous: State | None, cell: search_space.Cell
    ) -> State:
        state_0 = self.current(current.rectified())  # B F H W
        state_1 = self.before(current, previous)  # B F H W
        states = [state_0, state_1]
        for k, (left, right, _) in enumerate(cell.blocks):
            # A pair on both sides is computed once, and counts twice.
            counted = collections.Counter([left, right])
            state = 0
            for pair, times in counted.items():
                output = self.branch(k, pair, states)  # B F H' W'
                state = state + times * output
            states.append(state)  # Eq. 9.2
        shares = []
        for number in range(2, len(states)):
            is_output = number in cell.output
            shares.append(int(is_output))
        return State(states[2:], shares)

    def branch(self, k: int, pair: tuple[int, str], states: list[Tensor]) -> Tensor:
        """One pair of block k: its own layers, on the state that it reads."""
        state, name = pair
        layers = self.operations[choices.name_of(k, pair)]
        x = states[state]
        if not reads_raw(name, layers):
            x = F.relu(x)
        return layers(x)  # B F H' W'

    def before(self, current: State, previous: State | None) -> Tensor:
        """State 1: h_{i-1} as it is where it has F channels, else calibrated."""
        if previous is None:
            return current.joined()
        output = previous.output()
        if len(output) == self.fitting:
            return torch.cat(output, dim=1)  # B F H W
        return self.previous(previous.rectified())  # B F H W


@arguments.named
def mixed_operation(
    shares: Sequence[int | float | Tensor], outputs: Iterable[Tensor]
) -> Tensor:
    """The relaxed operation: what every pair gives, weighted by its share. Eq. 9.2

    `shares` are numbers, or tensors without axes; `outputs` are as many tensors of one
    shape, and may come one at a time. Gradients reach both. Source: DARTS, Eq. 2.

    A quarter of "leave it alone", three quarters of the maximum over neighbours:

    >>> leave, pool = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 1, 1])
    >>> mixed_operation([0.25, 0.75], [leave, pool])
    tensor([0.7500, 1.0000, 0.7500])
    """
    total = 0
    for p, output in enumerate(outputs):  # they need not all be in memory at once
        total = total + shares[p] * output
    return total


class MixedCell:
    """A `SuperCell` in which a side takes a share of every pair: DARTS. No weights.

    What is output, and whether h_{i-1} has F channels, depends on the pairs chosen. So
    both are mixed too, each way by its probability.
    """

    def __init__(self, layers: SuperCell):
        self.layers = layers

    def __call__(self, current: State, previous: State | None, choice: Choice) -> State:
        state_0 = self.layers.current(current.rectified())  # B F H W
        state_1 = self.before(current, previous)  # B F H W
        states = [state_0, state_1]
        for k, (left, right) in enumerate(choice):
            pairs = left | right  # what both sides choose is computed once
            shares = []
            for pair in pairs:
                share = left.get(pair, 0) + right.get(pair, 0)
                shares.append(share)
            outputs = (self.layers.branch(k, pair, states) for pair in pairs)
            state = mixed_operation(shares, outputs)  # B F H' W'
            states.append(state)
        shares = output_shares(choice)
        return State(states[2:], shares)

    def before(self, current: State, previous: State | None) -> Tensor:
        """State 1, both ways: as it is with the probability that it fits."""
        if previous is None:
            return current.joined()
        tensors, shares = previous
        fits = 0  # the probability that it has F channels
        raw = 0
        blocks = range(len(tensors))
        size = self.layers.fitting or len(tensors) + 1  # one too many: never
        for chosen in itertools.combinations(blocks, size):
            p = choices.chance(chosen, shares)  # that just these are output
            output = [tensors[k] for k in chosen]
            joined = torch.cat(output, dim=1)  # B F H W
            fits = fits + p
            raw = raw + p * joined
        if type(fits) is int and fits == 1:  # a path, and it fits
            return raw
        calibrated = self.layers.previous(previous.rectified())  # B F H W
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
        return twins.inherited(self, genotype)


@arguments.named
def sample_path(
    decisions: Sequence[search_space.Decision], rng: random.Random
) -> list[int]:
    """The tokens of one path of a supernet: of each decision one option, drawn evenly.

    `rng` moves on, so the next call draws anew. Even over options is not even over
    cells: a cell that can be written in more ways comes more often. Source: Guo and
    others, arXiv 1904.00420, uniform sampling.

    One block with one operation: each of its two sides reads one of two inputs.

    >>> space = search_space.Space(1, ("sep3",), cells=("normal",))
    >>> every = search_space.decisions(space)
    >>> drawn = [sample_path(every, random.Random(seed)) for seed in range(99)]
    >>> sorted(set(map(tuple, drawn)))
    [(0, 0, 0, 0, 0), (0, 1, 0, 0, 0), (1, 0, 0, 0, 0), (1, 1, 0, 0, 0)]
    """
    tokens = []
    for decision in decisions:
        options = len(decision.options)
        token = rng.randrange(options)  # 0 to options - 1
        tokens.append(token)
    return tokens


def path_loss(space: search_space.Space, seed: int = 0):
    """A `loss_fn` for `training.fit`: each step trains one path, its tokens uniform."""
    decisions = search_space.decisions(space)
    seed = arguments.seed(seed)
    rng = random.Random(seed)

    def loss_fn(model, batch):
        tokens = sample_path(decisions, rng)
        cell = search_space.decode(space, tokens)
        return _loss_of(cell, model, batch)

    return loss_fn


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
            pairs = choices.pairs_of(k, space.operations)
            self.pairs.append(pairs)
        self.alpha = nn.ParameterList()
        for pairs in self.pairs:
            zeros = torch.zeros(len(pairs))  # at first all have the same share
            self.alpha.append(nn.Parameter(zeros))

    def shares(self, temperature: float = 1.0) -> list[Tensor]:
        """For each block softmax(alpha / temperature), in the order of its `pairs`."""
        temperature = arguments.real_number("temperature", temperature, above=0)
        rows = []
        for alpha in self.alpha:
            row = torch.softmax(alpha / temperature, dim=0)  # Eq. 9.3
            rows.append(row)
        return rows

    def choice(self, temperature: float = 1.0) -> Choice:
        """What a supernet takes: on both sides every pair, weighted by its share."""
        blocks = []
        rows = self.shares(temperature)
        for pairs, row in zip(self.pairs, rows, strict=True):
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
            block = (pairs[first], pairs[second])
            blocks.append(block)
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
    seed = arguments.seed(seed)
    rng = random.Random(seed)
    pictures = range(len(labels))
    alpha = list(relaxation.parameters())
    betas = (0.5, 0.999)
    adam = torch.optim.Adam(alpha, lr, betas, weight_decay=1e-3)

    def loss_fn(model, batch):
        images_now, _ = batch
        rows = rng.sample(pictures, len(images_now))
        choice = relaxation.choice()
        held_out_batch = (images[rows], labels[rows])
        loss, _ = _loss_of(choice, model, held_out_batch)
        slopes = torch.autograd.grad(loss, alpha)  # of alpha alone, not of the weights
        for row, slope in zip(alpha, slopes, strict=True):
            row.grad = slope
        adam.step()  # Eq. 9.5, first half

        with torch.no_grad():  # now it is the weights' turn, and alpha stands still
            choice = relaxation.choice()
        return _loss_of(choice, model, batch)

    return loss_fn


def _loss_of(cell, model, batch) -> tuple[Tensor, dict]:
    """Cross-entropy of a supernet that runs this cell or this choice on a batch."""
    network = functools.partial(model, cell=cell)
    plain_loss = training.classification_loss()
    return plain_loss(network, batch)


@arguments.named
def carried_flow(weights: Sequence[Tensor], flow: Tensor) -> float:
    """What all weights carry of the flow: the sum of |theta| dR/d|theta|. Eq. 9.6

    `weights` are leaf tensors of any shapes, made positive already; `flow` is R, a
    tensor without axes, computed from them. A weight that R does not depend on carries
    nothing. Source: Tanaka and others, SynFlow, arXiv 2006.05467.

    R = 2 * 3, and each of both weights carries all of it:

    >>> weights = [torch.tensor(value, requires_grad=True) for value in (2.0, 3.0)]
    >>> carried_flow(weights, weights[0] * weights[1])
    12.0
    """
    slopes = torch.autograd.grad(flow, weights, allow_unused=True)  # dR/d|theta|
    total = 0.0
    for weight, slope in zip(weights, slopes, strict=True):
        if slope is not None:  # some weights reach no output
            carried = weight * slope
            total += carried.sum().item()
    return total


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
    arguments.gradients_on("synflow")
    arguments.instance("model", model, nn.Module)
    shape = arguments.whole_numbers("shape", shape, least=1)
    twin = twins.without_norms(model)
    weights = []
    for weight in twin.parameters():
        if weight.requires_grad:
            weight.data.abs_()
            weights.append(weight)
    ones = torch.ones(1, *shape, dtype=torch.float64)
    flow = twin(ones).sum()  # R
    return float(carried_flow(weights, flow))


def jacobian_covariance(
    model, images: UInt8[Tensor, "N 3 H W"], k: float = 1e-5
) -> float:
    """How differently an untrained network reacts to different images.

    Row n: the gradient of the sum of all outputs by image n. The eigenvalues are those
    of the rows' correlations; k keeps 1 / 0 away. As in arXiv 2006.04647v1; batch norms
    use the batch.
    """
    arguments.gradients_on("jacobian_covariance")
    arguments.instance("model", model, nn.Module)
    arguments.tensor("images", images, "N C H W")
    k = arguments.real_number("k", k, above=0)
    x = training.normalise(images).double()  # N 3 H W
    x.requires_grad_()
    twin = copy.deepcopy(model)
    twin.double().train()
    logits = twin(x)  # N K
    total = logits.sum()
    (slopes,) = torch.autograd.grad(total, x)  # N 3 H W
    rows = slopes.flatten(1)  # N 3*H*W
    correlations = torch.corrcoef(rows)  # N N
    eigenvalues = torch.linalg.eigvalsh(correlations)  # N
    eigenvalues = eigenvalues.clamp(min=0)  # rounding may push a 0 below
    eigenvalues = eigenvalues + k
    terms = eigenvalues.log() + 1 / eigenvalues
    score = -terms.sum()  # Eq. 9.7
    return score.item()
