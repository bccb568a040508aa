r"""A shortcut through time: each output also receives an old one, some steps back, without a matrix in between.

    h_t ← step(x_t, h_{t−1}) + a h_{t−k}

The gradient has a second way back that takes k steps at once and costs the factor a.
"""

from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, wrap
from rnnvanish.recurrent import Recurrent


class _Skipping(Wrapper):
    """Its state carries the outputs of the last `lag` steps, the newest first."""

    def __init__(self, cell: Cell, lag: int, weight: float) -> None:
        super().__init__(cell, tuple(f"{cell.state_names[0]}-{back}" for back in range(1, lag)))
        self.own, self.weight = len(cell.state_names), weight

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        own, older = state[: self.own], state[self.own :]
        outputs = (state[0], *older)  # of 1, 2, ..., lag steps ago
        h, *rest = self.cell(x, own, **wanted)
        return (h + self.weight * outputs[-1], *rest, *outputs[:-1])

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        own = self.cell.initial_state(x)
        return own + (own[0],) * (len(self.state_names) - self.own)


@dataclass(frozen=True)
class SkipThroughTime(Build):
    """Add to each output the one of `lag` steps ago, times `weight`.

    The older outputs are parts of the state, "h-1" (one step older than h) and so on: a run may be cut in two, and
    probes see all of it. So the state of a `Recurrent` becomes a tuple. With a weight near 1 outputs can add up to
    large numbers: the skip is a sum over time.

    Attributes:
        lag: Steps that it leaps over.
        weight: What an old output is multiplied by; 0 gives the plain layer.

    Raises:
        ValueError: For a lag below 1.
    """

    paper = Paper(
        "Lin, Horne, Tiňo & Giles",
        1996,
        "Learning Long-Term Dependencies in NARX Recurrent Neural Networks",
        "https://doi.org/10.1109/72.548162",
    )
    checked = (
        "the paper, which reads old outputs through learnt weights and squashes the sum; here "
        "they are added after it, times a number"
    )
    invariant = "The derivative of each output with respect to the one of `lag` steps ago contains `weight` times one."
    lag: int = 10
    weight: float = 0.9

    def __post_init__(self) -> None:
        if self.lag < 1:
            raise ValueError(f"SkipThroughTime needs a lag >= 1, got {self.lag}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_Skipping, lag=self.lag, weight=self.weight))
