"""Everything that is measured of a model on one batch: one watched run serves curves, causes, faults and all measures."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from rnnvanish import probes
from rnnvanish.backward.each_loop import LoopGradients, gradients_of_loops, resolve_call, watch_either_way
from rnnvanish.backward.loss import Loss, preserve_loss
from rnnvanish.backward.measure_loop import LoopMeasure, measure_loop
from rnnvanish.diagnosis.cause.cause import cause_of
from rnnvanish.diagnosis.cause.explanation import Cause
from rnnvanish.diagnosis.fault import WatchedModel
from rnnvanish.diagnosis.faults import ALL as FAULTS
from rnnvanish.diagnosis.symptoms import Seen, symptoms_of, symptoms_of_run, symptoms_resolved
from rnnvanish.measure import Measures
from rnnvanish.numerics.norms import align_ends
from rnnvanish.observe.watch import Cells, Run
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import curve_of, curves_resolved


@dataclass(frozen=True, eq=False)
class Examined:
    """What was seen of one loop; symptoms of the whole run stand with its first."""

    curve: Curve
    cause: Cause
    symptoms: list[Seen]
    measures: Measures

    @property
    def resolved(self) -> bool:
        """Whether the precision of the run held all that was measured."""
        measured = [(measure, self.measures[measure.name]) for measure in probes.ALL]
        return (
            self.cause.resolved
            and symptoms_resolved(self.symptoms)
            and all(result is None or measure.resolved(result) for measure, result in measured)
        )


@dataclass(frozen=True, eq=False)
class _Batch:
    """What was seen of every loop; None where the run's precision did not hold its gradients, so that nothing was measured."""

    loops: dict[str, Examined] | None
    in_double: bool

    @property
    def resolved(self) -> bool:
        return self.loops is not None and all(each.resolved for each in self.loops.values())


def examine(
    model: nn.Module,
    inputs: Any,
    loss: Loss = None,
    cells: Cells = (),
    full: bool = False,
    segment: int | None = None,
    lag: int | None = None,
) -> dict[str, Examined]:
    """Measure every loop of `model` on one batch.

    Arguments and errors are those of `probes.retention`; `full` takes those measures too that take long, and `lag` is the
    distance that was asked for.
    """
    call = resolve_call(model, inputs, loss)

    def of_all(give_up: bool, output: Any, runs: list[Run]) -> _Batch:
        loops, value = gradients_of_loops(model, call, output, runs, loss)
        in_double = all(run.in_double for run in runs)
        give_up = give_up and not in_double
        if give_up and not all(map(_held, loops)):
            return _Batch(None, in_double)
        curves = {each.run.name: curve_of(each) for each in loops}
        if give_up and not curves_resolved(curves):
            return _Batch(None, in_double)
        found = {each.run.name: _of_loop(curves[each.run.name], each, full, in_double) for each in loops}
        first = found[runs[0].name]
        more = symptoms_of_run(WatchedModel(model, call, output, loops, value, lag))
        found[runs[0].name] = replace(first, symptoms=first.symptoms + more)
        return _Batch(found, in_double)

    def rest(batch: _Batch, output: Any, runs: list[Run]) -> _Batch:
        assert batch.loops is not None
        found = dict(batch.loops)
        for each in gradients_of_loops(model, call, output, runs, loss)[0]:
            known = found[each.run.name]
            more = _without_errors(measure_loop(each.run, each.total, _measures(full, in_double=True)))
            found[each.run.name] = replace(known, measures=Measures(known.measures | more))
        return _Batch(found, in_double=True)

    with torch.enable_grad(), preserve_loss(loss):
        watched = partial(watch_either_way, model, call, cells=cells, segment=segment)
        then = lambda batch: None if batch.in_double or batch.loops is None else partial(rest, batch)
        batch: _Batch = watched(partial(of_all, True), lambda found: found.resolved, then=then)
        if batch.loops is None:  # it cannot run in double: then as it is
            batch = watched(partial(of_all, False), lambda found: True)
    assert batch.loops is not None
    return batch.loops


def _held(loop: LoopGradients) -> bool:
    """Whether the format of the run told a gradient from zero at every lag, its square included."""
    if not loop.states.arrives:
        return True
    norms = torch.linalg.vector_norm(torch.cat(loop.total, dim=-1), dim=-1)
    by_lag = align_ends(norms, loop.run.ends)[: int(loop.run.ends.max()) + 1]
    return bool((by_lag > 0).any(1).all())


def _of_loop(curve: Curve, loop: LoopGradients, full: bool, in_double: bool) -> Examined:
    measures: dict[Hashable, LoopMeasure[Any]] = {cause_of: cause_of, **{fault: fault for fault in FAULTS}}
    measures |= _measures(full, in_double=False)
    if in_double:
        measures |= _measures(full, in_double=True)
    found = measure_loop(loop.run, loop.total, measures)
    if isinstance(found[cause_of], Exception):
        raise found[cause_of]
    taken = _without_errors(found)
    return Examined(
        curve,
        found[cause_of],
        symptoms_of(loop.run, found),
        Measures({measure.name: taken.get(measure.name) for measure in probes.ALL}),
    )


def _measures(full: bool, in_double: bool) -> dict[Hashable, LoopMeasure[Any]]:
    """Those of a report, by name."""
    return {
        measure.name: measure.of_loop or cast(LoopMeasure[Any], measure.of_steps)
        for measure in probes.ALL
        if measure.in_double == in_double and (full or not measure.only_full)
    }


def _without_errors(found: Mapping[Hashable, Any]) -> dict[str, Any]:
    """What was measured; None where that is not possible, which is no reason to withhold the rest."""
    return {str(name): None if isinstance(each, Exception) else each for name, each in found.items()}
