"""What every listed cell owes: its equations in plain Python, an oracle beside them, with what it was compared."""

import ast
from pathlib import Path

import pytest
from oracle import FOLDER, equations, file_of, loaded, oracles

from rnnvanish import cells

FILES = {file_of(name) for name in cells.ALL}


@pytest.mark.parametrize("name", cells.ALL)
def test_a_cell_has_its_oracles_and_says_with_what_it_was_compared(name):
    cell, file = cells.ALL[name], file_of(name)
    assert cell.__name__ == name
    assert equations(name), f"{name} needs a function of its name in tests/cells/equations/{file}.py, in plain Python."
    assert oracles(name), f'{name} needs a function under @oracle("{name}") in tests/cells/oracles/{file}.py.'
    assert cell.checked, f"{name} needs `checked`: with whose code, and its commit, or which equations it was compared."
    assert cell.paper.link.startswith("https://")
    assert cell.paper.year > 1980


def test_every_file_of_cells_is_listed():
    assert {path.stem for path in Path(cells.__file__).parent.glob("[!_]*.py")} == FILES


@pytest.mark.parametrize("folder", ["equations", "oracles"])
def test_every_oracle_belongs_to_a_cell(folder):
    modules = loaded(folder)
    assert set(modules) <= FILES
    for file, module in modules.items():
        said = {name for each in vars(module).values() for name in getattr(each, "cells", ())}
        assert {*said, *getattr(module, "OPTIONS", {})} <= {name for name in cells.ALL if file_of(name) == file}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("equations/*.py")), ids=lambda path: path.stem)
def test_equations_are_plain_python(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    assert imported <= {"math", "cmath"}


@pytest.mark.parametrize("name", cells.ALL)
def test_an_oracle_builds_the_class_that_it_is_given(name):
    """One with a fault planted in it may come instead."""
    path = FOLDER / "oracles" / f"{file_of(name)}.py"
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef) and f"oracle('{name}')" in map(ast.unparse, function.decorator_list):
            assert f"cells.{name}" not in {ast.unparse(node) for node in ast.walk(function)}
