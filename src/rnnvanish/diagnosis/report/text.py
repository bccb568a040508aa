"""The report as plain text: for a file, a pipe and `print`, the same on every machine."""

import itertools
import math
import textwrap
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.rows import shown_of
from rnnvanish.measure import Row
from rnnvanish.names import printable
from rnnvanish.numerals import power_of_ten
from rnnvanish.probes.curve import Curve

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
PAGE = 78
#: Decades below the start at which the bars reach their floor; of a gradient that grows, above it.
DECADES = 6


def to_text(contents: Contents) -> str:
    """Write the report: the answer, then a paragraph for each finding, layer and direction."""
    blocks = [textwrap.fill(contents.answer, PAGE, break_on_hyphens=False)]
    blocks += [*map(finding_paragraph, contents.findings), *map(_layer, contents.layers)]
    if contents.lines:
        blocks.append("\n".join(textwrap.fill(line, PAGE, subsequent_indent="  ") for line in contents.lines))
    if contents.outlook is not None:
        blocks += [textwrap.fill(said, PAGE) for _, said in contents.outlook.rows]
    if contents.unfit:
        blocks.append(
            "\n".join(
                ["Could not be tried:", *(f"  {printable(f'{cure}: {why}')}" for cure, why in contents.unfit.items())]
            )
        )
    blocks.append(textwrap.fill(contents.origin, PAGE))
    return "\n\n".join(blocks)


def finding_paragraph(finding: Section) -> str:
    """Tell of a finding in a paragraph."""
    return "\n".join([f"{'QUESTION' if finding.question else 'FOUND'}: {finding.title}", *_lines(finding.rows)])


def _layer(layer: Layer) -> str:
    lines = [f"{printable(layer.name)}: {layer.curve.verdict}"]
    if layer.curve.is_measured:
        lines.append(f"  {bars(layer.curve)}  {scale(layer.curve)}")
    return "\n".join([*lines, *_lines([*layer.rows, *layer.more])])


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
    """What the ends of the bars are."""
    gain = shown_of(curve).gain
    power = power_of_ten(_grown(gain) if curve.verdict == "exploding" else -DECADES)
    return (
        f"0 to {len(gain) - 1} steps back, {f'top: × {power}' if curve.verdict == 'exploding' else f'dot: < {power}'}"
    )


def bars(curve: Curve) -> str:
    """Draw a curve in one line: one that explodes from one upwards, any other from one downwards."""
    return sparkline(shown_of(curve).gain, grows=curve.verdict == "exploding")


def sparkline(gain: Tensor, grows: bool = False) -> str:
    """Draw gains in one line, on a logarithmic scale from one to a millionth, or to their largest; beyond it is a dot.

    Of several lags in one place the smallest is drawn, or the largest: no dip and no peak is lost.
    """
    logs = torch.log10(gain.double()).nan_to_num(nan=-math.inf)
    heights = logs / _grown(gain) if grows else 1 + logs / DECADES
    width = min(WIDTH, len(gain))
    ends = [place * len(gain) // width for place in range(width + 1)]
    choose = max if grows else min
    return "".join(_block(choose(heights[start:end].tolist())) for start, end in itertools.pairwise(ends))


def _grown(gain: Tensor) -> int:
    """Powers of ten up to which a curve is drawn."""
    known = gain[gain.isfinite()]
    return max(1, math.ceil(math.log10(float(known.max()))))


def _block(height: float) -> str:
    return "." if height < 0 else BLOCKS[int(min(height * len(BLOCKS), len(BLOCKS) - 1))]
