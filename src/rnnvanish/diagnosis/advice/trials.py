"""Mitigations, each tried on a copy of the user's own model: nothing is advised that was not measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import nn

from rnnvanish.backward.loss import Loss
from rnnvanish.cell import Cell, keeping_bias
from rnnvanish.diagnosis.advice.by_cause import IN_TRAINING, kind_of, ordered
from rnnvanish.diagnosis.advice.own_step import state_weights, steps_by_name
from rnnvanish.diagnosis.advice.reasons import why_not, why_unknown
from rnnvanish.diagnosis.advice.replace_cell import GATED_CELLS, Swap
from rnnvanish.diagnosis.advice.trial import Cure, Training, Trial, named
from rnnvanish.diagnosis.advice.trial_runner import TrialRunner, distance
from rnnvanish.diagnosis.progress import doing
from rnnvanish.live import Cells, cells_of, live_cells, step_modules, unwrapped
from rnnvanish.mitigation import Draw, innermost
from rnnvanish.mitigations import (
    Chrono,
    ClipNorm,
    Critical,
    Identity,
    LayerNormalisation,
    NpRNN,
    OpenGate,
    OrthogonalStart,
    SkipThroughTime,
)
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.model_copy import copy_model
from rnnvanish.probes.curve import Advice, Curve

#: What is tried where a gradient vanishes; chrono initialisation comes in addition, for the length of the task.
VANISHING: tuple[Cure, ...] = (
    OpenGate(1.0),
    OpenGate(3.0),
    OrthogonalStart(),
    Critical(),
    Identity(),
    NpRNN(),
    SkipThroughTime(),
    LayerNormalisation(),
    *map(Swap, GATED_CELLS),
)
#: What is tried where one explodes.
EXPLODING: tuple[Cure, ...] = (OrthogonalStart(), Critical(), NpRNN(), Swap(), ClipNorm())


@dataclass(frozen=True)
class Trials:
    """Everything that was tried.

    Attributes:
        layers: For each layer and direction that vanishes or explodes, every cure that could be measured there: those
            that help first, the best of them first, and those with which it explodes last.
        unfit: Cures that could not be tried on this model, and why.
        untreated: What the same training did without any cure; None where none was asked for.
        untried: For each of these layers whose cause is known the cures that suit it and were not tried, by name.
    """

    layers: dict[str, tuple[Trial, ...]]
    unfit: dict[str, str] = field(default_factory=dict)
    untreated: Training | None = None
    untried: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def advice(self, layer: str) -> tuple[Trial, ...]:
        """The cures that help a layer; none is an answer, too."""
        return tuple(trial for trial in self.layers.get(layer, ()) if trial.helps)


def advise(model: nn.Module, inputs: Any, loss: Loss, before: dict[str, Curve]) -> dict[str, tuple[Advice, ...]]:
    """Those cures of `try_cures` that help, for each layer and direction."""
    trials = try_cures(model, inputs, loss, before)
    return {name: trials.advice(name) for name in before}


def try_cures(
    model: nn.Module,
    inputs: Any,
    loss: Loss,
    before: dict[str, Curve],
    lag: int | None = None,
    train: int = 0,
    rate: float = 1e-3,
    cells: Cells = (),
    batches: int = 8,
    segment: int | None = None,
    quick: bool = False,
) -> Trials:
    """Try every cure that may help on a copy of `model`, and measure it again.

    The copy keeps all other weights. A cure changes what it replaces: it says how a fresh start would fare, and a
    trained model must be trained again.

    Args:
        model: The model; it stays as it is.
        inputs: As for `probes.retention`.
        loss: As for `probes.retention`.
        before: What `probes.retention` gave for it.
        lag: The distance in steps that the task asks for: cures are ordered by what arrives over it, and chrono
            initialisation is drawn for it. The longest of each curve if None.
        train: Steps of Adam that each copy, and one without a cure, is trained for besides; the loss must be given.
        rate: Its learning rate.
        cells: As for `probes.retention`.
        batches: As for `probes.retention`.
        segment: As for `probes.retention`.
        quick: Whether a cure that draws random numbers is drawn once instead of five times.

    Raises:
        ValueError: For training without a loss.
    """
    calls = sample_batches(model, inputs, batches, loss)
    return trials_of(model, calls, loss, before, lag, train, rate, cells, segment, quick)


def trials_of(
    model: nn.Module,
    calls: list[Call],
    loss: Loss,
    before: dict[str, Curve],
    lag: int | None = None,
    train: int = 0,
    rate: float = 1e-3,
    cells: Cells = (),
    segment: int | None = None,
    quick: bool = False,
    mainly: Mapping[str, str] = MappingProxyType({}),
) -> Trials:
    """Try what `try_cures` tries, on batches that have been drawn: those that `before` was measured on.

    Args:
        mainly: For each loop whose cause is known the part of a step that loses most, as `Cause.main` names it: what suits
            that is tried first, the cheapest before what has to be trained anew, and the rest is named.
    """
    if train and loss is None:
        raise ValueError(f"To try {train} steps of training, the loss is needed that you train with: loss=...")
    bad = {name: curve for name, curve in before.items() if curve.verdict in ("vanishing", "exploding")}
    bad = {name: curve for name, curve in bad.items() if not curve.joined}
    model = unwrapped(model)
    cells = steps_by_name(model, cells)
    kinds = {name: kind_of(curve, mainly[name]) for name, curve in bad.items() if name in mainly}
    cures, left_out = ordered(_cures(bad, lag), kinds.values())
    untried = {name: (*map(named, left_out), *IN_TRAINING.get(kind, ())) for name, kind in kinds.items()}
    known = live_cells(model)
    own = [name for name, step in step_modules(model, cells).items() if not cells_of(step) and step not in known]
    weights = state_weights(model, calls[0], loss, cells, [name for name in bad if name.partition(" (")[0] in own])
    if weights is not None:
        cures.append(weights)
    runner = TrialRunner(model, calls, loss, before, lag, train, rate, cells, segment, quick)
    untreated, unfit = None, {}
    if train and bad:
        doing("training without a cure")
        try:
            untreated = runner.trained(copy_model(model))
        except Exception as error:  # noqa: BLE001  # the user's own code runs where it did not before
            why = f"Training without a cure: {why_not(error, model)}"
            return Trials(dict.fromkeys(bad, ()), {named(cure): why for cure in cures}, untried=untried)
    found: dict[str, list[Trial]] = {name: [] for name in bad}
    for number, cure in enumerate(cures):
        doing(f"trying cure {number + 1} of {len(cures)}: {named(cure)}")
        if isinstance(cure, Swap) and _is_there(cure, known):
            unfit[named(cure)] = f"The model has {cure.cell} layers already; to open their gate is tried by itself."
            continue
        try:
            measured = runner.trials(cure, bad, untreated)
        except Exception as error:  # noqa: BLE001  # the user's own code runs with what it was not written for
            unfit[named(cure)] = why_not(error, model) if known or not own else why_unknown(cure, own, weights)
            continue
        for name in bad:
            found[name].append(measured[name])
    ranked = {name: tuple(sorted(trials, key=_rank)) for name, trials in found.items()}
    return Trials(ranked, unfit, untreated, untried)


def _is_there(swap: Swap, cells: list[Cell]) -> bool:
    """Whether a swap would do no more than open a gate that can be opened as it is."""
    kind = GATED_CELLS[swap.cell]
    inner = list(map(innermost, cells))
    return bool(inner) and all(type(cell) is kind and keeping_bias(cell) is not None for cell in inner)


def _cures(bad: dict[str, Curve], lag: int | None) -> list[Cure]:
    verdicts = {curve.verdict for curve in bad.values()}
    steps = lag or max((len(curve.gain) for curve in bad.values()), default=0)
    cures = list(VANISHING) if "vanishing" in verdicts else []
    if cures and steps > 2:
        cures.insert(2, Chrono(steps))
    return cures + [cure for cure in EXPLODING if "exploding" in verdicts and cure not in cures]


def _rank(trial: Trial) -> tuple[bool, bool, float, float, bool, float]:
    """Those that help first, those that explode last.

    Between: by the loss after training, by how near what arrives is to what left, whether numbers are all that changes,
    and the half-life.
    """
    loss = trial.training.after if trial.training else 0.0
    return (
        not trial.helps,
        trial.verdict == "exploding",
        math.inf if math.isnan(loss) else loss,
        distance(trial.gain),
        trial.moment != Draw.moment,
        -trial.after,
    )
