"""An answer's text is complete by itself: run alone, it does what the answer does."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import lib
from lib.exercises import sources
from tests.cells import Notebook


def alone(text: str) -> dict:
    """The names that a text defines, run with nothing around it."""
    names = {}
    exec(compile(text, "alone", "exec"), names)
    return names


# Each: cells of a notebook that define `f`, an argument, and f of it by hand.
ANSWERS = {
    "a plain function": (["def f(x):\n    return x + 1"], 2, 3),
    "a name for several types": (
        [
            "from torch import Tensor",
            "Number = int | float | Tensor | None",
            "def f(x: Number):\n    assert isinstance(x, Number)\n    return 2 * x",
        ],
        1.5,
        3.0,
    ),
    "a name for a type with parts": (
        ["Row = tuple[int, list[str]]", "def f(x: Row) -> int:\n    return x[0]"],
        (4, ["a"]),
        4,
    ),
    "an import": (["import math", "def f(x):\n    return math.sqrt(x)"], 9, 3.0),
    "an import with another name": (
        ["from math import sqrt as root", "def f(x):\n    return root(x)"], 9, 3.0
    ),
    "a number of another cell": (["K = 3", "def f(x):\n    return K * x"], 2, 6),
    "a helper and its helper": (
        ["def g(x):\n    return x + 1", "def h(x):\n    return 2 * g(x)",
         "def f(x):\n    return h(x) + g(x)"], 1, 6
    ),
    "a helper defined anew": (
        ["def g(x):\n    return x", "def g(x):\n    return -x",
         "def f(x):\n    return g(x)"], 2, -2
    ),
    "a helper defined anew in one cell": (
        ["def g(x):\n    return x\n\ndef g(x):\n    return -x\n\n"
         "def f(x):\n    return g(x)"], 2, -2
    ),
    "a number changed after the definition": (
        ["K = 1\ndef f(x):\n    return K * x", "K = 5"], 2, 10
    ),
    "a lambda": (["f = lambda x: x * x"], 4, 16),
    "the second lambda of a line": (
        ["pair = (lambda x: x, lambda x: x * 10); f = pair[1]"], 4, 40
    ),
    "a lambda over lines": (["f = (\n    lambda x:\n        x - 1\n)"], 4, 3),
    "a lambda as a helper": (
        ["g = lambda x: x * x", "def f(x):\n    return g(x)"], 3, 9
    ),
    "a closure": (
        ["def make(k):\n    def f(x):\n        return k * x\n    return f",
         "f = make(7)"], 2, 14
    ),
    "a closure over a function": (
        ["def make(g):\n    def f(x):\n        return g(x)\n    return f",
         "f = make(lambda x: x + 9)"], 1, 10
    ),
    "a nested helper": (
        ["def f(x):\n    def inner(y):\n        return y + K\n    return inner(x)",
         "K = 4"], 1, 5
    ),
    "a name only a comprehension uses": (
        ["K = 2", "def f(x):\n    return [K * i for i in range(x)]"], 3, [0, 2, 4]
    ),
    "recursion": (["def f(x):\n    return 1 if x < 2 else x * f(x - 1)"], 5, 120),
    "mutual recursion": (
        ["def even(x):\n    return x == 0 or odd(x - 1)",
         "def odd(x):\n    return x > 0 and even(x - 1)",
         "def f(x):\n    return even(x)"], 6, True
    ),
    "a decorator of another cell": (
        ["import functools\ndef twice(g):\n    @functools.wraps(g)\n"
         "    def inner(x):\n        return g(g(x))\n    return inner",
         "@twice\ndef f(x):\n    return x + 1"], 1, 3
    ),
    "a decorator of a library": (
        ["import functools", "@functools.lru_cache\ndef f(x):\n    return x + 1"], 1, 2
    ),
    "annotations": (
        ["from torch import Tensor\nfrom collections.abc import Sequence",
         "def f(x: int, y: Sequence[Tensor] | None = None) -> int:\n    return x"], 1, 1
    ),
    "a default of another cell": (
        ["EPS = 0.5", "def f(x, eps=EPS):\n    return x + eps"], 1, 1.5
    ),
    "a default that only keywords give": (
        ["EPS = 0.5", "def f(x, *, eps=EPS):\n    return x + eps"], 1, 1.5
    ),
    "literals inside literals": (
        ["T = {'a': [1, (2.5, None)], 3: {4}}", "def f(x):\n    return T[x][1][0]"],
        "a", 2.5
    ),
    "infinity": (["BIG = float('inf')", "def f(x):\n    return min(BIG, x)"], 3, 3),
    "a small tensor": (
        ["import torch\nW = torch.tensor([[1.0, 2.0]])",
         "def f(x):\n    return float((W * x).sum())"], 2, 6.0
    ),
    "an array": (
        ["import numpy as np\nW = np.array([1, 2], dtype=np.int16)",
         "def f(x):\n    return int((W * x).sum())"], 2, 6
    ),
    "a class": (
        ["class G:\n    k = 2\n    def times(self, x):\n        return self.k * x",
         "def f(x):\n    return G().times(x)"], 3, 6
    ),
    "a partial function": (
        ["from functools import partial\ndef g(k, x):\n    return k * x",
         "h = partial(g, 3)", "def f(x):\n    return h(x)"], 2, 6
    ),
    "another name for the answer": (["def mine(x):\n    return x + 1\nf = mine"], 1, 2),
    "a builtin that is replaced": (
        ["def sum(x):\n    return 100", "def f(x):\n    return sum([x])"], 1, 100
    ),
    "a function of torch": (
        ["from torch import relu", "import torch",
         "def f(x):\n    return float(relu(torch.tensor(float(x))))"], -2, 0.0
    ),
    "a local with the name of a large global": (
        ["import torch\nx = torch.zeros(10**6)", "def f(x):\n    return x"], 1, 1
    ),
    "a docstring with a quote": (
        ['def f(x):\n    """It\'s "x"."""\n    return x'], 1, 1
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_text_alone_does_what_the_answer_does(kind):
    cells, argument, by_hand = ANSWERS[kind]
    notebook = Notebook()
    for cell in cells:
        notebook.run(cell)
    assert notebook["f"](argument) == by_hand
    text = sources.collect(notebook["f"], "f")
    assert alone(text)["f"](argument) == by_hand
    # And in the text of the text nothing new is found.
    again = Notebook()
    again.run(text)
    assert again["f"](argument) == by_hand


REFUSED = {
    "network": ("n = torch.nn.Linear(1, 1)", "n(x)", "n is of type Linear"),
    "data": ("d = torch.zeros(2000)", "d[x]", "d holds 2,000 numbers"),
    "file": ("o = open('/dev/null')", "o.read()", "o is of type TextIOWrapper"),
    "generator": (
        "g = torch.Generator()", "torch.rand(1, generator=g)",
        "g is of type Generator",
    ),
    "itself": ("a = []\na.append(a)", "a", "a is nested too deep"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_written_is_named(kind):
    before, uses, words = REFUSED[kind]
    notebook = Notebook()
    notebook.run(f"import torch\n{before}")
    notebook.run(f"def f(x):\n    return {uses}")
    with pytest.raises(sources.CannotCollect, match=words):
        sources.collect(notebook["f"], "f")


def test_two_meanings_of_a_name_are_refused():
    notebook = Notebook()
    notebook.run("def make(k):\n    def g(x):\n        return k * x\n    return g")
    notebook.run("one, two = make(1), make(2)\ndef f(x):\n    return one(x) + two(x)")
    with pytest.raises(sources.CannotCollect, match="two different things"):
        sources.collect(notebook["f"], "f")


@pytest.mark.parametrize("thing", [print, 3, torch.nn.ReLU(), int])
def test_only_functions_are_kept(thing):
    with pytest.raises(sources.CannotCollect, match="only a function"):
        sources.collect(thing, "f")


def test_a_file_of_the_learner_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "helpers.py").write_text("def g(x):\n    return x + 1\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    notebook = Notebook()
    notebook.run("from helpers import g\ndef f(x):\n    return g(x)")
    text = sources.collect(notebook["f"], "f")
    assert "helpers" not in text and alone(text)["f"](1) == 2
    notebook.run("import helpers\ndef f(x):\n    return helpers.g(x)")
    with pytest.raises(sources.CannotCollect, match=r"helpers\.py, which is not kept"):
        sources.collect(notebook["f"], "f")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.int8, torch.bool]
)
def test_a_tensor_comes_back_to_the_last_bit(dtype):
    values = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    notebook = Notebook()
    notebook.names |= {"w": values, "e": np.float32(0.1), "s": torch.empty(0, 4)}
    notebook.run("def f():\n    return w, e, s")
    w, e, s = alone(sources.collect(notebook["f"], "f"))["f"]()
    assert torch.equal(w, values) and w.dtype == dtype
    assert e == np.float32(0.1) and e.dtype == np.float32 and s.shape == (0, 4)


def test_the_text_runs_in_another_process(tmp_path):
    notebook = Notebook()
    notebook.run("from lib.detection import anchors\nimport torch")
    notebook.run("def f(x):\n    return float(anchors.box_iou(x, x).sum())")
    file = tmp_path / "kept.py"
    file.write_text(sources.collect(notebook["f"], "f"), encoding="utf-8")
    code = "import torch, kept; print(kept.f(torch.tensor([[0.0, 0.0, 2.0, 2.0]])))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": f"{lib.ROOT}:{tmp_path}"},
    )  # fmt: skip
    assert run.stdout == "1.0\n", run.stderr
