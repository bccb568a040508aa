"""Looking for faults that have a name, and trying what mends each on a copy of the model."""

import math
import re
from collections.abc import Hashable, Mapping
from typing import Any

from torch import nn

from rnnvanish.backward.each_loop import each_loop
from rnnvanish.backward.loss import Loss
from rnnvanish.backward.measure_loop import measure_loop
from rnnvanish.backward.replay import UnrepeatableStep
from rnnvanish.diagnosis import faults
from rnnvanish.diagnosis.fault import Finding, Symptom
from rnnvanish.diagnosis.progress import doing
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Series
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.observe.watch import Cells, Run


def find(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> tuple[Finding, ...]:
    """Look for every fault in every loop of `model`, and try what mends it on a copy.

    Arguments and errors are those of `probes.retention`; `model` is left as it was.
    """
    calls = sample_batches(model, inputs, 1)
    return findings(
        model,
        calls,
        loss,
        cells,
        [each_loop(model, call, loss, symptoms_in, symptoms_resolved, cells) for call in calls],
    )


def findings(
    model: nn.Module, calls: list[Call], loss: Loss, cells: Cells, symptoms: list[dict[str, list[Symptom | None]]]
) -> tuple[Finding, ...]:
    """Try what mends each fault that was seen, on the first batch in which it was; `symptoms` are those at each batch."""
    seen: dict[tuple[str, str], list[tuple[int, str, Symptom]]] = {}  # a module is told of once, for its first loop
    for number, by_loop in enumerate(symptoms):
        for name, row in by_loop.items():
            for each in filter(None, row):
                seen.setdefault((each.fault, each.module), []).append((number, name, each))
    return tuple(
        _tried(model, calls[found[0][0]], loss, cells, *found[0][1:], len({n for n, *_ in found}), len(calls))
        for found in seen.values()
    )


def symptoms_in(run: Run, total: Series) -> list[Symptom | None]:
    """Look for every fault in one loop."""
    return symptoms_of(run, measure_loop(run, total, {fault: fault for fault in faults.ALL}))


def symptoms_of(run: Run, found: Mapping[Hashable, Any]) -> list[Symptom | None]:
    """What was seen of every fault, where all were looked for together with other measures.

    None can be seen in steps that cannot be repeated, for the numbers they draw, nor where the model changes states between
    them.
    """
    symptoms = [found[fault] for fault in faults.ALL]
    errors = [each for each in symptoms if isinstance(each, Exception)]
    if run.altered or any(isinstance(error, UnrepeatableStep | Unmeasurable) for error in errors):
        return []
    for error in errors:
        raise error
    return symptoms


def _tried(
    model: nn.Module, call: Call, loss: Loss, cells: Cells, name: str, symptom: Symptom, times: int, batches: int
) -> Finding:
    doing(f"trying what mends the {symptom.fault}")
    candidate = copy_model(model)
    after = math.nan
    try:
        symptom.mend(_module(candidate, symptom.module))
        after = each_loop(candidate, call, loss, symptom.value, bool, cells)[_first_call(name)]
    except (ValueError, RuntimeError, KeyError):  # it cannot be mended from outside: the finding stands
        pass
    says = symptom.says if batches == 1 else f"{symptom.says} So it is in {times} of {batches} batches."
    return Finding(symptom.fault, name, says, symptom.remedy, symptom.measure, symptom.before, after)


def symptoms_resolved(symptoms: list[Symptom | None]) -> bool:
    """Whether no measure was rounded to zero."""
    return all(each is None or each.before > 0 or each.fault == "detached state" for each in symptoms)


def _first_call(name: str) -> str:
    """The name of the loop that a second call goes on with, once it does."""
    return re.sub(r" \(call \d+\)", "", name)


def _module(model: nn.Module, name: str) -> nn.Module:
    return next((module for each, module in model.named_modules() if each == name), model)
