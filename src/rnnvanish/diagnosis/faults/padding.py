"""The loss reads the end of the padded batch: short sequences are followed by steps that say nothing.

Sentences of unequal length are filled up with zeros, so that they fit into one table. Then the answer is read at the
end of the table. By then the network has stared at nothing for a while, and the short sentences are half forgotten.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(20, 6, padding_idx=0)
            self.rnn, self.head = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x, lengths):
            return self.head(self.rnn(self.words(x))[0][:, -1])

    torch.manual_seed(0)
    lengths = torch.tensor([24, 14, 9, 7])
    x = torch.randint(1, 20, (4, 24)) * (torch.arange(24) < lengths[:, None])
    print(*diagnose(Reader(), (x, lengths), quick=True).findings)

Each sentence is read where it ends:

    class Right(Reader):
        def forward(self, x, lengths):
            output = self.rnn(self.words(x))[0]
            return self.head(output[torch.arange(len(x)), lengths - 1])

    print(diagnose(Right(), (x, lengths), quick=True).findings)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnvanish.backward.each_loop import LoopGradients
from rnnvanish.backward.output_steps import direct_gradients
from rnnvanish.diagnosis.fault import ARRIVING, Symptom, WatchedModel, arriving, module_of
from rnnvanish.diagnosis.rerun.padded_steps import Padding, find_padding
from rnnvanish.live import RECURRENT
from rnnvanish.observe.record import Run

#: A step is not read whose part is below this of the largest one.
NOTHING = 1e-6


def padding_read(watched: WatchedModel) -> list[Symptom]:
    """See whether of padded sequences that are not packed nothing is read but steps behind the padding."""
    found = []
    for each in padded_loops(watched):
        run, padding, read = each.run, each.padding, each.read
        wrong = (read & padding.behind).any(0) & ~(read & ~padding.steps).any(0)
        if not wrong.any():
            continue
        steps = float(padding.steps.sum(0)[wrong].double().mean())
        where = "begin" if padding.front else "end"
        one = f"The sequence {where}s in padding,"
        many = f"{int(wrong.sum())} of {len(wrong)} sequences {where} in padding, on average"
        found.append(
            Symptom(
                "padding read at the end",
                module_of(run),
                f"{one if len(wrong) == 1 else many} {steps:.3g} equal steps of {len(run.x)}, and the loss reads the layer "
                f"behind them: what the sequence said has to survive them all.{padding.doubt}",
                "Read each sequence at its own end: pack the batch with torch.nn.utils.rnn.pack_padded_sequence and take the "
                "final state, or take output[range(batch), lengths - 1].",
                ARRIVING,
                arriving(each.loop.run, each.loop.total),
                partial(_arriving, name=run.name),
                _mend(run, padding),
                run.name,
                question=not padding.certain,
                helps=lambda before, after: after > before,
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class PaddedLoop:
    """A loop that runs over padding.

    Attributes:
        loop: The loop.
        padding: Its padding.
        gradient: The gradient by what each step hands on, (time, sequences, numbers): as far as outputs read it; of a loop
            that no output reads, by way of other loops, too.
        direct: Whether an output reads it.
    """

    loop: LoopGradients
    padding: Padding
    gradient: Tensor
    direct: bool

    @property
    def run(self) -> Run:
        """The loop as it ran."""
        return self.loop.episodes.run

    @property
    def read(self) -> Bool[Tensor, "time sequences"]:
        """Which steps are read: a softmax of scores that are masked by a large number leaves a trace that no one sees."""
        size: Tensor = self.gradient.norm(dim=-1)
        read: Tensor = size > NOTHING * size.max()
        return read


def padded_loops(watched: WatchedModel) -> list[PaddedLoop]:
    """Find the loops that run over padding, and what is read of each."""
    runs = [each.episodes.run for each in watched.loops]
    padded = [find_padding(watched.model, watched.call, run) for run in runs]
    if not any(padded):
        return []
    direct = direct_gradients(watched.value, None, runs)
    anyhow = direct if all(each.any() for each in direct) else direct_gradients(watched.value, None, runs, True)
    return [
        PaddedLoop(loop, padding, own if own.any() else whole, bool(own.any()))
        for loop, padding, own, whole in zip(watched.loops, padded, direct, anyhow, strict=True)
        if padding is not None
    ]


def _arriving(watched: WatchedModel, name: str) -> float:
    loop = next(each for each in watched.loops if each.run.name == name)
    return arriving(loop.run, loop.total)


def _mend(run: Run, padding: Padding) -> Callable[[nn.Module], object] | None:
    if isinstance(run.module, RECURRENT):
        return partial(pack_sequences, padded=padding.in_order)
    return partial(hold_state, padded=padding.in_order) if isinstance(run.module, nn.RNNCellBase) else None


def hold_state(module: nn.Module, padded: Bool[Tensor, "time sequences"]) -> None:
    """Have a step leave the state of a sequence as it is where there is padding."""
    step = count()

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        there = padded[next(step) % len(padded), :, None].to(args[0].device)
        if len(args) < 2:
            return output
        if isinstance(output, tuple):
            return tuple(torch.where(there, old, new) for old, new in zip(args[1], output, strict=True))
        return torch.where(there, args[1], output)

    module.register_forward_hook(after)


def pack_sequences(module: nn.Module, padded: Bool[Tensor, "time sequences"]) -> None:
    """Have `module` read what of each sequence is no padding alone, and hold its outputs before and behind that."""
    batch_first = bool(getattr(module, "batch_first", False))
    time, padded = len(padded), padded.cpu()
    start = (~padded).double().argmax(0)
    lengths = (~padded).sum(0)
    step = torch.arange(time)[:, None]

    def before(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor | PackedSequence, ...]:
        x, *rest = args
        steps = x.transpose(0, 1) if batch_first else x
        if steps.shape[:2] != padded.shape:
            raise ValueError(f"A batch of another shape, {tuple(steps.shape[:2])}, has other padding.")
        at = torch.minimum(step + start, start + lengths - 1).to(x.device)
        moved = steps.gather(0, at[..., None].expand_as(steps))
        return (pack_padded_sequence(moved, lengths, enforce_sorted=False), *rest)

    def after(
        module: nn.Module, args: tuple[object, ...], output: tuple[PackedSequence, object]
    ) -> tuple[Tensor, object]:
        packed, state = output
        steps, _ = pad_packed_sequence(packed, total_length=time)
        at = torch.minimum((step - start).clamp(min=0), lengths - 1).to(steps.device)
        held = steps.gather(0, at[..., None].expand_as(steps))
        return held.transpose(0, 1) if batch_first else held, state

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
