"""Channels that stand in the same places make a group, which is pruned together.

What a trace tells of each channel is put in order: the tensors it stands in, along
which dimension, at which places, and what it does there: a layer makes it, reads it,
norms it. Support for `channel_pruning`; chapter 18.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lib.compression.tracing import Site, Trace


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


def coupled_groups(model: nn.Module, trace: Trace) -> list[Group]:
    """The groups of channels that a trace of this model has found."""
    where = _places_of_roots(trace)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    groups: list[Group] = []
    used: Counter[str] = Counter()
    for (_, refused), roots in _alike(where, trace).items():
        members = []
        for name, dim in where[roots[0]]:
            role = _role(model, trace, name, dim, tensors[name])
            places = tuple(tuple(where[root][name, dim]) for root in roots)
            members.append(Member(name, dim, role, places))
        if all(tensors[member.tensor].dim() < 2 for member in members):
            continue  # weights of a fusion and their like: no layer makes or reads them
        makers = [member.layer for member in members if member.role == "out"]
        name = makers[0] if makers else f"input of {members[0].layer}"
        used[name] += 1
        name += f"#{used[name]}" if used[name] > 1 else ""
        groups.append(Group(name, tuple(members), tuple(roots), refused))
    return groups


def _places_of_roots(trace: Trace) -> dict[int, dict[Site, list[int]]]:
    """For each channel the sites where it stands, and its places there."""
    where: dict[int, dict] = defaultdict(lambda: defaultdict(list))
    for site, roots in trace.sites.items():
        for place, root in enumerate(roots):
            where[root][site].append(place)
    return where


def _alike(where: dict[int, dict], trace: Trace) -> dict[tuple, list[int]]:
    """Channels with the same sites, equally often, and one reason to stay or none."""
    alike = defaultdict(list)
    for root, sites in where.items():
        counts = frozenset((site, len(places)) for site, places in sites.items())
        alike[counts, trace.pinned.get(root, "")].append(root)
    return alike


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
