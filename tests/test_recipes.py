"""Long runs: folders in COCO form, several processes, runs that go on after a kill."""

import copy
import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import lib
from lib.basics import checkpoints, data, training
from lib.detection import (
    anchors,
    coco_folders,
    decoding,
    detection_loss,
    efficientdet,
    recipes,
    runs,
)
from lib.detection import settings as told

SMALL = recipes.Settings(
    model="lite", image_size=64, epochs=2, batch=6, lr=0.01, jitter=(1.0, 1.0),
    flip=False, evaluate_every=1, workers=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def scenes():
    return data.scenes("train", 21, size=64, pixels=(14, 40))


@pytest.fixture(scope="module")
def folder(scenes, tmp_path_factory):
    """One set of 21 pictures: the 10th and the 20th are for evaluation."""
    folder = tmp_path_factory.mktemp("digits")
    data.write_coco(scenes, folder)
    return folder


# ---------------------------------------------------------------------- the pictures


def test_every_tenth_picture_is_kept_from_a_folder_with_one_set(folder):
    learn, judge = recipes.open_folder(folder)
    assert [judge[i].image_id for i in range(len(judge))] == [10, 20]
    seen = [learn[i].image_id for i in range(len(learn))]
    assert seen == [i for i in range(1, 22) if i not in (10, 20)]
    document = judge.coco()
    assert [image["id"] for image in document["images"]] == [10, 20]
    assert {a["image_id"] for a in document["annotations"]} == {10, 20}
    assert len(document["categories"]) == 10


@pytest.mark.parametrize("layout", ["ours", "coco"])
def test_folders_with_two_sets_are_taken_as_they_are(layout, tmp_path):
    for split, n, seed in (("train", 3, 0), ("val", 2, 1)):
        scenes = data.scenes("train", n, size=64, pixels=(14, 40), seed=seed)
        path = data.write_coco(scenes, tmp_path / split)
        if layout == "coco":
            shutil.move(path.parent / "images", tmp_path / f"{split}2017")
            (tmp_path / "annotations").mkdir(exist_ok=True)
            path.rename(tmp_path / "annotations" / f"instances_{split}2017.json")
    learn, judge = recipes.open_folder(tmp_path)
    assert (len(learn), len(judge)) == (3, 2)
    assert torch.equal(judge[1].image, scenes[1].image)


def test_what_is_missing_or_differs_is_named(tmp_path, scenes, folder):
    with pytest.raises(ValueError, match=r"instances_train2017\.json"):
        recipes.open_folder(tmp_path)
    few = data.scenes("train", 9, size=64, pixels=(14, 40))
    data.write_coco(few, tmp_path)
    with pytest.raises(ValueError, match="has 9 pictures; it needs 10"):
        recipes.open_folder(tmp_path)
    for split in ("train", "val"):
        path = data.write_coco(few, tmp_path / split)
    document = json.loads(path.read_text("utf-8"))
    document["categories"].append({"id": 11, "name": "ten"})
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ValueError, match="must be the same"):
        recipes.open_folder(tmp_path)
    large = dataclasses.replace(SMALL, batch=20)
    with pytest.raises(ValueError, match="batch is 20.*at most the 19 pictures"):
        recipes.train(folder, tmp_path / "run", large)


def test_an_epoch_shows_each_picture_once_whoever_shows_it():
    settings = dataclasses.replace(SMALL, batch=4)
    whole = list(recipes.batches(11, settings, range(4)))
    assert [epoch for batch in whole for epoch, _ in batch] == [0] * 8 + [1] * 8
    for epoch in (whole[:2], whole[2:]):  # 2 batches of 4; 3 of 11 are left over
        assert len({i for batch in epoch for _, i in batch}) == 8
    shares = [list(recipes.batches(11, settings, range(4), rank, 2)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert sorted(batch) == sorted(shares[0][step] + shares[1][step])
    assert list(recipes.batches(11, settings, range(3, 4))) == whole[3:]


def test_a_picture_is_changed_by_seed_epoch_and_number_alone(folder):
    learn, _ = recipes.open_folder(folder)
    config = efficientdet.Config()
    plain = recipes.Augmented(learn, config, SMALL)
    plain.side = 64
    sample = plain[5, 3]  # without jitter and flip: as it is
    assert torch.equal(sample.image, learn[3].image)
    assert torch.equal(sample.boxes, learn[3].boxes)
    flipping = dataclasses.replace(SMALL, flip=True)
    seen = recipes.Augmented(learn, config, flipping)
    seen.side, mirrored = 64, data.hflip(learn[3].image, learn[3].boxes)
    turned = [torch.equal(seen[epoch, 3].image, mirrored[0]) for epoch in range(40)]
    assert 8 < sum(turned) < 32  # 20 expected, standard deviation 3.2
    again = [torch.equal(seen[epoch, 3].image, mirrored[0]) for epoch in range(40)]
    assert turned == again
    assert torch.equal(seen[turned.index(True), 3].boxes, mirrored[1])


# ------------------------------------------------------------------------- the runs


def state(path) -> dict:
    return checkpoints.read_checkpoint(path)


def test_a_run_that_was_stopped_gives_the_same_bytes(folder, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    rows = []
    numbers = recipes.train(folder, whole, SMALL, rows.append)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[-1]["ap"] == numbers.ap

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipes.train(folder, broken, SMALL, stop)
    assert state(broken / "checkpoint.pt")["step"] == 3  # 19 pictures, batches of 6
    recipes.train(folder, broken, SMALL)
    for name in ("weights.safetensors", "log.jsonl"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes()
    assert recipes.train(folder, whole, SMALL) == numbers  # complete: judged again
    other = dataclasses.replace(SMALL, lr=0.02)
    with pytest.raises(ValueError, match="lr: 0.01 there, 0.02 here"):
        recipes.train(folder, whole, other)
    model = recipes.trained(whole)
    assert model.names == data.Scenes.names and not model.training
    expected = state(whole / "checkpoint.pt")["ema"]["model"]
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected[key]), key
    assert len(decoding.detect(model, folder / "images/000001.png", 0.0).boxes) > 0


def test_training_lowers_the_loss(folder, tmp_path):
    settings = dataclasses.replace(
        SMALL, model="plain", epochs=12, evaluate_every=100, lr=0.05
    )
    rows = []
    recipes.train(folder, tmp_path, settings, rows.append)
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert "ap" not in rows[-1]


def test_a_loss_that_is_not_finite_is_said_with_the_step(folder, tmp_path):
    with pytest.raises(ArithmeticError, match=r"at step 1, the checkpoint of step 0"):
        recipes.train(folder, tmp_path, dataclasses.replace(SMALL, lr=1e30, clip=0.0))
    assert not (tmp_path / "checkpoint.pt").exists()


def torchrun(folder, out, settings) -> None:
    options = []
    for name, value in dataclasses.asdict(settings).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        elif value != "":
            values = value if isinstance(value, tuple) else [value]
            options += [f"--{option}", *map(str, values)]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc-per-node", "2", "-m", "lib.detection.recipes", "train-detector",
         "--data", str(folder), "--out", str(out), *options],
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip


def test_two_processes_take_the_mean_of_their_gradients_and_go_on(folder, tmp_path):
    # Judged at the end only, so that `.previous` is the state after the first step.
    settings = dataclasses.replace(SMALL, batch=18, epochs=2, evaluate_every=0)
    torchrun(folder, tmp_path / "whole", settings)
    after = state(tmp_path / "whole/checkpoint.pt.previous")
    assert after["step"] == 1
    # The first step by hand: each half of the batch alone, then the mean.
    learn, _ = recipes.open_folder(folder)
    config = recipes.build(settings, 10).config
    places = anchors.anchors((64, 64), config.anchors)
    gradients = []
    for rank in (0, 1):
        model = recipes.build(settings, 10).train()
        (keys,) = recipes.batches(len(learn), settings, range(1), rank, 2)
        batch = data.collate([learn[i] for _, i in keys])
        outputs = model(training.normalise(batch.images))
        loss = detection_loss.detection_loss(*outputs, batch, places).total
        gradients.append(torch.autograd.grad(loss, [*model.parameters()]))
    mean = [(a + b) / 2 for a, b in zip(*gradients, strict=True)]
    norm = torch.stack([g.norm() for g in mean]).norm()
    for (name, w), g in zip(model.named_parameters(), mean, strict=True):
        decay = settings.weight_decay * (w.ndim > 1)
        step = g * min(1.0, settings.clip / norm) + decay * w
        found = (w.detach() - after["model"][name]) / settings.lr
        torch.testing.assert_close(found, step, rtol=2e-3, atol=2e-4)
    # Killed after that step, with only its checkpoint left.
    (tmp_path / "broken").mkdir()
    shutil.copy(
        tmp_path / "whole/checkpoint.pt.previous", tmp_path / "broken/checkpoint.pt"
    )
    torchrun(folder, tmp_path / "broken", settings)
    whole, broken = (recipes.trained(tmp_path / n) for n in ("whole", "broken"))
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(broken.state_dict()[key], value, msg=key)
    lines = (tmp_path / "whole/log.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 2  # written by the first process only


def test_official_weights_start_all_but_the_classes(tmp_path):
    source = efficientdet.efficientdet("lite0")
    for p in source.parameters():
        torch.nn.init.normal_(p)
    names = efficientdet.official_names(source)
    theirs = {names[k]: v for k, v in source.state_dict().items()}
    torch.save(theirs, tmp_path / "lite0.pth")
    settings = recipes.Settings(model="lite0", start=str(tmp_path / "lite0.pth"))
    model = recipes.build(settings, num_classes=7)
    fresh = recipes.build(dataclasses.replace(settings, start=""), num_classes=7)
    for key, value in model.state_dict().items():
        known = not key.startswith("class_head.predict.pointwise")
        expected = (source if known else fresh).state_dict()[key]
        assert torch.equal(value, expected), key


# ------------------------------------------------------------------- killed, and alone


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A detector trained whole, and in many lives that each died somewhere else."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.killed_recipes", tmp_path_factory.mktemp("kill")],
        cwd=lib.ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_run_killed_at_any_write_step_or_evaluation_leaves_the_same_files(killed):
    """Weights, their digest, log, configuration, and all tensors of the checkpoint."""
    for life in killed["lives"]:
        assert life["result"] == killed["whole"], life["kills"]


def test_the_kills_did_kill(killed):
    dead = [life["kills"][0] for life in killed["lives"] if all(life["killed"])]
    kinds = [kind for kind, _ in dead]
    # 2 epochs of 3 steps: kept after step 2 and 4, after each epoch and, before the
    # judgement of the second, once more; both digests, the weights, their digest and
    # the log after each epoch and at the end; config.json at the beginning.
    assert kinds.count("before a step") == 7 and kinds.count("in an evaluation") == 2
    checkpoints_ = 2 + 2 + 1
    assert kinds.count("half a file") == checkpoints_
    writes = checkpoints_ + 3 * 4 + 1
    assert kinds.count("before fsync") == writes
    # A checkpoint moves twice, and from the second one on three times.
    assert kinds.count("before a move") == writes + checkpoints_ + checkpoints_ - 1


def test_a_second_training_into_the_same_folder_is_refused(folder, tmp_path):
    pid = os.fork()
    if pid == 0:  # another process holds the folder
        with runs.alone(tmp_path):
            (tmp_path / "held").touch()
            while (tmp_path / "held").exists():
                pass
        os._exit(0)
    while not (tmp_path / "held").exists():
        pass
    with pytest.raises(ValueError, match="another training writes there"):
        recipes.train(folder, tmp_path, SMALL)
    (tmp_path / "held").unlink()
    os.waitpid(pid, 0)
    with runs.alone(tmp_path):  # it let go
        pass
    assert not (tmp_path / "config.json").exists()


# -------------------------------------------------------------- what a run learns from


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A run of one epoch that is complete."""
    out = tmp_path_factory.mktemp("finished")
    recipes.train(folder, out, dataclasses.replace(SMALL, epochs=1))
    return out


def changed(folder, tmp_path, change):
    """A copy of the folder whose json was changed."""
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other/annotations.json"
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    return tmp_path / "other"


def move_a_box(document):
    document["annotations"][0]["bbox"][2] -= 1


def rename(document):
    document["categories"][3]["name"] = "drei"


def one_more(document):
    document["categories"].append({"id": 11, "name": "ten"})


@pytest.mark.parametrize(
    "change, words",
    [
        (move_a_box, "annotations to learn from: SHA-256"),
        (rename, "categories: 10 categories .*4 3, .*there, 10 categories .*4 drei"),
        (one_more, "10 categories .*there, 11 categories .*11 ten"),
        (lambda document: document["images"].pop(), "19 to learn from.*18 to learn"),
    ],
    ids=["box", "name", "category", "picture"],
)
def test_a_run_on_other_data_is_refused(folder, finished, tmp_path, change, words):
    if change.__name__ == "<lambda>":  # and what stood on that picture

        def change(document):
            last = document["images"].pop()["id"]
            rest = [a for a in document["annotations"] if a["image_id"] != last]
            document["annotations"] = rest

    before = (finished / "weights.safetensors").read_bytes()
    settings = dataclasses.replace(SMALL, epochs=1)
    with pytest.raises(ValueError, match=f"other settings.*{words}"):
        recipes.train(changed(folder, tmp_path, change), finished, settings)
    assert (finished / "weights.safetensors").read_bytes() == before


def test_a_checkpoint_beyond_the_end_of_the_run_is_refused(folder, finished, tmp_path):
    """An epoch of 19 pictures, 6 a batch, has 3 steps: a step 99 is another run's."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    state = checkpoints.read_checkpoint(out / "checkpoint.pt")
    assert state["step"] == 3
    checkpoints.write_checkpoint(out / "checkpoint.pt", state | {"step": 99})
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match="does not fit this run: .*99.*Nothing was"):
        recipes.train(folder, out, dataclasses.replace(SMALL, epochs=1))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_trained_detector_says_what_its_outputs_mean(finished):
    model = recipes.trained(finished)
    assert [tuple(c) for c in model.config.categories] == [
        (i + 1, name) for i, name in enumerate(data.Scenes.names)
    ]


def test_deleted_results_of_a_finished_run_come_back(folder, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    for name in ("weights.safetensors", "weights.sha256", "log.jsonl"):
        (tmp_path / "run" / name).unlink()
    recipes.train(folder, tmp_path / "run", dataclasses.replace(SMALL, epochs=1))
    for name in ("weights.safetensors", "weights.sha256", "log.jsonl"):
        again, first = tmp_path / "run" / name, finished / name
        assert again.read_bytes() == first.read_bytes()


def flat(document):
    """As in train2017: a box of height 0, and one beside its picture."""
    document["annotations"][0]["bbox"][3] = 0
    document["annotations"][1]["bbox"][0] = 1000


def test_bad_boxes_are_refused_dropped_or_skipped(folder, tmp_path):
    bad = changed(folder, tmp_path, flat)
    ids = [a["id"] for a in json.loads((bad / "annotations.json").read_bytes())[
        "annotations"][:2]]  # fmt: skip
    with pytest.raises(ValueError, match=f"annotation {ids[0]} .*drop_bad_boxes"):
        recipes.train(bad, tmp_path / "run", SMALL)
    learn, judge = recipes.open_folder(bad, drop_bad_boxes=True)
    (reasons,) = coco_folders.dropped(learn, judge).values()
    assert list(reasons) == ids and "no area" in reasons[ids[0]]
    boxes = sum(len(learn[i].boxes) for i in range(len(learn)))
    whole, _ = recipes.open_folder(folder)
    assert boxes == sum(len(whole[i].boxes) for i in range(len(whole))) - 2
    learn, judge = recipes.open_folder(bad, skip=ids)
    assert boxes == sum(len(learn[i].boxes) for i in range(len(learn)))
    assert not coco_folders.dropped(learn, judge)
    with pytest.raises(ValueError, match="skip: no annotation .* has the id 987654"):
        recipes.open_folder(bad, skip=[*ids, 987654])


def test_what_was_dropped_is_counted_listed_and_part_of_the_run(folder, tmp_path):
    bad, rows = changed(folder, tmp_path, flat), []
    settings = dataclasses.replace(SMALL, epochs=1, drop_bad_boxes=True)
    recipes.train(bad, tmp_path / "run", settings, rows.append)
    assert rows[0]["dropped"] == 2 and rows[1]["epoch"] == 1
    listed = json.loads((tmp_path / "run/dropped.json").read_bytes())
    assert sum(map(len, listed.values())) == 2


# ---------------------------------------------------------------- numbers that are none


@pytest.mark.parametrize("where", ["model", "ema"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_never_kept(
    folder, tmp_path, monkeypatch, where, bad
):
    """The loss is finite to the end; a weight is not, from the second step on."""
    update = training.update_weights

    def spoil(model, loss, optimizer, scaler, clip, ema):
        update(model, loss, optimizer, scaler, clip, ema)
        if ema.updates == 2:
            weights = (model if where == "model" else ema.model).parameters()
            torch.nn.init.constant_(next(weights), bad)

    monkeypatch.setattr(training, "update_weights", spoil)
    settings = dataclasses.replace(SMALL, epochs=1, save_every=1)
    words = r"is not finite after step 1, the checkpoint of step 1"
    if where == "model":  # then the next loss may tell first
        words = r"is (not finite after|nan at|inf at) step \d, the checkpoint of step 1"
    with pytest.raises(ArithmeticError, match=words):
        recipes.train(folder, tmp_path, settings)
    assert not (tmp_path / "weights.safetensors").exists()
    kept = state(tmp_path / "checkpoint.pt")
    assert kept["step"] == 1
    for part in (kept["model"], kept["ema"]["model"]):
        assert all(value.isfinite().all() for value in part.values())


# ------------------------------------------------------------------------ the settings


@pytest.mark.parametrize(
    "options, words",
    [
        ("--epochs 0", "epochs is 0; it must be a whole number, 1 or more"),
        ("--epochs -1", "epochs is -1"),
        ("--batch 0", "batch is 0"),
        ("--ema nan", "ema is nan; it must be a finite number, 0 or more and below 1"),
        ("--ema 1", "ema is 1.0"),
        ("--ema -1", "ema is -1.0"),
        ("--weight-decay -1", "weight_decay is -1.0"),
        ("--clip -1", "clip is -1.0"),
        ("--lr inf", "lr is inf"),
        ("--norm-momentum 2", "norm_momentum is 2.0"),
        ("--jitter -1 1", r"jitter\[0\] is -1.0; it must be a finite number, above 0"),
        ("--jitter 2 1", r"jitter\[1\] is 1.0; .* 2.0 or more"),
        ("--save-every -1", "save_every is -1"),
        ("--evaluate-every -1", "evaluate_every is -1"),
        ("--image-size -8", "image_size is -8"),
        ("--workers -1", "workers is -1"),
        ("--model d9", "model is 'd9'; it must be one of 'd0'"),
        ("--model plain --start X", "for the model 'plain' there are no official"),
        ("--model d0 --start X", "X"),
        ("--batch 1 --image-size 128 --model d0", "batch norm has nothing to compare"),
        ("--skip 0", "skip: no annotation .* has the id 0"),
        ("--data NOWHERE", "found none of NOWHERE/annotations.json"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(
    folder, tmp_path, capsys, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    command = ["train-detector", "--data", str(folder), "--out", "run", "--workers=0"]
    with pytest.raises(SystemExit) as end:
        recipes.main([*command, *options.split()])
    said = capsys.readouterr().err
    assert end.value.code == 2 and "Traceback" not in said
    (line,) = said.strip().splitlines()
    assert line.startswith("lib.detection.recipes: ")
    assert re.search(words, line), line
    assert not (tmp_path / "run/config.json").exists()


def test_a_setting_of_0_is_never_or_the_models_own(folder, tmp_path):
    never = dataclasses.replace(
        SMALL, epochs=1, evaluate_every=0, save_every=0, clip=0.0, warmup=0.0
    )
    rows = []
    recipes.train(folder, tmp_path, never, rows.append)
    assert [set(row) for row in rows] == [{"epoch", "loss"}]
    assert state(tmp_path / "checkpoint.pt")["step"] == 3


def test_numpys_numbers_are_numbers():
    """Set from outside, because the tests check the types of a dataclass's fields."""
    given = copy.copy(SMALL)
    numbers = {"seed": np.int64(3), "epochs": np.int32(2), "lr": np.float32(0.5)}
    for name, value in numbers.items():
        object.__setattr__(given, name, value)
    plain = told.checked(given, ["d0"], ["lite"])
    assert (plain.seed, plain.epochs, plain.lr) == (3, 2, 0.5)
    assert {type(getattr(plain, name)) for name in numbers} == {int, float}
    json.dumps(dataclasses.asdict(plain))


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "does not exist: is .* the folder of a run"),
        (b"", "is cut short or changed"),
        (b"\xff\xfe{", "is cut short or changed"),
        (b"[1, 2]", "has the format None"),
        (b'{"format": 3}', "has the format 3; known are 1 to 2"),
        (b'{"settings": {}}', "it needs settings, names and as many category_ids"),
        (b'{"settings": {}, "names": ["a"], "category_ids": []}', "as many category"),
        (b'{"settings": {"modell": "d0"}, "names": ["a"]}', "'modell' is unknown"),
        (b'{"settings": {"model": "d9"}, "names": ["a"]}', "model is 'd9'"),
    ],
)
def test_a_damaged_configuration_is_named(finished, tmp_path, content, words):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run/config.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"config.json.*{words}"):
        recipes.trained(tmp_path / "run")


def test_the_callers_random_numbers_stay_put(folder, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    recipes.train(folder, tmp_path, dataclasses.replace(SMALL, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
