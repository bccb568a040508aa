"""The runner of trials: copies of one model are treated, each several times where a cure draws random numbers, and measured."""

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.advice.short_training import train_briefly
from rnnvanish.diagnosis.advice.trial import Cure, Training, Trial, line, named, treated
from rnnvanish.live import RECURRENT, Cells
from rnnvanish.mitigation import Draw, Rule
from rnnvanish.observe.call import Call
from rnnvanish.observe.model_copy import copy_model
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Run, watch
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import retention_of
from rnnvanish.recurrent import Recurrent

#: Seeds of the draws of a cure that draws random numbers; the promise is the middle one.
SEEDS = (0, 1, 2, 3, 4)
#: A gradient that is nearer by this factor to one that arrives as it left is an improvement.
NEARER = 2.0
#: Steps of training, or of a sequence, from which on it pays to compile the loop of a changed layer: seconds, once on a machine.
MANY_TRAINING_STEPS, LONG_SEQUENCE = 50, 1000


#: The curves of each draw of a cure, by its seed; None where it draws nothing.
Draws = dict[int | None, dict[str, Curve]]


@dataclass(frozen=True)
class TrialRunner:
    """Where copies of one model are treated and measured.

    Attributes:
        model: The model; it stays as it is.
        calls: The batches that it was measured on.
        loss: What its gradient starts from.
        before: The curve of each of its loops.
        lag: The lag that was asked for.
        train: Steps of training that each cure is tried with besides.
        rate: Their learning rate.
        cells: Modules that are one step of a loop which the model itself writes.
        segment: As for `probes.retention`.
        quick: Whether a cure that draws is drawn once.
    """

    model: nn.Module
    calls: list[Call]
    loss: Loss
    before: dict[str, Curve]
    lag: int | None
    train: int
    rate: float
    cells: Cells
    segment: int | None
    quick: bool

    def trials(self, cure: Cure, loops: Iterable[str], untreated: Training | None) -> dict[str, Trial]:
        """Treat copies, and measure them; a trial for each of some loops, with training where an untreated one is given."""
        if isinstance(cure, Rule):
            return self._trials_of_rule(cure, loops, untreated)
        draws = {seed: self._draw(cure, seed) for seed in self._seeds(cure)}
        promised = {name: self._middle(name, draws) for name in loops}
        trained = (
            {} if untreated is None else {seed: self._trained(cure, seed, untreated) for seed in set(promised.values())}
        )
        return {name: self._trial(cure, name, draws, seed, trained.get(seed)) for name, seed in promised.items()}

    def _trial(self, cure: Cure, name: str, draws: Draws, seed: int | None, training: Training | None) -> Trial:
        """What one draw of a cure gave for a loop, between the others."""
        before, curve, lag = self.before[name], draws[seed][name], self._lag(name)
        every = [each[name] for each in draws.values()]
        helps = _better(before, curve, lag) and not self._explodes_elsewhere(draws[seed]) and _learns(training)
        return Trial(
            named(cure),
            before.half_life,
            curve.half_life,
            left(curve, lag),
            left(before, lag),
            lag,
            draws=len(every),
            gain_range=_ends([left(each, lag) for each in every]),
            after_range=_ends([each.half_life for each in every]),
            moment=cure.moment,
            verdict=curve.verdict,
            exploded=left(before, lag) if before.verdict == "exploding" else None,
            helps=helps,
            seed=seed,
            apply=line(cure, seed),
            training=training,
        )

    def _trained(self, cure: Cure, seed: int | None, untreated: Training) -> Training:
        """What training does with one draw."""
        with self._candidate(cure, seed, shared=False) as candidate:
            return replace(self.trained(candidate), untreated=untreated.after)

    def trained(self, candidate: nn.Module, rule: Rule | None = None) -> Training:
        """Train a copy, and measure what has become of it."""
        before, after = train_briefly(candidate, self.calls, self._objective, self.train, self.rate, rule)
        curves = self._measured(candidate) if math.isfinite(after) else {}
        return Training(self.train, before, after, {name: curve.half_life for name, curve in curves.items()})

    def _trials_of_rule(self, rule: Rule, loops: Iterable[str], untreated: Training | None) -> dict[str, Trial]:
        """What a rule does to the gradient of the weights; that by the states it leaves as it is."""
        full, ruled = self._norms(rule)
        training = None
        if untreated is not None:
            training = replace(self.trained(copy_model(self.model), rule), untreated=untreated.after)
        found = {}
        for name in loops:
            curve, lag = self.before[name], self._lag(name)
            found[name] = Trial(
                named(rule),
                curve.half_life,
                curve.half_life,
                left(curve, lag),
                left(curve, lag),
                lag,
                moment=rule.moment,
                verdict=curve.verdict,
                exploded=left(curve, lag) if curve.verdict == "exploding" else None,
                helps=ruled < full and _learns(training),
                apply=line(rule),
                training=training,
                note=f"norm of the whole gradient {full:.3g} → {ruled:.3g}",
            )
        return found

    def _seeds(self, cure: Cure) -> tuple[int | None, ...]:
        """What a cure is drawn from, None alone where it draws nothing: two seeds then give the same weights."""
        first, second = SEEDS[:2]
        with (
            self._candidate(cure, first) as one,
            treated(self.model, cure, second, self._copy_to_draw_on(cure, "_other_copy")) as other,
        ):
            if _same_numbers(one, other):
                return (None,)
        return SEEDS[:1] if self.quick else SEEDS

    def _draw(self, cure: Cure, seed: int | None) -> dict[str, Curve]:
        """The curves of one draw."""
        with self._candidate(cure, seed) as candidate:
            if not isinstance(cure, Draw) and seed in (None, SEEDS[0]):
                self._need_same_output(candidate)
            return self._measured(candidate)

    @contextmanager
    def _candidate(self, cure: Cure, seed: int | None, shared: bool = True) -> Iterator[nn.Module]:
        """A treated copy; where the cure draws nothing, the caller's random numbers go on as they were."""
        copy = self._copy_to_draw_on(cure, "_copy") if shared else None
        with warnings.catch_warnings(action="ignore"):  # of a copy that nobody knows of
            with treated(self.model, cure, SEEDS[0] if seed is None else seed, copy) as candidate:
                longest = max((len(curve.gain) for curve in self.before.values()), default=0)
                if self.train < MANY_TRAINING_STEPS and longest < LONG_SEQUENCE:
                    for layer in candidate.modules():
                        if isinstance(layer, Recurrent):
                            layer.engine = "reference"
                if seed is not None:
                    yield candidate
                    return
            yield candidate

    def _middle(self, name: str, draws: Draws) -> int | None:
        """The seed of the draw whose gain is the middle one."""
        lag = self._lag(name)
        return sorted(draws, key=lambda seed: _or_zero(left(draws[seed][name], lag)))[len(draws) // 2]

    def _lag(self, name: str) -> int:
        """The lag that matters: the one that was asked for, where the curve is as long."""
        longest = len(self.before[name].gain) - 1
        return longest if self.lag is None else min(self.lag, longest)

    def _explodes_elsewhere(self, after: dict[str, Curve]) -> bool:
        """Whether the gradient explodes in a loop where it did not."""
        return any(
            curve.verdict == "exploding" and self.before[name].verdict != "exploding" for name, curve in after.items()
        )

    @cached_property
    def _copy(self) -> nn.Module:
        return copy_model(self.model)

    @cached_property
    def _other_copy(self) -> nn.Module:
        return copy_model(self.model)

    @torch.no_grad()
    def _copy_to_draw_on(self, cure: Cure, which: str) -> nn.Module | None:
        """One copy for all cures that draw its weights, with those of the model; None where these are not drawn yet."""
        if not isinstance(cure, Draw) or any(map(is_lazy, self.model.parameters())):
            return None
        copy: nn.Module = getattr(self, which)
        for ours, theirs in zip(copy.parameters(), self.model.parameters(), strict=True):
            ours.copy_(theirs)
        return copy

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

    def _shapes(self, model: nn.Module) -> list[torch.Size]:
        call = resolve_call(model, self.calls[0], self.loss)
        # A forward may differentiate; a graph of what is measured in segments would take the memory.
        with preserve(model, *call.contents), torch.set_grad_enabled(self.segment is None):
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


def left(curve: Curve, lag: int) -> float:
    """What is left of the gradient at a lag: of what its verdict is of."""
    curve = curve if curve.alone is None else curve.alone
    return float(curve.gain[min(lag, len(curve.gain) - 1)])


def distance(gain: float) -> float:
    """How far a gradient is from one that arrives as it left, lost or grown: |ln gain|; infinite where nothing arrives."""
    return abs(math.log(gain)) if 0 < gain < math.inf else math.inf


def _better(before: Curve, after: Curve, lag: int) -> bool:
    """Whether clearly more arrives, or less of what was too much: neither lost nor blown up."""
    if before.verdict == "exploding":
        return after.verdict == "healthy"
    return after.verdict != "exploding" and distance(left(after, lag)) < distance(left(before, lag)) - math.log(NEARER)


def _learns(training: Training | None) -> bool:
    """Whether training, where it was tried, kept to numbers."""
    return training is None or not math.isnan(training.after)


def _ends(numbers: list[float]) -> tuple[float, float] | None:
    """The least and the largest of several numbers."""
    known = [number for number in numbers if not math.isnan(number)] or [math.nan]
    return None if len(numbers) == 1 else (min(known), max(known))


def _or_zero(gain: float) -> float:
    return 0.0 if math.isnan(gain) else gain


def _same_numbers(one: nn.Module, other: nn.Module) -> bool:
    """Whether all weights of two modules are equal."""
    pairs = zip((*one.parameters(), *one.buffers()), (*other.parameters(), *other.buffers()), strict=True)
    return all(ours.shape == theirs.shape and torch.equal(ours, theirs) for ours, theirs in pairs if not is_lazy(ours))


def _norm(weights: list[nn.Parameter]) -> float:
    norms = [weight.grad.double().norm() for weight in weights if weight.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
