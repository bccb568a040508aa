"""Everything that is measured of a loop whose gradients are known: one watched run of the model for all of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from rnnvanish.backward.each_loop import Loss, each_loop
from rnnvanish.backward.replay import Series
from rnnvanish.diagnosis.cause.cause import Cause, cause_of
from rnnvanish.diagnosis.fault import Seen
from rnnvanish.diagnosis.find_faults import look, resolved
from rnnvanish.diagnosis.report.measures import Measures
from rnnvanish.observe.watch import Cells, Run
from rnnvanish.probes.bypass import bypass_of
from rnnvanish.probes.cases import cases_of
from rnnvanish.probes.depth import passage_of
from rnnvanish.probes.jacobian import state_size
from rnnvanish.probes.lyapunov import spectrum_of
from rnnvanish.probes.resolution import resolution
from rnnvanish.probes.saturation import saturation_of
from rnnvanish.probes.sensitivity import sensitivity_of
from rnnvanish.probes.shares import shares_of
from rnnvanish.probes.weights import weights_of

#: How many Lyapunov exponents a full report has: the leading ones, of states that are larger.
EXPONENTS = 3


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
    exact = _possible(resolution, model, inputs, loss, cells) or {}  # in double precision, whatever the model has
    return {
        name: replace(each, measures=replace(each.measures, resolution=exact.get(name))) for name, each in found.items()
    }


def _of_loop(full: bool, run: Run, total: Series) -> Examined:
    dear = {}
    if full:
        dear["cases"] = _possible(cases_of, run)
        dear["spectrum"] = _possible(spectrum_of, run, min(EXPONENTS, state_size(run)))
    return Examined(
        cause_of(run, total),
        look(run, total),
        Measures(
            weights=_possible(weights_of, run),
            shares=_possible(shares_of, run, total),
            sensitivity=_possible(sensitivity_of, run, total),
            saturation=_possible(saturation_of, run),
            depth=_possible(passage_of, run, total),
            bypass=_possible(bypass_of, run, total),
            **dear,
        ),
    )


def _possible(measure: Callable[..., Any], *args: Any) -> Any:
    """What was measured; None where that is not possible, which is no reason to withhold the rest."""
    try:
        return measure(*args)
    except (ValueError, RuntimeError):
        return None


def _resolved(found: Examined) -> bool:
    """Whether the precision of this run held all that was measured."""
    measured = found.measures
    return (
        found.cause.resolved
        and resolved(found.looks)
        and (measured.depth is None or measured.depth.resolved)
        and (measured.bypass is None or measured.bypass.resolved)
    )
