"""The loss reads the end of the padded batch: short sequences are followed by steps that say nothing."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnvanish.diagnosis.fault import ARRIVING, Symptom, arriving, module_of
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: Equal steps at the end of a sequence from which on they are taken for padding.
LEAST = 3


def padding_read(run: Run, total: Series) -> Symptom | None:
    """See whether a first layer reads sequences that end in padding, unpacked, and the loss reads the very last step."""
    if run.lengths is not None or "/layer0/forward" not in run.name:
        return None
    lengths = unpadded(run.x.detach())
    padded = lengths < len(run.x)
    read = torch.cat(total, dim=-1)[-1].norm(dim=-1) > 0
    wrong = padded & read
    if not wrong.any():
        return None
    steps = float((len(run.x) - lengths[wrong]).double().mean())
    return Symptom(
        "padding read at the end",
        module_of(run),
        f"{int(wrong.sum())} of {len(wrong)} sequences end in padding, on average {steps:.3g} equal steps of "
        f"{len(run.x)}, and the loss reads the layer behind them: what the sequence said has to survive them all.",
        "Read each sequence at its own end: pack the batch with torch.nn.utils.rnn.pack_padded_sequence and take the "
        "final state, or take output[range(batch), lengths - 1].",
        ARRIVING,
        arriving(run, total),
        arriving,
        pack_sequences,
    )


def unpadded(x: Tensor) -> Tensor:
    """Steps of each sequence of (time, batch, features) before its padding.

    Padding is one and the same step, again and again up to the end, nowhere else, and not equally long in all
    sequences: one that happens to end in equal steps has none.
    """
    longest = (x == x[-1]).all(-1).flip(0).cumprod(0).sum(0).argmax()
    same = (x == x[-1, longest]).all(-1)
    trailing = same.flip(0).cumprod(0).sum(0)
    alone = int(same.sum()) == int(trailing.sum())
    padding = alone and LEAST <= int(trailing.max()) < len(x) and int(trailing.min()) < int(trailing.max())
    lengths: Tensor = len(x) - trailing * padding
    return lengths


def pack_sequences(module: nn.Module) -> None:
    """Have `module` read each sequence to its own end alone, and hold its last output from there on."""
    batch_first = bool(getattr(module, "batch_first", False))
    seen: list[tuple[Tensor, int]] = []

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor | PackedSequence, ...]:
        x, *rest = args
        steps = x.transpose(0, 1) if batch_first else x
        lengths = unpadded(steps)
        seen.append((lengths, len(steps)))
        return (pack_padded_sequence(steps, lengths.cpu(), enforce_sorted=False), *rest)

    def after(
        module: nn.Module, args: tuple[object, ...], output: tuple[PackedSequence, object]
    ) -> tuple[Tensor, object]:
        packed, state = output
        lengths, time = seen.pop()
        steps, _ = pad_packed_sequence(packed, total_length=time)
        at = torch.minimum(torch.arange(time, device=lengths.device)[:, None], lengths - 1)
        held = steps.gather(0, at.unsqueeze(-1).expand_as(steps))
        return held.transpose(0, 1) if batch_first else held, state

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
