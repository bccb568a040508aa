r"""Jacobian penalty: a step may not magnify changes of the state; measured along one random direction at each step.

    Ω = ½ mean ‖J_t‖²        J_t = ds_t / ds_{t−1},  squared Frobenius norm: n E ‖J_tᵀ v‖²,  v random of length 1

The mean over directions is exact, so one is enough where there are many steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Penalty
from rnnvanish.mitigations.activation_regularisation import mean_over_steps
from rnnvanish.mitigations.gradient_norm_penalty import SeparateSteps
from rnnvanish.observe.watch import Run, watch


@dataclass(frozen=True)
class JacobianPenalty(Penalty):
    """Add half the squared norm of the Jacobian of a step, averaged over steps and sequences, summed over layers.

    It makes a network robust, and keeps it from exploding. It asks for less memory, not more: where a gradient vanishes, it
    hurts. States count as constants: the weights are reached through J alone.

    Attributes:
        weight: What it is multiplied by: the paper's λ.
    """

    paper = Paper(
        "Hoffman, Roberts & Yaida",
        2019,
        "Robust Learning with Jacobian Regularization",
        "https://arxiv.org/abs/1908.02729",
    )
    checked = (
        "authors' code, facebookresearch/jacobian_regularizer @ 32bb044: ½, one direction on the unit sphere times n; there "
        "of a network's output by its input, here of a state by the one before; λ = 0.01 is its README's"
    )
    invariant = "Trained on the penalty alone, the singular values of a step become smaller."
    weight: float = 0.01

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times Ω of this run; `loss` has no part in it. Directions are drawn by torch's generator."""
        with torch.enable_grad():
            return self.weight * watch(
                model, inputs, lambda output, runs: torch.stack([half_square_norm(run) for run in runs]).sum()
            )


def half_square_norm(run: Run) -> Tensor:
    """Estimate ½ ‖J‖² of the steps of one loop, each along a direction of its own."""
    if len(run.x) == 1:
        return run.x.new_zeros(())
    steps = SeparateSteps(run)
    sizes = [part.shape[-1] for part in steps.after]
    directions = torch.randn_like(torch.cat(steps.after, dim=-1))
    directions = directions / torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
    back = torch.cat(steps.back(directions.split(sizes, dim=-1)), dim=-1)
    squares = (0.5 * sum(sizes) * back.square().sum(-1)).view(len(run.x) - 1, -1)
    return mean_over_steps(squares, steps.there.view_as(squares))
