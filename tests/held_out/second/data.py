"""Chapter 01: answers from the task texts."""

from bisect import bisect_left

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("data.rows_filled", 32, "512 - 480: the picture is not enlarged or shrunk")
wrong_value("data.rows_filled", 64, "half of the filling, as if it were on both sides")
wrong_value("data.rows_filled", 384, "the rows of the picture, not the others")
right_value("data.rows_filled", 128)

wrong_value("data.small_digits", 68, "the limit of 16 x 16")
wrong_value("data.small_digits", 85, "the digits that are not small")
wrong_value("data.small_digits", 304, "all digits: the limit of 64 x 64")
right_value("data.small_digits", 219)


@wrong("data.hflip_xywh", "counts pixels from 0 to width - 1")
def hflip_off_by_one(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - 1 - x - w, y, w, h], dim=1)


@wrong("data.hflip_xywh", "writes into the boxes that were given")
def hflip_in_place(boxes, width):
    boxes[:, 0] = width - boxes[:, 0] - boxes[:, 2]
    return boxes


@wrong("data.hflip_xywh", "returns corners")
def hflip_corners(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, y, width - x, y + h], dim=1)


@wrong("data.hflip_xywh", "mirrors the centre and takes it for the left edge")
def hflip_centre(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - (boxes[:, 0] + boxes[:, 2] / 2)
    return out


@wrong("data.hflip_xywh", "whole pixels only")
def hflip_rounded(boxes, width):
    out = boxes.clone()
    out[:, 0] = (width - boxes[:, 0] - boxes[:, 2]).round()
    return out


@right("data.hflip_xywh")
def hflip_clone(boxes, width):
    out = boxes.clone()
    out[:, 0] = width - (boxes[:, 0] + boxes[:, 2])
    return out


@right("data.hflip_xywh")
def hflip_matrix(boxes, width):
    m = torch.eye(4, dtype=boxes.dtype)
    m[0, 0] = -1
    m[2, 0] = -1
    shift = torch.tensor([width, 0, 0, 0], dtype=boxes.dtype)
    return boxes @ m + shift


@right("data.hflip_xywh")
def hflip_list(boxes, width):
    rows = [[width - x - w, y, w, h] for x, y, w, h in boxes.tolist()]
    return torch.tensor(rows, dtype=boxes.dtype).reshape(-1, 4)


@wrong("data.split_by_source", "sources in the order in which they appear")
def split_appearance(sources, every):
    held = set(list(dict.fromkeys(sources))[::every])
    return [s in held for s in sources]


@wrong("data.split_by_source", "begins with the every-th, not with the smallest")
def split_late(sources, every):
    held = sorted(set(sources))[every - 1 :: every]
    return [s in held for s in sources]


@wrong("data.split_by_source", "sorts without removing repeats")
def split_repeats(sources, every):
    held = set(sorted(sources)[::every])
    return [s in held for s in sources]


@wrong("data.split_by_source", "sorts the numbers as texts")
def split_texts(sources, every):
    names = sorted({str(s) for s in sources})
    held = set(names[::every])
    return [str(s) in held for s in sources]


@wrong("data.split_by_source", "only one crop of each held-out source is held out")
def split_first_crop(sources, every):
    held = sorted(set(sources))[::every]
    out = [False] * len(sources)
    for s in held:
        out[sources.index(s)] = True
    return out


@right("data.split_by_source")
def split_set(sources, every):
    held = set(sorted(set(sources))[::every])
    return [s in held for s in sources]


@right("data.split_by_source")
def split_numpy(sources, every):
    _, rank = np.unique(np.array(sources), return_inverse=True)
    return (rank % every == 0).tolist()


@right("data.split_by_source")
def split_bisect(sources, every):
    distinct = []
    for s in sorted(sources):
        if not distinct or distinct[-1] != s:
            distinct.append(s)
    out = []
    for s in sources:
        out.append(bisect_left(distinct, s) % every == 0)
    return out


@wrong("data.uncentre", "divides by the scale before it takes off the filling")
def uncentre_order(boxes, height, width, size):
    scale = size / max(height, width)
    left = (size - width * scale) / 2
    top = (size - height * scale) / 2
    return boxes / scale - torch.tensor([left, top, left, top])


@wrong("data.uncentre", "cuts at the edges of the photograph")
def uncentre_cut(boxes, height, width, size):
    scale = size / max(height, width)
    left = (size - width * scale) / 2
    top = (size - height * scale) / 2
    out = (boxes - torch.tensor([left, top, left, top])) / scale
    out[:, 0::2] = out[:, 0::2].clamp(0, width)
    out[:, 1::2] = out[:, 1::2].clamp(0, height)
    return out


@wrong("data.uncentre", "half of the filling cut to whole pixels")
def uncentre_floor(boxes, height, width, size):
    scale = size / max(height, width)
    left = (size - width * scale) // 2
    top = (size - height * scale) // 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


@wrong("data.uncentre", "top and left exchanged")
def uncentre_exchanged(boxes, height, width, size):
    scale = size / max(height, width)
    left = (size - width * scale) / 2
    top = (size - height * scale) / 2
    return (boxes - torch.tensor([top, left, top, left])) / scale


@wrong("data.uncentre", "works in the boxes that were given")
def uncentre_in_place(boxes, height, width, size):
    scale = size / max(height, width)
    boxes[:, [0, 2]] -= (size - width * scale) / 2
    boxes[:, [1, 3]] -= (size - height * scale) / 2
    boxes /= scale
    return boxes


@right("data.uncentre")
def uncentre_shift(boxes, height, width, size):
    scale = size / max(height, width)
    left = (size - width * scale) / 2
    top = (size - height * scale) / 2
    shift = torch.tensor([left, top, left, top], dtype=boxes.dtype)
    return (boxes - shift) / scale


@right("data.uncentre")
def uncentre_middle(boxes, height, width, size):
    # distances from the middle of the square are those from the photograph's, scaled
    unit = max(height, width) / size
    middle = boxes.new_tensor([width / 2, height / 2]).repeat(2)
    return middle + (boxes - size / 2) * unit


@right("data.uncentre")
def uncentre_loop(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    out = torch.empty_like(boxes)
    for i in range(len(boxes)):
        for j in range(4):
            edge = left if j % 2 == 0 else top
            out[i, j] = (boxes[i, j] - edge) / scale
    return out
