"""What lies between two calls of a loop: nothing but views, copies and stacking, a cut, or a change of the state.

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
from rnnvanish.observe.autograd_graph import reached
from rnnvanish.observe.gradient_stop import Gate

#: Brings the parts of a state, as the model has them, into (sequences, numbers), as the loop has them.
Flat = Callable[[Sequence[Tensor]], State]


@dataclass(frozen=True)
class Link:
    """How a call follows the one before, sequence by sequence.

    Attributes:
        exact: Its state is the one that was handed out.
        cut: It begins anew: its state has nothing of those before.
    """

    exact: Bool[Tensor, " sequences"]
    cut: Bool[Tensor, " sequences"]

    @property
    def altered(self) -> bool:
        """Whether a state is neither."""
        return not bool((self.exact | self.cut).all())


@dataclass
class End:
    """The state that a call handed out, and the one that it was handed.

    Attributes:
        out: Tensors as the model has them.
        kept: The same in the form of the loop, (sequences, numbers), which the model cannot change.
        handed: What the call was handed, as the model has it; empty of the first call, which no state comes before.
        flat: Brings that into the form of the loop.
    """

    out: list[Tensor]
    kept: list[Tensor]
    handed: Sequence[Tensor]
    flat: Flat
    versions: list[int] = field(init=False)
    edges: list[Any] = field(init=False)
    past: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.versions = list(map(_version, self.out))
        self.edges = [get_gradient_edge(part) if part.requires_grad else None for part in self.kept]
        self.past = [get_gradient_edge(part) if part.requires_grad else None for part in self.handed]

    def is_handed_on(self, state: Sequence[Tensor]) -> bool:
        """Whether `state` is what was handed out, or its first sequences, and was not changed."""
        alike = len(state) == len(self.out) > 0 and all(
            now.data_ptr() == out.data_ptr()
            and now.stride() == out.stride()
            and now.shape[1:] == out.shape[1:]
            and now.requires_grad == out.requires_grad
            and _version(now) == version
            for now, out, version in zip(state, self.out, self.versions, strict=True)
        )
        nodes = [edge.node for edge in self.edges if edge is not None]
        return alike and (not nodes or reached(state, nodes) is not None)

    def resembles(self, now: State) -> bool:
        """Whether the numbers of a sequence, in the form of the loop, are those that were handed out, and no zeros."""
        return self._fits(now) and bool((self._same(now) & _rows_of(now)).any())

    def link(self, now: State, gate: Gate) -> Link | None:
        """How a state that a next call is handed, in the form of the loop, follows; None where no way leads there."""
        link = self._link(now, gate) if self._fits(now) else None
        ended = len(self.kept[0]) - len(now[0]) if now else 0
        if link is None or not ended:
            return link
        # Where fewer sequences are handed on they are the first, unchanged: else nobody knows which.
        gone = link.cut.new_zeros(ended)
        return Link(torch.cat([link.exact, ~gone]), torch.cat([link.cut, gone])) if link.exact.all() else None

    def _fits(self, now: State) -> bool:
        return len(now) == len(self.kept) and all(
            len(part) <= len(kept) and part.shape[1:] == kept.shape[1:]
            for part, kept in zip(now, self.kept, strict=True)
        )

    def _same(self, now: State) -> Tensor:
        rows = len(now[0])
        return torch.stack([_equal(part, kept[:rows]) for part, kept in zip(now, self.kept, strict=True)]).all(0)

    def _link(self, now: State, gate: Gate) -> Link | None:
        same, rows = self._same(now), len(now[0])
        inside = [part for part in now if part.requires_grad]
        if not any(self.edges):  # it runs without gradients: the numbers are all there is to go by
            alive = torch.cat(now, dim=-1).detach().any() and not inside
            return Link(same, torch.zeros_like(same)) if alive and bool(same.any()) else None
        if not inside:
            return None
        sent = list(map(numbered, now))
        wanted = [edge for edge in (*self.edges, *self.past) if edge is not None]
        given = [each for each, part in zip(sent, now, strict=True) if part.requires_grad]
        with gate.closed():
            found = iter(torch.autograd.grad(inside, wanted, given, retain_graph=True, allow_unused=True))
        back, past = ([None if e is None else next(found) for e in edges] for edges in (self.edges, self.past))
        if all(part is None for part in back):
            return None
        passed = _rows_of(self.flat(_filled(past, self.handed)))[:rows] if self.handed else torch.zeros_like(same)
        came = [part[:rows] for part in _filled(back, self.kept)]
        returned = torch.stack([_equal(*each) for each in zip(sent, came, strict=True)]).all(0)
        return Link(same & returned & ~passed, ~_rows_of(came) & ~passed)


def numbered(part: Tensor) -> Tensor:
    """A gradient whose numbers can be told apart, and that every format holds."""
    count = torch.arange(part.numel(), device=part.device) % 61
    return (1 + count / 64).to(part.dtype).view(part.shape)


def _equal(one: Tensor, other: Tensor) -> Tensor:
    return (one.detach() == other.detach()).all(-1)


def _filled(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(part) if g is None else g for g, part in zip(gradients, like, strict=True)]


def _rows_of(parts: Sequence[Tensor]) -> Tensor:
    """The sequences that any of these say anything of."""
    return torch.stack([(part.detach() != 0).any(-1) for part in parts]).any(0)


def _version(part: Tensor) -> int:
    return 0 if part.is_inference() else part._version
