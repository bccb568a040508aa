"""Gates and units that stand at the end of their range because of the size of the input: they do not answer any more."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.backward.gate_values import GateValues, gate_values
from rnnvanish.backward.replay import Series, replay_all
from rnnvanish.cell import gates_of, recurrent_layers
from rnnvanish.diagnosis.fault import Seen, module_of, valid
from rnnvanish.observe.watch import Run

#: A slope that is below this part of its largest value passes next to nothing on.
FLAT = 0.01
#: Part of the gates and units that is flat, from which on it is called a fault.
MOST = 0.5
#: How many times as much the input has to add as the state does, to be the cause.
MORE = 3.0


def saturated_input(run: Run, total: Series) -> Seen | None:
    """See whether most gates and units of a first layer are flat, and the input is what drives them there."""
    if "/layer" in run.name and "/layer0/" not in run.name:
        return None
    flat = flat_part(run, total)
    if not flat > MOST:
        return None
    calls = [piece.inner for piece in replay_all(run)]
    from_input = _typical([call.sums["from_x"] for call in calls])
    from_state = _typical([call.sums[layer] for call in calls for layer in recurrent_layers(call.cell)])
    if from_input < MORE * from_state:
        return None
    x = run.x.detach()[valid(run)].double()
    size, mean, spread = (float(value) for value in (x.square().mean().sqrt(), x.mean(), x.std()))
    return Seen(
        "saturated input",
        module_of(run),
        f"{100 * flat:.0f} % of the gates and units are at the end of their range, where a change of the input or of the state "
        f"changes next to nothing. The input is the cause: its typical size is {size:.3g} (mean {mean:.3g}, standard "
        f"deviation {spread:.3g}), and it adds {from_input / max(from_state, 1e-12):.2g} times as much as the state.",
        "Standardise what this layer reads: subtract the mean and divide by the standard deviation of each feature, or "
        "put a torch.nn.LayerNorm in front of it.",
        "gates and units at the end of their range",
        flat,
        flat_part,
        standardise,
    )


def flat_part(run: Run, total: Series) -> float:
    """The part of all gates and units, over all steps, whose slope is below a hundredth of its largest value."""
    gates = [
        gate
        for piece in replay_all(run)
        for name, gate in gate_values(piece.inner).items()
        if name in gates_of(piece.inner.cell)
    ]
    flat = [_flat(gate) for gate in gates]
    return float(torch.cat(flat).double().mean()) if flat else 0.0


def _typical(sums: list[Tensor]) -> float:
    return float(torch.cat([each.detach().flatten() for each in sums]).double().square().mean().sqrt())


def _flat(gate: GateValues) -> Tensor:
    """Of a sigmoid or a tanh: its slope is a parabola of its value, largest half-way between its limits."""
    place = (gate.value.double() - gate.low) / (gate.high - gate.low)
    return 4 * place * (1 - place) < FLAT if math.isfinite(gate.high) else torch.zeros_like(place, dtype=torch.bool)


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
