"""Sparsity: weights set to zero, and what a zero is worth.

The smallest weights of a trained network go; a mask says which stay, in each layer or
over all layers at once. A cubic schedule removes them while training mends the rest;
rewinding trains what is left from its first values again. A zero saves nothing by
itself: a file must leave it out, a kernel must skip it. N:M masks are made for kernels
that do: n of every m neighbours stay, packed as values and places.

Chapter 17. arXiv 1710.01878 (schedule), 1803.03635 (rewinding), 2104.08378 (2:4).
"""

import zlib
from collections.abc import Callable, Iterable
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from lib.basics import arguments
from lib.compression import copying

Masks = dict[str, Tensor]  # weight name -> bool, True where a weight stays
KINDS = (nn.Linear, nn.modules.conv._ConvNd)  # biases and norms are few: they stay
SHIFTS = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)  # four 2-bit numbers in a byte


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of all convolutions and linear layers by name, shared ones once.

    ValueError where there is none; it names a weight that has no finite values.
    """
    arguments.instance("model", model, nn.Module)
    weights, seen = {}, set()
    for prefix, module in model.named_modules():
        if not isinstance(module, KINDS) or id(module.weight) in seen:
            continue
        name, weight = f"{prefix}.weight".lstrip("."), module.weight
        if not isinstance(weight, nn.Parameter) or weight.is_meta:
            raise ValueError(f"{name} is on meta or parametrized: it holds no values")
        _insist_on_numbers(weight, name)
        seen.add(id(weight))
        weights[name] = weight
    if not weights:
        raise ValueError(f"{type(model).__name__} has no convolution or linear layer")
    return weights


def _insist_on_numbers(weight: Tensor, name: str = "the weight") -> None:
    arguments.tensor(name, weight, "...")
    if not weight.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity: magnitudes have no order")


def _insist_on_share(sparsity: float) -> None:
    is_number = isinstance(sparsity, Real) and not isinstance(sparsity, bool)
    if not is_number or not 0 <= sparsity < 1:  # the comparison also refuses NaN
        raise ValueError(f"sparsity is {sparsity!r}: the share of zeros, 0 <= it < 1")


def _insist_on_both(weight: Tensor, sparsity: float) -> None:
    _insist_on_share(sparsity)
    _insist_on_numbers(weight)


def share_of_zeros(model: nn.Module) -> float:
    """The share of prunable weights that are exactly zero."""
    flat = [weight.detach().flatten() for weight in prunable(model).values()]
    together = torch.cat(flat)
    nonzero = int(together.count_nonzero())
    return 1 - nonzero / together.numel()


def magnitude_mask(weight: Float[Tensor, "*n"], sparsity: float) -> Bool[Tensor, "*n"]:
    """False at the smallest magnitudes, `sparsity` of all, rounded; one always stays.

    Among equals the first goes first. ValueError outside [0, 1), or for NaN.

    >>> weight = torch.tensor([0.5, -0.1, 0.2, -0.8])
    >>> magnitude_mask(weight, 0.5)  # half of the four: 0.1 and 0.2 are the smallest
    tensor([ True, False, False,  True])
    """
    _insist_on_both(weight, sparsity)
    magnitude = weight.detach().abs().flatten()
    count = len(magnitude)
    pruned = round(sparsity * count)
    pruned = min(pruned, count - 1)
    order = magnitude.argsort(stable=True)
    smallest = order[:pruned]
    mask = torch.ones_like(magnitude, dtype=torch.bool)
    mask[smallest] = False  # Eq. 17.1
    return mask.view(weight.shape)


def layer_masks(model: nn.Module, sparsity: float) -> Masks:
    """`magnitude_mask` in each layer by itself: all get the same share of zeros."""
    weights = prunable(model)
    return {name: magnitude_mask(weights[name], sparsity) for name in weights}


def global_masks(model: nn.Module, sparsity: float) -> Masks:
    """`magnitude_mask` over all layers together: one threshold, unequal shares.

    A layer may be left with nothing. And where a batch norm follows, the size of a
    layer's weights means nothing, which this comparison trusts.
    """
    weights = prunable(model)
    return _under_one_threshold(weights, sparsity)


def _under_one_threshold(scores: dict[str, Tensor], sparsity: float) -> Masks:
    """`magnitude_mask` of all scores as one long vector, cut into layers again."""
    flat = [score.detach().flatten() for score in scores.values()]
    together = torch.cat(flat)
    mask = magnitude_mask(together, sparsity)  # Eq. 17.2
    # One long mask is cut where one layer ends and the next begins.
    sizes = [len(part) for part in flat]
    parts = mask.split(sizes)
    masks = {}
    for name, part in zip(scores, parts, strict=True):
        shape = scores[name].shape
        masks[name] = part.view(shape)
    return masks


@arguments.named
def lamp(weight: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Each square over the sum of all squares of the layer that are at least as large.

    The largest weight of a layer scores 1, whatever the layer's scale: so scores of
    different layers compare. A layer of nothing but zeros scores NaN. 2010.07611.

    >>> lamp(torch.tensor([1.0, -2.0, 3.0]))  # 1 / (9 + 4 + 1), 4 / (9 + 4), 9 / 9
    tensor([0.0714, 0.3077, 1.0000])
    """
    squares = weight.detach().flatten() ** 2
    order = squares.argsort(descending=True)
    largest_first = squares[order]
    at_least_as_large = largest_first.cumsum(0)
    scores = torch.empty_like(squares)
    scores[order] = largest_first / at_least_as_large  # Eq. 17.7
    return scores.view(weight.shape)


def lamp_masks(model: nn.Module, sparsity: float) -> Masks:
    """One threshold over the `lamp` scores of all layers: each gets a share of its own.

    The largest weight of each layer scores 1, so it is the last of its layer to go.
    """
    weights = prunable(model)
    # A layer of zeros only has nothing to lose: 0 instead of 0 / 0.
    scores = {name: lamp(weight).nan_to_num(0) for name, weight in weights.items()}
    return _under_one_threshold(scores, sparsity)


@torch.no_grad()
def apply(model: nn.Module, masks: Masks) -> nn.Module:
    """Set masked weights to zero, in place; layers without a mask stay as they are.

    All masks are looked at first: a ValueError leaves the model as it was.
    """
    weights = prunable(model)
    arguments.instance("masks", masks, dict, "weight's name: mask")
    for name, mask in masks.items():
        if name not in weights:
            raise ValueError(f"{name}: no such weight; there is {', '.join(weights)}")
        arguments.tensor(f"masks[{name!r}]", mask, "...")
        given = mask.dtype, mask.shape
        needed = torch.bool, weights[name].shape
        if given != needed:
            raise ValueError(f"{name}: the mask is {given}; needed is {needed}")
    for name, mask in masks.items():
        weight = weights[name]
        weight.masked_fill_(~mask.to(weight.device), 0)
    return model


def cubic(step: int, begin: int, end: int, final: float, initial: float = 0.0) -> float:
    """Sparsity at a step, from `begin` to `end`: slower as fewer weights are left."""
    numbers = {"step": step, "begin": begin, "end": end}
    for name, value in numbers.items():
        arguments.real_number(name, value)
    for name, value in {"final": final, "initial": initial}.items():
        arguments.real_number(name, value, least=0, most=1)
    if not 0 <= begin < end:
        raise ValueError(f"a schedule needs 0 <= begin < end; got {begin=}, {end=}")
    progress = (step - begin) / (end - begin)
    remaining = 1 - min(max(progress, 0.0), 1.0)
    return final + (initial - final) * remaining**3  # Eq. 17.3


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
        self.model = arguments.instance("model", model, nn.Module)
        self.schedule = arguments.function("schedule", schedule, "schedule(step)")
        self.choose = arguments.function("choose", choose, "choose(model, sparsity)")
        self.every = arguments.whole_number("every", every, least=1)
        self.masks: Masks = {}

    def __call__(self, step: int, logs: dict | None = None) -> None:
        # Momentum moves even those whose gradient is zero: put them back each time.
        apply(self.model, self.masks)
        if not self.masks or step % self.every == 0:
            sparsity = self.schedule(step)
            self.masks = self.choose(self.model, sparsity)
            apply(self.model, self.masks)


@torch.no_grad()
def sensitivity(model: nn.Module, sparsities: Iterable[float], score: Callable) -> dict:
    """For each layer, by name: `score(model)` at each sparsity of this layer alone.

    The model is as it was afterwards, also where `score` fails.
    """
    # As a list, for every layer asks for all of them again.
    sparsities = arguments.sequence("sparsities", sparsities, "a list of shares")
    for i, sparsity in enumerate(sparsities):
        arguments.real_number(f"sparsities[{i}]", sparsity, least=0, below=1)
    arguments.function("score", score, "score(model)")
    scores: dict[str, list] = {}
    for name, weight in prunable(model).items():
        masks = [magnitude_mask(weight, sparsity) for sparsity in sparsities]
        whole = weight.detach().clone()
        scores[name] = []
        try:
            for mask in masks:
                pruned = whole.masked_fill(~mask, 0)
                weight.copy_(pruned)
                scores[name].append(score(model))
        finally:
            weight.copy_(whole)
    return scores


def rewind(model: nn.Module, state: dict, masks: Masks) -> nn.Module:
    """A new model with an earlier state, masked weights being zero.

    `state` is a `state_dict` from before training (a lottery ticket), or from another
    draw: the control that a ticket has to beat.
    """
    ticket = copying.copied(model)
    _load(ticket, state)
    return apply(ticket, masks)  # Eq. 17.4


def _load(model: nn.Module, state: dict) -> None:
    arguments.instance("state", state, dict, "a `state_dict`")
    try:
        model.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        told = " ".join(str(error).split())  # torch writes a line for each kind
        raise ValueError(f"state does not fit the model: {told}") from error


class FileSizes(NamedTuple):
    """Bytes of one weight in four forms."""

    dense: int
    zip: int  # the dense bytes, deflated
    bitmap: int  # a bit for each place, then the values
    csr: int  # (column, value) pairs row by row; columns and row starts of 4 bytes


def file_sizes(weight: Tensor) -> FileSizes:
    """Bytes that a weight (R, ...) takes as it is, deflated, and without its zeros.

    >>> sizes = file_sizes(torch.tensor([[0.0, 7, 0, 0], [0, 0, 0, 5]]))
    >>> sizes.dense, sizes.bitmap, sizes.csr  # 8 floats; 1 + 2 * 4; 2 * 8 + 3 * 4
    (32, 9, 28)
    """
    raw = _raw_bytes(weight)
    rows, places = len(weight), weight.numel()
    nonzero = int(weight.count_nonzero())
    values = nonzero * weight.itemsize
    columns = nonzero * 4
    row_starts = 4 * (rows + 1)
    deflated = zlib.compress(raw)
    bitmap = (places + 7) // 8 + values
    csr = values + columns + row_starts  # Eq. 17.5
    return FileSizes(len(raw), len(deflated), bitmap, csr)


def _raw_bytes(weight: Tensor) -> bytes:
    arguments.tensor("weight", weight, "...")
    if weight.is_meta or not weight.dim():
        raise arguments.refuse("weight", weight, "a tensor with values and rows")
    # As bytes, for NumPy has no bfloat16; in reading order, whatever the memory's is.
    flat = weight.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes()


def nm_mask(
    weight: Float[Tensor, "O I *k"], n: int = 2, m: int = 4
) -> Bool[Tensor, "O I *k"]:
    """Keep the n largest of every m neighbours along the input channels.

    A kernel adds up over input channels, so there it can skip. Among equals the first
    stays. ValueError where m does not divide the input channels.

    >>> weight = torch.tensor([[0.1, -0.9, 0.5, 0.2, 3.0, 2.0, -1.0, -4.0]])
    >>> nm_mask(weight, 2, 4)  # of the first four 0.9 and 0.5, then 3 and 4
    tensor([[False,  True,  True, False,  True, False, False,  True]])
    """
    n, m = _insist_on_pattern(weight, n, m)
    channels_last = weight.detach().abs().movedim(1, -1)
    groups = channels_last.unflatten(-1, (-1, m))  # ... I/m m
    order = groups.argsort(dim=-1, descending=True, stable=True)
    largest = order[..., :n]
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(-1, largest, True)  # Eq. 17.6
    return mask.flatten(-2).movedim(-1, 1).contiguous()


def _insist_on_pattern(weight: Tensor, n: int, m: int) -> tuple[int, int]:
    _insist_on_numbers(weight)
    n, m = arguments.whole_number("n", n), arguments.whole_number("m", m)
    if not 0 < n < m or weight.dim() < 2 or weight.shape[1] % m:
        raise ValueError(
            f"{n}:{m} of {tuple(weight.shape)}: 0 < n < m, and m divides dimension 1"
        )
    return n, m


def pattern_masks(model: nn.Module, n: int = 2, m: int = 4) -> Masks:
    """`nm_mask` of each layer whose input channels come in groups of m.

    Others have no mask: they stay whole.
    """
    m = arguments.whole_number("m", m, least=2)
    weights = prunable(model)
    return {
        name: nm_mask(weight, n, m)
        for name, weight in weights.items()
        if weight.shape[1] % m == 0
    }


class Packed(NamedTuple):
    """An n:4 matrix without its zeros: n values a group, and where each stood."""

    values: Float[Tensor, "R N"]  # N = C n / 4
    places: UInt8[Tensor, " B"]  # 2 bits a value, the first one lowest in its byte
    n: int


def pack(weight: Float[Tensor, "R C"], n: int = 2) -> Packed:
    """An n:4 matrix as values and 2-bit places; `unpack` gives it back exactly.

    ValueError that names the first group with more than n values.
    """
    groups = _groups_of_four(weight, n)  # R G 4
    # Values first, and zeros where a group has fewer than n; then left to right.
    is_zero = groups == 0
    values_first = is_zero.byte().argsort(dim=-1, stable=True)
    taken = values_first[..., :n]  # R G n
    places = taken.sort(-1).values
    values = groups.gather(-1, places)  # R G n
    two_bits_each = _in_bytes(places)
    values_of_rows = values.flatten(1)  # R G*n
    return Packed(values_of_rows, two_bits_each, n)


def _groups_of_four(weight: Tensor, n: int) -> Tensor:
    """(R, G, 4), after a look whether no group has more than n values."""
    arguments.tensor("weight", weight, "R C")
    arguments.whole_number("n", n)
    columns = weight.shape[1]
    if not 0 < n < 4 or columns % 4:
        raise ValueError(f"{n}:4 of {columns} columns: 0 < n < 4, groups of 4")
    groups = weight.detach().unflatten(1, (-1, 4))
    crowded = (groups != 0).sum(-1) > n
    for row, group in crowded.nonzero().tolist():
        where = f"row {row}, columns {4 * group} to {4 * group + 3}"
        raise ValueError(f"{where}: more than {n} values; apply an {n}:4 mask first")
    return groups


def _in_bytes(places: Tensor) -> Tensor:
    """Numbers from 0 to 3, four in a byte, the first one lowest."""
    flat = places.flatten().byte()
    filled = nn.functional.pad(flat, (0, -len(flat) % 4))
    shifted = filled.view(-1, 4) << SHIFTS.to(flat.device)
    return shifted.sum(1).byte()


def unpack(packed: Packed) -> Float[Tensor, "R C"]:
    """The matrix that was packed."""
    arguments.instance("packed", packed, Packed, "what `pack` gives")
    values = packed.values.unflatten(1, (-1, packed.n))  # R G n
    shifted = packed.places[:, None] >> SHIFTS.to(packed.places.device)
    flat = (shifted & 3).flatten()  # the last byte may hold more than were packed
    places = flat[: values.numel()].view_as(values).long()
    groups = values.new_zeros(*values.shape[:2], 4)
    return groups.scatter_(-1, places, values).flatten(1)


def semi_structured(weight: Float[Tensor, "R C"]) -> Tensor:
    """A 2:4 matrix on a GPU in PyTorch's form, whose products skip the zeros.

    ValueError for what torch.sparse.to_sparse_semi_structured cannot do.
    """
    arguments.tensor("weight", weight, "R C")
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
