r"""An auxiliary loss: what is read next must be legible in the state.

    loss = Σ ‖x_{t+1} − D s_t‖² / Σ ‖x_{t+1} − mean‖²      the least over all linear read-outs D

Every step is asked for something, so that the state learns what the input is like before the task's own loss, which comes
late, has said anything. It asks for memory as far as the input can be foretold from its past, and no further.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.engine.step_form import features_of
from rnnvanish.mitigation import Penalty
from rnnvanish.mitigations.auxiliary_reconstruction import memory_of, unexplained
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class AuxiliaryPrediction(Penalty):
    """Add the part of the next input's variance that no linear read-out finds in the state, from 0 to 1.

    A simple form of the paper's second loss, as `AuxiliaryReconstruction` is of its first. There a recurrent network on top
    of the first one foretells a stretch behind a drawn place; here each step foretells the next one, by a read-out that is
    solved for in closed form in each batch. Each layer foretells its own input, which counts as a constant.

    Attributes:
        weight: What the part is multiplied by.
    """

    paper = Paper(
        "Trinh, Dai, Luong & Le",
        2018,
        "Learning Longer-term Dependencies in RNNs with Auxiliary Losses",
        "https://arxiv.org/abs/1803.00144",
        where="its prediction loss (p-LSTM)",
    )
    checked = (
        "the paper (section 3, figure 2), which has no public code of its authors: there the loss is a second network's, and "
        "its gradient is cut after a few steps, which here is up to TruncatedBackpropagation"
    )
    invariant = "Trained on the penalty alone, more of the next input can be read off the state."
    weight: float = 1.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the part that is not foretold, summed over layers; `loss` has no part in it."""
        with torch.enable_grad():
            return self.weight * watch(model, inputs, lambda output, runs: torch.stack([*map(unforeseen, runs)]).sum())


def unforeseen(run: Run) -> Tensor:
    """Compute the part of the variance of x_(t+1) that no linear read-out of s_t finds; 1 where nothing follows."""
    return unexplained(memory_of(run)[:-1][run.follows], pack(features_of(run.step, run.x)).detach()[1:][run.follows])
