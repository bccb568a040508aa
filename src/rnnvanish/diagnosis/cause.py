"""Why a layer keeps or loses its gradient, in words, from what its weights, slopes and gates were in this run."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rnnvanish.cell import Cell
from rnnvanish.cells import GRU, LSTM, Elman
from rnnvanish.engine.reference import padding
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.watch import Run

#: The factor of a step back by the cell's own account, and the account in words.
Explanation = tuple[float, str]


def cause(run: Run, curve: Curve) -> str:
    """Say what a step back in time does to the gradient, and what in the cell does it."""
    explain = EXPLANATIONS.get(type(run.cell))
    if explain is None:
        return f"{type(run.cell).__name__} is measured, but not yet taken apart."
    factor, words = explain(run)
    measured = math.exp(curve.rate)
    if curve.joined or math.isnan(measured) or 0.95 < measured / factor < 1.05:
        return words
    return f"{words} With all that comes back by other ways, a step keeps {measured:.2g}."


def _elman(run: Run) -> Explanation:
    """A step back is Uᵀ diag(φ′): a typical direction shrinks by the root mean square of each factor."""
    cell, a = run.cell, _pre_activations(run)
    assert isinstance(cell, Elman)
    with torch.enable_grad():
        a = a.detach().requires_grad_()
        slope = torch.autograd.grad(cell.nonlinearity(a).sum(), a)[0].square().mean().sqrt().item()
    matrix = cell.from_h.weight.detach().double()
    weights = (torch.linalg.matrix_norm(matrix) / len(matrix) ** 0.5).item()
    main = (
        "the recurrent weights are"
        if abs(math.log(weights)) > abs(math.log(slope))
        else "the slopes of the activation are"
    )
    words = (
        f"A step back multiplies a typical gradient by about {weights * slope:.2g}: by {weights:.2g} in the recurrent "
        f"weights, by {slope:.2g} in the slopes of the activation. Mainly {main} the cause."
    )
    return weights * slope, words


def _lstm(run: Run) -> Explanation:
    _, f, _, _ = _pre_activations(run).chunk(4, dim=-1)
    kept = _geometric_mean(torch.sigmoid(f))
    return kept, f"The forget gates keep {kept:.2g} of the cell at each step: {_memory(kept)}."


def _gru(run: Run) -> Explanation:
    _, z, _ = _pre_activations(run).chunk(3, dim=-1)
    kept = _geometric_mean(torch.sigmoid(z))
    return kept, f"The update gates keep {kept:.2g} of the state at each step: {_memory(kept)}."


EXPLANATIONS: dict[type[Cell], Callable[[Run], Explanation]] = {Elman: _elman, LSTM: _lstm, GRU: _gru}


def _pre_activations(run: Run) -> Tensor:
    """W x + b + U h + c at every step of every sequence, (steps, gates * hidden), without the padding."""
    h = torch.stack([run.initial[0], *(state[0] for state in run.states[:-1])])
    with torch.no_grad():
        a: Tensor = run.cell.get_submodule("from_x")(run.x) + run.cell.get_submodule("from_h")(h)
    return a[~padding(len(a), run.ends + 1)]


def _geometric_mean(gate: Tensor) -> float:
    return gate.double().log().mean().exp().item()


def _memory(kept: float) -> str:
    """What a gate alone leaves, in steps."""
    if kept > 0.999:
        return "alone they would lose next to nothing"
    return f"alone they would lose half in {math.log(0.5) / math.log(kept):.2g} steps"
