"""Training: how a function y = f(x; theta) learns theta from examples. Chapter 02.

A convolution by hand, a loss, a step, a schedule, an average of weights, and `fit`, the
one loop of this course, which asks `training_step` for each step. A run can be killed
at any moment: it goes on from its checkpoint to the same bits. Schedule: Loshchilov and
Hutter, arxiv.org/abs/1608.03983.
"""

import copy
import dataclasses
import math
import random

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.utils.data import default_collate

from lib.basics import arguments, checkpoints, loops, memory, modes
from lib.basics.checkpoints import NonFiniteLoss, load_weights, save_weights

__all__ = ["load_weights", "save_weights"]  # names of ours that live elsewhere


@arguments.named
def normalise(images: UInt8[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Pixels 0..255 as float32 in [-1, 1]: the one preprocessing of this course."""
    return images.float() / 127.5 - 1


@arguments.named
def convolve(
    image: Float[Tensor, "H W"],
    kernel: Float[Tensor, "k k"],
) -> Float[Tensor, "Ho Wo"]:
    """Slide a filter over one channel and add up what lies under it.

    No padding, step 1: (H, W) becomes (H - k + 1, W - k + 1). Made to be read;
    `torch.nn.functional.conv2d` gives the same numbers fast.

    >>> rising = torch.tensor([[1.0, 2.0, 4.0]])
    >>> convolve(rising.repeat(2, 1), torch.tensor([[-1.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 2.]])
    """
    k = kernel.shape[0]
    rows = []
    for i in range(image.shape[0] - k + 1):
        row = []
        for j in range(image.shape[1] - k + 1):
            patch = image[i : i + k, j : j + k]  # k k
            row.append((patch * kernel).sum())  # Eq. 2.1
        rows.append(torch.stack(row))  # Wo
    return torch.stack(rows)  # Ho Wo


@arguments.named
def cross_entropy(
    logits: Float[Tensor, "B K"],
    labels: Int64[Tensor, " B"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean of -log softmax at the true class, in nats.

    `smoothing`: share of the target spread over all K (arxiv.org/abs/1512.00567).

    >>> logits = torch.tensor([[1.0, 2.0, 5.0]]).log()  # probabilities 1/8, 2/8, 5/8
    >>> loss = cross_entropy(logits, torch.tensor([2]))
    >>> round(loss.exp().item(), 4)  # the surprise at 5/8 is ln 8/5
    1.6
    """
    log_sum = logits.logsumexp(dim=1, keepdim=True)  # B 1; safe for large logits
    log_p = logits - log_sum  # B K
    of_true = log_p.gather(1, labels[:, None])  # B 1
    surprise = -of_true[:, 0]  # B, Eq. 2.2
    spread = log_p.mean(dim=1)  # B: all classes alike
    losses = (1 - smoothing) * surprise - smoothing * spread  # B
    return losses.mean()


@arguments.named
def sgd_step(
    theta: Float[Tensor, "*n"],
    gradient: Float[Tensor, "*n"],
    velocity: Float[Tensor, "*n"],
    lr: float,
    momentum: float = 0.9,
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """One step of gradient descent with Nesterov momentum: new theta, new velocity.

    >>> theta, velocity = sgd_step(
    ...     torch.zeros(1), torch.tensor([-24.0]), torch.zeros(1), lr=0.01
    ... )
    >>> round(theta.item(), 3), velocity.item()  # 0.01 * (24 + 0.9 * 24)
    (0.456, -24.0)
    """
    velocity = momentum * velocity + gradient  # Eq. 2.3
    direction = gradient + momentum * velocity
    return theta - lr * direction, velocity


@arguments.named
def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Factor on the learning rate at a step counted from 0: up a line, down a cosine.

    The first of `warmup` steps gets 1 / warmup: 0 would waste it.

    >>> [warmup_cosine(step, total=10, warmup=2) for step in (0, 1, 2)]
    [0.5, 1.0, 1.0]
    >>> round(warmup_cosine(6, total=10, warmup=2), 12)  # half way: cos 90 degrees is 0
    0.5
    """
    _insist_on_a_step(step, total, warmup)
    if step < warmup:
        return (step + 1) / warmup
    angle = math.pi * (step - warmup) / (total - warmup)  # 0 to pi
    return 0.5 * (1 + math.cos(angle))  # Eq. 2.4


def _insist_on_a_step(step: int, total: int, warmup: int) -> None:
    """ValueError unless a schedule has this step."""
    if not 0 <= warmup < total or not 0 <= step <= total:
        raise ValueError(
            "a schedule needs 0 <= warmup < total and 0 <= step <= total; got"
            f" {step=}, {total=}, {warmup=}"
        )


class EMA:
    """An exponential moving average of a model's weights and buffers.

    `ema.model`, in eval mode, follows the model. The decay warms up as (1 + n) / (10 +
    n), which looks back over a ninth of the run so far: random first weights are soon
    forgotten. Counters (integers) are copied.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999):
        average = copy.deepcopy(model)
        average.requires_grad_(False)
        self.model = average.eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present state."""
        n = self.updates
        warm = (1 + n) / (10 + n)
        decay = min(self.decay, warm)
        self.updates += 1
        present = model.state_dict()
        for name, mean in self.model.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(present[name], 1 - decay)  # Eq. 2.5
            else:
                mean.copy_(present[name])

    def state_dict(self) -> dict:
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]


# ----------------------------------------------------------- a small network, scored


def small_cnn(
    widths: tuple[int, ...] = (16, 32, 64),
    num_classes: int = 10,
    *,
    seed: int = 0,
) -> nn.Sequential:
    """A plain network: for each width 3x3 convolution, batch norm, ReLU, then a head.

    A 2x2 maximum halves the picture between two widths; the head is a mean over it and
    one linear layer. `forward(B 3 H W) -> (B, num_classes)` logits.
    """
    widths = arguments.whole_numbers("widths", widths, least=1)
    num_classes = arguments.whole_number("num_classes", num_classes, 1, 10**6)
    seed = arguments.seed(seed)
    layers, channels = [], 3
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay put
        torch.manual_seed(seed)
        for i, width in enumerate(widths):
            if i > 0:
                layers.append(nn.MaxPool2d(2))
            # No bias: the batch norm that follows would subtract it again.
            layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
            layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            channels = width
        layers.append(nn.AdaptiveAvgPool2d(1))
        layers.append(nn.Flatten())
        layers.append(nn.Linear(channels, num_classes))
    return memory.channels_last(nn.Sequential(*layers))


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
    """Share of right answers in [0, 1], in eval mode; each part's mode is put back.

    ValueError for a label that none of the model's classes has.
    """
    arguments.instance("model", model, nn.Module)
    arguments.tensor("images", images, "...")
    arguments.tensor("labels", labels, "...")
    batch_size = arguments.whole_number("batch_size", batch_size, 1, 2**31)
    weight = next(model.parameters())
    right = 0
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    with modes.evaluation(model):
        for x, y in batches:
            logits = model(normalise(x.to(weight.device)).to(weight.dtype)).cpu()
            arguments.labels(y, logits.shape[1])
            right += (logits.argmax(1) == y.cpu()).sum().item()
    return right / len(labels)


# ------------------------------------------------------------------------- the loop


def training_step(model, batch, loss_fn, optimizer) -> tuple[Tensor, dict]:
    """One step down the gradient of a batch's loss: what `fit` does again and again.

    `loss_fn(model, batch) -> (loss, logs)`; both are given back. Gradients that were
    there before do not count.

    f(x) = w x, from w = 0, one example: x = 2, y = 6. The loss is (0 - 6)^2 = 36, its
    gradient 2 (0 - 6) 2 = -24, and a step of rate 0.01 goes to w = 0.24.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    >>> def squared(model, batch):
    ...     x, y = batch
    ...     return ((model(x) - y) ** 2).mean(), {}
    >>> example = torch.tensor([[2.0]]), torch.tensor([[6.0]])
    >>> loss, logs = training_step(model, example, squared, optimizer)
    >>> loss.item(), round(model.weight.item(), 6)
    (36.0, 0.24)
    """
    optimizer.zero_grad()  # else backward adds to the gradient of the step before
    loss, logs = loss_fn(model, batch)  # forward
    loss.backward()  # a gradient for each parameter
    optimizer.step()  # each parameter moves against its own
    told = loss.detach()  # a number to keep; the way to it is no longer needed
    return told, logs


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

    def check_state(self, state: dict, step: int) -> None:
        """ValueError unless these are lists of numbers, an entry a step."""
        for name, values in {"loss": state["loss"], "lr": state["lr"]}.items():
            if len(values) != step:
                raise ValueError(f"{len(values)} entries of {name} in {step} steps")
        for name, values in (state["logs"] | state).items():
            if isinstance(values, list) and {*map(type, values)} - {int, float}:
                raise ValueError(f"some {name} in the history is no number")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: weights, which decay, and norms and biases (1-D), which do not."""
    arguments.instance("model", model, nn.Module)
    weight_decay = arguments.real_number("weight_decay", weight_decay, least=0)
    decay = {"params": [], "weight_decay": weight_decay}
    no_decay = {"params": [], "weight_decay": 0.0}
    for parameter in model.parameters():
        if parameter.requires_grad:
            group = no_decay if parameter.ndim <= 1 else decay
            group["params"].append(parameter)
    return [decay, no_decay]


def sgd(model: nn.Module, lr: float, weight_decay: float = 5e-4) -> torch.optim.SGD:
    """The optimizer that `fit` takes by itself: Nesterov momentum 0.9."""
    lr = arguments.real_number("lr", lr, least=0)
    groups = parameter_groups(model, weight_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


class Batches:
    """The batch of every step, as a function of the seed and the step alone.

    So a run can go on at any step. Each epoch has its own order of the samples; an
    incomplete last batch is left out.
    """

    def __init__(self, dataset, batch_size: int, collate, seed: int):
        self.dataset, self.collate, self.seed = dataset, collate, seed
        self.samples = len(dataset[0] if isinstance(dataset, tuple) else dataset)
        self.size = min(batch_size, self.samples)
        self.per_epoch = self.samples // self.size if self.size > 0 else 0
        self.epoch, self.order = -1, None

    def at(self, step: int):
        """The batch of a step, from a tuple of tensors or from single samples."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            generator = generator_of(self.seed, epoch)
            self.order = torch.randperm(self.samples, generator=generator)
            self.epoch = epoch
        chosen = self.order[place * self.size : (place + 1) * self.size]
        if isinstance(self.dataset, tuple):
            return tuple(tensor[chosen.to(tensor.device)] for tensor in self.dataset)
        return self.collate([self.dataset[i] for i in chosen.tolist()])

    def augmented(self, step: int, augment=None):
        """The batch of a step, changed by `augment` and that step's random numbers."""
        batch = self.at(step)
        return augment(batch, self.chance(step)) if augment else batch

    def chance(self, step: int) -> torch.Generator:
        """Random numbers of a step, for whatever augments its batch."""
        epoch, place = divmod(step, self.per_epoch)
        return generator_of(self.seed, epoch, place)


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
    a GPU. With a `checkpoint` path the state is saved every `every` steps (0: at the
    end only); a call with the same arguments goes on from there. Seed and epoch give
    the order of samples. Raises `NonFiniteLoss`, `ValueError`.
    """
    seed = arguments.seed(seed)
    loops.check_settings(model, dataset, loss_fn, batch_size, warmup, clip, every)
    batches = Batches(dataset, batch_size, collate, seed)
    total = loops.steps_in_all(batches, batch_size, steps, epochs)
    device = next(model.parameters()).device
    half = bool(amp) and device.type == "cuda"
    optimizer = optimizer or sgd(model, lr)
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    history = History()
    warmup_steps = int(warmup * total)
    setup = checkpoints.describe(model, dataset, loss_fn, optimizer, ema)
    setup |= dict(steps=total, batch=batches.size, warmup=warmup, clip=clip, seed=seed)

    model.train()
    with loops.own_chance(seed, device), loops.bar(total, progress) as bar:
        run = _resumable(model, optimizer, scaler, history, ema, checkpoint, setup)
        start = run.resume(total)
        history.resumed_at = start
        bar.update(start)
        for step in range(start, total):
            # The state before a step is kept once the loss after it is finite.
            state_before = _state_if_due(run, step, start, every)
            batch = batches.augmented(step, augment)
            factor = warmup_cosine(step, total, warmup_steps)
            rate = set_rate(optimizer, factor)
            loss, logs = _step(model, batch, loss_fn, optimizer, scaler, clip)
            # A loss that is not finite has spoiled the weights: back to a good state.
            keep_if_finite(run, state_before, step, rate, loss)
            if ema:
                ema.update(model)
            logs = history.add(loss, rate, logs)
            bar.update()
            if on_step:
                on_step(step, logs)
        if start < total:
            last = run.state(total)
            keep_if_finite(run, last, total, rate, loss)
    model.eval()
    return history


def _resumable(model, optimizer, scaler, history, ema, path, settings: dict):
    """All that a step changes goes into a checkpoint, all that tells runs apart too."""
    parts = dict(model=model, optimizer=optimizer, scaler=scaler, history=history)
    if ema:
        parts["ema"] = ema
    return checkpoints.ResumableRun(parts, path, settings)


def _state_if_due(run, step: int, start: int, every: int) -> dict | None:
    """The state before every so many steps, but not the one just taken up."""
    due = every > 0 and step % every == 0 and step > start
    return run.state(step) if due else None


def _step(model, batch, loss_fn, optimizer, scaler, clip) -> tuple[float, dict]:
    """Loss and logs of one `training_step` on the model's device.

    It is looked up at each call, so that another function may stand in its place. Half
    precision and clipping happen inside the loss and the optimizer that it is given.
    """
    device = next(model.parameters()).device
    batch = memory.to_device(batch, device)
    half = scaler.is_enabled()
    if not half and not clip:
        loss, logs = training_step(model, batch, loss_fn, optimizer)
        return torch.as_tensor(loss).item(), logs  # a plain number will do
    unscaled = []

    def scaled(model, batch):
        with torch.autocast(device.type, torch.float16, half):
            loss, logs = loss_fn(model, batch)
        unscaled.append(loss)
        return scaler.scale(loss), logs

    careful = loops.Careful(model, optimizer, scaler, clip)
    _, logs = training_step(model, batch, scaled, careful)
    return unscaled[-1].item(), logs


def keep_if_finite(
    run, fresh: dict | None, step: int, rate: float, loss: float
) -> None:
    """Keep a fresh state once the loss after it is finite; else go back and raise."""
    tensors = fresh["model"] if fresh else {}
    broken = [name for name, t in tensors.items() if not t.isfinite().all()]
    if math.isfinite(loss) and not broken:
        if fresh:
            run.keep(fresh)
        return
    run.load(run.good)
    run.parts["model"].eval()
    what = broken[0] if math.isfinite(loss) else "the loss"
    raise NonFiniteLoss(what, step, rate, loss, run.good["step"])


def update_weights(model, loss: Tensor, optimizer, scaler, clip, ema) -> None:
    """One step down the gradient, from a loss that is known already."""
    careful = loops.Careful(model, optimizer, scaler, clip)
    careful.zero_grad()
    scaler.scale(loss).backward()
    careful.step()
    if ema:
        ema.update(model)


def set_rate(optimizer, factor: float) -> float:
    """Rate of each group: its initial one, times `factor`. Returns the first rate."""
    for group in optimizer.param_groups:
        initial = group.setdefault("initial_lr", group["lr"])
        group["lr"] = initial * float(factor)
    return optimizer.param_groups[0]["lr"]


def generator_of(*key: int) -> torch.Generator:
    """Random numbers that are a function of these integers and of nothing else."""
    text = "/".join(map(str, key))
    bits = random.Random(text).getrandbits(63)
    return torch.Generator().manual_seed(bits)
