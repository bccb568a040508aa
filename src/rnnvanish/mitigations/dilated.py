r"""Dilated recurrence: the state that a step starts from is not the last one but an older one.

    s_t ← step(x_t, s_{t−d})      d = 1, 2, 4, ... from the first layer up

A step back in a layer of dilation d covers d steps of time, so the same stretch costs d times fewer factors.
"""

from dataclasses import dataclass
from typing import cast

from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper
from rnnvanish.recurrent import Recurrent


class _Dilated(Wrapper):
    """Its state carries the last `kept` states of the cell, the newest first."""

    def __init__(self, cell: Cell, dilation: int, kept: int) -> None:
        added = [(name, f"{name}-{back}") for back in range(1, kept) for name in cell.state_names]
        super().__init__(
            cell, tuple(older for _, older in added), tuple(older for name, older in added if name in cell.helpers)
        )
        self.dilation, self.kept = dilation, kept

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        return (*self.cell(x, self._start(state), **wanted), *state[: -len(self.cell.state_names)])

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Tensor:
        return super().output(x, self._start(before), after)

    def _start(self, state: State) -> State:
        """The state that a step starts from."""
        parts = len(self.cell.state_names)
        oldest = self.dilation * parts
        return state[oldest - parts : oldest]

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        return self.cell.initial_state(x) * self.kept

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        parts = len(self.cell.state_names)
        return tuple(scale for at in range(0, len(state), parts) for scale in self.cell.scales(state[at : at + parts]))


@dataclass(frozen=True)
class Dilated(Build):
    """Let the layers of a stack leap over 1, `base`, `base`², ... steps.

    The older states are parts of the state, "h-1" (one step older than h) and so on, as many in every layer as the
    highest needs: a run may be cut in two. So the state of a `Recurrent` becomes a tuple. A stack of one layer has
    nothing to leap over unless `start` says so.

    Attributes:
        base: How many times farther each layer leaps than the one below.
        start: Dilation of the first layer.

    Raises:
        ValueError: For numbers below 1.
    """

    paper = Paper("Chang et al.", 2017, "Dilated Recurrent Neural Networks", "https://arxiv.org/abs/1710.02224")
    checked = (
        "authors' code, code-terminator/DilatedRNN models/drnn.py @ 247a989977; there dilations are a list, "
        "of powers of 2 in the paper"
    )
    invariant = "The state after a step depends on that of `dilation` steps before, and on none in between."
    base: int = 2
    start: int = 1

    def __post_init__(self) -> None:
        for name, number in {"base": self.base, "start": self.start}.items():
            if number < 1:
                raise ValueError(f"Dilated needs {name} >= 1, got {number}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        dilations = [self.start * self.base**level for level in range(layer.num_layers)]
        directions = len(layer.cells) // layer.num_layers
        for index, cell in enumerate(layer.cells):
            layer.cells[index] = _Dilated(cast(Cell, cell), dilations[index // directions], dilations[-1])
        return layer
