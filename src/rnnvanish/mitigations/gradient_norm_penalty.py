r"""A penalty on every step back in time that changes the length of the gradient.

    Ω = Σ_k (‖g_{k+1} J_k‖ / ‖g_{k+1}‖ − 1)²        g_k = dE/ds_k,  J_k = ds_{k+1}/ds_k

It asks for the length to be kept in the one direction that matters, that of the gradient itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates, Parts
from rnnvanish.cell import Paper
from rnnvanish.mitigation import Penalty
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class GradientNormPenalty(Penalty):
    """Add Ω, summed over steps and layers, and averaged over sequences.

    As in the paper, what Ω tells the weights is its immediate derivative: the states s_k and the gradients g_{k+1} count
    as constants, and the weights are reached through J_k alone. A step whose gradient is exactly zero is left out.

    Attributes:
        weight: What Ω is multiplied by.
    """

    paper = Paper(
        "Pascanu, Mikolov & Bengio",
        2013,
        "On the difficulty of training recurrent neural networks",
        "https://arxiv.org/abs/1211.5063",
        where="section 3.3",
    )
    checked = (
        "the paper's sum of squares; authors' code, pascanur/trainingRNNs RNN.py @ 3f5df3ffdd, takes squared "
        "norms and the mean over steps instead"
    )
    invariant = "Trained on the penalty alone, steps back come to keep the length of the gradient."
    weight: float = 1.0

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times Ω of the loss of this run."""

        def measure(output: Any, runs: list[Run]) -> Tensor:
            value = loss(output)
            return torch.stack([omega(run, value) for run in runs]).sum()

        with torch.enable_grad():
            return self.weight * watch(model, inputs, measure)


def omega(run: Run, value: Tensor) -> Tensor:
    """Compute Ω of one loop and a loss."""
    time, batch = run.x.shape[:2]
    if time == 1:
        return run.x.new_zeros(())
    gradients, steps = _gradients(value, run.states), SeparateSteps(run)
    given = steps.coordinates.gradient_rows(joined(gradients[1:]), steps.new)
    norm, norm_before = _norm(given), _norm(steps.back(given))
    counts = steps.there & (norm > 0)
    ratio = torch.where(counts, norm_before / torch.where(counts, norm, 1.0), 1.0)
    return (ratio - 1).square().sum() / batch


class SeparateSteps:
    """All steps of a loop but the first, each by itself: states are constants, weights are reached through the step alone.

    They are taken at once: to the cell they are one large batch.

    Attributes:
        coordinates: Those that states are written in.
        new: The state after each step, as it was recorded.
        after: Its coordinates, with a graph to the weights, (steps * sequences, size) for each part.
        there: Which are steps of a sequence: no padding, and none that begins anew and hands nothing back.
    """

    def __init__(self, run: Run) -> None:
        self.coordinates = Coordinates.of(run)
        old, self.new = joined(run.states[:-1]), joined(run.states[1:])
        self._before = tuple(row.detach().requires_grad_() for row in self.coordinates.rows(old))
        state = self.coordinates.state(self._before, self.coordinates.helpers(old))
        self.after = self.coordinates.rows(run.step(run.x[1:].detach().flatten(0, 1), state))
        self.there = run.follows.flatten()

    def back(self, given: Parts) -> tuple[Tensor, ...]:
        """Take a gradient by the state after each step to the one before it, with a graph to the weights."""
        pairs = [(s, g) for s, g in zip(self.after, given, strict=True) if s.requires_grad]
        moved, pulls = zip(*pairs, strict=True)
        return torch.autograd.grad(moved, self._before, pulls, create_graph=True, materialize_grads=True)


def _gradients(value: Tensor, states: Sequence[Parts]) -> list[tuple[Tensor, ...]]:
    """The derivative of `value` by each state; zero by what has no gradient, such as a mask that a state carries."""
    within = [part for state in states for part in state if part.requires_grad]
    found = iter(torch.autograd.grad(value, within, retain_graph=True, materialize_grads=True))
    return [tuple(next(found) if part.requires_grad else torch.zeros_like(part) for part in state) for state in states]


def joined(states: Sequence[Parts]) -> tuple[Tensor, ...]:
    """The states of several steps as one batch, without a graph."""
    return tuple(torch.cat(parts).detach() for parts in zip(*states, strict=True))


def _norm(parts: Sequence[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.cat(tuple(parts), dim=-1), dim=-1)
    return norm
