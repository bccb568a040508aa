r"""Lipschitz network: a differential equation of a linear and a squashed part, both near an antisymmetric matrix.

    A = β (M − Mᵀ) + (1 − β) (M + Mᵀ) − γ I, and W likewise from N
    plain:  h ← h + ε (h A + tanh(h W + U x + b))           h A: a row times a matrix, as in the authors' code
    gated:  h ← h + ε (h A + tanh(h W + U x + b)) σ(h W + U_g x + b_g)

Why the gradient survives: a step back multiplies it by I + ε (A + diag(φ′) W)ᵀ: near the identity where ε is small,
and the nearer β is to 1 the less of it grows or decays. What γ takes is gone.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class LipschitzRNN(Cell):
    """Lipschitz recurrent network, by steps of Euler.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        epsilon: Size of a step.
        beta: How antisymmetric the matrices are: 1 wholly, 0 symmetric.
        gamma: Diffusion.
        gated: Whether a gate says how far a unit goes.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = LipschitzRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Erichson, Azencot, Queiruga, Hodgkinson & Mahoney",
        2021,
        "Lipschitz Recurrent Neural Networks",
        "https://arxiv.org/abs/2006.12070",
    )
    checked = "authors' code, erichson/LipschitzRNN models.py and tools.py @ df6552e89f"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.01,
        beta: float = 0.8,
        gamma: float = 0.01,
        gated: bool = False,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.epsilon, self.beta, self.gamma, self.gated = epsilon, beta, gamma, gated
        self.from_x = nn.Linear(input_size, 2 * hidden_size if gated else hidden_size)
        self.gate_names = {"from_x": ("n", "g") if gated else ("n",)}
        self.m = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)
        self.n = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)

    def matrix(self, m: Float[Tensor, "hidden hidden"]) -> Float[Tensor, "hidden hidden"]:
        """Mix the antisymmetric and the symmetric part of `m`, and add the diffusion."""
        eye = torch.eye(len(m), dtype=m.dtype, device=m.device)
        return self.beta * (m - m.T) + (1 - self.beta) * (m + m.T) - self.gamma * eye

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        turned = h @ self.matrix(self.n)
        xn, *xg = self.from_x(x).split(self.hidden_size, dim=-1)
        change = h @ self.matrix(self.m) + self.nonlinearity(turned + xn)
        if self.gated:
            change = change * torch.sigmoid(turned + xg[0])
        return (h + self.epsilon * change,)
