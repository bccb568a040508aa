"""The parts of the page *Trends*, and the feed of regressions."""

import json
from urllib.parse import urlencode

from markupsafe import Markup

from ..stored.archive import Archive
from ..stored.regressions import Regression
from ..stored.results import Series
from . import labels
from .render import join, paragraph, render
from .sparkline import sparkline
from .tables import table

MANY = 12  # numbers that are folded away


def noise(archive: Archive) -> Markup:
    """How often the comparison raises a false alarm."""
    parts = []
    for path in sorted((archive.root / "bench/noise").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        tries = data["tries"]
        apart = sorted(value for each in tries for value in each["apart"])
        load = sorted(value for each in tries for value in each["load"])
        parts.append(
            render(
                "noise.html",
                machine=path.stem,
                commit=data["commit"][:8],
                tries=len(tries),
                numbers=tries[0]["numbers"],
                rounds=data["rounds"],
                first=sum(bool(each["suspected"]) for each in tries),
                alarms=sum(bool(each["alarms"]) for each in tries),
                half=_percent(apart[len(apart) // 2]),
                worst=_percent(apart[-1]),
                load=[f"{load[0]:g}", f"{load[-1]:g}"],
            )
        )
    return join(parts, "Not measured yet.")


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):.1f} %"


def worse(archive: Archive) -> Markup:
    """Numbers that became worse, with the commit that did it."""
    count = len([each for each in archive.series if each.measured])
    over = f"{count} numbers over {len(archive.measured)} commits"
    if not archive.regressions:
        return paragraph("None of {} became worse.", over)
    head = ["Number", "Commit", "What it was", "What it became", "Since"]
    return table(f"Became worse, of {over}", head, [_regression(archive, each) for each in archive.regressions])


def _regression(archive: Archive, each: Regression) -> list[str]:
    """A row: the number leads to its picture."""
    series, unit = each.series, archive.unit(each.series.benchmark)
    parameters = archive.parameters(series)
    choice = urlencode({"benchmark": series.benchmark, **parameters, "machine": series.machine})
    name = f"{labels.title(series.benchmark, unit)}: {labels.parameters(parameters)}"
    return [
        Markup('<a href="explore.html#{}">{}</a>').format(choice, name),
        f"{each.where}, {each.commit.date}: {each.commit.subject}",
        labels.amount(each.before, unit),
        labels.amount(each.after, unit),
        f"mended at {each.mended.short}" if each.mended else "still so",
    ]


def missing(archive: Archive) -> Markup:
    """Commits that could not be measured."""
    if not archive.unmeasured:
        return paragraph("Every commit that was tried could be measured.")
    rows = [[f"{each.short}, {each.date}: {each.subject}", reason] for each, reason in archive.unmeasured.items()]
    return table("Commits that could not be measured", ["Commit", "Reason"], rows)


def numbers(archive: Archive) -> Markup:
    """Every number over commits, machine by machine."""
    parts = []
    for machine in archive.machines:
        parts.append(Markup("<h3>{}</h3>").format(machine))
        names = dict.fromkeys(each.benchmark for each in archive.measured_on(machine))
        parts += [
            _benchmark(archive, name, archive.measured_on(machine, name))
            for name in names
            if name != labels.IN_VERDICTS
        ]
    return join(parts, "Nothing has been measured yet.")


def _benchmark(archive: Archive, name: str, series: list[Series]) -> Markup:
    """The numbers of a benchmark on a machine: those that moved, those that did not, those that were measured once."""
    caption = labels.title(name, archive.unit(name))
    moving = [each for each in series if len({point.value for point in each.measured}) > 1]
    once = [each for each in series if len(each.measured) == 1]
    still = [each for each in series if each not in moving and each not in once]
    return (
        _moving(archive, moving, caption)
        + _listed(archive, still, f"{caption}, the same at every commit")
        + _listed(archive, once, f"{caption}, measured at one commit only")
    )


def _moving(archive: Archive, series: list[Series], caption: str) -> Markup:
    rows = []
    for each in series:
        unit = archive.unit(each.benchmark)
        first, last = (labels.amount(each.measured[place].value, unit) for place in (0, -1))
        rows.append([labels.parameters(archive.parameters(each)) or "all", over_commits(archive, each), first, last])
    return table(caption, ["Of", "Over commits", "First", "Newest"], rows) if rows else Markup()


def _listed(archive: Archive, series: list[Series], said: str) -> Markup:
    """Values in a sentence, the unit once; many of them in a fold."""
    if not series:
        return Markup()
    unit = archive.unit(series[0].benchmark)
    names = [labels.parameters(archive.parameters(each)) for each in series]
    amounts = [labels.amount(each.measured[-1].value, unit) for each in series]
    if amounts[0].endswith(f" {unit}"):
        said += f" ({unit})"
    pairs = zip(names, amounts, strict=True)
    values = "; ".join(f"{name}: {amount.removesuffix(f' {unit}')}".removeprefix(": ") for name, amount in pairs)
    if len(series) <= MANY:
        return paragraph("{}: {}.", said, values)
    fold = "<details><summary>{}: {} numbers</summary><p>{}.</p></details>"
    return Markup(fold).format(said, len(series), values)


def over_commits(archive: Archive, series: Series) -> Markup:
    """A line over commits, broken where measuring failed, with a ring at each commit that made it worse."""
    unit = archive.unit(series.benchmark)
    places = {commit: index / max(len(archive.measured) - 1, 1) for index, commit in enumerate(archive.measured)}
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in series.points:
        if point.value is None:
            pieces.append([])
        else:
            pieces[-1].append((places[point.commit], point.value))
    bad = {each.commit for each in archive.regressions if each.series == series}
    values = [point.value for point in series.measured if point.value is not None]
    label = f"{len(values)} commits, from {labels.amount(min(values), unit)} to {labels.amount(max(values), unit)}"
    label += "".join(f"; worse at {each.short}" for each in sorted(bad, key=lambda each: each.place))
    rings = [(places[point.commit], point.value or 0) for point in series.measured if point.commit in bad]
    return sparkline([piece for piece in pieces if piece], label, rings)


def feed(archive: Archive) -> Markup:
    """The regressions as an Atom feed."""
    newest = archive.measured[-1].date if archive.measured else "1970-01-01"
    return render("feed.xml", newest=newest, regressions=archive.regressions)
