"""diagnose: what a model's recurrent layers do to the gradient, why, and what helps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.loss import Loss
from rnnvanish.diagnosis.progress import doing, shown_in_notebook
from rnnvanish.live import Cells, live_cells, unwrapped
from rnnvanish.measure import Measures
from rnnvanish.mitigation import innermost
from rnnvanish.names import is_named
from rnnvanish.observe.call import sample_batches
from rnnvanish.observe.checks import FINDS_IT, NotFinite
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.probes.curve import Curve, average_curves
from rnnvanish.probes.first_nan import first_nan
from rnnvanish.records.provenance import provenance

if TYPE_CHECKING:
    from rnnvanish.diagnosis.cause.explanation import Cause
    from rnnvanish.diagnosis.outlook.outlook import Outlook
    from rnnvanish.diagnosis.result import Diagnosis

#: The share of a gradient that is not worth a word.
SMALL = 1e-3


def diagnose(
    model: nn.Module,
    inputs: Any,
    loss: Loss = None,
    cells: Cells = (),
    batches: int = 8,
    segment: int | None = None,
    lag: int | None = None,
    train: int = 0,
    full: bool = False,
    layers: Sequence[str] = (),
    quick: bool = False,
    optimizer: torch.optim.Optimizer | None = None,
) -> "Diagnosis":
    """Measure how far back the gradient reaches in each recurrent layer of `model`, why it stops, and what helps.

    Everything is measured on every batch, but for worst and typical case and Lyapunov exponents: these on the first.
    `model` is left as it was.

    Args:
        model: Any module with recurrent layers, or that calls `torch.nn.RNNCell`, `LSTMCell`, `GRUCell` or a step of its
            own in a loop; a LightningModule too.
        inputs: As for `probes.retention`: what `model` takes, or a DataLoader.
        loss: As for `probes.retention`: what the gradient starts from.
        cells: Modules that are one step of a loop which the model itself writes.
        batches: How many batches of a DataLoader are measured.
        segment: For models that do not fit: steps between which nothing but states is kept.
        lag: Can it learn across so many steps? Then the report has an outlook, and cures are for it.
        train: Steps of training that every cure is tried with besides; the loss must be given.
        full: Whether to measure worst and typical case and Lyapunov exponents too, which takes longer.
        layers: Names of the modules or loops that are judged; all if empty.
        quick: Whether a cure that draws random numbers is drawn once instead of five times.
        optimizer: The one that `model` is trained with, for faults of training; it is left as it is.

    Raises:
        ValueError, RuntimeError: Those of `probes.retention`; ValueError for training without a loss.

    Examples:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> diagnosis = diagnose(nn.LSTM(1, 32), torch.randn(60, 8, 1))
        >>> curve = diagnosis.curves["LSTM/layer0/forward"]
        >>> curve.verdict
        'vanishing'
        >>> curve.cause
        'The forget gates keep 0.48 of the cell at each step: ...'
    """
    if lag is not None and lag < 1:
        raise ValueError(f"A lag of at least 1 step is needed, got {lag}.")
    with (
        shown_in_notebook(),
        preserve(model, loss, inputs),
    ):  # hooks and functions that it holds are shared by its copies
        return _diagnose(model, inputs, loss, cells, batches, segment, lag, train, full, layers, quick, optimizer)


def _diagnose(
    model: nn.Module,
    inputs: Any,
    loss: Loss,
    cells: Cells,
    batches: int,
    segment: int | None,
    lag: int | None,
    train: int,
    full: bool,
    layers: Sequence[str],
    quick: bool,
    optimizer: torch.optim.Optimizer | None,
) -> "Diagnosis":
    # Half of the package, with all mitigations and faults, is imported by the first diagnosis: not by who only measures.
    from rnnvanish.diagnosis.advice.trials import trials_of
    from rnnvanish.diagnosis.average import mean_and_interval
    from rnnvanish.diagnosis.examine import examine
    from rnnvanish.diagnosis.fault import Subject
    from rnnvanish.diagnosis.find_faults import findings, findings_without_gradient, unread_curves
    from rnnvanish.diagnosis.result import Diagnosis

    doing("drawing batches")
    calls = sample_batches(model, inputs, batches, loss)
    examined = []
    for number, call in enumerate(calls):
        doing(f"measuring batch {number + 1} of {len(calls)}")
        try:
            examined.append(examine(model, call, loss, cells, full and not number, segment, lag))
        except ValueError as error:
            if isinstance(error, NotFinite) and (origin := first_nan(model, call, loss)) is not None:
                raise NotFinite(str(error).replace(FINDS_IT, str(origin))) from error
            if found := findings_without_gradient(Subject.of(model, inputs, [call], loss, cells)):
                curves = unread_curves(model, call, loss, cells)
                return Diagnosis(type(unwrapped(model)).__name__, curves, provenance(), found)
            raise
    curves = average_curves([{name: each.curve for name, each in one.items()} for one in examined])
    seen = {name: mean_and_interval([one[name].cause for one in examined if name in one])[0] for name in examined[0]}
    measured = {
        name: mean_and_interval([one[name].measures for one in examined if name in one]) for name in examined[0]
    }
    if unknown := [layer for layer in layers if not any(is_named(name, layer) for name in curves)]:
        raise ValueError(f"There is no layer {unknown[0]!r} to judge. There are: {', '.join(curves)}.")
    mainly = {name: cause.main for name, cause in seen.items() if cause is not None and cause.main}
    trials = trials_of(model, calls, loss, curves, lag, train, cells=cells, segment=segment, quick=quick, mainly=mainly)
    advised = {
        name: replace(
            _explained(curve, seen.get(name)),
            recurrent=_recurrence_alone(measured.get(name)),
            advice=trials.advice(name),
        )
        for name, curve in curves.items()
    }
    symptoms = [[seen for each in one.values() for seen in each.symptoms] for one in examined]
    subject = Subject.of(model, inputs, calls, loss, cells, optimizer=optimizer, curves=curves, lag=lag, full=full)
    return Diagnosis(
        type(unwrapped(model)).__name__,
        advised,
        provenance(),
        findings(subject, symptoms),
        {name: Measures(mean) for name, (mean, _, _) in measured.items()},
        None if lag is None else _outlook(model, curves, lag),
        trials.unfit,
        {name: {"low": low, "high": high} for name, (_, low, high) in measured.items() if low is not None},
        tuple(layers),
        trials.untried,
    )


def _recurrence_alone(measured: tuple[Mapping[str, Any], Any, Any] | None) -> Float[Tensor, " lags"] | None:
    """The share of the gradient at each lag that took the recurrence alone; None where that is all of it."""
    found = None if measured is None or measured[0] is None else measured[0].get("bypass")
    return None if found is None or not bool((found.share.abs() > SMALL).any()) else 1 - found.share


def _explained(curve: Curve, cause: "Cause | None") -> Curve:
    """With its cause; where that is not known, with a note that says why."""
    if cause is None or not curve.is_measured:
        return curve
    note = (f"Its cause is not known. {cause.note}",) if cause.note and cause.note not in curve.notes else ()
    return replace(curve, cause=cause.explain(curve.verdict), factors=cause.factors, notes=(*curve.notes, *note))


def _outlook(model: nn.Module, curves: dict[str, Curve], lag: int) -> "Outlook | None":
    """That of the layer which loses its gradient the slowest; None where no layer has a half-life."""
    from rnnvanish.diagnosis.outlook.outlook import outlook

    known = {name: curve for name, curve in curves.items() if not (math.isnan(curve.half_life) or curve.joined)}
    if not known:
        return None
    best = max(known, key=lambda name: known[name].half_life)
    kinds = {type(innermost(cell)).__name__ for cell in live_cells(model)}
    return outlook(known[best], lag, kinds.pop() if len(kinds) == 1 else "")
