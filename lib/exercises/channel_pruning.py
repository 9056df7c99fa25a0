"""Exercises and quiz of chapter 18: what a pruned channel takes with it."""

import functools

import torch
from torch import nn

from lib.basics import profiling, training
from lib.compression import channel_pruning
from lib.detection import detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- the machine that calls the core function


@functools.cache
def plain_plan():
    """The shipped *plain* detector, an example, and a plan; nobody changes them."""
    model, x = detectors.shipped("plain"), torch.zeros(1, 3, 64, 64)
    return model, x, channel_pruning.plan(model, x, 0.3)


def thinner_detector() -> list:
    """*Plain* without three channels of ten: its outputs on a picture of waves."""
    model, x, plan = plain_plan()
    small = channel_pruning.remove_channels(model, x, plan)
    ramp = torch.linspace(0, 1, 64)
    colours = [(9 * ramp).sin(), (14 * ramp).cos(), ramp]
    picture = torch.stack([2 * c * ramp[:, None] - 0.5 for c in colours])[None]
    with torch.no_grad():
        classes, boxes = small(picture)  # B A*K H W and B A*4 H W a level
    return [*classes, *boxes]


@functools.cache
def sloped_detector():
    """The shipped *plain* detector with a gradient; nobody changes it."""
    model = detectors.shipped("plain")
    ramp = torch.linspace(0, 1, 64)
    colours = [(9 * ramp).sin(), (14 * ramp).cos(), ramp]
    picture = torch.stack([2 * c * ramp[:, None] - 0.5 for c in colours])[None]
    with torch.enable_grad():
        classes, boxes = model(picture)
        sum(level.square().mean() for level in [*classes, *boxes]).backward()
    return model


def least_sloped_channels() -> list:
    """Which channels of *plain* go by Taylor's rule: three of ten, group by group."""
    x = torch.zeros(1, 3, 64, 64)
    plan = channel_pruning.plan(sloped_detector(), x, 0.3, importance="taylor")
    return [torch.tensor(gone) for gone in plan.removed.values()]


# --- 18.1 build: the same channels of every tensor


def keep_places_2(tensors, kept):
    """Tensor by tensor, place by place, with `unbind` and `stack`."""
    smaller = {}
    for name, values in tensors.items():
        for dim in range(values.dim()):
            if (name, dim) in kept:
                slices = values.unbind(dim)
                values = torch.stack([slices[i] for i in kept[name, dim]], dim)
        smaller[name] = values
    return smaller


def taken(tensors, kept, choose):
    """As it should be but for `choose(name, tensor, dim, places)`."""
    smaller = dict(tensors)
    for (name, dim), places in kept.items():
        smaller[name] = choose(name, smaller[name], dim, places)
    return smaller


def take(tensor, dim, places):
    return tensor.index_select(dim, torch.tensor(places, device=tensor.device))


def keep_filters_only(tensors, kept):
    return taken(tensors, {k: v for k, v in kept.items() if k[1] == 0},
                 lambda _, t, dim, at: take(t, dim, at))  # fmt: skip


def keep_columns_only(tensors, kept):
    return taken(tensors, {k: v for k, v in kept.items() if k[1] == 1},
                 lambda _, t, dim, at: take(t, dim, at))  # fmt: skip


def keep_norms_whole(tensors, kept):
    """Scale, shift and statistics have one dimension; they are left as they are."""

    def choose(name, tensor, dim, places):
        return take(tensor, dim, places) if tensor.dim() > 1 else tensor

    return taken(tensors, kept, choose)


def keep_first_ones(tensors, kept):
    """As many as stay, but the first ones."""
    return taken(tensors, kept, lambda _, t, dim, at: t.narrow(dim, 0, len(at)))


def keep_last_ones(tensors, kept):
    return taken(
        tensors, kept,
        lambda _, t, dim, at: t.narrow(dim, t.shape[dim] - len(at), len(at)),
    )  # fmt: skip


def keep_first_statistics(tensors, kept):
    """Half a norm: scale and shift of those that stay, statistics of the first."""

    def choose(name, tensor, dim, places):
        if "running" in name:
            return tensor[: len(places)]
        return take(tensor, dim, places)

    return taken(tensors, kept, choose)


def keep_the_removed(tensors, kept):
    def choose(name, tensor, dim, places):
        return take(tensor, dim, sorted(set(range(tensor.shape[dim])) - set(places)))

    return taken(tensors, kept, choose)


def keep_as_zeros(tensors, kept):
    """All sizes as before: what goes is 0."""

    def choose(name, tensor, dim, places):
        stays = torch.zeros(tensor.shape[dim])
        stays[places] = 1
        return tensor * stays.view(-1, *[1] * (tensor.dim() - 1 - dim))

    return taken(tensors, kept, choose)


def keep_listed_only(tensors, kept):
    """Tensors that lose nothing are lost altogether."""
    names = {name for name, _ in kept}
    smaller = keep_places_2(tensors, kept)
    return {name: tensor for name, tensor in smaller.items() if name in names}


def keep_last_side(tensors, kept):
    """Each time from the whole tensor: of two dimensions the last one counts."""
    smaller = dict(tensors)
    for (name, dim), places in kept.items():
        smaller[name] = take(tensors[name], dim, places)
    return smaller


def keep_rows_always(tensors, kept):
    """`tensor[places]`, whichever dimension is asked."""

    def choose(name, tensor, dim, places):
        return take(tensor, 0, [place for place in places if place < len(tensor)])

    return taken(tensors, kept, choose)


def keep_last_dimension(tensors, kept):
    def choose(name, tensor, dim, places):
        most = tensor.shape[-1]
        return take(tensor, -1, [place for place in places if place < most])

    return taken(tensors, kept, choose)


def keep_counted_from_one(tensors, kept):
    def choose(name, tensor, dim, places):
        return take(tensor, dim, [(p - 1) % tensor.shape[dim] for p in places])

    return taken(tensors, kept, choose)


def keep_backwards(tensors, kept):
    return taken(tensors, kept, lambda _, t, dim, at: take(t, dim, at[::-1]))


def network_of_tensors(rng, size):
    """A layer, its norm, one in the middle with both sides, and a reader."""
    inputs, width, outputs = size + 1, size + 3, rng.randint(1, size + 1)
    taps = rng.choice((1, 3))
    shapes = {
        "a.weight": (width, inputs, taps, taps), "a.bias": (width,),
        "norm.weight": (width,), "norm.bias": (width,),
        "norm.running_mean": (width,), "norm.running_var": (width,),
        "b.weight": (width, width, taps, taps), "depth.weight": (width, 1, 3, 3),
        "c.weight": (outputs, width, 1, 1), "c.bias": (outputs,),
        "linear.weight": (outputs, 2 * width),
    }  # fmt: skip
    scale = 10.0 ** rng.choice((-3, 0, 0, 4))
    tensors = {name: scale * tensor(rng, *shape) for name, shape in shapes.items()}
    stay = sorted(rng.sample(range(width), rng.choice((1, width // 2, width - 1))))
    kept = {(name, 0): stay for name, shape in shapes.items() if shape[0] == width}
    kept = {key: stay for key in kept if not key[0].startswith("c.")}
    kept |= {("b.weight", 1): stay, ("c.weight", 1): stay}
    kept["linear.weight", 1] = stay + [width + place for place in stay]
    if rng.random() < 0.2:
        kept = {key: list(range(tensors[key[0]].shape[key[1]])) for key in kept}
    return tensors, kept


def three_tensors():
    """A filter bank, its norm and its reader; channel 1 of three goes, by hand."""
    tensors = {
        "conv.weight": torch.tensor([[1.0], [2.0], [3.0]]),
        "norm.running_mean": torch.tensor([0.1, 0.2, 0.3]),
        "reader.weight": torch.tensor([[4.0, 5.0, 6.0]]),
        "reader.bias": torch.tensor([7.0]),
    }
    kept = {("conv.weight", 0): [0, 2], ("norm.running_mean", 0): [0, 2]}
    kept["reader.weight", 1] = [0, 2]
    wanted = tensors | {
        "conv.weight": torch.tensor([[1.0], [3.0]]),
        "norm.running_mean": torch.tensor([0.1, 0.3]),
        "reader.weight": torch.tensor([[4.0, 6.0]]),
    }
    return (tensors, kept), wanted


def both_sides():
    """One matrix that loses a row and a column."""
    nine = {"w": torch.arange(9.0).view(3, 3)}
    kept = {("w", 0): [1, 2], ("w", 1): [0, 2]}
    return (nine, kept), {"w": torch.tensor([[3.0, 5.0], [6.0, 8.0]])}


# --- 18.2 build: what the loss changes by


def taylor_2(weights, gradients):
    """Channel by channel, weight by weight."""
    scores = []
    for of_channel, slopes in zip(weights.double(), gradients.double(), strict=True):
        pairs = zip(of_channel.tolist(), slopes.tolist(), strict=True)
        scores.append(abs(sum(w * g for w, g in pairs)))
    return torch.tensor(scores, dtype=weights.dtype)


def taylor_of_sizes(weights, gradients):
    """The magnitudes are added: nothing cancels."""
    return (weights * gradients).abs().sum(dim=1)


def taylor_signed(weights, gradients):
    return (weights * gradients).sum(dim=1)


def taylor_of_columns(weights, gradients):
    """Over the channels, where one number a channel is asked."""
    return (weights * gradients).sum(dim=0).abs()


def taylor_of_all(weights, gradients):
    return (weights * gradients).sum().abs()


def taylor_squared(weights, gradients):
    """The square of the change, as in Molchanov's paper."""
    return (weights * gradients).sum(dim=1) ** 2


def taylor_of_squares(weights, gradients):
    return ((weights * gradients) ** 2).sum(dim=1)


def taylor_mean(weights, gradients):
    return (weights * gradients).mean(dim=1).abs()


def taylor_of_sums(weights, gradients):
    """Two sums multiplied, where products are added."""
    return (weights.sum(dim=1) * gradients.sum(dim=1)).abs()


def taylor_of_norms(weights, gradients):
    return weights.norm(dim=1) * gradients.norm(dim=1)


def taylor_slopes_only(weights, gradients):
    return gradients.sum(dim=1).abs()


def taylor_weights_only(weights, gradients):
    """The L1 norm."""
    return weights.abs().sum(dim=1)


def taylor_step(weights, gradients):
    """What a step of gradient descent leaves, instead of what the weight is worth."""
    return (weights - gradients).sum(dim=1).abs()


def taylor_largest(weights, gradients):
    return (weights * gradients).abs().amax(dim=1)


def taylor_products(weights, gradients):
    """The products, not added up."""
    return (weights * gradients).abs()


def slopes_case(rng, size):
    """As many channels as weights each now and then; both signs, small and large."""
    channels = rng.randint(2, size + 3)
    each = rng.choice((channels, size + 2, 9 * size, 2))
    scale = 10.0 ** rng.choice((-3, 0, 0, 3))
    both = (tensor(rng, channels, each, low=-2.0, high=2.0) for _ in range(2))
    return tuple(scale * values for values in both)


# --- 18.3 predict


def toy() -> nn.Sequential:
    """Three convolutions in a row, 4, 8 and 2 filters."""
    convs = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 2, 1)
    return nn.Sequential(*convs)


def share_left() -> float:
    """Multiply-adds that are left of the toy if half of the channels go."""
    x = torch.zeros(1, 3, 1, 1)
    return channel_pruning.plan(toy(), x, 0.5).macs / profiling.macs(toy(), x)


# --- 18.4 measure


@functools.cache
def smallest_share() -> float:
    """The share of channels, in hundredths, that halves the multiply-adds."""
    model, x = training.small_cnn(), torch.zeros(1, 3, 32, 32)
    half = profiling.macs(model, x) / 2
    shares = [k / 100 for k in range(100)]
    return next(s for s in shares if channel_pruning.plan(model, x, s).macs <= half)


# --- 18.5 build


def places(kept, sizes):
    """What stays of a concatenation: each part's channels, behind the whole parts."""
    staying, before = [], 0
    for part, channels in enumerate(kept):
        for channel in channels:
            staying.append(before + channel)
        before += sizes[part]
    return staying


def places_2(kept, sizes):
    """The other way round: mark what stays, then read the marks."""
    marks = []
    for channels, size in zip(kept, sizes, strict=True):
        marks += [channel in channels for channel in range(size)]
    return [place for place, stays in enumerate(marks) if stays]


def places_offset_too_soon(kept, sizes):
    staying, before = [], 0
    for channels, size in zip(kept, sizes, strict=True):
        before += size
        staying += [before + channel for channel in channels]
    return staying


def places_all_parts_alike(kept, sizes):
    """As if every part had as many channels as itself."""
    staying = []
    for part, channels in enumerate(kept):
        staying += [part * sizes[part] + channel for channel in channels]
    return staying


def places_all_parts_like_first(kept, sizes):
    staying = []
    for part, channels in enumerate(kept):
        staying += [part * sizes[0] + channel for channel in channels]
    return staying


def places_behind_last_kept(kept, sizes):
    """A part begins behind the last channel that stays of the part before."""
    staying, before = [], 0
    for channels in kept:
        staying += [before + channel for channel in channels]
        before = staying[-1] + 1 if staying else 0
    return staying


def places_as_mask(kept, sizes):
    marks = []
    for channels, size in zip(kept, sizes, strict=True):
        marks += [channel in channels for channel in range(size)]
    return marks


def places_in_the_smaller(kept, sizes):
    """Where the channels stand afterwards."""
    return list(range(sum(len(channels) for channels in kept)))


def places_part_by_part(kept, sizes):
    parts, before = [], 0
    for channels, size in zip(kept, sizes, strict=True):
        parts.append([before + channel for channel in channels])
        before += size
    return parts


def places_offset_of_all(kept, sizes):
    """Every part behind all of them."""
    staying = []
    for part, channels in enumerate(kept):
        before = sum(sizes) - sizes[part]
        staying += [before + channel for channel in channels]
    return staying


def places_offset_by_part(kept, sizes):
    return [
        part + channel for part, channels in enumerate(kept) for channel in channels
    ]


def places_one_short(kept, sizes):
    """Each part is taken for one channel smaller."""
    staying, before = [], 0
    for channels, size in zip(kept, sizes, strict=True):
        staying += [before + channel for channel in channels]
        before += size - 1
    return staying


def places_last_part_only(kept, sizes):
    staying, before = [], 0
    for channels, size in zip(kept, sizes, strict=True):
        staying = [before + channel for channel in channels]
        before += size
    return staying


def places_first_part_only(kept, sizes):
    return list(kept[0])


def places_each_once(kept, sizes):
    """The numbers without the parts, each once."""
    return sorted({channel for channels in kept for channel in channels})


def places_counts(kept, sizes):
    return [len(channels) for channels in kept]


def places_backwards(kept, sizes):
    """The last part comes first."""
    staying, before = [], 0
    for channels, size in zip(kept[::-1], sizes[::-1], strict=True):
        staying += [before + channel for channel in channels]
        before += size
    return staying


def places_counted_from_one(kept, sizes):
    staying, before = [], 1
    for channels, size in zip(kept, sizes, strict=True):
        staying += [before + channel for channel in channels]
        before += size
    return staying


def places_without_offset(kept, sizes):
    return [channel for channels in kept for channel in channels]


def places_behind_kept(kept, sizes):
    staying, before = [], 0
    for channels in kept:
        staying += [before + channel for channel in channels]
        before += len(channels)
    return staying


def places_behind_last_part(kept, sizes):
    staying, before = [], 0
    for channels, size in zip(kept, sizes, strict=True):
        staying += [before + channel for channel in channels]
        before = size
    return staying


def places_of_the_removed(kept, sizes):
    stay = set(places(kept, sizes))
    return [place for place in range(sum(sizes)) if place not in stay]


def parts(rng, size) -> tuple:
    """Parts of a concatenation, each with some channels that stay, in order.

    One part or several; the largest are wide, and some lose all or nothing.
    """
    count = rng.choice((1, 2, 3, 3, 4, 5))
    if size == 6:
        sizes = [rng.choice((16, 24, 40)) for _ in range(3)]
        kept = [sorted(rng.sample(range(n), rng.choice((0, 7, n)))) for n in sizes]
    else:
        sizes = [rng.randint(2, 4 + size) for _ in range(count)]
        kept = [sorted(rng.sample(range(n), rng.randint(1, n - 1))) for n in sizes]
    return kept, sizes


# --- 18.6 build


def folded(weight, bias, gone, constant):
    """The smaller weight, and a bias that holds what the removed channels gave."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    lost = weight[:, gone].sum((1, 2, 3)) * constant
    return weight[:, stay], bias + lost


def folded_2(weight, bias, gone, constant):
    """Let the layer say itself what the constants give."""
    out, channels, height, width = weight.shape
    x = torch.zeros(1, channels, height, width)
    x[:, gone] = constant
    mask = torch.ones(channels, dtype=torch.bool)
    mask[gone] = False
    return weight[:, mask], torch.conv2d(x, weight, bias).flatten()


def folded_not(weight, bias, gone, constant):
    return folded(weight, bias, gone, 0.0)


def folded_once(weight, bias, gone, constant):
    small, _ = folded(weight, bias, gone, constant)
    return small, bias + weight[:, gone].sum(1)[:, 0, 0] * constant


def folded_the_rest(weight, bias, gone, constant):
    small, _ = folded(weight, bias, gone, constant)
    return small, bias + small.sum((1, 2, 3)) * constant


def folded_away(weight, bias, gone, constant):
    return folded(weight, bias, gone, -constant)


def folded_mean(weight, bias, gone, constant):
    small, _ = folded(weight, bias, gone, constant)
    return small, bias + weight[:, gone].mean((1, 2, 3)) * constant


def folded_mean_of_taps(weight, bias, gone, constant):
    small, _ = folded(weight, bias, gone, constant)
    return small, bias + weight[:, gone].mean((2, 3)).sum(1) * constant


def folded_middle(weight, bias, gone, constant):
    small, _ = folded(weight, bias, gone, constant)
    row, column = weight.shape[2] // 2, weight.shape[3] // 2
    return small, bias + weight[:, gone, row, column].sum(1) * constant


def folded_without_constant(weight, bias, gone, constant):
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, stay], bias + weight[:, gone].sum((1, 2, 3))


def folded_one_sum(weight, bias, gone, constant):
    """The same number for all filters."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, stay], bias + weight[:, gone].sum() * constant


def folded_constants_only(weight, bias, gone, constant):
    """As if the weights were 1."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, stay], bias + constant * len(gone)


def folded_whole_weight(weight, bias, gone, constant):
    return weight, bias + weight[:, gone].sum((1, 2, 3)) * constant


def folded_kept_the_gone(weight, bias, gone, constant):
    return weight[:, gone], bias + weight[:, gone].sum((1, 2, 3)) * constant


def folded_rows(weight, bias, gone, constant):
    """Takes filters out, the outputs, instead of inputs; fails if there are fewer."""
    stay = [i for i in range(weight.shape[0]) if i not in gone]
    lost = weight[gone].sum((1, 2, 3)) * constant
    return weight[stay], bias[stay] + lost.sum()


def folded_first_gone(weight, bias, gone, constant):
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, stay], bias + weight[:, gone[0]].sum((1, 2)) * constant


def _folded_with(name, rule):
    """A fold whose bias is computed otherwise: `rule(bias, columns, constant)`."""

    def fold(weight, bias, gone, constant):
        stay = [i for i in range(weight.shape[1]) if i not in gone]
        return weight[:, stay], rule(bias, weight[:, gone], constant)

    fold.__name__ = name
    return fold


folded_old_bias_lost = _folded_with(
    "folded_old_bias_lost", lambda b, w, c: w.sum((1, 2, 3)) * c
)
folded_bias_scaled = _folded_with(
    "folded_bias_scaled", lambda b, w, c: (b + w.sum((1, 2, 3))) * c
)
folded_divided = _folded_with(
    "folded_divided", lambda b, w, c: b + w.sum((1, 2, 3)) / c
)
folded_magnitudes = _folded_with(
    "folded_magnitudes", lambda b, w, c: b + w.abs().sum((1, 2, 3)) * c
)
folded_largest_tap = _folded_with(
    "folded_largest_tap", lambda b, w, c: b + w.amax((2, 3)).sum(1) * c
)
folded_constant_added = _folded_with(
    "folded_constant_added", lambda b, w, c: b + w.sum((1, 2, 3)) + c
)
folded_mean_of_channels = _folded_with(
    "folded_mean_of_channels", lambda b, w, c: b + w.mean(1).sum((1, 2)) * c
)
folded_twice = _folded_with(
    "folded_twice", lambda b, w, c: b + 2 * w.sum((1, 2, 3)) * c
)
folded_squared = _folded_with(
    "folded_squared", lambda b, w, c: b + w.pow(2).sum((1, 2, 3)) * c
)


def folded_all_columns(weight, bias, gone, constant):
    """The sum over the whole filter."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, stay], bias + weight.sum((1, 2, 3)) * constant


def folded_turned_round(weight, bias, gone, constant):
    """Keeps what goes, and folds what stays."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return weight[:, gone], bias + weight[:, stay].sum((1, 2, 3)) * constant


def folded_zeros(weight, bias, gone, constant):
    """The columns are set to zero instead of taken out."""
    small = weight.clone()
    small[:, gone] = 0.0
    return small, bias + weight[:, gone].sum((1, 2, 3)) * constant


def folded_the_other_way_round(weight, bias, gone, constant):
    """The pair in the wrong order."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    return bias + weight[:, gone].sum((1, 2, 3)) * constant, weight[:, stay]


def folded_sigmoid(weight, bias, gone, constant):
    """The constant stands behind the sigmoid already."""
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    after = torch.sigmoid(torch.tensor(constant))
    return weight[:, stay], bias + weight[:, gone].sum((1, 2, 3)) * after


def layer(rng, size) -> tuple:
    """A convolution, channels before it that go, and the constant that they give.

    Kernels of one tap, square ones, and others.
    """
    out, channels = rng.randint(1, 2 + size), rng.randint(3, 4 + size)
    height, width = rng.choice(((2, 2), (3, 3), (3, 3), (1, 3), (3, 2), (1, 1)))
    gone = sorted(rng.sample(range(channels), rng.randint(1, channels - 1)))
    constant = rng.choice((0.5, 0.25, -1.5))
    weight = tensor(rng, out, channels, height, width)
    return weight, tensor(rng, out), gone, constant


def same_sums(mine, weight, bias, gone, constant) -> bool:
    """On a picture whose removed channels are constant, nothing has changed."""
    both = mine(weight, bias, list(gone), constant)
    small, shift = (torch.as_tensor(part) for part in both)
    x = torch.linspace(-1, 1, weight.shape[1] * 25).reshape(1, -1, 5, 5)
    stay = [i for i in range(weight.shape[1]) if i not in gone]
    x[:, gone] = constant
    a, b = torch.conv2d(x, weight, bias), torch.conv2d(x[:, stay], small, shift)
    return torch.allclose(a, b, atol=1e-4)


EXERCISES = (
    Exercise(
        name="keep_places", number="18.1", kind="build", minutes=12, difficulty=2,
        points=3,
        task="keep_places(tensors, kept): the same tensors, by name, with only the"
             " places that stay; kept[name, dim] lists them for one dimension of one.",
        place="compression.channel_pruning.keep_places", required=True, importance=3,
        machine="the shipped plain detector, thinner by three channels of ten",
        machine_case=thinner_detector, milestone_calls=32,
        reference=channel_pruning.keep_places, alternative=keep_places_2,
        wrong=(
            Wrong(keep_filters_only, "readers keep the columns of channels that are"
                  " gone: cut dimension 1 as well, where `kept` says so"),
            Wrong(keep_columns_only, "the filters are all there still: cut dimension 0"
                  " as well, where `kept` says so"),
            Wrong(keep_norms_whole, "a norm has one dimension, and loses the same"
                  " places: scale, shift, mean and variance"),
            Wrong(keep_first_ones, "as many as stay, but the first ones: take the"
                  " places that `kept` lists"),
            Wrong(keep_last_ones, "as many as stay, but the last ones: take the places"
                  " that `kept` lists"),
            Wrong(keep_first_statistics, "half a norm: its mean and variance are those"
                  " of other channels; take the same places of all four"),
            Wrong(keep_the_removed, "turned over: `kept` lists what stays"),
            Wrong(keep_as_zeros, "that is the masked twin, of full size; take the"
                  " places out"),
            Wrong(keep_listed_only, "tensors that lose nothing are missing: begin with"
                  " all of them, dict(tensors)"),
            Wrong(keep_last_side, "a tensor can lose on both sides: cut what is already"
                  " cut, not the whole tensor again"),
            Wrong(keep_rows_always, "you cut dimension 0 each time; `kept` says which"
                  " dimension: index_select(dim, ...)"),
            Wrong(keep_last_dimension, "you cut the last dimension each time; `kept`"
                  " says which: index_select(dim, ...)"),
            Wrong(keep_counted_from_one, "places are counted from 0"),
            Wrong(keep_backwards, "the channels that stay keep their order"),
        ),
        hints=(
            "Begin with smaller = dict(tensors): the one that came stays as it is.",
            "for (name, dim), places in kept.items(): one tensor, one dimension each.",
            "tensor.index_select(dim, torch.tensor(places)) takes places of a dimension"
            "; take them of smaller[name], which may be cut already.",
        ),
        cases=network_of_tensors,
        by_hand=(three_tensors(), both_sides()),
        properties=(
            Property(
                "if nothing goes, nothing changes",
                lambda mine, tensors, kept: not difference(
                    dict(tensors), mine(tensors, {}), 0.0
                ),
            ),
        ),
        unchanged={
            "keep_as_zeros": "a pruned network equals its masked twin, by Eq. 18.6",
            "keep_listed_only": "what is not named stays as it is in the copy",
        },
    ),
    Exercise(
        name="taylor", number="18.2", kind="build", minutes=8, difficulty=1, points=2,
        task="taylor(weights, gradients): a row of each for every channel, those of its"
             " readers; one number a channel, by Eq. 18.5.",
        place="compression.channel_pruning.taylor", importance=2,
        machine="the plan that takes three channels of ten from the shipped plain"
                " detector by Taylor's rule",
        machine_case=least_sloped_channels, milestone_calls=1,
        unchanged={
            "taylor_squared": "a square keeps the order of all scores",
            "taylor_mean": "all channels of a group have as many weights, so a mean"
                           " keeps the order",
        },
        reference=channel_pruning.taylor, alternative=taylor_2,
        wrong=(
            Wrong(taylor_of_sizes, "changes of the loss can cancel: add the products"
                  " with their signs, and take the magnitude of the sum"),
            Wrong(taylor_signed, "a loss that falls by much is a large change as well:"
                  " take the magnitude of the sum"),
            Wrong(taylor_of_columns, "you add over the channels; the sum runs over the"
                  " weights of one channel: dim=1"),
            Wrong(taylor_of_all, "one number for all of them; asked is one a channel:"
                  " sum(dim=1)"),
            Wrong(taylor_squared, "that is the square, which has the same order; asked"
                  " is the magnitude"),
            Wrong(taylor_of_squares, "squares cannot cancel: add the products, then"
                  " take the magnitude"),
            Wrong(taylor_mean, "that is the mean of the products; asked is their sum"),
            Wrong(taylor_of_sums, "multiply each weight with its own slope, then add"),
            Wrong(taylor_of_norms, "that is the most that it could be; multiply each"
                  " weight with its own slope, then add"),
            Wrong(taylor_slopes_only, "the slope alone says what a small step does;"
                  " setting a weight to 0 is a step of its whole size: times the"
                  " weight"),
            Wrong(taylor_weights_only, "that is the L1 norm; the loss has to be asked:"
                  " times the slopes"),
            Wrong(taylor_step, "weights minus slopes are those of a training step;"
                  " multiply them"),
            Wrong(taylor_largest, "that is the largest change of one weight; they all"
                  " go together: add them"),
            Wrong(taylor_products, "a number for each weight; add up those of a"
                  " channel: sum(dim=1)"),
        ),
        hints=(
            "Setting w to 0 changes the loss by about -w times its slope.",
            "weights * gradients are those changes; a channel's go together:"
            " sum(dim=1).",
            "Whether the loss rises or falls does not matter: abs() of the sum.",
        ),
        cases=slopes_case,
        by_hand=(
            # 0.5 - 2 and 3 - 2.
            ((torch.tensor([[1.0, 2.0], [3.0, 1.0]]),
              torch.tensor([[0.5, -1.0], [1.0, -2.0]])), torch.tensor([1.5, 1.0])),
            ((torch.tensor([[1.0, 1.0, 2.0]]), torch.tensor([[3.0, -1.0, -1.0]])),
             torch.tensor([0.0])),
        ),
        properties=(
            Property(
                "a loss turned over has the same scores",
                lambda mine, w, g: not difference(
                    torch.as_tensor(mine(w, g)), torch.as_tensor(mine(w, -g)), 1e-5
                ),
            ),
        ),
    ),
    Exercise(
        name="share_left", number="18.3", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="Multiply-adds left, as a share, when half of the channels go.",
        reference=share_left,
        wrong=(
            Wrong(0.5, "a layer in the middle loses on both sides: half the filters,"
                  " each with half the columns"),
            Wrong(0.25, "the first layer keeps its three inputs, the last one its two"
                  " outputs: they lose on one side only"),
            Wrong(0.375, "that is halfway; add up the three layers"),
            Wrong(lambda: 100 * share_left(), "a share lies between 0 and 1: divide by"
                  " 100"),
            Wrong(lambda: 1 - share_left(), "that is the share that goes; give what is"
                  " left"),
            Wrong(22, "these are the multiply-adds that are left; divide by those there"
                  " were, 60"),
            Wrong((2 + 4 + 2) / (4 + 8 + 2), "that is the share of the channels; a"
                  " layer costs inputs times outputs"),
            Wrong((3 * 2 + 2 * 4 + 4 * 1) / 60, "the two outputs of the network have to"
                  " stay"),
        ),
        hints=(
            "Count one pixel: 3 x 4, then 4 x 8, then 8 x 2.",
            "After pruning: 3 x 2, 2 x 4, 4 x 2.",
        ),
        tolerance=1e-4,  # 0.3667 is as good as 22 / 60
    ),
    Exercise(
        name="smallest_share", number="18.4", kind="measure", minutes=8, difficulty=1,
        points=2,
        task="The smallest share of channels, in hundredths, that halves the"
             " multiply-adds of `training.small_cnn`.",
        reference=smallest_share,
        wrong=(
            Wrong(0.5, "try 0.5: far fewer than half of the multiply-adds are left"),
            Wrong(0.29, "1 - sqrt(0.5) holds for a layer that loses on both sides and"
                  " for any number of channels; here there are ends, and whole"
                  " channels"),
            Wrong(lambda: 100 * smallest_share(), "a share lies between 0 and 1: divide"
                  " by 100"),
            Wrong(lambda: smallest_share() - 0.01, "one hundredth less leaves more than"
                  " half of the multiply-adds"),
            Wrong(lambda: smallest_share() + 0.01, "one hundredth less is enough, too"),
        ),
        hints=(
            "Change `share` and look at the number that is printed.",
            "Begin at 0.29, where the middle layers come to half, and go on in"
            " hundredths.",
        ),
    ),
    Exercise(
        name="places", number="18.5", kind="build", minutes=12, difficulty=2, points=3,
        task="places(kept, sizes): maps with sizes[i] channels are concatenated, in"
             " order; kept[i] lists, in rising order, the channels of part i that stay."
             " Return the list of the columns of the concatenation that stay.",
        reference=places, alternative=places_2,
        wrong=(
            Wrong(places_without_offset, "the second part does not begin at 0: its"
                  " channels stand behind the first part's"),
            Wrong(places_behind_kept, "you shift by the channels that stay; the old"
                  " tensor still has all of them"),
            Wrong(places_behind_last_part, "with three parts the last one stands behind"
                  " both of the others: add the sizes up"),
            Wrong(places_of_the_removed, "those are the places that go"),
            Wrong(places_offset_too_soon, "the first part begins at 0: add a part's"
                  " size after its channels, not before"),
            Wrong(places_all_parts_alike, "the parts before may have other sizes: add"
                  " theirs up instead of multiplying your own"),
            Wrong(places_all_parts_like_first, "parts differ in size: add the sizes up"
                  " instead of multiplying the first one"),
            Wrong(places_behind_last_kept, "a part begins behind the whole part before"
                  " it, not behind its last channel that stays"),
            Wrong(places_as_mask, "that is a mask; return the numbers of the columns"),
            Wrong(places_in_the_smaller, "those are the places afterwards; asked are"
                  " the columns of the old concatenation that stay"),
            Wrong(places_part_by_part, "one list for all parts is asked, not a list of"
                  " lists"),
            Wrong(places_offset_of_all, "a part stands behind the parts before it, not"
                  " behind all others"),
            Wrong(places_offset_by_part, "you add the number of the part; add the sizes"
                  " of the parts before it"),
            Wrong(places_one_short, "a part of n channels takes n columns: add its"
                  " whole size"),
            Wrong(places_last_part_only, "only the last part is left: the list was made"
                  " anew in each round"),
            Wrong(places_first_part_only, "only the first part is there; the others"
                  " follow, behind its whole size"),
            Wrong(places_each_once, "channel 0 of one part and channel 0 of the next"
                  " are two columns: shift each part by the sizes before it"),
            Wrong(places_counts, "that is how many stay of each part; return their"
                  " columns"),
            Wrong(places_backwards, "the first part comes first"),
            Wrong(places_counted_from_one, "columns are counted from 0"),
        ),
        hints=(
            "Where does the first channel of each part stand in the whole?",
            "Keep a running sum of the sizes of the parts that came before.",
            "It is the old size of a part that counts, not how many of it stay.",
        ),
        cases=parts,
        by_hand=(
            (([[0, 2], [1]], [3, 2]), [0, 2, 4]),
            (([[1], [0], [0]], [2, 2, 2]), [1, 2, 4]),
            (([[0], [1, 2], [0]], [2, 4, 3]), [0, 3, 4, 6]),
            (([[], [1]], [2, 2]), [3]),
        ),
        properties=(
            Property(
                "if everything stays, every place stays",
                lambda mine, kept, sizes: not difference(
                    list(range(sum(sizes))),
                    mine([list(range(n)) for n in sizes], sizes), 0.0,
                ),
            ),
        ),
    ),
    Exercise(
        name="folded", number="18.6", kind="build", minutes=18, difficulty=3, points=4,
        task="folded(weight, bias, gone, constant): a convolution without padding,"
             " (out, in, h, w) and (out,), whose input channels `gone`, a list, are"
             " `constant` at every pixel. Return the pair of the weight without them"
             " and the bias that makes up for them.",
        reference=folded, alternative=folded_2,
        wrong=(
            Wrong(folded_not, "the bias is as before; what the constants contributed is"
                  " lost"),
            Wrong(folded_once, "one tap of the filter is not all of it: the constant"
                  " stands under every tap"),
            Wrong(folded_the_rest, "you add up the columns that stay; the constants"
                  " belong to those that go"),
            Wrong(folded_away, "the sign: what leaves the sum goes into the bias"),
            Wrong(folded_mean, "a convolution adds its taps up, it takes no mean"),
            Wrong(folded_mean_of_taps, "a convolution adds up all taps of a filter;"
                  " their mean is smaller by their number"),
            Wrong(folded_middle, "the middle tap is not all of it: the constant stands"
                  " under every tap"),
            Wrong(folded_without_constant, "you add the sum of the weights; what a"
                  " channel gave is that sum times the constant"),
            Wrong(folded_one_sum, "each filter has its own sum of weights; you add up"
                  " those of all filters"),
            Wrong(folded_constants_only, "the constant arrives through the weights:"
                  " multiply it by their sum"),
            Wrong(folded_whole_weight, "the bias is right; the weight still has the"
                  " columns that are gone"),
            Wrong(folded_kept_the_gone, "you return the columns that go; keep the"
                  " others"),
            Wrong(folded_rows, "you take filters out; `gone` lists inputs, the second"
                  " dimension of the weight"),
            Wrong(folded_first_gone, "you count one channel; all of `gone` give the"
                  " constant"),
            Wrong(folded_old_bias_lost, "the old bias is lost; add to it"),
            Wrong(folded_bias_scaled, "the constant multiplies the weights' sum only,"
                  " not the bias"),
            Wrong(folded_divided, "times the constant, not divided by it"),
            Wrong(folded_magnitudes, "weights keep their signs in the sum: no abs()"),
            Wrong(folded_largest_tap, "a convolution adds its taps up; you take the"
                  " largest"),
            Wrong(folded_constant_added, "the constant multiplies the sum of the"
                  " weights; you add it"),
            Wrong(folded_mean_of_channels, "the channels that go are added up, not"
                  " averaged"),
            Wrong(folded_twice, "what they gave counts once"),
            Wrong(folded_squared, "a constant arrives times the weights, not times"
                  " their squares"),
            Wrong(folded_all_columns, "you add up the whole filter; only the columns of"
                  " `gone` are lost"),
            Wrong(folded_turned_round, "turned round: `gone` lists the channels that"
                  " go, not those that stay"),
            Wrong(folded_zeros, "the columns are 0 and still there; take them out of"
                  " the weight"),
            Wrong(folded_the_other_way_round, "the pair is asked as (weight, bias)"),
            Wrong(folded_sigmoid, "the constant is what arrives at this layer: no"
                  " sigmoid more"),
        ),
        hints=(
            "A removed channel is the same number at every pixel. What does a filter"
            " make of such a channel?",
            "The sum of the filter's weights for that channel, times the number.",
            "weight[:, gone] are the columns; the sum runs over channels and taps.",
        ),
        cases=layer,
        by_hand=(
            ((torch.tensor([1.0, 2, 3]).reshape(1, 3, 1, 1), torch.tensor([10.0]),
              [0, 2], 0.5),
             (torch.tensor([[[[2.0]]]]), torch.tensor([12.0]))),
            # Two filters of 1 x 2 taps over two inputs: the second, 3 + 4 and 7 + 8.
            ((torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8]).reshape(2, 2, 1, 2),
              torch.tensor([10.0, 20.0]), [1], 2.0),
             (torch.tensor([1.0, 2, 5, 6]).reshape(2, 1, 1, 2),
              torch.tensor([24.0, 50.0]))),
        ),
        properties=(
            Property("a picture with these constants gives what it gave before",
                     same_sums),
            Property(
                "channels that gave 0 change no bias",
                lambda mine, weight, bias, gone, constant: not difference(
                    bias, mine(weight, bias, gone, 0.0)[1], 1e-6
                ),
            ),
        ),
        tolerance=1e-4,
    ),
)  # fmt: skip


def stay_of_40() -> int:
    return channel_pruning.kept_channels(40, 0.5, 16)


def cost_of_both() -> float:
    return (1 - 0.3) ** 2


QUIZ = (
    Question(
        "Two maps are added, and the sum is added to a third. Channel 5 of the first is"
        " to go. What else has to?",
        (
            Option("Nothing: the sum treats it as 0.", "Tensors of 31 and 32 channels"
                   " cannot be added at all."),
            Option("Channel 5 of the other two, and column 5 of everyone who reads the"
                   " sum.", "All three stand in one place; the readers lose a column.",
                   True),
            Option("Any one channel of the other two.", "Place 5 is added to place 5;"
                   " another one would pair strangers."),
        ),
    ),
    Question(
        "A layer loses 30 % of its filters, and so does the layer before it. What is"
        " left of its multiply-adds?",
        (
            Option("70 %", "It loses columns as well: its input has become narrower."),
            Option("49 %", "0.7 of the filters, each with 0.7 of the columns.", True),
            Option("30 %", "That is what goes, on one side."),
            Option("40 %", "0.3 + 0.3 counts the corner twice."),
        ),
        value=lambda: round(100 * cost_of_both()), form="{} %",
    ),
    Question(
        "A group has 40 channels, half of them are to go, and widths are rounded up to"
        " multiples of 16. How many stay?",
        (
            Option("16", "Rounding down removes more than was asked for."),
            Option("20", "So many without rounding: 20 is no multiple of 16."),
            Option("32", "20, up to the next multiple of 16.", True),
            Option("40", "Only if no multiple lay between."),
        ),
        value=stay_of_40, form="{}",
    ),
    Question(
        "A pruned network scores far below its masked twin, in eval mode. Which is the"
        " likely cause?",
        (
            Option("The importance was badly chosen.", "Both lack the same channels,"
                   " well chosen or not."),
            Option("It was not trained again.", "Neither was the twin."),
            Option("A batch norm kept the statistics of other channels.", "Weight,"
                   " bias, mean and variance have to lose the same places as the"
                   " filters. With a head's norms: on every level.", True),
        ),
    ),
    Question(
        "Channels before a sigmoid are set to 0. What does the layer behind it read"
        " there?",
        (
            Option("0", "Only for functions with f(0) = 0, as ReLU or SiLU."),
            Option("0.5", "A constant. A pruned network has to put it into the next"
                   " bias, or leave the group alone.", True),
            Option("Nothing", "The channel is still there until it is removed."),
        ),
        value=lambda: torch.sigmoid(torch.zeros(())).item(), form="{}",
    ),
)  # fmt: skip
