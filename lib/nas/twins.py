"""Copies of networks, so that a score leaves the network itself as it was.

The stand-alone network of a supernet's path, the twin that is scored with the batch
norms of its images, and the one without batch norms that synaptic flow reads.
Support for `one_shot`.
"""

import copy

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from lib.basics import arguments, training
from lib.nas import choices, nasnet, search_space


def inherited(supernet, genotype: search_space.Genotype) -> nasnet.NASNet:
    """The stand-alone network of a cell, with copies of a supernet's weights."""
    search_space.validate(supernet.space, genotype)
    net = nasnet.NASNet(genotype, supernet.config, supernet.classifier.out_features)
    # Channels of each state that the stand-alone cell has too; the stem's: all.
    blocks = torch.tensor(genotype.normal.output)[:, None] - 2
    outputs = [blocks * s.filters + torch.arange(s.filters) for s in supernet.slots]
    outputs = [torch.arange(0), *map(torch.flatten, outputs)]
    _copy(net.stem, supernet.stem)
    _copy(net.classifier, supernet.classifier, outputs[-1])
    for i, (mine, its) in enumerate(zip(supernet.cells, net.cells, strict=True)):
        if its.current is not None:
            _copy(its.current, mine.current, outputs[i])
        if its.previous is not None:
            before = supernet.slots[i].previous
            _copy(its.previous, mine.previous, outputs[before])
        for j, layers in enumerate(its.operations):
            k, side = divmod(j, 2)
            pair = its.cell.blocks[k][side]
            _copy(layers, mine.operations[choices.name_of(k, pair)])
    return net


def _copy(to: nn.Module, source: nn.Module, channels: Tensor | None = None) -> None:
    """Weights and statistics; where `to` reads fewer channels, those of `channels`."""
    mine = to.state_dict()
    for name, value in source.state_dict().items():
        fits = value.shape == mine[name].shape
        mine[name].copy_(value if fits else value[:, channels.to(value.device)])


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


def without_norms(model: nn.Module) -> nn.Module:
    """A copy in doubles whose batch norms do nothing, and do not learn."""
    arguments.instance("model", model, nn.Module)
    twin = copy.deepcopy(model).double().eval()
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # mean 0, variance 1, scale 1, shift 0
            module.requires_grad_(False)
            module.eps = 0.0
    return twin
