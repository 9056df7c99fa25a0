"""Training a network that already rounds: fake quantization, and what to train.

A fake-quantized network computes with real numbers that integers could hold: behind
each weight and each map stands a module that rounds to the steps of a grid. Rounding
has no slope; the straight-through gradient acts as if it were not there. From that one
rule follows how the size of a step is learned (LSQ). Layers that suffer keep more bits.

Sources: arXiv 1308.3432 (straight-through), 1902.08153 (LSQ), 2004.09576 (LSQ+, a
learned zero point), 1712.05877 (train what is deployed), 1806.08342. Chapter 20.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn

from lib.basics import arguments
from lib.compression import checked, grids, quantize, rounding
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

    def __post_init__(self):
        self.integers()
        if self.axis is not None:
            arguments.whole_number("axis", self.axis)
        arguments.function("observer", self.observer, "observer(axis), e.g. MinMax")
        arguments.flag("learned", self.learned)

    def integers(self) -> tuple[int, int]:
        """The first and the last integer; ValueError for bits that cannot be."""
        return quantize.integer_range(self.bits, self.symmetric, self.signed)


# One bit less than a byte: pairs of products of 8 bits saturate in onnxruntime on x86
# without VNNI (Eq. 22.5), and what is prepared by default has to be right everywhere.
WEIGHTS = Scheme(bits=7)
ACTIVATIONS = Scheme(symmetric=False, signed=False, axis=None)


@contextmanager
def _naming(name: str) -> Iterator[None]:
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
        arguments.instance("scheme", scheme, Scheme)
        channels = arguments.whole_number("channels", channels, 1, 2**20)
        self.scheme, self.axis, self.name = scheme, scheme.axis, name
        self.low, self.high = scheme.integers()
        self.state, self.observer = "quantize", None
        shape = () if scheme.axis is None else (channels,)
        unknown = torch.full(shape, math.nan)
        kind = nn.Parameter if scheme.learned else nn.Buffer  # LSQ
        self.scale = kind(unknown)
        kind = nn.Buffer if scheme.symmetric else kind  # LSQ+: where zero lies as well
        self.zero = kind(unknown.clone())

    @property
    def zero_point(self) -> Tensor:
        """The integer that means 0, int32."""
        return self.zero.detach().round().clamp(self.low, self.high).int()

    def qparams(self) -> QParams:
        """The grid as it is now; ValueError before it is known."""
        self._require_grid()
        scale = arguments.real_tensor("scale", self.scale.detach()).clone()
        return QParams(scale, self.zero_point, self.low, self.high, self.axis)

    def watch(self, refuses_constants: bool = False) -> None:
        """Observe from now on, with a new observer (`MinMax.refuses_constants`)."""
        self.observer = self.scheme.observer(self.axis)
        checked.observer(self.observer, self.name)
        self.observer.refuses_constants = refuses_constants
        self.state = "observe"

    def find(self) -> QParams:
        """The grid for what the observer saw; `watch` comes first."""
        how = self.scheme
        if self.observer is None:
            raise ValueError(f"{self.name} has no observer: call watch first")
        with _naming(self.name):
            return self.observer.qparams(how.bits, how.symmetric, how.signed)

    @torch.no_grad()
    def set(self, qparams: QParams) -> None:
        """Take over a grid whose integers are those of the scheme."""
        arguments.instance("qparams", qparams, QParams, "choose_qparams makes one")
        shape = tuple(self.scale.shape)
        if qparams.scale.numel() not in (1, self.scale.numel()):
            count = qparams.scale.numel()
            raise ValueError(f"qparams has {count} steps, {self.name} holds {shape}")
        self.low, self.high = qparams.low, qparams.high
        self.scale.copy_(qparams.scale)
        self.zero.copy_(qparams.zero_point)

    def forward(self, x: Tensor) -> Tensor:
        if self.state == "observe":
            with _naming(self.name):
                self.observer.observe(x)
        if self.state != "quantize":
            return x
        self._require_grid()
        shape = [1] * x.dim()
        if self.axis is not None:
            shape[self.axis] = -1
        scale = self.scale.view(shape)  # 1 C 1 1 for the channels of a map
        zero = self.zero.view(shape)
        ends = self.low, self.high
        return rounding.fake_quantize(x, scale, zero, *ends, self.gain(x))

    def gain(self, x: Tensor) -> float:
        """LSQ's factor on the gradient of a step that all of `x` share, or a filter."""
        values = x.numel() / self.scale.numel()
        return 1 / math.sqrt(values * self.high)  # Eq. 20.4

    def _require_grid(self) -> None:
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
    keep_float: Iterable[str] = (),
) -> fx.GraphModule:
    """A copy of a deployed network that rounds its weights and its maps.

    `graph` is from `deployed.deployed`; its layers become `QuantConv2d` and
    `QuantLinear`, and a `FakeQuantize` stands behind the input and behind whatever
    computes: after the ReLU or ReLU6 that is the only one to read it. Maxima, padding,
    resizing and slicing keep the grid they are given. `bits` are those of the weights
    of single layers; `outputs=False` leaves the results real, `activations=None` all
    maps. Layers named in `keep_float` stay as they are, and so does the map that each
    of them gives. Weights get 7 bits unless `weights` says otherwise (`Scheme()` has
    8). Call `calibrate` next. ValueError names what cannot be rounded.
    """
    hint = "deployed.deployed(model, example_input) makes one"
    checked.flat_graph("graph", graph, hint)
    checked.schemes(weights, activations, Scheme)
    outputs = arguments.flag("outputs", outputs)
    model = copy.deepcopy(graph)
    names = [n.target for n in model.graph.nodes if n.op == "call_module"]
    bits = checked.layer_bits({} if bits is None else bits, names)
    kept = checked.layer_names("keep_float", keep_float, names)
    for name in names:
        if name in kept:
            continue
        scheme = replace(weights, bits=bits.get(name, weights.bits))
        _round_weight(model.get_submodule(name), scheme, name)
    for node in grids.places(model.graph) if activations else []:
        name = grids.name_after(node)
        inside = outputs or all(user.op != "output" for user in node.users)
        if inside and name.removeprefix("after_") not in kept:
            grids.insert(model, node, name, FakeQuantize(activations, name=name))
    model.recompile()
    return model


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
    arguments.instance("model", model, nn.Module)
    return {n: m for n, m in model.named_modules() if hasattr(m, "weight_quantizer")}


def maps(model: nn.Module) -> dict[str, FakeQuantize]:
    """What rounds the maps of a prepared network, by name."""
    arguments.instance("model", model, nn.Module)
    return {n: m for n, m in model.named_children() if isinstance(m, FakeQuantize)}


def _rounding_layers(model: nn.Module) -> dict[str, QuantConv2d | QuantLinear]:
    """As `layers`, and a ValueError if there are none."""
    checked.flat_graph("model", model, "`prepare` makes one")
    if not (rounding := layers(model)):
        raise ValueError("model has no layer that rounds; `prepare` makes such models")
    return rounding


@torch.no_grad()
def calibrate(model: fx.GraphModule, batches: Iterable[Tensor]) -> fx.GraphModule:
    """Find all grids, from the weights and from what some batches of inputs give.

    In place; returns the model. It computes with real numbers meanwhile. ValueError
    names a tensor whose range says nothing (no data, NaN, an input that is constant),
    and then no grid has changed. Inside, a layer of zeros or a dead map gets a grid.
    """
    weights = {m.weight_quantizer: m.weight for m in _rounding_layers(model).values()}
    of_maps, of_inputs = [*maps(model).values()], _input_quantizers(model)
    states = {quantizer: quantizer.state for quantizer in [*weights, *of_maps]}
    grids_found = {}
    try:
        for quantizer, weight in weights.items():
            quantizer.watch()
            quantizer(weight)
            grids_found[quantizer] = quantizer.find()
            quantizer.state = "off"  # seen once, not with every batch
            quantizer.observer = None  # its histograms are large
        for quantizer in of_maps:
            quantizer.watch(refuses_constants=quantizer in of_inputs)
        for batch in checked.batches(model, batches):
            model(batch)
        grids_found |= {quantizer: quantizer.find() for quantizer in of_maps}
    finally:
        for quantizer, state in states.items():
            quantizer.state = state
            quantizer.observer = None
    for quantizer, grid in grids_found.items():
        quantizer.set(grid)
    return model


def _input_quantizers(model: fx.GraphModule) -> set[nn.Module]:
    """What rounds the network's inputs: there, a constant is a mistake in the data."""
    readers = {u for n in model.graph.nodes if n.op == "placeholder" for u in n.users}
    return {model.get_submodule(n.target) for n in readers if n.op == "call_module"}


@torch.no_grad()
def with_bits(model: fx.GraphModule, bits: dict[str, int]) -> fx.GraphModule:
    """A copy of a calibrated network; what is named gets other bits.

    By a layer's name its weight, whose grids are found anew; by the name of what rounds
    a map that map, whose range stays. ValueError for an unknown name.
    """
    checked.layer_bits(bits, [*_rounding_layers(model), *maps(model)])
    model = copy.deepcopy(model)
    for name, number in bits.items():
        if name in maps(model):
            _other_steps(maps(model)[name], number)
            continue
        layer = layers(model)[name]
        quantizer = layer.weight_quantizer
        state = quantizer.state
        quantizer.scheme = replace(quantizer.scheme, bits=number)
        quantizer.watch()
        quantizer(layer.weight)
        quantizer.set(quantizer.find())
        quantizer.state = state
        quantizer.observer = None
    return model


def _other_steps(quantizer: FakeQuantize, bits: int) -> None:
    """The range of a map as it is, in steps of another number of bits."""
    grid = quantizer.qparams()
    ends = torch.tensor([grid.low, grid.high]) - grid.zero_point
    how = replace(quantizer.scheme, bits=bits)
    reals = (ends * grid.scale).tolist()
    quantizer.set(quantize.from_range(*reals, bits, how.symmetric, how.signed))
    quantizer.scheme = how


def sensitivity(
    model: fx.GraphModule, judge: Callable[[nn.Module], float], bits: Iterable[int],
    of: str = "weights",
) -> dict[str, dict[int, float]]:  # fmt: skip
    """What `judge(model)` says when one weight alone, or one map, has so many bits.

    By name, then by bits; all others are as in `model`. `of` is "weights" or "maps".
    """
    arguments.function("judge", judge, "judge(model) -> float")
    arguments.one_of("of", of, ("weights", "maps"))
    bits = arguments.whole_numbers("bits", bits, 2)
    weights = _rounding_layers(model)
    return {
        name: {number: judge(with_bits(model, {name: number})) for number in bits}
        for name in (weights if of == "weights" else maps(model))
    }


def allocate(
    damage: dict[str, dict[int, float]],
    sizes: dict[str, int] | None,
    budget: int | float,
    cost: dict[str, dict[int, int | float]] | None = None,
) -> dict[str, int]:
    """Bits for each layer: little damage in all, for at most `budget` together.

    `damage` is by layer and bits. A choice costs weights times bits, `sizes` counts
    weights; or what `cost` says, by layer and bits: milliseconds, say (32 bits may
    stand for real numbers). All begin with most bits; then the change is made that does
    least damage for each bit or millisecond it saves, again and again. Damages of
    layers are taken to add up, and no change is taken back: greedy. ValueError if even
    the cheapest choices are too dear.

    From 8 bits to 4, A loses 1 / (10 * 4) a bit and B 3 / (20 * 4): A is cut.

    >>> damage = {"A": {8: 0.0, 4: 1.0}, "B": {8: 0.0, 4: 3.0}}
    >>> allocate(damage, {"A": 10, "B": 20}, budget=239)
    {'A': 4, 'B': 8}

    In milliseconds, A saves 0.1 for 1, B 0.5 for 3: B is cut.

    >>> cost = {"A": {8: 0.4, 4: 0.3}, "B": {8: 0.9, 4: 0.4}}
    >>> allocate(damage, None, budget=1.0, cost=cost)
    {'A': 8, 'B': 4}
    """
    if cost is None:
        damage, sizes = checked.damages(damage, sizes)
        costs = {n: {b: sizes[n] * b for b in row} for n, row in damage.items()}
    else:
        damage, costs = checked.costs(damage, cost)
    budget = arguments.real_number("budget", budget)
    bits = {name: max(choices) for name, choices in damage.items()}
    cheapest = {name: min(costs[name], key=costs[name].get) for name in damage}
    least = _total(cheapest, costs)
    if least > budget:
        unit = " bits" if cost is None else ""
        told = f"budget is {budget:g}{unit}; the fewest possible are {least}"
        raise ValueError(told)
    while _total(bits, costs) > budget:
        prices = {}
        for name, choices in damage.items():
            now = bits[name]
            for other in choices:
                saved = costs[name][now] - costs[name][other]
                if saved > 0:
                    more_damage = choices[other] - choices[now]
                    prices[name, other] = more_damage / saved  # Eq. 20.5
        name, other = min(prices, key=prices.get)
        bits[name] = other
    return bits


def _total(bits: dict[str, int], costs: dict[str, dict]) -> int | float:
    return sum(costs[name][number] for name, number in bits.items())


def size(model: nn.Module) -> int:
    """Bytes of a prepared network: packed integers, 32 bits for a step or a bias."""
    bits = 0
    for layer in _rounding_layers(model).values():
        quantizer = layer.weight_quantizer
        bits += layer.weight.numel() * quantizer.scheme.bits
        bits += quantizer.scale.numel() * 32
        if layer.bias is not None:
            bits += layer.bias.numel() * 32
    return math.ceil(bits / 8)


def parameter_groups(model: nn.Module, lr: float, decay: float = 0.0) -> list[dict]:
    """Groups for Adam and its kin: weights get `lr`, a step `lr` times its own size.

    Adam moves every number by about its rate, however small the gradient is (it even
    undoes LSQ's factor), and a step of 0.01 must not move like a weight of 1. A zero
    point moves by such a share of its grid.
    """
    arguments.instance("model", model, nn.Module)
    lr = arguments.real_number("lr", lr, above=0)
    decay = arguments.real_number("decay", decay, least=0)
    groups = [{"params": [], "lr": lr, "weight_decay": d} for d in (decay, 0.0)]
    for name, p in model.named_parameters():
        owner, _, kind = name.rpartition(".")
        owner = model.get_submodule(owner)
        if isinstance(owner, FakeQuantize):
            owner.qparams()  # says so if there are none yet
            unit = p.mean().item() if kind == "scale" else owner.high - owner.low
            groups.append({"params": [p], "lr": lr * unit, "weight_decay": 0.0})
        else:
            groups[p.ndim <= 1]["params"].append(p)
    return groups
