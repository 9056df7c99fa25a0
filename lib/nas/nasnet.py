"""NASNet: from a genotype to a cell to a network.

A genotype says what happens inside two cells. Here cells become a network: a stem,
three stacks of normal cells, and between the stacks a reduction cell that halves the
picture and doubles the filters. Each cell reads the two states before it. The released
NASNet-A networks are three rows of a table, `CONFIGS`. `NasnetLevels` stacks cells into
a detector's backbone.

Paper: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012; what it leaves out is as in the
networks its authors released. Chapter 05.
"""

import dataclasses
import math
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.basics import arguments, memory, official, training
from lib.nas import released, search_space
from lib.nas.cells import (
    ConvNorm,
    NASNetCell,
    Pool,
    SameConv,
)

MOST = {"cells": 1000, "filters": 10**5}  # more is a slip of the keyboard
AUXILIARY_WEIGHT = 0.4  # of the auxiliary head's loss, beside the main one


@dataclass(frozen=True)
class Config:
    """How cells become a network; the defaults make the paper's search child.

    `filters` is F of the first stack. The second stack has 2F, the third 4F; a cell
    that concatenates six states ends with 24F channels.
    """

    stem: str = "cifar"  # or "imagenet": stride 2, then two reduction cells
    cells: int = 2  # N, normal cells in each of the three stacks
    filters: int = 32  # F
    stem_filters: int | None = None  # None: 3F for cifar, 32 for imagenet
    image_size: int = 32  # only the auxiliary head depends on it
    skip_reduction_layer_input: bool = False  # see `plan`
    drop_path_keep: float = 1.0  # of the last cell, at the end of training
    dropout: float = 0.0
    eps: float = 1e-5  # of the batch norms, as the next one
    momentum: float = 0.1
    average_counts_padding: bool = False  # in strided averages, as timm's port does

    def __post_init__(self):
        arguments.one_of("stem", self.stem, ("cifar", "imagenet"))
        least = {"cells": 1, "filters": 2 if self.stem == "cifar" else 8}
        for field, low in least.items():
            value = getattr(self, field)
            if arguments.whole_number(field, value, most=MOST[field]) < low:
                raise ValueError(f"{field} is {value}; {self.stem} needs {low} or more")
        if self.stem_filters is not None:
            arguments.whole_number("stem_filters", self.stem_filters, 1, 10**5)
        arguments.whole_number("image_size", self.image_size, 1, 10**5)
        arguments.real_number("drop_path_keep", self.drop_path_keep, above=0, most=1)
        arguments.real_number("dropout", self.dropout, least=0, below=1)
        arguments.real_number("eps", self.eps, least=0)
        arguments.real_number("momentum", self.momentum, least=0, most=1)
        for field in ("skip_reduction_layer_input", "average_counts_padding"):
            arguments.flag(field, getattr(self, field))


# Named in the paper by N @ channels before the classifier: 6 @ 768, 4 @ 1056, 6 @ 4032.
# TensorFlow's batch-norm decay d is PyTorch's momentum 1 - d.
CONFIGS = {
    "cifar": Config(
        "cifar", cells=6, filters=32, stem_filters=96, image_size=32,
        drop_path_keep=0.6,
    ),
    "mobile": Config(
        "imagenet", cells=4, filters=44, stem_filters=32, image_size=224,
        dropout=0.5, eps=1e-3, momentum=3e-4,
    ),
    "large": Config(
        "imagenet", cells=6, filters=168, stem_filters=96, image_size=331,
        skip_reduction_layer_input=True, drop_path_keep=0.7, dropout=0.5,
        eps=1e-3, momentum=3e-4, average_counts_padding=True,
    ),
}  # fmt: skip


class Slot(NamedTuple):
    """A cell's place in the stack: slot i reads state i and writes state i + 1.

    State 0 is the stem's output; `previous` is the state that serves as h_{i-1}.
    """

    kind: str  # "normal" or "reduction"
    filters: int
    previous: int | None  # None: there is no state before


def plan(config: Config) -> tuple[Slot, ...]:
    """The stack of cells: N normal, reduction, N normal, reduction, N normal.

    The ImageNet stem puts reduction cells with F/4 and F/2 filters in front. With
    `skip_reduction_layer_input`, the cell after a reduction takes as h_{i-1} what the
    reduction itself took, not the state just before the reduction.
    """
    arguments.instance("config", config, Config)
    slots: list[Slot] = []

    def put(kind: str, filters: int, back: int = 1) -> None:
        previous: int | None = len(slots) - back  # slot i would read states i and i - 1
        if previous < 0:
            previous = None
        slots.append(Slot(kind, filters, previous))

    if config.stem == "imagenet":
        put("reduction", config.filters // 4)
        put("reduction", config.filters // 2)
    for stack in range(3):
        filters = config.filters * 2**stack
        back = 1
        if stack > 0:
            put("reduction", filters)
            back = 2 if config.skip_reduction_layer_input else 1
        put("normal", filters, back)
        for _ in range(config.cells - 1):
            put("normal", filters)
    return tuple(slots)


def path_keep(
    cell: int, cells: int, keep: float, progress: float | Tensor = 1.0
) -> float | Tensor:
    """Probability that a path of cell `cell`, counted from 0, of `cells` is kept.

    It falls with depth to `keep`, and with `progress`, the share of training done.

    The third of four cells, a last one of 0.6, at half time: 1 - 0.5 * 3/4 * 0.4.

    >>> round(path_keep(2, 4, keep=0.6, progress=0.5), 6)
    0.85
    """
    arguments.whole_number("cells", cells, least=1)
    arguments.whole_number("cell", cell, 0, cells - 1)
    arguments.real_number("keep", keep, above=0, most=1)
    if not isinstance(progress, Tensor):
        arguments.real_number("progress", progress, least=0, most=1)
    depth = (cell + 1) / cells
    at_the_end = 1 - depth * (1 - keep)  # Eq. 5.7
    dropped = 1 - at_the_end
    return 1 - progress * dropped  # Eq. 5.8


class AuxiliaryHead(nn.Module):
    """A second classifier two thirds up the stack, for training only.

    `side` is the side of its input, which its last convolution covers entirely.
    """

    def __init__(self, channels: int, side: int, num_classes: int):
        super().__init__()
        if side < 5:
            raise ValueError(
                f"auxiliary: its pool needs 5 x 5 pixels and gets {side} x {side};"
                " take a larger image_size, or auxiliary=False"
            )
        self.side = side
        self.squeeze = ConvNorm(channels, 128)
        self.cover = nn.Conv2d(128, 768, (side - 5) // 3 + 1, bias=False)
        self.norm = nn.BatchNorm2d(768)
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.side, self.side):
            height, width = x.shape[-2:]
            raise ValueError(
                f"auxiliary head: built for {self.side} x {self.side} pixels, got"
                f" {height} x {width}; set image_size to the side of the images"
            )
        x = F.avg_pool2d(F.relu(x), 5, 3)  # B C S S
        x = F.relu(self.squeeze(x))  # B 128 S S
        x = F.relu(self.norm(self.cover(x)))  # B 768 1 1
        return self.classifier(x.flatten(1))  # B K


class NASNet(nn.Module):
    """Stem, stack of cells, classifier: `forward(images B 3 H W) -> logits B K`.

    With an auxiliary head, training mode gives the pair (logits, auxiliary logits), as
    `loss_fn` expects; evaluation mode always gives the logits alone.
    """

    def __init__(
        self, genotype, config: Config, num_classes: int, auxiliary: bool = False
    ):
        super().__init__()
        hint = "search_space.from_text reads one"
        arguments.instance("genotype", genotype, search_space.Genotype, hint)
        arguments.instance("config", config, Config)
        arguments.whole_number("num_classes", num_classes, 1, 10**6)
        arguments.flag("auxiliary", auxiliary)
        self.genotype, self.config, self.slots = genotype, config, plan(config)
        width, side = self._make_stem()
        channels, sides = [width], [side]  # of each state

        self.cells = nn.ModuleList()
        for i, slot in enumerate(self.slots):
            stride = 2 if slot.kind == "reduction" else 1
            width = None if slot.previous is None else channels[slot.previous]
            cell = NASNetCell(
                getattr(genotype, slot.kind), slot.filters, channels[i], width, stride,
                halve_previous=self._halves_between(i),
            )  # fmt: skip
            self.cells.append(cell)
            channels.append(cell.channels)
            sides.append(math.ceil(sides[i] / stride))

        self.auxiliary_state = len(self.slots) - config.cells - 1
        if auxiliary:  # on what the second reduction reads
            at = self.auxiliary_state
            self.aux = AuxiliaryHead(channels[at], sides[at], num_classes)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(channels[-1], num_classes)
        if config.drop_path_keep < 1:  # a buffer, so that checkpoints carry it
            self.register_buffer("progress", torch.ones(()))
        prepare(self, config)

    def _make_stem(self) -> tuple[int, int]:
        """The first convolution; returns the channels and the side of its output."""
        config, size = self.config, self.config.image_size
        cifar = config.stem == "cifar"
        width = config.stem_filters or (3 * config.filters if cifar else 32)
        stride, padding = (1, 1) if cifar else (2, 0)
        conv = nn.Conv2d(3, width, 3, stride, padding, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(width))
        return width, size if cifar else (size - 3) // 2 + 1

    def _halves_between(self, i: int) -> bool:
        """True if slot i's h_{i-1} is twice as large as its h_i."""
        previous = self.slots[i].previous
        between = self.slots[i if previous is None else previous : i]
        return any(slot.kind == "reduction" for slot in between)

    def set_progress(self, share: float) -> None:
        """Tell drop path which share of training is done, from 0 to 1, at each step.

        Without a call it acts as at the end of training.
        """
        share = arguments.real_number("share", share, least=0)
        if self.config.drop_path_keep < 1:
            self.progress.fill_(min(1.0, share))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        states: list[Tensor | None] = [self.stem(images)]  # B C H W
        auxiliary = None
        dropping = self.training and self.config.drop_path_keep < 1
        total, last = len(self.slots), self.config.drop_path_keep
        for i, (slot, cell) in enumerate(zip(self.slots, self.cells, strict=True)):
            if self.training and i == self.auxiliary_state and hasattr(self, "aux"):
                auxiliary = self.aux(states[i])  # B K
            previous = None if slot.previous is None else states[slot.previous]
            keep = path_keep(i, total, last, self.progress) if dropping else None
            states.append(cell(states[i], previous, keep))  # half the sides at times
            if i >= 2:
                states[i - 2] = None  # no later cell reads it: free its memory
        features = F.relu(states[-1]).mean((2, 3))  # B C
        logits = self.classifier(self.dropout(features))  # B K
        return logits if auxiliary is None else (logits, auxiliary)


def prepare(module: nn.Module, config: Config) -> None:
    """First weights, and what the configuration says about norms and pools."""
    arguments.instance("module", module, nn.Module)
    arguments.instance("config", config, Config)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        elif isinstance(part, nn.BatchNorm2d):
            part.eps, part.momentum = config.eps, config.momentum
        elif isinstance(part, Pool) and part.stride > 1:
            if config.average_counts_padding:
                part.divisor = part.kernel**2
    memory.channels_last(module)


def network(
    genotype, *, num_classes: int = 10, auxiliary: bool = False, **fields
) -> NASNet:
    """A network from any `search_space.Genotype`; `fields` are those of `Config`.

    For example `network(genotype, stem="cifar", cells=2, filters=32)`. ValueError for
    a value out of range, or for images too small for the auxiliary head.
    """
    known = {field.name for field in dataclasses.fields(Config)}
    for name in fields:
        arguments.one_of("a field of Config", name, sorted(known))
    return NASNet(genotype, Config(**fields), num_classes, auxiliary)


def nasnet_a(
    name: str, *, num_classes: int | None = None, auxiliary: bool = False
) -> NASNet:
    """NASNet-A as released: "mobile", "large" or "cifar"; a row of `CONFIGS`.

    `num_classes` left out is 1000, or 10 for "cifar". The weights are random; see
    `load_official` for trained ones.
    """
    if not isinstance(name, str) or name not in CONFIGS:
        raise ValueError(f"name is {name!r}; there is {', '.join(CONFIGS)}")
    if num_classes is None:
        num_classes = 10 if name == "cifar" else 1000
    return NASNet(search_space.NASNET_A, CONFIGS[name], num_classes, auxiliary)


def loss_fn(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict]:
    """For `training.fit`: cross-entropy, plus 0.4 times the auxiliary head's."""
    arguments.function("model", model, "model(images) -> logits")
    images, labels = arguments.labelled("batch", batch)
    outputs = model(training.normalise(images))  # B K, or a pair of them
    logits, *extra = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = training.cross_entropy(logits.float(), labels)
    for second in extra:
        loss = loss + AUXILIARY_WEIGHT * training.cross_entropy(second.float(), labels)
    return loss, {"accuracy": (logits.argmax(1) == labels).float().mean()}


class NasnetLevels(nn.Module):
    """A backbone of cells: levels of stride 4, 8, 16, and so on, finest first.

    A 3x3 convolution halves the picture; then every level is a reduction cell and
    `repeats` normal ones, with F = `filters`, twice as many for each further level. A
    cell reads the two states before it, as in `NASNet`. `channels` are those of the
    levels.
    """

    def __init__(self, genotype, filters: int, repeats: int = 1, levels: int = 4):
        super().__init__()
        hint = "search_space.from_text reads one"
        arguments.instance("genotype", genotype, search_space.Genotype, hint)
        arguments.whole_number("filters", filters, 2, MOST["filters"])
        arguments.whole_number("repeats", repeats, 0, MOST["cells"])
        arguments.whole_number("levels", levels, 1, 10)
        width = 3 * filters
        conv = SameConv(3, width, 3, 2)
        norm = nn.BatchNorm2d(width)
        self.stem = nn.Sequential(conv, norm)
        self.cells = nn.ModuleList()
        self.taps: list[int] = []  # the last cell of each level
        # Channels of the states h_{i-1} and h_i; before the first cell is no h_{i-1}.
        previous = None
        current = width
        channels = []
        for level in range(levels):
            wide = filters * 2**level
            for i in range(1 + repeats):
                kind = genotype.normal if i else genotype.reduction
                stride = 1 if i else 2
                # h_{i-1} is twice as large in the cell that follows a reduction.
                halve = i == 1 or (repeats == 0 and level > 0)
                cell = NASNetCell(kind, wide, current, previous, stride, halve)
                self.cells.append(cell)
                previous = current
                current = cell.channels
            self.taps.append(len(self.cells) - 1)
            channels.append(current)
        self.channels = tuple(channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        memory.channels_last(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        current = self.stem(images)  # B 3F H/2 W/2
        previous = None
        levels = []
        for i, cell in enumerate(self.cells):
            # After the reduction cell of level l: B C_l H/2^l W/2^l.
            state = cell(current, previous)
            previous = current
            current = state
            if i in self.taps:
                levels.append(current)
        return levels


def official_names(model: NASNet) -> dict[str, str]:
    """The published name of each of our tensors, the auxiliary head apart."""
    arguments.instance("model", model, NASNet)
    return released.names(model.state_dict(), model.config.cells)


def load_official(model: NASNet, source: str | PathLike | dict) -> NASNet:
    """Published weights into `nasnet_a("large")` or `nasnet_a("mobile")`, in place.

    `source` is a file (.pth, .safetensors) or a state dict with the names of timm's
    nasnetalarge or pretrainedmodels' nasnetamobile. ValueError names the first key that
    does not fit, and nothing is loaded. Returns the model.
    """
    arguments.instance("model", model, NASNet)
    if model.genotype != search_space.NASNET_A or model.config.stem != "imagenet":
        raise ValueError(
            "model: official weights exist for nasnet_a('large') and ('mobile') only"
        )
    return official.load(model, source, official_names(model))
