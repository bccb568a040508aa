r"""FastRNN and FastGRNN: a plain recurrent network beside a path that is nearly the identity, made small.

    FastRNN:   n = tanh(W x + U h + b)                  FastGRNN:  p = W x + U h       one product for gate and unit
               h ← σ(α) n + σ(β) h                                 z = σ(p + b_z)
                                                                   n = tanh(p + bₙ)
                                                                   h ← (σ(ζ) (1 − z) + σ(ν)) n + z h

Why the gradient survives: α starts at −3 and β at 3, so 0.95 of it is handed on past weights and slopes, and as long as
α is small these add little; in FastGRNN it is z of it. Why it still fades: both are below 1.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State

CHECKED = "authors' code, microsoft/EdgeML pytorch/edgeml_pytorch/graph/rnn.py @ 81025fce8b"


def _paper(where: str) -> Paper:
    return Paper(
        "Kusupati et al.",
        2018,
        "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized Gated Recurrent Neural Network",
        "https://arxiv.org/abs/1901.02358",
        where,
    )


@final
class FastRNN(Cell):
    """Weighted residual connection: two scalars say how much is written and how much is kept.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = FastRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = _paper("equation (2)")
    checked = CHECKED
    gate_names = dict.fromkeys(("from_x", "from_h"), ("h",))

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.normal_(self.from_x.weight, std=0.1)
        nn.init.normal_(self.from_h.weight, std=0.1)
        nn.init.ones_(self.from_x.bias)
        self.alpha = nn.Parameter(torch.tensor(-3.0))
        self.beta = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        n = self.nonlinearity(self.from_x(x) + self.from_h(h))
        return (torch.sigmoid(self.alpha) * n + torch.sigmoid(self.beta) * h,)


@final
class FastGRNN(Cell):
    """Gate and new value share their weights: hardly more parameters than a plain recurrent network.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> cell = FastGRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = _paper("equation (6)")
    checked = CHECKED
    gate_names = dict.fromkeys(("from_x", "from_h"), ("p",))

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", gate_nonlinearity: str = "sigmoid"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, hidden_size, bias=False)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.normal_(self.from_x.weight, std=0.1)
        nn.init.normal_(self.from_h.weight, std=0.1)
        self.bias_z = nn.Parameter(torch.ones(hidden_size))
        self.bias_n = nn.Parameter(torch.ones(hidden_size))
        self.zeta = nn.Parameter(torch.tensor(1.0))
        self.nu = nn.Parameter(torch.tensor(-4.0))

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        p = self.from_x(x) + self.from_h(h)
        z = self.gate(p + self.bias_z)
        n = self.nonlinearity(p + self.bias_n)
        return ((torch.sigmoid(self.zeta) * (1 - z) + torch.sigmoid(self.nu)) * n + z * h,)
