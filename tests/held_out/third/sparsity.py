"""Chapter 17: answers from the task texts."""

import numpy as np
import torch

from tests.held_out import right, wrong


@wrong("sparsity.magnitude_mask", "a threshold: all that are equal to it go")
def magnitude_mask_1(weight, sparsity):
    n = weight.numel()
    k = min(round(sparsity * n), n - 1)
    if k == 0:
        return torch.ones_like(weight, dtype=torch.bool)
    border = weight.abs().flatten().kthvalue(k).values
    return weight.abs() > border


@wrong("sparsity.magnitude_mask", "halves are rounded up")
def magnitude_mask_2(weight, sparsity):
    flat = weight.abs().flatten()
    k = min(int(sparsity * len(flat) + 0.5), len(flat) - 1)
    mask = torch.ones(len(flat), dtype=torch.bool)
    mask[torch.argsort(flat, stable=True)[:k]] = False
    return mask.reshape(weight.shape)


@wrong("sparsity.magnitude_mask", "the smallest values go, not the smallest magnitudes")
def magnitude_mask_3(weight, sparsity):
    flat = weight.flatten()
    k = min(round(sparsity * len(flat)), len(flat) - 1)
    mask = torch.ones(len(flat), dtype=torch.bool)
    mask[torch.argsort(flat, stable=True)[:k]] = False
    return mask.view(weight.shape)


@wrong("sparsity.magnitude_mask", "all may go")
def magnitude_mask_4(weight, sparsity):
    n = weight.numel()
    order = weight.abs().reshape(-1).argsort(stable=True)
    mask = torch.ones(n, dtype=torch.bool)
    mask[order[: round(sparsity * n)]] = False
    return mask.reshape(weight.shape)


@wrong("sparsity.magnitude_mask", "among equal magnitudes the last goes first")
def magnitude_mask_5(weight, sparsity):
    n = weight.numel()
    stay = max(n - round(sparsity * n), 1)
    order = weight.abs().flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(n, dtype=torch.bool)
    mask[order[:stay]] = True
    return mask.reshape(weight.shape)


@wrong("sparsity.magnitude_mask", "each row is ranked by itself")
def magnitude_mask_6(weight, sparsity):
    n = weight.shape[-1]
    k = min(round(sparsity * n), n - 1)
    order = weight.abs().argsort(dim=-1, stable=True)
    mask = torch.ones_like(weight, dtype=torch.bool)
    return mask.scatter(-1, order[..., :k], False)


@right("sparsity.magnitude_mask")
def magnitude_mask_7(weight, sparsity):
    flat = weight.detach().abs().flatten()
    n = len(flat)
    go = min(round(sparsity * n), n - 1)
    mask = torch.ones(n, dtype=torch.bool)
    mask[flat.argsort(stable=True)[:go]] = False
    return mask.reshape(weight.shape)


@right("sparsity.magnitude_mask")
def magnitude_mask_8(weight, sparsity):
    sizes = [abs(w) for w in weight.flatten().tolist()]
    n = len(sizes)
    stay = max(1, n - round(sparsity * n))
    order = sorted(range(n), key=lambda i: (sizes[i], i))
    kept = set(order[n - stay :])
    return torch.tensor([i in kept for i in range(n)]).reshape(weight.shape)


@right("sparsity.magnitude_mask")
def magnitude_mask_9(weight, sparsity):
    sizes = np.abs(weight.detach().cpu().numpy()).ravel()
    gone = min(round(sparsity * sizes.size), sizes.size - 1)
    rank = np.empty(sizes.size, dtype=int)
    rank[np.argsort(sizes, kind="stable")] = np.arange(1, sizes.size + 1)
    return torch.from_numpy(rank > gone).reshape(weight.shape)


@wrong("sparsity.nm_mask", "neighbours in memory: the taps of one kernel are grouped")
def nm_mask_1(weight, n=2, m=4):
    groups = weight.abs().reshape(-1, m)
    order = groups.argsort(dim=1, descending=True, stable=True)
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(1, order[:, :n], True)
    return mask.reshape(weight.shape)


@wrong("sparsity.nm_mask", "the groups run along the filters")
def nm_mask_2(weight, n=2, m=4):
    mask = torch.zeros_like(weight, dtype=torch.bool)
    for start in range(0, weight.shape[0], m):
        part = weight[start : start + m].abs()
        order = part.argsort(dim=0, descending=True, stable=True)
        mask[start : start + m].scatter_(0, order[:n], True)
    return mask


@wrong("sparsity.nm_mask", "among equal magnitudes the last stays")
def nm_mask_3(weight, n=2, m=4):
    mask = torch.ones_like(weight, dtype=torch.bool)
    for start in range(0, weight.shape[1], m):
        part = weight[:, start : start + m].abs()
        order = part.argsort(dim=1, stable=True)
        gone = max(part.shape[1] - n, 0)
        mask[:, start : start + m].scatter_(1, order[:, :gone], False)
    return mask


@wrong("sparsity.nm_mask", "all that equal the n-th largest stay, so more than n")
def nm_mask_4(weight, n=2, m=4):
    pieces = []
    for part in weight.abs().split(m, dim=1):
        least = part.topk(min(n, part.shape[1]), dim=1).values[:, -1:]
        pieces.append(part >= least)
    return torch.cat(pieces, dim=1)


@wrong("sparsity.nm_mask", "n go, in place of n stay")
def nm_mask_5(weight, n=2, m=4):
    mask = torch.zeros_like(weight, dtype=torch.bool)
    for start in range(0, weight.shape[1], m):
        part = weight[:, start : start + m].abs()
        order = part.argsort(dim=1, descending=True, stable=True)
        mask[:, start : start + m].scatter_(1, order[:, : m - n], True)
    return mask


@wrong("sparsity.nm_mask", "the largest values stay, without the magnitude")
def nm_mask_6(weight, n=2, m=4):
    mask = torch.zeros_like(weight, dtype=torch.bool)
    for start in range(0, weight.shape[1], m):
        part = weight[:, start : start + m]
        order = part.argsort(dim=1, descending=True, stable=True)
        mask[:, start : start + m].scatter_(1, order[:, :n], True)
    return mask


@right("sparsity.nm_mask")
def nm_mask_7(weight, n=2, m=4):
    pieces = []
    for part in weight.abs().split(m, dim=1):
        order = part.sort(dim=1, descending=True, stable=True).indices
        piece = torch.zeros_like(part, dtype=torch.bool)
        pieces.append(piece.scatter(1, order[:, :n], True))
    return torch.cat(pieces, dim=1)


@right("sparsity.nm_mask")
def nm_mask_8(weight, n=2, m=4):
    sizes = weight.detach().abs()
    mask = torch.zeros(weight.shape, dtype=torch.bool)
    for i in range(weight.shape[1]):
        start = i - i % m
        rank = torch.zeros_like(sizes[:, i])
        for j in range(start, min(start + m, weight.shape[1])):
            if j < i:
                rank += sizes[:, j] >= sizes[:, i]
            elif j > i:
                rank += sizes[:, j] > sizes[:, i]
        mask[:, i] = rank < n
    return mask


@right("sparsity.nm_mask")
def nm_mask_9(weight, n=2, m=4):
    sizes = np.moveaxis(np.abs(weight.detach().numpy()), 1, -1)
    mask = np.zeros(sizes.shape, dtype=bool)
    for place in np.ndindex(sizes.shape[:-1]):
        row = sizes[place].tolist()
        for start in range(0, len(row), m):
            group = range(start, min(start + m, len(row)))
            for i in sorted(group, key=lambda i, row=row: -row[i])[:n]:
                mask[place][i] = True
    return torch.from_numpy(np.moveaxis(mask, -1, 1).copy())
