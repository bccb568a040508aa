"""The gate that keeps the state is nearly closed: each step erases most of what was known.

The gate that keeps the state is a valve. Closed, it lets almost nothing through from one step to the next. The network
starts from scratch at every step, and learns only what stands next to the answer. In a GRU it is the update gate.

    torch.manual_seed(0)
    x, model = torch.randn(4, 20, 3), nn.LSTM(3, 16, batch_first=True)
    model.bias_ih_l0.data[16:32] = -4.0  # the forget gates
    print(*diagnose(model, x, quick=True).findings)

A bias above zero opens them:

    model.bias_ih_l0.data[16:32] = 3.0
    print(diagnose(model, x, quick=True).findings)
"""

import torch
from torch import nn

from rnnvanish.backward.gate_values import kept_by_gate
from rnnvanish.backward.measure_loop import Pass
from rnnvanish.cell import Cell
from rnnvanish.diagnosis.fault import ARRIVING, Symptom, arriving, module_of
from rnnvanish.mitigation import innermost
from rnnvanish.mitigations import OpenGate
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run
from rnnvanish.probes.curve import THOUSAND

#: A gate that keeps less than this of the state at each step is called closed. One as torch draws it keeps a half.
CLOSED = 0.25


def closed_gate(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether the gates that keep the state (an LSTM's forget gates) keep less than a quarter at each step."""
    keeps = innermost(run.cell).keeps if isinstance(innermost(run.cell), Cell) else None
    if not keeps:
        return None
    part, count = 0.0, 0
    while (steps := (yield)) is not None:
        if (gate := kept_by_gate(steps.inner)) is not None:
            part, count = part + float(gate.sum(dtype=torch.float64)), count + gate.numel()
    if not count:
        return None
    part, left = part / count, arriving(run, total)
    if not part < CLOSED or left > 1 / THOUSAND:
        return None
    return Symptom(
        f"{'open' if keeps.closed else 'closed'} {keeps.called} gate",
        module_of(run),
        f"The {keeps.called} gates keep {part:.2g} of the state at each step, on average.",
        f"{'Close' if keeps.closed else 'Open'} them before you train: mitigations.OpenGate(bias=3.0)(model).",
        ARRIVING,
        left,
        arriving,
        _open,
    )


def _open(module: nn.Module) -> nn.Module:
    return OpenGate(3.0)(module)
