"""The gate that keeps the state is nearly closed: each step erases most of what was known."""

import torch
from torch import nn

from rnnvanish.backward.gate_values import gate_values
from rnnvanish.backward.replay import Series, replay_all
from rnnvanish.cells import GRU, LSTM
from rnnvanish.diagnosis.fault import ARRIVING, Seen, arriving, module_of
from rnnvanish.mitigation import innermost
from rnnvanish.mitigations import OpenGate
from rnnvanish.observe.watch import Run
from rnnvanish.probes.curve import THOUSAND

#: A gate that keeps less than this of the state at each step is called closed. One as torch draws it keeps a half.
CLOSED = 0.25
GATES = {LSTM: ("forget", "f"), GRU: ("update", "z")}


def closed_gate(run: Run, total: Series) -> Seen | None:
    """See whether the forget gates of an LSTM, or the update gates of a GRU, keep less than a quarter at each step."""
    cell = innermost(run.cell)
    if type(cell) not in GATES:
        return None
    name, letter = GATES[type(cell)]
    kept = float(torch.cat([gate_values(piece.inner)[letter].value for piece in replay_all(run)]).mean())
    left = arriving(run, total)
    if kept >= CLOSED or left > 1 / THOUSAND:
        return None
    return Seen(
        f"closed {name} gate",
        module_of(run),
        f"The {name} gates keep {kept:.2g} of the state at each step, on average.",
        "Open them before you train: mitigations.OpenGate(bias=3.0)(model).",
        ARRIVING,
        left,
        arriving,
        _open,
    )


def _open(module: nn.Module) -> nn.Module:
    return OpenGate(3.0)(module)
