"""What a search has asked and what it was told, kept whatever happens.

Every search writes into a `Log` and returns a `History`. A trial may have cost an hour
of training, so a search that ends early hands over the trials that it had.

Chapter 07. Support for `search` and `controller`.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from lib.basics import arguments
from lib.nas import search_space
from lib.nas.search_space import Genotype

MOST = 10**9  # trials or epochs: a budget above that is a slip of the keyboard


@dataclass(frozen=True)
class Trial:
    """One question, and as `value` what `evaluate` said; more is better.

    `cost` is 1 query, or, if the child was trained up to `epoch` only, in epochs.
    """

    genotype: Genotype
    value: float
    cost: float = 1.0
    epoch: int | None = None


@dataclass(frozen=True)
class History:
    """The trials of one search, first to last."""

    trials: tuple[Trial, ...]

    def __len__(self) -> int:
        return len(self.trials)

    def incumbents(self) -> list[Trial]:
        """After each trial the best so far: longest trained, highest value, first."""
        best_so_far: list[Trial] = []
        best = None
        for trial in self.trials:
            if best is None or _rank(trial) > _rank(best):  # a tie goes to the first
                best = trial
            best_so_far.append(best)
        return best_so_far

    def best_so_far(self) -> list[float]:
        """The incumbent's value after each trial, first to last."""
        return [trial.value for trial in self.incumbents()]

    @property
    def best(self) -> Trial:
        """The trial whose cell the search returns."""
        return self.incumbents()[-1]

    def finalists(self, count: int) -> list[Genotype]:
        """The `count` best different cells, each at its luckiest, best first.

        To be trained again: NASNet's authors did so with 250 of 20,000 children.
        """
        count = arguments.whole_number("count", count, least=0)
        luckiest: dict[Genotype, Genotype] = {}  # by canonical form
        for trial in sorted(self.trials, key=_rank, reverse=True):
            form = search_space.canonical(trial.genotype)
            luckiest.setdefault(form, trial.genotype)
        return list(luckiest.values())[:count]

    def distinct(self) -> list[int]:
        """How many different cells were tried so far, after each trial."""
        forms: set[Genotype] = set()
        counts = []
        for trial in self.trials:
            forms.add(search_space.canonical(trial.genotype))
            counts.append(len(forms))
        return counts


def _rank(trial: Trial) -> tuple[int, float]:
    """What makes a trial the better one: trained for longer, then its value."""
    return trial.epoch or 0, trial.value


class Log:
    """What a search has asked so far. `ask` puts the question, writes the answer down.

    Nothing that a trial has cost is lost. Whatever ends a search early, an error of
    `evaluate`, a value that is not finite, Ctrl-C, carries the trials before it as its
    attribute `history`, a `History`:

        try:
            history = search.random_search(space, train_for_hours, 100, seed=0)
        except BaseException as error:
            history = error.history
    """

    def __init__(self, evaluate: Callable[..., float], budget: int):
        arguments.function("evaluate", evaluate, "evaluate(genotype) -> float")
        self.evaluate = evaluate
        self.budget = arguments.whole_number("budget", budget, 1, MOST)
        self.trials: list[Trial] = []

    def ask(
        self, genotype: Genotype, cost: float = 1.0, epoch: int | None = None
    ) -> Trial:
        """Evaluate a genotype; with an epoch, `evaluate(genotype, epoch)`."""
        question = (genotype,) if epoch is None else (genotype, epoch)
        with self.kept():
            value = finite("evaluate", self.evaluate(*question), genotype)
        trial = Trial(genotype, value, cost, epoch)
        self.trials.append(trial)
        return trial

    @contextlib.contextmanager
    def kept(self):
        """An error on its way out takes the trials with it."""
        try:
            yield
        except BaseException as error:
            error.history = self.history()
            error.add_note(
                f"The {len(self.trials)} trials before it are kept: `error.history`."
            )
            raise

    def open(self) -> bool:
        """True while the budget is not spent."""
        return len(self.trials) < self.budget

    def history(self) -> History:
        """All trials so far, as a value."""
        return History(tuple(self.trials))


def finite(name: str, value, genotype: Genotype) -> float:
    """What a function of the caller's gave for a genotype, as a finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise ValueError(
            f"{name} gave {arguments.shown(value)} for {genotype}; a finite number is"
            " needed (for a child that failed, the worst possible value)"
        )
    return number
