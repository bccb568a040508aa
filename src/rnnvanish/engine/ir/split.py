"""Splitting a traced step: what reads weights alone, what reads the input alone, and the rest, which is the loop's.

What reads the input alone stays with the rest, where the loop's own vocabulary has its operations: the engine then knows
its derivative. Otherwise it may be any operation of torch: `input_stage` says so, it is run for all time steps at once,
and what it returns takes the place of the input.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.engine.ir.complex import RealInterpreter, is_complex, return_real_parts
from rnnvanish.engine.ir.isolated_rng import DRAWS
from rnnvanish.engine.ir.lowering.lower import FILLS
from rnnvanish.engine.ir.prologue import NOTHING, Call, Draw, Prologue, Rows, Slot
from rnnvanish.engine.ir.unsupported import NothingApart, Unsupported
from rnnvanish.engine.ir.values import Stage

aten = torch.ops.aten


@dataclass(frozen=True)
class Split:
    """A traced step in parts.

    Attributes:
        prologue: Weights -> the invariants of the loop, those that are complex as real tensors, and after them, as they
            are, those of `input_stage`.
        input_stage: Its invariants, input and draws -> what the loop reads of these.
        body: Invariants of the loop, input, whether a sequence has ended, draws, state -> state.
        draws: What draws each random number of a step.
        invariants: How many of the results of `prologue` are the loop's.
        width: Of the input that `body` takes.
    """

    prologue: Prologue
    input_stage: Prologue
    body: Callable[..., Any]
    draws: tuple[Draw, ...]
    invariants: int
    width: int


def split(whole: fx.GraphModule, twin: fx.GraphModule | None, weights: int, batch: int) -> Split:
    """Split a step.

    Args:
        whole: It, traced: weights, input, whether a sequence has ended, state -> state.
        twin: The same with another batch, for what reads the input alone to be run by itself; None for it to stay.
        weights: How many of its placeholders are weights.
        batch: The batch that was traced.
    """
    graph = whole.graph
    placeholders = graph.find_nodes(op="placeholder")
    own, (x, ended, *states) = placeholders[:weights], placeholders[weights:]
    random = [node for node in graph.nodes if _is_random(node)]
    outs = list(tree_leaves(graph.output_node().args[0]))
    stages = _stages(graph, dict.fromkeys(own, Stage.ONCE) | dict.fromkeys([x, *random], Stage.ALL), batch)
    draws = tuple(_drawer(node, batch) for node in random)

    def read_by(node: fx.Node, late: Callable[[fx.Node], bool]) -> bool:
        return any(late(user) or user.op == "output" for user in node.users)

    def is_loops(node: fx.Node) -> bool:
        return stages[node] == Stage.STEP or (twin is None and stages[node] == Stage.ALL)

    invariants = [node for node in stages if stages[node] == Stage.ONCE and read_by(node, is_loops)]
    inputs, raw, input_stage = [x], list[fx.Node](), NOTHING
    if twin is not None:
        early = [node for node in stages if stages[node] == Stage.ALL and node not in random]
        inputs = [node for node in early if read_by(node, is_loops)]
        if inputs in ([], [x]):
            raise NothingApart("operation that reads the input alone")
        raw = [node for node in stages if stages[node] == Stage.ONCE and read_by(node, set(early).__contains__)]
        if any(node.meta["val"].shape[:1] != (batch,) for node in inputs):
            raise Unsupported("way to compute for all time steps at once what mixes the sequences of a batch")
        input_stage = _input_stage(whole, twin, [*raw, x, *random], inputs)
    prologue = _part(whole, own, [*invariants, *raw])
    body = _part(whole, [*invariants, *inputs, ended, *random, *states], outs)
    rows = body.graph.find_nodes(op="placeholder")[len(invariants) :][: len(inputs)]
    if twin is not None:
        _take_flat(body.graph, rows, x.meta["val"].dtype.to_real())
        body.recompile()
    run: Callable[..., Any] = body
    if is_complex(graph):
        return_real_parts(prologue, len(invariants))
        run = RealInterpreter(body.graph, len(invariants))
    operations, widths = as_prologue(prologue), list(map(_width, rows))
    first = len(operations.results) - len(raw)

    def of_one_row(*given: Tensor) -> Any:
        return run(*given[:first], *given[first].split(widths, 1), *given[first + 1 :])

    return Split(operations, input_stage, run if twin is None else of_one_row, draws, first, sum(widths))


def _is_random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _width(node: fx.Node) -> int:
    """Of a row of real numbers."""
    row = node.meta["val"]
    return int(math.prod(row.shape[1:]) * (1 + row.is_complex()))


def _stages(graph: fx.Graph, known: dict[fx.Node, Stage], batch: int) -> dict[fx.Node, Stage]:
    """When each node can be computed, in the order of the graph; numbers that are written in the step are in none."""
    stages: dict[fx.Node, Stage] = {}
    for node in graph.nodes:
        given = [stages[arg] for arg in node.all_input_nodes if arg in stages]
        if node in known:
            stages[node] = known[node]
        elif node.op == "placeholder":
            stages[node] = Stage.STEP
        elif given and node.op != "output":
            # Weights that are repeated for each sequence are no more than rows that begin there.
            shape = getattr(node.meta.get("val"), "shape", ())
            stages[node] = max(*given, Stage.ALL if batch in shape[:1] else Stage.ONCE)
        elif node.op in ("call_function", "get_attr") and _is_table(node, batch):
            stages[node] = Stage.ONCE
    return stages


def _is_table(node: fx.Node, batch: int) -> bool:
    """Whether a tensor that is written in the step is more than a number for all units, and the same for any batch."""
    name = getattr(node.target, "__name__", "").partition(".")[0]
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.numel() > 1 and name not in FILLS and batch not in value.shape


def _input_stage(whole: fx.GraphModule, twin: fx.GraphModule, given: list[fx.Node], results: list[fx.Node]) -> Prologue:
    """What leads from some nodes to others, for any number of sequences: the twin tells which numbers are of these."""
    of_twin = dict(zip(whole.graph.nodes, twin.graph.nodes, strict=True))
    ours = as_prologue(_part(whole, given, results))
    theirs = as_prologue(_part(twin, [of_twin[node] for node in given], [of_twin[node] for node in results]))
    if [call.name for call in ours.calls] != [call.name for call in theirs.calls]:
        raise Unsupported("way to run a step that computes otherwise for another number of sequences")
    batches = [module.meta["val"].shape[0] for module in (results[0], of_twin[results[0]])]
    calls = tuple(
        replace(
            call,
            args=_with_rows(call.args, other.args, batches),
            options=_with_rows(call.options, other.options, batches),
        )
        for call, other in zip(ours.calls, theirs.calls, strict=True)
    )
    return replace(ours, calls=calls)


def _with_rows(arg: Any, other: Any, batches: Sequence[int]) -> Any:
    """An argument, in which numbers are of the batch where they are in proportion to it."""
    if isinstance(arg, tuple) and isinstance(other, tuple) and len(arg) == len(other):
        return tuple(_with_rows(*each, batches) for each in zip(arg, other, strict=True))
    if repr(arg) == repr(other):  # nan is equal to nan
        return arg
    batch, other_batch = batches
    if type(arg) is int and type(other) is int and arg % batch == 0 and arg * other_batch == other * batch:
        return Rows(arg // batch)
    raise Unsupported("way to compute for all time steps at once what depends on the number of sequences")


def _take_flat(graph: fx.Graph, rows: list[fx.Node], dtype: torch.dtype) -> None:
    """Have a graph take some of its inputs as flat rows of numbers of a dtype, whatever shape and dtype they have."""
    first = next(node for node in graph.nodes if node.op != "placeholder")
    for row in rows:
        value, users = row.meta["val"], list(row.users)
        flat = value.flatten(1)
        row.meta = {**row.meta, "val": flat if flat.is_complex() else flat.to(dtype)}
        now = row
        with graph.inserting_before(first):
            if value.dtype == torch.bool:
                now = graph.call_function(aten.ne.Scalar, (row, 0))
            elif not value.is_complex() and value.dtype != dtype:
                now = graph.call_function(aten._to_copy.default, (row,), {"dtype": value.dtype})
            if value.dim() != 2:
                now = graph.call_function(aten.view.default, (now, list(value.shape)))
        now.meta.setdefault("val", value)
        for user in users:
            user.replace_input_with(row, now)


def _part(whole: fx.GraphModule, inputs: list[fx.Node], outs: list[Any]) -> fx.GraphModule:
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


def as_prologue(module: fx.GraphModule) -> Prologue:
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
    name, _, form = cast(Any, node.target).__name__.partition(".")
    shape = node.meta["val"].shape
    odd = node.meta["val"].is_complex() or len(shape) != 2 or shape[0] != batch
    if odd or name not in DRAWS or (name == "bernoulli" and form != "p"):
        raise Unsupported(f"random numbers by {node.target}")
    chance = float(cast(Any, node.args[1])) if name == "bernoulli" else 0.5
    return Draw(name.removesuffix("_like"), shape[1], node.meta["val"].dtype, chance)
