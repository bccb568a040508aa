"""The gates of the cells whose equations are known: what they are called, what they were, and between which limits."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.replay import InnermostCall
from rnnvanish.cells import GRU, LSTM, Elman

#: What the blocks of a recurrent weight belong to, in the order of the blocks.
BLOCKS: dict[type[nn.Module], tuple[str, ...]] = {Elman: ("h",), LSTM: ("i", "f", "g", "o"), GRU: ("r", "z", "n")}
#: Limits of what an Elman unit can be.
LIMITS = {nn.Tanh: (-1.0, 1.0), nn.Sigmoid: (0.0, 1.0), nn.ReLU: (0.0, math.inf)}


def title(gate: str) -> str:
    """What a gate is called in a report."""
    return "units" if gate == "h" else gate


@dataclass(frozen=True, eq=False)
class GateValues:
    """What a gate was, row by row, and the limits between which it can be."""

    value: Float[Tensor, "rows hidden"]
    low: float
    high: float


def gate_values(inner: InnermostCall) -> dict[str, GateValues]:
    """Read every gate and unit of an Elman, LSTM or GRU cell; empty for another, or where it was not called once."""
    if type(inner.cell) not in BLOCKS or inner.calls != 1 or len(inner.sums) != 2:
        return {}
    x, h = (inner.sums[name].detach() for name in ("from_x", "from_h"))
    if isinstance(inner.cell, Elman):
        low, high = LIMITS.get(type(inner.cell.nonlinearity), (-math.inf, math.inf))
        return {"h": GateValues(inner.after[0].detach(), low, high)}
    if isinstance(inner.cell, LSTM):
        i, f, g, o = (x + h).chunk(4, dim=-1)
        values = {name: GateValues(a.sigmoid(), 0.0, 1.0) for name, a in {"i": i, "f": f, "o": o}.items()}
        squashed = {"g": g, "tanh c": inner.after[1].detach()}
        return values | {name: GateValues(a.tanh(), -1.0, 1.0) for name, a in squashed.items()}
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, dim=-1), h.chunk(3, dim=-1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    return {
        "r": GateValues(r, 0.0, 1.0),
        "z": GateValues(z, 0.0, 1.0),
        "n": GateValues((xn + r * hn).tanh(), -1.0, 1.0),
    }
