"""Keeping book of a model's loops over time while it runs: which call goes on with which loop, and what it did.

A loop goes on where the state that is handed in is the one that was handed out before, as it was or stacked with others
and taken apart again, or one that was computed from it (a mask on the way). A state that arrives detached begins another
loop.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, State
from rnnvanish.engine.reference import Step
from rnnvanish.observe.carry import End, Link
from rnnvanish.observe.gradient_stop import Gate


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
        cut: Of a loop in which sequences begin anew, (time, batch): whether the state that a step read has nothing of
            those before. None where none does.
        detached: Whether the first state is one that was handed out before, detached: the gradient ends here.
        graph: Whether it ran with gradients; False inside of no_grad.
        handed: Of a loop that is altered the state that the model handed to each call, tensors of the graph in the
            model's own form; empty of another.
        taken: The same as the call itself took it: the gradient by it went through the call, and nowhere else.
        flat: Brings such states into (batch, numbers); None where a call has several steps.
        compiled: Of a loop that ran compiled, its calls; then `states` and `entries` are the last and the first of each
            call alone. Empty where it ran step by step.
        gate: Closed, no gradient passes through a call.
        read: Index of the last state of each sequence that the loss depends on, (batch,), where that is known, and is
            not the last of all.
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
    cut: Tensor | None = None
    detached: bool = False
    graph: bool = True
    handed: Sequence[tuple[Tensor, ...]] = ()
    taken: Sequence[tuple[Tensor, ...]] = ()
    flat: Callable[[tuple[Tensor, ...]], State] | None = None
    compiled: Sequence[Handed] = ()
    gate: Gate = field(default_factory=Gate)
    read: Tensor | None = None

    @property
    def ends(self) -> Tensor:
        """Index of each sequence's own last step, or of the last that is read, (batch,)."""
        if self.read is not None:
            return self.read
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
    gate: Gate
    calls: list[Any] = field(default_factory=list)
    links: list[Link | None] = field(default_factory=list)
    end: End = field(init=False)

    @property
    def altered(self) -> bool:
        """Whether the model changed states between one call and the next."""
        return any(link is not None and link.altered for link in self.links)

    def cut(self, starts: Sequence[int], time: int) -> Tensor | None:
        """Where sequences begin anew, for calls that began at these steps: (time, batch); None where none does."""
        cuts = [(start, link.cut) for start, link in zip(starts, self.links, strict=True) if link is not None]
        if self.altered or not any(bool(cut.any()) for _, cut in cuts):
            return None
        where = cuts[0][1].new_zeros(time, len(cuts[0][1]))
        for start, cut in cuts:
            where[start] = cut
        return where


class Book:
    """What happened in one run of a model, loop by loop."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.gate = Gate()
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
        flat: State,
        run: Callable[[Loop], Iterator[Run]],
        goes_on: Callable[[Loop], bool] = lambda loop: True,
    ) -> Loop:
        """Find the loop that goes on with `state`, or begin another.

        Args:
            module: What is called.
            name: Its name.
            state: The state that it is handed, as the model has it.
            flat: The same in the form of the loop.
            run: Makes a Run of its loop.
            goes_on: Whether a loop can go on with this call, for other reasons than its state.
        """
        known = [loop for loop in reversed(self.loops) if loop.module is module]
        fits = [loop for loop in known if loop.graph == torch.is_grad_enabled() and goes_on(loop)]
        found: list[tuple[int, Loop, Link | None]] = []
        for loop in fits:
            if loop.end.is_handed_on(state):
                found = [(0, loop, None)]
                break
            if link := loop.end.link(flat, self.gate):
                found.append((_distance(link), loop, link))
        if found:
            _, loop, link = min(found, key=lambda each: each[0])
            loop.links.append(link)
            return loop
        detached = any(loop.end.resembles(flat) for loop in known)
        title = f"{name} (call {len(known) + 1})" if known else name
        self.loops.append(Loop(title, module, run, detached, torch.is_grad_enabled(), self.gate, links=[None]))
        return self.loops[-1]


def _distance(link: Link) -> int:
    """The state as it was is nearer than one that was changed, and that than one that was cut off."""
    if not link.altered:
        return 0 if bool(link.exact.any()) else 2
    return 1
