"""What a report says of a layer, line by line: written once, shown as text, on a terminal and on a page."""

import math
from collections.abc import Mapping

from rnnvanish import probes
from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.measure import Measures, Row
from rnnvanish.names import printable
from rnnvanish.numerals import in_words, one_in
from rnnvanish.probes.curve import Curve

#: Cures that are said first; the others are said besides.
SHOWN = 3
#: A share of the gradient from which on it is nearly all.
MOST = 0.95
#: A share that rounding makes of none.
NOTHING = 1e-9
#: How gradient can come back but from step to step.
WAYS = "attention, pooling, a skip or another layer"
#: Why there is nothing to say of a loop.
UNSEEN = {
    "not read": "No part of this loop is read by this loss.",
    "nothing to carry": "It ran for a single step: there is no lag to measure.",
}


def main_rows(curve: Curve, measured: Measures, unfit: Mapping[str, str]) -> list[Row]:
    """Say what matters: pairs of what it is and what came out; several rows in turn may share their first half."""
    notes = [("note", note) for note in curve.notes if note != UNSEEN.get(curve.verdict)]
    if not curve.is_measured:
        return _printable([("why", UNSEEN[curve.verdict]), *notes])
    shown = shown_of(curve)
    last = len(shown.gain) - 1
    said = [("arrives", arrives(curve))]
    if curve.verdict == "vanishing":
        said.append(("reach", f"{curve.reach} of {last} steps until less than a thousandth is left"))
    if curve.start:
        said.append(("start", curve.start))
    if curve.recurrent is not None and (alone := float(curve.recurrent[-1].clamp(0, 1))) < MOST:
        few = one_in(alone) if alone > NOTHING else "next to nothing"
        said.append(("recurrent", f"{few} of it came step by step, the rest by another way: {WAYS}"))
    if curve.total is not None and curve.total.is_measured:
        said.append(("whole loss", f"{of_gradient(curve.total)} after {last} steps, with what it adds on the way"))
    if curve.cause:
        said.append(("cause", curve.cause))
    said += notes
    said += [
        row
        for measure in probes.ALL
        if (found := measured.get(measure.name)) is not None
        for row in measure.main_rows(found)
    ]
    if curve.verdict in ("vanishing", "exploding") and not curve.joined:  # of others none is tried
        said += _cures(curve, unfit)
    return _printable(said)


def more_rows(curve: Curve, measured: Measures) -> list[Row]:
    """Say what was measured besides."""
    if curve.verdict in UNSEEN:
        return []
    parts = [("part", f"{name}: {of_gradient(curve.part(name))}") for name in curve.names if len(curve.names) > 1]
    rest = [
        row
        for measure in probes.ALL
        if (found := measured.get(measure.name)) is not None
        for row in measure.rest_rows(found)
    ]
    return _printable([*parts, *rest, *(("tried", str(advice)) for advice in curve.advice[SHOWN:])])


def line(name: str, curve: Curve) -> str:
    """Say of a layer what fits a line."""
    shown = shown_of(curve)
    after = f"{one_in(float(shown.gain[-1]))} arrives after {len(shown.gain) - 1} steps"
    return printable(f"{name}: {curve.verdict}, {after}" if curve.is_measured else f"{name}: {curve.verdict}")


def shown_of(curve: Curve) -> Curve:
    """What is drawn: the curve that the verdict is of."""
    return curve if curve.alone is None else curve.alone


def arrives(curve: Curve) -> str:
    """What arrives at the longest lag, and how fast the rest is lost."""
    shown = shown_of(curve)
    said = f"{of_gradient(shown)} after {len(shown.gain) - 1} steps"
    gain = float(shown.gain[-1])
    if curve.alone is not None:
        return f"{said}, step by step; a layer above adds more on the way: {of_gradient(curve)} arrives in all"
    if curve.joined:
        return f"{said}; more comes in on the way ({WAYS}), so there is no half-life of one journey"
    if math.isnan(curve.half_life):
        return said
    if math.isfinite(curve.half_life):
        return f"{said}: half-life {in_words(curve.half_life)} steps{_between(curve)}"
    if one_in(gain) == "all":
        return f"{said}: nothing is lost"
    return f"{said}: it grows" if gain > 1 else f"{said}: nothing further is lost after {one_in(gain)}"


def of_gradient(curve: Curve) -> str:
    """What is left of the gradient at the longest lag."""
    gain = float(curve.gain[-1])
    return "less than double precision can hold" if math.isnan(gain) else part_of_gradient(gain)


def part_of_gradient(gain: float) -> str:
    """A part of the gradient; of one that grows so that nobody takes it for a part of what arrived before."""
    part = one_in(gain)
    return (
        part
        if part == "nothing"
        else f"{part.replace(' times as much', ' times')} of the gradient".replace("times of", "times")
    )


def untried(unfit: Mapping[str, str]) -> str:
    """Say how many cures could not be tried, and why the first of them."""
    cure, why = next(iter(unfit.items()))
    rest = f" (and {len(unfit) - 1} more)" if len(unfit) > 1 else ""
    return f"{cure}{rest} could not be tried: {why.rstrip('.')}"


def _cures(curve: Curve, unfit: Mapping[str, str]) -> list[Row]:
    if not curve.advice:
        return [("tried", untried(unfit))] if unfit else [("tried", "nothing that was tried helps here")]
    tried = [("tried", str(advice)) for advice in curve.advice[:SHOWN]]
    if rest := len(curve.advice) - len(tried):
        tried.append(("tried", f"and {rest} more that help{'s' if rest == 1 else ''} less"))
    return [*tried, ("to apply", best.apply)] if isinstance(best := curve.advice[0], Trial) else tried


def _between(curve: Curve) -> str:
    """The interval of a half-life over batches."""
    if curve.rate_interval is None:
        return ""
    low, high = (math.log(2) / -rate if rate < 0 else math.inf for rate in curve.rate_interval)
    ends = f"{in_words(low)} and more" if math.isinf(high) else f"{in_words(low)} to {in_words(high)}"
    return f" ({ends}: 95 % over {len(curve.rates)} batches)"


def _printable(rows: list[Row]) -> list[Row]:
    return [(label, printable(text)) for label, text in rows]
