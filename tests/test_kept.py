"""A file counts only after a fresh process imported it and found it right."""

import os
import subprocess
import sys

import pytest

import lib
from lib.exercises import kept
from tests.cells import Notebook

ID = "bifpn.fast_fusion"
RIGHT = """
def fast_fusion(x, weights, eps=1e-4):
    clipped = weights.clamp(min=LEAST)
    shares = clipped / (clipped.sum() + eps)
    return sum(share * one for share, one in zip(shares, x))
"""


@pytest.fixture(autouse=True)
def work(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    return tmp_path


def test_right_ones_are_kept_and_others_leave_the_file_as_it_was(work):
    notebook = Notebook()
    notebook.run("LEAST = 0")
    answer = notebook.run(RIGHT)["fast_fusion"]
    assert kept.keep(ID, answer, "fast_fusion") == kept.Kept(1)
    text = kept.path(ID).read_text("utf-8")
    assert text.startswith("LEAST = 0\n") and kept.identifiers() == [ID]
    # What only a kernel remembers is missed by a fresh process.
    forgets = kept.keep_text(ID, text.replace("LEAST = 0\n", ""))
    assert "name 'LEAST' is not defined" in forgets.why and forgets.version is None
    wrong = kept.keep_text(ID, text.replace("LEAST = 0", "LEAST = -9"))
    assert wrong.why.startswith("a fresh process says: ")
    stops = kept.keep_text(ID, "raise SystemExit(3)\n" + text)
    assert "a fresh process failed with it" in stops.why
    assert kept.path(ID).read_text("utf-8") == text
    names = sorted(p.name for p in (work / "yours").rglob("*.*"))
    assert names == [f"{ID}.1.py", f"{ID}.py"]  # and nothing half-written


def test_the_fresh_process_sees_nothing_of_the_folder_it_stands_in(work):
    """A helper file of the learner's own is not there on another machine."""
    (work / "yours").mkdir()
    (work / "yours" / "helpers.py").write_text("LEAST = 0\n", "utf-8")
    text = "from helpers import LEAST\n" + RIGHT
    assert "No module named 'helpers'" in kept.keep_text(ID, text).why


@pytest.mark.parametrize("identifier", ["../x", "bifpn", "a.b/c", "", "bifpn.x.y"])
def test_a_file_is_named_by_an_id_and_stays_in_its_folder(identifier):
    with pytest.raises(ValueError, match="is no id"):
        kept.path(identifier)


def test_a_folder_that_cannot_be_written_is_told(work):
    (work / "yours").write_text("a file", "utf-8")
    saved = kept.keep_text(ID, RIGHT)
    assert saved.version is None and saved.why


def test_the_process_answers_in_one_line(work):
    file = work / "answer.py"
    file.write_text("fast_fusion = 3\n", "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "lib.exercises.kept", ID, str(file)],
        cwd=lib.ROOT, capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    assert '"passed": false' in run.stdout and "defines no function" in run.stdout
