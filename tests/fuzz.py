"""Random cases for as long as one likes: `python -m tests.fuzz --minutes 20`.

    python -m tests.fuzz --count 2000               # so many of each target
    python -m tests.fuzz --minutes 20 --least 2000  # longer if it takes longer
    python -m tests.fuzz networks --minutes 5       # one target
    python -m tests.fuzz networks --case 17         # one case again, by its number

`TARGETS` names what is tried. A target is a function of a `random.Random`, which draws
everything from it, and returns one word or more for what came out ("agrees",
"refused: why"); what stands before a colon is counted, and so are the reasons. It fails
with an exception, and so does a case that takes over a minute. A case is the same
wherever it runs.
"""

import argparse
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import mangled, networks, offline  # noqa: E402

LIMIT = 60  # seconds of the processor a case; by the clock ten times as many
NUMBER = r"-?\d+(\.\d+)?(e-?\d+)?"
TARGETS: dict[str, Callable[[random.Random], str]] = {
    "networks": networks.agreement,  # eager = deployed = ONNX = QDQ
    "pictures": mangled.pictures,
    "coco": mangled.coco_files,
    "files": mangled.saved_files,
}


def one(target: str, number: int) -> str:
    """Run one case; whatever it raises passes through."""
    return TARGETS[target](random.Random(f"{target} {number}"))


def run(
    target: str,
    numbers: Iterable[int],
    seconds: float,
    reasons: Counter | None = None,
    least: int = 0,
) -> Counter:
    """Try cases for so many seconds; counts of outcomes, failures printed.

    `least` cases are tried however long they take. `reasons` counts what stands behind
    the colons, numbers as "#".
    """
    counts, end = Counter(), time.monotonic() + seconds
    reasons = Counter() if reasons is None else reasons
    for number in numbers:
        if time.monotonic() > end and counts.total() >= least:
            break
        with _limit(LIMIT):
            try:
                outcome = one(target, number)
            except (Exception, Hang) as error:
                outcome = f"FAILED: {type(error).__name__}"
                print(f"\n{target}, case {number}:")
                traceback.print_exc(limit=-3, file=sys.stdout)
        word, _, why = outcome.partition(": ")
        counts[word] += 1
        reasons[f"{word}: {re.sub(NUMBER, '#', why)}"] += bool(why)
    return counts


class Hang(BaseException):
    """A case took too long; no `except Exception` on its way takes it for an error."""


class _limit:
    """A Hang after so many seconds of the processor, where the system has alarms.

    A busy machine may need ten times as many; who waits for something uses none.
    """

    def __init__(self, seconds: int):
        self.seconds = seconds

    def __enter__(self):
        if hasattr(signal, "SIGALRM"):
            kinds = signal.SIGALRM, signal.SIGPROF
            self.before = {kind: signal.signal(kind, self._end) for kind in kinds}
            signal.alarm(10 * self.seconds)
            signal.setitimer(signal.ITIMER_PROF, self.seconds)

    def _end(self, *_):
        raise Hang(f"over {self.seconds} s")

    def __exit__(self, *_):
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for kind, handler in self.before.items():
                signal.signal(kind, handler)


def main(arguments: list[str] | None = None) -> int:
    """Print how many cases of each target came out how; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; or all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="in all")
    parser.add_argument("--count", type=int, help="cases of each target")
    parser.add_argument("--least", type=int, default=0, help="cases, whatever it takes")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--case", type=int, help="only this one")
    options = parser.parse_args(arguments)
    targets = options.targets or list(TARGETS)
    if unknown := [name for name in targets if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if options.case is not None:
        options.first, options.count = options.case, 1
    if options.count is None and options.minutes == float("inf"):
        options.count = 2000
    last = options.first + (options.count or sys.maxsize)
    warnings.simplefilter("ignore")
    failed = 0
    for target in targets:
        begin = time.monotonic()
        share = 60 * options.minutes / len(targets)
        reasons = Counter()
        numbers = range(options.first, last)
        counts = run(target, numbers, share, reasons, options.least)
        told = ", ".join(f"{n} {word}" for word, n in counts.most_common())
        took = time.monotonic() - begin
        print(f"{target}: {counts.total()} cases in {took:.0f} s: {told}")
        for why, n in (+reasons).most_common():
            print(f"    {n} {why}", flush=True)
        failed += counts["FAILED"]
    return int(failed > 0)


if __name__ == "__main__":
    if offline.inside():
        sys.exit(main())
    sys.exit(offline.run([sys.executable, "-m", "tests.fuzz", *sys.argv[1:]]))
