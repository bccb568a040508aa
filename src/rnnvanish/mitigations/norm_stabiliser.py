r"""Norm stabiliser: the length of the state should stay what it is from step to step.

    β mean((‖h_t‖ − ‖h_{t−1}‖)²)        over steps

It holds back activations that grow with every step, whichever way they point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Penalty
from rnnvanish.mitigations.activation_regularisation import mean_over_steps, outputs_of
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class NormStabiliser(Penalty):
    """Add the mean square of the change of the output's norm, summed over layers and averaged over sequences.

    Of an LSTM it is h that is kept, not c, as in the paper. The change from the state before the first step, which
    begins at zero, does not count.

    Attributes:
        weight: What the mean square is multiplied by: the paper's β for characters.
    """

    paper = Paper(
        "Krueger & Memisevic",
        2016,
        "Regularizing RNNs by Stabilizing Activations",
        "https://arxiv.org/abs/1511.08400",
        where="section 1",
    )
    checked = (
        "the paper's abstract, and the formula as others quote it, whose sum begins with the state before the first step; "
        "robertostling/bnas, which leaves that "
        "out as we do, has its β = 50"
    )
    invariant = "Trained on the penalty alone, the norm of the output comes to change less from step to step."
    weight: float = 50.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the mean square of this run; `loss` has no part in it."""

        def measure(output: Any, runs: list[Run]) -> Tensor:
            return torch.stack([_unsteadiness(run) for run in runs]).sum()

        with torch.enable_grad():
            return self.weight * watch(model, inputs, measure)


def _unsteadiness(run: Run) -> Tensor:
    norms = torch.linalg.vector_norm(outputs_of(run), dim=-1)
    return mean_over_steps(norms.diff(dim=0).square(), run.follows)
