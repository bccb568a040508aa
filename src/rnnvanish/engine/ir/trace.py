"""Tracing a cell's step: what depends on parameters alone, and the rest with its derivative."""

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from rnnvanish.compat.tracing import generators_left_out, make_fx
from rnnvanish.engine.ir.common_subexpressions import eliminate_common_subexpressions
from rnnvanish.engine.ir.decompositions import DECOMPOSITIONS
from rnnvanish.engine.ir.isolated_rng import IsolatedRNG
from rnnvanish.engine.ir.parameters import batch_for, named_weights
from rnnvanish.engine.ir.rewrites import rewrite
from rnnvanish.engine.ir.split import Split, split
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.numerics.real_view import pack


class _OneHotByNumbers(TorchFunctionMode):
    """Has `one_hot` compare numbers: its own code looks at them first, and in a trace there are none to look at."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (_one_hot if func is torch.nn.functional.one_hot else func)(*args, **(kwargs or {}))


def _one_hot(numbers: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        raise Unsupported("one_hot without a number of classes")
    return (numbers.unsqueeze(-1) == torch.arange(num_classes, device=numbers.device)).long()


@dataclass(frozen=True)
class Traced:
    """A cell's step in parts.

    Attributes:
        parts: What is ordinary torch: prologue, input stage, draws.
        forward: (invariants, x, ended, draws, state) -> state, in torch's core operations.
        backward: (invariants, x, ended, draws, state, gradients of the new state) -> gradients of the invariants, x and
            state.
        floating: Which of the invariants are floating-point.
        complex: Which parts of the state are complex: a row of such a one has Re beside Im, see `pack`.
        shapes: Those of the parts behind the batch; the graphs have each as a row, (batch, width).
        batch: The batch that was traced.
    """

    parts: Split
    forward: fx.Graph
    backward: fx.Graph
    floating: tuple[bool, ...]
    complex: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    batch: int


def trace(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...], masked: bool, apart: bool = False) -> Traced:
    """Trace a step of `cell`.

    Args:
        cell: The cell.
        x: One step's input: its width, dtype and device count, its values and batch do not.
        state: The state before it, likewise.
        masked: Whether sequences may end early: then a state that has ended is kept.
        apart: Whether what reads the input alone is parted from the step, see `split`.
    """
    weights = named_weights(dict(cell.named_modules()))
    shapes = tuple(tuple(part.shape[1:]) for part in state)
    given = (*weights.values(), x[:1], *(part[:1] for part in state))
    state = tuple(part.new_zeros(1, math.prod(shape)) for part, shape in zip(state, shapes, strict=True))
    batch = batch_for(*given, *state)
    other_batch = batch_for(*given, *state, x.new_zeros(batch))

    def step(weights: list[Tensor], x: Tensor, ended: Tensor, *state: Tensor) -> list[Tensor]:
        parts = tuple(row.view(len(x), *shape) for row, shape in zip(state, shapes, strict=True))
        new = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x, parts))
        if len(new) != len(state):
            raise Unsupported("a step that changes the number of its states")
        if any(part.shape != (len(x), *shape) for part, shape in zip(new, shapes, strict=True)):
            raise Unsupported("a step that changes the shape of its states")
        new = tuple(part.reshape(row.shape) for part, row in zip(new, state, strict=True))
        if any(old.is_complex() != now.is_complex() for old, now in zip(state, new, strict=True)):
            raise Unsupported("a step that makes a complex state of a real one, or a real one of a complex")
        return [torch.where(ended, old, now) for old, now in zip(state, new, strict=True)] if masked else list(new)

    names = tuple(weights)
    detached = [weight.detach() for weight in weights.values()]
    count = len(detached)

    def read(batch: int) -> fx.GraphModule:
        rows = [part.new_zeros(batch, *part.shape[1:]) for part in (x, *state)]
        ended = torch.zeros(batch, 1, dtype=torch.bool, device=x.device)
        given = [*detached, rows[0], ended, *rows[1:]]
        whole = make_fx(torch.func.functionalize(lambda *each: step(list(each[:count]), *each[count:])))(*given)
        if (again := rewrite(whole.graph, count + 2)) is not None:
            whole = make_fx(torch.func.functionalize(again))(*given)
        whole.graph.eliminate_dead_code()
        eliminate_common_subexpressions(whole.graph)
        return whole

    with IsolatedRNG(x.device), generators_left_out(), _OneHotByNumbers(), torch.no_grad():
        parts = split(read(batch), read(other_batch) if apart else None, len(detached), batch)
        invariants = parts.prologue(*detached)[: parts.invariants]
        body, rows = parts.body, _example_rows(parts, x, state, batch)
        floating = tuple(value.is_floating_point() for value in invariants)
        forward = make_fx(torch.func.functionalize(body), decomposition_table=DECOMPOSITIONS)(*invariants, *rows)
        positions = [*(index for index, is_float in enumerate(floating) if is_float), len(invariants)]
        positions += range(len(invariants) + len(rows) - len(state), len(invariants) + len(rows))

        def vjp(*args: Tensor) -> Any:
            given, gradients = list(args[: -len(state)]), args[-len(state) :]

            def of(*chosen: Tensor) -> Any:
                for index, value in zip(positions, chosen, strict=True):
                    given[index] = value
                return tuple(body(*given))

            _, pull_back = cast(Any, torch.func.vjp)(of, *(given[index] for index in positions))
            return pull_back(gradients)

        with torch.enable_grad():
            backward = make_fx(torch.func.functionalize(vjp), decomposition_table=DECOMPOSITIONS)(
                *invariants, *rows, *(torch.zeros_like(part) for part in rows[-len(state) :])
            )
    for graph in (forward.graph, backward.graph):
        graph.eliminate_dead_code()
    is_complex = tuple(part.is_complex() for part in state)
    return Traced(parts, forward.graph, backward.graph, floating, is_complex, shapes, batch)


def _example_rows(parts: Split, x: Tensor, state: tuple[Tensor, ...], batch: int) -> list[Tensor]:
    """Input, whether a sequence has ended, draws and state, as the step's body takes them."""
    ended = torch.zeros(batch, 1, dtype=torch.bool, device=x.device)
    noise = [draw(batch, x) for draw in parts.draws]
    old = [pack(part.new_zeros(batch, *part.shape[1:])) for part in state]
    return [x.new_zeros(batch, parts.width, dtype=x.dtype.to_real()), ended, *map(pack, noise), *old]
