"""The source of an answer as a file that is complete by itself.

An answer in a notebook uses imports, helpers and values of other cells. All that it
reaches is bound as it is *now*, and written down: imports as imports, functions and
classes as their text, numbers and small tensors as literals. For `kept`.
"""

import ast
import dis
import functools
import inspect
import linecache
import sys
import sysconfig
import textwrap
import types
from importlib import import_module
from pathlib import Path

import lib
from lib.exercises.literals import CannotCollect, literal

# Where functions stand that do not say themselves from where they can be imported.
HOMES = ("torch", "torch.nn.functional", "math", "numpy", "operator", "torch.nn")


def collect(function, name: str) -> str:
    """A module's text that defines `name`, equal to `function`, and all it needs.

    `CannotCollect` names what cannot be written: a network, an open file, data.
    """
    file = _File()
    plain = inspect.unwrap(function)
    if not isinstance(plain, types.FunctionType):
        kind = type(function).__name__
        raise CannotCollect(f"{name} is a {kind}; only a function can be kept")
    called = file.function(plain, name)
    if called != name:
        file.parts.append(f"{name} = {called}")
    text = "\n\n\n".join(["\n".join(sorted(file.imports)), *file.parts]).strip() + "\n"
    try:
        compile(text, name, "exec")
    except SyntaxError as error:
        raise CannotCollect(f"{name} cannot stand in a file: {error.msg}") from error
    return text


class _File:
    """Imports and definitions, each once, and what every name in them means."""

    def __init__(self):
        self.imports: set[str] = set()
        self.parts: list[str] = []
        self.meaning: dict[str, object] = {}

    def bind(self, name: str, value) -> None:
        """Write what makes `name` mean `value`, and before it what that needs."""
        value = _unwrapped(value)
        if name in self.meaning:
            if self.meaning[name] is not value and not _equal(
                self.meaning[name], value
            ):
                raise CannotCollect(f"two different things are called {name}")
            return
        self.meaning[name] = value
        if line := _import(name, value):
            self.imports.add(line)
        elif isinstance(value, types.FunctionType):
            called = self.function(value, name)
            if called != name:
                self.parts.append(f"{name} = {called}")
        elif isinstance(value, type):
            self.definition(name, value)
        elif isinstance(value, functools.partial):
            self.partial(name, value)
        elif isinstance(value, types.UnionType):
            self.union(name, value)
        elif isinstance(value, types.GenericAlias):  # list[int]: annotations only
            self.parts.append(f"{name} = object")
        else:
            self.parts.append(f"{name} = {literal(name, value, self.imports)}")

    def union(self, name: str, value) -> None:
        """Write a name for several types, as signatures use it: `Number`."""
        kinds = []
        for kind in value.__args__:
            kinds.append("None" if kind is types.NoneType else kind.__name__)
            if kind.__module__ != "builtins":
                self.bind(kind.__name__, kind)
        self.parts.append(f"{name} = {' | '.join(kinds)}")

    def partial(self, name: str, value: functools.partial) -> None:
        self.bind(f"_{name}_of", value.func)
        self.imports.add("import functools")
        given = [literal(name, a, self.imports) for a in value.args]
        given += [
            f"{k}={literal(name, v, self.imports)}" for k, v in value.keywords.items()
        ]
        call = ", ".join([f"_{name}_of", *given])
        self.parts.append(f"{name} = functools.partial({call})")

    def function(self, function: types.FunctionType, name: str) -> str:
        """Write a function's text and what it reaches; gives the name it has there."""
        self.meaning.setdefault(name, function)
        tree, text = _text(function)
        self.names_of(tree, function)
        if isinstance(tree, ast.Lambda):
            self.parts.append(f"{name} = {text}")
            return name
        if tree.name != name:
            known = self.meaning.setdefault(tree.name, function)
            if known is not function:
                raise CannotCollect(f"two different things are called {tree.name}")
        self.parts.append(text)
        return tree.name

    def names_of(self, tree: ast.AST, function: types.FunctionType) -> None:
        """Bind what a function's body, decorators, defaults and annotations name."""
        reached = _globals_of(function.__code__) | _names_outside(tree)
        closed = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        for name in sorted(reached | set(closed)):
            if name in closed:
                try:
                    self.bind(name, closed[name].cell_contents)
                except ValueError as error:
                    if isinstance(error, CannotCollect):
                        raise
                    raise CannotCollect(f"{name} has no value yet") from error
            elif name in function.__globals__:
                self.bind(name, function.__globals__[name])

    def definition(self, name: str, value: type) -> None:
        """Write a class's text; its methods may use what stands around it."""
        methods = [m for m in vars(value).values() if isinstance(m, types.FunctionType)]
        if not methods:
            raise CannotCollect(f"the class {name} has no text that can be found")
        whole = _whole(methods[0])
        tree = next(
            (
                node
                for node in ast.walk(ast.parse(whole))
                if isinstance(node, ast.ClassDef)
                and node.name == value.__name__
                and node.lineno <= methods[0].__code__.co_firstlineno <= node.end_lineno
            ),
            None,
        )
        if tree is None:
            raise CannotCollect(f"the text of the class {name} is not to be found")
        around = methods[0].__globals__
        inside = set().union(*(_globals_of(m.__code__) for m in methods))
        outside = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        for used in sorted(inside | outside):
            if used in around and used != value.__name__:
                self.bind(used, around[used])
        self.parts.append(ast.unparse(tree))
        if name != value.__name__:
            self.parts.append(f"{name} = {value.__name__}")


def _unwrapped(value):
    """A function of a notebook without its decorators: they stand in its text."""
    if isinstance(value, types.FunctionType):
        plain = inspect.unwrap(value)
        return plain if isinstance(plain, types.FunctionType) else value
    return value


def _equal(a, b) -> bool:
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:  # tensors, and whatever compares in its own way
        return False


# ------------------------------------------------------------------- what is imported


def _import(name: str, value) -> str | None:
    """The line that imports `value` as `name`, or None if it stands in no package."""
    if isinstance(value, types.ModuleType):
        if not _travels(value):
            raise CannotCollect(
                f"{name} is a file of yours, {value.__name__}.py, which is not kept"
            )
        renamed = "" if value.__name__ == name else f" as {name}"
        return f"import {value.__name__}{renamed}"
    titles = [getattr(value, "__qualname__", None), getattr(value, "__name__", None)]
    for title in dict.fromkeys(t for t in titles if isinstance(t, str)):
        for home in (getattr(value, "__module__", None), *HOMES):
            if _stands_at(home, title, value):
                return _import_line(home, title, name)
    return None


def _stands_at(home, title: str, value) -> bool:
    """True if the module `home` holds `value` as `title`, and can be imported."""
    thing = sys.modules.get(home) if isinstance(home, str) else None
    if thing is None or not _travels(thing):
        return False
    for part in title.split("."):
        thing = getattr(thing, part, None)
    return thing is value or _original(thing) is value


def _import_line(home: str, title: str, name: str) -> str:
    outer, _, inner = title.partition(".")
    if inner:
        return f"from {home} import {outer}\n{name} = {title}"
    renamed = "" if outer == name else f" as {name}"
    return f"from {home} import {outer}{renamed}"


def _original(value):
    """What stood in a place of `lib` before a learner's function did."""
    return inspect.unwrap(value) if isinstance(value, types.FunctionType) else value


def _travels(module: types.ModuleType) -> bool:
    """True for a module that every copy of the course can import."""
    if module.__name__ == "__main__":
        return False
    try:
        import_module(module.__name__)
    except Exception:
        return False
    origin = getattr(module.__spec__, "origin", None)
    if origin is None or not Path(origin).is_absolute():  # built into Python
        return module.__spec__ is not None
    homes = [lib.ROOT / "lib", *map(Path, sysconfig.get_paths().values())]
    homes += [Path(p) for p in sys.path if "site-packages" in p or "dist-packages" in p]
    return any(Path(origin).is_relative_to(home) for home in homes)


# --------------------------------------------------------------------- what is a name


def _globals_of(code: types.CodeType) -> set[str]:
    """Names that a code object, or one inside it, takes from its globals."""
    names = {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names |= _globals_of(inner)
    return names


def _names_outside(tree: ast.AST) -> set[str]:
    """Names in decorators, defaults and annotations: read where the `def` stands."""
    arguments = tree.args
    outside = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    if not isinstance(tree, ast.Lambda):
        outside += tree.decorator_list
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += filter(None, (arguments.vararg, arguments.kwarg))
        outside += [a.annotation for a in every if a.annotation]
        outside += [tree.returns] if tree.returns else []
    return {
        node.id
        for part in outside
        for node in ast.walk(part)
        if isinstance(node, ast.Name)
    }


# --------------------------------------------------------------------- where text is


def _whole(function: types.FunctionType) -> str:
    """The text of the cell or file in which a function was written."""
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    if not lines:
        raise CannotCollect(f"the text of {function.__name__} is not to be found")
    return "".join(lines)


def _text(function: types.FunctionType) -> tuple[ast.AST, str]:
    """Syntax tree and text of a function, a lambda as its expression."""
    whole, code = _whole(function), function.__code__
    try:
        tree = ast.parse(whole)
    except SyntaxError as error:  # a cell with a magic that nobody translated
        raise CannotCollect(f"the cell of {function.__name__} is no Python") from error
    kind = (ast.FunctionDef,) if function.__name__ != "<lambda>" else (ast.Lambda,)
    near = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kind) and _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]  # fmt: skip
    if kind == (ast.Lambda,):
        near = [node for node in near if _holds(node, code)]
    if not near:
        raise CannotCollect(f"the text of {function.__name__} is not to be found")
    node = near[-1]
    if isinstance(node, ast.Lambda):
        return node, f"({ast.get_source_segment(whole, node)})"
    lines = whole.splitlines()[_first_line(node) - 1 : node.end_lineno]
    return node, textwrap.dedent("\n".join(lines))


def _first_line(node: ast.AST) -> int:
    """The line on which a definition begins, with its decorators."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _holds(node: ast.Lambda, code: types.CodeType) -> bool:
    """True if a lambda's body is the text from which a code object was made."""
    body = node.body
    spans = {
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None
    }
    begin, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    inside = [span for span in spans if begin <= span < end]
    return len(inside) >= max(1, len(spans) - 1)


def own_text(function) -> str:
    """The text of a function alone, "" where there is none to be found."""
    plain = inspect.unwrap(function)
    try:
        return _text(plain)[1]
    except (CannotCollect, AttributeError):
        return ""
