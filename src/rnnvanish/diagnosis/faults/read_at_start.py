"""A direction that is read at its first step alone: what it has read by then is one step of the sequence.

A layer reads the text from both ends. `output[:, -1]` takes the last place of both. There the forward reader has read
all. But the backward reader has only just begun: it has read a single word.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(3, 8, batch_first=True, bidirectional=True)
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    x = torch.randn(4, 12, 3)
    print(*diagnose(Reader(), x, quick=True).findings)

Each direction is read where it ends:

    class Right(Reader):
        def forward(self, x):
            _, h_n = self.rnn(x)
            return self.head(torch.cat([h_n[-2], h_n[-1]], dim=-1))

    print(diagnose(Right(), x, quick=True).findings)
"""

from functools import partial

import torch
from torch import Tensor, nn

from rnnvanish.diagnosis.fault import Symptom, WatchedModel, module_of
from rnnvanish.diagnosis.rerun.reading import Reading, hook_steps, readings, readings_of_end_points
from rnnvanish.live import RECURRENT


def read_at_start(watched: WatchedModel) -> list[Symptom]:
    """See whether the loss reads no state of a loop but the first of each sequence, as `output[:, -1]` of a backward direction.

    A module that is called again has to be read so at every call that is read.
    """
    if not any(map(_is_first_alone, readings_of_end_points(watched.loops))):
        return []
    parts: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings(watched.loops, watched.value):
        if reading.steps.any():
            parts.setdefault((module_of(reading.run), reading.part), []).append(reading)
    found: dict[str, Symptom] = {}  # of a module its top layer
    for (module, _), calls in parts.items():
        if all(map(_is_first_alone, calls)):
            found[module] = _symptom(calls[0])
    return list(found.values())


def _is_first_alone(reading: Reading) -> bool:
    long = reading.rows & (reading.lengths > 1)
    return bool(long.any()) and bool((reading.last[long] == 0).all())


def _symptom(reading: Reading) -> Symptom:
    module, name, backward = reading.run.module, module_of(reading.run), reading.part.endswith("reverse")
    several = bool(getattr(module, "bidirectional", False))
    if several:
        remedy = (
            "Read each direction where it ends: torch.cat([h_n[-2], h_n[-1]], -1). In the output that is the last step of "
            "the forward half and the first of the backward half."
        )
    elif isinstance(module, RECURRENT):
        remedy = "Read it where it ends: h_n[-1], or output[:, -1] with batch_first and output[-1] without."
    else:
        remedy = "Read it at the step where it ends: if it runs backwards, that is the first of the sequence."
    direction = f"The {'backward' if backward else 'forward'} direction of {name}" if several else name
    return Symptom(
        "read at its first step",
        name,
        f"{direction} is read at the {'last' if backward else 'first'} step of each sequence alone, where it has just begun: it has read 1 of "
        f"{int(reading.lengths.max())} steps there.",
        remedy,
        "of each sequence, what it has read where it is read",
        _part_read(reading),
        partial(_part_read_of, reading.run.name),
        partial(_read_at_end, backward) if isinstance(module, RECURRENT) else None,
        layer=reading.run.name,
        everywhere=True,
    )


def _part_read_of(loop: str, watched: WatchedModel) -> float:
    (reading,) = [each for each in readings(watched.loops, watched.value) if each.run.name == loop]
    return _part_read(reading)


def _part_read(reading: Reading) -> float:
    part = (reading.last + 1)[reading.rows].double() / reading.lengths[reading.rows]
    return float(part.mean()) if len(part) else 0.0


def _read_at_end(backward: bool, module: nn.Module) -> None:
    """Have the layer return the last state of a direction where its first one stands."""

    def change(steps: Tensor, lengths: Tensor, state: object) -> Tensor:
        rows = torch.arange(len(steps), device=steps.device)
        width = steps.shape[-1] // (2 if module.bidirectional else 1)
        half = slice(-width, None) if backward else slice(width)
        first, last = (lengths - 1, torch.zeros_like(lengths)) if backward else (torch.zeros_like(lengths), lengths - 1)
        changed = steps.clone()
        changed[rows, first, half] = steps[rows, last, half]
        return changed

    hook_steps(module, change)
