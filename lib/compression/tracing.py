"""Which channels of a network belong together, found by running it once.

Every place along the first two sides of a parameter gets a label. The network runs on
one input, and PyTorch tells each operator before it works: `coupling` has the rules for
what happens to labels. Those that became one can only leave the network together. An
operator that nobody has explained is an error with the layer's name.

Idea: dependency graphs, Fang et al., arXiv 2301.12900, here for channels instead of
layers. Support for `channel_pruning`; chapter 18.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry
from torch.utils.module_tracker import ModuleTracker
from torch.utils.weak import WeakTensorKeyDictionary

from lib.compression import copying, traceable
from lib.compression.coupling import (
    POINTWISE,
    RULES,
    Axes,
    Axis,
    UnionFind,
    UnknownOperator,
)
from lib.compression.traceable import is_inside

Site = tuple[str, int]  # a tensor of the model by name, and one of its sides
PRIMES = 1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117
PRODUCTS = "mm", "bmm", "addmm", "baddbmm"
# As users write them: `chunk` reaches PyTorch's operators as a split.
WRITTEN = {"split": "split or chunk", "split_with_sizes": "split"}


@dataclass(frozen=True)
class Trace:
    """What one run has told. Channels are named by their roots.

    `products` are what `profiling.macs` counts: a factor, and the channels whose
    numbers it is multiplied by.
    """

    sites: dict[Site, list[int]]  # the root of each place
    pinned: dict[int, str]  # root: why it has to stay
    readers: frozenset[Site]  # where a layer consumes channels
    depthwise: frozenset[Site]
    products: tuple[tuple[int, tuple[list[int], ...]], ...]


def trace(model: nn.Module, example_input, keep: Iterable[str] = ()) -> Trace:
    """Run a copy of the model once and say which channels are one.

    `example_input` is a tensor, or a tuple of all arguments. Layers named in `keep`
    stay as they are, and what the tracer does not understand in them is no error.
    Parameters that evaluation leaves out (an auxiliary head) are looked for in a second
    run, in training mode. ValueError names the layer whose operator is unknown.
    """
    inputs = traceable.arguments_of(example_input)
    twin = copying.copied(model).eval()
    keep = traceable.layer_names(twin, keep)
    traceable.insist_on_plain_weights(twin, keep)
    twin.requires_grad_(False)
    tracer = Tracer(twin, keep)
    tracer.run(inputs)
    products = tuple(tracer.products)
    unseen = [name for name, p in twin.named_parameters() if p not in tracer.axes]
    if unseen:
        for module in twin.modules():
            module.training = not isinstance(module, _BatchNorm | _DropoutNd)
        try:
            tracer.run(inputs)
        except UnknownOperator:
            raise
        except ValueError as error:
            raise ValueError(
                f"{unseen[0]} is not used in evaluation mode, and in training mode the"
                f" model does not run on this input ({error}): take it out first"
            ) from error
    return tracer.result(products)


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Attention as plain products and a softmax: fused kernels hide them."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class Tracer(TorchDispatchMode):
    """Sees every operator of the runs inside, and keeps the labels of every tensor."""

    def __init__(self, model: nn.Module, keep: tuple[str, ...] = ()):
        super().__init__()
        self.model, self.keep, self.tracker = model, keep, ModuleTracker()
        held = [*model.named_parameters(), *model.named_buffers()]
        self.names = {id(tensor): name for name, tensor in held}
        self.axes = WeakTensorKeyDictionary()
        self.shares = WeakTensorKeyDictionary()  # what comes from a softmax
        self.coupled, self.why = UnionFind(), {}
        self.sites: dict[Site, list[int]] = {}
        self.site_of: dict[int, Site] = {}  # by the identity of the list of labels
        self.readers: set[Site] = set()
        self.depthwise: set[Site] = set()
        self.products: list[tuple] = []
        self.just_read: list[int] = []  # labels, by the operator that runs now

    def run(self, inputs: tuple) -> None:
        """One forward pass; the channels of its outputs have to stay."""
        try:
            with torch.no_grad(), _unfused_attention(), self, self.tracker:
                outputs = self.model(*inputs)
        except UnknownOperator:
            raise
        except Exception as error:  # whatever a strange forward pass may raise
            why = str(error) or type(error).__name__
            raise ValueError(
                f"the model does not run on example_input: {why}"
            ) from error
        tensors = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        if not tensors:
            raise ValueError(
                f"the model returns {type(outputs).__name__}; its outputs have to be"
                " tensors, alone or in tuples, lists and dictionaries"
            )
        for tensor in tensors:
            for axis in self.axes_of(tensor):
                self.pin(axis, "an output of the network")

    def result(self, products: tuple) -> Trace:
        """Everything by its roots."""

        def roots(labels):
            return [self.coupled.find(label) for label in labels]

        for (name, _), labels in self.sites.items():
            if is_inside(name, self.keep):
                self.pin(Axis(labels, []), "kept, as asked")
        pinned: dict[int, str] = {}
        for label, why in self.why.items():
            pinned.setdefault(self.coupled.find(label), why)
        return Trace(
            {site: roots(labels) for site, labels in self.sites.items()},
            pinned, frozenset(self.readers), frozenset(self.depthwise),
            tuple((n, tuple(map(roots, parts))) for n, parts in products),
        )  # fmt: skip

    # --- what the rules are made of ---------------------------------------------------
    def layer(self) -> str:
        """The name of the innermost layer that runs now."""
        inner = self.tracker.parents - {"Global"}
        deepest = max(inner, key=lambda name: name.count("."), default="")
        return deepest.partition(".")[2]

    def layer_and_kind(self) -> str:
        """That layer's name and kind, for messages."""
        name = self.layer()
        kind = type(self.model.get_submodule(name)).__name__
        return f"{name or 'the model'} ({kind})"

    def axes_of(self, tensor: Tensor) -> Axes:
        """The axes of a tensor; None where there is nothing to prune."""
        if tensor not in self.axes:
            name = self.names.get(id(tensor))
            axes: Axes = [None] * tensor.dim()
            for d, size in enumerate(tensor.shape[:2] if name else ()):
                if size > 1:  # a single channel has to stay anyway
                    labels = self.coupled.new(size)
                    axes[d] = Axis(labels, [True] * size)
                    self.sites[name, d] = labels
                    self.site_of[id(labels)] = name, d
            self.axes[tensor] = axes
        return self.axes[tensor]

    def any_free(self, tensors: Iterable[Tensor]) -> bool:
        """Is there a channel along some side that nobody has pinned so far?"""
        axes = [axis for tensor in tensors for axis in self.axes_of(tensor) if axis]
        return any(label not in self.why for axis in axes for label in axis.labels)

    def pin(self, axis: Axis | None, why: str) -> None:
        """These channels have to stay."""
        for label in axis.labels if axis else ():
            self.why.setdefault(label, why)

    def join(self, axes: Sequence[Axis | None]) -> Axis | None:
        """The same place of all axes is one channel; 0 where all are 0."""
        known = [axis for axis in axes if axis]
        if not known:
            return None
        first = known[0].labels
        for axis in known[1:]:
            for a, b in zip(first, axis.labels, strict=True):
                if a != b:
                    self.coupled.union(a, b)
        zero = [all(place) for place in zip(*(a.zero for a in known), strict=True)]
        if len(known) < len(axes):
            why = f"{self.layer_and_kind()} joins it with what no layer has made"
            self.pin(known[0], why)
        return Axis(list(first), zero)  # a parameter's own list says: here I am read

    def read(self, x: Axis | None, weight: Axis | None) -> None:
        """A layer consumes the channels `x`, one by each place of `weight`."""
        sites = [self.site_of.get(id(axis.labels)) for axis in (x, weight) if axis]
        self.readers |= {site for site in sites if site}
        self.just_read += [
            label for axis in (x, weight) if axis for label in axis.labels
        ]
        if x is None or weight is None:
            self.pin(
                x or weight, f"{self.layer_and_kind()} reads what no layer has made"
            )
            return
        zero = self.join([x, weight]).zero
        alive = [a for a, is_zero in zip(x.labels, zero, strict=True) if not is_zero]
        # Out of the network it would be 0; in it, without its makers, it would not.
        why = f"{self.layer_and_kind()} reads it after an f with f(0) != 0"
        self.pin(Axis(alive, []), why)

    def is_parameter(self, axis: Axis | None) -> bool:
        """Do these channels stand in a parameter itself?"""
        return axis is not None and id(axis.labels) in self.site_of

    def note_depthwise(self, filters: Axis | None) -> None:
        """These filters work on one channel each."""
        site = self.site_of.get(id(filters.labels)) if filters else None
        self.depthwise |= {site} - {None}

    def count(self, factor: int, *sides: tuple[Axis | None, int]) -> None:
        """Note a product; a side without channels is part of the factor."""
        factor *= math.prod(n for axis, n in sides if axis is None)
        labels = tuple(axis.labels for axis, _ in sides if axis)
        self.products.append((factor, labels))

    # --- one operator -----------------------------------------------------------------
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        held = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outs = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        # Taken down before an operator that works in place gives its tensor new axes.
        inputs_axes = [axis for t in held for axis in self.axes_of(t) if axis]
        self.watch_for_attention(func, held, outs)
        if inputs_axes:
            axes_of_outs = self.propagate(func, args, kwargs, held, outs)
            for tensor, axes in zip(outs, axes_of_outs, strict=False):
                sides = zip(tensor.shape, axes, strict=True)
                self.axes[tensor] = [axis if n > 1 else None for n, axis in sides]
            self.pin_what_is_lost(inputs_axes, outs)
        else:
            self.count_whole(func, args, kwargs, out)
        return out

    def pin_what_is_lost(self, before: list[Axis], outs: list[Tensor]) -> None:
        """Channels that came in, were not read, and stand in no output.

        An operator has mixed them in a way that its rule does not speak of: a norm of a
        weight over its columns, a convolution that slides along the channels.
        """
        after = [axis.labels for out in outs for axis in self.axes_of(out) if axis]
        followed = {self.coupled.find(label) for labels in after for label in labels}
        followed |= {self.coupled.find(label) for label in self.just_read}
        self.just_read.clear()
        for axis in before:
            lost = [a for a in axis.labels if self.coupled.find(a) not in followed]
            why = f"{self.layer_and_kind()} works along its channels" if lost else ""
            self.pin(Axis(lost, []), why)

    def count_whole(self, func, args, kwargs, out) -> None:
        """A product between tensors without channels costs what it always did."""
        formula = flop_registry.get(func.overloadpacket)
        if formula:
            flops = formula(*args, **kwargs, out_val=out)
            self.count(flops // 2)

    def watch_for_attention(self, func, held, outs) -> None:
        """Refuse a product of a softmax with values that were dealt out over heads.

        Values that still have their channels (one head) are no obstacle.
        """
        name = func.overloadpacket.__name__
        maps = [tensor for tensor in held if id(tensor) not in self.names]
        from_softmax = [tensor in self.shares for tensor in maps]
        product = name in PRODUCTS and len(maps) > 1 and any(from_softmax)
        is_attention = (product and not self.any_free(maps)) or "attention" in name
        if is_attention and not is_inside(self.layer(), self.keep):
            raise UnknownOperator(
                f"{self.layer_and_kind()} is attention, whose heads deal channels out"
                " by number: no rule says which are coupled; name the layer in `keep`,"
                " and what it touches stays whole"
            )
        through = maps and all(from_softmax) and name not in PRODUCTS
        if through or name in ("_softmax", "_safe_softmax"):
            self.shares.update(dict.fromkeys(outs, True))

    def propagate(self, func, args, kwargs, held, outs) -> list[Axes]:
        """The axes of each output."""
        name = func.overloadpacket.__name__
        if rule := RULES.get(name):
            with suppress(NotImplementedError):
                return rule(self, args, outs)
        elif torch.Tag.pointwise in func.tags or name in POINTWISE:
            return [self.pointwise(func, args, kwargs, held, outs[0])]
        elif func.is_view:
            return self.view(func, args, kwargs)
        if not is_inside(self.layer(), self.keep):
            raise UnknownOperator(
                f"{self.layer_and_kind()}: no rule says which channels {func} couples;"
                " name the layer in `keep`, and what it touches stays whole"
            )
        for axis in (axis for tensor in held for axis in self.axes_of(tensor)):
            self.pin(axis, f"{self.layer_and_kind()} is kept")
        self.count_whole(func, args, kwargs, outs[0])
        return [[None] * tensor.dim() for tensor in outs]

    def pointwise(self, func, args, kwargs, held, out) -> Axes:
        """Sides are matched from the last one on; a side of 1 is repeated."""
        axes: Axes = []
        for d in range(-out.dim(), 0):
            full = [t.dim() >= -d and t.shape[d] == out.shape[d] for t in held]
            sides = list(zip(held, full, strict=True))
            axis = self.join([self.axes_of(t)[d] for t, is_full in sides if is_full])
            if axis:
                here = [self.axes_of(t)[d] if is_full else None for t, is_full in sides]
                other = [False] * len(axis.labels)
                cases = [*zip(*(a.zero if a else other for a in here), strict=True)]
                zero = {c: self.stays_zero(func, args, kwargs, c) for c in set(cases)}
                axis = Axis(axis.labels, [zero[case] for case in cases])
            axes.append(axis)
        return axes

    @staticmethod
    def stays_zero(func, args, kwargs, zeros: Sequence[bool]) -> bool:
        """Does the operator give 0 where these of its tensors are 0, the others not?"""
        values = iter(zeros)

        def stand_in(x):
            if not isinstance(x, Tensor):
                return x
            value = 0.0 if next(values) else 0.7531
            return torch.full((1,) * x.dim(), value, device="cpu").to(x.dtype)

        args, kwargs = tree_map(stand_in, (args, kwargs))
        return bool((func(*args, **kwargs) == 0).all())

    def view(self, func, args, kwargs) -> list[Axes]:
        """Ask a tensor without data, whose sides are told apart by their strides."""
        x, *rest = args
        old, kept = self.axes_of(x), set()
        views: list[Axes] = []
        sides = list(zip(x.shape, PRIMES, strict=False))
        probe = torch.empty_strided(x.shape, PRIMES[: x.dim()], device="meta")
        for seen in tree_leaves(func(probe, *rest, **kwargs)):
            places = zip(seen.shape, seen.stride(), strict=True)
            origin = [sides.index(side) if side in sides else None for side in places]
            views.append([None if d is None else old[d] for d in origin])
            kept |= set(origin)
        name = func.overloadpacket.__name__
        why = f"{self.layer_and_kind()} takes some of its channels by number"
        for d in set(range(x.dim())) - kept:
            self.pin(old[d], f"{why} ({WRITTEN.get(name, name)})")
        return views
