"""Chapter 13: answers from the task texts."""

import math
import re

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# --- logits ---

wrong_value("efficientdet.logits", 76725, "anchors, not logits")
wrong_value("efficientdet.logits", 7212150, "the four codes are counted too")
wrong_value("efficientdet.logits", 767250, "no nine anchors a place")
wrong_value("efficientdet.logits", 4419360, "D0 in place of D1")
right_value("efficientdet.logits", 6905250)
right_value("efficientdet.logits", 6905250.0)

# --- digits ---

wrong_value("efficientdet.digits", 3880067, "90 classes")
wrong_value("efficientdet.digits", 3833987, "the biases are forgotten")
wrong_value("efficientdet.digits", 3874867, "one anchor a place in place of nine")
wrong_value("efficientdet.digits", 3833852, "eleven classes: a background")
right_value("efficientdet.digits", 3833267)

# --- fold_levels ---


@wrong("efficientdet.fold_levels", "eps is added outside the root")
def fold_levels_1(weight, bias, norms, eps):
    pairs = []
    for gain, shift, mean, variance in norms:
        factor = gain / (variance.sqrt() + eps)
        pairs.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return pairs


@wrong("efficientdet.fold_levels", "the old bias is forgotten")
def fold_levels_2(weight, bias, norms, eps):
    pairs = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        pairs.append((weight * factor[:, None], shift - mean * factor))
    return pairs


@wrong("efficientdet.fold_levels", "the factor goes along the inputs")
def fold_levels_3(weight, bias, norms, eps):
    pairs = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        folded = weight.clone()
        for i in range(weight.shape[1]):
            folded[:, i] = weight[:, i] * factor[i % len(factor)]
        pairs.append((folded, (bias - mean) * factor + shift))
    return pairs


@wrong("efficientdet.fold_levels", "each level folds into what the last one left")
def fold_levels_4(weight, bias, norms, eps):
    pairs = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        weight = weight * factor[:, None]
        bias = (bias - mean) * factor + shift
        pairs.append((weight, bias))
    return pairs


@wrong("efficientdet.fold_levels", "the old bias is not scaled")
def fold_levels_5(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain * (variance + eps) ** -0.5
        out.append((weight * factor.view(-1, 1), bias - mean * factor + shift))
    return out


@wrong("efficientdet.fold_levels", "divides by the variance, without the root")
def fold_levels_6(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / (variance + eps)
        out.append((weight * factor.view(-1, 1), (bias - mean) * factor + shift))
    return out


@right("efficientdet.fold_levels")
def fold_levels_7(weight, bias, norms, eps):
    pairs = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        pairs.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return pairs


@right("efficientdet.fold_levels")
def fold_levels_8(weight, bias, norms, eps):
    gain, shift, mean, variance = (torch.stack(t) for t in zip(*norms, strict=True))
    factor = gain * torch.rsqrt(variance + eps)
    weights = torch.einsum("lo,oi->loi", factor, weight)
    biases = factor * bias + shift - factor * mean
    return list(zip(weights, biases, strict=True))


@right("efficientdet.fold_levels")
def fold_levels_9(weight, bias, norms, eps):
    def fold(norm):
        gain, shift, mean, variance = norm
        diagonal = torch.diag(gain / (variance + eps).sqrt())
        return diagonal @ weight, diagonal @ (bias - mean) + shift

    return [fold(norm) for norm in norms]


# --- repeat_first ---


@wrong("efficientdet.repeat_first", "numbers of one digit only")
def repeat_first_1(names):
    return [
        re.sub(r"bn_rep\.(\d)\.(\d)\.", r"bn_rep.\2.\1.bn.", name) for name in names
    ]


@wrong("efficientdet.repeat_first", "the .bn is forgotten")
def repeat_first_2(names):
    return [re.sub(r"(bn_rep)\.(\d+)\.(\d+)", r"\1.\3.\2", name) for name in names]


@wrong("efficientdet.repeat_first", "the numbers are not exchanged")
def repeat_first_3(names):
    return [
        re.sub(r"(bn_rep\.\d+\.\d+)\.", r"\1.bn.", name) if "bn_rep" in name else name
        for name in names
    ]


@wrong("efficientdet.repeat_first", "only the class head, not the box head")
def repeat_first_4(names):
    out = []
    for name in names:
        parts = name.split(".")
        if parts[:2] == ["class_net", "bn_rep"]:
            parts[2:4] = [parts[3], parts[2], "bn"]
        out.append(".".join(parts))
    return out


@wrong("efficientdet.repeat_first", "other names are left out")
def repeat_first_5(names):
    out = []
    for name in names:
        parts = name.split(".")
        if len(parts) > 4 and parts[1] == "bn_rep":
            out.append(".".join([*parts[:2], parts[3], parts[2], "bn", *parts[4:]]))
    return out


@wrong("efficientdet.repeat_first", "exchanges any two numbers that follow each other")
def repeat_first_6(names):
    return [re.sub(r"\.(\d+)\.(\d+)\.", r".\2.\1.bn.", name) for name in names]


@wrong("efficientdet.repeat_first", "the names come back sorted")
def repeat_first_7(names):
    return sorted(
        re.sub(r"bn_rep\.(\d+)\.(\d+)\.", r"bn_rep.\2.\1.bn.", name) for name in names
    )


@right("efficientdet.repeat_first")
def repeat_first_8(names):
    pattern = re.compile(r"^(\w+\.bn_rep)\.(\d+)\.(\d+)\.")
    return [pattern.sub(r"\1.\3.\2.bn.", name) for name in names]


@right("efficientdet.repeat_first")
def repeat_first_9(names):
    out = []
    for name in names:
        parts = name.split(".")
        if "bn_rep" in parts and any(part.isdigit() for part in parts):
            at = parts.index("bn_rep")
            level, repeat = parts[at + 1], parts[at + 2]
            parts = [*parts[: at + 1], repeat, level, "bn", *parts[at + 3 :]]
        out.append(".".join(parts))
    return out


@right("efficientdet.repeat_first")
def repeat_first_10(names):
    def new(name):
        head, mark, tail = name.partition(".bn_rep.")
        if not mark or not tail[0].isdigit():
            return name
        level, repeat, rest = tail.split(".", 2)
        return f"{head}.bn_rep.{repeat}.{level}.bn.{rest}"

    return list(map(new, names))


# --- first_biases ---


@wrong("efficientdet.first_biases", "every layer gets the prior, boxes too")
def first_biases_1(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {name: torch.full((n,), value) for name, n in sizes.items()}


@wrong("efficientdet.first_biases", "the sign is turned: nearly every logit says yes")
def first_biases_2(sizes, prior):
    out = {}
    for name, n in sizes.items():
        value = math.log((1 - prior) / prior) if "class" in name else 0.0
        out[name] = torch.full((n,), value)
    return out


@wrong("efficientdet.first_biases", "the prior itself in place of its logit")
def first_biases_3(sizes, prior):
    return {
        name: torch.full((n,), float(prior) if "class" in name else 0.0)
        for name, n in sizes.items()
    }


@wrong("efficientdet.first_biases", "the log of the prior, without 1 - prior")
def first_biases_4(sizes, prior):
    return {
        name: torch.full((n,), math.log(prior) if "class" in name else 0.0)
        for name, n in sizes.items()
    }


@wrong("efficientdet.first_biases", "the first layer is taken for the class layer")
def first_biases_5(sizes, prior):
    value = math.log(prior / (1 - prior))
    out = {}
    for i, (name, n) in enumerate(sizes.items()):
        out[name] = torch.full((n,), value if i == 0 else 0.0)
    return out


@wrong("efficientdet.first_biases", "one shared tensor, of the size of the first")
def first_biases_6(sizes, prior):
    first = torch.zeros(next(iter(sizes.values())))
    out = {}
    for name in sizes:
        out[name] = first
        if "class" in name:
            first += math.log(prior / (1 - prior))
    return out


@wrong("efficientdet.first_biases", "float64")
def first_biases_7(sizes, prior):
    value = math.log(prior / (1 - prior))
    return {
        name: torch.full((n,), value if "class" in name else 0.0, dtype=torch.float64)
        for name, n in sizes.items()
    }
