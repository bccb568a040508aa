r"""Linear recurrent unit: complex numbers that turn and shrink, each by itself, and nothing between them.

    λ = exp(−e^ν + i e^θ)                       |λ| < 1, whatever is learnt
    s ← λ s + e^γ B x
    y = Re(C s) + D x                           handed on, not fed back

Why the gradient survives: a step back multiplies it by λ, no matrix and no slope, so k steps by |λ|ᵏ. The draw places
|λ| between `r_min` and `r_max`, and e^γ = √(1 − |λ|²) keeps what is read at the size of what is forgotten.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class LRU(Cell):
    """Linear recurrent unit, without the block around it.

    The paper's D is a vector, for as many outputs as inputs; here it is a matrix, of the same variance.

    Args:
        input_size: Features read at each step.
        hidden_size: Complex numbers in `s`, and width of the output.
        r_min: Smallest |λ| drawn; the closer to 1, the longer the memory.
        r_max: Largest |λ| drawn.
        max_phase: Largest angle of λ drawn, in radians a step.

    Examples:
        >>> cell = LRU(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (s,) = cell(x, cell.initial_state(x))
        >>> s.dtype, cell.output(x, (s,), (s,)).shape
        (torch.complex64, torch.Size([4, 8]))
    """

    paper = Paper(
        "Orvieto et al.",
        2023,
        "Resurrecting Recurrent Neural Networks for Long Sequences",
        "https://arxiv.org/abs/2303.06349",
        where="appendix A",
    )
    checked = "code after the paper's appendix A, NicolasZucchet/minimal-LRU lru/model.py @ bbd71b1104"
    state_names = ("s",)

    def __init__(
        self, input_size: int, hidden_size: int, r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 6.28
    ) -> None:
        super().__init__(input_size, hidden_size)
        share = 1 - torch.rand(hidden_size)  # never 0, of whose logarithm there is no gradient
        squared = share * (r_max**2 - r_min**2) + r_min**2  # |λ|²: λ is uniform on the ring
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.theta = nn.Parameter(torch.log(max_phase * torch.rand(hidden_size)))
        self.gamma = nn.Parameter(0.5 * torch.log(1 - squared))
        self.b_re = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(2 * input_size))
        self.b_im = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(2 * input_size))
        self.c_re = nn.Parameter(torch.randn(hidden_size, hidden_size) / math.sqrt(hidden_size))
        self.c_im = nn.Parameter(torch.randn(hidden_size, hidden_size) / math.sqrt(hidden_size))
        self.d = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros, complex."""
        return (x.new_zeros(x.shape[0], self.hidden_size, dtype=x.dtype.to_complex()),)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (s,) = state
        decay = torch.exp(torch.complex(-self.nu.exp(), self.theta.exp()))
        re, im = ((x @ b.T).to(self.gamma.dtype) for b in (self.b_re, self.b_im))  # bfloat16 has no complex arithmetic
        u = torch.complex(re, im)
        return (decay * s + self.gamma.exp() * u,)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Read the state out."""
        (s,) = after
        return (s @ torch.complex(self.c_re, self.c_im).T).real + x @ self.d.T
