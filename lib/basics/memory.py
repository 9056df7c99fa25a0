"""Where numbers lie in memory, and how: the same results in less time.

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


def to_device(batch, device: torch.device):
    """Every tensor of a nested batch on that device; whatever else is in it stays."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {k: to_device(v, device) for k, v in batch.items()}
    if isinstance(batch, tuple | list):
        moved = [to_device(v, device) for v in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch
