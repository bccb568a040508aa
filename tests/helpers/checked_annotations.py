"""Every function of the package checks its annotations whenever it is called: types by beartype, shapes by jaxtyping.

jaxtyping's own import hook wraps all functions alike, those within others at each call. That took longer than the tests.
"""

import ast
import inspect
import random
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype._check.code import codemain

#: The item of a list that is looked at comes from a generator of its own, not from the one that models draw from.
codemain.getrandbits = random.Random(0).getrandbits
typed = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Any:
    """A function that checks what it is given and gives; of a class what a dataclass is made of."""
    if isinstance(function, type):
        if is_dataclass(function):
            function.__init__ = checked(function.__init__)
        return function
    for annotation in function.__annotations__.values():
        if "'" in inspect.formatannotation(annotation):  # axes, or names in quotes: of both jaxtyping knows more
            return jaxtyping.jaxtyped(function, typechecker=typed)
    return typed(function)


def leave_unchecked(cls: type, monkeypatch: Any) -> None:
    """Have a class as its users have it, and no shape checked in what it calls."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        monkeypatch.setattr(cls, name, inspect.unwrap(method))


class Decorate(ast.NodeTransformer):
    """Decorates functions and classes, but none within a function: they are made anew at each call."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list.append(decorator(node))  # the innermost: other decorators hide annotations
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.decorator_list.insert(0, decorator(node))  # the outermost: behind @dataclass
        self.generic_visit(node)
        return node


def decorator(node: ast.AST) -> ast.expr:
    """`@checked`, without a name in the module; an error in it is shown at the line of what it decorates."""
    found = ast.parse(f"__import__('{__name__}').checked", mode="eval").body
    for each in ast.walk(found):
        ast.copy_location(each, node)
    return found


class Loader(SourceFileLoader):
    """Never reads or writes bytecode: that is what others run."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return compile(Decorate().visit(ast.parse(self.get_data(path))), path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds the package's modules, as Python would, for `Loader`."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] != "rnnvanish":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """From here on; the package must not have been imported."""
    early = [name for name in sys.modules if name.partition(".")[0] == "rnnvanish"]
    assert not early, f"imported before its annotations could be checked: {early}"
    sys.meta_path.insert(0, Finder())
