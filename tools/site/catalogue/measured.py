"""What the page of all cures measured, on the page of each: nothing is measured twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

MIME = "application/vnd.rnnvanish.cures+json"
PLACE = re.compile(r'<div data-rv-cure="(\w+)"></div>')
HEAD = ("Network", "Half-life", "with the cure", "Arrives from 100 steps back", "with the cure")
TABLE = Markup(
    '<p>Before any training, as <a href="{address}">all cures</a> were measured:</p>'
    "<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
)


def put(page: str, notebook: Mapping[str, Any], address: str) -> str:
    """Fill the places that the page of a cure keeps; `notebook` is the executed page of all, which stands at `address`."""
    outputs = [output for cell in notebook.get("cells", ()) for output in cell.get("outputs", ())]
    found = next((output["data"][MIME] for output in outputs if MIME in output.get("data", {})), {})
    return PLACE.sub(lambda place: _table(found.get(place[1], []), address), page)


def _table(lines: list[list[str]], address: str) -> str:
    """A row a network, of two lines: without the cure and with it."""
    rows = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            before[0], Markup().join(map(Markup("<td>{}</td>").format, (before[1], after[1], before[2], after[2])))
        )
        for before, after in zip(lines[::2], lines[1::2], strict=True)
    ]
    head = Markup().join(map(Markup('<th scope="col">{}</th>').format, HEAD))
    return TABLE.format(address=address, head=head, rows=Markup().join(rows)) if rows else ""
