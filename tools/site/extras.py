"""What is made of finished pages, and beside them: each executed page to download, and llms.txt."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path, PurePath
from typing import Any

#: What outputs carry for this site alone.
OURS = "application/vnd.rnnvanish."


def offer(name: str) -> str:
    """Return the line under a title that offers a page to download."""
    return (
        f'<p class="rv-downloads" data-search-exclude>To run it yourself: <a href="{name}.ipynb" download>'
        f'this page as a notebook</a> or <a href="{name}.py" download>as Python</a>.</p>'
    )


def write_downloads(source: Path, notebook: dict[str, Any], target: Path) -> None:
    """Write an executed page beside its HTML: as it was written, and as the notebook that came of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target.with_suffix(".py"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for kind in [kind for kind in output.get("data", {}) if kind.startswith(OURS)]:
                del output["data"][kind]
    target.with_suffix(".ipynb").write_text(json.dumps(notebook, indent=1), encoding="utf-8")


def without_indentation(page: str) -> str:
    """Leave out indentation and empty lines, a fifth of a page, where they mean nothing."""
    verbatim_or_space = re.compile(r"<(pre|script|style|textarea)\b.*?</\1>|\n\s+", re.DOTALL)
    return verbatim_or_space.sub(lambda found: found[0] if found[1] else "\n", page)


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
