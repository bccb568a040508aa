"""Layers in plain sight: `torch.nn.RNN`, `LSTM`, `GRU` and `Recurrent` as loops whose every state is a tensor of the graph."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from rnnvanish.cell import Cell, State
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.reference import Step, scan
from rnnvanish.layers import one_of, parts_of, run_layers, whole_state
from rnnvanish.live import cells_of, torch_suffixes
from rnnvanish.observe.autograd_graph import leaf_of
from rnnvanish.observe.carry import End
from rnnvanish.observe.record import Book, Handed, Loop, Run

#: What the arguments of a layer are called, here and by torch.
WORDS = (("x", "input"), ("state", "hx"))
#: How one loop may run compiled: (module, step, input, initial state, lengths) -> its call, None where it goes step by step.
Way = Callable[[nn.Module, Step, Tensor, State, Tensor | None], Handed | None]


@dataclass(frozen=True)
class Layer:
    """One layer and direction in one call of its module; the fields are those of Run."""

    cell: Cell
    step: Step
    x: Tensor
    initial: State
    states: list[State]
    entries: list[State]
    lengths: Tensor | None
    order: Tensor | None
    handed: tuple[Tensor, ...]  # of the whole call, in the caller's form, and
    taken: tuple[Tensor, ...]  # the same by the way of this call alone
    compiled: Handed | None


def forward(
    module: nn.Module,
    name: str,
    book: Book,
    segment: int | None,
    way: Way,
    *args: Any,
    weights: Mapping[str, Tensor] | None = None,
    **kwargs: Any,
) -> Any:
    """Stand in for `module.forward`: the same result, by loops that are written down in `book`.

    Args:
        module: A layer.
        name: As its user knows it.
        book: Where its loops are written down.
        segment: Steps between which nothing but states is kept.
        way: How a loop may run compiled.
        *args: Arguments of this call, as torch's layers or `Recurrent` take them.
        weights: Of a torch layer those that it computes with; its attributes if None.
        **kwargs: Keyword arguments of this call.
    """
    keys = ("input", "hx") if isinstance(module, nn.RNNBase) else ("x", "state", "lengths")
    given = dict(zip(keys, args, strict=False)) | kwargs
    x, state = (one_of(ours, given.get(ours), theirs, given.get(theirs)) for ours, theirs in WORDS)
    lengths = given.get("lengths")
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=cast(Tensor, x).device).long()
    order = x.sorted_indices if isinstance(x, PackedSequence) else None
    loops, layers = _loops_of(module, weights), list[Layer]()
    handed = () if state is None else parts_of(state)
    taken = tuple(part.view_as(part) for part in handed)  # what passes this call by does not pass here

    def watched(index: int, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        cell, step, zeros = loops[index]
        initial = whole_state(getattr(cell, "state_names", ()), zeros, x[0], state)
        # With every weight frozen there would be no graph to follow, but for the one that starts here.
        initial = tuple(part if part.requires_grad else leaf_of(part) for part in initial)
        if (call := way(module, step, x, initial, lengths)) is not None:
            states, entries, outputs = [call.final], [call.entry], call.outputs[:-1]
        else:
            states, entries = _scan(step, x, initial, lengths, segment)
            outputs = torch.stack([parts[0] for parts in states])[:-1]
        states[-1] = last = tuple(map(book.gate, states[-1]))
        layers.append(Layer(cell, step, x, initial, states, entries, lengths, order, handed, taken, call))
        return torch.cat([book.gate(outputs), last[0][None]]), last

    taking_notes = book.open
    with parametrize.cached(), book.closed():
        output, final = run_layers(cast(Any, module), watched, cast(Tensor, x), taken or None, lengths)
    if taking_notes:
        flat = partial(_flat, order)
        loop = book.loop_of(module, name, handed, flat(handed), _runs, lambda loop: _fits(loop.calls[-1], layers))
        kept = [part for layer in layers for part in layer.states[-1]]
        loop.end = End(list(parts_of(final)), kept, handed if loop.calls else (), flat)
        loop.calls.append(layers)
    return output, final


def _scan(
    step: Step, x: Tensor, state: State, lengths: Tensor | None, segment: int | None
) -> tuple[list[State], list[State]]:
    """The state after each step, and as each step read it: tensors of their own, so that gradients can be told apart."""

    if segment is None:
        return _piece(step, x, state, lengths)
    states, entries = list[State](), list[State]()
    for start in range(0, len(x), segment):
        left = None if lengths is None else lengths - start
        more, read = checkpoint(_piece, step, x[start : start + segment], state, left, use_reentrant=False)
        states, entries, state = states + more, entries + read, more[-1]
    return states, entries


def _piece(step: Step, x: Tensor, state: State, lengths: Tensor | None) -> tuple[list[State], list[State]]:
    entries: list[State] = []
    return scan(partial(_seen, step, entries), x, state, lengths), entries


def _seen(step: Step, entries: list[State], x: Tensor, before: State) -> State:
    entries.append(tuple(part.view_as(part) for part in before))
    return tuple(part.clone() for part in step(x, entries[-1]))


def _flat(order: Tensor | None, state: Sequence[Tensor]) -> State:
    """A state in the caller's form, (loops, batch, size) for each part, loop by loop, each in the order of its run."""
    parts = [part.unsqueeze(1) if part.dim() == 2 else part for part in state]
    parts = parts if order is None else [part.index_select(1, order) for part in parts]
    return tuple(part for loop in zip(*parts, strict=True) for part in loop)


def _fits(before: list[Layer], now: list[Layer]) -> bool:
    """Whether the second call can go on where the first ended: the same sequences, none of which has ended."""
    return all(
        old.x.shape[1] == new.x.shape[1]
        and (old.lengths is None or bool((old.lengths == len(old.x)).all()))
        and (old.order is new.order or (old.order is not None and new.order is not None and old.order.equal(new.order)))
        for old, new in zip(before, now, strict=True)
    )


def _runs(loop: Loop) -> Iterator[Run]:
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
            loop.cut(starts[:-1], starts[-1]),
            loop.detached,
            loop.graph,
            [call.handed for call in calls] if loop.altered else (),
            [call.taken for call in calls] if loop.altered else (),
            compiled=_compiled(loop, [call.compiled for call in calls]),
            gate=loop.gate,
        )


def _compiled(loop: Loop, calls: list[Handed | None]) -> list[Handed]:
    found = [call for call in calls if call is not None]
    changed = any(link is not None and (link.altered or link.cut.any()) for link in loop.links)
    if found and (changed or len(found) < len(calls)):
        raise Unsupported("states between which the model does something")
    return found


#: The loop of a layer: its cell, its step, and its initial state for a first input.
Parts = tuple[Cell, Step, Callable[[Tensor], State]]


def _loops_of(module: nn.Module, weights: Mapping[str, Tensor] | None) -> list[Parts]:
    cells = cells_of(module, weights)
    if not isinstance(module, nn.RNNBase) or not module.proj_size:
        return [(cell, cell, cell.initial_state) for cell in cells]
    names = [f"weight_hr{suffix}" for suffix in torch_suffixes(module)]
    projections = [getattr(module, name) if weights is None else weights[name] for name in names]
    return [_projected(cell, projection) for cell, projection in zip(cells, projections, strict=True)]


def _projected(cell: Cell, projection: Tensor) -> Parts:
    """The loop of an LSTM whose output is projected: its h is narrower than its c."""

    def step(x: Tensor, state: State) -> State:
        h, c = cell(x, state)
        return linear(h, projection), c

    def zeros(x: Tensor) -> State:
        return x.new_zeros(len(x), len(projection)), x.new_zeros(len(x), cell.hidden_size)

    return cell, step, zeros
