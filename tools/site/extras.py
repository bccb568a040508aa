"""What is made of finished pages, and beside them: shorter HTML, llms.txt, and a page for wrong addresses."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

import rjsmin

from rnnvanish.templates import renderer

render = renderer(Path(__file__).parent / "templates")


#: For a style that keeps a place for what a script will put there: the theme says so only when the whole page is read.
EARLY = '<script>document.documentElement.classList.add("js")</script>'


def without_indentation(page: str) -> str:
    """Leave out indentation and empty lines, a fifth of a page, where they mean nothing."""
    verbatim_or_space = re.compile(r"<(pre|script|style|textarea)\b.*?</\1>|\n\s+", re.DOTALL)
    return verbatim_or_space.sub(lambda found: found[0] if found[1] else "\n", page)


#: Scripts and style sheets that only some pages need, and what those have.
NEEDED = {
    "guess.js": ("data-right", "rv-score"),
    "code.js": ("rv-code",),
    "save.js": ("<figure", "<rv-slider", "assets/live/"),
    "_mkdocstrings.css": ('class="doc',),
}


def without_idle_assets(page: str) -> str:
    """Leave out the scripts and style sheets that have nothing to do on a page."""
    for name, marks in NEEDED.items():
        if not any(mark in page for mark in marks):
            address = rf'"[^"]*assets/{re.escape(name)}"'
            page = re.sub(rf'<script src={address}[^>]*></script>|<link rel="stylesheet" href={address}>', "", page)
    return page


def without_comments(text: str) -> str:
    """Leave out indentation, empty lines, and the lines of a script or a style sheet that are comments alone."""
    text = re.sub(r"^\s*/\*.*?\*/\s*$|^\s*//.*$", "", text, flags=re.MULTILINE)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"


def shortened(file: Path) -> str:
    """Return a script or a style sheet as it is sent."""
    text = file.read_text(encoding="utf-8")
    return without_idle_space(text) if file.suffix == ".js" else without_comments(text)


def _template(depth: int) -> str:
    """A template of a script, which holds code in braces, which holds templates: so many within each other."""
    inner = f"|{_template(depth - 1)}" if depth else ""
    braces = rf"\{{(?:[^{{}}`]|\{{[^{{}}`]*\}}{inner})*\}}"
    return rf"`(?:[^`$\\]|\\.|\$(?!\{{)|\${braces})*`"


#: What rjsmin is not shown: it takes what is within the braces of a template within a template for code.
TEMPLATE = re.compile(f"(?<![\"']){_template(3)}", re.DOTALL)  # not of a mark in a string


def without_idle_space(script: str) -> str:
    """Leave out comments, and space that means nothing; templates stay as they are."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f'"\N{SYMBOL FOR SUBSTITUTE}{len(kept) - 1}"'

    short: str = rjsmin.jsmin(TEMPLATE.sub(keep, without_comments(script)))
    return re.sub('"\N{SYMBOL FOR SUBSTITUTE}(\\d+)"', lambda found: kept[int(found[1])], short) + "\n"


def llms(config: Any, pages: list[Any]) -> str:
    """Return a list of all pages and what they are about, for programs that read: see llmstxt.org."""
    groups: dict[str, list[str]] = {}
    titles = {page.file.src_uri: page.title for page in pages}
    for page in pages:
        about = f": {page.meta['description']}" if "description" in page.meta else ""
        start = titles.get(f"{PurePath(page.file.src_uri).parent}.md", "Start")  # of a catalogue its page
        group = groups.setdefault(page.parent.title if page.parent else start, [])
        group.append(f"- [{page.title}]({(config.site_url or '') + page.url}){about}")
    parts = [f"# {config.site_name}", f"> {config.site_description}"]
    parts += [f"## {title}\n\n" + "\n".join(lines) for title, lines in groups.items()]
    return "\n\n".join(parts) + "\n"


def lost(site_url: str, pages: list[Any]) -> str:
    """Return the page for wrong addresses: it stands alone, finds the site above it, and leads to every page of the navigation."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for page in pages:
        if page.parent or page.is_homepage or "/" not in page.url:
            groups.setdefault(page.parent.title if page.parent else "", []).append((page.url, page.title))
    return str(render("lost.html", site=site_url, groups=list(groups.items())))
