"""The pages *Speed* and *Trends*, and the feed of regressions: made from the recorded results while the site is built.

A page asks for a part with `<div data-rv-bench="NAME"></div>`; `PARTS` names them all.
"""

import html
import json
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from statistics import median

from . import words
from .drawing import line
from .drive import ROOT
from .regressions import Regression, regressions
from .results import Commit, Series, history, machines, read, unmeasured
from .suite import benchmarks

PLACE = re.compile(r'<div data-rv-bench="([\w-]+)"></div>')


class Recorded:
    """Everything that is recorded, read once a build.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.folder = root, root / "bench/results"
        self.known = benchmarks(root)
        self.commits = history(root)
        versions = {name: each["version"] for name, each in self.known.items()}
        self.series = read(self.folder, self.commits, versions)
        self.machines = {name: each for name, each in machines(self.folder).items() if self.of(name)}

    def of(self, machine: str, *benchmarks: str) -> list[Series]:
        """Series of a machine, of some benchmarks or of all."""
        found = [each for each in self.series if each.machine == machine and each.measured]
        return [each for each in found if not benchmarks or each.benchmark in benchmarks]

    def unit(self, benchmark: str) -> str:
        return self.known[benchmark]["unit"]

    def label(self, benchmark: str, cell: tuple[str, ...]) -> str:
        """The parameters in words: "LSTM, lag 100"."""
        names = self.known[benchmark]["param_names"]
        said = (value if name in words.PLAIN else f"{name} {value}" for name, value in zip(names, cell, strict=True))
        return ", ".join(said)

    @cached_property
    def regressions(self) -> list[Regression]:
        found = [each for series in self.series for each in regressions(series, self.unit(series.benchmark))]
        return sorted(found, key=lambda each: -each.commit.place)

    @cached_property
    def unmeasured(self) -> dict[Commit, str]:
        return unmeasured(self.folder, self.commits)

    @cached_property
    def measured(self) -> list[Commit]:
        """Commits with a result, the oldest first."""
        return sorted({point.commit for each in self.series for point in each.points}, key=lambda each: each.place)


def put(text: str, root: Path = ROOT) -> str:
    """Fill the places that a page keeps."""
    if not PLACE.search(text):
        return text
    recorded = Recorded(root)
    return PLACE.sub(lambda place: PARTS[place[1]](recorded), text)


def kinds(recorded: Recorded) -> str:
    """The machines that were measured."""
    head = ["Machine", "Processor", "Memory", "GPU", "torch", "Newest commit measured"]
    rows = []
    for name, each in recorded.machines.items():
        newest = max((point for series in recorded.of(name) for point in series.measured), key=lambda p: p.commit.place)
        torch = newest.run.get("versions", {}).get("torch", "unknown")
        busy = ", while others used the machine" if newest.run.get("busy") else ""
        cores = f"{each['cpu']}, {each['num_cpu']} cores, {each.get('threads', 'threads unknown')}"
        gpu = each["gpu"] if each["gpu"] == "none" else f"{each['gpu']}, driver {each['driver']}"
        last = f"{newest.commit.short}, {newest.run.get('date', newest.commit.date)[:10]}{busy}"
        rows.append([name, cores.replace("1 per core", "one thread each"), each["ram"], gpu, torch, last])
    none = all(each["gpu"] == "none" for each in recorded.machines.values())
    without = "<p>On a GPU: <strong>not measured</strong>. None of these machines has one.</p>" if none else ""
    return table("Machines that were measured", head, rows) + without


def cells(recorded: Recorded) -> str:
    """Every cell on every machine, at the newest commit that was measured."""
    return _each_machine(recorded, words.CELLS, "What a step over 100 steps in time costs")


def growth(recorded: Recorded) -> str:
    """A step in time, of short sequences and of long ones."""
    said = ""
    for machine in recorded.machines:
        found = {each.cell[0]: each.measured[-1].value or 0 for each in recorded.of(machine, words.GROWTH[0])}
        if len(found) > 1:
            short, long = min(found, key=int), max(found, key=int)
            said += (
                f"<p>On {html.escape(machine)} one step in time costs {found[long] / found[short]:.2f} times as much in "
                f"{long} steps as in {short}.</p>"
            )
    return _each_machine(recorded, words.GROWTH, "Growth with the length of the sequence, LSTM") + said


def stacks(recorded: Recorded) -> str:
    """Several layers."""
    return _each_machine(recorded, words.STACKS, "Several layers on top of each other, GRU")


def looks(recorded: Recorded) -> str:
    """What the instruments cost."""
    return _each_machine(recorded, words.LOOKS, "What looking costs")


def engines(recorded: Recorded) -> str:
    """The engine against its goals: what `bench.goals` wrote, for each cell in the middle and from end to end."""
    parts = []
    for path in sorted(recorded.folder.glob("*/goals.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        parts += [
            _goal(f"{words.GOALS.get(name, name)}: {path.parent.name}", rows) for name, rows in data["tables"].items()
        ]
        known = data["provenance"]
        parts.append(f"<p>Measured on {known['date']} at commit {html.escape(known['commit'])}.</p>")
    return "".join(parts) or "<p>Not measured yet.</p>"


def _goal(caption: str, rows: dict[str, dict[str, float]]) -> str:
    """A row for each cell: median over all sizes, and the range; every size is folded away below."""
    columns = [name for name in next(iter(rows.values()), {}) if name in words.AGAINST]
    head = ["Cell", *(words.AGAINST[name] for name in columns), "Sizes"]
    kinds: dict[str, list[dict[str, float]]] = {}
    for name, row in rows.items():
        kinds.setdefault(name.partition(" ")[0], []).append(row)
    lines = []
    for kind, found in kinds.items():
        values = [[row[name] for row in found if name in row] for name in columns]
        said = [f"{median(each):.3g} ({min(each):.3g} to {max(each):.3g})" if each else "–" for each in values]
        lines.append([kind, *said, str(len(found))])
    whole = [
        [name, *(f"{row[column]:.3g}" if column in row else "–" for column in columns)] for name, row in rows.items()
    ]
    shown = table(caption, head, lines)
    if len(rows) == len(lines):
        return table(caption, head[:-1], whole)
    every = table("Every size", ["Cell and size", *head[1:-1]], whole)
    return f"{shown}<details><summary>Every size</summary>{every}</details>"


def _each_machine(recorded: Recorded, names: list[str], caption: str) -> str:
    """One table for each machine: a row for each cell, a column for each benchmark."""
    tables = [newest(recorded, machine, names, f"{caption}: {machine}") for machine in recorded.machines]
    return "".join(tables) or "<p>Not measured yet.</p>"


def newest(recorded: Recorded, machine: str, names: list[str], caption: str) -> str:
    """The newest value of each number, the commit below the table."""
    found = {(each.benchmark, each.cell): each.measured[-1] for each in recorded.of(machine, *names)}
    columns = [name for name in names if any(benchmark == name for benchmark, _ in found)]
    if not columns:
        return ""
    parameters = " and ".join(recorded.known[columns[0]]["param_names"]) or "number"
    head = [parameters.capitalize(), *(words.title(name, recorded.unit(name)) for name in columns)]
    rows = []
    for cell in sorted({cell for _, cell in found}, key=_order):
        points = [found.get((name, cell)) for name in columns]
        values = [
            words.amount(point.value, recorded.unit(name)) if point and point.value is not None else "–"
            for point, name in zip(points, columns, strict=True)
        ]
        owner = next(name for name in columns if (name, cell) in found)
        rows.append([recorded.label(owner, cell) or "all", *values])
    at = sorted({point.commit for point in found.values()}, key=lambda commit: commit.place)
    where = f"commit {at[-1].short}" if len(at) == 1 else f"commits {at[0].short} to {at[-1].short}, the newest of each"
    return table(caption, head, rows) + f"<p>Measured at {where}.</p>"


def _order(cell: tuple[str, ...]) -> list[tuple[int, str]]:
    """Numbers by their size, before words."""
    return [(int(value) if value.isdigit() else 10**9, value) for value in cell]


def peers(recorded: Recorded) -> str:
    """Other packages, side by side."""
    parts = []
    for path in sorted((recorded.root / "bench/peers/results").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        head = ["Package", "Layer", "Against ours", "Training step", "Inference step", "The same function?"]
        rows = [
            [
                row["package"],
                row["layer"],
                row["ours"],
                *(words.times(row.get(step)) for step in ("training", "inference")),
                row["same"],
            ]
            for row in data["rows"]
        ]
        parts.append(table(f"Their CPU time over ours: {path.stem}", head, rows))
        busy = ", while others used the machine" if data.get("busy") else ""
        parts.append(f"<p>Measured on {data['date'][:10]} at commit {data['commit'][:8]}{busy}.</p>")
    return "".join(parts) or "<p>Not measured yet.</p>"


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
        name = f"{words.title(each.series.benchmark, unit)}: {recorded.label(each.series.benchmark, each.series.cell)}"
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
    unit = recorded.unit(name)
    moving = [each for each in series if len({point.value for point in each.measured}) > 1]
    still = [each for each in series if each not in moving]
    caption = words.title(name, unit)
    parts = []
    if moving:
        rows = "".join(_row(recorded, each, unit) for each in moving)
        head = "".join(f'<th scope="col">{text}</th>' for text in ("Of", "Over commits", "First", "Newest"))
        parts.append(
            f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
    if still:
        said = "; ".join(
            f"{recorded.label(name, each.cell)}: {words.amount(each.measured[-1].value, unit)}" for each in still
        )
        parts.append(f"<p>{html.escape(caption)}, the same at every commit: {html.escape(said)}.</p>")
    return "".join(parts)


def _row(recorded: Recorded, series: Series, unit: str) -> str:
    first, last = series.measured[0], series.measured[-1]
    texts = [words.amount(point.value, unit) for point in (first, last)]
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    return f'<tr><th scope="row">{html.escape(recorded.label(series.benchmark, series.cell) or "all")}</th><td>{spark(recorded, series, unit)}</td>{cells}</tr>'


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


def table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """A table, the first column of which names its rows."""
    columns = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    lines = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(text)}</td>" for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><caption>{html.escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"


def feed(root: Path = ROOT) -> str:
    """The regressions as an Atom feed."""
    recorded = Recorded(root)
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


PARTS: dict[str, Callable[[Recorded], str]] = {
    "machines": kinds,
    "cells": cells,
    "growth": growth,
    "stacks": stacks,
    "looks": looks,
    "engine": engines,
    "peers": peers,
    "noise": noise,
    "worse": worse,
    "missing": missing,
    "numbers": numbers,
}
