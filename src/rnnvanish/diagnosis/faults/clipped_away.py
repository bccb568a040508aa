"""A gradient that is clipped to next to nothing at every step of training: the weights hardly move.

Gradients are cut to a certain length, so that no step is too long. Somebody typed a few zeros too many. Now every step
is cut to almost nothing, and the network stands still.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    def optimizer_of(model, largest):
        for weight in model.parameters():
            weight.register_hook(lambda gradient: gradient.clamp(-largest, largest))
        return torch.optim.SGD(model.parameters(), lr=0.1)

    def loss(output):
        return (output - 1).square().mean()

    torch.manual_seed(0)
    x, model = torch.randn(4, 20, 3), Reader()
    print(*diagnose(model, x, loss, optimizer=optimizer_of(model, 1e-7), quick=True).findings)

Clipped where only unusual gradients are:

    model = Reader()
    print(diagnose(model, x, loss, optimizer=optimizer_of(model, 1.0), quick=True).findings)
"""

import torch
from torch import nn

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.training_step import Clip, clips_of, training_loss, training_of

#: Less than this is left of the gradient in every batch, and of the step: adaptive optimizers take out a common factor.
LITTLE, SMALL = 1e-3, 0.05
#: Batches that are looked at.
BATCHES = 3


def clipped_away(subject: Subject) -> list[Symptom]:
    """See whether what is done to the gradient before a step leaves next to nothing of it, and of the step."""
    loss = training_loss(subject)
    if loss is None or not clips_of(subject):
        return []
    norms = []
    for call in subject.calls[:BATCHES]:
        training = training_of(subject)
        if training is None:
            return []
        norms.append(training.step(call, loss))
        if norms[-1][1] > LITTLE * norms[-1][0]:
            return []
    left = _step_left(subject)
    if left > SMALL:
        return []
    typical = sorted(norm for norm, _ in norms)[len(norms) // 2]
    return [
        Symptom(
            "clipped to next to nothing",
            "",
            f"The norm of the gradient is {typical:.2g}, and what clips it leaves {norms[0][1]:.2g}, in every batch: a step is "
            "as good as none.",
            f"Clip at about {typical:.1g}, so that only steps out of the ordinary are shortened.",
            "of a step without clipping, what is left",
            left,
            lambda _: _step_left(subject, _at(typical)),  # its optimizer is of its own weights
            lambda model: None,
        )
    ]


def _at(norm: float) -> Clip:
    return lambda model, optimizer: nn.utils.clip_grad_norm_(model.parameters(), norm)


def _step_left(subject: Subject, clip: Clip | None = None) -> float:
    """How far a first step moves the weights, over how far it would without clipping."""
    lengths = []
    for clipped in (True, False):
        training = training_of(subject)
        if training is None:
            raise ValueError("There is no optimizer of these weights.")
        training.optimizer.state.clear()
        if clip is not None:
            training = type(training)(training.model, training.optimizer, (clip,))
        before = [weight.detach().clone() for weight in training.model.parameters()]
        training.step(subject.calls[0], training_loss(subject), clipped)
        moved = [
            (now.detach() - old).double().norm() for now, old in zip(training.model.parameters(), before, strict=True)
        ]
        lengths.append(float(torch.stack(moved).norm()))
    return lengths[0] / lengths[1] if lengths[1] else 1.0
