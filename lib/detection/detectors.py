"""Three small detectors of digits in scenes, their weights shipped in data/weights.

The task is fixed here, once: scenes and crops of `DIFFICULTY`, chosen in a pilot so
that a detector of a few minutes finds most digits and still misses some.

`plain` is dense 3x3 convolutions throughout, with levels as in FPN. `course` has the
cell that this course found as its backbone, and BiFPN. `lite` is built as
EfficientDet-Lite: ReLU6, no gates, plain sums. Chapters from 16 on start from these;
data/weights/prepare.py trained them, its README.md says how well.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from lib.basics import arguments, checkpoints, data, memory
from lib.detection import bifpn, categories, efficientnet
from lib.detection.anchors import AnchorConfig
from lib.detection.efficientdet import Config, Detector
from lib.nas import nasnet, search_space

DIFFICULTY = 0.2  # the crops' default is 0.5; see data/weights/README.md


def scenes(split: str, n: int, seed: int = 0) -> data.Scenes:
    """`data.scenes` of this task: 128x128, 1 to 5 digits of 14 to 72 pixels."""
    return data.scenes(split, n, seed=seed, difficulty=DIFFICULTY)


def crops(split: str, n: int, size: int = 32, seed: int = 0):
    """`data.crops` of this task, for a backbone to learn reading from."""
    return data.crops(split, n, size=size, seed=seed, difficulty=DIFFICULTY)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut; at first the shortcut alone."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = efficientnet.conv_norm(channels, channels, 3, 1, 1, nn.ReLU)
        self.second = efficientnet.conv_norm(channels, channels, 3)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        change = self.second(self.first(x))  # B C H W
        return torch.relu(x + change)


class PlainLevels(nn.Module):
    """A backbone of dense 3x3 convolutions: levels of stride 4, 8, 16, finest first.

    `filters` are those at stride 2, 4, 8, and so on. From stride 4 on, a convolution
    halves the picture and a `Residual` follows.
    """

    def __init__(self, filters: tuple[int, ...] = (16, 32, 64, 128)):
        super().__init__()
        self.channels = tuple(filters[1:])
        self.stem = efficientnet.conv_norm(3, filters[0], 3, 2, 1, nn.ReLU)
        self.stages = nn.ModuleList()
        for before, after in zip(filters, self.channels, strict=False):
            halve = efficientnet.conv_norm(before, after, 3, 2, 1, nn.ReLU)
            self.stages.append(nn.Sequential(halve, Residual(after)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        memory.channels_last(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)  # B C H/2 W/2
        levels = []
        for stage in self.stages:
            x = stage(x)  # B C H/2 W/2, of what it was
            levels.append(x)
        return levels


# No digit is wider than it is high, and the sides of nearly all lie between 8 and 64
# pixels: one ratio, and two sizes on each of three levels, from stride 4 on.
SCENES = Config(
    (128, 128), width=32, cells=1, repeats=1, num_classes=10,
    anchors=AnchorConfig(3.0, octaves=2, ratios=((0.79, 1.27),), levels=(2, 4)),
    mean=(0.5,) * 3, std=(0.5,) * 3,
)  # fmt: skip
CONFIGS = {
    "plain": replace(
        SCENES, topology="fpn", fusion=bifpn.SumFusion, conv=bifpn.Dense,
        activation=nn.ReLU,
    ),
    "course": replace(SCENES, cells=2, repeats=2),
    "lite": replace(
        SCENES, cells=2, repeats=2, fusion=bifpn.SumFusion, activation=nn.ReLU6
    ),
}  # fmt: skip
LITE_STAGES = (  # kernel, stride, expansion, filters, repeats
    efficientnet.Stage(3, 1, 1, 16, 1),
    efficientnet.Stage(3, 2, 4, 24, 2),
    efficientnet.Stage(3, 2, 4, 48, 2),
    efficientnet.Stage(3, 2, 4, 96, 2),
)


def backbone(name: str) -> nn.Module:
    """The backbone of a row of `CONFIGS`, with random weights: strides 4, 8, 16."""
    if name == "plain":
        return PlainLevels()
    if name == "course":
        return nasnet.NasnetLevels(search_space.FOUND, filters=12, levels=3)
    rows = {"stages": LITE_STAGES, "stem_filters": 16}
    return efficientnet.features("lite0", **rows, drop_path=0.0)


def for_short_runs(model: nn.Module) -> nn.Module:
    """Make a detector or a backbone ready for some hundred steps, in place.

    Batch norms remember 10 steps instead of 100, and the heads begin close to their
    bias: every box is its anchor, and nothing has to be unlearned.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    if isinstance(model, Detector):
        for head in (model.class_head, model.box_head):
            convs = [m for m in head.predict.modules() if isinstance(m, nn.Conv2d)]
            nn.init.normal_(convs[-1].weight, std=0.01)  # as RetinaNet's
    return model


def detector(name: str, num_classes: int = 10) -> Detector:
    """One of `CONFIGS`, "plain", "course" or "lite", with random weights."""
    if not isinstance(name, str) or name not in CONFIGS:
        raise ValueError(f"name is {name!r}; there is {', '.join(CONFIGS)}")
    arguments.whole_number("num_classes", num_classes, 1, 10**6)
    config = replace(CONFIGS[name], num_classes=num_classes)
    return for_short_runs(Detector(backbone(name), config))


def shipped(name: str, weights: str = "detector") -> Detector:
    """A detector of digits as data/weights/prepare.py trained it, in eval mode.

    `weights`: "detector" for all of them; "backbone" for a backbone that has learned
    to read digit crops, under levels and heads that know nothing. ValueError for
    another word, or for a file that is not what was shipped.
    """
    if weights not in ("detector", "backbone"):
        raise ValueError(f"weights is {weights!r}; 'detector' or 'backbone'")
    model = detector(name)
    part = model if weights == "detector" else model.backbone
    checkpoints.load_weights(part, f"{weights}_{name}")
    if weights == "detector":
        digits = categories.numbered(data.Scenes.names)
        model.config = replace(model.config, categories=digits)
    return model.eval()
