"""Mitigations, each tried on a copy of the user's own model: nothing is advised that was not measured."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.mitigation import Draw
from rnnvanish.mitigations import Chrono, Critical, Identity, NpRNN, OpenGate, OrthogonalStart
from rnnvanish.probes.curve import Advice, Curve
from rnnvanish.probes.retention import retention

#: What is tried on every model; chrono initialisation comes in addition, for the length of the sequences.
CURES: tuple[Draw, ...] = (OpenGate(1.0), OpenGate(3.0), OrthogonalStart(), Critical(), Identity(), NpRNN())


def advise(
    model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor] | None, before: dict[str, Curve]
) -> dict[str, tuple[Advice, ...]]:
    """Try every cure on a copy of `model`; for each layer those that lengthen its half-life and do not make it explode, best first.

    The copy keeps all other weights. A cure changes what it replaces: it says how a fresh start would fare, and a
    trained model must be trained again.
    """
    advice: dict[str, list[Advice]] = {name: [] for name in before}
    steps = max(len(curve.gain) for curve in before.values())
    for cure in (*CURES, *([Chrono(steps)] if steps > 2 else [])):
        patient = copy.deepcopy(model)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                cure(patient)
        except ValueError:  # suits no layer of this model
            continue
        for name, after in retention(patient, inputs, loss).items():
            was = before[name]
            helps = after.half_life > 1.2 * was.half_life and after.verdict != "exploding"
            if helps and was.verdict == "vanishing" and not was.joined:
                advice[name].append(
                    Advice(f"mitigations.{cure!r}", was.half_life, after.half_life, float(after.gain[-1]))
                )
    return {name: tuple(sorted(found, key=lambda cure: -cure.after)) for name, found in advice.items()}
