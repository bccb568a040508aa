"""Dropout that is asked of a single recurrent layer: it acts between layers, and does nothing here.

You asked for dropout, so that the network does not learn its data by heart. Nothing is ever dropped: this dropout acts
*between* two layers, and there is one. The network learns by heart all the same.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(3, 16, batch_first=True, dropout=0.5), nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    x = torch.randn(4, 12, 3)
    print(*diagnose(Reader(), x, quick=True).findings)

A layer of its own drops what the memory says:

    class Right(Reader):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 16, batch_first=True)
            self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 1))

    print(diagnose(Right(), x, quick=True).findings)
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.live import recurrent_modules
from rnnvanish.observe.agreement import numeric_tensors
from rnnvanish.observe.call import map_tensors


def idle_dropout(subject: Subject) -> list[Symptom]:
    """See whether a layer has a dropout that nothing comes of; where another one is in use, that is asked."""
    idle = {
        name: module
        for name, module in recurrent_modules(subject.model).items()
        if module.num_layers == 1 and float(module.dropout) > 0  # type: ignore[arg-type]
    }
    if not idle:
        return []
    draws = _spread(subject)
    return [
        Symptom(
            "dropout of a single layer",
            "" if module is subject.model else name,
            f"{name} was built with dropout={module.dropout:.2g} and one layer: that dropout acts between layers, so nothing is "
            + ("dropped in it; another dropout of the model is in use." if draws else "dropped in training."),
            f"Put a torch.nn.Dropout({module.dropout:.2g}) behind it, or drop its state by mitigations.Zoneout(0.1).",
            "how far two runs in training are apart, over their size",
            draws,
            _spread,
            partial(_drop_output, probability=float(module.dropout)),  # type: ignore[arg-type]
            name,
            question=draws > 0,
            exact=True,
        )
        for name, module in idle.items()
    ]


def _spread(subject: Subject) -> float:
    """How far the outputs of two runs in training are apart, over the size of one; the second draws other numbers."""
    call, model = subject.calls[0], subject.model
    model.train()
    with torch.no_grad():
        one, other = (numeric_tensors(call.map(torch.clone)(model)) for _ in range(2))
    apart = [(a.double() - b.double()).square().sum() for a, b in zip(one, other, strict=True)]
    return float((torch.stack(apart).sum() / torch.stack([a.double().square().sum() for a in one]).sum()).sqrt())


def _drop_output(module: nn.Module, probability: float) -> None:
    def after(module: nn.Module, args: object, output: tuple[Tensor | PackedSequence, object]) -> tuple[object, object]:
        drop = partial(nn.functional.dropout, p=probability, training=module.training)
        return map_tensors(output[0], drop), output[1]

    module.register_forward_hook(after)
