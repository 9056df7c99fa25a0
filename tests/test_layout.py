"""The laws of the layout: names, import order, size, and where names come from."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lib
from lib import course

ROOT = course.ROOT
LIB = sorted(p for p in (ROOT / "lib").glob("*.py") if p.stem != "__init__")
EXERCISES = sorted((ROOT / "lib" / "exercises").glob("*.py"))
FRAME = [p for p in EXERCISES if p.stem in ("__init__", "comparing", "grading")]
EXERCISES = [p for p in EXERCISES if p not in FRAME]
SUPPORT = set(lib.SUPPORT)
WHOLE = {"detectors", "recipes"}  # made of many chapters' modules, so no chapter's own
NO_MODULE = {"start_here", "capstone", "frontiers"}
CHAPTERS = course.names()
TEXTS = course.names(drafts=True)  # with those that wait for their first `make execute`


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lib_imports(path: Path) -> set[str]:
    """Names of the modules of `lib` that a file imports, at any depth."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "lib":
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "lib."
        ):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name[:4] == "lib."}
    return found


def test_order_lists_exactly_what_exists():
    assert sorted(lib.ORDER) == [p.stem for p in LIB]


def test_the_printed_contents_name_every_module_in_order():
    listed = re.findall(r"^    (\w+) +(\d\d)?  \w", lib.__doc__, flags=re.MULTILINE)
    assert {name for name, _ in listed} == set(lib.ORDER)
    numbers = {name[3:]: name[:2] for name in TEXTS}
    assert all(numbers.get(name, "") == number for name, number in listed)


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_a_module_imports_only_earlier_ones(path):
    allowed = set(lib.ORDER[: lib.ORDER.index(path.stem)]) | {"exercises"}
    assert lib_imports(path) <= allowed
    if path.stem in SUPPORT:
        assert lib_imports(path) <= SUPPORT | {"exercises"}


def test_import_chains_are_short():
    """Of chapters' modules: what is made of many of them stands on top."""
    chain = {}
    for name in (n for n in lib.ORDER if n not in WHOLE):
        needs = lib_imports(ROOT / "lib" / f"{name}.py") & set(lib.ORDER) - SUPPORT
        chain[name] = 1 + max((chain[n] for n in needs), default=0)
    assert max(chain.values()) <= 4, chain


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_module_exercises_and_test_share_a_name(name):
    module = name[3:]
    assert (ROOT / "lib" / "exercises" / f"{module}.py").exists()
    if module not in NO_MODULE:
        assert module in lib.ORDER
        assert (ROOT / "tests" / f"test_{module}.py").exists()


def test_every_module_is_support_or_has_a_chapter():
    assert set(lib.ORDER) - SUPPORT - WHOLE <= {name[3:] for name in TEXTS}


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_modules_and_functions_fit(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_the_library_is_small():
    """350 lines a module and 12,500 in all, for 25 chapters.

    The first plan said 5,500. A module that names what is wrong with its input, gives
    shapes and sources, and is formatted at 88 columns takes about 300 lines, not 200.
    Compression has to read networks that nobody here wrote: five modules do only that.
    """
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in LIB) <= 12_500


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_docstrings_and_forbidden_calls(path):
    module = tree(path)
    assert ast.get_docstring(module)
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            assert ast.get_docstring(node), f"{path.stem}.{node.name}"
    source = path.read_text(encoding="utf-8")
    assert ".cuda()" not in source
    if path.stem not in ("notebook", "course"):  # setup's one line; the command line
        calls = [n.func for n in ast.walk(module) if isinstance(n, ast.Call)]
        assert not any(isinstance(f, ast.Name) and f.id == "print" for f in calls)


@pytest.mark.parametrize("path", FRAME + LIB, ids=lambda p: p.stem)
def test_text_is_read_and_written_in_a_named_encoding(path):
    """Windows reads cp1252 where none is named, and breaks the first "·"."""
    if path.stem in ("checkpoints", "tabular"):  # a digest: ASCII in every code page
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = {k.arg for k in node.keywords}
            needs = {"read_text": 0, "write_text": 1}.get(node.func.attr, 9)
            assert "encoding" in named or len(node.args) > needs or needs == 9, (
                ast.unparse(node)
            )


@pytest.mark.parametrize("path", EXERCISES + FRAME, ids=lambda p: p.stem)
def test_exercises_fit_a_screen_and_print_nothing(path):
    if path in FRAME:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "print"


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).exists()]


def test_no_module_of_leftovers():
    """Among what git tracks: a learner's own files in work/ are theirs."""
    files = {Path(name).stem for name in tracked() if name.endswith(".py")}
    assert not {"utils", "common", "helpers", "misc"} & files


def test_no_file_names_a_home_folder():
    home = re.compile(rb"(?<![\w.:/])/(root|home|Users)/\w")
    for name in tracked():
        if Path(name).suffix in (".py", ".md", ".toml", ".txt", ".ipynb", ".json", ""):
            assert not home.search((ROOT / name).read_bytes()), name


def test_top_level_is_as_designed():
    top = {line.split("/")[0] for line in tracked()}
    visible = {name for name in top if not name.startswith(".")}
    assert visible <= {
        "README.md", "pyproject.toml", "constraints.txt", "Makefile", "LICENSE",
        "CITATION.cff", "chapters", "lib", "data", "tests", "binder",
    }  # fmt: skip


def test_dependencies_have_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"].values()
    for need in [*project["dependencies"], *(n for extra in extras for n in extra)]:
        assert re.fullmatch(r"[A-Za-z0-9_-]+>=[0-9.]+", need), need


def test_constraints_pin_every_dependency_and_hold_no_address():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in text.splitlines()
        if "==" in line
    }
    assert "://" not in text and "@" not in text
    extras = project["optional-dependencies"].values()
    for need in [*project["dependencies"], *(n for extra in extras for n in extra)]:
        assert need.split(">=")[0].lower() in pinned, need


def test_binder_installs_what_the_project_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"]
    needs = project["dependencies"] + extras["lab"] + extras["export"]
    lines = (
        (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    )
    installed = {line.split("==")[0] for line in lines if line[:1].isalpha()}
    assert {need.split(">=")[0] for need in needs} == installed
    pins = dict(line.split("==") for line in lines if "+cpu" in line)
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for name, version in pins.items():  # CPU wheels of the versions that CI runs
        assert f"\n{name}=={version.removesuffix('+cpu')}\n" in text


def test_importing_lib_prepares_threads_and_imports_nothing_heavy():
    code = (
        "import sys, os; import lib; assert 'torch' not in sys.modules;"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'; assert lib.cpus() >= 1;"
        "print(os.environ['OMP_NUM_THREADS'])"
    )
    env = {"PATH": "", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(lib.cpus())


def test_no_file_is_large():
    """The largest are a detector's weights: 0.55 million numbers of 4 bytes."""
    for name in tracked():
        assert (ROOT / name).stat().st_size < 2_500_000, name
