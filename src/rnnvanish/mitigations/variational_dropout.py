r"""Variational dropout: the same units are dropped at every step of a sequence, on the way into the recurrent matrix.

    U h  becomes  U (m h)        m = 0 with probability p, else 1 / (1 − p); drawn once for each sequence

A mask drawn anew at each step would wear the memory away: after T steps a unit is still there with (1 − p)ᵀ.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import dropout

from rnnvanish.cell import Cell, Paper, State, recurrent_layers
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.recurrent import Recurrent


class _Masked(Wrapper):
    """Its state carries the mask, so that a run that is handed on keeps it."""

    layers: tuple[str, ...] = ("from_h",)  # of a model that was saved whole before cells named theirs

    def __init__(self, cell: Cell, probability: float) -> None:
        self.layers = state_layers(cell, "VariationalDropout")
        masks = tuple("mask" if width == cell.hidden_size else f"mask of {width}" for width in self._widths(cell))
        super().__init__(cell, masks, helpers=masks)
        self.probability = probability

    def _widths(self, cell: Cell) -> dict[int, None]:
        """What the matrices read that multiply the state: those that read as many units share a mask."""
        return dict.fromkeys(cast(nn.Linear, innermost(cell).get_submodule(layer)).in_features for layer in self.layers)

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        parts = len(self.cell.state_names)
        own, masks = state[:parts], tuple(mask.detach() for mask in state[parts:])
        if not self.training:
            return (*self.cell(x, own, **wanted), *masks)
        of_width = dict(zip(self._widths(self.cell), masks, strict=True))
        # Into the matrix alone: a gate that hands on the state must find it whole.
        with reading_through(self, self.layers, lambda matrix, read: _masked(of_width[matrix.in_features], read)):
            return (*self.cell(x, own, **wanted), *masks)

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        masks = (
            dropout(x.new_ones(len(x), width), self.probability, self.training) for width in self._widths(self.cell)
        )
        return (*self.cell.initial_state(x), *masks)


def _masked(mask: Tensor, read: Tensor) -> Tensor:
    return read * mask.view(len(read), *[1] * (read.dim() - 2), -1)


def state_layers(cell: Cell, cure: str) -> tuple[str, ...]:
    """The linear layers of a cell that multiply its state; of one that does not name them, `from_h`.

    Raises:
        ValueError: Where there is none: says what `cure` needs.
    """
    layers = tuple(recurrent_layers(innermost(cell))) or ("from_h",)
    modules = dict(innermost(cell).named_modules())
    if not all(isinstance(modules.get(layer), nn.Linear) for layer in layers):
        raise ValueError(
            f"{cure} needs a cell whose state goes through a linear layer, got {type(innermost(cell)).__name__}."
        )
    return layers


@contextmanager
def reading_through(cell: Cell, layers: Iterable[str], change: Callable[[nn.Linear, Tensor], Tensor]) -> Iterator[None]:
    """While a cell takes a step, have each of these layers read what `change` makes of what it would read."""

    def changed(matrix: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (change(cast(nn.Linear, matrix), *args),)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(innermost(cell).get_submodule(layer).register_forward_pre_hook(changed))
        yield


@dataclass(frozen=True)
class VariationalDropout(Build):
    """Drop the same recurrent inputs at every step of a sequence, in training.

    The mask is a part of the state, "mask", without gradient: so the state of a `Recurrent` becomes a tuple. A run
    that starts from no state draws new ones; one that is handed a state goes on with its mask. All gates share a
    mask; inputs are not dropped (the paper drops both).

    Attributes:
        probability: Of dropping a unit.

    Raises:
        ValueError: For a probability outside [0, 1).
    """

    paper = Paper(
        "Gal & Ghahramani",
        2016,
        "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
        "https://arxiv.org/abs/1512.05287",
    )
    checked = (
        "the paper; authors' code, yaringal/BayesianRNN LM_code/main_dropout.lua @ d73a8ed692, "
        "draws a mask for each gate, and has p = 0.25 for 200 units"
    )
    invariant = (
        "In training each sequence has one mask, the same at every step; in evaluation the layer is the plain one."
    )
    probability: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.probability < 1:
            raise ValueError(f"VariationalDropout needs a probability in [0, 1), got {self.probability}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell."""
        return wrap(layer, partial(_Masked, probability=self.probability))
