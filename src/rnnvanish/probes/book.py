"""Keeping book of a model's loops over time while it runs: which call goes on with which loop, and what it did.

A loop goes on where the state that is handed in is the one that was handed out before: the same tensor, a view of it,
or one that was computed from it (a mask on the way). A state that arrives detached begins another loop.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from rnnvanish.cell import Cell, State
from rnnvanish.engine.reference import Step

#: How many nodes of autograd's graph are searched for the state that a state was computed from.
SEARCHED = 2000


@dataclass(frozen=True)
class Handed:
    """One call of a compiled loop, which hands out the gradients of its states on the way back.

    Attributes:
        entry: State before the first step, tensors of their own.
        outputs: First part of the state after each step, (time, batch, size).
        final: State after the last step, tensors of their own.
        trace: After a way back, for each part the gradients of the state before the first step and after each:
            (time + 1, batch, size). Empty before, and where the way did not lead here.
    """

    entry: State
    outputs: Tensor
    final: State
    trace: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One loop over time, of one layer and direction, or of a step that the model calls by itself; time runs as it runs.

    Attributes:
        name: Module, layer and direction: "encoder.lstm/layer0/forward"; of a step the module alone: "decoder.cell".
        module: The recurrent module, or the step, that it belongs to.
        cell: The cell with the equations and the weights of its step; of a step that the user named, that step.
        step: One step of it: (x, state) -> state; the cell, and a projection where the layer has one.
        x: Input, (time, batch, features).
        initial: State before the first step.
        states: State after each step, tensors of the graph. Its parts are independent coordinates, as they are
            handed to the next step: the gradient of c does not count the path through the h of the same step.
        lengths: Steps in each sequence, None where all fill the batch. Sequences stand in sorted order if `order`.
        order: Where the caller's sequences stand here, None where they stand as they came.
        entries: State as each step read it, tensors of the graph: the numbers of `initial` and of `states` but the last.
            The gradient of `entries[t]` is what came back through step t alone.
        starts: Steps at which a call began: (0,) for one call; every step of a loop that the model writes itself.
        altered: Whether the model changed states between one call and the next, by a mask for instance.
        detached: Whether the first state is one that was handed out before, detached: the gradient ends here.
        graph: Whether it ran with gradients; False inside of no_grad.
        handed: Of a loop that is altered the state that the model handed to each call, tensors of the graph in the
            model's own form; empty of another.
        taken: The same as the call itself took it: the gradient by it went through the call, and nowhere else.
        flat: Brings such states into (batch, numbers); None where a call has several steps.
        compiled: Of a loop that ran compiled, its calls; then `states` and `entries` are the last and the first of each
            call alone. Empty where it ran step by step.
    """

    name: str
    module: nn.Module
    cell: Cell
    step: Step
    x: Tensor
    initial: State
    states: list[State]
    lengths: Tensor | None
    order: Tensor | None
    entries: list[tuple[Tensor, ...]]
    starts: tuple[int, ...] = (0,)
    altered: bool = False
    detached: bool = False
    graph: bool = True
    handed: Sequence[tuple[Tensor, ...]] = ()
    taken: Sequence[tuple[Tensor, ...]] = ()
    flat: Callable[[tuple[Tensor, ...]], State] | None = None
    compiled: Sequence[Handed] = ()

    @property
    def ends(self) -> Tensor:
        """Index of each sequence's own last step, (batch,)."""
        time, batch = self.x.shape[:2]
        lengths = torch.full((batch,), time, device=self.x.device) if self.lengths is None else self.lengths
        return lengths - 1


@dataclass
class Loop:
    """A loop while it is written down; `run` makes the fields of Run that are known at its end."""

    name: str
    module: nn.Module
    run: Callable[["Loop"], Iterator[Run]]
    detached: bool
    graph: bool
    calls: list[Any] = field(default_factory=list)
    altered: bool = False
    handed_out: list[Tensor] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)

    def hand_out(self, tensors: Sequence[Tensor], made_of: Sequence[Tensor]) -> None:
        """Take note of the state that a call returns, and of the states of the loop that it was made of."""
        self.handed_out = list(tensors)
        self.ends = nodes_of(made_of)


class Book:
    """What happened in one run of a model, loop by loop."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.open = True  # closed inside of a step, and when the model has returned

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Take no notes of what is called inside."""
        before, self.open = self.open, False
        try:
            yield
        finally:
            self.open = before

    def runs(self) -> list[Run]:
        """What is known of every loop, in the order in which they began."""
        return [run for loop in self.loops for run in loop.run(loop)]

    def loop_of(
        self,
        module: nn.Module,
        name: str,
        state: Sequence[Tensor],
        run: Callable[[Loop], Iterator[Run]],
        goes_on: Callable[[Loop], bool] = lambda loop: True,
    ) -> Loop:
        """Find the loop that goes on with `state`, or begin another."""
        known = [loop for loop in reversed(self.loops) if loop.module is module]
        for same in (True, False):  # the same tensor first, then what was computed from it
            for loop in known:
                if _goes_on(loop, state, same) and loop.graph == torch.is_grad_enabled() and goes_on(loop):
                    loop.altered |= not same
                    return loop
        detached = any(_handed_on(state, loop.handed_out) or _equal(state, loop.handed_out) for loop in known)
        title = f"{name} (call {len(known) + 1})" if known else name
        self.loops.append(Loop(title, module, run, detached, torch.is_grad_enabled()))
        return self.loops[-1]


def leaf_of(part: Tensor) -> Tensor:
    """The same numbers as a tensor that a graph starts from, where there are graphs at all."""
    part = part.detach()
    return part.requires_grad_() if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() else part


def same_memory(one: Tensor, other: Tensor) -> bool:
    """Whether one tensor is the other, or a view of it."""
    return one.device == other.device and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr() != 0


def nodes_of(tensors: Sequence[Tensor]) -> list[Any]:
    """The nodes of autograd's graph that computed these tensors."""
    return [get_gradient_edge(tensor).node for tensor in tensors if tensor.requires_grad]


def reached(tensors: Sequence[Tensor], wanted: Sequence[Any]) -> Any:
    """The first of some nodes of autograd's graph that is met on the way back from `tensors`; None where none is."""
    waiting, seen, sought = deque(nodes_of(tensors)), set[Any](), set(wanted)
    while waiting and sought and len(seen) < SEARCHED:
        node = waiting.popleft()
        if node in sought:
            return node
        if node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions if before is not None)
    return None


def _goes_on(loop: Loop, state: Sequence[Tensor], same: bool) -> bool:
    if same and not _handed_on(state, loop.handed_out):
        return False
    if not loop.ends:  # it runs without gradients
        return same and not any(part.requires_grad for part in state)
    return reached(state, loop.ends) is not None


def _handed_on(state: Sequence[Tensor], handed_out: Sequence[Tensor]) -> bool:
    return len(state) == len(handed_out) > 0 and all(map(same_memory, state, handed_out))


def _equal(state: Sequence[Tensor], handed_out: Sequence[Tensor]) -> bool:
    """Whether these are the same numbers, and no zeros."""
    return len(state) == len(handed_out) > 0 and all(
        one.shape == other.shape and torch.equal(one.detach(), other.detach()) and bool(one.any())
        for one, other in zip(state, handed_out, strict=True)
    )
