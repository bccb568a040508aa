"""The table of operations: what each is in torch, its text for Numba and for Triton, its rule for complex numbers.

A row is all that an operation on numbers, unit by unit, needs. An operation whose row says nothing of a device, or of
complex numbers, is run by the plain loop there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnvanish.engine.ir import complex_arithmetic as rules


@dataclass(frozen=True)
class Operation:
    """An operation on numbers, unit by unit.

    In a text {0}, {1} stand for the arguments: names, or numbers. It gives nan, infinities and zeros as torch does, and
    may use whatever stands at the head of a generated module: see the folder `cpu` for Numba, `gpu` for Triton.

    Attributes:
        function: What it is in torch; its name is that of the operation.
        numba: How a loop on the CPU writes it; None where that is not known.
        triton: How a kernel on the GPU writes it, likewise; on tensors, as Triton has them.
        aliases: Other names that a traced step may have for it.
        boolean: Whether it says true or false.
        expensive: Whether to compute it takes much longer than to read a number.
        complex: What it gives of complex numbers: called with the traced node and its arguments, see
            `complex_arithmetic`. None where that is not known.
    """

    function: Callable[..., Tensor]
    numba: str | None
    triton: str | None
    aliases: tuple[str, ...] = ()
    boolean: bool = False
    expensive: bool = False
    complex: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """As torch writes it."""
        return self.function.__name__


_ROWS = [
    Operation(torch.add, "{0} + {1}", "{0} + {1}", complex=rules.add),
    Operation(torch.sub, "{0} - {1}", "{0} - {1}", complex=rules.sub),
    Operation(torch.mul, "{0} * {1}", "{0} * {1}", complex=rules.mul),
    Operation(torch.div, "{0} / {1}", "{0} / {1}", complex=rules.div),
    Operation(torch.neg, "-{0}", "-{0}", complex=rules.neg),
    Operation(torch.reciprocal, "one / {0}", "1.0 / {0}", complex=rules.reciprocal),
    Operation(torch.abs, "abs({0})", "tl.abs({0})", complex=rules.absolute),
    Operation(
        torch.sign,
        "(one if {0} > zero else (-one if {0} < zero else zero))",
        "tl.where({0} > 0, 1.0, tl.where({0} < 0, -1.0, 0.0))",
        aliases=("sgn",),
        complex=rules.sgn,
    ),
    Operation(torch.relu, "(zero if {0} < zero else {0})", "tl.where({0} < 0, 0.0, {0})"),
    Operation(
        torch.maximum, "({0} if {0} > {1} or {0} != {0} else {1})", "tl.where(({0} > {1}) | ({0} != {0}), {0}, {1})"
    ),
    Operation(
        torch.minimum, "({0} if {0} < {1} or {0} != {0} else {1})", "tl.where(({0} < {1}) | ({0} != {0}), {0}, {1})"
    ),
    Operation(torch.floor, "np.floor({0})", "tl.floor({0})"),
    Operation(torch.ceil, "np.ceil({0})", "tl.ceil({0})"),
    Operation(torch.trunc, "np.trunc({0})", "tl.where({0} < 0, tl.ceil({0}), tl.floor({0}))"),
    Operation(torch.round, "np.rint({0})", "rint({0})"),
    Operation(torch.fmod, "np.fmod({0}, {1})", "{0} % {1}"),
    Operation(torch.remainder, "{0} % {1}", "remainder({0}, {1})"),
    Operation(torch.sqrt, "math.sqrt({0})", "tl.sqrt({0})"),
    Operation(torch.rsqrt, "one / math.sqrt({0})", "1.0 / tl.sqrt({0})"),
    Operation(torch.pow, "{0} ** {1}", "power({0}, {1})", expensive=True, complex=rules.power),
    Operation(torch.exp, "exp({0})", "tl.exp({0})", expensive=True, complex=rules.exp),
    Operation(torch.expm1, "math.expm1({0})", "expm1({0})", expensive=True),
    Operation(torch.log, "log({0})", "tl.log({0})", expensive=True),
    Operation(torch.log1p, "log1p({0})", "log1p({0})", expensive=True),
    Operation(torch.exp2, "np.exp2({0})", "tl.exp2({0})", expensive=True),
    Operation(torch.log2, "np.log2({0})", "tl.log2({0})", expensive=True),
    Operation(torch.sin, "math.sin({0})", "tl.sin({0})", expensive=True),
    Operation(torch.cos, "math.cos({0})", "tl.cos({0})", expensive=True),
    Operation(torch.tan, "math.tan({0})", "tl.sin({0}) / tl.cos({0})", expensive=True),
    Operation(torch.asin, "math.asin({0})", "asin({0})", expensive=True),
    Operation(torch.acos, "math.acos({0})", "acos({0})", expensive=True),
    Operation(torch.atan, "math.atan({0})", "atan({0})", expensive=True),
    Operation(torch.atan2, "math.atan2({0}, {1})", "atan2({0}, {1})", expensive=True),
    Operation(torch.hypot, "math.hypot({0}, {1})", "hypot({0}, {1})", expensive=True),
    Operation(torch.sinh, "math.sinh({0})", "sinh({0})", expensive=True),
    Operation(torch.cosh, "math.cosh({0})", "0.5 * tl.exp({0}) + 0.5 * tl.exp(-{0})", expensive=True),
    Operation(torch.tanh, "tanh({0})", "tanh({0})", expensive=True, complex=rules.tanh),
    Operation(torch.sigmoid, "sigmoid({0})", "sigmoid({0})", expensive=True),
    Operation(torch.erf, "math.erf({0})", "tl.erf({0})", expensive=True),
    Operation(torch.erfc, "math.erfc({0})", "erfc({0})", expensive=True),
    Operation(torch.isnan, "{0} != {0}", "{0} != {0}", boolean=True),
    Operation(torch.gt, "{0} > {1}", "{0} > {1}", boolean=True),
    Operation(torch.ge, "{0} >= {1}", "{0} >= {1}", boolean=True),
    Operation(torch.lt, "{0} < {1}", "{0} < {1}", boolean=True),
    Operation(torch.le, "{0} <= {1}", "{0} <= {1}", boolean=True),
    Operation(torch.eq, "{0} == {1}", "{0} == {1}", boolean=True),
    Operation(torch.ne, "{0} != {1}", "{0} != {1}", boolean=True),
    Operation(torch.logical_and, "{0} & {1}", "{0} & {1}", aliases=("bitwise_and",), boolean=True),
    Operation(torch.logical_or, "{0} | {1}", "{0} | {1}", aliases=("bitwise_or",), boolean=True),
    Operation(torch.logical_not, "not {0}", "{0} == 0", aliases=("bitwise_not",), boolean=True),
    Operation(torch.where, "({1} if {0} else {2})", "tl.where({0}, {1}, {2})", complex=rules.where),
]
#: Every row by its name.
OPERATIONS = {row.name: row for row in _ROWS}
#: The name of a row by each name that a traced step may have for it.
NAMES = {name: row.name for row in _ROWS for name in (row.name, *row.aliases)}
