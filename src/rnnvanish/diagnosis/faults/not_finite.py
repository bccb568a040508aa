"""Numbers that are none in the model's own format, where double precision still holds them.

The model is so sure that a chance becomes exactly zero: there is no smaller number. The logarithm of zero is infinite, and from
there on nothing is a number any more. With twice as many digits it would still have been one.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 5)

        def forward(self, x):
            scores = 300 * self.head(self.rnn(x)[0][:, -1])  # it is very sure
            return scores.softmax(-1)

    torch.manual_seed(0)
    x, classes = torch.randn(4, 12, 3), torch.tensor([0, 3, 1, 4])

    def loss(chances):
        return nn.functional.nll_loss(chances.log(), classes)

    print(*diagnose(Reader(), x, loss, quick=True).findings)

A loss of scores never takes the logarithm of a zero:

    class Right(Reader):
        def forward(self, x):
            return 300 * self.head(self.rnn(x)[0][:, -1])

    def loss(scores):
        return nn.functional.cross_entropy(scores, classes)

    print(diagnose(Right(), x, loss, quick=True).findings)
"""

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.observe.nonfinite.reason import FULL_ROW
from rnnvanish.probes.first_nan import FirstNan, first_nan

#: What to do, by what is said of the reason.
REMEDIES = {
    "logarithm": "Keep what it takes away from 0, x.clamp(min=1e-8), or compute from scores: log_softmax, logsigmoid.",
    "divides by 0": "Keep what it divides by away from 0: lengths.clamp(min=1).",
    FULL_ROW: "Leave rows out of which nothing is left, or let each row keep one place.",
    "root": "Keep what it takes away from 0: (x + 1e-8).sqrt().",
}
OTHERWISE = "Keep the numbers there smaller, or compute that line in float32."


def not_finite(subject: Subject) -> list[Symptom]:
    """See whether a pass in the model's own format has a nan or an infinity: what is measured in double has none."""
    for number, call in enumerate(subject.calls):
        found = first_nan(subject.model, call, subject.loss)
        if (
            found is not None and found.direction != "given"
        ):  # an infinite input is an absurd one in double precision, too
            where = "" if len(subject.calls) == 1 else f" So it is in batch {number}, counted from 0."
            said = f"{' '.join(str(found).split())}{where} What is measured here is the same model in double precision."
            return [Symptom("numbers that are not finite", "", said, _remedy(found), layer=found.module)]
    return []


def _remedy(found: FirstNan) -> str:
    return next((remedy for said, remedy in REMEDIES.items() if said in found.why), OTHERWISE)
