"""The report as plain text: for a file, a pipe and `print`, the same on every machine."""

import math
import textwrap
from collections.abc import Iterator, Sequence

from torch import Tensor

from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.measure import Row
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
PAGE = 78
#: Decades below the start at which the sparkline reaches its floor.
DECADES = 6


def to_text(contents: Contents) -> str:
    """Write the report: a paragraph for each layer and direction."""
    blocks = [contents.title, *map(finding_paragraph, contents.findings), *map(_layer, contents.layers)]
    if contents.outlook is not None:
        blocks += [textwrap.fill(said, PAGE) for _, said in contents.outlook.rows]
    if contents.unfit:
        blocks.append(
            "\n".join(["Could not be tried:", *(f"  {cure}: {printable(why)}" for cure, why in contents.unfit.items())])
        )
    blocks.append(textwrap.fill(contents.origin, PAGE))
    return "\n\n".join(blocks)


def finding_paragraph(finding: Section) -> str:
    """Tell of a finding in a paragraph."""
    return "\n".join([f"FOUND: {finding.title}", *_lines(finding.rows)])


def _layer(layer: Layer) -> str:
    lines = [f"{printable(layer.name)}: {layer.curve.verdict}"]
    if layer.curve.is_measured:
        lines.append(f"  {sparkline(layer.curve.gain)}  {scale(layer.curve)}")
    return "\n".join([*lines, *_lines(layer.rows)])


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    before = ""
    for label, said in rows:
        head = f"  {'' if label == before else label:<11}"
        if label == "to apply":  # what is to be typed stays in one piece
            yield head + said
        else:
            yield from textwrap.wrap(
                said, PAGE, initial_indent=head, subsequent_indent=" " * 13, break_on_hyphens=False
            )
        before = label


def scale(curve: Curve) -> str:
    """What the two ends of a sparkline are."""
    return f"lag 0 to {len(curve.gain) - 1}, floor 1e-{DECADES}"


def sparkline(gain: Tensor) -> str:
    """Draw a curve in one line, on a logarithmic scale from one to a millionth; what lies below is a dot."""
    places = [round(i * (len(gain) - 1) / (WIDTH - 1)) for i in range(WIDTH)] if len(gain) > WIDTH else range(len(gain))
    drawn = ""
    for place in places:
        value = float(gain[place])
        if math.isnan(value) or value < 10**-DECADES:
            drawn += "."
        else:
            height = 1 + math.log10(value) / DECADES
            drawn += BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)]
    return drawn
