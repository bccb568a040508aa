r"""MIST, mixed history: a step reads states of long ago as well, as many of each as it likes.

    a   = softmax(Wₐ x + Uₐ h₋₁ + bₐ)         one number for each delay d
    r   = σ(W_r x + U_r h₋₁ + b_r)
    h ← tanh(Wₙ x + Uₙ (r Σ_d a_d h₋_d) + bₙ)

Why the gradient survives: with delays 1, 2, 4, ... there is a way back over any distance n that takes about log₂ n
steps, where a step by step one takes n. Each costs a matrix, a slope, a gate and a share of one: at the draw, an eighth.
"""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State

EXPONENTIAL = (1, 2, 4, 8, 16, 32, 64, 128)


@final
class MIST(Cell):
    """Mixed-history recurrent network.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`, and of each state that is remembered.
        delays: How many steps ago the states that are mixed were.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Raises:
        ValueError: For a delay of no step, or none at all.

    Examples:
        >>> cell = MIST(input_size=2, hidden_size=8, delays=(1, 2, 5))
        >>> x = torch.zeros(4, 2)
        >>> h, past = cell(x, cell.initial_state(x))
        >>> h.shape, past.shape
        (torch.Size([4, 8]), torch.Size([4, 4, 8]))
    """

    paper = Paper(
        "DiPietro et al.",
        2017,
        "Analyzing and Exploiting NARX Recurrent Neural Networks for Long-Term Dependencies",
        "https://arxiv.org/abs/1702.07805",
        where="section 4",
    )
    checked = "authors' code, rdipietro/mist-rnns layers.py and models.py @ 765594db69"
    gate_names = {"from_x": ("r", "n"), "from_h": ("r",), "from_past": ("n",)}
    small = {"delays": (1, 2, 4)}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        delays: Sequence[int] = EXPONENTIAL,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not delays or min(delays) < 1:
            raise ValueError(f"MIST needs delays of at least one step, got {delays}.")
        self.delays = tuple(delays)
        self.state_names = ("h", "past") if max(delays) > 1 else ("h",)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_past = nn.Linear(hidden_size, hidden_size, bias=False)
        self.share_from_x = nn.Linear(input_size, len(delays))
        self.share_from_h = nn.Linear(hidden_size, len(delays), bias=False)
        for name, parameter in self.named_parameters():
            nn.init.normal_(parameter, std=0.0 if name.endswith("bias") else hidden_size**-0.5)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros, also for those long ago, the latest first."""
        h, past = (
            x.new_zeros(x.shape[0], self.hidden_size),
            x.new_zeros(x.shape[0], max(self.delays) - 1, self.hidden_size),
        )
        return (h, past)[: len(self.state_names)]

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, *older = state
        history = torch.cat([h.unsqueeze(1), *older], dim=1)
        share = torch.softmax(self.share_from_x(x) + self.share_from_h(h), dim=-1)
        mixed = sum(share[:, place, None] * history[:, delay - 1] for place, delay in enumerate(self.delays))
        xr, xn = self.from_x(x).chunk(2, dim=-1)
        r = self.gate(xr + self.from_h(h))
        new = self.nonlinearity(xn + self.from_past(r * mixed))
        return (new, history[:, :-1])[: len(state)]
