"""What is reported of faults that have a name: where they were seen, and what mending a copy of the model gave."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss
from rnnvanish.diagnosis.examine import examine
from rnnvanish.diagnosis.fault import Finding, Subject
from rnnvanish.diagnosis.faults.no_gradient import no_gradient
from rnnvanish.diagnosis.progress import doing
from rnnvanish.diagnosis.symptoms import Seen, logger, symptoms_of_model
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.model_copy import copy_model
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Cells, Run, watch
from rnnvanish.probes.curve import Curve

#: What is said instead of a remedy that was tried and did not help.
USELESS = "What mends this elsewhere does not help here, so nothing is advised: see what was tried."


def find(
    model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = (), lag: int | None = None, **known: Any
) -> tuple[Finding, ...]:
    """Look for every fault of `model`, and try what mends it on a copy.

    Arguments and errors are those of `probes.retention`; `model` is left as it was. `lag` is the distance that was asked for,
    `known` what else is known of a `Subject`.
    """
    calls = sample_batches(model, inputs, 1)
    with preserve(model, loss, inputs):
        try:
            examined = [examine(model, call, loss, cells, lag=lag) for call in calls]
        except ValueError:
            if found := findings_without_gradient(Subject.of(model, inputs, calls, loss, cells)):
                return found
            raise
        curves = {name: each.curve for name, each in examined[0].items()}
        subject = Subject.of(model, inputs, calls, loss, cells, curves=curves, lag=lag, **known)
        return findings(subject, [[seen for each in one.values() for seen in each.symptoms] for one in examined])


def findings(subject: Subject, symptoms: Sequence[Sequence[Seen]]) -> tuple[Finding, ...]:
    """Look for the faults of a whole model, and try what mends each fault that was seen, on the first batch in which it was.

    Args:
        subject: What the model is.
        symptoms: Those of its loops and its runs at each batch.
    """
    batches = len(symptoms)
    by_fault: dict[tuple[str, str], list[tuple[int, Seen]]] = {}  # a module is told of once, for its first loop
    for number, row in enumerate(symptoms):
        for each in row:
            by_fault.setdefault((each.symptom.fault, each.symptom.module), []).append((number, each))
    found = []
    for seen in by_fault.values():
        number, first = seen[0]
        times = len({number for number, _ in seen})
        if first.symptom.everywhere and times < batches:
            continue
        where = "" if batches == 1 else f" So it is in {times} of {batches} batches."
        found.append(_tried(replace(subject, calls=[subject.calls[number]]), first, where))
    return (*(_tried(subject, each, "") for each in symptoms_of_model(subject)), *found)


def findings_without_gradient(subject: Subject) -> tuple[Finding, ...]:
    """Of a model that cannot be measured, since no gradient comes back to any loop: what stops it; none if that is not why."""
    try:
        return tuple(_tried(subject, Seen(each, each.layer, each.value), "") for each in no_gradient(subject))
    except Exception:  # noqa: BLE001  # the user's own code runs with what it was not written for
        logger.debug("no_gradient could not be looked for.", exc_info=True)
        return ()


def unread_curves(model: nn.Module, call: Call, loss: Loss, cells: Cells) -> dict[str, Curve]:
    """The curves of loops that no gradient comes back to: as long as these, without a number."""

    def lengths(output: Any, runs: list[Run]) -> dict[str, Curve]:
        longest = {run.name: int(run.ends.max()) + 1 for run in runs}
        return {name: Curve(torch.arange(count), torch.full((count,), torch.nan)) for name, count in longest.items()}

    return watch(model, resolve_call(model, call, loss), lengths, cells=cells)


def _tried(subject: Subject, seen: Seen, where: str) -> Finding:
    symptom, after = seen.symptom, math.nan
    if symptom.mend is not None:
        doing(f"trying what mends the {symptom.fault}")
        try:
            candidate = copy_model(subject.model)
            symptom.mend(_module(candidate, symptom.module))
            after = seen.again(replace(subject, model=candidate))
        except (ValueError, RuntimeError, KeyError):  # it cannot be mended from outside: the finding stands
            pass
    helps = math.isnan(after) or symptom.helps(symptom.before, after)
    return Finding(
        symptom.fault,
        seen.layer,
        symptom.says + where,
        symptom.remedy if helps else USELESS,
        symptom.measure,
        symptom.before,
        after,
        symptom.unit,
        symptom.question,
    )


def _module(model: nn.Module, name: str) -> nn.Module:
    return next((module for each, module in model.named_modules() if each == name), model)
