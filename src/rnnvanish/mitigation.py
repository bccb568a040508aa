"""A mitigation: something that is said to help, and the one moment at which it acts.

There are four moments and so four kinds: when weights are drawn (`Draw`), when a network is built (`Build`), as a part
of the loss (`Penalty`), and on the gradient before the step (`Rule`). Each works on `Recurrent` and on a user's
`torch.nn.RNN`, `LSTM` and `GRU`, wherever they stand in a model.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.cells import GRU, LSTM, Elman
from rnnvanish.live import has_own_forward, live_cells, recurrent_modules
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class Mitigation:
    """What all mitigations say of themselves; a subclass is a frozen dataclass whose fields are its numbers.

    Attributes:
        paper: Where it comes from.
        invariant: What is true of a network while it is treated, in words; a test trains a little and measures it.
        moment: When it acts, in words; the four kinds say so.
    """

    paper: ClassVar[Paper]
    invariant: ClassVar[str]
    moment: ClassVar[str]


@dataclass(frozen=True)
class Draw(Mitigation):
    """Acts when weights are drawn."""

    moment = "when weights are drawn"

    def draw(self, cell: Cell) -> bool:
        """Write new values into the weights of `cell`, without gradient; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw(cell) -> bool.")

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> nn.Module:
        """Draw anew in every recurrent layer of `model` that this suits, and return `model`.

        Raises:
            ValueError: Where it suits none.
        """
        cells = [innermost(cell) for cell in live_cells(model)]
        treated = [self.draw(cell) for cell in cells]
        if not any(treated):
            kinds = sorted({type(cell).__name__ for cell in cells}) or ["no recurrent layer"]
            raise ValueError(f"{type(self).__name__} suits no layer of this model, which has {', '.join(kinds)}.")
        return model


@dataclass(frozen=True)
class Build(Mitigation):
    """Acts when a network is built: it changes how its recurrent layers compute."""

    moment = "when a network is built"

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
        for module in modules.values():
            layer = module if isinstance(module, Recurrent) else Recurrent.from_torch(cast(nn.RNNBase, module))
            changed = self.build(layer)
            if isinstance(module, Recurrent) and has_own_forward(module) and changed is not module:
                raise ValueError(
                    f"{type(module).__name__} has a forward of its own, which what {type(self).__name__} puts in its place would "
                    "not have: let it hold a Recurrent instead of being one."
                )
            layer.register_weights()  # what is changed may be no longer what torch can hold
            if module is model:
                return changed
            for parent in list(model.modules()):
                for attribute in [name for name, child in parent._modules.items() if child is module]:
                    setattr(parent, attribute, changed)
        return model


class Wrapper(Cell):
    """A cell around a cell: what a `Build` that changes the step puts in its place. By itself it changes nothing.

    A part of the state that is added comes after those of the cell that is wrapped, which see and keep their own.

    Args:
        cell: What is wrapped.
        added: Names of the parts that are added to its state.
    """

    def __init__(self, cell: Cell, added: tuple[str, ...] = ()) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell
        self.state_names = cell.state_names + added  # type: ignore[misc]  # here it is the instance's

    @property
    def innermost(self) -> Cell:
        """The cell that all wrappers are around."""
        return self.cell.innermost

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load what was saved before the cell was wrapped, too."""
        if not any(key.startswith(prefix + "cell.") for key in state_dict):
            for key in [key for key in state_dict if key.startswith(prefix)]:
                state_dict[f"{prefix}cell.{key.removeprefix(prefix)}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        after: State = self.cell(x, state)
        return after

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step."""
        return self.cell.initial_state(x)


def wrap(layer: Recurrent, wrapper: Callable[[Cell], Cell]) -> Recurrent:
    """Put what `wrapper` builds around each cell of `layer` in its place."""
    for index, cell in enumerate(layer.cells):
        layer.cells[index] = wrapper(cast(Cell, cell))
    return layer


def innermost(cell: Cell) -> Cell:
    """Return the cell that all wrappers are around."""
    return cell.innermost if isinstance(cell, Wrapper) else cell


@dataclass(frozen=True)
class Penalty(Mitigation):
    """Acts as a part of the loss."""

    moment = "in the loss"

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute what is added to `loss(model(*inputs))`, with a graph that leads to the weights."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(model, inputs, loss) -> tensor.")


@dataclass(frozen=True)
class Rule(Mitigation):
    """Acts on the gradient, between the backward pass and the step."""

    moment = "on the gradient"

    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Change the `grad` of `parameters`, an iterable or a single tensor, as `torch.nn.utils` takes them."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(parameters).")


#: Place of the gate that writes into an LSTM's state, and of the one that keeps it: in LSTM (i, f, g, o), in GRU (r, z, n).
WRITES, KEEPS = 0, 1


def gates(cell: Cell, weight: str = "from_h.weight") -> tuple[Tensor, ...]:
    """What each gate of an Elman, LSTM or GRU cell has of a weight: live views, in the cell's own order.

    Args:
        cell: The cell.
        weight: "from_x.weight", "from_h.weight", "from_x.bias" or "from_h.bias".

    Returns:
        (hidden, inputs) or (hidden,) a gate; nothing where `cell` is another one, has no such weight, or computes it
        from others (a parametrization): what is written into it would be lost.

    Examples:
        >>> [tuple(gate.shape) for gate in gates(LSTM(2, 3))]
        [(3, 3), (3, 3), (3, 3), (3, 3)]
    """
    owner, _, name = weight.partition(".")
    whole = getattr(cell.get_submodule(owner), name) if isinstance(cell, Elman | LSTM | GRU) else None
    return whole.split(cell.hidden_size) if isinstance(whole, nn.Parameter) else ()


def set_bias(cell: Cell, gate: int, value: Tensor | float) -> None:
    """Set the bias of one gate; there are two, which add up: the one beside the input becomes zero."""
    gates(cell, "from_x.bias")[gate].zero_()
    gates(cell, "from_h.bias")[gate].copy_(torch.as_tensor(value))
