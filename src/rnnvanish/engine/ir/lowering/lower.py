"""Lowering a traced step: from the operations of torch to values."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.engine.ir.lowering.products import Products
from rnnvanish.engine.ir.operations import NAMES
from rnnvanish.engine.ir.unsupported import Unsupported, operation
from rnnvanish.engine.ir.values import Value

aten = torch.ops.aten
IDENTITIES = {"clone", "detach", "alias", "lift_fresh_copy", "contiguous", "_to_copy"}
RESHAPES = {"view", "reshape", "_unsafe_view", "unsqueeze", "squeeze"}
FILLS: dict[str, Callable[..., Any]] = {
    "full": lambda shape, number: number,
    "full_like": lambda like, number: number,
    "scalar_tensor": lambda number: number,
    "empty_permuted": lambda shape, order: math.nan,  # only ever asked for its shape
    "zeros": lambda shape: 0.0,
    "zeros_like": lambda like: 0.0,
    "new_zeros": lambda like, shape: 0.0,
    "ones": lambda shape: 1.0,
    "ones_like": lambda like: 1.0,
    "new_ones": lambda like, shape: 1.0,
}


class Lowering(Products):
    """Turns the nodes of one traced graph into values; arguments are those of `Rows`."""

    def lower(self, graph: fx.Graph, inputs: Sequence[Value]) -> list[Value]:
        """Return the values of what a graph returns, from those of its placeholders."""
        remaining = iter(inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                self.of[node] = next(remaining)
            elif node.op == "output":
                return [self._argument(out) for out in tree_leaves(node.args[0])]
            elif node.op == "get_attr":
                self.of[node] = self._attribute(node)
            elif node.users:
                self.of[node] = self._call(node)
        raise Unsupported("a step that returns nothing")

    def _attribute(self, node: fx.Node) -> Value:
        tensor = operator.attrgetter(cast(str, node.target))(node.graph.owning_module)
        if not isinstance(tensor, Tensor) or tensor.numel() != 1:
            raise Unsupported("way with a tensor that is neither input nor parameter nor buffer")
        return self.values.constant(tensor.item())

    def _call(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            return self.of[cast(fx.Node, node.args[0])][node.args[1]]
        name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
        dtype = getattr(node.meta.get("val"), "dtype", None)
        if dtype is not None and dtype.is_complex:
            raise Unsupported(f"{name} of complex numbers")
        special = getattr(self, f"_{name}", None)
        if special is not None:
            return special(node)
        if name in IDENTITIES:
            if dtype != cast(fx.Node, node.args[0]).meta["val"].dtype:
                return self._cast(node)
            return self._moved(node, self.of[cast(fx.Node, node.args[0])], self._batch(node.args[0]))
        if name in RESHAPES:
            return self._reshaped(node)
        if name in FILLS:
            number = FILLS[name](*node.args)
            return self._expanded(self.values.constant(float(number)), node)
        if name not in NAMES or node.kwargs:  # a rounding mode, decimals: another operation of the same name
            raise Unsupported(operation(node.target))
        args = self._broadcast(node, node.args)
        if name.startswith("bitwise") and not all(arg.boolean for arg in args):
            raise Unsupported(str(node.target))
        logical = NAMES[name].startswith("logical") or NAMES[name] == "where"
        return self.values.elementwise(NAMES[name], *(args if logical else map(self._number, args)))

    # Functions of several operations

    def _cast(self, node: fx.Node) -> Value:
        """A change of dtype: whole numbers, and those that are true or false, are such as the loop has."""
        (value,) = self._broadcast(node, node.args[:1])
        old, new = (cast(Any, each).meta["val"].dtype for each in (node.args[0], node))
        if old == torch.bool:
            return self._number(value)
        if new == torch.bool:
            return self.values.elementwise("ne", value, self.values.constant(0.0))
        if new.is_floating_point and not old.is_floating_point:
            return value
        if old.is_floating_point and not new.is_floating_point:
            return self.values.elementwise("trunc", value)
        if old.is_floating_point != new.is_floating_point or old.is_floating_point:
            raise Unsupported(f"a change of dtype, {old} to {new}")
        return value

    def _div(self, node: fx.Node) -> Value:
        over, under = map(self._number, self._broadcast(node, node.args[:2]))
        do, number = self.values.elementwise, self.values.constant
        quotient, rounding = do("div", over, under), node.kwargs.get("rounding_mode")
        if rounding is None:
            return quotient
        if rounding == "trunc":
            return do("trunc", quotient)
        rest = do("fmod", over, under)  # as torch has it: a quotient that is rounded up is no whole one
        down = do("logical_not", do("eq", do("lt", under, number(0.0)), do("lt", rest, number(0.0))))
        down = do("logical_and", do("ne", rest, number(0.0)), down)
        whole = do("sub", do("div", do("sub", over, rest), under), self._number(down))
        floor = do("floor", whole)
        floor = do("add", floor, self._number(do("gt", do("sub", whole, floor), number(0.5))))
        return do("where", do("eq", under, number(0.0)), quotient, floor)

    def _floor_divide(self, node: fx.Node) -> Value:
        node.kwargs = {"rounding_mode": "floor"}
        return self._div(node)

    def _clamp(self, node: fx.Node) -> Value:
        (value,) = self._broadcast(node, node.args[:1])
        low, high = (*node.args[1:], None, None)[:2]
        low, high = node.kwargs.get("min", low), node.kwargs.get("max", high)
        for op, bound in (("maximum", low), ("minimum", high)):
            if bound is not None:
                value = self.values.elementwise(op, *self._broadcast(node, [node.args[0], bound])[1:], value)
        return value

    _clamp_min = _clamp

    def _pow(self, node: fx.Node) -> Value:
        (value, power), exponent = self._broadcast(node, node.args), node.args[1]
        if exponent == 2:
            return self.values.elementwise("mul", value, value)
        if exponent == 0.5:
            return self.values.elementwise("sqrt", value)
        return self.values.elementwise("pow", value, power)
