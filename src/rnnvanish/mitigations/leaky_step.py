r"""Learnt time constants: each unit goes only a part of the way to its new value, and learns how large a part.

    s ← (1 − a) s + a step(x, s)        a = σ(α) for each unit of each part of the state; at first 1 / steps

A step back hands on 1 − a of the gradient past weights, slopes and gates: a memory of about 1/a steps.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.recurrent import Recurrent


class _Leaky(Wrapper):
    """Keeps a rate for each part of the cell's own state that is a memory; what other wrappers carry is theirs."""

    def __init__(self, cell: Cell, steps: float) -> None:
        super().__init__(cell)
        inner = innermost(cell)
        like = next(cell.parameters()).real
        with torch.no_grad():
            first = inner.initial_state(like.new_zeros(1, cell.input_size))
        self.rates = nn.ParameterDict(
            {
                f"of_{place}": nn.Parameter(like.new_full(part.shape[-1:], -math.log(steps - 1)))
                for place, (name, part) in enumerate(zip(inner.state_names, first, strict=True))
                if name not in inner.helpers
            }
        )

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        after = self.cell(x, state, **wanted)
        before = self.rescaled(state, after)
        return tuple(
            old + torch.sigmoid(self.rates[f"of_{place}"]) * (new - old) if f"of_{place}" in self.rates else new
            for place, (old, new) in enumerate(zip(before, after, strict=True))
        )


@dataclass(frozen=True)
class LeakyStep(Build):
    """Make each step a leaky one, with a rate that is learnt for each unit.

    Of an LSTM both h and c move so. Beside a gate that keeps the state it is a second one, that reads nothing.

    Attributes:
        steps: The time constant 1 / a of every unit at the start, in steps.

    Raises:
        ValueError: For a time constant of 1 step or less.

    Examples:
        >>> layer = LeakyStep(steps=20)(nn.RNN(2, 8))
    """

    paper = Paper(
        "Quax, D'Asaro & van Gerven",
        2020,
        "Adaptive time scales in recurrent neural networks",
        "https://doi.org/10.1038/s41598-020-68169-x",
        where="for plain units; the step is that of Jaeger et al. (2007)",
    )
    checked = (
        "the leaky step of LeakyRNN, which was compared with minimalESN.py of Lukoševičius (2012); the sigmoid that keeps a "
        "between 0 and 1 is ours"
    )
    needs = "a recurrent layer, of any cell"
    invariant = (
        "Each unit lies between its old value and that which the step itself makes, and every a between 0 and 1."
    )
    steps: float = 10.0

    def __post_init__(self) -> None:
        if not (self.steps > 1 and math.isfinite(self.steps)):
            raise ValueError(f"LeakyStep needs a time constant of more than 1 step, got {self.steps}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_Leaky, steps=self.steps))
