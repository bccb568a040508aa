"""What the table of cells and the page of each say: what it keeps, and how to see how far back its gradient reaches."""

from __future__ import annotations

from typing import Any

ALL = "cells"
HEAD = ["Cell", "What it is", "Year", "What it keeps"]
#: Methods that every cell has.
HIDDEN = "forward|initial_state|output|output_size|scales|parallel|paper|small"


def columns(cell: Any) -> tuple[str, ...]:
    """Its last cells in the table."""
    return str(cell.paper.year), _kept(cell)


def facts(cell: Any) -> dict[str, str]:
    """What is told of it at once."""
    return {"What it keeps": _kept(cell)}


def use(cell: Any) -> str:
    """The lines to use it."""
    return (
        f"```python\nlayer = Recurrent(cells.{cell.__name__}, input_size=8, hidden_size=64)\n```\n\n"
        f"`rnnvanish cells {cell.__name__}` measures how far back its gradient reaches."
    )


def _kept(cell: Any) -> str:
    """The parts of its state that are memory, and which of its gates keeps one of them."""
    gate = {cell.keeps.part: f" ({cell.keeps.called} gate `{cell.keeps.gate}`)"} if cell.keeps else {}
    return ", ".join(f"`{part}`{gate.get(part, '')}" for part in cell.state_names if part not in cell.helpers)
