"""Exercises and quiz of chapter 23: gains that multiply, budgets, and what to ship."""

from dataclasses import replace

import torch

from lib.basics import profiling
from lib.detection import detectors, efficientdet
from lib.exercises import Exercise, Option, Question, Wrong

# --- 23.1 predict

LEFT_BY_PRUNING, LEFT_BY_ROUNDING = 0.345, 0.278  # of the bytes of a file


def times_smaller() -> float:
    """How many times smaller a file is after both."""
    return 1 / (LEFT_BY_PRUNING * LEFT_BY_ROUNDING)


# --- 23.2 measure

SIZES = ((24, 1, 1), (32, 2, 2), (40, 3, 2), (48, 3, 3))  # width, cells, repeats
MOST = 45e6


def multiply_adds(size: tuple[int, int, int]) -> int:
    """Those of a detector of the searched cell, for one scene."""
    width, cells, repeats = size
    config = detectors.CONFIGS["course"]
    config = replace(config, width=width, cells=cells, repeats=repeats)
    model = efficientdet.Detector(detectors.backbone("course"), config)
    return profiling.macs(model, torch.zeros(1, 3, 128, 128))


def sizes_within() -> int:
    """How many of the four sizes stay within 45 million multiply-adds."""
    return sum(multiply_adds(size) <= MOST for size in SIZES)


# --- 23.3 build


def broken(values, limits):
    """Places of the broken budgets: kB, time, multiply-adds at most, AP at least."""
    too_much = [i for i in range(3) if values[i] > limits[i]]
    too_little = [3] if values[3] < limits[3] else []
    return too_much + too_little


def broken_by_signs(values, limits):
    """With the AP turned round, all four are limits from above."""
    signs = 1, 1, 1, -1
    pairs = zip(signs, values, limits, strict=True)
    return [i for i, (s, value, limit) in enumerate(pairs) if s * value > s * limit]


def all_from_above(values, limits):
    """Takes the AP for a price."""
    return [i for i in range(4) if values[i] > limits[i]]


def equal_is_broken(values, limits):
    """Counts what is exactly at its limit."""
    found = [i for i in range(3) if values[i] >= limits[i]]
    return found + ([3] if values[3] <= limits[3] else [])


def kept_budgets(values, limits):
    """Gives the budgets that are kept."""
    return [i for i in range(4) if i not in broken(values, limits)]


def first_broken(values, limits):
    """Stops at the first."""
    return broken(values, limits)[:1]


def how_many_broken(values, limits):
    """Counts them."""
    return len(broken(values, limits))


def prices_only(values, limits):
    """Forgets the AP."""
    return [i for i in range(3) if values[i] > limits[i]]


# --- 23.4 build


def cheapest(aps, prices, floor):
    """The place of the cheapest file that reaches the floor, None if none does."""
    good = [i for i in range(len(aps)) if aps[i] >= floor]
    if not good:
        return None
    return min(good, key=lambda i: (prices[i], -aps[i]))


def cheapest_by_a_loop(aps, prices, floor):
    """One file after the other."""
    best = None
    for i, (ap, price) in enumerate(zip(aps, prices, strict=True)):
        if ap < floor:
            continue
        if best is None or (price, -ap) < (prices[best], -aps[best]):
            best = i
    return best


def most_accurate(aps, prices, floor):
    """Takes the best AP, whatever it costs."""
    best = max(range(len(aps)), key=lambda i: (aps[i], -prices[i]))
    return best if aps[best] >= floor else None


def cheapest_of_all(aps, prices, floor):
    """Forgets the floor."""
    return min(range(len(aps)), key=lambda i: (prices[i], -aps[i]))


def strictly_above(aps, prices, floor):
    """A file exactly at the floor is left out."""
    good = [i for i in range(len(aps)) if aps[i] > floor]
    return min(good, key=lambda i: (prices[i], -aps[i])) if good else None


def first_of_equals(aps, prices, floor):
    """Of two at one price it takes the first."""
    good = [i for i in range(len(aps)) if aps[i] >= floor]
    return min(good, key=lambda i: prices[i]) if good else None


def dearest(aps, prices, floor):
    """Takes the highest price."""
    good = [i for i in range(len(aps)) if aps[i] >= floor]
    return max(good, key=lambda i: (prices[i], aps[i])) if good else None


def its_price(aps, prices, floor):
    """Gives the price and not the place."""
    i = cheapest(aps, prices, floor)
    return None if i is None else prices[i]


def _files(rng, size):
    """AP and prices in coarse steps, so that some are equal; a floor among them."""
    count = 1 + min(size, 6)
    aps = [rng.randrange(4, 9) / 10 for _ in range(count)]
    prices = [rng.randrange(1, 4) * 100 for _ in range(count)]
    return aps, prices, rng.randrange(4, 10) / 10


def _budgets(rng, size):
    """Values and limits in coarse steps, so that some are equal."""
    values = [rng.randrange(1, 4) * 1.0 for _ in range(4)]
    return values, [rng.randrange(1, 4) * 1.0 for _ in range(4)]


EXERCISES = (
    Exercise(
        name="times_smaller", number="23.1", kind="predict",
        minutes=2, difficulty=1, points=1,
        task="How many times smaller is the file after pruning and rounding?",
        reference=times_smaller, tolerance=0.01,
        wrong=(
            Wrong(6.5, "you added the two gains; the second acts on what the first has"
                  " left, so they multiply"),
            Wrong(0.0959, "that is the part that is left; how many of it make the"
                  " whole?"),
            Wrong(2.9, "that is pruning alone; rounding comes on top"),
            Wrong(3.6, "that is rounding alone; pruning came before it"),
            Wrong(1.61, "you added what is left; a part of a part is a product"),
        ),
        hints=("What is left of what is left?", "1 / (0.345 * 0.278)"),
    ),
    Exercise(
        name="sizes_within", number="23.2", kind="measure",
        minutes=5, difficulty=1, points=1,
        task="How many of the four sizes stay within 45 million multiply-adds?",
        reference=sizes_within,
        wrong=(
            Wrong(lambda: 4 - sizes_within(), "those are the sizes above the budget"),
            Wrong(4, "the largest of them needs more: read all four numbers"),
            Wrong(lambda: sizes_within() - 1, "one is missing: count the smallest"),
        ),
        hints=("Set BUDGET = 45e6 and run the cell.", "Count what is at most 45."),
    ),
    Exercise(
        name="broken", number="23.3", kind="build",
        minutes=10, difficulty=1, points=2,
        task="Write `broken(values, limits)`: the places (0 to 3, rising) of the"
        " budgets that are broken. Both lists hold kB, time, multiply-adds and AP, in"
        " this order; the first three are limits from above, the AP from below. What"
        " is exactly at its limit is kept.",
        reference=broken, alternative=broken_by_signs,
        wrong=(
            Wrong(all_from_above, "you took AP for a price: it has to be at least its"
                  " limit"),
            Wrong(equal_is_broken, "what is exactly at its limit is kept"),
            Wrong(kept_budgets, "those are the budgets that are kept"),
            Wrong(first_broken, "you stopped at the first; all that are broken are"
                  " asked"),
            Wrong(how_many_broken, "that is how many; their places are asked, as a"
                  " list"),
            Wrong(prices_only, "the AP is missing: below its limit it is broken too"),
        ),
        hints=("Three of them are broken by too much, one by too little.",
               "With both AP multiplied by -1, all four are limits from above."),
        cases=_budgets,
        by_hand=(
            (([230, 0.8, 59, 0.73], [200, 1.0, 50, 0.6]), [0, 2]),
            (([200, 1.0, 50, 0.6], [200, 1.0, 50, 0.6]), []),
            (([100, 2.0, 40, 0.5], [200, 1.0, 50, 0.6]), [1, 3]),
        ),
    ),
    Exercise(
        name="cheapest", number="23.4", kind="build",
        minutes=15, difficulty=2, points=3,
        task="Write `cheapest(aps, prices, floor)`: the place of the file with the"
        " lowest price among those whose AP is at least `floor`; of equal prices the"
        " one with the higher AP; None if no file reaches the floor.",
        reference=cheapest, alternative=cheapest_by_a_loop,
        wrong=(
            Wrong(most_accurate, "you took the best AP; above the floor only the price"
                  " counts"),
            Wrong(cheapest_of_all, "you forgot the floor: below it is no choice"),
            Wrong(strictly_above, "a file exactly at the floor reaches it"),
            Wrong(first_of_equals, "of two files at one price the better one is asked"),
            Wrong(dearest, "you took the highest price; the lowest is asked"),
            Wrong(its_price, "that is its price; its place in the list is asked"),
        ),
        hints=("First the places of all files that reach the floor.",
               "min(places, key=...) with a pair: the price, then minus the AP."),
        cases=_files,
        by_hand=(
            (([0.79, 0.73, 0.79], [2402, 230, 628], 0.75), 2),
            (([0.5, 0.6], [1, 2], 0.7), None),
            (([0.6, 0.7], [5, 5], 0.6), 1),
            (([0.6, 0.7], [4, 5], 0.6), 0),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "The searched detector has a quarter of the plain one's multiply-adds. Why is"
        " the plain one pruned and shipped?",
        (
            Option("On the same scenes its AP is clearly higher, and a runtime does"
                   " dense convolutions fast.", "Both were measured: the interval of"
                   " the difference does not contain 0.", True),
            Option("A searched cell cannot be written as ONNX.", "It can: the road"
                   " writes it, and runs it beside its model."),
            Option("Multiply-adds say nothing about a network.", "They say much where"
                   " one kind of layer is compared with itself."),
        ),
    ),
    Question(
        "AP 0.794 [0.765, 0.825] against 0.788 [0.750, 0.827] on the same scenes, and"
        " the difference is -0.005 [-0.023, +0.010]. What may be said?",
        (
            Option("The second is worse, for 0.788 is less than 0.794.", "Other scenes"
                   " could turn the order: the interval contains 0."),
            Option("These scenes do not tell the two apart.", "The interval of the"
                   " difference is what counts, and it contains 0.", True),
            Option("They are equal.", "Not being told apart is no proof of being the"
                   " same: the difference may be -0.02."),
        ),
    ),
    Question(
        "A stage was killed in the middle. What does the road do at the next call?",
        (
            Option("It begins again at the first stage.", "What has ended is noted"
                   " beside its file, and is not done again."),
            Option("It goes on after the stage that was killed.", "That one never said"
                   " that it had ended; half a file is no result."),
            Option("It does the killed stage again, a training from its checkpoint.",
                   "Only a stage that has ended is noted.", True),
        ),
    ),
    Question(
        "Which number of a decision note can nobody check later?",
        (
            Option("AP 0.73 on hidden scenes, seed 1000, with its interval.", "Whoever"
                   " has the seed draws the same scenes."),
            Option("It takes 1.2 ms.", "Of which file, beside what, on which machine? A"
                   " ratio from one run can be measured again.", True),
            Option("178 kB, SHA-256 beside the file.", "Both can be read from the"
                   " file."),
        ),
    ),
)  # fmt: skip
