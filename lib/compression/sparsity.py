"""Sparsity: weights set to zero, and what a zero is worth.

The smallest weights of a trained network go; a mask says which stay, in each layer or
over all layers at once. A cubic schedule removes them while training mends the rest;
rewinding trains what is left from its first values again. A zero saves nothing by
itself: a file must leave it out, a kernel must skip it. N:M masks are made for kernels
that do: n of every m neighbours stay, packed as values and places.

Chapter 17. arXiv 1710.01878 (schedule), 1803.03635 (rewinding), 2104.08378 (2:4).
"""

import copy
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

Masks = dict[str, Tensor]  # weight name -> bool, True where a weight stays
KINDS = (nn.Linear, nn.modules.conv._ConvNd)  # biases and norms are few: they stay
SHIFTS = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)  # four 2-bit numbers in a byte


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of all convolutions and linear layers by name, shared ones once.

    ValueError where there is none; it names a weight that has no finite values.
    """
    found, seen = {}, set()
    for prefix, module in model.named_modules():
        if not isinstance(module, KINDS) or id(module.weight) in seen:
            continue
        name, weight = f"{prefix}.weight".lstrip("."), module.weight
        if not isinstance(weight, nn.Parameter) or weight.is_meta:
            raise ValueError(f"{name} is on meta or parametrized: it holds no values")
        _insist_on_numbers(weight, name)
        seen.add(id(weight))
        found[name] = weight
    if not found:
        raise ValueError(f"{type(model).__name__} has no convolution or linear layer")
    return found


def _insist_on_numbers(weight: Tensor, name: str = "the weight") -> None:
    if not weight.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity: magnitudes have no order")


def zeros(model: nn.Module) -> float:
    """The share of prunable weights that are exactly zero."""
    weights = torch.cat([w.detach().flatten() for w in prunable(model).values()])
    return 1 - int(weights.count_nonzero()) / weights.numel()


def magnitude_mask(weight: Float[Tensor, "*n"], sparsity: float) -> Bool[Tensor, "*n"]:
    """False at the smallest magnitudes, `sparsity` of all, rounded; one always stays.

    Among equals the first goes first. ValueError outside [0, 1), or for NaN.
    """
    if not 0 <= sparsity < 1:  # also refuses NaN
        raise ValueError(f"sparsity is {sparsity}: the share of zeros, 0 <= it < 1")
    _insist_on_numbers(weight)
    size = weight.numel()
    gone = min(round(sparsity * size), size - 1)
    order = weight.detach().abs().flatten().argsort(stable=True)
    mask = torch.ones(size, dtype=torch.bool, device=weight.device)
    mask[order[:gone]] = False  # Eq. 17.1
    return mask.view(weight.shape)


def layer_masks(model: nn.Module, sparsity: float) -> Masks:
    """`magnitude_mask` in each layer by itself: all get the same share of zeros."""
    return {k: magnitude_mask(w, sparsity) for k, w in prunable(model).items()}


def global_masks(model: nn.Module, sparsity: float) -> Masks:
    """`magnitude_mask` over all layers together: one threshold, unequal shares.

    A layer may be left with nothing. And where a batch norm follows, the size of a
    layer's weights means nothing, which this comparison trusts.
    """
    weights = prunable(model)
    together = torch.cat([w.detach().flatten() for w in weights.values()])
    sizes = [w.numel() for w in weights.values()]
    parts = magnitude_mask(together, sparsity).split(sizes)  # Eq. 17.2
    named = zip(weights.items(), parts, strict=True)
    return {name: part.view(w.shape) for (name, w), part in named}


@torch.no_grad()
def apply(model: nn.Module, masks: Masks) -> nn.Module:
    """Set masked weights to zero, in place; layers without a mask stay as they are.

    All masks are looked at first: a ValueError leaves the model as it was.
    """
    weights = prunable(model)
    for name, mask in masks.items():
        if name not in weights:
            raise ValueError(f"{name}: no such weight; there is {', '.join(weights)}")
        has, needs = (mask.dtype, mask.shape), (torch.bool, weights[name].shape)
        if has != needs:
            raise ValueError(f"{name}: the mask is {has}; needed is {needs}")
    for name, mask in masks.items():
        weights[name].masked_fill_(~mask.to(weights[name].device), 0)
    return model


def cubic(step: int, begin: int, end: int, final: float, initial: float = 0.0) -> float:
    """Sparsity at a step, from `begin` to `end`: slower as fewer weights are left."""
    if not 0 <= begin < end:
        raise ValueError(f"a schedule needs 0 <= begin < end; got {begin=}, {end=}")
    left = 1 - min(max((step - begin) / (end - begin), 0.0), 1.0)
    return final + (initial - final) * left**3  # Eq. 17.3


class Gradual:
    """`on_step` for `training.fit`: sparsity follows `schedule(step)`, zeros stay.

    The optimizer moves masked weights too; after each step they are zero again. Every
    `every` steps `choose(model, sparsity)` makes new `masks`: zeros are the smallest,
    so none comes back. A run resumed from a checkpoint chooses at its first step.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Callable[[int], float],
        choose: Callable[[nn.Module, float], Masks] = global_masks,
        every: int = 10,
    ):
        self.model, self.schedule, self.choose = model, schedule, choose
        self.every, self.masks = every, {}

    def __call__(self, step: int, logs: dict | None = None) -> None:
        apply(self.model, self.masks)
        if not self.masks or step % self.every == 0:
            self.masks = self.choose(self.model, self.schedule(step))
            apply(self.model, self.masks)


@torch.no_grad()
def sensitivity(model: nn.Module, sparsities: Sequence[float], score: Callable) -> dict:
    """For each layer, by name: `score(model)` at each sparsity of this layer alone.

    The model is as it was afterwards, also where `score` fails.
    """
    found = {}
    for name, weight in prunable(model).items():
        masks = [magnitude_mask(weight, s) for s in sparsities]
        kept, found[name] = weight.detach().clone(), []
        try:
            for mask in masks:
                weight.copy_(kept.masked_fill(~mask, 0))
                found[name].append(score(model))
        finally:
            weight.copy_(kept)
    return found


def rewind(model: nn.Module, state: dict, masks: Masks) -> nn.Module:
    """A new model with an earlier state, masked weights being zero.

    `state` is a `state_dict` from before training (a lottery ticket), or from another
    draw: the control that a ticket has to beat.
    """
    ticket = copy.deepcopy(model)
    ticket.load_state_dict(state)
    return apply(ticket, masks)  # Eq. 17.4


class FileSizes(NamedTuple):
    """Bytes of one weight in four forms."""

    dense: int
    zip: int  # the dense bytes, deflated
    bitmap: int  # a bit for each place, then the values
    csr: int  # (column, value) pairs row by row; columns and row starts of 4 bytes


def file_sizes(weight: Tensor) -> FileSizes:
    """Bytes that a weight (R, ...) takes as it is, deflated, and without its zeros."""
    raw = weight.detach().cpu().contiguous().numpy().tobytes()
    size, item, left = weight.numel(), weight.itemsize, int(weight.count_nonzero())
    csr = left * (item + 4) + 4 * (len(weight) + 1)  # Eq. 17.5
    bitmap = (size + 7) // 8 + left * item
    return FileSizes(len(raw), len(zlib.compress(raw)), bitmap, csr)


def nm_mask(
    weight: Float[Tensor, "O I *k"], n: int = 2, m: int = 4
) -> Bool[Tensor, "O I *k"]:
    """Keep the n largest of every m neighbours along the input channels.

    A kernel adds up over input channels, so there it can skip. Among equals the first
    stays. ValueError where m does not divide the input channels.
    """
    if not 0 < n < m or weight.shape[1] % m:
        raise ValueError(
            f"{n}:{m} of {tuple(weight.shape)}: 0 < n < m, and m divides dimension 1"
        )
    _insist_on_numbers(weight)
    groups = weight.detach().abs().movedim(1, -1).unflatten(-1, (-1, m))  # ... I/m m
    best = groups.argsort(dim=-1, descending=True, stable=True)[..., :n]
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, best, True)
    return mask.flatten(-2).movedim(-1, 1).contiguous()  # Eq. 17.6


class Packed(NamedTuple):
    """An n:4 matrix without its zeros: n values a group, and where each stood."""

    values: Float[Tensor, "R N"]  # N = C n / 4
    places: UInt8[Tensor, " B"]  # 2 bits a value, the first one lowest in its byte
    n: int


def pack(weight: Float[Tensor, "R C"], n: int = 2) -> Packed:
    """An n:4 matrix as values and 2-bit places; `unpack` gives it back exactly.

    ValueError that names the first group with more than n values.
    """
    if not 0 < n < 4 or weight.shape[1] % 4:
        raise ValueError(f"{n}:4 of {weight.shape[1]} columns: 0 < n < 4, groups of 4")
    groups = weight.detach().unflatten(1, (-1, 4))  # R G 4
    for row, group in ((groups != 0).sum(-1) > n).nonzero().tolist():
        where = f"row {row}, columns {4 * group} to {4 * group + 3}"
        raise ValueError(f"{where}: more than {n} values; apply an {n}:4 mask first")
    # Values first, and zeros where a group has fewer than n; then left to right.
    order = (groups == 0).byte().argsort(dim=-1, stable=True)
    places = order[..., :n].sort(-1).values  # R G n
    four = nn.functional.pad(places.flatten(), (0, -places.numel() % 4)).view(-1, 4)
    bits = (four.byte() << SHIFTS.to(four.device)).sum(1)
    return Packed(groups.gather(-1, places).flatten(1), bits.byte(), n)


def unpack(packed: Packed) -> Float[Tensor, "R C"]:
    """The matrix that was packed."""
    values = packed.values.unflatten(1, (-1, packed.n))  # R G n
    places = packed.places[:, None] >> SHIFTS.to(packed.places.device) & 3
    places = places.flatten()[: values.numel()].view_as(values).long()
    groups = values.new_zeros(*values.shape[:2], 4)
    return groups.scatter_(-1, places, values).flatten(1)


def semi_structured(weight: Float[Tensor, "R C"]) -> Tensor:
    """A 2:4 matrix on a GPU in PyTorch's form, whose products skip the zeros.

    ValueError for what torch.sparse.to_sparse_semi_structured cannot do.
    """
    able = torch.cuda.get_device_capability(weight.device) if weight.is_cuda else (0, 0)
    half = weight.dtype in (torch.float16, torch.bfloat16)
    if able < (8, 0) or not half or weight.shape[0] % 32 or weight.shape[1] % 64:
        raise ValueError(
            f"{weight.dtype} {tuple(weight.shape)} on {weight.device}: 2:4 products"
            " need float16 or bfloat16, rows in 32s, columns in 64s, and an NVIDIA GPU"
            " of compute capability 8.0 or more; elsewhere zeros are multiplied"
        )
    pack(weight)  # refuses what is not 2:4
    return torch.sparse.to_sparse_semi_structured(weight.detach())
