"""Chapter 08 in a browser: REINFORCE wrong, then right, then its learning curve."""

import re

import pytest

pytest.importorskip("selenium", reason="make browser-test installs it")

from tests.browser import lab  # noqa: E402

ASKS = 'build("controller.reinforce_objective"'
WRONG = f"""def reinforce_objective(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean()


{ASKS}, reinforce_objective)"""
RIGHT = f"""def reinforce_objective(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).mean()


{ASKS}, reinforce_objective)"""
SEARCHES = "by_reinforce = searches("
CURVE = "means_drawn = {"
UPDATES = 30 * 400 // 20  # thirty searches of 400 samples, in batches of 20


def test_reinforce_wrong_then_right_and_its_learning_curve(tmp_path):
    shots = lab.course.BUILD / "browser"
    shots.mkdir(parents=True, exist_ok=True)
    work = tmp_path / "work"
    file = lab.copy_chapter("08_controller", work)
    with lab.server(work) as address, lab.page() as driver:
        notebook = lab.Notebook(driver, address, file)
        notebook.run("import lib")
        notebook.type(ASKS, WRONG)
        said = notebook.run(ASKS)
        notebook.picture(shots / "08-wrong.png")
        assert "not yet" in said and "The baseline is missing" in said

        notebook.type(ASKS, RIGHT)
        said = notebook.run(ASKS)
        notebook.picture(shots / "08-right.png")
        assert "passed" in said and "runs on your reinforce_objective" in said

        said = notebook.run(SEARCHES)
        row = re.search(r"controller\.reinforce_objective\s+yours\s+([\d,]+)", said)
        assert row and int(row[1].replace(",", "")) >= UPDATES

        said = notebook.run(CURVE)
        notebook.select(CURVE)
        notebook.picture(shots / "08-curve.png")
        words = r"draws cells of (0\.\d+) at first and of (0\.\d+) at last"
        first, last = map(float, re.search(words, said).groups())
        assert last > first + 0.05  # it has learned, and random search has not
