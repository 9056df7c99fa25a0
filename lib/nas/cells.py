"""What a NASNet cell is made of: operations, calibration, drop path, the cell itself.

An operation of the genotype is a name; here it becomes layers. Every convolution is
ReLU, convolution, batch norm. The ReLU of a state is computed once, by the cell, for
all operations that read the state.

Sources: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012, and the networks its authors
released. Chapter 05. Support for `nasnet`, which stacks the cells.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lib.basics import arguments
from lib.nas import genotypes


@arguments.named
def same_padding(size: int, kernel: int, stride: int = 1) -> tuple[int, int]:
    """Pixels to add before and after a side so that ceil(size / stride) come out.

    An odd total puts the extra one after. Source: TensorFlow's "SAME".

    Two windows of 3 with stride 2 cover 5 pixels; of 4 there are, one is missing:

    >>> same_padding(4, kernel=3, stride=2)
    (0, 1)
    """
    windows = math.ceil(size / stride)
    covered = (windows - 1) * stride + kernel  # from the first pixel to the last
    total = max(covered - size, 0)  # Eq. 5.3
    before = total // 2
    return before, total - before


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
            down, across = self.stride
            kept = x[..., ::down, ::across]  # B C H' W'
            return F.conv2d(kept, self.weight, groups=self.groups)  # B F H' W'
        padding = map(same_padding, x.shape[-2:], self.spans, self.stride)
        (top, bottom), (left, right) = padding
        if top != bottom or left != right:  # else the convolution pads by itself
            x = F.pad(x, (0, right - left, 0, bottom - top))  # B C H+1 W+1
        return F.conv2d(
            x, self.weight, None, self.stride, (top, left), self.dilation, self.groups
        )  # B F H' W'


class ConvNorm(nn.Module):
    """One convolution and its batch norm; the ReLU before it is the caller's."""

    def __init__(self, channels, filters, kernel=1, stride=1, dilation=1):
        super().__init__()
        self.conv = SameConv(channels, filters, kernel, stride, dilation)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))  # B F H' W'


def _insist_on_sizes(**sizes) -> None:
    """ValueError unless all are whole numbers, 1 or more, that a layer may have."""
    for name, size in sizes.items():
        arguments.whole_number(name, size, 1, 10**6)


def depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1):
    """A k x k filter for each channel on its own."""
    _insist_on_sizes(channels=channels, kernel=kernel, stride=stride, dilation=dilation)
    return SameConv(channels, channels, kernel, stride, dilation, groups=channels)


def pointwise(channels: int, filters: int) -> nn.Conv2d:
    """A 1x1 convolution: every pixel's channels mixed, no pixel's neighbours."""
    _insist_on_sizes(channels=channels, filters=filters)
    return nn.Conv2d(channels, filters, 1, bias=False)


class SeparableTwice(nn.Module):
    """Depthwise k x k, pointwise 1x1, batch norm: twice, with a ReLU in between.

    So the paper has it; a separable convolution elsewhere is one of the two halves. The
    first half has the stride and changes the number of channels.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1):
        super().__init__()
        self.depthwise_1 = depthwise(channels, kernel, stride)
        self.pointwise_1 = pointwise(channels, filters)
        self.norm_1 = nn.BatchNorm2d(filters)
        self.depthwise_2 = depthwise(filters, kernel)
        self.pointwise_2 = pointwise(filters, filters)
        self.norm_2 = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise_1(x)  # B C H' W', H' = ceil(H / stride)
        x = self.pointwise_1(x)  # B F H' W'
        x = self.norm_1(x)
        x = F.relu(x, inplace=True)  # safe: nobody else holds this tensor
        x = self.depthwise_2(x)  # B F H' W'
        x = self.pointwise_2(x)  # B F H' W'
        return self.norm_2(x)


class Pool(nn.Module):
    """Average or maximum over k x k pixels; padding is not part of the average.

    `divisor` divides every sum by the same number instead, as if padding were picture.
    """

    def __init__(self, kind: str, kernel: int, stride: int = 1):
        super().__init__()
        self.kind, self.kernel, self.stride = kind, kernel, stride
        self.divisor: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]  # B C H W
        top, _ = same_padding(height, self.kernel, self.stride)
        left, _ = same_padding(width, self.kernel, self.stride)
        # ceil_mode lets the last window hang over the edge: the extra row of "SAME".
        how = {"stride": self.stride, "padding": (top, left), "ceil_mode": True}
        if self.kind == "max":
            return F.max_pool2d(x, self.kernel, **how)  # B C H' W'
        how |= {"count_include_pad": False, "divisor_override": self.divisor}
        return F.avg_pool2d(x, self.kernel, **how)  # B C H' W'


class FactorizedReduction(nn.Module):
    """Halve the sides: two 1x1 convolutions with half the filters, one pixel apart.

    A single 1x1 convolution with stride 2 would never look at three pixels of four.
    """

    def __init__(self, channels: int, filters: int):
        super().__init__()
        half = filters // 2
        self.even = pointwise(channels, half)
        self.odd = pointwise(channels, filters - half)
        self.joint_norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        even = x[..., ::2, ::2]  # B C H' W', H' = ceil(H / 2)
        odd = x[..., 1::2, 1::2]  # B C floor(H/2) floor(W/2)
        # Where a side is odd, a row or column of zeros makes both halves one size.
        below = height % 2
        right = width % 2
        odd = F.pad(odd, (0, right, 0, below))  # B C H' W'
        first = self.even(even)  # B F/2 H' W'
        second = self.odd(odd)  # B F/2 H' W'
        both = torch.cat([first, second], dim=1)  # B F H' W', Eq. 5.4
        return self.joint_norm(both)


def drop_path(
    x: Float[Tensor, "B C H W"],
    keep: float | Float[Tensor, ""],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B C H W"]:
    """Zero the path for some samples of a batch, scale it by 1 / keep for the rest."""
    arguments.tensor("x", x, "B C H W")
    if not isinstance(keep, Tensor):
        arguments.real_number("keep", keep, above=0, most=1)
    if generator is not None:
        arguments.instance("generator", generator, torch.Generator)
    like = {"device": x.device, "dtype": x.dtype}
    each = (len(x), 1, 1, 1)  # one number for each sample
    u = torch.rand(each, generator=generator, **like)  # B 1 1 1
    kept = torch.floor(u + keep)  # 1 with probability keep, else 0
    scale = kept / keep
    return x * scale  # B C H W, Eq. 5.6


def operation(name: str, channels: int, filters: int, stride: int = 1) -> nn.Module:
    """One of the genotype's operations as layers, from `channels` to `filters`.

    Where the shape changes, an identity becomes a 1x1 convolution and a pool is
    followed by one. A plain identity and the pools read a state as it is, everything
    else reads its ReLU.
    """
    arguments.one_of("name", name, genotypes.OPERATIONS)
    _insist_on_sizes(channels=channels, filters=filters, stride=stride)
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
            return SeparableTwice(channels, filters, kernel, stride)
        case "dilsep":
            spread = depthwise(channels, kernel, stride, dilation=2)
            return nn.Sequential(spread, ConvNorm(channels, filters))
        case "conv1x":  # a row of pixels, then a column
            row = ConvNorm(channels, filters, (1, kernel), (1, stride))
            column = ConvNorm(filters, filters, (kernel, 1), (stride, 1))
            return nn.Sequential(row, nn.ReLU(inplace=True), column)
        case "dil":
            return ConvNorm(channels, filters, kernel, stride, dilation=2)
        case _:  # "conv"
            return ConvNorm(channels, filters, kernel, stride)


def reads_raw(name: str, layers: nn.Module) -> bool:
    """True if an operation reads a state as it is, False if it reads its ReLU."""
    return name[:3] in ("avg", "max") or isinstance(layers, nn.Identity)


@arguments.named
def cell_forward(
    cell: genotypes.Cell, current: Tensor, previous: Tensor, operations: list,
) -> list[Tensor]:  # fmt: skip
    """Run the blocks of a cell: its output states, in the order of `cell.output`.

    State 0 is `current`, h_i; state 1 is `previous`, h_{i-1}; each block writes one
    more (B, C, H', W'). `operations` are two a block, the left one first, to be called
    in this order, once each. Source: Zoph and others, arXiv 1707.07012, section 3.

    The largest of 2 and 5 is 5; to it, 1 and 3 are added:

    >>> cell = genotypes.cell_from_text("max3(0)+identity(1)")
    >>> h0, h1 = torch.tensor([[[[2.0, 5.0]]]]), torch.tensor([[[[1.0, 3.0]]]])
    >>> cell_forward(cell, h0, h1, [Pool("max", 3), nn.Identity()])
    [tensor([[[[6., 8.]]]])]
    """
    _insist_on_two_a_block(cell, operations)
    states = [current, previous]
    rest = iter(operations)
    for left, right, combination in cell.blocks:
        a = next(rest)(states[left.input])  # B F H' W'
        b = next(rest)(states[right.input])  # B F H' W'
        if combination == "add":
            state = a + b  # B F H' W', Eq. 5.1
        else:
            state = torch.cat([a, b], dim=1)  # B 2F H' W'
        states.append(state)
    return [states[number] for number in cell.output]


def _insist_on_two_a_block(cell: genotypes.Cell, operations: list) -> None:
    """ValueError unless there are two operations for each block, all to be called."""
    for k, run in enumerate(operations):
        arguments.function(f"operations[{k}]", run, "operation(x) -> tensor")
    if len(operations) != 2 * len(cell.blocks):
        told = f"operations are {len(operations)} for {len(cell.blocks)} blocks"
        raise ValueError(f"{told}: two a block are needed")


class NASNetCell(nn.Module):
    """One cell with F filters: `forward(h_i, h_{i-1})` gives `channels` channels.

    `cell` is the value, a `genotypes.Cell`. `current` and `previous` are the channels
    of the two inputs; None as `previous` says that there is no h_{i-1} yet: the raw h_i
    takes its place. `halve_previous` says that h_{i-1} is twice as large as h_i.
    """

    def __init__(
        self, cell: genotypes.Cell, filters: int, current: int, previous: int | None,
        stride: int = 1, halve_previous: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.cell = cell
        self.channels = len(cell.output) * filters
        both = _calibration(cell, filters, current, previous, halve_previous)
        self.current, self.previous = both
        widths = [filters, current if previous is None else filters]  # of each state
        self.operations = nn.ModuleList()
        for left, right, combination in cell.blocks:
            for state, name in (left, right):
                # A reduction halves the cell's inputs; what blocks wrote is small.
                step = stride if state < 2 else 1
                layers = operation(name, widths[state], filters, step)
                self.operations.append(layers)
            widths.append(filters if combination == "add" else 2 * filters)

        self.outputs = nn.ModuleList()  # each output comes to F channels and one size
        for state in cell.output:
            large = stride > 1 and state < 2
            self.outputs.append(_fitted(widths[state], filters, large))

    def forward(self, current: Tensor, previous: Tensor | None, keep=None) -> Tensor:
        """`keep` is the probability that a path is kept; None: no drop path."""
        if previous is None:
            previous = current
        if self.previous is not None:
            previous = self.previous(F.relu(previous))  # B F H W
        if self.current is not None:
            current = self.current(F.relu(current))  # B F H W
        rectified: dict[int, Tensor] = {}  # the ReLU of a state, computed once

        def path(layers: nn.Module, state: int, name: str) -> Callable:
            """An operation of the cell as a function of the state that it reads."""

            def run(x: Tensor) -> Tensor:
                if not reads_raw(name, layers):
                    if state not in rectified:
                        rectified[state] = F.relu(x)
                    x = rectified[state]
                x = layers(x)  # B F H' W', half of H W in a reduction cell
                if keep is not None and name != "identity":
                    x = drop_path(x, keep)
                return x

            return run

        pairs = [pair for block in self.cell.blocks for pair in block[:2]]
        both = zip(self.operations, pairs, strict=True)
        operations = [path(layers, *pair) for layers, pair in both]
        outputs = cell_forward(self.cell, current, previous, operations)
        fits = zip(self.outputs, outputs, strict=True)
        outputs = [fit(state) for fit, state in fits]  # each B F H' W'
        return torch.cat(outputs, dim=1)  # B channels H' W'


def _calibration(
    cell: genotypes.Cell, filters: int, current: int, previous: int | None, halve: bool
) -> tuple[nn.Module | None, nn.Module | None]:
    """Layers that bring both inputs to F channels, and to the size of h_i.

    None where an input is taken as it is, or where nothing reads it.
    """
    read = {*cell.output}
    for left, right, _ in cell.blocks:
        read |= {left.input, right.input}
    of_current = ConvNorm(current, filters) if 0 in read else None
    of_previous = None
    if 1 in read and halve:
        of_previous = FactorizedReduction(previous, filters)
    elif 1 in read and previous not in (None, filters):
        of_previous = ConvNorm(previous, filters)
    return of_current, of_previous


def _fitted(width: int, filters: int, large: bool) -> nn.Module:
    """What brings a state to F channels and, if it is `large`, to half its sides."""
    if large:
        return FactorizedReduction(width, filters)
    return nn.Identity() if width == filters else ConvNorm(width, filters)
