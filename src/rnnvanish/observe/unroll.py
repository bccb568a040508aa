"""Layers unrolled: `torch.nn.RNN`, `LSTM`, `GRU` and `Recurrent` as loops whose every state is a tensor of the graph."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from rnnvanish.cell import Cell, State, has_output
from rnnvanish.engine.ir.parameters import parametrized_weights, substitute_weights
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.reference import Step, plain_loop
from rnnvanish.engine.step_form import Columns, StepForm, output_of, resets_of, without_columns
from rnnvanish.layers import PerStep, complete_state, one_argument, run_layers, state_parts
from rnnvanish.live import cells_of
from rnnvanish.observe.autograd_graph import as_leaf
from rnnvanish.observe.carry import Carry
from rnnvanish.observe.record import CompiledCall, LoopRecording, Recorder, Returned, Run
from rnnvanish.recurrent import Recurrent

#: What the arguments of a layer are called, here and by torch.
ARGUMENT_NAMES = (("x", "input"), ("state", "hx"))
#: How one loop may run compiled: (module, step, input, initial state, lengths) -> its call, None where it goes step by step.
RunCompiled = Callable[[nn.Module, Step, Tensor, State, Tensor | None], CompiledCall | None]


@dataclass(frozen=True)
class LayerCall:
    """One layer and direction in one call of its module; the fields are those of Run."""

    cell: Cell
    step: Step
    x: Tensor
    initial: State
    states: list[State]
    final: State  # behind the gradient stop
    entries: list[State]
    lengths: Tensor | None
    order: Tensor | None
    received: tuple[Tensor, ...]  # of the whole call, in the caller's form, and
    consumed: tuple[Tensor, ...]  # views of the same, that this call alone reads
    compiled_call: CompiledCall | None
    outputs: Tensor  # behind the gradient stop; where they are the states' first parts, those of all steps but the last


def unrolled_forward(
    module: nn.Module,
    name: str,
    recorder: Recorder,
    segment: int | None,
    run_compiled: RunCompiled,
    *args: Any,
    weights: Mapping[str, Tensor] | None = None,
    **kwargs: Any,
) -> Any:
    """Replace `module.forward`: the same result, by loops that `recorder` records.

    Args:
        module: A layer.
        name: As its user knows it.
        recorder: What records its loops.
        segment: Steps between which nothing but states is kept.
        run_compiled: How a loop may run compiled.
        *args: Arguments of this call, as torch's layers or `Recurrent` take them.
        weights: Of a torch layer those that it computes with; its attributes if None.
        **kwargs: Keyword arguments of this call.
    """
    keys = ("input", "hx") if isinstance(module, nn.RNNBase) else ("x", "state", "lengths")
    given = dict(zip(keys, args, strict=False)) | kwargs
    x, state = (one_argument(ours, given.get(ours), theirs, given.get(theirs)) for ours, theirs in ARGUMENT_NAMES)
    lengths = given.get("lengths")
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=cast(Tensor, x).device).long()
    per_step = PerStep()
    if isinstance(module, Recurrent):
        beside = {name: given.get(name) for name in ("resets", "times", "observed")}
        per_step = module.read_per_step(cast(Tensor, x), lengths, **beside)
    order = x.sorted_indices if isinstance(x, PackedSequence) else None
    cells, layers = cells_of(module, weights), list[LayerCall]()
    received = () if state is None else state_parts(state)
    consumed = tuple(part.view_as(part) for part in received)  # what bypasses this call does not pass here

    def run_unrolled(
        index: int, x: Tensor, columns: Columns, state: State | None, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        cell: Cell = cells[index]
        step: Step = cell
        initial = complete_state(cell.state_names, cell.initial_state, without_columns(x[0], columns), state)
        # With every weight frozen there would be no graph to follow, but for the one that starts here.
        initial = tuple(part if part.requires_grad else as_leaf(part) for part in initial)
        call = None if columns else run_compiled(module, step, x, initial, lengths)
        if call is not None:
            states, entries, outputs = [call.final], [call.entry], call.outputs
        else:
            # What its weights are computed from is computed once, as in a run that is not watched.
            cell = cast(Cell, substitute_weights(cell, parametrized_weights(dict(cell.named_modules()))))
            step = StepForm(columns).step(cell)
            states, entries, each = _unroll(step, x, initial, lengths, segment)
            outputs = torch.stack(each)
        last, own = tuple(map(recorder.gradient_stop, states[-1])), has_output(cell)
        if not own:  # else the last output reads the last state, before the gradient stop
            states[-1], outputs = last, outputs[:-1]
        outputs = recorder.gradient_stop(outputs)
        layers.append(
            LayerCall(cell, step, x, initial, states, last, entries, lengths, order, received, consumed, call, outputs)
        )
        return outputs if own else torch.cat([outputs, last[0][None]]), last

    recording = recorder.recording
    with recorder.paused():
        output, final = run_layers(
            cast(Any, module), run_unrolled, cast(Tensor, x), consumed or None, lengths, per_step
        )
    if recording:
        single = isinstance(x, Tensor) and x.dim() == 2
        flatten = partial(_flatten, order, single)
        loop = recorder.continue_or_begin(
            module, name, received, flatten(received), _build_runs, lambda loop: _can_follow(loop.calls[-1], layers)
        )
        kept = [part for layer in layers for part in layer.final]
        loop.carry = Carry(list(state_parts(final)), kept, received if loop.calls else (), flatten)
        loop.calls.append(layers)
    return output, final


#: The state after each step, and as each step read it, tensors of their own, so that gradients can be told apart; and
#: what each step hands on.
Unrolled = tuple[list[State], list[State], list[Tensor]]


def _unroll(step: Step, x: Tensor, state: State, lengths: Tensor | None, segment: int | None) -> Unrolled:
    if segment is None:
        return _unroll_segment(step, x, state, lengths)
    found: Unrolled = [], [], []
    for start in range(0, len(x), segment):
        left = None if lengths is None else lengths - start
        more = checkpoint(_unroll_segment, step, x[start : start + segment], state, left, use_reentrant=False)
        found, state = tuple(one + other for one, other in zip(found, more, strict=True)), more[0][-1]
    return found


def _unroll_segment(step: Step, x: Tensor, state: State, lengths: Tensor | None) -> Unrolled:
    entries: list[State] = []
    states = plain_loop(partial(_recorded_step, step, entries), x, state, lengths)
    output = output_of(step)
    if output is None:
        return states, entries, [parts[0] for parts in states]
    return states, entries, [output(*each) for each in zip(x.unbind(0), entries, states, strict=True)]


def _recorded_step(step: Step, entries: list[State], x: Tensor, before: State) -> State:
    entries.append(tuple(part.view_as(part) for part in before))
    return tuple(part.clone() for part in step(x, entries[-1]))


def _flatten(order: Tensor | None, single: bool, state: Sequence[Tensor]) -> State:
    """A state in the caller's form, (loops, batch, ...) for each part, loop by loop, each in the order of its run."""
    parts = [part.unsqueeze(1) if single else part for part in state]
    parts = parts if order is None else [part.index_select(1, order) for part in parts]
    return tuple(part for loop in zip(*parts, strict=True) for part in loop)


def _can_follow(before: list[LayerCall], now: list[LayerCall]) -> bool:
    """Whether the second call can go on where the first ended: the same sequences, none of which has ended."""
    return all(
        old.x.shape[1] == new.x.shape[1]
        and (old.lengths is None or bool((old.lengths == len(old.x)).all()))
        and (old.order is new.order or (old.order is not None and new.order is not None and old.order.equal(new.order)))
        for old, new in zip(before, now, strict=True)
    )


def _build_runs(loop: LoopRecording) -> Iterator[Run]:
    """One Run for each layer and direction, over all calls."""
    directions = 2 if cast(Any, loop.module).bidirectional else 1
    for index, calls in enumerate(zip(*loop.calls, strict=True)):
        first, last = calls[0], calls[-1]
        starts = torch.tensor([0, *(len(call.x) for call in calls)]).cumsum(0).tolist()
        yield Run(
            f"{loop.name}/layer{index // directions}/{'reverse' if index % directions else 'forward'}",
            loop.module,
            last.cell,
            last.step,
            first.x if len(calls) == 1 else torch.cat([call.x for call in calls]),
            first.initial,
            [state for call in calls for state in call.states],
            None if last.lengths is None else last.lengths + starts[-2],
            last.order,
            [entry for call in calls for entry in call.entries],
            tuple(starts[:-1]),
            loop.altered,
            _resets(loop, starts, [call.step for call in calls], [call.x for call in calls]),
            loop.detached_from,
            loop.has_graph,
            [call.received for call in calls] if loop.altered else (),
            [call.consumed for call in calls] if loop.altered else (),
            compiled_calls=_compiled_calls(loop, [call.compiled_call for call in calls]),
            gradient_stop=loop.gradient_stop,
            returned=[each for start, call in zip(starts, calls, strict=False) for each in _returned(start, call)],
        )


def _returned(start: int, call: LayerCall) -> Iterator[Returned]:
    yield Returned(start, call.outputs)
    for part in call.final:
        yield Returned(start + len(call.x) - 1, part, lambda value: value.flatten(1)[None])


def _resets(loop: LoopRecording, starts: Sequence[int], steps: Sequence[Step], read: Sequence[Tensor]) -> Tensor | None:
    """Where sequences begin anew: with a call, or at a step that was told to."""
    between = loop.resets(starts[:-1], starts[-1])
    told = [resets_of(step, x) for step, x in zip(steps, read, strict=True)]
    within = torch.cat(
        [x.new_zeros(x.shape[:2], dtype=torch.bool) if t is None else t for t, x in zip(told, read, strict=True)]
    )
    within[0] = False  # it begins there anyway
    if not within.any():
        return between
    return within if between is None else within | between


def _compiled_calls(loop: LoopRecording, calls: list[CompiledCall | None]) -> list[CompiledCall]:
    found = [call for call in calls if call is not None]
    changed = any(link is not None and (link.altered or link.reset.any()) for link in loop.links)
    if found and (changed or len(found) < len(calls)):
        raise Unsupported("states between which the model does something")
    return found
