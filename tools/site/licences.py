"""The licences of all that the package needs, and is made with, as the metadata of what is installed says them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PLACE = re.compile(r'<div data-rv-licences="(package|development)"></div>')
UNSAID = "not said"
LONGEST = 90  # what is longer is the text of a licence, not its name
ROW = Markup("<tr><th scope='row'>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>")
TABLE = Markup(
    "<table><caption>{}</caption><thead><tr><th scope='col'>package</th><th scope='col'>version</th>"
    "<th scope='col'>licence</th><th scope='col'>comes with</th></tr></thead><tbody>{}</tbody></table>"
)


class Installed(NamedTuple):
    """A package: its licence as it says it, and the first extra or group that brings it."""

    name: str
    version: str
    licence: str
    brought_by: str


def put(page: str, root: Path) -> str:
    """Fill the places that a page keeps for tables of licences."""
    return PLACE.sub(lambda found: _table(installed(root)[found[1]]), page) if PLACE.search(page) else page


def installed(root: Path) -> dict[str, list[Installed]]:
    """What the package and its extras bring, and what else development does; packages that are not installed are left out."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    own = project["project"]
    asked = {"rnnvanish": own["dependencies"]}
    asked |= {f"[{extra}]": needs for extra, needs in own["optional-dependencies"].items() if extra != "all"}
    groups = {
        name: needs for name, needs in project["dependency-groups"].items() if name not in ("dev", "peers", "elsewhere")
    }
    seen: set[str] = set()
    return {
        kind: [each for brought_by, needs in wanted.items() for each in _closure(needs, brought_by, seen)]
        for kind, wanted in {"package": asked, "development": groups}.items()
    }


def _closure(needs: Iterable[str], brought_by: str, seen: set[str]) -> Iterator[Installed]:
    """What is asked for, then what that asks for."""
    asked = [(Requirement(each), "") for each in needs]
    while asked:
        requirement, extra = asked.pop(0)
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        seen.add(name)
        yield Installed(found.metadata["Name"], found.version.partition("+")[0], licence(found), brought_by)
        for each in found.requires or ():
            asked += [(Requirement(each), wanted) for wanted in ("", *requirement.extras)]


def licence(found: metadata.Distribution) -> str:
    """What a package says: an expression, else a name, else what its classifiers say."""
    said = found.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    name = (said.get("License") or "").strip()
    if name and name != "UNKNOWN" and len(name) <= LONGEST and "\n" not in name:
        return name
    classifiers = [
        each.rpartition(" :: ")[2] for each in said.get_all("Classifier") or () if each.startswith("License ::")
    ]
    first = name.partition("\n")[0].strip()
    return ", ".join(classifiers) or (first if "License" in first and len(first) <= LONGEST else UNSAID)


def _table(rows: list[Installed]) -> str:
    said = Markup("").join(ROW.format(each.name, each.version, each.licence, each.brought_by) for each in rows)
    return str(TABLE.format(f"{len(rows)} packages, as they are installed where this site was built", said))
