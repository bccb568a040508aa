"""Figures that compute in the browser: `<rv-NAME>` has its script in `docs/assets/live/figures`; a page gets what its own need.

A line `// needs: numbers network` at the head of a script names those that come before it. They stand right after the first
figure that needs them and are not deferred: nothing below has been laid out when the figure takes its shape, so nothing moves.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from rnnvanish.templates import REPORT_FIGURES

FIGURES = "live/figures"
STYLE = "live/live.css"
#: What else changes its height by a script, and which: it, too, does so before what is below has its place.
OTHERS = {
    "</rv-slider>": "slider.js",
    "</rv-table>": "table.js",
    r'<p class="rv-downloads".*?</p>': "code.js",
    r"<ol data-right=.*?</ol>": "guess.js",  # ahead of the fold with the answer
}
AGAIN = "<script>document.currentScript.previousElementSibling.connectedCallback()</script>"
SETS = re.compile(r"([\w-]+)\.[\w-]+=")  # a link that sets a figure: #figure.control=value
_NEEDS = re.compile(r"^// needs: (.+)$", re.MULTILINE)


class LiveError(ValueError):
    """A script that no file of `docs/assets/live` holds."""


def elements(assets: Path) -> list[str]:
    """Return the names of the elements that there are."""
    return [f"rv-{script.stem}" for script in sorted((assets / FIGURES).glob("*.js"))]


def scripts(assets: Path, name: str) -> list[str]:
    """Return the scripts of a figure, from `assets`, each after those that it needs."""
    return ordered(assets, f"{FIGURES}/{name}.js")


def put(page: str, assets: Path) -> str:
    """Put the scripts of a page's figures after the first that needs them, in the place of the deferred ones, and their style."""
    there: set[str] = set()
    for element in elements(assets):
        if f"<{element}" in page and f"</{element}>" not in page:
            raise LiveError(f"<{element}> is not closed: write </{element}>")
    where = re.search(r'<script src="([^"]*)assets/words\.js"', page)
    base = where[1] if where else ""

    def after(found: re.Match[str]) -> str:
        script = OTHERS[kinds[found.lastgroup]] if found.lastgroup in kinds else f"{FIGURES}/{found['figure']}.js"
        fresh = [each for each in ordered(assets, script) if each not in there]
        there.update(fresh)
        # A further one exists since its first letter, and is whole now.
        again = AGAIN if not fresh and found[0].startswith("</") else ""
        return found[0] + again + "".join(f'<script src="{base}assets/{each}"></script>' for each in fresh)

    kinds = {f"other{number}": other for number, other in enumerate(OTHERS)}
    names = "|".join(element.removeprefix("rv-") for element in elements(assets)) or "$^"
    marks = [rf"</rv-(?P<figure>{names})>", *(f"(?P<{kind}>{other})" for kind, other in kinds.items())]
    page = re.sub("|".join(marks), after, page, flags=re.DOTALL)
    for script in there:
        page = re.sub(rf'<script src="[^"]*assets/{re.escape(script)}" defer></script>', "", page)
    style = f'<link rel="stylesheet" href="{base}assets/{STYLE}">'
    return page.replace("</head>", f"{style}</head>", 1) if any(each.startswith(FIGURES) for each in there) else page


def settle(links: dict[str, str], present: set[str]) -> None:
    """Take the links that set a figure of a page from those whose anchors MkDocs looks for.

    Args:
        links: What stands behind the # of a page's links to one page, and the links.
        present: The ids on that page.

    Raises:
        LiveError: There is no figure of that id.
    """
    for anchor, link in list(links.items()):
        if figure := SETS.match(anchor):
            if figure[1] not in present:
                raise LiveError(f"{link} sets a figure of the id {figure[1]!r}, and there is none on that page")
            del links[anchor]


def ordered(assets: Path, script: str, above: tuple[str, ...] = ()) -> list[str]:
    """Return a script and those that it needs, each after those that it needs itself."""
    if script in above:
        raise LiveError(f"{script} needs itself, by {' and '.join(above)}")
    path = assets / script
    if not path.exists():
        if script == "words.js" or script in REPORT_FIGURES:  # put there by the build
            return [script]
        raise LiveError(f"docs/assets/{script} does not exist, {above[-1] if above else 'a page'} needs it")
    found: list[str] = []
    for name in (_NEEDS.search(path.read_text(encoding="utf-8")) or ["", ""])[1].split():
        needed = str(PurePosixPath("live", name + ".js")) if not name.startswith("../") else name[3:] + ".js"
        found += [each for each in ordered(assets, needed, (*above, script)) if each not in found]
    return [*found, script]
