"""What a chapter calls: one line of setup, live sources, results a collector reads."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import lib
from lib.basics import training
from lib.book import course, notebook, pages
from lib.book.records import RECORDS
from lib.exercises import Option, Question, data, of_chapter


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, as a list of MIME bundles."""
    bundles = []
    monkeypatch.setattr(pages, "display", lambda b, raw: bundles.append(b))
    monkeypatch.setattr(notebook, "display", lambda b, raw: bundles.append(b))
    RECORDS.clear()
    return bundles


def test_setup_prints_one_line_and_seeds(capsys):
    device = notebook.setup("01_data", seed=3)
    first = torch.rand(2)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert (
        "01_data" in line and "seed 3" in line and f"torch {torch.__version__}" in line
    )
    assert device.type in ("cpu", "cuda")
    notebook.setup("01_data", seed=3)
    assert torch.equal(first, torch.rand(2))


@pytest.mark.parametrize(
    ("first", "late"), [("import lib, torch", False), ("import torch, lib", True)]
)
def test_setup_says_if_torch_came_first(first, late):
    code = f"{first}; from lib.book import notebook; notebook.setup('01_data')"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ("torch came before lib" in run.stdout) == late


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_threads_respect_the_cgroup(tmp_path, monkeypatch, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    root = "/sys/fs/cgroup/"
    monkeypatch.setattr(lib, "Path", lambda p: tmp_path / p.removeprefix(root))
    assert lib.cpu_quota() == quota
    monkeypatch.setattr(lib.os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert lib.cpus() == (8 if quota is None else int(quota))


def test_show_prints_the_live_source_with_its_place(shown):
    notebook.show(training.warmup_cosine)
    text = shown[0]["text/plain"]
    assert text.startswith("# lib/basics/training.py, line ")
    line = int(text.splitlines()[0].split()[-1])
    file = lib.ROOT / "lib" / "basics" / "training.py"
    source = file.read_text(encoding="utf-8").splitlines()
    assert source[line - 1] == text.splitlines()[1]
    assert "<figcaption>" in shown[0]["text/html"]


def test_a_folded_source_is_closed_and_its_text_keeps_the_secret(shown):
    notebook.show(training.warmup_cosine, folded=True)
    text, page = shown[0]["text/plain"], shown[0]["text/html"]
    assert text.startswith("# lib/basics/training.py, line ")
    assert "warmup_cosine, folded" in text and "def " not in text
    assert page.startswith("<details><summary>") and page.endswith("</details>")
    assert "warmup_cosine" in page and "<details open" not in page


@pytest.mark.parametrize("thing", [len, 3, "text", torch.relu, None])
def test_what_has_no_source_is_refused_by_name(thing):
    with pytest.raises(ValueError, match="has no source to show"):
        notebook.show(thing)


def test_a_table_is_a_page_and_plain_text(shown):
    notebook.table(("model", "MB"), [("D0", 15.5), ("a<b", 3)])
    assert shown[0]["text/plain"] == "model  MB\nD0     15.5\na<b    3"
    assert '<td style="text-align:left">a&lt;b</td>' in shown[0]["text/html"]
    assert shown[0]["text/html"].count('scope="col"') == 2


def some_build():
    return next(e for e in data.EXERCISES if e.kind == "build" and not e.place)


def test_check_leaves_a_json_result(shown):
    exercise = some_build()
    name = f"data.{exercise.name}"
    notebook.check(name, ...)
    notebook.check(name, exercise.wrong[0].answer)
    notebook.check(name, exercise.reference)
    records = [b[notebook.RESULT_MIME] for b in shown]
    assert [r["status"] for r in records] == ["not attempted", "refused", "passed"]
    assert [r["attempts"] for r in records] == [0, 1, 2]
    assert [r["points"] for r in records] == [0, 0, exercise.points]
    assert records[1]["wrong"] == exercise.wrong[0].answer.__name__
    assert records[0]["schema"] == 1 and records[2]["id"] == name
    assert exercise.wrong[0].message in shown[1]["text/plain"]
    json.dumps(records)


def test_the_json_result_stands_in_a_notebook():
    name = f"data.{some_build().name}"
    cell = f"from lib.book.notebook import check\ncheck({name!r}, ...)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    record = book.cells[0].outputs[0].data[notebook.RESULT_MIME]
    assert record["id"] == name and record["passed"] is False


def test_hints_come_in_steps(shown):
    exercise = some_build()
    for _ in range(len(exercise.hints) + 1):
        notebook.hint(f"data.{exercise.name}")
    texts = [b["text/plain"] for b in shown]
    for step, words in enumerate(exercise.hints):
        assert words in texts[step]
    assert texts[-1] == texts[-2]
    assert "solution(" in texts[-1] and "solution(" not in texts[0]


def test_solution_shows_reference_and_alternative(shown):
    exercise = some_build()
    notebook.solution(f"data.{exercise.name}")
    text = "\n".join(b["text/plain"] for b in shown)
    assert f"def {exercise.reference.__name__}" in text
    assert "Another right way" in text


QUESTIONS = (
    Question(
        "Is 1 < 2?", (Option("yes", "one is less", True), Option("no", "it <is>"))
    ),
)


def test_guesses_come_first_and_are_judged(shown, monkeypatch):
    with pytest.raises(ValueError, match="no guess of 'speed'"):
        notebook.measured("speed", 2.0)
    for name, mine in {"speed": 4, "size": None, "loss": 0, "rest": 1.05}.items():
        notebook.guess(name, mine)
    notebook.measured("speed", 2.0, "x")
    assert shown[-1]["text/plain"] == ("speed: measured 2 x; too high by a factor of 2")
    notebook.measured("size", 3)
    notebook.measured("loss", 0.02)
    notebook.guesses()
    rows = shown[-1]["text/plain"].splitlines()
    assert [row.split() for row in rows[1:]] == [
        "speed 4 x 2 x too high by a factor of 2".split(),
        "size 3 no guess".split(),
        "loss 0 0.02 off by 0.02".split(),
        "rest 1.05 not measured".split(),
    ]
    notebook.measured("rest", 1.0)
    assert "within a tenth" in shown[-1]["text/plain"]
    notebook.guess("speed", 4)  # the cell once more: nothing changes
    with pytest.raises(ValueError, match="measured already"):
        notebook.guess("speed", 2)
    for bad in ("2", True, float("nan")):
        with pytest.raises(ValueError, match="give a number"):
            notebook.guess("size", bad)


def test_quiz_folds_every_option_with_its_reason(shown, monkeypatch):
    monkeypatch.setattr(data, "QUIZ", QUESTIONS)
    monkeypatch.setenv("COURSE_STATIC", "1")
    notebook.quiz("data")
    assert len(shown) == 1
    page = shown[0]["text/html"]
    assert page.count("<details>") == 2
    assert "Is 1 &lt; 2?" in page and "it &lt;is&gt;" in page
    assert "<script" not in page


def test_a_quiz_without_ipywidgets_shows_the_folded_questions(shown, monkeypatch):
    monkeypatch.setattr(data, "QUIZ", QUESTIONS)
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # its import fails
    notebook.quiz("data")
    assert len(shown) == 1 and "Is 1 &lt; 2?" in shown[0]["text/html"]


def test_a_live_quiz_answers_a_click(shown, monkeypatch):
    monkeypatch.setattr(data, "QUIZ", QUESTIONS)
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    boxes = []
    made = notebook.widgets.questions
    monkeypatch.setattr(
        notebook.widgets,
        "questions",
        lambda *a: boxes.append(made(*a)) or boxes[0],
    )
    notebook.quiz("data")
    (question,) = boxes[0].children
    prompt, buttons, reply = question.children
    assert "1. Is 1 &lt; 2?" in prompt.value and reply.value == ""
    assert buttons.value is None
    buttons.value = 1
    assert "✗ No." in reply.value and "it &lt;is&gt;" in reply.value
    buttons.value = 0
    assert "✓ Right." in reply.value and "one is less" in reply.value
    assert RECORDS.choices == {"data": {"1": 0}}
    live, still = shown
    assert live["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert still["text/html"].count("<details>") == 2


def test_a_quiz_shows_code_as_code_and_no_backtick(shown, monkeypatch):
    """Not in a prompt, an option, a reason; neither live nor folded; in no chapter."""
    for name in course.names():
        for question in of_chapter(name[3:]).QUIZ:
            monkeypatch.setattr(data, "QUIZ", (question,))
            monkeypatch.setenv("COURSE_STATIC", "1")
            notebook.quiz("data")
            assert "`" not in shown[-1]["text/html"]
            options = [(o.text, o.correct, o.why) for o in question.options]
            (box,) = notebook.widgets.questions([(question.prompt, options)]).children
            prompt, buttons, reply = box.children
            assert "`" not in prompt.value + "".join(buttons._options_labels)
            for i in range(len(options)):
                buttons.value = i
                assert "`" not in reply.value


def test_a_measured_run_ends_with_every_slider_drawn_again(shown, monkeypatch):
    monkeypatch.setattr(data, "QUIZ", QUESTIONS)
    monkeypatch.setenv("COURSE_STATIC", "1")
    monkeypatch.setattr(notebook.widgets, "broken", lambda: ["slider w is broken"])
    monkeypatch.delenv("COURSE_USAGE", raising=False)
    notebook.quiz("data")
    monkeypatch.setenv("COURSE_USAGE", "some folder")
    with pytest.raises(RuntimeError, match="slider w is broken"):
        notebook.quiz("data")


def test_usage_is_left_where_asked(tmp_path):
    cells = ["from lib.book.notebook import setup\nsetup('09_toy')", "1 + 1", "2 + 2"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    env = {**os.environ, "COURSE_USAGE": str(tmp_path)}
    NotebookClient(book, timeout=120, kernel_name="python3").execute(env=env)
    usage = json.loads((tmp_path / "09_toy.json").read_text(encoding="utf-8"))
    assert usage["cells"] == 3
    assert usage["cpu_seconds"] > 0.1
    assert usage["peak_bytes"] > 50e6
