"""Kept arrays: the same bits, or computed again."""

import os
import time

import numpy as np
import pytest
import torch

from lib.basics import cache, data


def test_not_one_changed_bit_gives_other_pictures(monkeypatch, tmp_path):
    """Every bit of the headers and a sample of the others; also a file renamed."""
    monkeypatch.setattr(data, "CACHE", tmp_path)
    first, _ = data.crops("train", 3)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    assert cache.read(path) is not None
    for place in [*range(400), *range(400, len(whole), 37)]:
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            assert cache.read(path) is None, (place, bit)
    path.write_bytes(whole)
    data.crops("train", 3, seed=1)
    other = next(file for file in tmp_path.iterdir() if file != path)
    other.replace(path)  # sound, but the answer to another question
    assert torch.equal(data.crops("train", 3)[0], first)


def test_a_sound_file_with_other_arrays_is_not_believed(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "CACHE", tmp_path)
    first, _ = data.crops("train", 3)
    (path,) = tmp_path.iterdir()
    cache.write(path, {"images": np.zeros(3)})
    assert torch.equal(data.crops("train", 3)[0], first)


def test_where_nothing_can_be_kept_it_is_said_once(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(data, "CACHE", tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match=r"file.cache \(.*make that folder writable"):
        first, _ = data.crops("train", 20)
    assert torch.equal(data.crops("train", 20)[0], first)  # a second warning would fail
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_nothing_for_ever(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "CACHE", tmp_path)
    for name, age in (("old.123.tmp", 7200), ("new.456.tmp", 60)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    data.crops("train", 3)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".npz", ".tmp"]
    assert (tmp_path / "new.456.tmp").exists()  # its writer may still be at it
