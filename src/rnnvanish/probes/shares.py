"""Lag shares: how much of a weight's gradient comes from each lag."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import ReplayedSteps, replay_by_lag
from rnnvanish.measure import NEARLY_ALL, Measure, Row
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run

#: Numbers of what several lags add to the gradient of a weight that are written down at once.
AT_ONCE = 2**22
#: Roundings by which the gradient of a weight may differ from what its linear layer adds to it, to be that alone.
TOLERANCE = 1e4


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

    Arguments and errors are those of `probes.retention`; a step that cannot be repeated (random numbers) is an error, and
    so is a layer without weights that are trained.

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> found = shares(nn.RNN(1, 32), torch.randn(60, 8, 1))["RNN/layer0/forward"]
        >>> found.steps(0.999, "weight_hh_l0") < 20
        True
    """
    return each_loop(model, inputs, loss, measure_alone(shares_of), cells=cells)


def shares_of(run: Run, gradients: Series) -> Pass[Shares]:
    """Measure one loop, given the total gradient of every state."""
    weights = {name: weight for name, weight in run.module.named_parameters() if weight.requires_grad}
    if not weights:
        raise ValueError(
            f"shares needs weights that are trained, and those of {run.name} are frozen: set requires_grad of one to True."
        )
    sizes = {name: torch.zeros(int(run.ends.max()) + 1, dtype=torch.float64) for name in weights}
    linear, others = None, set[str]()
    while (steps := (yield)) is not None:
        calls = _calls_of(weights, steps)
        if linear is None:
            linear, others = _linear_alone(weights, calls, steps)
        first = int(steps.lag.min())
        for name in linear:
            addition = _additions(weights[name], *calls[name], steps)
            sizes[name][first : first + len(addition)] = addition
    for steps in replay_by_lag(run) if others else ():
        found = steps.vjp(steps.rows_of(gradients), tuple(weights[name] for name in others))
        for name, each in zip(others, found, strict=True):
            sizes[name][steps.lag[0]] = torch.linalg.vector_norm(pack(each).double())
    by_weight = {name: size for name, size in sizes.items() if size.any()}
    together = torch.stack([size.square() for size in by_weight.values()] or [torch.zeros(1)]).sum(0).sqrt()
    return Shares({name: size / size.sum() for name, size in by_weight.items()}, together / together.sum())


def _calls_of(weights: Mapping[str, Tensor], steps: ReplayedSteps) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each weight that one linear layer reads: what the layer read, and the scaled gradient by what it returned."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    often = Counter(call.layer for call in steps.linears)
    for call, gradient in zip(steps.linears, steps.backward.linears, strict=True):
        if often[call.layer] == 1 and call.x.dim() == 2 and not call.y.is_complex():
            own = (call.layer.weight, call.layer.bias)
            found |= {
                name: (call.x.detach(), gradient) for name, weight in weights.items() if any(weight is w for w in own)
            }
    return found


def _linear_alone(
    weights: Mapping[str, Tensor], calls: Mapping[str, tuple[Tensor, Tensor]], steps: ReplayedSteps
) -> tuple[set[str], set[str]]:
    """The weights whose gradient is what one linear layer adds to it, and those that are read elsewhere in the step."""
    linear, others = set(), set()
    whole = steps.vjp(steps.backward.scaled, tuple(weights.values()))
    for (name, weight), gradient in zip(weights.items(), whole, strict=True):
        if name in calls:
            x, of_y = calls[name]
            added = of_y.mT @ x if weight.dim() == 2 else of_y.sum(0)
            if torch.allclose(
                added, gradient, rtol=0, atol=TOLERANCE * torch.finfo(x.dtype).eps * float(gradient.abs().max())
            ):
                linear.add(name)
                continue
        if gradient.any():
            others.add(name)
    return linear, others


def _additions(weight: Tensor, x: Tensor, gradient: Tensor, steps: ReplayedSteps) -> Float[Tensor, " lags"]:
    """Norm of what each of these lags adds to the gradient of a linear layer's weight or bias, all sequences together.

    Of the weight that is Σ δᵢ xᵢᵀ, whose norm needs no matrix of that size: ‖Σ δᵢ xᵢᵀ‖² = Σ (δᵢ·δⱼ)(xᵢ·xⱼ).
    """
    of_y = _by_lag(gradient.double() * steps.backward.scale[:, None], steps)
    if weight.dim() == 1:
        size: Tensor = torch.linalg.vector_norm(of_y.sum(1), dim=-1)
        return size.cpu()
    read = _by_lag(x.double(), steps)
    if read.shape[1] * sum(weight.shape) <= weight.numel():
        square: Tensor = ((of_y @ of_y.mT) * (read @ read.mT)).sum((1, 2))
        return square.clamp(min=0).sqrt().cpu()
    pieces = zip(
        of_y.mT.split(max(1, AT_ONCE // weight.numel())), read.split(max(1, AT_ONCE // weight.numel())), strict=True
    )
    return torch.cat([torch.linalg.matrix_norm(d @ x) for d, x in pieces]).cpu()


def _by_lag(rows: Float[Tensor, "rows size"], steps: ReplayedSteps) -> Float[Tensor, "lags sequences size"]:
    """Rows of these steps by lag and sequence, zero where a sequence is shorter."""
    lag = steps.lag - steps.lag.min()
    found = rows.new_zeros(int(lag.max()) + 1, int(steps.sequence.max()) + 1, rows.shape[-1])
    if len(rows) == found.shape[0] * found.shape[1]:
        return rows.view(found.shape)
    found[lag, steps.sequence] = rows
    return found


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
    of_steps=shares_of,
    main_rows=_rows,
)
