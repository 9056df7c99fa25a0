"""An answer that is right and fits its machine is what `lib` calls, from then on."""

import dataclasses
import multiprocessing
import os
import subprocess
import sys

import pytest
import torch

import lib
from lib.book import answers, notebook, pages
from lib.book.records import RECORDS
from lib.detection import bifpn
from lib.exercises import Exercise, Wrong, building, grading, kept, places, tensor
from tests.cells import Notebook

ID = "bifpn.fast_fusion"
RIGHT = """
def fast_fusion(x, weights, eps=1e-4):
    clipped = weights.clamp(min=0)
    shares = clipped / (clipped.sum() + eps)
    return sum(share * one for share, one in zip(shares, x))
"""
WRONG = """
def fast_fusion(x, weights, eps=1e-4):
    shares = weights / (weights.sum() + eps)
    return sum(share.clamp(min=0) * one for share, one in zip(shares, x))
"""


def late_clip(x, weights, eps=1e-4):
    shares = (weights / (weights.sum() + eps)).clamp(min=0)
    return sum(share * one for share, one in zip(shares, x, strict=True))


def pyramid():
    """Two BiFPN layers over three levels, on a picture, and on the meta device."""
    levels = [torch.ones(1, 4, side, side) for side in (8, 4, 2)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = bifpn.BiFPN([4, 4, 4], 4, 2, levels=3).eval()
    with torch.no_grad():
        out = model(levels)
    with torch.device("meta"):
        bifpn.BiFPN([4, 4, 4], 4, 1, levels=3)([x.to("meta") for x in levels])
    return out


CALLS = 3 * 4  # nodes of three levels: P4 td, P3, P4, P5; two layers, then one
EXERCISE = Exercise(
    name="fast_fusion",
    number="11.0",
    kind="build",
    minutes=5,
    difficulty=1,
    points=2,
    task="fuse",
    reference=bifpn.fast_fusion,
    wrong=(Wrong(late_clip, "you divided before you clipped"),),
    hints=("clip first", "then divide"),
    cases=lambda rng, size: (
        [tensor(rng, 2, size) for _ in range(size + 1)],
        tensor(rng, size + 1),
    ),
    by_hand=(
        (
            ([torch.tensor(2.0), torch.tensor(6.0)], torch.tensor([1.0, 3.0])),
            torch.tensor(20 / 4.0001),
        ),
    ),
    place="detection.bifpn.fast_fusion",
    machine="the pyramid",
    machine_case=pyramid,
    milestone_calls=40,
)


@pytest.fixture(autouse=True)
def core(monkeypatch, tmp_path):
    """The one core function of these tests, in a folder of its own."""
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    monkeypatch.setattr(kept, "graded_afresh", lambda identifier, file: "")
    for module in (building, answers):
        monkeypatch.setattr(module, "find", lambda _: EXERCISE)
    monkeypatch.setattr(answers, "core", lambda: {ID: EXERCISE})
    RECORDS.clear()
    building._of_ours.clear()
    yield tmp_path
    places.restore()
    RECORDS.clear()


@pytest.fixture
def said(monkeypatch):
    bundles = []
    monkeypatch.setattr(pages, "display", lambda b, raw: bundles.append(b))
    return bundles


def answer(cell: str):
    notebook = Notebook()
    notebook.run("import torch")
    return notebook.run(cell)["fast_fusion"]


def test_a_right_answer_is_called_by_the_machine_and_counted(core):
    ours = bifpn.fast_fusion
    built = building.build(ID, answer(RIGHT))
    assert built.result.status == "passed" and built.adopted and built.version == 1
    assert bifpn.fast_fusion is not ours
    with torch.no_grad():
        mine = pyramid()
    assert places.adopted(ID).calls == CALLS
    places.restore(ID)
    assert bifpn.fast_fusion is ours
    for a, b in zip(mine, pyramid(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert (core / "yours" / f"{ID}.py").read_text("utf-8").startswith("def fast")


@pytest.mark.parametrize(
    ("cell", "status", "words"),
    [
        (WRONG, "refused", "you divided before you clipped"),
        ("def fast_fusion(x, weights, eps=1e-4):\n    ...",
            "not attempted", "not",),
        (
            "from lib.detection import bifpn\ndef fast_fusion(x, weights, eps=1e-4):\n"
            "    return bifpn.fast_fusion(x, weights, eps)",
            "refused", "calls the course's own fast_fusion",
        ),
        (
            "from lib.detection.bifpn import fast_fusion as g\n"
            "def fast_fusion(x, weights, eps=1e-4):\n"
            "    try:\n        return g(x, weights, eps)\n"
            "    except BaseException:\n        return x[0]",
            "refused", "calls the course's own fast_fusion",
        ),
        (
            "from lib.detection.bifpn import FastFusion\n"
            "def helper(x, w):\n    f = FastFusion(len(x))\n    f.weights.data = w\n"
            "    return f(x).detach()\n"
            "def fast_fusion(x, weights, eps=1e-4):\n    return helper(x, weights)",
            "refused", "calls the course's own fast_fusion",
        ),
        (
            RIGHT.replace("weights", "w"),
            "misfit", r"the machine calls it with (x, weights, eps), yours has (x, w,",
        ),
        (
            RIGHT.replace("1e-4", "1e-3").replace("+ eps", "+ 1e-4"),
            "misfit", "eps has the default 0.0001 in the stub, yours 0.001",
        ),
        (
            RIGHT.replace("eps=1e-4", "eps"),
            "refused", "missing 1 required positional argument: 'eps'",
        ),
        (
            RIGHT.replace("eps=1e-4", "eps=1e-4, *, mean=False"), "passed", "right",
        ),
    ],
)  # fmt: skip
def test_what_is_not_adopted_says_why_and_takes_back(cell, status, words):
    ours = bifpn.fast_fusion
    assert building.build(ID, answer(RIGHT)).adopted
    built = building.build(ID, answer(cell))
    assert words in built.result.message
    assert built.adopted == (status == "passed")
    # An answer that is right but does not fit has its points all the same.
    assert built.result.status == status.replace("misfit", "passed")
    assert (bifpn.fast_fusion is ours) == (not built.adopted)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        # On the meta device a number cannot be read: only the machine finds that.
        ("    if float(weights.sum()) > 1e9:\n        return x[0]\n", "cannot run in"),
        ("    assert len(x) < 3\n", "line 2 of your function, `assert len(x) < 3`"),
        ("    if x[0].ndim == 4:\n        return x[0] * 0\n", "something else"),
    ],
)
def test_right_on_the_cases_is_not_yet_right_in_the_machine(body, words, monkeypatch):
    head, _, rest = RIGHT.lstrip().partition("\n")
    cases = dataclasses.replace(
        EXERCISE, cases=lambda rng, size: ([tensor(rng, 2)] * 2, tensor(rng, 2))
    )
    monkeypatch.setattr(building, "find", lambda _: cases)
    built = building.build(ID, answer(f"import torch\n{head}\n{body}{rest}"))
    assert not built.adopted and built.result.status == "passed"
    assert built.result.message.startswith("right") and words in built.result.message


def test_far_slower_is_said_and_adopted_only_on_request():
    """A clock that stands still but in the learner's calls."""
    now = [0.0]

    def clock():
        return now[0]

    slow = answer(RIGHT)

    def fast_fusion(x, weights, eps=1e-4):
        now[0] += 0.5
        return slow(x, weights, eps)

    fast = bifpn.fast_fusion

    def timed(x, weights, eps=1e-4):
        now[0] += 0.01
        return fast(x, weights, eps)

    places._ours[EXERCISE.place] = timed
    try:
        built = building.build(ID, fast_fusion, clock=clock)
        assert not built.adopted and built.result.status == "passed"
        # 40 calls of 0.5 s where ours takes 0.01 s: 50 times, and 20 s.
        assert "50 times slower" in built.result.message
        assert "would take 20 s" in built.result.message
        assert "slow=True" in built.result.message
        built = building.build(ID, fast_fusion, slow=True, clock=clock)
        assert built.adopted and built.slower == pytest.approx(50)
    finally:
        places.restore()
        places._ours[EXERCISE.place] = fast


def test_an_error_in_an_adopted_function_says_whose_it_is():
    cell = RIGHT.replace("clipped = ", "if len(x) > 9: x[99]\n    clipped = ")
    assert building.build(ID, answer(cell)).adopted
    with pytest.raises(IndexError) as caught:
        bifpn.fast_fusion([torch.zeros(1)] * 10, torch.zeros(10))
    (note,) = caught.value.__notes__
    assert f"your {ID}" in note and "if len(x) > 9: x[99]" in note
    assert f'restore("{ID}")' in note


def test_grading_solutions_and_quiz_see_the_courses_own(said):
    ours = bifpn.fast_fusion
    seen = []
    cell = RIGHT.replace("clipped = ", "SEEN.append(1)\n    clipped = ")
    notebook_ = Notebook()
    notebook_.names["SEEN"] = seen
    built = building.build(ID, notebook_.run(cell)["fast_fusion"])
    assert built.adopted
    seen.clear()
    notebook.show(bifpn.fast_fusion)
    assert "class FastFusion" not in said[-1]["text/plain"]
    assert "F.relu(weights)" in said[-1]["text/plain"]
    answers.solution(ID)
    answers.hint(ID)
    assert building.judge(EXERCISE, answer(RIGHT)).status == "passed"
    with places.own():
        assert bifpn.fast_fusion is ours
        pyramid()
    assert grading.grade(EXERCISE, answer(RIGHT)).status == "passed"
    assert seen == []


def test_the_words_of_build(said):
    answers.build(ID, answer(RIGHT))
    assert "From now on the pyramid runs on your fast_fusion" in said[-1]["text/plain"]
    record = said[-1][answers.RESULT_MIME]
    assert record["adopted"] and record["points"] == 2 and record["attempts"] == 1
    pyramid()
    answers.yours()
    assert f"yours    {CALLS}" in said[-2]["text/plain"]
    assert "1 of 1 core functions are yours" in said[-1]["text/plain"]
    answers.build(ID, answer("def fast_fusion(x, weights, eps=1e-4):\n    pass"))
    assert "goes on with the course's own" in said[-1]["text/plain"]
    answers.restore()
    assert said[-1]["text/plain"] == "nothing was yours"
    assert RECORDS.answers[ID].points == 2 and RECORDS.answers[ID].attempts == 1


def test_check_of_a_core_function_grades_and_adopts_nothing(said):
    ours = bifpn.fast_fusion
    answers.check(ID, answer(RIGHT))
    assert said[-1][answers.RESULT_MIME]["passed"] and bifpn.fast_fusion is ours
    answers.check(ID, bifpn.fast_fusion)
    assert "calls the course's own" in said[-1]["text/plain"]


def test_what_cannot_be_kept_is_this_kernels_only(said, core):
    notebook_ = Notebook()
    notebook_.run("import torch\nnet = torch.nn.ReLU()")
    cell = RIGHT.replace("weights.clamp(min=0)", "net(weights)")
    answers.build(ID, notebook_.run(cell)["fast_fusion"])
    assert "not kept: net is of type ReLU" in said[-1]["text/plain"]
    answers.yours()
    assert "this kernel only: net is of type ReLU" in said[-2]["text/plain"]
    assert not (core / "yours").exists()


def test_versions_are_kept_and_one_can_go_back(said, core):
    answers.build(ID, answer(RIGHT))
    answers.build(ID, answer(RIGHT))  # the same text is no new version
    answers.build(ID, answer(RIGHT.replace("clipped", "w")))
    assert [kept.number(v) for v in kept.versions(ID)] == [1, 2]
    answers.yours(undo=ID)
    assert "as in version 1; kept as version 3" in said[-1]["text/plain"]
    assert "clipped" in kept.path(ID).read_text("utf-8")
    answers.yours(undo=ID, version=2)
    assert "clipped" not in kept.path(ID).read_text("utf-8")
    with pytest.raises(ValueError, match="has no version 9; there are: 1, 2, 3, 4"):
        answers.yours(undo=ID, version=9)


def test_a_new_kernel_loads_what_is_kept_and_still_right(said):
    answers.yours(load=True)
    assert "Nothing of yours is kept" in said[-1]["text/plain"]
    answers.build(ID, answer(RIGHT))
    answers.restore(ID)
    answers.yours()
    assert "waits in work/yours" in said[-2]["text/plain"]
    answers.yours(load=True)
    assert said[-1]["text/plain"] == f"{ID}: yours"
    pyramid()
    assert places.adopted(ID).calls == CALLS
    answers.restore(ID)
    kept.path(ID).write_text(WRONG, encoding="utf-8")
    answers.yours(load=True)
    assert "you divided before you clipped" in said[-1]["text/plain"]
    kept.path(ID).write_text("def fast_fusion(:", encoding="utf-8")
    answers.yours(load=True)
    assert "cannot be run: SyntaxError" in said[-1]["text/plain"]
    assert places.adopted(ID) is None


def _whose(queue):
    queue.put((len(places.adopted()), bifpn.fast_fusion.__module__))
    queue.put(bifpn.fast_fusion is places.ours(EXERCISE.place))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only spawn is there: tested below")
def test_a_forked_child_runs_the_courses_own():
    assert building.build(ID, answer(RIGHT)).adopted
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_whose, args=(queue,))
    child.start()
    child.join(120)
    assert queue.get() == (0, "lib.detection.bifpn") and queue.get()
    assert places.adopted(ID) is not None  # the parent's stands


def test_importing_the_library_loads_nothing_of_a_learner(core):
    folder = core / "yours"
    folder.mkdir()
    (folder / f"{ID}.py").write_text("raise SystemExit('loaded')", encoding="utf-8")
    code = (
        "from lib.book import notebook; from lib.detection import bifpn, detectors;"
        "from lib.exercises import places, building; notebook.setup('11_bifpn');"
        "print(len(places.adopted()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=lib.ROOT
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-2:] == [
        "kept from before: 1 functions; yours(load=True) adopts", "0",
    ]  # fmt: skip


def test_no_core_function_no_build(monkeypatch):
    monkeypatch.setattr(
        building, "find", lambda _: dataclasses.replace(EXERCISE, place=None)
    )
    with pytest.raises(ValueError, match='ask check\\("bifpn.fast_fusion"'):
        building.build(ID, answer(RIGHT))


def test_a_place_is_a_function_that_lib_has():
    with pytest.raises(ValueError, match="is no function or method"):
        places.owner("detection.bifpn.MOST_LEVELS")
    holder, name = places.owner("nas.controller.Learner.update")
    assert holder.__name__ == "Learner" and name == "update"
