"""Executed pages to download: as they were written, and as notebooks that are read anywhere.

What MkDocs alone understands becomes what a notebook understands: a fold is a `<details>`, which hides an answer until it is
opened; a drawing stands in the text; a link leads to the published site where there is one, and is words where there is
none. Front matter is left out. The first code of a notebook installs the package.
"""

from __future__ import annotations

import base64
import copy
import html
import json
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from rnnvanish.templates.words import words

#: What outputs carry for this site alone.
OURS = "application/vnd.rnnvanish."
COLAB = "https://colab.research.google.com/github/"
FOLD = re.compile(r'^\?\?\?\+? \w+ "([^"]*)"\n((?:    .*\n|\n)*)', re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^]]+)\]\(([^)\s:]+\.(?:py|md))(#[^)]*)?\)")
IMAGE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")
#: All that the pages import.
EXTRAS = "train,data,plot"
FROM_INDEX = f'%pip install --quiet "rnnvanish[{EXTRAS}]"'
#: An editable installation is left alone.
FROM_CLONE = f"""import importlib.util

if importlib.util.find_spec("rnnvanish") is None:
    %pip install --quiet ".[{EXTRAS}]\""""
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def offer(page: str, address: str, version: str) -> str:
    """Return the line under a title that offers a page to download.

    Args:
        page: Its name below the folder of the pages, "problem/structure.py".
        address: Of the repository on GitHub; empty where there is none.
        version: Of the site in versions, which is what the branch gh-pages holds; empty for a site without.
    """
    said, name = words()["downloads"], Path(page).stem
    ways = [
        f'<a href="{name}.ipynb" download>{said["notebook"]}</a>',
        f'<a href="{name}.py" download>{said["python"]}</a>',
    ]
    if address and version:
        place = (
            address.replace("https://github.com/", COLAB) + f"/blob/gh-pages/{version}/{page.removesuffix('.py')}.ipynb"
        )
        ways.insert(1, f'<a href="{html.escape(place)}">{said["colab"]}</a>')
    listed = f"{', '.join(ways[:-1])} {said['or']} {ways[-1]}"
    return f'<p class="rv-downloads" data-search-exclude>{said["offer"]} {listed}.</p>'


def write(source: Path, executed: dict[str, Any], target: Path, page: str, site_url: str, address: str) -> None:
    """Write an executed page beside its HTML.

    Args:
        source: The page as it was written.
        executed: The notebook that came of it.
        target: Where it goes; its ending is replaced.
        page: Its name below the folder of the pages, "problem/structure.py".
        site_url: Where the site is published, with a slash at its end; empty where that is not known.
        address: Of the repository; empty where there is none.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target.with_suffix(".py"))
    text = json.dumps(notebook(executed, source.parent, page, site_url, address), indent=1)
    target.with_suffix(".ipynb").write_text(text, encoding="utf-8")


def notebook(executed: dict[str, Any], folder: Path, page: str, site_url: str, address: str) -> dict[str, Any]:
    """Return an executed page as a notebook that stands alone."""
    made = copy.deepcopy(executed)
    made["cells"] = [cell for cell in made["cells"] if cell["cell_type"] != "raw"]
    for cell in made["cells"]:
        source = "".join(cell["source"])
        cell["source"] = (
            markdown(source, folder, page, site_url)
            if cell["cell_type"] == "markdown"
            else links(source, page, site_url)
        )
        for output in cell.get("outputs", ()):
            if said := output.get("data", {}).get("text/markdown"):
                output["data"]["text/markdown"] = links("".join(said), page, site_url)
            for kind in [kind for kind in output.get("data", {}) if kind.startswith(OURS)]:
                del output["data"][kind]
    said = words()["downloads"]["installs" if address else "installs_in_clone"]
    code = FROM_INDEX if address else FROM_CLONE
    made["cells"][1:1] = [
        {"cell_type": "markdown", "id": "needs", "metadata": {}, "source": said},
        {"cell_type": "code", "id": "install", "metadata": {}, "execution_count": None, "outputs": [], "source": code},
    ]
    return made


def markdown(text: str, folder: Path, page: str, site_url: str) -> str:
    """Return Markdown of a page as a notebook understands it."""
    text = FOLD.sub(_details, text + "\n").rstrip("\n")
    text = IMAGE.sub(lambda found: f"![{found[1]}]({_inside(folder / found[2])})", text)
    return links(text, page, site_url)


def links(text: str, page: str, site_url: str) -> str:
    """Return a text, also one that code prints, whose links to other pages lead to the published site, or are words."""
    return LINK.sub(lambda found: _link(found, page, site_url), text)


def _details(fold: re.Match[str]) -> str:
    inside = "\n".join(line.removeprefix("    ") for line in fold[2].strip("\n").split("\n"))
    return f"<details><summary>{fold[1]}</summary>\n\n{inside}\n\n</details>\n\n"


def _inside(picture: Path) -> str:
    return f"data:{TYPES[picture.suffix]};base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _link(found: re.Match[str], page: str, site_url: str) -> str:
    if not site_url:
        return found[1]
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[2])).rpartition(".")[0]
    return f"[{found[1]}]({site_url}{place}.html{found[3] or ''})"
