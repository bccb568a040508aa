"""Recurrent cells, one file each, or one a family of one idea.

A new cell is its file and a line here.
"""

from rnnvanish.cell import Cell
from rnnvanish.cells.elman import Elman as Elman
from rnnvanish.cells.gru import GRU as GRU
from rnnvanish.cells.lstm import LSTM as LSTM
from rnnvanish.cells.minrnn import MinGRU as MinGRU
from rnnvanish.cells.minrnn import MinLSTM as MinLSTM

#: Every cell by its name.
ALL: dict[str, type[Cell]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Cell) and value is not Cell
}
__all__ = [*ALL]  # noqa: PLE0604  (its names are those of the classes)
