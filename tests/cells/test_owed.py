"""What every listed cell owes: its equations in plain Python, an oracle beside them, with what it was compared."""

import ast
from pathlib import Path

import oracle
import pytest
from oracle import FOLDER, assert_has, file_of, loaded

from rnnvanish import cells

FILES = {file_of(name) for name in cells.ALL}


@pytest.mark.parametrize("name", cells.ALL)
def test_a_cell_has_its_oracles_and_says_with_what_it_was_compared(name):
    cell = cells.ALL[name]
    assert cell.__name__ == name
    assert_has(name, "equations", "oracles")
    assert cell.checked, f"{name} needs `checked`: with whose code, and its commit, or which equations it was compared."
    assert cell.paper.link.startswith("https://")
    assert cell.paper.year > 1980


def test_every_file_of_cells_is_listed():
    """By its cell: that another cell imports something of a file is not enough."""
    unlisted = {path.stem for path in Path(cells.__file__).parent.glob("[!_]*.py")} - FILES
    assert not unlisted, f"src/rnnvanish/cells/__init__.py imports no cell of {sorted(unlisted)}: write its line there."


@pytest.mark.parametrize("folder", ["equations", "oracles"])
def test_every_oracle_belongs_to_a_cell(folder):
    modules = loaded(folder)
    nobodys = set(modules) - FILES
    assert not nobodys, (
        f"tests/cells/{folder} has {sorted(nobodys)}, and src/rnnvanish/cells no cell in a file of that name."
    )
    for file, module in modules.items():
        said = {name for each in vars(module).values() for name in getattr(each, "cells", ())}
        others = {*said, *getattr(module, "OPTIONS", {})} - {name for name in cells.ALL if file_of(name) == file}
        assert not others, (
            f"tests/cells/{folder}/{file}.py is of {sorted(others)}, and cells/{file}.py has no such cell."
        )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("equations/*.py")), ids=lambda path: path.stem)
def test_equations_are_plain_python(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    assert imported <= {"math", "cmath"}


@pytest.mark.parametrize("name", cells.ALL)
def test_an_oracle_builds_the_class_that_it_is_given(name):
    """One with a fault planted in it may come instead."""
    assert_has(name, "oracles")
    path = FOLDER / "oracles" / f"{file_of(name)}.py"
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef) and f"oracle('{name}')" in map(ast.unparse, function.decorator_list):
            named = {ast.unparse(node) for node in ast.walk(function)}
            assert f"cells.{name}" not in named, (
                f"{function.name} in {path} takes the class: build that, not cells.{name}."
            )


def test_what_is_owed_is_said(monkeypatch):
    """Of a cell whose oracles are not written, what to write, and where."""
    monkeypatch.setattr(oracle, "loaded", lambda folder: {})
    with pytest.raises(
        AssertionError, match=r"function GRU\(w, x, state\) in tests/cells/equations/gru\.py.* \(output, \[part"
    ):
        assert_has("GRU", "equations", "oracles")
    with pytest.raises(
        AssertionError, match=r'under @oracle\("GRU"\) in tests/cells/oracles/gru\.py.*weights are drawn\. tests/help'
    ):
        assert_has("GRU", "oracles")
