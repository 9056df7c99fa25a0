"""Chapter 11 as a learner meets it: wrong, then right, adopted, kept, handed in."""

import json

import pytest

pytest.importorskip("selenium", reason="make browser-test installs it")

from tests.browser import lab  # noqa: E402

ASKS = 'build("bifpn.fast_fusion"'
WRONG = f"""def fast_fusion(x, weights, eps=1e-4):
    shares = weights / (weights.sum() + eps)
    shares = shares.clamp(min=0)
    return sum(share * one for share, one in zip(shares, x))


{ASKS}, fast_fusion)"""
RIGHT = f"""def fast_fusion(x, weights, eps=1e-4):
    clipped = weights.clamp(min=0)
    shares = clipped / (clipped.sum() + eps)
    return sum(share * one for share, one in zip(shares, x))


{ASKS}, fast_fusion)"""
MILESTONE = "bifpn.milestone"


@pytest.fixture
def shots(request, tmp_path_factory):
    """Where screenshots go: build/browser of the course."""
    folder = lab.course.BUILD / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_fusion_wrong_then_right_and_the_shipped_detector_runs_on_it(tmp_path, shots):
    work = tmp_path / "work"
    file = lab.copy_chapter("11_bifpn", work)
    with lab.server(work) as address, lab.page() as driver:
        notebook = lab.Notebook(driver, address, file)
        notebook.run_above(ASKS)
        notebook.type(ASKS, WRONG)
        said = notebook.run(ASKS)
        notebook.picture(shots / "11-wrong.png")
        assert "not yet" in said and "before you clip" in said

        notebook.type(ASKS, RIGHT)
        said = notebook.run(ASKS)
        notebook.picture(shots / "11-right.png")
        assert "passed" in said and "runs on your fast_fusion" in said
        assert "version 1" in said

        said = notebook.run(mark(notebook))
        notebook.picture(shots / "11-milestone.png")
        assert "AP" in said and "calls" in said

        notebook.restart()
        notebook.run("import lib")
        notebook.run("setup(")
        notebook.type("setup(", notebook.source("setup(") + "\nyours(load=True)")
        assert "bifpn.fast_fusion: yours" in notebook.run("setup(")
        notebook.type("setup(", notebook.source("setup(") + "\nsubmit('Ada')")
        notebook.type(ASKS, RIGHT)
        notebook.run(ASKS)
        assert "download" in notebook.run("submit('Ada')")
        link = driver.find_element("css selector", "a[download='bifpn.json']")
        data = driver.execute_script("return arguments[0].href", link)

    import base64

    text = base64.b64decode(data.partition("base64,")[2]).decode("utf-8")
    assert json.loads(text)["answers"]["bifpn.fast_fusion"]["points"] > 0
    elsewhere = tmp_path / "empty"
    file = lab.copy_chapter("11_bifpn", elsewhere)
    (elsewhere / "bifpn.json").write_text(text, encoding="utf-8")
    with lab.server(elsewhere) as address, lab.page() as driver:
        notebook = lab.Notebook(driver, address, file)
        notebook.run("import lib")
        loads = notebook.source("setup(") + "\nyours(load='bifpn.json')"
        notebook.type("setup(", loads)
        assert "bifpn.fast_fusion: yours" in notebook.run("setup(")
        notebook.picture(shots / "11-elsewhere.png")


def mark(notebook) -> str:
    """A text of the milestone cell: the one that tells the calls."""
    return "shipped"
