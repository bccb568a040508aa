r"""A highway through time: a gate of its own says for each unit how far the state is carried past the step.

    T = σ(W_T x + U_T h + b)        b starts at −2
    h ← (1 − T) h + T step(x, h)

Where T is near 0 a step back hands the gradient on as it is: 0.88 of it at first.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, draw_as_torch
from rnnvanish.mitigation import Build, Wrapper, wrap
from rnnvanish.mitigations.residual_through_time import first_part
from rnnvanish.recurrent import Recurrent


class _Highway(Wrapper):
    def __init__(self, cell: Cell) -> None:
        first = first_part(cell, "HighwayThroughTime")
        super().__init__(cell)
        units = first.shape[1]
        self.transform_x = nn.Linear(cell.input_size, units, bias=False).to(first)
        self.transform_h = nn.Linear(units, units).to(first)
        draw_as_torch(units, self.transform_x, self.transform_h)
        nn.init.constant_(self.transform_h.bias, -2.0)

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        h, *rest = self.cell(x, state, **wanted)
        transform = torch.sigmoid(self.transform_x(x) + self.transform_h(state[0]))
        return ((h - state[0]) * transform + state[0], *rest)


@dataclass(frozen=True)
class HighwayThroughTime(Build):
    """Carry the first part of the state, h, past each step by a gate that is learnt; other parts stay as they are.

    Examples:
        >>> layer = HighwayThroughTime()(nn.RNN(2, 8))
    """

    paper = Paper(
        "Zilly, Srivastava, Koutník & Schmidhuber",
        2017,
        "Recurrent Highway Networks",
        "https://arxiv.org/abs/1607.03474",
        where="of depth 1, around any cell; the gate is that of Srivastava, Greff & Schmidhuber (2015)",
    )
    checked = "authors' code, jzilly/RecurrentHighwayNetworks, as RHN in cells/rhn.py; there all weights are from U(−0.04, 0.04)"
    needs = "a cell whose first part of the state is a real number for each unit"
    invariant = "Each h lies between the one before and the one that the step itself makes, unit by unit."

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a cell whose h is no real number for each unit.
        """
        return wrap(layer, _Highway)
