"""A state that is handed on changed and without its history: the next call depends on it, and no gradient goes back."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat import tree_leaves
from rnnvanish.diagnosis.fault import ARRIVING, Subject, Symptom
from rnnvanish.diagnosis.faults.detached import LONG
from rnnvanish.diagnosis.rerun.history import keep_history
from rnnvanish.diagnosis.rerun.start_state import state_in
from rnnvanish.live import recurrent_modules, step_modules
from rnnvanish.observe.call import map_tensors
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.probes.retention import retention_of

#: How far the state that a first call returns is moved, of its size.
MOVED = 0.1


def numbers_alone(subject: Subject) -> list[Symptom]:
    """See whether what a call is given beside its input moves with the state of the call before, but has no gradient to it.

    A state that is handed on unchanged is seen by its numbers already (`detached`).
    """
    found = []
    for name, steps in _called_again(subject).items():
        if subject.lag is not None and steps > subject.lag:
            continue
        as_it_is, moved = (_second_call(subject, name, part) for part in (0.0, MOVED))
        if as_it_is is None or moved is None or as_it_is.leads_back:
            continue
        if any(not one.equal(other) for one, other in zip(as_it_is.given, moved.given, strict=True)):
            found.append(_symptom(name, question=subject.lag is None and steps >= LONG))
    return found


def _symptom(name: str, question: bool) -> Symptom:
    return Symptom(
        "state handed on by its numbers alone",
        "",
        f"What {name} is given at its second call moves with the state that it returned at the first, but no gradient goes back "
        "from there: it was changed on the way, and lost its history.",
        "Change the state without detach(), .data, numbers or no_grad(): h = h * mask.",
        ARRIVING,
        0.0,
        partial(_arriving, name=name),
        keep_history,
        name,
        question=question,
        exact=True,
    )


def _called_again(subject: Subject) -> dict[str, int]:
    """Modules whose calls are loops of their own, none of which was seen to go on with another; steps of the shortest."""
    loops: dict[str, list[str]] = {}
    for loop in subject.curves:
        name, _, layer = loop.partition("/")
        if layer in ("", "layer0/forward"):
            loops.setdefault(name.partition(" (call")[0], []).append(loop)
    cut = {name for name, own in loops.items() for loop in own if _arrives_detached(subject, loop)}
    return {
        name: min(len(subject.curves[loop].gain) for loop in own)
        for name, own in loops.items()
        if len(own) > 1 and name not in cut
    }


def _arrives_detached(subject: Subject, loop: str) -> bool:
    return any("arrives detached" in note for note in subject.curves[loop].notes)


class _SecondCall(Exception):
    """The second call was reached."""

    def __init__(self, given: list[Tensor], leads_back: bool) -> None:
        self.given, self.leads_back = given, leads_back


def _second_call(subject: Subject, name: str, part: float) -> _SecondCall | None:
    """What a module is given at its second call, where the state that the first returned is moved by a part of its size."""
    model, call = copy_model(subject.model), subject.calls[0].map(torch.clone)
    module = {**recurrent_modules(model), **step_modules(model, subject.cells)}[name]
    returned: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if returned:
            given = [leaf for leaf in tree_leaves([*args, *kwargs.values()][1:]) if _is_number(leaf)]
            raise _SecondCall(given, _leads_back(given, returned))

    def after(module: nn.Module, args: object, output: Any) -> Any:
        moved = map_tensors(output, partial(_moved, part=part))
        returned[:] = [leaf for leaf in tree_leaves(state_in(module, moved)) if _is_number(leaf)]
        return moved

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        try:
            call(model)
        except _SecondCall as reached:
            return reached
    return None


def _moved(value: Tensor, part: float) -> Tensor:
    return value + part * value.detach().abs().mean() if _is_number(value) else value


def _leads_back(given: list[Tensor], returned: list[Tensor]) -> bool:
    inside = [each for each in given if each.requires_grad]
    wanted = [each for each in returned if each.requires_grad]
    if not inside or not wanted:
        return not wanted
    found = torch.autograd.grad([each.sum() for each in inside], wanted, allow_unused=True)
    return any(gradient is not None for gradient in found)


def _is_number(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()


def _arriving(subject: Subject, name: str) -> float:
    curves = retention_of(subject.model, subject.calls[:1], subject.loss, subject.cells)
    own = [curve for loop, curve in curves.items() if loop.partition("/")[0].partition(" (call")[0] == name]
    return float(max(own, key=lambda curve: len(curve.gain)).gain[-1])
