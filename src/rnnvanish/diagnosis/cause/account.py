"""A gradient on its way back through one step, with an exact account of what changed its size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: What an account is kept of. "ways": that a gradient splits up and meets again; "around": what is not in the cell.
PARTS = ("weights", "slopes", "gates", "ways", "around")

Rows = Float[Tensor, " rows"]


@dataclass(frozen=True, eq=False)
class Flow:
    """A part of the gradient, at some place on its way back.

    At every place ln ‖value‖ = ln ‖what the step began with‖ + the sum of the account, row by row: each operation adds
    what it did. Where two flows meet, each part of their accounts is averaged, weighted by their shares p of the
    squared norm; "ways" then takes what is left: the entropy of the split, −½ Σ p ln p, and what they add or cancel.

    Attributes:
        value: The gradient, (rows, size).
        account: Nats by part.
    """

    value: Float[Tensor, "rows size"]
    account: dict[str, Rows]

    def becomes(self, value: Float[Tensor, "rows _"], part: str) -> "Flow":
        """Go on as another value; what that does to its size belongs to `part`."""
        return Flow(value, {**self.account, part: self.account[part] + log_ratio(_norm(value), _norm(self.value))})

    def split(self, *parts: Float[Tensor, "rows _"]) -> "list[Flow]":
        """Take it as the parts that it is made of, side by side."""
        whole = _norm(self.value)
        ways = [self.account["ways"] + log_ratio(_norm(part), whole) for part in parts]
        return [Flow(part, {**self.account, "ways": nats}) for part, nats in zip(parts, ways, strict=True)]


def join(*flows: Flow) -> Flow:
    """Flows that arrive at the same units: they add."""
    return _met(flows, torch.stack([flow.value for flow in flows]).sum(0))


def beside(*flows: Flow) -> Flow:
    """Flows that arrive at different units, side by side."""
    return _met(flows, torch.cat([flow.value for flow in flows], dim=-1))


def _met(flows: Sequence[Flow], value: Tensor) -> Flow:
    norms = torch.stack([_norm(flow.value) for flow in flows])
    whole = _norm(norms.T)
    shares = torch.where(whole > 0, (norms / torch.where(whole > 0, whole, 1.0)).square(), 1 / len(flows))
    account = {
        part: torch.where(shares > 0, shares * torch.stack([flow.account[part] for flow in flows]), 0.0).sum(0)
        for part in PARTS
    }
    account["ways"] = account["ways"] - torch.xlogy(shares, shares).sum(0) / 2 + log_ratio(_norm(value), whole)
    return Flow(value, account)


def log_ratio(after: Rows, before: Rows) -> Rows:
    """ln of a ratio of norms; 0 where there was nothing before."""
    return torch.where(before > 0, (after / torch.where(before > 0, before, 1.0)).log(), 0.0)


def _norm(value: Tensor) -> Rows:
    norm: Tensor = torch.linalg.vector_norm(value, dim=-1)
    return norm
