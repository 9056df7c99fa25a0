"""Calls of quantization's public functions, each argument of the wrong kind in turn.

Run by test_wrong_kinds in a process of its own: pytest checks the types of lib's
functions by jaxtyping, and a learner's kernel does not. Prints one JSON line for each
public name of the modules; `faults` are the calls that nothing of ours refused.
"""

import copy
import inspect
import json
import signal
import sys
import traceback
import warnings

import numpy as np
import torch
from torch import nn

import lib
from lib.compression import (
    arithmetic,
    checked,
    deployed,
    grids,
    histograms,
    integer,
    qat,
    quantize,
    rounding,
)

torch.manual_seed(0)
torch.set_num_threads(1)
warnings.simplefilter("error")

X = torch.randn(2, 3, 8, 8)
MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
FLAT = deployed.deployed(MODEL, X)
ROUNDS = qat.calibrate(qat.prepare(FLAT), X)
NETWORK = integer.convert(ROUNDS)
GRID = quantize.from_range(-1.0, 2.0, bits=8, signed=False)
FILTERS = quantize.QParams(torch.tensor(0.01), torch.tensor(0), -127, 127)
STAGE = arithmetic.choose_output_stage(0.01, GRID)
Q = torch.randint(0, 256, (2, 3, 8, 8))
W = torch.randint(-127, 128, (4, 3, 3, 3))
B = torch.zeros(4, dtype=torch.int32)
NODE = next(iter(FLAT.graph.nodes))
OTHER = copy.deepcopy(FLAT)
STEPS, INSIDE = torch.ones(4), torch.ones(4, dtype=torch.bool)
SCALE, ZERO = torch.tensor(0.1), torch.tensor(0.0)
DAMAGE, SIZES = {"a": {8: 0.0, 4: 1.0}}, {"a": 10}


def observed(kind):
    made = kind()
    made.observe(X)
    return made


def weighted_sum(zero_points, weights, stage):
    maps = {"zero_points": zero_points, "weights": weights, "stage": stage}
    return arithmetic.weighted_sum(Q, Q, **maps)


def concat(zero_points, stage, axis):
    return arithmetic.concat(Q, Q, zero_points=zero_points, stage=stage, axis=axis)


PAIR = STAGE._replace(
    multiplier=torch.tensor([2**30, 2**30]),
    shift=torch.tensor([31, 31]),
    offset=torch.zeros(2).long(),
)


# A call that works, for each public function and method: the arguments by name.
GOOD = {
    (quantize.integer_range,): {"bits": 8, "symmetric": True, "signed": True},
    (quantize.scale_and_zero_point,): {
        "least": torch.tensor(-1.0), "most": torch.tensor(2.0), "low": 0, "high": 255,
    },
    (quantize.from_range,): {
        "least": -1.0, "most": 2.0, "bits": 8, "symmetric": False, "signed": True,
        "axis": 0, "group": 4,
    },
    (quantize.choose_qparams,): {
        "x": X, "bits": 8, "symmetric": False, "signed": True, "axis": 0, "group": 4,
    },
    (quantize.quantize,): {"x": X, "qparams": GRID},
    (quantize.dequantize,): {"q": Q, "qparams": GRID},
    (quantize.onto_grid,): {
        "x": X, "scale": GRID.scale, "zero_point": GRID.zero_point,
        "low": 0, "high": 255,
    },
    (quantize.rounded,): {"x": X, "qparams": GRID},
    (quantize.sqnr,): {"x": X, "y": X + 1},
    (quantize.expected_sqnr,): {"x": X, "qparams": GRID},
    (quantize.MinMax, quantize.HistogramObserver, quantize.MSE, quantize.Entropy): {
        "axis": 0
    },
    (quantize.Percentile,): {"axis": 0, "keep": 0.9},
    (
        quantize.MinMax().observe, quantize.Percentile().observe,
        quantize.MSE().observe, quantize.Entropy().observe,
    ): {"x": X},
    (
        observed(quantize.MinMax).qparams, observed(quantize.Percentile).qparams,
        observed(quantize.MSE).qparams, observed(quantize.Entropy).qparams,
    ): {"bits": 8, "symmetric": False, "signed": True},
    (histograms.divergence,): {"counts": torch.ones(9), "end": 8, "levels": 4},
    (histograms.least_divergent_end,): {
        "counts": torch.ones(2, 2048).double(), "levels": 128,
    },
    (histograms.ranges,): {
        "least": torch.tensor(-1.0), "most": torch.tensor(2.0), "symmetric": False,
    },
    (histograms.Histogram,): {"grids": 3},
    (histograms.Histogram(2).add,): {"rows": torch.ones(2, 5)},
    (grids.operation, grids.name_after, grids.keeps): {"node": NODE},
    (grids.places,): {"graph": FLAT.graph},
    (grids.settle,): {"model": ROUNDS},
    (grids.above,): {"node": NODE, "kind": qat.FakeQuantize},
    (grids.insert,): {
        "model": OTHER, "node": next(iter(OTHER.graph.nodes)), "name": "relu",
        "module": nn.ReLU(),
    },
    (qat.Scheme,): {
        "bits": 8, "symmetric": True, "signed": True, "axis": 0,
        "observer": quantize.MinMax, "learned": False,
    },
    (rounding.rounded_steps,): {
        "x": X, "scale": SCALE, "zero": ZERO, "low": -8, "high": 7,
    },
    (rounding.straight_through,): {
        "x": X, "scale": SCALE, "zero": ZERO, "low": -8, "high": 7,
    },
    (rounding.fake_quantize,): {
        "x": X, "scale": SCALE, "zero": ZERO, "low": -8, "high": 7, "gain": 0.5,
    },
    (rounding.step_gradient,): {
        "x": STEPS, "scale": SCALE, "steps": STEPS, "inside": INSIDE,
    },
    (qat.FakeQuantize,): {"scheme": qat.WEIGHTS, "channels": 4, "name": "a map"},
    (qat.FakeQuantize(qat.ACTIVATIONS).set,): {"qparams": GRID},
    (qat.prepare,): {
        "graph": FLAT, "weights": qat.WEIGHTS, "activations": qat.ACTIVATIONS,
        "bits": {"conv_0_0": 4}, "outputs": True, "keep_float": ["conv_0_0"],
    },
    (qat.layers, qat.maps, qat.size): {"model": ROUNDS},
    (qat.calibrate,): {"model": ROUNDS, "batches": [X]},
    (qat.with_bits,): {"model": ROUNDS, "bits": {"conv_0_0": 4}},
    (qat.sensitivity,): {
        "model": ROUNDS, "judge": lambda m: 0.0, "bits": [4], "of": "maps",
    },
    (qat.allocate,): {"damage": DAMAGE, "sizes": SIZES, "budget": 60},
    (qat.parameter_groups,): {"model": ROUNDS, "lr": 0.1, "decay": 0.1},
    (arithmetic.fixed_point,): {"factor": 0.5},
    (arithmetic.common_step,): {"steps": [0.5, 0.1], "largest": [255, 255]},
    (arithmetic.accumulator_bound,): {"weight": W, "bias": B, "largest": 128},
    (arithmetic.rounded_shift,): {"product": Q, "shift": 2},
    (arithmetic.to_next_map,): {
        "sums": Q, "multiplier": torch.tensor(3), "shift": torch.tensor(2),
        "offset": torch.tensor(0), "zero_point": torch.tensor(1),
        "low": torch.tensor(0), "high": torch.tensor(9),
    },
    (arithmetic.requantize,): {"accumulators": Q, "stage": STAGE, "axis": 1},
    (arithmetic.largest_magnitude,): {"grid": GRID},
    (arithmetic.bounds,): {"grid": GRID, "lower": 0.0, "upper": 6.0},
    (arithmetic.choose_output_stage,): {
        "factor": 0.5, "out": GRID, "lower": 0.0, "upper": 6.0, "rest": 0.1,
    },
    (arithmetic.integer_layer,): {
        "weight": W, "bias": torch.zeros(4), "weight_grid": FILTERS, "input_grid": GRID,
    },
    (arithmetic.accumulate,): {"x": Q, "weight": W, "bias": B, "zero_point": 3},
    (arithmetic.accumulate_linear,): {
        "x": Q[:, :, 0, 0], "weight": W[:, :, 0, 0], "bias": B, "zero_point": 3,
    },
    (weighted_sum,): {
        "zero_points": (3, 3), "weights": torch.tensor([1, 2]), "stage": STAGE,
    },
    (concat,): {"zero_points": (3, 3), "stage": PAIR, "axis": 1},
    (arithmetic.conv2d,): {
        "x": Q, "weight": W, "bias": B, "zero_point": 3, "stage": STAGE,
    },
    (arithmetic.linear,): {
        "x": Q[:, :, 0, 0], "weight": W[:, :, 0, 0], "bias": B, "zero_point": 3,
        "stage": STAGE,
    },
    (arithmetic.multiply,): {
        "x": Q, "y": Q, "zero_points": (3, 3), "stage": STAGE,
    },
    (arithmetic.average_pool,): {
        "x": Q, "zero_point": 3, "stage": STAGE, "kernel": 2,
    },
    (arithmetic.mean,): {"x": Q, "zero_point": 3, "stage": STAGE, "dim": (2, 3)},
    (arithmetic.max_pool,): {"x": Q, "window": (2,)},
    (arithmetic.nearest,): {"x": Q, "size": (4, 4)},
    (arithmetic.pad,): {"x": Q, "sides": (1, 1), "value": 3},
    (arithmetic.clip,): {"x": Q, "low": 0, "high": 9},
    (arithmetic.lookup,): {"x": Q, "table": torch.arange(256), "low": 0},
    (arithmetic.slow_convolution,): {
        "x": [[[1, 2], [3, 4]]], "weight": [[[[1]]]], "bias": [0], "zero_point": 0,
    },
    (arithmetic.sum_of_products,): {
        "window": [[[1]]], "kernel": [[[1]]], "start": 0, "zero_point": 0,
    },
    (integer.convert,): {"fake_quantized": ROUNDS},
    (integer.differences,): {
        "fake_quantized": ROUNDS, "network": NETWORK, "images": X, "travel": False,
    },
    (NETWORK.integers, NETWORK.forward): {"images": X},
    (checked.damages,): {"damage": DAMAGE, "sizes": SIZES},
    (checked.costs,): {"damage": DAMAGE, "cost": {"a": {8: 0.8, 4: 0.5}}},
}  # fmt: skip

WRONG = [
    None, "eight", b"8", 1.5, float("nan"), [], {}, {"a": 1}, object(), ["a"], [None],
    np.ones(3), (1, 2, 3), 1j, MODEL, torch.ones(3, dtype=torch.complex64),
    torch.ones(2, 2).to_sparse(), torch.ones(2, 2, device="meta"), -1, 10**30, True,
]  # fmt: skip
OURS = str(lib.ROOT / "lib")


def fault(call, arguments: dict, name: str) -> str | None:
    """What is wrong with a refusal: its kind, or that it does not name the argument."""
    signal.alarm(5)  # whoever counts to 10 ** 30 is stopped
    try:
        call(**arguments)
        return None  # such a value may be meant: whole numbers for real ones, None, ...
    except (ValueError, TypeError) as error:
        if "saw no data" in str(error) or arguments.get("judge") is MODEL:
            return None  # an empty list of batches; a network that is called as judge
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if not raised_in.startswith(OURS):
            return f"of {raised_in.rpartition('site-packages')[2]}: {error}"
        named = name.removesuffix("s") in str(error)  # zero_points: which zero_point
        return None if named else f"does not name it: {error}"
    except OverflowError as error:
        return None if "more than 32 bits" in str(error) else str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)


def too_long(signum, frame):
    raise TimeoutError("still running after 20 s")


def main() -> None:
    signal.signal(signal.SIGALRM, too_long)
    for calls, arguments in GOOD.items():
        for call in calls:
            faults = []
            if call is not grids.insert:  # changes the graph
                call(**arguments)
            for name in arguments:
                for wrong in WRONG:
                    told = fault(call, {**arguments, name: wrong}, name)
                    if told:
                        faults.append(f"{name}={str(wrong)[:30]!r}: {told[:120]}")
            row = {"name": call.__qualname__, "faults": faults}
            print(json.dumps(row), flush=True)
    modules = quantize, histograms, grids, qat, arithmetic, integer
    public = [
        name
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
    ]
    print(json.dumps({"public": public}))


if __name__ == "__main__":
    sys.exit(main())
