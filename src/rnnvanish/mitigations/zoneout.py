r"""Units that are left as they were: some at random keep their old value at each step, in training.

    s_t ← d s_{t−1} + (1 − d) step(x_t, s_{t−1})      d ~ Bernoulli(p), for each unit and step
    s_t ← p s_{t−1} + (1 − p) step(x_t, s_{t−1})      in evaluation: its expectation

Through a unit that is kept the gradient passes unchanged.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.cell import Cell, Paper, State, has_output
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.recurrent import Recurrent


class _ZonedOut(Wrapper):
    def __init__(self, cell: Cell, output: float, memory: float) -> None:
        super().__init__(cell)
        inner = innermost(cell)
        kept = [memory if has_output(inner) else output] + [memory] * (len(inner.state_names) - 1)
        # What other wrappers carry (a mask, older outputs) is theirs to keep, and a clock runs on.
        kept = [0.0 if name in inner.helpers else p for name, p in zip(inner.state_names, kept, strict=True)]
        self.probabilities = kept + [0.0] * (len(self.state_names) - len(kept))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        after = self.cell(x, state, **wanted)
        before = self.rescaled(state, after)
        return tuple(
            self._mix(p, old, new) if p else new for p, old, new in zip(self.probabilities, before, after, strict=True)
        )

    def _mix(self, p: float, old: Tensor, new: Tensor) -> Tensor:
        if not self.training:
            return p * old + (1 - p) * new
        return torch.where(torch.rand_like(old.real) < p, old, new)


@dataclass(frozen=True)
class Zoneout(Build):
    """Keep each unit of the state as it was with some probability, at each step; in evaluation, on average.

    The defaults are those of the paper for an LSTM on characters.

    Attributes:
        output: Probability for the first part of the state, where that is the output.
        memory: Probability for the other parts of the cell's own state, such as the c of an LSTM.

    Raises:
        ValueError: For a probability outside [0, 1].
    """

    paper = Paper(
        "Krueger et al.",
        2017,
        "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
        "https://arxiv.org/abs/1606.01305",
    )
    checked = (
        "authors' code, teganmaharaj/zoneout zoneout_tensorflow.py @ b76eaad749, and its README for 0.5 and "
        "0.05 on characters"
    )
    invariant = "In training the fraction of units that keep their value at a step is the probability."
    output: float = 0.05
    memory: float = 0.5

    def __post_init__(self) -> None:
        for name, p in {"output": self.output, "memory": self.memory}.items():
            if not 0 <= p <= 1:
                raise ValueError(f"Zoneout needs a probability {name} in [0, 1], got {p}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_ZonedOut, output=self.output, memory=self.memory))
