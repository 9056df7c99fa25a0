"""What a caller may pass: the checks, each on values whose answer is known by hand."""

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from lib.basics import arguments, training
from lib.compression import quantize
from tests import walk
from tests.test_layout import ROOT, SUBJECT, page, tree

NO_NUMBERS = [None, "0.5", b"1", [1], {}, object(), True, np.bool_(True), 1j, "nan"]


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), torch.tensor(3), np.array(3)]
)
def test_a_whole_number_of_any_library_becomes_an_int(value):
    number = arguments.whole_number("budget", value, least=3, most=3)
    assert number == 3 and type(number) is int


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2.0, float("nan"), torch.tensor(2.0)])
def test_other_kinds_are_no_whole_number(value):
    with pytest.raises(ValueError, match=r"^budget is .*must be a whole number"):
        arguments.whole_number("budget", value)


def test_a_range_is_part_of_the_message():
    with pytest.raises(ValueError) as error:
        arguments.whole_number("budget", 0, least=1)
    assert str(error.value) == "budget is 0; it must be a whole number, 1 or more"
    with pytest.raises(ValueError, match="bits is 9; .* whole number, 2 to 8$"):
        arguments.whole_number("bits", 9, 2, 8)
    with pytest.raises(ValueError, match="lr is -1; .*finite number, above 0$"):
        arguments.real_number("lr", -1, above=0)
    with pytest.raises(ValueError, match="ratio is 1; .*, 0 or more and below 1$"):
        arguments.real_number("ratio", 1, least=0, below=1)


@pytest.mark.parametrize(
    "value", [0.5, Fraction(1, 2), np.float32(0.5), torch.tensor(0.5), np.array(0.5)]
)
def test_a_number_of_any_library_becomes_a_float(value):
    number = arguments.real_number("keep", value, above=0.25, below=0.75)
    assert number == 0.5 and type(number) is float


@pytest.mark.parametrize("value", [*NO_NUMBERS, float("nan"), float("inf"), 10**400])
def test_other_kinds_are_no_number(value):
    with pytest.raises(ValueError, match=r"^price is .*must be a finite number"):
        arguments.real_number("price", value)


def test_infinity_is_a_number_only_where_that_is_said():
    assert arguments.real_number("clip", float("inf"), infinite=True) == float("inf")
    with pytest.raises(ValueError, match="clip is nan; it must be a number$"):
        arguments.real_number("clip", float("nan"), infinite=True)


def test_seeds_reach_as_far_as_torch_takes_them():
    for value in (-(2**63), 2**63 - 1, np.int64(7)):
        torch.Generator().manual_seed(arguments.seed(value))
    with pytest.raises(ValueError, match="seed is"):
        arguments.seed(2**64)
    with pytest.raises(ValueError, match="seed is -1; .*0 to"):
        arguments.seed(-1, least=0)


def test_lists_of_numbers():
    for values in ([1, 3], (1, 3), np.array([1, 3]), torch.tensor([1, 3])):
        assert arguments.whole_numbers("rungs", values) == (1, 3)
    for values in (3, None, "13", [], {1: 2}, torch.tensor(3), np.array(3)):
        with pytest.raises(ValueError, match="^rungs is .*list of whole numbers"):
            arguments.whole_numbers("rungs", values)
    with pytest.raises(ValueError, match=r"^rungs\[1\] is 0.5"):
        arguments.whole_numbers("rungs", [1, 0.5])
    array = arguments.real_array("points", torch.ones(2, 3), 2)
    assert array.dtype == np.float64 and array.shape == (2, 3)
    wrong = [None, "ab", [[1], [1, 2]], [[np.nan]], [1.0], [["a"]], [[True]], {}]
    for values in [*wrong, torch.ones(2, 2, device="meta")]:
        with pytest.raises(ValueError, match="^points is .*array of 2 sides"):
            arguments.real_array("points", values, 2)


def test_instances_functions_flags_and_choices():
    assert arguments.instance("folder", Path("a"), Path) == Path("a")
    with pytest.raises(ValueError, match=r"^folder is 'a'; .* a Path \(call Path\)"):
        arguments.instance("folder", "a", Path, "call Path")
    assert arguments.function("evaluate", len, "evaluate(genotype)") is len
    with pytest.raises(ValueError, match=r"^evaluate is 3; .*, evaluate\(genotype\)"):
        arguments.function("evaluate", 3, "evaluate(genotype)")
    assert arguments.flag("sorted", np.bool_(False)) is False
    for value in (0, "no", None, torch.tensor(True)):
        with pytest.raises(ValueError, match="^sorted is .*True or False"):
            arguments.flag("sorted", value)
    assert arguments.one_of("split", "b", ("a", "b")) == "b"
    for value in ("c", None, ["a"], np.array(["a", "b"])):
        with pytest.raises(ValueError, match="^split is .*one of 'a', 'b'"):
            arguments.one_of("split", value, ("a", "b"))
    with pytest.raises(ValueError, match="^seed is True; .*one of 0, 1"):
        arguments.one_of("seed", True, (0, 1))
    assert arguments.path("file", Path("a") / "b") == str(Path("a") / "b")
    for value in (None, 3, b"a", "a\0b"):
        with pytest.raises(ValueError, match="^file is .*a path"):
            arguments.path("file", value)


def test_tensors_have_shape_and_kind():
    boxes = torch.zeros(7, 4)
    assert arguments.tensor("boxes", boxes, "N 4", torch.float32) is boxes
    assert arguments.tensor("boxes", boxes, "...") is boxes
    for value in (None, [[1, 2, 3, 4]], np.zeros((7, 4)), boxes[0], torch.zeros(7, 5)):
        with pytest.raises(ValueError, match=r"^boxes is .*tensor of shape \(N, 4\)$"):
            arguments.tensor("boxes", value, "N 4")
    with pytest.raises(ValueError) as error:
        arguments.tensor("labels", boxes, "N 4", torch.int64)
    assert str(error.value) == (
        "labels is a Tensor of shape (7, 4), torch.float32;"
        " it must be a tensor of shape (N, 4), torch.int64"
    )


def test_numbers_to_round_are_dense_and_in_float32_at_least():
    for kind in (torch.float64, torch.float32, torch.int32, torch.uint8, torch.bool):
        value = torch.ones(2, dtype=kind)
        assert arguments.real_tensor("x", value) is value
    for kind in (torch.float16, torch.bfloat16, torch.float8_e4m3fn):
        value = arguments.real_tensor("x", torch.ones(2).to(kind))
        assert value.dtype == torch.float32 and value.tolist() == [1, 1]
    ones = torch.ones(2, 2)
    for value, words in (
        (ones.to(torch.complex64), "complex"),
        (ones.to_sparse(), "sparse"),
        (torch.ones(2, device="meta"), "on the meta device"),
    ):
        with pytest.raises(ValueError, match=f"^x is a tensor that is {words};"):
            arguments.real_tensor("x", value)
    for value in (None, [1.0], np.ones(2), 1.0, "ones"):
        with pytest.raises(ValueError, match="^x is .*a dense tensor of real numbers"):
            arguments.real_tensor("x", value)


@arguments.named
def scaled(
    boxes: Float[Tensor, "N 4"],
    factors: Float[Tensor, " N"],
    times: int = 1,
    shift: float | int = 0.0,
    kept: Sequence[int] = (0,),
    size: tuple[int, int] = (1, 1),
) -> Tensor:
    """Boxes times their factors."""
    if times == 7:
        raise ValueError("times is 7, says the function itself")
    _, _, _, _ = boxes.unbind(1)  # four columns
    picked = torch.stack([boxes[i] * factors[i] for i in kept]) + shift
    return picked.repeat(times, 1).reshape(*size, -1)


def test_a_failed_call_names_what_its_signature_does_not_allow():
    good = {"boxes": torch.ones(1, 4), "factors": torch.ones(1)}
    assert scaled(**good).tolist() == [[[1, 1, 1, 1]]]
    for wrong, words in (
        (
            {"boxes": None},
            r"boxes is None; it must be a tensor of shape \(N, 4\), float",
        ),
        ({"boxes": torch.ones(1, 5)}, r"boxes is a Tensor of shape \(1, 5\)"),
        ({"boxes": torch.ones(2, 4), "kept": [0, 1]}, r"factors is .* shape \(1,\)"),
        ({"times": -1}, "times is -1; it must be a whole number, 0 or more"),
        ({"times": 2.0}, "times is 2.0; it must be a whole number"),
        ({"shift": "1"}, "shift is '1'; it must be a finite number or a whole number"),
        ({"kept": []}, "kept is .*; it must be one or more, each a whole number"),
        ({"kept": 3}, "kept is 3; "),
        ({"kept": [0, "a"]}, "kept is .*'a'"),
        ({"size": 4}, "size is 4; it must be 2 values: a whole number"),
        ({"size": (1, None)}, r"size is \(1, None\)"),
        ({"times": 7}, "times is 7, says the function itself"),
    ):
        with pytest.raises(ValueError, match="^" + words):
            scaled(**{**good, **wrong})


def test_what_a_signature_allows_fails_in_its_own_words():
    with pytest.raises(RuntimeError, match="shape"):  # 4 numbers are not 3 rows
        scaled(torch.ones(1, 4), torch.ones(1), size=(3, 1))
    with pytest.raises(TypeError, match="missing 1 required .*'factors'"):
        scaled(torch.ones(1, 4))
    with pytest.raises(IndexError):
        scaled(torch.ones(1, 4), torch.ones(1), kept=[9])


def test_a_trace_passes_through_a_named_function():
    class Scaled(torch.nn.Module):
        def forward(self, boxes, factors):
            return scaled(boxes, factors, 2, size=(2, boxes.shape[0]))

    given = torch.ones(1, 4), torch.full((1,), 3.0)
    program = torch.export.export(Scaled(), given)
    assert torch.equal(program.module()(*given), Scaled()(*given))


def test_long_values_are_cut_in_messages():
    assert len(arguments.shown("x" * 1000)) == arguments.LONGEST
    assert arguments.shown(torch.nn.ReLU()) == "a ReLU"


# --- the walk: every public function, wrong kinds for one argument at a time


def public(wing: str) -> set[str]:
    """The public functions of the modules of a wing that have a chapter."""
    names = set()
    for stem, number, _ in page(wing):
        if number:
            for node in tree(ROOT / "lib" / wing / f"{stem}.py").body:
                if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
                    names.add(f"{wing}.{stem}.{node.name}")
    return names


@pytest.mark.parametrize("wing", SUBJECT)
def test_every_public_function_is_walked_or_says_why_not(wing):
    names = public(wing)
    assert names <= {*walk.CALLS, *walk.NOT_WALKED}
    assert {name for name in walk.NOT_WALKED if name.startswith(wing + ".")} <= names


def test_wrong_arguments_are_refused_in_our_words_by_name():
    """In a process of its own: here beartype would answer before lib does."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.walk"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    *rows, end = map(json.loads, run.stdout.splitlines())
    assert end[0] == "the end"
    unclear = [f"{name}({wrong}={kind}): {said}" for name, wrong, kind, said in rows]
    assert not unclear, "\n".join(unclear)


def test_named_lets_a_signed_number_be_negative_and_finds_what_is_sparse():
    """By hand: -128 is the first signed byte; what is wrong beside it is named."""
    ends = torch.tensor([-1.0, 1.0])
    grid = quantize.scale_and_zero_point
    with pytest.raises(ValueError, match="high is 'x'; it must be a whole number"):
        grid(ends, ends, -128, "x")
    with pytest.raises(ValueError, match="least is a sparse Tensor of shape"):
        grid(ends.to_sparse(), ends, -128, 127)
    with pytest.raises(ValueError, match="most is a Tensor .*complex64"):
        grid(ends, ends.to(torch.complex64), -128, 127)


@pytest.mark.parametrize("beyond", [3, 12, -1])
def test_a_label_beyond_the_classes_is_named(beyond):
    """Three classes are 0, 1 and 2, by hand; COCO's ids begin at 1, a usual slip."""
    labels = torch.tensor([0, 2, beyond])
    told = f"labels: {beyond} is none of the 3 that there are, 0 to 2"
    with pytest.raises(ValueError, match=told):
        training.cross_entropy(torch.zeros(3, 3), labels)
    model, pictures = training.small_cnn((4,), 3), torch.zeros(3, 3, 8, 8).byte()
    with pytest.raises(ValueError, match=told):
        loss = training.classification_loss()
        training.fit(model, (pictures, labels), loss, steps=1, batch_size=3)
    with pytest.raises(ValueError, match=f"labels hold {beyond}: .* 3 classes, from 0"):
        training.accuracy(model, pictures, labels)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_tensor_that_does_not_broadcast_is_named(device):
    """By hand: sides 3 and 1 broadcast, 3 and 2 do not."""

    @arguments.named
    def scaled(
        x: Float[Tensor, "..."], scale: Float[Tensor, "..."]
    ) -> Float[Tensor, "..."]:
        return x * scale

    x = torch.ones(2, 3, device=device)
    assert scaled(x, torch.ones(2, 1, device=device)).shape == (2, 3)
    told = r"scale is a Tensor of shape \(2,\).* broadcasts with x, of shape \(2, 3\)"
    with pytest.raises(ValueError, match=told):
        scaled(x, torch.ones(2, device=device))
