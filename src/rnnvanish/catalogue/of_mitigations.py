"""The body of `rnnvanish mitigations`."""

import inspect
import sys
import textwrap
from typing import Any

from rnnvanish import mitigations as cures
from rnnvanish.console import labelled, print_text
from rnnvanish.experiments.cures import CALLED, example, suited, written
from rnnvanish.mitigation import Build, Draw, Penalty, Regime, Rule
from rnnvanish.names import lookup

#: In the order of a training.
KINDS = (Draw, Build, Penalty, Rule, Regime)


def show(name: str | None, as_json: bool) -> dict[str, Any]:
    """Print all mitigations, or one, where the document that it returns is not to be printed instead.

    Raises:
        ValueError: For a name that there is not.
    """
    if name is None:
        rows = [_summary(each, cure) for each, cure in cures.ALL.items()]
        if not as_json:
            print_text(_table(rows))
        return {"mitigations": rows}
    cure = lookup("mitigation", name, cures.ALL)
    mitigations, networks = written(name), suited(example(name))
    cell = next(called for network, called in CALLED.items() if network in networks)
    document = _summary(name, cure) | {
        "about": (sys.modules[cure.__module__].__doc__ or "").strip(),
        "checked": cure.checked,
        "usage": [
            "from rnnvanish import mitigations",
            *cure.usage.format(f"mitigations.{example(name)!r}").splitlines(),
        ],
        "train": f"rnnvanish train --cell {cell} --task copying --mitigations '{mitigations}'",
    }
    if not as_json:
        labels = {"acts": "moment", "on": "needs", "options": "options", "keeps": "invariant", "checked": "checked"}
        told = {label: document[key] for label, key in labels.items()} | {"paper": document["paper"]}
        used = ["To use it:", *(f"    {line}" for line in (*document["usage"], document["train"]))]
        title = textwrap.fill(f"{name}: {document['summary']}", 100)
        said = [title, "", document["about"], "", *map(labelled, told, told.values()), ""]
        print_text("\n".join([*said, *used, ""]))
    return document


def _summary(name: str, cure: Any) -> dict[str, Any]:
    """What a list of mitigations says of each."""
    return {
        "name": name,
        "options": str(inspect.signature(cure)).removesuffix(" -> None"),
        "moment": cure.moment,
        "needs": cure.needs,
        "summary": (inspect.getdoc(cure) or "").partition("\n")[0],
        "invariant": cure.invariant,
        "paper": str(cure.paper),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """All mitigations by the moment at which they act, in 100 columns."""
    width, lines = 3 + max(len(row["name"]) for row in rows), list[str]()
    for kind in KINDS:
        lines.append(f"Acts {kind.moment}; needs {kind.needs}, unless said otherwise:")
        for row in (row for row in rows if row["moment"] == kind.moment):
            asked = "" if row["needs"] == kind.needs else f" Needs {row['needs']}."
            said = f"{row['summary'].partition('; ')[0].removesuffix('.')}.{asked}"
            lines.append(textwrap.fill(f"  {row['name']:<{width - 2}}{said}", 100, subsequent_indent=" " * width))
        lines.append("")
    return "\n".join([*lines, "rnnvanish mitigations NAME shows one of them.", ""])
