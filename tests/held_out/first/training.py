"""Chapter 02: answers from the task texts."""

import math

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value


@wrong("training.training_step", "old gradients are never cleared")
def step_1(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss, logs


@wrong("training.training_step", "the fresh gradient is cleared before the step")
def step_2(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss, logs


@wrong("training.training_step", "steps before the gradient is there")
def step_3(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    optimizer.step()
    loss.backward()
    return loss, logs


@wrong("training.training_step", "no step at all")
def step_4(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    return loss, logs


@wrong("training.training_step", "clears only behind the step: what lay there counts")
def step_5(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss, logs


@wrong("training.training_step", "returns the loss of after the step")
def step_6(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss_fn(model, batch)


@wrong("training.training_step", "returns the loss alone")
def step_7(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss


@wrong("training.training_step", "backward is forgotten")
def step_8(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    optimizer.step()
    return loss, logs


@right("training.training_step")
def step_9(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss, logs


@right("training.training_step")
def step_10(model, batch, loss_fn, optimizer):
    pair = loss_fn(model, batch)
    optimizer.zero_grad()
    pair[0].backward()
    optimizer.step()
    return pair


@right("training.training_step")
def step_11(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    with torch.enable_grad():
        loss, logs = loss_fn(model, batch)
        torch.autograd.backward(loss)
    optimizer.step()
    return loss, logs


def forward_and_back(model, batch, loss_fn):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    return loss, logs


@right("training.training_step")
def step_12(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    result = forward_and_back(model, batch, loss_fn)
    optimizer.step()
    return result


@wrong("training.warmup_cosine", "begins at zero: step / warmup")
def rate_1(step, total, warmup):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@wrong("training.warmup_cosine", "the half in front is missing")
def rate_2(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 1 + math.cos(math.pi * (step - warmup) / (total - warmup))


@wrong("training.warmup_cosine", "divides by all steps: does not come down to 0")
def rate_3(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / total))


@wrong("training.warmup_cosine", "one step of the line too many, above 1")
def rate_4(step, total, warmup):
    if step <= warmup and warmup > 0:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@wrong("training.warmup_cosine", "a quarter of the wave: cos of half the angle")
def rate_5(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi / 2 * (step - warmup) / (total - warmup))


@wrong("training.warmup_cosine", "divides by a warmup of 0")
def rate_7(step, total, warmup):
    up = (step + 1) / warmup
    down = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    return up if step < warmup else down


@wrong("training.warmup_cosine", "down along a line")
def rate_8(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (step - warmup) / (total - warmup)


@right("training.warmup_cosine")
def rate_9(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@right("training.warmup_cosine")
def rate_10(step, total, warmup):
    if step >= warmup:
        way = (step - warmup) / (total - warmup)
        return math.cos(math.pi * way / 2) ** 2
    return (step + 1) / warmup


@right("training.warmup_cosine")
def rate_11(step, total, warmup):
    if step < warmup:
        return float(np.arange(1, warmup + 1)[step] / warmup)
    angles = np.linspace(0, np.pi, total - warmup + 1)
    return float((1 + np.cos(angles[step - warmup])) / 2)


@right("training.warmup_cosine")
def rate_12(step, total, warmup):
    line = min(1, (step + 1) / warmup) if warmup else 1
    way = max(0, step - warmup) / max(1, total - warmup)
    return line * (1 + math.cos(math.pi * way)) / 2


wrong_value("training.first_loss", 6.49, "bits in place of nats")
wrong_value("training.first_loss", 1.95, "the logarithm to base ten")
wrong_value("training.first_loss", 0.01, "the probability itself")
wrong_value("training.first_loss", -4.50, "the minus is forgotten")
wrong_value("training.first_loss", 4.38, "80 classes in place of 90")
right_value("training.first_loss", 4.5)
right_value("training.first_loss", math.log(90))

# The valley's curvatures are not in the text: no right value.
wrong_value("training.largest_rate", 0.0, "without a step nothing runs away")
wrong_value("training.largest_rate", 0.01, "the smallest of the grid")
wrong_value("training.largest_rate", 0.1, "the stub's, unchanged")
wrong_value(
    "training.largest_rate", 1.0, "a rate of 1 taken for the limit of any valley"
)
wrong_value("training.largest_rate", 2.0, "2 over a curvature of 1, the flat direction")


@wrong("training.receptive_field", "a layer's own stride counts for itself already")
def field_1(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


@wrong("training.receptive_field", "strides are ignored")
def field_2(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@wrong("training.receptive_field", "strides are added, not multiplied")
def field_3(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump += stride - 1
    return size


@wrong("training.receptive_field", "adds the whole kernel, not kernel - 1")
def field_4(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        size += kernel * jump
        jump *= stride
    return size


@wrong("training.receptive_field", "the product of the kernels")
def field_5(layers):
    size = 1
    for kernel, _ in layers:
        size *= kernel
    return size


@wrong("training.receptive_field", "last layer first")
def field_6(layers):
    size, jump = 1, 1
    for kernel, stride in reversed(layers):
        size += (kernel - 1) * jump
        jump *= stride
    return size


@wrong("training.receptive_field", "only the stride of the layer just below counts")
def field_7(layers):
    size, before = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * before
        before = stride
    return size


@wrong("training.receptive_field", "starts at 0: one too few")
def field_8(layers):
    size, jump = 0, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size


@right("training.receptive_field")
def field_9(layers):
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size


@right("training.receptive_field")
def field_10(layers):
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


@right("training.receptive_field")
def field_11(layers):
    if not layers:
        return 1
    kernel, stride = layers[0]
    return (field_11(layers[1:]) - 1) * stride + kernel


@right("training.receptive_field")
def field_12(layers):
    left = right_end = 0
    for kernel, stride in layers[::-1]:
        left = left * stride
        right_end = right_end * stride + kernel - 1
    return right_end - left + 1


@wrong("training.clip_by_norm", "each tensor is clipped alone")
def clip_1(gradients, limit):
    return [g * min(1.0, limit / max(g.norm().item(), 1e-12)) for g in gradients]


@wrong("training.clip_by_norm", "each number is cut off: the direction turns")
def clip_2(gradients, limit):
    return [g.clamp(-limit, limit) for g in gradients]


@wrong("training.clip_by_norm", "short gradients are made longer")
def clip_3(gradients, limit):
    length = torch.cat([g.flatten() for g in gradients]).norm()
    if length == 0:
        return [g.clone() for g in gradients]
    return [g * (limit / length) for g in gradients]


@wrong("training.clip_by_norm", "divides by zero for zeros")
def clip_4(gradients, limit):
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    factor = min(1, limit / length)
    return [g * factor for g in gradients]


@wrong("training.clip_by_norm", "the lengths of the tensors are added")
def clip_5(gradients, limit):
    length = sum(g.norm() for g in gradients)
    if length <= limit:
        return [g.clone() for g in gradients]
    return [g * limit / length for g in gradients]


@wrong("training.clip_by_norm", "the root is forgotten")
def clip_6(gradients, limit):
    length = sum((g**2).sum() for g in gradients)
    if length <= limit:
        return [g.clone() for g in gradients]
    return [g * limit / length for g in gradients]


@wrong("training.clip_by_norm", "the largest number in place of the length")
def clip_7(gradients, limit):
    largest = max(g.abs().max() for g in gradients)
    if largest <= limit:
        return [g.clone() for g in gradients]
    return [g * limit / largest for g in gradients]


@wrong("training.clip_by_norm", "changes the given tensors and returns the same list")
def clip_8(gradients, limit):
    length = torch.cat([g.flatten() for g in gradients]).norm()
    if length > limit:
        for g in gradients:
            g.mul_(limit / length)
    return gradients


@right("training.clip_by_norm")
def clip_9(gradients, limit):
    length = torch.cat([g.flatten() for g in gradients]).norm()
    if length <= limit:
        return [g.clone() for g in gradients]
    return [g * (limit / length) for g in gradients]


@right("training.clip_by_norm")
def clip_10(gradients, limit):
    squares = 0.0
    for g in gradients:
        squares += (g.double() ** 2).sum().item()
    length = math.sqrt(squares)
    out = []
    for g in gradients:
        out.append(g / length * limit if length > limit else g.clone())
    return out


@right("training.clip_by_norm")
def clip_11(gradients, limit):
    lengths = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    return [g / max(1.0, (lengths.norm() / limit).item()) for g in gradients]


@right("training.clip_by_norm")
def clip_12(gradients, limit):
    sizes = [g.numel() for g in gradients]
    vector = torch.cat([g.reshape(-1) for g in gradients])
    length = vector.square().sum().sqrt()
    vector = torch.where(length > limit, vector * limit / length, vector)
    parts = vector.split(sizes)
    return [part.reshape(g.shape) for part, g in zip(parts, gradients, strict=True)]
