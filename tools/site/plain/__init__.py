"""The site without MkDocs: its pages executed, as plain Markdown with what they show, for any generator of sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: The order of the pages, as mkdocs.yml has it, but by the names of the plain ones.
NAV = "nav.yml"


def pages(nav: Any) -> Iterator[str]:
    """The pages of a navigation, in their order."""
    for entry in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from [entry] if isinstance(entry, str) else pages(entry)
