"""Gates and units that stand at the end of their range because of the size of the input: they do not answer any more.

One column of your table is in grams, the others are around 1. The network hears the grams alone: they push every gate
against its stop, and there it stays, whatever the other columns say. Nothing fails. It just learns slowly, or not at
all.

    torch.manual_seed(0)
    x = torch.randn(4, 30, 5)
    x[..., 3] = 50 * x[..., 3] + 1000
    print(*diagnose(nn.LSTM(5, 16, batch_first=True), x, quick=True).findings)

Each column is standardised, by the mean and the spread of the training data:

    x = (x - x.mean((0, 1))) / x.std((0, 1))
    print(diagnose(nn.LSTM(5, 16, batch_first=True), x, quick=True).findings)
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from rnnvanish.backward.gate_values import gate_values
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import InnermostCall, ReplayedSteps
from rnnvanish.cell import gates_of, recurrent_layers
from rnnvanish.diagnosis.fault import Symptom, change_input, module_of
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: A slope that is below this part of its largest value passes next to nothing on.
FLAT = 0.01
#: Part of the gates and units that is flat, from which on it is called a fault.
MOST = 0.5
#: How many times as much the input has to add as state or bias do, to be the cause.
MORE = 3.0
#: Features are named that make this part of what the input adds, if they are no more than a quarter of all.
NEARLY_ALL = 0.9


def saturated_input(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether most gates and units of a first layer are flat, and the input is what drives them there."""
    if "/layer" in run.name and "/layer0/" not in run.name:
        return None
    part, sums = FlatPart(), LayerSums()
    while (steps := (yield)) is not None:
        part.add(steps)
        sums.add(steps.inner)
    flat, others = part.value, max(sums.state.value, sums.bias.value)
    if not flat > MOST or sums.input.value < MORE * others:
        return None
    return Symptom(
        "saturated input",
        module_of(run),
        f"{100 * flat:.0f} % of the gates and units are at the end of their range, where a change of the input or of the state "
        f"changes next to nothing. The input is the cause: {_described(run, sums.by_feature)}, and it adds "
        f"{sums.input.value / max(sums.state.value, 1e-12):.2g} times as much as the state.",
        "Standardise what this layer reads: subtract the mean and divide by the standard deviation of each feature, or "
        "put a torch.nn.LayerNorm in front of it.",
        "gates and units at the end of their range",
        flat,
        measure_alone(flat_part),
        standardise,
    )


def _described(run: Run, by_feature: Tensor) -> str:
    """The input in words: which features of it are too large, if a few are, and how large."""
    x = run.x.detach()[run.valid].double()
    order = by_feature.argsort(descending=True)
    count = int((by_feature[order].cumsum(0) < NEARLY_ALL * by_feature.sum()).sum()) + 1
    if count > len(order) / 4 or not by_feature.sum().isfinite():
        return f"its typical size is {_size(x)} (mean {float(x.mean()):.3g}, standard deviation {float(x.std()):.3g})"
    few, rest = order[:count].sort().values.cpu(), order[count:].cpu()
    called = f"feature {few[0]}" if count == 1 else f"features {', '.join(map(str, few.tolist()))}"
    return (
        f"{called} of {len(order)} (counted from 0), whose typical size is {_size(x[:, few])} (mean "
        f"{float(x[:, few].mean()):.3g}), that of the others {_size(x[:, rest])}"
    )


def _size(x: Tensor) -> str:
    return f"{float(x.square().mean().sqrt()):.3g}"


class LayerSums:
    """What input, state and bias add to the sums that gates and units are made of, over all steps.

    Attributes:
        input: Of the input.
        state: Of the state.
        bias: Of the biases.
        by_feature: Of each feature of the input the sum of squares that it adds.
    """

    def __init__(self) -> None:
        self.input, self.state, self.bias = _Typical(), _Typical(), _Typical()
        self.by_feature = torch.zeros(0, dtype=torch.float64)

    def add(self, call: InnermostCall) -> None:
        """Take more steps."""
        for name, values in call.sums.items():
            layer = cast(nn.Linear, call.cell.get_submodule(name))
            bias = getattr(layer, "bias", None)
            alone = values.detach() if bias is None else values.detach() - bias.detach()
            (self.state if name in recurrent_layers(call.cell) else self.input).add(alone)
            if bias is not None:
                self.bias.add(bias.detach())
            if name not in recurrent_layers(call.cell):
                squares = call.reads[name].detach().double().square().sum(0)
                added = squares * layer.weight.detach().double().square().sum(0)
                self.by_feature = added + (self.by_feature if len(self.by_feature) else 0)


def flat_gates(call: InnermostCall) -> dict[str, Tensor]:
    """Where the slope of each gate, and of the units, is below a hundredth of its largest value, (rows, units).

    Of a sigmoid or a tanh the slope is a parabola of its value between its limits. A rectifier is never flat here.
    """
    found = {}
    for name, gate in gate_values(call).items():
        if name in gates_of(call.cell):
            middle, steep = (gate.low + gate.high) / 2, (1 - FLAT) ** 0.5 * (gate.high - gate.low) / 2
            bounded = math.isfinite(gate.high)
            value = gate.value.double()
            found[name] = (value - middle).abs().gt(steep) if bounded else torch.zeros_like(value, dtype=torch.bool)
    return found


class FlatPart:
    """The part of all gates and units, over all steps, that is flat."""

    def __init__(self) -> None:
        self._flat = self._count = 0

    def add(self, steps: ReplayedSteps) -> None:
        """Count those of some steps."""
        for flat in flat_gates(steps.inner).values():
            self._count += flat.numel()
            self._flat += int(flat.sum())

    @property
    def value(self) -> float:
        """That part; 0 where there are no gates."""
        return self._flat / self._count if self._count else 0.0


class _Typical:
    """The root mean square of numbers."""

    def __init__(self) -> None:
        self._squares, self._count = 0.0, 0

    def add(self, values: Tensor) -> None:
        """Take more of them."""
        self._squares += float(values.square().sum(dtype=torch.float64))
        self._count += values.numel()

    @property
    def value(self) -> float:
        """That of all so far; 0 of none."""
        return (self._squares / self._count) ** 0.5 if self._count else 0.0


def flat_part(run: Run, total: Series) -> Pass[float]:
    """Measure the flat part by itself."""
    part = FlatPart()
    while (steps := (yield)) is not None:
        part.add(steps)
    return part.value


def standardise(module: nn.Module) -> None:
    """Have `module` read its input with mean 0 and standard deviation 1, feature by feature."""

    def scaled(rows: Tensor) -> Tensor:
        flat = rows.flatten(0, -2)
        return (rows - flat.mean(0)) / flat.std(0).clamp(min=1e-6)

    change_input(module, scaled)
