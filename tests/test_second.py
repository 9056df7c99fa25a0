"""The second table: seeds of its own, kills, a fair order, which table is read."""

import dataclasses
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.basics import shipped
from lib.nas import search_space, shards, tabular
from lib.nas.search_space import Space

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "tabular"
sys.path.append(str(FOLDER))  # behind all others: second.py imports its neighbour


def module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


second = module(FOLDER / "second.py", "second_table")
ONE = Space(1, ("identity", "max3"), cells=("normal",))
TINY = tabular.Task(
    space=ONE, size=8, train=16, validation=8, test=10, filters=2, stem_filters=4,
    epochs=2, batch=8, seeds=2, own_seeds=True,
)  # fmt: skip
A_SHARD = 3


def told(folder):
    """Cell, number and counts of every row; seconds differ from run to run."""
    rows = tabular.read_shards(TINY, folder)
    return {unit: (row["validation"], row["test"]) for unit, row in rows.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert second.train(TINY, folder, a_shard=A_SHARD) == len(second.order(TINY))
    return folder, told(folder)


def test_a_seed_of_its_own_is_a_hash_of_cell_and_number():
    """The first four bytes of what `printf 'a #1' | sha256sum` prints."""
    text = "identity(0)+identity(1) | identity(0)+identity(2) -> 3"
    first = dataclasses.replace(TINY, own_seeds=False)
    assert [tabular.drawn_seed(first, text, n) for n in (0, 1, 7)] == [0, 1, 7]
    command = ["sha256sum"]
    for number in (0, 1):
        said = f"{text} #{number}".encode()
        digest = subprocess.run(command, input=said, capture_output=True, check=True)
        by_shell = int(digest.stdout[:8], 16)
        assert tabular.drawn_seed(TINY, text, number) == by_shell


def test_no_two_trainings_share_a_seed():
    task = tabular.SECOND
    units = tabular.units(task)
    drawn = {tabular.drawn_seed(task, text, number) for text, number in units}
    assert len(drawn) == len(units) == 735 * task.seeds


def test_side_by_side_are_the_rows_of_one_by_one():
    """Counts may differ where a sum's order turns a close answer: here at most two."""
    task = dataclasses.replace(TINY, train=32, lr=0.02)
    text = str(search_space.enumerate_cells(ONE)[2])
    rows = tabular.measure_side_by_side(task, text)
    for number, row in enumerate(rows):
        alone = tabular.measure(task, text, number)
        assert list(row) == list(alone)
        assert (row["cell"], row["seed"]) == (text, number)
        assert row["crc"] == shards.checksum(row)
        for split in tabular.SPLITS:
            assert np.abs(np.subtract(row[split], alone[split])).max() <= 2


def test_the_order_is_a_hash_and_a_fair_sample():
    texts = second.order(tabular.SECOND)
    cells = search_space.enumerate_cells(tabular.SECOND.space)
    assert sorted(texts) == sorted(map(str, cells)) and len(texts) == 735
    # The first table's mean over any first part is that over all, within three
    # standard errors of a sample drawn without return.
    table = tabular.load(FOLDER / "small.jsonl")
    worth = [table.query(search_space.from_text(text)) for text in texts]
    for part in (50, 100, 200, 400):
        left = (735 - part) / 734
        error = np.std(worth) * (left / part) ** 0.5
        assert abs(np.mean(worth[:part]) - np.mean(worth)) < 3 * error


def test_a_part_goes_on_where_it_stopped(whole, tmp_path):
    total = len(second.order(TINY))
    assert second.train(TINY, tmp_path, most=2, a_shard=A_SHARD) == 2
    assert list(told(tmp_path)) == [
        (text, n) for text in second.order(TINY)[:2] for n in (0, 1)
    ]
    assert f"2 of {total} cells complete" in second.status(TINY, tmp_path)
    assert second.train(TINY, tmp_path, a_shard=A_SHARD) == total - 2
    assert second.train(TINY, tmp_path, a_shard=A_SHARD) == 0
    assert told(tmp_path) == whole[1]
    assert len([*tmp_path.glob("*.jsonl")]) == -(-total // A_SHARD)


def test_every_cut_of_the_last_shard_goes_on_to_the_same_rows(whole, tmp_path):
    """As a power cut may leave it: any number of bytes; what is whole stays."""
    last = sorted(whole[0].glob("*.jsonl"))[-1].name
    raw = (whole[0] / last).read_bytes()
    ends = [i + 1 for i, byte in enumerate(raw) if byte == ord("\n")]
    cuts = {0, 1, ends[0] // 2, *ends, *(end - 1 for end in ends), ends[1] + 9}
    for cut in sorted(cuts):
        folder = tmp_path / str(cut)
        shutil.copytree(whole[0], folder)
        (folder / last).write_bytes(raw[:cut])
        second.train(TINY, folder, a_shard=A_SHARD)
        assert told(folder) == whole[1]
        kept = raw[: max([0, *(end for end in ends if end <= cut)])]
        assert (folder / last).read_bytes().startswith(kept)


def test_killed_and_resumed(whole, tmp_path):
    """By SIGKILL, at whatever it was; what is on the disk is never lost."""
    command = [sys.executable, "-m", "tests.test_second", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    seen = {}
    for _ in range(2):
        child = subprocess.Popen(command, cwd=ROOT, env=environment)
        deadline = time.monotonic() + 300
        grown = len(told(tmp_path)) + 4
        while child.poll() is None and len(told(tmp_path)) < grown:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        now = told(tmp_path)
        assert seen.items() <= now.items()
        seen = now
    second.train(TINY, tmp_path, a_shard=A_SHARD)
    assert told(tmp_path) == whole[1]


def test_numbers_of_the_status_by_hand():
    """Means 0.3, 0.5, 0.7; deviations sqrt(0.02); by seed 0.4 and 0.6."""
    final = np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8]])
    final = np.concatenate([final] * 10)
    said = "\n".join(second.noise(final))
    assert "means of cells 0.300 to 0.700" in said
    assert "mean by seed: 0.400 0.600" in said
    assert "within 0.1414" in said


def test_the_second_table_is_read_once_it_is_written(tmp_path):
    (tmp_path / "small.jsonl").touch()
    assert tabular.newest(tmp_path).name == "small.jsonl"
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "00.jsonl").touch()  # shards alone are no table
    assert tabular.newest(tmp_path).name == "small.jsonl"
    (tmp_path / "second.jsonl").touch()
    assert tabular.newest(tmp_path).name == "second.jsonl"


def test_the_table_that_is_read_is_whole():
    """The second one if it is there, with all its cells and seeds; else the first."""
    table = tabular.load()
    complete = (FOLDER / "second.jsonl").exists()
    assert tabular.SHIPPED.name == ("second.jsonl" if complete else "small.jsonl")
    assert table.task == (tabular.SECOND if complete else tabular.Task())
    cells = search_space.enumerate_cells(table.space)
    assert [str(genotype.normal) for genotype in table.genotypes] == [*map(str, cells)]
    for split in tabular.SPLITS:
        shape = (735, table.task.seeds, table.task.epochs)
        assert table.accuracy[split].shape == shape
    place = tabular.SHIPPED.relative_to(ROOT / "data").as_posix()
    assert place in shipped.SHA256


def test_a_table_of_a_part_is_never_written(whole, tmp_path):
    folder = tmp_path / "part"
    shutil.copytree(whole[0], folder)
    last = sorted(folder.glob("*.jsonl"))[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(True)[:-1]))
    path = tmp_path / "second.jsonl"
    with pytest.raises(ValueError, match="1 of .* trainings are missing"):
        second.freeze(TINY, folder, path)
    assert not path.exists()


def test_the_whole_is_written_and_read(whole, tmp_path):
    folder = tmp_path / "whole"
    shutil.copytree(whole[0], folder)
    path = tmp_path / "second.jsonl"
    second.freeze(TINY, folder, path)
    table = tabular.load(path)
    assert table.task == TINY and len(table) == len(second.order(TINY))
    for (text, number), (validation, _) in whole[1].items():
        genotype = search_space.from_text(text)
        for epoch in (1, 2):
            share = table.query(genotype, seed=number, epoch=epoch)
            assert share == validation[epoch - 1] / 8


def test_the_shards_that_are_there_can_be_read_and_are_small():
    rows = tabular.read_shards(tabular.SECOND, FOLDER / "second")
    known = set(tabular.units(tabular.SECOND))
    assert set(rows) <= known
    files = [*(FOLDER / "second").glob("*.jsonl")]
    assert sum(path.stat().st_size for path in files) < 10**6
    first = itertools.takewhile(
        lambda text: (text, 0) in rows, second.order(tabular.SECOND)
    )
    # The cells that are there are the first of the order: none was picked.
    assert len([*first]) == len({text for text, _ in rows})
    for path in files:
        head = json.loads(path.read_text("utf-8").splitlines()[0])
        assert head["own_seeds"] is True and head["format"] == shards.FORMAT


if __name__ == "__main__":
    second.train(TINY, Path(sys.argv[1]), a_shard=A_SHARD)
