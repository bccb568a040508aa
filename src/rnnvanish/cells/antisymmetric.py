r"""Antisymmetric networks: a differential equation that neither grows nor decays, taken in small steps.

    A = M − Mᵀ − γ I
    plain:  h ← h + ε tanh(A h + V x + b)
    gated:  z = σ(A h + V_z x + b_z)
            h ← h + ε z tanh(A h + Vₙ x + bₙ)            one A for both

Why the gradient survives: a step back multiplies it by I + ε Aᵀ diag(φ′), and the eigenvalues of M − Mᵀ have no real
part, so in the limit of small steps nothing is lost and nothing grows; −γ I takes back what steps of finite size add.
With steps as large as ε = 1, which the paper tries too, and no γ it grows without end.
"""

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State

CHECKED = (
    "the paper's equations and appendix C as others quote them; the authors gave no code, and γ = 0.01 is our choice"
)


def _paper(where: str) -> Paper:
    return Paper(
        "Chang, Chen, Haber & Chi",
        2019,
        "AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks",
        "https://arxiv.org/abs/1902.09689",
        where,
    )


def _antisymmetric(m: Float[Tensor, "hidden hidden"], gamma: float) -> Float[Tensor, "hidden hidden"]:
    return m - m.T - gamma * torch.eye(len(m), dtype=m.dtype, device=m.device)


def _draw(from_x: nn.Linear, hidden_size: int) -> nn.Parameter:
    """Draw V with variance 1/input and no bias; return M with variance 1/hidden."""
    nn.init.normal_(from_x.weight, std=1 / math.sqrt(from_x.in_features))
    nn.init.zeros_(from_x.bias)
    return nn.Parameter(torch.randn(hidden_size, hidden_size) / math.sqrt(hidden_size))


@final
class AntisymmetricRNN(Cell):
    """Residual network in time whose matrix is antisymmetric.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        epsilon: Size of a step; the paper tries 0.01, 0.1 and 1.
        gamma: Diffusion.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = AntisymmetricRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = _paper("with diffusion")
    checked = CHECKED
    gate_names = {"from_x": ("n",)}

    def __init__(
        self, input_size: int, hidden_size: int, epsilon: float = 0.01, gamma: float = 0.01, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.epsilon, self.gamma = epsilon, gamma
        self.from_x = nn.Linear(input_size, hidden_size)
        self.m = _draw(self.from_x, hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        a = _antisymmetric(self.m, self.gamma)
        return (h + self.epsilon * self.nonlinearity(h @ a.T + self.from_x(x)),)


@final
class GatedAntisymmetricRNN(Cell):
    """Residual network in time whose matrix is antisymmetric, with a gate that says how far a unit goes.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        epsilon: Size of a step; the paper tries 0.01, 0.1 and 1.
        gamma: Diffusion.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = GatedAntisymmetricRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = _paper("with diffusion and gate")
    checked = CHECKED
    gate_names = {"from_x": ("z", "n")}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.01,
        gamma: float = 0.01,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.epsilon, self.gamma = epsilon, gamma
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.m = _draw(self.from_x, hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        turned = h @ _antisymmetric(self.m, self.gamma).T
        xz, xn = self.from_x(x).chunk(2, dim=-1)
        return (h + self.epsilon * self.gate(turned + xz) * self.nonlinearity(turned + xn),)
