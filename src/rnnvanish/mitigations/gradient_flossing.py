r"""Gradient flossing: Lyapunov exponents are pulled to zero, where neighbouring states neither part nor merge.

    λ_i = 1/T Σ_t ln |r_ii(t)|        Q(t) R(t) = J_t Q(t−1),  R upper triangular

The gradient passes through the QR decomposition of every step, and through the states on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.cell import Paper
from rnnvanish.mitigation import Penalty
from rnnvanish.observe.watch import Run, watch
from rnnvanish.probes.lyapunov import drawn_basis


@dataclass(frozen=True)
class GradientFlossing(Penalty):
    """Add the mean square of the leading Lyapunov exponents, averaged over sequences and summed over layers.

    It keeps the Jacobian of every step of every sequence: for small layers, and best before or between other training,
    as in the paper, rather than all the way along. What dies altogether has an exponent of minus infinity and no
    derivative: directions that no step hands on (dead ReLUs, an input that is held for one step) are left out, and so
    are steps that let others die (the cut of a truncation).

    Attributes:
        count: How many exponents; all that live where these are fewer.
        weight: What the mean square is multiplied by.

    Raises:
        ValueError: For a count below 1.
    """

    paper = Paper(
        "Engelken",
        2023,
        "Gradient Flossing: Improving Gradient Descent through Dynamic Control of Jacobians",
        "https://arxiv.org/abs/2312.17306",
    )
    checked = (
        "authors' code, RainerEngelken/GradientFlossing GradientFlossing_ExampleCode.jl @ a4492d53a2; it "
        "leaves out a transient at the head, and keeps the target of exponents an option"
    )
    invariant = "Trained on the penalty alone, the leading Lyapunov exponents come closer to zero."
    count: int = 8
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"GradientFlossing needs a count >= 1 of exponents, got {self.count}.")

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute `weight` times the mean square of the exponents of this run; `loss` has no part in it."""

        def measure(output: Any, runs: list[Run]) -> Tensor:
            return torch.stack([exponents(run, self.count).square().mean() for run in runs]).sum()

        with torch.enable_grad():
            return self.weight * watch(model, inputs, measure)


def exponents(run: Run, count: int) -> Float[Tensor, "sequences exponents"]:
    """Compute the leading Lyapunov exponents of a loop in nats per step, with a graph to the weights."""
    jacobians = _jacobians(run)
    size = jacobians.shape[-1]
    # Some directions of a state may die at every step, as those of inputs that it holds until the next: none to control.
    living = int(torch.linalg.matrix_rank(jacobians[:, 0].detach()).max())
    basis = drawn_basis(size, min(count, max(living, 1))).to(run.x).expand(run.x.shape[1], -1, -1)
    total = run.x.new_zeros(basis.shape[0], basis.shape[2])
    for t, jacobian in enumerate(jacobians):
        pushed = jacobian @ basis
        # The decomposition has no derivative where a direction dies.
        stretch = torch.linalg.qr(pushed.detach()).R.diagonal(dim1=-2, dim2=-1).abs()
        alive = stretch.amin(-1) > torch.finfo(stretch.dtype).eps * stretch.amax(-1)
        counts = (alive & (t <= run.ends))[:, None]
        basis, r = torch.linalg.qr(torch.where(counts[:, None], pushed, basis))
        total = total + torch.where(counts, r.diagonal(dim1=-2, dim2=-1).abs().log(), 0.0)
    return total / (run.ends + 1)[:, None]


def _jacobians(run: Run) -> Float[Tensor, "time sequences state state"]:
    """ds_t / ds_(t-1) at every step, of the memory that has a gradient at all: a mask has none."""
    every = Coordinates.of(run)
    coordinates = replace(every, places=tuple(place for place in every.places if run.states[-1][place].requires_grad))

    def step(x: Tensor, helpers: tuple[Tensor, ...], *rows: Tensor) -> Tensor:
        """One step of one sequence."""
        state = coordinates.state(tuple(row[None] for row in rows), tuple(part[None] for part in helpers))
        return torch.cat(coordinates.rows(run.step(x[None], state)), dim=-1)[0]

    before = tuple(torch.cat(states) for states in zip(run.initial, *run.states[:-1], strict=True))
    rows, helpers = coordinates.rows(before), coordinates.helpers(before)
    derivative = torch.func.jacrev(step, argnums=tuple(part + 2 for part in range(len(rows))))
    jacobian: Tensor = torch.cat(torch.func.vmap(derivative)(run.x.flatten(0, 1), helpers, *rows), dim=-1)
    return jacobian.reshape(*run.x.shape[:2], *jacobian.shape[1:])
