"""BatchNorm in training on one sequence: it normalises over time, and every step sees those that are still to come.

A BatchNorm compares with the others in the batch. With a batch of one there are no others: it compares each moment of a
series with the moments that are still to come. While it trains the network sees the future. Later it will not.

    from torch.utils.data import DataLoader

    class Reader(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.norm, self.rnn, self.head = norm, nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x):
            rows = self.norm(x.flatten(0, 1))
            return self.head(self.rnn(rows.view_as(x))[0][:, -1])

    torch.manual_seed(0)
    series = DataLoader(torch.randn(2, 10, 3), batch_size=1)
    print(*diagnose(Reader(nn.BatchNorm1d(3)), series, quick=True).findings)

A LayerNorm needs nobody to compare with:

    print(diagnose(Reader(nn.LayerNorm(3)), series, quick=True).findings)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.live import BATCH_NORMS, recurrent_modules, step_modules
from rnnvanish.observe.restore.borrow import borrow


def batch_norm_alone(subject: Subject) -> list[Symptom]:
    """See whether a BatchNorm reads a batch of one sequence in training, at several steps together."""
    norms: dict[str, nn.Module] = {
        name: each for name, each in subject.model.named_modules() if isinstance(each, BATCH_NORMS) and each.training
    }
    if not norms:
        return []
    seen, sequences = _inputs(subject, norms)
    found = []
    for name, x in seen.items():
        if sequences != 1 or x.numel() == x.shape[1] or (ahead := _from_later(norms[name], x)) == 0:
            continue
        found.append(
            Symptom(
                "BatchNorm over time",
                name,
                f"{name} reads a single sequence in training: its mean and spread are those of this sequence over time, so "
                "every step sees the later ones. In eval mode, where they are fixed, the model is another one.",
                "Take torch.nn.LayerNorm or GroupNorm, which normalise each step by itself, or batches of many sequences.",
                "change of the first step's output, over that of the last, where the last step's input changes",
                ahead,
                partial(_again, name=name),
                _normalise_steps,
                name,
                question=subject.batch_size != 1,
                exact=True,
            )
        )
    return found


def _inputs(subject: Subject, norms: dict[str, nn.Module]) -> tuple[dict[str, Tensor], int]:
    """What each norm reads, and the most sequences that a recurrent layer reads."""
    seen: dict[str, Tensor] = {}
    counts: list[int] = []

    def record(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, args: seen.update({name: args[0].detach()})

    def count(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = args[0] if args else kwargs.get("input", kwargs.get("x"))
        counts.append(_sequences(module, x))

    loops = [*recurrent_modules(subject.model).values(), *step_modules(subject.model, subject.cells).values()]
    with torch.no_grad(), borrow(subject.model, None, *subject.calls[0].contents):  # which takes the hooks off again
        for name, norm in norms.items():
            norm.register_forward_pre_hook(record(name))
        for module in loops:
            module.register_forward_pre_hook(count, with_kwargs=True)
        subject.calls[0](subject.model)
    return seen, max(counts, default=0)


def _sequences(module: nn.Module, x: Any) -> int:
    if isinstance(x, PackedSequence):
        return int(x.batch_sizes[0])
    if hasattr(module, "batch_first"):
        return 1 if x.dim() == 2 else int(x.shape[0 if module.batch_first else 1])
    return 1 if x.dim() == 1 else len(x)


def _from_later(norm: nn.Module, x: Tensor) -> float:
    """How much the first step's output changes with the last step's input, over how much the last one's does."""
    axis = -1 if len(x) == 1 and x.dim() == 3 else 0
    if x.shape[axis] < 2:
        return 0.0
    other = x.clone()
    last = other.select(axis, -1)
    last += x.std() * (1 - 2 * (torch.arange(last.numel(), device=x.device).view_as(last) % 2))
    with torch.no_grad():
        change = norm(other) - norm(x)
    first, end = (float(change.select(axis, place).double().norm()) for place in (0, -1))
    return first / end if end else 0.0


def _again(subject: Subject, name: str) -> float:
    norm = subject.model.get_submodule(name)
    seen, _ = _inputs(subject, {name: norm})
    return _from_later(norm, seen[name])


def _normalise_steps(norm: nn.Module) -> None:
    """Have a norm take the mean and the spread of each step alone."""

    def forward(x: Tensor) -> Tensor:
        steps = x.movedim(-1, 0).flatten(0, 1) if x.dim() == 3 else x
        scaled = nn.functional.group_norm(steps, 1, norm.weight, norm.bias)  # type: ignore[arg-type]
        return scaled.unflatten(0, (x.shape[-1], len(x))).movedim(0, -1) if x.dim() == 3 else scaled

    norm.__dict__["forward"] = forward
