"""Train the cells of `search_space.SMALL` again, for a table whose best differ.

    python data/tabular/second.py               # go on to the end: 4 to 6 CPU-hours
    python data/tabular/second.py --cells 20    # go on with so many cells, then stop
    python data/tabular/second.py --status      # how far it is, what it says so far
    python data/tabular/second.py --freeze      # all cells are there: write the table

One process of one thread, at the lowest but four of priorities. All trainings of a cell
run side by side (`tabular.measure_side_by_side`), with random numbers of their own. The
cells come in an order that only a hash decides, so those that are there are a fair
sample of all. Every cell is on the disk before the next begins: kill it whenever you
like, the next call goes on. One call at a time; a second one is refused.

The rows stand in the folder second/, files of 49 cells to which lines are only added;
they are read by `tabular.read_shards`. Once all cells are there, `--freeze` writes
second.jsonl and second.sha256, and `tabular.load` reads those: they ship. Without them
it would read the first table, small.jsonl.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # the last bits of a sum depend on it
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

import lib  # noqa: E402, F401, I001  (before torch)
import numpy as np  # noqa: E402
import torch  # noqa: E402

from lib.nas import search_space, shards, tabular  # noqa: E402

# By its file: every data set has a `prepare`, and one of another may be loaded.
_spec = importlib.util.spec_from_file_location("prepare_table", HERE / "prepare.py")
prepare = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(prepare)

SHARDS = HERE / "second"
TABLE = HERE / "second.jsonl"
LOCK = HERE.parents[1] / "build" / "second"
CELLS_A_SHARD = 49  # fifteen files for 735 cells
NICENESS = 15


def order(task):
    """The texts of all cells, in an order that only a hash of the text decides."""
    texts = [str(cell) for cell in search_space.enumerate_cells(task.space)]
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def cut_torn_line(path):
    """Cut what a kill left behind the last whole line; it would spoil the next."""
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        with open(path, "r+b") as file:
            file.truncate(whole)
    return whole


def append(path, lines):
    """Add whole lines, and wait until they are on the disk."""
    with open(path, "ab") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def train(task, folder, most=None, say=None, a_shard=CELLS_A_SHARD):
    """Train cells that lack a row, `most` of them at most; returns how many it was."""
    folder.mkdir(parents=True, exist_ok=True)
    first = tabular.header(task) | {"format": shards.FORMAT}
    for path in folder.glob("*.jsonl"):
        cut_torn_line(path)
    done = tabular.read_shards(task, folder)
    trained = 0
    for place, text in enumerate(order(task)):
        missing = [n for n in range(task.seeds) if (text, n) not in done]
        if not missing:
            continue
        if trained == most:
            break
        path = folder / f"{place // a_shard:02d}.jsonl"
        rows = tabular.measure_side_by_side(task, text)
        fresh = [row for row in rows if row["seed"] in missing]
        empty = not path.exists() or path.stat().st_size == 0
        append(path, [first] * empty + fresh)
        trained += 1
        if say:
            say(f"{time.strftime('%H:%M:%S')} {place + 1} {text}")
    return trained


def accuracies(task, done, split="test"):
    """Accuracies after the last epoch (cells, seeds), of complete cells."""
    rows = []
    for text in order(task):
        own = [done.get((text, number)) for number in range(task.seeds)]
        if None not in own:
            rows.append([row[split][-1] / getattr(task, split) for row in own])
    return np.array(rows).reshape(-1, task.seeds)


def status(task, folder):
    """How many cells are there, what they cost, and how far the rest would take."""
    done = tabular.read_shards(task, folder)
    final = accuracies(task, done)
    cells, total = len(final), len(order(task))
    seconds = sum(row["seconds"] for row in done.values())
    lines = [f"{cells} of {total} cells complete, {seconds / 3600:.2f} CPU-hours"]
    if cells:
        hours = seconds / len(done) * task.seeds * (total - cells) / 3600
        lines.append(f"left: about {hours:.1f} CPU-hours")
    if cells >= 30:
        lines += noise(final)
    return "\n".join(lines)


def noise(final):
    """What the accuracies (cells, seeds) say about cells, seeds and the best tenth."""
    between, within = tabular.spread(final)
    tenth = final[final.mean(1).argsort()[-(len(final) // 10) :]]
    by_seed = " ".join(f"{mean:.3f}" for mean in final.mean(0))
    return [
        f"test: means of cells {final.mean(1).min():.3f} to {final.mean(1).max():.3f}",
        f"mean by seed: {by_seed}",
        f"between cells {between:.4f}, within {within:.4f}: {between / within:.1f}",
        f"tau of all {tabular.foresight(final, final):.2f}, of the best"
        f" {len(tenth)}: {tabular.foresight(tenth, tenth):.2f}",
    ]


def freeze(task, folder, path):
    """Write the table and its SHA-256, which is returned; ValueError if cells lack.

    Latencies are those of the first table where its networks are the same: they were
    measured on an idle machine, and training does not change them.
    """
    first = tabular.load(HERE / "small.jsonl")
    shape = ("size", "filters", "stem_filters", "space")
    if all(getattr(first.task, name) == getattr(task, name) for name in shape):
        times = {
            str(g.normal): ms
            for g, ms in zip(first.genotypes, first.latency.tolist(), strict=True)
        }
        (folder / "latency.json").write_text(json.dumps(times))
    return prepare.freeze(task, folder, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, help="so many more at most")
    parser.add_argument("--status", action="store_true", help="train nothing")
    parser.add_argument("--freeze", action="store_true", help="write the table")
    parser.add_argument("--folder", type=Path, default=SHARDS)
    asked = parser.parse_args()
    task = tabular.SECOND
    if asked.freeze:
        print(freeze(task, asked.folder, TABLE))
    elif not asked.status:
        if os.name == "posix":
            os.nice(max(0, NICENESS - os.nice(0)))
        torch.set_num_threads(1)
        with prepare.alone(LOCK):
            train(task, asked.folder, asked.cells, lambda x: print(x, flush=True))
    print(status(task, asked.folder))


if __name__ == "__main__":
    main()
