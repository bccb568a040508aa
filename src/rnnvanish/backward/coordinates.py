"""The coordinates of a loop's state, in which everything is measured: rows of real numbers, of the parts that are memory.

A part of several axes is a row, of a complex number Re and Im are two. Helpers (a clock, a stabiliser) are constants of the
run. Where a cell says that a stored part stands for another (C eᵐ, of a memory that is divided by a stabiliser), the
coordinates are those of what it stands for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rnnvanish.cell import Cell, State
from rnnvanish.numerics.real_view import is_number, pack, unpack
from rnnvanish.observe.record import Run

TOO_LARGE = (
    "{}: what its state stands for, beyond what divides it, is larger than {} holds. Measure shorter sequences, or a model in "
    "double precision."
)
#: The parts of a state, or of gradients by it, as a cell has them; one step of all sequences, or with more axes in front.
Parts = Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """How the state of a loop is written in coordinates, and back.

    Attributes:
        cell: The cell of the loop.
        like: A state of it, for shapes and dtypes.
        places: Which of its parts are memory.
    """

    cell: Cell
    like: State
    places: tuple[int, ...]

    @classmethod
    def of(cls, run: Run) -> "Coordinates":
        """Those of a loop."""
        return cls.of_state(run.cell, run.states[-1])

    @classmethod
    def of_state(cls, cell: Cell, like: State) -> "Coordinates":
        """Those of a cell whose state is like this one, of which the last parts may be missing."""
        names = cell.state_names[: len(like)]
        return cls(cell, like, tuple(place for place, name in enumerate(names) if name not in cell.helpers))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts that are memory."""
        return tuple(self.cell.state_names[place] for place in self.places)

    @property
    def sizes(self) -> list[int]:
        """How many coordinates each of them has."""
        return [part[0].numel() * (1 + part.is_complex()) for part in self.memory(self.like)]

    @cached_property
    def scaled(self) -> bool:
        """Whether any part stands for another."""
        return any(isinstance(scale, Tensor) or scale != 1 for scale in self.cell.scales(self.like))

    def memory(self, parts: Parts) -> State:
        """Of all parts those that are memory."""
        return tuple(parts[place] for place in self.places)

    def helpers(self, parts: Parts) -> State:
        """Of all parts the others."""
        return tuple(part for place, part in enumerate(parts) if place not in self.places)

    def rows(self, state: Parts) -> State:
        """The coordinates of a state."""
        return tuple(map(self.row, self.meant(state), self.places))

    def state(self, rows: State, helpers: State) -> State:
        """The state with these coordinates."""
        return self.stored(self.shaped(rows), helpers)

    def shaped(self, rows: State) -> State:
        """Rows in the shapes of the parts that they are of."""
        return tuple(self._part(row, self.like[place]) for row, place in zip(rows, self.places, strict=True))

    def meant(self, state: Parts) -> State:
        """What the parts of a state that are memory stand for."""
        return tuple(part if scale is None else part * scale for _, part, scale in self._scales(state))

    def stored(self, meant: State, helpers: State) -> State:
        """The state whose parts stand for these."""
        own, others = dict(zip(self.places, meant, strict=True)), iter(helpers)
        parts = [own[place] if place in own else next(others) for place in range(len(self.like))]
        for place, part, scale in self._scales(parts):
            parts[place] = part if scale is None else part / scale
        return tuple(parts)

    def gradient_rows(self, gradients: Parts, state: Parts) -> State:
        """The gradient by the coordinates, from that by the parts of a state; nan where no format holds the scale of these."""
        found = []
        for place, _, scale in self._scales(state):
            gradient = gradients[place]
            if scale is not None:
                gradient = gradient / scale.where((scale > 0) & scale.isfinite(), torch.nan)
            found.append(self.row(gradient, place))
        return tuple(found)

    def gradient_parts(self, rows: State, state: Parts) -> State:
        """The gradient by the parts of a state, from that by the coordinates: by its helpers, too, where they scale others."""
        found = [torch.zeros_like(part) for part in state]
        for place, row in zip(self.places, rows, strict=True):
            found[place] = self._part(row, self.like[place])
        if not self.scaled:
            return tuple(found)
        leaves = tuple(part.detach().clone() for part in state)
        inside = [part.requires_grad_() for part in leaves if is_number(part)]
        with torch.enable_grad():
            meant = self.meant(leaves)
        given = [found[place] for place in self.places]
        passed = iter(torch.autograd.grad(meant, inside, given, materialize_grads=True))
        return tuple(next(passed) if part.requires_grad else torch.zeros_like(part) for part in leaves)

    def _scales(self, state: Parts) -> list[tuple[int, Tensor, Tensor | None]]:
        """Each part that is memory, where it stands, and what it is multiplied with to be what it stands for."""
        if not self.scaled:
            return [(place, state[place], None) for place in self.places]
        leading = state[0].dim() - self.like[0].dim()
        flat = tuple(part.flatten(0, leading) for part in state)
        scales = self.cell.scales(flat)
        return [(place, state[place], _unflatten(scales[place], state[place], leading)) for place in self.places]

    def row(self, part: Tensor, place: int) -> Tensor:
        """A part of the state as rows, which stands at this place."""
        like = self.like[place]
        part = part.to(like.dtype) if like.is_complex() else part  # a zero that a loop begins with may be real
        return pack(part if like.dim() == 2 else part.reshape(*part.shape[: part.dim() - like.dim() + 1], -1))

    def _part(self, row: Tensor, like: Tensor) -> Tensor:
        part = unpack(row) if like.is_complex() else row
        return part if like.dim() == 2 else part.reshape(*part.shape[:-1], *like.shape[1:])


def _unflatten(scale: Tensor | float, part: Tensor, leading: int) -> Tensor | None:
    if not isinstance(scale, Tensor):
        return None if scale == 1 else part.new_tensor(scale)
    return scale.reshape(*part.shape[: leading + 1], *scale.shape[1:])
