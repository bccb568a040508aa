"""Writes the executed pages as plain Markdown, with their assets, into a folder: `python -m tools.site.plain.export OUT`.

What a page measured stands in it as HTML, its scripts and styles are named at its head, links lead from file to file. MkDocs
serves for two things alone: to find the pages, and to keep what was executed, which the published site reads too.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.utils.meta import get_data

from tools.site.plain import NAV, dialect, reference

MARKER = re.compile(r"<div data-rv-[\w-]+(?:=\"[\w-]+\")?></div>")
TITLE = re.compile(r"^# .+$", re.MULTILINE)


def export(root: Path, out: Path) -> list[str]:
    """Write the pages of the project at `root`; return their names below `out`, which must be empty or not there."""
    config = load_config(str(root / "mkdocs.yml"))
    config.plugins.on_startup(command="build", dirty=False)
    config = config.plugins.on_config(config)
    files = config.plugins.on_files(get_files(config), config=config)  # executes them
    (hooks,) = config.hooks.values()
    project = Project(root, Path(config.docs_dir), config, hooks, {})
    for file in files.documentation_pages():
        project.pages[file.src_uri] = _read(file, hooks)
    _assets(files, project, out)
    written = []
    for name in project.pages:
        target = out / Path(name).with_suffix(".md")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_page(name, project), encoding="utf-8")
        written.append(target.relative_to(out).as_posix())
    if (out / hooks.benchmarks.FOLDER).is_dir() and (tool := hooks.benchmarks._tool(root, "pages.placeholders")):
        tool.write(out / hooks.benchmarks.FOLDER, root)
    (out / NAV).write_text(yaml.safe_dump(_nav(config.nav), sort_keys=False), encoding="utf-8")
    return written


class Source(NamedTuple):
    """A page before anything is put into it: its text, its front matter, what its cells gave, and its address."""

    text: str
    meta: Mapping[str, Any]
    outputs: list[str]
    url: str


class Project(NamedTuple):
    """What all pages need: where the project lies, the settings and the hooks of the site, and the pages by their names."""

    root: Path
    docs: Path
    config: Any
    hooks: Any
    pages: dict[str, Source]

    def title(self, name: str) -> str:
        """The heading of a page."""
        found = TITLE.search(self.pages[name].text)
        return found[0].removeprefix("# ") if found else name


def _read(file: Any, hooks: Any) -> Source:
    if file.src_uri not in hooks._notebooks:
        text, meta = get_data(file.content_string)
        return Source(hooks.catalogue.put(text, file.src_uri), meta, [], file.url)
    folded = file.src_uri.startswith(hooks.FOLDED)
    text, outputs = hooks.notebook.to_markdown(hooks._notebooks[file.src_uri], folded)
    return Source(*get_data(text), outputs, file.url)


def _page(name: str, project: Project) -> str:
    """A page: its front matter, its scripts and styles, and its text with all that is measured in its place."""
    page, hooks, root = project.pages[name], project.hooks, project.root
    text = dialect.plain(page.text, root)
    text = dialect.outside_code(text, lambda part: reference.put(part, str(root / "src")) if ":::" in part else part)
    if name == hooks.WORDS:
        text = dialect.glossary(text, hooks.glossary.anchor)
    text = MARKER.sub(lambda found: dialect.block(_filled(found[0], name, project)), dialect.elements(text))
    if name in hooks._notebooks:
        offered = hooks.downloads.offer(name, project.config.repo_url or "", "")
        text = TITLE.sub(lambda found: found[0] + dialect.block(offered), text, count=1)
    text = hooks.benchmarks.trends(text, root, hooks._claims)
    text = hooks.live.put(f"{_head(name, project.config)}</head>{text}", project.docs / "assets")
    head, _, text = text.partition("</head>")
    about = yaml.safe_dump({key: page.meta[key] for key in ("description",) if key in page.meta})
    return f"---\n{about}---\n\n<div hidden>\n{dialect.flat(head)}\n</div>\n\n{text.strip()}\n"


def _filled(marker: str, name: str, project: Project) -> str:
    """What a place in a page keeps room for: an output of its cells, or what is made of all pages."""
    hooks, root = project.hooks, project.root
    by_url = {page.url: source for source, page in project.pages.items()}

    def address(source: str) -> str:
        return os.path.relpath(Path(source).with_suffix(".html"), Path(name).parent)

    made = hooks.notebook.put_outputs(marker, project.pages[name].outputs)
    made = hooks.benchmarks.put(made, root)
    made = hooks.import_map.put(made, root / "src/rnnvanish")
    made = hooks.licences.put(made, root)
    made = hooks.measured.put(made, hooks._notebooks.get(hooks.CURES, {}), address(hooks.CURES))
    made = hooks.collected.put(made, hooks._claims, lambda url: address(by_url[url]))
    return str(hooks.cited.put(made, hooks._notebooks, lambda source: (address(source), project.title(source))))


def _head(name: str, config: Any) -> str:
    """The styles and scripts of every page, as the theme would name them; mkdocstrings brings one that only it needs."""
    up = "../" * name.count("/")
    styles = [each for each in config.extra_css if "mkdocstrings" not in each]
    return "".join(
        [f'<link rel="stylesheet" href="{up}{each}">' for each in styles]
        + [f'<script src="{up}{each}" defer></script>' for each in config.extra_javascript]
    )


def _assets(files: Any, project: Project, out: Path) -> None:
    """What pages show and load: copied, or written where the build makes it; of executed pages what can be downloaded."""
    for file in files:
        if not file.is_documentation_page() and file.src_uri.startswith("assets/"):
            target = out / file.src_uri
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content_bytes)
    for name, executed in project.hooks._notebooks.items():
        addresses = project.config.site_url or "", project.config.repo_url or ""
        project.hooks.downloads.write(project.docs / name, executed, out / name, name, *addresses)


def _nav(entries: list[Any]) -> list[Any]:
    """The order of the pages, by their Markdown."""

    def renamed(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {title: renamed(each) for title, each in entry.items()}
        return _nav(entry) if isinstance(entry, list) else re.sub(r"\.py$", ".md", entry)

    return [renamed(each) for each in entries]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(export(Path.cwd(), folder))} pages in {folder}")
