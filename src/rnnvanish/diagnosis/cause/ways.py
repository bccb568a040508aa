"""Ways of a gradient through a step, and when several of them are one.

An account depends on which operations are told apart. These rules make it that of the function, not of how it is written:

1. Ways from one place to another that are products alone are one product: (1 − z) n + z h is n + z (h − n).
2. Ways from one place to another that no input changes are one matrix: a reflection h − 2 v vᵀ h is orthogonal.
3. Matrices that read the same place are one matrix: four layers for four gates are one layer of four times the width.
4. What is cut out of a matrix' input belongs to the matrix: W [x, h] is V x + U h.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from rnnvanish.diagnosis.cause.account import Flow, beside, join

#: What a factor depends on, each perhaps also on what stands before it: nothing, parameters, the input or the state.
DEPENDS = ("", "constants", "weights", "gates")
#: A linear map on the way back.
Pull = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class LinearMap:
    """One linear map that a gradient passes on its way back.

    Attributes:
        pull: The map.
        value: What came of it.
        part: What it is to the account.
        product: Whether it multiplies number by number.
        fixed: Whether it is the same at every step.
    """

    pull: Pull
    value: Tensor
    part: str
    product: bool
    fixed: bool

    @property
    def is_matrix(self) -> bool:
        """Whether it is one of the recurrent weights' matrices."""
        return self.part == "weights" and not self.product


@dataclass(frozen=True, eq=False)
class Way:
    """A flow and the linear maps that it has passed since: what other ways may still become one with."""

    origin: Flow
    maps: tuple[LinearMap, ...] = ()

    @property
    def value(self) -> Tensor:
        """The gradient, where it is now."""
        return self.maps[-1].value if self.maps else self.origin.value

    def through(self, pull: Pull, part: str, product: bool, fixed: bool) -> "Way":
        """Go on by another map."""
        if part == "ways" and self.maps and self.maps[-1].is_matrix:
            part, product = "weights", False  # rule 4
        return Way(self.origin, (*self.maps, LinearMap(pull, pull(self.value), part, product, fixed)))

    def settled(self) -> Flow:
        """The flow that it is now."""
        return reduce(lambda flow, each: flow.becomes(each.value, each.part) if each.part else Flow(each.value, flow.account),
                      self.maps, self.origin)  # fmt: skip

    def is_all(self, kind: str) -> bool:
        """Whether all maps are "product", or "fixed"."""
        return all(getattr(each, kind) for each in self.maps)


def meet(ways: Sequence[Way]) -> Way:
    """All ways that arrive at one place, as one."""
    ways = _merged(ways)
    matrices = [way for way in ways if way.maps and way.maps[-1].is_matrix]
    if len(matrices) > 1:
        ways = [_one_matrix(matrices), *(way for way in ways if way not in matrices)]
    if len(ways) == 1:
        return ways[0]
    return Way(join([way.settled() for way in ways], torch.stack([way.value for way in ways]).sum(0)))


def _merged(ways: Sequence[Way]) -> list[Way]:
    """Rules 1 and 2: of ways that begin with the same flow."""
    groups, merged = dict[int, list[Way]](), list[Way]()
    for way in ways:
        groups.setdefault(id(way.origin), []).append(way)
    for group in groups.values():
        for kind in ["fixed"] if all(way.is_all("fixed") for way in group) else ["product", "fixed"]:
            same = [way for way in group if way.is_all(kind)]
            group = [way for way in group if way not in same]
            merged += [_sum(same)] if len(same) > 1 else same
        merged += group
    return merged


def _sum(ways: list[Way]) -> Way:
    """Ways from one flow as one map, behind what they have in common."""
    maps, same = [way.maps for way in ways], 0
    while all(len(each) > same and each[same] is maps[0][same] for each in maps):
        same += 1
    rest = [each[same:] for each in maps]
    parts = [each.part for some in rest for each in some if each.part in DEPENDS]
    part = max(parts, key=DEPENDS.index, default="") or "constants"
    product, fixed = (all(way.is_all(kind) for way in ways) for kind in ("product", "fixed"))
    start = Way(ways[0].origin, maps[0][:same])
    return start.through(
        lambda value: torch.stack([_pulled(some, value) for some in rest]).sum(0), part, product, fixed
    )


def _one_matrix(ways: list[Way]) -> Way:
    """Rule 3."""
    counts = [next((k for k in range(len(way.maps), 0, -1) if not way.maps[k - 1].is_matrix), 0) for way in ways]
    read = [Way(way.origin, way.maps[:count]).settled() for way, count in zip(ways, counts, strict=True)]

    def pull(value: Tensor) -> Tensor:
        parts = value.split([flow.value.numel() for flow in read], dim=-1)
        each = zip(ways, counts, read, parts, strict=True)
        back = [_pulled(way.maps[count:], part.reshape(flow.value.shape)) for way, count, flow, part in each]
        return torch.stack(back).sum(0)

    return Way(beside(read)).through(pull, "weights", product=False, fixed=True)


def _pulled(maps: Sequence[LinearMap], value: Tensor) -> Tensor:
    return reduce(lambda value, each: each.pull(value), maps, value)
