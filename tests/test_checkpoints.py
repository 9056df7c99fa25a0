"""Files that survive: checkpoints whole or refused, weights that are what they say."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from lib.basics import checkpoints, data, training

ROOT = Path(__file__).parents[1]


# --- killed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_killed_at_any_moment_ends_with_the_same_bits(killed):
    for life in killed["lives"]:
        assert life["result"] == killed["whole"], life["kills"]


def test_the_kills_did_kill(killed):
    dead = Counter()
    for life in killed["lives"]:
        for (kind, _), died in zip(life["kills"], life["killed"], strict=True):
            dead[kind] += died
    assert dead["after step"] == 17
    # Twelve fell inside a save: half a file, not yet on the disk, between two moves.
    assert dead["half a file"] == dead["before fsync"] == dead["before a move"] == 4
    assert dead["after microseconds"] >= 1


# --- checkpoints ----------------------------------------------------------------------


def write(path, step=3, value=1.0):
    checkpoints.write_checkpoint(path, {"step": step, "x": torch.full((50,), value)})


def test_written_and_read(tmp_path):
    write(tmp_path / "deep" / "run.pt", 3, 1.5)
    state = checkpoints.read_checkpoint(tmp_path / "deep" / "run.pt")
    assert state["step"] == 3 and state["x"].tolist() == [1.5] * 50
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["run.pt"]


def test_all_of_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(number):
        calls.append(("fsync", os.fstat(number).st_size))
        fsync(number)

    def noted_replace(source, target):
        calls.append(("named", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write(tmp_path / "run.pt")
    size = (tmp_path / "run.pt").stat().st_size
    assert calls[:2] == [("fsync", size), ("named", size)]


def test_none_before_the_first(tmp_path):
    assert checkpoints.read_checkpoint(tmp_path / "run.pt") is None


def test_the_one_before_is_kept_and_found(tmp_path):
    path = tmp_path / "run.pt"
    write(path, 3)
    write(path, 6)
    assert checkpoints.read_checkpoint(path)["step"] == 6
    path.unlink()
    assert checkpoints.read_checkpoint(path)["step"] == 3


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_named(tmp_path, share):
    path = tmp_path / "run.pt"
    write(path, 3)
    write(path, 6)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"run\.pt is damaged.*run\.pt\.previous"):
        checkpoints.read_checkpoint(path)


def test_one_flipped_bit_in_a_tensor_is_found(tmp_path):
    path = tmp_path / "run.pt"
    write(path, 3, 1.0)
    content = bytearray(path.read_bytes())
    where = content.index(torch.ones(50).numpy().tobytes()) + 100
    content[where] ^= 1
    path.write_bytes(content)
    # torch.load would have read it: this is what the checksum is for.
    assert torch.load(path, weights_only=True)["x"].unique().numel() == 2
    with pytest.raises(ValueError, match=r"run\.pt is damaged .*checksum"):
        checkpoints.read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
def test_another_file_is_no_checkpoint(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.txt is damaged or is no checkpoint"):
        checkpoints.read_checkpoint(tmp_path / "notes.txt")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"step": 0, "x": Trap()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"run\.pt is damaged or is no checkpoint"):
        checkpoints.read_checkpoint(tmp_path / "run.pt")
    assert not (tmp_path / "ran").exists()


# --- weights --------------------------------------------------------------------------


def test_weights_come_back(tmp_path):
    model, other = training.small_cnn((4, 8)), training.small_cnn((4, 8), seed=1)
    checkpoints.save_weights(model, tmp_path / "net.safetensors")
    checkpoints.load_weights(other, tmp_path / "net.safetensors")
    mine = other.state_dict()
    assert all(torch.equal(v, mine[k]) for k, v in model.state_dict().items())


def test_the_hash_file_has_the_format_of_sha256sum(tmp_path):
    path = tmp_path / "net.safetensors"
    digest = checkpoints.save_weights(training.small_cnn((4,)), path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "net.sha256").read_text() == f"{digest}  net.safetensors\n"


def damaged(tmp_path, change):
    """Weights of a small network, changed as `change(state)` says, hash made anew."""
    model, path = training.small_cnn((4, 8)), tmp_path / "net.safetensors"

    class Changed(nn.Module):
        def state_dict(self):
            return change({k: v.contiguous() for k, v in model.state_dict().items()})

    checkpoints.save_weights(Changed(), path)
    return path


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda s: s | {"0.weight": s["0.weight"][:2]}, r"0\.weight: shape \(2, 3, 3"),
        (lambda s: {k: s[k] for k in s if k != "4.weight"}, r"4\.weight: no such key"),
        (
            lambda s: s | {"9.extra": s["1.bias"]},
            r"9\.extra: .* no such key in the mod",
        ),
        (
            lambda s: {k.replace("1.", "bn."): v for k, v in s.items()},
            r"1\.weight: no such key in the file",
        ),
    ],
)
def test_the_first_offending_key_is_named(tmp_path, change, says):
    path, model = damaged(tmp_path, change), training.small_cnn((4, 8), seed=5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match=rf"net\.safetensors, {says}"):
        checkpoints.load_weights(model, path)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_truncated_weights_are_named(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"net\.safetensors is truncated or changed"):
        checkpoints.load_weights(training.small_cnn((4, 8)), path)


def test_missing_files_are_named(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    path.with_suffix(".sha256").unlink()
    with pytest.raises(ValueError, match=r"net\.sha256 does not exist"):
        checkpoints.load_weights(training.small_cnn((4, 8)), path)
    with pytest.raises(ValueError, match="nothing_like_it does not exist"):
        checkpoints.load_weights(training.small_cnn((4, 8)), "nothing_like_it")


def test_a_file_of_another_kind_is_named(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    path.write_bytes(b"x" * 64)
    path.with_suffix(".sha256").write_text(hashlib.sha256(b"x" * 64).hexdigest())
    with pytest.raises(ValueError, match=r"net\.safetensors is no safetensors file"):
        checkpoints.load_weights(training.small_cnn((4, 8)), path)


def test_safetensors_reads_our_file(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    assert safetensors.torch.load_file(path)["0.weight"].shape == (4, 3, 3, 3)


def test_the_shipped_network_is_the_one_in_its_datasheet():
    model = checkpoints.load_weights(training.small_cnn(), "digits_cnn")
    found = training.accuracy(model, *data.crops("test", 500))
    assert abs(found - 0.895) < 0.04  # 500 crops: two standard errors are 0.028
    # A classifier, three detectors and their backbones: a few MB together.
    assert sum(p.stat().st_size for p in checkpoints.WEIGHTS.iterdir()) < 8_000_000
