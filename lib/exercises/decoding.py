"""Exercises and quiz of chapter 15: thresholds, NMS, soft-NMS."""

import math

import torch

from lib.detection import anchors, decoding, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.exercises.comparing import difference

# --- 15.1 build: greedy NMS

SORTED = "the machine sorts what stays in all classes by score itself"


def digits_found() -> list:
    """What the shipped course detector finds in a scene, and NMS of two lists in one.

    A detector's pairs are sorted by score. Those of two views of a picture, one behind
    the other, are not.
    """
    scene = detectors.scenes("test", 1)[0]
    model = detectors.shipped("course")
    found = decoding.detect(model, scene.image, threshold=0.02)
    one = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])
    boxes = torch.cat([one, one + 1, one * torch.tensor([1, 1, 1, 0.5])])  # 9 4
    scores = torch.tensor([0.3, 0.6, 0.5, 0.9, 0.2, 0.4, 0.1, 0.7, 0.8])
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 0, 0])
    return [*found, *decoding.hard_nms(boxes, scores, labels)]


def greedy_2(iou, scores, threshold):
    """The other way round: each box that stays crosses out those that it covers."""
    left = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou[best][i] <= threshold]
    return kept


def greedy_in_order_given(iou, scores, threshold):
    kept = []
    for i in range(len(scores)):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return kept


def greedy_by_all(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [
        i for n, i in enumerate(order) if all(iou[i][j] <= threshold for j in order[:n])
    ]


def greedy_worst_first(iou, scores, threshold):
    return greedy_2(iou, [-s for s in scores], threshold)


def greedy_one_covered(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not kept or any(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return kept


def greedy_sorted(iou, scores, threshold):
    return sorted(greedy_2(iou, scores, threshold))


def greedy_at_equality(iou, scores, threshold):
    """A box that overlaps by exactly the threshold goes."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] < threshold for j in kept):
            kept.append(i)
    return kept


def greedy_scores(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return [scores[i] for i in kept]


def greedy_places_in_order(iou, scores, threshold):
    """Counts along the sorted list instead of the given one."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    for n in range(len(order)):
        if all(iou[order[n]][order[m]] <= threshold for m in kept):
            kept.append(n)
    return kept


def greedy_removed(iou, scores, threshold):
    kept, removed = [], []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
        else:
            removed.append(i)
    return removed


def greedy_against_last(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not kept or iou[i][kept[-1]] <= threshold:
            kept.append(i)
    return kept


def greedy_against_best(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return order[:1] + [i for i in order[1:] if iou[order[0]][i] <= threshold]


def greedy_against_itself(iou, scores, threshold):
    """Every box overlaps itself by 1."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = list(order)
    for i in order:
        if i in kept:
            kept = [j for j in kept if iou[i][j] <= threshold]
    return kept


def greedy_keeps_overlapping(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not kept or all(iou[i][j] >= threshold for j in kept):
            kept.append(i)
    return kept


def greedy_all_that_overlap(iou, scores, threshold):
    """Both of two that overlap go."""
    n = len(scores)
    order = sorted(range(n), key=lambda i: -scores[i])
    return [i for i in order if all(iou[i][j] <= threshold for j in range(n) if j != i)]


def greedy_keeps_what_it_covers(iou, scores, threshold):
    """> where <= is meant, in the list of those that are left."""
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou[best][i] > threshold]
    return kept


def greedy_sorted_at_the_end(iou, scores, threshold):
    """Chooses in the order of the list, and sorts what is left by score."""
    kept = []
    for i in range(len(scores)):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return sorted(kept, key=lambda i: -scores[i])


def greedy_lowest_last_first(iou, scores, threshold):
    """The right boxes, worst first."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return kept[::-1]


def greedy_next_only(iou, scores, threshold):
    """Each box is compared with its neighbour in the sorted list."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return order[:1] + [
        b for a, b in zip(order, order[1:], strict=False) if iou[a][b] <= threshold
    ]


def greedy_by_score(iou, scores, threshold):
    """The threshold is taken for one of the scores."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [i for i in order if scores[i] >= threshold]


def greedy_best_alone(iou, scores, threshold):
    return sorted(range(len(scores)), key=lambda i: -scores[i])[:1]


def greedy_all_sorted(iou, scores, threshold):
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def greedy_as_mask(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for j in kept):
            kept.append(i)
    return [i in kept for i in range(len(scores))]


def greedy_mean_overlap(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not kept or sum(iou[i][j] for j in kept) / len(kept) <= threshold:
            kept.append(i)
    return kept


def greedy_summed_overlap(iou, scores, threshold):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if sum(iou[i][j] for j in kept) <= threshold:
            kept.append(i)
    return kept


def greedy_sorts_scores_only(iou, scores, threshold):
    """The table keeps the order that the scores had."""
    ranked = sorted(scores, reverse=True)
    kept = []
    for n in range(len(ranked)):
        if all(iou[n][m] <= threshold for m in kept):
            kept.append(n)
    return [scores.index(ranked[n]) for n in kept]


def overlap_table(rng, size) -> tuple:
    """A symmetric table of overlaps, scores without ties, and a threshold."""
    n = rng.choice((14, 40)) if size == 6 else size + 1
    iou = [[1.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            iou[i][j] = iou[j][i] = round(rng.random(), 2)
    scores = [k / 100 for k in rng.sample(range(100), n)]
    return iou, scores, rng.choice((0.3, 0.5, 0.6))


# --- 15.2 build: soft-NMS


def digits_found_softly() -> list:
    """What the shipped course detector finds in two scenes with soft-NMS."""
    model, scenes = detectors.shipped("course"), detectors.scenes("test", 2)
    soft = {"suppress": decoding.soft_nms, "candidates": 300, "threshold": 0.02}
    found = decoding.detect_all(model, [scene.image for scene in scenes], **soft)
    return [part for each in found for part in each]


def soft_nms_2(boxes, scores, labels, keep=100):
    """A table of factors first, then choices among what is left."""
    x1, y1, x2, y2 = boxes.unbind(1)
    wide = torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1)
    high = torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)
    shared = wide.clamp(min=0) * high.clamp(min=0)
    area = (x2 - x1) * (y2 - y1)
    iou = shared / (area[:, None] + area - shared).clamp(min=1e-9)
    factor = torch.where(labels[:, None] == labels, (-2 * iou**2).exp(), 1.0)
    left, now, rows, final = list(range(len(scores))), scores.clone(), [], []
    while left and len(rows) < keep:
        best = max(left, key=lambda i: float(now[i]))
        if now[best] <= 0.001:
            break
        rows.append(best)
        final.append(now[best].clone())
        left.remove(best)
        now = now * factor[best]
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(final)


def _softly(boxes, scores, labels, keep, factor=None, by_class=True, faint=0.001,
            ranked=False, at_end=False):  # fmt: skip
    """Soft-NMS with another rule, without classes, or in another order."""
    factor = factor or (lambda iou: torch.exp(-(iou**2) / 0.5))
    now, rows, final = scores.clone(), [], []
    order = scores.argsort(descending=True).tolist()
    left = torch.ones(len(scores), dtype=torch.bool)
    while len(rows) < min(keep, len(scores)):
        hidden = torch.where(left, now, -1.0)
        best = order[len(rows)] if ranked else int(hidden.argmax())
        if now[best] <= faint and not ranked:
            break
        rows.append(best)
        final.append(now[best].clone())
        left[best] = False
        iou = anchors.box_iou(boxes[best, None], boxes)[0]
        rivals = (labels == labels[best]) if by_class else torch.ones_like(left)
        rivals &= left
        now = torch.where(rivals, now * factor(iou), now)
    rows = torch.tensor(rows, dtype=torch.int64)
    if at_end:
        return rows, scores[rows]
    return rows, torch.stack(final) if final else scores[:0]


def soft_of_all_classes(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, by_class=False)


def soft_not_squared(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, lambda iou: torch.exp(-iou / 0.5))


def soft_times_sigma(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, lambda iou: torch.exp(-(iou**2) * 0.5))


def soft_two_sigma_squared(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, lambda o: torch.exp(-(o**2) / 0.5 / 2))


def soft_linear(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, lambda iou: 1 - iou)


def soft_linear_from_0_3(boxes, scores, labels, keep=100):
    return _softly(
        boxes, scores, labels, keep, lambda o: torch.where(o < 0.3, 1.0, 1 - o)
    )


def soft_is_hard(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, lambda iou: (iou <= 0.5).float())


def soft_from_half(boxes, scores, labels, keep=100):
    return _softly(
        boxes, scores, labels, keep,
        lambda o: torch.where(o > 0.5, torch.exp(-(o**2) / 0.5), 1.0),
    )  # fmt: skip


def soft_in_first_order(boxes, scores, labels, keep=100):
    """The order of the scores as they came, though they change."""
    return _softly(boxes, scores, labels, keep, ranked=True)


def soft_old_scores(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, at_end=True)


def soft_without_end(boxes, scores, labels, keep=100):
    return _softly(boxes, scores, labels, keep, faint=-0.5)


def soft_keeps_all(boxes, scores, labels, keep=100):
    return soft_nms_2(boxes, scores, labels, len(scores))


def soft_keeps_one_less(boxes, scores, labels, keep=100):
    return soft_nms_2(boxes, scores, labels, keep - 1)


def soft_scores_first(boxes, scores, labels, keep=100):
    return soft_nms_2(boxes, scores, labels, keep)[::-1]


def soft_boxes(boxes, scores, labels, keep=100):
    rows, final = soft_nms_2(boxes, scores, labels, keep)
    return boxes[rows], final


def soft_by_the_best_alone(boxes, scores, labels, keep=100):
    """Only what was chosen first in a class lowers the others."""
    rows, final, now = [], [], scores.clone()
    for label in labels.unique():
        mine = (labels == label).nonzero()[:, 0]
        best = mine[scores[mine].argmax()]
        iou = anchors.box_iou(boxes[best, None], boxes[mine])[0]
        now[mine] *= torch.exp(-(iou**2) / 0.5)
        now[best] = scores[best]
    order = now.argsort(descending=True)[:keep]
    rows = order[now[order] > 0.001]
    final = now[rows]
    return rows, final


def boxes_to_soften(rng, size) -> tuple:
    """Boxes of some classes: copies, neighbours, faint ones; more than are kept."""
    n = 40 if size == 6 else size + 1
    boxes, labels = [], []
    for _ in range(n):
        if boxes and rng.random() < 0.6:
            x, y, x2, y2 = rng.choice(boxes)
            moved = rng.choice((0.0, 0.0, 2.5, 6.0))
            boxes.append([x + moved, y, x2 + moved, y2 + rng.choice((0.0, 3.0))])
        else:
            x, y = 60 * rng.random(), 60 * rng.random()
            boxes.append([x, y, x + 5 + 20 * rng.random(), y + 5 + 20 * rng.random()])
        labels.append(rng.choice((0, 0, 1, 3)))
    scores = [k / 10_000 for k in rng.sample(range(5, 10_000), n)]
    if rng.random() < 0.4:
        scores[rng.randint(0, n - 1)] = 0.0008  # never shown
    keep = rng.choice((100, 100, max(1, n // 2)))
    return torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), keep


# --- 15.3 predict

CHAIN = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])


def survivors() -> int:
    """How many of three boxes in a chain NMS keeps."""
    scores = torch.tensor([0.9, 0.8, 0.7])
    return len(decoding.hard_nms(CHAIN, scores, torch.zeros(3).long())[0])


# --- 15.4 measure


def hiding_overlap() -> float:
    """The smallest overlap, in hundredths, that pushes 0.9 below 0.3."""
    return (
        next(o for o in range(100) if 0.9 * math.exp(-2 * (o / 100) ** 2) < 0.3) / 100
    )


def hiding_overlap_linear() -> float:
    return next(o for o in range(100) if 0.9 * (1 - o / 100) < 0.3) / 100


def hiding_overlap_not_squared() -> float:
    return next(o for o in range(100) if 0.9 * math.exp(-2 * o / 100) < 0.3) / 100


def hiding_overlap_of_one() -> float:
    return next(o for o in range(100) if math.exp(-2 * (o / 100) ** 2) < 0.3) / 100


# --- 15.5 build


def vote(boxes, scores, iou):
    """The mean of all boxes that cover the best one by half, weighted by score."""
    best = int(scores.argmax())
    near = iou[best] >= 0.5
    weight = scores[near][:, None]
    return (boxes[near] * weight).sum(0) / weight.sum()


def vote_2(boxes, scores, iou):
    """Box by box, and in double precision."""
    best = scores.tolist().index(max(scores.tolist()))
    total, weights = torch.zeros(4, dtype=torch.float64), 0.0
    for box, score, overlap in zip(boxes, scores.tolist(), iou[best], strict=True):
        if overlap >= 0.5:
            total += score * box.double()
            weights += score
    return (total / weights).float()


def vote_unweighted(boxes, scores, iou):
    return boxes[iou[int(scores.argmax())] >= 0.5].mean(0)


def vote_of_all(boxes, scores, iou):
    return (boxes * scores[:, None]).sum(0) / scores.sum()


def vote_not_normalised(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0)


def vote_divided_by_all(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores.sum()


def vote_around_first(boxes, scores, iou):
    near = iou[0] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_above_half(boxes, scores, iou):
    near = iou[int(scores.argmax())] > 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_without_itself(boxes, scores, iou):
    best = int(scores.argmax())
    near = iou[best] >= 0.5
    near[best] = False
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_by_overlap(boxes, scores, iou):
    weight = iou[int(scores.argmax())]
    near = weight >= 0.5
    return (boxes[near] * weight[near][:, None]).sum(0) / weight[near].sum()


def vote_by_score_and_overlap(boxes, scores, iou):
    overlap = iou[int(scores.argmax())]
    near = overlap >= 0.5
    weight = scores[near] * overlap[near]
    return (boxes[near] * weight[:, None]).sum(0) / weight.sum()


def vote_of_sure_boxes(boxes, scores, iou):
    """Half is taken of the score instead of the overlap."""
    near = scores >= 0.5
    near[int(scores.argmax())] = True
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_of_all_by_both(boxes, scores, iou):
    """Score times overlap, of all boxes."""
    weight = scores * iou[int(scores.argmax())]
    return weight @ boxes / weight.sum()


def vote_best_only(boxes, scores, iou):
    return boxes[scores.argmax()]


def vote_divided_by_count(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).mean(0)


def vote_far_boxes(boxes, scores, iou):
    best = int(scores.argmax())
    near = iou[best] < 0.5
    near[best] = True
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_in_each_row(boxes, scores, iou):
    weight = (iou >= 0.5) * scores
    return weight @ boxes / weight.sum(1, keepdim=True)


def vote_by_sum_of_scores(boxes, scores, iou):
    """Those that overlap any box, not the best one."""
    near = (iou >= 0.5).sum(1) > 1
    near[int(scores.argmax())] = True
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_best_overlap(boxes, scores, iou):
    """The box with the most overlaps in the middle, instead of the best score."""
    near = iou[int(iou.sum(1).argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_around_worst(boxes, scores, iou):
    near = iou[int(scores.argmin())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].sum()


def vote_averaged_weights(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum(0) / scores[near].mean()


def vote_of_sides(boxes, scores, iou):
    """Width and height are voted, and the corner stays."""
    best = int(scores.argmax())
    near = iou[best] >= 0.5
    weight = scores[near][:, None] / scores[near].sum()
    sides = ((boxes[near, 2:] - boxes[near, :2]) * weight).sum(0)
    return torch.cat([boxes[best, :2], boxes[best, :2] + sides])


def vote_one_number(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return (boxes[near] * scores[near][:, None]).sum() / scores[near].sum()


def vote_by_square(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    weight = scores[near][:, None] ** 2
    return (boxes[near] * weight).sum(0) / weight.sum()


def vote_frame(boxes, scores, iou):
    """The frame round all of them."""
    near = boxes[iou[int(scores.argmax())] >= 0.5]
    return torch.cat([near[:, :2].amin(0), near[:, 2:].amax(0)])


def vote_softmax(boxes, scores, iou):
    near = iou[int(scores.argmax())] >= 0.5
    return scores[near].softmax(0) @ boxes[near]


def ballot(rng, size) -> tuple:
    """Boxes, scores without ties, and overlaps on both sides of a half."""
    n = 14 if size == 6 else size + 2
    corners = torch.tensor([[rng.randint(0, 30), rng.randint(0, 30)] for _ in range(n)])
    sides = torch.tensor([[rng.randint(5, 20), rng.randint(5, 20)] for _ in range(n)])
    boxes = torch.cat([corners, corners + sides], 1).float()
    scores = torch.tensor([k / 100 for k in rng.sample(range(5, 100), n)])
    iou = torch.eye(n)
    for i in range(n):
        for j in range(i):
            iou[i, j] = iou[j, i] = rng.choice((0.0, 0.2, 0.45, 0.5, 0.6, 0.9))
    return boxes, scores, iou


FAINT_ENOUGH = "its score threshold, 0.02, hides what is that faint"

EXERCISES = (
    Exercise(
        name="greedy", number="15.1", kind="build", minutes=15, difficulty=2, points=3,
        task="greedy(iou, scores, threshold): NMS of boxes of one class. `iou` is a"
             " list of lists, iou[i][j] the overlap of boxes i and j; `scores` a list"
             " without ties. Return the list of the indices that stay, best score"
             " first; an overlap of exactly the threshold removes nothing.",
        place="detection.decoding.greedy", required=True, importance=3,
        machine="the shipped course detector", machine_case=digits_found,
        milestone_calls=403,
        unchanged={
            "greedy_sorted": SORTED,
            "greedy_lowest_last_first": SORTED,
        },
        reference=decoding.greedy, alternative=greedy_2,
        wrong=(
            Wrong(greedy_in_order_given, "you take the boxes in the order of the list;"
                  " the best score has to choose first"),
            Wrong(greedy_by_all, "a box that was removed still removes others; compare"
                  " with those that stayed only"),
            Wrong(greedy_worst_first, "you begin with the lowest score"),
            Wrong(greedy_one_covered, "one box that it does not overlap is not enough:"
                  " no box that stayed may cover it"),
            Wrong(greedy_sorted, "the right boxes; but return them best score first"),
            Wrong(greedy_at_equality, "an overlap of exactly the threshold is not above"
                  " it: that box stays"),
            Wrong(greedy_scores, "those are their scores; return the indices"),
            Wrong(greedy_places_in_order, "you number the boxes along the sorted list;"
                  " asked are their indices in the lists that were given"),
            Wrong(greedy_removed, "those are the boxes that go; return those that"
                  " stay"),
            Wrong(greedy_against_last, "you compare with the last box that stayed only;"
                  " any of them may cover it"),
            Wrong(greedy_against_best, "you compare with the best box only; every box"
                  " that stays removes others"),
            Wrong(greedy_against_itself, "iou[i][i] is 1: a box removes itself. Keep it"
                  " before you compare the others with it"),
            Wrong(greedy_keeps_overlapping, "turned round: a box stays if it overlaps"
                  " those that stayed by at most the threshold"),
            Wrong(greedy_all_that_overlap, "of two that overlap the better one stays;"
                  " you remove both"),
            Wrong(greedy_keeps_what_it_covers, "turned round: those that overlap by"
                  " more than the threshold go, the others are left"),
            Wrong(greedy_sorted_at_the_end, "you choose in the order of the list and"
                  " sort afterwards; the best score has to choose first"),
            Wrong(greedy_lowest_last_first, "the right boxes, worst first; return them"
                  " best first"),
            Wrong(greedy_next_only, "you compare neighbours in the sorted list; any box"
                  " that stayed may cover the next"),
            Wrong(greedy_by_score, "the threshold is one of overlaps, not of scores"),
            Wrong(greedy_best_alone, "only the best box is left; those that it does not"
                  " cover stay, too"),
            Wrong(greedy_all_sorted, "every box stays: remove those that a better one"
                  " covers"),
            Wrong(greedy_as_mask, "that is a mask; return the list of the indices"),
            Wrong(greedy_mean_overlap, "no mean: each single box that stayed may remove"
                  " the next"),
            Wrong(greedy_summed_overlap, "overlaps are not added up: each is compared"
                  " with the threshold"),
            Wrong(greedy_sorts_scores_only, "you sorted the scores, but rows and"
                  " columns of `iou` stand in the old order: sort indices instead"),
        ),
        hints=(
            "Sort the indices by score, the highest first.",
            "Keep a list of those that stay. When may the next one join it?",
            "It joins if its overlap with everyone in the list is at most the"
            " threshold.",
        ),
        cases=overlap_table,
        by_hand=(
            (([[1.0, 0.6, 0.3], [0.6, 1.0, 0.6], [0.3, 0.6, 1.0]],
              [0.9, 0.8, 0.7], 0.5), [0, 2]),
            (([[1.0, 0.6, 0.3], [0.6, 1.0, 0.6], [0.3, 0.6, 1.0]],
              [0.5, 0.8, 0.7], 0.5), [1]),
            (([[1.0, 0.5], [0.5, 1.0]], [0.2, 0.4], 0.5), [1, 0]),
        ),
        properties=(
            Property("without boxes the list is empty",
                     lambda mine, *args: len(mine([], [], 0.5)) == 0),
            Property(
                "where nothing overlaps, every box stays",
                lambda mine, iou, scores, threshold: len(
                    mine([[float(i == j) for j in range(4)] for i in range(4)],
                         [0.1, 0.4, 0.2, 0.3], 0.5)
                ) == 4,
            ),
        ),
    ),
    Exercise(
        name="soft_nms", number="15.2", kind="build", minutes=20, difficulty=3,
        points=3,
        task="Soft-NMS in each class, by Eq. 15.4: the rows in the order in which they"
             " were chosen, and their scores; the end is at a score of 0.001 or after"
             " `keep` rows.",
        place="detection.decoding.soft_nms", importance=2,
        machine="the shipped course detector with soft-NMS",
        machine_case=digits_found_softly, milestone_calls=40,
        unchanged={
            "soft_without_end": FAINT_ENOUGH,
        },
        reference=decoding.soft_nms, alternative=soft_nms_2,
        wrong=(
            Wrong(soft_of_all_classes, "only boxes of the class that was chosen lose"
                  " score"),
            Wrong(soft_not_squared, "the overlap is squared: exp(-iou**2 / 0.5)"),
            Wrong(soft_times_sigma, "divide the square of the overlap by sigma, 0.5;"
                  " you multiply by it"),
            Wrong(soft_two_sigma_squared, "it is exp(-iou**2 / sigma) with sigma = 0.5,"
                  " without another 2"),
            Wrong(soft_linear, "that is the linear rule, 1 - iou; Eq. 15.4 is the"
                  " gaussian"),
            Wrong(soft_linear_from_0_3, "that is the linear rule, 1 - iou from 0.3 on;"
                  " Eq. 15.4 is the gaussian"),
            Wrong(soft_is_hard, "that is hard NMS; here nothing is removed, scores"
                  " fall"),
            Wrong(soft_from_half, "there is no threshold on the overlap: a small one"
                  " lowers the score a little"),
            Wrong(soft_in_first_order, "scores change with each choice: the next one is"
                  " the best of what is left *now*"),
            Wrong(soft_old_scores, "the rows are right; their scores are those at the"
                  " moment of the choice, lowered"),
            Wrong(soft_without_end, "stop when the best score left is 0.001 or less"),
            Wrong(soft_keeps_all, "stop after `keep` rows"),
            Wrong(soft_keeps_one_less, "`keep` rows are returned; yours are one less"),
            Wrong(soft_scores_first, "rows come first, then their scores"),
            Wrong(soft_boxes, "those are the boxes; return the numbers of their rows"),
            Wrong(soft_by_the_best_alone, "every box that is chosen lowers others, not"
                  " only the best of its class"),
        ),
        hints=(
            "`now = scores.clone()`, and as long as fewer than `keep` are chosen: best"
            " = int(now.argmax()). Stop if now[best] <= 0.001.",
            "Note the row and its score, then lower the others of its class:"
            " anchors.box_iou(boxes[best, None], boxes)[0] is the overlap of all.",
            "Multiply by torch.exp(-iou**2 / 0.5) where the class is the same, and set"
            " now[best] to 0: it is not chosen again.",
        ),
        cases=boxes_to_soften,
        by_hand=(
            # A, B and C of above.
            ((torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]]),
              torch.tensor([0.9, 0.8, 0.5]), torch.tensor([0, 0, 0]), 100),
             (torch.tensor([0, 2, 1]),
              torch.tensor([0.9, 0.5, 0.8 * math.exp(-1.28)]))),
            # Another class keeps its score; a third row is not asked for.
            ((torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]]),
              torch.tensor([0.9, 0.8, 0.5]), torch.tensor([0, 1, 0]), 2),
             (torch.tensor([0, 1]), torch.tensor([0.9, 0.8]))),
            # Lowered twice: exp(-2) each time. The last is too faint.
            ((torch.tensor([[0.0, 0, 4, 4]] * 3 + [[9, 9, 12, 12]]),
              torch.tensor([0.9, 0.8, 0.7, 0.0009]), torch.tensor([2, 2, 2, 2]), 100),
             (torch.tensor([0, 1, 2]),
              torch.tensor([0.9, 0.8 * math.exp(-2), 0.7 * math.exp(-4)]))),
        ),
        survivors={
            "line 22: `score <= FAINT` -> `score < FAINT`": "no float is 0.001, and it"
            " depends on its width which side of it the nearest one is",
        },
        properties=(
            Property(
                "a single box that scores 0.0005 is not chosen",
                lambda mine, *args: [len(part) for part in mine(
                    torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([0.0005]),
                    torch.tensor([0]), 100,
                )] == [0, 0],
            ),
            Property(
                "without boxes nothing is chosen",
                lambda mine, *args: len(
                    mine(torch.zeros(0, 4), torch.zeros(0),
                         torch.zeros(0, dtype=torch.int64), 100)[0]
                ) == 0,
            ),
        ),
    ),
    Exercise(
        name="survivors", number="15.3", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="How many of three boxes in a chain survive NMS at 0.5?",
        reference=survivors,
        wrong=(
            Wrong(1, "the second box is removed; who is left to remove the third?"),
            Wrong(3, "the first two overlap by 7/13, more than a half"),
            Wrong(0, "the best box always stays"),
        ),
        hints=(
            "Boxes are taken best score first. Work out the overlap of the second with"
            " the first.",
            "A box that was removed removes nobody.",
        ),
    ),
    Exercise(
        name="hiding_overlap", number="15.4", kind="measure", minutes=8, difficulty=2,
        points=2,
        task="The smallest overlap, in hundredths, at which soft-NMS pushes 0.9 below"
             " 0.3.",
        reference=hiding_overlap,
        wrong=(
            Wrong(hiding_overlap_linear, "that is the linear rule, 1 minus the overlap;"
                  " the one in the chapter has an exponential"),
            Wrong(lambda: hiding_overlap() - 0.01, "one hundredth less still leaves the"
                  " score above 0.3"),
            Wrong(lambda: hiding_overlap() + 0.01, "one hundredth less hides it, too"),
            Wrong(lambda: 100 * hiding_overlap(), "an overlap lies between 0 and 1:"
                  " divide by 100"),
            Wrong(hiding_overlap_not_squared, "Eq. 15.4 squares the overlap"),
            Wrong(hiding_overlap_of_one, "the box begins at 0.9, not at 1"),
        ),
        hints=(
            "The product of the score and Eq. 15.4 falls as the overlap grows: try"
            " 0.70, then 0.80, and halve the gap.",
            "0.9 times exp(-2 times the overlap squared) has to be below 0.3.",
        ),
    ),
    Exercise(
        name="vote", number="15.5", kind="build", minutes=15, difficulty=2, points=3,
        task="vote(boxes, scores, iou): boxes (N, 4), scores (N,) without ties,"
             " overlaps (N, N). Return the mean, weighted by score, of all boxes that"
             " overlap the best-scored one by 0.5 or more, itself included: one box,"
                   " (4,).",
        reference=vote, alternative=vote_2,
        wrong=(
            Wrong(vote_unweighted, "all boxes count alike in your mean; a sure box"
                  " should count more"),
            Wrong(vote_of_all, "boxes of other objects vote too; only those with an"
                  " overlap of 0.5 or more with the best one may"),
            Wrong(vote_not_normalised, "a weighted sum, not a mean: divide by the sum"
                  " of the weights"),
            Wrong(vote_divided_by_all, "you divide by the scores of all boxes, those"
                  " that did not vote among them"),
            Wrong(vote_around_first, "you gather round box 0; the best score may stand"
                  " anywhere"),
            Wrong(vote_above_half, "an overlap of exactly 0.5 is enough"),
            Wrong(vote_without_itself, "the best box votes as well"),
            Wrong(vote_by_overlap, "you weigh by the overlap; asked is the score"),
            Wrong(vote_by_score_and_overlap, "the weight is the score alone; the"
                  " overlap only decides who votes"),
            Wrong(vote_of_sure_boxes, "it is the overlap with the best box that decides"
                  " who votes, not the score"),
            Wrong(vote_of_all_by_both, "boxes with an overlap below 0.5 vote too, and"
                  " the overlap is no weight: a mask, then the scores alone"),
            Wrong(vote_best_only, "that is the best box as it was; the others have to"
                  " vote"),
            Wrong(vote_divided_by_count, "you divide by the number of boxes; a weighted"
                  " mean is divided by the sum of its weights"),
            Wrong(vote_far_boxes, "turned round: those with an overlap of 0.5 or more"
                  " vote"),
            Wrong(vote_in_each_row, "you let every box gather votes; asked is the row"
                  " of the best box alone"),
            Wrong(vote_by_sum_of_scores, "those that overlap the best box vote, not"
                  " those that overlap any"),
            Wrong(vote_best_overlap, "you gather round the box with most overlaps; the"
                  " one with the best score is meant"),
            Wrong(vote_around_worst, "you gather round the lowest score"),
            Wrong(vote_averaged_weights, "divide by the sum of the weights, not by"
                  " their mean"),
            Wrong(vote_of_sides, "all four numbers of a box are voted, its corner"
                  " too"),
            Wrong(vote_one_number, "one box of four numbers is asked: add up over the"
                  " boxes only, sum(0)"),
            Wrong(vote_by_square, "the weight is the score, not its square"),
            Wrong(vote_frame, "the mean of the boxes is asked, not the frame around"
                  " them"),
            Wrong(vote_softmax, "the scores are the weights, without an exponential"),
        ),
        hints=(
            "scores.argmax() says where the best box stands.",
            "iou[best] >= 0.5 is a mask over all boxes, the best one included.",
            "scores[mask][:, None] multiplies each box by its score.",
        ),
        cases=ballot,
        by_hand=(
            ((torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [50, 50, 60, 60]]),
              torch.tensor([0.6, 0.2, 0.4]),
              torch.tensor([[1.0, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])),
             torch.tensor([1.0, 0, 11, 10])),
        ),
        properties=(
            Property(
                "a box that nobody overlaps stays where it is",
                lambda mine, boxes, scores, iou: not difference(
                    boxes[scores.argmax()],
                    mine(boxes, scores, torch.eye(len(boxes))), 1e-4,
                ),
            ),
        ),
        tolerance=1e-4,
    ),
)  # fmt: skip


def d0_pairs() -> int:
    """(anchor, class) pairs that D0 scores in one picture of 512x512."""
    return 9 * 90 * sum((512 // 2**level) ** 2 for level in range(3, 8))


def after_soft_nms() -> float:
    return 0.8 * math.exp(-(0.6**2) / decoding.SIGMA)


QUIZ = (
    Question(
        "D0 looks at 512 x 512 pixels with 9 anchors a place on P3 to P7, and knows 90"
        " classes. How many scores does one picture give?",
        (
            Option("49,104", "That is the number of anchors; each has a score for every"
                   " class."),
            Option("4,419,360", "49,104 anchors times 90 classes. The best 5,000 of"
                   " them are looked at.", True),
            Option("5,000", "So many are kept for NMS, not computed."),
            Option("100", "So many detections come out at the end."),
        ),
        value=d0_pairs, form="{:,}",
    ),
    Question(
        "Why is NMS run in each class for itself?",
        (
            Option("It is faster.", "It can be, but that is not why: the results"
                   " differ."),
            Option("Two objects of different classes may overlap by more than half, and"
                   " both are there.", "A 1 in front of a 0: one would eat the other.",
                   True),
            Option("Scores of different classes cannot be compared.", "They can; the"
                   " best 5,000 pairs are picked over all classes."),
        ),
    ),
    Question(
        "A box has score 0.8 and overlaps the chosen box of its class by 0.6. What is"
        " its score after soft-NMS with sigma 0.5?",
        (
            Option("0.32", "That is 0.8 times 0.4, the linear rule."),
            Option("0.39", "0.8 times exp(-0.36 / 0.5).", True),
            Option("0.00", "Hard NMS would remove it: 0.6 is above 0.5."),
            Option("0.24", "That is 0.8 times exp(-0.6 / 0.5): the overlap has to be"
                   " squared."),
        ),
        value=after_soft_nms, form="{:.2f}",
    ),
    Question(
        "You raise the score threshold of `detect` from 0.1 to 0.5. What can happen to"
        " the boxes that score 0.6?",
        (
            Option("Nothing.", "Boxes below 0.5 never removed anything above them: the"
                   " better one always chooses first.", True),
            Option("Some come back, since fewer boxes compete in NMS.", "A box is only"
                   " removed by one with a higher score, and those are all still"
                   " there."),
            Option("Some disappear, since fewer boxes support them.", "NMS does not"
                   " count supporters."),
        ),
    ),
    Question(
        "A port computes a side as x2 - x1 + 1, in pixels. Which boxes does it hurt"
        " most?",
        (
            Option("Large ones", "One pixel in 300 changes the area by less than one"
                   " per cent."),
            Option("Small ones", "For a box of 4 pixels the area grows from 16 to 25,"
                   " and overlaps move past the threshold.", True),
            Option("Boxes at the edge of the picture", "The mistake does not look at"
                   " where a box is."),
        ),
    ),
)  # fmt: skip
