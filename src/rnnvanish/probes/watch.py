"""Running a user's model with every recurrent loop in plain sight, and leaving no trace.

`torch.nn.RNN`, `LSTM` and `GRU` hide their states: on most devices a whole layer is one node of autograd's graph. While
a model is watched, each of its recurrent modules runs as the reference loop over its own live weights instead, and
every state on the way is a tensor of the graph. Nothing else of the model is replaced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves

from rnnvanish.cell import Cell, State
from rnnvanish.engine.reference import Step, scan
from rnnvanish.layers import run_layers
from rnnvanish.live import live_cells, recurrent_modules, torch_suffixes
from rnnvanish.probes.untouched import call, unchanged

Measured = TypeVar("Measured")

#: Modules that are one step of a user's own loop: their classes, the modules themselves, or their names in the model.
Cells = Sequence[type[nn.Module] | nn.Module | str]


@dataclass(frozen=True)
class Run:
    """One loop over time, of one layer and direction, in one call; time runs as the loop runs.

    Attributes:
        name: Module, layer and direction: "encoder.lstm/layer0/forward".
        module: The recurrent module that it belongs to.
        cell: The cell with the equations and the weights of its step.
        step: One step of it: (x, state) -> state; the cell, and a projection where the layer has one.
        x: Input, (time, batch, features).
        initial: State before the first step.
        states: State after each step, tensors of the graph. Its parts are independent coordinates, as they are
            handed to the next step: the gradient of c does not count the path through the h of the same step.
        lengths: Steps in each sequence, None where all fill the batch. Sequences stand in sorted order if `order`.
        order: Where the caller's sequences stand here, None where they stand as they came.
    """

    name: str
    module: nn.Module
    cell: Cell
    step: Step
    x: Tensor
    initial: State
    states: list[State]
    lengths: Tensor | None
    order: Tensor | None

    @property
    def ends(self) -> Tensor:
        """Index of each sequence's own last step, (batch,)."""
        time, batch = self.x.shape[:2]
        lengths = torch.full((batch,), time, device=self.x.device) if self.lengths is None else self.lengths
        return lengths - 1


def watch(
    model: nn.Module,
    inputs: Any,
    measure: Callable[[Any, list[Run]], Measured],
    resolved: Callable[[Measured], bool] = lambda measured: True,
    cells: Cells = (),
) -> Measured:
    """Run `model` with its loops in sight and measure; then make sure that this was the model's ordinary run.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        measure: Takes what the model returned and its loops, in the order in which they ran.
        resolved: Whether the model's own precision held what was measured; if not, it is measured again in double.
            So it is where the two runs differ: a chaotic network magnifies rounding.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError: Where no recurrent layer is there, or none was called, or the model returns infinities or nan.
        RuntimeError: Where the watched run is not the ordinary one.
    """
    measured, same = _measure(model, inputs, measure, None)
    if same and resolved(measured):
        return measured
    try:
        in_double, same_in_double = _measure(model, inputs, measure, torch.float64)
    except Exception as error:  # it ran a moment ago: something in it insists on its own precision
        if not same:
            raise RuntimeError(_DIFFERS.format(type(model).__name__)) from error
        return measured
    if not same_in_double:
        raise RuntimeError(_DIFFERS.format(type(model).__name__))
    return in_double


_DIFFERS = (
    "The run of {0} that was measured differs from its ordinary one, so the numbers would not be the model's. Does its "
    "forward draw random numbers outside of torch, or does a class of its own change the forward of a recurrent layer?"
)


def _measure(
    model: nn.Module, inputs: Any, measure: Callable[[Any, list[Run]], Measured], dtype: torch.dtype | None
) -> tuple[Measured, bool]:
    """What was measured at this precision, and whether the watched run is the ordinary one."""
    modules = recurrent_modules(model)
    if not modules:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        raise ValueError(
            "A recurrent layer is needed (torch.nn.RNN, LSTM, GRU or rnnvanish.Recurrent), "
            f"got a {type(model).__name__} made of {', '.join(kinds)}."
        )
    with unchanged(model):
        ordinary = _numbers(call(model, inputs, dtype))
    if not all(bool(number.isfinite().all()) for number in ordinary):
        raise ValueError(f"{type(model).__name__} returns infinities or nan: there is no gradient to follow.")
    runs: list[Run] = []
    with unchanged(model):
        for name, module in modules.items():
            module.__dict__["forward"] = partial(_forward, module, name, runs)
        output = call(model, inputs, dtype)
        if not runs:
            raise ValueError(f"{type(model).__name__} has recurrent layers, but called none of them.")
        measured = measure(output, runs)
    return measured, _agree(_numbers(output), ordinary)


def _numbers(output: Any) -> list[Tensor]:
    leaves = tree_leaves(output, is_leaf=lambda value: isinstance(value, PackedSequence))
    tensors = [leaf.data if isinstance(leaf, PackedSequence) else leaf for leaf in leaves]
    return [leaf.detach() for leaf in tensors if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _agree(watched: list[Tensor], ordinary: list[Tensor]) -> bool:
    """Whether two runs differ by rounding at most, relative to the largest number of each output."""
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4}
    return len(watched) == len(ordinary) and all(
        ours.shape == theirs.shape
        and torch.allclose(
            ours,
            theirs,
            rtol=0,
            atol=tolerance.get(ours.dtype, 3e-2) * float(theirs.abs().max()) + torch.finfo(ours.dtype).eps,
        )
        for ours, theirs in zip(watched, ordinary, strict=True)
        if ours.numel()
    )


def _forward(module: nn.Module, name: str, runs: list[Run], *args: Any, **kwargs: Any) -> Any:
    """Stand in for `module.forward`: the same result, by loops that add themselves to `runs`."""
    keys = ("input", "hx") if isinstance(module, nn.RNNBase) else ("x", "state", "lengths")
    given = dict(zip(keys, args, strict=False)) | kwargs
    x, state, lengths = (given.get(key) for key in (*keys, "lengths")[:3])
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=cast(Tensor, x).device).long()
    loops = _loops_of(module)
    order = x.sorted_indices if isinstance(x, PackedSequence) else None
    calls = sum(run.module is module for run in runs) // len(loops)
    title = f"{name} (call {calls + 1})" if calls else name
    directions = 2 if module.bidirectional else 1

    def watch(index: int, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        cell, step, zeros = loops[index]
        initial = zeros(x[0]) if state is None else state
        # With every weight frozen there would be no graph to follow, but for the one that starts here.
        initial = tuple(part if part.requires_grad else part.detach().requires_grad_() for part in initial)
        states = scan(lambda now, before: tuple(part.clone() for part in step(now, before)), x, initial, lengths)
        where = f"{title}/layer{index // directions}/{'reverse' if index % directions else 'forward'}"
        runs.append(Run(where, module, cell, step, x, initial, states, lengths, order))
        return torch.stack([parts[0] for parts in states]), states[-1]

    with parametrize.cached():
        return run_layers(cast(Any, module), watch, cast(Tensor, x), state, lengths)


#: One loop: its cell, its step, and its initial state for a first input.
Loop = tuple[Cell, Step, Callable[[Tensor], State]]


def _loops_of(module: nn.Module) -> list[Loop]:
    cells = live_cells(module)
    if not isinstance(module, nn.RNNBase) or not module.proj_size:
        return [(cell, cell, cell.initial_state) for cell in cells]
    projections = [getattr(module, f"weight_hr{suffix}") for suffix in torch_suffixes(module)]
    return [_projected(cell, projection) for cell, projection in zip(cells, projections, strict=True)]


def _projected(cell: Cell, projection: Tensor) -> Loop:
    """The loop of an LSTM whose output is projected: its h is narrower than its c."""

    def step(x: Tensor, state: State) -> State:
        h, c = cell(x, state)
        return linear(h, projection), c

    def zeros(x: Tensor) -> State:
        return x.new_zeros(len(x), len(projection)), x.new_zeros(len(x), cell.hidden_size)

    return cell, step, zeros
