"""Slides of each part of the explanation: titles, drawings, guesses and first figures of its pages, on one page to print."""

from __future__ import annotations

import re
from pathlib import Path

from rnnvanish.templates import renderer

render = renderer(Path(__file__).parent / "templates")

PARTS = {"problem": "The problem", "impacts": "Its impacts", "techniques": "What helps"}
COLOURS = re.compile(r':root, \[data-md-color-scheme="default"\] \{.*?\n\}', re.DOTALL)


def write(pages: dict[str, str], style: Path, folder: Path) -> None:
    """Write a deck for each part that has pages: `pages` has the content of each by its source, in their order."""
    colours = COLOURS.search(style.read_text(encoding="utf-8"))
    for part, title in PARTS.items():
        contents = [content for source, content in pages.items() if source.startswith(f"{part}/")]
        made = [own_ids(slide, f"s{number}") for number, content in enumerate(contents, 1) for slide in slides(content)]
        if made:
            folder.mkdir(parents=True, exist_ok=True)
            deck = render("slides.html", title=title, colours=colours[0] if colours else "", slides=made)
            (folder / f"{part}.html").write_text(deck, encoding="utf-8")


def slides(content: str) -> list[str]:
    """Return the slides of a page: its picture, its guess, the answer with the first figure, and what it means."""
    plain = re.sub(r'<a class="headerlink".*?</a>', "", content, flags=re.DOTALL)
    plain = re.sub(r"</?a\b[^>]*>", "", plain)
    title = _first(r"<h1[^>]*>(.*?)</h1>", plain)
    figures = re.findall(r'<figure class="rv-out.*?</figure>', plain, re.DOTALL)
    drawings = [figure for figure in figures if "rv-drawing" in figure]
    charts = [figure for figure in figures if "rv-drawing" not in figure]
    begin = _first(r'</h1>(?:\s*<p class="rv-downloads".*?</p>)?\s*(<p>.*?</p>)', plain)
    guess = _first(r'<h2 id="predict-first">.*?</h2>(.*?)<details', plain)
    answer = _first(r'<h2 id="predict-first">.*?<details[^>]*>\s*<summary>.*?</summary>(.*?)</details>', plain)
    means = _first(r'<h2 id="what-this-means">.*?</h2>\s*(<p>.*?</p>)', plain)
    return [
        f"<h2>{title}</h2>{begin}{''.join(drawings[:1])}",
        *([f"<h2>{title}: your guess</h2>{guess}"] if guess else []),
        *([f"<h2>{title}: the answer</h2>{answer}{''.join(charts[:1])}"] if answer or charts else []),
        *([f"<h2>{title}: what it means</h2>{means}{''.join(drawings[1:2])}"] if means else []),
    ]


def own_ids(slide: str, prefix: str) -> str:
    """Tell the ids within a slide from those of other pages."""
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", slide)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    return found[1].strip() if found else ""
