r"""Unitary evolution network: complex numbers, turned by a product of unitary matrices that are cheap each.

    W h = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁ h       the right-most first
          D v = e^(−iθ) v                phases, unit by unit
          F                              the Fourier transform, divided by √n
          R v = v − 2 (v·r) r̄ / ‖r‖²     a reflection
          Π                              an order of the units, drawn once
    z   = W h + V x
    h ← z ReLU(|z| + b) / (|z| + 10⁻⁵)   the authors' modReLU
    output: Re h and Im h, side by side; the paper's read-out is a layer on both

Why the gradient survives: no singular value of W is other than 1, and the slope of modReLU is about 1 where it is not
0. Why it may die: where |z| is below −b.
"""

import math
from typing import final

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class URNN(Cell):
    """Unitary evolution recurrent network; its first state is learnt.

    Args:
        input_size: Features read at each step.
        hidden_size: How many complex numbers `h` has; the output is twice as wide.

    Examples:
        >>> cell = URNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape, h.dtype, cell.output_size
        (torch.Size([4, 8]), torch.complex64, 16)
    """

    paper = Paper(
        "Arjovsky, Shah & Bengio",
        2016,
        "Unitary Evolution Recurrent Neural Networks",
        "https://arxiv.org/abs/1511.06464",
        where="equations (6) and (8)",
    )
    checked = "authors' code, amarshah/complex_RNN models.py @ 3537fbfcca"
    gate_names = {"from_x": ("Re", "Im")}
    order: Tensor

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size, bias=False)
        nn.init.xavier_uniform_(self.from_x.weight)
        self.phases = nn.Parameter(torch.empty(3, hidden_size).uniform_(-math.pi, math.pi))
        bound = math.sqrt(6 / (2 + 2 * hidden_size))
        self.reflections = nn.Parameter(torch.empty(2, 2, hidden_size).uniform_(-bound, bound))  # Re and Im of each
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-0.01, 0.01))
        bound = math.sqrt(3 / (2 * hidden_size))
        self.h0 = nn.Parameter(torch.empty(2, hidden_size).uniform_(-bound, bound))
        self.register_buffer("order", torch.randperm(hidden_size))

    @property
    def output_size(self) -> int:
        """Width of the output: that of the real and of the imaginary part."""
        return 2 * self.hidden_size

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step, which is learnt."""
        return (torch.complex(*self.h0.to(x.dtype)).expand(x.shape[0], -1),)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        d1, d2, d3 = torch.polar(torch.ones_like(self.phases), -self.phases)
        r1, r2 = torch.complex(self.reflections[:, 0], self.reflections[:, 1])
        h = _reflect(torch.fft.fft(d1 * h, norm="ortho"), r1)
        h = torch.fft.ifft(d2 * h[:, self.order], norm="ortho")
        re, im = self.from_x(x).to(self.bias.dtype).chunk(2, dim=-1)
        z = d3 * _reflect(h, r2) + torch.complex(re, im)
        return (z * (torch.relu(z.abs() + self.bias) / (z.abs() + 1e-5)),)

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch output"]:
        """Hand on the real and the imaginary part."""
        return torch.cat([after[0].real, after[0].imag], dim=-1)


def _reflect(v: Complex[Tensor, "batch hidden"], r: Complex[Tensor, " hidden"]) -> Complex[Tensor, "batch hidden"]:
    return v - 2 * (v @ r)[:, None] * r.conj() / r.abs().square().sum()
