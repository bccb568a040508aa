"""The parts of the page *Trends*, and the feed of regressions."""

import html
import json

from ..stored.recorded import Recorded
from ..stored.results import Series
from . import titles as words
from .sparkline import line
from .tables import Cell, table

MANY = 12  # numbers that are folded away


def noise(recorded: Recorded) -> str:
    """How often the comparison raises a false alarm."""
    parts = []
    for path in sorted((recorded.root / "bench/noise").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        tries = data["tries"]
        alarms, first = (sum(bool(each[kind]) for each in tries) for kind in ("alarms", "suspected"))
        apart = sorted(value for each in tries for value in each["apart"])
        load = sorted(value for each in tries for value in each["load"])
        parts.append(
            f"<p>On {html.escape(path.stem)}, commit {data['commit'][:8]} was compared with itself {len(tries)} times, "
            f"{tries[0]['numbers']} numbers each time, {data['rounds']} rounds for each number. False alarms after the "
            f"first look: {first}. False alarms after the second look, which is what counts: <strong>{alarms} of "
            f"{len(tries)}</strong>. Half of the numbers came out within {_percent(apart[len(apart) // 2])} of each other, "
            f"the worst {_percent(apart[-1])} apart. The load on the machine was from {load[0]:g} to {load[-1]:g} "
            "waiting or running programs.</p>"
        )
    return "".join(parts) or "<p>Not measured yet.</p>"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):.1f} %"


def worse(recorded: Recorded) -> str:
    """Numbers that became worse, with the commit that did it."""
    count = len([each for each in recorded.series if each.measured])
    over = f"{count} numbers over {len(recorded.measured)} commits"
    if not recorded.regressions:
        return f"<p>None of {over} became worse.</p>"
    head = ["Number", "Commit", "What it was", "What it became", "Since"]
    rows = []
    for each in recorded.regressions:
        unit = recorded.unit(each.series.benchmark)
        name = f"{words.title(each.series.benchmark, unit)}: {recorded.label(each.series)}"
        since = f"mended at {each.mended.short}" if each.mended else "still so"
        at = f"{each.where}, {each.commit.date}: {each.commit.subject}"
        rows.append([name, at, words.amount(each.before, unit), words.amount(each.after, unit), since])
    return table(f"Became worse, of {over}", head, rows)


def missing(recorded: Recorded) -> str:
    """Commits that could not be measured."""
    if not recorded.unmeasured:
        return "<p>Every commit that was tried could be measured.</p>"
    rows = [[f"{each.short}, {each.date}: {each.subject}", reason] for each, reason in recorded.unmeasured.items()]
    return table("Commits that could not be measured", ["Commit", "Reason"], rows)


def numbers(recorded: Recorded) -> str:
    """Every number over commits, machine by machine."""
    parts = []
    for machine in recorded.machines:
        parts.append(f"<h3>{html.escape(machine)}</h3>")
        names = dict.fromkeys(each.benchmark for each in recorded.of(machine) if each.benchmark != words.ON_ITS_PAGE)
        parts += [_trend(recorded, name, recorded.of(machine, name)) for name in names]
    return "".join(parts) or "<p>Nothing has been measured yet.</p>"


def _trend(recorded: Recorded, name: str, series: list[Series]) -> str:
    unit, caption = recorded.unit(name), words.title(name, recorded.unit(name))
    moving = [each for each in series if len({point.value for point in each.measured}) > 1]
    once = [each for each in series if len(each.measured) == 1]
    still = [each for each in series if each not in moving and each not in once]
    return (
        _moving(recorded, moving, unit, caption)
        + _listed(recorded, still, unit, f"{caption}, the same at every commit")
        + _listed(recorded, once, unit, f"{caption}, measured at one commit only")
    )


def _moving(recorded: Recorded, series: list[Series], unit: str, caption: str) -> str:
    rows = []
    for each in series:
        first, last = (words.amount(each.measured[place].value, unit) for place in (0, -1))
        rows.append([recorded.label(each) or "all", Cell(spark(recorded, each, unit)), first, last])
    return table(caption, ["Of", "Over commits", "First", "Newest"], rows) if rows else ""


def _listed(recorded: Recorded, series: list[Series], unit: str, said: str) -> str:
    """Values in a sentence, the unit once; many of them in a fold."""
    if not series:
        return ""
    pairs = [(recorded.label(each), words.amount(each.measured[-1].value, unit)) for each in series]
    values = html.escape(
        "; ".join(f"{name}: {text.removesuffix(f' {unit}')}".removeprefix(": ") for name, text in pairs)
    )
    once = f" ({unit})" if pairs[0][1].endswith(f" {unit}") else ""
    if len(pairs) <= MANY:
        return f"<p>{html.escape(said + once)}: {values}.</p>"
    return f"<details><summary>{html.escape(said + once)}: {len(pairs)} numbers</summary><p>{values}.</p></details>"


def spark(recorded: Recorded, series: Series, unit: str) -> str:
    """A line over commits, broken where measuring failed, with a ring at each commit that made it worse."""
    places = {commit: index / max(len(recorded.measured) - 1, 1) for index, commit in enumerate(recorded.measured)}
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in series.points:
        if point.value is None:
            pieces.append([])
        else:
            pieces[-1].append((places[point.commit], point.value))
    bad = {each.commit for each in recorded.regressions if each.series == series}
    values = [point.value for point in series.measured if point.value is not None]
    label = f"{len(values)} commits, from {words.amount(min(values), unit)} to {words.amount(max(values), unit)}"
    label += "".join(f"; worse at {each.short}" for each in sorted(bad, key=lambda each: each.place))
    rings = [(places[point.commit], point.value or 0) for point in series.measured if point.commit in bad]
    return line([piece for piece in pieces if piece], label, rings)


def feed(recorded: Recorded) -> str:
    """The regressions as an Atom feed."""
    newest = recorded.measured[-1].date if recorded.measured else "1970-01-01"
    entries = "".join(
        f"<entry><title>{html.escape(f'{each.factor:.2f} times: {each.series}')}</title>"
        f"<id>urn:rnnvanish:{each.commit.hash}:{html.escape(str(each.series).replace(' ', ''))}</id>"
        f'<updated>{each.commit.date}T00:00:00Z</updated><link href="trends.html"/>'
        f"<summary>{html.escape(f'{each}, by {each.commit.subject!r} on {each.series.machine}')}</summary></entry>"
        for each in recorded.regressions
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'
        "<title>rnnvanish: numbers that became worse</title><id>urn:rnnvanish:regressions</id>"
        f"<updated>{newest}T00:00:00Z</updated><author><name>rnnvanish</name></author>{entries}</feed>\n"
    )
