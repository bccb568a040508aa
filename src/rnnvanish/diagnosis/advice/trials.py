"""Mitigations, each tried on a copy of the user's own model: nothing is advised that was not measured."""

import math
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.compat import tree_leaves
from rnnvanish.diagnosis.advice.replace_cell import GATED_CELLS, Swap
from rnnvanish.diagnosis.advice.short_training import train_briefly
from rnnvanish.diagnosis.advice.trial import Cure, Training, Trial, line, named, treated
from rnnvanish.diagnosis.progress import doing
from rnnvanish.live import RECURRENT, Cells, unwrapped
from rnnvanish.mitigation import Draw, Rule
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
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Run, watch
from rnnvanish.probes.curve import Advice, Curve
from rnnvanish.probes.retention import retention_of
from rnnvanish.recurrent import Recurrent

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
#: A half-life that is longer by this factor is an improvement; so is a loss that is lower by the other one.
LONGER, LOWER = 1.2, 0.99
#: Steps of training, or of a sequence, from which on it pays to compile the loop of a changed layer: seconds, once on a machine.
MANY_TRAINING_STEPS, LONG_SEQUENCE = 50, 1000


@dataclass(frozen=True)
class Trials:
    """Everything that was tried.

    Attributes:
        layers: For each layer and direction that vanishes or explodes, every cure that could be measured there: those
            that help first, the best of them first.
        unfit: Cures that could not be tried on this model, and why.
        untreated: What the same training did without any cure; None where none was asked for.
    """

    layers: dict[str, tuple[Trial, ...]]
    unfit: dict[str, str] = field(default_factory=dict)
    untreated: Training | None = None

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
) -> Trials:
    """Try every cure that may help on a copy of `model`, and measure it again.

    The copy keeps all other weights. A cure changes what it replaces: it says how a fresh start would fare, and a
    trained model must be trained again.

    Args:
        model: The model; it stays as it is.
        inputs: As for `probes.retention`.
        loss: As for `probes.retention`.
        before: What `probes.retention` gave for it.
        lag: The distance in steps that the task asks for, which chrono initialisation is drawn for; the length of the
            sequences if None.
        train: Steps of Adam that each copy, and one without a cure, is trained for besides; the loss must be given.
        rate: Its learning rate.
        cells: As for `probes.retention`.
        batches: As for `probes.retention`.
        segment: As for `probes.retention`.

    Raises:
        ValueError: For training without a loss.
    """
    calls = sample_batches(model, inputs, batches)
    return trials_of(model, calls, loss, before, lag, train, rate, cells, segment)


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
) -> Trials:
    """Try what `try_cures` tries, on batches that have been drawn: those that `before` was measured on."""
    if train and loss is None:
        raise ValueError(f"To try {train} steps of training, the loss is needed that you train with: loss=...")
    bad = {name: curve for name, curve in before.items() if curve.verdict in ("vanishing", "exploding")}
    bad = {name: curve for name, curve in bad.items() if not curve.joined}
    model = unwrapped(model)
    runner = _TrialRunner(model, calls, loss, before, train, rate, cells, segment)
    doing("training without a cure")
    untreated = runner.trained(copy_model(model)) if train and bad else None
    found: dict[str, list[Trial]] = {name: [] for name in bad}
    unfit = {}
    cures = _cures(bad, lag)
    for number, cure in enumerate(cures):
        doing(f"trying cure {number + 1} of {len(cures)}: {named(cure)}")
        try:
            measured = runner.trials(cure, untreated)
        except Exception as error:  # noqa: BLE001  # the user's own code runs with what it was not written for
            unfit[named(cure)] = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            continue
        for name in bad:
            found[name].append(measured[name])
    return Trials({name: tuple(sorted(trials, key=_rank)) for name, trials in found.items()}, unfit, untreated)


def _cures(bad: dict[str, Curve], lag: int | None) -> list[Cure]:
    verdicts = {curve.verdict for curve in bad.values()}
    steps = lag or max((len(curve.gain) for curve in bad.values()), default=0)
    cures = list(VANISHING) if "vanishing" in verdicts else []
    if cures and steps > 2:
        cures.insert(2, Chrono(steps))
    return cures + [cure for cure in EXPLODING if "exploding" in verdicts and cure not in cures]


def _rank(trial: Trial) -> tuple[bool, float, float, bool, float]:
    """Those that help first: by the loss after training, the half-life, whether numbers are all that changes, evenness."""
    loss = trial.training.after if trial.training else 0.0
    uneven = abs(math.log(trial.gain)) if trial.gain > 0 else math.inf
    longest = 0.0 if trial.exploded else -trial.after
    return not trial.helps, math.inf if math.isnan(loss) else loss, longest, trial.moment != Draw.moment, uneven


@dataclass(frozen=True)
class _TrialRunner:
    """Where copies of one model are treated and measured."""

    model: nn.Module
    calls: list[Call]
    loss: Loss
    before: dict[str, Curve]
    train: int
    rate: float
    cells: Cells
    segment: int | None

    def trials(self, cure: Cure, untreated: Training | None) -> dict[str, Trial]:
        """Treat a copy, and measure it; a trial for each layer."""
        draws = isinstance(cure, Draw)
        candidate = treated(self.model, cure, self._copy_to_draw_on() if draws and not self.train else None)
        longest = max((len(curve.gain) for curve in self.before.values()), default=0)
        if self.train < MANY_TRAINING_STEPS and longest < LONG_SEQUENCE:
            for layer in candidate.modules():
                if isinstance(layer, Recurrent):
                    layer.engine = "reference"
        rule = cure if isinstance(cure, Rule) else None
        if not draws:
            self._need_same_output(candidate)
        after = self.before if rule else self._measured(candidate)
        norms = self._norms(rule) if rule else None
        training = self.trained(candidate, rule) if untreated else None
        return {
            name: Trial(
                named(cure),
                self.before[name].half_life,
                curve.half_life,
                float(curve.gain[-1]),
                moment=cure.moment,
                exploded=self.before[name].gain[-1].item() if self.before[name].verdict == "exploding" else None,
                helps=(norms[1] < norms[0] if norms else _better(self.before[name], curve))
                and (untreated is None or training is None or not training.after > LOWER * untreated.after),
                apply=line(cure),
                training=training,
                note=f"norm of the whole gradient {norms[0]:.3g} → {norms[1]:.3g}" if norms else "",
            )
            for name, curve in after.items()
        }

    @cached_property
    def _copy(self) -> nn.Module:
        return copy_model(self.model)

    @torch.no_grad()
    def _copy_to_draw_on(self) -> nn.Module | None:
        """One copy for all cures that draw its weights, with those of the model; None where these are not drawn yet."""
        pairs = list(zip(self._copy.parameters(), self.model.parameters(), strict=True))
        if any(map(is_lazy, self.model.parameters())):
            return None
        for ours, theirs in pairs:
            ours.copy_(theirs)
        return self._copy

    def trained(self, candidate: nn.Module, rule: Rule | None = None) -> Training:
        """Train a copy, and measure what has become of it."""
        before, after = train_briefly(candidate, self.calls, self._objective, self.train, self.rate, rule)
        curves = self._measured(candidate) if math.isfinite(after) else {}
        return Training(self.train, before, after, {name: curve.half_life for name, curve in curves.items()})

    def _need_same_output(self, candidate: nn.Module) -> None:
        """A model that takes the recurrent state apart may run with another cell, and give something else."""
        if isinstance(self.model, RECURRENT):
            return  # the state itself is what it gives
        shapes = self._shapes(candidate)
        if shapes != self._untreated_shapes:
            raise ValueError(
                f"With it the model returns {_listed(shapes)} instead of {_listed(self._untreated_shapes)}."
            )

    def _measured(self, candidate: nn.Module) -> dict[str, Curve]:
        """Measure again, under the names that the layers have in the untreated model."""
        measured = partial(retention_of, candidate, self.calls, self.loss, self.cells, self.segment)
        after = measured(held=False, in_double=self._below_single)
        if any(curve.verdict == "exploding" for curve in after.values()):  # rounding may have made other numbers of it
            after = measured()
        return dict(zip(self.before, after.values(), strict=True))

    @cached_property
    def _below_single(self) -> bool:
        """Whether single precision did not hold the gradients of the untreated model: then hardly those of a copy."""
        smallest = torch.finfo(torch.float32).tiny / torch.finfo(torch.float32).eps
        return any(bool((curve.gain.nan_to_num() < smallest).any()) for curve in self.before.values())

    @cached_property
    def _untreated_shapes(self) -> list[torch.Size]:
        return self._shapes(self.model)

    @torch.no_grad()
    def _shapes(self, model: nn.Module) -> list[torch.Size]:
        call = resolve_call(model, self.calls[0], self.loss)
        with preserve(model, *call.contents):
            return [leaf.shape for leaf in tree_leaves(call(model)) if isinstance(leaf, Tensor)]

    def _objective(self, model: nn.Module, call: Call) -> Tensor:
        call = resolve_call(model, call, self.loss).map(torch.clone)  # a model may write to its input
        return evaluate_loss(model, call, call(model), self.loss)

    def _norms(self, rule: Rule) -> tuple[float, float]:
        """Norm of the gradient of all weights, as it is and as a rule leaves it."""
        candidate = copy_model(self.model)
        weights = [weight for weight in candidate.parameters() if weight.requires_grad]

        call = resolve_call(candidate, self.calls[0], self.loss)

        def gradients(output: Any, runs: list[Run]) -> list[Tensor | None]:
            value = evaluate_loss(candidate, call, output, self.loss)
            return list(torch.autograd.grad(value, weights, allow_unused=True))

        with torch.enable_grad():
            found = watch(candidate, call, gradients, cells=self.cells)
        for weight, gradient in zip(weights, found, strict=True):
            weight.grad = gradient
        before = _norm(weights)
        rule.apply(weights)
        return before, _norm(weights)


def _listed(shapes: list[torch.Size]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes)


def _better(before: Curve, after: Curve) -> bool:
    if before.verdict == "exploding":
        return after.verdict == "healthy"
    return after.half_life > LONGER * before.half_life and after.verdict != "exploding"


def _norm(weights: list[nn.Parameter]) -> float:
    norms = [weight.grad.double().norm() for weight in weights if weight.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
