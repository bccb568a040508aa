"""The list of all that the pages cite, collected from the ends of the pages: nothing is written twice."""

from __future__ import annotations

import re
from typing import Any

import markdown
from markupsafe import Markup

PLACE = "<div data-rv-cited></div>"
#: An item of a fold that names a year: "    - Y. Bengio, P. Simard (1994). Learning ..."
ENTRY = re.compile(r"^ {4}- ([^\n]*?\(\d{4}\)\..*?)(?=^ *$|^ {0,4}\S|\Z)", re.DOTALL | re.MULTILINE)


def cited(notebook: dict[str, Any]) -> list[str]:
    """Return every reference of an executed page, as Markdown on one line."""
    cells = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return [" ".join(entry.split()) for cell in cells for entry in ENTRY.findall(cell)]


def put(page: str, notebooks: dict[str, dict[str, Any]], link: Any) -> str:
    """Fill the place that a page keeps for the list; `link` turns the source of a page into address and title."""
    if PLACE not in page:
        return page
    users: dict[str, list[str]] = {}
    for source, notebook in notebooks.items():
        for entry in cited(notebook):
            users.setdefault(entry, []).append(source)
    items = []
    for entry in sorted(users, key=by_name):
        pages = (Markup('<a href="{}">{}</a>').format(*link(source)) for source in users[entry])
        said = markdown.markdown(entry).removeprefix("<p>").removesuffix("</p>").removesuffix(".")
        items.append(Markup("<li>{}. In: {}.</li>").format(Markup(said), Markup(", ").join(pages)))
    return page.replace(PLACE, Markup("<ul>{}</ul>").format(Markup().join(items)))


def by_name(entry: str) -> tuple[str, str]:
    """Return what a reference is sorted by: the first author's name without initials, then the year."""
    name = re.sub(r"^(?:\w\.[ -]?)+ *", "", entry)
    year = re.search(r"\((\d{4})\)", entry)
    return name.partition(",")[0].partition(" (")[0].lower(), year[1] if year else ""
