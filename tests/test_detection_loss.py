"""The loss by hand, on published values, and as effdet computes it, with gradients."""

import math
import warnings
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import torchvision

from lib.basics import data
from lib.detection import anchors, detection_loss
from lib.detection.anchors import AnchorConfig

with warnings.catch_warnings():  # effdet 0.4.1 uses decorators torch 2.15 deprecates
    warnings.simplefilter("ignore", FutureWarning)
    from effdet.anchors import AnchorLabeler, Anchors
    from effdet.loss import focal_loss_legacy, loss_fn, new_focal_loss
    from effdet.loss import huber_loss as their_huber

SIZE, CLASSES = (128, 128), 3
GRID = anchors.anchors(SIZE)
SIDES = (16, 8, 4, 2, 1)
PUBLISHED = torch.tensor([[12.0, 10, 70, 60], [40, 40, 110, 120], [90, 5, 118, 20]])


def batch(*pictures):
    """What `data.collate` gives, without pictures: (boxes, labels) of each."""
    boxes, labels = zip(*pictures, strict=True)
    return SimpleNamespace(boxes=list(boxes), labels=list(labels))


OBJECTS = batch((PUBLISHED, torch.tensor([0, 1, 2])))
NOTHING = batch((torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)))


def outputs(logit: float, code: float, pictures: int = 1):
    classes = [torch.full((pictures, 9 * CLASSES, s, s), logit) for s in SIDES]
    return classes, [torch.full((pictures, 36, s, s), code) for s in SIDES]


def random_outputs(seed: int, pictures: int, classes: int = CLASSES):
    generator = torch.Generator().manual_seed(seed)
    return [
        [
            (scale * torch.randn(pictures, 9 * k, s, s, generator=generator) - shift)
            for s in SIDES
        ]
        for k, scale, shift in ((classes, 2.0, 2.0), (4, 0.5, 0.0))
    ]


# ------------------------------------------------------------------------- focal, huber


@pytest.mark.equation("14.1")
def test_cross_entropy_by_hand():
    """gamma = 0 and alpha = 1/2 leave half of the cross entropy: log 2 at logit 0."""
    logits = torch.tensor([0.0, math.log(3), math.log(3)])
    targets = torch.tensor([True, True, False])
    mine = 2 * detection_loss.focal_loss(logits, targets, alpha=0.5, gamma=0)
    by_hand = torch.tensor([math.log(2), math.log(4 / 3), math.log(4)])
    torch.testing.assert_close(mine, by_hand)


@pytest.mark.equation("14.2")
def test_focal_by_hand():
    """Published values, and p = 3/4: alpha * (1/4)**1.5 * log(4/3)."""
    logits = torch.tensor([0.0, 2.0, -3.0, math.log(3), math.log(3)])
    targets = torch.tensor([True, False, True, True, False])
    by_hand = [0.25 * 0.125 * math.log(4 / 3), 0.75 * 0.75**1.5 * math.log(4)]
    expected = torch.tensor([0.061266132, 1.318644881, 0.708576620, *by_hand])
    torch.testing.assert_close(detection_loss.focal_loss(logits, targets), expected)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 1.5), (0.25, 2), (0.5, 0.5)])
def test_focal_is_torchvisions_and_effdets_with_gradients(alpha, gamma):
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(500, generator=generator)).double().requires_grad_()
    yes = torch.rand(500, generator=generator) < 0.3
    mine = detection_loss.focal_loss(logits, yes, alpha, gamma)
    for theirs in (
        torchvision.ops.sigmoid_focal_loss(logits, yes.double(), alpha, gamma),
        focal_loss_legacy(logits, yes.double(), alpha, gamma, 1.0),
        new_focal_loss(logits, yes.double(), alpha, gamma, 1.0, label_smoothing=0.0),
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)
        grads = [torch.autograd.grad(x.sum(), logits, retain_graph=True)[0]
                 for x in (mine, theirs)]  # fmt: skip
        torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-8)


def test_focal_is_finite_for_extreme_logits():
    logits = torch.tensor([-200.0, -100, 0, 100, 200] * 2, requires_grad=True)
    yes = torch.tensor([True] * 5 + [False] * 5)
    loss = detection_loss.focal_loss(logits, yes, gamma=0.5)
    assert loss[0].item() == pytest.approx(0.25 * 200) and loss[5] == 0
    loss.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.equation("14.4")
def test_huber_by_hand():
    error = torch.tensor([0.05, 0.1, 0.5, -0.5, 0.0], requires_grad=True)
    mine = detection_loss.huber_loss(error)
    torch.testing.assert_close(mine, torch.tensor([0.00125, 0.005, 0.045, 0.045, 0.0]))
    theirs = F.huber_loss(error, torch.zeros(5), reduction="none", delta=0.1)
    torch.testing.assert_close(mine, theirs)
    theirs = their_huber(error, torch.zeros(5), delta=0.1, size_average=False)
    torch.testing.assert_close(mine.sum(), theirs)
    mine.sum().backward()
    # a straight line has the slope delta, however long it is
    torch.testing.assert_close(error.grad, torch.tensor([0.05, 0.1, 0.1, -0.1, 0.0]))


@pytest.mark.equation("14.3")
def test_prior_bias():
    """A logit of log(p / (1 - p)) is a probability of p; published: -4.5951."""
    assert detection_loss.prior_bias() == pytest.approx(-4.5951, abs=5e-5)
    assert detection_loss.prior_bias(0.5) == 0
    assert detection_loss.prior_bias(0.2) == pytest.approx(math.log(0.2 / 0.8))


# ------------------------------------------------------------------------- whole loss


@pytest.mark.parametrize(
    ("logit", "code", "expected"),
    [
        (-math.log(99), 0.05, (1.759231448, 1.117423773, 0.012836154)),
        (0.0, 0.0, (26.938028336, 26.320495605, 0.012350670)),
    ],
)
def test_published_losses(logit, code, expected):
    found = detection_loss.detection_loss(*outputs(logit, code), OBJECTS, GRID)
    assert [x.item() for x in found[:3]] == pytest.approx(expected, rel=2e-6)
    assert found.positives == 63


@pytest.mark.equation("14.5")
def test_the_normaliser_by_hand():
    """Nothing in the picture: 3069 * 3 logits of 0, over 0 positives plus 1.

    With a second picture of 63 positives the same sum is over 64.
    """
    each = 0.75 * 0.5**1.5 * math.log(2)
    alone = detection_loss.detection_loss(*outputs(0.0, 0.0), NOTHING, GRID)
    assert alone.total.item() == pytest.approx(3069 * 3 * each, rel=1e-6)
    assert alone.total.item() == pytest.approx(1692.231323, rel=1e-6)
    assert alone.boxes == 0 and alone.positives == 0
    both = batch(
        (OBJECTS.boxes[0], OBJECTS.labels[0]), (NOTHING.boxes[0], NOTHING.labels[0])
    )
    pair = detection_loss.detection_loss(*outputs(0.0, 0.0, 2), both, GRID)
    expected = 26.320495605 + 1692.231323 / 64
    assert pair.classes.item() == pytest.approx(expected, rel=1e-6)
    assert pair.boxes.item() == pytest.approx(0.012350670, rel=1e-5)


@pytest.mark.equation("14.6")
def test_total_is_class_plus_fifty_boxes():
    """One picture of one anchor: both parts worked by hand."""
    logits = torch.zeros(1, 1, 2)
    codes = torch.tensor([[[0.0, 0.0, 0.0, 0.0]]])
    wanted = torch.tensor([[[0.05, -0.1, 0.5, 0.0]]])  # the last does not count
    found = detection_loss.loss_of_assigned(logits, codes, torch.tensor([[1]]), wanted)
    half = 0.5**1.5 * math.log(2)
    classes = (0.25 * half + 0.75 * half) / 2
    boxes = (0.00125 + 0.005 + 0.045) / (4 * 2)
    assert found.classes.item() == pytest.approx(classes, rel=1e-6)
    assert found.boxes.item() == pytest.approx(boxes, rel=1e-6)
    assert found.total.item() == pytest.approx(classes + 50 * boxes, rel=1e-6)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_loss_is_effdets_with_gradients(seed, legacy):
    """Random outputs, drawn scenes, one of them empty: parts and every gradient."""
    scenes = data.scenes("train", 3, seed=seed)
    samples = [scenes[i] for i in range(3)]
    targets = data.collate(samples)
    targets.boxes.append(torch.zeros(0, 4))
    targets.labels.append(torch.zeros(0, dtype=torch.int64))
    classes, codes = random_outputs(seed, 4, classes=10)
    for x in classes + codes:
        x.requires_grad_()
    mine = detection_loss.detection_loss(classes, codes, targets, GRID)
    ratios = [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)]
    labeler = AnchorLabeler(Anchors(3, 7, 3, ratios, 4.0, SIZE), 10, 0.5)
    flipped = [b[:, [1, 0, 3, 2]] for b in targets.boxes]
    theirs = loss_fn(
        classes, codes,
        *labeler.batch_label_anchors(flipped, [k + 1 for k in targets.labels]),
        num_classes=10, alpha=0.25, gamma=1.5, delta=0.1, box_loss_weight=50.0,
        legacy_focal=legacy,
    )  # fmt: skip
    for a, b in zip(mine[:3], theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    grads = [torch.autograd.grad(t, classes + codes) for t in (mine.total, theirs[0])]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_ignored_anchors_count_in_neither_part():
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    codes = torch.zeros(1, 2, 4, requires_grad=True)
    labels = torch.tensor([[-2, -1]])
    wanted = torch.zeros(1, 2, 4)
    found = detection_loss.loss_of_assigned(logits, codes, labels, wanted)
    expected = 3 * 0.75 * 0.5**1.5 * math.log(2)
    assert found.total.item() == pytest.approx(expected, rel=1e-6)
    found.total.backward()
    assert not logits.grad[0, 0].any() and logits.grad[0, 1].all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_outputs_are_taken_as_they_are(dtype):
    """The arithmetic is float32's: a sum over 9,207 anchors would end float16."""
    classes, codes = random_outputs(7, 1)
    halves = [[x.to(dtype).requires_grad_() for x in some] for some in (classes, codes)]
    same = [[x.detach().float() for x in some] for some in halves]
    mine = detection_loss.detection_loss(*halves, OBJECTS, GRID)
    exact = detection_loss.detection_loss(*same, OBJECTS, GRID)
    assert mine.total.dtype == torch.float32
    torch.testing.assert_close(mine.total, exact.total, rtol=1e-6, atol=0)
    mine.total.backward()
    assert all(x.grad.isfinite().all() for x in halves[0] + halves[1])


def test_channels_last_outputs_give_the_same():
    classes, codes = random_outputs(8, 2)
    both = batch((PUBLISHED, OBJECTS.labels[0]), (NOTHING.boxes[0], NOTHING.labels[0]))
    plain = detection_loss.detection_loss(classes, codes, both, GRID)
    last = [[x.to(memory_format=torch.channels_last) for x in some]
            for some in (classes, codes)]  # fmt: skip
    torch.testing.assert_close(detection_loss.detection_loss(*last, both, GRID), plain)


def test_what_does_not_fit_is_refused():
    other = anchors.anchors(SIZE, AnchorConfig(levels=(2, 5)))
    with pytest.raises(ValueError, match="3069 boxes come out and 12240 anchors"):
        detection_loss.detection_loss(*outputs(0.0, 0.0), OBJECTS, other)
    late = batch((PUBLISHED, torch.tensor([0, 1, 3])))  # ids from 1: the last is lost
    with pytest.raises(ValueError, match="label 3 needs more than 3 classes"):
        detection_loss.detection_loss(*outputs(0.0, 0.0), late, GRID)


BOX = torch.tensor([[10.0, 10, 50, 50]])


@pytest.mark.parametrize(
    ("boxes", "labels", "words"),
    [
        (BOX, torch.tensor([-1]), "label -1 is below 0"),
        (BOX, torch.tensor([-2]), "label -2 is below 0"),
        (BOX, torch.tensor([1, 2]), r"labels are torch.int64 \(2,\) for 1 boxes"),
        (BOX, torch.zeros(0, dtype=torch.int64), r"\(0,\) for 1 boxes"),
        (BOX, torch.tensor([1.0]), "labels are torch.float32"),
        (BOX, torch.tensor([1], dtype=torch.int32), "labels are torch.int32"),
        (BOX, torch.tensor([[1]]), r"torch.int64 \(1, 1\)"),
        (BOX[0], torch.tensor([1]), r"boxes are torch.float32 \(4,\)"),
        (BOX.long(), torch.tensor([1]), "boxes are torch.int64"),
        (BOX[:, :3], torch.tensor([1]), r"boxes are torch.float32 \(1, 3\)"),
        (BOX[:, [2, 3, 0, 1]], torch.tensor([1]), "box 0 is .* x1 < x2"),
    ],
)
def test_targets_that_cannot_be_learned_are_named(boxes, labels, words):
    """The first picture is sound; the message says that it is the second one."""
    sound = PUBLISHED, torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=f"picture 1 of the batch: .*{words}"):
        detection_loss.detection_loss(
            *outputs(0.0, 0.0, 2), batch(sound, (boxes, labels)), GRID
        )


def test_an_assigned_label_without_a_logit_is_refused():
    """Ids from 1 in a head of 3 outputs: class 3 would be a no to all three."""
    logits, codes = torch.zeros(1, 2, 3), torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="label 3 needs more than 3 classes"):
        detection_loss.loss_of_assigned(logits, codes, torch.tensor([[0, 3]]), codes)


@pytest.mark.parametrize("probability", [0, 1, -0.1, 2.0, math.nan])
def test_a_prior_is_a_probability(probability):
    with pytest.raises(ValueError, match=f"probability is {probability}"):
        detection_loss.prior_bias(float(probability))


def test_targets_of_another_number_of_pictures_are_refused():
    with pytest.raises(ValueError, match="outputs are of 2 pictures, targets of 1"):
        detection_loss.detection_loss(*outputs(0.0, 0.0, 2), OBJECTS, GRID)


def test_thresholds_and_constants_pass_through():
    """A lower threshold gives more positives; a box weight of 0 leaves the classes."""
    out = outputs(0.0, 0.0)
    usual = detection_loss.detection_loss(*out, OBJECTS, GRID)
    easy = detection_loss.detection_loss(*out, OBJECTS, GRID, matched=0.4, box_weight=0)
    assert easy.positives > usual.positives
    assert easy.total == easy.classes
