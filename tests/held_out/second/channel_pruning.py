"""Chapter 18: answers from the task texts."""

from itertools import accumulate

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- share_left ---

wrong_value("channel_pruning.share_left", 0.5, "half of the channels, half of the work")
wrong_value("channel_pruning.share_left", 0.25, "half in and half out everywhere")
wrong_value("channel_pruning.share_left", 0.3, "the output is halved too")
wrong_value("channel_pruning.share_left", 0.6333, "the share that is gone")
right_value("channel_pruning.share_left", 0.3667)
right_value("channel_pruning.share_left", 22 / 60)

# --- smallest_share ---

wrong_value("channel_pruning.smallest_share", 0.5, "half of the channels")
wrong_value("channel_pruning.smallest_share", 0.29, "1 - sqrt(1/2), by the rule alone")
wrong_value("channel_pruning.smallest_share", 0.34, "the last that leaves over half")
right_value("channel_pruning.smallest_share", 0.35)

# --- places ---


@wrong("channel_pruning.places", "no part is shifted")
def places_1(kept, sizes):
    return [c for part in kept for c in part]


@wrong("channel_pruning.places", "shifted by what stays, not by the sizes")
def places_2(kept, sizes):
    out, start = [], 0
    for part in kept:
        out += [start + c for c in part]
        start += len(part)
    return out


@wrong("channel_pruning.places", "shifted by the size of the part before only")
def places_3(kept, sizes):
    out = []
    for i, part in enumerate(kept):
        start = sizes[i - 1] if i else 0
        out += [start + c for c in part]
    return out


@wrong("channel_pruning.places", "an empty part moves nothing on")
def places_4(kept, sizes):
    out, start = [], 0
    for part, size in zip(kept, sizes, strict=True):
        if not part:
            continue
        out += [start + c for c in part]
        start += size
    return out


@wrong("channel_pruning.places", "the columns that go")
def places_5(kept, sizes):
    out, start = [], 0
    for part, size in zip(kept, sizes, strict=True):
        out += [start + c for c in range(size) if c not in part]
        start += size
    return out


@wrong("channel_pruning.places", "a list for each part")
def places_6(kept, sizes):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [[s + c for c in part] for s, part in zip(starts, kept, strict=True)]


@right("channel_pruning.places")
def places_7(kept, sizes):
    out, start = [], 0
    for part, size in zip(kept, sizes, strict=True):
        out.extend(start + c for c in part)
        start += size
    return out


@right("channel_pruning.places")
def places_8(kept, sizes):
    starts = accumulate(sizes[:-1], initial=0)
    return [s + c for s, part in zip(starts, kept, strict=True) for c in part]


@right("channel_pruning.places")
def places_9(kept, sizes):
    flags = []
    for part, size in zip(kept, sizes, strict=True):
        stays = set(part)
        flags += [c in stays for c in range(size)]
    return [column for column, flag in enumerate(flags) if flag]


# --- folded ---


def _stays(weight, gone):
    return [c for c in range(weight.shape[1]) if c not in set(gone)]


@wrong("channel_pruning.folded", "the bias stays as it was")
def folded_1(weight, bias, gone, constant):
    return weight[:, _stays(weight, gone)], bias.clone()


@wrong("channel_pruning.folded", "only the middle pixel of a filter counts")
def folded_2(weight, bias, gone, constant):
    h, w = weight.shape[2] // 2, weight.shape[3] // 2
    extra = weight[:, gone, h, w].sum(1) * constant
    return weight[:, _stays(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "the mean over the pixels in place of the sum")
def folded_3(weight, bias, gone, constant):
    extra = weight[:, gone].mean((2, 3)).sum(1) * constant
    return weight[:, _stays(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "the sigmoid is taken once more")
def folded_4(weight, bias, gone, constant):
    value = torch.sigmoid(torch.tensor(float(constant)))
    extra = weight[:, gone].sum((1, 2, 3)) * value
    return weight[:, _stays(weight, gone)], bias + extra


@wrong("channel_pruning.folded", "filters are taken out, not channels they read")
def folded_5(weight, bias, gone, constant):
    stays = [f for f in range(weight.shape[0]) if f not in gone]
    extra = weight[:, [c for c in gone if c < weight.shape[1]]].sum((1, 2, 3))
    return weight[stays], (bias + extra * constant)[stays]


@wrong("channel_pruning.folded", "the constant is subtracted")
def folded_6(weight, bias, gone, constant):
    extra = weight[:, gone].sum((1, 2, 3)) * constant
    return weight[:, _stays(weight, gone)], bias - extra


@right("channel_pruning.folded")
def folded_8(weight, bias, gone, constant):
    extra = weight[:, gone].sum((1, 2, 3)) * constant
    return weight[:, _stays(weight, gone)], bias + extra


@right("channel_pruning.folded")
def folded_9(weight, bias, gone, constant):
    mask = torch.ones(weight.shape[1], dtype=torch.bool)
    mask[list(gone)] = False
    new = bias.clone()
    for channel in gone:
        for f in range(weight.shape[0]):
            new[f] += constant * weight[f, channel].sum()
    return weight[:, mask], new


@right("channel_pruning.folded")
def folded_10(weight, bias, gone, constant):
    picture = torch.zeros(1, *weight.shape[1:], dtype=weight.dtype)
    for channel in gone:
        picture[0, channel] = constant
    new = torch.nn.functional.conv2d(picture, weight, bias).flatten()
    stays = [c for c in range(weight.shape[1]) if c not in gone]
    return weight.index_select(1, torch.tensor(stays, dtype=torch.int64)), new
