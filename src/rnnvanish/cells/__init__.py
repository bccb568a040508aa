"""Recurrent cells, one file each.

A new cell is its file, one import and its name in `__all__`.
"""

from rnnvanish.cell import Cell
from rnnvanish.cells.elman import Elman
from rnnvanish.cells.gru import GRU
from rnnvanish.cells.lstm import LSTM

__all__ = ["ALL", "GRU", "LSTM", "Elman"]

#: Every cell by its name.
ALL: dict[str, type[Cell]] = {name: globals()[name] for name in sorted(__all__) if name != "ALL"}
