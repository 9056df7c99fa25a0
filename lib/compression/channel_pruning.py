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

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lib.basics import arguments, checkpoints
from lib.compression import copying, resizing
from lib.compression.grouping import Group, Member, coupled_groups
from lib.compression.tracing import Site, Trace, trace

Removed = dict[str, tuple[int, ...]]  # group's name: channels of it, from 0
Order = dict[str, list[int]]  # group's name: its channels, the first to go first
Number = int | float
Share = Number | dict[str, Number]  # of all groups, or by the name of each
KINDS = "l1", "l2", "bn", "taylor"  # of importance


def groups(model: nn.Module, example_input, keep: Iterable[str] = ()) -> list[Group]:
    """The coupled channels of a network, in the order in which they are made.

    `example_input` is a tensor or a tuple of all arguments; `keep` names layers that
    stay as they are. A group with a reason in `refused` is never pruned. Raises
    ValueError with the layer's name for an operator that is not understood.
    """
    return coupled_groups(model, trace(model, example_input, keep))


# --- which channels ------------------------------------------------------------------
def norm_of_weights(weights: Float[Tensor, "C N"], p: int) -> Float[Tensor, " C"]:
    """L1 (`p` = 1) or L2 norm of all weights of each channel (Eq. 18.3).

    >>> filters = torch.tensor([[1.0, -2, 2], [0, 3, 4]])
    >>> read_with = torch.tensor([[4.0], [12]])
    >>> weights = torch.cat([filters, read_with], dim=1)
    >>> norm_of_weights(weights, 1)  # 1 + 2 + 2 + 4 and 0 + 3 + 4 + 12
    tensor([ 9., 19.])
    >>> norm_of_weights(weights, 2)  # roots of 1 + 4 + 4 + 16 and 9 + 16 + 144
    tensor([ 5., 13.])
    """
    return weights.norm(p, dim=1)


def mean_scale(scales: Float[Tensor, "C N"]) -> Float[Tensor, " C"]:
    """Mean absolute scale of each channel over its N batch norms (Eq. 18.4).

    >>> mean_scale(torch.tensor([[-3.0, 1.0], [0.5, 0.5]]))
    tensor([2.0000, 0.5000])
    """
    return scales.abs().mean(dim=1)


def taylor(
    weights: Float[Tensor, "C N"], gradients: Float[Tensor, "C N"]
) -> Float[Tensor, " C"]:
    """What the loss changes by, to first order, if a channel is masked (Eq. 18.5).

    >>> weights = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    >>> gradients = torch.tensor([[0.5, -1.0], [1.0, -2.0]])
    >>> taylor(weights, gradients)  # |0.5 - 2| and |3 - 2|: the signs count first
    tensor([1.5000, 1.0000])
    """
    products = weights * gradients
    change = products.sum(dim=1)
    return change.abs()


def importance(model: nn.Module, group: Group, kind: str = "l2") -> Float[Tensor, " C"]:
    """One number a channel of a group: the smallest go first.

    "l1", "l2"   norm of all weights that make, filter or read the channel
    "bn"         mean absolute scale of its batch norms; "l2" where there is none
    "taylor"     first-order guess of what the loss changes by if it is masked; reads
                 `.grad`, so call `backward` on a loss of this model before

    ValueError for another word, a missing gradient, or a result that is NaN.
    """
    arguments.instance("model", model, nn.Module)
    arguments.instance("group", group, Group, "one of `groups`")
    _insist_on_group_of(model, group)
    if kind not in KINDS:
        raise ValueError(f"importance is {kind!r}; there is {', '.join(KINDS)}")
    scales = _rows(model, group, ("norm",))
    if kind == "taylor":
        readers = _rows(model, group, ("in",))
        slopes = _rows(model, group, ("in",), gradients=True)
        score = taylor(torch.cat(readers, 1), torch.cat(slopes, 1))
    elif kind == "bn" and scales:
        score = mean_scale(torch.cat(scales, 1))
    else:
        weights = _rows(model, group, ("out", "depthwise", "in"))
        p = 1 if kind == "l1" else 2
        score = norm_of_weights(torch.cat(weights, 1), p)
    if score.is_meta:  # for counting: any will do
        return torch.zeros(len(group), device="cpu")
    if score.isnan().any():
        raise ValueError(f"importance {kind!r} of {group.name} is NaN: it has no order")
    return score


def _insist_on_group_of(model: nn.Module, group: Group) -> None:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, dim, _, places in group.members:
        last = max(max(of_channel) for of_channel in places)
        if name not in tensors or tensors[name].shape[dim] <= last:
            raise ValueError(f"group is of another model: {name} does not fit")


def _rows(
    model: nn.Module, group: Group, roles: Sequence[str], gradients: bool = False
) -> list[Tensor]:
    """For each parameter of these roles a matrix: a row of its weights a channel.

    With `gradients` those of the weights. Of a norm only the scale counts.
    """
    matrices = []
    for member in group.members:
        leaf = member.tensor.rpartition(".")[2]
        shift_or_statistic = member.role == "norm" and leaf != "weight"
        if member.role not in roles or shift_or_statistic:
            continue
        tensor = getattr(model.get_submodule(member.layer), leaf)
        values = tensor.grad if gradients else tensor
        if values is None:
            raise ValueError(f"importance 'taylor': {member.tensor} has no gradient")
        matrices.append(_row_a_channel(values.detach(), member))
    return matrices


def _row_a_channel(values: Tensor, member: Member) -> Tensor:
    by_place = values.movedim(member.dim, 0)
    places = torch.tensor(member.places)  # C P
    by_channel = by_place[places]  # C P ...
    return by_channel.reshape(len(places), -1)


# --- how many ------------------------------------------------------------------------
def kept_channels(channels: int, ratio: Number, multiple: int = 1) -> int:
    """How many stay: all but the share `ratio`, rounded up to a multiple.

    >>> kept_channels(40, 0.5, multiple=16)  # 20 would stay: the next multiple is 32
    32
    """
    arguments.whole_number("channels", channels, least=1)
    arguments.real_number("ratio", ratio, least=0, below=1)
    arguments.whole_number("multiple", multiple, least=1)
    # 0.29 * 100 is 28.999999999999996: a hair is added before it is cut off.
    removed = int(ratio * channels + 1e-9)
    blocks = math.ceil((channels - removed) / multiple)
    return min(channels, blocks * multiple)  # Eq. 18.2


def shares_by_loss(losses: dict[str, dict[Number, Number]], price: Number) -> dict:
    """For each group the share that costs `price` where this group alone is pruned.

    `losses[group][share]` is what was lost then, of AP say. Between the shares, and
    from nothing at 0, it is a straight line; where it falls, the larger one before it
    counts. The largest share that was tried is the most. ValueError outside [0, 1).

    >>> losses = {"stem": {0.25: 0.1, 0.5: 0.3}, "head": {0.25: 0.02, 0.5: 0.04}}
    >>> shares_by_loss(losses, 0.2)  # halfway from 0.1 to 0.3; and 0.04 is less
    {'stem': 0.375, 'head': 0.5}
    """
    arguments.instance("losses", losses, dict, "group's name: loss by share")
    arguments.real_number("price", price, least=0)
    shares = {}
    for name, tried in losses.items():
        share = lost = 0.0
        for next_share, loss in _tried(name, tried):
            next_lost = max(loss, lost)
            if next_lost > price:
                share += (price - lost) / (next_lost - lost) * (next_share - share)
                break
            share, lost = next_share, next_lost
        shares[name] = share
    return shares


def _tried(name: str, losses: dict[Number, Number]) -> list[tuple[Number, Number]]:
    """(share, loss), the smallest share first, after a look at both."""
    where = f"losses[{name!r}]"
    arguments.instance(where, losses, dict, "share: loss")
    for share, loss in losses.items():
        arguments.real_number(f"{where}: a share", share, least=0, below=1)
        arguments.real_number(f"{where}[{share}]", loss)
    return sorted(losses.items())


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
        labels = set()
        for group in self.groups:
            removed = self.removed.get(group.name, ())
            labels |= {group.labels[channel] for channel in removed}
        return labels

    def kept(self, tensor: str, dim: int) -> list[int]:
        """The places that stay along one dimension of a tensor."""
        roots = self.trace.sites[tensor, dim]
        return [place for place, root in enumerate(roots) if root not in self.gone]

    def all_kept(self) -> dict[Site, list[int]]:
        """The places that stay, for every dimension of a tensor that has channels."""
        return {site: self.kept(*site) for site in self.trace.sites}


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
    _check_shares(ratio)
    if target_macs is not None:
        arguments.real_number("target_macs", target_macs, infinite=True)
    multiple = arguments.whole_number("multiple", multiple, least=1)
    traced = trace(model, example_input, keep)
    groups = tuple(coupled_groups(model, traced))
    unpruned = Plan(groups, {}, traced, 0, 0)  # its costs are not priced yet
    if removed is not None:
        return plan_by_hand(model, unpruned, removed)
    _check_groups(unpruned.groups, ratio)
    order = ranked(model, unpruned.groups, importance)
    if target_macs is not None:
        return plan_by_macs(model, unpruned, order, target_macs, multiple)
    return plan_by_ratio(model, unpruned, order, ratio, multiple)


def ranked(model: nn.Module, groups: Sequence[Group], kind: str) -> Order:
    """For each group that can go its channels, the least important first."""
    order = {}
    for group in groups:
        if not group.refused:
            score = importance(model, group, kind)
            order[group.name] = score.argsort(stable=True).tolist()
    return order


def plan_by_ratio(
    model: nn.Module, whole: Plan, order: Order, ratio: Share, multiple: int
) -> Plan:
    """The same share of every group goes, or of each group its own."""
    removed = {}
    for name, channels in order.items():
        share = ratio.get(name, 0) if isinstance(ratio, dict) else ratio
        kept = kept_channels(len(channels), share, multiple)
        removed[name] = tuple(channels[: len(channels) - kept])
    return priced(model, replace(whole, removed=removed))


def plan_by_macs(
    model: nn.Module, whole: Plan, order: Order, target_macs: Number, multiple: int
) -> Plan:
    """The smallest single share that leaves at most `target_macs` multiply-adds."""
    sizes = {len(channels) for channels in order.values()}
    # A group loses a channel at these shares only; between two of them nothing changes.
    shares = sorted({gone / size for size in sizes for gone in range(size)})

    def at(share: float) -> Plan:
        return plan_by_ratio(model, whole, order, share, multiple)

    least = at(shares[-1]).macs
    if least > target_macs:
        raise ValueError(f"target_macs is {target_macs}; the least possible is {least}")
    # A larger share never costs more: the first that is cheap enough, by halving.
    first = bisect_left(shares, True, key=lambda share: at(share).macs <= target_macs)
    return at(shares[first])


def plan_by_hand(model: nn.Module, whole: Plan, removed: Removed) -> Plan:
    """These channels go, by the name of their group; ValueError where they cannot."""
    arguments.instance("removed", removed, dict, "group's name: channels of it")
    by_name = {group.name: group for group in whole.groups}
    checked = {}
    for name, channels in removed.items():
        if name not in by_name:
            raise ValueError(f"removed: no group {name!r}; see `groups`")
        checked[name] = _checked_channels(by_name[name], channels)
    return priced(model, replace(whole, removed=checked))


def _checked_channels(group: Group, channels: Iterable[int]) -> tuple[int, ...]:
    """The channels to remove, if this group can do without them."""
    name = f"removed[{group.name!r}]"
    wanted = "a list of channels"
    if isinstance(channels, str | bytes | dict) or not isinstance(channels, Iterable):
        raise arguments.refuse(name, channels, wanted)
    channels = tuple(arguments.whole_number(name, channel) for channel in channels)
    if channels and group.refused:
        raise ValueError(f"removed: {group.name} has to stay: {group.refused}")
    if not set(channels) <= set(range(len(group))):
        raise ValueError(f"removed: {group.name} has channels 0 to {len(group) - 1}")
    if len(set(channels)) == len(group):
        raise ValueError(f"removed: nothing would be left of {group.name}")
    return channels


def priced(model: nn.Module, plan: Plan) -> Plan:
    """With parameters and multiply-adds, counted from the trace alone."""
    stay = {site: len(places) for site, places in plan.all_kept().items()}
    parameters = macs = 0
    for name, tensor in model.named_parameters():
        sizes = [stay.get((name, dim), n) for dim, n in enumerate(tensor.shape)]
        parameters += math.prod(sizes) * tensor.requires_grad
    for factor, sides in plan.trace.products:
        sizes = [sum(root not in plan.gone for root in side) for side in sides]
        macs += factor * math.prod(sizes)  # Eq. 18.1
    return replace(plan, parameters=parameters, macs=macs)


def _check_shares(ratio: Share | None) -> None:
    shares = {} if ratio is None else {"ratio": ratio}
    if isinstance(ratio, dict):
        shares = {f"ratio: {name}": share for name, share in ratio.items()}
    for name, share in shares.items():
        try:
            arguments.real_number(name, share, least=0, below=1)
        except ValueError:
            raise ValueError(
                f"{name} is {arguments.shown(share)}: the share that goes, 0 <= it < 1"
            ) from None


def _check_groups(groups: Sequence[Group], ratio: Share | None) -> None:
    """Is there anything to prune, and are the names those of groups?"""
    free = {group.name for group in groups if not group.refused}
    named = ratio.keys() if isinstance(ratio, dict) else set()
    if strange := sorted(map(str, named - free)):
        raise ValueError(f"ratio: {strange[0]} is no group that can go; see `groups`")
    if not free:
        why = "; ".join(f"{group.name}: {group.refused}" for group in groups)
        raise ValueError(f"no channel can be pruned. {why}")


# --- the smaller network -------------------------------------------------------------
def prune(model: nn.Module, example_input, ratio: Share | None = None, **how):
    """A new, smaller model; the one passed in is untouched. Arguments as of `plan`."""
    chosen = plan(model, example_input, ratio, **how)
    return remove_channels(model, example_input, chosen)


def keep_places(
    tensors: dict[str, Tensor], kept: dict[Site, list[int]]
) -> dict[str, Tensor]:
    """The same tensors with only the places that stay: `kept[name, dim]` lists them.

    A convolution loses filters (dimension 0), its norm the same places of all that it
    holds, and who reads them the same columns (dimension 1).

    >>> tensors = {"conv.weight": torch.tensor([[1.0], [2], [3]])}
    >>> tensors["norm.running_mean"] = torch.tensor([0.1, 0.2, 0.3])
    >>> tensors["reader.weight"] = torch.tensor([[4.0, 5, 6]])
    >>> stay = [0, 2]  # channel 1 goes
    >>> kept = {("conv.weight", 0): stay, ("norm.running_mean", 0): stay}
    >>> smaller = keep_places(tensors, kept | {("reader.weight", 1): stay})
    >>> [smaller[name].tolist() for name in ("conv.weight", "reader.weight")]
    [[[1.0], [3.0]], [[4.0, 6.0]]]
    >>> smaller["norm.running_mean"]
    tensor([0.1000, 0.3000])
    """
    smaller = dict(tensors)
    for (name, dim), places in kept.items():
        tensor = smaller[name].detach()
        index = torch.tensor(places, device=tensor.device)
        smaller[name] = tensor.index_select(dim, index)
    return smaller


def remove_channels(model: nn.Module, example_input, plan: Plan) -> nn.Module:
    """A copy of the model without the channels that a plan removes.

    It has run once on the example when it is returned. ValueError if it does not run,
    as where a forward pass has a number of channels written into it.
    """
    arguments.instance("model", model, nn.Module)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    _insist_on_plan_of(tensors, plan)
    smaller = keep_places(tensors, plan.all_kept())
    return resizing.with_tensors(model, smaller, example_input)


def _insist_on_plan_of(tensors: dict[str, Tensor], plan: Plan) -> None:
    arguments.instance("plan", plan, Plan, "what `plan` gives")
    for (name, dim), roots in plan.trace.sites.items():
        if name not in tensors or tensors[name].shape[dim : dim + 1] != (len(roots),):
            raise ValueError(f"plan is of another model: {name} does not fit")


def load_pruned_state(
    model: nn.Module, state: dict[str, Tensor], example_input
) -> nn.Module:
    """A copy of the model that holds the tensors of a state dict, whatever their sizes.

    So the weights of a pruned network find the layers it was made of. ValueError names
    a tensor that only one of the two has, or says why the copy does not run.
    """
    arguments.instance("model", model, nn.Module)
    arguments.instance("state", state, dict, "a `state_dict`")
    mine = model.state_dict(keep_vars=True)  # so that tied ones are one object
    if strange := sorted(map(str, mine.keys() ^ state.keys())):
        raise ValueError(f"{strange[0]} is in one of model and state, not in both")
    first_names: dict[int, str] = {}
    for name, tensor in mine.items():
        if not isinstance(state[name], Tensor) or state[name].dim() != tensor.dim():
            wanted = f"a tensor of {tensor.dim()} sides, as in the model"
            raise arguments.refuse(f"state[{name!r}]", state[name], wanted)
        first = first_names.setdefault(id(tensor), name)
        if first != name and not torch.equal(state[first], state[name]):
            raise ValueError(f"{first} and {name} are tied in the model, not in state")
    return resizing.with_tensors(model, state, example_input)


def load(model: nn.Module, path, example_input) -> nn.Module:
    """`load_pruned_state` of a file, as "detector_pruned", in eval mode."""
    state = checkpoints.read_weights(arguments.path("path", path))
    return load_pruned_state(model, state, example_input).eval()


# --- the same, at full size ----------------------------------------------------------
def masked(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy of full size in which removed channels are 0 wherever a layer reads them.

    After norm and activation: in evaluation mode the pruned network is equal to it.
    """
    twin = copying.copied(model)
    tensors = dict(twin.named_parameters())
    tensors |= dict(twin.named_buffers())
    _insist_on_plan_of(tensors, plan)
    for name, dim in plan.trace.readers:
        kept = plan.kept(name, dim)
        weight = twin.get_parameter(name)
        if len(kept) == weight.shape[dim]:
            continue
        for layer in _layers_with(twin, weight, name, dim):
            mask = _mask_of_inputs(layer, kept)
            multiply = partial(_multiply_input, mask=mask)
            layer.register_forward_pre_hook(multiply)
    return twin


def _layers_with(model, weight, name, dim) -> list[nn.Module]:
    """The layers that read with this weight: several, where it is tied."""
    layers = [m for m in model.modules() if getattr(m, "weight", None) is weight]
    known = layers and all(isinstance(m, _ConvNd | nn.Linear) for m in layers)
    if dim != 1 or not known:
        raise ValueError(f"masked: {name} is no weight of a convolution or a layer")
    return layers


def _mask_of_inputs(layer: nn.Module, kept: list[int]) -> Tensor:
    """1 at the channels of its input that stay, 0 at the others."""
    weight = layer.weight
    mask = torch.zeros(weight.shape[1], device=weight.device, dtype=weight.dtype)
    mask[kept] = 1
    if isinstance(layer, nn.Linear):
        return mask
    per_group = mask.repeat(layer.groups)  # every group reads its own part
    return per_group.view(-1, *[1] * (weight.dim() - 2))  # C 1 1


def _multiply_input(layer, args, mask: Tensor):
    x, *rest = args
    return x * mask, *rest
