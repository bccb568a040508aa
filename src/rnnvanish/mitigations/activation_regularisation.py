r"""Activation regularisation: outputs of the last layer are kept small.

α mean(h_t²)        over steps and units
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.engine.step_form import output_of
from rnnvanish.mitigation import Penalty
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class ActivationRegularisation(Penalty):
    """Add the mean square of what the last recurrent layer hands on, averaged over sequences.

    Of several recurrent modules each has a last layer, and these add up. Dropout behind the layer, whose mask the paper
    applies before it squares, is not seen.

    Attributes:
        weight: What the mean square is multiplied by: the paper's α.
    """

    paper = Paper(
        "Merity, Keskar & Socher",
        2018,
        "Regularizing and Optimizing LSTM Language Models",
        "https://arxiv.org/abs/1708.02182",
        where="section 4.6",
    )
    checked = (
        "authors' code, salesforce/awd-lstm-lm main.py @ 1d466ec: α = 2, of the last layer; it squares dropped outputs"
    )
    invariant = "Trained on the penalty alone, outputs become smaller."
    weight: float = 2.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the mean square of this run; `loss` has no part in it."""

        def measure(output: Any, runs: list[Run]) -> Tensor:
            squares = (mean_over_steps(outputs_of(run).square().mean(-1), run.valid) for run in last_layers(runs))
            return torch.stack(list(squares)).sum()

        with torch.enable_grad():
            return self.weight * watch(model, inputs, measure)


def last_layers(runs: Sequence[Run]) -> list[Run]:
    """Of the loops of each module those of its last layer."""
    places = [run.name.partition("/layer") for run in runs]
    layers = [(module, int(rest.partition("/")[0] or 0)) for module, _, rest in places]
    last = {module: layer for module, layer in sorted(layers)}
    return [run for run, (module, layer) in zip(runs, layers, strict=True) if last[module] == layer]


def outputs_of(run: Run) -> Float[Tensor, "time sequences size"]:
    """What each step of a loop hands on, with a graph to the weights."""
    output = output_of(run.step)
    if output is None:
        return torch.stack([state[0] for state in run.states])
    return torch.stack([output(*each) for each in zip(run.x, run.entries, run.states, strict=True)])


def mean_over_steps(values: Float[Tensor, "time sequences"], there: Bool[Tensor, "time sequences"]) -> Tensor:
    """The mean over those steps of each sequence that are there, and then over sequences; zero for one without any."""
    mean: Tensor = (torch.where(there, values, 0.0).sum(0) / there.sum(0).clamp(min=1)).mean()
    return mean
