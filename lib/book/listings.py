"""The two programs that the course's article prints, told in our own words.

Both are one program with two names. It makes a fixed list of layers, calls the list a
search space (or a pruning policy), and builds a model from it. It cannot run, for three
reasons, and each function here meets one of them: `name_taken`, `not_connected`,
`no_data`. `Stub` stands in for the library that the programs call: it knows which layer
was called on what, and nothing else.

Chapter 24. Support for `24_frontiers`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

SIDE = 224  # pixels of the picture that the programs declare


class Stub(NamedTuple):
    """What a layer gives when it is called: a tensor that knows where it comes from."""

    layers: tuple[str, ...]


def picture() -> Stub:
    """The input of a model: no layer was called yet."""
    return Stub(())


def called(layer: nn.Module, x: Stub) -> Stub:
    """The tensor behind one more layer."""
    return Stub((*x.layers, type(layer).__name__))


def model(inputs: Stub, outputs) -> tuple[str, ...]:
    """The layers between input and output; ValueError if nothing joins them."""
    if not isinstance(outputs, Stub):
        kinds = ", ".join(type(layer).__name__ for layer in outputs)
        raise ValueError(
            f"outputs are {len(outputs)} layers ({kinds}) and no tensor: no layer was"
            " called, so nothing joins them to the input"
        )
    return outputs.layers[len(inputs.layers) :]


def fixed() -> list[nn.Module]:
    """The programs' "space": always the same five layers, as PyTorch has them."""
    inside = SIDE - 2  # a 3x3 convolution without padding loses a pixel on each side
    places = (inside // 2) ** 2
    with torch.device("meta"):  # shapes alone: nobody needs 50 million weights
        return [
            nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU()),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * places, 128),
            nn.Linear(128, 10),
        ]


def name_taken() -> list[nn.Module]:
    """First fault: a name that a function assigns is the function's own everywhere."""
    fixed = fixed()  # noqa: F823  (the fault that is shown)
    return fixed


def not_connected() -> tuple[str, ...]:
    """Second fault: the layers are handed over as outputs, and none was called."""
    return model(picture(), fixed())


def no_data() -> None:
    """Third fault: what the model should learn from is never made."""
    fit(joined(), pictures, labels)  # noqa: F821  (the fault that is shown)


def fit(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Training, as the programs call it: here it is never reached."""


def joined() -> nn.Sequential:
    """What was meant: each layer is called on what the one before it gave."""
    return nn.Sequential(*fixed())


def said(program: Callable[[], object]) -> str:
    """What Python says when a program is run: its error, or that there is none."""
    try:
        program()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "runs"
