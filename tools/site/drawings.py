"""The drawings of the pages: an SVG that a page shows as an image stands in the page itself, in its colours, light and dark.

`![A row of people](../assets/drawings/row.svg)` alone in a paragraph. The file says in `<title>` what it is and in `<desc>`
what one sees; a screen reader reads both. Its colours are `currentColor` and variables of site.css, each with another for
those who save the file.
"""

from __future__ import annotations

import re
from pathlib import Path

PLACE = re.compile(r'<p><img alt="[^"]*" src="[^"]*?assets/drawings/([\w-]+)\.svg"\s*/?></p>')
WORDS = re.compile(r"\s*<(title|desc)>(.*?)</\1>", re.DOTALL)


class DrawingError(ValueError):
    """A drawing that not everybody could see."""


def put(page: str, folder: Path) -> str:
    """Draw the images of a rendered page that are drawings in `folder`."""
    return PLACE.sub(lambda found: figure(folder / f"{found[1]}.svg"), page)


def figure(path: Path) -> str:
    """Return a drawing as a part of a page: named, and with ids of its own."""
    drawing = path.read_text(encoding="utf-8").strip()
    words = dict(WORDS.findall(drawing))
    if set(words) != {"title", "desc"}:
        raise DrawingError(
            f"{path.name} needs a <title>, what it is, and a <desc>, what one sees, for those who cannot see it."
        )
    drawing = re.sub(r'(\bid="|href="#)', rf"\g<1>rv-{path.stem}-", WORDS.sub("", drawing))
    name = f"{words['title']}. {words['desc']}".replace('"', "&quot;")
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{name}" style="width:26rem" ', 1)
    return f'<figure class="rv-out rv-drawing" data-search-exclude>{drawing}</figure>'
