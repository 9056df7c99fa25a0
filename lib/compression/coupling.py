"""What each operator does to channels: which ones become one, which have to stay.

Every channel has a label, and every tensor the labels of its channels along each of its
sides. A sum makes two labels one, a concatenation puts them in a row, a convolution
joins those of its input with those of its filters and gives out new ones. An operator
that mixes channels pins them: they stay, and the reason is kept.

Rules are functions (tracer, arguments, outputs) -> the axes of each output, under the
names of PyTorch's ATen operators; NotImplementedError: not for such arguments. Support
for `tracing`; chapter 18.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


class UnionFind:
    """Labels 0, 1, 2, ...; those that were made one share a root."""

    def __init__(self):
        self.parent: list[int] = []

    def new(self, count: int) -> list[int]:
        """Labels that are like no other yet."""
        first = len(self.parent)
        self.parent += range(first, first + count)
        return self.parent[first:]

    def find(self, label: int) -> int:
        """The root of a label."""
        while self.parent[label] != label:
            # Shorten the way while going it: the next search is faster.
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def union(self, a: int, b: int) -> None:
        """Make two labels one; the older root stays."""
        a, b = sorted((self.find(a), self.find(b)))
        self.parent[b] = a


class Axis(NamedTuple):
    """The channels along one side of a tensor.

    `zero` says of each whether it would be 0 here if the layers that make it gave 0.
    """

    labels: list[int]
    zero: list[bool]

    def take(self, places) -> "Axis":
        """These channels, in this order; a place can come several times."""
        return Axis([self.labels[i] for i in places], [self.zero[i] for i in places])

    def but(self, zero: bool) -> "Axis":
        """The same channels, in a list of their own, all 0 or none of them."""
        return Axis([*self.labels], [zero] * len(self.labels))


class Member(NamedTuple):
    """One dimension of one tensor, and where each channel of a group stands in it."""

    tensor: str  # as in `named_parameters` and `named_buffers`
    dim: int
    role: str  # "out", "in", "depthwise", "norm", "bias", or "scale"
    places: tuple[tuple[int, ...], ...]  # of channel 0, 1, ...; a channel can have many

    @property
    def layer(self) -> str:
        """The layer that holds the tensor."""
        return self.tensor.rpartition(".")[0]


@dataclass(frozen=True)
class Group:
    """Channels that stand in the same places; each goes as a whole or not at all."""

    name: str  # the layer that makes them first
    members: tuple[Member, ...]
    labels: tuple[int, ...]  # the tracer's name of each channel
    refused: str = ""  # why none of them can go

    def __len__(self) -> int:
        return len(self.labels)

    def layers(self, role: str) -> list[str]:
        """Names of the layers of one role, in the order they ran."""
        return list(dict.fromkeys(m.layer for m in self.members if m.role == role))

    def __str__(self) -> str:
        lines = [f"{self.name}: {len(self)} channels"]
        lines[0] += f", refused: {self.refused}" if self.refused else ""
        for role in ("out", "depthwise", "norm", "scale", "in"):
            if names := self.layers(role):
                lines.append(f"  {role:9} {', '.join(names)}")
        return "\n".join(lines)


# They work place by place, though PyTorch does not tag them so.
POINTWISE = {
    "hardswish", "hardswish_", "_prelu_kernel",
    "elu_", "hardsigmoid_", "hardtanh_", "leaky_relu", "leaky_relu_",  # tagged later
}  # fmt: skip


def copied(tracer, args, outs):
    """A tensor of the same shape, place by place."""
    return [tracer.of(args[0])] * len(outs)


def restrided(tracer, args, outs):
    """What a pool to 1 x 1 does in channels_last memory."""
    if math.prod(outs[0].shape[2:]) > 1:
        raise NotImplementedError
    return copied(tracer, args, outs)


def spatial(tracer, args, outs):
    """Pools, padding, resizing: they work on what stands behind the second side."""
    x, axes = args[0], list(tracer.of(args[0]))
    for d, axis in enumerate(axes):
        if d > 1 or x.shape[d] != outs[0].shape[d]:
            tracer.pin(axis, f"{tracer.says()} works along its channels")
            axes[d] = None
    return [axes] * len(outs)


def padded(tracer, args, outs):
    """Padding with a number, after which a channel of zeros may be none any more."""
    (axes,) = spatial(tracer, args, outs)
    # Minus infinity stands around the picture for a maximum, which never takes it.
    harmless = not args[2:] or args[2] in (0, -math.inf)
    return [axes if harmless else [axis and axis.but(zero=False) for axis in axes]]


def reduced(tracer, args, outs):
    """Sums, means and maxima over some sides, or over all of them."""
    old, dims = tracer.of(args[0]), (*args, None)[1]
    dims = [dims] if isinstance(dims, int) else dims or range(len(old))
    dims = {d % len(old) for d in dims}
    for d in dims:
        tracer.pin(old[d], f"{tracer.says()} adds its channels up")
    if outs[0].dim() == len(old):
        return [[None if d in dims else axis for d, axis in enumerate(old)]] * len(outs)
    return [[axis for d, axis in enumerate(old) if d not in dims]] * len(outs)


def softmax(tracer, args, outs):
    """Shares of a whole: without one channel the others' grow."""
    axes = tracer.of(args[0])
    tracer.pin(axes[args[1]], f"{tracer.says()} takes the softmax over its channels")
    return [[axis and axis.but(zero=False) for axis in axes]]


def reshaped(tracer, args, outs):
    """Sides of the old and the new shape are matched in blocks of one product."""
    old = list(zip(args[0].shape, tracer.of(args[0]), strict=True))
    old = [(n, axis) for n, axis in old if n > 1]
    new = [n for n in outs[0].shape if n > 1]
    axes: list[Axis | None] = []
    while old and new:
        block, sides = [old.pop(0)], [new.pop(0)]
        while (have := math.prod(n for n, _ in block)) != (want := math.prod(sides)):
            if have < want:
                block.append(old.pop(0))
            else:
                sides.append(new.pop(0))
        axes += _block(tracer, block, sides)
    places = iter(axes)
    return [[next(places) if n > 1 else None for n in outs[0].shape]]


def _block(tracer, block, sides):
    """Several sides become one: a channel has many places then, as after `flatten`."""
    labelled = [i for i, (_, axis) in enumerate(block) if axis]
    if len(sides) == 1 and len(labelled) == 1:
        (i,) = labelled
        n, axis = block[i]
        before = math.prod(n for n, _ in block[:i])
        after = math.prod(n for n, _ in block[i + 1 :])
        return [axis.take([p for p in range(n) for _ in range(after)] * before)]
    for _, axis in block:
        tracer.pin(axis, f"{tracer.says()} deals its channels out over other sides")
    return [None] * len(sides)


def cat(tracer, args, outs):
    """One after another along one side, the same channels along the others."""
    tensors, dim = args[0], (*args, 0)[1] % outs[0].dim()
    axes: list[Axis | None] = []
    for d in range(outs[0].dim()):
        parts = [tracer.of(tensor)[d] for tensor in tensors]
        if d != dim or not any(parts):
            axes.append(tracer.join(parts))
            continue
        for i, tensor in enumerate(tensors):
            if parts[i] is None:  # a single channel, or one that no layer made
                n = tensor.shape[d]
                parts[i] = Axis(tracer.same.new(n), [False] * n)
                tracer.pin(
                    parts[i], f"{tracer.says()} has it beside what no layer made"
                )
        axes.append(Axis(*(sum(lists, []) for lists in zip(*parts, strict=True))))
    return [axes]


def stack(tracer, args, outs):
    """The same channels, along a new side."""
    tensors, dim = args[0], (*args, 0)[1] % outs[0].dim()
    sides = zip(*(tracer.of(tensor) for tensor in tensors), strict=True)
    axes = [tracer.join(side) for side in sides]
    return [[*axes[:dim], None, *axes[dim:]]]


def batch_norm(tracer, args, outs):
    """A scale, a shift and two statistics for each channel."""
    vectors = [tracer.of(vector)[0] for vector in args[1:5] if vector is not None]
    axis = tracer.join([tracer.of(args[0])[1], *vectors])
    return [_picture(axis, outs[0])]


def _picture(axis: Axis | None, out):
    """Only the second side has channels, and a layer has just made them."""
    return [None, axis and axis.but(zero=True), *[None] * (out.dim() - 2)]


def convolution(tracer, args, outs):
    """Reads the channels of its input, makes new ones; groups of it read a part."""
    x, weight, bias, transposed, groups = *args[:3], args[6], args[8]
    if transposed:
        raise NotImplementedError
    read, (made, filters) = tracer.of(x)[1], tracer.of(weight)[:2]
    if bias is not None:
        tracer.join([made, tracer.of(bias)[0]])
    if groups == x.shape[1] > 1:  # depthwise: every channel goes on alone
        tracer.depthwise.add(tracer.site_of.get(id(made and made.labels)))
        times = weight.shape[0] // groups
        old = read and read.take([p for p in range(groups) for _ in range(times)])
        tracer.join([made, old])
    elif x.shape[1] > 1:
        for axis, n in ((read, x.shape[1]), (made, weight.shape[0])):
            part = n // groups  # what stays has to be the same in every group
            for k in range(part, n if axis else 0):
                tracer.same.union(axis.labels[k % part], axis.labels[k])
        tracer.read(read and read.take(range(x.shape[1] // groups)), filters)
    pixels = outs[0].numel() // outs[0].shape[1] * math.prod(weight.shape[2:])
    tracer.count(pixels, (made, weight.shape[0]), (filters, weight.shape[1]))
    return [_picture(made, outs[0])]


def product(tracer, args, outs):
    """Matrix products, alone or in batches: rows times columns."""
    a, b = args[-2:]
    *batch, rows, read = tracer.of(a)
    *other, weight, columns = tracer.of(b)
    if a.shape[-1] > 1:
        tracer.read(read, weight)
    batch = [tracer.join(pair) for pair in zip(batch, other, strict=True)]
    sides = (rows, a.shape[-2]), (read or weight, a.shape[-1]), (columns, b.shape[-1])
    tracer.count(math.prod(a.shape[:-2]), *sides)
    return [[axis and axis.but(zero=True) for axis in (*batch, rows, columns)]]


def linear(tracer, args, outs):
    """A matrix product and a shift."""
    (axes,) = product(tracer, args[:3], outs)
    for d in range(-args[0].dim(), 0):
        if args[0].shape[d] > 1:
            tracer.join([axes[d], tracer.of(args[0])[d]])
    return [axes]


RULES = {"convolution": convolution, "mm": product, "bmm": product, "addmm": linear}
RULES |= {"cat": cat, "stack": stack, "as_strided_": restrided}
RULES |= {"constant_pad_nd": padded, "_softmax": softmax, "_log_softmax": softmax}
_ALIKE = {
    copied: "clone _to_copy bernoulli_ zeros_like ones_like empty_like",
    batch_norm: "native_batch_norm _native_batch_norm_legit_no_training"
    " cudnn_batch_norm",
    reduced: "mean sum amax amin max min var std",
    reshaped: "view _unsafe_view _reshape_alias reshape",
    spatial: "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d"
    " adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d"
    " _upsample_nearest_exact2d reflection_pad2d replication_pad2d",
}
RULES |= {name: rule for rule, names in _ALIKE.items() for name in names.split()}
