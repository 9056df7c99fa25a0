"""How numbers lie in memory: the same results in less time.

A map (B, C, H, W) can lie plane by plane, as PyTorch makes it, or pixel by pixel, with
all channels of a pixel side by side; PyTorch calls the second *channels last*. What a
network computes does not depend on it, how long it takes does. The choices stand here,
with their reasons, and not in the networks.
"""

import torch
from torch import Tensor, nn


def channels_last(module: nn.Module) -> nn.Module:
    """Let a module's filters lie pixel by pixel, in place; its maps then do so too.

    A 1x1 convolution and a depthwise one work on all channels of a pixel: here these
    are neighbours. On a CPU NASNet-A takes three quarters of the time, the network of
    chapter 02 five eighths; a GPU's tensor cores want this order as well. Returns the
    module.
    """
    return module.to(memory_format=torch.channels_last)


def channels_first(what: nn.Module | Tensor) -> nn.Module | Tensor:
    """Back to plane by plane: a module in place, a tensor as a copy if need be.

    For a convolution whose outputs are many and no multiple of 16, such as the 810 of a
    detector's class head: pixel by pixel its gradient takes twice as long on a CPU.
    """
    if isinstance(what, Tensor):
        return what.contiguous()
    return what.to(memory_format=torch.contiguous_format)
