"""The pictures that the pages of the benchmarks begin with: a line for each cell over commits, a field for each cell of a machine."""

import math

from markupsafe import Markup

from rnnvanish import cells

from ..stored.archive import Archive
from ..stored.results import Commit, Series
from . import labels
from .render import join, paragraph, render

AGAINST_TORCH = "speed.TrainingStep.track_vs_torch"
AGAINST_LOOP = "speed.TrainingStep.track_vs_loop"
WIDTH, HEIGHT = 620, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 70, 14, 34
ROUND = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def over_commits(archive: Archive) -> Markup:
    """Of each machine a chart: a training step against torch.nn, a line for each cell, over the commits that were measured."""
    return join([_chart(archive, machine) for machine in archive.machines], "Not measured yet.")


def _chart(archive: Archive, machine: str) -> Markup:
    series = [
        each
        for each in archive.measured_on(machine, AGAINST_TORCH)
        if archive.device(each) == "cpu" and len(each.measured) > 1
    ]
    if not series:
        return Markup()
    commits = sorted({point.commit for each in series for point in each.measured}, key=lambda each: each.place)
    values = [point.value for each in series for point in each.measured if point.value]
    low, high = min(*values, 1.0) / 1.2, max(*values, 1.0) * 1.2

    def x(commit: Commit) -> float:
        return LEFT + commits.index(commit) / max(len(commits) - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + math.log(high / value) / math.log(high / low) * (HEIGHT - TOP - BOTTOM)

    ends = _apart([(y(each.measured[-1].value or 1), archive.parameters(each)["cell"]) for each in series])
    lines = [
        {
            "cell": archive.parameters(each)["cell"],
            "points": [
                (f"{x(point.commit):.1f}", f"{y(point.value):.1f}", _said(each, point.commit.short, point.value))
                for point in each.measured
                if point.value
            ],
            "label": f"{ends[archive.parameters(each)['cell']]:.1f}",
        }
        for each in series
    ]
    newest = ", ".join(f"{archive.parameters(each)['cell']} {each.measured[-1].value:.2g} times" for each in series)
    alt = (
        f"Line chart: a training step against torch.nn over {len(commits)} commits, on an axis of factors; below 1 ours is "
        f"faster. At the newest commit: {newest}."
    )
    return render(
        "over_commits.html",
        machine=machine,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        alt=alt,
        lines=lines,
        marks=[(f"{y(mark):.1f}", f"{mark:g}×", mark == 1) for mark in ROUND if low <= mark <= high],
        first=commits[0].short,
        last=commits[-1].short,
        count=len(commits),
    )


def _said(series: Series, commit: str, value: float) -> str:
    return f"{series.cell[0]}, commit {commit}: {value:.3g} times"


def _apart(ends: list[tuple[float, str]], least: float = 15) -> dict[str, float]:
    """Places of names at the ends of lines, from above to below, none of them over another."""
    places: dict[str, float] = {}
    above = -math.inf
    for place, name in sorted(ends):
        above = places[name] = max(place, above + least)
    return places


def fields(archive: Archive) -> Markup:
    """Of each machine and device a field for each cell: a training step against the plain tanh loop; empty where none is known."""
    found = {
        (each.machine, archive.device(each), archive.parameters(each)["cell"]): each.measured[-1].value
        for each in archive.series
        if each.benchmark == AGAINST_LOOP and each.measured
    }
    names = sorted({*cells.ALL, *(cell for _, _, cell in found)}, key=str.lower)
    parts = [
        render(
            "fields.html",
            machine=f"{machine}{on}",
            fields=[(cell, *_field(found.get((machine, device, cell)))) for cell in names],
            known=sum((machine, device, cell) in found for cell in names),
        )
        for machine, each in archive.machines.items()
        for device, on in labels.DEVICES.items()
        if device == "cpu" or each["gpu"] != "none"
    ]
    return join(parts, "Not measured yet.")


def _field(value: float | None) -> tuple[str, str]:
    """A factor in words, and how strong its colour is: from faster, -3, to slower, 3."""
    if value is None:
        return "", "none"
    size = min(max(round(2 * math.log2(value)), -3), 3)
    return f"{value:.2g}×", f"{'faster' if size < 0 else 'slower' if size > 0 else 'even'} rv-by{abs(size)}"


def counted(archive: Archive) -> Markup:
    """How many commits have a result at all."""
    known = {point.commit for each in archive.series for point in each.measured}
    return paragraph(
        "<strong>{} of {} commits</strong> have a result on some machine. A line over commits goes through those alone.",
        len(known),
        len(archive.commits),
    )
