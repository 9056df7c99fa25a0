"""The environment check: what it finds, and what it says to install."""

from lib.book import environment


def test_the_environment_check_finds_this_machine_fit():
    rows = environment.environment()
    assert [what for what, _, _ in rows][:2] == ["Python", "torch"]
    passing = ("free memory", "onnxruntime")  # a busy machine, an extra left out
    assert all(verdict == "ok" for what, _, verdict in rows if what not in passing), (
        rows
    )


def test_the_environment_check_says_what_to_install(monkeypatch):
    monkeypatch.setattr(environment, "_pair_works", lambda: False)
    found = {"torch": "2.5.1+cpu", "onnxruntime": None}
    monkeypatch.setattr(environment, "_version", lambda p: found.get(p, "9.9.9"))
    said = {what: verdict for what, _, verdict in environment.environment()}
    assert said["torch"] == '2.6 or newer is needed: pip install "torch>=2.6"'
    assert said["torchvision"] == "ok"
    assert "two builds" in said["torch with torchvision"]
    assert said["onnxruntime"] == "only for chapter 22: pip install -e '.[export]'"
