"""The parts of the page *Speed*."""

import html
import json
from statistics import median

from ..goals.kept import kept
from ..stored.recorded import Recorded
from . import titles as words
from .tables import table


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
    return table("Machines that were measured", head, rows)


def cells(recorded: Recorded) -> str:
    """Every cell on every machine, on each of its devices, at the newest commit that was measured."""
    said = _each_machine(recorded, words.CELLS, "What a step over 100 steps in time costs")
    if any(recorded.place(each)[0] != "cpu" for each in recorded.series if each.measured):
        return said
    none = all(each["gpu"] == "none" for each in recorded.machines.values())
    why = " None of these machines has one." if none else ""
    return f"{said}<p>On a GPU: <strong>not measured</strong>.{why}</p>"


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
        goals = ["Against", "At most", "In the middle", "At worst", "Verdict"]
        tables = data["tables"] | {"torchrecurrent": _same(recorded, path.parent.name)}
        parts.append(table(f"Goals of the engine: {path.parent.name}", goals, kept(tables)))
        parts += [
            _goal(f"{words.GOALS.get(name, name)}: {path.parent.name}", rows) for name, rows in data["tables"].items()
        ]
        known = data["provenance"]
        parts.append(f"<p>Measured on {known['date']} at commit {html.escape(known['commit'])}.</p>")
    return "".join(parts) or "<p>Not measured yet.</p>"


def _same(recorded: Recorded, machine: str) -> dict[str, dict[str, float]]:
    """Our time over that of torchrecurrent, for each cell that is the same function in both."""
    path = recorded.root / f"bench/peers/results/{machine}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {
        row["ours"]: {"ours": 1 / row["training"]}
        for row in rows
        if row["package"].startswith("torchrecurrent") and row["same"].startswith("Yes")
    }


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
    """One table for each device of each machine: a row for each cell, a column for each benchmark."""
    tables = [
        newest(recorded, machine, device, names, f"{caption}: {machine}{on}")
        for machine in recorded.machines
        for device, on in words.DEVICES.items()
    ]
    return "".join(tables) or "<p>Not measured yet.</p>"


def newest(recorded: Recorded, machine: str, device: str, names: list[str], caption: str) -> str:
    """The newest value of each number, the commit below the table."""
    found = {}
    for series in recorded.of(machine, *names):
        place, cell = recorded.place(series)
        if place == device:
            found[series.benchmark, cell] = series.measured[-1]
    columns = [name for name in names if any(benchmark == name for benchmark, _ in found)]
    if not columns:
        return ""
    parameters = [name for name in recorded.known[columns[0]]["param_names"] if name != "device"]
    head = [" and ".join(parameters).capitalize(), *(words.title(name, recorded.unit(name)) for name in columns)]
    rows = []
    for cell in sorted({cell for _, cell in found}, key=lambda cell: [words.by_size(value) for value in cell]):
        points = [found.get((name, cell)) for name in columns]
        values = [
            words.amount(point.value, recorded.unit(name)) if point and point.value is not None else "–"
            for point, name in zip(points, columns, strict=True)
        ]
        owner = next(name for name in columns if (name, cell) in found)  # without parameters it goes by its suite
        rows.append([", ".join(cell) or owner.split(".")[1].lower(), *values])
    at = sorted({point.commit for point in found.values()}, key=lambda commit: commit.place)
    where = f"commit {at[-1].short}" if len(at) == 1 else f"commits {at[0].short} to {at[-1].short}, the newest of each"
    return table(caption, head, rows) + f"<p>Measured at {where}.</p>"


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
