r"""An auxiliary loss: what was read some steps ago must still be legible in the state.

    loss = Σ ‖x_{t−k} − D s_t‖² / Σ ‖x_{t−k} − mean‖²      the least over all linear read-outs D, for a drawn lag k

It asks for memory directly, and its gradient has k steps to go, not the whole sequence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.cell import Paper
from rnnvanish.engine.step_form import features_of
from rnnvanish.mitigation import Penalty
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.watch import Run, watch

#: Ridge of the read-out, relative to the mean variance of a number of the state.
RIDGE = 1e-3


@dataclass(frozen=True)
class AuxiliaryReconstruction(Penalty):
    """Add the part of an earlier input's variance that no linear read-out finds in the state, from 0 to 1.

    A simple form of the paper's reconstruction loss. There a second recurrent network is trained to write out a random
    stretch; here the read-out is linear and solved for in closed form in each batch, of all steps that are a drawn lag
    behind, so that there is nothing else to train. Each layer reconstructs its own input, which counts as a constant.

    Attributes:
        reach: Largest lag in steps; a lag is drawn from 1 to `reach` at each call.
        weight: What the part is multiplied by.

    Raises:
        ValueError: For a reach below 1.
    """

    paper = Paper(
        "Trinh, Dai, Luong & Le",
        2018,
        "Learning Longer-term Dependencies in RNNs with Auxiliary Losses",
        "https://arxiv.org/abs/1803.00144",
    )
    checked = "the paper, whose loss it simplifies as said above"
    invariant = "Trained on the penalty alone, more of an earlier input can be read off the state."
    reach: int = 10
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise ValueError(f"AuxiliaryReconstruction needs a reach >= 1, got {self.reach}.")

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the part that is lost, summed over layers; `loss` has no part in it."""
        lag = int(torch.randint(1, self.reach + 1, ()))
        with torch.enable_grad():
            return self.weight * watch(
                model, inputs, lambda output, runs: torch.stack([lost(run, lag) for run in runs]).sum()
            )


def lost(run: Run, lag: int) -> Tensor:
    """Compute the part of the variance of x_(t-lag) that no linear read-out of s_t finds; 1 where none is so old."""
    if lag >= len(run.x):
        return run.x.new_ones(())
    states = memory_of(run)[lag:]
    there = run.valid[lag:]
    if run.resets is not None:  # nothing is left of what was read before
        steps = torch.arange(len(run.x), device=run.x.device)[:, None]
        begun = steps.where(run.resets, 0).cummax(0).values
        there = there & (steps[: len(run.x) - lag] >= begun[lag:])
    s, x = states[there], pack(features_of(run.step, run.x)).detach()[: len(states)][there]
    return unexplained(s, x)


def memory_of(run: Run) -> Float[Tensor, "time batch numbers"]:
    """Every state of a run, as one row of numbers for each step of each sequence."""
    coordinates = Coordinates.of(run)
    rows = [[coordinates.row(state[place], place) for place in coordinates.places] for state in run.states]
    return torch.stack([torch.cat(parts, -1) for parts in rows])


def unexplained(s: Float[Tensor, "rows numbers"], x: Float[Tensor, "rows features"]) -> Tensor:
    """Compute the part of the variance of `x` that no linear read-out of `s` finds; 1 for fewer than two rows."""
    if len(s) < 2:
        return x.new_ones(())
    s, x = s - s.mean(0), x - x.mean(0)
    covariance = s.T @ s
    ridge = RIDGE * covariance.diagonal().mean() + torch.finfo(s.dtype).tiny
    eye = torch.eye(len(covariance), dtype=s.dtype, device=s.device)
    read = s @ torch.linalg.solve(covariance + ridge * eye, s.T @ x)
    part: Tensor = (x - read).square().sum() / x.square().sum().clamp(min=torch.finfo(s.dtype).tiny)
    return part
