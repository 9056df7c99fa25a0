"""Exercises and quiz of chapter 24: counts, matching, centres, who pays for what."""

import itertools
import math
import random

import torch

from lib.exercises import Exercise, Option, Question, Wrong


# ------------------------------------------------------- 24.1: the padded listing
def padded_parameters():
    """Millions of weights of the article's layers if the convolution pads by one."""
    convolution = (3 * 9 + 1) * 32
    flat = 32 * 112 * 112
    return (convolution + (flat + 1) * 128 + 129 * 10) / 1e6


# ------------------------------------------------------------ 24.2: one network for all
def pays_from(once, each, small):
    """Fewest devices for which `once` and `small` a device cost less than `each`."""
    if small >= each:
        return None
    return math.floor(once / (each - small)) + 1


def pays_from_by_trying(once, each, small):
    """The same, device after device."""
    if each <= small:
        return None
    devices = 1
    while once + devices * small >= devices * each:
        devices += 1
    return devices


def ceiling(once, each, small):
    """Stops where both cost the same."""
    return None if small >= each else max(1, math.ceil(once / (each - small)))


def one_early(once, each, small):
    """Forgets that it has to cost less."""
    return None if small >= each else math.floor(once / (each - small))


def without_small(once, each, small):
    """Takes the search on each device for free."""
    return None if small >= each else math.floor(once / each) + 1


def small_added(once, each, small):
    """Adds the small cost to the wrong side."""
    return None if small >= each else math.floor(once / (each + small)) + 1


def small_once(once, each, small):
    """Pays the small cost for one device only."""
    return None if small >= each else math.floor((once + small) / each) + 1


def not_whole(once, each, small):
    """Half a device."""
    return None if small >= each else once / (each - small)


def never_told(once, each, small):
    """Goes on where it never pays."""
    if small == each:
        return None
    return math.floor(once / (each - small)) + 1


def zero_for_never(once, each, small):
    """Says 0 for never."""
    return 0 if small >= each else math.floor(once / (each - small)) + 1


def infinite_for_never(once, each, small):
    """Says infinity for never."""
    return math.inf if small >= each else math.floor(once / (each - small)) + 1


def rounded_devices(once, each, small):
    """Rounds to the nearest."""
    return None if small >= each else round(once / (each - small)) + 1


# ------------------------------------------------------------------- 24.3: centre-ness
def centerness(point, box):
    """How central a point lies in a box: 1 in the middle, 0 on the edge and outside."""
    x, y = point
    x1, y1, x2, y2 = box
    left, right = x - x1, x2 - x
    top, bottom = y - y1, y2 - y
    if min(left, right, top, bottom) <= 0:
        return 0.0
    across = min(left, right) / max(left, right)
    down = min(top, bottom) / max(top, bottom)
    return math.sqrt(across * down)


def centerness_of_tensors(point, box):
    """The same with tensors."""
    start = torch.tensor(point, dtype=torch.float64) - torch.tensor(box[:2])
    end = torch.tensor(box[2:], dtype=torch.float64) - torch.tensor(point)
    pairs = torch.stack([start, end])
    if pairs.min() <= 0:
        return 0.0
    return float((pairs.amin(0) / pairs.amax(0)).prod().sqrt())


def _distances(point, box):
    return (
        point[0] - box[0],
        box[2] - point[0],
        point[1] - box[1],
        box[3] - point[1],
    )


def no_root(point, box):
    """Leaves out the square root."""
    return centerness(point, box) ** 2


def mean_of_shares(point, box):
    """The mean of the two shares in place of the root of their product."""
    left, right, top, bottom = _distances(point, box)
    if min(left, right, top, bottom) <= 0:
        return 0.0
    across = min(left, right) / max(left, right)
    return (across + min(top, bottom) / max(top, bottom)) / 2


def smallest_share(point, box):
    """Only the worse direction."""
    left, right, top, bottom = _distances(point, box)
    if min(left, right, top, bottom) <= 0:
        return 0.0
    across = min(left, right) / max(left, right)
    return min(across, min(top, bottom) / max(top, bottom))


def across_only(point, box):
    """Forgets up and down."""
    left, right, top, bottom = _distances(point, box)
    if min(left, right, top, bottom) <= 0:
        return 0.0
    return math.sqrt(min(left, right) / max(left, right))


def nothing_outside(point, box):
    """Takes a point outside like one inside."""
    left, right, top, bottom = map(abs, _distances(point, box))
    if 0 in (left, right, top, bottom):
        return 0.0
    across = min(left, right) / max(left, right)
    return math.sqrt(across * min(top, bottom) / max(top, bottom))


def beyond_a_corner(point, box):
    """Asks the product alone, which two negative shares make positive."""
    left, right, top, bottom = _distances(point, box)
    across = min(left, right) / max(left, right)
    return math.sqrt(max(across * min(top, bottom) / max(top, bottom), 0))


def upside_down(point, box):
    """The larger distance over the smaller."""
    value = centerness(point, box)
    return 1 / value if value else 0.0


def as_xywh(point, box):
    """Reads the box as corner and size."""
    x1, y1, w, h = box
    return centerness(point, (x1, y1, x1 + w, y1 + h))


def swapped_axes(point, box):
    """Takes y before x."""
    return centerness((point[1], point[0]), box)


def of_all_four(point, box):
    """One share of all four distances."""
    distances = _distances(point, box)
    if min(distances) <= 0:
        return 0.0
    return math.sqrt(min(distances) / max(distances))


def fourth_root(point, box):
    """Takes the root twice."""
    return math.sqrt(centerness(point, box))


def _centre_case(rng: random.Random, size: int) -> tuple:
    """Quarters are exact; points inside, on the edge, outside; tall and wide boxes."""
    wide, tall = rng.randint(1, 4 * size), rng.randint(1, 40 * size)
    x1, y1 = rng.randint(-20, 100), rng.randint(-20, 100)
    x = x1 + wide * rng.choice((0.25, 0.5, 0.75, 1, 0, 1.25, -0.5, rng.random()))
    y = y1 + tall * rng.choice((0.25, 0.5, 0.125, 1, -0.5, rng.random(), rng.random()))
    return (x, y), (x1, y1, x1 + wide, y1 + tall)


# ----------------------------------------------------------------- 24.4: one to one
def match(cost):
    """For each object its own prediction, so that the sum of the costs is least.

    `cost[i][j]` of object i and prediction j, at least as many predictions as objects.
    """
    predictions = range(len(cost[0]))
    choices = itertools.permutations(predictions, len(cost))

    def total(chosen):
        return sum(cost[i][j] for i, j in enumerate(chosen))

    return list(min(choices, key=total))


def match_by_search(cost):
    """The same, object after object, with a bound."""
    best, found = math.inf, []

    def go_on(chosen, sum_so_far):
        nonlocal best, found
        if sum_so_far >= best:
            return
        if len(chosen) == len(cost):
            best, found = sum_so_far, chosen
            return
        for j, price in enumerate(cost[len(chosen)]):
            if j not in chosen:
                go_on([*chosen, j], sum_so_far + price)

    go_on([], 0.0)
    return found


def nearest_each(cost):
    """Each object takes the cheapest, even if it is taken."""
    return [min(range(len(row)), key=row.__getitem__) for row in cost]


def first_come(cost):
    """Greedy: the first object chooses first."""
    taken = []
    for row in cost:
        free = [j for j in range(len(row)) if j not in taken]
        taken.append(min(free, key=row.__getitem__))
    return taken


def cheapest_pair_first(cost):
    """Greedy: the cheapest of all pairs first."""
    pairs = sorted((c, i, j) for i, row in enumerate(cost) for j, c in enumerate(row))
    chosen: dict[int, int] = {}
    for _, i, j in pairs:
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    return [chosen[i] for i in range(len(cost))]


def dearest(cost):
    """The largest sum."""
    return match([[-c for c in row] for row in cost])


def the_total(cost):
    """Gives the least sum, not who belongs to whom."""
    return sum(row[j] for row, j in zip(cost, match(cost), strict=True))


def by_prediction(cost):
    """For each prediction its object, -1 for none."""
    chosen = match(cost)
    return [chosen.index(j) if j in chosen else -1 for j in range(len(cost[0]))]


def as_pairs(cost):
    """Pairs in place of a list of predictions."""
    return list(enumerate(match(cost)))


def least_worst(cost):
    """The smallest dearest pair in place of the smallest sum."""
    return list(
        min(
            itertools.permutations(range(len(cost[0])), len(cost)),
            key=lambda chosen: max(row[j] for row, j in zip(cost, chosen, strict=True)),
        )
    )


def last_come(cost):
    """Greedy, from the last object."""
    return first_come(cost[::-1])[::-1]


def first_predictions_only(cost):
    """Looks only at as many predictions as there are objects."""
    return match([row[: len(cost)] for row in cost])


def counted_from_one(cost):
    """Numbers from 1."""
    return [j + 1 for j in match(cost)]


def _cost_case(rng: random.Random, size: int) -> tuple:
    """Whole costs whose best sum is the only one; up to 4 objects and 6 predictions."""
    objects = rng.randint(1, min(4, 1 + size))
    predictions = objects + rng.randint(0, 2)
    while True:
        cost = [
            [rng.randint(0, 9 * size) for _ in range(predictions)]
            for _ in range(objects)
        ]
        sums = sorted(
            sum(row[j] for row, j in zip(cost, chosen, strict=True))
            for chosen in itertools.permutations(range(predictions), objects)
        )
        if len(sums) == 1 or sums[0] < sums[1]:
            return (cost,)


# ------------------------------------------------------------------- 24.5: an outlier
def zeros_beside(outlier: float) -> int:
    """How many of 64 values from -1 to 1 become 0 beside one outlier, in 8 bits."""
    values = torch.linspace(-1, 1, 64, dtype=torch.float64)
    return int((values / (outlier / 127)).round().eq(0).sum())


def zeros_beside_30():
    """The number asked for."""
    return zeros_beside(30.0)


EXERCISES = (
    Exercise(
        name="padded_parameters",
        number="24.1",
        kind="predict",
        minutes=6,
        difficulty=1,
        points=1,
        task="Millions of parameters of the article's five layers, if the convolution"
        " keeps the side of 224 (padding 1); two digits after the comma.",
        reference=padded_parameters,
        tolerance=0.006,
        wrong=(
            Wrong(50.47, "that is without padding; now 224 is halved to 112"),
            Wrong(
                205.52,
                "four times too many: the pooling halves both sides of 224, or you"
                " counted bytes",
            ),
            Wrong(1.608, "you flattened one channel; there are 32 of them"),
            Wrong(51382538.0, "these are single parameters; millions are asked"),
            Wrong(12.85, "128 outputs, not 32, read each of the flattened inputs"),
            Wrong(0.4, "these are the inputs of the dense layer; each has 128 weights"),
        ),
        hints=(
            "Which layer holds nearly all of them?",
            "Its inputs: 32 channels of 112 by 112. Its outputs: 128, each with bias.",
        ),
    ),
    Exercise(
        name="pays_from",
        number="24.2",
        kind="build",
        minutes=8,
        difficulty=1,
        points=2,
        task="Write `pays_from(once, each, small)`: a network for all costs `once` to"
        " train and `small` for each device; a search for each device costs `each`."
        " Return the smallest number of devices, 1 or more, from which the first way"
        " costs less (not the same), or None if it never does.",
        reference=pays_from,
        alternative=pays_from_by_trying,
        wrong=(
            Wrong(ceiling, "where both cost the same you stopped; it has to cost less"),
            Wrong(one_early, "that many devices do not pay yet; take one more"),
            Wrong(without_small, "each device still costs `small`; you left it out"),
            Wrong(small_added, "a device saves each - small; you added them"),
            Wrong(small_once, "`small` is paid for every device, not once"),
            Wrong(not_whole, "a number of devices is whole, and it has to cost less"),
            Wrong(never_told, "small above each never pays: the answer is None"),
            Wrong(zero_for_never, "0 devices are a number; for never None is asked"),
            Wrong(infinite_for_never, "for never None is asked, not infinity"),
            Wrong(
                rounded_devices, "you rounded to the nearest: round down, then one more"
            ),
        ),
        hints=(
            "What does one device save?",
            "once < N * (each - small): which is the smallest whole N?",
            "Round down and add one; first ask whether a device saves anything.",
        ),
        cases=lambda rng, size: (
            rng.choice((rng.randint(0, 300 * size), 12 * rng.randint(1, 9))),
            rng.choice((rng.randint(1, 20 * size), 12, 24)),
            rng.choice((0, rng.randint(0, 20), 6, 0.5)),
        ),
        by_hand=(
            ((1200, 500, 0), 3),
            ((1000, 500, 0), 3),  # two devices cost the same
            ((1200, 500, 25), 3),
            ((10, 5, 5), None),
            ((10, 5, 7), None),
            ((0, 5, 1), 1),
            ((1, 100, 0), 1),
        ),
    ),
    Exercise(
        name="centerness",
        number="24.3",
        kind="build",
        minutes=10,
        difficulty=2,
        points=2,
        task="Write `centerness(point, box)`: point is (x, y), box is (x1, y1, x2, y2)."
        " The square root of the product of two shares: the smaller of the distances"
        " to left and right over the larger one, and the same of top and bottom. 0.0"
        " for a point on the edge or outside.",
        reference=centerness,
        alternative=centerness_of_tensors,
        wrong=(
            Wrong(no_root, "the square root is missing"),
            Wrong(
                mean_of_shares, "you took the mean; multiply the shares, then the root"
            ),
            Wrong(smallest_share, "you took the worse share alone; multiply both"),
            Wrong(across_only, "top and bottom count as well as left and right"),
            Wrong(
                nothing_outside, "outside of the box it is 0.0, whatever the distances"
            ),
            Wrong(
                beyond_a_corner,
                "beyond a corner both shares are negative and their product is not:"
                " ask each distance",
            ),
            Wrong(upside_down, "the smaller distance stands above: never more than 1"),
            Wrong(as_xywh, "the box has two corners, x1, y1, x2, y2, not a size"),
            Wrong(swapped_axes, "the point is (x, y); you took y first"),
            Wrong(of_all_four, "left with right, top with bottom: two shares, not one"),
            Wrong(fourth_root, "you took the root twice"),
        ),
        hints=(
            "Four distances: to the left, right, top and bottom edge.",
            "One share for each direction, smaller over larger; then their product.",
            "If any distance is 0 or less, the answer is 0.0.",
        ),
        cases=_centre_case,
        survivors={
            "line 7: `min(left, right, top, bottom) <= 0` ->"
            " `min(left, right, top, bottom) < 0`": "on the edge one share is 0, and so"
            " is the root of the product",
        },
        by_hand=(
            (((5, 5), (0, 0, 10, 10)), 1.0),
            (((2, 5), (0, 0, 10, 10)), 0.5),
            (((2, 2), (0, 0, 10, 10)), 0.25),
            (((0, 5), (0, 0, 10, 10)), 0.0),
            (((12, 5), (0, 0, 10, 10)), 0.0),
            (((12, 12), (0, 0, 10, 10)), 0.0),  # outside both ways
            (((4, 32), (0, 0, 20, 40)), 0.25),  # 4 over 16, 8 over 32
        ),
    ),
    Exercise(
        name="match",
        number="24.4",
        kind="build",
        minutes=12,
        difficulty=2,
        points=2,
        task="Write `match(cost)`: cost[i][j] is what it costs to give prediction j to"
        " object i, a list of rows, at least as many predictions as objects. Return a"
        " list: for each object the number (from 0) of its prediction. Each prediction"
        " is used at most once, and the sum of the costs is the least possible."
        " There are at most 4 objects and 6 predictions, and one best answer.",
        reference=match,
        alternative=match_by_search,
        wrong=(
            Wrong(nearest_each, "two objects may not share a prediction"),
            Wrong(first_come, "you chose for the first object first; try all ways"),
            Wrong(last_come, "you chose for the last object first; try all ways"),
            Wrong(
                cheapest_pair_first,
                "you took the cheapest pair first, as NMS takes"
                " the best box; the sum of all pairs decides",
            ),
            Wrong(dearest, "that is the largest sum; the least is asked"),
            Wrong(
                the_total, "that is the sum; for each object its prediction is asked"
            ),
            Wrong(
                by_prediction,
                "that is the object of each prediction; the other way round is asked",
            ),
            Wrong(
                as_pairs, "only the predictions are asked, in the order of the objects"
            ),
            Wrong(least_worst, "you made the dearest pair small; the sum decides"),
            Wrong(first_predictions_only, "later predictions may be chosen too"),
            Wrong(counted_from_one, "predictions are numbered from 0"),
        ),
        hints=(
            "How many ways are there to give 3 objects their own of 4 predictions?",
            "itertools.permutations(range(predictions), objects) gives them all.",
            "min(..., key=the sum of the costs).",
        ),
        cases=_cost_case,
        by_hand=(
            (([[1, 2], [1, 9]],), [1, 0]),
            (([[5]],), [0]),
            (([[4, 1, 3], [2, 0, 5], [3, 2, 2]],), [1, 0, 2]),
            (([[9, 8, 1]],), [2]),
            (([[0, 5], [1, 100]],), [1, 0]),
            (([[0, 6, 9], [7, 0, 9], [1, 9, 20]],), [2, 1, 0]),
        ),
    ),
    Exercise(
        name="zeros_beside_30",
        number="24.5",
        kind="measure",
        minutes=4,
        difficulty=1,
        points=1,
        task="How many of the 64 values become 0 beside an outlier of 30?",
        reference=zeros_beside_30,
        wrong=(
            Wrong(lambda: zeros_beside(100.0), "that is beside 100: set OUTLIER = 30"),
            Wrong(lambda: zeros_beside(300.0), "that is beside 300: set OUTLIER = 30"),
            Wrong(
                lambda: 64 - zeros_beside(30.0), "these are the values that are left"
            ),
            Wrong(
                lambda: zeros_beside(15.0),
                "half as many: both signs count, and the step is 30 / 127",
            ),
            Wrong(
                lambda: zeros_beside(60.0), "below half a step, not below a whole one"
            ),
        ),
        hints=(
            "Set OUTLIER = 30 in the cell and run it again.",
            "The step is 30 / 127, and below half a step a value becomes 0.",
        ),
    ),
)

QUIZ = (
    Question(
        "The article's program calls a list of five layers a search space. What is"
        " missing?",
        (
            Option(
                "a sixth layer, because five are too few to search",
                "A space of a thousand layers would have the same fault if it always"
                " gives the same list.",
            ),
            Option(
                "something to choose from, a score, and an algorithm that chooses",
                "Yes: one fixed network is not a space, and nothing compares anything.",
                True,
            ),
            Option(
                "a GPU, because a search cannot run on a processor",
                "Chapter 07 searches on two cores.",
            ),
        ),
    ),
    Question(
        "One network for all costs 1,200 GPU-hours to train and 40 for a search; a"
        " search with training from nothing costs 500 for each device. From how many"
        " devices on is the first way cheaper, if its search is paid once?",
        (
            Option("3", "1,240 over 500 is 2.48, so three devices.", True),
            Option("2", "Two devices cost 1,000 the other way, less than 1,240."),
            Option("40", "That is the number of devices in the paper's comparison."),
        ),
        value=lambda: pays_from(1240, 500, 0),
    ),
    Question(
        "DETR needs no non-maximum suppression. Why?",
        (
            Option(
                "In training each object is given to one prediction, so a second box on"
                " the same object is punished",
                "Yes: the matching (Eq. 24.4) does in training what NMS does after it.",
                True,
            ),
            Option(
                "Its boxes are so exact that two boxes never overlap",
                "Overlap is not the point: a second box on an object costs loss.",
            ),
            Option(
                "It has one prediction for each class",
                "It has a fixed number of predictions, 100 in the paper, of any class.",
            ),
        ),
    ),
    Question(
        "Why does one large channel hurt all others when a layer's input is rounded to"
        " 8 bits with one step?",
        (
            Option(
                "Its multiplications take longer",
                "All take the same time. The step is the problem.",
            ),
            Option(
                "It sets the step, and the small values lie between two steps",
                "Yes. Smoothing moves the size into the weights, where each channel"
                " may have its own.",
                True,
            ),
            Option(
                "It overflows the 32-bit sum",
                "The sum has room; the small values are lost before it.",
            ),
        ),
    ),
    Question(
        "Weights of 4 bits in groups of 32, with a scale of 16 bits a group: how many"
        " bits a weight?",
        (
            Option("4.5", "4 bits and 16 / 32 of a bit for the scale.", True),
            Option("4", "The scales are stored too."),
            Option("20", "A scale serves 32 weights, not one."),
        ),
        value=lambda: 4 + 16 / 32,
    ),
)
