"""The contract of a chapter, checked on its text and on its notebook.

That the chapters run is nbval's part: see `tests/__main__.py`.
"""

import ast
import functools
import html.parser
import importlib
import inspect
import re
import statistics
import textwrap
import tomllib

import nbformat
import pytest

from lib.book import course, publish
from tests.test_density import tokens_a_line
from tests.test_layout import SUBJECT, WING, page

NAMES = course.names()
WINGS = {f"lib.{wing}" for wing in (*SUBJECT, "book")}
ROUTES = {"core", "deep", "optional"}
KNOWN_TAGS = ROUTES | {"slide", "catch-up", "colab", "setup", "nbval-check-output"}
VERBS = {"check", "environment", "guess", "guesses", "hint", "measured", "quiz"}
VERBS |= {"setup", "show", "solution", "table", "build", "yours", "restore", "submit"}
VERBS |= {"milestone"}
# What a milestone runs beyond its chapter: the machine that the learner's functions
# are parts of, with how it is judged and looked at.
MILESTONES = {"bifpn": {"detectors", "coco_eval", "decoding"}}
ASKS = "course.names()"
END = [
    "What goes wrong in practice", "Summary", "Exercises", "Quiz", "Where next",
    "References",
]  # fmt: skip
HEADING = re.compile(
    r"(\d\d\.\d) · (Predict|Measure|Build|Further) ·( \w+ ·)?"
    r" \d+ min · [●○]{3} · \d+ point"
)
each = pytest.mark.parametrize("name", NAMES)


def dotted(name):
    """The module of `lib` that chapters call by its bare name."""
    return "lib" if name == "lib" else f"lib.{WING[name]}.{name}"


@functools.cache
def text_of(name):
    return course.read_chapter(name)


@functools.cache
def notebook_of(name):
    return nbformat.read(course.CHAPTERS / f"{name}.ipynb", as_version=4)


def code(name):
    return [c for c in text_of(name).cells if c.cell_type == "code"]


def prose(name):
    return [c for c in text_of(name).cells if c.cell_type == "markdown"]


def headings(name):
    """(level, title) of all headings, code fences left out."""
    found = []
    for cell in prose(name):
        source = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        found += re.findall(r"^(#+) (.+)$", source, flags=re.MULTILINE)
    return [(len(marks), title.strip()) for marks, title in found]


def exercises(name):
    return importlib.import_module(f"lib.exercises.{name[3:]}").EXERCISES


# ----------------------------------------------------------------- text and notebook


@each
def test_text_and_notebook_hold_the_same(name):
    def content(notebook):
        return [
            (c.cell_type, c.source, sorted(c.metadata.get("tags", [])), c.id, folds(c))
            for c in notebook.cells
        ]

    def folds(cell):
        return cell.metadata.get("jupyter", {}), cell.metadata.get("cellView")

    assert content(text_of(name)) == content(notebook_of(name))


@each
def test_the_contents_hold_the_measured_chapter(name):
    readme = (course.ROOT / "README.md").read_text(encoding="utf-8")
    row = next(s for s in readme.splitlines() if f"(chapters/{name}.ipynb)" in s)
    number = name[:2]
    assert re.search(rf"<!-- run {number} -->[\d.]+<!-- /run {number} -->", row)
    assert re.search(rf"<!-- peak {number} -->\d+<!-- /peak {number} -->", row)
    header = text_of(name).cells[0].source
    assert row.split("|")[3].strip() == re.search(r"about (\d+) min", header)[1]


def test_every_notebook_has_its_text():
    assert sorted(p.stem for p in course.CHAPTERS.glob("*.ipynb")) == NAMES


@each
def test_saved_outputs_are_clean(name):
    notebook = notebook_of(name)
    assert "widgets" not in notebook.metadata
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    raw = (course.CHAPTERS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(raw) < 1_000_000
    assert "application/vnd.jupyter.widget-view+json" not in raw
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            assert not re.search(
                r"(?<![\w.:/])/(home|root|tmp|usr|work|opt|Users)/", str(output)
            ), "an absolute path"


# ----------------------------------------------------------------------------- header


@each
def test_header_is_complete(name):
    first = text_of(name).cells[0]
    number, title = name[:2], name[3:].replace("_", " ")
    head = first.source
    assert head.lower().replace("-", " ").startswith(f"# {number} · {title}")
    assert re.search(r"^\*\*Question\. [^*]+\?\*\*$", head, flags=re.MULTILINE)
    assert re.search(r"about \d+ min \(estimate\)", head)
    run = re.search(r"<!-- run -->[\d.]+ min \((\d+) CPU-seconds, measured\)", head)
    peak = re.search(r"<!-- peak -->(\d+) MB \(measured\)<!-- /peak -->", head)
    assert run, "make execute writes the run minutes"
    assert peak, "make execute writes the peak memory"
    assert int(peak[1]) < 1200
    repo = publish.repository()
    # Inside a line: Markdown leaves one that begins with a mark as it is.
    where = publish.badge_line(repo, name)
    badges = (
        f"| open in | JupyterLab (`make lab`)<!-- badges -->{where}<!-- /badges --> |"
    )
    assert badges in head


@each
def test_outcomes_are_assessed(name):
    head = text_of(name).cells[0].source.replace("\n   ", " ")  # a wrapped line
    outcomes = re.findall(r"^\d\. .+$", head, re.MULTILINE)
    assert 3 <= len(outcomes) <= 5
    numbers = {HEADING.match(t)[1] for _, t in headings(name) if HEADING.match(t)}
    for outcome in outcomes:
        named = re.findall(r"\(.*?(\d\d\.\d|quiz).*?\)$", outcome)
        assert named, f"no exercise or quiz assesses: {outcome}"
        assert set(named) <= numbers | {"quiz"}, outcome


@each
def test_first_cells(name):
    colab, setup = code(name)[:2]
    assert colab.source == publish.COLAB_CELL.format(repo=publish.repository())
    metadata = {k: v for k, v in colab.metadata.items() if k != "tags"}
    assert metadata == publish.COLAB_METADATA
    assert "colab" in colab.metadata.tags and "setup" in setup.metadata.tags
    assert setup.source.startswith("import lib  # isort: skip")
    assert f'setup("{name}"' in setup.source
    for cell in code(name)[2:]:
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.Import | ast.ImportFrom), cell.source


# ------------------------------------------------------------------------------- body


@each
def test_one_h1_and_headings_in_order(name):
    levels = [level for level, _ in headings(name)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    titles = [title for level, title in headings(name) if level == 2]
    assert titles[-len(END) :] == END
    assert len(titles) - len(END) >= 3, "three ideas at least"


@each
def test_every_cell_has_one_route_and_known_tags(name):
    cells = text_of(name).cells
    for cell in cells:
        tags = set(cell.metadata.get("tags", []))
        assert len(tags & ROUTES) == 1, cell.source[:80]
        assert tags <= KNOWN_TAGS, tags - KNOWN_TAGS
    every = [tag for cell in cells for tag in cell.metadata["tags"]]
    assert every.count("slide") >= 4
    assert "catch-up" in every
    assert "nbval-check-output" in every


@each
def test_house_numbers(name):
    lines = [len(c.source.splitlines()) for c in code(name)]
    least = 15 if name[:2] == "00" else 25  # the map shows, it does not teach yet
    assert least <= len(lines) <= 45, f"{len(lines)} code cells"
    assert statistics.median(lines) <= 8
    # The import cell names one module a line where they are many: no more to read.
    rest = [
        n
        for c, n in zip(code(name), lines, strict=True)
        if "setup" not in c.metadata.tags
    ]
    assert max(rest) <= 40
    stubs = {e.name for e in exercises(name)}
    for cell in code(name):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef) and node.name not in stubs:
                assert node.end_lineno - node.lineno < 10, node.name


@each
def test_every_library_name_exists_and_is_not_later(name):
    module = name[3:]
    order = [entry[0] for wing in SUBJECT for entry in page(wing)]
    last = {"start_here": "profiling"}.get(module, module if module in order else "")
    earlier = order[: order.index(last) + 1] if last else order
    helpers = {entry[0] for entry in page(WING.get(module, "basics")) if not entry[1]}
    earlier = {*earlier, *(helpers - {"detectors", "recipes"})}
    earlier |= {entry[0] for entry in page("book")} | MILESTONES.get(module, set())
    imported = set()
    for cell in code(name):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module in WINGS:
                imported |= {a.name for a in node.names}
                assert imported <= earlier, imported - earlier
            if isinstance(node, ast.Import | ast.ImportFrom):  # figures are plots'
                assert "matplotlib" not in ast.unparse(node)
            if isinstance(node, ast.ImportFrom) and node.module == "lib.book.notebook":
                assert {a.name for a in node.names} <= VERBS
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in imported
            ):
                target = importlib.import_module(dotted(node.value.id))
                assert hasattr(target, node.attr), f"{node.value.id}.{node.attr}"


@each
def test_a_closed_cell_says_in_its_first_line_what_it_does(name):
    """JupyterLab shows that line, and nothing else, of a cell that is closed."""
    for cell in code(name):
        if cell.metadata.get("jupyter"):
            assert cell.metadata.jupyter == {"source_hidden": True}
            assert re.match(r"# .{20,80}\.\n", cell.source), cell.source[:90]
            assert "\n# hint(" not in cell.source and "show(" not in cell.source


def test_the_filter_lets_what_chapters_use_through():
    """What it drops would be lost when an original is saved in JupyterLab."""
    text = (course.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)["tool"]["jupytext"]
    allowed = set(settings["cell_metadata_filter"].split(",")) - {"-all"}
    for name in NAMES:
        for cell in text_of(name).cells:
            kept = set(cell.metadata) - {"lines_to_next_cell"}  # never in a notebook
            assert kept <= allowed, cell.metadata


@each
def test_equations_have_numeric_twins(name):
    tags = re.findall(r"\\tag\{([\d.]+)\}", "\n".join(c.source for c in prose(name)))
    number = str(int(name[:2]))
    assert len(tags) == len(set(tags))
    assert all(tag.split(".")[0] == number for tag in tags)
    assert name[:2] == "00" or tags, "a chapter numbers its equations"
    tests = course.ROOT / "tests" / f"test_{name[3:]}.py"
    twins = set()
    if tests.exists():
        source = tests.read_text(encoding="utf-8")
        twins = set(re.findall(r'mark\.equation\("([\d.]+)"\)', source))
    assert set(tags) == twins


@each
def test_exercises_stand_as_they_are_defined(name):
    listed = [t for level, t in headings(name) if level == 3 and HEADING.match(t)]
    kinds = [HEADING.match(t)[2] for t in listed]
    assert {"Predict", "Measure", "Build", "Further"} <= set(kinds)
    assert len(listed) >= 4
    assert kinds.count("Build") >= (2 if name[:2] >= "04" else 1)
    numbers = [HEADING.match(t)[1] for t in listed]
    assert numbers == [f"{name[:2]}.{i + 1}" for i in range(len(listed))]
    sources = "\n".join(c.source for c in code(name))
    for exercise in exercises(name):
        assert exercise.heading() in listed
        identifier = f'"{name[3:]}.{exercise.name}"'
        asks = "check" if exercise.place is None else "build"
        assert f"{asks}({identifier}, " in sources
        assert f"# hint({identifier})" in sources
        assert f"# solution({identifier})" in sources
    assert f'quiz("{name[3:]}")' in sources


@each
def test_stubs_left_alone_say_so(name):
    pairs = {e.name for e in exercises(name)}
    for cell in notebook_of(name).cells:
        if cell.cell_type == "code" and "\n# hint(" in cell.source:
            texts = [str(o.get("data", {}).get("text/plain")) for o in cell.outputs]
            assert any("not attempted yet" in t for t in texts), cell.source
            pairs -= {n for n in pairs if f'.{n}"' in cell.source}
    assert not pairs


def test_the_saved_list_of_chapters_is_not_stale():
    """Chapter 00 shows which chapters there are: as it was when it was executed."""
    (cell,) = (c for c in notebook_of("00_start_here").cells if c.source == ASKS)
    (output,) = cell.outputs
    assert ast.literal_eval(output.data["text/plain"]) == NAMES


@each
def test_the_quiz_is_the_last_cell_that_runs(name):
    """There a measured run draws every slider again."""
    assert f'quiz("{name[3:]}")' in code(name)[-1].source


# ---------------------------------------------------------------------- accessibility


class Page(html.parser.HTMLParser):
    """Collect images with their alt text, and figure captions."""

    def __init__(self):
        super().__init__()
        self.alts, self.captions, self._in = [], [], False

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))
        self._in = tag == "figcaption" or (self._in and tag != "img")

    def handle_endtag(self, tag):
        if tag == "figcaption":
            self._in = False

    def handle_data(self, data):
        if self._in:
            self.captions.append(data)


@each
def test_every_figure_has_alt_text_and_a_statement(name):
    figures = 0
    for cell in notebook_of(name).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert "image/png" not in data, "a figure without alt text"
            page = Page()
            page.feed(data.get("text/html", ""))
            figures += len(page.alts)
            assert all(alt and len(alt) > 20 for alt in page.alts)
            assert len(page.captions) >= len(page.alts)
    assert figures >= 2
    for cell in prose(name):
        for alt, target in re.findall(r"!\[(.*?)\]\((.*?)\)", cell.source):
            assert alt, target


@each
def test_links_are_to_papers_or_to_files_that_exist(name):
    for cell in prose(name):
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", cell.source):
            if target.startswith(("https://", "http://")):
                continue
            path = (course.CHAPTERS / target.split("#")[0]).resolve()
            assert target.startswith("#") or path.exists(), target


@each
def test_nothing_downloads_or_destroys(name):
    source = "\n".join(c.source for c in code(name)[1:])
    for word in (
        "rm -rf",
        "_create_unverified_context",
        "exit()",
        "pip install",
        "sudo",
    ):
        assert word not in source
    assert "download=True" not in source


def test_show_prints_library_code_only():
    """One screen: 60 lines of code. Docstrings with a number by hand do not count."""
    for name in NAMES:
        for cell in code(name):
            for node in ast.walk(ast.parse(cell.source)):
                if (
                    isinstance(node, ast.Call)
                    and getattr(node.func, "id", "") == "show"
                ):
                    thing = node.args[0]
                    assert isinstance(thing, ast.Attribute), ast.unparse(node)
                    module, *path = ast.unparse(thing).split(".")
                    target = importlib.import_module(dotted(module))
                    for part in path:  # a class and its method: two of them
                        target = getattr(target, part)
                    shown = inspect.getsource(inspect.unwrap(target))
                    lines = tokens_a_line(textwrap.dedent(shown))
                    assert len(lines) <= 60, ast.unparse(thing)


@each
def test_a_text_has_one_sentence_a_line(name):
    """At most 120 characters: what changes is one line of a comparison, not five."""
    text = (course.CHAPTERS / "py" / f"{name}.py").read_text(encoding="utf-8")
    long = [line for line in text.splitlines() if len(line) > 120]
    assert not long, long[:3]
    for cell in prose(name):
        sentences = re.sub(
            r"^(\*\*Question\.|\|).*", "", cell.source, flags=re.MULTILINE
        )
        ends = re.findall(r"[a-z]{3}[.?!] [A-Z][a-z]+ [a-z]", sentences)
        assert not ends, f"two sentences on one line: {ends[:3]}"
