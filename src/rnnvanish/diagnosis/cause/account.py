"""A gradient on its way back through one step, with an exact account of what changed its size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

#: What an account is kept of: what multiplies a gradient on its way, by what that depends on (a matrix, or parameters
#: alone: "weights"; the input or the state: "gates"; neither, as a leak or a step size: "constants"); the derivatives of
#: functions of each number ("slopes") and of normalisations; what is not known ("other"); that a gradient splits up and
#: meets again ("ways"); and what is not in the cell ("around").
PARTS = ("weights", "slopes", "gates", "constants", "normalisation", "other", "ways", "around")
#: Those of them that are left out where they are nothing.
RARE = ("constants", "normalisation", "other")

Rows = Float[Tensor, " rows"]
Account = dict[str, Rows]


@dataclass(frozen=True, eq=False)
class Flow:
    """A part of the gradient, at some place on its way back.

    At every place ln ‖value‖ = ln ‖what the step began with‖ + the sum of the account, row by row: each operation adds
    what it did. Where several flows meet, each part of their accounts is averaged, weighted by their shares p of the
    squared norm; "ways" then takes what is left: the entropy of the split, −½ Σ p ln p, and what they add or cancel.

    Attributes:
        value: The gradient, in whatever shape, all numbers of the first row before those of the next.
        account: Nats by part.
    """

    value: Inexact[Tensor, "..."]
    account: Account

    @classmethod
    def start(cls, value: Inexact[Tensor, "rows ..."]) -> "Flow":
        """Begin an account."""
        return cls(value, dict.fromkeys(PARTS, torch.zeros_like(size(value, len(value)))))

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.account["ways"])

    @property
    def size(self) -> Rows:
        """The norm of each row."""
        return size(self.value, self.rows)

    def becomes(self, value: Inexact[Tensor, "..."], part: str) -> "Flow":
        """Go on as another value; what that does to its size belongs to `part`."""
        changed = log_ratio(size(value, self.rows), self.size)
        return Flow(value, {**self.account, part: self.account[part] + changed})

    def split(self, *parts: Inexact[Tensor, "..."]) -> "list[Flow]":
        """Take it as the parts that it is made of, side by side."""
        ways = [self.account["ways"] + log_ratio(size(part, self.rows), self.size) for part in parts]
        return [Flow(part, {**self.account, "ways": nats}) for part, nats in zip(parts, ways, strict=True)]


def join(flows: Sequence[Flow], value: Tensor | None = None) -> Flow:
    """Flows that arrive at the same units, and add up to `value`."""
    return _met(flows, torch.stack([flow.value for flow in flows]).sum(0) if value is None else value)


def beside(flows: Sequence[Flow]) -> Flow:
    """Flows that arrive at different units, side by side."""
    return _met(flows, torch.cat([flow.value.reshape(flow.rows, -1) for flow in flows], dim=-1))


def size(value: Inexact[Tensor, "..."], rows: int) -> Rows:
    """The norm of each row."""
    norm: Tensor = torch.linalg.vector_norm(value.reshape(rows, -1), dim=-1)
    return norm


def log_ratio(after: Rows, before: Rows) -> Rows:
    """ln of a ratio of norms; 0 where there was nothing before."""
    return torch.where(before > 0, (after / torch.where(before > 0, before, 1.0)).log(), 0.0)


def _met(flows: Sequence[Flow], value: Tensor) -> Flow:
    norms = torch.stack([flow.size for flow in flows])
    whole = torch.linalg.vector_norm(norms, dim=0)
    shares = torch.where(whole > 0, (norms / torch.where(whole > 0, whole, 1.0)).square(), 1 / len(flows))
    account = {
        part: torch.where(shares > 0, shares * torch.stack([flow.account[part] for flow in flows]), 0.0).sum(0)
        for part in PARTS
    }
    account["ways"] = (
        account["ways"] - torch.xlogy(shares, shares).sum(0) / 2 + log_ratio(size(value, flows[0].rows), whole)
    )
    return Flow(value, account)
