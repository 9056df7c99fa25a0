"""Exercises and quiz of chapter 12: anchors, IoU, codes, assignment."""

import functools
import math

import torch

from lib.basics import data
from lib.detection import anchors, decoding, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.exercises.comparing import difference

# --- 12.1 build: IoU of all pairs


def targets_and_votes() -> list:
    """What anchors learn of three objects, how they fit, what soft-NMS makes of it.

    Sides are no whole numbers, as in pictures that were made smaller.
    """
    objects = torch.tensor([
        [10.3, 20.6, 24.1, 60.2], [15.9, 22.4, 41.7, 70.8], [80.2, 70.5, 118.6, 121.3],
    ])  # fmt: skip
    labels = torch.tensor([3, 1, 7])
    model = detectors.shipped("course")
    grid = anchors.anchors((128, 128), model.config.anchors)
    learned = anchors.assign(grid, objects, labels)
    fit = anchors.coverage(grid, [objects])
    # Boxes as an untuned detector gives them: around each object, a little off.
    steps = torch.tensor([-2.7, -0.4, 0.0, 1.3, 3.9])
    moved = [objects + step * torch.tensor([1.0, 0.5, 1.5, 0.25]) for step in steps]
    boxes = torch.cat(moved)  # 15 4
    scores = torch.linspace(0.95, 0.25, len(boxes))
    kept = decoding.soft_nms(boxes, scores, labels.repeat(len(steps)))
    return [*learned, *fit, *kept]


def box_iou_2(a, b):
    """Box by box: the corners of the overlap at once, by two sides."""
    rows = []
    for box in a:
        low = torch.maximum(box[:2], b[:, :2])
        high = torch.minimum(box[2:], b[:, 2:])
        shared = torch.relu(high - low).prod(1)
        covered = (box[2:] - box[:2]).prod() + (b[:, 2:] - b[:, :2]).prod(1) - shared
        rows.append(torch.where(covered > 0, shared / covered, torch.zeros(())))
    return torch.stack(rows)


def _shared(a, b):
    """Width and height of what each pair shares; below 0 where they do not touch."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).unbind(2)


def _areas(a, b):
    return anchors.box_area(a)[:, None], anchors.box_area(b)[None]


def _over_union(shared, a, b):
    first, second = _areas(a, b)
    return shared / (first + second - shared).clamp(min=1e-30)


def iou_not_clamped(a, b):
    w, h = _shared(a, b)
    return _over_union(w * h, a, b)


def iou_clamped_product(a, b):
    w, h = _shared(a, b)
    return _over_union((w * h).clamp(min=0), a, b)


def iou_of_absolute_sides(a, b):
    w, h = _shared(a, b)
    return _over_union(w.abs() * h.abs(), a, b)


def iou_width_twice(a, b):
    w, _ = _shared(a, b)
    return _over_union(w.clamp(min=0) ** 2, a, b)


def _overlap(a, b):
    w, h = _shared(a, b)
    return w.clamp(min=0) * h.clamp(min=0)


def iou_over_sum(a, b):
    first, second = _areas(a, b)
    return _overlap(a, b) / (first + second).clamp(min=1e-30)


def iou_is_dice(a, b):
    return 2 * iou_over_sum(a, b)


def iou_over_smaller(a, b):
    first, second = _areas(a, b)
    return _overlap(a, b) / torch.minimum(first, second).clamp(min=1e-30)


def iou_over_larger(a, b):
    first, second = _areas(a, b)
    return _overlap(a, b) / torch.maximum(first, second).clamp(min=1e-30)


def iou_over_first(a, b):
    return _overlap(a, b) / _areas(a, b)[0].clamp(min=1e-30)


def iou_over_second(a, b):
    return _overlap(a, b) / _areas(a, b)[1].clamp(min=1e-30)


def iou_over_frame(a, b):
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    return _overlap(a, b) / (high - low).prod(2).clamp(min=1e-30)


def iou_of_frame(a, b):
    """The corners exchanged: the frame around both in place of the overlap."""
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    return _over_union((high - low).prod(2), a, b)


def iou_plus_one_pixel(a, b):
    one = torch.tensor([0.0, 0, 1, 1])
    return anchors.box_iou(a + one, b + one)


def iou_of_xywh(a, b):
    def corners(boxes):
        return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)

    return anchors.box_iou(corners(a), corners(b))


def iou_of_centres(a, b):
    def corners(boxes):
        middle, half = boxes[:, :2], boxes[:, 2:] / 2
        return torch.cat([middle - half, middle + half], 1)

    return anchors.box_iou(corners(a), corners(b))


def iou_row_with_row(a, b):
    n = min(len(a), len(b))
    return anchors.box_iou(a[:n], b[:n]).diagonal()


def iou_transposed(a, b):
    return anchors.box_iou(b, a)


def iou_overlap_alone(a, b):
    return _overlap(a, b)


def iou_loss(a, b):
    return 1 - anchors.box_iou(a, b)


def iou_nan_without_area(a, b):
    first, second = _areas(a, b)
    shared = _overlap(a, b)
    return shared / (first + second - shared)


def iou_of_whole_pixels(a, b):
    return anchors.box_iou(a.round(), b.round())


def iou_best_only(a, b):
    return anchors.box_iou(a, b).amax(1)


def sets_of_boxes(rng, size):
    """N and M boxes in a field of 40 or of 8000: apart, equal, inside, touching."""
    scale = rng.choice((1.0, 1.0, 1.0, 200.0))

    def box():
        x, y = 30 * rng.random(), 30 * rng.random()
        return [x, y, x + 3 + 20 * rng.random(), y + 3 + 25 * rng.random()]

    a = [box() for _ in range(rng.randint(1, 1 + size))]
    b = [box() for _ in range(rng.randint(2, 2 + size))]
    if len(a) == len(b):
        b.append(box())
    x1, y1, x2, y2 = a[0]
    b[0] = list(a[0])  # equal: exactly 1
    b[1] = rng.choice((
        [x2, y1, x2 + 9, y2],  # they touch in an edge
        [x1 + 1, y1 + 1, x1 + 2, y1 + 2.5],  # one inside the other
        [x2 + 5, y2 + 7, x2 + 9, y2 + 16],  # apart in both directions
        [x1 + 1, y2 + 4, x2 + 1, y2 + 14],  # apart in one
    ))  # fmt: skip
    return scale * torch.tensor(a), scale * torch.tensor(b)


NO_AREA = "no anchor and no object is without area"

# --- 12.2 build: the code of a box


def encode_2(boxes, anchors):
    """Number by number, in double precision."""
    codes = []
    for box, anchor in zip(boxes.tolist(), anchors.tolist(), strict=True):
        x1, y1, x2, y2 = box
        a1, b1, a2, b2 = anchor
        wide, high = a2 - a1 + 1e-7, b2 - b1 + 1e-7
        down = ((y1 + y2) - (b1 + b2)) / 2 / high
        right = ((x1 + x2) - (a1 + a2)) / 2 / wide
        taller = math.log((y2 - y1 + 1e-7) / high)
        wider = math.log((x2 - x1 + 1e-7) / wide)
        codes.append([down, right, taller, wider])
    return torch.tensor(codes, dtype=torch.float32).reshape(-1, 4)


def _middles(boxes):
    """x, y, width and height, each (A,)."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def _grown(boxes):
    """The same, with EPS added to the sides."""
    x, y, wide, high = _middles(boxes)
    return x, y, wide + 1e-7, high + 1e-7


def _codes(ty, tx, th, tw):
    return torch.stack([ty, tx, th, tw], 1)


def encode_x_first(boxes, anchors):
    return encode_2(boxes, anchors)[:, [1, 0, 3, 2]]


def encode_sizes_first(boxes, anchors):
    return encode_2(boxes, anchors)[:, [2, 3, 0, 1]]


def encode_by_box(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = _grown(boxes), _grown(anchors)
    return _codes((y - ya) / h, (x - xa) / w, (h / ha).log(), (w / wa).log())


def encode_corners(boxes, anchors):
    code = encode_2(boxes, anchors)
    _, _, wa, ha = _grown(anchors)
    shift = boxes[:, :2] - anchors[:, :2]
    return _codes(shift[:, 1] / ha, shift[:, 0] / wa, code[:, 2], code[:, 3])


def encode_in_pixels(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = _grown(boxes), _grown(anchors)
    return _codes(y - ya, x - xa, (h / ha).log(), (w / wa).log())


def encode_base_two(boxes, anchors):
    code = encode_2(boxes, anchors)
    return torch.cat([code[:, :2], code[:, 2:] / math.log(2)], 1)


def encode_ratio(boxes, anchors):
    code = encode_2(boxes, anchors)
    return torch.cat([code[:, :2], code[:, 2:].exp()], 1)


def encode_difference(boxes, anchors):
    code = encode_2(boxes, anchors)
    return torch.cat([code[:, :2], code[:, 2:].exp() - 1], 1)


def encode_anchor_over_box(boxes, anchors):
    code = encode_2(boxes, anchors)
    return torch.cat([code[:, :2], -code[:, 2:]], 1)


def encode_towards_anchor(boxes, anchors):
    code = encode_2(boxes, anchors)
    return torch.cat([-code[:, :2], code[:, 2:]], 1)


def encode_with_variances(boxes, anchors):
    return encode_2(boxes, anchors) / torch.tensor([0.1, 0.1, 0.2, 0.2])


def encode_sides_exchanged(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = _grown(boxes), _grown(anchors)
    return _codes((y - ya) / wa, (x - xa) / ha, (h / ha).log(), (w / wa).log())


def encode_of_xywh(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = ((b + 1e-7).unbind(1) for b in (boxes, anchors))
    return _codes((y - ya) / ha, (x - xa) / wa, (h / ha).log(), (w / wa).log())


def encode_other_way(boxes, anchors):
    return encode_2(anchors, boxes)


def encode_without_eps(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = _middles(boxes), _middles(anchors)
    return _codes((y - ya) / ha, (x - xa) / wa, (h / ha).log(), (w / wa).log())


def boxes_and_anchors(rng, size) -> tuple:
    """As many boxes as anchors: equal ones, far ones, some without a side."""
    n = rng.choice((40, 3)) if size == 6 else size

    def box(far):
        x, y = far * rng.random(), far * rng.random()
        w, h = (math.exp(rng.uniform(0, math.log(far))) for _ in "wh")
        return [x, y, x + w, y + h]

    far = rng.choice((100, 500, 2000))
    grid = [box(far) for _ in range(n)]
    boxes = [a if rng.random() < 0.15 else box(far) for a in grid]
    if rng.random() < 0.5:  # a line, and a point that is an anchor, too
        boxes[0] = [3.0, 8.0, 9.0, 8.0]
        boxes[-1] = grid[-1] = [5.0, 6.0, 5.0, 6.0]
    return torch.tensor(boxes), torch.tensor(grid)


# --- 12.3 build: from a code to its box


def boxes_found() -> list:
    """What the shipped course detector finds in two scenes, and one wild answer."""
    scenes = detectors.scenes("test", 2)
    model = detectors.shipped("course")
    found = decoding.detect_all(model, [scene.image for scene in scenes], threshold=0.2)
    config = anchors.AnchorConfig(octaves=1, ratios=((1, 1),), levels=(3, 3))
    codes = torch.tensor([[0.1, 6.0, 0.3, 9.0], [-0.1, 0.2, -7.0, 0.0]])
    grid = anchors.anchors((8, 16), config)
    outputs = [torch.ones(1, 1, 1, 2)], [codes.T.reshape(1, 4, 1, 2)]
    wild = decoding.postprocess(*outputs, grid, [(5000, 5000)])
    return [part for each in (*found, *wild) for part in each]


def decode_2(codes, anchors):
    """Left, top, right and bottom, each by itself."""
    ty, tx, th, tw = codes.unbind(1)
    x, y, wide, high = _middles(anchors)
    limit = math.log(1000 / 16)
    w = wide * torch.exp(torch.minimum(tw, torch.full_like(tw, limit)))
    h = high * torch.exp(torch.minimum(th, torch.full_like(th, limit)))
    left, top = x + tx * wide - w / 2, y + ty * high - h / 2
    return torch.stack([left, top, left + w, top + h], 1)


def _decoded(codes, anchors):
    """Middle and size of what is meant: x, y, width, height."""
    return _middles(decode_2(codes, anchors))


def _corners(x, y, w, h):
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)


def _limited(codes):
    return torch.cat([codes[:, :2], codes[:, 2:].clamp(max=math.log(1000 / 16))], 1)


def decode_x_first(codes, anchors):
    return decode_2(codes[:, [1, 0, 3, 2]], anchors)


def decode_yxyx(codes, anchors):
    return decode_2(codes, anchors)[:, [1, 0, 3, 2]]


def decode_not_limited(codes, anchors):
    (x, y, _, _), (_, _, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    return _corners(x, y, wa * codes[:, 3].exp(), ha * codes[:, 2].exp())


def decode_limited_below(codes, anchors):
    low = codes[:, 2:].clamp(min=-math.log(1000 / 16))
    return decode_2(torch.cat([codes[:, :2], low], 1), anchors)


def decode_limits_shifts(codes, anchors):
    return decode_2(codes.clamp(max=math.log(1000 / 16)), anchors)


def decode_no_exponential(codes, anchors):
    (x, y, _, _), (_, _, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    some = _limited(codes)
    return _corners(x, y, wa * some[:, 3], ha * some[:, 2])


def decode_one_more(codes, anchors):
    (x, y, _, _), (_, _, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    some = _limited(codes)
    return _corners(x, y, wa * (1 + some[:, 3]), ha * (1 + some[:, 2]))


def decode_base_two(codes, anchors):
    (x, y, _, _), (_, _, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    some = _limited(codes)
    return _corners(x, y, wa * 2 ** some[:, 3], ha * 2 ** some[:, 2])


def decode_whole_sides(codes, anchors):
    x, y, w, h = _decoded(codes, anchors)
    return torch.stack([x - w, y - h, x + w, y + h], 1)


def decode_middle_and_size(codes, anchors):
    return torch.stack(_decoded(codes, anchors), 1)


def decode_xywh(codes, anchors):
    x, y, w, h = _decoded(codes, anchors)
    return torch.stack([x - w / 2, y - h / 2, w, h], 1)


def decode_shift_in_pixels(codes, anchors):
    (_, _, w, h), (xa, ya, _, _) = _decoded(codes, anchors), _middles(anchors)
    return _corners(xa + codes[:, 1], ya + codes[:, 0], w, h)


def decode_shift_in_new_sides(codes, anchors):
    (_, _, w, h), (xa, ya, _, _) = _decoded(codes, anchors), _middles(anchors)
    return _corners(xa + codes[:, 1] * w, ya + codes[:, 0] * h, w, h)


def decode_from_corner(codes, anchors):
    (_, _, w, h), (_, _, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    x, y = anchors[:, 0] + codes[:, 1] * wa, anchors[:, 1] + codes[:, 0] * ha
    return torch.stack([x, y, x + w, y + h], 1)


def decode_sides_exchanged(codes, anchors):
    (_, _, w, h), (xa, ya, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    return _corners(xa + codes[:, 1] * ha, ya + codes[:, 0] * wa, w, h)


def decode_backwards(codes, anchors):
    (_, _, w, h), (xa, ya, wa, ha) = _decoded(codes, anchors), _middles(anchors)
    return _corners(xa - codes[:, 1] * wa, ya - codes[:, 0] * ha, w, h)


def codes_and_anchors(rng, size) -> tuple:
    """Codes as a network gives them: zeros, small ones, and a few wild ones."""
    _, grid = boxes_and_anchors(rng, size)
    rows = []
    for _ in range(len(grid)):
        spread = rng.choice((0.0, 0.3, 0.3, 2.0))
        code = [rng.gauss(0, spread) for _ in range(4)]
        if rng.random() < 0.3:
            code[rng.randint(0, 3)] = rng.choice((5.0, 20.0, -6.0))
        rows.append(code)
    return torch.tensor(rows), grid


# --- 12.4 build: which anchor learns which object


def targets() -> list:
    """What anchors learn: two tiny objects that want the same one, and a digit."""
    objects = torch.tensor([
        [60.0, 60, 64, 64], [61, 61, 65, 65], [20.3, 20.6, 34.1, 40.2],
    ])  # fmt: skip
    config = detectors.CONFIGS["course"].anchors
    grid = anchors.anchors((128, 128), config)
    return list(anchors.assign(grid, objects, torch.tensor([3, 1, 7])))


def owners_2(iou, matched, unmatched):
    """Anchor by anchor, then object by object from the last to the first."""
    table = iou.tolist()
    owner = []
    for column in zip(*table, strict=True):
        best = max(column)
        first = column.index(best)
        owner.append(first if best >= matched else -2 if best >= unmatched else -1)
    for n in reversed(range(len(table))):
        owner[table[n].index(max(table[n]))] = n
    return torch.tensor(owner)


def _by_best(iou, matched, unmatched):
    best, owner = iou.max(0)
    owner = torch.where(best >= matched, owner, -2)
    return torch.where(best >= unmatched, owner, -1)


def owners_without_force(iou, matched, unmatched):
    return _by_best(iou, matched, unmatched)


def owners_by_force_only(iou, matched, unmatched):
    owner = torch.full(iou.shape[1:], -1)
    for n in reversed(range(len(iou))):
        owner[iou[n].argmax()] = n
    return owner


def owners_last_wins(iou, matched, unmatched):
    owner = _by_best(iou, matched, unmatched)
    for n in range(len(iou)):
        owner[iou[n].argmax()] = n
    return owner


def owners_better_fit_wins(iou, matched, unmatched):
    owner = _by_best(iou, matched, unmatched)
    for n in iou.amax(1).argsort().tolist():
        owner[iou[n].argmax()] = n
    return owner


def owners_force_if_free(iou, matched, unmatched):
    owner = _by_best(iou, matched, unmatched)
    for n in range(len(iou)):
        best = iou[n].argmax()
        if owner[best] < 0:
            owner[best] = n
    return owner


def owners_force_those_without(iou, matched, unmatched):
    owner = _by_best(iou, matched, unmatched)
    has = set(owner.tolist())
    for n in reversed(range(len(iou))):
        if n not in has:
            owner[iou[n].argmax()] = n
    return owner


def owners_above(iou, matched, unmatched):
    best, owner = iou.max(0)
    owner = torch.where(best > matched, owner, -2)
    return _forced(torch.where(best > unmatched, owner, -1), iou)


def _forced(owner, iou):
    owner = owner.clone()
    for n in reversed(range(len(iou))):
        owner[iou[n].argmax()] = n
    return owner


def owners_without_zone(iou, matched, unmatched):
    return owners_2(iou, matched, matched)


def owners_all_above_unmatched(iou, matched, unmatched):
    return owners_2(iou, unmatched, unmatched)


def owners_signs_exchanged(iou, matched, unmatched):
    owner = owners_2(iou, matched, unmatched)
    return torch.where(owner < 0, -3 - owner, owner)


def owners_no_threshold(iou, matched, unmatched):
    return _forced(iou.max(0).indices, iou)


def owners_as_mask(iou, matched, unmatched):
    return (owners_2(iou, matched, unmatched) >= 0).long()


def owners_counted_from_one(iou, matched, unmatched):
    owner = owners_2(iou, matched, unmatched)
    return torch.where(owner >= 0, owner + 1, owner)


def owners_anchors_of_objects(iou, matched, unmatched):
    return iou.argmax(1)


def owners_of_last_equal(iou, matched, unmatched):
    best = iou.amax(0)
    owner = len(iou) - 1 - iou.flip(0).max(0).indices
    owner = torch.where(best >= matched, owner, -2)
    return _forced(torch.where(best >= unmatched, owner, -1), iou)


def overlaps_of_anchors(rng, size) -> tuple:
    """Objects by anchors: exact thresholds, two that want one anchor, poor fits.

    No object has two best anchors: which of them is forced would be open.
    """
    n, a = rng.randint(1, 1 + size), rng.randint(2, 3 + 2 * size)
    if size == 6:
        n, a = rng.choice(((12, 300), (20, 8), (1, 50)))
    steps = (0.0, 0.0, 0.1, 0.3, 0.4, 0.45, 0.5, 0.6, 0.8)
    iou = torch.tensor([[rng.choice(steps) for _ in range(a)] for _ in range(n)])
    for row in iou:
        best = rng.randint(0, a - 1 if n < a else 1)
        row[best] = row.max() + rng.choice((0.05, 0.0625, 0.15))
    return iou, 0.5, rng.choice((0.5, 0.4))


# --- 12.5 predict


def anchors_at_320() -> int:
    """Anchors of a picture of 320 x 320, levels 3 to 7."""
    return len(anchors.anchors((320, 320)))


def rounded_down() -> int:
    return 9 * sum((320 // 2**level) ** 2 for level in range(3, 8))


def places_at_320() -> int:
    return anchors_at_320() // 9


def only_level_three() -> int:
    return 9 * 40**2


def three_a_place() -> int:
    return places_at_320() * 3


def without_level_seven() -> int:
    return len(anchors.anchors((320, 320), anchors.AnchorConfig(levels=(3, 6))))


def sides_not_squared() -> int:
    return 9 * (40 + 20 + 10 + 5 + 3)


def halves_of_places() -> float:
    return 9 * sum((320 / 2**level) ** 2 for level in range(3, 8))


# --- 12.6 measure


@functools.cache
def seen(
    config: anchors.AnchorConfig, split: str = "validation", count: int = 100
) -> anchors.Coverage:
    boxes = [sample.boxes for sample in data.scenes(split, count)]
    return anchors.coverage(anchors.anchors((128, 128), config), boxes)


def forced_only() -> int:
    """Objects of 100 scenes that the paper's anchors reach by force only."""
    return int((seen(anchors.AnchorConfig()).ious < 0.5).sum())


def not_forced() -> int:
    return int((seen(anchors.AnchorConfig()).ious >= 0.5).sum())


def forced_at_scale_three() -> int:
    config = anchors.AnchorConfig(scale=3, levels=(2, 5))
    return int((seen(config).ious < 0.5).sum())


def objects() -> int:
    return len(seen(anchors.AnchorConfig()).ious)


def forced_share() -> float:
    return forced_only() / objects()


def below_four_tenths() -> int:
    return int((seen(anchors.AnchorConfig()).ious < 0.4).sum())


def forced_in_test_scenes() -> int:
    return int((seen(anchors.AnchorConfig(), "test").ious < 0.5).sum())


def forced_in_eight_scenes() -> int:
    return int((seen(anchors.AnchorConfig(), count=8).ious < 0.5).sum())


# --- 12.7 build


def giou(a, b):
    """IoU, less the share of the common frame that neither box covers."""
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    corner = torch.minimum(a[:, :2], b[:, :2])
    frame = (torch.maximum(a[:, 2:], b[:, 2:]) - corner).prod(1)
    return overlap / union - (frame - union) / frame


def giou_2(a, b):
    """The same from the diagonal of all pairs."""
    iou = torch.diagonal(anchors.box_iou(a, b))
    both = torch.stack([a, b])
    low, high = both[..., :2].amin(0), both[..., 2:].amax(0)
    frame = (high - low).prod(1)
    areas = anchors.box_area(a) + anchors.box_area(b)
    union = areas / (1 + iou)  # overlap = iou * union
    return iou - 1 + union / frame


def giou_is_iou(a, b):
    return torch.diagonal(anchors.box_iou(a, b)) + 0.0


def _frame(a, b):
    low = torch.minimum(a[:, :2], b[:, :2])
    return (torch.maximum(a[:, 2:], b[:, 2:]) - low).prod(1)


def giou_without_overlap(a, b):
    """Subtracts the frame less the two areas, their overlap counted twice."""
    iou, frame = giou_is_iou(a, b), _frame(a, b)
    areas = anchors.box_area(a) + anchors.box_area(b)
    return iou - (frame - areas) / frame


def giou_over_union(a, b):
    iou, frame = giou_is_iou(a, b), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return iou - (frame - union) / union


def giou_unclamped(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    frame = _frame(a, b)
    return overlap / union - (frame - union) / frame


def giou_frame_is_overlap(a, b):
    overlap = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    overlap = overlap.clamp(min=0).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    frame = (high - low).prod(1)
    return overlap / union - (frame - union) / frame


def giou_every_pair(a, b):
    low = torch.maximum(a[:, None, :2], b[:, :2])
    high = torch.minimum(a[:, None, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(2)
    union = anchors.box_area(a)[:, None] + anchors.box_area(b) - overlap
    corner = torch.minimum(a[:, None, :2], b[:, :2])
    frame = (torch.maximum(a[:, None, 2:], b[:, 2:]) - corner).prod(2)
    return overlap / union - (frame - union) / frame


def giou_of_xywh(a, b):
    a_high, b_high = a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a_high, b_high)
    overlap = (high - low).clamp(min=0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - overlap
    corner = torch.minimum(a[:, :2], b[:, :2])
    frame = (torch.maximum(a_high, b_high) - corner).prod(1)
    return overlap / union - (frame - union) / frame


def giou_share_added(a, b):
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return iou + (frame - union) / frame


def giou_sum_for_union(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b)
    frame = _frame(a, b)
    return overlap / union - (frame - union) / frame


def giou_outside_overlap(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    frame = _frame(a, b)
    return overlap / union - (frame - overlap) / frame


def giou_overlap_over_frame(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).clamp(min=0).prod(1)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    frame = _frame(a, b)
    return overlap / frame - (frame - union) / frame


def giou_plus_one_pixel(a, b):
    def area(low, high):
        return (high - low + 1).clamp(min=0).prod(1)

    low = torch.maximum(a[:, :2], b[:, :2])
    overlap = area(low, torch.minimum(a[:, 2:], b[:, 2:]))
    union = area(a[:, :2], a[:, 2:]) + area(b[:, :2], b[:, 2:]) - overlap
    corner = torch.minimum(a[:, :2], b[:, :2])
    frame = area(corner, torch.maximum(a[:, 2:], b[:, 2:]))
    return overlap / union - (frame - union) / frame


def giou_loss(a, b):
    return 1 - giou(a, b)


def giou_clamped_product(a, b):
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    overlap = (high - low).prod(1).clamp(min=0)
    union = anchors.box_area(a) + anchors.box_area(b) - overlap
    frame = _frame(a, b)
    return overlap / union - (frame - union) / frame


def giou_not_below_zero(a, b):
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return (iou - (frame - union) / frame).clamp(min=0)


def giou_covered_share(a, b):
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return iou - union / frame


def giou_empty_share_alone(a, b):
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return (frame - union) / frame


def giou_only_apart(a, b):
    """The empty share only where nothing overlaps."""
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return torch.where(iou > 0, iou, -(frame - union) / frame)


def giou_multiplied(a, b):
    """The covered share as a factor."""
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return iou * union / frame


def giou_averaged(a, b):
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return (iou - (frame - union) / frame).mean()


def giou_of_distance(a, b):
    """DIoU: the distance of the middles instead of the empty share."""
    iou = torch.diagonal(anchors.box_iou(a, b))
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2).pow(2).sum(1)
    low, high = torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])
    return iou - apart / (high - low).pow(2).sum(1)


def giou_area_of_frame(a, b):
    """The empty pixels themselves, not their share."""
    iou, frame = torch.diagonal(anchors.box_iou(a, b)), _frame(a, b)
    union = (anchors.box_area(a) + anchors.box_area(b)) / (1 + iou)
    return iou - (frame - union)


def pair_of_boxes(rng, size):
    """Boxes in a field of 40, or of a large picture: some overlap, some do not.

    No two coordinates are equal: there the gradient of a smaller one may go to either.
    """
    scale = 40.0 if size == 5 else 1.0
    rows = [[], []]
    for _ in range(size + 1):
        for row in rows:
            x, y = 30 * rng.random(), 30 * rng.random()
            row.append([x, y, x + 3 + 20 * rng.random(), y + 3 + 20 * rng.random()])
    # Two far apart and two nested, in every case: neither is left to chance.
    rows[0] += [[0.0, 0.0, 4.0, 6.0], [0.0, 0.0, 20.0, 30.0]]
    rows[1] += [[50.0, 60.0, 58.0, 63.0], [5.0, 5.0, 10.0, 9.0]]
    return scale * torch.tensor(rows[0]), scale * torch.tensor(rows[1])


# --- 12.8 build


def regroup(sides, shapes):
    """One round of k-means. Of boxes with one corner the IoU is that of one centre."""
    objects = torch.cat([torch.zeros_like(sides), sides], 1)
    iou = anchors.box_iou(objects, torch.cat([torch.zeros_like(shapes), shapes], 1))
    nearest = iou.argmax(1)
    new = shapes.clone()
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].mean(0)
    return new


def regroup_2(sides, shapes):
    """With the overlap written out, and sums instead of a loop."""
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    group = torch.nn.functional.one_hot(iou.argmax(1), len(shapes)).to(sides.dtype)
    count = group.sum(0)[:, None]
    return torch.where(count > 0, group.T @ sides / count.clamp(min=1), shapes)


def _means(sides, shapes, nearest):
    new = shapes.clone()
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].mean(0)
    return new


def regroup_euclidean(sides, shapes):
    return _means(sides, shapes, torch.cdist(sides, shapes).argmin(1))


def regroup_by_area(sides, shapes):
    gap = (sides.prod(1)[:, None] - shapes.prod(1)).abs()
    return _means(sides, shapes, gap.argmin(1))


def regroup_empty_is_zero(sides, shapes):
    new = regroup(sides, shapes)
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    empty = torch.ones(len(shapes), dtype=torch.bool)
    empty[iou.argmax(1)] = False
    new[empty] = 0.0
    return new


def regroup_farthest(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    return _means(sides, shapes, iou.argmin(1))


def regroup_by_overlap(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    return _means(sides, shapes, overlap.argmax(1))


def regroup_empty_is_nan(sides, shapes):
    objects = torch.cat([torch.zeros_like(sides), sides], 1)
    iou = anchors.box_iou(objects, torch.cat([torch.zeros_like(shapes), shapes], 1))
    nearest = iou.argmax(1)
    return torch.stack([sides[nearest == k].mean(0) for k in range(len(shapes))])


def regroup_empty_left_out(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    nearest = iou.argmax(1)
    return torch.stack([sides[nearest == k].mean(0) for k in nearest.unique()])


def regroup_shapes_choose(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    return sides[iou.argmax(0)]


def regroup_old_shape_counts(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    nearest, new = iou.argmax(1), shapes.clone()
    for k in range(len(shapes)):
        new[k] = torch.cat([shapes[k : k + 1], sides[nearest == k]]).mean(0)
    return new


def regroup_medians(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    nearest, new = iou.argmax(1), shapes.clone()
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].quantile(0.5, 0)
    return new


def regroup_by_differences(sides, shapes):
    return _means(sides, shapes, (sides[:, None] - shapes).abs().sum(2).argmin(1))


def regroup_by_ratio(sides, shapes):
    ratio = sides[:, :1] / sides[:, 1:], shapes[:, 0] / shapes[:, 1]
    return _means(sides, shapes, (ratio[0] - ratio[1]).abs().argmin(1))


def _by_iou(sides, shapes):
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    return iou.argmax(1)


def regroup_sums(sides, shapes):
    new, nearest = shapes.clone(), _by_iou(sides, shapes)
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].sum(0)
    return new


def regroup_squares(sides, shapes):
    """One mean of both sides."""
    new, nearest = shapes.clone(), _by_iou(sides, shapes)
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].mean()
    return new


def regroup_geometric(sides, shapes):
    new, nearest = shapes.clone(), _by_iou(sides, shapes)
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].log().mean(0).exp()
    return new


def regroup_many_rounds(sides, shapes):
    for _ in range(20):
        shapes = _means(sides, shapes, _by_iou(sides, shapes))
    return shapes


def regroup_groups(sides, shapes):
    return _by_iou(sides, shapes)


def regroup_weighted(sides, shapes):
    """The mean weighted by the IoU."""
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    best, nearest = iou.max(1)
    new = shapes.clone()
    for k in nearest.unique().tolist():
        weight = best[nearest == k][:, None]
        new[k] = (sides[nearest == k] * weight).sum(0) / weight.sum()
    return new


def regroup_largest_joins(sides, shapes):
    """The best object of each group instead of the mean."""
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    best, nearest = (overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)).max(
        1
    )
    new = shapes.clone()
    for k in nearest.unique().tolist():
        own = sides[nearest == k]
        new[k] = own[best[nearest == k].argmax()]
    return new


def regroup_lower_medians(sides, shapes):
    new, nearest = shapes.clone(), _by_iou(sides, shapes)
    for k in nearest.unique().tolist():
        new[k] = sides[nearest == k].median(0).values
    return new


def regroup_half_way(sides, shapes):
    """Half way from the old shape to the mean."""
    new, nearest = shapes.clone(), _by_iou(sides, shapes)
    for k in nearest.unique().tolist():
        new[k] = (shapes[k] + sides[nearest == k].mean(0)) / 2
    return new


def regroup_above_half(sides, shapes):
    """All objects with an IoU of 0.5 join, so some join several shapes, some none."""
    overlap = torch.minimum(sides[:, None], shapes).prod(2)
    iou = overlap / (sides.prod(1)[:, None] + shapes.prod(1) - overlap)
    new = shapes.clone()
    for k in range(len(shapes)):
        if (iou[:, k] >= 0.5).any():
            new[k] = sides[iou[:, k] >= 0.5].mean(0)
    return new


def regroup_sorted(sides, shapes):
    new = _means(sides, shapes, _by_iou(sides, shapes))
    return new[new.prod(1).argsort()]


def regroup_moves_at_once(sides, shapes):
    new, count = shapes.clone(), [0] * len(shapes)
    for side in sides:
        overlap = torch.minimum(side, new).prod(1)
        k = int((overlap / (side.prod() + new.prod(1) - overlap)).argmax())
        count[k] += 1
        new[k] = side if count[k] == 1 else new[k] + (side - new[k]) / count[k]
    return new


def objects_and_shapes(rng, size):
    """Sides of 7 objects and more, 1 to 9 shapes, and one that nobody wants."""
    many = 60 if size == 6 else 6 + size
    sides = [[10 + 50 * rng.random(), 10 + 50 * rng.random()] for _ in range(many)]
    shapes = [
        [10 + 50 * rng.random(), 10 + 50 * rng.random()]
        for _ in range(9 if size == 6 else rng.randint(1, 4))
    ]
    shapes.insert(rng.randint(0, len(shapes)), [500.0, 400.0])
    return torch.tensor(sides), torch.tensor(shapes)


TWO_AXES = "of a table of two axes the last is axis 1"
OWN_FAVOURITE = "in its picture no object's best anchor fits another one better"
ONE_THRESHOLD = "EfficientDet's rules have one threshold, so nothing lies between"
NO_TIE = "in its pictures no overlap is exactly 0.5, and no two are equal"

EXERCISES = (
    Exercise(
        name="box_iou", number="12.1", kind="build", minutes=15, difficulty=2, points=3,
        task="The IoU of each box of `a` with each box of `b`, by Eq. 12.2: N rows of M"
             " numbers, 0 where neither box has an area.",
        place="detection.anchors.box_iou", required=True, importance=3,
        machine="the targets of a training, and soft-NMS",
        machine_case=targets_and_votes, milestone_calls=4419,
        unchanged={"iou_nan_without_area": NO_AREA},
        reference=anchors.box_iou, alternative=box_iou_2,
        wrong=(
            Wrong(iou_not_clamped, "two boxes that do not touch share a side below 0:"
                  " clamp width and height at 0 before you multiply"),
            Wrong(iou_clamped_product, "clamp each side, not the area: boxes that miss"
                  " each other both ways have two negative sides, whose product is"
                  " positive"),
            Wrong(iou_of_absolute_sides, "a side below 0 says that the boxes do not"
                  " touch: it counts as 0, not as its absolute value"),
            Wrong(iou_width_twice, "you multiply the width by itself; the shared area"
                  " is width times height"),
            Wrong(iou_over_sum, "the sum of the areas counts what both cover twice;"
                  " subtract the shared area once"),
            Wrong(iou_is_dice, "that is twice the overlap over the sum of the areas"
                  " (Dice); IoU divides the overlap by the union"),
            Wrong(iou_over_smaller, "you divide by the smaller area; divide by what"
                  " both cover together"),
            Wrong(iou_over_larger, "you divide by the larger area; divide by what both"
                  " cover together"),
            Wrong(iou_over_first, "you divide by the area of `a`'s box alone; divide by"
                  " what both cover together"),
            Wrong(iou_over_second, "you divide by the area of `b`'s box alone; divide"
                  " by what both cover together"),
            Wrong(iou_over_frame, "you divide by the frame around both; its empty"
                  " corners belong to neither box"),
            Wrong(iou_of_frame, "your corners are exchanged: what both cover begins at"
                  " the *larger* x1, y1 and ends at the *smaller* x2, y2"),
            Wrong(iou_plus_one_pixel, "a side is x2 - x1; boxes are real numbers here,"
                  " no pixel is added"),
            Wrong(iou_of_xywh, "you read width and height in the last two numbers;"
                  " boxes are xyxy, these are x2 and y2"),
            Wrong(iou_of_centres, "you read a middle and two sides; boxes are xyxy:"
                  " left, top, right, bottom"),
            Wrong(iou_row_with_row, "you compare row i with row i; asked is each box of"
                  " `a` with each box of `b`, N x M numbers"),
            Wrong(iou_transposed, "rows belong to `a` and columns to `b`; yours are the"
                  " other way round"),
            Wrong(iou_overlap_alone, "that is the shared area in square pixels; divide"
                  " it by what both cover together"),
            Wrong(iou_loss, "that is 1 - IoU: yours is 0 where the boxes are equal"),
            Wrong(iou_nan_without_area, "two boxes without area give 0 / 0; keep the"
                  " union above 0, so that the answer is 0"),
            Wrong(iou_of_whole_pixels, "you round the corners; boxes are real numbers"
                  " here"),
            Wrong(iou_best_only, "you keep the best of each row; all N x M numbers are"
                  " asked"),
        ),
        hints=(
            "What both cover is a box too: it begins at the larger x1 and y1, and ends"
            " at the smaller x2 and y2. Clamp its two sides at 0.",
            "All pairs at once: `a[:, None]` has the shape (N, 1, 4). With `b` of (M,"
            " 4), torch.maximum of the two gives (N, M, 4).",
            "`union = area_a[:, None] + area_b - shared`; clamp it at a tiny number,"
            " and divide.",
        ),
        cases=sets_of_boxes,
        by_hand=(
            # 50 / 150; 25 / 175; equal; apart.
            ((torch.tensor([[0.0, 0, 10, 10]]),
              torch.tensor([[5.0, 0, 15, 10], [5, 5, 15, 15], [0, 0, 10, 10],
                            [20, 0, 30, 10]])),
             torch.tensor([[1 / 3, 1 / 7, 1.0, 0.0]])),
            # A box in a box: 80 / 100. Twice as far in both directions: nothing.
            ((torch.tensor([[0.0, 0, 10, 8], [40, 30, 50, 70], [-9, -9, -1, -5]]),
              torch.tensor([[0.0, 0, 10, 10], [40, 50, 50, 70]])),
             torch.tensor([[0.8, 0.0], [0.0, 0.5], [0.0, 0.0]])),
            # Without area: a point with itself, with a line, and a line in a box.
            ((torch.tensor([[3.0, 3, 3, 3], [0, 2, 4, 2]]),
              torch.tensor([[3.0, 3, 3, 3], [0, 0, 4, 4], [0, 2, 4, 2]])),
             torch.zeros(2, 3)),
            # Less than a pixel: 0.25 * 0.5 of 0.5 * 0.5 and 0.75 * 0.5 in all.
            ((torch.tensor([[0.0, 0.0, 0.5, 0.5]]),
              torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.125, 0.5, 0.375]])),
             torch.tensor([[1 / 3, 0.5]])),
        ),
        properties=(
            Property(
                "the same pairs, asked the other way round, give the same numbers",
                lambda mine, a, b: not difference(
                    torch.as_tensor(mine(a, b)).mT, mine(b, a), 1e-5
                ),
            ),
            Property(
                "boxes moved by the same step agree as before",
                lambda mine, a, b: not difference(
                    torch.as_tensor(mine(a, b)), mine(a + 64, b + 64), 1e-3
                ),
            ),
        ),
    ),
    Exercise(
        name="encode", number="12.2", kind="build", minutes=10, difficulty=1, points=2,
        task="The code of each box seen from its anchor, by Eq. 12.3: rows ty, tx, th,"
             " tw.",
        place="detection.anchors.encode", importance=2,
        machine="the targets of a training", machine_case=targets_and_votes,
        milestone_calls=16,
        unchanged={"encode_without_eps": "the objects of a training have sides"},
        reference=anchors.encode, alternative=encode_2,
        wrong=(
            Wrong(encode_x_first, "y comes before x: the order is ty, tx, th, tw"),
            Wrong(encode_sizes_first, "shifts come first: the order is ty, tx, th, tw"),
            Wrong(encode_by_box, "shifts are measured in sides of the anchor, not of"
                  " the box"),
            Wrong(encode_corners, "shifts go from middle to middle, not from corner to"
                  " corner"),
            Wrong(encode_in_pixels, "those are shifts in pixels; divide by the anchor's"
                  " sides"),
            Wrong(encode_base_two, "the logarithm is the natural one, torch.log"),
            Wrong(encode_ratio, "th and tw are logarithms of the ratios, not the ratios"
                  " themselves"),
            Wrong(encode_difference, "th and tw are logarithms of the ratios, not the"
                  " ratios less 1"),
            Wrong(encode_anchor_over_box, "you divide the anchor's sides by the box's:"
                  " th and tw have the wrong sign"),
            Wrong(encode_towards_anchor, "the shift goes from the anchor to the box:"
                  " the box's middle less the anchor's"),
            Wrong(encode_with_variances, "you divide by the variances of SSD, 0.1 and"
                  " 0.2; here there are none"),
            Wrong(encode_sides_exchanged, "down is measured in the anchor's height,"
                  " right in its width; yours are exchanged"),
            Wrong(encode_of_xywh, "boxes are xyxy: the last two numbers are the right"
                  " and the bottom edge, no sides"),
            Wrong(encode_without_eps, "a box without a side has no logarithm: add EPS,"
                  " 1e-7, to all sides first"),
            Wrong(encode_other_way, "you look from the box at the anchor; asked is the"
                  " box, seen from the anchor"),
        ),
        hints=(
            "x1, y1, x2, y2 = boxes.unbind(1) gives the four edges. The middle is"
            " (x1 + x2) / 2, the width x2 - x1.",
            "ty = (y - ya) / ha and th = torch.log(h / ha); the same for x and w.",
            "torch.stack([ty, tx, th, tw], 1) makes rows of four.",
        ),
        cases=boxes_and_anchors,
        survivors={
            "line 19: `-1` -> `+1`": TWO_AXES,
        },
        by_hand=(
            # The example above: 0.25 to the right, 0.25 up, half as wide.
            ((torch.tensor([[20.0, 10, 40, 50]]), torch.tensor([[0.0, 20, 40, 60]])),
             torch.tensor([[-0.25, 0.25, 0.0, -math.log(2)]])),
            # The anchor itself, and a box twice as high whose top stays.
            ((torch.tensor([[1.0, 2, 4, 10], [0, 0, 30, 20]]),
              torch.tensor([[1.0, 2, 4, 10], [0, 0, 30, 10]])),
             torch.tensor([[0.0, 0, 0, 0], [0.5, 0, math.log(2), 0]])),
            # A line, 20 high, and a point that is its own anchor.
            ((torch.tensor([[10.0, 10, 10, 30], [5, 6, 5, 6]]),
              torch.tensor([[0.0, 0, 20, 20], [5, 6, 5, 6]])),
             torch.tensor([[0.5, 0, 0, math.log(1e-7 / 20)], [0, 0, 0, 0]])),
        ),
    ),
    Exercise(
        name="decode", number="12.3", kind="build", minutes=10, difficulty=2, points=2,
        task="The boxes that codes mean, xyxy, by Eq. 12.4; th and tw are cut at"
             " MAX_LOG_SIZE first.",
        place="detection.anchors.decode", importance=2,
        machine="the shipped course detector", machine_case=boxes_found,
        milestone_calls=81,
        reference=anchors.decode, alternative=decode_2,
        wrong=(
            Wrong(decode_x_first, "y comes before x: a code is ty, tx, th, tw"),
            Wrong(decode_yxyx, "boxes come out as xyxy: left, top, right, bottom"),
            Wrong(decode_not_limited, "th and tw are cut at MAX_LOG_SIZE before"
                  " the exponential: clamp(max=...)"),
            Wrong(decode_limited_below, "only large codes are cut; a very small box is"
                  " allowed"),
            Wrong(decode_limits_shifts, "only th and tw are cut, no shift"),
            Wrong(decode_no_exponential, "th is a logarithm: the height is the anchor's"
                  " times torch.exp(th)"),
            Wrong(decode_one_more, "a side is the anchor's times torch.exp(t), not"
                  " times 1 + t"),
            Wrong(decode_base_two, "the logarithm was the natural one: torch.exp(t),"
                  " not 2 ** t"),
            Wrong(decode_whole_sides, "from the middle to an edge it is half a side"),
            Wrong(decode_middle_and_size, "those are middles and sides; asked are the"
                  " four edges, xyxy"),
            Wrong(decode_xywh, "the last two are sides; asked are the right and the"
                  " bottom edge"),
            Wrong(decode_shift_in_pixels, "shifts are in sides of the anchor: multiply"
                  " before you add"),
            Wrong(decode_shift_in_new_sides, "shifts are in sides of the anchor, not of"
                  " the new box"),
            Wrong(decode_from_corner, "the shift moves the middle, not the corner"),
            Wrong(decode_sides_exchanged, "down is measured in the anchor's height,"
                  " right in its width; yours are exchanged"),
            Wrong(decode_backwards, "the shift is added to the anchor's middle; you"
                  " subtract it"),
        ),
        hints=(
            "ty, tx, th, tw = codes.unbind(1), and the middle and the sides of the"
            " anchors as before.",
            "y = ya + ty * ha, h = ha * torch.exp(th), with th cut before:"
            " th.clamp(max=MAX_LOG_SIZE).",
            "The edges are x - w / 2, y - h / 2, x + w / 2, y + h / 2.",
        ),
        cases=codes_and_anchors,
        survivors={
            "line 12: `codes = codes.to(at_least)` omitted": "codes are float32 here",
            "line 13: `-1` -> `+1`": TWO_AXES,
        },
        by_hand=(
            ((torch.tensor([[-0.25, 0.25, 0.0, -math.log(2)]]),
              torch.tensor([[0.0, 20, 40, 60]])), torch.tensor([[20.0, 10, 40, 50]])),
            # Nothing to say: the anchor. Too wide: 62.5 times its width of 8.
            ((torch.tensor([[0.0, 0, 0, 0], [0.5, -1, 0, 99]]),
              torch.tensor([[3.0, 4, 5, 9], [100, 100, 108, 120]])),
             torch.tensor([[3.0, 4, 5, 9], [-154, 110, 346, 130]])),
            # Too small is fine.
            ((torch.tensor([[0.0, 0, -99, -99]]), torch.tensor([[0.0, 0, 8, 4]])),
             torch.tensor([[4.0, 2, 4, 2]])),
        ),
        tolerance=1e-4,
    ),
    Exercise(
        name="owners", number="12.4", kind="build", minutes=15, difficulty=3, points=3,
        task="The object that each anchor learns, by Eq. 12.5: a whole number for each"
             " column of `iou`; -1 for nothing, -2 between the two thresholds.",
        place="detection.anchors.owners", importance=2,
        machine="the targets of a training", machine_case=targets,
        milestone_calls=16,
        unchanged={
            "owners_force_if_free": OWN_FAVOURITE,
            "owners_force_those_without": OWN_FAVOURITE,
            "owners_without_zone": ONE_THRESHOLD,
            "owners_all_above_unmatched": ONE_THRESHOLD,
            "owners_above": NO_TIE,
            "owners_of_last_equal": NO_TIE,
        },
        reference=anchors.owners, alternative=owners_2,
        wrong=(
            Wrong(owners_without_force, "the second rule is missing: each object takes"
                  " its best anchor, whatever the overlap"),
            Wrong(owners_by_force_only, "the first rule is missing: every anchor with"
                  " an overlap of `matched` or more learns its best object"),
            Wrong(owners_last_wins, "two objects want the same anchor: the first one"
                  " gets it, yours gives it to the last"),
            Wrong(owners_better_fit_wins, "two objects want the same anchor: the first"
                  " one gets it, not the one that fits better"),
            Wrong(owners_force_if_free, "force takes the anchor even if it had another"
                  " object"),
            Wrong(owners_force_those_without, "every object takes its best anchor by"
                  " force, also one that has anchors already"),
            Wrong(owners_above, "an overlap of exactly the threshold is enough"),
            Wrong(owners_without_zone, "between `unmatched` and `matched` an anchor is"
                  " ignored: -2"),
            Wrong(owners_all_above_unmatched, "an anchor learns from `matched` on; from"
                  " `unmatched` to there it is ignored, -2"),
            Wrong(owners_signs_exchanged, "-1 is nothing, below `unmatched`; -2 is"
                  " ignored"),
            Wrong(owners_no_threshold, "an anchor whose best overlap is small learns"
                  " nothing: -1"),
            Wrong(owners_as_mask, "yours says whether; asked is which object, from 0"),
            Wrong(owners_counted_from_one, "objects are counted from 0"),
            Wrong(owners_anchors_of_objects, "that is the best anchor of each object;"
                  " asked is the object of each anchor"),
            Wrong(owners_of_last_equal, "of two objects that fit an anchor equally well"
                  " the first is learned"),
        ),
        hints=(
            "iou.max(0) gives the best overlap of each anchor, and whose it is.",
            "Set what is below `matched` to -2 and then what is below `unmatched` to"
            " -1: torch.where(best >= matched, owner, -2).",
            "Then force: for each object n, from the last to the first,"
            " owner[iou[n].argmax()] = n. So the first one wins.",
        ),
        cases=overlaps_of_anchors,
        by_hand=(
            ((torch.tensor([[1.0, 2 / 3, 1 / 3]]), 0.5, 0.5), torch.tensor([0, 0, -1])),
            # The second object fits no anchor well, and takes its best by force.
            ((torch.tensor([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]]), 0.5, 0.4),
             torch.tensor([0, 0, 1])),
            # Both want anchor 1; 0.45 lies between the thresholds.
            ((torch.tensor([[0.45, 0.6, 0.1], [0.0, 0.7, 0.3]]), 0.5, 0.4),
             torch.tensor([-2, 0, -1])),
            # The favourite of the second is the first one's by rule 1.
            ((torch.tensor([[0.7, 0.8], [0.3, 0.1]]), 0.5, 0.5), torch.tensor([1, 0])),
            # Equal for an anchor: the first.
            ((torch.tensor([[0.6, 0.2, 0.9], [0.6, 0.8, 0.3]]), 0.5, 0.5),
             torch.tensor([0, 1, 0])),
        ),
    ),
    Exercise(
        name="anchors_at_320", number="12.5", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="Anchors of a picture of 320 x 320 on levels 3 to 7, nine a place.",
        reference=anchors_at_320,
        wrong=(
            Wrong(rounded_down, "a level of 5 places is halved to 3, not to 2: sides"
                  " are rounded up"),
            Wrong(places_at_320, "these are the places; how many anchors has each?"),
            Wrong(only_level_three, "that is level 3 alone; four coarser ones follow"),
            Wrong(three_a_place, "three shapes at each of three sizes: nine a place"),
            Wrong(without_level_seven, "levels 3 to 7 are five levels; the last one has"
                  " 3 places a side"),
            Wrong(sides_not_squared, "these are the places along one side; a level has"
                  " so many rows of so many"),
            Wrong(halves_of_places, "2.5 places a side cannot be: the side is rounded"
                  " up to 3"),
        ),
        hints=(
            "Level 3 has 320 / 8 = 40 places a side. Halve four times, rounding up.",
            "Nine times the sum of the squares.",
        ),
    ),
    Exercise(
        name="forced_only", number="12.6", kind="measure", minutes=10, difficulty=1,
        points=2,
        task="Objects in scenes('validation', 100) whose best IoU with the paper's"
             " anchors is below 0.5.",
        reference=forced_only,
        wrong=(
            Wrong(not_forced, "these are the objects that need no force"),
            Wrong(forced_at_scale_three, "that is at scale 3 on strides 4 to 32; take"
                  " AnchorConfig() as it is"),
            Wrong(objects, "these are all objects; count those with a best IoU below"
                  " 0.5"),
            Wrong(forced_share, "that is a share of all objects; give their number"),
            Wrong(below_four_tenths, "that is for 0.4; only from 0.5 on an anchor is"
                  " taken without force"),
            Wrong(forced_in_test_scenes, "that is in the test scenes; take"
                  ' data.scenes("validation", 100)'),
            Wrong(forced_in_eight_scenes, "that is in eight scenes; a hundred are"
                  " asked"),
        ),
        hints=(
            "anchors.coverage(grid, boxes) has the best IoU of every object.",
            "boxes is a list, one (N, 4) for each scene; count .ious < 0.5.",
        ),
    ),
    Exercise(
        name="giou", number="12.7", kind="build", minutes=20, difficulty=2, points=3,
        task="giou(a, b): generalised IoU of row i of `a` with row i of `b`, boxes"
             " (N, 4) in xyxy; N numbers, through which gradients pass. It is the IoU"
             " less the share of the frame around both that neither box covers.",
        reference=giou, alternative=giou_2,
        wrong=(
            Wrong(giou_is_iou, "that is the IoU itself: 0 for boxes that do not touch,"
                  " however far apart they are"),
            Wrong(giou_without_overlap, "you take both areas from the frame; where the"
                  " boxes overlap, the same pixels are taken twice"),
            Wrong(giou_over_union, "the empty part is a share of the frame, and you"
                  " divide it by the union"),
            Wrong(giou_unclamped, "two boxes that miss each other in both directions"
                  " have two negative sides, and their product is positive"),
            Wrong(giou_frame_is_overlap, "your frame is the overlap again: it reaches"
                  " from the least x1, y1 to the largest x2, y2"),
            Wrong(giou_every_pair, "you compare every box of `a` with every box of `b`"
                  " (N x N); asked is row i with row i, N numbers"),
            Wrong(giou_of_xywh, "you read width and height in the last two numbers;"
                  " boxes are xyxy, these are x2 and y2"),
            Wrong(giou_share_added, "the empty share is subtracted: boxes farther apart"
                  " score less"),
            Wrong(giou_sum_for_union, "the union counts what both cover once: subtract"
                  " the overlap from the sum of the areas"),
            Wrong(giou_outside_overlap, "you subtract all of the frame outside the"
                  " overlap; only what neither box covers is empty"),
            Wrong(giou_overlap_over_frame, "IoU is overlap over union; the frame"
                  " divides only the empty part"),
            Wrong(giou_plus_one_pixel, "a side is x2 - x1; boxes are real numbers here,"
                  " no pixel is added"),
            Wrong(giou_loss, "that is the loss, 1 - GIoU; asked is GIoU itself"),
            Wrong(giou_clamped_product, "clamp each side, not the area: boxes that miss"
                  " each other both ways have two negative sides, whose product is"
                  " positive"),
            Wrong(giou_not_below_zero, "GIoU may be negative: that is how it tells near"
                  " from far"),
            Wrong(giou_covered_share, "you subtract the share of the frame that is"
                  " covered; it is the empty one, (frame - union) / frame"),
            Wrong(giou_empty_share_alone, "that is the empty share of the frame; it is"
                  " subtracted from the IoU"),
            Wrong(giou_only_apart, "boxes that overlap also leave a part of their frame"
                  " empty: subtract its share always"),
            Wrong(giou_multiplied, "the empty share is subtracted from the IoU; yours"
                  " multiplies"),
            Wrong(giou_averaged, "one number for each pair is asked, not their mean"),
            Wrong(giou_of_distance, "that is Distance-IoU; GIoU subtracts the share of"
                  " the frame that neither box covers"),
            Wrong(giou_area_of_frame, "you subtract an area, in pixels; divide by that"
                  " of the frame for a share"),
        ),
        hints=(
            "The frame is the smallest box around both: least x1 and y1, largest x2 and"
            " y2.",
            "Overlap and union as in Eq. 12.2, row by row.",
            "overlap / union - (frame - union) / frame.",
        ),
        cases=pair_of_boxes,
        by_hand=(
            # Overlap 5 * 6, union 130, frame 15 * 10; then 0, 180 and 30 * 10.
            ((torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]]),
              torch.tensor([[5.0, 2, 15, 8], [20, 1, 30, 9]])),
             torch.tensor([30 / 130 - 20 / 150, -120 / 300])),
        ),
        properties=(
            Property(
                "two squares of 10, the second 20 to the right, give -1/3",
                lambda mine, a, b: torch.allclose(
                    mine(torch.tensor([[0.0, 0, 10, 10]]),
                         torch.tensor([[20.0, 0, 30, 10]])),
                    torch.tensor([-1 / 3]),
                ),
            ),
            Property(
                "two squares of 10 that touch at an edge give 0",
                lambda mine, a, b: torch.allclose(
                    mine(torch.tensor([[0.0, 0, 10, 10]]),
                         torch.tensor([[10.0, 0, 20, 10]])),
                    torch.tensor([0.0]), atol=1e-6,
                ),
            ),
            Property(
                "a box with itself gives 1",
                lambda mine, a, b: torch.allclose(mine(a, a), torch.tensor(1.0)),
            ),
            Property(
                "the order of the two boxes does not matter",
                lambda mine, a, b: torch.allclose(mine(a, b), mine(b, a), atol=1e-5),
            ),
            Property(
                "it lies above -1 and not above 1",
                lambda mine, a, b: bool((mine(a, b).abs() <= 1 + 1e-6).all()),
            ),
        ),
        gradient=(0, 1),
    ),
    Exercise(
        name="regroup", number="12.8", kind="build", minutes=25, difficulty=3, points=4,
        task="regroup(sides, shapes): one round of k-means. Each of N objects joins the"
             " shape of the highest IoU, both laid on one middle; each of K shapes"
             " becomes the mean of its objects, or stays if it has none. `sides` is"
             " (N, 2), `shapes` (K, 2), and so is the result.",
        reference=regroup, alternative=regroup_2,
        wrong=(
            Wrong(regroup_euclidean, "nearness in pixels makes large objects rule: 10"
                  " pixels off is nothing for a side of 60, and all for one of 15; take"
                  " the IoU"),
            Wrong(regroup_by_area, "you compare areas only; a wide and a tall box of"
                  " one area overlap badly"),
            Wrong(regroup_empty_is_zero, "a shape that no object chose is lost; it has"
                  " to stay as it was"),
            Wrong(regroup_farthest, "each object goes to the shape of lowest IoU"),
            Wrong(regroup_by_overlap, "you compare overlaps; the largest shape overlaps"
                  " everything. Divide by the union"),
            Wrong(regroup_empty_is_nan, "the mean of no objects is NaN: a shape that"
                  " nobody joined stays as it was"),
            Wrong(regroup_empty_left_out, "K shapes go in and K come out; one that"
                  " nobody joined stays as it was"),
            Wrong(regroup_shapes_choose, "each shape chose one object; the objects"
                  " choose: the best shape of each, over dimension 1"),
            Wrong(regroup_old_shape_counts, "the old shape is no object: the mean is"
                  " over those that joined it alone"),
            Wrong(regroup_medians, "you take the median; k-means takes the mean"),
            Wrong(regroup_by_differences, "differences in pixels let large objects"
                  " rule; take the IoU"),
            Wrong(regroup_by_ratio, "you compare width over height only; a small box"
                  " and a large one of one ratio overlap badly: take the IoU"),
            Wrong(regroup_sums, "you add the objects of a group up; take their mean"),
            Wrong(regroup_squares, "width and height each have a mean of their own:"
                  " mean(0)"),
            Wrong(regroup_geometric, "that is the geometric mean; k-means takes the"
                  " arithmetic one"),
            Wrong(regroup_many_rounds, "one round is asked, not all of k-means"),
            Wrong(regroup_groups, "that is the group of each object; return the new"
                  " shapes"),
            Wrong(regroup_weighted, "you weigh the mean by the IoU; all objects of a"
                  " group count alike"),
            Wrong(regroup_largest_joins, "you take the best object of each group; the"
                  " mean of all is asked"),
            Wrong(regroup_lower_medians, "you take the median; k-means takes the mean"),
            Wrong(regroup_half_way, "the new shape is the mean itself, not half way to"
                  " it"),
            Wrong(regroup_above_half, "each object joins one shape, that of its highest"
                  " IoU; no threshold decides"),
            Wrong(regroup_sorted, "the right shapes; leave each in its row"),
            Wrong(regroup_moves_at_once, "you move a shape while objects still choose;"
                  " all choose among the old shapes first"),
        ),
        hints=(
            "Two boxes with one centre overlap in min(width, width) by min(height,"
            " height).",
            "torch.minimum(sides[:, None], shapes) has the shape (N, K, 2).",
            "argmax over the shapes, then the mean of each group; begin with a copy of"
            " shapes.",
        ),
        cases=objects_and_shapes,
        by_hand=(
            ((torch.tensor([[10.0, 20], [12.0, 24], [40.0, 20]]),
              torch.tensor([[10.0, 20], [40.0, 30]])),
             torch.tensor([[11.0, 22], [40.0, 20]])),
            ((torch.tensor([[10.0, 20], [12.0, 20]]),
              torch.tensor([[90.0, 90], [11.0, 21]])),
             torch.tensor([[90.0, 90], [11.0, 20]])),
            # One shape only, and objects of which none is the middle one.
            ((torch.tensor([[10.0, 20], [20.0, 20], [60.0, 80]]),
              torch.tensor([[30.0, 30]])),
             torch.tensor([[30.0, 40]])),
        ),
        properties=(
            Property(
                "the order of the objects does not matter",
                lambda mine, sides, shapes: not difference(
                    torch.as_tensor(mine(sides, shapes)),
                    mine(sides.flip(0), shapes), 1e-5,
                ),
            ),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "Two squares of 10 by 10; the second stands 5 to the right and 5 below. Their"
        " IoU?",
        (
            Option("0.14", "25 shared, 100 + 100 - 25 = 175 in all.", True),
            Option("0.25", "That is the share of one square; divide by what both cover"
                   " together."),
            Option("0.33", "That is a move by 5 in one direction only."),
            Option("0.12", "25 / 200 counts the shared pixels twice."),
        ),
        value=lambda: anchors.box_iou(
            torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 5, 15, 15]])
        ).item(),
        form="{:.2f}",
    ),
    Question(
        "EfficientDet-D0 looks at 512 x 512 pixels with nine anchors a place on levels"
        " 3 to 7. How many boxes does it judge?",
        (
            Option("49,104", "64 * 64 + 32 * 32 + 16 * 16 + 8 * 8 + 4 * 4 places, nine"
                   " each.", True),
            Option("5,456", "That is the number of places."),
            Option("36,864", "That is level 3 alone."),
            Option("100", "That is how many detections are kept in the end."),
        ),
        value=lambda: len(anchors.anchors((512, 512))),
        form="{:,}",
    ),
    Question(
        "The best anchor of an object has an IoU of 0.42 with it. What happens?",
        (
            Option("The object is left out.", "It would be, without forced matches."),
            Option("That one anchor learns it.", "Every object takes its best anchor by"
                   " force, whatever the IoU.", True),
            Option("All anchors above 0.4 learn it.", "RetinaNet ignores those from 0.4"
                   " to 0.5; here the threshold is 0.5 and nothing is ignored."),
            Option("The anchor is ignored in the loss.", "With one threshold nothing"
                   " lies between two."),
        ),
    ),
    Question(
        "A network answers with the code 0, 0, 0, 0. Which box is that?",
        (
            Option("An empty box in the corner of the picture.", "Codes are seen from"
                   " the anchor, not from the picture."),
            Option("The anchor itself.", "No shift, and exp(0) = 1 times its sides.",
                   True),
            Option("A box of one pixel in the middle of the anchor.", "Sizes are"
                   " multiplied by exp(0) = 1, not set to 1."),
            Option("None: 0 means background.", "The class decides that; the code has"
                   " no word for it."),
        ),
    ),
    Question(
        "Somebody swaps width and height in the ratios (1, 1), (1.4, 0.7), (0.7, 1.4)."
        " How does it show?",
        (
            Option("Fewer anchors come out.", "As many as before."),
            Option("Coverage falls.", "The boxes are the same, so nothing falls."),
            Option("Only published weights notice: anchors 1 and 2 have changed"
                   " places.", "The mistake hides behind symmetric ratios, until"
                   " somebody loads weights or gives other ratios.", True),
            Option("Anchors leave the picture.", "They do so anyway, and are not"
                   " clipped."),
        ),
    ),
    Question(
        "Why is the size coded as a logarithm?",
        (
            Option("To save memory.", "A logarithm takes as many bits as the number."),
            Option("Twice as wide and half as wide are then equally far from the"
                   " anchor, and no answer gives a negative side.", "log 2 and log 1/2"
                   " are 0.69 and -0.69, and exp is positive.", True),
            Option("So that the loss can be a logarithm as well.", "The box loss is"
                   " Huber's; the class loss has the logarithm."),
            Option("Because pixels are whole numbers.", "Boxes are not; and logarithms"
                   " of whole numbers are not either."),
        ),
    ),
)  # fmt: skip
