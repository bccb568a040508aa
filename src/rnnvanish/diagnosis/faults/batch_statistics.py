"""Statistics of the batch carry the gradient: a BatchNorm in training mode reads all steps, and hides what is lost.

A BatchNorm takes the mean over all steps. So each step gets a little gradient by way of the mean, the same for all.
That looks as if the network remembered far back. It is only the mean.

    class Tagger(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.rnn, self.norm, self.head = nn.GRU(3, 8), norm, nn.Linear(8, 4)

        def forward(self, x):
            y = self.rnn(x)[0]
            return self.head(self.norm(y.flatten(0, 1)).view_as(y))

    torch.manual_seed(0)
    x = torch.randn(40, 3, 3)
    print(*diagnose(Tagger(nn.BatchNorm1d(8)), x, quick=True).findings)

A LayerNorm looks at one step at a time:

    print(diagnose(Tagger(nn.LayerNorm(8)), x, quick=True).findings)
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.live import BATCH_NORMS, plain_name
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import retention_of

#: Layers that are tried one at a time: each costs a measurement.
MOST = 8


def batch_statistics(subject: Subject) -> list[Symptom]:
    """See whether a loop that looks healthy vanishes once the mean and the variance of each batch count as constants."""
    layers = {name: module for name, module in subject.model.named_modules() if takes_batch_statistics(module)}
    if not layers or not any(curve.verdict == "healthy" for curve in subject.curves.values()):
        return []
    hold_statistics(subject.model)
    held = {name: curve for name, curve in _curves(subject).items() if curve.verdict == "vanishing"}
    hidden = {name: held[name] for name, curve in subject.curves.items() if curve.verdict == "healthy" and name in held}
    return [_symptom(subject, _leaks(subject, layers, hidden), hidden)] if hidden else []


def _leaks(subject: Subject, layers: dict[str, nn.Module], hidden: dict[str, Curve]) -> list[str]:
    """Those of some layers that hide what is lost each by itself, all others being held; all where none does, or they are many."""
    if len(layers) == 1 or len(layers) > MOST:
        return [plain_name(name, subject.model) for name in layers]
    found = []
    for name, module in layers.items():
        normalise = module.__dict__.pop("forward")
        curves = _curves(subject)
        module.__dict__["forward"] = normalise
        if any(curves[loop].verdict != "vanishing" for loop in hidden):
            found.append(plain_name(name, subject.model))
    return found or [plain_name(name, subject.model) for name in layers]


def takes_batch_statistics(module: nn.Module) -> bool:
    """Whether it is a BatchNorm that computes with the mean and the variance of the batch that it reads."""
    return isinstance(module, BATCH_NORMS) and (module.training or not module.track_running_stats)


def hold_statistics(model: nn.Module) -> None:
    """Have each BatchNorm compute the same numbers with statistics that no gradient goes through."""
    for module in model.modules():
        if takes_batch_statistics(module):
            module.__dict__["forward"] = partial(_normalise, module)


def _normalise(module: Any, x: Tensor) -> Tensor:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    mean, variance = x.detach().mean(axes), x.detach().var(axes, unbiased=False)
    return batch_norm(x, mean, variance, module.weight, module.bias, training=False, eps=module.eps)


def _curves(subject: Subject) -> dict[str, Curve]:
    with torch.enable_grad():
        return retention_of(subject.model, subject.calls[:1], subject.loss, subject.cells)


def _and(names: list[str]) -> str:
    if len(names) > MOST:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _symptom(subject: Subject, norms: list[str], hidden: dict[str, Curve]) -> Symptom:
    loop = min(hidden, key=lambda name: float(hidden[name].gain.nan_to_num()[-1]))
    before, others = float(subject.curves[loop].gain[-1]), len(hidden) - 1
    takes = "is in training mode, and takes its" if len(norms) == 1 else "are in training mode, and each takes its"
    return Symptom(
        "gradient through batch statistics",
        "",
        f"{_and(norms)} {takes} mean and variance over all steps and sequences. Through these alone comes "
        "what arrives at the first step, the same from every step: that is no memory. With them held this loop is "
        f"vanishing, half-life {hidden[loop].half_life:.3g} steps{f', and so are {others} others' if others else ''}.",
        f"Measure model.eval(), or put a torch.nn.LayerNorm in the place of {_and(norms)}; then mend what vanishes.",
        "of the gradient at the end, what arrives at the first step, and with the statistics held",
        before,
        lambda mended: float(_curves(mended)[loop].gain.nan_to_num()[-1]),
        hold_statistics,
        loop,
    )
