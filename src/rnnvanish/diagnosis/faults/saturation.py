"""Gates and units that stand at the end of their range because of the size of the input: they do not answer any more."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.backward.gate_values import gate_values
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import ReplayedSteps
from rnnvanish.cell import gates_of, recurrent_layers
from rnnvanish.diagnosis.fault import Symptom, module_of, valid
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: A slope that is below this part of its largest value passes next to nothing on.
FLAT = 0.01
#: Part of the gates and units that is flat, from which on it is called a fault.
MOST = 0.5
#: How many times as much the input has to add as the state does, to be the cause.
MORE = 3.0


def saturated_input(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether most gates and units of a first layer are flat, and the input is what drives them there."""
    if "/layer" in run.name and "/layer0/" not in run.name:
        return None
    part, from_input, from_state = _FlatPart(), _Typical(), _Typical()
    while (steps := (yield)) is not None:
        part.add(steps)
        for layer, values in steps.inner.sums.items():
            (from_state if layer in recurrent_layers(steps.inner.cell) else from_input).add(values.detach())
    flat = part.value
    if not flat > MOST or from_input.value < MORE * from_state.value:
        return None
    x = run.x.detach()[valid(run)].double()
    size, mean, spread = (float(value) for value in (x.square().mean().sqrt(), x.mean(), x.std()))
    return Symptom(
        "saturated input",
        module_of(run),
        f"{100 * flat:.0f} % of the gates and units are at the end of their range, where a change of the input or of the state "
        f"changes next to nothing. The input is the cause: its typical size is {size:.3g} (mean {mean:.3g}, standard "
        f"deviation {spread:.3g}), and it adds {from_input.value / max(from_state.value, 1e-12):.2g} times as much as the state.",
        "Standardise what this layer reads: subtract the mean and divide by the standard deviation of each feature, or "
        "put a torch.nn.LayerNorm in front of it.",
        "gates and units at the end of their range",
        flat,
        measure_alone(flat_part),
        standardise,
    )


class _FlatPart:
    """The part of all gates and units, over all steps, whose slope is below a hundredth of its largest value."""

    def __init__(self) -> None:
        self._flat = self._count = 0

    def add(self, steps: ReplayedSteps) -> None:
        """Count those of some steps. Of a sigmoid or a tanh the slope is a parabola of its value between its limits."""
        for name, gate in gate_values(steps.inner).items():
            if name in gates_of(steps.inner.cell):
                self._count += gate.value.numel()
                if math.isfinite(gate.high):
                    middle, steep = (gate.low + gate.high) / 2, (1 - FLAT) ** 0.5 * (gate.high - gate.low) / 2
                    self._flat += int((gate.value.double() - middle).abs().gt(steep).sum())

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
    part = _FlatPart()
    while (steps := (yield)) is not None:
        part.add(steps)
    return part.value


def standardise(module: nn.Module) -> None:
    """Have `module` read its input with mean 0 and standard deviation 1, feature by feature."""

    def hook(module: nn.Module, args: tuple[Tensor | PackedSequence, ...]) -> tuple[object, ...]:
        x, *rest = args
        packed = isinstance(x, PackedSequence)
        rows = x.data
        flat = rows.flatten(0, -2)
        scaled = (rows - flat.mean(0)) / flat.std(0).clamp(min=1e-6)
        return (PackedSequence(scaled, *x[1:]) if packed else scaled, *rest)

    module.register_forward_pre_hook(hook)
