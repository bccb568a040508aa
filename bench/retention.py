"""How much of the gradient is lost on its way back: exact on one machine, so any change is a change of the code."""

import math
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from .common import (
    ALL_CELLS_TIMEOUT,
    CELLS,
    INPUT,
    QUICK,
    STUDIED,
    Missing,
    beside_torch,
    in_source,
    layer,
    look_up,
    need,
    tabulate,
)

if TYPE_CHECKING:
    from torch import nn

LAGS = [10, 100, 1000]
LONGEST = 100 if QUICK else 1000  # lags beyond it are skipped
SEEDS, BATCH = 1 if QUICK else 3, 8
#: asv knows only "smaller is better" and compares by ratio: so a gradient that grows counts as next to nothing lost,
#: and one that double precision cannot hold as all that it can; so does an exponent where every difference dies.
LEAST, MOST = 0.01, 300.0
#: Every cure that acts on the weights or on the layer as it is built, read from the source as the cells are.
CURES = in_source("mitigations", r"^class ([A-Z]\w+)\((?:Draw|Build)\):")


def decades_lost(model: "nn.Module", lags: list[int], seed: int = 0) -> dict[int, float]:
    """Powers of ten that the gradient has lost, by how many steps back; None where this run is too short for a lag."""
    import torch

    torch.manual_seed(seed)  # the same noise, whatever building the model has drawn
    (curve,) = need("rnnvanish.probes").retention(model, torch.randn(max(lags) + 1, BATCH, INPUT)).values()
    return {lag: _held(curve.decades_lost(lag)) for lag in lags}


def over_seeds(build: Callable[[], "nn.Module"]) -> dict[int, float]:
    import torch

    lags, lost = [lag for lag in LAGS if lag <= LONGEST], []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        lost.append(decades_lost(build(), lags, seed))
    return {lag: statistics.fmean(each[lag] for each in lost) for lag in lags}


def cured(cell: str, cure: str) -> "nn.Module":
    """A layer with a cure, for the longest lag where it asks for a length; stepped plainly, which needs no compiling."""
    cures = need("rnnvanish.mitigations").ALL
    if cure not in cures:
        raise Missing(f"no {cure} at this commit")
    options = {"span": LONGEST} if "span" in cures[cure].__dataclass_fields__ else {}
    try:
        return cures[cure](**options)(layer(cell, engine="reference"))
    except ValueError as error:
        raise Missing(str(error)) from None  # the cure is for another cell


def at_lag(table: dict[Any, Any], cell: Any, lag: int) -> float:
    lost = look_up(table, cell)
    return look_up({lag: lost.get(lag, Missing(f"lag {lag} is left out of a quick run"))}, lag)


def _held(lost: float) -> float:
    return MOST if math.isnan(lost) else min(max(lost, LEAST), MOST)


class Retention:
    """Of a fresh layer of 64 units that reads noise, mean over 3 draws of the weights."""

    version = "2"
    params: ClassVar = [CELLS, LAGS]
    param_names: ClassVar = ["cell", "lag"]

    def setup_cache(self) -> dict[str, dict[str, Any]]:
        return beside_torch(over_seeds)

    setup_cache.timeout = ALL_CELLS_TIMEOUT

    def track_decades_lost(self, tables: dict[str, dict[str, Any]], cell: str, lag: int) -> float:
        """Powers of ten that the gradient has lost after so many steps back."""
        return at_lag(tables["ours"], cell, lag)

    track_decades_lost.unit = "decades"

    def track_vs_torch(self, tables: dict[str, dict[str, Any]], cell: str, lag: int) -> float:
        """The same over that of the layer of torch.nn with the same weights: 1, or one of them is wrong."""
        return at_lag(tables["ours"], cell, lag) / at_lag(tables["torch"], cell, lag)

    track_vs_torch.unit = "x torch.nn"


class Cured:
    """Of the same layer with a cure, one draw of the weights."""

    version = "1"
    params: ClassVar = [STUDIED, CURES, LAGS]
    param_names: ClassVar = ["cell", "cure", "lag"]

    def setup_cache(self) -> dict[Any, Any]:
        pairs = [(cell, cure) for cell in STUDIED for cure in CURES]
        lags = [lag for lag in LAGS if lag <= LONGEST]
        return tabulate(lambda pair: decades_lost(cured(*pair), lags), pairs)

    setup_cache.timeout = 1200

    def track_decades_lost(self, table: dict[Any, Any], cell: str, cure: str, lag: int) -> float:
        """Powers of ten that the gradient has lost after so many steps back."""
        return at_lag(table, (cell, cure), lag)

    track_decades_lost.unit = "decades"


class Lyapunov:
    """The leading Lyapunov exponent of a fresh layer of 64 units that reads noise."""

    version = "1"
    params: ClassVar = [CELLS]
    param_names: ClassVar = ["cell"]

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(leading_exponent)

    setup_cache.timeout = ALL_CELLS_TIMEOUT

    def track_leading_exponent(self, table: dict[str, Any], cell: str) -> float:
        """How far the leading exponent is from zero, where neither differences nor gradients grow or die."""
        return look_up(table, cell)

    track_leading_exponent.unit = "nats per step"


def leading_exponent(cell: str) -> float:
    import torch

    x = torch.randn(10 if QUICK else 50, 1, INPUT)
    return min(max(abs(float(need("rnnvanish.probes").lyapunov(layer(cell), x, count=1))), 1e-3), MOST)
