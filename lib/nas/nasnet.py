"""NASNet: from a genotype to a cell to a network.

A genotype says what happens inside two cells. Here cells become a network: a stem,
three stacks of normal cells, and between the stacks a reduction cell that halves the
picture and doubles the filters. Each cell reads the two states before it. The released
NASNet-A networks are three rows of a table, `CONFIGS`. `NasnetLevels` stacks cells into
a detector's backbone.

Paper: Zoph, Vasudevan, Shlens, Le, arXiv 1707.07012; what it leaves out is as in the
networks its authors released. Chapter 05.
"""

import math
import re
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.basics import official, training
from lib.nas import search_space
from lib.nas.cells import (
    Cell,
    ConvNorm,
    Pool,
    SameConv,
)

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
        if self.stem not in ("cifar", "imagenet"):
            raise ValueError(f"stem is {self.stem!r}; it is 'cifar' or 'imagenet'")
        least = {"cells": 1, "filters": 2 if self.stem == "cifar" else 8}
        for field, low in least.items():
            if getattr(self, field) < low:
                value = getattr(self, field)
                raise ValueError(f"{field} is {value}; {self.stem} needs {low} or more")
        if not 0 < self.drop_path_keep <= 1:
            raise ValueError(f"drop_path_keep is {self.drop_path_keep}; not in (0, 1]")


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
    slots: list[Slot] = []

    def put(kind: str, filters: int, back: int = 1) -> None:
        previous = len(slots) - back
        slots.append(Slot(kind, filters, previous if previous >= 0 else None))

    if config.stem == "imagenet":
        put("reduction", config.filters // 4)
        put("reduction", config.filters // 2)
    for stack in range(3):
        filters = config.filters * 2**stack
        if stack:
            put("reduction", filters)
        skip = bool(stack) and config.skip_reduction_layer_input
        put("normal", filters, back=2 if skip else 1)
        for _ in range(config.cells - 1):
            put("normal", filters)
    return tuple(slots)


def path_keep(
    cell: int, cells: int, keep: float, progress: float | Tensor = 1.0
) -> float | Tensor:
    """Probability that a path of cell `cell`, counted from 0, of `cells` is kept.

    It falls with depth to `keep`, and with `progress`, the share of training done.
    """
    deep = 1 - (cell + 1) / cells * (1 - keep)  # Eq. 5.7
    return 1 - progress * (1 - deep)  # Eq. 5.8


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
            found = " x ".join(map(str, x.shape[-2:]))
            raise ValueError(
                f"auxiliary head: built for {self.side} x {self.side} pixels, got"
                f" {found}; set image_size to the side of the images"
            )
        x = F.relu(self.squeeze(F.avg_pool2d(F.relu(x), 5, 3)))
        return self.classifier(F.relu(self.norm(self.cover(x))).flatten(1))


class Network(nn.Module):
    """Stem, stack of cells, classifier: `forward(images B 3 H W) -> logits B K`.

    With an auxiliary head, training mode gives the pair (logits, auxiliary logits), as
    `loss_fn` expects; evaluation mode always gives the logits alone.
    """

    def __init__(
        self, genotype, config: Config, num_classes: int, auxiliary: bool = False
    ):
        super().__init__()
        if not isinstance(genotype, search_space.Genotype):
            raise ValueError(
                f"genotype is {genotype!r}; it must be a search_space.Genotype"
                " (search_space.from_text reads one)"
            )
        self.genotype, self.config, self.slots = genotype, config, plan(config)
        cifar = config.stem == "cifar"
        width = config.stem_filters or (3 * config.filters if cifar else 32)
        stem = nn.Conv2d(3, width, 3, 1 if cifar else 2, int(cifar), bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(width))
        size = config.image_size
        channels, sides = [width], [size if cifar else (size - 3) // 2 + 1]  # of states
        self.cells = nn.ModuleList()
        for i, (kind, filters, previous) in enumerate(self.slots):
            stride = 2 if kind == "reduction" else 1
            width = None if previous is None else channels[previous]
            between = self.slots[i if previous is None else previous : i]
            halve = any(slot.kind == "reduction" for slot in between)
            cell = getattr(genotype, kind)
            self.cells.append(Cell(cell, filters, channels[i], width, stride, halve))
            channels.append(self.cells[i].channels)
            sides.append(math.ceil(sides[i] / stride))
        self.auxiliary_state = len(self.slots) - config.cells - 1
        if auxiliary:  # on what the second reduction reads
            at = self.auxiliary_state
            self.aux = AuxiliaryHead(channels[at], sides[at], num_classes)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(channels[-1], num_classes)
        if config.drop_path_keep < 1:  # a buffer, so that checkpoints carry it
            self.register_buffer("progress", torch.ones(()))
        self.prepare()

    def prepare(self) -> None:
        """First weights, and what the configuration says about norms and pools."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = self.config.eps, self.config.momentum
            elif isinstance(module, Pool) and module.stride > 1:
                if self.config.average_counts_padding:
                    module.divisor = module.kernel**2
        # Pixel by pixel, not plane by plane: three quarters of the time on a CPU.
        self.to(memory_format=torch.channels_last)

    def set_progress(self, share: float) -> None:
        """Tell drop path which share of training is done, from 0 to 1, at each step.

        Without a call it acts as at the end of training.
        """
        if self.config.drop_path_keep < 1:
            self.progress.fill_(min(1.0, share))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        states, extra = [self.stem(images)], None
        dropping = self.training and self.config.drop_path_keep < 1
        total, last = len(self.slots), self.config.drop_path_keep
        for i, (slot, cell) in enumerate(zip(self.slots, self.cells, strict=True)):
            if self.training and i == self.auxiliary_state and hasattr(self, "aux"):
                extra = self.aux(states[i])
            previous = None if slot.previous is None else states[slot.previous]
            keep = path_keep(i, total, last, self.progress) if dropping else None
            states.append(cell(states[i], previous, keep))
            if i >= 2:
                states[i - 2] = None  # no later cell reads it: free its memory
        logits = self.classifier(self.dropout(F.relu(states[-1]).mean((2, 3))))
        return logits if extra is None else (logits, extra)


def network(
    genotype, *, num_classes: int = 10, auxiliary: bool = False, **fields
) -> Network:
    """A network from any `search_space.Genotype`; `fields` are those of `Config`.

    For example `network(genotype, stem="cifar", cells=2, filters=32)`. ValueError for
    a value out of range, or for images too small for the auxiliary head.
    """
    return Network(genotype, Config(**fields), num_classes, auxiliary)


def nasnet_a(
    name: str, *, num_classes: int | None = None, auxiliary: bool = False
) -> Network:
    """NASNet-A as released: "mobile", "large" or "cifar"; a row of `CONFIGS`.

    `num_classes` left out is 1000, or 10 for "cifar". The weights are random; see
    `load_official` for trained ones.
    """
    if name not in CONFIGS:
        raise ValueError(f"name is {name!r}; there is {', '.join(CONFIGS)}")
    classes = num_classes or (10 if name == "cifar" else 1000)
    return Network(search_space.NASNET_A, CONFIGS[name], classes, auxiliary)


def loss_fn(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict]:
    """For `training.fit`: cross-entropy, plus 0.4 times the auxiliary head's."""
    images, labels = batch
    outputs = model(training.normalise(images))
    logits, *extra = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = training.cross_entropy(logits.float(), labels)
    for second in extra:
        loss = loss + AUXILIARY_WEIGHT * training.cross_entropy(second.float(), labels)
    return loss, {"accuracy": (logits.argmax(1) == labels).float().mean()}


class NasnetLevels(nn.Module):
    """A backbone of cells: levels of stride 4, 8, 16, and so on, finest first.

    A 3x3 convolution halves the picture; then every level is a reduction cell and
    `repeats` normal ones, with F = `filters`, twice as many for each further level. A
    cell reads the two states before it, as in `Network`. `channels` are those of the
    levels.
    """

    def __init__(self, genotype, filters: int, repeats: int = 1, levels: int = 4):
        super().__init__()
        width = 3 * filters
        self.stem = nn.Sequential(SameConv(3, width, 3, 2), nn.BatchNorm2d(width))
        self.cells, self.taps = nn.ModuleList(), []
        # Channels of the states h_{i-1} and h_i; before the first cell is no h_{i-1}.
        previous, current = None, width
        for level in range(levels):
            for i in range(1 + repeats):
                kind = genotype.normal if i else genotype.reduction
                stride = 1 if i else 2
                # h_{i-1} is twice as large in the cell that follows a reduction.
                halve = i == 1 or (repeats == 0 and level > 0)
                cell = Cell(kind, filters * 2**level, current, previous, stride, halve)
                self.cells.append(cell)
                previous, current = current, cell.channels
            self.taps.append(len(self.cells) - 1)  # the last cell of its size
        self.channels = tuple(self.cells[i].channels for i in self.taps)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        # Pixel by pixel, not plane by plane: three quarters of the time on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        previous, current = None, self.stem(images)  # B 3F H/2 W/2
        levels = []
        for i, cell in enumerate(self.cells):
            # After the reduction cell of level l: B C_l H/2^l W/2^l.
            previous, current = current, cell(current, previous)
            if i in self.taps:
                levels.append(current)
        return levels


# Our names and those of the published files, outside and inside a cell.
_THEIRS = (
    (r"^stem\.0\.", "conv0.conv."),
    (r"^stem\.1\.", "conv0.bn."),
    (r"^classifier\.", "last_linear."),
    (r"\.current\.", ".conv_1x1."),
    (r"\.previous\.even\.", ".path_1.conv."),
    (r"\.previous\.odd\.", ".path_2.conv."),
    (r"\.previous\.joint_norm\.", ".final_path_bn."),
    (r"\.previous\.", ".conv_prev_1x1."),
    (r"\.(depth|point)wise_([12])\.", r".separable_\2.\1wise_conv2d."),
    (r"\.norm_([12])\.", r".bn_sep_\1."),
    (r"\.norm\.", ".bn."),
)


def official_names(model: Network) -> dict[str, str]:
    """The published name of each of our tensors, the auxiliary head apart."""
    cells = ["cell_stem_0", "cell_stem_1"]
    for stack in range(3):  # numbers jump to 6 and 12, even where N is 4
        cells += [f"reduction_cell_{stack - 1}"] if stack else []
        cells += [f"cell_{6 * stack + i}" for i in range(model.config.cells)]

    def branch(found: re.Match) -> str:
        block, side = divmod(int(found[1]), 2)
        return f".comb_iter_{block}_{'right' if side else 'left'}."

    names = {}
    for ours in model.state_dict():
        name = re.sub(r"^cells\.(\d+)", lambda found: cells[int(found[1])], ours)
        name = re.sub(r"\.operations\.(\d+)\.", branch, name)
        for pattern, theirs in _THEIRS:
            name = re.sub(pattern, theirs, name)
        names[ours] = name
    return {k: v for k, v in names.items() if k != "progress" and k[:4] != "aux."}


def load_official(model: Network, source: str | PathLike | dict) -> Network:
    """Published weights into `nasnet_a("large")` or `nasnet_a("mobile")`, in place.

    `source` is a file (.pth, .safetensors) or a state dict with the names of timm's
    nasnetalarge or pretrainedmodels' nasnetamobile. ValueError names the first key that
    does not fit, and nothing is loaded. Returns the model.
    """
    if model.genotype != search_space.NASNET_A or model.config.stem != "imagenet":
        raise ValueError(
            "model: official weights exist for nasnet_a('large') and ('mobile') only"
        )
    return official.load(model, source, official_names(model))
