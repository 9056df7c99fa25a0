"""The learner's copies are never overwritten; runs are measured and never half kept."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from lib.book import copies, course, publish

HEADER = """# # {number} · Toy
#
# <!-- run -->not measured yet<!-- /run --> <!-- peak -->not measured yet<!-- /peak -->
# <!-- badges -->none<!-- /badges -->"""
CHAPTER = f"""# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core"]
{HEADER}

# %% tags=["core", "colab"]
REPO = ""  # owner/name

# %% tags=["core", "setup"]
import lib  # isort: skip
from lib.book.notebook import setup

setup("{{name}}")

# %% tags=["core"]
{{line}}
"""
README = "<!-- badges -->x<!-- /badges -->" + "".join(
    f"<!-- run {n} -->?<!-- /run {n} --> <!-- peak {n} -->?<!-- /peak {n} -->"
    for n in ("01", "02")
)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A course of two small chapters in a folder of its own."""
    chapters = tmp_path / "chapters"
    for module in (course, publish, copies):
        monkeypatch.setattr(module, "CHAPTERS", chapters)
    for module in (course, publish):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(copies, "WORK", tmp_path / "work")
    monkeypatch.setattr(course, "BUILD", tmp_path / "build")
    (chapters / "py").mkdir(parents=True)
    for number, line in (("01", "print(6 * 7)"), ("02", "1 / 0")):
        write_chapter(chapters, number, line)
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "pyproject.toml").write_text('[tool.course]\nrepository = ""\n')
    return tmp_path


def write_chapter(chapters, number, line):
    name = f"{number}_toy"
    text = CHAPTER.format(number=number, name=name, line=line)
    (chapters / "py" / f"{name}.py").write_text(text)
    notebook = course.read_chapter(name)
    publish.write(chapters / f"{name}.ipynb", nbformat.writes(notebook) + "\n")


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_names_and_their_choice(toy):
    assert course.names() == ["01_toy", "02_toy"]
    assert course.names("2") == ["02_toy"]
    (toy / "chapters" / "02_toy.ipynb").unlink()
    assert course.names() == ["01_toy"]
    assert course.names(drafts=True) == ["01_toy", "02_toy"]
    with pytest.raises(ValueError, match="no chapter for '7'; there are: 01_toy"):
        course.names("7")


def test_run_and_execute(toy):
    costs = course.run(course.names())
    assert costs[0].result == "passed"
    assert costs[1].result == "failed: cell 3: ZeroDivisionError: division by zero"
    assert 0.1 < costs[0].cpu_seconds < 120 and costs[0].wall_seconds > 0.1
    assert 50 < costs[0].peak_mb < 3000  # Python and torch at least
    done = json.loads((toy / "build" / "01_toy.ipynb").read_text())
    assert "".join(done["cells"][3]["outputs"][0]["text"]) == "42\n"
    rows = course.table(costs, 12.4).splitlines()
    assert rows[0].split() == [
        "chapter",
        "result",
        "CPU",
        "s",
        "wall",
        "s",
        "peak",
        "MB",
    ]
    assert rows[-1].split()[:4] == ["all", "1", "of", "2"]
    assert rows[-1].split()[5] == "12"

    failing = (toy / "chapters" / "02_toy.ipynb").read_bytes()
    text = (toy / "chapters" / "py" / "02_toy.py").read_bytes()
    costs = course.execute(course.names())
    assert (toy / "chapters" / "02_toy.ipynb").read_bytes() == failing
    assert (toy / "chapters" / "py" / "02_toy.py").read_bytes() == text
    header = course.read_chapter("01_toy").cells[0]
    assert f"{costs[0].cpu_seconds:.0f} CPU-seconds, measured" in header.source
    pair = nbformat.read(toy / "chapters" / "01_toy.ipynb", as_version=4)
    assert pair.cells[0].source == header.source
    assert [c.execution_count for c in pair.cells[1:]] == [1, 2, 3]
    readme = (toy / "README.md").read_text()
    assert f"<!-- peak 01 -->{costs[0].peak_mb}<!-- /peak 01 -->" in readme
    assert "<!-- run 02 -->?" in readme


def test_a_kernel_that_dies_is_a_failure_in_the_table(toy, monkeypatch, capsys):
    write_chapter(toy / "chapters", "01", "import os; os._exit(3)")
    monkeypatch.setattr(sys, "argv", ["course", "run", "--only", "1"])
    assert course.main() == 1
    out = capsys.readouterr().out
    assert "01_toy   failed: DeadKernelError" in out
    assert "0 of 1" in out and "see build/01_toy.ipynb" in out


def test_a_chapter_that_the_readme_lacks_is_not_run(toy):
    edit(toy / "README.md", "peak 02", "peak 03")
    with pytest.raises(ValueError, match="<!-- peak 02 -->"):
        course.execute(["01_toy", "02_toy"])
    assert not (toy / "build").exists()


def test_a_long_error_does_not_widen_the_table():
    cost = course.Cost(
        "01_toy", "failed: cell 3: ValueError: " + 500 * "x", 1.0, 1.0, 1
    )
    assert max(map(len, course.table([cost], 1.0).splitlines())) < 130


@pytest.mark.parametrize(
    "header", ["# ---\n# jupyter:\n#   a: [\n# ---\n", "", "# ---\n# jupyter: 1\n"]
)
def test_a_text_with_a_damaged_header_is_named(toy, header):
    path = toy / "chapters" / "py" / "01_toy.py"
    path.write_text(header + path.read_text().split("# ---\n")[2])
    with pytest.raises(ValueError, match=r"chapters/py/01_toy\.py"):
        course.read_chapter("01_toy")


def test_a_reader_that_has_read_enough_is_no_error():
    command = f"{sys.executable} -m lib.book.course update"
    env = {**os.environ, "PYTHONPATH": str(course.ROOT)}
    run = subprocess.run(
        ["bash", "-c", f"{command} | exec true; echo ${{PIPESTATUS[0]}}"],
        env=env, capture_output=True, text=True, cwd=course.ROOT,
    )  # fmt: skip
    assert run.stdout == "0\n" and run.stderr == ""


def test_outside_a_clone_the_commands_say_so(toy, monkeypatch, capsys):
    monkeypatch.setattr(course, "CHAPTERS", toy / "none")
    for command in ("run", "copy", "update"):
        monkeypatch.setattr(sys, "argv", ["course", command])
        assert course.main() == 2
        assert "runs from a clone" in capsys.readouterr().err


def test_badges_reach_every_file(toy):
    publish.write_badges("some-one/course.x")
    for path in (toy / "chapters").rglob("*_toy.*"):
        text = path.read_text()
        assert "colab.research.google.com/github/some-one/course.x/blob" in text
        assert 'REPO = "some-one/course.x"' in text.replace('\\"', '"')
    assert publish.repository() == "some-one/course.x"
    publish.write_badges("other/name")
    texts = [p.read_text() for p in toy.rglob("*") if p.is_file()]
    assert not any("some-one" in text for text in texts)


@pytest.mark.parametrize("repo", ["noslash", "a/b/c", "a b/c", "https://x.y/a/b"])
def test_a_bad_address_is_refused_and_nothing_written(toy, repo):
    before = {p: p.read_bytes() for p in toy.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="owner/name"):
        publish.write_badges(repo)
    assert before == {p: p.read_bytes() for p in toy.rglob("*") if p.is_file()}


def test_marks_have_to_stand_once():
    assert publish.marked("a <!-- x -->1<!-- /x --> b", "x", "2") == (
        "a <!-- x -->2<!-- /x --> b"
    )
    with pytest.raises(ValueError, match="stands 0 times"):
        publish.marked("nothing", "x", "2")


def test_the_colab_cell_does_nothing_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(publish.COLAB_CELL.format(repo=""), {})
    assert list(tmp_path.iterdir()) == []


def test_colab_installs_only_what_is_missing(monkeypatch):
    calls = []
    monkeypatch.setattr(publish.subprocess, "run", lambda c, check: calls.append(c))
    publish.install_on_colab()
    assert len(calls) == 1 and calls[0][-3:-1] == ["--no-deps", "-e"]
    calls.clear()
    monkeypatch.setattr(publish.importlib.metadata, "version", _missing_tqdm)
    publish.install_on_colab()
    assert [c for c in calls[0] if c.startswith("tqdm")] and len(calls[0]) == 6
    calls.clear()  # chapter 22 needs an extra, which Colab has not
    monkeypatch.setattr(publish.importlib.metadata, "version", _missing_onnxruntime)
    publish.install_on_colab()
    assert calls[0][-1].startswith("onnxruntime>=") and len(calls[0]) == 6


def _missing_onnxruntime(name):
    if name == "onnxruntime":
        raise publish.importlib.metadata.PackageNotFoundError(name)
    return "1.0"


def _missing_tqdm(name):
    if name == "tqdm":
        raise publish.importlib.metadata.PackageNotFoundError(name)
    return "1.0"


# A Python that logs its calls; its pip does what FAKE_PIP says.
FAKE = """#!/bin/sh
case "$*" in
  *--version) ;;
  "-c "*) exec "$REAL" "$@" ;;
  "-m venv"*) echo venv >> log; rm -rf "$4"; mkdir -p "$4/bin"
    cp "$0" "$4/bin/python" ;;
  *pip*install*) echo "pip ${@: -1}" >> log; eval "$FAKE_PIP" ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """Start `make TARGET` in a folder with a space, with a Python that is a fake."""
    folder = tmp_path / "my course"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (folder / name).write_bytes((course.ROOT / name).read_bytes())
    (folder / "fake").write_text(FAKE.replace("/bin/sh", "/bin/bash"))
    (folder / "fake").chmod(0o755)

    def start(target, pip=":", into=folder):
        env = {**os.environ, "REAL": sys.executable, "FAKE_PIP": pip}
        command = ["make", target, "PYTHON=./fake"]
        pipe = subprocess.PIPE
        for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):  # this may run under make
            env.pop(name, None)
        return subprocess.Popen(
            command, cwd=into, env=env, stdout=pipe, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    start.folder = folder
    start.log = lambda: (folder / "log").read_text().splitlines()
    return start


def finish(process):
    said = process.communicate(timeout=120)[0]
    return process.returncode, said


def test_set_up_twice_is_a_no_op(make):
    assert finish(make("setup-all"))[0] == 0
    assert make.log() == ["venv", "pip .[lab,test,export,dev]"]
    for target in ("setup-all", "setup-lab"):  # all holds what lab needs
        assert finish(make(target)) == (0, "")
    moved = make.folder.with_name("moved")
    make.folder.rename(moved)  # scripts and kernel would still name the old folder
    assert "setting up" in finish(make("setup-lab", into=moved))[1]


def test_an_interrupted_set_up_is_made_anew(make):
    first = make("setup-lab", pip="sleep 60")
    while not (make.folder / "log").exists() or len(make.log()) < 2:
        time.sleep(0.1)
    code, said = finish(make("setup-all"))  # two at once
    assert code != 0 and "another make (process" in said
    assert make.log() == ["venv", "pip .[lab,export]"]
    os.killpg(first.pid, signal.SIGINT)  # Ctrl-C
    assert finish(first)[0] != 0
    assert finish(make("setup-lab"))[0] == 0
    assert make.log()[2:] == ["venv", "pip .[lab,export]"]
    assert not (make.folder / ".venv.tmp").exists()


def test_a_set_up_that_pip_gives_up_keeps_the_environment(make):
    finish(make("setup-lab"))
    edit(make.folder / "constraints.txt", "==", "==1")
    code, said = finish(make("setup-lab", pip="false"))
    assert code != 0 and "the set-up failed" in said
    assert finish(make("setup-lab"))[0] == 0
    assert make.log().count("venv") == 1


def test_a_run_sees_nothing_of_what_a_learner_keeps(monkeypatch, tmp_path):
    """The same output with a full folder, and the folder is as it was."""
    import nbformat

    kept = tmp_path / "learner" / "yours" / "bifpn.fast_fusion.py"
    kept.parent.mkdir(parents=True)
    kept.write_text("raise SystemExit", encoding="utf-8")
    cell = (
        "import lib, os\nfrom lib.book.notebook import setup, yours, submit, check\n"
        "setup('11_bifpn')\nyours(load=True)\ncheck('bifpn.ways', lambda *a: 0)\n"
        "submit('Ada')\nprint(sorted(os.listdir(lib.work())))"
    )

    def one_cell(notebook):
        notebook.cells = [nbformat.v4.new_code_cell(cell, id="one")]
        return notebook

    def outputs():
        notebook, cost = course.run_one("11_bifpn", tmp_path / "b", change=one_cell)
        assert cost.result == "passed"
        return [o.get("text", o.get("data")) for o in notebook.cells[0].outputs]

    with_nothing = outputs()
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "learner"))
    assert outputs() == with_nothing
    assert "Nothing of yours is kept yet" in str(with_nothing)
    files = [p for p in (tmp_path / "learner").rglob("*") if p.is_file()]
    assert files == [kept] and kept.read_text("utf-8") == "raise SystemExit"
