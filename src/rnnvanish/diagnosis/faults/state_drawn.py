"""A state that is drawn at random at every step of a loop which the model writes itself: nothing is carried.

The first state is drawn at random, which is fine. But the line stands inside of the loop. So the state is thrown away
and drawn again at every step.

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(3, 8)

        def forward(self, x):
            for now in x.unbind(1):
                h = 0.01 * torch.randn(len(x), 8)
                h = self.cell(now, h)
            return h

    torch.manual_seed(0)
    x = torch.randn(4, 5, 3)
    print(*diagnose(Loop(), x, quick=True).findings)

It is drawn once, before the loop:

    class Right(Loop):
        def forward(self, x):
            h = 0.01 * torch.randn(len(x), 8)
            for now in x.unbind(1):
                h = self.cell(now, h)
            return h

    print(diagnose(Right(), x, quick=True).findings)
"""

from dataclasses import replace
from functools import partial

from rnnvanish.diagnosis.fault import ARRIVING, Subject, Symptom
from rnnvanish.diagnosis.faults.numbers_alone import MOVED
from rnnvanish.diagnosis.faults.state_anew import MADE_ANEW, SEVERAL, hand_on
from rnnvanish.diagnosis.rerun.second_call import arriving_in_longest, called_again, second_call
from rnnvanish.diagnosis.rerun.start_state import carry_on
from rnnvanish.observe.model_copy import copy_model


def state_drawn(subject: Subject) -> list[Symptom]:
    """See whether the state that a module is given at its second step changes with the random numbers, and with nothing else.

    Once for each sequence it may be drawn: modules that are called for one step alone are looked at.
    """
    steps = {name: len(lengths) for name, lengths in called_again(subject).items() if max(lengths) == 1}
    return [_symptom(subject, name, calls) for name, calls in steps.items() if _is_drawn(subject, name)]


def _is_drawn(subject: Subject, name: str) -> bool:
    """In eval mode: what dropout takes away was not drawn."""
    resting = replace(subject, model=copy_model(subject.model).eval())
    as_it_is, other = (second_call(resting, name, seed=seed) for seed in (0, 1))
    if as_it_is is None or other is None or not as_it_is.differs_from(other):
        return False
    moved = second_call(resting, name, MOVED)
    made_of_weights = any(part.requires_grad for part in as_it_is.given)
    return moved is not None and not made_of_weights and not as_it_is.differs_from(moved)


def _symptom(subject: Subject, name: str, calls: int) -> Symptom:
    return Symptom(
        MADE_ANEW,
        name,
        f"{name} was called {calls} times for one step each, and every time it started from a state that is drawn at random, "
        "whatever it had returned: nothing is carried from one step to the next.",
        hand_on(name, subject.model.get_submodule(name)),
        ARRIVING,
        0.0,
        partial(arriving_in_longest, name=name),
        carry_on,
        name,
        question=calls < SEVERAL,
        exact=True,
    )
