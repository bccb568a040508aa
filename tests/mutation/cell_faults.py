"""Faults that a hand could have made in a cell: old states for new ones, other gates and blocks, terms left out."""

import ast
import hashlib
from collections.abc import Iterable, Iterator

from mutate import Fault, faults, usual_changes

#: What may be mistaken for it.
TAKEN_FOR = {
    "sigmoid": "tanh",
    "tanh": "sigmoid",
    "Sigmoid": "Tanh",
    "Tanh": "Sigmoid",
    "relu": "tanh",
    "softplus": "relu",
    "logsigmoid": "sigmoid",
    "exp": "tanh",
    "silu": "sigmoid",
    "sin": "cos",
    "cos": "sin",
    "maximum": "minimum",
    "minimum": "maximum",
    "amax": "amin",
    "real": "imag",
    "new_zeros": "new_ones",
    "zeros": "ones",
    "zeros_": "ones_",
    "ones": "zeros",
    "ones_": "zeros_",
    "new_ones": "new_zeros",
    "rand": "randn",
    "randn": "rand",
    "cumsum": "cumprod",
}
#: What a cell declares, in its class or of an instance.
DECLARED = {"paper", "checked", "state_names", "helpers", "gate_names", "keeps", "wants", "small"}
SAID_OF_A_VALUE = {"dtype", "device", "shape"}
#: Functions of an axis; counted from the end or from the start is a matter of taste.
OF_AN_AXIS = {"chunk", "split", "cat", "stack", "sum", "mean", "softmax", "log_softmax", "cumsum", "cumprod", "amax"}


def cell_faults(path: str, source: str) -> list[Fault]:
    """Every fault that can be planted in what a cell's file computes; what it declares and refuses is left alone."""
    tree = ast.parse(source)
    _leave_alone(tree)
    axes, instead = _axes(tree), {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            instead |= _other_values(function)
    return faults(path, source, tree, lambda node: () if node in axes else _changes(node, instead.get(node, [])))


def _leave_alone(tree: ast.Module) -> None:
    """Take out of a tree what a cell declares, and what refuses an argument."""
    tree.body = [each for each in tree.body if "'https://" not in ast.unparse(each) or isinstance(each, ast.ClassDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        elif isinstance(node, ast.FunctionDef):
            node.body = [each for each in node.body if not (_refuses(each) or _declares(each))]


def _refuses(statement: ast.stmt) -> bool:
    while isinstance(statement, ast.If | ast.For):
        statement = statement.body[-1]
    return isinstance(statement, ast.Raise)


def _declares(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(body=body, orelse=[]):
            return all(map(_declares, body))
        case ast.Expr():
            return ast.unparse(statement).startswith("super().__init__")
        case ast.Assign([ast.Attribute(attr=name)]) | ast.AnnAssign(ast.Attribute(attr=name)):
            return name in DECLARED
    return False


def _axes(tree: ast.Module) -> set[ast.AST]:
    """The numbers that say an axis, counted from the end."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "dim":
            found.add(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OF_AN_AXIS:
            found.update(node.args)
    return {node for node in found if isinstance(node, ast.UnaryOp)}


def _changes(node: ast.AST, instead: list[ast.expr]) -> Iterator[tuple[str, ast.AST]]:
    """What can be made of one node, each with its kind; `instead` are values that could be read there."""
    yield from usual_changes(node)
    yield from (("state", each) for each in instead)
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult(), right):
            yield "term", left
            yield "term", right
        case ast.Attribute(value, attr) if attr in TAKEN_FOR:
            yield "function", ast.Attribute(value, TAKEN_FOR[attr])
        case ast.Name(name, ast.Load()) if name in TAKEN_FOR:
            yield "function", ast.Name(TAKEN_FOR[name])
        case ast.Tuple(targets, ast.Store()) if len(targets) > 1:
            for first in range(len(targets) - 1):
                turned = [*targets]
                turned[first : first + 2] = turned[first + 1], turned[first]
                if ast.dump(turned[first]) != ast.dump(targets[first]):
                    yield "order", ast.Tuple(turned, ast.Store())


def _other_values(function: ast.FunctionDef) -> dict[ast.Name, list[ast.expr]]:
    """For every use of a value what else could stand there: a part of the state before the step, three other values."""
    parts: dict[str, ast.expr] = {}  # where it was read from
    computed: dict[str, bool] = {}  # whether it has been since
    instead: dict[ast.Name, list[ast.expr]] = {}
    arguments = [each.arg for each in function.args.args]
    for statement in function.body:
        for node in _values(statement):
            if node.id == "after":
                instead[node] = [ast.Name("before")]
            elif node.id == "before" and "after" in arguments:
                instead[node] = [ast.Name("after")]
            elif node.id in computed:
                others: list[ast.expr] = [ast.Name(name) for name in _drawn(node.id, computed)]
                instead[node] = others + ([parts[node.id]] if node.id in parts and computed[node.id] else [])
        match statement:
            case ast.Assign([ast.Tuple(targets)], ast.Name("state" | "before" | "after" as source)):
                for place, target in enumerate(targets):
                    if isinstance(target, ast.Name) and target.id != "_":
                        parts[target.id] = ast.Subscript(ast.Name(source), ast.Constant(place))
                        computed[target.id] = False
            case ast.Assign(targets):
                for target in targets:
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and name.id != "_":
                            computed[name.id] = True
    return instead


def _values(statement: ast.stmt) -> Iterator[ast.Name]:
    """The names that are read, but for what only says the type or the size of another value."""
    told = {
        id(node.value)
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and node.attr in SAID_OF_A_VALUE
    }
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in told:
            yield node


def _drawn(name: str, others: Iterable[str]) -> list[str]:
    """Three of the other names, the same ones whatever else there is."""
    ranked = sorted(others, key=lambda other: hashlib.sha256(f"{name} {other}".encode()).digest())
    return [other for other in ranked if other != name][:3]
