"""A core function is a place: its machine looks it up at each call.

Else a learner's function would stand there and never be called. So in `lib` a place is
only ever *called*, as `module.f(...)` or in its own module as `f(...)`, inside a
function that runs when the machine does. Everything else keeps the course's own for
good, and is refused here on the syntax tree: import by name, a default argument, a
place in a dictionary, a dataclass, a `partial` or an object, a call while the module
is imported, a cache around one. That each machine does call its place is counted.
"""

import ast
import contextlib
import textwrap
from importlib import import_module

import pytest

from lib.book import course
from lib.exercises import places
from tests.test_layout import LIB, tree

MODULES = [name[3:] for name in course.names()]
CORE = [
    pytest.param(exercise, id=f"{module}.{exercise.name}")
    for module in MODULES
    for exercise in import_module(f"lib.exercises.{module}").EXERCISES
    if exercise.place
]
PLACES = {param.values[0].place for param in CORE}
ASKED = "basics.plain.is_ours"
CACHES = {"cache", "lru_cache", "cached_property"}
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Places(ast.NodeVisitor):
    """Walks one module; `found` holds a sentence for each place that is kept.

    `here` is the module below lib, "detection.bifpn"; `wanted` are places as exercises
    write them: "detection.bifpn.fast_fusion", "nas.controller.Learner.update".
    """

    def __init__(self, here: str, wanted: set[str]):
        self.here, self.wanted, self.found = here, wanted, []
        # What a name means at the top of this module, as a path below lib.
        self.means = {}
        for place in wanted:
            if place.startswith(f"{here}."):
                top = place.removeprefix(f"{here}.").split(".")[0]
                self.means[top] = f"{here}.{top}"
        self.hidden: list[set[str]] = []  # names that are local, a set a function
        self.depth = 0  # functions around; 0 while the module is imported
        self.cached = 0  # of these, the ones whose results are kept
        # A method is reached through any object, so its bare name counts where its
        # class is known: here, or where its module or class is imported.
        self.methods: set[str] = set()

    def say(self, node: ast.AST, place: str, what: str) -> None:
        self.found.append(f"{self.here}, line {node.lineno}: {place} {what}")

    def read(self, module: ast.Module) -> list[str]:
        for node in ast.walk(module):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imported(node)
        known = {self.here, *self.means.values()}
        for place in self.wanted:
            owner, _, method = place.rpartition(".")
            is_method = owner.count(".") > 1  # wing, module and class
            if is_method and {owner, owner.rpartition(".")[0]} & known:
                self.methods.add(method)
        self.visit(module)
        return self.found

    # ------------------------------------------------------------------- names

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "lib":
                    path = name.name[4:] if name.asname else ""
                    self.means[name.asname or "lib"] = path
            return
        if (node.module or "").split(".")[0] != "lib":
            return
        for name in node.names:
            path = f"{node.module}.{name.name}"[4:]
            if path in self.wanted:
                self.say(node, path, "is imported by name: import its module")
            elif name.name == "*" and self.inside(node.module[4:]):
                self.say(node, f"{node.module[4:]}.*", "is imported by name")
            self.means[name.asname or name.name] = path

    def inside(self, module: str) -> bool:
        return any(place.startswith(f"{module}.") for place in self.wanted)

    def path(self, node: ast.AST) -> str | None:
        """What an expression stands for, as a path below lib; None if for none."""
        if isinstance(node, ast.Name):
            local = any(node.id in names for names in self.hidden)
            return None if local else self.means.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.path(node.value)
            return None if owner is None else f"{owner}.{node.attr}".lstrip(".")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            owner, name = self.path(node.args[0]), node.args[1]
            if owner is not None and isinstance(name, ast.Constant):
                return f"{owner}.{name.value}".lstrip(".")
        return None

    def place(self, node: ast.AST) -> str | None:
        """The place that an expression means: by its path, or a method by its name."""
        path = self.path(node)
        if path in self.wanted:
            return path
        if isinstance(node, ast.Attribute) and node.attr in self.methods:
            if path is None and isinstance(node.ctx, ast.Load):
                return f"the method {node.attr}"
        return None

    # ------------------------------------------------------------------- walking

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, Function):
            self.function(node)
            return
        if isinstance(node, ast.Call) and (place := self.place(node.func)):
            self.called(node, place)
            return
        if isinstance(node, ast.Call) and self.path(node.func) == ASKED and self.depth:
            return  # asks whose it is, at call time, and keeps nothing
        loads = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if loads and (place := self.place(node)):
            self.say(node, place, "is passed on or kept: call it where it is needed")
            return
        self.generic_visit(node)

    def called(self, node: ast.Call, place: str) -> None:
        if not self.depth:
            self.say(node, place, "is called while the module is imported")
        elif self.cached:
            self.say(node, place, "is called in a function whose results are kept")
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def function(self, node: Function) -> None:
        """Defaults and decorators belong to the outside, the body runs later."""
        decorators = getattr(node, "decorator_list", [])
        arguments = node.args
        given = [*arguments.defaults, *(d for d in arguments.kw_defaults if d)]
        for part in (*decorators, *given):
            if (place := self.place(part)) is not None:
                self.say(part, place, "is a default argument or a decorator")
            else:
                self.visit(part)
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        named += [a for a in (arguments.vararg, arguments.kwarg) if a]
        body = node.body if isinstance(node.body, list) else [node.body]
        local = {a.arg for a in named} | set().union(*map(bound, body), set())
        kept = any(_last(d) in CACHES for d in decorators)
        self.hidden.append(local)
        self.depth, self.cached = self.depth + 1, self.cached + kept
        for part in body:
            self.visit(part)
        self.depth, self.cached = self.depth - 1, self.cached - kept
        self.hidden.pop()


def _last(decorator: ast.AST) -> str:
    """`cache` of `@functools.cache` and `lru_cache` of `@lru_cache(maxsize=8)`."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return ast.unparse(decorator).rpartition(".")[2]


def bound(node: ast.AST) -> set[str]:
    """Names that a statement makes local; what is inside another function is not."""
    names = set()
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Lambda):
        return names
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        names.add(node.id)
    for child in ast.iter_child_nodes(node):
        names |= bound(child)
    return names


def kept(source: str, here: str, wanted: set[str]) -> list[str]:
    return Places(here, wanted).read(ast.parse(textwrap.dedent(source)))


# ------------------------------------------------------------------ the law for lib


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_a_place_is_only_called_and_only_at_call_time(path):
    here = f"{path.parent.name}.{path.stem}"
    assert Places(here, PLACES).read(tree(path)) == []


@pytest.mark.parametrize("exercise", CORE)
def test_a_machine_calls_its_place(exercise):
    """Counted: were the place kept somewhere, its machine would never ask for it."""
    assert exercise.machine and exercise.machine_case is not None
    assert exercise.kind == "build" and exercise.reference is places.ours(
        exercise.place
    )
    with places.standing(exercise.place, exercise.reference) as trial:
        exercise.machine_case()
    assert trial.calls > 0


@pytest.mark.parametrize("exercise", CORE)
def test_a_core_function_has_its_number_by_hand(exercise):
    assert ">>>" in exercise.reference.__doc__
    assert 1 <= exercise.importance <= 3


@pytest.mark.parametrize("module", MODULES)
def test_a_chapter_requires_one_core_function_at_most(module):
    required = [
        exercise.name
        for exercise in import_module(f"lib.exercises.{module}").EXERCISES
        if exercise.required
    ]
    assert len(required) <= 1
    for exercise in import_module(f"lib.exercises.{module}").EXERCISES:
        assert exercise.place or not exercise.required


# -------------------------------------------------------- the law itself, on examples

FUSE = "detection.bifpn.fuse"
UPDATE = "nas.controller.Learner.update"
OUTSIDE = "from lib.detection import bifpn\n"
KEEPS = {
    "imported by name": "from lib.detection.bifpn import fuse",
    "imported by another name": "from lib.detection.bifpn import fuse as f",
    "imported inside a function": """
        def forward(x):
            from lib.detection.bifpn import fuse
            return fuse(x)
        """,
    "everything imported": "from lib.detection.bifpn import *",
    "a default argument": OUTSIDE + "def run(x, fuse=bifpn.fuse): return fuse(x)",
    "a default by keyword": OUTSIDE + "def run(x, *, f=bifpn.fuse): return f(x)",
    "a default of a lambda": OUTSIDE + "run = lambda x, f=bifpn.fuse: f(x)",
    "a default of a method": OUTSIDE
    + """
class Net:
    def __init__(self, fusion=bifpn.fuse):
        self.fusion = fusion
""",
    "a dictionary": OUTSIDE + 'FUSIONS = {"fast": bifpn.fuse}',
    "a list": OUTSIDE + "FUSIONS = [bifpn.fuse]",
    "a dictionary in a function": OUTSIDE
    + 'def run(k, x): return {"fast": bifpn.fuse}[k](x)',
    "another name for it": OUTSIDE + "fuse = bifpn.fuse",
    "another name in a function": OUTSIDE
    + "def run(x):\n    f = bifpn.fuse\n    return f(x)",
    "the default of a dataclass": OUTSIDE
    + "@dataclass\nclass Config:\n    fusion: Callable = bifpn.fuse",
    "a field of a dataclass": OUTSIDE
    + "@dataclass\nclass Config:\n    fusion: Callable = field(default=bifpn.fuse)",
    "a partial": OUTSIDE + "fuse = functools.partial(bifpn.fuse, eps=0.1)",
    "an attribute of an object": OUTSIDE
    + "class Net:\n    def __init__(self):\n        self.fuse = bifpn.fuse",
    "an attribute of a class": OUTSIDE
    + "class Net:\n    fuse = staticmethod(bifpn.fuse)",
    "an argument of a constructor": OUTSIDE
    + "def net(): return Node(fusion=bifpn.fuse)",
    "a call while importing": OUTSIDE + "TABLE = bifpn.fuse(5)",
    "a call in a class body": OUTSIDE + "class Net:\n    table = bifpn.fuse(5)",
    "a call in a default": OUTSIDE + "def run(x, table=bifpn.fuse(5)): return table",
    "a call whose result is kept": OUTSIDE
    + "@functools.lru_cache(maxsize=8)\ndef table(n): return bifpn.fuse(n)",
    "a call in a cached property": OUTSIDE
    + "class Net:\n    @cached_property\n    def table(self): return bifpn.fuse(5)",
    "a compiled copy": OUTSIDE + "fast = torch.compile(bifpn.fuse)",
    "its whole path": "import lib.detection.bifpn\nF = lib.detection.bifpn.fuse",
    "a module by another name": "import lib.detection.bifpn as b\nF = b.fuse",
    "a wing": "from lib import detection\nF = detection.bifpn.fuse",
    "by getattr": OUTSIDE + 'F = getattr(bifpn, "fuse")',
}
KEEPS_AT_HOME = {
    "a default argument": "def run(x, f=fuse): return f(x)",
    "a dictionary": 'FUSIONS = {"fast": fuse}',
    "a decorator": "@fuse\ndef run(x): return x",
    "an attribute": "class Net:\n    def __init__(self):\n        self.fuse = fuse",
    "whose it is, asked while importing": "from lib.basics import plain\n"
    "OURS = plain.is_ours(fuse)",
    "asked of somebody else": "def run(x): return plain.is_ours(fuse)",
    "a partial": "half = partial(fuse, eps=0.5)",
    "a call while importing": "TABLE = fuse(5)",
    "a closure": "def make():\n    f = fuse\n    return lambda x: f(x)",
}
CALLS = {
    "through its module": OUTSIDE + "def run(x): return bifpn.fuse(x, eps=0.1)",
    "in a method": OUTSIDE
    + "class Net:\n    def forward(self, x):\n        return self.norm(bifpn.fuse(x))",
    "in a lambda": OUTSIDE + "LATER = {'fast': lambda x: bifpn.fuse(x)}",
    "of its own result": OUTSIDE + "def run(x): return bifpn.fuse(bifpn.fuse(x))",
    "by getattr": OUTSIDE + 'def run(x): return getattr(bifpn, "fuse")(x)',
    "a class of that module kept": OUTSIDE + "FUSIONS = {'fast': bifpn.Fusion}",
    "a parameter of that name": "def run(x, fuse): return [fuse, fuse(x)]",
    "another module's": "from lib.detection import anchors\nF = anchors.fuse",
    "someone else's by name": "from other.detection.bifpn import fuse",
    "a word": "NAMES = {'fuse': 'fast fusion'}",
}
CALLS_AT_HOME = {
    "in a function": "def run(x): return fuse(x)",
    "whose it is, asked at call time": "from lib.basics import plain\n"
    "def run(x): return fast(x) if plain.is_ours(fuse) else fuse(x)",
    "its own definition": "def fuse(x): return sum(x)",
    "itself": "def fuse(x): return fuse(x[1:]) if x else 0",
    "a local of that name": "def run(x):\n    fuse = x + 1\n    return [fuse]",
    "a loop over such": "def run(x):\n    for fuse in x:\n        yield fuse",
}
AWAY = "basics.other"
HOME = "detection.bifpn"


@pytest.mark.parametrize("form", KEEPS)
def test_what_keeps_a_place_is_refused(form):
    assert kept(KEEPS[form], AWAY, {FUSE})


@pytest.mark.parametrize("form", KEEPS_AT_HOME)
def test_what_keeps_a_place_in_its_own_module_is_refused(form):
    assert kept(KEEPS_AT_HOME[form], HOME, {FUSE})


@pytest.mark.parametrize("form", CALLS)
def test_a_call_at_call_time_is_right(form):
    assert kept(CALLS[form], AWAY, {FUSE}) == []


@pytest.mark.parametrize("form", CALLS_AT_HOME)
def test_a_call_in_its_own_module_is_right(form):
    assert kept(CALLS_AT_HOME[form], HOME, {FUSE}) == []


IMPORTED = "from lib.nas import controller\n"
BY_NAME = "from lib.nas.controller import Learner\n"


@pytest.mark.parametrize(
    ("source", "at_home", "refused"),
    [
        ("class Learner:\n    def run(self, x): return self.update(x)", True, False),
        ("class Learner:\n    def run(self): self.step = self.update", True, True),
        ("class Learner:\n    def __init__(self): hook(self.update)", True, True),
        ("STEPS = {'ppo': Learner.update}", True, True),
        ("def run(x): return Learner.update(x, 1)", True, False),
        (IMPORTED + "def run(o): return o.update(1)", False, False),
        (IMPORTED + "def run(o): return partial(o.update)", False, True),
        (BY_NAME + "F = Learner.update", False, True),
        (BY_NAME + "def f(): return Learner()", False, False),
        ("def run(seen, more): return [seen.update, more]", False, False),
    ],
)
def test_a_method_is_a_place_too(source, at_home, refused):
    """Its class may be imported and kept; the method is looked up at each call."""
    here = "nas.controller" if at_home else AWAY
    assert bool(kept(source, here, {UPDATE})) == refused


def test_the_words_say_where_and_what():
    said = kept("\nfrom lib.detection.bifpn import fuse\n", AWAY, {FUSE})
    assert said == [
        "basics.other, line 2: detection.bifpn.fuse is imported by name: import its"
        " module"
    ]


def test_what_is_refused_is_really_never_called(tmp_path, monkeypatch):
    """Four of the forms, executed: the function put in the place stays uncalled."""
    (tmp_path / "home.py").write_text("def fuse(x): return 'ours'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    home = import_module("home")
    names = {}
    source = """
        import functools, home
        from home import fuse
        def default(x, f=home.fuse): return f(x)
        table = {"fast": home.fuse}
        half = functools.partial(home.fuse)
        def late(x): return home.fuse(x)
        """
    exec(textwrap.dedent(source), names)  # as a module is run
    with contextlib.ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(home, "fuse", lambda x: "mine")
        forms = (names["fuse"], names["default"], names["table"]["fast"], names["half"])
        assert [f(1) for f in forms] == ["ours"] * 4
        assert names["late"](1) == "mine"
