"""What of each loop the loss reads, by whatever way through the model; and hooks that have a copy read something else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnvanish.backward.each_loop import LoopGradients
from rnnvanish.backward.state_gradients import Source, state_gradients
from rnnvanish.numerics.norms import joint_norm
from rnnvanish.observe.record import Run


@dataclass(frozen=True, eq=False)
class Reading:
    """What of one loop the loss reads.

    Attributes:
        run: The loop, as it ran.
        steps: Which states it depends on, (time, sequences).
    """

    run: Run
    steps: Bool[Tensor, "time sequences"]

    @property
    def lengths(self) -> Tensor:
        """Steps in each sequence."""
        time, rows = self.run.x.shape[:2]
        return torch.full((rows,), time, device=self.steps.device) if self.run.lengths is None else self.run.lengths

    @property
    def rows(self) -> Tensor:
        """Which sequences are read at any step."""
        return self.steps.any(0)

    @property
    def last(self) -> Tensor:
        """The last step of each sequence that is read, in the order in which the loop runs; -1 where none is."""
        step = torch.arange(len(self.steps), device=self.steps.device)[:, None]
        return torch.where(self.steps, step, -1).amax(0)

    @property
    def part(self) -> str:
        """The layer and direction: "layer0/forward"; of a step that the model calls itself ""."""
        return self.run.name.partition("/")[2]


def readings(loops: Sequence[LoopGradients], loss: Tensor) -> list[Reading]:
    """What a loss reads of each loop: its whole gradient counts, not that of one end point."""
    runs = [each.episodes.run for each in loops]
    found = state_gradients(runs, Source([loss], [None]))
    return [Reading(run, joint_norm(each.sizes) > 0) for run, each in zip(runs, found, strict=True)]


def readings_of_end_points(loops: Sequence[LoopGradients]) -> list[Reading]:
    """What the end point of each loop depends on, which is known: never more than what the loss reads."""
    return [Reading(each.episodes.run, joint_norm(each.states.sizes) > 0) for each in loops]


#: Changes what a layer returned, brought into (batch, time, features): takes it, the steps in each sequence, and the state.
Change = Callable[[Tensor, Tensor, Any], Tensor]


def hook_steps(module: nn.Module, change: Change, repeat: bool = False) -> None:
    """Have a layer return other outputs, whatever their form; packed ones as long as the longest if `repeat`."""

    def after(module: Any, args: object, output: tuple[Any, Any]) -> tuple[Any, Any]:
        x, state = output
        if isinstance(x, PackedSequence):
            steps, lengths = pad_packed_sequence(x, batch_first=True)
            changed = change(steps, lengths.to(steps.device), state)
            kept = torch.full_like(lengths, steps.shape[1]) if repeat else lengths
            return pack_padded_sequence(changed, kept, batch_first=True, enforce_sorted=False), state
        steps = x if x.dim() < 3 or module.batch_first else x.transpose(0, 1)
        steps = steps[None] if x.dim() < 3 else steps
        changed = change(steps, torch.full((len(steps),), steps.shape[1], device=steps.device), state)
        return changed[0] if x.dim() < 3 else changed if module.batch_first else changed.transpose(0, 1), state

    module.register_forward_hook(after)
