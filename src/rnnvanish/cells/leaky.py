r"""Leaky integrator: a unit goes only a part of the way to its new value.

    n = tanh(W x + U h + b)
    h ← (1 − a) h + a n

Why the gradient survives: 1 − a of it is handed on past weights and slopes, at every step. Why it dies all the same:
that is (1 − a)ᵏ of it after k steps, so a memory of about 1/a steps, which no training changes.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_as_torch


@final
class LeakyRNN(Cell):
    """Plain recurrent network of leaky integrators.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        leak: a, from 0 (nothing moves) to 1 (the plain network).
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> import torch
        >>> cell = LeakyRNN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Jaeger, Lukoševičius, Popovici & Siewert",
        2007,
        "Optimization and applications of echo state networks with leaky-integrator neurons",
        "https://doi.org/10.1016/j.neunet.2007.04.016",
    )
    checked = "minimalESN.py of Lukoševičius (2012): a = 0.3; weights, there fixed, as torch.nn.RNN draws them"
    gate_names = dict.fromkeys(("from_x", "from_h"), ("h",))

    def __init__(self, input_size: int, hidden_size: int, leak: float = 0.3, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        if not 0 < leak <= 1:
            raise ValueError(f"LeakyRNN needs a leak above 0 and at most 1, got {leak}.")
        self.leak = leak
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        draw_as_torch(hidden_size, self.from_x, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        n = self.nonlinearity(self.from_x(x) + self.from_h(h))
        return ((1 - self.leak) * h + self.leak * n,)
