"""What a network costs: parameters, multiply-adds, milliseconds, megabytes.

Four numbers, and they disagree. Parameters, multiply-adds and activation memory follow
from shapes: exact, the same on every machine, known before a weight is drawn (also
under `torch.device("meta")`). Latency belongs to one machine and one moment: measured,
repeated, given with a spread. The Pareto front says who is worth a second look.

Chapter 03. FLOPs in the papers of this course are multiply-adds (EfficientDet,
arxiv.org/abs/1911.09070, caption of Table 2); PyTorch's counter counts each one twice.
"""

import copy
import logging
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from lib.basics import arguments, modes

# The timer brings torch's extension compiler, which complains of a missing GPU.
_compiler = logging.getLogger("torch.utils.cpp_extension")
_compiler.addFilter(lambda record: "No CUDA runtime" not in str(record.msg))
from torch.utils.benchmark import Timer  # noqa: E402  (after the filter)

Number = int | float
Numbers = Sequence[Number] | Tensor  # one value a point


# --- parameters ----------------------------------------------------------------------
@dataclass(frozen=True)
class Sizes:
    """Numbers of values that a model stores, and the bytes they take."""

    trainable: int
    frozen: int
    buffers: int
    bytes: int


def sizes(model: nn.Module) -> Sizes:
    """Values a model stores: trainable and frozen parameters, and buffers.

    A tensor used twice (tied weights) counts once. The running statistics of a batch
    norm are buffers: part of the file, not of the "parameters" that papers print.

    >>> sizes(nn.Conv2d(3, 8, 3)).trainable  # 8 filters of 3 * 9, and 8 biases
    224
    """
    arguments.instance("model", model, nn.Module)
    weights = list(model.parameters())
    buffers = list(model.buffers())
    tensors = weights + buffers
    for tensor in tensors:
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            name = type(model).__name__
            raise ValueError(f"{name} holds a lazy parameter: run it once, then count")
    trainable = frozen = 0
    for weight in weights:
        if weight.requires_grad:
            trainable += weight.numel()
        else:
            frozen += weight.numel()
    in_buffers = sum(b.numel() for b in buffers)
    return Sizes(trainable, frozen, in_buffers, sum(t.nbytes for t in tensors))


def parameters(model: nn.Module) -> int:
    """Number of trainable parameters: the number papers print."""
    return sizes(model).trainable


def _tensors(inputs: tuple) -> list[Tensor]:
    """The tensors among a model's inputs; ValueError if there are none."""
    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
    if not tensors:
        raise arguments.refuse("inputs", inputs, "tensors, as the model takes them")
    return tensors


@contextmanager
def _one_kind_of_number(model: nn.Module, inputs: tuple) -> Iterator[None]:
    """ValueError where a pass fails and weights and inputs are of two kinds."""
    try:
        yield
    except RuntimeError as error:
        kinds = []
        for tensors in (model.parameters(), _tensors(inputs)):
            kinds.append({str(t.dtype) for t in tensors if t.is_floating_point()})
        weights, given = kinds
        if weights and given and weights != given:
            told = f"inputs are {', '.join(sorted(given))} and the model's weights"
            raise ValueError(
                f"{told} {', '.join(sorted(weights))}: give both the same, as by .to()"
            ) from error
        raise


# --- multiply-adds -------------------------------------------------------------------
@arguments.named
def grouped_conv_macs(
    c_in: int, c_out: int, kernel: int, stride: int, padding: int, groups: int,
    side: int,
) -> int:  # fmt: skip
    """Multiply-adds of a square convolution on one square picture.

    A filter of `kernel` x `kernel` moves `stride` pixels at a time over a picture of
    `side` pixels with `padding` zeros on each of its four sides; a place counts if the
    whole filter fits. With groups each output reads c_in / groups channels. Eq. 3.2.

    >>> grouped_conv_macs(3, 8, 3, 1, 1, 1, 16)  # 16 * 16 places, 8 filters of 3 * 9
    55296
    >>> grouped_conv_macs(8, 8, 3, 1, 1, 8, 16)  # depthwise: 8 filters of 1 * 9
    18432
    """
    places = (side + 2 * padding - kernel) // stride + 1  # along each side
    products = (c_in // groups) * kernel * kernel  # of one output, at one place
    return places * places * c_out * products


def _convolution_flops(
    x, w, _bias, stride, padding, dilation, transposed, *rest, out_shape, **_
) -> int:
    """FLOPs of one convolution, for PyTorch's counter: two for each multiply-add."""
    batch, c_in, *sides = x
    c_out, _, *kernels = w
    ways = sides, kernels, stride, padding, dilation
    side, k, step, pad, spread = (way[0] for way in ways)
    is_square = len(sides) == 2 and all(len(set(way)) == 1 for way in ways)
    if not is_square or spread > 1 or transposed:
        return conv_flop_count(x, w, out_shape, transposed=transposed)
    return 2 * batch * int(grouped_conv_macs(c_in, c_out, k, step, pad, rest[-1], side))


def _count(model: nn.Module, inputs: tuple) -> FlopCounterMode:
    _tensors(inputs)
    formulas = {torch.ops.aten.convolution: _convolution_flops}
    fast = torch.backends.mha.get_fastpath_enabled()
    # PyTorch's counter knows no formula for the fused attention kernels and would leave
    # them out without a word: a ViT-B/16 on the CPU would lose a third of its cost.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            modes.evaluation(model),
            _one_kind_of_number(model, inputs),
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False, custom_mapping=formulas) as counter,
        ):
            model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter


def macs(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of one forward pass on these inputs, for the whole batch.

    Counts convolutions and matrix products (linear layers, attention). Leaves out
    biases, normalisation, activations, pooling, resizing and elementwise products, as
    published counts do. Padding counts as if it were picture. The model runs once, in
    evaluation mode, and is left as it was. Square convolutions are counted by
    `grouped_conv_macs`, all else by torch.utils.flop_counter, halved.

    >>> layer = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
    >>> macs(layer, torch.zeros(1, 4, 10, 10))  # 5 * 5 places, 8 filters of 2 * 9
    3600
    """
    arguments.instance("model", model, nn.Module)
    counter = _count(model, inputs)
    return counter.get_total_flops() // 2


def macs_by_module(model: nn.Module, *inputs: Tensor, depth: int = 1) -> dict[str, int]:
    """Multiply-adds of each part, at most `depth` levels below the model.

    Keys are names as in `named_modules`, in the order the parts ran. What the model
    computes outside these parts stands under "(rest)"; the values sum to `macs`. Parts
    without multiply-adds have no row.
    """
    arguments.instance("model", model, nn.Module)
    if arguments.whole_number("depth", depth) < 1:
        raise ValueError(f"depth is {depth}: the children of the model are at depth 1")
    counter, rows = _count(model, inputs), {}
    for key, operators in counter.get_flop_counts().items():
        head, _, name = key.partition(".")  # "ResNet.layer1.0"; also "Global"
        if head == type(model).__name__ and name and name.count(".") < depth:
            rows[name] = sum(operators.values()) // 2
    leaves = {
        name: value
        for name, value in rows.items()
        if not any(other.startswith(f"{name}.") for other in rows)
    }
    leaves["(rest)"] = counter.get_total_flops() // 2 - sum(leaves.values())
    return {name: value for name, value in leaves.items() if value}


# --- milliseconds --------------------------------------------------------------------
@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call: the median, and how far the middle half spreads."""

    median: float
    iqr: float
    repeats: int
    threads: int
    times: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Comparison:
    """A latency and its ratio to the first competitor, taken round by round."""

    latency: Latency
    ratio: float
    ratio_iqr: float


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Median and interquartile range (linear interpolation)."""
    quartiles = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, middle, high = torch.tensor(values, dtype=torch.float64).quantile(quartiles)
    return middle.item(), (high - low).item()


def interleave(
    functions: dict[str, Callable[[], object]],
    *,
    threads: int = 1,
    repeats: int = 15,
    block: Number = 5.0,
) -> dict[str, Latency]:
    """Latency of each function (called without arguments), timed in turns.

    One round times every function once, and the next round starts with another one: a
    machine that slows down for a second then slows all of them. Each time is the mean
    over a block of calls at least `block` milliseconds long, after two calls that are
    not counted. On an accelerator the clock waits until its queue is empty.
    `Latency.times` holds the rounds in order. Source: torch.utils.benchmark.Timer.
    """
    for name, value in {"threads": threads, "repeats": repeats}.items():
        arguments.whole_number(name, value, 1, 10**6)
    arguments.real_number("block", block, least=0, most=10**6)
    arguments.instance("functions", functions, dict)
    for name, function in functions.items():
        arguments.function(f"functions[{name!r}]", function, "without arguments")
    if not functions:
        raise ValueError("nothing to time: `functions` is empty")
    timers = {
        name: Timer("call()", globals={"call": function}, num_threads=threads)
        for name, function in functions.items()
    }
    calls = {name: _calls_in_block(timer, block) for name, timer in timers.items()}

    times: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for turn in range(repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds = timers[name].timeit(calls[name]).median  # of one call
            times[name].append(1000 * seconds)
    return {
        name: Latency(*_middle(values), repeats, threads, tuple(values))
        for name, values in times.items()
    }


def _calls_in_block(timer: Timer, block: Number) -> int:
    """How many calls take at least `block` milliseconds, after two that warm up."""
    timer.timeit(1)  # first calls allocate, choose kernels, fill caches
    milliseconds = 1000 * timer.timeit(1).median
    return max(1, math.ceil(block / milliseconds))


def compare(
    models: dict[str, nn.Module], *inputs: Tensor, **timing: Number
) -> dict[str, Comparison]:
    """Latency of several models on the same inputs, in turns, and their ratios.

    The first model is the yardstick (ratio 1). The ratio is the median over rounds of
    time / time of the first in that round: both met the same neighbours. Evaluation
    mode, no gradients. `timing`: threads, repeats and block, as for `interleave`.
    """
    arguments.instance("models", models, dict)
    for name, model in models.items():
        arguments.instance(f"models[{name!r}]", model, nn.Module)
    together, given = nn.ModuleList(models.values()), _tensors(inputs)
    if any(tensor.is_meta for tensor in [*together.parameters(), *given]):
        raise ValueError("nothing runs on the meta device: use a real one for times")
    calls = {name: partial(model, *inputs) for name, model in models.items()}
    fitting = _one_kind_of_number(together, inputs)
    with modes.evaluation(together), torch.inference_mode(), fitting:
        latencies = interleave(calls, **timing)
    yardstick = next(iter(latencies.values())).times
    result = {}
    for name, taken in latencies.items():
        ratios = [t / base for t, base in zip(taken.times, yardstick, strict=True)]
        result[name] = Comparison(taken, *_middle(ratios))
    return result


def latency(model: nn.Module, *inputs: Tensor, **timing: Number) -> Latency:
    """Milliseconds of one forward pass, alone; `timing` as for `interleave`.

    To rank models use `compare`: two runs in sequence may meet two different machines.
    """
    arguments.instance("model", model, nn.Module)
    return compare({"model": model}, *inputs, **timing)["model"].latency


# --- megabytes -----------------------------------------------------------------------
class _Live(TorchDispatchMode):
    """Adds up the storages that are alive and that were not there before."""

    def __init__(self, known: list[Tensor]):
        super().__init__()
        self.now = self.peak = 0
        self.seen = {id(tensor.untyped_storage()) for tensor in known}
        self.known = known  # keeps them alive, so that no id is given out again

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        with self:  # take composite operators apart: they make tensors inside
            out = func.decompose(*args, **(kwargs or {}))
        if out is NotImplemented:
            out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.add(tensor.untyped_storage())
        return out

    def add(self, storage: torch.UntypedStorage) -> None:
        if id(storage) not in self.seen:  # a view or an in-place result is no news
            self.seen.add(id(storage))
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.drop, id(storage), storage.nbytes())

    def drop(self, key: int, nbytes: int) -> None:
        self.seen.discard(key)
        self.now -= nbytes


def peak_memory(model: nn.Module, *inputs: Tensor) -> int:
    """Most bytes of activations alive at one moment of a forward pass.

    Weights and inputs are not in it (`sizes(model).bytes`, `input.nbytes`). On a CUDA
    device: what the allocator reports (torch.cuda.max_memory_allocated), with the
    kernels' scratch space. Elsewhere: the sizes of the tensors the pass makes, each
    from its making to its release, without scratch space. So also on "meta", where a
    batch norm returns a few hundred bytes of statistics that the CPU leaves out.
    """
    there_before = [*model.parameters(), *model.buffers(), *_tensors(inputs)]
    device = next((t.device for t in there_before if t.is_cuda), None)
    fitting = _one_kind_of_number(model, inputs)
    with modes.evaluation(model), torch.no_grad(), fitting:
        if device is not None:
            return _peak_on_gpu(model, inputs, device)
        with _Live(there_before) as live:
            model(*inputs)
    return live.peak


def _peak_on_gpu(model: nn.Module, inputs: tuple, device: torch.device) -> int:
    """What the allocator says was most, above what was held before the pass."""
    model(*inputs)  # the first call also loads kernels and picks algorithms
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    model(*inputs)
    return torch.cuda.max_memory_allocated(device) - before


def kept_for_backward(model: nn.Module, *inputs: Tensor) -> int:
    """Bytes that a training-mode forward pass keeps for the backward pass.

    Every tensor that some derivative needs, each storage once, without the parameters
    and the inputs. Works on a copy: gradients and running statistics stay.
    """
    arguments.instance("model", model, nn.Module)
    model = copy.deepcopy(model).train()
    held = [*model.parameters(), *model.buffers(), *_tensors(inputs)]
    known = {id(tensor.untyped_storage()) for tensor in held}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in known:
            kept[id(storage)] = storage
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with torch.enable_grad(), hooks, _one_kind_of_number(model, inputs):
        model(*inputs)
    return sum(storage.nbytes() for storage in kept.values())


# --- choosing ------------------------------------------------------------------------
def pareto_front(cost: Numbers, quality: Numbers) -> list[int]:
    """Indices of the points that nothing dominates, by rising cost.

    A point is dominated if another costs no more and is no worse, and is strictly
    better in one of the two. Equal points do not dominate each other: all stay.

    >>> pareto_front([1, 2, 3, 4], [60, 70, 65, 71])  # 2 gives more than 3 does
    [0, 1, 3]
    """
    points = _points(cost, quality)
    front = undominated(points)
    return sorted(front, key=lambda index: (points[index][0], index))


def undominated(points: Sequence[tuple[Number, Number]]) -> list[int]:
    """Indices of the points (cost, quality) that no other dominates, in their order.

    Less cost and more quality are better. One point dominates another if it costs no
    more and is no worse, and is strictly better in one of the two. So equal points do
    not dominate each other: all stay, or none. Eq. 3.6.

    >>> undominated([(3, 65), (1, 60), (2, 70)])  # (2, 70) costs less than the first
    [1, 2]
    >>> undominated([(2, 70), (1, 70), (1, 70)])  # the same, for less
    [1, 2]
    """

    def cheapest_first(index: int):
        cost, quality = points[index]
        return cost, -quality  # of equal costs the best comes first

    front: list[int] = []
    for index in sorted(range(len(points)), key=cheapest_first):
        best = points[front[-1]] if front else None  # so far, and no dearer
        if best is None or points[index][1] > best[1] or points[index] == best:
            front.append(index)
    return sorted(front)


def _points(cost: Numbers, quality: Numbers) -> list[tuple[float, float]]:
    """(cost, quality) of each point; ValueError for a NaN, or one list too short."""
    for name, values in {"cost": cost, "quality": quality}.items():
        _insist_numbers(name, values)
    if len(cost) != len(quality):
        raise ValueError(
            f"{len(cost)} costs but {len(quality)} qualities: cost and quality need one"
            " number each for every point"
        )
    points = [(float(c), float(q)) for c, q in zip(cost, quality, strict=True)]
    for index, point in enumerate(points):
        if any(map(math.isnan, point)):
            raise ValueError(f"point {index} is {point}: NaN compares with nothing")
    return points


def _insist_numbers(name: str, values) -> None:
    """ValueError unless these are numbers one after the other; NaN may be among."""
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64)
        fits = numbers.ndim == 1 and not isinstance(values, dict | str)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        fits = False
    if not fits:
        raise arguments.refuse(name, values, "a list of numbers, one for each point")


def hypervolume(
    cost: Numbers, quality: Numbers, reference: tuple[Number, Number]
) -> Number:
    """Area between the front and a reference point (cost, quality): more is better.

    Points that cost more than the reference, or are worse, add nothing.
    """
    _insist_numbers("reference", reference)
    if len(reference) != 2:
        raise arguments.refuse("reference", reference, "two numbers, cost and quality")
    most, reached = reference
    area = 0
    for index in pareto_front(cost, quality):
        c, q = float(cost[index]), float(quality[index])
        if c < most and q > reached:
            area += (most - c) * (q - reached)
            reached = q
    return area
