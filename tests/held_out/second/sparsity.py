"""Chapter 17: answers from the task texts."""

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- halfway ---

wrong_value("sparsity.halfway", 0.45, "a straight line")
wrong_value("sparsity.halfway", 0.1125, "slow at first: the cube of the time gone")
wrong_value("sparsity.halfway", 0.675, "the square")
wrong_value("sparsity.halfway", 0.875, "the end of 0.9 is forgotten")
right_value("sparsity.halfway", 0.7875)

# --- cheaper_from ---

wrong_value("sparsity.cheaper_from", 0.8, "the starts are forgotten")
wrong_value("sparsity.cheaper_from", 0.51, "the share for weights of four bytes")
wrong_value("sparsity.cheaper_from", 0.75, "the columns alone")
wrong_value("sparsity.cheaper_from", 0.19, "the share that is left, not the zeros")
right_value("sparsity.cheaper_from", 0.81)

# --- csr_product ---


@wrong("sparsity.csr_product", "the value's own number in place of its column")
def csr_product_1(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        span = range(starts[i], starts[i + 1])
        out.append(float(sum(values[k] * x[k % len(x)] for k in span)))
    return out


@wrong("sparsity.csr_product", "an entry for each of the starts")
def csr_product_2(values, columns, starts, x):
    out = []
    for i, begin in enumerate(starts):
        end = starts[i + 1] if i + 1 < len(starts) else len(values)
        out.append(float(sum(values[k] * x[columns[k]] for k in range(begin, end))))
    return out


@wrong("sparsity.csr_product", "empty rows are left out")
def csr_product_3(values, columns, starts, x):
    out = []
    for begin, end in zip(starts[:-1], starts[1:], strict=True):
        if begin == end:
            continue
        out.append(float(sum(values[k] * x[columns[k]] for k in range(begin, end))))
    return out


@wrong("sparsity.csr_product", "the transposed matrix: adds into the columns")
def csr_product_4(values, columns, starts, x):
    out = [0.0] * len(x)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            out[columns[k]] += values[k] * x[i]
    return out


@wrong("sparsity.csr_product", "the sum is never set back to 0")
def csr_product_5(values, columns, starts, x):
    out, total = [], 0.0
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


@wrong("sparsity.csr_product", "a row for each entry of x")
def csr_product_6(values, columns, starts, x):
    out = [0.0] * len(x)
    for i in range(min(len(x), len(starts) - 1)):
        for k in range(starts[i], starts[i + 1]):
            out[i] += values[k] * x[columns[k]]
    return out


@wrong("sparsity.csr_product", "the last value of each row is left out")
def csr_product_7(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], max(starts[i], starts[i + 1] - 1)):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


@right("sparsity.csr_product")
def csr_product_8(values, columns, starts, x):
    out = []
    for i in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[columns[k]]
        out.append(total)
    return out


@right("sparsity.csr_product")
def csr_product_9(values, columns, starts, x):
    products = [v * x[c] for v, c in zip(values, columns, strict=True)]
    rows = zip(starts, starts[1:], strict=False)
    return [float(sum(products[begin:end])) for begin, end in rows]


@right("sparsity.csr_product")
def csr_product_10(values, columns, starts, x):
    dense = torch.zeros(len(starts) - 1, len(x), dtype=torch.float64)
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            dense[i, columns[k]] += values[k]
    return (dense @ torch.tensor(x, dtype=torch.float64)).tolist()


# --- lamp ---


@wrong("sparsity.lamp", "itself is not included in the sum")
def lamp_1(weight):
    squares = weight.flatten() ** 2
    below = torch.stack([squares[squares > s].sum() for s in squares])
    return (squares / below.clamp(min=1e-12)).reshape(weight.shape)


@wrong("sparsity.lamp", "divided by the sum of all squares")
def lamp_2(weight):
    return weight**2 / (weight**2).sum()


@wrong("sparsity.lamp", "the sum of those that are at most as large")
def lamp_3(weight):
    squares, order = (weight.flatten() ** 2).sort()
    scores = torch.empty_like(squares)
    scores[order] = squares / squares.cumsum(0)
    return scores.reshape(weight.shape)


@wrong("sparsity.lamp", "sizes in place of squares")
def lamp_4(weight):
    sizes = weight.abs().flatten()
    below = torch.stack([sizes[sizes >= s].sum() for s in sizes])
    return (sizes / below).reshape(weight.shape)


@wrong("sparsity.lamp", "compares the signed weights, not their sizes")
def lamp_5(weight):
    flat = weight.flatten()
    below = torch.stack([(flat[flat >= w] ** 2).sum() for w in flat])
    return (flat**2 / below).reshape(weight.shape)


@wrong("sparsity.lamp", "scores come back in sorted order")
def lamp_6(weight):
    squares = (weight.flatten() ** 2).sort(descending=True).values
    return (squares / squares.cumsum(0)).flip(0).reshape(weight.shape)


@wrong("sparsity.lamp", "sums along the last dimension, not over the layer")
def lamp_7(weight):
    squares, order = (weight**2).sort(dim=-1, descending=True)
    scores = squares / squares.cumsum(-1)
    return torch.zeros_like(weight).scatter(-1, order, scores)


@right("sparsity.lamp")
def lamp_8(weight):
    squares, order = (weight.flatten() ** 2).sort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares / squares.cumsum(0)
    return scores.reshape(weight.shape)


@right("sparsity.lamp")
def lamp_9(weight):
    squares = weight.flatten().square()
    at_least = squares[None, :] >= squares[:, None]
    return (squares / (at_least * squares).sum(1)).view(weight.shape)


@right("sparsity.lamp")
def lamp_10(weight):
    flat = weight.flatten().tolist()
    scores = [0.0] * len(flat)
    total = 0.0
    for i in sorted(range(len(flat)), key=lambda i: -abs(flat[i])):
        total += flat[i] ** 2
        scores[i] = flat[i] ** 2 / total
    return torch.tensor(scores, dtype=weight.dtype).reshape(weight.shape)
