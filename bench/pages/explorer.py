"""The page *Explore*: every recorded number, as `docs/assets/explorer.js` reads it.

What there is to choose stands in the page. The numbers of each benchmark are a script beside it, which the page asks for
when they are chosen: a script, because a page that is opened from the disk may read no other file.
"""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rnnvanish.templates.words import words

from ..stored.archive import Archive
from ..stored.regressions import EXACT, RATIO, limit
from ..stored.results import Series
from . import labels
from .render import paragraph, render

FOLDER = "explore"
RULES = {
    None: "It says more of the machine than of the code, so no change of it is called worse.",
    EXACT: f"Less is better. A ring marks a change that made a number more than {EXACT - 1:.0%} worse.",
    RATIO: f"Less is better. A ring marks a change that made a number more than {RATIO - 1:.0%} worse, "
    "still so at the next one that was measured.",
}


def explorer(archive: Archive) -> Markup:
    """The element that shows any number over commits."""
    if not archive.series:
        return paragraph("Nothing has been measured yet.")
    return render("explorer.html", choices=choices(archive))


def write(archive: Archive, folder: Path) -> None:
    """Write the numbers of each benchmark into a folder beside the page."""
    folder.mkdir(exist_ok=True)
    for name in {each.benchmark for each in archive.series}:
        numbers = json.dumps(lines(archive, name), separators=(",", ":"))
        script = f"(window.rvNumbers ??= {{}})[{json.dumps(name)}] = {numbers};\n"
        (folder / f"{name}.js").write_text(script, encoding="utf-8")


def choices(archive: Archive) -> dict[str, Any]:
    """What there is to choose: the words of the controls, commits, machines, and each benchmark with its parameters."""
    names = {each.benchmark for each in archive.series}
    order = [*(name for name in labels.TITLES if name in names), *sorted(names - set(labels.TITLES))]
    return {
        "words": words()["explorer"],
        "commits": [[each.short, each.date, each.subject] for each in archive.measured],
        "machines": _machines(archive),
        "benchmarks": [_benchmark(archive, name) for name in order],
    }


def lines(archive: Archive, name: str) -> list[list[Any]]:
    """Every number of a benchmark, as it was recorded: a list for each line over commits.

    Machine, place of each parameter's value, pairs of commit and number, what became worse, environment.
    """
    commits = {commit: place for place, commit in enumerate(archive.measured)}
    series, values, machines = _series(archive, name), _values(archive, name), _machines(archive)
    several = len({each.environment for each in series}) > 1
    return [
        [
            machines.index(each.machine),
            [given.index(value) for given, value in zip(values, each.cell, strict=True)],
            [[commits[point.commit], point.value] for point in each.points],
            {
                commits[worse.commit]: [worse.factor, worse.mended.short if worse.mended else None]
                for worse in archive.regressions
                if worse.series == each
            },
            each.environment if several else "",
        ]
        for each in series
    ]


def _benchmark(archive: Archive, name: str) -> dict[str, Any]:
    unit = archive.unit(name)
    group = name.partition(".")[0]
    return {
        "name": name,
        "title": labels.title(name, unit),
        "unit": labels.scale(unit),
        "group": labels.GROUPS.get(group, group),
        "rule": RULES[limit(unit)],
        "judged": limit(unit) is not None,
        "parameters": [
            _parameter(parameter, values)
            for parameter, values in zip(archive.benchmarks[name]["param_names"], _values(archive, name), strict=True)
        ],
    }


def _parameter(name: str, values: list[str]) -> dict[str, Any]:
    """A parameter with its values, and what they are called in the list of choices and beside a line where it differs."""
    options, beside = ([said(name, value) for value in values] for said in (labels.choice, labels.parameter))
    return {
        "name": name,
        "values": values,
        **({"options": options} if options != values else {}),
        **({"labels": beside} if beside != values else {}),
    }


def _series(archive: Archive, name: str) -> list[Series]:
    return [each for each in archive.series if each.benchmark == name]


def _values(archive: Archive, name: str) -> list[list[str]]:
    """The values of each parameter of a benchmark."""
    columns = zip(*(each.cell for each in _series(archive, name)), strict=True)
    return [sorted(set(column), key=labels.by_size) for column in columns]


def _machines(archive: Archive) -> list[str]:
    return sorted({each.machine for each in archive.series})
