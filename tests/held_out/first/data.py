"""Chapter 01: answers from the task texts."""

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("data.rows_filled", 32, "512 - 480: the photograph is not scaled")
wrong_value("data.rows_filled", 64, "half of the filling, as if it stood in the middle")
wrong_value("data.rows_filled", 384, "the rows that hold picture")
wrong_value("data.rows_filled", 160, "640 - 480, in pixels of the photograph")
wrong_value("data.rows_filled", 0, "scaled until the short side is full")
right_value("data.rows_filled", 128)
right_value("data.rows_filled", 512 - 480 * 512 / 640)

wrong_value("data.small_digits", 160, "both sides below 32 in place of the area")
wrong_value("data.small_digits", 68, "the limit of 16 x 16")
wrong_value("data.small_digits", 304, "all digits")
wrong_value("data.small_digits", 92, "scenes with a small digit, not digits")
wrong_value("data.small_digits", 214, "the scenes of seed 0")
right_value("data.small_digits", 219)
right_value("data.small_digits", torch.tensor(219))


@wrong("data.hflip_xywh", "forgets that x is the left edge: width - x")
def flip_1(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - boxes[:, 0]
    return out


@wrong("data.hflip_xywh", "one pixel too far to the left")
def flip_2(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - 1 - x - w, y, w, h], dim=1)


@wrong("data.hflip_xywh", "returns corners")
def flip_3(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, y, width - x, y + h], dim=1)


@wrong("data.hflip_xywh", "takes the boxes for xyxy")
def flip_4(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - boxes[:, 2]
    out[:, 2] = width - boxes[:, 0]
    return out


@wrong("data.hflip_xywh", "mirrors top to bottom")
def flip_5(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([x, width - y - h, w, h], dim=1)


@wrong("data.hflip_xywh", "the width of the box becomes negative")
def flip_6(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - out[:, 0]
    out[:, 2] = -out[:, 2]
    return out


@wrong("data.hflip_xywh", "takes x for the centre's: half the width")
def flip_7(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - boxes[:, 0] - boxes[:, 2] / 2
    return out


@wrong("data.hflip_xywh", "overwrites x, then mirrors with the new one")
def flip_8(boxes, width):
    out = boxes.clone()
    out[:, 0] = out[:, 0] + out[:, 2]
    out[:, 0] = width - out[:, 0] - out[:, 2]
    return out


@right("data.hflip_xywh")
def flip_9(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - boxes[:, 0] - boxes[:, 2]
    return out


@right("data.hflip_xywh")
def flip_10(boxes, width):
    x, y, w, h = boxes.T
    return torch.stack((width - (x + w), y, w, h)).T


@right("data.hflip_xywh")
def flip_11(boxes, width):
    rows = [[width - x - w, y, w, h] for x, y, w, h in boxes.tolist()]
    return torch.tensor(rows, dtype=boxes.dtype).reshape(-1, 4)


@right("data.hflip_xywh")
def flip_12(boxes, width):
    matrix = torch.eye(4, dtype=boxes.dtype)
    matrix[0, 0] = -1
    matrix[2, 0] = -1
    shift = torch.tensor([width, 0, 0, 0], dtype=boxes.dtype)
    return boxes @ matrix + shift


@wrong("data.split_by_source", "every so manieth crop, not source")
def split_1(sources, every):
    return [i % every == 0 for i in range(len(sources))]


@wrong("data.split_by_source", "divides the number of the source itself")
def split_2(sources, every):
    return [s % every == 0 for s in sources]


@wrong("data.split_by_source", "does not sort: order of first appearance")
def split_3(sources, every):
    distinct = list(dict.fromkeys(sources))
    held = set(distinct[::every])
    return [s in held for s in sources]


@wrong("data.split_by_source", "begins with the every-th source, not the smallest")
def split_4(sources, every):
    held = set(sorted(set(sources))[every - 1 :: every])
    return [s in held for s in sources]


@wrong("data.split_by_source", "True for those that are kept")
def split_5(sources, every):
    held = set(sorted(set(sources))[::every])
    return [s not in held for s in sources]


@wrong("data.split_by_source", "sorts, but keeps the doubles")
def split_6(sources, every):
    held = set(sorted(sources)[::every])
    return [s in held for s in sources]


@wrong("data.split_by_source", "one value for each source, not for each crop")
def split_7(sources, every):
    distinct = sorted(set(sources))
    return [i % every == 0 for i in range(len(distinct))]


@wrong("data.split_by_source", "begins with the largest")
def split_8(sources, every):
    held = set(sorted(set(sources), reverse=True)[::every])
    return [s in held for s in sources]


@right("data.split_by_source")
def split_9(sources, every):
    held = set(sorted(set(sources))[::every])
    return [s in held for s in sources]


@right("data.split_by_source")
def split_10(sources, every):
    rank = {s: i for i, s in enumerate(sorted(set(sources)))}
    out = []
    for s in sources:
        out.append(rank[s] % every == 0)
    return out


@right("data.split_by_source")
def split_11(sources, every):
    _, place = np.unique(np.asarray(sources), return_inverse=True)
    return (place.reshape(-1) % every == 0).tolist()


@right("data.split_by_source")
def split_12(sources, every):
    return [len({t for t in sources if t < s}) % every == 0 for s in sources]


@wrong("data.uncentre", "the rows of filling are taken from x, the columns from y")
def middle_1(boxes, height, width, size):
    scale = size / max(height, width)
    dy = (size - height * scale) / 2
    dx = (size - width * scale) / 2
    return (boxes - torch.tensor([dy, dx, dy, dx])) / scale


@wrong("data.uncentre", "scaled by the short side")
def middle_2(boxes, height, width, size):
    scale = size / min(height, width)
    dx = (size - width * scale) / 2
    dy = (size - height * scale) / 2
    return (boxes - torch.tensor([dx, dy, dx, dy])) / scale


@wrong("data.uncentre", "forgets the filling in front")
def middle_3(boxes, height, width, size):
    return boxes / (size / max(height, width))


@wrong("data.uncentre", "divides first and takes the filling off afterwards")
def middle_4(boxes, height, width, size):
    scale = size / max(height, width)
    dx = (size - width * scale) / 2
    dy = (size - height * scale) / 2
    return boxes / scale - torch.tensor([dx, dy, dx, dy])


@wrong("data.uncentre", "all of the filling in front")
def middle_5(boxes, height, width, size):
    scale = size / max(height, width)
    dx = size - width * scale
    dy = size - height * scale
    return (boxes - torch.tensor([dx, dy, dx, dy])) / scale


@wrong("data.uncentre", "cuts at the edges of the photograph")
def middle_6(boxes, height, width, size):
    scale = min(size / height, size / width)
    shift = torch.tensor([size - width * scale, size - height * scale]) / 2
    out = (boxes - shift.repeat(2)) / scale
    out[:, 0::2] = out[:, 0::2].clamp(0, width)
    out[:, 1::2] = out[:, 1::2].clamp(0, height)
    return out


@wrong("data.uncentre", "whole pixels of filling: half is rounded down")
def middle_7(boxes, height, width, size):
    scale = size / max(height, width)
    dx = int(size - width * scale) // 2
    dy = int(size - height * scale) // 2
    return (boxes - torch.tensor([dx, dy, dx, dy])) / scale


@wrong("data.uncentre", "the filling is measured without the scale")
def middle_8(boxes, height, width, size):
    scale = size / max(height, width)
    longest = max(height, width)
    dx = (longest - width) / 2
    dy = (longest - height) / 2
    return (boxes - torch.tensor([dx, dy, dx, dy])) / scale


@right("data.uncentre")
def middle_9(boxes, height, width, size):
    scale = size / max(height, width)
    dx = (size - width * scale) / 2
    dy = (size - height * scale) / 2
    return (boxes - boxes.new_tensor([dx, dy, dx, dy])) / scale


@right("data.uncentre")
def middle_10(boxes, height, width, size):
    scale = min(size / height, size / width)
    out = boxes.clone()
    out[:, [0, 2]] = (out[:, [0, 2]] - size / 2) / scale + width / 2
    out[:, [1, 3]] = (out[:, [1, 3]] - size / 2) / scale + height / 2
    return out


@right("data.uncentre")
def middle_11(boxes, height, width, size):
    longest = max(height, width)
    back = longest / size
    left, above = (longest - width) / 2, (longest - height) / 2
    rows = [
        [a * back - left, b * back - above, c * back - left, d * back - above]
        for a, b, c, d in boxes.tolist()
    ]
    return torch.tensor(rows, dtype=boxes.dtype).reshape(-1, 4)


@right("data.uncentre")
def middle_12(boxes, height, width, size):
    if height >= width:
        scale = size / height
        x_before, y_before = (size - scale * width) / 2, 0
    else:
        scale = size / width
        x_before, y_before = 0, (size - scale * height) / 2
    x = (boxes[:, 0::2] - x_before) / scale
    y = (boxes[:, 1::2] - y_before) / scale
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)
