"""Tracing a cell's step: what depends on parameters alone, and the rest with its derivative."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from rnnvanish.compat import decompositions, make_fx, tree_leaves
from rnnvanish.engine.ir.common_subexpressions import eliminate_common_subexpressions
from rnnvanish.engine.ir.complex import RealInterpreter, is_complex, return_real_parts
from rnnvanish.engine.ir.isolated_rng import DRAWS, IsolatedRNG
from rnnvanish.engine.ir.parameters import batch_for, named_weights
from rnnvanish.engine.ir.prologue import Call, Draw, Prologue, Slot
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.numerics.real_view import pack

aten = torch.ops.aten


def _var(x: Tensor, dim: list[int], *, correction: float = 1, keepdim: bool = False) -> Tensor:
    """In sums, where torch's own decomposition names a primitive."""
    squares = (x - x.mean(dim, keepdim=True)).square().sum(dim, keepdim=keepdim)
    return squares / (math.prod(x.shape[each] for each in dim) - correction)


def _var_mean(x: Tensor, dim: list[int], *, correction: float = 1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    return _var(x, dim, correction=correction, keepdim=keepdim), x.mean(dim, keepdim=keepdim)


def _lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return start + weight * (end - start)


#: Operations of torch in terms of fewer.
DECOMPOSITIONS = {
    **decompositions(
        [
            aten.native_layer_norm, aten.native_layer_norm_backward, aten.leaky_relu, aten.leaky_relu_backward,
            aten.elu, aten.elu_backward, aten.gelu, aten.gelu_backward, aten.hardtanh, aten.hardtanh_backward,
            aten.hardsigmoid, aten.hardsigmoid_backward, aten.softplus, aten.softplus_backward,
            aten.log_sigmoid_forward, aten.log_sigmoid_backward, aten.silu, aten.silu_backward, aten.addcmul, aten.threshold_backward,
        ]
    ),
    aten.var.correction: _var, aten.var_mean.correction: _var_mean,
    aten.lerp.Tensor: _lerp, aten.lerp.Scalar: _lerp,
}  # fmt: skip


@dataclass(frozen=True)
class Traced:
    """A cell's step in two parts.

    Attributes:
        prologue: parameters and buffers -> what the step needs of them, the invariants of a loop.
        forward: (invariants, x, ended, draws, state) -> state, in torch's core operations.
        backward: (invariants, x, ended, draws, state, gradients of the new state) -> gradients of the invariants, x and
            state.
        draws: What draws each random number of a step.
        floating: Which of the invariants are floating-point.
        complex: Which parts of the state are complex: a row of such a one has Re beside Im, see `pack`.
        shapes: Those of the parts behind the batch; the graphs have each as a row, (batch, width).
        batch: The batch that was traced.
    """

    prologue: Prologue
    forward: fx.Graph
    backward: fx.Graph
    draws: tuple[Draw, ...]
    floating: tuple[bool, ...]
    complex: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    batch: int


def trace(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...], masked: bool) -> Traced:
    """Trace a step of `cell`.

    Args:
        cell: The cell.
        x: One step's input: its width, dtype and device count, its values and batch do not.
        state: The state before it, likewise.
        masked: Whether sequences may end early: then a state that has ended is kept.
    """
    weights = named_weights(dict(cell.named_modules()))
    batch = batch_for(*weights.values(), x[:1], *(part[:1] for part in state))
    x = x.new_zeros(batch, *x.shape[1:])
    shapes = tuple(tuple(part.shape[1:]) for part in state)
    state = tuple(part.new_zeros(batch, math.prod(shape)) for part, shape in zip(state, shapes, strict=True))
    ended = torch.zeros(batch, 1, dtype=torch.bool, device=x.device)

    def step(weights: list[Tensor], x: Tensor, ended: Tensor, *state: Tensor) -> list[Tensor]:
        parts = tuple(row.view(batch, *shape) for row, shape in zip(state, shapes, strict=True))
        new = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x, parts))
        if len(new) != len(state):
            raise Unsupported("a step that changes the number of its states")
        if any(part.shape != (batch, *shape) for part, shape in zip(new, shapes, strict=True)):
            raise Unsupported("a step that changes the shape of its states")
        new = tuple(part.reshape(row.shape) for part, row in zip(new, state, strict=True))
        if any(old.is_complex() != now.is_complex() for old, now in zip(state, new, strict=True)):
            raise Unsupported("a step that makes a complex state of a real one, or a real one of a complex")
        return [torch.where(ended, old, now) for old, now in zip(state, new, strict=True)] if masked else list(new)

    names = tuple(weights)
    detached = [weight.detach() for weight in weights.values()]
    with IsolatedRNG(x.device), torch.no_grad():
        whole = make_fx(torch.func.functionalize(step))(detached, x, ended, *state)
        whole.graph.eliminate_dead_code()
        eliminate_common_subexpressions(whole.graph)
        prologue, body, draws = _split(whole, len(detached), batch)
        invariants = prologue(*detached)
        noise = [draw(batch, x) for draw in draws]
        rows = list(map(pack, (x, ended, *noise, *state)))
        floating = tuple(value.is_floating_point() for value in invariants)
        forward = make_fx(torch.func.functionalize(body), decomposition_table=DECOMPOSITIONS)(*invariants, *rows)
        positions = [*(index for index, is_float in enumerate(floating) if is_float), len(invariants)]
        positions += range(len(invariants) + 2 + len(noise), len(invariants) + len(rows))

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
    parts = tuple(part.is_complex() for part in state)
    return Traced(prologue, forward.graph, backward.graph, draws, floating, parts, shapes, batch)


def _split(whole: fx.GraphModule, weights: int, batch: int) -> tuple[Prologue, Callable[..., Any], tuple[Draw, ...]]:
    """Part a step into what depends on weights alone, and the rest; random numbers become inputs of the rest."""
    nodes = list(whole.graph.nodes)
    placeholders = [node for node in nodes if node.op == "placeholder"]
    of_weights, of_rows = set(placeholders[:weights]), set(placeholders[weights:])
    random = []
    for node in nodes:
        if node.op not in ("call_function", "get_attr"):
            continue
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            random.append(node)
            of_rows.add(node)
        elif any(arg in of_rows for arg in node.all_input_nodes):
            of_rows.add(node)
        elif any(arg in of_weights for arg in node.all_input_nodes):
            of_weights.add(node)
    output = nodes[-1]
    frontier = [
        node for node in nodes if node in of_weights and any(user in of_rows or user is output for user in node.users)
    ]
    # What gives several tensors at once is returned tensor by tensor.
    if any(not isinstance(node.meta.get("val"), Tensor) for node in frontier):
        raise Unsupported("a parameter that is split into several before its use")
    draws = tuple(_drawer(node, batch) for node in random)
    prologue = _graph(whole, placeholders[:weights], frontier)
    outs = list(tree_leaves(output.args[0]))
    inputs = [*frontier, placeholders[weights], placeholders[weights + 1], *random, *placeholders[weights + 2 :]]
    body = _graph(whole, inputs, outs)
    if not is_complex(whole.graph):
        return _prologue(prologue), body, draws
    return_real_parts(prologue)
    return _prologue(prologue), RealInterpreter(body.graph, len(frontier)), draws


def _graph(whole: fx.GraphModule, inputs: list[fx.Node], outs: list[Any]) -> fx.GraphModule:
    """The part of a graph that leads from some of its nodes to others."""
    graph = fx.Graph(whole)
    known = {node: graph.placeholder(node.name) for node in inputs}
    for node, given in known.items():
        given.meta = node.meta

    def copy(node: fx.Node) -> fx.Node:
        for arg in node.all_input_nodes:
            if arg not in known:
                copy(arg)
        known[node] = graph.node_copy(node, lambda arg: known[arg])
        return known[node]

    graph.output([known.get(out) or copy(out) for out in outs])
    return fx.GraphModule(whole, graph)


def _prologue(module: fx.GraphModule) -> Prologue:
    """A graph of operations of torch as a list, which needs no tracer to be read again."""
    nodes = list(module.graph.nodes)
    constants = [node for node in nodes if node.op == "get_attr"]
    ordered = [*constants, *(node for node in nodes if node.op == "placeholder")]
    ordered += [node for node in nodes if node.op == "call_function"]
    slots = {node: Slot(index) for index, node in enumerate(ordered)}

    def given(arg: Any) -> Any:
        if isinstance(arg, fx.Node):
            return slots[arg]
        return tuple(map(given, arg)) if isinstance(arg, list | tuple) else arg

    return Prologue(
        tuple(operator.attrgetter(str(node.target))(module) for node in constants),
        tuple(
            Call(
                "getitem" if node.target is operator.getitem else str(node.target),
                given(node.args),
                tuple((name, given(arg)) for name, arg in node.kwargs.items()),
            )
            for node in nodes
            if node.op == "call_function"
        ),
        given(nodes[-1].args[0]),
    )


def _drawer(node: fx.Node, batch: int) -> Draw:
    """What draws a random number of a step for any batch: the same numbers that the step itself would draw."""
    name = cast(Any, node.target).__name__.partition(".")[0]
    shape = node.meta["val"].shape
    odd = node.meta["val"].is_complex() or len(shape) != 2 or shape[0] != batch
    if name not in DRAWS or odd:
        raise Unsupported(f"random numbers by {node.target}")
    return Draw(name.removesuffix("_like"), shape[1], node.meta["val"].dtype)
