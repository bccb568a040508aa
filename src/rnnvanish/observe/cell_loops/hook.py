"""Steps in plain sight: cells that a model calls in a loop of its own, the states that they read and return noted."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rnnvanish.cell import State
from rnnvanish.observe.autograd_graph import leaf_of
from rnnvanish.observe.carry import End
from rnnvanish.observe.cell_loops.call_pattern import Pattern
from rnnvanish.observe.cell_loops.calls import Form, StepCall, runs_of
from rnnvanish.observe.cell_loops.reroute import reroute
from rnnvanish.observe.pytree import changed, leaves
from rnnvanish.observe.record import Book


def forward(
    module: nn.Module,
    original: Callable[..., Any],
    pattern: Pattern,
    book: Book,
    again: bool,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Stand in for a step: the same result, with states that are tensors of their own, written down in `book`.

    Args:
        module: The step.
        original: Its forward.
        pattern: Its call pattern.
        book: Where its loops are written down.
        again: Whether to keep nothing but states between steps, and compute each step again when it is needed.
        *args: Arguments of this call.
        **kwargs: Its keyword arguments.
    """
    if not book.open or not pattern.pairs:
        return original(*args, **kwargs)
    bound = pattern.bind(args, kwargs)
    given, parts = leaves(bound.arguments), dict(pattern.pairs)
    read = {place: leaf for place, leaf in given.items() if place not in parts}
    others = [leaf for leaf in read.values() if isinstance(leaf, Tensor)]
    handed = {place: given[place] for place in parts if isinstance(given.get(place), Tensor)}
    state = {place: part.view_as(part) for place, part in handed.items()}  # what passes this step by does not pass here
    forms = {place: Form.of(part, others) for place, part in state.items()}
    flat = [forms[place].flat(part) for place, part in state.items()]
    ways = tuple(handed.values()), tuple(state.values())
    loop = book.loop_of(module, pattern.name, ways[0], tuple(flat), partial(runs_of, pattern, original))
    # With every weight frozen there would be no graph to follow, but for the one that starts here.
    flat = [part if part.requires_grad or loop.calls else leaf_of(part) for part in flat]
    entry = tuple(part.view_as(part) for part in flat)
    entered = {place: forms[place].restore(part) for place, part in zip(state, entry, strict=True)}
    bound.arguments.update(changed(bound.arguments, lambda path, leaf: entered.get(path, leaf)))
    with book.closed():
        run = partial(checkpoint, original, use_reentrant=False) if again else original
        output = run(*bound.args, **bound.kwargs)
    returned = leaves(output)
    raw = [cast(Tensor, returned[place]) for place in parts.values()]
    out_forms = [Form.of(part, others) for part in raw]
    made = [form.flat(part) for form, part in zip(out_forms, raw, strict=True)]
    kept = [book.gate(part if part.requires_grad else leaf_of(part)) for part in made]
    rows = len(kept[0])
    if loop.calls and rows < len(loop.calls[-1].state[0]):  # the other sequences have ended, and keep their last state
        kept = [torch.cat([part, old[rows:]]) for part, old in zip(kept, loop.calls[-1].state, strict=True)]
    # The model may change in place what it gets.
    out = [form.restore(part[:rows].clone()) for form, part in zip(out_forms, kept, strict=True)]
    new = {id(part): now for part, now in zip(raw, out, strict=True)}
    for leaf in returned.values():
        if isinstance(leaf, Tensor) and leaf.requires_grad and id(leaf) not in new:
            new[id(leaf)] = book.gate(reroute(leaf, raw, kept, [form.flat for form in out_forms]))
    loop.end = End(out, kept, ways[0] if loop.calls else (), partial(_flat, list(forms.values())))
    loop.calls.append(StepCall(bound, read, *ways, entry, tuple(kept), out_forms, rows))
    return changed(output, lambda path, leaf: new.get(id(leaf), leaf))


def _flat(forms: list[Form], parts: Sequence[Tensor]) -> State:
    """As (batch, numbers)."""
    return tuple(form.flat(part) for form, part in zip(forms, parts, strict=True))
