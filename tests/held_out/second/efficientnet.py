"""Chapter 10: answers from the task texts."""

import math

import torch
from torch.nn.functional import linear, relu

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("efficientnet.stem_channels", 51.2, "not rounded")
wrong_value("efficientnet.stem_channels", 56, "rounded up to a multiple of 8")
wrong_value("efficientnet.stem_channels", 52, "to a multiple of 4")
right_value("efficientnet.stem_channels", 48)

wrong_value("efficientnet.price_of_b7", 13.4, "both networks on pictures of 224")
wrong_value("efficientnet.price_of_b7", 12.5, "the parameters, not the multiply-adds")
wrong_value("efficientnet.price_of_b7", 128, "two to the seventh")
right_value("efficientnet.price_of_b7", 97.83)


@wrong("efficientnet.side_for", "rounds to the nearest multiple of 8")
def side_nearest(side, depth, width, limit):
    exact = side * math.sqrt(limit / (depth * width**2))
    return max(8, 8 * round(exact / 8))


@wrong("efficientnet.side_for", "adds multiples of 8 to the old side")
def side_added(side, depth, width, limit):
    exact = side * math.sqrt(limit / (depth * width**2))
    return max(8, side + 8 * math.floor((exact - side) / 8))


@wrong("efficientnet.side_for", "the price grows with the width, not with its square")
def side_width(side, depth, width, limit):
    exact = side * math.sqrt(limit / (depth * width))
    return max(8, int(exact // 8) * 8)


@wrong("efficientnet.side_for", "may fall to 0")
def side_zero(side, depth, width, limit):
    exact = side * math.sqrt(limit / depth) / width
    return int((exact + 1e-9) // 8) * 8


@wrong("efficientnet.side_for", "the depth outside of the root")
def side_depth(side, depth, width, limit):
    exact = side * math.sqrt(limit) / (depth * width)
    return max(8, int(exact // 8) * 8)


@right("efficientnet.side_for")
def side_root(side, depth, width, limit):
    exact = side / width * math.sqrt(limit / depth)
    return max(8, math.floor(exact / 8 + 1e-9) * 8)


@right("efficientnet.side_for")
def side_loop(side, depth, width, limit):
    allowed = limit * side**2 / (depth * width**2) * (1 + 1e-12)
    new = 8
    while (new + 8) ** 2 <= allowed:
        new += 8
    return new


@right("efficientnet.side_for")
def side_halving(side, depth, width, limit):
    def dear(eights):
        ratio = 8 * eights / side
        return depth * width * width * ratio * ratio > limit + 1e-9

    low, high = 1, 2
    while not dear(high):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if dear(middle) else (middle, high)
    return 8 * low


@wrong("efficientnet.two_means", "adds mean and maximum before the matrices")
def two_early(x, reduce, expand):
    both = x.mean(dim=(2, 3)) + x.amax(dim=(2, 3))
    gate = torch.sigmoid(relu(both @ reduce.T) @ expand.T)
    return x * gate[:, :, None, None]


@wrong("efficientnet.two_means", "the largest size, whatever the sign")
def two_absolute(x, reduce, expand):
    def path(v):
        return relu(v @ reduce.T) @ expand.T

    gate = torch.sigmoid(path(x.mean(dim=(2, 3))) + path(x.abs().amax(dim=(2, 3))))
    return x * gate[:, :, None, None]


@wrong("efficientnet.two_means", "no ReLU between the matrices")
def two_linear(x, reduce, expand):
    both = x.mean(dim=(2, 3)) @ reduce.T + x.amax(dim=(2, 3)) @ reduce.T
    return x * torch.sigmoid(both @ expand.T)[:, :, None, None]


@wrong("efficientnet.two_means", "another ReLU before the sigmoid")
def two_relus(x, reduce, expand):
    def path(v):
        return relu(relu(v @ reduce.T) @ expand.T)

    gate = torch.sigmoid(path(x.mean(dim=(2, 3))) + path(x.amax(dim=(2, 3))))
    return x * gate[:, :, None, None]


@wrong("efficientnet.two_means", "the maximum over the rows only, then its mean")
def two_rows(x, reduce, expand):
    def path(v):
        return relu(v @ reduce.T) @ expand.T

    largest = x.amax(dim=2).mean(dim=2)
    gate = torch.sigmoid(path(x.mean(dim=(2, 3))) + path(largest))
    return x * gate[:, :, None, None]


@right("efficientnet.two_means")
def two_linear_layers(x, reduce, expand):
    mean, largest = x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
    both = linear(relu(linear(mean, reduce)), expand)
    both = both + linear(relu(linear(largest, reduce)), expand)
    return x * both.sigmoid()[..., None, None]


@right("efficientnet.two_means")
def two_einsum(x, reduce, expand):
    flat = x.flatten(2)
    v = torch.stack([flat.mean(dim=2), flat.max(dim=2).values])
    hidden = torch.einsum("kbc,hc->kbh", v, reduce).clamp(min=0)
    gate = torch.einsum("kbh,ch->bc", hidden, expand).sigmoid()
    return torch.einsum("bchw,bc->bchw", x, gate)


@right("efficientnet.two_means")
def two_pictures(x, reduce, expand):
    out = []
    for picture in x:
        total = 0
        for v in (picture.mean(dim=(1, 2)), picture.amax(dim=(1, 2))):
            total = total + expand @ relu(reduce @ v)
        gate = 1 / (1 + torch.exp(-total))
        out.append(picture * gate.reshape(-1, 1, 1))
    return torch.stack(out)
