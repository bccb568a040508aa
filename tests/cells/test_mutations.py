"""Faults planted in every cell: its equations or one of its oracles sees each.

What changes nothing stands in `equivalent.json` with its reason.
"""

import json
import math
import types
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch
from cell_faults import cell_faults
from oracle import assert_follows_equations, assert_has, assert_passes, assert_scales, file_of, options_of, oracles

from rnnvanish import cells
from rnnvanish.cell import Cell

CELLS = Path(cells.__file__).parent
FILES = sorted({file_of(name) for name in cells.ALL})
EQUIVALENT = json.loads(Path(__file__).with_name("equivalent.json").read_text(encoding="utf-8"))


@cache
def planted(file):
    """Every fault that can be planted in a file."""
    name = f"{file}.py"
    return cell_faults(name, (CELLS / name).read_text(encoding="utf-8"))


def unset(*shape, **options):
    """What `torch.empty` may give: numbers that nobody has drawn."""
    return torch.full(shape if isinstance(shape[0], int) else shape[0], math.nan, **options)


def held(name, kind):
    """Hold a class against all that the cell of this name is held against."""
    for options in options_of(name):
        assert_follows_equations(kind, name, **options)
    for check in oracles(name).values():
        assert_passes(kind, check)
    if kind.scales is not Cell.scales:
        assert_scales(kind)


def error_of(file, source, scope=""):
    """The error that a cell's source leads to, all of it or one class; None where all that it is held against passes."""
    try:
        module = types.ModuleType(f"rnnvanish.cells.{file}")
        exec(compile(source, f"{file}.py", "exec"), vars(module))  # noqa: S102  (it is ours, with a fault)
        for name in cells.ALL:
            if file_of(name) == file and (scope == name or scope not in cells.ALL):
                held(name, getattr(module, name))
    except Exception as error:  # noqa: BLE001  (whatever it led to)
        return error
    return None


@pytest.mark.parametrize("file", FILES)
@pytest.mark.filterwarnings("ignore")
def test_every_fault_is_seen(file, monkeypatch):
    for name in cells.ALL:
        if file_of(name) == file:
            assert_has(name, "equations", "oracles")
    monkeypatch.setattr(torch, "empty", unset)
    source = (CELLS / f"{file}.py").read_text(encoding="utf-8")
    said = {name for name in EQUIVALENT if name.startswith(f"{file}.py::")}
    error = error_of(file, source)
    assert error is None, f"Without a fault it is not what it is held against, so each would count as seen: {error}"
    missed, equivalent = [], set()
    for fault in planted(file):
        if error_of(file, fault.planted(source), fault.scope.partition(".")[0]):
            continue
        equivalent.add(fault.id)
        if fault.id not in said:
            line = source.encode()[: fault.span[0]].count(b"\n") + 1
            missed.append(f"src/rnnvanish/cells/{fault.path}:{line}: {fault.id}")
    unseen = (
        "No oracle sees these. Strengthen one, or give a reason in equivalent.json. What is in __init__ is mostly seen by one of how "
        "weights are drawn, as tests/helpers/oracle.py has it:"
    )
    assert not missed, "\n".join([unseen, *missed])
    assert not said - equivalent, "These are said to change nothing, and are seen, or are no longer there."


def test_every_kind_is_planted_and_each_reason_is_given():
    kinds = Counter(fault.kind for file in FILES for fault in planted(file))
    assert kinds.total() >= 300
    assert {"state", "sign", "function", "order", "constant", "term"} <= set(kinds)
    assert {name.partition(".py::")[0] for name in EQUIVALENT} <= set(FILES)
    assert all(reason.endswith(".") for reason in EQUIVALENT.values())
