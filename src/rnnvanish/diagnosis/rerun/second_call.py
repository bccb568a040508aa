"""What a recurrent module, or a step, is given when it is called for the second time: does its state come from the first?"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Subject
from rnnvanish.diagnosis.rerun.start_state import state_in
from rnnvanish.live import recurrent_modules, step_modules
from rnnvanish.names import module_name
from rnnvanish.observe.call import map_tensors
from rnnvanish.observe.model_copy import copy_model
from rnnvanish.probes.retention import retention_of


def called_again(subject: Subject) -> dict[str, list[int]]:
    """Modules whose calls are loops of their own, none of which was seen to go on with another; the steps of each."""
    loops: dict[str, list[str]] = {}
    for loop in subject.curves:
        name, _, layer = loop.partition("/")
        if layer in ("", "layer0/forward"):
            loops.setdefault(name.partition(" (call")[0], []).append(loop)
    cut = {name for name, own in loops.items() for loop in own if _arrives_detached(subject, loop)}
    return {
        name: [len(subject.curves[loop].gain) for loop in own]
        for name, own in loops.items()
        if len(own) > 1 and name not in cut
    }


def _arrives_detached(subject: Subject, loop: str) -> bool:
    return any("arrives detached" in note for note in subject.curves[loop].notes)


class SecondCall(Exception):
    """The second call was reached.

    Attributes:
        given: What it is given beside its input.
        leads_back: Whether a gradient goes from there to what the first call returned.
    """

    def __init__(self, given: list[Tensor], leads_back: bool) -> None:
        self.given, self.leads_back = given, leads_back

    def differs_from(self, other: "SecondCall") -> bool:
        """Whether other numbers are given."""
        return any(not one.equal(two) for one, two in zip(self.given, other.given, strict=True))


def second_call(subject: Subject, name: str, part: float = 0.0, seed: int = 0) -> SecondCall | None:
    """What a module is given at its second call; None where it has none.

    Args:
        subject: Of which model.
        name: The module.
        part: By which part of its size the state that the first call returned is moved.
        seed: What random numbers start from.
    """
    model, call = copy_model(subject.model), subject.calls[0].map(torch.clone)
    module = {**recurrent_modules(model), **step_modules(model, subject.cells)}[name]
    returned: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if returned:
            given = [leaf for leaf in tree_leaves([*args, *kwargs.values()][1:]) if _is_number(leaf)]
            raise SecondCall(given, _leads_back(given, returned))

    def after(module: nn.Module, args: object, output: Any) -> Any:
        moved = map_tensors(output, partial(_moved, part=part))
        returned[:] = [leaf for leaf in tree_leaves(state_in(module, moved)) if _is_number(leaf)]
        return moved

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        try:
            call(model)
        except SecondCall as reached:
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


def arriving_in_longest(subject: Subject, name: str) -> float:
    """Of the gradient at the end of a module's longest loop, what arrives at its first step."""
    curves = retention_of(subject.model, subject.calls[:1], subject.loss, subject.cells)
    own = [curve for loop, curve in curves.items() if module_name(loop) == name]
    return float(max(own, key=lambda curve: len(curve.gain)).gain[-1])
