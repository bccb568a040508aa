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
#: Rows of a layer that are said where there is little room.
FIRST = ("why", "arrives", "reach", "start", "recurrent", "cause", "note", "weights", "alike", "tried", "to apply")


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
    yield from (_with(whole, layers, first, full, tight=False) for full in range(len(layers), 0, -1))
    yield from (_with(whole, layers, full, 1, tight=True) for full in range(first, 0, -1))
    yield from (_with(whole, layers, min(first, 1), full, tight=True) for full in (1, 0))
    yield _with(whole, layers, 0, 0, tight=True)


def _with(whole: Contents, layers: Sequence[Layer], findings: int, full: int, tight: bool) -> Contents:
    """So many findings and layers in full."""
    lines = [line(layer.name, layer.curve) for layer in layers[full:]]
    told = [each if place < findings else _in_a_line(each) for place, each in enumerate(whole.findings[:FINDINGS])]
    outlook = whole.outlook
    return replace(
        whole,
        findings=told + _others(len(whole.findings) - FINDINGS),
        layers=[
            replace(layer, rows=_first_rows(layer.rows) if tight else layer.rows, more=()) for layer in layers[:full]
        ],
        lines=lines if len(lines) <= LINES else [*lines[: LINES - 1], f"and {len(lines) - LINES + 1} more"],
        outlook=outlook and replace(outlook, rows=[(label, _ends(said)) for label, said in outlook.rows]),
        unfit={},
        origin="",
    )


def _first_rows(rows: Sequence[Row]) -> list[Row]:
    """What matters most, and the best cure alone."""
    kept, seen = [], set[str]()
    for label, said in rows:
        if label in FIRST and not (label == "tried" and label in seen):
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
