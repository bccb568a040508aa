"""The body of `rnnvanish cells`."""

import inspect
import re
import sys
from typing import Any

import torch

from rnnvanish import Recurrent, probes
from rnnvanish import cells as catalogue
from rnnvanish.console import defaults, labelled, print_text
from rnnvanish.names import lookup
from rnnvanish.probes import Curve


def show(name: str | None, as_json: bool) -> dict[str, Any]:
    """Print all cells, or one, where the document that it returns is not to be printed instead.

    Raises:
        ValueError: For a name that there is not.
    """
    if name is None:
        rows = [_summary(each, cell) for each, cell in catalogue.ALL.items()]
        lines = [f"{'cell':<23}{'state':<22}{'parameters':>10}  paper", *(_line(row) for row in rows), ""]
        if not as_json:
            print_text("\n".join(lines))
        return {"cells": rows}
    cell = lookup("cell", name, catalogue.ALL)
    curve = _untrained_curve(cell)
    document = _summary(name, cell) | {
        "options": defaults(cell),
        "equations": (sys.modules[cell.__module__].__doc__ or "").strip(),
        "checked": cell.checked,
        "lag": curve.lag.tolist(),
        "gain": curve.gain.tolist(),
        "half_life": curve.half_life,
    }
    if not as_json:
        print_text(_described(document, inspect.getdoc(cell) or "", curve))
    return document


def _summary(name: str, cell: Any) -> dict[str, Any]:
    """What a list of cells says of each."""
    one = cell(1, 64)
    parameters = sum(parameter.numel() for parameter in one.parameters())
    return {"name": name, "state": list(one.state_names), "paper": str(one.paper), "parameters": parameters}


def _line(row: dict[str, Any]) -> str:
    """A cell in a line of 100 columns."""
    state, paper = ", ".join(row["state"]), row["paper"].partition(").")[0] + ")"
    state = state if len(state) < 22 else f"{', '.join(row['state'][:2])}, … ({len(row['state'])} parts)"
    if len(paper) > 43:
        paper = f"{re.split(r',| &', paper)[0]} et al. ({paper.rpartition('(')[2]}"
    return f"{row['name']:<23}{state:<22}{row['parameters']:>10,}  {paper}"


def _untrained_curve(cell: Any) -> Curve:
    """How much of the gradient of the last output is left at each distance: of a layer of 64 units as it is drawn."""
    torch.manual_seed(0)
    layer, x = Recurrent(cell, 8, 64), torch.randn(101, 4, 8)
    (curve,) = probes.retention(layer, x, lambda output: output[0][-1].sum()).values()
    return curve


def _described(document: dict[str, Any], summary: str, curve: Curve) -> str:
    """A cell as people read it."""
    options = ", ".join(f"{name}={value!r}" for name, value in document["options"].items()) or "none"
    shown = [lag for lag in (0, 1, 2, 5, 10, 20, 50, 100) if lag < len(curve.gain)]
    facts = {
        "state": ", ".join(document["state"]),
        "parameters": f"{document['parameters']:,} at a width of 64, one feature read",
        "options": options,
        "checked": document["checked"],
        "paper": document["paper"],
    }
    rows = [
        f"{document['name']}: {summary.partition(chr(10))[0]}",
        *("", document["equations"], ""),
        *map(labelled, facts, facts.values()),
        "",
        "How much of the gradient of the last output is left, so many steps back, as it is drawn",
        "(64 units, 8 features of random numbers, 4 sequences, seed 0):",
        f"{'steps back':<13}" + "".join(f"{lag:>10}" for lag in shown),
        f"{'left':<13}" + "".join(f"{curve.gain[lag].item():>10.2g}" for lag in shown),
        str(curve),
        "",
    ]
    return "\n".join(rows)
