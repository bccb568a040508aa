"""Another cell in the place of a model's recurrent layers: the cure where no start mends the one that is there."""

from dataclasses import dataclass

from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import Build
from rnnvanish.mitigations import OpenGate
from rnnvanish.names import lookup
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class Swap(Build):
    """Put a gated cell in the place of each recurrent layer's own, with new weights and an open gate.

    Sizes, layers, directions and dropout stay. In the place of a torch layer with one part of the state, an LSTM hands
    back h alone; a model that takes the two parts of an LSTM apart has to be changed for a GRU.

    Args:
        cell: Name of the cell, "LSTM" or "GRU".
        bias: Of the gate that keeps the state, before the sigmoid.

    Raises:
        ValueError: For another cell.

    Examples:
        >>> layer = Swap("GRU")(nn.RNN(2, 8))
        >>> type(layer.cells[0]).__name__
        'GRU'
    """

    cell: str = "GRU"
    bias: float = 3.0

    paper = Paper(
        "Jozefowicz, Zaremba & Sutskever",
        2015,
        "An Empirical Exploration of Recurrent Network Architectures",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
    )
    invariant = "The layer computes with the new cell, whose gate that keeps the state starts open."

    def __post_init__(self) -> None:
        lookup("cell", self.cell, _GATED)

    def build(self, layer: Recurrent) -> nn.Module:
        """Draw the new layer."""
        new = Recurrent(
            _GATED[self.cell],
            layer.input_size,
            layer.hidden_size,
            num_layers=layer.num_layers,
            bidirectional=layer.bidirectional,
            batch_first=layer.batch_first,
            dropout=layer.dropout,
            skip=layer.skip,
        )
        new.named_as_torch, new.torch_parts = layer.named_as_torch, layer.torch_parts
        weight = next(layer.parameters())
        return OpenGate(self.bias)(new.to(device=weight.device, dtype=weight.dtype).train(layer.training))


_GATED: dict[str, type[Cell]] = {"LSTM": cells.LSTM, "GRU": cells.GRU}
