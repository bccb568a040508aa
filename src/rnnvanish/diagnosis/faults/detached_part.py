"""One part of a state that is handed on without its history, and the others with it.

An LSTM hands on two things: what it says, and what it keeps. Here one of the two has lost its history. Some do that on
purpose. Most often it is a `detach()` that was forgotten, so it is asked.

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(3, 8)

        def forward(self, x):
            h = c = x.new_zeros(len(x), 8)
            for now in x.unbind(1):
                h, c = self.cell(now, (h, c.detach()))
            return h

    torch.manual_seed(0)
    x = torch.randn(4, 8, 3)
    print(*diagnose(Loop(), x, quick=True).findings)

Both are handed on as they are:

    class Right(Loop):
        def forward(self, x):
            h = c = x.new_zeros(len(x), 8)
            for now in x.unbind(1):
                h, c = self.cell(now, (h, c))
            return h

    print(diagnose(Right(), x, quick=True).findings)
"""

from collections.abc import Callable

from rnnvanish.diagnosis.fault import ARRIVING, Symptom, WatchedModel, arriving
from rnnvanish.diagnosis.faults.detached import attach
from rnnvanish.names import listed
from rnnvanish.observe.record import Run


def detached_part(watched: WatchedModel) -> list[Symptom]:
    """See whether some parts of a state never have a gradient where a call receives them, and others have one."""
    found = []
    for name, loops in watched.first_layers.items():
        parts = [part for each in loops for part in _detached(each.run)]
        if not parts:
            continue
        found.append(
            Symptom(
                "part of the state detached",
                name,
                f"{name} is given {listed(dict.fromkeys(parts))} as it had returned it, but detached, and the rest of its state "
                "with its history: what is learned comes back by the rest alone.",
                "Hand on every part as it was returned, unless the gradient is to be kept from this one on purpose.",
                ARRIVING,
                arriving(loops[0].run, loops[0].total),
                _arriving(name),
                attach,
                name,
                question=True,
            )
        )
    return found


def _detached(run: Run) -> list[str]:
    """The names of parts that no call but the first receives with a gradient, where it receives another with one."""
    later = [state for state in run.received_states[1:] if state]
    if not later or not all(any(part.requires_grad for part in state) for state in later):
        return []
    names = getattr(run.cell, "state_names", ())
    return [
        name
        for name, parts in zip(names, zip(*later, strict=True), strict=False)
        if not any(part.requires_grad for part in parts) and any(bool(part.any()) for part in parts)
    ]


def _arriving(name: str) -> Callable[[WatchedModel], float]:
    def value(watched: WatchedModel) -> float:
        first = watched.first_layers[name][0]
        return arriving(first.run, first.total)

    return value
