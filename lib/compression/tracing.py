"""Which channels of a network belong together, found by running it once.

Every place along the first two sides of a parameter gets a label. The network runs on
one input, and PyTorch tells each operator before it works: `coupling` has the rules for
what happens to labels. Those that became one can only leave the network together. An
operator that nobody has explained is an error with the layer's name.

Idea: dependency graphs, Fang et al., arXiv 2301.12900, here for channels instead of
layers. Support for `channel_pruning`; chapter 18.
"""

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.module_tracker import ModuleTracker
from torch.utils.weak import WeakTensorKeyDictionary

from lib.compression.coupling import POINTWISE, RULES, Axis, Group, Member, UnionFind

Site = tuple[str, int]  # a tensor of the model by name, and one of its sides
PRIMES = 1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117


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
    inputs = example_input if isinstance(example_input, tuple) else (example_input,)
    twin = copy.deepcopy(model).eval()
    names = dict(twin.named_modules())
    if strange := [name for name in keep if name not in names]:
        raise ValueError(f"keep: the model has no layer {strange[0]!r}")
    tracer = Tracer(twin, tuple(keep))
    tracer.run(inputs)
    products = tuple(tracer.products)
    unseen = [name for name, p in twin.named_parameters() if p not in tracer.axes]
    if unseen:
        for module in twin.modules():
            module.training = not isinstance(module, _BatchNorm | _DropoutNd)
        try:
            tracer.run(inputs)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"{unseen[0]} is not used in evaluation mode, and in training mode the"
                f" model does not run on this input ({error}): take it out first"
            ) from error
    return tracer.result(products)


def grouped(model: nn.Module, trace: Trace) -> list[Group]:
    """The groups of channels that a trace of this model has found."""
    where: dict[int, dict] = defaultdict(lambda: defaultdict(list))
    for site, roots in trace.sites.items():
        for place, root in enumerate(roots):
            where[root][site].append(place)
    alike = defaultdict(list)  # channels with the same sites, equally often
    for root, sites in where.items():
        counts = frozenset((site, len(places)) for site, places in sites.items())
        alike[counts, trace.pinned.get(root, "")].append(root)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    found: list[Group] = []
    used: Counter[str] = Counter()
    for (_, refused), roots in alike.items():
        members = []
        for name, dim in where[roots[0]]:
            role = _role(model, trace, name, dim, tensors[name])
            places = tuple(tuple(where[root][name, dim]) for root in roots)
            members.append(Member(name, dim, role, places))
        if all(tensors[m.tensor].dim() < 2 for m in members):
            continue  # weights of a fusion and their like: no layer makes or reads them
        makers = [m.layer for m in members if m.role == "out"]
        name = makers[0] if makers else f"input of {members[0].layer}"
        used[name] += 1
        name += f"#{used[name]}" if used[name] > 1 else ""
        found.append(Group(name, tuple(members), tuple(roots), refused))
    return found


def _role(model, trace, name: str, dim: int, tensor: Tensor) -> str:
    owner = model.get_submodule(name.rpartition(".")[0])
    if (name, dim) in trace.readers:
        return "in"
    if (name, dim) in trace.depthwise:
        return "depthwise"
    if isinstance(owner, _BatchNorm):
        return "norm"
    if tensor.dim() > 1 and isinstance(owner, nn.Conv2d | nn.Linear):
        return "out"
    return "bias" if name.endswith("bias") else "scale"


class Tracer(TorchDispatchMode):
    """Sees every operator of the runs inside, and keeps the labels of every tensor."""

    def __init__(self, model: nn.Module, keep: tuple[str, ...] = ()):
        super().__init__()
        self.model, self.keep, self.tracker = model, keep, ModuleTracker()
        held = [*model.named_parameters(), *model.named_buffers()]
        self.names = {id(tensor): name for name, tensor in held}
        self.axes = WeakTensorKeyDictionary()
        self.same, self.why = UnionFind(), {}
        self.sites: dict[Site, list[int]] = {}
        self.site_of: dict[int, Site] = {}  # by the identity of the list of labels
        self.readers: set[Site] = set()
        self.depthwise: set[Site] = set()
        self.products: list[tuple] = []

    def run(self, inputs: tuple) -> None:
        """One forward pass; the channels of its outputs have to stay."""
        with torch.no_grad(), self, self.tracker:
            outputs = self.model(*inputs)
        found = [t for t in tree_leaves(outputs) if isinstance(t, Tensor)]
        if not found:
            raise ValueError(
                f"the model returns {type(outputs).__name__}; its outputs have to be"
                " tensors, alone or in tuples, lists and dictionaries"
            )
        for axis in (axis for t in found for axis in self.of(t)):
            self.pin(axis, "an output of the network")

    def result(self, products: tuple) -> Trace:
        """Everything by its roots."""

        def roots(labels):
            return [self.same.find(label) for label in labels]

        for (name, _), labels in self.sites.items():
            if self.kept(name):
                self.pin(Axis(labels, []), "kept, as asked")
        pinned: dict[int, str] = {}
        for label, why in self.why.items():
            pinned.setdefault(self.same.find(label), why)
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

    def says(self) -> str:
        """That layer's name and kind, for messages."""
        name = self.layer()
        kind = type(self.model.get_submodule(name)).__name__
        return f"{name or 'the model'} ({kind})"

    def kept(self, name: str) -> bool:
        """Does this layer or tensor belong to a layer named in `keep`?"""
        return any(f"{name}.".startswith(f"{layer}.") for layer in self.keep)

    def of(self, tensor: Tensor) -> list[Axis | None]:
        """The axes of a tensor; None where there is nothing to prune."""
        if tensor not in self.axes:
            name = self.names.get(id(tensor))
            axes: list[Axis | None] = [None] * tensor.dim()
            for d, size in enumerate(tensor.shape[:2] if name else ()):
                if size > 1:  # a single channel has to stay anyway
                    labels = self.same.new(size)
                    axes[d] = Axis(labels, [True] * size)
                    self.sites[name, d] = labels
                    self.site_of[id(labels)] = name, d
            self.axes[tensor] = axes
        return self.axes[tensor]

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
                    self.same.union(a, b)
        zero = [all(place) for place in zip(*(a.zero for a in known), strict=True)]
        if len(known) < len(axes):
            self.pin(known[0], f"{self.says()} joins it with what no layer has made")
        return Axis(list(first), zero)  # a parameter's own list says: here I am read

    def read(self, x: Axis | None, weight: Axis | None) -> None:
        """A layer consumes the channels `x`, one by each place of `weight`."""
        sites = [self.site_of.get(id(a.labels)) for a in (x, weight) if a]
        self.readers |= {site for site in sites if site}
        if x is None or weight is None:
            self.pin(x or weight, f"{self.says()} reads what no layer has made")
            return
        zero = self.join([x, weight]).zero
        lively = [a for a, is_zero in zip(x.labels, zero, strict=True) if not is_zero]
        # Out of the network it would be 0; in it, without its makers, it would not.
        self.pin(Axis(lively, []), f"{self.says()} reads it after an f with f(0) != 0")

    def count(self, factor: int, *sides: tuple[Axis | None, int]) -> None:
        """Note a product; a side without channels is part of the factor."""
        factor *= math.prod(n for axis, n in sides if axis is None)
        self.products.append((factor, tuple(axis.labels for axis, _ in sides if axis)))

    # --- one operator -----------------------------------------------------------------
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        held = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if any(any(self.of(tensor)) for tensor in held):
            outs = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
            found = self.follow(func, args, kwargs, held, outs)
            for tensor, axes in zip(outs, found, strict=False):
                sides = zip(tensor.shape, axes, strict=True)
                self.axes[tensor] = [axis if n > 1 else None for n, axis in sides]
        return out

    def follow(self, func, args, kwargs, held, outs) -> list[list[Axis | None]]:
        """The axes of each output."""
        name = func.overloadpacket.__name__
        if rule := RULES.get(name):
            with suppress(NotImplementedError):
                return rule(self, args, outs)
        elif torch.Tag.pointwise in func.tags or name in POINTWISE:
            return [self.pointwise(func, args, kwargs, held, outs[0])]
        elif func.is_view:
            return self.view(func, args, kwargs)
        if not self.kept(self.layer()):
            raise ValueError(
                f"{self.says()}: no rule says which channels {func} couples; name the"
                " layer in `keep`, and what it touches stays whole"
            )
        for axis in (axis for tensor in held for axis in self.of(tensor)):
            self.pin(axis, f"{self.says()} is kept")
        return [[None] * tensor.dim() for tensor in outs]

    def pointwise(self, func, args, kwargs, held, out) -> list[Axis | None]:
        """Sides are matched from the last one on; a side of 1 is repeated."""
        axes: list[Axis | None] = []
        for d in range(-out.dim(), 0):
            full = [t.dim() >= -d and t.shape[d] == out.shape[d] for t in held]
            sides = list(zip(held, full, strict=True))
            axis = self.join([self.of(t)[d] for t, is_full in sides if is_full])
            if axis:
                here = [self.of(t)[d] if is_full else None for t, is_full in sides]
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

    def view(self, func, args, kwargs) -> list[list[Axis | None]]:
        """Ask a tensor without data, whose sides are told apart by their strides."""
        x, *rest = args
        old, found, kept = self.of(x), [], set()
        sides = list(zip(x.shape, PRIMES, strict=False))
        probe = torch.empty_strided(x.shape, PRIMES[: x.dim()], device="meta")
        for seen in tree_leaves(func(probe, *rest, **kwargs)):
            places = zip(seen.shape, seen.stride(), strict=True)
            origin = [sides.index(side) if side in sides else None for side in places]
            found.append([None if d is None else old[d] for d in origin])
            kept |= set(origin)
        for d in set(range(x.dim())) - kept:
            self.pin(old[d], f"{self.says()} takes some of its channels by number")
        return found
