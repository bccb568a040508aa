"""Where the sequences of a loop begin and end, as they are counted.

They begin anew on the way in a rollout whose environments are reset: each episode is a sequence of its own. They end at the
last state that is read: of a padded batch that is read at each sequence's own end (`output[range(batch), lengths - 1]`, a mask,
a list of rows) that is the end that packing would have said. Where a step makes its output of the state before it, nothing
reads the last state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rnnvanish.observe.record import Run


@dataclass(frozen=True, eq=False)
class Episodes:
    """The episodes of a loop.

    Attributes:
        run: The loop.
        row: The sequence that each is of.
        start: Its first step.
        last: Its last one.
    """

    run: Run
    row: Int[Tensor, " episodes"]
    start: Int[Tensor, " episodes"]
    last: Int[Tensor, " episodes"]

    @classmethod
    def of(cls, run: Run, latest: bool = False) -> "Episodes":
        """Find those of a loop; the latest one of each sequence alone if `latest`."""
        (time, batch), ends = run.x.shape[:2], run.ends
        begins = (
            torch.zeros(batch, time, dtype=torch.bool, device=ends.device)
            if run.resets is None
            else run.resets.T.clone()
        )
        begins[:, 0] = True
        row, start = (begins & (torch.arange(time, device=ends.device) <= ends[:, None])).nonzero(as_tuple=True)
        final = torch.ones_like(row, dtype=torch.bool)
        final[:-1] = row[1:] != row[:-1]
        last = torch.where(final, ends[row], start.roll(-1) - 1)
        return cls(run, row[final], start[final], last[final]) if latest else cls(run, row, start, last)

    def split(self, whole: Tensor) -> Tensor:
        """Split by episode: what there is of (time, sequences, ...) in each episode, from its first step on; its last again behind its end."""
        if self.run.resets is None:
            return whole
        step = self.start + torch.arange(len(whole), device=whole.device)[:, None]
        return whole[torch.minimum(step, self.last), self.row]

    def as_run(self) -> Run:
        """The loop with episodes for sequences; where there is one in each sequence, as it is."""
        run = self.run
        return (
            run
            if run.resets is None
            else replace(
                run,
                x=self.split(run.x.detach()),
                initial=tuple(part[self.start, self.row] for part in _stacked([e or run.initial for e in run.entries])),
                states=self._parts(run.states),
                entries=self._parts([entry or run.initial for entry in run.entries]),
                lengths=self.last - self.start + 1,
                order=None,
                resets=None,
            )
        )

    def mask_at(self, ends: Tensor) -> Bool[Tensor, "time sequences"]:
        """Where in the loop the episodes have steps with these indices."""
        where = torch.zeros(self.run.x.shape[:2], dtype=torch.bool, device=ends.device)
        where[self.start + ends, self.row] = True
        return where

    def _parts(self, states: Sequence[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
        parts = [self.split(part) for part in _stacked(states)]
        return [tuple(each) for each in zip(*parts, strict=True)]


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


def _stacked(states: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.stack([part.detach() for part in parts]) for parts in zip(*states, strict=True))
