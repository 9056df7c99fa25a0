"""Anchors, IoU, codes, assignment: by hand, and as torchvision, COCO and effdet."""

import math
import warnings

import numpy as np
import pytest
import torch
import torchvision
from pycocotools import mask as coco_mask

from lib.basics import data
from lib.detection import anchors
from lib.detection.anchors import AnchorConfig

with warnings.catch_warnings():  # effdet 0.4.1 uses decorators torch 2.15 deprecates
    warnings.simplefilter("ignore", FutureWarning)
    from effdet.anchors import AnchorLabeler, Anchors, decode_box_outputs
    from effdet.object_detection.box_coder import FasterRcnnBoxCoder
    from effdet.object_detection.box_list import BoxList

RATIOS = [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)]
SWAP = [1, 0, 3, 2]  # xyxy to yxyx and back; effdet's boxes are yxyx


def drawn(seed: int, n: int, size: int = 128, least: int = 6, most: int = 72):
    """`n` boxes (xyxy, not square on purpose) and labels, from a seed."""
    generator = torch.Generator().manual_seed(seed)
    sides = least + (most - least) * torch.rand(n, 2, generator=generator)
    corner = torch.rand(n, 2, generator=generator) * (size - sides)
    labels = torch.randint(0, 10, (n,), generator=generator)
    return torch.cat([corner, corner + sides], 1), labels


# ------------------------------------------------------------------------- generation


@pytest.mark.equation("12.1")
def test_anchors_by_hand():
    """Stride 8, scale 4: a square of 32 about (4, 4), then 1.4 by 0.7 of it, wide."""
    boxes = anchors.anchors((512, 512))
    assert boxes.shape == (49104, 4) and boxes.dtype == torch.float32
    assert boxes[0].tolist() == [-12, -12, 20, 20]
    wide = [4 - 22.4, 4 - 11.2, 4 + 22.4, 4 + 11.2]
    assert boxes[1].tolist() == pytest.approx(wide, abs=1e-5)
    assert boxes[2].tolist() == pytest.approx([wide[i] for i in SWAP], abs=1e-5)
    third = 32 * 2 ** (1 / 3) / 2  # octave 1 begins after the three ratios
    assert boxes[3].tolist() == pytest.approx([4 - third] * 2 + [4 + third] * 2)
    assert boxes[9].tolist() == [-4, -12, 28, 20]  # one place to the right: x moves
    assert boxes[64 * 9].tolist() == [-12, -4, 20, 28]  # first of the second row


def test_published_values():
    last = [163.5377, -120.9245, 732.4623, 1016.9246]
    boxes = anchors.anchors((512, 512))
    assert boxes[-1].tolist() == pytest.approx(last, abs=1e-4)
    large = anchors.anchors((1536, 1536), AnchorConfig(scale=5))  # D7
    assert large[0].tolist() == [-16, -16, 24, 24]
    total = anchors.anchors((128, 128)).double().sum().item()
    assert total == pytest.approx(785664.0013, abs=1e-3)


COUNTS = {
    640: 76725,
    768: 110484,
    896: 150381,
    1024: 196416,
    1280: 306900,
    1536: 441936,
}


@pytest.mark.parametrize(("side", "count"), COUNTS.items())
def test_published_counts(side, count):
    assert len(anchors.anchors((side, side))) == count


def test_d7x_has_a_level_more():
    assert len(anchors.anchors((1536, 1536), AnchorConfig(levels=(3, 8)))) == 442260


@pytest.mark.parametrize(
    ("size", "scale", "levels"),
    [
        ((128, 128), 4.0, (3, 7)), ((320, 320), 3.0, (3, 7)), ((384, 640), 4.0, (3, 7)),
        ((128, 256), 4.0, (2, 5)), ((37, 91), 2.5, (3, 6)), ((512, 512), 5.0, (3, 8)),
    ],
)  # fmt: skip
def test_anchors_are_effdets(size, scale, levels):
    theirs = Anchors(*levels, 3, RATIOS, scale, size).boxes[:, SWAP]
    mine = anchors.anchors(size, AnchorConfig(scale=scale, levels=levels))
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-4)


def test_per_cell_counts_anchors():
    config = AnchorConfig(octaves=2, ratios=((1.0, 1.0),), levels=(3, 3))
    assert config.per_cell == 2
    assert len(anchors.anchors((16, 24), config)) == 2 * 3 * 2


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 0.0}, {"octaves": 0}, {"ratios": ()}, {"ratios": ((1.0, -1.0),)}],
)
def test_sizes_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        AnchorConfig(**wrong)


def test_under_meta_the_anchors_are_still_real():
    with torch.device("meta"):
        assert anchors.anchors((64, 64))[0].tolist() == [-12, -12, 20, 20]


def test_flatten_follows_the_anchors():
    """The box code of place (row, column), anchor k is found at that anchor's row."""
    config = AnchorConfig(levels=(3, 4))
    sizes = [(4, 6), (2, 3)]
    outputs = [torch.zeros(2, 36, h, w) for h, w in sizes]
    outputs[0][1, 5 * 4 + 2, 3, 1] = 1.0  # anchor 5, th, row 3, column 1
    outputs[1][0, 8 * 4 + 3, 1, 2] = 2.0  # anchor 8, tw, row 1, column 2
    flat = anchors.flatten(outputs, 4)
    assert flat.shape == (2, len(anchors.anchors((32, 48), config)), 4)
    assert flat[1, (3 * 6 + 1) * 9 + 5, 2] == 1.0
    assert flat[0, 24 * 9 + (1 * 3 + 2) * 9 + 8, 3] == 2.0
    assert flat.sum() == 3.0


# -------------------------------------------------------------------------------- IoU


@pytest.mark.equation("12.2")
def test_iou_by_hand():
    """Two squares of 10, one moved by 5 to the right: 50 over 150."""
    a = torch.tensor([[0.0, 0, 10, 10]])
    b = torch.tensor(
        [
            [5.0, 0, 15, 10], [5, 5, 15, 15], [0, 0, 10, 10], [10, 0, 20, 10],
            [2, 2, 4, 4], [50, 50, 60, 60],
        ]
    )  # fmt: skip
    expected = torch.tensor([[1 / 3, 25 / 175, 1, 0, 0.04, 0]])
    torch.testing.assert_close(anchors.box_iou(a, b), expected)


def test_iou_is_torchvisions():
    a, b = drawn(0, 40)[0], drawn(1, 70)[0]
    torch.testing.assert_close(anchors.box_iou(a, b), torchvision.ops.box_iou(a, b))
    boxes = anchors.anchors((128, 128))
    theirs = torchvision.ops.box_iou(a, boxes)
    torch.testing.assert_close(anchors.box_iou(a, boxes), theirs)


def test_iou_is_pycocotools():
    a, b = drawn(2, 30)[0].double(), drawn(3, 20)[0].double()
    xywh = [np.concatenate([x[:, :2], x[:, 2:] - x[:, :2]], 1) for x in (a, b)]
    theirs = torch.from_numpy(coco_mask.iou(*xywh, [0] * len(b)))
    torch.testing.assert_close(anchors.box_iou(a, b), theirs)


def test_iou_without_area_is_zero_and_has_a_gradient():
    point = torch.tensor([[3.0, 3, 3, 3]], requires_grad=True)
    iou = anchors.box_iou(point, torch.tensor([[3.0, 3, 3, 3], [0, 0, 9, 9]]))
    assert iou.tolist() == [[0, 0]]
    iou.sum().backward()
    assert point.grad.isfinite().all()
    assert anchors.box_iou(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)


# ------------------------------------------------------------------------------ codes


@pytest.mark.equation("12.3")
def test_encode_by_hand():
    """A box of 20 by 40 about (30, 30), seen from a square of 40 about (20, 40).

    tx = 10 / 40, ty = -10 / 40, tw = log 1/2, th = log 1; y comes first.
    """
    box = torch.tensor([[20.0, 10, 40, 50]])
    anchor = torch.tensor([[0.0, 20, 40, 60]])
    expected = torch.tensor([[-0.25, 0.25, 0.0, math.log(0.5)]])
    torch.testing.assert_close(anchors.encode(box, anchor), expected, atol=1e-6, rtol=0)


@pytest.mark.equation("12.4")
def test_decode_by_hand():
    anchor = torch.tensor([[0.0, 20, 40, 60]])
    code = torch.tensor([[-0.25, 0.25, 0.0, math.log(0.5)]])
    box = torch.tensor([[20.0, 10, 40, 50]])
    torch.testing.assert_close(anchors.decode(code, anchor), box)
    pair = anchors.decode(torch.stack([code, torch.zeros_like(code)]), anchor)
    torch.testing.assert_close(pair, torch.stack([box, anchor]))  # a batch dimension


def test_codes_are_effdets():
    grid = anchors.anchors((128, 128))[::37]
    boxes = drawn(4, len(grid))[0]
    theirs = FasterRcnnBoxCoder().encode(
        BoxList(boxes[:, SWAP].contiguous()), BoxList(grid[:, SWAP].contiguous())
    )
    mine = anchors.encode(boxes, grid)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    codes = torch.randn(len(grid), 4, generator=torch.Generator().manual_seed(5))
    back = decode_box_outputs(codes, grid[:, SWAP], output_xyxy=True)
    torch.testing.assert_close(anchors.decode(codes, grid), back)


def test_decode_undoes_encode_and_gradients_pass():
    grid = anchors.anchors((128, 128))[::37]
    boxes = drawn(6, len(grid))[0].requires_grad_()
    back = anchors.decode(anchors.encode(boxes, grid), grid)
    torch.testing.assert_close(back, boxes, rtol=1e-4, atol=1e-3)
    back.sum().backward()
    torch.testing.assert_close(boxes.grad, torch.ones_like(boxes), rtol=1e-4, atol=1e-3)


def test_decode_stays_finite_and_says_where_it_ends():
    anchor = torch.tensor([[0.0, 0, 32, 16]])
    wild = torch.tensor([[0.0, 0.0, 100.0, 1000.0]], dtype=torch.bfloat16)
    x1, y1, x2, y2 = anchors.decode(wild, anchor)[0].tolist()
    assert x2 - x1 == pytest.approx(32 * 62.5) and y2 - y1 == pytest.approx(16 * 62.5)
    edge = torch.tensor([[0.0, 0, math.log(62.4), math.log(62.4)]])
    wide = anchors.decode(edge, anchor)[0]
    assert (wide[2] - wide[0]).item() == pytest.approx(32 * 62.4, rel=1e-5)


# ------------------------------------------------------------------------- assignment


@pytest.mark.equation("12.5")
def test_assignment_by_hand():
    """Three anchors of 10, one object; IoUs 1, 8/12, 5/15 with the object."""
    grid = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]])
    thing = torch.tensor([[0.0, 0, 10, 10]])
    found = anchors.assign(grid, thing, torch.tensor([7]))
    assert found.labels.tolist() == [7, 7, -1]
    assert found.matched.tolist() == [0, 0, -1]
    assert found.codes[0].tolist() == [0, 0, 0, 0] == found.codes[2].tolist()
    assert found.codes[1].tolist() == pytest.approx([0, -0.2, 0, 0], abs=1e-6)
    strict = anchors.assign(grid, thing, torch.tensor([7]), matched=0.7)
    assert strict.labels.tolist() == [7, -1, -1]
    zone = anchors.assign(grid, thing, torch.tensor([7]), matched=0.7, unmatched=0.3)
    assert zone.labels.tolist() == [7, -2, -2]  # too good for background: ignored
    with pytest.raises(ValueError, match="unmatched=0.6"):
        anchors.assign(grid, thing, torch.tensor([7]), matched=0.5, unmatched=0.6)


def test_published_assignment():
    """63 positives: 32, 30, and one by force with an IoU of 0.4185, anchor 262."""
    boxes = torch.tensor([[12.0, 10, 70, 60], [40, 40, 110, 120], [90, 5, 118, 20]])
    grid = anchors.anchors((128, 128))
    found = anchors.assign(grid, boxes, torch.tensor([0, 1, 2]))
    counts = [int((found.matched == i).sum()) for i in range(3)]
    assert counts == [32, 30, 1] and int((found.labels >= 0).sum()) == 63
    assert found.labels[262] == 2
    iou = anchors.box_iou(boxes[2:], grid)[0, 262].item()
    assert iou == pytest.approx(0.4185, abs=5e-5)
    expected = [
        [0.022321, -0.089286, -0.401011, -0.470004],
        [0.196863, 0.182801, 0.340864, -0.203863],
    ]
    first = found.codes[found.labels >= 0][:2]
    torch.testing.assert_close(first, torch.tensor(expected), atol=1e-6, rtol=0)


def test_a_collision_is_won_by_the_first():
    """Two boxes of 4 pixels beside each other want anchor 785; the second gets none."""
    boxes = torch.tensor([[60.0, 60, 64, 64], [61, 61, 65, 65]])
    grid = anchors.anchors((128, 128))
    found = anchors.assign(grid, boxes, torch.tensor([3, 4]))
    assert found.labels.unique().tolist() == [-1, 3]
    assert (found.labels >= 0).nonzero().tolist() == [[785]]


def test_a_picture_without_objects():
    grid = anchors.anchors((128, 128))
    nothing = torch.zeros(0, dtype=torch.int64)
    found = anchors.assign(grid, torch.zeros(0, 4), nothing)
    assert (found.labels == -1).all() and (found.matched == -1).all()
    assert found.codes.shape == (3069, 4) and not found.codes.any()


def test_a_box_without_area_is_refused_and_named():
    grid = anchors.anchors((64, 64))
    for bad in ([9.0, 9, 9, 20], [20.0, 9, 9, 20], [math.nan, 1, 2, 3]):
        boxes = torch.tensor([[1.0, 1, 20, 20], bad])
        with pytest.raises(ValueError, match="box 1 is"):
            anchors.assign(grid, boxes, torch.tensor([0, 0]))


def test_labels_are_counted_from_0_and_one_for_each_box():
    """-1 and -2 are the marks of anchors without an object."""
    grid, box = anchors.anchors((64, 64)), torch.tensor([[1.0, 1, 20, 20]])
    for labels, words in (([-1], "label -1 is below 0"), ([-2], "-2"), ([1, 1], "1 b")):
        with pytest.raises(ValueError, match=words):
            anchors.insist_objects(box, torch.tensor(labels))
    with pytest.raises(ValueError, match="label -1 is below 0"):
        anchors.assign(grid, box, torch.tensor([-1]))


@pytest.mark.parametrize("threshold", [0.5, 0.35])
@pytest.mark.parametrize("size", [(128, 128), (96, 160)])
def test_assignment_is_effdets(size, threshold):
    """Labels, codes and the number of positives, on drawn boxes of all sizes."""
    theirs = Anchors(3, 7, 3, RATIOS, 4.0, size)
    labeler = AnchorLabeler(theirs, 10, threshold)
    grid = theirs.boxes[:, SWAP].contiguous()
    for seed in range(12):
        boxes, labels = drawn(seed, 1 + seed, size=96, least=3 + seed % 5)
        mine = anchors.assign(grid, boxes, labels, matched=threshold)
        classes, codes, positives = labeler.label_anchors(boxes[:, SWAP], labels + 1)
        classes = torch.cat([c.flatten() for c in classes])
        codes = torch.cat([c.reshape(-1, 4) for c in codes])
        assert torch.equal(mine.labels, classes)
        assert int((mine.labels >= 0).sum()) == int(positives)
        torch.testing.assert_close(mine.codes, codes, rtol=1e-5, atol=1e-5)


def test_every_drawn_object_finds_an_anchor():
    """No two digits of a scene want the same anchor, on strides 4 to 32."""
    grid = anchors.anchors((128, 128), AnchorConfig(levels=(2, 5)))
    for sample in list(data.scenes("validation", 40)):
        found = anchors.assign(grid, sample.boxes, sample.labels)
        assert set(found.matched.tolist()) == {-1, *range(len(sample.boxes))}


# --------------------------------------------------------------------------- coverage


def test_coverage_by_hand():
    """One object on an anchor, one far smaller: 1 of IoU, and 4 x 4 / 32 x 32."""
    grid = anchors.anchors((128, 128), AnchorConfig(octaves=1, ratios=((1.0, 1.0),)))
    some = torch.tensor([[-12.0, -12, 20, 20], [66, 66, 70, 70]])
    seen = anchors.coverage(grid, [some, torch.zeros(0, 4)])
    assert seen.sides.tolist() == [32, 4]
    assert seen.ious.tolist() == pytest.approx([1, 16 / 1024])
    assert seen.positives[1] == 1  # by force only
    # Moved by 8 pixels an anchor of 32 still has 24 / 40 = 0.6: right and below, once.
    assert seen.positives[0] == 3
    with pytest.raises(ValueError, match="2 pictures, and no object"):
        anchors.coverage(grid, [torch.zeros(0, 4)] * 2)


def test_levels_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 2\) must be \(first, last\)"):
        AnchorConfig(levels=(5, 2))
