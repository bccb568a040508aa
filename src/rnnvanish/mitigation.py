"""A mitigation: something that is said to help, and the one moment at which it acts.

There are four moments and so four kinds: when weights are drawn (`Draw`), when a network is built (`Build`), as a part
of the loss (`Penalty`), and on the gradient before the step (`Rule`). Each works on `Recurrent` and on a user's
`torch.nn.RNN`, `LSTM` and `GRU`, wherever they stand in a model.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper
from rnnvanish.live import live_cells, recurrent_modules
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class Mitigation:
    """What all mitigations say of themselves; a subclass is a frozen dataclass whose fields are its numbers.

    Attributes:
        paper: Where it comes from.
        invariant: What is true of a network while it is treated, in words; a test trains a little and measures it.
    """

    paper: ClassVar[Paper]
    invariant: ClassVar[str]


@dataclass(frozen=True)
class Draw(Mitigation):
    """Acts when weights are drawn."""

    def draw(self, cell: Cell) -> bool:
        """Write new values into the weights of `cell`, without gradient; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw(cell) -> bool.")

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> nn.Module:
        """Draw anew in every recurrent layer of `model` that this suits, and return `model`.

        Raises:
            ValueError: Where it suits none.
        """
        treated = [self.draw(cell) for cell in live_cells(model)]
        if not any(treated):
            kinds = sorted({type(cell).__name__ for cell in live_cells(model)}) or ["no recurrent layer"]
            raise ValueError(f"{type(self).__name__} suits no layer of this model, which has {', '.join(kinds)}.")
        return model


@dataclass(frozen=True)
class Build(Mitigation):
    """Acts when a network is built: it changes how its recurrent layers compute."""

    def build(self, layer: Recurrent) -> nn.Module:
        """Change `layer`, or wrap it; what is returned is called like it."""
        raise NotImplementedError(f"{type(self).__name__} needs a build(layer) -> module.")

    def __call__(self, model: nn.Module) -> nn.Module:
        """Change every recurrent layer of `model`; one of `torch.nn` becomes the same `Recurrent` first.

        Returns:
            `model`; where it is itself a recurrent layer, what takes its place.
        """
        modules = recurrent_modules(model)
        if not modules:
            raise ValueError(f"{type(self).__name__} needs a model with a recurrent layer.")
        for name, module in modules.items():
            layer = module if isinstance(module, Recurrent) else Recurrent.from_torch(cast(nn.RNNBase, module))
            changed = self.build(layer)
            if module is model:
                return changed
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, changed)
        return model


@dataclass(frozen=True)
class Penalty(Mitigation):
    """Acts as a part of the loss."""

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute what is added to `loss(model(*inputs))`, with a graph that leads to the weights."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(model, inputs, loss) -> tensor.")


@dataclass(frozen=True)
class Rule(Mitigation):
    """Acts on the gradient, between the backward pass and the step."""

    def apply(self, parameters: Iterable[nn.Parameter]) -> None:
        """Change the `grad` of `parameters`."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(parameters).")
