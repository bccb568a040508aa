"""A report in short: as much of it as one screen holds, the worst of all in full."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rnnvanish.diagnosis.report.alike import grouped
from rnnvanish.diagnosis.report.answer import first_sentence
from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.rows import line
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.measure import Row

#: Lines of a screen, and characters of a line.
SCREEN, WIDTH = 30, 80
#: Layers that are said in a line each, and findings without what was seen, at most.
LINES, FINDINGS = 5, 3
#: What it ends with.
REST = "All that was measured: --full, or to_html(), of what diagnose returns."
#: Rows of a layer that are said where there is little room, and where there is hardly any.
LEAST = ("why", "arrives", "reach", "alike", "tried", "to apply")
LITTLE = (*LEAST, "start", "recurrent", "cause", "note", "weights")


def brief(whole: Contents) -> Contents:
    """Choose what to say: as many findings and layers in full as fit, the others in a line each."""
    contents = whole
    for contents in _shorter_and_shorter(whole):
        if sum(max(1, -(-len(line) // WIDTH)) for line in to_text(contents).splitlines()) <= SCREEN:
            break
    return contents


def _shorter_and_shorter(whole: Contents) -> Iterator[Contents]:
    layers, findings = grouped(whole.layers), whole.findings
    first = min(len(findings), FINDINGS)
    yield from (_with(whole, layers, first, full, None) for full in range(len(layers), 0, -1))
    for labels in (LITTLE, LEAST):
        yield from (_with(whole, layers, full, 1, labels) for full in range(first, 0, -1))
        yield _with(whole, layers, min(first, 1), 1, labels)
    yield from (_with(whole, layers, full, 0, LEAST) for full in (min(first, 1), 0))


def _with(
    whole: Contents, layers: Sequence[Layer], findings: int, full: int, labels: tuple[str, ...] | None
) -> Contents:
    """So many findings and layers in full, of these the rows with some labels, or all."""
    lines = [line(layer.name, layer.curve) for layer in layers[full:]]
    told = [each if place < findings else _in_a_line(each) for place, each in enumerate(whole.findings[:FINDINGS])]
    outlook = whole.outlook
    return replace(
        whole,
        findings=told + _others(len(whole.findings) - FINDINGS),
        layers=[replace(layer, rows=_rows_of(layer.rows, labels), more=()) for layer in layers[:full]],
        lines=lines if len(lines) <= LINES else [*lines[: LINES - 1], f"and {len(lines) - LINES + 1} more"],
        outlook=outlook and replace(outlook, rows=[(label, _ends(said)) for label, said in outlook.rows]),
        unfit={},
        origin=". ".join(filter(None, (whole.made, REST))),
    )


def _rows_of(rows: Sequence[Row], labels: tuple[str, ...] | None) -> Sequence[Row]:
    """Those with some labels, and the best cure alone; or all."""
    if labels is None:
        return rows
    kept, seen = [], set[str]()
    for label, said in rows:
        if label in labels and not (label == "tried" and label in seen):
            kept.append((label, said))
        seen.add(label)
    return kept


def _ends(said: str) -> str:
    """The first sentence of several, and the last."""
    first, *rest = said.split(". ")
    return ". ".join([first, *rest[-1:]])


def _in_a_line(finding: Section) -> Section:
    return replace(finding, rows=[("to do", first_sentence(finding))])


def _others(count: int) -> list[Section]:
    return [Section(f"{count} more", [])] if count > 0 else []
