"""Mutants of a function: an operator, comparison, constant, slice or line changed."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator

_SWAP = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_TWIN = {"min": "max", "max": "min", "floor": "ceil", "ceil": "floor", "sum": "mean"}


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """In-place changes that could be made to a copy of `node`."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        if new := _SWAP.get(type(node.op)):
            yield lambda n: setattr(n, "op", new())
    elif isinstance(node, ast.Compare):
        if new := _SWAP.get(type(node.ops[0])):
            yield lambda n: n.ops.__setitem__(0, new())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda n: setattr(n, "op", ast.UAdd())
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield lambda n: setattr(n, "value", not n.value)
        elif isinstance(node.value, int):
            yield lambda n: setattr(n, "value", 1 - n.value if n.value in (0, 1)
                                    else n.value + 1)  # fmt: skip
        elif isinstance(node.value, float):
            yield lambda n: setattr(n, "value", n.value * 2 + 0.5)
    elif isinstance(node, ast.Slice) and (node.lower is None) != (node.upper is None):
        yield lambda n: vars(n).update(lower=n.upper, upper=n.lower)  # [:n] to [n:]
    elif isinstance(node, ast.Attribute | ast.Name):
        field = "attr" if isinstance(node, ast.Attribute) else "id"
        if new := _TWIN.get(getattr(node, field)):
            yield lambda n: setattr(n, field, new)


def _annotations(tree: ast.AST) -> set[int]:
    """Nodes of annotations, by id: to change `int | float` changes no result."""
    found = set()
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if (part := getattr(node, field, None)) is not None:
                found |= {id(inner) for inner in ast.walk(part)}
    return found


def mutants(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Pairs (label, mutant). A label reads "line 2: `a + b` -> `a - b`"."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    nodes = list(ast.walk(tree))
    above = tree.body[0].lineno - 1  # decorators: line 1 is the one with `def`
    words = _annotations(tree)
    for i, node in enumerate(nodes):
        for change in _changes(node) if id(node) not in words else ():
            mutated = copy.deepcopy(tree)
            target = list(ast.walk(mutated))[i]
            change(target)
            label = f"line {node.lineno - above}: `{_text(node)}` -> `{_text(target)}`"
            yield label, _compile(mutated, function)
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            for j, line in enumerate(block if isinstance(block, list) else ()):
                plain = ast.Assign | ast.AugAssign | ast.Expr | ast.If | ast.For
                if not isinstance(line, plain) or _is_docstring(line):
                    continue
                mutated = copy.deepcopy(tree)
                getattr(list(ast.walk(mutated))[i], field)[j] = ast.Pass()
                first = _text(line).splitlines()[0]
                yield (
                    f"line {line.lineno - above}: `{first}` omitted",
                    _compile(mutated, function),
                )


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _compile(tree: ast.Module, function: Callable) -> Callable:
    ast.fix_missing_locations(tree)
    # The tests' type checks wrap functions; the wrapper's globals have no torch.
    space = dict(inspect.unwrap(function).__globals__)
    exec(compile(tree, f"<mutant of {function.__name__}>", "exec"), space)
    return space[function.__name__]
