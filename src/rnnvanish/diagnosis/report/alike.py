"""Layers whose curves are the same but for the numbers drawn, told once."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from rnnvanish.diagnosis.report.contents import Layer
from rnnvanish.diagnosis.report.rows import shown_of
from rnnvanish.names import printable
from rnnvanish.probes.curve import Curve

#: From the worst to the mildest.
SEVERITY = ("exploding", "vanishing", "not read", "nothing to carry", "healthy")
#: Curves are alike that reach as far, or have the same half-life, and that lose as many powers of ten, to within this much.
PART, STEPS, LONGER, DECADES = 0.25, 3, 2.0, 0.5
NUMBER, DIRECTION = r"\d+", r"/(forward|reverse)$"


def grouped(layers: Sequence[Layer]) -> list[Layer]:
    """Put together layers of one kind whose curves are alike, the worst of all first."""
    groups: list[list[Layer]] = []
    for layer in sorted(layers, key=lambda layer: _badness(layer.curve)):  # each group begins with its worst
        known = next((group for group in groups if _alike(group[0], layer)), None)
        if known is None:
            groups.append([layer])
        else:
            known.append(layer)
    places = {layer.name: place for place, layer in enumerate(layers)}
    found = [_together(sorted(group, key=lambda each: places[each.name]), group[0]) for group in groups]
    return sorted(found, key=lambda layer: SEVERITY.index(layer.curve.verdict))


def _badness(curve: Curve) -> tuple[int, float]:
    arrives = float(shown_of(curve).gain[-1])
    lost = 0.0 if math.isnan(arrives) else arrives
    return SEVERITY.index(curve.verdict), -lost if curve.verdict == "exploding" else lost


def _alike(one: Layer, other: Layer) -> bool:
    first, second = one.curve, other.curve
    if _kind(one.name) != _kind(other.name) or (first.verdict, first.notes) != (second.verdict, second.notes):
        return False
    if not first.is_measured:
        return True
    if len(first.gain) != len(second.gain):
        return False
    near = abs(first.reach - second.reach) <= max(STEPS, PART * max(first.reach, second.reach))
    if first.verdict == "vanishing":
        return near or 1 / LONGER < first.half_life / max(second.half_life, 1e-9) < LONGER
    ours, theirs = _decades(first), _decades(second)
    return near and abs(ours - theirs) <= max(DECADES, PART * max(abs(ours), abs(theirs)))


def _decades(curve: Curve) -> float:
    """Powers of ten at the longest lag that can be told."""
    gain = shown_of(curve).gain
    known = gain[(gain > 0) & gain.isfinite()]
    return float(known[-1].log10())


def _kind(name: str) -> str:
    return re.sub(NUMBER, "#", re.sub(DIRECTION, "", name)).replace(" (call #)", "")


def _together(group: list[Layer], worst: Layer) -> Layer:
    if len(group) == 1:
        return worst
    curves, count = [each.curve for each in group], f"{len(group)} loops are alike"
    low, high = min(curve.reach for curve in curves), max(curve.reach for curve in curves)
    reach = f": they reach {low if low == high else f'{low} to {high}'} of {len(worst.curve.gain) - 1} steps"
    shown = f"; the numbers are those of the worst, {worst.name}" if worst.curve.is_measured else ""
    said = f"{count}{reach if worst.curve.verdict == 'vanishing' else ''}{shown}"
    rows = [*worst.rows, ("alike", printable(said))]
    return replace(worst, name=common_name([each.name for each in group]), rows=rows, alike=group)


def common_name(names: Sequence[str]) -> str:
    """One name for several.

    Examples:
        >>> common_name([f"lstm/layer{i}/forward" for i in range(4)])
        'lstm/layer0..3/forward'
        >>> common_name(["cell", "cell (call 2)", "cell (call 3)"])
        'cell (call 1..3)'
        >>> common_name(["a/layer0/forward", "a/layer0/reverse"])
        'a/layer0, both directions'
        >>> common_name(["a/layer0/forward", "a/layer1/reverse"])
        'a/layer0/forward and a/layer1/reverse'
    """
    if any(" (call " in name for name in names):
        names = [name if " (call " in name else re.sub("(?=/)|$", " (call 1)", name, count=1) for name in names]
    ways = {found[1] if (found := re.search(DIRECTION, name)) else "" for name in names}
    bare = list(dict.fromkeys(re.sub(DIRECTION, "", name) for name in names))
    places = list(zip(*([int(number) for number in re.findall(NUMBER, name)] for name in bare), strict=False))
    ranges = [sorted(set(place)) for place in places]
    whole = math.prod(map(len, ranges)) == len(bare) and len(bare) * len(ways) == len(names)
    if not (whole and all(numbers[-1] - numbers[0] + 1 == len(numbers) for numbers in ranges)):
        return (
            " and ".join([", ".join(names[:-1]), names[-1]])
            if len(names) < 4
            else f"{names[0]} and {len(names) - 1} more"
        )
    told = iter(str(each[0]) if len(each) == 1 else f"{each[0]}..{each[-1]}" for each in ranges)
    name = re.sub(NUMBER, lambda _: next(told), bare[0])
    return f"{name}, both directions" if len(ways) > 1 else f"{name}/{way}" if (way := ways.pop()) else name
