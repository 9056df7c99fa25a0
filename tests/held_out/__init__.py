"""Answers of readers who saw only the task texts: written once, never tuned to.

A set is a folder, with a file for each chapter. In it every answer is marked:

    @wrong("bifpn.window", "the window is as wide as the stride")
    def window(i, old, new): ...

    @right("bifpn.window")
    def window(i, old, new): ...

    wrong_value("bifpn.fusion_weights", 152, "five levels in place of six")

`judge` says how many wrong ones were accepted, how many were told their slip, and how
many right ones were refused.
"""

import re
import sys
from dataclasses import astuple, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from lib.exercises import find, grading

# Words that say that something differs, and not what the slip may be.
NUMBERS_ONLY = re.compile(
    r"(\S+ is not it: )?((item|key) [^:]*: )*(the numbers? differs?|the value differs"
    r"|the truth value is the other one)"
)
FOLDER = Path(__file__).parent
SETS = ("first", "second", "third")


@dataclass
class Answer:
    """One answer of a reader."""

    identifier: str
    mine: Any
    slip: str = ""  # what is wrong with it, in the reader's words; "" if it is right
    chapter: str = ""  # the file in which it stands


@dataclass
class Judged:
    """What the grader said to a set of answers."""

    accepted: list[Answer] = field(default_factory=list)  # though wrong
    told: list[tuple[Answer, str]] = field(default_factory=list)  # their slip
    untold: list[tuple[Answer, str]] = field(default_factory=list)  # numbers only
    passed: list[Answer] = field(default_factory=list)  # right and accepted
    refused: list[tuple[Answer, str]] = field(default_factory=list)  # though right

    def counts(self) -> "Counts":
        """The numbers alone."""
        return Counts(*map(len, (
            self.accepted, self.told, self.untold, self.passed, self.refused
        )))  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """How many answers of a set came out how."""

    accepted: int = 0
    told: int = 0
    untold: int = 0
    passed: int = 0
    refused: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other),
                                              strict=True)))  # fmt: skip

    def __str__(self) -> str:
        wrong = self.accepted + self.told + self.untold
        right = self.passed + self.refused
        share = self.told / wrong if wrong else 0.0
        return (
            f"{wrong} wrong answers: {self.accepted} accepted,"
            f" {self.told} told their slip ({share:.0%});"
            f" {right} right ones: {self.refused} refused"
        )


_found: list[Answer] = []


def wrong(identifier: str, slip: str):
    """Mark a function as a wrong answer; `slip` says what is wrong with it."""

    def mark(mine):
        _found.append(Answer(identifier, mine, slip))
        return mine

    return mark


def right(identifier: str):
    """Mark a function as a right answer."""

    def mark(mine):
        _found.append(Answer(identifier, mine))
        return mine

    return mark


def wrong_value(identifier: str, value, slip: str) -> None:
    """Note a wrong number."""
    _found.append(Answer(identifier, value, slip))


def right_value(identifier: str, value) -> None:
    """Note a right number, perhaps of another type or as it is printed."""
    _found.append(Answer(identifier, value))


def read(name: str) -> list[Answer]:
    """All answers of a set, or of one of its chapters: "first" or "first.bifpn"."""
    folder, _, chapter = name.partition(".")
    answers = []
    for file in sorted((FOLDER / folder).glob(f"{chapter or '*'}.py")):
        if file.stem == "__init__":
            continue
        sys.modules.pop(f"tests.held_out.{folder}.{file.stem}", None)
        _found.clear()
        import_module(f"tests.held_out.{folder}.{file.stem}")
        for answer in _found:
            answer.chapter = file.stem
        answers += _found
    return answers


def chapters(name: str) -> list[str]:
    """The chapters of a set, as `read` wants them: "first.bifpn"."""
    files = sorted((FOLDER / name).glob("[a-z]*.py"))
    return [f"{name}.{file.stem}" for file in files]


def judge(answers: list[Answer]) -> Judged:
    """Grade each answer; a named slip or a general diagnosis counts as told."""
    judged = Judged()
    for answer in answers:
        exercise = find(answer.identifier)
        result = grading.grade(exercise, answer.mine)
        if answer.slip and result.status == "passed":
            judged.accepted.append(answer)
        elif answer.slip:
            told = result.wrong is not None or not NUMBERS_ONLY.match(result.message)
            place = judged.told if told else judged.untold
            place.append((answer, result.message))
        elif result.status == "passed":
            judged.passed.append(answer)
        else:
            judged.refused.append((answer, result.message))
    return judged
