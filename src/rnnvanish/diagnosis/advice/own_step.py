"""The orthogonal start of a step that the model's author wrote: the weights that multiply its state are found by looking."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss
from rnnvanish.live import Cells, plain_name
from rnnvanish.mitigation import Draw
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.observe.call import Call
from rnnvanish.observe.cell_loops.step_calls import NamedStep
from rnnvanish.observe.watch import Run, watch

PRODUCTS = {torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__}


@dataclass(frozen=True)
class OrthogonalBlocks(Draw):
    """Draw weights orthogonal, block by block of as many rows as a state has numbers; others stay.

    Args:
        weights: For each its name in the model, the first of the columns that multiply the state, and their number; of a
            weight that the state is multiplied by from the left, rows and columns are exchanged, and the number is
            negative.

    Examples:
        >>> model = nn.ModuleDict({"h2h": nn.Linear(4, 8)})
        >>> _ = OrthogonalBlocks((("h2h.weight", 0, 4),))(model)
        >>> u = model["h2h"].weight[:4]
        >>> torch.allclose(u.T @ u, torch.eye(4), atol=1e-6)
        True
    """

    weights: tuple[tuple[str, int, int], ...]

    paper = OrthogonalStart.paper
    invariant = OrthogonalStart.invariant

    @torch.no_grad()
    def __call__(self, model: nn.Module, inputs: Any = None) -> nn.Module:
        """Draw them, and return `model`."""
        for name, first, size in self.weights:
            weight = model.get_parameter(name)
            columns = (weight if size > 0 else weight.T)[:, first : first + abs(size)]
            for block in columns.split(abs(size)):
                nn.init.orthogonal_(block)
        return model


def steps_by_name(model: nn.Module, cells: Cells) -> Cells:
    """Steps that were given as modules by their names, by which a copy has them, too."""
    names = {id(module): plain_name(name, model) for name, module in model.named_modules()}
    return [names.get(id(each), each) if isinstance(each, nn.Module) else each for each in cells]


def state_weights(
    model: nn.Module, call: Call, loss: Loss, cells: Cells, loops: Sequence[str]
) -> OrthogonalBlocks | None:
    """Find the weights that multiply the states of own steps in some loops; None where there are none.

    A step is run once more with states that are random numbers. A weight that these very numbers are multiplied by is a
    recurrent one, whatever it is called.
    """
    if not loops:
        return None
    names = {id(weight): name for name, weight in model.named_parameters()}

    def look(output: Any, runs: list[Run]) -> list[tuple[str, int, int]]:
        found = []
        for run in runs:
            if isinstance(run.cell, NamedStep) and run.name in loops:
                state = tuple(torch.rand_like(part) for part in run.initial)
                with _Looking(state) as seen, torch.no_grad():
                    run.cell(run.x[-1], state)
                found += [(names[id(weight)], *place) for weight, place in seen.found if id(weight) in names]
        return list(dict.fromkeys(found))

    try:
        weights = watch(model, resolve_call(model, call, loss), look, cells=cells, held=False)
    except Exception:  # noqa: BLE001  # a step may insist on states that it made itself
        return None
    return OrthogonalBlocks(tuple(weights)) if weights else None


class _Looking(TorchFunctionMode):
    """Notes the parameters that a state is multiplied by."""

    def __init__(self, state: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.state, self.found = state, list[tuple[nn.Parameter, tuple[int, int]]]()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is linear and len(args) > 1:
            self._note(args[0], args[1], rows=True)
        elif func in PRODUCTS:
            self._note(args[0], args[1], rows=False)
        return func(*args, **(kwargs or {}))

    def _note(self, read: Any, weight: Any, rows: bool) -> None:
        if not (isinstance(read, Tensor) and isinstance(weight, Tensor) and weight.dim() == 2):
            return
        base = weight if isinstance(weight, nn.Parameter) else weight._base
        if not isinstance(base, nn.Parameter) or (base is not weight and not _is_transposed(weight, base)):
            return
        rows = rows == (base is weight)
        for first, size in self._columns(read):
            if base.shape[0 if rows else 1] % size == 0:
                self.found.append((base, (first, size if rows else -size)))

    def _columns(self, read: Tensor) -> Iterator[tuple[int, int]]:
        """Where the numbers of a part of the state stand in what is multiplied."""
        for part in self.state:
            flat = read.reshape(-1, read.shape[-1])
            if len(flat) == len(part) and flat.dtype == part.dtype:
                for first in (flat[0] == part[0, 0]).nonzero().flatten().tolist():
                    if torch.equal(flat[:, first : first + part.shape[1]], part):
                        yield first, part.shape[1]


def _is_transposed(weight: Tensor, base: Tensor) -> bool:
    return weight.shape == base.shape[::-1] and weight.stride() == base.stride()[::-1]
