"""A step of any cell, traced to operations of torch, through which a gradient is taken back with its account.

The step is traced forward alone, once a loop and for one sequence; then all steps go back at once. The derivative of each
operation is torch's own: nothing is said here of any cell, or of any derivative.
"""

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from rnnvanish.cell import State
from rnnvanish.compat.tracing import decompositions, make_fx
from rnnvanish.diagnosis.cause.account import Account, Flow, beside
from rnnvanish.diagnosis.cause.operations import (
    MATRICES,
    hands_on,
    is_pointwise,
    is_product,
    name_of,
    part_of,
)
from rnnvanish.diagnosis.cause.ways import DEPENDS, Pull, Way, meet
from rnnvanish.engine.ir.common_subexpressions import eliminate_common_subexpressions
from rnnvanish.numerics.real_view import is_number

aten = torch.ops.aten
#: Operations that are taken as those that they are made of.
COMPOSED = (aten.lerp, aten.addcmul, aten.addcdiv, aten.masked_fill, aten.silu, aten.mish)
#: A unit that keeps less than this, where others keep more, keeps nothing: a geometric mean of all would be about it alone.
SHUT = 1e-6
#: Tensors of one row each, without an axis for rows.
Parts = tuple[Tensor, ...]
#: A value that an operation reads: the argument, the place in it where that is a list, and the node that gives it.
Argument = tuple[Any, int | None, fx.Node]


class TracedStep:
    """A step of rows whose way back is known operation by operation.

    Args:
        step: (x, state, helpers) -> state, of whose helpers no gradient is asked for; what is made of them may stand behind
            the state that it gives.
        x: Input, (rows, features).
        state: State before the step; shapes count, and numbers do not.
        helpers: What else it reads.

    Raises:
        Exception: Of torch, where a step cannot be traced: it has a branch that depends on its numbers, for instance.
    """

    def __init__(self, step: Callable[[Tensor, State, State], State], x: Tensor, state: State, helpers: State) -> None:
        one, parts = tuple(each[:1].detach() for each in (x, *state, *helpers)), len(state)

        def function(x: Tensor, *rest: Tensor) -> State:
            return tuple(step(x, rest[:parts], rest[parts:]))

        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.random.fork_rng(_devices(x)):
            traced = make_fx(torch.func.functionalize(function))(*one)
            # Once more: what torch composes of operations in place shows only now.
            table = {each: how for each, how in decompositions(list(COMPOSED)).items() if _packet(each) in COMPOSED}
            self.module = make_fx(torch.func.functionalize(traced), decomposition_table=table)(*one)
        graph = self.module.graph
        _share_constants(graph)
        eliminate_common_subexpressions(graph)
        graph.eliminate_dead_code()
        self.nodes = list(graph.nodes)
        inputs = [node for node in self.nodes if node.op == "placeholder"]
        self.before, self.after = inputs[1 : 1 + parts], list(cast(Any, self.nodes[-1].args[0]))
        self.constants = {
            node: operator.attrgetter(str(node.target))(self.module).detach()
            for node in self.nodes
            if node.op == "get_attr"
        }
        self.depends, self.passed = self._dependencies()

    @property
    def has_matrix(self) -> bool:
        """Whether the state is multiplied by a matrix anywhere."""
        return any(node in self.passed and name_of(node) in MATRICES for node in self.nodes)

    @torch.no_grad()
    def account(self, x: Tensor, before: State, helpers: State, gradient: State) -> tuple[State, Account, Parts]:
        """Take gradients of the state after steps back to the state before; a row is a step of its own.

        Returns:
            The gradients by the state before; their account; and of each part of the state what is kept of it: of the
            factors of its direct way, the one of products alone, ln of their geometric mean, in which shut units count as
            nothing, and their mean, (rows, 2); nan where there is none.
        """
        inputs = tuple(part.detach() for part in (x, *before, *helpers))
        found = torch.vmap(self._account_of_row)(inputs, tuple(part.detach() for part in gradient))
        back, account, kept = found
        return back, {part: nats.squeeze(1) for part, nats in account.items()}, kept

    def _dependencies(self) -> tuple[dict[fx.Node, str], set[fx.Node]]:
        """What each value depends on, and which are made of the state."""
        depends, passed = dict[fx.Node, str](), set(self.before)
        for node in self.nodes:
            if node.op == "placeholder":
                depends[node] = "gates"
            elif node.op == "get_attr":
                tensor = operator.attrgetter(str(node.target))(self.module)
                learnt = isinstance(tensor, nn.Parameter) or tensor.requires_grad
                depends[node] = "weights" if learnt else "constants"
            else:
                read = node.all_input_nodes
                depends[node] = max((depends[each] for each in read), key=DEPENDS.index, default="constants")
                if node.op == "call_function" and name_of(node) != "detach" and not passed.isdisjoint(read):
                    passed |= {node} if _is_number(node) else set()
        return depends, passed

    def _account_of_row(self, inputs: Parts, gradient: Parts) -> tuple[Parts, Account, Parts]:
        known = self._forward(iter([part[None] for part in inputs]))
        arriving, factors = dict[fx.Node, list[Way]](), dict[fx.Node, list[tuple[fx.Node, Pull]]]()
        parts, ends = [part[None] for part in gradient], dict[fx.Node, Flow]()
        whole = Flow.start(torch.cat([part.flatten(1) for part in parts], dim=-1))
        for node, flow in zip(self.after, whole.split(*parts), strict=True):
            arriving.setdefault(node, []).append(Way(flow))
        for node in reversed(self.nodes):
            if node in self.passed and node in arriving:
                way = meet(arriving[node])
                if node.op == "placeholder":
                    ends[node] = way.settled()
                    continue
                for source, passed, factor in self._go_back(node, way, known):
                    arriving.setdefault(source, []).append(passed)
                    factors.setdefault(node, []).extend([] if factor is None else [(source, factor)])
        found = [ends.get(node) or Flow.start(torch.zeros_like(known[node])) for node in self.before]
        kept = [self._kept(*pair, known, factors) for pair in zip(self.after, self.before, strict=False)]
        return tuple(flow.value[0] for flow in found), beside(found).account, tuple(kept)

    def _kept(
        self,
        after: fx.Node,
        before: fx.Node,
        known: dict[fx.Node, Any],
        factors: dict[fx.Node, list[tuple[fx.Node, Pull]]],
    ) -> Tensor:
        """Of the factors f of the ways of products alone from one value back to another: `_log_share`, and the mean of |f|."""
        found = {after: torch.ones_like(known[after])}
        for node in reversed(self.nodes):
            for source, pull in factors.get(node, ()) if node in found else ():
                passed = pull(found[node])
                found[source] = found[source] + passed if source in found else passed
        if before not in found:
            return cast(Tensor, known[before].real.new_full((2,), torch.nan))
        factor = found[before].abs()
        return torch.stack([_log_share(factor), factor.mean()])

    def _forward(self, inputs: Iterator[Tensor]) -> dict[fx.Node, Any]:
        known: dict[fx.Node, Any] = dict(self.constants)
        for node in self.nodes[:-1]:
            if node.op == "placeholder":
                known[node] = next(inputs)
            elif node.op != "get_attr":
                known[node] = _call(node, *fx.node.map_arg((node.args, node.kwargs), known.__getitem__))
        return known

    def _go_back(
        self, node: fx.Node, way: Way, known: dict[fx.Node, Any]
    ) -> Iterator[tuple[fx.Node, Way, Pull | None]]:
        """From a value to each that it is made of and that a gradient passes; and the map, where that is a product."""
        of_several: int | None = None
        if node.target is operator.getitem:  # one of several values that one operation gives
            node, of_several = cast(Any, node.args)
        arguments = _arguments(node)
        for place, index, source in arguments:
            if source not in self.passed:
                continue
            others = [self.depends[other] for p, i, other in arguments if (p, i) != (place, index)]
            part = part_of(node, place, others, self.depends[arguments[0][2]])
            shape = known[source].shape
            wide = known[source].expand(way.value.shape) if is_pointwise(node) else known[source]
            pull = _pull(node, (place, index), of_several, wide, known)
            product = False
            if part in ("slopes", "normalisation", "other"):
                new = Way(way.settled().becomes(pull(way.value), part))
            else:
                alike = wide.is_complex() == way.value.is_complex()  # else Re is taken of it, or put into it
                part = part if alike else part or "ways"
                product = alike and (is_product(node, place) or hands_on(node))
                new = way.through(pull, part, product, fixed=part != "gates")
            if wide.shape != shape:
                new, product = new.through(partial(_summed, shape), "ways", product=False, fixed=True), False
            yield source, new, pull if product else None


def _pull(
    node: fx.Node, place: tuple[Any, int | None], of_several: int | None, at: Tensor, known: dict[fx.Node, Any]
) -> Callable[[Tensor], Tensor]:
    """The vector-Jacobian product of an operation by one of its arguments."""
    argument, index = place

    def of(value: Tensor) -> Tensor:
        args, kwargs = cast(Any, fx.node.map_arg((node.args, node.kwargs), known.__getitem__))
        where = dict(enumerate(args)) | kwargs
        if index is None:
            where[argument] = value
        else:
            where[argument] = [value if k == index else each for k, each in enumerate(where[argument])]
        result = _call(node, [where[k] for k in range(len(args))], {name: where[name] for name in kwargs})
        return cast(Tensor, result if of_several is None else result[of_several])

    vjp = torch.func.vjp(of, at)[1]
    return lambda gradient: cast(Tensor, vjp(gradient)[0])


def _summed(shape: torch.Size, value: Tensor) -> Tensor:
    return value.sum_to_size(shape)


def _arguments(node: fx.Node) -> list[Argument]:
    """The values that an operation reads."""
    found: list[Argument] = []
    for place, argument in [*enumerate(node.args), *node.kwargs.items()]:
        if isinstance(argument, fx.Node):
            found.append((place, None, argument))
        elif isinstance(argument, list | tuple):
            found += [(place, index, each) for index, each in enumerate(argument) if isinstance(each, fx.Node)]
    return found


def _call(node: fx.Node, args: Any, kwargs: Any) -> Any:
    return (aten.reshape.default if name_of(node) == "view" else node.target)(*args, **kwargs)  # type: ignore[operator]


def _share_constants(graph: fx.Graph) -> None:
    """Have each tensor that a step holds read once."""
    once: dict[Any, fx.Node] = {}
    for node in graph.find_nodes(op="get_attr"):
        if (same := once.setdefault(node.target, node)) is not node:
            node.replace_all_uses_with(same)


def _is_number(node: fx.Node) -> bool:
    value = node.meta.get("val")
    first = value[0] if isinstance(value, list | tuple) else value
    return isinstance(first, Tensor) and is_number(first)


def _packet(operation: Any) -> Any:
    return getattr(operation, "overloadpacket", operation)


def _devices(x: Tensor) -> list[torch.device]:
    return [x.device] if x.is_cuda else []


def _log_share(factor: Tensor) -> Tensor:
    """ln of what a step keeps: the geometric mean of the units that keep something, times how many these are of all."""
    is_open = factor > SHUT
    kept = torch.where(is_open, factor, 1.0).log().sum() / is_open.sum() + is_open.to(factor).mean().log()
    return torch.where(is_open.any(), kept, factor.log().mean())
