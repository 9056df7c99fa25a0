"""Exercises and quiz of chapter 02: training."""

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.basics import training
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# ---------------------------------------------------------------- 02.1 training_step


@dataclass
class Task:
    """Lines f(x) = w x + b to fit, batch after batch, and how to go down."""

    w: float
    b: float
    batches: list[tuple[list[float], list[float]]]  # x and y of each batch
    rate: float
    momentum: float = 0.0
    left: float = 0.0  # the gradient of w and of b that somebody left behind
    power: int = 2  # of the error, in the loss


class Line(nn.Module):
    """f(x) = w x + b."""

    def __init__(self, w: float, b: float):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(b))

    def forward(self, x):
        return self.w * x + self.b


class Watched(torch.optim.SGD):
    """Gradient descent that writes down what it is asked for."""

    def zero_grad(self, set_to_none: bool = True):
        self.events.append("zero_grad")
        super().zero_grad(set_to_none)

    def step(self, closure=None):
        self.events.append("step")
        super().step(closure)


def steps_taken(mine, task: Task) -> dict:
    """What is left after each step: the loss that it told, w, b, and what it gave."""
    model = Line(task.w, task.b)
    for parameter in model.parameters():
        parameter.grad = torch.tensor(task.left) if task.left else None
    optimizer = Watched(model.parameters(), lr=task.rate, momentum=task.momentum)
    events = optimizer.events = []

    def loss_fn(model, batch):
        x, y = batch
        error = (model(x) - y).abs()
        loss = (error**task.power).mean()
        events.append("forward")
        loss.register_hook(lambda _: events.append("backward"))
        return loss, {"error": error.max().item()}

    found = {}
    for number, (x, y) in enumerate(task.batches, 1):
        events.clear()
        before = model.w.item(), model.b.item()
        gave = mine(model, (torch.tensor(x), torch.tensor(y)), loss_fn, optimizer)
        after = model.w.item(), model.b.item()
        pair = isinstance(gave, tuple | list) and len(gave) == 2
        loss, logs = gave if pair else (0.0, None)
        whole = isinstance(loss, Tensor | float) and isinstance(logs, dict)
        found |= {
            f"step {number} gives back": "loss, logs" if whole else _kind(gave),
            f"forward passes of step {number}": events.count("forward"),
            # Of a model that stands still, what was called says why.
            f"step {number} moves": True if before != after else ", ".join(events),
            f"loss of step {number}": torch.as_tensor(loss).item() if whole else None,
            f"w after step {number}": after[0],
            f"b after step {number}": after[1],
        }
    return found


def _kind(value) -> str:
    """A value in words, the parts of a pair too."""
    if isinstance(value, tuple):
        return ", ".join(type(v).__name__ for v in value)
    return type(value).__name__


def step_by_the_model(model, batch, loss_fn, optimizer):
    """Another right way: the model clears the gradients, at the last moment."""
    pair = loss_fn(model, batch)
    for parameter in model.parameters():
        parameter.grad = None
    pair[0].backward()
    optimizer.step()
    return pair


def never_cleared(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss, logs


def cleared_too_late(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss, logs


def cleared_after(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss, logs


def step_first(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    optimizer.step()
    loss.backward()
    return loss, logs


def no_step(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    return loss, logs


def no_backward(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    optimizer.step()
    return loss, logs


def loss_of_afterwards(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss_fn(model, batch)


def asked_twice(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss = loss_fn(model, batch)[0]
    logs = loss_fn(model, batch)[1]
    loss.backward()
    optimizer.step()
    return loss, logs


def loss_alone(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss


def pair_turned_round(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return logs, loss


def nothing_given_back(model, batch, loss_fn, optimizer):
    loss_alone(model, batch, loss_fn, optimizer)


def without_the_optimizer(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    rate = optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= rate * parameter.grad
    return loss, logs


def divided_again(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    (loss / len(batch[0])).backward()
    optimizer.step()
    return loss, logs


def uphill(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    (-loss).backward()
    optimizer.step()
    return loss, logs


def some_tasks(rng: random.Random, size: int):
    """One to three batches, up to 32 examples each; small and large numbers."""
    scale = rng.choice((1.0, 1.0, 100.0))
    batches = []
    for _ in range(rng.randint(1, 3)):
        count = rng.choice((size, size, 32))
        x = [round(scale * rng.uniform(-1, 1), 2) for _ in range(count)]
        y = [round(scale * rng.uniform(-1, 1), 2) for _ in range(count)]
        batches.append((x, y))
    task = Task(
        w=rng.choice((0.0, 0.5, -1.5)),
        b=rng.choice((0.0, 0.5)),
        batches=batches,
        rate=rng.choice((0.01, 0.1)),
        momentum=rng.choice((0.0, 0.9)),
        left=rng.choice((0.0, 3.0)),
        power=rng.choice((1, 2)),
    )
    task.rate /= scale**task.power
    return (task,)


def a_run_of_fit():
    """What `fit` leaves after a few steps: losses, and the weights of the last layer.

    Once as the chapter calls it, once clipped and followed by an average.
    """
    chance = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (512, 3, 16, 16), generator=chance)
    labels = torch.randint(0, 10, (512,), generator=chance)
    digits, left = (images.to(torch.uint8), labels), []
    for options in ({}, {"clip": 1.0}):
        model = training.small_cnn()
        ema = training.EMA(model, decay=0.9)
        loss_fn = training.classification_loss(smoothing=0.1)
        history = training.fit(
            model, digits, loss_fn, steps=6, lr=0.3, warmup=0.5, ema=ema,
            progress=False, **options,
        )  # fmt: skip
        left += [history.loss, model[-1].weight.detach(), ema.model[-1].bias]
    return left


# ---------------------------------------------------------------- 02.2 warmup_cosine


def cosine_in_one(step, total, warmup):
    """Another right way: a sine squared, from the end."""
    if step < warmup:
        return (1 + step) / warmup
    left = (total - step) / (total - warmup)
    return math.sin(math.pi * left / 2) ** 2


def warmup_not_taken_off(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * step / (total - warmup)))


def whole_run_below(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / total))


def cosine_of_the_whole_run(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * step / total))


def from_zero(step, total, warmup):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def one_step_too_many_below(step, total, warmup):
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def one_step_too_long(step, total, warmup):
    if step <= warmup:
        return (step + 1) / max(warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def never_warm(step, total, warmup):
    return 0.5 * (1 + math.cos(math.pi * step / total))


def half_forgotten(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 1 + math.cos(math.pi * (step - warmup) / (total - warmup))


def in_degrees(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(180 * (step - warmup) / (total - warmup)))


def straight_down(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (step - warmup) / (total - warmup)


def quarter_wave(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi / 2 * (step - warmup) / (total - warmup))


def some_step(rng: random.Random, size: int):
    """Runs of 10 to 100,000 steps; at both ends of both parts, and between."""
    total = rng.choice((10, 100, 184, 100_000))
    warmup = rng.choice((0, 1, total // 10, total // 2))
    places = (0, warmup - 1, warmup, warmup + 1, total - 1, total)
    step = rng.choice((*places, rng.randint(0, total), rng.randint(0, total)))
    return min(max(step, 0), total), total, warmup


# ------------------------------------------------------------------- 02.3 first_loss


def first_loss():
    return math.log(90)


# ----------------------------------------------------------------- 02.4 largest_rate


def descend(rate: float, steps: int = 200) -> float:
    """Where f(x, y) = x^2 / 2 + 5 y^2 ends after plain gradient descent from (4, 1)."""
    x, y = 4.0, 1.0
    for _ in range(steps):
        x, y = x - rate * x, y - rate * 10 * y
    return x * x / 2 + 5 * y * y


def largest_rate():
    rates = [i / 100 for i in range(1, 60)]
    return max(rate for rate in rates if descend(rate) <= descend(0.0))


# -------------------------------------------------------------- 02.5 receptive_field


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


def whole_kernels_added(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field, jump = field + kernel * jump, jump * stride
    return field


def backward_rule_forwards(layers):
    field = 1
    for kernel, stride in layers:
        field = (field - 1) * stride + kernel
    return field


def kernels_multiplied(layers):
    return math.prod(kernel for kernel, _ in layers)


def some_layers(rng: random.Random, size: int):
    """Up to six layers, now and then as many as a ResNet has."""
    count = rng.choice((size, size, size, 20))
    kernels = (1, 2, 3, 5, 7, 11)
    return ([(rng.choice(kernels), rng.randint(1, 3)) for _ in range(count)],)


# ----------------------------------------------------------------- 02.6 clip_by_norm


def clip_by_norm(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    factor = (limit / norm).clamp(max=1.0)  # of a norm of 0: infinity, so 1
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
    return [g * min(1.0, limit / max(g.norm().item(), 1e-12)) for g in gradients]


def always_scaled(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    return [g * limit / norm.clamp(min=1e-12) for g in gradients]


def norms_added(gradients, limit):
    norm = sum(g.norm() for g in gradients)
    return [g * min(1.0, limit / max(norm.item(), 1e-12)) for g in gradients]


def root_forgotten(gradients, limit):
    norm = sum((g**2).sum() for g in gradients)
    return [g * min(1.0, limit / max(norm.item(), 1e-12)) for g in gradients]


def upside_down(gradients, limit):
    norm = sum((g**2).sum() for g in gradients).sqrt()
    return [g * min(1.0, norm.item() / limit) for g in gradients]


def absolute_values_added(gradients, limit):
    norm = sum(g.abs().sum() for g in gradients)
    return [g * min(1.0, limit / max(norm.item(), 1e-12)) for g in gradients]


def largest_number(gradients, limit):
    norm = max(g.abs().max() for g in gradients)
    return [g * min(1.0, limit / max(norm.item(), 1e-12)) for g in gradients]


def some_gradients(rng: random.Random, size: int):
    """Numbers, rows, matrices and filters; long, short, and of no length at all."""
    shapes = [[rng.randint(1, 4) for _ in range(rng.randint(0, 4))]]
    shapes += [(rng.randint(1, 4), rng.randint(1, 4)) for _ in range(size)]
    most = rng.choice((2.0, 2.0, 2.0, 0.001, 10_000.0))
    gradients = [tensor(rng, *shape, low=-most, high=most) for shape in shapes]
    norm = norm_of(gradients)
    if rng.random() < 0.1:
        return [torch.zeros_like(g) for g in gradients], norm
    return gradients, norm * rng.choice((0.1, 0.5, 0.9, 1.5))


def norm_of(gradients) -> float:
    return math.sqrt(sum((g.double() ** 2).sum().item() for g in gradients))


def _left(*steps: tuple[float, float, float]) -> dict:
    """What `steps_taken` gives for right steps with this loss, w and b."""
    found = {}
    for number, (loss, w, b) in enumerate(steps, 1):
        found |= {
            f"step {number} gives back": "loss, logs",
            f"forward passes of step {number}": 1,
            f"step {number} moves": True,
            f"loss of step {number}": loss,
            f"w after step {number}": w,
            f"b after step {number}": b,
        }
    return found


EXERCISES = (
    Exercise(
        name="training_step", number="02.1", kind="build",
        minutes=12, difficulty=1, points=4,
        task="One step down the gradient of a batch's loss; give back loss and logs.",
        reference=training.training_step,
        alternative=step_by_the_model,
        probe=steps_taken,
        place="basics.training.training_step", required=True, importance=3,
        machine="`fit`, the loop that trains every network of this course",
        machine_case=a_run_of_fit, milestone_calls=1664,
        unchanged={
            "cleared_after": "a run that nobody breaks off begins with empty gradients,"
            " so clearing behind the step is clearing before the next",
            "asked_twice": "between the two looks nothing has moved, so the loss is the"
            " same; it costs a second forward pass",
        },
        wrong=(
            Wrong(never_cleared, "nothing clears the gradients, and `backward` adds to"
                  " what is there: each step also goes down the gradients of all the"
                  " steps before it. Begin with optimizer.zero_grad()"),
            Wrong(cleared_too_late, "the gradients are cleared after `backward`, just"
                  " before they are needed: the step then finds zeros. Clear them"
                  " before `backward`"),
            Wrong(cleared_after, "you clear the gradients for the next call. But the"
                  " first call may find gradients that somebody else left behind:"
                  " clear them before `backward`"),
            Wrong(step_first, "`optimizer.step()` comes before `loss.backward()`: it"
                  " moves along gradients that are not there yet. First backward, then"
                  " step"),
            Wrong(no_step, "the gradients are there, and nobody uses them: the"
                  " parameters do not move. What takes the step?"),
            Wrong(no_backward, "no gradients are computed, so the optimizer has"
                  " nothing to follow. What fills them in?"),
            Wrong(loss_of_afterwards, "you give back the loss after the step. The loss"
                  " that was computed before it is asked, and the second forward pass"
                  " costs as much as the first"),
            Wrong(asked_twice, "`loss_fn` is called twice: two forward passes for one"
                  " step. It gives both at once: loss, logs = loss_fn(model, batch)"),
            Wrong(loss_alone, "`fit` needs both: return loss, logs"),
            Wrong(pair_turned_round, "the pair is turned round: the loss comes first,"
                  " return loss, logs"),
            Wrong(nothing_given_back, "the step is right, but nothing comes back: is"
                  " `return loss, logs` missing?"),
            Wrong(without_the_optimizer, "you move the parameters yourself, by rate"
                  " times gradient. The optimizer may do more, momentum for instance:"
                  " call optimizer.step()"),
            Wrong(divided_again, "you divide the loss by the size of the batch. It is"
                  " a mean already, so the step becomes too short"),
            Wrong(uphill, "you go up: `backward` is asked of minus the loss. The"
                  " optimizer subtracts the gradient by itself"),
        ),
        hints=(
            "Five things in order: clear the old gradients, ask for the loss, compute"
            " the gradients, move, give back.",
            "optimizer.zero_grad() clears, loss.backward() computes a gradient for each"
            " parameter, optimizer.step() moves all of them.",
            "loss, logs = loss_fn(model, batch) is the forward pass. Return both.",
        ),
        cases=some_tasks,
        by_hand=(
            # The loss is (0 - 6)^2; its gradients are -24 and -12, the rate 0.01.
            ((Task(0.0, 0.0, [([2.0], [6.0])], 0.01),), _left((36.0, 0.24, 0.12))),
            # The same, though somebody left a gradient of 100 behind.
            ((Task(0.0, 0.0, [([2.0], [6.0])], 0.01, left=100.0),),
             _left((36.0, 0.24, 0.12))),
            # A second step from 0.24 and 0.12: f = 0.6, error -5.4, loss 29.16. With
            # momentum 0.5 it moves by 0.01 (0.5 * 24 + 21.6) and 0.01 (6 + 10.8).
            ((Task(0.0, 0.0, 2 * [([2.0], [6.0])], 0.01, momentum=0.5),),
             _left((36.0, 0.24, 0.12), (29.16, 0.576, 0.288))),
        ),
    ),
    Exercise(
        name="warmup_cosine", number="02.2", kind="build",
        minutes=10, difficulty=2, points=3,
        task="The share of the learning rate at a step: up a line, down a cosine.",
        reference=training.warmup_cosine,
        alternative=cosine_in_one,
        place="basics.training.warmup_cosine", importance=1,
        machine="`fit`, which asks for the rate before each step",
        machine_case=a_run_of_fit, milestone_calls=1664,
        tolerance=1e-6,
        wrong=(
            Wrong(warmup_not_taken_off, "this is the slip of google/automl: the steps"
                  " of the warm-up are not taken off above the line. The cosine has to"
                  " begin at step W, with angle 0"),
            Wrong(whole_run_below, "below the line stands T - W: the cosine has only"
                  " the steps after the warm-up to come down to 0. Yours does not"
                  " arrive"),
            Wrong(cosine_of_the_whole_run, "your cosine is stretched over the whole"
                  " run. It begins when the warm-up ends: (step - W) / (T - W)"),
            Wrong(from_zero, "your first step has a rate of 0, so it is wasted. The"
                  " line is (step + 1) / W"),
            Wrong(one_step_too_many_below, "your line has W + 1 steps: the last of W"
                  " steps gets the full rate, W / W"),
            Wrong(one_step_too_long, "at step W your warm-up still goes on, and gives"
                  " more than 1. Steps are counted from 0: the warm-up is step < W"),
            Wrong(never_warm, "the warm-up is missing: the first W steps climb a line"),
            Wrong(half_forgotten, "1 + cos goes from 2 to 0. Where is the factor 1/2?"),
            Wrong(in_degrees, "math.cos takes radians: half a turn is math.pi, not"
                  " 180"),
            Wrong(straight_down, "after the warm-up you go down a straight line. A"
                  " cosine is asked: slow, fast, slow"),
            Wrong(quarter_wave, "you use a quarter of a wave, from 1 to 0. Equation 2.4"
                  " has half a wave, from 1 to -1, moved up by 1 and halved"),
        ),
        hints=(
            "Two cases: step < warmup, and all others.",
            "In the second, how much of the way down is done? That share runs from 0,"
            " at step W, to 1, at step T.",
            "The angle is pi times that share, and the factor 0.5 * (1 + cos(angle)).",
        ),
        cases=some_step,
        by_hand=(
            ((0, 10, 2), 0.5),
            ((1, 10, 2), 1.0),
            ((2, 10, 2), 1.0),
            ((6, 10, 2), 0.5),  # half way down: the cosine of a quarter turn is 0
            ((10, 10, 2), 0.0),
            ((0, 8, 0), 1.0),  # no warm-up
        ),
        survivors={
            "line 11: `_insist_on_a_step(step, total, warmup)` omitted":
            "it refuses steps that no schedule has, and no case asks for one",
        },
    ),
    Exercise(
        name="first_loss", number="02.3", kind="predict",
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
        name="largest_rate", number="02.4", kind="measure",
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
        name="receptive_field", number="02.5", kind="build",
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
            Wrong(whole_kernels_added, "a filter of width k adds k - 1 new pixels, not"
                  " k: one of them belongs to the field already"),
            Wrong(backward_rule_forwards, "this rule, (field - 1) * stride + kernel, is"
                  " right from the last layer to the first. You go the other way"),
            Wrong(kernels_multiplied, "neighbours overlap, so fields do not multiply:"
                  " two filters of 3 see 5 pixels, not 9"),
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
        name="clip_by_norm", number="02.6", kind="build",
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
            Wrong(upside_down, "norm / limit is the fraction the wrong way round: it"
                  " leaves long gradients as they are and shortens the short ones"),
            Wrong(absolute_values_added, "the sum of the absolute values is another"
                  " norm: 3 and 4 would have 7. The length of a vector is the root of"
                  " the sum of its squares"),
            Wrong(largest_number, "the largest number is not the length: all numbers"
                  " together count, squared and added, then the root"),
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
            # Of no length, so short enough; and exactly as long as it may be.
            (([torch.zeros(2), torch.zeros(1)], 1.0), [torch.zeros(2), torch.zeros(1)]),
            (([torch.tensor([3.0]), torch.tensor([4.0])], 5.0),
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
