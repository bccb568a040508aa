"""What a loop gives a step and takes from it, beside input and state: columns behind `x`, an output before the state.

Every engine knows one kind of step: a row and a state make a state. What else a cell takes, and what it hands on, is
brought into that form here, so that each engine has it without a word of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, State, has_output

#: Columns that stand behind the features of `x`, each by its name and its width.
Columns = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class StepForm:
    """How a loop calls a cell.

    Attributes:
        columns: What stands behind the features of `x`: "resets", 1 where a sequence begins anew, and what cells want.
        emits: Whether the output stands before the parts of the state.
    """

    columns: Columns = ()
    emits: bool = False

    @classmethod
    def of(cls, cell: nn.Module, columns: Columns = ()) -> "StepForm":
        """The form in which a loop has all that `cell` hands on."""
        return cls(columns, has_output(cell))

    def step(self, cell: Any) -> Any:
        """The step in this form; the cell itself where there is nothing to bring in."""
        return RowStep(cell, self) if self.columns or self.emits else cell

    def begin(self, cell: Any, x: Tensor, state: State) -> State:
        """The state before the first step: the output has no number yet, and none is ever read."""
        return (x.new_zeros(x.shape[1], cell.output_size), *state) if self.emits else state

    def split(self, cell: Any, output: Tensor, final: State) -> tuple[Tensor, State]:
        """What a loop returns, without the output that stands in its state; a ValueError where that is not as wide as said."""
        if output.shape[-1] != cell.output_size:
            raise ValueError(
                f"{type(cell.innermost).__name__} hands on {output.shape[-1]} numbers where its output_size is "
                f"{cell.output_size}: have it say as many."
            )
        return output, final[1:] if self.emits else final


class RowStep(nn.Module):
    """A cell's step in the form of a loop.

    Args:
        cell: The cell.
        form: The form.
    """

    def __init__(self, cell: nn.Module, form: StepForm) -> None:
        super().__init__()
        self.cell, self.form = cell, form

    def forward(self, row: Tensor, state: State) -> State:
        """Take one step."""
        cell = cast(Callable[..., State], self.cell)
        x, before, wanted = self._read(row, state[1:] if self.form.emits else state)
        after = cell(x, before, **wanted)
        if isinstance(after, Tensor):  # which would be taken apart by rows
            raise ValueError(f"{type(cell).__name__} needs to return a tuple of the parts of its state, not a tensor.")
        return (cast(Cell, self.cell).output(x, before, after), *after) if self.form.emits else after

    def output(self, row: Tensor, before: State, after: State) -> Tensor:
        """What a step hands on that has been taken."""
        x, before, _ = self._read(row, before)
        return cast(Cell, self.cell).output(x, before, after)

    def _read(self, row: Tensor, state: State) -> tuple[Tensor, State, dict[str, Tensor]]:
        """What the cell reads, the state that it goes on from, and what it takes by keyword."""
        names, widths = zip(*self.form.columns, strict=True) if self.form.columns else ((), ())
        x, *rest = row.split([row.shape[-1] - sum(widths), *widths], dim=-1)
        given = dict(zip(names, rest, strict=True))
        resets = given.pop("resets", None)
        if resets is not None:
            begins = resets > 0
            anew = cast(Cell, self.cell).initial_state(x)
            state = tuple(
                torch.where(begins.view(-1, *[1] * (old.dim() - 1)), new, old)
                for old, new in zip(state, anew, strict=True)
            )
        return x, state, given


def without_columns(row: Tensor, columns: Columns) -> Tensor:
    """The features of what a loop reads."""
    return row[..., : row.shape[-1] - sum(width for _, width in columns)]


def features_of(step: Any, row: Tensor) -> Tensor:
    """Of what a step reads the features, without the columns behind them."""
    return without_columns(row, step.form.columns if isinstance(step, RowStep) else ())


def resets_of(step: Any, row: Tensor) -> Tensor | None:
    """Of what a step reads where it begins anew; None where it was not told."""
    behind = 0
    for name, width in reversed(step.form.columns) if isinstance(step, RowStep) else ():
        behind += width
        if name == "resets":
            return row[..., row.shape[-1] - behind] > 0
    return None


def output_of(step: Any) -> Callable[[Tensor, State, State], Tensor] | None:
    """What gives the output of a step that has been taken; None where that is the first part of the state."""
    cell = step.cell if isinstance(step, RowStep) else step
    return step.output if has_output(cell) else None
