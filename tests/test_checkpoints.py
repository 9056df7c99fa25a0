"""Files that survive: checkpoints whole or refused, weights that are what they say."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
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
    with pytest.raises(ValueError, match=r"net\.safetensors is cut short or changed"):
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


# --- contents that do not fit ---------------------------------------------------------


def run_of(path, seed=0):
    """A small network with momentum, its average and a history, as `fit` has them."""
    model = training.small_cnn((4,), 3, seed=seed)
    optimizer, ema = training.sgd(model, 0.1), training.EMA(model)
    history = training.History()
    parts = {"model": model, "optimizer": optimizer, "ema": ema, "history": history}
    return checkpoints.ResumableRun(parts, path, {"batch": 2})


def trained(path, steps=2):
    """A run of two steps, and its checkpoint."""
    run = run_of(path)
    model, optimizer, ema, history = run.parts.values()
    for _ in range(steps):
        optimizer.zero_grad()
        training.set_rate(optimizer, 1.0)
        model(torch.ones(2, 3, 4, 4)).square().sum().backward()
        optimizer.step()
        ema.update(model)
        history.add(1.0, 0.1, {"accuracy": 0.5})
    run.keep(run.state(steps))
    return run


def all_tensors(run):
    leaves = torch.utils._pytree.tree_leaves(run.state(0))
    return [x.clone() for x in leaves if isinstance(x, torch.Tensor)]


def put(*keys, value):
    def change(state):
        place = state
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def take(*keys):
    def change(state):
        place = state
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


MISFITS = {
    "no optimizer": (take("optimizer"), "it has no 'optimizer'"),
    "no random numbers": (take("random"), "it has no 'random'"),
    "no average": (take("ema", "model"), "ema: 'model' is only in one"),
    "a text for a step": (put("step", value="2"), "step is '2'"),
    "a step before the first": (put("step", value=-5), "step is -5"),
    "a step after the last": (put("step", value=99), "step is 99"),
    "another step": (put("step", value=3), "2 entries of loss in 3 steps"),
    "half a step": (put("step", value=1.5), "step is 1.5"),
    "a part that is a list": (put("model", value=[1]), "model is .*no dictionary"),
    "a part that is None": (put("history", value=None), "history is None, no dict"),
    "a tensor too few": (take("model", "1.weight"), "'1.weight' is only in one"),
    "a tensor too many": (put("model", "9.x", value=torch.ones(1)), "'9.x' is only"),
    "another shape": (
        put("model", "5.bias", value=torch.ones(4)),
        r"5.bias is .*\(4,\).*here \(3,\)",
    ),
    "another kind": (
        put("model", "5.bias", value=torch.ones(3, dtype=torch.int32)),
        "5.bias has torch.int32",
    ),
    "another shape of the average": (
        put("ema", "model", "5.bias", value=torch.ones(4)),
        "ema, model, 5.bias",
    ),
    "an average that counts in words": (
        put("ema", "updates", value="two"),
        "ema, updates is 'two'",
    ),
    "momentum of another shape": (
        put("optimizer", "state", 0, "momentum_buffer", value=torch.ones(2)),
        "momentum_buffer of parameter 0",
    ),
    "momentum of nobody": (
        put("optimizer", "state", 77, value={"momentum_buffer": torch.ones(2)}),
        "something of a parameter 77",
    ),
    "groups of another optimizer": (
        put("optimizer", "param_groups", value=[]),
        "optimizer, param_groups is",
    ),
    "random numbers of another length": (
        put("random", value=torch.zeros(5, dtype=torch.uint8)),
        r"random is .*\(5,\)",
    ),
    "a history of words": (
        put("history", "loss", value=["a", "b"]),
        "some loss in the history is no number",
    ),
    "a history of one text": (put("history", "lr", value="ab"), "history, lr is 'ab'"),
    "logs of words": (
        put("history", "logs", value={"accuracy": ["high"]}),
        "some accuracy in the history",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_a_sound_checkpoint_of_other_contents_changes_nothing(tmp_path, kind):
    change, said = MISFITS[kind]
    state = trained(tmp_path / "run.pt").good | {"settings": {"batch": 2}}
    change(state)
    checkpoints.write_checkpoint(tmp_path / "run.pt", state)
    run = run_of(tmp_path / "run.pt", seed=5)
    before, history = all_tensors(run), run.parts["history"]
    with pytest.raises(ValueError, match=rf"run\.pt does not fit this run: .*{said}"):
        run.resume(10)
    assert all(map(torch.equal, before, all_tensors(run)))
    assert vars(history) == vars(training.History()) and run.good["step"] == 0


def test_a_part_that_fails_half_way_is_put_back(tmp_path):
    """A stranger's part may find a fault only when it has taken half of a state."""

    class Stubborn(nn.Linear):
        def load_state_dict(self, state, *more):
            self.weight.data.fill_(7)
            if not state["bias"].any():
                raise KeyError("half way")
            return super().load_state_dict(state, *more)

    good = checkpoints.ResumableRun({"model": Stubborn(2, 2)}, tmp_path / "a.pt", {})
    state = good.state(0)
    state["model"]["bias"].zero_()
    good.keep(state)
    other = checkpoints.ResumableRun({"model": Stubborn(2, 2)}, tmp_path / "a.pt", {})
    before = all_tensors(other)
    with pytest.raises(ValueError, match=r"a\.pt does not fit this run: 'half way'"):
        other.resume()
    assert all(map(torch.equal, before, all_tensors(other)))


def test_what_fits_is_taken_up(tmp_path):
    first = trained(tmp_path / "run.pt")
    run = run_of(tmp_path / "run.pt", seed=5)
    assert run.resume(2) == 2
    assert all(map(torch.equal, all_tensors(first), all_tensors(run)))


def test_settings_that_are_none_are_named(tmp_path):
    state = trained(tmp_path / "run.pt").good
    checkpoints.write_checkpoint(tmp_path / "run.pt", state | {"settings": 5})
    with pytest.raises(ValueError, match=r"run\.pt: its settings are 5"):
        run_of(tmp_path / "run.pt").resume()


def repacked(path, change, kind=zipfile.ZIP_STORED):
    """The archive anew, its members changed by `change(name, content)`."""
    with zipfile.ZipFile(path) as archive:
        members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, change(name, content))


def test_a_cut_pickle_in_a_valid_archive_is_named(tmp_path):
    """struct.error, IndexError, KeyError, TypeError: whatever the unpickler meets."""
    write(tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        (pickled,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
        length = len(archive.read(pickled))
    for cut in range(0, length, 5):
        path = tmp_path / "cut.pt"
        path.write_bytes((tmp_path / "whole.pt").read_bytes())
        repacked(path, lambda n, c, cut=cut: c[:cut] if n.endswith("data.pkl") else c)
        with pytest.raises(ValueError, match=r"cut\.pt is damaged or is no checkpoint"):
            checkpoints.read_checkpoint(path)


def test_an_archive_that_grows_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "run.pt"
    write(path)
    grown = bytes(50_000_000)
    repacked(path, lambda n, c: c + grown * n.endswith("data/0"), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"run\.pt .*would unpack to 50,"):
        checkpoints.read_checkpoint(path)


def test_pipes_and_folders_are_no_checkpoints(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for name in ("pipe.pt", "."):
        with pytest.raises(ValueError, match="is no checkpoint: it is no file"):
            checkpoints.read_checkpoint(tmp_path / name)


# --- a file and its hash, and full disks ----------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("moment", range(1, 7))
def test_no_kill_parts_weights_and_their_hash(tmp_path, monkeypatch, first, moment):
    """Stopped before each of the three moves and three fsyncs, old or new is read."""
    path = tmp_path / "net.safetensors"
    models = [training.small_cnn((4,), 2, seed=seed) for seed in (1, 2)]
    if not first:
        checkpoints.save_weights(models[0], path)
    calls, fsync, replace = [], os.fsync, os.replace

    def stop_at(call):
        def stopped(*args):
            calls.append(call)
            if len(calls) == moment:
                raise KeyboardInterrupt
            return call(*args)

        return stopped

    monkeypatch.setattr(os, "fsync", stop_at(fsync))
    monkeypatch.setattr(os, "replace", stop_at(replace))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save_weights(models[1], path)
    monkeypatch.undo()
    if first and not path.exists():
        with pytest.raises(ValueError, match=r"net\.safetensors does not exist"):
            checkpoints.read_weights(path)
    else:
        state = checkpoints.read_weights(path)
        expected = [model.state_dict()["0.weight"] for model in models]
        assert any(torch.equal(state["0.weight"], weight) for weight in expected)
    assert not list(tmp_path.glob("*.tmp"))
    checkpoints.save_weights(models[1], path)  # and the next save ends as any other
    assert len(checkpoints.read_hashes(path)) == 1
    assert torch.equal(checkpoints.read_weights(path)["0.weight"], models[1][0].weight)


def test_sha256sum_reads_our_hashes(tmp_path):
    for name in ("net.safetensors", "run_lr0.1", "a.b.c"):
        checkpoints.save_weights(training.small_cnn((4,), 2), tmp_path / name)
    sums = ["net.sha256", "run_lr0.1.sha256", "a.b.c.sha256"]
    done = subprocess.run(["sha256sum", "-c", *sums], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_names_with_points_have_hashes_of_their_own(tmp_path):
    names = ("run_lr0.1", "run_lr0.2", "run_lr0.1.safetensors", "run_lr0.onnx")
    models = [training.small_cnn((4,), 2, seed=i) for i in range(len(names))]
    for name, model in zip(names, models, strict=True):
        checkpoints.save_weights(model, tmp_path / name)
    for name, model in zip(names, models, strict=True):
        state = checkpoints.read_weights(tmp_path / name)
        assert torch.equal(state["0.weight"], model[0].weight)
    # Two of them share a file of hashes, and each has its line in it.
    assert (tmp_path / "run_lr0.1.sha256").read_text().count("\n") == 2


def test_the_hash_of_another_file_is_none(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    line = (tmp_path / "net.sha256").read_text()
    (tmp_path / "net.sha256").write_text(line.replace("net.", "other."))
    with pytest.raises(ValueError, match=r"net\.sha256 .* tells no hash of"):
        checkpoints.read_weights(path)


def test_a_hash_file_of_an_older_name_is_read(tmp_path):
    path = damaged(tmp_path, lambda s: s)
    path.rename(tmp_path / "net.pt")
    line = (tmp_path / "net.sha256").read_text()
    (tmp_path / "net.sha256").write_text(line.replace("net.safetensors", "net.pt"))
    assert checkpoints.read_weights(tmp_path / "net.pt").keys()


def test_only_a_bare_name_means_the_shipped_weights(tmp_path):
    """A path is the file that it names, also beside one that ends in safetensors."""
    mine, other = training.small_cnn((4,), 2), training.small_cnn((4,), 2, seed=1)
    checkpoints.save_weights(mine, tmp_path / "net")
    checkpoints.save_weights(other, tmp_path / "net.safetensors")
    state = checkpoints.read_weights(tmp_path / "net")
    assert torch.equal(state["0.weight"], mine[0].weight)


@pytest.mark.parametrize("room", [0, 100, 2000])
def test_a_full_disk_leaves_what_was_there(tmp_path, room):
    """A limit on the size of files is a disk that is full, for one process."""
    code = f"""
import resource, signal, sys, torch
from lib.basics import checkpoints, training
big = training.small_cnn((16,), 2)
checkpoints.write_checkpoint("run.pt", {{"step": 1}})
checkpoints.save_weights(training.small_cnn((4,), 2), "net.safetensors")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, resource.RLIM_INFINITY))
state = {{"step": 2, "x": torch.ones(5000)}}
for write in (lambda: checkpoints.write_checkpoint("run.pt", state),
              lambda: checkpoints.save_weights(big, "net.safetensors")):
    try:
        write()
    except OSError as error:
        sys.stdout.write(str(error) + chr(10))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    told = run.stdout.splitlines()
    assert run.returncode == 0 and len(told) == 2, run.stderr
    assert told[0].startswith("run.pt") and "cannot be written" in told[0]
    assert told[1].startswith("net.") and "cannot be written" in told[1]
    assert checkpoints.read_checkpoint(tmp_path / "run.pt")["step"] == 1
    assert len(checkpoints.read_weights(tmp_path / "net.safetensors")["0.weight"]) == 4
    assert not list(tmp_path.glob("*.tmp"))
