"""Chapter 13: answers from the task texts."""

import math
import re

import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 13.1

wrong_value("efficientdet.logits", 767_250, "one anchor a place")
wrong_value("efficientdet.logits", 76_725, "the anchors, without the classes")
wrong_value("efficientdet.logits", 4_419_360, "D0's picture of 512")
wrong_value("efficientdet.logits", 7_212_150, "the four codes counted too")
wrong_value("efficientdet.logits", 6_981_975, "a 91st class for the background")
right_value("efficientdet.logits", 6_905_250)
right_value("efficientdet.logits", 6_905_250.0)

# 13.2

wrong_value("efficientdet.digits", 3_880_067, "still 90 classes")
wrong_value("efficientdet.digits", 3_833_852, "eleven classes")
wrong_value("efficientdet.digits", 3_833_987, "the biases of 80 classes forgotten")
wrong_value("efficientdet.digits", 3_874_867, "one anchor a place in the last layer")
wrong_value("efficientdet.digits", 3_827_417, "all of the last layer taken out")
right_value("efficientdet.digits", 3_833_267)
right_value("efficientdet.digits", "3833267")

# 13.3


@wrong("efficientdet.fold_levels", "eps is added to the root, not to the variance")
def fold_levels_1(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / (variance.sqrt() + eps)
        out.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return out


@wrong("efficientdet.fold_levels", "the factor multiplies inputs, not outputs")
def fold_levels_2(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor, (bias - mean) * factor + shift))
    return out


@wrong("efficientdet.fold_levels", "forgets the mean")
def fold_levels_3(weight, bias, norms, eps):
    out = []
    for gain, shift, _, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor[:, None], bias * factor + shift))
    return out


@wrong("efficientdet.fold_levels", "adds the mean in place of subtracting it")
def fold_levels_4(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor[:, None], (bias + mean) * factor + shift))
    return out


@wrong("efficientdet.fold_levels", "divides by the variance, without the root")
def fold_levels_5(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / (variance + eps)
        out.append((factor.unsqueeze(1) * weight, factor * (bias - mean) + shift))
    return out


@wrong("efficientdet.fold_levels", "the shift is multiplied by the factor too")
def fold_levels_6(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor[:, None], (bias - mean + shift) * factor))
    return out


@wrong("efficientdet.fold_levels", "each level folds what the level before left")
def fold_levels_7(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        weight = weight * factor[:, None]
        bias = (bias - mean) * factor + shift
        out.append((weight, bias))
    return out


@wrong("efficientdet.fold_levels", "the mean is not multiplied by the factor")
def fold_levels_8(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor[:, None], bias * factor - mean + shift))
    return out


@right("efficientdet.fold_levels")
def fold_levels_9(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        factor = gain / torch.sqrt(variance + eps)
        out.append((weight * factor[:, None], (bias - mean) * factor + shift))
    return out


@right("efficientdet.fold_levels")
def fold_levels_10(weight, bias, norms, eps):
    factors = [norm[0] * (norm[3] + eps) ** -0.5 for norm in norms]
    return [
        (torch.diag(f) @ weight, shift + f * (bias - mean))
        for f, (_, shift, mean, _) in zip(factors, norms, strict=True)
    ]


@right("efficientdet.fold_levels")
def fold_levels_11(weight, bias, norms, eps):
    out = []
    for gain, shift, mean, variance in norms:
        new_weight, new_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        for o in range(weight.shape[0]):
            factor = gain[o] / (variance[o] + eps) ** 0.5
            new_weight[o] = weight[o] * factor
            new_bias[o] = bias[o] * factor + shift[o] - mean[o] * factor
        out.append((new_weight, new_bias))
    return out


@right("efficientdet.fold_levels")
def fold_levels_12(weight, bias, norms, eps):
    gain, shift, mean, variance = (
        torch.stack(part) for part in zip(*norms, strict=True)
    )
    factor = gain * torch.rsqrt(variance + eps)
    weights = torch.einsum("lo,oi->loi", factor, weight)
    biases = (bias - mean) * factor + shift
    return list(zip(weights, biases, strict=True))


# 13.4


@wrong("efficientdet.repeat_first", "forgets to write `.bn`")
def repeat_first_1(names):
    pattern = r"(class_net|box_net)\.bn_rep\.(\d+)\.(\d+)\.(.*)"
    return [re.sub(pattern, r"\1.bn_rep.\3.\2.\4", name) for name in names]


@wrong("efficientdet.repeat_first", "writes `.bn`, but does not exchange the numbers")
def repeat_first_2(names):
    pattern = r"(class_net|box_net)\.bn_rep\.(\d+)\.(\d+)\.(.*)"
    return [re.sub(pattern, r"\1.bn_rep.\2.\3.bn.\4", name) for name in names]


@wrong("efficientdet.repeat_first", "a number has only one digit")
def repeat_first_3(names):
    pattern = r"^(class_net|box_net)\.bn_rep\.(\d)\.(\d)\.(.*)$"
    return [re.sub(pattern, r"\1.bn_rep.\3.\2.bn.\4", name) for name in names]


@wrong("efficientdet.repeat_first", "changes only the class head")
def repeat_first_4(names):
    pattern = r"class_net\.bn_rep\.(\d+)\.(\d+)\.(.*)"
    return [re.sub(pattern, r"class_net.bn_rep.\2.\1.bn.\3", name) for name in names]


@wrong("efficientdet.repeat_first", "leaves all other names out of the list")
def repeat_first_5(names):
    out = []
    for name in names:
        parts = name.split(".")
        if "bn_rep" in parts:
            head, _, level, repeat, *rest = parts
            out.append(".".join([head, "bn_rep", repeat, level, "bn", *rest]))
    return out


@wrong("efficientdet.repeat_first", "exchanges two numbers in any name")
def repeat_first_6(names):
    return [re.sub(r"\.(\d+)\.(\d+)\.", r".\2.\1.bn.", name) for name in names]


@wrong("efficientdet.repeat_first", "sorts the names")
def repeat_first_7(names):
    pattern = r"(class_net|box_net)\.bn_rep\.(\d+)\.(\d+)\.(.*)"
    new = [re.sub(pattern, r"\1.bn_rep.\3.\2.bn.\4", name) for name in names]
    return sorted(new)


@wrong("efficientdet.repeat_first", "puts `.bn` at the end of the name")
def repeat_first_8(names):
    out = []
    for name in names:
        parts = name.split(".")
        if len(parts) > 3 and parts[1] == "bn_rep":
            parts[2], parts[3] = parts[3], parts[2]
            parts.append("bn")
        out.append(".".join(parts))
    return out


@right("efficientdet.repeat_first")
def repeat_first_9(names):
    pattern = re.compile(r"^(class_net|box_net)\.bn_rep\.(\d+)\.(\d+)\.(.+)$")
    return [pattern.sub(r"\1.bn_rep.\3.\2.bn.\4", name) for name in names]


@right("efficientdet.repeat_first")
def repeat_first_10(names):
    out = []
    for name in names:
        parts = name.split(".")
        if parts[0] in ("class_net", "box_net") and parts[1] == "bn_rep":
            head, rep, level, repeat = parts[:4]
            parts = [head, rep, repeat, level, "bn"] + parts[4:]
        out.append(".".join(parts))
    return out


@right("efficientdet.repeat_first")
def repeat_first_11(names):
    def published(name):
        for start in ("class_net.bn_rep.", "box_net.bn_rep."):
            if name.startswith(start):
                level, repeat, rest = name[len(start) :].split(".", 2)
                return f"{start}{repeat}.{level}.bn.{rest}"
        return name

    return list(map(published, names))


@right("efficientdet.repeat_first")
def repeat_first_12(names):
    new = list(names)
    for i, name in enumerate(names):
        before, found, after = name.partition("_net.bn_rep.")
        if found and before in ("class", "box"):
            level, _, after = after.partition(".")
            repeat, _, after = after.partition(".")
            new[i] = before + found + ".".join((repeat, level, "bn", after))
    return new


# 13.5: the layers' names are not in the text; taken to be named by their heads


@wrong("efficientdet.first_biases", "the box head gets the prior too")
def first_biases_1(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {name: torch.full((n,), value) for name, n in sizes.items()}


@wrong(
    "efficientdet.first_biases", "the prior goes to the box head, not to the classes"
)
def first_biases_2(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {k: torch.full((n,), value * ("box" in k)) for k, n in sizes.items()}


@wrong("efficientdet.first_biases", "all biases are 0")
def first_biases_3(sizes, prior):
    return {name: torch.zeros(n) for name, n in sizes.items()}


@wrong("efficientdet.first_biases", "the wrong sign: 99 % in place of 1 %")
def first_biases_4(sizes, prior):
    value = math.log((1 - prior) / prior)
    return {k: torch.full((n,), value * ("class" in k)) for k, n in sizes.items()}


@wrong("efficientdet.first_biases", "the probability itself is the bias")
def first_biases_5(sizes, prior):
    out = {}
    for name, n in sizes.items():
        out[name] = torch.full((n,), prior) if "class" in name else torch.zeros(n)
    return out


@wrong("efficientdet.first_biases", "one number for a layer, not one for each output")
def first_biases_6(sizes, prior):
    value = -math.log((1 - prior) / prior)
    return {k: torch.tensor(value if "class" in k else 0.0) for k in sizes}


@wrong("efficientdet.first_biases", "the logarithm of the prior, not its logit")
def first_biases_7(sizes, prior):
    value = math.log(prior)
    return {k: torch.full((n,), value * ("class" in k)) for k, n in sizes.items()}


@wrong("efficientdet.first_biases", "the first name is taken for the class head")
def first_biases_8(sizes, prior):
    out = {}
    for i, (name, n) in enumerate(sizes.items()):
        value = -math.log((1 - prior) / prior) if i == 0 else 0.0
        out[name] = torch.full((n,), value)
    return out
