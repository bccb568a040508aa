"""A draw: a mitigation that acts when weights are drawn."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, gates, recurrent_layers
from rnnvanish.live import kind_of, live_cells
from rnnvanish.mitigation.mitigation import Mitigation
from rnnvanish.mitigation.wrapper import innermost
from rnnvanish.numerics.norms import gain_for_slope, spectral_radius


@dataclass(frozen=True)
class Draw(Mitigation):
    """Acts when weights are drawn; what it needs is one cell's."""

    moment = "when weights are drawn"
    needs = "weights that it can write to"
    #: Whether it is drawn from data: then it is called with them, as `inputs`.
    reads_inputs: ClassVar[bool] = False

    def draw(self, cell: Cell) -> bool:
        """Write new values into the weights of `cell`, without gradient; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw(cell) -> bool.")

    @torch.no_grad()
    def __call__(self, model: nn.Module, inputs: Any = None) -> nn.Module:
        """Draw anew in every recurrent layer, and every step of a loop, of `model` that this suits, and return `model`.

        Args:
            model: The model.
            inputs: What it is called with; read by a draw from data alone.

        Raises:
            ValueError: Where it suits none.
        """
        cells = [innermost(cell) for cell in live_cells(model)]
        treated = [self.draw(cell) for cell in cells]
        if not any(treated):
            kinds = sorted({kind_of(cell) for cell in cells}) or ["no recurrent layer"]
            raise ValueError(
                f"{type(self).__name__} suits no layer of this model, which has {', '.join(kinds)}: it needs {self.needs}."
            )
        return model


@dataclass(frozen=True, repr=False)
class MatrixDraw(Draw):
    """Draws recurrent matrices, and may scale them after it. A subclass writes `draw_matrices`.

    Args:
        radius: The spectral radius, the largest absolute eigenvalue, that each gate's recurrent matrix is scaled to
            (Jaeger 2001, for echo states); None leaves it as it is drawn.
        slope_gain: Whether each is multiplied by what makes up for the slope of the activation: 1.47 for tanh, √2 for
            ReLU, and so for any other.

    Raises:
        ValueError: For a radius that is not above 0, and for both.
    """

    radius: float | None = field(default=None, kw_only=True)
    slope_gain: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.radius is not None and not (self.radius > 0 and math.isfinite(self.radius)):
            raise ValueError(f"{type(self).__name__} needs a radius > 0 or None, got {self.radius}.")
        if self.radius is not None and self.slope_gain:
            raise ValueError(
                f"{type(self).__name__} takes a radius or slope_gain=True: each says how large a matrix is."
            )

    def __repr__(self) -> str:
        """Write its numbers; of `radius` and `slope_gain` what is not the default."""
        first = sorted(fields(self), key=lambda each: bool(each.kw_only))
        shown = [each for each in first if not each.kw_only or getattr(self, each.name) != each.default]
        return f"{type(self).__name__}({', '.join(f'{each.name}={getattr(self, each.name)!r}' for each in shown)})"

    def draw_matrices(self, cell: Cell) -> bool:
        """Write new values into the recurrent matrices of `cell`, at least; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw_matrices(cell) -> bool.")

    def draw(self, cell: Cell) -> bool:
        """Draw, and scale the recurrent matrices.

        Raises:
            ValueError: Where what they are to be scaled to has no meaning for the cell.
        """
        if self.slope_gain and not cell.plain:
            raise ValueError(
                f"slope_gain=True needs a cell of one activation without gates, got {type(cell).__name__}."
            )
        gain = gain_for_slope(cast(nn.Module, cell.nonlinearity)) if self.slope_gain else 1.0
        matrices = free_matrices(cell)
        if self.radius is not None and any(len(matrix) != matrix.shape[1] for matrix in matrices):
            raise ValueError(f"{type(cell).__name__} has recurrent matrices that are not square: they have no radius.")
        if not self.draw_matrices(cell):
            return False
        for matrix in matrices:
            matrix.mul_(gain if self.radius is None else self.radius / spectral_radius(matrix))
        return True


def free_matrices(cell: Cell) -> list[Tensor]:
    """What each gate of a cell multiplies the state by: live views, none of a matrix that is computed from others."""
    return [block for layer in recurrent_layers(cell) for block in gates(cell, f"{layer}.weight")]
