"""A constraint: a build that has a weight computed from others, by a parametrization of `torch.nn.utils.parametrize`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish.cell import Cell, recurrent_layers
from rnnvanish.compat.modules import drop_hooks, forget_computed_weights
from rnnvanish.mitigation.build import Build
from rnnvanish.mitigation.wrapper import innermost
from rnnvanish.names import did_you_mean, listed
from rnnvanish.recurrent import Recurrent


class Stacked(nn.Module):
    """Gates that are kept apart, (gates, units, read), as cells read them: (gates * units, read); and the inverse."""

    def __init__(self, gates: int) -> None:
        super().__init__()
        self.gates = gates

    def forward(self, apart: Tensor) -> Tensor:
        """Join the gates."""
        return apart.flatten(0, 1)

    def right_inverse(self, stacked: Tensor) -> Tensor:
        """Take them apart."""
        return stacked.reshape(self.gates, -1, stacked.shape[1])


@dataclass(frozen=True)
class Constraint(Build):
    """Holds weights by a parametrization: of every recurrent layer of a model, or one weight of any module.

    Called with a model it is a build as any other: torch's layers become the same `Recurrent`, which computes the weight
    once a run. `parametrize` leaves a module what it is, `torch.nn.LSTM` for instance; `release` takes it away again. What
    is learnt is another parameter before, with, and after a constraint: make the optimiser then.
    """

    def constrain(self, module: nn.Module, name: str, stacked: Stacked) -> None:
        """Register the parametrization of a weight that has passed `require`."""
        raise NotImplementedError(f"{type(self).__name__} needs a constrain(module, name, stacked).")

    def require(self, weight: Tensor, gates: int, owner: str) -> None:
        """Raise a ValueError where a weight, (gates * units, read), can't be held; `owner` is the class that it is of."""

    def build(self, layer: Recurrent) -> nn.Module:
        """Constrain the layers of each cell that multiply the state; of one that does not name them, `from_h`.

        Raises:
            ValueError: For a cell without one, with a constraint, or with one that this can't hold.
        """
        found = list[tuple[nn.Linear, Stacked]]()
        for cell in layer.cells:
            inner = innermost(cast(Cell, cell))
            for linear, stacked in free_layers(inner, type(self).__name__):  # where one does not suit, none is changed
                self.require(linear.weight, stacked.gates, type(inner).__name__)
                found.append((linear, stacked))
        for linear, stacked in found:
            self.constrain(linear, "weight", stacked)
        return layer

    def parametrize(self, module: nn.Module, name: str = "weight_hh_l0", gates: int | None = None) -> nn.Module:
        """Constrain one weight of a module, which stays what it is.

        A module of torch reads the weight anew in every call, a layer four times in each, and so often it is computed:
        `with torch.nn.utils.parametrize.cached():` around the loop of a cell has it computed once.

        Args:
            module: What has the weight: `torch.nn.RNN`, `LSTM`, `GRU`, one of their cells, or any other.
            name: Of the weight, (gates * units, read).
            gates: How many matrices stand in it, one above the other, each held by itself; None: one for each gate of a
                recurrent module, else one.

        Returns:
            `module`.

        Raises:
            ValueError: Where there is no such weight, it has a constraint, or can't be held.

        Examples:
            >>> import torch
            >>> from rnnvanish.mitigations import SpectralNorm
            >>> lstm = SpectralNorm().parametrize(nn.LSTM(2, 8))
            >>> [round(torch.linalg.matrix_norm(u, 2).item(), 4) for u in lstm.weight_hh_l0.split(8)]
            [1.0, 1.0, 1.0, 1.0]
            >>> SpectralNorm().release(lstm)
            LSTM(2, 8)
        """
        title, owner = type(self).__name__, type(module).__name__
        if parametrize.is_parametrized(module, name):
            raise ValueError(f"{title} needs a weight without a constraint: {name} of {owner} has one.")
        own = {each: weight for each, weight in module.named_parameters(recurse=False) if weight.dim() == 2}
        if name not in own:
            raise ValueError(
                f"{title} needs the name of a weight, a matrix that is a parameter of {owner} itself, got {name!r}."
                f"{did_you_mean(name, own)} It has {listed(own)}."
            )
        if gates is None:
            recurrent = isinstance(module, nn.RNNBase | nn.RNNCellBase | Recurrent)
            gates = max(1, len(own[name]) // cast(Any, module).hidden_size) if recurrent else 1
        if gates < 1 or len(own[name]) % gates:
            raise ValueError(f"{title} needs gates of as many units each, got {len(own[name])} rows for {gates} gates.")
        self.require(own[name], gates, owner)
        self.constrain(module, name, Stacked(gates))
        if isinstance(module, nn.RNNBase):  # it can be copied after a run, too
            drop_hooks(module, _let_go)
            module.register_forward_hook(_let_go)
        return module

    def release(self, module: nn.Module, name: str = "weight_hh_l0") -> nn.Module:
        """Take every parametrization of one weight away: it stays as it is, and is free.

        As `torch.nn.utils.parametrize.remove_parametrizations`, but that the weight is a new parameter (torch's still has the
        gradient of what was learnt before, which is another), and that copies of the module stay as they are.

        Args:
            module: What has the weight; of a `Recurrent` that was called with a model a layer of its cell,
                `layer.cells[0].from_h`.
            name: Of the weight; there `"weight"`.

        Returns:
            `module`.

        Raises:
            ValueError: Where the weight has no constraint.
        """
        if not parametrize.is_parametrized(module, name):
            raise ValueError(
                f"{type(self).__name__} needs a constraint to take away: {name} of {type(module).__name__} has none."
            )
        weight: Tensor = getattr(module, name)
        free = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
        shared = type(module)  # with every copy of the module; torch takes a property off it
        own = {each: value for each, value in vars(shared).items() if each not in ("__dict__", "__weakref__")}
        module.__class__ = type(shared.__name__, shared.__bases__, own)
        parametrize.remove_parametrizations(module, name)
        setattr(module, name, free)
        if not parametrize.is_parametrized(module):
            drop_hooks(module, _let_go)
        return module


def _let_go(layer: nn.RNNBase, inputs: Any, output: Any) -> None:
    forget_computed_weights(layer)


def free_layers(cell: Cell, title: str) -> Iterator[tuple[nn.Linear, Stacked]]:
    """The layers of a cell that can be constrained, with their gates; a ValueError, for `title`, where one cannot."""
    for name, blocks in (recurrent_layers(cell) or {"from_h": ()}).items():
        linear = dict(cell.named_modules()).get(name)
        if not isinstance(linear, nn.Linear):
            raise ValueError(
                f"{title} needs a cell whose state goes through a linear layer, got {type(cell).__name__}."
            )
        if parametrize.is_parametrized(linear, "weight"):
            raise ValueError(f"{title} needs a recurrent matrix without a constraint: it has one.")
        rows, read = linear.weight.shape
        stacked = Stacked(len(blocks) or rows // read)
        if rows % stacked.gates:
            raise ValueError(f"{title} needs gates of as many units each, got {name} of {type(cell).__name__}.")
        yield linear, stacked
