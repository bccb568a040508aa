"""From the Markdown of MkDocs and its extensions to CommonMark with tables, HTML, and LaTeX between dollars.

Code is left as it is: no rule reads what stands in a fence.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
FOLD = re.compile(r'^\?\?\?\+? ([\w-]+) "([^"\n]*)"\n((?:    .*\n|\n)*)', re.MULTILINE)
NOTE = re.compile(r'^!!! ([\w-]+)(?: "([^"\n]*)")?\n((?:    .*\n|\n)*)', re.MULTILINE)
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<kind>[^\n]*)\n(?P<code>.*?\n)?(?P=ticks)$", re.MULTILINE | re.DOTALL)
CLASSES = re.compile(r"\{ \.(\w+).*\}")
#: One of our elements, and what it says where there is no script.
ELEMENT = re.compile(r"<(rv-[\w-]+)([^>]*)>(.*?)</\1>", re.DOTALL)
IS_MARKDOWN = re.compile(r'\smarkdown(="1")?')
HEADING_ID = re.compile(r"^(#+ .*?) +\{ ?#([^ }]+) ?\}$", re.MULTILINE)
#: A link, or code within a line, which has none.
LINK = re.compile(
    r"(?P<code>`[^`\n]+`)|(?<!!)\[(?P<said>(?:[^]\[]|\[[^]]*\])+)\]\((?P<page>[^)\s:]*?)(?P<anchor>#[^)\s]*)?\)"
)
SETS_FIGURE = re.compile(r"#[\w-]+\.[\w-]+=")
DEFINITION = re.compile(r"^\[([^]]+)\]: \S+\n", re.MULTILINE)
WORD = re.compile(r"^(\w.*)\n: +(.+(?:\n {4}.+)*)\n", re.MULTILINE)


def plain(text: str, root: Path) -> str:
    """Return a page in the plain dialect; `root` is what the names of snippets begin from."""
    text = SNIPPET.sub(lambda found: (root / found[1]).read_text(encoding="utf-8"), text) + "\n"
    for rule in (FOLD, NOTE):
        while rule.search(text):
            text = rule.sub(_details if rule is FOLD else _note, text)
    return outside_code(_once(text), _rules).rstrip("\n") + "\n"


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what stands in no fence; a fence says its language alone."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        kind = CLASSES.sub(r"\1", fence["kind"].strip())
        code = fence["code"] or ""
        parts += [change(text[end : fence.start()]), f"{fence['ticks']}{kind}\n{code}{fence['ticks']}"]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def flat(raw: str) -> str:
    """HTML as Markdown leaves it alone: without an empty line, which would end it, and without indentation but in <pre>."""
    verbatim = re.compile(r"(<pre\b.*?</pre>)", re.DOTALL)
    parts = verbatim.split(raw)
    parts[::2] = [re.sub(r"\s*\n\s*", "\n", each) for each in parts[::2]]
    parts[1::2] = [each.replace("\n\n", "\n&#10;").replace("\n\n", "\n&#10;") for each in parts[1::2]]
    return "".join(parts).strip()


def block(raw: str) -> str:
    """HTML as a block of its own."""
    return f"\n\n<div>\n{flat(raw)}\n</div>\n\n"


def _details(found: re.Match[str]) -> str:
    kind, title, inside = found.groups()
    said = textwrap.dedent(inside.strip("\n"))
    return f'<details class="{kind}">\n<summary>{html.escape(title)}</summary>\n\n{said}\n\n</details>\n\n'


def _note(found: re.Match[str]) -> str:
    kind, title, inside = found.groups()
    said = textwrap.dedent(inside.strip("\n"))
    return f'<div class="{kind}">\n\n**{title or kind.capitalize()}**\n\n{said}\n\n</div>\n\n'


def _once(text: str) -> str:
    """Of several definitions of a link the last one: so Python-Markdown reads them, where CommonMark takes the first."""
    last = {found[1].lower(): found.start() for found in DEFINITION.finditer(text)}
    return DEFINITION.sub(lambda found: found[0] if found.start() == last[found[1].lower()] else "", text)


def _rules(text: str) -> str:
    text = HEADING_ID.sub(r'<a id="\2"></a>\n\n\1', text)
    return LINK.sub(_link, re.sub(r"\n{3,}", "\n\n", text))


def elements(text: str) -> str:
    """Put each of our elements into blocks: one whose inside is Markdown lets it be read."""
    return ELEMENT.sub(_element, text)


def _element(found: re.Match[str]) -> str:
    name, given, inside = found.groups()
    if IS_MARKDOWN.search(given):
        start = f"<{name}{IS_MARKDOWN.sub('', given)}>"
        return f"\n\n<div>\n{start}\n\n{textwrap.dedent(inside).strip()}\n\n</{name}>\n</div>\n\n"
    return block(found[0])


def _link(found: re.Match[str]) -> str:
    """A link to a page leads to its Markdown; one that sets a figure stays HTML, since no heading has its name."""
    said, page, anchor = found["said"], found["page"], found["anchor"] or ""
    if found["code"]:
        return found["code"]
    if SETS_FIGURE.match(anchor):
        return f'<a href="{html.escape(re.sub(r"[.](py|md)$", ".html", page) + anchor)}">{said}</a>'
    return f"[{said}]({re.sub(r'[.]py$', '.md', page)}{anchor})"


def glossary(text: str, anchor: Callable[[str], str]) -> str:
    """Words and what they mean as a list, each with an id: CommonMark knows no lists of definitions."""
    return WORD.sub(
        lambda found: f'- <a id="{anchor(found[1])}"></a>**{found[1]}**: {" ".join(found[2].split())}\n', text
    )
