"""A model that goes on with the state of the batch before: of other sequences, where a loader shuffles.

The model keeps its state from batch to batch. But the batches are shuffled: it begins each sentence with what it
remembers of another one, which has nothing to do with it.

    from torch.utils.data import DataLoader

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head, self.h = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1), None

        def forward(self, x):
            output, h = self.rnn(x, self.h)
            self.h = h.detach()
            return self.head(output[:, -1])

    torch.manual_seed(0)
    batches = DataLoader(torch.randn(8, 10, 3), batch_size=4, shuffle=True)
    print(*diagnose(Reader(), batches, quick=True).findings)

Every batch begins with an empty head:

    class Right(Reader):
        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    print(diagnose(Right(), batches, quick=True).findings)
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.state_calls import goes_on, record_states
from rnnvanish.observe.agreement import numeric_tensors
from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.model_copy import copy_model

#: What a module has of its own that is no attribute.
TABLES = ("_parameters", "_buffers", "_modules")


def kept_state(subject: Subject) -> list[Symptom]:
    """See whether a layer starts a batch from the state in which it ended the one before."""
    if subject.is_bare:
        return []
    model = copy_model(subject.model)
    one, other = (record_states(model, subject.cells, partial(_run, model, call)) for call in _two(subject))
    kept = [name for name, calls in other.items() if calls and any(goes_on(before, calls[0]) for before in one[name])]
    change = _change(subject) if kept else 0.0
    if not change:  # what was found is a state that is given, and that comes up again on the way
        return []
    name, shuffled = kept[0], subject.shuffled
    order = (
        "The DataLoader shuffles, so that state is of other sequences."
        if shuffled
        else ("That is right only where each batch goes on where the one before ended, row by row.")
    )
    return [
        Symptom(
            "state kept between batches",
            "",
            f"{name} starts a batch from the state in which it ended the one before. {order}",
            "Start every batch from no state: reset what is kept at the beginning of forward, or whenever a sequence begins. To "
            "carry it on, give batches in order: shuffle=False, and row i of each goes on with row i of the one before.",
            "change of the output by the batch before, over its size",
            change,
            _change,
            _forget,
            name,
            question=not shuffled,
        )
    ]


def _run(model: nn.Module, call: Call) -> None:
    call.map(torch.clone)(model)


def _two(subject: Subject) -> tuple[Call, Call]:
    """Two batches of the same size; the same one twice where there are no others."""
    first = subject.calls[0]
    shapes = _shapes(first)
    return first, next((call for call in subject.calls[1:] if _shapes(call) == shapes), first)


def _shapes(call: Call) -> list[torch.Size]:
    return [leaf.shape for leaf in tree_leaves((call.args, call.kwargs)) if isinstance(leaf, Tensor)]


def _change(subject: Subject) -> float:
    """How far the output of a batch is from what it is without the one before, over its size."""
    first, second = _two(subject)
    outputs = []
    for calls in ((second,), (first, second)):
        model = copy_model(subject.model).eval()
        with torch.no_grad():
            outputs.append([numeric_tensors(call.map(torch.clone)(model)) for call in calls][-1])
    apart = [(one.double() - other.double()).square().sum() for one, other in zip(*outputs, strict=True)]
    size = torch.stack([one.double().square().sum() for one in outputs[0]]).sum()
    return float((torch.stack(apart).sum() / size).sqrt())


def _forget(model: nn.Module) -> None:
    """Have a model begin every run with what its modules hold now."""
    kept = {name: _held(module) for name, module in model.named_modules()}
    known = {name: set(vars(module)) for name, module in model.named_modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def begin(model: nn.Module, args: object) -> None:  # it may be that of a copy
        for name, module in model.named_modules():
            for new in _held(module).keys() - known[name]:  # such as one that was the class's own before
                del vars(module)[new]
            vars(module).update(map_tensors(kept[name], torch.clone))
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])

    model.register_forward_pre_hook(begin)


def _held(module: nn.Module) -> dict[str, Any]:
    """Attributes that are or may become a state."""
    values = {key: value for key, value in vars(module).items() if key not in TABLES}
    found = {
        key: value
        for key, value in values.items()
        if value is None or ((leaves := tree_leaves(value)) and all(isinstance(leaf, Tensor) for leaf in leaves))
    }
    copied: dict[str, Any] = map_tensors(found, lambda part: part.detach().clone())
    return copied
