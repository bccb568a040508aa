"""Saturation: which gates and units stand at their limits, where slopes are near zero, and which never move."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.gate_values import GateValues, gate_values, title
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.measure import Measure, Row
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run, watch

#: As near to a limit as this part of the whole range counts as standing there.
NEAR = 0.05
#: A unit that moves by less than this part of its range, in all steps of all sequences, never moves.
STILL = 1e-6


@dataclass(frozen=True, eq=False)
class Gate:
    """What one gate (or the units themselves) did in a run, unit by unit, over all steps of all sequences.

    Attributes:
        low: Share of the time within 5 % of the lower limit; of a rectifier: at zero.
        high: Share of the time within 5 % of the upper limit.
        mean: Mean value.
        dead: Units that never moved.
    """

    low: Float[Tensor, " units"]
    high: Float[Tensor, " units"]
    mean: Float[Tensor, " units"]
    dead: Bool[Tensor, " units"]

    @property
    def saturated(self) -> float:
        """Share of time and units at a limit."""
        return float((self.low + self.high).mean())


def saturation(model: nn.Module, inputs: Any, cells: Cells = ()) -> dict[str, Mapping[str, Gate]]:
    """Measure, for each recurrent layer and direction, what its gates and units did in this run.

    Gates are "i", "f", "o", "g" and "tanh c" (LSTM), "r", "z", "n" (GRU), "h" (Elman), those of `torch.nn` too and
    inside of wrappers. Of another cell each part of the state is listed, whose limits are not known: only `dead` and
    `mean` are measured, `low` and `high` are nan.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError: For a state of complex numbers: these have no lower and no upper limit.

    Examples:
        >>> layer = nn.LSTM(1, 3)
        >>> _ = nn.init.constant_(layer.bias_ih_l0[3:6].data, 9.0)
        >>> saturation(layer, torch.zeros(5, 1, 1))["LSTM/layer0/forward"]["f"].high
        tensor([1., 1., 1.], dtype=torch.float64)
    """
    of_loop = measure_alone(saturation_of)
    return watch(model, inputs, lambda output, runs: {run.name: of_loop(run, ()) for run in runs}, cells=cells)


def saturation_of(run: Run, gradients: Series) -> Pass[dict[str, Gate]]:
    """Measure one loop; of its gradients nothing is needed."""
    coordinates = Coordinates.of(run)
    for name, part in zip(coordinates.names, coordinates.memory(run.states[-1]), strict=True):
        if part.is_complex():
            raise Unmeasurable(
                f"{run.name}: its state {name} is made of complex numbers. These have no lower and no upper limit to stand at: "
                "there is nothing to measure of saturation. probes.retention, cases and lyapunov take complex states."
            )
    gates: dict[str, _Sums] = {}
    while (steps := (yield)) is not None:
        unknown = zip(coordinates.names, steps.after, strict=True)
        known = gate_values(steps.inner)
        values = known or {name: GateValues(part.detach(), -math.inf, math.inf) for name, part in unknown}
        for name, each in values.items():
            gates.setdefault(name, _Sums(each.low, each.high)).add(each.value.double())
    return {name: sums.gate() for name, sums in gates.items()}


class _Sums:
    """What is counted of one gate, between its limits, unit by unit."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.rows, self.at_low, self.at_high, self.total = 0, *torch.zeros(3, dtype=torch.float64)
        self.least, self.most = torch.tensor([math.inf, -math.inf], dtype=torch.float64)

    def add(self, value: Float[Tensor, "rows units"]) -> None:
        width = self.high - self.low
        near = NEAR * width if math.isfinite(width) else 0.0  # a rectifier stands at its only limit, or does not
        self.rows += len(value)
        self.at_low = self.at_low + (value <= self.low + near).sum(0).cpu()
        self.at_high = self.at_high + (value >= self.high - near).sum(0).cpu()
        self.total = self.total + value.sum(0).cpu()
        self.least = torch.minimum(self.least, value.amin(0).cpu())
        self.most = torch.maximum(self.most, value.amax(0).cpu())

    def gate(self) -> Gate:
        width = self.high - self.low
        if not math.isfinite(width):
            width = float(torch.maximum(self.least.abs(), self.most.abs()).max())
        known = math.isfinite(self.low)
        mean = self.total / self.rows
        return Gate(
            low=self.at_low.double() / self.rows if known else torch.full_like(mean, torch.nan),
            high=self.at_high.double() / self.rows if known else torch.full_like(mean, torch.nan),
            mean=mean,
            dead=self.most - self.least <= STILL * width,
        )


def _main_rows(gates: Mapping[str, Gate]) -> list[Row]:
    dead = sum(int(gate.dead.sum()) for name, gate in gates.items() if name == "h")
    return [("dead", f"{dead} units never move")] if dead else []


def _rest_rows(gates: Mapping[str, Gate]) -> list[Row]:
    """Say which gates and units stand at their limits, or never move."""
    known = {title(name): gate for name, gate in gates.items() if not math.isnan(gate.saturated)}
    said = [
        ("gates", f"{name}: {100 * gate.saturated:.0f} % of the time at a limit; {int(gate.dead.sum())} never move")
        for name, gate in known.items()
        if gate.saturated > 0.005 or gate.dead.any()
    ]
    return said or ([("gates", "none stands at a limit")] if known else [])


SATURATION = Measure(
    name="saturation",
    about=__doc__,
    result=Mapping[str, Gate],
    units={"low": "share of the time", "high": "share of the time", "mean": "value of the gate"},
    of_steps=saturation_of,
    main_rows=_main_rows,
    rest_rows=_rest_rows,
)
