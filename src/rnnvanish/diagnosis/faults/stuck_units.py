"""Units that stand at one end of their range in every step of every sequence: nothing changes them, nothing is learned by them.

A ReLU gives zero for whatever is below zero. Push it far enough down, by a bias or by a step that is too long, and it
gives zero for everything. It never comes back: where nothing changes, nothing is learned. These are **dead units**. A
tanh that always stands at 1 or at -1 is as useless: these are **stuck units**.

    torch.manual_seed(0)
    x, model = torch.randn(4, 20, 3), nn.RNN(3, 16, nonlinearity="relu", batch_first=True)
    model.bias_ih_l0.data[:] = -20.0
    print(*diagnose(model, x, quick=True).findings)

With biases of zero about half of the units answer at any time:

    model.bias_ih_l0.data[:] = 0.0
    print(diagnose(model, x, quick=True).findings)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnvanish.backward.gate_values import GateValues, gate_values
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.backward.replay import ReplayedSteps
from rnnvanish.cell import Cell
from rnnvanish.diagnosis.fault import Symptom, module_of
from rnnvanish.diagnosis.faults.saturation import MORE, MOST, NEARLY_ALL, FlatPart, LayerSums, flat_gates, standardise
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: A rectifier is dead where what it reads stays so many standard deviations below zero.
FAR_BELOW = 3.0


def stuck_units(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether at least half of the units are stuck: a tanh at 1 or at -1, a rectifier at 0 and far from starting."""
    units, sums, part = _Units(), LayerSums(), FlatPart()
    while (steps := (yield)) is not None:
        units.add(steps)
        if units.moving:
            return None
        sums.add(steps.inner)
        part.add(steps)
    stuck = units.stuck
    if not stuck >= MOST or (part.value > MOST and sums.input.value >= MORE * max(sums.state.value, sums.bias.value)):
        return None
    if units.unknown and not bool(run.x.any()):
        return None
    cause, remedy, mend = UNKNOWN if units.unknown else _cause(sums)
    far = "0, their rectifiers read nothing but numbers far below it"
    where = "0" if units.unknown else far if units.rectified else "1 or at -1"
    return Symptom(
        "dead units" if units.unknown or units.rectified else "stuck units",
        module_of(run),
        f"{100 * stuck:.0f} % of the units stand at {where}, at every step of every sequence: they carry nothing, and no "
        f"gradient changes them. {cause}",
        remedy,
        "units that never leave their limit",
        stuck,
        measure_alone(_stuck_part),
        mend,
    )


def no_bias(module: nn.Module) -> None:
    """Set the biases of `module` to zero."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "bias" in name:
                parameter.zero_()


#: Of a cell that does not say what its units read: what to look at.
UNKNOWN = (
    "",
    "Look at what these units read: a bias far below zero, or weights that grew in training? Set the biases back to zero.",
    no_bias,
)


def _cause(sums: LayerSums) -> tuple[str, str, Callable[[nn.Module], object]]:
    """What of three adds most to what the units read, what to do about it, and a function that does it."""
    sizes = {"biases": sums.bias.value, "recurrent weights": sums.state.value, "input": sums.input.value}
    most = max(sizes, key=lambda name: sizes[name])
    told = ", ".join(f"the {name} {size:.2g}" for name, size in sizes.items())
    says = f"What they read is made mainly by the {most} (typical size of what is added: {told})."
    if most == "biases":
        return (
            says,
            "Set the biases back to zero, and train with a smaller learning rate if they grew so large.",
            no_bias,
        )
    if most == "input":
        return says, "Standardise what this layer reads, each feature.", standardise
    return (
        says,
        "Draw the recurrent weights with a gain of 1: mitigations.OrthogonalStart(gain=1.0)(model); train at a lower rate.",
        _orthogonal,
    )


class _Units:
    """What is counted of units, one by one: those that stay at one limit of their range."""

    def __init__(self) -> None:
        self.rectified = self.unknown = False
        self._at_limit: dict[int, tuple[Tensor, Tensor]] = {}  # low and high, by how many units there are side by side
        self._rows = 0
        self._sum = self._squares = torch.zeros(1, dtype=torch.float64)
        self._most = torch.full((1,), -torch.inf, dtype=torch.float64)

    def add(self, steps: ReplayedSteps) -> None:
        """Look at those of some steps."""
        cell, flat = steps.inner.cell, flat_gates(steps.inner)
        units = {name: gate for name, gate in gate_values(steps.inner).items() if name in flat and _is_unit(name, gate)}
        self.unknown = not flat
        if self.unknown:  # of a cell that names nothing: states of zero
            zero = (steps.after[0].detach() == 0).all(0).cpu()
            self._note(zero, torch.zeros_like(zero))
        for name, gate in units.items():
            middle = (gate.low + gate.high) / 2
            self._note(*((flat[name] & side).all(0).cpu() for side in (gate.value < middle, gate.value > middle)))
            self.rectified = isinstance(cell, Cell) and cell.plain and gate.low == 0 and gate.high == math.inf
        if self.rectified:
            read = torch.stack([each.detach() for each in steps.inner.sums.values()]).double().sum(0).cpu()
            self._rows += len(read)
            self._sum, self._squares = self._sum + read.sum(0), self._squares + read.square().sum(0)
            self._most = torch.maximum(self._most, read.amax(0))

    def _note(self, low: Tensor, high: Tensor) -> None:
        known = self._at_limit.get(len(low), (torch.tensor(True), torch.tensor(True)))
        self._at_limit[len(low)] = known[0] & low, known[1] & high

    @property
    def _left(self) -> Tensor:
        """Which have never been seen to leave their limit."""
        if self.rectified:
            return self._most < 0
        found = [low | high for low, high in self._at_limit.values()]
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)

    @property
    def moving(self) -> bool:
        """Whether enough of them have been seen to leave their limit."""
        left = self._left
        return bool(len(left)) and float(left.double().mean()) < (NEARLY_ALL if self.unknown else MOST)

    @property
    def stuck(self) -> float:
        """Their part."""
        if not self.rectified:
            return float(self._left.double().mean()) if len(self._left) else 0.0
        mean = self._sum / self._rows
        spread = (self._squares / self._rows - mean.square()).clamp(min=0).sqrt()
        return float(((self._most < 0) & (self._most <= -FAR_BELOW * spread)).double().mean())


def _is_unit(name: str, gate: GateValues) -> bool:
    """Whether this makes new values, and is no gate that multiplies them: a gate may well stand open."""
    return gate.low != -math.inf and (gate.low < 0 or name == "h")


def _stuck_part(run: Run, total: Series) -> Pass[float]:
    units = _Units()
    while (steps := (yield)) is not None:
        units.add(steps)
    return units.stuck


def _orthogonal(module: nn.Module) -> nn.Module:
    return OrthogonalStart(1.0)(module)
