"""Chapter 15's NMS wrong, then right, and the milestone of 16 that runs on it."""

import pytest

pytest.importorskip("selenium", reason="make browser-test installs it")

from tests.browser import lab  # noqa: E402
from tests.browser.test_build import shots  # noqa: E402, F401

ASKS = 'build("decoding.greedy"'
WRONG = f"""def greedy(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    stay = []
    for place, i in enumerate(order):
        if all(iou[i][j] <= threshold for j in order[:place]):
            stay.append(i)
    return stay


{ASKS}, greedy)"""
RIGHT = WRONG.replace("in order[:place]", "in stay")
MILESTONE = "with milestone(10, 16)"


def test_nms_wrong_then_right_and_the_milestone_of_chapter_16_runs_on_it(
    tmp_path,
    shots,  # noqa: F811
):
    work = tmp_path / "work"
    file = lab.copy_chapter("15_decoding", work)
    with lab.server(work) as address, lab.page() as driver:
        notebook = lab.Notebook(driver, address, file)
        notebook.run("import lib")
        notebook.run("setup(")
        notebook.type(ASKS, WRONG)
        said = notebook.run(ASKS)
        notebook.picture(shots / "15-wrong.png")
        assert "not yet" in said and "compare with those that stayed only" in said

        notebook.type(ASKS, RIGHT)
        said = notebook.run(ASKS)
        notebook.picture(shots / "15-right.png")
        assert "passed" in said and "runs on your greedy" in said

        # Another chapter, another kernel: what was kept is brought in there.
        file = lab.copy_chapter("16_coco_eval", work)
        notebook = lab.Notebook(driver, address, file)
        for cell in ("import lib", "setup(", "def loss_of"):
            notebook.run(cell)
        said = notebook.run(MILESTONE)
        notebook.picture(shots / "16-milestone.png")
        assert "decoding.greedy: yours" in said
        assert "1 of" in said and "are yours, called" in said and "AP 0." in said
