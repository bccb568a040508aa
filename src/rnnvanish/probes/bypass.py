"""Past the recurrence: how much of the gradient of an early state came there by another way, such as attention."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.recurrent_path import recurrent_gradient
from rnnvanish.measure import Measure
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run


@dataclass(frozen=True, eq=False)
class Bypass:
    """By which way the gradient of one loop's states came, at lag 0, 1, 2, ... from each sequence's own end.

    Attributes:
        total: ‖g‖ over that at lag 0, root mean square over sequences: all ways together.
        recurrent: The same of the part r that went back through every step of the loop from its end, and nowhere else.
        share: The share of the gradient that came past the recurrence, 1 − ⟨r, g⟩ / ‖g‖²: 0 where all of it took the
            recurrence, 1 where none did. Above 1 where the two ways cancel each other.
    """

    total: Float[Tensor, " lags"]
    recurrent: Float[Tensor, " lags"]
    share: Float[Tensor, " lags"]

    @property
    def resolved(self) -> bool:
        """Whether no gradient was rounded to nothing."""
        return bool((self.total > 0).all())


def bypass(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Bypass]:
    """Measure, for each recurrent layer and direction, how much gradient arrives past the recurrence at each lag.

    What attention reads of earlier states, what a decoder reads of an encoder, and what a loss reads along the way
    all count: name a loss that reads the end alone, and it is what the model itself leads past the recurrence.

    Arguments and errors are those of `probes.retention`.
    """
    return each_loop(model, inputs, loss, bypass_of, lambda found: found.resolved, cells)


def bypass_of(run: Run, gradients: Series) -> Bypass:
    """Measure one loop, given the total gradient of every state."""
    rows = torch.arange(len(run.ends), device=run.ends.device)
    end = tuple(part[run.ends, rows] for part in gradients)
    read = torch.cat(end, dim=-1).any(-1)
    lags = int(run.ends[read].max()) + 1 if read.any() else len(run.x)
    whole, alone = _align_ends(gradients, run, lags), _align_ends(recurrent_gradient(run, end), run, lags)
    squares = whole.square().sum(-1).sum(1)
    first = squares[0]
    return Bypass(
        total=(squares / first).sqrt(),
        recurrent=(alone.square().sum(-1).sum(1) / first).sqrt(),
        share=1 - (alone * whole).sum(-1).sum(1) / squares,
    )


def _align_ends(parts: Series, run: Run, lags: int) -> Float[Tensor, "lags sequences state"]:
    """Counted back from each sequence's own end, in double precision; zero beyond its beginning."""
    whole = torch.cat(parts, dim=-1).double()
    step = run.ends - torch.arange(lags, device=whole.device)[:, None]
    rows = torch.arange(whole.shape[1], device=whole.device).expand_as(step)
    return torch.where((step >= 0)[..., None], whole[step.clamp(min=0), rows], 0.0).cpu()


BYPASS = Measure(
    name="bypass",
    about=__doc__,
    result=Bypass,
    units={"total": "ratio", "recurrent": "ratio", "share": "share of the gradient"},
    of_loop=bypass_of,
    resolved=lambda found: found.resolved,
)
