"""Pages made from a catalogue of the package: where a page asks for all of it, a table there, and a page a file beside it.

`reference/cells.md` asks with the line `::: rnnvanish.cells.*`; the pages are `reference/cells/janet.md` and so on. They
stand in no navigation: the table leads to them, and so does the search.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mkdocs.structure.files import File, InclusionLevel

from . import of_cells, of_cures

LINE = re.compile(r"^::: (rnnvanish\.\w+)\.\*$", re.MULTILINE)
#: What the tables and pages of each catalogue say, beside what all say alike.
SAYS = {"rnnvanish.cells": of_cells, "rnnvanish.mitigations": of_cures}
#: Of a class its docstring, and those methods that are not of every class.
CLASS = """::: {path}
    options:
      heading_level: 3
      show_root_heading: false
      show_root_toc_entry: false
      show_bases: false
      filters: ["!^_", "!^({hidden})$"]
"""


@dataclass(frozen=True)
class Entry:
    """A file of a catalogue, and what it lists."""

    module: str
    kinds: Mapping[str, Any]

    @property
    def stem(self) -> str:
        """Name of its page."""
        return self.module.rpartition(".")[2]

    @property
    def title(self) -> str:
        """Names of what it lists."""
        return ", ".join(self.kinds)

    @property
    def text(self) -> str:
        """What the file says of itself."""
        return inspect.getdoc(importlib.import_module(self.module)) or ""

    @property
    def sentence(self) -> str:
        """What it is, in a sentence."""
        return " ".join(self.text.partition("\n\n")[0].split())

    @property
    def says(self) -> Any:
        """What its catalogue has to say of each."""
        return SAYS[self.module.rpartition(".")[0]]


def entries(package: str) -> list[Entry]:
    """The files of a package, in the order of what they list."""
    files: dict[str, dict[str, Any]] = {}
    for name, kind in sorted(importlib.import_module(package).ALL.items(), key=lambda each: each[0].lower()):
        files.setdefault(kind.__module__, {})[name] = kind
    return [Entry(module, kinds) for module, kinds in files.items()]


def asked(texts: Mapping[str, str]) -> dict[str, list[Entry]]:
    """What each page asks for; `texts` has the pages by their names."""
    return {page: entries(found[1]) for page, text in texts.items() if (found := LINE.search(text))}


def pages(files: Iterable[File], config: Any) -> list[File]:
    """The pages of every catalogue that one of `files` asks for."""
    texts = {file.src_uri: file.content_string for file in files if file.src_uri.endswith(".md")}
    return [
        File.generated(config, name(page, entry), content=_page(entry, page), inclusion=InclusionLevel.NOT_IN_NAV)
        for page, found in asked(texts).items()
        for entry in found
    ]


def name(page: str, entry: Entry) -> str:
    """Name of the page of a file of the catalogue that `page` asks for."""
    return f"{page.removesuffix('.md')}/{entry.stem}.md"


def put(markdown: str, page: str) -> str:
    """Put a table in the place of the line for all; `page` is the page that has it."""
    return LINE.sub(lambda found: _table(entries(found[1]), page), markdown)


def _table(found: list[Entry], page: str) -> str:
    rows = [found[0].says.HEAD, ["---"] * len(found[0].says.HEAD)]
    for entry in found:
        of_each = zip(*map(entry.says.columns, entry.kinds.values()), strict=True)
        rows.append([_links(entry, page), entry.sentence, *("<br>".join(dict.fromkeys(column)) for column in of_each)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f'<rv-table counted="rows" markdown="1">\n\n{table}\n\n</rv-table>'


def _links(entry: Entry, page: str) -> str:
    address = PurePosixPath(name(page, entry)).relative_to(PurePosixPath(page).parent)
    return "<br>".join(f"[{kind}]({address}#{entry.module}.{kind})" for kind in entry.kinds)


def _page(entry: Entry, page: str) -> str:
    """The page of a file, as Markdown."""
    parts = [
        f"---\ndescription: {json.dumps(entry.sentence, ensure_ascii=False)}\n---",
        f"# {entry.title}",
        entry.text,
        *(_section(kind, entry.says) for kind in entry.kinds.values()),
        f"[All {entry.says.ALL}](../{PurePosixPath(page).name})",
    ]
    return "\n\n".join(parts) + "\n"


def _section(kind: Any, says: Any) -> str:
    """What a page says of one of its classes."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    paper = kind.paper
    facts = {
        **says.facts(kind),
        "Paper": f"{paper.authors} ({paper.year}). [{paper.title}]({paper.link}){f' ({paper.where})' if paper.where else ''}",
        "Checked against": kind.checked,
    }
    parts = [
        f"## {kind.__name__} {{ #{path} }}",
        "\n".join(f"- **{fact}:** {said}" for fact, said in facts.items()),
        says.use(kind),
        CLASS.format(path=path, hidden=says.HIDDEN),
    ]
    return "\n\n".join(parts)
