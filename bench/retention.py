"""How much of the gradient is lost on its way back: exact on one machine, so any change is a change of the code."""

import math
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .common import INPUT, PerCell, in_torch, layer, look_up, need, tabulate

if TYPE_CHECKING:
    from torch import nn

LAG, SEEDS, BATCH = 100, 3, 8
#: asv knows only "smaller is better" and compares by ratio: so a gradient that grows counts as next to nothing lost,
#: and one that double precision cannot hold as all that it can.
LEAST, MOST = 0.01, 300.0


def decades_lost(model: "nn.Module") -> float:
    import torch

    (curve,) = need("rnnvanish.probes").retention(model, torch.randn(LAG + 1, BATCH, INPUT)).values()
    lost = curve.decades_lost(LAG)
    return MOST if math.isnan(lost) else min(max(lost, LEAST), MOST)


def over_seeds(build: Callable[[], "nn.Module"]) -> float:
    import torch

    lost = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        model = build()
        torch.manual_seed(seed)  # the same noise, whatever building it has drawn
        lost.append(decades_lost(model))
    return statistics.fmean(lost)


class Retention(PerCell):
    """Of a fresh layer of 64 units that reads noise."""

    version = "1"

    def setup_cache(self) -> dict[str, dict[str, Any]]:
        # Two tables: a layer that is no longer torch's must not hide what it has become.
        return {
            "ours": tabulate(lambda cell: over_seeds(lambda: layer(cell))),
            "torch": tabulate(lambda cell: over_seeds(lambda: in_torch(cell, layer(cell)))),
        }

    setup_cache.timeout = 600

    def track_decades_lost(self, tables: dict[str, dict[str, Any]], cell: str) -> float:
        """Powers of ten that the gradient has lost after 100 steps back, mean over 3 draws of the weights."""
        return look_up(tables["ours"], cell)

    track_decades_lost.unit = "decades"

    def track_vs_torch(self, tables: dict[str, dict[str, Any]], cell: str) -> float:
        """The same over that of the layer of torch.nn with the same weights: 1, or one of them is wrong."""
        return look_up(tables["ours"], cell) / look_up(tables["torch"], cell)

    track_vs_torch.unit = "x torch.nn"
