"""Probabilities where a loss takes scores: a softmax before cross entropy squeezes every score between 0 and 1.

`cross_entropy` wants scores, and makes probabilities of them itself. If your model makes probabilities, too, it is done
twice. The surer the model is, the less it can still learn. A sigmoid before a loss that takes its own is the same
mistake.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 5)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1]).softmax(-1)

    torch.manual_seed(0)
    x, classes = torch.randn(4, 12, 3), torch.tensor([0, 3, 1, 4])

    def loss(scores):
        return nn.functional.cross_entropy(scores, classes)

    print(*diagnose(Reader(), x, loss, quick=True).findings)

The model gives its scores:

    class Right(Reader):
        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    print(diagnose(Right(), x, loss, quick=True).findings)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.operations import Operation, Replacement, record_step


@dataclass(frozen=True)
class Misplaced:
    """An operation that does not belong before a loss.

    Attributes:
        name: The operation.
        takes: What the loss takes instead.
        remedy: What to do.
        instead: What is called in its place.
    """

    name: str
    takes: str
    remedy: str
    instead: Replacement


def _leave_out(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs["input"]


SCORES = Misplaced(
    "softmax", "scores, and takes their softmax itself", "Leave the softmax out where you train.", _leave_out
)
#: By what a loss calls.
MISPLACED = {
    "cross_entropy": SCORES,
    "log_softmax": SCORES,
    "nll_loss": Misplaced(
        "softmax",
        "the logarithm of probabilities",
        "Take torch.log_softmax instead of the softmax.",
        lambda func, args, kwargs: func(*args, **kwargs).log(),
    ),
    "binary_cross_entropy_with_logits": Misplaced(
        "sigmoid", "scores, and takes their sigmoid itself", "Leave the sigmoid out where you train.", _leave_out
    ),
}
#: Operations that change no number.
VIEWS = {
    *("view", "reshape", "flatten", "unflatten", "transpose", "permute", "movedim", "swapaxes", "t", "T", "mT"),
    *("squeeze", "unsqueeze", "contiguous", "clone", "float", "double", "to", "__getitem__", "masked_select", "narrow"),
    *("index_select", "select", "stack", "cat", "split", "chunk", "unbind", "expand"),
}


def double_softmax(subject: Subject) -> list[Symptom]:
    """See whether a loss reads what a softmax or a sigmoid gave, where it takes scores."""
    if subject.loss is None:
        return []
    step = record_step(subject.model, subject.calls[0], subject.loss, subject.cells)
    module = max(step.record.returned, key=step.reaching)
    for operation in step.record.operations:
        if (misplaced := MISPLACED.get(operation.name)) is None:
            continue
        if found := [maker for maker in _makers(operation) if maker.name == misplaced.name]:
            instead = {maker.index: misplaced.instead for maker in found}
            return [_symptom(misplaced, found[0], operation, module, step.reaching(module), instead)]
    return []


def _makers(operation: Operation) -> list[Operation]:
    """What gave the first argument of an operation, behind whatever changes no number."""
    first = operation.args[0] if operation.args else operation.kwargs.get("input")
    waiting, found = [value for value in operation.inputs if value.tensor is first], list[Operation]()
    while waiting:
        maker = waiting.pop().made_by
        if maker is not None and maker.name in VIEWS:
            waiting += maker.inputs
        elif maker is not None and maker not in found:
            found.append(maker)
    return found


def _symptom(
    misplaced: Misplaced, found: Operation, loss: Operation, module: str, before: float, instead: dict[int, Replacement]
) -> Symptom:
    return Symptom(
        f"{misplaced.name} before {loss.name}",
        module,
        f"{loss.name} ({loss.place}) reads what a {misplaced.name} gave ({found.place}), but it takes {misplaced.takes}: the "
        "more one class leads, the less of the gradient comes back.",
        misplaced.remedy,
        f"gradient that reaches {module}",
        before,
        partial(_reaching, module=module, instead=instead),
        lambda module: None,
        module,
        "in norm",
    )


def _reaching(subject: Subject, module: str, instead: dict[int, Replacement]) -> float:
    step = record_step(subject.model, subject.calls[0], subject.loss, subject.cells, instead)
    return step.reaching(module)
