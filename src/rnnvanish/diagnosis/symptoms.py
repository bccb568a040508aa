"""Looking for every fault that has a name: in each loop, in a whole watched run, and outside of it."""

import logging
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rnnvanish.backward.each_loop import each_loop, gradients_of_loops, resolve_call
from rnnvanish.backward.loss import preserve_loss
from rnnvanish.backward.replay import UnrepeatableStep
from rnnvanish.diagnosis import faults
from rnnvanish.diagnosis.fault import Subject, Symptom, WatchedModel
from rnnvanish.diagnosis.progress import doing
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.restore.borrow import preserve, snapshot_of
from rnnvanish.observe.watch import Run, watch

logger = logging.getLogger("rnnvanish.diagnosis")


@dataclass(frozen=True, eq=False)
class Seen:
    """A symptom, where it was seen, and how its value is measured again.

    Attributes:
        symptom: What was seen.
        layer: The loop or the module.
        again: Takes a mended copy, gives the value.
    """

    symptom: Symptom
    layer: str
    again: Callable[[Subject], float]


def symptoms_of(run: Run, found: Mapping[Hashable, Any]) -> list[Seen]:
    """What was seen of every fault of one loop, where all were looked for together with other measures.

    None can be seen in steps that cannot be repeated, for the numbers they draw, nor where the model changes states between
    them.
    """
    symptoms = [found[fault] for fault in faults.ALL]
    errors = [each for each in symptoms if isinstance(each, Exception)]
    if run.altered or any(isinstance(error, UnrepeatableStep | Unmeasurable) for error in errors):
        return []
    for error in errors:
        raise error
    return [_of_loop(symptom, run.name) for symptom in symptoms if symptom is not None]


def symptoms_of_run(watched: WatchedModel) -> list[Seen]:
    """What is seen of every fault of a whole watched run."""
    found: list[Seen] = []
    for fault in faults.OF_RUN:
        with suppress(UnrepeatableStep, Unmeasurable):
            found += [Seen(each, each.layer, partial(_watch_again, each.value, each.exact)) for each in fault(watched)]
    return found


def symptoms_of_model(subject: Subject) -> list[Seen]:
    """What is seen of every fault that is looked for outside of the watched run."""
    found: list[Seen] = []
    snapshot = snapshot_of(subject.model, subject.loss, *(call.contents for call in subject.calls))
    for fault in faults.OF_MODEL:
        doing(f"looking for faults: {fault.__name__.replace('_', ' ')}")
        try:
            with preserve(snapshot=snapshot):
                found += [Seen(symptom, symptom.layer, symptom.value) for symptom in fault(subject)]
        except Exception:  # the user's own code runs with what it was not written for
            logger.debug("%s could not be looked for.", fault.__name__, exc_info=True)
    return found


def symptoms_resolved(seen: list[Seen]) -> bool:
    """Whether no measure was rounded to zero."""
    return all(each.symptom.before != 0 or each.symptom.exact for each in seen)


def _of_loop(symptom: Symptom, name: str) -> Seen:
    first = re.sub(r" \(call \d+\)", "", name)  # the loop that a second call goes on with, once it does

    def again(subject: Subject) -> float:
        return each_loop(subject.model, subject.calls[0], subject.loss, symptom.value, bool, subject.cells)[first]

    return Seen(symptom, name, again)


def _watch_again(value: Callable[[WatchedModel], float], exact: bool, subject: Subject) -> float:
    model, loss = subject.model, subject.loss
    call = resolve_call(model, subject.calls[0], loss)

    def measure(output: Any, runs: list[Run]) -> float:
        return value(
            WatchedModel(model, call, output, *gradients_of_loops(model, call, output, runs, loss), subject.lag)
        )

    with torch.enable_grad(), preserve_loss(loss):
        return watch(model, call, measure, lambda found: exact or found != 0, subject.cells)
