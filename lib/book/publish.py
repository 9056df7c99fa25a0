"""What a chapter shows of the world outside it: measured cost, badges, first cell.

The public address is one setting, `repository` in pyproject.toml; `write_badges`
carries it into every badge and every first cell. `measured` and `write_contents`
write what a run has cost between marks in headers and README, never by hand.
"""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import lib

ROOT = lib.ROOT
CHAPTERS = ROOT / "chapters"

COLAB_CELL = """# @title On Colab: fetch the course, install what is missing.
import os
import sys

REPO = "{repo}"  # owner/name; written by `make badges REPO=owner/name`
if "google.colab" in sys.modules:  # run it again, and a first try that failed is mended
    import subprocess

    assert REPO, "this copy of the course does not know its public address yet"
    address = f"https://github.com/{{REPO}}"
    if not os.path.exists("course"):
        clone = ["git", "clone", "-q", "--depth=1", address, "course"]
        subprocess.run(clone, check=True)
    sys.path.insert(0, os.path.abspath("course"))
    command = [sys.executable, "-m", "lib.book.course", "colab"]
    subprocess.run(command, cwd="course", check=True)"""
# Nobody reads it: closed in JupyterLab and in VS Code, and a form on Colab.
COLAB_METADATA = {"cellView": "form", "jupyter": {"source_hidden": True}}


def repository() -> str:
    """owner/name of the public repository as pyproject.toml has it, or ""."""
    return _settings()["tool"]["course"]["repository"]


def _settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def write(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def marked(text: str, mark: str, content: str) -> str:
    """`text` with what stands between `<!-- mark -->` and `<!-- /mark -->` replaced.

    Raises `ValueError` if the marks are not there exactly once.
    """
    pattern = re.compile(rf"(<!-- {mark} -->).*?(<!-- /{mark} -->)", re.DOTALL)
    found, count = pattern.subn(lambda m: m[1] + content + m[2], text)
    if count != 1:
        raise ValueError(f"<!-- {mark} --> ... <!-- /{mark} --> stands {count} times")
    return found


def measured(text: str, cpu_seconds: float, peak_mb: int) -> str:
    """A chapter's text with the measured cost in its header."""
    run = f"{cpu_seconds / 60:.1f} min ({cpu_seconds:.0f} CPU-seconds, measured)"
    return marked(marked(text, "run", run), "peak", f"{peak_mb} MB (measured)")


def require_rows(names: list[str]) -> None:
    """Raise `ValueError` if the README's contents table lacks a row of a chapter."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in names:
        for mark in ("run", "peak"):
            marked(text, f"{mark} {name[:2]}", "")


def write_contents(costs: dict[str, tuple[float, int]]) -> None:
    """Write (CPU-seconds, peak MB) of chapters into the README's contents table."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name, (cpu_seconds, peak_mb) in costs.items():
        text = marked(text, f"run {name[:2]}", f"{cpu_seconds / 60:.1f}")
        text = marked(text, f"peak {name[:2]}", str(peak_mb))
    write(readme, text)


def badge_line(repo: str, name: str) -> str:
    """Where else a chapter opens: Binder has the learner's copy, Colab the original.

    Links in words, since a picture from elsewhere is a broken one offline. Before the
    course has a public address there is nothing to say.
    """
    if not repo:
        return ""
    binder = (
        f"https://mybinder.org/v2/gh/{repo}/HEAD?urlpath=lab/tree/work/{name}.ipynb"
    )
    branch = _settings()["tool"]["course"].get("branch", "main")
    chapter = f"github/{repo}/blob/{branch}/chapters/{name}.ipynb"
    colab = f"https://colab.research.google.com/{chapter}"
    return f", [Binder]({binder}), [Colab]({colab})"


def write_badges(repo: str) -> None:
    """Write the public address into pyproject.toml, README, badges and first cells.

    Raises `ValueError` for anything that is not owner/name; then nothing is written.
    """
    if repo and not re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+", repo):
        raise ValueError(f"REPO is {repo!r}; it has to look like owner/name")
    project = ROOT / "pyproject.toml"
    setting = re.compile(r'^repository = ".*"$', re.MULTILINE)
    before = project.read_text(encoding="utf-8")
    texts = {project: setting.sub(f'repository = "{repo}"', before)}
    readme = ROOT / "README.md"
    texts[readme] = marked(
        readme.read_text(encoding="utf-8"), "badges", badge_line(repo, "00_start_here")
    )
    for path in sorted((CHAPTERS / "py").glob("[0-9][0-9]_*.py")):
        name = path.stem
        text = marked(
            path.read_text(encoding="utf-8"), "badges", badge_line(repo, name)
        )
        texts[path] = re.sub(r'^REPO = ".*?"', f'REPO = "{repo}"', text, flags=re.M)
        pair = CHAPTERS / f"{name}.ipynb"
        if pair.exists():
            texts[pair] = _badged_notebook(pair, repo, name)
    for path, text in texts.items():
        write(path, text)


def _badged_notebook(path: Path, repo: str, name: str) -> str:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    header, first = notebook.cells[:2]
    header.source = marked(header.source, "badges", badge_line(repo, name))
    first.source = COLAB_CELL.format(repo=repo)
    first.metadata.update(COLAB_METADATA)
    return nbformat.writes(notebook) + "\n"


def install_on_colab() -> None:
    """Install what is missing to run every chapter, and no other version of any."""
    project, missing = _settings()["project"], []
    extra = project["optional-dependencies"]["export"]  # chapter 22
    for need in [*project["dependencies"], *extra]:
        try:
            importlib.metadata.version(re.split(r"[<>=!~\[; ]", need)[0])
        except importlib.metadata.PackageNotFoundError:
            missing.append(need)
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    if missing:
        subprocess.run([*pip, *missing], check=True)
    subprocess.run([*pip, "--no-deps", "-e", str(ROOT)], check=True)
