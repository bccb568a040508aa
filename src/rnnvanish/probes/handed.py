"""Retention for next to nothing: a compiled loop hands out the gradient of every state on its way back.

This is for a bare `Recurrent` and its default end point. Whatever is unusual goes the long way, where every state
is a tensor of autograd's graph: there it is measured or explained.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, State
from rnnvanish.engine.choice import WORTH, run
from rnnvanish.engine.values import Unsupported
from rnnvanish.layers import run_layers
from rnnvanish.live import cells_of
from rnnvanish.mitigation import Wrapper
from rnnvanish.probes.calling import Call
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.endpoint import read_end
from rnnvanish.probes.norms import from_the_end, gains, norm
from rnnvanish.probes.watch import numbers
from rnnvanish.recurrent import Recurrent


def handed_out(model: nn.Module, call: Call) -> dict[str, Curve] | None:
    """The curves of `model`, if it is a `Recurrent` whose loops are compiled; None where it must go the long way."""
    if type(model) is not Recurrent or model.engine == "reference" or "forward" in vars(model):
        return None
    cells = cells_of(model)
    if any(isinstance(cell, Wrapper) for cell in cells):  # what is added to a state may have no gradient
        return None
    loops: list[tuple[Tensor, Tensor | None, State, list[Tensor]]] = []
    try:
        with _as_it_was(model):
            model.__dict__["forward"] = lambda *args, **kwargs: _forward(model, cells, loops, args, kwargs)
            output = call(model)
            if not loops or not all(bool(number.isfinite().all()) for number in numbers(output)):
                return None
            starts = [part for _, _, state, _ in loops for part in state]
            torch.autograd.grad(read_end(model, output, []), starts, allow_unused=True)
    except Exception:  # noqa: BLE001  # the long way has words for whatever this is
        return None
    curves: dict[str, Curve] = {}
    directions = 2 if model.bidirectional else 1
    for index, ((x, lengths, state, carries), cell) in enumerate(zip(loops, cells, strict=True)):
        if len(carries) != len(state) or len(x) < 2:
            return None
        name = f"Recurrent/layer{index // directions}/{'reverse' if index % directions else 'forward'}"
        ends = (torch.full(x.shape[1:2], len(x)) if lengths is None else lengths) - 1
        gain, *parts = gains([from_the_end(_norm(part[1:]), ends) for part in carries], x.dtype)
        curves[name] = Curve(torch.arange(len(gain)), gain, dict(zip(cell.state_names, parts, strict=True)))
    return curves


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Put back all that is touched: a compiled loop runs none of the model's own code that could change more."""
    with torch.random.fork_rng(devices={p.device for p in model.parameters() if p.is_cuda}):
        try:
            yield
        finally:
            model.__dict__.pop("forward", None)


def _norm(gradient: Tensor) -> Tensor:
    """Norm for each step and sequence; in double precision the squares of single precision neither vanish nor overflow."""
    if gradient.dtype == torch.float64:
        return norm(gradient, dim=-1)
    return cast(Tensor, torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64))


def _forward(model: Recurrent, cells: list[Cell], loops: list[Any], args: Any, kwargs: Any) -> Any:
    """Run the layers of `model` by compiled loops that hand out their gradients."""
    given = dict(zip(("x", "state", "lengths"), args, strict=False)) | kwargs
    x, state, lengths = (given.get(key) for key in ("x", "state", "lengths"))
    if loops:
        raise Unsupported("a layer that is called twice")

    def handing(index: int, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        initial = cells[index].initial_state(x[0]) if state is None else state
        if len(x) * sum(part.numel() for part in initial) < WORTH:
            raise Unsupported("a loop that is not worth compiling")
        start = tuple(part if part.requires_grad else part.detach().requires_grad_() for part in initial)
        carries: list[Tensor] = []
        loops.append((x, lengths, start, carries))
        return run(cells[index], x, start, lengths, "auto", carries)

    steps = None if lengths is None else torch.as_tensor(lengths, device=cast(Tensor, x).device).long()
    return run_layers(model, handing, cast(Tensor, x), state, steps)
