"""The gates of a cell that names them: what they were, and between which limits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.backward.replay import InnermostCall
from rnnvanish.cell import Cell, gates_of

#: A value of the graph: the node that gave it, and which of its outputs it is.
Edge = tuple[Any, int]
#: Operations that take a gradient on as it is, or multiply it number by number.
PRODUCTS = frozenset(
    (
        *(
            "AddBackward0",
            "SubBackward0",
            "RsubBackward1",
            "NegBackward0",
            "MulBackward0",
            "DivBackward0",
            "LerpBackward1",
        ),
        *(
            "LerpBackward0",
            "WhereBackward0",
            "CloneBackward0",
            "ToCopyBackward0",
            "ViewBackward0",
            "UnsqueezeBackward0",
        ),
    )
)
#: What a value is made of: of weights and constants alone, of the input too, of the old state too.
FIXED, INPUT, STATE = range(3)
#: The operation that takes a value apart into blocks side by side.
SPLIT = "SplitBackward0"
#: The functions that make a gate or a unit, by their nodes in autograd's graph, and the limits of what they give.
SQUASHING = {"SigmoidBackward0": (0.0, 1.0), "TanhBackward0": (-1.0, 1.0), "ReluBackward0": (0.0, math.inf)}


#: Other functions of a number: what reads what they give says nothing of the block that they read.
OTHER_FUNCTIONS = frozenset(
    f"{name}Backward0" for name in ("Gelu", "Elu", "Hardtanh", "Hardsigmoid", "LeakyRelu", "PreluKernel", "Softplus")
)


def title(gate: str) -> str:
    """What a gate is called in a report."""
    return "units" if gate == "h" else gate


@dataclass(frozen=True, eq=False)
class GateValues:
    """What a gate was, row by row, and the limits between which it can be."""

    value: Float[Tensor, "rows hidden"]
    low: float
    high: float


class _StepGraph:
    """The graph of a replayed step of a cell that names its layers, as autograd recorded it.

    A layer is one operation, whatever it is made of (weights with a mask, normalised ones).

    Attributes:
        before: The parts of the old state; None for one without a gradient.
        after: Those of the new state.
        nodes: The operations that the input or the old state goes through, each before those that it reads from.
    """

    def __init__(self, call: InnermostCall) -> None:
        self.before, self.after = ([_edge_of(part) for part in parts] for parts in (call.before, call.after))
        self._sums = {edge[0]: name for name, value in call.sums.items() if (edge := _edge_of(value))}
        self._reads = {name: _edge_of(value) for name, value in call.reads.items()}
        self._made_of = {None: FIXED, _edge_of(call.x): INPUT} | dict.fromkeys(filter(None, self.before), STATE)
        self._ends = {edge[0] for edge in self._made_of if edge}
        found: dict[Any, None] = {}
        for part in self.after:
            self._explore(part, found)
        self.nodes = list(reversed(found))

    def made_of(self, edge: Edge | None) -> int:
        """Whether a value is FIXED, or made of the INPUT or the old STATE."""
        return self._made_of[edge]

    def layer(self, node: Any) -> str:
        """The name of the layer that an operation is; "" for another operation."""
        return self._sums.get(node, "")

    def sources(self, node: Any) -> list[Edge | None]:
        """The values that an operation reads, in the order of its derivatives; None for a constant."""
        if node in self._ends:
            return []
        if layer := self.layer(node):
            return [self._reads[layer]]
        return [None if source is None else (source, output) for source, output in node.next_functions]

    def _explore(self, edge: Edge | None, found: dict[Any, None]) -> int:
        if edge not in self._made_of and edge is not None:
            self._made_of[edge] = max([self._explore(source, found) for source in self.sources(edge[0])], default=FIXED)
            if self._made_of[edge] > FIXED:
                found.setdefault(edge[0])
        return self._made_of[edge]


def _edge_of(value: Tensor) -> Edge | None:
    """The place of a tensor in the graph; None where it has no gradient."""
    if not value.requires_grad:
        return None
    edge = get_gradient_edge(value)
    return edge.node, edge.output_nr


def gate_values(call: InnermostCall) -> dict[str, GateValues]:
    """Read the gates and units that a cell names, and what is squashed of its new state ("tanh c").

    A gate is what the first squashing function makes of its block, whatever is added to it or multiplied with it on the
    way. A block called like a part of the state is that part where no such function is known. Others are left out, and
    all where the cell names none or was not called once.
    """
    if call.gates is None:
        call.gates = _read_gates(call)
    return call.gates


def _read_gates(call: InnermostCall) -> dict[str, GateValues]:
    if not call.complete:
        return {}
    cell, graph, nodes = cast(Cell, call.cell), _StepGraph(call), dict[str, list[Any]]()
    for node in graph.nodes:
        if node.name() in SQUASHING:
            for name in _names(node, cell, graph, call):
                nodes.setdefault(name, []).append(node)
    values = {
        name: GateValues(node._saved_result.detach().flatten(1), *SQUASHING[node.name()])
        for name, (node, *others) in nodes.items()
        if not others
    }
    for name, part in zip(cell.state_names, call.after, strict=True):
        if name in gates_of(cell) and name not in values:
            values[name] = GateValues(part.detach().flatten(1), -math.inf, math.inf)
    ordered = dict.fromkeys(name for name in (*gates_of(cell), *values) if name in values)
    return {name: values[name] for name in sorted(ordered, key=lambda name: values[name].low < 0)}


@torch.no_grad()
def kept_by_gate(call: InnermostCall) -> Float[Tensor, "rows hidden"] | None:
    """What a step kept of the part of the state that a gate keeps, row by row; None where a cell has none, or none is seen.

    The product on the way from the new part back to the old one that is products alone: mostly the gate itself.
    """
    cell = call.cell
    if not isinstance(cell, Cell) or cell.keeps is None or not call.complete:
        return None
    place, graph = cell.state_names.index(cell.keeps.part), _StepGraph(call)
    start, end = graph.after[place], graph.before[place]
    if start is None or end is None:
        return None
    found: dict[Edge, Tensor] = {start: torch.ones_like(call.after[place])}
    for node in graph.nodes:
        if (node, 0) in found and node.name() in PRODUCTS and not graph.layer(node):
            back = node(found[node, 0])
            for source, value in zip(graph.sources(node), back if isinstance(back, tuple) else (back,), strict=True):
                if source is not None and value is not None and graph.made_of(source) == STATE:
                    found[source] = found[source] + value if source in found else value
    if end not in found or found[end].shape != call.before[place].shape:
        return None
    before, after = (cell.scales(state)[place] for state in (call.before, call.after))
    kept: Tensor = found[end] * after / before
    return kept.detach().flatten(1)


def _names(node: Any, cell: Cell, graph: _StepGraph, call: InnermostCall) -> set[str]:
    """What a squashing function makes: the gates of the blocks that it reads, or a part of the new state once more."""
    (source,), function = graph.sources(node), node.name().removesuffix("Backward0").lower()
    for name, edge in zip(cell.state_names, graph.after, strict=True):
        if edge and source in graph.sources(edge[0]):  # a replayed state is a copy
            return {f"{function} {name}"}
    width = node._saved_result.shape[-1]
    return {
        cell.gate_names[layer][column // width]
        for layer, column in _columns(source, graph)
        if call.sums[layer].shape[-1] == width * len(cell.gate_names[layer]) and column % width == 0
    }


def _columns(edge: Edge | None, graph: _StepGraph, column: int = 0) -> Iterator[tuple[str, int]]:
    """Where in the sums of which layers a value begins, back to the functions that squashed what it reads."""
    if edge is None or edge[0].name() in {*SQUASHING, *OTHER_FUNCTIONS} or graph.made_of(edge) == FIXED:
        return
    node, output = edge
    if layer := graph.layer(node):
        yield layer, column
        return
    sources = graph.sources(node)
    if node.name() == "DivBackward0" and len(sources) > 1 and sources[1] and _reads_size(sources[1]):
        return  # a / (1 + |a|)
    for source in sources:
        yield from _columns(source, graph, column + (output * node._saved_split_size if node.name() == SPLIT else 0))


def _reads_size(edge: Edge) -> bool:
    """Whether a value is a sum of a size, |a|, and constants."""
    node = edge[0]
    if node.name() == "AddBackward0":
        return any(source is not None and source.name() == "AbsBackward0" for source, _ in node.next_functions)
    return bool(node.name() == "AbsBackward0")
