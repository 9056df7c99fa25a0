"""Chapter 01: answers from the task texts."""

import math

import numpy as np
import torch

from tests.held_out import right, wrong


@wrong("data.letterbox_geometry", "the picture stands in the middle of the square")
def letterbox_geometry_1(boxes, height, width, size):
    scale = min(size / height, size / width)
    rows = max(1, round(height * scale))
    columns = max(1, round(width * scale))
    top, left = (size - rows) // 2, (size - columns) // 2
    offset = torch.tensor([left, top, left, top])
    return boxes * scale + offset, scale, (rows, columns)


@wrong("data.letterbox_geometry", "small pictures are never enlarged")
def letterbox_geometry_2(boxes, height, width, size):
    scale = min(size / height, size / width, 1.0)
    rows = max(1, round(scale * height))
    columns = max(1, round(scale * width))
    return boxes * scale, scale, (rows, columns)


@wrong("data.letterbox_geometry", "rows and columns are cut off, not rounded")
def letterbox_geometry_3(boxes, height, width, size):
    scale = min(size / height, size / width)
    return (
        boxes * scale,
        scale,
        (max(int(height * scale), 1), max(int(width * scale), 1)),
    )


@wrong("data.letterbox_geometry", "columns come before rows")
def letterbox_geometry_4(boxes, height, width, size):
    scale = min(size / height, size / width)
    w = max(1, round(width * scale))
    h = max(1, round(height * scale))
    return scale * boxes, scale, (w, h)


@wrong("data.letterbox_geometry", "a thin picture may keep no row or no column")
def letterbox_geometry_5(boxes, height, width, size):
    scale = size / max(height, width)
    return boxes * scale, scale, (round(height * scale), round(width * scale))


@wrong("data.letterbox_geometry", "boxes are scaled by the rounded sides")
def letterbox_geometry_6(boxes, height, width, size):
    scale = min(size / height, size / width)
    rows = max(1, round(height * scale))
    columns = max(1, round(width * scale))
    fx, fy = columns / width, rows / height
    return boxes * torch.tensor([fx, fy, fx, fy]), scale, (rows, columns)


@right("data.letterbox_geometry")
def letterbox_geometry_7(boxes, height, width, size):
    scale = min(size / height, size / width)
    sides = tuple(max(1, round(side * scale)) for side in (height, width))
    return boxes * scale, scale, sides


@right("data.letterbox_geometry")
def letterbox_geometry_8(boxes, height, width, size):
    scale = size / height
    if width * scale > size:
        scale = size / width
    moved = boxes.clone().to(
        torch.get_default_dtype() if not boxes.is_floating_point() else boxes.dtype
    )
    for i in range(len(moved)):
        for j in range(4):
            moved[i, j] = moved[i, j] * scale
    rows = math.floor(height * scale + 0.5)
    columns = math.floor(width * scale + 0.5)
    if rows < 1:
        rows = 1
    if columns < 1:
        columns = 1
    return [moved, scale, [rows, columns]]


@right("data.letterbox_geometry")
def letterbox_geometry_9(boxes, height, width, size):
    sides = np.array([height, width], dtype=np.float64)
    scale = float((size / sides).min())
    rows, columns = np.maximum(np.rint(sides * scale), 1)
    scaled = torch.as_tensor(np.asarray(boxes) * scale)
    return scaled, scale, (float(rows), float(columns))
