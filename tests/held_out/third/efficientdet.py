"""Chapter 13: answers from the task texts."""

import torch

from tests.held_out import right, wrong


@wrong("efficientdet.flatten", "a reshape without the permute")
def flatten_1(outputs, size):
    return torch.cat([x.reshape(x.shape[0], -1, size) for x in outputs], dim=1)


@wrong("efficientdet.flatten", "column by column of places")
def flatten_2(outputs, size):
    rows = []
    for x in outputs:
        rows.append(x.permute(0, 3, 2, 1).reshape(x.shape[0], -1, size))
    return torch.cat(rows, dim=1)


@wrong("efficientdet.flatten", "all places of anchor 0 come before those of anchor 1")
def flatten_3(outputs, size):
    rows = []
    for x in outputs:
        b, c, h, w = x.shape
        x = x.reshape(b, c // size, size, h, w).permute(0, 1, 3, 4, 2)
        rows.append(x.reshape(b, -1, size))
    return torch.cat(rows, dim=1)


@wrong("efficientdet.flatten", "the channels of one anchor lie A apart")
def flatten_4(outputs, size):
    rows = []
    for x in outputs:
        b, c, h, w = x.shape
        x = x.reshape(b, size, c // size, h, w).permute(0, 3, 4, 2, 1)
        rows.append(x.reshape(b, -1, size))
    return torch.cat(rows, dim=1)


@wrong("efficientdet.flatten", "joins all pictures of a level before the next level")
def flatten_5(outputs, size):
    rows = [x.permute(0, 2, 3, 1).reshape(-1, size) for x in outputs]
    return torch.cat(rows).reshape(outputs[0].shape[0], -1, size)


@wrong("efficientdet.flatten", "the last level comes first")
def flatten_6(outputs, size):
    result = None
    for x in outputs:
        x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, size)
        result = x if result is None else torch.cat([x, result], dim=1)
    return result


@right("efficientdet.flatten")
def flatten_7(outputs, size):
    rows = [x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, size) for x in outputs]
    return torch.cat(rows, dim=1)


@right("efficientdet.flatten")
def flatten_8(outputs, size):
    rows = []
    for x in outputs:
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                rows.extend(x[:, :, i, j].split(size, dim=1))
    return torch.stack(rows, dim=1)


@right("efficientdet.flatten")
def flatten_9(outputs, size):
    def level(x):
        x = x.unflatten(1, (-1, size))  # b a k h w
        return torch.einsum("bakhw->bhwak", x).flatten(1, 3)

    return torch.hstack([level(x) for x in outputs])
