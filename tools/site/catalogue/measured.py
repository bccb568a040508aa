"""What the page of all cures measured, on the page of each: nothing is measured twice."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnvanish import plots
from rnnvanish.templates import renderer

render = renderer(Path(__file__).parents[1] / "templates")

MIME = "application/vnd.rnnvanish.cures+json"
PLACE = re.compile(r'<div data-rv-cure="(\w+)"></div>')
WIDTH, HEIGHT = 230, 150
#: Powers of ten of what is left: where the picture ends below and, at most, above; and those with a line of their own.
LEAST, MOST, LINES = -13.0, 8.0, (0, -6, -12)


def put(page: str, notebook: Mapping[str, Any], address: str) -> str:
    """Fill the places that the page of a cure keeps; `notebook` is the executed page of all, which stands at `address`."""
    outputs = [output for cell in notebook.get("cells", ()) for output in cell.get("outputs", ())]
    found = next((output["data"][MIME] for output in outputs if MIME in output.get("data", {})), {})
    return PLACE.sub(lambda place: _measured(found.get(place[1], {}), address), page)


def _measured(cure: Mapping[str, list[Any]], address: str) -> str:
    """A picture of each network before training, and its numbers in a table; what training showed, in sentences."""
    pictures = [(each, *_picture(each["gains"])) for each in cure.get("before", [])]
    trained = cure.get("trained", [])
    return render("cure.html", pictures=pictures, trained=trained, address=address, width=WIDTH, height=HEIGHT)


def _picture(gains: Sequence[Sequence[float]]) -> tuple[list[str], list[tuple[float, str]]]:
    """The line of each curve, and the height and the words of each line of the grid."""
    logarithms = [[math.log10(gain) if gain > 0 else -math.inf for gain in curve] for curve in gains]
    most = math.ceil(min(MOST, max(1.0, *map(max, logarithms))))

    def height(power: float) -> float:
        return round(HEIGHT * (most - min(power, most)) / (most - LEAST), 1)

    return [_line(curve, height) for curve in logarithms], [(height(each), plots.decade(each)) for each in LINES]


def _line(curve: Sequence[float], height: Any) -> str:
    """The path of a curve, until it leaves the picture."""
    end = next((lag for lag, power in enumerate(curve) if power < LEAST), len(curve))
    points = [(WIDTH * lag / (len(curve) - 1), height(power)) for lag, power in enumerate(curve[:end])]
    return "M" + "L".join(f"{x:.1f} {y}" for x, y in points)
