"""What is reported of faults that have a name: where they were seen, and what mending a copy of the model gave."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from rnnvanish.backward.loss import Loss
from rnnvanish.diagnosis.examine import examine
from rnnvanish.diagnosis.fault import Finding, Subject
from rnnvanish.diagnosis.progress import doing
from rnnvanish.diagnosis.symptoms import Seen, symptoms_of_model
from rnnvanish.observe.call import sample_batches
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.observe.watch import Cells


def find(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> tuple[Finding, ...]:
    """Look for every fault of `model`, and try what mends it on a copy.

    Arguments and errors are those of `probes.retention`; `model` is left as it was.
    """
    calls = sample_batches(model, inputs, 1)
    with preserve(model, loss, inputs):
        examined = [examine(model, call, loss, cells) for call in calls]
        curves = {name: each.curve for name, each in examined[0].items()}
        subject = Subject.of(model, inputs, calls, loss, cells, curves=curves)
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
        where = "" if batches == 1 else f" So it is in {times} of {batches} batches."
        found.append(_tried(replace(subject, calls=[subject.calls[number]]), first, where))
    return (*(_tried(subject, each, "") for each in symptoms_of_model(subject)), *found)


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
    return Finding(
        symptom.fault,
        seen.layer,
        symptom.says + where,
        symptom.remedy,
        symptom.measure,
        symptom.before,
        after,
        symptom.unit,
        symptom.question,
    )


def _module(model: nn.Module, name: str) -> nn.Module:
    return next((module for each, module in model.named_modules() if each == name), model)
