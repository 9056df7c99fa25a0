"""Each shipped file is the one that the code names; a file and sum changed are noticed.

Weights trained anew: run the script of data/weights, then print the table with

    cd data && sha256sum weights/*.safetensors weights/*.onnx tabular/*.jsonl

and write it into lib/basics/shipped.py.
"""

import hashlib
import subprocess

import pytest

import lib
from lib.basics import checkpoints, shipped, training
from lib.nas import tabular

DATA = lib.ROOT / "data"


def test_the_code_names_every_file_that_ships():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "data"],
        cwd=lib.ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    kinds = (".safetensors", ".onnx")
    ships = {name.removeprefix("data/") for name in listed if name.endswith(kinds)}
    assert ships <= set(shipped.SHA256)
    for name, digest in shipped.SHA256.items():
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest, name


def test_a_file_that_is_not_shipped_is_not_asked_for(tmp_path):
    shipped.check(tmp_path / "mine.safetensors", "0" * 64)
    shipped.check(DATA / "weights" / "mine.safetensors", "0" * 64)


def test_a_shipped_file_changed_together_with_its_sum_is_refused(tmp_path, monkeypatch):
    """The folder of the course is a copy here, in which both were replaced."""
    (tmp_path / "data" / "weights").mkdir(parents=True)
    (tmp_path / "data" / "tabular").mkdir()
    monkeypatch.setattr(lib, "ROOT", tmp_path)
    changed = tmp_path / "data" / "weights" / "digits_cnn.safetensors"
    checkpoints.save_weights(training.small_cnn(), changed)  # whole, but untrained
    with pytest.raises(ValueError, match="is not the file that ships"):
        checkpoints.read_weights(changed)
    table = tmp_path / "data" / "tabular" / "small.jsonl"
    table.write_bytes(b"{}")
    table.with_suffix(".sha256").write_text(hashlib.sha256(b"{}").hexdigest())
    with pytest.raises(ValueError, match="is not the file that ships"):
        tabular.load(table)
