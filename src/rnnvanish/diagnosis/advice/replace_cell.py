"""Another cell in the place of a model's recurrent layers: the cure where no start mends the one that is there."""

from dataclasses import dataclass

from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import Build
from rnnvanish.mitigations import OpenGate
from rnnvanish.names import lookup
from rnnvanish.recurrent import Recurrent

#: What may take a cell's place, by name: cells with a gate that keeps the state, and a twin in torch; the smallest state
#: first, which fits where one part of a state is taken on.
GATED_CELLS: dict[str, type[Cell]] = {
    name: cell
    for name, cell in sorted(cells.ALL.items(), key=lambda each: len(each[1].state_names))
    if cell.keeps and cell.torch_twin
}


@dataclass(frozen=True)
class Swap(Build):
    """Put a gated cell in the place of each recurrent layer's own, with new weights and an open gate.

    Sizes, layers, directions and dropout stay. In the place of a torch layer with one part of the state, an LSTM hands
    back h alone; a model that takes the two parts of an LSTM apart has to be changed for a GRU.

    Args:
        cell: Name of a cell that keeps its state by a gate and that torch has, too: "GRU" or "LSTM".
        bias: Of the gate that keeps the state, before the sigmoid.

    Raises:
        ValueError: For another cell.

    Examples:
        >>> layer = Swap("GRU")(nn.RNN(2, 8))
        >>> type(layer.cells[0]).__name__
        'GRU'
    """

    cell: str = next(iter(GATED_CELLS))
    bias: float = 3.0

    paper = Paper(
        "Jozefowicz, Zaremba & Sutskever",
        2015,
        "An Empirical Exploration of Recurrent Network Architectures",
        "https://proceedings.mlr.press/v37/jozefowicz15.html",
    )
    invariant = "The layer computes with the new cell, whose gate that keeps the state starts open."

    def __post_init__(self) -> None:
        lookup("cell", self.cell, GATED_CELLS)

    def build(self, layer: Recurrent) -> nn.Module:
        """Draw the new layer."""
        new = Recurrent(
            GATED_CELLS[self.cell],
            layer.input_size,
            layer.output_size,  # what the rest of the model reads
            num_layers=layer.num_layers,
            bidirectional=layer.bidirectional,
            batch_first=layer.batch_first,
            dropout=layer.dropout,
            skip=layer.skip,
        )
        new.named_as_torch, new.torch_parts = layer.named_as_torch, layer.torch_parts
        weight = next(layer.parameters())
        return OpenGate(self.bias)(new.to(device=weight.device, dtype=weight.dtype).train(layer.training))
