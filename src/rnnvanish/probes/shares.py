"""Lag shares: how much of a weight's gradient comes from each lag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import Loss, each_loop
from rnnvanish.backward.replay import Series, replay_by_lag
from rnnvanish.measure import NEARLY_ALL, Measure, Row
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.watch import Cells, Run


@dataclass(frozen=True, eq=False)
class Shares:
    """Where the gradients of the weights of one loop come from.

    A weight is used at every step, and its gradient is the sum of what each step adds. Every step's addition has a
    size (its norm, all sequences together, each counted from its own end); a share is that size over the sum of all.

    Attributes:
        by_weight: Shares by lag, 0, 1, 2, ..., for each weight of the loop, by its name in the module; each adds up to 1.
        all: The same for all weights together.
    """

    by_weight: Mapping[str, Float[Tensor, " lags"]]
    all: Float[Tensor, " lags"]

    #: What sequences add at lags that they do not reach.
    beyond: ClassVar[float] = 0.0

    def steps(self, part: float = 0.999, weight: str | None = None) -> int:
        """How many of the last steps supply this part of the gradient of a weight; of all weights if none is named.

        Raises:
            ValueError: For a part outside (0, 1], or a weight that the loop has not.
        """
        if not 0 < part <= 1:
            raise ValueError(f"A part from 0 to 1 is needed, got {part}.")
        if weight is not None and weight not in self.by_weight:
            raise ValueError(f"This loop has the weights {', '.join(self.by_weight)}, got {weight!r}.")
        share = self.all if weight is None else self.by_weight[weight]
        enough = (share.cumsum(0) >= part * (1 - 1e-12)).nonzero()
        return int(enough[0]) + 1 if len(enough) else len(share)


def shares(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Shares]:
    """Measure, for each recurrent layer and direction, which lags the gradients of its own weights come from.

    Arguments and errors are those of `probes.retention`; a step that cannot be repeated (random numbers) is an error.

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> found = shares(nn.RNN(1, 32), torch.randn(60, 8, 1))["RNN/layer0/forward"]
        >>> found.steps(0.999, "weight_hh_l0") < 20
        True
    """
    return each_loop(model, inputs, loss, shares_of, cells=cells)


def shares_of(run: Run, gradients: Series) -> Shares:
    """Measure one loop, given the total gradient of every state."""
    named = {name: weight for name, weight in run.module.named_parameters() if weight.requires_grad}
    sizes: dict[str, list[float]] = {name: [] for name in named}
    for steps in replay_by_lag(run):
        found = steps.vjp(steps.rows_of(gradients), tuple(named.values()))
        for name, addition in zip(named, found, strict=True):
            sizes[name].append(float(torch.linalg.vector_norm(pack(addition).double())))
    by_weight = {name: torch.tensor(size, dtype=torch.float64) for name, size in sizes.items() if any(size)}
    together = torch.stack([size.square() for size in by_weight.values()] or [torch.zeros(1)]).sum(0).sqrt()
    return Shares({name: size / size.sum() for name, size in by_weight.items()}, together / together.sum())


def _rows(found: Shares) -> list[Row]:
    if len(found.all) < 2 or found.all.isnan().any():
        return []
    steps = found.steps(NEARLY_ALL)
    return [("weights", f"99.9 % of their gradient comes from the last {steps} of {len(found.all)} steps")]


SHARES = Measure(
    name="shares",
    about=__doc__,
    result=Shares,
    units={"by_weight": "share of the whole", "all": "share of the whole"},
    of_loop=shares_of,
    main_rows=_rows,
)
