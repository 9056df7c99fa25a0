"""What a NASNet cell is made of: operations, calibration, drop path, the cell itself.

An operation of the genotype is a name; here it becomes layers. Every convolution is
ReLU, convolution, batch norm. The ReLU of a state is computed once, by the cell, for
all operations that read the state.

Sources: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012, and the networks its authors
released. Chapter 05. Support for `nasnet`, which stacks the cells.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lib.nas import genotypes


def same_padding(size: int, kernel: int, stride: int = 1) -> tuple[int, int]:
    """Pixels to add before and after a side so that ceil(size / stride) come out.

    An odd total puts the extra one after. Source: TensorFlow's "SAME".
    """
    total = (math.ceil(size / stride) - 1) * stride + kernel - size  # Eq. 5.3
    return max(total, 0) // 2, (max(total, 0) + 1) // 2


class SameConv(nn.Conv2d):
    """A convolution without bias whose padding follows the size of its input."""

    def __init__(self, channels, filters, kernel, stride=1, dilation=1, groups=1):
        super().__init__(
            channels, filters, kernel, stride, 0, dilation, groups, bias=False
        )
        taps = zip(self.kernel_size, self.dilation, strict=True)
        self.spans = [(k - 1) * d + 1 for k, d in taps]  # pixels from first to last tap

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            # The same pixels, taken first. oneDNN's gradient of a strided 1x1 filter on
            # channels_last writes past its memory with two threads (torch 2.14.1).
            down, right = self.stride
            return F.conv2d(x[:, :, ::down, ::right], self.weight, groups=self.groups)
        (top, bottom), (left, right) = map(
            same_padding, x.shape[-2:], self.spans, self.stride
        )
        if top != bottom or left != right:  # else the convolution pads by itself
            x = F.pad(x, (0, right - left, 0, bottom - top))
        return F.conv2d(
            x, self.weight, None, self.stride, (top, left), self.dilation, self.groups
        )


class ConvNorm(nn.Module):
    """One convolution and its batch norm; the ReLU before it is the caller's."""

    def __init__(self, channels, filters, kernel=1, stride=1, dilation=1):
        super().__init__()
        self.conv = SameConv(channels, filters, kernel, stride, dilation)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Separable(nn.Module):
    """Depthwise k x k, pointwise 1x1, batch norm: twice, with a ReLU in between.

    The first half has the stride and changes the number of channels.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1):
        super().__init__()
        self.depthwise_1 = SameConv(channels, channels, kernel, stride, groups=channels)
        self.pointwise_1 = nn.Conv2d(channels, filters, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(filters)
        self.depthwise_2 = SameConv(filters, filters, kernel, groups=filters)
        self.pointwise_2 = nn.Conv2d(filters, filters, 1, bias=False)
        self.norm_2 = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_1(self.pointwise_1(self.depthwise_1(x)))
        x = F.relu(x, inplace=True)  # safe: nobody else holds this tensor
        return self.norm_2(self.pointwise_2(self.depthwise_2(x)))


class Pool(nn.Module):
    """Average or maximum over k x k pixels; padding is not part of the average.

    `divisor` divides every sum by the same number instead, as if padding were picture.
    """

    def __init__(self, kind: str, kernel: int, stride: int = 1):
        super().__init__()
        self.kind, self.kernel, self.stride = kind, kernel, stride
        self.divisor: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        pad = [same_padding(side, self.kernel, self.stride)[0] for side in x.shape[-2:]]
        # ceil_mode lets the last window hang over the edge: the extra row of "SAME".
        if self.kind == "max":
            return F.max_pool2d(x, self.kernel, self.stride, pad, ceil_mode=True)
        return F.avg_pool2d(x, self.kernel, self.stride, pad, True, False, self.divisor)


class FactorizedReduction(nn.Module):
    """Halve the sides: two 1x1 convolutions with half the filters, one pixel apart.

    A single 1x1 convolution with stride 2 would never look at three pixels of four.
    """

    def __init__(self, channels: int, filters: int):
        super().__init__()
        self.even = nn.Conv2d(channels, filters // 2, 1, bias=False)
        self.odd = nn.Conv2d(channels, filters - filters // 2, 1, bias=False)
        self.joint_norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        shifted = F.pad(x[:, :, 1::2, 1::2], (0, w % 2, 0, h % 2))  # Eq. 5.4
        halves = [self.even(x[:, :, ::2, ::2]), self.odd(shifted)]
        return self.joint_norm(torch.cat(halves, 1))  # B F ceil(H/2) ceil(W/2)


def drop_path(
    x: Float[Tensor, "B C H W"],
    keep: float | Float[Tensor, ""],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B C H W"]:
    """Zero the path for some samples of a batch, scale it by 1 / keep for the rest."""
    u = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)
    return x * (torch.floor(u + keep) / keep)  # Eq. 5.6


def operation(name: str, channels: int, filters: int, stride: int = 1) -> nn.Module:
    """One of the genotype's operations as layers, from `channels` to `filters`.

    Where the shape changes, an identity becomes a 1x1 convolution and a pool is
    followed by one. A plain identity and the pools read a state as it is, everything
    else reads its ReLU.
    """
    kernel = int(name[-1]) if name[-1].isdigit() else 1
    match name.rstrip("0123456789"):
        case "identity":
            same = stride == 1 and channels == filters
            return nn.Identity() if same else ConvNorm(channels, filters, 1, stride)
        case "avg" | "max" as kind:
            pool = Pool(kind, kernel, stride)
            fit = [] if channels == filters else [ConvNorm(channels, filters)]
            return nn.Sequential(pool, *fit)
        case "sep":
            return Separable(channels, filters, kernel, stride)
        case "dilsep":
            depthwise = SameConv(channels, channels, kernel, stride, 2, groups=channels)
            return nn.Sequential(depthwise, ConvNorm(channels, filters))
        case "conv1x":  # a row of pixels, then a column
            row = ConvNorm(channels, filters, (1, kernel), (1, stride))
            column = ConvNorm(filters, filters, (kernel, 1), (stride, 1))
            return nn.Sequential(row, nn.ReLU(inplace=True), column)
        case "conv" | "dil" as kind:
            return ConvNorm(channels, filters, kernel, stride, 1 + (kind == "dil"))
        case _:
            known = ", ".join(genotypes.OPERATIONS)
            raise ValueError(f"operation {name!r} is unknown; known are {known}")


class Cell(nn.Module):
    """One cell with F filters: `forward(h_i, h_{i-1})` gives `channels` channels.

    `current` and `previous` are the channels of the two inputs; None as `previous` says
    that there is no h_{i-1} yet: the raw h_i takes its place. `halve_previous` says
    that h_{i-1} is twice as large as h_i.
    """

    def __init__(
        self, cell: genotypes.Cell, filters: int, current: int, previous: int | None,
        stride: int = 1, halve_previous: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.cell, self.channels = cell, len(cell.output) * filters
        read = {state for *pair, _ in cell.blocks for state, _ in pair} | {*cell.output}
        # An input that nothing reads is not calibrated; None: taken as it is.
        self.current = ConvNorm(current, filters) if 0 in read else None
        self.previous: nn.Module | None = None
        if 1 in read and halve_previous:
            self.previous = FactorizedReduction(previous, filters)
        elif 1 in read and previous not in (None, filters):
            self.previous = ConvNorm(previous, filters)
        widths = [filters, current if previous is None else filters]  # of each state
        self.operations = nn.ModuleList()
        for *pair, combination in cell.blocks:
            for state, name in pair:
                step = stride if state < 2 else 1  # only the cell's inputs are large
                self.operations.append(operation(name, widths[state], filters, step))
            widths.append(filters if combination == "add" else 2 * filters)
        self.outputs = nn.ModuleList()  # each output comes to F channels and one size
        for state in cell.output:
            fit = ConvNorm if stride == 1 or state > 1 else FactorizedReduction
            same = fit is ConvNorm and widths[state] == filters
            self.outputs.append(nn.Identity() if same else fit(widths[state], filters))

    def forward(self, current: Tensor, previous: Tensor | None, keep=None) -> Tensor:
        """`keep` is the probability that a path is kept; None: no drop path."""
        previous = current if previous is None else previous
        if self.previous is not None:
            previous = self.previous(F.relu(previous))
        if self.current is not None:
            current = self.current(F.relu(current))
        states = [current, previous]
        positive: dict[int, Tensor] = {}  # the ReLU of a state, computed once
        operations = iter(self.operations)
        for *pair, combination in self.cell.blocks:
            branches = []
            for state, name in pair:
                layers, x = next(operations), states[state]
                if not (name[:3] in ("avg", "max") or isinstance(layers, nn.Identity)):
                    if state not in positive:
                        positive[state] = F.relu(x)
                    x = positive[state]
                x = layers(x)
                dropped = keep is not None and name != "identity"
                branches.append(drop_path(x, keep) if dropped else x)
            add = combination == "add"
            states.append(branches[0] + branches[1] if add else torch.cat(branches, 1))
        outputs = zip(self.outputs, self.cell.output, strict=True)
        return torch.cat([fit(states[state]) for fit, state in outputs], 1)
