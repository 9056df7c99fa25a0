"""Chapter 18: answers from the task texts."""

from itertools import accumulate

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 18.1

wrong_value("channel_pruning.share_left", 0.25, "half of both sides of every layer")
wrong_value("channel_pruning.share_left", 0.5, "half of the channels, half of the cost")
wrong_value("channel_pruning.share_left", 0.3, "the output halved too: 18 / 60")
wrong_value("channel_pruning.share_left", 0.6333, "the share that goes: 38 / 60")
wrong_value("channel_pruning.share_left", 0.3167, "the input halved too: 19 / 60")
right_value("channel_pruning.share_left", 22 / 60)
right_value("channel_pruning.share_left", 0.3667)

# 18.2

wrong_value("channel_pruning.smallest_share", 0.5, "half of the channels")
wrong_value("channel_pruning.smallest_share", 0.3, "1 minus the root of a half")
wrong_value("channel_pruning.smallest_share", 0.34, "one step too early: 0.502 left")
wrong_value("channel_pruning.smallest_share", 0.65, "the share that stays")
wrong_value("channel_pruning.smallest_share", 35, "in percent")
right_value("channel_pruning.smallest_share", 0.35)
right_value("channel_pruning.smallest_share", "0.35")

# 18.3


@wrong("channel_pruning.places", "no part is moved behind the one before it")
def places_1(kept, sizes):
    return [c for part in kept for c in part]


@wrong(
    "channel_pruning.places", "moved by what stays of the parts before, not by sizes"
)
def places_2(kept, sizes):
    out, begin = [], 0
    for part in kept:
        out += [begin + c for c in part]
        begin += len(part)
    return out


@wrong("channel_pruning.places", "a list for each part")
def places_3(kept, sizes):
    out, begin = [], 0
    for part, size in zip(kept, sizes, strict=True):
        out.append([begin + c for c in part])
        begin += size
    return out


@wrong("channel_pruning.places", "each part is moved by its own size as well")
def places_4(kept, sizes):
    out, begin = [], 0
    for part, size in zip(kept, sizes, strict=True):
        begin += size
        out += [begin + c for c in part]
    return out


@wrong("channel_pruning.places", "the columns that go")
def places_5(kept, sizes):
    out, begin = [], 0
    for part, size in zip(kept, sizes, strict=True):
        out += [begin + c for c in range(size) if c not in part]
        begin += size
    return out


@wrong("channel_pruning.places", "a part of which nothing stays takes no room")
def places_6(kept, sizes):
    out, begin = [], 0
    for part, size in zip(kept, sizes, strict=True):
        if not part:
            continue
        out += [begin + c for c in part]
        begin += size
    return out


@wrong("channel_pruning.places", "all parts taken to be as wide as the first")
def places_7(kept, sizes):
    return [i * sizes[0] + c for i, part in enumerate(kept) for c in part]


@wrong("channel_pruning.places", "moved by the part before alone, not by all before")
def places_8(kept, sizes):
    out = []
    for i, part in enumerate(kept):
        begin = sizes[i - 1] if i > 0 else 0
        out += [begin + c for c in part]
    return out


@right("channel_pruning.places")
def places_9(kept, sizes):
    out, begin = [], 0
    for part, size in zip(kept, sizes, strict=True):
        out += [begin + c for c in part]
        begin += size
    return out


@right("channel_pruning.places")
def places_10(kept, sizes):
    return [sum(sizes[:i]) + c for i, part in enumerate(kept) for c in part]


@right("channel_pruning.places")
def places_11(kept, sizes):
    stays = []
    for part, size in zip(kept, sizes, strict=True):
        mask = np.zeros(size, dtype=bool)
        mask[list(part)] = True
        stays.append(mask)
    return np.flatnonzero(np.concatenate(stays)).tolist() if stays else []


@right("channel_pruning.places")
def places_12(kept, sizes):
    begins = accumulate([0, *sizes])
    out = []
    for begin, part in zip(begins, kept, strict=False):
        out.extend(map(begin.__add__, part))
    return out


# 18.4


def _stay(weight, gone):
    return [c for c in range(weight.shape[1]) if c not in gone]


@wrong("channel_pruning.folded", "reads only one pixel of the filter")
def folded_1(weight, bias, gone, constant):
    extra = weight[:, gone, 0, 0].sum(dim=1) * constant
    return weight[:, _stay(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "the mean of the filter's pixels, not their sum")
def folded_2(weight, bias, gone, constant):
    extra = weight[:, gone].mean(dim=(2, 3)).sum(dim=1) * constant
    return weight[:, _stay(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "keeps the channels that are gone")
def folded_3(weight, bias, gone, constant):
    stay = _stay(weight, gone)
    return weight[:, gone], bias + weight[:, stay].sum(dim=(1, 2, 3)) * constant


@wrong("channel_pruning.folded", "forgets the constant")
def folded_4(weight, bias, gone, constant):
    return weight[:, _stay(weight, gone)], bias + weight[:, gone].sum(dim=(1, 2, 3))


@wrong("channel_pruning.folded", "subtracts what is gone")
def folded_5(weight, bias, gone, constant):
    extra = weight[:, gone].sum(dim=(1, 2, 3)) * constant
    return weight[:, _stay(weight, gone)], bias - extra


@wrong("channel_pruning.folded", "leaves the bias as it was")
def folded_6(weight, bias, gone, constant):
    return weight[:, _stay(weight, gone)], bias.clone()


@wrong("channel_pruning.folded", "takes the sigmoid of the constant again")
def folded_7(weight, bias, gone, constant):
    behind = torch.sigmoid(torch.tensor(float(constant)))
    extra = weight[:, gone].sum(dim=(1, 2, 3)) * behind
    return weight[:, _stay(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "changes the given bias")
def folded_8(weight, bias, gone, constant):
    bias += weight[:, gone].sum(dim=(1, 2, 3)) * constant
    return weight[:, _stay(weight, gone)], bias


@right("channel_pruning.folded")
def folded_9(weight, bias, gone, constant):
    stay = [c for c in range(weight.shape[1]) if c not in gone]
    extra = weight[:, gone].sum(dim=(1, 2, 3)) * constant
    return weight[:, stay], bias + extra


@right("channel_pruning.folded")
def folded_10(weight, bias, gone, constant):
    mask = torch.zeros(weight.shape[1], dtype=torch.bool)
    mask[list(gone)] = True
    extra = torch.einsum("oihw,i->o", weight, mask.to(weight.dtype) * constant)
    return weight[:, ~mask].clone(), bias + extra


@right("channel_pruning.folded")
def folded_11(weight, bias, gone, constant):
    picture = torch.zeros(1, *weight.shape[1:], dtype=weight.dtype)
    for c in gone:
        picture[0, c] = constant
    new_bias = torch.nn.functional.conv2d(picture, weight, bias).flatten()
    stay = torch.tensor(sorted(set(range(weight.shape[1])) - set(gone)))
    return weight.index_select(1, stay.long()), new_bias


@right("channel_pruning.folded")
def folded_12(weight, bias, gone, constant):
    new_bias = bias.clone()
    kept = []
    for c in range(weight.shape[1]):
        if c in gone:
            for o in range(weight.shape[0]):
                new_bias[o] = new_bias[o] + constant * weight[o, c].sum()
        else:
            kept.append(weight[:, c])
    return torch.stack(kept, dim=1), new_bias
