"""EfficientNet: one small network, scaled in three directions at once.

Seven rows say what B0 is: kernel, stride, expansion, channels, repeats of each stage.
Every block is an inverted bottleneck (MBConv): widen, filter each channel alone, weigh
the channels, narrow again. B1 to B7 are the same rows made deeper, wider and sharper
together; the Lite networks leave out what small devices compute badly.

Paper: Tan, Le, arXiv 1905.11946; its block is from 1801.04381 and 1807.11626, the gate
from 1709.01507. Details as in the networks the authors released. Chapter 10.
"""

import math
from collections import namedtuple
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lib.basics import arguments, memory, official
from lib.nas.cells import SameConv, drop_path

Number = int | float
# Equal blocks, `repeats` of them; the first has the stride and changes the channels.
Stage = namedtuple("Stage", "kernel stride expansion filters repeats")
STAGES = (  # of B0; found by a search, like NASNet's cells, but one row a stage
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


def compound(
    phi: Number,
    alpha: Number = 1.2,
    beta: Number = 1.1,
    gamma: Number = 1.15,
) -> tuple[Number, Number, Number]:
    """Depth, width and resolution, as multiples of the base network's.

    >>> depth, width, resolution = compound(1)
    >>> round(depth * width**2 * resolution**2, 5)  # 1.2 * 1.21 * 1.3225
    1.92027
    """
    phi = arguments.real_number("phi", phi, -100, 100)
    for name, base in {"alpha": alpha, "beta": beta, "gamma": gamma}.items():
        arguments.real_number(name, base, above=0, most=1000)
    depth = alpha**phi  # Eq. 10.5
    width = beta**phi
    resolution = gamma**phi
    return depth, width, resolution


def relative_cost(depth: Number, width: Number, resolution: Number) -> Number:
    """Multiply-adds as a multiple of the base network's, before any rounding."""
    for name, factor in {
        "depth": depth, "width": width, "resolution": resolution,
    }.items():  # fmt: skip
        arguments.real_number(name, factor, above=0)
    return depth * width**2 * resolution**2  # Eq. 10.4


@arguments.named
def scaled_stage(
    filters: int, repeats: int, width: Number, depth: Number, divisor: int = 8
) -> tuple[int, int]:
    """Channels and blocks of a stage made `width` times as wide, `depth` as deep.

    Channels go to the nearest multiple of `divisor`, to the next one up if that would
    leave less than 90 %. Blocks are rounded up: a stage never loses one. As released.

    >>> scaled_stage(32, 2, width=1.2, depth=1.1)  # 38.4, and 40 is nearest; 2.2
    (40, 3)
    >>> scaled_stage(18, 1, width=1.1, depth=1.0)  # 19.8: 16 is nearest, but 81 % of it
    (24, 1)
    """
    wanted = filters * width
    multiples = int(wanted + divisor / 2) // divisor
    channels = multiples * divisor  # Eq. 10.6
    if channels < 0.9 * wanted:
        channels += divisor
    blocks = math.ceil(repeats * depth)  # Eq. 10.7
    return channels, blocks


def scaled_filters(filters: int, width: Number, divisor: int = 8) -> int:
    """Channels alone, of a stem or a pyramid: times width, rounded as a stage's are.

    >>> scaled_filters(32, 1.2)
    40
    """
    arguments.whole_number("filters", filters, least=1)
    arguments.real_number("width", width, above=0)
    arguments.whole_number("divisor", divisor, least=1)
    channels, _ = scaled_stage(filters, 1, width, 1.0, divisor)
    return channels


class SiLU(nn.SiLU):
    """x * sigmoid(x); in place where no backward pass will ask for the old values."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=not self.training)


@dataclass(frozen=True)
class Config:
    """A network as values: the rows of the base network and how far they are scaled."""

    stages: tuple[tuple, ...] = STAGES
    width: Number = 1.0
    depth: Number = 1.0
    image_size: int = 224  # what it was trained at; other sizes run as well
    dropout: Number = 0.2
    stem_filters: int = 32
    stem_stride: int = 2
    head_filters: int = 1280
    divisor: int = 8  # of all channels; tiny networks want a finer grain
    scale_ends: bool = True  # stem, head, and the repeats of the first and last stage
    squeeze: Number = 0.25  # gate's hidden channels, of the block's input; 0: no gate
    activation: type[nn.Module] = SiLU
    drop_path: Number = 0.2  # of the last block; it falls linearly towards the first
    eps: float = 1e-3
    momentum: float = 0.01  # of the batch norms; TensorFlow calls it decay 0.99

    def __post_init__(self):
        if not self.stages:
            raise ValueError("stages is empty: a network needs at least one row")
        for i, row in enumerate(self.stages):
            for field, number in zip(Stage._fields, row, strict=True):
                arguments.whole_number(f"stages[{i}]: {field}", number)
            if row[0] % 2 == 0 or row[1] not in (1, 2) or min(row) < 1:
                raise ValueError(
                    f"stages[{i}] is {tuple(row)}; (kernel, stride, expansion, filters,"
                    " repeats) are positive, the kernel odd, the stride 1 or 2"
                )
        for field in ("width", "depth"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is {getattr(self, field)}; must be above 0")

    @classmethod
    def from_phi(cls, phi: Number) -> "Config":
        """What the paper's equations give; its table, `CONFIGS`, rounds by hand."""
        depth, width, resolution = compound(phi)
        return cls(width=width, depth=depth, image_size=round(224 * resolution))

    def ends(self) -> tuple[int, int]:
        """Channels of stem and head."""
        ends = self.stem_filters, self.head_filters
        if not self.scale_ends:
            return ends
        return tuple(scaled_filters(n, self.width, self.divisor) for n in ends)

    def rows(self) -> tuple[Stage, ...]:
        """The stages as they are built: scaled channels, scaled repeats."""
        rows = []
        last = len(self.stages) - 1
        for i, row in enumerate(self.stages):
            row = Stage(*row)
            scaled = self.scale_ends or 0 < i < last
            depth = self.depth if scaled else 1.0
            scale = self.width, depth, self.divisor
            filters, repeats = scaled_stage(row.filters, row.repeats, *scale)
            rows.append(row._replace(filters=filters, repeats=repeats))
        return tuple(rows)


# Lite: no gate, ReLU6, and ends that stay as small as B0's.
_lite = partial(Config, STAGES, scale_ends=False, squeeze=0.0, activation=nn.ReLU6)
CONFIGS = {  # width, depth, image size, dropout
    "b0": Config(STAGES, 1.0, 1.0, 224, 0.2),
    "b1": Config(STAGES, 1.0, 1.1, 240, 0.2),
    "b2": Config(STAGES, 1.1, 1.2, 260, 0.3),
    "b3": Config(STAGES, 1.2, 1.4, 300, 0.3),
    "b4": Config(STAGES, 1.4, 1.8, 380, 0.4),
    "b5": Config(STAGES, 1.6, 2.2, 456, 0.4),
    "b6": Config(STAGES, 1.8, 2.6, 528, 0.5),
    "b7": Config(STAGES, 2.0, 3.1, 600, 0.5),
    "lite0": _lite(1.0, 1.0, 224, 0.2),
    "lite1": _lite(1.0, 1.1, 240, 0.2),
    "lite2": _lite(1.1, 1.2, 260, 0.3),
    "lite3": _lite(1.2, 1.4, 280, 0.3),
    "lite4": _lite(1.4, 1.8, 300, 0.3),
}


def conv_norm(channels, filters, kernel=1, stride=1, groups=1, activation=None):
    """Convolution without bias, batch norm and, if there is one, activation."""
    conv = SameConv(channels, filters, kernel, stride, groups=groups)
    # In place is safe: nobody else holds what the norm gives out.
    last = [activation(inplace=True)] if activation else []
    return nn.Sequential(conv, nn.BatchNorm2d(filters), *last)


def spatial_mean(x: Tensor) -> Tensor:
    """Mean over all places: (B, C, H, W) becomes (B, C, 1, 1).

    A sum, divided afterwards: the gradient of `mean` fills a whole map first, and a sum
    of many in half precision overflows at 65504.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    total = x.sum((2, 3), keepdim=True, dtype=wide)  # B C 1 1
    places = x.shape[2] * x.shape[3]
    return (total / places).to(x.dtype)


@arguments.named
def squeeze_excite(
    x: Float[Tensor, "B C H W"],
    reduce: nn.Module, activation: nn.Module, expand: nn.Module,
) -> Float[Tensor, "B C H W"]:  # fmt: skip
    """`x` times a gate in (0, 1) for each channel, computed from the means of all.

    `reduce` and `expand` are 1x1 convolutions, (B C 1 1) to (B h 1 1) and back;
    `activation` stands between them. The same shape comes out. arXiv 1709.01507.

    Mean 4, hidden 4 - 3 = 1, logit ln 3, and the gate is 3 / (3 + 1):

    >>> layers = nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1)
    >>> numbers = (layers[0], 1, -3), (layers[2], math.log(3), 0)
    >>> for layer, weight, bias in numbers:
    ...     _ = nn.init.constant_(layer.weight, weight)
    ...     _ = nn.init.constant_(layer.bias, bias)
    >>> x = torch.tensor([[[[0.0, 4], [4, 8]]]])
    >>> squeeze_excite(x, *layers).flatten().round(decimals=4).tolist()
    [0.0, 3.0, 3.0, 6.0]
    """
    mean = spatial_mean(x)  # B C 1 1
    hidden = reduce(mean)  # B h 1 1
    hidden = activation(hidden)
    logit = expand(hidden)  # B C 1 1
    gate = torch.sigmoid(logit)
    return x * gate  # B C H W, Eq. 10.3


class SqueezeExcite(nn.Module):
    """The layers of a gate: `forward(x)` weighs the channels of x (B, C, H, W)."""

    def __init__(self, channels: int, hidden: int, activation=SiLU):
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return squeeze_excite(x, self.reduce, self.activation, self.expand)  # B C H W


class MBConv(nn.Module):
    """Expand (1x1), filter (depthwise), gate, project (1x1), add the shortcut.

    No activation follows the projection. `keep` is the probability that training keeps
    the block, not only its shortcut.
    """

    def __init__(
        self,
        channels: int,
        row: Stage,
        squeeze: Number = 0.25,
        activation=SiLU,
        keep: Number = 1.0,
    ):
        super().__init__()
        kernel, stride, expansion, filters, _ = row
        wide = channels * expansion
        self.keep = keep
        self.expand = nn.Identity()
        self.squeeze = nn.Identity()
        if expansion > 1:
            self.expand = conv_norm(channels, wide, activation=activation)
        self.depthwise = conv_norm(wide, wide, kernel, stride, wide, activation)
        if squeeze:
            # Hidden channels are a share of the block's input, not of the wide middle.
            hidden = max(1, int(channels * squeeze))
            self.squeeze = SqueezeExcite(wide, hidden, activation)
        self.project = conv_norm(wide, filters)
        self.shortcut = stride == 1 and channels == filters

    def forward(self, x: Tensor) -> Tensor:
        wide = self.expand(x)  # B eC H W
        filtered = self.depthwise(wide)  # B eC H/s W/s
        gated = self.squeeze(filtered)
        y = self.project(gated)  # B F H/s W/s, Eq. 10.2
        if not self.shortcut:
            return y
        if self.training and self.keep < 1:
            y = drop_path(y, self.keep)
        return x + y


class Features(nn.Module):
    """Stem and stages: `forward(images B 3 H W)` gives feature maps, finest first.

    A level is the output of the last block before the next halving. The coarsest
    `levels` are given, with `channels` channels; three are C3, C4, C5. ValueError if
    there are not so many.
    """

    def __init__(self, config: Config, levels: int = 3):
        super().__init__()
        self.config = config
        rows, activation = config.rows(), config.activation
        channels, _ = config.ends()
        self.stem = conv_norm(3, channels, 3, config.stem_stride, 1, activation)
        self.stages = nn.ModuleList()
        built, total = 0, sum(row.repeats for row in rows)
        for row in rows:
            blocks = nn.Sequential()
            for i in range(row.repeats):
                block_row = row if i == 0 else row._replace(stride=1)
                keep = 1 - config.drop_path * built / total  # falls with depth
                block = MBConv(channels, block_row, config.squeeze, activation, keep)
                blocks.append(block)
                channels, built = row.filters, built + 1
            self.stages.append(blocks)
        # The last stage before each halving, and the last of all.
        ends = [i for i, row in enumerate(rows[1:]) if row.stride == 2]
        ends.append(len(rows) - 1)
        if not 1 <= levels <= len(ends):
            raise ValueError(f"levels is {levels}; these stages give 1 to {len(ends)}")
        self.taps = ends[-levels:]
        self.channels = tuple(rows[i].filters for i in self.taps)
        _prepare(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)  # B C H/2 W/2
        levels = []
        for i, stage in enumerate(self.stages):
            x = stage(x)  # B F H/s W/s
            if i in self.taps:
                levels.append(x)
        return levels


class EfficientNet(nn.Module):
    """The classifier: `forward(images B 3 H W) -> logits B K`."""

    def __init__(self, config: Config, num_classes: int = 1000):
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}; a classifier needs 1")
        self.config = config
        self.features = Features(config, levels=1)
        channels, filters = self.features.channels[-1], config.ends()[1]
        self.head = conv_norm(channels, filters, activation=config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(filters, num_classes)
        _prepare(self)

    def forward(self, images: Tensor) -> Tensor:
        (coarsest,) = self.features(images)  # B C H/32 W/32
        means = self.head(coarsest).mean((2, 3))  # B F
        return self.classifier(self.dropout(means))  # B K


@torch.no_grad()
def _prepare(model: nn.Module) -> None:
    """First weights, and what the configuration says about the norms."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # spread by fan-out; k * k for a depthwise
            fan_out = module.weight[:, 0].numel() // module.groups
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = model.config.eps, model.config.momentum
    memory.channels_last(model)


def variant(name: str, **fields) -> Config:
    """A row of `CONFIGS`, "b0" to "b7" or "lite0" to "lite4", with other `fields`."""
    if not isinstance(name, str) or name not in CONFIGS:
        raise ValueError(f"name is {name!r}; there is {', '.join(CONFIGS)}")
    return replace(CONFIGS[name], **fields)


def efficientnet(name: str, num_classes: int = 1000, **fields) -> EfficientNet:
    """A classifier by its name; `fields` are those of `Config`, for variants of it.

    For example `efficientnet("b0", 10, stages=rows, stem_stride=1, width=0.5)`. The
    weights are random; see `load_official` for trained ones.
    """
    arguments.whole_number("num_classes", num_classes, 0, 10**6)
    return EfficientNet(variant(name, **fields), num_classes)


def features(name: str, levels: int = 3, **fields) -> Features:
    """The same network without head and classifier: a backbone for a detector."""
    arguments.whole_number("levels", levels, least=1)
    return Features(variant(name, **fields), levels)


_ENDS = {"stem": ("conv_stem", "bn1"), "head": ("conv_head", "bn2")}
_PARTS = {
    "expand": ("conv_pw", "bn1"),
    "depthwise": ("conv_dw", "bn2"),
    "project": ("conv_pwl", "bn3"),
}
# Where nothing is expanded, they count from the depthwise filter on.
_PLAIN = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}


def official_names(model: Features | EfficientNet, prefix: str = "") -> dict[str, str]:
    """The published name of each of our tensors: timm's, after `prefix`.

    effdet's are the same with the prefix "backbone.".
    """
    names, state = {}, model.state_dict()
    for ours in state:
        path = ours.removeprefix("features.").split(".")
        if len(path) > 2:  # all but the classifier
            *path, part, index, leaf = path
            if part == "squeeze":
                path += ["se", f"conv_{index}", leaf]
            else:
                block = ours.rpartition(f".{part}.")[0]
                plain = path and f"{block}.expand.0.weight" not in state
                table = (_PLAIN if plain else _PARTS) if path else _ENDS
                path += [table[part][int(index)], leaf]
        names[ours] = prefix + ".".join(path).replace("stages.", "blocks.")
    return names


def load_official(
    model: Features | EfficientNet, source: str | PathLike | dict
) -> Features | EfficientNet:
    """Published weights into a model of `efficientnet` or `features`, in place.

    `source` is a file (.pth, .safetensors) or a state dict with the names of timm's
    tf_efficientnet_b0 and its relatives. ValueError names the first key that does not
    fit, and nothing is loaded. Returns the model.
    """
    return official.load(model, source, official_names(model))
