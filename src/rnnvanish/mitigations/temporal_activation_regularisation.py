r"""Temporal activation regularisation: outputs of the last layer may change little from step to step.

β mean((h_t − h_{t−1})²)        over steps and units
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Penalty
from rnnvanish.mitigations.activation_regularisation import last_layers, mean_over_steps, outputs_of
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class TemporalActivationRegularisation(Penalty):
    """Add the mean square of the change of what the last recurrent layer hands on, averaged over sequences.

    Also known as slowness. Of several recurrent modules each has a last layer, and these add up.

    Attributes:
        weight: What the mean square is multiplied by: the paper's β.
    """

    paper = Paper(
        "Merity, Keskar & Socher",
        2018,
        "Regularizing and Optimizing LSTM Language Models",
        "https://arxiv.org/abs/1708.02182",
        where="section 4.6",
    )
    checked = (
        "authors' code, salesforce/awd-lstm-lm main.py @ 1d466ec: β = 1, of the last layer, before dropout, squared; the "
        "paper writes the norm"
    )
    invariant = "Trained on the penalty alone, outputs come to change less from step to step."
    weight: float = 1.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the mean square of this run; `loss` has no part in it."""

        def measure(output: Any, runs: list[Run]) -> Tensor:
            changes = [(outputs_of(run).diff(dim=0), run.follows) for run in last_layers(runs)]
            return torch.stack([mean_over_steps(each.square().mean(-1), there) for each, there in changes]).sum()

        with torch.enable_grad():
            return self.weight * watch(model, inputs, measure)
