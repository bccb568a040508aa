"""A wrapper: a cell around a cell, which changes its step."""

from collections.abc import Callable
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, State
from rnnvanish.recurrent import Recurrent


class Wrapper(Cell):
    """A cell around a cell: what a `Build` that changes the step puts in its place. By itself it changes nothing.

    A part of the state that is added comes after those of the cell that is wrapped, which see and keep their own.

    Args:
        cell: What is wrapped.
        added: Names of the parts that are added to its state.
        helpers: Of these those that are no memory.
    """

    def __init__(self, cell: Cell, added: tuple[str, ...] = (), helpers: tuple[str, ...] = ()) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell
        self.state_names = cell.state_names + added
        self.helpers = cell.helpers + helpers
        self.wants = cell.wants

    @property
    def innermost(self) -> Cell:
        """The cell that all wrappers are around."""
        return self.cell.innermost

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load what was saved before the cell was wrapped, too."""
        if not any(key.startswith(prefix + "cell.") for key in state_dict):
            for key in [key for key in state_dict if key.startswith(prefix)]:
                state_dict[f"{prefix}cell.{key.removeprefix(prefix)}"] = state_dict.pop(key)
            state_dict.update({prefix + name: own for name, own in self._buffers.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        """Take one step."""
        after: State = self.cell(x, state, **wanted)
        return after

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.cell.output_size

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Tensor:
        """What a step hands on."""
        own = len(self.cell.state_names)
        return self.cell.output(x, before[:own], after[:own])

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step."""
        return self.cell.initial_state(x)

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """What each part of the state is to be multiplied with to be what it stands for."""
        own = len(self.cell.state_names)
        return (*self.cell.scales(state[:own]), *(1.0 for _ in state[own:]))

    def rescaled(self, before: State, after: State) -> State:
        """The state before a step in the units of the one after it, so that the two can be mixed."""
        scales = zip(self.cell.scales(before), self.cell.scales(after), strict=True)
        return tuple(
            old if scale is now else old * (scale / now) for old, (scale, now) in zip(before, scales, strict=True)
        )


def wrap(layer: Recurrent, wrapper: Callable[[Cell], Cell]) -> Recurrent:
    """Put what `wrapper` builds around each cell of `layer` in its place."""
    for index, cell in enumerate(layer.cells):
        layer.cells[index] = wrapper(cast(Cell, cell))
    return layer


def innermost(cell: Cell) -> Cell:
    """Return the cell that all wrappers are around."""
    return cell.innermost if isinstance(cell, Wrapper) else cell
