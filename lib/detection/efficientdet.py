"""EfficientDet: backbone, BiFPN, two heads, and one number that scales all of it.

A head is a short stack of convolutions that runs over every level with the same
filters; only the batch norms know on which level they are. One head gives the logits of
K classes for each anchor, the other one four codes that move the anchor onto an object.
D0 to D7x are rows of a table, `CONFIGS`; `from_phi` is the rule that the paper prints.
A detector takes any backbone that gives levels, as `nasnet.NasnetLevels` does of cells.

Paper: Tan, Pang, Le, arXiv 1911.09070; details as in the networks its authors released.
Chapter 13.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike

from torch import Tensor, nn

from lib.basics import arguments, memory, official
from lib.detection import bifpn, efficientnet
from lib.detection.anchors import AnchorConfig
from lib.detection.categories import COCO, Category, listed

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and spread of a channel
PRIOR = 0.01  # what an untrained detector says about every class at every anchor


@dataclass(frozen=True)
class Config:
    """A detector as values; the defaults are D0.

    `conv(channels, filters)` and `activation` make the convolutions of BiFPN and heads,
    `topology` and `fusion` are BiFPN's. `backbone` is a row of `efficientnet.CONFIGS`;
    only `efficientdet` reads it. Pixels in [0, 1] become (pixel - mean) / std.
    `categories` says what each output means (None: nothing); () if nobody knows.
    """

    image_size: tuple[int, int] = (512, 512)  # height, width; what it was trained at
    backbone: str = "b0"
    width: int = 64  # channels of BiFPN and heads
    cells: int = 3  # BiFPN layers
    repeats: int = 3  # convolutions of a head, before the one that predicts
    num_classes: int = 90
    anchors: AnchorConfig = AnchorConfig()  # holds the first and the last level, too
    topology: str | Callable[[int], bifpn.Topology] = "bifpn"
    fusion: Callable[..., nn.Module] = bifpn.FastFusion
    conv: Callable[[int, int], nn.Module] = bifpn.SeparableConv
    activation: Callable[..., nn.Module] = nn.SiLU
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    categories: tuple[Category | None, ...] = ()

    def __post_init__(self):
        for field in ("width", "cells", "repeats", "num_classes"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; 1 or more")
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"image_size is {self.image_size}; give (height, width)")
        if self.categories and len(self.categories) != self.num_classes:
            told = listed(self.categories)
            raise ValueError(f"categories: {told} for {self.num_classes} outputs")

    @property
    def levels(self) -> int:
        """How many levels there are: 5 for P3 to P7."""
        first, last = self.anchors.levels
        return last - first + 1


def from_phi(phi: int, **fields) -> Config:
    """The paper's scaling rule; its table (`CONFIGS`) leaves it from phi = 2 on."""
    phi = arguments.whole_number("phi", phi)
    if not 0 <= phi <= 7:
        raise ValueError(f"phi is {phi}; backbones B0 to B7 allow 0 to 7")
    return Config(
        image_size=(512 + 128 * phi,) * 2,  # Eq. 13.7
        backbone=f"b{phi}",
        width=efficientnet.scaled_filters(64, 1.35**phi),  # Eq. 13.4
        cells=3 + phi,  # Eq. 13.5
        repeats=3 + phi // 3,  # Eq. 13.6
        **fields,
    )


def _row(side: int, *fields, **others) -> Config:
    return Config((side, side), *fields, **others)


# Weights in so many fusions made training unstable: from D6 on inputs are added.
_sum = partial(_row, fusion=bifpn.SumFusion)
# Lite: nothing that eight bits represent badly.
_lite = partial(_sum, activation=nn.ReLU6, mean=(0.5,) * 3, std=(0.5,) * 3)
_small, _large = AnchorConfig(scale=3.0), AnchorConfig(scale=5.0)
CONFIGS = {  # side, backbone, width, BiFPN layers, repeats of a head
    "d0": _row(512, "b0", 64, 3, 3),
    "d1": _row(640, "b1", 88, 4, 3),
    "d2": _row(768, "b2", 112, 5, 3),
    "d3": _row(896, "b3", 160, 6, 4),
    "d4": _row(1024, "b4", 224, 7, 4),
    "d5": _row(1280, "b5", 288, 7, 4),
    "d6": _sum(1280, "b6", 384, 8, 5),
    "d7": _sum(1536, "b6", 384, 8, 5, anchors=_large),
    "d7x": _sum(1536, "b7", 384, 8, 5, anchors=AnchorConfig(levels=(3, 8))),
    "lite0": _lite(320, "lite0", 64, 3, 3, anchors=_small),
    "lite1": _lite(384, "lite1", 88, 4, 3, anchors=_small),
    "lite2": _lite(448, "lite2", 112, 5, 3, anchors=_small),
    "lite3": _lite(512, "lite3", 160, 6, 4),
    "lite3x": _lite(640, "lite3", 200, 6, 4, anchors=_small),
    "lite4": _lite(640, "lite4", 224, 7, 4),
}


class Head(nn.Module):
    """The same convolutions on every level, a batch norm for each (repeat, level).

    `forward(levels)` gives one map (B, outputs, H, W) a level. `bias` is the first
    value of every output: the logit of `PRIOR` for classes, 0 for codes.
    """

    def __init__(self, config: Config, outputs: int, bias: float = 0.0):
        super().__init__()
        width = config.width
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for _ in range(config.repeats):
            conv = config.conv(width, width)
            self.convs.append(conv)
            norms = [bifpn.BatchNorm(width) for _ in range(config.levels)]
            self.norms.append(nn.ModuleList(norms))
        self.activation = config.activation(inplace=True)
        self.predict = config.conv(width, outputs)
        _first_weights(self, bias)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        outputs = []
        for level, x in enumerate(levels):
            for conv, norms in zip(self.convs, self.norms, strict=True):
                norm = norms[level]
                x = norm(conv(x))  # B C H W, Eq. 13.2
                x = self.activation(x)
            predicted = _predicted(self, x)  # B outputs H W
            outputs.append(predicted)
        return outputs


def _first_weights(head: Head, bias: float) -> None:
    """Normal, of variance 1 / fan in; biases 0, but for that of the last layer."""
    convs = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        fan_in = conv.weight[0].numel()
        nn.init.normal_(conv.weight, std=fan_in**-0.5)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    nn.init.constant_(convs[-1].bias, bias)


def _lay_out(detector: "Detector") -> None:
    """Everything channels last, but for the two layers that predict.

    Theirs are 810 channels, or as many: `memory.channels_first` has the reason.
    """
    memory.channels_last(detector)
    for head in (detector.class_head, detector.box_head):
        memory.channels_first(head.predict)


def _predicted(head: Head, x: Tensor) -> Tensor:
    """The last layer of a head, on a map that lies as its filters do."""
    return head.predict(memory.channels_first(x))


class Detector(nn.Module):
    """Any backbone, BiFPN, two heads.

    `forward(images B 3 H W)` gives (class_outputs, box_outputs), two lists from the
    finest level up: (B, A * K, H, W) logits and (B, A * 4, H, W) codes of A anchors.
    Images are normalised with `config.mean` and `config.std`. The backbone is a module
    with `channels` that gives a list of levels, finest first, of stride
    2 ** config.anchors.levels[0] and twice as much for each further one.
    """

    def __init__(self, backbone: nn.Module, config: Config):
        super().__init__()
        if not 1 <= len(backbone.channels) <= config.levels:
            raise ValueError(
                f"backbone gives {len(backbone.channels)} levels; config.anchors.levels"
                f" {config.anchors.levels} has room for {config.levels}"
            )
        self.config = config
        self.backbone = backbone
        self.fpn = bifpn.BiFPN(
            backbone.channels, config.width, config.cells, config.levels,
            fusion=config.fusion, activation=config.activation,
            topology=config.topology, conv=config.conv,
        )  # fmt: skip
        per_place = config.anchors.per_cell  # A
        prior = -math.log((1 - PRIOR) / PRIOR)  # Eq. 13.3
        self.class_head = Head(config, per_place * config.num_classes, prior)
        self.box_head = Head(config, per_place * 4)
        _lay_out(self)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        features = self.backbone(images)  # B C_l H_l W_l, finest first
        levels = self.fpn(features)  # B C H_l W_l
        class_outputs = self.class_head(levels)  # B A*K H_l W_l
        box_outputs = self.box_head(levels)  # B A*4 H_l W_l
        return class_outputs, box_outputs


def efficientdet(name: str, num_classes: int = 90) -> Detector:
    """A row of `CONFIGS`, "d0" to "d7x" or "lite0" to "lite4", with random weights."""
    if not isinstance(name, str) or name not in CONFIGS:
        raise ValueError(f"name is {name!r}; there is {', '.join(CONFIGS)}")
    arguments.whole_number("num_classes", num_classes, 1, 10**6)
    config = replace(CONFIGS[name], num_classes=num_classes)
    backbone = efficientnet.Features(efficientnet.CONFIGS[config.backbone])
    return Detector(backbone, config)


def official_names(model: Detector) -> dict[str, str]:
    """effdet's name of each of our tensors."""
    names = {}
    for ours, theirs in efficientnet.official_names(model.backbone).items():
        names[f"backbone.{ours}"] = f"backbone.{theirs}"
    for ours, theirs in bifpn.official_names(model.fpn).items():
        names[f"fpn.{ours}"] = f"fpn.{theirs}"
    for ours in model.state_dict():
        if ours in names:
            continue
        name = re.sub(r"_head\.", "_net.", ours, count=1)
        name = re.sub(r"\.convs\.", ".conv_rep.", name)
        name = re.sub(r"\.norms\.(\d+)\.(\d+)\.", r".bn_rep.\1.\2.bn.", name)
        name = name.replace(".depthwise.", ".conv_dw.")
        names[ours] = name.replace(".pointwise.", ".conv_pw.")
    return names


def load_official(model: Detector, source: str | PathLike | dict) -> Detector:
    """Published weights into a detector of `efficientdet`, in place.

    `source` is a file (.pth, .safetensors) or a state dict with effdet's names
    (`tf_efficientdet_d0` and its relatives). ValueError names the first key that does
    not fit, and nothing is loaded. Returns the model. One of 90 outputs then says in
    `config.categories` which of COCO's categories they are.
    """
    if not isinstance(model.backbone, efficientnet.Features):
        kind = type(model.backbone).__name__
        raise ValueError(f"backbone is {kind}; official weights are for EfficientNets")
    official.load(model, source, official_names(model))
    if model.config.num_classes == len(COCO):
        model.config = replace(model.config, categories=COCO)
    return model
