"""The record of a model's loops over time: which call goes on with which loop, and what it did.

`watch` has a `Recorder` take down every call; each loop is a `LoopRecording` until the model has returned, and then a `Run`
for each layer and direction, which is what measures read.

A loop goes on where the state that a call receives is the one that a call before returned, as it was or stacked with
others and unstacked, or one that was computed from it (a mask on the way). A state that arrives detached begins another
loop.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from rnnvanish.cell import Cell, State
from rnnvanish.engine.reference import Step
from rnnvanish.engine.state_record import StateRecord
from rnnvanish.observe.carry import Carry, StateLink
from rnnvanish.observe.gradient_stop import GradientStop

#: Numbers of every state of a loop: a tensor for each part of the state.
Series = tuple[Shaped[Tensor, "time sequences ..."], ...]


@dataclass(frozen=True)
class CompiledCall:
    """One call of a compiled loop, whose backward gives the gradients by all its states.

    Attributes:
        entry: State before the first step, tensors of their own.
        outputs: What each step handed on, (time, batch, size).
        final: State after the last step, tensors of their own.
        record: The states of every step and, after a backward, the gradients by them; none where that led elsewhere.
        emits: Whether outputs are recorded as a first part of the state, being other than that.
    """

    entry: State
    outputs: Tensor
    final: State
    record: StateRecord
    emits: bool = False

    @property
    def states(self) -> tuple[Tensor, ...]:
        """The states before the first step and after each, (time + 1, batch, ...) for each part."""
        return self.record.states[1:] if self.emits else self.record.states


@dataclass(frozen=True)
class Returned:
    """Something that a loop hands on.

    Attributes:
        step: The step that it is of, or the first of several.
        value: A tensor of the graph.
        rows: Brings such a tensor into the form (steps, sequences, numbers).
    """

    step: int
    value: Tensor
    rows: Callable[[Tensor], Tensor] = lambda value: value if value.dim() == 3 else value[None]


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
        resets: Of a loop in which sequences begin anew, (time, batch): whether the state that a step read has nothing of
            those before. None where none does.
        detached_from: The name of the loop that returned the first state, where that arrives detached: the gradient ends
            here. Empty where it does not.
        has_graph: Whether it ran with gradients; False inside of no_grad.
        received_states: Of a loop that is altered the state that the model gave to each call, tensors of the graph in the
            model's own form; empty of another.
        consumed_states: Views of these that the call alone reads: a gradient by them went through the call, and by no
            other path.
        flatten: Brings such states into (batch, numbers); None where a call has several steps.
        compiled_calls: Of a loop that ran compiled, its calls; then `states` and `entries` are the last and the first of
            each call alone. Empty where it ran step by step.
        gradient_stop: Engaged, no gradient passes through a call.
        returned: What the loop hands on, behind the gradient stop: there a gradient is what is read of a step directly.
        last_read: Index of the last state of each sequence that the loss depends on, (batch,), where that is known, and is
            not the last of all.
        weight_dtype: The format of the module's weights, as its user has them, whatever it ran in.
        autocast: Whether the model runs its loops under torch.autocast, which rounds single precision and leaves double alone.
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
    resets: Tensor | None = None
    detached_from: str = ""
    has_graph: bool = True
    received_states: Sequence[tuple[Tensor, ...]] = ()
    consumed_states: Sequence[tuple[Tensor, ...]] = ()
    flatten: Callable[[tuple[Tensor, ...]], State] | None = None
    compiled_calls: Sequence[CompiledCall] = ()
    gradient_stop: GradientStop = field(default_factory=GradientStop)
    returned: Sequence[Returned] = ()
    last_read: Tensor | None = None
    weight_dtype: torch.dtype | None = None
    autocast: bool = False

    @property
    def detached(self) -> bool:
        """Whether the first state is one that a call returned before, detached."""
        return bool(self.detached_from)

    @property
    def in_double(self) -> bool:
        """Whether it ran in double precision."""
        return self.x.dtype.to_real() == torch.float64

    @property
    def ends(self) -> Tensor:
        """Index of each sequence's own last step, or of the last that is read, (batch,)."""
        if self.last_read is not None:
            return self.last_read
        time, batch = self.x.shape[:2]
        lengths = torch.full((batch,), time, device=self.x.device) if self.lengths is None else self.lengths
        return lengths - 1

    @property
    def valid(self) -> Tensor:
        """Which steps belong to a sequence, (time, batch)."""
        return torch.arange(len(self.x), device=self.x.device)[:, None] <= self.ends

    @property
    def follows(self) -> Tensor:
        """Which of the steps but the first go on with what the one before gave, none that begins anew, (time - 1, batch)."""
        return self.valid[1:] if self.resets is None else self.valid[1:] & ~self.resets[1:]


@dataclass
class LoopRecording:
    """A loop while it is recorded; `build` makes its Runs at its end, one for each layer and direction."""

    name: str
    module: nn.Module
    build: Callable[["LoopRecording"], Iterator[Run]]
    detached_from: str
    has_graph: bool
    gradient_stop: GradientStop
    calls: list[Any] = field(default_factory=list)
    links: list[StateLink | None] = field(default_factory=list)
    carry: Carry = field(init=False)

    @property
    def altered(self) -> bool:
        """Whether the model changed states between one call and the next."""
        return any(link is not None and link.altered for link in self.links)

    def resets(self, starts: Sequence[int], time: int) -> Tensor | None:
        """Where sequences begin anew, for calls that began at these steps: (time, batch); None where none does."""
        found = [(start, link.reset) for start, link in zip(starts, self.links, strict=True) if link is not None]
        if self.altered or not any(bool(reset.any()) for _, reset in found):
            return None
        where = found[0][1].new_zeros(time, len(found[0][1]))
        for start, reset in found:
            where[start] = reset
        return where


class Recorder:
    """Records the loops of one run of a model.

    Attributes:
        loops: In the order in which they began.
        autocast: Whether any of their calls ran under torch.autocast.
    """

    def __init__(self) -> None:
        self.autocast = False
        self.loops: list[LoopRecording] = []
        self.gradient_stop = GradientStop()
        self.recording = True  # paused inside of a step, and when the model has returned

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing of what is called meanwhile."""
        before, self.recording = self.recording, False
        try:
            yield
        finally:
            self.recording = before

    def runs(self) -> list[Run]:
        """What is known of every loop, in the order in which they began."""
        return [run for loop in self.loops for run in loop.build(loop)]

    def continue_or_begin(
        self,
        module: nn.Module,
        name: str,
        state: Sequence[Tensor],
        flat: State,
        build: Callable[[LoopRecording], Iterator[Run]],
        goes_on: Callable[[LoopRecording], bool] = lambda loop: True,
    ) -> LoopRecording:
        """Find the loop that goes on with `state`, or begin another.

        Args:
            module: What is called.
            name: Its name.
            state: The state that it receives, as the model has it.
            flat: The same in the form of the loop.
            build: Makes the Runs of its loop.
            goes_on: Whether a loop can go on with this call, for other reasons than its state.
        """
        self.autocast |= any(torch.is_autocast_enabled(part.device.type) for part in (*flat, *module.parameters()))
        known = [loop for loop in reversed(self.loops) if loop.module is module]
        fits = [loop for loop in known if loop.has_graph == torch.is_grad_enabled() and goes_on(loop)]
        found: list[tuple[int, LoopRecording, StateLink | None]] = []
        for loop in fits:
            if loop.carry.is_passed_on(state):
                found = [(0, loop, None)]
                break
            if link := loop.carry.link(flat, self.gradient_stop):
                found.append((_distance(link), loop, link))
        if found:
            _, loop, link = min(found, key=lambda each: each[0])
            loop.links.append(link)
            return loop
        source = next((loop.name for loop in known if loop.carry.has_numbers_of(flat)), "")
        title = f"{name} (call {len(known) + 1})" if known else name
        self.loops.append(
            LoopRecording(title, module, build, source, torch.is_grad_enabled(), self.gradient_stop, links=[None])
        )
        return self.loops[-1]


def _distance(link: StateLink) -> int:
    """The state as it was is nearer than one that was changed, and that than one that was reset."""
    if not link.altered:
        return 0 if bool(link.exact.any()) else 2
    return 1
