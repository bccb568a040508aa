"""A state that is handed on changed and without its history: the next call depends on it, and no gradient goes back.

Between two calls the state is faded a little, without gradients. The network goes on with the right numbers. But where
they came from is forgotten, and so nothing before is learned.

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(3, 8)

        def forward(self, x):
            h = x.new_zeros(len(x), 8)
            for now in x.unbind(1):
                h = self.cell(now, self.fade(h))
            return h

        def fade(self, h):
            with torch.no_grad():
                return 0.9 * h

    torch.manual_seed(0)
    x = torch.randn(4, 5, 3)
    print(*diagnose(Loop(), x, quick=True).findings)

It is faded with its history:

    class Right(Loop):
        def fade(self, h):
            return 0.9 * h

    print(diagnose(Right(), x, quick=True).findings)
"""

from functools import partial

from rnnvanish.diagnosis.fault import ARRIVING, Subject, Symptom
from rnnvanish.diagnosis.faults.detached import LONG
from rnnvanish.diagnosis.rerun.history import keep_history
from rnnvanish.diagnosis.rerun.second_call import arriving_in_longest, called_again, second_call

#: How far the state that a first call returns is moved, of its size.
MOVED = 0.1


def numbers_alone(subject: Subject) -> list[Symptom]:
    """See whether what a call is given beside its input moves with the state of the call before, but has no gradient to it.

    A state that is handed on unchanged is seen by its numbers already (`detached`).
    """
    found = []
    for name, lengths in called_again(subject).items():
        steps = min(lengths)
        if subject.lag is not None and steps > subject.lag:
            continue
        as_it_is, moved = (second_call(subject, name, part) for part in (0.0, MOVED))
        if as_it_is is None or moved is None or as_it_is.leads_back:
            continue
        if as_it_is.differs_from(moved):
            found.append(_symptom(name, question=subject.lag is None and steps >= LONG))
    return found


def _symptom(name: str, question: bool) -> Symptom:
    return Symptom(
        "state handed on by its numbers alone",
        "",
        f"What {name} is given at its second call moves with the state that it returned at the first, but no gradient goes back "
        "from there: it was changed on the way, and lost its history.",
        "Change the state without detach(), .data, numbers or no_grad(): h = h * mask.",
        ARRIVING,
        0.0,
        partial(arriving_in_longest, name=name),
        keep_history,
        name,
        question=question,
        exact=True,
    )
