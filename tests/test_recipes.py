"""Long runs: folders in COCO form, several processes, runs that go on after a kill."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from lib.basics import checkpoints, data, training
from lib.detection import anchors, decoding, detection_loss, efficientdet, recipes

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
    settings = dataclasses.replace(SMALL, batch=18, epochs=2)
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
