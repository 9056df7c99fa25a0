"""Evaluation mode for a while, and afterwards each part in the mode that it had.

`model.train()` puts every part into training mode, the batch norms too that somebody
had frozen for fine-tuning with `norm.eval()`. So whoever runs a model that belongs to
somebody else notes the mode of each part, and gives all of them back.

For `training`, `profiling` and detection's `decoding`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Inside, the whole model is in evaluation mode; also after an error all is back.

    >>> net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    >>> frozen = net[0].eval()
    >>> with evaluation(net):
    ...     net.training
    False
    >>> net.training, net[0].training
    (True, False)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
