"""Train every cell of `search_space.SMALL` and write the table in this folder.

    python data/tabular/prepare.py                       # two processes of one thread
    python data/tabular/prepare.py --workers 8
    python data/tabular/prepare.py --dask tcp://host:8786
    python data/tabular/prepare.py --pilot               # 30 cells only, then a report
    python data/tabular/prepare.py --report              # how far it is
    python data/tabular/prepare.py --latency             # later, on an idle machine

735 cells, seeds 0, 1 and 2: 2,205 trainings of about 2 CPU-seconds, so two processes
take about an hour on two idle cores. The cells' means spread over 4 times as far as the
seeds of a cell (the report says it). A second run on the same machine and torch gives
the same bytes, but for latencies. Stop it whenever you like, by Ctrl-C or by
a power cut: the next call goes on. Shards of finished trainings stand in build/tabular,
one line a training; from a complete set it writes small.jsonl and small.sha256 here.
Another task, device or torch version than that of the shards is refused.

On a cluster start the workers with OMP_NUM_THREADS=1: the last bits of a sum depend on
the number of threads. A worker that is lost costs the training it was at.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import statistics
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # the workers inherit it
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402

from lib.basics import profiling  # noqa: E402
from lib.nas import search_space, tabular  # noqa: E402

SHARDS = HERE.parents[1] / "build" / "tabular"
TABLE = HERE / "small.jsonl"


def follow() -> None:
    """Once in each worker: end when the parent does, also when that was killed."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def alone(folder: Path):
    """Keep others from building in the folder; a kill lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "ab") as file:
        file.seek(0)
        try:
            if os.name == "posix":
                import fcntl

                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            raise SystemExit(f"{folder}: another process builds here") from None
        yield


def pool(workers: int) -> ProcessPoolExecutor:
    fresh = multiprocessing.get_context("spawn")  # torch does not like to be forked
    return ProcessPoolExecutor(workers, fresh, initializer=follow)


def dask(address: str):
    from dask.distributed import Client

    return Client(address).get_executor()


def gather(task: tabular.Task, shards: Path, cells=None) -> list[dict]:
    """A row a cell, from complete shards: counts [seed][epoch], parameters, macs.

    Nothing in it depends on the order of the shards. ValueError says what is missing.
    """
    done, wanted = tabular.read_shards(task, shards), tabular.units(task, cells)
    if missing := [unit for unit in wanted if unit not in done]:
        raise ValueError(
            f"{shards}: {len(missing)} of {len(wanted)} trainings are missing, first"
            f" {missing[0]}: call build again"
        )
    rows, image = [], torch.zeros(1, 3, task.size, task.size)
    for text in dict.fromkeys(text for text, _ in wanted):
        model = tabular.network(task, search_space.from_text(text))
        row = {"cell": text, "parameters": profiling.parameters(model)}
        row |= {"macs": profiling.macs(model, image)}
        for split in tabular.SPLITS:
            row[split] = [done[text, seed][split] for seed in range(task.seeds)]
        rows.append(row)
    return rows


def clock(task: tabular.Task, cells=None, repeats: int = 9) -> dict[str, float]:
    """Milliseconds of one crop through each cell's network, in turns, one thread."""
    texts = [text for text, seed in tabular.units(task, cells) if seed == 0]
    models = {t: tabular.network(task, search_space.from_text(t)) for t in texts}
    image = torch.zeros(1, 3, task.size, task.size)
    found = profiling.compare(models, image, repeats=repeats, block=1)
    return {text: round(one.latency.median, 4) for text, one in found.items()}


def freeze(task: tabular.Task, shards: Path, path: Path, cells=None) -> str:
    """Write the table and, beside it, its SHA-256, which is returned.

    Latencies join it if they were measured: the file latency.json among the shards.
    """
    rows, times = gather(task, shards, cells), shards / "latency.json"
    for text, ms in json.loads(times.read_text() if times.exists() else "{}").items():
        for row in rows:
            row |= {"latency": ms} if row["cell"] == text else {}
    lines = [tabular.header(task), *rows]
    whole = "".join(json.dumps(line) + "\n" for line in lines).encode()
    digest = hashlib.sha256(whole).hexdigest()
    for file, content in ((path, whole), (path.with_suffix(".sha256"), digest)):
        half = file.with_suffix(".tmp")
        half.write_bytes(content if file == path else f"{digest}\n".encode())
        os.replace(half, file)  # a rename: nobody ever reads half a table
    return digest


def report(task: tabular.Task, shards: Path = SHARDS) -> str:
    """How many trainings there are, what they cost, and how seeds compare with cells.

    Over cells that have all seeds: the standard deviation of their means, and the mean
    of their standard deviations, at the last epoch.
    """
    rows = tabular.read_shards(task, shards)
    seconds = sum(row["seconds"] for row in rows.values())
    said = f"{len(rows)} of {len(tabular.units(task))} trainings"
    said += f", {seconds / 3600:.2f} CPU-hours"
    groups = collections.defaultdict(list)
    for (text, _), row in sorted(rows.items()):
        groups[text].append([row[split][-1] for split in tabular.SPLITS])
    whole = [group for group in groups.values() if len(group) == task.seeds]
    for i, split in enumerate(tabular.SPLITS if len(whole) > 1 else ()):
        shares = [[right[i] / getattr(task, split) for right in g] for g in whole]
        means = [statistics.mean(g) for g in shares]
        between = statistics.stdev(means)
        seeds = statistics.mean(statistics.stdev(g) for g in shares)
        said += (
            f"\n{split}, {len(whole)} cells: {min(means):.3f} to {max(means):.3f}, mean"
            f" {statistics.mean(means):.3f}; std between cells {between:.4f}, of seeds"
            f" {seeds:.4f}, ratio {between / seeds:.2f}"
        )
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dask", metavar="ADDRESS")
    parser.add_argument("--report", action="store_true", help="say how far it is")
    parser.add_argument("--latency", action="store_true", help="measure it, freeze")
    parser.add_argument("--pilot", action="store_true", help="30 cells only")
    chosen, task, cells = parser.parse_args(), tabular.Task(), None
    if chosen.pilot:
        cells = search_space.enumerate_cells(task.space)
        cells = random.Random(0).sample(cells, 30)
    if chosen.latency:
        text = json.dumps(clock(task))
        (SHARDS / "latency.json").write_text(text)
    elif not chosen.report:
        executor = dask(chosen.dask) if chosen.dask else pool(chosen.workers)
        with alone(SHARDS), executor:
            print(f"{tabular.build(task, executor, SHARDS, cells)} trained", flush=True)
    if not (chosen.report or chosen.pilot):
        print(freeze(task, SHARDS, TABLE))
    print(report(task))


if __name__ == "__main__":
    main()
