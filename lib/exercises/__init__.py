"""The exercises: one file a chapter, named as its module, and the frame that grades.

start_here ... export   EXERCISES and QUIZ of one chapter each
comparing               two values, and in words in what they differ; for grading
deadline                a call that ends whatever it does; for grading
running                 one call of an answer, its traces taken away; for grading
relating                what an answer is of the asked number; for diagnosing
scaling                 by what factor an answer is not it; for diagnosing
arranging               what an answer is of the asked array; for diagnosing
nudging                 an answer tried with other numbers; for diagnosing
diagnosing              words for a wrong answer without a name; for grading
grading                 an answer against its exercise; for every chapter
places                  where `lib` calls a core function; for building
literals                values written down as Python; for sources
sources                 an answer's text, complete by itself; for kept
kept                    a learner's core functions as files; for building
building                an answer that `lib` then runs on; for every chapter

An exercise is a task, a reference, named wrong answers, cases and hints. Each named
wrong answer is a misconception that people have, and tests prove that it is refused
with its message.
"""

import dataclasses
import difflib
import math
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

import lib

# What a learner's older copy still asks for, and what is asked in its place now.
RENAMED = {"controller.reinforce_loss": "controller.reinforce_objective"}
CASES = 24  # random cases an answer meets, besides those worked by hand


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A misconception: an answer that has it, and the words that help.

    Several ways to write the same misconception may share their words.
    """

    answer: Any  # a function like the reference, or a value for a value exercise
    message: str


@dataclasses.dataclass(frozen=True)
class Property:
    """A sentence that must hold for a right answer: `holds(mine, *args) -> bool`."""

    says: str
    holds: Callable[..., bool]


@dataclasses.dataclass(frozen=True)
class Exercise:
    """One exercise. `cases(rng, size)` draws arguments; None means a value is asked.

    `gradient` lists positions of float tensor arguments whose gradient is compared.
    `survivors` maps a mutant's label to the reason why it equals the reference.
    `probe(mine, *args)` gives what is compared where a return value cannot judge: the
    state after a step, a module's forward, the frequencies of a random function.

    The kind of a number is free: a float without a fraction, or a NumPy integer, is
    right where an int is asked; a list, tuple or array where another of them, or a
    tensor, is; any width of whole numbers and floats. Where a task teaches the kind,
    `exact_type` asks for it; where a gradient is compared, it has to be a tensor.

    The last seven are for core functions, which `lib` itself calls. `place` is where:
    "detection.bifpn.fast_fusion", a module and its attribute or Class.method below
    `lib`. `required` marks the one that its chapter is about; `importance` is 1 to 3.
    `machine` says in words what calls it, and `machine_case()` runs that once, as it
    calls the place, and returns what is compared (None: nothing). `milestone_calls`
    is how often the chapter with its part's milestone calls it, or else its own one.
    `unchanged` maps the name of a wrong answer to the reason why the machine does not
    notice it.
    """

    name: str
    number: str
    kind: str  # predict, measure or build
    minutes: int
    difficulty: int  # 1 to 3
    points: int
    task: str
    reference: Callable
    wrong: tuple[Wrong, ...]
    hints: tuple[str, ...]
    alternative: Callable | None = None
    cases: Callable[[random.Random, int], tuple] | None = None
    by_hand: tuple[tuple[tuple, Any], ...] = ()
    properties: tuple[Property, ...] = ()
    gradient: tuple[int, ...] = ()
    tolerance: float = 1e-5
    survivors: dict[str, str] = dataclasses.field(default_factory=dict)
    probe: Callable | None = None
    exact_type: bool = False
    place: str | None = None
    required: bool = False
    importance: int = 1
    machine: str = ""
    machine_case: Callable[[], Any] | None = None
    milestone_calls: int = 0
    unchanged: dict[str, str] = dataclasses.field(default_factory=dict)

    def heading(self) -> str:
        """The heading under which the exercise stands in its chapter."""
        stars = "●" * self.difficulty + "○" * (3 - self.difficulty)
        points = "1 point" if self.points == 1 else f"{self.points} points"
        kind = self.kind.capitalize()
        return (
            f"{self.number} · {kind} · {self.name} · {self.minutes} min"
            f" · {stars} · {points}"
        )

    def draw(self) -> list[tuple]:
        """The arguments of all cases: by hand first, then random, small to large."""
        if self.cases is None:
            return []
        drawn = [self.cases(random.Random(i), 1 + i // 4) for i in range(CASES)]
        return [args for args, _ in self.by_hand] + drawn


@dataclasses.dataclass(frozen=True)
class Option:
    """One answer of a question, and why it is right or wrong."""

    text: str
    why: str
    correct: bool = False


@dataclasses.dataclass(frozen=True)
class Question:
    """A quiz question. `value`, if given, computes the number in the right option."""

    prompt: str
    options: tuple[Option, ...]
    value: Callable[[], float] | None = None
    form: str = "{}"


def tensor(rng: random.Random, *shape: int, low=-1.0, high=1.0) -> Tensor:
    """A float32 tensor of `shape`, uniform in [low, high), drawn from `rng`."""
    numbers = [low + (high - low) * rng.random() for _ in range(math.prod(shape))]
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape)


def of_chapter(chapter: str):
    """The module with EXERCISES and QUIZ of a chapter, such as "data".

    Raises `ValueError` if there is none.
    """
    module = None
    try:
        module = import_module(f"lib.exercises.{chapter}")
    except ModuleNotFoundError as error:
        if error.name != f"lib.exercises.{chapter}":
            raise  # a package that the exercises need is missing
    if not hasattr(module, "QUIZ"):
        raise ValueError(
            f"no exercises for {chapter!r}; a chapter goes by its name without the"
            " number, for example 'data', and an id is 'chapter.name': 'data.uncentre'"
        )
    return module


def find(identifier) -> Exercise:
    """The exercise with an id, a text such as 'data.uncentre'.

    Raises `ValueError` that names the nearest id, and lists those that there are.
    """
    if not isinstance(identifier, str):
        kind = type(identifier).__name__
        raise ValueError(f"the id comes first and is text, yours is of type {kind}")
    identifier = RENAMED.get(identifier, identifier)
    module, _, name = identifier.partition(".")
    exercises = of_chapter(module).EXERCISES
    for exercise in exercises:
        if exercise.name == name:
            return exercise
    names = [exercise.name for exercise in exercises]
    near = difflib.get_close_matches(name, names, 1)
    meant = f"; is it '{module}.{near[0]}'?" if near else ";"
    known = ", ".join(f"{module}.{n}" for n in names)
    raise ValueError(f"no exercise {identifier!r}{meant} there are: {known}")


def every() -> dict[str, Exercise]:
    """All exercises of the course by id, in the order of the chapters."""
    folder = lib.ROOT / "lib" / "exercises"
    found = {}
    for file in folder.glob("*.py"):
        if "\nEXERCISES" in file.read_text(encoding="utf-8"):
            for exercise in of_chapter(file.stem).EXERCISES:
                found[f"{file.stem}.{exercise.name}"] = exercise
    return dict(sorted(found.items(), key=lambda item: _order(item[1].number)))


def core() -> dict[str, Exercise]:
    """The core functions among them: those that `lib` itself calls."""
    return {i: e for i, e in every().items() if e.place is not None}


def _order(number: str) -> tuple[int, ...]:
    """So that 11.3 comes after 2.4."""
    return tuple(int(part) for part in number.split("."))
