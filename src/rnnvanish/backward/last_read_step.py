"""The last step that a loss reads: the last state of each sequence that it depends on, from which lags are counted.

Of a padded batch that is read at each sequence's own end (`output[range(batch), lengths - 1]`, a mask, a list of rows) that
is the end that packing would have said. Where a step makes its output of the state before it, no loss reads the last state.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from rnnvanish.observe.record import Run


def end_at_last_read(runs: Sequence[Run], sizes: Sequence[Tensor]) -> list[Run]:
    """Have the sequences of each loop end where the loss stops to read them.

    A lower layer is read as far as the one above it: where nothing comes from there at the end, that end is dead, and no
    other one.

    Args:
        runs: Loops of a model.
        sizes: Norms of the gradient of a loss by every state of each, (time, sequences).
    """
    found, above = list(runs), dict[tuple[str, str], Tensor]()
    for place in range(len(runs) - 1, -1, -1):
        run, size = runs[place], sizes[place]
        module, _, layer = run.name.partition("/")
        last = _last_true(size > 0, run.ends)
        key = module, layer.rpartition("/")[2]
        higher = above.get(key)
        if higher is not None and layer and len(higher) == len(last):
            last = torch.maximum(last, higher)
        above[key] = last
        own = torch.where(last < 0, run.ends, last)
        if not own.equal(run.ends):
            found[place] = replace(run, last_read=own)
    return found


def _last_true(there: Bool[Tensor, "time sequences"], ends: Tensor) -> Tensor:
    """Index of each sequence's last step that is there, up to its end; -1 where none is."""
    steps = torch.arange(len(there), device=there.device)[:, None]
    return torch.where(there & (steps <= ends), steps, -1).amax(0)
