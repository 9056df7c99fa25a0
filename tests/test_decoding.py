"""Top-k, boxes, NMS and soft-NMS against effdet and against plain loops; pictures."""

import dataclasses
import math
import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from lib.basics import data
from lib.book import plots
from lib.detection import anchors, decoding, efficientdet
from lib.exercises import places

with warnings.catch_warnings():
    # effdet 0.4.1 scripts functions at import, which torch 2.14 says will go away.
    warnings.simplefilter("ignore")
    import effdet
    from effdet import bench


def outputs(size, classes, batch=2, seed=0, spread=1.0):
    """Random class and box outputs for a picture of (height, width)."""
    generator = torch.Generator().manual_seed(seed)
    logits, codes = [], []
    for level in anchors.level_sizes(size, 3, 7):
        shape = batch, 9 * classes, *level
        logits.append(torch.randn(shape, generator=generator) * spread - 2)
        shape = batch, 36, *level
        codes.append(torch.randn(shape, generator=generator) * 0.4)
    return logits, codes


def effdet_detections(logits, codes, boxes, sizes, count, soft):
    """effdet's rows (100, 6) of each picture: x1 y1 x2 y2 score class, class from 1."""
    classes = logits[0].shape[1] // 9
    picked = bench._post_process(logits, codes, 5, classes, count)
    scores, chosen, places, labels = picked
    width_height = torch.tensor(sizes).flip(1).float()
    boxes = boxes[:, [1, 0, 3, 2]]  # its anchors have y before x
    ones = torch.ones(len(sizes))
    return bench._batch_detection(
        len(sizes), scores, chosen, boxes, places, labels, ones, width_height,
        soft_nms=soft,
    )  # fmt: skip


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("size", "classes", "count"),
    [((128, 128), 10, 5000), ((320, 320), 90, 5000), ((96, 200), 3, 700)],
)
def test_postprocess_equals_effdet(size, classes, count, layout):
    logits, codes = outputs(size, classes)
    logits = [level.to(memory_format=layout) for level in logits]
    boxes, sizes = anchors.anchors(size), [size, (size[0] - 30, size[1] - 7)]
    theirs = effdet_detections(logits, codes, boxes, sizes, count, soft=False)
    mine = decoding.postprocess(logits, codes, boxes, sizes, candidates=count)
    for ours, other in zip(mine, theirs, strict=True):
        rows = torch.cat(
            [ours.boxes, ours.scores[:, None], ours.labels[:, None] + 1], 1
        )
        assert rows.shape == other.shape
        torch.testing.assert_close(rows, other, rtol=1e-5, atol=1e-4)


def test_soft_postprocess_equals_effdet():
    size = (128, 128)
    logits, codes = outputs(size, 4, spread=2.0)
    boxes = anchors.anchors(size)
    theirs = effdet_detections(logits, codes, boxes, [size] * 2, 1500, soft=True)
    mine = decoding.postprocess(
        logits, codes, boxes, [size] * 2, candidates=1500, suppress=decoding.soft_nms
    )
    for ours, other in zip(mine, theirs, strict=True):
        # effdet moves classes apart by adding to coordinates, which costs digits.
        torch.testing.assert_close(ours.scores, other[:, 4], rtol=1e-4, atol=1e-4)
        assert (ours.labels + 1 == other[:, 5]).float().mean() > 0.95
        same = ours.labels + 1 == other[:, 5]
        torch.testing.assert_close(
            ours.boxes[same], other[same, :4], rtol=1e-4, atol=1e-3
        )


def test_fewer_pairs_than_asked_for():
    logits, codes = outputs((16, 16), 1)
    boxes = anchors.anchors((16, 16))  # levels of 2, 1, 1, 1, 1 places a side
    every = decoding.best_pairs([level[0] for level in logits], 1)
    assert len(every[0]) == len(boxes) == 9 * 8
    found = decoding.postprocess(logits, codes, boxes, [(16, 16)] * 2)
    assert all(1 <= len(each.scores) <= 72 for each in found)


def test_best_pairs_by_hand():
    """Two anchors, three classes, levels of 1x2 and 1x1 places."""
    fine = torch.zeros(6, 1, 2)
    fine[4, 0, 1] = 5.0  # anchor 1 of place 1, class 1: anchor 3
    fine[3, 0, 1] = 4.0  # the same anchor, class 0
    coarse = torch.zeros(6, 1, 1)
    coarse[2] = 4.5  # anchor 0 of the second level, class 2: anchor 4
    logits, places, classes = decoding.best_pairs([fine, coarse], 3, 3)
    assert logits.tolist() == [5.0, 4.5, 4.0]
    assert places.tolist() == [3, 4, 3]
    assert classes.tolist() == [1, 2, 0]


@pytest.mark.parametrize("size", [5, 64, 6399, 6400, 40_000])
@pytest.mark.parametrize("count", [1, 90, 700])
def test_largest_is_topk(size, count):
    generator = torch.Generator().manual_seed(size)
    values = torch.rand(size, generator=generator)
    mine, theirs = decoding.largest(values, count), values.topk(min(count, size))
    assert torch.equal(mine[0], theirs.values)
    assert torch.equal(mine[1], theirs.indices)
    ties = (values * 3).round()
    assert torch.equal(decoding.largest(ties, count)[0], ties.topk(min(count, size))[0])


def test_nan_is_no_detection():
    logits, codes = outputs((32, 32), 2, batch=1)
    boxes = anchors.anchors((32, 32))
    logits[0][0, 3, 1, 1] = float("nan")
    found = decoding.postprocess(logits, codes, boxes, [(32, 32)])[0]
    assert len(found.scores) and found.scores.isfinite().all()
    found = decoding.postprocess(
        [x * torch.nan for x in logits], codes, boxes, [(9, 9)]
    )
    assert found[0].boxes.shape == (0, 4) and len(found[0].labels) == 0


@pytest.mark.parametrize("suppress", [decoding.hard_nms, decoding.soft_nms])
def test_a_box_that_is_nowhere_is_no_detection(suppress):
    """One code of one anchor is NaN: all other detections are what they were."""
    logits, codes = outputs((32, 32), 2, batch=1)
    boxes, how = anchors.anchors((32, 32)), {"suppress": suppress, "keep": 1000}
    logits[0][0, 2, 1, 1] = 9.0  # anchor 1 of this place, surest of all
    sound = decoding.postprocess(logits, codes, boxes, [(32, 32)], **how)[0]
    codes[0][0, 4, 1, 1] = float("nan")
    found = decoding.postprocess(logits, codes, boxes, [(32, 32)], **how)[0]
    assert sound.scores[0] > 0.999 > found.scores[0]
    assert found.boxes.isfinite().all() and found.scores.isfinite().all()


@pytest.mark.parametrize("suppress", [decoding.hard_nms, decoding.soft_nms])
def test_a_threshold_only_removes_what_is_below(suppress):
    logits, codes = outputs((64, 64), 3)
    boxes, how = anchors.anchors((64, 64)), {"suppress": suppress}
    every = decoding.postprocess(logits, codes, boxes, [(64, 64)] * 2, **how)
    some = decoding.postprocess(
        logits, codes, boxes, [(64, 64)] * 2, threshold=0.4, **how
    )
    for all_of, part in zip(every, some, strict=True):
        sure = all_of.scores >= 0.4
        assert 0 < sure.sum() == len(part.scores) < 100
        for a, b in zip(all_of, part, strict=True):
            torch.testing.assert_close(a[sure], b)


# -------------------------------------------------------------------------- equations


@pytest.mark.equation("15.1")
def test_scores_are_sigmoids_of_their_own_class():
    logits = [torch.full((1, 9 * 2, 1, 1), -9.0)]
    logits[0][0, 0], logits[0][0, 1] = math.log(3), 0.0  # anchor 0: 3/4 and 1/2
    boxes = anchors.anchors((8, 8), anchors.AnchorConfig(levels=(3, 3)))
    found = decoding.postprocess(
        logits, [torch.zeros(1, 36, 1, 1)], boxes, [(8, 8)], threshold=0.1
    )[0]
    assert found.scores.tolist() == pytest.approx([0.75, 0.5])  # their sum is not 1
    assert found.labels.tolist() == [0, 1]


@pytest.mark.equation("15.2")
def test_clip_by_hand():
    boxes = torch.tensor([[-5.0, 2, 50, 120], [10, -3, 20, 4], [90, 90, 99, 99]])
    by_hand = [[0.0, 2, 40, 80], [10, 0, 20, 4], [40, 80, 40, 80]]
    assert decoding.clip(boxes, 80, 40).tolist() == by_hand


def plain_iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (both - width * height)


def plain_nms(boxes, scores, labels, keep):
    """NMS as one says it in words."""
    chosen = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        rivals = [j for j in chosen if labels[j] == labels[i]]
        if all(plain_iou(boxes[i], boxes[j]) <= 0.5 for j in rivals):
            chosen.append(i)
    return chosen[:keep]


def plain_soft_nms(boxes, scores, labels, keep):
    """Soft-NMS of every class alone and to its end, then the best of all of them."""
    chosen = []
    for label in set(labels):
        left = {i: s for i, s in enumerate(scores) if labels[i] == label}
        while left:
            best = max(left, key=left.get)
            chosen.append((left.pop(best), best))
            for j in left:
                overlap = plain_iou(boxes[best], boxes[j])
                left[j] *= math.exp(-overlap * overlap / 0.5)
    chosen = sorted((c for c in chosen if c[0] > 0.001), reverse=True)[:keep]
    return [i for _, i in chosen], [score for score, _ in chosen]


def crowd(n, classes, seed):
    """Boxes that overlap a lot, scores, labels; as lists and as tensors."""
    chance = random.Random(seed)
    boxes = []
    for _ in range(n):
        x, y = chance.randint(0, 60), chance.randint(0, 60)
        w, h = chance.randint(10, 40), chance.randint(10, 40)
        boxes.append([x, y, x + w, y + h])
    scores = [chance.random() for _ in range(n)]
    labels = [chance.randrange(classes) for _ in range(n)]
    tensors = torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(labels)
    return (boxes, scores, labels), tensors


@pytest.mark.equation("15.3")
@pytest.mark.parametrize(("n", "keep"), [(1, 100), (40, 100), (300, 100), (300, 7)])
def test_nms_is_what_one_says_in_words(n, keep):
    lists, tensors = crowd(n, 3, seed=n)
    kept, scores = decoding.hard_nms(*tensors, keep)
    assert kept.tolist() == plain_nms(*lists, keep)
    assert torch.equal(scores, tensors[1][kept])


@pytest.mark.equation("15.3")
@pytest.mark.parametrize(("n", "keep"), [(0, 9), (1, 100), (40, 100), (300, 7)])
def test_plain_nms_in_its_place_keeps_what_torchvision_keeps(n, keep):
    """The two ways of `hard_nms`, equal scores among the boxes too."""
    boxes, scores, labels = crowd(n, 3, seed=n + 1)[1]
    boxes = boxes.reshape(n, 4)
    scores = (scores * 20).round() / 20  # ties, in one class and between classes
    fast = decoding.hard_nms(boxes, scores, labels.long(), keep)
    with places.standing("detection.decoding.greedy", decoding.greedy) as trial:
        slow = decoding.hard_nms(boxes, scores, labels.long(), keep)
    assert trial.calls == len(set(labels.tolist()))
    assert torch.equal(fast[0], slow[0]) and torch.equal(fast[1], slow[1])


@pytest.mark.equation("15.4")
@pytest.mark.parametrize(("n", "keep"), [(1, 100), (40, 100), (300, 100), (300, 7)])
def test_soft_nms_is_what_one_says_in_words(n, keep):
    lists, tensors = crowd(n, 3, seed=n)
    before = [t.clone() for t in tensors]
    kept, scores = decoding.soft_nms(*tensors, keep)
    by_words = plain_soft_nms(*lists, keep)
    assert kept.tolist() == by_words[0]
    assert scores.tolist() == pytest.approx(by_words[1], abs=1e-6)
    assert all(map(torch.equal, tensors, before)), "an input was changed"


def test_soft_nms_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    scores = torch.tensor([0.9, 0.8, 0.5])
    kept, final = decoding.soft_nms(boxes, scores, torch.zeros(3, dtype=torch.int64))
    # IoU .8: the second falls to .8 exp(-.64 / .5) = .2224 and comes last.
    assert kept.tolist() == [0, 2, 1]
    assert final.tolist() == pytest.approx([0.9, 0.5, 0.8 * math.exp(-1.28)])


@pytest.mark.parametrize("suppress", [decoding.hard_nms, decoding.soft_nms])
def test_nothing_in_nothing_out(suppress):
    none = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    kept, scores = suppress(*none)
    assert kept.dtype == torch.int64 and len(kept) == len(scores) == 0


# --------------------------------------------------------------------------- pictures


class Finder(nn.Module):
    """A stand-in for a detector: always sure of class 2 at one anchor."""

    def __init__(self, side=64, anchor=36, code=(0.0, 0.0, 0.0, 0.0)):
        super().__init__()
        self.config = SimpleNamespace(
            image_size=(side, side), num_classes=3, anchors=anchors.AnchorConfig(),
            mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm2d(3)
        self.anchor, self.code, self.seen = anchor, torch.tensor(code), None

    def forward(self, images):
        self.seen, self.was_training = images, self.norm.training
        logits, codes = [], []
        first = 0
        for h, w in anchors.level_sizes(tuple(images.shape[2:]), 3, 7):
            size = h * w * 9
            logit = torch.full((len(images), size, 3), -8.0)
            code = torch.zeros(len(images), size, 4)
            if first <= self.anchor < first + size:
                logit[:, self.anchor - first, 2] = 3.0
                code[:, self.anchor - first] = self.code
            first += size
            for flat, maps in ((logit, logits), (code, codes)):
                maps.append(flat.reshape(len(images), h, w, -1).permute(0, 3, 1, 2))
        return logits, codes


def test_detect_gives_boxes_in_pixels_of_the_picture():
    # Anchor 36 at 64 x 64: level P3, row 0, column 4, square, side 32, centre (36, 4).
    picture = torch.full((3, 32, 128), 200, dtype=torch.uint8)  # shown at half its size
    found = decoding.detect(Finder(), picture, threshold=0.5)
    # In the input (20, -12, 52, 20), cut to its upper 16 rows; twice that in pixels.
    assert found.boxes.tolist() == [[40.0, 0.0, 104.0, 32.0]]
    assert found.scores.tolist() == pytest.approx([1 / (1 + math.exp(-3))])
    assert found.labels.tolist() == [2] and found.labels.dtype == torch.int64
    figure = plots.boxes(picture, **found._asdict(), names="abc")
    assert "c 0.95 from (40, 0) to (104, 32)" in figure.alt
    assert len(decoding.detect(Finder(), picture, threshold=0.96).boxes) == 0
    assert decoding.detect(Finder(), picture, threshold=0.96).boxes.shape == (0, 4)


def test_the_model_sees_a_normalised_letterbox_and_keeps_its_mode():
    model = Finder().train()
    picture = torch.full((3, 32, 128), 102, dtype=torch.uint8)  # 0.4
    decoding.detect(model, picture)
    assert not model.was_training and model.training and model.norm.training
    pixel = [(0.4 - 0.5) / 0.2, 0.0, (0.4 - 0.3) / 0.1]
    assert model.seen[0, :, 5, 5].tolist() == pytest.approx(pixel, abs=1e-6)
    assert model.seen[0, :, 60, 5].abs().max() < 0.03  # the mean colour, rounded
    assert not model.seen.requires_grad


@pytest.mark.parametrize("part", ["logits", "codes"])
def test_a_detector_that_answers_nan_is_refused(part):
    """Nothing found would be a lie: weights after a training that has diverged."""

    class Diverged(Finder):
        def forward(self, images):
            logits, codes = super().forward(images)
            (logits if part == "logits" else codes)[1][0, 0, 0, 0] = math.nan
            return logits, codes

    word = {"logits": "class", "codes": "box"}[part]
    with pytest.raises(ValueError, match=rf"the {word} outputs .* NaN \(level 1 of 5"):
        decoding.detect(Diverged(), torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_frozen_norms_stay_frozen():
    model = Finder().train()
    model.norm.eval()  # as for fine-tuning
    decoding.detect(model, torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert model.training and not model.norm.training

    class Broken(Finder):
        def forward(self, images):
            raise KeyError("in the middle")

    model = Broken().train()
    model.norm.eval()
    with pytest.raises(KeyError):
        decoding.detect(model, torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert model.training and not model.norm.training


def test_nothing_to_look_at_and_no_detector():
    assert decoding.detect_all(Finder(), []) == []
    with pytest.raises(ValueError, match="model is a Linear; .* has a config"):
        decoding.detect(nn.Linear(1, 1), torch.zeros(3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="threshold is '0.5'; scores lie between"):
        decoding.detect_all(Finder(), [], threshold="0.5")


@pytest.mark.parametrize("wrong", [{"candidates": 0}, {"keep": -1}])
def test_counts_are_whole_numbers(wrong):
    picture, name = torch.zeros(3, 8, 8, dtype=torch.uint8), next(iter(wrong))
    with pytest.raises(ValueError, match=f"{name} is"):
        decoding.detect(Finder(), picture, **wrong)


def test_a_box_outside_the_picture_is_left_out():
    picture = torch.zeros(3, 16, 64, dtype=torch.uint8)
    below = Finder(anchor=9 * 8 * 7, code=(0.0, 0.0, -2.0, -2.0))  # row 7: y = 60
    assert len(decoding.detect(below, picture).boxes) == 0


def test_detect_all_is_detect_one_by_one():
    some = data.scenes("validation", 3, size=64, pixels=(14, 40))
    pictures = [some[i].image for i in range(3)] + [torch.zeros(3, 9, 20).byte()]
    model = Finder()
    together = decoding.detect_all(model, pictures, 0.1)
    for picture, found in zip(pictures, together, strict=True):
        for a, b in zip(found, decoding.detect(model, picture, 0.1), strict=True):
            torch.testing.assert_close(a, b)


@torch.no_grad()
def test_the_whole_road_is_effdets():
    """D0 with their random weights, a picture to be halved, in double precision."""
    config = effdet.get_efficientdet_config("tf_efficientdet_d0")
    config.image_size = 128, 128
    torch.manual_seed(0)
    network = effdet.EfficientDet(config, pretrained_backbone=False)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.0)
    for head in (network.class_net, network.box_net):
        nn.init.normal_(head.predict.conv_pw.weight, std=0.3)
    theirs = effdet.DetBenchPredict(network).double().eval()
    theirs.anchors.float()  # its NMS wants boxes and scores of one type
    mine = efficientdet.load_official(
        efficientdet.efficientdet("d0"), network.state_dict()
    ).double()
    mine.config = dataclasses.replace(mine.config, image_size=(128, 128))
    picture = torch.randint(0, 256, (3, 256, 192), dtype=torch.uint8)
    fill = tuple(round(255 * m) for m in mine.config.mean)
    seen, _, scale = data.letterbox(picture, torch.zeros(0, 4), 128, fill)
    mean, std = (
        torch.tensor(v).double()[:, None, None]
        for v in (mine.config.mean, mine.config.std)
    )
    info = {"img_scale": torch.tensor([1 / scale])}
    info["img_size"] = torch.tensor([[192.0, 256.0]])
    rows = theirs(((seen.double() / 255 - mean) / std)[None], info)[0]
    found = decoding.detect(mine, picture, threshold=0.0)
    full = (rows[:, 2:4] > rows[:, :2]).all(1)  # `detect` leaves out the others
    assert 50 < full.sum() == len(found.scores)
    torch.testing.assert_close(
        found.boxes, rows[full, :4].float(), rtol=1e-5, atol=1e-3
    )
    torch.testing.assert_close(found.scores, rows[full, 4].float())
    assert torch.equal(found.labels + 1, rows[full, 5].long())


GRADIENT = np.arange(0, 240, 4, np.uint8).reshape(6, 10)


def files(folder):
    """Pictures of every kind: name -> (file, height, width)."""
    grey = Image.fromarray(GRADIENT)
    colour = Image.merge("RGB", [grey, grey, grey])
    alpha = colour.copy()
    alpha.putalpha(128)
    deep = Image.fromarray(GRADIENT.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    made = {
        "rgb.png": colour, "grey.png": grey, "rgba.png": alpha, "deep.png": deep,
        "bilevel.png": grey.convert("1"), "palette.gif": grey, "photo.jpg": colour,
        "cmyk.jpg": colour.convert("CMYK"), "scan.tif": deep, "web.webp": colour,
        "tiny.png": colour.crop((0, 0, 1, 1)),
    }  # fmt: skip
    for name, picture in made.items():
        picture.save(folder / name)
    colour.save(folder / "turned.jpg", exif=exif)
    colour.resize((3000, 2)).save(folder / "long.png")
    colour.resize((4000, 3000)).save(folder / "huge.png")
    return sorted(folder.iterdir())


def test_every_kind_of_picture_is_read(tmp_path):
    model = Finder(anchor=36, code=(0.0, -1.0, 0.0, 0.0))
    for path in files(tmp_path):
        with Image.open(path) as picture:
            width, height = picture.size
            if path.name == "turned.jpg":
                width, height = height, width
            found = decoding.detect(model, path, threshold=0.1)
            again = decoding.detect(model, picture, threshold=0.1)
        for a, b in zip(found, again, strict=True):
            assert torch.equal(a, b), f"{path.name}: file and PIL picture differ"
        assert torch.equal(decoding.read(path), decoding.read(Image.open(path)))
        assert decoding.read(path).shape == (3, height, width), path.name
        limit = torch.tensor([width, height] * 2)
        assert (found.boxes >= 0).all() and (found.boxes <= limit).all(), path.name
        assert len(found.boxes) == 1, path.name  # in the corner of every picture


def test_16_bits_are_scaled_and_transparency_is_white(tmp_path):
    files(tmp_path)
    deep = decoding.read(Image.open(tmp_path / "deep.png"))
    assert torch.equal(deep[0], torch.from_numpy(GRADIENT))
    alpha = decoding.read(Image.open(tmp_path / "rgba.png"))
    assert alpha[0, 0, 0] in (126, 127, 128)  # black, half transparent, on white


MODES = "1 L LA P PA RGB RGBA RGBX CMYK YCbCr HSV LAB I I;16 I;16B"


@pytest.mark.parametrize("mode", MODES.split())
def test_every_mode_of_pil_is_read(mode):
    assert decoding.read(Image.new(mode, (5, 3))).shape == (3, 3, 5)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, 30, math.nan])
def test_a_threshold_is_a_score(threshold):
    picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="between 0 and 1"):
        decoding.detect(Finder(), picture, threshold=threshold)


def test_grey_tensors_count_as_pictures():
    grey = torch.from_numpy(GRADIENT)
    assert torch.equal(decoding.read(grey), grey.expand(3, -1, -1))
    assert torch.equal(decoding.read(grey[None]), grey.expand(3, -1, -1))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(3, 8, 8), "torch.float32.*give uint8"),
        (torch.zeros(8, 8, 3).byte(), "8 channels; give 3"),
        (torch.zeros(1, 3, 8, 8).byte(), r"\(1, 3, 8, 8\)"),
        (torch.zeros(3, 0, 8).byte(), r"\(3, 0, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), "type ndarray; give the path"),
        (None, "type NoneType"),
        (Image.new("F", (4, 4)), "float pixels"),
    ],
)
def test_what_is_no_picture_is_refused(image, words):
    with pytest.raises(ValueError, match=words):
        decoding.detect(Finder(), image)


def test_files_that_are_no_pictures_are_named(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("not a picture", encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes\.txt.*cannot be read"):
        decoding.detect(Finder(), tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"gone\.png: there is no such picture"):
        decoding.detect(Finder(), str(tmp_path / "gone.png"))
    with pytest.raises(ValueError, match="cannot be read"):
        decoding.detect(Finder(), tmp_path)
    Image.new("RGB", (90, 90)).save(tmp_path / "vast.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 90 // 2 - 1)
    with pytest.raises(ValueError, match=r"vast\.png.*smaller"):
        decoding.detect(Finder(), tmp_path / "vast.png")


def test_iou_of_the_house_is_that_of_torchvision():
    """What `soft_nms` decays by and what `batched_nms` compares with are one number."""
    boxes = crowd(50, 1, seed=5)[1][0]
    torch.testing.assert_close(
        anchors.box_iou(boxes, boxes), torchvision.ops.box_iou(boxes, boxes)
    )
