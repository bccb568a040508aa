"""A state that is handed on without its history: what came before cannot be learned from.

A long series is read in pieces, and between two pieces the state is detached. That saves memory. It also cuts the wire:
whatever happens in one piece can no longer teach the network what to do in the one before.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x):
            h = None
            for piece in x.split(10, dim=1):
                output, h = self.rnn(piece, h)
                h = h.detach()
            return self.head(output[:, -1])

    torch.manual_seed(0)
    x = torch.randn(4, 40, 3)
    print(*diagnose(Reader(), x, quick=True).findings)

The state is handed on as it was returned:

    class Right(Reader):
        def forward(self, x):
            h = None
            for piece in x.split(10, dim=1):
                output, h = self.rnn(piece, h)
            return self.head(output[:, -1])

    print(diagnose(Right(), x, quick=True).findings)
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.backward.each_loop import LoopGradients
from rnnvanish.compat.pytree import tree_leaves, tree_map
from rnnvanish.diagnosis.fault import ARRIVING, Symptom, WatchedModel, arriving
from rnnvanish.live import RECURRENT

#: Steps of a window from which on a state may have been detached behind it on purpose, to save memory.
LONG = 100
#: What is said first where all earlier steps ran without gradients.
MEANT = (
    "Leave it if these steps only bring the state somewhere: a warm-up, or a model that goes on until nothing changes and "
    "learns from its last rounds. If it shall learn from them: "
)


def detached(watched: WatchedModel) -> list[Symptom]:
    """See whether loops start from a state that the same module handed out before, detached."""
    found = []
    for name, loops in watched.first_layers.items():
        cuts = [place for place, each in enumerate(loops) if each.run.detached and each.run.has_graph]
        if not cuts:
            continue
        by_loop = {each.run.name.partition("/")[0]: each.run for each in loops}
        before = [by_loop[loops[place].run.detached_from] for place in cuts]
        windows = [
            len(run.x) for run in {run.name: run for run in (*before, *(loops[place].run for place in cuts))}.values()
        ]
        shortest = min(windows)
        if watched.lag is not None and shortest > watched.lag:
            continue
        unlearned = [not run.has_graph for run in before]
        steps = (
            f"{shortest} step{'s' * (shortest > 1)}"
            if shortest == max(windows)
            else f"{shortest} to {max(windows)} steps"
        )
        found.append(
            Symptom(
                "detached state",
                name,
                f"{name} goes on with the state that it had returned, but detached, {len(cuts)} time{'s' * (len(cuts) > 1)} in "
                f"each sequence, in windows of {steps}: no gradient crosses from one of them to the one before"
                + (", which ran without gradients." if all(unlearned) else "."),
                (MEANT if all(unlearned) else "")
                + "Hand the state on as it was returned, without detach(), .data, numbers or no_grad(). Where memory is short, "
                "detach it every hundred steps or so, and less often than the distance that is to be learned.",
                "" if any(unlearned) else ARRIVING,
                0.0,
                _arriving_whole(name),
                None if any(unlearned) else attach,  # what stood between these steps has no history to give back
                name,
                question=all(unlearned) or (watched.lag is None and shortest >= LONG),
                exact=True,
            )
        )
    return found


def _arriving_whole(name: str) -> Any:
    """What arrives at the first step, once all is one loop."""

    def value(watched: WatchedModel) -> float:
        loops: Sequence[LoopGradients] = watched.first_layers[name]
        if any(each.run.detached and each.run.has_graph for each in loops):
            return 0.0
        longest = max(loops, key=lambda each: len(each.run.x))
        return arriving(longest.run, longest.total)

    return value


def attach(module: nn.Module) -> None:
    """Have `module` take a state that it returned before with its history, where it is handed the bare numbers."""
    returned: list[Tensor] = []
    known = isinstance(module, (*RECURRENT, nn.RNNCellBase))

    def with_history(value: object) -> object:
        if not isinstance(value, Tensor) or value.grad_fn is not None or not value.is_floating_point():
            return value
        for part in returned:
            if part.shape == value.shape:
                same = ((part == value) & (value != 0).any(-1, keepdim=True)).all(-1, keepdim=True)
                if same.any():
                    return torch.where(same, part, value.detach())
        return value

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        first = args[:1] if known else tree_map(with_history, args[:1])
        return (*first, *tree_map(with_history, args[1:])), {
            key: value if known and key in ("input", "x") else tree_map(with_history, value)
            for key, value in kwargs.items()
        }

    def after(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        state = cast(tuple[object, object], output)[1] if isinstance(module, RECURRENT) else output
        leaves = tree_leaves(state)
        returned[:] = [leaf.clone() for leaf in leaves if isinstance(leaf, Tensor)]  # it may be detached in place

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
