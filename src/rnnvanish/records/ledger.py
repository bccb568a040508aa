"""Stored measurements: what is too expensive to measure at every build, and whether the code has changed since.

One JSON file a claim, in git: what was measured stays when a run is cut off, and a change shows in its own file.
"""

import ast
import hashlib
import importlib
import importlib.util
import json
import math
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from rnnvanish.records.files import write_whole

FOLDER = Path(__file__).parent
#: What carries a number and does not make it.
CARRIERS = {
    f"rnnvanish.{name}"
    for name in (
        "claim",
        "experiments.sources",
        "records.ledger",
        "records.files",
        "names",
        "plots",
        "records.provenance",
        "records.version",
    )
}


class NotStored(Exception):
    """A claim that is stored, but has not been measured yet."""


def write(name: str, record: dict[str, Any]) -> None:
    """Keep the record of a claim; a reader never sees half of it."""
    write_whole(FOLDER / f"{name}.json", json.dumps(record, indent=1, allow_nan=False) + "\n")


def read(name: str) -> dict[str, Any]:
    """Return the record of a claim.

    Raises:
        NotStored: There is none; names the command that makes it.
    """
    try:
        record: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotStored(
            f"{name} is too dear to measure here, and no measurement of it is stored. "
            f"Make one: rnnvanish claims --update --only {name}"
        ) from None
    return record


def digest(module: str) -> str:
    """Name the code that a module computes with: its own and all that it imports from the package, without prose.

    Docstrings, comments, line breaks and what stands in `@claim(...)` do not count: sentences may change, and the
    bounds are held against a stored measurement each time that it is read.
    """
    known = hashlib.sha256()
    for name in sorted(_reached(module)):
        known.update(name.encode() + _code(_source(name)))
    return known.hexdigest()[:16]


def _reached(module: str) -> set[str]:
    """Return a module and every module of the package that its code comes from.

    Of a catalogue, such as `cells`, only what is named counts (`cells.LSTM`): a new cell makes no measurement old. All
    of it counts where the module itself walks through it (`cells.ALL`). A class that a folder's own file defines is no
    catalogue.
    """
    found, todo = set(), {module}
    while todo:
        found.add(name := todo.pop())
        nodes = _references(_source(name))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rnnvanish"):
                for each in node.names:
                    home = _home(node.module or "", each.name)
                    if _is_folder(home) and not _defines(home, each.name):  # a catalogue
                        used = {_home(home, attribute) for attribute in _attributes(nodes, each.asname or each.name)}
                        todo |= used if name == module else used - {home}
                    else:
                        todo.add(home)
            elif isinstance(node, ast.Import):
                todo |= {each.name for each in node.names if each.name.startswith("rnnvanish.")}
        todo -= found | CARRIERS
    return found


def _attributes(nodes: list[ast.AST], name: str) -> set[str]:
    """Return what is taken from `name`: LSTM in cells.LSTM."""
    dotted = (node for node in nodes if isinstance(node, ast.Attribute))
    return {node.attr for node in dotted if isinstance(node.value, ast.Name) and node.value.id == name}


def _home(module: str, name: str) -> str:
    """Return where a name is written that is imported from a module: a package often only hands it on."""
    value = getattr(importlib.import_module(module), name, None)
    if value is None or isinstance(value, ModuleType):
        return f"{module}.{name}"
    home = getattr(value, "__module__", module)
    return home if isinstance(home, str) and home.startswith("rnnvanish") else module


def _defines(module: str, name: str) -> bool:
    """Whether a class or function is written in the very file of a module."""
    return getattr(getattr(importlib.import_module(module), name, None), "__module__", None) == module


def _is_folder(module: str) -> bool:
    """Whether a name is that of a folder of modules; what has been imported so far must not matter."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name in a module
        return False
    return getattr(spec, "submodule_search_locations", None) is not None


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"There is no source of {module} to compare a stored measurement with.")
    return Path(spec.origin).read_text(encoding="utf-8")


@cache
def _references(source: str) -> list[ast.AST]:
    """What a source imports and takes from something. Most modules are reached from many, and reading them takes long."""
    return [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute)
    ]


@cache
def _code(source: str) -> bytes:
    """A source without prose."""
    return ast.dump(_Code().visit(ast.parse(source))).encode()


class _Code(ast.NodeTransformer):
    """Leave the code of a module, and no prose."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [each for each in node.decorator_list if "id='claim'" not in ast.dump(each)]
        return self.generic_visit(node)


def plain(value: Any) -> Any:
    """Return rows of numbers and words as JSON holds them; float() reads every number back."""
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return number(value) if isinstance(value, float) else value


def number(value: float) -> float | str:
    """Return a number that JSON can hold: there is no infinity in it."""
    return value if math.isfinite(value) else str(value)
