"""The forward that replaces a step's while its model is watched: the states that it reads and returns are recorded."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rnnvanish.cell import State
from rnnvanish.observe.autograd_graph import as_leaf
from rnnvanish.observe.carry import Carry
from rnnvanish.observe.cell_loops.call_pattern import CallPattern
from rnnvanish.observe.cell_loops.output_gradient import redirect_gradient
from rnnvanish.observe.cell_loops.step_calls import StateLayout, StepCall, build_runs
from rnnvanish.observe.pytree import leaves, map_leaves
from rnnvanish.observe.record import Recorder


def recorded_step(
    module: nn.Module,
    original: Callable[..., Any],
    pattern: CallPattern,
    recorder: Recorder,
    recompute: bool,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Replace the forward of a step: the same result, with states that are tensors of their own, recorded by `recorder`.

    Args:
        module: The step.
        original: Its forward.
        pattern: Its call pattern.
        recorder: What records its loops.
        recompute: Whether to keep nothing but states between steps, and compute each step again when it is needed.
        *args: Arguments of this call.
        **kwargs: Its keyword arguments.
    """
    if not recorder.recording or not pattern.pairs:
        return original(*args, **kwargs)
    bound = pattern.bind(args, kwargs)
    given, parts = leaves(bound.arguments), dict(pattern.pairs)
    read = {place: leaf for place, leaf in given.items() if place not in parts}
    others = [leaf for leaf in read.values() if isinstance(leaf, Tensor)]
    received = {place: given[place] for place in parts if isinstance(given.get(place), Tensor)}
    consumed = {
        place: part.view_as(part) for place, part in received.items()
    }  # what bypasses this step does not pass here
    forms = {place: StateLayout.of(part, others) for place, part in consumed.items()}
    flat = [forms[place].flat(part) for place, part in consumed.items()]
    states = tuple(received.values()), tuple(consumed.values())
    loop = recorder.continue_or_begin(
        module, pattern.name, states[0], tuple(flat), partial(build_runs, pattern, original)
    )
    # With every weight frozen there would be no graph to follow, but for the one that starts here.
    flat = [part if part.requires_grad or loop.calls else as_leaf(part) for part in flat]
    entry = tuple(part.view_as(part) for part in flat)
    entered = {place: forms[place].restore(part) for place, part in zip(consumed, entry, strict=True)}
    bound.arguments.update(map_leaves(bound.arguments, lambda path, leaf: entered.get(path, leaf)))
    with recorder.paused():
        run = partial(checkpoint, original, use_reentrant=False) if recompute else original
        output = run(*bound.args, **bound.kwargs)
    returned = leaves(output)
    raw = [cast(Tensor, returned[place]) for place in parts.values()]
    out_forms = [StateLayout.of(part, others) for part in raw]
    made = [form.flat(part) for form, part in zip(out_forms, raw, strict=True)]
    kept = [recorder.gradient_stop(part if part.requires_grad else as_leaf(part)) for part in made]
    rows = len(kept[0])
    if loop.calls and rows < len(loop.calls[-1].state[0]):  # the other sequences have ended, and keep their last state
        kept = [torch.cat([part, old[rows:]]) for part, old in zip(kept, loop.calls[-1].state, strict=True)]
    # The model may change in place what it gets, and detach it in place, which no view can be.
    out = [form.restore(part[:rows]).clone() for form, part in zip(out_forms, kept, strict=True)]
    new = {id(part): now for part, now in zip(raw, out, strict=True)}
    beside: list[Tensor] = []
    for leaf in returned.values():
        if isinstance(leaf, Tensor) and leaf.requires_grad and id(leaf) not in new:
            new[id(leaf)] = recorder.gradient_stop(
                redirect_gradient(leaf, raw, kept, [form.flat for form in out_forms])
            )
            beside.append(new[id(leaf)])
    loop.carry = Carry(out, kept, states[0] if loop.calls else (), partial(_flatten, list(forms.values())))
    loop.calls.append(StepCall(bound, read, *states, entry, tuple(kept), beside, out_forms, rows))
    return map_leaves(output, lambda path, leaf: new.get(id(leaf), leaf))


def _flatten(forms: list[StateLayout], parts: Sequence[Tensor]) -> State:
    """As (batch, numbers)."""
    return tuple(form.flat(part) for form, part in zip(forms, parts, strict=True))
