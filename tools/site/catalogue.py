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

LINE = re.compile(r"^::: (rnnvanish\.\w+)\.\*$", re.MULTILINE)
#: Of a class what is its own.
CLASS = """::: {path}
    options:
      heading_level: 2
      show_bases: false
      filters: ["!^_", "!^(forward|initial_state|output|output_size|scales|parallel|paper|small)$"]
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
        """Name of what it lists."""
        return ", ".join(self.kinds)

    @property
    def text(self) -> str:
        """What the file says of itself."""
        return inspect.getdoc(importlib.import_module(self.module)) or ""

    @property
    def sentence(self) -> str:
        """What it is, in a sentence."""
        return " ".join(self.text.partition("\n\n")[0].split())


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
    return LINE.sub(lambda found: "\n".join(_table(entries(found[1]), page)), markdown)


def _table(found: list[Entry], page: str) -> list[str]:
    rows = [
        f"| {_links(entry, page)} | {entry.sentence} | {_once(str(kind.paper.year) for kind in entry.kinds.values())} "
        f"| {_once(map(_kept, entry.kinds.values()))} |"
        for entry in found
    ]
    return ["| Cell | What it is | Year | What it keeps |", "|---|---|---|---|", *rows]


def _links(entry: Entry, page: str) -> str:
    address = PurePosixPath(name(page, entry)).relative_to(PurePosixPath(page).parent)
    return "<br>".join(f"[{kind}]({address}#{entry.module}.{kind})" for kind in entry.kinds)


def _once(said: Iterable[str]) -> str:
    return "<br>".join(dict.fromkeys(said))


def _kept(cell: Any) -> str:
    """The parts of a cell's state that are memory, and which of its gates keeps one of them."""
    gate = {cell.keeps.part: f" ({cell.keeps.called} gate `{cell.keeps.gate}`)"} if cell.keeps else {}
    return ", ".join(f"`{part}`{gate.get(part, '')}" for part in cell.state_names if part not in cell.helpers)


def _page(entry: Entry, page: str) -> str:
    """The page of a file, as Markdown."""
    parts = [
        f"---\ndescription: {json.dumps(entry.sentence, ensure_ascii=False)}\n---",
        f"# {entry.title}",
        entry.text,
        *(part for kind in entry.kinds.values() for part in (_class(kind), _facts(kind))),
        f"`rnnvanish cells {next(iter(entry.kinds))}` measures how far back its gradient reaches.",
        f"[All cells](../{PurePosixPath(page).name})",
    ]
    return "\n\n".join(parts) + "\n"


def _class(kind: Any) -> str:
    return CLASS.format(path=f"{kind.__module__}.{kind.__qualname__}")


def _facts(kind: Any) -> str:
    """Where a cell comes from, and what it was compared with."""
    paper = kind.paper
    where = f" ({paper.where})" if paper.where else ""
    return "\n".join(
        [
            f"- **What it keeps:** {_kept(kind)}",
            f"- **Paper:** {paper.authors} ({paper.year}). [{paper.title}]({paper.link}){where}",
            f"- **Checked against:** {kind.checked}",
        ]
    )
