"""Faults that a hand could have made: every place of a source where one can be planted, and the source that has it."""

import ast
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
#: What says something and computes nothing: a fault in there is a matter of taste.
SILENT = (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)
#: Functions that do not care for the order of their arguments.
SYMMETRIC = {"allclose", "equal", "hypot", "max", "min", "maximum", "minimum", "logical_and", "logical_or"}


@dataclass(frozen=True)
class Fault:
    """A fault, and where it stands.

    Attributes:
        path: The source, from the root of the repository.
        scope: The function or class around it, dotted; "" at the top.
        kind: sign, operator, constant, name or call.
        old: What stood there.
        new: What stands there now.
        occurrence: Which one, where a scope has several that read the same.
        span: Bytes of the source that are replaced.
    """

    path: str
    scope: str
    kind: str
    old: str
    new: str
    occurrence: int
    span: tuple[int, int]

    @property
    def id(self) -> str:
        """A name that stays when lines are added elsewhere."""
        again = f" #{self.occurrence + 1}" if self.occurrence else ""
        return f"{self.path}::{self.scope}: {self.old} -> {self.new}{again}"

    def planted(self, source: str) -> str:
        """The source that has this fault."""
        content, (start, end) = source.encode(), self.span
        return (content[:start] + self.new.encode() + content[end:]).decode()

    def rank(self, seed: int) -> bytes:
        """Where it comes in a drawn order that does not change with the other faults."""
        return hashlib.sha256(f"{seed} {self.id}".encode()).digest()


Changes = Callable[[ast.AST], Iterator[tuple[str, ast.AST]]]


def faults(path: str, source: str, tree: ast.Module | None = None, changes: Changes | None = None) -> list[Fault]:
    """Every fault that can be planted in a source.

    Args:
        path: Of the source, for the names of the faults.
        source: Its text.
        tree: The same, parsed, without what is to be left alone; default: all of it.
        changes: What can be made of one node, each with its kind; default: `usual_changes`.
    """
    lines = [0]
    for line in source.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found: list[Fault] = []
    seen: dict[tuple[str, str, str], int] = {}
    for scope, node, kind, new in _places(tree or ast.parse(source), "", changes or usual_changes):
        span = lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset
        old = source.encode()[slice(*span)].decode()
        text = _text(new, parenthesised=old.startswith("("))
        known = scope, old, text
        seen[known] = seen.get(known, -1) + 1
        found.append(Fault(path, scope, kind, old, text, seen[known], span))
    return found


def _places(node: ast.AST, scope: str, changes: Changes) -> Iterator[tuple[str, ast.AST, str, ast.AST]]:
    """Scope, node to replace, kind and new node of every fault below a node."""
    for child in _computing(node):
        inside = scope
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            inside = f"{scope}.{child.name}".lstrip(".")
        for kind, new in changes(child):
            yield scope, child, kind, new
        yield from _places(child, inside, changes)


def _text(node: ast.AST, parenthesised: bool) -> str:
    """A node as source; x[:, 0] takes no parentheses inside the brackets."""
    if isinstance(node, ast.Tuple) and not parenthesised:
        return ", ".join(map(ast.unparse, node.elts))
    text = ast.unparse(ast.fix_missing_locations(node))
    return text if isinstance(node, ast.stmt | ast.Tuple) else f"({text})"


def _computing(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node that compute something: no annotations, decorators, docstrings, messages."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, SILENT):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "Paper":
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            yield child


def usual_changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What can be made of one node, each with its kind."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in SWAPPED:
            # Types are written with | too.
            if not (isinstance(op, ast.BitOr) and _is_type(left) | _is_type(right)):
                kind = "sign" if isinstance(op, ast.Add | ast.Sub) else "operator"
                yield kind, ast.BinOp(left, SWAPPED[type(op)](), right)
        case ast.UnaryOp(ast.USub(), operand):
            yield "sign", operand
        case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
            yield "operator", operand
        case ast.BoolOp(op, values):
            yield "operator", ast.BoolOp(SWAPPED[type(op)](), values)
        case ast.Compare(left, [op], [right]) if type(op) in SWAPPED:
            yield "operator", ast.Compare(left, [SWAPPED[type(op)]()], [right])
        case ast.AugAssign(target, op, value) if type(op) in SWAPPED:
            kind = "sign" if isinstance(op, ast.Add | ast.Sub) else "operator"
            yield kind, ast.AugAssign(target, SWAPPED[type(op)](), value)
        case ast.Constant(bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(int() as value):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield "constant", ast.Constant(2 * value if value else 1.0)
        case ast.Tuple([first, second, *rest], ast.Load()) if ast.dump(first) != ast.dump(second):
            numbers = all(isinstance(each, ast.Constant) for each in (first, second))
            yield "constant" if numbers else "name", ast.Tuple([second, first, *rest], ast.Load())
        case ast.Expr(ast.Call()):
            yield "call", ast.Pass()
        case ast.Call(func, args, keywords):
            if _ordered(func, args):
                yield "name", ast.Call(func, [args[1], args[0], *args[2:]], keywords)
            if isinstance(func, ast.Attribute) and not _is_owner(func.value):
                yield "call", func.value  # x.detach() -> x
            elif len(args) == 1 and not isinstance(args[0], ast.Starred | ast.GeneratorExp):
                yield "call", args[0]  # tanh(x) -> x


def _ordered(func: ast.expr, args: list[ast.expr]) -> bool:
    """Whether it matters which of the first two arguments comes first."""
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if len(args) < 2 or name in SYMMETRIC or _is_type(func):
        return False
    return not any(isinstance(arg, ast.Starred) for arg in args[:2]) and ast.dump(args[0]) != ast.dump(args[1])


def _is_type(node: ast.AST) -> bool:
    """Whether it is a type, or checks one."""
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return bool(names & {"isinstance", "cast", "None", "int", "str", "float", "list", "tuple", "dict"})


def _is_owner(node: ast.AST) -> bool:
    """Whether what stands before the dot only holds the function: torch.tanh(x), self.linear(x)."""
    while isinstance(node, ast.Attribute):
        node = node.value
    owners = {"torch", "nn", "F", "np", "math", "os", "json", "functional", "init", "super", "self", "cls"}
    return isinstance(node, ast.Name) and node.id in owners
