"""One curve from those of several batches."""

from dataclasses import replace

import torch

from rnnvanish.numerics.interval import confidence_interval
from rnnvanish.probes.curve import Curve


def averaged(batches: list[dict[str, Curve]]) -> dict[str, Curve]:
    """Average the curves of each loop over batches; a lag is averaged over the batches that reach it."""
    if len(batches) == 1:
        return batches[0]
    names = dict.fromkeys(name for curves in batches for name in curves)
    return {name: _average([curves[name] for curves in batches if name in curves]) for name in names}


def _average(curves: list[Curve]) -> Curve:
    """Geometric means over the batches whose loss reads the end of this loop."""
    read = [curve for curve in curves if not curve.gain[:1].isnan().any()]
    if len(read) < 2:
        return read[0] if read else curves[0]
    longest = max(read, key=lambda curve: len(curve.gain))
    logs = _aligned([curve.gain.log() for curve in read])
    mean = logs.nanmean(0)
    low, high = (torch.where(mean.isfinite(), end, mean) for end in confidence_interval(logs))
    unresolved = torch.stack([_longer(curve.gain.isnan().double(), len(mean)) == 1 for curve in read]).any(0)
    gain = torch.where(unresolved, torch.nan, mean.exp())
    parts = {
        name: _aligned([curve.parts[name].log() for curve in read]).nanmean(0).exp().where(~unresolved, torch.nan)
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
        injected=_aligned(injected).nanmean(0) if injected else None,
        journey=_average(journeys) if journeys else None,
        notes=tuple(dict.fromkeys(note for curve in read for note in curve.notes)),
    )


def _aligned(rows: list[torch.Tensor]) -> torch.Tensor:
    """One row a batch, nan beyond its longest sequence."""
    return torch.stack([_longer(row, max(map(len, rows))) for row in rows])


def _longer(row: torch.Tensor, length: int) -> torch.Tensor:
    return torch.cat([row, row.new_full((length - len(row),), torch.nan)])
