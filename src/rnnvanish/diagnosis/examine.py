"""Everything that is measured of a loop whose gradients are known: one watched run of the model for all of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from rnnvanish import probes
from rnnvanish.backward.each_loop import Loss, each_loop
from rnnvanish.backward.replay import Series
from rnnvanish.diagnosis.cause.cause import Cause, cause_of
from rnnvanish.diagnosis.fault import Seen
from rnnvanish.diagnosis.find_faults import look, resolved
from rnnvanish.measure import Measure, Measures
from rnnvanish.observe.watch import Cells, Run


@dataclass(frozen=True, eq=False)
class Examined:
    """What was seen of one loop."""

    cause: Cause
    looks: list[Seen | None]
    measures: Measures


def examine(
    model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = (), full: bool = False
) -> dict[str, Examined]:
    """Measure every loop of `model` on one batch.

    Arguments and errors are those of `probes.retention`; `full` takes those measures too that take long.
    """
    found = each_loop(model, inputs, loss, partial(_of_loop, full), _resolved, cells)
    alone = {
        measure.name: _possible(measure.of_model, model, inputs, loss, cells) or {}
        for measure in probes.ALL
        if measure.of_model is not None
    }
    return {name: replace(each, measures=_with(each.measures, name, alone)) for name, each in found.items()}


def _of_loop(full: bool, run: Run, total: Series) -> Examined:
    def taken(measure: Measure[Any]) -> Any:
        if measure.of_loop is None or (measure.only_full and not full):
            return None
        return _possible(measure.of_loop, run, total)

    measures = Measures({measure.name: taken(measure) for measure in probes.ALL})
    return Examined(cause_of(run, total), look(run, total), measures)


def _with(measures: Measures, loop: str, alone: dict[str, Mapping[str, Any]]) -> Measures:
    """The measures of a loop, with those that had a run of their own."""
    return Measures(measures | {measure: by_loop.get(loop) for measure, by_loop in alone.items()})


def _possible(measure: Callable[..., Any], *args: Any) -> Any:
    """What was measured; None where that is not possible, which is no reason to withhold the rest."""
    try:
        return measure(*args)
    except (ValueError, RuntimeError):
        return None


def _resolved(found: Examined) -> bool:
    """Whether the precision of this run held all that was measured."""
    measured = [(measure, found.measures[measure.name]) for measure in probes.ALL]
    return (
        found.cause.resolved
        and resolved(found.looks)
        and all(result is None or measure.resolved(result) for measure, result in measured)
    )
