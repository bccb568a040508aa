"""Sequences that are read one after the other by a model which never resets its state: each begins with the last one's end.

The sentences of a batch are read one after the other, and nobody says where one ends. What comes out for the second
depends on the first.

    from torch.utils.data import DataLoader

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8), nn.Linear(8, 1)

        def forward(self, x):
            h, answers = None, []
            for sentence in x:
                output, h = self.rnn(sentence[:, None], h)
                answers.append(self.head(output[-1, 0]))
            return torch.stack(answers)

    torch.manual_seed(0)
    batches = DataLoader(torch.randn(4, 5, 3), batch_size=2, shuffle=True)
    print(*diagnose(Reader(), batches, quick=True).findings)

Each begins anew:

    class Right(Reader):
        def forward(self, x):
            return torch.stack([self.head(self.rnn(sentence[:, None])[0][-1, 0]) for sentence in x])

    print(diagnose(Right(), batches, quick=True).findings)
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.state_calls import StateCall, record_states
from rnnvanish.live import RECURRENT, recurrent_modules, step_modules
from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.model_copy import copy_model


def unreset_state(subject: Subject) -> list[Symptom]:
    """See whether a loop reads the rows of a batch one after the other, and what it gives of one depends on that before."""
    call = subject.calls[0]
    rows = _rows(call)
    modules = {**recurrent_modules(subject.model), **step_modules(subject.model, subject.cells)}
    if rows < 2 or max(len(curve.gain) for curve in subject.curves.values()) < 2 * rows:
        return []
    states = record_states(model := copy_model(subject.model), subject.cells, partial(_run, model, call))
    for name, calls in states.items():
        steps = [_steps(modules[name], each) for each in calls]
        if None in steps or len(calls) % rows or (total := sum(filter(None, steps))) % rows or total < 2 * rows:
            continue
        if (change := _change_of_others(subject)) > 0:
            return [_symptom(subject, name, rows, len(calls) // rows, change)]
    return []


def _symptom(subject: Subject, name: str, rows: int, calls: int, change: float) -> Symptom:
    return Symptom(
        "state never reset between sequences",
        name,
        f"{name} reads the {rows} rows of a batch one after the other, each from the state in which it ended the one before: what "
        "comes out for one sequence depends on the others.",
        f"Start every sequence from no state; or have {name} read all rows at once, as one batch.",
        "change of the other sequences' output where the first one's input changes, over its size",
        change,
        _change_of_others,
        partial(_reset, calls=calls),
        name,
        question=not (subject.shuffled and subject.batch_size == rows),
        exact=True,
    )


def _run(model: nn.Module, call: Call) -> Any:
    return call.map(torch.clone)(model)


def _rows(call: Call) -> int:
    """Rows of the batch: the first axis of all that a model is given."""
    sizes = {len(leaf) for leaf in tree_leaves((call.args, call.kwargs)) if isinstance(leaf, Tensor) and leaf.dim() > 1}
    return sizes.pop() if len(sizes) == 1 else 0


def _steps(module: nn.Module, call: StateCall) -> int | None:
    """Steps of a call that reads one sequence; None of one that reads several."""
    x = call.x
    if not isinstance(x, Tensor):
        return None
    if not isinstance(module, RECURRENT):
        return 1 if x.dim() == 1 or len(x) == 1 else None
    if x.dim() == 2:
        return len(x)
    time, batch = (1, 0) if module.batch_first else (0, 1)
    return x.shape[time] if x.shape[batch] == 1 else None


@torch.no_grad()
def _change_of_others(subject: Subject) -> float:
    """How far the other rows of the output move where the first row of the input becomes the second, over their size."""
    call = subject.calls[0]
    rows = _rows(call)

    def replaced(leaf: Tensor) -> Tensor:
        return torch.cat([leaf[1:2], leaf[1:]]) if leaf.dim() > 1 and len(leaf) == rows else leaf

    outputs = []
    for each in (call, call.map(replaced)):
        model = copy_model(subject.model).eval()
        leaves = tree_leaves(_run(model, each))
        found = [leaf[1:] for leaf in leaves if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == rows]
        outputs.append(torch.cat([leaf.double().flatten() for leaf in found]) if found else torch.zeros(1))
    return float((outputs[0] - outputs[1]).norm() / outputs[0].norm().clamp(min=1e-12))


def _reset(module: nn.Module, calls: int) -> None:
    """Have a module begin from zeros at every so many calls."""
    count = [0]

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        begins, count[0] = count[0] % calls == 0, count[0] + 1
        if not begins:
            return args, kwargs
        first = {key: value for key, value in kwargs.items() if key in ("x", "input")}
        return (*args[:1], *map_tensors(args[1:], torch.zeros_like)), map_tensors(kwargs, torch.zeros_like) | first

    module.register_forward_pre_hook(before, with_kwargs=True)
