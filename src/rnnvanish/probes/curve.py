"""A curve of gradient retention: how much is left, step by step back in time; and one curve from those of several batches."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rnnvanish.numerals import decay_in_words, in_words, one_in
from rnnvanish.numerics.interval import confidence_interval

#: A gradient that lost more than this on its way to the beginning has vanished, one that grew by more has exploded.
THOUSAND = 1e3
CurveVerdict = Literal["vanishing", "healthy", "exploding", "not read", "nothing to carry"]


@dataclass(frozen=True)
class Advice:
    """A cure, and what it gave on a copy of the model.

    A cure that draws random numbers is drawn several times; what is promised is then the draw with the middle gain.

    Attributes:
        cure: What was done, as Python: "mitigations.OpenGate(bias=3.0)" is called with a model.
        before: Half-life in steps, without it.
        after: Half-life in steps, with it.
        gain: Gradient left at `lag`, with it.
        gain_before: The same without it.
        lag: The lag that matters: the one that was asked for, or the longest of the curve.
        draws: How often it was drawn; 1 where it draws no random numbers.
        gain_range: The least and the most that was left at `lag` in all draws.
        after_range: The shortest and the longest half-life in all draws.
    """

    cure: str
    before: float
    after: float
    gain: float
    gain_before: float = math.nan
    lag: int | None = None
    draws: int = 1
    gain_range: tuple[float, float] | None = None
    after_range: tuple[float, float] | None = None

    def __str__(self) -> str:
        before = "without end" if math.isinf(self.before) else in_words(self.before)
        after = decay_in_words(self.after, self.gain) + ("" if self.lag is None else f" over {self.lag} steps")
        return f"{self.cure}: half-life {before} → {after}{self._spread()}"

    def _spread(self) -> str:
        """What other draws gave."""
        if self.gain_range is None or self.after_range is None:
            return ""
        (least, most), (shortest, longest) = self.gain_range, self.after_range
        said = f" ({one_in(least)} to {one_in(most)} in {self.draws} draws"
        return f"{said})" if math.isinf(shortest) else f"{said}; half-life {in_words(shortest)} to {in_words(longest)})"


@dataclass(frozen=True)
class Factor:
    """One of the factors by which a step back multiplies the gradient.

    Attributes:
        part: Its name: "weights", "slopes", "gates", "constants", "normalisation", "other", "ways", "around"; "step" of a step
            that is not taken apart; "loss" for what comes in on the way, past the step.
        called: What it is called in a sentence.
        factor: The geometric mean over the steps, without the first.
    """

    part: str
    called: str
    factor: float


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """Gradient retention of one layer and direction.

    Attributes:
        lag: Steps back from the end of each sequence, 0, 1, 2, ...
        gain: Norm of the gradient from the end point with respect to the whole state at each lag, over the norm at lag 0:
            geometric mean over the sequences that are longer than the lag. 0 is an exact zero (nothing passes);
            nan lies below what the number format resolves, or was not read (see `verdict`); inf lies above. Of several
            batches the geometric mean over batches.
        parts: The same for each part of the state alone ("h", "c"), still over the norm of the whole state at lag 0.
        cause: Why it is so, in words; filled by `diagnose`.
        factors: What a step back multiplies the gradient by, factor by factor, in the order of the step's operations; filled by
            `diagnose`, empty where the cause is not known.
        advice: Cures that helped on a copy of the model, the best first; filled by `diagnose`.
        low: Lower end of the 95 % interval of `gain` over batches; None where one batch was measured.
        high: Its upper end.
        rates: The `rate` of each batch; empty where one was measured.
        total: Of a loss that the user named, and that reads more than the end point: the curve of its own gradient, in
            which what it adds on the way hides what is lost. Else None.
        recurrent: The share of the gradient at each lag that took the recurrence alone, and no other way through the model,
            such as attention; filled by `diagnose`, None where that is all of it.
        start: What was differentiated, where that is not plain.
        fed: Whether more than a thousandfold arrives because it comes in on the way (through attention, or from a layer
            above), and not because what the loop passes back grows: then it does not explode.
        alone: Of such a loop, where a layer above feeds it: what the recurrence alone leaves of what came in at its end, which
            is what its verdict and reach are of. Else None.
        notes: What else there is to know of this loop, in sentences.
    """

    lag: Int[Tensor, " lags"]
    gain: Float[Tensor, " lags"]
    parts: Mapping[str, Float[Tensor, " lags"]] = field(default_factory=dict)
    cause: str = ""
    factors: tuple[Factor, ...] = ()
    advice: tuple[Advice, ...] = ()
    low: Float[Tensor, " lags"] | None = None
    high: Float[Tensor, " lags"] | None = None
    rates: tuple[float, ...] = ()
    total: "Curve | None" = None
    recurrent: Float[Tensor, " lags"] | None = None
    start: str = ""
    fed: bool = False
    alone: "Curve | None" = None
    notes: tuple[str, ...] = ()

    #: What a report's JSON has of it, besides the gain of the whole loss's gradient, and of the recurrence alone.
    in_json: ClassVar = (
        *("verdict", "half_life", "rate", "rates", "reach", "joined", "start", "cause", "factors", "notes", "advice"),
        *("lag", "gain", "low", "high", "parts", "recurrent"),
    )

    def __repr__(self) -> str:
        half_life = f"half-life {in_words(self.half_life)} steps, reach {self.reach}"
        return f"<Curve of {len(self.lag)} lags: {self.verdict}, {half_life}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts of the state."""
        return tuple(self.parts)

    def part(self, name: str) -> "Curve":
        """Return the curve of one part of the state."""
        if name not in self.parts:
            raise ValueError(f"This state has the parts {', '.join(self.names)}, got {name!r}.")
        return Curve(self.lag, self.parts[name], {name: self.parts[name]}, self.cause, advice=self.advice)

    @cached_property
    def rate(self) -> float:
        """Slope of ln gain against the lag in nats per step, fitted from lag 1 on; nan where nothing was measured.

        Lag 0 is left out: the first step of an LSTM pays an entry cost that later steps do not. Without lag 1 and 2
        the slope is the one from lag 0 to 1; -inf where nothing at all passes a single step.
        """
        passed = ((self.gain > 0) & self.gain.isfinite()).nonzero().flatten()
        fitted = passed[passed >= 1] if (passed >= 1).sum() >= 2 else passed
        if len(fitted) < 2:
            return -math.inf if len(self.gain) > 1 and self.gain[1] == 0 else math.nan
        x = self.lag[fitted].double()
        y = self.gain[fitted].log()
        return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())

    @property
    def rate_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the rate over batches, in nats per step; None where one batch was measured."""
        rates = torch.tensor(self.rates, dtype=torch.float64)
        if len(rates) < 2:
            return None
        low, high = confidence_interval(rates)
        return float(low), float(high)

    @property
    def half_life(self) -> float:
        """Steps in which half of the gradient is lost, at the fitted rate; infinite where none is lost."""
        return math.log(2) / -self.rate if self.rate < 0 else math.inf if self.rate >= 0 else math.nan

    def decades_lost(self, lag: int) -> float:
        """Powers of ten that the gradient has lost after `lag` steps; nan where that is below resolution."""
        if not 0 <= lag < len(self.gain):
            raise ValueError(f"This curve has the lags 0 to {len(self.gain) - 1}, got {lag}.")
        gain = float(self.gain[lag])
        return math.inf if gain == 0 else -math.log10(gain)

    @cached_property
    def reach(self) -> int:
        """The largest lag at which a thousandth of the gradient is left, at it and at all before it."""
        if self.alone is not None:
            return self.alone.reach
        short = (~(self.gain >= 1 / THOUSAND)).nonzero()
        return int(short[0]) - 1 if len(short) else len(self.gain) - 1

    @property
    def is_read(self) -> bool:
        """Whether the loss reads this loop."""
        return not bool(self.gain[:1].isnan().any())

    @cached_property
    def verdict(self) -> CurveVerdict:
        """What becomes of the gradient between the end and the beginning of the longest sequence.

        "vanishing" (somewhere on the way less than a thousandth is left), "exploding" (more than a thousandfold
        arrives), "healthy"; "not read" (no part of this loop is read by the loss) or "nothing to carry" (it has one step).
        """
        if not self.is_read:
            return "not read"
        if self.alone is not None:
            return self.alone.verdict
        if len(self.gain) < 2:
            return "nothing to carry"
        if self.reach < len(self.gain) - 1:
            return "vanishing"
        return "exploding" if self.gain[-1] > THOUSAND and not self.fed else "healthy"

    @property
    def is_measured(self) -> bool:
        """Whether there is a curve to speak of: it is read, and has more than one step."""
        return self.is_read and len(self.gain) > 1

    @property
    def joined(self) -> bool:
        """Whether gradient comes in on the way (attention, a skip), much more than the thousandth or less that was left, or had grown.

        Its half-life is then not that of one journey.
        """
        after = self.gain[self.reach + 1 :]
        return self.fed or (
            bool(len(after)) and bool(after.nan_to_num().max() > 10 * after[0].nan_to_num().clamp(min=1 / THOUSAND))
        )

    def __str__(self) -> str:
        if not self.is_measured:
            return self.verdict
        last = len(self.gain) - 1
        return f"{self.verdict}: half-life {decay_in_words(self.half_life, float(self.gain[last]))} after {last} steps"


def average_curves(batches: list[dict[str, Curve]]) -> dict[str, Curve]:
    """Average the curves of each loop over batches; a lag is averaged over the batches that reach it."""
    if len(batches) == 1:
        return batches[0]
    names = dict.fromkeys(name for curves in batches for name in curves)
    return {name: _average_loop([curves[name] for curves in batches if name in curves]) for name in names}


def _average_loop(curves: list[Curve]) -> Curve:
    """Geometric means over the batches whose loss reads the end of this loop."""
    read = [curve for curve in curves if curve.is_read]
    if len(read) < 2:
        return read[0] if read else curves[0]
    longest = max(read, key=lambda curve: len(curve.gain))
    logs = _align_batches([curve.gain.log() for curve in read])
    mean = logs.nanmean(0)
    low, high = (torch.where(mean.isfinite(), end, mean) for end in confidence_interval(logs))
    unresolved = torch.stack([_extend(curve.gain.isnan().double(), len(mean)) == 1 for curve in read]).any(0)
    gain = torch.where(unresolved, torch.nan, mean.exp())
    parts = {
        name: _align_batches([curve.parts[name].log() for curve in read]).nanmean(0).exp().where(~unresolved, torch.nan)
        for name in longest.names
    }
    totals = [curve.total for curve in read if curve.total is not None]
    return replace(
        read[0],
        lag=longest.lag,
        gain=gain,
        parts=parts,
        low=low.exp().where(~unresolved, torch.nan),
        high=high.exp().where(~unresolved, torch.nan),
        rates=tuple(curve.rate for curve in read),
        total=_average_loop(totals) if totals else None,
        notes=tuple(dict.fromkeys(note for curve in read for note in curve.notes)),
    )


def _align_batches(rows: list[Tensor]) -> Tensor:
    """One row a batch, nan beyond its longest sequence."""
    return torch.stack([_extend(row, max(map(len, rows))) for row in rows])


def _extend(row: Tensor, length: int) -> Tensor:
    return torch.cat([row, row.new_full((length - len(row),), torch.nan)])
