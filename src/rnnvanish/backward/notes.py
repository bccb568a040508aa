"""What there is to know of a recorded loop beside the numbers of its gradients, in sentences."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.backward.episodes import Episodes
from rnnvanish.observe.record import Run


def loop_notes(
    run: Run, episodes: Episodes, sizes: Float[Tensor, "time sequences"], overflows: bool, masked: Run | None
) -> tuple[str, ...]:
    """Say what there is to know of a loop.

    Args:
        run: The loop as it was measured, its episodes for sequences.
        episodes: The loop as it ran.
        sizes: Norms of the gradient by every state of `run`.
        overflows: Whether a gain is infinite.
        masked: The loop as `masked_gradients` has it; None where it was measured as it ran.
    """
    lost, count, unread = _lost(run, sizes), len(run.ends), int((~(sizes > 0).any(0)).sum())
    every = {
        "It ran for a single step: there is no lag to measure.": len(run.x) == 1,
        "It ran without gradients, under no_grad() or inference_mode().": not run.has_graph,
        "It runs under torch.autocast, and was measured in double precision, which that leaves alone: what half precision "
        "rounds away is not in these numbers.": run.autocast and run.in_double,
        "It runs under torch.autocast, and cannot run in double precision: these numbers are rounded as its own are.": (
            run.autocast and not run.in_double
        ),
        "Its first state arrives detached: the gradient ends there, and the steps before are a loop of their own.": (
            run.detached
        ),
        "The model leads some of its state past a step, by a mask for instance: what is measured is the state that it carries on, and a sequence "
        "ends where it is held from then on.": masked is not None,
        "The state after its last step is not seen: lags are counted from the one before.": (
            masked is not None and len(masked.x) < len(run.x)
        ),
        "The model changes its state between steps: what is measured is the state as the step returned it.": (
            run.altered and masked is None
        ),
        f"Its sequences begin anew on the way: {len(episodes.row)} episodes in {episodes.run.x.shape[1]} sequences, each "
        "measured from its own end.": episodes.run.resets is not None,
        f"The last states of {_unread(run)} have no part in the loss: lags are counted from the last one that has.": (
            masked is None and run.last_read is not None
        ),
        f"{unread} of {count} sequences have no part in the loss: they are left out.": masked is None
        and 0 < unread < count,
        f"In {lost} of {count} sequences nothing of the gradient passes some step: the mean over all is zero from there on.": (
            masked is None and 0 < lost < count
        ),
        "Its gradient grows beyond what the number format can hold.": overflows,
    }
    return tuple(note for note, true in every.items() if true)


def _unread(run: Run) -> str:
    """How many sequences the loss does not read to their end."""
    count, of = int((run.ends < replace(run, last_read=None).ends).sum()), len(run.ends)
    return "all sequences" if count == of else f"{count} of {of} sequences"


def _lost(run: Run, sizes: Tensor) -> int:
    """How many sequences have a gradient at their end and none at some step before."""
    steps = torch.arange(len(sizes), device=sizes.device)[:, None]
    read = sizes.gather(0, run.ends[None])[0] > 0
    return int((((sizes == 0) & (steps < run.ends)).any(0) & read).sum())
