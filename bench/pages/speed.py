"""The parts of the page *Speed*."""

import json
from statistics import median

from markupsafe import Markup

from ..goals.verdicts import verdicts
from ..stored.archive import Archive
from . import labels
from .render import join, paragraph
from .tables import table


def machines(archive: Archive) -> Markup:
    """The machines that were measured."""
    head = ["Machine", "Processor", "Memory", "GPU", "torch", "Newest commit measured"]
    rows = []
    for name, each in archive.machines.items():
        newest = max(
            (point for series in archive.measured_on(name) for point in series.measured), key=lambda p: p.commit.place
        )
        torch = newest.run.get("versions", {}).get("torch", "unknown")
        busy = ", while others used the machine" if newest.run.get("busy") else ""
        cores = f"{each['cpu']}, {each['num_cpu']} cores, {each.get('threads', 'threads unknown')}"
        gpu = each["gpu"] if each["gpu"] == "none" else f"{each['gpu']}, driver {each['driver']}"
        last = f"{newest.commit.short}, {newest.run.get('date', newest.commit.date)[:10]}{busy}"
        rows.append([name, cores.replace("1 per core", "one thread each"), each["ram"], gpu, torch, last])
    return table("Machines that were measured", head, rows)


def side_by_side(archive: Archive) -> Markup:
    """A training step of each cell that torch.nn has, on every device of every machine: one row, a column for each."""
    found: dict[str, dict[tuple[str, str, str], str]] = {name: {} for name in labels.SIDE_BY_SIDE}
    for series in archive.series:
        if series.benchmark in found and series.measured and (value := series.measured[-1].value) is not None:
            given = archive.parameters(series)
            place = given["cell"], series.machine, archive.device(series)
            found[series.benchmark][place] = labels.amount(value, archive.unit(series.benchmark))
    shared = {cell for cell, *_ in found[labels.SIDE_BY_SIDE[0]]}
    parts = []
    for name, values in found.items():
        places = sorted({(machine, device) for cell, machine, device in values if cell in shared})
        rows = [
            [cell, *(values.get((cell, *place), "–") for place in places)]
            for cell in sorted(shared, key=str.lower)
            if any(each == cell for each, *_ in values)
        ]
        if rows:
            head = ["Cell", *(f"{machine}{labels.DEVICES[device]}" for machine, device in places)]
            parts.append(table(f"{labels.title(name, archive.unit(name))}: machines side by side", head, rows))
    return join(parts, "Not measured yet.")


def cells(archive: Archive) -> Markup:
    """Every cell on every machine, on each of its devices, at the newest commit that was measured."""
    said = _each_machine(archive, labels.CELLS, "What a training step over 100 steps in time costs")
    said += _each_machine(archive, labels.BESIDE, "Inference, the first step, and memory")
    if any(archive.device(each) != "cpu" for each in archive.series if each.measured):
        return said
    none = all(each["gpu"] == "none" for each in archive.machines.values())
    return said + paragraph(
        "On a GPU: <strong>not measured</strong>.{}", " None of these machines has one." if none else ""
    )


def growth(archive: Archive) -> Markup:
    """A step in time, of short sequences and of long ones."""
    said = Markup()
    for machine in archive.machines:
        found = {each.cell[0]: each.measured[-1].value or 0 for each in archive.measured_on(machine, labels.GROWTH[0])}
        if len(found) > 1:
            short, long = min(found, key=int), max(found, key=int)
            said += paragraph(
                "On {} one step in time costs {:.2f} times as much in {} steps as in {}.",
                machine, found[long] / found[short], long, short,
            )  # fmt: skip
    return _each_machine(archive, labels.GROWTH, "Growth with the length of the sequence, LSTM") + said


def stacks(archive: Archive) -> Markup:
    """Several layers."""
    return _each_machine(archive, labels.STACKS, "Several layers on top of each other, GRU")


def looks(archive: Archive) -> Markup:
    """What the instruments cost."""
    return _each_machine(archive, labels.LOOKS, "What looking costs")


def engine(archive: Archive) -> Markup:
    """The engine against its goals: what `bench.goals` wrote, for each cell in the middle and from end to end."""
    parts = []
    for path in sorted(archive.folder.glob("*/goals.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        goals = ["Against", "At most", "In the middle", "At worst", "Verdict"]
        tables = data["tables"] | {"torchrecurrent": _same(archive, path.parent.name)}
        parts.append(table(f"Goals of the engine: {path.parent.name}", goals, verdicts(tables)))
        parts += [
            _goal(f"{labels.GOALS.get(name, name)}: {path.parent.name}", rows) for name, rows in data["tables"].items()
        ]
        known = data["provenance"]
        parts.append(paragraph("Measured on {} at commit {}.", known["date"], known["commit"]))
    return join(parts, "Not measured yet.")


def _same(archive: Archive, machine: str) -> dict[str, dict[str, float]]:
    """Our time over that of torchrecurrent, for each cell that both have: all are rows of one, whose middle counts."""
    path = archive.root / f"bench/peers/results/{machine}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {
        f"torchrecurrent cell={row['ours']}": {"ours": 1 / row["training"]}
        for row in rows
        if row["package"].startswith("torchrecurrent") and "training" in row
    }


def _goal(caption: str, rows: dict[str, dict[str, float]]) -> Markup:
    """A row for each cell: median over all sizes, and the range; every size is folded away below."""
    columns = [name for name in next(iter(rows.values()), {}) if name in labels.AGAINST]
    head = ["Cell", *(labels.AGAINST[name] for name in columns), "Sizes"]
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
    return shown + Markup("<details><summary>Every size</summary>{}</details>").format(every)


def _each_machine(archive: Archive, names: list[str], caption: str) -> Markup:
    """One table for each device of each machine: a row for each cell, a column for each benchmark."""
    tables = [
        newest(archive, machine, device, names, f"{caption}: {machine}{on}")
        for machine in archive.machines
        for device, on in labels.DEVICES.items()
    ]
    return join(tables, "Not measured yet.")


def newest(archive: Archive, machine: str, device: str, names: list[str], caption: str) -> Markup:
    """The newest value of each number, the commit below the table."""
    found = {}
    for series in archive.measured_on(machine, *names):
        if archive.device(series) == device:
            given = archive.parameters(series)
            cell = tuple(value for name, value in given.items() if name != "device")
            found[series.benchmark, cell] = series.measured[-1]
    columns = [name for name in names if any(benchmark == name for benchmark, _ in found)]
    if not columns:
        return Markup()
    parameters = [name for name in archive.benchmarks[columns[0]]["param_names"] if name != "device"]
    head = [" and ".join(parameters).capitalize(), *(labels.title(name, archive.unit(name)) for name in columns)]
    rows = []
    for cell in sorted({cell for _, cell in found}, key=lambda cell: [labels.by_size(value) for value in cell]):
        points = [found.get((name, cell)) for name in columns]
        values = [
            labels.amount(point.value, archive.unit(name)) if point and point.value is not None else "–"
            for point, name in zip(points, columns, strict=True)
        ]
        owner = next(name for name in columns if (name, cell) in found)  # without parameters it goes by its suite
        rows.append([", ".join(cell) or owner.split(".")[1].lower(), *values])
    at = sorted({point.commit for point in found.values()}, key=lambda commit: commit.place)
    where = f"commit {at[-1].short}" if len(at) == 1 else f"commits {at[0].short} to {at[-1].short}, the newest of each"
    return table(caption, head, rows) + paragraph("Measured at {}.", where)


def peers(archive: Archive) -> Markup:
    """Other packages, side by side."""
    parts = []
    for path in sorted((archive.root / "bench/peers/results").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        head = ["Package", "Layer", "Against ours", "Training step", "Inference step", "The same function?"]
        rows = [
            [
                row["package"],
                row["layer"],
                row["ours"],
                *(labels.times(1 / row[step] if step in row else None) for step in ("training", "inference")),
                row["same"],
            ]
            for row in data["rows"]
        ]
        parts.append(table(f"Our CPU time over theirs: {path.stem}", head, rows))
        busy = ", while others used the machine" if data.get("busy") else ""
        parts.append(paragraph("Measured on {} at commit {}{}.", data["date"][:10], data["commit"][:8], busy))
    return join(parts, "Not measured yet.")
