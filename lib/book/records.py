"""What a learner has done in this kernel: answers, guesses, quiz choices, as one value.

`notebook` writes into it as cells run; `handin` makes files of it and reads them back.
Nothing here is displayed, and nothing leaves the kernel by itself. For `answers`.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import lib
from lib.exercises import Exercise, sources
from lib.exercises.comparing import plain
from lib.exercises.grading import Result

MOST_SOURCE = 20_000  # characters of an answer's text that are kept


@dataclass
class Answer:
    """How far a learner is with one exercise."""

    status: str = "not attempted"  # or refused, passed; of the latest attempt
    points: int = 0  # reached by any attempt
    max_points: int = 0
    attempts: int = 0
    slips: list[str] = field(default_factory=list)  # named wrong answers, in order
    hints: int = 0
    solution: bool = False
    source: str = ""  # of the latest that passed, else of the latest
    adopted: bool = False


@dataclass
class Records:
    """Everything of one kernel. Guesses and quiz choices belong to a chapter."""

    chapter: str = ""  # "bifpn", as `setup` was told
    answers: dict[str, Answer] = field(default_factory=dict)
    guesses: dict[str, dict[str, float | None]] = field(default_factory=dict)
    measured: dict[str, dict[str, tuple[float, str]]] = field(default_factory=dict)
    choices: dict[str, dict[str, int]] = field(default_factory=dict)

    def answer(self, identifier: str, exercise: Exercise) -> Answer:
        """The record of one exercise, made at its first use."""
        new = Answer(max_points=exercise.points)
        return self.answers.setdefault(identifier, new)

    def attempt(self, identifier: str, exercise: Exercise, result: Result, mine):
        """Note one graded attempt; a stub that is left alone is none."""
        answer = self.answer(identifier, exercise)
        answer.status = result.status
        if result.status == "not attempted":
            return answer
        answer.attempts += 1
        if result.wrong:
            answer.slips.append(result.wrong)
        passed = result.status == "passed"
        if passed or not answer.points:
            answer.source = source_of(identifier, mine)
        if passed:
            answer.points = exercise.points
        return answer

    def chapters(self) -> list[str]:
        """Chapters with anything in them, in the order of their first use."""
        used = [i.partition(".")[0] for i in self.answers]
        return list(dict.fromkeys([*used, *self.guesses, *self.choices]))

    def clear(self) -> None:
        """Forget everything, as a restart of the kernel does."""
        self.__init__()


def source_of(identifier: str, mine) -> str:
    """An answer as text: a function complete by itself where that can be, a value."""
    name = identifier.partition(".")[2]
    if callable(mine):
        try:
            return sources.collect(mine, name)[:MOST_SOURCE]
        except sources.CannotCollect:
            return sources.own_text(mine)[:MOST_SOURCE]
    value = plain(mine)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        return repr(value)[:MOST_SOURCE]
    except Exception:  # a learner's own object may fail in its repr
        return f"a {type(mine).__name__}"


RECORDS = Records()  # of this kernel


def folder() -> Path:
    """Where hand-ins are written: `work/hand-in/`."""
    return lib.work() / "hand-in"
