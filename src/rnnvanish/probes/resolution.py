"""Numerical resolution: from which lag on a number format cannot hold the gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.measure import Measure, Row
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run

FORMATS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, eq=False)
class Resolution:
    """What formats hold of the gradient of one loop's states, as this loss makes it, without a scaling of the loss.

    Attributes:
        own: The format of the model's weights.
        lost: For each format the share of the gradient's numbers at lag 0, 1, 2, ... that it rounds to zero, of those
            that are not zero in double precision. Subnormal numbers count as held; a device may flush them, too.
        lost_from: For each format the first lag at which it loses at least half of the numbers; None where it never does.
        drowned_from: For each format the first lag at which the gradient is so small against that of lag 0 that adding
            one to the other changes nothing: a sum over time that is kept in this format does not hear of it.
    """

    own: str
    lost: Mapping[str, Float[Tensor, " lags"]]
    lost_from: Mapping[str, int | None]
    drowned_from: Mapping[str, int | None]


def resolution(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Resolution]:
    """Measure, in double precision, which gradients are too small for float32, bfloat16 and float16.

    Arguments and errors are those of `probes.retention`.
    """

    def of_loop(run: Run, gradients: Series) -> tuple[bool, Resolution]:
        return run.in_double, resolution_of(run, gradients)

    found = each_loop(model, inputs, loss, of_loop, lambda pair: pair[0], cells)
    return {name: resolution for name, (_, resolution) in found.items()}


def resolution_of(run: Run, gradients: Series) -> Resolution:
    """Measure one loop that ran in double precision, given the total gradient of every state."""
    whole = torch.cat(gradients, dim=-1).double().abs()
    step = run.ends - torch.arange(int(run.ends.max()) + 1, device=whole.device)[:, None]
    rows = torch.arange(whole.shape[1], device=whole.device).expand_as(step)
    aligned = torch.where((step >= 0)[..., None], whole[step.clamp(min=0), rows], 0.0).cpu()
    there = (aligned > 0).double().sum((1, 2))
    size = aligned.square().sum(-1).mean(-1).sqrt()
    lost, lost_from, drowned_from = {}, {}, {}
    for name, dtype in FORMATS.items():
        numbers = torch.finfo(dtype)
        smallest = numbers.smallest_normal * numbers.eps
        lost[name] = ((aligned > 0) & (aligned <= smallest / 2)).double().sum((1, 2)) / there
        lost_from[name] = _first_true(lost[name] >= 0.5)
        drowned_from[name] = _first_true(size < numbers.eps / 2 * size[0])
    return Resolution(str(run.weight_dtype).removeprefix("torch."), lost, lost_from, drowned_from)


def _first_true(condition: Tensor) -> int | None:
    places = condition.nonzero()
    return int(places[0]) if len(places) else None


def _main_rows(found: Resolution) -> list[Row]:
    lag = found.lost_from.get(found.own)
    return [] if lag is None else [("rounding", f"{found.own} rounds most of the gradient to zero from lag {lag} on")]


def _rest_rows(found: Resolution) -> list[Row]:
    return [
        ("rounding", f"{name} would round most of the gradient to zero from lag {lag} on")
        for name, lag in found.lost_from.items()
        if lag is not None and name != found.own
    ]


RESOLUTION = Measure(
    name="resolution",
    about=__doc__,
    result=Resolution,
    units={"lost": "share of the numbers", "lost_from": "steps", "drowned_from": "steps"},
    of_loop=resolution_of,
    in_double=True,
    main_rows=_main_rows,
    rest_rows=_rest_rows,
)
