"""The laws of the layout: wings, names, imports, size, and where names come from."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

import lib
from lib.book import course

ROOT = course.ROOT
# Each storey imports only those below it, the first of this list at the bottom. The
# book stands on exercises: what it draws arrives as arguments. It shares one module
# with the subject, the reader of pictures: a second reader would draw boxes on other
# pixels than the detector saw. The road is the roof: it imports all,
# nothing imports it.
STOREYS = {
    "basics": (),
    "nas": ("basics",),
    "detection": ("basics", "nas"),
    "compression": ("basics", "nas", "detection"),
    "exercises": ("basics", "nas", "detection", "compression"),
    "book": ("exercises",),
    "road": ("basics", "nas", "detection", "compression", "exercises", "book"),
}
SUBJECT = ("basics", "nas", "detection", "compression")
LIB = sorted(
    p
    for wing in STOREYS
    if wing != "exercises"
    for p in (ROOT / "lib" / wing).glob("*.py")
    if p.stem != "__init__"
)
WING = {p.stem: p.parent.name for p in LIB}
EXERCISES = sorted((ROOT / "lib" / "exercises").glob("*.py"))
FRAME_NAMES = (
    "__init__", "comparing", "deadline", "running", "relating", "scaling",
    "arranging", "nudging", "diagnosing", "grading",
    "places", "literals", "sources", "kept", "building",
)  # fmt: skip
FRAME = [p for p in EXERCISES if p.stem in FRAME_NAMES]
EXERCISES = [p for p in EXERCISES if p not in FRAME]
# Who may print: setup's one line, and what is called from a command line.
PRINTS = ("notebook", "course", "demo", "capstone", "challenge")
NO_MODULE = {"start_here", "capstone", "frontiers"}
CHAPTERS = course.names()
TEXTS = course.names(drafts=True)  # with those that wait for their first `make execute`
# A line of a contents page: name, the chapter's number, what it holds. Where there is
# no number, the line ends with what the module works for.
ENTRY = re.compile(r"^(\w+) +(\d\d)?(?: {2,}| (?=\w))(.*(?:\n {20}.*)*)", re.MULTILINE)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def page(wing: str) -> list[tuple[str, str, str]]:
    """(module, number of its chapter or "", what it holds) in the order of reading."""
    return ENTRY.findall(ast.get_docstring(tree(ROOT / "lib" / wing / "__init__.py")))


def lib_imports(path: Path) -> set[tuple[str, str]]:
    """(wing, module) of all that a file imports from `lib`, at any depth."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "")[:3] == "lib":
            parts = node.module.split(".")[1:]
            if len(parts) == 2:
                found.add(tuple(parts))
            else:
                found |= {(*parts, a.name)[:2] for a in node.names}
        elif isinstance(node, ast.Import):
            names = (a.name.split(".") for a in node.names)
            found |= {tuple(n[1:3]) for n in names if n[0] == "lib" and len(n) > 1}
    return found


def test_the_house_has_the_wings_that_it_lists():
    listed = re.findall(r"^lib\.(\w+)", lib.__doc__, flags=re.MULTILINE)
    folders = {p.parent.name for p in (ROOT / "lib").glob("*/__init__.py")}
    assert listed == list(STOREYS) and set(listed) == folders
    modules = {p.name for p in (ROOT / "lib").glob("*.py")}
    assert modules == {"__init__.py", "__main__.py"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    assert packages == ["lib", *sorted(f"lib.{wing}" for wing in STOREYS)]


def test_python_m_lib_prints_all_pages():
    run = subprocess.run(
        [sys.executable, "-m", "lib"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0 and not run.stderr
    for wing in STOREYS:
        assert f"\nlib.{wing}\n" in run.stdout
    assert all(re.search(rf"^{p.stem}\b", run.stdout, re.MULTILINE) for p in LIB)


@pytest.mark.parametrize("wing", [w for w in STOREYS if w != "exercises"])
def test_a_contents_page_names_every_module_of_its_wing(wing):
    listed = page(wing)
    assert sorted(name for name, *_ in listed) == sorted(
        name for name, place in WING.items() if place == wing
    )
    numbers = {name[3:]: name[:2] for name in TEXTS}
    known = {*WING, "the Makefile", "every chapter", *TEXTS}
    for name, number, text in listed:
        assert numbers.get(name, "") == number, name
        if not number:  # no chapter shows it: the line says for whom it works
            _, _, works_for = " ".join(text.split()).rpartition("for ")
            assert set(works_for.split(", ")) <= known, (name, works_for)
            assert works_for, name


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_a_module_imports_only_lower_storeys_and_earlier_modules(path):
    wing = path.parent.name
    order = [name for name, *_ in page(wing)]
    earlier = order[: order.index(path.stem)]
    for place, module in lib_imports(path):
        if place == wing:
            assert module in earlier, module
        else:
            reads = (wing, place, module) == ("book", "basics", "photographs")
            assert reads or place in STOREYS[wing], (place, module)


@pytest.mark.parametrize("path", EXERCISES + FRAME, ids=lambda p: p.stem)
def test_exercises_import_no_page_of_the_book(path):
    assert {place for place, _ in lib_imports(path)} <= {*SUBJECT, "exercises"}
    if path in FRAME:
        assert {place for place, _ in lib_imports(path)} <= {"exercises"}


@pytest.mark.parametrize("wing", [*SUBJECT, "book", "road"])
def test_import_chains_inside_a_wing_are_short(wing):
    chain = {}
    for name, *_ in page(wing):
        needs = {
            module
            for place, module in lib_imports(ROOT / "lib" / wing / f"{name}.py")
            if place == wing
        }
        chain[name] = 1 + max((chain[need] for need in needs), default=0)
    assert max(chain.values()) <= 5, chain


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_module_exercises_and_test_share_a_name(name):
    module = name[3:]
    assert (ROOT / "lib" / "exercises" / f"{module}.py").exists()
    if module not in NO_MODULE:
        assert WING[module] in SUBJECT
        assert (ROOT / "tests" / f"test_{module}.py").exists()


def test_one_place_says_where_the_course_is():
    """A count of folders above a file is wrong as soon as the file moves."""
    for path in [*LIB, *EXERCISES, *FRAME]:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"__file__\)[^\n]*\.parent", source), path.stem
        assert "Path(lib.__file__" not in source, path.stem


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank line, no comment, no docstring."""
    source, code = path.read_text(encoding="utf-8"), set()
    silent = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
        tokenize.DEDENT, tokenize.ENDMARKER,
    }  # fmt: skip
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            code |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        kinds = ast.FunctionDef | ast.ClassDef | ast.Module
        if isinstance(node, kinds) and ast.get_docstring(node):
            code -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code)


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_modules_and_functions_fit(path):
    """300 lines of code a module, a function on one screen.

    The law was 350 lines of any kind. It made code dense and comments rare: a module at
    its limit paid for each reason with two statements on one line. What a reader has to
    hold in mind is the code; shapes, reasons and `>>>` examples help to hold it.
    """
    assert code_lines(path) <= 300
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_docstrings_and_forbidden_calls(path):
    module = tree(path)
    assert ast.get_docstring(module)
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            assert ast.get_docstring(node), f"{path.stem}.{node.name}"
    source = path.read_text(encoding="utf-8")
    assert ".cuda()" not in source
    if path.stem not in PRINTS:
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
        assert code_lines(path) <= 300
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
    """torch and torchvision from PyTorch's index alone, all else from PyPI alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"]
    needs = project["dependencies"] + extras["lab"] + extras["export"]
    listed = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    installed = {s.split("==")[0] for s in listed.splitlines() if s[:1].isalpha()}
    build = (ROOT / "binder" / "postBuild").read_text(encoding="utf-8")
    pins = dict(re.findall(r"(\w+)==([\d.]+)\+cpu", build))
    assert {need.split(">=")[0] for need in needs} == installed | set(pins)
    assert "index-url" not in listed and "extra-index-url" not in build
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for name, version in pins.items():  # CPU wheels of the versions that CI runs
        assert f"\n{name}=={version}\n" in text


def test_the_workflow_may_only_read_and_runs_known_actions():
    """A tag can be moved to other code, a commit cannot."""
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"uses: (\S+)", text)
        assert used and all(re.search(r"@[0-9a-f]{40}$", name) for name in used)
        assert re.search(r"^permissions:\n  contents: read\n\S", text, re.MULTILINE)
        checkouts = len(re.findall(r"uses: actions/checkout@", text))
        assert text.count("persist-credentials: false") == checkouts


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
