"""Searching a space: who is tried next, and what the trials say. Chapter 07.

A search asks a function, `evaluate(genotype) -> float`: a table, a real training, or
anything of your own. Every method returns the same `History`, so that all are judged in
one way. What is asked for is noisy; what counts in the end is not what the search saw.

Papers: Real and others, arXiv 1802.01548; Jamieson and Talwalkar, 1502.07943; Tan and
others, 1807.11626; Deb and others, NSGA-II, 2002.
"""

from dataclasses import dataclass

from lib import search_space


@dataclass(frozen=True)
class Trial:
    """One question and its answer: `value` is what `evaluate` said, more is better.

    `cost` is 1 where queries are counted, epochs where `epoch` is set: the child was
    then trained up to that epoch.
    """

    genotype: search_space.Genotype
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
        """After each trial, the best so far: longest trained, then highest value.

        Of equal ones the first stays.
        """
        found: list[Trial] = []
        for trial in self.trials:
            if found and _rank(found[-1]) >= _rank(trial):
                trial = found[-1]
            found.append(trial)
        return found

    def best_so_far(self) -> list[float]:
        """The incumbent's value after each trial, first to last."""
        return [trial.value for trial in self.incumbents()]

    @property
    def best(self) -> Trial:
        """The trial whose cell the search returns."""
        return self.incumbents()[-1]

    def spent(self) -> list[float]:
        """The cost of all trials so far, after each trial."""
        total, sums = 0.0, []
        for trial in self.trials:
            total += trial.cost
            sums.append(total)
        return sums

    def distinct(self) -> list[int]:
        """How many different cells were tried so far, after each trial."""
        seen, counts = set(), []
        for trial in self.trials:
            seen.add(search_space.canonical(trial.genotype))
            counts.append(len(seen))
        return counts


def _rank(trial: Trial) -> tuple[int, float]:
    return trial.epoch or 0, trial.value
