r"""Coupled gates: what is forgotten makes room for what is written, by one gate.

    i = 1 − f        σ(−z) = 1 − σ(z): the weights and biases of i are minus those of f

A third or a quarter fewer weights, and a memory that stays in the range of what is written. The more is kept, the less
can be written.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import Build, innermost
from rnnvanish.recurrent import Recurrent


class _Coupled(nn.Module):
    """Makes the rows of one gate of those of another."""

    def __init__(self, gates: tuple[str, ...], keeps: str, writes: str, sign: float) -> None:
        super().__init__()
        self.gates, self.keeps, self.writes, self.sign = gates, keeps, writes, sign

    def forward(self, rest: Tensor) -> Tensor:
        others = [gate for gate in self.gates if gate != self.writes]
        rows = dict(zip(others, rest.chunk(len(others)), strict=True))
        rows[self.writes] = self.sign * rows[self.keeps]
        return torch.cat([rows[gate] for gate in self.gates])

    def right_inverse(self, whole: Tensor) -> Tensor:
        blocks = zip(self.gates, whole.chunk(len(self.gates)), strict=True)
        return torch.cat([rows for gate, rows in blocks if gate != self.writes])


@dataclass(frozen=True)
class CoupledGates(Build):
    """Let the gate that writes be what the gate that keeps leaves, by a parametrization; the latter starts as it was.

    Examples:
        >>> layer = CoupledGates()(nn.LSTM(2, 8))
        >>> sum(weight.numel() for weight in layer.parameters())
        288
    """

    paper = Paper(
        "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber",
        2017,
        "LSTM: A Search Space Odyssey",
        "https://arxiv.org/abs/1503.04069",
        where="CIFG",
    )
    checked = (
        "TensorFlow's CoupledInputForgetGateLSTMCell, as CoupledLSTM in cells/coupled_lstm.py; the paper has f = 1 − i, which "
        "is the same but for the start of the bias"
    )
    needs = "a gate that keeps the state and another that writes, of a linear layer each reads alone, as nn.LSTM has"
    invariant = "The gate that keeps and the gate that writes add up to one."

    def build(self, layer: Recurrent) -> Recurrent:
        """Couple the gates of each cell.

        Raises:
            ValueError: For a cell without two such gates, or whose gates read more than its linear layers, as peepholes do.
        """
        found = [each for cell in layer.cells for each in _coupled_layers(innermost(cast(Cell, cell)))]
        for linear, coupled in found:  # where one does not suit, none is changed
            for name in ("weight", "bias"):
                if getattr(linear, name) is not None:
                    parametrize.register_parametrization(linear, name, coupled, unsafe=True)  # it changes the shape
        return layer


def _coupled_layers(cell: Cell) -> list[tuple[nn.Linear, _Coupled]]:
    """The layers of a cell that make both gates, with what couples them; a ValueError where they cannot be coupled."""
    keeps, name = cell.keeps, type(cell).__name__
    both = [
        (cast(nn.Linear, cell.get_submodule(layer)), gates)
        for layer, gates in cell.gate_names.items()
        if keeps is not None and {keeps.gate, keeps.writes} <= set(gates)
    ]
    beside = {path for path, _ in cell.named_parameters() if "." not in path}
    if keeps is None or not both or beside:
        raise ValueError(f"CoupledGates needs {CoupledGates.needs}; got {name}.")
    if any(parametrize.is_parametrized(linear) or type(linear) is not nn.Linear for linear, _ in both):
        raise ValueError(
            "CoupledGates needs plain linear layers: couple gates before constraints, and do not normalise."
        )
    sign = 1.0 if keeps.closed else -1.0
    return [(linear, _Coupled(gates, keeps.gate, keeps.writes, sign)) for linear, gates in both]
