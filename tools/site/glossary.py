"""The words of the glossary, explained where a page uses them first: a link with the explanation as its tooltip."""

from __future__ import annotations

import html
import re
from pathlib import Path

ENTRY = re.compile(r"^(\w.*)\n: +(.+(?:\n {4}.+)*)", re.MULTILINE)
#: Where no link is put: links, code, headings, words that are being defined, answers to choose, what is folded away.
SKIPPED = {
    "a",
    "code",
    "pre",
    "h1",
    "h2",
    "h3",
    "strong",
    "ol",
    "details",
    "table",
    "dl",
    "math",
    "rv-slider",
    "figure",
    "script",
}


def read(page: Path) -> dict[str, str]:
    """Return every word of the glossary and its explanation, without Markdown."""
    found = ENTRY.findall(page.read_text(encoding="utf-8"))
    return {word: re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", " ".join(said.split())) for word, said in found}


def anchor(word: str) -> str:
    """Return the id of a word on the page of the glossary."""
    return re.sub(r"\W+", "-", word.lower())


def mark(page: str) -> str:
    """Give each word on the page of the glossary its id."""
    return re.sub(r"<dt>(.*?)</dt>", lambda found: f'<dt id="{anchor(found[1])}">{found[1]}</dt>', page)


def explain(page: str, words: dict[str, str], address: str) -> str:
    """Link the first use of each word in the text of a rendered page."""
    if not words:
        return page
    by_lower = {word.lower(): word for word in words}
    longest_first = sorted(by_lower, key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})(s?)\b", re.IGNORECASE)
    left = set(words)

    def link(found: re.Match[str]) -> str:
        word = by_lower[found[1].lower()]
        if word not in left:
            return found[0]
        left.remove(word)
        said = html.escape(words[word])
        return f'<a class="rv-term" href="{address}#{anchor(word)}" title="{said}" data-said="{said}">{found[0]}</a>'

    skipped, parts = 0, re.split(r"(<[^>]*>)", page)
    for i, part in enumerate(parts):
        if tag := re.match(r"<(/?)([\w-]+)", part):
            skipped += (-1 if tag[1] else 1) if tag[2] in SKIPPED and not part.endswith("/>") else 0
        elif not skipped:
            parts[i] = pattern.sub(link, part)
    return "".join(parts)
