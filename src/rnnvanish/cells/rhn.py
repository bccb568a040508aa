r"""Recurrent highway network: within one step the state passes several layers, and gates let most of it by.

    s = h;  for l = 1 … L:     (x is read by the first layer alone)
        g = tanh(W_g x + R_gˡ s + b_gˡ)
        t = σ(W_t x + R_tˡ s + b_tˡ)
        s ← (g − s) t + s
    h ← s

Why the gradient survives: where t is near 0 a layer hands the state on as it is, and its bias starts at −2, so that
0.88 of it passes. Why it often does not: a step has L of these layers, and 0.88 to the power of L is little.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State


@final
class RHN(Cell):
    """Highway layers within a step, the carry gate coupled to the transform gate.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`.
        depth: L, layers within a step.
        bias: At what the biases of the gates t start.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Examples:
        >>> import torch
        >>> cell = RHN(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> (h,) = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = Paper(
        "Zilly, Srivastava, Koutník & Schmidhuber",
        2017,
        "Recurrent Highway Networks",
        "https://arxiv.org/abs/1607.03474",
    )
    checked = "authors' code, jzilly/RecurrentHighwayNetworks rhn.py and rhn_train.py @ 9ab03a36ed"
    small = {"depth": 2}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        depth: int = 4,
        bias: float = -2.0,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if depth < 1:
            raise ValueError(f"RHN needs depth >= 1, got {depth}.")
        self.depth = depth
        self.from_x = nn.Linear(input_size, 2 * hidden_size, bias=False)
        for level in range(1, depth + 1):
            self.add_module(f"from_s{level}", nn.Linear(hidden_size, 2 * hidden_size))
        self.gate_names = {"from_x": ("g1", "t1")}
        self.gate_names |= {f"from_s{level}": (f"g{level}", f"t{level}") for level in range(1, depth + 1)}
        for name, parameter in self.named_parameters():
            nn.init.uniform_(parameter, -0.04, 0.04)
            if name.endswith("bias"):
                nn.init.constant_(parameter[hidden_size:], bias)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        (s,) = state
        for level in range(1, self.depth + 1):
            mixed = self.get_submodule(f"from_s{level}")(s)
            if level == 1:
                mixed = mixed + self.from_x(x)
            g, t = mixed.chunk(2, dim=-1)
            s = (self.nonlinearity(g) - s) * self.gate(t) + s
        return (s,)
