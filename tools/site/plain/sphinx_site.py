"""Proves that the plain pages can be published by another generator: builds them with Sphinx, and looks for what must be there.

`python -m tools.site.plain.sphinx_site PAGES OUT`; `make html-elsewhere` makes the pages first. Sphinx and MyST are installed
apart, from the group `elsewhere` of pyproject.toml, and know nothing of MkDocs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from tools.site.plain import NAV, pages

ROOT = Path(__file__).resolve().parents[3]
CONF = """
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
project = "rnnvanish"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_heading_slug_func = "slugs.slug"
suppress_warnings = ["myst.xref_missing"]  # ids in HTML are no targets to MyST; every link is followed in what was built
html_theme = "alabaster"
html_theme_options = {"page_width": "72rem", "sidebar_width": "16rem"}
html_extra_path = ["../beside"]
html_copy_source = False
"""
#: Headings are named as Python-Markdown names them; Sphinx can't keep a function of its settings.
SLUGS = """
import re


def slug(title):
    return re.sub(r"[-\\s]+", "-", re.sub(r"[^\\w\\s-]", "", title).strip().lower())
"""
#: Made of pages that MkDocs has rendered, so no part of the plain ones.
LEFT_OUT = re.compile(r"(^|/)slides/|(^|/)llms\.txt$")


class Page(HTMLParser):
    """What a page of HTML has: ids, links, elements, and words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.elements: Counter[str] = Counter()
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element, its id, and where it leads."""
        given = dict(attributes)
        self.elements[tag] += 1
        self.elements.update(f".{name}" for name in (given.get("class") or "").split() if name.startswith("rv-"))
        self.ids |= {given[key] or "" for key in ("id", "name") if key in given}
        self.links += [given[key] or "" for key in ("href", "src") if key in given and tag != "use"]

    def handle_data(self, data: str) -> None:
        """Note words."""
        self.words.append(data)


def build(source: Path, work: Path, out: Path) -> str:
    """Build the plain pages in `source` with the Sphinx of this Python; return what it warned of."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work / "source")
    shutil.copytree(source, work / "beside", ignore=shutil.ignore_patterns("*.md", NAV))
    listed = yaml.safe_load((source / NAV).read_text(encoding="utf-8"))
    names = [name.removesuffix(".md") for name in pages(listed) if name != "index.md"]
    others = {path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.md")} - {*names, "index"}
    contents = "\n".join([*names, *sorted(others)])
    with (work / "source/index.md").open("a", encoding="utf-8") as home:
        home.write(f"\n```{{toctree}}\n:hidden:\n\n{contents}\n```\n")
    (work / "source/conf.py").write_text(CONF, encoding="utf-8")
    (work / "source/slugs.py").write_text(SLUGS, encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(work / "source"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode == 0 else f"Sphinx failed:\n{done.stderr}"


def missing(source: Path, out: Path) -> list[str]:
    """What the plain pages have and the built ones have not, and every link that leads nowhere."""
    built = {path: Page(path) for path in out.rglob("*.html")}
    found = []
    for page in sorted(source.rglob("*.md")):
        path = (out / page.relative_to(source)).with_suffix(".html")
        if path not in built:
            found.append(f"{path}: there is no such page")
            continue
        plain, made = page.read_text(encoding="utf-8"), built[path]
        for name in sorted({*re.findall(r"<(rv-[\w-]+)", plain), "figure", "script", "svg"}):
            prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", plain, flags=re.MULTILINE | re.DOTALL)
            if made.elements[name] < (wanted := len(re.findall(rf"<{name}\b", prose))):
                found.append(f"{path}: {made.elements[name]} of {wanted} <{name}>")
        if made.elements[".rv-verdict"] < (wanted := len(re.findall(r'class="rv-verdict', plain))):
            found.append(f"{path}: {made.elements['.rv-verdict']} of {wanted} verdicts")
        for output in re.findall(r"^```text\n(.*?)^```$", plain, re.MULTILINE | re.DOTALL):
            if " ".join(output.split()) not in made.text:
                found.append(f"{path}: not this output: {output.strip()[:60]!r}")
        found += [f"{path}: {link} leads nowhere" for link in made.links if not _leads(link, path, built)]
    return found


def _leads(link: str, page: Path, built: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or LEFT_OUT.search(parts.path):
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return False
    if not parts.fragment or target.suffix != ".html" or "=" in parts.fragment:  # sets a figure
        return True
    return unquote(parts.fragment) in built[target].ids


if __name__ == "__main__":
    plain, site = (Path(each).resolve() for each in sys.argv[1:])
    said = build(plain, ROOT / ".cache/elsewhere/work", site)
    print(said)
    problems = missing(plain, site)
    sys.exit("\n".join(problems) or (1 if said.strip() else 0))
