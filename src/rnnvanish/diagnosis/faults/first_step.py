"""A learning rate so high that the first step throws the gates to the end of their range, where they do not answer any more.

The learning rate is so high that the very first step overshoots. All gates are thrown against their stops, and there
they no longer answer. The loss stays where it is, and one looks for the reason elsewhere.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(3, 16, batch_first=True), nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    def loss(output):
        return (output - 1).square().mean()

    torch.manual_seed(0)
    x, model = torch.randn(8, 12, 3), Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3.0)
    print(*diagnose(model, x, loss, optimizer=optimizer, quick=True).findings)

At the rate of Adam's own:

    optimizer = torch.optim.Adam(model.parameters())
    print(diagnose(model, x, loss, optimizer=optimizer, quick=True).findings)
"""

import torch

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.measure_loop import measure_alone
from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.faults.saturation import MOST, flat_part
from rnnvanish.diagnosis.rerun.training_step import training_loss, training_of
from rnnvanish.live import recurrent_modules, step_modules

#: A step that is longer than this part of the recurrent weights may throw them anywhere.
LONG = 0.5
#: Gates at the end of their range before the step, up to which the step is why.
FEW = 0.25
#: Tenths of the rate that are tried.
TENTHS = 5
MEASURE = "gates and units at the end of their range after one step"


def first_step(subject: Subject) -> list[Symptom]:
    """See whether one step of the user's optimizer, on a copy, leaves most gates at the end of their range."""
    loss = training_loss(subject)
    if loss is None or (training := training_of(subject)) is None:
        return []
    modules = [*recurrent_modules(training.model).values(), *step_modules(training.model, subject.cells).values()]
    weights = list({id(weight): weight for module in modules for weight in module.parameters()}.values())
    before = [weight.detach().clone() for weight in weights]
    training.step(subject.calls[0], loss)
    moved, size = (
        float(torch.stack([each.detach().double().norm() for each in row]).norm())
        for row in ([now.detach() - old for now, old in zip(weights, before, strict=True)], before)
    )
    if not moved > LONG * size:
        return []
    fresh, after = _flat(subject), _flat_after_step(subject)
    name = max(after, key=lambda name: after[name] - fresh.get(name, 1.0))
    if fresh.get(name, 1.0) > FEW or after[name] <= MOST:
        return []
    rate = float(training.optimizer.param_groups[0]["lr"])
    tenths = next((n for n in range(1, TENTHS + 1) if _flat_after_step(subject, 0.1**n).get(name, 1.0) <= FEW), TENTHS)
    return [
        Symptom(
            "first step too long",
            name.partition("/")[0],
            f"One step of {type(training.optimizer).__name__} with a rate of {rate:.2g} moves the recurrent weights by "
            f"{moved / size:.2g} times their size: {100 * fresh[name]:.0f} % of the gates and units stand at the end of their "
            f"range before it, {100 * after[name]:.0f} % after it. There they do not answer any more.",
            f"Take a rate of {rate * 0.1**tenths:.1g}, or let it rise to that in the first hundred steps.",
            MEASURE,
            after[name],
            lambda _: _flat_after_step(subject, 0.1**tenths)[name],  # its optimizer is of its own weights
            lambda model: None,
            name,
        )
    ]


def _flat(subject: Subject) -> dict[str, float]:
    """The part of the gates that is flat, of each loop."""
    return each_loop(subject.model, subject.calls[0], subject.loss, measure_alone(flat_part), cells=subject.cells)


def _flat_after_step(subject: Subject, part: float = 1.0) -> dict[str, float]:
    """The same after one step at a part of the rate."""
    training = training_of(subject)
    assert training is not None
    for group in training.optimizer.param_groups:
        group["lr"] *= part
    training.step(subject.calls[0], training_loss(subject))
    with torch.no_grad():
        for weight in training.model.parameters():
            weight.grad = None
    return each_loop(training.model, subject.calls[0], subject.loss, measure_alone(flat_part), cells=subject.cells)
