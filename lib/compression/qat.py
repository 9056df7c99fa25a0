"""Training a network that already rounds: fake quantization, and what to train.

A fake-quantized network computes with real numbers that integers could hold: behind
each weight and each map stands a module that rounds to the steps of a grid. Rounding
has no slope; the straight-through gradient acts as if it were not there. From that one
rule follows how the size of a step is learned (LSQ). Layers that suffer keep more bits.

Sources: arXiv 1308.3432 (straight-through), 1902.08153 (LSQ), 2004.09576 (LSQ+, a
learned zero point), 1712.05877 (train what is deployed), 1806.08342. Chapter 20.
"""

import copy
import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn

from lib.compression import grids, quantize
from lib.compression.quantize import QParams


@dataclass(frozen=True)
class Scheme:
    """How one kind of tensor is rounded; the defaults are for weights of 8 bits.

    `axis` None: one step for the whole tensor; 0: one for each filter. `observer` makes
    what chooses the range, `learned` lets training move it (LSQ).
    """

    bits: int = 8
    symmetric: bool = True
    signed: bool = True
    axis: int | None = 0
    observer: Callable = quantize.MinMax
    learned: bool = False

    def integers(self) -> tuple[int, int]:
        """The first and the last integer; ValueError for bits that cannot be."""
        return quantize.integer_range(self.bits, self.symmetric, self.signed)

    __post_init__ = integers


# One bit less than a byte: pairs of products of 8 bits saturate in onnxruntime on x86
# without VNNI (Eq. 22.5), and what is prepared by default has to be right everywhere.
WEIGHTS = Scheme(bits=7)
ACTIVATIONS = Scheme(symmetric=False, signed=False, axis=None)


class Fake(torch.autograd.Function):
    """Onto the grid and back; rounding passes the gradient straight through."""

    @staticmethod
    def forward(ctx, x, scale, zero, low, high, gain):
        zero = zero.round().clamp(low, high)
        steps = (x * (1 / scale)).round_().add_(zero)  # Eq. 20.1
        inside = (steps >= low) & (steps <= high)
        steps = steps.clamp_(low, high).sub_(zero)
        learns = any(ctx.needs_input_grad[1:3])
        ctx.save_for_backward(inside, scale, *((x, steps) if learns else ()))
        ctx.gain = gain
        return steps * scale

    @staticmethod
    def backward(ctx, grad):
        inside, scale, *more = ctx.saved_tensors
        of_scale = of_zero = None
        if ctx.needs_input_grad[1]:
            x, steps = more
            # Inside: how far rounding moved x, in steps. Outside: the last step itself.
            slope = steps - (x * (1 / scale)).mul_(inside)  # Eq. 20.3
            of_scale = (grad * slope).sum_to_size(scale.shape) * ctx.gain
        if ctx.needs_input_grad[2]:  # another zero moves what was cut off, only that
            of_zero = (grad * ~inside).sum_to_size(scale.shape) * -scale * ctx.gain
        return grad * inside, of_scale, of_zero, None, None, None  # Eq. 20.2


@contextmanager
def _about(name: str) -> Iterator[None]:
    """A ValueError inside says whose it is."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


class FakeQuantize(nn.Module):
    """Rounds what it is given to a grid, once `calibrate` has found one.

    `low` and `high` are the first and the last integer, `scale` and `zero_point` as in
    `QParams`. `channels` counts along the scheme's axis. `state` is "quantize",
    "observe" (look on, change nothing) or "off". A learned scheme makes a parameter of
    `scale` and, unless it is symmetric, of `zero`, a real number that is used rounded.
    """

    def __init__(self, scheme: Scheme, channels: int = 1, name: str = "this"):
        super().__init__()
        self.scheme, self.axis, self.name = scheme, scheme.axis, name
        self.low, self.high = scheme.integers()
        self.state, self.observer = "quantize", None
        unknown = torch.full(() if scheme.axis is None else (channels,), math.nan)
        made = nn.Parameter if scheme.learned else nn.Buffer  # LSQ
        self.scale = made(unknown)
        made = nn.Buffer if scheme.symmetric else made  # LSQ+: where zero lies as well
        self.zero = made(unknown.clone())

    @property
    def zero_point(self) -> Tensor:
        """The integer that means 0, int32."""
        return self.zero.detach().round().clamp(self.low, self.high).int()

    def qparams(self) -> QParams:
        """The grid as it is now; ValueError before it is known."""
        self._insist()
        scale = self.scale.detach().clone()
        return QParams(scale, self.zero_point, self.low, self.high, self.axis)

    def find(self) -> QParams:
        """The grid for what the observer saw."""
        how = self.scheme
        with _about(self.name):
            return self.observer.qparams(how.bits, how.symmetric, how.signed)

    @torch.no_grad()
    def set(self, qparams: QParams) -> None:
        """Take over a grid whose integers are those of the scheme."""
        self.low, self.high = qparams.low, qparams.high
        self.scale.copy_(qparams.scale)
        self.zero.copy_(qparams.zero_point)

    def forward(self, x: Tensor) -> Tensor:
        if self.state == "observe":
            with _about(self.name):
                self.observer.observe(x)
        if self.state != "quantize":
            return x
        self._insist()
        shape = [1] * x.dim()
        if self.axis is not None:
            shape[self.axis] = -1
        scale, zero = self.scale.view(shape), self.zero.view(shape)
        return Fake.apply(x, scale, zero, self.low, self.high, self.gain(x))

    def gain(self, x: Tensor) -> float:
        """LSQ's factor on the gradient of a step that all of `x` share, or a filter."""
        values = x.numel() / self.scale.numel()
        return 1 / math.sqrt(values * self.high)  # Eq. 20.4

    def _insist(self) -> None:
        if self.scheme.learned:  # a large step of training may cross zero
            self.scale.data.clamp_(min=torch.finfo(self.scale.dtype).tiny)
        if not (self.scale > 0).all():
            raise ValueError(f"{self.name} has no grid yet: call qat.calibrate first")


class QuantConv2d(nn.Conv2d):
    """A convolution whose weight passes a `weight_quantizer`; the bias stays real."""

    weight_quantizer: FakeQuantize

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight_quantizer(self.weight), self.bias)


class QuantLinear(nn.Linear):
    """A linear layer whose weight passes a `weight_quantizer`; the bias stays real."""

    weight_quantizer: FakeQuantize

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight_quantizer(self.weight), self.bias)


def prepare(
    graph: fx.GraphModule,
    weights: Scheme = WEIGHTS,
    activations: Scheme | None = ACTIVATIONS,
    bits: dict[str, int] | None = None,
    outputs: bool = True,
) -> fx.GraphModule:
    """A copy of a deployed network that rounds its weights and its maps.

    `graph` is from `deployed.deployed`; its layers become `QuantConv2d` and
    `QuantLinear`, and a `FakeQuantize` stands behind the input and behind whatever
    computes: after the ReLU or ReLU6 that is the only one to read it. Maxima, padding,
    resizing and slicing keep the grid they are given. `bits` are those of the weights
    of single layers; `outputs=False` leaves the results real, `activations=None` all
    maps. Weights get 7 bits unless `weights` says otherwise (`Scheme()` has 8). Call
    `calibrate` next. ValueError names what cannot be rounded.
    """
    model, bits = copy.deepcopy(graph), bits or {}
    names = [n.target for n in model.graph.nodes if n.op == "call_module"]
    _known(bits, names)
    for name in names:
        scheme = replace(weights, bits=bits.get(name, weights.bits))
        _round_weight(model.get_submodule(name), scheme, name)
    for node in grids.places(model.graph) if activations else []:
        if outputs or all(user.op != "output" for user in node.users):
            name = grids.name_after(node)
            grids.insert(model, node, name, FakeQuantize(activations, name=name))
    model.recompile()
    return model


def _known(bits: dict[str, int], names: Iterable[str]) -> None:
    for name in (name for name in bits if name not in names):
        near = difflib.get_close_matches(name, names, 1, 0.0)
        raise ValueError(f"bits has {name!r}; no such layer. Is it {near[0]!r}?")


def _round_weight(layer: nn.Module, scheme: Scheme, name: str) -> None:
    kinds = {nn.Conv2d: QuantConv2d, nn.Linear: QuantLinear}
    if type(layer) not in kinds:
        kind = type(layer).__name__
        raise ValueError(f"{name} is a {kind}; Conv2d and Linear can be rounded")
    layer.__class__ = kinds[type(layer)]  # all else of it stays as it is
    filters = layer.weight.shape[0]
    layer.weight_quantizer = FakeQuantize(scheme, filters, f"the weight of {name}")


def layers(model: nn.Module) -> dict[str, QuantConv2d | QuantLinear]:
    """The rounding layers of a prepared network by name, in the order they run."""
    return {n: m for n, m in model.named_modules() if hasattr(m, "weight_quantizer")}


def maps(model: nn.Module) -> dict[str, FakeQuantize]:
    """What rounds the maps of a prepared network, by name."""
    return {n: m for n, m in model.named_children() if isinstance(m, FakeQuantize)}


@torch.no_grad()
def calibrate(model: fx.GraphModule, batches: Iterable[Tensor]) -> fx.GraphModule:
    """Find all grids, from the weights and from what some batches of inputs give.

    In place; returns the model. It computes with real numbers meanwhile. ValueError
    names a tensor whose range says nothing (no data, NaN, a constant), and then no
    grid has changed.
    """
    weights = {m.weight_quantizer: m.weight for m in layers(model).values()}
    if not weights:
        raise ValueError("model has no layer that rounds; `prepare` makes such models")
    states = {m: m.state for m in [*weights, *maps(model).values()]}
    try:
        for module in states:
            module.observer = module.scheme.observer(module.axis)
            module.state = "observe"
        for module, weight in weights.items():  # once, not with every batch
            module(weight)
            module.state = "off"
        for batch in [batches] if isinstance(batches, Tensor) else batches:
            model(batch)
        found = {module: module.find() for module in states}
    finally:
        for module, state in states.items():
            module.state, module.observer = state, None
    for module, grid in found.items():
        module.set(grid)
    return model


@torch.no_grad()
def with_bits(model: fx.GraphModule, bits: dict[str, int]) -> fx.GraphModule:
    """A copy of a calibrated network; weights of the layers named get other bits.

    Their grids are found anew, those of maps stay. ValueError for an unknown name.
    """
    model = copy.deepcopy(model)
    _known(bits, layers(model))
    for name, number in bits.items():
        layer = layers(model)[name]
        quantizer = layer.weight_quantizer
        quantizer.scheme = replace(quantizer.scheme, bits=number)
        quantizer.observer = quantizer.scheme.observer(quantizer.axis)
        quantizer.observer.observe(layer.weight)
        quantizer.set(quantizer.find())
        quantizer.observer = None
    return model


def sensitivity(
    model: fx.GraphModule, judge: Callable[[nn.Module], float], bits: Iterable[int]
) -> dict[str, dict[int, float]]:
    """What `judge(model)` says when the weight of one layer alone has so many bits.

    By layer, then by bits; all other layers are as in `model`.
    """
    return {
        name: {number: judge(with_bits(model, {name: number})) for number in bits}
        for name in layers(model)
    }


def allocate(
    damage: dict[str, dict[int, float]], sizes: dict[str, int], budget: int | float
) -> dict[str, int]:
    """Bits for each layer: little damage in all, at most `budget` bits together.

    `damage` is by layer and bits, `sizes` counts weights. All begin with most bits;
    then the cut is made that does least damage for each bit it saves, again and again.
    Damages of layers are taken to add up, and no cut is taken back: greedy. ValueError
    if even the fewest bits are too many.
    """
    bits = {name: max(choices) for name, choices in damage.items()}
    least = sum(sizes[name] * min(choices) for name, choices in damage.items())
    if least > budget:
        raise ValueError(f"budget is {budget} bits; the fewest possible are {least}")
    while sum(sizes[name] * number for name, number in bits.items()) > budget:
        cuts = {}
        for name, choices in damage.items():
            for number in (n for n in choices if n < bits[name]):
                more = choices[number] - choices[bits[name]]
                saved = sizes[name] * (bits[name] - number)
                cuts[name, number] = more / saved  # Eq. 20.5
        name, number = min(cuts, key=cuts.get)
        bits[name] = number
    return bits


def size(model: nn.Module) -> int:
    """Bytes of a prepared network: packed integers, 32 bits for a step or a bias."""
    bits = 0
    for layer in layers(model).values():
        numbers = [layer.weight_quantizer.scale, layer.bias]
        bits += layer.weight.numel() * layer.weight_quantizer.scheme.bits
        bits += 32 * sum(each.numel() for each in numbers if each is not None)
    return math.ceil(bits / 8)


def parameter_groups(model: nn.Module, lr: float, decay: float = 0.0) -> list[dict]:
    """Groups for Adam and its kin: weights get `lr`, a step `lr` times its own size.

    Adam moves every number by about its rate, however small the gradient is (it even
    undoes LSQ's factor), and a step of 0.01 must not move like a weight of 1. A zero
    point moves by such a share of its grid.
    """
    groups = [{"params": [], "lr": lr, "weight_decay": d} for d in (decay, 0.0)]
    for name, p in model.named_parameters():
        owner, _, kind = name.rpartition(".")
        owner = model.get_submodule(owner)
        if isinstance(owner, FakeQuantize):
            unit = p.mean().item() if kind == "scale" else owner.high - owner.low
            groups.append({"params": [p], "lr": lr * unit, "weight_decay": 0.0})
        else:
            groups[p.ndim <= 1]["params"].append(p)
    return groups
