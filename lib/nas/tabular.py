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
import math
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
from lib.basics import arguments, data, memory, plain, shipped, training
from lib.nas import nasnet, rankings, replicas, search_space, shards
from lib.nas.search_space import SMALL, Genotype, GenotypeError, Space
from lib.nas.shards import FORMAT, SPLITS


def newest(folder: str | Path) -> Path:
    """The file of the newest whole table in a folder: the second, else the first.

    The second is written once all its cells are trained, never before.
    """
    second = Path(arguments.path("folder", folder)) / "second.jsonl"
    return second if second.exists() else second.with_name("small.jsonl")


SHIPPED = newest(lib.ROOT / "data" / "tabular")
FIRST_TABLE = SHIPPED.with_name("small.jsonl")  # its seeds are the same for all cells


@dataclasses.dataclass(frozen=True)
class Task:
    """What every cell is trained on, chosen in a pilot: see data/tabular/README.md.

    As it is: the first table's, 64 steps. The shipped table's is `SECOND`.
    """

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
    # False: seed 1 is the same random numbers for every cell. True: each cell has its
    # own, so that no lucky start favours all cells at once.
    own_seeds: bool = False

    def __post_init__(self):
        arguments.instance("space", self.space, Space)
        counts = ("size", "train", "validation", "test", "filters", "stem_filters")
        for field in (*counts, "epochs", "batch", "seeds"):
            arguments.whole_number(field, getattr(self, field), 1, 10**6)
        arguments.real_number("difficulty", self.difficulty, least=0)
        arguments.real_number("norm_momentum", self.norm_momentum, least=0, most=1)
        arguments.real_number("lr", self.lr, above=0)
        arguments.flag("own_seeds", self.own_seeds)
        if self.batch > self.train:
            raise ValueError(f"batch is {self.batch}, of {self.train} training crops")

    def settings(self) -> dict:
        """All fields as JSON tells them: what the rows of a file are made for."""
        told = dataclasses.asdict(self)
        if not self.own_seeds:  # files older than this field do not tell it
            del told["own_seeds"]
        return json.loads(json.dumps(told))


# Of the shipped table: data/tabular/second.py makes it; why so, says the datasheet.
SECOND = Task(
    difficulty=0.5, train=6144, validation=4000, test=4000,
    norm_momentum=0.1, lr=0.1, seeds=4, own_seeds=True,
)  # fmt: skip


def network(task: Task, genotype: Genotype, seed: int = 0) -> nasnet.NASNet:
    """The network around a cell; the seed alone decides its first weights."""
    arguments.instance("task", task, Task)
    model = nasnet.network(
        genotype, cells=1, filters=task.filters, stem_filters=task.stem_filters,
        momentum=task.norm_momentum,
    )  # fmt: skip
    # As torch draws them, but not from its global generator: trainings may run in
    # threads of one process.
    generator = torch.Generator().manual_seed(arguments.seed(seed))
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.kaiming_uniform_(weight, a=5**0.5, generator=generator)
    torch.nn.init.zeros_(model.classifier.bias)
    return memory.channels_last(model)


def crops(task: Task, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The task's pictures and labels of one split, kept in memory."""
    arguments.instance("task", task, Task)
    arguments.one_of("split", split, ("train", *SPLITS))
    return _drawn(task, split)


@functools.cache
def _drawn(task: Task, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    look = {"size": task.size, "difficulty": task.difficulty}
    return data.crops(split, getattr(task, split), **look)


def drawn_seed(task: Task, text: str, seed: int) -> int:
    """The seed that training number `seed` of a cell starts from.

    The number itself; for a task with `own_seeds` four bytes of a hash of cell and
    number, so that no two cells share their random numbers.
    """
    arguments.instance("task", task, Task)
    seed = arguments.seed(seed)
    if not task.own_seeds:
        return seed
    digest = hashlib.sha256(f"{text} #{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def measure(task: Task, text: str, seed: int) -> dict:
    """Train a cell, given as text: a row with the right answers after each epoch."""
    began = time.process_time()
    genotype = search_space.from_text(text)
    drawn = drawn_seed(task, text, seed)
    model = network(task, genotype, drawn)
    train = crops(task, "train")
    steps_an_epoch = task.train // task.batch
    right: dict[str, list[int]] = {split: [] for split in SPLITS}

    def on_step(step, logs):
        if (step + 1) % steps_an_epoch:
            return
        for split in SPLITS:
            images, labels = crops(task, split)
            share = training.accuracy(model, images, labels)
            count = round(share * len(labels))
            right[split].append(count)

    loss_fn = training.classification_loss()
    training.fit(
        model, train, loss_fn, on_step=on_step,
        epochs=task.epochs, batch_size=task.batch, lr=task.lr,
        seed=drawn, every=10**9, progress=False,
    )  # fmt: skip
    seconds = time.process_time() - began
    return shards.new_row(text, seed, right, seconds)


def measure_side_by_side(task: Task, text: str) -> list[dict]:
    """All seeds of a cell in one training: the rows that `measure` gives one by one.

    In two thirds of the time. Sums have another order, so the counts are not the same.
    """
    began = time.process_time()
    arguments.instance("task", task, Task)
    genotype = search_space.from_text(text)
    drawn = [drawn_seed(task, text, seed) for seed in range(task.seeds)]
    alone = [network(task, genotype, seed) for seed in drawn]
    model = replicas.side_by_side(alone)
    right: list[dict] = [{split: [] for split in SPLITS} for _ in drawn]

    def on_epoch():
        for split in SPLITS:
            counts = replicas.right(model, *crops(task, split), len(drawn))
            for of_one, count in zip(right, counts, strict=True):
                of_one[split].append(count)

    replicas.train(
        model, crops(task, "train"), drawn, on_epoch=on_epoch,
        epochs=task.epochs, batch_size=task.batch, lr=task.lr,
    )  # fmt: skip
    seconds = (time.process_time() - began) / task.seeds
    return [shards.new_row(text, seed, one, seconds) for seed, one in enumerate(right)]


def header(task: Task) -> dict:
    """What the rows of a table share: task, checksums of its pixels, device."""
    arguments.instance("task", task, Task)
    pixels = []
    for split in ("train", *SPLITS):
        images, _ = crops(task, split)
        pixels.append(zlib.crc32(images.numpy()))
    about = task.settings() | {"pixels": pixels, "device": "cpu"}
    return about | {"torch": torch.__version__.split("+")[0]}


def units(task: Task, cells: Iterable | None = None) -> list[tuple[str, int]]:
    """What there is to train: all cells with seed 0, then with seed 1, and so on."""
    arguments.instance("task", task, Task)
    if cells is None:
        cells = search_space.enumerate_cells(task.space)
    cells = arguments.sequence("cells", cells, "a list of cells")
    for cell in cells:
        arguments.instance("one of the cells", cell, search_space.Cell)
    return [(str(cell), seed) for seed in range(task.seeds) for cell in cells]


def read_shards(task: Task, folder: str | Path) -> dict[tuple[str, int], dict]:
    """The rows of all shards in a folder, by cell and seed.

    A last line that a kill cut short does not count: that unit is trained again. Any
    other line that is not as `measure` made it, another header, or a unit that is there
    twice: ValueError, with the file and the line.
    """
    rows: dict[tuple[str, int], dict] = {}
    about = header(task)
    folder = Path(arguments.path("folder", folder))
    for path in sorted(folder.glob("*.jsonl")):
        first, *lines = shards.whole_lines(path)
        version = FORMAT
        if first:
            version = shards.insist_on_header(path, first, about)
        for number, line in enumerate(lines, start=2):
            row = shards.row_of(task, line, version)
            if isinstance(row, str):
                raise ValueError(f"{path}, line {number}: {row}")
            unit = row["cell"], row["seed"]
            if unit in rows:
                raise ValueError(f"{path}, line {number}: {unit} is there already")
            rows[unit] = row
    return rows


def build(task: Task, executor: Executor, folder: str | Path, cells=None) -> int:
    """Train what is missing, on any executor; returns how many trainings that was.

    A row is on the disk before the next is written: a kill loses only what is being
    trained, and the next call goes on, with a shard of its own. One call at a time.
    `cells`: some of the space's. ValueError for shards of another task.
    """
    arguments.instance("executor", executor, Executor)
    wanted = units(task, cells)
    folder = Path(arguments.path("folder", folder))
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder is {folder}, which is no folder")
    folder.mkdir(parents=True, exist_ok=True)
    done = read_shards(task, folder)
    missing = [unit for unit in wanted if unit not in done]
    futures = [executor.submit(measure, task, *unit) for unit in missing]
    rows = (future.result() for future in as_completed(futures))
    first = header(task) | {"format": FORMAT}
    try:
        with open(folder / f"{time.time_ns()}.jsonl", "xb") as shard:
            for row in itertools.chain([first], rows):
                line = json.dumps(row) + "\n"
                shard.write(line.encode())
                shard.flush()
                os.fsync(shard.fileno())  # on the disk now, whatever comes
    finally:
        for future in futures:
            future.cancel()
    return len(missing)


class Table:
    """All cells of a space and how they did, in the order of `genotypes`.

    Arrays: `parameters`, `macs` of one crop, `latency` in ms (None until it is
    measured), `accuracy[split]` (cells, seeds, epochs).
    """

    def __init__(self, task: Task, rows: list[dict]):
        self.task = task
        self.space = task.space
        self.seeds = task.seeds
        self.epochs = task.epochs
        self.genotypes: list[Genotype] = []
        self._row: dict[Genotype, int] = {}
        for i, row in enumerate(rows):
            genotype = search_space.from_text(row["cell"])
            self.genotypes.append(genotype)
            self._row[genotype] = i
        self.parameters = shards.column(rows, "parameters")
        self.macs = shards.column(rows, "macs")
        timed = [row for row in rows if "latency" in row]
        self.latency = shards.column(timed, "latency") if timed else None
        self.accuracy: dict[str, np.ndarray] = {}
        self._answers: dict[str, dict] = {}
        for split in SPLITS:
            right = shards.column(rows, split)  # counts
            pictures = getattr(task, split)
            accuracy = right / pictures  # Eq. 6.1
            self.accuracy[split] = accuracy
            self._answers[split] = shards.answers(accuracy)

    def __len__(self) -> int:
        return len(self.genotypes)

    def index(self, genotype: Genotype) -> int:
        """The row of a genotype, however written; GenotypeError if there is none."""
        if not isinstance(genotype, Genotype):
            search_space.validate(self.space, genotype)  # says what it is
        row = self._row.get(genotype)
        if row is None:
            search_space.validate(self.space, genotype)
            canonical = search_space.canonical(genotype)
            row = self._row.get(canonical)
            if row is None:
                raise GenotypeError(f"{genotype}: not among this table's {len(self)}")
            self._row[genotype] = row  # this spelling is known from now on
        return row

    def query(self, genotype, seed=None, epoch=None, split="validation") -> float:
        """Accuracy in [0, 1] after `epoch` epochs, from 1; left out: the last.

        Without a seed, the mean over seeds. ValueError for what is not there.
        """
        row = self.index(genotype)
        shards.insist_on_there(self, split, seed, epoch)
        if epoch is None:
            epoch = self.epochs
        by_seed = self._answers[split]
        by_row = by_seed[seed]
        curve = by_row[row]
        return curve[int(epoch) - 1]


def load(path: str | Path = SHIPPED) -> Table:
    """The shipped table. ValueError if it is missing or not what its SHA-256 says."""
    path = Path(arguments.path("path", path))
    try:
        raw = path.read_bytes()
        wanted = path.with_suffix(".sha256").read_text().strip()
    except FileNotFoundError as error:
        raise ValueError(
            f"{error.filename} is missing: the table comes with a clone of the course,"
            " not with an installed package. Clone it; there, `pip install -e .`"
        ) from None
    except OSError as error:  # a folder of that name, no right to read it
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(raw).hexdigest()
    if digest != wanted:
        raise ValueError(f"{path} is damaged: SHA-256 {digest}, not {wanted}")
    shipped.check(path, digest)
    about, *rows = map(json.loads, raw.splitlines())
    names = {field.name for field in dataclasses.fields(Task)}
    fields = {name: value for name, value in about.items() if name in names}
    blocks, *names = fields.pop("space").values()
    return Table(Task(Space(blocks, *map(tuple, names)), **fields), rows)


def spread(accuracy: np.ndarray) -> tuple[float, float]:
    """Standard deviations of `accuracy` (cells, seeds): of cells, mean one of seeds.

    Means 0.3, 0.5, 0.7; the seeds of each cell are 0.2 apart, so sqrt(0.02) each.

    >>> accuracy = np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]])
    >>> [round(deviation, 4) for deviation in spread(accuracy)]
    [0.2, 0.1414]
    """
    accuracy = arguments.real_array("accuracy", accuracy, 2)
    cells = accuracy.mean(1)
    seeds = accuracy.std(1, ddof=1)  # of each cell
    between = cells.std(ddof=1)  # Eq. 6.2
    within = seeds.mean()  # Eq. 6.3
    return float(between), float(within)


@plain.ours
def kendall(a: list, b: list) -> float:
    """Kendall's tau-b of two lists of one length: do they put pairs in the same order?

    A pair that both lists order alike counts 1, one that they order in opposite ways
    -1, one that is equal in a list 0. The sum is divided by the geometric mean of the
    pairs that differ in `a` and those that differ in `b`: so both may have ties, and 1
    is still reached. ValueError where all of one list is equal, or lengths differ.
    Source: Kendall, The treatment of ties in ranking problems, Biometrika 33, 1945.

    (1, 2) and (1, 3) are ordered alike, (2, 3) is equal in the first: 2 / sqrt(2 * 3).

    >>> round(kendall([1, 2, 2], [1, 2, 3]), 4)
    0.8165
    """
    rankings.insist_on_pair(a, b)
    agreement, differ_in_a, differ_in_b = 0, 0, 0
    for i in range(len(a)):
        for j in range(i):
            order_in_a = (a[i] > a[j]) - (a[i] < a[j])  # 1, 0 or -1
            order_in_b = (b[i] > b[j]) - (b[i] < b[j])
            agreement += order_in_a * order_in_b
            differ_in_a += abs(order_in_a)
            differ_in_b += abs(order_in_b)
    return agreement / math.sqrt(differ_in_a * differ_in_b)  # Eq. 6.4


def tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two arrays (cells,): `kendall`, or the same by SciPy.

    SciPy sorts, in n log n steps; a learner's own `kendall` is called as it is. NaN
    where all of one array is equal.
    """
    a = arguments.real_array("a", a, 1)
    b = arguments.real_array("b", b, 1)
    if plain.is_ours(kendall):
        return float(kendalltau(a, b).statistic)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return kendall(a.tolist(), b.tolist())


def foresight(told: np.ndarray, final: np.ndarray) -> float:
    """How well one training foretells the ranking by *other* trainings: a mean tau.

    Each seed of `told` (cells, seeds) against the mean of `final` over the other seeds.
    `foresight(final, final)` is the noise ceiling: what a whole training knows.

    The orders 1 2 3 4 and 2 1 3 4 agree on five pairs of six: (5 - 1) / 6.

    >>> told, final = ([[x, x] for x in row] for row in ((1, 2, 3, 4), (2, 1, 3, 4)))
    >>> round(foresight(told, final), 4)
    0.6667
    """
    told = arguments.real_array("told", told, 2)  # cells, seeds
    final = arguments.real_array("final", final, 2)
    if told.shape != final.shape or final.shape[1] < 2:
        raise ValueError(
            f"told and final have shapes {told.shape} and {final.shape}; they need the"
            " same, with two seeds or more"
        )
    taus = []
    for seed in range(final.shape[1]):
        others = np.delete(final, seed, axis=1)
        ranking = others.mean(1)
        taus.append(tau(told[:, seed], ranking))
    return float(np.mean(taus))  # Eq. 6.5
