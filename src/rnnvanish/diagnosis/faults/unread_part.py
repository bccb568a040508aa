"""A part of a layer that is never read: a direction, an upper layer, or all sequences but the longest.

The layer reads from both ends, and you pay for both. But the answer is made of one of them. The other computes for
nobody, and learns nothing. That is an **unread direction**. In the same way there is an **unread layer**, and there are
**unread sequences**: all but the longest of a padded batch.

    class Reader(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.rnn = nn.GRU(3, 8, batch_first=True, bidirectional=True)
            self.head = nn.Linear(width, 2)

        def forward(self, x):
            _, h_n = self.rnn(x)
            return self.head(h_n[-1])

    torch.manual_seed(0)
    x = torch.randn(4, 12, 3)
    print(*diagnose(Reader(8), x, quick=True).findings)

Both are read:

    class Right(Reader):
        def forward(self, x):
            _, h_n = self.rnn(x)
            return self.head(torch.cat([h_n[-2], h_n[-1]], dim=-1))

    print(diagnose(Right(16), x, quick=True).findings)
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Symptom, WatchedModel, module_of
from rnnvanish.diagnosis.rerun.operations import weighted_sum
from rnnvanish.diagnosis.rerun.reading import Reading, hook_steps, readings, readings_of_end_points
from rnnvanish.names import listed


def unread_part(watched: WatchedModel) -> list[Symptom]:
    """See whether a layer is read, but not every direction or layer of it, or no sequence that is shorter than the longest.

    What one call of a module leaves out another may read. A loop that is not read at all is a verdict, and no fault.
    """
    known = readings_of_end_points(watched.loops)
    if all(each.steps.any() and not _uneven(each.lengths) for each in known):
        return []
    by_module: dict[str, list[Reading]] = {}
    for reading in readings(watched.loops, watched.value):
        by_module.setdefault(module_of(reading.run), []).append(reading)
    found = []
    for name, loops in by_module.items():
        read = {each.part for each in loops if each.steps.any()}
        parts = {each.part: each.part in read for each in loops}
        if read and len(read) < len(parts):
            found.append(_unread_loops(name, loops, parts))
        elif _only_longest(loops) and _output_has_no_others(watched, name):
            found.append(_unread_rows(name, loops))
    return found


def _uneven(lengths: Tensor) -> bool:
    return bool((lengths < lengths.max()).any())


def _only_longest(loops: list[Reading]) -> bool:
    lengths = loops[0].lengths
    if not _uneven(lengths) or any(not each.lengths.equal(lengths) for each in loops):
        return False
    return _rows(loops).equal(lengths == lengths.max())


def _output_has_no_others(watched: WatchedModel, name: str) -> bool:
    """Whether what the model returns reads no others, either: a loss leaves out sequences that have no target."""
    tensors = [each for each in tree_leaves(watched.output) if isinstance(each, Tensor) and each.dim()]
    whole = weighted_sum(tensors)
    return whole is None or _only_longest(_of_module(name, watched, whole))


def _rows(loops: list[Reading]) -> Tensor:
    """Which sequences are read by any of some loops."""
    return torch.stack([each.rows for each in loops]).any(0)


def _unread_loops(name: str, loops: list[Reading], parts: dict[str, bool]) -> Symptom:
    """A direction, or an upper layer."""
    both = bool(loops[0].run.module.bidirectional)
    unread = [part for part, read in parts.items() if not read]
    layers = {part.partition("/")[0] for part in unread}
    whole = any(all(other in unread for other in parts if other.startswith(f"{layer}/")) for layer in layers)
    end = "torch.cat([h_n[-2], h_n[-1]], -1)" if both else "h_n[-1]"
    return Symptom(
        "unread layer" if whole else "unread direction",
        name,
        f"The loss reads {name}, but nothing of {listed(unread)}: no gradient comes to any step there, and what it computes "
        "is for nothing.",
        f"Read the top layer: {end}. h_n[0] is the lowest."
        if whole
        else f"Read both directions: {end}, or all features of output. h_n[-1] is the backward direction alone, h_n[-2] the "
        "forward one.",
        "of its layers and directions, those that the loss reads",
        1 - len(unread) / len(parts),
        partial(_loops_read, name),
        _return_top if whole else _return_both_directions,
        layer=next(each.run.name for each in loops if each.part == unread[-1]),
        everywhere=True,
    )


def _unread_rows(name: str, loops: list[Reading]) -> Symptom:
    rows = _rows(loops)
    return Symptom(
        "unread sequences",
        name,
        f"The loss reads {int(rows.sum())} of {len(rows)} sequences of {name}: those that are as long as the longest. Behind "
        "the end of the others a padded batch holds zeros, and these are read.",
        "Take the state at each sequence's own end: h_n[-1], or output[range(batch), lengths - 1].",
        "of the sequences, those that the loss reads",
        float(rows.double().mean()),
        partial(_rows_read, name),
        _hold_last,
        layer=loops[-1].run.name,
    )


def _of_module(name: str, watched: WatchedModel, value: Tensor) -> list[Reading]:
    return [each for each in readings(watched.loops, value) if module_of(each.run) == name]


def _loops_read(name: str, watched: WatchedModel) -> float:
    loops = _of_module(name, watched, watched.value)
    return len({each.part for each in loops if each.steps.any()}) / len({each.part for each in loops})


def _rows_read(name: str, watched: WatchedModel) -> float:
    return float(_rows(_of_module(name, watched, watched.value)).double().mean())


def _return_both_directions(module: nn.Module) -> None:
    """Have a layer return the mean of both directions for each of them."""

    def of_steps(steps: Tensor, lengths: Tensor, state: object) -> Tensor:
        mean = (steps[..., : steps.shape[-1] // 2] + steps[..., steps.shape[-1] // 2 :]) / 2
        return torch.cat([mean, mean], -1)

    def of_state(part: Tensor) -> Tensor:
        pairs = part.unflatten(0, (-1, 2))
        mean: Tensor = pairs.mean(1, keepdim=True).expand_as(pairs)
        return mean.flatten(0, 1)

    hook_steps(module, of_steps)
    _hook_state(module, of_state)


def _return_top(module: Any) -> None:
    """Have a layer return the final state of its top layer for each of them, the mean of both directions."""
    directions = 2 if module.bidirectional else 1

    def top(part: Tensor) -> Tensor:
        return part[-directions:].mean(0, keepdim=True).expand_as(part)

    _hook_state(module, top)


def _hook_state(module: nn.Module, change: Any) -> None:
    def after(module: nn.Module, args: object, output: tuple[Any, Any]) -> tuple[Any, Any]:
        x, state = output
        return x, tuple(map(change, state)) if isinstance(state, tuple) else change(state)

    module.register_forward_hook(after)


def _hold_last(module: nn.Module) -> None:
    """Have a layer return the last output of each sequence behind its end, too."""

    def change(steps: Tensor, lengths: Tensor, state: object) -> Tensor:
        at = torch.minimum(torch.arange(steps.shape[1], device=steps.device), lengths[:, None] - 1)
        return steps.gather(1, at[..., None].expand_as(steps))

    hook_steps(module, change, repeat=True)
