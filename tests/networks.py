"""Random small networks of the operators that a file can hold, and what must agree.

`random_network` draws a stem, some blocks and a head as detectors and classifiers have
them. `agreement` asks four programs for the same thing: the model, its flat graph, the
ONNX file of floats, and the file with Q and DQ beside the fake-quantized graph; always
on a batch of another size than the example's, and on other values.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import lib  # noqa: F401  isort: skip  (threads)
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.compression import deployed, export, grids, qat

# What is promised. Floats: the largest difference over the largest value. Q and DQ: the
# root of the mean square of the difference over that of the results; a value in the
# middle between two steps may go either way, and moves what is computed from it.
FLOATS, ROUNDED = 1e-3, 0.05
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh, nn.Hardtanh,
    nn.Identity,
)  # fmt: skip


class Network(nn.Module):
    """A chain of steps; each is a function of a map and of modules of its own."""

    def __init__(self):
        super().__init__()
        self.steps: list[tuple[Callable, int, int]] = []
        self.parts = nn.ModuleList()
        self.says: list[str] = []  # for whoever reads a failure

    def add(self, says: str, function: Callable, *parts: nn.Module) -> None:
        """One more step; `parts` are handed to its function, after the map."""
        self.steps.append((function, len(self.parts), len(self.parts) + len(parts)))
        self.parts.extend(parts)
        self.says.append(says)

    def forward(self, x: Tensor):
        for function, begin, end in self.steps:
            x = function(x, *self.parts[begin:end])
        return x


def random_network(rng: random.Random, channels: int, size: tuple[int, int]) -> Network:
    """A network for pictures of so many channels and pixels, in evaluation mode."""
    torch.manual_seed(rng.randrange(2**31))
    network = Network()
    images = torch.randn(2, channels, *size)
    for i in range(rng.randint(3, 6)):
        block = stem if i == 0 else rng.choice(BLOCKS)
        before = len(network.steps)
        try:
            block(network, rng, images)
            network.eval()
            with torch.no_grad():
                shape = network(torch.randn(2, channels, *size)).shape
        except Retry:
            shape = None
        if shape is None or min(shape) < 1 or shape[1:].numel() > 20_000:
            del network.steps[before:], network.says[before:]
            continue
        images = torch.zeros(shape)
    rng.choice(HEADS)(network, rng, images)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


class Retry(Exception):
    """A block that does not fit a map."""


# ------------------------------------------------------------------------------- blocks


def stem(network, rng, x):
    """A layer that fits every picture: something has to be rounded."""
    layer = nn.Conv2d(x.shape[1], rng.randint(1, 8), 3, rng.choice((1, 2)), 1)
    network.add(f"{layer}", lambda x, layer: layer(x), layer)


def convolution(network, rng, x):
    """A convolution of any kind, perhaps a norm, perhaps an activation."""
    channels, kernel = x.shape[1], rng.choice((1, 3, 3, 5))
    dilation = rng.choice((1, 1, 1, 2))
    reach = dilation * (kernel - 1)
    padding = rng.randint(0, reach // 2)
    mode = rng.choice(("zeros", "zeros", "reflect", "replicate", "circular"))
    if min(x.shape[2:]) + 2 * padding <= reach or min(x.shape[2:]) <= padding:
        raise Retry
    groups = rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0])
    filters = groups * rng.randint(1, max(1, 8 // groups))
    if rng.random() < 0.15 and dilation == 1:
        padding = "same"
    stride = 1 if padding == "same" else rng.choice((1, 1, 2))
    layers = [
        nn.Conv2d(
            channels, filters, kernel, stride, padding, dilation, groups,
            bias=rng.random() < 0.7, padding_mode=mode,
        )
    ]  # fmt: skip
    if rng.random() < 0.5:
        layers.append(nn.BatchNorm2d(filters))
    layers.append(rng.choice(ACTIVATIONS)())
    network.add(f"{layers}", lambda x, layer: layer(x), nn.Sequential(*layers))


def in_place(network, rng, x):
    """Activations that write into what they read."""
    kind = rng.choice((F.relu_, F.hardtanh_, lambda x: x.clamp_(-0.5, 0.7)))
    network.add("in place", lambda x: kind(x * 1.5))


def pooling(network, rng, x):
    kernel, stride = rng.randint(2, 3), rng.randint(1, 3)
    padding, ceil = rng.randint(0, kernel // 2), rng.random() < 0.5
    if min(x.shape[2:]) < kernel:
        raise Retry
    if rng.random() < 0.5:
        pool = nn.MaxPool2d(kernel, stride, padding, 1, ceil_mode=ceil)
    else:
        counts = rng.random() < 0.5
        if counts and ceil:
            raise Retry  # refused by name: windows that hang over count pads
        pool = nn.AvgPool2d(kernel, stride, padding, ceil, counts)
    network.add(f"{pool}", lambda x, pool: pool(x), pool)


def padding(network, rng, x):
    """Uneven pads of each mode; a number, 0, or minus infinity before a maximum."""
    mode = rng.choice(("constant", "constant", "reflect", "replicate", "circular"))
    sides = [rng.randint(0, 2) for _ in range(4)]
    if mode != "constant":
        if min(x.shape[2:]) < 3:
            raise Retry
        network.add(f"pad {sides} {mode}", lambda x: F.pad(x, sides, mode))
        return
    value = rng.choice((0.0, 0.0, 0.3, -1.7))
    if rng.random() < 0.3:
        lowest = -float("inf")
        if min(x.shape[2:]) < 3:
            raise Retry
        network.add(
            f"pad {sides} and maximum",
            lambda x: F.max_pool2d(F.pad(x, sides, value=lowest), 3, 1, 0),
        )
        return
    network.add(f"pad {sides} of {value}", lambda x: F.pad(x, sides, value=value))


def resize(network, rng, x):
    height, width = x.shape[2:]
    how = rng.choice(
        (
            {"scale_factor": 2.0},
            {"scale_factor": rng.choice((1.3, 1.7, 0.6))},
            {"size": (rng.randint(1, 2 * height), rng.randint(1, 2 * width))},
        )
    )
    if "scale_factor" in how and int(min(height, width) * how["scale_factor"]) < 1:
        raise Retry
    network.add(f"resize {how}", lambda x: F.interpolate(x, **how))


def gate(network, rng, x):
    """Squeeze-excite: a number for each channel, from the mean of all pixels."""
    channels, keep = x.shape[1], rng.random() < 0.5
    squeeze = nn.Conv2d(channels, 2, 1)
    excite = nn.Conv2d(2, channels, 1)
    curve = rng.choice((F.relu, F.silu))

    def function(x, squeeze, excite):
        if keep:
            mean = x.mean((2, 3), keepdim=True)
        else:
            mean = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(excite(curve(squeeze(mean))))

    network.add("gate", function, squeeze, excite)


def residual(network, rng, x):
    """A branch that is added, subtracted, multiplied or stands beside."""
    channels = x.shape[1]
    how = rng.choice(("add", "sub", "mul", "cat", "weighted"))
    branch = nn.Sequential(nn.Conv2d(channels, channels, 1), rng.choice(ACTIVATIONS)())
    weights = [rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)]
    functions = {
        "add": lambda x, branch: F.relu(x + branch(x)),
        "sub": lambda x, branch: x - branch(x),
        "mul": lambda x, branch: x * branch(x),
        "cat": lambda x, branch: torch.cat([branch(x), x], 1),
        "weighted": lambda x, branch: (weights[0] * x + weights[1] * branch(x)) / 1.3,
    }
    network.add(how, functions[how], branch)


def shuffle(network, rng, x):
    """ShuffleNet's: channels of groups in turns."""
    groups = rng.choice([g for g in (1, 2, 3, 4) if x.shape[1] % g == 0])

    def function(x):
        x_ = x.view(x.size(0), groups, -1, x.size(2), x.size(3))
        return x_.transpose(1, 2).contiguous().view(x.shape)

    network.add(f"shuffle {groups}", function)


def cut(network, rng, x):
    """Slices of channels and pixels, and parts of channels put together anew."""
    if x.shape[1] < 2 or min(x.shape[2:]) < 3:
        raise Retry
    half = x.shape[1] // 2
    functions = (
        lambda x: x[:, :, ::2, 1:],
        lambda x: torch.cat([x[:, half:], x[:, :half]], 1),
        lambda x: x[:, :half] + 0.5,
        lambda x: x[:, :, :-1, -2:],
    )
    network.add("cut", rng.choice(functions))


BLOCKS = (
    convolution, convolution, convolution, in_place, pooling, padding, resize, gate,
    residual, residual, shuffle, cut,
)  # fmt: skip


# -------------------------------------------------------------------------------- heads


def ssd_head(network, rng, x):
    """Boxes of all places in one list: permute, contiguous, view; level after level."""
    channels, numbers = x.shape[1], rng.choice((2, 4))
    first = nn.Conv2d(channels, 2 * numbers, 3, padding=1)
    second = nn.Conv2d(channels, 2 * numbers, 3, 2, padding=1)

    def function(x, first, second):
        levels = []
        for layer in (first, second):
            y = layer(x).permute(0, 2, 3, 1).contiguous()
            levels.append(y.view(y.size(0), -1, numbers))
        return torch.cat(levels, 1)

    network.add("SSD", function, first, second)


def retina_head(network, rng, x):
    """Two towers that share their input, each a list of levels."""
    channels, classes = x.shape[1], rng.randint(1, 4)
    towers = [
        nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, n, 1)
        )
        for n in (classes, 4)
    ]

    def function(x, *towers):
        levels = [x, F.max_pool2d(x, 3, 2, 1)]
        outputs = []
        for tower, n in zip(towers, (classes, 4), strict=True):
            maps = [tower(level).permute(0, 2, 3, 1) for level in levels]
            outputs.append([y.reshape(y.shape[0], -1, n) for y in maps])
        return tuple(outputs)

    network.add("RetinaNet", function, *towers)


def yolo_head(network, rng, x):
    """Anchors and their numbers apart: view, then permute five axes."""
    anchors, numbers = rng.randint(1, 3), rng.randint(5, 7)
    layer = nn.Conv2d(x.shape[1], anchors * numbers, 1)

    def function(x, layer):
        y = layer(x)
        batch, _, height, width = y.shape
        y = y.view(batch, anchors, numbers, height, width)
        return y.permute(0, 1, 3, 4, 2).contiguous().sigmoid()

    network.add("YOLO", function, layer)


def classifier(network, rng, x):
    """The mean of all pixels, or all of them, then a linear layer."""
    way = rng.choice(("mean", "view", "flatten", "pool"))
    channels = x.shape[1] if way in ("mean", "pool") else x.shape[1:].numel()
    layer = nn.Linear(channels, rng.randint(1, 5), bias=rng.random() < 0.7)
    ways = {
        "mean": lambda x, layer: layer(x.mean((2, 3))),
        "view": lambda x, layer: layer(x.view(x.size(0), -1)),
        "flatten": lambda x, layer: layer(x.flatten(1)),
        "pool": lambda x, layer: layer(F.adaptive_avg_pool2d(x, 1).view(-1, channels)),
    }
    network.add("contiguous", lambda x: x.contiguous())
    network.add(f"classifier, {way}", ways[way], layer)


def named_maps(network, rng, x):
    """A dictionary; one of its maps with the batch last."""
    network.add(
        "dictionary", lambda x: {"a": x, "b": F.relu(x - 0.1).permute(1, 2, 3, 0)}
    )


HEADS = ssd_head, retina_head, yolo_head, classifier, named_maps


# ---------------------------------------------------------------------------- agreement


@torch.no_grad()
def agreement(rng: random.Random) -> str:
    """Draw a network and insist that all four agree; "agrees", or "refused: why".

    AssertionError says what differs, and which network it was.
    """
    channels = rng.randint(1, 4)
    size = rng.randint(5, 14), rng.randint(5, 14)
    network = random_network(rng, channels, size)
    noise = torch.Generator().manual_seed(rng.randrange(2**31))
    example = torch.randn(rng.randint(1, 3), channels, *size, generator=noise)
    images = torch.randn(5, channels, *size, generator=noise) * rng.uniform(0.5, 2)
    wanted = deployed.leaves(network(images))
    about = f"{channels} x {size}, {'; '.join(network.says)}"

    def insist(what, results, reference, bound, distance):
        for i, pair in enumerate(zip(reference, results, strict=True)):
            assert pair[0].shape == pair[1].shape, f"{what}, output {i}: shape; {about}"
            far = distance(*pair)
            assert far <= bound, f"{what}, output {i}: {far:.3g} > {bound}; {about}"

    def largest(wanted, found):
        return deployed.farthest(wanted, found)

    with tempfile.TemporaryDirectory() as folder:
        try:
            graph = deployed.deployed(network, example)
            floats = export.to_onnx(graph, example, Path(folder) / "floats.onnx")
            fake = qat.calibrate(qat.prepare(graph), images).eval()
            grids.settle(fake)
            rounded = export.to_qdq_onnx(fake, example, Path(folder) / "int8.onnx")
        except ValueError as error:
            return f"refused: {error}"
        insist("graph", deployed.leaves(graph(images)), wanted, FLOATS, largest)
        found = deployed.leaves(export.Network(floats)(images))
        insist("file of floats", found, wanted, FLOATS, largest)
        wanted = deployed.leaves(fake(images))
        found = deployed.leaves(export.Network(rounded)(images))
        insist("file with Q and DQ", found, wanted, ROUNDED, relative)
    return "agrees"


def relative(wanted: Tensor, found: Tensor) -> float:
    """Root of the mean square of the difference, over that of what is wanted."""
    size = wanted.square().mean().sqrt()
    return float((wanted - found).square().mean().sqrt() / (size + 1e-6))
