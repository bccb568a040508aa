"""Zeros pooled with the text: a packed batch that is padded again holds zeros behind each end, and a mean or a maximum reads them.

You packed the batch, so the layer never sees the filling. But unpacked again, zeros stand behind each short sentence. A
mean over all steps counts them.

    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths, batch_first=True)
            output, lengths = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            return self.head(self.pool(output, lengths))

        def pool(self, output, lengths):
            return output.mean(1)

    torch.manual_seed(0)
    x, lengths = torch.randn(4, 24, 3), torch.tensor([24, 14, 9, 7])
    print(*diagnose(Reader(), (x, lengths), quick=True).findings)

The sum, over the length of each sentence:

    class Right(Reader):
        def pool(self, output, lengths):
            return output.sum(1) / lengths[:, None]

    print(diagnose(Right(), (x, lengths), quick=True).findings)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnvanish.diagnosis.fault import Subject, Symptom
from rnnvanish.diagnosis.rerun.separation import Answers
from rnnvanish.observe.agreement import agree


def pooled_zeros(subject: Subject) -> list[Symptom]:
    """See whether what a model returns changes with what stands behind the ends of sequences that were packed.

    A model that masks what it pools, or reads each sequence at its own end, does not change, or refuses the longer batch.
    """
    if subject.is_bare:
        return []
    with _Padding() as padding:
        answers = Answers(subject.model, subject.calls[0], subject.cells)
    if not padding.ragged or _change(answers) == 0 or not answers.repeatable():
        return []
    number = all(each.numel() == 1 for each in answers.returned)
    return [
        Symptom(
            "padding pooled",
            "",
            "Sequences of several lengths are packed and padded again, and what the model returns is made of the zeros "
            "behind their ends, too: it changes with them, and so depends on how long the batch is."
            + (" Only a number comes out: if it is a loss of every step, leave the padding out of that." * number),
            "Leave the padding out of the pooling: a mean is output.sum(time) / lengths, a maximum is "
            "output.masked_fill(~mask, -inf).amax(time), and attention sets its scores there to -inf; mask is True on the "
            "steps of the text.",
            "of what the model returns, what changes with other padding",
            _change(answers),
            lambda mended: _change(Answers(mended.model, mended.calls[0], mended.cells)),
            fill_with_means,
            question=number,
            exact=True,
            helps=lambda before, after: after < before,
        )
    ]


#: What stands behind the ends of sequences, made of (time, sequences, features) and of where the text is.
Filling = Callable[[Tensor, Tensor], Tensor]


class _Padding(TorchFunctionMode):
    """Pads what was packed by some steps more, or with something else than zeros; and sees whether lengths differ."""

    def __init__(self, more: int = 0, filling: Filling | None = None) -> None:
        super().__init__()
        self.more, self.filling, self.ragged = more, filling, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") != "_pad_packed_sequence":
            return func(*args, **(kwargs or {}))
        *rest, longest = args
        padded, lengths = func(*rest, longest + self.more)
        self.ragged |= bool((lengths != lengths[0]).any())
        return (padded if self.filling is None else _filled(padded, lengths, args[2], self.filling)), lengths


def _filled(padded: Tensor, lengths: Tensor, batch_first: bool, filling: Filling) -> Tensor:
    steps = padded.transpose(0, 1) if batch_first else padded
    text = (torch.arange(len(steps))[:, None] < lengths).to(steps.device)[..., None]
    filled = torch.where(text, steps, filling(steps, text))
    return filled.transpose(0, 1) if batch_first else filled


def _means(steps: Tensor, text: Tensor) -> Tensor:
    return (steps * text).sum(0) / text.sum(0)


def _below(steps: Tensor, text: Tensor, by: float) -> Tensor:
    return steps.masked_fill(~text, torch.inf).amin(0) - by


def fill_with_means(model: nn.Module) -> None:
    """Have `model` read the mean over each sequence behind its end: no mean and no maximum over all steps changes by that."""
    model.__dict__["forward"] = partial(_under_padding, model.forward)


def _under_padding(forward: Any, *args: Any, **kwargs: Any) -> Any:
    with _Padding(filling=_means):
        return forward(*args, **kwargs)


def _change(answers: Answers) -> float:
    """By how much of itself what is returned changes with the padding; 0 where it does not.

    A mean, or attention, changes with one step more. A maximum over zeros changes where these become as low as the lowest
    of the text, and then no more if they sink further, as a sum over them does.
    """
    lowest, lower = (_run(answers, filling=partial(_below, by=by)) for by in (0.0, 1.0))
    longer = _run(answers, more=1)
    changes = [_differences(longer, answers.returned)]
    if lowest and lower and not any(_differences(lowest, lower)):
        changes.append(_differences(lowest, answers.returned))
    return max((each for several in changes for each in several), default=0.0)


def _run(answers: Answers, **padding: Any) -> list[Tensor]:
    """What is returned with other padding; nothing where the model refuses it: a mask has its own length."""
    try:
        with _Padding(**padding):
            return answers(answers.call)
    except Exception:  # noqa: BLE001  # the user's own code runs with what it was not written for
        return []


def _differences(new: list[Tensor], old: list[Tensor]) -> list[float]:
    return [
        0.0 if agree([one], [other]) or _says_nothing(one) else float((one - other).norm() / other.norm())
        for one, other in zip(new, old, strict=False)
        if one.shape == other.shape
    ]


def _says_nothing(returned: Tensor) -> bool:
    """Whether all sequences give the same: zeros alone are read, and that is another fault."""
    return returned.dim() > 1 and bool((returned == returned[:1]).all())
