"""A milestone: the real thing runs, and the page says on whose functions.

At the end of a part the machine that its chapters are about runs once more, on whatever
is the learner's by then. Which core functions were called, and how often, is counted in
the places where they stand. For `notebook`.
"""

import contextlib
import html
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from lib.book import pages
from lib.exercises import core, places


@dataclass
class Milestone:
    """What a run came to, filled when its block ends."""

    first: int  # chapters
    last: int
    calls: dict[str, int] = field(default_factory=dict)  # the learner's, by id
    parts: int = 0  # core functions of these chapters
    seconds: float = 0.0  # of this process, CPU time

    def says(self) -> str:
        """The run in a sentence: whose core functions, and how often called."""
        chapters = f"chapters {self.first:02} to {self.last:02}"
        begin = f"{len(self.calls)} of {self.parts} core functions of {chapters}"
        if not self.calls:
            return f"{begin} are yours: the machine ran on the course's own."
        count = f"called {sum(self.calls.values()):,} times in {self.seconds:.0f} s"
        return f"{begin} are yours, {count}."


@contextlib.contextmanager
def milestone(first: int, last: int) -> Iterator[Milestone]:
    """Run the block, then show whose core functions of these chapters ran in it.

        with milestone(4, 9) as run:
            history = search.regularized_evolution(space, evaluate, 200, seed=0)
        run.calls["search.evolution_cycle"]  # 180, if that is the learner's

    Calls of the course's own are not counted. `yours(load=True)` before it, or in it,
    adopts what a learner has kept from earlier chapters. An error goes through, and
    then no table is shown.
    """
    run = Milestone(first, last)
    before = {i: (standing, standing.calls) for i, standing in places.adopted().items()}
    began = time.process_time()
    yield run
    run.seconds = time.process_time() - began
    rows = []
    for identifier, exercise in core().items():
        chapter = int(exercise.number.partition(".")[0])
        if not first <= chapter <= last:
            continue
        run.parts += 1
        whose, calls = "the course's", ""
        standing = places.adopted(identifier)
        if standing is not None:
            # One that was adopted anew inside the block counts from 0.
            then, count = before.get(identifier, (None, 0))
            run.calls[identifier] = standing.calls - (count if then is standing else 0)
            whose, calls = "yours", f"{run.calls[identifier]:,}"
        rows.append((exercise.number, identifier, exercise.machine, whose, calls))
    pages.table(("no.", "core function", "machine", "runs on", "calls here"), rows)
    pages.put(run.says(), f"<p>{html.escape(run.says())}</p>")
