"""Helpers of the parity tests: fill a model from its shapes alone, compare tensors.

Two implementations of one network agree on shapes and roles but not on names. Filled by
the same integer hash they must give the same outputs, so no names need to be mapped.
All layers of one shape get the same weights: a swap of two such layers goes unseen, and
the converters' tests have to catch it.
"""

import math

import torch
from torch import Tensor, nn


def hashed(numel: int, salt: int = 0) -> Tensor:
    """`numel` numbers in [0, 1), float64: an integer hash of index, size and salt."""
    mask = 2**32 - 1
    x = torch.arange(numel, dtype=torch.int64) * 2654435761 % 2**32
    x = (x + numel * 40503 + salt * 97) & mask
    for _ in range(2):
        x = x ^ (x >> 16)
        x = (x * 73244475) & mask  # below 2**59: no overflow
    x = x ^ (x >> 16)
    return x.double() / 2**32


def centred(shape: tuple[int, ...], salt: int, spread: float) -> Tensor:
    """`spread` times a hashed number in [-0.5, 0.5) for every place of `shape`."""
    return (spread * (hashed(math.prod(shape), salt) - 0.5)).reshape(shape)


@torch.no_grad()
def fill(model: nn.Module, gain: float = 1.0) -> nn.Module:
    """Fill all weights and statistics of a model by their shapes and roles."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            shape = module.weight.shape
            fan_in = math.prod(shape[1:])
            spread = 2 * math.sqrt(3 * gain / fan_in)
            module.weight.copy_(centred(shape, 0, spread))
            if module.bias is not None:
                module.bias.copy_(centred(module.bias.shape, 1, 0.1))
        elif isinstance(module, nn.BatchNorm2d):
            shape = module.weight.shape
            module.weight.copy_(1 + centred(shape, 2, 0.2))
            module.bias.copy_(centred(shape, 3, 0.2))
            module.running_mean.copy_(centred(shape, 4, 0.1))
            module.running_var.copy_(1 + centred(shape, 5, 0.5))
    return model


def image(height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The picture that goes with the fill: (1, 3, height, width) in [-1, 1)."""
    return centred((1, 3, height, width), 6, 2.0).to(dtype)


def relative(mine: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value of `theirs`."""
    return ((mine - theirs).abs().max() / theirs.abs().max()).item()
