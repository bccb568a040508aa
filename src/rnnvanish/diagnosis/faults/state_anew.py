"""A state that is made anew at every step of a loop which the model writes itself: nothing is carried.

You wrote the loop yourself, and forgot to hand the state on. Every step begins with an empty head. The network reads
the last word of each sentence, and nothing else.

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(3, 8)

        def forward(self, x):
            for now in x.unbind(1):
                h = self.cell(now)
            return h

    torch.manual_seed(0)
    x = torch.randn(4, 5, 3)
    print(*diagnose(Loop(), x, quick=True).findings)

The state goes in again with the next step:

    class Right(Loop):
        def forward(self, x):
            h = None
            for now in x.unbind(1):
                h = self.cell(now, h)
            return h

    print(diagnose(Right(), x, quick=True).findings)
"""

from collections.abc import Callable

from torch import nn

from rnnvanish.diagnosis.fault import ARRIVING, Symptom, WatchedModel, arriving
from rnnvanish.diagnosis.rerun.start_state import carry_on, comes_from_outside, starts_from_nothing
from rnnvanish.live import cells_of

MADE_ANEW = "state made anew at every step"
#: Calls from which on they are the steps of a sequence; two may be two things that are read apart.
SEVERAL = 3


def state_anew(watched: WatchedModel) -> list[Symptom]:
    """See whether a module was called for one step several times, from the same state each time."""
    found = []
    for name, loops in watched.first_layers.items():
        runs = [each.run for each in loops]
        if len(runs) < 2 or any(len(run.x) > 1 or run.detached for run in runs):
            continue
        first = runs[0]
        if any(
            len(one) != len(other) or not one.equal(other)
            for run in runs
            for one, other in zip(run.initial, first.initial, strict=True)
        ):
            continue
        anew = starts_from_nothing(first)
        zeros = not any(bool(part.any()) for part in first.initial)
        start = "zeros" if zeros else "the same state" if anew else "the same state, which it did not return itself"
        found.append(
            Symptom(
                MADE_ANEW,
                name,
                f"{name} was called {len(runs)} times for one step each, and every time it started from {start}: nothing is "
                "carried from one step to the next.",
                hand_on(name, first.module),
                ARRIVING,
                0.0,
                _arriving_carried(name),
                carry_on,
                name,
                question=len(runs) < SEVERAL or not anew or comes_from_outside(watched.call, first),
                exact=True,
            )
        )
    return found


def hand_on(name: str, module: nn.Module) -> str:
    """What to do, with the line of a loop."""
    line = "output, state = layer(x[t], state)"
    if isinstance(module, nn.RNNCellBase):
        state = ", ".join(cells_of(module)[0].state_names)
        line = f"{state} = cell(x[t], {f'({state})' if ',' in state else state})"
    return f"Make the state once, before the loop, and hand on what {name} returns: {line}."


def _arriving_carried(name: str) -> Callable[[WatchedModel], float]:
    def value(watched: WatchedModel) -> float:
        longest = max(watched.first_layers[name], key=lambda each: len(each.run.x))
        return arriving(longest.run, longest.total) if len(longest.run.x) > 1 else 0.0

    return value
