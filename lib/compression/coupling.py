"""What each operator does to channels: which ones become one, which have to stay.

Every channel has a label, and every tensor the labels of its channels along each of its
sides. A sum makes two labels one, a concatenation puts them in a row, a convolution
joins those of its input with those of its filters and gives out new ones. An operator
that mixes channels pins them: they stay, and the reason is kept.

Rules are functions (tracer, arguments, outputs) -> the axes of each output, under the
names of PyTorch's ATen operators; NotImplementedError: not for such arguments. Support
for `tracing`; chapter 18.

In a rule `args` and `outs` are what the operator got and gave, and `Axis` is the
channels along one side: None where there is nothing to prune, as along height.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.utils._pytree import tree_leaves

Axes = list["Axis | None"]  # of all sides of a tensor


class UnknownOperator(ValueError):
    """Nobody has said what this operator does to channels."""


class UnionFind:
    """Labels 0, 1, 2, ...; those that were made one share a root.

    >>> coupled = UnionFind()
    >>> made, normed = coupled.new(2), coupled.new(2)  # 0 and 1, 2 and 3
    >>> coupled.union(3, 1)  # place 1 of the norm is channel 1 of the convolution
    >>> [coupled.find(label) for label in range(4)]
    [0, 1, 2, 1]
    """

    def __init__(self):
        self.parent: list[int] = []

    def new(self, count: int) -> list[int]:
        """Labels that are like no other yet."""
        first = len(self.parent)
        labels = range(first, first + count)
        self.parent += labels  # each is its own root
        return list(labels)

    def find(self, label: int) -> int:
        """The root of a label."""
        while self.parent[label] != label:
            # Shorten the way while going it: the next search is faster.
            parent = self.parent[label]
            grandparent = self.parent[parent]
            self.parent[label] = grandparent
            label = grandparent
        return label

    def union(self, a: int, b: int) -> None:
        """Make two labels one; the older root stays."""
        root_a, root_b = self.find(a), self.find(b)
        older = min(root_a, root_b)
        younger = max(root_a, root_b)
        self.parent[younger] = older


class Axis(NamedTuple):
    """The channels along one side of a tensor.

    `zero` says of each whether it would be 0 here if the layers that make it gave 0.
    """

    labels: list[int]
    zero: list[bool]

    def take(self, places) -> "Axis":
        """These channels, in this order; a place can come several times."""
        return Axis([self.labels[i] for i in places], [self.zero[i] for i in places])

    def with_zero(self, zero: bool) -> "Axis":
        """The same channels, in a list of their own, all 0 or none of them."""
        return Axis([*self.labels], [zero] * len(self.labels))


# They work place by place, though PyTorch does not tag them so.
POINTWISE = {
    "hardswish", "hardswish_", "_prelu_kernel",
    "elu_", "hardsigmoid_", "hardtanh_", "leaky_relu", "leaky_relu_",  # tagged later
}  # fmt: skip


# --- place by place ------------------------------------------------------------------
def same_shape(tracer, args, outs):
    """A tensor of the same shape, place by place."""
    return [tracer.axes_of(args[0])] * len(outs)


def as_strided(tracer, args, outs):
    """What a pool to 1 x 1 does in channels_last memory."""
    if math.prod(outs[0].shape[2:]) > 1:
        raise NotImplementedError
    return same_shape(tracer, args, outs)


# --- some sides only -----------------------------------------------------------------
def spatial(tracer, args, outs):
    """Pools, padding, resizing: they work on what stands behind the second side."""
    x, axes = args[0], list(tracer.axes_of(args[0]))
    for d, axis in enumerate(axes):
        if d > 1 or x.shape[d] != outs[0].shape[d]:
            tracer.pin(axis, f"{tracer.layer_and_kind()} works along its channels")
            axes[d] = None
    return [axes] * len(outs)


def constant_pad(tracer, args, outs):
    """Padding with a number, after which a channel of zeros may be none any more."""
    (axes,) = spatial(tracer, args, outs)
    # Minus infinity stands around the picture for a maximum, which never takes it.
    harmless = not args[2:] or args[2] in (0, -math.inf)
    return [axes if harmless else _without_zeros(axes)]


def _without_zeros(axes: Axes) -> Axes:
    return [axis and axis.with_zero(False) for axis in axes]


def reduction(tracer, args, outs):
    """Sums, means and maxima over some sides, or over all of them."""
    axes, dims = tracer.axes_of(args[0]), (*args, None)[1]
    dims = [dims] if isinstance(dims, int) else dims or range(len(axes))
    dims = {d % len(axes) for d in dims}
    for d in dims:
        tracer.pin(axes[d], f"{tracer.layer_and_kind()} adds its channels up")
    if outs[0].dim() == len(axes):
        axes = [None if d in dims else axis for d, axis in enumerate(axes)]
    else:
        axes = [axis for d, axis in enumerate(axes) if d not in dims]
    return [axes] * len(outs)


def softmax(tracer, args, outs):
    """Shares of a whole: without one channel the others' grow."""
    axes = tracer.axes_of(args[0])
    why = f"{tracer.layer_and_kind()} takes the softmax over its channels"
    tracer.pin(axes[args[1]], why)
    return [_without_zeros(axes)]


def layer_norm(tracer, args, outs):
    """Mean and spread over the last sides: without one channel both would differ."""
    x, normalized_shape, weight, bias = args[:4]
    axes = list(tracer.axes_of(x))
    first = x.dim() - len(normalized_shape)
    why = f"{tracer.layer_and_kind()} takes mean and variance over its channels"
    vectors = [vector for vector in (weight, bias) if vector is not None]
    for d in range(first, x.dim()):
        tracer.pin(axes[d], why)
        tracer.join([axes[d], *(tracer.axes_of(v)[d - first] for v in vectors)])
    # The mean is subtracted: a channel that was 0 is so no longer.
    return [_without_zeros(axes), *[_unlabelled(out) for out in outs[1:]]]


def _unlabelled(tensor: Tensor) -> Axes:
    return [None] * tensor.dim()


def by_number(tracer, args, outs):
    """Places picked by an index: they stay, and what comes out has no channels."""
    why = f"{tracer.layer_and_kind()} takes some of its channels by number"
    for tensor in (leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)):
        for axis in tracer.axes_of(tensor):
            tracer.pin(axis, why)
    return [_unlabelled(out) for out in outs]


# --- other shapes --------------------------------------------------------------------
def reshape(tracer, args, outs):
    """Sides of the old and the new shape are matched in blocks of one product."""
    old_sides = zip(args[0].shape, tracer.axes_of(args[0]), strict=True)
    old = [(n, axis) for n, axis in old_sides if n > 1]
    new = [n for n in outs[0].shape if n > 1]
    axes: Axes = []
    while old and new:
        before, after = [old.pop(0)], [new.pop(0)]
        while True:
            size_before = math.prod(n for n, _ in before)
            size_after = math.prod(after)
            if size_before == size_after:
                break
            if size_before < size_after:
                before.append(old.pop(0))
            else:
                after.append(new.pop(0))
        axes += _reshaped_block(tracer, before, after)
    remaining = iter(axes)
    return [[next(remaining) if n > 1 else None for n in outs[0].shape]]


def _reshaped_block(tracer, before, after) -> Axes:
    """Several sides become one: a channel has many places then, as after `flatten`."""
    labelled = [i for i, (_, axis) in enumerate(before) if axis]
    if len(after) == 1 and len(labelled) == 1:
        (i,) = labelled
        channels, axis = before[i]
        outer = math.prod(n for n, _ in before[:i])
        inner = math.prod(n for n, _ in before[i + 1 :])
        places = [channel for channel in range(channels) for _ in range(inner)]
        return [axis.take(places * outer)]
    for _, axis in before:
        why = f"{tracer.layer_and_kind()} deals its channels out over other sides"
        tracer.pin(axis, why)
    return [None] * len(after)


def cat(tracer, args, outs):
    """One after another along one side, the same channels along the others."""
    tensors = args[0]
    dim = args[1] if len(args) > 1 else 0
    sides = outs[0].dim()
    axes: Axes = []
    for side in range(sides):
        parts = [tracer.axes_of(tensor)[side] for tensor in tensors]
        if side == dim % sides and any(parts):
            sizes = [tensor.shape[side] for tensor in tensors]
            axes.append(_in_a_row(tracer, parts, sizes))
        else:
            axes.append(tracer.join(parts))
    return [axes]


def _in_a_row(tracer, parts: Axes, sizes: Sequence[int]) -> Axis:
    """The labels of all parts, behind one another."""
    labels, zero = [], []
    for part, size in zip(parts, sizes, strict=True):
        if part is None:  # a single channel, or one that no layer made
            part = Axis(tracer.coupled.new(size), [False] * size)
            why = f"{tracer.layer_and_kind()} has it beside what no layer made"
            tracer.pin(part, why)
        labels += part.labels
        zero += part.zero
    return Axis(labels, zero)


def stack(tracer, args, outs):
    """The same channels, along a new side."""
    tensors, dim = args[0], (*args, 0)[1] % outs[0].dim()
    sides = zip(*(tracer.axes_of(tensor) for tensor in tensors), strict=True)
    axes = [tracer.join(side) for side in sides]
    return [[*axes[:dim], None, *axes[dim:]]]


# --- layers --------------------------------------------------------------------------
def batch_norm(tracer, args, outs):
    """A scale, a shift and two statistics for each channel."""
    vectors = [vector for vector in args[1:5] if vector is not None]
    axes = [tracer.axes_of(vector)[0] for vector in vectors]
    axis = tracer.join([tracer.axes_of(args[0])[1], *axes])
    return [_just_made(axis, outs[0])]


def _just_made(axis: Axis | None, out: Tensor) -> Axes:
    """Only the second side has channels, and a layer has just made them."""
    channels = axis and axis.with_zero(True)
    return [None, channels, *[None] * (out.dim() - 2)]


def convolution(tracer, args, outs):
    """Reads the channels of its input, makes new ones; groups of it read a part."""
    x, weight, bias = args[:3]
    transposed, groups = args[6], args[8]
    if transposed:
        raise NotImplementedError
    in_channels = x.shape[1]
    out_channels = weight.shape[0]
    read = tracer.axes_of(x)[1]
    filters, columns = tracer.axes_of(weight)[:2]
    if bias is not None:
        tracer.join([filters, tracer.axes_of(bias)[0]])
    if groups == in_channels > 1:
        filters_each = out_channels // groups
        _depthwise(tracer, read, filters, groups, filters_each)
    elif in_channels > 1:
        _alike_in_groups(tracer, read, groups)
        _alike_in_groups(tracer, filters, groups)
        first_group = read and read.take(range(in_channels // groups))
        tracer.read(first_group, columns)
    pixels = outs[0].numel() // out_channels
    taps = math.prod(weight.shape[2:])
    rows = filters, out_channels
    reads = columns, weight.shape[1]
    tracer.count(pixels * taps, rows, reads)
    return [_just_made(filters, outs[0])]


def _depthwise(tracer, read, filters, channels: int, filters_each: int) -> None:
    """Each channel goes on alone, with the filters that are its own."""
    tracer.note_depthwise(filters)
    places = [channel for channel in range(channels) for _ in range(filters_each)]
    tracer.join([filters, read and read.take(places)])


def _alike_in_groups(tracer, axis: Axis | None, groups: int) -> None:
    """What stays has to be the same in every group of a convolution."""
    labels = axis.labels if axis else []
    size = len(labels) // groups
    for place in range(size, len(labels)):
        tracer.coupled.union(labels[place % size], labels[place])


def matmul(tracer, args, outs):
    """Matrix products, alone or in batches: rows times columns."""
    a, b = args[-2:]
    *batch_a, rows, read = tracer.axes_of(a)
    *batch_b, weight, columns = tracer.axes_of(b)
    if a.shape[-1] > 1:
        tracer.read(read, weight)
    batch = [tracer.join(pair) for pair in zip(batch_a, batch_b, strict=True)]
    sides = (rows, a.shape[-2]), (read or weight, a.shape[-1]), (columns, b.shape[-1])
    tracer.count(math.prod(a.shape[:-2]), *sides)
    return [[axis and axis.with_zero(True) for axis in (*batch, rows, columns)]]


def bmm(tracer, args, outs):
    """A product of two maps adds up over channels where no layer's weights are."""
    a, b = args
    read, weight = tracer.axes_of(a)[-1], tracer.axes_of(b)[-2]
    if not tracer.is_parameter(read) and not tracer.is_parameter(weight):
        for axis in (read, weight):
            tracer.pin(axis, f"{tracer.layer_and_kind()} multiplies two maps along it")
    return matmul(tracer, args, outs)


def addmm(tracer, args, outs):
    """A matrix product and a shift."""
    (axes,) = matmul(tracer, args[:3], outs)
    for d in range(-args[0].dim(), 0):
        if args[0].shape[d] > 1:
            tracer.join([axes[d], tracer.axes_of(args[0])[d]])
    return [axes]


RULES = {"convolution": convolution, "mm": matmul, "bmm": bmm, "addmm": addmm}
RULES |= {"cat": cat, "stack": stack, "as_strided_": as_strided, "index": by_number}
RULES |= {"constant_pad_nd": constant_pad, "native_layer_norm": layer_norm}
RULES |= {"_softmax": softmax, "_log_softmax": softmax, "_safe_softmax": softmax}
_ALIKE = {
    same_shape: "clone _to_copy bernoulli_ zeros_like ones_like empty_like",
    batch_norm: "native_batch_norm _native_batch_norm_legit_no_training"
    " cudnn_batch_norm",
    reduction: "mean sum amax amin max min var std",
    reshape: "view _unsafe_view _reshape_alias reshape",
    spatial: "max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d"
    " adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d"
    " _upsample_nearest_exact2d reflection_pad2d replication_pad2d",
}
RULES |= {name: rule for rule, names in _ALIKE.items() for name in names.split()}
