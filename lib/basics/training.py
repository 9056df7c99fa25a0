"""Training: how a function y = f(x; theta) learns theta from examples. Chapter 02.

A convolution by hand, a loss, a step, a schedule, an average of weights, and `fit`, the
one loop of this course. A run can be killed at any moment: it goes on from its
checkpoint to the same bits. Schedule: Loshchilov and Hutter, arxiv.org/abs/1608.03983.
"""

import copy
import dataclasses
import math
import os
import random
import sys

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.utils.data import default_collate
from tqdm import auto, std

from lib.basics import modes
from lib.basics.checkpoints import ResumableRun, describe, load_weights, save_weights

__all__ = ["load_weights", "save_weights"]  # names of ours that live elsewhere


def normalise(images: UInt8[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Pixels 0..255 as float32 in [-1, 1]: the one preprocessing of this course."""
    return images.float() / 127.5 - 1


def convolve(
    image: Float[Tensor, "H W"], kernel: Float[Tensor, "k k"]
) -> Float[Tensor, "Ho Wo"]:
    """Slide a filter over one channel and add up what lies under it.

    No padding, step 1: (H, W) becomes (H - k + 1, W - k + 1). Made to be read;
    `torch.nn.functional.conv2d` gives the same numbers fast.
    """
    k, rows = kernel.shape[0], []
    for i in range(image.shape[0] - k + 1):
        patches = [image[i : i + k, j : j + k] for j in range(image.shape[1] - k + 1)]
        rows.append(torch.stack([(p * kernel).sum() for p in patches]))  # Eq. 2.1
    return torch.stack(rows)  # Ho Wo


def cross_entropy(
    logits: Float[Tensor, "B K"], labels: Int64[Tensor, " B"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean of -log softmax at the true class, in nats.

    `smoothing`: share of the target spread over all K (arxiv.org/abs/1512.00567).
    """
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)  # B K
    true = -log_p.gather(1, labels[:, None])[:, 0]  # B, Eq. 2.2
    return ((1 - smoothing) * true - smoothing * log_p.mean(dim=1)).mean()


def sgd_step(
    theta: Float[Tensor, "*n"],
    gradient: Float[Tensor, "*n"],
    velocity: Float[Tensor, "*n"],
    lr: float,
    momentum: float = 0.9,
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """One step of gradient descent with Nesterov momentum: new theta, new velocity."""
    velocity = momentum * velocity + gradient  # Eq. 2.3
    return theta - lr * (gradient + momentum * velocity), velocity


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Factor on the learning rate at a step counted from 0: up a line, down a cosine.

    The first of `warmup` steps gets 1 / warmup: 0 would waste it.
    """
    if not 0 <= warmup < total or not 0 <= step <= total:
        raise ValueError(
            "a schedule needs 0 <= warmup < total and 0 <= step <= total; got"
            f" {step=}, {total=}, {warmup=}"
        )
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))  # Eq. 2.4


class EMA:
    """An exponential moving average of a model's weights and buffers.

    `ema.model`, in eval mode, follows the model. The decay warms up as (1 + n) / (10 +
    n), which looks back over a ninth of the run so far: random first weights are soon
    forgotten. Counters (integers) are copied.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present state."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        now = model.state_dict()
        for name, mean in self.model.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(now[name], 1 - decay)  # Eq. 2.5
            else:
                mean.copy_(now[name])

    def state_dict(self) -> dict:
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]


# ----------------------------------------------------------- a small network, scored


def small_cnn(
    widths: tuple[int, ...] = (16, 32, 64), num_classes: int = 10, *, seed: int = 0
) -> nn.Sequential:
    """A plain network: for each width 3x3 convolution, batch norm, ReLU, then a head.

    A 2x2 maximum halves the picture between two widths; the head is a mean over it and
    one linear layer. `forward(B 3 H W) -> (B, num_classes)` logits.
    """
    layers, c_in = [], 3
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
        torch.manual_seed(seed)
        for i, c in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if i else []
            # No bias: the batch norm that follows would subtract it again.
            layers += [nn.Conv2d(c_in, c, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(c), nn.ReLU()]
            c_in = c
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, num_classes)]
    # Pixel by pixel in memory (channels last): 1.6 times faster on a CPU.
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def classification_loss(smoothing: float = 0.0):
    """A `loss_fn` for `fit` on batches of (uint8 images, labels): cross-entropy."""

    def loss_fn(model, batch):
        images, labels = batch
        logits = model(normalise(images)).float()
        loss = cross_entropy(logits, labels, smoothing)
        return loss, {"accuracy": (logits.argmax(1) == labels).float().mean()}

    loss_fn.settings = {"smoothing": smoothing}  # part of a checkpoint's fingerprint
    return loss_fn


@torch.no_grad()
def accuracy(
    model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 500
) -> float:
    """Share of right answers in [0, 1], in eval mode; each part's mode is put back."""
    device = next(model.parameters()).device
    right = 0
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    with modes.evaluation(model):
        for x, y in batches:
            answers = model(normalise(x.to(device))).argmax(1)
            right += (answers == y.to(device)).sum().item()
    return right / len(labels)


# ------------------------------------------------------------------------- the loop


@dataclasses.dataclass
class History:
    """One entry a step: loss, learning rate, and whatever `loss_fn` logged."""

    loss: list[float] = dataclasses.field(default_factory=list)
    lr: list[float] = dataclasses.field(default_factory=list)
    logs: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    resumed_at: int = 0  # the step at which a checkpoint was last taken up

    def add(self, loss: float, lr: float, logs: dict) -> dict[str, float]:
        """Append one step and return it as one flat dictionary."""
        logs = {name: float(value) for name, value in logs.items()}
        self.loss.append(loss)
        self.lr.append(lr)
        for name, value in logs.items():
            self.logs.setdefault(name, []).append(value)
        return {"loss": loss, "lr": lr} | logs

    def state_dict(self) -> dict:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict) -> None:
        vars(self).update(state)


class NonFiniteLoss(ArithmeticError):
    """The loss or a weight became NaN or infinite; the model is back at step `kept`."""

    def __init__(self, what: str, step: int, lr: float, loss: float, kept: int):
        super().__init__(
            f"{what} is not finite at step {step} (loss {loss}, learning rate {lr:.3g})"
            f". Model and checkpoint hold the last good state, of step {kept}. Try a"
            " smaller lr, a longer warmup, clip=1.0, or look at this step's batch"
        )
        self.step, self.lr, self.loss, self.kept = step, lr, loss, kept


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: weights, which decay, and norms and biases (1-D), which do not."""
    groups = [{"params": [], "weight_decay": d} for d in (weight_decay, 0.0)]
    for p in model.parameters():
        groups[p.ndim <= 1]["params"] += [p] if p.requires_grad else []
    return groups


def sgd(model: nn.Module, lr: float, weight_decay: float = 5e-4) -> torch.optim.SGD:
    """The optimizer that `fit` takes by itself: Nesterov momentum 0.9."""
    groups = parameter_groups(model, weight_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


def fit(
    model, dataset, loss_fn, *, epochs=None, steps=None, batch_size=128, lr=0.1,
    optimizer=None, warmup=0.1, clip=None, ema=None, augment=None,
    collate=default_collate, amp=True, checkpoint=None, every=50, on_step=None,
    progress=True, seed=0,
) -> History:  # fmt: skip
    """Train a model in place, warm-up then cosine; leave it in eval mode.

    `dataset`: a tuple of tensors in memory, or anything with `len` and `[i]`, whose
    samples `collate` turns into a batch. `loss_fn(model, batch) -> (loss, logs)`.
    `warmup`: share of the steps. `lr`: highest rate of `sgd`; an `optimizer` brings its
    own. `clip`: limit on the gradient's norm. `augment(batch, generator)` draws from
    that generator. `on_step(step, logs)` follows each update. `amp`: half precision on
    a GPU. With a `checkpoint` path the state is saved every `every` steps; a call with
    the same arguments goes on from there. Seed and epoch give the order of samples; an
    incomplete last batch is left out. Raises `NonFiniteLoss`, `ValueError`.
    """
    n = len(dataset[0] if isinstance(dataset, tuple) else dataset)
    size = min(batch_size, n)
    per_epoch = n // size if size > 0 else 0
    total = steps if epochs is None else epochs * per_epoch
    if per_epoch < 1 or (total or 0) < 1 or None not in (steps, epochs):
        raise ValueError(
            f"fit needs samples, and steps or epochs (one of them, at least 1); got {n}"
            f" samples, {batch_size=}, {steps=}, {epochs=}"
        )
    device, history = next(model.parameters()).device, History()
    optimizer = optimizer or sgd(model, lr)
    cuda = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=amp and cuda)
    settings = describe(model, dataset, loss_fn, optimizer, ema)
    settings |= dict(steps=total, batch=size, warmup=warmup, clip=clip, seed=seed)
    parts = {"model": model, "optimizer": optimizer, "scaler": scaler}
    parts |= {"history": history} | ({"ema": ema} if ema else {})
    model.train()
    with torch.random.fork_rng([device] * cuda), _bar(total, progress) as bar:
        torch.manual_seed(seed)  # forked: the caller's random numbers stay put
        run = ResumableRun(parts, checkpoint, settings)
        history.resumed_at = start = run.resume()
        bar.update(start)
        for step in range(start, total):
            epoch, i = divmod(step, per_epoch)
            if i == 0 or step == start:
                order = torch.randperm(n, generator=_generator(seed, epoch))
            fresh = run.state(step) if step % every == 0 and step > start else None
            batch = _batch(dataset, order[i * size : (i + 1) * size], collate)
            batch = augment(batch, _generator(seed, epoch, i)) if augment else batch
            rate = set_rate(optimizer, warmup_cosine(step, total, int(warmup * total)))
            with torch.autocast(device.type, torch.float16, amp and cuda):
                loss, logs = loss_fn(model, to_device(batch, device))
            _insist(run, fresh, step, rate, loss.item())
            update_weights(model, loss, optimizer, scaler, clip, ema)
            logs = history.add(loss.item(), rate, logs)
            bar.update()
            if on_step:
                on_step(step, logs)
        if start < total:
            _insist(run, run.state(total), total, rate, loss.item())
    model.eval()
    return history


def _insist(
    run: ResumableRun, fresh: dict | None, step: int, rate: float, loss: float
) -> None:
    """Keep a fresh state once the loss after it is finite; else go back and raise."""
    weights = fresh["model"] if fresh else {}
    broken = [k for k, v in weights.items() if not v.isfinite().all()]
    if math.isfinite(loss) and not broken:
        if fresh:
            run.keep(fresh)
        return
    run.load(run.good)
    run.parts["model"].eval()
    what = broken[0] if math.isfinite(loss) else "the loss"
    raise NonFiniteLoss(what, step, rate, loss, run.good["step"])


def update_weights(model, loss: Tensor, optimizer, scaler, clip, ema) -> None:
    """One step down the gradient. On a CPU the scaler passes everything through."""
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    if clip:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimizer)
    scaler.update()
    if ema:
        ema.update(model)


def set_rate(optimizer, factor: float) -> float:
    """Rate of each group: its initial one, times `factor`. Returns the first rate."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    return optimizer.param_groups[0]["lr"]


def _generator(*key: int) -> torch.Generator:
    """Random numbers that are a function of these integers and of nothing else."""
    bits = random.Random("/".join(map(str, key))).getrandbits(63)
    return torch.Generator().manual_seed(bits)


def _batch(dataset, indices: Tensor, collate):
    if isinstance(dataset, tuple):
        return tuple(t[indices.to(t.device)] for t in dataset)
    return collate([dataset[i] for i in indices.tolist()])


def to_device(batch, device: torch.device):
    """Move every tensor of a nested batch to the model's device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {k: to_device(v, device) for k, v in batch.items()}
    if isinstance(batch, tuple | list):
        moved = [to_device(v, device) for v in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch


def _bar(total: int, progress: bool):
    """A progress bar; plain text where nobody watches."""
    if os.environ.get("COURSE_STATIC") != "1":
        return auto.tqdm(total=total, disable=not progress, unit="step", leave=False)
    look = {"bar_format": "{n_fmt} of {total_fmt} steps", "mininterval": math.inf}
    return std.tqdm(total=total, disable=not progress, file=sys.stdout, **look)
