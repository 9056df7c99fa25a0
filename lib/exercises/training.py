"""Exercises and quiz of chapter 02: training."""

import math
import random

import torch

from lib.basics import training
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# ------------------------------------------------------------------- 02.1 first_loss


def first_loss():
    return math.log(90)


# ----------------------------------------------------------------- 02.2 largest_rate


def descend(rate: float, steps: int = 200) -> float:
    """Where f(x, y) = x^2 / 2 + 5 y^2 ends after plain gradient descent from (4, 1)."""
    x, y = 4.0, 1.0
    for _ in range(steps):
        x, y = x - rate * x, y - rate * 10 * y
    return x * x / 2 + 5 * y * y


def largest_rate():
    rates = [i / 100 for i in range(1, 60)]
    return max(rate for rate in rates if descend(rate) <= descend(0.0))


# -------------------------------------------------------------- 02.3 receptive_field


def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field = field + (kernel - 1) * jump
        jump = jump * stride
    return field


def from_the_back(layers):
    """Another right way: from one output pixel back to the picture."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


def strides_forgotten(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def kernels_added(layers):
    field, jump = 0, 1
    for kernel, stride in layers:
        field, jump = field + kernel * jump, jump * stride
    return field


def own_stride_counted(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump = jump * stride
        field = field + (kernel - 1) * jump
    return field


def strides_added(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field = field + (kernel - 1) * jump
        jump = jump + stride - 1
    return field


def some_layers(rng: random.Random, size: int):
    return ([(rng.choice((1, 2, 3, 5, 7)), rng.randint(1, 3)) for _ in range(size)],)


# ----------------------------------------------------------------- 02.4 clip_by_norm


def clip_by_norm(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    factor = min(1.0, limit / norm.item())
    return [g * factor for g in gradients]


def clip_all_at_once(gradients, limit):
    """Another right way: one long vector."""
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    if norm <= limit:
        return [g.clone() for g in gradients]
    return [g / norm * limit for g in gradients]


def clip_each_number(gradients, limit):
    return [g.clamp(-limit, limit) for g in gradients]


def clip_each_tensor(gradients, limit):
    return [g * min(1.0, limit / g.norm().item()) for g in gradients]


def always_scaled(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    return [g * limit / norm for g in gradients]


def norms_added(gradients, limit):
    norm = sum(g.norm() for g in gradients)
    return [g * min(1.0, limit / norm.item()) for g in gradients]


def root_forgotten(gradients, limit):
    norm = sum((g**2).sum() for g in gradients)
    return [g * min(1.0, limit / norm.item()) for g in gradients]


def some_gradients(rng: random.Random, size: int):
    shapes = [(rng.randint(1, 4), rng.randint(1, 4)) for _ in range(1 + size)]
    gradients = [tensor(rng, *shape, low=-2.0, high=2.0) for shape in shapes]
    norm = math.sqrt(sum((g**2).sum().item() for g in gradients))
    return gradients, norm * rng.choice((0.1, 0.5, 0.9, 1.5))


def norm_of(gradients) -> float:
    return math.sqrt(sum((g.double() ** 2).sum().item() for g in gradients))


EXERCISES = (
    Exercise(
        name="first_loss", number="02.1", kind="predict",
        minutes=5, difficulty=1, points=1,
        task="The cross-entropy of a network that gives 90 classes the same chance.",
        reference=first_loss,
        tolerance=5e-3,
        wrong=(
            Wrong(90, "90 is how many classes there are. What is the probability of"
                  " one, and what is minus its natural logarithm?"),
            Wrong(1 / 90, "that is the probability of the true class. The loss is minus"
                  " its natural logarithm"),
            Wrong(lambda: math.log2(90), "that is the loss in bits, with the logarithm"
                  " to base 2. Equation 2.2 uses the natural one"),
            Wrong(lambda: math.log10(90), "that is the logarithm to base 10. Equation"
                  " 2.2 uses the natural one, `math.log`"),
            Wrong(lambda: -math.log(90), "the sign: the logarithm of a probability is"
                  " negative, and the loss is minus that"),
            Wrong(lambda: math.log(10), "that is the loss for 10 classes. Here there"
                  " are 90"),
        ),
        hints=(
            "With no idea, softmax gives each of the 90 classes 1/90.",
            "Put p = 1/90 into -log p.",
        ),
    ),
    Exercise(
        name="largest_rate", number="02.2", kind="measure",
        minutes=10, difficulty=2, points=2,
        task="The largest learning rate, in steps of 0.01, that does not run away.",
        reference=largest_rate,
        tolerance=1e-3,
        wrong=(
            Wrong(0.1, "0.1 is the rate at which the steep direction arrives in one"
                  " step. Larger ones overshoot and still come closer: go on"),
            Wrong(0.19, "0.19 still comes closer to the bottom. Does 0.20?"),
            Wrong(0.21, "at 0.21 the steep direction already grows: each step"
                  " multiplies y by 1 - 2.1 = -1.1"),
            Wrong(2.0, "2.0 is the limit of the flat direction, x. The steep one, y,"
                  " runs away long before"),
        ),
        hints=(
            "One step multiplies y by 1 - 10 * rate. When does its size exceed 1?",
            "Try rates on both sides of 0.2 and compare the height at the end with the"
            " height at the start.",
        ),
    ),
    Exercise(
        name="receptive_field", number="02.3", kind="build",
        minutes=15, difficulty=2, points=3,
        task="How many pixels wide is the patch that one output number depends on?",
        reference=receptive_field,
        alternative=from_the_back,
        wrong=(
            Wrong(strides_forgotten, "the strides are not used. After a stride of 2,"
                  " neighbours lie 2 pixels of the picture apart, and a filter of 3"
                  " spans more of it"),
            Wrong(kernels_added, "a filter of width k adds k - 1 new pixels, not k: one"
                  " of them was seen before. Begin with a field of 1"),
            Wrong(own_stride_counted, "a layer's own stride moves its outputs apart,"
                  " not its inputs: let it count from the next layer on"),
            Wrong(strides_added, "strides of 2 and 2 put neighbours 4 apart, those of 3"
                  " and 3 put them 9 apart. How do strides combine?"),
        ),
        hints=(
            "Keep two numbers: the field so far, and how far apart two neighbouring"
            " numbers of the present layer lie in the picture. Both begin at 1.",
            "A filter of width k reaches over k - 1 gaps. How wide is a gap?",
            "field += (kernel - 1) * gap, and only then the gap grows.",
        ),
        cases=some_layers,
        by_hand=(
            (([(3, 1)],), 3),
            (([(3, 1), (3, 1)],), 5),
            (([(3, 2), (3, 1)],), 7),
            (([(3, 1), (2, 2), (3, 1)],), 8),
            (([],), 1),
        ),
        properties=(
            Property("a 1x1 layer in front, of stride 1, changes nothing",
                     lambda mine, layers: mine([(1, 1), *layers]) == mine(layers)),
        ),
    ),
    Exercise(
        name="clip_by_norm", number="02.4", kind="build",
        minutes=15, difficulty=2, points=3,
        task="Shorten a list of gradients to a length of at most `limit`.",
        reference=clip_by_norm,
        alternative=clip_all_at_once,
        wrong=(
            Wrong(clip_each_number, "each number is cut by itself, which turns the"
                  " direction of the step. Multiply all of them by one factor"),
            Wrong(clip_each_tensor, "each tensor has its own norm here, so that layers"
                  " shrink by different factors. One norm over all of them is asked"),
            Wrong(always_scaled, "short gradients are stretched to the limit. A"
                  " gradient already within it stays as it is"),
            Wrong(norms_added, "lengths at right angles do not add: 3 and 4 make 5, not"
                  " 7. Add the squares over all tensors, then take the root"),
            Wrong(root_forgotten, "the sum of squares is the norm squared. Where is"
                  " the root?"),
        ),
        hints=(
            "Think of all tensors as one long vector. What is its length?",
            "One factor for all: limit / norm, but never above 1.",
        ),
        cases=some_gradients,
        by_hand=(
            (([torch.tensor([3.0]), torch.tensor([4.0])], 1.0),
             [torch.tensor([0.6]), torch.tensor([0.8])]),
            (([torch.tensor([3.0]), torch.tensor([4.0])], 6.0),
             [torch.tensor([3.0]), torch.tensor([4.0])]),
        ),
        properties=(
            Property("the length afterwards is at most the limit",
                     lambda mine, g, limit: norm_of(mine(g, limit)) <= limit * 1.0001),
        ),
    ),
)  # fmt: skip


# -------------------------------------------------------------------------------- quiz


def side_without_padding() -> int:
    return training.convolve(torch.zeros(16, 16), torch.zeros(3, 3)).shape[0]


def weights_of_a_layer() -> int:
    return training.small_cnn((16,))[0].weight.numel()


def first_weights_left() -> float:
    return 100 * 0.999**184


QUIZ = (
    Question(
        "A picture of 16 by 16 pixels meets a filter of 3 by 3 without padding. How"
        " many places does the filter fit, along one side?",
        (
            Option("16", "with a border of one pixel all round it would be 16"),
            Option("14", "16 - 3 + 1 = 14", correct=True),
            Option("13", "16 - 3 forgets the place where the filter begins"),
            Option("5", "16 / 3 is about 5, which would be steps of 3"),
        ),
        value=side_without_padding,
    ),
    Question(
        "A layer turns 3 channels into 16 with filters of 3 by 3 and has no bias. How"
        " many weights does it learn?",
        (
            Option("144", "16 filters of 9 numbers see one channel each"),
            Option("48", "3 times 16 counts pairs of channels, not their 9 weights"),
            Option("432", "16 filters, each with 9 weights for each of 3 channels",
                   correct=True),
            Option("It depends on the picture's size",
                   "the same filter slides over any size"),
        ),
        value=weights_of_a_layer,
    ),
    Question(
        "The same network gives one picture two different answers, depending on which"
        " other pictures are in the batch. What was forgotten?",
        (
            Option("model.eval()", "in training mode batch norm uses the mean of the"
                   " batch, and so of the other pictures", correct=True),
            Option("torch.no_grad()", "that saves memory and changes no number"),
            Option("The seed", "a trained plain network draws no random numbers"),
            Option("The learning rate", "nothing is learning here"),
        ),
    ),
    Question(
        "An average of weights with a constant decay of 0.999 starts at the random"
        " first weights. What share of them is left after 184 steps?",
        (
            Option("About 17 %", "that is what has been replaced: 1 - 0.999^184"),
            Option("Less than 1 %", "that would take about 4,600 steps"),
            Option("99.9 %", "that is the share after one step"),
            Option("About 83 %", "0.999 to the power 184: too much, so the decay is"
                   " warmed up", correct=True),
        ),
        value=first_weights_left,
        form="{:.0f} %",
    ),
    Question(
        "The power fails while `fit` is writing a checkpoint. Which file is damaged?",
        (
            Option("The checkpoint, so that the run has to begin anew", "it would be,"
                   " if the file were overwritten in place"),
            Option("None, since a file is written at once or not at all", "writing"
                   " takes time; half can be there when the power goes"),
            Option("The second file, which nobody reads", "the new content gets the"
                   " checkpoint's name only when it is complete on the disk",
                   correct=True),
        ),
    ),
)  # fmt: skip
