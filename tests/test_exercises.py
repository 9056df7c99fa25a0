"""Every exercise's checks, checked: right answers pass, wrong ones hear why.

The frame itself is tested on a small exercise made for it, below.
"""

import collections
import copy
import dataclasses
import gc
import inspect
import itertools
import math
import os
import random
import sys
import time
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from lib.book import course
from lib.exercises import Exercise, Property, Wrong, find, grading, running, tensor
from tests.mutants import mutants
from tests.test_layout import WING

MODULES = [name[3:] for name in course.names()]
LIBRARY = [f"lib.{WING[name]}.{name}" for name in WING if name in MODULES]
EXERCISES = [
    pytest.param(exercise, id=f"{module}.{exercise.name}")
    for module in MODULES
    for exercise in import_module(f"lib.exercises.{module}").EXERCISES
]
BUILDS = [p for p in EXERCISES if p.values[0].kind == "build"]
QUIZZES = [
    pytest.param(question, id=f"{module}-{i}")
    for module in MODULES
    for i, question in enumerate(import_module(f"lib.exercises.{module}").QUIZ, 1)
]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_answers_pass(exercise):
    answers = [exercise.reference, exercise.alternative]
    if exercise.cases is None:
        answers = [exercise.reference()]
    for answer in filter(lambda a: a is not None, answers):
        result = grading.grade(exercise, answer)
        assert result.status == "passed", result.message


@pytest.mark.parametrize("exercise", EXERCISES)
def test_each_wrong_answer_is_refused_with_its_own_message(exercise):
    for wrong in exercise.wrong:
        answer = wrong.answer
        if exercise.cases is None and callable(answer):
            answer = answer()
        result = grading.grade(exercise, answer)
        assert result.status == "refused", f"{wrong.message!r} passed"
        assert result.message == wrong.message
    behaviours = [_behaviour(exercise, wrong.answer) for wrong in exercise.wrong]
    for (a, left), (b, right) in itertools.combinations(enumerate(behaviours), 2):
        same = all(
            grading._same(exercise, x, y) for x, y in zip(left, right, strict=True)
        )
        assert not same, f"wrong answers {a} and {b} are one and the same"


def _behaviour(exercise, answer) -> list[running.Outcome]:
    if exercise.cases is not None:
        return grading._run_all(exercise, answer, exercise.draw())
    return [running.Outcome(answer() if callable(answer) else answer)]


@pytest.mark.parametrize("exercise", BUILDS)
def test_build_exercises_are_complete(exercise):
    assert len(exercise.wrong) >= 3
    assert exercise.alternative is not None
    assert len(exercise.draw()) >= 24
    assert len(exercise.hints) >= 2
    assert exercise.by_hand, "one case worked by hand belongs to every build"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_names_numbers_and_hints(exercise):
    same = [p.values[0] for p in EXERCISES if p.values[0].number == exercise.number]
    assert same == [exercise], "two exercises share a number"
    assert exercise.name.isidentifier() and exercise.hints
    assert exercise.kind in ("predict", "measure", "build", "further")
    assert 1 <= exercise.difficulty <= 3 and exercise.points >= 1


@pytest.mark.parametrize("exercise", BUILDS)
def test_a_reference_never_fails_and_has_the_gradient_that_is_asked(exercise):
    """Else any answer that fails, or loses the gradient, would agree with it."""
    for outcome in grading._run_all(exercise, exercise.reference, exercise.draw()):
        assert outcome.error is None and outcome.changed is None
        assert all(g is not None for g in outcome.gradients or ())


@pytest.mark.parametrize("exercise", BUILDS)
def test_by_hand_values_hold_for_the_reference(exercise):
    for args, expected in exercise.by_hand:
        probed = grading.seen(exercise, exercise.reference)
        got = probed(*copy.deepcopy(args))
        assert grading.difference(expected, got, exercise.tolerance) is None


@pytest.mark.parametrize("exercise", BUILDS)
def test_mutants_are_refused(exercise):
    total, survivors = 0, []
    for label, mutant in mutants(exercise.reference):
        total += 1
        if grading.grade(exercise, mutant, seconds=2.0).status != "passed":
            continue
        # Right numbers of another kind, such as 6 / 2 for 6 // 2, are no wrong answer.
        strict = dataclasses.replace(exercise, exact_type=True)
        if grading.grade(strict, mutant, seconds=2.0).status == "passed":
            survivors.append(label)
    assert total >= 5, "too few mutants to say anything"
    unexplained = set(survivors) - set(exercise.survivors)
    assert not unexplained, f"survive without a reason: {sorted(unexplained)}"
    stale = set(exercise.survivors) - set(survivors)
    assert not stale, f"listed as survivors but refused: {sorted(stale)}"
    assert len(survivors) <= 0.1 * total, f"{len(survivors)} of {total} survive"


@pytest.mark.parametrize("exercise", BUILDS)
def test_the_answer_stands_in_no_chapter_module(exercise):
    """No public function of the library would pass as an answer.

    But for the place of a core function itself: it is what the answer replaces.
    """
    arguments = len(exercise.draw()[0])
    for name in LIBRARY:
        # A copy: a function that warns leaves a registry in its module's namespace.
        for function in list(vars(import_module(name)).values()):
            if not inspect.isfunction(function) or function.__name__[0] == "_":
                continue
            if exercise.place and function is exercise.reference:
                continue
            if len(inspect.signature(function).parameters) != arguments:
                continue
            result = grading.grade(exercise, function, seconds=5.0)
            assert result.status != "passed", f"{name}.{function.__name__} passes"


@pytest.mark.parametrize("question", QUIZZES)
def test_quiz_questions(question):
    right = [o for o in question.options if o.correct]
    assert len(right) == 1
    assert 3 <= len(question.options) <= 6
    for option in question.options:
        assert len(option.why.split()) >= 3, f"no explanation for {option.text!r}"
        assert "$" not in question.prompt + option.text + option.why, "TeX in a quiz"
    if question.value is not None:
        assert question.form.format(question.value()) in right[0].text


@pytest.mark.parametrize("module", MODULES)
def test_a_quiz_has_four_to_six_questions(module):
    assert 4 <= len(import_module(f"lib.exercises.{module}").QUIZ) <= 6


# ------------------------------------------------------------ the frame on a toy


def halve(x):
    """Half of each number."""
    return x / 2


def halve_in_place(x):
    x /= 2
    return x


def double(x):
    return x * 2


TOY = Exercise(
    name="halve", number="00.9", kind="build", minutes=1, difficulty=1, points=1,
    task="Halve.", reference=halve, alternative=lambda x: 0.5 * x,
    wrong=(Wrong(double, "you doubled"),), hints=("think",),
    cases=lambda rng, size: (tensor(rng, size, 2),),
    by_hand=(((torch.tensor([4.0]),), torch.tensor([2.0])),),
    gradient=(0,),
    properties=(Property("zero stays zero",
                         lambda mine, x: not mine(torch.zeros(1)).any()),),
)  # fmt: skip


def refuse_float(x):
    return [v / 2 for v in x.flatten().tolist()]


def lost(x):
    return torch.tensor((x / 2).tolist())


def detached(x):
    return x.detach() / 2


def crash(x):
    y = x / 2
    return y[99999]


def endless(x):
    while True:
        x = x + 0


def swallow(x):
    while True:
        try:
            x = x + 0
        except Exception:
            pass


def nan(x):
    return x / 0 * 0


def shaped(x):
    return (x / 2).flatten()[:1]


def wide(x):
    return (x / 2).double()


def constant(x):
    return torch.tensor([2.0])


def forgets(x):
    x = x / 2


def slightly(x):
    return x / 2 + (x > 0.9) * 0.1


def takes_two(x, y):
    return x / 2


def not_yet(x):
    """A docstring is no attempt."""
    ...


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (halve, "passed", "right on all 25 cases"),
        (not_yet, "not attempted", "not attempted yet"),
        (..., "not attempted", "not attempted yet"),
        (lambda x: ..., "not attempted", "not attempted yet"),
        (double, "refused", "you doubled"),
        (halve_in_place, "refused", "changes its input 0"),
        (refuse_float, "refused", "a tensor is asked, yours is of type list"),
        (lost, "refused", "gradient is lost"),
        (detached, "refused", "gradient is lost"),
        (crash, "refused", "line 3 of your function, `return y[99999]`: IndexError"),
        (nan, "refused", "NaN"),
        (shaped, "refused", "shape"),
        (wide, "refused", "dtype torch.float32 is asked, yours is torch.float64"),
        (constant, "refused", "returns the same for every input"),
        (forgets, "refused", "is a `return` missing?"),
        (slightly, "refused", "The smallest failing input"),
        (takes_two, "refused", "could not be called"),
        (42, "refused", "a function is asked"),
    ],
)
def test_the_frame_says_what_is_wrong(answer, status, words):
    result = grading.grade(TOY, answer)
    assert result.status == status
    assert words in result.message


def zero(x):
    return 0


def leaves(x):
    sys.exit(1)


def ellipsis_inside(x):
    y = ...
    return y


def part(x):
    return x[99999]


def fails_in_a_part(x):
    halves = [part(v) for v in [x]]
    return halves[0]


def fails_on_zeros(x):
    return x / 2 if x.any() else x[99999]


def listed_in_itself(x):
    found = []
    found.append(found)
    return found


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (zero, "returns the same for every input: 0"),
        (leaves, "SystemExit: 1"),
        (ellipsis_inside, "a part is left to fill in"),
        (fails_in_a_part, "line 2 of your `part`, `return x[99999]`: IndexError"),
        (fails_on_zeros, "zero stays zero. There line 2 of your function"),
        (listed_in_itself, "a tensor is asked, yours is of type list"),
        (lambda x: Pair(x, 1), "a tensor is asked, yours is of type Pair"),
        (lambda x: x.max(0), "a tensor is asked, yours is of type max"),
        (lambda x: (v for v in x), "yours is of type generator"),
        (lambda x: 10**5000, "that cannot be shown"),
        (lambda x: torch.empty(x.shape, device="meta"), "yours is on meta"),
        (Pair, "could not be called"),
    ],
)
def test_whatever_is_answered_is_met_in_words(answer, words):
    result = grading.grade(dataclasses.replace(TOY, gradient=()), answer)
    assert result.status == "refused"
    assert words in result.message


def swallow_all(x):
    while True:
        try:
            x = x + 0
        except:  # noqa: E722
            pass


@pytest.mark.parametrize("answer", [endless, swallow, swallow_all])
def test_an_endless_loop_is_ended(answer):
    begin = time.monotonic()
    result = grading.grade(TOY, answer, seconds=0.5)
    assert "no answer after 0.5 s" in result.message
    assert time.monotonic() - begin < 30  # hangs are caught, speed is not judged


def waits_and_tries_again(x):
    while True:
        try:
            time.sleep(0.05)
            return x / undefined_name  # noqa: F821
        except:  # noqa: E722
            pass


def waits_in_c(x):
    time.sleep(8)
    return x / 2


@pytest.mark.parametrize("answer", [waits_and_tries_again, waits_in_c])
def test_an_answer_that_nobody_can_end_is_left_behind_and_told(answer):
    result = grading.grade(TOY, answer, seconds=0.3)
    assert result.status == "refused" and "no answer after 0.3 s" in result.message
    assert "It was stopped" in result.message or "still runs" in result.message
    assert grading.grade(TOY, halve).status == "passed"  # the next one is graded


class Own(BaseException):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Slow:
    def __repr__(self):
        while True:
            pass


class Hidden:
    def __getattribute__(self, name):
        raise RuntimeError(name)


def raises(error):
    def answer(x):
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raises(Own("mine")), "Own: mine"),
        (raises(GeneratorExit()), "GeneratorExit"),
        (raises(KeyboardInterrupt()), "KeyboardInterrupt"),
        (raises(Mute()), "Mute: (an exception that cannot be shown)"),
        (raises(ValueError("long " * 10**6)), "(cut: "),
        (raises(ValueError("red \x1b[31m")), "red \N{REPLACEMENT CHARACTER}[31m"),
        (lambda x: Slow(), "no answer after"),
    ],
)
def test_nobodys_exception_escapes_and_no_message_is_endless(answer, words):
    exercise = dataclasses.replace(TOY, gradient=())
    result = grading.grade(exercise, answer, seconds=1.0)
    assert result.status == "refused"
    assert words in result.message
    assert len(result.message) < grading.LONGEST + 100


def test_an_answer_without_a_class_is_no_function():
    assert "a function is asked" in grading.grade(TOY, Hidden()).message


class Compares:
    def __eq__(self, other):
        raise KeyboardInterrupt

    __hash__ = None


class Hides:
    def __getattribute__(self, name):
        raise SystemExit(3)


class Shows:
    def __repr__(self):
        raise GeneratorExit


@pytest.mark.parametrize("kind", [Compares, Hides, Shows])
def test_a_value_that_raises_where_it_is_looked_at_is_refused(kind):
    result = grading.grade(TOY, lambda x: kind())
    assert result.status == "refused"


def test_a_check_gives_settings_back(tmp_path):
    def careless(x):
        os.chdir(tmp_path)
        sys.setrecursionlimit(5000)
        sys.path.insert(0, "nowhere")
        torch.set_num_threads(3)
        torch.set_default_device("meta")
        torch.autograd.set_detect_anomaly(True)
        torch.use_deterministic_algorithms(True)
        np.seterr(all="raise")
        warnings.simplefilter("ignore")
        gc.disable()
        os.environ["A_NAME_OF_ITS_OWN"] = "1"
        del os.environ["PATH"]
        sys.stderr = sys.excepthook = None
        np.set_printoptions(precision=1)
        return x

    def settings():
        return (
            os.getcwd(), sys.getrecursionlimit(), list(sys.path),
            torch.get_num_threads(), torch.get_default_device(),
            torch.is_anomaly_enabled(), torch.are_deterministic_algorithms_enabled(),
            np.geterr(), list(warnings.filters), gc.isenabled(),
            dict(os.environ), sys.stderr, sys.excepthook, np.get_printoptions(),
        )  # fmt: skip

    before = settings()
    assert grading.grade(TOY, careless).status == "refused"
    assert settings() == before


COUNT = dataclasses.replace(
    TOY, reference=lambda n: n * 10**6, wrong=(), gradient=(), properties=(),
    cases=lambda rng, size: (rng.randint(1, 9) * size,), by_hand=(((3,), 3000000),),
)  # fmt: skip
VALUE = dataclasses.replace(COUNT, reference=lambda: 128, cases=None)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda n: n * 1000000 + 1, "refused"),  # counts are exact, however large
        (lambda n: np.int64(n * 1000000), "passed"),
        (lambda n: np.array(n * 1000000), "passed"),
        (lambda n: torch.tensor(n * 1000000), "passed"),
        (lambda n: n * 1e6, "passed"),
        (lambda n: n * 1e6 + 0.5, "refused"),
        (lambda n: 10**5000, "refused"),
    ],
)
def test_whole_numbers_are_exact_in_whatever_they_come(answer, status):
    assert grading.grade(COUNT, answer).status == status


@pytest.mark.parametrize(
    "value", [128, 128.0, "128", np.float64(128), torch.tensor(128.0)]
)
def test_a_right_value_passes_in_whatever_it_comes(value):
    assert grading.grade(VALUE, value).status == "passed"


@pytest.mark.parametrize(
    "value", [127, 128.5, "a hundred", "127", [128], True, math.nan, zero]
)
def test_a_wrong_value_is_refused(value):
    assert grading.grade(VALUE, value).status == "refused"


def test_an_input_changed_inside_a_tuple_is_seen():
    def change(pair):
        pair[0].add_(1)
        return pair[0]

    exercise = dataclasses.replace(
        COUNT, reference=lambda pair: pair[0] + 1, by_hand=(),
        cases=lambda rng, size: ((tensor(rng, 2), size),),
    )  # fmt: skip
    assert "changes its input 0" in grading.grade(exercise, change).message


def test_a_check_leaves_no_trace_and_is_not_misled():
    def careless(x):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        return double(x)

    def draw():
        return torch.rand(1).item(), random.random(), np.random.random()

    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = draw()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    with grading.undisturbed():
        careless(torch.ones(1))
    assert draw() == expected
    assert grading.grade(TOY, careless).status == "refused"
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    with torch.no_grad():  # a chapter may have turned gradients off
        assert "gradient is lost" in grading.grade(TOY, detached).message
    with torch.inference_mode():
        assert grading.grade(TOY, halve).status == "passed"


def test_prints_of_an_answer_are_cut(capsys):
    def talks(x):
        print("x" * 90)
        return x / 2

    assert grading.grade(TOY, talks).status == "passed"
    out = capsys.readouterr().out
    assert out.startswith("x" * 90) and "not shown" in out
    assert len(out) < 2 * running.PRINTED


def test_large_values_are_shown_short():
    shown = grading.short(torch.zeros(1000, 1000))
    assert shown.startswith("tensor(1000, 1000) float32 [0.0, ") and len(shown) == 240
    assert grading.short((1, [2.0000001], torch.tensor([True]))) == (
        "(1, [2.0], tensor(1,) bool [True])"
    )


def test_a_broken_property_is_named():
    def holds_on_cases_only(x):
        return x / 2 if x.numel() > 1 or x.any() else x + 1

    result = grading.grade(TOY, holds_on_cases_only)
    assert result.message == "one thing does not hold: zero stays zero"


class Keeps:
    """What a function returns says nothing; what it leaves behind does."""

    def __init__(self):
        self.sum = 0


def add(kept, x):
    kept.sum = kept.sum + x


def probed(mine, x):
    kept = Keeps()
    mine(kept, x)
    mine(kept, 1)
    return kept.sum


PROBED = dataclasses.replace(
    COUNT, reference=add, probe=probed, by_hand=(((2,), 3),),
    wrong=(Wrong(lambda kept, x: setattr(kept, "sum", x), "you replace"),),
)  # fmt: skip


def forgets_to_add(kept, x):
    pass


def adds_to_nothing(kept, x):
    kept.total = kept.total + x


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (add, "right on all"),
        (lambda kept, x: setattr(kept, "sum", x + kept.sum), "right on all"),
        (lambda kept, x: setattr(kept, "sum", 0 + x), "you replace"),
        (forgets_to_add, "not attempted"),
        (adds_to_nothing, "line 2 of your function, `kept.total = kept.total + x`"),
        (lambda x: x, "could not be called"),
    ],
)
def test_what_a_probe_sees_is_compared(answer, words):
    assert words in grading.grade(PROBED, answer).message


def test_the_smallest_failing_input_is_shown():
    def wrong_if_three_rows(x):
        return x / 2 if x.shape[0] < 3 else x / 3

    message = grading.grade(TOY, wrong_if_three_rows).message
    assert "tensor(3, 2)" in message


def test_unknown_ids_are_refused_with_the_known_ones():
    for name, said in (
        (len, "the id comes first"),
        ("data.uncenter", "'data.uncentre'"),
    ):
        with pytest.raises(ValueError, match=said):
            find(name)
    for name in ("nothing.here", "grading.here", "01_data.uncentre", ""):
        with pytest.raises(ValueError, match="an id is 'chapter.name'"):
            find(name)
    if MODULES:
        with pytest.raises(ValueError, match="there are"):
            find(f"{MODULES[-1]}.nothing")


def test_mutants_change_one_thing():
    labels = [label for label, _ in mutants(halve)]
    assert labels == ["line 3: `x / 2` -> `x * 2`", "line 3: `2` -> `3`"]
