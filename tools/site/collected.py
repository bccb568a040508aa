"""Pages about all claims, made from what the other pages measured when they were executed: nothing is measured twice.

`Claim.show()` leaves its record in the notebook beside the box. A page asks with `<div data-rv-claims="table"></div>`
for the table of all of them, with `"corrections"` for those that are said somewhere and do not simply hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnvanish.claim import MIME
from rnnvanish.templates import renderer
from rnnvanish.templates.needle import Zone, places
from rnnvanish.templates.words import words

render = renderer(Path(__file__).parent / "templates")

PLACE = re.compile(r'<div data-rv-claims="(\w+)"></div>')
KINDS = {"holds": "holds", "holds with a caveat": "caveat", "does not hold": "fails"}


@dataclass(frozen=True)
class Shown:
    """A claim as a page shows it: its record, the page, and the page's title."""

    record: dict[str, Any]
    page: str
    title: str


def shown(notebook: dict[str, Any], page: str) -> list[Shown]:
    """Return every claim that an executed page shows."""
    cells = notebook["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    title = heading[1] if heading else page
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [Shown(output["data"][MIME], page, title) for output in outputs if MIME in output.get("data", {})]


def put(page: str, claims: list[Shown], link: Any) -> str:
    """Fill the places that a rendered page keeps for claims; `link` turns the name of a page into an address."""
    once = {each.record["id"]: each for each in reversed(claims)}  # the first page that shows it
    ordered = sorted(
        (each for each in claims if once[each.record["id"]] is each), key=lambda each: each.record["section"]
    )  # within a section as its page shows them
    makers = {"table": table, "corrections": corrections}
    return PLACE.sub(lambda place: makers[place[1]](ordered, link), page)


def table(claims: list[Shown], link: Any) -> str:
    """Return the table of all claims, and below it where each was measured."""
    measured = list(dict.fromkeys(_measured(each.record) for each in claims))
    return render(
        "claims.html",
        caption=_count(claims),
        head=words()["claims"]["head"],
        claims=[(each, _address(each, link), kind(each), _needle(each.record)) for each in claims],
        places=measured,
        where=[measured.index(_measured(each.record)) + 1 for each in claims],
    )


def _needle(record: dict[str, Any]) -> str:
    """Where the needle of a claim stands, and the bounds around it, as variables of a style."""
    zones = [Zone(kind, *map(float, ends)) for kind, ends in record["bounds"].items()]
    return ";".join(
        f"--{name}{'' if name == 'x' else number}:{place}"
        for name, ends in places(zones, [*map(float, record["values"])]).items()
        for number, place in enumerate(ends)
    )


def corrections(claims: list[Shown], link: Any) -> str:
    """Return a box for each claim that does not simply hold and names who says it; how many others there are."""
    found = [each for each in claims if each.record["verdict"] != "holds"]
    said = [each for each in found if each.record.get("source")]
    return render(
        "corrections.html",
        claims=[(each, _address(each, link), kind(each)) for each in said],
        unsaid=words()["claims"]["unsaid"].format(count=len(found) - len(said)) if len(found) > len(said) else "",
    )


def kind(claim: Shown) -> str:
    """What colours call the verdict of a claim."""
    return KINDS.get(claim.record["verdict"], "undecided")


def _count(claims: list[Shown]) -> str:
    verdicts = [each.record["verdict"] for each in claims]
    words = {"holds": "hold", "holds with a caveat": "hold with a caveat", "does not hold": "do not hold"}
    parts = ", ".join(f"{verdicts.count(verdict)} {said}" for verdict, said in words.items())
    stored = sum(bool(each.record["stored"]) for each in claims)
    return f"{len(claims)} claims: {parts}. {len(claims) - stored} were measured for this site, {stored} are stored."


def _measured(record: dict[str, Any]) -> str:
    known = record["provenance"]
    return (
        f"{known['date']}, commit {known['commit']}: {known['processor']}, {known['threads']} threads, "
        f"torch {known['torch']}, Python {known['python']}"
    ).replace(" 1 threads", " one thread")


def _address(each: Shown, link: Any) -> str:
    return f"{link(each.page)}#{each.record['id']}"
