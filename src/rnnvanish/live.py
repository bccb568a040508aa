"""The recurrent layers of a user's model, and a cell over the live weights of each of their loops."""

from typing import cast

import torch
from torch import nn

from rnnvanish.cell import Cell
from rnnvanish.recurrent import TORCH_CELLS, TORCH_NAMES, Recurrent

RECURRENT = (nn.RNNBase, Recurrent)


def recurrent_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The recurrent modules in `model` by name; one that stands alone is named by its class."""
    named = model.named_modules()
    return {name or type(model).__name__: module for name, module in named if isinstance(module, RECURRENT)}


def live_cells(model: nn.Module) -> list[Cell]:
    """A cell for every loop of `model`, layer by layer, forward before reverse: what is written to it, the model has.

    Examples:
        >>> layer = nn.LSTM(2, 3)
        >>> (cell,) = live_cells(layer)
        >>> cell.from_h.weight is layer.weight_hh_l0
        True
    """
    return [cell for module in recurrent_modules(model).values() for cell in _cells_of(module)]


def torch_suffixes(module: nn.RNNBase) -> list[str]:
    """What torch appends to the names of the weights of each loop."""
    sides = ("", "_reverse") if module.bidirectional else ("",)
    return [f"_l{layer}{side}" for layer in range(module.num_layers) for side in sides]


def _cells_of(module: nn.Module) -> list[Cell]:
    if isinstance(module, nn.RNNBase):
        return [_over(module, suffix) for suffix in torch_suffixes(module)]
    return list(cast(list[Cell], cast(Recurrent, module).cells))


def _over(module: nn.RNNBase, suffix: str) -> Cell:
    """The cell with the equations of torch's module, over the module's own weights."""
    with torch.device("meta"):  # weights of its own are never drawn
        cell = TORCH_CELLS[module.mode](1, module.hidden_size)
    for theirs, ours in TORCH_NAMES.items():
        owner, _, parameter = ours.partition(".")
        linear = cell.get_submodule(owner)
        delattr(linear, parameter)
        there = module.bias or not theirs.startswith("bias")
        setattr(linear, parameter, getattr(module, theirs + suffix) if there else None)
    return cell
