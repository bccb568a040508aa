"""Pages about all claims, made from what the other pages measured when they were executed: nothing is measured twice.

`Claim.show()` leaves its record in the notebook beside the box. A page asks with `<div data-rv-claims="table"></div>`
for the table of all of them, with `"corrections"` for those whose sentence does not simply hold.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from rnnvanish.claim import MIME

PLACE = re.compile(r'<div data-rv-claims="(\w+)"></div>')
HEAD = ("Section", "People say", "Verdict", "Result", "Seeds", "Seconds", "Measured")
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
    columns = "".join(f'<th scope="col">{name}</th>' for name in HEAD)
    rows = "".join(_row(each, link) for each in claims)
    places = {_measured(each.record): None for each in claims}
    where = "".join(f"<li>{html.escape(place)}</li>" for place in places)
    return (
        f"<rv-claims><table><caption>{_count(claims)}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{rows}</tbody></table></rv-claims><p>Where they were measured:</p><ul>{where}</ul>"
    )


def corrections(claims: list[Shown], link: Any) -> str:
    """Return a box for each claim that does not simply hold."""
    found = [each for each in claims if each.record["verdict"] != "holds"]
    return "".join(
        f'<div class="rv-verdict rv-{KINDS.get(each.record["verdict"], "undecided")}">'
        f'<p class="rv-says"><span>People say</span> {_inline(each.record["sentence"])}</p>'
        f'<p class="rv-word">{each.record["verdict"].capitalize()}</p>'
        f'<p class="rv-finding">{_inline(each.record["finding"])}</p><dl>'
        f"<div><dt>Measured</dt><dd>{_inline(each.record['measured'])}</dd></div>"
        f"<div><dt>Result</dt><dd>{html.escape(each.record['result'])}</dd></div>"
        f'<div><dt>Evidence</dt><dd><a href="{_address(each, link)}">{html.escape(each.title)}</a></dd></div>'
        "</dl></div>"
        for each in found
    )


def _row(each: Shown, link: Any) -> str:
    record = each.record
    verdict = f'<span class="rv-badge rv-{KINDS.get(record["verdict"], "undecided")}">{record["verdict"]}</span>'
    stored = " (stored)" if record["stored"] else ""
    old = ". The code has changed since." if record["outdated"] else ""
    size = str(record["statistic"]).replace("inf", "Infinity")  # as JavaScript reads it; people read 10⁻¹⁵
    return (
        f'<tr data-title="{html.escape(each.title)}"><td>{record["section"]}</td>'
        f'<td><a href="{_address(each, link)}">{_inline(record["sentence"])}</a></td>'
        f'<td>{verdict}</td><td data-size="{size}">{html.escape(record["result"])}</td><td>{record["seeds"]}</td>'
        f"<td>{record['seconds']:.1f}</td>"
        f"<td>{record['provenance']['date']}, {record['provenance']['commit']}{stored}{old}</td></tr>"
    )


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
    return f"{html.escape(link(each.page))}#{each.record['id']}"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
