"""Weights that others trained: sound and asked for, or nothing is loaded."""

import hashlib
import os
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from lib.basics import official


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


NAMES = {key: f"their.{key}" for key in net().state_dict()}


def theirs(seed=1):
    return {NAMES[key]: value for key, value in net(seed).state_dict().items()}


def saved(path, legacy=False):
    torch.save(theirs(), path, _use_new_zipfile_serialization=not legacy)
    return path


def test_loaded_by_their_names(tmp_path):
    for name, legacy in (("a.pth", False), ("b.pth", True)):
        model = official.load(net(), saved(tmp_path / name, legacy), NAMES)
        for key, value in net(1).state_dict().items():
            assert torch.equal(model.state_dict()[key], value)
    safetensors.torch.save_file(theirs(), tmp_path / "c.safetensors")
    state = official.read(tmp_path / "c.safetensors")
    assert torch.equal(state["their.0.weight"], net(1)[0].weight)


def test_a_flipped_bit_in_an_archive_is_found(tmp_path):
    path = saved(tmp_path / "a.pth")
    content = bytearray(path.read_bytes())
    place = content.index(theirs()["their.0.weight"].numpy().tobytes()) + 5
    content[place] ^= 1
    path.write_bytes(content)
    # torch itself reads it: this is what the checksum is for.
    assert not torch.equal(torch.load(path)["their.0.weight"], net(1)[0].weight)
    with pytest.raises(ValueError, match=r"a\.pth: damaged.*checksum"):
        official.read(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_hash_of_a_published_name_is_compared(tmp_path, suffix):
    path = tmp_path / f"plain.{suffix}"
    save = torch.save if suffix == "pth" else safetensors.torch.save_file
    for seed in range(200):  # until the first eight digits hold a letter: nearly always
        save(theirs(seed), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not digest[:8].isdigit():
            break
    good = tmp_path / f"net_34-{digest[:8]}.{suffix}"
    good.write_bytes(path.read_bytes())
    assert official.read(good).keys() == theirs().keys()
    bad = tmp_path / f"net_34-f153e0cf.{suffix}"
    bad.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=rf"f153e0cf\.{suffix}: its SHA-256 is"):
        official.read(bad)
    dated = tmp_path / f"net-20240131.{suffix}"  # a date is no hash
    dated.write_bytes(path.read_bytes())
    official.read(dated)
    official.read(path, sha256=digest.upper())
    with pytest.raises(ValueError, match="was asked for; the file is damaged"):
        official.read(path, sha256="0" * 64)


def test_archives_that_would_fill_the_memory_are_refused(tmp_path):
    path = saved(tmp_path / "a.pth")
    with zipfile.ZipFile(path) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content + bytes(2_000_000))
    with pytest.raises(ValueError, match=r"bomb\.pth: .*would unpack to"):
        official.read(tmp_path / "bomb.pth")


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    for name in ("pipe.pth", "."):
        with pytest.raises(ValueError, match="no file but a folder, a pipe"):
            official.read(tmp_path / name)
    with pytest.raises(OSError, match="nowhere"):
        official.read(tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"their.0.bias": torch.zeros(5)}, r"'their.0.bias' has shape \(5,\), the mod"),
        ({"their.0.bias": torch.zeros(4).to_sparse()}, "'their.0.bias' holds no plain"),
        ({"their.0.bias": torch.zeros(4, device="meta")}, "'their.0.bias' holds no pl"),
        ({"their.0.bias": torch.zeros(4).int()}, "'their.0.bias' is torch.int32"),
        ({"their.0.bias": [0, 0, 0, 0]}, "'their.0.bias' is a list"),
        ({"other": torch.zeros(4)}, "'other' is unknown"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change, said):
    model, before = net(), net().state_dict()
    with pytest.raises(ValueError, match=f"state dict: {said}.*nothing was loaded"):
        official.load(model, theirs() | change, NAMES)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_missing_keys_and_a_model_without_numbers_are_named():
    state = theirs()
    del state["their.1.num_batches_tracked"]  # old files lack it
    official.load(net(), state, NAMES)
    del state["their.1.running_var"]
    with pytest.raises(ValueError, match=r"'their\.1\.running_var' is missing"):
        official.load(net(), state, NAMES)
    with torch.device("meta"):
        nowhere = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="on the meta device"):
        official.load(nowhere, theirs(), NAMES)
