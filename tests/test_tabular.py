"""The table: built, killed, resumed, asked, and what it says about its own noise."""

import collections
import dataclasses
import hashlib
import importlib.util
import itertools
import json
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from lib.basics import profiling, training
from lib.nas import nasnet, search_space, tabular
from lib.nas.search_space import SMALL, Genotype, GenotypeError, Space

ROOT = Path(__file__).resolve().parents[1]
ONE = Space(1, ("identity", "max3"), cells=("normal",))
TINY = tabular.Task(
    space=ONE, size=8, train=16, validation=8, test=10, filters=2, stem_filters=4,
    epochs=2, batch=8, seeds=2,
)  # fmt: skip
CELLS = search_space.enumerate_cells(ONE)[:3]


def module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


prepare = module(ROOT / "data" / "tabular" / "prepare.py", "prepare_table")


class Here(Executor):
    """An executor that works at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Later(Here):
    """One that works when it is asked for the result, in an order of its own."""

    def __init__(self, seed):
        self.rng, self.left = random.Random(seed), []

    def submit(self, fn, /, *args, **kwargs):
        self.left.append((Future(), fn, args))
        return self.left[-1][0]

    def work(self):
        left, self.left = self.left, []
        for future, fn, args in self.rng.sample(left, len(left)):
            future.set_result(fn(*args))


def frozen(folder, path, task=TINY, cells=CELLS):
    """The bytes of the table from these shards, and the SHA-256 file's text."""
    digest = prepare.freeze(task, folder, path, cells)
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == digest
    assert path.with_suffix(".sha256").read_text() == digest + "\n"
    return raw


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Shards of three cells and two seeds, never interrupted, and their table."""
    folder = tmp_path_factory.mktemp("whole")
    assert tabular.build(TINY, Here(), folder, CELLS) == 6
    return folder, frozen(folder, folder / "table.json")


# ------------------------------------------------------------------- one training


def test_a_row_is_what_training_by_hand_gives():
    """The same training, written out without `fit`, `crops` or `accuracy`."""
    text, seed = str(CELLS[1]), 1
    row = tabular.measure(TINY, text, seed)
    (x, y), *held_out = (tabular.crops(TINY, s) for s in ("train", *tabular.SPLITS))
    model = tabular.network(TINY, search_space.from_text(text), seed).train()
    decaying = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decaying, "weight_decay": 5e-4}, {"params": rest}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    right = []
    for step in range(4):  # two epochs of two batches
        for group in optimizer.param_groups:
            group["lr"] = TINY.lr * training.warmup_cosine(step, 4, 0)
        if step % 2 == 0:
            key = training.generator_of(seed, step // 2)
            order = torch.randperm(16, generator=key)
        rows = order[step % 2 * 8 :][:8]
        logits = model(x[rows].float() / 127.5 - 1)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, y[rows]).backward()
        optimizer.step()
        if step % 2:
            model.eval()
            with torch.no_grad():
                for images, labels in held_out:
                    answers = model(images.float() / 127.5 - 1).argmax(1)
                    right.append(int((answers == labels).sum()))
            model.train()
    assert row["validation"] == right[::2] and row["test"] == right[1::2]
    assert (row["cell"], row["seed"]) == (text, 1) and row["seconds"] > 0


def test_the_seed_alone_decides_the_first_weights():
    genotype = search_space.from_text(str(CELLS[0]))
    torch.manual_seed(5)
    a = tabular.network(TINY, genotype, 1).state_dict()
    before = torch.get_rng_state()
    torch.manual_seed(6)
    b = tabular.network(TINY, genotype, 1).state_dict()
    c = tabular.network(TINY, genotype, 2).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["stem.0.weight"], c["stem.0.weight"])
    assert before is not None
    # As wide as torch's own: uniform, with a variance of 1 / (3 fan_in).
    wide = dataclasses.replace(TINY, filters=32, stem_filters=256)
    weight = tabular.network(wide, genotype, 0).state_dict()["stem.0.weight"]
    assert weight.std().item() == pytest.approx((1 / (3 * 27)) ** 0.5, rel=0.05)
    assert weight.abs().max().item() <= 27**-0.5


def test_the_network_is_the_one_the_task_says():
    genotype = search_space.from_text("sep3(0)+max3(1) | identity(2)+sep3(2)")
    task = tabular.Task()
    model = tabular.network(task, genotype)
    same = nasnet.network(genotype, cells=1, filters=8, stem_filters=8, num_classes=10)
    assert profiling.parameters(model) == profiling.parameters(same)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {task.norm_momentum}


# --------------------------------------------------------------------- the shards


def test_what_there_is_to_train():
    every = tabular.units(tabular.Task())
    assert len(every) == len(set(every)) == 735 * 3
    assert [seed for _, seed in every] == sorted(seed for _, seed in every)
    cells = search_space.enumerate_cells(SMALL)
    assert [text for text, _ in every[:735]] == [str(cell) for cell in cells]
    assert tabular.units(TINY, iter(CELLS[:2])) == [
        (str(CELLS[0]), 0), (str(CELLS[1]), 0), (str(CELLS[0]), 1), (str(CELLS[1]), 1),
    ]  # fmt: skip


def test_shards_are_a_header_and_a_line_a_training(whole):
    (path,) = whole[0].glob("*.jsonl")
    head, *rows = map(json.loads, path.read_text().splitlines())
    assert head == tabular.header(TINY) | {"format": tabular.FORMAT}
    assert (head["train"], head["device"]) == (16, "cpu")
    assert head["space"]["operations"] == ["identity", "max3"]
    keys = [(row["cell"], row["seed"]) for row in rows]
    assert collections.Counter(keys) == collections.Counter(tabular.units(TINY, CELLS))


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ThreadPoolExecutor(3),
        lambda: Later(1),
        lambda: Later(2),
    ],
    ids=["threads", "another order", "a third order"],
)
def test_every_executor_gives_the_same_table(executor, whole, tmp_path, monkeypatch):
    with executor() as running:
        if isinstance(running, Later):
            real = tabular.as_completed

            def completed(futures):
                running.work()
                return real(futures)

            monkeypatch.setattr(tabular, "as_completed", completed)
        assert tabular.build(TINY, running, tmp_path, CELLS) == 6
        assert tabular.build(TINY, Here(), tmp_path, CELLS) == 0
    assert frozen(tmp_path, tmp_path / "table.json") == whole[1]


def test_a_build_goes_on_with_other_cells(whole, tmp_path):
    assert tabular.build(TINY, Here(), tmp_path, CELLS[1:2]) == 2
    assert tabular.build(TINY, Here(), tmp_path, CELLS) == 4
    assert len([*tmp_path.glob("*.jsonl")]) == 2
    assert frozen(tmp_path, tmp_path / "table.json") == whole[1]


def test_every_cut_of_a_shard_goes_on_to_the_same_table(whole, tmp_path):
    """As a power cut may leave it: any number of bytes of the last shard."""
    (path,) = whole[0].glob("*.jsonl")
    raw, made = path.read_bytes(), iter(range(10**6))
    rows = tabular.read_shards(TINY, whole[0])
    ends = [i + 1 for i, byte in enumerate(raw) if byte == ord("\n")]
    near = {end + d for end in ends for d in (-2, -1, 0, 1) if end + d <= len(raw)}
    for cut in sorted({0, 1, ends[0] // 2, *near}):
        folder = tmp_path / str(next(made))
        folder.mkdir()
        (folder / "1.jsonl").write_bytes(raw[:cut])
        found = tabular.read_shards(TINY, folder)
        done = max(0, sum(end <= cut for end in ends) - 1)
        assert len(found) == done and found.items() <= rows.items()
        fresh = [row for key, row in rows.items() if key not in found]
        lines = [json.dumps(line) + "\n" for line in (tabular.header(TINY), *fresh)]
        (folder / "2.jsonl").write_text("".join(lines))
        assert frozen(folder, folder / "table.json") == whole[1]


def test_killed_at_any_moment_it_goes_on_to_the_same_table(whole, tmp_path):
    """Killed by SIGKILL; a training on the disk is never lost, none is there twice."""
    command = [sys.executable, "-m", "tests.test_tabular", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    lives = json.loads(run.stdout.splitlines()[-1])
    assert sum(any(life["killed"]) for life in lives) >= 12
    for life in lives:
        folder = Path(life["folder"])
        assert frozen(folder, folder / "table.json") == whole[1], life
        for earlier, later in itertools.pairwise(life["rows"]):
            assert all(key in later for key in earlier), life
        assert len(life["rows"][-1]) == 6


def test_a_failing_training_stops_the_build_and_keeps_the_rest(tmp_path, monkeypatch):
    real, calls = tabular.measure, itertools.count(1)

    def fails(*args):
        if next(calls) == 4:
            raise MemoryError("no room")
        return real(*args)

    class OneByOne(Here):
        def submit(self, fn, /, *args):
            future = Future()
            try:
                future.set_result(fn(*args))
            except MemoryError as error:
                future.set_exception(error)
            return future

    monkeypatch.setattr(tabular, "measure", fails)
    monkeypatch.setattr(tabular, "as_completed", lambda futures: futures)
    with pytest.raises(MemoryError, match="no room"):
        tabular.build(TINY, OneByOne(), tmp_path, CELLS)
    assert len(tabular.read_shards(TINY, tmp_path)) == 3
    assert tabular.build(TINY, OneByOne(), tmp_path, CELLS) == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr": 0.2}, r"1\.jsonl: its lr is 0\.15, not 0\.2"),
        ({"train": 8}, r"1\.jsonl: its train is 16, not 8"),
        (
            {"space": SMALL},
            r"1\.jsonl: its space is .*'blocks': 1.*, not .*'blocks': 2",
        ),
    ],
)
def test_shards_of_another_task_are_refused(change, message, whole, tmp_path):
    (path,) = whole[0].glob("*.jsonl")
    shutil.copy(path, tmp_path / "1.jsonl")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        tabular.build(dataclasses.replace(TINY, **change), Here(), tmp_path, CELLS)
    assert [p.name for p in tmp_path.iterdir()] == ["1.jsonl"]
    assert (tmp_path / "1.jsonl").read_bytes() == before


@pytest.mark.parametrize("part", ["pixels", "device", "torch"])
def test_shards_of_another_world_are_refused(part, whole, tmp_path):
    (path,) = whole[0].glob("*.jsonl")
    head, rest = path.read_bytes().split(b"\n", 1)
    changed = json.dumps(json.loads(head) | {part: "other"}).encode()
    (tmp_path / "1.jsonl").write_bytes(changed + b"\n" + rest)
    with pytest.raises(ValueError, match=rf"1\.jsonl: its {part} is 'other', not"):
        tabular.read_shards(TINY, tmp_path)


@pytest.mark.parametrize(
    "line, message",
    [
        (b'{"cell": "a"}', r"line 3: b'\{\"cell\": \"a\"\}' is no row"),
        (b'{"cell": "a", "se', r"line 3: .* is no row"),
        (b"", r"line 3: b'' is no row"),
        (b"[1]", r"line 3: .* is no row"),
        (None, r"line 3: .* is there already"),
    ],
)
def test_a_damaged_shard_is_refused_by_line(line, message, whole, tmp_path):
    (path,) = whole[0].glob("*.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines.insert(2, lines[1] if line is None else line)
    (tmp_path / "1.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"1\.jsonl, " + message):
        tabular.read_shards(TINY, tmp_path)


def test_a_table_of_a_part_is_refused(whole, tmp_path):
    with pytest.raises(
        ValueError, match="14 of 20 trainings are missing, first .*max3"
    ):
        prepare.freeze(TINY, whole[0], tmp_path / "table.json")
    assert not [*tmp_path.iterdir()]


def test_processes_share_the_work_hold_the_folder_and_end_together(whole, tmp_path):
    code = (
        "import os, sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "import prepare\n"
        "from tests.test_tabular import CELLS, TINY, tabular\n"
        "if __name__ == '__main__':\n"
        "    shards = Path(sys.argv[1])\n"
        "    with prepare.alone(shards), prepare.pool(2) as pool:\n"
        "        print(tabular.build(TINY, pool, shards, CELLS), flush=True)\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        pool.submit(time.sleep, 300).result()\n"
    )
    (tmp_path / "run.py").write_text(code)
    shards, where = tmp_path / "shards", [str(ROOT), str(ROOT / "data" / "tabular")]
    command = [sys.executable, str(tmp_path / "run.py"), str(shards), *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "6\n"
        worker = int(parent.stdout.readline())
        with pytest.raises(SystemExit, match="another process builds here"):
            with prepare.alone(shards):
                pass
        parent.kill()
        assert parent.stdout.read() == ""  # closed once the last worker is gone
    with pytest.raises(ProcessLookupError):
        for _ in range(500):
            os.kill(worker, 0)
            time.sleep(0.01)
    with prepare.alone(shards):  # the kill let go of it
        assert frozen(shards, tmp_path / "table.json") == whole[1]


def test_a_local_cluster_that_loses_a_worker_gives_the_same_table(whole, tmp_path):
    """On Dask; one of two workers is killed while it trains."""
    from dask.distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    home = {"host": "127.0.0.1", "local_directory": str(tmp_path / "dask")}
    with LocalCluster(**options, **home) as cluster, Client(cluster) as client:
        pids, shards = list(client.run(os.getpid).values()), tmp_path / "shards"
        with client.get_executor() as executor, ThreadPoolExecutor(1) as aside:
            running = aside.submit(tabular.build, TINY, executor, shards, CELLS)
            while not sum(p.stat().st_size > 0 for p in shards.glob("*.jsonl")):
                time.sleep(0.01)  # the header is there: work has been handed out
            os.kill(pids[0], signal.SIGKILL)
            assert running.result(timeout=120) == 6
        assert pids[0] not in client.run(os.getpid).values()
    assert frozen(shards, tmp_path / "table.json") == whole[1]


# ----------------------------------------------------------------- asking the table

TEXTS = ["max3(0)+max3(0) -> 2", "identity(0)+max3(1) -> 2", "identity(1)+max3(0) -> 2"]
ROWS = [
    # counts of 8 (validation) and 10 (test), [seed][epoch]
    {"validation": [[1, 2], [1, 4]], "test": [[1, 1], [2, 3]]},
    {"validation": [[2, 6], [3, 8]], "test": [[5, 7], [5, 8]]},
    {"validation": [[4, 5], [2, 5]], "test": [[2, 6], [3, 5]]},
]
ROWS = [
    row | {"cell": text, "parameters": p, "macs": m}
    for row, text, p, m in zip(ROWS, TEXTS, (10, 30, 20), (5, 9, 7), strict=True)
]


@pytest.fixture
def small():
    return tabular.Table(TINY, ROWS)


@pytest.mark.equation("6.1")
def test_answers_by_hand(small):
    first, second, third = map(search_space.from_text, TEXTS)
    assert len(small) == 3 and small.genotypes == [first, second, third]
    assert (small.seeds, small.epochs, small.space) == (2, 2, ONE)
    assert small.query(second) == (6 / 8 + 8 / 8) / 2 == 0.875
    assert small.query(second, seed=0) == 0.75
    assert small.query(second, seed=1, epoch=1) == 3 / 8
    assert small.query(third, epoch=1) == (4 + 2) / 16
    assert small.query(third, split="test") == pytest.approx((6 + 5) / 20, abs=1e-12)
    assert small.query(first, 0, 2, "test") == 0.1
    assert type(small.query(first)) is float
    assert small.accuracy["test"].shape == (3, 2, 2)
    assert small.accuracy["test"][1, 0].tolist() == [0.5, 0.7]
    assert small.parameters.tolist() == [10, 30, 20]
    assert small.macs.tolist() == [5, 9, 7]
    assert small.latency is None
    timed = [row | {"latency": 1.5} for row in ROWS]
    assert tabular.Table(TINY, timed).latency.tolist() == [1.5] * 3


def test_every_way_to_write_a_cell_is_known():
    """Each of the 2,916 token sequences of SMALL finds its canonical cell."""
    cells = search_space.enumerate_cells(SMALL)
    task = tabular.Task(seeds=1, epochs=1, validation=1000)
    rows = [
        {"cell": str(c), "validation": [[i]], "test": [[0]], "parameters": 0, "macs": 0}
        for i, c in enumerate(cells)
    ]
    table = tabular.Table(task, rows)
    place = {cell: i for i, cell in enumerate(cells)}
    options = [range(len(d.options)) for d in search_space.decisions(SMALL)]
    count = 0
    for tokens in itertools.product(*options):
        genotype = search_space.decode(SMALL, tokens)
        expected = place[search_space.canonical(genotype.normal)]
        for _ in "ab":  # the second time it is remembered
            assert table.query(genotype) == expected / 1000
        count += 1
    assert count == 2916 and len(table) == 735


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"seed": 2}, r"seed is 2; it is 0 to 1, or None"),
        ({"seed": -1}, r"seed is -1; it is 0 to 1"),
        ({"seed": "0"}, r"seed is '0'; it is 0 to 1"),
        ({"epoch": 0}, r"epoch is 0; it is 1 to 2"),
        ({"epoch": 3}, r"epoch is 3; it is 1 to 2"),
        ({"epoch": -1}, r"epoch is -1; it is 1 to 2"),
        ({"epoch": 1.5}, r"epoch is 1\.5; it is 1 to 2"),
        (
            {"split": "train"},
            r"split is 'train'; it is one of \('validation', 'test'\)",
        ),
        ({"split": None}, r"split is None; it is one of"),
    ],
)
def test_what_the_table_does_not_have_is_refused(arguments, message, small):
    with pytest.raises(ValueError, match=message):
        small.query(small.genotypes[0], **arguments)


@pytest.mark.parametrize(
    "text, message",
    [
        ("sep3(0)+max3(0)", r"normal cell, block 0, left operation: 'sep3'"),
        ("max3(0)+max3(0) | max3(0)+max3(1)", r"2 blocks; this space has 1"),
        ("normal: max3(0)+max3(0) reduction: max3(0)+max3(1)", "it is the normal cell"),
        ("max3(1)+max3(1)", r"max3\(1\)\+max3\(1\) -> 2: not among this table's 3"),
    ],
)
def test_a_cell_outside_is_refused_with_the_place(text, message, small):
    with pytest.raises(GenotypeError, match=message):
        small.query(search_space.from_text(text))


def test_a_frozen_table_comes_back(whole, tmp_path):
    path = tmp_path / "table.json"
    frozen(whole[0], path)
    table, rows = tabular.load(path), tabular.read_shards(TINY, whole[0])
    assert table.task == TINY and len(table) == 3
    for genotype, cell in zip(table.genotypes, CELLS, strict=True):
        assert genotype == Genotype(cell, cell)
        for seed, epoch in itertools.product(range(2), (1, 2)):
            for split, of in (("validation", 8), ("test", 10)):
                right = rows[str(cell), seed][split][epoch - 1]
                assert table.query(genotype, seed, epoch, split) == right / of
    model = tabular.network(TINY, table.genotypes[2])
    assert table.parameters[2] == sum(p.numel() for p in model.parameters())
    assert table.macs[2] == profiling.macs(model, torch.zeros(1, 3, 8, 8))


def test_latencies_join_the_table_later(whole, tmp_path):
    shards = tmp_path / "shards"
    shutil.copytree(whole[0], shards)
    before = frozen(shards, tmp_path / "table.json")
    assert tabular.load(tmp_path / "table.json").latency is None
    times = prepare.clock(TINY, CELLS, repeats=2)
    assert list(times) == [str(cell) for cell in CELLS] and min(times.values()) > 0
    (shards / "latency.json").write_text(json.dumps(times))
    after = frozen(shards, tmp_path / "table.json")
    assert tabular.load(tmp_path / "table.json").latency.tolist() == [*times.values()]
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    for a, b in itertools.islice(lines, 1, None):
        assert json.loads(a) == {
            k: v for k, v in json.loads(b).items() if k[:3] != "lat"
        }


def test_a_table_that_is_missing_or_damaged_says_so(whole, tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(ValueError, match=r"table\.json is missing: .*pip install -e"):
        tabular.load(path)
    raw = frozen(whole[0], path)
    path.write_bytes(raw.replace(b"identity", b"identitz", 1))
    with pytest.raises(ValueError, match=r"table\.json is damaged: SHA-256 \w+, not"):
        tabular.load(path)
    path.write_bytes(raw[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        tabular.load(str(path))
    path.with_suffix(".sha256").unlink()
    with pytest.raises(ValueError, match=r"table\.sha256 is missing"):
        tabular.load(path)


# ------------------------------------------------------------------ noise and ranks


@pytest.mark.equation("6.2")
@pytest.mark.equation("6.3")
def test_spread_by_hand():
    # Means 0.3, 0.5, 0.7: their deviation is 0.2. Seeds apart by 0.2, 0, 0.4: each
    # pair deviates by the gap over the root of 2, the mean gap is 0.2.
    accuracy = np.array([[0.2, 0.4], [0.5, 0.5], [0.9, 0.5]])
    between, seeds = tabular.spread(accuracy)
    assert between == pytest.approx(0.2) and seeds == pytest.approx(0.2 / 2**0.5)
    rng = random.Random(0)
    rows = [[rng.random() for _ in range(3)] for _ in range(20)]
    between, seeds = tabular.spread(np.array(rows))
    assert between == pytest.approx(statistics.stdev(map(statistics.mean, rows)))
    assert seeds == pytest.approx(statistics.mean(map(statistics.stdev, rows)))


def pairs(a, b):
    """Kendall's tau-b by its definition, pair by pair."""
    signs = [
        (np.sign(a[i] - a[j]), np.sign(b[i] - b[j]))
        for i, j in itertools.combinations(range(len(a)), 2)
    ]
    both = sum(x * y for x, y in signs)
    untied = [sum(s[k] != 0 for s in signs) for k in (0, 1)]
    return both / (untied[0] * untied[1]) ** 0.5


@pytest.mark.equation("6.4")
def test_tau_by_hand():
    # Two seeds, so each is set against the other one. Of six pairs of four cells, the
    # orders 1 2 3 4 and 2 1 3 4 disagree on one: (5 - 1) / 6.
    told = np.array([[1, 1], [2, 2], [3, 3], [4, 4]]) / 10
    final = np.array([[2, 2], [1, 1], [3, 3], [4, 4]]) / 10
    assert tabular.foresight(told, final) == pytest.approx(4 / 6)
    assert tabular.foresight(told, told) == 1
    assert tabular.foresight(-told, told) == -1


@pytest.mark.equation("6.4")
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_kendall_as_it_is_read_is_scipys(levels):
    rng = np.random.default_rng(levels)
    a, b = rng.integers(levels, size=(2, 60)) / 8
    expected = scipy.stats.kendalltau(a, b).statistic
    assert tabular.kendall(a.tolist(), b.tolist()) == pytest.approx(expected, abs=1e-12)
    assert tabular.tau(a, b) == expected


def test_a_ranking_of_equal_values_is_refused_and_its_tau_is_nan(monkeypatch):
    with pytest.raises(ValueError, match="b is one value throughout"):
        tabular.kendall([1.0, 2.0], [3.0, 3.0])
    with pytest.raises(ValueError, match="a and b are 2 and 3 numbers"):
        tabular.kendall([1.0, 2.0], [1.0, 2.0, 3.0])
    both = np.arange(3.0), np.ones(3)
    assert math.isnan(tabular.tau(*both))
    monkeypatch.setattr(tabular, "kendall", lambda a, b: 0.5)  # somebody's own
    assert math.isnan(tabular.tau(*both)) and tabular.tau(both[0], both[0]) == 0.5


@pytest.mark.equation("6.5")
def test_foresight_is_against_the_other_seeds():
    rng = np.random.default_rng(0)
    told, final = rng.integers(0, 9, (2, 12, 3)) / 8  # with ties
    expected = statistics.mean(
        pairs(told[:, s], final[:, [t for t in range(3) if t != s]].mean(1))
        for s in range(3)
    )
    assert tabular.foresight(told, final) == pytest.approx(expected)
    final[:, 0] = rng.random(12)  # what a seed is set against has no part of itself
    rest = final[:, 1:].mean(1)
    assert tabular.foresight(np.stack([rest] * 3, 1), final) < 1


# ------------------------------------------------------------------- being killed

DEATHS = [("half a row", n) for n in range(1, 5)]
DEATHS += [("before the disk has it", n) for n in range(1, 5)]
DEATHS += [("after microseconds", None)] * 6


def attempt(folder, kind="", when=0):
    """Build in a child to the end or to its death; True if it was killed."""
    pid = os.fork()
    if pid == 0:
        calls, dumps, fsync = itertools.count(), json.dumps, os.fsync
        die = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731

        def half(row):
            text = dumps(row)
            if "seed" in row and "cell" in row and next(calls) == when - 1:
                (shard,) = [p for p in folder.glob("*.jsonl") if p not in before]
                with open(shard, "ab") as file:
                    file.write(text.encode()[: len(text) // 2])
                die()
            return text

        def late(descriptor):
            if next(calls) == when:
                die()
            fsync(descriptor)

        before = [*folder.glob("*.jsonl")]
        if kind == "half a row":
            json.dumps = half
        elif kind == "before the disk has it":
            os.fsync = late
        try:
            with ThreadPoolExecutor(1) as executor:
                tabular.build(TINY, executor, folder, CELLS)
        finally:
            os._exit(0)
    if kind == "after microseconds":
        time.sleep(when / 1e6)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def main(root):
    """Live, die, live on: what each life left, as one line of JSON."""
    torch.set_num_threads(1)
    for split in ("train", *tabular.SPLITS):
        tabular.crops(TINY, split)
    rng, lives = random.Random(3), []
    attempt(make(root / "first"))  # pages and caches are warm from here on
    began = time.monotonic()
    attempt(make(root / "timed"))
    took = int(1e6 * (time.monotonic() - began))
    deaths = [[(k, rng.randrange(took) if n is None else n)] for k, n in DEATHS]
    deaths += [[rng.choice(DEATHS[:8]) for _ in range(4)] for _ in range(2)]
    for number, kills in enumerate(deaths):
        folder, rows, killed = make(root / str(number)), [], []
        for kill in [*kills, ("", 0)]:
            killed.append(attempt(folder, *kill))
            rows.append(sorted(tabular.read_shards(TINY, folder)))
        lives.append({"folder": str(folder), "killed": killed, "rows": rows})
    print(json.dumps(lives))


def make(folder):
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]))
