r"""Addition-subtraction twin-gated recurrent network: two gates of one product each for input and state.

    p = W x + b
    q = U h + b′
    h ← σ(p + q) p + σ(p − q) h               the second gate closes where q grows

Why the gradient survives: a step back multiplies it by σ(p − q), no matrix and no slope, beside the ways through the
gates; h is not squashed. At the start both gates are about one half. Neither has weights of its own: what opens the
one by the state closes the other.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_uniform


@final
class ATR(Cell):
    """Addition-subtraction twin-gated recurrent network. Weights and biases begin in U(-0.08, 0.08).

    No block of its weights makes the gate that keeps the state, the difference of two.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = ATR(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Zhang et al.",
        2018,
        "Simplifying Neural Machine Translation with Addition-Subtraction Twin-Gated Recurrent Networks",
        "https://arxiv.org/abs/1810.12546",
    )
    checked = "authors' code, bzhangGo/ATR lm/pytorch-lm/rnn/atr.py @ 4283f69aad"
    gate_names = {"from_x": ("p",), "from_h": ("q",)}

    def __init__(self, input_size: int, hidden_size: int, gate_nonlinearity: str = "sigmoid") -> None:
        super().__init__(input_size, hidden_size)
        self.gate = self.gate_function(gate_nonlinearity)
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size)
        draw_uniform(0.08, self.from_x, self.from_h)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (h,) = state
        p, q = self.from_x(x), self.from_h(h)
        return (self.gate(p + q) * p + self.gate(p - q) * h,)
