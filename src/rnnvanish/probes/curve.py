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
CurveVerdict = Literal["vanishing", "healthy", "exploding", "unmeasured"]


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


@dataclass(frozen=True, eq=False)
class Curve:
    """Gradient retention of one layer and direction.

    Attributes:
        lag: Steps back from the end of each sequence, 0, 1, 2, ...
        gain: Norm of the gradient of the loss with respect to the whole state at each lag, over the norm at lag 0:
            geometric mean over the sequences that are longer than the lag. 0 is an exact zero (nothing passes);
            nan lies below what the number format resolves, or was not read (see `verdict`); inf lies above. Of several
            batches the geometric mean over batches.
        parts: The same for each part of the state alone ("h", "c"), still over the norm of the whole state at lag 0.
        cause: Why it is so, in words; filled by `diagnose`.
        advice: Cures that helped on a copy of the model, the best first; filled by `diagnose`.
        low: Lower end of the 95 % interval of `gain` over batches; None where one batch was measured.
        high: Its upper end.
        rates: The `rate` of each batch; empty where one was measured.
        injected: Of a loss that the user named: the share of the gradient at each lag, from 0 to 1, that came in at
            this very step; the rest came back through the loop's next step. Mean over sequences; nan where no gradient
            arrives. None for the default loss, and where the model changes the state between steps.
        journey: Of a loss that the user named, and where a gradient grows more than a thousandfold: what is left of the
            gradient that came in at the end of this loop, without what came in on the way. Else None.
        notes: What else there is to know of this loop, in sentences.
    """

    lag: Int[Tensor, " lags"]
    gain: Float[Tensor, " lags"]
    parts: Mapping[str, Float[Tensor, " lags"]] = field(default_factory=dict)
    cause: str = ""
    advice: tuple[Advice, ...] = ()
    low: Float[Tensor, " lags"] | None = None
    high: Float[Tensor, " lags"] | None = None
    rates: tuple[float, ...] = ()
    injected: Float[Tensor, " lags"] | None = None
    journey: "Curve | None" = None
    notes: tuple[str, ...] = ()

    #: What a report's JSON has of it, besides the gain of the journey.
    in_json: ClassVar = (
        *("verdict", "half_life", "rate", "rates", "reach", "joined", "cause", "notes", "advice"),
        *("lag", "gain", "low", "high", "parts", "injected"),
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts of the state."""
        return tuple(self.parts)

    def part(self, name: str) -> "Curve":
        """Return the curve of one part of the state."""
        if name not in self.parts:
            raise ValueError(f"This state has the parts {', '.join(self.names)}, got {name!r}.")
        return Curve(self.lag, self.parts[name], {name: self.parts[name]}, self.cause, self.advice)

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
        """The largest lag at which a thousandth of the gradient is left, at it and at all before it.

        Where nearly all came in on the way: of that which came in at the end.
        """
        if self._fed and self.journey is not None:
            return self.journey.reach
        short = (~(self.gain >= 1 / THOUSAND)).nonzero()
        return int(short[0]) - 1 if len(short) else len(self.gain) - 1

    @cached_property
    def verdict(self) -> CurveVerdict:
        """What becomes of the gradient between the end and the beginning of the longest sequence.

        "vanishing" (somewhere on the way less than a thousandth is left), "exploding" (more than a thousandfold
        arrives), "healthy", or "unmeasured": there is but one step, or the loss does not read the end of this loop.
        Where more than a thousandfold arrives, but came in on the way, it is what becomes of that which came in at the end.
        """
        if self._fed and self.journey is not None:
            return self.journey.verdict
        if len(self.gain) < 2 or self.gain[0].isnan():
            return "unmeasured"
        if self.reach < len(self.gain) - 1:
            return "vanishing"
        return "exploding" if self.gain[-1] > THOUSAND else "healthy"

    @property
    def joined(self) -> bool:
        """Whether gradient came in again on the way, after less than a thousandth was left: from another end point.

        A lower layer of a bidirectional stack is read at both ends, for instance. Its half-life is then not that of
        one journey.
        """
        after = self.gain[self.reach + 1 :]
        return self._fed or (
            bool(len(after)) and bool(after.nan_to_num().max() > 10 * after[0].nan_to_num().clamp(min=1 / THOUSAND))
        )

    @property
    def _fed(self) -> bool:
        """Whether more than a thousandfold arrives, and not because what came in at the end grew."""
        grown = len(self.gain) > 1 and bool(self.gain[-1] > THOUSAND)
        return grown and self.journey is not None and not bool(self.journey.gain[-1] > THOUSAND)

    def __str__(self) -> str:
        if self.verdict == "unmeasured":
            return "unmeasured"
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
    read = [curve for curve in curves if not curve.gain[:1].isnan().any()]
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
    injected = [curve.injected for curve in read if curve.injected is not None]
    journeys = [curve.journey for curve in read if curve.journey is not None]
    return replace(
        read[0],
        lag=longest.lag,
        gain=gain,
        parts=parts,
        low=low.exp().where(~unresolved, torch.nan),
        high=high.exp().where(~unresolved, torch.nan),
        rates=tuple(curve.rate for curve in read),
        injected=_align_batches(injected).nanmean(0) if injected else None,
        journey=_average_loop(journeys) if journeys else None,
        notes=tuple(dict.fromkeys(note for curve in read for note in curve.notes)),
    )


def _align_batches(rows: list[Tensor]) -> Tensor:
    """One row a batch, nan beyond its longest sequence."""
    return torch.stack([_extend(row, max(map(len, rows))) for row in rows])


def _extend(row: Tensor, length: int) -> Tensor:
    return torch.cat([row, row.new_full((length - len(row),), torch.nan)])
