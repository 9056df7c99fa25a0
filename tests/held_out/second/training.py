"""Chapter 02: answers from the task texts."""

import math
from itertools import pairwise

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value


@wrong("training.training_step", "clears the gradient between backward and step")
def step_cleared(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss, logs


@wrong("training.training_step", "clears only after the step")
def step_cleared_late(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss, logs


@wrong("training.training_step", "returns the pair of after the step")
def step_again(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss_fn(model, batch)


@wrong("training.training_step", "returns only what is to be written down")
def step_logs(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return logs


@wrong("training.training_step", "goes backward twice, to be sure")
def step_double(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss, logs


@right("training.training_step")
def step_plain(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    loss, logs = loss_fn(model, batch)
    loss.backward()
    optimizer.step()
    return loss, logs


@right("training.training_step")
def step_forward_first(model, batch, loss_fn, optimizer):
    loss, logs = loss_fn(model, batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, logs


@right("training.training_step")
def step_pair(model, batch, loss_fn, optimizer):
    optimizer.zero_grad()
    pair = loss_fn(model, batch)
    pair[0].backward()
    optimizer.step()
    return pair


@wrong("training.warmup_cosine", "step W still belongs to the line")
def warmup_boundary(step, total, warmup):
    if step <= warmup and warmup > 0:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@wrong("training.warmup_cosine", "the last step is taken to be T - 1")
def warmup_last(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    part = min(1, (step - warmup) / (total - 1 - warmup))
    return 0.5 * (1 + math.cos(math.pi * part))


@wrong("training.warmup_cosine", "a quarter of the wave, from 1 to 0")
def warmup_quarter(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return math.cos(math.pi / 2 * (step - warmup) / (total - warmup))


@wrong("training.warmup_cosine", "the line times a cosine that runs from step 0")
def warmup_product(step, total, warmup):
    line = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return line * 0.5 * (1 + math.cos(math.pi * step / total))


@wrong("training.warmup_cosine", "the first step gets a rate of 0")
def warmup_zero(step, total, warmup):
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@right("training.warmup_cosine")
def warmup_plain(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@right("training.warmup_cosine")
def warmup_squared(step, total, warmup):
    s, left = step - warmup, total - warmup
    return 1 + (s + 1) / warmup if s < 0 else math.cos(math.pi / 2 * s / left) ** 2


@right("training.warmup_cosine")
def warmup_numpy(step, total, warmup):
    if step >= warmup:
        angle = np.pi * (step - warmup) / (total - warmup)
        return float((1 + np.cos(angle)) / 2)
    return float(np.linspace(1 / warmup, 1, warmup)[step])


wrong_value("training.first_loss", 6.49, "the logarithm to base 2")
wrong_value("training.first_loss", 4.38, "80 categories, not 90 numbers")
wrong_value("training.first_loss", -4.50, "the sign forgotten")
right_value("training.first_loss", 4.50)
right_value("training.first_loss", 4.4998)

wrong_value("training.largest_rate", 2.0, "as if the curvature were 1")
wrong_value("training.largest_rate", 0.01, "the first rate that does not run away")
wrong_value("training.largest_rate", 0.9, "the usual momentum")


@wrong("training.receptive_field", "a layer's own stride widens its own filter")
def field_own_stride(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


@wrong("training.receptive_field", "adds the strides up")
def field_summed(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump += stride - 1
    return field


@wrong("training.receptive_field", "only the stride of the layer before counts")
def field_previous(layers):
    if not layers:
        return 1
    field = layers[0][0]
    for (_, stride), (kernel, _) in pairwise(layers):
        field += (kernel - 1) * stride
    return field


@wrong("training.receptive_field", "every strided layer doubles")
def field_doubles(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        if stride > 1:
            jump *= 2
    return field


@wrong("training.receptive_field", "an empty list gives 0")
def field_empty(layers):
    if not layers:
        return 0
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@right("training.receptive_field")
def field_forward(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@right("training.receptive_field")
def field_backward(layers):
    wide = 1
    for kernel, stride in reversed(layers):
        wide = (wide - 1) * stride + kernel
    return wide


@right("training.receptive_field")
def field_recursive(layers):
    if len(layers) == 0:
        return 1
    (kernel, stride), *rest = layers
    return kernel + stride * (field_recursive(rest) - 1)


@wrong("training.clip_by_norm", "the lengths of the tensors added up")
def clip_sum_of_norms(gradients, limit):
    length = sum(float(g.norm()) for g in gradients)
    if length <= limit:
        return [g.clone() for g in gradients]
    return [g * limit / length for g in gradients]


@wrong("training.clip_by_norm", "each number cut for itself")
def clip_numbers(gradients, limit):
    return [g.clamp(-limit, limit) for g in gradients]


@wrong("training.clip_by_norm", "shortens the tensors that were given")
def clip_in_place(gradients, limit):
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    if length > limit:
        for g in gradients:
            g.mul_(limit / length)
    return gradients


@wrong("training.clip_by_norm", "the largest number taken for the length")
def clip_largest(gradients, limit):
    largest = max(float(g.abs().max()) for g in gradients)
    if largest <= limit:
        return [g.clone() for g in gradients]
    return [g * (limit / largest) for g in gradients]


@wrong("training.clip_by_norm", "compares the square of the length with the limit")
def clip_square(gradients, limit):
    square = sum(float((g * g).sum()) for g in gradients)
    if square <= limit:
        return [g.clone() for g in gradients]
    return [g * limit / math.sqrt(square) for g in gradients]


@right("training.clip_by_norm")
def clip_cat(gradients, limit):
    length = torch.cat([g.flatten() for g in gradients]).norm().item()
    factor = limit / length if length > limit else 1.0
    return [g * factor for g in gradients]


@right("training.clip_by_norm")
def clip_norm_of_norms(gradients, limit):
    norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    length = torch.linalg.vector_norm(norms)
    if length <= limit:
        return [g.clone() for g in gradients]
    return [g / length * limit for g in gradients]


@right("training.clip_by_norm")
def clip_loop(gradients, limit):
    square = 0.0
    for g in gradients:
        for number in g.flatten().tolist():
            square += number**2
    out = []
    for g in gradients:
        if square > limit**2:
            out.append(g.mul(limit / square**0.5))
        else:
            out.append(g.clone())
    return out
