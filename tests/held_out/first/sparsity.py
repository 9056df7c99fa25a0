"""Chapter 17: answers from the task texts."""

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 17.1

wrong_value("sparsity.halfway", 0.1125, "the part that is still to come")
wrong_value("sparsity.halfway", 0.45, "a straight line")
wrong_value("sparsity.halfway", 0.675, "a square in place of a cube")
wrong_value("sparsity.halfway", 0.875, "up to 1 in place of 0.9")
wrong_value("sparsity.halfway", 0.8875, "0.9 multiplies the cube only")
right_value("sparsity.halfway", 0.7875)
right_value("sparsity.halfway", "0.7875")

# 17.2

wrong_value(
    "sparsity.cheaper_from", 0.8, "five bytes a value, so a fifth is left: no starts"
)
wrong_value("sparsity.cheaper_from", 0.51, "as for weights of four bytes")
wrong_value("sparsity.cheaper_from", 0.13, "the bitmap in place of CSR")
wrong_value("sparsity.cheaper_from", 0.19, "the share of weights that are left")
wrong_value("sparsity.cheaper_from", 0.82, "one step too late")
right_value("sparsity.cheaper_from", 0.81)
right_value("sparsity.cheaper_from", "0.81")

# 17.3


@wrong("sparsity.csr_product", "reads x by the place of the value, not by its column")
def csr_product_1(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for n, k in enumerate(range(starts[i], starts[i + 1])):
            total += values[k] * x[n]
        out.append(total)
    return out


@wrong("sparsity.csr_product", "the last value of each row is left out")
def csr_product_2(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        mine = range(starts[i], starts[i + 1] - 1)
        out.append(float(sum(values[k] * x[columns[k]] for k in mine)))
    return out


@wrong("sparsity.csr_product", "leaves out rows without values")
def csr_product_3(values, columns, starts, x):
    out = []
    for begin, end in zip(starts, starts[1:], strict=False):
        products = [values[k] * x[columns[k]] for k in range(begin, end)]
        if products:
            out.append(float(sum(products)))
    return out


@wrong("sparsity.csr_product", "keeps the last product of a row, does not add")
def csr_product_4(values, columns, starts, x):
    out = [0.0] * (len(starts) - 1)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            out[i] = float(values[k] * x[columns[k]])
    return out


@wrong("sparsity.csr_product", "the sum runs on from row to row")
def csr_product_5(values, columns, starts, x):
    out, total = [], 0.0
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


@wrong("sparsity.csr_product", "a row for each start, one too many")
def csr_product_6(values, columns, starts, x):
    ends = list(starts[1:]) + [len(values)]
    out = []
    for begin, end in zip(starts, ends, strict=True):
        out.append(float(sum(values[k] * x[columns[k]] for k in range(begin, end))))
    return out


@wrong("sparsity.csr_product", "multiplies the transposed matrix")
def csr_product_7(values, columns, starts, x):
    out = [0.0] * len(x)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            out[columns[k]] += values[k] * x[i]
    return out


@wrong("sparsity.csr_product", "counts the columns from the first again in every row")
def csr_product_8(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        mine = values[starts[i] : starts[i + 1]]
        out.append(float(sum(v * x[columns[n]] for n, v in enumerate(mine))))
    return out


@right("sparsity.csr_product")
def csr_product_9(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


@right("sparsity.csr_product")
def csr_product_10(values, columns, starts, x):
    products = [float(v * x[c]) for v, c in zip(values, columns, strict=True)]
    return [sum(products[a:b], 0.0) for a, b in zip(starts, starts[1:], strict=False)]


@right("sparsity.csr_product")
def csr_product_11(values, columns, starts, x):
    dense = np.zeros((len(starts) - 1, len(x)))
    for row, (a, b) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        for k in range(a, b):
            dense[row, columns[k]] += values[k]
    return (dense @ np.array(x, dtype=float)).tolist()


@right("sparsity.csr_product")
def csr_product_12(values, columns, starts, x):
    counts = np.diff(starts)
    rows = np.repeat(np.arange(len(counts)), counts)
    vector = np.asarray(x, dtype=float)
    products = np.asarray(values, dtype=float) * vector[np.asarray(columns, dtype=int)]
    return np.bincount(rows, weights=products, minlength=len(counts)).tolist()


# 17.4


@wrong("sparsity.lamp", "sizes in place of squares")
def lamp_1(weight):
    size = weight.abs().flatten()
    order = size.argsort(descending=True)
    out = torch.empty_like(size)
    out[order] = size[order] / size[order].cumsum(0)
    return out.view_as(weight)


@wrong("sparsity.lamp", "the sum over the weights that are at most as large")
def lamp_2(weight):
    square = weight.flatten() ** 2
    order = square.argsort()
    out = torch.empty_like(square)
    out[order] = square[order] / square[order].cumsum(0)
    return out.view_as(weight)


@wrong("sparsity.lamp", "divides by the sum of all squares")
def lamp_3(weight):
    return weight**2 / (weight**2).sum()


@wrong("sparsity.lamp", "the scores stay sorted, not back in their places")
def lamp_4(weight):
    square = (weight.flatten() ** 2).sort().values
    sums = square.flip(0).cumsum(0).flip(0)
    return (square / sums).view_as(weight)


@wrong("sparsity.lamp", "a flat list of scores, not the weight's shape")
def lamp_5(weight):
    square = weight.flatten() ** 2
    return torch.stack([s / square[square >= s].sum() for s in square])


@wrong("sparsity.lamp", "the weight itself is not in the sum")
def lamp_6(weight):
    square = weight.flatten() ** 2
    scores = [s / square[square > s].sum() for s in square]
    return torch.stack(scores).view_as(weight)


@wrong("sparsity.lamp", "row by row: each filter as a layer of its own")
def lamp_7(weight):
    square = (weight**2).view(weight.shape[0], -1)
    larger = square[:, None, :] >= square[:, :, None]
    return (square / (larger * square[:, None, :]).sum(-1)).view_as(weight)


@wrong("sparsity.lamp", "orders by the signed weight, not by its size")
def lamp_8(weight):
    flat = weight.flatten()
    order = flat.argsort()
    square = flat[order] ** 2
    sums = square.flip(0).cumsum(0).flip(0)
    out = torch.empty_like(flat)
    out[order] = square / sums
    return out.view_as(weight)


@right("sparsity.lamp")
def lamp_9(weight):
    square = weight.flatten() ** 2
    order = square.argsort(descending=True)
    out = torch.empty_like(square)
    out[order] = square[order] / square[order].cumsum(dim=0)
    return out.reshape(weight.shape)


@right("sparsity.lamp")
def lamp_10(weight):
    square = weight.reshape(-1).square()
    at_least = square[None, :] >= square[:, None]
    return (square / (at_least * square).sum(dim=1)).reshape(weight.shape)


@right("sparsity.lamp")
def lamp_11(weight):
    flat = [float(w) ** 2 for w in weight.flatten()]
    scores = [s / sum(t for t in flat if t >= s) for s in flat]
    return torch.tensor(scores, dtype=weight.dtype).reshape(weight.shape)


@right("sparsity.lamp")
def lamp_12(weight):
    square = weight.detach().double().numpy().ravel() ** 2
    order = np.argsort(square)
    sums = np.cumsum(square[order][::-1])[::-1]
    scores = np.empty_like(square)
    scores[order] = square[order] / sums
    return torch.from_numpy(scores.reshape(tuple(weight.shape))).to(weight.dtype)
