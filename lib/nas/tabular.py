"""A table of all cells: each cell of a small space trained, once a seed, written down.

Whoever searches can then ask in microseconds what training would have told in seconds,
its noise included. `build` trains and writes, `load` reads the table that is shipped.
Idea: NAS-Bench-101, Ying and others, arXiv 1902.09635. Chapter 06.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import os
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import Executor, as_completed
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

import lib
from lib.basics import data, training
from lib.nas import nasnet, search_space
from lib.nas.search_space import SMALL, Genotype, GenotypeError, Space

SHIPPED = lib.ROOT / "data" / "tabular" / "small.jsonl"
SPLITS = ("validation", "test")


@dataclasses.dataclass(frozen=True)
class Task:
    """What every cell is trained on, chosen in a pilot: see data/tabular/README.md."""

    space: Space = SMALL
    size: int = 12  # pixels, the side of a crop
    difficulty: float = 0.0
    train: int = 1024
    validation: int = 1000
    test: int = 1000
    filters: int = 8  # of the first of three stacks, one normal cell in each
    stem_filters: int = 8
    norm_momentum: float = 0.3  # batch norm's: so few steps need a short memory
    epochs: int = 4
    batch: int = 64
    lr: float = 0.15
    seeds: int = 3


def network(task: Task, genotype: Genotype, seed: int = 0) -> nasnet.Network:
    """The network around a cell; the seed alone decides its first weights."""
    fields = {"stem_filters": task.stem_filters, "momentum": task.norm_momentum}
    model = nasnet.network(genotype, cells=1, filters=task.filters, **fields)
    g = torch.Generator().manual_seed(seed)
    for p in model.parameters():  # as torch does it, but not from its global
        if p.ndim > 1:  # generator: trainings may run in threads of one process
            torch.nn.init.kaiming_uniform_(p, a=5**0.5, generator=g)
    torch.nn.init.zeros_(model.classifier.bias)
    return model.to(memory_format=torch.channels_last)


@functools.cache
def crops(task: Task, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The task's pictures and labels of one split, kept in memory."""
    look = {"size": task.size, "difficulty": task.difficulty}
    return data.crops(split, getattr(task, split), **look)


def measure(task: Task, text: str, seed: int) -> dict:
    """Train a cell, given as text: a row with the right answers after each epoch."""
    began, right = time.process_time(), {split: [] for split in SPLITS}
    model = network(task, search_space.from_text(text), seed)

    def on_step(step, logs):
        if (step + 1) % (task.train // task.batch) == 0:
            for split in SPLITS:
                share = training.accuracy(model, *crops(task, split))
                right[split].append(round(share * getattr(task, split)))

    training.fit(
        model, crops(task, "train"), training.classification_loss(),
        epochs=task.epochs, batch_size=task.batch, lr=task.lr, seed=seed,
        every=10**9, on_step=on_step, progress=False,
    )  # fmt: skip
    seconds = time.process_time() - began
    return {"cell": text, "seed": seed, **right, "seconds": round(seconds, 3)}


def header(task: Task) -> dict:
    """What the rows of a table share: task, checksums of its pixels, device."""
    pixels = [zlib.crc32(crops(task, s)[0].numpy()) for s in ("train", *SPLITS)]
    about = dataclasses.asdict(task) | {"pixels": pixels, "device": "cpu"}
    about |= {"torch": torch.__version__.split("+")[0]}
    return json.loads(json.dumps(about))  # as it comes back from a file


def units(task: Task, cells: Iterable | None = None) -> list[tuple[str, int]]:
    """What there is to train: all cells with seed 0, then with seed 1, and so on."""
    cells = search_space.enumerate_cells(task.space) if cells is None else [*cells]
    return [(str(cell), seed) for seed in range(task.seeds) for cell in cells]


def read_shards(task: Task, folder: str | Path) -> dict[tuple[str, int], dict]:
    """The rows of all shards in a folder, by cell and seed.

    A last line that a kill cut short does not count: that unit is trained again. Any
    other bad line, another header, or a unit that is there twice: ValueError.
    """
    rows, about = {}, header(task)
    for path in sorted(Path(folder).glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                row = dict(json.loads(line))
                key = number > 1 and (row["cell"], row["seed"])
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{path}, line {number}: {line!r} is no row") from None
            for k in {**about, **row} if number == 1 else ():
                if row.get(k) != about.get(k):
                    raise ValueError(
                        f"{path}: its {k} is {row.get(k)!r}, not {about.get(k)!r}:"
                        " take another folder for another task"
                    )
            if key in rows:
                raise ValueError(f"{path}, line {number}: {key} is there already")
            rows |= {key: row} if key else {}
    return rows


def build(task: Task, executor: Executor, folder: str | Path, cells=None) -> int:
    """Train what is missing, on any executor; returns how many trainings that was.

    A row is on the disk before the next is written: a kill loses only what is being
    trained, and the next call goes on, with a shard of its own. One call at a time.
    `cells`: some of the space's. ValueError for shards of another task.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = read_shards(task, folder)
    left = [unit for unit in units(task, cells) if unit not in done]
    futures = [executor.submit(measure, task, *unit) for unit in left]
    rows = (future.result() for future in as_completed(futures))
    try:
        with open(folder / f"{time.time_ns()}.jsonl", "xb") as shard:
            for row in itertools.chain([header(task)], rows):
                shard.write(json.dumps(row).encode() + b"\n")
                shard.flush()
                os.fsync(shard.fileno())
    finally:
        for future in futures:
            future.cancel()
    return len(left)


class Table:
    """All cells of a space and how they did, in the order of `genotypes`.

    Arrays: `parameters`, `macs` of one crop, `latency` in ms (None until it is
    measured), `accuracy[split]` (cells, seeds, epochs).
    """

    def __init__(self, task: Task, rows: list[dict]):
        self.task, self.space = task, task.space
        self.seeds, self.epochs = task.seeds, task.epochs
        self.genotypes = [search_space.from_text(row["cell"]) for row in rows]
        self.parameters = np.array([row["parameters"] for row in rows])
        self.macs = np.array([row["macs"] for row in rows])
        times = [row["latency"] for row in rows if "latency" in row]
        self.latency = np.array(times) if times else None
        self._row = {g: i for i, g in enumerate(self.genotypes)}
        self.accuracy, self._told = {}, {}
        for split in SPLITS:
            right = np.array([row[split] for row in rows])  # counts
            share = self.accuracy[split] = right / getattr(task, split)  # Eq. 6.1
            told = enumerate(share.transpose(1, 0, 2).tolist())  # faster than arrays
            self._told[split] = {None: share.mean(1).tolist(), **dict(told)}

    def __len__(self) -> int:
        return len(self.genotypes)

    def index(self, genotype: Genotype) -> int:
        """The row of a genotype, however written; GenotypeError if there is none."""
        row = self._row.get(genotype)
        if row is None:
            search_space.validate(self.space, genotype)
            row = self._row.get(search_space.canonical(genotype))
            if row is None:
                raise GenotypeError(f"{genotype}: not among this table's {len(self)}")
            self._row[genotype] = row  # this spelling is known from now on
        return row

    def query(self, genotype, seed=None, epoch=None, split="validation") -> float:
        """Accuracy in [0, 1] after `epoch` epochs, from 1; left out: the last.

        Without a seed, the mean over seeds. ValueError for what is not there.
        """
        row = self.index(genotype)
        if split not in self._told:
            raise ValueError(f"split is {split!r}; it is one of {SPLITS}")
        if seed not in self._told[split]:
            raise ValueError(f"seed is {seed!r}; it is 0 to {self.seeds - 1}, or None")
        if epoch is not None and epoch not in range(1, self.epochs + 1):
            raise ValueError(f"epoch is {epoch!r}; it is 1 to {self.epochs}, or None")
        return self._told[split][seed][row][(epoch or 0) - 1]


def load(path: str | Path = SHIPPED) -> Table:
    """The shipped table. ValueError if it is missing or not what its SHA-256 says."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        wanted = path.with_suffix(".sha256").read_text().strip()
    except FileNotFoundError as error:
        raise ValueError(
            f"{error.filename} is missing: the table comes with a clone of the course,"
            " not with an installed package. Clone it; there, `pip install -e .`"
        ) from None
    if (found := hashlib.sha256(raw).hexdigest()) != wanted:
        raise ValueError(f"{path} is damaged: SHA-256 {found}, not {wanted}")
    about, *rows = map(json.loads, raw.splitlines())
    fields = {field.name: about[field.name] for field in dataclasses.fields(Task)}
    blocks, *names = fields.pop("space").values()
    return Table(Task(Space(blocks, *map(tuple, names)), **fields), rows)


def spread(accuracy: np.ndarray) -> tuple[float, float]:
    """Standard deviations of `accuracy` (cells, seeds): of cells, mean one of seeds."""
    between = accuracy.mean(1).std(ddof=1)  # Eq. 6.2
    return float(between), float(accuracy.std(1, ddof=1).mean())  # Eq. 6.3


def foresight(told: np.ndarray, final: np.ndarray) -> float:
    """How well one training foretells the ranking by *other* trainings: a mean tau.

    Each seed of `told` (cells, seeds) against the mean of `final` over the other seeds.
    `foresight(final, final)` is the noise ceiling: what a whole training knows.
    """
    seeds = range(final.shape[1])
    rest = [np.delete(final, s, axis=1).mean(1) for s in seeds]
    taus = [kendalltau(told[:, s], rest[s]).statistic for s in seeds]  # Eq. 6.4
    return float(np.mean(taus))  # Eq. 6.5
