"""The report as plain text: for a file, a pipe and `print`, the same on every machine."""

import math
import textwrap
from typing import TYPE_CHECKING

from torch import Tensor

from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.measures import Measures
from rnnvanish.diagnosis.report.rows import finding_rows, rows
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnose import Diagnosis

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
PAGE = 78
#: Decades below the start at which the sparkline reaches its floor.
DECADES = 6


def to_text(diagnosis: "Diagnosis", full: bool = False) -> str:
    """Write the report: a paragraph for each layer and direction."""
    blocks = [title(diagnosis), *map(told, diagnosis.findings)]
    blocks += [_layer(name, curve, diagnosis.measures.get(name), full) for name, curve in diagnosis.curves.items()]
    if diagnosis.outlook is not None:
        blocks.append(textwrap.fill(str(diagnosis.outlook), PAGE))
    if full and diagnosis.unfit:
        blocks.append(
            "\n".join(
                ["Could not be tried:", *(f"  {cure}: {printable(why)}" for cure, why in diagnosis.unfit.items())]
            )
        )
    blocks.append(textwrap.fill(origin(diagnosis), PAGE))
    return "\n\n".join(blocks)


def title(diagnosis: "Diagnosis") -> str:
    """What the report is about."""
    return f"{printable(diagnosis.model)}: how much of the gradient reaches back in time"


def origin(diagnosis: "Diagnosis") -> str:
    """Where its numbers come from."""
    return printable(", ".join(f"{name} {value}" for name, value in diagnosis.provenance.items()))


def told(finding: Finding) -> str:
    """Tell of a finding in a paragraph."""
    lines = [f"FOUND: {finding.fault} in {printable(finding.layer)}"]
    for label, said in finding_rows(finding):
        lines += textwrap.wrap(
            said, PAGE, initial_indent=f"  {label:<11}", subsequent_indent=" " * 13, break_on_hyphens=False
        )
    return "\n".join(lines)


def _layer(name: str, curve: Curve, measured: Measures | None, full: bool) -> str:
    lines = [f"{printable(name)}: {curve.verdict}"]
    if curve.verdict != "unmeasured":
        lines.append(f"  {sparkline(curve.gain)}  {scale(curve)}")
    before = ""
    for label, said in rows(curve, measured, full):
        head = f"  {'' if label == before else label:<11}"
        whole = label == "to apply"  # what is to be typed stays in one piece
        lines += (
            [head + said]
            if whole
            else textwrap.wrap(said, PAGE, initial_indent=head, subsequent_indent=" " * 13, break_on_hyphens=False)
        )
        before = label
    return "\n".join(lines)


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
