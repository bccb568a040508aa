"""Cures, each tried on a copy of the user's own model: nothing is advised that was not measured."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell
from rnnvanish.cells import GRU, LSTM, Elman
from rnnvanish.live import live_cells
from rnnvanish.probes.curve import Advice, Curve
from rnnvanish.probes.retention import retention


def _open_gate(bias: float) -> Callable[[Cell], bool]:
    """Set the bias of the gate that keeps the state, the second of LSTM and of GRU; torch adds two biases up."""

    def treat(cell: Cell) -> bool:
        if not isinstance(cell, LSTM | GRU) or cell.from_h.bias is None:
            return False
        gate = slice(cell.hidden_size, 2 * cell.hidden_size)
        cell.from_x.bias[gate] = 0.0
        cell.from_h.bias[gate] = bias
        return True

    return treat


def _start_from(draw: Callable[[Tensor], Tensor], activation: type[nn.Module]) -> Callable[[Cell], bool]:
    """Draw the recurrent matrix anew, where the activation is the one that this suits."""

    def treat(cell: Cell) -> bool:
        if not isinstance(cell, Elman) or not isinstance(cell.nonlinearity, activation):
            return False
        draw(cell.from_h.weight)
        return True

    return treat


#: What is tried: the words, and what it does to a cell; it says False where it does not apply.
CURES: dict[str, Callable[[Cell], bool]] = {
    "open the gate that keeps the state (bias 1)": _open_gate(1.0),
    "open the gate that keeps the state (bias 3)": _open_gate(3.0),
    "start from an orthogonal recurrent matrix": _start_from(nn.init.orthogonal_, nn.Tanh),
    "start from the identity as recurrent matrix": _start_from(nn.init.eye_, nn.ReLU),
}


def advise(
    model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor] | None, before: dict[str, Curve]
) -> dict[str, tuple[Advice, ...]]:
    """Try every cure on a copy of `model`; for each layer those that lengthen its half-life and do not make it explode, best first.

    The copy keeps all other weights. A cure changes what it replaces: it says how a fresh start would fare, and a
    trained model must be trained again.
    """
    advice: dict[str, list[Advice]] = {name: [] for name in before}
    for words, treat in CURES.items():
        patient = copy.deepcopy(model)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            treated = [treat(cell) for cell in live_cells(patient)]
        if not any(treated):
            continue
        for name, after in retention(patient, inputs, loss).items():
            was = before[name]
            helps = after.half_life > 1.2 * was.half_life and after.verdict != "exploding"
            if helps and was.verdict == "vanishing" and not was.joined:
                advice[name].append(Advice(words, was.half_life, after.half_life, float(after.gain[-1])))
    return {name: tuple(sorted(found, key=lambda cure: -cure.after)) for name, found in advice.items()}
