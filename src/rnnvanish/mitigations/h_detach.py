r"""h-detach: at some steps, at random, no gradient goes back through the recurrent matrices.

    c_t = f c_{t−1} + i g        f, i, g read h_{t−1}, which is detached with probability p

What is left is the way through the gates: c_{t−1} to c_t costs f and nothing else. Where that keeps what is far back,
the many short ways through h no longer drown it.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.mitigations.truncated_backpropagation import detach_where
from rnnvanish.mitigations.variational_dropout import reading_through, state_layers
from rnnvanish.recurrent import Recurrent


class _Detaching(Wrapper):
    def __init__(self, cell: Cell, probability: float) -> None:
        super().__init__(cell)
        if innermost(cell).keeps is None:
            raise ValueError(
                f"HDetach needs a cell with a gate that keeps its state, as LSTM and GRU have, got {type(innermost(cell)).__name__}: "
                "there it would cut every way back."
            )
        self.layers, self.probability = state_layers(cell, "HDetach"), probability

    @property
    def hands_back_derivative(self) -> bool:
        """Not in training."""
        return not self.training

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        if not self.training:
            return super().forward(x, state, **wanted)
        detached = torch.rand_like(x.real[:, :1]) < self.probability
        with reading_through(self, self.layers, lambda matrix, read: detach_where(detached, read)):
            return super().forward(x, state, **wanted)


@dataclass(frozen=True)
class HDetach(Build):
    """Detach what the recurrent matrices read, for each sequence and step with some probability, in training.

    Values are those of the plain layer; in evaluation the gradient is, too. Measured in training, `probes.retention` shows
    what training gets, one draw of it; what takes steps again (Jacobians, shares) refuses. Of a GRU the way that is left
    is z h. A reset gate before the matrix learns nothing from a step that is cut.

    Attributes:
        probability: Of detaching.

    Raises:
        ValueError: For a probability outside [0, 1].
    """

    paper = Paper(
        "Arpit, Kanuparthi, Kerg, Ke, Mitliagkas & Bengio",
        2019,
        "h-detach: Modifying the LSTM Gradient Towards Better Optimization",
        "https://arxiv.org/abs/1810.03023",
    )
    checked = (
        "authors' code, bhargav104/h-detach copying.py @ fc99419: h alone, before the step; there one coin serves the whole "
        "batch, here each sequence has its own, and they end it some epochs before training does; p = 0.25 as in its README"
    )
    invariant = (
        "Outputs are those of the plain layer; with probability 1 a step back costs an LSTM's c its forget gate alone."
    )
    needs = "a cell with a gate that keeps its state, and a linear layer that its state goes through"
    probability: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"HDetach needs a probability in [0, 1], got {self.probability}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a cell that it does not suit.
        """
        return wrap(layer, partial(_Detaching, probability=self.probability))
