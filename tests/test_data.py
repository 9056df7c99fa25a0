"""Chapter 01: every pixel from integers, every box where its ink is."""

import hashlib
import importlib.util
import inspect
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from lib.basics import coco, data, drawing

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def no_cache(monkeypatch):
    monkeypatch.setattr(data, "CACHE", None)


def boxes_of(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


# ---- chance ------------------------------------------------------------------------


def test_dice_are_the_bits_of_pythons_generator():
    seed = int.from_bytes(hashlib.sha256(b"crops/train/3").digest(), "big")
    stream = random.Random(seed)
    expected = [5 + (stream.getrandbits(32) * 11 >> 32) for _ in range(40)]
    assert drawing.Dice("crops", "train", 3).between(5, 15, 4, 10).tolist() == (
        np.array(expected).reshape(4, 10).tolist()
    )


def test_dice_reach_both_ends_and_no_further():
    rolls = drawing.Dice("dice").between(1, 6, 6000)
    counts = np.bincount(rolls)
    assert counts[0] == 0 and len(counts) == 7
    # A fair die gives 1000 each, with a standard deviation of 29.
    assert abs(counts[1:] - 1000).max() < 5 * 29


def test_dice_of_other_keys_differ():
    assert drawing.Dice("a", 1).one(0, 2**31) != drawing.Dice("a", 2).one(0, 2**31)


# ---- geometry ----------------------------------------------------------------------


def test_double_is_bilinear_interpolation_times_16():
    images = np.random.default_rng(0).integers(0, 17, (3, 5, 7))
    peer = torch.nn.functional.interpolate(
        torch.tensor(images[:, None]).double(), scale_factor=2, mode="bilinear"
    )
    assert (drawing.double(images) == (peer[:, 0] * 16).numpy()).all()


def test_double_by_hand():
    # Weights 9 3 3 1: the corner samples of a 2x2 picture repeat the edge.
    doubled = drawing.double(np.array([[0, 16], [0, 0]]))
    assert doubled.tolist() == [
        [0, 64, 192, 256],
        [0, 48, 144, 192],
        [0, 16, 48, 64],
        [0, 0, 0, 0],
    ]


def test_resample_identity_is_exact():
    images = np.random.default_rng(1).integers(0, 4096, (2, 9, 9))
    identity = np.array([[[drawing.ONE, 0, 0], [0, drawing.ONE, 0]]] * 2)
    assert (drawing.resample(images, identity, 9) == images).all()


def test_resample_agrees_with_grid_sample():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 4097, (4, 40, 40))
    turn, slant = rng.integers(-60, 60, 4), rng.integers(-20000, 20000, 4)
    pixels = rng.integers(10, 70, 4)
    centre = rng.integers(15, 30, (4, 2)) * drawing.ONE + rng.integers(0, 65536, (4, 2))
    matrix = drawing.affine(pixels, turn, slant, centre)
    ours = drawing.resample(images, matrix, 48)
    place = torch.arange(48, dtype=torch.float64) + 0.5
    points = torch.stack(
        [place.repeat(48, 1), place[:, None].repeat(1, 48), torch.ones(48, 48)], -1
    )
    real = torch.tensor(matrix / drawing.ONE)  # 4 2 3
    grid = torch.einsum("nij,hwj->nhwi", real, points) / 20 - 1
    peer = torch.nn.functional.grid_sample(
        torch.tensor(images[:, None]).double(),
        grid,
        padding_mode="border",
        align_corners=False,
    )[:, 0]
    # Weights are cut to 1/256 of a range of 4096 in two directions, and then floored.
    assert abs(torch.tensor(ours) - peer).max() < 2 * 4096 / 256 + 2


def test_affine_by_hand():
    one = np.array([1])
    middle = np.array([[20 * drawing.ONE, 20 * drawing.ONE]])
    # 32 pixels for eight cells of four samples: one sample a pixel.
    plain = drawing.affine(32 * one, 0 * one, 0 * one, middle)[0] / drawing.ONE
    assert plain.tolist() == [[1, 0, 0], [0, 1, 0]]
    # tan(angle / 2) = 1/2 is the 3-4-5 triangle: cos = 3/5, sin = 4/5.
    turned = drawing.affine(32 * one, 128 * one, 0 * one, middle)[0] / drawing.ONE
    assert np.abs(turned[:, :2] - [[0.6, 0.8], [-0.8, 0.6]]).max() < 2 / drawing.ONE
    # Half the size: two samples a pixel. The centre still looks at sample 20.
    small = drawing.affine(16 * one, 0 * one, 0 * one, middle // 2)[0] / drawing.ONE
    assert small.tolist() == [[2, 0, 0], [0, 2, 0]]


def test_a_digit_is_as_high_as_asked():
    scans = data.digits()
    zeros = drawing.fields(scans.images[scans.labels == 0])  # they fill all eight rows
    for pixels in (14, 32, 72):
        count, size = len(zeros), 2 * pixels
        centre = np.full((count, 2), pixels * drawing.ONE)
        level = np.full(count, 1900)
        flat, high = np.zeros(count, np.int64), np.full(count, pixels)
        cover = drawing.glyphs(zeros, high, flat, flat, level, centre, size)
        heights = (cover >= 128).any(2).sum(1)
        assert abs(heights / pixels - 1).mean() < 0.1


def test_every_digit_leaves_ink_at_every_size_and_difficulty():
    fields = drawing.fields(data.digits().images)
    for mille in (0, 1000):
        dice = drawing.Dice("ink", mille)
        for field in fields[::7]:
            assert (drawing.stamp(dice, field, 14, mille) >= 128).sum() >= 10


def test_lines_run_through_and_blobs_are_round():
    line = drawing.lines(drawing.Dice("lines"), 50, 64)
    assert (line.max((1, 2)) >= 128).all() and (line.min((1, 2)) == 0).all()
    blob = drawing.blobs(drawing.Dice("blobs"), 200, 128) > 0
    whole = [b for b in blob if not (b[0] | b[-1] | b[:, 0] | b[:, -1]).any()]
    for disc in whole:
        width = disc.any(0).sum()
        assert abs(disc.sum() / (math.pi / 4 * width**2) - 1) < 0.2


# ---- digits ------------------------------------------------------------------------


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    raw, ours = load_digits(), data.digits()
    assert (ours.images == raw.images).all() and (ours.labels == raw.target).all()
    assert ours.images.shape == (1797, 8, 8) and ours.images.dtype == np.uint8


def test_split_is_stratified_and_disjoint():
    ours = data.digits()
    parts = {split: set(data.sources(split).tolist()) for split in data.SPLITS}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 1797
    for digit in range(10):
        total = (ours.labels == digit).sum()
        for split, share in (("train", 3), ("validation", 1), ("test", 1)):
            count = (ours.labels[ours.split == split] == digit).sum()
            assert abs(count - total * share / 5) < 1.5  # of about 108, 36 and 36


def test_no_scan_stands_in_two_splits():
    images = data.digits().images
    seen = {}
    for split in data.SPLITS:
        for index in data.sources(split):
            seen.setdefault(images[index].tobytes(), set()).add(split)
    assert all(len(splits) == 1 for splits in seen.values())


# ---- crops and scenes --------------------------------------------------------------


def test_manifest_holds_on_this_machine(no_cache):
    path = ROOT / "data" / "digits" / "prepare.py"
    spec = importlib.util.spec_from_file_location("prepare_digits", path)
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    recorded = json.loads((path.parent / "manifest.json").read_text())
    assert prepare.manifest() == recorded


def test_crops_are_reproducible_and_begin_alike(no_cache):
    images, labels = data.crops("train", 300, seed=1)
    assert images.shape == (300, 3, 16, 16) and images.dtype == torch.uint8
    assert labels.shape == (300,) and labels.dtype == torch.int64
    again, _ = data.crops("train", 120, seed=1)
    assert torch.equal(again, images[:120])
    for other in (data.crops("train", 300, seed=2), data.crops("test", 300, seed=1)):
        assert not torch.equal(other[0], images)


def test_crop_labels_belong_to_the_drawn_digit():
    chosen = data.sources("validation")
    fields = drawing.fields(data.digits().images[chosen])
    _, source = drawing.crops(("validation", 0), fields, 500, 16, 500)
    _, labels = data.crops("validation", 500, difficulty=0.5)
    assert (data.digits().labels[chosen[source]] == labels.numpy()).all()
    assert np.bincount(labels).min() > 20  # 50 expected, standard deviation 6.7


def test_scene_labels_belong_to_the_drawn_digits():
    chosen = data.sources("validation")
    fields = drawing.fields(data.digits().images[chosen])
    for i, sample in enumerate(data.scenes("validation", 5, seed=2, difficulty=0.5)):
        key = ("validation", 2, i)
        image, _, source = drawing.scene(key, fields, 128, 500, (1, 5), (14, 72))
        assert (sample.image.numpy() == image).all()
        assert sample.labels.tolist() == data.digits().labels[chosen[source]].tolist()


def test_harder_crops_have_less_contrast():
    def contrast(difficulty):
        # A digit fills the middle; the rim is mostly ground.
        images, _ = data.crops("train", 500, difficulty=difficulty)
        return images.float().std((2, 3)).mean()

    # Noise rises with difficulty, so the fall of the ink has to be seen through it.
    assert contrast(0.0) > contrast(1.0)


def test_scene_boxes_are_tight_and_digits_are_seen(monkeypatch):
    """Record every digit that is laid down, and find boxes and losses again."""
    monkeypatch.setattr(drawing, "add_clutter", lambda dice, canvas, *rest: canvas)
    covers = []
    blend = drawing.blend

    def recording(canvas, cover, colour):
        covers.append(cover[0] >= 128)
        return blend(canvas, cover, colour)

    monkeypatch.setattr(drawing, "blend", recording)
    fields = drawing.fields(data.digits().images[:200])
    overlaps = 0
    for i in range(40):
        covers.clear()
        _, boxes, sources = drawing.scene(("t", i), fields, 96, 500, (4, 8), (14, 60))
        assert len(covers) == len(boxes) == len(sources) >= 1
        for k, (mask, box) in enumerate(zip(covers, boxes, strict=True)):
            later = np.logical_or.reduce(covers[k + 1 :] + [np.zeros_like(mask)])
            seen = mask & ~later
            assert seen.sum() >= 7 / 8 * mask.sum()
            overlaps += (mask & later).any()
            rows, columns = np.where(seen.any(1))[0], np.where(seen.any(0))[0]
            edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert box.tolist() == edges
    assert overlaps > 0  # a little overlap does happen


def test_box_is_where_the_colour_changes(monkeypatch):
    """Two inks, one scene: pixels that differ are ink, and the box is their bounds."""
    monkeypatch.setattr(drawing, "add_clutter", lambda dice, canvas, *rest: canvas)
    monkeypatch.setattr(drawing, "develop", lambda dice, canvas, mille: canvas)
    fields = drawing.fields(data.digits().images[:50])
    for i in range(20):
        pictures = []
        for value in (0, 1024):
            ink = np.full((1, 3), value)
            monkeypatch.setattr(drawing, "inks", lambda *_, ink=ink: ink)
            image, boxes, _ = drawing.scene((i,), fields, 64, 300, (1, 1), (14, 42))
            pictures.append(image)
        rows, columns = np.nonzero((pictures[1] - pictures[0])[0] >= 510)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert boxes.tolist() == [edges]


def test_scenes_are_samples(no_cache):
    drawn = data.scenes("train", 6, seed=3)
    assert len(drawn) == 6 and len(list(drawn)) == 6
    for i, sample in enumerate(drawn):
        assert sample.image.shape == (3, 128, 128) and sample.image.dtype == torch.uint8
        assert sample.boxes.dtype == torch.float32 and sample.boxes.shape[1] == 4
        assert sample.labels.dtype == torch.int64 and sample.image_id == i + 1
        assert 1 <= len(sample.labels) == len(sample.boxes) <= 5
        assert (sample.boxes >= 0).all() and (sample.boxes <= 128).all()
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
    with pytest.raises(IndexError, match="scene 6 of 6"):
        drawn[6]


def test_a_scene_depends_on_seed_and_index_alone(no_cache):
    few, many = data.scenes("test", 3, seed=5), data.scenes("test", 5, seed=5)
    assert (few.images == many.images[:3]).all()
    assert not (data.scenes("test", 3, seed=6).images == few.images).all()


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: data.crops("trian", 5), "'trian'.*'train', 'validation', 'test'"),
        (lambda: data.crops("train", 0), "n 0"),
        (lambda: data.crops("train", 5, size=4), "size 4"),
        (lambda: data.crops("train", 5, difficulty=1.5), "difficulty 1.5"),
        (lambda: data.scenes("train", 0), "n 0"),
        (lambda: data.scenes("train", 1, digits=(3, 2)), r"digits \(3, 2\)"),
        (lambda: data.scenes("train", 1, size=64), r"pixels \(14, 72\).*8..42"),
        (lambda: data.scenes("train", 1, difficulty=-1), "difficulty -1"),
    ],
)
def test_wrong_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


# ---- the cache ---------------------------------------------------------------------


def test_cache_is_used_keyed_and_repaired(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "CACHE", tmp_path / ".cache")
    first, _ = data.crops("train", 20)
    (path,) = (tmp_path / ".cache").iterdir()
    monkeypatch.setattr(drawing, "crops", None)  # a second drawing would now fail
    assert torch.equal(data.crops("train", 20)[0], first)
    monkeypatch.undo()
    monkeypatch.setattr(data, "CACHE", tmp_path / ".cache")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damaged in (b"", whole[: len(whole) // 2], b"no archive", bytes(flipped)):
        path.write_bytes(damaged)
        assert torch.equal(data.crops("train", 20)[0], first)
        assert path.read_bytes() == whole  # and mended
    data.crops("train", 20, seed=1)
    data.crops("train", 20, difficulty=0.1)
    assert len(list((tmp_path / ".cache").iterdir())) == 3


def test_the_second_call_reads_what_the_first_drew(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "CACHE", tmp_path)
    first = data.scenes("test", 2, seed=4)
    monkeypatch.setattr(drawing, "scene", None)  # drawing would now fail
    second = data.scenes("test", 2, seed=4)
    for name in ("images", "boxes", "labels", "starts"):
        assert (getattr(first, name) == getattr(second, name)).all()
    with pytest.raises(TypeError):
        data.scenes("test", 3, seed=4)


def test_a_place_in_the_cache_depends_on_what_draws_alone(monkeypatch, tmp_path):
    """Pictures are kept when `letterbox` changes, and not when `_draw_crops` does."""
    read, changed = Path.read_text, {}
    get_source = data.inspect.getsource
    monkeypatch.setattr(Path, "read_text", lambda p, *a: changed.get(p) or read(p, *a))
    monkeypatch.setattr(
        data.inspect, "getsource", lambda f: changed.get(f.__name__) or get_source(f)
    )

    def place():
        data._generator.cache_clear()
        monkeypatch.setattr(
            data, "CACHE", tmp_path / str(len(list(tmp_path.iterdir())))
        )
        data.crops("train", 3)
        return next(data.CACHE.iterdir()).name

    before = place()
    changed[Path(data.__file__)] = "another letterbox"
    assert place() == before
    for key in (Path(drawing.__file__), "_draw_crops", "split_names", "_pool"):
        changed[key] = "def another(): pass"
        assert place() != before
        del changed[key]
    assert place() == before
    data._generator.cache_clear()


# ---- letterbox, flip, jitter, collate -----------------------------------------------


@pytest.mark.equation("1.1")
def test_letterbox_scale_by_hand():
    # 4 high and 6 wide into 12: 12/4 = 3 and 12/6 = 2, the smaller fits.
    image = torch.full((3, 4, 6), 200, dtype=torch.uint8)
    out, _, scale = data.letterbox(image, boxes_of(), 12, fill=(1, 2, 3))
    assert scale == 2 and out.shape == (3, 12, 12)
    assert (out[:, :8] == 200).all()
    assert (out[:, 8:] == torch.tensor([1, 2, 3]).reshape(3, 1, 1)).all()


@pytest.mark.equation("1.2")
def test_letterbox_box_by_hand():
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    image[:, 1:3, 2:5] = 255
    out, boxes, _ = data.letterbox(image, boxes_of([2, 1, 5, 3]), 12, fill=(0, 0, 0))
    assert boxes.tolist() == [[4, 2, 10, 6]]
    rows, columns = (out[0] > 127).nonzero().unbind(1)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert edges == [4, 2, 10, 6]


@pytest.mark.equation("1.3")
def test_unletterbox_is_the_inverse():
    for height, width in ((480, 640), (333, 1000), (7, 3)):
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        boxes = boxes_of([0, 0, width, height], [1, 2, 3, 7])
        out, inside, scale = data.letterbox(image, boxes, 128)
        assert out.shape == (3, 128, 128) and (inside <= 128.0001).all()
        assert torch.allclose(data.unletterbox(inside, scale), boxes, atol=1e-4)


def test_letterbox_of_the_right_size_changes_nothing():
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    out, boxes, scale = data.letterbox(image, boxes_of([1, 2, 3, 4]), 32)
    assert torch.equal(out, image) and scale == 1 and boxes.tolist() == [[1, 2, 3, 4]]


def test_letterbox_keeps_a_thin_picture():
    image = torch.zeros(3, 1, 1000, dtype=torch.uint8)
    out, _, _ = data.letterbox(image, boxes_of(), 64)
    assert (out[:, 0] == 0).all() and (out[0, 1:] == 124).all()


def test_letterbox_fills_with_imagenets_mean():
    assert data.MEAN_COLOUR == tuple(round(255 * m) for m in (0.485, 0.456, 0.406))


@pytest.mark.equation("1.4")
def test_hflip_agrees_with_torchvision():
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    boxes = boxes_of([2, 3, 10, 17], [0, 0, 30, 20], [29, 5, 30, 6])
    theirs = F.horizontal_flip(
        tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(20, 30))
    )
    flipped, moved = data.hflip(image, boxes)
    assert torch.equal(flipped, F.horizontal_flip(image))
    assert torch.equal(moved, theirs.as_subclass(torch.Tensor))
    assert moved[0].tolist() == [20, 3, 28, 17]  # 30 - 10 and 30 - 2


def painted(height, width, *boxes):
    """A dark picture with a bright box each, and its sample."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        image[:, y1:y2, x1:x2] = 255
    return data.Sample(image, boxes_of(*boxes), torch.arange(len(boxes)), 7)


def jitter(sample, size, low, high, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return data.scale_jitter(
        sample, size, scales=(low, high), generator=generator, **options
    )


def test_jitter_by_one_is_the_letterbox():
    sample = painted(40, 60, (10, 10, 30, 30))
    image, boxes, _ = data.letterbox(sample.image, sample.boxes, 48)
    out = jitter(sample, 48, 1.0, 1.0)
    assert torch.equal(out.image, image) and torch.equal(out.boxes, boxes)
    assert out.labels.tolist() == [0] and out.image_id == 7


def test_jitter_by_half_by_hand():
    out = jitter(painted(64, 64, (16, 32, 48, 64)), 64, 0.5, 0.5, fill=(9, 9, 9))
    assert out.boxes.tolist() == [[8, 16, 24, 32]]
    assert (out.image[:, 32:] == 9).all() and (out.image[:, :, 32:] == 9).all()
    assert (out.image[:, 17:31, 9:23] > 250).all()


def test_jitter_moves_box_and_pixels_together():
    places = set()
    for seed in range(30):
        out = jitter(painted(64, 64, (26, 26, 38, 38)), 64, 1.2, 2.0, seed)
        if len(out.boxes):
            rows, columns = (out.image[0] > 127).nonzero().unbind(1)
            bright = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert (torch.tensor(bright) - out.boxes[0]).abs().max() <= 1
            places.add(tuple(out.boxes[0].tolist()))
    assert len(places) > 20


@pytest.mark.equation("1.5")
def test_jitter_drops_boxes_that_lose_most():
    corners = [(0, 0, 32, 32), (32, 0, 64, 32), (0, 32, 32, 64), (32, 32, 64, 64)]
    for seed in range(20):
        # Twice the size: the four quarters together are cut to one quarter's area.
        loose = jitter(painted(64, 64, *corners), 64, 2.0, 2.0, seed, keep=0.0)
        strict = jitter(painted(64, 64, *corners), 64, 2.0, 2.0, seed, keep=0.5)
        areas = (loose.boxes[:, 2:] - loose.boxes[:, :2]).prod(1)
        assert areas.sum() == 64 * 64
        kept = areas >= 0.5 * 64 * 64
        assert torch.equal(strict.labels, loose.labels[kept])
        assert torch.equal(strict.boxes, loose.boxes[kept])


def test_jitter_leaves_its_input_alone():
    sample = painted(64, 64, (26, 26, 38, 38))
    before = [t.clone() for t in sample[:3]]
    jitter(sample, 64, 0.1, 2.0)
    assert all(map(torch.equal, before, sample[:3]))


def test_collate_stacks_pictures_and_lists_boxes():
    samples = [painted(8, 8, (1, 1, 3, 3)), painted(8, 8)]
    batch = data.collate(samples)
    assert batch.images.shape == (2, 3, 8, 8) and batch.image_ids == [7, 7]
    assert [len(b) for b in batch.boxes] == [1, 0] == [len(k) for k in batch.labels]
    loader = torch.utils.data.DataLoader(samples, batch_size=2, collate_fn=data.collate)
    assert torch.equal(next(iter(loader)).images, batch.images)


@pytest.mark.parametrize(
    "image, boxes, said",
    [
        (torch.zeros(3, 0, 5, dtype=torch.uint8), boxes_of(), "holds no pixel"),
        (torch.zeros(3, 4, 0, dtype=torch.uint8), boxes_of(), "holds no pixel"),
        (torch.zeros(3, 4, 5), boxes_of(), "image is .*float32.*uint8"),
        (torch.zeros(4, 5, dtype=torch.uint8), boxes_of(), r"image is .*\(3, H, W\)"),
        (torch.zeros(1, 4, 5, dtype=torch.uint8), boxes_of(), "image is"),
        (None, boxes_of(), "image is None"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), torch.zeros(4), "boxes is"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), [[0, 0, 1, 1]], "boxes is"),
        (
            torch.zeros(3, 4, 5, dtype=torch.uint8),
            torch.zeros(2, 4, dtype=torch.int64),
            "boxes are torch.int64; give floats",
        ),
    ],
)
def test_what_is_no_picture_with_boxes_is_named(image, boxes, said):
    letterbox, hflip, scale_jitter = map(
        inspect.unwrap, (data.letterbox, data.hflip, data.scale_jitter)
    )
    sample = data.Sample(image, boxes, torch.zeros(0), 1)
    generator = torch.Generator().manual_seed(0)
    for call in (
        lambda: letterbox(image, boxes, 8),
        lambda: hflip(image, boxes),
        lambda: scale_jitter(sample, 8, generator=generator),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_a_size_is_a_whole_number_above_0():
    picture = torch.zeros(3, 4, 5, dtype=torch.uint8)
    for size in (0, -3, 2.5, None):
        with pytest.raises(ValueError, match="size is"):
            inspect.unwrap(data.letterbox)(picture, boxes_of(), size)


def test_collate_takes_samples():
    for nothing in ([], None):
        with pytest.raises(ValueError, match="samples is"):
            inspect.unwrap(data.collate)(nothing)
    with pytest.raises(ValueError, match="a sample is 7"):
        inspect.unwrap(data.collate)([painted(8, 8), 7])


def test_collate_names_the_odd_one():
    with pytest.raises(ValueError, match=r"picture 7 is \(3, 8, 9\).*letterbox"):
        data.collate([painted(8, 8), painted(8, 9)])


# ---- pictures ----------------------------------------------------------------------


def test_read_grey_16_bit(tmp_path):
    ramp = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for name in ("grey.png", "grey.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        image = data.read_image(tmp_path / name)
        assert image.shape == (3, 1, 4) and image.dtype == torch.uint8
        assert image[0, 0].tolist() == image[2, 0].tolist() == [0, 1, 127, 255]


def test_read_grey_two_colours_and_palette(tmp_path):
    grey = Image.fromarray(np.array([[0, 100, 255]], dtype=np.uint8))
    grey.save(tmp_path / "grey.png")
    assert data.read_image(tmp_path / "grey.png")[:, 0, 1].tolist() == [100] * 3
    grey.convert("1", dither=Image.Dither.NONE).save(tmp_path / "bits.png")
    assert data.read_image(tmp_path / "bits.png")[0, 0].tolist() == [0, 0, 255]
    colour = Image.new("RGB", (2, 1), (10, 200, 30))
    colour.quantize(4).save(tmp_path / "palette.png")
    assert data.read_image(tmp_path / "palette.png")[:, 0, 0].tolist() == [10, 200, 30]


def test_read_transparent_lies_on_white(tmp_path):
    # Red under full, half and no transparency, by hand: 255 - a/255 * (255 - value).
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 51], [255, 0, 0, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    image = data.read_image(tmp_path / "rgba.png")
    assert image[:, 0].T.tolist() == [[255, 0, 0], [255, 204, 204], [255, 255, 255]]


def test_read_applies_exif_rotation(tmp_path):
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (0, 0, 20, 20))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn a quarter clockwise to see it upright"
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    image = data.read_image(tmp_path / "turned.jpg")
    assert image.shape == (3, 40, 20)
    assert (image[:, :18] > 240).all() and (image[:, 22:] < 15).all()  # left is now top


def test_read_names_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(data.BadAnnotation, match="gone.png: there is no such picture"):
        data.read_image(tmp_path / "gone.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("cut.png", "cut.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for part in (0, 10, len(whole) // 2):
            (tmp_path / name).write_bytes(whole[:part])
            with pytest.raises(data.BadAnnotation, match=f"{name}: .*restore"):
                data.read_image(tmp_path / name)
    (tmp_path / "text.png").write_text("a letter")
    with pytest.raises(data.BadAnnotation, match="text.png"):
        data.read_image(tmp_path / "text.png")


# ---- COCO folders ------------------------------------------------------------------


def folder(tmp_path, change=lambda document: None):
    """Two pictures of 20x10, three annotations, ids with gaps; then one change."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 10), "grey").save(tmp_path / name)
    crowd = {"id": 4, "image_id": 5, "category_id": 3, "bbox": [1, 1, 9, 9]}
    crowd["iscrowd"] = 1
    document = {
        "images": [
            {"id": 5, "file_name": "a.png", "width": 20, "height": 10},
            {"id": 9, "file_name": "b.png", "width": 20, "height": 10},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 90, "bbox": [2, 1, 5.5, 4]},
            {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 20, 10]},
            crowd,
        ],
        "categories": [{"id": 90, "name": "brush"}, {"id": 3, "name": "car"}],
    }
    change(document)
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    return path


def test_coco_folder_by_hand(tmp_path):
    photographs = data.CocoFolder(folder(tmp_path), tmp_path)
    assert len(photographs) == 2 and photographs.names == ("car", "brush")
    assert photographs.category_ids == (3, 90)
    first, second = photographs
    assert first.boxes.tolist() == [[2, 1, 7.5, 5], [0, 0, 20, 10]]  # no crowd
    assert first.labels.tolist() == [1, 0] and first.image_id == 5
    assert second.boxes.shape == (0, 4) and second.labels.dtype == torch.int64
    assert first.image.shape == (3, 10, 20)
    assert len(photographs.coco()["annotations"]) == 3
    with pytest.raises(IndexError):
        photographs[2]


def annotation(**changes):
    return lambda document: document["annotations"][0].update(changes)


def image_entry(**changes):
    return lambda document: document["images"][1].update(changes)


@pytest.mark.parametrize(
    "change, said",
    [
        (annotation(bbox=[15, 1, 8, 4]), r"annotation 1 .*\[15, 1, 8, 4\] outside .*"
         r"picture 5 \(a.png, 20 x 10 pixels\); x \+ w may reach 20"),
        (annotation(bbox=[2, 5, 5, 8]), "annotation 1 .*outside .*y [+] h 10"),
        (annotation(bbox=[-3, 1, 5, 4]), "annotation 1 .*outside"),
        (annotation(bbox=[2, 1, 0, 4]), "annotation 1 .*no area.*above 0"),
        (annotation(bbox=[7, 5, -2, 4]), "annotation 1 .*no area"),
        (annotation(bbox=[2, 1, 5]), r"annotation 1 .*\[2, 1, 5\].*x y w h"),
        (annotation(bbox=[2, 1, 5, math.nan]), "annotation 1 .*nan.*4 numbers"),
        (annotation(bbox="2 1 5 4"), "annotation 1 .*4 numbers"),
        (annotation(category_id=7), r"annotation 1 .*category 7; known are \(3, 90\)"),
        (annotation(image_id=6), "annotation 1 belongs to image 6"),
        (annotation(id=2), r"annotations\[1\] repeats id 2"),
        (annotation(id="one"), r"annotations\[0\] has id 'one'; use an integer"),
        (image_entry(id=5), r"images\[1\] repeats id 5"),
        (image_entry(file_name="c.png"), "image 9 names c.png, which is not in"),
        (lambda d: d["categories"][1].update(id=90), r"categories\[1\] repeats id 90"),
        (lambda d: d["annotations"][1].pop("bbox"),
         r"annotations\[1\] \(id 2\) lacks \['bbox'\]"),
        (lambda d: d["images"][0].pop("id"), r"images\[0\] lacks \['id'\]"),
        (lambda d: d["images"].append("a.png"), r"images\[2\] is 'a.png'"),
        (lambda d: d.pop("categories"), "no list 'categories'.*annotations"),
        (lambda d: d.update(images={}), "no list 'images'"),
    ],
)  # fmt: skip
def test_bad_annotations_are_named(tmp_path, change, said):
    with pytest.raises(data.BadAnnotation, match=f"labels.json: .*{said}"):
        data.CocoFolder(folder(tmp_path, change), tmp_path)


def test_one_pixel_of_rounding_is_allowed(tmp_path):
    path = folder(tmp_path, annotation(bbox=[15, 1, 5.9, 4]))
    assert data.CocoFolder(path, tmp_path)[0].boxes[0].tolist() == pytest.approx(
        [15, 1, 20.9, 5]
    )


def test_a_known_bad_annotation_is_left_out_in_the_open(tmp_path):
    path = folder(tmp_path, annotation(bbox=[2, 1, 0, 4]))
    photographs = data.CocoFolder(path, tmp_path, skip={1})
    assert photographs[0].labels.tolist() == [0]


@pytest.mark.parametrize("text", ["{", "", "id,x,y,w,h", "[1, 2]", '"text"', "\x00"])
def test_not_json_or_not_coco(tmp_path, text):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(data.BadAnnotation, match="labels.json: (not JSON|no list)"):
        data.CocoFolder(path, tmp_path)


def test_missing_json_and_bytes_that_are_no_text(tmp_path):
    with pytest.raises(data.BadAnnotation, match="labels.json: there is no such file"):
        data.CocoFolder(tmp_path / "labels.json", tmp_path)
    (tmp_path / "labels.json").write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(data.BadAnnotation, match="labels.json: not JSON"):
        data.CocoFolder(tmp_path / "labels.json", tmp_path)


def test_damaged_or_wrongly_sized_picture_is_named(tmp_path):
    photographs = data.CocoFolder(folder(tmp_path), tmp_path)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:-30])
    with pytest.raises(data.BadAnnotation, match="image 9: .*b.png"):
        photographs[1]
    Image.new("RGB", (10, 20)).save(tmp_path / "a.png")  # as if it had been turned
    with pytest.raises(
        data.BadAnnotation, match=r"image 5 \(a.png\).*20 x 10 .*upright it is 10 x 20"
    ):
        photographs[0]


def test_scenes_survive_the_round_trip(tmp_path):
    drawn = data.scenes("validation", 5, seed=2)
    path = data.write_coco(drawn, tmp_path / "scenes")
    read = data.CocoFolder(path, path.parent / "images")
    assert read.names == drawn.names == tuple("0123456789")
    assert read.category_ids == tuple(range(1, 11)) and read.coco() == drawn.coco()
    for ours, theirs in zip(drawn, read, strict=True):
        assert all(map(torch.equal, ours[:3], theirs[:3]))
        assert ours.image_id == theirs.image_id


def test_pycocotools_reads_what_we_write(tmp_path):
    from pycocotools.coco import COCO

    drawn = data.scenes("validation", 5, seed=2)
    peer = COCO(str(data.write_coco(drawn, tmp_path)))
    assert peer.getImgIds() == [1, 2, 3, 4, 5]
    assert [c["name"] for c in peer.loadCats(peer.getCatIds())] == list("0123456789")
    for sample in drawn:
        found = peer.loadAnns(peer.getAnnIds(imgIds=[sample.image_id]))
        x1, y1, x2, y2 = sample.boxes.T
        assert [a["bbox"] for a in found] == (
            torch.stack([x1, y1, x2 - x1, y2 - y1], 1).tolist()
        )
        assert [a["category_id"] - 1 for a in found] == sample.labels.tolist()
        assert [a["area"] for a in found] == ((x2 - x1) * (y2 - y1)).tolist()


def test_document_counts_annotations_through():
    written = coco.document(["x"], 4, 6, [([[0, 1, 2, 3]], [0]), ([[1, 1, 6, 2]], [0])])
    assert [a["id"] for a in written["annotations"]] == [1, 2]
    assert [a["bbox"] for a in written["annotations"]] == [[0, 1, 2, 2], [1, 1, 5, 1]]
    assert written["images"][1] == {
        "id": 2, "file_name": "000002.png", "width": 6, "height": 4
    }  # fmt: skip


# ---- CIFAR-10 ----------------------------------------------------------------------


def test_cifar10_says_how_to_get_it(tmp_path):
    with pytest.raises(ValueError, match="not in .*download=True.*while online"):
        data.cifar10(tmp_path, "train")
    with pytest.raises(ValueError, match="'dev'"):
        data.cifar10(tmp_path, "dev")


def test_cifar10_is_split_in_torchvisions_order(monkeypatch, tmp_path):
    class Stub:
        def __init__(self, root, train, download):
            assert download is False
            count = 50_000 if train else 10_000
            self.data = np.zeros((count, 32, 32, 3), np.uint8)
            self.data[:, 2, 5, 1] = np.arange(count) % 251
            self.targets = [k % 10 for k in range(count)]

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Stub)
    for split, count, start in (
        ("train", 45_000, 0), ("validation", 5_000, 45_000), ("test", 10_000, 0)
    ):  # fmt: skip
        images, labels = data.cifar10(tmp_path, split)
        assert images.shape == (count, 3, 32, 32) and images.dtype == torch.uint8
        assert images[3, 1, 2, 5] == (start + 3) % 251 and images.sum(1).max() < 251
        assert labels[:3].tolist() == [0, 1, 2] and labels.dtype == torch.int64
