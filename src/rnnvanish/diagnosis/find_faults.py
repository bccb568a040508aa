"""Looking for faults that have a name, and trying what mends each on a copy of the model."""

import math
import re
from collections.abc import Hashable, Mapping
from typing import Any

from torch import nn

from rnnvanish.backward.each_loop import Loss, each_loop, measure_loop
from rnnvanish.backward.replay import Series, UnrepeatableStep
from rnnvanish.diagnosis import faults
from rnnvanish.diagnosis.fault import Finding, Seen
from rnnvanish.observe.call import Call, sample_batches
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.observe.watch import Cells, Run


def find(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> tuple[Finding, ...]:
    """Look for every fault in every loop of `model`, and try what mends it on a copy.

    Arguments and errors are those of `probes.retention`; `model` is left as it was.
    """
    calls = sample_batches(model, inputs, 1)
    return findings(model, calls, loss, cells, [each_loop(model, call, loss, look, resolved, cells) for call in calls])


def findings(
    model: nn.Module, calls: list[Call], loss: Loss, cells: Cells, looks: list[dict[str, list[Seen | None]]]
) -> tuple[Finding, ...]:
    """Try what mends each fault that was seen, on the first batch in which it was; `looks` are those at each batch."""
    seen: dict[tuple[str, str], list[tuple[int, str, Seen]]] = {}  # a module is told of once, for its first loop
    for number, by_loop in enumerate(looks):
        for name, row in by_loop.items():
            for each in filter(None, row):
                seen.setdefault((each.fault, each.module), []).append((number, name, each))
    return tuple(
        _tried(model, calls[found[0][0]], loss, cells, *found[0][1:], len({n for n, *_ in found}), len(calls))
        for found in seen.values()
    )


def look(run: Run, total: Series) -> list[Seen | None]:
    """Look for every fault in one loop."""
    return looks_of(run, measure_loop(run, total, {fault: fault for fault in faults.ALL}))


def looks_of(run: Run, found: Mapping[Hashable, Any]) -> list[Seen | None]:
    """What every fault's look gave, where all were taken together with other measures.

    None can be seen in steps that cannot be repeated, for the numbers they draw, nor where the model changes states between
    them.
    """
    looks = [found[fault] for fault in faults.ALL]
    errors = [each for each in looks if isinstance(each, Exception)]
    if run.altered or any(isinstance(error, UnrepeatableStep | Unmeasurable) for error in errors):
        return []
    for error in errors:
        raise error
    return looks


def _tried(
    model: nn.Module, call: Call, loss: Loss, cells: Cells, name: str, seen: Seen, times: int, batches: int
) -> Finding:
    patient = copy_model(model)
    after = math.nan
    try:
        seen.mend(_module(patient, seen.module))
        after = each_loop(patient, call, loss, seen.value, bool, cells)[_first_call(name)]
    except (ValueError, RuntimeError, KeyError):  # it cannot be mended from outside: the finding stands
        pass
    says = seen.says if batches == 1 else f"{seen.says} So it is in {times} of {batches} batches."
    return Finding(seen.fault, name, says, seen.remedy, seen.measure, seen.before, after)


def resolved(looks: list[Seen | None]) -> bool:
    """Whether no measure was rounded to zero."""
    return all(look is None or look.before > 0 or look.fault == "detached state" for look in looks)


def _first_call(name: str) -> str:
    """The name of the loop that a second call goes on with, once it does."""
    return re.sub(r" \(call \d+\)", "", name)


def _module(model: nn.Module, name: str) -> nn.Module:
    return next((module for each, module in model.named_modules() if each == name), model)
