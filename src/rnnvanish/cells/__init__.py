"""Recurrent cells, one file each.

A new cell is its file, one import and one entry of `ALL`.
"""

from rnnvanish.cell import Cell
from rnnvanish.cells.elman import Elman
from rnnvanish.cells.gru import GRU
from rnnvanish.cells.lstm import LSTM

#: Every cell by its name.
ALL: dict[str, type[Cell]] = {cell.__name__: cell for cell in (Elman, GRU, LSTM)}

__all__ = ["ALL", "GRU", "LSTM", "Elman"]
