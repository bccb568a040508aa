"""Sequences that are shorter than the distance that is to be learned: no gradient can come from so far.

You want the network to connect things that are thirty steps apart, and show it pieces of ten. It never sees both ends
at once.

    from torch.utils.data import DataLoader

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    pieces = DataLoader(torch.randn(4, 10, 3), batch_size=4)
    print(*diagnose(Reader(), pieces, lag=30, quick=True).findings)

Pieces of forty steps hold both ends:

    pieces = DataLoader(torch.randn(4, 40, 3), batch_size=4)
    print(diagnose(Reader(), pieces, lag=30, quick=True).findings)
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.observe.call import Call
from rnnvanish.probes.retention import retention_of


def short_windows(subject: Subject) -> list[Symptom]:
    """See whether no loop runs for more steps than the distance that was asked for."""
    steps = max(len(curve.gain) for curve in subject.curves.values())
    cut = any("arrives detached" in note for curve in subject.curves.values() for note in curve.notes)
    if subject.lag is None or steps > subject.lag or steps < 2 or cut:  # a detached state has a fault of its own
        return []
    loop = max(subject.curves, key=lambda name: len(subject.curves[name].gain))
    return [
        Symptom(
            "windows shorter than the lag",
            "",
            f"A lag of {subject.lag} steps was asked for, and {loop} runs for {steps} steps at most before its gradient ends: "
            "nothing can be learned across more.",
            f"Train on windows of more than {subject.lag} steps. A state that is handed from one window to the next carries "
            "numbers, but no gradient.",
            f"of the gradient at the end, what arrives {subject.lag} steps before",
            0.0,
            partial(_arriving, loop=loop, steps=steps),
            lambda model: None,
            loop,
            question=subject.batch_size is None,
            exact=True,
        )
    ]


def _arriving(subject: Subject, loop: str, steps: int) -> float:
    """What arrives from so far once the inputs are repeated in time, until they are long enough."""
    assert subject.lag is not None
    times = subject.lag // steps + 1
    for longer in _longer(subject.calls[0], steps, times):
        try:
            gain = retention_of(subject.model, [longer], subject.loss, subject.cells)[loop].gain
        except (ValueError, RuntimeError, KeyError, IndexError):  # that was another axis
            continue
        if len(gain) > subject.lag:
            return float(gain[subject.lag])
    raise ValueError("No axis of the inputs is that of time.")


def _longer(call: Call, steps: int, times: int) -> list[Call]:
    """The call with inputs that are so many times as long, along each axis that may be that of time."""
    axes = sorted(
        {
            axis
            for leaf in tree_leaves((call.args, call.kwargs))
            if isinstance(leaf, Tensor)
            for axis, size in enumerate(leaf.shape)
            if size == steps
        }
    )

    def repeated(axis: int) -> Callable[[Tensor], Tensor]:
        def repeat(leaf: Tensor) -> Tensor:
            there = leaf.dim() > axis and leaf.shape[axis] == steps
            return torch.cat([leaf] * times, axis) if there else leaf

        return repeat

    return [call.map(repeated(axis)) for axis in axes]
