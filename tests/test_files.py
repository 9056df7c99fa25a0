"""A file is the old one or the new one, whenever a process dies."""

import json
import os

import pytest

from lib.basics import coco, data, files
from lib.basics.coco import CocoFolder


def dies(call, kind: str) -> None:
    """Run a call in a child that is gone before it does one thing of the system."""
    child = os.fork()
    if child == 0:
        try:
            setattr(os, kind, lambda *_: os._exit(9))
            call()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, kind


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["fsync", "replace"])
def test_a_kill_leaves_the_old_file(kind, tmp_path):
    path = tmp_path / "a.txt"
    files.write_file(path, b"old")
    dies(lambda: files.write_file(path, b"new, and longer"), kind)
    assert path.read_bytes() == b"old"
    files.write_file(path, b"new")  # what the dead one left is no obstacle
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["fsync", "replace"])
def test_a_kill_leaves_the_annotations_that_were_there(kind, tmp_path):
    """Also where the new ones are of fewer pictures: each that is named is there."""
    many = data.scenes("test", 3, size=64, pixels=(14, 40))
    few = data.scenes("test", 2, size=64, pixels=(14, 40))
    path = coco.write_coco(many, tmp_path)
    dies(lambda: coco.write_coco(few, tmp_path), kind)
    assert json.loads(path.read_text("utf-8")) == many.coco()
    assert len(CocoFolder(path, tmp_path / "images")) == 3
    coco.write_coco(few, tmp_path)
    assert len(CocoFolder(path, tmp_path / "images")) == 2


def test_a_full_disk_is_told_with_the_path(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_file(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"a\.txt cannot be written .*No space"):
        files.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
