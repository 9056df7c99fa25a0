"""Several trainings of one cell side by side, as channels of one network.

A small network leaves a processor idle: half of a vector is empty, and each call costs
more than its sums. Here R networks of one shape, each with first weights, batches and
norm statistics of its own, lie side by side: every convolution has R groups, and no
group ever sees another. So each learns what it would have learned alone, but for the
order of sums. Support for `tabular`.
"""

import collections
import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.basics import arguments, checkpoints, memory, modes, training
from lib.nas import nasnet
from lib.nas.cells import FactorizedReduction, NASNetCell, SameConv


class Classifiers(nn.Module):
    """R linear layers side by side: `forward(B R*C) -> B R K`."""

    def __init__(self, alone: list[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([one.weight.detach() for one in alone]))
        # In one row: who tells weights from biases by their sides shall find a bias.
        self.bias = nn.Parameter(torch.cat([one.bias.detach() for one in alone]))

    def forward(self, features: Tensor) -> Tensor:
        of_each = features.unflatten(1, (len(self.weight), -1))  # B R C
        logits = torch.einsum("brc,rkc->brk", of_each, self.weight)  # B R K
        return logits + self.bias.view(logits.shape[1:])  # B R K


def regrouped(x: Tensor, maps: int, replicas: int) -> Tensor:
    """Channels of joined maps, replica after replica: B M*R*C H W -> B R*M*C H W.

    A join puts the first map of every replica before the second of any.

    >>> joined = torch.tensor([10, 20, 11, 21]).view(1, 4, 1, 1)  # replica 1, 2, 1, 2
    >>> regrouped(joined, maps=2, replicas=2).flatten().tolist()
    [10, 11, 20, 21]
    """
    # Pixel by pixel, as the numbers lie: reordered so, they stay channels last.
    x = x.permute(0, 2, 3, 1)  # B H W M*R*C
    x = x.unflatten(3, (maps, replicas, -1))  # B H W M R C
    x = x.transpose(3, 4).flatten(3)  # B H W R*M*C
    return x.permute(0, 3, 1, 2)  # B R*M*C H W


def every_other(x: Tensor, first: int = 0) -> Tensor:
    """Every second pixel both ways, from row and column `first`: B C H W -> B C H' W'.

    As `x[..., first::2, first::2]`, but pixel by pixel, as the numbers lie: else the
    gradient would come back plane by plane, and the next step take five times as long.
    """
    pixels = x.permute(0, 2, 3, 1)  # B H W C
    kept = pixels[:, first::2, first::2]  # B H' W' C
    return kept.permute(0, 3, 1, 2)  # B C H' W'


class ReductionBeside(nn.Module):
    """`cells.FactorizedReduction` of R networks side by side, from its parts."""

    def __init__(self, parts: FactorizedReduction, replicas: int):
        super().__init__()
        self.even, self.odd = parts.even, parts.odd
        self.joint_norm = parts.joint_norm
        self.replicas = replicas

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]  # B R*C H W
        odd = every_other(x, first=1)  # B R*C floor(H/2) floor(W/2)
        odd = F.pad(odd, (0, width % 2, 0, height % 2))  # B R*C H' W'
        first = self.even(every_other(x))  # B R*F/2 H' W', H' = ceil(H / 2)
        second = self.odd(odd)  # B R*F/2 H' W'
        both = torch.cat([first, second], dim=1)  # B 2*R*F/2 H' W'
        return self.joint_norm(regrouped(both, 2, self.replicas))  # B R*F H' W'


def side_by_side(models: Sequence[nasnet.NASNet]) -> nn.Module:
    """R networks of one shape as one: `forward(images B R*3 H W) -> logits B R K`.

    Copies: the networks stay as they are. ValueError for networks of different shape,
    and for what has no twin here, such as an auxiliary head.
    """
    models = arguments.sequence("models", models, "a list of networks")
    for model in models:
        arguments.instance("one of the models", model, nasnet.NASNet)
    if len({(m.genotype, m.config, hasattr(m, "aux")) for m in models}) != 1:
        raise ValueError("models: they need one genotype and one configuration")
    if hasattr(models[0], "aux") or models[0].config.drop_path_keep < 1:
        raise ValueError("models: neither auxiliary head nor drop path side by side")
    genotype = models[0].genotype
    for block in (*genotype.normal.blocks, *genotype.reduction.blocks):
        if block.combination != "add":
            raise ValueError(f"models: side by side a block adds; here is {block}")
    return memory.channels_last(_joined(models))


def _joined(alone: Sequence[nn.Module]) -> nn.Module:
    """One module that does what R modules of one kind do, replica after replica."""
    first, replicas = alone[0], len(alone)
    if isinstance(first, nn.Linear):
        return Classifiers(list(alone))
    joined = copy.copy(first)  # its settings; parts, tensors and hooks follow
    joined._forward_hooks = collections.OrderedDict()
    joined._forward_pre_hooks = collections.OrderedDict()
    joined._modules = {
        name: child and _joined([module._modules[name] for module in alone])
        for name, child in first._modules.items()
    }
    joined._parameters = {
        name: value if value is None else nn.Parameter(_beside(alone, name))
        for name, value in first._parameters.items()
    }
    joined._buffers = {
        name: _beside(alone, name) if value.ndim else value.clone()
        for name, value in first._buffers.items()
    }
    if isinstance(first, nn.Conv2d):
        joined.groups = replicas * first.groups
        joined.in_channels = replicas * first.in_channels
        joined.out_channels = replicas * first.out_channels
    elif isinstance(first, nn.BatchNorm2d):
        joined.num_features = replicas * first.num_features
    if isinstance(first, FactorizedReduction):
        return ReductionBeside(joined, replicas)
    if isinstance(first, SameConv) and (first.kernel_size, first.stride) == (
        (1, 1),
        (2, 2),
    ):
        joined.stride = (1, 1)
        joined.register_forward_pre_hook(lambda _, inputs: every_other(*inputs))
    if isinstance(first, NASNetCell) and (maps := len(first.outputs)) > 1:
        # It joins its outputs; all else finds the replicas in order.
        joined.register_forward_hook(lambda _, x, y: regrouped(y, maps, replicas))
    return joined


def _beside(alone: Sequence[nn.Module], name: str) -> Tensor:
    """A tensor of all replicas: the filters or channels of one after the other."""
    return torch.cat([getattr(module, name).detach() for module in alone])


def parted(model: nn.Module, replicas: int) -> list[dict[str, Tensor]]:
    """Of each of R networks side by side: its state, under the names it has alone."""
    arguments.instance("model", model, nn.Module)
    arguments.whole_number("replicas", replicas, least=1)
    states: list[dict[str, Tensor]] = [{} for _ in range(replicas)]
    for name, value in model.state_dict().items():
        stacked = name == "classifier.weight"
        parts = value if stacked else _parts(value, replicas)
        for state, part in zip(states, parts, strict=True):
            state[name] = part.clone()
    return states


def _parts(value: Tensor, replicas: int) -> Sequence[Tensor]:
    return value.chunk(replicas) if value.ndim else [value] * replicas


def train(
    model: nn.Module, dataset, seeds, *, epochs: int, batch_size: int, lr: float,
    on_epoch=None,
) -> None:  # fmt: skip
    """Train networks side by side, in place, as `training.fit` trains each alone.

    `dataset`: (images, labels) in memory; `seeds`: for each network, the order of its
    samples. `on_epoch()` follows each epoch. Raises `NonFiniteLoss`.
    """
    arguments.gradients_on("train")
    arguments.labelled("dataset", dataset)
    seeds = arguments.whole_numbers("seeds", seeds)
    orders = [training.Batches(dataset, batch_size, None, seed) for seed in seeds]
    per_epoch = orders[0].per_epoch
    total = epochs * per_epoch
    groups = training.parameter_groups(model, 5e-4)
    # Fused: all weights in one call.
    sgd = torch.optim.SGD(groups, lr, 0.9, nesterov=True, fused=True)
    model.train()
    for step in range(total):
        batches = [order.at(step) for order in orders]
        images = torch.cat([images for images, _ in batches], dim=1)  # B R*3 H W
        labels = torch.stack([labels for _, labels in batches], dim=1)  # B R
        rate = training.set_rate(
            sgd, training.warmup_cosine(step, total, int(0.1 * total))
        )
        logits = model(training.normalise(images))  # B R K
        # The sum over networks of each one's mean: no gradient knows of another's.
        losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        loss = losses.mean(0).sum()
        if not loss.isfinite():
            raise checkpoints.NonFiniteLoss("the loss", step, rate, loss.item(), 0)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if on_epoch and (step + 1) % per_epoch == 0:
            on_epoch()
    model.eval()


@torch.no_grad()
def right(model: nn.Module, images: Tensor, labels: Tensor, replicas: int) -> list[int]:
    """Right answers of each network, all on the same pictures, in eval mode."""
    arguments.instance("model", model, nn.Module)
    arguments.labelled("images and labels", (images, labels))
    arguments.whole_number("replicas", replicas, least=1)
    counts = torch.zeros(replicas, dtype=torch.int64)
    with modes.evaluation(model):
        for x, y in zip(images.split(100), labels.split(100), strict=True):
            x = training.normalise(x).repeat(1, replicas, 1, 1)  # B R*3 H W
            answers = model(x).argmax(2)  # B R
            counts += (answers == y[:, None]).sum(0)
    return counts.tolist()
