"""What grading says of wrong answers: the slip by name, and nothing that is false.

Exercises are made here for it, with wrong answers made from known changes: of each the
change has to be said, and of right answers and of noise nothing.
"""

import dataclasses
import random
from fractions import Fraction

import numpy as np
import pytest
import torch

from lib.exercises import (
    Exercise,
    Property,
    Wrong,
    diagnosing,
    grading,
    running,
    tensor,
)


@pytest.fixture(autouse=True)
def _nothing_is_swallowed(monkeypatch):
    monkeypatch.setattr(diagnosing, "_careful", lambda look: look())


def exercise(reference, cases, **more) -> Exercise:
    settings = {
        "name": "made", "number": "00.9", "kind": "build", "minutes": 1,
        "difficulty": 1, "points": 1, "task": "Made.", "wrong": (), "hints": ("think",),
    }  # fmt: skip
    return Exercise(reference=reference, cases=cases, **(settings | more))


def said(made: Exercise, answer) -> str:
    """The first line of what is said of an answer that is refused, without the case."""
    result = grading.grade(made, answer)
    assert result.status == "refused", result.message
    return result.message.split(" The smallest ")[0].split("\n")[0]


# ------------------------------------------------------------- exercises of each kind


def mean(x):
    return float(x.mean())


def rows_mean(x):
    return x.mean(1)


def matrix(x):
    return x @ torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])


def distance(a, b):
    return (a - b).abs().sum(1)


def differences(values):
    return [b - a for a, b in zip(values, values[1:], strict=False)]


def spread(x):
    return (x.std(0, correction=0), x.max(0)[0])


def count(values, limit):
    return sum(v > limit for v in values)


def best_first(scores):
    """Places, the best score first; of equal ones the first."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def to_steps(x, scale):
    """Whole numbers of steps, halves to the even one."""
    return (x / scale).round().int()


def positive(x):
    return x > 0


def smooth(x):
    return (x * x).sum() / len(x)


def names_of_tall(heights, least):
    """Names, the tallest first."""
    tall = [name for name in heights if heights[name] >= least]
    return sorted(tall, key=lambda name: -heights[name])


def box(a, b):
    """The box around two boxes: left, top, right, bottom."""
    return torch.cat([torch.minimum(a, b)[:2], torch.maximum(a, b)[2:]])


def cube(x):
    return x.cumsum(2).exp()


def report(x):
    return {"mean": float(x.mean()), "largest": float(x.max()), "number": len(x)}


def named(rng, size):
    names = rng.sample("abcdefghijklmnop", size + 3)
    return {name: rng.uniform(1, 2) for name in names}, 1.1


def some_rows(rng, size):
    return (tensor(rng, size + 1, 3),)


def some_list(rng, size):
    return ([rng.uniform(-5, 5) for _ in range(size + 2)],)


def limits(rng, size):
    return [rng.randint(0, 9) for _ in range(size + 4)], rng.randint(1, 7)


def scores(rng, size):
    """A third of the lists has two equal scores."""
    numbers = [rng.random() for _ in range(size + 2)]
    if rng.random() < 0.35:
        numbers[0] = numbers[-1]
    return (numbers,)


def halves(rng, size):
    numbers = [rng.randint(-40, 40) / rng.choice((1, 2, 3)) for _ in range(size + 3)]
    return torch.tensor(numbers), 0.5 if rng.random() < 0.3 else 1.0


MEAN = exercise(mean, lambda rng, size: (tensor(rng, size + 1),))
ROWS = exercise(rows_mean, some_rows)
MATRIX = exercise(matrix, lambda rng, size: (tensor(rng, size + 1, 2),))
DISTANCE = exercise(
    distance, lambda rng, size: (tensor(rng, size, 3), tensor(rng, size, 3))
)
STEPS = exercise(differences, some_list)
SPREAD = exercise(spread, some_rows)
COUNT = exercise(count, limits)
BEST = exercise(best_first, scores)
GRID = exercise(to_steps, halves)
NAMES = exercise(names_of_tall, named)
BOX = exercise(box, lambda rng, size: (tensor(rng, 4), tensor(rng, 4)))
CUBE = exercise(cube, lambda rng, size: (tensor(rng, 2, 3, size + 1),))
REPORT = exercise(report, lambda rng, size: (tensor(rng, size + 1),))
SIGN = exercise(positive, lambda rng, size: (tensor(rng, 2 * size + 2),))
SMOOTH = exercise(smooth, lambda rng, size: (tensor(rng, size + 1),), gradient=(0,))
ALL = [MEAN, ROWS, MATRIX, DISTANCE, STEPS, SPREAD, COUNT, BEST, GRID, SIGN, SMOOTH]
ALL += [NAMES, BOX, CUBE, REPORT]


def ids(exercises):
    return [made.reference.__name__ for made in exercises]


# ------------------------------------------------------------ what it is of the asked


SLIPS = [
    (MEAN, lambda x: -mean(x), "yours is the negative of what is asked."),
    (MEAN, lambda x: 1 - mean(x), "yours is 1 minus what is asked."),
    (MEAN, lambda x: abs(mean(x)), "where yours is wrong, it is what is asked without"),
    (MEAN, lambda x: max(mean(x), 0), "where yours is wrong, it is 0 where a negative"),
    (MEAN, lambda x: mean(x) ** 2, "yours is the square of what is asked."),
    (MEAN, lambda x: 1 / mean(x), "yours is 1 divided by what is asked."),
    (MEAN, lambda x: 2 * mean(x), "yours is 2 times what is asked."),
    (MEAN, lambda x: mean(x) / 3, "yours is 1/3 times what is asked."),
    (MEAN, lambda x: 100 * mean(x), "yours is 100 times what is asked: is it in perc"),
    (MEAN, lambda x: 0.693147 * mean(x), "yours is ln 2 times what is asked: two log"),
    (MEAN, lambda x: mean(x) + 0.5, "yours is too large, always by 0.5."),
    (MEAN, lambda x: mean(x) - 2, "yours is too small, always by 2."),
    (MEAN, lambda x: mean(x) + len(x), "yours is what is asked plus the length of `x`"),
    (MEAN, lambda x: float(x.sum()), "yours is n times what is asked, where n is the"
                                     " length of `x`: a sum where a mean is asked?"),
    (MEAN, lambda x: float(x.sum() / (len(x) - 1)), "yours is n/(n - 1) times what"),
    (MEAN, lambda x: float(x.sum() / (len(x) + 1)), "yours is n/(n + 1) times what"),
    (MEAN, lambda x: round(mean(x), 2), "yours is what is asked, rounded to 2 digits"),
    (MEAN, lambda x: round(mean(x), 1), "yours is what is asked, rounded to one digit"),
    (MEAN, lambda x: mean(x) * (1 + 0.001 * float(x[0])), "yours is near, off by"),
    (ROWS, lambda x: x.sum(1), "yours is 3 times what is asked."),
    (ROWS, lambda x: x, "yours is `x` itself, the input as it came"),
    (ROWS, lambda x: x[:1].mean(1), "yours is the result of the first item only; one"),
    (ROWS, lambda x: x[:1].mean(1).expand(len(x)), "yours is the right result of the"
                                                   " first item, given for all items"),
    (ROWS, lambda x: x.mean(1, keepdim=True), "yours is right but for its shape"),
    (ROWS, lambda x: x.mean(1).flip(0), "yours is what is asked in reverse order"),
    (ROWS, lambda x: x.mean(1).roll(1), "yours is what is asked, moved on by one"),
    (ROWS, lambda x: x.mean(1).sort()[0], "yours is the right items in another order:"
                                          " yours are sorted, the smallest first"),
    (ROWS, lambda x: torch.cat([x[:1, 0], x[1:].mean(1)]), "yours is right but for the"
                                                           " first item"),
    (ROWS, lambda x: torch.cat([x[:-1].mean(1), x[-1:, 0]]), "yours is right but for"
                                                             " the last item"),
    (ROWS, lambda x: x[1:].mean(1), "yours is right but for the first item, which"
                                    " is missing; shape"),
    (MATRIX, lambda x: matrix(x).T, "yours is what is asked, transposed"),
    (MATRIX, lambda x: matrix(x)[:, [1, 0, 2]], "yours is what is asked with its"
                                                " columns in the order (1, 0, 2)"),
    (MATRIX, lambda x: matrix(x) * torch.tensor([1.0, -1, 1]), "yours is right but for"
     " column 1, which is the negative of what is asked"),
    (DISTANCE, lambda a, b: (a[:, None] - b).abs().sum(2), "yours is every row against"
     " every row, N x N where N are asked; its diagonal is right; shape (2,) is asked,"
     " yours is (2, 2)"),
    (DISTANCE, lambda a, b: (a[:, None] - b).abs().sum(2) + 1, "yours is every row"
     " against every row, N x N where N are asked; shape (2,)"),
    (STEPS, lambda v: [a - b for a, b in zip(v, v[1:], strict=False)], "yours is the"
                                                                       " negative"),
    (STEPS, lambda v: differences(v)[:-1], "yours is right but for the last item, wh"),
    (STEPS, lambda v: [0.0, *differences(v)], "yours is right but for one item too many"
                                              " at the beginning"),
    (STEPS, lambda v: differences(v)[::-1], "yours is what is asked in reverse order"),
    (SPREAD, lambda x: spread(x)[::-1], "yours is what is asked in reverse order"),
    (SPREAD, lambda x: (spread(x)[0] * 2, spread(x)[1]), "yours is right but for item"
                                                         " 0, which is 2 times what"),
    (SPREAD, lambda x: (x.std(0), x.max(0)[0]), "yours is right but for item 0,"
     " which is what is asked times the square root of n/(n - 1), where n is the"),
    (SPREAD, lambda x: (spread(x)[0], x.abs().sin().sum(0)), "yours is right but for"
                                                             " item 1."),
    (COUNT, lambda v, limit: count(v, limit) + 1, "yours is 1 too large, off by one"),
    (COUNT, lambda v, limit: len(v) - count(v, limit) - 1, "the number differs"),
    (COUNT, lambda v, limit: count(v, limit) - 0.5, "yours is too small, always by 0."),
    (BEST, lambda s: best_first(s)[1:], "yours is right but for the first item,"),
    (BEST, lambda s: [i + 1 for i in best_first(s)], "yours is 1 too large, off by"),
    (BEST, lambda s: torch.tensor(best_first(s)).argsort().tolist(), "where yours is"
     " wrong, it is the inverse of what is asked"),
    (BEST, lambda s: sorted(range(len(s)), key=lambda i: (-s[i], -i)), "right but for"
     " ties: it is wrong only where numbers in `scores` are equal"),
    (GRID, lambda x, scale: (x / scale + 0.5).floor().int(), "right but exactly on the"
     " border between two whole numbers: do you round halves the other way?"),
    (GRID, lambda x, scale: x / scale, "yours is right once it is"
                                       " rounded to whole numbers, which is asked"),
    (NAMES, lambda h, least: names_of_tall(h, least)[::-1], "yours is what is asked in"
                                                            " reverse order"),
    (NAMES, lambda h, least: sorted(names_of_tall(h, least)), "yours is the right items"
                                                              " in another order"),
    (NAMES, lambda h, least: names_of_tall(h, least)[:-1], "yours is right but for the"
                                                           " last item, which is miss"),
    (BOX, lambda a, b: box(a, b)[[1, 0, 3, 2]], "yours is what is asked with its items"
                                                " in the order (1, 0, 3, 2)"),
    (BOX, lambda a, b: torch.cat([torch.minimum(a, b)[:3], torch.maximum(a, b)[3:]]),
     "yours is right but for item 2."),
    (CUBE, lambda x: cube(x).transpose(0, 2), "yours is what is asked, transposed: its"
                                              " axes in the order (2, 1, 0)"),
    (CUBE, lambda x: cube(x).flip(2), "yours is what is asked, each row in reverse"),
    (CUBE, lambda x: cube(x).log(), "yours is the natural logarithm of what is asked"),
    (CUBE, lambda x: cube(x).sqrt(), "yours is the square root of what is asked"),
    (REPORT, lambda x: report(x) | {"mean": float(x.sum())}, "yours is right but for"
     " key 'mean', which is n times what is asked, where n is the length of `x`"),
    (REPORT, lambda x: report(x) | {"largest": 1 - float(x.max())}, "yours is right but"
     " for key 'largest', which is 1 minus what is asked"),
    (STEPS, lambda v: [differences(v)[0]] + [9.0] * (len(v) - 2), "yours is right for"
                                                                  " the first item"),
    (STEPS, lambda v: [9.0, *differences(v)[1:-1], 9.0], "yours is right but for the"
                                                         " first and the last item"),
    (STEPS, lambda v: [*differences(v), 0.0], "yours is right but for one item too many"
                                              " at the end"),
    (STEPS, lambda v: differences(v)[1:] + differences(v)[:1], "yours is what is asked,"
                                                               " moved back by one"),
    (COUNT, lambda v, limit: count(v, limit) - 1, "yours is 1 too small, off by one"),
    (COUNT, lambda v, limit: count(v, limit) - limit, "yours is what is asked minus"
                                                      " `limit`"),
    (COUNT, lambda v, limit: float(count(v, limit)) / limit, "where yours is wrong, it"
     " is what is asked divided by n, where n is `limit`"),
    (SIGN, lambda x: x <= 0, "yours is True where False is asked, and False wh"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "answer", "words"),
    SLIPS,
    ids=[f"{m.reference.__name__}-{w[:34]}-{i}" for i, (m, _, w) in enumerate(SLIPS)],
)
def test_what_an_answer_is_of_the_asked_value_is_said(made, answer, words):
    assert said(made, answer).startswith(words), said(made, answer)


@pytest.mark.parametrize("made", ALL, ids=ids(ALL))
def test_of_a_right_answer_nothing_is_said(made):
    assert grading.grade(made, made.reference).message == "right on all 24 cases"


QUIET = ("the number", "item", "the truth", "key")


def noisy(made: Exercise, share: float):
    """An answer that is wrong by chance, in a share of its cases, as its input says."""

    def answer(*args):
        value = made.reference(*args)
        rng = random.Random(repr(args))
        if rng.random() >= share:
            return value
        return stirred(value, rng)

    return answer


def stirred(value, rng):
    if isinstance(value, tuple):
        return tuple(stirred(v, rng) for v in value)
    if isinstance(value, list) and all(isinstance(v, int) for v in value):
        return [rng.randint(0, 2 * len(value)) for _ in value]
    if isinstance(value, dict):
        return {key: stirred(v, rng) for key, v in value.items()}
    if isinstance(value, list) and any(isinstance(v, str) for v in value):
        return [rng.choice("abcdefghijklmnop") for _ in value]
    if isinstance(value, list):
        return [v + rng.choice((-1, 1)) * rng.uniform(0.1, 3) for v in value]
    if isinstance(value, int):
        return value + rng.choice((-3, -2, -1, 1, 2, 3, 4))
    if isinstance(value, float):
        return value + rng.choice((-1, 1)) * rng.uniform(0.1, 3)
    if value.dtype == torch.bool:
        flips = [rng.random() < 0.5 for _ in range(value.numel())]
        return value ^ torch.tensor(flips).reshape(value.shape)
    if not value.is_floating_point():
        steps = [rng.choice((-3, -1, 1, 2)) for _ in range(value.numel())]
        return value + torch.tensor(steps, dtype=value.dtype).reshape(value.shape)
    return value + tensor(rng, *value.shape, low=0.1, high=3.0)


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("made", ALL, ids=ids(ALL))
def test_of_noise_nothing_is_said(made, share):
    words = said(dataclasses.replace(made, gradient=()), noisy(made, share))
    assert words.startswith(QUIET), words


CHANGES = {
    "the negative of what is asked": lambda v: -v,
    "1 minus what is asked": lambda v: 1 - v,
    "times what is asked": lambda v: v * 1.7,
    "too large, always by 0.3": lambda v: v + 0.3,
    "e to the power of what is asked": lambda v: v.exp(),
    "what is asked, rounded to one digit": lambda v: v.round(decimals=1),
    "what is asked in reverse order": lambda v: v.flip(0),
}


@pytest.mark.parametrize("says", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_known_change_of_any_function_is_named(says, seed):
    """Functions drawn by chance, changed in one known way."""
    rng = random.Random(seed)
    weights, bias = tensor(rng, 3, 4), rng.uniform(0.2, 0.9)

    def reference(x):
        return (x @ weights + bias).tanh() * 2

    made = exercise(reference, lambda rng, size: (tensor(rng, size + 2, 3),))
    words = said(made, lambda x: CHANGES[says](reference(x)))
    assert words.startswith("yours is ") and says in words, words


def test_a_slip_that_is_seldom_seen_is_not_called_by_a_relation():
    """One failing case in which yours is the negative says nothing."""

    def answer(x):
        return -mean(x) if len(x) == 7 and x[0] < -0.6 else mean(x)

    cases = [args for args in MEAN.draw() if answer(*args) != mean(*args)]
    assert len(cases) == 1
    assert said(MEAN, answer) == "the number differs."


def test_most_failing_cases_are_counted():
    def answer(x):
        return -mean(x) if len(x) < 7 else mean(x) + float(x[0].sin())

    assert said(MEAN, answer) == (
        "in 20 of 24 failing cases yours is the negative of what is asked."
    )


def test_every_row_against_every_row_is_shown_where_there_are_two_rows():
    """With one row, N x N looks like a matter of `squeeze`."""
    answer = grading.grade(DISTANCE, lambda a, b: (a[:, None] - b).abs().sum(2))
    assert "tensor(2, 3)" in answer.message and "tensor(1, 3)" not in answer.message
    assert "The smallest such input: (tensor(2, 3)" in answer.message


@pytest.mark.parametrize("square", [True, False])
def test_what_cannot_be_told_apart_is_not_said(square):
    """A symmetric matrix has no transpose of its own, one row no first and last."""

    def reference(x):
        return x.T @ x if square else x[:1]

    made = exercise(reference, lambda rng, size: (tensor(rng, 1, size),))
    words = said(made, lambda x: reference(x).sin() + 1)
    assert words.startswith("the numbers differ")


def test_a_single_truth_value_that_fails_is_no_opposite():
    made = exercise(lambda x: x > 0.5, lambda rng, size: (rng.random(),))
    assert said(made, lambda x: x > 0.2) == "the truth value is the other one."
    assert said(made, lambda x: x <= 0.5).startswith("yours is True where False")


@pytest.mark.parametrize("seed", range(8))
def test_of_two_values_the_other_one_is_no_finding(seed):
    """Zeros and ones by chance: each that is wrong is 1 minus the right one."""
    made = exercise(lambda n: n % 2, lambda rng, size: (rng.randint(0, 99),))
    words = said(made, lambda n: random.Random(seed * 100 + n).randint(0, 1))
    assert words == "the number differs."
    words = said(made, lambda n: 1 - n % 2)
    assert words == "yours is 1 minus what is asked."


# ------------------------------------------------------------------------ the gradient


def test_a_wrong_gradient_is_named_and_both_are_shown():
    def turned(x):
        return 2 * smooth(x).detach() - smooth(x)

    message = grading.grade(SMOOTH, turned).message
    assert message.startswith(
        "the value is right but its gradient is not: yours is the negative of what is"
        " asked. Input: (tensor(2,)"
    )
    assert "  the gradient by `x`:\n  expected tensor(2,) float32 [" in message
    assert "\n  yours    tensor(2,) float32 [" in message

    def more(x):
        return smooth(x) + 0.5 * (smooth(x) - smooth(x).detach())

    assert "yours is 3/2 times what is asked" in grading.grade(SMOOTH, more).message


def test_a_lost_gradient_shows_what_is_asked():
    message = grading.grade(SMOOTH, lambda x: smooth(x).detach()).message
    assert message.startswith("the gradient is lost on the way")
    assert message.endswith("yours    None") and "expected tensor(2,)" in message


def test_how_many_outputs_are_weighed_is_said():
    made = exercise(
        lambda x: x * x, lambda rng, size: (tensor(rng, size),), gradient=(0,)
    )
    message = grading.grade(made, lambda x: x * x.detach()).message
    assert "1/2 times what is asked" in message
    assert "the gradient by `x`" in message  # of a single number there is no sum
    made = dataclasses.replace(made, cases=lambda rng, size: (tensor(rng, size + 1),))
    message = grading.grade(made, lambda x: x * x.detach()).message
    assert (
        "the gradient of 1 y[0] + 2 y[1] + ..., y what is returned, by `x`" in message
    )


# ------------------------------------------------------------------ named wrong answers


def total(x):
    return x.sum()


def total_without_first(x):
    return x[1:].sum()


def total_of_absolute(x):
    return x.abs().sum()


def total_detached(x):
    return x.abs().sum().detach() + 0 * x.sum()


TOTAL = exercise(
    total, lambda rng, size: (tensor(rng, size + 2),),
    by_hand=(((torch.tensor([1.0, -2.0]),), torch.tensor(-1.0)),),
    wrong=(
        Wrong(total_without_first, "you begin at the second"),
        Wrong(total_of_absolute, "you add sizes"),
        Wrong(total_detached, "you add sizes"),
    ),
)  # fmt: skip


def but_for(lengths, named, other):
    """Behaves as a named answer, by hand too, but for some lengths from 3 to 8."""

    def answer(x):
        return other(x) if len(x) in lengths else named(x)

    return answer


def too_long(x):
    raise ValueError("too long")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (total_of_absolute, "you add sizes"),
        (but_for({8}, total_of_absolute, lambda x: x.exp().sum()), "you add sizes"),
        (but_for({8}, total_of_absolute, total), "you add sizes"),
        (but_for({7, 8}, total_of_absolute, too_long), "you add sizes"),
        (but_for({7, 8}, total_of_absolute, lambda x: x.exp().sum()), None),
        (but_for({4, 5, 6, 7, 8}, total_of_absolute, total), None),
        (lambda x: x.abs().sum() if len(x) > 2 else x.sum(), None),  # not by hand
    ],
)
def test_a_named_answer_is_recognized_in_most_random_cases(answer, message):
    result = grading.grade(TOTAL, answer)
    assert result.status == "refused"
    assert (result.message == message) == (message is not None), result.message
    assert (result.wrong == "total_of_absolute") == (message is not None)


def test_a_named_answer_is_not_blamed_for_another_rare_slip():
    """Both are right in most cases: that they agree there shows nothing."""

    def wrong_if_large(x):
        return x.sum() + (1 if len(x) == 8 else 0)

    def wrong_if_small(x):
        return x.sum() + (1 if len(x) == 3 else 0)

    made = dataclasses.replace(TOTAL, wrong=(Wrong(wrong_if_large, "large"),))
    assert grading.grade(made, wrong_if_large).message == "large"
    message = grading.grade(made, wrong_if_small).message
    assert message.startswith("yours is") or message.startswith("where yours is wrong")
    assert grading.grade(made, wrong_if_small).wrong is None


def test_the_closest_of_two_named_answers_is_meant():
    """Two differ in few cases; the first is listed first, the second fits better."""

    def nearly(x):
        return x.abs().sum() + (0.5 if len(x) == 8 else 0)

    made = dataclasses.replace(
        TOTAL, wrong=(Wrong(nearly, "first"), Wrong(total_of_absolute, "second"))
    )
    assert grading.grade(made, total_of_absolute).message == "second"
    assert grading.grade(made, nearly).message == "first"


def test_a_lost_gradient_is_zero_beside_a_wrong_answer():
    made = dataclasses.replace(TOTAL, gradient=(0,), wrong=TOTAL.wrong[1:])

    def lost(x):
        return torch.tensor(sum(abs(v) for v in x.tolist()))

    def right_but_lost(x):
        return x.sum().detach()

    def right_without_gradient(x):
        return x.sum().detach() + 0 * x.sum()

    assert grading.grade(made, lost).message == "you add sizes"
    assert "the gradient is lost" in grading.grade(made, right_but_lost).message
    made = dataclasses.replace(
        made, wrong=(Wrong(right_without_gradient, "no way back"),)
    )
    assert grading.grade(made, right_but_lost).message == "no way back"
    assert grading.grade(made, lambda x: x.sum() + 0 * x.sum()).status == "passed"


def test_an_answer_that_raises_mostly_is_told_its_line():
    def answer(x):
        if len(x) > 2:
            return x[99]
        return x.abs().sum()

    assert (
        "line 3 of your function, `return x[99]`"
        in grading.grade(TOTAL, answer).message
    )


# ------------------------------------------------------------------- kinds of numbers


def whole(n):
    return n // 2


WHOLE = exercise(whole, lambda rng, size: (rng.randint(0, 9 * size),))
LISTED = exercise(differences, some_list)
TENSOR = exercise(rows_mean, some_rows)
PLACES = exercise(
    lambda x: x.argsort(), lambda rng, size: (tensor(rng, size + 2),)
)  # int64
TRUE = exercise(lambda n: n > 3, lambda rng, size: (rng.randint(0, 7),))
PAIRS = exercise(
    lambda v: [(a, 2 * a) for a in v], lambda rng, size: (list(range(size + 1)),)
)


def yields_it(x):
    yield x.mean(1)


async def waits(x):
    return x.mean(1)


KINDS = [
    (WHOLE, lambda n: float(n // 2)),
    (WHOLE, lambda n: np.int32(n // 2)),
    (WHOLE, lambda n: torch.tensor(n // 2)),
    (WHOLE, lambda n: torch.tensor(float(n // 2))),
    (WHOLE, lambda n: Fraction(n // 2)),
    (LISTED, lambda v: tuple(differences(v))),
    (LISTED, lambda v: np.diff(np.array(v))),
    (LISTED, lambda v: torch.tensor(v, dtype=torch.float64).diff()),
    (LISTED, lambda v: [torch.tensor(d) for d in differences(v)]),
    (TENSOR, lambda x: x.numpy().mean(1)),
    (TENSOR, lambda x: x.numpy().astype(np.float64).mean(1)),
    (TENSOR, lambda x: [sum(row) / len(row) for row in x.tolist()]),
    (TENSOR, lambda x: tuple(row.mean() for row in x)),
    (TENSOR, lambda x: x.double().mean(1)),
    (PLACES, lambda x: x.argsort().int()),
    (PLACES, lambda x: x.argsort().float()),
    (PLACES, lambda x: x.argsort().tolist()),
    (PLACES, lambda x: x.numpy().argsort()),
    (TRUE, lambda n: np.bool_(n > 3)),
    (TRUE, lambda n: torch.tensor(n > 3)),
    (PAIRS, lambda v: [[a, 2 * a] for a in v]),
    (PAIRS, lambda v: np.array([(a, 2 * a) for a in v])),
    (PAIRS, lambda v: torch.tensor([(a, 2.0 * a) for a in v])),
]
NO_KINDS = [
    (WHOLE, lambda n: n / 2 + 0.25, "yours is right once it is rounded down, which is"),
    (WHOLE, lambda n: n / 3 + 0.25, "a whole number (int) is asked, yours is a float"),
    (WHOLE, lambda n: str(n // 2), "a number is asked, yours is of type str"),
    (WHOLE, lambda n: [n // 2], "a number is asked, yours is of type list"),
    (WHOLE, lambda n: n > 1, "a number is asked, yours is of type bool"),
    (WHOLE, lambda n: np.bool_(n > 1), "a number is asked, yours is of type bool"),
    (WHOLE, lambda n: float("inf") if n else 0, "a whole number (int) is asked"),
    (LISTED, lambda v: (d for d in differences(v)), "a list or tuple is asked"),
    (LISTED, lambda v: set(differences(v)), "a list or tuple is asked"),
    (TENSOR, lambda x: str(x.mean(1)), "a tensor is asked, yours is of type str"),
    (
        TENSOR,
        yields_it,
        "a tensor is asked, yours is of type generator that has not run yet: `r",
    ),
    (
        TENSOR,
        waits,
        "a tensor is asked, yours is of type coroutine that has not run yet",
    ),
    (PLACES, lambda x: x.argsort() + 0.5, "yours is too large, always by 0.5"),
    (
        PLACES,
        lambda x: x.argsort() > 0,
        "dtype torch.int64 is asked, yours is torch.bool",
    ),
    (TRUE, lambda n: int(n > 3), "True or False is asked, yours is of type int"),
    (PAIRS, lambda v: [a for a in v], "yours is `v` itself"),
]


@pytest.mark.parametrize(("made", "answer"), KINDS)
def test_the_kind_of_number_and_of_array_is_free(made, answer):
    assert grading.grade(made, answer).status == "passed"


@pytest.mark.parametrize(
    ("made", "answer", "holds"),
    [
        (TENSOR, lambda x: x.mean(1).tolist(), lambda y: y.dtype == torch.float32),
        (PLACES, lambda x: x.numpy().argsort(), lambda y: y.dtype == torch.int64),
        (LISTED, lambda v: np.diff(np.array(v)), lambda y: type(y) is list and y + [1]),
        (PAIRS, lambda v: torch.tensor([(a, 2.0 * a) for a in v]),
         lambda y: all(type(item) is tuple and type(item[0]) is int for item in y)),
        (WHOLE, lambda n: float(n // 2), lambda y: isinstance(y, int)),
    ],
)  # fmt: skip
def test_properties_see_an_answer_in_the_kind_that_is_asked(made, answer, holds):
    """They may index, add, or compare with `torch.equal`."""
    made = dataclasses.replace(
        made, properties=(Property("kind", lambda mine, x: holds(mine(x))),)
    )
    assert grading.grade(made, made.reference).status == "passed"
    assert grading.grade(made, answer).status == "passed"


@pytest.mark.parametrize(("made", "answer", "words"), NO_KINDS)
def test_but_what_is_another_thing_is_not(made, answer, words):
    assert said(made, answer).startswith(words), said(made, answer)


@pytest.mark.parametrize(
    ("made", "answer", "words"),
    [
        (
            WHOLE,
            lambda n: float(n // 2),
            "a whole number (int) is asked, yours is a float",
        ),
        (LISTED, lambda v: np.diff(np.array(v)), "a list or tuple is asked"),
        (
            TENSOR,
            lambda x: x.numpy().mean(1),
            "a tensor is asked, yours is of type ndarray",
        ),
        (TENSOR, lambda x: x.double().mean(1), "dtype torch.float32 is asked"),
        (PLACES, lambda x: x.argsort().int(), "dtype torch.int64 is asked"),
    ],
)
def test_where_the_kind_is_taught_it_is_asked(made, answer, words):
    strict = dataclasses.replace(made, exact_type=True)
    assert grading.grade(strict, made.reference).status == "passed"
    assert said(strict, answer).startswith(words)


def test_where_a_gradient_is_asked_a_tensor_is():
    made = dataclasses.replace(TENSOR, gradient=(0,))
    words = said(made, lambda x: x.tolist() and [sum(r) / len(r) for r in x.tolist()])
    assert words == "a tensor is asked, yours is of type list."
    words = said(made, lambda x: x.double().mean(1))
    assert words.startswith("dtype torch.float32 is asked, yours is torch.float64")


def test_large_whole_numbers_stay_exact():
    made = exercise(lambda n: 2**60 + n, lambda rng, size: (rng.randint(1, 99),))
    assert grading.grade(made, lambda n: 2**60 + n).status == "passed"
    assert grading.grade(made, lambda n: float(2**60 + n)).status == "refused"


# ----------------------------------------------------------------------- single values


def value(number) -> Exercise:
    return exercise(lambda: number, None)


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        (0.4217, 42.17, "yours is 100 times what is asked: a share is asked"),
        (42.17, 0.4217, "yours is 1/100 of what is asked: percent is asked"),
        (0.366666, 0.3667, "yours is right to 4 digits after the point"),
        (12, 13, "yours is off by one, too large"),
        (12, 11.0, "yours is off by one, too small"),
        (0.3, 0.7, "yours is 1 minus what is asked"),
        (7.5, -7.5, "yours is the negative of what is asked"),
        (5.28e6, 5.28, "yours is a millionth of what is asked: is it the unit?"),
        (2048, 2, "yours is 1/1024 of what is asked: is it the unit?"),
        (1, 2, "the number differs"),
        (0, 1, "the number differs"),
        (0.3, 0.29, "the number differs"),
        (0.3, "0,3", "a number is asked, yours is of type str"),
    ],
)
def test_a_single_number_is_told_what_it_is(number, answer, words):
    assert f"is not it: {words}" in grading.grade(value(number), answer).message


def test_fractions_are_numbers():
    assert grading.grade(value(22 / 60), Fraction(22, 60)).status == "passed"


# ------------------------------------------------------------------- whose, and prints


def cell(text: str, namespace: dict, number: int) -> None:
    exec(compile(text, f"<cell {number}>", "exec"), namespace)  # as a kernel does


def test_an_answer_of_an_earlier_cell_is_told():
    kernel = {"__name__": "__main__", "grade": grading.grade, "made": WHOLE}
    cell("def made_(n):\n    return n\n", kernel, 1)
    first = "def halved(n):\n    return n // 2\nseen = grade(made, halved)\n"
    cell(first, kernel, 2)
    assert kernel["seen"].message == (
        "right on all 24 cases\n(Graded: your `halved`, line 1 of its cell)"
    )
    cell("def halves(n):\n    return n\nseen = grade(made, halved)\n", kernel, 3)
    assert kernel["seen"].message.endswith(
        "(This is the `halved` of an earlier cell. This cell makes `halves`: is that"
        " the one you mean?)"
    )
    cell("seen = grade(made, halved)\n", kernel, 4)  # a cell that only asks
    assert "Graded: your `halved`" in kernel["seen"].message
    kernel["made"] = dataclasses.replace(WHOLE, name="halved")
    cell(first, kernel, 5)
    assert kernel["seen"].message == "right on all 24 cases"
    cell("seen = grade(made, lambda n: n // 2)\n", kernel, 6)
    assert kernel["seen"].message == "right on all 24 cases"


def test_the_verdict_stays_in_view(capsys):
    def talks(n):
        print("a long line " * 9)
        return n // 2

    assert grading.grade(WHOLE, talks).status == "passed"
    assert len(capsys.readouterr().out) < 500
    assert running.PRINTED == 400


# ------------------------------------------------------------------- where numbers meet


def test_what_is_right_but_for_equality_is_tried():
    made = exercise(
        lambda x: float((x >= 0.5).float().sum()),
        lambda rng, size: (torch.tensor(rng.choices((0.25, 0.5, 0.9), k=5)),),
    )  # fmt: skip
    words = said(made, lambda x: float((x > 0.5).float().sum()))
    assert words.startswith("right but where numbers meet exactly"), words
    words = said(made, lambda x: float((x > 0.4).float().sum()) + float(x[0] > 0.8))
    assert not words.startswith("right but"), words


def test_another_failure_beside_ties_is_not_passed_over():
    """Wrong for ties, and for long lists; or failing there: then ties are not all."""

    def last_of_equals(s):
        return sorted(range(len(s)), key=lambda i: (-s[i], -i))

    def wrong_for_long(s):
        return best_first(s)[::-1] if len(s) > 7 else last_of_equals(s)

    def fails_for_long(s):
        return s[99] if len(s) > 7 else last_of_equals(s)

    assert said(BEST, last_of_equals).startswith("right but for ties")
    assert "ties" not in said(BEST, wrong_for_long)
    assert "ties" not in said(BEST, fails_for_long)


def test_nothing_is_tried_when_time_is_short():
    def last_of_equals(s):
        return sorted(range(len(s)), key=lambda i: (-s[i], -i))

    cases = BEST.draw()
    outcomes = [grading._run_all(BEST, f, cases) for f in (best_first, last_of_equals)]

    def same(a, b):
        return a.value == b.value

    def words(until):
        return diagnosing.diagnose(BEST, last_of_equals, cases, *outcomes, same, until)

    assert words(float("inf")).startswith("right but for ties")
    assert "ties" not in words(until=0.0)
