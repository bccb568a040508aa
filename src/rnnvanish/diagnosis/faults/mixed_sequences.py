"""Batch and time swapped, or sequences mixed: what a model says of one sequence depends on the others in its batch.

PyTorch's layers read time first, and your data has the batch first. No error comes: both are just axes. The network now
takes the first words of all sentences for one sentence, the second words for another, and so on. That is **batch and
time swapped**. Where something else ties the sentences together, it says **sequences mixed**.

    from torch.utils.data import DataLoader

    class Reader(nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, **options), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    batches = DataLoader(torch.randn(6, 10, 3), batch_size=6)
    print(*diagnose(Reader(), batches, quick=True).findings)

The layer is told which axis is which:

    print(diagnose(Reader(batch_first=True), batches, quick=True).findings)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.separation import Answers, BatchAxis, EntriesRead
from rnnvanish.live import recurrent_modules
from rnnvanish.names import listed
from rnnvanish.observe.model_copy import copy_model


def mixed_sequences(subject: Subject) -> list[Symptom]:
    """See whether what a model returns for one sequence changes with another, on whichever axis the batch may be.

    Where a DataLoader says how many sequences a batch has, that axis is the batch. Without it a time-major model that is
    right looks like a batch-first one that is wrong, so one of the first two axes along which nothing is mixed is enough;
    one further back is seldom that of the batch, and it is a question. Where the order of the batch has no meaning, as with
    attention over it, mixing may be meant, and is a question, too.
    """
    if subject.is_bare and subject.batch_size is None:
        return []
    answers = Answers(subject.model, subject.calls[0], subject.cells)
    loops = answers.loops.values()
    if not loops or any(rows < 2 <= steps for steps, rows in loops):  # a batch of one: its axis may be anything
        return []
    known = _known_axis(answers, subject.batch_size)
    flat = {steps * rows for steps, rows in loops if steps > 1}
    if known is None and any(axis.index == 0 and axis.size in flat for axis in answers.axes):  # steps of all sequences
        return []
    verdicts: dict[BatchAxis, str] = {}
    for axis in answers.axes if known is None else [known, *(each for each in answers.axes if each is not known)]:
        verdicts[axis] = answers.verdict(axis)
        if verdicts[axis] == "apart":
            break
    apart = [axis for axis, verdict in verdicts.items() if verdict == "apart"]
    first = [axis for axis in verdicts if axis.index in (None, 0, 1)]  # batch and time of an ordinary model
    if apart and (apart[0] is known or (known is None and apart[0] in first)):
        return []
    wrong = [axis for axis in first if verdicts[axis] == "mixed"]
    if known is not None:
        wrong = [known] if apart or verdicts[known] in ("mixed", "unread") else []
    if not wrong or not answers.repeatable():
        return []
    together = wrong if known is not None else [axis for axis in first if verdicts[axis] in ("mixed", "pooled")]
    meant = ""
    if known is None and apart:
        meant = f"{_axis(apart[0])} is the batch"
    elif not apart and any(map(answers.symmetric, together)):
        meant = "sequences are meant to be seen together"
    axes = wrong if known is not None else [*wrong, *(axis for axis in first if axis not in wrong)]
    return [_symptom(subject, answers, axes, known is not None, bool(apart), meant)]


def _known_axis(answers: Answers, batch_size: int | None) -> BatchAxis | None:
    """The axis of the batch, where a DataLoader says its size and one of the first two alone has it."""
    fits = [axis for axis in answers.axes if axis.index in (0, 1) and axis.size == batch_size]
    return fits[0] if len(fits) == 1 else None


def _symptom(
    subject: Subject, answers: Answers, axes: list[BatchAxis], known: bool, swapped: bool, meant: str
) -> Symptom:
    """What is said of the first of some axes that may be the batch's, and what to do for each, unless something is `meant`."""
    question = bool(meant)
    remedies = list(_remedies(subject, axes, question))
    batch = remedies[0][1] if remedies else axes[0]
    read = answers.entries_read(batch)
    ran = [f"{name} ran over {steps} steps of {rows} sequences" for name, (steps, rows) in answers.loops.items()]
    unread = f", and {read.unread} of {read.count} change nothing at all" if read.unread else ""
    said = (
        f"{'The batch is' if known else 'If the batch is'} {_axis(batch)} of the input {tuple(batch.main.shape)}"
        f"{', as the DataLoader says: ' if known else ', '}what the model returns for one sequence changes with "
        f"{read.mean:.2g} of {read.count}, on average{unread} (in eval mode). {', '.join(ran)}."
    )
    if not known and not question:
        said += "".join(
            f" Nor is it {_axis(other)}: {_left(answers.entries_read(other))}." for other in axes if other is not batch
        )
    return Symptom(
        "batch and time swapped" if swapped or any(each.swaps for each, _ in remedies) else "sequences mixed",
        "",
        said,
        _to_do(remedies, known, meant),
        f"of {read.count} sequences, those that change numbers of their own",
        read.apart / read.count,
        partial(_part_apart, batch),
        remedies[0][0].mend if remedies else None,
        layer=next(iter(answers.loops)),
        question=question,
    )


def _left(read: EntriesRead) -> str:
    if read.unread:
        return f"{read.unread} of {read.count} entries change nothing at all"
    return f"what is returned for one changes with {read.mean:.2g} of {read.count}"


def _part_apart(axis: BatchAxis, subject: Subject) -> float:
    read = Answers(subject.model, subject.calls[0], subject.cells).entries_read(axis)
    return read.apart / read.count


@dataclass(frozen=True)
class _Remedy:
    """What may keep sequences apart: what to write, what it does to a copy, and whether batch and time were swapped."""

    words: str
    mend: Callable[[nn.Module], None]
    swaps: bool = False


def _to_do(remedies: list[tuple[_Remedy, BatchAxis]], known: bool, meant: str) -> str:
    if known and remedies:
        text = f"{remedies[0][0].words}."
    elif remedies:
        text = " ".join(f"If {_axis(axis)} is the batch, {remedy.words}." for remedy, axis in remedies)
    elif meant:
        text = (
            "look for a softmax, a mean, a norm or an attention that goes along the batch instead of time or features."
        )
    else:
        text = (
            "Follow the axis of the batch through forward: batch_first says what a layer reads and returns, h_n is always "
            "(layers · directions, batch, hidden), and axes are swapped by transpose, never by view or reshape."
        )
    if meant:
        return f"If {meant}, nothing. Otherwise: {text[0].lower()}{text[1:]}"
    return f"{text[0].upper()}{text[1:]}"


def _axis(axis: BatchAxis) -> str:
    return f"the packed batch of {axis.size}" if axis.index is None else f"axis {axis.index} ({axis.size})"


def _remedies(subject: Subject, axes: list[BatchAxis], quick: bool) -> Iterator[tuple[_Remedy, BatchAxis]]:
    """For each axis the first remedy that keeps its entries apart, tried on a copy; the likeliest ones alone if `quick`."""
    candidates = list(_candidates(subject.model))
    for axis in axes:
        for remedy in candidates[:2] if quick else candidates:
            copy = copy_model(subject.model)
            try:
                remedy.mend(copy)
                helps = Answers(copy, subject.calls[0], subject.cells).verdict(axis, strict=True) == "apart"
            except Exception:  # noqa: BLE001  # the user's own code runs with what it was not written for
                helps = False
            if helps:
                yield remedy, axis
                break


def _candidates(model: nn.Module) -> Iterator[_Remedy]:
    """Common slips and what undoes each: of all recurrent layers together, then of each; the likeliest first."""
    attention = {name: each for name, each in model.named_modules() if isinstance(each, nn.MultiheadAttention)}
    if attention:
        first = all(each.batch_first for each in attention.values())
        yield _Remedy(f"set batch_first={not first} of {listed(attention)}", partial(_each, tuple(attention), _flip))
    layers = recurrent_modules(model)
    groups = [layers] if len(layers) == 1 else [layers, *({name: module} for name, module in layers.items())]
    for group in filter(None, groups):
        some, of_each = listed(group), partial(_each, tuple(group))
        first = all(getattr(module, "batch_first", False) for module in group.values())
        right, wrong = ("output[:, -1]", "output[-1]") if first else ("output[-1]", "output[:, -1]")
        axes = "(batch, time, features)" if first else "(time, batch, features)"
        yield _Remedy(f"set batch_first={not first} of {some}", partial(of_each, _flip), swaps=True)
        yield _Remedy(
            f"write h_n.transpose(0, 1).reshape(batch, -1) for {some}, not h_n.view(batch, -1): h_n is (layers · "
            "directions, batch, hidden)",
            partial(of_each, partial(_hook_state, _undo_reshape)),
        )
        yield _Remedy(
            f"swap the axes of what {some} reads by transpose(0, 1): view and reshape cut sequences up",
            partial(of_each, partial(_hook_input, _undo_reshaped)),
        )
        yield _Remedy(
            f"swap the axes of what {some} returns by transpose(0, 1) before you read it: view and reshape cut sequences up",
            partial(of_each, partial(_hook_output, _undo_reshape)),
        )
        yield _Remedy(
            f"set batch_first={not first} of {some}, and write reshape, not view, for what comes out of it",
            partial(of_each, _flip_contiguous),
            swaps=True,
        )
        yield _Remedy(
            f"read the output of {some} as {axes}: its last step is {right}, not {wrong}",
            partial(of_each, partial(_hook_output, _swap)),
            swaps=True,
        )
    yield _Remedy("give the model its input with the axes swapped: x.transpose(0, 1)", _swap_inputs, swaps=True)


def _each(names: tuple[str, ...], change: Callable[[nn.Module], None], model: nn.Module) -> None:
    modules = dict(model.named_modules()) | recurrent_modules(model)
    for name in names:
        change(modules[name])


def _flip(module: Any) -> None:
    module.batch_first = not module.batch_first


def _flip_contiguous(module: nn.Module) -> None:
    """What `view` refuses is as `reshape` would read it."""
    _flip(module)
    _hook_output(torch.Tensor.contiguous, module)


def _swap(x: Tensor) -> Tensor:
    return x.transpose(0, 1)


def _undo_reshape(x: Tensor) -> Tensor:
    """Numbers in such an order that who reshapes them to swapped axes gets the transposed."""
    return x.transpose(0, 1).contiguous().view(x.shape)


def _undo_reshaped(x: Tensor) -> Tensor:
    """The transposed of what was reshaped to swapped axes."""
    return x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)


def _hook_output(change: Callable[[Tensor], Tensor], module: nn.Module) -> None:
    def hook(module: nn.Module, args: object, output: tuple[Any, Any]) -> tuple[Any, Any]:
        x, state = output
        return x if isinstance(x, PackedSequence) else change(x), state

    module.register_forward_hook(hook)


def _hook_state(change: Callable[[Tensor], Tensor], module: nn.Module) -> None:
    def hook(module: nn.Module, args: object, output: tuple[Any, Any]) -> tuple[Any, Any]:
        x, state = output
        return x, tuple(map(change, state)) if isinstance(state, tuple) else change(state)

    module.register_forward_hook(hook)


def _hook_input(change: Callable[[Tensor], Tensor], module: nn.Module) -> None:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *rest = args
        return (x if isinstance(x, PackedSequence) else change(x), *rest)

    module.register_forward_pre_hook(hook)


def _swap_inputs(model: nn.Module) -> None:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_swap(x) if isinstance(x, Tensor) and x.dim() > 1 else x for x in args)

    model.register_forward_pre_hook(hook)
