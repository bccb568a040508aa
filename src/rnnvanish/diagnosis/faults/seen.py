"""What one look at a loop saw, and how it could be mended."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish.probes.again import Series
from rnnvanish.probes.watch import Run


@dataclass(frozen=True, eq=False)
class Seen:
    """A fault in a loop.

    Attributes:
        fault: Its name.
        module: The module that has it, by its name in the model.
        says: What was seen, in words.
        remedy: What to do, in words.
        measure: What `value` is, in words.
        before: The value of this run.
        value: Takes a loop and its total gradients, gives the value again.
        mend: Changes the module of a copy as the remedy says.
    """

    fault: str
    module: str
    says: str
    remedy: str
    measure: str
    before: float
    value: Callable[[Run, Series], float]
    mend: Callable[[nn.Module], object]


#: What `arriving` is, in words.
ARRIVING = "of the gradient at the end, what arrives at the first step"


def arriving(run: Run, total: Series) -> float:
    """Gradient at each sequence's first step over that at its own end: geometric mean over the sequences."""
    norms = torch.cat(total, dim=-1).double().norm(dim=-1)
    ends = norms.gather(0, run.ends[None])[0]
    read = ends > 0
    return float((norms[0][read] / ends[read]).log().mean().exp()) if read.any() else 0.0


def module_of(run: Run) -> str:
    """The name of a loop's module in the model."""
    return run.name.partition("/")[0].partition(" (call")[0]


def valid(run: Run) -> Tensor:
    """Which steps belong to a sequence, (time, batch)."""
    return torch.arange(len(run.x), device=run.x.device)[:, None] <= run.ends
