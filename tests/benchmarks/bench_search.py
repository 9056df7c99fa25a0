"""What a search of 200 queries costs on the table, method by method.

    python tests/benchmarks/bench_search.py

CPU-seconds of one whole search on the table of chapter 06, by method, the median of
nine seeds. Successive halving gets the epochs of 200 full trainings. Aim: every method
below one second.
"""

import json
import random
import statistics
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before torch)
from lib.nas import controller, search, tabular  # noqa: E402

ROWS = ROOT / "build" / "bench" / "search.jsonl"
QUERIES, AIM = 200, 1.0


def main() -> int:
    """Measure, print the table, append one row."""
    table = tabular.load()
    rungs = {"rungs": (1, 2, table.epochs), "eta": 2}

    def macs(genotype):
        return float(table.macs[table.index(genotype)])

    def halving(space, evaluate, budget, seed):
        epochs = budget * table.epochs
        return search.successive_halving(space, evaluate, epochs, seed, **rungs)

    methods = {
        "random search": search.random_search,
        "regularized evolution": search.regularized_evolution,
        "local search": search.local_search,
        "NSGA-II": partial(search.nsga2, price=macs),
        "successive halving": halving,
        "controller": controller.search,
    }
    print(f"| method, {QUERIES} queries of {len(table)} cells | CPU-seconds | trials |")
    print("|---|---|---|")
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    for name, method in methods.items():
        seconds = []
        for seed in range(9):
            evaluate = search.noisy(table, random.Random(1000 + seed))
            began = time.process_time()
            history = method(table.space, evaluate, QUERIES, seed)
            seconds.append(time.process_time() - began)
        record[name] = round(statistics.median(seconds), 4)
        print(f"| {name} | {record[name]:.3f} | {len(history)} |")
    slowest = max(v for v in record.values() if isinstance(v, float))
    print(f"slowest {slowest:.2f} s, aim {AIM}: {'met' if slowest < AIM else 'missed'}")
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
