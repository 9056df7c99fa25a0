"""Exercises and quiz of chapter 13: heads, scale, and weights from elsewhere."""

import functools
import math

import torch

from lib.basics import data, profiling
from lib.detection import anchors, decoding, detection_loss, detectors, efficientdet
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.comparing import difference

# --- 13.1 build: the outputs of all levels, a row for each anchor


def digits_and_their_loss() -> list:
    """What the shipped course detector finds in two scenes, and its loss there."""
    model = detectors.shipped("course")
    scenes = [*detectors.scenes("test", 2)]
    batch = data.collate(scenes)
    grid = anchors.anchors((128, 128), model.config.anchors)
    with torch.no_grad():
        outputs = model(batch.images.float() / 255)
    sizes = [(128, 128)] * 2
    found = decoding.postprocess(*outputs, grid, sizes, threshold=0.3)
    outputs = [[each.requires_grad_() for each in maps] for maps in outputs]
    loss = detection_loss.detection_loss(*outputs, batch, grid)
    loss.total.backward()
    slopes = [each.grad for maps in outputs for each in maps]
    # Maps that are wider than high, in half precision, as a GPU may give them.
    wide = [torch.arange(2.0 * 8 * 6).reshape(2, 8, 2, 3).half()]
    found = [list(each) for each in found]
    told = [part.detach() for part in loss]
    return [*told, *slopes, *found, anchors.flatten(wide, 4)]


def flatten_2(outputs, size):
    """Anchor by anchor, level by level: the numbers of one lie side by side."""
    levels = []
    for output in outputs:
        pictures, channels, height, width = output.shape
        each = output.reshape(pictures, channels // size, size, height, width)
        each = torch.einsum("baksx->bsxak", each)  # B H W A size
        levels.append(each.flatten(1, 3))
    return torch.cat(levels, dim=1)


def _joined(levels):
    return torch.cat(levels, 1)


def flatten_as_it_lies(outputs, size):
    return _joined([o.reshape(len(o), -1, size) for o in outputs])


def flatten_class_first(outputs, size):
    """Channel k * A + a in place of a * size + k."""
    levels = []
    for output in outputs:
        b, channels, h, w = output.shape
        each = output.reshape(b, size, channels // size, h, w)
        levels.append(each.permute(0, 3, 4, 2, 1).reshape(b, -1, size))
    return _joined(levels)


def flatten_anchor_by_anchor(outputs, size):
    """All places of anchor 0, then all of anchor 1."""
    levels = []
    for output in outputs:
        b, channels, h, w = output.shape
        each = output.reshape(b, channels // size, size, h, w)
        levels.append(each.permute(0, 1, 3, 4, 2).reshape(b, -1, size))
    return _joined(levels)


def flatten_column_by_column(outputs, size):
    return _joined([o.permute(0, 3, 2, 1).reshape(len(o), -1, size) for o in outputs])


def flatten_coarsest_first(outputs, size):
    return anchors.flatten(outputs[::-1], size)


def flatten_a_row_a_place(outputs, size):
    return _joined([o.permute(0, 2, 3, 1).flatten(1, 2) for o in outputs])


def flatten_by_level(outputs, size):
    return [anchors.flatten([o], size) for o in outputs]


def flatten_first_level(outputs, size):
    return anchors.flatten(outputs[:1], size)


def flatten_pictures_joined(outputs, size):
    return _joined([o.permute(0, 2, 3, 1).reshape(1, -1, size) for o in outputs])


def flatten_first_picture(outputs, size):
    return anchors.flatten(outputs, size)[0]


def flatten_stacked_below(outputs, size):
    """Levels one below another in the batch's dimension, as if they were pictures."""
    rows = [anchors.flatten([o], size) for o in outputs]
    return torch.cat([r.reshape(-1, size) for r in rows])


def flatten_numbers_first(outputs, size):
    return anchors.flatten(outputs, size).mT


def flatten_with_probabilities(outputs, size):
    return anchors.flatten(outputs, size).sigmoid()


def flatten_places_that_interleave(outputs, size):
    """Channels last, then by anchor: `view` of (A, H * W) as if it were (H * W, A)."""
    levels = []
    for output in outputs:
        b, channels, h, w = output.shape
        each = output.permute(0, 2, 3, 1).reshape(b, h * w, channels // size, size)
        levels.append(each.transpose(1, 2).reshape(b, -1, size).flip(1))
    return _joined(levels)


def maps_of_levels(rng, size):
    """One to five levels of one or more pictures, square or not, large numbers too."""
    per_anchor, per_place = rng.randint(2, 4), rng.randint(2, 3)
    pictures = rng.randint(1, 2)
    height, width = rng.randint(2, 3 + size), rng.randint(2, 2 + size)
    high = rng.choice((1.0, 1.0, 1e4))
    maps = []
    for _ in range(rng.randint(1, 1 + size)):
        shape = pictures, per_place * per_anchor, height, width
        maps.append(high * tensor(rng, *shape))
        height, width = (height + 1) // 2, (width + 1) // 2
    return maps, per_anchor


def _counted(pictures, channels, height, width):
    count = pictures * channels * height * width
    return torch.arange(float(count)).reshape(pictures, channels, height, width)


def _of_d0() -> tuple:
    """The box maps of D0 for a picture of 128 pixels: five levels, nine anchors."""
    maps = [_counted(1, 36, side, side) for side in (16, 8, 4, 2, 1)]
    rows = [m[0, 4 * a : 4 * a + 4, y, x] for m in maps
            for y in range(m.shape[2]) for x in range(m.shape[3])
            for a in range(9)]  # fmt: skip
    return (maps, 4), torch.stack(rows)[None]


def _of_each_picture(mine, outputs, size):
    alone = [torch.as_tensor(mine([o[i : i + 1] for o in outputs], size))
             for i in range(len(outputs[0]))]  # fmt: skip
    return not difference(torch.cat(alone), mine(outputs, size), 1e-6)


# --- 13.2 predict


def logits(classes: int = 90, name: str = "d1") -> int:
    """Logits that D1 gives for one picture of its size."""
    config = efficientdet.CONFIGS[name]
    return len(anchors.anchors(config.image_size, config.anchors)) * classes


def logits_of_one() -> int:
    return logits(classes=1)


def logits_of_d0() -> int:
    return logits(name="d0")


def logits_with_background() -> int:
    return logits(classes=91)


def logits_of_places() -> int:
    return logits() // 9


def logits_and_codes() -> int:
    return logits(classes=90 + 4)


def logits_of_level_three() -> int:
    return 80**2 * 9 * 90


def logits_without_level_seven() -> int:
    return logits() - 5**2 * 9 * 90


# --- 13.3 measure


@functools.cache
def digits() -> int:
    """Parameters of D0 for ten classes."""
    with torch.device("meta"):
        return profiling.parameters(efficientdet.efficientdet("d0", num_classes=10))


def as_published() -> int:
    return digits() + 80 * 9 * (64 + 1)


def one_anchor_less() -> int:
    return as_published() - 80 * (64 + 1)


def biases_stay() -> int:
    return as_published() - 80 * 9 * 64


def with_background() -> int:
    return digits() + 9 * (64 + 1)


def one_class_less() -> int:
    return digits() - 9 * (64 + 1)


@functools.cache
def digits_in_d1() -> int:
    with torch.device("meta"):
        return profiling.parameters(efficientdet.efficientdet("d1", num_classes=10))


# --- 13.4 build


def fold_levels(weight, bias, norms, eps):
    """The 1x1 convolution once for each level, its norm taken in."""
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return folded


def fold_levels_2(weight, bias, norms, eps):
    """Ask the two layers: what do they make of zero, and of each single channel?"""

    def both(x, gain, shift, mean, variance):
        return (x @ weight.T + bias - mean) / (variance + eps) ** 0.5 * gain + shift

    folded = []
    for norm in norms:
        zero = both(torch.zeros(weight.shape[1]), *norm)
        unit = both(torch.eye(weight.shape[1]), *norm)
        folded.append(((unit - zero).T, zero))
    return folded


def fold_without_bias(weight, bias, norms, eps):
    """The convolution's own bias is forgotten."""
    return fold_levels(weight, torch.zeros_like(bias), norms, eps)


def fold_by_variance(weight, bias, norms, eps):
    """Divided by the variance, not by its root."""
    squared = [(g, s, m, (v + eps) ** 2 - eps) for g, s, m, v in norms]
    return fold_levels(weight, bias, squared, eps)


def fold_columns(weight, bias, norms, eps):
    """The factor goes to what comes in, not to what goes out."""
    right = fold_levels(weight, bias, norms, eps)
    factors = [g / torch.sqrt(v + eps) for g, _, _, v in norms]
    pairs = zip(right, factors, strict=True)
    return [(weight * factor, b) for (_, b), factor in pairs]


def fold_first_level(weight, bias, norms, eps):
    """One folded convolution for all levels."""
    return fold_levels(weight, bias, norms[:1] * len(norms), eps)


def fold_chained(weight, bias, norms, eps):
    """Each level is folded into what the level before has left."""
    found = []
    for norm in norms:
        [(weight, bias)] = fold_levels(weight, bias, [norm], eps)
        found.append((weight, bias))
    return found


def fold_eps_outside(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / (variance.sqrt() + eps)
        folded.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return folded


def fold_without_eps(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / variance.sqrt()
        folded.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return folded


def fold_bias_not_scaled(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], bias - mean + shift))
    return folded


def fold_mean_not_scaled(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], bias * factor - mean + shift))
    return folded


def fold_without_mean(weight, bias, norms, eps):
    folded = []
    for gain, shift, _, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], bias * factor + shift))
    return folded


def fold_without_shift(weight, bias, norms, eps):
    folded = []
    for gain, _, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], (bias - mean) * factor))
    return folded


def fold_without_gain(weight, bias, norms, eps):
    folded = []
    for _, shift, mean, variance in norms:
        factor = 1 / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return folded


def fold_shift_and_mean_swapped(weight, bias, norms, eps):
    folded = []
    for gain, mean, shift, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return folded


def _fold_with(name, rule):
    """A fold whose bias, or factor, is computed otherwise: `rule(b, g, s, m, root)`."""

    def fold(weight, bias, norms, eps):
        folded = []
        for gain, shift, mean, variance in norms:
            root = torch.sqrt(variance + eps)
            factor, new_bias = rule(bias, gain, shift, mean, root)
            folded.append((weight * factor[:, None], new_bias))
        return folded

    fold.__name__ = name
    return fold


fold_mean_added = _fold_with(
    "fold_mean_added", lambda b, g, s, m, root: (g / root, (b + m) * g / root + s)
)
fold_shift_subtracted = _fold_with(
    "fold_shift_subtracted", lambda b, g, s, m, root: (g / root, (b - m) * g / root - s)
)
fold_shift_scaled = _fold_with(
    "fold_shift_scaled", lambda b, g, s, m, root: (g / root, (b - m + s) * g / root)
)
fold_mean_less_bias = _fold_with(
    "fold_mean_less_bias", lambda b, g, s, m, root: (g / root, (m - b) * g / root + s)
)
fold_times_root = _fold_with(
    "fold_times_root", lambda b, g, s, m, root: (g * root, (b - m) * g * root + s)
)
fold_bias_kept = _fold_with("fold_bias_kept", lambda b, g, s, m, root: (g / root, b))
fold_weight_by_gain = _fold_with(
    "fold_weight_by_gain", lambda b, g, s, m, root: (g, (b - m) * g / root + s)
)
fold_bias_twice = _fold_with(
    "fold_bias_twice", lambda b, g, s, m, root: (g / root, b + (b - m) * g / root + s)
)
fold_bias_behind = _fold_with(
    "fold_bias_behind", lambda b, g, s, m, root: (g / root, b + s - m * g / root)
)


def fold_weight_kept(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded.append((weight, (bias - mean) * factor + shift))
    return folded


def fold_mean_norm(weight, bias, norms, eps):
    """One norm for all levels: the mean of theirs."""
    parts = zip(*norms, strict=True)
    gain, shift, mean, variance = (sum(part) / len(norms) for part in parts)
    factor = gain / torch.sqrt(variance + eps)
    return [(weight * factor[:, None], (bias - mean) * factor + shift) for _ in norms]


def fold_two_lists(weight, bias, norms, eps):
    weights, biases = [], []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        weights.append(weight * factor[:, None])
        biases.append((bias - mean) * factor + shift)
    return weights, biases


def fold_one_flat_list(weight, bias, norms, eps):
    folded = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded += [weight * factor[:, None], (bias - mean) * factor + shift]
    return folded


def fold_last_only(weight, bias, norms, eps):
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded = [(weight * factor[:, None], (bias - mean) * factor + shift)]
    return folded


def fold_case(rng, size):
    """A 1x1 convolution, square or not, and the norms of one to five levels."""
    width = 1 + size
    columns = width if rng.random() < 0.5 else rng.randint(1, 3 + size)
    norms = [
        (
            tensor(rng, width, low=0.5, high=2.0), tensor(rng, width),
            tensor(rng, width), tensor(rng, width, low=0.2, high=2.0),
        )
        for _ in range(rng.randint(1, 5))
    ]  # fmt: skip
    weight, bias = tensor(rng, width, columns), tensor(rng, width)
    return weight, bias, norms, rng.choice((0.01, 0.05, 0.1))


def agrees(mine, weight, bias, norms, eps) -> bool:
    """Folded and unfolded say the same of a pixel, on the last level."""
    x = torch.linspace(-1, 1, weight.shape[1])
    gain, shift, mean, variance = norms[-1]
    y = (weight @ x + bias - mean) / torch.sqrt(variance + eps) * gain + shift
    w, b = (torch.as_tensor(part) for part in mine(weight, bias, norms, eps)[-1])
    return torch.allclose(w @ x + b, y, atol=1e-4)


# --- 13.5 build


def repeat_first(names):
    """The published names of tensors that were saved with the level first."""
    found = []
    for name in names:
        net, part, *rest = name.split(".")
        if part == "bn_rep":
            level, repeat, leaf = rest
            name = f"{net}.{part}.{repeat}.{level}.bn.{leaf}"
        found.append(name)
    return found


def repeat_first_2(names):
    """Groups of a regular expression, written back in another order."""
    import re

    swap = re.compile(r"(.*bn_rep\.)(\d+)\.(\d+)(\..*)")
    return [swap.sub(r"\1\3.\2.bn\4", name) for name in names]


def only_bn(names):
    """`.bn` is put in, the numbers stay."""
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            parts.insert(4, "bn")
        found.append(".".join(parts))
    return found


def without_bn(names):
    """Swapped, without `.bn`."""
    return [n.replace(".bn.", ".") if "bn_rep" in n else n for n in repeat_first(names)]


def swap_everywhere(names):
    """Any two numbers in a row are swapped, in the backbone too."""
    import re

    swapped = [re.sub(r"\.(\d+)\.(\d+)\.", r".\2.\1.", name) for name in names]
    return only_bn(swapped)


def in_order(names):
    """Right names, in alphabetical order."""
    return sorted(repeat_first(names))


def every_pair_of_numbers(names):
    """Any two numbers in a row are swapped, and all of these get `.bn`."""
    import re

    pattern = re.compile(r"\.(\d+)\.(\d+)\.")
    return [pattern.sub(r".\2.\1.bn.", name) for name in names]


def class_head_only(names):
    found = []
    for name in names:
        if name.startswith("class_net.bn_rep"):
            net, part, level, repeat, leaf = name.split(".")
            name = f"{net}.{part}.{repeat}.{level}.bn.{leaf}"
        found.append(name)
    return found


def others_left_out(names):
    found = []
    for name in names:
        if ".bn_rep." in name:
            net, part, level, repeat, leaf = name.split(".")
            found.append(f"{net}.{part}.{repeat}.{level}.bn.{leaf}")
    return found


def bn_before_the_numbers(names):
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            net, part, level, repeat, leaf = parts
            name = f"{net}.{part}.bn.{repeat}.{level}.{leaf}"
        found.append(name)
    return found


def bn_at_the_end(names):
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            parts[2], parts[3] = parts[3], parts[2]
            name = ".".join(parts) + ".bn"
        found.append(name)
    return found


def single_digits(names):
    """The numbers by their places in the text."""
    found = []
    for name in names:
        if "bn_rep." in name:
            at = name.index("bn_rep.") + 7
            level, repeat, leaf = name[at], name[at + 2], name[at + 4 :]
            name = f"{name[:at]}{repeat}.{level}.bn.{leaf}"
        found.append(name)
    return found


def digits_by_pattern(names):
    """A pattern of one digit each."""
    import re

    pattern = re.compile(r"bn_rep\.(\d)\.(\d)\.")
    return [pattern.sub(r"bn_rep.\2.\1.bn.", name) for name in names]


def bn_between_the_numbers(names):
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            net, part, level, repeat, leaf = parts
            name = f"{net}.{part}.{repeat}.bn.{level}.{leaf}"
        found.append(name)
    return found


def one_number_twice(names):
    """The first number is written over before it is read."""
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            parts[2] = parts[3]
            parts[3] = parts[2]
            parts.insert(4, "bn")
        found.append(".".join(parts))
    return found


def bn_only_before(names):
    """Neither swapped, nor at its place."""
    return [name.replace("bn_rep.", "bn_rep.bn.") for name in names]


def every_name_of_five(names):
    found = []
    for name in names:
        parts = name.split(".")
        if len(parts) == 5:
            parts[2], parts[3] = parts[3], parts[2]
            parts.insert(4, "bn")
        found.append(".".join(parts))
    return found


def swapped_everywhere_without_bn(names):
    import re

    return [re.sub(r"\.(\d+)\.(\d+)\.", r".\2.\1.", name) for name in names]


def number_in_bn(names):
    """bn1 and bn2 exist in the backbone; the heads' are called bn."""
    found = []
    for name in names:
        parts = name.split(".")
        if parts[1] == "bn_rep":
            net, part, level, repeat, leaf = parts
            name = f"{net}.{part}.{repeat}.bn{level}.{leaf}"
        found.append(name)
    return found


def dictionary_of_names(names):
    return dict(zip(names, repeat_first(names), strict=True))


LEAVES = ("weight", "bias", "running_mean", "running_var")
NUMBERS = (0, 1, 2, 3, 4, 5, 10, 12)  # nothing says that a number has one digit


def names_case(rng, size):
    """A few names of heads and, between them, names that stay."""
    drawn = []
    for _ in range(3 + size):
        net, leaf = rng.choice(("class_net", "box_net")), rng.choice(LEAVES)
        level, repeat = rng.choice(NUMBERS), rng.choice(NUMBERS)
        drawn.append(f"{net}.bn_rep.{level}.{repeat}.{leaf}")
    first, last = rng.sample(range(1, 6), 2)
    drawn.append(f"backbone.blocks.{first}.{last}.bn1.weight")
    drawn.append(f"class_net.conv_rep.{first}.conv_dw.weight")
    rng.shuffle(drawn)
    return (drawn,)


# --- 13.6 build (a bug to repair)


def first_biases(sizes, prior):
    """Zeros for every layer but the last one of the class head."""
    biases = {}
    for name, outputs in sizes.items():
        value = 0.0
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
        biases[name] = torch.full((outputs,), value)
    return biases


def first_biases_2(sizes, prior):
    """All zeros, then one is written over."""
    biases = {name: torch.zeros(outputs) for name, outputs in sizes.items()}
    if "class.predict" in biases:
        biases["class.predict"] += math.log(prior) - math.log(1 - prior)
    return biases


def sticky(sizes, prior):
    """The bug itself: the value is never taken back."""
    biases, value = {}, 0.0
    for name, outputs in sizes.items():
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
        biases[name] = torch.full((outputs,), value)
    return biases


def every_class_layer(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), value if name.startswith("class") else 0.0)
        for name, outputs in sizes.items()
    }


def every_predict(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), value if name.endswith("predict") else 0.0)
        for name, outputs in sizes.items()
    }


def sign_turned(sizes, prior):
    return {name: -bias for name, bias in first_biases(sizes, prior).items()}


def reset_for_boxes_only(sizes, prior):
    """Put right for the layers in the order that the cell shows."""
    biases, value = {}, 0.0
    for name, outputs in sizes.items():
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
        if name == "box.predict":
            value = 0.0
        biases[name] = torch.full((outputs,), value)
    return biases


def late_and_sticky(sizes, prior):
    """The value is set after the tensor was made, and stays."""
    biases, value = {}, 0.0
    for name, outputs in sizes.items():
        biases[name] = torch.full((outputs,), value)
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
    return biases


def set_one_layer_late(sizes, prior):
    """The tensor is made before the value is set."""
    biases, value = {}, 0.0
    for name, outputs in sizes.items():
        biases[name] = torch.full((outputs,), value)
        value = 0.0
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
    return biases


def all_but_boxes(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), 0.0 if name == "box.predict" else value)
        for name, outputs in sizes.items()
    }


def sigmoid_of_prior(sizes, prior):
    value = 1 / (1 + math.exp(-prior))
    return {
        name: torch.full((outputs,), value if name == "class.predict" else 0.0)
        for name, outputs in sizes.items()
    }


def base_ten(sizes, prior):
    value = -math.log10((1 - prior) / prior)
    return {
        name: torch.full((outputs,), value if name == "class.predict" else 0.0)
        for name, outputs in sizes.items()
    }


def log_of_rest(sizes, prior):
    value = math.log(1 - prior)
    return {
        name: torch.full((outputs,), value if name == "class.predict" else 0.0)
        for name, outputs in sizes.items()
    }


def prior_everywhere(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {name: torch.full((outputs,), value) for name, outputs in sizes.items()}


def all_but_that_layer(sizes, prior):
    """The condition turned round."""
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), 0.0 if name == "class.predict" else value)
        for name, outputs in sizes.items()
    }


def list_of_biases(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return [
        torch.full((outputs,), value if name == "class.predict" else 0.0)
        for name, outputs in sizes.items()
    ]


def one_number_a_layer(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.tensor([value if name == "class.predict" else 0.0])
        for name in sizes
    }


def all_zeros(sizes, prior):
    return {name: torch.zeros(outputs) for name, outputs in sizes.items()}


def only_that_layer(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), value)
        for name, outputs in sizes.items()
        if name == "class.predict"
    }


def boxes_get_it(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {
        name: torch.full((outputs,), value if name == "box.predict" else 0.0)
        for name, outputs in sizes.items()
    }


def prior_over_rest(sizes, prior):
    return {
        name: torch.full(
            (outputs,), prior / (1 - prior) if name == "class.predict" else 0.0
        )
        for name, outputs in sizes.items()
    }


def prior_itself(sizes, prior):
    found = first_biases(sizes, prior)
    return {k: torch.full_like(v, prior) if v.any() else v for k, v in found.items()}


def log_prior(sizes, prior):
    found = first_biases(sizes, prior)
    same = {k: torch.full_like(v, math.log(prior)) for k, v in found.items()}
    return {k: same[k] if v.any() else v for k, v in found.items()}


def biases_case(rng, size):
    """Layers of two heads in some order, a prior that is not a half."""
    other = "box" if rng.random() < 0.75 else "regress"  # behind class in the alphabet
    names = [f"{h}.conv{i}" for h in ("class", other) for i in range(rng.randint(1, 2))]
    names += ["class.predict", f"{other}.predict"]
    rng.shuffle(names)
    sizes = {name: rng.randint(1, 1 + size) for name in names}
    return sizes, rng.choice((0.01, 0.02, 0.1, 0.2))


EXERCISES = (
    Exercise(
        name="flatten", number="13.1", kind="build", minutes=15, difficulty=2, points=3,
        task="Maps (B, A * size, H, W) of all levels as one tensor (B, N, size): a row"
             " for each anchor, level by level, row by row of places, the anchors of a"
             " place next to each other; channel a * size + k is number k of anchor a.",
        place="detection.anchors.flatten", required=True, importance=3,
        machine="the loss of a training, and the decoding of what was found",
        machine_case=digits_and_their_loss, milestone_calls=7,
        reference=anchors.flatten, alternative=flatten_2,
        wrong=(
            Wrong(flatten_as_it_lies, "in memory the places of one channel lie side by"
                  " side; bring the channels to the end first, with permute"),
            Wrong(flatten_class_first, "you read channel k * A + a; all numbers of"
                  " anchor 0 come first: channel a * size + k"),
            Wrong(flatten_anchor_by_anchor, "the anchors of one place stand next to"
                  " each other; you list all places of anchor 0, then all of anchor 1"),
            Wrong(flatten_column_by_column, "places go row by row: H before W"),
            Wrong(flatten_coarsest_first, "the levels keep the order in which they"
                  " come, finest first"),
            Wrong(flatten_a_row_a_place, "a row for each anchor is asked, `size`"
                  " numbers long; yours has all anchors of a place in one row"),
            Wrong(flatten_by_level, "one tensor is asked: torch.cat the levels along"
                  " the anchors"),
            Wrong(flatten_first_level, "that is the first level; all follow, one behind"
                  " the other"),
            Wrong(flatten_pictures_joined, "each picture keeps rows of its own: the"
                  " first dimension stays B"),
            Wrong(flatten_first_picture, "you give the first picture alone; the first"
                  " dimension stays B"),
            Wrong(flatten_stacked_below, "the pictures are gone: (B, N, size) is asked,"
                  " so join the levels along dimension 1"),
            Wrong(flatten_numbers_first, "the last two dimensions are exchanged: rows"
                  " are anchors, `size` numbers in each"),
            Wrong(flatten_with_probabilities, "logits stay logits: nothing is computed"
                  " here"),
            Wrong(flatten_places_that_interleave, "the order of the anchors is that of"
                  " their places: row by row, the anchors of a place side by side, none"
                  " turned round"),
        ),
        hints=(
            "output.permute(0, 2, 3, 1) is (B, H, W, A * size): the channels of a place"
            " lie side by side.",
            "reshape it to (B, H * W * A, size): -1 in the middle does.",
            "torch.cat(levels, 1) joins the levels.",
        ),
        cases=maps_of_levels,
        by_hand=(
            # Two places, two anchors, three numbers: channel c of place x is 2 c + x.
            (([torch.arange(12.0).reshape(1, 6, 1, 2)], 3),
             torch.tensor([[[0.0, 2, 4], [6, 8, 10], [1, 3, 5], [7, 9, 11]]])),
            # Two places below each other, then a coarser level of one.
            (([_counted(1, 4, 2, 1), _counted(1, 4, 1, 1) + 50], 2),
             torch.tensor([[[0.0, 2], [4, 6], [1, 3], [5, 7], [50, 51], [52, 53]]])),
            # Two pictures, one anchor.
            (([_counted(2, 2, 1, 2)], 2),
             torch.tensor([[[0.0, 2], [1, 3]], [[4.0, 6], [5, 7]]])),
            _of_d0(),
        ),
        properties=(
            Property("every picture has the same rows alone as in a batch",
                     _of_each_picture),
        ),
    ),
    Exercise(
        name="logits", number="13.2", kind="predict", minutes=5, difficulty=1, points=1,
        task="How many logits does D1 give for one picture of 640 x 640?",
        reference=logits,
        wrong=(
            Wrong(logits_of_one, "these are its anchors; each says something about"
                  " every class"),
            Wrong(logits_of_d0, "that is D0 at 512 x 512; D1 takes 640 x 640"),
            Wrong(logits_with_background, "there is no logit for the background: it is"
                  " what is left if all 90 are small"),
            Wrong(logits_of_places, "you have one anchor a place; there are nine"),
            Wrong(logits_and_codes, "the four numbers of a box are codes, not logits:"
                  " asked are those of the classes"),
            Wrong(logits_of_level_three, "that is P3 alone; P4 to P7 follow"),
            Wrong(logits_without_level_seven, "P7 is missing: 5 places a side"),
        ),
        hints=(
            "The sides of P3 to P7 are 80, 40, 20, 10 and 5.",
            "The sum of their squares is the number of places; nine anchors each, and"
            " 90 classes for every anchor.",
        ),
    ),
    Exercise(
        name="digits", number="13.3", kind="measure", minutes=5, difficulty=1, points=1,
        task="Parameters of D0 for ten classes.",
        reference=digits,
        wrong=(
            Wrong(as_published, "that is D0 for the 90 classes of COCO"),
            Wrong(one_anchor_less, "80 classes less for one anchor; every place has"
                  " nine"),
            Wrong(biases_stay, "an output that goes takes its bias along"),
            Wrong(with_background, "ten classes are ten: no output for the background"),
            Wrong(one_class_less, "that is for nine classes"),
            Wrong(digits_in_d1, "that is D1; asked is D0"),
        ),
        hints=(
            "efficientdet.efficientdet takes num_classes.",
            'profiling.parameters(...) under `with torch.device("meta")`.',
        ),
    ),
    Exercise(
        name="fold_levels", number="13.4", kind="build", minutes=20, difficulty=2,
        points=3,
        task="fold_levels(weight, bias, norms, eps): one 1x1 convolution, (O, I) and"
             " (O,), and a list of L norms (gain, shift, mean, variance), each (O,),"
             " into a list of L pairs (weight, bias) that need no norm.",
        reference=fold_levels, alternative=fold_levels_2,
        wrong=(
            Wrong(fold_without_bias, "the convolution's own bias is lost: the norm"
                  " scales it and takes the mean from it"),
            Wrong(fold_by_variance, "a norm divides by the root of variance + eps, not"
                  " by the variance"),
            Wrong(fold_columns, "you scale the columns, what comes in; a norm scales"
                  " what goes out, the rows"),
            Wrong(fold_first_level, "every level got the norm of the first one"),
            Wrong(fold_chained, "the second level is folded into the first one's"
                  " result; each has to start from the shared filter"),
            Wrong(fold_eps_outside, "eps belongs under the root: sqrt(variance + eps)"),
            Wrong(fold_without_eps, "eps is missing: sqrt(variance + eps); a variance"
                  " of 0 would divide by 0"),
            Wrong(fold_bias_not_scaled, "the weight is scaled and the bias is not: the"
                  " norm multiplies both"),
            Wrong(fold_mean_not_scaled, "the mean is subtracted before the norm scales,"
                  " so the factor multiplies it too"),
            Wrong(fold_without_mean, "the norm also subtracts its mean, from the bias"),
            Wrong(fold_without_shift, "the norm's shift is missing in the bias"),
            Wrong(fold_without_gain, "the norm multiplies by its gain; yours only"
                  " divides by the root"),
            Wrong(fold_shift_and_mean_swapped, "a norm comes as (gain, shift, mean,"
                  " variance); you took the second for the mean"),
            Wrong(fold_mean_added, "the norm subtracts its mean: bias - mean"),
            Wrong(fold_shift_subtracted, "the norm adds its shift"),
            Wrong(fold_shift_scaled, "the shift is added after the scale: no factor"
                  " multiplies it"),
            Wrong(fold_mean_less_bias, "turned round: it is bias - mean that is"
                  " scaled"),
            Wrong(fold_times_root, "a norm divides by the root; you multiply by it"),
            Wrong(fold_bias_kept, "the bias is as before: it has to take in mean,"
                  " factor and shift"),
            Wrong(fold_weight_by_gain, "the weight is divided by the root as well, as"
                  " the bias is"),
            Wrong(fold_bias_twice, "the old bias counts twice: once as it was, and once"
                  " scaled"),
            Wrong(fold_bias_behind, "the convolution's bias comes before the norm,"
                  " which scales it too"),
            Wrong(fold_weight_kept, "the weight is as before: its rows take the factor,"
                  " too"),
            Wrong(fold_mean_norm, "every level has a norm of its own; you took the mean"
                  " of all"),
            Wrong(fold_two_lists, "a list of pairs, one for each level, is asked; yours"
                  " are two lists"),
            Wrong(fold_one_flat_list, "a list of pairs (weight, bias) is asked; yours"
                  " holds them one after the other"),
            Wrong(fold_last_only, "a list with one pair for each level is asked; yours"
                  " holds the last level's"),
        ),
        hints=(
            "Write the norm of W x + b down, and sort what multiplies x from the rest.",
            "factor = gain / sqrt(variance + eps), one number for each output.",
            "Weight: weight * factor[:, None]. Bias: (bias - mean) * factor + shift.",
        ),
        cases=fold_case,
        by_hand=(
            (
                (
                    torch.tensor([[2.0]]), torch.tensor([5.0]),
                    [
                        (torch.tensor([3.0]), torch.tensor([1.0]), torch.tensor([4.0]),
                         torch.tensor([3.0])),
                        (torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([5.0]),
                         torch.tensor([0.0])),
                    ],
                    1.0,
                ),
                # Roots 2 and 1: factors 1.5 and 1; biases (5 - 4) 1.5 + 1 and 0.
                [
                    (torch.tensor([[3.0]]), torch.tensor([2.5])),
                    (torch.tensor([[2.0]]), torch.tensor([0.0])),
                ],
            ),
        ),
        properties=(
            Property("folded and unfolded say the same of a pixel", agrees),
        ),
        tolerance=1e-4,
    ),
    Exercise(
        name="repeat_first", number="13.5", kind="build", minutes=15, difficulty=2,
        points=3,
        task="repeat_first(names): a list of tensors' names, in which a head's norm is"
             " class_net.bn_rep.LEVEL.REPEAT.leaf or box_net.bn_rep.LEVEL.REPEAT.leaf,"
             " into the list of the published names, class_net.bn_rep.REPEAT.LEVEL.bn"
             ".leaf or box_net.bn_rep.REPEAT.LEVEL.bn.leaf; other names stay.",
        reference=repeat_first, alternative=repeat_first_2,
        wrong=(
            Wrong(only_bn, "every name exists now, and most tensors go to another"
                  " norm: the two numbers have to change places"),
            Wrong(without_bn, "the published names have a .bn after the two numbers"),
            Wrong(swap_everywhere, "you changed names of the backbone as well; only"
                  " bn_rep counts levels"),
            Wrong(in_order, "the names are right; give them in the order they came"),
            Wrong(every_pair_of_numbers, "a name without bn_rep was changed: it has two"
                  " numbers in a row as well, and has to stay"),
            Wrong(class_head_only, "box_net has the same norms; its names stayed"),
            Wrong(others_left_out, "names without bn_rep have to come out too, as they"
                  " are"),
            Wrong(bn_before_the_numbers, ".bn stands behind the two numbers, before the"
                  " leaf"),
            Wrong(bn_at_the_end, ".bn stands between the numbers and the leaf, not at"
                  " the end"),
            Wrong(single_digits, "a number may have two digits: split at the points"),
            Wrong(digits_by_pattern, "your pattern finds numbers of one digit only:"
                  " \\d+ finds longer ones"),
            Wrong(bn_between_the_numbers, ".bn stands behind both numbers, before the"
                  " leaf, not between them"),
            Wrong(one_number_twice, "one number stands there twice: the first was"
                  " written over before it was read"),
            Wrong(bn_only_before, "the numbers have to change places, and .bn stands"
                  " behind them, before the leaf"),
            Wrong(every_name_of_five, "names of five parts are not all norms of a head:"
                  " ask whether the second part is bn_rep"),
            Wrong(swapped_everywhere_without_bn, "you changed names of the backbone as"
                  " well, where only bn_rep counts levels; and .bn follows the two"
                  " numbers"),
            Wrong(number_in_bn, "the level stays a part of its own: .LEVEL.bn."),
            Wrong(dictionary_of_names, "a list of the new names is asked, not a"
                  " dictionary"),
        ),
        hints=(
            'name.split(".") gives the parts; the second one says bn_rep or not.',
            "level, repeat, leaf = the rest, and back in another order.",
        ),
        cases=names_case,
        by_hand=(
            (
                (["class_net.bn_rep.4.2.running_mean", "backbone.bn1.bias"],),
                ["class_net.bn_rep.2.4.bn.running_mean", "backbone.bn1.bias"],
            ),
        ),
        properties=(
            Property("no names give no names", lambda mine, names: mine([]) == []),
            Property(
                "as many different names come out as went in",
                lambda mine, names: len(set(mine(names))) == len(set(names)),
            ),
        ),
    ),
    Exercise(
        name="first_biases", number="13.6", kind="build", minutes=15, difficulty=2,
        points=3,
        task="first_biases(sizes, prior): `sizes` maps names of layers, in any order,"
             " to numbers of outputs; a dictionary from each name to its float32 tensor"
             " of first biases: the logit of the prior for class.predict, else zeros.",
        reference=first_biases, alternative=first_biases_2,
        wrong=(
            Wrong(sticky, "once it is set, the value stays set: whatever layer comes"
                  " after class.predict gets it too"),
            Wrong(every_class_layer, "only the layer that predicts says something about"
                  " classes; those before it start at 0"),
            Wrong(every_predict, "a code of -4.6 is no prior but a box four anchors"
                  " away: box.predict starts at 0"),
            Wrong(sign_turned, "the sign is turned: now every anchor is sure of every"
                  " class"),
            Wrong(reset_for_boxes_only, "that is right for one order of the layers:"
                  " whatever stands between class.predict and box.predict still gets"
                  " the value"),
            Wrong(late_and_sticky, "class.predict itself does not get the value: it is"
                  " set behind the line that uses it, and then it stays"),
            Wrong(set_one_layer_late, "the value is set after the tensor was made, so"
                  " the next layer gets it"),
            Wrong(all_but_boxes, "every layer but box.predict got the value; only"
                  " class.predict has it"),
            Wrong(sigmoid_of_prior, "you take the sigmoid of the prior; asked is the"
                  " logit whose sigmoid it is"),
            Wrong(base_ten, "that is the logarithm to the base 10; the logit has the"
                  " natural one"),
            Wrong(log_of_rest, "ln(1 - prior) is not the logit: ln(prior / (1 -"
                  " prior))"),
            Wrong(prior_everywhere, "every layer got the value; only class.predict"
                  " has it"),
            Wrong(all_but_that_layer, "turned round: class.predict gets the value, all"
                  " others zeros"),
            Wrong(list_of_biases, "a dictionary from each name to its tensor is asked"),
            Wrong(one_number_a_layer, "a layer has one bias for each output"),
            Wrong(all_zeros, "class.predict has to start at the logit of the prior"),
            Wrong(only_that_layer, "every layer has to be in the dictionary, the others"
                  " with zeros"),
            Wrong(boxes_get_it, "box.predict starts at 0; the prior is that of the"
                  " classes"),
            Wrong(prior_over_rest, "the logarithm is missing: the logit is"
                  " ln(prior / (1 - prior))"),
            Wrong(prior_itself, "that is the probability; the bias is its logit"),
            Wrong(log_prior, "ln(prior) is near, but the sigmoid of it is not the"
                  " prior: the logit is ln(prior / (1 - prior))"),
        ),
        hints=(
            "Print the four values that the broken one gives, in the order of the"
            " layers.",
            "In which line is the value set, and in which line is it set back?",
            "Begin every layer with value = 0.0.",
        ),
        cases=biases_case,
        by_hand=(
            (
                ({"class.predict": 2, "box.predict": 1}, 0.01),
                # ln 99
                {
                    "class.predict": torch.tensor([-4.5951199, -4.5951199]),
                    "box.predict": torch.tensor([0.0]),
                },
            ),
        ),
        properties=(
            Property(
                "the sigmoid of class.predict's bias is the prior",
                lambda mine, sizes, prior: torch.allclose(
                    torch.sigmoid(mine(sizes, prior)["class.predict"]),
                    torch.tensor(prior),
                ),
            ),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "Nine anchors a place, 90 classes. How many channels do the class head's maps"
        " have?",
        (
            Option("90", "That would be one anchor at each place."),
            Option("99", "Anchors and classes multiply: every anchor says something"
                   " about every class."),
            Option("810", "90 logits for each of nine anchors; channel a * 90 + k is"
                   " class k of anchor a.", True),
            Option("819", "A background class would be one more for each anchor; there"
                   " is none."),
        ),
        value=lambda: 9 * efficientdet.CONFIGS["d0"].num_classes,
    ),
    Question(
        "How many batch norms does the class head of D0 have?",
        (
            Option("15: one for each repeat and level", "Three repeats share their"
                   " filters over five levels, but not their norms.", True),
            Option("3: one for each convolution", "Filters are shared over the levels."
                   " Norms are not: each level has statistics of its own."),
            Option("5: one for each level", "Every repeat needs its own; three repeats"
                   " follow each other."),
            Option("20, with the layer that predicts", "The layer that predicts has no"
                   " norm: a norm would fight the prior in its bias."),
        ),
        value=lambda: sum(
            len(norms)
            for norms in efficientdet.Head(efficientdet.CONFIGS["d0"], 810).norms
        ),
    ),
    Question(
        "Which backbone has D7?",
        (
            Option("B7", "So it is often told, but B7 came only with D7x."),
            Option("A ResNet", "All of D0 to D7x stand on EfficientNets."),
            Option("B6", "D7 is D6's network on larger pictures with larger anchors:"
                   " not one parameter differs.", True),
        ),
        value=lambda: efficientdet.CONFIGS["d7"].backbone.upper(),
    ),
    Question(
        "By the paper's rule, how many BiFPN layers has phi = 5, and how many has the"
        " paper's own table?",
        (
            Option("7 and 7", "7 is the table. The rule is 3 + phi."),
            Option("8 and 7", "The rule says 3 + 5; from D5 on the table has fewer.",
                   True),
            Option("8 and 8", "Rule and table agree up to D4 only."),
            Option("5 and 7", "3 + phi is 8."),
        ),
        value=lambda: "{} and {}".format(
            efficientdet.from_phi(5).cells, efficientdet.CONFIGS["d5"].cells
        ),
    ),
    Question(
        "An untrained detector starts with bias 0 in its last class layer. What does it"
        " say?",
        (
            Option("Nothing is anywhere.", "That would be a large negative bias."),
            Option("Every class is at every anchor, with probability 0.5.", "The"
                   " sigmoid of 0 is a half, 4.4 million times in D0.", True),
            Option("Every class has probability 1/90.", "A softmax would give that;"
                   " here each class has a sigmoid of its own."),
            Option("Something is somewhere, with probability 0.01.", "That is what the"
                   " prior of -4.595 buys."),
        ),
        value=lambda: torch.sigmoid(torch.tensor(0.0)).item(),
    ),
)  # fmt: skip
