"""The carry from one call of a loop to the next: the state as it was, viewed, copied or stacked; a reset; or a changed state.

The numbers tell where something was changed, and the gradient whether that is all: of a tensor that was only viewed,
stacked, or written into another and read again, the gradient comes back number by number as it was sent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from rnnvanish.cell import State
from rnnvanish.compat.tensors import version
from rnnvanish.observe.autograd_graph import first_ancestor
from rnnvanish.observe.gradient_stop import GradientStop

#: Brings the parts of a state, as the model has them, into (sequences, numbers), as the loop has them.
Flatten = Callable[[Sequence[Tensor]], State]


@dataclass(frozen=True)
class StateLink:
    """How a call follows the one before, sequence by sequence.

    Attributes:
        exact: Its state is the one that was returned.
        reset: It begins anew: its state has nothing of those before.
    """

    exact: Bool[Tensor, " sequences"]
    reset: Bool[Tensor, " sequences"]

    @property
    def altered(self) -> bool:
        """Whether a state is neither."""
        return not bool((self.exact | self.reset).all())


@dataclass
class Carry:
    """The state that a call returned, and the one that it received.

    Attributes:
        returned: Tensors as the model has them.
        recorded: The same in the form of the loop, (sequences, numbers), which the model cannot change.
        received: What the call received, as the model has it; empty of the first call, which no state comes before.
        flatten: Brings that into the form of the loop.
    """

    returned: list[Tensor]
    recorded: list[Tensor]
    received: Sequence[Tensor]
    flatten: Flatten
    versions: list[int | None] = field(init=False)
    recorded_edges: list[Any] = field(init=False)
    received_edges: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.versions = list(map(version, self.returned))
        self.recorded_edges = [get_gradient_edge(part) if part.requires_grad else None for part in self.recorded]
        self.received_edges = [get_gradient_edge(part) if part.requires_grad else None for part in self.received]

    def is_passed_on(self, state: Sequence[Tensor]) -> bool:
        """Whether `state` is what was returned, or its first sequences, and was not changed."""
        alike = len(state) == len(self.returned) > 0 and all(
            now.data_ptr() == out.data_ptr()
            and now.stride() == out.stride()
            and now.shape[1:] == out.shape[1:]
            and now.requires_grad == out.requires_grad
            and version(now) == before is not None
            for now, out, before in zip(state, self.returned, self.versions, strict=True)
        )
        nodes = [edge.node for edge in self.recorded_edges if edge is not None]
        return alike and (not nodes or first_ancestor(state, nodes) is not None)

    def has_numbers_of(self, now: State) -> bool:
        """Whether the numbers of a sequence, in the form of the loop, are those that were returned, and no zeros."""
        return self._fits(now) and bool((self._same(now) & _nonzero_rows(now)).any())

    def link(self, now: State, stop: GradientStop) -> StateLink | None:
        """How a state that a next call receives, in the form of the loop, follows; None where no path leads there."""
        link = self._link(now, stop) if self._fits(now) else None
        ended = len(self.recorded[0]) - len(now[0]) if now else 0
        if link is None or not ended:
            return link
        # Where fewer sequences are passed on they are the first, unchanged: else nobody knows which.
        gone = link.reset.new_zeros(ended)
        return StateLink(torch.cat([link.exact, ~gone]), torch.cat([link.reset, gone])) if link.exact.all() else None

    def _fits(self, now: State) -> bool:
        return len(now) == len(self.recorded) and all(
            len(part) <= len(kept) and part.shape[1:] == kept.shape[1:]
            for part, kept in zip(now, self.recorded, strict=True)
        )

    def _same(self, now: State) -> Tensor:
        rows = len(now[0])
        return torch.stack([_equal_rows(part, kept[:rows]) for part, kept in zip(now, self.recorded, strict=True)]).all(
            0
        )

    def _link(self, now: State, stop: GradientStop) -> StateLink | None:
        same, rows = self._same(now), len(now[0])
        inside = [part for part in now if part.requires_grad]
        if not any(self.recorded_edges):  # it runs without gradients: the numbers are all there is to go by
            alive = bool(_nonzero_rows(now).any()) and not inside
            return StateLink(same, torch.zeros_like(same)) if alive and bool(same.any()) else None
        if not inside:
            return None
        sent = list(map(distinct_gradient, now))
        wanted = [edge for edge in (*self.recorded_edges, *self.received_edges) if edge is not None]
        given = [each for each, part in zip(sent, now, strict=True) if part.requires_grad]
        with stop.engaged():
            found = iter(torch.autograd.grad(inside, wanted, given, retain_graph=True, allow_unused=True))
        back, past = (
            [None if e is None else next(found) for e in edges] for edges in (self.recorded_edges, self.received_edges)
        )
        if all(part is None for part in back):
            return None
        passed = (
            _nonzero_rows(self.flatten(_zeros_for_none(past, self.received)))[:rows]
            if self.received
            else torch.zeros_like(same)
        )
        came = [part[:rows] for part in _zeros_for_none(back, self.recorded)]
        returned = torch.stack([_equal_rows(*each) for each in zip(sent, came, strict=True)]).all(0)
        return StateLink(same & returned & ~passed, ~_nonzero_rows(came) & ~passed)


def distinct_gradient(part: Tensor) -> Tensor:
    """A gradient whose numbers can be told apart, and that every format holds."""
    count = torch.arange(part.numel(), device=part.device) % 61
    return (1 + count / 64).to(part.dtype).view(part.shape)


def _equal_rows(one: Tensor, other: Tensor) -> Tensor:
    return (one.detach() == other.detach()).flatten(1).all(-1)


def _zeros_for_none(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(part) if g is None else g for g, part in zip(gradients, like, strict=True)]


def _nonzero_rows(parts: Sequence[Tensor]) -> Tensor:
    """The sequences that any of these say anything of."""
    return torch.stack([(part.detach() != 0).flatten(1).any(-1) for part in parts]).any(0)
