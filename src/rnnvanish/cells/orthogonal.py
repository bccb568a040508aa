r"""Orthogonal networks: the recurrent matrix is orthogonal by what it is made of, whatever training does.

    expRNN:       Q = exp(A − Aᵀ)                           A above the diagonal, h Q: a row times a matrix
                  h ← modReLU(W x + h Q)
    scoRNN:       S = A − Aᵀ
                  Q = (I + S)⁻¹ (I − S) D                   Cayley; D is 1 and −1 on the diagonal
                  h ← modReLU(W x + h Q)
    Householder:  Q = (I − 2 u₁ u₁ᵀ) … (I − 2 uₘ uₘᵀ) D     each u of length 1, the k-th zero above row k
                  h ← f(W x + b + Q h)                      f leaves what is above zero, and a tenth below
    modReLU(z) = sign(z) ReLU(|z| + b)

Why the gradient survives: no singular value of the matrix is other than 1, and the slope of modReLU is 1 where it is
not 0. Why it may die: where |z| is below −b, or behind the flat side of the leaky ReLU.
"""

import math
from types import MappingProxyType
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


def modrelu(z: Float[Tensor, "batch hidden"], bias: Float[Tensor, " hidden"]) -> Float[Tensor, "batch hidden"]:
    """Move the size of a number by a bias, down to zero, and keep its sign."""
    return torch.sign(z) * torch.relu(z.abs() + bias)


def skew(a: Float[Tensor, "hidden hidden"]) -> Float[Tensor, "hidden hidden"]:
    """Make an antisymmetric matrix of what stands above the diagonal."""
    return a.triu(1) - a.triu(1).T


def in_pairs(values: Float[Tensor, " pairs"], hidden_size: int) -> nn.Parameter:
    """Set values into the matrix of `skew` so that each turns two units next to each other."""
    a = torch.zeros(hidden_size, hidden_size)
    first = 2 * torch.arange(len(values))
    a[first, first + 1] = values
    return nn.Parameter(a)


@final
class ExpRNN(Cell):
    """Orthogonal network by the exponential of an antisymmetric matrix, from I as its base.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.

    Examples:
        >>> cell = ExpRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Lezcano-Casado & Martínez-Rubio",
        2019,
        "Cheap Orthogonal Constraints in Neural Networks: A Simple Parametrization of the Orthogonal and Unitary Group",
        "https://arxiv.org/abs/1901.08428",
    )
    checked = 'authors\' code, Lezcano/expRNN orthogonal.py and initialization.py ("henaff") @ 830ec83652'
    gate_names = {"from_x": ("h",)}
    skew = MappingProxyType({"a": "exp"})

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.kaiming_normal_(self.from_x.weight)
        self.a = in_pairs(torch.empty(hidden_size // 2).uniform_(-math.pi, math.pi), hidden_size)
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-0.01, 0.01))

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        q = torch.linalg.matrix_exp(skew(self.a))
        return (modrelu(self.from_x(x) + h @ q, self.bias),)


@final
class ScoRNN(Cell):
    """Orthogonal network by the scaled Cayley transform.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        negative: How many of the last numbers on the diagonal of D are −1; the authors take from a tenth to a half.

    Examples:
        >>> cell = ScoRNN(input_size=2, hidden_size=8, negative=4)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Helfrich, Willmott & Ye",
        2018,
        "Orthogonal Recurrent Neural Networks with Scaled Cayley Transform",
        "https://arxiv.org/abs/1707.09520",
    )
    checked = "authors' code, SpartinStuff/scoRNN scoRNN.py and scoRNN_copying.py @ d390c9bac6"
    gate_names = {"from_x": ("h",)}
    skew = MappingProxyType({"a": "cayley"})
    d: Tensor

    def __init__(self, input_size: int, hidden_size: int, negative: int = 0) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 <= negative <= hidden_size:
            raise ValueError(f"ScoRNN needs negative from 0 to {hidden_size}, its hidden_size, got {negative}.")
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.uniform_(self.from_x.weight, -0.01, 0.01)
        angles = torch.empty(hidden_size // 2).uniform_(0, math.pi / 2)
        self.a = in_pairs(-torch.tan(angles / 2), hidden_size)
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.register_buffer("d", torch.ones(hidden_size))
        self.d[hidden_size - negative :] = -1

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        s, eye = skew(self.a), torch.eye(self.hidden_size, dtype=self.a.dtype, device=self.a.device)
        q = torch.linalg.solve(eye + s, eye - s) * self.d
        return (modrelu(self.from_x(x) + h @ q, self.bias),)


@final
class HouseholderRNN(Cell):
    """Orthogonal network by reflections (oRNN); its first state is learnt.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        reflections: m, from 1 to `hidden_size`, which None means. With as many as that the last is no more than the sign
            of one unit, drawn once.

    Examples:
        >>> cell = HouseholderRNN(input_size=2, hidden_size=8, reflections=3)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Mhammedi, Hellicar, Rahman & Bailey",
        2017,
        "Efficient Orthogonal Parametrisation of Recurrent Neural Networks Using Householder Reflections",
        "https://arxiv.org/abs/1612.00188",
    )
    checked = "authors' code, zmhammedi/Orthogonal_RNN RNN_models.py, C_fun.c and sgd.py @ ccfff9915e"
    gate_names = {"from_x": ("h",)}
    d: Tensor

    def __init__(self, input_size: int, hidden_size: int, reflections: int | None = None) -> None:
        super().__init__(input_size, hidden_size)
        reflections = hidden_size if reflections is None else reflections
        if not 1 <= reflections <= hidden_size:
            raise ValueError(
                f"HouseholderRNN needs 1 to {hidden_size} reflections, its hidden_size, got {reflections}."
            )
        self.from_x = nn.Linear(input_size, hidden_size)
        nn.init.xavier_uniform_(self.from_x.weight)
        nn.init.zeros_(self.from_x.bias)
        u = torch.randn(hidden_size, min(reflections, hidden_size - 1)).tril()
        self.u = nn.Parameter(u / u.norm(dim=0))
        bound = math.sqrt(3 / (2 * hidden_size))
        self.h0 = nn.Parameter(torch.empty(hidden_size).uniform_(-bound, bound))
        self.register_buffer("d", torch.ones(hidden_size))
        if reflections == hidden_size:
            self.d[-1] = torch.sign(torch.randn(()))

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step, which is learnt."""
        return (self.h0.to(x.dtype).expand(x.shape[0], -1),)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        u, eye = self.u.tril(), torch.eye(self.hidden_size, dtype=self.u.dtype, device=self.u.device)
        # The product of all reflections at once, whatever their lengths: I − U T⁻¹ Uᵀ.
        overlaps = (u.T @ u).to(self.u.dtype)  # in 16 bits nothing is solved
        t = overlaps.triu(1) + overlaps.diagonal().diag() / 2
        q = (eye - u @ torch.linalg.solve_triangular(t, u.T, upper=True)) * self.d
        return (nn.functional.leaky_relu(self.from_x(x) + h @ q.T, 0.1),)
