"""The reference as Markdown, read from docstrings: what mkdocstrings makes on the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import griffe
import yaml

ASKED = re.compile(r"^::: (\S+)\n((?: {4,}.*\n|\n(?= {4}))*)", re.MULTILINE)
KINDS = griffe.DocstringSectionKind
TITLES = {
    KINDS.parameters: "Arguments",
    KINDS.attributes: "Attributes",
    KINDS.returns: "Returns",
    KINDS.yields: "Yields",
    KINDS.raises: "Raises",
}


def put(text: str, sources: str) -> str:
    """Put what a name is in the place of each line that asks for it; `sources` is where the package lies."""
    return ASKED.sub(lambda found: _asked(found[1], found[2], sources), text + "\n").rstrip("\n") + "\n"


@cache
def _package(name: str, sources: str) -> Any:
    return griffe.load(name, search_paths=[sources])


def _asked(path: str, options: str, sources: str) -> str:
    given = (yaml.safe_load(options) or {}).get("options", {}) if options.strip() else {}
    top, _, rest = path.partition(".")
    found = _package(top, sources)[rest]
    hidden = re.compile("|".join(each[1:] for each in given.get("filters", ()) if each[1:] != "^_") or "$^")
    level = given.get("heading_level", 2)
    heading = given.get("show_root_heading", True)
    return "\n\n".join(_parts(found, path, level, hidden, heading)) + "\n\n"


def _parts(found: Any, path: str, level: int, hidden: re.Pattern[str], heading: bool = True) -> Iterator[str]:
    """A heading, the signature, what the docstring says; then its members, a level below."""
    if heading:
        yield f'<a id="{path}"></a>'
        yield f"{'#' * level} {found.name}".replace("_", r"\_")
    if found.is_function or found.is_class:
        yield f"```python\n{found.signature()}\n```"
    if found.docstring:
        yield from filter(None, map(_section, found.docstring.parse("google", returns_multiple_items=False)))
    for member in found.members.values() if found.is_class else ():
        shown = member.docstring and not member.is_alias and not re.match("_", member.name)
        if shown and not hidden.search(member.name):
            yield from _parts(member, f"{path}.{member.name}", level + heading, hidden)


def _section(section: Any) -> str:
    if section.kind == KINDS.text:
        return str(section.value)
    if section.kind == KINDS.examples:
        said = [f"```pycon\n{each}\n```" if kind == KINDS.examples else str(each) for kind, each in section.value]
        return "\n\n".join(said)
    if section.kind in TITLES:
        return f"**{TITLES[section.kind]}**\n\n" + "\n".join(map(_item, section.value))
    return ""


def _item(item: Any) -> str:
    """A line for an argument, a result or an error: its name where it has one, its type, what it is."""
    name = getattr(item, "name", "") or ""
    kind = f" (`{item.annotation}`)" if item.annotation and name else f"`{item.annotation}`" if item.annotation else ""
    said = " ".join((item.description or "").split())
    return f"- {f'`{name}`' if name else ''}{kind}: {said}" if name or kind else f"- {said}"
