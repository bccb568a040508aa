"""What a link to a page shows where it is shared: a title, a sentence and a picture; and the feed of changes.

Pictures and feed need the whole address of the site, and are made where it is known.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from rnnvanish.templates import renderer
from rnnvanish.templates.words import words

render = renderer(Path(__file__).parent / "templates")

FOLDER = "assets/cards"
FEED = "changes.xml"
#: Of a picture: its size in inches of a hundred pixels, its ink and ground, its signs.
SIZE, INK, GROUND = (12, 6.3), "#e8eef4", "#16293c"
SIGNS = {
    "holds": ("✓", "#57d3a9"),
    "caveat": ("!", "#f0b65a"),
    "fails": ("✗", "#ff968c"),
    "undecided": ("?", "#aab6c3"),
}
MOST = 3  # verdicts in a picture


def head(page: Any, config: Any) -> str:
    """Return what the head of a page says to those who show a link to it."""
    title = words()["sharing"]["home"] if page.is_homepage else page.title
    about = page.meta.get("description", config.site_description)
    said = {"og:site_name": config.site_name, "og:type": "article", "og:title": title, "og:description": about}
    if config.site_url:
        said |= {"og:url": page.canonical_url, "og:image": f"{config.site_url}{FOLDER}/{name(page.file.src_uri)}"}
    tags = [f'<meta property="{key}" content="{html.escape(str(value))}">' for key, value in said.items()]
    tags.append(f'<meta name="twitter:card" content="{"summary_large_image" if config.site_url else "summary"}">')
    if config.site_url:
        feed = html.escape(words()["sharing"]["feed"])
        tags.append(f'<link rel="alternate" type="application/atom+xml" title="{feed}" href="{config.site_url}{FEED}">')
    return "\n".join(tags)


def name(source: str) -> str:
    """Return what the picture of a page is called."""
    return source.rpartition(".")[0].replace("/", "-") + ".png"


def card(title: str, about: str, verdicts: Sequence[tuple[str, str]]) -> bytes:
    """Draw the picture of a page: its title, its sentence, and what it finds, by kind of verdict and sentence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=100, facecolor=GROUND)
    figure.text(0.06, 0.88, "rnnvanish", size=18, color="#9ccdf5")
    heading = textwrap.wrap(title, 36)[:2]
    figure.text(0.06, 0.82, "\n".join(heading), size=34, weight="bold", color=INK, va="top")
    below = 0.82 - 0.115 * len(heading) - 0.02
    figure.text(
        0.06, below, "\n".join(textwrap.wrap(about, 76)[:2]), size=17, color="#aab6c3", va="top", linespacing=1.4
    )
    for number, (kind, sentence) in enumerate(verdicts[:MOST]):
        sign, colour = SIGNS[kind]
        place = 0.36 - 0.115 * number
        figure.text(0.06, place, sign, size=22, color=colour, weight="bold", va="top")
        plain = textwrap.shorten(sentence.replace("`", ""), 136, placeholder=" …")
        figure.text(0.1, place, "\n".join(textwrap.wrap(plain, 72)), size=16, color=INK, va="top")
    data = BytesIO()
    figure.savefig(data, format="png", facecolor=GROUND, metadata={"Software": None})
    return data.getvalue()


def feed(changelog: str, site_url: str, date: str) -> str:
    """Return the changelog as an Atom feed: an entry for each version, with what it brings.

    Args:
        changelog: Its Markdown.
        site_url: Where the site is published.
        date: Of a version that has none: the day of the build.
    """
    parts = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    entries = []
    for part in parts:
        heading, _, text = part.partition("\n")
        day = re.search(r"\d{4}-\d\d-\d\d", heading)
        entries.append((heading.strip(), day[0] if day else date, " ".join(text.split())))
    return str(render("feed.xml", title=words()["sharing"]["feed"], site=site_url, feed=FEED, entries=entries))
