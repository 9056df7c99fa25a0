"""Chapter 10: answers from the task texts."""

import math

import torch
import torch.nn.functional as F

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("efficientnet.stem_channels", 51.2, "not rounded at all")
wrong_value("efficientnet.stem_channels", 51, "rounded to a whole number")
wrong_value("efficientnet.stem_channels", 56, "rounded up to the next multiple of 8")
wrong_value("efficientnet.stem_channels", 32, "the stem is not scaled")
wrong_value("efficientnet.stem_channels", 64, "the next power of two")
right_value("efficientnet.stem_channels", 48)
right_value("efficientnet.stem_channels", 48.0)

wrong_value("efficientnet.price_of_b7", 128, "the rule as it is said: 2 to the 7")
wrong_value("efficientnet.price_of_b7", 96.28, "the rule with its three factors")
wrong_value("efficientnet.price_of_b7", 13.4, "both at 224 pixels")
wrong_value("efficientnet.price_of_b7", 12.55, "parameters")
wrong_value("efficientnet.price_of_b7", 0.0102, "B0's divided by B7's")
right_value("efficientnet.price_of_b7", 37745884192 / 385814752)
right_value("efficientnet.price_of_b7", 97.83)


@wrong("efficientnet.side_for", "the width is not squared")
def side_1(side, depth, width, limit):
    new = side * math.sqrt(limit / (depth * width))
    return max(8, int(new // 8) * 8)


@wrong("efficientnet.side_for", "to the nearest multiple: may cost too much")
def side_2(side, depth, width, limit):
    new = side * math.sqrt(limit / (depth * width**2))
    return max(8, round(new / 8) * 8)


@wrong("efficientnet.side_for", "no root: the price grows with the side")
def side_3(side, depth, width, limit):
    new = side * limit / (depth * width**2)
    return max(8, int(new // 8) * 8)


@wrong("efficientnet.side_for", "0 where the limit allows not even 8")
def side_4(side, depth, width, limit):
    new = side * math.sqrt(limit / (depth * width**2))
    return int(new // 8) * 8


@wrong("efficientnet.side_for", "not a multiple of 8")
def side_5(side, depth, width, limit):
    return max(8, int(side * math.sqrt(limit / (depth * width**2))))


@wrong("efficientnet.side_for", "depth is squared, too")
def side_6(side, depth, width, limit):
    new = side * math.sqrt(limit) / (depth * width)
    return max(8, int(new // 8) * 8)


@wrong("efficientnet.side_for", "what meets the limit exactly is refused")
def side_7(side, depth, width, limit):
    new = 8
    while depth * width**2 * (new + 8) ** 2 < limit * side**2:
        new += 8
    return new


@wrong("efficientnet.side_for", "depth is forgotten")
def side_8(side, depth, width, limit):
    new = side / width * math.sqrt(limit)
    return max(8, int(new // 8) * 8)


@right("efficientnet.side_for")
def side_9(side, depth, width, limit):
    new = side * math.sqrt(limit / (depth * width**2))
    return max(8, int(new // 8) * 8)


@right("efficientnet.side_for")
def side_10(side, depth, width, limit):
    new = 8
    while depth * width**2 * (new + 8) ** 2 <= limit * side**2:
        new += 8
    return new


@right("efficientnet.side_for")
def side_11(side, depth, width, limit):
    # Bisection over multiples of 8, with a hair of tolerance for equal prices.
    low, high = 1, 2
    price = depth * width * width

    def fits(n):
        return price * (8 * n / side) ** 2 <= limit * (1 + 1e-9)

    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return 8 * low


@right("efficientnet.side_for")
def side_12(side, depth, width, limit):
    left = limit / depth / width / width
    return max(math.floor(left**0.5 * side / 8 + 1e-9), 1) * 8


def two_layers(v, reduce, expand):
    return F.relu(v @ reduce.T) @ expand.T


@wrong("efficientnet.two_means", "mean and maximum added before the matrices")
def gate_1(x, reduce, expand):
    v = x.mean(dim=(2, 3)) + x.amax(dim=(2, 3))
    return x * torch.sigmoid(two_layers(v, reduce, expand))[:, :, None, None]


@wrong("efficientnet.two_means", "a sigmoid for each, then the sum")
def gate_2(x, reduce, expand):
    a = torch.sigmoid(two_layers(x.mean(dim=(2, 3)), reduce, expand))
    b = torch.sigmoid(two_layers(x.amax(dim=(2, 3)), reduce, expand))
    return x * (a + b)[:, :, None, None]


@wrong("efficientnet.two_means", "the mean alone")
def gate_3(x, reduce, expand):
    gate = torch.sigmoid(two_layers(x.mean(dim=(2, 3)), reduce, expand))
    return x * gate[:, :, None, None]


@wrong("efficientnet.two_means", "no ReLU between the matrices")
def gate_4(x, reduce, expand):
    a = x.mean(dim=(2, 3)) @ reduce.T @ expand.T
    b = x.amax(dim=(2, 3)) @ reduce.T @ expand.T
    return x * torch.sigmoid(a + b)[:, :, None, None]


@wrong("efficientnet.two_means", "a second ReLU behind the second matrix")
def gate_5(x, reduce, expand):
    a = F.relu(two_layers(x.mean(dim=(2, 3)), reduce, expand))
    b = F.relu(two_layers(x.amax(dim=(2, 3)), reduce, expand))
    return x * torch.sigmoid(a + b)[:, :, None, None]


@wrong("efficientnet.two_means", "the two results are averaged")
def gate_6(x, reduce, expand):
    a = two_layers(x.mean(dim=(2, 3)), reduce, expand)
    b = two_layers(x.amax(dim=(2, 3)), reduce, expand)
    return x * torch.sigmoid((a + b) / 2)[:, :, None, None]


@wrong("efficientnet.two_means", "the gate, not the weighted picture")
def gate_7(x, reduce, expand):
    a = two_layers(x.mean(dim=(2, 3)), reduce, expand)
    b = two_layers(x.amax(dim=(2, 3)), reduce, expand)
    return torch.sigmoid(a + b)[:, :, None, None]


@wrong("efficientnet.two_means", "one gate for the whole batch")
def gate_8(x, reduce, expand):
    a = two_layers(x.mean(dim=(0, 2, 3)), reduce, expand)
    b = two_layers(x.amax(dim=(0, 2, 3)), reduce, expand)
    return x * torch.sigmoid(a + b)[None, :, None, None]


@right("efficientnet.two_means")
def gate_9(x, reduce, expand):
    a = two_layers(x.mean(dim=(2, 3)), reduce, expand)
    b = two_layers(x.amax(dim=(2, 3)), reduce, expand)
    return x * torch.sigmoid(a + b)[:, :, None, None]


@right("efficientnet.two_means")
def gate_10(x, reduce, expand):
    def through(v):
        v = F.relu(F.conv2d(v, reduce[:, :, None, None]))
        return F.conv2d(v, expand[:, :, None, None])

    return x * torch.sigmoid(
        through(F.adaptive_avg_pool2d(x, 1)) + through(F.adaptive_max_pool2d(x, 1))
    )


@right("efficientnet.two_means")
def gate_11(x, reduce, expand):
    out = torch.empty_like(x)
    for i, picture in enumerate(x):
        pixels = picture.flatten(1)
        score = 0
        for v in (pixels.mean(dim=1), pixels.max(dim=1).values):
            score = score + expand @ (reduce @ v).clamp(min=0)
        gate = 1 / (1 + torch.exp(-score))
        for c in range(len(gate)):
            out[i, c] = picture[c] * gate[c]
    return out


@right("efficientnet.two_means")
def gate_12(x, reduce, expand):
    both = torch.stack([x.flatten(2).mean(2), x.flatten(2).amax(2)])
    hidden = torch.einsum("hc,kbc->kbh", reduce, both).relu()
    gate = torch.einsum("ch,kbh->bc", expand, hidden).sigmoid()
    return torch.einsum("bchw,bc->bchw", x, gate)
