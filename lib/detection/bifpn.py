"""BiFPN: levels of a pyramid exchange what they know, both ways, weighted.

FPN passes meaning down, from coarse maps to fine ones; PANet passes places up as well.
BiFPN drops the nodes that fuse nothing, adds a short cut from each input, learns what
an input is worth, and repeats the whole: a BiFPN layer. Each of the three is a table of
nodes, a value, and one class builds the layers of any table.

Papers: 1612.03144, 1803.01534, 1911.09070; details as in the networks released with
the last. Chapter 11.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lib.basics import arguments
from lib.nas.cells import same_padding

# TensorFlow's decay 0.99 is PyTorch's momentum 0.01.
MOST_LEVELS = 20  # level 20 is one pixel of a million
BatchNorm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class Node(NamedTuple):
    """Where maps are fused, at the size of `level`; 0 is the finest."""

    level: int
    inputs: tuple[int, ...]  # ids: 0 to L - 1 are the levels, L + n is node n


@dataclass(frozen=True)
class Topology:
    """The nodes of one layer; a level's output is the last node at that level.

    ValueError names the node that reads something unknown, or the level without one.
    """

    levels: int
    nodes: Sequence[Sequence]  # `Node`s or pairs (level, ids); kept as `Node`s

    def __post_init__(self):
        nodes = tuple(Node(level, tuple(inputs)) for level, inputs in self.nodes)
        object.__setattr__(self, "nodes", nodes)
        for n, (level, inputs) in enumerate(self.nodes):
            known = set(range(self.levels + n))
            good = inputs and set(inputs) <= known and len(set(inputs)) == len(inputs)
            if level not in range(self.levels) or not good:
                raise ValueError(
                    f"node {n} is {level, inputs}; its level is below {self.levels}"
                    f" and it reads ids below {len(known)}, each once"
                )
        if bare := set(range(self.levels)) - {node.level for node in self.nodes}:
            raise ValueError(f"level {min(bare)} has no node, so it has no output")

    @property
    def outputs(self) -> tuple[int, ...]:
        """The id of each level's output, the finest first."""
        last = {node.level: self.levels + n for n, node in enumerate(self.nodes)}
        return tuple(last[level] for level in range(self.levels))

    def graph(self, first: int = 3) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Labels and edges for `plots.graph`; the finest level is called P`first`."""
        names = [f"P{first + level} in" for level in range(self.levels)]
        for n, node in enumerate(self.nodes, self.levels):
            role = "out" if n in self.outputs else "td"  # top-down, then on
            names.append(f"P{first + node.level} {role}")
        # Last to first, so that the drawing begins with the coarsest level.
        labels = {str(i): names[i] for i in reversed(range(len(names)))}
        reads = [(str(i), n) for n, node in enumerate(self.nodes) for i in node.inputs]
        return labels, [(i, str(self.levels + n)) for i, n in reads]


def _some_levels(levels) -> int:
    """The number of levels as an int; ValueError if there can be no such pyramid."""
    return arguments.whole_number("levels", levels, 1, MOST_LEVELS)


def fpn(levels: int) -> Topology:
    """Top-down: every level reads its own input and the node above it.

    >>> for node in fpn(3).nodes:  # ids: levels 0, 1, 2, then these nodes: 3, 4, 5
    ...     print(node)
    Node(level=2, inputs=(2,))
    Node(level=1, inputs=(1, 3))
    Node(level=0, inputs=(0, 4))
    """
    levels = _some_levels(levels)
    coarsest = levels - 1
    nodes = [Node(coarsest, (coarsest,))]
    for level in reversed(range(coarsest)):
        above = levels + len(nodes) - 1  # the id of the node before
        node = Node(level, (level, above))
        nodes.append(node)  # Eq. 11.4
    return Topology(levels, tuple(nodes))


def panet(levels: int) -> Topology:
    """FPN, then bottom-up: every level reads its top-down node and the node below."""
    top_down = fpn(levels)
    nodes = list(top_down.nodes)
    finest = top_down.outputs[0]
    nodes.append(Node(0, (finest,)))
    for level in range(1, levels):
        own = top_down.outputs[level]
        below = levels + len(nodes) - 1  # the id of the node before
        nodes.append(Node(level, (own, below)))  # Eq. 11.5
    return Topology(levels, tuple(nodes))


def without_single_inputs(table: Topology) -> Topology:
    """Take out the nodes with one input: whoever reads one reads that input instead."""
    new_ids = list(range(table.levels))  # of each old id, in their order
    kept = []
    for level, inputs in table.nodes:
        inputs = tuple(new_ids[i] for i in inputs)
        if len(inputs) == 1:
            new_ids.append(inputs[0])
        else:
            new_ids.append(table.levels + len(kept))
            kept.append(Node(level, inputs))
    return Topology(table.levels, tuple(kept))


def with_shortcuts(table: Topology) -> Topology:
    """Let every node read its level's input too, as the first of its inputs."""
    nodes = []
    for level, inputs in table.nodes:
        if level not in inputs:
            inputs = (level, *inputs)
        nodes.append(Node(level, inputs))
    return Topology(table.levels, tuple(nodes))


def bifpn(levels: int) -> Topology:
    """PANet without nodes that fuse nothing, with a short cut from each input."""
    return with_shortcuts(without_single_inputs(panet(levels)))  # Eq. 11.6


def table_of(topology: str | Callable[[int], Topology], levels: int) -> Topology:
    """The table of "fpn", "panet", "bifpn" or of a function of yours, for `levels`.

    A name is looked up at each call: it means what stands in this module by then.
    ValueError for anything else.

    >>> len(table_of("bifpn", 5).nodes)  # 4 on the way down, 4 on the way up
    8
    """
    if callable(topology):
        return topology(levels)
    name = arguments.one_of("topology", topology, ("fpn", "panet", "bifpn"))
    if name == "fpn":
        return fpn(levels)
    if name == "panet":
        return panet(levels)
    return bifpn(levels)


def halved(side: int) -> int:
    """Half of a side, rounded up: what a convolution with stride 2 leaves of it."""
    return (side + 1) // 2  # Eq. 11.1


def level_sizes(
    image_size: tuple[int, int],
    first: int,
    last: int,
) -> list[tuple]:
    """(height, width) of levels `first` to `last`; level 0 is the picture itself.

    >>> level_sizes((320, 300), 6, 7)  # 300: 150, 75, 37.5, 19, 9.5, 5, 2.5
    [(5, 5), (3, 3)]
    """
    pair = arguments.whole_numbers("image_size", image_size, least=1)
    if len(pair) != 2:
        raise arguments.refuse("image_size", image_size, "(height, width)")
    arguments.whole_number("last", last, 0, MOST_LEVELS)
    arguments.whole_number("first", first, 0, last)
    height, width = pair
    sizes = [(height, width)]
    for _ in range(last):
        height = halved(height)
        width = halved(width)
        sizes.append((height, width))
    return sizes[first:]


@arguments.named
def resample(
    x: Float[Tensor, "B C h w"],
    size: tuple[int, int],
) -> Float[Tensor, "B C H W"]:
    """Max-pool a side that is too long, repeat the pixels of one that is too short.

    Windows overlap by one pixel, padding is "SAME". Pixel i of a longer side is pixel
    floor(i h / H) of the shorter.
    """
    strides = []
    for old, new in zip(x.shape[2:], size, strict=True):
        stride = (old - 1) // new + 1  # Eq. 11.2, rounded up
        strides.append(stride)
    if max(strides) > 1:
        x = _max_pool(x, strides)  # a side that was too long is right now
    if x.shape[2:] != torch.Size(size):
        x = F.interpolate(x, size)  # B C H W, Eq. 11.3
    return x


def _max_pool(x: Tensor, strides: list[int]) -> Tensor:
    """Maxima over windows that are one pixel longer than their stride."""
    windows = [stride + 1 if stride > 1 else 1 for stride in strides]
    sides = zip(x.shape[2:], windows, strides, strict=True)
    before = [same_padding(*side)[0] for side in sides]
    # ceil_mode lets the last window hang over the edge: no padded copy is made.
    return F.max_pool2d(x, windows, strides, before, ceil_mode=True)


def weighted_sum(x: Sequence[Tensor], shares: Float[Tensor, " n"]) -> Tensor:
    """The sum of `n` maps of one shape, each times its share."""
    shares = shares.to(x[0].dtype)
    total = x[0] * shares[0]
    for i in range(1, len(x)):  # stacking would copy all maps first
        total = torch.addcmul(total, x[i], shares[i])
    return total


@arguments.named
def fast_fusion(
    x: Sequence[Tensor], weights: Float[Tensor, " n"], eps: float = 1e-4
) -> Tensor:
    """Mean of `n` maps by clipped weights: no exponential, and zero is possible.

    The paper calls it fast normalized fusion.

    >>> x = [torch.tensor(2.0), torch.tensor(6.0)]
    >>> fused = fast_fusion(x, torch.tensor([1.0, 3.0]))
    >>> round(fused.item(), 6)  # (1 * 2 + 3 * 6) / 4.0001
    4.999875
    """
    weights = F.relu(weights)
    shares = weights / (weights.sum() + eps)
    return weighted_sum(x, shares)  # Eq. 11.7


@arguments.named
def softmax_fusion(x: Sequence[Tensor], weights: Float[Tensor, " n"]) -> Tensor:
    """Mean of `n` maps by the softmax of the weights: every input keeps a share."""
    shares = weights.softmax(0)
    return weighted_sum(x, shares)  # Eq. 11.8


class FastFusion(nn.Module):
    """`fast_fusion` with one learned number for each input, at first 1."""

    def __init__(self, inputs: int):
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs))

    def forward(self, x: list[Tensor]) -> Tensor:
        return fast_fusion(x, self.weights)


class SoftmaxFusion(FastFusion):
    """`softmax_fusion` with one learned number for each input, at first 1."""

    def forward(self, x: list[Tensor]) -> Tensor:
        return softmax_fusion(x, self.weights)


class SumFusion(nn.Module):
    """The plain sum: nothing to learn, and nothing to divide by."""

    def __init__(self, inputs: int):
        super().__init__()

    def forward(self, x: list[Tensor]) -> Tensor:
        return sum(x[1:], start=x[0])


class SeparableConv(nn.Sequential):
    """Depthwise 3x3, pointwise 1x1 with bias; nothing stands between them."""

    def __init__(self, channels: int, filters: int):
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, 3, padding=1, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, filters, 1)


# A node's other choice of convolution: all channels at once.
Dense = partial(nn.Conv2d, kernel_size=3, padding=1)


def _project(channels: int, width: int, norm: Callable) -> nn.Sequential:
    """1x1 and norm where channels differ; the released weights have the bias."""
    if channels == width:
        return nn.Sequential()
    conv = nn.Conv2d(channels, width, 1)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm(width)))


class Fuse(nn.Module):
    """One node: inputs to one shape, fusion, activation, convolution, norm.

    `channels` maps the ids that it reads to their channels. The activation comes before
    the convolution, so a node's output has none.
    """

    def __init__(self, channels: dict[int, int], width, fusion, activation, conv, norm):
        super().__init__()
        self.project = nn.ModuleDict()
        for i, c in channels.items():
            project = _project(c, width, norm)
            self.project[str(i)] = project
        self.fusion = fusion(len(channels))
        self.activation = activation()
        self.conv = conv(width, width)
        self.norm = norm(width)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        x = []
        for i, project in self.project.items():
            read = maps[int(i)]  # B c h w
            projected = project(read)  # B C h w: the 1x1 first, at the old size
            resampled = resample(projected, size)
            x.append(resampled)  # B C H W
        fused = self.fusion(x)
        activated = self.activation(fused)
        mixed = self.conv(activated)
        return self.norm(mixed)


class BiFPNLayer(nn.Module):
    """All nodes of a table; levels in, levels out.

    A node has a 1x1 of its own for each input with other channels: P4 and P5 are read
    twice, through two of them.
    """

    def __init__(self, channels: Sequence[int], width: int, table: Topology, **layers):
        super().__init__()
        self.table = table
        channels = [*channels, *[width] * len(table.nodes)]  # of each id
        self.nodes = nn.ModuleList()
        for node in table.nodes:
            read = {i: channels[i] for i in node.inputs}
            self.nodes.append(Fuse(read, width, **layers))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        maps = list(levels)
        for node, fuse in zip(self.table.nodes, self.nodes, strict=True):
            size = levels[node.level].shape[2:]
            maps.append(fuse(maps, size))  # B C H W of the node's level
        return [maps[i] for i in self.table.outputs]


class BiFPN(nn.Module):
    """Coarser levels made from the last map, then `cells` BiFPN layers.

    `in_channels` belong to the backbone's maps, the finest first, each half as large as
    the one before; `levels` maps of `width` channels come out. `topology` ("bifpn",
    "panet", "fpn", or a function) gives the table for a number of levels; `fusion`,
    `activation`, `conv` and `norm` are classes, or functions that build a module.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        width: int,
        cells: int,
        levels: int = 5,
        fusion: Callable[[int], nn.Module] = FastFusion,
        activation: Callable[[], nn.Module] = nn.SiLU,
        topology: str | Callable[[int], Topology] = "bifpn",
        conv: Callable[[int, int], nn.Module] = SeparableConv,
        norm: Callable[[int], nn.Module] = BatchNorm,
    ):
        super().__init__()
        self.in_channels, self.levels = tuple(in_channels), levels
        missing = levels - len(in_channels)
        if min(width, cells, len(in_channels), missing + 1, levels - 1) < 1:
            raise ValueError(
                f"in_channels {self.in_channels}, width {width}, cells {cells}, levels"
                f" {levels}: all positive, 2 levels or more, and a level for each input"
            )
        # P6 = pool(norm(1x1(P5))); P7 and P8 are only pooled.
        self.extra = _project(in_channels[-1] if missing else width, width, norm)
        parts = dict(fusion=fusion, activation=activation, conv=conv, norm=norm)
        channels = [*in_channels, *[width] * missing]
        table = table_of(topology, levels)
        self.cells = nn.Sequential(BiFPNLayer(channels, width, table, **parts))
        for _ in range(1, cells):
            self.cells.append(BiFPNLayer([width] * levels, width, table, **parts))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                _glorot(part)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        given = tuple(x.shape[1] for x in features)
        if given != self.in_channels:
            raise ValueError(
                f"features have {given} channels; built for {self.in_channels}"
            )
        levels = list(features)
        coarsest = self.extra(levels[-1])  # B C H W; nothing if no level is missing
        for _ in range(len(features), self.levels):
            (half,) = level_sizes(coarsest.shape[2:], 1, 1)
            coarsest = resample(coarsest, half)  # B C H/2 W/2
            levels.append(coarsest)
        return self.cells(levels)


def _glorot(conv: nn.Conv2d) -> None:
    """Uniform, with variance 2 / (fan in + fan out) of one group; bias 0."""
    fans = math.prod(conv.kernel_size) * (conv.in_channels + conv.out_channels)
    bound = math.sqrt(6 * conv.groups / fans)
    nn.init.uniform_(conv.weight, -bound, bound)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def official_names(model: BiFPN) -> dict[str, str]:
    """Our keys -> effdet's without its prefix "fpn."; for `official.load`."""
    rules = {
        r"^extra": f"resample.{len(model.in_channels)}.conv",
        r"^cells\.(\d+)\.nodes": r"cell.\1.fnode",
        r"project\.(\d+)": r"combine.resample.\1.conv",
        r"fusion\.weights": "combine.edge_weights",
        r"(\.\d+)\.norm": r"\1.after_combine.conv.bn",  # a node's; not a 1x1's
        r"norm": "bn",
        r"conv\.depthwise": "after_combine.conv.conv_dw",
        r"conv\.pointwise": "after_combine.conv.conv_pw",
    }
    names = {}
    for ours in model.state_dict():
        names[ours] = ours
        for old, new in rules.items():
            names[ours] = re.sub(old, new, names[ours])
    return names
