"""Channel pruning: take whole channels out, so that the network really gets smaller.

A channel does not end at its layer. Who adds two maps, filters them one by one or norms
them needs the same channels in both, and who reads them has a column of weights for
each. `groups` finds what belongs together (`tracing` runs the network once),
`importance` says which channels do least, `prune` gives a smaller network, which then
has to be trained a little. `masked` is the same network with the same channels at zero:
what a pruned network has to be equal to.

Sources: L1 of filters, arXiv 1608.08710; scale of the batch norm, 1708.06519; Taylor
expansion, 1906.10771; coupled channels, 2301.12900. Chapter 18.
"""

import copy
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from lib.basics import checkpoints, profiling
from lib.compression.coupling import Group
from lib.compression.tracing import Trace, grouped, trace

Removed = dict[str, tuple[int, ...]]  # group's name: channels of it, from 0
Number = int | float
Share = Number | dict[str, Number]  # of all groups, or by the name of each
KINDS = "l1", "l2", "bn", "taylor"  # of importance


def groups(model: nn.Module, example_input, keep: Iterable[str] = ()) -> list[Group]:
    """The coupled channels of a network, in the order in which they are made.

    `example_input` is a tensor or a tuple of all arguments; `keep` names layers that
    stay as they are. A group with a reason in `refused` is never pruned. Raises
    ValueError with the layer's name for an operator that is not understood.
    """
    return grouped(model, trace(model, example_input, keep))


# --- which channels ------------------------------------------------------------------
def importance(model: nn.Module, group: Group, kind: str = "l2") -> Float[Tensor, " C"]:
    """One number a channel of a group: the smallest go first.

    "l1", "l2"   norm of all weights that make, filter or read the channel
    "bn"         mean absolute scale of its batch norms; "l2" where there is none
    "taylor"     first-order guess of what the loss changes by if it is masked; reads
                 `.grad`, so call `backward` on a loss of this model before

    ValueError for another word, a missing gradient, or a result that is NaN.
    """
    if kind not in KINDS:
        raise ValueError(f"importance is {kind!r}; there is {', '.join(KINDS)}")
    if kind == "bn" and not _rows(model, group, "norm"):
        kind = "l2"
    roles = {"bn": ("norm",), "taylor": ("in",)}.get(kind, ("out", "depthwise", "in"))
    rows = _rows(model, group, *roles, slope=kind == "taylor")
    if kind == "bn":
        score = torch.cat(rows, 1).abs().mean(1)  # Eq. 18.4
    elif kind == "taylor":
        score = torch.cat(rows, 1).sum(1).abs()  # Eq. 18.5
    else:
        score = torch.cat(rows, 1).norm(int(kind[1]), dim=1)  # Eq. 18.3
    if score.is_meta:  # for counting: any will do
        return torch.zeros(len(group), device="cpu")
    if score.isnan().any():
        raise ValueError(f"importance {kind!r} of {group.name} is NaN: it has no order")
    return score


_importance = importance  # for where an argument has its name


def _rows(model: nn.Module, group: Group, *roles: str, slope=False) -> list[Tensor]:
    """For each parameter of these roles a matrix: a row of its weights a channel.

    With `slope`, weights times their gradients. Of a norm only the scale counts.
    """
    found = []
    for member in (m for m in group.members if m.role in roles):
        leaf = member.tensor.rpartition(".")[2]
        tensor = getattr(model.get_submodule(member.layer), leaf)
        if member.role == "norm" and leaf != "weight":
            continue
        if slope and tensor.grad is None:
            raise ValueError(f"importance 'taylor': {member.tensor} has no gradient")
        values = (tensor * tensor.grad if slope else tensor).detach()
        table = values.movedim(member.dim, 0)[torch.tensor(member.places)]
        found.append(table.reshape(len(group), -1))
    return found


# --- how many ------------------------------------------------------------------------
def kept_channels(channels: int, ratio: Number, multiple: int = 1) -> int:
    """How many stay: all but the share `ratio`, rounded up to a multiple."""
    # 0.29 * 100 is 28.999999999999996: a hair is added before it is cut off.
    kept = channels - int(ratio * channels + 1e-9)
    return min(channels, math.ceil(kept / multiple) * multiple)  # Eq. 18.2


@dataclass(frozen=True)
class Plan:
    """What is to go, and what the smaller network will cost."""

    groups: tuple[Group, ...]
    removed: Removed
    trace: Trace
    parameters: int  # trainable ones, as `profiling.parameters` will count them
    macs: int  # of the example, as `profiling.macs` will count them

    @cached_property
    def gone(self) -> set[int]:
        """The tracer's names of the removed channels."""
        gone = [(g.labels, self.removed.get(g.name, ())) for g in self.groups]
        return {labels[channel] for labels, channels in gone for channel in channels}

    def kept(self, tensor: str, dim: int) -> list[int]:
        """The places that stay along one dimension of a tensor."""
        roots = self.trace.sites[tensor, dim]
        return [i for i, root in enumerate(roots) if root not in self.gone]


def _planned(model, found: Sequence[Group], traced, removed: Removed) -> Plan:
    """With parameters and multiply-adds, counted from the trace alone."""
    plan = Plan(tuple(found), removed, traced, 0, 0)
    stay = {site: len(plan.kept(*site)) for site in traced.sites}
    parameters = macs = 0
    for name, tensor in model.named_parameters():
        sizes = [stay.get((name, d), n) for d, n in enumerate(tensor.shape)]
        parameters += math.prod(sizes) * tensor.requires_grad
    for factor, sides in traced.products:
        sizes = [sum(root not in plan.gone for root in side) for side in sides]
        macs += factor * math.prod(sizes)  # Eq. 18.1
    return replace(plan, parameters=parameters, macs=macs)


def plan(
    model: nn.Module, example_input, ratio: Share | None = None, *,
    target_macs: Number | None = None, removed: Removed | None = None,
    importance: str = "l2", multiple: int = 1, keep: Iterable[str] = (),
) -> Plan:  # fmt: skip
    """Decide what goes: by one share, by a price, or channel by channel.

    One of three: `ratio`, the share of every group that goes, 0 <= ratio < 1, or such
    shares by the names of groups; `target_macs`, the most multiply-adds that may be
    left, reached with the smallest single share; `removed`, channels by the name of
    their group. The least important go first; what stays of a group is rounded up to a
    `multiple`, and is never nothing. ValueError for anything else, and for a network
    none of whose groups can go.
    """
    if sum(each is not None for each in (ratio, target_macs, removed)) != 1:
        raise ValueError("give one of ratio, target_macs and removed")
    shares = ratio if isinstance(ratio, dict) else {"ratio": ratio or 0}
    for name, share in shares.items():
        if not 0 <= share < 1:  # also refuses NaN
            raise ValueError(f"{name} is {share}: the share that goes, 0 <= it < 1")
    if multiple < 1 or multiple != int(multiple):
        raise ValueError(f"multiple is {multiple}: a whole number from 1 on")
    traced = trace(model, example_input, keep)
    found = grouped(model, traced)
    free = [group for group in found if not group.refused]
    if removed is not None:
        _check(found, removed)
        return _planned(model, found, traced, removed)
    if strange := sorted(shares.keys() - {"ratio", *(group.name for group in free)}):
        raise ValueError(f"ratio: {strange[0]} is no group that can go; see `groups`")
    if not free:
        why = "; ".join(f"{group.name}: {group.refused}" for group in found)
        raise ValueError(f"no channel can be pruned. {why}")
    scores = {group.name: _importance(model, group, importance) for group in free}
    order = {name: each.argsort(stable=True).tolist() for name, each in scores.items()}

    def at(ratio) -> Plan:
        first = {}
        for group in free:
            share = ratio.get(group.name, 0) if isinstance(ratio, dict) else ratio
            stay = kept_channels(len(group), share, multiple)
            first[group.name] = tuple(order[group.name][: len(group) - stay])
        return _planned(model, found, traced, first)

    if target_macs is None:
        return at(ratio)
    shares = sorted({k / len(group) for group in free for k in range(len(group))})
    if (least := at(shares[-1]).macs) > target_macs:
        raise ValueError(f"target_macs is {target_macs}; the least possible is {least}")
    first = bisect_left(shares, True, key=lambda share: at(share).macs <= target_macs)
    return at(shares[first])


def _check(found: Sequence[Group], removed: Removed) -> None:
    """Refuse what cannot be done, with the group's name."""
    names = {group.name: group for group in found}
    for name, channels in removed.items():
        if name not in names:
            raise ValueError(f"removed: no group {name!r}; see `groups`")
        group = names[name]
        if channels and group.refused:
            raise ValueError(f"removed: {name} has to stay: {group.refused}")
        if not set(channels) <= set(range(len(group))):
            raise ValueError(f"removed: {name} has channels 0 to {len(group) - 1}")
        if len(set(channels)) == len(group):
            raise ValueError(f"removed: nothing would be left of {name}")


# --- the smaller network -------------------------------------------------------------
def prune(model: nn.Module, example_input, ratio: Share | None = None, **how):
    """A new, smaller model; the one passed in is untouched. Arguments as of `plan`."""
    return carry_out(model, example_input, plan(model, example_input, ratio, **how))


def carry_out(model: nn.Module, example_input, plan: Plan) -> nn.Module:
    """A copy of the model without the channels that a plan removes.

    It has run once on the example when it is returned. ValueError if it does not run,
    as where a forward pass has a number of channels written into it.
    """
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, dim in plan.trace.sites:
        stay = torch.tensor(plan.kept(name, dim), device=tensors[name].device)
        tensors[name] = tensors[name].detach().index_select(dim, stay)
    return _fitted(model, tensors, example_input)


def reshaped(model: nn.Module, state: dict[str, Tensor], example_input) -> nn.Module:
    """A copy of the model that holds the tensors of a state dict, whatever their sizes.

    So the weights of a pruned network find the layers it was made of. ValueError names
    a tensor that only one of the two has, or says why the copy does not run.
    """
    if strange := sorted(model.state_dict().keys() ^ state.keys()):
        raise ValueError(f"{strange[0]} is in one of model and state, not in both")
    return _fitted(model, state, example_input)


def load(model: nn.Module, path, example_input) -> nn.Module:
    """`reshaped` by the weights of a file, as "detector_pruned", in eval mode."""
    return reshaped(model, checkpoints.read_weights(path), example_input).eval()


@torch.no_grad()
def _fitted(model: nn.Module, tensors: dict[str, Tensor], example_input) -> nn.Module:
    new, fresh = copy.deepcopy(model), {}
    for prefix, module in new.named_modules():
        for held in (module._parameters, module._buffers):
            for leaf, old in held.items():
                name = f"{prefix}.{leaf}" if prefix else leaf
                if name in tensors and id(old) not in fresh:  # tied ones stay tied
                    fresh[id(old)] = old, _like(old, tensors[name])
                held[leaf] = fresh.get(id(old), (old, old))[1]
        _state_sizes(module)
    inputs = example_input if isinstance(example_input, tuple) else (example_input,)
    hooks = []
    for module in new.modules():
        if isinstance(getattr(module, "in_channels", None), tuple):
            hooks.append(module.register_forward_pre_hook(_told_inputs))
        if isinstance(getattr(module, "channels", None), tuple):
            hooks.append(module.register_forward_hook(_told_outputs))
    try:
        profiling.macs(new, *inputs)  # runs it in evaluation mode, and counts
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        raise ValueError(f"the smaller network does not run: {error}") from error
    for hook in hooks:
        hook.remove()
    return new


def _like(old: Tensor, values: Tensor) -> Tensor:
    """New values as a parameter or a buffer, in the memory order of the old ones."""
    values = values.detach().clone()
    if old.dim() == 4 and old.stride()[1::2] == (1, old.shape[1]):
        values = values.to(memory_format=torch.channels_last)
    if isinstance(old, nn.Parameter):
        return nn.Parameter(values, old.requires_grad)
    return values


def _state_sizes(module: nn.Module) -> None:
    """What a layer says of its size, and works with, follows from its weights."""
    if isinstance(module, _ConvNd):
        filters, depth = module.weight.shape[:2]
        if module.groups == module.in_channels > 1:  # depthwise
            module.groups = filters * module.groups // module.out_channels
        module.in_channels, module.out_channels = depth * module.groups, filters
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _BatchNorm) and module.affine:
        module.num_features = len(module.weight)


def _told_inputs(module, args) -> None:
    """BiFPN, for one, compares what comes with what it was built for."""
    module.in_channels = tuple(x.shape[1] for x in args[0])


def _told_outputs(module, args, outputs) -> None:
    module.channels = tuple(x.shape[1] for x in outputs)


def masked(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy of full size in which removed channels are 0 wherever a layer reads them.

    After norm and activation: in evaluation mode the pruned network is equal to it.
    """
    new = copy.deepcopy(model)
    for name, dim in plan.trace.readers:
        kept = plan.kept(name, dim)
        weight, layer = new.get_parameter(name), new.get_submodule(name[:-7])
        if len(kept) == weight.shape[dim]:
            continue
        if dim != 1 or not isinstance(layer, _ConvNd | nn.Linear):
            raise ValueError(f"masked: {name} is no weight of a convolution or a layer")
        mask = torch.zeros(weight.shape[1], device=weight.device, dtype=weight.dtype)
        mask[kept] = 1
        if isinstance(layer, _ConvNd):  # every group of filters reads its own part
            mask = mask.repeat(layer.groups).view(-1, *[1] * (weight.dim() - 2))
        layer.register_forward_pre_hook(lambda _, x, mask=mask: (x[0] * mask, *x[1:]))
    return new
